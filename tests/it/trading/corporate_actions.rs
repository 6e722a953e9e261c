//! Corporate actions, checked to the cent: who is entitled, what becomes of orders, lots and cash, and what is refused.

use crate::support::{
    Customer, Folder, ORDER_PLACE, Options, TestApp, freeze_clock_at, older, on_both, socket::Socket,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use domain::{
    Error,
    kernel::{
        actor::AccessScope,
        clock,
        command::CommandContext,
        ids::Ids,
        scheduler::{self, Due},
    },
    providers::prices,
    trading::{
        bars,
        corporate_actions::ProcessCorporateAction,
        instruments::{self, NewInstrument},
    },
};
use entity::{
    Money, Price, Quantity, corporate_action,
    lot_closing::{self, Term},
    order, tax_lot,
    timer::{self, TimerKind},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    sea_query::Expr,
};
use serde_json::{Value, json};
use uuid::Uuid;

const APPLY: &str = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
    corporateAction { id kind exOn recordOn payOn processedAt instrument { symbol } } \
    userErrors { code path message } } }";
const ENTITLEMENTS: &str = "query($id: ID!) { account(id: $id) { entitlements(first: 9) { edges { node { quantity \
    newQuantity cash { amount } appliedAt corporateAction { kind } reinvestment { quantity status } } } } } }";
const STATE: &str = "query($id: ID!) { account(id: $id) { positions(first: 9, includeClosed: true) { edges { node { \
    quantity costBasis { amount } instrument { symbol } } } } taxLots(first: 9) { edges { node { quantity \
    originalQuantity costBasis { amount } acquiredOn heldSince } } } realizedGains(first: 9) { edges { node { quantity \
    proceeds { amount } costBasis { amount } gain { amount } term fill { id } entitlement { id } } } } } }";
const ORDER: &str = "query($id: ID!) { order(id: $id) { status quantity filledQuantity limitPrice { amount } \
    stopPrice { amount } instrument { symbol } } }";
const WITHDRAW: &str = "mutation($input: CorporateActionWithdrawInput!) { \
    corporateActionWithdraw(input: $input) { corporateAction { id kind exOn } \
    userErrors { code path message } } }";

async fn apply(app: &TestApp, key: &str, symbol: &str, ex_on: &str, terms: Value) -> Value {
    let input = json!({ "idempotencyKey": key, "symbol": symbol, "exOn": ex_on, "terms": terms });
    let answer = app.gql(APPLY, json!({ "input": input })).await;
    answer.entity("corporateActionApply", "corporateAction").clone()
}

fn dividend(per_share: &str, pay_on: &str) -> Value {
    json!({ "cashDividend": { "perShare": { "amount": per_share }, "payOn": pay_on } })
}

async fn trade(app: &TestApp, who: &Customer, side: &str, symbol: &str, quantity: &str, price: &str) {
    app.quote(symbol, price, price).await;
    let key = app.app.ids.next(entity::Kind::Request).to_string();
    let placed = app.gql(ORDER_PLACE, json!({ "input": who.order(&key, side, symbol, quantity) })).await;
    let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

/// Places a good-till-canceled order that rests; `prices` are its type and prices.
async fn rest(
    app: &TestApp,
    who: &Customer,
    side: &str,
    symbol: &str,
    quantity: &str,
    prices: Value,
) -> String {
    let key = app.app.ids.next(entity::Kind::Request).to_string();
    let mut input = who.order(&key, side, symbol, quantity);
    input["timeInForce"] = json!("GTC");
    input.as_object_mut().unwrap().extend(prices.as_object().unwrap().clone());
    let placed = app.gql(ORDER_PLACE, json!({ "input": input })).await;
    placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

fn limit(price: &str) -> Value {
    json!({ "type": "LIMIT", "limitPrice": { "amount": price } })
}

fn stop(price: &str) -> Value {
    json!({ "type": "STOP", "stopPrice": { "amount": price } })
}

/// Returns status, quantity, limit price and stop price of an order.
async fn order(app: &TestApp, id: &str) -> String {
    let order = app.gql(ORDER, json!({ "id": id })).await.data()["order"].clone();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    [&order["status"], &order["quantity"], &order["limitPrice"]["amount"], &order["stopPrice"]["amount"]]
        .map(text)
        .join(" ")
}

fn nodes(connection: &Value) -> Vec<Value> {
    connection["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

/// Returns quantity, new quantity, cash and time of each entitlement, newest first.
async fn entitlements(app: &TestApp, who: &Customer) -> Vec<String> {
    let answer = app.gql(ENTITLEMENTS, json!({ "id": who.account_id })).await;
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let shown = |node: &Value| {
        [&node["quantity"], &node["newQuantity"], &node["cash"]["amount"], &node["appliedAt"]]
            .map(text)
            .join(" ")
    };
    nodes(&answer.data()["account"]["entitlements"]).iter().map(shown).collect()
}

/// Returns the positions, the open lots and the realized gains of an account, newest first.
async fn state(app: &TestApp, who: &Customer) -> [Vec<String>; 3] {
    let account = app.gql(STATE, json!({ "id": who.account_id })).await.data()["account"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let position =
        |node: &Value| format!("{} {}", text(&node["quantity"]), text(&node["costBasis"]["amount"]));
    let lot = |node: &Value| {
        [&node["quantity"], &node["originalQuantity"], &node["costBasis"]["amount"], &node["acquiredOn"]]
            .map(text)
            .join(" ")
    };
    let gain = |node: &Value| {
        let cause = if node["fill"].is_null() { &node["entitlement"] } else { &node["fill"] };
        assert!(cause["id"].is_string());
        let kind = if node["fill"].is_null() { "cash" } else { "sale" };
        let amounts =
            [&node["proceeds"], &node["costBasis"], &node["gain"]].map(|money| text(&money["amount"]));
        format!("{} {} {kind}", text(&node["quantity"]), amounts.join(" "))
    };
    [
        nodes(&account["positions"]).iter().map(position).collect(),
        nodes(&account["taxLots"]).iter().map(lot).collect(),
        nodes(&account["realizedGains"]).iter().map(gain).collect(),
    ]
}

async fn require_sound_books(app: &TestApp) {
    let report = app.audit().await;
    assert_eq!(report.wrong, None, "{report}");
}

/// Whether the report of gains is the same with purchases in this account and in all accounts of the user.
async fn require_same_views(app: &TestApp, who: &Customer) {
    let report =
        "query($id: ID!, $view: GainsView!) { gainsReport(userId: $id, year: 2026, view: $view) { csv } }";
    let csv = async |view: &str| {
        let variables = json!({ "id": who.user_id, "view": view });
        app.gql(report, variables).await.data()["gainsReport"]["csv"].clone()
    };
    assert_eq!(csv("BROKER").await, csv("PERSON").await);
}

async fn power(app: &TestApp, who: &Customer) -> String {
    app.balance(&who.account_id).await[1].clone()
}

/// Puts off the timers of this kind, as if they had failed, until the clock is advanced.
async fn put_off(connection: &impl ConnectionTrait, kind: TimerKind) {
    let later = "2099-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let timers = timer::Entity::update_many().col_expr(timer::Column::RetryAt, Expr::value(later));
    timers.filter(timer::Column::Kind.eq(kind)).exec(connection).await.unwrap();
}

/// Moves the clock over midnight, while the corporate action is not processed yet.
async fn just_after_midnight(app: &TestApp) {
    app.advance_to("2026-07-15T03:59:59Z").await;
    let tx = app.app.db.write().await.unwrap();
    put_off(&tx, TimerKind::CorporateActionProcess).await;
    tx.commit().await.unwrap();
    freeze_clock_at(&app.app, app.partner.clone(), "2026-07-15T04:00:05Z").await;
}

/// Processes the only corporate action, which is not yet applied to the accounts.
async fn process(app: &TestApp) {
    let tx = app.app.db.write().await.unwrap();
    let partner = clock::locked(&tx, app.partner.id).await.unwrap();
    let action = corporate_action::Entity::find().one(&tx).await.unwrap().unwrap();
    let ctx = CommandContext {
        app: &app.app,
        tx: &tx,
        partner: &partner,
        access_scope: AccessScope::all_of(partner.id),
        actor_id: None,
        now: "2026-07-15T04:00:00Z".parse().unwrap(),
    };
    ProcessCorporateAction::run(&ctx, action.id).await.unwrap();
    put_off(&tx, TimerKind::EntitlementApply).await;
    tx.commit().await.unwrap();
}

/// Processes the only corporate action as if the only order had not been committed yet.
async fn process_before_the_order_is_committed(app: &TestApp) {
    for (status, is_processed) in [(order::Status::Canceled, false), (order::Status::Accepted, true)] {
        let changed = order::ActiveModel { status: Set(status), ..Default::default() };
        let tx = app.app.db.write().await.unwrap();
        order::Entity::update_many().set(changed).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        if !is_processed {
            process(app).await;
        }
    }
}

async fn run_due(app: &TestApp) {
    while scheduler::run_due_for(&app.app, app.partner.id).await.unwrap() {}
}

on_both! {
    async fn a_dividend_goes_to_those_who_held_at_the_close_before_the_ex_date(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let bob = app.funded_customer("Bob", "2000.00").await;
        let (_, theirs) = app.other_partner("another").await;
        app.customer_as(&theirs, "Eve").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        trade(&app, &bob, "BUY", "KO", "3.3333", "60.00").await;
        let buy = rest(&app, &ada, "BUY", "KO", "5", limit("50.00")).await;
        let sell_stop = rest(&app, &ada, "SELL", "KO", "4", stop("55.00")).await;
        let sell = rest(&app, &ada, "SELL", "KO", "2", limit("70.00")).await;

        let terms = dividend("0.2475", "2026-07-20");
        let action = apply(&app, "dividend", "ko", "2026-07-15", terms.clone()).await;
        let id = action["id"].clone();
        assert_eq!(
            action,
            json!({ "id": id, "kind": "CASH_DIVIDEND", "exOn": "2026-07-15", "recordOn": "2026-07-15",
                "payOn": "2026-07-20", "processedAt": null, "instrument": { "symbol": "KO" } })
        );
        // The same key returns the same action.
        assert_eq!(apply(&app, "dividend", "ko", "2026-07-15", terms).await["id"], id);
        app.advance_to("2026-07-14T19:59:00Z").await;
        assert_eq!(entitlements(&app, &ada).await, Vec::<String>::new());
        assert_eq!(order(&app, &buy).await, "NEW 5 50.00 -");

        app.advance_to("2026-07-15T15:00:00Z").await;
        // 10 times 0.2475 are 2.475, and 3.3333 times 0.2475 are 0.82499.
        assert_eq!(entitlements(&app, &ada).await, ["10 - 2.48 -"]);
        assert_eq!(entitlements(&app, &bob).await, ["3.3333 - 0.82 -"]);
        assert_eq!(order(&app, &buy).await, "NEW 5 49.75 -");
        assert_eq!(order(&app, &sell_stop).await, "NEW 4 - 54.75");
        assert_eq!(order(&app, &sell).await, "NEW 2 70.00 -");
        let shown = app.get(&format!("/v1/orders/{buy}")).await;
        assert_eq!((&shown.body["limit_price"], &shown.body["quantity"]), (&json!("49.75"), &json!("5")));
        // 2,000 - 600, less 5 times 49.75.
        assert_eq!(power(&app, &ada).await, "1151.25");
        require_sound_books(&app).await;

        // A sale on the ex-date keeps the entitlement, and a purchase gets none.
        trade(&app, &ada, "SELL", "KO", "4", "60.00").await;
        trade(&app, &bob, "BUY", "KO", "10", "60.00").await;
        // The book knows the new price.
        app.quote("KO", "49.80", "49.80").await;
        app.advance_to("2026-07-15T15:01:00Z").await;
        assert_eq!(order(&app, &buy).await, "NEW 5 49.75 -");
        assert_eq!(order(&app, &sell_stop).await, "FILLED 4 - 54.75");
        app.quote("KO", "49.75", "49.75").await;
        app.advance_to("2026-07-15T15:02:00Z").await;
        assert_eq!(order(&app, &buy).await, "FILLED 5 49.75 -");

        app.advance_to("2026-07-20T12:29:59Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["10 - 2.48 -"]);
        let before = power(&app, &bob).await;
        assert_eq!(before, "1200.00");
        app.advance_to("2026-07-20T12:30:00Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["10 - 2.48 2026-07-20T12:30:00Z"]);
        assert_eq!(power(&app, &bob).await, "1200.82");
        assert_eq!(app.balance(&bob.account_id).await[2], "1200.82");
        // 1,400 + 240 + 199.20 - 248.75 + 2.48.
        assert_eq!(power(&app, &ada).await, "1592.93");
        require_sound_books(&app).await;

        // Another partner has neither the action nor its entitlements.
        let list = "{ corporateActions(first: 9) { edges { node { id kind processedAt entitlements(first: 9) { edges { \
            node { quantity } } } } } } }";
        let mine = app.gql(list, json!({})).await.data()["corporateActions"].clone();
        assert_eq!(
            nodes(&mine),
            [json!({ "id": id, "kind": "CASH_DIVIDEND", "processedAt": "2026-07-15T04:00:00Z", "entitlements":
                { "edges": nodes(&mine)[0]["entitlements"]["edges"] } })]
        );
        let mut held: Vec<_> =
            nodes(&nodes(&mine)[0]["entitlements"]).iter().map(|node| node["quantity"].to_string()).collect();
        held.sort();
        assert_eq!(held, ["\"10\"", "\"3.3333\""]);
        let other = app.gql_as(Some(&theirs), list, json!({})).await.data()["corporateActions"].clone();
        assert_eq!(other, json!({ "edges": [] }));
    }

    async fn a_dividend_is_reinvested_and_a_frozen_account_gets_cash(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let bob = app.funded_customer("Bob", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        trade(&app, &bob, "BUY", "KO", "10", "60.00").await;
        let update = "mutation($input: AccountUpdateInput!) { accountUpdate(input: $input) { account { id \
            dividendOption } userErrors { code path message } } }";
        for who in [&ada, &bob] {
            let input = json!({ "accountId": who.account_id, "patch": { "dividendOption": "REINVEST" } });
            let updated = app.gql(update, json!({ "input": input })).await;
            assert_eq!(updated.entity("accountUpdate", "account")["dividendOption"], "REINVEST");
        }
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        assert_eq!(app.gql(hours, json!({})).await.data()["sandboxMarketHoursSet"]["userErrors"], json!([]));
        apply(&app, "1", "KO", "2026-07-15", dividend("6.30", "2026-07-17")).await;
        let freeze = "mutation($input: AccountFreezeInput!) { accountFreeze(input: $input) { account { status } \
            userErrors { message } } }";
        let input = json!({ "accountId": bob.account_id, "reason": "A reason" });
        assert_eq!(
            app.gql(freeze, json!({ "input": input })).await.entity("accountFreeze", "account")["status"],
            "FROZEN"
        );
        app.advance_to("2026-07-17T12:30:00Z").await;
        for who in [&ada, &bob] {
            assert_eq!(entitlements(&app, who).await, ["10 - 63.00 2026-07-17T12:30:00Z"]);
            assert_eq!(power(&app, who).await, "463.00");
        }
        app.advance_to("2026-07-17T13:31:00Z").await;
        // 63 dollars buy 1.05 shares at 60 dollars.
        assert_eq!((power(&app, &ada).await, power(&app, &bob).await), ("400.00".to_owned(), "463.00".to_owned()));
        let [positions, lots, _] = state(&app, &ada).await;
        assert_eq!(positions, ["11.05 663.00"]);
        assert_eq!(lots, ["1.05 1.05 63.00 2026-07-17", "10 10 600.00 2026-07-13"]);
        let reinvestment = async |who: &Customer| {
            let answer = app.gql(ENTITLEMENTS, json!({ "id": who.account_id })).await;
            nodes(&answer.data()["account"]["entitlements"])[0]["reinvestment"].clone()
        };
        assert_eq!(reinvestment(&ada).await, json!({ "quantity": "1.05", "status": "FILLED" }));
        assert_eq!(reinvestment(&bob).await, Value::Null);
        require_sound_books(&app).await;
    }

    async fn a_dividend_that_was_spent_is_not_reinvested(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        let update = "mutation($input: AccountUpdateInput!) { accountUpdate(input: $input) { account { id } \
            userErrors { code path message } } }";
        let input = json!({ "accountId": ada.account_id, "patch": { "dividendOption": "REINVEST" } });
        app.gql(update, json!({ "input": input })).await.entity("accountUpdate", "account");
        let hours = async |hours: &str| {
            let set = "mutation($hours: MarketHours!) { sandboxMarketHoursSet(input: { marketHours: $hours }) { \
                userErrors { message } } }";
            let answer = app.gql(set, json!({ "hours": hours })).await;
            assert_eq!(answer.data()["sandboxMarketHoursSet"]["userErrors"], json!([]));
        };
        hours("NYSE").await;
        apply(&app, "1", "KO", "2026-07-15", dividend("6.30", "2026-07-17")).await;
        app.advance_to("2026-07-17T12:30:00Z").await;
        assert_eq!(power(&app, &ada).await, "463.00");
        // The reinvestment waits for the exchange; meanwhile an order holds what was paid.
        hours("ALWAYS_OPEN").await;
        let buy = rest(&app, &ada, "BUY", "KO", "9", limit("50.00")).await;
        assert_eq!(power(&app, &ada).await, "13.00");
        app.advance_to("2026-07-17T13:31:00Z").await;
        let answer = app.gql(ENTITLEMENTS, json!({ "id": ada.account_id })).await;
        assert_eq!(nodes(&answer.data()["account"]["entitlements"])[0]["reinvestment"], Value::Null);
        assert_eq!((order(&app, &buy).await, power(&app, &ada).await), ("NEW 9 50.00 -".into(), "13.00".into()));
        assert_eq!(state(&app, &ada).await[0], ["10 600.00"]);
        let waiting = timer::Entity::find().filter(timer::Column::Kind.eq(TimerKind::DividendReinvest));
        assert!(waiting.all(&app.app.db.read).await.unwrap().is_empty());
        let orders = entity::order::Entity::find().all(&app.app.db.read).await.unwrap();
        assert_eq!(orders.len(), 2);
        require_sound_books(&app).await;
    }

    async fn a_dividend_of_a_quarter_of_the_price_has_its_ex_date_after_the_payment(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let bob = app.funded_customer("Bob", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "4", "100.00").await;
        // A Friday, after which the next trading day is Monday.
        let action = apply(&app, "1", "KO", "2026-07-20", dividend("25.00", "2026-07-17")).await;
        let dates = [&action["recordOn"], &action["payOn"], &action["exOn"]];
        assert_eq!(dates, ["2026-07-17", "2026-07-17", "2026-07-20"]);
        app.advance_to("2026-07-17T15:00:00Z").await;
        // Those who buy until the ex-date are entitled.
        trade(&app, &ada, "SELL", "KO", "3", "100.00").await;
        trade(&app, &bob, "BUY", "KO", "3", "100.00").await;
        app.advance_to("2026-07-20T12:29:59Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["1 - 25.00 -"]);
        assert_eq!((power(&app, &ada).await, power(&app, &bob).await), ("900.00".to_owned(), "700.00".to_owned()));
        app.advance_to("2026-07-20T12:30:00Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["1 - 25.00 2026-07-20T12:30:00Z"]);
        assert_eq!(entitlements(&app, &bob).await, ["3 - 75.00 2026-07-20T12:30:00Z"]);
        assert_eq!((power(&app, &ada).await, power(&app, &bob).await), ("925.00".to_owned(), "775.00".to_owned()));
        require_sound_books(&app).await;
    }

    async fn a_split_changes_quantities_and_keeps_the_cost(app: TestApp) {
        let ada = app.funded_customer("Ada", "5000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        trade(&app, &ada, "SELL", "KO", "4", "66.00").await;
        trade(&app, &ada, "BUY", "KO", "5", "63.00").await;
        let sell = rest(&app, &ada, "SELL", "KO", "5", limit("90.01")).await;
        let buy = rest(&app, &ada, "BUY", "KO", "7", limit("50.00")).await;
        let terms = json!({ "split": { "newShares": 3, "oldShares": 2,
            "cashInLieuPrice": { "amount": "42.00" } } });
        apply(&app, "1", "KO", "2026-07-15", terms).await;
        app.advance_to("2026-07-15T04:00:00Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["11 16.5 0.00 2026-07-15T04:00:00Z"]);
        let [positions, lots, gains] = state(&app, &ada).await;
        assert_eq!(positions, ["16.5 675.00"]);
        assert_eq!(lots, ["7.5 5 315.00 2026-07-13", "9 10 360.00 2026-07-13"]);
        assert_eq!(gains, ["4 264.00 240.00 24.00 sale"]);
        assert_eq!(order(&app, &sell).await, "NEW 7.5 60.01 -");
        assert_eq!(order(&app, &buy).await, "NEW 10.5 33.33 -");
        let shown = app.get(&format!("/v1/orders/{sell}")).await;
        assert_eq!((&shown.body["limit_price"], &shown.body["quantity"]), (&json!("60.01"), &json!("7.5")));
        let mut live = Socket::join(&app, Some(&app.key)).await;
        let events = "subscription { events(after: \"0\") { type ... on CorporateActionAppliedEvent { account { id } \
            corporateAction { kind exOn newShares oldShares } entitlement { quantity newQuantity } \
            instrument { symbol } } } }";
        live.subscribe("1", events, json!({})).await;
        let applied = loop {
            let event = live.next().await["events"].clone();
            if event["type"] == "CORPORATE_ACTION_APPLIED" {
                break event;
            }
        };
        assert_eq!(
            applied,
            json!({ "type": "CORPORATE_ACTION_APPLIED", "account": { "id": ada.account_id }, "corporateAction":
                { "kind": "SPLIT", "exOn": "2026-07-15", "newShares": 3, "oldShares": 2 }, "entitlement":
                { "quantity": "11", "newQuantity": "16.5" }, "instrument": { "symbol": "KO" } })
        );
        // 5,000 - 600 + 264 - 315, less 10.5 times 33.33, which is 349.965.
        assert_eq!(power(&app, &ada).await, "3999.03");
        require_sound_books(&app).await;

        app.advance_to("2026-07-15T15:00:00Z").await;
        trade(&app, &ada, "SELL", "KO", "9", "45.00").await;
        let [positions, lots, gains] = state(&app, &ada).await;
        assert_eq!(positions, ["7.5 315.00"]);
        assert_eq!(lots, ["7.5 5 315.00 2026-07-13"]);
        assert_eq!(gains, ["9 405.00 360.00 45.00 sale", "4 264.00 240.00 24.00 sale"]);
        app.quote("KO", "60.01", "60.01").await;
        app.advance_to("2026-07-15T15:01:00Z").await;
        assert_eq!(order(&app, &sell).await, "FILLED 7.5 60.01 -");
        let [positions, lots, gains] = state(&app, &ada).await;
        assert_eq!((positions, lots), (vec!["0 0.00".to_owned()], Vec::new()));
        // 7.5 times 60.01 are 450.075.
        assert_eq!(gains[0], "7.5 450.08 315.00 135.08 sale");
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }

    async fn a_reverse_split_cancels_orders_and_pays_fractions_in_cash(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "4", "30.00").await;
        trade(&app, &ada, "BUY", "KO", "6", "33.00").await;
        trade(&app, &ada, "BUY", "VTI", "10", "20.00").await;
        let sell = rest(&app, &ada, "SELL", "KO", "10", limit("90.00")).await;
        let buy = rest(&app, &ada, "BUY", "KO", "3", limit("10.00")).await;
        let reverse = |whole: bool| json!({ "reverseSplit": { "newShares": 1, "oldShares": 3, "wholeSharesOnly": whole,
            "cashInLieuPrice": { "amount": "93.00" } } });
        apply(&app, "1", "KO", "2026-07-15", reverse(true)).await;
        apply(&app, "2", "VTI", "2026-07-15", reverse(false)).await;
        app.advance_to("2026-07-15T04:00:00Z").await;
        assert_eq!(order(&app, &sell).await, "CANCELED 10 90.00 -");
        assert_eq!(order(&app, &buy).await, "CANCELED 3 10.00 -");
        let mut found = entitlements(&app, &ada).await;
        found.sort();
        // 0.33333333 times 93 are 31.00; 0.00003333 times 93 are less than half a cent.
        assert_eq!(
            found,
            ["10 3 31.00 2026-07-15T04:00:00Z", "10 3.3333 0.00 2026-07-15T04:00:00Z"]
        );
        let [mut positions, lots, mut gains] = state(&app, &ada).await;
        positions.sort();
        gains.sort();
        // The first lot of KO had 1.33333333 shares for 120.00 and keeps one of them.
        assert_eq!(positions, ["3 288.00", "3.3333 200.00"]);
        assert_eq!(
            lots,
            ["3.3333 10 200.00 2026-07-13", "2 6 198.00 2026-07-13", "1 4 90.00 2026-07-13"]
        );
        assert_eq!(gains, ["0.00003333 0.00 0.00 0.00 cash", "0.33333333 31.00 30.00 1.00 cash"]);
        // 1,000 - 120 - 198 - 200 + 31.
        assert_eq!(app.balance(&ada.account_id).await[1..], ["513.00", "513.00"]);
        require_sound_books(&app).await;
        app.advance_to("2026-07-15T15:00:00Z").await;
        trade(&app, &ada, "SELL", "KO", "3", "90.00").await;
        assert_eq!(state(&app, &ada).await[2][0], "2 180.00 198.00 -18.00 sale");
        require_sound_books(&app).await;
    }

    async fn a_new_symbol_is_for_one_partner_and_keeps_the_instrument(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let (_, theirs) = app.other_partner("another").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "5", "60.00").await;
        let buy = rest(&app, &ada, "BUY", "KO", "2", limit("50.00")).await;
        let by_symbol = "query($symbol: String!) { instrumentBySymbol(symbol: $symbol) { id symbol name } }";
        let find = async |key: &str, symbol: &str| {
            let answer = app.gql_as(Some(key), by_symbol, json!({ "symbol": symbol })).await;
            answer.data()["instrumentBySymbol"].clone()
        };
        let before = find(&app.key, "KO").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "symbolChange": { "symbol": "coke" } })).await;
        app.advance_to("2026-07-15T15:00:00Z").await;
        app.expire_caches();
        let mut after = before.clone();
        after["symbol"] = json!("COKE");
        assert_eq!(find(&app.key, "coke").await, after);
        assert_eq!(find(&app.key, "KO").await, Value::Null);
        assert_eq!(find(&theirs, "KO").await, before);
        assert_eq!(find(&theirs, "COKE").await, Value::Null);

        assert_eq!(order(&app, &buy).await, "NEW 2 50.00 -");
        let shown = app.get(&format!("/v1/orders/{buy}")).await;
        assert_eq!(shown.body["symbol"], "COKE");
        let list = "query($symbol: String!) { orders(first: 9, filter: { symbol: $symbol }) { edges { node { \
            instrument { symbol } } } } instruments(first: 100) { edges { node { symbol } } } }";
        let answer = app.gql(list, json!({ "symbol": "COKE" })).await;
        let symbols = |connection: &Value| -> Vec<Value> {
            nodes(connection).iter().map(|node| node["symbol"].clone()).collect()
        };
        assert_eq!(
            nodes(&answer.data()["orders"]),
            vec![json!({ "instrument": { "symbol": "COKE" } }); 2]
        );
        let all = symbols(&answer.data()["instruments"]);
        assert!(all.contains(&json!("COKE")) && !all.contains(&json!("KO")), "{all:?}");
        let former = app.gql(list, json!({ "symbol": "KO" })).await;
        assert_eq!(former.data()["orders"], json!({ "edges": [] }));
        let refused = app.gql(ORDER_PLACE, json!({ "input": ada.order("old", "BUY", "KO", "1") })).await;
        assert_eq!(refused.user_error("orderPlace")["path"], json!(["symbol"]));
        trade(&app, &ada, "SELL", "COKE", "5", "61.00").await;
        assert_eq!(state(&app, &ada).await[0], ["0 0.00"]);
        assert_eq!(entitlements(&app, &ada).await, ["5 5 0.00 2026-07-15T04:00:00Z"]);
        require_sound_books(&app).await;
    }

    async fn a_new_symbol_is_found_and_shown_everywhere(app: TestApp) {
        let (_, theirs) = app.other_partner("another").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "symbolChange": { "symbol": "COKE" } })).await;
        let import = async |symbol: &str| {
            let all = instruments::built_in().into_iter();
            let new = all.filter(|new| new.symbol == "KO").map(|ko| NewInstrument { symbol: symbol.to_owned(), ..ko });
            match instruments::import(&app.app.db, Ids, new.collect()).await {
                Ok(changes) => Ok(changes.added.len()),
                Err(Error::Refused(refusal)) => Err(format!("{} {}", refusal.code.name(), refusal.text)),
                Err(error) => panic!("{error:?}"),
            }
        };
        let taken = "SYMBOL_TAKEN after a symbol change, other instruments have these symbols: COKE (KO of partner \
            tests)";
        assert_eq!(import("COKE").await, Err(taken.to_owned()));
        app.advance_to("2026-07-15T15:00:00Z").await;
        app.expire_caches();
        assert_eq!(import("COKE").await, Err(taken.to_owned()));
        assert_eq!((import("KO").await, import("NEW").await), (Ok(0), Ok(1)));

        let search = "query($text: String!) { instruments(first: 9, filter: { search: $text }) { edges { node { \
            symbol } } } }";
        for (key, text, expected) in [
            (&app.key, "coke", vec!["COKE"]),
            (&app.key, "ko", vec![]),
            (&app.key, "coca", vec!["COKE", "NEW"]),
            (&theirs, "coke", vec![]),
            (&theirs, "ko", vec!["KO"]),
        ] {
            let answer = app.gql_as(Some(key), search, json!({ "text": text })).await;
            let mut found: Vec<_> =
                nodes(&answer.data()["instruments"]).iter().map(|node| node["symbol"].clone()).collect();
            found.sort_by_key(ToString::to_string);
            assert_eq!(found, expected, "{text}");
        }

        app.quote("coke", "60.00", "60.00").await;
        let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { instrument { symbol } \
            userErrors { message } } }";
        let price = json!({ "amount": "60.00" });
        let bar = json!({ "symbol": "coke", "startsAt": "2026-07-15T14:58:00Z", "open": price, "high": price,
            "low": price, "close": price, "volume": "100" });
        let pushed = app.gql(push, json!({ "input": bar })).await;
        assert_eq!(pushed.entity("sandboxBarPush", "instrument")["symbol"], "COKE");
        let events = entity::event::Entity::find().all(&app.app.db.read).await.unwrap();
        for kind in ["sandbox.quote_set", "sandbox.bar_pushed"] {
            let event = events.iter().find(|event| event.kind == kind).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&event.payload).unwrap()["symbol"], "COKE", "{kind}");
        }
        let import_bars = async |symbol: &str| {
            let text = format!("symbol,time,open,high,low,close,volume\n{symbol},2026-07-15T14:59:00Z,60,60,60,60,1\n");
            let file = bars::read(text.as_bytes()).unwrap();
            match bars::import(&app.app.db, &app.partner, &file, &mut |_| ()).await {
                Ok(imported) => Ok(imported.bars),
                Err(Error::Refused(refusal)) => Err(refusal.text),
                Err(error) => panic!("{error:?}"),
            }
        };
        assert_eq!(import_bars("KO").await, Err("these symbols were not found: KO (line 2)".to_owned()));
        assert_eq!(import_bars("COKE").await, Ok(1));
    }

    async fn bad_corporate_actions_are_refused_with_their_field(app: TestApp) {
        let ratio = |new: i64, old: i64| json!({ "newShares": new, "oldShares": old });
        let split = |new: i64, old: i64| json!({ "split": ratio(new, old) });
        let reverse = |new: i64, old: i64| {
            let mut terms = ratio(new, old);
            terms["cashInLieuPrice"] = json!({ "amount": "10.00" });
            json!({ "reverseSplit": terms })
        };
        let rename = |symbol: &str| json!({ "symbolChange": { "symbol": symbol } });
        let record = json!({ "cashDividend": { "perShare": { "amount": "1.00" }, "recordOn": "2026-07-14",
            "payOn": "2026-07-20" } });
        let early = json!({ "cashDividend": { "perShare": { "amount": "1000.00" }, "recordOn": "2025-07-13",
            "payOn": "2026-07-14" } });
        apply(&app, "known", "KO", "2026-07-15", dividend("1.00", "2026-07-20")).await;
        apply(&app, "another", "KO", "2026-07-15", dividend("2.00", "2026-07-20")).await;
        apply(&app, "split", "KO", "2026-07-15", split(2, 1)).await;
        let paid = "2026-07-20";
        app.quote("VTI", "100.00", "100.00").await;
        for (number, (symbol, ex_on, terms, code, path)) in [
            ("NONE", "2026-07-15", split(2, 1), "NOT_FOUND", "symbol"),
            (" ", "2026-07-15", split(2, 1), "REQUIRED", "symbol"),
            // Today, whose close before has passed, a day in the past, a Saturday, and a day too far ahead.
            ("VTI", "2026-07-09", dividend("1.00", paid), "INVALID", "exOn"),
            ("VTI", "2026-07-08", dividend("1.00", paid), "INVALID", "exOn"),
            ("VTI", "2026-07-11", dividend("1.00", paid), "INVALID", "exOn"),
            ("VTI", "2027-07-14", split(2, 1), "INVALID", "exOn"),
            ("VTI", "2026-07-15", record, "INVALID", "terms.cashDividend.recordOn"),
            ("VTI", "2026-07-15", early, "INVALID", "terms.cashDividend.recordOn"),
            ("VTI", "2026-07-15", dividend("1.00", "2026-07-13"), "INVALID", "terms.cashDividend.payOn"),
            // The trading day before the ex-date, for a dividend of less than 25 % of the price.
            ("VTI", "2026-07-15", dividend("24.999999", "2026-07-14"), "INVALID", "terms.cashDividend.payOn"),
            ("VTI", "2026-07-15", dividend("1000.00", "2026-07-13"), "INVALID", "terms.cashDividend.payOn"),
            // A Saturday.
            ("VTI", "2026-07-15", dividend("1.00", "2026-07-18"), "INVALID", "terms.cashDividend.payOn"),
            ("VTI", "2026-07-15", dividend("0", paid), "INVALID", "terms.cashDividend.perShare"),
            ("VTI", "2026-07-15", dividend("-1", paid), "INVALID", "terms.cashDividend.perShare"),
            ("VTI", "2026-07-15", dividend("0.0000001", paid), "INVALID", "terms.cashDividend.perShare.amount"),
            ("VTI", "2026-07-15", split(1, 1), "INVALID", "terms.split.newShares"),
            ("VTI", "2026-07-15", split(0, 1), "INVALID", "terms.split.newShares"),
            ("VTI", "2026-07-15", split(-2, 1), "INVALID", "terms.split.newShares"),
            ("VTI", "2026-07-15", split(10_001, 1), "INVALID", "terms.split.newShares"),
            ("VTI", "2026-07-15", split(3, 2), "REQUIRED", "terms.split.cashInLieuPrice"),
            ("VTI", "2026-07-15", reverse(2, 1), "INVALID", "terms.reverseSplit.newShares"),
            ("VTI", "2026-07-15", rename("AAPL"), "SYMBOL_TAKEN", "terms.symbolChange.symbol"),
            ("VTI", "2026-07-15", rename("A B"), "INVALID", "terms.symbolChange.symbol"),
            ("KO", "2026-07-15", dividend("1.00", paid), "CORPORATE_ACTION_EXISTS", "exOn"),
            ("KO", "2026-07-15", reverse(1, 2), "CORPORATE_ACTION_EXISTS", "exOn"),
        ]
        .into_iter()
        .enumerate()
        {
            let key = number.to_string();
            let input = json!({ "idempotencyKey": key, "symbol": symbol, "exOn": ex_on, "terms": terms });
            let answer = app.gql(APPLY, json!({ "input": input })).await;
            let error = answer.user_error("corporateActionApply");
            let steps: Vec<_> = path.split('.').collect();
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(steps)), "{terms} {error}");
        }
        let list = "{ corporateActions(first: 9) { edges { node { id } } } }";
        assert_eq!(nodes(&app.gql(list, json!({})).await.data()["corporateActions"]).len(), 3);
    }

    async fn a_split_into_more_shares_than_can_be_counted_is_refused(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "1", "60.00").await;
        let hold = async |units: i64| {
            let changed = format!("UPDATE position SET quantity = {units}");
            app.app.db.for_migrations().execute_unprepared(&changed).await.unwrap();
        };
        // Ten thousand times as many are more than 64 bits of hundred-millionths.
        hold(1_000_000_000_000_000).await;
        let terms = json!({ "split": { "newShares": 10_000, "oldShares": 1 } });
        let input = json!({ "idempotencyKey": "1", "symbol": "KO", "exOn": "2026-07-15", "terms": terms });
        let answer = app.gql(APPLY, json!({ "input": input })).await;
        assert_eq!(
            answer.user_error("corporateActionApply"),
            &json!({ "code": "INVALID", "path": ["terms", "split", "newShares"],
                "message": "terms.split.newShares would give the accounts, which hold 10000000 shares, more than can \
                    be stored" })
        );
        // Each of two splits fits alone.
        hold(100_000_000_000).await;
        let first = apply(&app, "first", "KO", "2026-07-14", terms.clone()).await;
        let input = json!({ "idempotencyKey": "second", "symbol": "KO", "exOn": "2026-07-15", "terms": terms });
        let answer = app.gql(APPLY, json!({ "input": input })).await;
        assert_eq!(
            answer.user_error("corporateActionApply")["message"],
            "terms.split.newShares would give the accounts, which hold 1000 shares, more than can be stored"
        );
        let input = json!({ "idempotencyKey": "w", "corporateActionId": first["id"] });
        app.gql(WITHDRAW, json!({ "input": input })).await.entity("corporateActionWithdraw", "corporateAction");
        hold(100_000_000).await;
        apply(&app, "2", "KO", "2026-07-15", terms).await;
        app.advance_to("2026-07-15T15:00:00Z").await;
        assert_eq!(state(&app, &ada).await[0], ["10000 60.00"]);
        require_sound_books(&app).await;
    }

    async fn actions_are_filtered_and_sorted_by_their_ex_date(app: TestApp) {
        for (key, symbol, ex_on) in
            [("1", "KO", "2026-07-16"), ("2", "VTI", "2026-07-14"), ("3", "JNJ", "2026-07-15"),
             ("4", "JPM", "2026-07-15")]
        {
            apply(&app, key, symbol, ex_on, dividend("1.00", "2026-07-20")).await;
        }
        let list = "query($filter: CorporateActionFilter, $direction: SortDirection!, $first: Int, $after: String) { \
            corporateActions(first: $first, after: $after, filter: $filter, orderBy: { field: EX_ON, direction: \
            $direction }) { edges { node { instrument { symbol } } } pageInfo { endCursor hasNextPage } } }";
        let read = async |variables: Value| {
            let answer = app.gql(list, variables).await;
            let list = answer.data()["corporateActions"].clone();
            let symbol = |node: &Value| node["instrument"]["symbol"].as_str().unwrap().to_owned();
            (nodes(&list).iter().map(symbol).collect::<Vec<_>>().join(" "), list["pageInfo"].clone())
        };
        for (filter, direction, expected) in [
            (json!({}), "ASC", "VTI JNJ JPM KO"),
            (json!({}), "DESC", "KO JPM JNJ VTI"),
            (json!({ "exFrom": "2026-07-15" }), "ASC", "JNJ JPM KO"),
            (json!({ "exBefore": "2026-07-16" }), "ASC", "VTI JNJ JPM"),
            (json!({ "exFrom": "2026-07-15", "exBefore": "2026-07-16", "symbol": "jnj" }), "ASC", "JNJ"),
            (json!({ "exFrom": "2026-07-17" }), "ASC", ""),
        ] {
            let variables = json!({ "filter": filter, "direction": direction, "first": 9 });
            assert_eq!(read(variables).await.0, expected, "{filter} {direction}");
            // The same, one by one.
            let (mut found, mut after) = (Vec::new(), Value::Null);
            loop {
                let variables = json!({ "filter": filter, "direction": direction, "first": 1, "after": after });
                let (symbol, page) = read(variables).await;
                found.push(symbol);
                after = page["endCursor"].clone();
                if page["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(found.join(" "), expected, "{filter} {direction}");
        }
        let first = json!({ "filter": {}, "direction": "ASC", "first": 1 });
        let page = read(first).await.1;
        let cursor = page["endCursor"].as_str().unwrap();
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
        for day in ["2026-07-32", "soon", ""] {
            let changed = URL_SAFE_NO_PAD.encode(text.replace("2026-07-14", day));
            let other = json!({ "filter": {}, "direction": "ASC", "first": 9, "after": changed });
            assert_eq!(app.gql(list, other).await.error_code(), "BAD_USER_INPUT", "{text} {day}");
        }
    }

    async fn prices_from_before_a_split_are_divided_by_its_ratio(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-14T15:00:00Z").await;
        let shown = "query($symbol: String!, $from: DateTime!, $to: DateTime!) { instrumentBySymbol(symbol: $symbol) { \
            quote { bid { amount } ask { amount } last { amount } } bars(from: $from, to: $to) { \
            open { amount } close { amount } } } }";
        let see = async |symbol: &str| {
            let variables =
                json!({ "symbol": symbol, "from": "2026-07-14T14:00:00Z", "to": "2026-07-14T14:01:00Z" });
            app.gql(shown, variables).await.data()["instrumentBySymbol"].clone()
        };
        let money = |units: i64| json!({ "amount": Price::from_units(units).to_string() });
        let ko = instruments::by_symbol(&app.app, None, "KO").await.unwrap().unwrap();
        let (seed, base) = (app.partner.market_seed.unsigned_abs(), ko.base_price.units());
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let simulated = |base: i64, time: &str| {
            let quote = prices::quote(seed, "KO", base, at(time));
            json!({ "bid": money(quote.bid), "ask": money(quote.ask), "last": money(quote.last) })
        };
        let bars = |base: i64| {
            let bar = prices::bar(seed, "KO", base, at("2026-07-14T14:00:00Z"), 1);
            json!([{ "open": money(bar.open), "close": money(bar.close) }])
        };
        assert_eq!(
            see("KO").await,
            json!({ "quote": simulated(base, "2026-07-14T15:00:00Z"), "bars": bars(base) })
        );
        app.quote("VTI", "50.00", "50.01").await;
        let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { userErrors { \
            message } } }";
        let price = json!({ "amount": "31.00" });
        let input = json!({ "symbol": "SCHB", "startsAt": "2026-07-14T14:59:00Z", "open": price, "high": price,
            "low": price, "close": price, "volume": "100" });
        assert_eq!(app.gql(push, json!({ "input": input })).await.data()["sandboxBarPush"]["userErrors"], json!([]));
        let quantity = |symbol: &str, quantity: &str| ada.order(symbol, "BUY", symbol, quantity);
        let bought = app.gql(ORDER_PLACE, json!({ "input": quantity("KO", "2") })).await;
        assert_eq!(
            app.ended(bought.entity("orderPlace", "order")["id"].as_str().unwrap()).await["status"],
            "FILLED"
        );
        // Above each price that the market can have before and after the split.
        let sell = rest(&app, &ada, "SELL", "KO", "2", limit("100.00")).await;
        for symbol in ["KO", "VTI", "SCHB"] {
            let terms = json!({ "split": { "newShares": 3, "oldShares": 1 } });
            apply(&app, &format!("split-{symbol}"), symbol, "2026-07-15", terms).await;
        }
        app.advance_to("2026-07-15T15:00:00Z").await;
        assert_eq!(order(&app, &sell).await, "NEW 6 33.34 -");
        let third = (base * 2 + 3) / 6;
        // Bars stay what they were.
        assert_eq!(
            see("KO").await,
            json!({ "quote": simulated(third, "2026-07-15T15:00:00Z"), "bars": bars(base) })
        );
        let quote = |bid: &str, ask: &str, last: &str| json!({ "bid": { "amount": bid }, "ask": { "amount": ask },
            "last": { "amount": last } });
        assert_eq!(see("VTI").await["quote"], quote("16.66", "16.67", "16.665"));
        assert_eq!(see("SCHB").await["quote"], quote("10.32", "10.34", "10.33"));
        // A quote that is set after the split stays.
        app.quote("VTI", "50.00", "50.01").await;
        app.advance_to("2026-07-15T15:01:00Z").await;
        assert_eq!(see("VTI").await["quote"], quote("50.00", "50.01", "50.005"));
        // Other partners have not split their shares.
        let (other, theirs) = app.other_partner("another").await;
        let quote = "{ instrumentBySymbol(symbol: \"KO\") { quote { last { amount } asOf } } }";
        let theirs = app.gql_as(Some(&theirs), quote, json!({})).await;
        let theirs = theirs.data()["instrumentBySymbol"]["quote"].clone();
        let as_of = theirs["asOf"].as_str().unwrap();
        let last = prices::quote(other.market_seed.unsigned_abs(), "KO", base, at(as_of)).last;
        assert_eq!(theirs["last"], money(last));
        require_sound_books(&app).await;
    }

    async fn orders_filled_by_bars_follow_a_split(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let update = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
            partner { id } userErrors { message } } }";
        let by_bars = json!({ "patch": { "fillMode": "BARS", "participationCap": "100" } });
        app.gql(update, json!({ "input": by_bars })).await.entity("partnerSettingsUpdate", "partner");
        app.advance_to("2026-07-14T15:00:00Z").await;
        let ko = instruments::by_symbol(&app.app, None, "KO").await.unwrap().unwrap();
        let (seed, base) = (app.partner.market_seed.unsigned_abs(), ko.base_price.units());
        // Twenty percent below the base, which the simulated market does not reach.
        let low = Price::from_units(base * 8 / 10 / 100 * 100);
        let buy = rest(&app, &ada, "BUY", "KO", "2", limit(&low.to_string())).await;
        apply(&app, "split", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        app.advance_to("2026-07-15T03:59:00Z").await;
        assert_eq!(order(&app, &buy).await, format!("NEW 2 {low} -"));
        app.advance_to("2026-07-16T15:00:00Z").await;
        let half = Price::from_units(low.units() / 2 / 100 * 100);
        assert_eq!(order(&app, &buy).await, format!("NEW 4 {half} -"));
        let market = app.gql(ORDER_PLACE, json!({ "input": ada.order("market", "BUY", "KO", "1") })).await;
        let id = market.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        app.advance_to("2026-07-16T15:02:00Z").await;
        let filled = app.ended(&id).await;
        let bar = prices::bar(seed, "KO", base / 2, "2026-07-16T15:00:00Z".parse().unwrap(), 1);
        assert_eq!(filled["filledAveragePrice"]["amount"], Price::from_units(bar.open).to_string());
        require_sound_books(&app).await;
    }

    async fn no_price_after_a_split_fills_an_order_that_is_not_adjusted_yet(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        // The prices are next compared with the order after a day: at the time of the split.
        app.advance_to("2026-07-14T04:00:00Z").await;
        apply(&app, "split", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        let ko = instruments::by_symbol(&app.app, None, "KO").await.unwrap().unwrap();
        // Below all prices of the simulated market before the split, and above all after it.
        let price = Price::from_units(ko.base_price.units() * 7 / 10 / 200 * 200);
        let buy = rest(&app, &ada, "BUY", "KO", "2", limit(&price.to_string())).await;
        app.advance_to("2026-07-15T04:00:00Z").await;
        let half = Price::from_units(price.units() / 2);
        assert_eq!(order(&app, &buy).await, format!("NEW 4 {half} -"));
        app.advance_to("2026-07-17T04:00:00Z").await;
        assert_eq!(order(&app, &buy).await, format!("NEW 4 {half} -"));
    }

    async fn a_dividend_is_for_shares_before_a_split_of_the_same_day(app: TestApp) {
        for (symbol, first) in [("KO", "dividend"), ("VTI", "split")] {
            let ada = app.funded_customer(if symbol == "KO" { "Ada" } else { "Bob" }, "2000.00").await;
            let day = if symbol == "KO" { 13 } else { 20 };
            app.advance_to(&format!("2026-07-{day}T15:00:00Z")).await;
            trade(&app, &ada, "BUY", symbol, "10", "70.00").await;
            let buy = rest(&app, &ada, "BUY", symbol, "2", limit("60.00")).await;
            let ex_on = format!("2026-07-{}", day + 2);
            let second = if first == "dividend" { "split" } else { "dividend" };
            for kind in [first, second] {
                let terms = match kind {
                    "dividend" => dividend("1.00", &ex_on),
                    _ => json!({ "split": { "newShares": 2, "oldShares": 1 } }),
                };
                apply(&app, &format!("{symbol}-{kind}"), symbol, &ex_on, terms).await;
            }
            app.advance_to(&format!("{ex_on}T15:00:00Z")).await;
            // 60 less 1 is 59, and half of that 29.50.
            assert_eq!(order(&app, &buy).await, "NEW 4 29.50 -", "{symbol}");
            let mut entitled = entitlements(&app, &ada).await;
            entitled.sort();
            let paid_at = format!("{ex_on}T12:30:00Z");
            let split_at = format!("{ex_on}T04:00:00Z");
            assert_eq!(entitled, [format!("10 - 10.00 {paid_at}"), format!("10 20 0.00 {split_at}")], "{symbol}");
            require_sound_books(&app).await;
        }
    }

    async fn a_wash_sale_across_a_split_counts_shares_after_it(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        trade(&app, &ada, "SELL", "KO", "10", "50.00").await;
        apply(&app, "split", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        app.advance_to("2026-07-15T15:00:00Z").await;
        // 10 shares replace 5 of the 10 that were sold before the split at a loss of 10 dollars each.
        let preview = "query($input: OrderPreviewInput!) { orderPreview(input: $input) { estimate { washSales { \
            quantity loss { amount } } } userErrors { message } } }";
        app.quote("KO", "24.00", "24.00").await;
        let input = json!({ "accountId": ada.account_id, "symbol": "KO", "side": "BUY", "quantity": "10" });
        assert_eq!(
            app.gql(preview, json!({ "input": input })).await.data()["orderPreview"]["estimate"]["washSales"],
            json!([{ "quantity": "5", "loss": { "amount": "50.00" } }])
        );
        trade(&app, &ada, "BUY", "KO", "10", "24.00").await;
        let disallowed = async || {
            let query = "query($id: ID!) { account(id: $id) { realizedGains(first: 9) { edges { node { quantity \
                disallowedLoss { amount } } } } } }";
            let found = app.gql(query, json!({ "id": ada.account_id })).await;
            let gains = nodes(&found.data()["account"]["realizedGains"]);
            gains.iter().map(|gain| gain["disallowedLoss"]["amount"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(disallowed().await, ["50.00"]);
        let [positions, lots, _] = state(&app, &ada).await;
        assert_eq!(positions, ["10 290.00"]);
        assert_eq!(lots, ["10 10 290.00 2026-07-15"]);
        require_sound_books(&app).await;
        // Of 20 more, 10 replace the other 5.
        trade(&app, &ada, "BUY", "KO", "20", "25.00").await;
        assert_eq!(disallowed().await, ["100.00"]);
        let [positions, mut lots, _] = state(&app, &ada).await;
        lots.sort();
        assert_eq!(positions, ["30 840.00"]);
        assert_eq!(
            lots,
            ["10 10 250.00 2026-07-15", "10 10 290.00 2026-07-15", "10 10 300.00 2026-07-15"]
        );
        // Nothing is left to replace.
        trade(&app, &ada, "BUY", "KO", "1", "25.00").await;
        assert_eq!(disallowed().await, ["100.00"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;

        // A loss before a reverse split: 9 shares at a loss of 5 dollars each become 3.
        trade(&app, &ada, "BUY", "VTI", "9", "25.00").await;
        trade(&app, &ada, "SELL", "VTI", "9", "20.00").await;
        let terms = json!({ "reverseSplit": { "newShares": 1, "oldShares": 3,
            "cashInLieuPrice": { "amount": "60.00" } } });
        apply(&app, "reverse", "VTI", "2026-07-16", terms).await;
        app.advance_to("2026-07-16T15:00:00Z").await;
        trade(&app, &ada, "BUY", "VTI", "1", "60.00").await;
        assert_eq!(disallowed().await, ["15.00", "100.00"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }

    async fn an_action_is_withdrawn_until_it_is_applied(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "5", "60.00").await;
        let buy = rest(&app, &ada, "BUY", "KO", "2", limit("50.00")).await;
        let split = json!({ "split": { "newShares": 2, "oldShares": 1 } });
        let rename = json!({ "symbolChange": { "symbol": "COKE" } });
        let first = apply(&app, "1", "KO", "2026-07-15", split.clone()).await["id"].clone();
        let renamed = apply(&app, "2", "KO", "2026-07-15", rename.clone()).await["id"].clone();
        let withdraw = async |key: &str, id: &Value| {
            let input = json!({ "idempotencyKey": key, "corporateActionId": id });
            app.gql(WITHDRAW, json!({ "input": input })).await
        };
        for _ in 0..2 {
            // The same key returns the same action.
            let withdrawn = withdraw("w1", &first).await;
            assert_eq!(
                withdrawn.entity("corporateActionWithdraw", "corporateAction"),
                &json!({ "id": first, "kind": "SPLIT", "exOn": "2026-07-15" })
            );
        }
        withdraw("w2", &renamed).await.entity("corporateActionWithdraw", "corporateAction");
        let again = withdraw("w3", &first).await;
        let error = again.user_error("corporateActionWithdraw");
        assert_eq!((&error["code"], &error["path"]), (&json!("NOT_FOUND"), &json!(["corporateActionId"])));
        let seen = "query($id: ID!) { node(id: $id) { id } corporateActions(first: 9) { edges { node { id } } } }";
        let seen = async || app.gql(seen, json!({ "id": first })).await.data().clone();
        assert_eq!(seen().await, json!({ "node": null, "corporateActions": { "edges": [] } }));

        app.advance_to("2026-07-15T15:00:00Z").await;
        assert_eq!(state(&app, &ada).await[0], ["5 300.00"]);
        assert_eq!(order(&app, &buy).await, "NEW 2 50.00 -");
        assert_eq!(entitlements(&app, &ada).await, Vec::<String>::new());

        // What was withdrawn can be announced again; what was applied cannot be withdrawn.
        let second = apply(&app, "3", "KO", "2026-07-16", split).await["id"].clone();
        let third = apply(&app, "4", "VTI", "2026-07-16", rename).await["id"].clone();
        app.advance_to("2026-07-16T15:00:00Z").await;
        let refused = withdraw("w4", &second).await;
        assert_eq!(
            refused.user_error("corporateActionWithdraw"),
            &json!({ "code": "NOT_WITHDRAWABLE", "path": ["corporateActionId"],
                "message": "The corporate action has already been applied." })
        );
        assert_eq!(state(&app, &ada).await[0], ["10 300.00"]);
        let mut live = Socket::join(&app, Some(&app.key)).await;
        let events =
            "subscription { events(after: \"0\") { type ... on PartnerChangedEvent { corporateActionId } } }";
        live.subscribe("1", events, json!({})).await;
        let (mut types, mut ids) = (Vec::new(), Vec::new());
        while types.len() < 7 {
            let event = live.next().await["events"].clone();
            let kind = event["type"].as_str().unwrap();
            if kind.starts_with("CORPORATE_ACTION") {
                types.push(kind.replace("CORPORATE_ACTION_", ""));
                ids.push(event["corporateActionId"].clone());
            } else if kind.starts_with("SANDBOX") {
                assert_eq!(event["corporateActionId"], Value::Null, "{kind}");
            }
        }
        assert_eq!(ids[..6], [&first, &renamed, &first, &renamed, &second, &third].map(Clone::clone));
        assert_eq!(
            types,
            ["ANNOUNCED", "ANNOUNCED", "WITHDRAWN", "WITHDRAWN", "ANNOUNCED", "ANNOUNCED", "APPLIED"]
        );
        require_sound_books(&app).await;
    }

    async fn an_account_with_a_dividend_to_be_paid_is_not_closed(app: TestApp) {
        let ada = app.funded_customer("Ada", "100.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        app.quote("KO", "10.00", "10.00").await;
        let bought = rest(&app, &ada, "BUY", "KO", "10", limit("10.00")).await;
        assert_eq!(app.ended(&bought).await["status"], "FILLED");
        apply(&app, "dividend", "KO", "2026-07-15", dividend("0.25", "2026-07-20")).await;
        let nothing_left = json!({ "reverseSplit": { "newShares": 1, "oldShares": 10000, "wholeSharesOnly": true,
            "cashInLieuPrice": { "amount": "0.01" } } });
        apply(&app, "reverse", "KO", "2026-07-16", nothing_left).await;
        app.advance_to("2026-07-16T15:00:00Z").await;
        assert_eq!(app.balance(&ada.account_id).await, ["0.00", "0.00", "0.00"]);
        assert_eq!(state(&app, &ada).await[0], ["0 0.00"]);
        require_sound_books(&app).await;
        let close = "mutation($id: ID!) { accountClose(input: { accountId: $id, reason: \"Moved\" }) { \
            account { status } userErrors { code path message } } }";
        let close = async || {
            let answer = app.gql(close, json!({ "id": ada.account_id })).await;
            answer.user_error("accountClose").clone()
        };
        let left = |what: &str| json!({ "code": "ACCOUNT_NOT_EMPTY", "path": ["accountId"],
            "message": format!("The account still has {what}.") });
        assert_eq!(close().await, left("a dividend to be paid"));
        app.advance_to("2026-07-20T12:30:00Z").await;
        assert_eq!(app.balance(&ada.account_id).await, ["2.50", "2.50", "2.50"]);
        assert_eq!(close().await, left("cash or shares"));
        require_sound_books(&app).await;
    }

    async fn a_split_into_whole_shares_leaves_orders_no_more_than_the_account_has(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let bob = app.funded_customer("Bob", "1000.00").await;
        let eve = app.funded_customer("Eve", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "11", "60.00").await;
        trade(&app, &bob, "BUY", "KO", "11", "60.00").await;
        trade(&app, &eve, "BUY", "KO", "0.5", "60.00").await;
        trade(&app, &eve, "BUY", "VTI", "1.5", "60.00").await;
        let all = rest(&app, &ada, "SELL", "KO", "11", limit("100.00")).await;
        let first = rest(&app, &bob, "SELL", "KO", "5", limit("100.00")).await;
        let second = rest(&app, &bob, "SELL", "KO", "6", limit("100.00")).await;
        let none = rest(&app, &eve, "SELL", "KO", "0.5", limit("100.00")).await;
        let more = rest(&app, &eve, "SELL", "VTI", "0.5", limit("90.00")).await;
        let less = rest(&app, &eve, "SELL", "VTI", "1", limit("90.00")).await;
        for (symbol, new, old) in [("KO", 3, 2), ("VTI", 6, 5)] {
            let terms = json!({ "split": { "newShares": new, "oldShares": old, "wholeSharesOnly": true,
                "cashInLieuPrice": { "amount": "40.00" } } });
            apply(&app, symbol, symbol, "2026-07-15", terms).await;
        }
        app.advance_to("2026-07-15T04:00:00Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["11 16 20.00 2026-07-15T04:00:00Z"]);
        assert_eq!(entitlements(&app, &bob).await, ["11 16 20.00 2026-07-15T04:00:00Z"]);
        let mut found = entitlements(&app, &eve).await;
        found.sort();
        assert_eq!(found, ["0.5 0 30.00 2026-07-15T04:00:00Z", "1.5 1 32.00 2026-07-15T04:00:00Z"]);
        assert_eq!(order(&app, &all).await, "NEW 16 66.67 -");
        assert_eq!(order(&app, &first).await, "NEW 7.5 66.67 -");
        assert_eq!(order(&app, &second).await, "NEW 8.5 66.67 -");
        assert_eq!(order(&app, &none).await, "CANCELED 0.5 100.00 -");
        assert_eq!(order(&app, &more).await, "NEW 0.6 75.00 -");
        assert_eq!(order(&app, &less).await, "NEW 0.4 75.00 -");
        require_sound_books(&app).await;
        app.quote("KO", "70.00", "70.00").await;
        app.quote("VTI", "80.00", "80.00").await;
        app.advance_to("2026-07-15T04:01:00Z").await;
        for (id, expected) in
            [(&all, "FILLED 16 66.67 -"), (&second, "FILLED 8.5 66.67 -"), (&less, "FILLED 0.4 75.00 -")]
        {
            assert_eq!(order(&app, id).await, expected);
        }
        for who in [&ada, &bob, &eve] {
            assert!(state(&app, who).await[0].iter().all(|position| position == "0 0.00"));
            require_same_views(&app, who).await;
        }
        require_sound_books(&app).await;
    }

    async fn orders_of_the_first_seconds_of_the_ex_date_are_adjusted_once(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        trade(&app, &ada, "BUY", "VTI", "10", "30.00").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        let terms = json!({ "reverseSplit": { "newShares": 1, "oldShares": 3, "wholeSharesOnly": true,
            "cashInLieuPrice": { "amount": "93.00" } } });
        apply(&app, "2", "VTI", "2026-07-15", terms).await;
        just_after_midnight(&app).await;
        let sell = rest(&app, &ada, "SELL", "KO", "10", limit("90.00")).await;
        let all = rest(&app, &ada, "SELL", "VTI", "10", limit("90.00")).await;
        let buy = rest(&app, &ada, "BUY", "VTI", "3", limit("10.00")).await;
        run_due(&app).await;
        for time in ["2026-07-15T04:00:10Z", "2026-07-15T04:01:00Z"] {
            app.advance_to(time).await;
            assert_eq!(order(&app, &sell).await, "NEW 20 45.00 -");
            assert_eq!(order(&app, &all).await, "CANCELED 10 90.00 -");
            assert_eq!(order(&app, &buy).await, "CANCELED 3 10.00 -");
        }
        let mut found = entitlements(&app, &ada).await;
        found.sort();
        assert_eq!(found, ["10 20 0.00 2026-07-15T04:00:00Z", "10 3 31.00 2026-07-15T04:00:00Z"]);
        // An order after it is left alone.
        let after = rest(&app, &ada, "SELL", "VTI", "3", limit("100.00")).await;
        app.advance_to("2026-07-15T15:00:00Z").await;
        assert_eq!(order(&app, &after).await, "NEW 3 100.00 -");
        app.quote("KO", "45.00", "45.00").await;
        app.advance_to("2026-07-15T15:01:00Z").await;
        assert_eq!(order(&app, &sell).await, "FILLED 20 45.00 -");
        require_sound_books(&app).await;
    }

    async fn no_shares_are_traded_while_they_are_to_be_split(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let bob = app.funded_customer("Bob", "2000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "60.00").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        just_after_midnight(&app).await;
        let buy = rest(&app, &ada, "BUY", "KO", "5", limit("40.00")).await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "NEW 5 40.00 -");
        process(&app).await;
        // A price after the split, which others trade at, and at which orders are placed from now on.
        trade(&app, &bob, "BUY", "KO", "5", "30.00").await;
        let sell = rest(&app, &ada, "SELL", "KO", "8", limit("25.00")).await;
        let low = rest(&app, &ada, "BUY", "KO", "3", limit("20.00")).await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "NEW 5 40.00 -");
        assert_eq!(order(&app, &sell).await, "NEW 8 25.00 -");
        let replace = "mutation($input: OrderReplaceInput!) { orderReplace(input: $input) { order { id } userErrors { \
            code path } } }";
        let input = json!({ "idempotencyKey": "replace", "orderId": buy, "limitPrice": { "amount": "21.00" } });
        let refused = app.gql(replace, json!({ "input": input })).await;
        let expected = json!({ "code": "NOT_REPLACEABLE", "path": ["orderId"] });
        assert_eq!(refused.user_error("orderReplace"), &expected);
        assert_eq!(state(&app, &ada).await[0], ["10 600.00"]);
        app.quote("KO", "24.99", "24.99").await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "NEW 5 40.00 -");
        app.advance_to("2026-07-15T04:00:10Z").await;
        assert_eq!(entitlements(&app, &ada).await, ["10 20 0.00 2026-07-15T04:00:00Z"]);
        assert_eq!(state(&app, &ada).await[0], ["20 600.00"]);
        assert_eq!(state(&app, &bob).await[0], ["5 150.00"]);
        assert_eq!(order(&app, &buy).await, "NEW 10 20.00 -");
        assert_eq!(order(&app, &sell).await, "NEW 8 25.00 -");
        assert_eq!(order(&app, &low).await, "NEW 3 20.00 -");
        app.quote("KO", "25.00", "25.00").await;
        app.advance_to("2026-07-15T04:01:00Z").await;
        assert_eq!(order(&app, &sell).await, "FILLED 8 25.00 -");
        assert_eq!(state(&app, &ada).await[0], ["12 360.00"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }

    async fn an_order_that_was_being_placed_when_a_split_was_recorded_is_adjusted(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        just_after_midnight(&app).await;
        let buy = rest(&app, &ada, "BUY", "KO", "5", limit("40.00")).await;
        process_before_the_order_is_committed(&app).await;
        app.quote("KO", "30.00", "30.00").await;
        let later = rest(&app, &ada, "BUY", "KO", "5", limit("20.00")).await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "NEW 10 20.00 -");
        assert_eq!(order(&app, &later).await, "NEW 5 20.00 -");
        app.quote("KO", "19.00", "19.00").await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "FILLED 10 20.00 -");
        assert_eq!(order(&app, &later).await, "FILLED 5 20.00 -");
        app.advance_to("2026-07-15T04:01:00Z").await;
        assert_eq!(state(&app, &ada).await[0], ["15 285.00"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }

    async fn an_order_that_was_being_placed_when_a_reverse_split_was_recorded_is_canceled(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        let terms = json!({ "reverseSplit": { "newShares": 1, "oldShares": 2,
            "cashInLieuPrice": { "amount": "120.00" } } });
        apply(&app, "1", "KO", "2026-07-15", terms).await;
        just_after_midnight(&app).await;
        let buy = rest(&app, &ada, "BUY", "KO", "5", limit("40.00")).await;
        process_before_the_order_is_committed(&app).await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "CANCELED 5 40.00 -");
        assert_eq!(power(&app, &ada).await, "2000.00");
        require_sound_books(&app).await;
    }

    async fn an_order_that_was_being_placed_when_a_dividend_was_recorded_is_reduced_by_it(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        apply(&app, "1", "KO", "2026-07-15", dividend("0.25", "2026-07-20")).await;
        app.advance_to("2026-07-15T03:59:00Z").await;
        let buy = rest(&app, &ada, "BUY", "KO", "5", limit("20.00")).await;
        process_before_the_order_is_committed(&app).await;
        run_due(&app).await;
        assert_eq!(order(&app, &buy).await, "NEW 5 19.75 -");
        app.advance_to("2026-07-20T15:00:00Z").await;
        assert_eq!(power(&app, &ada).await, "1901.25");
        require_sound_books(&app).await;
    }

    async fn orders_from_between_recording_and_applying_a_reverse_split_fit_to_what_is_left(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "BUY", "KO", "10", "30.00").await;
        let terms = json!({ "reverseSplit": { "newShares": 1, "oldShares": 2, "wholeSharesOnly": true,
            "cashInLieuPrice": { "amount": "60.00" } } });
        apply(&app, "1", "KO", "2026-07-15", terms).await;
        just_after_midnight(&app).await;
        process(&app).await;
        app.quote("KO", "60.00", "60.00").await;
        let some = rest(&app, &ada, "SELL", "KO", "2", limit("70.00")).await;
        let many = rest(&app, &ada, "SELL", "KO", "7", limit("80.00")).await;
        let last = rest(&app, &ada, "SELL", "KO", "1", limit("90.00")).await;
        let buy = rest(&app, &ada, "BUY", "KO", "4", limit("50.00")).await;
        app.advance_to("2026-07-15T04:00:10Z").await;
        assert_eq!(state(&app, &ada).await[0], ["5 300.00"]);
        assert_eq!(order(&app, &some).await, "NEW 2 70.00 -");
        assert_eq!(order(&app, &many).await, "NEW 3 80.00 -");
        assert_eq!(order(&app, &last).await, "CANCELED 1 90.00 -");
        assert_eq!(order(&app, &buy).await, "NEW 4 50.00 -");
        require_sound_books(&app).await;
    }

    async fn a_loss_of_the_last_bar_before_a_split_is_replaced_by_shares_after_it(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let update = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
            partner { id } userErrors { message } } }";
        let by_bars = json!({ "patch": { "fillMode": "BARS", "participationCap": "100" } });
        app.gql(update, json!({ "input": by_bars })).await.entity("partnerSettingsUpdate", "partner");
        let push = async |starts_at: &str, amount: &str| {
            let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { instrument { symbol } \
                userErrors { message } } }";
            let price = json!({ "amount": amount });
            let bar = json!({ "symbol": "KO", "startsAt": starts_at, "open": price, "high": price, "low": price,
                "close": price, "volume": "1000" });
            app.gql(push, json!({ "input": bar })).await.entity("sandboxBarPush", "instrument");
        };
        // Places an order and lets the next bar fill it.
        let fill = async |key: &str, side: &str, quantity: &str, bar: &str, price: &str, over: &str| {
            let input = json!({ "input": ada.order(key, side, "KO", quantity) });
            let placed = app.gql(ORDER_PLACE, input).await;
            let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
            push(bar, price).await;
            app.advance_to(over).await;
            assert_eq!(order(&app, &id).await, format!("FILLED {quantity} - -"));
        };
        app.advance_to("2026-07-14T14:59:30Z").await;
        fill("1", "BUY", "20", "2026-07-14T15:00:00Z", "60.00", "2026-07-14T15:01:00Z").await;
        apply(&app, "split", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        app.advance_to("2026-07-15T03:58:30Z").await;
        fill("2", "SELL", "10", "2026-07-15T03:59:00Z", "50.00", "2026-07-15T04:00:00Z").await;
        assert_eq!(state(&app, &ada).await[0], ["20 600.00"]);
        // 6 shares replace 3 of the 10 that were sold at a loss of 10 dollars each.
        fill("3", "BUY", "6", "2026-07-15T04:00:00Z", "25.00", "2026-07-15T04:01:00Z").await;
        assert_eq!(state(&app, &ada).await[0], ["26 780.00"]);
        assert_eq!(state(&app, &ada).await[2], ["10 500.00 600.00 -70.00 sale"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }

    async fn shares_of_the_last_bar_before_a_split_are_split(app: TestApp) {
        let ada = app.funded_customer("Ada", "2000.00").await;
        let update = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
            partner { id } userErrors { message } } }";
        let by_bars = json!({ "patch": { "fillMode": "BARS", "participationCap": "100" } });
        app.gql(update, json!({ "input": by_bars })).await.entity("partnerSettingsUpdate", "partner");
        app.advance_to("2026-07-14T15:00:00Z").await;
        apply(&app, "1", "KO", "2026-07-15", json!({ "split": { "newShares": 2, "oldShares": 1 } })).await;
        apply(&app, "2", "KO", "2026-07-15", dividend("0.50", "2026-07-20")).await;
        app.advance_to("2026-07-15T03:58:30Z").await;
        let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order("buy", "BUY", "KO", "10") })).await;
        let buy = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        app.advance_to("2026-07-15T04:00:00Z").await;
        assert_eq!(order(&app, &buy).await, "FILLED 10 - -");
        let mut found = entitlements(&app, &ada).await;
        found.sort();
        assert_eq!(found, ["10 - 5.00 -", "10 20 0.00 2026-07-15T04:00:00Z"]);
        let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order("sell", "SELL", "KO", "20") })).await;
        let sell = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        app.advance_to("2026-07-15T04:02:00Z").await;
        assert_eq!(order(&app, &sell).await, "FILLED 20 - -");
        assert_eq!(state(&app, &ada).await[0], ["0 0.00"]);
        require_same_views(&app, &ada).await;
        require_sound_books(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn realized_gains_from_before_corporate_actions_stay() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000027_corporate_actions").await {
        let id = |number| older.id(number);
        let no = if older.db.get_database_backend() == DbBackend::Postgres { "false" } else { "0" };
        let (partner, account, instrument) = (id(1), id(2), id(3));
        // A lot of which five of nine shares were sold, by two fills, and one of which all were sold.
        for (lot, quantity, open, basis) in [(10, 900, 400, 444), (11, 300, 0, 0)] {
            let row = format!(
                "INSERT INTO tax_lot (id, partner_id, account_id, instrument_id, fill_id, purchase_id, opened_at, \
                 acquired_on, held_since, quantity, cost, wash_adjustment, open_quantity, open_basis, replaces_id, \
                 is_unsettled) VALUES ({}, {partner}, {account}, {instrument}, NULL, {}, '2026-07-09T16:00:00+00:00', \
                 '2026-07-09', '2026-06-30', {quantity}, 999, 0, {open}, {basis}, NULL, {no})",
                id(lot),
                id(lot + 10)
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        for (closing, lot, fill, quantity, disallowed) in
            [(30, 10, 40, 200, 0), (31, 10, 41, 300, 7), (32, 11, 41, 300, 9)]
        {
            let row = format!(
                "INSERT INTO lot_closing (id, partner_id, account_id, instrument_id, lot_id, fill_id, quantity, \
                 proceeds, basis, disallowed, forfeited, unreplaced_quantity, held_since, term, closed_at, closed_on) \
                 VALUES ({}, {partner}, {account}, {instrument}, {}, {}, {quantity}, 100, 333, {disallowed}, \
                 3 * ({disallowed} / 9), \
                 {quantity} - 1, '2026-06-30', 'long', '2026-07-10T16:00:00.5+00:00', '2026-07-10')",
                id(closing),
                id(lot),
                id(fill)
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        older.migrate().await;
        let uuid =
            |number: u8| format!("01900000-0000-7000-8000-0000000000{number:02x}").parse::<Uuid>().unwrap();
        let closing = |number, lot, fill, units, disallowed, forfeited| lot_closing::Model {
            id: uuid(number),
            partner_id: uuid(1),
            account_id: uuid(2),
            instrument_id: uuid(3),
            lot_id: uuid(lot),
            fill_id: Some(uuid(fill)),
            entitlement_id: None,
            quantity: Quantity::from_units(units),
            proceeds: Money::from_units(100),
            basis: Money::from_units(333),
            disallowed: Money::from_units(disallowed),
            forfeited: Money::from_units(forfeited),
            unreplaced_quantity: Quantity::from_units(units - 1),
            held_since: "2026-06-30".parse().unwrap(),
            term: Term::Long,
            closed_at: "2026-07-10T16:00:00.5Z".parse().unwrap(),
            closed_on: "2026-07-10".parse().unwrap(),
        };
        let rows =
            lot_closing::Entity::find().order_by_asc(lot_closing::Column::Id).all(&older.db).await.unwrap();
        assert_eq!(
            rows,
            [closing(30, 10, 40, 200, 0, 0), closing(31, 10, 41, 300, 7, 0), closing(32, 11, 41, 300, 9, 3)]
        );
        let lots = tax_lot::Entity::find().order_by_asc(tax_lot::Column::Id).all(&older.db).await.unwrap();
        let shown: Vec<_> = lots
            .iter()
            .map(|lot| [lot.bought_quantity, lot.quantity, lot.open_quantity].map(Quantity::units))
            .collect();
        assert_eq!(shown, [[900, 900, 400], [300, 300, 0]]);
        // One fill still closes a lot once, and a gain still has a cause.
        for column in ["fill_id", "NULL"] {
            let again = format!(
                "INSERT INTO lot_closing (id, partner_id, account_id, instrument_id, lot_id, fill_id, quantity, \
                 proceeds, basis, disallowed, forfeited, unreplaced_quantity, held_since, term, closed_at, closed_on) \
                 SELECT {}, partner_id, account_id, instrument_id, lot_id, {column}, quantity, proceeds, basis, 0, 0, \
                 0, held_since, term, closed_at, closed_on FROM lot_closing WHERE id = {}",
                id(50),
                id(30)
            );
            assert!(older.db.execute_unprepared(&again).await.is_err(), "{column}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_that_were_processed_before_get_the_id_of_what_was_recorded_first() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000028_corporate_action_lists").await {
        let id = |number| older.id(number);
        let no = if older.db.get_database_backend() == DbBackend::Postgres { "false" } else { "0" };
        for (action, processed_at) in
            [(10, "'2026-07-15T04:00:00+00:00'"), (11, "'2026-07-15T04:00:00+00:00'"), (12, "NULL")]
        {
            let row = format!(
                "INSERT INTO corporate_action (id, partner_id, instrument_id, kind, ex_on, new_shares, old_shares, \
                 is_whole_shares, created_at, processed_at) VALUES ({}, {}, {}, 'split', '2026-07-15', 2, 1, {no}, \
                 '2026-07-09T16:00:00+00:00', {processed_at})",
                id(action),
                id(1),
                id(3)
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        for (entitlement, account) in [(21, 4), (20, 5)] {
            let row = format!(
                "INSERT INTO entitlement (id, partner_id, account_id, corporate_action_id, instrument_id, quantity, \
                 cash) VALUES ({}, {}, {}, {}, {}, 100, 0)",
                id(entitlement),
                id(1),
                id(account),
                id(10),
                id(3)
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        older.migrate().await;
        let actions = corporate_action::Entity::find().order_by_asc(corporate_action::Column::Id);
        let found: Vec<_> =
            actions.all(&older.db).await.unwrap().into_iter().map(|action| action.processed_id).collect();
        let uuid =
            |number: u8| format!("01900000-0000-7000-8000-0000000000{number:02x}").parse::<Uuid>().unwrap();
        assert_eq!(found, [Some(uuid(20)), Some(uuid(11)), None]);
    }
}
