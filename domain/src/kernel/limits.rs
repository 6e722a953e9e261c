//! How often somebody may do something: allowances that survive a restart and are shared by every server on
//! one database.
//!
//! A request costs no write. A server takes a part of the allowance, spends it in memory, and gives the rest
//! back when it stops or when the caller falls silent; what a server that was killed had taken is spent for
//! the rest of the window.

use super::clock;
use crate::{Error, Result, Who, kernel::app::App};
use chrono::{DateTime, Utc};
use entity::rate_window::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, Statement, sea_query::Expr,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// How much there is of something in a window of system time, which opens with the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tells allowances of one subject apart.
    pub name: &'static str,
    pub most: u64,
    pub window: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Requests of a key, of a person, or of an address from which nobody is known; the setting may say another
/// number.
pub const REQUESTS: Allowance = Allowance { name: "requests", most: 10_000, window: HOUR };
/// Tries to sign in from one address.
pub const ANONYMOUS_SIGN_IN: Allowance = Allowance { name: "sign_in", most: 30, window: MINUTE };
/// Tries to recover an account from one address.
pub const ANONYMOUS_RECOVERY: Allowance = Allowance { name: "recovery", most: 10, window: HOUR };
/// Mails by which one person may choose another password.
pub const RECOVERY: Allowance = Allowance { name: "recovery_of", most: 5, window: HOUR };
/// New people from one address.
pub const SIGN_UP: Allowance = Allowance { name: "sign_up", most: 30, window: HOUR };

/// After how long a silent caller's part of an allowance is given back.
pub const IDLE: Duration = Duration::from_secs(5);
/// How often a server that refuses looks whether another one has given something back.
const RECHECK: Duration = Duration::from_secs(1);

/// What is left of an allowance, as far as this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub most: u64,
    pub left: u64,
    /// Seconds until the window ends.
    pub reset: u64,
}

type Key = [u8; 32];

/// What this server has taken of everybody's allowances.
#[derive(Debug)]
pub struct Limits {
    /// None where requests are not limited.
    pub requests: Option<Allowance>,
    throttle: bool,
    windows: Mutex<HashMap<Key, Arc<Window>>>,
}

impl Limits {
    /// With so many requests an hour, no end of them with 0; `throttle` says whether addresses are slowed
    /// down besides.
    pub fn new(requests_per_hour: u64, throttle: bool) -> Self {
        let requests = (requests_per_hour > 0).then_some(Allowance { most: requests_per_hour, ..REQUESTS });
        Self { requests, throttle, windows: Mutex::default() }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Arc<Window>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn window(&self, key: Key) -> Arc<Window> {
        self.windows().entry(key).or_insert_with(|| Arc::new(Window::new(key))).clone()
    }

    /// Those of which a part was taken and nothing spent for so long.
    fn left_lying(&self, idle: Duration) -> Vec<Arc<Window>> {
        let windows = self.windows();
        let lying = |window: &&Arc<Window>| {
            let state = window.state();
            state.held > 0 && state.spent_at.elapsed() >= idle
        };
        windows.values().filter(lying).cloned().collect()
    }

    /// Forgets the windows that nobody is using and of which nothing is held.
    fn forget(&self, idle: Duration) {
        let now = clock::system_now();
        self.windows().retain(|_, window| {
            let state = window.state();
            let of_use = state.ends_at > now && (state.held > 0 || state.spent_at.elapsed() < idle);
            // Whoever has a hold of the window may be about to take a part into it.
            of_use || Arc::strong_count(window) > 1
        });
    }
}

/// One caller's window, as this server sees it.
#[derive(Debug)]
struct Window {
    key: Key,
    /// Held by whoever asks the database about this window, so that nobody asks for what another is about to
    /// get.
    asking: Arc<Turns<()>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ends_at: DateTime<Utc>,
    /// Taken and not spent.
    held: u64,
    /// Left for everybody when we last asked.
    beyond: u64,
    /// When the database last had nothing for us.
    refused_at: Option<Instant>,
    spent_at: Instant,
}

/// What a request finds.
enum Turn {
    Spent(Remaining),
    Refused(Error),
    /// The database is to be asked; `again` if it had nothing a while ago.
    Ask {
        again: bool,
    },
}

impl Window {
    fn new(key: Key) -> Self {
        let state = State {
            ends_at: DateTime::UNIX_EPOCH,
            held: 0,
            beyond: 0,
            refused_at: None,
            spent_at: Instant::now(),
        };
        Self { key, asking: Arc::default(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spends one of what is held, without asking anybody.
    fn turn(&self, allowance: &Allowance) -> Turn {
        let now = clock::system_now();
        let mut state = self.state();
        if state.ends_at <= now {
            (state.held, state.refused_at) = (0, None);
            return Turn::Ask { again: false };
        }
        if state.held > 0 {
            return Turn::Spent(state.spend(allowance, now));
        }
        match state.refused_at {
            None => Turn::Ask { again: false },
            Some(at) if at.elapsed() < RECHECK => Turn::Refused(too_many(state.ends_at, now)),
            Some(_) => {
                state.refused_at = Some(Instant::now());
                Turn::Ask { again: true }
            }
        }
    }

    /// Takes a part of the allowance and spends one of it. Whoever asks `again` reads first, so as not to
    /// write in vain.
    async fn take(&self, app: &App, allowance: &Allowance, again: bool) -> Result<Remaining> {
        let now = clock::system_now();
        if again
            && let Some(row) = Entity::find_by_id(self.key.to_vec()).one(&app.db.read).await?
            && row.ends_at > now
            && number(row.used)? >= allowance.most
        {
            return Err(self.state().refuse(row.ends_at, now));
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
            let row = row.ok_or_else(|| Error::broken("a rate window is gone"))?;
            return Err(self.state().refuse(row.ends_at, now));
        };
        tx.commit().await?;
        let mut state = self.state();
        (state.ends_at, state.held, state.refused_at) = (row.ends_at, number(row.granted)?, None);
        state.beyond = allowance.most.saturating_sub(number(row.used)?);
        Ok(state.spend(allowance, now))
    }

    /// Gives back what is held and not spent.
    async fn give_back(&self, app: &App) -> Result<()> {
        let (held, ends_at) = {
            let mut state = self.state();
            (std::mem::take(&mut state.held), state.ends_at)
        };
        if held == 0 {
            return Ok(());
        }
        let given = async {
            let tx = app.db.write().await?;
            Entity::update_many()
                .col_expr(Column::Used, Expr::col(Column::Used).sub(i64::try_from(held).unwrap_or_default()))
                .filter(Column::Key.eq(self.key.to_vec()))
                .filter(Column::EndsAt.eq(ends_at))
                .exec(&tx)
                .await?;
            tx.commit().await?;
            Ok(())
        };
        let given = given.await;
        let mut state = self.state();
        match &given {
            Ok(()) => state.beyond += held,
            Err(_) => state.held += held,
        }
        given
    }
}

impl State {
    fn spend(&mut self, allowance: &Allowance, now: DateTime<Utc>) -> Remaining {
        self.held = self.held.saturating_sub(1);
        self.spent_at = Instant::now();
        Remaining { most: allowance.most, left: self.held + self.beyond, reset: seconds(self.ends_at, now) }
    }

    fn refuse(&mut self, ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Error {
        (self.ends_at, self.held, self.beyond, self.refused_at) = (ends_at, 0, 0, Some(Instant::now()));
        too_many(ends_at, now)
    }
}

fn too_many(ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Error {
    Error::TooMany { retry_after: seconds(ends_at, now) }
}

/// Whole seconds until then, at least one.
fn seconds(until: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let left = u64::try_from((until - now).num_milliseconds()).unwrap_or_default();
    Ord::max(left.div_ceil(1000), 1)
}

fn number(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| Error::broken("a rate window counts below zero"))
}

/// How much is taken at once of what is left: a twentieth, at least one and at most a hundred.
fn part_of(left: i64) -> i64 {
    (left / 20).clamp(1, 100)
}

/// Opens the window, or takes a part of what is left in it; no row comes back where nothing is left. The
/// arithmetic is that of `part_of`, done by the database between two servers that take at once.
fn take_part() -> String {
    let left = "($5 - rate_window.used)";
    let part = format!("CASE WHEN {left} >= 2000 THEN 100 WHEN {left} >= 20 THEN {left} / 20 ELSE 1 END");
    let ended = "rate_window.ends_at <= $4";
    format!(
        "INSERT INTO rate_window (key, ends_at, used, granted) VALUES ($1, $2, $3, $3) ON CONFLICT (key) DO UPDATE SET \
         ends_at = CASE WHEN {ended} THEN $2 ELSE rate_window.ends_at END, \
         used = CASE WHEN {ended} THEN $3 ELSE rate_window.used + {part} END, \
         granted = CASE WHEN {ended} THEN $3 ELSE {part} END \
         WHERE {ended} OR rate_window.used < $5 \
         RETURNING key, ends_at, used, granted"
    )
}

/// Spends one of a subject's allowance, or says when there will be more.
pub async fn spend(app: &App, allowance: Allowance, subject: &[u8]) -> Result<Remaining> {
    let window = app.limits.window(app.vault.allowance_key(allowance.name, subject));
    let mut again = match window.turn(&allowance) {
        Turn::Spent(remaining) => return Ok(remaining),
        Turn::Refused(error) => return Err(error),
        Turn::Ask { again } => again,
    };
    let asking = window.asking.clone().lock_owned().await;
    if !again {
        again = match window.turn(&allowance) {
            Turn::Spent(remaining) => return Ok(remaining),
            Turn::Refused(error) => return Err(error),
            Turn::Ask { again } => again,
        };
    }
    let app = app.clone();
    undisturbed(asking, async move { window.take(&app, &allowance, again).await }).await
}

/// Counts a request against its caller's allowance: a key's, a person's, or that of the address nobody is
/// known from. None where requests are not limited or nobody comes from nowhere.
pub async fn request(app: &App, who: &Who, address: Option<IpAddr>) -> Result<Option<Remaining>> {
    let Some(allowance) = app.limits.requests else { return Ok(None) };
    let subject = match (who, address) {
        // Anyone may hold a publishable key, so that one of its holders must not spend what is for all.
        (Who::Partner(key), Some(address)) if key.is_publishable() => {
            [key.key_id.as_bytes().to_vec(), address_key(address)].concat()
        }
        (Who::Partner(key), _) => key.key_id.as_bytes().to_vec(),
        (Who::User(user), _) => user.user_id.as_bytes().to_vec(),
        (Who::Anonymous, Some(address)) => address_key(address),
        (Who::Anonymous, None) => return Ok(None),
    };
    spend(app, allowance, &subject).await.map(Some)
}

/// Spends one of an address's allowance, where addresses are slowed down and this one is known.
pub async fn by_address(app: &App, allowance: Allowance, address: Option<IpAddr>) -> Result<()> {
    match address.filter(|_| app.limits.throttle) {
        Some(address) => spend(app, allowance, &address_key(address)).await.map(|_| ()),
        None => Ok(()),
    }
}

/// What of an address one caller cannot choose: all of an IPv4 address, the network of an IPv6 one.
pub fn address_key(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

/// Gives back what has not been spent of what was taken by callers silent for so long, and forgets them.
pub async fn give_back(app: &App, idle: Duration) -> Result<()> {
    for window in app.limits.left_lying(idle) {
        let asking = window.asking.clone().lock_owned().await;
        let app = app.clone();
        undisturbed(asking, async move { window.give_back(&app).await }).await?;
    }
    app.limits.forget(idle);
    Ok(())
}

/// Does something with the database and the memory that must not be left half done when nobody waits for it
/// any more.
async fn undisturbed<T: Send + 'static>(
    asking: OwnedMutexGuard<()>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = tokio::spawn(async move {
        let _asking = asking;
        work.await
    });
    work.await.map_err(|_| Error::broken("counting a request was cut short"))?
}

/// Removes the windows that have ended; how many.
pub async fn forget_ended(connection: &impl ConnectionTrait) -> Result<u64> {
    Ok(Entity::delete_many()
        .filter(Column::EndsAt.lte(clock::system_now()))
        .exec(connection)
        .await?
        .rows_affected)
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
    fn one_caller_cannot_choose_the_key() {
        let of = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), [192, 0, 2, 7]);
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn a_window_that_ends_soon_ends_in_a_second() {
        let now = clock::system_now();
        let in_ms = |ms| seconds(now + chrono::Duration::milliseconds(ms), now);
        assert_eq!([in_ms(3_600_000), in_ms(1_001), in_ms(1), in_ms(-5)], [3_600, 2, 1, 1]);
    }
}
