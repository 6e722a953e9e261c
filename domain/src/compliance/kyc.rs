//! Identity checks: who a person says she is, what the check made of it, and where that leaves her.
//!
//! Bands of the score, in hundredths: 90 and more is approved, 60 and more asks questions, 30 and more goes
//! to a reviewer, and less is refused. Who resembles an entry of the watch list goes to a reviewer whatever
//! the score. Questions are asked once: whose answers failed or never came goes to a reviewer from then on.

mod answering;
mod asking;
mod correcting;
mod evidence;
mod facts;
pub mod hits;
pub mod questions;
mod starting;

use crate::{
    Actor, Error, Refusal, Result, Scope,
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log, clock,
        command::CommandContext,
        events::EventType,
        ids,
        secrets::{self, AssociatedData, Secret},
        timers,
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
pub use answering::{AnswerQuestions, answer};
use asking::{ask, close_questions};
pub use correcting::{Correction, correct};
pub use evidence::{Patch, PatchedAddress};
pub use questions::{Given, Prompt, Questions};
pub use starting::{Start, start};

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
use serde_json::{Value, json};
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// The column of whom a check is about.
pub const APPLICANT: &str = "kyc.applicant";

/// What a check made of a person, before it is written.
#[derive(Clone, Debug)]
pub struct Assessed {
    pub check: kyc::Model,
    /// The entries of the watch list that resemble her, with those that were cleared before.
    pub hits: Vec<screening_hit::Model>,
}

/// Checks who a person is; nothing where nobody is there to check it.
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
        parts: written(&parts)?,
        questions: None,
        questions_expire_at: None,
        answered_at: None,
        right_answers: None,
        reviewed_by: None,
        reviewed_at: None,
        review_reason: None,
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

/// What the provider says of a person: each check with its part, and what was found, one finding a line.
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
        // Two people with one number at the same moment must see each other.
        clock::locked(ctx.tx, ctx.partner.id).await?;
    }
    let mut twins = user::Entity::find()
        .filter(user::Column::PartnerId.eq(ctx.partner.id))
        .filter(user::Column::SsnIndex.eq(ssn_index(ctx, applicant)));
    if let Some(id) = user_id {
        twins = twins.filter(user::Column::Id.ne(id));
    }
    let evidence = Evidence {
        last_name: &applicant.last_name,
        age: age_on(applicant.birth_date, ctx.today()).unwrap_or(0),
        address: applicant.address.fit(),
        is_po_box: applicant.address.is_po_box(),
        has_phone: applicant.phone.is_some(),
        ssn_seen_before: twins.one(ctx.tx).await?.is_some(),
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
    let text = serde_json::to_vec(applicant).map_err(|_| Error::broken("an applicant cannot be written"))?;
    ctx.app.vault.seal(AssociatedData { column: APPLICANT, row: id, partner: ctx.partner.id }, &text)
}

/// Whom a check is about; none for checks from before that was kept.
pub fn applicant(app: &App, check: &kyc::Model) -> Result<Option<Secret<Applicant>>> {
    let Some(sealed) = &check.applicant else { return Ok(None) };
    let text = app
        .vault
        .open(AssociatedData { column: APPLICANT, row: check.id, partner: check.partner_id }, sealed)?;
    serde_json::from_slice(text.reveal())
        .map(|applicant| Some(Secret::new(applicant)))
        .map_err(|_| Error::broken("a kept applicant is none"))
}

/// Each check with its part of the score and its rule.
pub fn parts(check: &kyc::Model) -> Vec<Part> {
    serde_json::from_str(&check.parts).unwrap_or_default()
}

fn written(parts: &[Part]) -> Result<String> {
    serde_json::to_string(parts).map_err(|_| Error::broken("the parts of a score cannot be written"))
}

/// How long the answer to a publishable key takes at least.
const EVEN_TIME: Duration = Duration::from_millis(250);

/// Does the work of an answer that carries a check. For a publishable key it takes the same time whatever the
/// check finds.
pub async fn in_even_time<T>(actor: &Actor, work: impl Future<Output = T>) -> T {
    if actor.may_see_results() {
        return work.await;
    }
    let until = Instant::now() + EVEN_TIME;
    let done = work.await;
    tokio::time::sleep_until(until).await;
    done
}

/// What a score comes to. Whoever resembles an entry of a watch list, or cannot be screened, goes to a
/// reviewer.
pub const fn outcome_of(score: i32, needs_reviewer: bool) -> Outcome {
    match score {
        _ if needs_reviewer => Outcome::ManualReview,
        90.. => Outcome::Approved,
        60..90 => Outcome::QuestionsRequired,
        30..60 => Outcome::ManualReview,
        _ => Outcome::Denied,
    }
}

/// Where an outcome leaves the person.
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

    /// Writes the check in the place of the person's earlier one, and that it was made.
    pub async fn record(self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        if let Some(user_id) = self.check.user_id {
            if let Some(earlier) = at_present(ctx.tx, user_id).await? {
                timers::cancel(ctx.tx, ctx.partner.id, earlier.id, TimerKind::KycQuestionsExpire).await?;
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
        schedule_expiry(ctx, &check).await?;
        ctx.event().record_first(ctx.tx, EventType::KycCreated, check.id, facts_of(&check)).await?;
        Ok(check)
    }
}

/// Has the questions of a check expire in time, if it asks any.
async fn schedule_expiry(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<()> {
    match check.questions_expire_at {
        Some(at) => {
            timers::schedule(ctx.tx, ctx.app.ids, ctx.partner.id, TimerKind::KycQuestionsExpire, check.id, at)
                .await
        }
        None => Ok(()),
    }
}

/// Whether an entry of the watch list resembles the person of a check, of those that nobody has cleared.
async fn is_listed(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let hits = screening_hit::Entity::find().filter(screening_hit::Column::KycId.eq(id));
    Ok(hits.filter(screening_hit::Column::ClearedAt.is_null()).one(connection).await?.is_some())
}

/// What an event says of a check.
fn facts_of(check: &kyc::Model) -> Value {
    json!({ "id": check.id, "token": check.token, "user_id": check.user_id, "status": check.outcome })
}

/// Writes what has become of a check, tells of it as `what`, and moves the person whom it is about.
pub async fn settle(ctx: &CommandContext<'_>, check: kyc::Model, what: EventType) -> Result<kyc::Model> {
    if check.outcome != Outcome::QuestionsRequired {
        timers::cancel(ctx.tx, ctx.partner.id, check.id, TimerKind::KycQuestionsExpire).await?;
    }
    let check = kyc::ActiveModel::from(check).reset_all().update(ctx.tx).await?;
    ctx.event().record(ctx.tx, what, check.id, facts_of(&check)).await?;
    if let Some(user_id) = check.user_id {
        let user = user::Entity::find_by_id(user_id).one(ctx.tx).await?;
        move_person(
            ctx,
            user.ok_or_else(|| Error::broken("an identity check names no person"))?,
            check.outcome,
        )
        .await?;
    }
    Ok(check)
}

/// Sends a check whose questions were not answered in time to a reviewer.
pub async fn expire(ctx: &CommandContext<'_>, id: Uuid) -> Result<()> {
    let found = kyc::Entity::find_by_id(id).one(ctx.tx).await?;
    let mut check = found.ok_or_else(|| Error::broken("a timer names no identity check"))?;
    if check.superseded_at.is_none() && check.outcome == Outcome::QuestionsRequired {
        (check.outcome, check.decided_at) = (Outcome::ManualReview, ctx.now);
        settle(ctx, check, EventType::KycExpired).await?;
    }
    Ok(())
}

/// Moves a person to where an outcome leaves her, and tells of it if that is somewhere else; who is gone
/// stays gone.
pub async fn move_person(
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
    let facts = json!({ "id": user.id, "status": user.status, "from": before });
    ctx.event().record(ctx.tx, EventType::UserStatusChanged, user.id, facts).await?;
    Ok(user)
}

/// A person's present check.
pub async fn at_present(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<kyc::Model>> {
    let select = kyc::Entity::find()
        .filter(kyc::Column::UserId.eq(user_id))
        .filter(kyc::Column::SupersededAt.is_null());
    Ok(select.one(connection).await?)
}

/// Whether a reviewer has yet to approve a person, because a check of hers went to one: whatever came after
/// it but a decision that is no refusal, the reviewer's or, where nothing but hits on the watch list had held
/// her up, the one that came of clearing them.
///
/// Who was denied by rule goes to a reviewer as soon as a new check would not deny them.
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

/// Whether another check by the same social security number was denied by rule, and none was approved by a
/// reviewer since: another name or birth date does not undo that. In a sandbox many people share a number,
/// and only a person's own checks count.
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

/// How a caller names a check.
#[derive(Clone, Debug, Serialize)]
pub enum Named {
    Token(String),
    Id(Uuid),
}

impl Named {
    /// What is blamed when there is no such check.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Id(_) => "kycId",
        }
    }

    /// The check, within reach.
    pub async fn find(
        &self,
        connection: &impl ConnectionTrait,
        access_scope: AccessScope,
    ) -> Result<Option<kyc::Model>> {
        match self {
            Self::Token(token) => called(connection, access_scope, token).await,
            Self::Id(id) => within(connection, access_scope, *id).await,
        }
    }
}

/// What a person must still supply before her check is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// All that a check goes by.
    Profile,
    /// Answers to the questions.
    Answers,
    /// Documents for a reviewer.
    Documents,
}

/// What a person must still supply, given her status.
pub const fn required(status: Status) -> Option<Requirement> {
    match status {
        Status::Pending => Some(Requirement::Profile),
        Status::ActionRequired => Some(Requirement::Answers),
        Status::DocumentationRequired => Some(Requirement::Documents),
        Status::Approved | Status::Denied | Status::Closed => None,
    }
}

/// What must still be supplied for a check; nothing for one that another took the place of.
pub fn required_for(check: &kyc::Model) -> Option<Requirement> {
    required(status_after(check.outcome)).filter(|_| check.superseded_at.is_none())
}

/// The check called by this token; scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    token: &str,
) -> Result<Option<kyc::Model>> {
    called(connection, actor.access_scope(Scope::Read)?, token).await
}

/// The same; who looked is written down.
pub async fn get_audited(app: &App, actor: &Actor, token: &str) -> Result<Option<kyc::Model>> {
    let caller = actor.self_or_caller(Scope::Read)?;
    let Some(check) = called(&app.db.read, caller.access_scope, token).await? else { return Ok(None) };
    audit_log::record_read(app, &caller, actor.request_id, "kyc.look_up", Some(check.id)).await?;
    Ok(Some(check))
}

/// The check called by this token, within reach.
pub async fn called(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    token: &str,
) -> Result<Option<kyc::Model>> {
    if !ids::may_be_token(token) {
        return Ok(None);
    }
    let select = kyc::Entity::find()
        .filter(kyc::Column::Token.eq(token))
        .filter(kyc::Column::PartnerId.eq(access_scope.partner_id));
    Ok(select.one(connection).await?.filter(|check| within_reach(access_scope, check)))
}

/// The check with this id, within reach.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<kyc::Model>> {
    let select = kyc::Entity::find_by_id(id).filter(kyc::Column::PartnerId.eq(access_scope.partner_id));
    Ok(select.one(connection).await?.filter(|check| within_reach(access_scope, check)))
}

fn within_reach(access_scope: AccessScope, check: &kyc::Model) -> bool {
    match (access_scope.user_id, check.user_id) {
        (None, _) => true,
        (Some(only), Some(user)) => only == user,
        (Some(_), None) => false,
    }
}

/// The check that `find` finds, as it is while nobody else can change it; refused when it is not there, or no
/// longer the person's present one.
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
            "A later identity check took the place of this one.",
        )
        .into());
    }
    Ok(check)
}
