//! GraphQL types for identity checks.

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
            breadth::{Children, Fetch, Lookup, One, fetch, lookup},
            context::Viewpoint,
            loaders::{HitsOf, ReviewOf},
            scalars::{DateTime, Decimal},
        },
        people::users::User,
    },
    wire::Result,
};
use async_graphql::{Enum, ID, SimpleObject};
use domain::{
    Visible,
    compliance::kyc::{self, Prompt, Requirement, questions},
    kernel::pages::{Order, Page},
    providers::identity::{Check, Part},
};
use entity::{kyc as row, kyc_review, screening_hit};
use macros::{Fields, Leaf, breadth};

/// Identity check of a person (KYC).
#[derive(Clone)]
pub struct Kyc(pub row::Model);

/// Identity check of a person (KYC).
#[breadth]
impl Kyc {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Token that identifies this check in the REST API.
    fn token(&self) -> &str {
        &self.0.token
    }

    /// Score from 0 to 1; automatic approval needs at least 0.90. Null without a secret key.
    fn score(&self, view: &Viewpoint) -> Option<Decimal> {
        view.actor().may_see_findings().then(|| Decimal::hundredths(self.0.score))
    }

    /// Outcome of the check; always `PENDING` for a publishable key.
    fn outcome(&self, view: &Viewpoint) -> KycOutcome {
        if view.actor().may_see_results() { self.0.outcome.into() } else { KycOutcome::Pending }
    }

    /// Findings of the check, for example `Address Match`. Empty without a secret key.
    fn tags(&self, view: &Viewpoint) -> Vec<&str> {
        if view.actor().may_see_findings() { self.0.tags.lines().collect() } else { Vec::new() }
    }

    /// Parts of the check, each with its effect on the score. Empty without a secret key.
    fn checks(&self, view: &Viewpoint) -> Vec<KycCheck> {
        KycCheck::of(view, &self.0)
    }

    /// Watch-list entries that resemble the applicant, most similar first. Null without scope `operate`.
    fn watch_list_hits(&self, view: &Viewpoint) -> Lookup<HitsOf, Option<Vec<WatchListHit>>> {
        let may_see = screening_hit::Entity::access(view.actor()).is_ok();
        lookup(may_see.then_some(HitsOf(self.0.id)), move |_, hits| {
            Ok(may_see.then(|| hits.unwrap_or_default().into_iter().map(WatchListHit).collect()))
        })
    }

    /// Whether a later check has replaced this one.
    fn is_superseded(&self) -> bool {
        self.0.superseded_at.is_some()
    }

    /// User being checked; null for a check that was started without a user.
    fn user(&self) -> Option<One<User>> {
        self.0.user_id.map(One::of)
    }

    /// Questions that the applicant must answer. Empty if no answers are needed, and for a publishable key.
    fn questions(&self, view: &Viewpoint) -> Result<Vec<KycQuestion>> {
        if !view.actor().may_see_results() {
            return Ok(Vec::new());
        }
        Ok(questions::open(view.app(), &self.0)?.into_iter().map(KycQuestion::from).collect())
    }

    /// Deadline for answering the questions. Null if there were none, and for a publishable key.
    fn questions_expire_at(&self, view: &Viewpoint) -> Option<DateTime> {
        self.0.questions_expire_at.filter(|_| view.actor().may_see_results()).map(DateTime::from)
    }

    /// Requirements to meet before the check is decided. Empty for a publishable key.
    fn requirements(&self, view: &Viewpoint) -> Vec<KycRequirement> {
        let required = kyc::required_for(&self.0).filter(|_| view.actor().may_see_results());
        required.and_then(KycRequirement::of).into_iter().collect()
    }

    /// Uploaded documents, oldest first; at most 20.
    fn documents(&self) -> Children<KycDocument> {
        let page = Page { order: Order::OldestFirst, ..Page::first(kyc::documents::MAX_DOCUMENTS) };
        Children::of(self.0.id, page)
    }

    /// Person being checked. Each read is written to the audit log. Null if their data is not stored, and
    /// without scope `operate`.
    fn applicant(&self) -> Fetch<Option<KycApplicant>> {
        let check = self.0.clone();
        fetch(move |view| {
            let check = check.clone();
            Box::pin(async move { KycApplicant::of(view, &check).await })
        })
    }

    /// Last review that a reviewer decided. Null before a decision, and without scope `operate`.
    fn review(&self, view: &Viewpoint) -> Lookup<ReviewOf, Option<KycReview>> {
        let is_visible = self.0.reviewed_at.is_some() && kyc_review::Entity::access(view.actor()).is_ok();
        lookup(is_visible.then_some(ReviewOf(self.0.id)), |_, review| Ok(review.map(KycReview)))
    }

    /// Time when the check was created.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time of the current outcome; for a publishable key, the time when the check was created.
    fn decided_at(&self, view: &Viewpoint) -> DateTime {
        if view.actor().may_see_results() { self.0.decided_at.into() } else { self.0.created_at.into() }
    }
}

/// Question that the applicant answers to prove their identity.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct KycQuestion {
    /// Number of the question within its check, from 1 to 5.
    question_id: i32,
    /// Text of the question.
    text: String,
    /// Five possible answers; the last one means that none of the others is right.
    answers: Vec<KycAnswerOption>,
}

/// Possible answer to a question.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct KycAnswerOption {
    /// Number of the answer within its question, from 1 to 5.
    answer_id: i32,
    /// Text of the answer.
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

/// Something that a person must provide before their identity check is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum KycRequirement {
    /// Answers to the identity questions.
    Answers,
    /// Identity documents for a reviewer.
    Documents,
}

impl KycRequirement {
    fn of(required: Requirement) -> Option<Self> {
        match required {
            // Without the data there is no check.
            Requirement::Profile => None,
            Requirement::Answers => Some(Self::Answers),
            Requirement::Documents => Some(Self::Documents),
        }
    }
}

/// Outcome of an identity check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum KycOutcome {
    /// The outcome is hidden from publishable keys; read it with a secret key or from an event.
    Pending,
    /// The identity is confirmed.
    Approved,
    /// The applicant must answer questions.
    QuestionsRequired,
    /// A reviewer must decide.
    ManualReview,
    /// The identity was rejected.
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

/// Part of an identity check, with its effect on the score.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct KycCheck {
    /// Condition that was checked.
    check: KycCheckKind,
    /// Whether this part passed.
    is_passed: bool,
    /// Amount added to the score; negative if it lowers the score.
    part: Decimal,
    /// Rule that was checked, as an English sentence.
    rule: String,
}

impl KycCheck {
    /// Returns the parts of a check; empty for callers that may not see its findings.
    pub fn of(view: &Viewpoint, check: &row::Model) -> Vec<Self> {
        if view.actor().may_see_findings() {
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

/// Condition that an identity check verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "Check")]
pub enum KycCheckKind {
    /// Every field has the right format.
    Format,
    /// The age is plausible: 18 to 120 years.
    Age,
    /// The address is in the United States, and its ZIP code belongs to its state.
    Address,
    /// The address is not a post office box.
    PoBox,
    /// A phone number is given.
    Phone,
    /// The e-mail address is well-formed.
    Email,
    /// No other user has the same social security number.
    DuplicateSsn,
    /// No watch-list entry resembles the person.
    WatchList,
    /// Score set by the last name; only in a sandbox.
    Persona,
    /// Enough identity questions were answered correctly.
    Answers,
}
