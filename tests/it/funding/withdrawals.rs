//! Life cycles of withdrawals on the sandbox clock, with all balances after each step.

use super::returns::{CANCEL, balances, returned, settings, status, timeline, trade, transfer, with_bank};
use crate::support::{Customer, TestApp, WITHDRAWAL_CREATE, on_both};
use serde_json::{Value, json};

pub async fn withdraw(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> Value {
    let created = app.gql(WITHDRAWAL_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    created.entity("withdrawalCreate", "transfer").clone()
}

pub fn id_of(transfer: &Value) -> String {
    transfer["id"].as_str().unwrap().to_owned()
}

async fn refused(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> Value {
    let answer = app.gql(WITHDRAWAL_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    answer.user_error("withdrawalCreate").clone()
}

/// A customer with 200.00 in cash and 8 shares at 100.00, on Friday noon.
async fn invested(app: &TestApp) -> Customer {
    let ada = app.funded_customer("Ada", "1000.00").await;
    app.quote("VTI", "100.00", "100.00").await;
    trade(app, &ada, "buy", "BUY", "8").await;
    ada
}

on_both! {
    async fn a_withdrawal_from_cash_arrives_three_banking_days_later(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let created = withdraw(&app, &ada, "w", "400.00").await;
        assert_eq!((&created["status"], &created["expectedOn"]), (&json!("PENDING"), &json!("2026-07-15")));
        let id = id_of(&created);
        assert_eq!(balances(&app, &ada).await, "600.00 600.00 600.00 0.00 400.00 0.00");
        let remove = "mutation($input: BankAccountRemoveInput!) { bankAccountRemove(input: $input) { bankAccount { \
            id } userErrors { code } } }";
        let removed = app.gql(remove, json!({ "input": { "bankAccountId": ada.bank_account_id } })).await;
        assert_eq!(removed.user_error("bankAccountRemove")["code"], "TRANSFER_PENDING");
        app.advance_to("2026-07-11T03:59:59Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "400.00");
        app.advance_to("2026-07-15T12:29:59Z").await;
        assert_eq!(balances(&app, &ada).await, "600.00 600.00 600.00 0.00 400.00 0.00");
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        assert_eq!(balances(&app, &ada).await, "600.00 600.00 600.00 0.00 0.00 0.00");
        assert_eq!(
            timeline(&app, &id).await,
            ["PENDING 2026-07-10 -", "SUBMITTED 2026-07-10 -", "COMPLETED 2026-07-15 -"]
        );
        returned(&app, &id, "R03").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        assert_eq!(refused(&app, &ada, "again", "1.00").await["code"], "BANK_ACCOUNT_DISABLED");
    }

    async fn a_withdrawal_returned_before_it_arrives_is_cash_again(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let id = id_of(&withdraw(&app, &ada, "w", "400.00").await);
        app.advance_to("2026-07-13T12:00:00Z").await;
        returned(&app, &id, "R23").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        app.advance_to("2026-07-20T12:00:00Z").await;
        assert_eq!(status(&app, &id).await, "RETURNED");
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        let magic = with_bank(&app, &ada, "9990002").await;
        let id = id_of(&withdraw(&app, &magic, "m", "100.00").await);
        app.advance_to("2026-07-23T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        app.advance_to("2026-07-27T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "RETURNED");
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
    }

    async fn a_withdrawal_sells_shares_and_is_sent_when_the_sale_settles(app: TestApp) {
        let ada = invested(&app).await;
        let created = withdraw(&app, &ada, "w", "600.00").await;
        assert_eq!(
            (&created["status"], &created["expectedOn"], &created["mayBeLower"]),
            (&json!("PENDING"), &json!("2026-07-15"), &json!(false))
        );
        let id = id_of(&created);
        app.advance_to("2026-07-10T16:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "400.00 0.00 0.00 0.00 600.00 0.00");
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        assert_eq!(balances(&app, &ada).await, "400.00 0.00 0.00 0.00 600.00 0.00");
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "600.00");
        assert_eq!(balances(&app, &ada).await, "400.00 0.00 0.00 0.00 0.00 0.00");
        assert_eq!(
            timeline(&app, &id).await,
            [
                "PENDING 2026-07-10 -",
                "SELLING 2026-07-10 -",
                "AWAITING_SETTLEMENT 2026-07-10 -",
                "SUBMITTED 2026-07-13 -",
                "COMPLETED 2026-07-15 -"
            ]
        );
    }

    async fn more_than_90_percent_pays_what_the_sales_raise(app: TestApp) {
        let ada = invested(&app).await;
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        app.gql(hours, json!({})).await.data();
        app.advance_to("2026-07-10T21:00:00Z").await;
        assert_eq!(
            refused(&app, &ada, "x", "1000.01").await,
            json!({ "code": "INSUFFICIENT_FUNDS", "path": ["amount"],
                "message": "At most $1000.00 can be withdrawn." })
        );
        let created = withdraw(&app, &ada, "w", "950.00").await;
        assert_eq!(
            (&created["status"], &created["expectedOn"], &created["mayBeLower"]),
            (&json!("PENDING"), &json!("2026-07-16"), &json!(true))
        );
        let id = id_of(&created);
        assert_eq!(balances(&app, &ada).await, "800.00 0.00 0.00 0.00 200.00 0.00");
        app.quote("VTI", "90.00", "90.00").await;
        app.advance_to("2026-07-13T13:29:59Z").await;
        assert_eq!(status(&app, &id).await, "PENDING");
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 920.00 0.00");
        app.advance_to("2026-07-14T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        app.advance_to("2026-07-16T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "920.00");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn a_canceled_withdrawal_leaves_the_shares_sold(app: TestApp) {
        let ada = invested(&app).await;
        let id = id_of(&withdraw(&app, &ada, "w", "600.00").await);
        app.advance_to("2026-07-10T16:00:01Z").await;
        let canceled = app.gql(CANCEL, json!({ "input": { "idempotencyKey": "c", "transferId": id } })).await;
        assert_eq!(canceled.entity("transferCancel", "transfer")["status"], "CANCELED");
        assert_eq!(balances(&app, &ada).await, "1000.00 600.00 200.00 0.00 0.00 0.00");
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "CANCELED");
        assert_eq!(balances(&app, &ada).await, "1000.00 600.00 600.00 0.00 0.00 0.00");
    }

    async fn a_returned_deposit_stops_withdrawals_that_were_not_sent(app: TestApp) {
        let ada = app.customer("Ada").await;
        let deposit = app
            .gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit("a", "1000.00") }))
            .await;
        let deposit = id_of(deposit.entity("depositCreate", "transfer"));
        app.advance_to("2026-07-10T16:00:00Z").await;
        let id = id_of(&withdraw(&app, &ada, "w", "700.00").await);
        returned(&app, &deposit, "R08").await;
        assert_eq!(status(&app, &id).await, "FAILED");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn bad_withdrawals_are_refused(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        for amount in ["0", "-1", "0.00"] {
            assert_eq!(refused(&app, &ada, "a", amount).await["code"], "INVALID", "{amount}");
        }
        assert_eq!(refused(&app, &ada, "b", "1.005").await["code"], "INVALID");
        assert_eq!(refused(&app, &ada, "c", "1000.01").await["code"], "INSUFFICIENT_FUNDS");
        let ben = app.customer("Ben").await;
        let foreign = Customer { bank_account_id: ben.bank_account_id.clone(), ..ada_of(&ada) };
        assert_eq!(
            refused(&app, &foreign, "d", "1").await,
            json!({ "code": "NOT_FOUND", "path": ["bankAccountId"], "message": "bankAccountId was not found" })
        );
        settings(&app, json!({ "withdrawalLimit": { "amount": "300" }, "dailyWithdrawalLimit": { "amount": "500" } }))
            .await;
        assert_eq!(refused(&app, &ada, "e", "300.01").await["message"], "amount must be at most 300.00");
        withdraw(&app, &ada, "f", "300.00").await;
        assert_eq!(
            refused(&app, &ada, "g", "200.01").await["message"],
            "The limit of one day is $500.00, of which $200.00 is left today."
        );
        assert_eq!(balances(&app, &ada).await, "700.00 700.00 700.00 0.00 300.00 0.00");
    }

    async fn withdrawals_over_rest(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let body = json!({ "account_id": ada.account_id, "bank_account_id": ada.bank_account_id,
            "amount": "202.00" });
        let mut ids = Vec::new();
        for path in ["/v1/withdrawal", "/v1/withdrawal/", "/v1/withdrawals", "/v1/withdrawals/"] {
            let created = app.post(path, body.clone()).await;
            assert_eq!(created.status, 200, "{}", created.body);
            let id = created.body["id"].as_str().unwrap().to_owned();
            assert_eq!(
                created.body,
                json!({ "id": id, "account_id": ada.account_id, "status": "pending" })
            );
            ids.push(id);
        }
        let over = app.post("/v1/withdrawal", body.clone()).await;
        assert_eq!(
            (over.status, &over.body),
            (402, &json!({ "error": { "type": "invalid_request",
                "message": "At most $192.00 can be withdrawn." } }))
        );
        let one = app.get(&format!("/v1/withdrawals/{}", ids[0])).await;
        assert_eq!(
            one.body,
            json!({ "id": ids[0], "account_id": ada.account_id, "bank_account_id": ada.bank_account_id,
                "amount": "202.00", "paid_amount": null, "status": "pending", "expected_on": "2026-07-15",
                "created_at": "2026-07-10T16:00:00Z", "completed_at": null, "last_return": null })
        );
        let list = app.get("/v1/withdrawals?status=pending&limit=3").await;
        let listed: Vec<&str> =
            list.body["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(listed, [&ids[3], &ids[2], &ids[1]]);
        assert_eq!(app.get("/v1/withdrawals?status=settled").await.status, 400);
        assert_eq!(app.get(&format!("/v1/deposits/{}", ids[0])).await.status, 404);
        let deposits = app.get("/v1/deposits").await;
        assert_eq!(deposits.body["data"].as_array().unwrap().len(), 1);
    }
}

fn ada_of(ada: &Customer) -> Customer {
    Customer {
        user_id: ada.user_id.clone(),
        account_id: ada.account_id.clone(),
        bank_account_id: ada.bank_account_id.clone(),
    }
}
