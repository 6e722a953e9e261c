//! Checks that every mutation and every REST route refuses to fund, trade or manage for a user that is not
//! approved.

use crate::{
    access::generated,
    support::{Answer, Customer, TestApp, on_both, send},
};
use coffer::rest::{ROUTES, Route, core::openapi};
use entity::user::{self, Status};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, Iterable, Statement};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Mutations that are available before approval: they do not move a user's money, or they reduce risk.
const OPEN_MUTATIONS: &[&str] = &[
    // Identity check and personal data.
    "userCreate",
    "userUpdate",
    "profileUpdate",
    "userDataMail",
    "kycStart",
    "kycAnswer",
    "kycCorrect",
    "kycDocumentUploadPrepare",
    "kycApprove",
    "kycDeny",
    // Signing in.
    "userSignUp",
    "userSignIn",
    "userSignOut",
    "tokenRefresh",
    "passwordChange",
    "passwordRecover",
    "passwordReset",
    "passcodeSend",
    "passcodeVerify",
    "totpEnroll",
    "totpVerify",
    "totpRemove",
    "userSignInEnable",
    "userSignInDisable",
    "userTwoFactorReset",
    "invitationCreate",
    "invitationRevoke",
    "watchListHitClear",
    // The partner's keys and sandbox.
    "partnerSettingsUpdate",
    "apiKeyIssue",
    "apiKeyRotate",
    "apiKeyRevoke",
    "sandboxClockAdvance",
    "sandboxClockFreeze",
    "sandboxClockRun",
    "sandboxMarketHoursSet",
    "sandboxQuoteSet",
    "sandboxBarPush",
    "sandboxTransferReturn",
    // Reduces risk.
    "orderCancel",
    "transferCancel",
    "bankAccountRemove",
    // Tells what has happened.
    "statementCreate",
    // Operator actions on instruments and accounts.
    "corporateActionApply",
    "corporateActionWithdraw",
    "accountFreeze",
    "accountUnfreeze",
    "accountClose",
];

/// Mutations that are refused before approval, with an input that is tested with the area's other tests:
/// `trading::order_types`.
const GATED_ELSEWHERE: &[&str] = &["orderReplace"];

/// REST routes that change data and are available before approval.
const OPEN_ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/users"),
    ("PUT", "/v1/users/{id}"),
    ("POST", "/v1/kyc"),
    ("PATCH", "/v1/kyc/{token}"),
    ("POST", "/v1/kyc/{token}/documents"),
    ("PUT", "/v1/kyc/{token}/documents"),
    ("DELETE", "/v1/orders/{id}"),
    ("DELETE", "/v1/bank_accounts/{id}"),
];

/// Returns the mutations that must be refused: name, entity and input of each. Those that are not listed have a
/// generated input.
fn gated_mutations(user: &Customer) -> Vec<(&'static str, &'static str, Value)> {
    let mut gated = listed_mutations(user);
    let listed: BTreeSet<&str> =
        gated.iter().map(|(name, ..)| *name).chain(OPEN_MUTATIONS.iter().copied()).collect();
    let id_of = |kind: &str| match kind {
        "User" => Some(user.user_id.clone()),
        "Account" => Some(user.account_id.clone()),
        "BankAccount" => Some(user.bank_account_id.clone()),
        _ => None,
    };
    let last = gated.pop();
    for mutation in generated::mutations().into_iter().filter(|mutation| !listed.contains(mutation.field)) {
        if let Some(input) = mutation.example(&id_of) {
            gated.push((mutation.field, mutation.entity.leak(), input));
        }
    }
    gated.extend(last);
    gated
}

/// Returns those whose input needs more than ids and values of the right type.
fn listed_mutations(user: &Customer) -> Vec<(&'static str, &'static str, Value)> {
    let account = json!({
        "userId": user.user_id, "type": "CASH", "maritalStatus": "SINGLE", "countryOfCitizenship": "USA",
        "employmentStatus": "EMPLOYED",
        "employmentPosition": "Engineer", "employerName": "Example Inc",
    });
    let bank = json!({ "userId": user.user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": "Second" });
    let deposit = json!({ "accountId": user.account_id, "bankAccountId": user.bank_account_id,
        "amount": { "amount": "1" } });
    let withdrawal = deposit.clone();
    let order =
        |side: &str| json!({ "accountId": user.account_id, "symbol": "KO", "side": side, "quantity": "1" });
    vec![
        ("accountOpen", "account", account),
        ("bankAccountLink", "bankAccount", bank),
        ("depositCreate", "transfer", deposit),
        (
            "accountUpdate",
            "account",
            json!({ "accountId": user.account_id, "patch": { "employerName": "Another Inc" } }),
        ),
        ("withdrawalCreate", "transfer", withdrawal),
        ("orderPlace", "order", order("BUY")),
        ("orderPlace", "order", order("SELL")),
    ]
}

/// Returns the routes that must be refused: method, listed path, requested path and body of each. Those that are not
/// listed are sent the documented example.
fn gated_routes(user: &Customer) -> Vec<(&'static str, &'static str, String, Value)> {
    let mut gated = listed_routes(user);
    let document = openapi::document();
    for Route { method, path, .. } in ROUTES.into_iter().flatten().filter(|route| route.method != "GET") {
        let is_listed = gated.iter().any(|(listed, of, ..)| (listed, of) == (method, path));
        if is_listed || OPEN_ROUTES.contains(&(method, path)) {
            continue;
        }
        let id = match path.split('/').nth(2) {
            Some("accounts") => &user.account_id,
            Some("bank_accounts") => &user.bank_account_id,
            _ => &user.user_id,
        };
        let body = &document["paths"][path][method.to_lowercase()]["requestBody"]["content"];
        gated.push((method, path, path.replace("{id}", id), body["application/json"]["example"].clone()));
    }
    gated
}

/// Returns those whose body has ids.
fn listed_routes(user: &Customer) -> Vec<(&'static str, &'static str, String, Value)> {
    let user_path = |path: &str| path.replace("{id}", &user.user_id);
    let account = json!({
        "ownership": "individual", "account_type": "cash", "martial_status": "single",
        "country_of_citizenship": "USA",
        "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
    });
    let bank = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
        "bank_account_nickname": "Second" });
    let deposit =
        json!({ "account_id": user.account_id, "bank_account_id": user.bank_account_id, "amount": "1.00" });
    let order = |side: &str| {
        json!({ "account_id": user.account_id, "symbol": "KO", "quantity": "1",
        "side": side, "type": "market" })
    };
    vec![
        ("POST", "/v1/users/{id}/accounts", user_path("/v1/users/{id}/accounts"), account),
        ("POST", "/v1/users/{id}/bank_accounts", user_path("/v1/users/{id}/bank_accounts"), bank),
        ("POST", "/v1/deposits", "/v1/deposits".to_owned(), deposit.clone()),
        ("POST", "/v1/withdrawal", "/v1/withdrawal".to_owned(), deposit.clone()),
        ("POST", "/v1/withdrawals", "/v1/withdrawals".to_owned(), deposit),
        (
            "PUT",
            "/v1/accounts/{id}",
            format!("/v1/accounts/{}", user.account_id),
            json!({ "employer_name": "Another Inc" }),
        ),
        ("POST", "/v1/orders", "/v1/orders".to_owned(), order("buy")),
        ("POST", "/v1/orders", "/v1/orders".to_owned(), order("sell")),
    ]
}

fn type_name(mutation: &str) -> String {
    let (first, rest) = mutation.split_at(1);
    format!("{}{rest}Input", first.to_uppercase())
}

/// Sends several mutations in one document, each with its own input.
async fn batch(app: &TestApp, key: &str, mutations: &[(&str, &str, Value)]) -> Answer {
    let named = |(turn, (name, ..)): (usize, &(&str, &str, Value))| format!("$i{turn}: {}!", type_name(name));
    let field = |(turn, (name, entity, _)): (usize, &(&str, &str, Value))| {
        format!("m{turn}: {name}(input: $i{turn}) {{ {entity} {{ id }} userErrors {{ code }} }}")
    };
    let variables = mutations.iter().enumerate().map(named).collect::<Vec<_>>().join(", ");
    let fields = mutations.iter().enumerate().map(field).collect::<Vec<_>>().join(" ");
    let inputs: Value =
        mutations.iter().enumerate().map(|(turn, (.., input))| (format!("i{turn}"), input.clone())).collect();
    app.gql_as(Some(key), &format!("mutation({variables}) {{ {fields} }}"), inputs).await
}

async fn set_status(app: &TestApp, user: &Customer, status: Status) {
    let row = user::Entity::find_by_id(user.user_id.parse::<uuid::Uuid>().unwrap())
        .one(&app.app.db.read)
        .await
        .unwrap()
        .unwrap();
    let mut row: user::ActiveModel = row.into();
    row.status = Set(status);
    let tx = app.app.db.write().await.unwrap();
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Counts the rows of every table that funding, trading and managing write to.
async fn row_counts(app: &TestApp) -> Vec<i64> {
    let db = &app.app.db.read;
    let mut rows = Vec::new();
    for table in
        ["account", "bank_account", "transfer", "orders", "ledger_transfer", "ledger_hold", "event", "timer"]
    {
        let count = Statement::from_string(
            db.get_database_backend(),
            format!("SELECT count(*) AS rows FROM {table}"),
        );
        rows.push(db.query_one_raw(count).await.unwrap().unwrap().try_get("", "rows").unwrap());
    }
    rows
}

/// Creates a user with sign-in, money and shares; returns the user and their access token.
async fn approved_user(app: &TestApp) -> (Customer, String) {
    let person = app.person("ada@example.com", "2025550107").await;
    let patch = json!({
        "firstName": "Ada", "lastName": "Carter", "ssn": "123456789", "birthDate": "1985-01-23",
        "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220",
            "countryCode": "US" },
    });
    let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { status } \
        userErrors { message } } }";
    let user = app.gql(update, json!({ "input": { "userId": person.user_id, "patch": patch } })).await;
    assert_eq!(user.entity("userUpdate", "user")["status"], "APPROVED");
    let mut user = Customer {
        user_id: person.user_id.clone(),
        account_id: String::new(),
        bank_account_id: String::new(),
    };
    let created = batch(app, &app.key, &gated_mutations(&user)[..2]).await;
    let id = |turn: &str, entity: &str| created.data()[turn][entity]["id"].as_str().unwrap().to_owned();
    (user.account_id, user.bank_account_id) = (id("m0", "account"), id("m1", "bankAccount"));
    let keyed = |mut input: Value, key: &str| {
        input["idempotencyKey"] = json!(key);
        input
    };
    let [_, _, (name, entity, deposit), ..] = &gated_mutations(&user)[..] else { unreachable!() };
    let mut deposit = keyed(deposit.clone(), "fund");
    deposit["amount"]["amount"] = json!("1000.00");
    assert!(batch(app, &app.key, &[(name, entity, deposit)]).await.data()["m0"]["userErrors"] == json!([]));
    app.advance_to("2026-07-10T16:00:00Z").await;
    app.quote("KO", "60.00", "60.10").await;
    let order = json!({ "idempotencyKey": "shares", "accountId": user.account_id, "symbol": "KO",
        "side": "BUY", "quantity": "3" });
    let order = batch(app, &app.key, &[("orderPlace", "order", order)]).await.data()["m0"]["order"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(app.ended(&order).await["status"], "FILLED");
    (user, person.access)
}

#[test]
fn every_operation_is_listed() {
    let user = Customer { user_id: String::new(), account_id: String::new(), bank_account_id: String::new() };
    let mutations: BTreeSet<&str> = generated::names().collect();
    let gated: BTreeSet<&str> = gated_mutations(&user).into_iter().map(|(name, ..)| name).collect();
    let others = OPEN_MUTATIONS.iter().chain(GATED_ELSEWHERE).copied();
    let known: BTreeSet<&str> = gated.iter().copied().chain(others).collect();
    assert_eq!(
        mutations, known,
        "list the new mutation in tests/it/gate.rs as available before approval or not"
    );
    assert!(OPEN_MUTATIONS.iter().all(|name| !gated.contains(name)));

    let changing = |method: &str| method != "GET";
    let served: BTreeSet<(&str, &str)> = ROUTES
        .into_iter()
        .flatten()
        .map(|route| (route.method, route.path))
        .filter(|(method, _)| changing(method))
        .collect();
    let gated: BTreeSet<(&str, &str)> =
        gated_routes(&user).iter().map(|(method, path, ..)| (*method, *path)).collect();
    let known: BTreeSet<(&str, &str)> = gated.iter().copied().chain(OPEN_ROUTES.iter().copied()).collect();
    assert_eq!(served, known, "list the new route in tests/it/gate.rs as available before approval or not");
    assert!(OPEN_ROUTES.iter().all(|route| !gated.contains(route)));
}

on_both! {
    async fn a_user_that_is_not_approved_is_refused_everywhere(app: TestApp) {
        let (user, token) = approved_user(&app).await;
        for status in Status::iter().filter(|status| *status != Status::Approved) {
            set_status(&app, &user, status).await;
            let before = row_counts(&app).await;
            let refusal = json!([{ "code": "KYC_NOT_APPROVED" }]);
            for (caller, key) in [("partner", app.key.as_str()), ("user", token.as_str())] {
                let keyed = gated_mutations(&user).into_iter().enumerate().map(
                    |(turn, (name, entity, mut input))| {
                        input["idempotencyKey"] = json!(format!("{status:?}-{turn}"));
                        (name, entity, input)
                    },
                );
                let keyed: Vec<_> = keyed.collect();
                // Each mutation alone, twice with one idempotency key, and in documents of four together with
                // an allowed mutation.
                for mutation in &keyed {
                    for again in [false, true] {
                        let answer = batch(&app, key, std::slice::from_ref(mutation)).await;
                        let payload = &answer.data()["m0"];
                        assert_eq!(
                            (&payload["userErrors"], &payload[mutation.1]),
                            (&refusal, &Value::Null),
                            "{caller} {status:?} {} {again}",
                            mutation.0
                        );
                    }
                }
                let allowed = json!({ "userId": user.user_id, "patch": {} });
                for several in keyed.chunks(3) {
                    let mut document = vec![("userUpdate", "user", allowed.clone())];
                    document.extend(several.iter().cloned());
                    let answer = batch(&app, key, &document).await;
                    assert_eq!(answer.data()["m0"]["userErrors"], json!([]), "{caller} {status:?}");
                    for (turn, (name, ..)) in document.iter().enumerate().skip(1) {
                        assert_eq!(
                            answer.data()[format!("m{turn}")]["userErrors"],
                            refusal,
                            "{caller} {status:?} {name}"
                        );
                    }
                }
            }
            for (turn_of_route, (method, _, path, body)) in gated_routes(&user).into_iter().enumerate() {
                for (turn, key) in [&app.key, &token, &app.key].into_iter().enumerate() {
                    let request = app
                        .anonymous(method, &path)
                        .bearer_auth(key)
                        .header("idempotency-key", format!("rest-{status:?}-{turn_of_route}"));
                    let answer = send(request.json(&body)).await;
                    let expected = json!({ "error": { "type": "invalid_request",
                        "message": "The user's identity has not been approved." } });
                    assert_eq!((answer.status, &answer.body), (402, &expected), "{status:?} {method} {path}");
                    assert_eq!(
                        answer.headers.contains_key("idempotent-replayed"),
                        turn == 2,
                        "{status:?} {method} {path} {turn}"
                    );
                }
            }
            assert_eq!(row_counts(&app).await, before, "{status:?}");
        }
        // A refusal is replayed for its idempotency key even after approval; a new key succeeds.
        set_status(&app, &user, Status::Approved).await;
        let mut order = gated_mutations(&user).pop().unwrap();
        order.2["idempotencyKey"] = json!("Pending-8");
        assert_eq!(
            batch(&app, &app.key, std::slice::from_ref(&order)).await.data()["m0"]["userErrors"],
            json!([{ "code": "KYC_NOT_APPROVED" }])
        );
        order.2["idempotencyKey"] = json!("new");
        let placed = batch(&app, &app.key, std::slice::from_ref(&order)).await.data()["m0"].clone();
        assert_eq!(placed["userErrors"], json!([]));
        // The result of a completed request is replayed for its idempotency key, without a second execution,
        // even when the user is no longer approved.
        app.ended(placed["order"]["id"].as_str().unwrap()).await;
        set_status(&app, &user, Status::Denied).await;
        let before = row_counts(&app).await;
        assert_eq!(batch(&app, &app.key, &[order]).await.data()["m0"], placed);
        assert_eq!(row_counts(&app).await, before);
    }
}
