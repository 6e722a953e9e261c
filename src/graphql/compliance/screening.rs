//! GraphQL types and operations for watch-list screening.

use super::kyc::Kyc;
use crate::graphql::core::{
    breadth::{Fetch, Lookup, One, fetch, found, lookup},
    ids::IdOf,
    loaders::ExceptionOf,
    scalars::{Date, DateTime, Decimal},
};
use async_graphql::{Enum, ID, SimpleObject};
use domain::compliance::{
    kyc::hits::{self, ClearWatchListHit},
    screening::{self, Compared, Part},
};
use entity::{screening_hit, screening_run, watch_list};
use macros::{Fields, Leaf, breadth, mutations};

/// Watch-list entry that resembles the applicant of an identity check.
#[derive(Clone)]
pub struct WatchListHit(pub screening_hit::Model);

/// Watch-list entry that resembles the applicant of an identity check.
#[breadth]
impl WatchListHit {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity check in which the hit was found.
    fn kyc(&self) -> One<Kyc> {
        One::of(self.0.kyc_id)
    }

    /// Source of the list, for example `OFAC SDN`.
    fn source(&self) -> &str {
        &self.0.source
    }

    /// Number of the entry on its list.
    fn entry_number(&self) -> String {
        self.0.entry.to_string()
    }

    /// Listed name or alias that is most similar to the applicant's name.
    fn listed_name(&self) -> &str {
        &self.0.listed_name
    }

    /// Sanctions programs that the entry is listed under, for example `SDGT`.
    fn programs(&self) -> Vec<&str> {
        self.0.programs.lines().collect()
    }

    /// Similarity from 0 to 1, the sum of `parts`. A hit has at least 0.70; a name alone has at most 0.80.
    fn score(&self) -> Decimal {
        Decimal::hundredths(self.0.score)
    }

    /// Comparisons, each with its effect on the score.
    fn parts(&self) -> Vec<WatchListHitPart> {
        screening::parts(&self.0).into_iter().map(WatchListHitPart::from).collect()
    }

    /// Time when the hit was found.
    fn found_at(&self) -> DateTime {
        self.0.found_at.into()
    }

    /// Time when the hit was cleared as a different person; null while the hit is open.
    fn cleared_at(&self) -> Option<DateTime> {
        self.0.cleared_at.map(DateTime::from)
    }

    /// Exception that cleared the hit; null while the hit is open.
    fn exception(&self) -> Lookup<ExceptionOf, Option<WatchListException>> {
        let is_cleared = self.0.exception_id.is_some();
        lookup(self.0.exception_id.map(ExceptionOf), move |view, exception| {
            if !is_cleared {
                return Ok(None);
            }
            let exception = found(exception)?;
            Ok(Some(WatchListException {
                until: exception.until.into(),
                reason: hits::reason(view.app(), &exception)?.reveal().clone(),
                created_at: exception.made_at.into(),
            }))
        })
    }
}

/// Comparison with a watch-list entry.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WatchListHitPart {
    /// Data that was compared.
    name: WatchListHitPartName,
    /// Amount added to the score; negative if it lowers the score.
    points: Decimal,
    /// Finding, as an English sentence.
    rule: String,
}

impl From<Part> for WatchListHitPart {
    fn from(part: Part) -> Self {
        Self {
            name: part.name.into(),
            points: Decimal::hundredths(part.points),
            rule: part.rule.into_owned(),
        }
    }
}

/// Data compared with a watch-list entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "Compared")]
pub enum WatchListHitPartName {
    /// Name.
    Name,
    /// Date of birth.
    BirthDate,
}

/// Decision that a person is not a given watch-list entry, valid for a limited time.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WatchListException {
    /// Last day on which the exception is valid.
    until: Date,
    /// Why the entry is a different person.
    reason: String,
    /// Time when the exception was created.
    created_at: DateTime,
}

/// Watch lists that users are screened against, one for each source.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WatchList {
    /// Current list of each source, sorted by name.
    sources: Vec<WatchListSource>,
    /// Progress of screening existing users again after the newest import. Null before the first import.
    screening: Option<WatchListScreening>,
}

/// Watch list of one source.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WatchListSource {
    /// Name of the source, for example `OFAC SDN`.
    name: String,
    /// Number of entries.
    entries: i32,
    /// Number of names, including aliases.
    names: i32,
    /// Time of the import.
    imported_at: DateTime,
}

/// Screening of existing users after an import.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WatchListScreening {
    /// Number of users when the screening started.
    people: i32,
    /// Number of users screened so far.
    screened: i32,
    /// Number of users that could not be screened.
    failed: i32,
    /// Number of new hits.
    hits: i32,
    /// Time when the screening started.
    started_at: DateTime,
    /// Time when the screening finished. Null while it is running.
    finished_at: Option<DateTime>,
}

impl From<watch_list::Model> for WatchListSource {
    fn from(row: watch_list::Model) -> Self {
        Self { name: row.source, entries: row.entries, names: row.names, imported_at: row.imported_at.into() }
    }
}

impl From<screening_run::Model> for WatchListScreening {
    fn from(row: screening_run::Model) -> Self {
        let number = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            people: number(row.people),
            screened: number(row.screened),
            failed: number(row.failed),
            hits: number(row.hits),
            started_at: row.started_at.into(),
            finished_at: row.finished_at.map(DateTime::from),
        }
    }
}

#[derive(Default)]
pub struct ScreeningQuery;

#[breadth]
impl ScreeningQuery {
    /// Returns the watch lists that users are screened against, or null if none was imported. Requires scope
    /// `operate`.
    fn watch_list(&self) -> Fetch<Option<WatchList>> {
        fetch(|view| {
            Box::pin(async move {
                let (lists, run) = hits::lists(&*view.loaders().connection().await?, view.actor()).await?;
                let is_empty = lists.is_empty() && run.is_none();
                Ok((!is_empty).then(|| WatchList {
                    sources: lists.into_iter().map(WatchListSource::from).collect(),
                    screening: run.map(WatchListScreening::from),
                }))
            })
        })
    }
}

#[mutations]
impl ScreeningMutation {
    /// Clears a watch-list hit as a different person; once no hit is open, the identity check is decided
    /// again. The calling key must not have entered or changed this user's data. Requires scope `operate`.
    #[answers(hit: WatchListHit)]
    fn watch_list_hit_clear(
        hit_id: IdOf<WatchListHit>,
        /// Why the entry is a different person, 1 to 500 characters.
        reason: String,
        /// Last day on which the exception is valid, from today to two years ahead.
        until: Date,
    ) -> ClearWatchListHit {
        let hit_id = hit_id.into();
        ClearWatchListHit { hit_id, reason, until: until.0 }
    }
}
