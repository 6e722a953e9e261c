//! The command line.

mod backup;
mod doctor;
mod events;
mod export;
mod instruments;
mod keyring;
mod market;
mod partners;
mod progress;
mod rotate;
mod screen;
mod serve;

use chrono::{DateTime, Utc};
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use coffer::{
    config::{self, Config, LogFormat},
    graphql, rest,
    wire::Fault,
};
use domain::{
    Error,
    app::{App, start},
    kernel::{
        db::Db,
        heads,
        secrets::{HeadKey, Secret, Vault},
    },
    providers::files::Files,
    reporting::reconciliation,
};
use migration::{Migrator, MigratorTrait};
use sea_orm::DbErr;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};
use tracing_subscriber::{fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Backend for brokerage accounts
#[derive(Parser)]
#[command(name = "coffer", version)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server (the default command)
    Serve {
        /// Do not create the demonstration customer
        #[arg(long)]
        empty: bool,
    },
    /// Run pending database migrations
    Migrate,
    /// Print the GraphQL schema
    Schema,
    /// Print the OpenAPI document of the REST API
    Openapi,
    /// Issue, list, rotate and revoke API keys, or replace the encryption key
    Keys {
        #[command(subcommand)]
        command: keyring::Command,
    },
    /// Import, remove and show the watch lists that users are screened against
    Screen {
        #[command(subcommand)]
        command: screen::Command,
    },
    /// List partners
    Partners {
        #[command(subcommand)]
        command: partners::Command,
    },
    /// Import and list the instruments that can be traded
    Instruments {
        #[command(subcommand)]
        command: instruments::Command,
    },
    /// Import bars and set the seed of the simulated prices of a sandbox
    Market {
        #[command(subcommand)]
        command: market::Command,
    },
    /// Export the event log of a partner
    Events {
        #[command(subcommand)]
        command: events::Command,
    },
    /// Export data as CSV
    Export {
        #[command(subcommand)]
        command: export::Command,
    },
    /// Write a backup of the database and the documents to an empty folder, while servers run
    Backup {
        /// Empty or missing folder to write to
        dir: PathBuf,
    },
    /// Restore a backup into an empty SQLite or PostgreSQL database, and audit it
    Restore {
        /// Folder of the backup
        dir: PathBuf,
    },
    /// Copy the database into an empty SQLite or PostgreSQL database, and audit it; stop all servers first
    Copy {
        /// Database to copy into: sqlite:FILE or postgres://…
        #[arg(long)]
        to: String,
    },
    /// Verify that all balances add up and no record was altered
    Audit,
    /// Check the settings and the database; prints one line per check
    Doctor,
}

/// One-line description of what went wrong.
type CliError = String;

/// Settings that every command with a database uses.
const DATABASE: &[&str] = &["database_url", "env", "log", "log_format"];
const KEYS: &[&str] =
    &["encryption_key", "encryption_key_file", "encryption_key_previous", "encryption_key_previous_file"];
const DOCUMENTS: &[&str] = &["documents"];

/// Returns the settings that the help of a command shows; `None` for all of them.
fn settings_of(command: &str) -> Option<Vec<&'static [&'static str]>> {
    let (first, second) = command.split_once(' ').unwrap_or((command, ""));
    Some(match (first, second) {
        ("serve" | "doctor", _) => return None,
        ("migrate", _)
        | ("screen" | "partners" | "instruments", "import" | "list" | "status" | "remove")
        | ("market", "import" | "seed")
        | ("events", "export") => vec![DATABASE],
        ("export", "gains") | ("keys", "create" | "list" | "rotate" | "revoke" | "rotate-encryption") => {
            vec![DATABASE, KEYS]
        }
        ("backup", _) => vec![DATABASE, DOCUMENTS],
        ("restore" | "copy" | "audit", _) => vec![DATABASE, KEYS, DOCUMENTS],
        _ => vec![],
    })
}

/// Returns the command line. Every setting can be given before or after any command; the help of a command
/// shows only those that it uses.
fn command_line() -> clap::Command {
    fn with(command: clap::Command, path: &str, settings: &[Arg]) -> clap::Command {
        let shown = settings_of(path);
        // Otherwise whether a group without a subcommand prints its help would depend on the settings in the
        // environment.
        let command = command.arg_required_else_help(false).args(settings.iter().cloned().map(|arg| {
            let hidden = shown
                .as_ref()
                .is_some_and(|shown| !shown.iter().flat_map(|ids| ids.iter()).any(|id| arg.get_id() == id));
            arg.hide(hidden).help_heading("Settings")
        }));
        command.mut_subcommands(|inner| {
            let path = format!("{path} {}", inner.get_name());
            with(inner, &path, settings)
        })
    }
    let command = Cli::command().mut_args(config::from_environment);
    let settings: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    command.mut_subcommands(|inner| {
        let path = inner.get_name().to_owned();
        with(inner, &path, &settings)
    })
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Every file that this process writes is readable by its owner only.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = match command_line().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            return print_error(&summary(&error.to_string()));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => print_error(&error),
    }
}

/// Returns the first paragraph of clap's message, and its tip if there is one.
fn summary(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let summary = lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    match lines.find(|line| line.starts_with("tip: ")) {
        Some(tip) => format!("{summary}; {tip}"),
        None => summary,
    }
}

fn print_error(error: &str) -> ExitCode {
    let error = error.strip_prefix("error: ").unwrap_or(error);
    _ = writeln!(io::stderr(), "coffer: {error}");
    ExitCode::FAILURE
}

/// Prints lines to standard output. A closed pipe is not an error.
fn say(text: &str) -> Result<(), CliError> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// Prints a line to standard error.
fn warn(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let Cli { config, command } = cli;
    config.check()?;
    // Log lines that cannot be written, for example because the disk is full, are dropped: reporting the
    // error on standard error would panic.
    let lines = fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let logs = tracing_subscriber::registry().with(config.log_filter()?);
    match config.log_format {
        LogFormat::Text => logs.with(lines.with_ansi(config::log_in_color())).init(),
        LogFormat::Json => logs.with(lines.json().with_current_span(true).with_span_list(false)).init(),
    }
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("cannot start the runtime: {error}"))?;
    let command = command.unwrap_or(Command::Serve { empty: false });
    runtime.block_on(async move {
        match command {
            Command::Schema => {
                say(graphql::sdl(&graphql::schema(true)).trim_end()).map(|()| ExitCode::SUCCESS)
            }
            Command::Openapi => say(rest::core::openapi::text().trim_end()).map(|()| ExitCode::SUCCESS),
            Command::Serve { empty } => serve::serve(&config, empty).await,
            Command::Migrate => {
                let db = open(&config).await?;
                migrate(&db, None).await?;
                say("The database schema is up to date.").map(|()| ExitCode::SUCCESS)
            }
            Command::Keys { command } => keyring::run(&config, command).await,
            Command::Screen { command } => screen::run(&config, command).await,
            Command::Audit => {
                must_exist(&config)?;
                let db = migrated(&config).await?;
                let key = head_key(&config, &db).await?;
                audited(&config, &db, key.as_ref()).await
            }
            Command::Doctor => doctor::run(&config).await,
            Command::Partners { command } => partners::run(&config, command).await,
            Command::Instruments { command } => instruments::run(&config, command).await,
            Command::Market { command } => market::run(&config, command).await,
            Command::Events { command } => events::run(&config, command).await,
            Command::Export { command } => export::run(&config, command).await,
            Command::Backup { dir } => backup::backup(&config, &dir).await,
            Command::Restore { dir } => backup::restore(&config, &dir).await,
            Command::Copy { to } => backup::copy(&config, &to).await,
        }
    })
}

/// Audits a database and prints the report. Without a key the signed chain heads are not verified.
async fn audited(config: &Config, db: &Db, key: Option<&HeadKey>) -> Result<ExitCode, CliError> {
    let files = Files::in_folder(config.documents());
    let report = reconciliation::run(db, key, Some(&files)).await.map_err(|error| cannot("audit", &error))?;
    say(&report.to_string())?;
    Ok(if report.wrong.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Formats an error for the operator: what failed, and why.
fn cannot(what: &str, error: &Error) -> CliError {
    match error {
        Error::Database(cause) | Error::DatabaseUnavailable(cause) => {
            format!("cannot {what}: {}", cause.to_string().lines().next().unwrap_or_default())
        }
        Error::Broken(cause) => format!("cannot {what}: {cause}"),
        Error::Refused(refusal) => format!("cannot {what}: {}", refusal.message(&refusal.path.join("."))),
        _ => format!("cannot {what}: {}", Fault::from(Error::Busy).text(|path| path.join("."))),
    }
}

async fn open(config: &Config) -> Result<Db, CliError> {
    open_at(&config.database_url).await
}

async fn open_at(url: &str) -> Result<Db, CliError> {
    if let Some(folder) = config::sqlite_file(url).as_deref().and_then(std::path::Path::parent) {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Db::open(url).await.map_err(|error| match error {
        DbErr::ConnectionAcquire(_) => "cannot open the database: no response within 5 seconds".to_owned(),
        error => cannot("open the database", &error.into()),
    })
}

/// Runs the next migrations, all of them without `steps`. Processes that start at the same time wait for each other.
async fn migrate(db: &Db, steps: Option<u32>) -> Result<(), CliError> {
    let migrations = Migrator::up(db.for_migrations(), steps);
    db.migrate(migrations).await.map_err(|error| cannot("migrate", &error))
}

/// Opens the database with the current schema: migrated in development, required to be up to date in
/// production.
async fn migrated(config: &Config) -> Result<Db, CliError> {
    let db = open(config).await?;
    if config.is_production() {
        let pending = Migrator::get_pending_migrations(db.for_migrations())
            .await
            .map_err(|error| cannot("read the migrations", &error.into()))?;
        if !pending.is_empty() {
            return Err(format!("{} migrations are pending; run `coffer migrate` first", pending.len()));
        }
    } else {
        migrate(&db, None).await?;
    }
    Ok(db)
}

async fn app(config: &Config) -> Result<App, CliError> {
    let db = migrated(config).await?;
    let new = App::is_new(&db).await.map_err(|error| cannot("read the database", &error))?;
    let key = config.encryption_key(new)?;
    let vault = opened(config, &db, &key, config.previous_encryption_key()?.as_ref()).await?;
    Ok(start(db, vault, config.setup()?))
}

/// Unlocks the keys of the database; fails if they were wrapped with another encryption key.
async fn opened(
    config: &Config,
    db: &Db,
    key: &Secret<[u8; 32]>,
    previous: Option<&Secret<[u8; 32]>>,
) -> Result<Vault, CliError> {
    let vault =
        Vault::unlock(db, key, previous).await.map_err(|error| cannot("read the database", &error))?;
    let vault = vault.ok_or_else(|| other_key(config))?;
    heads::adopt(db, &vault).await.map_err(|error| cannot("sign the chain heads", &error))?;
    Ok(vault)
}

/// Returns the message for a database whose keys were wrapped with another encryption key.
fn other_key(config: &Config) -> CliError {
    format!(
        "the database was written with another encryption key than the one in {}",
        config.encryption_key_source()
    )
}

/// Formats a time in UTC, in whole seconds.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Formats a number of things: `1 entry`, `2 entries`.
fn count<T: PartialEq + From<u8> + std::fmt::Display>(number: T, one: &str, several: &str) -> String {
    format!("{number} {}", if number == T::from(1) { one } else { several })
}

/// Returns the key that verifies the chain heads; none if no server has opened the database yet. Writes
/// nothing.
async fn head_key(config: &Config, db: &Db) -> Result<Option<HeadKey>, CliError> {
    let (key, previous) = (config.encryption_key(false)?, config.previous_encryption_key()?);
    HeadKey::read(db, &key, previous.as_ref()).await.map_err(|error| cannot("verify the chain heads", &error))
}

/// Refuses a missing SQLite database instead of creating one.
fn must_exist(config: &Config) -> Result<(), CliError> {
    match config.sqlite_file() {
        Some(file) if !file.exists() => Err(format!(
            "{}: no database found; check DATABASE_URL, or run `coffer migrate` to create one",
            file.display()
        )),
        _ => Ok(()),
    }
}
