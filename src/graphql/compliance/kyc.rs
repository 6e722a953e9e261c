//! The GraphQL face of identity checks.

mod changes;

pub use changes::{KycMutation, KycQuery};

use super::{
    kyc_documents::KycDocument,
    kyc_reviews::{KycApplicant, KycReview},
    screening::WatchListHit,
};
use crate::{
    graphql::{
        core::{
            context::RequestContext,
            pages::Item,
            scalars::{DateTime, Decimal},
        },
        people::users::User,
    },
    wire::Result,
};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{
    Scope,
    compliance::kyc::{self, Prompt, Requirement, questions},
    kernel::pages::{Order, Page},
    providers::identity::{Check, Part},
};
use entity::{Kind, kyc as row, kyc_document, user};
use uuid::Uuid;

/// One identity check.
pub struct Kyc(pub row::Model);

/// One identity check.
#[Object]
impl Kyc {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What the REST door calls the check by.
    async fn token(&self) -> &str {
        &self.0.token
    }

    /// From 0 to 1; 0.90 and more is approved. Null without a secret key.
    async fn score(&self, ctx: &Context<'_>) -> Option<Decimal> {
        ctx.actor().may_see_findings().then(|| Decimal::hundredths(self.0.score))
    }

    /// Outcome of the check; always `PENDING` for a publishable key.
    async fn outcome(&self, ctx: &Context<'_>) -> KycOutcome {
        if ctx.actor().may_see_results() { self.0.outcome.into() } else { KycOutcome::Pending }
    }

    /// What was found, for example `Address Match`. Empty without a secret key.
    async fn tags(&self, ctx: &Context<'_>) -> Vec<&str> {
        if ctx.actor().may_see_findings() { self.0.tags.lines().collect() } else { Vec::new() }
    }

    /// Each part of the check with what it adds to the score. Empty without a secret key.
    async fn checks(&self, ctx: &Context<'_>) -> Vec<KycCheck> {
        KycCheck::of(ctx, &self.0)
    }

    /// Entries of the watch list that resemble the person, the most alike first; null without the scope
    /// `operate`.
    async fn watch_list_hits(&self, ctx: &Context<'_>) -> Result<Option<Vec<WatchListHit>>> {
        if ctx.actor().partner(Scope::Operate).is_err() {
            return Ok(None);
        }
        Ok(Some(ctx.loaders().hits(self.0.id).await?.into_iter().map(WatchListHit).collect()))
    }

    /// Whether a later check took the place of this one.
    async fn is_superseded(&self) -> bool {
        self.0.superseded_at.is_some()
    }

    /// The person whom it moves; null for a check that was asked for by itself.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(id) = self.0.user_id else { return Ok(None) };
        Ok(Some(User(ctx.loaders().get::<user::Entity>(id).await?)))
    }

    /// The questions that it waits to be answered. Empty when it waits for no answers, and for a publishable
    /// key.
    async fn questions(&self, ctx: &Context<'_>) -> Result<Vec<KycQuestion>> {
        if !ctx.actor().may_see_results() {
            return Ok(Vec::new());
        }
        Ok(questions::open(ctx.app(), &self.0)?.into_iter().map(KycQuestion::from).collect())
    }

    /// Until when its questions can be answered. Null when none were asked, and for a publishable key.
    async fn questions_expire_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        self.0.questions_expire_at.filter(|_| ctx.actor().may_see_results()).map(DateTime::from)
    }

    /// What the person must still supply before it is decided. Empty for a publishable key.
    async fn requirements(&self, ctx: &Context<'_>) -> Vec<KycRequirement> {
        let required = kyc::required_for(&self.0).filter(|_| ctx.actor().may_see_results());
        required.into_iter().map(KycRequirement::from).collect()
    }

    /// Documents that were sent, oldest first, at most 20.
    async fn documents(&self, ctx: &Context<'_>) -> Result<Vec<KycDocument>> {
        let page = Page { order: Order::OldestFirst, ..Page::first(kyc::documents::MAX_DOCUMENTS) };
        let slice = ctx.loaders().children::<kyc_document::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(slice.rows.into_iter().map(KycDocument).collect())
    }

    /// Whom it is about; null without the scope `operate`, and for checks from before that was kept; who
    /// looks is written down.
    async fn applicant(&self, ctx: &Context<'_>) -> Result<Option<KycApplicant>> {
        KycApplicant::of(ctx, &self.0).await
    }

    /// What a reviewer decided; null before, and without the scope `operate`.
    async fn review(&self, ctx: &Context<'_>) -> Option<KycReview> {
        KycReview::of(ctx, &self.0)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When the present outcome was reached; when the check was made for a publishable key.
    async fn decided_at(&self, ctx: &Context<'_>) -> DateTime {
        if ctx.actor().may_see_results() { self.0.decided_at.into() } else { self.0.created_at.into() }
    }
}

impl Item for Kyc {
    const KIND: Kind = Kind::Kyc;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<row::Model> for Kyc {
    fn from(row: row::Model) -> Self {
        Self(row)
    }
}

/// A question that the person herself can answer.
#[derive(Clone, Debug, SimpleObject)]
pub struct KycQuestion {
    /// From 1 to 5, unlike any other only within its check.
    question_id: i32,
    /// The question itself.
    text: String,
    /// Five of them, the last for none of the others.
    answers: Vec<KycAnswerOption>,
}

/// A possible answer to a question.
#[derive(Clone, Debug, SimpleObject)]
pub struct KycAnswerOption {
    /// From 1 to 5, unlike any other only within its question.
    answer_id: i32,
    /// The answer itself.
    text: String,
}

impl From<Prompt> for KycQuestion {
    fn from(prompt: Prompt) -> Self {
        let option = |(answer_id, text)| KycAnswerOption { answer_id, text };
        Self {
            question_id: prompt.id,
            text: prompt.text,
            answers: prompt.answers.into_iter().map(option).collect(),
        }
    }
}

/// Something that a person must supply before her identity check is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Requirement")]
pub enum KycRequirement {
    /// All that a check goes by: name, e-mail address, social security number, day of birth and address.
    Profile,
    /// Answers to the questions.
    Answers,
    /// Documents for a reviewer.
    Documents,
}

/// What an identity check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum KycOutcome {
    /// Not told to a publishable key; the result comes with an event and to a secret key.
    Pending,
    /// Passed.
    Approved,
    /// Questions must be answered.
    QuestionsRequired,
    /// A person must look.
    ManualReview,
    /// Refused.
    Denied,
}

impl From<row::Outcome> for KycOutcome {
    fn from(outcome: row::Outcome) -> Self {
        match outcome {
            row::Outcome::Approved => Self::Approved,
            row::Outcome::QuestionsRequired => Self::QuestionsRequired,
            row::Outcome::ManualReview => Self::ManualReview,
            row::Outcome::Denied => Self::Denied,
        }
    }
}

/// One thing that was looked at, and what it added to the score.
#[derive(Clone, Debug, SimpleObject)]
pub struct KycCheck {
    /// What was looked at.
    check: KycCheckKind,
    /// Whether it was passed.
    is_passed: bool,
    /// What it adds to the score, below zero for what speaks against the person.
    part: Decimal,
    /// The rule in a sentence.
    rule: String,
}

impl KycCheck {
    /// The parts of a check, for a caller that may be told what was found.
    pub fn of(ctx: &Context<'_>, check: &row::Model) -> Vec<Self> {
        if ctx.actor().may_see_findings() {
            kyc::parts(check).into_iter().map(Self::from).collect()
        } else {
            Vec::new()
        }
    }
}

impl From<Part> for KycCheck {
    fn from(part: Part) -> Self {
        Self {
            check: part.check.into(),
            is_passed: part.passed,
            part: Decimal::hundredths(part.part),
            rule: part.rule.into_owned(),
        }
    }
}

/// What an identity check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Check")]
pub enum KycCheckKind {
    /// The form of every field.
    Format,
    /// Whether the person has a plausible age, 18 to 120.
    Age,
    /// The address, and whether its ZIP code lies in its state.
    Address,
    /// Whether the address is a post office box.
    PoBox,
    /// The phone number.
    Phone,
    /// The e-mail address.
    Email,
    /// Whether somebody else has the same social security number.
    DuplicateSsn,
    /// Whether an entry of the watch list resembles the person.
    WatchList,
    /// The last name, which chooses the score in a sandbox.
    Persona,
    /// The answers to the questions.
    Answers,
}
