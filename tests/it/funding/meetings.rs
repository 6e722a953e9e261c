//! Transfers that meet: returns and cancellations while others wait, spend the same money, or sell the same shares.

use super::{
    returns::{
        CANCEL, RETURN, account, balances, deposit, returned, settings, status, timeline, trade, transfer,
        with_bank,
    },
    withdrawals::{closed, id_of, invested, refused, withdraw},
};
use crate::support::{Answer, Customer, ORDER_CANCEL, ORDER_PLACE, TestApp, on_both};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

async fn cancel(app: &TestApp, id: &str) -> Answer {
    let input = json!({ "idempotencyKey": format!("cancel-{id}"), "transferId": id });
    app.gql(CANCEL, json!({ "input": input })).await
}

async fn canceled(app: &TestApp, id: &str) {
    let answer = cancel(app, id).await;
    assert_eq!(answer.entity("transferCancel", "transfer")["status"], "CANCELED");
}

async fn instant(app: &TestApp, limit: &str) {
    let limit = json!({ "amount": limit });
    settings(app, json!({ "instantLimit": limit, "accountInstantLimit": limit })).await;
}

/// Places a good-till-canceled purchase of shares that rests.
async fn rest(app: &TestApp, customer: &Customer, key: &str, quantity: &str, price: &str) -> String {
    let mut input = customer.order(key, "BUY", "VTI", quantity);
    input["type"] = json!("LIMIT");
    input["limitPrice"] = json!({ "amount": price });
    input["timeInForce"] = json!("GTC");
    let placed = app.gql(ORDER_PLACE, json!({ "input": input })).await;
    id_of(placed.entity("orderPlace", "order"))
}

async fn cancel_order(app: &TestApp, id: &str) {
    let input = json!({ "idempotencyKey": format!("cancel-{id}"), "orderId": id });
    app.gql(ORDER_CANCEL, json!({ "input": input })).await.entity("orderCancel", "order");
}

/// Returns the sales for withdrawals of an account, newest first: status, quantity, and who can change them.
async fn sales(app: &TestApp, customer: &Customer) -> Vec<Value> {
    let query = "query($id: ID!) { account(id: $id) { orders(first: 9) { edges { node { id status quantity \
        viewerCanCancel viewerCanReplace withdrawal { id } } } } } }";
    let found = app.gql(query, json!({ "id": customer.account_id })).await;
    let edges = found.data()["account"]["orders"]["edges"].as_array().unwrap().clone();
    let orders = edges.into_iter().map(|edge| edge["node"].clone());
    orders.filter(|order| !order["withdrawal"].is_null()).collect()
}

async fn violations(app: &TestApp, customer: &Customer) -> Vec<String> {
    let found = account(app, customer).await;
    let edges = found["settlementViolations"]["edges"].as_array().unwrap().clone();
    edges.iter().map(|edge| edge["node"]["kind"].as_str().unwrap().to_owned()).collect()
}

async fn change_account(app: &TestApp, mutation: &str, customer: &Customer, more: &str) -> Value {
    let text = format!(
        "mutation($id: ID!) {{ {mutation}(input: {{ accountId: $id {more} }}) {{ account {{ status }} userErrors {{ \
         message }} }} }}"
    );
    app.gql(&text, json!({ "id": customer.account_id })).await.entity(mutation, "account")["status"].clone()
}

on_both! {
    /// The instant deposit takes the money of the withdrawal, which is later in the list of what the bank account ends.
    async fn a_withdrawal_is_put_back_once_when_its_bank_account_is_disabled(app: TestApp) {
        instant(&app, "400").await;
        app.quote("VTI", "100.00", "100.00").await;
        for (name, has_other) in [("Ada", false), ("Ben", true)] {
            let ada = app.customer(name).await;
            let first = deposit(&app, &ada, &format!("{name}-first"), "700.00").await;
            let other = with_bank(&app, &ada, "4327849999").await;
            if has_other {
                deposit(&app, &other, "other", "700.00").await;
            }
            let friday = if has_other { "2026-07-17" } else { "2026-07-10" };
            app.advance_to(&format!("{friday}T15:00:00Z")).await;
            if has_other {
                withdraw(&app, &other, "sent", "700.00").await;
            }
            let saturday = if has_other { "2026-07-18" } else { "2026-07-11" };
            app.advance_to(&format!("{saturday}T12:00:00Z")).await;
            let second = deposit(&app, &ada, &format!("{name}-second"), "400.00").await;
            let paid = id_of(&withdraw(&app, &ada, &format!("{name}-paid"), "700.00").await);
            trade(&app, &ada, &format!("{name}-buy"), "BUY", "3").await;
            let sent = if has_other { "700.00" } else { "0.00" };
            assert_eq!(
                balances(&app, &ada).await,
                format!("400.00 100.00 0.00 0.00 {} 0.00", if has_other { "1400.00" } else { "700.00" })
            );
            returned(&app, &first, "R02").await;
            assert_eq!(
                [status(&app, &first).await, status(&app, &second).await, status(&app, &paid).await],
                ["RETURNED", "FAILED", "FAILED"]
            );
            let reached = timeline(&app, &paid).await;
            assert_eq!(reached.len(), 2, "{reached:?}");
            assert_eq!(balances(&app, &ada).await, format!("0.00 0.00 0.00 0.00 {sent} 300.00"));
            app.advance_to(&format!("{}T15:00:00Z", if has_other { "2026-07-24" } else { "2026-07-16" })).await;
            assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 300.00");
        }
    }

    async fn shares_with_a_new_symbol_are_sold(app: TestApp) {
        let ada = invested(&app).await;
        let change = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
            corporateAction { id } userErrors { message } } }";
        let input = json!({ "idempotencyKey": "symbol", "symbol": "VTI", "exOn": "2026-07-15",
            "terms": { "symbolChange": { "symbol": "TOTAL" } } });
        app.gql(change, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
        app.advance_to("2026-07-15T15:00:00Z").await;
        app.expire_caches();
        app.quote("TOTAL", "100.00", "100.00").await;
        let id = id_of(&withdraw(&app, &ada, "w", "600.00").await);
        app.advance_to("2026-07-15T15:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "400.00 0.00 0.00 0.00 600.00 0.00");
    }

    async fn shares_are_promised_to_one_withdrawal(app: TestApp) {
        let ada = closed(&app).await;
        let first = id_of(&withdraw(&app, &ada, "first", "900.00").await);
        for amount in ["900.00", "100.01"] {
            assert_eq!(
                refused(&app, &ada, amount, amount).await,
                json!({ "code": "INSUFFICIENT_FUNDS", "path": ["amount"],
                    "message": "At most $100.00 can be withdrawn." })
            );
        }
        // Half of what is left, and then all of it.
        let second = withdraw(&app, &ada, "second", "50.00").await;
        let third = withdraw(&app, &ada, "third", "50.00").await;
        assert_eq!((&second["mayBeLower"], &third["mayBeLower"]), (&json!(false), &json!(true)));
        assert_eq!(refused(&app, &ada, "more", "0.01").await["message"], "At most $0.00 can be withdrawn.");
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 1000.00 0.00");
        app.advance_to("2026-07-16T12:30:00Z").await;
        for (id, paid) in [(first, "900.00"), (id_of(&second), "50.00"), (id_of(&third), "50.00")] {
            assert_eq!(status(&app, &id).await, "COMPLETED");
            assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], paid);
        }
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    /// A profit on money that was never paid is free-riding, whichever way the deposit ends.
    async fn a_deposit_whose_money_bought_and_sold_shares_is_not_canceled(app: TestApp) {
        instant(&app, "400").await;
        let ada = app.customer("Ada").await;
        let settled = deposit(&app, &ada, "settled", "10.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        let id = deposit(&app, &ada, "a", "400.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "3").await;
        app.quote("VTI", "110.00", "110.00").await;
        trade(&app, &ada, "sell", "SELL", "3").await;
        assert_eq!(balances(&app, &ada).await, "440.00 440.00 0.00 0.00 0.00 0.00");
        assert_eq!(
            cancel(&app, &id).await.user_error("transferCancel"),
            &json!({ "code": "TRANSFER_NOT_CANCELABLE", "path": ["transferId"],
                "message": "The money of the deposit was spent." })
        );
        assert_eq!(violations(&app, &ada).await, ["GOOD_FAITH"]);
        // The bank account is disabled, so the deposit fails.
        returned(&app, &settled, "R02").await;
        assert_eq!(status(&app, &id).await, "FAILED");
        let frozen = account(&app, &ada).await;
        assert_eq!(
            (&frozen["status"], &frozen["frozenUntil"]),
            (&json!("FROZEN"), &json!("2026-10-08T15:00:00Z"))
        );
        assert_eq!(violations(&app, &ada).await, ["FREE_RIDING", "GOOD_FAITH"]);
        assert_eq!(balances(&app, &ada).await, "30.00 30.00 0.00 0.00 0.00 0.00");
    }

    /// Neither deposit alone paid for the shares, but together they did, and neither is paid.
    async fn two_deposits_that_paid_for_shares_together_are_free_riding_when_both_fail(app: TestApp) {
        instant(&app, "800").await;
        let ada = app.customer("Ada").await;
        let first = deposit(&app, &ada, "first", "400.00").await;
        let second = deposit(&app, &ada, "second", "400.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "3").await;
        app.quote("VTI", "110.00", "110.00").await;
        trade(&app, &ada, "sell", "SELL", "3").await;
        assert_eq!(balances(&app, &ada).await, "830.00 830.00 0.00 0.00 0.00 0.00");
        canceled(&app, &first).await;
        assert_eq!(cancel(&app, &second).await.user_error("transferCancel")["code"], "TRANSFER_NOT_CANCELABLE");
        assert_eq!(violations(&app, &ada).await, ["GOOD_FAITH"]);
        returned(&app, &second, "R08").await;
        assert_eq!(account(&app, &ada).await["status"], "FROZEN");
        assert_eq!(violations(&app, &ada).await, ["FREE_RIDING", "GOOD_FAITH"]);
        assert_eq!(balances(&app, &ada).await, "30.00 30.00 0.00 0.00 0.00 0.00");
    }

    async fn settled_cash_of_a_canceled_withdrawal_is_settled_cash_again(app: TestApp) {
        let ada = app.funded_customer("Ada", "1200.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "5").await;
        let id = id_of(&withdraw(&app, &ada, "w", "700.00").await);
        trade(&app, &ada, "sell", "SELL", "5").await;
        trade(&app, &ada, "again", "BUY", "4").await;
        assert_eq!(balances(&app, &ada).await, "500.00 100.00 0.00 0.00 700.00 0.00");
        canceled(&app, &id).await;
        assert_eq!(balances(&app, &ada).await, "1200.00 800.00 700.00 0.00 0.00 0.00");
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "1200.00 800.00 800.00 0.00 0.00 0.00");
    }

    /// An order holds proceeds that have settled, while the withdrawal holds proceeds that have not.
    async fn unsettled_proceeds_of_a_canceled_withdrawal_are_unsettled_again(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        withdraw(&app, &ada, "cash", "100.00").await;
        trade(&app, &ada, "friday", "SELL", "4").await;
        rest(&app, &ada, "rest", "8", "50.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "monday", "SELL", "3").await;
        let id = id_of(&withdraw(&app, &ada, "w", "300.00").await);
        app.advance_to("2026-07-13T15:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "600.00 0.00 0.00 0.00 400.00 0.00");
        canceled(&app, &id).await;
        assert_eq!(balances(&app, &ada).await, "900.00 300.00 0.00 0.00 100.00 0.00");
        app.advance_to("2026-07-14T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "900.00 300.00 300.00 0.00 100.00 0.00");
    }

    /// Only what has not settled yet goes back to the unsettled proceeds.
    async fn proceeds_that_settled_while_a_withdrawal_waited_are_settled_cash(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        withdraw(&app, &ada, "cash", "100.00").await;
        trade(&app, &ada, "friday", "SELL", "4").await;
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        app.gql(hours, json!({})).await.data();
        app.advance_to("2026-07-10T21:00:00Z").await;
        let id = id_of(&withdraw(&app, &ada, "w", "500.00").await);
        assert_eq!(balances(&app, &ada).await, "500.00 0.00 0.00 0.00 500.00 0.00");
        app.advance_to("2026-07-13T13:00:00Z").await;
        assert_eq!(status(&app, &id).await, "PENDING");
        canceled(&app, &id).await;
        assert_eq!(balances(&app, &ada).await, "900.00 400.00 400.00 0.00 100.00 0.00");
    }

    async fn a_part_of_the_proceeds_settles_while_a_withdrawal_waits(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        withdraw(&app, &ada, "cash", "100.00").await;
        trade(&app, &ada, "friday", "SELL", "4").await;
        app.advance_to("2026-07-13T11:00:00Z").await;
        trade(&app, &ada, "monday", "SELL", "3").await;
        let id = id_of(&withdraw(&app, &ada, "w", "500.00").await);
        assert_eq!(balances(&app, &ada).await, "400.00 200.00 0.00 0.00 600.00 0.00");
        app.advance_to("2026-07-13T13:00:00Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        canceled(&app, &id).await;
        assert_eq!(balances(&app, &ada).await, "900.00 700.00 400.00 0.00 100.00 0.00");
        app.advance_to("2026-07-14T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "900.00 700.00 700.00 0.00 100.00 0.00");
    }

    async fn other_proceeds_settle_on_time_while_a_withdrawal_waits_for_its_own(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        withdraw(&app, &ada, "cash", "100.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "monday", "SELL", "1").await;
        let resting = rest(&app, &ada, "rest", "2", "50.00").await;
        app.advance_to("2026-07-14T11:00:00Z").await;
        let id = id_of(&withdraw(&app, &ada, "w", "50.00").await);
        app.advance_to("2026-07-14T11:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        cancel_order(&app, &resting).await;
        assert_eq!(balances(&app, &ada).await, "850.00 100.00 0.00 0.00 150.00 0.00");
        app.advance_to("2026-07-14T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "850.00 100.00 100.00 0.00 150.00 0.00");
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        assert_eq!(balances(&app, &ada).await, "850.00 100.00 100.00 0.00 50.00 0.00");
    }

    async fn dividends_and_fractions_repay_what_is_owed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        let reinvest = "mutation($id: ID!) { accountUpdate(input: { accountId: $id, patch: { dividendOption: REINVEST \
            } }) { account { id } userErrors { message } } }";
        app.gql(reinvest, json!({ "id": ada.account_id })).await.entity("accountUpdate", "account");
        returned(&app, &id, "R08").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 900.00");
        let apply = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
            corporateAction { id } userErrors { message } } }";
        for (key, ex_on, terms) in [
            ("dividend", "2026-07-14", json!({ "cashDividend": { "perShare": { "amount": "10.00" },
                "payOn": "2026-07-15" } })),
            ("split", "2026-07-16", json!({ "reverseSplit": { "newShares": 1, "oldShares": 2, "wholeSharesOnly": true,
                "cashInLieuPrice": { "amount": "200.00" } } })),
        ] {
            let input = json!({ "idempotencyKey": key, "symbol": "VTI", "exOn": ex_on, "terms": terms });
            app.gql(apply, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
        }
        app.advance_to("2026-07-15T12:29:59Z").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 900.00");
        app.advance_to("2026-07-15T15:00:00Z").await;
        // The dividend of 90 dollars is not reinvested.
        assert_eq!(balances(&app, &ada).await, "90.00 0.00 0.00 0.00 0.00 810.00");
        // Half a share is paid for with 100 dollars.
        app.advance_to("2026-07-16T15:00:00Z").await;
        assert_eq!(balances(&app, &ada).await, "90.00 0.00 0.00 0.00 0.00 710.00");
        trade(&app, &ada, "sell", "SELL", "4").await;
        app.advance_to("2026-07-17T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "90.00 90.00 90.00 0.00 0.00 0.00");
    }

    async fn sales_for_a_withdrawal_are_changed_only_with_it(app: TestApp) {
        let ada = closed(&app).await;
        let id = id_of(&withdraw(&app, &ada, "w", "600.00").await);
        settings(&app, json!({ "fillMode": "BARS" })).await;
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SELLING");
        let sale = sales(&app, &ada).await.remove(0);
        assert_eq!(
            sale,
            json!({ "id": sale["id"], "status": "NEW", "quantity": "4", "viewerCanCancel": false,
                "viewerCanReplace": false, "withdrawal": { "id": id } })
        );
        let input = json!({ "idempotencyKey": "no", "orderId": sale["id"] });
        let refused = app.gql(ORDER_CANCEL, json!({ "input": input })).await;
        assert_eq!(
            refused.user_error("orderCancel")["message"],
            "The order sells shares for a withdrawal. Cancel the withdrawal."
        );
        canceled(&app, &id).await;
        assert_eq!(sales(&app, &ada).await[0]["status"], "CANCELED");
        assert_eq!(balances(&app, &ada).await, "1000.00 200.00 200.00 0.00 0.00 0.00");
    }

    async fn what_was_not_sold_by_the_close_is_sold_the_next_day(app: TestApp) {
        let ada = invested(&app).await;
        let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
        app.gql(hours, json!({})).await.data();
        settings(&app, json!({ "fillMode": "BARS", "participationCap": "10" })).await;
        push(&app, "2026-07-10T16:00:00Z", "10").await;
        app.advance_to("2026-07-10T16:00:30Z").await;
        let created = withdraw(&app, &ada, "w", "950.00").await;
        assert_eq!((&created["mayBeLower"], &created["expectedOn"]), (&json!(true), &json!("2026-07-15")));
        let id = id_of(&created);
        app.advance_to("2026-07-10T16:01:00Z").await;
        push(&app, "2026-07-10T16:01:00Z", "20").await;
        app.advance_to("2026-07-10T16:02:00Z").await;
        assert_eq!(status(&app, &id).await, "SELLING");
        assert_eq!(balances(&app, &ada).await, "600.00 0.00 0.00 0.00 400.00 0.00");
        assert_eq!(refused(&app, &ada, "more", "50.01").await["message"], "At most $50.00 can be withdrawn.");
        app.advance_to("2026-07-10T20:00:01Z").await;
        assert_eq!(status(&app, &id).await, "SELLING");
        assert_eq!(transfer(&app, &id).await["expectedOn"], "2026-07-16");
        assert_eq!(sales(&app, &ada).await[0]["status"], "EXPIRED");
        app.advance_to("2026-07-13T13:30:00Z").await;
        push(&app, "2026-07-13T13:30:00Z", "1000").await;
        app.advance_to("2026-07-13T13:31:00Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "50.00 0.00 0.00 0.00 950.00 0.00");
        app.advance_to("2026-07-16T12:30:00Z").await;
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "950.00");
        assert_eq!(balances(&app, &ada).await, "50.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn sales_raise_the_amount_after_their_fees(app: TestApp) {
        let ada = invested(&app).await;
        settings(&app, json!({ "secFeePerMillion": "27.80", "tradingActivityFee": { "perShare": "0.000166",
            "maximum": { "amount": "8.30" } } }))
        .await;
        let id = id_of(&withdraw(&app, &ada, "w", "600.00").await);
        app.advance_to("2026-07-10T16:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        // Two cents for the SEC and one for FINRA.
        let sold = sales(&app, &ada).await;
        assert_eq!((sold.len(), &sold[0]["quantity"]), (1, &json!("4.0003")));
        assert_eq!(balances(&app, &ada).await, "399.97 0.00 0.00 0.00 600.00 0.00");
    }

    async fn a_withdrawal_returned_after_the_account_was_closed_can_be_paid_out_again(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let id = id_of(&withdraw(&app, &ada, "w", "1000.00").await);
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        assert_eq!(change_account(&app, "accountClose", &ada, ", reason: \"Moved\"").await, "CLOSED");
        returned(&app, &id, "R03").await;
        assert_eq!(account(&app, &ada).await["status"], "FROZEN");
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        assert_eq!(change_account(&app, "accountUnfreeze", &ada, "").await, "ACTIVE");
        let other = with_bank(&app, &ada, "4327849999").await;
        let again = id_of(&withdraw(&app, &other, "again", "1000.00").await);
        app.advance_to("2026-07-20T12:30:00Z").await;
        assert_eq!(status(&app, &again).await, "COMPLETED");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
        assert_eq!(change_account(&app, "accountClose", &ada, ", reason: \"Moved\"").await, "CLOSED");
    }

    async fn a_second_return_of_the_same_deposit_is_not_free_riding_again(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        trade(&app, &ada, "sell", "SELL", "4").await;
        returned(&app, &id, "R01").await;
        assert_eq!(account(&app, &ada).await["frozenUntil"], "2026-10-08T15:00:00Z");
        app.advance_to("2026-07-13T15:00:00Z").await;
        returned(&app, &id, "R01").await;
        let frozen = account(&app, &ada).await;
        assert_eq!((&frozen["status"], &frozen["frozenUntil"]), (&json!("FROZEN"), &json!("2026-10-08T15:00:00Z")));
        assert_eq!(change_account(&app, "accountUnfreeze", &ada, "").await, "ACTIVE");
        // What is sold to repay the debt is no free-riding either.
        trade(&app, &ada, "repay", "SELL", "5").await;
        app.advance_to("2026-07-14T15:00:00Z").await;
        returned(&app, &id, "R01").await;
        let active = account(&app, &ada).await;
        assert_eq!((&active["status"], &active["frozenUntil"]), (&json!("ACTIVE"), &Value::Null));
        assert_eq!(violations(&app, &ada).await, ["FREE_RIDING"]);
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn a_disabled_bank_account_is_not_the_default(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "100.00").await;
        returned(&app, &id, "R03").await;
        let set = "mutation($input: BankAccountSetDefaultInput!) { bankAccountSetDefault(input: $input) { \
            bankAccount { isDefault } userErrors { code path message } } }";
        let input = json!({ "bankAccountId": ada.bank_account_id, "isDefault": true });
        assert_eq!(
            app.gql(set, json!({ "input": input })).await.user_error("bankAccountSetDefault"),
            &json!({ "code": "BANK_ACCOUNT_DISABLED", "path": ["bankAccountId"],
                "message": "A bank has returned a transfer of this bank account. Link another one." })
        );
    }

    /// Of two returns with different codes, one is applied.
    async fn a_transfer_is_returned_once_by_two_returns_at_the_same_time(app: TestApp) {
        for (turn, name) in ["Ada", "Ben", "Cyd", "Dan"].into_iter().enumerate() {
            let customer = app.customer(name).await;
            let id = deposit(&app, &customer, name, "1000.00").await;
            app.advance_to(&format!("2026-07-{}T15:00:00Z", 14 + turn)).await;
            let codes = ["R08", "R06", "R08"];
            let answers = join_all(codes.map(async |code| {
                let answer = app.gql(RETURN, json!({ "input": { "transferId": id, "code": code } })).await;
                (code, answer.data()["sandboxTransferReturn"]["userErrors"][0]["code"].clone())
            }))
            .await;
            let applied = if answers[1].1.is_null() { "R06" } else { "R08" };
            for (code, refusal) in answers {
                let expected = if code == applied { Value::Null } else { json!("TRANSFER_NOT_RETURNABLE") };
                assert_eq!(refusal, expected, "{code}");
            }
            assert_eq!(balances(&app, &customer).await, "0.00 0.00 0.00 0.00 0.00 0.00");
            assert_eq!(timeline(&app, &id).await.last().unwrap(), &format!("RETURNED 2026-07-{} {applied}", 14 + turn));
        }
    }

    async fn a_transfer_is_canceled_or_sent_when_both_happen_at_the_same_time(app: TestApp) {
        let mut day = 10;
        for name in ["Ada", "Ben", "Cyd", "Dan"] {
            let customer = app.funded_customer(name, "100.00").await;
            day += 1;
            app.advance_to(&format!("2026-07-{day}T16:00:00Z")).await;
            let paid_in = deposit(&app, &customer, &format!("{name}-in"), "30.00").await;
            let paid_out = id_of(&withdraw(&app, &customer, &format!("{name}-out"), "40.00").await);
            day += 1;
            let end = format!("2026-07-{day}T03:59:59Z");
            let cancels = join_all([&paid_in, &paid_out].map(async |id| {
                cancel(&app, id).await.data()["transferCancel"]["userErrors"] == json!([])
            }));
            let (canceled, ()) = join(cancels, app.advance_to(&end)).await;
            for (id, canceled) in [&paid_in, &paid_out].into_iter().zip(&canceled) {
                assert_eq!(status(&app, id).await, if *canceled { "CANCELED" } else { "SUBMITTED" });
            }
            let left = if canceled[1] { "100.00" } else { "60.00" };
            let comes = if canceled[0] { "0.00" } else { "30.00" };
            let goes = if canceled[1] { "0.00" } else { "40.00" };
            assert_eq!(balances(&app, &customer).await, format!("{left} {left} {left} {comes} {goes} 0.00"));
        }
    }

    /// A return cancels purchases in the order in which their owner does.
    async fn a_purchase_is_canceled_once_by_its_owner_and_a_return(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        for (turn, name) in ["Ada", "Ben", "Cyd", "Dan"].into_iter().enumerate() {
            let customer = app.customer(name).await;
            let paid_in = deposit(&app, &customer, name, "100.00").await;
            app.advance_to(&format!("2026-07-{}T15:00:00Z", 14 + turn)).await;
            let resting = rest(&app, &customer, &format!("{name}-rest"), "2", "45.00").await;
            let input = json!({ "idempotencyKey": format!("{name}-cancel"), "orderId": resting });
            let (canceled, _) =
                join(app.gql(ORDER_CANCEL, json!({ "input": input })), returned(&app, &paid_in, "R08")).await;
            let refusal = &canceled.data()["orderCancel"]["userErrors"][0]["code"];
            assert!(refusal.is_null() || refusal == "NOT_CANCELABLE", "{}", canceled.body);
            assert_eq!(app.ended(&resting).await["status"], "CANCELED");
            assert_eq!(balances(&app, &customer).await, "0.00 0.00 0.00 0.00 0.00 0.00");
        }
        assert_eq!(app.deadlocks().await, 0);
    }

    /// The money of a deposit is taken back once, whatever has been sold for a withdrawal by then.
    async fn a_deposit_returned_while_a_withdrawal_sells(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        for (turn, name) in ["Ada", "Ben", "Cyd", "Dan"].into_iter().enumerate() {
            let customer = app.customer(name).await;
            let paid_in = deposit(&app, &customer, name, "1000.00").await;
            app.advance_to(&format!("2026-07-{}T15:00:00Z", 14 + turn)).await;
            trade(&app, &customer, &format!("{name}-buy"), "BUY", "8").await;
            let input = json!({ "input": customer.deposit(&format!("{name}-out"), "600.00") });
            let (created, _) =
                join(app.gql(crate::support::WITHDRAWAL_CREATE, input), returned(&app, &paid_in, "R08")).await;
            app.advance_to(&format!("2026-07-{}T15:00:05Z", 14 + turn)).await;
            let refusal = created.data()["withdrawalCreate"]["userErrors"][0]["code"].clone();
            assert!(refusal.is_null() || refusal == "BALANCE_OWED", "{}", created.body);
            if refusal.is_null() {
                assert_eq!(status(&app, &id_of(&created.data()["withdrawalCreate"]["transfer"])).await, "FAILED");
            }
            // What was sold by then has repaid a part, or will when it settles.
            assert_eq!(status(&app, &paid_in).await, "RETURNED");
            let books = balances(&app, &customer).await;
            assert!(books.starts_with("0.00 0.00 0.00 0.00 0.00 "), "{books}");
        }
    }
}

async fn push(app: &TestApp, starts_at: &str, volume: &str) {
    let price = json!({ "amount": "100.00" });
    let input = json!({ "symbol": "VTI", "startsAt": starts_at, "open": price, "high": price, "low": price,
        "close": price, "volume": volume });
    let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { instrument { symbol } \
        userErrors { message } } }";
    app.gql(push, json!({ "input": input })).await.entity("sandboxBarPush", "instrument");
}
