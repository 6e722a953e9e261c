//! Reviews: who looks at the identity checks that no rule decided, and decides.

use super::{APPLICANT, applicant, locked, settle, within};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope,
    kernel::{
        app::App,
        audit_log,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
        pages::{Order, Page, Slice},
        secrets::{AssociatedData, Secret},
    },
    people::applicants::Applicant,
};
use entity::{
    api_key, event,
    kyc::{self, Outcome},
    partner::Mode,
    screening_hit,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

const REASON: &str = "kyc.review_reason";

/// The partner's identity checks that wait for a review, oldest first; scope `operate`.
pub async fn queue(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: Page,
) -> Result<Slice<kyc::Model>> {
    let partner_id = actor.caller(Scope::Operate)?.access_scope.partner_id;
    let select = kyc::Entity::find()
        .filter(kyc::Column::PartnerId.eq(partner_id))
        .filter(kyc::Column::Outcome.eq(Outcome::ManualReview))
        .filter(kyc::Column::SupersededAt.is_null());
    Page { order: Order::OldestFirst, ..page }.of(connection, select, kyc::Column::Id).await
}

/// Whom a check is about, for who decides about her; scope `operate`. Who looked is written down.
pub async fn look_at_applicant(
    app: &App,
    actor: &Actor,
    check: &kyc::Model,
) -> Result<Option<Secret<Applicant>>> {
    let caller = actor.caller(Scope::Operate)?;
    let found = applicant(app, check)?;
    if found.is_some() {
        audit_log::record_read(app, &caller, actor.request_id, APPLICANT, Some(check.id)).await?;
    }
    Ok(found)
}

/// Why a check was decided as it was; none before it was.
pub fn reason(app: &App, check: &kyc::Model) -> Result<Option<Secret<String>>> {
    let place = AssociatedData { column: REASON, row: check.id, partner: check.partner_id };
    check.review_reason.as_deref().map(|sealed| app.vault.open_text(place, sealed)).transpose()
}

/// A decision about an identity check.
#[derive(Clone, Serialize)]
pub struct Decision {
    pub kyc_id: Uuid,
    /// 1 to 500 characters.
    pub reason: String,
}

/// Approves whom a check is about; scope `operate`, and another key than those by which anything about the
/// person came in. Refused while an entry of the watch list resembles her and nobody has cleared it.
pub async fn approve(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    decision: Decision,
) -> Result<Answer<kyc::Model>> {
    command::execute(app, actor, key, Approval(decision)).await
}

/// Refuses whom a check is about; scope `operate`, and another key than those by which anything about the
/// person came in.
pub async fn deny(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    decision: Decision,
) -> Result<Answer<kyc::Model>> {
    command::execute(app, actor, key, Denial(decision)).await
}

/// A decision for somebody.
#[derive(Serialize)]
pub struct Approval(Decision);

/// A decision against somebody.
#[derive(Serialize)]
pub struct Denial(Decision);

impl Command for Approval {
    const NAME: &'static str = "kyc.approve";
    const SCOPE: Scope = Scope::Operate;
    type Output = kyc::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        self.0.decide(ctx, Outcome::Approved).await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}

impl Command for Denial {
    const NAME: &'static str = "kyc.deny";
    const SCOPE: Scope = Scope::Operate;
    type Output = kyc::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        self.0.decide(ctx, Outcome::Denied).await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}

impl Decision {
    fn check(&self) -> Result<()> {
        match self.reason.trim().chars().count() {
            0 => Err(Refusal::required("reason").into()),
            1..=500 => Ok(()),
            _ => Err(Refusal::invalid("reason", "must have at most 500 characters").into()),
        }
    }

    async fn decide(&self, ctx: &CommandContext<'_>, outcome: Outcome) -> Result<kyc::Model> {
        let mut check =
            locked(ctx, async || within(ctx.tx, ctx.access_scope, self.kyc_id).await, "kycId").await?;
        if check.outcome != Outcome::ManualReview {
            return Err(
                Refusal::new(Code::KycNotOpen, "", "The identity check does not wait for a review.").into()
            );
        }
        require_independent_reviewer(ctx, &check).await?;
        if outcome == Outcome::Approved {
            require_cleared(ctx, &check).await?;
        }
        let place = AssociatedData { column: REASON, row: check.id, partner: check.partner_id };
        check.review_reason = Some(ctx.app.vault.seal(place, self.reason.trim().as_bytes())?);
        (check.outcome, check.decided_at) = (outcome, ctx.now);
        (check.reviewed_by, check.reviewed_at) = (ctx.actor_id, Some(ctx.now));
        settle(ctx, check, EventType::KycReviewed).await
    }
}

/// Refuses while an entry of the watch list resembles the person and nobody has cleared it.
async fn require_cleared(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    let open = screening_hit::Entity::find()
        .filter(screening_hit::Column::KycId.eq(check.id))
        .filter(screening_hit::Column::ClearedAt.is_null())
        .one(ctx.tx)
        .await?;
    if open.is_some() {
        let text =
            "An entry of the watch list resembles the person; it must be cleared before she can be approved.";
        return Err(Refusal::new(Code::KycNotOpen, "", text).into());
    }
    Ok(())
}

/// What a reviewer does, and what comes of it: who did no more than this has entered nothing.
const REVIEWERS: [EventType; 3] =
    [EventType::KycReviewed, EventType::KycHitCleared, EventType::UserStatusChanged];

/// Refuses whoever had a hand in what is to be decided: who entered, changed or sent something, be it for
/// this check, for an earlier one of the same person, or for the person herself. A key and the key that it
/// was rotated from are one hand.
pub async fn require_independent_reviewer(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    let Some(decider) = ctx.actor_id else { return Err(Error::broken("a review by nobody")) };
    let mut streams = vec![check.id];
    if let Some(user_id) = check.user_id {
        streams.push(user_id);
        let checks =
            kyc::Entity::find().select_only().column(kyc::Column::Id).filter(kyc::Column::UserId.eq(user_id));
        streams.extend(checks.into_tuple::<Uuid>().all(ctx.tx).await?);
    }
    let makers: Vec<Option<Uuid>> = event::Entity::find()
        .select_only()
        .column(event::Column::ActorId)
        .distinct()
        .filter(event::Column::StreamId.is_in(streams))
        .filter(event::Column::Kind.is_not_in(REVIEWERS.map(EventType::name)))
        .into_tuple()
        .all(ctx.tx)
        .await?;
    let makers: Vec<Uuid> = makers.into_iter().flatten().collect();
    let made_by = hands(ctx, &makers).await?;
    let mut line = hands(ctx, &[decider]).await?;
    // A key that a maker has given out is a maker's, however many keys lie between.
    for _ in 0..LONGEST_CHAIN {
        if !line.is_disjoint(&made_by) {
            break;
        }
        let mut givers = Vec::new();
        for key in line {
            givers.extend(giver_of(ctx, key).await?);
        }
        if givers.is_empty() {
            return Ok(());
        }
        line = hands(ctx, &givers).await?;
    }
    let text =
        "Who entered, changed or sent something about this person cannot decide about her; another key must.";
    Err(Refusal::new(Code::MakerChecker, "", text).into())
}

/// How many keys may have given each other out before a decider counts as no other.
const LONGEST_CHAIN: usize = 64;

/// The key that gave out the first key of a line; none for one that the house gave out.
async fn giver_of(ctx: &CommandContext<'_>, line: Uuid) -> Result<Option<Uuid>> {
    let issued = event::Entity::find()
        .filter(event::Column::PartnerId.eq(ctx.partner.id))
        .filter(event::Column::StreamId.eq(ctx.partner.id))
        .filter(event::Column::Kind.eq(EventType::ApiKeyIssued.name()))
        .filter(event::Column::Payload.contains(line.to_string()))
        .order_by_asc(event::Column::Id)
        .one(ctx.tx)
        .await?;
    Ok(issued.and_then(|event| event.actor_id).filter(|giver| *giver != line && *giver != ctx.partner.id))
}

/// Actors, each key as the line that it belongs to.
async fn hands(ctx: &CommandContext<'_>, actors: &[Uuid]) -> Result<HashSet<Uuid>> {
    let lines: Vec<(Uuid, Uuid)> = api_key::Entity::find()
        .select_only()
        .columns([api_key::Column::Id, api_key::Column::LineageId])
        .filter(api_key::Column::Id.is_in(actors.iter().copied()))
        .into_tuple()
        .all(ctx.tx)
        .await?;
    let line_of = |actor: &Uuid| lines.iter().find(|(key, _)| key == actor).map_or(*actor, |(_, line)| *line);
    Ok(actors.iter().map(line_of).collect())
}
