//! Identity checks as a service of their own: started, asked, answered, corrected, expired.

mod corrections;

use crate::support::{Answer, Options, TestApp, on_both, person, send, socket::Socket};
use chrono::{Datelike, NaiveDate};
use coffer::{domain::Scope, providers::identity::BuiltIn};
use entity::audit_log;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The documented request, of a person with this last name.
fn applicant(last_name: &str) -> Value {
    json!({
        "phone_number": "18042562188", "first_name": "John", "last_name": last_name, "email_address": "johndoe@finos.com",
        "birth_date": "1985-01-23", "ssn_number": "123456789", "address_line_1": "123 Test St", "address_city": "Richmond",
        "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
    })
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

/// What is right, by the question, worked out from what was sent.
fn right(question: &str, sent: &Value) -> String {
    let text = |field: &str| sent[field].as_str().unwrap().to_owned();
    let born: NaiveDate = text("birth_date").parse().unwrap();
    let phone = || text("phone_number").chars().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<String>();
    match question {
        "What state was your SSN issued in?" => match &text("ssn_number")[..3] {
            "123" => "New York".to_owned(),
            "223" => "Virginia".to_owned(),
            area => panic!("{area} is no area of these tests"),
        },
        "In which month were you born?" => born.format("%B").to_string(),
        "On which day of the week were you born?" => born.format("%A").to_string(),
        "On which day of the month is your birthday?" => born.day().to_string(),
        "In which year is your 18th birthday?" => (born.year() + 18).to_string(),
        "What is the domain of your e-mail address?" => text("email_address").split_once('@').unwrap().1.to_owned(),
        "In which city do you live?" => text("address_city"),
        "In which state do you live?" => match text("address_state").as_str() {
            "VA" => "Virginia".to_owned(),
            "MD" => "Maryland".to_owned(),
            state => panic!("{state} is no state of these tests"),
        },
        "What is the ZIP code of your address?" => text("address_postal_code"),
        "What is the number of your house?" => text("address_line_1").split_once(' ').unwrap().0.to_owned(),
        "On which street do you live?" => text("address_line_1").split_once(' ').unwrap().1.to_owned(),
        "What is the area code of your phone number?" => phone()[..3].to_owned(),
        "What are the last four digits of your phone number?" => phone()[6..].to_owned(),
        other => panic!("{other} is no question of these tests"),
    }
}

/// Answers to the questions of a REST body, the first `wrong` of them wrong.
fn answers(asked: &Value, sent: &Value, wrong: usize) -> Value {
    let questions = asked["prompts"]["answers"]["questions"].as_array().unwrap_or_else(|| panic!("{asked}"));
    let answer = |(place, question): (usize, &Value)| {
        let right = right(question["question"].as_str().unwrap(), sent);
        let options = question["answers"].as_array().unwrap();
        let option = options.iter().find(|option| option["answer"] == json!(right)).unwrap_or(&options[4]);
        let id = option["id"].as_i64().unwrap();
        json!({ "question_id": question["id"], "answer_id": if place < wrong { id % 5 + 1 } else { id } })
    };
    questions.iter().enumerate().map(answer).collect()
}

fn settled(status: u16, token: &Value, score: f64, outcome: &str) -> Value {
    json!({
        "status_code": status, "token": token,
        "data": { "result": "success", "score": score, "tags": ["Address Match", "Phone Match"], "outcome": outcome },
    })
}

#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str, message: &str) {
    let told = json!({ "error": { "type": kind, "message": message } });
    assert_eq!((answer.status, &answer.body), (status, &told));
}

const ANSWERED: &str = "The questions of this identity check were answered before.";
const EXPIRED: &str = "The time to answer the questions of this identity check is over.";
const NOT_OPEN: &str = "This identity check waits for no answers.";
const MALFORMED: &str = "answers must answer each of the questions 1 to 5 once, with one of its answers 1 to 5";
const UNKNOWN: &str = "token names nothing that you can see";

impl TestApp {
    /// A check with open questions, and what it tells.
    async fn asked(&self, sent: &Value) -> (String, Value) {
        let asked = self.post("/v1/kyc", sent.clone()).await;
        assert_eq!(asked.status, 201, "{}", asked.body);
        let token = asked.body["token"].as_str().unwrap().to_owned();
        assert!(asked.body["prompts"].is_object(), "{}", asked.body);
        (token, asked.body)
    }

    async fn patch(&self, token: &str, body: Value) -> Answer {
        send(self.rest("PATCH", &format!("/v1/kyc/{token}")).json(&body)).await
    }

    /// Everything that has happened to checks and to people, in order: what, and the check's or the person's state then.
    async fn history(&self) -> Vec<Value> {
        let mut socket = Socket::join(self, Some(&self.key)).await;
        let log = "subscription { events(after: \"0\") { type ... on KycChangedEvent { outcome } ... on UserChangedEvent { status } } }";
        socket.subscribe("1", log, json!({})).await;
        let mut told = Vec::new();
        let patience = |told: &[Value]| Duration::from_millis(if told.is_empty() { 10_000 } else { 300 });
        while let Some(message) = socket.hear_within(patience(&told)).await {
            let event = &message["payload"]["data"]["events"];
            let kind = event["type"].as_str().unwrap_or_else(|| panic!("{message}"));
            let state = event.get("outcome").or(event.get("status")).cloned().unwrap_or_default();
            if kind.starts_with("kyc.") || kind.starts_with("user.") {
                told.push(json!([kind, state]));
            }
        }
        told
    }
}

on_both! {
    async fn a_check_is_made_and_looked_up_as_documented(app: TestApp) {
        let made = app.rest("POST", "/v1/kyc").json(&applicant("Doe")).send().await.unwrap();
        let (status, text) = (made.status().as_u16(), made.text().await.unwrap());
        let body: Value = serde_json::from_str(&text).unwrap();
        let token = body["token"].as_str().unwrap().to_owned();
        assert!(token.strip_prefix("S-").is_some_and(|rest| rest.len() == 20 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{token}");
        assert_eq!((status, &body), (201, &settled(201, &body["token"], 0.99, "Approved")));
        assert!(text.contains("\"score\":0.99,"), "{text}");
        for path in [format!("/v1/kyc/{token}"), format!("/v1/kyc/{token}/")] {
            let read = app.get(&path).await;
            assert_eq!((read.status, read.body), (200, settled(200, &json!(token), 0.99, "Approved")));
        }
        for (last_name, score, outcome) in [("Review", 0.45, "Manual Review"), ("Denied", 0.1, "Denied")] {
            let made = send(app.rest("POST", "/v1/kyc/").json(&applicant(last_name))).await;
            assert_eq!((made.status, &made.body), (201, &settled(201, &made.body["token"], score, outcome)));
        }
        let looked = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("kyc.look_up"));
        assert_eq!(looked.count(&app.app.db.read).await.unwrap(), 2);
        assert_eq!(
            app.history().await,
            [json!(["kyc.created", "APPROVED"]), json!(["kyc.created", "MANUAL_REVIEW"]), json!(["kyc.created", "DENIED"])]
        );
        let users = app.gql("{ users { edges { node { id } } } }", json!({})).await;
        assert_eq!(users.data()["users"]["edges"], json!([]), "a check alone makes no customer");
    }

    async fn questions_are_told_as_documented_and_right_answers_never(app: TestApp) {
        let (token, asked) = app.asked(&applicant("Question")).await;
        let template: Vec<Value> = (1..=5).map(|id| json!({ "question_id": id, "answer_id": 0 })).collect();
        let questions = asked["prompts"]["answers"]["questions"].as_array().unwrap();
        assert_eq!(
            asked,
            json!({
                "token": token,
                "required": [{
                    "key": "answers", "type": "object", "description": "Object containing answers to out of wallet question prompts.",
                    "template": { "answers": template },
                }],
                "optional": [],
                "prompts": { "answers": { "questions": questions } },
            })
        );
        assert_eq!(questions[0]["question"], "What state was your SSN issued in?");
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for (place, question) in (1..).zip(questions) {
            assert_eq!((names(question), &question["id"]), (vec!["answers".to_owned(), "id".to_owned(), "question".to_owned()], &json!(place)));
            let options = question["answers"].as_array().unwrap();
            assert!(options.iter().all(|option| names(option) == ["answer", "id"]));
            assert_eq!(options.iter().map(|option| option["id"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            assert_eq!(options.iter().map(|option| option["answer"].as_str().unwrap()).collect::<BTreeSet<_>>().len(), 5);
            assert_eq!(options[4]["answer"], "None Of The Above");
        }
        let texts: BTreeSet<&str> = questions.iter().map(|question| question["question"].as_str().unwrap()).collect();
        assert_eq!(texts.len(), 5);
        for _ in 0..3 {
            assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked, "a check's questions never vary");
        }
        assert_ne!(app.asked(&applicant("Question")).await.1["prompts"], asked["prompts"]);
    }

    async fn four_right_answers_of_five_pass(app: TestApp) {
        for wrong in [0, 1] {
            let sent = applicant("Question");
            let (token, asked) = app.asked(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, wrong) })).await;
            assert_eq!((answered.status, answered.body), (200, settled(200, &json!(token), 0.99, "Approved")));
            refused(&app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await, 402, "invalid_request", ANSWERED);
            assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, settled(200, &json!(token), 0.99, "Approved"));
        }
        let walk = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "APPROVED"])];
        assert_eq!(app.history().await, [walk.clone(), walk].concat());
    }

    async fn fewer_right_answers_go_to_a_reviewer(app: TestApp) {
        for wrong in [2, 5] {
            let sent = applicant("Question");
            let (token, asked) = app.asked(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, wrong) })).await;
            assert_eq!((answered.status, answered.body), (200, settled(200, &json!(token), 0.45, "Manual Review")));
            refused(&app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await, 402, "invalid_request", ANSWERED);
        }
        let walk = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "MANUAL_REVIEW"])];
        assert_eq!(app.history().await, [walk.clone(), walk].concat());
    }

    async fn answers_move_the_person_whose_check_it_is(app: TestApp) {
        let mut made = Vec::new();
        for wrong in [0, 3] {
            let sent = applicant("Question");
            let user = app.post("/v1/users", sent.clone()).await;
            assert_eq!((user.status, &user.body["status"]), (200, &json!("action_required")));
            let token = user.body["kyc_token"].as_str().unwrap();
            let asked = app.get(&format!("/v1/kyc/{token}")).await;
            app.patch(token, json!({ "answers": answers(&asked.body, &sent, wrong), "name_first": "Charles", "last_name": "Hearn" })).await;
            let user = app.get(&format!("/v1/users/{}", user.body["id"].as_str().unwrap())).await.body;
            made.push(json!([user["status"], user["first_name"], user["last_name"], user["kyc_token"] == json!(token)]));
        }
        assert_eq!(made, [json!(["active", "Charles", "Hearn", true]), json!(["documentation_required", "Charles", "Hearn", true])]);
        let walk = |outcome: &str, status: &str| {
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["user.updated", "ACTION_REQUIRED"]),
                json!(["kyc.answered", outcome]),
                json!(["user.status_changed", status]),
            ]
        };
        assert_eq!(app.history().await, [walk("APPROVED", "APPROVED"), walk("MANUAL_REVIEW", "DOCUMENTATION_REQUIRED")].concat());
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn questions_expire_after_a_quarter_of_an_hour_and_are_not_asked_again(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let asked = app.get(&format!("/v1/kyc/{token}")).await.body;
        app.advance_to("2026-07-09T16:14:59Z").await;
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked);
        let (in_time, other) = app.asked(&sent).await;
        app.advance_to("2026-07-09T16:15:00Z").await;
        refused(&app.patch(token, json!({ "answers": answers(&asked, &sent, 0) })).await, 402, "invalid_request", EXPIRED);
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, settled(200, &json!(token), 0.75, "Manual Review"));
        let answered = app.patch(&in_time, json!({ "answers": answers(&other, &sent, 0) })).await;
        assert_eq!(answered.body["data"]["outcome"], "Approved", "{}", answered.body);

        let document = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"Ann Question\" } }) {
            user { status kyc { outcome score questions { text } questionsExpireAt requirements }
                kycHistory { edges { node { outcome isSuperseded requirements } } } } userErrors { message } } }";
        let again = app.gql(document, json!({ "id": user["id"] })).await;
        assert_eq!(
            again.entity("profileUpdate", "user"),
            &json!({
                "status": "DOCUMENTATION_REQUIRED",
                "kyc": { "outcome": "MANUAL_REVIEW", "score": "0.75", "questions": [], "questionsExpireAt": null, "requirements": ["DOCUMENTS"] },
                "kycHistory": { "edges": [
                    { "node": { "outcome": "MANUAL_REVIEW", "isSuperseded": false, "requirements": ["DOCUMENTS"] } },
                    { "node": { "outcome": "MANUAL_REVIEW", "isSuperseded": true, "requirements": [] } },
                ] },
            })
        );
        let late = app.patch(token, json!({ "answers": answers(&asked, &sent, 0) })).await;
        refused(&late, 402, "invalid_request", "A later identity check took the place of this one.");
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

    async fn whoever_failed_is_not_asked_again(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let asked = app.get(&format!("/v1/kyc/{token}")).await.body;
        app.patch(token, json!({ "answers": answers(&asked, &sent, 2) })).await;
        let rename = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"Ann Question\" } }) {
            user { kyc { outcome score } } userErrors { message } } }";
        let again = app.gql(rename, json!({ "id": user["id"] })).await;
        assert_eq!(again.entity("profileUpdate", "user")["kyc"], json!({ "outcome": "MANUAL_REVIEW", "score": "0.75" }));
    }

    async fn answers_are_for_their_own_check_and_their_own_partner(app: TestApp) {
        let sent = applicant("Question");
        let (token, asked) = app.asked(&sent).await;
        let body = json!({ "answers": answers(&asked, &sent, 0) });
        let (_, other) = app.other_partner("another").await;
        let foreign = |method: &str| app.anonymous(method, &format!("/v1/kyc/{token}")).bearer_auth(&other);
        refused(&send(foreign("PATCH").json(&body)).await, 404, "not_found", UNKNOWN);
        refused(&send(foreign("GET")).await, 404, "not_found", UNKNOWN);
        for nothing in ["S-BNTwVDLrlRvHbKVhRa8X", "nope", "%FF", &token.to_lowercase(), &token[..21]] {
            refused(&app.patch(nothing, body.clone()).await, 404, "not_found", UNKNOWN);
            refused(&app.get(&format!("/v1/kyc/{nothing}")).await, 404, "not_found", UNKNOWN);
        }
        let me = app.person("another@example.com", "2025550142").await;
        let own = |method: &str| app.anonymous(method, &format!("/v1/kyc/{token}")).bearer_auth(&me.access);
        refused(&send(own("PATCH").json(&body)).await, 404, "not_found", UNKNOWN);
        refused(&send(own("GET")).await, 404, "not_found", UNKNOWN);
        let done = app.patch(&app.post("/v1/kyc", applicant("Doe")).await.body["token"].as_str().unwrap().to_owned(), body.clone()).await;
        refused(&done, 402, "invalid_request", NOT_OPEN);
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked, "strangers have changed nothing");
        assert_eq!(app.patch(&token, body).await.body["data"]["outcome"], "Approved");
    }

    async fn malformed_answers_change_nothing(app: TestApp) {
        let sent = applicant("Question");
        let (token, asked) = app.asked(&sent).await;
        let good = answers(&asked, &sent, 0);
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
            refused(&app.patch(&token, json!({ "answers": wrong })).await, 400, "validation_error", MALFORMED);
        }
        for empty in [json!({}), json!({ "answers": null }), json!({ "something": "else" }), json!({ "first_name": " " })] {
            refused(&app.patch(&token, empty).await, 400, "invalid_request", "answers is required");
        }
        for field in ["email_address", "phone_number", "birth_date", "ssn_number", "address_line_1", "address_line_2", "address_postal_code"] {
            let both = with(json!({ "answers": good }), field, "1985-01-23");
            refused(&app.patch(&token, both).await, 400, "validation_error", &format!("{field} cannot be corrected together with answers"));
        }
        let nameless = json!({ "answers": good, "name_first": "7" });
        refused(&app.patch(&token, nameless).await, 400, "validation_error", "first_name must have a letter");
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked);
        assert_eq!(app.patch(&token, json!({ "answers": good })).await.body["data"]["outcome"], "Approved");
        assert_eq!(app.history().await.len(), 2);
    }

    async fn of_many_answers_at_the_same_moment_one_counts(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let asked = app.get(&format!("/v1/kyc/{token}")).await.body;
        let (good, bad) = (answers(&asked, &sent, 0), answers(&asked, &sent, 3));
        let tries = (0..64).map(|turn| app.patch(token, json!({ "answers": if turn % 2 == 0 { &good } else { &bad } })));
        let told = futures_util::future::join_all(tries).await;
        let (done, others): (Vec<_>, Vec<_>) = told.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((done.len(), others.len()), (1, 63));
        others.iter().for_each(|answer| refused(answer, 402, "invalid_request", ANSWERED));
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

    async fn the_state_of_a_number_is_asked_for_where_it_has_one(app: TestApp) {
        // By then even those who were born in 2011 are of age.
        app.advance_to("2030-07-10T16:00:00Z").await;
        for (ssn, born, asks) in [
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
            let (token, asked) = app.asked(&sent).await;
            let questions = asked["prompts"]["answers"]["questions"].as_array().unwrap();
            let found: Vec<bool> = questions.iter().map(|question| question["question"] == "What state was your SSN issued in?").collect();
            assert_eq!(found, [asks, false, false, false, false], "{ssn} {born}");
            let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await;
            assert_eq!(answered.body["data"]["outcome"], "Approved", "{ssn} {born}");
        }
        let mut sent = applicant("Question");
        sent.as_object_mut().unwrap().remove("phone_number");
        let (token, asked) = app.asked(&sent).await;
        let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await;
        assert_eq!(answered.body["data"]["tags"], json!(["Address Match"]));
    }

    async fn a_request_under_a_key_counts_once(app: TestApp) {
        let sent = applicant("Question");
        let start = || send(app.rest("POST", "/v1/kyc").header("idempotency-key", "start").json(&sent));
        let (one, two) = (start().await, start().await);
        assert_eq!((one.status, two.status, &one.body, two.headers["idempotent-replayed"].to_str().unwrap()), (201, 201, &two.body, "true"));
        let token = one.body["token"].as_str().unwrap();
        let path = format!("/v1/kyc/{token}");
        let answer = |wrong| {
            let body = json!({ "answers": answers(&one.body, &sent, wrong) });
            send(app.rest("PATCH", &path).header("idempotency-key", "answer").json(&body))
        };
        let (first, again) = (answer(0).await, answer(0).await);
        assert_eq!((first.status, again.status, &again.body), (200, 200, &settled(200, &json!(token), 0.99, "Approved")));
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(answer(1).await.status, 409);
        assert_eq!(app.history().await.len(), 2);
    }

    async fn one_check_through_graphql(app: TestApp) {
        let publishable = app.key_for(&[Scope::Start]).await;
        let start = "mutation($input: KycStartInput!) { kycStart(input: $input) {
            kyc { id token score outcome tags user { id } questionsExpireAt requirements questions { questionId text answers { answerId text } } }
            userErrors { code path message } } }";
        let begun = app.gql_as(Some(&publishable), &start.replace(" user { id }", ""), json!({ "input": person("Ann", "Question") })).await;
        let begun = begun.entity("kycStart", "kyc").clone();
        let questions = begun["questions"].as_array().unwrap();
        assert_eq!(questions.len(), 5);
        assert_eq!(
            begun,
            json!({
                "id": begun["id"], "token": begun["token"], "score": "0.75", "outcome": "QUESTIONS_REQUIRED",
                "tags": ["Address Match", "Phone Match"], "questionsExpireAt": "2026-07-09T16:15:00Z", "requirements": ["ANSWERS"],
                "questions": questions,
            })
        );
        let by_token = "query($token: String!) { kycByToken(token: $token) { id outcome user { id } } }";
        let found = app.gql(by_token, json!({ "token": begun["token"] })).await;
        assert_eq!(found.data()["kycByToken"], json!({ "id": begun["id"], "outcome": "QUESTIONS_REQUIRED", "user": null }));
        assert_eq!(app.gql(by_token, json!({ "token": "S-nothing" })).await.data()["kycByToken"], Value::Null);

        let told: Value = serde_json::from_str(
            &json!({ "prompts": { "answers": { "questions": questions } } })
                .to_string()
                .replace("questionId", "id")
                .replace("answerId", "id")
                .replace("\"text\"", "\"answer\""),
        )
        .unwrap();
        let mut told = told;
        for question in told["prompts"]["answers"]["questions"].as_array_mut().unwrap() {
            question["question"] = question["answer"].clone();
        }
        let sent = with(with(applicant("Question"), "phone_number", "2025550107"), "email_address", "ada.carter@example.com");
        let given: Vec<Value> = answers(&told, &sent, 0)
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!({ "questionId": one["question_id"], "answerId": one["answer_id"] }))
            .collect();
        let answer = "mutation($input: KycAnswerInput!) { kycAnswer(input: $input) {
            kyc { token score outcome questions { text } requirements kycChecks { check isPassed part } } userErrors { code path message } } }";
        let short = app.gql(answer, json!({ "input": { "kycId": begun["id"], "answers": &given[..4] } })).await;
        assert_eq!(*short.user_error("kycAnswer"), json!({ "code": "INVALID", "path": ["answers"], "message": MALFORMED }));
        let input = json!({ "idempotencyKey": "k", "kycId": begun["id"], "answers": given });
        let (one, two) = (app.gql(answer, json!({ "input": input })).await, app.gql(answer, json!({ "input": input })).await);
        assert_eq!(one.body, two.body);
        let answered = one.entity("kycAnswer", "kyc");
        let checks = answered["kycChecks"].as_array().unwrap();
        assert_eq!(checks.last(), Some(&json!({ "check": "ANSWERS", "isPassed": true, "part": "0.30" })));
        assert_eq!(
            answered,
            &json!({ "token": begun["token"], "score": "0.99", "outcome": "APPROVED", "questions": [], "requirements": [], "kycChecks": checks })
        );
        let late = app.gql(answer, json!({ "input": { "kycId": begun["id"], "answers": given } })).await;
        assert_eq!(*late.user_error("kycAnswer"), json!({ "code": "KYC_ANSWERED", "path": null, "message": ANSWERED }));

        let future = json!({ "input": with(person("Ann", "Doe"), "birthDate", "2026-07-10") });
        let future = app.gql(start, future).await;
        assert_eq!(*future.user_error("kycStart"), json!({ "code": "INVALID", "path": ["birthDate"], "message": "birthDate lies in the future" }));
        let pending = "mutation { userCreate(input: { firstName: \"Pat\", lastName: \"Pending\", email: \"pat@example.com\" }) {
            user { kyc { id } kycRequirements kycHistory { edges { node { id } } } } userErrors { message } } }";
        let pending = app.gql(pending, json!({})).await;
        assert_eq!(pending.entity("userCreate", "user"), &json!({ "kyc": null, "kycRequirements": ["PROFILE"], "kycHistory": { "edges": [] } }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_partners_people_are_asked_once_whatever_check_it_is() {
    let mut options = Options::default();
    options.providers.live_identity = Some(Arc::new(BuiltIn));
    for app in TestApp::each_with(options).await {
        let key = app.live_key().await;
        let ask = |method: &str, path: &str, body: &Value| send(app.anonymous(method, path).bearer_auth(&key).json(body));
        // An address abroad is what a score of 0.79 comes from, and nothing that a last name chooses.
        let mut sent = with(with(applicant("Denied"), "address_country_code", "GB"), "address_postal_code", "SW1A 1AA");
        sent["address_city"] = json!("Leeds");
        let asked = ask("POST", "/v1/kyc", &sent).await;
        let token = asked.body["token"].as_str().unwrap().to_owned();
        let failed = ask("PATCH", &format!("/v1/kyc/{token}"), &json!({ "answers": answers(&asked.body, &sent, 2) })).await;
        let data = |score: f64| json!({ "result": "success", "score": score, "tags": ["Phone Match"], "outcome": "Manual Review" });
        assert_eq!((failed.status, &failed.body["data"]), (200, &data(0.49)));
        let again = ask("POST", "/v1/kyc", &sent).await;
        assert_eq!((again.status, &again.body["data"]), (201, &data(0.79)));
        let somebody_else = ask("POST", "/v1/kyc", &with(sent, "ssn_number", "223456789")).await;
        assert!(somebody_else.body["prompts"].is_object(), "{}", somebody_else.body);
    }
    let app = TestApp::sqlite().await;
    let key = app.live_key().await;
    let nobody = send(app.anonymous("POST", "/v1/kyc").bearer_auth(&key).json(&applicant("Doe"))).await;
    refused(&nobody, 503, "api_connection", "No identity check is configured for live partners.");
}
