//! Identity checks: evidence, score, outcome, and the user status that follows.
//!
//! A score in hundredths maps to an outcome: 90 and more is approved, 60 and more requires answers to
//! questions, 30 and more goes to a reviewer, and less is denied. An applicant who resembles a watch-list
//! entry goes to a reviewer whatever the score. Questions are asked only once: after failed or expired
//! questions, a later check that would ask again goes to a reviewer.

mod answering;
mod asking;
mod correcting;
mod evidence;
mod facts;
pub mod hits;
pub mod questions;
mod starting;

use crate::{
    Actor, Error, Refusal, Result, Visible,
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log, clock,
        command::CommandContext,
        events::{CheckState, Event},
        ids,
        scheduler::Due,
        secrets::{self, AssociatedData, Secret},
        visible::Owner,
    },
    people::{
        applicants::{Applicant, SSN},
        person::age_on,
    },
    providers::{
        Providers,
        identity::{self, Evidence, Part},
    },
};
pub use answering::AnswerQuestions;
use asking::{ask, close_questions};
pub use correcting::CorrectKyc;
pub use questions::{Given, Prompt, Questions};
pub use starting::StartKyc;

pub mod documents;
pub mod reviews;

use super::screening;
use entity::{
    Kind,
    kyc::{self, Outcome},
    partner::Mode,
    screening_hit,
    timer::TimerKind,
    user::{self, Status},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, any},
};
use serde::Serialize;

use std::time::Duration;
use uuid::Uuid;

/// Column of the applicant of a check, as associated data.
pub const APPLICANT: &str = "kyc.applicant";

/// Result of an identity check that is not yet stored.
#[derive(Clone, Debug)]
pub struct Assessed {
    pub check: kyc::Model,
    /// Watch-list hits of the applicant, including those already cleared.
    pub hits: Vec<screening_hit::Model>,
}

/// Checks the identity of an applicant. Returns none if no identity provider is configured.
pub async fn assess(
    ctx: &CommandContext<'_>,
    applicant: &Applicant,
    user_id: Option<Uuid>,
) -> Result<Option<Assessed>> {
    let id = ctx.app.ids.next(Kind::Kyc);
    let hits = screening::hits(ctx, applicant, id).await?;
    let is_listed = hits.iter().any(screening::is_open);
    let Some((parts, tags)) = judge(ctx, applicant, user_id, is_listed).await? else { return Ok(None) };
    let score = identity::score(&parts);
    let mut check = kyc::Model {
        id,
        partner_id: ctx.partner.id,
        user_id,
        token: format!("S-{}", secrets::random_base62(20)?),
        score,
        outcome: outcome_of(score, is_listed || screening::cannot_screen(ctx, applicant).await?),
        tags,
        decided_at: ctx.now,
        created_at: ctx.now,
        applicant: Some(sealed_applicant(ctx, id, applicant)?),
        ssn_index: Some(ssn_index(ctx, applicant)),
        parts: to_json(&parts)?,
        questions: None,
        questions_expire_at: None,
        answered_at: None,
        right_answers: None,
        reviewed_at: None,
        superseded_at: None,
    };
    if matches!(check.outcome, Outcome::Approved | Outcome::QuestionsRequired)
        && was_denied_before(ctx, &check).await?
    {
        check.outcome = Outcome::ManualReview;
    }
    if check.outcome == Outcome::QuestionsRequired {
        ask(ctx, &mut check, applicant).await?;
    }
    Ok(Some(Assessed { check, hits }))
}

/// Returns the provider's parts of the score, and its findings, one a line.
async fn judge(
    ctx: &CommandContext<'_>,
    applicant: &Applicant,
    user_id: Option<Uuid>,
    is_listed: bool,
) -> Result<Option<(Vec<Part>, String)>> {
    let provider = match ctx.partner.mode {
        Mode::Sandbox => &ctx.app.feature::<Providers>().sandbox_identity,
        Mode::Live => match &ctx.app.feature::<Providers>().live_identity {
            Some(provider) => provider,
            None => return Ok(None),
        },
    };
    if ctx.partner.mode == Mode::Live {
        // Two concurrent checks with the same number must see each other.
        clock::locked(ctx.tx, ctx.partner.id).await?;
    }
    let mut others_with_ssn = user::Entity::find()
        .filter(user::Column::PartnerId.eq(ctx.partner.id))
        .filter(user::Column::SsnIndex.eq(ssn_index(ctx, applicant)));
    if let Some(id) = user_id {
        others_with_ssn = others_with_ssn.filter(user::Column::Id.ne(id));
    }
    let evidence = Evidence {
        last_name: &applicant.last_name,
        age: age_on(applicant.birth_date, ctx.today()).unwrap_or(0),
        address: applicant.address.fit(),
        is_po_box: applicant.address.is_po_box(),
        has_phone: applicant.phone.is_some(),
        ssn_seen_before: others_with_ssn.one(ctx.tx).await?.is_some(),
        is_listed,
        personas: ctx.partner.mode == Mode::Sandbox,
    };
    let verdict = provider.check(evidence).await;
    Ok(Some((verdict.parts, verdict.tags.join("\n"))))
}

fn ssn_index(ctx: &CommandContext<'_>, applicant: &Applicant) -> Vec<u8> {
    ctx.app.vault.blind_index(SSN, ctx.partner.id, &applicant.ssn)
}

fn sealed_applicant(ctx: &CommandContext<'_>, id: Uuid, applicant: &Applicant) -> Result<Vec<u8>> {
    let text =
        serde_json::to_vec(applicant).map_err(|_| Error::broken("an applicant cannot be serialized"))?;
    ctx.app.vault.seal(AssociatedData { column: APPLICANT, row: id, partner: ctx.partner.id }, &text)
}

/// Returns the applicant of a check; none for checks from before applicants were stored.
pub fn applicant(app: &App, check: &kyc::Model) -> Result<Option<Secret<Applicant>>> {
    let Some(sealed) = &check.applicant else { return Ok(None) };
    let text = app
        .vault
        .open(AssociatedData { column: APPLICANT, row: check.id, partner: check.partner_id }, sealed)?;
    serde_json::from_slice(text.reveal())
        .map(|applicant| Some(Secret::new(applicant)))
        .map_err(|_| Error::broken("a stored applicant is invalid"))
}

/// Returns the parts of a check's score, each with its rule.
pub fn parts(check: &kyc::Model) -> Vec<Part> {
    serde_json::from_str(&check.parts).unwrap_or_default()
}

fn to_json(parts: &[Part]) -> Result<String> {
    serde_json::to_string(parts).map_err(|_| Error::broken("the parts of a score cannot be serialized"))
}

/// Minimum duration of an identity check for a publishable key.
pub const MIN_DURATION: Duration = Duration::from_millis(250);

/// Returns the outcome for a score. An applicant who resembles a watch-list entry or cannot be screened goes
/// to a reviewer.
pub const fn outcome_of(score: i32, needs_reviewer: bool) -> Outcome {
    match score {
        _ if needs_reviewer => Outcome::ManualReview,
        90.. => Outcome::Approved,
        60..90 => Outcome::QuestionsRequired,
        30..60 => Outcome::ManualReview,
        _ => Outcome::Denied,
    }
}

/// Returns the user status that follows from an outcome.
pub const fn status_after(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Approved => Status::Approved,
        Outcome::QuestionsRequired => Status::ActionRequired,
        Outcome::ManualReview => Status::DocumentationRequired,
        Outcome::Denied => Status::Denied,
    }
}

impl Assessed {
    /// Leaves the decision to a reviewer.
    pub fn send_to_review(&mut self) {
        close_questions(&mut self.check);
        self.check.outcome = Outcome::ManualReview;
    }

    /// Stores the check, which supersedes the user's earlier one, and records an event.
    pub async fn record(self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        if let Some(user_id) = self.check.user_id {
            if let Some(earlier) = current(ctx.tx, user_id).await? {
                ctx.unschedule::<ExpireQuestions>(earlier.id).await?;
                reviews::withdraw(ctx, &earlier).await?;
            }
            kyc::Entity::update_many()
                .col_expr(kyc::Column::SupersededAt, Expr::value(ctx.now))
                .filter(kyc::Column::UserId.eq(user_id))
                .filter(kyc::Column::SupersededAt.is_null())
                .exec(ctx.tx)
                .await?;
        }
        let check = kyc::ActiveModel::from(self.check).reset_all().insert(ctx.tx).await?;
        for hit in self.hits {
            screening_hit::ActiveModel::from(hit).reset_all().insert(ctx.tx).await?;
        }
        if check.outcome == Outcome::ManualReview {
            reviews::request(ctx, &check).await?;
        }
        schedule_expiry(ctx, &check).await?;
        ctx.record(Event::KycCreated((&check).into())).await?;
        Ok(check)
    }
}

/// Schedules the expiry of a check's questions, if it has any.
async fn schedule_expiry(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    match check.questions_expire_at {
        Some(at) => {
            ctx.schedule::<ExpireQuestions>(check.id, at).await;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether a check has watch-list hits that have not been cleared.
async fn is_listed(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let hits = screening_hit::Entity::find().filter(screening_hit::Column::KycId.eq(id));
    Ok(hits.filter(screening_hit::Column::ClearedAt.is_null()).one(connection).await?.is_some())
}

/// Stores a changed check, records the event, and updates the status of its user.
pub async fn settle(
    ctx: &CommandContext<'_>,
    check: kyc::Model,
    event: fn(CheckState) -> Event,
) -> Result<kyc::Model> {
    if check.outcome != Outcome::QuestionsRequired {
        ctx.unschedule::<ExpireQuestions>(check.id).await?;
    }
    let check = kyc::ActiveModel::from(check).reset_all().update(ctx.tx).await?;
    reviews::follow(ctx, &check).await?;
    ctx.record(event((&check).into())).await?;
    if let Some(user_id) = check.user_id {
        let user = user::Entity::find_by_id(user_id).one(ctx.tx).await?;
        update_user_status(
            ctx,
            user.ok_or_else(|| Error::broken("an identity check refers to a missing user"))?,
            check.outcome,
        )
        .await?;
    }
    Ok(check)
}

/// Sends a check to a reviewer if its questions expired unanswered.
pub struct ExpireQuestions;

impl Due for ExpireQuestions {
    const KIND: TimerKind = TimerKind::KycQuestionsExpire;

    async fn run(ctx: &CommandContext<'_>, kyc_id: Uuid) -> Result<()> {
        let found = kyc::Entity::find_by_id(kyc_id).one(ctx.tx).await?;
        let mut check = found.ok_or_else(|| Error::broken("a timer refers to a missing identity check"))?;
        if check.superseded_at.is_none() && check.outcome == Outcome::QuestionsRequired {
            (check.outcome, check.decided_at) = (Outcome::ManualReview, ctx.now);
            settle(ctx, check, Event::KycExpired).await?;
        }
        Ok(())
    }
}

/// Updates a user's status after an outcome and records an event if it changes. Closed users stay closed.
pub async fn update_user_status(
    ctx: &CommandContext<'_>,
    user: user::Model,
    outcome: Outcome,
) -> Result<user::Model> {
    let (before, after) = (user.status, status_after(outcome));
    if before == after || before == Status::Closed {
        return Ok(user);
    }
    let mut row: user::ActiveModel = user.into();
    row.status = Set(after);
    let user = row.update(ctx.tx).await?;
    ctx.record(Event::UserStatusChanged { user: (&user).into(), from: before }).await?;
    Ok(user)
}

/// Returns a user's current check.
pub async fn current(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<kyc::Model>> {
    let select = kyc::Entity::find()
        .filter(kyc::Column::UserId.eq(user_id))
        .filter(kyc::Column::SupersededAt.is_null());
    Ok(select.one(connection).await?)
}

/// Whether a reviewer must still approve a user because an earlier check of theirs went to review.
///
/// The latest check decides: one under review stays there; an approved one needs no further review, whether a
/// reviewer approved it or cleared hits that were the only reason for the review. A user denied by a reviewer
/// is reviewed again; a user denied by rule goes to a reviewer as soon as a new check would not deny them.
pub async fn awaits_review(connection: &impl ConnectionTrait, user_id: Uuid, new: Outcome) -> Result<bool> {
    let last = kyc::Entity::find()
        .filter(kyc::Column::UserId.eq(user_id))
        .order_by_desc(kyc::Column::Id)
        .one(connection)
        .await?;
    Ok(last.is_some_and(|last| match last.outcome {
        Outcome::ManualReview => true,
        Outcome::Denied => last.reviewed_at.is_some() || new != Outcome::Denied,
        Outcome::Approved | Outcome::QuestionsRequired => false,
    }))
}

/// Whether another check with the same social security number was denied and no reviewer has approved one
/// since: another name or birth date does not undo that. Always false in a sandbox, where many users share a
/// number.
async fn was_denied_before(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<bool> {
    let (Mode::Live, Some(index)) = (ctx.partner.mode, &check.ssn_index) else { return Ok(false) };
    let last = kyc::Entity::find()
        .filter(kyc::Column::PartnerId.eq(check.partner_id))
        .filter(kyc::Column::SsnIndex.eq(index.clone()))
        .filter(kyc::Column::Id.ne(check.id))
        .filter(any![kyc::Column::Outcome.eq(Outcome::Denied), kyc::Column::ReviewedAt.is_not_null()])
        .order_by_desc(kyc::Column::Id)
        .one(ctx.tx)
        .await?;
    Ok(last.is_some_and(|last| last.outcome == Outcome::Denied))
}

/// Reference to a check by token or id.
#[derive(Clone, Debug, Serialize)]
pub enum KycRef {
    Token(String),
    Id(Uuid),
}

impl KycRef {
    /// Returns the field to report when the check was not found.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Id(_) => "kycId",
        }
    }

    /// Returns the check if it is within the access scope.
    pub async fn find(
        &self,
        connection: &impl ConnectionTrait,
        access_scope: AccessScope,
    ) -> Result<Option<kyc::Model>> {
        match self {
            Self::Token(token) => find_by_token(connection, access_scope, token).await,
            Self::Id(id) => within(connection, access_scope, *id).await,
        }
    }
}

/// Data that is required before a check is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// All personal data that a check uses.
    Profile,
    /// Answers to the questions.
    Answers,
    /// Documents for a reviewer.
    Documents,
}

/// Returns the data required for a user with this status.
pub const fn required(status: Status) -> Option<Requirement> {
    match status {
        Status::Pending => Some(Requirement::Profile),
        Status::ActionRequired => Some(Requirement::Answers),
        Status::DocumentationRequired => Some(Requirement::Documents),
        Status::Approved | Status::Denied | Status::Closed => None,
    }
}

/// Returns the data required for a check; none if it is superseded.
pub fn required_for(check: &kyc::Model) -> Option<Requirement> {
    required(status_after(check.outcome)).filter(|_| check.superseded_at.is_none())
}

/// Identity checks are visible to their partner and to the user being checked.
impl Visible for kyc::Entity {
    const ID: kyc::Column = kyc::Column::Id;
    const OWNER: Owner<kyc::Column> =
        Owner::Users { partner: kyc::Column::PartnerId, users: &[kyc::Column::UserId] };
}

/// Returns the check with this token. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    token: &str,
) -> Result<Option<kyc::Model>> {
    find_by_token(connection, kyc::Entity::access(actor)?, token).await
}

/// Returns the check with this token and writes the read to the audit log. Requires scope `read`.
pub async fn get_audited(app: &App, actor: &Actor, token: &str) -> Result<Option<kyc::Model>> {
    let caller = kyc::Entity::reader(actor)?;
    let Some(check) = find_by_token(&app.db.read, caller.access_scope, token).await? else { return Ok(None) };
    audit_log::record_read(app, &caller, actor.request_id, "kyc.read", Some(check.id)).await?;
    Ok(Some(check))
}

/// Returns the check with this token if it is within the access scope.
pub async fn find_by_token(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    token: &str,
) -> Result<Option<kyc::Model>> {
    if !ids::may_be_token(token) {
        return Ok(None);
    }
    let select = kyc::Entity::within(access_scope).filter(kyc::Column::Token.eq(token));
    Ok(select.one(connection).await?)
}

/// Returns the check with this id if it is within the access scope.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<kyc::Model>> {
    Ok(kyc::Entity::by_id_within(access_scope, id).one(connection).await?)
}

/// Locks the check that `find` returns. Refused if it was not found or is superseded.
pub async fn locked(
    ctx: &CommandContext<'_>,
    find: impl AsyncFnOnce() -> Result<Option<kyc::Model>>,
    field: &str,
) -> Result<kyc::Model> {
    clock::locked(ctx.tx, ctx.partner.id).await?;
    let check = find().await?.ok_or_else(|| Refusal::not_found(field))?;
    if check.superseded_at.is_some() {
        return Err(Refusal::new(
            crate::Code::KycNotOpen,
            "",
            "This identity check was replaced by a later one.",
        )
        .into());
    }
    Ok(check)
}
