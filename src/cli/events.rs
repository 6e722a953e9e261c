//! `coffer events`.

use super::{CliError, cannot, market::partner_named, migrated, must_exist, say, warn};
use clap::Subcommand;
use coffer::config::Config;
use domain::reporting::event_export::{self, Export};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Print a partner's event log, one JSON object per line, the same for the same seed and the same commands
    Export {
        /// Name of the partner
        #[arg(long)]
        partner: String,
    },
}

/// Runs a subcommand.
pub async fn run(config: &Config, Command::Export { partner }: Command) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let db = migrated(config).await?;
    let partner = partner_named(&db, &partner).await?;
    let failed = |error| cannot("export the events", &error);
    let mut export = Export::new(partner.id);
    loop {
        let lines = export.next(&db.read).await.map_err(failed)?;
        if lines.is_empty() {
            break;
        }
        say(&lines.join("\n"))?;
    }
    let waiting = event_export::unnumbered(&db.read, partner.id).await.map_err(failed)?;
    if waiting > 0 {
        warn(&format!(
            "Warning: {waiting} events have no number yet and were left out; a running server numbers them."
        ));
    }
    Ok(ExitCode::SUCCESS)
}
