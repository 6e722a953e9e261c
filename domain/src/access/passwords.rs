//! Passwords: how they are kept, and how many are looked at at once.

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

/// 19 MiB, two passes, one lane: what the password storage guidance of OWASP asks of Argon2id at least.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many may wait for their turn; one more is sent away.
const WAITING: usize = 64;

/// Hashes few passwords at once and lets few wait, so that a flood of sign-ins fills neither memory nor
/// processors.
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
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

/// The fewest and the most characters of a password.
pub const MIN_LENGTH: usize = 8;
pub const MAX_LENGTH: usize = 128;

/// Refuses a password that is shorter than 8 or longer than 128 characters in its normalised form.
pub fn check(field: &str, password: &Secret<String>) -> Result<()> {
    match normalised(password).reveal().chars().count() {
        0 => Err(Refusal::required(field).into()),
        MIN_LENGTH..=MAX_LENGTH => Ok(()),
        _ => {
            Err(Refusal::invalid(field, format!("must have {MIN_LENGTH} to {MAX_LENGTH} characters")).into())
        }
    }
}

/// The one form of a password, however a keyboard composes its characters (NFKC).
fn normalised(password: &Secret<String>) -> Secret<String> {
    Secret::new(password.reveal().nfkc().collect())
}

/// The forms by which a password may have been kept: normalised, and as it was typed before passwords were
/// normalised.
fn forms(password: Secret<String>) -> Vec<Secret<String>> {
    let normalised = normalised(&password);
    if normalised.reveal() == password.reveal() { vec![normalised] } else { vec![normalised, password] }
}

impl Pool {
    /// The text to keep of a password: Argon2id of its normalised form under a fresh salt.
    pub async fn hash(&self, password: Secret<String>) -> Result<String> {
        let salt = secrets::random::<16>()?;
        self.work(move || hashed(&normalised(&password), &salt)).await?
    }

    /// Whether this is the password that was kept. Without one that was kept it takes as long and is false.
    pub async fn verify(&self, password: Secret<String>, kept: Option<String>) -> Result<bool> {
        let salt = secrets::random::<16>()?;
        self.work(move || {
            let Some(kept) = kept else {
                for form in forms(password) {
                    hashed(&form, &salt)?;
                }
                return Ok(false);
            };
            let kept =
                PasswordHash::new(&kept).map_err(|_| Error::broken("a kept password cannot be read"))?;
            let hasher = hasher()?;
            Ok(forms(password)
                .iter()
                .any(|form| hasher.verify_password(form.reveal().as_bytes(), &kept).is_ok()))
        })
        .await?
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let too_many = || Error::Unavailable("Too many people sign in at once; try again in a moment.");
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| too_many())?;
        let turn = self.working.clone().acquire_owned().await.map_err(|_| too_many())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        done.await.map_err(|_| Error::broken("hashing broke off"))
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
    async fn a_password_is_kept_as_argon2id_and_known_again() {
        let pool = Pool::default();
        let password = || Secret::new("correct horse".to_owned());
        let kept = pool.hash(password()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, pool.hash(password()).await.unwrap());
        assert!(pool.verify(password(), Some(kept.clone())).await.unwrap());
        assert!(!pool.verify(Secret::new("correct hors".to_owned()), Some(kept)).await.unwrap());
        assert!(!pool.verify(password(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_is_one_however_its_characters_are_composed() {
        let pool = Pool::default();
        let password = |text: &str| Secret::new(text.to_owned());
        let kept = pool.hash(password("pässword Å")).await.unwrap();
        for same in ["pässword Å", "pa\u{308}ssword A\u{30a}", "pässword \u{212b}", "ｐässword Å"] {
            assert!(pool.verify(password(same), Some(kept.clone())).await.unwrap(), "{same}");
        }
        assert!(!pool.verify(password("password A"), Some(kept)).await.unwrap());
        // Kept as it was typed, before passwords were normalised.
        let before = hashed(&password("pa\u{308}ssword"), &[7; 16]).unwrap();
        assert!(pool.verify(password("pa\u{308}ssword"), Some(before.clone())).await.unwrap());
        assert!(!pool.verify(password("pässword"), Some(before)).await.unwrap());
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_sent_away() {
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
