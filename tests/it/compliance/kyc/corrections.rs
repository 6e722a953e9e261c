//! Corrections of personal data while an identity check is open.

use super::{EXPIRED, UNKNOWN, answers, applicant, completed, refused, with};
use crate::support::{TestApp, on_both, send};
use serde_json::{Value, json};

const DECIDED: &str = "This identity check has already been decided.";

on_both! {
    async fn a_correction_repeats_the_same_check_and_changes_the_user(app: TestApp) {
        let user = app.post("/v1/users", applicant("Question")).await.body;
        let (id, token) = (user["id"].as_str().unwrap(), user["kyc_token"].as_str().unwrap());
        let corrected = app.patch(token, json!({ "name_last": "Doe", "name_first": "Jane" })).await;
        assert_eq!(
            (corrected.status, corrected.body),
            (200, completed(200, &json!(token), 0.99, "Approved"))
        );
        let person = app.get(&format!("/v1/users/{id}")).await.body;
        assert_eq!(
            json!([person["status"], person["first_name"], person["last_name"], person["kyc_token"]]),
            json!(["active", "Jane", "Doe", token])
        );
        refused(&app.patch(token, json!({ "last_name": "Denied" })).await, 402, "invalid_request", DECIDED);
        assert_eq!(
            app.history().await,
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["user.updated", "ACTION_REQUIRED"]),
                json!(["kyc.updated", "APPROVED"]),
                json!(["user.status_changed", "APPROVED"]),
            ]
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn questions_are_about_the_corrected_data(app: TestApp) {
        let sent = applicant("Question");
        let user = app.post("/v1/users", sent.clone()).await.body;
        let (id, token) = (user["id"].as_str().unwrap(), user["kyc_token"].as_str().unwrap());
        let before = app.get(&format!("/v1/kyc/{token}")).await.body;
        let changes = json!({
            "email_address": "jane@elsewhere.example", "phone_number": "(301) 555-0142",
            "birth_date": "1990-06-15", "ssn_number": "223-45-6789",
            "address_line_1": " 9 Corrected Rd ", "address_line_2": "Apt 2", "address_city": "Bethesda",
            "address_state": "MD",
            "address_postal_code": "20814",
        });
        app.advance_to("2026-07-09T16:10:00Z").await;
        let questions = app.patch(token, changes.clone()).await;
        assert_eq!((questions.status, &questions.body["token"]), (200, &json!(token)));
        assert_ne!(questions.body["prompts"], before["prompts"]);
        let person = app.get(&format!("/v1/users/{id}")).await.body;
        assert_eq!(
            person,
            json!({
                "id": id, "status": "action_required", "kyc_token": token, "first_name": "John",
                "last_name": "Question",
                "phone_number": "(301) 555-0142", "email_address": "jane@elsewhere.example",
                "address_line_1": "9 Corrected Rd",
                "address_line_2": "Apt 2", "address_city": "Bethesda", "address_state": "MD",
                "address_postal_code": "20814",
                "address_country_code": "US",
            })
        );
        let mut right = sent;
        right.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        for (field, value) in [
            ("phone_number", "3015550142"),
            ("ssn_number", "223456789"),
            ("address_line_1", "9 Corrected Rd"),
        ] {
            right[field] = json!(value);
        }
        let expires = "query($token: String!) { kycByToken(token: $token) { questionsExpireAt } }";
        let expires = app.gql(expires, json!({ "token": token })).await;
        assert_eq!(
            expires.data()["kycByToken"]["questionsExpireAt"],
            "2026-07-09T16:15:00Z",
            "a correction does not extend the time"
        );
        let answered = app.patch(token, json!({ "answers": answers(&questions.body, &right, 0) })).await;
        assert_eq!((answered.status, answered.body), (200, completed(200, &json!(token), 0.99, "Approved")));
        assert_eq!(
            app.history().await,
            [
                json!(["user.created", "ACTION_REQUIRED"]),
                json!(["kyc.created", "QUESTIONS_REQUIRED"]),
                json!(["user.updated", "ACTION_REQUIRED"]),
                json!(["kyc.updated", "QUESTIONS_REQUIRED"]),
                json!(["kyc.answered", "APPROVED"]),
                json!(["user.status_changed", "APPROVED"]),
            ]
        );
    }

    async fn a_correction_is_checked_as_it_was_sent(app: TestApp) {
        let token = app.post("/v1/kyc", applicant("Review")).await.body["token"].as_str().unwrap().to_owned();
        for field in ["address_line_1", "address_city"] {
            for text in ["x".repeat(101), format!("a{}b", " ".repeat(99)), "a\u{85}b".to_owned()] {
                let message = format!("{field} must have at most 100 printable characters");
                refused(&app.patch(&token, json!({ field: text })).await, 400, "validation_error", &message);
            }
        }
    }

    async fn a_correction_does_not_end_a_review(app: TestApp) {
        let reviewed =
            app.post("/v1/kyc", applicant("Review")).await.body["token"].as_str().unwrap().to_owned();
        let corrected = app.patch(&reviewed, json!({ "last_name": "Doe" })).await;
        assert_eq!(
            (corrected.status, corrected.body),
            (200, completed(200, &json!(reviewed), 0.99, "Manual Review"))
        );
        let questioned = app.patch(&reviewed, json!({ "last_name": "Question" })).await;
        assert_eq!(
            (questioned.status, questioned.body),
            (200, completed(200, &json!(reviewed), 0.75, "Manual Review"))
        );

        let sent = applicant("Question");
        let (failed, check) = app.start_with_questions(&sent).await;
        app.patch(&failed, json!({ "answers": answers(&check, &sent, 2) })).await;
        let corrected = app.patch(&failed, json!({ "last_name": "Doe" })).await;
        assert_eq!(
            corrected.body,
            completed(200, &json!(failed), 0.69, "Manual Review"),
            "failed answers still count"
        );

        let (expired, check) = app.start_with_questions(&sent).await;
        app.advance_to("2026-07-09T16:15:00Z").await;
        let corrected = app.patch(&expired, json!({ "last_name": "Doe" })).await;
        assert_eq!(corrected.body, completed(200, &json!(expired), 0.99, "Manual Review"));
        refused(
            &app.patch(&expired, json!({ "answers": answers(&check, &sent, 0) })).await,
            402,
            "invalid_request",
            EXPIRED,
        );

        let denied = app.patch(&reviewed, json!({ "last_name": "Denied" })).await;
        assert_eq!(
            denied.body,
            completed(200, &json!(reviewed), 0.1, "Manual Review"),
            "even a denial by the rules does not end a review"
        );
        let back = app.patch(&reviewed, json!({ "last_name": "Doe" })).await;
        assert_eq!(back.body, completed(200, &json!(reviewed), 0.99, "Manual Review"));
        let (_, other) = app.other_partner("another").await;
        let foreign = app
            .anonymous("PATCH", &format!("/v1/kyc/{failed}"))
            .bearer_auth(&other)
            .json(&json!({ "last_name": "Mine" }));
        refused(&send(foreign).await, 404, "not_found", UNKNOWN);
    }

    async fn invalid_corrections_change_nothing(app: TestApp) {
        let user = app.post("/v1/users", applicant("Question")).await.body;
        let (path, token) =
            (format!("/v1/users/{}", user["id"].as_str().unwrap()), user["kyc_token"].as_str().unwrap());
        let before = app.get(&format!("/v1/kyc/{token}")).await.body;
        let person = app.get(&path).await.body;
        for (field, value, message) in [
            ("first_name", "7", "first_name must contain a letter"),
            ("name_last", "7", "last_name must contain a letter"),
            ("email_address", "unknown", "email_address must be an e-mail address"),
            ("phone_number", "12345", "phone_number must be a US number of 10 digits"),
            ("ssn_number", "000456789", "ssn_number must be a valid social security number"),
            ("ssn_number", "12345678", "ssn_number must have nine digits"),
            ("birth_date", "1985-02-30", "birth_date must be a valid calendar date"),
            ("birth_date", "2026-07-10", "birth_date must not be in the future"),
            ("address_state", "ZZ", "address_state must be a known code"),
            ("address_postal_code", "2322", "address_postal_code must be a ZIP code of 5 or 9 digits"),
            ("address_country_code", "ZZ", "address_country_code must be a known code"),
            ("address_line_1", "\u{7}", "address_line_1 must not contain control characters"),
        ] {
            refused(&app.patch(token, with(json!({}), field, value)).await, 400, "validation_error", message);
        }
        refused(
            &app.patch(token, json!({ "first_name": 7 })).await,
            400,
            "validation_error",
            "first_name must be a string",
        );
        assert_eq!(app.get(&format!("/v1/kyc/{token}")).await.body, before);
        assert_eq!(app.get(&path).await.body, person);

        let same = app.patch(token, json!({ "first_name": "John", "address_city": "Richmond" })).await;
        assert_eq!((same.status, same.body), (200, before));
        assert_eq!(
            app.history().await,
            [json!(["user.created", "ACTION_REQUIRED"]), json!(["kyc.created", "QUESTIONS_REQUIRED"])]
        );
    }

    async fn only_one_of_many_concurrent_corrections_counts(app: TestApp) {
        let user = app.post("/v1/users", applicant("Review")).await.body;
        let token = user["kyc_token"].as_str().unwrap();
        let results = futures_util::future::join_all(
            (0..64).map(|_| app.patch(token, json!({ "address_city": "Norfolk" }))),
        )
        .await;
        for answer in &results {
            assert_eq!(
                (answer.status, &answer.body),
                (200, &completed(200, &json!(token), 0.45, "Manual Review"))
            );
        }
        assert_eq!(
            app.history().await,
            [
                json!(["user.created", "DOCUMENTATION_REQUIRED"]),
                json!(["kyc.created", "MANUAL_REVIEW"]),
                json!(["user.updated", "DOCUMENTATION_REQUIRED"]),
                json!(["kyc.updated", "MANUAL_REVIEW"]),
            ]
        );
    }

    async fn corrections_through_graphql_by_partner_and_user(app: TestApp) {
        let correct = "mutation($input: KycCorrectInput!) { kycCorrect(input: $input) {
            kyc { outcome score user { email phoneLast4 address { line1 line2 city } } } userErrors { code \
            path message } } }";
        let mut sent = applicant("Review");
        sent["address_line_2"] = json!("Apt 2");
        let user = app.post("/v1/users", sent).await.body;
        let check =
            app.gql("query($id: ID!) { user(id: $id) { kyc { id } } }", json!({ "id": user["id"] })).await;
        let id = &check.data()["user"]["kyc"]["id"];
        let address =
            json!({ "line1": "9 Corrected Rd", "line2": null, "city": "Norfolk", "postalCode": "23510" });
        let patch = json!({ "email": "jane@elsewhere.example", "phone": null, "address": address });
        let corrected = app.gql(correct, json!({ "input": { "kycId": id, "patch": patch } })).await;
        assert_eq!(
            corrected.entity("kycCorrect", "kyc"),
            &json!({ "outcome": "MANUAL_REVIEW", "score": "0.45", "user": {
                "email": "jane@elsewhere.example", "phoneLast4": null,
                "address": { "line1": "9 Corrected Rd", "line2": null, "city": "Norfolk" },
            } })
        );
        for (patch, code, path, message) in [
            (json!({}), "REQUIRED", json!(["patch"]), "patch is required"),
            (
                json!({ "firstName": "7" }),
                "INVALID",
                json!(["patch", "firstName"]),
                "patch.firstName must contain a letter",
            ),
            (
                json!({ "address": with(address, "state", "ZZ") }),
                "INVALID",
                json!(["patch", "address", "state"]),
                "patch.address.state must be a known code",
            ),
        ] {
            let refused = app.gql(correct, json!({ "input": { "kycId": id, "patch": patch } })).await;
            assert_eq!(
                *refused.user_error("kycCorrect"),
                json!({ "code": code, "path": path, "message": message })
            );
        }

        let me = app.person("me@example.com", "2025550142").await;
        let profile = "mutation($id: ID!) { profileUpdate(input: { userId: $id, patch: { fullName: \"My \
            Question\", birthDate: \"1985-01-23\",
            ssn: \"123456789\" } }) { user { status kyc { id } } userErrors { message } } }";
        let mine = app.gql_as(Some(&me.access), profile, json!({ "id": me.user_id })).await;
        assert_eq!(
            mine.entity("profileUpdate", "user"),
            &json!({ "status": "PENDING", "kyc": null })
        );
        let theirs = app
            .gql_as(
                Some(&me.access),
                correct,
                json!({ "input": { "kycId": id, "patch": { "firstName": "Mine" } } }),
            )
            .await;
        let nothing: Value = json!({ "code": "NOT_FOUND", "path": ["kycId"],
            "message": "kycId was not found" });
        assert_eq!(theirs.user_error("kycCorrect"), &nothing);
    }
}
