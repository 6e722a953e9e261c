//! Access control for users who sign in, with and without their second factor, and for an operator's key.

use super::{
    Answer, Case, Code, NEVER_ISSUED, NotFound, Null, Nulls, Outcome, Refused, SHARED, SUBSCRIPTIONS,
    UNSCOPED, assert_not_found, assert_outcome, cases, partner_data,
};
use crate::support::{TestApp, on_both, send, socket::Socket};
use coffer::rest::WELLNESS;
use domain::Scope;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// How long to wait for the first message.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for each further message.
const NEXT_MESSAGE_TIMEOUT: Duration = Duration::from_millis(300);

const NOT_PASSED: Outcome = Code("TWO_FACTOR_REQUIRED");

/// Method, path, body, and the expected status and body for each of seven callers.
type WellnessCase = (&'static str, String, Value, [(u16, Value); 7]);

/// Returns the outcome for a user who has passed the second factor and requests another user's objects.
fn another_person(case: &Case) -> Outcome {
    match case.field {
        "kycAnswer" | "kycCorrect" | "kycDocumentUploadPrepare" => NotFound("kycId"),
        "kycByToken" | "node" | "user" | "account" | "transfer" | "order" | "partner" | "invitation"
        | "gainsReport" | "statement" => Null,
        "nodes" => Nulls,
        "orders" | "accounts" | "transfers" | "fills" => Outcome::EmptyPage,
        "viewer" | "credential" | "eventCursor" | "users" | "instrument" | "instrumentBySymbol"
        | "instruments" | "corporateActions" | "marketClock" | "passwordRecover" | "totpEnroll"
        | "totpRemove" => Answer,
        "accountOpen" | "bankAccountLink" | "userUpdate" | "profileUpdate" | "userDataMail" => {
            NotFound("userId")
        }
        "depositCreate" | "withdrawalCreate" | "orderPlace" | "accountUpdate" | "statementCreate" => {
            NotFound("accountId")
        }
        "orderCancel" => NotFound("orderId"),
        "transferCancel" => NotFound("transferId"),
        // The previous caller has registered the address; this user's own phone number is verified.
        "userSignUp" => Refused("EMAIL_TAKEN"),
        "passcodeSend" => Refused("PHONE_VERIFIED"),
        "userSignIn" | "tokenRefresh" | "userSignOut" | "passwordChange" => Refused("INVALID_CREDENTIALS"),
        "passwordReset" => Refused("INVALID_TOKEN"),
        "passcodeVerify" => Refused("INVALID_HASH_CODE"),
        "totpVerify" => Refused("INVALID_PASSCODE"),
        "userCreate" | "kycStart" | "userSignInEnable" | "userSignInDisable" | "userTwoFactorReset"
        | "invitations" | "invitationCreate" | "invitationRevoke" => UNSCOPED,
        _ if case.scope == Some(Scope::Operate) => UNSCOPED,
        // A generated case of a mutation that users may do for themselves.
        _ if matches!(case.other, NotFound(_)) => case.other,
        other => panic!("add {other} to the table in tests/it/access/people.rs"),
    }
}

/// Returns the outcome for a user who has signed in with a password but not passed the second factor.
fn without_second_factor(case: &Case) -> Outcome {
    match case.field {
        "partner" | "invitation" => Null,
        "credential" | "instrument" | "instrumentBySymbol" | "instruments" | "marketClock" | "userSignUp"
        | "passwordRecover" | "passcodeSend" | "totpEnroll" => Answer,
        "userSignIn" | "tokenRefresh" | "userSignOut" => Refused("INVALID_CREDENTIALS"),
        "passwordReset" => Refused("INVALID_TOKEN"),
        "passcodeVerify" => Refused("INVALID_HASH_CODE"),
        "totpVerify" => Refused("INVALID_PASSCODE"),
        _ => NOT_PASSED,
    }
}

on_both! {
    async fn every_root_field_hides_data_from_other_users_and_operators(app: TestApp) {
        let a = partner_data(&app).await;
        let half = app.sign_up("half@example.com").await;
        let person = app.person("another@example.com", "2025550142").await;
        let operator = app.key_for(&[Scope::Operate]).await;
        app.backdate("passcode", "sent_at", 31).await;
        for (_, case) in cases(&a) {
            let answer = app.gql_as(Some(&half.access), &case.document, case.variables.clone()).await;
            assert_outcome(without_second_factor(&case), &case, &answer.body, "a user without second factor");
            a.assert_absent_from(&answer.body.to_string(), case.field);
        }
        for (_, case) in cases(&a) {
            let answer = app.gql_as(Some(&person.access), &case.document, case.variables.clone()).await;
            assert_outcome(another_person(&case), &case, &answer.body, "another user");
            a.assert_absent_from(&answer.body.to_string(), case.field);
        }
        for (_, case) in cases(&a).into_iter().filter(|(_, case)| case.scope != Some(Scope::Operate)) {
            let answer = app.gql_as(Some(&operator), &case.document, case.variables.clone()).await;
            let expected = if case.field == "userSignUp" { UNSCOPED } else { case.unscoped };
            assert_outcome(expected, &case, &answer.body, "an operator");
            a.assert_absent_from(&answer.body.to_string(), case.field);
        }
        assert_eq!(app.audit().await.wrong, None);
        let orders =
            app.gql("{ orders { edges { node { id } } } users { edges { node { id } } } }", json!({})).await;
        let lengths = ["orders", "users"].map(|list| orders.data()[list]["edges"].as_array().unwrap().len());
        assert_eq!(lengths, [2, 5], "two orders; two users from the setup and three that signed up");
    }

    async fn subscriptions_send_users_only_their_own_events(app: TestApp) {
        let a = partner_data(&app).await;
        let half = app.sign_up("half@example.com").await;
        let person = app.person("another@example.com", "2025550142").await;
        for (field, document, anonymous) in SUBSCRIPTIONS {
            let variables = json!({ "id": a.id("Account") });
            let mut socket = Socket::join(&app, Some(&half.access)).await;
            socket.subscribe("1", document, variables.clone()).await;
            let message = socket.hear().await.unwrap();
            let refused = message.to_string().contains("TWO_FACTOR_REQUIRED");
            assert_eq!(refused, !matches!(anonymous, Answer), "{field} {message}");
            let mut socket = Socket::join(&app, Some(&person.access)).await;
            socket.subscribe("1", document, variables).await;
            if field == "orderChanged" {
                let message = socket.hear().await.unwrap();
                a.assert_absent_from(&message.to_string(), field);
                assert_not_found(&message, "accountId");
                continue;
            }
            let mut types = Vec::new();
            let timeout = |types: &[Value]| {
                if types.is_empty() { FIRST_MESSAGE_TIMEOUT } else { NEXT_MESSAGE_TIMEOUT }
            };
            while let Some(message) = socket.hear_within(timeout(&types)).await {
                a.assert_absent_from(&message.to_string(), field);
                assert!(message["payload"].get("errors").is_none(), "{field} {message}");
                types.push(message["payload"]["data"][field]["type"].clone());
                if field == "marketClockChanged" {
                    break;
                }
            }
            let own = match field {
                "events" => json!(["USER_CREATED"]),
                _ => json!([null]),
            };
            assert_eq!(json!(types), own, "{field}");
        }
    }

    async fn every_route_of_the_wellness_api_hides_data_from_other_callers(app: TestApp) {
        let a = partner_data(&app).await;
        let (_, other) = app.other_partner("another").await;
        let half = app.sign_up("half@example.com").await;
        let person = app.person("another@example.com", "2025550142").await;
        let publishable = app.key_for(&[Scope::Start]).await;
        let operator = app.key_for(&[Scope::Operate]).await;
        let denied = json!({ "detail": "Authentication credentials are missing or invalid.",
            "code": "not-authenticated" });
        let missing = json!({ "detail": "Not found.", "code": "not-found" });
        let half_way = json!({ "detail": "User is not two factor authenticated.",
            "code": "not-two-factor-authenticated" });
        let recovery =
            json!({ "detail": "You will receive an email with further instructions.", "code": "email-sent" });
        let refused = |detail: &str, code: &str| json!({ "detail": detail, "code": code });
        let login = refused("Unable to login with given credentials.", "invalid-credentials");
        let bad_token = refused("The token is invalid or expired. Request a new one.", "invalid-token");
        let invited = json!({ "email": "zenobia@quartermaine.example" });
        let credentials = json!({ "email": "zenobia@quartermaine.example", "password": "a wrong password" });
        // The callers are: anonymous, an unknown key, a publishable key, an operator's key, another partner,
        // a user without second factor, another user. A body of null means that the response differs with
        // every request.
        let u = "/account/v1/users/{id}";
        let sms = "/two_factor_authentication/v1/one_time_passcode/{id}/sms";
        let ok = (200, json!(null));
        let no = (401, denied.clone());
        let none = (404, missing.clone());
        let login = (403, login);
        let half_way = (403, half_way);
        let table: Vec<WellnessCase> = vec![
            (
                "POST",
                "/account/v1/users".into(),
                json!({ "email": "EMAIL", "password": "long enough" }),
                [ok.clone(), no.clone(), ok.clone(), no.clone(), ok.clone(), ok.clone(), ok.clone()],
            ),
            (
                "GET",
                u.into(),
                json!({}),
                [
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    none.clone(),
                    half_way.clone(),
                    none.clone(),
                ],
            ),
            (
                "PUT",
                u.into(),
                json!({ "full_name": "Someone Else" }),
                [
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    none.clone(),
                    half_way.clone(),
                    none.clone(),
                ],
            ),
            (
                "GET",
                format!("{u}/send_data_email"),
                json!({}),
                [
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    none.clone(),
                    half_way.clone(),
                    none.clone(),
                ],
            ),
            (
                "POST",
                format!("{u}/send_data_email"),
                json!({}),
                [
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    no.clone(),
                    none.clone(),
                    half_way.clone(),
                    none.clone(),
                ],
            ),
            (
                "POST",
                "/account/v1/auth/token".into(),
                credentials,
                [
                    login.clone(),
                    no.clone(),
                    login.clone(),
                    no.clone(),
                    login.clone(),
                    login.clone(),
                    login.clone(),
                ],
            ),
            (
                "DELETE",
                "/account/v1/auth/token".into(),
                json!({ "refresh": "a.b.c" }),
                [no.clone(), no.clone(), no.clone(), no.clone(), no.clone(), login.clone(), login.clone()],
            ),
            (
                "POST",
                "/account/v1/auth/token/refresh".into(),
                json!({ "refresh": "a.b.c" }),
                [
                    login.clone(),
                    no.clone(),
                    login.clone(),
                    login.clone(),
                    login.clone(),
                    login.clone(),
                    login.clone(),
                ],
            ),
            (
                "GET",
                "/account/v1/invitation/{id}".into(),
                json!({}),
                [
                    (200, invited.clone()),
                    no.clone(),
                    (200, invited.clone()),
                    (200, invited.clone()),
                    (200, invited.clone()),
                    (200, invited.clone()),
                    (200, invited),
                ],
            ),
            (
                "POST",
                "/account/v1/password_recovery".into(),
                json!({ "email": "zenobia@quartermaine.example" }),
                [
                    (200, recovery.clone()),
                    no.clone(),
                    (200, recovery.clone()),
                    no.clone(),
                    (200, recovery.clone()),
                    (200, recovery.clone()),
                    (200, recovery),
                ],
            ),
            (
                "PATCH",
                "/account/v1/password_recovery/reset".into(),
                json!({ "token": "CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7", "password": "long enough" }),
                [
                    (422, bad_token.clone()),
                    no.clone(),
                    (422, bad_token.clone()),
                    (422, bad_token.clone()),
                    (422, bad_token.clone()),
                    (422, bad_token.clone()),
                    (422, bad_token),
                ],
            ),
            (
                "POST",
                format!("{sms}/send"),
                json!({ "phone_number": "2025550107" }),
                [no.clone(), no.clone(), no.clone(), no.clone(), no.clone(), none.clone(), none.clone()],
            ),
            (
                "POST",
                format!("{sms}/verify"),
                json!({ "hash_code": "gAAAAABdqL", "passcode": "123456" }),
                [no.clone(), no.clone(), no.clone(), no.clone(), no.clone(), none.clone(), none],
            ),
        ];
        let listed: BTreeSet<(&str, &str)> =
            table.iter().map(|(method, path, ..)| (*method, path.as_str())).collect();
        let served: BTreeSet<(&str, &str)> =
            WELLNESS.into_iter().flatten().map(|route| (route.method, route.path)).collect();
        assert_eq!(listed, served, "add the new route to the table in tests/it/access/people.rs");
        let callers = [
            None,
            Some(NEVER_ISSUED),
            Some(publishable.as_str()),
            Some(&operator),
            Some(&other),
            Some(&half.access),
            Some(&person.access),
        ];
        for (method, path, body, expected) in table {
            let path =
                path.replace("{id}", a.id(if path.contains("invitation") { "Invitation" } else { "User" }));
            for (turn, (caller, (status, expected_body))) in callers.iter().zip(&expected).enumerate() {
                let body: Value = serde_json::from_str(
                    &body.to_string().replace("EMAIL", &format!("new{turn}@example.com")),
                )
                .unwrap();
                let answer = app.wellness(*caller, method, &path, Some(body)).await;
                let context = format!("{method} {path} by caller {turn}: {}", answer.body);
                assert_eq!(answer.status, *status, "{context}");
                if !expected_body.is_null() {
                    assert_eq!(&answer.body, expected_body, "{context}");
                }
                if !path.contains("invitation") {
                    a.assert_absent_from(&answer.body.to_string(), &context);
                }
            }
        }
    }

    async fn a_node_of_any_type_is_hidden_from_other_users(app: TestApp) {
        let a = partner_data(&app).await;
        let half = app.sign_up("half@example.com").await;
        let person = app.person("another@example.com", "2025550142").await;
        let node = "query($id: ID!) { node(id: $id) { id __typename } }";
        for (kind, id) in a.ids.iter().filter(|(kind, _)| !SHARED.contains(kind)) {
            let seen = app.gql_as(Some(&person.access), node, json!({ "id": id })).await;
            assert_eq!(seen.body, json!({ "data": { "node": null } }), "{kind}");
            let refused = app.gql_as(Some(&half.access), node, json!({ "id": id })).await;
            assert_eq!(refused.error_code(), "TWO_FACTOR_REQUIRED", "{kind}");
        }
        let own = app.gql_as(Some(&person.access), node, json!({ "id": person.user_id })).await;
        assert_eq!(own.body, json!({ "data": { "node": { "id": person.user_id, "__typename": "User" } } }));
    }

    async fn the_brokerage_api_shows_users_only_their_own_data(app: TestApp) {
        let a = partner_data(&app).await;
        let half = app.sign_up("half@example.com").await;
        let person = app.person("another@example.com", "2025550142").await;
        for route in coffer::rest::ROUTES.into_iter().flatten() {
            let path = a.at(route.path);
            let request =
                |token: &str| app.anonymous(route.method, &path).bearer_auth(token).json(&json!({}));
            let context = format!("{} {path}", route.method);
            let refused = send(request(&half.access)).await;
            let expected = json!({ "error": { "type": "authentication_error",
                "message": "User is not two factor authenticated." } });
            assert_eq!((refused.status, &refused.body), (403, &expected), "{context}");
            let answer = send(request(&person.access)).await;
            a.assert_absent_from(&answer.body.to_string(), &context);
            match (route.method, route.path) {
                ("GET", "/v1/users") => {
                    assert_eq!(answer.body["data"][0]["id"], json!(person.user_id), "{context}");
                }
                ("GET", "/v1/orders" | "/v1/deposits" | "/v1/withdrawals" | "/v1/statements") => {
                    assert_eq!(answer.body["data"], json!([]), "{context}");
                }
                ("POST", "/v1/users" | "/v1/kyc") => assert_eq!(answer.status, 401, "{context}"),
                // Missing fields of the empty body are reported first, except for documents: their identity
                // check is looked up before the body is checked.
                ("POST" | "PATCH", path) if path != "/v1/kyc/{token}/documents" => {
                    assert_eq!(answer.status, 400, "{context} {}", answer.body);
                }
                _ => assert_eq!(
                    (answer.status, &answer.body["error"]["type"]),
                    (404, &json!("not_found")),
                    "{context}"
                ),
            }
        }
        let account = json!({
            "ownership": "individual", "account_type": "cash", "martial_status": "single",
            "country_of_citizenship": "USA",
            "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
        });
        let bank = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
            "bank_account_nickname": "Mine now" });
        let deposit = json!({ "account_id": a.id("Account"), "bank_account_id": a.id("BankAccount"),
            "amount": "1.00" });
        let order = json!({ "account_id": a.id("Account"), "symbol": "VTI", "quantity": "0.1", "side": "sell",
            "type": "market" });
        let user = format!("/v1/users/{}", a.id("User"));
        for (path, body, field) in [
            (format!("{user}/accounts"), account, "user_id"),
            (format!("{user}/bank_accounts"), bank, "user_id"),
            ("/v1/deposits".to_owned(), deposit.clone(), "account_id"),
            ("/v1/withdrawal".to_owned(), deposit, "account_id"),
            ("/v1/orders".to_owned(), order, "account_id"),
        ] {
            let refused = send(app.anonymous("POST", &path).bearer_auth(&person.access).json(&body)).await;
            let told = json!({ "error": { "type": "not_found",
                "message": format!("{field} was not found") } });
            assert_eq!((refused.status, &refused.body), (404, &told), "{path}");
        }
    }
}
