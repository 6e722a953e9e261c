//! Life cycles of deposits on the sandbox clock, with all balances after each step.

use crate::support::{
    BANK_ACCOUNT_LINK, Customer, DEPOSIT_CREATE, Folder, ORDER_PLACE, TestApp, older, on_both,
};
use domain::Scope;
use entity::{
    settlement_violation::{self, ViolationKind},
    transfer::{self, Status},
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use serde_json::{Value, json};

pub const RETURN: &str = "mutation($input: SandboxTransferReturnInput!) { sandboxTransferReturn(input: $input) {
    transfer { status lastReturn { code reason needsReview presentedAgainOn } } userErrors { code path message } } }";
pub const CANCEL: &str = "mutation($input: TransferCancelInput!) { transferCancel(input: $input) {
    transfer { status canceledAt viewerCanCancel } userErrors { code path message } } }";
const ACCOUNT: &str = "query($id: ID!) { account(id: $id) { status frozenUntil settlementViolations { edges { node { \
    kind } } } balance { total { amount } buyingPower { amount } withdrawable { amount } pendingDeposits { amount } \
    pendingWithdrawals { amount } owed { amount } } } }";

/// Total, buying power, withdrawable cash, pending deposits, pending withdrawals and what is owed.
pub async fn balances(app: &TestApp, customer: &Customer) -> String {
    let audit = app.audit().await;
    assert_eq!(audit.wrong, None);
    let found = app.gql(ACCOUNT, json!({ "id": customer.account_id })).await;
    let balance = &found.data()["account"]["balance"];
    ["total", "buyingPower", "withdrawable", "pendingDeposits", "pendingWithdrawals", "owed"]
        .map(|field| balance[field]["amount"].as_str().unwrap())
        .join(" ")
}

/// Returns the status of a transfer, how often it was presented, its timeline and its events.
pub async fn transfer(app: &TestApp, id: &str) -> Value {
    let query = "query($id: ID!) { transfer(id: $id) { status expectedOn presentments instantAmount { amount } \
        paidAmount { amount } timeline { status on returnCode } } }";
    app.gql(query, json!({ "id": id })).await.data()["transfer"].clone()
}

pub async fn status(app: &TestApp, id: &str) -> String {
    transfer(app, id).await["status"].as_str().unwrap().to_owned()
}

/// Returns the timeline as lines of status, date and return code.
pub async fn timeline(app: &TestApp, id: &str) -> Vec<String> {
    let found = transfer(app, id).await;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let steps = found["timeline"].as_array().unwrap().iter();
    steps
        .map(|step| format!("{} {} {}", word(&step["status"]), word(&step["on"]), word(&step["returnCode"])))
        .collect()
}

pub async fn deposit(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> String {
    let created = app.gql(DEPOSIT_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    created.entity("depositCreate", "transfer")["id"].as_str().unwrap().to_owned()
}

pub async fn refused_deposit(app: &TestApp, customer: &Customer, key: &str, amount: &str) -> Value {
    let refused = app.gql(DEPOSIT_CREATE, json!({ "input": customer.deposit(key, amount) })).await;
    refused.user_error("depositCreate").clone()
}

pub async fn returned(app: &TestApp, id: &str, code: &str) -> Value {
    let answer = app.gql(RETURN, json!({ "input": { "transferId": id, "code": code } })).await;
    answer.entity("sandboxTransferReturn", "transfer").clone()
}

pub async fn trade(app: &TestApp, customer: &Customer, key: &str, side: &str, quantity: &str) {
    let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, "VTI", quantity) })).await;
    let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
    assert_eq!(app.ended(&id).await["status"], "FILLED");
}

/// Links a bank account whose number ends with these digits, and returns the customer with it.
pub async fn with_bank(app: &TestApp, customer: &Customer, number: &str) -> Customer {
    let bank = json!({ "userId": customer.user_id, "number": number, "routingNumber": "121042882",
        "nickname": "Other" });
    let bank = app.gql(BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
    Customer {
        user_id: customer.user_id.clone(),
        account_id: customer.account_id.clone(),
        bank_account_id: bank.entity("bankAccountLink", "bankAccount")["id"].as_str().unwrap().to_owned(),
    }
}

pub async fn settings(app: &TestApp, patch: Value) {
    let update = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
        partner { id } userErrors { message } } }";
    app.gql(update, json!({ "input": { "patch": patch } })).await.entity("partnerSettingsUpdate", "partner");
}

pub async fn account(app: &TestApp, customer: &Customer) -> Value {
    app.gql(ACCOUNT, json!({ "id": customer.account_id })).await.data()["account"].clone()
}

on_both! {
    async fn return_rates_count_the_debits_of_sixty_days(app: TestApp) {
        let query = "{ partner { returnRates { days debits unauthorized { ...rate } administrative { ...rate } \
            all { ...rate } } } } fragment rate on ReturnRate { returns percent limit isAboveLimit }";
        let rates = async || app.gql(query, json!({})).await.data()["partner"]["returnRates"].clone();
        let rate = |returns: i32, percent: Option<&str>, limit: &str, is_above: bool| {
            json!({ "returns": returns, "percent": percent, "limit": limit, "isAboveLimit": is_above })
        };
        let none = json!({ "days": 60, "debits": 0, "unauthorized": rate(0, None, "0.5", false),
            "administrative": rate(0, None, "3", false), "all": rate(0, None, "15", false) });
        let (ada, ben) = (app.customer("Ada").await, app.customer("Ben").await);
        let stopped = deposit(&app, &ada, "a", "10.00").await;
        deposit(&app, &ada, "b", "20.00").await;
        let again = deposit(&app, &ada, "e", "15.00").await;
        let unauthorized = deposit(&app, &ben, "c", "30.00").await;
        assert_eq!(rates().await, none);
        app.advance_to("2026-07-10T16:00:00Z").await;
        returned(&app, &stopped, "R08").await;
        returned(&app, &unauthorized, "R10").await;
        returned(&app, &again, "R01").await;
        deposit(&app, &ada, "d", "40.00").await;
        let expected = json!({ "days": 60, "debits": 4, "unauthorized": rate(1, Some("25"), "0.5", true),
            "administrative": rate(0, Some("0"), "3", false), "all": rate(3, Some("75"), "15", true) });
        assert_eq!(rates().await, expected);
        let reader = app.key_for(&[Scope::Read]).await;
        let seen = app.gql_as(Some(&reader), query, json!({})).await.data()["partner"].clone();
        assert_eq!(seen, json!({ "returnRates": null }));
        // A debit that was presented again counts once, and as returned although it was paid then.
        app.advance_to("2026-07-15T16:00:00Z").await;
        assert_eq!(status(&app, &again).await, "SETTLED");
        assert_eq!(rates().await["debits"], 5);
        assert_eq!(rates().await["all"], rate(3, Some("60"), "15", true));
        app.advance_to("2026-09-07T16:00:00Z").await;
        assert_eq!(rates().await["debits"], 1);
        app.advance_to("2026-09-08T16:00:00Z").await;
        assert_eq!(rates().await, none);
    }

    async fn a_deposit_is_sent_at_the_end_of_the_day_and_settles_on_the_next_banking_day(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 1000.00 0.00 0.00");
        assert_eq!(
            timeline(&app, &id).await,
            ["PENDING 2026-07-09 -", "SUBMITTED 2026-07-09 -", "SETTLED 2026-07-10 -"]
        );
        app.advance_to("2026-07-10T03:59:58Z").await;
        assert_eq!(status(&app, &id).await, "PENDING");
        app.advance_to("2026-07-10T03:59:59Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 1000.00 0.00 0.00");
        let late = app.gql(CANCEL, json!({ "input": { "idempotencyKey": "c", "transferId": id } })).await;
        assert_eq!(
            late.user_error("transferCancel"),
            &json!({ "code": "TRANSFER_NOT_CANCELABLE", "path": ["transferId"],
                "message": "The transfer has ended or was already sent to the bank." })
        );
        app.advance_to("2026-07-10T12:29:59Z").await;
        assert_eq!(status(&app, &id).await, "SUBMITTED");
        app.advance_to("2026-07-10T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "SETTLED");
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        assert_eq!(
            timeline(&app, &id).await,
            ["PENDING 2026-07-09 -", "SUBMITTED 2026-07-09 -", "SETTLED 2026-07-10 -"]
        );
    }

    async fn a_pending_deposit_can_be_canceled_once(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        let input = |key: &str| json!({ "input": { "idempotencyKey": key, "transferId": id } });
        let canceled = app.gql(CANCEL, input("c")).await;
        assert_eq!(
            canceled.entity("transferCancel", "transfer"),
            &json!({ "status": "CANCELED", "canceledAt": "2026-07-09T16:00:00Z", "viewerCanCancel": false })
        );
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
        assert_eq!(app.gql(CANCEL, input("d")).await.user_error("transferCancel")["code"], "TRANSFER_NOT_CANCELABLE");
        app.advance_to("2026-07-13T16:00:00Z").await;
        assert_eq!(timeline(&app, &id).await, ["PENDING 2026-07-09 -", "CANCELED 2026-07-09 -"]);
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn a_return_before_settlement_disables_the_bank_account(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T05:00:00Z").await;
        let answer = returned(&app, &id, "R02").await;
        assert_eq!(
            answer,
            json!({ "status": "RETURNED", "lastReturn": { "code": "R02", "reason": "Account closed",
                "needsReview": false, "presentedAgainOn": null } })
        );
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
        let cursor = app.cursor().await;
        assert_eq!(returned(&app, &id, "R02").await, answer);
        assert_eq!(app.cursor().await, cursor);
        let other = app.gql(RETURN, json!({ "input": { "transferId": id, "code": "R03" } })).await;
        assert_eq!(other.user_error("sandboxTransferReturn")["code"], "TRANSFER_NOT_RETURNABLE");
        assert_eq!(refused_deposit(&app, &ada, "b", "1.00").await["code"], "BANK_ACCOUNT_DISABLED");
        app.advance_to("2026-07-20T16:00:00Z").await;
        assert_eq!(
            timeline(&app, &id).await,
            ["PENDING 2026-07-09 -", "SUBMITTED 2026-07-09 -", "RETURNED 2026-07-10 R02"]
        );
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn what_was_spent_is_owed_until_cash_arrives(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 100.00 100.00 0.00 0.00 0.00");
        returned(&app, &id, "R02").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 900.00");
        assert_eq!(account(&app, &ada).await["status"], "ACTIVE");
        let buy = app.gql(ORDER_PLACE, json!({ "input": ada.order("more", "BUY", "VTI", "0.1") })).await;
        assert_eq!(
            buy.user_error("orderPlace"),
            &json!({ "code": "BALANCE_OWED", "path": ["accountId"],
                "message": "The account owes $900.00 for a returned deposit. Deposit at least that much first." })
        );
        trade(&app, &ada, "sell", "SELL", "5").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 900.00");
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 400.00");
        let ada = with_bank(&app, &ada, "4327849999").await;
        deposit(&app, &ada, "b", "1000.00").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 1000.00 0.00 400.00");
        app.advance_to("2026-07-14T15:00:00Z").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 600.00 600.00 0.00 0.00 0.00");
        trade(&app, &ada, "again", "BUY", "1").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 500.00 500.00 0.00 0.00 0.00");
    }

    async fn free_riding_freezes_the_account_for_90_days(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "1000.00").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "9").await;
        trade(&app, &ada, "sell", "SELL", "9").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 100.00 0.00 0.00 0.00");
        let answer = returned(&app, &id, "R01").await;
        assert_eq!(answer["lastReturn"]["presentedAgainOn"], "2026-07-10");
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
        let frozen = account(&app, &ada).await;
        assert_eq!(
            (&frozen["status"], &frozen["frozenUntil"], &frozen["settlementViolations"]["edges"]),
            (
                &json!("FROZEN"),
                &json!("2026-10-08T15:00:00Z"),
                &json!([{ "node": { "kind": "FREE_RIDING" } }])
            )
        );
        // The debit is presented again, and the shares that were sold settle.
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(balances(&app, &ada).await, "1000.00 1000.00 1000.00 0.00 0.00 0.00");
        app.advance_to("2026-10-08T14:59:59Z").await;
        assert_eq!(account(&app, &ada).await["status"], "FROZEN");
        app.advance_to("2026-10-08T15:00:00Z").await;
        let active = account(&app, &ada).await;
        assert_eq!((&active["status"], &active["frozenUntil"]), (&json!("ACTIVE"), &Value::Null));
    }

    async fn a_deposit_without_funds_is_presented_three_times(app: TestApp) {
        let ada = app.customer("Ada").await;
        let ada = with_bank(&app, &ada, "9990001").await;
        let id = deposit(&app, &ada, "a", "500.00").await;
        for (at, expected, books) in [
            ("2026-07-10T12:30:00Z", "SETTLED", "500.00 500.00 500.00 0.00 0.00 0.00"),
            ("2026-07-14T12:29:59Z", "SETTLED", "500.00 500.00 500.00 0.00 0.00 0.00"),
            ("2026-07-14T12:30:00Z", "RETURNED", "0.00 0.00 0.00 0.00 0.00 0.00"),
            ("2026-07-15T03:59:59Z", "SUBMITTED", "0.00 0.00 0.00 500.00 0.00 0.00"),
            ("2026-07-15T12:30:00Z", "SETTLED", "500.00 500.00 500.00 0.00 0.00 0.00"),
            ("2026-07-17T12:30:00Z", "RETURNED", "0.00 0.00 0.00 0.00 0.00 0.00"),
            ("2026-07-18T03:59:59Z", "SUBMITTED", "0.00 0.00 0.00 500.00 0.00 0.00"),
            ("2026-07-20T12:30:00Z", "SETTLED", "500.00 500.00 500.00 0.00 0.00 0.00"),
            ("2026-07-22T12:30:00Z", "RETURNED", "0.00 0.00 0.00 0.00 0.00 0.00"),
            ("2026-08-31T12:30:00Z", "RETURNED", "0.00 0.00 0.00 0.00 0.00 0.00"),
        ] {
            app.advance_to(at).await;
            assert_eq!(status(&app, &id).await, expected, "{at}");
            assert_eq!(balances(&app, &ada).await, books, "{at}");
        }
        assert_eq!(transfer(&app, &id).await["presentments"], 3);
        assert_eq!(timeline(&app, &id).await.len(), 10);
    }

    async fn a_deposit_returned_before_it_settles_is_presented_at_most_twice_again(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = deposit(&app, &ada, "a", "500.00").await;
        let (nothing, pending) = ("0.00 0.00 0.00 0.00 0.00 0.00", "0.00 0.00 0.00 500.00 0.00 0.00");
        for (turn, (at, sent_at, again_on)) in [
            ("2026-07-09T16:00:01Z", "2026-07-10T03:59:59Z", json!("2026-07-09")),
            ("2026-07-10T05:00:00Z", "2026-07-11T03:59:59Z", json!("2026-07-10")),
            ("2026-07-11T05:00:00Z", "2026-07-12T03:59:59Z", Value::Null),
        ]
        .into_iter()
        .enumerate()
        {
            app.advance_to(at).await;
            assert_eq!(balances(&app, &ada).await, pending, "{at}");
            let answer = returned(&app, &id, "R09").await;
            assert_eq!(
                answer,
                json!({ "status": "RETURNED", "lastReturn": { "code": "R09", "reason": "Uncollected funds",
                    "needsReview": false, "presentedAgainOn": again_on } })
            );
            assert_eq!(transfer(&app, &id).await["presentments"], turn + 1);
            let cursor = app.cursor().await;
            assert_eq!(returned(&app, &id, "R09").await, answer);
            assert_eq!(app.cursor().await, cursor);
            assert_eq!(balances(&app, &ada).await, nothing, "{at}");
            app.advance_to(sent_at).await;
            let is_sent = again_on.is_string();
            assert_eq!(status(&app, &id).await, if is_sent { "SUBMITTED" } else { "RETURNED" }, "{sent_at}");
            assert_eq!(balances(&app, &ada).await, if is_sent { pending } else { nothing }, "{sent_at}");
        }
        app.advance_to("2026-07-20T16:00:00Z").await;
        assert_eq!(status(&app, &id).await, "RETURNED");
        assert_eq!(balances(&app, &ada).await, nothing);
    }

    async fn an_unauthorized_debit_comes_back_on_day_30_and_freezes_the_account(app: TestApp) {
        let ada = app.customer("Ada").await;
        let ada = with_bank(&app, &ada, "9990010").await;
        let id = deposit(&app, &ada, "a", "500.00").await;
        app.advance_to("2026-08-09T12:29:59Z").await;
        assert_eq!(status(&app, &id).await, "SETTLED");
        app.advance_to("2026-08-09T12:30:00Z").await;
        assert_eq!(status(&app, &id).await, "RETURNED");
        let frozen = account(&app, &ada).await;
        assert_eq!((&frozen["status"], &frozen["frozenUntil"]), (&json!("FROZEN"), &Value::Null));
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 0.00 0.00 0.00");
    }

    async fn every_code_has_its_effects(app: TestApp) {
        // Code, disables the bank account, freezes the account, is presented again.
        for (turn, (code, disables, freezes, again)) in [
            ("R01", false, false, true), ("R02", true, false, false), ("R03", true, false, false),
            ("R04", true, false, false), ("R05", true, true, false), ("R06", false, false, false),
            ("R07", true, false, false), ("R08", false, false, false), ("R09", false, false, true),
            ("R10", true, true, false), ("R11", false, false, false), ("R12", false, false, false),
            ("R13", false, false, false), ("R14", false, true, false), ("R15", false, true, false),
            ("R16", false, false, false), ("R17", false, false, false), ("R20", true, false, false),
            ("R24", false, false, false), ("R29", true, false, false),
        ].into_iter().enumerate() {
            let user = app.customer(&format!("Ada{}", char::from(b'a' + u8::try_from(turn).unwrap()))).await;
            let id = deposit(&app, &user, code, "10.00").await;
            let answer = returned(&app, &id, code).await;
            assert_eq!(answer["lastReturn"]["presentedAgainOn"].is_string(), again, "{code}");
            assert_eq!(account(&app, &user).await["status"] == "FROZEN", freezes, "{code}");
            let bank = "query($id: ID!) { node(id: $id) { ... on BankAccount { disabledAt } } }";
            let bank = app.gql(bank, json!({ "id": user.bank_account_id })).await;
            assert_eq!(bank.data()["node"]["disabledAt"].is_string(), disables, "{code}");
        }
        let user = app.customer("Zoe").await;
        let id = deposit(&app, &user, "R23", "10.00").await;
        let refused = app.gql(RETURN, json!({ "input": { "transferId": id, "code": "R23" } })).await;
        assert_eq!(
            refused.user_error("sandboxTransferReturn"),
            &json!({ "code": "INVALID", "path": ["code"], "message": "code is not possible for a deposit" })
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_part_of_a_deposit_is_available_at_once(app: TestApp) {
        settings(&app, json!({ "instantLimit": { "amount": "500" }, "accountInstantLimit": { "amount": "300" } }))
            .await;
        let ada = app.customer("Ada").await;
        let first = deposit(&app, &ada, "a", "1000.00").await;
        assert_eq!(transfer(&app, &first).await["instantAmount"]["amount"], "300.00");
        assert_eq!(balances(&app, &ada).await, "300.00 300.00 0.00 700.00 0.00 0.00");
        let second = deposit(&app, &ada, "b", "100.00").await;
        assert_eq!(transfer(&app, &second).await["instantAmount"]["amount"], "0.00");
        let ben = app.customer("Ben").await;
        let mut later = ben.deposit("ben-a", "50.00");
        later["investWhenSettled"] = json!(true);
        app.gql(DEPOSIT_CREATE, json!({ "input": later })).await.entity("depositCreate", "transfer");
        assert_eq!(balances(&app, &ben).await, "0.00 0.00 0.00 50.00 0.00 0.00");
        deposit(&app, &ben, "ben-b", "400.00").await;
        assert_eq!(balances(&app, &ben).await, "200.00 200.00 0.00 250.00 0.00 0.00");
        app.quote("VTI", "100.00", "100.00").await;
        trade(&app, &ada, "buy", "BUY", "2").await;
        assert_eq!(balances(&app, &ada).await, "300.00 100.00 0.00 800.00 0.00 0.00");
        let spent = app.gql(CANCEL, json!({ "input": { "idempotencyKey": "c", "transferId": first } })).await;
        assert_eq!(spent.user_error("transferCancel")["message"], "The money of the deposit was spent.");
        returned(&app, &first, "R08").await;
        assert_eq!(balances(&app, &ada).await, "0.00 0.00 0.00 100.00 0.00 200.00");
        // Ben's settles.
        app.advance_to("2026-07-10T12:30:00Z").await;
        assert_eq!(balances(&app, &ben).await, "450.00 450.00 450.00 0.00 0.00 0.00");
        assert_eq!(balances(&app, &ada).await, "100.00 0.00 0.00 0.00 0.00 100.00");
    }

    async fn deposits_of_a_day_are_limited(app: TestApp) {
        settings(&app, json!({ "dailyDepositLimit": { "amount": "1500" } })).await;
        let ada = app.customer("Ada").await;
        let first = deposit(&app, &ada, "a", "1000.00").await;
        assert_eq!(
            refused_deposit(&app, &ada, "b", "500.01").await,
            json!({ "code": "LIMIT_EXCEEDED", "path": ["amount"],
                "message": "The limit of one day is $1500.00, of which $500.00 is left today." })
        );
        deposit(&app, &ada, "c", "500.00").await;
        app.gql(CANCEL, json!({ "input": { "idempotencyKey": "x", "transferId": first } })).await.data();
        deposit(&app, &ada, "d", "1000.00").await;
        app.advance_to("2026-07-10T03:59:59Z").await;
        assert_eq!(refused_deposit(&app, &ada, "e", "0.01").await["code"], "LIMIT_EXCEEDED");
        app.advance_to("2026-07-10T04:00:00Z").await;
        deposit(&app, &ada, "f", "1500.00").await;
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// A debit that was sent before counts as presented once, so that it is presented at most twice more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_transfers_keep_their_state_and_were_presented_once() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000030_transfers").await {
        for (number, status) in [(7, "pending"), (8, "settled")] {
            let row = format!(
                "INSERT INTO transfer (id, partner_id, account_id, bank_account_id, direction, amount, status, \
                 expected_on, created_at) VALUES ({}, {}, {}, {}, 'deposit', 500, '{status}', '2026-07-10', \
                 '2026-07-09T16:00:00+00:00')",
                older.id(number),
                older.id(1),
                older.id(2),
                older.id(3)
            );
            older.db.execute_unprepared(&row).await.unwrap();
        }
        let violation = format!(
            "INSERT INTO settlement_violation (id, partner_id, account_id, kind, fill_id, occurred_at, \
             funds_settle_at) VALUES ({}, {}, {}, 'good_faith', {}, '2026-07-09T16:00:00+00:00', \
             '2026-07-10T12:30:00+00:00')",
            older.id(9),
            older.id(1),
            older.id(2),
            older.id(4)
        );
        older.db.execute_unprepared(&violation).await.unwrap();
        older.migrate().await;
        let rows = transfer::Entity::find().order_by_asc(transfer::Column::Id).all(&older.db).await.unwrap();
        let state = |row: &transfer::Model| (row.status, row.presentments, row.submits_at);
        assert_eq!(
            rows.iter().map(state).collect::<Vec<_>>(),
            [(Status::Pending, 1, None), (Status::Settled, 1, None)]
        );
        let violations = settlement_violation::Entity::find().all(&older.db).await.unwrap();
        assert_eq!(violations.iter().map(|row| row.kind).collect::<Vec<_>>(), [ViolationKind::GoodFaith]);
    }
}
