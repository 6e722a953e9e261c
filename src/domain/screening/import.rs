//! A new list in the place of the old one.

use super::sdn::Entry;
use crate::domain::{Error, Result, clock, db::Db, ids::Ids};
use entity::{Kind, watch_list, watch_list_name};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

/// A list that has been read.
#[derive(Clone, Debug)]
pub struct NewList {
    /// What its importer calls it.
    pub source: String,
    /// Of the bytes it was read from.
    pub digest: [u8; 32],
    pub entries: Vec<Entry>,
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

/// The list that counts; none before the first import.
pub async fn newest(connection: &impl ConnectionTrait) -> Result<Option<watch_list::Model>> {
    Ok(watch_list::Entity::find().order_by_desc(watch_list::Column::Id).one(connection).await?)
}

/// Puts a list in the place of the one that counts, in one transaction: all of it or nothing. Identity checks from before stay as
/// they are.
pub async fn import(db: &Db, ids: Ids, list: NewList, report: &mut (dyn FnMut(Progress) + Send)) -> Result<Imported> {
    let tx = db.write().await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        // One import after the other.
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7166)").await?;
    }
    let known = newest(&tx).await?;
    if let Some(known) = known.as_ref().filter(|known| known.digest == list.digest) {
        return Ok(Imported::Unchanged(known.clone()));
    }
    let id = ids.next(Kind::WatchList);
    if known.is_some_and(|known| known.id > id) {
        return Err(Error::broken("the newest list was imported at a later time than it is now"));
    }
    let count = |count: usize| i32::try_from(count).map_err(|_| Error::broken("a list is too long"));
    let names: usize = list.entries.iter().map(|entry| entry.names.len()).sum();
    let row = watch_list::Model {
        id,
        source: list.source,
        digest: list.digest.to_vec(),
        entries: count(list.entries.len())?,
        names: count(names)?,
        imported_at: clock::system_now(),
    };
    let row = row.into_active_model().reset_all().insert(&tx).await?;
    let mut progress = Progress { done: 0, of: names as u64 };
    report(progress);
    let mut rows = list.entries.into_iter().flat_map(|entry| rows_of(row.id, entry)).peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(BATCH).map(|name| name.into_active_model().reset_all()).collect();
        progress.done += batch.len() as u64;
        watch_list_name::Entity::insert_many(batch).exec_without_returning(&tx).await?;
        report(progress);
    }
    watch_list_name::Entity::delete_many().filter(watch_list_name::Column::WatchListId.ne(row.id)).exec(&tx).await?;
    tx.commit().await?;
    Ok(Imported::New(row))
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
