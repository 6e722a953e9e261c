//! The GraphQL face of watch-list screening.

use super::kyc::Kyc;
use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{KycUserError, payload},
        scalars::{Date, DateTime, Decimal},
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use domain::{
    compliance::{
        kyc::hits::{self, ClearWatchListHit},
        screening::{self, Compared, Part},
    },
    kernel::{idempotency::Key, ids},
};
use entity::{Kind, kyc, screening_exception, screening_hit, screening_run, watch_list};

/// An entry of the watch list that resembles the person of an identity check.
pub struct WatchListHit(pub screening_hit::Model);

/// An entry of the watch list that resembles the person of an identity check.
#[Object]
impl WatchListHit {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity check that it was found in.
    async fn kyc(&self, ctx: &Context<'_>) -> Result<Kyc> {
        Ok(Kyc(ctx.loaders().get::<kyc::Entity>(self.0.kyc_id).await?))
    }

    /// Source of the list, for example `OFAC SDN`.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// Number that the list itself has for the entry.
    async fn entry_number(&self) -> String {
        self.0.entry.to_string()
    }

    /// Name of the entry that resembles the person's most, be it an alias.
    async fn listed_name(&self) -> &str {
        &self.0.listed_name
    }

    /// Programs that the entry is listed under.
    async fn programs(&self) -> Vec<&str> {
        self.0.programs.lines().collect()
    }

    /// From 0 to 1, the sum of the parts; 0.70 and more is a hit, and a name alone has 0.80 at most.
    async fn score(&self) -> Decimal {
        Decimal::hundredths(self.0.score)
    }

    /// How much of the score comes from what.
    async fn parts(&self) -> Vec<WatchListHitPart> {
        screening::parts(&self.0).into_iter().map(WatchListHitPart::from).collect()
    }

    /// When it was found.
    async fn found_at(&self) -> DateTime {
        self.0.found_at.into()
    }

    /// When it was said to be somebody else; null while it holds the person up.
    async fn cleared_at(&self) -> Option<DateTime> {
        self.0.cleared_at.map(DateTime::from)
    }

    /// Exception by which it is cleared; null while it is not.
    async fn exception(&self, ctx: &Context<'_>) -> Result<Option<WatchListException>> {
        let Some(id) = self.0.exception_id else { return Ok(None) };
        let exception = ctx.loaders().get::<screening_exception::Entity>(id).await?;
        let reason = hits::reason(ctx.app(), &exception)?.reveal().clone();
        Ok(Some(WatchListException {
            until: exception.until.into(),
            reason,
            made_at: exception.made_at.into(),
        }))
    }
}

impl From<screening_hit::Model> for WatchListHit {
    fn from(row: screening_hit::Model) -> Self {
        Self(row)
    }
}

/// One comparison with an entry of the watch list.
#[derive(Clone, Debug, SimpleObject)]
pub struct WatchListHitPart {
    /// What was compared.
    name: WatchListHitPartName,
    /// What it adds to the score, below zero for what speaks against the resemblance.
    points: Decimal,
    /// What was found, in a sentence.
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

/// What is compared with an entry of the watch list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Compared")]
pub enum WatchListHitPartName {
    /// The name.
    Name,
    /// The day of birth.
    BirthDate,
}

/// That a person is not an entry of the watch list, until a day.
#[derive(Clone, Debug, SimpleObject)]
pub struct WatchListException {
    /// The last day on which it holds.
    until: Date,
    /// Why the person is somebody else.
    reason: String,
    /// When it was made.
    made_at: DateTime,
}

/// Lists of people who must not be served, one of each source.
#[derive(Clone, Debug, SimpleObject)]
pub struct WatchList {
    /// The list that counts of each source, by name.
    sources: Vec<WatchListSource>,
    /// How far existing customers have been screened again since the newest import. Null before the first.
    screening: Option<WatchListScreening>,
}

/// The list of one source.
#[derive(Clone, Debug, SimpleObject)]
pub struct WatchListSource {
    /// Name of the source, for example `OFAC SDN`.
    name: String,
    /// Number of entries.
    entries: i32,
    /// Number of names, aliases included.
    names: i32,
    /// When it was imported.
    imported_at: DateTime,
}

/// Screening of existing customers after an import.
#[derive(Clone, Debug, SimpleObject)]
pub struct WatchListScreening {
    /// Number of customers when it began.
    people: i32,
    /// Number of customers that have been screened.
    screened: i32,
    /// Number of customers who could not be screened.
    failed: i32,
    /// Number of new hits.
    hits: i32,
    /// When it began.
    started_at: DateTime,
    /// When all customers had been screened. Null while it goes on.
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

/// Input of watchListHitClear.
#[derive(InputObject)]
pub struct WatchListHitClearInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which.
    hit_id: ID,
    /// Why the person is somebody else, at most 500 characters.
    reason: String,
    /// The last day on which the exception holds, today at the earliest and at most two years ahead.
    until: Date,
}

payload!(
    /// Outcome of watchListHitClear.
    WatchListHitClearPayload {
        /// The hit, null when refused.
        hit: WatchListHit,
        KycUserError
    }
);

#[derive(Default)]
pub struct ScreeningQuery;

#[Object]
impl ScreeningQuery {
    /// Lists that people are screened against. Null when none was imported. Requires scope `operate`.
    async fn watch_list(&self, ctx: &Context<'_>) -> Result<Option<WatchList>> {
        let (lists, run) = hits::lists(&*ctx.loaders().connection().await?, ctx.actor()).await?;
        if lists.is_empty() && run.is_none() {
            return Ok(None);
        }
        Ok(Some(WatchList {
            sources: lists.into_iter().map(WatchListSource::from).collect(),
            screening: run.map(WatchListScreening::from),
        }))
    }
}

#[derive(Default)]
pub struct ScreeningMutation;

#[Object]
impl ScreeningMutation {
    /// Say that a person is not the entry of the watch list she resembles; with the last such hit her check
    /// is judged anew; scope `operate`, and another key than those that entered anything about her.
    async fn watch_list_hit_clear(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for watchListHitClear.")] input: WatchListHitClearInput,
    ) -> Result<Option<WatchListHitClearPayload>> {
        let WatchListHitClearInput { idempotency_key, hit_id, reason, until: Date(until) } = input;
        let key = idempotency_key.as_deref().map(Key::given);
        let clearing = ClearWatchListHit { hit_id: ids::parse(Kind::ScreeningHit, &hit_id), reason, until };
        let cleared = hits::clear(ctx.app(), ctx.actor(), key, clearing).await;
        Ok(Some(wire::answered(cleared)?.into()))
    }
}
