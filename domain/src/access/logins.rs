//! How people sign up and in, and change the password by which they do.

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
        command::{self, Command, CommandContext},
        limits,
        secrets::Secret,
        throttle,
    },
    people::{
        applicants,
        person::Email,
        profiles::{self, Identity},
        users,
    },
};
use entity::{login, partner::Mode, recovery, second_factor, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    SqlErr, sea_query::LockType,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// What a person signs up with; nothing in it has been checked.
pub struct NewSignUp {
    pub email: String,
    pub password: Secret<String>,
    pub identity: Identity,
    pub invitation_id: Option<Uuid>,
}

/// A sign-up whose password is a hash already.
#[derive(Serialize)]
struct SignUp {
    email: String,
    #[serde(skip)]
    password: String,
    #[serde(skip)]
    identity: Identity,
    invitation_id: Option<Uuid>,
}

/// Who has just signed up or in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedUp {
    pub user: user::Model,
    session: session::Model,
    version: i64,
}

/// Signs a person up with an e-mail address that nobody else of the partner signs in with, and begins her
/// first session. By an invitation for a person whom the partner serves already she signs in as that person.
pub async fn sign_up(app: &App, actor: &Actor, new: NewSignUp) -> Result<(user::Model, Issued)> {
    let caller = partners::starting(app, actor).await?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await?;
    let email = || applicants::valid("email", Email::parse(new.email.trim()));
    let mut checks = Checks::default();
    checks.note(email());
    checks.note(passwords::check("password", &new.password));
    checks.note(new.identity.check(caller.mode));
    checks.done()?;
    let email = email()?;
    if find(&app.db.read, caller.access_scope.partner_id, &email.folded()).await?.is_some() {
        return Err(taken());
    }
    let password = app.feature::<Pool>().hash(new.password).await?;
    let sign_up = SignUp {
        email: email.to_string(),
        password,
        identity: new.identity,
        invitation_id: new.invitation_id,
    };
    let done = command::execute_for(app, caller, actor.request_id, None, sign_up).await?.value;
    let issued = sessions::first_tokens(app, &done.session, done.version)?;
    Ok((done.user, issued))
}

fn taken() -> Error {
    Refusal::new(Code::EmailTaken, "email", "Email already has be taken.").into()
}

impl Command for SignUp {
    const NAME: &'static str = "user.sign_up";
    const SCOPE: Scope = Scope::Start;
    type Output = SignedUp;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<SignedUp> {
        let email = applicants::valid("email", Email::parse(&self.email))?;
        let invitation = match self.invitation_id {
            Some(id) => Some(invitations::accept(ctx, id, &email).await?),
            None => None,
        };
        let invitation_id = invitation.as_ref().map(|invitation| invitation.id);
        let user = match invitation.and_then(|invitation| invitation.user_id) {
            Some(user_id) => profiles::attach_invitation(ctx, user_id, invitation_id).await?,
            None => profiles::begin(ctx, &email, &self.identity, invitation_id).await?,
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

    fn object(done: &SignedUp) -> Uuid {
        done.user.id
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

/// The sign-in with this e-mail address, for whoever starts there.
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

/// Begins a session of the person with this e-mail address and password.
///
/// An unknown address and a wrong password are refused in the same words after the same time. From the fifth
/// failure on the next try from the same client address waits, longer each time, at most a quarter of an
/// hour; from wherever it comes, from the hundredth on.
pub async fn sign_in(app: &App, actor: &Actor, email: &str, password: Secret<String>) -> Result<Issued> {
    let caller = partners::starting(app, actor).await?;
    limits::by_address(app, limits::ANONYMOUS_SIGN_IN, actor.personal_address()).await?;
    let folded = email.trim().to_lowercase();
    let subjects = throttle::password(app, caller.access_scope.partner_id, &folded, actor.personal_address());
    let login = of_email(app, caller, &folded).await?;
    let right =
        is_right(app, &subjects, password, login.as_ref().map(|login| login.password.clone())).await?;
    let Some(login) = login.filter(|_| right) else {
        // Whom she tried to be is not told.
        audit_log::failed(app, &caller, actor.request_id, SignIn::NAME, Code::InvalidCredentials.name())
            .await?;
        return Err(Refusal::invalid_credentials().into());
    };
    begin(app, caller, actor.request_id, &login, false).await
}

/// Whether a password is the one that was kept, tries being counted. One that could not be looked at is no
/// failure.
async fn is_right(
    app: &App,
    subjects: &[throttle::Subject],
    password: Secret<String>,
    kept: Option<String>,
) -> Result<bool> {
    throttle::count_attempt(app, subjects).await?;
    let looked = app.feature::<Pool>().verify(password, kept).await;
    match looked {
        Ok(true) => throttle::succeeded(app, subjects).await?,
        Ok(false) => {}
        Err(_) => throttle::uncount_attempt(app, subjects).await?,
    }
    looked
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
    const NAME: &'static str = "session.begin";
    const SCOPE: Scope = Scope::Start;
    type Output = session::Model;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<session::Model> {
        let login = login::Entity::find_by_id(self.user_id).lock(LockType::NoKeyUpdate).one(ctx.tx).await?;
        login
            .filter(|login| login.version == self.version && login.disabled_at.is_none())
            .ok_or_else(Refusal::invalid_credentials)?;
        sessions::begin(ctx, self.user_id, self.two_factor).await
    }

    fn object(done: &session::Model) -> Uuid {
        done.id
    }
}

/// A new password, hashed, or the end of a sign-in: either ends all that was issued before.
#[derive(Serialize)]
pub enum Change {
    Password {
        user_id: Uuid,
        #[serde(skip)]
        hash: String,
        /// The version it was asked for; none for whoever proved herself by a recovery.
        version: Option<i64>,
        /// The verifier of the recovery that it uses up.
        #[serde(skip)]
        recovery: Option<Vec<u8>>,
    },
    Enabled {
        user_id: Uuid,
        enabled: bool,
    },
    /// Everything that she has set up as a second factor is forgotten.
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

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

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
        // A token that was mailed before is worth nothing after.
        recovery::Entity::delete_by_id(user_id).exec(ctx.tx).await?;
        sessions::cut_all(ctx.tx, user_id).await?;
        users::within(ctx.tx, ctx.access_scope, user_id)
            .await?
            .ok_or_else(|| Error::broken("a login is nobody's"))
    }

    fn object(done: &user::Model) -> Uuid {
        done.id
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.user_id())
    }
}

/// Uses up a recovery of this person; refused when it is used up or expired.
async fn use_up(connection: &impl ConnectionTrait, user_id: Uuid, verifier: &[u8]) -> Result<()> {
    let used = recovery::Entity::delete_many()
        .filter(recovery::Column::UserId.eq(user_id))
        .filter(recovery::Column::Verifier.eq(verifier.to_vec()))
        .filter(recovery::Column::ExpiresAt.gt(clock::system_now()))
        .exec(connection)
        .await?;
    if used.rows_affected == 1 { Ok(()) } else { Err(worthless_recovery()) }
}

/// What is said of a recovery that is none, or none any more.
pub fn worthless_recovery() -> Error {
    Refusal::new(Code::InvalidToken, "token", "The token is not good for a new password.").into()
}

/// Changes what a person signs in by. Their sessions end on this server at once, on others within a second.
pub async fn change(app: &App, caller: Caller, request_id: Uuid, change: Change) -> Result<user::Model> {
    Ok(command::execute_for(app, caller, request_id, None, change).await?.value)
}

/// Forgets the failures to sign in, from this client address and in all, of a person who has proved their
/// identity otherwise.
pub async fn forgive(app: &App, user_id: Uuid, address: Option<IpAddr>) -> Result<()> {
    let Some(login) = login::Entity::find_by_id(user_id).one(&app.db.read).await? else { return Ok(()) };
    throttle::succeeded(app, &throttle::password(app, login.partner_id, &login.email, address)).await
}

/// Changes the password of the person who has signed in and passed her second factor, given the present one.
/// Every token issued before is worth nothing any more; the answer carries new ones.
pub async fn change_password(
    app: &App,
    actor: &Actor,
    present: Secret<String>,
    new: Secret<String>,
) -> Result<Issued> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    let user = actor.signed_in()?.clone();
    passwords::check("newPassword", &new)?;
    let login =
        login::Entity::find_by_id(user.user_id).one(&app.db.read).await?.ok_or(Error::Unauthenticated)?;
    let subjects = throttle::password(app, user.partner_id, &login.email, actor.personal_address());
    if !is_right(app, &subjects, present, Some(login.password.clone())).await? {
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

/// Lets a person sign in or no longer, and ends all her sessions at once; scope `manage`.
pub async fn enable(app: &App, actor: &Actor, user_id: Uuid, enabled: bool) -> Result<user::Model> {
    let caller = actor.caller(Scope::Manage)?;
    change(app, caller, actor.request_id, Change::Enabled { user_id, enabled }).await
}

/// Forgets the phone number and the authenticator app of a person who has lost them, and ends all her
/// sessions at once; scope `manage`. Her next session sets up another.
pub async fn forget_second_factor(app: &App, actor: &Actor, user_id: Uuid) -> Result<user::Model> {
    let caller = actor.caller(Scope::Manage)?;
    change(app, caller, actor.request_id, Change::SecondFactor { user_id }).await
}
