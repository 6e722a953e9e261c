//! Asking questions: who gets them, and until when.

use super::{
    current,
    questions::{self, Questions},
};
use crate::{Result, kernel::command::CommandContext, people::applicants::Applicant};
use entity::{
    kyc::{self, Outcome},
    partner::Mode,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, all, any},
};

/// Adds questions to a check. They expire 15 minutes after the first ones were asked.
///
/// An applicant who has failed questions or let them expire before goes to a reviewer instead.
pub async fn ask(ctx: &CommandContext<'_>, check: &mut kyc::Model, applicant: &Applicant) -> Result<()> {
    if has_failed_before(ctx, check).await? {
        close_questions(check);
        check.outcome = Outcome::ManualReview;
        return Ok(());
    }
    let seed = questions::seed(ctx.app, check.partner_id, &check.token);
    check.questions = Some(Questions::ask(&seed, applicant)?.sealed(ctx.app, check.partner_id, check.id)?);
    let mut until = ctx.now + questions::open_for();
    if let Some(user_id) = check.user_id
        && let Some(earlier) = current(ctx.tx, user_id).await?
        && earlier.outcome == Outcome::QuestionsRequired
        && let Some(at) = earlier.questions_expire_at
    {
        // A new check does not extend the time.
        until = Ord::min(at, until);
    }
    check.questions_expire_at.get_or_insert(until);
    Ok(())
}

/// Removes the questions of a check that were not answered.
pub fn close_questions(check: &mut kyc::Model) {
    (check.questions, check.questions_expire_at) = (None, None);
}

/// Whether the applicant failed the questions of another check or let them expire. Live applicants are also
/// matched by social security number.
async fn has_failed_before(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<bool> {
    let mut same = Condition::any();
    if let Some(user_id) = check.user_id {
        same = same.add(kyc::Column::UserId.eq(user_id));
    }
    if let (Mode::Live, Some(index)) = (ctx.partner.mode, &check.ssn_index) {
        same = same.add(kyc::Column::SsnIndex.eq(index.clone()));
    }
    if same.is_empty() {
        return Ok(false);
    }
    let failed = kyc::Column::RightAnswers.lt(questions::PASS_MARK);
    let not_before = Expr::col(kyc::Column::SupersededAt).gte(Expr::col(kyc::Column::QuestionsExpireAt));
    let expired = all![
        kyc::Column::AnsweredAt.is_null(),
        kyc::Column::QuestionsExpireAt.lte(ctx.now),
        any![kyc::Column::SupersededAt.is_null(), not_before],
    ];
    let others = kyc::Entity::find()
        .filter(kyc::Column::PartnerId.eq(check.partner_id))
        .filter(kyc::Column::Id.ne(check.id))
        .filter(same)
        .filter(any![failed, expired]);
    Ok(others.one(ctx.tx).await?.is_some())
}
