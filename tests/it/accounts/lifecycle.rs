//! Freezing, unfreezing and closing accounts.

use super::{
    ACCOUNT_UPDATE, Answer, DEPOSIT_CREATE, ORDER_PLACE, Scope, TestApp, account, happened, on_both, refusal,
    refused, send, text,
};
use crate::support::{ORDER_CANCEL, Options};
use entity::{Kind, Money, Quantity, order, transfer};
use sea_orm::{ActiveModelTrait, EntityTrait};
use serde_json::{Value, json};

/// Returns a mutation that freezes, unfreezes or closes an account.
fn document(name: &str) -> String {
    let input = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    format!(
        "mutation($input: {input}!) {{ {name}(input: $input) {{ account {{ id status statusReason }} \
            userErrors {{ code path message }} }} }}"
    )
}

async fn call(app: &TestApp, key: &str, name: &str, input: Value) -> Answer {
    app.gql_as(Some(key), &document(name), json!({ "input": input })).await
}

fn account_error(code: &str, text: &str) -> (String, Value, String) {
    (code.to_owned(), json!(["accountId"]), text.to_owned())
}

on_both! {
    async fn a_frozen_account_refuses_new_orders_and_deposits_and_settles_old_ones(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("pending", "200.00") })).await;
        let transfer = text(&deposit.entity("depositCreate", "transfer")["id"]);
        app.quote("VTI", "100.00", "100.00").await;
        let bought = app.gql(ORDER_PLACE, json!({ "input": ada.order("bought", "BUY", "VTI", "1") })).await;
        app.ended(&text(&bought.entity("orderPlace", "order")["id"])).await;

        let why = json!({ "accountId": ada.account_id, "reason": "  Two phones, one face.  " });
        let frozen = call(&app, &app.key, "accountFreeze", why.clone()).await;
        let read =
            json!({ "id": ada.account_id, "status": "FROZEN", "statusReason": "Two phones, one face." });
        assert_eq!(frozen.entity("accountFreeze", "account"), &read);
        let stored =
            account::Entity::find().one(&app.app.db.read).await.unwrap().unwrap().status_reason.unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains("phones"), "the reason is encrypted");

        let inactive = "The account is not active.";
        for (mutation, input) in [
            (DEPOSIT_CREATE, ada.deposit("frozen-d", "1.00")),
            (ORDER_PLACE, ada.order("frozen-b", "BUY", "VTI", "0.1")),
            (ORDER_PLACE, ada.order("frozen-s", "SELL", "VTI", "0.1")),
            (ACCOUNT_UPDATE, json!({ "accountId": ada.account_id, "patch": { "employerName": "Court" } })),
        ] {
            assert_eq!(
                refusal(&app, &app.key, mutation, &input).await,
                account_error("ACCOUNT_NOT_ACTIVE", inactive)
            );
        }
        let path = format!("/v1/accounts/{}", ada.account_id);
        refused(&app, "PUT", &path, &json!({ "account_type": "cash" }), (402, "invalid_request", inactive))
            .await;
        assert_eq!(
            refusal(&app, &app.key, &document("accountFreeze"), &why).await,
            account_error("ACCOUNT_NOT_ACTIVE", inactive)
        );
        // The pending deposit and the trade still settle.
        app.advance_to("2026-07-14T15:00:00Z").await;
        let query = "query($id: ID!) { transfer(id: $id) { status } }";
        assert_eq!(app.gql(query, json!({ "id": transfer })).await.data()["transfer"]["status"], "SETTLED");
        assert_eq!(app.balance(&ada.account_id).await, ["1200.00", "1100.00", "1100.00"]);

        // Callers without scope `operate` do not see the reason.
        let (read_only, operator) = (app.key_for(&[Scope::Read]).await, app.key_for(&[Scope::Operate]).await);
        let query = "query($id: ID!) { account(id: $id) { status statusReason } }";
        let seen = app.gql_as(Some(&read_only), query, json!({ "id": ada.account_id })).await;
        assert_eq!(seen.data()["account"], json!({ "status": "FROZEN", "statusReason": null }));
        let freed = call(&app, &operator, "accountUnfreeze", json!({ "accountId": ada.account_id })).await;
        assert_eq!(
            freed.entity("accountUnfreeze", "account"),
            &json!({ "id": ada.account_id, "status": "ACTIVE", "statusReason": null })
        );
        let again =
            refusal(&app, &app.key, &document("accountUnfreeze"), &json!({ "accountId": ada.account_id }))
                .await;
        assert_eq!(again, account_error("ACCOUNT_NOT_FROZEN", "The account is not frozen."));
        let bought = app.gql(ORDER_PLACE, json!({ "input": ada.order("free", "BUY", "VTI", "1") })).await;
        app.ended(bought.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
        assert_eq!(
            happened(&app, &ada.account_id).await,
            ["account.created", "position.changed", "account.frozen", "account.unfrozen", "position.changed"]
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_reason_is_required_and_limited_in_length(app: TestApp) {
        let ada = app.customer("Ada").await;
        for name in ["accountFreeze", "accountClose"] {
            for (reason, code, message) in [
                (String::new(), "REQUIRED", "reason is required"),
                (" \t ".to_owned(), "REQUIRED", "reason is required"),
                ("x".repeat(501), "INVALID", "reason must have at most 500 printable characters"),
                ("a\u{0}b".to_owned(), "INVALID", "reason must have at most 500 printable characters"),
            ] {
                let error = refusal(
                    &app,
                    &app.key,
                    &document(name),
                    &json!({ "accountId": ada.account_id, "reason": reason }),
                )
                .await;
                assert_eq!(error, (code.to_owned(), json!(["reason"]), message.to_owned()));
            }
        }
        let long = "é".repeat(500);
        let frozen =
            call(&app, &app.key, "accountFreeze", json!({ "accountId": ada.account_id, "reason": long }))
                .await;
        assert_eq!(frozen.entity("accountFreeze", "account")["statusReason"], json!(long));
        let key = json!({ "idempotencyKey": "once", "accountId": ada.account_id });
        for _ in 0..2 {
            let freed = call(&app, &app.key, "accountUnfreeze", key.clone()).await;
            assert_eq!(freed.entity("accountUnfreeze", "account")["status"], "ACTIVE");
        }
    }

    async fn only_an_empty_account_can_be_closed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let close = json!({ "accountId": ada.account_id, "reason": "The user has moved away." });
        let left = |what: &str| account_error("ACCOUNT_NOT_EMPTY", &format!("The account still has {what}."));
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("d", "100.00") })).await;
        deposit.entity("depositCreate", "transfer");
        assert_eq!(
            refusal(&app, &app.key, &document("accountClose"), &close).await,
            left("a pending transfer"),
            "a pending deposit"
        );
        app.advance_to("2026-07-10T15:00:00Z").await;
        assert_eq!(
            refusal(&app, &app.key, &document("accountClose"), &close).await,
            left("cash or shares"),
            "cash"
        );
        app.quote("VTI", "100.00", "100.00").await;
        let order = app.gql(ORDER_PLACE, json!({ "input": ada.order("b", "BUY", "VTI", "0.97") })).await;
        let order = text(&order.entity("orderPlace", "order")["id"]);
        app.ended(&order).await;
        assert_eq!(
            refusal(&app, &app.key, &document("accountClose"), &close).await,
            left("cash or shares"),
            "shares"
        );
        let late = json!({ "idempotencyKey": "late", "orderId": order });
        let (code, ..) = refusal(&app, &app.key, ORDER_CANCEL, &late).await;
        assert_eq!(code, "NOT_CANCELABLE");

        // An account that was never used can be closed, frozen or not. After that it refuses every operation.
        for frozen in [false, true] {
            let eve = app.customer("Eve").await;
            if frozen {
                call(
                    &app,
                    &app.key,
                    "accountFreeze",
                    json!({ "accountId": eve.account_id, "reason": "Why not" }),
                )
                .await
                .entity("accountFreeze", "account");
            }
            let close = json!({ "accountId": eve.account_id, "reason": "The user has moved away." });
            let closed = call(&app, &app.key, "accountClose", close.clone()).await;
            let read = json!({ "id": eve.account_id, "status": "CLOSED",
                "statusReason": "The user has moved away." });
            assert_eq!(closed.entity("accountClose", "account"), &read);
            let inactive = account_error("ACCOUNT_NOT_ACTIVE", "The account is not active.");
            for (mutation, input) in [
                (document("accountClose"), close.clone()),
                (document("accountFreeze"), close),
                (DEPOSIT_CREATE.to_owned(), eve.deposit(&format!("d{frozen}"), "1.00")),
                (ORDER_PLACE.to_owned(), eve.order(&format!("o{frozen}"), "BUY", "VTI", "1")),
                (ACCOUNT_UPDATE.to_owned(), json!({ "accountId": eve.account_id, "patch": {} })),
            ] {
                assert_eq!(refusal(&app, &app.key, &mutation, &input).await, inactive);
            }
            let again = refusal(
                &app,
                &app.key,
                &document("accountUnfreeze"),
                &json!({ "accountId": eve.account_id }),
            )
            .await;
            assert_eq!(again, account_error("ACCOUNT_NOT_FROZEN", "The account is not frozen."));
            assert_eq!(
                app.get(&format!("/v1/accounts/{}", eve.account_id)).await.status,
                200,
                "a closed account can still be read"
            );
            assert_eq!(happened(&app, &eve.account_id).await.last().unwrap(), "account.closed");
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn an_account_with_a_pending_transfer_or_open_order_cannot_be_closed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let id = |text: &str| text.parse().unwrap();
        let instrument = app.gql("{ instrumentBySymbol(symbol: \"VTI\") { id } }", json!({})).await;
        let at = "2026-07-09T16:00:00Z".parse().unwrap();
        let sent = transfer::Model {
            id: app.app.ids.next(Kind::Transfer),
            partner_id: app.partner.id,
            account_id: id(&ada.account_id),
            bank_account_id: id(&ada.bank_account_id),
            direction: transfer::Direction::Withdrawal,
            amount: Money::from_units(100),
            status: transfer::Status::Pending,
            expected_on: "2026-07-13".parse().unwrap(),
            created_at: at,
            settled_at: None,
            instant_amount: Money::ZERO,
            invest_when_settled: false,
            presentments: 0,
            set_aside: Money::ZERO,
            unsettled_aside: Money::ZERO,
            unsettled_until: None,
            may_be_lower: false,
            submits_at: None,
            settles_at: None,
            submitted_at: None,
            returned_at: None,
            ended_at: None,
            return_code: None,
            failure: None,
        };
        let working = order::Model {
            id: app.app.ids.next(Kind::Order),
            partner_id: app.partner.id,
            account_id: id(&ada.account_id),
            instrument_id: id(&text(&instrument.data()["instrumentBySymbol"]["id"])),
            side: order::Side::Buy,
            kind: order::OrderKind::Market,
            time_in_force: order::TimeInForce::Day,
            notional: None,
            limit_price: None,
            stop_price: None,
            triggered_at: None,
            fill_count: 0,
            expires_at: None,
            replaced_at: None,
            quantity: Quantity::from_units(100_000_000),
            filled_quantity: Quantity::ZERO,
            filled_average_price: None,
            status: order::Status::New,
            reject_code: None,
            submitted_at: at,
            filled_at: None,
            expired_at: None,
            canceled_at: None,
            failed_at: None,
            lot_method: None,
            withdrawal_id: None,
        };
        // Neither the withdrawal nor the order has a balance or hold on the account.
        let close = json!({ "accountId": ada.account_id, "reason": "The user has moved away." });
        let left = |what: &str| account_error("ACCOUNT_NOT_EMPTY", &format!("The account still has {what}."));
        let tx = app.app.db.write().await.unwrap();
        transfer::ActiveModel::from(sent.clone()).reset_all().insert(&tx).await.unwrap();
        order::ActiveModel::from(working.clone()).reset_all().insert(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            refusal(&app, &app.key, &document("accountClose"), &close).await,
            left("a pending transfer")
        );
        let tx = app.app.db.write().await.unwrap();
        transfer::Entity::delete_by_id(sent.id).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(refusal(&app, &app.key, &document("accountClose"), &close).await, left("an open order"));
        let tx = app.app.db.write().await.unwrap();
        order::Entity::delete_by_id(working.id).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let closed = call(&app, &app.key, "accountClose", close).await;
        assert_eq!(closed.entity("accountClose", "account")["status"], "CLOSED");
    }

    async fn freezing_and_closing_require_scope_operate(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let ada = app.customer("Ada").await;
        let manager = app.key_for(&[Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage]).await;
        for name in ["accountFreeze", "accountUnfreeze", "accountClose"] {
            let input = match name {
                "accountUnfreeze" => json!({ "accountId": ada.account_id }),
                _ => json!({ "accountId": ada.account_id, "reason": "" }),
            };
            for key in [&manager, &person.access] {
                assert_eq!(call(&app, key, name, input.clone()).await.error_code(), "FORBIDDEN");
            }
        }
        assert_eq!(happened(&app, &ada.account_id).await, ["account.created"]);
        let path = format!("/v1/accounts/{}", ada.account_id);
        assert_eq!(send(app.rest("DELETE", &path)).await.status, 405);
    }

    async fn a_concurrent_closing_and_deposit_never_both_succeed(app: TestApp) {
        let (mut closings, mut deposits) = (0, 0);
        for turn in 0..12 {
            let ada = app.customer("Ada").await;
            let input = json!({ "accountId": ada.account_id, "reason": "Over" });
            let close = call(&app, &app.key, "accountClose", input);
            let deposit =
                app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit(&format!("d{turn}"), "1.00") }));
            let (close, deposit) = if turn % 2 == 0 {
                futures_util::future::join(close, deposit).await
            } else {
                let (deposit, close) = futures_util::future::join(deposit, close).await;
                (close, deposit)
            };
            let code = |answer: &Answer, name: &str| {
                answer.data()[name]["userErrors"][0]["code"].as_str().map(str::to_owned)
            };
            match (code(&close, "accountClose"), code(&deposit, "depositCreate")) {
                (None, Some(refused)) if refused == "ACCOUNT_NOT_ACTIVE" => closings += 1,
                (Some(refused), None) if refused == "ACCOUNT_NOT_EMPTY" => deposits += 1,
                other => panic!("both or neither happened: {other:?}"),
            }
        }
        assert_eq!(closings + deposits, 12);
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_on_a_frozen_account_can_be_canceled_and_still_fill() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let mut placed = Vec::new();
        for key in ["one", "two"] {
            let order = app.gql(ORDER_PLACE, json!({ "input": ada.order(key, "BUY", "VTI", "1") })).await;
            placed.push(text(&order.entity("orderPlace", "order")["id"]));
        }
        call(&app, &app.key, "accountFreeze", json!({ "accountId": ada.account_id, "reason": "Why not" }))
            .await
            .entity("accountFreeze", "account");
        let cancel = json!({ "input": { "idempotencyKey": "c", "orderId": placed[0] } });
        assert_eq!(app.gql(ORDER_CANCEL, cancel).await.entity("orderCancel", "order")["status"], "CANCELED");
        assert_eq!(app.balance(&ada.account_id).await, ["1000.00", "897.00", "897.00"]);
        app.advance_to("2026-07-10T16:30:00Z").await;
        assert_eq!(app.ended(&placed[1]).await["status"], "FILLED");
        assert_eq!(app.balance(&ada.account_id).await, ["1000.00", "900.00", "900.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }
}
