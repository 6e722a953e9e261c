//! Invalid requests: the code, field and message of each refusal, and that nothing is written.

use crate::support::{
    ACCOUNT_OPEN, Answer, BANK_ACCOUNT_LINK, Customer, DEPOSIT_CREATE, ORDER_CANCEL, ORDER_PLACE, TestApp,
    USER_CREATE, cash_account, on_both, person, send,
};
use domain::{Scope, kernel::ids::Ids};
use entity::{Kind, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, Statement};
use serde_json::{Value, json};

const TABLES: [&str; 10] = [
    "users",
    "kyc",
    "account",
    "bank_account",
    "transfer",
    "orders",
    "ledger_transfer",
    "ledger_hold",
    "event",
    "timer",
];

async fn rows_in(app: &TestApp, table: &str) -> i64 {
    let db = &app.app.db.read;
    let count =
        Statement::from_string(db.get_database_backend(), format!("SELECT count(*) AS rows FROM {table}"));
    db.query_one_raw(count).await.unwrap().unwrap().try_get("", "rows").unwrap()
}

/// Counts the rows of every table that a request may write to, idempotency keys last.
async fn rows(app: &TestApp) -> Vec<i64> {
    let mut rows = Vec::new();
    for table in TABLES.iter().chain(&["idempotency"]) {
        rows.push(rows_in(app, table).await);
    }
    rows
}

/// Words that would reveal the database driver, the schema or the code.
const REVEALING_WORDS: [&str; 14] = [
    "SELECT",
    "INSERT",
    "UPDATE ",
    "sqlx",
    "sea_orm",
    "SqlErr",
    "UNIQUE",
    "constraint",
    "SQLite",
    "sqlite",
    "postgres",
    "panicked",
    "src/",
    "Did you mean",
];

#[track_caller]
fn assert_reveals_nothing(body: &Value) {
    let text = body.to_string();
    for word in REVEALING_WORDS {
        assert!(!text.contains(word), "{word:?} in {text}");
    }
}

/// The code and path of a refusal, as a mutation returns them.
fn refusal(code: &str, path: &[&str]) -> Value {
    json!({ "code": code, "path": if path.is_empty() { Value::Null } else { json!(path) } })
}

/// Sends a mutation that must be refused with this code on this field and write nothing; a refusal that
/// depends on stored data is stored with its idempotency key.
async fn refused_as(
    app: &TestApp,
    key: &str,
    mutation: &str,
    input: Value,
    code: &str,
    path: &[&str],
) -> String {
    let name = mutation.split(") { ").nth(1).unwrap().split('(').next().unwrap();
    let mut expected = rows(app).await;
    let stored =
        !["INVALID", "REQUIRED", "NOT_FOUND"].contains(&code) && input.get("idempotencyKey").is_some();
    *expected.last_mut().unwrap() += i64::from(stored);
    let answer = app.gql_as(Some(key), mutation, json!({ "input": input })).await;
    let error = answer.user_error(name).clone();
    assert_eq!(
        json!({ "code": error["code"], "path": error["path"] }),
        refusal(code, path),
        "{name} {input} {error}"
    );
    assert_eq!(rows(app).await, expected, "{name} {input}");
    assert_reveals_nothing(&answer.body);
    error["message"].as_str().unwrap().to_owned()
}

async fn refused(app: &TestApp, mutation: &str, input: Value, code: &str, path: &[&str]) -> String {
    refused_as(app, &app.key, mutation, input, code, path).await
}

/// Returns an input with one field changed; a dotted name selects a nested field.
fn with(mut input: Value, field: &str, value: impl Into<Value>) -> Value {
    let pointer = format!("/{}", field.replace('.', "/"));
    match input.pointer_mut(&pointer) {
        Some(field) => *field = value.into(),
        None => input[field] = value.into(),
    }
    input
}

/// Returns ids that do not identify an object of this type.
async fn bad_ids(app: &TestApp, kind: Kind, wrong: &str, foreign: &str) -> Vec<String> {
    let unknown = app.app.ids.next(kind).to_string();
    let foreign_format = "904837e3-3b76-47ec-b432-046db621571b".to_owned();
    vec![
        unknown,
        wrong.to_owned(),
        foreign.to_owned(),
        foreign_format,
        "nope".to_owned(),
        String::new(),
        "' OR 1=1 --".to_owned(),
    ]
}

/// Creates a user of another partner.
async fn stranger(app: &TestApp) -> (String, Customer) {
    let (_, key) = app.other_partner("another").await;
    let customer = app.customer_as(&key, "Strange").await;
    (key, customer)
}

async fn set_status(app: &TestApp, user_id: &str, status: user::Status) {
    let row = user::Entity::find_by_id(user_id.parse::<uuid::Uuid>().unwrap())
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

/// Sends a request that must fail as a whole with this code and write nothing.
async fn failed(app: &TestApp, document: &str, variables: Value, code: &str) -> Value {
    let before = rows(app).await;
    let answer = app.gql(document, variables.clone()).await;
    assert_eq!(answer.error_code(), code, "{document} {variables} {}", answer.body);
    assert_eq!(rows(app).await, before, "{document} {variables}");
    assert_reveals_nothing(&answer.body);
    answer.body
}

/// Sends a request that must fail as a whole because a scalar in its input is malformed.
async fn malformed(app: &TestApp, document: &str, variables: Value, field: &str, scalar: &str) {
    let body = failed(app, document, variables, "GRAPHQL_VALIDATION_FAILED").await;
    let form = coffer::graphql::core::scalars::form(scalar).unwrap();
    let message = format!("Invalid value for argument \"input.{field}\": {form}");
    assert_eq!(body["errors"][0]["message"], message, "{body}");
    assert_eq!((body["errors"].as_array().unwrap().len(), body.get("data")), (1, None), "{body}");
}

on_both! {
    async fn ids_that_do_not_exist_are_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        let eve = app.customer("Eve").await;
        let (key, other) = stranger(&app).await;
        let message = "was not found";
        for (turn, id) in bad_ids(&app, Kind::User, &ada.account_id, &other.user_id).await.iter().enumerate()
        {
            let told = refused(&app, ACCOUNT_OPEN, cash_account(id), "NOT_FOUND", &["userId"]).await;
            assert_eq!(told, format!("userId {message}"));
            let bank = json!({ "idempotencyKey": format!("b{turn}"), "userId": id, "number": "4327843043",
                "routingNumber": "121042882", "nickname": "N" });
            refused(&app, BANK_ACCOUNT_LINK, bank, "NOT_FOUND", &["userId"]).await;
            assert_eq!(
                app.gql("query($id: ID!) { user(id: $id) { id } }", json!({ "id": id })).await.body,
                json!({ "data": { "user": null } })
            );
        }
        for (turn, id) in
            bad_ids(&app, Kind::Account, &ada.user_id, &other.account_id).await.iter().enumerate()
        {
            let order = with(ada.order(&format!("o{turn}"), "BUY", "VTI", "1"), "accountId", id.as_str());
            assert_eq!(
                refused(&app, ORDER_PLACE, order, "NOT_FOUND", &["accountId"]).await,
                format!("accountId {message}")
            );
            let deposit = with(ada.deposit(&format!("d{turn}"), "1"), "accountId", id.as_str());
            refused(&app, DEPOSIT_CREATE, deposit, "NOT_FOUND", &["accountId"]).await;
            let query = "query($id: ID!) { account(id: $id) { id } }";
            assert_eq!(
                app.gql(query, json!({ "id": id })).await.body,
                json!({ "data": { "account": null } })
            );
        }
        let mut banks = bad_ids(&app, Kind::BankAccount, &ada.account_id, &other.bank_account_id).await;
        banks.push(eve.bank_account_id.clone());
        for (turn, id) in banks.iter().enumerate() {
            let deposit = with(ada.deposit(&format!("e{turn}"), "1"), "bankAccountId", id.as_str());
            assert_eq!(
                refused(&app, DEPOSIT_CREATE, deposit, "NOT_FOUND", &["bankAccountId"]).await,
                format!("bankAccountId {message}")
            );
        }
        for (turn, id) in
            bad_ids(&app, Kind::Order, &ada.account_id, &other.account_id).await.iter().enumerate()
        {
            let cancel = json!({ "idempotencyKey": format!("c{turn}"), "orderId": id });
            assert_eq!(
                refused(&app, ORDER_CANCEL, cancel, "NOT_FOUND", &["orderId"]).await,
                format!("orderId {message}")
            );
            for field in ["order", "transfer"] {
                let query = format!("query($id: ID!) {{ {field}(id: $id) {{ id }} }}");
                assert_eq!(
                    app.gql(&query, json!({ "id": id })).await.body,
                    json!({ "data": { field: null } })
                );
            }
        }
        for (turn, symbol) in ["NOPE", "V TI", ada.account_id.as_str(), "' OR 1=1 --"].into_iter().enumerate()
        {
            let order = ada.order(&format!("s{turn}"), "BUY", symbol, "1");
            assert_eq!(
                refused(&app, ORDER_PLACE, order, "NOT_FOUND", &["symbol"]).await,
                format!("symbol {message}")
            );
        }
        refused(&app, ORDER_PLACE, ada.order("s", "BUY", " ", "1"), "REQUIRED", &["symbol"]).await;
        // The other partner can read its own user.
        let own = app
            .gql_as(Some(&key), "query($id: ID!) { user(id: $id) { id } }", json!({ "id": other.user_id }))
            .await;
        assert_eq!(own.data()["user"]["id"], other.user_id.as_str());
    }

    async fn invalid_amounts_and_quantities_are_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        for (amount, path, message) in [
            ("-1.00", &["amount"][..], "amount must be above zero"),
            ("0", &["amount"], "amount must be above zero"),
            ("-0.00", &["amount"], "amount must be above zero"),
            ("100000000", &["amount"], "amount must be at most 99999999.99"),
            ("0.001", &["amount", "amount"], "amount.amount has too many decimals"),
            ("1.005", &["amount", "amount"], "amount.amount has too many decimals"),
            ("92233720368547758.08", &["amount", "amount"], "amount.amount is out of range"),
            (
                "99999999999999999999999999999999999999",
                &["amount", "amount"],
                "amount.amount is out of range",
            ),
        ] {
            assert_eq!(
                refused(&app, DEPOSIT_CREATE, ada.deposit("d", amount), "INVALID", path).await,
                message,
                "{amount}"
            );
        }
        for (quantity, message) in [
            ("0", "quantity must be above zero"),
            ("-1", "quantity must be above zero"),
            ("0.00001", "quantity must have at most four decimals"),
            ("0.000000001", "quantity has too many decimals"),
            ("100000000.0001", "quantity must be at most 100000000"),
            ("99999999999999999999999999999999999999", "quantity is out of range"),
        ] {
            assert_eq!(
                refused(&app, ORDER_PLACE, ada.order("o", "BUY", "VTI", quantity), "INVALID", &["quantity"])
                    .await,
                message,
                "{quantity}"
            );
        }
        // A text that is not a decimal number fails the request, as a value of a wrong type does.
        for text in ["1e3", "", " 1", "+1", "1,000", "1_000", "NaN", "٣", "1/2"] {
            let deposit = json!({ "input": ada.deposit("d", text) });
            malformed(&app, DEPOSIT_CREATE, deposit, "amount.amount", "Decimal").await;
            let order = json!({ "input": ada.order("o", "BUY", "VTI", text) });
            malformed(&app, ORDER_PLACE, order, "quantity", "Decimal").await;
        }
        // A JSON number is never accepted as a decimal: money is never a float.
        for number in
            [json!(1.5), json!(1), json!(0), json!(true), json!(null), json!(["1"]), json!({ "amount": "1" })]
        {
            // The values of variables are validated like literals.
            failed(
                &app,
                DEPOSIT_CREATE,
                json!({ "input": with(ada.deposit("d", "1"), "amount.amount", number.clone()) }),
                "GRAPHQL_VALIDATION_FAILED",
            )
            .await;
            // A quantity may be null, in favor of an amount.
            if !number.is_null() {
                failed(
                    &app,
                    ORDER_PLACE,
                    json!({ "input": with(ada.order("o", "BUY", "VTI", "1"), "quantity", number) }),
                    "GRAPHQL_VALIDATION_FAILED",
                )
                .await;
            }
        }
        for literal in ["1.5", "1", "1e3", "true", "ONE", "null"] {
            let deposit = format!(
                "mutation {{ depositCreate(input: {{ idempotencyKey: \"d\", accountId: \"{}\", \
                    bankAccountId: \"{}\", amount: {{ amount: {literal} }} }}) {{ userErrors {{ code }} }} }}",
                ada.account_id, ada.bank_account_id
            );
            failed(&app, &deposit, json!({}), "GRAPHQL_VALIDATION_FAILED").await;
            let order = format!(
                "mutation {{ orderPlace(input: {{ idempotencyKey: \"o\", accountId: \"{}\", symbol: \
                    \"VTI\", side: BUY, quantity: {literal} }}) {{ userErrors {{ code }} }} }}",
                ada.account_id
            );
            if literal != "null" {
                failed(&app, &order, json!({}), "GRAPHQL_VALIDATION_FAILED").await;
            }
        }
        failed(
            &app,
            DEPOSIT_CREATE,
            json!({ "input": with(ada.deposit("d", "1"), "amount",
                json!({ "amount": "1", "currency": "EUR" })) }),
            "GRAPHQL_VALIDATION_FAILED",
        )
        .await;
        failed(
            &app,
            ORDER_PLACE,
            json!({ "input": with(ada.order("o", "BUY", "VTI", "1"), "side", "HOLD") }),
            "GRAPHQL_VALIDATION_FAILED",
        )
        .await;
        failed(
            &app,
            ORDER_PLACE,
            json!({ "input": with(ada.order("o", "BUY", "VTI", "1"), "quantety", "1") }),
            "GRAPHQL_VALIDATION_FAILED",
        )
        .await;
        failed(&app, ORDER_PLACE, json!({}), "BAD_USER_INPUT").await;
        // Leading and trailing zeros are accepted.
        let one = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("fine", "0001.000") })).await;
        assert_eq!(one.entity("depositCreate", "transfer")["amount"]["amount"], "1.00");
    }

    async fn invalid_personal_and_bank_data_is_refused(app: TestApp) {
        let ada = person("Ada", "Carter");
        for (field, value, code, message) in [
            ("firstName", "", "REQUIRED", "firstName is required"),
            ("firstName", "123", "INVALID", "firstName must contain a letter"),
            ("lastName", "a\u{0}b", "INVALID", "lastName must not contain control characters"),
            ("email", "nope", "INVALID", "email must be an e-mail address"),
            ("email", "<x@example.com>", "INVALID", "email must be an e-mail address"),
            ("email", "a..b@example.com", "INVALID", "email must be an e-mail address"),
            ("email", "a\u{2060}b@example.com", "INVALID", "email must be an e-mail address"),
            ("email", "a@localhost", "INVALID", "email must have a domain with a dot"),
            ("phone", "123", "INVALID", "phone must be a US number of 10 digits"),
            (
                "phone",
                "1025550107",
                "INVALID",
                "phone must have an area code and an exchange code that each begin with 2 to 9",
            ),
            ("birthDate", "2026-07-10", "INVALID", "birthDate must not be in the future"),
            ("ssn", "000123456", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "900123456", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "999-12-3456", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "123004567", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "123450000", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "078051120", "INVALID", "ssn must be a valid social security number"),
            ("ssn", "12345678", "INVALID", "ssn must have nine digits"),
            ("ssn", "12345678a", "INVALID", "ssn must have nine digits"),
            ("ssn", "", "INVALID", "ssn must have nine digits"),
            ("address.line1", " ", "REQUIRED", "address.line1 is required"),
            ("address.city", "", "REQUIRED", "address.city is required"),
            ("address.state", "ZZ", "INVALID", "address.state must be a known code"),
            ("address.postalCode", "1", "INVALID", "address.postalCode must be a ZIP code of 5 or 9 digits"),
        ] {
            let path: Vec<&str> = field.split('.').collect();
            let told = refused(&app, USER_CREATE, with(ada.clone(), field, value), code, &path).await;
            assert_eq!(told, message, "{value}");
        }
        for day in ["2026-02-30", "1985-1-2", "85-01-23", "1985-01-23T00:00:00Z", ""] {
            let input = json!({ "input": with(ada.clone(), "birthDate", day) });
            malformed(&app, USER_CREATE, input, "birthDate", "Date").await;
        }
        let mut abroad = ada.clone();
        abroad["address"]["countryCode"] = json!("UK");
        refused(&app, USER_CREATE, abroad, "INVALID", &["address", "countryCode"]).await;
        for number in [json!(123_456_789), json!(19_850_123), json!({})] {
            failed(
                &app,
                USER_CREATE,
                json!({ "input": with(ada.clone(), "ssn", number.clone()) }),
                "GRAPHQL_VALIDATION_FAILED",
            )
            .await;
            failed(
                &app,
                USER_CREATE,
                json!({ "input": with(ada.clone(), "birthDate", number) }),
                "GRAPHQL_VALIDATION_FAILED",
            )
            .await;
        }
        // Area 666 is never issued: a sandbox accepts it, a live partner does not.
        let never_issued = with(ada.clone(), "ssn", "666123456");
        let live = app.live_key().await;
        assert_eq!(
            refused_as(&app, &live, USER_CREATE, never_issued.clone(), "INVALID", &["ssn"]).await,
            "ssn must be a valid social security number"
        );
        app.gql(USER_CREATE, json!({ "input": never_issued })).await.entity("userCreate", "user");

        let user = app.customer("Ada").await;
        let bank = json!({ "userId": user.user_id, "number": "4327843043", "routingNumber": "121042882",
            "nickname": "N" });
        for (field, value, code, message) in [
            ("routingNumber", "121042883", "INVALID", "routingNumber must have a matching check digit"),
            ("routingNumber", "000000000", "INVALID", "routingNumber must not be all zeros"),
            ("routingNumber", "12104288", "INVALID", "routingNumber must have nine digits"),
            ("routingNumber", "12104288A", "INVALID", "routingNumber must have nine digits"),
            ("routingNumber", "", "INVALID", "routingNumber must have nine digits"),
            (
                "routingNumber",
                "900000000",
                "INVALID",
                "routingNumber must begin with a valid Federal Reserve prefix",
            ),
            ("number", "", "REQUIRED", "number is required"),
            ("number", "123", "INVALID", "number must have 4 to 17 characters"),
            ("number", "1234 5678", "INVALID", "number must contain only letters and digits"),
            ("nickname", " ", "REQUIRED", "nickname is required"),
            ("nickname", "a\nb", "INVALID", "nickname must have at most 100 printable characters"),
        ] {
            let told =
                refused(&app, BANK_ACCOUNT_LINK, with(bank.clone(), field, value), code, &[field]).await;
            assert_eq!(told, message, "{value}");
        }
        let account = cash_account(&user.user_id);
        for (field, value, code) in [
            ("countryOfCitizenship", "US", "INVALID"),
            ("countryOfCitizenship", "ZZZ", "INVALID"),
            ("employerName", "", "REQUIRED"),
            ("employmentPosition", "\u{7}", "INVALID"),
        ] {
            refused(&app, ACCOUNT_OPEN, with(account.clone(), field, value), code, &[field]).await;
        }
        refused(&app, ACCOUNT_OPEN, with(account, "isDirector", true), "REQUIRED", &["directorOf"]).await;
    }

    async fn nothing_is_possible_before_the_identity_is_approved(app: TestApp) {
        let message = "The user's identity has not been approved.";
        for (last_name, status, score, outcome) in [
            ("Question", "ACTION_REQUIRED", "0.75", "QUESTIONS_REQUIRED"),
            ("Review", "DOCUMENTATION_REQUIRED", "0.45", "MANUAL_REVIEW"),
            ("Denied", "DENIED", "0.10", "DENIED"),
        ] {
            let user = app.gql(USER_CREATE, json!({ "input": person("Ann", last_name) })).await;
            let user = user.entity("userCreate", "user");
            assert_eq!(
                (&user["status"], &user["kyc"]["score"], &user["kyc"]["outcome"]),
                (&json!(status), &json!(score), &json!(outcome))
            );
            let id = user["id"].as_str().unwrap();
            assert_eq!(refused(&app, ACCOUNT_OPEN, cash_account(id), "KYC_NOT_APPROVED", &[]).await, message);
            let bank = json!({ "userId": id, "number": "4327843043", "routingNumber": "121042882", "nickname": "N" });
            assert_eq!(
                refused(&app, BANK_ACCOUNT_LINK, bank.clone(), "KYC_NOT_APPROVED", &[]).await,
                message
            );
            // Errors in the request itself are reported first.
            refused(
                &app,
                BANK_ACCOUNT_LINK,
                with(bank, "routingNumber", "121042883"),
                "INVALID",
                &["routingNumber"],
            )
            .await;
            refused(
                &app,
                ACCOUNT_OPEN,
                with(cash_account(id), "employerName", ""),
                "REQUIRED",
                &["employerName"],
            )
            .await;
        }
        let mut incomplete = person("Ann", "Carter");
        for field in ["ssn", "birthDate", "address"] {
            incomplete.as_object_mut().unwrap().remove(field);
        }
        let user = app.gql(USER_CREATE, json!({ "input": incomplete })).await;
        let user = user.entity("userCreate", "user");
        assert_eq!((&user["status"], &user["kyc"]), (&json!("PENDING"), &json!(null)));
        refused(&app, ACCOUNT_OPEN, cash_account(user["id"].as_str().unwrap()), "KYC_NOT_APPROVED", &[])
            .await;

        // A user who is no longer approved cannot use an existing account.
        let ada = app.funded_customer("Ada", "1000").await;
        for (turn, status) in
            [user::Status::Pending, user::Status::ActionRequired, user::Status::Denied, user::Status::Closed]
                .into_iter()
                .enumerate()
        {
            set_status(&app, &ada.user_id, status).await;
            assert_eq!(
                refused(&app, DEPOSIT_CREATE, ada.deposit(&format!("d{turn}"), "1"), "KYC_NOT_APPROVED", &[])
                    .await,
                message
            );
            let order = ada.order(&format!("o{turn}"), "BUY", "VTI", "0.1");
            assert_eq!(refused(&app, ORDER_PLACE, order.clone(), "KYC_NOT_APPROVED", &[]).await, message);
            refused(&app, ORDER_PLACE, with(order, "quantity", "0.00001"), "INVALID", &["quantity"]).await;
            refused(
                &app,
                DEPOSIT_CREATE,
                with(ada.deposit("x", "0"), "bankAccountId", "nope"),
                "INVALID",
                &["amount"],
            )
            .await;
        }
    }

    async fn orders_need_cash_shares_and_an_open_market(app: TestApp) {
        let ada = app.funded_customer("Ada", "100").await;
        app.quote("VTI", "250.00", "250.10").await;
        let short = refused(
            &app,
            ORDER_PLACE,
            ada.order("o1", "BUY", "VTI", "1"),
            "INSUFFICIENT_BUYING_POWER",
            &["quantity"],
        )
        .await;
        assert_eq!(short, "Buying power is $100.00; this order may cost up to $257.61.");
        let none = refused(
            &app,
            ORDER_PLACE,
            ada.order("o2", "SELL", "VTI", "1"),
            "INSUFFICIENT_POSITION",
            &["quantity"],
        )
        .await;
        assert_eq!(none, "0 VTI can be sold; this order is for 1.");
        let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order("o3", "BUY", "VTI", "0.1") })).await;
        let order_id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        app.ended(&order_id).await;
        let late = refused(
            &app,
            ORDER_CANCEL,
            json!({ "idempotencyKey": "c", "orderId": order_id }),
            "NOT_CANCELABLE",
            &["orderId"],
        )
        .await;
        assert_eq!(late, "The order has already ended.");
        let reused = refused_reusing(&app, ORDER_PLACE, ada.order("o3", "BUY", "VTI", "0.2")).await;
        assert_eq!(reused, "This idempotency key was used for another request. Use a new key.");

        app.advance_to("2026-07-11T15:00:00Z").await;
        let hours =
            "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { code } } }";
        app.gql(hours, json!({})).await.entity("sandboxMarketHoursSet", "userErrors");
        let closed =
            refused(&app, ORDER_PLACE, ada.order("o4", "BUY", "VTI", "0.1"), "MARKET_CLOSED", &[]).await;
        assert_eq!(closed, "The market is closed. It next opens at 2026-07-13T13:30:00Z.");
        refused(&app, ORDER_PLACE, ada.order("o5", "BUY", "VTI", "0.00001"), "INVALID", &["quantity"]).await;
        let frozen = app
            .gql(
                "mutation { sandboxClockAdvance(input: { seconds: 0 }) { userErrors { code path } } }",
                json!({}),
            )
            .await;
        assert_eq!(
            frozen.data()["sandboxClockAdvance"]["userErrors"],
            json!([{ "code": "INVALID", "path": ["seconds"] }])
        );
        let back = "mutation { sandboxClockAdvance(input: { to: \"2026-07-11T14:59:59Z\" }) { userErrors { \
            code path } } }";
        assert_eq!(
            app.gql(back, json!({})).await.data()["sandboxClockAdvance"]["userErrors"],
            json!([{ "code": "INVALID", "path": ["to"] }])
        );
        let live = app.live_key().await;
        let freeze = app
            .gql_as(Some(&live), "mutation { sandboxClockFreeze { userErrors { code path } } }", json!({}))
            .await;
        assert_eq!(
            freeze.data()["sandboxClockFreeze"]["userErrors"],
            json!([{ "code": "SANDBOX_ONLY", "path": null }])
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn invalid_idempotency_keys_are_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        let bank = json!({ "userId": ada.user_id, "number": "4327843043", "routingNumber": "121042882",
            "nickname": "N" });
        let mutations = [
            (USER_CREATE, person("Ada", "Carter")),
            (ACCOUNT_OPEN, cash_account(&ada.user_id)),
            (BANK_ACCOUNT_LINK, bank),
            (DEPOSIT_CREATE, ada.deposit("", "1")),
            (ORDER_PLACE, ada.order("", "BUY", "VTI", "1")),
            (ORDER_CANCEL, json!({ "orderId": ada.account_id })),
        ];
        for (mutation, input) in mutations {
            refused(
                &app,
                mutation,
                with(input.clone(), "idempotencyKey", ""),
                "REQUIRED",
                &["idempotencyKey"],
            )
            .await;
            for key in ["k".repeat(256), "a b".to_owned(), "ключ".to_owned(), "a\nb".to_owned()] {
                let told = refused(
                    &app,
                    mutation,
                    with(input.clone(), "idempotencyKey", key),
                    "INVALID",
                    &["idempotencyKey"],
                )
                .await;
                assert_eq!(told, "idempotencyKey must have 1 to 255 visible ASCII characters");
            }
            // A caller without access gets no validation errors.
            let bad = json!({ "input": with(input, "idempotencyKey", "") });
            assert_eq!(app.gql_as(None, mutation, bad.clone()).await.error_code(), "UNAUTHENTICATED");
            let key = app.key_for(&[Scope::Read]).await;
            assert_eq!(app.gql_as(Some(&key), mutation, bad).await.error_code(), "FORBIDDEN");
        }
        let longest = ada.deposit(&"k".repeat(255), "1");
        app.gql(DEPOSIT_CREATE, json!({ "input": longest })).await.entity("depositCreate", "transfer");
    }

    async fn invalid_page_arguments_are_refused(app: TestApp) {
        let ada = app.customer("Ada").await;
        for (arguments, message) in [
            ("first: 0", "first must be from 1 to 100"),
            ("first: 101", "first must be from 1 to 100"),
            ("first: -1", "first must be from 1 to 100"),
            ("last: 0", "last must be from 1 to 100"),
            ("last: 101", "last must be from 1 to 100"),
            ("first: 1, last: 1", "last cannot be combined with first"),
            ("after: \"nope\"", "after is not a cursor of this list"),
            ("after: \"\"", "after is not a cursor of this list"),
            ("before: \"MQ==\"", "before is not a cursor of this list"),
        ] {
            for document in [
                format!("{{ users({arguments}) {{ edges {{ node {{ id }} }} }} }}"),
                format!("{{ orders({arguments}) {{ edges {{ node {{ id }} }} }} }}"),
                format!("{{ instruments({arguments}) {{ edges {{ node {{ id }} }} }} }}"),
                format!(
                    "{{ account(id: \"{}\") {{ transfers({arguments}) {{ edges {{ node {{ id }} }} }} }} }}",
                    ada.account_id
                ),
            ] {
                assert_eq!(
                    failed(&app, &document, json!({}), "BAD_USER_INPUT").await["errors"][0]["message"],
                    message
                );
            }
        }
        let foreign = format!("{{ orders(after: \"{}\") {{ edges {{ node {{ id }} }} }} }}", ada.user_id);
        failed(&app, &foreign, json!({}), "BAD_USER_INPUT").await;
        let many = json!({ "ids": vec![ada.user_id.as_str(); 101] });
        let many =
            failed(&app, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", many, "BAD_USER_INPUT").await;
        assert_eq!(many["errors"][0]["message"], "ids must be at most 100");
        failed(
            &app,
            "query($n: Int) { users(first: $n) { edges { node { id } } } }",
            json!({ "n": "ten" }),
            "GRAPHQL_VALIDATION_FAILED",
        )
        .await;
        failed(
            &app,
            "query($n: Int) { users(first: $n) { edges { node { id } } } }",
            json!({ "n": 3_000_000_000_u64 }),
            "BAD_USER_INPUT",
        )
        .await;
    }

    async fn documents_over_the_limits_are_refused(app: TestApp) {
        let repeat =
            |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(" ");
        let aliases = format!("{{ {} }}", repeat(10, &|n| format!("a{n}: marketClock {{ b{n}: isOpen }}")));
        let deep = format!("{{ orders(first: 1) {{ edges {{ node {} }} }} }}", {
            let mut inner = "{ id }".to_owned();
            for turn in 0..13 {
                inner = if turn % 2 == 0 {
                    format!("{{ account {inner} }}")
                } else {
                    format!("{{ orders(first: 1) {{ edges {{ node {inner} }} }} }}")
                };
            }
            inner
        });
        let introspection =
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        for (document, code) in [
            (aliases, "QUERY_TOO_COMPLEX"),
            (format!("{{ {} }}", repeat(11, &|n| format!("a{n}: marketClock {{ isOpen }}"))), "QUERY_TOO_COMPLEX"),
            (format!("mutation {{ {} }}",
                repeat(5, &|n| format!("a{n}: sandboxClockFreeze {{ userErrors {{ code }} }}"))),
                "QUERY_TOO_COMPLEX"),
            (format!("{{ {} }}", repeat(1500, &|_| "__typename".to_owned())), "QUERY_TOO_COMPLEX"),
            (format!("{{ users(filter: {}{}) {{ x }} }}", "[".repeat(5_000), "]".repeat(5_000)), "QUERY_TOO_COMPLEX"),
            (format!("{{ __typename }} #{}", "x".repeat(16 << 10)), "QUERY_TOO_COMPLEX"),
            (format!("{{ __typename }} {}",
                repeat(31, &|n| format!("fragment f{n} on Query {{ __typename }}"))), "QUERY_TOO_COMPLEX"),
            // None of the operations is selected to run.
            (repeat(60, &|n| format!("query q{n} {{ __typename }}")), "GRAPHQL_VALIDATION_FAILED"),
            ("{ __typename @skip(if: false) @skip(if: false) @skip(if: false) @skip(if: false) \
                }".to_owned(), "QUERY_TOO_COMPLEX"),
            ("{ users(first: 100) { edges { node { accounts(first: 100) { edges { node { id number } } } } \
                } } }".to_owned(), "QUERY_TOO_COMPLEX"),
            (deep, "QUERY_TOO_COMPLEX"),
            (introspection.to_owned(), "QUERY_TOO_COMPLEX"),
            ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned(),
                "GRAPHQL_VALIDATION_FAILED"),
            ("{ user(id: \"never ends) { id } }".to_owned(), "GRAPHQL_PARSE_FAILED"),
            ("{".to_owned(), "GRAPHQL_PARSE_FAILED"),
            (String::new(), "GRAPHQL_PARSE_FAILED"),
            ("{ userz { id } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
            ("{ users { edges { node { firstNam } } } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
            ("{ user(idd: \"1\") { id } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
            ("query($x: Usr) { viewer { id } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
            ("query A { viewer { id } } query B { viewer { id } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ] {
            let body = failed(&app, &document, json!({}), code).await;
            assert!(body.get("data").is_none(), "{body}");
            for (name, near) in [("userz", "users"), ("firstNam ", "firstName"), ("idd", "\"id\""),
                ("Usr", "User")] {
                let text = body.to_string().replace(name, "");
                assert!(!document.contains(name) || !text.contains(near), "{body}");
            }
        }
        let fits =
            "{ users(first: 100) { edges { node { accounts(first: 40) { edges { node { id } } } } } } }";
        app.gql(fits, json!({})).await.data();
        // A variable counts with its value.
        let varies = "query($n: Int) { users(first: $n) { edges { node { accounts(first: $n) { edges { node \
            { id } } } } } } }";
        app.gql(varies, json!({ "n": 20 })).await.data();
        failed(&app, varies, json!({ "n": 100 }), "QUERY_TOO_COMPLEX").await;
    }

    async fn rest_refuses_with_the_documented_messages(app: TestApp) {
        let ada = app.customer("Ada").await;
        let eve = app.customer("Eve").await;
        let (_, other) = stranger(&app).await;
        let person = json!({
            "first_name": "John", "last_name": "Doe", "email_address": "john@example.com",
            "birth_date": "1985-01-23", "ssn_number": "123456789",
            "address_line_1": "1 A St", "address_city": "Richmond", "address_state": "VA",
            "address_postal_code": "23220", "address_country_code": "US",
        });
        for field in person.as_object().unwrap().keys() {
            for missing in [json!(null), json!(""), json!("  ")] {
                let message = format!("{field} is required");
                rest(
                    &app,
                    "POST",
                    "/v1/users",
                    with(person.clone(), field, missing),
                    400,
                    "invalid_request",
                    &message,
                )
                .await;
            }
            rest(
                &app,
                "POST",
                "/v1/users",
                with(person.clone(), field, 7),
                400,
                "validation_error",
                &format!("{field} must be a string"),
            )
            .await;
        }
        for (field, value, message) in [
            ("birth_date", "2026-02-30", "birth_date must be a valid calendar date"),
            ("birth_date", "01/23/1985", "birth_date must be a date as YYYY-MM-DD"),
            ("ssn_number", "078051120", "ssn_number must be a valid social security number"),
            ("email_address", "john", "email_address must be an e-mail address"),
            ("email_address", "<x@example.com>", "email_address must be an e-mail address"),
            ("email_address", "a..b@example.com", "email_address must be an e-mail address"),
            ("email_address", "a\u{200b}b@example.com", "email_address must be an e-mail address"),
            ("first_name", "Jo\u{0}hn", "first_name must not contain control characters"),
            ("address_line_1", "1 A\u{7} St", "address_line_1 must not contain control characters"),
            ("phone_number", "1", "phone_number must be a US number of 10 digits"),
            ("address_postal_code", "1", "address_postal_code must be a ZIP code of 5 or 9 digits"),
        ] {
            rest(
                &app,
                "POST",
                "/v1/users",
                with(person.clone(), field, value),
                400,
                "validation_error",
                message,
            )
            .await;
        }
        let order = json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "1", "side": "buy",
            "type": "market" });
        for field in ["symbol", "quantity", "side", "type"] {
            rest(
                &app,
                "POST",
                "/v1/orders",
                with(order.clone(), field, json!(null)),
                400,
                "invalid_request",
                &format!("{field} is required"),
            )
            .await;
        }
        // With two accounts, account_id is required; errors in the request itself are still reported first.
        let unnamed = with(order.clone(), "account_id", json!(null));
        rest(&app, "POST", "/v1/orders", unnamed.clone(), 400, "invalid_request", "account_id is required")
            .await;
        rest(
            &app,
            "POST",
            "/v1/orders",
            with(unnamed, "quantity", "0"),
            400,
            "validation_error",
            "quantity must be above zero",
        )
        .await;
        for (field, value, message) in [
            ("quantity", json!("0"), "quantity must be above zero"),
            ("quantity", json!(-1), "quantity must be above zero"),
            ("quantity", json!(0.00001), "quantity must have at most four decimals"),
            ("quantity", json!("0.00001"), "quantity must have at most four decimals"),
            ("quantity", json!("1e3"), "quantity is not a decimal number"),
            ("quantity", json!([]), "quantity is not a decimal number"),
            ("side", json!("hold"), "side must be buy or sell"),
            ("type", json!("best"), "type must be market or limit or stop or stop_limit"),
        ] {
            rest(
                &app,
                "POST",
                "/v1/orders",
                with(order.clone(), field, value),
                400,
                "validation_error",
                message,
            )
            .await;
        }
        for id in bad_ids(&app, Kind::Account, &ada.user_id, &other.account_id).await {
            let message = "account_id was not found";
            rest(
                &app,
                "POST",
                "/v1/orders",
                with(order.clone(), "account_id", id.as_str()),
                404,
                "not_found",
                message,
            )
            .await;
        }
        // Unknown fields of an order or a deposit are refused.
        for (field, value, message) in [
            ("time_in_force", json!("gtc"), "time_in_force is not a field of this request"),
            ("notional", json!("100"), "notional is not a field of this request"),
            ("accountId", json!(ada.account_id), "accountId is not a field of this request"),
            ("extended_hours", json!(null), "extended_hours is not a field of this request"),
            ("limit_price", json!("1.00"), "limit_price must be left out of a market order"),
            ("stop_price", json!(1), "stop_price must be left out of a market order"),
        ] {
            rest(
                &app,
                "POST",
                "/v1/orders",
                with(order.clone(), field, value),
                400,
                "validation_error",
                message,
            )
            .await;
        }
        rest(
            &app,
            "POST",
            "/v1/orders",
            with(order.clone(), "symbol", "NOPE"),
            404,
            "not_found",
            "symbol was not found",
        )
        .await;
        let short = app.post("/v1/orders", order.clone()).await;
        assert_eq!(
            (short.status, &short.body["error"]["type"]),
            (402, &json!("invalid_request")),
            "{}",
            short.body
        );

        let deposit =
            json!({ "account_id": ada.account_id, "bank_account_id": ada.bank_account_id, "amount": "1.00" });
        for field in ["account_id", "bank_account_id", "amount"] {
            rest(
                &app,
                "POST",
                "/v1/deposits",
                with(deposit.clone(), field, json!(null)),
                400,
                "invalid_request",
                &format!("{field} is required"),
            )
            .await;
        }
        for (amount, message) in [
            (json!("0"), "amount must be above zero"),
            (json!(-5), "amount must be above zero"),
            (json!("1.005"), "amount has too many decimals"),
            (json!(1.005), "amount has too many decimals"),
            (json!("1e3"), "amount is not a decimal number"),
            (json!({ "amount": "1" }), "amount is not a decimal number"),
        ] {
            rest(
                &app,
                "POST",
                "/v1/deposits",
                with(deposit.clone(), "amount", amount),
                400,
                "validation_error",
                message,
            )
            .await;
        }
        let memo = with(deposit.clone(), "memo", "rent");
        rest(
            &app,
            "POST",
            "/v1/deposits",
            memo,
            400,
            "validation_error",
            "memo is not a field of this request",
        )
        .await;
        for bank in [eve.bank_account_id.as_str(), other.bank_account_id.as_str(), "nope"] {
            let message = "bank_account_id was not found";
            rest(
                &app,
                "POST",
                "/v1/deposits",
                with(deposit.clone(), "bank_account_id", bank),
                404,
                "not_found",
                message,
            )
            .await;
        }
        for id in [other.user_id.as_str(), ada.account_id.as_str(), "nope", "%00", "%FF", "..%2F..", "'--"] {
            let user = app.get(&format!("/v1/users/{id}")).await;
            assert_eq!(
                (user.status, &user.body["error"]["type"]),
                (404, &json!("not_found")),
                "{id} {}",
                user.body
            );
        }

        let question =
            app.gql(USER_CREATE, json!({ "input": crate::support::person("Ann", "Question") })).await;
        let id = question.entity("userCreate", "user")["id"].as_str().unwrap().to_owned();
        let bank = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
            "bank_account_nickname": "N" });
        let path = format!("/v1/users/{id}/bank_accounts");
        rest(
            &app,
            "POST",
            &path,
            bank.clone(),
            402,
            "invalid_request",
            "The user's identity has not been approved.",
        )
        .await;
        let wrong = with(bank, "bank_routing_number", "121042883");
        rest(
            &app,
            "POST",
            &path,
            wrong,
            400,
            "validation_error",
            "bank_routing_number must have a matching check digit",
        )
        .await;

        for body in ["{", "", "[]", "null", "7", "\"text\"", "[{}]", "{\"a\":1}x"] {
            let before = rows(&app).await;
            let answer =
                send(app.rest("POST", "/v1/orders").header("content-type", "application/json").body(body))
                    .await;
            let told = json!({ "error": { "type": "invalid_request", "message": "The body is not a JSON object." } });
            assert_eq!((answer.status, &answer.body), (400, &told), "{body}");
            assert_eq!(rows(&app).await, before);
        }
        for (key, message) in [
            ("", "Idempotency-Key is required"),
            ("a b", "Idempotency-Key must have 1 to 255 visible ASCII characters"),
        ] {
            let answer =
                send(app.rest("POST", "/v1/deposits").header("idempotency-key", key).json(&deposit)).await;
            assert_eq!((answer.status, &answer.body["error"]["message"]), (400, &json!(message)));
        }
        let long =
            send(app.rest("POST", "/v1/deposits").header("idempotency-key", "k".repeat(256)).json(&deposit))
                .await;
        assert_eq!((long.status, &long.body["error"]["type"]), (400, &json!("validation_error")));
        let large = with(deposit.clone(), "note", "x".repeat(64 << 10));
        let large = app.post("/v1/deposits", large).await;
        assert!(
            [400, 413].contains(&large.status) && large.body["error"]["type"].is_string(),
            "{}",
            large.body
        );

        let first =
            send(app.rest("POST", "/v1/deposits").header("idempotency-key", "k").json(&deposit)).await;
        assert_eq!(first.status, 200);
        let again = send(app.rest("POST", "/v1/deposits").header("idempotency-key", "k").json(&with(
            deposit.clone(),
            "amount",
            "1.0",
        )))
        .await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        let other_amount = send(
            app.rest("POST", "/v1/deposits")
                .header("idempotency-key", "k")
                .json(&with(deposit, "amount", "2")),
        )
        .await;
        assert_eq!(other_amount.status, 409);
    }

    async fn rest_checks_credentials_paths_and_methods(app: TestApp) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let ada = app.customer("Ada").await;
        let path = format!("/v1/users/{}", ada.user_id);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let key = app.key.as_str();
        let good = [
            ("authorization", basic(&format!("{key}:"))),
            ("authorization", basic(key)),
            ("authorization", format!("Bearer {key}")),
            ("authorization", format!("bearer  {key}")),
            ("authorization", key.to_owned()),
            ("bearer", key.to_owned()),
        ];
        for (name, value) in &good {
            let answer = send(app.anonymous("GET", &path).header(*name, value)).await;
            assert_eq!((answer.status, &answer.body["first_name"]), (200, &json!("Ada")), "{name} {value}");
        }
        let denied =
            json!({ "error": { "type": "authentication_error", "message": "Authentication is required." } });
        let wrong = [
            "",
            "Bearer",
            "Basic !",
            "Bearer nope",
            "Digest x",
            &key[..20],
            &basic("nope:"),
            &basic(&format!("x:{key}")),
        ];
        for value in wrong {
            let answer = send(app.anonymous("GET", &path).header("authorization", value)).await;
            assert_eq!((answer.status, &answer.body), (401, &denied), "{value}");
        }
        assert_eq!(send(app.anonymous("GET", &path)).await.body, denied);
        let doubled = [("authorization", "authorization"), ("authorization", "bearer"), ("bearer", "bearer")];
        for (one, two) in doubled {
            let answer = send(app.anonymous("GET", &path).header(one, key).header(two, key)).await;
            assert_eq!((answer.status, &answer.body), (401, &denied), "{one} and {two}");
        }
        for path in
            ["/v1", "/v1/", "/v1/nothing", "/v1/users/a/b/c", "/v2/users", "/nothing", "/v1/users//accounts"]
        {
            let answer = send(app.rest("GET", path)).await;
            assert!([404, 405].contains(&answer.status), "{path}");
            assert_eq!(
                answer.status == 404,
                path != "/v1/users//accounts" || answer.body["error"]["type"] == "not_found",
                "{path} {}",
                answer.body
            );
        }
        for (method, path, allow) in [
            ("PUT", "/v1/orders", "GET, POST"),
            ("DELETE", "/v1/orders/", "GET, POST"),
            ("POST", "/v1/orders/nope", "GET, DELETE"),
            ("PUT", "/v1/deposits", "GET, POST"),
            ("DELETE", "/v1/deposits/nope", "GET"),
            ("PATCH", "/v1/users", "GET, POST"),
        ] {
            let answer = send(app.rest(method, path)).await;
            let told = json!({ "error": { "type": "invalid_request",
                "message": "This path does not support this method." } });
            assert_eq!((answer.status, &answer.body), (405, &told), "{method} {path}");
            let allowed = answer
                .headers
                .get("allow")
                .map(|value| value.to_str().unwrap().replace(' ', ""))
                .unwrap_or_default();
            let mut allowed: Vec<&str> = allowed.split(',').filter(|method| *method != "HEAD").collect();
            allowed.sort_unstable();
            let mut expected: Vec<&str> = allow.split(", ").collect();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{method} {path}");
        }
    }

    async fn rest_lists_go_forward_and_back_while_rows_are_added(app: TestApp) {
        let ada = app.funded_customer("Ada", "5000").await;
        app.quote("VTI", "100.00", "100.00").await;
        let mut newest_first: Vec<String> = Vec::new();
        let mut placed = 0;
        for _ in 0..7 {
            newest_first.insert(0, place(&app, &ada, &mut placed).await);
        }
        for (parameters, message) in [
            ("limit=101", "limit must be a whole number from 0 to 100"),
            ("limit=-1", "limit must be a whole number from 0 to 100"),
            ("limit=ten", "limit must be a whole number from 0 to 100"),
            ("limit=1.5", "limit must be a whole number from 0 to 100"),
            ("order=up", "order must be asc or desc"),
            ("status=lost", "status must be open, closed or all"),
            ("starting_after=nope", "starting_after does not match any order in this list"),
            (
                &format!("ending_before={}", ada.account_id),
                "ending_before does not match any order in this list",
            ),
            (
                &format!("ending_before={}", Ids.next(Kind::Order)),
                "ending_before does not match any order in this list",
            ),
            (
                &format!("starting_after={0}&ending_before={0}", newest_first[0]),
                "ending_before cannot be combined with starting_after",
            ),
        ] {
            let answer = app.get(&format!("/v1/orders?{parameters}")).await;
            let told = json!({ "error": { "type": "invalid_request", "message": message } });
            assert_eq!((answer.status, &answer.body), (400, &told), "{parameters}");
        }
        // The documented range of limit starts at 0, which returns a page without rows.
        let none = app.get("/v1/orders?limit=0&status=all").await;
        assert_eq!(
            (none.status, &none.body["data"], &none.body["pagination"]["next_page"]),
            (200, &json!([]), &json!(null))
        );

        // Forward through all seven while more are placed: no duplicates, no gaps, and none of the new ones.
        let mut seen = Vec::new();
        let mut next = Some("/v1/orders?limit=3&status=all".to_owned());
        let mut pages = Vec::new();
        while let Some(path) = next {
            let page = app.get(&path).await;
            assert_eq!(page.status, 200, "{}", page.body);
            seen.extend(ids_of(&page));
            next = page.body["pagination"]["next_page"].as_str().map(str::to_owned);
            pages.push(page);
            place(&app, &ada, &mut placed).await;
        }
        assert_eq!(seen, newest_first);
        assert_eq!(pages.iter().map(|page| ids_of(page).len()).collect::<Vec<_>>(), [3, 3, 1]);
        // Back from the last page: the same pages, then the new orders.
        let mut back = Vec::new();
        let mut previous =
            pages.last().unwrap().body["pagination"]["previous_page"].as_str().map(str::to_owned);
        while let Some(path) = previous {
            let page = app.get(&path).await;
            back.splice(0..0, ids_of(&page));
            previous = page.body["pagination"]["previous_page"].as_str().map(str::to_owned);
        }
        assert_eq!(back[back.len() - 6..], newest_first[..6]);
        assert_eq!(back.len(), 9);
        // Oldest first: the same orders in reverse.
        let oldest = app.get("/v1/orders?limit=100&status=all&order=asc").await;
        let mut oldest = ids_of(&oldest);
        assert_eq!(oldest.len(), 10);
        oldest.reverse();
        assert_eq!(oldest[3..], newest_first[..]);
        let asc = app
            .get(&format!("/v1/orders?limit=2&status=all&order=asc&starting_after={}", newest_first[6]))
            .await;
        assert_eq!(ids_of(&asc), [newest_first[5].as_str(), &newest_first[4]]);
    }
}

async fn refused_reusing(app: &TestApp, mutation: &str, input: Value) -> String {
    let before = rows(app).await;
    let answer = app.gql(mutation, json!({ "input": input })).await;
    let error = answer.user_error("orderPlace");
    assert_eq!(
        (&error["code"], &error["path"]),
        (&json!("IDEMPOTENCY_KEY_REUSED"), &json!(["idempotencyKey"]))
    );
    assert_eq!(rows(app).await, before);
    error["message"].as_str().unwrap().to_owned()
}

/// Sends a REST request that must be refused with this message and write nothing.
async fn rest(app: &TestApp, method: &str, path: &str, body: Value, status: u16, kind: &str, message: &str) {
    let before = rows(app).await;
    let answer = send(app.rest(method, path).json(&body)).await;
    assert_eq!(
        (answer.status, &answer.body),
        (status, &json!({ "error": { "type": kind, "message": message } })),
        "{path} {body}"
    );
    assert_eq!(rows(app).await, before, "{path} {body}");
    assert_reveals_nothing(&answer.body);
}

async fn place(app: &TestApp, ada: &Customer, placed: &mut i32) -> String {
    *placed += 1;
    let order =
        app.gql(ORDER_PLACE, json!({ "input": ada.order(&format!("p{placed}"), "BUY", "VTI", "0.1") })).await;
    order.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

fn ids_of(page: &Answer) -> Vec<String> {
    page.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["id"].as_str().unwrap().to_owned())
        .collect()
}

on_both! {
    async fn a_key_without_the_scope_gets_no_validation_errors(app: TestApp) {
        let key = app.key_for(&[domain::Scope::Read]).await;
        let id = uuid::Uuid::nil();
        for path in [
            "/v1/users".to_owned(),
            format!("/v1/users/{id}/accounts"),
            format!("/v1/users/{id}/bank_accounts"),
            "/v1/deposits".into(),
            "/v1/orders".into(),
        ] {
            let answer =
                crate::support::send(app.anonymous("POST", &path).bearer_auth(&key).json(&json!({}))).await;
            assert_eq!(
                (answer.status, &answer.body["error"]["type"]),
                (401, &json!("authentication_error")),
                "{path}"
            );
        }
    }

    /// There is no identity check for live users yet, so none is approved.
    async fn a_live_user_stays_pending(app: TestApp) {
        let live = app.live_key().await;
        let registered =
            app.gql_as(Some(&live), USER_CREATE, json!({ "input": person("Ada", "Carter") })).await;
        let user = registered.entity("userCreate", "user");
        assert_eq!((&user["status"], &user["kyc"]), (&json!("PENDING"), &Value::Null));
        let account = app
            .gql_as(Some(&live), ACCOUNT_OPEN, json!({ "input": cash_account(user["id"].as_str().unwrap()) }))
            .await;
        assert_eq!(account.user_error("accountOpen")["code"], "KYC_NOT_APPROVED");
    }

    async fn a_symbol_with_a_nul_is_not_found(app: TestApp) {
        let answer = app
            .gql_as(
                None,
                "query($s: String!) { instrumentBySymbol(symbol: $s) { id } }",
                json!({ "s": "VTI\u{0}" }),
            )
            .await;
        assert_eq!(answer.data()["instrumentBySymbol"], Value::Null);
    }
}

on_both! {
    async fn all_validation_errors_are_reported_at_once(app: TestApp) {
        let errors_of = async |mutation: &str, input: &str, variables: Value| {
            let document = format!(
                "mutation($input: {input}!) {{ {mutation}(input: $input) {{ userErrors {{ code path message }} }} }}"
            );
            let answer = app.gql(&document, json!({ "input": variables })).await;
            let errors = answer.data()[mutation]["userErrors"].as_array().unwrap().clone();
            errors
                .iter()
                .map(|error| {
                    let path: Vec<&str> =
                        error["path"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
                    (error["code"].as_str().unwrap().to_owned(), path.join("."))
                })
                .collect::<Vec<_>>()
        };
        let wrong = |fields: &[(&str, &str)]| {
            fields.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect::<Vec<_>>()
        };
        let mut invalid = person("", "Hopper");
        for (field, value) in [("email", "no"), ("phone", "1"), ("ssn", "7")] {
            invalid[field] = json!(value);
        }
        invalid["address"] =
            json!({ "line1": "", "city": "", "state": "XX", "postalCode": "1", "countryCode": "US" });
        let fields = [
            ("REQUIRED", "firstName"),
            ("INVALID", "email"),
            ("INVALID", "phone"),
            ("INVALID", "ssn"),
            ("REQUIRED", "address.line1"),
            ("REQUIRED", "address.city"),
            ("INVALID", "address.state"),
            ("INVALID", "address.postalCode"),
        ];
        let registered = errors_of("userCreate", "UserCreateInput", invalid.clone()).await;
        assert_eq!(registered, wrong(&fields));
        // A malformed date is no user error: it fails the request, whatever else is wrong with it.
        let dated = json!({ "input": with(invalid.clone(), "birthDate", "1985-02-30") });
        malformed(&app, USER_CREATE, dated, "birthDate", "Date").await;
        invalid["idempotencyKey"] = json!("");
        let registered = errors_of("userCreate", "UserCreateInput", invalid).await;
        assert_eq!(registered, [&wrong(&[("REQUIRED", "idempotencyKey")])[..], &wrong(&fields)].concat());
        let customer = app.customer("Ada").await;
        let patch = json!({ "idempotencyKey": "a b", "userId": customer.user_id,
            "patch": { "firstName": "", "email": "no", "ssn": "7" } });
        let patched = errors_of("userUpdate", "UserUpdateInput", patch).await;
        assert_eq!(
            patched,
            wrong(&[
                ("INVALID", "idempotencyKey"),
                ("REQUIRED", "patch.firstName"),
                ("INVALID", "patch.email"),
                ("INVALID", "patch.ssn")
            ])
        );
        let bank = json!({ "idempotencyKey": "", "userId": customer.user_id, "number": "",
            "routingNumber": "1", "nickname": "" });
        let linked = errors_of("bankAccountLink", "BankAccountLinkInput", bank).await;
        assert_eq!(
            linked,
            wrong(&[
                ("REQUIRED", "idempotencyKey"),
                ("REQUIRED", "number"),
                ("INVALID", "routingNumber"),
                ("REQUIRED", "nickname")
            ])
        );
        let order = json!({ "idempotencyKey": "o", "accountId": customer.account_id, "symbol": " ",
            "side": "BUY", "quantity": "0" });
        assert_eq!(
            errors_of("orderPlace", "OrderPlaceInput", order).await,
            wrong(&[("REQUIRED", "symbol"), ("INVALID", "quantity")])
        );
        let deposit = json!({
            "idempotencyKey": "", "accountId": customer.account_id, "bankAccountId": customer.bank_account_id,
            "amount": { "amount": "-1" },
        });
        for (amount, path) in [("-1", "amount"), ("1.001", "amount.amount")] {
            let mut deposit = deposit.clone();
            deposit["amount"]["amount"] = json!(amount);
            let deposited = errors_of("depositCreate", "DepositCreateInput", deposit).await;
            assert_eq!(deposited, wrong(&[("REQUIRED", "idempotencyKey"), ("INVALID", path)]));
        }
        let order = json!({ "idempotencyKey": "", "accountId": customer.account_id, "symbol": "VTI",
            "side": "BUY", "quantity": "1.00001" });
        let all = wrong(&[("REQUIRED", "idempotencyKey"), ("INVALID", "quantity")]);
        assert_eq!(errors_of("orderPlace", "OrderPlaceInput", order).await, all);
        let order = json!({ "idempotencyKey": "", "accountId": customer.account_id, "symbol": "",
            "side": "BUY", "quantity": "-1" });
        let all = wrong(&[("REQUIRED", "idempotencyKey"), ("REQUIRED", "symbol"), ("INVALID", "quantity")]);
        assert_eq!(errors_of("orderPlace", "OrderPlaceInput", order).await, all);
        let quote =
            json!({ "symbol": "VTI", "quote": { "bid": { "amount": "-2" }, "ask": { "amount": "0" } } });
        let quoted = errors_of("sandboxQuoteSet", "SandboxQuoteSetInput", quote).await;
        assert_eq!(quoted, wrong(&[("INVALID", "quote.bid.amount"), ("INVALID", "quote.ask.amount")]));
        let account = json!({
            "idempotencyKey": "", "userId": customer.user_id, "type": "INVESTMENT", "maritalStatus": "SINGLE",
            "countryOfCitizenship": "XXX",
            "employmentStatus": "EMPLOYED", "employmentPosition": "", "employerName": "Navy", "isDirector": true,
        });
        let opened = errors_of("accountOpen", "AccountOpenInput", account).await;
        assert_eq!(
            opened,
            wrong(&[
                ("REQUIRED", "idempotencyKey"),
                ("INVALID", "countryOfCitizenship"),
                ("REQUIRED", "employmentPosition"),
                ("REQUIRED", "annualIncome"),
                ("REQUIRED", "investmentObjective"),
                ("REQUIRED", "investmentExperience"),
                ("REQUIRED", "netLiquidWorth"),
                ("REQUIRED", "netTotalWorth"),
                ("REQUIRED", "riskTolerance"),
                ("REQUIRED", "directorOf"),
            ])
        );
        let sign_up = json!({ "email": "no", "password": "short", "fullName": "", "ssn": "7" });
        let signed_up = errors_of("userSignUp", "UserSignUpInput", sign_up).await;
        assert_eq!(
            signed_up.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(),
            ["email", "password", "fullName", "ssn"]
        );

        // REST reports the first one.
        let rest =
            app.post("/v1/users", json!({ "first_name": "", "last_name": "H", "email_address": "no" })).await;
        assert_eq!((rest.status, &rest.body["error"]["message"]), (400, &json!("first_name is required")));
    }
}
