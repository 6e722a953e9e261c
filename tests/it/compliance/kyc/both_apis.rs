//! Idempotency keys, identity checks through the GraphQL API, and checks of live partners.

use super::{ANSWERED, MALFORMED, answers, applicant, completed, refused, with};
use crate::support::{Options, TestApp, on_both, person, send};
use domain::providers::identity::BuiltIn;
use serde_json::{Value, json};
use std::sync::Arc;

on_both! {
    async fn a_request_with_an_idempotency_key_counts_once(app: TestApp) {
        let sent = applicant("Question");
        let start = || send(app.rest("POST", "/v1/kyc").header("idempotency-key", "start").json(&sent));
        let (one, two) = (start().await, start().await);
        assert_eq!(
            (one.status, two.status, &one.body, two.headers["idempotent-replayed"].to_str().unwrap()),
            (201, 201, &two.body, "true")
        );
        let token = one.body["token"].as_str().unwrap();
        let path = format!("/v1/kyc/{token}");
        let answer = |wrong| {
            let body = json!({ "answers": answers(&one.body, &sent, wrong) });
            send(app.rest("PATCH", &path).header("idempotency-key", "answer").json(&body))
        };
        let (first, again) = (answer(0).await, answer(0).await);
        assert_eq!(
            (first.status, again.status, &again.body),
            (200, 200, &completed(200, &json!(token), 0.99, "Approved"))
        );
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(answer(1).await.status, 409);
        assert_eq!(app.history().await.len(), 2);
    }

    async fn a_check_runs_through_graphql(app: TestApp) {
        let start = "mutation($input: KycStartInput!) { kycStart(input: $input) {
            kyc { id token score outcome tags user { id } questionsExpireAt requirements questions { \
            questionId text answers { answerId text } } }
            userErrors { code path message } } }";
        let started =
            app.gql(&start.replace(" user { id }", ""), json!({ "input": person("Ann", "Question") })).await;
        let started = started.entity("kycStart", "kyc").clone();
        let questions = started["questions"].as_array().unwrap();
        assert_eq!(questions.len(), 5);
        assert_eq!(
            started,
            json!({
                "id": started["id"], "token": started["token"], "score": "0.75",
                "outcome": "QUESTIONS_REQUIRED",
                "tags": ["Address Match", "Phone Match"], "questionsExpireAt": "2026-07-09T16:15:00Z",
                "requirements": ["ANSWERS"],
                "questions": questions,
            })
        );
        let by_token = "query($token: String!) { kycByToken(token: $token) { id outcome user { id } } }";
        let found = app.gql(by_token, json!({ "token": started["token"] })).await;
        assert_eq!(
            found.data()["kycByToken"],
            json!({ "id": started["id"], "outcome": "QUESTIONS_REQUIRED", "user": null })
        );
        assert_eq!(
            app.gql(by_token, json!({ "token": "S-unknown" })).await.data()["kycByToken"],
            Value::Null
        );

        let mut rest_body: Value = serde_json::from_str(
            &json!({ "prompts": { "answers": { "questions": questions } } })
                .to_string()
                .replace("questionId", "id")
                .replace("answerId", "id")
                .replace("\"text\"", "\"answer\""),
        )
        .unwrap();
        for question in rest_body["prompts"]["answers"]["questions"].as_array_mut().unwrap() {
            question["question"] = question["answer"].clone();
        }
        let sent = with(
            with(applicant("Question"), "phone_number", "2025550107"),
            "email_address",
            "ada.carter@example.com",
        );
        let given: Vec<Value> = answers(&rest_body, &sent, 0)
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!({ "questionId": one["question_id"], "answerId": one["answer_id"] }))
            .collect();
        let answer = "mutation($input: KycAnswerInput!) { kycAnswer(input: $input) {
            kyc { token score outcome questions { text } requirements checks { check isPassed part } } \
            userErrors { code path message } } }";
        let short =
            app.gql(answer, json!({ "input": { "kycId": started["id"], "answers": &given[..4] } })).await;
        assert_eq!(
            *short.user_error("kycAnswer"),
            json!({ "code": "INVALID", "path": ["answers"], "message": MALFORMED })
        );
        let input = json!({ "idempotencyKey": "k", "kycId": started["id"], "answers": given });
        let (one, two) = (
            app.gql(answer, json!({ "input": input })).await,
            app.gql(answer, json!({ "input": input })).await,
        );
        assert_eq!(one.body, two.body);
        let answered = one.entity("kycAnswer", "kyc");
        let checks = answered["checks"].as_array().unwrap();
        assert_eq!(checks.last(), Some(&json!({ "check": "ANSWERS", "isPassed": true, "part": "0.30" })));
        assert_eq!(
            answered,
            &json!({ "token": started["token"], "score": "0.99", "outcome": "APPROVED", "questions": [],
                "requirements": [], "checks": checks })
        );
        let late = app.gql(answer, json!({ "input": { "kycId": started["id"], "answers": given } })).await;
        assert_eq!(
            *late.user_error("kycAnswer"),
            json!({ "code": "KYC_ANSWERED", "path": null, "message": ANSWERED })
        );

        let future = json!({ "input": with(person("Ann", "Doe"), "birthDate", "2026-07-10") });
        let future = app.gql(start, future).await;
        assert_eq!(
            *future.user_error("kycStart"),
            json!({ "code": "INVALID", "path": ["birthDate"],
                "message": "birthDate must not be in the future" })
        );
        let pending = "mutation { userCreate(input: { firstName: \"Pat\", lastName: \"Pending\", email: \
            \"pat@example.com\" }) {
            user { status kyc { id } kycHistory { edges { node { id } } } } userErrors { message } } }";
        let pending = app.gql(pending, json!({})).await;
        assert_eq!(
            pending.entity("userCreate", "user"),
            &json!({ "status": "PENDING", "kyc": null, "kycHistory": { "edges": [] } })
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_user_who_failed_the_questions_gets_no_new_ones() {
    let mut options = Options::default();
    options.providers.live_identity = Some(Arc::new(BuiltIn));
    for app in TestApp::each_with(options).await {
        let key = app.live_key().await;
        let request = |method: &str, path: &str, body: &Value| {
            send(app.anonymous(method, path).bearer_auth(&key).json(body))
        };
        // The address abroad causes the score of 0.79; for a live partner the last name has no effect.
        let mut sent =
            with(with(applicant("Denied"), "address_country_code", "GB"), "address_postal_code", "SW1A 1AA");
        sent["address_city"] = json!("Leeds");
        let check = request("POST", "/v1/kyc", &sent).await;
        let token = check.body["token"].as_str().unwrap().to_owned();
        let failed = request(
            "PATCH",
            &format!("/v1/kyc/{token}"),
            &json!({ "answers": answers(&check.body, &sent, 2) }),
        )
        .await;
        let data = |score: f64| {
            json!({ "result": "success", "score": score, "tags": ["Phone Match"],
            "outcome": "Manual Review" })
        };
        assert_eq!((failed.status, &failed.body["data"]), (200, &data(0.49)));
        let again = request("POST", "/v1/kyc", &sent).await;
        assert_eq!((again.status, &again.body["data"]), (201, &data(0.79)));
        let another_user = request("POST", "/v1/kyc", &with(sent, "ssn_number", "223456789")).await;
        assert!(another_user.body["prompts"].is_object(), "{}", another_user.body);
    }
    let app = TestApp::sqlite().await;
    let key = app.live_key().await;
    let unconfigured = send(app.anonymous("POST", "/v1/kyc").bearer_auth(&key).json(&applicant("Doe"))).await;
    refused(
        &unconfigured,
        503,
        "api_connection",
        "No identity check provider is configured for live partners.",
    );
    assert_eq!(unconfigured.headers["retry-after"], "5");
}
