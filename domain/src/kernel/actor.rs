//! Who is asking.

use crate::{Error, Result};
use entity::partner::{self, Mode};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Scope {
    /// Begin a customer and her identity check, and sign people up and in: all that a publishable key may do.
    Start,
    /// Look at customers and their affairs.
    Read,
    /// Place and cancel orders.
    Trade,
    /// Move money.
    Transfer,
    /// Create customers, accounts and bank accounts.
    Manage,
    /// Run the sandbox, review, and give out keys.
    Operate,
}

impl Scope {
    /// What a secret key can be given, one by one.
    pub const ALL: [Self; 5] = [Self::Read, Self::Trade, Self::Transfer, Self::Manage, Self::Operate];

    /// The scope's name in a key and in descriptions.
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

    /// The scope called `name`, of those that a secret key can be given.
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

impl PartnerKey {
    /// Whether the key may do what `scope` says; whoever manages customers may begin one.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || (scope == Scope::Start && self.scopes.contains(&Scope::Manage))
    }

    /// Whether this is a publishable key, which anyone may hold.
    pub fn is_publishable(&self) -> bool {
        self.scopes == [Scope::Start]
    }
}

/// A person who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedInUser {
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub mode: Mode,
    /// Whether the session has passed its second factor.
    pub two_factor: bool,
    /// The version of the sign-in that the token was issued for.
    pub version: i64,
    /// When the token expires, in seconds since 1970.
    pub expires_at: i64,
}

/// The rows a caller can reach: those of all users of one partner, or of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessScope {
    pub partner_id: Uuid,
    /// The only person whose affairs there are for the caller.
    pub user_id: Option<Uuid>,
}

impl AccessScope {
    /// Everything of a partner.
    pub const fn all_of(partner_id: Uuid) -> Self {
        Self { partner_id, user_id: None }
    }

    /// Whether a person's affairs are within reach, given that she is the partner's.
    pub fn covers(&self, user_id: Uuid) -> bool {
        self.user_id.is_none_or(|only| only == user_id)
    }
}

/// A caller who may do what she asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub access_scope: AccessScope,
    pub mode: Mode,
    /// The key or the person, for the audit log and for events.
    pub principal_id: Uuid,
    /// Within what idempotency keys are told apart: a partner whose key was rotated may repeat a request, and
    /// nobody may repeat another's.
    pub claimant_id: Uuid,
}

/// The kinds of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    #[default]
    Nobody,
    Partner(PartnerKey),
    User(SignedInUser),
}

impl Who {
    /// The partner whose key or user this is.
    pub const fn partner_id(&self) -> Option<Uuid> {
        match self {
            Self::Nobody => None,
            Self::Partner(key) => Some(key.partner_id),
            Self::User(user) => Some(user.partner_id),
        }
    }
}

/// The caller of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub who: Who,
    /// Ties log lines, the audit log and an error's answer together.
    pub request_id: Uuid,
    /// Where the request came from; none where that cannot be told.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Whoever runs the house, acting for a partner without a key of its.
    pub fn operator(partner: &partner::Model) -> Self {
        let key = PartnerKey {
            partner_id: partner.id,
            key_id: partner.id,
            mode: partner.mode,
            scopes: Scope::ALL.to_vec(),
        };
        Self { who: Who::Partner(key), ..Self::default() }
    }

    /// The calling partner's key, if it may do what `scope` says.
    pub fn partner(&self, scope: Scope) -> Result<&PartnerKey> {
        match &self.who {
            Who::Partner(key) if key.allows(scope) => Ok(key),
            Who::User(user) if !user.two_factor => Err(Error::TwoFactorRequired),
            Who::Partner(_) | Who::User(_) => Err(Error::Forbidden(scope.name())),
            Who::Nobody => Err(Error::Unauthenticated),
        }
    }

    /// A partner's key that may do what `scope` says.
    pub fn caller(&self, scope: Scope) -> Result<Caller> {
        let key = self.partner(scope)?;
        let access_scope = AccessScope::all_of(key.partner_id);
        let claimant_id = if key.is_publishable() { key.key_id } else { key.partner_id };
        Ok(Caller { access_scope, mode: key.mode, principal_id: key.key_id, claimant_id })
    }

    /// The same, or a person acting for herself, who has every scope over her own affairs once her session
    /// has passed its second factor.
    pub fn self_or_caller(&self, scope: Scope) -> Result<Caller> {
        match &self.who {
            Who::User(user) if user.two_factor => Ok(user.caller()),
            _ => self.caller(scope),
        }
    }

    /// The rows on which the caller may do what `scope` allows.
    pub fn access_scope(&self, scope: Scope) -> Result<AccessScope> {
        Ok(self.self_or_caller(scope)?.access_scope)
    }

    /// The person who has signed in, whether or not her session has passed its second factor.
    pub fn signed_in(&self) -> Result<&SignedInUser> {
        match &self.who {
            Who::User(user) => Ok(user),
            Who::Partner(_) => Err(Error::UserSessionRequired),
            Who::Nobody => Err(Error::Unauthenticated),
        }
    }

    /// Whether the caller may be told what an identity check came to. Anyone may hold a publishable key, and
    /// whoever sees the results of made-up people learns which social security numbers and names are known.
    pub fn may_see_results(&self) -> bool {
        !matches!(&self.who, Who::Partner(key) if key.is_publishable())
    }

    /// Whether the caller may be told what an identity check found: a partner's secret key, and not the
    /// person, who can have entered the number or the name of another.
    pub fn may_see_findings(&self) -> bool {
        matches!(&self.who, Who::Partner(key) if !key.is_publishable())
    }

    /// Where a person sits who asks for herself; none for a partner's own server, which asks for many.
    pub fn personal_address(&self) -> Option<IpAddr> {
        match &self.who {
            Who::Partner(key) if !key.is_publishable() => None,
            _ => self.address,
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

    /// Whether the caller may be told what a person says of herself: everybody who can see her affairs but
    /// another person.
    pub fn may_see_personal_data_of(&self, user_id: Uuid) -> bool {
        !matches!(&self.who, Who::User(user) if user.user_id != user_id)
    }

    /// Whether the caller may do what `scope` says, be it to her own affairs alone.
    pub fn may(&self, scope: Scope) -> bool {
        self.access_scope(scope).is_ok()
    }
}

impl SignedInUser {
    /// The person as one who acts for herself.
    pub const fn caller(&self) -> Caller {
        let access_scope = AccessScope { partner_id: self.partner_id, user_id: Some(self.user_id) };
        Caller { access_scope, mode: self.mode, principal_id: self.user_id, claimant_id: self.user_id }
    }
}
