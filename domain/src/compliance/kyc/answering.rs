//! Answering the questions of an identity check.

use super::{
    KycRef, applicant,
    evidence::{Reconsidered, reconsider},
    hits, is_listed, locked, outcome_of, parts,
    questions::{self, Given, PASS_MARK},
    settle, to_json,
};
use crate::{
    Code, Refusal, Result, Scope,
    kernel::{
        command::{Command, CommandContext},
        events::Event,
    },
    people::user_changes::PersonPatch,
    providers::identity::{self, Check, Part},
};
use chrono::{DateTime, Utc};
use entity::{
    kyc::{self, Outcome},
    partner::Mode,
};
use serde::Serialize;

/// Answers to all questions of a check, and corrections of the name.
#[derive(Clone, Serialize)]
pub struct AnswerQuestions {
    pub check: KycRef,
    pub answers: Vec<Given>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

/// Points that passing adds to the score or failing subtracts, in hundredths.
const WEIGHT: i32 = 30;

impl AnswerQuestions {
    fn patch(&self) -> PersonPatch {
        let (first_name, last_name) = (self.first_name.clone(), self.last_name.clone());
        PersonPatch { first_name, last_name, ..PersonPatch::default() }
    }
}

/// Answers the questions of an identity check, once (documented: answers are sent with PATCH and may correct
/// the name). Requires scope `manage`, or the user's own session.
///
/// Four correct answers of five pass; with fewer the check goes to a reviewer.
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
        let right = asked.reveal().count_correct(&self.answers);
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
            rule: "At least four of the five questions were answered correctly.".into(),
        });
        check.score = identity::score(&parts);
        check.parts = to_json(&parts)?;
        check.outcome = match outcome_of(check.score, listed) {
            Outcome::Denied if passed => Outcome::Denied,
            Outcome::Approved if passed => Outcome::Approved,
            _ => Outcome::ManualReview,
        };
        (check.answered_at, check.right_answers, check.decided_at) = (Some(ctx.now), Some(right), ctx.now);
        settle(ctx, check, Event::KycAnswered).await
    }
}

/// Refuses answers if the check is not waiting for them.
fn require_waiting(check: &kyc::Model, now: DateTime<Utc>) -> Result<()> {
    let expired = check.questions_expire_at.is_some_and(|at| at <= now);
    let (code, text) = match check.outcome {
        _ if check.answered_at.is_some() => {
            (Code::KycAnswered, "The questions of this identity check have already been answered.")
        }
        _ if expired => (
            Code::KycQuestionsExpired,
            "The time to answer the questions of this identity check has expired.",
        ),
        Outcome::QuestionsRequired => return Ok(()),
        _ => return Err(not_open().into()),
    };
    Err(Refusal::new(code, "", text).into())
}

fn not_open() -> Refusal {
    Refusal::new(Code::KycNotOpen, "", "This identity check is not waiting for answers.")
}
