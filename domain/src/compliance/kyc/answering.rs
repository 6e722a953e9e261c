//! The answers to a check's questions.

use super::{
    Named, applicant,
    evidence::{Patch, Reconsidered, reconsider},
    hits, is_listed, locked, outcome_of, parts,
    questions::{self, Given, PASS_MARK},
    settle, written,
};
use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
    },
    providers::identity::{self, Check, Part},
};
use chrono::{DateTime, Utc};
use entity::{
    kyc::{self, Outcome},
    partner::Mode,
};
use serde::Serialize;
use uuid::Uuid;

/// Answers to all questions of a check, and the person's name where it was written wrongly.
#[derive(Clone, Serialize)]
pub struct AnswerQuestions {
    pub check: Named,
    pub answers: Vec<Given>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

/// What the answers add to the score, or take from it, in hundredths.
const WEIGHT: i32 = 30;

/// Answers the questions of an identity check, once (documented: the answers go with a PATCH, and may correct
/// the name); scope `manage`, or the person herself. Four right ones of five pass; with fewer a reviewer
/// looks.
pub async fn answer(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    answering: AnswerQuestions,
) -> Result<Answer<kyc::Model>> {
    command::execute(app, actor, key, answering).await
}

impl AnswerQuestions {
    fn patch(&self) -> Patch {
        Patch::of_name(self.first_name.clone(), self.last_name.clone())
    }
}

impl Command for AnswerQuestions {
    const NAME: &'static str = "kyc.answer";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = kyc::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        questions::check(&self.answers)?;
        self.patch().check(mode)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        let mut check =
            locked(ctx, async || self.check.find(ctx.tx, ctx.access_scope).await, self.check.field()).await?;
        require_waiting(&check, ctx.now)?;
        let asked = questions::of(ctx.app, &check)?.ok_or_else(not_open)?;
        let right = asked.reveal().right_among(&self.answers);
        let listed = match reconsider(ctx, check.clone(), &self.patch()).await? {
            Some(Reconsidered { check: anew, needs_reviewer, .. }) => {
                check = anew;
                needs_reviewer
            }
            None => {
                let person = applicant(ctx.app, &check)?.ok_or_else(not_open)?;
                hits::screen_again(ctx, check.id, person.reveal()).await?;
                is_listed(ctx.tx, check.id).await?
            }
        };
        let passed = right >= PASS_MARK;
        let mut parts = parts(&check);
        let part = if passed { WEIGHT } else { -WEIGHT };
        parts.push(Part {
            check: Check::Answers,
            passed,
            part,
            rule: "At least four of the five questions were answered rightly.".into(),
        });
        check.score = identity::score(&parts);
        check.parts = written(&parts)?;
        check.outcome = match outcome_of(check.score, listed) {
            Outcome::Denied if passed => Outcome::Denied,
            Outcome::Approved if passed => Outcome::Approved,
            _ => Outcome::ManualReview,
        };
        (check.answered_at, check.right_answers, check.decided_at) = (Some(ctx.now), Some(right), ctx.now);
        settle(ctx, check, EventType::KycAnswered).await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}

/// Refuses answers that a check does not wait for.
fn require_waiting(check: &kyc::Model, now: DateTime<Utc>) -> Result<()> {
    let expired = check.questions_expire_at.is_some_and(|at| at <= now);
    let (code, text) = match check.outcome {
        _ if check.answered_at.is_some() => {
            (Code::KycAnswered, "The questions of this identity check were answered before.")
        }
        _ if expired => {
            (Code::KycQuestionsExpired, "The time to answer the questions of this identity check is over.")
        }
        Outcome::QuestionsRequired => return Ok(()),
        _ => return Err(not_open().into()),
    };
    Err(Refusal::new(code, "", text).into())
}

fn not_open() -> Refusal {
    Refusal::new(Code::KycNotOpen, "", "This identity check waits for no answers.")
}
