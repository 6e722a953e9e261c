//! Correcting the evidence of an identity check.

use super::{
    ExpireQuestions, KycRef, ask, close_questions,
    evidence::{Reconsidered, correction, reconsider},
    locked, outcome_of, settle,
};
use crate::{
    Code, Refusal, Result, Scope,
    kernel::{
        command::{Command, CommandContext},
        events::Event,
        scheduler::Due,
    },
    people::user_changes::PersonPatch,
};
use entity::{
    kyc::{self, Outcome},
    partner::Mode,
};
use serde::Serialize;

/// Input for correcting the personal data of an undecided check.
#[derive(Clone, Serialize)]
pub struct CorrectKyc {
    pub check: KycRef,
    pub patch: PersonPatch,
}

/// Corrects the evidence of an undecided identity check and its user, and computes the result again. Requires
/// scope `manage`, or the user's own session.
///
/// A correction does not end a review. If questions are still required, they are about the corrected evidence
/// and expire when the first ones would have.
impl Command for CorrectKyc {
    const NAME: &'static str = "kyc.correct";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = kyc::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        if self.patch.is_empty() {
            return Err(Refusal::required("patch").into());
        }
        correction(&self.patch).check(mode).map_err(|error| error.inside("patch"))
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        let find = async || self.check.find(ctx.tx, ctx.access_scope).await;
        let mut check = locked(ctx, find, self.check.field()).await?;
        if let Some(due) = check
            .questions_expire_at
            .filter(|due| *due <= ctx.now && check.outcome == Outcome::QuestionsRequired)
        {
            // The timer is due but has not run yet.
            ExpireQuestions::run(&CommandContext { now: due, ..*ctx }, check.id).await?;
            check = locked(ctx, find, self.check.field()).await?;
        }
        if !matches!(check.outcome, Outcome::QuestionsRequired | Outcome::ManualReview) {
            return Err(
                Refusal::new(Code::KycNotOpen, "", "This identity check has already been decided.").into()
            );
        }
        let found =
            reconsider(ctx, check.clone(), &self.patch).await.map_err(|error| error.inside("patch"))?;
        let Some(Reconsidered { check: mut updated, applicant, needs_reviewer }) = found else {
            return Ok(check);
        };
        updated.outcome = match outcome_of(updated.score, needs_reviewer) {
            _ if check.outcome == Outcome::ManualReview => Outcome::ManualReview,
            other => other,
        };
        if updated.outcome == Outcome::QuestionsRequired {
            ask(ctx, &mut updated, &applicant).await?;
        } else if check.outcome == Outcome::QuestionsRequired {
            close_questions(&mut updated);
        }
        if updated.outcome != check.outcome {
            updated.decided_at = ctx.now;
        }
        settle(ctx, updated, Event::KycUpdated).await
    }
}
