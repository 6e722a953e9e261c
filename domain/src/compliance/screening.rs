//! Watch-list screening: lists of people who must not be served, and the entries that an applicant resembles.
//!
//! Lists belong to the operator of the server and apply to all partners. Lists of different sources apply
//! side by side, the newest of each; of older ones only the record of the import is stored. See `index` for
//! how resemblance is measured.

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

/// People on the current lists of all sources.
///
/// The index identifies an entry by its position in `entries`, since two sources may use the same number for
/// different people.
#[derive(Debug)]
pub struct People {
    index: Index,
    entries: Vec<(Arc<str>, i64)>,
}

/// Entry that resembles an applicant, with the source of its list.
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

    /// Whether any entry resembles an applicant.
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
                    .ok_or_else(|| Error::broken("an indexed entry is not on a watch list"))?;
                Ok(Found { source, entry, likeness })
            });
        found.collect()
    }
}

/// Cache of the people on the current lists, read on first use and after each change of a list.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Option<(Vec<Uuid>, Arc<People>)>>);

impl Cache {
    /// Returns the people on the current lists; none while there is no list.
    pub async fn people(&self, connection: &impl ConnectionTrait) -> Result<Option<Arc<People>>> {
        let lists = current(connection).await?;
        if lists.is_empty() {
            return Ok(None);
        }
        let mut cached = self.0.lock().await;
        if let Some((ids, people)) = cached.as_ref()
            && *ids == ids_of(&lists)
        {
            return Ok(Some(people.clone()));
        }
        let (ids, people) = loaded(connection, lists).await?;
        let people = Arc::new(people);
        *cached = Some((ids, people.clone()));
        Ok(Some(people))
    }
}

fn ids_of(lists: &[watch_list::Model]) -> Vec<Uuid> {
    lists.iter().map(|list| list.id).collect()
}

/// Most attempts to read lists that are replaced meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// Loads the people of these lists, or of the lists that replaced them meanwhile.
async fn loaded(
    connection: &impl ConnectionTrait,
    mut lists: Vec<watch_list::Model>,
) -> Result<(Vec<Uuid>, People)> {
    for _ in 0..MAX_ATTEMPTS {
        let ids = ids_of(&lists);
        let mut read = Vec::new();
        let mut complete = true;
        for list in lists {
            let names = watch_list_name::Entity::find()
                .filter(watch_list_name::Column::WatchListId.eq(list.id))
                .order_by_asc(watch_list_name::Column::Entry)
                .order_by_asc(watch_list_name::Column::Place)
                .all(connection)
                .await?;
            complete &= i32::try_from(names.len()).ok() == Some(list.names);
            read.push((list, names));
        }
        if complete {
            return Ok((ids, People::new(read)?));
        }
        lists = current(connection).await?;
    }
    Err(Error::broken("a watch list does not have as many names as were imported"))
}

/// PostgreSQL advisory lock that screenings share and that an import takes exclusively before its commit.
const SCREENING_LOCK: i32 = 7168;

/// Makes a concurrent import wait for this transaction, so that the check it stores is screened again with
/// the new list. On SQLite, write transactions are serialized anyway.
async fn lock_shared(tx: &WriteTransaction) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock_shared({SCREENING_LOCK})")).await?;
    }
    Ok(())
}

/// Whether there are lists and the applicant's name cannot be compared with them, so that a reviewer must
/// decide.
pub async fn cannot_screen(ctx: &CommandContext<'_>, applicant: &Applicant) -> Result<bool> {
    Ok(!is_comparable(&as_listed(applicant)) && !current(ctx.tx).await?.is_empty())
}

/// Returns the hits of an applicant for one identity check. Hits with a current exception are already
/// cleared.
pub async fn hits(
    ctx: &CommandContext<'_>,
    applicant: &Applicant,
    kyc_id: Uuid,
) -> Result<Vec<screening_hit::Model>> {
    lock_shared(ctx.tx).await?;
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
            .map_err(|_| Error::broken("the parts of a hit cannot be serialized"))?,
        found_at: ctx.now,
        cleared_at: by.map(|_| ctx.now),
        cleared_by: by.and_then(|exception| exception.made_by),
        exception_id: by.map(|exception| exception.id),
    })
}

/// Returns the parts of a hit's score.
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

/// Returns an applicant's current exceptions by source and entry; of several, the one that lasts longest.
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

/// Returns the keyed hash of the person that an exception is for: the same for the same name, birth date and
/// social security number within a partner.
pub fn subject(ctx: &CommandContext<'_>, applicant: &Applicant) -> Vec<u8> {
    let text = format!("{}\n{}\n{}", names::folded(&name_of(applicant)), applicant.birth_date, applicant.ssn);
    ctx.app.vault.blind_index("screening_exception.subject", ctx.partner.id, &text)
}

/// Returns the name in the order of lists, so that the family name is known.
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
