//! Password recovery: a mailed token lets the user set a new password.

use super::{
    logins::{self, Change},
    partners,
    passwords::{self, Pool},
};
use crate::{
    Actor, Error, Result, Scope,
    delivery::messages::{self, NewMessage},
    kernel::{
        actor::{AccessScope, Caller},
        app::App,
        clock,
        command::{self, Command, CommandContext},
        limits,
        secrets::{self, Secret},
    },
    people::{applicants, person::Email},
};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    message::{Channel, Purpose},
    partner::Mode,
    recovery::{self, Column},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement};
use serde::Serialize;
use uuid::{Builder, Uuid};

/// How long a token is valid.
const RECOVERY_TTL: Duration = Duration::hours(1);

#[derive(Serialize)]
struct Recovery {
    /// None when no login has the e-mail address.
    user_id: Option<Uuid>,
    #[serde(skip)]
    email: Email,
    #[serde(skip)]
    token: Uuid,
}

/// Mails a token, valid for an hour and one use, to the user with this e-mail address.
///
/// Neither the answer nor the work done shows whether the address is known (documented: always the same
/// answer).
pub async fn request(app: &App, actor: &Actor, email: &str) -> Result<()> {
    let caller = partners::sign_in_caller(app, actor).await?;
    limits::by_address(app, limits::ANONYMOUS_RECOVERY, actor.personal_address()).await?;
    applicants::valid("email", Email::parse(email.trim()))?;
    if caller.mode == Mode::Live {
        messages::require_provider(app, Channel::Mail)?;
    }
    let (app_, email, request_id) = (app.clone(), email.to_owned(), actor.request_id);
    let work = tokio::spawn(async move {
        if let Err(error) = send(&app_, caller, request_id, &email).await {
            tracing::error!(cause = %error.cause(), "a password recovery could not be mailed");
        }
    });
    if caller.mode == Mode::Sandbox {
        work.await.map_err(|_| Error::broken("a password recovery was aborted"))?;
    }
    Ok(())
}

/// Executes the same statements whether or not a login has this e-mail address.
async fn send(app: &App, caller: Caller, request_id: Uuid, email: &str) -> Result<()> {
    let Ok(email) = Email::parse(email.trim()) else { return Ok(()) };
    let subject = [caller.access_scope.partner_id.as_bytes(), email.folded().as_bytes()].concat();
    match limits::spend(app, &[limits::RECOVERY.of(app, &subject)]).await {
        // The caller must not learn that others have requested recoveries for this address.
        Err(Error::TooMany { .. }) => return Ok(()),
        spent => spent.map(|_| ())?,
    }
    let login = logins::of_email(app, caller, &email.folded()).await?;
    let token = Builder::from_random_bytes(secrets::random::<16>()?).into_uuid();
    let recovery = Recovery { user_id: login.map(|login| login.user_id), email, token };
    command::execute_for(app, caller, request_id, None, recovery).await.map(|_| ())
}

fn verifier(app: &App, token: Uuid) -> Vec<u8> {
    app.vault.passcode_mac(token.as_bytes()).to_vec()
}

impl Command for Recovery {
    const NAME: &'static str = "password.recover";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let expires_at = clock::system_now() + RECOVERY_TTL;
        let user_id = self.user_id.unwrap_or_else(|| ctx.app.ids.next(Kind::User));
        recovery::Entity::delete_by_id(user_id).exec(ctx.tx).await?;
        store_verifier(ctx, user_id, verifier(ctx.app, self.token), expires_at).await?;
        let token = self.token.to_string().to_uppercase();
        let text = format!("Use this token within an hour to set a new password: {token}");
        let (to, purpose) = (self.email.folded(), Purpose::PasswordRecovery);
        let mail = NewMessage::mail(self.user_id, purpose, to, "Your password", text);
        let mail = NewMessage { send_by: Some(expires_at), ..mail };
        match self.user_id {
            Some(_) => messages::post(ctx.app, ctx.tx, ctx.partner, mail).await.map(|_| ())?,
            None => messages::withhold(ctx.app, ctx.tx, ctx.partner, mail).await?,
        }
        Ok(self.user_id.unwrap_or(ctx.partner.id))
    }
}

/// Stores the verifier of a token; writes nothing for an id without a login.
async fn store_verifier(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    verifier: Vec<u8>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let text = "INSERT INTO recovery (user_id, partner_id, verifier, expires_at) \
        SELECT user_id, partner_id, $2, $3 FROM login WHERE user_id = $1";
    let values = [user_id.into(), verifier.into(), expires_at.into()];
    ctx.tx.execute_raw(Statement::from_sql_and_values(ctx.tx.get_database_backend(), text, values)).await?;
    Ok(())
}

/// Sets the password of the user who received this token, uses the token up, and ends all their sessions. All
/// invalid tokens get the same error, including those of another partner's users.
pub async fn reset(app: &App, actor: &Actor, token: &str, password: Secret<String>) -> Result<()> {
    passwords::check("password", &password)?;
    limits::by_address(app, limits::ANONYMOUS_RECOVERY, actor.personal_address()).await?;
    let token = Uuid::try_parse(token.trim()).map_err(|_| logins::invalid_recovery_token())?;
    let verifier = verifier(app, token);
    let select = recovery::Entity::find()
        .filter(Column::Verifier.eq(verifier.clone()))
        .filter(Column::ExpiresAt.gt(clock::system_now()));
    let found = select
        .one(&app.db.read)
        .await?
        .filter(|found| actor.partner_id().is_none_or(|partner| partner == found.partner_id));
    let found = found.ok_or_else(logins::invalid_recovery_token)?;
    let partner = clock::partner(&app.db.read, found.partner_id).await?;
    let hash = app.feature::<Pool>().hash(password).await?;
    let access_scope = AccessScope { partner_id: partner.id, user_id: Some(found.user_id) };
    let caller =
        Caller { access_scope, mode: partner.mode, principal_id: found.user_id, claimant_id: found.user_id };
    let change = Change::Password { user_id: found.user_id, hash, version: None, recovery: Some(verifier) };
    logins::change(app, caller, actor.request_id, change).await?;
    logins::reset_failed_sign_ins(app, found.user_id, actor.personal_address()).await
}
