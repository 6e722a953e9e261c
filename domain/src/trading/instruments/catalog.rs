//! All instruments in memory, at most a second old.
//!
//! An import writes a new version in its transaction. While instruments are in use, the version is read in the
//! background at most twice a second, and the instruments only if it has changed.

use crate::{
    Error, Result,
    kernel::{
        app::{App, Feature},
        cache::MonotonicClock,
        db::WriteTransaction,
        ids::Ids,
    },
};
use entity::{Kind, instrument, meta, partner_symbol};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

/// Maximum age of the last check when instruments are returned.
const TTL: Duration = Duration::from_secs(1);

/// How long a caller waits for a check, if an earlier one has succeeded. The read pool may be in use by callers
/// that wait here.
const PATIENCE: Duration = Duration::from_millis(250);

/// Row of `meta` that contains the version.
const VERSION: &str = "instruments";

/// All instruments.
#[derive(Debug, Default)]
pub struct Catalog {
    version: Option<String>,
    by_id: HashMap<Uuid, Arc<instrument::Model>>,
    by_symbol: HashMap<String, Arc<instrument::Model>>,
    /// Symbols since a symbol change, by partner and instrument.
    changed: HashMap<(Uuid, Uuid), String>,
    /// Instruments by partner and the symbol since a symbol change.
    by_changed: HashMap<(Uuid, String), Uuid>,
}

impl Catalog {
    /// Reads all instruments.
    pub(in crate::trading) async fn read(
        connection: &impl ConnectionTrait,
        version: Option<String>,
    ) -> Result<Self> {
        let instruments = instrument::Entity::find().all(connection).await?;
        let changed = partner_symbol::Entity::find().all(connection).await?;
        Ok(Self::new(version, instruments, changed))
    }

    fn new(
        version: Option<String>,
        rows: Vec<instrument::Model>,
        changed: Vec<partner_symbol::Model>,
    ) -> Self {
        let rows = rows.into_iter().map(Arc::new);
        let by_id: HashMap<_, _> = rows.map(|row| (row.id, row)).collect();
        let by_symbol = by_id.values().map(|row| (row.symbol.clone(), row.clone())).collect();
        let by_changed =
            changed.iter().map(|row| ((row.partner_id, row.symbol.clone()), row.instrument_id)).collect();
        let changed =
            changed.into_iter().map(|row| ((row.partner_id, row.instrument_id), row.symbol)).collect();
        Self { version, by_id, by_symbol, changed, by_changed }
    }

    /// Returns the instrument with this id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<instrument::Model>> {
        self.by_id.get(&id)
    }

    /// Returns the instrument that has this symbol for a partner, in upper or lower case. After a symbol change
    /// the former symbol finds nothing.
    pub fn by_symbol(&self, partner_id: Option<Uuid>, symbol: &str) -> Option<&Arc<instrument::Model>> {
        let symbol = super::normalized(symbol);
        if let Some(partner_id) = partner_id
            && let Some(id) = self.by_changed.get(&(partner_id, symbol.clone()))
        {
            return self.by_id(*id);
        }
        let found = self.by_symbol.get(&symbol)?;
        self.symbol_since_change(partner_id, found.id).is_none().then_some(found)
    }

    /// Returns the symbol that an instrument has for a partner since a symbol change, if there was one.
    pub fn symbol_since_change(&self, partner_id: Option<Uuid>, instrument_id: Uuid) -> Option<&str> {
        self.changed.get(&(partner_id?, instrument_id)).map(String::as_str)
    }

    /// Returns all instruments, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<instrument::Model>> {
        self.by_id.values()
    }
}

/// The catalog of an `App`.
pub(super) struct Cache {
    clock: MonotonicClock,
    /// The catalog, and when its last check started.
    checked: RwLock<Option<(Instant, Arc<Catalog>)>>,
    checking: Mutex<()>,
    /// Whether a check runs for which no other caller needs to wait.
    is_refreshing: AtomicBool,
}

impl Feature for Cache {
    fn new(app: &App) -> Self {
        Self {
            clock: app.monotonic.clone(),
            checked: RwLock::default(),
            checking: Mutex::default(),
            is_refreshing: AtomicBool::new(false),
        }
    }
}

impl Cache {
    /// Returns `false` if a refresh is already running.
    fn begin_refresh(&self) -> bool {
        !self.is_refreshing.swap(true, Ordering::AcqRel)
    }

    fn last(&self) -> Option<(Instant, Arc<Catalog>)> {
        self.checked.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn checked_since(&self, since: Instant) -> Option<Arc<Catalog>> {
        self.last().filter(|(at, _)| *at > since).map(|(_, catalog)| catalog)
    }

    async fn check(&self, app: &App, since: Instant) -> Result<Arc<Catalog>> {
        let _turn = self.checking.lock().await;
        if let Some(catalog) = self.checked_since(since) {
            return Ok(catalog);
        }
        let started_at = self.clock.now();
        // The version is read first: a change between the two reads is found by the next check.
        let version = meta::Entity::find_by_id(VERSION).one(&app.db.read).await?.map(|row| row.value);
        let known = self.last().map(|(_, catalog)| catalog);
        let catalog = match known.filter(|catalog| catalog.version == version && version.is_some()) {
            Some(catalog) => catalog,
            None => Arc::new(Catalog::read(&app.db.read, version).await?),
        };
        *self.checked.write().unwrap_or_else(PoisonError::into_inner) = Some((started_at, catalog.clone()));
        Ok(catalog)
    }
}

/// Returns all instruments, as they were at most a second ago, usually without a statement.
///
/// While instruments are in use, they are checked in the background and no request waits. After that one request at a
/// time waits for a check, and the others use what was known last: all connections may be held by requests that
/// would wait here for one more.
pub async fn current(app: &App) -> Result<Arc<Catalog>> {
    let cache = app.feature::<Cache>();
    let now = cache.clock.now();
    if let Some((checked_at, catalog)) = cache.last()
        && now < checked_at + TTL
    {
        if now >= checked_at + TTL / 2 && cache.begin_refresh() {
            let app = app.clone();
            tokio::spawn(async move {
                let cache = app.feature::<Cache>();
                let _refresh = Refresh(cache);
                if let Err(error) = cache.check(&app, now).await {
                    tracing::warn!(cause = %error.cause(), "the instruments could not be checked");
                }
            });
        }
        return Ok(catalog);
    }
    if let Some((_, last)) = cache.last()
        && !cache.begin_refresh()
    {
        return Ok(last);
    }
    let _refresh = Refresh(cache);
    checked_since(app, now.checked_sub(TTL).unwrap_or(now)).await
}

/// Returns the instruments that are in memory, if they have been read.
pub(super) fn in_memory(app: &App) -> Option<Arc<Catalog>> {
    app.feature::<Cache>().last().map(|(_, catalog)| catalog)
}

/// Ends a refresh when dropped.
struct Refresh<'a>(&'a Cache);

impl Drop for Refresh<'_> {
    fn drop(&mut self) {
        self.0.is_refreshing.store(false, Ordering::Release);
    }
}

/// Returns all instruments, as they are now.
pub(super) async fn latest(app: &App) -> Result<Arc<Catalog>> {
    checked_since(app, app.feature::<Cache>().clock.now()).await
}

async fn checked_since(app: &App, since: Instant) -> Result<Arc<Catalog>> {
    let cache = app.feature::<Cache>();
    if let Some(catalog) = cache.checked_since(since) {
        return Ok(catalog);
    }
    let checking = app.clone();
    let check = tokio::spawn(async move { checking.feature::<Cache>().check(&checking, since).await });
    let failed = |_| Error::broken("checking the instruments did not finish");
    match cache.last() {
        None => check.await.map_err(failed)?,
        Some((_, last)) => match timeout(PATIENCE, check).await {
            Ok(checked) => checked.map_err(failed)?,
            Err(_) => Ok(last),
        },
    }
}

/// Records in this transaction that instruments are changed.
pub(super) async fn change(tx: &WriteTransaction, ids: Ids) -> Result<()> {
    let version = ids.next(Kind::Instrument).to_string();
    let row = meta::ActiveModel { name: Set(VERSION.to_owned()), value: Set(version) };
    let replaced = OnConflict::column(meta::Column::Name).update_column(meta::Column::Value).to_owned();
    meta::Entity::insert(row).on_conflict(replaced).exec_without_returning(tx).await?;
    Ok(())
}
