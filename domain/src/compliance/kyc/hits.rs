//! Watch-list hits: clearing them, and keeping them across checks.

use super::{
    Assessed, ExpireQuestions, applicant, ask, close_questions, is_listed, locked, outcome_of, parts,
    questions::PASS_MARK,
    reviews::{self, require_independent_reviewer},
    schedule_expiry, settle, to_json, update_user_status, was_denied_before, within,
};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope, Visible,
    compliance::screening,
    kernel::{
        actor::AccessScope,
        app::App,
        command::{Command, CommandContext},
        events::{CheckState, Event, Subject},
        secrets::{AssociatedData, Secret},
        visible::Owner,
    },
    people::{
        applicants::{Applicant, valid},
        person::parse_date,
    },
    providers::identity::{self, WATCH_LIST_TAG},
};
use chrono::{Months, NaiveDate};
use entity::{
    Kind, event,
    kyc::{self, Outcome},
    partner::Mode,
    screening_exception, screening_hit, screening_run, user, watch_list,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};
use serde::Serialize;
use uuid::Uuid;

/// Input for clearing a hit: the applicant is not the listed person, until a date.
#[derive(Clone, Serialize)]
pub struct ClearWatchListHit {
    pub hit_id: Uuid,
    pub reason: String,
    /// Last day of the exception, `YYYY-MM-DD`.
    pub until: String,
}

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// Longest duration of an exception.
const MAX_EXCEPTION: Months = Months::new(24);

/// Clears a hit and stores the reason as an exception until a date at most two years ahead: until then the
/// same entry does not hold up the same person with the same name and birth date.
///
/// When the last open hit of a check is cleared, the check is decided without hits. Requires scope `operate`,
/// with another API key than those that entered or changed the user's data.
impl Command for ClearWatchListHit {
    const NAME: &'static str = "kyc.clear_hit";
    const SCOPE: Scope = Scope::Operate;
    type Output = screening_hit::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let reason = self.reason.trim();
        let mut checks = Checks::default();
        if reason.is_empty() {
            checks.note::<()>(Err(Refusal::required("reason").into()));
        } else if reason.chars().count() > MAX_REASON {
            checks.note::<()>(Err(Refusal::invalid(
                "reason",
                format!("must have at most {MAX_REASON} characters"),
            )
            .into()));
        }
        checks.note(valid("until", parse_date(&self.until)));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<screening_hit::Model> {
        let until = valid("until", parse_date(&self.until))?;
        let today = ctx.today();
        if until < today {
            return Err(Refusal::invalid("until", "must not be in the past").into());
        }
        if today.checked_add_months(MAX_EXCEPTION).is_none_or(|latest| until > latest) {
            return Err(Refusal::invalid("until", "must be at most two years ahead").into());
        }
        let of_hit = async || match find(ctx, self.hit_id).await? {
            Some(hit) => within(ctx.tx, ctx.access_scope, hit.kyc_id).await,
            None => Ok(None),
        };
        let check = locked(ctx, of_hit, "hitId").await?;
        let hit = find(ctx, self.hit_id).await?.ok_or_else(|| Refusal::not_found("hitId"))?;
        if check.outcome != Outcome::ManualReview || !screening::is_open(&hit) {
            return Err(
                Refusal::new(Code::KycNotOpen, "hitId", "This hit is not waiting for a review.").into()
            );
        }
        require_independent_reviewer(ctx, &check).await?;
        let person = applicant(ctx.app, &check)?
            .ok_or_else(|| Error::broken("a check with a hit has no applicant"))?;
        let exception = create_exception(ctx, person.reveal(), &hit, self.reason.trim(), until).await?;
        let mut row: screening_hit::ActiveModel = hit.into();
        row.cleared_at = Set(Some(ctx.now));
        row.cleared_by = Set(ctx.actor_id);
        row.exception_id = Set(Some(exception.id));
        let hit = row.update(ctx.tx).await?;
        let check = decide_without_hits(ctx, check, person.reveal()).await?;
        let check = settle(ctx, check, Event::KycHitCleared).await?;
        if check.outcome == Outcome::QuestionsRequired {
            schedule_expiry(ctx, &check).await?;
        }
        Ok(hit)
    }
}

/// Screens the applicant of a check again and returns the hits that are new or changed.
///
/// An open hit stays open. A hit that was cleared for another name or birth date is open again.
pub async fn screen_again(
    ctx: &CommandContext<'_>,
    check_id: Uuid,
    person: &Applicant,
) -> Result<Vec<screening_hit::Model>> {
    let known = of_check(ctx.tx, check_id).await?;
    let mut new = Vec::new();
    for found in screening::hits(ctx, person, check_id).await? {
        let known = known.iter().find(|known| screening::is_same_entry(known, &found));
        match known {
            Some(known)
                if screening::is_open(known)
                    || known.exception_id.is_some() && known.exception_id == found.exception_id => {}
            Some(known) => {
                let changed = screening_hit::Model { id: known.id, found_at: known.found_at, ..found };
                new.push(screening_hit::ActiveModel::from(changed).reset_all().update(ctx.tx).await?);
            }
            None => new.push(screening_hit::ActiveModel::from(found).reset_all().insert(ctx.tx).await?),
        }
    }
    Ok(new)
}

/// Sends a user to a reviewer because of open hits from a new watch list, and records an event for each hit.
/// Denied users stay denied.
pub async fn reopen(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    new: &[screening_hit::Model],
) -> Result<()> {
    if check.outcome != Outcome::Denied {
        if check.outcome == Outcome::QuestionsRequired {
            close_questions(&mut check);
            ctx.unschedule::<ExpireQuestions>(check.id).await?;
        }
        if check.outcome != Outcome::ManualReview {
            (check.outcome, check.decided_at) = (Outcome::ManualReview, ctx.now);
        }
        let parts = identity::listed(parts(&check));
        check.score = identity::score(&parts);
        check.parts = to_json(&parts)?;
        if check.tags.lines().all(|tag| tag != WATCH_LIST_TAG) {
            let separator = if check.tags.is_empty() { "" } else { "\n" };
            check.tags = format!("{}{separator}{WATCH_LIST_TAG}", check.tags);
        }
        check = kyc::ActiveModel::from(check).reset_all().update(ctx.tx).await?;
        reviews::follow(ctx, &check).await?;
    }
    for hit in new {
        ctx.record(Event::KycWatchListHitFound { check: (&check).into(), hit_id: hit.id }).await?;
    }
    let user = match check.user_id {
        Some(id) => user::Entity::find_by_id(id).one(ctx.tx).await?,
        None => None,
    };
    if let Some(user) = user {
        update_user_status(ctx, user, check.outcome).await?;
    }
    Ok(())
}

/// Copies the open hits of a user's earlier check to the check that supersedes it: a changed name does not
/// clear them. Returns whether there are any.
pub async fn keep_open(ctx: &CommandContext<'_>, earlier: Uuid, found: &mut Assessed) -> Result<bool> {
    let mut open = of_check(ctx.tx, earlier).await?;
    open.retain(|hit| {
        screening::is_open(hit) && found.hits.iter().all(|other| !screening::is_same_entry(other, hit))
    });
    let any_open = !open.is_empty();
    for hit in open {
        found.hits.push(screening_hit::Model {
            id: ctx.app.ids.next(Kind::ScreeningHit),
            kyc_id: found.check.id,
            ..hit
        });
    }
    Ok(any_open)
}

async fn find(ctx: &CommandContext<'_>, id: Uuid) -> Result<Option<screening_hit::Model>> {
    Ok(screening_hit::Entity::by_id_within(ctx.access_scope, id).one(ctx.tx).await?)
}

/// Column of the reasons of exceptions, as associated data.
const REASON: &str = "screening_exception.reason";

async fn create_exception(
    ctx: &CommandContext<'_>,
    person: &Applicant,
    hit: &screening_hit::Model,
    reason: &str,
    until: NaiveDate,
) -> Result<screening_exception::Model> {
    let id = ctx.app.ids.next(Kind::ScreeningException);
    let exception = screening_exception::Model {
        id,
        partner_id: ctx.partner.id,
        subject: screening::subject(ctx, person),
        source: hit.source.clone(),
        entry: hit.entry,
        reason: ctx
            .app
            .vault
            .seal(AssociatedData { column: REASON, row: id, partner: ctx.partner.id }, reason.as_bytes())?,
        until,
        made_by: ctx.actor_id,
        made_at: ctx.now,
    };
    Ok(screening_exception::ActiveModel::from(exception).reset_all().insert(ctx.tx).await?)
}

/// Returns the reason of an exception.
pub fn reason(app: &App, exception: &screening_exception::Model) -> Result<Secret<String>> {
    app.vault.open_text(
        AssociatedData { column: REASON, row: exception.id, partner: exception.partner_id },
        &exception.reason,
    )
}

/// Decides a check after its hits are cleared; unchanged while one is open.
async fn decide_without_hits(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    person: &Applicant,
) -> Result<kyc::Model> {
    if is_listed(ctx.tx, check.id).await? {
        return Ok(check);
    }
    let parts = identity::unlisted(parts(&check));
    check.score = identity::score(&parts);
    check.parts = to_json(&parts)?;
    check.tags = check.tags.lines().filter(|tag| *tag != WATCH_LIST_TAG).collect::<Vec<_>>().join("\n");
    check.outcome = match outcome_of(check.score, false) {
        _ if needs_reviewer(ctx, &check).await? => Outcome::ManualReview,
        _ if check.reviewed_at.is_none() && screening::cannot_screen(ctx, person).await? => {
            Outcome::ManualReview
        }
        // A reviewer approved the check before a new list brought the hits.
        _ if check.reviewed_at.is_some() => Outcome::Approved,
        other => other,
    };
    if check.outcome == Outcome::QuestionsRequired {
        ask(ctx, &mut check, person).await?;
    }
    if check.outcome != Outcome::ManualReview {
        check.decided_at = ctx.now;
    }
    Ok(check)
}

/// Whether a check still needs a reviewer once its hits are cleared.
async fn needs_reviewer(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<bool> {
    if check.reviewed_at.is_some() {
        return was_corrected_in_review(ctx.tx, check.id).await;
    }
    Ok(has_other_reason(ctx.tx, check).await?
        || was_in_review(ctx.tx, check).await?
        || was_denied_before(ctx, check).await?)
}

/// Whether a check has another reason for review than its hits: its score, failed or expired questions, or a
/// correction during an earlier review.
async fn has_other_reason(connection: &impl ConnectionTrait, check: &kyc::Model) -> Result<bool> {
    let score = identity::score(&identity::unlisted(parts(check)));
    let asked = was_asked(check);
    let by_answers = asked && !has_passed(check);
    let by_score = match outcome_of(score, false) {
        Outcome::ManualReview => true,
        Outcome::QuestionsRequired => asked,
        Outcome::Approved | Outcome::Denied => false,
    };
    Ok(by_answers || by_score || was_corrected_in_review(connection, check.id).await?)
}

/// Whether the applicant was asked questions.
pub const fn was_asked(check: &kyc::Model) -> bool {
    check.questions_expire_at.is_some() || check.answered_at.is_some()
}

/// Whether enough questions were answered correctly.
pub fn has_passed(check: &kyc::Model) -> bool {
    check.right_answers.is_some_and(|right| right >= PASS_MARK)
}

async fn was_corrected_in_review(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let history = event::Entity::find()
        .filter(event::Column::StreamId.eq(id))
        .order_by_asc(event::Column::StreamVersion)
        .all(connection)
        .await?;
    let history = history.iter().map(Event::of).collect::<Result<Vec<_>>>()?;
    let in_review = |event: &Event| {
        matches!(event.subject(), Subject::Check(CheckState { status: Outcome::ManualReview, .. }))
    };
    let mut pairs = history.iter().zip(history.iter().skip(1));
    Ok(pairs.any(|(before, event)| matches!(event, Event::KycUpdated(_)) && in_review(before)))
}

/// Whether the user was under review for another reason than these hits when the check was created, or had
/// been denied. Neither a change of data nor a cleared hit ends that.
async fn was_in_review(connection: &impl ConnectionTrait, check: &kyc::Model) -> Result<bool> {
    let Some(user_id) = check.user_id else { return Ok(false) };
    let cleared = of_check(connection, check.id).await?;
    let earlier = kyc::Entity::find()
        .filter(kyc::Column::UserId.eq(user_id))
        .filter(kyc::Column::Id.lt(check.id))
        .order_by_desc(kyc::Column::Id)
        .all(connection)
        .await?;
    for check in earlier {
        match check.outcome {
            Outcome::ManualReview if was_held_only_by(connection, &check, &cleared).await? => {}
            Outcome::ManualReview | Outcome::Denied => return Ok(true),
            Outcome::Approved | Outcome::QuestionsRequired => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether hits on these entries were the only reason for the review of an earlier check.
async fn was_held_only_by(
    connection: &impl ConnectionTrait,
    check: &kyc::Model,
    cleared: &[screening_hit::Model],
) -> Result<bool> {
    let mut open = of_check(connection, check.id).await?;
    open.retain(screening::is_open);
    let known =
        |hit: &screening_hit::Model| cleared.iter().any(|cleared| screening::is_same_entry(cleared, hit));
    Ok(!open.is_empty() && open.iter().all(known) && !has_other_reason(connection, check).await?)
}

async fn of_check(connection: &impl ConnectionTrait, kyc_id: Uuid) -> Result<Vec<screening_hit::Model>> {
    Ok(screening_hit::Entity::find().filter(screening_hit::Column::KycId.eq(kyc_id)).all(connection).await?)
}

/// Watch-list hits are visible to operators only.
impl Visible for screening_hit::Entity {
    const SCOPE: Scope = Scope::Operate;
    const ID: screening_hit::Column = screening_hit::Column::Id;
    const OWNER: Owner<screening_hit::Column> = Owner::Partner { partner: screening_hit::Column::PartnerId };
}

/// Exceptions are visible to operators only.
impl Visible for screening_exception::Entity {
    const SCOPE: Scope = Scope::Operate;
    const ID: screening_exception::Column = screening_exception::Column::Id;
    const OWNER: Owner<screening_exception::Column> =
        Owner::Partner { partner: screening_exception::Column::PartnerId };
}

/// Returns the watch-list hits of several identity checks, best match first.
pub async fn of_checks(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    checks: &[Uuid],
) -> Result<Vec<screening_hit::Model>> {
    let select = screening_hit::Entity::within(access_scope)
        .filter(screening_hit::Column::KycId.is_in(checks.iter().copied()))
        .order_by_desc(screening_hit::Column::Score)
        .order_by_asc(screening_hit::Column::Entry);
    Ok(select.all(connection).await?)
}

/// Returns the current watch lists and the newest run over existing users. Requires scope `operate`.
pub async fn lists(
    connection: &impl ConnectionTrait,
    actor: &Actor,
) -> Result<(Vec<watch_list::Model>, Option<screening_run::Model>)> {
    actor.partner(Scope::Operate)?;
    Ok((screening::current(connection).await?, screening::runs::newest(connection).await?))
}
