//! Manual review of identity checks.

use super::{APPLICANT, applicant, locked, settle, within};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope,
    kernel::{
        app::App,
        audit_log,
        command::{Command, CommandContext},
        events::{Event, EventType},
        lists::Filter,
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
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

const REASON: &str = "kyc.review_reason";

/// Returns the conditions on the identity checks that are waiting for a review. Requires scope `operate`.
pub fn queue(actor: &Actor) -> Result<Vec<Filter>> {
    actor.caller(Scope::Operate)?;
    let undecided = Filter::one_of(kyc::Column::Outcome, [Outcome::ManualReview]);
    Ok(undecided.into_iter().chain([Filter::is_null(kyc::Column::SupersededAt)]).collect())
}

/// Returns the applicant of a check for its reviewer and writes the read to the audit log. Requires scope
/// `operate`.
pub async fn get_applicant_audited(
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

/// Returns the reason of a review; none if the check was not reviewed.
pub fn reason(app: &App, check: &kyc::Model) -> Result<Option<Secret<String>>> {
    let associated_data = AssociatedData { column: REASON, row: check.id, partner: check.partner_id };
    check.review_reason.as_deref().map(|sealed| app.vault.open_text(associated_data, sealed)).transpose()
}

/// Decision about an identity check.
#[derive(Clone, Serialize)]
pub struct Decision {
    pub kyc_id: Uuid,
    /// 1 to 500 characters.
    pub reason: String,
}

/// Approves an identity check.
#[derive(Serialize)]
pub struct ApproveKyc(pub Decision);

/// Denies an identity check.
#[derive(Serialize)]
pub struct DenyKyc(pub Decision);

/// Approves an identity check. Requires scope `operate`, with another API key than those that entered or
/// changed the user's data.
///
/// Refused while the check has open watch-list hits.
impl Command for ApproveKyc {
    const NAME: &'static str = "kyc.approve";
    const SCOPE: Scope = Scope::Operate;
    type Output = kyc::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        self.0.decide(ctx, Outcome::Approved).await
    }
}

/// Denies an identity check. Requires scope `operate`, with another API key than those that entered or
/// changed the user's data.
impl Command for DenyKyc {
    const NAME: &'static str = "kyc.deny";
    const SCOPE: Scope = Scope::Operate;
    type Output = kyc::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        self.0.decide(ctx, Outcome::Denied).await
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
            return Err(Refusal::new(
                Code::KycNotOpen,
                "",
                "This identity check is not waiting for a review.",
            )
            .into());
        }
        require_independent_reviewer(ctx, &check).await?;
        if outcome == Outcome::Approved {
            require_no_open_hits(ctx, &check).await?;
        }
        let associated_data = AssociatedData { column: REASON, row: check.id, partner: check.partner_id };
        check.review_reason = Some(ctx.app.vault.seal(associated_data, self.reason.trim().as_bytes())?);
        (check.outcome, check.decided_at) = (outcome, ctx.now);
        (check.reviewed_by, check.reviewed_at) = (ctx.actor_id, Some(ctx.now));
        settle(ctx, check, Event::KycReviewed).await
    }
}

/// Refuses a check with open watch-list hits.
async fn require_no_open_hits(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    let open = screening_hit::Entity::find()
        .filter(screening_hit::Column::KycId.eq(check.id))
        .filter(screening_hit::Column::ClearedAt.is_null())
        .one(ctx.tx)
        .await?;
    if open.is_some() {
        let text = "This user has an open watch-list hit. Clear it before approving the identity check.";
        return Err(Refusal::new(Code::KycNotOpen, "", text).into());
    }
    Ok(())
}

/// Events that a reviewer causes. An actor with only these events has entered no data.
const REVIEW_EVENTS: [EventType; 3] =
    [EventType::KycReviewed, EventType::KycHitCleared, EventType::UserStatusChanged];

/// Refuses a reviewer who entered, changed or sent data of this check, of another check of the same user, or
/// of the user.
///
/// A key counts as the keys that it was rotated from, and as the keys that issued it.
pub async fn require_independent_reviewer(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    let Some(reviewer) = ctx.actor_id else { return Err(Error::broken("a review has no actor")) };
    let mut streams = vec![check.id];
    if let Some(user_id) = check.user_id {
        streams.push(user_id);
        let checks =
            kyc::Entity::find().select_only().column(kyc::Column::Id).filter(kyc::Column::UserId.eq(user_id));
        streams.extend(checks.into_tuple::<Uuid>().all(ctx.tx).await?);
    }
    let actors: Vec<Option<Uuid>> = event::Entity::find()
        .select_only()
        .column(event::Column::ActorId)
        .distinct()
        .filter(event::Column::StreamId.is_in(streams))
        .filter(event::Column::Kind.is_not_in(REVIEW_EVENTS.map(EventType::name)))
        .into_tuple()
        .all(ctx.tx)
        .await?;
    let actors: Vec<Uuid> = actors.into_iter().flatten().collect();
    let data_entered_by = lineages(ctx, &actors).await?;
    let mut lineage = lineages(ctx, &[reviewer]).await?;
    // A key issued by an actor counts as that actor, over any number of keys in between.
    for _ in 0..MAX_CHAIN {
        if !lineage.is_disjoint(&data_entered_by) {
            break;
        }
        let mut issuers = Vec::new();
        for key in lineage {
            issuers.extend(issuer_of(ctx, key).await?);
        }
        if issuers.is_empty() {
            return Ok(());
        }
        lineage = lineages(ctx, &issuers).await?;
    }
    let text = "The reviewer must not have entered or changed this user's data. Use another key.";
    Err(Refusal::new(Code::MakerChecker, "", text).into())
}

/// Longest chain of keys that issued each other; a longer one is refused.
const MAX_CHAIN: usize = 64;

/// Returns the key that issued the first key of a lineage; none if the operator issued it.
async fn issuer_of(ctx: &CommandContext<'_>, lineage: Uuid) -> Result<Option<Uuid>> {
    let issued = event::Entity::find()
        .filter(event::Column::PartnerId.eq(ctx.partner.id))
        .filter(event::Column::StreamId.eq(ctx.partner.id))
        .filter(event::Column::Kind.eq(EventType::ApiKeyIssued.name()))
        .filter(event::Column::Payload.contains(lineage.to_string()))
        .order_by_asc(event::Column::Id)
        .one(ctx.tx)
        .await?;
    Ok(issued
        .and_then(|event| event.actor_id)
        .filter(|issuer| *issuer != lineage && *issuer != ctx.partner.id))
}

/// Returns the actors, with each key replaced by its lineage.
async fn lineages(ctx: &CommandContext<'_>, actors: &[Uuid]) -> Result<HashSet<Uuid>> {
    let lines: Vec<(Uuid, Uuid)> = api_key::Entity::find()
        .select_only()
        .columns([api_key::Column::Id, api_key::Column::LineageId])
        .filter(api_key::Column::Id.is_in(actors.iter().copied()))
        .into_tuple()
        .all(ctx.tx)
        .await?;
    let lineage_of =
        |actor: &Uuid| lines.iter().find(|(key, _)| key == actor).map_or(*actor, |(_, lineage)| *lineage);
    Ok(actors.iter().map(lineage_of).collect())
}
