//! GraphQL operations that find, start, answer and correct identity checks.

use super::Kyc;
use crate::graphql::{
    core::{
        breadth::{Fetch, fetch},
        mutations::{Input, mutations, payload},
        scalars::Date,
    },
    people::users::inputs::{AddressInput, UserPatch},
};
use async_graphql::{ID, InputObject};
use domain::{
    compliance::kyc::{self, AnswerQuestions, CorrectKyc, Given, KycRef, StartKyc},
    kernel::ids,
    people::{
        applicants::NewUser,
        user_changes::{Change, PersonPatch},
    },
};
use entity::Kind;
use macros::breadth;

/// Input for kycStart.
#[derive(InputObject)]
pub struct KycStartInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// US phone number.
    phone: Option<String>,
    /// Social security number. Write-only.
    ssn: String,
    /// Date of birth. Write-only.
    birth_date: Date,
    /// Home address.
    address: AddressInput,
}

/// Answer to one question of an identity check.
#[derive(InputObject)]
pub struct KycGivenAnswerInput {
    /// Number of the question.
    question_id: i32,
    /// Number of the chosen answer.
    answer_id: i32,
}

/// Input for kycAnswer.
#[derive(InputObject)]
pub struct KycAnswerInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the identity check.
    kyc_id: ID,
    /// One answer to each question.
    answers: Vec<KycGivenAnswerInput>,
    /// Corrected given name; only needed if it was wrong.
    first_name: Option<String>,
    /// Corrected family name; only needed if it was wrong.
    last_name: Option<String>,
}

/// Input for kycCorrect.
#[derive(InputObject)]
pub struct KycCorrectInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the identity check.
    kyc_id: ID,
    /// Corrected data.
    patch: UserPatch,
}

payload!(
    /// Result of kycStart.
    KycStartPayload {
        /// The identity check. Null if the request was refused.
        kyc: Kyc
    }
);

payload!(
    /// Result of kycAnswer.
    KycAnswerPayload {
        /// The identity check. Null if the request was refused.
        kyc: Kyc
    }
);

payload!(
    /// Result of kycCorrect.
    KycCorrectPayload {
        /// The identity check. Null if the request was refused.
        kyc: Kyc
    }
);

impl Input for KycStartInput {
    type Command = StartKyc;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<StartKyc> {
        Ok(StartKyc(NewUser(PersonPatch {
            first_name: Some(self.first_name),
            last_name: Some(self.last_name),
            email: Some(self.email),
            phone: Change::set_if(self.phone),
            ssn: Some(self.ssn),
            birth_date: Some(self.birth_date.0),
            address: self.address.into(),
            ..PersonPatch::default()
        })))
    }
}

impl Input for KycAnswerInput {
    type Command = AnswerQuestions;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<AnswerQuestions> {
        let check = KycRef::Id(ids::parse(Kind::Kyc, &self.kyc_id));
        let given =
            |one: KycGivenAnswerInput| Given { question_id: one.question_id, answer_id: one.answer_id };
        let answers = self.answers.into_iter().map(given).collect();
        Ok(AnswerQuestions { check, answers, first_name: self.first_name, last_name: self.last_name })
    }
}

impl Input for KycCorrectInput {
    type Command = CorrectKyc;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<CorrectKyc> {
        let check = KycRef::Id(ids::parse(Kind::Kyc, &self.kyc_id));
        Ok(CorrectKyc { check, patch: self.patch.into() })
    }
}

#[derive(Default)]
pub struct KycQuery;

#[breadth]
impl KycQuery {
    /// Returns an identity check by its REST API token, or null if it was not found. Requires scope `read`.
    fn kyc_by_token(
        &self,
        #[graphql(desc = "Token of the identity check in the REST API.")] token: String,
    ) -> Fetch<Option<Kyc>> {
        fetch(move |view| {
            let token = token.clone();
            Box::pin(async move {
                let connection = view.loaders().connection().await?;
                Ok(kyc::find(&*connection, view.actor(), &token).await?.map(Kyc))
            })
        })
    }
}

mutations!(KycMutation {
    /// Checks the identity of a person who need not be a user. Requires scope `start` or `manage`.
    kyc_start(KycStartInput: "Input for kycStart.") -> KycStartPayload,

    /// Answers the questions of an identity check. They can be answered only once, before they expire.
    /// Requires scope `manage`.
    kyc_answer(KycAnswerInput: "Input for kycAnswer.") -> KycAnswerPayload,

    /// Corrects the data of an undecided identity check and checks it again. Requires scope `manage`.
    kyc_correct(KycCorrectInput: "Input for kycCorrect.") -> KycCorrectPayload,
});
