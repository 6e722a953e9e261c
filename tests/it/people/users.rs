//! Users on both APIs: the documented requests, users completed later, and updates that repeat the identity
//! check.

use crate::support::{
    Answer, Options, THURSDAY, TestApp, USER_CREATE, on_both, person, send, socket::Socket,
};
use domain::providers::{Providers, identity::BuiltIn};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

const UPDATE: &str = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) {
    user { id status firstName lastName email phoneLast4 address { line1 line2 city state postalCode \
    countryCode } kyc { token outcome } }
    userErrors { code path message } } }";

/// Returns the documented request.
fn john() -> Value {
    json!({
        "phone_number": "18042562188", "first_name": "John", "last_name": "Doe", "email_address": "johndoe@finos.com",
        "birth_date": "1985-01-23", "ssn_number": "123456789", "address_line_1": "123 Test St",
        "address_city": "Richmond",
        "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
    })
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

async fn put(app: &TestApp, user: &str, body: Value) -> Answer {
    send(app.rest("PUT", &format!("/v1/users/{user}")).json(&body)).await
}

async fn created(app: &TestApp, body: Value) -> Value {
    let answer = app.post("/v1/users", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Receives the next events and returns each type with its status or outcome.
async fn receive(events: &mut Socket, count: usize) -> Vec<(String, Value)> {
    let mut received = Vec::new();
    for _ in 0..count {
        let event = events.next().await["events"].clone();
        let state = if event["kycOutcome"].is_null() {
            event["user"]["status"].clone()
        } else {
            event["kycOutcome"].clone()
        };
        received.push((event["type"].as_str().unwrap().to_owned(), state));
    }
    received
}

const EVENTS: &str = "subscription($after: String) { events(after: $after) { type ... on UserChangedEvent { user { \
    status } } ... on KycChangedEvent { kycOutcome } } }";

on_both! {
    async fn documented_requests_return_the_documented_responses(app: TestApp) {
        let made = created(&app, john()).await;
        let (id, token) = (made["id"].as_str().unwrap(), made["kyc_token"].as_str().unwrap());
        assert!(token.len() == 22 && token.starts_with("S-"));
        assert_eq!(made, json!({ "id": id, "status": "approved", "kyc_token": token }));
        let mut shown = json!({
            "id": id, "status": "active", "kyc_token": token, "first_name": "John", "last_name": "Doe",
            "phone_number": "18042562188",
            "email_address": "johndoe@finos.com", "address_line_1": "123 Test St", "address_line_2": null,
            "address_city": "Richmond",
            "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
        });
        for path in [format!("/v1/users/{id}"), format!("/v1/users/{id}/")] {
            assert_eq!((app.get(&path).await.status, app.get(&path).await.body), (200, shown.clone()));
        }
        shown["phone_number"] = json!("6742562188");
        for slash in ["", "/"] {
            let answer = put(&app, &format!("{id}{slash}"), json!({ "phone_number": "6742562188" })).await;
            assert_eq!((answer.status, &answer.body), (200, &shown));
        }
        for name in ["Jane", "Joan"] {
            created(&app, with(john(), "first_name", name)).await;
        }
        let list = app.get("/v1/users?limit=3").await;
        assert_eq!(
            list.body["pagination"],
            json!({
                "ending_before": null, "starting_after": null, "limit": 3, "order": "desc",
                "previous_uri": null, "next_uri": null,
                "previous_page": null, "next_page": null,
            })
        );
        assert_eq!(list.body["data"][2], shown);
    }

    async fn every_field_can_be_updated_and_secret_fields_are_not_returned(app: TestApp) {
        let id = created(&app, john()).await["id"].as_str().unwrap().to_owned();
        let all = json!({
            "phone_number": "(202) 555-0107", "first_name": "Joan", "last_name": "Smith",
            "email_address": "joan@example.com",
            "birth_date": "1990-12-31", "ssn_number": "219-45-6789", "address_line_1": "1 New St",
            "address_line_2": "unit 4",
            "address_city": "Boston", "address_state": "MA", "address_postal_code": "02108-1234",
            "address_country_code": "US",
        });
        let changed = put(&app, &id, all.clone()).await;
        let mut expected = all;
        for secret in ["birth_date", "ssn_number"] {
            expected.as_object_mut().unwrap().remove(secret);
        }
        expected["id"] = json!(id);
        expected["status"] = json!("active");
        expected["kyc_token"] = changed.body["kyc_token"].clone();
        assert_eq!((changed.status, &changed.body), (200, &expected));
        assert_eq!(app.get(&format!("/v1/users/{id}")).await.body, expected);
        let untouched = put(&app, &id, json!({})).await;
        assert_eq!((untouched.status, untouched.body), (200, expected));
    }

    async fn a_retry_over_the_other_api_is_the_same_request(app: TestApp) {
        let made = created(&app, john()).await;
        let id = made["id"].as_str().unwrap();
        let path = format!("/v1/users/{id}");
        let over_rest = app.rest("PUT", &path).header("idempotency-key", "k");
        let changed = send(over_rest.json(&json!({ "address_line_1": "124 Test St" }))).await;
        assert_eq!((changed.status, &changed.body["address_line_1"]), (200, &json!("124 Test St")));
        let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { address { line1 \
            countryCode } } userErrors { code path } } }";
        let input = |line1: &str| {
            let patch = json!({ "address": { "line1": line1 } });
            json!({ "input": { "idempotencyKey": "k", "userId": id, "patch": patch } })
        };
        let again = app.gql(update, input("124 Test St")).await;
        assert_eq!(
            again.entity("userUpdate", "user"),
            &json!({ "address": { "line1": "124 Test St", "countryCode": "US" } })
        );
        let other = app.gql(update, input("125 Test St")).await;
        assert_eq!(
            other.user_error("userUpdate"),
            &json!({ "code": "IDEMPOTENCY_KEY_REUSED", "path": ["idempotencyKey"] })
        );
    }

    async fn only_changes_of_identity_data_repeat_the_check(app: TestApp) {
        let made = created(&app, john()).await;
        let (id, first) = (made["id"].as_str().unwrap(), &made["kyc_token"]);
        let mut events = Socket::join(&app, Some(&app.key)).await;
        events.subscribe("1", EVENTS, json!({ "after": app.cursor().await })).await;
        for (field, value) in [
            ("phone_number", "2025550111"),
            ("email_address", "other@example.com"),
            ("first_name", "John"),
            ("ssn_number", "123-45-6789"),
        ] {
            assert_eq!(put(&app, id, json!({ field: value })).await.body["kyc_token"], *first, "{field}");
        }
        assert_eq!(
            receive(&mut events, 2).await,
            [("USER_UPDATED".to_owned(), json!("APPROVED")), ("USER_UPDATED".to_owned(), json!("APPROVED"))]
        );
        let mut token = first.clone();
        for (field, value) in [
            ("first_name", "Jo"),
            ("last_name", "Roe"),
            ("birth_date", "1985-01-24"),
            ("ssn_number", "219456789"),
            ("address_line_1", "124 Test St"),
            ("address_line_2", "unit 5"),
            ("address_city", "Norfolk"),
            ("address_postal_code", "23221"),
        ] {
            let changed = put(&app, id, json!({ field: value })).await;
            assert_eq!((changed.status, &changed.body["status"]), (200, &json!("active")), "{field}");
            assert_ne!(changed.body["kyc_token"], token, "{field}");
            token = changed.body["kyc_token"].clone();
            let expected = [("KYC_CREATED", "APPROVED"), ("USER_UPDATED", "APPROVED")]
                .map(|(kind, state)| (kind.to_owned(), json!(state)));
            assert_eq!(receive(&mut events, 2).await, expected, "{field}");
        }
        let denied = put(&app, id, json!({ "birth_date": "2010-01-24" })).await;
        assert_eq!(denied.body["status"], "denied");
        let expected =
            [("KYC_CREATED", "DENIED"), ("USER_STATUS_CHANGED", "DENIED"), ("USER_UPDATED", "DENIED")];
        assert_eq!(
            receive(&mut events, 3).await,
            expected.map(|(kind, state)| (kind.to_owned(), json!(state)))
        );
    }

    async fn a_change_never_ends_a_review(app: TestApp) {
        let made = created(&app, with(john(), "last_name", "Review")).await;
        assert_eq!(made["status"], "documentation_required");
        let id = made["id"].as_str().unwrap();
        let renamed = put(&app, id, json!({ "last_name": "Doe" })).await;
        assert_eq!(renamed.body["status"], "documentation_required");
        assert_eq!(
            put(&app, id, json!({ "last_name": "Denied" })).await.body["status"],
            "documentation_required"
        );
        assert_eq!(
            put(&app, id, json!({ "last_name": "Doe" })).await.body["status"],
            "documentation_required"
        );
        // Only a reviewer can approve a user that the rules denied, even after a correction.
        for (body, still, corrected) in [
            (
                with(john(), "last_name", "Denied"),
                json!({ "first_name": "Jon" }),
                json!({ "last_name": "Doe" }),
            ),
            (
                with(john(), "birth_date", "2015-01-23"),
                json!({ "birth_date": "2014-01-23" }),
                json!({ "birth_date": "1985-01-23" }),
            ),
        ] {
            let made = created(&app, body).await;
            assert_eq!(made["status"], "denied");
            let id = made["id"].as_str().unwrap();
            assert_eq!(put(&app, id, still).await.body["status"], "denied");
            assert_eq!(put(&app, id, corrected).await.body["status"], "documentation_required");
            assert_eq!(
                put(&app, id, json!({ "address_city": "Norfolk" })).await.body["status"],
                "documentation_required"
            );
        }
    }

    async fn ages_and_addresses_are_checked(app: TestApp) {
        let find =
            "query($token: String!) { kycByToken(token: $token) { outcome tags checks { check isPassed } } }";
        for (change, outcome, tags, failed) in [
            (
                json!({ "birth_date": "1850-01-23" }),
                "MANUAL_REVIEW",
                vec!["Address Match", "Phone Match", "Over 120"],
                vec!["AGE"],
            ),
            (
                json!({ "birth_date": "1905-07-09" }),
                "MANUAL_REVIEW",
                vec!["Address Match", "Phone Match", "Over 120"],
                vec!["AGE"],
            ),
            (json!({ "birth_date": "1905-07-10" }), "APPROVED", vec!["Address Match", "Phone Match"], vec![]),
            (
                json!({ "birth_date": "2008-07-10" }),
                "DENIED",
                vec!["Address Match", "Phone Match", "Under 18"],
                vec!["AGE"],
            ),
            (json!({ "birth_date": "2008-07-09" }), "APPROVED", vec!["Address Match", "Phone Match"], vec![]),
            (
                json!({ "address_state": "AK" }),
                "APPROVED",
                vec!["Address Mismatch", "Phone Match"],
                vec!["ADDRESS"],
            ),
            (
                json!({ "address_state": "AK", "address_postal_code": "99501" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "PW", "address_postal_code": "96940" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "FM", "address_postal_code": "96941" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "MH", "address_postal_code": "96960" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "AE", "address_postal_code": "09001" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "AP", "address_postal_code": "96201-1234" }),
                "APPROVED",
                vec!["Address Match", "Phone Match"],
                vec![],
            ),
            (
                json!({ "address_state": "AA", "address_postal_code": "09001" }),
                "APPROVED",
                vec!["Address Mismatch", "Phone Match"],
                vec!["ADDRESS"],
            ),
            (
                json!({ "address_line_1": "P.O. Box 12" }),
                "APPROVED",
                vec!["Address Match", "PO Box", "Phone Match"],
                vec!["PO_BOX"],
            ),
            (
                json!({ "address_line_2": "PO box 12" }),
                "APPROVED",
                vec!["Address Match", "PO Box", "Phone Match"],
                vec!["PO_BOX"],
            ),
        ] {
            let mut body = john();
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let made = app.post("/v1/kyc", body).await;
            let found =
                app.gql(find, json!({ "token": made.body["token"] })).await.data()["kycByToken"].clone();
            let not_passed = found["checks"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|check| check["isPassed"] == false && check["check"] != "PERSONA");
            let not_passed: Vec<&str> = not_passed.map(|check| check["check"].as_str().unwrap()).collect();
            assert_eq!(
                (&found["outcome"], &found["tags"], not_passed),
                (&json!(outcome), &json!(tags), failed),
                "{change}"
            );
        }
    }

    /// Ages and birth dates use the date in New York, which is four hours behind UTC in July.
    async fn a_birthday_begins_at_midnight_in_new_york(app: TestApp) {
        let mut now = THURSDAY;
        for (at, birth_date, outcome) in [
            ("2026-07-10T03:59:59Z", "2008-07-10", "Denied"),
            ("2026-07-10T04:00:00Z", "2008-07-10", "Approved"),
            ("2026-07-10T04:00:00Z", "2008-07-11", "Denied"),
            ("2026-07-10T04:00:00Z", "1905-07-11", "Approved"),
            ("2026-07-11T03:59:59Z", "1905-07-11", "Approved"),
            ("2026-07-11T04:00:00Z", "1905-07-11", "Manual Review"),
        ] {
            if at != now {
                app.advance_to(at).await;
                now = at;
            }
            let made = app.post("/v1/kyc", with(john(), "birth_date", birth_date)).await;
            assert_eq!(made.body["data"]["outcome"], outcome, "{birth_date} at {at}");
        }
        let future =
            json!({ "error": { "type": "validation_error",
                "message": "birth_date must not be in the future" } });
        let id = created(&app, john()).await["id"].as_str().unwrap().to_owned();
        for (at, day) in [("2026-07-12T03:59:59Z", "2026-07-12"), ("2026-07-12T04:00:00Z", "2026-07-13")] {
            app.advance_to(at).await;
            for answer in [
                app.post("/v1/kyc", with(john(), "birth_date", day)).await,
                app.post("/v1/users", with(john(), "birth_date", day)).await,
                put(&app, &id, json!({ "birth_date": day })).await,
            ] {
                assert_eq!((answer.status, &answer.body), (400, &future), "{day} at {at}");
            }
        }
        assert_eq!(created(&app, with(john(), "birth_date", "2026-07-12")).await["status"], "denied");
    }

    async fn names_and_addresses_are_normalized(app: TestApp) {
        let mut input = person("A\u{200b}da\u{feff} \u{a0}Mary", "\u{3000}Cárter\u{2060}");
        input["address"] = json!({ "line1": "１２３  Test\u{200d} St", "line2": "Apt\u{a0}2",
            "city": " Rich\u{ad}mond ", "state": "VA", "postalCode": "23220" });
        let made = app.gql(USER_CREATE, json!({ "input": input })).await;
        let id = made.entity("userCreate", "user")["id"].clone();
        let query = "query($id: ID!) { user(id: $id) { firstName lastName address { line1 line2 city } } }";
        let shown = app.gql(query, json!({ "id": id })).await.data()["user"].clone();
        let address = json!({ "line1": "123 Test St", "line2": "Apt 2", "city": "Richmond" });
        assert_eq!(shown, json!({ "firstName": "Ada Mary", "lastName": "Cárter", "address": address }));
        let patch = json!({ "firstName": "ＡＤＡ\u{200c}", "address": { "city": "Nor\u{200b}folk" } });
        let updated = app.gql(UPDATE, json!({ "input": { "userId": id, "patch": patch } })).await;
        let user = updated.entity("userUpdate", "user").clone();
        assert_eq!((&user["firstName"], &user["address"]["city"]), (&json!("ADA"), &json!("Norfolk")));
        let rest = created(
            &app,
            with(with(john(), "first_name", "J\u{200b}ohn"), "address_line_1", "1\u{2009}Main  St"),
        )
        .await;
        let rest = app.get(&format!("/v1/users/{}", rest["id"].as_str().unwrap())).await.body;
        assert_eq!((&rest["first_name"], &rest["address_line_1"]), (&json!("John"), &json!("1 Main St")));

        for (field, value, message) in [
            ("first_name", "\u{200b}\u{3164}", "first_name is required"),
            ("last_name", " \u{a0}\u{2800}", "last_name is required"),
            ("last_name", "\u{202e}eoD", "last_name must not contain control characters"),
            ("last_name", "Do\ne", "last_name must not contain control characters"),
            ("address_line_1", "\u{2060}", "address_line_1 is required"),
            ("address_city", "Rich\u{2067}mond", "address_city must have at most 100 printable characters"),
        ] {
            let refused = app.post("/v1/users", with(john(), field, value)).await;
            assert_eq!(
                (refused.status, &refused.body["error"]["message"]),
                (400, &json!(message)),
                "{value:?}"
            );
        }
    }

    async fn an_incomplete_user_can_be_completed_later(app: TestApp) {
        let mut little = person("Ada", "Carter");
        for field in ["ssn", "birthDate", "address", "phone"] {
            little.as_object_mut().unwrap().remove(field);
        }
        let begun = app.gql(USER_CREATE, json!({ "input": little })).await;
        let user = begun.entity("userCreate", "user").clone();
        assert_eq!((&user["status"], &user["kyc"]), (&json!("PENDING"), &Value::Null));
        let update = async |patch: Value| {
            app.gql(UPDATE, json!({ "input": { "userId": user["id"], "patch": patch } })).await
        };
        let part = update(json!({ "ssn": "123456789", "phone": "2025550107" })).await;
        assert_eq!(part.entity("userUpdate", "user")["status"], "PENDING");
        let half = update(json!({ "address": { "line1": "123 Test St", "city": "Richmond" } })).await;
        let expected = json!({ "code": "REQUIRED", "path": ["patch", "address", "state"],
            "message": "patch.address.state is required" });
        assert_eq!(half.user_error("userUpdate"), &expected);
        let address = json!({ "line1": "123 Test St", "line2": "unit 4", "city": "Richmond", "state": "VA",
            "postalCode": "23220", "countryCode": "US" });
        assert_eq!(
            update(json!({ "address": address })).await.entity("userUpdate", "user")["status"],
            "PENDING"
        );
        let whole = update(json!({ "birthDate": "1985-01-23" })).await;
        let whole = whole.entity("userUpdate", "user");
        assert_eq!((&whole["status"], &whole["kyc"]["outcome"]), (&json!("APPROVED"), &json!("APPROVED")));
        let cleared = update(json!({ "phone": null, "address": { "line2": null } })).await;
        let cleared = cleared.entity("userUpdate", "user");
        assert_eq!(
            (&cleared["phoneLast4"], &cleared["address"]["line2"], &cleared["address"]["line1"]),
            (&Value::Null, &Value::Null, &json!("123 Test St"))
        );
    }

    async fn the_first_address_is_in_the_united_states_by_default(app: TestApp) {
        let mut ada = person("Ada", "Carter");
        let mut address = ada.as_object_mut().unwrap().remove("address").unwrap();
        assert!(address.get("countryCode").is_none());
        let begun = app.gql(USER_CREATE, json!({ "input": ada })).await;
        let id = begun.entity("userCreate", "user")["id"].clone();
        let update = async |patch: &Value| {
            let input = json!({ "input": { "userId": id, "patch": { "address": patch } } });
            app.gql(UPDATE, input).await.entity("userUpdate", "user")["address"].clone()
        };
        let mut expected = json!({ "line1": "123 Test St", "line2": null, "city": "Richmond", "state": "VA",
            "postalCode": "23220", "countryCode": "US" });
        assert_eq!(update(&address).await, expected);
        // Later patches do not change the country unless they name one.
        address["countryCode"] = json!("CA");
        expected["countryCode"] = json!("CA");
        assert_eq!(update(&address).await, expected);
        expected["line1"] = json!("5 Main St");
        assert_eq!(update(&json!({ "line1": "5 Main St" })).await, expected);
    }

    async fn a_user_can_only_complete_their_own_data(app: TestApp) {
        let ada = app.person("ada@example.com", "2025550107").await;
        let eve = app.person("eve@example.com", "2025550108").await;
        let patch = json!({
            "firstName": "Ada", "lastName": "Carter", "ssn": "123456789", "birthDate": "1985-01-23",
            "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220",
                "countryCode": "US" },
        });
        let input = json!({ "input": { "userId": ada.user_id, "patch": patch } });
        let refused = app.gql_as(Some(&eve.access), UPDATE, input.clone()).await;
        assert_eq!(refused.user_error("userUpdate")["code"], "NOT_FOUND");
        let done = app.gql_as(Some(&ada.access), UPDATE, input).await;
        assert_eq!(done.entity("userUpdate", "user")["status"], "APPROVED");
        // A user denied by the rules cannot correct their birth date themselves, but their partner can.
        let own = |patch: Value| json!({ "input": { "userId": ada.user_id, "patch": patch } });
        let young = app.gql_as(Some(&ada.access), UPDATE, own(json!({ "birthDate": "2015-01-23" }))).await;
        assert_eq!(young.entity("userUpdate", "user")["status"], "DENIED");
        let old = app.gql_as(Some(&ada.access), UPDATE, own(json!({ "birthDate": "1985-01-23" }))).await;
        assert_eq!(old.entity("userUpdate", "user")["status"], "DENIED");
        assert_eq!(
            put(&app, &ada.user_id, json!({ "birth_date": "1985-01-22" })).await.body["status"],
            "documentation_required"
        );
    }

    async fn invalid_fields_are_refused_by_name_and_change_nothing(app: TestApp) {
        let id = created(&app, john()).await["id"].as_str().unwrap().to_owned();
        let before = app.get(&format!("/v1/users/{id}")).await.body;
        let long = "x".repeat(300);
        for (field, value, words) in [
            ("first_name", json!("123"), "first_name must contain a letter"),
            ("last_name", json!("x".repeat(101)), "last_name must have 1 to 100 characters"),
            ("email_address", json!("unknown"), "email_address must be an e-mail address"),
            ("phone_number", json!("12"), "phone_number must be a US number of 10 digits"),
            ("phone_number", json!("1".repeat(41)), "phone_number must have at most 40 characters"),
            ("ssn_number", json!("000-45-6789"), "ssn_number must be a valid social security number"),
            ("ssn_number", json!("12345678"), "ssn_number must have nine digits"),
            ("birth_date", json!("1985-02-30"), "birth_date"),
            ("birth_date", json!("2030-01-01"), "birth_date must not be in the future"),
            ("birth_date", json!("23.01.1985"), "birth_date"),
            ("address_state", json!("VO"), "address_state"),
            ("address_postal_code", json!("2322"), "address_postal_code"),
            ("address_country_code", json!("XX"), "address_country_code"),
            ("address_line_1", json!(long), "address_line_1"),
            ("address_city", json!(7), "address_city must be a string"),
            ("first_name", json!(["John"]), "first_name must be a string"),
        ] {
            for created in [false, true] {
                let answer = if created {
                    app.post("/v1/users", with(john(), field, value.clone())).await
                } else {
                    put(&app, &id, json!({ field: value })).await
                };
                assert_eq!(
                    (answer.status, &answer.body["error"]["type"]),
                    (400, &json!("validation_error")),
                    "{field} {value} {}",
                    answer.body
                );
                assert!(
                    answer.body["error"]["message"].as_str().unwrap().starts_with(words),
                    "{field} {value} {}",
                    answer.body
                );
                assert_eq!(answer.body["error"].as_object().unwrap().len(), 2);
            }
        }
        assert_eq!(app.get(&format!("/v1/users/{id}")).await.body, before);
        assert_eq!(app.get("/v1/users").await.body["data"].as_array().unwrap().len(), 1);
    }

    async fn a_retried_update_is_applied_once(app: TestApp) {
        let id = created(&app, john()).await["id"].as_str().unwrap().to_owned();
        let request = || {
            app.rest("PUT", &format!("/v1/users/{id}"))
                .header("idempotency-key", "k")
                .json(&json!({ "address_city": "Norfolk" }))
        };
        let (first, again) = (send(request()).await, send(request()).await);
        assert_eq!((first.status, &first.body), (200, &again.body));
        assert_eq!(
            (
                first.headers.get("idempotent-replayed"),
                again.headers["idempotent-replayed"].to_str().unwrap()
            ),
            (None, "true")
        );
        let other = app
            .rest("PUT", &format!("/v1/users/{id}"))
            .header("idempotency-key", "k")
            .json(&json!({ "address_city": "Boston" }));
        assert_eq!(send(other).await.status, 409);
    }

    async fn each_check_returns_its_part_of_the_score(app: TestApp) {
        let checks = "mutation($input: UserCreateInput!) { userCreate(input: $input) {
            user { status kyc { score tags checks { check isPassed part rule } } } \
            userErrors { code } } }";
        let user = app.gql(checks, json!({ "input": person("Ada", "Review") })).await;
        let user = user.entity("userCreate", "user");
        let found: Vec<Value> = user["kyc"]["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| {
                assert!(check["rule"].as_str().unwrap().ends_with('.'));
                json!([check["check"], check["isPassed"], check["part"]])
            })
            .collect();
        assert_eq!(
            json!(found),
            json!([
                ["FORMAT", true, "0.25"],
                ["AGE", true, "0.20"],
                ["ADDRESS", true, "0.20"],
                ["PHONE", true, "0.05"],
                ["EMAIL", true, "0.05"],
                ["DUPLICATE_SSN", true, "0.12"],
                ["WATCH_LIST", true, "0.12"],
                ["PERSONA", false, "-0.54"],
            ])
        );
        assert_eq!(
            (&user["status"], &user["kyc"]["score"]),
            (&json!("DOCUMENTATION_REQUIRED"), &json!("0.45"))
        );
    }
}

/// For live partners, last names do not select an outcome, and a social security number that was used before
/// needs a reviewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_live_partners_are_checked_by_the_rules_alone() {
    let providers = Providers { live_identity: Some(Arc::new(BuiltIn)), ..Providers::default() };
    for app in TestApp::each_with(Options { providers, ..Options::default() }).await {
        let key = app.live_key().await;
        let create =
            async |body: Value| send(app.anonymous("POST", "/v1/users").bearer_auth(&key).json(&body)).await;
        let numbered = |last: &str, ssn: &str| with(with(john(), "last_name", last), "ssn_number", ssn);
        for (body, status) in [
            (john(), "approved"),
            (numbered("Denied", "123456788"), "approved"),
            (john(), "documentation_required"),
            (with(numbered("Doe", "123456787"), "birth_date", "2015-01-01"), "denied"),
            (
                with(with(numbered("Doe", "123456786"), "address_country_code", "CA"), "address_state", "ON"),
                "action_required",
            ),
        ] {
            let made = create(body.clone()).await;
            assert_eq!((made.status, &made.body["status"]), (200, &json!(status)), "{body} {}", made.body);
        }
        // The number of a denied user with another birth date needs a reviewer.
        let check = async |body: Value| {
            send(app.anonymous("POST", "/v1/kyc").bearer_auth(&key).json(&body)).await.body["data"]["outcome"]
                .clone()
        };
        let minor = with(numbered("Doe", "223456787"), "birth_date", "2015-01-01");
        assert_eq!(check(minor).await, "Denied");
        assert_eq!(check(numbered("Doe", "223456787")).await, "Manual Review");
        assert_eq!(check(numbered("Doe", "223456788")).await, "Approved");
        let mut far = numbered("Doe", "223456789");
        far["address_state"] = json!("AK");
        assert_eq!(
            create(far.clone()).await.body["status"],
            "action_required",
            "the ZIP code is in another state"
        );
        (far["address_state"], far["address_line_1"], far["ssn_number"]) =
            (json!("VA"), json!("PO Box 3"), json!("223456790"));
        assert_eq!(
            create(far).await.body["status"],
            "action_required",
            "a post office box is not a home address"
        );
        let impossible = create(numbered("Doe", "666456789")).await;
        let expected = json!({ "error": { "type": "validation_error",
            "message": "ssn_number must be a valid social security number" } });
        assert_eq!((impossible.status, impossible.body), (400, expected));
        // Of two concurrent users with the same number, one needs a reviewer.
        let twins = (0..2).map(|turn| {
            create(with(
                numbered("Doe", "219456789"),
                "first_name",
                format!("Twin{turn}").replace(['0', '1'], "a"),
            ))
        });
        let mut statuses: Vec<Value> =
            join_all(twins).await.into_iter().map(|made| made.body["status"].clone()).collect();
        statuses.sort_by_key(Value::to_string);
        assert_eq!(statuses, ["approved", "documentation_required"]);
    }
}
