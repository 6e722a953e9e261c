//! Importing files of bars for a sandbox partner.

use super::file::BarFile;
use crate::{
    Code, Error, Refusal, Result,
    kernel::db::{Db, WriteTransaction},
    trading::{
        instruments::{self, Catalog},
        wrong_lines::WrongLines,
    },
};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{
    Price, bar,
    partner::{self, Mode},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect};
use std::{collections::HashSet, fmt::Write};
use uuid::Uuid;

/// Number of bars written with one statement.
const BATCH: usize = 2_000;

/// Progress of an import, in bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub of: u64,
}

/// Result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    pub bars: u64,
    pub symbols: usize,
    /// Start of the earliest bar.
    pub first: DateTime<Utc>,
    /// Start of the latest bar.
    pub last: DateTime<Utc>,
}

/// Stores the bars of a file for a sandbox partner, in one transaction. Running servers use them at once.
///
/// Refused, and nothing is stored, for a live partner, for symbols that were not found, and if the partner has a bar
/// of the same symbol and minute already.
pub async fn import(
    db: &Db,
    partner: &partner::Model,
    file: &BarFile,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Imported> {
    if partner.mode != Mode::Sandbox {
        return Err(Refusal::new(
            Code::SandboxOnly,
            "",
            "Bars can be imported for a sandbox only; this partner is live.",
        )
        .into());
    }
    let times = || file.bars.iter().map(|line| line.bar.starts_at);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Err(refused("has no bars"));
    };
    let tx = db.write().await?;
    let instruments = instruments_of(&tx, partner.id, file).await?;
    require_new(&tx, partner.id, &instruments, file, first, last).await?;
    let mut progress = Progress { done: 0, of: file.bars.len() as u64 };
    report(progress);
    let backend = tx.get_database_backend();
    let prefixes: Vec<String> = instruments
        .iter()
        .map(|id| format!("{}, {}", id_text(backend, partner.id), id_text(backend, *id)))
        .collect();
    let mut text = String::new();
    for batch in file.bars.chunks(BATCH) {
        text.clear();
        text.push_str(
            "INSERT INTO bar (partner_id, instrument_id, starts_at, open, high, low, close, volume) VALUES ",
        );
        let mut separator = "";
        for line in batch {
            let bar = &line.bar;
            let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Price::units);
            let prefix = prefixes.get(line.symbol).ok_or_else(|| Error::broken("a bar has no symbol"))?;
            let (starts_at, volume) = (bar.starts_at.format("%Y-%m-%dT%H:%M:%S+00:00"), bar.volume.units());
            write!(text, "{separator}({prefix}, '{starts_at}', {open}, {high}, {low}, {close}, {volume})")
                .map_err(|_| Error::broken("a statement cannot be written"))?;
            separator = ", ";
        }
        tx.execute_unprepared(&text).await?;
        progress.done += batch.len() as u64;
        report(progress);
    }
    tx.commit().await?;
    Ok(Imported { bars: progress.of, symbols: file.symbols.len(), first, last })
}

fn refused(text: impl Into<String>) -> Error {
    Refusal::new(Code::Invalid, "", text).into()
}

/// Returns an id as a literal.
fn id_text(backend: DbBackend, id: Uuid) -> String {
    match backend {
        DbBackend::Postgres => format!("'{id}'"),
        _ => format!("x'{}'", id.simple()),
    }
}

/// Returns the ids of the instruments that have the symbols of a file for the partner, in the order of its symbols.
async fn instruments_of(tx: &WriteTransaction, partner_id: Uuid, file: &BarFile) -> Result<Vec<Uuid>> {
    let catalog = Catalog::read(tx, None).await?;
    let (mut found, mut unknown) = (Vec::with_capacity(file.symbols.len()), Vec::new());
    for (number, symbol) in file.symbols.iter().enumerate() {
        let named = catalog.by_symbol(Some(partner_id), symbol);
        if let Some(instrument) = named.filter(|_| instruments::is_symbol(symbol)) {
            found.push(instrument.id);
        } else {
            let line = file.bars.iter().find(|line| line.symbol == number).map_or(0, |line| line.line);
            unknown.push(format!("{symbol} (line {line})"));
        }
    }
    if unknown.is_empty() {
        Ok(found)
    } else {
        Err(refused(format!("these symbols were not found: {}", unknown.join(", "))))
    }
}

/// Refuses bars that the partner has already.
async fn require_new(
    tx: &WriteTransaction,
    partner_id: Uuid,
    instruments: &[Uuid],
    file: &BarFile,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<()> {
    let mut known: Vec<HashSet<DateTime<Utc>>> = Vec::with_capacity(instruments.len());
    for instrument_id in instruments {
        let times: Vec<DateTime<Utc>> = bar::Entity::find()
            .select_only()
            .column(bar::Column::StartsAt)
            .filter(bar::Column::PartnerId.eq(partner_id))
            .filter(bar::Column::InstrumentId.eq(*instrument_id))
            .filter(bar::Column::StartsAt.between(first, last))
            .into_tuple()
            .all(tx)
            .await?;
        known.push(times.into_iter().collect());
    }
    let mut wrong = WrongLines::default();
    for line in &file.bars {
        if known.get(line.symbol).is_some_and(|times| times.contains(&line.bar.starts_at)) {
            let symbol = file.symbols.get(line.symbol).map_or("", String::as_str);
            let time = line.bar.starts_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            wrong.add(line.line, &format!("{symbol} already has a bar at {time}"));
        }
    }
    wrong.done().map_err(refused)
}
