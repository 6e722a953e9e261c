//! `coffer keys rotate-encryption`: which keys, and how far it is.

use super::progress::Shown;
use super::{CliError, cannot, migrated, must_exist, opened, say};
use coffer::config::Config;
use domain::kernel::rotation::{self, Progress};
use std::{path::Path, process::ExitCode};

/// Replaces the encryption key: by the one in the file, or the previous one of the settings by the present
/// one.
pub async fn rotate(config: &Config, new_key_file: Option<&Path>) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let (present, before) = (config.encryption_key(false)?, config.previous_encryption_key()?);
    let (new, old) = match (new_key_file.map(|file| config.key_in_file(file)).transpose()?, before) {
        (Some(new), _) if new != present => (new, present),
        (_, Some(before)) if before != present => (present, before),
        (Some(_), _) => return Err("the new key is the one in use".to_owned()),
        (None, _) => {
            return Err(
                "--new-key-file or COFFER_ENCRYPTION_KEY_PREVIOUS: one of them must be given".to_owned()
            );
        }
    };
    config.check_new_key("--new-key-file", &new)?;
    let db = migrated(config).await?;
    let vault = opened(&db, &new, Some(&old)).await?;
    let mut shown = Shown::default();
    let rotated =
        rotation::run(&db, &vault, &mut |Progress { what, done, of }| shown.tell(what, done, of)).await;
    shown.end();
    let rotated = rotated.map_err(|error| cannot("rotate; run it again to go on", &error))?;
    say(&rotated.to_string())?;
    for value in &rotated.unreadable {
        say(&format!("left as it was: {value}"))?;
    }
    say("The database is the new encryption key's.")?;
    Ok(if rotated.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
