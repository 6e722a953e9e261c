//! The GraphQL face of reviews.

use super::kyc::{Kyc, KycOutcome};
use crate::{
    graphql::{
        access::keys::ApiKey,
        core::{
            context::RequestContext,
            errors::{KycUserError, payload},
            pages::Connection,
            scalars::DateTime,
        },
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::Datelike;
use domain::{
    Scope,
    compliance::kyc::reviews::{self, Decision},
    kernel::{idempotency::Key, ids},
    people::person,
};
use entity::{Kind, api_key, kyc};

/// Whom an identity check is about, as far as a reviewer needs to know.
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
    /// Whom this check is about, for who may know.
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

/// What a reviewer decided about an identity check.
pub struct KycReview(kyc::Model);

impl KycReview {
    /// The review of this check, for who may know.
    pub fn of(ctx: &Context<'_>, check: &kyc::Model) -> Option<Self> {
        let decided = ctx.actor().partner(Scope::Operate).is_ok() && check.reviewed_at.is_some();
        decided.then(|| Self(check.clone()))
    }
}

/// What a reviewer decided about an identity check.
#[Object]
impl KycReview {
    /// What it came to.
    async fn outcome(&self) -> KycOutcome {
        self.0.outcome.into()
    }

    /// Why.
    async fn reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(reviews::reason(ctx.app(), &self.0)?.map(|reason| reason.reveal().clone()))
    }

    /// The key that decided.
    async fn reviewer(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        match self.0.reviewed_by {
            Some(id) => Ok(ctx.loaders().find::<api_key::Entity>(id).await?.map(ApiKey)),
            None => Ok(None),
        }
    }

    /// When.
    async fn reviewed_at(&self) -> Option<DateTime> {
        self.0.reviewed_at.map(DateTime::from)
    }
}

/// Input of kycApprove.
#[derive(InputObject)]
pub struct KycApproveInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Identity check that waits for a review.
    kyc_id: ID,
    /// Why, 1 to 500 characters.
    reason: String,
}

/// Input of kycDeny.
#[derive(InputObject)]
pub struct KycDenyInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Identity check that waits for a review.
    kyc_id: ID,
    /// Why, 1 to 500 characters.
    reason: String,
}

fn decision(kyc_id: &ID, reason: String) -> Decision {
    Decision { kyc_id: ids::parse(Kind::Kyc, kyc_id), reason }
}

payload!(
    /// Outcome of kycApprove.
    KycApprovePayload {
        /// The check, null when refused.
        kyc: Kyc,
        KycUserError
    }
);

payload!(
    /// Outcome of kycDeny.
    KycDenyPayload {
        /// The check, null when refused.
        kyc: Kyc,
        KycUserError
    }
);

#[derive(Default)]
pub struct KycReviewQuery;

#[Object]
impl KycReviewQuery {
    /// Identity checks that wait for a review, oldest first; scope `operate`.
    async fn kyc_reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Kyc>>> {
        let page = ctx.page::<Kyc>(first, after, last, before)?;
        let slice = reviews::queue(&*ctx.loaders().connection().await?, ctx.actor(), page).await?;
        Ok(Some(Connection::new(slice, Kyc)))
    }
}

#[derive(Default)]
pub struct KycReviewMutation;

#[Object]
impl KycReviewMutation {
    /// Approve whom an identity check is about, by another key than those that entered anything about her;
    /// scope `operate`.
    async fn kyc_approve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycApprove.")] input: KycApproveInput,
    ) -> Result<Option<KycApprovePayload>> {
        let key = input.idempotency_key.as_deref().map(Key::given);
        let approved =
            reviews::approve(ctx.app(), ctx.actor(), key, decision(&input.kyc_id, input.reason)).await;
        Ok(Some(wire::answered(approved)?.into()))
    }

    /// Refuse whom an identity check is about, by another key than those that entered anything about her;
    /// scope `operate`.
    async fn kyc_deny(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycDeny.")] input: KycDenyInput,
    ) -> Result<Option<KycDenyPayload>> {
        let key = input.idempotency_key.as_deref().map(Key::given);
        let denied = reviews::deny(ctx.app(), ctx.actor(), key, decision(&input.kyc_id, input.reason)).await;
        Ok(Some(wire::answered(denied)?.into()))
    }
}
