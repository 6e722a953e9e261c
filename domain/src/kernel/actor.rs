//! Callers, their scopes and the rows that they can access.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use entity::partner::{self, Mode};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Permission of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Scope {
    /// Create users, start identity checks, and sign users up and in: everything that a publishable key may
    /// do.
    Start,
    /// Read users and their data.
    Read,
    /// Preview, place, replace and cancel orders.
    Trade,
    /// Move money.
    Transfer,
    /// Create users, accounts and bank accounts.
    Manage,
    /// Control the sandbox, review identity checks, freeze and close accounts, and manage API keys and
    /// settings.
    Operate,
}

impl Scope {
    /// Scopes that can be granted to a secret key.
    pub const ALL: [Self; 5] = [Self::Read, Self::Trade, Self::Transfer, Self::Manage, Self::Operate];

    /// Returns the scope's name, as in keys and descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Transfer => "transfer",
            Self::Manage => "manage",
            Self::Operate => "operate",
        }
    }

    /// Returns the scope called `name`, if it can be granted to a secret key.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// An authenticated API key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartnerKey {
    pub partner_id: Uuid,
    pub key_id: Uuid,
    pub mode: Mode,
    pub scopes: Vec<Scope>,
}

impl PartnerKey {
    /// Whether the key has this scope; `manage` includes `start`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || (scope == Scope::Start && self.scopes.contains(&Scope::Manage))
    }

    /// Whether this is a publishable key, which may be embedded in an app and is not secret.
    pub fn is_publishable(&self) -> bool {
        self.scopes == [Scope::Start]
    }
}

/// A signed-in user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignedInUser {
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub mode: Mode,
    /// Whether the session has passed its second factor.
    pub two_factor: bool,
    /// Version of the login for which the token was issued.
    pub version: i64,
    /// Expiration time of the token, in seconds since 1970.
    pub expires_at: i64,
}

impl SignedInUser {
    /// Scopes that a user has over their own data.
    pub const SCOPES: [Scope; 4] = [Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage];

    /// Returns the time when the access token expires.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.expires_at, 0)
    }
}

/// Rows that a caller can access: those of all users of one partner, or of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessScope {
    pub partner_id: Uuid,
    /// If set, only this user's rows are accessible.
    pub user_id: Option<Uuid>,
}

impl AccessScope {
    /// Returns access to all rows of a partner.
    pub const fn all_of(partner_id: Uuid) -> Self {
        Self { partner_id, user_id: None }
    }

    /// Whether this user's rows are accessible, provided that the user belongs to the partner.
    pub fn covers(&self, user_id: Uuid) -> bool {
        self.user_id.is_none_or(|only| only == user_id)
    }
}

/// An authorized caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub access_scope: AccessScope,
    pub mode: Mode,
    /// Id of the API key or user, for the audit log and events.
    pub principal_id: Uuid,
    /// Id under which idempotency keys are stored: the partner, so that a request can be repeated after the
    /// API key was rotated, or the publishable key or the user, so that other callers cannot repeat it.
    pub claimant_id: Uuid,
}

/// Kinds of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Who {
    #[default]
    Anonymous,
    Partner(PartnerKey),
    User(SignedInUser),
}

impl Who {
    /// Returns the partner to which the key or user belongs.
    pub const fn partner_id(&self) -> Option<Uuid> {
        match self {
            Self::Anonymous => None,
            Self::Partner(key) => Some(key.partner_id),
            Self::User(user) => Some(user.partner_id),
        }
    }
}

/// The caller of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub who: Who,
    /// Identifies the request in log lines, the audit log and error responses.
    pub request_id: Uuid,
    /// Client address of the request; none if unknown.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Returns the operator, who acts for a partner with all scopes and without an API key.
    pub fn operator(partner: &partner::Model) -> Self {
        let key = PartnerKey {
            partner_id: partner.id,
            key_id: partner.id,
            mode: partner.mode,
            scopes: Scope::ALL.to_vec(),
        };
        Self { who: Who::Partner(key), ..Self::default() }
    }

    /// Returns the calling partner's API key if it has this scope.
    pub fn partner(&self, scope: Scope) -> Result<&PartnerKey> {
        match &self.who {
            Who::Partner(key) if key.allows(scope) => Ok(key),
            Who::User(user) if !user.two_factor => Err(Error::TwoFactorRequired),
            Who::Partner(_) | Who::User(_) => Err(Error::Forbidden(scope.name())),
            Who::Anonymous => Err(Error::Unauthenticated),
        }
    }

    /// Authorizes a partner's API key that has this scope.
    pub fn caller(&self, scope: Scope) -> Result<Caller> {
        let key = self.partner(scope)?;
        let access_scope = AccessScope::all_of(key.partner_id);
        let claimant_id = if key.is_publishable() { key.key_id } else { key.partner_id };
        Ok(Caller { access_scope, mode: key.mode, principal_id: key.key_id, claimant_id })
    }

    /// Authorizes a partner's API key that has this scope, or a user for their own data. A user has every
    /// scope over their own data once the session has passed its second factor.
    pub fn self_or_caller(&self, scope: Scope) -> Result<Caller> {
        match &self.who {
            Who::User(user) if user.two_factor => Ok(user.caller()),
            _ => self.caller(scope),
        }
    }

    /// Returns the rows on which the caller may use this scope.
    pub fn access_scope(&self, scope: Scope) -> Result<AccessScope> {
        Ok(self.self_or_caller(scope)?.access_scope)
    }

    /// Returns the signed-in user, whether or not the session has passed its second factor.
    pub fn signed_in(&self) -> Result<&SignedInUser> {
        match &self.who {
            Who::User(user) => Ok(user),
            Who::Partner(_) => Err(Error::UserSessionRequired),
            Who::Anonymous => Err(Error::Unauthenticated),
        }
    }

    /// Whether the caller may see the outcome of an identity check. Publishable keys may not: they are not
    /// secret, and the outcomes for invented users would reveal which social security numbers and names are
    /// known.
    pub fn may_see_results(&self) -> bool {
        !matches!(&self.who, Who::Partner(key) if key.is_publishable())
    }

    /// Whether the caller may see the findings of an identity check: only partners with a secret key. Users
    /// may not, because they can enter another person's number or name.
    pub fn may_see_findings(&self) -> bool {
        matches!(&self.who, Who::Partner(key) if !key.is_publishable())
    }

    /// Returns the client address if the request comes from a user's device; none for a partner's own server,
    /// which sends the requests of many users.
    pub fn personal_address(&self) -> Option<IpAddr> {
        match &self.who {
            Who::Partner(key) if !key.is_publishable() => None,
            _ => self.address,
        }
    }

    /// Returns the caller's partner; none for anonymous callers.
    pub const fn partner_id(&self) -> Option<Uuid> {
        match &self.who {
            Who::Anonymous => None,
            Who::Partner(key) => Some(key.partner_id),
            Who::User(user) => Some(user.partner_id),
        }
    }

    /// Whether the caller may see the personal data of a user whose rows are accessible: every caller except
    /// another user.
    pub fn may_see_personal_data_of(&self, user_id: Uuid) -> bool {
        !matches!(&self.who, Who::User(user) if user.user_id != user_id)
    }

    /// Returns the scopes of the caller's credential: those of the key, or those of a user over their own
    /// data, of which there are none before the session has passed its second factor.
    pub fn scopes(&self) -> &[Scope] {
        match &self.who {
            Who::Partner(key) => &key.scopes,
            Who::User(user) if user.two_factor => &SignedInUser::SCOPES,
            Who::User(_) | Who::Anonymous => &[],
        }
    }

    /// Whether the caller has this scope, at least over their own data.
    pub fn may(&self, scope: Scope) -> bool {
        self.access_scope(scope).is_ok()
    }
}

impl SignedInUser {
    /// Returns the user as a caller who acts on their own data.
    pub const fn caller(&self) -> Caller {
        let access_scope = AccessScope { partner_id: self.partner_id, user_id: Some(self.user_id) };
        Caller { access_scope, mode: self.mode, principal_id: self.user_id, claimant_id: self.user_id }
    }
}
