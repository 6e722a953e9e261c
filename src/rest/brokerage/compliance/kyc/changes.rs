//! Body of `PATCH /v1/kyc/{token}`: answers, or corrections.

use crate::rest::{
    brokerage::people::users,
    core::{
        bodies::{Names, RequestBody},
        deserializer::Wrong,
        forms::{Form, fields},
    },
};
use domain::{
    Refusal,
    compliance::kyc::{Given, questions},
    people::user_changes::{AddressChange, Change, PersonPatch},
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

fields! {
    /// One answer to each question. Only the name may be corrected in the same request.
    pub Answers(Vec<Given>) = AnswerList, EXAMPLE;
}

/// One answer to each question.
struct AnswerList;

const EXAMPLE: [Given; 5] = [
    Given { question_id: 1, answer_id: 1 },
    Given { question_id: 2, answer_id: 5 },
    Given { question_id: 3, answer_id: 2 },
    Given { question_id: 4, answer_id: 1 },
    Given { question_id: 5, answer_id: 5 },
];

impl Form for AnswerList {
    type Value = Vec<Given>;

    fn parse(&self, json: &str) -> Result<Vec<Given>, Wrong> {
        serde_json::from_str(json).map_err(|_| Wrong::Invalid(questions::malformed().text))
    }

    fn schema(&self) -> Value {
        let number = json!({ "type": "integer", "minimum": 1, "maximum": 5 });
        let answers = |question: i32| {
            json!({ "contains": { "required": ["question_id"],
                "properties": { "question_id": { "const": question } } } })
        };
        json!({
            "type": "array",
            "minItems": 5,
            "maxItems": 5,
            "items": { "type": "object", "required": ["question_id", "answer_id"],
                "properties": { "question_id": number, "answer_id": number } },
            "allOf": (1..=5).map(answers).collect::<Vec<_>>(),
        })
    }
}

/// Answers, or corrections.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "answers": EXAMPLE, "name_first": "Ada", "name_last": "Carter" }))]
pub struct KycChanges {
    answers: Option<Answers>,
    name_first: Option<users::FirstName>,
    name_last: Option<users::LastName>,
    /// Alternative name of `name_first`.
    first_name: Option<users::FirstName>,
    /// Alternative name of `name_last`.
    last_name: Option<users::LastName>,
    email_address: Option<users::Email>,
    phone_number: Option<users::Phone>,
    birth_date: Option<users::BirthDate>,
    ssn_number: Option<users::Ssn>,
    address_line_1: Option<users::Street>,
    address_line_2: Option<users::Unit>,
    address_city: Option<users::City>,
    address_state: Option<users::StateOrProvince>,
    address_postal_code: Option<users::PostalCode>,
    address_country_code: Option<users::Country>,
}

/// Fields that cannot be corrected together with answers.
const NOT_WITH_ANSWERS: [&str; 10] = [
    "email_address",
    "phone_number",
    "birth_date",
    "ssn_number",
    "address_line_1",
    "address_line_2",
    "address_city",
    "address_state",
    "address_postal_code",
    "address_country_code",
];

impl RequestBody for KycChanges {
    const NAMES: Names = users::NAMES;

    /// Answers with at most the name, or at least one other field.
    fn rules() -> Vec<Value> {
        let given = json!({ "type": "string", "pattern": r"\S" });
        let is_given = |name: &str| json!({ "required": [name], "properties": { name: given } });
        let has_answers =
            json!({ "required": ["answers"], "properties": { "answers": { "type": "array" } } });
        let names = ["name_first", "name_last", "first_name", "last_name"];
        let corrections = names.into_iter().chain(NOT_WITH_ANSWERS).map(is_given);
        let any: Vec<Value> = [has_answers.clone()].into_iter().chain(corrections).collect();
        let left_out = json!({ "type": ["string", "null"], "pattern": r"^\s*$" });
        let absent: serde_json::Map<String, Value> =
            NOT_WITH_ANSWERS.iter().map(|name| ((*name).to_owned(), left_out.clone())).collect();
        let not_both = |one: &str, other: &str| {
            let both = json!({ "required": [one, other], "properties": { one: given, other: given } });
            json!({ "not": both })
        };
        vec![
            json!({ "anyOf": any }),
            json!({ "if": has_answers, "then": { "properties": absent } }),
            not_both("name_first", "first_name"),
            not_both("name_last", "last_name"),
            users::rule_of_address(),
        ]
    }
}

impl KycChanges {
    /// Returns the answers and the corrections, at least one of which must be present.
    pub fn split(self) -> domain::Result<(Option<Vec<Given>>, PersonPatch)> {
        let patch = PersonPatch {
            first_name: either(("name_first", self.name_first), ("first_name", self.first_name))?,
            last_name: either(("name_last", self.name_last), ("last_name", self.last_name))?,
            email: self.email_address.map(Into::into),
            phone: Change::set_if(self.phone_number.map(Into::into)),
            ssn: self.ssn_number.map(Into::into),
            birth_date: self.birth_date.map(Into::into),
            address: AddressChange {
                line1: self.address_line_1.map(Into::into),
                line2: Change::set_if(self.address_line_2.map(Into::into)),
                city: self.address_city.map(Into::into),
                state: self.address_state.map(Into::into),
                postal_code: self.address_postal_code.map(Into::into),
                country_code: self.address_country_code.map(Into::into),
                first_country_code: None,
            },
            ..PersonPatch::default()
        };
        match self.answers {
            Some(answers) => {
                let address = &patch.address;
                let corrected = [
                    patch.email.as_ref(),
                    patch.phone.value(),
                    patch.birth_date.as_ref(),
                    patch.ssn.as_ref(),
                    address.line1.as_ref(),
                    address.line2.value(),
                    address.city.as_ref(),
                    address.state.as_ref(),
                    address.postal_code.as_ref(),
                    address.country_code.as_ref(),
                ];
                let other = NOT_WITH_ANSWERS.into_iter().zip(corrected).find(|(_, given)| given.is_some());
                match other {
                    Some((field, _)) => {
                        Err(Refusal::invalid(field, "cannot be corrected together with answers").into())
                    }
                    None => Ok((Some(answers.into()), patch)),
                }
            }
            None if patch.is_empty() => Err(Refusal::required("answers").into()),
            None => Ok((None, patch)),
        }
    }
}

/// Returns the value that was sent in one of two fields.
fn either<T: Into<String>>(
    (name, value): (&str, Option<T>),
    (other_name, other): (&str, Option<T>),
) -> domain::Result<Option<String>> {
    if value.is_some() && other.is_some() {
        return Err(Refusal::invalid(other_name, format!("cannot be combined with {name}")).into());
    }
    Ok(value.or(other).map(Into::into))
}
