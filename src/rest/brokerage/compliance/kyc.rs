//! `/v1/kyc`.

mod changes;

use crate::rest::{
    brokerage::people::users::NewPerson,
    core::{
        answers::answer,
        bodies::Body,
        described::Description,
        errors::{Problem, Result},
        requests::{Caller, Id, KeyHeader},
        routes::Route,
    },
};
use axum::{Json, extract::State, http::StatusCode, response::Response, routing::on};
use changes::KycChanges;
use domain::{
    Actor, Error, Refusal,
    app::App,
    compliance::kyc::{self, AnswerQuestions, CorrectKyc, KycRef, StartKyc, questions},
    kernel::command::{self, Answer},
    people::user_changes::PersonPatch,
};
use entity::kyc::{Model, Outcome};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/kyc", |filter| on(filter, create)).described(
        Description::new("Start an identity check. The person need not be a user.")
            .takes::<NewPerson>()
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
        .takes::<KycChanges>()
        .answers::<KycResult>()
        .or_answers::<KycQuestions>(),
    ),
];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewPerson>,
) -> Result<Response> {
    let started = body.execute(&app, &actor, key, |new| StartKyc(new.into())).await?;
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
    body: Body<KycChanges>,
) -> Result<Response> {
    let check = KycRef::Token(token);
    let changed = match body.and_then(KycChanges::split).permitted::<AnswerQuestions>(&actor)? {
        (Some(answers), PersonPatch { first_name, last_name, .. }) => {
            let answering = AnswerQuestions { check, answers, first_name, last_name };
            command::execute(&app, &actor, key, answering).await
        }
        (None, patch) => command::execute(&app, &actor, key, CorrectKyc { check, patch }).await,
    };
    respond(&app, &actor, StatusCode::OK, &changed.map_err(Problem::in_body::<KycChanges>)?)
}

fn respond(app: &App, actor: &Actor, status: StatusCode, check: &Answer<Model>) -> Result<Response> {
    let mut response = answer(check, &KycBody::of(app, actor, status, &check.value)?);
    *response.status_mut() = status;
    Ok(response)
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
