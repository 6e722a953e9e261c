//! Whom questions are put to, and for how long.

use super::{
    at_present,
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

/// Puts questions to a person, for a quarter of an hour from when the check first did; who was asked before
/// in vain goes to a reviewer.
pub async fn ask(ctx: &CommandContext<'_>, check: &mut kyc::Model, applicant: &Applicant) -> Result<()> {
    if asked_in_vain(ctx, check).await? {
        close_questions(check);
        check.outcome = Outcome::ManualReview;
        return Ok(());
    }
    let seed = questions::seed(ctx.app, check.partner_id, &check.token);
    check.questions = Some(Questions::ask(&seed, applicant)?.sealed(ctx.app, check.partner_id, check.id)?);
    let mut until = ctx.now + questions::open_for();
    if let Some(user_id) = check.user_id
        && let Some(earlier) = at_present(ctx.tx, user_id).await?
        && earlier.outcome == Outcome::QuestionsRequired
        && let Some(at) = earlier.questions_expire_at
    {
        // A change wins no time.
        until = Ord::min(at, until);
    }
    check.questions_expire_at.get_or_insert(until);
    Ok(())
}

/// Takes questions back that were not answered.
pub fn close_questions(check: &mut kyc::Model) {
    (check.questions, check.questions_expire_at) = (None, None);
}

/// Whether the person of a check failed or let expire the questions of another one; a live partner's people
/// are known by their social security number as well.
async fn asked_in_vain(ctx: &CommandContext<'_>, check: &kyc::Model) -> Result<bool> {
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
