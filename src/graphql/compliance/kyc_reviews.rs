//! GraphQL types and operations for reviews of identity checks.

use super::kyc::{Kyc, KycOutcome};
use crate::{
    graphql::{
        access::keys::ApiKey,
        core::{
            breadth::{ListOf, Maybe, One},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::DateTime,
        },
        people::users::User,
    },
    wire::Result,
};
use async_graphql::{Enum, ID, SimpleObject};
use chrono::Datelike;
use domain::{
    Scope,
    compliance::kyc::reviews::{self, ApproveKyc, Decision, DenyKyc, Reviewed},
    people::person,
};
use entity::{kyc, kyc_review};
use macros::{Fields, Leaf, breadth, mutations};

/// Person being checked, with the data that a reviewer needs.
#[derive(Clone, Fields, SimpleObject)]
pub struct KycApplicant {
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// Last four digits of the social security number.
    ssn_last4: String,
    /// Year of birth.
    birth_year: i32,
    /// City.
    city: String,
    /// State or province.
    state: String,
}

impl KycApplicant {
    /// Returns the applicant of a check, or `None` without scope `operate`. The read is written to the audit
    /// log.
    pub async fn of(view: &Viewpoint, check: &kyc::Model) -> Result<Option<Self>> {
        if view.actor().partner(Scope::Operate).is_err() {
            return Ok(None);
        }
        let found = reviews::get_applicant_audited(view.app(), view.actor(), check).await?;
        Ok(found.map(|found| {
            let applicant = found.reveal();
            Self {
                first_name: applicant.first_name.clone(),
                last_name: applicant.last_name.clone(),
                email: applicant.email.clone(),
                ssn_last4: person::last4(&applicant.ssn),
                birth_year: applicant.birth_date.year(),
                city: applicant.address.city.clone(),
                state: applicant.address.state.clone(),
            }
        }))
    }
}

/// Review of an identity check: a wait for a reviewer, and the decision.
#[derive(Clone)]
pub struct KycReview(pub kyc_review::Model);

/// Review of an identity check: a wait for a reviewer, and the decision.
#[breadth]
impl KycReview {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity check to decide.
    fn check(&self) -> One<Kyc> {
        One::of(self.0.kyc_id)
    }

    /// User being checked; null for a check that was started without a user.
    fn user(&self) -> Option<One<User>> {
        self.0.user_id.map(One::of)
    }

    /// Why a reviewer must decide.
    fn cause(&self) -> KycReviewCause {
        self.0.cause.into()
    }

    /// Time when the check started to wait for a reviewer.
    fn requested_at(&self) -> DateTime {
        self.0.requested_at.into()
    }

    /// Outcome that the reviewer decided, `APPROVED` or `DENIED`. Null while the review waits, and if it ended
    /// without a decision.
    fn outcome(&self) -> Option<KycOutcome> {
        self.0.outcome.map(KycOutcome::from)
    }

    /// Reason given by the reviewer.
    fn reason(&self, view: &Viewpoint) -> Result<Option<String>> {
        Ok(reviews::reason(view.app(), &self.0)?.map(|reason| reason.reveal().clone()))
    }

    /// API key that made the decision.
    fn reviewer(&self) -> Maybe<ApiKey> {
        Maybe::of(self.0.reviewed_by)
    }

    /// Time of the decision.
    fn reviewed_at(&self) -> Option<DateTime> {
        self.0.reviewed_at.map(DateTime::from)
    }

    /// Time when the review ended: the time of the decision, or when the check no longer needed one. Null while
    /// the review waits.
    fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime::from)
    }
}

/// Why an identity check went to a reviewer: the first reason that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::kyc_review::Cause")]
pub enum KycReviewCause {
    /// The applicant resembles a watch-list entry.
    WatchListHit,
    /// The applicant's name cannot be compared with the watch lists.
    NotScreened,
    /// The questions were answered wrongly, or not in time.
    Answers,
    /// The score is between 0.30 and 0.59.
    Score,
    /// An earlier check of the same person requires a reviewer.
    EarlierCheck,
}

/// Decided identity check with its review.
#[derive(Default)]
struct Decided {
    kyc: Option<Kyc>,
    review: Option<KycReview>,
}

impl From<Reviewed> for Decided {
    fn from(reviewed: Reviewed) -> Self {
        Self { kyc: Some(Kyc(reviewed.check)), review: reviewed.review.map(KycReview) }
    }
}

#[derive(Default)]
pub struct KycReviewQuery;

#[breadth]
impl KycReviewQuery {
    /// Returns the reviews that are waiting for a decision, oldest first. Requires scope `operate`.
    fn kyc_reviews(&self, view: &Viewpoint, page: PageArgs) -> Result<Option<ListOf<KycReview>>> {
        Ok(Some(ListOf::oldest_first(view, &page, reviews::queue(view.actor())?)?))
    }
}

#[mutations]
impl KycReviewMutation {
    /// Approves an identity check; its watch-list hits must be cleared first. The calling key must not have
    /// entered or changed this user's data. Requires scope `operate`.
    #[answers(
        kyc: Kyc = "The identity check. Null if the request was refused.",
        review: KycReview,
        in Decided
    )]
    fn kyc_approve(
        /// Id of an identity check that is waiting for a review.
        kyc_id: IdOf<Kyc>,
        /// Reason for the decision, 1 to 500 characters.
        reason: String,
    ) -> ApproveKyc {
        ApproveKyc(Decision { kyc_id: kyc_id.into(), reason })
    }

    /// Denies an identity check. The calling key must not have entered or changed this user's data. Requires
    /// scope `operate`.
    #[answers(
        kyc: Kyc = "The identity check. Null if the request was refused.",
        review: KycReview,
        in Decided
    )]
    fn kyc_deny(
        /// Id of an identity check that is waiting for a review.
        kyc_id: IdOf<Kyc>,
        /// Reason for the decision, 1 to 500 characters.
        reason: String,
    ) -> DenyKyc {
        DenyKyc(Decision { kyc_id: kyc_id.into(), reason })
    }
}
