//! `coffer screen`: the watch list, for whoever runs the house.

use crate::{Complaint, cannot, migrated, must_exist, say, shown::Shown};
use clap::Subcommand;
use coffer::{
    config::Config,
    domain::{
        digest,
        ids::Ids,
        screening::{self, Imported, NewList, sdn},
    },
};
use entity::watch_list;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Subcommand)]
pub enum Command {
    /// Put a list in the place of the present one; identity checks from before stay as they are
    Import {
        /// The list, in the format of the public SDN.CSV
        file: PathBuf,
        /// More names of its entries, in the format of the public ALT.CSV
        #[arg(long)]
        alt: Option<PathBuf>,
        /// What to call it
        #[arg(long, default_value = "OFAC SDN", value_parser = source)]
        source: String,
    },
    /// Say which list people are screened against
    Status,
}

/// A name of 1 to 100 printable characters.
fn source(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let fits = (1..=100).contains(&name.chars().count()) && !name.contains(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err("must have 1 to 100 printable characters") }
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode, Complaint> {
    must_exist(config)?;
    match command {
        Command::Import { file, alt, source } => import(config, &file, alt.as_deref(), source).await,
        Command::Status => status(config).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn import(config: &Config, file: &Path, alt: Option<&Path>, source: String) -> Result<(), Complaint> {
    let list = bytes_of(file)?;
    let more = alt.map(bytes_of).transpose()?;
    let entries = sdn::read(&list, more.as_deref()).map_err(|error| format!("{}: {error}; nothing was imported", file.display()))?;
    let digest = more.map_or_else(|| digest::of(&[&list]), |more| digest::of(&[&list, &more]));
    let db = migrated(config).await?;
    let mut shown = Shown::default();
    let imported =
        screening::import(&db, Ids, NewList { source, digest, entries }, &mut |progress| shown.tell("names", progress.done, progress.of))
            .await;
    shown.end();
    match imported.map_err(|error| cannot("import; nothing was imported", &error))? {
        Imported::New(list) => say(&line(&list)),
        Imported::Unchanged(list) => say(&format!("Nothing has changed since the list was imported.\n{}", line(&list))),
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, Complaint> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

async fn status(config: &Config) -> Result<(), Complaint> {
    let db = migrated(config).await?;
    let list = screening::newest(&db.read).await.map_err(|error| cannot("read the watch list", &error))?;
    say(&list.map_or_else(|| "No watch list was imported: nobody is screened.".to_owned(), |list| line(&list)))
}

fn line(list: &watch_list::Model) -> String {
    let watch_list::Model { source, entries, names, imported_at, .. } = list;
    format!("{source}: {entries} entries, {names} names, imported at {}", imported_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
