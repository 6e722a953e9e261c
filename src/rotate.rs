//! `coffer keys rotate-encryption`: which keys, and how far it is.

use crate::{Complaint, cannot, migrated, must_exist, opened, say};
use coffer::{
    config::{Config, key_file},
    domain::rotation::{self, Progress},
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

/// Replaces the encryption key: by the one in the file, or the previous one of the settings by the present one.
pub async fn rotate(config: &Config, new_key_file: Option<&Path>) -> Result<ExitCode, Complaint> {
    must_exist(config)?;
    let (present, before) = (config.encryption_key(false)?, config.previous_encryption_key()?);
    let (new, old) = match (new_key_file.map(key_file).transpose()?, before) {
        (Some(new), _) if new != present => (new, present),
        (_, Some(before)) if before != present => (present, before),
        (Some(_), _) => return Err("the new key is the one in use".to_owned()),
        (None, _) => return Err("--new-key-file or COFFER_ENCRYPTION_KEY_PREVIOUS: one of them must be given".to_owned()),
    };
    let db = migrated(config).await?;
    let vault = opened(&db, &new, Some(&old)).await?;
    let mut shown = Shown::default();
    let rotated = rotation::run(&db, &vault, &mut |progress| shown.tell(progress)).await;
    shown.end();
    let rotated = rotated.map_err(|error| cannot("rotate; run it again to go on", &error))?;
    say(&rotated.to_string())?;
    for value in &rotated.unreadable {
        say(&format!("left as it was: {value}"))?;
    }
    say("The database is the new encryption key's.")?;
    Ok(if rotated.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A bar for each part of the work on a terminal, a line for each step elsewhere.
#[derive(Default)]
struct Shown {
    bar: Option<(&'static str, ProgressBar)>,
}

impl Shown {
    fn tell(&mut self, progress: Progress) {
        let Progress { what, done, of } = progress;
        if !io::stderr().is_terminal() {
            _ = writeln!(io::stderr(), "{what}: {done} of {of}");
            return;
        }
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != what) {
            self.end();
            let bar = ProgressBar::new(of).with_message(what);
            let style = ProgressStyle::with_template("{msg:30} {bar:40} {pos} of {len}, {eta} left");
            self.bar = Some((what, style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(done);
        }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }
}
