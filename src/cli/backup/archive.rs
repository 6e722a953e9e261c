//! The files of a backup: one per table with one row per line, the documents, and a manifest with the hash of
//! each file.

use crate::cli::CliError;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::kernel::tables::{Cell, Column, Kind, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

const MANIFEST: &str = "manifest.json";
/// File with the hash of the manifest, in the format of `sha256sum --check`.
const MANIFEST_SUM: &str = "manifest.sha256";

/// Version of the file format; other versions are refused.
const FORMAT: u32 = 1;

/// Number of rows that are read at once.
const BATCH: usize = 500;

/// Contents of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Version of Coffer that wrote the backup.
    coffer: String,
    pub made_at: DateTime<Utc>,
    /// Migrations that the database had, oldest first.
    pub migrations: Vec<String>,
    pub tables: Vec<TableEntry>,
    pub documents: Vec<DocumentEntry>,
    /// Documents that had no file at the time of the backup.
    pub missing_documents: Vec<String>,
}

/// File of a table, `tables/NAME.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TableEntry {
    pub name: String,
    pub columns: Vec<Column>,
    pub rows: u64,
    #[serde(flatten)]
    pub sum: Sum,
}

/// File of a document, `documents/NAME`, encrypted as in the document folder.
#[derive(Debug, Serialize, Deserialize)]
pub struct DocumentEntry {
    pub name: String,
    #[serde(flatten)]
    pub sum: Sum,
}

/// Length and hash of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    bytes: u64,
    sha256: String,
}

impl Sum {
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
    }
}

impl Manifest {
    pub fn new(made_at: DateTime<Utc>, migrations: Vec<String>) -> Self {
        let coffer = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            format: FORMAT,
            coffer,
            made_at,
            migrations,
            tables: Vec::new(),
            documents: Vec::new(),
            missing_documents: Vec::new(),
        }
    }

    /// Number of rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    move |error| format!("{}: {error}", path.display())
}

fn table_file(dir: &Path, name: &str) -> PathBuf {
    dir.join("tables").join(format!("{name}.jsonl"))
}

fn document_file(dir: &Path, name: &str) -> PathBuf {
    dir.join("documents").join(name)
}

/// Writes a backup.
pub struct Writer {
    dir: PathBuf,
    /// Folders that must be synced to disk before the manifest is written.
    folders: Vec<PathBuf>,
}

impl Writer {
    /// Starts a backup in a folder, which must be empty or missing.
    pub fn begin(dir: &Path) -> Result<Self, CliError> {
        fs::create_dir_all(dir).map_err(failed(dir))?;
        if fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
            return Err(format!("{}: must be empty, or not exist", dir.display()));
        }
        let tables = dir.join("tables");
        fs::create_dir(&tables).map_err(failed(&tables))?;
        Ok(Self { dir: dir.to_owned(), folders: vec![tables] })
    }

    /// Creates the file of a table.
    pub fn table(&self, name: &str) -> Result<TableFile, CliError> {
        let path = table_file(&self.dir, name);
        let file = File::create_new(&path).map_err(failed(&path))?;
        Ok(TableFile { path, file: BufWriter::new(file), hasher: Sha256::new(), bytes: 0, rows: 0 })
    }

    /// Writes a document.
    pub fn document(&mut self, name: String, bytes: &[u8]) -> Result<DocumentEntry, CliError> {
        let path = document_file(&self.dir, &name);
        if let Some(folder) = path.parent().filter(|folder| !self.folders.iter().any(|known| known == folder))
        {
            fs::create_dir_all(folder).map_err(failed(folder))?;
            self.folders.push(folder.to_owned());
        }
        write_whole(&path, bytes)?;
        Ok(DocumentEntry { name, sum: Sum::of(bytes) })
    }

    /// Writes the manifest as the last file: a folder without one is not a backup.
    pub fn finish(self, manifest: &Manifest) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|_| "the manifest cannot be written".to_owned())?
            + "\n";
        for folder in &self.folders {
            sync(folder)?;
        }
        write_whole(
            &self.dir.join(MANIFEST_SUM),
            format!("{}  {MANIFEST}\n", Sum::of(text.as_bytes()).sha256).as_bytes(),
        )?;
        write_whole(&self.dir.join(MANIFEST), text.as_bytes())?;
        sync(&self.dir)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut file = File::create_new(path).map_err(failed(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(path))
}

fn sync(folder: &Path) -> Result<(), CliError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

/// File of a table that is being written.
pub struct TableFile {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
    rows: u64,
}

impl TableFile {
    /// Adds a row.
    pub fn write(&mut self, row: &[Cell]) -> Result<(), CliError> {
        let values: Vec<Value> = row
            .iter()
            .map(|cell| match cell {
                Cell::Null => Value::Null,
                Cell::Integer(value) => Value::from(*value),
                Cell::Text(text) => Value::from(text.as_str()),
                Cell::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
            })
            .collect();
        let line = Value::from(values).to_string() + "\n";
        self.file.write_all(line.as_bytes()).map_err(failed(&self.path))?;
        self.hasher.update(line.as_bytes());
        self.bytes += line.len() as u64;
        self.rows += 1;
        Ok(())
    }

    /// Syncs the file to disk; returns the number of its rows and its hash.
    pub fn finish(mut self) -> Result<(u64, Sum), CliError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed(&self.path))?;
        Ok((self.rows, Sum { bytes: self.bytes, sha256: hex::encode(self.hasher.finalize()) }))
    }
}

/// A backup with verified files.
pub struct Archive {
    dir: PathBuf,
    manifest: Manifest,
}

impl Archive {
    /// Reads the manifest and verifies every file against it.
    pub fn open(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{}: not a complete backup; it has no {MANIFEST}", dir.display())
            }
            _ => failed(&path)(error),
        })?;
        let sum_path = dir.join(MANIFEST_SUM);
        let sum = fs::read_to_string(&sum_path).map_err(failed(&sum_path))?;
        let altered = || format!("{}: was altered; nothing was restored", path.display());
        if sum != format!("{}  {MANIFEST}\n", Sum::of(&text).sha256) {
            return Err(altered());
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| altered())?;
        if manifest.format != FORMAT {
            return Err(format!(
                "{}: has format {}; this version of Coffer reads format {FORMAT}",
                path.display(),
                manifest.format
            ));
        }
        for table in &manifest.tables {
            if !table.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(altered());
            }
            check(&table_file(dir, &table.name), &table.sum)?;
        }
        for document in &manifest.documents {
            if !is_document_name(&document.name) {
                return Err(altered());
            }
            check(&document_file(dir, &document.name), &document.sum)?;
        }
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns a reader for the rows of a table.
    pub fn rows<'a>(&self, table: &'a TableEntry) -> Result<Rows<'a>, CliError> {
        let path = table_file(&self.dir, &table.name);
        let file = File::open(&path).map_err(failed(&path))?;
        Ok(Rows { table, path, file: BufReader::new(file), line: String::new(), read: 0 })
    }

    /// Reads the file of a document.
    pub fn document(&self, document: &DocumentEntry) -> Result<Vec<u8>, CliError> {
        let path = document_file(&self.dir, &document.name);
        fs::read(&path).map_err(failed(&path))
    }
}

/// Whether a name has the form PARTNER_ID/DOCUMENT_ID.
fn is_document_name(name: &str) -> bool {
    name.split_once('/').is_some_and(|ids| [ids.0, ids.1].iter().all(|id| Uuid::try_parse(id).is_ok()))
}

/// Refuses a file that differs from its entry in the manifest.
fn check(path: &Path, expected: &Sum) -> Result<(), CliError> {
    let mut file =
        File::open(path).map_err(|error| format!("{}: {error}; nothing was restored", path.display()))?;
    let mut hasher = Sha256::new();
    let (mut bytes, mut buffer) = (0_u64, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(failed(path))?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        bytes += read as u64;
    }
    let found = Sum { bytes, sha256: hex::encode(hasher.finalize()) };
    if found == *expected {
        Ok(())
    } else {
        Err(format!("{}: was altered; nothing was restored", path.display()))
    }
}

/// Reader for the rows in the file of a table.
pub struct Rows<'a> {
    table: &'a TableEntry,
    path: PathBuf,
    file: BufReader<File>,
    line: String,
    read: u64,
}

impl Rows<'_> {
    /// Returns the next batch of rows; none at the end.
    pub fn next(&mut self) -> Result<Option<Vec<Row>>, CliError> {
        let mut rows = Vec::with_capacity(BATCH);
        while rows.len() < BATCH {
            self.line.clear();
            if self.file.read_line(&mut self.line).map_err(failed(&self.path))? == 0 {
                break;
            }
            self.read += 1;
            let row = self.parse().ok_or_else(|| {
                format!("{}: line {} is not a row of the table", self.path.display(), self.read)
            })?;
            rows.push(row);
        }
        if rows.is_empty() && self.read != self.table.rows {
            return Err(format!(
                "{}: has {} rows but should have {}",
                self.path.display(),
                self.read,
                self.table.rows
            ));
        }
        Ok((!rows.is_empty()).then_some(rows))
    }

    fn parse(&self) -> Option<Row> {
        let values: Vec<Value> = serde_json::from_str(&self.line).ok()?;
        if values.len() != self.table.columns.len() {
            return None;
        }
        let cell = |(column, value): (&Column, Value)| match (column.kind, value) {
            (_, Value::Null) => Some(Cell::Null),
            (Kind::Integer, value) => value.as_i64().map(Cell::Integer),
            (Kind::Text, Value::String(text)) => Some(Cell::Text(text)),
            (Kind::Bytes, Value::String(text)) => STANDARD.decode(text).ok().map(Cell::Bytes),
            _ => None,
        };
        self.table.columns.iter().zip(values).map(cell).collect()
    }
}
