//! Identity checks without a user: start, questions, answers, corrections and expiry.

mod both_apis;
mod corrections;

use crate::support::{Answer, TestApp, on_both, send};
use chrono::{Datelike, NaiveDate};
use entity::{audit_log, event, kyc};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Returns the documented request with this last name.
fn applicant(last_name: &str) -> Value {
    json!({
        "phone_number": "18042562188", "first_name": "John", "last_name": last_name,
        "email_address": "johndoe@finos.com",
        "birth_date": "1985-01-23", "ssn_number": "123456789", "address_line_1": "123 Test St",
        "address_city": "Richmond",
        "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
    })
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

/// Returns the right_answer answer to a question, derived from the submitted data.
fn right_answer(question: &str, sent: &Value) -> String {
    let text = |field: &str| sent[field].as_str().unwrap().to_owned();
    let born: NaiveDate = text("birth_date").parse().unwrap();
    let phone = || {
        text("phone_number").chars().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<String>()
    };
    match question {
        "What state was your SSN issued in?" => match &text("ssn_number")[..3] {
            "123" => "New York".to_owned(),
            "223" => "Virginia".to_owned(),
            area => panic!("unexpected area {area}"),
        },
        "In which month were you born?" => born.format("%B").to_string(),
        "On which day of the week were you born?" => born.format("%A").to_string(),
        "On which day of the month is your birthday?" => born.day().to_string(),
        "In which year is your 18th birthday?" => (born.year() + 18).to_string(),
        "What is the domain of your e-mail address?" => {
            text("email_address").split_once('@').unwrap().1.to_owned()
        }
        "In which city do you live?" => text("address_city"),
        "In which state do you live?" => match text("address_state").as_str() {
            "VA" => "Virginia".to_owned(),
            "MD" => "Maryland".to_owned(),
            state => panic!("unexpected state {state}"),
        },
        "What is the ZIP code of your address?" => text("address_postal_code"),
        "What is the number of your house?" => text("address_line_1").split_once(' ').unwrap().0.to_owned(),
        "On which street do you live?" => text("address_line_1").split_once(' ').unwrap().1.to_owned(),
        "What is the area code of your phone number?" => phone()[..3].to_owned(),
        "What are the last four digits of your phone number?" => phone()[6..].to_owned(),
        other => panic!("unexpected question {other}"),
    }
}

/// Returns answers to the questions of a REST body, with the first `wrong` of them wrong.
fn answers(check: &Value, sent: &Value, wrong: usize) -> Value {
    let questions = check["prompts"]["answers"]["questions"].as_array().unwrap_or_else(|| panic!("{check}"));
    let answer = |(index, question): (usize, &Value)| {
        let right = right_answer(question["question"].as_str().unwrap(), sent);
        let options = question["answers"].as_array().unwrap();
        let option = options.iter().find(|option| option["answer"] == json!(right)).unwrap_or(&options[4]);
        let id = option["id"].as_i64().unwrap();
        json!({ "question_id": question["id"], "answer_id": if index < wrong { id % 5 + 1 } else { id } })
    };
    questions.iter().enumerate().map(answer).collect()
}

fn completed(status: u16, token: &Value, score: f64, outcome: &str) -> Value {
    json!({
        "status_code": status, "token": token,
        "data": { "result": "success", "score": score, "tags": ["Address Match", "Phone Match"], "outcome": outcome },
    })
}

#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str, message: &str) {
    let expected = json!({ "error": { "type": kind, "message": message } });
    assert_eq!((answer.status, &answer.body), (status, &expected));
}

const ANSWERED: &str = "The questions of this identity check have already been answered.";
const EXPIRED: &str = "The time to answer the questions of this identity check has expired.";
const NOT_OPEN: &str = "This identity check is not waiting for answers.";
const MALFORMED: &str = "answers must contain exactly one answer (1 to 5) for each question (1 to 5)";
const UNKNOWN: &str = "token was not found";

impl TestApp {
    /// Starts a check that gets questions; returns its token and the response body.
    async fn start_with_questions(&self, sent: &Value) -> (String, Value) {
        let check = self.post("/v1/kyc", sent.clone()).await;
        assert_eq!(check.status, 201, "{}", check.body);
        let token = check.body["token"].as_str().unwrap().to_owned();
        assert!(check.body["prompts"].is_object(), "{}", check.body);
        (token, check.body)
    }

    async fn patch(&self, token: &str, body: Value) -> Answer {
        send(self.rest("PATCH", &format!("/v1/kyc/{token}")).json(&body)).await
    }

    /// Returns every event of checks and users in order: its type, and the new status of the check or the
    /// user.
    async fn history(&self) -> Vec<Value> {
        let rows = event::Entity::find()
            .filter(event::Column::PartnerId.eq(self.partner.id))
            .order_by_asc(event::Column::Id);
        let mut history = Vec::new();
        for event in rows.all(&self.app.db.read).await.unwrap() {
            if event.kind.starts_with("kyc.") || event.kind.starts_with("user.") {
                let payload: Value = serde_json::from_str(&event.payload).unwrap();
                history.push(json!([event.kind, payload["status"].as_str().unwrap().to_uppercase()]));
            }
        }
        history
    }
}

on_both! {
    async fn a_check_is_created_and_read_as_documented(app: TestApp) {
        let created = app.rest("POST", "/v1/kyc").json(&applicant("Doe")).send().await.unwrap();
        let (status, text) = (created.status().as_u16(), created.text().await.unwrap());
        let body: Value = serde_json::from_str(&text).unwrap();
        let token = body["token"].as_str().unwrap().to_owned();
        let rest = token.strip_prefix("S-").unwrap();
        assert!(rest.len() == 20 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
        assert_eq!((status, &body), (201, &completed(201, &body["token"], 0.99, "Approved")));
        assert!(text.contains("\"score\":0.99,"), "{text}");
        for path in [format!("/v1/kyc/{token}"), format!("/v1/kyc/{token}/")] {
            let read = app.get(&path).await;
            assert_eq!((read.status, read.body), (200, completed(200, &json!(token), 0.99, "Approved")));
        }
        for (last_name, score, outcome) in [("Review", 0.45, "Manual Review"), ("Denied", 0.1, "Denied")] {
            let created = send(app.rest("POST", "/v1/kyc/").json(&applicant(last_name))).await;
            assert_eq!(
                (created.status, &created.body),
                (201, &completed(201, &created.body["token"], score, outcome))
            );
        }
        let lookups = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("kyc.read"));
        assert_eq!(lookups.count(&app.app.db.read).await.unwrap(), 2);
        assert_eq!(
            app.history().await,
            [
                json!(["kyc.created", "APPROVED"]),
                json!(["kyc.created", "MANUAL_REVIEW"]),
                json!(["kyc.created", "DENIED"])
            ]
        );
        let users = app.gql("{ users { edges { node { id } } } }", json!({})).await;
        assert_eq!(users.data()["users"]["edges"], json!([]), "a check alone does not create a user");
    }

    async fn questions_are_returned_as_documented_without_the_right_answers(app: TestApp) {
        let (token, check) = app.start_with_questions(&applicant("Question")).await;
        let template: Vec<Value> = (1..=5).map(|id| json!({ "question_id": id, "answer_id": 0 })).collect();
        let questions = check["prompts"]["answers"]["questions"].as_array().unwrap();
        assert_eq!(
            check,
            json!({
                "token": token,
                "required": [{
                    "key": "answers", "type": "object",
                    "description": "Object containing answers to out of wallet question prompts.",
                    "template": { "answers": template },
                }],
                "optional": [],
                "prompts": { "answers": { "questions": questions } },
            })
        );
        assert_eq!(questions[0]["question"], "What state was your SSN issued in?");
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for (place, question) in (1..).zip(questions) {
            assert_eq!(
                (names(question), &question["id"]),
                (vec!["answers".to_owned(), "id".to_owned(), "question".to_owned()], &json!(place))
            );
            let options = question["answers"].as_array().unwrap();
            assert!(options.iter().all(|option| names(option) == ["answer", "id"]));
            assert_eq!(
                options.iter().map(|option| option["id"].as_i64().unwrap()).collect::<Vec<_>>(),
                [1, 2, 3, 4, 5]
            );
            assert_eq!(
                options
                    .iter()
                    .map(|option| option["answer"].as_str().unwrap())
                    .collect::<BTreeSet<_>>()
                    .len(),
                5
            );
            assert_eq!(options[4]["answer"], "None Of The Above");
        }
        let texts: BTreeSet<&str> =
            questions.iter().map(|question| question["question"].as_str().unwrap()).collect();
        assert_eq!(texts.len(), 5);
        let stored = kyc::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        let sealed = String::from_utf8_lossy(stored.questions.as_ref().unwrap()).into_owned();
        assert!(!sealed.contains("SSN") && !sealed.contains("right"), "questions are stored encrypted");
        let created = event::Entity::find()
            .filter(event::Column::StreamId.eq(stored.id))
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let payload: Value = serde_json::from_str(&created.payload).unwrap();
        assert_eq!(
            payload,
            json!({ "id": stored.id, "token": token, "user_id": null, "status": "questions_required" })
        );
        for _ in 0..3 {
            assert_eq!(
                app.get(&format!("/v1/kyc/{token}")).await.body,
                check,
                "the questions of a check never change"
            );
        }
        assert_ne!(app.start_with_questions(&applicant("Question")).await.1["prompts"], check["prompts"]);
    }

    async fn four_right_answers_of_five_pass(app: TestApp) {
        for wrong in [0, 1] {
            let sent = applicant("Question");
            let (token, check) = app.start_with_questions(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&check, &sent, wrong) })).await;
            assert_eq!(
                (answered.status, answered.body),
                (200, completed(200, &json!(token), 0.99, "Approved"))
            );
            refused(
                &app.patch(&token, json!({ "answers": answers(&check, &sent, 0) })).await,
                402,
                "invalid_request",
                ANSWERED,
            );
            assert_eq!(
                app.get(&format!("/v1/kyc/{token}")).await.body,
                completed(200, &json!(token), 0.99, "Approved")
            );
        }
        let events = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "APPROVED"])];
        assert_eq!(app.history().await, [events.clone(), events].concat());
    }

    async fn fewer_right_answers_require_a_review(app: TestApp) {
        for wrong in [2, 5] {
            let sent = applicant("Question");
            let (token, check) = app.start_with_questions(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&check, &sent, wrong) })).await;
            assert_eq!(
                (answered.status, answered.body),
                (200, completed(200, &json!(token), 0.45, "Manual Review"))
            );
            refused(
                &app.patch(&token, json!({ "answers": answers(&check, &sent, 0) })).await,
                402,
                "invalid_request",
                ANSWERED,
            );
        }
        let events = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "MANUAL_REVIEW"])];
        assert_eq!(app.history().await, [events.clone(), events].concat());
    }

    async fn answers_change_the_status_of_the_user(app: TestApp) {
        let mut created = Vec::new();
        for (wrong, ssn, score, outcome) in
            [(0, "123456789", 0.99, "Approved"), (3, "223456789", 0.69, "Manual Review")]
        {
            let sent = with(applicant("Question"), "ssn_number", ssn);
            let user = app.post("/v1/users/", sent.clone()).await;
            assert_eq!((user.status, &user.body["status"]), (200, &json!("action_required")));
            let token = user.body["kyc_token"].as_str().unwrap();
            let check = app.get(&format!("/v1/kyc/{token}")).await;
            let body = json!({ "answers": answers(&check.body, &sent, wrong), "name_first": "Charles",
                "name_last": "Hearn" });
            let answered = app.patch(&format!("{token}/"), body).await;
            assert_eq!(
                (answered.status, answered.body),
                (200, completed(200, &json!(token), score, outcome))
            );
            let user = app.get(&format!("/v1/users/{}", user.body["id"].as_str().unwrap())).await.body;
            created.push(json!([
                user["status"],
                user["first_name"],
                user["last_name"],
                user["kyc_token"] == json!(token)
            ]));
        }
        assert_eq!(
            created,
            [
                json!(["active", "Charles", "Hearn", true]),
                json!(["documentation_required", "Charles", "Hearn", true])
            ]
        );
        let events = |outcome: &str, status: &str| {
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["user.updated", "ACTION_REQUIRED"]),
                json!(["kyc.answered", outcome]),
                json!(["user.status_changed", status]),
            ]
        };
        assert_eq!(
            app.history().await,
            [events("APPROVED", "APPROVED"), events("MANUAL_REVIEW", "DOCUMENTATION_REQUIRED")].concat()
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn questions_expire_after_fifteen_minutes_and_are_not_repeated(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let asked = app.get(&format!("/v1/kyc/{token}")).await.body;
        app.advance_to("2026-07-09T16:14:59Z").await;
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked);
        let (in_time, other) = app.start_with_questions(&sent).await;
        app.advance_to("2026-07-09T16:15:00Z").await;
        refused(
            &app.patch(token, json!({ "answers": answers(&asked, &sent, 0) })).await,
            402,
            "invalid_request",
            EXPIRED,
        );
        assert_eq!(
            app.get(&format!("/v1/kyc/{token}")).await.body,
            completed(200, &json!(token), 0.75, "Manual Review")
        );
        let answered = app.patch(&in_time, json!({ "answers": answers(&other, &sent, 0) })).await;
        assert_eq!(answered.body["data"]["outcome"], "Approved", "{}", answered.body);

        let document = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"Ann \
            Question\" } }) {
            user { status kyc { outcome score questions { text } questionsExpireAt requirements }
                kycHistory { edges { node { outcome isSuperseded requirements } } } } userErrors { message } } }";
        let again = app.gql(document, json!({ "id": user["id"] })).await;
        assert_eq!(
            again.entity("profileUpdate", "user"),
            &json!({
                "status": "DOCUMENTATION_REQUIRED",
                "kyc": { "outcome": "MANUAL_REVIEW", "score": "0.75", "questions": [],
                    "questionsExpireAt": null, "requirements": ["DOCUMENTS"] },
                "kycHistory": { "edges": [
                    { "node": { "outcome": "MANUAL_REVIEW", "isSuperseded": false, "requirements": ["DOCUMENTS"] } },
                    { "node": { "outcome": "MANUAL_REVIEW", "isSuperseded": true, "requirements": [] } },
                ] },
            })
        );
        let late = app.patch(token, json!({ "answers": answers(&asked, &sent, 0) })).await;
        refused(&late, 402, "invalid_request", "This identity check was replaced by a later one.");
        assert_eq!(
            app.history().await,
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["kyc.expired", "MANUAL_REVIEW"]),
                json!(["user.status_changed", "DOCUMENTATION_REQUIRED"]),
                json!(["kyc.answered", "APPROVED"]),
                json!(["kyc.created", "MANUAL_REVIEW"]),
                json!(["user.updated", "DOCUMENTATION_REQUIRED"]),
            ]
        );
    }

    async fn failed_questions_are_not_repeated(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let check = app.get(&format!("/v1/kyc/{token}")).await.body;
        app.patch(token, json!({ "answers": answers(&check, &sent, 2) })).await;
        let rename = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"Ann \
            Question\" } }) {
            user { kyc { outcome score } } userErrors { message } } }";
        let again = app.gql(rename, json!({ "id": user["id"] })).await;
        assert_eq!(
            again.entity("profileUpdate", "user")["kyc"],
            json!({ "outcome": "MANUAL_REVIEW", "score": "0.75" })
        );
    }

    async fn answers_are_accepted_only_for_an_open_check_of_the_partner(app: TestApp) {
        let sent = applicant("Question");
        let (token, check) = app.start_with_questions(&sent).await;
        let body = json!({ "answers": answers(&check, &sent, 0) });
        let (_, other) = app.other_partner("another").await;
        let foreign = |method: &str| app.anonymous(method, &format!("/v1/kyc/{token}")).bearer_auth(&other);
        refused(&send(foreign("PATCH").json(&body)).await, 404, "not_found", UNKNOWN);
        refused(&send(foreign("GET")).await, 404, "not_found", UNKNOWN);
        for unknown in ["S-BNTwVDLrlRvHbKVhRa8X", "nope", "%FF", &token.to_lowercase(), &token[..21]] {
            refused(&app.patch(unknown, body.clone()).await, 404, "not_found", UNKNOWN);
            refused(&app.get(&format!("/v1/kyc/{unknown}")).await, 404, "not_found", UNKNOWN);
        }
        let me = app.person("another@example.com", "2025550142").await;
        let own = |method: &str| app.anonymous(method, &format!("/v1/kyc/{token}")).bearer_auth(&me.access);
        refused(&send(own("PATCH").json(&body)).await, 404, "not_found", UNKNOWN);
        refused(&send(own("GET")).await, 404, "not_found", UNKNOWN);
        let approved = app.post("/v1/kyc", applicant("Doe")).await.body;
        let done = app.patch(approved["token"].as_str().unwrap(), body.clone()).await;
        refused(&done, 402, "invalid_request", NOT_OPEN);
        assert_eq!(
            app.get(&format!("/v1/kyc/{token}")).await.body,
            check,
            "other callers must not change the check"
        );
        assert_eq!(app.patch(&token, body).await.body["data"]["outcome"], "Approved");
    }

    async fn a_user_answers_their_own_questions(app: TestApp) {
        let me = app.person("me@example.com", "2025550142").await;
        let sent = with(
            with(applicant("Question"), "email_address", "me@example.com"),
            "phone_number",
            "2025550142",
        );
        let mut body = sent.clone();
        body.as_object_mut().unwrap().remove("email_address");
        let own = |method: &str, path: &str| app.anonymous(method, path).bearer_auth(&me.access);
        let user = send(own("PUT", &format!("/v1/users/{}", me.user_id)).json(&body)).await;
        assert_eq!((user.status, &user.body["status"]), (200, &json!("action_required")), "{}", user.body);
        let path = format!("/v1/kyc/{}", user.body["kyc_token"].as_str().unwrap());
        let check = send(own("GET", &path)).await;
        let answered =
            send(own("PATCH", &path).json(&json!({ "answers": answers(&check.body, &sent, 1) }))).await;
        let mut expected = completed(200, &user.body["kyc_token"], 0.99, "Approved");
        // Only the partner's secret key can read the score and the tags.
        (expected["data"]["score"], expected["data"]["tags"]) = (Value::Null, json!([]));
        assert_eq!((answered.status, answered.body), (200, expected));
        let viewer = app
            .gql_as(
                Some(&me.access),
                "{ viewer { status kyc { outcome user { id } requirements } } }",
                json!({}),
            )
            .await;
        let kyc = json!({ "outcome": "APPROVED", "user": { "id": me.user_id }, "requirements": [] });
        assert_eq!(viewer.data()["viewer"], json!({ "status": "APPROVED", "kyc": kyc }));
    }

    async fn malformed_answers_change_nothing(app: TestApp) {
        let sent = applicant("Question");
        let (token, check) = app.start_with_questions(&sent).await;
        let good = answers(&check, &sent, 0);
        let changed = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut list = good.as_array().unwrap().clone();
            change(&mut list);
            json!(list)
        };
        for wrong in [
            json!([]),
            json!({}),
            json!("1,2,3,4,5"),
            json!(7),
            json!([1, 2, 3, 4, 5]),
            json!({ "answers": good }),
            changed(&|list| _ = list.pop()),
            changed(&|list| list.push(list[0].clone())),
            changed(&|list| list[1] = list[0].clone()),
            changed(&|list| list[4]["question_id"] = json!(6)),
            changed(&|list| list[0]["question_id"] = json!(0)),
            changed(&|list| list[0]["question_id"] = json!("1")),
            changed(&|list| list[0]["answer_id"] = json!(0)),
            changed(&|list| list[0]["answer_id"] = json!(6)),
            changed(&|list| list[0]["answer_id"] = json!(-1)),
            changed(&|list| list[0]["answer_id"] = json!(1.5)),
            changed(&|list| list[0]["answer_id"] = json!(4_294_967_297_i64)),
            changed(&|list| list[0]["answer_id"] = json!(null)),
            changed(&|list| _ = list[0].as_object_mut().unwrap().remove("answer_id")),
        ] {
            refused(
                &app.patch(&token, json!({ "answers": wrong })).await,
                400,
                "validation_error",
                MALFORMED,
            );
        }
        for empty in [
            json!({}),
            json!({ "answers": null }),
            json!({ "something": "else" }),
            json!({ "first_name": " " }),
        ] {
            refused(&app.patch(&token, empty).await, 400, "invalid_request", "answers is required");
        }
        for field in [
            "email_address",
            "phone_number",
            "birth_date",
            "ssn_number",
            "address_line_1",
            "address_line_2",
            "address_postal_code",
        ] {
            let both = with(json!({ "answers": good }), field, "1985-01-23");
            refused(
                &app.patch(&token, both).await,
                400,
                "validation_error",
                &format!("{field} cannot be corrected together with answers"),
            );
        }
        let nameless = json!({ "answers": good, "name_first": "7" });
        refused(&app.patch(&token, nameless).await, 400, "validation_error", "first_name must contain a letter");
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, check);
        assert_eq!(app.patch(&token, json!({ "answers": good })).await.body["data"]["outcome"], "Approved");
        assert_eq!(app.history().await.len(), 2);
    }

    async fn only_one_of_many_concurrent_answers_counts(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let check = app.get(&format!("/v1/kyc/{token}")).await.body;
        let (good, bad) = (answers(&check, &sent, 0), answers(&check, &sent, 3));
        let tries = (0..64)
            .map(|turn| app.patch(token, json!({ "answers": if turn % 2 == 0 { &good } else { &bad } })));
        let results = futures_util::future::join_all(tries).await;
        let (done, others): (Vec<_>, Vec<_>) = results.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((done.len(), others.len()), (1, 63));
        for answer in &others {
            refused(answer, 402, "invalid_request", ANSWERED);
        }
        let [outcome, status] = match done[0].body["data"]["outcome"].as_str().unwrap() {
            "Approved" => ["APPROVED", "APPROVED"],
            _ => ["MANUAL_REVIEW", "DOCUMENTATION_REQUIRED"],
        };
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, done[0].body);
        assert_eq!(
            app.history().await,
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["kyc.answered", outcome]),
                json!(["user.status_changed", status]),
            ]
        );
    }

    async fn the_issuing_state_is_asked_only_for_an_ssn_that_has_one(app: TestApp) {
        // Late enough that everyone born in 2011 is an adult.
        app.advance_to("2030-07-10T16:00:00Z").await;
        for (ssn, born, has_state_question) in [
            ("123456789", "1985-01-23", true),
            ("223456789", "2008-06-24", true),
            ("666456789", "1985-01-23", false),
            ("700456789", "1985-01-23", false),
            ("586456789", "1985-01-23", false),
            ("773456789", "1985-01-23", false),
            ("123456789", "2011-06-24", true),
            ("123456789", "2011-06-25", false),
        ] {
            let sent = with(with(applicant("Question"), "ssn_number", ssn), "birth_date", born);
            let (token, check) = app.start_with_questions(&sent).await;
            let questions = check["prompts"]["answers"]["questions"].as_array().unwrap();
            let found: Vec<bool> = questions
                .iter()
                .map(|question| question["question"] == "What state was your SSN issued in?")
                .collect();
            assert_eq!(found, [has_state_question, false, false, false, false], "{ssn} {born}");
            let answered = app.patch(&token, json!({ "answers": answers(&check, &sent, 0) })).await;
            assert_eq!(answered.body["data"]["outcome"], "Approved", "{ssn} {born}");
        }
        let mut sent = applicant("Question");
        sent.as_object_mut().unwrap().remove("phone_number");
        let (token, check) = app.start_with_questions(&sent).await;
        let answered = app.patch(&token, json!({ "answers": answers(&check, &sent, 0) })).await;
        assert_eq!(answered.body["data"]["tags"], json!(["Address Match"]));
    }
}
