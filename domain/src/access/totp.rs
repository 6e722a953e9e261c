//! Codes of an authenticator app (RFC 6238): six digits every thirty seconds, each taken once.

use super::{passcodes, second_factors, sessions};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope,
    kernel::{
        actor::SignedInUser,
        app::App,
        audit_log, clock,
        command::{self, Command, CommandContext},
        secrets::{self, AssociatedData, Secret},
        throttle,
    },
};
use entity::{
    login,
    partner::Mode,
    second_factor::{self, Column},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use totp_rs::{Builder, Totp};
use uuid::Uuid;

/// The column of secrets shared with authenticator apps.
pub const SECRET: &str = "second_factor.totp";

/// A secret for an authenticator app, shown once.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// In base 32, to be typed.
    pub secret: Secret<String>,
    /// An `otpauth://` address, to be shown as a QR code.
    pub uri: Secret<String>,
}

fn codes(secret: &[u8], email: &str) -> Result<Totp> {
    let broken = |_| Error::broken("a secret of an authenticator app cannot be used");
    // A colon would end the issuer's name in the address.
    Builder::new()
        .with_secret(secret.to_vec())
        .with_issuer(Some("Coffer"))
        .with_account_name(email.replace(':', "_"))
        .build()
        .map_err(broken)
}

#[derive(Serialize)]
struct Enroll {
    user_id: Uuid,
    #[serde(skip)]
    session: SignedInUser,
    #[serde(skip)]
    secret: Secret<[u8; 20]>,
}

/// Makes a secret for the authenticator app of the person who has signed in. It counts once a code of it was
/// confirmed; until then another may be made. Refused while a code has not been passed of what she has set up
/// before.
pub async fn enroll(app: &App, actor: &Actor) -> Result<Enrollment> {
    let session = actor.signed_in()?.clone();
    let secret = Secret::new(secrets::random::<20>()?);
    let login =
        login::Entity::find_by_id(session.user_id).one(&app.db.read).await?.ok_or(Error::Unauthenticated)?;
    let enroll = Enroll { user_id: session.user_id, session: session.clone(), secret: secret.clone() };
    command::execute_for(app, session.caller(), actor.request_id, None, enroll).await?;
    let codes = codes(secret.reveal(), &login.email)?;
    let uri =
        codes.to_url().map_err(|_| Error::broken("an address for an authenticator app could not be made"))?;
    Ok(Enrollment { secret: Secret::new(codes.secret().to_base32()), uri: Secret::new(uri) })
}

impl Command for Enroll {
    const NAME: &'static str = "totp.enroll";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let present = second_factors::locked(ctx, self.user_id).await?;
        second_factors::must_have_passed(self.session.two_factor, Some(&present))?;
        if present.totp_confirmed_at.is_some() {
            return Err(
                Refusal::new(Code::TotpEnrolled, "", "An authenticator app is set up already.").into()
            );
        }
        let mut row: second_factor::ActiveModel = present.into();
        row.totp = Set(Some(ctx.app.vault.seal(place(self.user_id, ctx.partner.id), self.secret.reveal())?));
        row.totp_step = Set(0);
        row.update(ctx.tx).await?;
        Ok(self.user_id)
    }

    fn object(done: &Uuid) -> Uuid {
        *done
    }
}

const fn place(row: Uuid, partner: Uuid) -> AssociatedData {
    AssociatedData { column: SECRET, row, partner }
}

fn not_enrolled() -> Refusal {
    Refusal::new(Code::TotpNotEnrolled, "", "No authenticator app is set up.")
}

#[derive(Serialize)]
struct RemoveTotp {
    user_id: Uuid,
    session_id: Uuid,
    step: i64,
    /// The secret that the code was looked at with, as it is kept; until it is confirmed another may take its
    /// place.
    #[serde(skip)]
    sealed: Vec<u8>,
    /// Whether this is the first code, which proves that the app has the secret.
    first: bool,
    /// Whether the session has passed a second factor already.
    passed: bool,
}

/// Takes a code of the authenticator app: the session of the person who has signed in has passed its second
/// factor. The first code of a new secret confirms it. After five wrong codes the next waits, longer each
/// time.
pub async fn verify(app: &App, actor: &Actor, code: &str) -> Result<()> {
    let user = actor.signed_in()?.clone();
    let subject = throttle::totp(app, user.partner_id, user.user_id);
    let present = second_factors::row(&app.db.read, user.user_id).await?.ok_or_else(not_enrolled)?;
    let sealed = present.totp.as_deref().ok_or_else(not_enrolled)?;
    throttle::count_attempt(app, &subject).await?;
    let secret = app.vault.open(place(user.user_id, user.partner_id), sealed)?;
    let now = u64::try_from(clock::system_now().timestamp()).unwrap_or(0);
    // The library drops blanks and dashes; a code is six digits.
    let step =
        if passcodes::is_six_digits(code) { codes(secret.reveal(), "")?.check(code, now) } else { None };
    let step = step.and_then(|step| i64::try_from(step).ok());
    let Some(step) = step else {
        audit_log::failed(
            app,
            &user.caller(),
            actor.request_id,
            RemoveTotp::NAME,
            Code::InvalidPasscode.name(),
        )
        .await?;
        return Err(passcodes::wrong("code"));
    };
    let take = RemoveTotp {
        user_id: user.user_id,
        session_id: user.session_id,
        step,
        sealed: sealed.to_vec(),
        first: present.totp_confirmed_at.is_none(),
        passed: user.two_factor,
    };
    command::execute_for(app, user.caller(), actor.request_id, None, take).await?;
    throttle::succeeded(app, &subject).await?;
    app.feature::<sessions::Cache>().forget(user.session_id);
    Ok(())
}

impl Command for RemoveTotp {
    const NAME: &'static str = "totp.verify";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

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
            return Err(passcodes::wrong("code"));
        }
        if self.first {
            let present = second_factors::locked(ctx, self.user_id).await?;
            second_factors::must_have_passed(self.passed, Some(&present))?;
            let mut row: second_factor::ActiveModel = present.into();
            row.totp_confirmed_at = Set(Some(clock::system_now()));
            row.update(ctx.tx).await?;
        }
        sessions::pass_second_factor(ctx.tx, self.session_id).await?;
        Ok(self.user_id)
    }

    fn object(done: &Uuid) -> Uuid {
        *done
    }
}

#[derive(Serialize)]
struct Remove {
    user_id: Uuid,
}

/// Forgets the authenticator app of the person who has signed in and passed her second factor.
pub async fn remove(app: &App, actor: &Actor) -> Result<()> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    let user = actor.signed_in()?;
    command::execute_for(app, caller, actor.request_id, None, Remove { user_id: user.user_id })
        .await
        .map(|_| ())
}

impl Command for Remove {
    const NAME: &'static str = "totp.remove";
    const SCOPE: Scope = Scope::Manage;
    type Output = Uuid;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

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

    fn object(done: &Uuid) -> Uuid {
        *done
    }
}
