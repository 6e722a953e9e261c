//! Importing and removing the list of a source.

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

/// Parsed list to import.
#[derive(Clone, Debug)]
pub struct NewList {
    /// Name of the source. The list replaces the current list of this source only.
    pub source: String,
    /// Digest of the bytes that it was read from.
    pub digest: [u8; 32],
    pub entries: Vec<Entry>,
    /// Whether the list may be much shorter than the one it replaces.
    pub force: bool,
}

/// Progress of an import, in names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub of: u64,
}

/// Result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The list is in effect.
    New(watch_list::Model),
    /// The same list was already in effect; nothing was written.
    Unchanged(watch_list::Model),
}

/// Number of names written with one statement.
const BATCH: usize = 500;

/// Least size of a new list, in percent of the current list's entries.
const MIN_PERCENT: u64 = 90;

/// Returns the stored form of a source name: 1 to 100 printable characters.
pub fn parse_source(text: &str) -> Result<String> {
    person::check_words("source", text)?;
    Ok(person::tidy(text))
}

/// Returns the current lists, ordered by source; none before the first import.
pub async fn current(connection: &impl ConnectionTrait) -> Result<Vec<watch_list::Model>> {
    let select = watch_list::Entity::find().filter(watch_list::Column::ReplacedAt.is_null());
    Ok(select.order_by_asc(watch_list::Column::Source).all(connection).await?)
}

/// Replaces the list of one source in one transaction. Existing users are screened again afterwards.
pub async fn import(
    db: &Db,
    ids: Ids,
    list: NewList,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Imported> {
    let tx = begin_exclusive(db).await?;
    let old = of_source(&tx, &list.source).await?;
    if let Some(old) = old.as_ref().filter(|old| old.digest == list.digest) {
        return Ok(Imported::Unchanged(old.clone()));
    }
    if let Some(old) = &old {
        require_length(old, &list)?;
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
    if let Some(old) = old {
        retire(&tx, old).await?;
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
        // Waits until checks screened with the old list are stored, so that the run finds them.
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({SCREENING_LOCK})")).await?;
    }
    runs::begin(&tx, row.id).await?;
    tx.commit().await?;
    Ok(Imported::New(row))
}

/// Removes a source: its list is no longer in effect. Existing hits stay, open or cleared.
pub async fn remove(db: &Db, source: &str) -> Result<watch_list::Model> {
    let tx = begin_exclusive(db).await?;
    let old = of_source(&tx, source).await?.ok_or_else(|| Refusal::not_found("source"))?;
    let removed = retire(&tx, old).await?;
    tx.commit().await?;
    Ok(removed)
}

/// Begins a transaction that excludes other changes of the lists.
async fn begin_exclusive(db: &Db) -> Result<WriteTransaction> {
    let tx = db.write().await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7166)").await?;
    }
    Ok(tx)
}

async fn of_source(connection: &impl ConnectionTrait, source: &str) -> Result<Option<watch_list::Model>> {
    Ok(current(connection).await?.into_iter().find(|list| list.source == source))
}

/// Refuses a list that is much shorter than the current one, unless forced: it may be truncated.
fn require_length(old: &watch_list::Model, list: &NewList) -> Result<()> {
    let (current_count, new) = (u64::from(old.entries.unsigned_abs()), list.entries.len() as u64);
    if list.force || new * 100 >= current_count * MIN_PERCENT {
        return Ok(());
    }
    let text = format!(
        "The list has {new} entries, fewer than {MIN_PERCENT} % of the {current_count} that it replaces. Use \
            --force if the list is complete."
    );
    Err(Refusal::new(Code::Invalid, "", text).into())
}

/// Marks a list as replaced and deletes its names.
async fn retire(connection: &impl ConnectionTrait, list: watch_list::Model) -> Result<watch_list::Model> {
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
