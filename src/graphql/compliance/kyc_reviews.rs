//! GraphQL types and operations for reviews of identity checks.

use super::kyc::{Kyc, KycOutcome};
use crate::{
    graphql::{
        access::keys::ApiKey,
        core::{
            breadth::{ListOf, Maybe},
            context::Viewpoint,
            mutations::{Input, mutations, payload},
            pages::PageArgs,
            scalars::DateTime,
        },
    },
    wire::Result,
};
use async_graphql::{ID, InputObject, SimpleObject};
use chrono::Datelike;
use domain::{
    Scope,
    compliance::kyc::reviews::{self, ApproveKyc, Decision, DenyKyc},
    kernel::ids,
    people::person,
};
use entity::{Kind, kyc};
use macros::{Fields, breadth};

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

/// Reviewer's decision on an identity check.
#[derive(Clone)]
pub struct KycReview(kyc::Model);

impl KycReview {
    /// Returns the review of a check, or `None` if there is none, and without scope `operate`.
    pub fn of(view: &Viewpoint, check: &kyc::Model) -> Option<Self> {
        let decided = view.actor().partner(Scope::Operate).is_ok() && check.reviewed_at.is_some();
        decided.then(|| Self(check.clone()))
    }
}

/// Reviewer's decision on an identity check.
#[breadth]
impl KycReview {
    /// Outcome of the check.
    fn outcome(&self) -> KycOutcome {
        self.0.outcome.into()
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
}

/// Input for kycApprove.
#[derive(InputObject)]
pub struct KycApproveInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of an identity check that is waiting for a review.
    kyc_id: ID,
    /// Reason for the decision, 1 to 500 characters.
    reason: String,
}

/// Input for kycDeny.
#[derive(InputObject)]
pub struct KycDenyInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of an identity check that is waiting for a review.
    kyc_id: ID,
    /// Reason for the decision, 1 to 500 characters.
    reason: String,
}

impl Input for KycApproveInput {
    type Command = ApproveKyc;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<ApproveKyc> {
        Ok(ApproveKyc(Decision { kyc_id: ids::parse(Kind::Kyc, &self.kyc_id), reason: self.reason }))
    }
}

impl Input for KycDenyInput {
    type Command = DenyKyc;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<DenyKyc> {
        Ok(DenyKyc(Decision { kyc_id: ids::parse(Kind::Kyc, &self.kyc_id), reason: self.reason }))
    }
}

payload!(
    /// Result of kycApprove.
    KycApprovePayload {
        /// The identity check. Null if the request was refused.
        kyc: Kyc
    }
);

payload!(
    /// Result of kycDeny.
    KycDenyPayload {
        /// The identity check. Null if the request was refused.
        kyc: Kyc
    }
);

#[derive(Default)]
pub struct KycReviewQuery;

#[breadth]
impl KycReviewQuery {
    /// Returns the identity checks that are waiting for a review, oldest first. Requires scope `operate`.
    fn kyc_reviews(&self, view: &Viewpoint, page: PageArgs) -> Result<Option<ListOf<Kyc>>> {
        Ok(Some(ListOf::oldest_first(view, &page, reviews::queue(view.actor())?)?))
    }
}

mutations!(KycReviewMutation {
    /// Approves an identity check; its watch-list hits must be cleared first. The calling key must not have
    /// entered or changed this user's data. Requires scope `operate`.
    kyc_approve(KycApproveInput: "Input for kycApprove.") -> KycApprovePayload,

    /// Denies an identity check. The calling key must not have entered or changed this user's data. Requires
    /// scope `operate`.
    kyc_deny(KycDenyInput: "Input for kycDeny.") -> KycDenyPayload,
});
