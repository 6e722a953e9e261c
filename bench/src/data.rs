//! The rows of the benchmark, the same for every database: each follows from its number alone.

use chrono::{DateTime, TimeDelta, Utc};
use entity::Kind;
use uuid::Uuid;

/// Hundred-millionths in a share.
pub const SHARE: u64 = 100_000_000;

/// How many rows there are.
#[derive(Clone, Copy)]
pub struct Size {
    pub users: u64,
    /// The first accounts, which have a fifth of all orders.
    pub deep_accounts: u64,
    pub orders: u64,
}

/// 10,000 users with two accounts each; 20 accounts have 10,000 orders, four fifths of the others 50, the rest none.
pub const FULL: Size = Size { users: 10_000, deep_accounts: 20, orders: 1_000_000 };

pub const SHORT: Size = Size { users: 200, deep_accounts: 2, orders: 12_000 };

/// Returns the id of a row: a UUIDv7 with this time, other bits that follow from the number, and the tag of its kind.
fn id(kind: Kind, time: DateTime<Utc>, number: u64) -> Uuid {
    let millis = time.timestamp_millis().unsigned_abs();
    let mut mixed = (number ^ ((kind as u64) << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let high = (millis << 16) | 0x7000 | (mixed & 0xfff);
    let low = (1 << 63) | ((mixed >> 10) & 0x3fff_ffff_ffff_ff00) | kind as u64;
    Uuid::from_u64_pair(high, low)
}

/// Returns a time so many milliseconds after the day on which the first customer registered.
fn after(millis: u64) -> DateTime<Utc> {
    let start = DateTime::from_timestamp_millis(1_704_067_200_000).unwrap_or_default();
    start + TimeDelta::milliseconds(i64::try_from(millis).unwrap_or_default())
}

const MINUTE: u64 = 60_000;
const MONTH: u64 = 31 * 24 * 60 * MINUTE;

/// A user; numbers begin with 1.
pub struct User {
    pub id: Uuid,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
}

pub fn user(number: u64) -> User {
    let created_at = after(number * MINUTE);
    User {
        id: id(Kind::User, created_at, number),
        first_name: format!("First{number}"),
        last_name: format!("Last{number}"),
        email: format!("user{number}@example.com"),
        created_at,
    }
}

/// An account; numbers begin with 1.
pub struct Account {
    pub id: Uuid,
    /// Number of its user.
    pub user: u64,
    pub number: String,
    pub kind: &'static str,
    pub opened_at: DateTime<Utc>,
}

pub fn account(size: Size, number: u64) -> Account {
    let opened_at = after(MONTH + number * MINUTE);
    Account {
        id: id(Kind::Account, opened_at, number),
        user: (number - 1) % size.users + 1,
        number: format!("BNCH{number:05}"),
        kind: if number.is_multiple_of(3) { "investment" } else { "cash" },
        opened_at,
    }
}

/// Returns the id of a ledger account of an account.
pub fn ledger_account(account: u64, place: u64) -> Uuid {
    id(Kind::LedgerAccount, after(MONTH + account * MINUTE), account * 4 + place)
}

/// An order; numbers begin with 0, in the order of time.
pub struct Order {
    pub id: Uuid,
    /// Number of its account.
    pub account: u64,
    /// Index of its instrument.
    pub instrument: u64,
    pub side: &'static str,
    pub status: &'static str,
    /// In hundred-millionths of a share, like the filled quantity.
    pub quantity: u64,
    pub filled: u64,
    pub submitted_at: DateTime<Utc>,
}

pub fn order(size: Size, number: u64) -> Order {
    let submitted_at = after(2 * MONTH + number * 37);
    let shares = 2 + number * 17 % 499;
    let (status, filled) = match number * 13 % 4 {
        0 => ("new", 0),
        1 => ("partially_filled", shares / 2),
        2 => ("filled", shares),
        _ => ("canceled", 0),
    };
    Order {
        id: id(Kind::Order, submitted_at, number),
        account: account_of(size, number),
        instrument: number * 31,
        side: if number.is_multiple_of(3) { "sell" } else { "buy" },
        status,
        quantity: shares * SHARE,
        filled: filled * SHARE,
        submitted_at,
    }
}

/// Every fifth order belongs to a deep account; of five other accounts, the first has none.
fn account_of(size: Size, order: u64) -> u64 {
    let (fifth, rest) = (order / 5, order % 5);
    if rest == 0 {
        return fifth % size.deep_accounts + 1;
    }
    let others = 2 * size.users - size.deep_accounts;
    let with_orders = others / 5 * 4;
    let index = (fifth * 4 + rest - 1) % with_orders;
    size.deep_accounts + 1 + index / 4 * 5 + index % 4 + 1
}

impl Size {
    /// Returns the ids of users to read in turn.
    pub fn users_to_read(self) -> Vec<Uuid> {
        (0..self.users.min(500))
            .map(|number| user(number * (self.users / self.users.min(500)) + 1).id)
            .collect()
    }

    /// Returns the ids of the deep accounts.
    pub fn deep(self) -> Vec<Uuid> {
        (1..=self.deep_accounts).map(|number| account(self, number).id).collect()
    }

    /// Returns deep accounts with an order in the middle of their lists, after which a page begins.
    pub fn cursors(self) -> Vec<(Uuid, Uuid)> {
        let each = self.orders / 5 / self.deep_accounts;
        let pages = (1..=10).flat_map(|tenth| (0..self.deep_accounts).map(move |deep| (tenth, deep)));
        pages
            .map(|(tenth, deep)| {
                let place = each / 20 + (each - each / 10) * tenth / 11;
                (account(self, deep + 1).id, order(self, 5 * (place * self.deep_accounts + deep)).id)
            })
            .collect()
    }

    /// Returns the accounts that buy: none of them is read otherwise.
    pub fn buyers(self) -> Vec<Uuid> {
        (1..=(self.users / 2).min(400)).map(|number| account(self, self.users + number).id).collect()
    }
}
