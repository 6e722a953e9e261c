//! `coffer export`.

use super::{CliError, app, cannot, market::partner_named, must_exist, say};
use clap::{Subcommand, ValueEnum};
use coffer::config::Config;
use domain::{
    kernel::actor::AccessScope,
    people::users,
    trading::gains::{self, GainsView},
};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Command {
    /// Print a user's realized gains of a tax year as CSV with the columns of Form 8949
    Gains {
        /// Name of the partner
        #[arg(long)]
        partner: String,
        /// Id of the user
        #[arg(long, value_parser = user_id)]
        user: Uuid,
        /// Calendar year of the sales
        #[arg(long)]
        year: i32,
        /// Whose purchases are counted to find wash sales
        #[arg(long, default_value = "person")]
        view: View,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum View {
    /// Purchases in all accounts of the person
    Person,
    /// Purchases in the same account, as brokers report
    Broker,
}

fn user_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "must be the id of a user")
}

/// Runs a subcommand.
pub async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    let Command::Gains { partner, user, year, view } = command;
    must_exist(config)?;
    let app = app(config).await?;
    let failed = |error| cannot("export gains", &error);
    let scope = AccessScope::all_of(partner_named(&app.db, &partner).await?.id);
    let found = users::within(&app.db.read, scope, user).await.map_err(failed)?;
    let user = found.ok_or_else(|| format!("the user {user} of the partner {partner:?} was not found"))?;
    let view = match view {
        View::Person => GainsView::Person,
        View::Broker => GainsView::Broker,
    };
    let report = gains::report(&app, &app.db.read, scope, user.id, year, view).await.map_err(failed)?;
    if report.is_provisional {
        super::warn(&format!("The gains of {year} are provisional until 31 January {}.", year + 1));
    }
    say(report.csv().map_err(failed)?.trim_end()).map(|()| ExitCode::SUCCESS)
}
