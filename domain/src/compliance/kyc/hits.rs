//! A resemblance to an entry of the watch list, looked at by somebody who says that it is somebody else.

use super::{
    Assessed, applicant, ask, close_questions, is_listed, locked, move_person, outcome_of, parts,
    questions::PASS_MARK, reviews::require_independent_reviewer, schedule_expiry, settle, was_denied_before,
    within, written,
};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope,
    compliance::screening,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::{self, EventType},
        idempotency::Key,
        secrets::{AssociatedData, Secret},
        timers,
    },
    people::{
        applicants::{Applicant, valid},
        person::parse_birth_date,
    },
    providers::identity::{self, WATCH_LIST_TAG},
};
use chrono::{Months, NaiveDate};
use entity::{
    Kind, event,
    kyc::{self, Outcome},
    partner::Mode,
    screening_exception, screening_hit, screening_run,
    timer::TimerKind,
    user, watch_list,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// That the person of an identity check is not an entry of the watch list, until a day.
#[derive(Clone, Serialize)]
pub struct ClearWatchListHit {
    pub hit_id: Uuid,
    pub reason: String,
    /// The last day, `YYYY-MM-DD`.
    pub until: String,
}

/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

/// For how long an exception holds at most.
const MAX_EXCEPTION: Months = Months::new(24);

/// Clears a hit and keeps why, until a day that is at most two years ahead: as long, the same entry does not
/// hold up the same person under the same name and day of birth. With the last open hit of a check, the check
/// is judged without them. Scope `operate`, and another key than those by which anything about the person
/// came in.
pub async fn clear(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    clearing: ClearWatchListHit,
) -> Result<Answer<screening_hit::Model>> {
    command::execute(app, actor, key, clearing).await
}

impl Command for ClearWatchListHit {
    const NAME: &'static str = "kyc.clear_hit";
    const SCOPE: Scope = Scope::Operate;
    type Output = screening_hit::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let reason = self.reason.trim();
        let mut checks = Checks::default();
        if reason.is_empty() {
            checks.note::<()>(Err(Refusal::required("reason").into()));
        } else if reason.chars().count() > LONGEST_REASON {
            checks.note::<()>(Err(Refusal::invalid(
                "reason",
                format!("must have at most {LONGEST_REASON} characters"),
            )
            .into()));
        }
        checks.note(valid("until", parse_birth_date(&self.until)));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<screening_hit::Model> {
        let until = valid("until", parse_birth_date(&self.until))?;
        let today = ctx.today();
        if until < today {
            return Err(Refusal::invalid("until", "lies in the past").into());
        }
        if today.checked_add_months(MAX_EXCEPTION).is_none_or(|latest| until > latest) {
            return Err(Refusal::invalid("until", "must be at most two years ahead").into());
        }
        let of_hit = async || match named(ctx, self.hit_id).await? {
            Some(hit) => within(ctx.tx, ctx.access_scope, hit.kyc_id).await,
            None => Ok(None),
        };
        let check = locked(ctx, of_hit, "hitId").await?;
        let hit = named(ctx, self.hit_id).await?.ok_or_else(|| Refusal::not_found("hitId"))?;
        if check.outcome != Outcome::ManualReview || !screening::is_open(&hit) {
            return Err(Refusal::new(
                Code::KycNotOpen,
                "hitId",
                "The hit does not wait for anybody any more.",
            )
            .into());
        }
        require_independent_reviewer(ctx, &check).await?;
        let person = applicant(ctx.app, &check)?
            .ok_or_else(|| Error::broken("a check with a hit does not tell whom it is about"))?;
        let exception = except(ctx, person.reveal(), &hit, self.reason.trim(), until).await?;
        let mut row: screening_hit::ActiveModel = hit.into();
        row.cleared_at = Set(Some(ctx.now));
        row.cleared_by = Set(ctx.actor_id);
        row.exception_id = Set(Some(exception.id));
        let hit = row.update(ctx.tx).await?;
        let check = judged_without(ctx, check, person.reveal()).await?;
        let check = settle(ctx, check, EventType::KycHitCleared).await?;
        if check.outcome == Outcome::QuestionsRequired {
            schedule_expiry(ctx, &check).await?;
        }
        Ok(hit)
    }

    fn object(done: &screening_hit::Model) -> Uuid {
        done.id
    }
}

/// Screens the person of a check again; the hits that are new or changed.
///
/// A hit that was found before and is open stays open, and one that was cleared for another name or birth
/// date is open again.
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
                let anew = screening_hit::Model { id: known.id, found_at: known.found_at, ..found };
                new.push(screening_hit::ActiveModel::from(anew).reset_all().update(ctx.tx).await?);
            }
            None => new.push(screening_hit::ActiveModel::from(found).reset_all().insert(ctx.tx).await?),
        }
    }
    Ok(new)
}

/// Sends a customer to a reviewer because of open hits that a new watch list has brought, with an event for
/// each. Who was denied stays so.
pub async fn reopen(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    new: &[screening_hit::Model],
) -> Result<()> {
    if check.outcome != Outcome::Denied {
        if check.outcome == Outcome::QuestionsRequired {
            close_questions(&mut check);
            timers::cancel(ctx.tx, ctx.partner.id, check.id, TimerKind::KycQuestionsExpire).await?;
        }
        if check.outcome != Outcome::ManualReview {
            (check.outcome, check.decided_at) = (Outcome::ManualReview, ctx.now);
        }
        let parts = identity::listed(parts(&check));
        check.score = identity::score(&parts);
        check.parts = written(&parts)?;
        if check.tags.lines().all(|tag| tag != WATCH_LIST_TAG) {
            let separator = if check.tags.is_empty() { "" } else { "\n" };
            check.tags = format!("{}{separator}{WATCH_LIST_TAG}", check.tags);
        }
        check = kyc::ActiveModel::from(check).reset_all().update(ctx.tx).await?;
    }
    for hit in new {
        let facts = json!({ "id": check.id, "token": check.token, "user_id": check.user_id,
            "status": check.outcome, "hit_id": hit.id });
        ctx.event().record(ctx.tx, EventType::KycWatchListHitFound, check.id, facts).await?;
    }
    let user = match check.user_id {
        Some(id) => user::Entity::find_by_id(id).one(ctx.tx).await?,
        None => None,
    };
    if let Some(user) = user {
        move_person(ctx, user, check.outcome).await?;
    }
    Ok(())
}

/// Keeps the hits of a person's earlier check open that nobody has cleared, under the check that takes its
/// place: another name does not clear them. Whether there are any.
pub async fn keep_open(ctx: &CommandContext<'_>, earlier: Uuid, found: &mut Assessed) -> Result<bool> {
    let mut open = of_check(ctx.tx, earlier).await?;
    open.retain(|hit| {
        screening::is_open(hit) && found.hits.iter().all(|other| !screening::is_same_entry(other, hit))
    });
    let kept = !open.is_empty();
    for hit in open {
        found.hits.push(screening_hit::Model {
            id: ctx.app.ids.next(Kind::ScreeningHit),
            kyc_id: found.check.id,
            ..hit
        });
    }
    Ok(kept)
}

async fn named(ctx: &CommandContext<'_>, id: Uuid) -> Result<Option<screening_hit::Model>> {
    let select =
        screening_hit::Entity::find_by_id(id).filter(screening_hit::Column::PartnerId.eq(ctx.partner.id));
    Ok(select.one(ctx.tx).await?)
}

/// The column of reasons for exceptions.
const REASON: &str = "screening_exception.reason";

async fn except(
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

/// Why an exception was made.
pub fn reason(app: &App, exception: &screening_exception::Model) -> Result<Secret<String>> {
    app.vault.open_text(
        AssociatedData { column: REASON, row: exception.id, partner: exception.partner_id },
        &exception.reason,
    )
}

/// The check as it is once none of its hits is open; as it was while one is.
async fn judged_without(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    person: &Applicant,
) -> Result<kyc::Model> {
    if is_listed(ctx.tx, check.id).await? {
        return Ok(check);
    }
    let parts = identity::unlisted(parts(&check));
    check.score = identity::score(&parts);
    check.parts = written(&parts)?;
    check.tags = check.tags.lines().filter(|tag| *tag != WATCH_LIST_TAG).collect::<Vec<_>>().join("\n");
    check.outcome = match outcome_of(check.score, false) {
        _ if is_held_otherwise(ctx, &check).await? => Outcome::ManualReview,
        _ if check.reviewed_at.is_none() && screening::cannot_screen(ctx, person).await? => {
            Outcome::ManualReview
        }
        // A reviewer had approved it before a new list brought the hits.
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

/// Whether a check stays with a reviewer once its hits are cleared.
async fn is_held_otherwise(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<bool> {
    if check.reviewed_at.is_some() {
        return was_corrected_in_review(ctx.tx, check.id).await;
    }
    Ok(waits_otherwise(ctx.tx, check).await?
        || was_in_review(ctx.tx, check).await?
        || was_denied_before(ctx, check).await?)
}

/// Whether a check that went to a reviewer would have without its hits: by its score, by answers that failed
/// or never came, or because it was with a reviewer when it was corrected.
async fn waits_otherwise(connection: &impl ConnectionTrait, check: &kyc::Model) -> Result<bool> {
    let score = identity::score(&identity::unlisted(parts(check)));
    let asked = check.questions_expire_at.is_some() || check.answered_at.is_some();
    let by_answers = asked && check.right_answers.is_none_or(|right| right < PASS_MARK);
    let by_score = match outcome_of(score, false) {
        Outcome::ManualReview => true,
        Outcome::QuestionsRequired => asked,
        Outcome::Approved | Outcome::Denied => false,
    };
    Ok(by_answers || by_score || was_corrected_in_review(connection, check.id).await?)
}

async fn was_corrected_in_review(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let history = event::Entity::find()
        .filter(event::Column::StreamId.eq(id))
        .order_by_asc(event::Column::StreamVersion)
        .all(connection)
        .await?;
    let in_review = Outcome::ManualReview.to_value();
    let corrected = |pair: (&event::Model, &event::Model)| {
        pair.1.kind == EventType::KycUpdated.name() && events::status(pair.0).as_ref() == Some(&in_review)
    };
    Ok(history.iter().zip(history.iter().skip(1)).any(corrected))
}

/// Whether the person was in a review for something else than the hits of a check when it was made, or had
/// been denied: neither a change nor a cleared hit ends that.
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
            Outcome::ManualReview if is_held_by(connection, &check, &cleared).await? => {}
            Outcome::ManualReview | Outcome::Denied => return Ok(true),
            Outcome::Approved | Outcome::QuestionsRequired => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether nothing but hits on these entries held an earlier check up.
async fn is_held_by(
    connection: &impl ConnectionTrait,
    check: &kyc::Model,
    cleared: &[screening_hit::Model],
) -> Result<bool> {
    let mut open = of_check(connection, check.id).await?;
    open.retain(screening::is_open);
    let known =
        |hit: &screening_hit::Model| cleared.iter().any(|cleared| screening::is_same_entry(cleared, hit));
    Ok(!open.is_empty() && open.iter().all(known) && !waits_otherwise(connection, check).await?)
}

async fn of_check(connection: &impl ConnectionTrait, kyc_id: Uuid) -> Result<Vec<screening_hit::Model>> {
    Ok(screening_hit::Entity::find().filter(screening_hit::Column::KycId.eq(kyc_id)).all(connection).await?)
}

/// The lists that people are screened against, and the newest run over existing customers; scope `operate`.
pub async fn lists(
    connection: &impl ConnectionTrait,
    actor: &Actor,
) -> Result<(Vec<watch_list::Model>, Option<screening_run::Model>)> {
    actor.partner(Scope::Operate)?;
    Ok((screening::current(connection).await?, screening::runs::newest(connection).await?))
}
