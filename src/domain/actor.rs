//! Who is asking.

use super::{Error, Result};
use entity::partner::Mode;
use uuid::Uuid;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Look at customers and their affairs.
    Read,
    /// Place and cancel orders.
    Trade,
    /// Move money.
    Transfer,
    /// Create customers, accounts and bank accounts.
    Manage,
    /// Run the sandbox and review.
    Operate,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 5] = [Self::Read, Self::Trade, Self::Transfer, Self::Manage, Self::Operate];

    /// The scope's name in a key and in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Transfer => "transfer",
            Self::Manage => "manage",
            Self::Operate => "operate",
        }
    }

    /// The scope called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A partner's key at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerKey {
    pub partner_id: Uuid,
    pub key_id: Uuid,
    pub mode: Mode,
    pub scopes: Vec<Scope>,
}

/// A person who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedInUser {
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub mode: Mode,
}

/// The kinds of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    #[default]
    Nobody,
    Partner(PartnerKey),
    User(SignedInUser),
}

/// The caller of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub who: Who,
    /// Ties log lines, the audit log and an error's answer together.
    pub request_id: Uuid,
}

impl Actor {
    /// The calling partner's key, if it may do what `scope` says.
    pub fn partner(&self, scope: Scope) -> Result<&PartnerKey> {
        match &self.who {
            Who::Partner(key) if key.scopes.contains(&scope) => Ok(key),
            Who::Partner(_) | Who::User(_) => Err(Error::Forbidden(scope.name())),
            Who::Nobody => Err(Error::Unauthenticated),
        }
    }

    /// The partner the caller belongs to; none for nobody.
    pub const fn partner_id(&self) -> Option<Uuid> {
        match &self.who {
            Who::Nobody => None,
            Who::Partner(key) => Some(key.partner_id),
            Who::User(user) => Some(user.partner_id),
        }
    }

    /// Whether a caller's key carries `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.partner(scope).is_ok()
    }
}
