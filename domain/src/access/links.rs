//! Signed links that work without a credential, for half an hour by the partner's clock, on behalf of their creator.

use super::keys;
use crate::{
    Actor, Error, Result, Scope, Who,
    kernel::{
        actor::{PartnerKey, SignedInUser},
        app::App,
        clock,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use entity::partner;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a link is valid, by the partner's clock.
pub const LINK_TTL: Duration = Duration::minutes(30);

/// Link as requested by a client.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
}

/// Creator of a link. The link acts in their name while they may still authenticate.
#[derive(Clone, Serialize, Deserialize)]
pub enum Creator {
    Key(Uuid),
    Person { user_id: Uuid, session_id: Uuid, version: i64 },
}

impl Creator {
    /// Returns the caller as the creator of a link.
    pub fn of(actor: &Actor) -> Result<Self> {
        match &actor.who {
            Who::Partner(key) => Ok(Self::Key(key.key_id)),
            Who::User(user) => {
                Ok(Self::Person { user_id: user.user_id, session_id: user.session_id, version: user.version })
            }
            Who::Anonymous => Err(Error::Unauthenticated),
        }
    }

    /// Returns the creator as an actor with `scope`; `None` if their key or session is no longer valid.
    pub async fn actor(
        self,
        app: &App,
        partner: &partner::Model,
        scope: Scope,
        request_id: Uuid,
    ) -> Result<Option<Actor>> {
        let (partner_id, mode) = (partner.id, partner.mode);
        let who = match self {
            Self::Key(key_id) => Who::Partner(PartnerKey { partner_id, key_id, mode, scopes: vec![scope] }),
            // The link itself expires, so only the validity of the session counts.
            Self::Person { user_id, session_id, version } => Who::User(SignedInUser {
                partner_id,
                user_id,
                session_id,
                mode,
                two_factor: true,
                version,
                expires_at: i64::MAX,
            }),
        };
        let actor = Actor { who, request_id, address: None };
        Ok(keys::still_valid(app, &actor).await?.then_some(actor))
    }
}

fn signature(app: &App, method: &str, address: &str) -> String {
    URL_SAFE_NO_PAD.encode(app.vault.link_signature(&format!("{method} {address}")))
}

/// Returns an address, which has a query, with its signature for this method.
pub fn signed(app: &App, method: &str, address: &str) -> String {
    format!("{address}&signature={}", signature(app, method, address))
}

impl Link<'_> {
    /// Verifies the signature of a link and returns its parameters in the order of `names`; `None` if it is not
    /// genuine.
    pub fn read<const N: usize>(&self, app: &App, names: [&str; N]) -> Option<[String; N]> {
        let (signed, given) = self.query.rsplit_once("&signature=")?;
        let expected = signature(app, self.method, &format!("{}?{signed}", self.path));
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return None;
        }
        let mut values = signed.split('&');
        Some(names.map(|name| {
            let value = values.next().and_then(|value| value.strip_prefix(name)?.strip_prefix('='));
            value.map(str::to_owned).unwrap_or_default()
        }))
    }
}

/// Whether a link that expires at this time, in seconds since 1970, is still valid.
pub fn is_unexpired(partner: &partner::Model, until: &str) -> bool {
    until.parse().is_ok_and(|until: i64| clock::now_of(partner).timestamp() < until)
}
