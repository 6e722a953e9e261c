//! A check whose evidence was written wrongly.

use super::{
    Named, ask, close_questions,
    evidence::{Patch, Reconsidered, reconsider},
    expire, locked, outcome_of, settle,
};
use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
    },
};
use entity::{
    kyc::{self, Outcome},
    partner::Mode,
};
use serde::Serialize;
use uuid::Uuid;

/// What was written wrongly of a person whose check is not decided.
#[derive(Clone, Serialize)]
pub struct Correction {
    pub check: Named,
    pub patch: Patch,
}

/// Corrects what an identity check goes by while it is not decided, judges it anew, and corrects the person
/// whom it moves; scope `manage`, or the person herself.
///
/// A correction takes nobody out of a review. Questions that go on being asked are those about the corrected
/// evidence, and their time runs from when the first were asked.
pub async fn correct(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    correction: Correction,
) -> Result<Answer<kyc::Model>> {
    command::execute(app, actor, key, correction).await
}

impl Command for Correction {
    const NAME: &'static str = "kyc.correct";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = kyc::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        if self.patch.is_empty() {
            return Err(Refusal::required("patch").into());
        }
        self.patch.check(mode).map_err(|error| error.inside("patch"))
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        let find = async || self.check.find(ctx.tx, ctx.access_scope).await;
        let mut check = locked(ctx, find, self.check.field()).await?;
        if let Some(due) = check
            .questions_expire_at
            .filter(|due| *due <= ctx.now && check.outcome == Outcome::QuestionsRequired)
        {
            // Its timer is about to be carried out.
            expire(&CommandContext { now: due, ..*ctx }, check.id).await?;
            check = locked(ctx, find, self.check.field()).await?;
        }
        if !matches!(check.outcome, Outcome::QuestionsRequired | Outcome::ManualReview) {
            return Err(Refusal::new(Code::KycNotOpen, "", "This identity check has been decided.").into());
        }
        let found =
            reconsider(ctx, check.clone(), &self.patch).await.map_err(|error| error.inside("patch"))?;
        let Some(Reconsidered { check: mut anew, applicant, needs_reviewer }) = found else {
            return Ok(check);
        };
        anew.outcome = match outcome_of(anew.score, needs_reviewer) {
            _ if check.outcome == Outcome::ManualReview => Outcome::ManualReview,
            other => other,
        };
        if anew.outcome == Outcome::QuestionsRequired {
            ask(ctx, &mut anew, &applicant).await?;
        } else if check.outcome == Outcome::QuestionsRequired {
            close_questions(&mut anew);
        }
        if anew.outcome != check.outcome {
            anew.decided_at = ctx.now;
        }
        settle(ctx, anew, EventType::KycUpdated).await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}
