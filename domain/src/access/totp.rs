//! Authenticator app codes (RFC 6238): six digits every 30 seconds, each accepted once.

use super::{passcodes, second_factors, sessions};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope,
    kernel::{
        actor::SignedInUser,
        app::App,
        audit_log, clock,
        command::{self, Command, CommandContext},
        limits,
        secrets::{self, AssociatedData, Secret},
    },
};
use entity::{
    login,
    second_factor::{self, Column},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use totp_rs::{Builder, Totp};
use uuid::Uuid;

/// Column of the secrets of authenticator apps, as associated data.
pub const SECRET: &str = "second_factor.totp";

/// Secret for an authenticator app. Returned once.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// Base32 form, to be typed.
    pub secret: Secret<String>,
    /// `otpauth://` URI, to be shown as a QR code.
    pub uri: Secret<String>,
}

fn codes(secret: &[u8], email: &str) -> Result<Totp> {
    let broken = |_| Error::broken("the secret of an authenticator app is invalid");
    // A colon separates the issuer from the account name in the URI.
    Builder::new()
        .with_secret(secret.to_vec())
        .with_issuer(Some("Coffer"))
        .with_account_name(email.replace(':', "_"))
        .build()
        .map_err(broken)
}

#[derive(Serialize)]
struct EnrollTotp {
    user_id: Uuid,
    #[serde(skip)]
    session: SignedInUser,
    #[serde(skip)]
    secret: Secret<[u8; 20]>,
}

/// Creates a secret for the signed-in user's authenticator app. It is active once a code confirms it; until
/// then another call replaces it.
///
/// Refused if the session has not passed a factor that is already set up.
pub async fn enroll(app: &App, actor: &Actor) -> Result<Enrollment> {
    let session = actor.signed_in()?.clone();
    let secret = Secret::new(secrets::random::<20>()?);
    let login =
        login::Entity::find_by_id(session.user_id).one(&app.db.read).await?.ok_or(Error::Unauthenticated)?;
    let enroll = EnrollTotp { user_id: session.user_id, session: session.clone(), secret: secret.clone() };
    command::execute_for(app, session.caller(), actor.request_id, None, enroll).await?;
    let codes = codes(secret.reveal(), &login.email)?;
    let uri =
        codes.to_url().map_err(|_| Error::broken("the URI for an authenticator app could not be created"))?;
    Ok(Enrollment { secret: Secret::new(codes.secret().to_base32()), uri: Secret::new(uri) })
}

impl Command for EnrollTotp {
    const NAME: &'static str = "totp.enroll";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let present = second_factors::locked(ctx, self.user_id).await?;
        second_factors::require_passed(self.session.two_factor, Some(&present))?;
        if present.totp_confirmed_at.is_some() {
            return Err(Refusal::new(
                Code::TotpEnrolled,
                "",
                "An authenticator app is already set up. Remove it first.",
            )
            .into());
        }
        let mut row: second_factor::ActiveModel = present.into();
        row.totp = Set(Some(
            ctx.app.vault.seal(associated_data(self.user_id, ctx.partner.id), self.secret.reveal())?,
        ));
        row.totp_step = Set(0);
        row.update(ctx.tx).await?;
        Ok(self.user_id)
    }
}

const fn associated_data(row: Uuid, partner: Uuid) -> AssociatedData {
    AssociatedData { column: SECRET, row, partner }
}

fn not_enrolled() -> Refusal {
    Refusal::new(Code::TotpNotEnrolled, "", "No authenticator app is set up. Enroll one first.")
}

#[derive(Serialize)]
struct VerifyTotp {
    user_id: Uuid,
    session_id: Uuid,
    step: i64,
    /// Encrypted secret that the code was checked against. Before it is confirmed, another secret may replace
    /// it.
    #[serde(skip)]
    sealed: Vec<u8>,
    /// Whether this is the first code, which confirms the secret.
    first: bool,
    /// Whether the session has passed a second factor already.
    passed: bool,
}

/// Verifies a code of the authenticator app: the signed-in user's session passes its second factor. The first
/// code of a new secret confirms it. After five wrong codes, further attempts are delayed for increasing
/// times.
pub async fn verify(app: &App, actor: &Actor, code: &str) -> Result<()> {
    let user = actor.signed_in()?.clone();
    let subject = [limits::TOTP.of_partner(app, user.partner_id, &user.user_id.to_string())];
    let present = second_factors::row(&app.db.read, user.user_id).await?.ok_or_else(not_enrolled)?;
    let sealed = present.totp.as_deref().ok_or_else(not_enrolled)?;
    limits::spend(app, &subject).await?;
    let secret = app.vault.open(associated_data(user.user_id, user.partner_id), sealed)?;
    let now = u64::try_from(clock::system_now().timestamp()).unwrap_or(0);
    // The library ignores blanks and dashes, but a code is exactly six digits.
    let step =
        if passcodes::is_six_digits(code) { codes(secret.reveal(), "")?.check(code, now) } else { None };
    let step = step.and_then(|step| i64::try_from(step).ok());
    let Some(step) = step else {
        audit_log::failed(
            app,
            &user.caller(),
            actor.request_id,
            VerifyTotp::NAME,
            Code::InvalidPasscode.name(),
        )
        .await?;
        return Err(passcodes::invalid_code("code"));
    };
    let verify_totp = VerifyTotp {
        user_id: user.user_id,
        session_id: user.session_id,
        step,
        sealed: sealed.to_vec(),
        first: present.totp_confirmed_at.is_none(),
        passed: user.two_factor,
    };
    command::execute_for(app, user.caller(), actor.request_id, None, verify_totp).await?;
    limits::succeeded(app, &subject).await?;
    Ok(())
}

impl Command for VerifyTotp {
    const NAME: &'static str = "totp.verify";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let taken = second_factor::Entity::update_many()
            .col_expr(Column::TotpStep, Expr::value(self.step))
            .filter(Column::UserId.eq(self.user_id))
            .filter(Column::PartnerId.eq(ctx.partner.id))
            .filter(Column::TotpStep.lt(self.step))
            .filter(if self.first {
                Column::Totp.eq(self.sealed.clone())
            } else {
                Column::TotpConfirmedAt.is_not_null()
            })
            .exec(ctx.tx)
            .await?;
        if taken.rows_affected == 0 {
            return Err(passcodes::invalid_code("code"));
        }
        if self.first {
            let present = second_factors::locked(ctx, self.user_id).await?;
            second_factors::require_passed(self.passed, Some(&present))?;
            let mut row: second_factor::ActiveModel = present.into();
            row.totp_confirmed_at = Set(Some(clock::system_now()));
            row.update(ctx.tx).await?;
        }
        sessions::pass_second_factor(ctx.tx, self.session_id).await?;
        Ok(self.user_id)
    }
}

#[derive(Serialize)]
struct RemoveTotp {
    user_id: Uuid,
}

/// Removes the authenticator app of the signed-in user, who has passed their second factor.
pub async fn remove(app: &App, actor: &Actor) -> Result<()> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    let user = actor.signed_in()?;
    command::execute_for(app, caller, actor.request_id, None, RemoveTotp { user_id: user.user_id })
        .await
        .map(|_| ())
}

impl Command for RemoveTotp {
    const NAME: &'static str = "totp.remove";
    const SCOPE: Scope = Scope::Manage;
    type Output = Uuid;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let present = second_factors::locked(ctx, self.user_id).await?;
        if present.totp.is_none() {
            return Err(not_enrolled().into());
        }
        let mut row: second_factor::ActiveModel = present.into();
        row.totp = Set(None);
        row.totp_confirmed_at = Set(None);
        row.update(ctx.tx).await?;
        Ok(self.user_id)
    }
}
