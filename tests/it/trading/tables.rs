//! The tables of fill rules, statuses, market hours and settlement days, row by row, over both APIs.

use crate::support::{
    Customer, DEPOSIT_CREATE, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, freeze_clock_at, on_both,
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::kernel::scheduler;
use serde_json::{Value, json};

const FACTS: &str = "query($id: ID!) { order(id: $id) { status filledQuantity filledAveragePrice { amount } filledAt \
    canceledAt expiredAt failedAt fills(first: 5) { edges { node { price { amount } settlesAt } } } } }";

const PUSH: &str =
    "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { userErrors { message } } }";

const BY_BARS: &str =
    "mutation { partnerSettingsUpdate(input: { patch: { fillMode: BARS } }) { userErrors { message } } }";

fn amount(text: &str) -> Value {
    json!({ "amount": text })
}

/// What an order asks for: side, type, stop price and limit price.
type Terms = (&'static str, &'static str, Option<&'static str>, Option<&'static str>);

async fn due(app: &TestApp) {
    while scheduler::run_due_for(&app.app, app.partner.id).await.unwrap() {}
}

async fn over_graphql(app: &TestApp, of: &Customer, key: &str, terms: Terms, quantity: &str) -> String {
    let (side, kind, stop, limit) = terms;
    let mut input = of.order(key, side, "VTI", quantity);
    input["type"] = json!(kind);
    for (field, price) in [("stopPrice", stop), ("limitPrice", limit)] {
        if let Some(price) = price {
            input[field] = amount(price);
        }
    }
    let placed = app.gql(ORDER_PLACE, json!({ "input": input })).await;
    placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

async fn over_rest(app: &TestApp, of: &Customer, terms: Terms, quantity: &str) -> String {
    let (side, kind, stop, limit) = terms;
    let mut body = json!({ "account_id": of.account_id, "symbol": "VTI", "side": side.to_lowercase(),
        "type": kind.to_lowercase(), "quantity": quantity });
    for (field, price) in [("stop_price", stop), ("limit_price", limit)] {
        if let Some(price) = price {
            body[field] = json!(price);
        }
    }
    let placed = app.post("/v1/orders", body).await;
    assert_eq!(placed.status, 200, "{}", placed.body);
    placed.body["id"].as_str().unwrap().to_owned()
}

/// Returns status, filled quantity and average price, which both APIs must show alike, and which time of the end is
/// set.
async fn seen(app: &TestApp, id: &str) -> [String; 4] {
    let facts = app.gql(FACTS, json!({ "id": id })).await.data()["order"].clone();
    let rest = app.get(&format!("/v1/orders/{id}")).await.body;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // The documented API has no word for expired orders.
    let status = text(&facts["status"]).replace("EXPIRED", "CANCELED").to_lowercase();
    assert_eq!(
        [&rest["status"], &rest["filled_quantity"], &rest["filled_average_price"]],
        [&json!(status), &facts["filledQuantity"], &facts["filledAveragePrice"]["amount"]],
        "{facts} {rest}"
    );
    let mut ends = Vec::new();
    for (field, column) in [
        ("filledAt", "filled_at"),
        ("canceledAt", "canceled_at"),
        ("expiredAt", "expired_at"),
        ("failedAt", "failed_at"),
    ] {
        assert_eq!(facts[field], rest[column]);
        if !facts[field].is_null() {
            ends.push(field);
        }
    }
    [
        text(&facts["status"]),
        text(&facts["filledQuantity"]),
        text(&facts["filledAveragePrice"]["amount"]),
        ends.join(" "),
    ]
}

/// Returns a customer with cash and 100 shares that were bought for 100 dollars each.
async fn trader(app: &TestApp) -> Customer {
    let ada = app.funded_customer("Ada", "100000.00").await;
    app.quote("VTI", "99.00", "100.00").await;
    let id = over_graphql(app, &ada, "shares", ("BUY", "MARKET", None, None), "100").await;
    due(app).await;
    assert_eq!(seen(app, &id).await, ["FILLED", "100", "100.00", "filledAt"]);
    ada
}

async fn each() -> Vec<TestApp> {
    TestApp::each_with(Options { without_timers: true, ..Options::default() }).await
}

/// Terms, the quotes that follow 99.00 and 100.00, and the price after the last of them. The order is open until then.
const BY_QUOTES: &[(Terms, &[[&str; 2]], &str)] = &[
    (("BUY", "MARKET", None, None), &[], "100.00"),
    (("SELL", "MARKET", None, None), &[], "99.00"),
    (("BUY", "LIMIT", None, Some("105.00")), &[], "100.00"),
    (("BUY", "LIMIT", None, Some("100.00")), &[], "100.00"),
    (("BUY", "LIMIT", None, Some("98.00")), &[["97.00", "98.01"], ["96.00", "97.50"]], "97.50"),
    (("SELL", "LIMIT", None, Some("95.00")), &[], "99.00"),
    (("SELL", "LIMIT", None, Some("99.00")), &[], "99.00"),
    (("SELL", "LIMIT", None, Some("101.00")), &[["100.99", "101.00"], ["101.50", "102.00"]], "101.50"),
    (("BUY", "STOP", Some("103.00"), None), &[["101.00", "102.99"], ["103.00", "104.00"]], "104.00"),
    (("SELL", "STOP", Some("96.00"), None), &[["96.01", "97.00"], ["95.00", "96.00"]], "95.00"),
    (("BUY", "STOP_LIMIT", Some("103.00"), Some("105.00")), &[["103.00", "104.00"]], "104.00"),
    // Triggered above its limit, it waits as a limit order.
    (
        ("BUY", "STOP_LIMIT", Some("103.00"), Some("103.50")),
        &[["103.00", "104.00"], ["101.00", "102.00"]],
        "102.00",
    ),
    (("SELL", "STOP_LIMIT", Some("96.00"), Some("95.00")), &[["95.50", "96.50"]], "95.50"),
    (
        ("SELL", "STOP_LIMIT", Some("96.00"), Some("95.80")),
        &[["95.00", "96.00"], ["97.00", "98.00"]],
        "97.00",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_the_fill_rules_by_quotes() {
    for app in each().await {
        let ada = trader(&app).await;
        for (row, (terms, quotes, price)) in BY_QUOTES.iter().enumerate() {
            app.quote("VTI", "99.00", "100.00").await;
            due(&app).await;
            let orders = [
                over_graphql(&app, &ada, &format!("row-{row}"), *terms, "1").await,
                over_rest(&app, &ada, *terms, "1").await,
            ];
            due(&app).await;
            for [bid, ask] in *quotes {
                for id in &orders {
                    assert_eq!(seen(&app, id).await, ["NEW", "0", "", ""], "{terms:?} before {bid} {ask}");
                }
                app.quote("VTI", bid, ask).await;
                due(&app).await;
            }
            for id in &orders {
                assert_eq!(seen(&app, id).await, ["FILLED", "1", price, "filledAt"], "{terms:?}");
            }
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Open, high, low and close.
type Prices = [&'static str; 4];

const BAR: Prices = ["100.00", "105.00", "95.00", "101.00"];

/// Terms, the bars that follow, and the price in the last of them. The order is open until then.
const BY_BARS_OF_A_MINUTE: &[(Terms, &[Prices], &str)] = &[
    (("BUY", "MARKET", None, None), &[BAR], "100.00"),
    (("SELL", "MARKET", None, None), &[BAR], "100.00"),
    (("BUY", "LIMIT", None, Some("94.99")), &[BAR, ["96.00", "96.00", "94.00", "95.00"]], "94.99"),
    (("BUY", "LIMIT", None, Some("98.00")), &[BAR], "98.00"),
    (("BUY", "LIMIT", None, Some("101.00")), &[BAR], "100.00"),
    (("SELL", "LIMIT", None, Some("105.01")), &[BAR, ["104.00", "106.00", "104.00", "105.00"]], "105.01"),
    (("SELL", "LIMIT", None, Some("103.00")), &[BAR], "103.00"),
    (("SELL", "LIMIT", None, Some("99.00")), &[BAR], "100.00"),
    (("BUY", "STOP", Some("105.01"), None), &[BAR, ["107.00", "108.00", "106.00", "106.00"]], "107.00"),
    (("BUY", "STOP", Some("103.00"), None), &[BAR], "103.00"),
    (("BUY", "STOP", Some("99.00"), None), &[BAR], "100.00"),
    (("SELL", "STOP", Some("94.99"), None), &[BAR, ["93.00", "94.00", "92.00", "94.00"]], "93.00"),
    (("SELL", "STOP", Some("97.00"), None), &[BAR], "97.00"),
    (("SELL", "STOP", Some("101.00"), None), &[BAR], "100.00"),
    (("BUY", "STOP_LIMIT", Some("99.00"), Some("101.00")), &[BAR], "100.00"),
    (("BUY", "STOP_LIMIT", Some("99.00"), Some("98.00")), &[BAR], "98.00"),
    (("BUY", "STOP_LIMIT", Some("103.00"), Some("104.00")), &[BAR], "103.00"),
    // Triggered within the bar above its limit: only later bars fill it.
    (
        ("BUY", "STOP_LIMIT", Some("103.00"), Some("102.00")),
        &[BAR, ["101.00", "103.00", "99.00", "100.00"]],
        "101.00",
    ),
    (("SELL", "STOP_LIMIT", Some("101.00"), Some("99.00")), &[BAR], "100.00"),
    (("SELL", "STOP_LIMIT", Some("101.00"), Some("103.00")), &[BAR], "103.00"),
    (("SELL", "STOP_LIMIT", Some("97.00"), Some("96.00")), &[BAR], "97.00"),
    (
        ("SELL", "STOP_LIMIT", Some("97.00"), Some("98.00")),
        &[BAR, ["99.00", "101.00", "95.00", "100.00"]],
        "99.00",
    ),
];

/// Pushes the bar of this minute with a volume of a thousand shares, and advances the clock past it.
async fn push(app: &TestApp, minute: &mut DateTime<Utc>, [open, high, low, close]: Prices, volume: &str) {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let input = json!({ "symbol": "VTI", "startsAt": text(*minute), "open": amount(open), "high": amount(high),
        "low": amount(low), "close": amount(close), "volume": volume });
    let pushed = app.gql(PUSH, json!({ "input": input })).await;
    assert_eq!(pushed.data()["sandboxBarPush"]["userErrors"], json!([]));
    due(app).await;
    *minute += TimeDelta::minutes(1);
    app.advance_to(&text(*minute)).await;
}

async fn by_bars(app: &TestApp) -> DateTime<Utc> {
    let set = app.gql(BY_BARS, json!({})).await;
    assert_eq!(set.data()["partnerSettingsUpdate"]["userErrors"], json!([]));
    "2026-07-10T16:00:00Z".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_the_fill_rules_by_bars() {
    for app in each().await {
        let ada = trader(&app).await;
        let mut minute = by_bars(&app).await;
        for (row, (terms, bars, price)) in BY_BARS_OF_A_MINUTE.iter().enumerate() {
            let orders = [
                over_graphql(&app, &ada, &format!("row-{row}"), *terms, "1").await,
                over_rest(&app, &ada, *terms, "1").await,
            ];
            due(&app).await;
            for bar in *bars {
                for id in &orders {
                    assert_eq!(seen(&app, id).await, ["NEW", "0", "", ""], "{terms:?} before {bar:?}");
                }
                push(&app, &mut minute, *bar, "1000").await;
            }
            for id in &orders {
                assert_eq!(seen(&app, id).await, ["FILLED", "1", price, "filledAt"], "{terms:?}");
            }
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_status_shows_in_both_apis() {
    for app in each().await {
        let ada = trader(&app).await;
        let cancel = async |key: &str, id: &str| {
            let input = json!({ "idempotencyKey": format!("{key}-{id}"), "orderId": id });
            app.gql(ORDER_CANCEL, json!({ "input": input })).await
        };
        let limit: Terms = ("BUY", "LIMIT", None, Some("100.00"));
        let accepted = over_rest(&app, &ada, limit, "1").await;
        assert_eq!(seen(&app, &accepted).await, ["ACCEPTED", "0", "", ""]);
        let canceled = app.rest("DELETE", &format!("/v1/orders/{accepted}"));
        let canceled = crate::support::send(canceled).await;
        assert_eq!(
            (canceled.status, canceled.body),
            (200, json!({ "id": accepted, "object": "order", "canceled": true }))
        );
        assert_eq!(seen(&app, &accepted).await, ["CANCELED", "0", "", "canceledAt"]);
        // The price rises between the order and its routing, by more than the buffer.
        let rejected = over_graphql(&app, &ada, "all", ("BUY", "MARKET", None, None), "870").await;
        let set = "UPDATE quote_override SET bid = 2000000, ask = 2000000";
        let tx = app.app.db.write().await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&tx, set).await.unwrap();
        tx.commit().await.unwrap();
        due(&app).await;
        assert_eq!(seen(&app, &rejected).await, ["REJECTED", "0", "", "failedAt"]);

        let mut minute = by_bars(&app).await;
        let flat = |price| [price; 4];
        let [full, part, late, never] = [
            over_rest(&app, &ada, limit, "30").await,
            over_graphql(&app, &ada, "part", limit, "50").await,
            over_rest(&app, &ada, limit, "60").await,
            over_graphql(&app, &ada, "never", ("BUY", "LIMIT", None, Some("1.00")), "1").await,
        ];
        due(&app).await;
        let all = [&full, &part, &late, &never];
        for id in all {
            assert_eq!(seen(&app, id).await, ["NEW", "0", "", ""]);
        }
        push(&app, &mut minute, flat("90.00"), "100").await;
        for id in [&full, &part, &late] {
            assert_eq!(seen(&app, id).await, ["PARTIALLY_FILLED", "10", "90.00", ""]);
        }
        push(&app, &mut minute, flat("99.00"), "50").await;
        for id in [&full, &part, &late] {
            assert_eq!(seen(&app, id).await, ["PARTIALLY_FILLED", "15", "93.00", ""]);
        }
        cancel("cancel", &part).await.entity("orderCancel", "order");
        push(&app, &mut minute, flat("100.00"), "150").await;
        let open = app.get("/v1/orders").await.body["data"].clone();
        let ids = |list: &Value| {
            let rows = list.as_array().unwrap().iter();
            rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&open), [never.clone(), late.clone()]);
        app.advance_to("2026-07-10T20:00:00Z").await;
        for (id, row) in [
            (&full, ["FILLED", "30", "96.50", "filledAt"]),
            (&part, ["CANCELED", "15", "93.00", "canceledAt"]),
            (&late, ["EXPIRED", "30", "96.50", "expiredAt"]),
            (&never, ["EXPIRED", "0", "", "expiredAt"]),
        ] {
            assert_eq!(seen(&app, id).await, row);
            // An order that has ended stays as it is.
            assert_eq!(cancel("late", id).await.user_error("orderCancel")["code"], "NOT_CANCELABLE");
            let late = crate::support::send(app.rest("DELETE", &format!("/v1/orders/{id}"))).await;
            assert_eq!(
                (late.status, &late.body["error"]["message"]),
                (402, &json!("The order has already ended."))
            );
            assert_eq!(seen(&app, id).await, row);
        }
        let closed = app.get("/v1/orders?status=closed&limit=100").await.body["data"].clone();
        let all = app.get("/v1/orders?status=all&limit=100").await.body["data"].clone();
        assert_eq!(ids(&closed), ids(&all));
        assert_eq!(ids(&closed).len(), 7);
        assert_eq!(app.get("/v1/orders").await.body["data"], json!([]));
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Instants around openings and closes in New York, and whether an order is accepted then.
const HOURS: &[(&str, bool)] = &[
    ("2026-07-02T13:29:59Z", false),
    ("2026-07-02T13:30:00Z", true),
    ("2026-07-02T19:59:59Z", true),
    ("2026-07-02T20:00:00Z", false),
    // Independence Day is observed on Friday.
    ("2026-07-03T15:00:00Z", false),
    ("2026-07-04T15:00:00Z", false),
    ("2026-10-12T15:00:00Z", true),
    // Winter time.
    ("2026-11-11T14:29:59Z", false),
    ("2026-11-11T14:30:00Z", true),
    ("2026-11-11T20:59:59Z", true),
    ("2026-11-26T15:00:00Z", false),
    // Early closes.
    ("2026-11-27T17:59:59Z", true),
    ("2026-11-27T18:00:00Z", false),
    ("2026-12-24T17:59:59Z", true),
    ("2026-12-24T18:00:00Z", false),
    ("2027-01-01T15:00:00Z", false),
    ("2027-03-26T15:00:00Z", false),
    ("2027-06-18T15:00:00Z", false),
    ("2027-11-26T18:00:00Z", false),
    ("2027-12-24T15:00:00Z", false),
    ("2027-12-31T15:00:00Z", true),
];

/// Trade dates, and settlement dates with the time at which the trade settles.
const SETTLEMENTS: &[(&str, &str)] = &[
    ("2026-07-02T15:00:00Z", "2026-07-06T12:30:00Z"),
    ("2026-07-10T15:00:00Z", "2026-07-13T12:30:00Z"),
    // Banks are closed on Columbus Day and Veterans Day, the exchange is open.
    ("2026-10-09T15:00:00Z", "2026-10-13T12:30:00Z"),
    ("2026-10-12T15:00:00Z", "2026-10-13T12:30:00Z"),
    ("2026-11-10T16:00:00Z", "2026-11-12T13:30:00Z"),
    ("2026-11-11T16:00:00Z", "2026-11-12T13:30:00Z"),
    ("2026-11-25T16:00:00Z", "2026-11-27T13:30:00Z"),
    ("2027-12-23T16:00:00Z", "2027-12-27T13:30:00Z"),
];

/// Lets the partner's clock begin in June, and deposits ten thousand dollars.
async fn since_june(app: &TestApp) -> Customer {
    freeze_clock_at(&app.app, app.partner.clone(), "2026-06-29T16:00:00Z").await;
    let ada = app.customer("Ada").await;
    let deposit = json!({ "input": ada.deposit("d", "10000.00") });
    app.gql(DEPOSIT_CREATE, deposit).await.entity("depositCreate", "transfer");
    app.advance_to("2026-06-30T16:00:00Z").await;
    ada
}

on_both! {
    async fn orders_are_accepted_during_the_sessions_only(app: TestApp) {
        let ada = since_june(&app).await;
        app.quote("VTI", "1.00", "1.00").await;
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        assert_eq!(app.gql(hours, json!({})).await.data()["sandboxMarketHoursSet"]["userErrors"], json!([]));
        for (at, is_open) in HOURS {
            app.advance_to(at).await;
            let input = json!({ "input": ada.order(at, "BUY", "VTI", "1") });
            let placed = app.gql(ORDER_PLACE, input).await;
            let body = json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "1", "side": "buy",
                "type": "market" });
            let rest = app.post("/v1/orders", body).await;
            if *is_open {
                placed.entity("orderPlace", "order");
                assert_eq!((rest.status, &rest.body["submitted_at"]), (200, &json!(at)));
            } else {
                let error = placed.user_error("orderPlace");
                assert_eq!(error["code"], "MARKET_CLOSED", "{at}");
                assert_eq!((rest.status, &rest.body["error"]["message"]), (402, &error["message"]), "{at}");
            }
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn each_trade_settles_on_its_day(app: TestApp) {
        let ada = since_june(&app).await;
        app.quote("VTI", "100.00", "100.00").await;
        let bought = over_graphql(&app, &ada, "shares", ("BUY", "MARKET", None, None), "20").await;
        assert_eq!(app.ended(&bought).await["status"], "FILLED");
        app.advance_to("2026-07-01T16:00:00Z").await;
        let mut cash = 8_000;
        for (row, (traded_at, settles_at)) in SETTLEMENTS.iter().enumerate() {
            app.advance_to(traded_at).await;
            let sale = ("SELL", "MARKET", None, None);
            let id = if row % 2 == 0 {
                over_graphql(&app, &ada, traded_at, sale, "1").await
            } else {
                over_rest(&app, &ada, sale, "1").await
            };
            assert_eq!(app.ended(&id).await["status"], "FILLED");
            let fills = app.gql(FACTS, json!({ "id": id })).await.data()["order"]["fills"]["edges"].clone();
            assert_eq!(fills[0]["node"]["settlesAt"], json!(settles_at), "{traded_at}");
            // The proceeds can be spent at once, and be withdrawn once they have settled.
            let settles: DateTime<Utc> = settles_at.parse().unwrap();
            let next_settles = SETTLEMENTS.get(row + 1).map(|(_, settles_at)| *settles_at);
            let before = settles - TimeDelta::seconds(1);
            let dollars = |dollars: i32| format!("{dollars}.00");
            if next_settles == Some(*settles_at) {
                // Two trade dates with one settlement date: the next row looks at both.
                assert_eq!(app.balance(&ada.account_id).await[1..], [dollars(cash + 100), dollars(cash)]);
                cash += 100;
                continue;
            }
            let waiting = if row > 0 && SETTLEMENTS[row - 1].1 == *settles_at { 200 } else { 100 };
            let settled = cash + 100 - waiting;
            app.advance_to(&before.to_rfc3339_opts(SecondsFormat::Secs, true)).await;
            assert_eq!(app.balance(&ada.account_id).await, [dollars(10_000), dollars(cash + 100), dollars(settled)]);
            app.advance_to(settles_at).await;
            cash += 100;
            assert_eq!(app.balance(&ada.account_id).await, [dollars(10_000), dollars(cash), dollars(cash)]);
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}
