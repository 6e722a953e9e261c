//! Identity checks as a service of their own: started, asked, answered, corrected, expired.

mod corrections;
mod doors;

use crate::support::{Answer, TestApp, on_both, send};
use chrono::{Datelike, NaiveDate};
use entity::{audit_log, event, kyc};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The documented request, of a person with this last name.
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

/// What is right, by the question, worked out from what was sent.
fn right(question: &str, sent: &Value) -> String {
    let text = |field: &str| sent[field].as_str().unwrap().to_owned();
    let born: NaiveDate = text("birth_date").parse().unwrap();
    let phone = || {
        text("phone_number").chars().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<String>()
    };
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
        "What is the domain of your e-mail address?" => {
            text("email_address").split_once('@').unwrap().1.to_owned()
        }
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

const ANSWERED: &str = "The questions of this identity check have already been answered.";
const EXPIRED: &str = "The time to answer the questions of this identity check has expired.";
const NOT_OPEN: &str = "This identity check is not waiting for answers.";
const MALFORMED: &str =
    "answers must answer each of the questions 1 to 5 once, with one of its answers 1 to 5";
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

    /// Everything that has happened to checks and to people, in order: what, and the check's or the person's
    /// state then.
    async fn history(&self) -> Vec<Value> {
        let rows = event::Entity::find()
            .filter(event::Column::PartnerId.eq(self.partner.id))
            .order_by_asc(event::Column::Id);
        let mut told = Vec::new();
        for event in rows.all(&self.app.db.read).await.unwrap() {
            if event.kind.starts_with("kyc.") || event.kind.starts_with("user.") {
                let payload: Value = serde_json::from_str(&event.payload).unwrap();
                told.push(json!([event.kind, payload["status"].as_str().unwrap().to_uppercase()]));
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
            [
                json!(["kyc.created", "APPROVED"]),
                json!(["kyc.created", "MANUAL_REVIEW"]),
                json!(["kyc.created", "DENIED"])
            ]
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
        let kept = kyc::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        let sealed = String::from_utf8_lossy(kept.questions.as_ref().unwrap()).into_owned();
        assert!(!sealed.contains("SSN") && !sealed.contains("right"), "questions are kept sealed");
        let told = event::Entity::find()
            .filter(event::Column::StreamId.eq(kept.id))
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let told: Value = serde_json::from_str(&told.payload).unwrap();
        assert_eq!(
            told,
            json!({ "id": kept.id, "token": token, "user_id": null, "status": "questions_required" })
        );
        for _ in 0..3 {
            assert_eq!(
                app.get(&format!("/v1/kyc/{token}")).await.body,
                asked,
                "a check's questions never vary"
            );
        }
        assert_ne!(app.asked(&applicant("Question")).await.1["prompts"], asked["prompts"]);
    }

    async fn four_right_answers_of_five_pass(app: TestApp) {
        for wrong in [0, 1] {
            let sent = applicant("Question");
            let (token, asked) = app.asked(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, wrong) })).await;
            assert_eq!(
                (answered.status, answered.body),
                (200, settled(200, &json!(token), 0.99, "Approved"))
            );
            refused(
                &app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await,
                402,
                "invalid_request",
                ANSWERED,
            );
            assert_eq!(
                app.get(&format!("/v1/kyc/{token}")).await.body,
                settled(200, &json!(token), 0.99, "Approved")
            );
        }
        let walk = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "APPROVED"])];
        assert_eq!(app.history().await, [walk.clone(), walk].concat());
    }

    async fn fewer_right_answers_go_to_a_reviewer(app: TestApp) {
        for wrong in [2, 5] {
            let sent = applicant("Question");
            let (token, asked) = app.asked(&sent).await;
            let answered = app.patch(&token, json!({ "answers": answers(&asked, &sent, wrong) })).await;
            assert_eq!(
                (answered.status, answered.body),
                (200, settled(200, &json!(token), 0.45, "Manual Review"))
            );
            refused(
                &app.patch(&token, json!({ "answers": answers(&asked, &sent, 0) })).await,
                402,
                "invalid_request",
                ANSWERED,
            );
        }
        let walk = [json!(["kyc.created", "QUESTIONS_REQUIRED"]), json!(["kyc.answered", "MANUAL_REVIEW"])];
        assert_eq!(app.history().await, [walk.clone(), walk].concat());
    }

    async fn answers_move_the_person_whose_check_it_is(app: TestApp) {
        let mut made = Vec::new();
        for (wrong, ssn, score, outcome) in
            [(0, "123456789", 0.99, "Approved"), (3, "223456789", 0.69, "Manual Review")]
        {
            let sent = with(applicant("Question"), "ssn_number", ssn);
            let user = app.post("/v1/users/", sent.clone()).await;
            assert_eq!((user.status, &user.body["status"]), (200, &json!("action_required")));
            let token = user.body["kyc_token"].as_str().unwrap();
            let asked = app.get(&format!("/v1/kyc/{token}")).await;
            let body = json!({ "answers": answers(&asked.body, &sent, wrong), "name_first": "Charles",
                "name_last": "Hearn" });
            let answered = app.patch(&format!("{token}/"), body).await;
            assert_eq!((answered.status, answered.body), (200, settled(200, &json!(token), score, outcome)));
            let user = app.get(&format!("/v1/users/{}", user.body["id"].as_str().unwrap())).await.body;
            made.push(json!([
                user["status"],
                user["first_name"],
                user["last_name"],
                user["kyc_token"] == json!(token)
            ]));
        }
        assert_eq!(
            made,
            [
                json!(["active", "Charles", "Hearn", true]),
                json!(["documentation_required", "Charles", "Hearn", true])
            ]
        );
        let walk = |outcome: &str, status: &str| {
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
            [walk("APPROVED", "APPROVED"), walk("MANUAL_REVIEW", "DOCUMENTATION_REQUIRED")].concat()
        );
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
        refused(
            &app.patch(token, json!({ "answers": answers(&asked, &sent, 0) })).await,
            402,
            "invalid_request",
            EXPIRED,
        );
        assert_eq!(
            app.get(&format!("/v1/kyc/{token}")).await.body,
            settled(200, &json!(token), 0.75, "Manual Review")
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

    async fn whoever_failed_is_not_asked_again(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let asked = app.get(&format!("/v1/kyc/{token}")).await.body;
        app.patch(token, json!({ "answers": answers(&asked, &sent, 2) })).await;
        let rename = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"Ann \
            Question\" } }) {
            user { kyc { outcome score } } userErrors { message } } }";
        let again = app.gql(rename, json!({ "id": user["id"] })).await;
        assert_eq!(
            again.entity("profileUpdate", "user")["kyc"],
            json!({ "outcome": "MANUAL_REVIEW", "score": "0.75" })
        );
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
        let approved = app.post("/v1/kyc", applicant("Doe")).await.body;
        let done = app.patch(approved["token"].as_str().unwrap(), body.clone()).await;
        refused(&done, 402, "invalid_request", NOT_OPEN);
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, asked, "strangers have changed nothing");
        assert_eq!(app.patch(&token, body).await.body["data"]["outcome"], "Approved");
    }

    async fn a_person_answers_for_herself(app: TestApp) {
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
        let asked = send(own("GET", &path)).await;
        let answered =
            send(own("PATCH", &path).json(&json!({ "answers": answers(&asked.body, &sent, 1) }))).await;
        let mut told = settled(200, &user.body["kyc_token"], 0.99, "Approved");
        // What was found is for the partner's secret key.
        (told["data"]["score"], told["data"]["tags"]) = (Value::Null, json!([]));
        assert_eq!((answered.status, answered.body), (200, told));
        let viewer = app
            .gql_as(
                Some(&me.access),
                "{ viewer { status kyc { outcome user { id } } kycRequirements } }",
                json!({}),
            )
            .await;
        let kyc = json!({ "outcome": "APPROVED", "user": { "id": me.user_id } });
        assert_eq!(
            viewer.data()["viewer"],
            json!({ "status": "APPROVED", "kyc": kyc, "kycRequirements": [] })
        );
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
        let tries = (0..64)
            .map(|turn| app.patch(token, json!({ "answers": if turn % 2 == 0 { &good } else { &bad } })));
        let told = futures_util::future::join_all(tries).await;
        let (done, others): (Vec<_>, Vec<_>) = told.into_iter().partition(|answer| answer.status == 200);
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
            let found: Vec<bool> = questions
                .iter()
                .map(|question| question["question"] == "What state was your SSN issued in?")
                .collect();
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
}
