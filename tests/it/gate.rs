//! Until a person is approved, nothing of hers is funded, traded or managed: over every mutation and every
//! route there is.

use crate::support::{Answer, Customer, TestApp, on_both, send};
use coffer::rest::ROUTES;
use entity::user::{self, Status};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, Iterable, Statement};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Mutations that are not about a customer's money, or that take back what was begun, and so are there before
/// approval.
const OPEN_MUTATIONS: &[&str] = &[
    // Becoming approved, and saying who one is.
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
    // The partner's own affairs.
    "apiKeyIssue",
    "apiKeyRotate",
    "apiKeyRevoke",
    "sandboxClockAdvance",
    "sandboxClockFreeze",
    "sandboxClockRun",
    "sandboxMarketHoursSet",
    "sandboxQuoteSet",
    // Less risk, not more.
    "orderCancel",
    "bankAccountRemove",
    // What operators do to accounts.
    "accountFreeze",
    "accountUnfreeze",
    "accountClose",
];

/// The same of the routes that change something.
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

/// A mutation that must be refused: its name, its entity, its input.
fn gated_mutations(her: &Customer) -> Vec<(&'static str, &'static str, Value)> {
    let account = json!({
        "userId": her.user_id, "type": "CASH", "maritalStatus": "SINGLE", "countryOfCitizenship": "USA",
        "employmentStatus": "EMPLOYED",
        "employmentPosition": "Engineer", "employerName": "Example Inc",
    });
    let bank = json!({ "userId": her.user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": "Second" });
    let deposit = json!({ "accountId": her.account_id, "bankAccountId": her.bank_account_id,
        "amount": { "amount": "1" } });
    let order =
        |side: &str| json!({ "accountId": her.account_id, "symbol": "KO", "side": side, "quantity": "1" });
    vec![
        ("accountOpen", "account", account),
        ("bankAccountLink", "bankAccount", bank),
        ("depositCreate", "transfer", deposit),
        (
            "accountUpdate",
            "account",
            json!({ "accountId": her.account_id, "patch": { "employerName": "Another Inc" } }),
        ),
        (
            "bankAccountRename",
            "bankAccount",
            json!({ "bankAccountId": her.bank_account_id, "nickname": "Another" }),
        ),
        ("bankAccountSetDefault", "bankAccount", json!({ "bankAccountId": her.bank_account_id })),
        ("orderPlace", "order", order("BUY")),
        ("orderPlace", "order", order("SELL")),
    ]
}

/// A route that must be refused: its path as it is listed, the path asked, its body.
fn gated_routes(her: &Customer) -> Vec<(&'static str, &'static str, String, Value)> {
    let user = |path: &str| path.replace("{id}", &her.user_id);
    let account = json!({
        "ownership": "individual", "account_type": "cash", "martial_status": "single",
        "country_of_citizenship": "USA",
        "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
    });
    let bank = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
        "bank_account_nickname": "Second" });
    let deposit =
        json!({ "account_id": her.account_id, "bank_account_id": her.bank_account_id, "amount": "1.00" });
    let order = |side: &str| {
        json!({ "account_id": her.account_id, "symbol": "KO", "quantity": "1",
        "side": side, "type": "market" })
    };
    vec![
        ("POST", "/v1/users/{id}/accounts", user("/v1/users/{id}/accounts"), account),
        ("POST", "/v1/users/{id}/bank_accounts", user("/v1/users/{id}/bank_accounts"), bank),
        ("POST", "/v1/deposits", "/v1/deposits".to_owned(), deposit),
        (
            "PUT",
            "/v1/accounts/{id}",
            format!("/v1/accounts/{}", her.account_id),
            json!({ "employer_name": "Another Inc" }),
        ),
        (
            "PUT",
            "/v1/bank_accounts/{id}",
            format!("/v1/bank_accounts/{}", her.bank_account_id),
            json!({ "default": true }),
        ),
        ("POST", "/v1/orders", "/v1/orders".to_owned(), order("buy")),
        ("POST", "/v1/orders", "/v1/orders".to_owned(), order("sell")),
    ]
}

fn type_name(mutation: &str) -> String {
    let (first, rest) = mutation.split_at(1);
    format!("{}{rest}Input", first.to_uppercase())
}

/// Several mutations in one document, each with its own input.
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

async fn stands_at(app: &TestApp, her: &Customer, status: Status) {
    let row = user::Entity::find_by_id(her.user_id.parse::<uuid::Uuid>().unwrap())
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

/// What funding, trading and managing writes.
async fn written(app: &TestApp) -> Vec<i64> {
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

/// A customer who signs in, with money and shares; with her own token.
async fn customer(app: &TestApp) -> (Customer, String) {
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
    let mut her = Customer {
        user_id: person.user_id.clone(),
        account_id: String::new(),
        bank_account_id: String::new(),
    };
    let made = batch(app, &app.key, &gated_mutations(&her)[..2]).await;
    let id = |turn: &str, entity: &str| made.data()[turn][entity]["id"].as_str().unwrap().to_owned();
    (her.account_id, her.bank_account_id) = (id("m0", "account"), id("m1", "bankAccount"));
    let keyed = |mut input: Value, key: &str| {
        input["idempotencyKey"] = json!(key);
        input
    };
    let [_, _, (name, entity, deposit), ..] = &gated_mutations(&her)[..] else { unreachable!() };
    let mut deposit = keyed(deposit.clone(), "fund");
    deposit["amount"]["amount"] = json!("1000.00");
    assert!(batch(app, &app.key, &[(name, entity, deposit)]).await.data()["m0"]["userErrors"] == json!([]));
    app.advance_to("2026-07-10T16:00:00Z").await;
    app.quote("KO", "60.00", "60.10").await;
    let order = json!({ "idempotencyKey": "shares", "accountId": her.account_id, "symbol": "KO",
        "side": "BUY", "quantity": "3" });
    let order = batch(app, &app.key, &[("orderPlace", "order", order)]).await.data()["m0"]["order"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(app.ended(&order).await["status"], "FILLED");
    (her, person.access)
}

#[test]
fn every_operation_is_known_to_the_gate() {
    let her = Customer { user_id: String::new(), account_id: String::new(), bank_account_id: String::new() };
    let schema = include_str!("../../schema.graphql");
    let body = schema.split("type Mutation {").nth(1).unwrap().split("\n}").next().unwrap();
    let fields = body
        .lines()
        .filter_map(|line| line.strip_prefix('\t'))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let mutations: BTreeSet<&str> = fields.filter_map(|line| line.split(['(', ':']).next()).collect();
    let gated: BTreeSet<&str> = gated_mutations(&her).into_iter().map(|(name, ..)| name).collect();
    let known: BTreeSet<&str> = gated.iter().copied().chain(OPEN_MUTATIONS.iter().copied()).collect();
    assert_eq!(mutations, known, "say in tests/it/gate.rs whether a new mutation waits for approval");
    assert!(OPEN_MUTATIONS.iter().all(|name| !gated.contains(name)));

    let changing = |method: &str| method != "GET";
    let served: BTreeSet<(&str, &str)> = ROUTES
        .into_iter()
        .flatten()
        .map(|route| (route.method, route.path))
        .filter(|(method, _)| changing(method))
        .collect();
    let gated: BTreeSet<(&str, &str)> =
        gated_routes(&her).iter().map(|(method, path, ..)| (*method, *path)).collect();
    let known: BTreeSet<(&str, &str)> = gated.iter().copied().chain(OPEN_ROUTES.iter().copied()).collect();
    assert_eq!(served, known, "say in tests/it/gate.rs whether a new route waits for approval");
    assert!(OPEN_ROUTES.iter().all(|route| !gated.contains(route)));
}

on_both! {
    async fn who_is_not_approved_is_refused_everywhere(app: TestApp) {
        let (her, token) = customer(&app).await;
        for status in Status::iter().filter(|status| *status != Status::Approved) {
            stands_at(&app, &her, status).await;
            let before = written(&app).await;
            let refusal = json!([{ "code": "KYC_NOT_APPROVED" }]);
            for (who, key) in [("partner", app.key.as_str()), ("herself", token.as_str())] {
                let keyed =
                    gated_mutations(&her).into_iter().enumerate().map(|(turn, (name, entity, mut input))| {
                        input["idempotencyKey"] = json!(format!("{status:?}-{turn}"));
                        (name, entity, input)
                    });
                let keyed: Vec<_> = keyed.collect();
                // Each alone, twice under one key, and in documents of four beside something that is allowed.
                for mutation in &keyed {
                    for again in [false, true] {
                        let answer = batch(&app, key, std::slice::from_ref(mutation)).await;
                        let told = &answer.data()["m0"];
                        assert_eq!(
                            (&told["userErrors"], &told[mutation.1]),
                            (&refusal, &Value::Null),
                            "{who} {status:?} {} {again}",
                            mutation.0
                        );
                    }
                }
                let allowed = json!({ "userId": her.user_id, "patch": {} });
                for several in keyed.chunks(3) {
                    let mut document = vec![("userUpdate", "user", allowed.clone())];
                    document.extend(several.iter().cloned());
                    let answer = batch(&app, key, &document).await;
                    assert_eq!(answer.data()["m0"]["userErrors"], json!([]), "{who} {status:?}");
                    for (turn, (name, ..)) in document.iter().enumerate().skip(1) {
                        assert_eq!(
                            answer.data()[format!("m{turn}")]["userErrors"],
                            refusal,
                            "{who} {status:?} {name}"
                        );
                    }
                }
            }
            for (turn_of_route, (method, _, path, body)) in gated_routes(&her).into_iter().enumerate() {
                for (turn, key) in [&app.key, &token, &app.key].into_iter().enumerate() {
                    let request = app
                        .anonymous(method, &path)
                        .bearer_auth(key)
                        .header("idempotency-key", format!("rest-{status:?}-{turn_of_route}"));
                    let answer = send(request.json(&body)).await;
                    let told = json!({ "error": { "type": "invalid_request",
                        "message": "The user's identity has not been approved." } });
                    assert_eq!((answer.status, &answer.body), (402, &told), "{status:?} {method} {path}");
                    assert_eq!(
                        answer.headers.contains_key("idempotent-replayed"),
                        turn == 2,
                        "{status:?} {method} {path} {turn}"
                    );
                }
            }
            assert_eq!(written(&app).await, before, "{status:?}");
        }
        // What was refused under a key stays refused once she is approved; what is asked anew is done.
        stands_at(&app, &her, Status::Approved).await;
        let mut order = gated_mutations(&her).pop().unwrap();
        order.2["idempotencyKey"] = json!("Pending-7");
        assert_eq!(
            batch(&app, &app.key, std::slice::from_ref(&order)).await.data()["m0"]["userErrors"],
            json!([{ "code": "KYC_NOT_APPROVED" }])
        );
        order.2["idempotencyKey"] = json!("anew");
        let placed = batch(&app, &app.key, std::slice::from_ref(&order)).await.data()["m0"].clone();
        assert_eq!(placed["userErrors"], json!([]));
        // What was done under a key is told again to whoever repeats it, and not done again, though she is
        // approved no longer.
        app.ended(placed["order"]["id"].as_str().unwrap()).await;
        stands_at(&app, &her, Status::Denied).await;
        let before = written(&app).await;
        assert_eq!(batch(&app, &app.key, &[order]).await.data()["m0"], placed);
        assert_eq!(written(&app).await, before);
    }
}
