//! The command line.

mod keyring;
mod rotate;
mod screen;
mod serve;
mod shown;

use clap::{Parser, Subcommand, error::ErrorKind};
use coffer::{
    app::App,
    config::Config,
    domain::{
        Error, audit,
        db::Db,
        heads,
        secrets::{HeadKey, Secret, Vault},
    },
    graphql,
    providers::files::Files,
    rest,
    wire::Fault,
};
use migration::{Migrator, MigratorTrait};
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use std::{
    io::{self, Write},
    process::ExitCode,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A backend for brokerage accounts and savings plans.
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
    /// Serve both doors (what happens when nothing is said)
    Serve {
        /// Without the demonstration customer
        #[arg(long)]
        empty: bool,
    },
    /// Bring the database to this version's shape
    Migrate,
    /// Print the GraphQL schema
    Schema,
    /// Print the documentation of the REST door
    Openapi,
    /// Issue, list, rotate and revoke API keys, or replace the encryption key
    Keys {
        #[command(subcommand)]
        command: keyring::Command,
    },
    /// Import the watch list that people are screened against, and say which it is
    Screen {
        #[command(subcommand)]
        command: screen::Command,
    },
    /// Prove that the books add up and nothing was altered
    Audit,
    /// Check the settings and the database, each in a line
    Doctor,
}

/// What went wrong, in one line.
type Complaint = String;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            let text = error.to_string();
            let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            return complain(&said.join(" "));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(complaint) => complain(&complaint),
    }
}

fn complain(complaint: &str) -> ExitCode {
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
    _ = writeln!(io::stderr(), "coffer: {complaint}");
    ExitCode::FAILURE
}

/// Prints lines on standard output.
fn say(text: &str) -> Result<(), Complaint> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// Prints a line on standard error.
fn warn(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}

fn run(cli: Cli) -> Result<ExitCode, Complaint> {
    let Cli { config, command } = cli;
    config.check()?;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).map_err(|error| format!("COFFER_LOG: {error}"))?;
    // A line that cannot be written, such as to a file on a full disk, is lost: telling so on standard error would panic.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false).init();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let command = command.unwrap_or(Command::Serve { empty: false });
    runtime.block_on(async move {
        match command {
            Command::Schema => say(graphql::sdl(&graphql::schema(true)).trim_end()).map(|()| ExitCode::SUCCESS),
            Command::Openapi => say(rest::openapi::text().trim_end()).map(|()| ExitCode::SUCCESS),
            Command::Serve { empty } => serve::serve(&config, empty).await,
            Command::Migrate => {
                let db = open(&config).await?;
                Migrator::up(db.for_migrations(), None).await.map_err(|error| cannot("migrate", &error.into()))?;
                say("The database has this version's shape.").map(|()| ExitCode::SUCCESS)
            }
            Command::Keys { command } => keyring::run(&config, command).await,
            Command::Screen { command } => screen::run(&config, command).await,
            Command::Audit => {
                must_exist(&config)?;
                let db = migrated(&config).await?;
                let key = head_key(&config, &db).await?;
                let files = Files::in_folder(config.documents());
                let report = audit::run(&db, key.as_ref(), Some(&files)).await.map_err(|error| cannot("audit", &error))?;
                say(&report.to_string())?;
                Ok(if report.wrong.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Command::Doctor => doctor(&config).await,
        }
    })
}

/// What a fault looks like to an operator: what was tried, and why it failed in words of ours.
fn cannot(what: &str, error: &Error) -> Complaint {
    match error {
        Error::Database(cause) | Error::DatabaseUnavailable(cause) => {
            format!("cannot {what}: {}", cause.to_string().lines().next().unwrap_or_default())
        }
        Error::Broken(cause) => format!("cannot {what}: {cause}"),
        Error::Refused(refusal) => format!("cannot {what}: {}", refusal.message(&refusal.path.join("."))),
        _ => format!("cannot {what}: {}", Fault::from(Error::Busy).text(|path| path.join("."))),
    }
}

async fn open(config: &Config) -> Result<Db, Complaint> {
    if let Some(folder) = config.sqlite_file().as_deref().and_then(std::path::Path::parent) {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Db::open(&config.database_url).await.map_err(|error| match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause)) if matches!(*cause, SqlxError::PoolTimedOut) => {
            "cannot open the database: it did not answer within 5 seconds".to_owned()
        }
        error => cannot("open the database", &error.into()),
    })
}

/// The database in this version's shape: brought there in development, required to be there in production.
async fn migrated(config: &Config) -> Result<Db, Complaint> {
    let db = open(config).await?;
    if config.is_production() {
        let pending =
            Migrator::get_pending_migrations(db.for_migrations()).await.map_err(|error| cannot("read the migrations", &error.into()))?;
        if !pending.is_empty() {
            return Err(format!("{} migrations are pending; run `coffer migrate` first", pending.len()));
        }
    } else {
        Migrator::up(db.for_migrations(), None).await.map_err(|error| cannot("migrate", &error.into()))?;
    }
    Ok(db)
}

async fn app(config: &Config) -> Result<App, Complaint> {
    let db = migrated(config).await?;
    let new = App::is_new(&db).await.map_err(|error| cannot("read the database", &error))?;
    let vault = opened(&db, &config.encryption_key(new)?, config.previous_encryption_key()?.as_ref()).await?;
    Ok(App::new(db, vault, config.setup()?))
}

/// The keys of the database, unless it is another encryption key's.
async fn opened(db: &Db, key: &Secret<[u8; 32]>, previous: Option<&Secret<[u8; 32]>>) -> Result<Vault, Complaint> {
    let vault = Vault::unlock(db, key, previous).await.map_err(|error| cannot("read the database", &error))?;
    let vault = vault.ok_or_else(|| "the database was written with another encryption key".to_owned())?;
    heads::adopt(db, &vault).await.map_err(|error| cannot("sign the heads of the chains", &error))?;
    Ok(vault)
}

/// The key that verifies the heads of the chains, if a server has opened the database before. Nothing is written.
async fn head_key(config: &Config, db: &Db) -> Result<Option<HeadKey>, Complaint> {
    let (key, previous) = (config.encryption_key(false)?, config.previous_encryption_key()?);
    HeadKey::read(db, &key, previous.as_ref()).await.map_err(|error| cannot("verify the heads of the chains", &error))
}

/// Refuses to look at a database that is not there, instead of making one.
fn must_exist(config: &Config) -> Result<(), Complaint> {
    match config.sqlite_file() {
        Some(file) if !file.exists() => Err(format!("{}: there is no database here (DATABASE_URL)", file.display())),
        _ => Ok(()),
    }
}

async fn doctor(config: &Config) -> Result<ExitCode, Complaint> {
    must_exist(config)?;
    let mut well = true;
    let mut line = |what: &str, outcome: Result<String, Complaint>| {
        let (mark, text) = match outcome {
            Ok(text) => ("ok", text),
            Err(text) => {
                well = false;
                ("FAILED", text)
            }
        };
        say(&format!("{mark:6} {what}: {text}"))
    };
    line("settings", config.check().map(|()| format!("{:?}", config.env).to_lowercase()))?;
    line("transport", config.transport().map(|transport| transport.name().to_owned()))?;
    let keys = config.encryption_key(false).and_then(|key| Ok((key, config.previous_encryption_key()?)));
    line("encryption key", keys.as_ref().map(|_| "can be read".to_owned()).map_err(Clone::clone))?;
    let documents = config.documents();
    let place = match documents.metadata() {
        Ok(found) if !found.is_dir() => Err(format!("{} is no folder", documents.display())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", documents.display())),
        _ => Ok(format!("lie in {}", documents.display())),
    };
    line("documents", place)?;
    let db = open(config).await;
    line("database", db.as_ref().map(|db| format!("{:?} answers", db.backend())).map_err(Clone::clone))?;
    if let Ok(db) = db {
        let pending = Migrator::get_pending_migrations(db.for_migrations()).await;
        let shape = match pending.as_deref() {
            Ok([]) => Ok("has this version's shape".to_owned()),
            Ok(pending) => Err(format!("{} migrations are pending; run `coffer migrate`", pending.len())),
            Err(_) => Err("its migrations cannot be read".to_owned()),
        };
        let ready = shape.is_ok();
        line("shape", shape)?;
        line("durability", db.durability().await.map_err(|error| cannot("ask", &error)))?;
        if ready {
            if let Ok((key, previous)) = &keys {
                let right = Vault::fits(&db, key, previous.as_ref()).await.map_err(|error| cannot("ask", &error));
                line(
                    "key fits",
                    right.and_then(
                        |fits| if fits { Ok("yes".to_owned()) } else { Err("the database was written with another key".to_owned()) },
                    ),
                )?;
            }
            let audit = match head_key(config, &db).await {
                Ok(key) => audit::run(&db, key.as_ref(), None).await.map_err(|error| cannot("audit", &error)),
                Err(complaint) => Err(complaint),
            };
            line("books", audit.and_then(|report| report.wrong.map_or(Ok("add up".to_owned()), Err)))?;
            let files = audit::documents(&db, &Files::in_folder(config.documents())).await.map_err(|error| cannot("look", &error));
            line("document files", files.and_then(|found| found.map(|documents| format!("{documents} documents have theirs"))))?;
        }
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
