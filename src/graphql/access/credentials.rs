//! GraphQL type and query for the credential of the caller.

use crate::graphql::{
    core::{
        breadth::{Fetch, fetch},
        scalars::DateTime,
    },
    sandbox::Partner,
};
use async_graphql::{Enum, SimpleObject};
use domain::{Who, access::keys, kernel::clock};
use macros::{Fields, Leaf, breadth};

/// Credential that the request was sent with.
#[derive(Clone, Fields, SimpleObject)]
pub struct Credential {
    /// Kind of the credential.
    kind: CredentialKind,
    /// What the caller may do. An access token has scopes over the user's own data only, and none before the
    /// session has passed two-factor authentication.
    scopes: Vec<Scope>,
    /// Time when the credential expires; null if it does not expire.
    expires_at: Option<DateTime>,
    /// Label of a secret API key; empty if there is none. Null for other credentials.
    label: Option<String>,
    /// Partner that the secret API key belongs to. Null for other credentials.
    partner: Option<Partner>,
}

/// Kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum CredentialKind {
    /// Secret API key of a partner.
    SecretKey,
    /// Publishable API key of a partner.
    PublishableKey,
    /// Access token of a signed-in user.
    AccessToken,
}

/// Scope of a credential: what the caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::Scope")]
pub enum Scope {
    /// Create users, start identity checks, and sign users up and in; the only scope of a publishable key.
    Start,
    /// Read users and their data.
    Read,
    /// Preview, place, replace and cancel orders.
    Trade,
    /// Move money.
    Transfer,
    /// Create and change users, accounts and bank accounts; for API keys, includes `start`.
    Manage,
    /// Control the sandbox, review identity checks, freeze and close accounts, and manage API keys and
    /// settings.
    Operate,
}

#[derive(Default)]
pub struct CredentialQuery;

#[breadth]
impl CredentialQuery {
    /// Returns the credential that the request was sent with, or null without credentials. Also works before
    /// the session of an access token has passed two-factor authentication.
    fn credential(&self) -> Fetch<Option<Credential>> {
        fetch(|view| {
            Box::pin(async move {
                let actor = view.actor();
                let scopes = actor.scopes().iter().copied().map(Scope::from).collect();
                let credential = match &actor.who {
                    Who::Anonymous => return Ok(None),
                    Who::Partner(key) => {
                        let connection = view.loaders().connection().await?;
                        let row = keys::of_caller(&*connection, key).await?;
                        let expires_at = row.expires_at.map(DateTime);
                        if key.is_publishable() {
                            let kind = CredentialKind::PublishableKey;
                            Credential { kind, scopes, expires_at, label: None, partner: None }
                        } else {
                            let partner = Some(Partner(clock::partner(&*connection, key.partner_id).await?));
                            let (kind, label) = (CredentialKind::SecretKey, Some(row.label));
                            Credential { kind, scopes, expires_at, label, partner }
                        }
                    }
                    Who::User(user) => {
                        let (kind, expires_at) =
                            (CredentialKind::AccessToken, user.expires_at().map(DateTime));
                        Credential { kind, scopes, expires_at, label: None, partner: None }
                    }
                };
                Ok(Some(credential))
            })
        })
    }
}
