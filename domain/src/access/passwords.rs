//! Password hashing and verification, with a limit on concurrent work.

use crate::{
    Error, Refusal, Result,
    kernel::{
        app::{App, Feature},
        secrets::{self, Secret},
    },
};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::Arc;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// 19 MiB, two passes, one lane: the minimum for Argon2id in the OWASP Password Storage Cheat Sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Most requests that wait for hashing; further ones are refused.
const MAX_WAITING: usize = 64;

/// Limits how many passwords are hashed at once and how many requests wait, so that a flood of sign-ins
/// exhausts neither memory nor processors.
#[derive(Clone, Debug)]
pub struct Pool {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            working: Arc::new(Semaphore::new((processors / 2).max(1))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

/// Allowed length of a password, in characters.
pub const MIN_LENGTH: usize = 8;
pub const MAX_LENGTH: usize = 128;

/// Refuses a password that is shorter than 8 or longer than 128 characters in normalized form.
pub fn check(field: &str, password: &Secret<String>) -> Result<()> {
    match normalised(password).reveal().chars().count() {
        0 => Err(Refusal::required(field).into()),
        MIN_LENGTH..=MAX_LENGTH => Ok(()),
        _ => {
            Err(Refusal::invalid(field, format!("must have {MIN_LENGTH} to {MAX_LENGTH} characters")).into())
        }
    }
}

/// Returns the normalized form (NFKC) of a password, independent of how a keyboard composes characters.
fn normalised(password: &Secret<String>) -> Secret<String> {
    Secret::new(password.reveal().nfkc().collect())
}

/// Returns the forms that a stored hash may be of: normalized, and as typed for passwords from before
/// normalization.
fn forms(password: Secret<String>) -> Vec<Secret<String>> {
    let normalised = normalised(&password);
    if normalised.reveal() == password.reveal() { vec![normalised] } else { vec![normalised, password] }
}

impl Pool {
    /// Returns the hash to store: Argon2id of the normalized password with a random salt.
    pub async fn hash(&self, password: Secret<String>) -> Result<String> {
        let salt = secrets::random::<16>()?;
        self.work(move || hashed(&normalised(&password), &salt)).await?
    }

    /// Verifies a password against a stored hash. Without a hash it takes as long and returns false.
    pub async fn verify(&self, password: Secret<String>, stored: Option<String>) -> Result<bool> {
        let salt = secrets::random::<16>()?;
        self.work(move || {
            let Some(stored) = stored else {
                for form in forms(password) {
                    hashed(&form, &salt)?;
                }
                return Ok(false);
            };
            let stored = PasswordHash::new(&stored)
                .map_err(|_| Error::broken("a stored password hash cannot be read"))?;
            let hasher = hasher()?;
            Ok(forms(password)
                .iter()
                .any(|form| hasher.verify_password(form.reveal().as_bytes(), &stored).is_ok()))
        })
        .await?
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let too_many = || Error::Unavailable("Too many sign-ins at once. Try again in a moment.");
        let slot = self.waiting.clone().try_acquire_owned().map_err(|_| too_many())?;
        let turn = self.working.clone().acquire_owned().await.map_err(|_| too_many())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, slot));
            done
        });
        done.await.map_err(|_| Error::broken("password hashing was aborted"))
    }
}

fn hashed(password: &Secret<String>, salt: &[u8]) -> Result<String> {
    let hash = hasher()?.hash_password_with_salt(password.reveal().as_bytes(), salt);
    hash.map(|hash: PasswordHash| hash.to_string())
        .map_err(|_| Error::broken("a password could not be hashed"))
}

fn hasher() -> Result<Argon2<'static>> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|_| Error::broken("the hashing parameters are wrong"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

impl Feature for Pool {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_hashed_with_argon2id_and_verified() {
        let pool = Pool::default();
        let password = || Secret::new("correct horse".to_owned());
        let stored = pool.hash(password()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, pool.hash(password()).await.unwrap());
        assert!(pool.verify(password(), Some(stored.clone())).await.unwrap());
        assert!(!pool.verify(Secret::new("correct hors".to_owned()), Some(stored)).await.unwrap());
        assert!(!pool.verify(password(), None).await.unwrap());
    }

    #[tokio::test]
    async fn composed_and_decomposed_characters_are_the_same_password() {
        let pool = Pool::default();
        let password = |text: &str| Secret::new(text.to_owned());
        let stored = pool.hash(password("pässword Å")).await.unwrap();
        for same in ["pässword Å", "pa\u{308}ssword A\u{30a}", "pässword \u{212b}", "ｐässword Å"] {
            assert!(pool.verify(password(same), Some(stored.clone())).await.unwrap(), "{same}");
        }
        assert!(!pool.verify(password("password A"), Some(stored)).await.unwrap());
        // Hashed as typed, before passwords were normalized.
        let before = hashed(&password("pa\u{308}ssword"), &[7; 16]).unwrap();
        assert!(pool.verify(password("pa\u{308}ssword"), Some(before.clone())).await.unwrap());
        assert!(!pool.verify(password("pässword"), Some(before)).await.unwrap());
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_limit_are_refused() {
        let pool = Pool { working: Arc::new(Semaphore::new(0)), waiting: Arc::new(Semaphore::new(0)) };
        let refused = pool.hash(Secret::new("correct horse".to_owned())).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))));
    }

    #[test]
    fn passwords_have_8_to_128_characters() {
        for (password, fits) in [
            ("1234567", false),
            ("12345678", true),
            (&"ä".repeat(128), true),
            (&"a".repeat(129), false),
            ("", false),
            // Four letters, each typed as two characters.
            ("a\u{308}o\u{308}u\u{308}e\u{301}", false),
            (&"a\u{308}".repeat(128), true),
        ] {
            assert_eq!(check("password", &Secret::new(password.to_owned())).is_ok(), fits, "{password}");
        }
    }
}
