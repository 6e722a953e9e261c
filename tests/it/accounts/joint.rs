//! Joint accounts: two users with their own identity checks, who do not see each other.

use super::{
    ACCOUNT_OPEN, ACCOUNT_UPDATE, Answer, DEPOSIT_CREATE, ORDER_PLACE, TestApp, cash_account, documented,
    done, happened, on_both, person, refusal, refused, send, text, user, with,
};
use crate::support::{BANK_ACCOUNT_LINK, Customer, person::SignedIn, socket::Socket};
use entity::user as row;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};
use std::time::Duration;

/// Returns the documented joint member.
fn marry() -> Value {
    json!({
        "phone_number": "18042562188", "first_name": "Marry", "last_name": "Doe",
        "email_address": "marryjoe@finos.com",
        "birth_date": "1985-04-21", "ssn_number": "666456789", "address_line_1": "123 Test St",
        "address_city": "Richmond",
        "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
    })
}

/// Returns the GraphQL input for a user with another social security number.
fn another(first_name: &str, last_name: &str) -> Value {
    with(person(first_name, last_name), "ssn", "212345678")
}

fn joint_account(user_id: &str, member: &Value) -> Value {
    with(with(cash_account(user_id), "ownership", "JOINT"), "jointMember", member.clone())
}

async fn opened(app: &TestApp, input: Value) -> String {
    text(&app.gql(ACCOUNT_OPEN, json!({ "input": input })).await.entity("accountOpen", "account")["id"])
}

async fn set_status(app: &TestApp, user_id: &str, status: row::Status) {
    let found = row::Entity::find_by_id(user_id.parse::<uuid::Uuid>().unwrap())
        .one(&app.app.db.read)
        .await
        .unwrap()
        .unwrap();
    let mut found: row::ActiveModel = found.into();
    found.status = Set(status);
    let tx = app.app.db.write().await.unwrap();
    found.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn bank_account_of(app: &TestApp, user_id: &str) -> String {
    let input = json!({ "userId": user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": "Not shared" });
    text(
        &app.gql(BANK_ACCOUNT_LINK, json!({ "input": input })).await.entity("bankAccountLink", "bankAccount")
            ["id"],
    )
}

/// Signs up a user and completes their data, so that they are approved.
pub async fn signed_in(app: &TestApp, name: &str, phone: &str, ssn: &str) -> SignedIn {
    let signed_in = app.person(&format!("{}@example.com", name.to_lowercase()), phone).await;
    let patch = json!({
        "firstName": name, "lastName": "Carter", "ssn": ssn, "birthDate": "1985-01-23",
        "address": { "line1": format!("{name} Lane 1"), "city": "Richmond", "state": "VA",
            "postalCode": "23220", "countryCode": "US" },
    });
    let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { status } \
        userErrors { message } } }";
    let updated = app.gql(update, json!({ "input": { "userId": signed_in.user_id, "patch": patch } })).await;
    assert_eq!(updated.entity("userUpdate", "user")["status"], "APPROVED");
    signed_in
}

const OWNERS: &str =
    "query($id: ID!) { account(id: $id) { ownership owner { id } jointMember { id firstName status } } }";

on_both! {
    async fn joint_accounts_work_as_documented(app: TestApp) {
        let john = user(&app, "John").await;
        let path = format!("/v1/users/{john}/accounts");
        let joint = with(documented(), "ownership", "joint");
        let created = done(&app, "POST", &path, &with(joint.clone(), "joint_member", marry())).await;
        let id = text(&created["id"]);
        assert_eq!(
            created,
            json!({ "user_id": john, "id": id, "account_number": created["account_number"],
                "ownership": "joint", "account_type": "cash" })
        );
        let read = app.get(&format!("/v1/accounts/{id}")).await.body;
        let member = text(&read["joint_member"]["id"]);
        assert_eq!(
            read["joint_member"],
            json!({
                "id": member, "status": "active", "kyc_token": read["joint_member"]["kyc_token"],
                "first_name": "Marry", "last_name": "Doe",
                "phone_number": "18042562188", "email_address": "marryjoe@finos.com",
                "address_line_1": "123 Test St", "address_line_2": null,
                "address_city": "Richmond", "address_state": "VA", "address_postal_code": "23220",
                "address_country_code": "US",
            })
        );
        assert!(
            read["joint_member"]["kyc_token"].as_str().unwrap().starts_with("S-"),
            "the joint member's identity was checked"
        );
        assert_eq!(read["joint_member"], app.get(&format!("/v1/users/{member}")).await.body);
        assert_eq!(read["owner"], app.get(&format!("/v1/users/{john}")).await.body);
        // Both owners see it in their lists.
        let alone = done(&app, "POST", &path, &documented()).await;
        let ids = |page: Value| {
            page["data"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect::<Vec<_>>()
        };
        assert_eq!(ids(app.get(&path).await.body), [text(&alone["id"]), id.clone()]);
        let accounts = app.get(&format!("/v1/users/{member}/accounts")).await.body;
        assert_eq!(accounts["data"], json!([read]));
        let query = "query($a: ID!, $b: ID!) { a: user(id: $a) { ...of } b: user(id: $b) { ...of } }
            fragment of on User { accounts { edges { role node { id } } } }";
        let both = app.gql(query, json!({ "a": john, "b": member })).await;
        let edge = |role: &str, id: &Value| json!({ "role": role, "node": { "id": id } });
        let (shared, alone) = (json!(id), &alone["id"]);
        assert_eq!(
            both.data(),
            &json!({
                "a": { "accounts": { "edges": [edge("OWNER", alone), edge("OWNER", &shared)] } },
                "b": { "accounts": { "edges": [edge("JOINT_OWNER", &shared)] } },
            })
        );

        // A joint member can be added later, but only once.
        let later = done(&app, "POST", &path, &joint).await;
        let later = format!("/v1/accounts/{}", text(&later["id"]));
        assert_eq!(app.get(&later).await.body["joint_member"], json!(null));
        assert_eq!(
            done(&app, "PUT", &later, &json!({ "joint_member": marry() })).await["ownership"],
            "joint"
        );
        assert_eq!(app.get(&later).await.body["joint_member"]["first_name"], "Marry");
        let has_member = "The account already has a joint member, who cannot be replaced.";
        let again = json!({ "joint_member": marry() });
        refused(&app, "PUT", &later, &again, (402, "invalid_request", has_member)).await;
        let is_joint = "A joint account cannot become an individual account.";
        refused(&app, "PUT", &later, &json!({ "ownership": "single" }), (402, "invalid_request", is_joint))
            .await;

        // A joint member makes an individual account joint, with or without `ownership`.
        for patch in
            [json!({ "ownership": "joint", "joint_member": marry() }), json!({ "joint_member": marry() })]
        {
            let single = done(&app, "POST", &path, &documented()).await;
            let single = format!("/v1/accounts/{}", text(&single["id"]));
            refused(
                &app,
                "PUT",
                &single,
                &json!({ "ownership": "joint" }),
                (400, "invalid_request", "joint_member is required"),
            )
            .await;
            assert_eq!(done(&app, "PUT", &single, &patch).await["ownership"], "joint");
            assert_eq!(app.get(&single).await.body["joint_member"]["email_address"], "marryjoe@finos.com");
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn an_invalid_joint_member_is_refused_and_nothing_is_written(app: TestApp) {
        let john = user(&app, "John").await;
        let path = format!("/v1/users/{john}/accounts");
        let joint = with(documented(), "ownership", "joint");
        let single = done(&app, "POST", &path, &documented()).await;
        let account = format!("/v1/accounts/{}", text(&single["id"]));
        for (name, value, kind, message) in [
            ("first_name", json!(""), "invalid_request", "joint_member.first_name is required"),
            ("last_name", json!(7), "validation_error", "joint_member.last_name must be a string"),
            (
                "email_address",
                json!("marry"),
                "validation_error",
                "joint_member.email_address must be an e-mail address",
            ),
            (
                "phone_number",
                json!("1"),
                "validation_error",
                "joint_member.phone_number must be a US number of 10 digits",
            ),
            (
                "birth_date",
                json!("1985-02-30"),
                "validation_error",
                "joint_member.birth_date must be a valid calendar date",
            ),
            (
                "birth_date",
                json!("2026-07-10"),
                "validation_error",
                "joint_member.birth_date must not be in the future",
            ),
            (
                "ssn_number",
                json!("000456789"),
                "validation_error",
                "joint_member.ssn_number must be a valid social security number",
            ),
            (
                "ssn_number",
                json!("123456789"),
                "validation_error",
                "joint_member.ssn_number must belong to someone other than the owner",
            ),
            ("address_line_1", json!(null), "invalid_request", "joint_member.address_line_1 is required"),
            (
                "address_state",
                json!("VO"),
                "validation_error",
                "joint_member.address_state must be a known code",
            ),
            (
                "address_country_code",
                json!("UK"),
                "validation_error",
                "joint_member.address_country_code must be a known code",
            ),
        ] {
            let member = with(marry(), name, value);
            refused(
                &app,
                "POST",
                &path,
                &with(joint.clone(), "joint_member", member.clone()),
                (400, kind, message),
            )
            .await;
            refused(&app, "PUT", &account, &json!({ "joint_member": member }), (400, kind, message)).await;
        }
        let alone = "joint_member must be omitted for an individual account";
        refused(
            &app,
            "POST",
            &path,
            &with(documented(), "joint_member", marry()),
            (400, "validation_error", alone),
        )
        .await;
        let both = json!({ "ownership": "Single", "joint_member": marry() });
        refused(&app, "PUT", &account, &both, (400, "validation_error", alone)).await;
        // Numbers that are never issued are only accepted in sandboxes.
        let live = app.live_key().await;
        let issued =
            send(app.anonymous("POST", &path).bearer_auth(&live).json(&with(joint, "joint_member", marry())))
                .await;
        let expected = json!({ "error": { "type": "validation_error",
            "message": "joint_member.ssn_number must be a valid social security number" } });
        assert_eq!((issued.status, issued.body), (400, expected));

        let (_, other) = app.other_partner("another").await;
        let strange = app.customer_as(&other, "Strange").await;
        let patch = |member: Value| json!({ "accountId": single["id"], "patch": { "jointMember": member } });
        for (id, code) in [
            (john.as_str(), "INVALID"),
            (&strange.user_id, "NOT_FOUND"),
            (single["id"].as_str().unwrap(), "NOT_FOUND"),
            ("nope", "NOT_FOUND"),
        ] {
            let (error, path, _) =
                refusal(&app, &app.key, ACCOUNT_OPEN, &joint_account(&john, &json!({ "userId": id }))).await;
            assert_eq!((error.as_str(), path), (code, json!(["jointMember", "userId"])), "{id}");
            let (error, path, _) =
                refusal(&app, &app.key, ACCOUNT_UPDATE, &patch(json!({ "userId": id }))).await;
            assert_eq!((error.as_str(), path), (code, json!(["patch", "jointMember", "userId"])), "{id}");
        }
        for (field, value, path) in [
            ("firstName", json!("7"), json!(["jointMember", "person", "firstName"])),
            ("ssn", json!("123456789"), json!(["jointMember", "person", "ssn"])),
            (
                "address",
                json!({ "line1": " ", "city": "R", "state": "VA", "postalCode": "23220" }),
                json!(["jointMember", "person", "address", "line1"]),
            ),
        ] {
            let member = json!({ "person": with(another("Marry", "Doe"), field, value) });
            let (_, found, _) = refusal(&app, &app.key, ACCOUNT_OPEN, &joint_account(&john, &member)).await;
            assert_eq!(found, path);
            let (_, found, _) = refusal(&app, &app.key, ACCOUNT_UPDATE, &patch(member)).await;
            assert_eq!(found[0], "patch");
            assert_eq!(found.as_array().unwrap()[1..], path.as_array().unwrap()[..]);
        }
        let (code, path, _) = refusal(
            &app,
            &app.key,
            ACCOUNT_UPDATE,
            &json!({ "accountId": single["id"], "patch": { "ownership": "JOINT" } }),
        )
        .await;
        assert_eq!((code.as_str(), path), ("REQUIRED", json!(["patch", "jointMember"])));
        let two = json!({ "userId": john, "person": another("Marry", "Doe") });
        let both = app.gql(ACCOUNT_OPEN, json!({ "input": joint_account(&john, &two) })).await;
        assert_eq!(both.error_code(), "GRAPHQL_VALIDATION_FAILED");
    }

    async fn a_joint_account_is_usable_once_both_owners_are_approved(app: TestApp) {
        let john = app.customer("John").await;
        let refused_on = async |account: &str, turn: &str, text: &str| {
            let deposit = with(john.deposit(&format!("d-{turn}"), "10.00"), "accountId", account);
            let order = with(john.order(&format!("o-{turn}"), "BUY", "VTI", "0.1"), "accountId", account);
            for (mutation, input) in [(DEPOSIT_CREATE, deposit), (ORDER_PLACE, order)] {
                let (code, _, message) = refusal(&app, &app.key, mutation, &input).await;
                assert_eq!((code.as_str(), message.as_str()), ("KYC_NOT_APPROVED", text));
            }
        };
        let no_member = "The joint account has no joint member yet. Add one first.";
        let unapproved = "The user's identity has not been approved.";
        for (turn, (last_name, status)) in
            [("Question", "ACTION_REQUIRED"), ("Review", "DOCUMENTATION_REQUIRED"), ("Denied", "DENIED")]
                .into_iter()
                .enumerate()
        {
            let account = opened(&app, with(cash_account(&john.user_id), "ownership", "JOINT")).await;
            refused_on(&account, &format!("{turn}-no-member"), no_member).await;
            let member = json!({ "person": another("Marry", last_name) });
            let patch = json!({ "accountId": account, "patch": { "jointMember": member } });
            app.gql(ACCOUNT_UPDATE, json!({ "input": patch })).await.entity("accountUpdate", "account");
            let read = app.gql(OWNERS, json!({ "id": account })).await.data()["account"].clone();
            let marry = text(&read["jointMember"]["id"]);
            let expected = json!({ "ownership": "JOINT", "owner": { "id": john.user_id },
                "jointMember": { "id": marry, "firstName": "Marry", "status": status } });
            assert_eq!(read, expected);
            refused_on(&account, &format!("{turn}-unapproved"), unapproved).await;
            let rest =
                json!({ "account_id": account, "bank_account_id": john.bank_account_id, "amount": "10.00" });
            refused(&app, "POST", "/v1/deposits", &rest, (402, "invalid_request", unapproved)).await;

            set_status(&app, &marry, row::Status::Approved).await;
            let deposit =
                with(john.deposit(&format!("d-{turn}-approved"), "10.00"), "accountId", account.as_str());
            assert_eq!(
                app.gql(DEPOSIT_CREATE, json!({ "input": deposit }))
                    .await
                    .entity("depositCreate", "transfer")["status"],
                "PENDING"
            );
            // The same if the owner is not approved.
            set_status(&app, &john.user_id, row::Status::Denied).await;
            refused_on(&account, &format!("{turn}-owner"), unapproved).await;
            let (code, ..) = refusal(
                &app,
                &app.key,
                ACCOUNT_UPDATE,
                &json!({ "accountId": account, "patch": { "employerName": "X" } }),
            )
            .await;
            assert_eq!(code, "KYC_NOT_APPROVED");
            set_status(&app, &john.user_id, row::Status::Approved).await;
            assert_eq!(happened(&app, &marry).await[0], "user.created");
            assert_eq!(happened(&app, &account).await, ["account.created", "account.updated"]);
        }
        // Only the two owners may pay in.
        let marry = user(&app, "Eve").await;
        let unlike = json!({ "input": { "userId": marry, "patch": { "ssn": "212345678" } } });
        app.gql(
            "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { id } userErrors { \
            message } } }",
            unlike,
        )
        .await
        .entity("userUpdate", "user");
        let account = opened(&app, joint_account(&john.user_id, &json!({ "userId": marry }))).await;
        let (marrys_bank, stranger) =
            (bank_account_of(&app, &marry).await, app.customer("Sam").await.bank_account_id);
        let deposit = |key: &str, bank: &str| {
            with(with(john.deposit(key, "5.00"), "accountId", account.as_str()), "bankAccountId", bank)
        };
        for (key, bank) in [("john", john.bank_account_id.as_str()), ("marry", &marrys_bank)] {
            app.gql(DEPOSIT_CREATE, json!({ "input": deposit(key, bank) }))
                .await
                .entity("depositCreate", "transfer");
        }
        let (code, path, _) = refusal(&app, &app.key, DEPOSIT_CREATE, &deposit("strange", &stranger)).await;
        assert_eq!((code.as_str(), path), ("NOT_FOUND", json!(["bankAccountId"])));
        app.advance_to("2026-07-10T15:00:00Z").await;
        assert_eq!(app.balance(&account).await, ["10.00", "10.00", "10.00"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn joint_owners_see_the_account_but_not_each_other(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await;
        let marry = signed_in(&app, "Marry", "2025550142", "212345678").await;
        let eve = signed_in(&app, "Eve", "2025550143", "313456789").await;
        let account = opened(&app, joint_account(&john.user_id, &json!({ "userId": marry.user_id }))).await;
        let (johns_bank, marrys_bank) =
            (bank_account_of(&app, &john.user_id).await, bank_account_of(&app, &marry.user_id).await);
        let customer = |bank: &str| Customer {
            user_id: john.user_id.clone(),
            account_id: account.clone(),
            bank_account_id: bank.to_owned(),
        };
        let pay = async |who: &SignedIn, bank: &str| {
            app.gql_as(
                Some(&who.access),
                DEPOSIT_CREATE,
                json!({ "input": customer(bank).deposit(bank, "100.00") }),
            )
            .await
        };
        // Each owner can only pay in from their own bank account.
        for (who, own, others) in [(&john, &johns_bank, &marrys_bank), (&marry, &marrys_bank, &johns_bank)] {
            let created = pay(who, own).await;
            assert_eq!(created.entity("depositCreate", "transfer")["status"], "PENDING");
            let refused = pay(who, others).await;
            assert_eq!(refused.user_error("depositCreate")["path"], json!(["bankAccountId"]));
        }
        app.advance_to("2026-07-10T16:00:00Z").await;
        let order = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { order { id account { \
            owner { id } jointMember { id } } } userErrors { code } } }";
        let placed = app
            .gql_as(Some(&marry.access), order, json!({ "input": customer("").order("o", "BUY", "KO", "1") }))
            .await;
        let order = placed.entity("orderPlace", "order").clone();
        assert_eq!(order["account"], json!({ "owner": null, "jointMember": { "id": marry.user_id } }));
        app.ended(&text(&order["id"])).await;

        let everything = "query($id: ID!) { account(id: $id) {
            number status statusReason owner { id email address { line1 } } jointMember { id email address { line1 } }
            profile { employerName maritalStatus annualIncome } balance { total { amount } }
            positions { edges { node { quantity account { owner { id } jointMember { id } } } } }
            orders { edges { node { status account { owner { id } jointMember { id } } } } }
            transfers { edges { node { amount { amount } bankAccount { id nickname owner { id } } account { \
            owner { id } jointMember { id } } } } } } }";
        let words = |name: &str, id: &str, bank: &str| {
            vec![
                id.to_owned(),
                bank.to_owned(),
                format!("{}@example", name.to_lowercase()),
                format!("{name} Lane"),
            ]
        };
        let assert_absent = |words: &[String], answer: &Answer| {
            for word in words {
                assert!(!answer.body.to_string().contains(word.as_str()), "{word:?} in {}", answer.body);
            }
        };
        let of_john = words("John", &john.user_id, &johns_bank);
        let of_marry = words("Marry", &marry.user_id, &marrys_bank);
        for (who, bank, others, is_owner) in
            [(&john, &johns_bank, &of_marry, true), (&marry, &marrys_bank, &of_john, false)]
        {
            let seen = app.gql_as(Some(&who.access), everything, json!({ "id": account })).await;
            let shown = &seen.data()["account"];
            assert_eq!(shown["owner"].is_null(), !is_owner);
            assert_eq!(shown["jointMember"].is_null(), is_owner);
            assert_eq!(shown["profile"].is_null(), !is_owner);
            let transfers: Vec<&Value> = shown["transfers"]["edges"]
                .as_array()
                .unwrap()
                .iter()
                .map(|edge| &edge["node"]["bankAccount"])
                .collect();
            assert_eq!(transfers.len(), 2, "both deposits are on the account");
            assert_eq!(transfers.iter().filter(|bank_account| bank_account.is_null()).count(), 1);
            assert!(transfers.iter().any(|bank_account| bank_account["id"] == json!(bank)));
            assert_eq!(shown["positions"]["edges"].as_array().unwrap().len(), 1);
            assert!(shown["balance"]["total"]["amount"].is_string());
            assert_absent(others, &seen);

            let lists = "{ viewer { id accounts { edges { role node { id owner { id } } } } }
                accounts { edges { node { id number } } } orders { edges { node { id account { id } } } } \
                users { edges { node { id } } } }";
            let seen = app.gql_as(Some(&who.access), lists, json!({})).await;
            assert_eq!(seen.data()["accounts"]["edges"][0]["node"]["id"], json!(account));
            assert_eq!(seen.data()["orders"]["edges"].as_array().unwrap().len(), 1);
            let role = if is_owner { "OWNER" } else { "JOINT_OWNER" };
            let owner = is_owner.then(|| json!({ "id": who.user_id }));
            assert_eq!(
                seen.data()["viewer"]["accounts"]["edges"],
                json!([{ "role": role, "node": { "id": account, "owner": owner } }])
            );
            assert_absent(others, &seen);

            let node = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";
            let seen = app
                .gql_as(
                    Some(&who.access),
                    node,
                    json!({ "ids": [account, order_id(&placed), johns_bank, marrys_bank,
                        john.user_id, marry.user_id] }),
                )
                .await;
            let visible: Vec<bool> =
                seen.data()["nodes"].as_array().unwrap().iter().map(|node| !node.is_null()).collect();
            assert_eq!(visible, [true, true, is_owner, !is_owner, is_owner, !is_owner]);

            let get = |path: String| app.anonymous("GET", &path).bearer_auth(&who.access);
            let read = send(get(format!("/v1/accounts/{account}"))).await;
            assert_eq!((read.status, read.body.as_object().unwrap().len()), (200, 11));
            for field in [
                "martial_status",
                "country_of_citizenship",
                "employment_status",
                "employment_position",
                "employer_name",
                "owner",
            ] {
                assert_eq!(read.body[field].is_null(), !is_owner, "{field}");
            }
            assert_eq!(read.body["joint_member"].is_null(), is_owner);
            assert_absent(others, &read);
            let list = send(get(format!("/v1/users/{}/accounts", who.user_id))).await;
            assert_eq!(list.body["data"], json!([read.body]));
            for path in [
                format!("/v1/users/{}/accounts", others[0]),
                format!("/v1/bank_accounts/{}", others[1]),
                format!("/v1/users/{}", others[0]),
            ] {
                assert_eq!(send(get(path)).await.status, 404);
            }
            // The event log has events of the account, but none of the other owner.
            let mut socket = Socket::join(&app, Some(&who.access)).await;
            let events = "subscription { events(after: \"0\") { type ... on AccountChangedEvent { account { \
                id owner { id } jointMember { id } } }
                ... on TransferChangedEvent { transfer { bankAccount { id } } } ... on OrderChangedEvent { \
                order { account { owner { id } jointMember { id } } } } } }";
            socket.subscribe("1", events, json!({})).await;
            let mut types = Vec::new();
            while let Some(message) =
                socket.hear_within(Duration::from_millis(if types.is_empty() { 10_000 } else { 1_500 })).await
            {
                for word in others {
                    assert!(!message.to_string().contains(word.as_str()), "{word:?} in {message}");
                }
                types.push(text(&message["payload"]["data"]["events"]["type"]));
            }
            for what in ["ACCOUNT_CREATED", "DEPOSIT_PENDING", "DEPOSIT_SETTLED", "ORDER_FILLED"] {
                assert!(types.iter().any(|kind| kind == what), "{what} is not in {types:?}");
            }
            assert_eq!(
                types.iter().filter(|kind| kind.as_str() == "BANK_ACCOUNT_CREATED").count(),
                1,
                "only their own"
            );
        }
        // Other users do not see the account.
        for query in [
            "query($id: ID!) { account(id: $id) { id } }",
            "query($id: ID!) { account: node(id: $id) { id } }",
        ] {
            let unseen = app.gql_as(Some(&eve.access), query, json!({ "id": account })).await;
            assert_eq!(unseen.body, json!({ "data": { "account": null } }));
        }
        // The joint member sees the account, but only its owner can update it.
        let change = json!({ "accountId": account, "patch": { "employerName": "Mine now" } });
        let (code, path, message) = refusal(&app, &marry.access, ACCOUNT_UPDATE, &change).await;
        assert_eq!(
            (code.as_str(), path, message.as_str()),
            ("OWNER_ONLY", json!(["accountId"]), "Only the owner of the account may change it.")
        );
        let (code, ..) = refusal(&app, &eve.access, ACCOUNT_UPDATE, &change).await;
        assert_eq!(code, "NOT_FOUND");
        let changed = app.gql_as(Some(&john.access), ACCOUNT_UPDATE, json!({ "input": change })).await;
        assert_eq!(changed.entity("accountUpdate", "account")["profile"]["employerName"], "Mine now");
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn pages_of_a_users_accounts_contain_those_of_either_role(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await.user_id;
        let marry = signed_in(&app, "Marry", "2025550142", "212345678").await.user_id;
        let open = async |input: Value| {
            let opened = app.gql(ACCOUNT_OPEN, json!({ "input": input })).await;
            text(&opened.entity("accountOpen", "account")["id"])
        };
        let shared = open(joint_account(&john, &json!({ "userId": marry }))).await;
        let johns = open(cash_account(&john)).await;
        let marrys = open(joint_account(&marry, &json!({ "userId": john }))).await;
        let query = "query($j: ID!, $m: ID!, $first: Int, $after: String, $last: Int) {
            john: user(id: $j) { accounts(first: $first, after: $after, last: $last) { ...page } }
            marry: user(id: $m) { accounts(first: $first, after: $after, last: $last) { ...page } } }
            fragment page on UserAccountConnection { edges { cursor role node { id } }
                pageInfo { hasNextPage hasPreviousPage } }";
        let page = |edges: &[(&str, &String)], previous: bool, next: bool| {
            let edges: Vec<Value> = edges
                .iter()
                .map(|(role, id)| json!({ "cursor": id, "role": role, "node": { "id": id } }))
                .collect();
            let info = json!({ "hasNextPage": next, "hasPreviousPage": previous });
            json!({ "accounts": { "edges": edges, "pageInfo": info } })
        };
        let read = async |mut variables: Value| {
            (variables["j"], variables["m"]) = (json!(john), json!(marry));
            app.gql(query, variables).await.data().clone()
        };
        assert_eq!(
            read(json!({ "first": 2 })).await,
            json!({
                "john": page(&[("JOINT_OWNER", &marrys), ("OWNER", &johns)], false, true),
                "marry": page(&[("OWNER", &marrys), ("JOINT_OWNER", &shared)], false, false),
            })
        );
        assert_eq!(
            read(json!({ "first": 1, "after": marrys })).await,
            json!({
                "john": page(&[("OWNER", &johns)], true, true),
                "marry": page(&[("JOINT_OWNER", &shared)], true, false),
            })
        );
        assert_eq!(
            read(json!({ "last": 1 })).await,
            json!({
                "john": page(&[("OWNER", &shared)], true, false),
                "marry": page(&[("JOINT_OWNER", &shared)], true, false),
            })
        );
    }

    async fn a_user_can_only_add_a_new_user_as_joint_member(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await;
        let eve = signed_in(&app, "Eve", "2025550143", "313456789").await;
        let error = refusal(
            &app,
            &john.access,
            ACCOUNT_OPEN,
            &joint_account(&john.user_id, &json!({ "userId": eve.user_id })),
        )
        .await;
        assert_eq!(
            error,
            (
                "NOT_FOUND".to_owned(),
                json!(["jointMember", "userId"]),
                "jointMember.userId was not found".to_owned()
            )
        );
        let input = joint_account(&john.user_id, &json!({ "person": another("Marry", "Doe") }));
        let open = "mutation($input: AccountOpenInput!) { accountOpen(input: $input) { account { id \
            ownership owner { id } jointMember { id } } userErrors { code path } } }";
        let created = app.gql_as(Some(&john.access), open, json!({ "input": input })).await;
        let account = created.entity("accountOpen", "account").clone();
        assert_eq!(
            (&account["ownership"], &account["owner"]["id"], &account["jointMember"]),
            (&json!("JOINT"), &json!(john.user_id), &json!(null))
        );
        let read = app.gql(OWNERS, json!({ "id": account["id"] })).await.data()["account"].clone();
        assert_eq!(read["jointMember"]["firstName"], "Marry");
        let unseen = app
            .gql_as(
                Some(&john.access),
                "query($id: ID!) { user(id: $id) { id } }",
                json!({ "id": read["jointMember"]["id"] }),
            )
            .await;
        assert_eq!(unseen.body, json!({ "data": { "user": null } }));
    }

    async fn a_subscriber_gets_events_of_an_account_once_they_own_it(app: TestApp) {
        let john = app.customer("John").await;
        let marry = signed_in(&app, "Marry", "2025550142", "212345678").await;
        let mut socket = Socket::join(&app, Some(&marry.access)).await;
        socket
            .subscribe(
                "1",
                "subscription { events { type ... on AccountChangedEvent { account { id } } } }",
                json!({}),
            )
            .await;
        assert_eq!(socket.hear_within(Duration::from_millis(1_500)).await, None);
        let change = |patch: Value| json!({ "input": { "accountId": john.account_id, "patch": patch } });
        app.gql(ACCOUNT_UPDATE, change(json!({ "employerName": "Not Marry's" })))
            .await
            .entity("accountUpdate", "account");
        assert_eq!(socket.hear_within(Duration::from_millis(1_500)).await, None);
        app.gql(ACCOUNT_UPDATE, change(json!({ "jointMember": { "userId": marry.user_id } })))
            .await
            .entity("accountUpdate", "account");
        let received = socket.hear_within(Duration::from_secs(10)).await.unwrap();
        assert_eq!(
            received["payload"]["data"]["events"],
            json!({ "type": "ACCOUNT_UPDATED", "account": { "id": john.account_id } })
        );
        app.gql(DEPOSIT_CREATE, json!({ "input": john.deposit("d", "1.00") }))
            .await
            .entity("depositCreate", "transfer");
        let received = socket.hear_within(Duration::from_secs(10)).await.unwrap();
        assert_eq!(received["payload"]["data"]["events"]["type"], "DEPOSIT_PENDING");
    }
}

fn order_id(placed: &Answer) -> String {
    text(&placed.entity("orderPlace", "order")["id"])
}
