//! Life cycles of withdrawals on the sandbox clock, with all balances after each step.

use super::returns::{
    CANCEL, balances, deposit, returned, settings, status, timeline, trade, transfer, with_bank,
};
use crate::support::{BANK_ACCOUNT_LINK, Customer, ORDER_PLACE, TestApp, WITHDRAWAL_CREATE, on_both};
use entity::{Money, event, ledger_account, ledger_transfer};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::collections::HashMap;

pub async fn withdraw(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> Value {
    let created = app.gql(WITHDRAWAL_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    created.entity("withdrawalCreate", "transfer").clone()
}

pub fn id_of(transfer: &Value) -> String {
    transfer["id"].as_str().unwrap().to_owned()
}

pub async fn refused(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> Value {
    let answer = app.gql(WITHDRAWAL_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    answer.user_error("withdrawalCreate").clone()
}

/// The same customer after the exchange has closed on Friday.
pub async fn closed(app: &TestApp) -> Customer {
    let ada = invested(app).await;
    close(app).await;
    ada
}

/// Lets the exchange close on Friday.
async fn close(app: &TestApp) {
    let hours = "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { message } } }";
    app.gql(hours, json!({})).await.data();
    app.advance_to("2026-07-10T21:00:00Z").await;
}

/// Tries to remove the customer's bank account, and returns the code of the refusal; null if it was removed.
async fn removal(app: &TestApp, customer: &Customer) -> Value {
    let remove = "mutation($input: BankAccountRemoveInput!) { bankAccountRemove(input: $input) { userErrors { code } \
        } }";
    let answer = app.gql(remove, json!({ "input": { "bankAccountId": customer.bank_account_id } })).await;
    answer.data()["bankAccountRemove"]["userErrors"][0]["code"].clone()
}

/// Returns all movements of dollars in the order of their events: event, debit, credit and amount.
async fn postings(app: &TestApp) -> Vec<String> {
    let db = &app.app.db.read;
    let of_partner = ledger_account::Column::PartnerId.eq(app.partner.id);
    let accounts = ledger_account::Entity::find().filter(of_partner).all(db).await.unwrap();
    let kinds: HashMap<_, _> = accounts.iter().map(|account| (account.id, account.kind.to_value())).collect();
    let events = event::Entity::find()
        .filter(event::Column::PartnerId.eq(app.partner.id))
        .order_by_asc(event::Column::Seq)
        .all(db)
        .await
        .unwrap();
    let mut lines = Vec::new();
    for event in events {
        let moved = ledger_transfer::Entity::find()
            .filter(ledger_transfer::Column::CauseId.eq(event.id))
            .filter(ledger_transfer::Column::Asset.eq("USD"))
            .all(db)
            .await
            .unwrap();
        let mut own: Vec<String> = moved
            .iter()
            .map(|row| {
                let (debit, credit) = (&kinds[&row.debit_account_id], &kinds[&row.credit_account_id]);
                format!("{} {debit} > {credit} {}", event.kind, Money::from_units(row.amount))
            })
            .collect();
        own.sort();
        lines.extend(own);
    }
    lines
}

/// A customer with 200.00 in cash and 8 shares at 100.00, on Friday noon.
pub async fn invested(app: &TestApp) -> Customer {
    let ada = app.funded_customer("Ada", "1000.00").await;
    app.quote("VTI", "100.00", "100.00").await;
    trade(app, &ada, "buy", "BUY", "8").await;
    ada
}

on_both! {
    /// One withdrawal has sold and waits for settlement, the other waits until the market opens.
    async fn a_frozen_account_pays_nothing_that_was_not_sent(app: TestApp) {
        let ada = invested(&app).await;
        let sold = id_of(&withdraw(&app, &ada, "sold", "250.00").await);
        app.advance_to("2026-07-10T16:00:01Z").await;
        assert_eq!(status(&app, &sold).await, "AWAITING_SETTLEMENT");
        close(&app).await;
        let waits = id_of(&withdraw(&app, &ada, "waits", "150.00").await);
        let paid_in = deposit(&app, &ada, "in", "30.00").await;
        let freeze = "mutation($id: ID!) { accountFreeze(input: { accountId: $id, reason: \"Two phones.\" }) { \
            userErrors { message } } }";
        app.gql(freeze, json!({ "id": ada.account_id })).await.data();
        app.advance_to("2026-07-14T21:00:00Z").await;
        for id in [&sold, &waits] {
            let ended = app.gql("query($id: ID!) { transfer(id: $id) { status failure } }", json!({ "id": id })).await;
            let expected = json!({ "status": "FAILED", "failure": "ACCOUNT_NOT_ACTIVE" });
            assert_eq!(ended.data()["transfer"], expected);
        }
        assert_eq!(status(&app, &paid_in).await, "SETTLED");
        assert_eq!(balances(&app, &ada).await, "1030.00 280.00 280.00 0.00 0.00 0.00");
    }

    /// An order holds seven of the eight shares, so the cash of 200 dollars and one share can be paid out.
    async fn a_withdrawal_that_sells_nearly_all_free_shares_may_be_lower(app: TestApp) {
        let ada = invested(&app).await;
        let mut held = ada.order("held", "SELL", "VTI", "7");
        held["type"] = json!("LIMIT");
        held["limitPrice"] = json!({ "amount": "200.00" });
        held["timeInForce"] = json!("GTC");
        app.gql(ORDER_PLACE, json!({ "input": held })).await.entity("orderPlace", "order");
        close(&app).await;
        for (amount, may_be_lower) in [("290.00", false), ("290.01", true)] {
            let created = withdraw(&app, &ada, amount, amount).await;
            assert_eq!(created["mayBeLower"], may_be_lower, "{amount}");
            let input = json!({ "idempotencyKey": format!("cancel-{amount}"), "transferId": id_of(&created) });
            app.gql(CANCEL, json!({ "input": input })).await.entity("transferCancel", "transfer");
        }
    }

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
        let ada = closed(&app).await;
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

    async fn a_withdrawal_never_pays_more_than_was_asked(app: TestApp) {
        let ada = closed(&app).await;
        let id = id_of(&withdraw(&app, &ada, "w", "950.00").await);
        app.quote("VTI", "110.00", "110.00").await;
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "130.00 0.00 0.00 0.00 950.00 0.00");
        app.advance_to("2026-07-16T12:30:00Z").await;
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "950.00");
        assert_eq!(balances(&app, &ada).await, "130.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn at_most_90_percent_is_paid_in_full_when_the_price_falls(app: TestApp) {
        let ada = closed(&app).await;
        let created = withdraw(&app, &ada, "w", "900.00").await;
        assert_eq!(created["mayBeLower"], false);
        let id = id_of(&created);
        app.quote("VTI", "87.50", "87.50").await;
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 900.00 0.00");
        app.advance_to("2026-07-16T12:30:00Z").await;
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "900.00");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn shares_that_are_worth_almost_nothing_raise_almost_nothing(app: TestApp) {
        let ada = closed(&app).await;
        let cash = id_of(&withdraw(&app, &ada, "cash", "150.00").await);
        let id = id_of(&withdraw(&app, &ada, "w", "850.00").await);
        assert_eq!(balances(&app, &ada).await, "800.00 0.00 0.00 0.00 200.00 0.00");
        app.quote("VTI", "0.01", "0.01").await;
        app.advance_to("2026-07-13T13:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 200.08 0.00");
        app.advance_to("2026-07-16T12:30:00Z").await;
        assert_eq!((status(&app, &cash).await, status(&app, &id).await), ("COMPLETED".into(), "COMPLETED".into()));
        assert_eq!(transfer(&app, &id).await["paidAmount"]["amount"], "50.08");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn a_withdrawal_sells_a_part_of_each_position(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        app.quote("KO", "50.00", "50.00").await;
        trade(&app, &ada, "vti", "BUY", "4").await;
        let ko = app.gql(ORDER_PLACE, json!({ "input": ada.order("ko", "BUY", "KO", "4") })).await;
        let ko = id_of(ko.entity("orderPlace", "order"));
        assert_eq!(app.ended(&ko).await["status"], "FILLED");
        assert_eq!(balances(&app, &ada).await, "1000.00 400.00 400.00 0.00 0.00 0.00");
        let id = id_of(&withdraw(&app, &ada, "w", "550.00").await);
        app.advance_to("2026-07-10T16:00:01Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "450.00 0.00 0.00 0.00 550.00 0.00");
        let held = "query($id: ID!) { account(id: $id) { positions { edges { node { instrument { symbol } quantity \
            } } } } }";
        let held = app.gql(held, json!({ "id": ada.account_id })).await;
        let held = held.data()["account"]["positions"]["edges"].as_array().unwrap().clone();
        let mut held: Vec<_> = held
            .iter()
            .map(|edge| edge["node"].clone())
            .map(|position| format!("{} {}", position["instrument"]["symbol"], position["quantity"]))
            .collect();
        held.sort();
        assert_eq!(held, [r#""KO" "3""#, r#""VTI" "3""#]);
    }

    async fn proceeds_that_have_not_settled_can_be_withdrawn_once_they_have(app: TestApp) {
        let ada = invested(&app).await;
        trade(&app, &ada, "sell", "SELL", "3").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 500.00 200.00 0.00 0.00 0.00");
        let created = withdraw(&app, &ada, "w", "450.00").await;
        assert_eq!(created["expectedOn"], "2026-07-15");
        let id = id_of(&created);
        assert_eq!(balances(&app, &ada).await, "550.00 50.00 0.00 0.00 450.00 0.00");
        app.advance_to("2026-07-13T12:29:59Z").await;
        assert_eq!(status(&app, &id).await, "AWAITING_SETTLEMENT");
        assert_eq!(balances(&app, &ada).await, "550.00 50.00 0.00 0.00 450.00 0.00");
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        assert_eq!(balances(&app, &ada).await, "550.00 50.00 50.00 0.00 450.00 0.00");
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "COMPLETED");
        assert_eq!(balances(&app, &ada).await, "550.00 50.00 50.00 0.00 0.00 0.00");
    }

    async fn a_bank_account_stays_until_all_of_its_transfers_have_ended(app: TestApp) {
        let ada = invested(&app).await;
        let pending = json!("TRANSFER_PENDING");
        let id = id_of(&withdraw(&app, &ada, "w", "600.00").await);
        assert_eq!(removal(&app, &ada).await, pending);
        for (at, expected) in [
            ("2026-07-10T16:00:01Z", "AWAITING_SETTLEMENT"),
            ("2026-07-13T12:30:00Z", "SUBMITTED"),
            ("2026-07-15T12:29:59Z", "SUBMITTED"),
        ] {
            app.advance_to(at).await;
            assert_eq!((status(&app, &id).await.as_str(), removal(&app, &ada).await), (expected, pending.clone()));
        }
        app.advance_to("2026-07-15T12:30:00Z").await;
        assert_eq!(removal(&app, &ada).await, Value::Null);
        let ada = with_bank(&app, &ada, "9990001").await;
        let id = deposit(&app, &ada, "d", "500.00").await;
        for (at, expected) in [
            ("2026-07-16T03:59:58Z", "PENDING"),
            ("2026-07-16T03:59:59Z", "SUBMITTED"),
            ("2026-07-20T12:30:00Z", "RETURNED"),
            ("2026-07-21T03:59:59Z", "SUBMITTED"),
        ] {
            app.advance_to(at).await;
            assert_eq!((status(&app, &id).await.as_str(), removal(&app, &ada).await), (expected, pending.clone()));
        }
        // The deposit is returned for the third time on July 28.
        app.advance_to("2026-07-28T12:30:00Z").await;
        assert_eq!(transfer(&app, &id).await["presentments"], 3);
        assert_eq!((status(&app, &id).await.as_str(), removal(&app, &ada).await), ("RETURNED", Value::Null));
    }

    async fn transfers_skip_the_holidays_of_banks_and_sales_those_of_the_exchange(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let ben = app.customer("Ben").await;
        deposit(&app, &ben, "fund-Ben", "1000.00").await;
        app.advance_to("2026-07-14T16:00:00Z").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ben, "buy", "BUY", "9").await;
        withdraw(&app, &ben, "all-cash", "100.00").await;
        let mut ids = Vec::new();
        // Day of the request; when a deposit settles; when money from cash, and from a sale, is in the bank account.
        for (day, settles_on, from_cash_on, from_sale_on) in [
            ("2026-07-17", "2026-07-20", "2026-07-22", "2026-07-22"),
            ("2026-09-04", "2026-09-08", "2026-09-10", "2026-09-10"),
            ("2026-10-09", "2026-10-13", "2026-10-15", "2026-10-15"),
            ("2026-10-12", "2026-10-13", "2026-10-15", "2026-10-15"),
            ("2026-11-10", "2026-11-12", "2026-11-16", "2026-11-16"),
            ("2026-11-25", "2026-11-27", "2026-12-01", "2026-12-01"),
            ("2027-12-23", "2027-12-24", "2027-12-28", "2027-12-29"),
        ] {
            app.advance_to(&format!("{day}T16:00:00Z")).await;
            let paid_in = deposit(&app, &ada, day, "1.00").await;
            assert_eq!(transfer(&app, &paid_in).await["expectedOn"], settles_on, "{day}");
            let from_cash = withdraw(&app, &ada, &format!("{day}-out"), "2.00").await;
            let from_sale = withdraw(&app, &ben, &format!("{day}-sale"), "50.00").await;
            assert_eq!(
                (&from_cash["expectedOn"], &from_sale["expectedOn"]),
                (&json!(from_cash_on), &json!(from_sale_on)),
                "{day}"
            );
            ids.extend([paid_in, id_of(&from_cash), id_of(&from_sale)]);
        }
        app.advance_to("2028-01-05T16:00:00Z").await;
        for id in ids {
            let found = transfer(&app, &id).await;
            let last = found["timeline"].as_array().unwrap().last().unwrap();
            assert!(last["status"] == "SETTLED" || last["status"] == "COMPLETED", "{found}");
            assert_eq!(last["on"], found["expectedOn"]);
        }
        assert_eq!(balances(&app, &ada).await, "993.00 993.00 993.00 0.00 0.00 0.00");
        assert_eq!(balances(&app, &ben).await, "550.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn every_event_posts_what_the_chart_of_accounts_says(app: TestApp) {
        let ada = app.customer("Ada").await;
        let first = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        let paid = id_of(&withdraw(&app, &ada, "paid", "400.00").await);
        app.advance_to("2026-07-15T12:30:00Z").await;
        returned(&app, &paid, "R23").await;
        let second = deposit(&app, &ada, "b", "50.00").await;
        returned(&app, &second, "R06").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        returned(&app, &first, "R08").await;
        deposit(&app, &ada, "c", "1000.00").await;
        app.advance_to("2026-07-16T15:00:00Z").await;
        withdraw(&app, &ada, "sells", "600.00").await;
        app.advance_to("2026-07-21T15:00:00Z").await;
        assert_eq!(
            postings(&app).await,
            [
                "deposit.pending bank_ach_in_transit > pending_deposit 1000.00",
                "deposit.settled bank_fbo > bank_ach_in_transit 1000.00",
                "deposit.settled pending_deposit > cash 1000.00",
                "withdrawal.pending cash > pending_withdrawal 400.00",
                "withdrawal.completed pending_withdrawal > bank_fbo 400.00",
                "withdrawal.returned bank_fbo > cash 400.00",
                "deposit.pending bank_ach_in_transit > pending_deposit 50.00",
                "deposit.returned pending_deposit > bank_ach_in_transit 50.00",
                "order.filled cash > clearing_payable 900.00",
                "deposit.returned cash > bank_fbo 100.00",
                "deposit.returned receivable > bank_fbo 900.00",
                "deposit.pending bank_ach_in_transit > pending_deposit 1000.00",
                "trade.settled clearing_payable > bank_fbo 900.00",
                "deposit.settled bank_fbo > bank_ach_in_transit 1000.00",
                "deposit.settled cash > receivable 900.00",
                "deposit.settled pending_deposit > cash 1000.00",
                "withdrawal.pending cash > pending_withdrawal 100.00",
                "order.filled clearing_receivable > unsettled 500.00",
                "order.filled unsettled > pending_withdrawal 500.00",
                "trade.settled bank_fbo > clearing_receivable 500.00",
                "withdrawal.completed pending_withdrawal > bank_fbo 600.00",
            ]
        );
        assert_eq!(balances(&app, &ada).await, "400.00 0.00 0.00 0.00 0.00 0.00");
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

    async fn money_of_new_deposits_leaves_only_to_the_bank_account_that_it_came_from(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let bank = json!({ "userId": ada.user_id, "number": "987654321", "routingNumber": "021000021",
            "nickname": "Savings" });
        let bank = app.gql(BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
        let bank_account_id = bank.entity("bankAccountLink", "bankAccount")["id"].as_str().unwrap().to_owned();
        let other = Customer { bank_account_id, ..ada_of(&ada) };
        settings(&app, json!({ "depositHoldDays": 10 })).await;
        let message = |most: &str, kept: &str| {
            format!(
                "At most ${most} can be withdrawn to this bank account: ${kept} that came from others less than 10 \
                 days ago can only go back to them."
            )
        };
        assert_eq!(
            refused(&app, &other, "a", "0.01").await,
            json!({ "code": "LIMIT_EXCEEDED", "path": ["amount"], "message": message("0.00", "1000.00") })
        );
        withdraw(&app, &ada, "b", "900.00").await;
        // What came from each bank account is counted on its own.
        deposit(&app, &other, "c", "50.00").await;
        app.advance_to("2026-07-13T16:00:00Z").await;
        assert_eq!(refused(&app, &other, "d", "50.01").await["message"], message("50.00", "100.00"));
        withdraw(&app, &other, "e", "50.00").await;
        withdraw(&app, &ada, "f", "100.00").await;
        // Settles on Tuesday at 8:30 in New York.
        deposit(&app, &ada, "g", "20.00").await;
        app.advance_to("2026-07-24T12:29:59Z").await;
        assert_eq!(refused(&app, &other, "h", "20.00").await["message"], message("0.00", "20.00"));
        app.advance_to("2026-07-24T12:30:00Z").await;
        withdraw(&app, &other, "i", "20.00").await;
        app.audit().await;
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
