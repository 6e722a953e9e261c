//! `coffer doctor`: checks settings, database and environment, and prints one line per check.

use super::{CliError, cannot, head_key, must_exist, open, other_key, say};
use coffer::config::{Config, open_to_others};
use domain::{
    access::{keys, partners},
    compliance::screening,
    kernel::{
        clock,
        db::Db,
        pages::Page,
        secrets::{Secret, Vault},
    },
    providers::{SendError, files::Files},
    reporting::reconciliation,
    trading::instruments,
};
use entity::partner::Mode;
use migration::{Migrator, MigratorTrait};
use rustix::fs::{Access, access};
use sea_orm::DbBackend;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Result of one check.
enum Finding {
    Good(String),
    /// The server starts, but the operator should know.
    Warning(String),
    /// The server does not start, or does not work.
    Failure(String),
}

impl Finding {
    fn of<T: Into<String>>(outcome: Result<T, CliError>) -> Self {
        outcome.map_or_else(Self::Failure, |text| Self::Good(text.into()))
    }
}

/// API keys that expire within this time are listed.
const SOON: chrono::Duration = chrono::Duration::days(30);

/// Maximum number of listed files that other users can read.
const NAMED_FILES: usize = 3;

struct Doctor {
    healthy: bool,
}

impl Doctor {
    fn line(&mut self, what: &str, finding: Finding) -> Result<(), CliError> {
        let (mark, text) = match finding {
            Finding::Good(text) => ("ok", text),
            Finding::Warning(text) => ("WARN", text),
            Finding::Failure(text) => {
                self.healthy = false;
                ("FAILED", text)
            }
        };
        say(&format!("{mark:6} {what}: {text}"))
    }
}

/// Runs all checks; fails if one of them would stop the server.
pub async fn run(config: &Config) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let mut doctor = Doctor { healthy: true };
    doctor
        .line("settings", Finding::of(config.check().map(|()| format!("{:?}", config.env).to_lowercase())))?;
    doctor.line("transport", Finding::of(config.transport().map(|transport| transport.name())))?;
    doctor.line("public URL", public_url(config))?;
    let keys = config.encryption_key(false).and_then(|key| Ok((key, config.previous_encryption_key()?)));
    doctor.line("encryption key", Finding::of(keys.as_ref().map(|_| "can be read").map_err(Clone::clone)))?;
    doctor.line("documents", Finding::of(documents(&config.documents())))?;
    doctor.line("file modes", file_modes(config))?;
    doctor.line("mail", mail(config).await)?;
    doctor.line("text messages", Finding::of(text_messages(config)))?;
    doctor.line("identity checks", Finding::Good(identity_checks(config).to_owned()))?;
    let db = open(config).await;
    doctor.line(
        "database",
        Finding::of(
            db.as_ref().map(|db| format!("{} responds", database_name(db.backend()))).map_err(Clone::clone),
        ),
    )?;
    if let Ok(db) = db {
        database(config, &db, keys.ok(), &mut doctor).await?;
    }
    Ok(if doctor.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn database_name(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "PostgreSQL",
        _ => "SQLite",
    }
}

type EncryptionKeys = (Secret<[u8; 32]>, Option<Secret<[u8; 32]>>);

async fn database(
    config: &Config,
    db: &Db,
    encryption_keys: Option<EncryptionKeys>,
    doctor: &mut Doctor,
) -> Result<(), CliError> {
    let pending = Migrator::get_pending_migrations(db.for_migrations()).await;
    let schema = match pending.as_deref() {
        Ok([]) => Ok("is up to date"),
        Ok(pending) => Err(format!("{} migrations are pending; run `coffer migrate`", pending.len())),
        Err(_) => Err("the migrations cannot be read".to_owned()),
    };
    let ready = schema.is_ok();
    doctor.line("schema", Finding::of(schema))?;
    doctor.line(
        "durability",
        Finding::of(db.durability().await.map_err(|error| cannot("read the database", &error))),
    )?;
    if !ready {
        return Ok(());
    }
    if let Some((key, previous)) = encryption_keys {
        let fits = match Vault::fits(db, &key, previous.as_ref()).await {
            Ok(true) => Ok("match the encryption key"),
            Ok(false) => Err(other_key(config)),
            Err(error) => Err(cannot("read the database", &error)),
        };
        doctor.line("database keys", Finding::of(fits))?;
    }
    let found = |finding: domain::Result<Finding>| {
        finding.unwrap_or_else(|error| Finding::Failure(cannot("read the database", &error)))
    };
    doctor.line("default partner", found(default_partner(config, db).await))?;
    doctor.line("API keys", found(api_keys(db).await))?;
    doctor.line("instruments", found(listed_instruments(db).await))?;
    doctor.line("watch list", found(watch_list(db).await))?;
    let books = match head_key(config, db).await {
        Ok(key) => match reconciliation::run(db, key.as_ref(), None).await {
            Ok(report) => report.wrong.map_or(Ok("add up"), Err),
            Err(error) => Err(cannot("audit", &error)),
        },
        Err(error) => Err(error),
    };
    doctor.line("books", Finding::of(books))?;
    let files = match reconciliation::documents(db, &Files::in_folder(config.documents())).await {
        Ok(found) => found.map(|documents| format!("all {documents} documents have their file")),
        Err(error) => Err(cannot("read the documents", &error)),
    };
    doctor.line("document files", Finding::of(files))
}

/// Checks the base URL of links in responses.
fn public_url(config: &Config) -> Finding {
    match &config.public_url {
        Some(url) => Finding::Good(url.to_string()),
        None if config.trusted_proxy.is_empty() && config.addr.ip().is_unspecified() => Finding::Warning(
            "links point to localhost, which other machines cannot reach \
                (COFFER_PUBLIC_URL)"
                .to_owned(),
        ),
        None if config.trusted_proxy.is_empty() => {
            Finding::Good("links use the address that the server listens on".to_owned())
        }
        None => Finding::Warning(
            "links use the host that the proxy sends in X-Forwarded-Host, else the address that the server \
                listens on (COFFER_PUBLIC_URL)"
                .to_owned(),
        ),
    }
}

/// Checks whether documents can be written, without writing.
fn documents(folder: &Path) -> Result<String, CliError> {
    match folder.metadata() {
        Ok(found) if !found.is_dir() => return Err(format!("{} is not a folder", folder.display())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", folder.display()));
        }
        _ => {}
    }
    // Missing folders will be created in the nearest existing one.
    let existing = folder
        .ancestors()
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .find(|folder| folder.exists());
    match existing.map(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK)) {
        Some(Ok(())) => Ok(format!("are stored in {}", folder.display())),
        _ => Err(format!("{} is not writable", folder.display())),
    }
}

/// Checks that other users cannot read the files with data and keys.
fn file_modes(config: &Config) -> Finding {
    let database = config
        .sqlite_file()
        .map(|file| ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", file.display()))));
    let mut open: Vec<PathBuf> =
        config.secret_files().into_iter().chain(database.into_iter().flatten()).collect();
    open.retain(|file| fs::metadata(file).is_ok_and(|found| open_to_others(&found)));
    // A folder that only its owner can enter protects its files.
    let documents = config.documents();
    if fs::metadata(&documents).is_ok_and(|found| open_to_others(&found)) {
        open.push(documents);
    }
    if open.is_empty() {
        return Finding::Good("only the owner can read the database, keys and documents".to_owned());
    }
    let more = open.len().saturating_sub(NAMED_FILES);
    let names: Vec<String> = open.iter().take(NAMED_FILES).map(|file| file.display().to_string()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Finding::Warning(format!("other users can read {}{more}; run chmod go=", names.join(", ")))
}

async fn mail(config: &Config) -> Finding {
    let smtp = match config.smtp() {
        Ok(Some(smtp)) => smtp,
        Ok(None) => return Finding::Good("not configured for live partners (COFFER_SMTP_URL)".to_owned()),
        Err(error) => return Finding::Failure(error),
    };
    match smtp.test_connection().await {
        Ok(()) => Finding::Good("the mail server responds".to_owned()),
        Err(SendError::Refused(cause) | SendError::Failed(cause)) => Finding::Warning(cause),
    }
}

/// Checks the settings of the SMS gateway. Does not contact it, because every request would send a message.
fn text_messages(config: &Config) -> Result<&'static str, CliError> {
    let live = config.setup()?.providers.live_sms.is_some();
    Ok(if live {
        "the settings of the SMS gateway are well-formed"
    } else {
        "not configured for live partners (COFFER_SMS_URL)"
    })
}

const fn identity_checks(config: &Config) -> &'static str {
    match config.identity {
        coffer::config::IdentityChecks::None => {
            "not configured for live partners: their users stay pending (COFFER_IDENTITY)"
        }
        coffer::config::IdentityChecks::BuiltIn => "built-in for live partners",
    }
}

async fn default_partner(config: &Config, db: &Db) -> domain::Result<Finding> {
    let name = &config.default_partner;
    let partner = partners::all(&db.read).await?.into_iter().find(|partner| partner.name == *name);
    Ok(match partner {
        Some(partner) if partner.mode == Mode::Live => Finding::Good(format!("{name}, live")),
        Some(_) if config.is_production() => Finding::Warning(format!(
            "{name} is a sandbox: users who sign up without a partner's key are not real customers"
        )),
        Some(_) => Finding::Good(format!("{name}, a sandbox")),
        None => Finding::Warning(format!(
            "no partner is named {name}: users cannot sign up or in without a partner's key \
             (COFFER_DEFAULT_PARTNER)"
        )),
    })
}

async fn api_keys(db: &Db) -> domain::Result<Finding> {
    let active = keys::active(&db.read).await?;
    if active.is_empty() {
        return Ok(Finding::Warning("none is active; run `coffer keys create`".to_owned()));
    }
    let soon = clock::system_now() + SOON;
    let ending: Vec<String> = active
        .iter()
        .filter_map(|key| {
            key.expires_at
                .filter(|end| *end < soon)
                .map(|end| format!("{} on {}", key.public_id, end.format("%F")))
        })
        .collect();
    let count = format!("{} active", active.len());
    Ok(if ending.is_empty() {
        Finding::Good(count)
    } else {
        Finding::Warning(format!("{count}; expiring within 30 days: {}", ending.join(", ")))
    })
}

async fn listed_instruments(db: &Db) -> domain::Result<Finding> {
    let some = !instruments::list(&db.read, &Page::first(1).into(), &[]).await?.rows.is_empty();
    let none = || Finding::Warning("none: nothing can be traded; run `coffer instruments import`".to_owned());
    Ok(if some { Finding::Good("can be traded".to_owned()) } else { none() })
}

async fn watch_list(db: &Db) -> domain::Result<Finding> {
    let lists = screening::current(&db.read).await?;
    if lists.is_empty() {
        return Ok(Finding::Warning("none: users are not screened; run `coffer screen import`".to_owned()));
    }
    let named =
        lists.iter().map(|list| format!("{}, imported on {}", list.source, list.imported_at.format("%F")));
    Ok(Finding::Good(named.collect::<Vec<_>>().join("; ")))
}
