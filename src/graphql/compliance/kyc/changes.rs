//! How an identity check is started, answered and corrected.

use super::Kyc;
use crate::{
    graphql::{
        core::{
            context::RequestContext,
            errors::{KycUserError, payload},
            scalars::Date,
        },
        people::users::inputs::{AddressInput, UserPatch},
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object};
use domain::{
    compliance::kyc::{self, AnswerQuestions, CorrectKyc, Given, KycRef, StartKyc},
    kernel::{idempotency::Key, ids},
    people::applicants::NewUser,
};
use entity::Kind;

/// Input of kycStart.
#[derive(InputObject)]
pub struct KycStartInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// US phone number.
    phone: Option<String>,
    /// Social security number; never sent back.
    ssn: String,
    /// Day of birth; never sent back.
    birth_date: Date,
    /// Where the person lives.
    address: AddressInput,
}

/// The answer to one question of an identity check.
#[derive(InputObject)]
pub struct KycGivenAnswerInput {
    /// Which question.
    question_id: i32,
    /// Which of its answers.
    answer_id: i32,
}

/// Input of kycAnswer.
#[derive(InputObject)]
pub struct KycAnswerInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which check.
    kyc_id: ID,
    /// An answer to each question, once.
    answers: Vec<KycGivenAnswerInput>,
    /// Given name, where it was written wrongly.
    first_name: Option<String>,
    /// Family name, where it was written wrongly.
    last_name: Option<String>,
}

/// Input of kycCorrect.
#[derive(InputObject)]
pub struct KycCorrectInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which check.
    kyc_id: ID,
    /// What is right.
    patch: UserPatch,
}

payload!(
    /// Outcome of kycStart.
    KycStartPayload {
        /// The check, null when refused.
        kyc: Kyc,
        KycUserError
    }
);

payload!(
    /// Outcome of kycAnswer.
    KycAnswerPayload {
        /// The check, null when refused.
        kyc: Kyc,
        KycUserError
    }
);

payload!(
    /// Outcome of kycCorrect.
    KycCorrectPayload {
        /// The check, null when refused.
        kyc: Kyc,
        KycUserError
    }
);

impl KycStartInput {
    fn parse(self) -> (Option<Key>, StartKyc) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let new = NewUser {
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            phone: self.phone,
            ssn: Some(self.ssn),
            birth_date: Some(self.birth_date.0),
            address: Some(self.address.into()),
        };
        (key, StartKyc(new))
    }
}

impl KycAnswerInput {
    fn parse(self) -> (Option<Key>, AnswerQuestions) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let check = KycRef::Id(ids::parse(Kind::Kyc, &self.kyc_id));
        let given =
            |one: KycGivenAnswerInput| Given { question_id: one.question_id, answer_id: one.answer_id };
        let answers = self.answers.into_iter().map(given).collect();
        (key, AnswerQuestions { check, answers, first_name: self.first_name, last_name: self.last_name })
    }
}

impl KycCorrectInput {
    fn parse(self) -> (Option<Key>, CorrectKyc) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let check = KycRef::Id(ids::parse(Kind::Kyc, &self.kyc_id));
        (key, CorrectKyc { check, patch: self.patch.into() })
    }
}

#[derive(Default)]
pub struct KycQuery;

#[Object]
impl KycQuery {
    /// An identity check by what the REST door calls it; null when there is none or it is not yours; scope
    /// `read`.
    async fn kyc_by_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the REST door calls it.")] token: String,
    ) -> Result<Option<Kyc>> {
        Ok(kyc::find(&*ctx.loaders().connection().await?, ctx.actor(), &token).await?.map(Kyc))
    }
}

#[derive(Default)]
pub struct KycMutation;

#[Object]
impl KycMutation {
    /// Check who a person is, who need not be a user; scope `start`, which `manage` implies.
    async fn kyc_start(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycStart.")] input: KycStartInput,
    ) -> Result<Option<KycStartPayload>> {
        let (key, start) = input.parse();
        let started = kyc::start(ctx.app(), ctx.actor(), key, start).await;
        Ok(Some(wire::answered(started)?.into()))
    }

    /// Answer the questions of an identity check, once and in time; scope `manage`.
    async fn kyc_answer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycAnswer.")] input: KycAnswerInput,
    ) -> Result<Option<KycAnswerPayload>> {
        let (key, answering) = input.parse();
        let answered = kyc::answer(ctx.app(), ctx.actor(), key, answering).await;
        Ok(Some(wire::answered(answered)?.into()))
    }

    /// Correct what an identity check goes by while it is not decided; scope `manage`.
    async fn kyc_correct(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycCorrect.")] input: KycCorrectInput,
    ) -> Result<Option<KycCorrectPayload>> {
        let (key, correction) = input.parse();
        let corrected = kyc::correct(ctx.app(), ctx.actor(), key, correction).await;
        Ok(Some(wire::answered(corrected)?.into()))
    }
}
