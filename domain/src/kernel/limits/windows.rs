//! Allowances: a number of uses in a window, which survive a restart and are shared by all servers on one
//! database.
//!
//! A use costs no database write. A server leases a part of the allowance, spends it in memory, and returns
//! the rest when it stops or when the caller is idle. The part that a killed server had taken counts as spent
//! until the window ends.

use super::{Limit, Policy, REQUESTS};
use crate::{
    Error, Result,
    kernel::{app::App, clock},
};
use chrono::{DateTime, Utc};
use entity::limit_use::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, Statement, sea_query::Expr,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Number of uses in a window of system time, which opens with the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub most: u64,
    pub window: Duration,
}

/// Idle time after which the unspent part of a caller's allowance is returned.
pub const IDLE: Duration = Duration::from_secs(5);
/// How often a server that refuses requests checks whether another one has returned something.
const RECHECK: Duration = Duration::from_secs(1);

/// Remaining uses of an allowance, as far as this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub most: u64,
    pub left: u64,
    /// Seconds until the window ends.
    pub reset: u64,
}

type Key = [u8; 32];

/// The parts of all allowances that this server has taken.
#[derive(Debug)]
pub struct Limits {
    /// None if requests are not limited.
    pub requests: Option<Limit>,
    pub(super) throttle: bool,
    windows: Mutex<HashMap<Key, Arc<Window>>>,
}

impl Limits {
    /// Creates limits of `requests_per_hour`; 0 disables the limit. `throttle` enables the limits per
    /// address.
    pub fn new(requests_per_hour: u64, throttle: bool) -> Self {
        let requests = Limit::allowance(REQUESTS.name, requests_per_hour, super::HOUR);
        let requests = (requests_per_hour > 0).then_some(requests);
        Self { requests, throttle, windows: Mutex::default() }
    }

    /// Returns how many requests an hour are allowed; none if requests are not limited.
    pub fn most_requests(&self) -> Option<u64> {
        match self.requests?.policy {
            Policy::Allowance(Allowance { most, .. }) => Some(most),
            Policy::GrowingDelay(_) | Policy::Spacing(_) => None,
        }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Arc<Window>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn window(&self, key: Key, now: Instant) -> Arc<Window> {
        self.windows().entry(key).or_insert_with(|| Arc::new(Window::new(key, now))).clone()
    }

    /// Returns the windows with an unspent part and without use for `idle`.
    fn idle_windows(&self, idle: Duration, now: Instant) -> Vec<Arc<Window>> {
        let windows = self.windows();
        let is_idle = |window: &&Arc<Window>| {
            let state = window.state();
            state.unspent > 0 && now.saturating_duration_since(state.spent_at) >= idle
        };
        windows.values().filter(is_idle).cloned().collect()
    }

    /// Drops windows that are not in use and have no unspent part.
    fn forget(&self, idle: Duration, monotonic: Instant) {
        let now = clock::system_now();
        self.windows().retain(|_, window| {
            let state = window.state();
            let is_idle = monotonic.saturating_duration_since(state.spent_at) >= idle;
            let is_in_use = state.ends_at > now && (state.unspent > 0 || !is_idle);
            // Another owner of the window may be about to take a part.
            is_in_use || Arc::strong_count(window) > 1
        });
    }
}

/// One subject's window, as this server sees it.
#[derive(Debug)]
struct Window {
    key: Key,
    /// Locked while the database is queried for this window, so that others wait for the result instead of
    /// querying too.
    query_lock: Arc<AsyncMutex<()>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ends_at: DateTime<Utc>,
    /// Part taken from the database and not spent.
    unspent: u64,
    /// Remainder in the database when it was last queried.
    stored_rest: u64,
    /// Time at which the database last had nothing left.
    refused_at: Option<Instant>,
    spent_at: Instant,
}

/// Outcome of an attempt to spend from memory.
enum Attempt {
    Spent(Remaining),
    Refused(Error),
    /// The database must be queried; `again` if it had nothing left a while ago.
    Query {
        again: bool,
    },
}

impl Window {
    fn new(key: Key, now: Instant) -> Self {
        let state = State {
            ends_at: DateTime::UNIX_EPOCH,
            unspent: 0,
            stored_rest: 0,
            refused_at: None,
            spent_at: now,
        };
        Self { key, query_lock: Arc::default(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spends one use from memory, without querying the database.
    fn try_spend(&self, allowance: &Allowance, monotonic: Instant) -> Attempt {
        let now = clock::system_now();
        let mut state = self.state();
        if state.ends_at <= now {
            (state.unspent, state.refused_at) = (0, None);
            return Attempt::Query { again: false };
        }
        if state.unspent > 0 {
            return Attempt::Spent(state.spend(allowance, now, monotonic));
        }
        match state.refused_at {
            None => Attempt::Query { again: false },
            Some(at) if monotonic.saturating_duration_since(at) < RECHECK => {
                Attempt::Refused(too_many(state.ends_at, now))
            }
            Some(_) => {
                state.refused_at = Some(monotonic);
                Attempt::Query { again: true }
            }
        }
    }

    /// Takes a part of the allowance from the database and spends one use of it. With `again`, reads first to
    /// avoid a useless write.
    async fn take(&self, app: &App, allowance: &Allowance, again: bool) -> Result<Remaining> {
        let now = clock::system_now();
        if again
            && let Some(row) = Entity::find_by_id(self.key.to_vec()).one(&app.db.read).await?
            && row.ends_at > now
            && number(row.used)? >= allowance.most
        {
            return Err(self.state().refuse(row.ends_at, now, app.monotonic.now()));
        }
        let tx = app.db.write().await?;
        let most =
            i64::try_from(allowance.most).map_err(|_| Error::broken("an allowance is too large to count"))?;
        let values = [
            self.key.to_vec().into(),
            (now + allowance.window).into(),
            part_of(most).into(),
            now.into(),
            most.into(),
        ];
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), take_part(), values);
        let Some(row) = Entity::find().from_raw_sql(statement).one(&tx).await? else {
            let row: Option<Model> = Entity::find_by_id(self.key.to_vec()).one(&tx).await?;
            let row = row.ok_or_else(|| Error::broken("a window of a limit does not exist"))?;
            return Err(self.state().refuse(row.ends_at, now, app.monotonic.now()));
        };
        tx.commit().await?;
        let mut state = self.state();
        (state.ends_at, state.unspent, state.refused_at) = (row.ends_at, number(row.granted)?, None);
        state.stored_rest = allowance.most.saturating_sub(number(row.used)?);
        Ok(state.spend(allowance, now, app.monotonic.now()))
    }

    /// Returns the unspent part to the database.
    async fn return_unspent(&self, app: &App) -> Result<()> {
        let (unspent, ends_at) = {
            let mut state = self.state();
            (std::mem::take(&mut state.unspent), state.ends_at)
        };
        if unspent == 0 {
            return Ok(());
        }
        let result = async {
            let tx = app.db.write().await?;
            Entity::update_many()
                .col_expr(
                    Column::Used,
                    Expr::col(Column::Used).sub(i64::try_from(unspent).unwrap_or_default()),
                )
                .filter(Column::Key.eq(self.key.to_vec()))
                .filter(Column::EndsAt.eq(ends_at))
                .exec(&tx)
                .await?;
            tx.commit().await?;
            Ok(())
        };
        let result = result.await;
        let mut state = self.state();
        match &result {
            Ok(()) => state.stored_rest += unspent,
            Err(_) => state.unspent += unspent,
        }
        result
    }
}

impl State {
    fn spend(&mut self, allowance: &Allowance, now: DateTime<Utc>, monotonic: Instant) -> Remaining {
        self.unspent = self.unspent.saturating_sub(1);
        self.spent_at = monotonic;
        Remaining {
            most: allowance.most,
            left: self.unspent + self.stored_rest,
            reset: seconds(self.ends_at, now),
        }
    }

    fn refuse(&mut self, ends_at: DateTime<Utc>, now: DateTime<Utc>, monotonic: Instant) -> Error {
        (self.ends_at, self.unspent, self.stored_rest, self.refused_at) = (ends_at, 0, 0, Some(monotonic));
        too_many(ends_at, now)
    }
}

fn too_many(ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Error {
    Error::TooMany { retry_after: seconds(ends_at, now) }
}

/// Returns the whole seconds until `until`, at least one.
fn seconds(until: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let left = u64::try_from((until - now).num_milliseconds()).unwrap_or_default();
    Ord::max(left.div_ceil(1000), 1)
}

fn number(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| Error::broken("a window of a limit has a negative count"))
}

/// Returns the part to take from the remainder: a twentieth, at least 1 and at most 100.
fn part_of(left: i64) -> i64 {
    (left / 20).clamp(1, 100)
}

/// Returns the SQL that opens the window or takes a part of the remainder; it returns no row if nothing is
/// left. It computes `part_of` in the database, so that two servers can take parts concurrently.
fn take_part() -> String {
    let left = "($5 - limit_use.used)";
    let part = format!("CASE WHEN {left} >= 2000 THEN 100 WHEN {left} >= 20 THEN {left} / 20 ELSE 1 END");
    let ended = "limit_use.ends_at <= $4";
    format!(
        "INSERT INTO limit_use (key, ends_at, used, granted) VALUES ($1, $2, $3, $3) \
         ON CONFLICT (key) DO UPDATE SET \
         ends_at = CASE WHEN {ended} THEN $2 ELSE limit_use.ends_at END, \
         used = CASE WHEN {ended} THEN $3 ELSE limit_use.used + {part} END, \
         granted = CASE WHEN {ended} THEN $3 ELSE {part} END \
         WHERE {ended} OR limit_use.used < $5 \
         RETURNING key, ends_at, used, granted, blocked_until"
    )
}

/// Spends one use of the allowance with this key, or returns `TooMany` with the time to wait.
pub async fn spend(app: &App, allowance: Allowance, key: Key) -> Result<Remaining> {
    let window = app.limits.window(key, app.monotonic.now());
    let mut again = match window.try_spend(&allowance, app.monotonic.now()) {
        Attempt::Spent(remaining) => return Ok(remaining),
        Attempt::Refused(error) => return Err(error),
        Attempt::Query { again } => again,
    };
    let query_lock = window.query_lock.clone().lock_owned().await;
    if !again {
        again = match window.try_spend(&allowance, app.monotonic.now()) {
            Attempt::Spent(remaining) => return Ok(remaining),
            Attempt::Refused(error) => return Err(error),
            Attempt::Query { again } => again,
        };
    }
    let app = app.clone();
    run_to_end(query_lock, async move { window.take(&app, &allowance, again).await }).await
}

/// Returns the unspent parts of callers that have been idle this long, and drops their windows.
pub async fn return_unspent(app: &App, idle: Duration) -> Result<()> {
    for window in app.limits.idle_windows(idle, app.monotonic.now()) {
        let query_lock = window.query_lock.clone().lock_owned().await;
        let app = app.clone();
        run_to_end(query_lock, async move { window.return_unspent(&app).await }).await?;
    }
    app.limits.forget(idle, app.monotonic.now());
    Ok(())
}

/// Runs work to its end even if its caller stops waiting, so that database and memory stay consistent.
async fn run_to_end<T: Send + 'static>(
    query_lock: OwnedMutexGuard<()>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = tokio::spawn(async move {
        let _query_lock = query_lock;
        work.await
    });
    work.await.map_err(|_| Error::broken("counting a request did not finish"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_twentieth_between_one_and_a_hundred() {
        let parts = [(10_000, 100), (2_000, 100), (1_999, 99), (40, 2), (39, 1), (20, 1), (19, 1), (1, 1)];
        for (left, part) in parts {
            assert_eq!(part_of(left), part, "{left}");
        }
    }

    #[test]
    fn a_window_ends_in_at_least_one_second() {
        let now = clock::system_now();
        let in_ms = |ms| seconds(now + chrono::Duration::milliseconds(ms), now);
        assert_eq!([in_ms(3_600_000), in_ms(1_001), in_ms(1), in_ms(-5)], [3_600, 2, 1, 1]);
    }
}
