//! Limits on how often something may be done: every limit of callers, addresses and guesses, with its figures.
//!
//! A limit has one of three policies. Uses of the first two are counted in one table (`limit_use`), for all servers
//! together; see docs/decisions/limits.md. Subjects are stored as keyed hashes only.

mod delays;
mod spacing;
mod windows;

pub use delays::GrowingDelay;
pub use spacing::Spacing;
pub use windows::{Allowance, IDLE, Limits, Remaining, return_unspent};

use super::{app::App, clock};
use crate::{Result, Who};
use entity::limit_use;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::{net::IpAddr, time::Duration};
use uuid::Uuid;

/// Limit on how often a subject may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Distinguishes the limits of one subject. Stored as part of keyed hashes.
    pub name: &'static str,
    pub policy: Policy,
}

/// When a use is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// After a number of uses in a window.
    Allowance(Allowance),
    /// For increasing times after failures.
    GrowingDelay(GrowingDelay),
    /// Too soon after earlier uses, each of which is a row.
    Spacing(Spacing),
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Requests of an API key, of a user, or, without credentials, of an address; the operator can set another
/// number.
pub const REQUESTS: Limit = Limit::allowance("allowance|requests", REQUESTS_PER_HOUR, HOUR);
pub const REQUESTS_PER_HOUR: u64 = 10_000;
/// Attempts to sign in from one address.
pub const ANONYMOUS_SIGN_IN: Limit = Limit::allowance("allowance|sign_in", 30, MINUTE);
/// Attempts to recover an account from one address.
pub const ANONYMOUS_RECOVERY: Limit = Limit::allowance("allowance|recovery", 10, HOUR);
/// Password recovery e-mails to one user.
pub const RECOVERY: Limit = Limit::allowance("allowance|recovery_of", 5, HOUR);
/// Sign-ups from one address.
pub const SIGN_UP: Limit = Limit::allowance("allowance|sign_up", 30, HOUR);
/// Authenticator codes of one user.
pub const TOTP: Limit = Limit::growing_delay("throttle.totp", 5);
/// Passwords for one e-mail address from one client address.
pub const PASSWORD_FROM_CLIENT: Limit = Limit::growing_delay("throttle.password_from", 5);
/// Passwords for one e-mail address from all clients together: a stranger must not lock the user out.
pub const PASSWORD: Limit = Limit::growing_delay("throttle.password", 100);
/// Passcodes to one user, and to one phone number.
pub const PASSCODES: Limit = Limit::spacing("passcodes", Duration::from_secs(30), 5, HOUR);
/// E-mails of one user's data to the advisors.
pub const DATA_MAILS: Limit = Limit::spacing("data_mails", MINUTE, 60, HOUR);

/// Subject of a limit, such as an address or a user; stored only as a keyed hash.
#[derive(Clone, Debug)]
pub struct Subject {
    limit: Limit,
    key: [u8; 32],
}

impl Limit {
    pub const fn allowance(name: &'static str, most: u64, window: Duration) -> Self {
        Self { name, policy: Policy::Allowance(Allowance { most, window }) }
    }

    const fn growing_delay(name: &'static str, free: i64) -> Self {
        Self { name, policy: Policy::GrowingDelay(GrowingDelay { free }) }
    }

    const fn spacing(name: &'static str, apart: Duration, most: usize, window: Duration) -> Self {
        Self { name, policy: Policy::Spacing(Spacing { apart, most, window }) }
    }

    /// Returns a subject of this limit.
    pub fn of(self, app: &App, subject: &[u8]) -> Subject {
        Subject { limit: self, key: app.vault.limit_key(self.name, subject) }
    }

    /// Returns a subject of this limit that belongs to a partner.
    pub fn of_partner(self, app: &App, partner_id: Uuid, subject: &str) -> Subject {
        self.of(app, &[partner_id.as_bytes(), b"|".as_slice(), subject.as_bytes()].concat())
    }
}

/// Counts one use of each subject, or returns `TooMany` with the time to wait. Attempts with a growing delay are
/// counted as failed before they are made, all of them or none, so that concurrent attempts are counted one by
/// one. Returns what is left of the last allowance.
pub async fn spend(app: &App, subjects: &[Subject]) -> Result<Option<Remaining>> {
    let (mut left, mut delayed) = (None, Vec::new());
    for Subject { limit, key } in subjects {
        match limit.policy {
            Policy::Allowance(allowance) => left = Some(windows::spend(app, allowance, *key).await?),
            Policy::GrowingDelay(delay) => delayed.push((delay, *key)),
            // Its uses are counted when they are written.
            Policy::Spacing(_) => {}
        }
    }
    delays::count(app, &delayed).await?;
    Ok(left)
}

/// Reverts the counting of attempts that could not be made. Spent allowances stay spent.
pub async fn revert(app: &App, subjects: &[Subject]) -> Result<()> {
    delays::uncount(app, &failed_keys(subjects)).await
}

/// Deletes the failures of subjects that have succeeded. Spent allowances stay spent.
pub async fn succeeded(app: &App, subjects: &[Subject]) -> Result<()> {
    delays::forget(app, &failed_keys(subjects)).await
}

fn failed_keys(subjects: &[Subject]) -> Vec<Vec<u8>> {
    let counts_failures = |subject: &&Subject| matches!(subject.limit.policy, Policy::GrowingDelay(_));
    subjects.iter().filter(counts_failures).map(|subject| subject.key.to_vec()).collect()
}

/// Deletes the uses of windows and delays that have ended; returns their number.
pub async fn forget_ended(connection: &impl ConnectionTrait) -> Result<u64> {
    let ended = limit_use::Entity::delete_many().filter(limit_use::Column::EndsAt.lte(clock::system_now()));
    Ok(ended.exec(connection).await?.rows_affected)
}

/// Counts a request against the allowance of its API key, its user, or, without credentials, its address.
/// None if requests are not limited or the address is unknown.
pub async fn request(app: &App, who: &Who, address: Option<IpAddr>) -> Result<Option<Remaining>> {
    let Some(limit) = app.limits.requests else { return Ok(None) };
    let subject = match (who, address) {
        // A publishable key is not secret, so each of its users gets a separate allowance.
        (Who::Partner(key), Some(address)) if key.is_publishable() => {
            [key.key_id.as_bytes().to_vec(), address_key(address)].concat()
        }
        (Who::Partner(key), _) => key.key_id.as_bytes().to_vec(),
        (Who::User(user), _) => user.user_id.as_bytes().to_vec(),
        (Who::Anonymous, Some(address)) => address_key(address),
        (Who::Anonymous, None) => return Ok(None),
    };
    spend(app, &[limit.of(app, &subject)]).await
}

/// Spends one use of a limit by an address, if such limits are enabled and the address is known.
pub async fn by_address(app: &App, limit: Limit, address: Option<IpAddr>) -> Result<()> {
    match address.filter(|_| app.limits.throttle) {
        Some(address) => spend(app, &[limit.of(app, &address_key(address))]).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Returns the part of an address that a caller cannot choose: all of an IPv4 address, the /64 network of an
/// IPv6 address.
pub fn address_key(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_cannot_vary_the_key_of_its_address() {
        let of = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), [192, 0, 2, 7]);
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
