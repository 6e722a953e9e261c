//! `coffer backup`, `coffer restore` and `coffer copy`.
//!
//! A backup has one file per table in a format that is the same for SQLite and PostgreSQL, so that it can be
//! restored into either.

mod archive;

use super::progress::ProgressDisplay;
use super::{CliError, audited, cannot, head_key, migrate, must_exist, open, open_at, say, time};
use archive::{Archive, Manifest, Sum, TableEntry, Writer};
use coffer::config::{Config, check_database_url};
use domain::{
    compliance::kyc::documents,
    kernel::{
        clock,
        db::{Db, ReadTransaction},
        secrets::Vault,
        tables::{self, Batches, Load},
    },
    providers::files::{FileError, Files},
};
use migration::{Migrator, MigratorTrait};
use std::{path::Path, process::ExitCode};
use uuid::Uuid;

/// Number of documents that are looked up at once.
const DOCUMENTS: u64 = 500;

/// Writes a snapshot of the database, and the documents that it refers to, to an empty folder.
pub async fn backup(config: &Config, dir: &Path) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    let db = open(config).await?;
    let snapshot = tables::snapshot(&db).await.map_err(|error| cannot("read the database", &error))?;
    let migrations = migrations_of(&snapshot).await?;
    let mut writer = Writer::begin(dir)?;
    let mut manifest = Manifest::new(clock::system_now(), migrations);
    let tables = tables::all(&snapshot).await.map_err(|error| cannot("read the database", &error))?;
    for table in &tables {
        let mut file = writer.table(&table.name)?;
        let mut batches = Batches::new(&snapshot, table);
        while let Some(rows) = batches.next().await.map_err(|error| cannot("read the database", &error))? {
            rows.iter().try_for_each(|row| file.write(row))?;
        }
        let (rows, sum) = file.finish()?;
        manifest.tables.push(TableEntry {
            name: table.name.clone(),
            columns: table.columns.clone(),
            rows,
            sum,
        });
    }
    // The file of a document is written before its row and never changes, so every document of the snapshot
    // has its file by now.
    copy_documents(&snapshot, &Files::in_folder(config.documents()), &mut writer, &mut manifest).await?;
    writer.finish(&manifest)?;
    let (rows, files) = (manifest.rows(), manifest.documents.len());
    say(&format!(
        "Backed up {} tables, {rows} rows and {files} documents to {}.",
        manifest.tables.len(),
        dir.display()
    ))?;
    say("The encryption key is not included. Keep it elsewhere: a restored server needs it.")?;
    say(
        "Names, e-mail addresses, postal addresses and balances are in plain text. Protect the backup like \
            the database.",
    )?;
    match manifest.missing_documents.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => {
            let missing = manifest.missing_documents.len();
            say(&format!(
                "WRONG: {missing} documents have no file in {}; the first is {first}",
                config.documents().display()
            ))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn copy_documents(
    snapshot: &ReadTransaction,
    files: &Files,
    writer: &mut Writer,
    manifest: &mut Manifest,
) -> Result<(), CliError> {
    let mut shown = ProgressDisplay::default();
    let of = manifest.tables.iter().find(|table| table.name == "kyc_document").map_or(0, |table| table.rows);
    let mut done = 0;
    let mut after = Uuid::nil();
    loop {
        let batch = documents::files(snapshot, after, DOCUMENTS)
            .await
            .map_err(|error| cannot("read the documents", &error))?;
        let Some((last, _)) = batch.last() else { break };
        after = *last;
        for (_, name) in batch {
            if files.has(&name).await.map_err(|error| unreadable(&name, error))? {
                let bytes = files.get(&name).await.map_err(|error| unreadable(&name, error))?;
                manifest.documents.push(writer.document(name, &bytes)?);
            } else {
                manifest.missing_documents.push(name);
            }
            done += 1;
        }
        shown.show("documents", done, of);
    }
    shown.end();
    Ok(())
}

fn unreadable(name: &str, error: FileError) -> CliError {
    match error {
        FileError::Taken => format!("document {name} cannot be read"),
        FileError::Failed(cause) => format!("document {name} cannot be read: {cause}"),
    }
}

/// Checks the files of a backup, restores it into an empty database, and audits the result.
pub async fn restore(config: &Config, dir: &Path) -> Result<ExitCode, CliError> {
    let archive = Archive::open(dir)?;
    let manifest = archive.manifest();
    let db = open(config).await?;
    prepare(&db, &manifest.migrations).await?;
    let failed = |error: domain::Error| cannot("restore; nothing was restored", &error);
    let names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    let load = Load::begin(&db, &names).await.map_err(failed)?;
    for table in &manifest.tables {
        let target = load.target(&table.name, &table.columns).map_err(failed)?;
        let mut rows = archive.rows(table)?;
        while let Some(batch) = rows.next()? {
            load.insert(&target, batch).await.map_err(failed)?;
        }
    }
    let files = Files::in_folder(config.documents());
    let mut shown = ProgressDisplay::default();
    for (done, document) in (1..).zip(&manifest.documents) {
        let bytes = archive.document(document)?;
        match files.put(&document.name, bytes).await {
            Ok(()) => {}
            Err(FileError::Taken) => {
                let there =
                    files.get(&document.name).await.map_err(|error| unreadable(&document.name, error))?;
                if Sum::of(&there) != document.sum {
                    let folder = config.documents();
                    return Err(format!(
                        "{}: a different document named {} already exists",
                        folder.display(),
                        document.name
                    ));
                }
            }
            Err(FileError::Failed(cause)) => {
                return Err(format!("document {} cannot be written: {cause}", document.name));
            }
        }
        if done % DOCUMENTS == 0 {
            shown.show("documents", done, manifest.documents.len() as u64);
        }
    }
    load.finish().await.map_err(failed)?;
    shown.end();
    migrate(&db, None).await?;
    let (rows, documents) = (manifest.rows(), manifest.documents.len());
    say(&format!(
        "Restored {} tables, {rows} rows and {documents} documents from {}.",
        names.len(),
        time(manifest.made_at)
    ))?;
    let complete = report_missing_documents(manifest)?;
    let key_fits = report_key_fit(config, &db).await?;
    let key = if key_fits == KeyFits::Yes { head_key(config, &db).await? } else { None };
    let audit = audited(config, &db, key.as_ref()).await?;
    Ok(if complete && key_fits != KeyFits::No { audit } else { ExitCode::FAILURE })
}

/// Reports documents that were missing from the backup; returns whether there were none.
fn report_missing_documents(manifest: &Manifest) -> Result<bool, CliError> {
    let Some(first) = manifest.missing_documents.first() else { return Ok(true) };
    let missing = manifest.missing_documents.len();
    say(&format!("WRONG: {missing} documents had no file at the time of the backup; the first is {first}"))?;
    Ok(false)
}

/// Whether the configured encryption key is the one that a backup needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyFits {
    Yes,
    No,
    /// No readable key is configured.
    Unknown,
}

/// Reports whether the configured encryption key fits the restored database.
async fn report_key_fit(config: &Config, db: &Db) -> Result<KeyFits, CliError> {
    let keys = config.encryption_key(false).and_then(|key| Ok((key, config.previous_encryption_key()?)));
    let Ok((key, previous)) = keys else {
        say(
            "The encryption key is missing or cannot be read. Set the key that was in use at the time of the \
             backup and run `coffer audit`: without it the signed chain heads are not verified.",
        )?;
        return Ok(KeyFits::Unknown);
    };
    let fits = Vault::fits(db, &key, previous.as_ref())
        .await
        .map_err(|error| cannot("read the database", &error))?;
    if !fits {
        say("WRONG: the configured encryption key is not the one of this backup")?;
    }
    Ok(if fits { KeyFits::Yes } else { KeyFits::No })
}

/// Copies a snapshot of the database into an empty one, and audits the copy.
pub async fn copy(config: &Config, to: &str) -> Result<ExitCode, CliError> {
    must_exist(config)?;
    check_database_url("--to", to)?;
    let source = open(config).await?;
    let reading = |error: domain::Error| cannot("read the database", &error);
    let snapshot = tables::snapshot(&source).await.map_err(reading)?;
    let migrations = migrations_of(&snapshot).await?;
    let tables = tables::all(&snapshot).await.map_err(reading)?;
    let db = open_at(to).await?;
    prepare(&db, &migrations).await?;
    let failed = |error: domain::Error| cannot("copy; nothing was copied", &error);
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let load = Load::begin(&db, &names).await.map_err(failed)?;
    let mut copied = Vec::with_capacity(tables.len());
    for table in &tables {
        let target = load.target(&table.name, &table.columns).map_err(failed)?;
        let mut batches = Batches::new(&snapshot, table);
        let mut rows = 0_u64;
        while let Some(batch) = batches.next().await.map_err(reading)? {
            rows += batch.len() as u64;
            load.insert(&target, batch).await.map_err(failed)?;
        }
        copied.push(rows);
    }
    load.finish().await.map_err(failed)?;
    migrate(&db, None).await?;
    drop(snapshot);
    say(&format!("Copied {} tables and {} rows.", names.len(), copied.iter().sum::<u64>()))?;
    say(&format!(
        "Start servers on the copy with the same encryption key and with COFFER_DOCUMENTS={}.",
        config.documents().display()
    ))?;
    let now = tables::snapshot(&source).await.map_err(reading)?;
    for (table, copied) in tables.iter().zip(&copied) {
        if tables::count(&now, table).await.map_err(reading)? != *copied {
            say("WRONG: the database changed during the copy; stop every server, empty the copy and copy \
                 again")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let key = head_key(config, &db).await?;
    audited(config, &db, key.as_ref()).await
}

async fn migrations_of(snapshot: &ReadTransaction) -> Result<Vec<String>, CliError> {
    let migrations =
        tables::migrations(snapshot).await.map_err(|error| cannot("read the database", &error))?;
    if migrations.is_empty() {
        Err("the database has no tables; run `coffer migrate` first".to_owned())
    } else {
        Ok(migrations)
    }
}

/// Runs these migrations on an empty database.
async fn prepare(db: &Db, migrations: &[String]) -> Result<(), CliError> {
    let ours: Vec<String> =
        Migrator::get_migration_files().iter().map(|migration| migration.name().to_owned()).collect();
    if !ours.starts_with(migrations) {
        let last = migrations.last().map_or("none", String::as_str);
        return Err(format!(
            "the data is from another version of Coffer, with the last migration {last}; use that version"
        ));
    }
    let reading = |error: domain::Error| cannot("read the database", &error);
    let there = tables::migrations(db.for_migrations()).await.map_err(reading)?;
    if let Some(table) = tables::first_with_rows(db.for_migrations()).await.map_err(reading)? {
        return Err(format!("the target database is not empty: table {table} has rows"));
    }
    if !migrations.starts_with(&there) {
        return Err(
            "the target database has a newer schema than the data; use a database without tables".to_owned()
        );
    }
    let steps = u32::try_from(migrations.len() - there.len()).unwrap_or(u32::MAX);
    if steps > 0 {
        migrate(db, Some(steps)).await?;
    }
    Ok(())
}
