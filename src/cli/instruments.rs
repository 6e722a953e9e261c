//! `coffer instruments`.

use super::{CliError, cannot, migrated, must_exist, say};
use clap::Subcommand;
use coffer::config::Config;
use domain::{
    kernel::{ids::Ids, pages::Page},
    trading::instruments::{self, Changes, NewInstrument},
};
use std::{fs, path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub enum Command {
    /// Add and change instruments; those that the file does not list stay unchanged
    Import {
        /// CSV file with the header symbol,name,exchange,asset_class,base_price
        #[arg(required_unless_present = "built_in", conflicts_with = "built_in")]
        file: Option<PathBuf>,
        /// Import the built-in instruments, which a sandbox starts with
        #[arg(long)]
        built_in: bool,
    },
    /// List instruments, newest first, as a CSV file that can be imported
    List,
}

/// Runs a subcommand.
pub async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    match command {
        Command::Import { file, .. } => import(config, file).await,
        Command::List => list(config).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn import(config: &Config, file: Option<PathBuf>) -> Result<(), CliError> {
    let new = match file {
        Some(file) => {
            let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            instruments::read(&text)
                .map_err(|error| format!("{}: {error}; nothing was imported", file.display()))?
        }
        None => instruments::built_in(),
    };
    let db = migrated(config).await?;
    let Changes { added, changed, unchanged } = instruments::import(&db, Ids, new)
        .await
        .map_err(|error| cannot("import; nothing was imported", &error))?;
    for (what, symbols) in [("added", added), ("changed", changed)] {
        let names = if symbols.is_empty() { String::new() } else { format!(" ({})", symbols.join(", ")) };
        say(&format!("{what}: {}{names}", symbols.len()))?;
    }
    say(&format!("unchanged: {unchanged}"))
}

async fn list(config: &Config) -> Result<(), CliError> {
    let db = migrated(config).await?;
    let mut page = Page::first(1_000);
    say(&instruments::COLUMNS.join(","))?;
    loop {
        let slice = instruments::list(&db.read, &page.into(), &[])
            .await
            .map_err(|error| cannot("list instruments", &error))?;
        for row in &slice.rows {
            say(&NewInstrument::from(row.clone()).line())?;
        }
        match slice.rows.last() {
            Some(last) if slice.has_next => page.after = Some(last.id),
            _ => return Ok(()),
        }
    }
}
