//! GraphQL operations that find, start, answer and correct identity checks.

use super::Kyc;
use crate::graphql::{
    core::{
        breadth::{Fetch, fetch},
        ids::IdOf,
        scalars::Date,
    },
    people::users::inputs::{AddressInput, UserPatch},
};
use async_graphql::InputObject;
use domain::{
    compliance::kyc::{self, AnswerQuestions, CorrectKyc, Given, KycRef, StartKyc},
    people::{
        applicants::NewUser,
        user_changes::{Change, PersonPatch},
    },
};
use macros::{breadth, mutations};

/// Answer to one question of an identity check.
#[derive(InputObject)]
pub struct KycGivenAnswerInput {
    /// Number of the question.
    question_id: i32,
    /// Number of the chosen answer.
    answer_id: i32,
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

#[mutations]
impl KycMutation {
    /// Checks the identity of a person who need not be a user. Requires scope `start` or `manage`.
    #[answers(kyc: Kyc = "The identity check. Null if the request was refused.")]
    fn kyc_start(
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
    ) -> StartKyc {
        StartKyc(NewUser(PersonPatch {
            first_name: Some(first_name),
            last_name: Some(last_name),
            email: Some(email),
            phone: Change::set_if(phone),
            ssn: Some(ssn),
            birth_date: Some(birth_date.0),
            address: address.into(),
            ..PersonPatch::default()
        }))
    }

    /// Answers the questions of an identity check. They can be answered only once, before they expire.
    /// Requires scope `manage`.
    #[answers(kyc: Kyc = "The identity check. Null if the request was refused.")]
    fn kyc_answer(
        /// Id of the identity check.
        kyc_id: IdOf<Kyc>,
        /// One answer to each question.
        answers: Vec<KycGivenAnswerInput>,
        /// Corrected given name; only needed if it was wrong.
        first_name: Option<String>,
        /// Corrected family name; only needed if it was wrong.
        last_name: Option<String>,
    ) -> AnswerQuestions {
        let check = KycRef::Id(kyc_id.into());
        let given =
            |one: KycGivenAnswerInput| Given { question_id: one.question_id, answer_id: one.answer_id };
        let answers = answers.into_iter().map(given).collect();
        AnswerQuestions { check, answers, first_name, last_name }
    }

    /// Corrects the data of an undecided identity check and checks it again. Requires scope `manage`.
    #[answers(kyc: Kyc = "The identity check. Null if the request was refused.")]
    fn kyc_correct(
        /// Id of the identity check.
        kyc_id: IdOf<Kyc>,
        /// Corrected data.
        patch: UserPatch,
    ) -> CorrectKyc {
        let check = KycRef::Id(kyc_id.into());
        CorrectKyc { check, patch: patch.into() }
    }
}
