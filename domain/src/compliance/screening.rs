//! Watch-list screening: lists of people who must not be served, and which of their entries a person
//! resembles.
//!
//! Lists belong to the operator of the server and count for all partners. Lists of different sources count
//! side by side, the newest of each; of older ones only that they were imported is kept. How a resemblance is
//! measured is described in `index`.

mod births;
mod east_asian;
mod import;
mod index;
mod names;
mod nicknames;
pub mod runs;
mod scripts;
pub mod sdn;
mod sounds;
mod words;

pub use births::Birth;
pub use import::{Imported, NewList, Progress, current, import, parse_source, remove};
pub use index::{Compared, Index, Likeness, ListedName, Part, THRESHOLD};
pub use names::is_comparable;

use crate::{
    Error, Result,
    kernel::{
        app::{App, Feature},
        command::CommandContext,
        db::WriteTransaction,
    },
    people::applicants::Applicant,
};
use entity::{Kind, screening_exception, screening_hit, watch_list, watch_list_name};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;
use uuid::Uuid;

/// The people of the current lists of all sources.
///
/// The index knows an entry by its place in `entries`, since two sources may give the same number to
/// different people.
#[derive(Debug)]
pub struct People {
    index: Index,
    entries: Vec<(Arc<str>, i64)>,
}

/// An entry that resembles a person, with the source of its list.
struct Found {
    source: Arc<str>,
    entry: i64,
    likeness: Likeness,
}

impl People {
    fn new(lists: Vec<(watch_list::Model, Vec<watch_list_name::Model>)>) -> Result<Self> {
        let (mut entries, mut listed) = (Vec::<(Arc<str>, i64)>::new(), Vec::new());
        for (list, names) in lists {
            let source: Arc<str> = list.source.into();
            for name in names.into_iter().filter(|name| name.individual) {
                if entries.last().is_none_or(|(of, entry)| (&**of, *entry) != (&*source, name.entry)) {
                    entries.push((source.clone(), name.entry));
                }
                let place = i64::try_from(entries.len() - 1)
                    .map_err(|_| Error::broken("the watch lists are too long"))?;
                listed.push(ListedName {
                    entry: place,
                    alias: name.alias,
                    births: name.births.lines().map(Birth::parse).collect(),
                    programs: name.programs,
                    name: name.name,
                });
            }
        }
        Ok(Self { index: Index::new(listed), entries })
    }

    /// Whether any entry resembles a person.
    pub fn resemble(&self, applicant: &Applicant) -> bool {
        !self.index.resembling(&as_listed(applicant), applicant.birth_date).is_empty()
    }

    fn resembling(&self, applicant: &Applicant) -> Result<Vec<Found>> {
        let found =
            self.index.resembling(&as_listed(applicant), applicant.birth_date).into_iter().map(|likeness| {
                let place = usize::try_from(likeness.entry).unwrap_or(usize::MAX);
                let (source, entry) = self
                    .entries
                    .get(place)
                    .cloned()
                    .ok_or_else(|| Error::broken("an entry is on no watch list"))?;
                Ok(Found { source, entry, likeness })
            });
        found.collect()
    }
}

/// The people of the current lists in memory, read when they are first needed and whenever a list has
/// changed.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Option<(Vec<Uuid>, Arc<People>)>>);

impl Cache {
    /// The people of the current lists; none while there is no list.
    pub async fn people(&self, connection: &impl ConnectionTrait) -> Result<Option<Arc<People>>> {
        let lists = current(connection).await?;
        if lists.is_empty() {
            return Ok(None);
        }
        let mut known = self.0.lock().await;
        if let Some((ids, people)) = known.as_ref()
            && *ids == ids_of(&lists)
        {
            return Ok(Some(people.clone()));
        }
        let (ids, people) = loaded(connection, lists).await?;
        let people = Arc::new(people);
        *known = Some((ids, people.clone()));
        Ok(Some(people))
    }
}

fn ids_of(lists: &[watch_list::Model]) -> Vec<Uuid> {
    lists.iter().map(|list| list.id).collect()
}

/// How often lists are read anew that were replaced while they were read.
const MAX_ATTEMPTS: usize = 3;

/// The people of these lists, or of the ones that have taken their place meanwhile.
async fn loaded(
    connection: &impl ConnectionTrait,
    mut lists: Vec<watch_list::Model>,
) -> Result<(Vec<Uuid>, People)> {
    for _ in 0..MAX_ATTEMPTS {
        let ids = ids_of(&lists);
        let mut read = Vec::new();
        let mut whole = true;
        for list in lists {
            let names = watch_list_name::Entity::find()
                .filter(watch_list_name::Column::WatchListId.eq(list.id))
                .order_by_asc(watch_list_name::Column::Entry)
                .order_by_asc(watch_list_name::Column::Place)
                .all(connection)
                .await?;
            whole &= i32::try_from(names.len()).ok() == Some(list.names);
            read.push((list, names));
        }
        if whole {
            return Ok((ids, People::new(read)?));
        }
        lists = current(connection).await?;
    }
    Err(Error::broken("a watch list does not have as many names as were imported"))
}

/// The advisory lock of PostgreSQL that screening shares and that the end of an import takes alone.
const SCREENING_LOCK: i32 = 7168;

/// Has a list that is imported meanwhile wait for this transaction, so that the check it writes is screened
/// again with the new list. On SQLite transactions that write take turns anyway.
async fn share(tx: &WriteTransaction) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock_shared({SCREENING_LOCK})")).await?;
    }
    Ok(())
}

/// Whether there are lists and a person's name can be compared with none of them, so that a reviewer must
/// look.
pub async fn cannot_screen(ctx: &CommandContext<'_>, applicant: &Applicant) -> Result<bool> {
    Ok(!is_comparable(&as_listed(applicant)) && !current(ctx.tx).await?.is_empty())
}

/// The entries that resemble a person, for one identity check: those that an exception holds for are cleared
/// already.
pub async fn hits(
    ctx: &CommandContext<'_>,
    applicant: &Applicant,
    kyc_id: Uuid,
) -> Result<Vec<screening_hit::Model>> {
    share(ctx.tx).await?;
    let Some(people) = ctx.app.feature::<Cache>().people(ctx.tx).await? else { return Ok(Vec::new()) };
    let found = people.resembling(applicant)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let exceptions = exceptions(ctx, applicant, &found).await?;
    let by = |found: &Found| exceptions.get(&(found.source.to_string(), found.entry));
    found.into_iter().map(|found| hit(ctx, kyc_id, by(&found), found)).collect()
}

fn hit(
    ctx: &CommandContext<'_>,
    kyc_id: Uuid,
    by: Option<&screening_exception::Model>,
    found: Found,
) -> Result<screening_hit::Model> {
    let Found { source, entry, likeness } = found;
    Ok(screening_hit::Model {
        id: ctx.app.ids.next(Kind::ScreeningHit),
        partner_id: ctx.partner.id,
        kyc_id,
        source: source.to_string(),
        entry,
        listed_name: likeness.listed_name,
        programs: likeness.programs,
        score: likeness.score,
        parts: serde_json::to_string(&likeness.parts)
            .map_err(|_| Error::broken("the parts of a hit cannot be written"))?,
        found_at: ctx.now,
        cleared_at: by.map(|_| ctx.now),
        cleared_by: by.and_then(|exception| exception.made_by),
        exception_id: by.map(|exception| exception.id),
    })
}

/// How much of a hit's score comes from what.
pub fn parts(hit: &screening_hit::Model) -> Vec<Part> {
    serde_json::from_str(&hit.parts).unwrap_or_default()
}

/// Whether a hit has not been cleared.
pub const fn is_open(hit: &screening_hit::Model) -> bool {
    hit.cleared_at.is_none()
}

/// Whether two hits are on the same entry of the same source.
pub fn is_same_entry(one: &screening_hit::Model, other: &screening_hit::Model) -> bool {
    one.entry == other.entry && one.source == other.source
}

/// The exceptions that hold today for a person, by the source and entry they are from; the longest of
/// several.
async fn exceptions(
    ctx: &CommandContext<'_>,
    applicant: &Applicant,
    found: &[Found],
) -> Result<HashMap<(String, i64), screening_exception::Model>> {
    use screening_exception::Column;
    let rows = screening_exception::Entity::find()
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .filter(Column::Subject.eq(subject(ctx, applicant)))
        .filter(Column::Entry.is_in(found.iter().map(|found| found.entry)))
        .filter(Column::Until.gte(ctx.today()))
        .order_by_asc(Column::Until)
        .order_by_asc(Column::Id)
        .all(ctx.tx)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.source.clone(), row.entry), row)).collect())
}

/// The person an exception is for, as a keyed hash: the same for the same name, birth date and social
/// security number among a partner's people.
pub fn subject(ctx: &CommandContext<'_>, applicant: &Applicant) -> Vec<u8> {
    let text = format!("{}\n{}\n{}", names::folded(&name_of(applicant)), applicant.birth_date, applicant.ssn);
    ctx.app.vault.blind_index("screening_exception.subject", ctx.partner.id, &text)
}

/// A name in the order in which lists write it, so that the family name is known.
fn as_listed(applicant: &Applicant) -> String {
    format!("{}, {}", applicant.last_name, applicant.first_name)
}

fn name_of(applicant: &Applicant) -> String {
    format!("{} {}", applicant.first_name, applicant.last_name)
}

impl Feature for Cache {
    fn new(_: &App) -> Self {
        Self::default()
    }
}
