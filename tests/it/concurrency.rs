//! Many at once: nothing is overdrawn, nothing happens twice.

use crate::support::{Answer, Customer, DEPOSIT_CREATE, ORDER_PLACE, TestApp, on_both, send};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;

async fn place(app: &TestApp, input: Value) -> Answer {
    app.gql(ORDER_PLACE, json!({ "input": input })).await
}

fn accepted(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| !answer.data()["orderPlace"]["order"].is_null()).count()
}

async fn orders_of(app: &TestApp, customer: &Customer) -> Vec<Value> {
    let query = "query($id: ID!) { account(id: $id) { orders(first: 100) { edges { node { id status } } } } }";
    let answer = app.gql(query, json!({ "id": customer.account_id })).await;
    answer.data()["account"]["orders"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

on_both! {
    /// Each order may cost 103.00, so 1,000.00 is enough for nine at a time; what is filled frees three dollars of its hold.
    async fn sixty_four_orders_never_overdraw_an_account(app: TestApp) {
        app.quote("VTI", "99.90", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let answers = join_all((0..64).map(|n| place(&app, ada.order(&format!("k{n}"), "BUY", "VTI", "1")))).await;
        let taken = accepted(&answers);
        assert_eq!(taken, 9);
        for answer in answers.iter().filter(|answer| answer.data()["orderPlace"]["order"].is_null()) {
            let refusal = answer.user_error("orderPlace");
            assert_eq!((&refusal["code"], &refusal["path"]), (&json!("INSUFFICIENT_BUYING_POWER"), &json!(["quantity"])));
        }
        for order in orders_of(&app, &ada).await {
            assert_eq!(app.ended(order["id"].as_str().unwrap()).await["status"], "FILLED");
        }
        assert_eq!(app.balance(&ada.account_id).await, ["999.55", "100.00", "100.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn sixty_four_requests_with_one_key_are_one_order(app: TestApp) {
        app.quote("VTI", "99.90", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let answers = join_all((0..64).map(|_| place(&app, ada.order("one", "BUY", "VTI", "1")))).await;
        let told: HashSet<String> = answers.iter().map(|answer| answer.entity("orderPlace", "order").to_string()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(orders_of(&app, &ada).await.len(), 1);

        let other = place(&app, ada.order("one", "BUY", "VTI", "2")).await;
        assert_eq!(
            other.user_error("orderPlace"),
            &json!({
                "code": "IDEMPOTENCY_KEY_REUSED", "path": ["idempotencyKey"], "message": "The key was used for another request.",
            })
        );
        let same_amount = place(&app, ada.order("one", "BUY", "VTI", "1.000")).await;
        assert_eq!(same_amount.entity("orderPlace", "order").to_string(), *told.iter().next().unwrap());
        let rest = json!({ "account_id": ada.account_id, "symbol": "VTI", "quantity": "2", "side": "buy", "type": "market" });
        let clash = send(app.rest("POST", "/v1/orders").header("idempotency-key", "one").json(&rest)).await;
        assert_eq!(
            (clash.status, clash.body),
            (409, json!({ "error": { "type": "invalid_request", "message": "The key was used for another request." } }))
        );
    }

    async fn a_refusal_is_remembered_and_a_malformed_request_is_not(app: TestApp) {
        app.quote("VTI", "99.90", "100.00").await;
        let ada = app.customer("Ada").await;
        let order = |quantity: &str| json!({
            "account_id": ada.account_id, "symbol": "VTI", "quantity": quantity, "side": "buy", "type": "market",
        });
        let with_key = |key: &str, quantity: &str| app.rest("POST", "/v1/orders").header("idempotency-key", key).json(&order(quantity));

        let first = send(with_key("short", "1")).await;
        let refusal = json!({ "error": {
            "type": "invalid_request", "message": "Buying power is $0.00; this order may cost up to $103.00.",
        } });
        assert_eq!((first.status, &first.body, first.headers.get("idempotent-replayed")), (402, &refusal, None));
        let malformed = send(with_key("fine", "0.00001")).await;
        assert_eq!(malformed.status, 400);

        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("d", "500.00") })).await;
        deposit.entity("depositCreate", "transfer");
        app.advance_to("2026-07-10T15:00:00Z").await;
        let again = send(with_key("short", "1")).await;
        assert_eq!((again.status, &again.body), (402, &refusal));
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(send(with_key("fine", "1")).await.status, 200);
    }

    async fn a_position_is_never_oversold(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "2000.00").await;
        let bought = place(&app, ada.order("buy", "BUY", "VTI", "10")).await;
        app.ended(bought.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
        let answers = join_all((0..32).map(|n| place(&app, ada.order(&format!("s{n}"), "SELL", "VTI", "1")))).await;
        assert_eq!(accepted(&answers), 10);
        for order in orders_of(&app, &ada).await {
            assert_eq!(app.ended(order["id"].as_str().unwrap()).await["status"], "FILLED");
        }
        assert_eq!(app.balance(&ada.account_id).await, ["2000.00", "2000.00", "1000.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }
}
