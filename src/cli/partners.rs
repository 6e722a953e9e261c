//! `coffer partners`.

use super::{CliError, cannot, migrated, must_exist, say, time};
use clap::Subcommand;
use coffer::config::Config;
use domain::{
    access::{keys, partners},
    kernel::db::Db,
};
use entity::partner::{MarketHours, Mode};
use std::{collections::HashMap, process::ExitCode};

#[derive(Subcommand)]
pub enum Command {
    /// List partners by name; each line has name, id, mode, market hours, creation time, number of active
    /// keys
    List,
}

/// Runs a subcommand.
pub async fn run(config: &Config, Command::List: Command) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let db = migrated(config).await?;
    let lines = list(&db).await.map_err(|error| cannot("list partners", &error))?;
    say(&if lines.is_empty() { "There are no partners.".to_owned() } else { lines.join("\n") })
        .map(|()| ExitCode::SUCCESS)
}

async fn list(db: &Db) -> domain::Result<Vec<String>> {
    let mut active: HashMap<_, u64> = HashMap::new();
    for key in keys::active(&db.read).await? {
        *active.entry(key.partner_id).or_default() += 1;
    }
    let line = |partner: entity::partner::Model| {
        let mode = match partner.mode {
            Mode::Live => "live",
            Mode::Sandbox => "sandbox",
        };
        let hours = match partner.market_hours {
            MarketHours::Nyse => "nyse",
            MarketHours::AlwaysOpen => "always open",
        };
        let keys = active.get(&partner.id).copied().unwrap_or_default();
        format!(
            "{}  {}  {mode}  {hours}  {}  active keys: {keys}",
            partner.name,
            partner.id,
            time(partner.created_at)
        )
    };
    Ok(partners::all(&db.read).await?.into_iter().map(line).collect())
}
