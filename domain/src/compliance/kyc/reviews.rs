//! Manual review of identity checks. Each wait for a reviewer is a row of its own: a check has several if a new
//! watch list sends it to a reviewer again.

use super::{
    APPLICANT, applicant,
    hits::{has_passed, was_asked},
    is_listed, locked, outcome_of, settle, within,
};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope, Visible,
    compliance::screening,
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log,
        command::{Command, CommandContext, Identified},
        events::{Event, EventType},
        lists::Filter,
        secrets::{AssociatedData, Secret},
        visible::Owner,
    },
    people::applicants::Applicant,
};
use entity::{
    Kind, api_key, event,
    kyc::{self, Outcome},
    kyc_review::{self, Cause},
    partner::Mode,
    screening_hit,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

/// Column of the reason, as associated data. Its row is the check, which had the reason at first.
const REASON: &str = "kyc.review_reason";

/// Reviews are visible to operators only.
impl Visible for kyc_review::Entity {
    const SCOPE: Scope = Scope::Operate;
    const ID: kyc_review::Column = kyc_review::Column::Id;
    const OWNER: Owner<kyc_review::Column> = Owner::Partner { partner: kyc_review::Column::PartnerId };
}

/// Returns the conditions on the reviews that are waiting for a decision. Requires scope `operate`.
pub fn queue(actor: &Actor) -> Result<Vec<Filter>> {
    kyc_review::Entity::access(actor)?;
    Ok(vec![Filter::is_null(kyc_review::Column::EndedAt)])
}

/// Returns the reviews of several identity checks that a reviewer has decided, oldest first.
pub async fn decided_of_checks(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    checks: &[Uuid],
) -> Result<Vec<kyc_review::Model>> {
    let select = kyc_review::Entity::within(access_scope)
        .filter(kyc_review::Column::KycId.is_in(checks.iter().copied()))
        .filter(kyc_review::Column::Outcome.is_not_null())
        .order_by_asc(kyc_review::Column::Id);
    Ok(select.all(connection).await?)
}

/// Starts a review of a check that waits for a reviewer and had none.
pub async fn request(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    let review = kyc_review::Model {
        id: ctx.app.ids.next(Kind::KycReview),
        partner_id: check.partner_id,
        kyc_id: check.id,
        user_id: check.user_id,
        cause: cause(ctx, check).await?,
        requested_at: ctx.now,
        outcome: None,
        reviewed_by: None,
        reviewed_at: None,
        reason: None,
        ended_at: None,
    };
    kyc_review::ActiveModel::from(review).reset_all().insert(ctx.tx).await?;
    Ok(())
}

/// Starts or ends the review of a check after a change, so that one waits exactly while the check does.
pub async fn follow(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    if check.outcome != Outcome::ManualReview {
        return end(ctx, check).await;
    }
    match waiting(ctx, check).await? {
        Some(_) => Ok(()),
        None => request(ctx, check).await,
    }
}

/// Ends the review of a check that a later one supersedes.
pub async fn withdraw(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    match check.outcome {
        Outcome::ManualReview => end(ctx, check).await,
        _ => Ok(()),
    }
}

/// Ends the review of a check without a decision.
async fn end(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    kyc_review::Entity::update_many()
        .col_expr(kyc_review::Column::EndedAt, Expr::value(ctx.now))
        .filter(kyc_review::Column::KycId.eq(check.id))
        .filter(kyc_review::Column::EndedAt.is_null())
        .exec(ctx.tx)
        .await?;
    Ok(())
}

/// Returns the review of a check that is waiting for a decision.
async fn waiting(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<Option<kyc_review::Model>> {
    let select = kyc_review::Entity::find()
        .filter(kyc_review::Column::KycId.eq(check.id))
        .filter(kyc_review::Column::EndedAt.is_null());
    Ok(select.one(ctx.tx).await?)
}

/// Returns why a check goes to a reviewer; the first reason that applies.
async fn cause(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<Cause> {
    if is_listed(ctx.tx, check.id).await? {
        return Ok(Cause::WatchListHit);
    }
    if let Some(person) = applicant(ctx.app, check)?
        && screening::cannot_screen(ctx, person.reveal()).await?
    {
        return Ok(Cause::NotScreened);
    }
    Ok(match outcome_of(check.score, false) {
        _ if was_asked(check) && !has_passed(check) => Cause::Answers,
        Outcome::ManualReview => Cause::Score,
        _ => Cause::EarlierCheck,
    })
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

/// Returns the reason of a review; none if it has not been decided.
pub fn reason(app: &App, review: &kyc_review::Model) -> Result<Option<Secret<String>>> {
    let data = AssociatedData { column: REASON, row: review.kyc_id, partner: review.partner_id };
    review.reason.as_deref().map(|sealed| app.vault.open_text(data, sealed)).transpose()
}

/// An identity check and the review that decided it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reviewed {
    #[serde(flatten)]
    pub check: kyc::Model,
    /// Absent from responses that were stored before reviews had rows.
    pub review: Option<kyc_review::Model>,
}

impl Identified for Reviewed {
    fn id(&self) -> Uuid {
        self.check.id
    }
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
    type Output = Reviewed;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Reviewed> {
        self.0.decide(ctx, Outcome::Approved).await
    }
}

/// Denies an identity check. Requires scope `operate`, with another API key than those that entered or
/// changed the user's data.
impl Command for DenyKyc {
    const NAME: &'static str = "kyc.deny";
    const SCOPE: Scope = Scope::Operate;
    type Output = Reviewed;

    fn check(&self, _: Mode) -> Result<()> {
        self.0.check()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Reviewed> {
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

    async fn decide(&self, ctx: &CommandContext<'_>, outcome: Outcome) -> Result<Reviewed> {
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
        let review = waiting(ctx, &check).await?;
        let review = review.ok_or_else(|| Error::broken("an identity check waits without a review"))?;
        let data = AssociatedData { column: REASON, row: check.id, partner: check.partner_id };
        let mut row: kyc_review::ActiveModel = review.into();
        row.outcome = Set(Some(outcome));
        row.reviewed_by = Set(ctx.actor_id);
        row.reviewed_at = Set(Some(ctx.now));
        row.reason = Set(Some(ctx.app.vault.seal(data, self.reason.trim().as_bytes())?));
        row.ended_at = Set(Some(ctx.now));
        let review = Some(row.update(ctx.tx).await?);
        (check.outcome, check.decided_at, check.reviewed_at) = (outcome, ctx.now, Some(ctx.now));
        Ok(Reviewed { check: settle(ctx, check, Event::KycReviewed).await?, review })
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
