//! Limits on how often something may be done. Each is a constant of one of two policies, with its figures:
//!
//! - [`Allowance`]: a number of uses in a window, for callers and client addresses;
//! - [`GrowingDelay`]: longer waits after repeated failures, for guesses at a secret.
//!
//! Subjects are stored as keyed hashes only.

mod delays;
mod windows;

pub use delays::{GrowingDelay, Subject, count_attempt, forget_old_failures, succeeded, uncount_attempt};
pub use windows::{Allowance, IDLE, Limits, Remaining, forget_ended_windows, return_unspent, spend};

use super::app::App;
use crate::{Result, Who};
use std::{net::IpAddr, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Requests of an API key, of a user, or, without credentials, of an address; the operator can set another
/// number.
pub const REQUESTS: Allowance = Allowance { name: "requests", most: 10_000, window: HOUR };
/// Attempts to sign in from one address.
pub const ANONYMOUS_SIGN_IN: Allowance = Allowance { name: "sign_in", most: 30, window: MINUTE };
/// Attempts to recover an account from one address.
pub const ANONYMOUS_RECOVERY: Allowance = Allowance { name: "recovery", most: 10, window: HOUR };
/// Password recovery e-mails to one user.
pub const RECOVERY: Allowance = Allowance { name: "recovery_of", most: 5, window: HOUR };
/// Sign-ups from one address.
pub const SIGN_UP: Allowance = Allowance { name: "sign_up", most: 30, window: HOUR };
/// Authenticator codes of one user.
pub const TOTP: GrowingDelay = GrowingDelay { name: "throttle.totp", free: 5 };
/// Passwords for one e-mail address from one client address.
pub const PASSWORD_FROM_CLIENT: GrowingDelay = GrowingDelay { name: "throttle.password_from", free: 5 };
/// Passwords for one e-mail address from all clients together: a stranger must not lock the user out.
pub const PASSWORD: GrowingDelay = GrowingDelay { name: "throttle.password", free: 100 };

/// Counts a request against the allowance of its API key, its user, or, without credentials, its address.
/// None if requests are not limited or the address is unknown.
pub async fn request(app: &App, who: &Who, address: Option<IpAddr>) -> Result<Option<Remaining>> {
    let Some(allowance) = app.limits.requests else { return Ok(None) };
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
    spend(app, allowance, &subject).await.map(Some)
}

/// Spends one use of an address's allowance, if such limits are enabled and the address is known.
pub async fn by_address(app: &App, allowance: Allowance, address: Option<IpAddr>) -> Result<()> {
    match address.filter(|_| app.limits.throttle) {
        Some(address) => spend(app, allowance, &address_key(address)).await.map(|_| ()),
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
