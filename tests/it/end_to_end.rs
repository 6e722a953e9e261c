//! End to end: registration, identity check, account, bank account, deposit, order, fill and position.

use crate::support::{
    ACCOUNT_OPEN, BANK_ACCOUNT_LINK, DEPOSIT_CREATE, ORDER_PLACE, TestApp, USER_CREATE, cash_account,
    on_both, person, send, socket::Socket,
};
use serde_json::{Value, json};

on_both! {
    async fn a_new_user_buys_shares_through_graphql(app: TestApp) {
        let mut live = Socket::join(&app, Some(&app.key)).await;
        let changes = "subscription { orderChanged { type orderStatus order { id } account { id } } }";
        live.subscribe("1", changes, json!({})).await;
        app.quote("VTI", "250.00", "250.10").await;

        let user = app.gql(USER_CREATE, json!({ "input": person("Ada", "Carter") })).await;
        let user = user.entity("userCreate", "user");
        let token = user["kyc"]["token"].as_str().unwrap();
        assert_eq!((token.len(), &token[..2]), (22, "S-"));
        assert_eq!(
            user,
            &json!({
                "id": user["id"], "status": "APPROVED", "firstName": "Ada", "lastName": "Carter",
                "email": "ada.carter@example.com", "phoneLast4": "0107",
                "kyc": { "token": token, "score": "0.99", "outcome": "APPROVED",
                    "tags": ["Address Match", "Phone Match"] },
            })
        );

        let account =
            app.gql(ACCOUNT_OPEN, json!({ "input": cash_account(user["id"].as_str().unwrap()) })).await;
        let account = account.entity("accountOpen", "account");
        let number = account["number"].as_str().unwrap();
        assert!(
            number.len() == 9
                && number[..4].bytes().all(|b| b.is_ascii_uppercase())
                && number[4..].bytes().all(|b| b.is_ascii_digit())
        );
        assert_eq!(
            account,
            &json!({
                "id": account["id"], "number": number, "type": "CASH", "ownership": "INDIVIDUAL", "status": "ACTIVE",
                "owner": { "id": user["id"] },
            })
        );

        let bank = json!({ "userId": user["id"], "number": "4327843043", "routingNumber": "121042882",
            "nickname": "Joe checking" });
        let bank = app.gql(BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
        let bank = bank.entity("bankAccountLink", "bankAccount");
        assert_eq!(
            bank,
            &json!({
                "id": bank["id"], "nickname": "Joe checking", "routingNumber": "121042882",
                "numberLast4": "3043", "isDefault": false,
            })
        );

        let account_id = account["id"].as_str().unwrap();
        let deposit = json!({
            "idempotencyKey": "d1", "accountId": account_id, "bankAccountId": bank["id"],
            "amount": { "amount": "1000.00" },
        });
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": deposit })).await;
        let deposit = deposit.entity("depositCreate", "transfer");
        assert_eq!(
            deposit,
            &json!({
                "id": deposit["id"], "status": "PENDING", "direction": "DEPOSIT",
                "amount": { "amount": "1000.00", "currency": "USD" },
                "expectedOn": "2026-07-10", "settledAt": null, "createdAt": "2026-07-09T16:00:00Z",
            })
        );
        assert_eq!(app.balance(account_id).await, ["0.00", "0.00", "0.00"]);

        app.advance_to("2026-07-10T12:29:59Z").await;
        assert_eq!(app.balance(account_id).await, ["0.00", "0.00", "0.00"]);
        app.advance_to("2026-07-10T15:00:00Z").await;
        assert_eq!(app.balance(account_id).await, ["1000.00", "1000.00", "1000.00"]);
        let settled = app
            .gql("query($id: ID!) { transfer(id: $id) { status settledAt } }", json!({ "id": deposit["id"] }))
            .await;
        assert_eq!(
            settled.data()["transfer"],
            json!({ "status": "SETTLED", "settledAt": "2026-07-10T12:30:00Z" })
        );

        let order = json!({ "idempotencyKey": "o1", "accountId": account_id, "symbol": "vti", "side": "BUY",
            "quantity": "0.2" });
        let placed = app.gql(ORDER_PLACE, json!({ "input": order })).await;
        let placed = placed.entity("orderPlace", "order");
        assert_eq!(
            (&placed["status"], &placed["quantity"], &placed["instrument"]["symbol"]),
            (&json!("ACCEPTED"), &json!("0.2"), &json!("VTI"))
        );
        let order_id = placed["id"].as_str().unwrap();
        assert_eq!(
            app.ended(order_id).await,
            json!({
                "id": order_id, "status": "FILLED", "quantity": "0.2", "filledQuantity": "0.2",
                "filledAveragePrice": { "amount": "250.10" },
                "rejectCode": null, "submittedAt": "2026-07-10T15:00:00Z", "filledAt": "2026-07-10T15:00:00Z",
                "canceledAt": null, "failedAt": null,
                "fills": { "edges": [{ "node": {
                    "quantity": "0.2", "price": { "amount": "250.10" }, "amount": { "amount": "50.02" },
                    "tradedAt": "2026-07-10T15:00:00Z", "settlesAt": "2026-07-13T12:30:00Z", "settledAt": null,
                } }] },
            })
        );
        for (kind, status) in
            [("ORDER_ACCEPTED", "ACCEPTED"), ("ORDER_NEW", "NEW"), ("ORDER_FILLED", "FILLED")]
        {
            assert_eq!(
                live.next().await["orderChanged"],
                json!({ "type": kind, "orderStatus": status, "order": { "id": order_id },
                    "account": { "id": account_id } })
            );
        }

        let positions = "query($id: ID!) { account(id: $id) { positions(first: 5) { edges { node {
            quantity costBasis { amount } marketValue { amount } instrument { symbol } } } } } }";
        let positions = app.gql(positions, json!({ "id": account_id })).await;
        assert_eq!(
            positions.data()["account"]["positions"]["edges"],
            json!([{ "node": {
                "quantity": "0.2", "costBasis": { "amount": "50.02" }, "marketValue": { "amount": "50.01" },
                "instrument": { "symbol": "VTI" },
            } }])
        );
        assert_eq!(app.balance(account_id).await, ["999.99", "949.98", "949.98"]);
        let report = app.audit().await;
        assert_eq!(report.wrong, None);
    }

    async fn one_selection_reads_the_objects_of_all_events(app: TestApp) {
        app.quote("VTI", "100.00", "100.00").await;
        let ada = app.funded_customer("Ada", "1000.00").await;
        let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order("o", "BUY", "VTI", "2") })).await;
        let order_id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        app.ended(&order_id).await;
        app.advance_to("2026-07-13T12:30:00Z").await;
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        let events = "subscription { events(after: \"0\") { type
            ... on UserChangedEvent { userStatus user { id } }
            ... on KycChangedEvent { kycOutcome kyc { user { id } } }
            ... on AccountChangedEvent { account { id } }
            ... on BankAccountChangedEvent { bankAccount { id } user { id } }
            ... on TransferChangedEvent { transferStatus transfer { status } account { id } }
            ... on OrderChangedEvent { orderStatus order { id } account { id } }
            ... on TradeConfirmedEvent { fill { side } order { id } account { id } }
            ... on PositionChangedEvent { positionQuantity instrument { symbol } account { id } }
            ... on TradeSettledEvent { fill { side order { id } account { id } instrument { symbol } }
                order { id } account { id } }
            ... on PartnerChangedEvent { partner { name } } } }";
        socket.subscribe("1", events, json!({})).await;
        let mut seen = Vec::new();
        while seen.last().is_none_or(|event: &Value| event["type"] != "TRADE_SETTLED") {
            let event = socket.next().await["events"].clone();
            if event.get("partner").is_none() {
                seen.push(event);
            }
        }
        let (user, account) = (json!({ "id": ada.user_id }), json!({ "id": ada.account_id }));
        let (order, settled) = (json!({ "id": order_id }), json!({ "status": "SETTLED" }));
        let ordered = |kind: &str, status: &str| {
            json!({ "type": kind, "orderStatus": status, "order": order, "account": account })
        };
        let expected = [
            json!({ "type": "USER_CREATED", "userStatus": "APPROVED", "user": user }),
            json!({ "type": "KYC_CREATED", "kycOutcome": "APPROVED", "kyc": { "user": user } }),
            json!({ "type": "ACCOUNT_CREATED", "account": account }),
            json!({ "type": "BANK_ACCOUNT_CREATED", "bankAccount": { "id": ada.bank_account_id }, "user": user }),
            json!({ "type": "DEPOSIT_PENDING", "transferStatus": "PENDING", "transfer": settled,
                "account": account }),
            json!({ "type": "DEPOSIT_SUBMITTED", "transferStatus": "SUBMITTED", "transfer": settled,
                "account": account }),
            json!({ "type": "DEPOSIT_SETTLED", "transferStatus": "SETTLED", "transfer": settled,
                "account": account }),
            ordered("ORDER_ACCEPTED", "ACCEPTED"),
            ordered("ORDER_NEW", "NEW"),
            ordered("ORDER_FILLED", "FILLED"),
            json!({ "type": "TRADE_CONFIRMED", "order": order, "account": account, "fill": { "side": "BUY" } }),
            json!({ "type": "POSITION_CHANGED", "account": account, "positionQuantity": "2",
                "instrument": { "symbol": "VTI" } }),
            json!({ "type": "TRADE_SETTLED", "order": order, "account": account,
                "fill": { "side": "BUY", "order": order, "account": account,
                    "instrument": { "symbol": "VTI" } } }),
        ];
        assert_eq!(seen, expected);
    }

    async fn a_new_user_buys_shares_through_the_documented_rest_api(app: TestApp) {
        app.quote("GOOG", "100.00", "106.00").await;
        let user = app
            .post(
                "/v1/users",
                json!({
                    "phone_number": "18042562188", "first_name": "John", "last_name": "Doe",
                    "email_address": "johndoe@finos.com",
                    "birth_date": "1985-01-23", "ssn_number": "123456789", "address_line_1": "123 Test St",
                    "address_city": "Richmond",
                    "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
                }),
            )
            .await;
        let (id, token) = (user.body["id"].clone(), user.body["kyc_token"].clone());
        assert_eq!(
            (user.status, user.body),
            (200, json!({ "id": id, "status": "approved", "kyc_token": token }))
        );
        let user_id = id.as_str().unwrap();

        let read = app.get(&format!("/v1/users/{user_id}/")).await;
        assert_eq!(
            (read.status, read.body),
            (
                200,
                json!({
                    "id": id, "status": "active", "kyc_token": token, "first_name": "John",
                    "last_name": "Doe", "phone_number": "18042562188",
                    "email_address": "johndoe@finos.com", "address_line_1": "123 Test St",
                    "address_line_2": null, "address_city": "Richmond",
                    "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
                })
            )
        );

        let account = app
            .post(
                &format!("/v1/users/{user_id}/accounts"),
                json!({
                    "ownership": "individual", "account_type": "cash", "martial_status": "single",
                    "country_of_citizenship": "USA",
                    "employment_status": "Employed / Self-Employed",
                    "employment_position": "Software Engineer", "employer_name": "Finos Inc",
                    "annual_income": "$100,000 - $199,999", "investment_objective": "growth",
                    "investment_experience": "limited",
                    "net_liquid_worth": "$25,000 - $99,999", "net_total_worth": "$100,000 - $199,999",
                    "is_director": false,
                    "risk_tolerance": "moderate",
                }),
            )
            .await;
        let account_id = account.body["id"].clone();
        let number = account.body["account_number"].clone();
        assert_eq!(
            (account.status, account.body),
            (
                200,
                json!({ "user_id": id, "id": account_id, "account_number": number, "ownership": "individual",
                    "account_type": "cash" })
            )
        );

        let bank = app
            .post(
                &format!("/v1/users/{user_id}/bank_accounts"),
                json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
                    "bank_account_nickname": "Joe checking" }),
            )
            .await;
        let bank_id = bank.body["id"].clone();
        assert_eq!(
            (bank.status, bank.body),
            (
                200,
                json!({
                    "id": bank_id, "user_id": id, "bank_account_number": "4327843043",
                    "bank_routing_number": "121042882", "default": false,
                    "bank_account_nickname": "Joe checking",
                })
            )
        );

        let body = json!({ "account_id": account_id, "bank_account_id": bank_id, "amount": "202.00" });
        let deposit = app.post("/v1/deposits/", body.clone()).await;
        let deposit_id = deposit.body["id"].clone();
        assert_eq!(
            (deposit.status, deposit.body),
            (200, json!({ "id": deposit_id, "account_id": account_id, "status": "pending" }))
        );
        app.advance_to("2026-07-10T15:00:00Z").await;
        assert_eq!(app.balance(account_id.as_str().unwrap()).await, ["202.00", "202.00", "202.00"]);

        let order = json!({ "symbol": "GOOG", "quantity": "0.2", "side": "buy", "type": "market" });
        let placed = send(app.rest("POST", "/v1/orders/").header("idempotency-key", "k1").json(&order)).await;
        let (order_id, asset_id) = (placed.body["id"].clone(), placed.body["asset_id"].clone());
        let documented = json!({
            "id": order_id, "submitted_at": "2026-07-10T15:00:00Z", "asset_id": asset_id, "symbol": "GOOG",
            "exchange": "NASDAQ",
            "asset_class": "us_equity", "quantity": "0.2", "filled_quantity": "0", "type": "market",
            "side": "buy", "status": "accepted",
        });
        assert_eq!((placed.status, &placed.body), (200, &documented));
        app.ended(order_id.as_str().unwrap()).await;

        let again = send(app.rest("POST", "/v1/orders").header("idempotency-key", "k1").json(&order)).await;
        assert_eq!((again.status, &again.body), (200, &documented));
        assert_eq!(again.headers["idempotent-replayed"], "true");

        let mut filled = documented;
        let rest = json!({
            "status": "filled", "filled_quantity": "0.2", "filled_at": "2026-07-10T15:00:00Z",
            "expired_at": null, "canceled_at": null,
            "failed_at": null, "limit_price": null, "stop_price": null, "filled_average_price": "106.00",
        });
        filled.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let read = app.get(&format!("/v1/orders/{}", order_id.as_str().unwrap())).await;
        assert_eq!((read.status, &read.body), (200, &filled));

        let envelope = |status: &str, data: Value| {
            json!({
                "pagination": {
                    "ending_before": null, "starting_after": null, "limit": 10, "order": "desc", "status": status,
                    "previous_page": null, "previous_uri": null, "next_page": null, "next_uri": null,
                },
                "data": data,
            })
        };
        assert_eq!(app.get("/v1/orders?limit=10").await.body, envelope("open", json!([])));
        assert_eq!(app.get("/v1/orders?limit=10&status=all").await.body, envelope("all", json!([filled])));

        let late = send(app.rest("DELETE", &format!("/v1/orders/{}", order_id.as_str().unwrap()))).await;
        assert_eq!(
            (late.status, late.body),
            (
                402,
                json!({ "error": { "type": "invalid_request", "message": "The order has already ended." } })
            )
        );
        assert_eq!(app.audit().await.wrong, None);
    }
}
