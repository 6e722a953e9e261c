//! Orders: holds, fills, cancellation and settlement, checked to the cent.

use crate::support::{
    Customer, DEPOSIT_CREATE, ORDER_CANCEL, ORDER_PLACE, Options, THURSDAY, TestApp, freeze_clock_at, on_both,
};
use entity::{
    event,
    ledger_account::{self, LedgerKind},
    order, partner, timer,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    Statement, sea_query::Expr,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

const POSITIONS: &str = "query($id: ID!) { account(id: $id) { positions(first: 5) { edges { node { quantity \
    costBasis { amount } } } } } }";

async fn place(app: &TestApp, input: &Value) -> String {
    let placed = app.gql(ORDER_PLACE, json!({ "input": input })).await;
    placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
}

async fn filled(app: &TestApp, customer: &Customer, key: &str, side: &str, quantity: &str) {
    let id = place(app, &customer.order(key, side, "VTI", quantity)).await;
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

/// The same on a server where only advancing the clock runs due actions.
async fn filled_by_clock(app: &TestApp, customer: &Customer, key: &str, side: &str, quantity: &str) {
    let id = place(app, &customer.order(key, side, "VTI", quantity)).await;
    seconds(app, 1).await;
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

async fn seconds(app: &TestApp, seconds: i32) {
    let advance =
        "mutation($s: Int!) { sandboxClockAdvance(input: { seconds: $s }) { userErrors { message } } }";
    assert_eq!(
        app.gql(advance, json!({ "s": seconds })).await.data()["sandboxClockAdvance"]["userErrors"],
        json!([])
    );
}

async fn cancel(app: &TestApp, key: &str, order_id: &str) -> crate::support::Answer {
    app.gql(ORDER_CANCEL, json!({ "input": { "idempotencyKey": key, "orderId": order_id } })).await
}

async fn positions(app: &TestApp, customer: &Customer) -> Vec<[String; 2]> {
    let answer = app.gql(POSITIONS, json!({ "id": customer.account_id })).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let edges = answer.data()["account"]["positions"]["edges"].as_array().unwrap().clone();
    edges
        .iter()
        .map(|edge| [text(&edge["node"]["quantity"]), text(&edge["node"]["costBasis"]["amount"])])
        .collect()
}

/// Returns the balance and the hold of the account's unsettled proceeds.
async fn unsettled(app: &TestApp, customer: &Customer) -> (i64, i64) {
    let row = ledger_account::Entity::find()
        .filter(ledger_account::Column::OwnerId.eq(customer.account_id.parse::<Uuid>().unwrap()))
        .filter(ledger_account::Column::Kind.eq(LedgerKind::Unsettled))
        .one(&app.app.db.read)
        .await
        .unwrap()
        .unwrap();
    (row.balance(), row.held)
}

async fn rows(app: &TestApp) -> [i64; 3] {
    let read = &app.app.db.read;
    let mut counts = [0; 3];
    for (count, table) in counts.iter_mut().zip(["orders", "ledger_hold", "event"]) {
        let text = format!("SELECT count(*) AS rows FROM {table}");
        let row = read
            .query_one_raw(Statement::from_string(read.get_database_backend(), text))
            .await
            .unwrap()
            .unwrap();
        *count = row.try_get("", "rows").unwrap();
    }
    counts
}

async fn each() -> Vec<TestApp> {
    TestApp::each_with(Options { without_timers: true, ..Options::default() }).await
}

on_both! {
    async fn unsettled_proceeds_can_be_spent(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let account = customer.account_id.as_str();
        assert_eq!(app.balance(account).await, ["1000.00", "1000.00", "1000.00"]);
        filled(&app, &customer, "buy", "BUY", "5").await;
        assert_eq!(app.balance(account).await, ["1000.00", "500.00", "500.00"]);
        filled(&app, &customer, "sell", "SELL", "5").await;
        assert_eq!(app.balance(account).await, ["1000.00", "1000.00", "500.00"]);
        filled(&app, &customer, "again", "BUY", "8").await;
        assert_eq!(app.balance(account).await, ["1000.00", "200.00", "0.00"]);
        assert_eq!(unsettled(&app, &customer).await, (20_000, 0));
        app.advance_to("2026-07-13T12:29:59Z").await;
        assert_eq!(app.balance(account).await, ["1000.00", "200.00", "0.00"]);
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(app.balance(account).await, ["1000.00", "200.00", "200.00"]);
        assert_eq!(unsettled(&app, &customer).await, (0, 0));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_sale_reduces_the_cost_basis_by_that_of_the_oldest_lots(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "33.33", "33.33").await;
        filled(&app, &customer, "b1", "BUY", "3").await;
        app.quote("VTI", "10.00", "10.00").await;
        filled(&app, &customer, "b2", "BUY", "1").await;
        assert_eq!(positions(&app, &customer).await, [["4", "109.99"]]);
        filled(&app, &customer, "s1", "SELL", "1.5").await;
        // 50.00 and 10.00, and two thirds of the loss of 34.99, because one of the 1.5 shares was replaced.
        assert_eq!(positions(&app, &customer).await, [["2.5", "83.33"]]);
        filled(&app, &customer, "s2", "SELL", "0.001").await;
        assert_eq!(positions(&app, &customer).await, [["2.499", "83.30"]]);
        filled(&app, &customer, "s3", "SELL", "2.499").await;
        // Sold completely: the position is shown only on request.
        assert!(positions(&app, &customer).await.is_empty());
        let closed = POSITIONS.replace("(first: 5)", "(first: 5, includeClosed: true)");
        let closed = app.gql(&closed, json!({ "id": customer.account_id })).await;
        let closed = &closed.data()["account"]["positions"]["edges"][0]["node"];
        assert_eq!((&closed["quantity"], &closed["costBasis"]["amount"]), (&json!("0"), &json!("0.00")));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn orders_after_the_close_are_refused_and_write_nothing(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let set =
            "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        assert_eq!(app.gql(set, json!({})).await.data()["sandboxMarketHoursSet"]["userErrors"], json!([]));
        app.advance_to("2026-07-10T19:59:59Z").await;
        filled(&app, &customer, "in-time", "BUY", "1").await;
        app.advance_to("2026-07-10T20:00:00Z").await;
        let before = rows(&app).await;
        let late = app.gql(ORDER_PLACE, json!({ "input": customer.order("late", "BUY", "VTI", "1") })).await;
        assert_eq!(
            late.user_error("orderPlace"),
            &json!({ "code": "MARKET_CLOSED", "path": null,
                "message": "The market is closed. It next opens at 2026-07-13T13:30:00Z." })
        );
        assert_eq!(rows(&app).await, before);
        app.advance_to("2026-07-13T13:30:00Z").await;
        filled(&app, &customer, "monday", "BUY", "1").await;
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_order_releases_its_hold() {
    for app in each().await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.10").await;
        let id = place(&app, &customer.order("o", "BUY", "VTI", "3")).await;
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "690.69", "690.69"]);
        let canceled = cancel(&app, "c1", &id).await;
        assert_eq!(
            canceled.entity("orderCancel", "order"),
            &json!({ "id": id, "status": "CANCELED", "canceledAt": "2026-07-10T16:00:00Z" })
        );
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "1000.00", "1000.00"]);
        let again = cancel(&app, "c2", &id).await;
        assert_eq!(
            again.user_error("orderCancel"),
            &json!({ "code": "NOT_CANCELABLE", "path": ["orderId"], "message": "The order has already ended." })
        );
        let replayed = cancel(&app, "c1", &id).await;
        assert_eq!(replayed.entity("orderCancel", "order")["status"], "CANCELED");
        seconds(&app, 60).await;
        assert_eq!(app.ended(&id).await["status"], "CANCELED");
        assert_eq!(timer::Entity::find().one(&app.app.db.read).await.unwrap(), None);
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Changes the price of accepted orders before they are routed, in ten-thousandths of a dollar.
async fn set_price_before_routing(app: &TestApp, price: i64) {
    let tx = app.app.db.write().await.unwrap();
    tx.execute_unprepared(&format!("UPDATE quote_override SET bid = {price}, ask = {price}")).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_became_too_expensive_is_rejected() {
    for app in each().await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let id = place(&app, &customer.order("dear", "BUY", "VTI", "9")).await;
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "73.00", "73.00"]);
        set_price_before_routing(&app, 1_111_200).await;
        seconds(&app, 1).await;
        let ended = app.ended(&id).await;
        assert_eq!(
            (&ended["status"], &ended["rejectCode"], &ended["failedAt"], &ended["filledQuantity"]),
            (
                &json!("REJECTED"),
                &json!("INSUFFICIENT_BUYING_POWER"),
                &json!("2026-07-10T16:00:00Z"),
                &json!("0")
            )
        );
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "1000.00", "1000.00"]);
        app.quote("VTI", "100.00", "100.00").await;
        let id = place(&app, &customer.order("just", "BUY", "VTI", "9")).await;
        set_price_before_routing(&app, 1_111_100).await;
        seconds(&app, 1).await;
        assert_eq!(app.ended(&id).await["filledAveragePrice"], json!({ "amount": "111.11" }));
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "0.01", "0.01"]);
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_that_became_worthless_is_rejected() {
    for app in each().await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        filled_by_clock(&app, &customer, "buy", "BUY", "1").await;
        let id = place(&app, &customer.order("sell", "SELL", "VTI", "1")).await;
        set_price_before_routing(&app, 1).await;
        seconds(&app, 1).await;
        let ended = app.ended(&id).await;
        assert_eq!(
            (&ended["status"], &ended["rejectCode"], &ended["fills"]["edges"]),
            (&json!("REJECTED"), &json!("INVALID"), &json!([]))
        );
        assert_eq!(positions(&app, &customer).await, [["1", "100.00"]]);
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Orders that were due before a price is set trade at the previous price, even if no worker was running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_price_does_not_affect_earlier_orders() {
    for app in each().await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let id = place(&app, &customer.order("before", "BUY", "VTI", "1")).await;
        app.quote("VTI", "102.00", "102.00").await;
        assert_eq!(app.ended(&id).await["filledAveragePrice"], json!({ "amount": "100.00" }));
    }
}

/// An order may hold proceeds while they settle. When the order is filled or canceled, they become cash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_proceeds_become_cash_after_their_settlement() {
    for app in each().await {
        let delay_routing = async |id: &str, at: &str| {
            let tx = app.app.db.write().await.unwrap();
            timer::Entity::update_many()
                .col_expr(
                    timer::Column::DueAt,
                    Expr::value(at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()),
                )
                .filter(timer::Column::SubjectId.eq(id.parse::<Uuid>().unwrap()))
                .exec(&tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        };
        let customer = app.funded_customer("Ada", "1000.00").await;
        let account = customer.account_id.as_str();
        app.quote("VTI", "100.00", "100.00").await;
        filled_by_clock(&app, &customer, "b1", "BUY", "5").await;
        filled_by_clock(&app, &customer, "s1", "SELL", "5").await;
        let id = place(&app, &customer.order("slow", "BUY", "VTI", "8")).await;
        assert_eq!(unsettled(&app, &customer).await, (50_000, 32_400));
        delay_routing(&id, "2026-07-13T17:00:00Z").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        assert_eq!(unsettled(&app, &customer).await, (32_400, 32_400));
        assert_eq!(app.balance(account).await, ["1000.00", "176.00", "176.00"]);
        cancel(&app, "c", &id).await.entity("orderCancel", "order");
        assert_eq!(unsettled(&app, &customer).await, (0, 0));
        assert_eq!(app.balance(account).await, ["1000.00", "1000.00", "1000.00"]);

        filled_by_clock(&app, &customer, "b2", "BUY", "5").await;
        filled_by_clock(&app, &customer, "s2", "SELL", "5").await;
        let id = place(&app, &customer.order("slower", "BUY", "VTI", "8")).await;
        delay_routing(&id, "2026-07-14T17:00:00Z").await;
        app.advance_to("2026-07-14T15:00:00Z").await;
        assert_eq!(unsettled(&app, &customer).await, (32_400, 32_400));
        app.quote("VTI", "50.00", "50.00").await;
        app.advance_to("2026-07-14T18:00:00Z").await;
        assert_eq!(app.ended(&id).await["status"], "FILLED");
        assert_eq!(unsettled(&app, &customer).await, (0, 0));
        assert_eq!(app.balance(account).await, ["1000.00", "600.00", "600.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_actions_happen_in_order_at_their_own_times() {
    for app in each().await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let head = domain::kernel::events::head(&app.app.db.read, app.partner.id).await.unwrap();
        let order = place(&app, &customer.order("o", "BUY", "VTI", "1")).await;
        let mut deposits = Vec::new();
        for key in ["first", "second"] {
            let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": customer.deposit(key, "10.00") })).await;
            deposits.push(deposit.entity("depositCreate", "transfer")["id"].as_str().unwrap().to_owned());
        }
        app.advance_to("2026-07-14T16:00:00Z").await;
        let recorded =
            domain::kernel::events::page(&app.app.db.read, app.partner.id, head, 100).await.unwrap();
        let recorded: Vec<_> = recorded
            .iter()
            .map(|event| (event.kind.as_str(), event.occurred_at.to_rfc3339(), event.stream_id))
            .collect();
        let (friday, monday, tuesday) =
            ("2026-07-10T16:00:00+00:00", "2026-07-13T12:30:00+00:00", "2026-07-14T16:00:00+00:00");
        let night = "2026-07-11T03:59:59+00:00";
        let trade = recorded[5].2;
        let account = customer.account_id.parse().unwrap();
        let expected = [
            ("order.accepted", friday, order.parse().unwrap()),
            ("deposit.pending", friday, deposits[0].parse().unwrap()),
            ("deposit.pending", friday, deposits[1].parse().unwrap()),
            ("order.new", friday, order.parse().unwrap()),
            ("order.filled", friday, order.parse().unwrap()),
            ("trade.confirmed", friday, trade),
            ("position.changed", friday, account),
            ("deposit.submitted", night, deposits[0].parse().unwrap()),
            ("deposit.submitted", night, deposits[1].parse().unwrap()),
            ("trade.settled", monday, trade),
            ("deposit.settled", monday, deposits[0].parse().unwrap()),
            ("deposit.settled", monday, deposits[1].parse().unwrap()),
            ("sandbox.clock_changed", tuesday, app.partner.id),
        ];
        assert_eq!(
            recorded,
            expected.map(|(kind, at, stream): (_, &str, Uuid)| (kind, at.to_owned(), stream))
        );
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Replaces every id with the number of its first appearance.
fn numbered(value: &mut Value, seen: &mut HashMap<String, usize>) {
    match value {
        Value::String(text) if text.parse::<Uuid>().is_ok() || text.starts_with("S-") => {
            let next = seen.len();
            *text = format!("#{}", seen.entry(text.clone()).or_insert(next));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| numbered(value, seen)),
        Value::Object(fields) => fields.values_mut().for_each(|value| numbered(value, seen)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_and_commands_give_the_same_events() {
    for app in each().await {
        let mut stories = Vec::new();
        for (name, seed) in [("one", 7), ("two", 7), ("three", 8)] {
            let (partner, key) = app.other_partner(name).await;
            let partner = freeze_clock_at(&app.app, partner, THURSDAY).await;
            let mut row: partner::ActiveModel = partner.clone().into();
            row.market_seed = Set(seed);
            let tx = app.app.db.write().await.unwrap();
            row.update(&tx).await.unwrap();
            tx.commit().await.unwrap();
            let customer = app.customer_as(&key, "Ada").await;
            let send_input = async |query: &str, input: Value| {
                app.gql_as(Some(&key), query, json!({ "input": input })).await
            };
            send_input(DEPOSIT_CREATE, customer.deposit("d", "5000.00"))
                .await
                .entity("depositCreate", "transfer");
            let advance = "mutation($input: SandboxClockAdvanceInput!) { sandboxClockAdvance(input: $input) \
                { userErrors { message } } }";
            send_input(advance, json!({ "seconds": 86_400 })).await.data();
            for (turn, (symbol, quantity)) in
                [("VTI", "1.5"), ("GOOG", "2"), ("VTEB", "10")].into_iter().enumerate()
            {
                send_input(ORDER_PLACE, customer.order(&format!("b{turn}"), "BUY", symbol, quantity))
                    .await
                    .entity("orderPlace", "order");
            }
            send_input(advance, json!({ "seconds": 3600 })).await.data();
            send_input(ORDER_PLACE, customer.order("s", "SELL", "GOOG", "0.5"))
                .await
                .entity("orderPlace", "order");
            send_input(advance, json!({ "to": "2026-07-14T16:00:00Z" })).await.data();
            let mut seen = HashMap::new();
            let events = event::Entity::find()
                .filter(event::Column::PartnerId.eq(partner.id))
                .filter(event::Column::Seq.gt(1))
                .order_by_asc(event::Column::Seq)
                .all(&app.app.db.read)
                .await
                .unwrap();
            let mut story = Vec::new();
            for event in events {
                let mut payload: Value = serde_json::from_str(&event.payload).unwrap();
                let mut stream = json!(event.stream_id);
                numbered(&mut stream, &mut seen);
                numbered(&mut payload, &mut seen);
                story.push((
                    event.seq,
                    event.kind,
                    event.occurred_at,
                    stream,
                    event.stream_version,
                    payload.to_string(),
                ));
            }
            let orders = order::Entity::find()
                .filter(order::Column::PartnerId.eq(partner.id))
                .order_by_asc(order::Column::Id)
                .all(&app.app.db.read)
                .await
                .unwrap();
            let prices: Vec<_> = orders.iter().map(|order| order.filled_average_price.unwrap()).collect();
            assert_eq!((story.len(), prices.len()), (34, 4), "{story:#?}");
            stories.push((story, prices));
        }
        assert_eq!(stories[0], stories[1]);
        assert_ne!(stories[0].1, stories[2].1);
        assert_eq!(app.audit().await.wrong, None);
    }
}
