//! `App`: the database, the keys, the signals to the workers, and the caches and settings of the features.

use super::{
    cache::MonotonicClock,
    db::Db,
    events::Feed,
    ids::Ids,
    limits::Limits,
    rights::Rights,
    scheduler::DueHandler,
    secrets::{ENCRYPTION_KEY, Vault},
    sequencer::Sequencer,
    timers::Wake,
};
use crate::Result;
use sea_orm::EntityTrait;
use std::{
    any::Any,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

/// State that all operations share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// The parts of an `App`.
#[derive(Debug)]
pub struct Parts {
    pub db: Db,
    pub ids: Ids,
    pub vault: Vault,
    pub feed: Feed,
    pub sequencer: Sequencer,
    pub timers: Wake,
    /// API keys, users and sessions with rights that are being revoked, so that older cached rights are
    /// ignored.
    pub rights: Rights,
    /// Whether every data key could be read at the last check; without them this server cannot work.
    pub keys_known: AtomicBool,
    pub limits: Limits,
    /// Clock of caches and rate limits.
    pub monotonic: MonotonicClock,
    /// Handler of each kind of timer.
    pub due_handlers: &'static [DueHandler],
    features: Features,
}

/// Cache or settings of a feature, in memory while the server runs.
pub trait Feature: Any + Send + Sync {
    /// Creates the value on first use. Must not use another feature.
    fn new(app: &App) -> Self;
}

/// Holds one value per type; values are never removed.
#[derive(Default)]
struct Features(OnceLock<Box<Node>>);

struct Node {
    value: Box<dyn Any + Send + Sync>,
    next: Features,
}

impl Features {
    fn get<T: Any + Send + Sync>(&self, new: impl Fn() -> T) -> &T {
        let mut place = self;
        loop {
            let node =
                place.0.get_or_init(|| Box::new(Node { value: Box::new(new()), next: Self::default() }));
            if let Some(value) = node.value.downcast_ref() {
                return value;
            }
            place = &node.next;
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Features")
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Creates an `App` on a migrated database.
    pub fn new(
        db: Db,
        vault: Vault,
        limits: Limits,
        monotonic: MonotonicClock,
        due_handlers: &'static [DueHandler],
    ) -> Self {
        Self(Arc::new(Parts {
            db,
            ids: Ids,
            vault,
            feed: Feed::default(),
            sequencer: Sequencer::default(),
            timers: Wake::default(),
            rights: Rights::default(),
            keys_known: AtomicBool::new(true),
            limits,
            monotonic,
            due_handlers,
            features: Features::default(),
        }))
    }

    /// Returns a feature's value, which is created on first use.
    pub fn feature<T: Feature>(&self) -> &T {
        self.features.get(|| T::new(self))
    }

    /// Sets a feature's value before its first use. Later calls have no effect.
    pub fn provide<T: Feature + Clone>(&self, value: &T) {
        self.features.get(|| value.clone());
    }

    /// Whether no server has written to this database yet.
    pub async fn is_new(db: &Db) -> Result<bool> {
        Ok(entity::meta::Entity::find_by_id(ENCRYPTION_KEY).one(&db.read).await?.is_none())
    }
}
