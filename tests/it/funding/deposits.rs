//! Deposits and orders over REST: parsing of amounts, the default account of an order, and the list of
//! deposits.

use crate::support::{Answer, TestApp, on_both, send};
use domain::Scope;
use entity::user::{self, Status};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};

#[track_caller]
fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Answer) -> Vec<String> {
    page.body["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn raw(app: &TestApp, path: &str, body: String) -> Answer {
    send(app.rest("POST", path).header("content-type", "application/json").body(body)).await
}

async fn set_status(app: &TestApp, user_id: &str, status: Status) {
    let row = user::Entity::find_by_id(user_id.parse::<uuid::Uuid>().unwrap())
        .one(&app.app.db.read)
        .await
        .unwrap()
        .unwrap();
    let mut row: user::ActiveModel = row.into();
    row.status = Set(status);
    let tx = app.app.db.write().await.unwrap();
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str, message: &str) {
    assert_eq!(
        (answer.status, &answer.body),
        (status, &json!({ "error": { "type": kind, "message": message } }))
    );
}

on_both! {
    async fn json_numbers_may_have_exponents_but_strings_may_not(app: TestApp) {
        let ada = app.customer("Ada").await;
        let deposit = |amount: &str| {
            format!(
                r#"{{"account_id":"{}","bank_account_id":"{}","amount":{amount}}}"#,
                ada.account_id, ada.bank_account_id
            )
        };
        for (amount, read) in [
            ("1.0E+1", "10.00"),
            ("1e1", "10.00"),
            ("12.5e-1", "1.25"),
            ("100e-4", "0.01"),
            ("1E0", "1.00"),
            ("2.50", "2.50"),
        ] {
            let id = id_of(&raw(&app, "/v1/deposits", deposit(amount)).await);
            assert_eq!(app.get(&format!("/v1/deposits/{id}")).await.body["amount"], read, "{amount}");
        }
        for (amount, message) in [
            ("1e-3", "amount has too many decimals"),
            ("1E400", "amount is out of range"),
            ("1e-400", "amount has too many decimals"),
            ("0E5", "amount must be above zero"),
            ("-1e1", "amount must be above zero"),
            ("\"1e1\"", "amount is not a decimal number"),
            ("\"1.0E-4\"", "amount is not a decimal number"),
            ("true", "amount is not a decimal number"),
        ] {
            refused(&raw(&app, "/v1/deposits", deposit(amount)).await, 400, "validation_error", message);
        }
        let order = |quantity: &str| {
            format!(
                r#"{{"account_id":"{}","symbol":"VTI","side":"buy","type":"market","quantity":{quantity}}}"#,
                ada.account_id
            )
        };
        refused(
            &raw(&app, "/v1/orders", order("1.0E-5")).await,
            400,
            "validation_error",
            "quantity must have at most four decimals",
        );
        assert_eq!(
            raw(&app, "/v1/orders", order("1.0E+1")).await.status,
            402,
            "parsed, but more than Ada can pay"
        );
        app.advance_to("2026-07-10T15:00:00Z").await;
        let placed = raw(&app, "/v1/orders", order("1.0E-3")).await;
        assert_eq!((placed.status, &placed.body["quantity"]), (200, &json!("0.001")), "{}", placed.body);
    }

    /// A buy order holds its quantity times the ask times 1.03, rounded up to the cent after all
    /// multiplications.
    async fn a_buy_order_holds_103_percent_of_its_price_rounded_up_once(app: TestApp) {
        let ada = app.funded_customer("Ada", "257.60").await;
        app.quote("VTI", "250.00", "250.10").await;
        let order = |quantity: &str| {
            json!({ "account_id": ada.account_id, "symbol": "VTI", "side": "buy",
            "type": "market", "quantity": quantity })
        };
        let message = "Buying power is $257.60; this order may cost up to $257.61.";
        refused(&app.post("/v1/orders", order("1")).await, 402, "invalid_request", message);
        // 0.9999 × 250.10 × 1.03 = 257.577…
        assert_eq!(app.post("/v1/orders", order("0.9999")).await.status, 200);
    }

    async fn an_order_without_an_account_uses_the_only_tradable_account(app: TestApp) {
        let order = json!({ "symbol": "VTI", "side": "buy", "type": "market", "quantity": "0.1" });
        let missing = "account_id is required";
        refused(&app.post("/v1/orders", order.clone()).await, 400, "invalid_request", missing);
        let ada = app.funded_customer("Ada", "500").await;
        let eve = app.customer("Eve").await;
        refused(&app.post("/v1/orders", order.clone()).await, 400, "invalid_request", missing);
        // Unapproved users cannot trade, so only one tradable account is left.
        for status in [Status::Pending, Status::DocumentationRequired, Status::Denied, Status::Closed] {
            set_status(&app, &eve.user_id, status).await;
            let placed = id_of(&app.post("/v1/orders", order.clone()).await);
            let account = app
                .gql("query($id: ID!) { order(id: $id) { account { id } } }", json!({ "id": placed }))
                .await;
            assert_eq!(account.data()["order"]["account"]["id"], json!(ada.account_id), "{status:?}");
        }
        // A joint account without a joint member cannot trade either.
        set_status(&app, &eve.user_id, Status::Approved).await;
        let joint = json!({
            "ownership": "joint", "account_type": "cash", "martial_status": "single", "country_of_citizenship": "USA",
            "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
        });
        let closed = "mutation($id: ID!) { accountClose(input: { accountId: $id, reason: \"Moved\" }) { \
            userErrors { code } } }";
        app.gql(closed, json!({ "id": eve.account_id })).await.entity("accountClose", "userErrors");
        id_of(&app.post(&format!("/v1/users/{}/accounts", eve.user_id), joint).await);
        id_of(&app.post("/v1/orders", order.clone()).await);
        set_status(&app, &ada.user_id, Status::Denied).await;
        refused(&app.post("/v1/orders", order).await, 400, "invalid_request", missing);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn deposits_are_listed_and_read(app: TestApp) {
        let (ada, eve) = (app.customer("Ada").await, app.customer("Eve").await);
        let deposit = async |customer: &crate::support::Customer, amount: &str| {
            let body = json!({ "account_id": customer.account_id, "bank_account_id": customer.bank_account_id,
                "amount": amount });
            id_of(&app.post("/v1/deposits/", body).await)
        };
        let settled = deposit(&ada, "1000").await;
        app.advance_to("2026-07-10T15:00:00Z").await;
        let (second, eves) = (deposit(&ada, "2").await, deposit(&eve, "3").await);
        let shown = app.get(&format!("/v1/deposits/{settled}/")).await;
        assert_eq!(
            (shown.status, &shown.body),
            (
                200,
                &json!({
                    "id": settled, "account_id": ada.account_id, "bank_account_id": ada.bank_account_id,
                    "amount": "1000.00", "status": "settled", "instant_amount": "0.00",
                    "invest_when_settled": false, "last_return": null,
                    "expected_on": "2026-07-10", "created_at": "2026-07-09T16:00:00Z",
                    "settled_at": "2026-07-10T12:30:00Z",
                })
            )
        );
        let whole = app.get("/v1/deposits").await;
        assert_eq!((whole.status, ids(&whole)), (200, vec![eves.clone(), second.clone(), settled.clone()]));
        assert_eq!(whole.body["data"][2], shown.body);
        assert_eq!(
            whole.body["pagination"],
            json!({
                "ending_before": null, "starting_after": null, "limit": 25, "order": "desc", "status": "all",
                "previous_page": null, "previous_uri": null, "next_page": null, "next_uri": null,
            })
        );
        assert_eq!(
            (&whole.body["data"][0]["settled_at"], &whole.body["data"][0]["status"]),
            (&json!(null), &json!("pending"))
        );
        assert_eq!(ids(&app.get("/v1/deposits?status=settled").await), [settled.as_str()]);
        assert_eq!(ids(&app.get("/v1/deposits?status=pending&order=asc").await), [second.as_str(), &eves]);
        let of_ada = format!("/v1/deposits?account_id={}", ada.account_id);
        assert_eq!(ids(&app.get(&of_ada).await), [second.as_str(), &settled]);
        let of_no_account = app.get(&format!("/v1/deposits?account_id={}", ada.user_id)).await;
        assert_eq!((of_no_account.status, &of_no_account.body["data"]), (200, &json!([])));
        let first = app.get(&format!("{of_ada}&limit=1")).await;
        let next = first.body["pagination"]["next_page"].as_str().unwrap();
        assert_eq!(
            next,
            format!(
                "/v1/deposits?limit=1&order=desc&status=all&account_id={}&starting_after={second}",
                ada.account_id
            )
        );
        assert_eq!(ids(&app.get(next).await), [settled.as_str()]);

        for (parameters, message) in [
            ("status=lost", "status must be all, pending, submitted, settled, returned, canceled or failed"),
            ("status=", "status must be all, pending, submitted, settled, returned, canceled or failed"),
            ("account_id=nope", "account_id must be an id"),
            ("account_id=%00", "account_id must be an id"),
            ("limit=101", "limit must be a whole number from 0 to 100"),
            (
                &format!("starting_after={}", ada.account_id),
                "starting_after does not match any deposit in this list",
            ),
        ] {
            refused(&app.get(&format!("/v1/deposits?{parameters}")).await, 400, "invalid_request", message);
        }
        let (_, other) = app.other_partner("another").await;
        let theirs = send(app.anonymous("GET", "/v1/deposits").bearer_auth(&other)).await;
        assert_eq!((theirs.status, &theirs.body["data"]), (200, &json!([])));
        let unseen = send(app.anonymous("GET", &format!("/v1/deposits/{settled}")).bearer_auth(&other)).await;
        refused(&unseen, 404, "not_found", "id was not found");
        let scopeless = app.key_for(&[Scope::Transfer]).await;
        assert_eq!(send(app.anonymous("GET", "/v1/deposits").bearer_auth(&scopeless)).await.status, 401);
    }

    async fn a_joint_member_sees_deposits_but_not_the_owners_bank_account(app: TestApp) {
        let ada = app.customer("Ada").await;
        let invite = "mutation($input: InvitationCreateInput!) { invitationCreate(input: $input) { \
            invitation { id } userErrors { code } } }";
        let owner = format!("/v1/users/{}/accounts", ada.user_id);
        let mut member = json!({
            "first_name": "Eve", "last_name": "Carter", "email_address": "eve@example.com",
            "birth_date": "1985-01-23", "ssn_number": "123456780",
            "address_line_1": "1 Own St", "address_city": "Richmond", "address_state": "VA",
            "address_postal_code": "23220",
            "address_country_code": "US",
        });
        let joint = json!({
            "ownership": "joint", "account_type": "cash", "martial_status": "single", "country_of_citizenship": "USA",
            "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
            "joint_member": member.take(),
        });
        let account_id = id_of(&app.post(&owner, joint).await);
        let body = json!({ "account_id": account_id, "bank_account_id": ada.bank_account_id, "amount": "5" });
        let deposit = id_of(&app.post("/v1/deposits", body).await);
        let joint_member =
            app.get(&format!("/v1/accounts/{account_id}")).await.body["joint_member"]["id"].clone();
        let invited =
            app.gql(invite, json!({ "input": { "email": "eve@example.com", "userId": joint_member } })).await;
        let invitation = invited.entity("invitationCreate", "invitation")["id"].clone();
        let signed_up = app
            .sign_up_with(json!({ "email": "eve@example.com", "password": "correct horse",
            "invitationId": invitation }))
            .await;
        signed_up.entity("userSignUp", "session");
        let eve = app.signed_in("eve@example.com").await;
        let (hash_code, code) = app.passcode(&eve, Some("2025550107")).await;
        app.verify_passcode(&eve, &hash_code, &code).await.entity("passcodeVerify", "twoFactor");
        let seen = send(app.anonymous("GET", "/v1/deposits").bearer_auth(&eve.access)).await;
        assert_eq!(ids(&seen), [deposit.as_str()]);
        let one =
            send(app.anonymous("GET", &format!("/v1/deposits/{deposit}")).bearer_auth(&eve.access)).await;
        for shown in [&seen.body["data"][0], &one.body] {
            assert_eq!(
                (&shown["account_id"], &shown["bank_account_id"]),
                (&json!(account_id), &Value::Null)
            );
        }
    }
}
