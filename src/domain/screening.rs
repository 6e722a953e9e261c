//! Watch-list screening: lists of people with whom nobody may do business, and which of their entries a person resembles.
//!
//! A list is the house's, imported whole; the newest one counts. Of older lists only that they were imported is kept. How a resemblance is
//! measured is told in `index`.

mod births;
mod east_asian;
mod import;
mod index;
mod names;
mod nicknames;
mod scripts;
pub mod sdn;
mod sounds;
mod words;

pub use births::Birth;
pub use import::{Imported, NewList, Progress, import, newest};
pub use index::{Compared, Index, Likeness, ListedName, Part, THRESHOLD};
pub use names::is_comparable;

use super::{Error, Result, applicants::Applicant, command::Desk};
use entity::{Kind, screening_exception, screening_hit, watch_list, watch_list_name};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;
use uuid::Uuid;

/// The newest list in memory, read when it is first needed and whenever another has been imported.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Option<(Uuid, Arc<Index>)>>);

impl Cache {
    async fn index(&self, connection: &impl ConnectionTrait) -> Result<Option<Arc<Index>>> {
        let Some(list) = newest(connection).await? else { return Ok(None) };
        let mut known = self.0.lock().await;
        if let Some((id, index)) = known.as_ref()
            && *id == list.id
        {
            return Ok(Some(index.clone()));
        }
        let (id, index) = loaded(connection, list).await?;
        let index = Arc::new(index);
        *known = Some((id, index.clone()));
        Ok(Some(index))
    }
}

/// How often a list is looked for anew that was replaced while it was read.
const TRIES: usize = 3;

/// The people of a list, or of the one that has taken its place meanwhile.
async fn loaded(connection: &impl ConnectionTrait, mut list: watch_list::Model) -> Result<(Uuid, Index)> {
    for _ in 0..TRIES {
        let names = watch_list_name::Entity::find()
            .filter(watch_list_name::Column::WatchListId.eq(list.id))
            .order_by_asc(watch_list_name::Column::Entry)
            .order_by_asc(watch_list_name::Column::Place)
            .all(connection)
            .await?;
        if i32::try_from(names.len()).ok() == Some(list.names) {
            return Ok((list.id, Index::new(names.into_iter().filter(|name| name.individual).map(listed))));
        }
        list = newest(connection).await?.unwrap_or(list);
    }
    Err(Error::broken("a watch list does not have as many names as were imported"))
}

fn listed(row: watch_list_name::Model) -> ListedName {
    ListedName {
        entry: row.entry,
        alias: row.alias,
        births: row.births.lines().map(Birth::parse).collect(),
        programs: row.programs,
        name: row.name,
    }
}

/// The entries that resemble a person, for one identity check: those that an exception holds for are cleared already.
pub async fn hits(desk: &Desk<'_>, applicant: &Applicant, kyc_id: Uuid) -> Result<Vec<screening_hit::Model>> {
    let Some(index) = desk.app.screening.index(desk.tx).await? else { return Ok(Vec::new()) };
    let found = index.resembling(&format!("{}, {}", applicant.last_name, applicant.first_name), applicant.birth_date);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let exceptions = exceptions(desk, applicant, &found).await?;
    found.into_iter().map(|likeness| hit(desk, kyc_id, exceptions.get(&likeness.entry), likeness)).collect()
}

fn hit(desk: &Desk<'_>, kyc_id: Uuid, by: Option<&screening_exception::Model>, found: Likeness) -> Result<screening_hit::Model> {
    Ok(screening_hit::Model {
        id: desk.app.ids.next(Kind::ScreeningHit),
        partner_id: desk.partner.id,
        kyc_id,
        entry: found.entry,
        listed_name: found.listed_name,
        programs: found.programs,
        score: found.score,
        parts: serde_json::to_string(&found.parts).map_err(|_| Error::broken("the parts of a hit cannot be written"))?,
        found_at: desk.now,
        cleared_at: by.map(|_| desk.now),
        cleared_by: by.and_then(|exception| exception.made_by),
        exception_id: by.map(|exception| exception.id),
    })
}

/// How much of a hit's score comes from what.
pub fn parts(hit: &screening_hit::Model) -> Vec<Part> {
    serde_json::from_str(&hit.parts).unwrap_or_default()
}

/// Whether a hit is one that nobody has cleared.
pub const fn is_open(hit: &screening_hit::Model) -> bool {
    hit.cleared_at.is_none()
}

/// The exceptions that hold today for a person, by the entries they are from; the longest of several.
async fn exceptions(desk: &Desk<'_>, applicant: &Applicant, found: &[Likeness]) -> Result<HashMap<i64, screening_exception::Model>> {
    use screening_exception::Column;
    let rows = screening_exception::Entity::find()
        .filter(Column::PartnerId.eq(desk.partner.id))
        .filter(Column::Subject.eq(subject(desk, applicant)))
        .filter(Column::Entry.is_in(found.iter().map(|likeness| likeness.entry)))
        .filter(Column::Until.gte(desk.now.date_naive()))
        .order_by_asc(Column::Until)
        .order_by_asc(Column::Id)
        .all(desk.tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.entry, row)).collect())
}

/// Whom an exception is for: the same for the same name, day of birth and social security number among a partner's people, and says
/// nothing else.
pub fn subject(desk: &Desk<'_>, applicant: &Applicant) -> Vec<u8> {
    let text = format!("{}\n{}\n{}", names::folded(&name_of(applicant)), applicant.birth_date, applicant.ssn);
    desk.app.vault.blind_index("screening_exception.subject", desk.partner.id, &text)
}

fn name_of(applicant: &Applicant) -> String {
    format!("{} {}", applicant.first_name, applicant.last_name)
}
