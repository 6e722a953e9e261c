//! What every operation works with: the database, the providers, the keys, and the wires to the workers.

use crate::{
    access::{keys, partners, passwords, sessions, tokens::Tokens},
    compliance::{kyc::documents::Permits, screening},
    kernel::{
        db::Db,
        events::Feed,
        ids::Ids,
        limits::{Limits, REQUESTS},
        rights::Rights,
        secrets::{ENCRYPTION_KEY, Vault},
        sequencer::Sequencer,
        timers::Wake,
    },
    providers::Providers,
};
use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicBool},
};

/// The one shared state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// The parts of an `App`.
#[derive(Debug)]
pub struct Parts {
    pub db: Db,
    pub ids: Ids,
    pub vault: Vault,
    pub providers: Providers,
    pub feed: Feed,
    pub sequencer: Sequencer,
    pub timers: Wake,
    pub keys: keys::Cache,
    pub sessions: sessions::Cache,
    /// Whose rights are ending, so that nothing older counts.
    pub rights: Rights,
    pub tokens: Tokens,
    pub passwords: passwords::Pool,
    pub screening: screening::Cache,
    /// For documents on their way in, and on their way out.
    pub uploads: Permits,
    pub downloads: Permits,
    /// Whether every data key could be read when we last looked; without them this server is of no use.
    pub keys_known: AtomicBool,
    pub limits: Limits,
    /// The partner for whom people sign up and in without a partner's key.
    pub default_partner: String,
    /// Where what a person has entered is mailed for her advisors; nowhere when none is set.
    pub advisors: Option<String>,
}

/// What an `App` is told besides its database and its key.
#[derive(Clone, Debug)]
pub struct Setup {
    pub providers: Providers,
    /// The name of the partner for whom people sign up and in without a partner's key.
    pub default_partner: String,
    /// Where what a person has entered is mailed for her advisors.
    pub advisors: Option<String>,
    /// How many requests a key, a person or an address may make in an hour; no end of them with 0.
    pub requests_per_hour: u64,
    /// Whether what people do before they are known is slowed down by their address.
    pub throttle: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            providers: Providers::default(),
            default_partner: partners::SANDBOX.to_owned(),
            requests_per_hour: REQUESTS.most,
            throttle: true,
            advisors: None,
        }
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together over a migrated database.
    pub fn new(db: Db, vault: Vault, setup: Setup) -> Self {
        Self(Arc::new(Parts {
            db,
            ids: Ids,
            tokens: Tokens::new(vault.token_key()),
            vault,
            providers: setup.providers,
            feed: Feed::default(),
            sequencer: Sequencer::default(),
            timers: Wake::default(),
            keys: keys::Cache::default(),
            sessions: sessions::Cache::default(),
            rights: Rights::default(),
            passwords: passwords::Pool::default(),
            screening: screening::Cache::default(),
            uploads: Permits::default(),
            downloads: Permits::default(),
            keys_known: AtomicBool::new(true),
            limits: Limits::new(setup.requests_per_hour, setup.throttle),
            default_partner: setup.default_partner,
            advisors: setup.advisors,
        }))
    }

    /// Whether no server has written to this database yet.
    pub async fn is_new(db: &Db) -> crate::Result<bool> {
        use sea_orm::EntityTrait;
        Ok(entity::meta::Entity::find_by_id(ENCRYPTION_KEY).one(&db.read).await?.is_none())
    }
}
