//! GraphQL types and operations for reviews of identity checks.

use super::kyc::{Kyc, KycOutcome};
use crate::{
    graphql::{
        access::keys::ApiKey,
        core::{
            context::RequestContext,
            mutations::{Input, mutations, payload},
            pages::Connection,
            scalars::DateTime,
        },
    },
    wire::Result,
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::Datelike;
use domain::{
    Scope,
    compliance::kyc::reviews::{self, ApproveKyc, Decision, DenyKyc},
    kernel::ids,
    people::person,
};
use entity::{Kind, api_key, kyc};

/// Person being checked, with the data that a reviewer needs.
#[derive(Clone, SimpleObject)]
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
    pub async fn of(ctx: &Context<'_>, check: &kyc::Model) -> Result<Option<Self>> {
        if ctx.actor().partner(Scope::Operate).is_err() {
            return Ok(None);
        }
        let reading = ctx.loaders().reading();
        let found = reviews::get_applicant_audited(ctx.app(), ctx.actor(), check).await?;
        drop(reading);
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
pub struct KycReview(kyc::Model);

impl KycReview {
    /// Returns the review of a check, or `None` if there is none, and without scope `operate`.
    pub fn of(ctx: &Context<'_>, check: &kyc::Model) -> Option<Self> {
        let decided = ctx.actor().partner(Scope::Operate).is_ok() && check.reviewed_at.is_some();
        decided.then(|| Self(check.clone()))
    }
}

/// Reviewer's decision on an identity check.
#[Object]
impl KycReview {
    /// Outcome of the check.
    async fn outcome(&self) -> KycOutcome {
        self.0.outcome.into()
    }

    /// Reason given by the reviewer.
    async fn reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(reviews::reason(ctx.app(), &self.0)?.map(|reason| reason.reveal().clone()))
    }

    /// API key that made the decision.
    async fn reviewer(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        match self.0.reviewed_by {
            Some(id) => Ok(ctx.loaders().find::<api_key::Entity>(id).await?.map(ApiKey)),
            None => Ok(None),
        }
    }

    /// Time of the decision.
    async fn reviewed_at(&self) -> Option<DateTime> {
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

#[Object]
impl KycReviewQuery {
    /// Returns the identity checks that are waiting for a review, oldest first. Requires scope `operate`.
    async fn kyc_reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Kyc>>> {
        let page = ctx.page::<Kyc>(first, after, last, before)?;
        let slice = reviews::queue(&*ctx.loaders().connection().await?, ctx.actor(), page).await?;
        Ok(Some(Connection::new(slice, Kyc)))
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
