//! `/v1/kyc`.

use crate::rest::{
    brokerage::people::users,
    core::{
        answers::answer,
        bodies::Body,
        described::{Description, Field},
        errors::Result,
        forms,
        requests::{Caller, Id, KeyHeader},
        routes::Route,
    },
};
use axum::{Json, extract::State, http::StatusCode, response::Response, routing::on};
use domain::{
    Actor, Error, Refusal,
    app::App,
    compliance::kyc::{
        self, AnswerQuestions, CorrectKyc, Given, KycRef, Patch, PatchedAddress, StartKyc, questions,
    },
    kernel::command::{self, Answer},
};
use entity::kyc::{Model, Outcome};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use utoipa::ToSchema;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/kyc", |filter| on(filter, create)).described(
        Description::new("Start an identity check. The person need not be a user.")
            .takes(users::FIELDS)
            .ruled(users::rules)
            .answers::<KycResult>()
            .or_answers::<KycQuestions>()
            .creates(),
    ),
    Route::get("/v1/kyc/{token}", |filter| on(filter, read)).described(
        Description::new("Get an identity check.").answers::<KycResult>().or_answers::<KycQuestions>(),
    ),
    Route::patch("/v1/kyc/{token}", |filter| on(filter, update)).described(
        Description::new(
            "Answer the questions of an identity check, or correct its data before it is decided.",
        )
        .takes(CHANGES)
        .ruled(rules)
        .answers::<KycResult>()
        .or_answers::<KycQuestions>(),
    ),
];

const CHANGES: &[Field] = &[
    Field::numbers(
        "answers",
        "One answer to each question. Only the name may be corrected in the same request.",
        &["question_id", "answer_id"],
        &[&[1, 1], &[2, 5], &[3, 2], &[4, 1], &[5, 5]],
    )
    .optional(),
    Field::text("name_first", "Given name.", "Ada", forms::NAME).optional(),
    Field::text("name_last", "Family name.", "Carter", forms::NAME).optional(),
    Field::text("first_name", "Alternative name of `name_first`.", "Ada", forms::NAME).optional().unshown(),
    Field::text("last_name", "Alternative name of `name_last`.", "Carter", forms::NAME).optional().unshown(),
    Field::text("email_address", "E-mail address.", "ada.carter@example.com", forms::EMAIL)
        .optional()
        .unshown(),
    Field::text("phone_number", "US phone number.", "2025550107", forms::PHONE).optional().unshown(),
    Field::text("birth_date", "Date of birth. Never returned.", "1985-01-23", forms::DATE)
        .optional()
        .unshown(),
    Field::text("ssn_number", "Social security number. Never returned.", "123456789", forms::SSN)
        .optional()
        .unshown(),
    Field::text("address_line_1", "Street and number.", "123 Test St", forms::WORDS).optional().unshown(),
    Field::text("address_line_2", "Apartment or unit.", "Apt 2", forms::WORDS).optional().unshown(),
    Field::text("address_city", "City.", "Richmond", forms::WORDS).optional().unshown(),
    Field::text(
        "address_state",
        "State or province. Two-letter code in the United States.",
        "VA",
        forms::WORDS,
    )
    .optional()
    .unshown(),
    Field::text("address_postal_code", "Postal code.", "23220", forms::WORDS).optional().unshown(),
    Field::code(
        "address_country_code",
        "Two-letter country code (ISO 3166-1 alpha-2).",
        "US",
        forms::COUNTRY,
    )
    .optional()
    .unshown(),
];

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

/// Schemas that the body must match: answers with at most the name, or at least one other field.
fn rules() -> Value {
    let left_out = json!({ "type": ["string", "null"], "pattern": r"^\s*$" });
    let absent: serde_json::Map<String, Value> =
        NOT_WITH_ANSWERS.iter().map(|name| ((*name).to_owned(), left_out.clone())).collect();
    let given = |field: &Field| match field.name {
        "answers" => json!({ "required": ["answers"], "properties": { "answers": { "type": "array" } } }),
        name => json!({ "required": [name], "properties": { name: { "type": "string", "pattern": r"\S" } } }),
    };
    let mut rules = vec![
        json!({ "anyOf": CHANGES.iter().map(given).collect::<Vec<_>>() }),
        json!({
            "if": { "required": ["answers"], "properties": { "answers": { "type": "array" } } },
            "then": { "properties": absent },
        }),
    ];
    for (one, other) in [("name_first", "first_name"), ("name_last", "last_name")] {
        let given = json!({ "type": "string", "pattern": r"\S" });
        rules
            .push(json!({ "not": { "required": [one, other], "properties": { one: given, other: given } } }));
    }
    if let Value::Array(address) = users::rules() {
        rules.extend(address);
    }
    json!(rules)
}

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body,
) -> Result<Response> {
    let new = users::parse(&body).map_err(|error| command::unreadable::<StartKyc>(&actor, error))?;
    let started = command::execute(&app, &actor, key, StartKyc(new)).await?;
    respond(&app, &actor, StatusCode::CREATED, &started)
}

async fn read(State(app): State<App>, actor: Caller, Id(token): Id) -> Result<Json<KycBody>> {
    let check = kyc::get_audited(&app, &actor, &token).await?.ok_or_else(|| Refusal::not_found("token"))?;
    Ok(Json(KycBody::of(&app, &actor, StatusCode::OK, &check)?))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(token): Id,
    body: Body,
) -> Result<Response> {
    let check = KycRef::Token(token);
    let changed = match parse(&body).map_err(|error| command::unreadable::<AnswerQuestions>(&actor, error))? {
        (Some(answers), Patch { first_name, last_name, .. }) => {
            command::execute(&app, &actor, key, AnswerQuestions { check, answers, first_name, last_name })
                .await?
        }
        (None, patch) => command::execute(&app, &actor, key, CorrectKyc { check, patch }).await?,
    };
    respond(&app, &actor, StatusCode::OK, &changed)
}

fn respond(app: &App, actor: &Actor, status: StatusCode, check: &Answer<Model>) -> Result<Response> {
    let mut response = answer(check, &KycBody::of(app, actor, status, &check.value)?);
    *response.status_mut() = status;
    Ok(response)
}

/// Reads the answers and the corrections, at least one of which must be present.
fn parse(body: &Body) -> domain::Result<(Option<Vec<Given>>, Patch)> {
    body.fits(CHANGES)?;
    let either = |one, other| match (body.optional_text(one)?, body.optional_text(other)?) {
        (Some(_), Some(_)) => {
            Err(Error::from(Refusal::invalid(other, format!("cannot be combined with {one}"))))
        }
        (given, also) => Ok(given.or(also)),
    };
    let text = |field| body.optional_text(field);
    let answers = body.optional_parts("answers", questions::malformed)?;
    if answers.is_some() {
        for field in NOT_WITH_ANSWERS {
            if text(field)?.is_some() {
                return Err(Refusal::invalid(field, "cannot be corrected together with answers").into());
            }
        }
    }
    let patch = Patch {
        first_name: either("name_first", "first_name")?,
        last_name: either("name_last", "last_name")?,
        email: text("email_address")?,
        phone: text("phone_number")?,
        ssn: text("ssn_number")?,
        birth_date: text("birth_date")?,
        address: PatchedAddress {
            line1: text("address_line_1")?,
            line2: text("address_line_2")?,
            city: text("address_city")?,
            state: text("address_state")?,
            postal_code: text("address_postal_code")?,
            country_code: text("address_country_code")?,
        },
    };
    if answers.is_none() && patch.is_empty() {
        return Err(Refusal::required("answers").into());
    }
    Ok((answers, patch))
}

/// Response to an identity check: its result, or the questions to answer.
#[derive(Serialize)]
#[serde(untagged)]
enum KycBody {
    Result(KycResult),
    Questions(KycQuestions),
}

/// Identity check without open questions.
#[derive(Serialize, ToSchema)]
#[schema(as = Kyc)]
struct KycResult {
    /// HTTP status of this response.
    #[schema(example = 201)]
    status_code: u16,
    /// Token of the identity check.
    token: String,
    /// Result of the check.
    data: ResultData,
}

/// Result of an identity check.
#[derive(Serialize, ToSchema)]
#[schema(as = KycResultData)]
struct ResultData {
    /// Always `success`.
    result: &'static str,
    /// Score from 0 to 1; 0.90 or more is approved. Null unless the caller uses a secret API key.
    #[schema(value_type = Option<f64>, example = 0.99)]
    score: Option<Box<RawValue>>,
    /// Findings of the check. Empty unless the caller uses a secret API key.
    tags: Vec<String>,
    /// `Approved`, `Manual Review` or `Denied`. Always `Pending` for a publishable API key.
    outcome: &'static str,
}

/// Identity check with questions to answer.
#[derive(Serialize, ToSchema)]
#[schema(as = KycQuestions)]
struct KycQuestions {
    /// Token of the identity check.
    token: String,
    /// Fields that must be sent.
    required: [RequiredField; 1],
    /// Fields that may be sent. Always empty.
    #[schema(value_type = Vec<RequiredField>)]
    optional: [RequiredField; 0],
    /// Questions to answer.
    prompts: Prompts,
}

/// Field that must be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = KycRequiredField)]
struct RequiredField {
    /// Name of the field.
    key: &'static str,
    /// Type of the field.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Description of the field.
    description: &'static str,
    /// Template for the request body.
    template: Template,
}

/// Template for the request body.
#[derive(Serialize, ToSchema)]
#[schema(as = KycTemplate)]
struct Template {
    /// One entry for each question.
    answers: Vec<TemplateAnswer>,
}

/// Placeholder for one answer.
#[derive(Serialize, ToSchema)]
#[schema(as = KycTemplateAnswer)]
struct TemplateAnswer {
    /// Id of the question.
    question_id: i32,
    /// Id of the chosen answer; 0 in the template.
    answer_id: i32,
}

/// Questions, under the request field that answers them.
#[derive(Serialize, ToSchema)]
#[schema(as = KycPrompts)]
struct Prompts {
    /// Questions for the field `answers`.
    answers: QuestionList,
}

/// Questions of an identity check.
#[derive(Serialize, ToSchema)]
#[schema(as = KycQuestionList)]
struct QuestionList {
    /// Five questions.
    questions: Vec<Question>,
}

/// Question with possible answers.
#[derive(Serialize, ToSchema)]
#[schema(as = KycQuestion)]
struct Question {
    /// Number from 1 to 5.
    id: i32,
    /// Text of the question.
    #[serde(rename = "question")]
    text: String,
    /// Five possible answers; the last one means that none of the others is right.
    answers: Vec<Choice>,
}

/// Possible answer.
#[derive(Serialize, ToSchema)]
#[schema(as = KycChoice)]
struct Choice {
    /// Number from 1 to 5.
    id: i32,
    /// Text of the answer.
    answer: String,
}

impl KycBody {
    fn of(app: &App, actor: &Actor, status: StatusCode, check: &Model) -> domain::Result<Self> {
        let token = check.token.clone();
        if !actor.may_see_results() {
            let data = ResultData { result: "success", score: None, tags: Vec::new(), outcome: "Pending" };
            return Ok(Self::Result(KycResult { status_code: status.as_u16(), token, data }));
        }
        let questions = questions::open(app, check)?;
        if !questions.is_empty() {
            return Ok(Self::Questions(KycQuestions::of(token, questions)));
        }
        let (score, tags) = if actor.may_see_findings() {
            let score = Decimal::new(check.score.into(), 2).to_string();
            let score = RawValue::from_string(score).map_err(|_| Error::broken("a score is not a number"))?;
            (Some(score), check.tags.lines().map(str::to_owned).collect())
        } else {
            (None, Vec::new())
        };
        let data = ResultData { result: "success", score, tags, outcome: word(check.outcome) };
        Ok(Self::Result(KycResult { status_code: status.as_u16(), token, data }))
    }
}

impl KycQuestions {
    fn of(token: String, prompts: Vec<kyc::Prompt>) -> Self {
        let answers = RequiredField {
            key: "answers",
            kind: "object",
            description: "Object containing answers to out of wallet question prompts.",
            template: Template {
                answers: prompts
                    .iter()
                    .map(|prompt| TemplateAnswer { question_id: prompt.id, answer_id: 0 })
                    .collect(),
            },
        };
        let question = |prompt: kyc::Prompt| Question {
            id: prompt.id,
            text: prompt.text,
            answers: prompt.answers.into_iter().map(|(id, answer)| Choice { id, answer }).collect(),
        };
        let questions = prompts.into_iter().map(question).collect();
        Self {
            token,
            required: [answers],
            optional: [],
            prompts: Prompts { answers: QuestionList { questions } },
        }
    }
}

/// Returns the documented outcome. A check with open questions returns the questions instead; if they can no
/// longer be answered, it goes to manual review.
const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approved => "Approved",
        Outcome::QuestionsRequired | Outcome::ManualReview => "Manual Review",
        Outcome::Denied => "Denied",
    }
}
