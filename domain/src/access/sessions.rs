//! Sessions: from a sign-in to its end. A session is the family of one refresh token and its successors.

use super::tokens::{self, Bearer, Claims, TokenType, Tokens};
use crate::{
    Actor, Error, Refusal, Result, Scope, Who,
    kernel::{
        actor::SignedInUser,
        app::{App, Feature},
        clock,
        command::{self, Command, CommandContext},
        db::WriteTransaction,
        rights::{Remembered, Rights},
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
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// The longest a session goes on, however often it is renewed.
const MAX_SESSION: Duration = Duration::days(30);

/// The tokens of one session, shown to who signed in and to nobody else.
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

/// Begins a session of a person who has proved her password.
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

/// The tokens of a session that has just begun.
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

/// What a refresh token is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// An access token; the refresh token stays (documented).
    Access,
    /// An access token and a successor of the refresh token, which stays good until the successor is first
    /// used.
    Both,
}

#[derive(Clone, Debug, Serialize)]
struct Renew {
    session_id: Uuid,
    token_id: String,
    version: i64,
    renewal: Renewal,
}

/// What came of presenting a refresh token.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Presented {
    Good(Box<session::Model>),
    /// A token that has been replaced was shown again, so that somebody has a copy: the session is cut.
    Replayed(Uuid),
}

/// Renews a session by its refresh token. Parallel renewals by one token give one and the same successor; a
/// token that has been replaced ends the whole session.
pub async fn renew(app: &App, request_id: Uuid, token: &str, renewal: Renewal) -> Result<Issued> {
    let (claims, user) = shown(app, token).await?;
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

/// What a refresh token says, and whose it is.
async fn shown(app: &App, token: &str) -> Result<(Claims, SignedInUser)> {
    let refused = |error| {
        if matches!(error, Error::Unauthenticated) { Refusal::invalid_credentials().into() } else { error }
    };
    let claims = app.feature::<Tokens>().read(TokenType::Refresh, token).map_err(refused)?;
    let user = bearer_of(app, &claims).await.map_err(refused)?;
    Ok((claims, user))
}

/// Ends a session because one of its refresh tokens was used after its successor.
async fn cut(ctx: &CommandContext<'_>, session: session::Model) -> Result<Presented> {
    let mut row: session::ActiveModel = session.into();
    row.cut_at = Set(Some(clock::system_now()));
    Ok(Presented::Replayed(row.update(ctx.tx).await?.id))
}

/// Tells the log about it; the caller is not told why.
fn replayed(session_id: Uuid) -> Error {
    tracing::warn!(session = %session_id, "a refresh token was used again after its successor; the session is cut");
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

impl Command for Renew {
    const NAME: &'static str = "session.renew";
    const SCOPE: Scope = Scope::Start;
    type Output = Presented;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Presented> {
        let (session, _) = open(ctx.tx, self.session_id, self.version).await?;
        let mut row: session::ActiveModel = session.clone().into();
        if session.successor_token.as_deref() == Some(self.token_id.as_str()) {
            row.refresh_token = Set(self.token_id.clone());
            row.successor_token = Set(None);
            row.successor_at = Set(None);
        } else if session.refresh_token != self.token_id {
            return cut(ctx, session).await;
        }
        let replaced = row.successor_token.as_ref().is_some();
        if self.renewal == Renewal::Both && !replaced {
            row.successor_token = Set(Some(tokens::new_id()?));
            row.successor_at = Set(Some(clock::system_now()));
        }
        let session = if row.is_changed() { row.update(ctx.tx).await? } else { session };
        Ok(Presented::Good(Box::new(session)))
    }

    fn object(done: &Presented) -> Uuid {
        done.session_id()
    }

    fn decision(done: &Presented) -> &'static str {
        done.decision()
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.session_id)
    }
}

/// The session and its sign-in, held by this transaction, if the session goes on.
async fn open(
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

/// Ends a session by its refresh token, which must be of the person who has signed in. Access tokens that
/// were issued live on until they expire (documented). A token that has been replaced is refused and ends the
/// whole session, as with `renew`.
pub async fn sign_out(app: &App, actor: &Actor, token: &str) -> Result<()> {
    let user = actor.signed_in()?.clone();
    let (claims, owner) = shown(app, token).await?;
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

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Presented> {
        let (session, _) = open(ctx.tx, self.session_id, self.version).await?;
        if session.refresh_token != self.token_id
            && session.successor_token.as_deref() != Some(self.token_id.as_str())
        {
            return cut(ctx, session).await;
        }
        let mut row: session::ActiveModel = session.into();
        row.signed_out_at = Set(Some(clock::system_now()));
        Ok(Presented::Good(Box::new(row.update(ctx.tx).await?)))
    }

    fn object(done: &Presented) -> Uuid {
        done.session_id()
    }

    fn decision(done: &Presented) -> &'static str {
        done.decision()
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.session_id)
    }
}

/// Cuts every session of a person: nothing issued before is worth anything any more. The sign-in's version
/// must be raised in the same transaction.
pub async fn cut_all(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<()> {
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

/// Forgets sessions that ended a week ago or more; how many.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let ended = clock::system_now() - Duration::days(7);
    Ok(session::Entity::delete_many().filter(Column::EndsAt.lt(ended)).exec(connection).await?.rows_affected)
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CachedSession {
    user_id: Uuid,
    partner_id: Uuid,
    mode: Mode,
    version: i64,
    two_factor: bool,
    ends_at: DateTime<Utc>,
}

/// Sessions looked up a moment ago, so that a token costs one look-up a second.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<Uuid, Remembered<CachedSession>>>);

const MAX_CACHED: usize = 10_000;

impl Cache {
    fn get(&self, rights: &Rights, session_id: Uuid) -> Option<CachedSession> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.get(&session_id)?.get(rights, |known| vec![session_id, known.user_id])?;
        (known.ends_at > clock::system_now()).then_some(*known)
    }

    fn put(&self, session_id: Uuid, known: Remembered<CachedSession>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(session_id, known);
    }

    /// Has a session looked up anew.
    pub fn forget(&self, session_id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session_id);
    }
}

/// Who presents this access token. Refused alike for a forged, an expired and a revoked one.
pub async fn authenticate(app: &App, token: &str) -> Result<Who> {
    let claims = app.feature::<Tokens>().read(TokenType::Access, token)?;
    Ok(Who::User(bearer_of(app, &claims).await?))
}

/// The person behind claims whose signature holds. A second factor that was passed is remembered; one that is
/// missing is looked up, so that the same token works right after the passcode.
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
    app.feature::<Cache>().put(session_id, Remembered::new(moment, known));
    Ok(Some(known))
}

/// Whether a person who was let in still would be: her token has not expired, her session was not cut, her
/// password not changed.
pub async fn still_valid(app: &App, user: &SignedInUser) -> Result<bool> {
    if user.expires_at <= clock::system_now().timestamp() {
        return Ok(false);
    }
    let known = match app.feature::<Cache>().get(&app.rights, user.session_id) {
        Some(known) => Some(known),
        None => read(app, user.session_id).await?,
    };
    Ok(known.is_some_and(|known| known.version == user.version))
}

impl Feature for Cache {
    fn new(_: &App) -> Self {
        Self::default()
    }
}
