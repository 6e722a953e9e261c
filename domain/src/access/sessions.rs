//! Sessions of users: creation, renewal, sign-out and authentication. A session has one refresh token and its
//! successors.

use super::tokens::{self, Bearer, Claims, TokenType, Tokens};
use crate::{
    Actor, Error, Refusal, Result, Scope, Who,
    kernel::{
        actor::SignedInUser,
        app::{App, Feature},
        clock,
        command::{self, Command, CommandContext, Identified},
        db::WriteTransaction,
        rights::{Rights, RightsCache},
        secrets::Secret,
    },
};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind, login,
    partner::Mode,
    session::{self, Column},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest lifetime of a session, however often it is renewed.
const MAX_SESSION: Duration = Duration::days(30);

/// Tokens of a session, returned only to the user who signed in.
#[derive(Clone, Debug)]
pub struct Issued {
    pub user_id: Uuid,
    pub partner_id: Uuid,
    pub access: Secret<String>,
    pub access_expires_at: DateTime<Utc>,
    pub refresh: Secret<String>,
    pub refresh_expires_at: DateTime<Utc>,
    pub two_factor: bool,
}

/// Begins a session of a user who has proved their password.
pub async fn begin(ctx: &CommandContext<'_>, user_id: Uuid, two_factor: bool) -> Result<session::Model> {
    let now = clock::system_now();
    let session = session::Model {
        id: ctx.app.ids.next(Kind::Session),
        partner_id: ctx.partner.id,
        user_id,
        refresh_token: tokens::new_id()?,
        successor_token: None,
        successor_at: None,
        two_factor_at: two_factor.then_some(now),
        began_at: now,
        ends_at: now + MAX_SESSION,
        signed_out_at: None,
        cut_at: None,
    };
    session::ActiveModel::from(session.clone()).reset_all().insert(ctx.tx).await?;
    Ok(session)
}

/// Returns the first tokens of a new session.
pub fn first_tokens(app: &App, session: &session::Model, version: i64) -> Result<Issued> {
    issued(app, session, version, &session.refresh_token, session.began_at)
}

fn issued(
    app: &App,
    session: &session::Model,
    version: i64,
    refresh: &str,
    at: DateTime<Utc>,
) -> Result<Issued> {
    let bearer = Bearer { user_id: session.user_id, session_id: session.id, version };
    let refresh_expires_at = Ord::min(at + TokenType::Refresh.lifetime(), session.ends_at);
    let (access, access_expires_at) = app.feature::<Tokens>().access(bearer)?;
    Ok(Issued {
        user_id: session.user_id,
        partner_id: session.partner_id,
        access,
        access_expires_at,
        refresh: app.feature::<Tokens>().sign(TokenType::Refresh, bearer, refresh, at, refresh_expires_at)?,
        refresh_expires_at,
        two_factor: session.two_factor_at.is_some(),
    })
}

/// Tokens to issue for a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// An access token; the refresh token stays valid (documented).
    Access,
    /// An access token and a new refresh token. The old one stays valid until the new one is first used.
    Both,
}

#[derive(Clone, Debug, Serialize)]
struct Renew {
    session_id: Uuid,
    token_id: String,
    version: i64,
    renewal: Renewal,
}

/// Result of presenting a refresh token.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Presented {
    Good(Box<session::Model>),
    /// A replaced token was used again, so it may have been stolen: the session is revoked.
    Replayed(Uuid),
}

/// Renews a session with its refresh token. Concurrent renewals with one token return the same successor. A
/// replaced token ends the whole session.
pub async fn renew(app: &App, request_id: Uuid, token: &str, renewal: Renewal) -> Result<Issued> {
    let (claims, user) = read_refresh_token(app, token).await?;
    let renew = Renew { session_id: claims.sid, token_id: claims.jti, version: claims.ver, renewal };
    match command::execute_for(app, user.caller(), request_id, None, renew).await?.value {
        Presented::Good(session) => match (renewal, &session.successor_token, session.successor_at) {
            (Renewal::Both, Some(successor), Some(at)) => issued(app, &session, claims.ver, successor, at),
            _ => {
                let at = DateTime::from_timestamp(claims.iat, 0).unwrap_or(session.began_at);
                issued(app, &session, claims.ver, &session.refresh_token, at)
            }
        },
        Presented::Replayed(session_id) => Err(replayed(session_id)),
    }
}

/// Verifies a refresh token and returns its claims and user.
async fn read_refresh_token(app: &App, token: &str) -> Result<(Claims, SignedInUser)> {
    let refused = |error| {
        if matches!(error, Error::Unauthenticated) { Refusal::invalid_credentials().into() } else { error }
    };
    let claims = app.feature::<Tokens>().read(TokenType::Refresh, token).map_err(refused)?;
    let user = bearer_of(app, &claims).await.map_err(refused)?;
    Ok((claims, user))
}

/// Revokes a session because one of its refresh tokens was used after its successor.
async fn revoke(ctx: &CommandContext<'_>, session: session::Model) -> Result<Presented> {
    let mut row: session::ActiveModel = session.into();
    row.cut_at = Set(Some(clock::system_now()));
    Ok(Presented::Replayed(row.update(ctx.tx).await?.id))
}

/// Logs a replayed refresh token. The caller gets the general error.
fn replayed(session_id: Uuid) -> Error {
    tracing::warn!(session = %session_id,
        "a refresh token was used again after its successor; the session is revoked");
    Refusal::invalid_credentials().into()
}

impl Presented {
    fn session_id(&self) -> Uuid {
        match self {
            Self::Good(session) => session.id,
            Self::Replayed(id) => *id,
        }
    }

    const fn decision(&self) -> &'static str {
        match self {
            Self::Good(_) => "done",
            Self::Replayed(_) => "REFRESH_TOKEN_REPLAYED",
        }
    }
}

impl Identified for Presented {
    fn id(&self) -> Uuid {
        self.session_id()
    }
}

impl Command for Renew {
    const NAME: &'static str = "session.refresh";
    const SCOPE: Scope = Scope::Start;
    type Output = Presented;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Presented> {
        let (session, _) = lock_open(ctx.tx, self.session_id, self.version).await?;
        let mut row: session::ActiveModel = session.clone().into();
        if session.successor_token.as_deref() == Some(self.token_id.as_str()) {
            row.refresh_token = Set(self.token_id.clone());
            row.successor_token = Set(None);
            row.successor_at = Set(None);
        } else if session.refresh_token != self.token_id {
            return revoke(ctx, session).await;
        }
        let replaced = row.successor_token.as_ref().is_some();
        if self.renewal == Renewal::Both && !replaced {
            row.successor_token = Set(Some(tokens::new_id()?));
            row.successor_at = Set(Some(clock::system_now()));
        }
        let session = if row.is_changed() { row.update(ctx.tx).await? } else { session };
        Ok(Presented::Good(Box::new(session)))
    }

    fn decision(done: &Presented) -> &'static str {
        done.decision()
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.session_id)
    }
}

/// Locks an open session and returns it with its login.
async fn lock_open(
    tx: &WriteTransaction,
    session_id: Uuid,
    version: i64,
) -> Result<(session::Model, login::Model)> {
    let session = session::Entity::find_by_id(session_id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let session = session.filter(|session| {
        session.signed_out_at.is_none() && session.cut_at.is_none() && session.ends_at > clock::system_now()
    });
    let session = session.ok_or_else(Refusal::invalid_credentials)?;
    let login = login::Entity::find_by_id(session.user_id).one(tx).await?;
    let login = login.filter(|login| login.disabled_at.is_none() && login.version == version);
    Ok((session, login.ok_or_else(Refusal::invalid_credentials)?))
}

#[derive(Clone, Debug, Serialize)]
struct SignOut {
    session_id: Uuid,
    token_id: String,
    version: i64,
}

/// Ends a session with its refresh token, which must belong to the signed-in user.
///
/// Issued access tokens stay valid until they expire (documented). A replaced token is refused and ends the
/// whole session, as in [`renew`].
pub async fn sign_out(app: &App, actor: &Actor, token: &str) -> Result<()> {
    let user = actor.signed_in()?.clone();
    let (claims, owner) = read_refresh_token(app, token).await?;
    if owner.user_id != user.user_id {
        return Err(Refusal::invalid_credentials().into());
    }
    let sign_out = SignOut { session_id: claims.sid, token_id: claims.jti, version: claims.ver };
    match command::execute_for(app, user.caller(), actor.request_id, None, sign_out).await?.value {
        Presented::Good(_) => Ok(()),
        Presented::Replayed(session_id) => Err(replayed(session_id)),
    }
}

impl Command for SignOut {
    const NAME: &'static str = "session.sign_out";
    const SCOPE: Scope = Scope::Start;
    type Output = Presented;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Presented> {
        let (session, _) = lock_open(ctx.tx, self.session_id, self.version).await?;
        if session.refresh_token != self.token_id
            && session.successor_token.as_deref() != Some(self.token_id.as_str())
        {
            return revoke(ctx, session).await;
        }
        let mut row: session::ActiveModel = session.into();
        row.signed_out_at = Set(Some(clock::system_now()));
        Ok(Presented::Good(Box::new(row.update(ctx.tx).await?)))
    }

    fn decision(done: &Presented) -> &'static str {
        done.decision()
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.session_id)
    }
}

/// Revokes all sessions of a user. The caller must raise the version of the login in the same transaction.
pub async fn revoke_all(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<()> {
    session::Entity::update_many()
        .col_expr(Column::CutAt, Expr::value(clock::system_now()))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::CutAt.is_null())
        .exec(connection)
        .await?;
    Ok(())
}

/// Marks a session as having passed its second factor.
pub async fn pass_second_factor(connection: &impl ConnectionTrait, session_id: Uuid) -> Result<()> {
    session::Entity::update_many()
        .col_expr(Column::TwoFactorAt, Expr::value(clock::system_now()))
        .filter(Column::Id.eq(session_id))
        .filter(Column::TwoFactorAt.is_null())
        .exec(connection)
        .await?;
    Ok(())
}

/// Deletes sessions that ended more than a week ago and returns their number.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let ended = clock::system_now() - Duration::days(7);
    Ok(session::Entity::delete_many().filter(Column::EndsAt.lt(ended)).exec(connection).await?.rows_affected)
}

/// Cached data of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CachedSession {
    user_id: Uuid,
    partner_id: Uuid,
    mode: Mode,
    version: i64,
    two_factor: bool,
    ends_at: DateTime<Utc>,
}

/// Cache of sessions, so that a token costs one database query a second.
#[derive(Debug)]
struct Cache(RightsCache<Uuid, CachedSession>);

impl Cache {
    fn get(&self, rights: &Rights, session_id: Uuid) -> Option<CachedSession> {
        let known = self.0.get(rights, &session_id, |known| vec![session_id, known.user_id])?;
        (known.ends_at > clock::system_now()).then_some(known)
    }
}

/// Authenticates an access token. Forged, expired and revoked tokens get the same error.
pub async fn authenticate(app: &App, token: &str) -> Result<Who> {
    let claims = app.feature::<Tokens>().read(TokenType::Access, token)?;
    Ok(Who::User(bearer_of(app, &claims).await?))
}

/// Returns the user of verified claims. A passed second factor is cached; a missing one is queried, so that
/// the same token works right after the passcode.
async fn bearer_of(app: &App, claims: &Claims) -> Result<SignedInUser> {
    let known = match app
        .feature::<Cache>()
        .get(&app.rights, claims.sid)
        .filter(|known| known.two_factor && known.version == claims.ver)
    {
        Some(known) => known,
        None => read(app, claims.sid).await?.ok_or(Error::Unauthenticated)?,
    };
    if known.user_id != claims.user_id || known.version != claims.ver {
        return Err(Error::Unauthenticated);
    }
    Ok(SignedInUser {
        partner_id: known.partner_id,
        user_id: known.user_id,
        session_id: claims.sid,
        mode: known.mode,
        two_factor: known.two_factor,
        version: claims.ver,
        expires_at: claims.exp,
    })
}

async fn read(app: &App, session_id: Uuid) -> Result<Option<CachedSession>> {
    let moment = app.rights.now();
    let found =
        session::Entity::find_by_id(session_id).filter(Column::CutAt.is_null()).one(&app.db.read).await?;
    let Some(session) = found.filter(|session| session.ends_at > clock::system_now()) else {
        return Ok(None);
    };
    let login = login::Entity::find_by_id(session.user_id)
        .filter(login::Column::DisabledAt.is_null())
        .one(&app.db.read)
        .await?;
    let Some(login) = login else { return Ok(None) };
    let partner = clock::partner(&app.db.read, session.partner_id).await?;
    app.vault.ready_for(&app.db, partner.id).await?;
    let known = CachedSession {
        user_id: session.user_id,
        partner_id: partner.id,
        mode: partner.mode,
        version: login.version,
        two_factor: session.two_factor_at.is_some(),
        ends_at: session.ends_at,
    };
    app.feature::<Cache>().0.put(session_id, moment, known);
    Ok(Some(known))
}

/// Whether a signed-in user is still authenticated: the token has not expired, the session is not revoked,
/// and the password has not changed.
pub async fn still_valid(app: &App, user: &SignedInUser) -> Result<bool> {
    if user.expires_at <= clock::system_now().timestamp() {
        return Ok(false);
    }
    let known = match app.feature::<Cache>().get(&app.rights, user.session_id) {
        Some(known) => Some(known),
        // Boxed because each socket awaits this for each message, and hardly ever needs the read.
        None => Box::pin(read(app, user.session_id)).await?,
    };
    Ok(known.is_some_and(|known| known.version == user.version))
}

impl Feature for Cache {
    fn new(app: &App) -> Self {
        Self(RightsCache::new(app))
    }
}
