//! Statements of accounts: what they tell to the cent, the files made from it, the links to these, and when they are
//! made.

use crate::{
    accounts::joint::signed_in,
    support::{
        ACCOUNT_OPEN, Answer, Customer, Folder, ORDER_PLACE, TestApp, cash_account, older, on_both, send,
    },
};
use chrono::TimeDelta;
use domain::{
    kernel::{calendar, clock},
    reporting::statements::{self, Format, content::Content},
};
use entity::{
    audit_log, event, statement,
    timer::{self, TimerKind},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

const CREATE: &str = "mutation($input: StatementCreateInput!) { statementCreate(input: $input) { statement { id \
    periodStart periodEnd openingBalance { amount } closingBalance { amount } account { id } } userErrors { code path \
    message } } }";
const STATEMENTS: &str = "query($id: ID!, $filter: StatementFilter) { account(id: $id) { statements(first: 20, \
    filter: $filter) { edges { node { id periodStart periodEnd openingBalance { amount currency } closingBalance { \
    amount } createdAt pdf: url csv: url(format: CSV) json: url(format: JSON) } } } } }";

async fn listed(app: &TestApp, who: &Customer, filter: Value) -> Vec<Value> {
    let found = app.gql(STATEMENTS, json!({ "id": who.account_id, "filter": filter })).await;
    let edges = found.data()["account"]["statements"]["edges"].as_array().unwrap().clone();
    edges.into_iter().map(|edge| edge["node"].clone()).collect()
}

fn period(account_id: &str, start: &str, end: &str) -> Value {
    json!({ "input": { "accountId": account_id, "periodStart": start, "periodEnd": end } })
}

/// Returns what a statement tells, by its JSON file.
async fn told(app: &TestApp, statement: &Value) -> Value {
    download(app, &statement["json"]).await.body
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

/// Requests a link without credentials.
async fn download(app: &TestApp, link: &Value) -> Answer {
    send(app.anonymous("GET", &path(app, link))).await
}

fn path(app: &TestApp, link: &Value) -> String {
    text(link).strip_prefix(&app.url).unwrap().to_owned()
}

async fn bytes(app: &TestApp, link: &Value) -> Vec<u8> {
    let response = app.anonymous("GET", &path(app, link)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

async fn trade(app: &TestApp, who: &Customer, side: &str, symbol: &str, quantity: &str, price: &str) {
    app.quote(symbol, price, price).await;
    let key = app.app.ids.next(entity::Kind::Request).to_string();
    let placed = app.gql(ORDER_PLACE, json!({ "input": who.order(&key, side, symbol, quantity) })).await;
    let id = text(&placed.entity("orderPlace", "order")["id"]).to_owned();
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

async fn apply(app: &TestApp, symbol: &str, ex_on: &str, terms: Value) {
    let apply = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
        corporateAction { id } userErrors { message } } }";
    let key = app.app.ids.next(entity::Kind::Request).to_string();
    let input = json!({ "idempotencyKey": key, "symbol": symbol, "exOn": ex_on, "terms": terms });
    app.gql(apply, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
}

async fn fees(app: &TestApp) {
    let update = "mutation { partnerSettingsUpdate(input: { patch: { secFeePerMillion: \"27.80\", \
        tradingActivityFee: { perShare: \"0.000166\", maximum: { amount: \"8.30\" } } } }) { userErrors { \
        message } } }";
    let updated = app.gql(update, json!({})).await;
    assert_eq!(updated.data()["partnerSettingsUpdate"]["userErrors"], json!([]));
}

async fn withdraw(app: &TestApp, who: &Customer, key: &str, amount: &str) -> String {
    let created =
        app.gql(crate::support::WITHDRAWAL_CREATE, json!({ "input": who.deposit(key, amount) })).await;
    text(&created.entity("withdrawalCreate", "transfer")["id"]).to_owned()
}

/// A July with every kind of entry: a deposit, purchases, a dividend, a split, a sale with fees, a withdrawal.
async fn eventful_july(app: &TestApp) -> Customer {
    let ada = app.funded_customer("Ada", "5000.00").await;
    trade(app, &ada, "BUY", "VTI", "10", "250.00").await;
    trade(app, &ada, "BUY", "MUB", "3.5", "70.00").await;
    apply(
        app,
        "VTI",
        "2026-07-14",
        json!({ "cashDividend": { "perShare": { "amount": "0.2475" },
        "payOn": "2026-07-16" } }),
    )
    .await;
    apply(app, "MUB", "2026-07-20", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
    fees(app).await;
    app.advance_to("2026-07-21T15:00:00Z").await;
    trade(app, &ada, "SELL", "VTI", "4", "260.00").await;
    app.advance_to("2026-07-27T15:00:00Z").await;
    withdraw(app, &ada, "out", "1500.00").await;
    app.quote("VTI", "262.00", "262.00").await;
    app.quote("MUB", "36.00", "36.00").await;
    app.advance_to("2026-08-01T04:59:59Z").await;
    ada
}

/// The numbers and dates in a statement, as a PDF file shows them: without grouping, and with a hyphen as sign.
fn numbers(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|field| numbers(field, found)),
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => {
            found.insert(text.clone());
        }
        Value::String(text) => match text.parse::<chrono::NaiveDate>() {
            Ok(day) => _ = found.insert(day.format("%m/%d/%Y").to_string()),
            Err(_) => found.extend(words(text)),
        },
        Value::Number(number) => panic!("the number {number} is not a text"),
        Value::Bool(_) | Value::Null => {}
    }
}

/// The words of a text that contain digits, without grouping and with a hyphen as sign.
fn words(text: &str) -> impl Iterator<Item = String> {
    let plain = text.replace('\u{2212}', "-").replace(['$', ','], "");
    let words: Vec<_> =
        plain.split_whitespace().map(|word| word.trim_matches(['.', ':']).to_owned()).collect();
    words.into_iter().filter(|word| word.chars().any(|c| c.is_ascii_digit()))
}

/// Returns the text of a PDF file.
fn pdf_text(pdf: &[u8]) -> String {
    let mut reading = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftotext of poppler-utils is needed");
    let mut input = reading.stdin.take().unwrap();
    let pdf = pdf.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&pdf).unwrap());
    let output = reading.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that every number of a statement is in the text of its PDF file.
#[track_caller]
fn assert_same_numbers(told: &Value, pdf: &[u8]) {
    let (mut expected, text) = (BTreeSet::new(), pdf_text(pdf));
    numbers(told, &mut expected);
    expected.remove(text_of_ids(told, &["account", "id"]));
    for position in told["positions"].as_array().unwrap() {
        expected.remove(position["instrument_id"].as_str().unwrap());
    }
    let found: BTreeSet<String> = words(&text).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:?} are not in\n{text}");
    assert!(expected.len() > 3, "{expected:?}");
}

fn text_of_ids<'a>(told: &'a Value, path: &[&str]) -> &'a str {
    text(path.iter().fold(told, |value, step| &value[step]))
}

on_both! {
    async fn a_statement_tells_a_month_to_the_cent(app: TestApp) {
        let ada = eventful_july(&app).await;
        assert_eq!(listed(&app, &ada, Value::Null).await, Vec::<Value>::new());
        app.advance_to("2026-08-01T05:00:00Z").await;
        let statements = listed(&app, &ada, Value::Null).await;
        assert_eq!(statements.len(), 1);
        let july = &statements[0];
        for (field, expected) in [
            ("periodStart", json!("2026-07-01")),
            ("periodEnd", json!("2026-07-31")),
            ("openingBalance", json!({ "amount": "0.00", "currency": "USD" })),
            ("closingBalance", json!({ "amount": "3621.44" })),
            ("createdAt", json!("2026-08-01T05:00:00Z")),
        ] {
            assert_eq!(july[field], expected, "{field}");
        }
        let told = told(&app, july).await;
        let number =
            app.gql("query($id: ID!) { account(id: $id) { number } }", json!({ "id": ada.account_id })).await;
        let number = number.data()["account"]["number"].clone();
        let mut rest = told.clone();
        let instruments: Vec<Value> = rest["positions"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .map(|position| position.as_object_mut().unwrap().remove("instrument_id").unwrap())
            .collect();
        assert_eq!(instruments.len(), 2);
        let expected = json!({
            "id": july["id"], "partner": "tests", "currency": "USD",
            "account": { "id": ada.account_id, "number": number, "type": "cash", "ownership": "individual",
                "tax_treatment": "taxable", "owners": ["Ada Carter"] },
            "start_date": "2026-07-01", "end_date": "2026-07-31",
            "summary": {
                "opening_value": "0.00", "deposits": "5000.00", "withdrawals": "-1500.00", "dividends": "2.48",
                "fees": "-0.04", "market_change": "119.00", "closing_value": "3621.44",
                "short_term_gain": "39.96", "long_term_gain": "0.00",
            },
            "cash": {
                "opening_balance": "0.00",
                "entries": [
                    { "date": "2026-07-10", "type": "deposit", "description": "Deposit from account ending in 3043",
                        "amount": "5000.00", "balance": "5000.00" },
                    { "date": "2026-07-10", "type": "purchase", "description": "Bought 10 VTI at 250.00",
                        "amount": "-2500.00", "balance": "2500.00" },
                    { "date": "2026-07-10", "type": "purchase", "description": "Bought 3.5 MUB at 70.00",
                        "amount": "-245.00", "balance": "2255.00" },
                    { "date": "2026-07-16", "type": "dividend", "description": "Dividend on 10 VTI",
                        "amount": "2.48", "balance": "2257.48" },
                    { "date": "2026-07-21", "type": "sale", "description": "Sold 4 VTI at 260.00",
                        "amount": "1039.96", "balance": "3297.44" },
                    { "date": "2026-07-27", "type": "withdrawal",
                        "description": "Withdrawal to account ending in 3043",
                        "amount": "-1500.00", "balance": "1797.44" },
                ],
                "closing_balance": "1797.44", "pending_deposits": "0.00", "pending_withdrawals": "0.00",
            },
            "positions": [
                { "symbol": "MUB", "name": "iShares National Muni Bond ETF", "opening_quantity": "0",
                    "opening_price": null, "opening_value": "0.00",
                    "entries": [
                        { "date": "2026-07-10", "type": "purchase", "quantity": "3.5", "balance": "3.5" },
                        { "date": "2026-07-20", "type": "split", "quantity": "3.5", "balance": "7" },
                    ],
                    "closing_quantity": "7", "closing_price": "36.00", "closing_value": "252.00" },
                { "symbol": "VTI", "name": "Vanguard Total Stock Market ETF", "opening_quantity": "0",
                    "opening_price": null, "opening_value": "0.00",
                    "entries": [
                        { "date": "2026-07-10", "type": "purchase", "quantity": "10", "balance": "10" },
                        { "date": "2026-07-21", "type": "sale", "quantity": "-4", "balance": "6" },
                    ],
                    "closing_quantity": "6", "closing_price": "262.00", "closing_value": "1572.00" },
            ],
            "trades": [
                { "date": "2026-07-10", "settlement_date": "2026-07-13", "side": "buy", "symbol": "VTI",
                    "quantity": "10", "price": "250.00", "amount": "2500.00", "fees": "0.00",
                    "net_amount": "2500.00" },
                { "date": "2026-07-10", "settlement_date": "2026-07-13", "side": "buy", "symbol": "MUB",
                    "quantity": "3.5", "price": "70.00", "amount": "245.00", "fees": "0.00",
                    "net_amount": "245.00" },
                { "date": "2026-07-21", "settlement_date": "2026-07-22", "side": "sell", "symbol": "VTI",
                    "quantity": "4", "price": "260.00", "amount": "1040.00", "fees": "0.04",
                    "net_amount": "1039.96" },
            ],
            "transfers": [
                { "date": "2026-07-10", "type": "deposit", "bank_account": "3043", "amount": "5000.00" },
                { "date": "2026-07-27", "type": "withdrawal", "bank_account": "3043", "amount": "-1500.00" },
            ],
            "dividends": [{ "date": "2026-07-16", "symbol": "VTI", "quantity": "10", "per_share": "0.2475",
                "amount": "2.48" }],
            "fees": [{ "date": "2026-07-21", "symbol": "VTI", "sec_fee": "0.03", "trading_activity_fee": "0.01",
                "total": "0.04" }],
            "realized_gains": [{ "symbol": "VTI", "quantity": "4", "acquired_date": "2026-07-10",
                "sold_date": "2026-07-21", "term": "short", "proceeds": "1039.96", "cost_basis": "1000.00",
                "gain": "39.96" }],
        });
        assert_eq!(rest, expected, "{rest:#}");
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn files_have_every_number_and_the_same_bytes(app: TestApp) {
        let ada = eventful_july(&app).await;
        app.advance_to("2026-08-02T16:00:00Z").await;
        let statements = listed(&app, &ada, Value::Null).await;
        let july = &statements[0];
        let told = told(&app, july).await;
        let pdf = bytes(&app, &july["pdf"]).await;
        assert_same_numbers(&told, &pdf);
        assert_eq!(bytes(&app, &july["pdf"]).await, pdf);
        let text = pdf_text(&pdf);
        for word in [
            "tests",
            "Ada Carter",
            "July 1, 2026 \u{2013} July 31, 2026",
            "Page 1 of ",
            "Holdings on 07/31/2026",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        assert!(!text.contains("4327843043"), "{text}");

        let csv = bytes(&app, &july["csv"]).await;
        assert_eq!(bytes(&app, &july["csv"]).await, csv);
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let header = reader.headers().unwrap().clone();
        let lines: Vec<Value> = reader
            .records()
            .map(|line| {
                let line = line.unwrap();
                header
                    .iter()
                    .zip(line.iter())
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(name, value)| (name.to_owned(), json!(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            })
            .collect();
        for expected in [
            json!({ "section": "summary", "type": "closing_value", "amount": "3621.44" }),
            json!({ "section": "cash", "date": "2026-07-16", "type": "dividend",
                "description": "Dividend on 10 VTI", "amount": "2.48", "balance": "2257.48" }),
            json!({ "section": "shares", "date": "2026-07-31", "type": "closing", "symbol": "VTI",
                "description": "Vanguard Total Stock Market ETF", "price": "262.00", "amount": "1572.00",
                "balance": "6" }),
            json!({ "section": "trade", "date": "2026-07-21", "type": "sale", "symbol": "VTI", "quantity": "4",
                "price": "260.00", "amount": "1040.00", "fees": "0.04", "net_amount": "1039.96",
                "settlement_date": "2026-07-22" }),
            json!({ "section": "transfer", "date": "2026-07-27", "type": "withdrawal",
                "description": "Account ending in 3043", "amount": "-1500.00" }),
            json!({ "section": "realized_gain", "date": "2026-07-21", "type": "short_term", "symbol": "VTI",
                "quantity": "4", "amount": "39.96", "net_amount": "1039.96", "acquired_date": "2026-07-10",
                "cost_basis": "1000.00" }),
        ] {
            assert!(lines.contains(&expected), "{expected} is not in {lines:#?}");
        }
        let (mut of_json, mut of_csv) = (BTreeSet::new(), BTreeSet::new());
        numbers(&told["cash"], &mut of_json);
        lines.iter().for_each(|line| numbers(line, &mut of_csv));
        assert!(of_json.is_subset(&of_csv), "{of_json:?}");

        for (link, media_type, extension) in [
            (&july["pdf"], "application/pdf", "pdf"),
            (&july["csv"], "text/csv; charset=utf-8", "csv"),
            (&july["json"], "application/json", "json"),
        ] {
            let answer = download(&app, link).await;
            assert_eq!(answer.headers["content-type"], media_type);
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            assert_eq!(answer.headers["cache-control"], "no-store");
            let disposition = answer.headers["content-disposition"].to_str().unwrap();
            assert!(disposition.starts_with("attachment; filename=\"statement-"), "{disposition}");
            assert!(disposition.ends_with(&format!("-2026-07-01-2026-07-31.{extension}\"")), "{disposition}");
        }
        let downloads = audit_log::Entity::find()
            .filter(audit_log::Column::Operation.eq("statement.download"))
            .count(&app.app.db.read)
            .await
            .unwrap();
        assert_eq!(downloads, 8);
    }

    async fn months_follow_each_other_without_a_gap(app: TestApp) {
        let ada = eventful_july(&app).await;
        app.advance_to("2026-08-05T16:00:00Z").await;
        trade(&app, &ada, "BUY", "MUB", "1.25", "37.00").await;
        app.quote("MUB", "38.00", "38.00").await;
        app.quote("VTI", "255.00", "255.00").await;
        app.advance_to("2026-10-01T05:00:00Z").await;
        let statements = listed(&app, &ada, Value::Null).await;
        let periods: Vec<_> =
            statements.iter().map(|one| (text(&one["periodStart"]), text(&one["periodEnd"]))).collect();
        assert_eq!(
            periods,
            [("2026-09-01", "2026-09-30"), ("2026-08-01", "2026-08-31"), ("2026-07-01", "2026-07-31"),]
        );
        for pair in statements.windows(2) {
            let (later, earlier) = (told(&app, &pair[0]).await, told(&app, &pair[1]).await);
            assert_eq!(later["summary"]["opening_value"], earlier["summary"]["closing_value"]);
            assert_eq!(later["cash"]["opening_balance"], earlier["cash"]["closing_balance"]);
            for (after, before) in
                later["positions"].as_array().unwrap().iter().zip(earlier["positions"].as_array().unwrap())
            {
                for (opening, closing) in [
                    ("opening_quantity", "closing_quantity"),
                    ("opening_price", "closing_price"),
                    ("opening_value", "closing_value"),
                ] {
                    assert_eq!(after[opening], before[closing], "{after} {before}");
                }
            }
        }
        let september = told(&app, &statements[0]).await;
        // 8.25 shares at 38.00 and 6 at 255.00, and 1797.44 less 46.25.
        assert_eq!(september["summary"]["closing_value"], "3594.69");
        assert_eq!(september["cash"]["entries"], json!([]));
        let ended = listed(&app, &ada, json!({ "endFrom": "2026-08-31", "endBefore": "2026-09-30" })).await;
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0]["periodEnd"], "2026-08-31");
    }

    async fn an_account_without_anything_gets_no_statement_until_it_is_requested(app: TestApp) {
        let ada = app.customer("Ada").await;
        app.advance_to("2026-09-01T05:00:00Z").await;
        assert_eq!(listed(&app, &ada, Value::Null).await, Vec::<Value>::new());
        let created = app.gql(CREATE, period(&ada.account_id, "2026-07-01", "2026-07-31")).await;
        let july = created.entity("statementCreate", "statement");
        assert_eq!(
            (&july["openingBalance"]["amount"], &july["closingBalance"]["amount"]),
            (&json!("0.00"), &json!("0.00"))
        );
        let told = told(&app, &listed(&app, &ada, Value::Null).await[0]).await;
        for part in ["positions", "trades", "transfers", "dividends", "fees", "realized_gains"] {
            assert_eq!(told[part], json!([]), "{part}");
        }
        assert_same_numbers(&told, &bytes(&app, &listed(&app, &ada, Value::Null).await[0]["pdf"]).await);
        // A deposit in the next month is a reason for one.
        app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit("in", "10.00") })).await;
        app.advance_to("2026-10-01T05:00:00Z").await;
        let listed = listed(&app, &ada, Value::Null).await;
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0]["closingBalance"]["amount"], "10.00");
    }

    async fn any_past_period_can_be_requested_and_is_made_once(app: TestApp) {
        let ada = eventful_july(&app).await;
        app.advance_to("2026-08-20T16:00:00Z").await;
        let created = app.gql(CREATE, period(&ada.account_id, "2026-07-14", "2026-07-20")).await;
        let week = created.entity("statementCreate", "statement").clone();
        assert_eq!(week["account"]["id"], json!(ada.account_id));
        let listed = listed(&app, &ada, Value::Null).await;
        let told = told(&app, listed.iter().find(|one| one["id"] == week["id"]).unwrap()).await;
        assert_eq!(told["cash"]["opening_balance"], "2255.00");
        assert_eq!(told["cash"]["closing_balance"], "2257.48");
        assert_eq!(told["dividends"].as_array().unwrap().len(), 1);
        assert_eq!(told["positions"][0]["opening_quantity"], "3.5");
        assert_eq!(
            told["positions"][0]["entries"],
            json!([
                { "date": "2026-07-20", "type": "split", "quantity": "3.5", "balance": "7" },
            ])
        );
        assert_same_numbers(
            &told,
            &bytes(&app, &listed.iter().find(|one| one["id"] == week["id"]).unwrap()["pdf"]).await,
        );
        let again = app.gql(CREATE, period(&ada.account_id, "2026-07-14", "2026-07-20")).await;
        assert_eq!(again.entity("statementCreate", "statement"), &week);
        // The month was made by its timer, and is not made again.
        let month = app.gql(CREATE, period(&ada.account_id, "2026-07-01", "2026-07-31")).await;
        let month = month.entity("statementCreate", "statement")["id"].clone();
        assert!(listed.iter().any(|one| one["id"] == month));
        assert_eq!(statement::Entity::find().count(&app.app.db.read).await.unwrap(), 2);
        let ready = event::Entity::find()
            .filter(event::Column::Kind.eq("statement.ready"))
            .order_by_asc(event::Column::Seq)
            .all(&app.app.db.read)
            .await
            .unwrap();
        let payloads: Vec<Value> =
            ready.iter().map(|event| serde_json::from_str(&event.payload).unwrap()).collect();
        assert_eq!(
            payloads,
            [
                json!({ "id": month, "account_id": ada.account_id, "start_date": "2026-07-01",
                "end_date": "2026-07-31" }),
                json!({ "id": week["id"], "account_id": ada.account_id, "start_date": "2026-07-14",
                "end_date": "2026-07-20" }),
            ]
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn bad_requests_are_refused_by_field(app: TestApp) {
        let ada = app.customer("Ada").await;
        let (_, other) = app.other_partner("other").await;
        let theirs = app.customer_as(&other, "Bob").await;
        app.advance_to("2026-08-20T04:59:59Z").await;
        let unknown = app.app.ids.next(entity::Kind::Account).to_string();
        for (account, start, end, code, path) in [
            (unknown.as_str(), "2026-07-01", "2026-07-31", "NOT_FOUND", "accountId"),
            (theirs.account_id.as_str(), "2026-07-01", "2026-07-31", "NOT_FOUND", "accountId"),
            ("nonsense", "2026-07-01", "2026-07-31", "NOT_FOUND", "accountId"),
            (ada.account_id.as_str(), "2026-07-31", "2026-07-30", "INVALID", "periodStart"),
            (ada.account_id.as_str(), "2025-07-31", "2026-08-01", "INVALID", "periodStart"),
            (ada.account_id.as_str(), "2026-08-01", "2026-08-20", "INVALID", "periodEnd"),
            // The day has ended at midnight, but its books are complete from 01:00 on.
            (ada.account_id.as_str(), "2026-08-01", "2026-08-19", "INVALID", "periodEnd"),
            (ada.account_id.as_str(), "2026-06-01", "2026-07-08", "INVALID", "periodEnd"),
        ] {
            let refused = app.gql(CREATE, period(account, start, end)).await;
            let error = refused.user_error("statementCreate");
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!([path])), "{start} {end}");
        }
        for (start, end) in
            [("2025-07-31", "2026-07-31"), ("2026-07-09", "2026-07-09"), ("2026-06-01", "2026-07-09")]
        {
            app.gql(CREATE, period(&ada.account_id, start, end)).await.entity("statementCreate", "statement");
        }
        let malformed = app.gql(CREATE, period(&ada.account_id, "2026-07-32", "2026-07-31")).await;
        assert_eq!(malformed.error_code(), "GRAPHQL_VALIDATION_FAILED");
        app.advance_to("2026-08-20T05:00:00Z").await;
        app.gql(CREATE, period(&ada.account_id, "2026-08-19", "2026-08-19"))
            .await
            .entity("statementCreate", "statement");
        let read_only = app.key_for(&[domain::Scope::Read]).await;
        let refused =
            app.gql_as(Some(&read_only), CREATE, period(&ada.account_id, "2026-07-09", "2026-07-09")).await;
        assert_eq!(refused.error_code(), "FORBIDDEN");
    }

    async fn rest_lists_statements_with_both_dates(app: TestApp) {
        let ada = eventful_july(&app).await;
        app.advance_to("2026-10-20T16:00:00Z").await;
        let (_, other) = app.other_partner("other").await;
        let list = async |query: &str| app.get(&format!("/v1/statements{query}")).await;
        let account = format!("?account_id={}", ada.account_id);
        let all = list(&account).await;
        assert_eq!(all.status, 200, "{}", all.body);
        let ends = |answer: &Answer| {
            let data = answer.body["data"].as_array().unwrap();
            data.iter().map(|one| text(&one["end_date"]).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ends(&all), ["2026-09-30", "2026-08-31", "2026-07-31"]);
        assert_eq!(
            all.body["pagination"],
            json!({
                "ending_before": null, "starting_after": null, "limit": 25, "order": "desc",
                "start_date": "2026-07-22T00:00:00Z", "end_date": "2026-10-31T23:59:59Z", "account_id": ada.account_id,
                "previous_page": null, "next_page": null, "previous_uri": null, "next_uri": null,
            })
        );
        let first = &all.body["data"][0];
        let mut fields: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["account_id", "end_date", "id", "start_date", "url"]);

        for (query, expected) in [
            (format!("{account}&start_date=2026-08-01"), vec!["2026-09-30", "2026-08-31"]),
            (format!("{account}&start_date=2026-08-31&end_date=2026-08-31"), vec!["2026-08-31"]),
            (format!("{account}&start_date=2026-08-31T00:00:00Z"), vec!["2026-09-30", "2026-08-31"]),
            (format!("{account}&start_date=2026-08-31T00:00:01Z"), vec!["2026-09-30"]),
            (format!("{account}&start_date=2026-09-30T02:00:00%2B02:00"), vec!["2026-09-30"]),
            (format!("{account}&end_date=2026-08-31T23:00:00Z"), vec!["2026-08-31", "2026-07-31"]),
            (format!("{account}&start_date=&end_date="), vec!["2026-09-30", "2026-08-31", "2026-07-31"]),
            (format!("{account}&order=asc&limit=1"), vec!["2026-07-31"]),
            (format!("?account_id={}", app.app.ids.next(entity::Kind::Account)), vec![]),
            (String::new(), vec!["2026-09-30", "2026-08-31", "2026-07-31"]),
            // One date beyond the default of the other.
            (format!("{account}&end_date=2026-01-01"), vec![]),
            (format!("{account}&start_date=2027-01-01"), vec![]),
        ] {
            assert_eq!(ends(&list(&query).await), expected, "{query}");
        }
        let page = list(&format!("{account}&limit=1&start_date=2026-08-01")).await;
        let next = text(&page.body["pagination"]["next_page"]).to_owned();
        assert!(
            next.contains("start_date=2026-08-01T00:00:00Z")
                && next.contains("end_date=2026-10-31T23:59:59Z")
        );
        assert_eq!(ends(&app.get(&next).await), ["2026-08-31"]);

        for (query, status, message) in [
            ("?account_id=nonsense", 400, "account_id must be an id"),
            ("?start_date=yesterday", 400, "start_date must be a date or a time in ISO format"),
            ("?end_date=2026-02-30", 400, "end_date must be a date or a time in ISO format"),
            ("?start_date=2026-08-02&end_date=2026-08-01", 400, "start_date must not be after end_date"),
            ("?starting_after=nonsense", 400, "starting_after does not match any statement in this list"),
        ] {
            let refused = list(query).await;
            assert_eq!(
                (refused.status, &refused.body["error"]["message"]),
                (status, &json!(message)),
                "{query}"
            );
        }

        let one = app.get(&format!("/v1/statements/{}", text(&first["id"]))).await;
        assert_eq!(one.status, 200);
        for field in ["id", "account_id", "start_date", "end_date"] {
            assert_eq!(one.body[field], first[field], "{field}");
        }
        assert_ne!(one.body["url"], first["url"]);
        assert_eq!(download(&app, &one.body["url"]).await.status, 200);
        let theirs =
            send(app.anonymous("GET", &format!("/v1/statements/{}", text(&first["id"]))).bearer_auth(&other))
                .await;
        assert_eq!(theirs.status, 404);
        let empty = send(app.anonymous("GET", &format!("/v1/statements{account}")).bearer_auth(&other)).await;
        assert_eq!(empty.body["data"], json!([]));
        assert_eq!(app.get("/v1/statements/nonsense").await.status, 404);
    }

    async fn a_link_opens_one_file_for_thirty_minutes(app: TestApp) {
        let ada = app.funded_customer("Ada", "100.00").await;
        let bob = app.funded_customer("Bob", "200.00").await;
        app.advance_to("2026-08-03T16:00:00Z").await;
        let july = listed(&app, &ada, Value::Null).await[0].clone();
        let others = listed(&app, &bob, Value::Null).await[0].clone();
        let (pdf, of_bob) = (path(&app, &july["pdf"]), path(&app, &others["pdf"]));
        let again = listed(&app, &ada, Value::Null).await[0].clone();
        assert_ne!(again["pdf"], july["pdf"], "each request makes a new link");
        let status = async |path: &str| send(app.anonymous("GET", path)).await.status;
        assert_eq!(status(&pdf).await, 200);
        let (file, query) = pdf.split_once('?').unwrap();
        let (other_file, _) = of_bob.split_once('?').unwrap();
        let altered = [
            format!("{other_file}?{query}"),
            format!("{}?{query}", file.replace(".pdf", ".json")),
            format!("{file}?{}", query.replacen("until=1", "until=2", 1)),
            format!("{file}?{}", &query[..query.len() - 1]),
            format!("{file}?{query}x"),
            format!("{file}?{query}&more=1"),
            file.to_owned(),
            format!("{file}?signature=AAAA"),
            "/statements/nonsense".to_owned(),
            "/statements/nonsense.pdf?by=1&until=2&signature=3".to_owned(),
        ];
        for path in &altered {
            let refused = send(app.anonymous("GET", path)).await;
            assert_eq!(
                (refused.status, &refused.body["error"]["type"]),
                (403, &json!("invalid_request")),
                "{path}"
            );
        }
        app.advance_to("2026-08-03T16:29:59Z").await;
        assert_eq!(status(&pdf).await, 200);
        app.advance_to("2026-08-03T16:30:00Z").await;
        assert_eq!(status(&pdf).await, 403);
        assert_eq!(download(&app, &listed(&app, &ada, Value::Null).await[0]["pdf"]).await.status, 200);
    }

    /// A deposit that could be spent at once is returned after it was spent, and is owed; a withdrawal sells shares;
    /// one is canceled.
    async fn returned_deposits_and_withdrawals_that_sell_add_up(app: TestApp) {
        let update = "mutation { partnerSettingsUpdate(input: { patch: { instantLimit: { amount: \"1000.00\" }, \
            accountInstantLimit: { amount: \"1000.00\" } } }) { userErrors { message } } }";
        assert_eq!(app.gql(update, json!({})).await.data()["partnerSettingsUpdate"]["userErrors"], json!([]));
        let ada = app.customer("Ada").await;
        let deposit =
            app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit("in", "600.00") })).await;
        let deposit = deposit.entity("depositCreate", "transfer")["id"].clone();
        trade(&app, &ada, "BUY", "VTI", "5", "100.00").await;
        app.advance_to("2026-07-13T16:00:00Z").await;
        let give_back = "mutation($input: SandboxTransferReturnInput!) { sandboxTransferReturn(input: $input) { \
            transfer { status } userErrors { message } } }";
        let returned = app.gql(give_back, json!({ "input": { "transferId": deposit, "code": "R08" } })).await;
        assert_eq!(returned.entity("sandboxTransferReturn", "transfer")["status"], "RETURNED");
        app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit("again", "900.00") })).await;
        app.advance_to("2026-07-15T16:00:00Z").await;
        let canceled = withdraw(&app, &ada, "canceled", "50.00").await;
        let cancel = "mutation($input: TransferCancelInput!) { transferCancel(input: $input) { transfer { status } \
            userErrors { message } } }";
        app.gql(cancel, json!({ "input": { "idempotencyKey": "c", "transferId": canceled } }))
            .await
            .entity("transferCancel", "transfer");
        withdraw(&app, &ada, "sells", "600.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        app.advance_to("2026-08-01T05:00:00Z").await;
        let statements = listed(&app, &ada, Value::Null).await;
        let told = told(&app, &statements[0]).await;
        let lines: Vec<String> = told["cash"]["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| ["date", "type", "amount", "balance"].map(|field| text(&entry[field])).join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "2026-07-09 deposit 600.00 600.00",
                "2026-07-09 purchase -500.00 100.00",
                "2026-07-13 deposit_reversal -600.00 -500.00",
                "2026-07-14 deposit 900.00 400.00",
                "2026-07-15 withdrawal -50.00 350.00",
                "2026-07-15 withdrawal_reversal 50.00 400.00",
                "2026-07-15 withdrawal -400.00 0.00",
                "2026-07-15 sale 200.00 200.00",
                "2026-07-15 withdrawal -200.00 0.00",
            ],
            "{told:#}"
        );
        assert_eq!(told["summary"]["deposits"], "900.00");
        assert_eq!(told["summary"]["withdrawals"], "-600.00");
        assert_eq!(told["summary"]["closing_value"], "300.00");
        let [total, ..] = app.balance(&ada.account_id).await;
        assert_eq!(total, "300.00");
        assert_same_numbers(&told, &bytes(&app, &statements[0]["pdf"]).await);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_new_symbol_and_a_split_do_not_change_earlier_periods(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        trade(&app, &ada, "BUY", "VTI", "2", "100.00").await;
        apply(&app, "VTI", "2026-08-17", json!({ "split": { "newShares": 4, "oldShares": 1 } })).await;
        apply(&app, "VTI", "2026-08-18", json!({ "symbolChange": { "symbol": "NEWV" } })).await;
        app.advance_to("2026-07-20T16:00:00Z").await;
        let create = async |start: &str, end: &str| {
            let created = app.gql(CREATE, period(&ada.account_id, start, end)).await;
            created.entity("statementCreate", "statement")["id"].clone()
        };
        let early = create("2026-07-09", "2026-07-17").await;
        app.advance_to("2026-08-20T16:00:00Z").await;
        let late = create("2026-07-01", "2026-07-17").await;
        let listed = listed(&app, &ada, Value::Null).await;
        let mut positions = Vec::new();
        for id in [&early, &late] {
            let statement = listed.iter().find(|one| one["id"] == *id).unwrap();
            positions.push(told(&app, statement).await["positions"].clone());
        }
        assert_eq!(positions[0], positions[1]);
        let summary = |position: &Value| {
            ["symbol", "closing_quantity", "closing_price", "closing_value"]
                .map(|field| text(&position[field]).to_owned())
        };
        assert_eq!(summary(&positions[0][0]), ["VTI", "2", "100.00", "200.00"]);
        // A period that nothing touches yet, and whose prices are worked out after the split.
        let alone = create("2026-07-10", "2026-07-22").await;
        let after = create("2026-08-18", "2026-08-19").await;
        let listed = self::listed(&app, &ada, Value::Null).await;
        let of = |id: &Value| listed.iter().find(|one| one["id"] == *id).unwrap().clone();
        assert_eq!(summary(&told(&app, &of(&alone)).await["positions"][0]), ["VTI", "2", "100.00", "200.00"]);
        assert_eq!(summary(&told(&app, &of(&after)).await["positions"][0]), ["NEWV", "8", "25.00", "200.00"]);
    }

    async fn owners_download_their_own_statements(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await;
        let eve = signed_in(&app, "Eve", "2025550143", "313456789").await;
        let own = json!({ "input": cash_account(&john.user_id) });
        let opened = app.gql_as(Some(&john.access), ACCOUNT_OPEN, own).await;
        let account = opened.entity("accountOpen", "account")["id"].as_str().unwrap().to_owned();
        app.advance_to("2026-07-12T16:00:00Z").await;
        let made = app.gql_as(Some(&john.access), CREATE, period(&account, "2026-07-09", "2026-07-10")).await;
        let id = made.entity("statementCreate", "statement")["id"].clone();
        let query = "query($id: ID!) { statement(id: $id) { url(format: JSON) } }";
        let seen = app.gql_as(Some(&john.access), query, json!({ "id": id })).await;
        let told = download(&app, &seen.data()["statement"]["url"]).await;
        assert_eq!((told.status, &told.body["period_end"]), (200, &json!("2026-07-10")));
        let unseen = app.gql_as(Some(&eve.access), query, json!({ "id": id })).await;
        assert_eq!(unseen.data(), &json!({ "statement": null }));
        // A key that may make statements, but may not read.
        let maker = app.key_for(&[domain::Scope::Manage]).await;
        let with_link = "mutation($input: StatementCreateInput!) { statementCreate(input: $input) { statement { \
            url } } }";
        let refused =
            app.gql_as(Some(&maker), with_link, period(&account, "2026-07-09", "2026-07-11")).await;
        assert_eq!(refused.error_code(), "FORBIDDEN");
    }

    async fn what_is_stored_is_encrypted(app: TestApp) {
        let ada = app.funded_customer("Ada", "100.00").await;
        app.advance_to("2026-08-01T05:00:00Z").await;
        let row = statement::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        for plain in ["Ada Carter", "account ending in", "2026-07-31"] {
            assert!(!row.content.windows(plain.len()).any(|bytes| bytes == plain.as_bytes()), "{plain}");
        }
        let content: Content = statements::stored(&app.app, &row).unwrap();
        assert_eq!(content.account.owners, ["Ada Carter"]);
        let text = statements::render(&content, Format::Json).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&text).unwrap(),
            told(&app, &listed(&app, &ada, Value::Null).await[0]).await
        );
        // A statement in another place cannot be read.
        let moved = statement::Model { id: app.app.ids.next(entity::Kind::Statement), ..row };
        assert!(statements::stored(&app.app, &moved).is_err());
    }

    /// Thousands of statements are due at the same time.
    async fn a_statement_runs_few_database_statements(app: TestApp) {
        let mut counts = Vec::new();
        for (name, is_active, month) in [("Ada", true, 8), ("Bob", false, 9)] {
            if is_active {
                eventful_july(&app).await;
            } else {
                app.customer(name).await;
            }
            let first = |at: &str| format!("2026-{month:02}-01T{at}Z");
            app.advance_to(&first("04:59:59")).await;
            app.written.lock().unwrap().clear();
            app.advance_to(&first("05:00:00")).await;
            let written = app.written.lock().unwrap().clone();
            let about = |word: &str| written.iter().filter(|sql| sql.contains(word)).count();
            assert_eq!(about("own.owner_id"), 3 * (1 + usize::from(!is_active)), "{written:#?}");
            counts.push(written.len());
        }
        // The second month has a quiet account, and again the first one.
        assert!(counts[0] <= 32 && counts[1] <= counts[0] + 6, "{counts:?}");
    }

    async fn a_closed_account_gets_the_statement_of_its_last_month(app: TestApp) {
        let ada = app.funded_customer("Ada", "100.00").await;
        withdraw(&app, &ada, "all", "100.00").await;
        app.advance_to("2026-07-20T16:00:00Z").await;
        let close = "mutation($input: AccountCloseInput!) { accountClose(input: $input) { account { status } \
            userErrors { message } } }";
        let input = json!({ "accountId": ada.account_id, "reason": "Moved." });
        let closed = app.gql(close, json!({ "input": input })).await;
        assert_eq!(closed.entity("accountClose", "account")["status"], "CLOSED");
        app.advance_to("2026-11-01T05:00:00Z").await;
        let statements = listed(&app, &ada, Value::Null).await;
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["closingBalance"]["amount"], "0.00");
        let timers = "SELECT count(*) AS number FROM timer WHERE kind = 'statement_issue'";
        let backend = app.app.db.read.get_database_backend();
        let row =
            app.app.db.read.query_one_raw(sea_orm::Statement::from_string(backend, timers)).await.unwrap();
        assert_eq!(row.unwrap().try_get::<i64>("", "number").unwrap(), 0);
    }
}

/// The months before are not made up for, so that they do not hold up other work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_from_before_get_their_first_statement_when_the_month_has_ended() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000032_statements").await {
        for (number, status) in [(2, "active"), (3, "frozen"), (4, "closed")] {
            let row = format!(
                "INSERT INTO account (id, partner_id, user_id, number, ownership, kind, status, marital_status, \
                 country_of_citizenship, employment_status, employment_position, employer_name, opened_at) VALUES ({}, \
                 {}, {}, '{number}', 'individual', 'cash', '{status}', 'single', 'USA', 'employed', 'Engineer', \
                 'NACA', '2020-01-09T16:00:00+00:00')",
                older.id(number),
                older.id(1),
                older.id(9),
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        older.migrate().await;
        let timers = timer::Entity::find()
            .filter(timer::Column::Kind.eq(TimerKind::StatementIssue))
            .order_by_asc(timer::Column::SubjectId)
            .all(&older.db)
            .await
            .unwrap();
        let now = clock::system_now();
        for (timer, number) in timers.iter().zip(["02", "03"]) {
            assert!(timer.subject_id.to_string().ends_with(number), "{timer:?}");
            assert_eq!(timer.id.as_bytes()[..15], timer.subject_id.as_bytes()[..15]);
            assert_eq!(timer.id.as_bytes()[15], 13);
            let day = calendar::new_york_date(timer.due_at);
            assert_eq!(day, calendar::month_of(day), "{timer:?}");
            assert!(timer.due_at > now && timer.due_at < now + TimeDelta::days(32), "{timer:?}");
        }
        assert_eq!(timers.len(), 2);
    }
}
