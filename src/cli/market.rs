//! `coffer market`: prices of a sandbox partner.

use super::progress::ProgressDisplay;
use super::{CliError, cannot, count, migrated, must_exist, say, time};
use clap::Subcommand;
use coffer::config::Config;
use domain::{access::partners, kernel::db::Db, trading::bars};
use entity::partner;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Subcommand)]
pub enum Command {
    /// Import one-minute bars, all or none; from the first one on they replace the simulated prices
    Import {
        /// CSV file with the header symbol,time,open,high,low,close,volume
        file: PathBuf,
        /// Name of the sandbox partner
        #[arg(long)]
        partner: String,
    },
    /// Set the seed of the simulated prices; the same seed gives the same prices at the same times
    Seed {
        /// Seed, from 0 to 9223372036854775807
        #[arg(value_parser = clap::value_parser!(i64).range(0..))]
        seed: i64,
        /// Name of the sandbox partner
        #[arg(long)]
        partner: String,
    },
}

/// Runs a subcommand.
pub async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    match command {
        Command::Import { file, partner } => import(config, &file, &partner).await,
        Command::Seed { seed, partner } => set_seed(config, seed, &partner).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Returns the partner with this name.
pub async fn partner_named(db: &Db, name: &str) -> Result<partner::Model, CliError> {
    let all = partners::all(&db.read).await.map_err(|error| cannot("read the partners", &error))?;
    let found = all.into_iter().find(|partner| partner.name == name);
    found.ok_or_else(|| format!("the partner {name:?} was not found; `coffer partners list` shows all"))
}

async fn import(config: &Config, file: &Path, partner: &str) -> Result<(), CliError> {
    let nothing = |error: String| format!("{}: {error}; nothing was imported", file.display());
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let read = bars::read(&text).map_err(nothing)?;
    drop(text);
    let db = migrated(config).await?;
    let partner = partner_named(&db, partner).await?;
    let mut shown = ProgressDisplay::default();
    let imported =
        bars::import(&db, &partner, &read, &mut |progress| shown.show("bars", progress.done, progress.of))
            .await;
    shown.end();
    let imported = imported.map_err(|error| cannot("import; nothing was imported", &error))?;
    say(&format!(
        "Imported {} of {} from {} to {}.",
        count(imported.bars, "bar", "bars"),
        count(imported.symbols, "symbol", "symbols"),
        time(imported.first),
        time(imported.last)
    ))
}

async fn set_seed(config: &Config, seed: i64, partner: &str) -> Result<(), CliError> {
    let db = migrated(config).await?;
    let partner = partner_named(&db, partner).await?;
    partners::set_market_seed(&db, &partner, seed).await.map_err(|error| cannot("set the seed", &error))?;
    say(&format!("The simulated prices of {} now follow from the seed {seed}.", partner.name))
}
