//! Replacing the list of one source, and removing a source.

use super::{SCREENING_LOCK, runs, sdn::Entry};
use crate::{
    Code, Error, Refusal, Result,
    kernel::{
        clock,
        db::{Db, WriteTransaction},
        ids::Ids,
    },
    people::person,
};
use entity::{Kind, watch_list, watch_list_name};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder,
};

/// A list that has been read.
#[derive(Clone, Debug)]
pub struct NewList {
    /// Name of its source; it replaces the present list of this source and no other.
    pub source: String,
    /// Of the bytes it was read from.
    pub digest: [u8; 32],
    pub entries: Vec<Entry>,
    /// Whether it may be much shorter than the list it replaces.
    pub force: bool,
}

/// How far an import is, in names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub of: u64,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The list counts from now on.
    New(watch_list::Model),
    /// The very same list was there, and nothing was written.
    Unchanged(watch_list::Model),
}

/// Names written with one statement.
const BATCH: usize = 500;

/// The part of the present list's entries that a new list must have, in percent.
const LEAST_PERCENT: u64 = 90;

/// A source's name in its stored form: 1 to 100 printable characters.
pub fn parse_source(text: &str) -> Result<String> {
    person::check_words("source", text)?;
    Ok(person::tidy(text))
}

/// The lists that count, by the names of their sources; none before the first import.
pub async fn current(connection: &impl ConnectionTrait) -> Result<Vec<watch_list::Model>> {
    let select = watch_list::Entity::find().filter(watch_list::Column::ReplacedAt.is_null());
    Ok(select.order_by_asc(watch_list::Column::Source).all(connection).await?)
}

/// Replaces the list of one source, in one transaction: all of it or nothing. Existing customers are screened
/// again afterwards.
pub async fn import(
    db: &Db,
    ids: Ids,
    list: NewList,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Imported> {
    let tx = alone(db).await?;
    let known = of_source(&tx, &list.source).await?;
    if let Some(known) = known.as_ref().filter(|known| known.digest == list.digest) {
        return Ok(Imported::Unchanged(known.clone()));
    }
    if let Some(known) = &known {
        require_length(known, &list)?;
    }
    let count = |count: usize| i32::try_from(count).map_err(|_| Error::broken("a list is too long"));
    let names: usize = list.entries.iter().map(|entry| entry.names.len()).sum();
    let row = watch_list::Model {
        id: ids.next(Kind::WatchList),
        source: list.source,
        digest: list.digest.to_vec(),
        entries: count(list.entries.len())?,
        names: count(names)?,
        imported_at: clock::system_now(),
        replaced_at: None,
    };
    if let Some(known) = known {
        take_away(&tx, known).await?;
    }
    let row = row.into_active_model().reset_all().insert(&tx).await?;
    let mut progress = Progress { done: 0, of: names as u64 };
    report(progress);
    let mut rows = list.entries.into_iter().flat_map(|entry| rows_of(row.id, entry)).peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> =
            rows.by_ref().take(BATCH).map(|name| name.into_active_model().reset_all()).collect();
        progress.done += batch.len() as u64;
        watch_list_name::Entity::insert_many(batch).exec_without_returning(&tx).await?;
        report(progress);
    }
    if tx.get_database_backend() == DbBackend::Postgres {
        // Checks that have read the old list are written first, so that the run finds them.
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({SCREENING_LOCK})")).await?;
    }
    runs::begin(&tx, row.id).await?;
    tx.commit().await?;
    Ok(Imported::New(row))
}

/// Removes a source: its list no longer counts. Hits that were found stay, open or cleared.
pub async fn remove(db: &Db, source: &str) -> Result<watch_list::Model> {
    let tx = alone(db).await?;
    let known = of_source(&tx, source).await?.ok_or_else(|| Refusal::not_found("source"))?;
    let removed = take_away(&tx, known).await?;
    tx.commit().await?;
    Ok(removed)
}

/// A transaction that no other change of the lists runs beside.
async fn alone(db: &Db) -> Result<WriteTransaction> {
    let tx = db.write().await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7166)").await?;
    }
    Ok(tx)
}

async fn of_source(connection: &impl ConnectionTrait, source: &str) -> Result<Option<watch_list::Model>> {
    Ok(current(connection).await?.into_iter().find(|list| list.source == source))
}

/// Refuses a list that is much shorter than the present one, unless it is forced: it may have been cut on its
/// way.
fn require_length(known: &watch_list::Model, list: &NewList) -> Result<()> {
    let (present, new) = (u64::from(known.entries.unsigned_abs()), list.entries.len() as u64);
    if list.force || new * 100 >= present * LEAST_PERCENT {
        return Ok(());
    }
    let text = format!(
        "The list has {new} entries, fewer than {LEAST_PERCENT} % of the {present} that it replaces. Use \
            --force if it is right."
    );
    Err(Refusal::new(Code::Invalid, "", text).into())
}

/// Has a list count no longer.
async fn take_away(connection: &impl ConnectionTrait, list: watch_list::Model) -> Result<watch_list::Model> {
    watch_list_name::Entity::delete_many()
        .filter(watch_list_name::Column::WatchListId.eq(list.id))
        .exec(connection)
        .await?;
    let mut row = list.into_active_model();
    row.replaced_at = Set(Some(clock::system_now()));
    Ok(row.update(connection).await?)
}

fn rows_of(watch_list_id: uuid::Uuid, entry: Entry) -> impl Iterator<Item = watch_list_name::Model> {
    let Entry { number, individual, programs, births, names } = entry;
    let births = births.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let programs = programs.join("\n");
    (0..).zip(names).map(move |(place, name)| watch_list_name::Model {
        watch_list_id,
        entry: number,
        place,
        name,
        alias: place > 0,
        individual,
        births: births.clone(),
        programs: programs.clone(),
    })
}
