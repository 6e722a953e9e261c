//! Order types, times in force, replacing, previews, and the reports of venues, through both APIs.

use crate::support::{Customer, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, on_both};
use domain::{
    kernel::{actor::AccessScope, clock, command::CommandContext, scheduler},
    trading::{
        executions::{self, Applied, Execution, Explanation, Report, ReportKind},
        fill_rules::Rule,
    },
};
use entity::{Price, account, event, order, partner, user};
use futures_util::future::join_all;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Statement,
};
use serde_json::{Value, json};
use uuid::Uuid;

const FACTS: &str = "query($id: ID!) { order(id: $id) { id status type timeInForce side quantity notional { amount } \
    limitPrice { amount } stopPrice { amount } triggeredAt filledQuantity filledAveragePrice { amount } rejectCode \
    expiresAt expiredAt canceledAt filledAt failedAt replacedAt viewerCanCancel viewerCanReplace \
    fills(first: 10) { edges { node { number quantity price { amount } amount { amount } explanation { rule \
    quote { bid { amount } ask { amount } } bar { startsAt open { amount } volume } } } } } } }";

const REPLACE: &str = "mutation($input: OrderReplaceInput!) { orderReplace(input: $input) { order { id status quantity \
    limitPrice { amount } stopPrice { amount } replacedAt } userErrors { code path message } } }";

const PREVIEW: &str = "query($input: OrderPreviewInput!) { orderPreview(input: $input) { estimate { side quantity \
    price { amount } amount { amount } heldCash { amount } heldShares buyingPower { amount } } \
    userErrors { code path message } } }";

const PUSH: &str = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { instrument { symbol } \
    userErrors { code path message } } }";

const SETTINGS: &str = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
    partner { settings { fillMode participationCap } } userErrors { code path message } } }";

fn amount(text: &str) -> Value {
    json!({ "amount": text })
}

/// Returns the input for orderPlace with these further fields.
fn input(customer: &Customer, key: &str, side: &str, quantity: &str, more: Value) -> Value {
    let mut input = customer.order(key, side, "VTI", quantity);
    for (field, value) in more.as_object().unwrap() {
        input[field] = value.clone();
    }
    input
}

async fn place(app: &TestApp, input: Value) -> String {
    let placed = app.gql_until_answered(ORDER_PLACE, json!({ "input": input })).await;
    placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

/// Executes what is due, on a server without workers.
async fn due(app: &TestApp) {
    while scheduler::run_due_for(&app.app, app.partner.id).await.unwrap() {}
}

/// Places an order and lets the server route it; returns its id.
async fn routed(app: &TestApp, input: Value) -> String {
    let id = place(app, input).await;
    due(app).await;
    id
}

async fn quote(app: &TestApp, bid: &str, ask: &str) {
    app.quote("VTI", bid, ask).await;
    due(app).await;
}

async fn facts(app: &TestApp, id: &str) -> Value {
    app.gql(FACTS, json!({ "id": id })).await.data()["order"].clone()
}

/// Returns status, filled quantity and average price.
async fn state(app: &TestApp, id: &str) -> [String; 3] {
    let order = facts(app, id).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [text(&order["status"]), text(&order["filledQuantity"]), text(&order["filledAveragePrice"]["amount"])]
}

async fn cancel(app: &TestApp, key: &str, id: &str) -> crate::support::Answer {
    app.gql_until_answered(ORDER_CANCEL, json!({ "input": { "idempotencyKey": key, "orderId": id } })).await
}

async fn replace(app: &TestApp, key: &str, id: &str, more: Value) -> crate::support::Answer {
    let mut input = more;
    input["idempotencyKey"] = json!(key);
    input["orderId"] = json!(id);
    app.gql_until_answered(REPLACE, json!({ "input": input })).await
}

async fn buying_power(app: &TestApp, customer: &Customer) -> String {
    app.balance(&customer.account_id).await[1].clone()
}

async fn push(app: &TestApp, starts_at: &str, [open, high, low, close]: [&str; 4], volume: &str) {
    let input = json!({ "symbol": "VTI", "startsAt": starts_at, "open": amount(open), "high": amount(high),
        "low": amount(low), "close": amount(close), "volume": volume });
    app.gql(PUSH, json!({ "input": input })).await.entity("sandboxBarPush", "instrument");
    due(app).await;
}

async fn fill_by_bars(app: &TestApp) {
    let input = json!({ "patch": { "fillMode": "BARS" } });
    let settings = app.gql(SETTINGS, json!({ "input": input })).await;
    assert_eq!(
        settings.entity("partnerSettingsUpdate", "partner")["settings"],
        json!({ "fillMode": "BARS", "participationCap": "10" })
    );
}

async fn each() -> Vec<TestApp> {
    TestApp::each_with(Options { without_timers: true, ..Options::default() }).await
}

async fn audited(app: &TestApp) {
    assert_eq!(app.audit().await.wrong, None);
}

async fn rows(app: &TestApp) -> Vec<i64> {
    let read = &app.app.db.read;
    let mut counts = Vec::new();
    for table in ["orders", "ledger_hold", "event", "timer", "fill"] {
        let text = format!("SELECT count(*) AS rows FROM {table}");
        let statement = Statement::from_string(read.get_database_backend(), text);
        counts.push(read.query_one_raw(statement).await.unwrap().unwrap().try_get("", "rows").unwrap());
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_request_alone_decides_is_refused_with_its_field() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "99.00", "100.00").await;
        let before = rows(&app).await;
        let cases = [
            (
                json!({ "quantity": null }),
                "REQUIRED",
                json!(["quantity"]),
                "quantity or notional is required",
            ),
            (json!({ "quantity": "0" }), "INVALID", json!(["quantity"]), "quantity must be above zero"),
            (
                json!({ "quantity": "0.00001" }),
                "INVALID",
                json!(["quantity"]),
                "quantity must have at most four decimals",
            ),
            (
                json!({ "notional": amount("5.00") }),
                "INVALID",
                json!(["notional"]),
                "notional must be left out of an order by quantity",
            ),
            (
                json!({ "quantity": null, "notional": amount("5.00"), "type": "LIMIT", "limitPrice": amount("9.00") }),
                "INVALID",
                json!(["notional"]),
                "notional is only for market orders of the day",
            ),
            (
                json!({ "quantity": null, "notional": amount("5.00"), "timeInForce": "GTC" }),
                "INVALID",
                json!(["notional"]),
                "notional is only for market orders of the day",
            ),
            (
                json!({ "quantity": null, "notional": amount("0.00") }),
                "INVALID",
                json!(["notional"]),
                "notional must be above zero and at most 100000000.00",
            ),
            (json!({ "type": "LIMIT" }), "REQUIRED", json!(["limitPrice"]), "limitPrice is required"),
            (json!({ "type": "STOP" }), "REQUIRED", json!(["stopPrice"]), "stopPrice is required"),
            (
                json!({ "type": "STOP_LIMIT", "limitPrice": amount("9.00") }),
                "REQUIRED",
                json!(["stopPrice"]),
                "stopPrice is required",
            ),
            (
                json!({ "type": "STOP_LIMIT", "stopPrice": amount("9.00") }),
                "REQUIRED",
                json!(["limitPrice"]),
                "limitPrice is required",
            ),
            (
                json!({ "limitPrice": amount("9.00") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be left out of a market order",
            ),
            (
                json!({ "stopPrice": amount("9.00") }),
                "INVALID",
                json!(["stopPrice"]),
                "stopPrice must be left out of a market order",
            ),
            (
                json!({ "type": "LIMIT", "limitPrice": amount("9.00"), "stopPrice": amount("9.00") }),
                "INVALID",
                json!(["stopPrice"]),
                "stopPrice must be left out of a limit order",
            ),
            (
                json!({ "type": "STOP", "limitPrice": amount("9.00"), "stopPrice": amount("9.00") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be left out of a stop order",
            ),
            (
                json!({ "type": "LIMIT", "limitPrice": amount("1.005") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be a multiple of 0.01",
            ),
            (
                json!({ "type": "STOP", "stopPrice": amount("10.001") }),
                "INVALID",
                json!(["stopPrice"]),
                "stopPrice must be a multiple of 0.01",
            ),
            (
                json!({ "type": "LIMIT", "limitPrice": amount("0.00005") }),
                "INVALID",
                json!(["limitPrice", "amount"]),
                "limitPrice.amount has too many decimals",
            ),
            (
                json!({ "type": "LIMIT", "limitPrice": amount("0.00") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be above zero and at most 1000000",
            ),
            (
                json!({ "type": "LIMIT", "limitPrice": amount("1000000.01") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be above zero and at most 1000000",
            ),
        ];
        for (turn, (more, code, path, message)) in cases.into_iter().enumerate() {
            let given = input(&ada, &format!("k{turn}"), "BUY", "1", more);
            let refused = app.gql(ORDER_PLACE, json!({ "input": given })).await;
            assert_eq!(
                refused.user_error("orderPlace"),
                &json!({ "code": code, "path": path, "message": message })
            );
        }
        let mut unknown = ada.order("u", "BUY", "NOPE", "1");
        unknown["type"] = json!("MARKET");
        let refused = app.gql(ORDER_PLACE, json!({ "input": unknown })).await;
        assert_eq!(refused.user_error("orderPlace")["code"], "NOT_FOUND");
        assert_eq!(rows(&app).await, before);
        // The tick below one dollar is a hundredth of a cent.
        let penny =
            input(&ada, "penny", "BUY", "1000", json!({ "type": "LIMIT", "limitPrice": amount("0.1255") }));
        routed(&app, penny).await;
        assert_eq!(buying_power(&app, &ada).await, "874.50");
        audited(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_order_rests_until_a_quote_reaches_it() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "99.00", "100.00").await;
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("98.00") });
        let id = routed(&app, input(&ada, "l", "BUY", "3", limit)).await;
        assert_eq!(buying_power(&app, &ada).await, "706.00");
        let order = facts(&app, &id).await;
        assert_eq!(
            json!([
                order["status"],
                order["type"],
                order["timeInForce"],
                order["limitPrice"],
                order["stopPrice"],
                order["expiresAt"],
                order["viewerCanReplace"]
            ]),
            json!(["NEW", "LIMIT", "DAY", amount("98.00"), null, "2026-07-10T20:00:00Z", true])
        );
        quote(&app, "97.00", "98.01").await;
        assert_eq!(state(&app, &id).await, ["NEW", "0", ""]);
        quote(&app, "97.00", "97.50").await;
        let order = facts(&app, &id).await;
        assert_eq!(
            order["fills"]["edges"],
            json!([{ "node": { "number": 1, "quantity": "3", "price": amount("97.50"), "amount": amount("292.50"),
                "explanation": { "rule": "BUY_AT_ASK", "bar": null,
                    "quote": { "bid": amount("97.00"), "ask": amount("97.50") } } } }])
        );
        assert_eq!(state(&app, &id).await, ["FILLED", "3", "97.50"]);
        assert_eq!(buying_power(&app, &ada).await, "707.50");

        // A limit far above the market fills at the ask.
        let above = json!({ "type": "LIMIT", "limitPrice": amount("200.00") });
        let id = routed(&app, input(&ada, "a", "BUY", "1", above)).await;
        assert_eq!(state(&app, &id).await, ["FILLED", "1", "97.50"]);
        // Sales: a limit, a stop, and a stop-limit that is triggered and waits for its limit.
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("101.00"), "timeInForce": "GTC" });
        let limit = routed(&app, input(&ada, "s1", "SELL", "1", limit)).await;
        let stop = routed(
            &app,
            input(&ada, "s2", "SELL", "1", json!({ "type": "STOP", "stopPrice": amount("95.00") })),
        )
        .await;
        let both =
            json!({ "type": "STOP_LIMIT", "stopPrice": amount("96.00"), "limitPrice": amount("95.50") });
        let both = routed(&app, input(&ada, "s3", "SELL", "1", both)).await;
        let short = app.gql(ORDER_PLACE, json!({ "input": ada.order("s4", "SELL", "VTI", "1.0001") })).await;
        assert_eq!(short.user_error("orderPlace")["message"], "1 VTI can be sold; this order is for 1.0001.");
        quote(&app, "94.00", "94.10").await;
        assert_eq!(state(&app, &stop).await, ["FILLED", "1", "94.00"]);
        assert_eq!(state(&app, &both).await, ["NEW", "0", ""]);
        assert_eq!(facts(&app, &both).await["triggeredAt"], "2026-07-10T16:00:00Z");
        quote(&app, "95.60", "95.70").await;
        assert_eq!(state(&app, &both).await, ["FILLED", "1", "95.60"]);
        quote(&app, "101.00", "102.00").await;
        assert_eq!(state(&app, &limit).await, ["FILLED", "1", "101.00"]);
        audited(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_expire_at_the_end_of_their_time() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "99.00", "100.00").await;
        let limit =
            |force: &str| json!({ "type": "LIMIT", "limitPrice": amount("50.00"), "timeInForce": force });
        let day = routed(&app, input(&ada, "d", "BUY", "1", limit("DAY"))).await;
        let gtc = routed(&app, input(&ada, "g", "BUY", "2", limit("GTC"))).await;
        for (force, key) in [("IOC", "i"), ("FOK", "f")] {
            let id = routed(&app, input(&ada, key, "BUY", "1", limit(force))).await;
            assert_eq!(state(&app, &id).await, ["CANCELED", "0", ""]);
        }
        assert_eq!(buying_power(&app, &ada).await, "850.00");
        app.advance_to("2026-07-10T19:59:59Z").await;
        assert_eq!(state(&app, &day).await, ["NEW", "0", ""]);
        app.advance_to("2026-07-10T20:00:00Z").await;
        let order = facts(&app, &day).await;
        assert_eq!(
            json!([order["status"], order["expiredAt"], order["canceledAt"]]),
            json!(["EXPIRED", "2026-07-10T20:00:00Z", null])
        );
        let rest = app.get(&format!("/v1/orders/{day}")).await;
        assert_eq!(
            json!([rest.body["status"], rest.body["expired_at"], rest.body["canceled_at"]]),
            json!(["canceled", "2026-07-10T20:00:00Z", null])
        );
        assert_eq!(buying_power(&app, &ada).await, "900.00");
        assert_eq!(facts(&app, &gtc).await["expiresAt"], "2026-10-08T16:00:00Z");
        let late = cancel(&app, "late", &day).await;
        assert_eq!(late.user_error("orderCancel")["code"], "NOT_CANCELABLE");
        // After this market closes, the day ends at the close of the next trading day.
        let next = routed(&app, input(&ada, "n", "BUY", "1", limit("DAY"))).await;
        assert_eq!(facts(&app, &next).await["expiresAt"], "2026-07-13T20:00:00Z");
        app.advance_to("2026-10-08T16:00:00Z").await;
        assert_eq!(state(&app, &gtc).await, ["EXPIRED", "0", ""]);
        assert_eq!(buying_power(&app, &ada).await, "1000.00");

        let set =
            "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        app.gql(set, json!({})).await.data();
        app.advance_to("2026-11-27T15:00:00Z").await;
        let early = routed(&app, input(&ada, "e", "BUY", "1", limit("DAY"))).await;
        app.advance_to("2026-11-27T18:00:00Z").await;
        assert_eq!(facts(&app, &early).await["expiredAt"], "2026-11-27T18:00:00Z");
        let closed = app.gql(ORDER_PLACE, json!({ "input": ada.order("c", "BUY", "VTI", "1") })).await;
        assert_eq!(
            closed.user_error("orderPlace")["message"],
            "The market is closed. It next opens at 2026-11-30T14:30:00Z."
        );
        audited(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_filled_by_bars_with_a_part_of_their_volume() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        fill_by_bars(&app).await;
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("5.00") });
        let id = routed(&app, input(&ada, "l", "BUY", "150", limit)).await;
        assert_eq!(state(&app, &id).await, ["NEW", "0", ""]);
        assert_eq!(buying_power(&app, &ada).await, "250.00");
        push(&app, "2026-07-10T16:00:00Z", ["4.90", "5.10", "4.80", "5.00"], "1000").await;
        assert_eq!(state(&app, &id).await, ["PARTIALLY_FILLED", "100", "4.90"]);
        // 490 dollars are paid, and a third of the 750 is still held.
        assert_eq!(buying_power(&app, &ada).await, "260.00");
        audited(&app).await;
        app.advance_to("2026-07-10T16:01:00Z").await;
        push(&app, "2026-07-10T16:01:00Z", ["5.20", "5.20", "4.95", "5.00"], "300").await;
        assert_eq!(state(&app, &id).await, ["PARTIALLY_FILLED", "130", "4.9231"]);
        app.advance_to("2026-07-10T16:02:00Z").await;
        push(&app, "2026-07-10T16:02:00Z", ["6.00", "6.10", "5.01", "6.00"], "300").await;
        assert_eq!(state(&app, &id).await, ["PARTIALLY_FILLED", "130", "4.9231"]);
        let below = replace(&app, "r", &id, json!({ "quantity": "130" })).await;
        assert_eq!(
            below.user_error("orderReplace"),
            &json!({ "code": "INVALID", "path": ["quantity"],
                "message": "quantity must be above the filled quantity, 130" })
        );
        cancel(&app, "c", &id).await.entity("orderCancel", "order");
        assert_eq!(state(&app, &id).await, ["CANCELED", "130", "4.9231"]);
        assert_eq!(buying_power(&app, &ada).await, "360.00");
        let fills = facts(&app, &id).await["fills"]["edges"].clone();
        assert_eq!(
            fills[1]["node"]["explanation"],
            json!({ "rule": "BAR_OPEN", "quote": null,
                "bar": { "startsAt": "2026-07-10T16:00:00Z", "open": amount("4.90"), "volume": "1000" } })
        );
        assert_eq!(fills[0]["node"]["explanation"]["rule"], "BAR_LIMIT");

        // A stop pays the gap; what fill-or-kill cannot fill completely is canceled, immediate-or-cancel keeps a part.
        let stop = routed(
            &app,
            input(&ada, "s", "SELL", "20", json!({ "type": "STOP", "stopPrice": amount("4.50") })),
        )
        .await;
        let fok = routed(&app, input(&ada, "f", "SELL", "50", json!({ "timeInForce": "FOK" }))).await;
        let ioc = routed(&app, input(&ada, "i", "SELL", "50", json!({ "timeInForce": "IOC" }))).await;
        app.advance_to("2026-07-10T16:03:00Z").await;
        push(&app, "2026-07-10T16:03:00Z", ["4.00", "4.20", "3.90", "4.10"], "300").await;
        assert_eq!(state(&app, &stop).await, ["FILLED", "20", "4.00"]);
        assert_eq!(facts(&app, &stop).await["fills"]["edges"][0]["node"]["explanation"]["rule"], "BAR_GAP");
        assert_eq!(state(&app, &fok).await, ["CANCELED", "0", ""]);
        assert_eq!(state(&app, &ioc).await, ["CANCELED", "30", "4.00"]);
        audited(&app).await;
    }
}

/// The simulated market needs no quotes that are set: the clock alone fills a resting order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_market_fills_resting_orders_as_the_clock_advances() {
    for mode in ["QUOTES", "BARS"] {
        for app in each().await {
            // Some seeds have prices that never fall so far.
            app.seed(7).await;
            let ada = app.funded_customer("Ada", "1000.00").await;
            let settings = json!({ "input": { "patch": { "fillMode": mode } } });
            app.gql(SETTINGS, settings).await.entity("partnerSettingsUpdate", "partner");
            let preview =
                json!({ "accountId": ada.account_id, "symbol": "VTI", "side": "BUY", "quantity": "1" });
            let preview = app.gql(PREVIEW, json!({ "input": preview })).await;
            let ask = preview.data()["orderPreview"]["estimate"]["price"]["amount"].clone();
            let ask: Price = ask.as_str().unwrap().parse().unwrap();
            let limit = Price::from_units(ask.units() * 997 / 1_000 / 100 * 100);
            let limit_order =
                json!({ "type": "LIMIT", "limitPrice": amount(&limit.to_string()), "timeInForce": "GTC" });
            let id = routed(&app, input(&ada, "l", "BUY", "1", limit_order)).await;
            assert_eq!(state(&app, &id).await[0], "NEW");
            app.advance_to("2026-07-24T16:00:00Z").await;
            let [status, filled, price] = state(&app, &id).await;
            assert_eq!([status.as_str(), filled.as_str()], ["FILLED", "1"], "{mode}");
            assert!(price.parse::<Price>().unwrap() <= limit, "{price} {limit}");
            assert!(facts(&app, &id).await["filledAt"].as_str().unwrap().ends_with(":00Z"));
            audited(&app).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_order_is_replaced_with_its_hold() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "99.00", "100.00").await;
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("98.00") });
        let id = routed(&app, input(&ada, "l", "BUY", "3", limit)).await;
        let replaced =
            replace(&app, "r1", &id, json!({ "quantity": "5", "limitPrice": amount("97.00") })).await;
        assert_eq!(
            replaced.entity("orderReplace", "order"),
            &json!({ "id": id, "status": "NEW", "quantity": "5", "limitPrice": amount("97.00"), "stopPrice": null,
                "replacedAt": "2026-07-10T16:00:00Z" })
        );
        assert_eq!(buying_power(&app, &ada).await, "515.00");
        let before = rows(&app).await;
        for (turn, (more, code, path, message)) in [
            (json!({}), "REQUIRED", json!(["quantity"]), "quantity or a new price is required"),
            (json!({ "quantity": "0" }), "INVALID", json!(["quantity"]), "quantity must be above zero"),
            (
                json!({ "limitPrice": amount("1.001") }),
                "INVALID",
                json!(["limitPrice"]),
                "limitPrice must be a multiple of 0.01",
            ),
            (
                json!({ "stopPrice": amount("9.00") }),
                "INVALID",
                json!(["stopPrice"]),
                "stopPrice must be left out of a limit order",
            ),
            (
                json!({ "quantity": "20" }),
                "INSUFFICIENT_BUYING_POWER",
                json!(["quantity"]),
                "Buying power is $1000.00; this order may cost up to $1940.00.",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let refused = replace(&app, &format!("bad{turn}"), &id, more).await;
            assert_eq!(
                refused.user_error("orderReplace"),
                &json!({ "code": code, "path": path, "message": message })
            );
        }
        assert_eq!(rows(&app).await, before);
        set_user_status(&app, &ada, user::Status::Denied).await;
        let refused = replace(&app, "denied", &id, json!({ "quantity": "4" })).await;
        assert_eq!(refused.user_error("orderReplace")["code"], "KYC_NOT_APPROVED");
        set_user_status(&app, &ada, user::Status::Approved).await;
        // The new price is compared with the market at once.
        replace(&app, "r2", &id, json!({ "quantity": "2", "limitPrice": amount("100.00") }))
            .await
            .entity("orderReplace", "order");
        assert_eq!(buying_power(&app, &ada).await, "800.00");
        due(&app).await;
        assert_eq!(state(&app, &id).await, ["FILLED", "2", "100.00"]);
        let late = replace(&app, "late", &id, json!({ "quantity": "9" })).await;
        assert_eq!(
            late.user_error("orderReplace"),
            &json!({ "code": "NOT_REPLACEABLE", "path": ["orderId"], "message": "The order has already ended." })
        );
        let sale = routed(
            &app,
            input(&ada, "s", "SELL", "1", json!({ "type": "LIMIT", "limitPrice": amount("150.00") })),
        )
        .await;
        replace(&app, "r3", &sale, json!({ "quantity": "2" })).await.entity("orderReplace", "order");
        let many = replace(&app, "r4", &sale, json!({ "quantity": "2.5" })).await;
        assert_eq!(many.user_error("orderReplace")["message"], "2 VTI can be sold; this order is for 2.5.");
        audited(&app).await;
    }
}

async fn set_user_status(app: &TestApp, customer: &Customer, status: user::Status) {
    let tx = app.app.db.write().await.unwrap();
    let id: Uuid = customer.user_id.parse().unwrap();
    let row = user::ActiveModel { id: Set(id), status: Set(status), ..Default::default() };
    user::Entity::update(row).exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_says_what_an_order_would_do_and_changes_nothing() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "100.00", "100.10").await;
        let before = rows(&app).await;
        let preview = async |more: Value| {
            let mut input = json!({ "accountId": ada.account_id, "symbol": "vti", "side": "BUY" });
            for (field, value) in more.as_object().unwrap() {
                input[field] = value.clone();
            }
            app.gql(PREVIEW, json!({ "input": input })).await.data()["orderPreview"].clone()
        };
        assert_eq!(
            preview(json!({ "quantity": "3" })).await,
            json!({ "estimate": { "side": "BUY", "quantity": "3", "price": amount("100.10"), "amount": amount("300.30"),
                "heldCash": amount("309.31"), "heldShares": "0", "buyingPower": amount("690.69") }, "userErrors": [] })
        );
        let limit = preview(json!({ "quantity": "3", "type": "LIMIT", "limitPrice": amount("90.00") })).await;
        assert_eq!(
            json!([limit["estimate"]["price"], limit["estimate"]["heldCash"]]),
            json!([amount("90.00"), amount("270.00")])
        );
        assert_eq!(
            preview(json!({ "quantity": "10" })).await,
            json!({ "estimate": null, "userErrors": [{ "code": "INSUFFICIENT_BUYING_POWER", "path": ["quantity"],
                "message": "Buying power is $1000.00; this order may cost up to $1031.03." }] })
        );
        assert_eq!(preview(json!({})).await["userErrors"][0]["code"], "REQUIRED");
        assert_eq!(rows(&app).await, before);

        // Orders by amount: what the amount is worth, rounded down to four decimals.
        quote(&app, "29.00", "30.00").await;
        let mut by_amount = ada.order("n", "BUY", "VTI", "1");
        by_amount.as_object_mut().unwrap().remove("quantity");
        by_amount["notional"] = amount("100.00");
        let id = place(&app, by_amount).await;
        assert_eq!(buying_power(&app, &ada).await, "900.00");
        due(&app).await;
        let order = facts(&app, &id).await;
        assert_eq!(
            json!([order["status"], order["notional"], order["quantity"], order["filledQuantity"]]),
            json!(["FILLED", amount("100.00"), "3.3333", "3.3333"])
        );
        let sale = preview(json!({ "side": "SELL", "notional": amount("29.00") })).await;
        assert_eq!(
            json!([sale["estimate"]["quantity"], sale["estimate"]["heldShares"], sale["estimate"]["amount"]]),
            json!(["1", "1", amount("29.00")])
        );
        audited(&app).await;
    }
}

/// Applies an execution of a venue in a transaction of its own.
async fn report(
    app: &TestApp,
    order_id: &str,
    id: &str,
    quantity: &str,
    price: &str,
) -> domain::Result<Applied> {
    let tx = app.app.db.write().await.unwrap();
    let partner: partner::Model = clock::partner(&tx, app.partner.id).await.unwrap();
    let ctx = CommandContext {
        app: &app.app,
        tx: &tx,
        partner: &partner,
        access_scope: AccessScope::all_of(partner.id),
        actor_id: None,
        now: clock::now_of(&partner),
    };
    let execution = Execution {
        id: id.to_owned(),
        quantity: quantity.parse().unwrap(),
        price: price.parse().unwrap(),
        explanation: Explanation { rule: Rule::BarLimit, quote: None, bar: None },
    };
    let kind = ReportKind::Fill(execution);
    let applied = executions::apply(&ctx, Report { order_id: order_id.parse().unwrap(), kind }).await?;
    tx.commit().await.unwrap();
    Ok(applied)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_are_applied_once_in_any_order() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "19.00", "20.00").await;
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("10.00") });
        let id = routed(&app, input(&ada, "l", "BUY", "10", limit.clone())).await;
        assert_eq!(buying_power(&app, &ada).await, "900.00");
        assert_eq!(report(&app, &id, "e3", "3", "10.00").await.unwrap(), Applied::Yes);
        assert_eq!(buying_power(&app, &ada).await, "900.00");
        assert_eq!(report(&app, &id, "e1", "2", "9.00").await.unwrap(), Applied::Yes);
        assert_eq!(buying_power(&app, &ada).await, "902.00");
        assert_eq!(report(&app, &id, "e3", "3", "10.00").await.unwrap(), Applied::Duplicate);
        assert_eq!(state(&app, &id).await, ["PARTIALLY_FILLED", "5", "9.60"]);
        assert!(report(&app, &id, "e4", "5.0001", "10.00").await.is_err());
        assert_eq!(report(&app, &id, "e2", "5", "10.00").await.unwrap(), Applied::Yes);
        assert_eq!(state(&app, &id).await, ["FILLED", "10", "9.80"]);
        assert_eq!(report(&app, &id, "e1", "2", "9.00").await.unwrap(), Applied::Duplicate);
        assert_eq!(report(&app, &id, "e5", "1", "9.00").await.unwrap(), Applied::Ended);
        assert_eq!(state(&app, &id).await, ["FILLED", "10", "9.80"]);
        assert_eq!(buying_power(&app, &ada).await, "902.00");

        let events = event::Entity::find()
            .filter(event::Column::StreamId.eq(id.parse::<Uuid>().unwrap()))
            .order_by_asc(event::Column::StreamVersion)
            .all(&app.app.db.read)
            .await
            .unwrap();
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "order.accepted",
                "order.new",
                "order.partially_filled",
                "order.partially_filled",
                "order.filled"
            ]
        );
        let payload: Value = serde_json::from_str(&events[3].payload).unwrap();
        assert_eq!(
            json!([
                payload["status"],
                payload["filled_quantity"],
                payload["price"],
                payload["order"]["symbol"],
                payload["order"]["quantity"],
                payload["order"]["limit_price"],
                payload["order"]["filled_average_price"],
                payload["order"]["type"],
                payload["order"]["asset_class"]
            ]),
            json!(["partially_filled", "5", "9.00", "VTI", "10", "10.00", "9.60", "limit", "us_equity"])
        );

        // A cancellation keeps the fills; a report that comes after it changes nothing.
        let id = routed(&app, input(&ada, "m", "BUY", "10", limit)).await;
        assert_eq!(report(&app, &id, "f1", "4", "9.99").await.unwrap(), Applied::Yes);
        cancel(&app, "c", &id).await.entity("orderCancel", "order");
        assert_eq!(report(&app, &id, "f2", "6", "10.00").await.unwrap(), Applied::Ended);
        assert_eq!(state(&app, &id).await, ["CANCELED", "4", "9.99"]);
        audited(&app).await;
    }
}

/// Returns these fields of each row of a list of an account, newest first.
async fn listed(app: &TestApp, customer: &Customer, list: &str, fields: &str) -> Value {
    let query =
        format!("query($id: ID!) {{ account(id: $id) {{ {list} {{ edges {{ node {{ {fields} }} }} }} }} }}");
    let answer = app.gql(&query, json!({ "id": customer.account_id })).await;
    let edges = answer.data()["account"][list]["edges"].as_array().unwrap();
    edges.iter().map(|edge| edge["node"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fill_of_an_order_opens_or_closes_tax_lots() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "8.00", "12.00").await;
        let limit = json!({ "type": "LIMIT", "limitPrice": amount("10.00"), "timeInForce": "GTC" });
        let id = routed(&app, input(&ada, "l", "BUY", "10", limit)).await;
        report(&app, &id, "e1", "4", "10.00").await.unwrap();
        report(&app, &id, "e2", "3", "9.00").await.unwrap();
        let lot = |quantity: &str, basis: &str, moved: &str| {
            let [basis, moved] = [basis, moved].map(amount);
            json!({ "quantity": quantity, "costBasis": basis, "washSaleAdjustment": moved })
        };
        let lots = async || {
            listed(&app, &ada, "taxLots", "quantity costBasis { amount } washSaleAdjustment { amount }").await
        };
        assert_eq!(lots().await, json!([lot("3", "27.00", "0.00"), lot("4", "40.00", "0.00")]));

        // The sale closes the first lot and a part of the second. What the order bought before replaces nothing.
        let sale = routed(&app, ada.order("s", "SELL", "VTI", "5")).await;
        assert_eq!(state(&app, &sale).await, ["FILLED", "5", "8.00"]);
        let gain = |quantity: &str, disallowed: &str, gain: &str| {
            let [disallowed, gain] = [disallowed, gain].map(amount);
            json!({ "quantity": quantity, "disallowedLoss": disallowed, "gain": gain })
        };
        let gains = async || {
            listed(&app, &ada, "realizedGains", "quantity disallowedLoss { amount } gain { amount }").await
        };
        assert_eq!(gains().await, json!([gain("1", "0.00", "-1.00"), gain("4", "0.00", "-8.00")]));

        // What it buys afterwards replaces three of the four shares that were sold first.
        app.advance_to("2026-07-10T16:01:00Z").await;
        report(&app, &id, "e3", "3", "9.00").await.unwrap();
        assert_eq!(state(&app, &id).await, ["FILLED", "10", "9.40"]);
        assert_eq!(gains().await, json!([gain("1", "0.00", "-1.00"), gain("4", "6.00", "-2.00")]));
        assert_eq!(lots().await, json!([lot("3", "33.00", "6.00"), lot("2", "18.00", "0.00")]));
        assert_eq!(
            listed(&app, &ada, "positions", "quantity costBasis { amount }").await,
            json!([{ "quantity": "5", "costBasis": amount("51.00") }])
        );
        audited(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn day_change_counts_from_the_last_bar_of_the_previous_session() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "5000.00").await;
        let id = routed(&app, ada.order("b", "BUY", "VTI", "2")).await;
        assert_eq!(state(&app, &id).await[0], "FILLED");
        app.advance_to("2026-07-10T19:59:00Z").await;
        push(&app, "2026-07-10T19:59:00Z", ["109.00", "110.00", "109.00", "110.00"], "300").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        push(&app, "2026-07-13T14:30:00Z", ["112.00", "115.00", "112.00", "115.00"], "300").await;
        let change = async || listed(&app, &ada, "positions", "dayChange { amount }").await;
        assert_eq!(change().await, json!([{ "dayChange": amount("10.00") }]));
        // A price that is set today does not change the close of the day before.
        quote(&app, "120.00", "122.00").await;
        assert_eq!(change().await, json!([{ "dayChange": amount("22.00") }]));
        // The next day counts from that price, also when others are set.
        app.advance_to("2026-07-14T15:00:00Z").await;
        assert_eq!(change().await, json!([{ "dayChange": amount("0.00") }]));
        for (bid, ask, expected) in [("120.00", "122.00", "0.00"), ("125.00", "127.00", "10.00")] {
            quote(&app, bid, ask).await;
            assert_eq!(change().await, json!([{ "dayChange": amount(expected) }]));
        }
        // After two sessions without another price, the newest counts.
        app.advance_to("2026-07-16T15:00:00Z").await;
        quote(&app, "119.00", "121.00").await;
        assert_eq!(change().await, json!([{ "dayChange": amount("-12.00") }]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_restricted_to_settled_cash_holds_no_proceeds_for_a_replaced_order() {
    for app in each().await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        quote(&app, "100.00", "100.00").await;
        routed(&app, ada.order("b", "BUY", "VTI", "5")).await;
        routed(&app, ada.order("s", "SELL", "VTI", "5")).await;
        assert_eq!(buying_power(&app, &ada).await, "1000.00");
        let tx = app.app.db.write().await.unwrap();
        let restricted = account::ActiveModel {
            id: Set(ada.account_id.parse().unwrap()),
            settled_cash_only_until: Set(Some("2026-10-08T16:00:00Z".parse().unwrap())),
            ..Default::default()
        };
        account::Entity::update(restricted).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let mut order = ada.order("l", "BUY", "VTI", "8");
        order["type"] = json!("LIMIT");
        order["limitPrice"] = amount("50.00");
        let mut previewed = order.clone();
        previewed.as_object_mut().unwrap().remove("idempotencyKey");
        let preview = app.gql(PREVIEW, json!({ "input": previewed })).await;
        assert_eq!(preview.data()["orderPreview"]["estimate"]["buyingPower"], amount("100.00"));
        let id = routed(&app, order).await;
        let refused = replace(&app, "r1", &id, json!({ "quantity": "11" })).await;
        assert_eq!(
            refused.user_error("orderReplace"),
            &json!({ "code": "INSUFFICIENT_BUYING_POWER", "path": ["quantity"],
                "message": "Buying power is $500.00; this order may cost up to $550.00. The account is restricted \
                    to settled cash." })
        );
        replace(&app, "r2", &id, json!({ "quantity": "10" })).await.entity("orderReplace", "order");
        assert_eq!(buying_power(&app, &ada).await, "0.00");
        audited(&app).await;
    }
}

on_both! {
    /// Each order ends exactly once, whoever is first.
    async fn fills_and_cancellations_at_the_same_time_end_in_one_final_state(app: TestApp) {
        let ada = app.funded_customer("Ada", "10000.00").await;
        app.quote("VTI", "99.00", "100.00").await;
        let mut ids = Vec::new();
        for turn in 0..50 {
            let limit = json!({ "type": "LIMIT", "limitPrice": amount("90.00") });
            ids.push(place(&app, input(&ada, &format!("o{turn}"), "BUY", "1", limit)).await);
        }
        while order::Entity::find()
            .filter(order::Column::Status.eq(order::Status::Accepted))
            .one(&app.app.db.read)
            .await
            .unwrap()
            .is_some()
        {
            scheduler::run_due_for(&app.app, app.partner.id).await.unwrap();
        }
        let cancels = join_all(ids.iter().enumerate().map(async |(turn, id)| {
            cancel(&app, &format!("c{turn}"), id).await.data()["orderCancel"]["userErrors"] == json!([])
        }));
        let (canceled, ()) = futures_util::future::join(cancels, app.quote("VTI", "89.00", "90.00")).await;
        let mut filled = 0;
        for (id, canceled) in ids.iter().zip(canceled) {
            let order = app.ended(id).await;
            assert_eq!(order["status"], if canceled { "CANCELED" } else { "FILLED" });
            filled += i64::from(!canceled);
        }
        let spent = 10_000 - filled * 90;
        assert_eq!(buying_power(&app, &ada).await, format!("{spent}.00"));
        audited(&app).await;
    }

    async fn many_clients_trade_on_one_account_without_deadlock(app: TestApp) {
        let ada = app.funded_customer("Ada", "10000.00").await;
        app.quote("VTI", "99.00", "100.00").await;
        let placed = join_all((0..64).map(async |turn| {
            let more = if turn % 2 == 0 {
                json!({})
            } else {
                json!({ "type": "LIMIT", "limitPrice": amount("90.00") })
            };
            let id = place(&app, input(&ada, &format!("o{turn}"), "BUY", "1", more)).await;
            if turn % 4 == 1 {
                let replaced = replace(&app, &format!("r{turn}"), &id, json!({ "quantity": "2" })).await;
                replaced.entity("orderReplace", "order");
            }
            if turn % 2 == 1 {
                cancel(&app, &format!("c{turn}"), &id).await.entity("orderCancel", "order");
            }
            id
        }))
        .await;
        // One after the other: 64 clients that ask again and again would take the time that the orders need.
        for id in placed {
            app.ended(&id).await;
        }
        assert_eq!(buying_power(&app, &ada).await, "6800.00");
        audited(&app).await;
        assert_eq!(app.deadlocks().await, 0);
    }

    /// An order that is placed over one API shows the same facts in the other.
    async fn each_type_of_order_is_the_same_in_both_apis(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "99.00", "100.00").await;
        for (kind, limit, stop) in [
            ("limit", Some("90.00"), None),
            ("stop", None, Some("110.00")),
            ("stop_limit", Some("111.00"), Some("110.00")),
        ] {
            let mut body = json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "1", "side": "buy",
                "type": kind });
            for (field, price) in [("limit_price", limit), ("stop_price", stop)] {
                if let Some(price) = price {
                    body[field] = json!(price);
                }
            }
            let placed = app.post("/v1/orders", body).await;
            assert_eq!((placed.status, &placed.body["status"]), (200, &json!("accepted")), "{}", placed.body);
            let id = placed.body["id"].as_str().unwrap();
            let order = facts(&app, id).await;
            let price = |price: Option<&str>| price.map_or(Value::Null, amount);
            assert_eq!(
                json!([order["type"], order["limitPrice"], order["stopPrice"], order["timeInForce"]]),
                json!([kind.to_uppercase(), price(limit), price(stop), "DAY"])
            );
            let rest = app.get(&format!("/v1/orders/{id}")).await.body;
            assert_eq!(
                json!([rest["type"], rest["limit_price"], rest["stop_price"], rest["filled_quantity"]]),
                json!([kind, limit, stop, "0"])
            );
        }
        let open = app.get("/v1/orders").await.body;
        assert_eq!(open["data"].as_array().unwrap().len(), 3);
        assert_eq!(app.get("/v1/orders?status=closed").await.body["data"], json!([]));
        for (more, message) in [
            (json!({ "type": "limit" }), "limit_price is required"),
            (json!({ "type": "stop" }), "stop_price is required"),
            (json!({ "type": "limit", "limit_price": "9.00", "stop_price": "9.00" }),
                "stop_price must be left out of a limit order"),
            (json!({ "type": "market", "limit_price": 9.5 }), "limit_price must be left out of a market order"),
            (json!({ "type": "limit", "limit_price": 9.555 }), "limit_price must be a multiple of 0.01"),
        ] {
            let mut body = json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "1", "side": "buy" });
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            let refused = app.post("/v1/orders", body).await;
            assert_eq!((refused.status, &refused.body["error"]["message"]), (400, &json!(message)));
        }
        let unknown = app.post("/v1/orders", json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "1",
            "side": "buy", "type": "market", "time_in_force": "gtc" })).await;
        assert_eq!(unknown.status, 400);
        audited(&app).await;
    }
}
