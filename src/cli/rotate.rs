//! `coffer keys rotate-encryption`: selects the keys, replaces the old one and shows the progress.

use super::progress::ProgressDisplay;
use super::{CliError, cannot, migrated, must_exist, opened, say};
use coffer::config::Config;
use domain::kernel::rotation::{self, Progress};
use std::{path::Path, process::ExitCode};

/// Replaces the encryption key by the key in the file, or without a file the configured previous key by the
/// configured key.
pub async fn rotate(config: &Config, new_key_file: Option<&Path>) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let (current, previous) = (config.encryption_key(false)?, config.previous_encryption_key()?);
    let (new, old) = match (new_key_file.map(|file| config.key_in_file(file)).transpose()?, previous) {
        (Some(new), _) if new != current => (new, current),
        (_, Some(previous)) if previous != current => (current, previous),
        (Some(_), _) => return Err("the new key is already in use".to_owned()),
        (None, _) => {
            return Err(
                "--new-key-file or COFFER_ENCRYPTION_KEY_PREVIOUS: one of them must be given".to_owned()
            );
        }
    };
    config.check_new_key("--new-key-file", &new)?;
    let db = migrated(config).await?;
    let vault = opened(config, &db, &new, Some(&old)).await?;
    let mut shown = ProgressDisplay::default();
    let rotated =
        rotation::run(&db, &vault, &mut |Progress { what, done, of }| shown.show(what, done, of)).await;
    shown.end();
    let rotated = rotated.map_err(|error| cannot("rotate; run the command again to continue", &error))?;
    say(&rotated.to_string())?;
    for value in &rotated.unreadable {
        say(&format!("unreadable and unchanged: {value}"))?;
    }
    say("The new encryption key is in use.")?;
    Ok(if rotated.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
