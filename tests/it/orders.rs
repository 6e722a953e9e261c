//! Orders beyond the straight way: proceeds that have not settled, cancels, prices that run away, closed markets.

use crate::support::{Customer, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, on_both};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

async fn place(app: &TestApp, customer: &Customer, key: &str, side: &str, quantity: &str) -> String {
    let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, "VTI", quantity) })).await;
    placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

async fn traded(app: &TestApp, customer: &Customer, key: &str, side: &str, quantity: &str) {
    let id = place(app, customer, key, side, quantity).await;
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    let statement = Statement::from_string(app.app.db.backend(), format!("SELECT count(*) AS rows FROM {table}"));
    app.app.db.read.query_one_raw(statement).await.unwrap().unwrap().try_get("", "rows").unwrap()
}

on_both! {
    /// Friday: buy with settled cash, sell, and buy again with what the sale brings on Monday.
    async fn proceeds_trade_at_once_and_leave_when_they_settle(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "1030.00").await;
        traded(&app, &ada, "1", "BUY", "10").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1030.00", "30.00", "30.00"]);
        traded(&app, &ada, "2", "SELL", "10").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1030.00", "1030.00", "30.00"]);
        traded(&app, &ada, "3", "BUY", "4").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1030.00", "630.00", "0.00"]);
        app.advance_to("2026-07-13T12:29:59Z").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1030.00", "630.00", "0.00"]);
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1030.00", "630.00", "630.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_sale_takes_its_part_of_the_cost(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "2000.00").await;
        traded(&app, &ada, "1", "BUY", "3").await;
        app.quote("VTI", "200.00", "200.00").await;
        traded(&app, &ada, "2", "BUY", "1").await;
        traded(&app, &ada, "3", "SELL", "1").await;
        let query = "query($id: ID!) { account(id: $id) { positions(first: 1) { edges { node { quantity costBasis { amount } } } } } }";
        let answer = app.gql(query, json!({ "id": ada.account_id })).await;
        let held = &answer.data()["account"]["positions"]["edges"][0]["node"];
        assert_eq!(held, &json!({ "quantity": "3", "costBasis": { "amount": "375.00" } }));
    }

    async fn an_order_out_of_hours_leaves_nothing_behind(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { partner { marketHours } userErrors { code } } }";
        assert_eq!(app.gql(hours, json!({})).await.entity("sandboxMarketHoursSet", "partner")["marketHours"], "NYSE");
        app.advance_to("2026-07-10T20:00:00Z").await;
        let tables = ["orders", "ledger_hold", "event", "timer"];
        let mut before = Vec::new();
        for table in tables {
            before.push(rows(&app, table).await);
        }
        let refused = app.gql(ORDER_PLACE, json!({ "input": ada.order("late", "BUY", "VTI", "1") })).await;
        assert_eq!(refused.user_error("orderPlace"), &json!({ "code": "MARKET_CLOSED", "path": null, "message": "The market is closed." }));
        for (table, before) in tables.into_iter().zip(before) {
            assert_eq!(rows(&app, table).await, before, "{table}");
        }
        app.advance_to("2026-07-13T13:30:00Z").await;
        traded(&app, &ada, "early", "BUY", "1").await;
    }

    async fn what_is_due_happens_in_order_of_its_time(app: TestApp) {
        let ada = app.customer("Ada").await;
        for (key, amount) in [("a", "1.00"), ("b", "2.00")] {
            let deposit = app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit(key, amount) })).await;
            deposit.entity("depositCreate", "transfer");
            app.gql("mutation { sandboxClockAdvance(input: { seconds: 86400 }) { userErrors { message } } }", json!({})).await.data();
        }
        app.advance_to("2026-07-20T12:00:00Z").await;
        let mut socket = crate::support::socket::Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", "subscription { events(after: \"0\") { cursor type occurredAt } }", json!({})).await;
        let mut settled: Vec<Value> = Vec::new();
        let mut last = 0;
        while settled.len() < 2 {
            let event = socket.next().await["events"].clone();
            let cursor: i64 = event["cursor"].as_str().unwrap().parse().unwrap();
            assert_eq!(cursor, last + 1);
            last = cursor;
            if event["type"] == "deposit.settled" {
                settled.push(event["occurredAt"].clone());
            }
        }
        assert_eq!(settled, [json!("2026-07-10T12:30:00Z"), json!("2026-07-13T12:30:00Z")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_order_gives_back_what_it_held() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let id = place(&app, &ada, "1", "BUY", "2").await;
        assert_eq!(app.balance(&ada.account_id).await, ["1000.00", "794.00", "794.00"]);
        let cancel = |key: &str| json!({ "input": { "idempotencyKey": key, "orderId": id } });
        let canceled = app.gql(ORDER_CANCEL, cancel("c1")).await;
        assert_eq!(
            canceled.entity("orderCancel", "order"),
            &json!({ "id": id, "status": "CANCELED", "canceledAt": "2026-07-10T16:00:00Z" })
        );
        assert_eq!(app.balance(&ada.account_id).await, ["1000.00", "1000.00", "1000.00"]);
        let again = app.gql(ORDER_CANCEL, cancel("c2")).await;
        assert_eq!(
            again.user_error("orderCancel"),
            &json!({ "code": "NOT_CANCELABLE", "path": ["orderId"], "message": "The order has ended already." })
        );
        app.advance_to("2026-07-10T17:00:00Z").await;
        assert_eq!(app.ended(&id).await["status"], "CANCELED");
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_price_ran_away_is_rejected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let id = place(&app, &ada, "1", "BUY", "9").await;
        app.quote("VTI", "200.00", "200.00").await;
        app.advance_to("2026-07-10T17:00:00Z").await;
        let order = app.ended(&id).await;
        assert_eq!(
            (&order["status"], &order["rejectCode"], &order["failedAt"]),
            (&json!("REJECTED"), &json!("INSUFFICIENT_BUYING_POWER"), &json!("2026-07-10T16:00:00Z"))
        );
        assert_eq!(app.balance(&ada.account_id).await, ["1000.00", "1000.00", "1000.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }
}
