//! `coffer screen`: imports, removes and shows watch lists.

use super::progress::ProgressDisplay;
use super::{CliError, cannot, count, migrated, must_exist, say, time, warn};
use clap::Subcommand;
use coffer::config::Config;
use domain::{
    compliance::screening::{self, Imported, NewList, runs, sdn},
    kernel::{digest, ids::Ids},
};
use entity::{screening_run, watch_list};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Subcommand)]
pub enum Command {
    /// Import or replace the list of one source; running servers screen existing customers again
    Import {
        /// List in the format of OFAC's SDN.CSV
        file: PathBuf,
        /// Alternate names of its entries, in the format of OFAC's ALT.CSV
        #[arg(long)]
        alt: Option<PathBuf>,
        /// Name of the source; lists of different sources are used together
        #[arg(long, default_value = "OFAC SDN", value_parser = source)]
        source: String,
        /// Import a list even if it is much shorter than the one it replaces
        #[arg(long)]
        force: bool,
    },
    /// Remove the list of one source
    Remove {
        /// Name of the source
        #[arg(long, value_parser = source)]
        source: String,
        /// Confirm that users are no longer screened against it
        #[arg(long, required = true)]
        force: bool,
    },
    /// Show the current lists, and the progress of screening existing customers
    Status,
}

fn source(text: &str) -> Result<String, &'static str> {
    screening::parse_source(text).map_err(|_| "must have 1 to 100 printable characters")
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    match command {
        Command::Import { file, alt, source, force } => {
            import(config, &file, alt.as_deref(), source, force).await
        }
        Command::Remove { source, .. } => remove(config, &source).await,
        Command::Status => status(config).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn import(
    config: &Config,
    file: &Path,
    alt: Option<&Path>,
    source: String,
    force: bool,
) -> Result<(), CliError> {
    let list = bytes_of(file)?;
    let more = alt.map(bytes_of).transpose()?;
    let read = sdn::read(&list, more.as_deref())
        .map_err(|error| format!("{}: {error}; nothing was imported", file.display()))?;
    for warning in &read.warnings {
        warn(&format!("Warning: {warning}."));
    }
    let digest = more.map_or_else(|| digest::of(&[&list]), |more| digest::of(&[&list, &more]));
    let db = migrated(config).await?;
    let mut shown = ProgressDisplay::default();
    let list = NewList { source, digest, entries: read.entries, force };
    let imported =
        screening::import(&db, Ids, list, &mut |progress| shown.show("names", progress.done, progress.of))
            .await;
    shown.end();
    match imported.map_err(|error| cannot("import; nothing was imported", &error))? {
        Imported::New(list) => say(&line(&list)),
        Imported::Unchanged(list) => {
            say(&format!("Nothing has changed since the list was imported.\n{}", line(&list)))
        }
    }
}

async fn remove(config: &Config, source: &str) -> Result<(), CliError> {
    let db = migrated(config).await?;
    let known = screening::current(&db.read).await.map_err(|error| cannot("read the watch lists", &error))?;
    if known.iter().all(|list| list.source != source) {
        return Err(format!(
            "the list of source {source:?} was not found; `coffer screen status` shows the sources"
        ));
    }
    let removed = screening::remove(&db, source).await.map_err(|error| cannot("remove the list", &error))?;
    say(&format!("Removed {}.", removed.source))
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

async fn status(config: &Config) -> Result<(), CliError> {
    let db = migrated(config).await?;
    let lists = screening::current(&db.read).await.map_err(|error| cannot("read the watch lists", &error))?;
    let run = runs::newest(&db.read).await.map_err(|error| cannot("read the watch lists", &error))?;
    if lists.is_empty() {
        say("No watch list was imported; users are not screened.")?;
    }
    for list in &lists {
        say(&line(list))?;
    }
    run.map_or(Ok(()), |run| say(&progress(&run)))
}

fn line(list: &watch_list::Model) -> String {
    let watch_list::Model { source, entries, names, imported_at, .. } = list;
    format!(
        "{source}: {}, {}, imported at {}",
        count(*entries, "entry", "entries"),
        count(*names, "name", "names"),
        time(*imported_at)
    )
}

fn progress(run: &screening_run::Model) -> String {
    let screening_run::Model { people, screened, failed, hits, started_at, finished_at, .. } = run;
    let of = if finished_at.is_some() { String::new() } else { format!(" of {people}") };
    let failed = if *failed == 0 { String::new() } else { format!(" {failed} could not be screened.") };
    let when = finished_at
        .map_or_else(|| format!("since {}", time(*started_at)), |at| format!("finished at {}", time(at)));
    format!(
        "Screening of existing customers: {screened}{of} screened, {}, {when}.{failed}",
        count(*hits, "new hit", "new hits")
    )
}
