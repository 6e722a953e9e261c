//! Sign-up, sign-in, password changes, and enabling and disabling logins.

use super::{
    invitations, partners,
    passwords::{self, Pool},
    sessions::{self, Issued},
};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope,
    kernel::{
        actor::{AccessScope, Caller},
        app::App,
        audit_log, clock,
        command::{self, Command, CommandContext, Identified},
        limits,
        secrets::Secret,
    },
    people::{applicants, person::Email, profiles, user_changes::PersonPatch, users},
};
use entity::{login, recovery, second_factor, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    SqlErr, sea_query::LockType,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// Input of [`sign_up`]; not yet checked.
pub struct NewSignUp {
    pub email: String,
    pub password: Secret<String>,
    pub profile: PersonPatch,
    pub invitation_id: Option<Uuid>,
}

/// Sign-up command with a hashed password.
#[derive(Serialize)]
struct SignUp {
    email: String,
    #[serde(skip)]
    password: String,
    #[serde(skip)]
    profile: PersonPatch,
    invitation_id: Option<Uuid>,
}

/// Result of the sign-up command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedUp {
    pub user: user::Model,
    session: session::Model,
    version: i64,
}

/// Signs a user up with an e-mail address that is unique within the partner, and begins their first session.
///
/// With an invitation for an existing user, it creates a login for that user.
pub async fn sign_up(app: &App, actor: &Actor, new: NewSignUp) -> Result<(user::Model, Issued)> {
    let caller = partners::sign_in_caller(app, actor).await?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await?;
    let email = || applicants::valid("email", Email::parse(new.email.trim()));
    let mut checks = Checks::default();
    checks.note(email());
    checks.note(passwords::check("password", &new.password));
    checks.note(new.profile.check(caller.mode));
    checks.done()?;
    let email = email()?;
    if find(&app.db.read, caller.access_scope.partner_id, &email.folded()).await?.is_some() {
        return Err(taken());
    }
    let password = app.feature::<Pool>().hash(new.password).await?;
    let sign_up =
        SignUp { email: email.to_string(), password, profile: new.profile, invitation_id: new.invitation_id };
    let done = command::execute_for(app, caller, actor.request_id, None, sign_up).await?.value;
    let issued = sessions::first_tokens(app, &done.session, done.version)?;
    Ok((done.user, issued))
}

fn taken() -> Error {
    Refusal::new(Code::EmailTaken, "email", "The e-mail address is already taken.").into()
}

impl Identified for SignedUp {
    fn id(&self) -> Uuid {
        self.user.id
    }
}

impl Command for SignUp {
    const NAME: &'static str = "user.sign_up";
    const SCOPE: Scope = Scope::Start;
    type Output = SignedUp;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<SignedUp> {
        let email = applicants::valid("email", Email::parse(&self.email))?;
        let invitation = match self.invitation_id {
            Some(id) => Some(invitations::accept(ctx, id, &email).await?),
            None => None,
        };
        let invitation_id = invitation.as_ref().map(|invitation| invitation.id);
        let user = match invitation.and_then(|invitation| invitation.user_id) {
            Some(user_id) => profiles::attach_invitation(ctx, user_id, invitation_id).await?,
            None => profiles::begin(ctx, &email, &self.profile, invitation_id).await?,
        };
        let row = login::Model {
            user_id: user.id,
            partner_id: ctx.partner.id,
            email: email.folded(),
            password: self.password.clone(),
            version: 1,
            disabled_at: None,
            created_at: clock::system_now(),
        };
        let login = login::ActiveModel::from(row).reset_all().insert(ctx.tx).await.map_err(|error| {
            match error.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => taken(),
                _ => error.into(),
            }
        })?;
        let session = sessions::begin(ctx, user.id, false).await?;
        Ok(SignedUp { user, session, version: login.version })
    }
}

async fn find(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    email: &str,
) -> Result<Option<login::Model>> {
    let select = login::Entity::find()
        .filter(login::Column::PartnerId.eq(partner_id))
        .filter(login::Column::Email.eq(email));
    Ok(select.one(connection).await?)
}

/// Returns the enabled login with this e-mail address.
pub async fn of_email(app: &App, caller: Caller, email: &str) -> Result<Option<login::Model>> {
    let Ok(email) = Email::parse(email.trim()) else { return Ok(None) };
    let found = find(&app.db.read, caller.access_scope.partner_id, &email.folded()).await?;
    Ok(found.filter(|login| login.disabled_at.is_none()))
}

#[derive(Serialize)]
struct SignIn {
    user_id: Uuid,
    version: i64,
    two_factor: bool,
}

/// Begins a session for the user with this e-mail address and password.
///
/// An unknown address and a wrong password get the same error after the same time. From the fifth failure on,
/// the next attempt from the same client address is delayed, by up to 15 minutes; from the hundredth failure
/// on, attempts from every address are.
pub async fn sign_in(app: &App, actor: &Actor, email: &str, password: Secret<String>) -> Result<Issued> {
    let caller = partners::sign_in_caller(app, actor).await?;
    limits::by_address(app, limits::ANONYMOUS_SIGN_IN, actor.personal_address()).await?;
    let folded = email.trim().to_lowercase();
    let subjects = password_subjects(app, caller.access_scope.partner_id, &folded, actor.personal_address());
    let login = of_email(app, caller, &folded).await?;
    let right =
        verify_password(app, &subjects, password, login.as_ref().map(|login| login.password.clone())).await?;
    let Some(login) = login.filter(|_| right) else {
        // The entry does not contain the e-mail address.
        audit_log::failed(app, &caller, actor.request_id, SignIn::NAME, Code::InvalidCredentials.name())
            .await?;
        return Err(Refusal::invalid_credentials().into());
    };
    begin(app, caller, actor.request_id, &login, false).await
}

/// Returns what failed passwords for an e-mail address are counted under: from one client address, if known,
/// and from all.
fn password_subjects(
    app: &App,
    partner_id: Uuid,
    email: &str,
    address: Option<IpAddr>,
) -> [limits::Subject; 2] {
    let client = address.map(|address| hex::encode(limits::address_key(address))).unwrap_or_default();
    [
        limits::PASSWORD_FROM_CLIENT.of_partner(app, partner_id, &format!("{client} {email}")),
        limits::PASSWORD.of_partner(app, partner_id, email),
    ]
}

/// Verifies a password against the stored hash and counts failed attempts. An attempt that could not be
/// verified is not counted.
async fn verify_password(
    app: &App,
    subjects: &[limits::Subject],
    password: Secret<String>,
    stored: Option<String>,
) -> Result<bool> {
    limits::spend(app, subjects).await?;
    let verified = app.feature::<Pool>().verify(password, stored).await;
    match verified {
        Ok(true) => limits::succeeded(app, subjects).await?,
        Ok(false) => {}
        Err(_) => limits::revert(app, subjects).await?,
    }
    verified
}

async fn begin(
    app: &App,
    caller: Caller,
    request_id: Uuid,
    login: &login::Model,
    two_factor: bool,
) -> Result<Issued> {
    let principal = Caller { principal_id: login.user_id, ..caller };
    let sign_in = SignIn { user_id: login.user_id, version: login.version, two_factor };
    let session = command::execute_for(app, principal, request_id, None, sign_in).await?.value;
    sessions::first_tokens(app, &session, login.version)
}

impl Command for SignIn {
    const NAME: &'static str = "session.sign_in";
    const SCOPE: Scope = Scope::Start;
    type Output = session::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<session::Model> {
        let login = login::Entity::find_by_id(self.user_id).lock(LockType::NoKeyUpdate).one(ctx.tx).await?;
        login
            .filter(|login| login.version == self.version && login.disabled_at.is_none())
            .ok_or_else(Refusal::invalid_credentials)?;
        sessions::begin(ctx, self.user_id, self.two_factor).await
    }
}

/// A change of a user's login. Each ends all sessions and invalidates all tokens issued before.
#[derive(Serialize)]
pub enum Change {
    Password {
        user_id: Uuid,
        #[serde(skip)]
        hash: String,
        /// Expected version of the login; none for a password recovery.
        version: Option<i64>,
        /// Verifier of the recovery token, which is used up.
        #[serde(skip)]
        recovery: Option<Vec<u8>>,
    },
    Enabled {
        user_id: Uuid,
        enabled: bool,
    },
    /// Removes all second factors.
    SecondFactor {
        user_id: Uuid,
    },
}

impl Change {
    const fn user_id(&self) -> Uuid {
        match self {
            Self::Password { user_id, .. }
            | Self::Enabled { user_id, .. }
            | Self::SecondFactor { user_id } => *user_id,
        }
    }
}

impl Command for Change {
    const NAME: &'static str = "login.change";
    const SCOPE: Scope = Scope::Manage;
    type Output = user::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<user::Model> {
        let user_id = self.user_id();
        let found = login::Entity::find_by_id(user_id)
            .filter(login::Column::PartnerId.eq(ctx.partner.id))
            .lock(LockType::NoKeyUpdate)
            .one(ctx.tx)
            .await?;
        let login = found
            .filter(|login| ctx.access_scope.covers(login.user_id))
            .ok_or_else(|| Refusal::not_found("userId"))?;
        let next = login.version + 1;
        let was = login.version;
        let mut row: login::ActiveModel = login.into();
        row.version = Set(next);
        match self {
            Self::Password { hash, version, recovery, .. } => {
                if version.is_some_and(|version| version != was) {
                    return Err(Refusal::invalid_credentials().into());
                }
                if let Some(verifier) = recovery {
                    use_up(ctx.tx, user_id, verifier).await?;
                }
                row.password = Set(hash.clone());
            }
            Self::SecondFactor { .. } => {
                second_factor::Entity::delete_by_id(user_id).exec(ctx.tx).await?;
            }
            Self::Enabled { enabled: true, .. } => row.disabled_at = Set(None),
            Self::Enabled { enabled: false, .. } => row.disabled_at = Set(Some(clock::system_now())),
        }
        row.update(ctx.tx).await?;
        // Recovery tokens mailed before are invalid now.
        recovery::Entity::delete_by_id(user_id).exec(ctx.tx).await?;
        sessions::revoke_all(ctx.tx, user_id).await?;
        users::within(ctx.tx, ctx.access_scope, user_id)
            .await?
            .ok_or_else(|| Error::broken("the user of a login is missing"))
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.user_id())
    }
}

/// Uses up a recovery token of this user. Refused if it was already used or has expired.
async fn use_up(connection: &impl ConnectionTrait, user_id: Uuid, verifier: &[u8]) -> Result<()> {
    let used = recovery::Entity::delete_many()
        .filter(recovery::Column::UserId.eq(user_id))
        .filter(recovery::Column::Verifier.eq(verifier.to_vec()))
        .filter(recovery::Column::ExpiresAt.gt(clock::system_now()))
        .exec(connection)
        .await?;
    if used.rows_affected == 1 { Ok(()) } else { Err(invalid_recovery_token()) }
}

/// Error for an unknown, used or expired recovery token.
pub fn invalid_recovery_token() -> Error {
    Refusal::new(Code::InvalidToken, "token", "The token is invalid or expired. Request a new one.").into()
}

/// Applies a change to a login. The user's sessions end on this server at once, on other servers within a
/// second.
pub async fn change(app: &App, caller: Caller, request_id: Uuid, change: Change) -> Result<user::Model> {
    Ok(command::execute_for(app, caller, request_id, None, change).await?.value)
}

/// Resets the count of failed sign-ins, for this client address and in total, of a user who has proved their
/// identity in another way.
pub async fn reset_failed_sign_ins(app: &App, user_id: Uuid, address: Option<IpAddr>) -> Result<()> {
    let Some(login) = login::Entity::find_by_id(user_id).one(&app.db.read).await? else { return Ok(()) };
    limits::succeeded(app, &password_subjects(app, login.partner_id, &login.email, address)).await
}

/// Changes the password of the signed-in user, who has passed their second factor and gives the current
/// password.
///
/// Invalidates all tokens issued before and returns new ones.
pub async fn change_password(
    app: &App,
    actor: &Actor,
    current: Secret<String>,
    new: Secret<String>,
) -> Result<Issued> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    let user = actor.signed_in()?.clone();
    passwords::check("newPassword", &new)?;
    let login =
        login::Entity::find_by_id(user.user_id).one(&app.db.read).await?.ok_or(Error::Unauthenticated)?;
    let subjects = password_subjects(app, user.partner_id, &login.email, actor.personal_address());
    if !verify_password(app, &subjects, current, Some(login.password.clone())).await? {
        audit_log::failed(app, &caller, actor.request_id, Change::NAME, Code::InvalidCredentials.name())
            .await?;
        return Err(Refusal::new(
            Code::InvalidCredentials,
            "password",
            "Unable to login with given credentials.",
        )
        .into());
    }
    let hash = app.feature::<Pool>().hash(new).await?;
    let password =
        Change::Password { user_id: user.user_id, hash, version: Some(login.version), recovery: None };
    change(app, caller, actor.request_id, password).await?;
    let login = login::Model { version: login.version + 1, ..login };
    let starting = Caller { access_scope: AccessScope::all_of(user.partner_id), ..caller };
    begin(app, starting, actor.request_id, &login, true).await
}

/// Enables or disables a user's login and ends all their sessions. Requires scope `manage`.
pub async fn enable(app: &App, actor: &Actor, user_id: Uuid, enabled: bool) -> Result<user::Model> {
    let caller = actor.caller(Scope::Manage)?;
    change(app, caller, actor.request_id, Change::Enabled { user_id, enabled }).await
}

/// Removes the phone number and authenticator app of a user who has lost them, and ends all their sessions.
/// Requires scope `manage`. The user can set up another factor in their next session.
pub async fn forget_second_factor(app: &App, actor: &Actor, user_id: Uuid) -> Result<user::Model> {
    let caller = actor.caller(Scope::Manage)?;
    change(app, caller, actor.request_id, Change::SecondFactor { user_id }).await
}
