//! Concurrent requests: money and shares are never spent twice, and an idempotency key places one order.

use crate::support::{
    Answer, Customer, DEPOSIT_CREATE, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, on_both, send,
};
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const POSITION: &str = "query($id: ID!) { account(id: $id) { positions(first: 5) { edges { node { quantity \
    costBasis { amount } } } } } }";

/// Counts responses by status or error code.
fn tally(answers: &[Answer], mutation: &str, entity: &str) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        let payload = &answer.data()[mutation];
        let kind = payload["userErrors"][0]["code"].as_str().or(payload[entity]["status"].as_str()).unwrap();
        *tally.entry(kind.to_owned()).or_default() += 1;
    }
    tally
}

fn counts<const N: usize>(pairs: [(&str, usize); N]) -> BTreeMap<String, usize> {
    pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

async fn orders(app: &TestApp, customer: &Customer, count: usize, side: &str, quantity: &str) -> Vec<Answer> {
    join_all((0..count).map(|turn| {
        let input = customer.order(&format!("{side}-{turn}"), side, "VTI", quantity);
        async move { app.gql(ORDER_PLACE, json!({ "input": input })).await }
    }))
    .await
}

async fn all_ended(app: &TestApp, answers: &[Answer]) {
    for answer in answers {
        if let Some(id) = answer.data()["orderPlace"]["order"]["id"].as_str() {
            app.ended(id).await;
        }
    }
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    use sea_orm::{ConnectionTrait, Statement};
    let read = &app.app.db.read;
    let counted = read.query_one_raw(Statement::from_string(
        read.get_database_backend(),
        format!("SELECT count(*) AS rows FROM {table}"),
    ));
    counted.await.unwrap().unwrap().try_get("", "rows").unwrap()
}

/// Places an order through the REST API with an idempotency key.
async fn rest_order(app: &TestApp, key: &str, body: Value) -> Answer {
    send(app.rest("POST", "/v1/orders").header("idempotency-key", key).json(&body)).await
}

on_both! {
    /// Each order holds 103 % of 100.00, so 1,000.00 is enough for nine orders before the first fill. Each
    /// fill releases 3.00. A tenth order needs 103.00, but after nine fills at 100.00 only 100.00 is left.
    async fn concurrent_orders_never_overdraw_an_account(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let answers = orders(&app, &customer, 64, "BUY", "1").await;
        assert_eq!(
            tally(&answers, "orderPlace", "order"),
            counts([("ACCEPTED", 9), ("INSUFFICIENT_BUYING_POWER", 55)])
        );
        all_ended(&app, &answers).await;
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "100.00", "100.00"]);
        assert_eq!((rows(&app, "orders").await, rows(&app, "fill").await), (9, 9));
        let position = app.gql(POSITION, json!({ "id": customer.account_id })).await;
        assert_eq!(
            position.data()["account"]["positions"]["edges"],
            json!([{ "node": { "quantity": "9", "costBasis": { "amount": "900.00" } } }])
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn concurrent_sales_never_oversell_a_position(app: TestApp) {
        let customer = app.funded_customer("Ada", "2000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let bought =
            app.gql(ORDER_PLACE, json!({ "input": customer.order("buy", "BUY", "VTI", "10") })).await;
        all_ended(&app, std::slice::from_ref(&bought)).await;
        let answers = orders(&app, &customer, 32, "SELL", "0.75").await;
        assert_eq!(
            tally(&answers, "orderPlace", "order"),
            counts([("ACCEPTED", 13), ("INSUFFICIENT_POSITION", 19)])
        );
        all_ended(&app, &answers).await;
        let position = app.gql(POSITION, json!({ "id": customer.account_id })).await;
        assert_eq!(
            position.data()["account"]["positions"]["edges"],
            json!([{ "node": { "quantity": "0.25", "costBasis": { "amount": "25.00" } } }])
        );
        assert_eq!(app.balance(&customer.account_id).await, ["2000.00", "1975.00", "1000.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn concurrent_requests_with_one_key_place_one_order(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let input = customer.order("the key", "BUY", "VTI", "2").as_object().unwrap().clone();
        let input = Value::Object(
            input
                .into_iter()
                .map(
                    |(name, value)| {
                        if name == "idempotencyKey" { (name, json!("the-key")) } else { (name, value) }
                    },
                )
                .collect(),
        );
        let answers = join_all((0..64).map(|_| app.gql(ORDER_PLACE, json!({ "input": input })))).await;
        let first = answers[0].entity("orderPlace", "order").clone();
        assert_eq!(first["status"], "ACCEPTED");
        for answer in &answers {
            assert_eq!(answer.entity("orderPlace", "order")["id"], first["id"], "{}", answer.body);
            assert_eq!(answer.entity("orderPlace", "order")["quantity"], "2");
        }
        all_ended(&app, &answers[..1]).await;
        assert_eq!((rows(&app, "orders").await, rows(&app, "fill").await), (1, 1));
        assert_eq!(app.balance(&customer.account_id).await, ["1000.00", "800.00", "800.00"]);

        let body = json!({ "account_id": customer.account_id, "symbol": "VTI", "quantity": "1", "side": "buy",
            "type": "market" });
        let answers = join_all((0..64).map(|_| rest_order(&app, "rest-key", body.clone()))).await;
        let first_time =
            answers.iter().filter(|answer| answer.headers.get("idempotent-replayed").is_none()).count();
        assert_eq!(first_time, 1);
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        }
        assert_eq!(rows(&app, "orders").await, 2);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_key_is_refused_for_another_request(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order("k", "BUY", "VTI", "1") })).await;
        let placed = placed.entity("orderPlace", "order")["id"].clone();
        app.ended(placed.as_str().unwrap()).await;
        let reused = json!({ "code": "IDEMPOTENCY_KEY_REUSED", "path": ["idempotencyKey"],
            "message": "This idempotency key was used for another request. Use a new key." });
        for input in [
            customer.order("k", "BUY", "VTI", "2"),
            customer.order("k", "SELL", "VTI", "1"),
            customer.order("k", "BUY", "GOOG", "1"),
        ] {
            assert_eq!(
                app.gql(ORDER_PLACE, json!({ "input": input })).await.user_error("orderPlace"),
                &reused
            );
        }
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": customer.deposit("k", "1.00") })).await;
        assert_eq!(deposit.user_error("depositCreate"), &reused);
        let same_amount =
            app.gql(ORDER_PLACE, json!({ "input": customer.order("k", "BUY", "VTI", "1.00") })).await;
        assert_eq!(same_amount.entity("orderPlace", "order")["id"], placed);

        let body = |quantity: &str| {
            json!({ "account_id": customer.account_id, "symbol": "VTI",
            "quantity": quantity, "side": "buy", "type": "market" })
        };
        let conflict = rest_order(&app, "k", body("3")).await;
        assert_eq!(
            (conflict.status, conflict.body),
            (
                409,
                json!({ "error": { "type": "invalid_request",
                    "message": "This idempotency key was used for another request. Use a new key." } })
            )
        );
        assert_eq!(conflict.headers.get("idempotent-replayed"), None);

        let refused = rest_order(&app, "poor", body("50")).await;
        assert_eq!(
            (refused.status, &refused.body["error"]["message"]),
            (402, &json!("Buying power is $900.00; this order may cost up to $5150.00."))
        );
        assert_eq!(refused.headers.get("idempotent-replayed"), None);
        let again = app.gql(DEPOSIT_CREATE, json!({ "input": customer.deposit("more", "9000.00") })).await;
        again.entity("depositCreate", "transfer");
        app.advance_to("2026-07-13T15:00:00Z").await;
        let replayed = rest_order(&app, "poor", body("50")).await;
        assert_eq!((replayed.status, &replayed.body), (402, &refused.body));
        assert_eq!(replayed.headers["idempotent-replayed"], "true");
        let other_key = rest_order(&app, "rich", body("50")).await;
        assert_eq!(other_key.status, 200, "{}", other_key.body);

        let malformed = rest_order(&app, "typo", body("0")).await;
        assert_eq!(malformed.status, 400, "{}", malformed.body);
        assert_eq!(malformed.headers.get("idempotent-replayed"), None);
        let corrected = rest_order(&app, "typo", body("0.5")).await;
        assert_eq!((corrected.status, &corrected.body["quantity"]), (200, &json!("0.5")));
        assert_eq!(corrected.headers.get("idempotent-replayed"), None);
        let malformed =
            app.gql(ORDER_PLACE, json!({ "input": customer.order("slip", "BUY", "VTI", "-1") })).await;
        assert!(malformed.body["data"]["orderPlace"]["order"].is_null(), "{}", malformed.body);
        let corrected =
            app.gql(ORDER_PLACE, json!({ "input": customer.order("slip", "BUY", "VTI", "1") })).await;
        assert_eq!(corrected.entity("orderPlace", "order")["quantity"], "1");
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn concurrent_deposits_orders_and_cancellations_are_consistent(app: TestApp) {
        let customer = app.funded_customer("Ada", "10000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let deposits = join_all((0..16).map(|turn| {
            let input = customer.deposit(&format!("deposit-{turn}"), "10.00");
            let app = &app;
            async move { app.gql_until_answered(DEPOSIT_CREATE, json!({ "input": input })).await }
        }));
        let trades = join_all((0..32).map(|turn| {
            let input = customer.order(&format!("order-{turn}"), "BUY", "VTI", "1");
            let app = &app;
            async move {
                let placed = app.gql_until_answered(ORDER_PLACE, json!({ "input": input })).await;
                let id = placed.entity("orderPlace", "order")["id"].clone();
                let cancel = json!({ "idempotencyKey": format!("cancel-{turn}"), "orderId": id });
                let canceled = app.gql_until_answered(ORDER_CANCEL, json!({ "input": cancel })).await;
                let ended = app.ended(id.as_str().unwrap()).await;
                let expected = if ended["status"] == "CANCELED" { "CANCELED" } else { "NOT_CANCELABLE" };
                assert_eq!(
                    tally(std::slice::from_ref(&canceled), "orderCancel", "order"),
                    counts([(expected, 1)]),
                    "{ended}"
                );
                ended["status"].as_str().unwrap().to_owned()
            }
        }));
        let (deposits, ended) = tokio::join!(deposits, trades);
        assert_eq!(tally(&deposits, "depositCreate", "transfer"), counts([("PENDING", 16)]));
        let filled = ended.iter().filter(|status| *status == "FILLED").count();
        assert!(ended.iter().all(|status| status == "FILLED" || status == "CANCELED"), "{ended:?}");
        let left = format!("{}.00", 10_000 - 100 * filled);
        assert_eq!(app.balance(&customer.account_id).await, ["10000.00", &left, &left]);
        app.advance_to("2026-07-13T15:00:00Z").await;
        let left = format!("{}.00", 10_160 - 100 * filled);
        assert_eq!(app.balance(&customer.account_id).await, ["10160.00", &left, &left]);
        assert_eq!(
            (rows(&app, "orders").await, rows(&app, "fill").await),
            (32, i64::try_from(filled).unwrap())
        );
        assert_eq!(app.audit().await.wrong, None);
        assert_eq!(app.deadlocks().await, 0, "a cancellation and a fill must not wait for each other");
    }

    /// All sandbox controls write to the same event stream, that of the partner.
    async fn concurrent_sandbox_controls_succeed(app: TestApp) {
        let set = "mutation($input: SandboxQuoteSetInput!) { sandboxQuoteSet(input: $input) { userErrors { \
            message } } }";
        let answers = join_all((1..=16).map(|turn| {
            let price = json!({ "amount": format!("{turn}.00") });
            app.gql(set, json!({ "input": { "symbol": "VTI", "quote": { "bid": price, "ask": price } } }))
        }))
        .await;
        for answer in &answers {
            assert_eq!(answer.data()["sandboxQuoteSet"]["userErrors"], json!([]), "{}", answer.body);
        }
        let advance = "mutation { sandboxClockAdvance(input: { seconds: 60 }) { userErrors { message } } }";
        for answer in join_all((0..8).map(|_| app.gql(advance, json!({})))).await {
            assert_eq!(answer.data()["sandboxClockAdvance"]["userErrors"], json!([]), "{}", answer.body);
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// A due order is filled at the old price before a new quote is set; otherwise setting the quote fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_quote_waits_for_a_postponed_order() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let customer = app.funded_customer("Ada", "100").await;
        let postpone_until = async |until: &str| {
            let text =
                format!("UPDATE timer SET attempts = 1, retry_at = {until} WHERE kind = 'order_route'");
            app.app.db.for_migrations().execute_unprepared(&text).await.unwrap().rows_affected()
        };
        let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order("o", "BUY", "VTI", "0.1") })).await;
        let order = placed.entity("orderPlace", "order")["id"].clone();
        assert_eq!(postpone_until("'2099-01-01 00:00:00+00:00'").await, 1);
        let price = json!({ "amount": "1.00" });
        let input = json!({ "input": { "symbol": "VTI", "quote": { "bid": price, "ask": price } } });
        let set = "mutation($input: SandboxQuoteSetInput!) { sandboxQuoteSet(input: $input) { userErrors { \
            message } } }";
        assert_eq!(app.gql(set, input.clone()).await.error_code(), "TIMEOUT");
        assert_eq!(postpone_until("NULL").await, 1);
        assert_eq!(app.gql(set, input).await.data()["sandboxQuoteSet"]["userErrors"], json!([]));
        let query = "query($id: ID!) { order(id: $id) { status filledAveragePrice { amount } } }";
        let filled = app.gql(query, json!({ "id": order })).await.data()["order"].clone();
        assert_eq!(filled["status"], "FILLED");
        assert_ne!(
            filled["filledAveragePrice"]["amount"], "1.00",
            "the order must fill at the price before the change"
        );
    }
}
