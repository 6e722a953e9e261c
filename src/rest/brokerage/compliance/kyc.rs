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
        Description::new("Check who a person is, who need not be a user.")
            .takes(users::FIELDS)
            .ruled(users::rules)
            .answers::<Settled>()
            .or_answers::<Unsettled>()
            .creates(),
    ),
    Route::get("/v1/kyc/{token}", |filter| on(filter, read)).described(
        Description::new("Look up an identity check.").answers::<Settled>().or_answers::<Unsettled>(),
    ),
    Route::patch("/v1/kyc/{token}", |filter| on(filter, amend)).described(
        Description::new(
            "Answer the questions of an identity check, or correct what it goes by while it is not decided.",
        )
        .takes(CHANGES)
        .ruled(rules)
        .answers::<Settled>()
        .or_answers::<Unsettled>(),
    ),
];

const CHANGES: &[Field] = &[
    Field::numbers(
        "answers",
        "An answer to each question, once; together with it the name alone may be corrected.",
        &["question_id", "answer_id"],
        &[&[1, 1], &[2, 5], &[3, 2], &[4, 1], &[5, 5]],
    )
    .optional(),
    Field::text("name_first", "Given name.", "Ada", forms::NAME).optional(),
    Field::text("name_last", "Family name.", "Carter", forms::NAME).optional(),
    Field::text("first_name", "The same as `name_first`.", "Ada", forms::NAME).optional().unshown(),
    Field::text("last_name", "The same as `name_last`.", "Carter", forms::NAME).optional().unshown(),
    Field::text("email_address", "E-mail address.", "ada.carter@example.com", forms::EMAIL)
        .optional()
        .unshown(),
    Field::text("phone_number", "Phone number in the United States.", "2025550107", forms::PHONE)
        .optional()
        .unshown(),
    Field::text("birth_date", "Day of birth; never sent back.", "1985-01-23", forms::DATE)
        .optional()
        .unshown(),
    Field::text("ssn_number", "Social security number; never sent back.", "123456789", forms::SSN)
        .optional()
        .unshown(),
    Field::text("address_line_1", "Street and number.", "123 Test St", forms::WORDS).optional().unshown(),
    Field::text("address_line_2", "Apartment or unit.", "Apt 2", forms::WORDS).optional().unshown(),
    Field::text("address_city", "City.", "Richmond", forms::WORDS).optional().unshown(),
    Field::text("address_state", "State or province, two letters in the United States.", "VA", forms::WORDS)
        .optional()
        .unshown(),
    Field::text("address_postal_code", "Postal code.", "23220", forms::WORDS).optional().unshown(),
    Field::code("address_country_code", "ISO 3166-1 code, two letters.", "US", forms::COUNTRY)
        .optional()
        .unshown(),
];

/// What may not be corrected together with answers.
const ALONE: [&str; 10] = [
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

/// What the fields of a correction must be together: answers with a name at most, or at least one field.
fn rules() -> Value {
    let left_out = json!({ "type": ["string", "null"], "pattern": r"^\s*$" });
    let alone: serde_json::Map<String, Value> =
        ALONE.iter().map(|name| ((*name).to_owned(), left_out.clone())).collect();
    let given = |field: &Field| match field.name {
        "answers" => json!({ "required": ["answers"], "properties": { "answers": { "type": "array" } } }),
        name => json!({ "required": [name], "properties": { name: { "type": "string", "pattern": r"\S" } } }),
    };
    let mut rules = vec![
        json!({ "anyOf": CHANGES.iter().map(given).collect::<Vec<_>>() }),
        json!({
            "if": { "required": ["answers"], "properties": { "answers": { "type": "array" } } },
            "then": { "properties": alone },
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
    let started = kyc::start(&app, &actor, key, StartKyc(new)).await?;
    told(&app, &actor, StatusCode::CREATED, &started)
}

async fn read(State(app): State<App>, actor: Caller, Id(token): Id) -> Result<Json<KycAnswerBody>> {
    let check = kyc::get_audited(&app, &actor, &token).await?.ok_or_else(|| Refusal::not_found("token"))?;
    Ok(Json(KycAnswerBody::of(&app, &actor, StatusCode::OK, &check)?))
}

async fn amend(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(token): Id,
    body: Body,
) -> Result<Response> {
    let check = KycRef::Token(token);
    let changed = match parse(&body).map_err(|error| command::unreadable::<AnswerQuestions>(&actor, error))? {
        (Some(answers), Patch { first_name, last_name, .. }) => {
            kyc::answer(&app, &actor, key, AnswerQuestions { check, answers, first_name, last_name }).await?
        }
        (None, patch) => kyc::correct(&app, &actor, key, CorrectKyc { check, patch }).await?,
    };
    told(&app, &actor, StatusCode::OK, &changed)
}

fn told(app: &App, actor: &Actor, status: StatusCode, check: &Answer<Model>) -> Result<Response> {
    let mut response = answer(check, &KycAnswerBody::of(app, actor, status, &check.value)?);
    *response.status_mut() = status;
    Ok(response)
}

/// The answers, and what is corrected; one of both is there.
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
        for field in ALONE {
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

/// A check as documented: what it came to, or what is missing yet.
#[derive(Serialize)]
#[serde(untagged)]
enum KycAnswerBody {
    Settled(Settled),
    Unsettled(Unsettled),
}

/// An identity check that waits for no answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Kyc)]
struct Settled {
    /// The status of this answer.
    #[schema(example = 201)]
    status_code: u16,
    /// What the check is called by.
    token: String,
    /// What it came to.
    data: Finding,
}

/// What an identity check came to.
#[derive(Serialize, ToSchema)]
#[schema(as = KycFinding)]
struct Finding {
    /// Always `success`.
    result: &'static str,
    /// From 0 to 1; 0.90 and more is approved. Null without a secret key.
    #[schema(value_type = Option<f64>, example = 0.99)]
    score: Option<Box<RawValue>>,
    /// What was found; empty without a secret key.
    tags: Vec<String>,
    /// `Approved`, `Manual Review` or `Denied`; always `Pending` for a publishable key.
    outcome: &'static str,
}

/// An identity check that waits for answers to its questions.
#[derive(Serialize, ToSchema)]
#[schema(as = KycQuestions)]
struct Unsettled {
    /// What the check is called by.
    token: String,
    /// What must be sent.
    required: [Wanted; 1],
    /// What may be sent besides.
    #[schema(value_type = Vec<Wanted>)]
    optional: [Wanted; 0],
    /// What it is to be made of.
    prompts: Prompts,
}

/// Something that must be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = KycWanted)]
struct Wanted {
    /// The field of the body.
    key: &'static str,
    /// What it holds.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What it is for.
    description: &'static str,
    /// The body, to be filled in.
    template: Template,
}

/// A body to be filled in.
#[derive(Serialize, ToSchema)]
#[schema(as = KycTemplate)]
struct Template {
    /// An answer to each question, once.
    answers: Vec<Slot>,
}

/// The place of one answer.
#[derive(Serialize, ToSchema)]
#[schema(as = KycSlot)]
struct Slot {
    /// Which question.
    question_id: i32,
    /// Which of its answers; 0 stands for none yet.
    answer_id: i32,
}

/// What a person is asked.
#[derive(Serialize, ToSchema)]
#[schema(as = KycPrompts)]
struct Prompts {
    /// What the answers are given to.
    answers: QuestionBody,
}

/// The questions of an identity check.
#[derive(Serialize, ToSchema)]
#[schema(as = KycAsked)]
struct QuestionBody {
    /// Five of them.
    questions: Vec<Question>,
}

/// A question.
#[derive(Serialize, ToSchema)]
#[schema(as = KycQuestion)]
struct Question {
    /// From 1 to 5.
    id: i32,
    /// The question itself.
    #[serde(rename = "question")]
    text: String,
    /// Five of them, the last for none of the others.
    answers: Vec<Choice>,
}

/// A possible answer.
#[derive(Serialize, ToSchema)]
#[schema(as = KycChoice)]
struct Choice {
    /// From 1 to 5.
    id: i32,
    /// The answer itself.
    answer: String,
}

impl KycAnswerBody {
    fn of(app: &App, actor: &Actor, status: StatusCode, check: &Model) -> domain::Result<Self> {
        let token = check.token.clone();
        if !actor.may_see_results() {
            let data = Finding { result: "success", score: None, tags: Vec::new(), outcome: "Pending" };
            return Ok(Self::Settled(Settled { status_code: status.as_u16(), token, data }));
        }
        let questions = questions::open(app, check)?;
        if !questions.is_empty() {
            return Ok(Self::Unsettled(Unsettled::of(token, questions)));
        }
        let (score, tags) = if actor.may_see_findings() {
            let score = Decimal::new(check.score.into(), 2).to_string();
            let score = RawValue::from_string(score).map_err(|_| Error::broken("a score is no number"))?;
            (Some(score), check.tags.lines().map(str::to_owned).collect())
        } else {
            (None, Vec::new())
        };
        let data = Finding { result: "success", score, tags, outcome: word(check.outcome) };
        Ok(Self::Settled(Settled { status_code: status.as_u16(), token, data }))
    }
}

impl Unsettled {
    fn of(token: String, prompts: Vec<kyc::Prompt>) -> Self {
        let wanted = Wanted {
            key: "answers",
            kind: "object",
            description: "Object containing answers to out of wallet question prompts.",
            template: Template {
                answers: prompts.iter().map(|prompt| Slot { question_id: prompt.id, answer_id: 0 }).collect(),
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
            required: [wanted],
            optional: [],
            prompts: Prompts { answers: QuestionBody { questions } },
        }
    }
}

/// The documented outcomes. A check that waits for answers tells its questions instead; once they can no
/// longer be answered, a reviewer looks.
const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approved => "Approved",
        Outcome::QuestionsRequired | Outcome::ManualReview => "Manual Review",
        Outcome::Denied => "Denied",
    }
}
