//! Joint accounts: two people, each of whom proves who she is, and neither of whom sees the other.

use super::{
    ACCOUNT_OPEN, ACCOUNT_UPDATE, Answer, DEPOSIT_CREATE, ORDER_PLACE, TestApp, cash_account, documented,
    done, happened, on_both, person, refusal, refused, send, text, user, with,
};
use crate::support::{BANK_ACCOUNT_LINK, Customer, person::SignedIn, socket::Socket};
use entity::user as row;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};
use std::time::Duration;

/// The documented joint member.
fn marry() -> Value {
    json!({
        "phone_number": "18042562188", "first_name": "Marry", "last_name": "Doe",
        "email_address": "marryjoe@finos.com",
        "birth_date": "1985-04-21", "ssn_number": "666456789", "address_line_1": "123 Test St",
        "address_city": "Richmond",
        "address_state": "VA", "address_postal_code": "23220", "address_country_code": "US",
    })
}

/// Somebody with a number of her own, in the words of GraphQL.
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
        "nickname": "Hers alone" });
    text(
        &app.gql(BANK_ACCOUNT_LINK, json!({ "input": input })).await.entity("bankAccountLink", "bankAccount")
            ["id"],
    )
}

/// Somebody approved who has signed in.
async fn signed_in(app: &TestApp, name: &str, phone: &str, ssn: &str) -> SignedIn {
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
    async fn a_joint_account_as_documented(app: TestApp) {
        let john = user(&app, "John").await;
        let path = format!("/v1/users/{john}/accounts");
        let joint = with(documented(), "ownership", "joint");
        let made = done(&app, "POST", &path, &with(joint.clone(), "joint_member", marry())).await;
        let id = text(&made["id"]);
        assert_eq!(
            made,
            json!({ "user_id": john, "id": id, "account_number": made["account_number"], "ownership": "joint",
                "account_type": "cash" })
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
            "her identity was checked"
        );
        assert_eq!(read["joint_member"], app.get(&format!("/v1/users/{member}")).await.body);
        assert_eq!(read["owner"], app.get(&format!("/v1/users/{john}")).await.body);
        // Each of the two has it on her list.
        let alone = done(&app, "POST", &path, &documented()).await;
        let ids = |page: Value| {
            page["data"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect::<Vec<_>>()
        };
        assert_eq!(ids(app.get(&path).await.body), [text(&alone["id"]), id.clone()]);
        let hers = app.get(&format!("/v1/users/{member}/accounts")).await.body;
        assert_eq!(hers["data"], json!([read]));
        let query = "query($a: ID!, $b: ID!) { a: user(id: $a) { ...of } b: user(id: $b) { ...of } }
            fragment of on User { accounts { edges { node { id } } } jointAccounts { edges { node { id } } } }";
        let both = app.gql(query, json!({ "a": john, "b": member })).await;
        let (one, two) = (json!({ "node": { "id": id } }), json!({ "node": { "id": alone["id"] } }));
        let edges = |edges: Value| json!({ "edges": edges });
        assert_eq!(
            both.data()["a"],
            json!({ "accounts": edges(json!([two, one])), "jointAccounts": edges(json!([])) })
        );
        assert_eq!(
            both.data()["b"],
            json!({ "accounts": edges(json!([])), "jointAccounts": edges(json!([one])) })
        );

        // Named later, and only once.
        let later = done(&app, "POST", &path, &joint).await;
        let later = format!("/v1/accounts/{}", text(&later["id"]));
        assert_eq!(app.get(&later).await.body["joint_member"], json!(null));
        assert_eq!(
            done(&app, "PUT", &later, &json!({ "joint_member": marry() })).await["ownership"],
            "joint"
        );
        assert_eq!(app.get(&later).await.body["joint_member"]["first_name"], "Marry");
        let stays = "The account has a joint member, who cannot be replaced.";
        refused(&app, "PUT", &later, &json!({ "joint_member": marry() }), (402, "invalid_request", stays))
            .await;
        let two = "A joint account belongs to two people and cannot become an individual one.";
        refused(&app, "PUT", &later, &json!({ "ownership": "single" }), (402, "invalid_request", two)).await;

        // From one owner to two, with or without saying so.
        for said in
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
            assert_eq!(done(&app, "PUT", &single, &said).await["ownership"], "joint");
            assert_eq!(app.get(&single).await.body["joint_member"]["email_address"], "marryjoe@finos.com");
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_joint_member_who_cannot_be_is_refused_and_leaves_nothing(app: TestApp) {
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
                "joint_member.ssn_number must be of another person than the owner",
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
        let alone = "joint_member must be left out of an individual account";
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
        // A number that nobody has is for sandboxes.
        let live = app.live_key().await;
        let issued =
            send(app.anonymous("POST", &path).bearer_auth(&live).json(&with(joint, "joint_member", marry())))
                .await;
        let told = json!({ "error": { "type": "validation_error",
            "message": "joint_member.ssn_number must be a valid social security number" } });
        assert_eq!((issued.status, issued.body), (400, told));

        let (_, other) = app.other_partner("another").await;
        let strange = app.customer_as(&other, "Strange").await;
        let patch = |member: Value| json!({ "accountId": single["id"], "patch": { "jointMember": member } });
        for (id, code) in [
            (john.as_str(), "INVALID"),
            (&strange.user_id, "NOT_FOUND"),
            (single["id"].as_str().unwrap(), "NOT_FOUND"),
            ("nope", "NOT_FOUND"),
        ] {
            let (told, path, _) =
                refusal(&app, &app.key, ACCOUNT_OPEN, &joint_account(&john, &json!({ "userId": id }))).await;
            assert_eq!((told.as_str(), path), (code, json!(["jointMember", "userId"])), "{id}");
            let (told, path, _) =
                refusal(&app, &app.key, ACCOUNT_UPDATE, &patch(json!({ "userId": id }))).await;
            assert_eq!((told.as_str(), path), (code, json!(["patch", "jointMember", "userId"])), "{id}");
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
            let (_, told, _) = refusal(&app, &app.key, ACCOUNT_OPEN, &joint_account(&john, &member)).await;
            assert_eq!(told, path);
            let (_, told, _) = refusal(&app, &app.key, ACCOUNT_UPDATE, &patch(member)).await;
            assert_eq!(told[0], "patch");
            assert_eq!(told.as_array().unwrap()[1..], path.as_array().unwrap()[..]);
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

    async fn a_joint_account_waits_for_both_owners(app: TestApp) {
        let john = app.customer("John").await;
        let refused_on = async |account: &str, turn: &str, text: &str| {
            let deposit = with(john.deposit(&format!("d-{turn}"), "10.00"), "accountId", account);
            let order = with(john.order(&format!("o-{turn}"), "BUY", "VTI", "0.1"), "accountId", account);
            for (mutation, input) in [(DEPOSIT_CREATE, deposit), (ORDER_PLACE, order)] {
                let (code, _, told) = refusal(&app, &app.key, mutation, &input).await;
                assert_eq!((code.as_str(), told.as_str()), ("KYC_NOT_APPROVED", text));
            }
        };
        let nobody = "The joint member of the account has not been named.";
        let unapproved = "The user's identity has not been approved.";
        for (turn, (last_name, status)) in
            [("Question", "ACTION_REQUIRED"), ("Review", "DOCUMENTATION_REQUIRED"), ("Denied", "DENIED")]
                .into_iter()
                .enumerate()
        {
            let account = opened(&app, with(cash_account(&john.user_id), "ownership", "JOINT")).await;
            refused_on(&account, &format!("{turn}-nobody"), nobody).await;
            let member = json!({ "person": another("Marry", last_name) });
            let patch = json!({ "accountId": account, "patch": { "jointMember": member } });
            app.gql(ACCOUNT_UPDATE, json!({ "input": patch })).await.entity("accountUpdate", "account");
            let read = app.gql(OWNERS, json!({ "id": account })).await.data()["account"].clone();
            let marry = text(&read["jointMember"]["id"]);
            let told = json!({ "ownership": "JOINT", "owner": { "id": john.user_id },
                "jointMember": { "id": marry, "firstName": "Marry", "status": status } });
            assert_eq!(read, told);
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
            // The owner counts as much.
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
        // Both may pay in, and nobody else.
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
        let (hers, stranger) =
            (bank_account_of(&app, &marry).await, app.customer("Sam").await.bank_account_id);
        let deposit = |key: &str, bank: &str| {
            with(with(john.deposit(key, "5.00"), "accountId", account.as_str()), "bankAccountId", bank)
        };
        for (key, bank) in [("his", john.bank_account_id.as_str()), ("hers", &hers)] {
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

    async fn joint_owners_see_the_account_and_never_each_other(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await;
        let marry = signed_in(&app, "Marry", "2025550142", "212345678").await;
        let eve = signed_in(&app, "Eve", "2025550143", "313456789").await;
        let account = opened(&app, joint_account(&john.user_id, &json!({ "userId": marry.user_id }))).await;
        let (his, hers) =
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
        // Each pays in from her own bank account alone.
        for (who, own, others) in [(&john, &his, &hers), (&marry, &hers, &his)] {
            let made = pay(who, own).await;
            assert_eq!(made.entity("depositCreate", "transfer")["status"], "PENDING");
            let refused = pay(who, others).await;
            assert_eq!(refused.user_error("depositCreate")["path"], json!(["bankAccountId"]));
        }
        app.advance_to("2026-07-10T16:00:00Z").await;
        let order = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { order { id account { \
            owner { id } jointMember { id } } } userErrors { code } } }";
        let placed = app
            .gql_as(Some(&marry.access), order, json!({ "input": customer("").order("o", "BUY", "KO", "1") }))
            .await;
        let told = placed.entity("orderPlace", "order").clone();
        assert_eq!(told["account"], json!({ "owner": null, "jointMember": { "id": marry.user_id } }));
        app.ended(&text(&told["id"])).await;

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
        let mark = |words: &[String], answer: &Answer| {
            for word in words {
                assert!(!answer.body.to_string().contains(word.as_str()), "{word:?} in {}", answer.body);
            }
        };
        let (of_john, of_marry) = (words("John", &john.user_id, &his), words("Marry", &marry.user_id, &hers));
        for (who, bank, others, is_owner) in
            [(&john, &his, &of_marry, true), (&marry, &hers, &of_john, false)]
        {
            let seen = app.gql_as(Some(&who.access), everything, json!({ "id": account })).await;
            let told = &seen.data()["account"];
            assert_eq!(told["owner"].is_null(), !is_owner);
            assert_eq!(told["jointMember"].is_null(), is_owner);
            assert_eq!(told["profile"].is_null(), !is_owner);
            let transfers: Vec<&Value> = told["transfers"]["edges"]
                .as_array()
                .unwrap()
                .iter()
                .map(|edge| &edge["node"]["bankAccount"])
                .collect();
            assert_eq!(transfers.len(), 2, "both deposits are on the account");
            assert_eq!(transfers.iter().filter(|bank_account| bank_account.is_null()).count(), 1);
            assert!(transfers.iter().any(|bank_account| bank_account["id"] == json!(bank)));
            assert_eq!(told["positions"]["edges"].as_array().unwrap().len(), 1);
            assert!(told["balance"]["total"]["amount"].is_string());
            mark(others, &seen);

            let lists = "{ viewer { id accounts { edges { node { id } } } jointAccounts { edges { node { id \
                owner { id } } } } }
                accounts { edges { node { id number } } } orders { edges { node { id account { id } } } } \
                users { edges { node { id } } } }";
            let seen = app.gql_as(Some(&who.access), lists, json!({})).await;
            assert_eq!(seen.data()["accounts"]["edges"][0]["node"]["id"], json!(account));
            assert_eq!(seen.data()["orders"]["edges"].as_array().unwrap().len(), 1);
            let list = if is_owner { "accounts" } else { "jointAccounts" };
            assert_eq!(seen.data()["viewer"][list]["edges"][0]["node"]["id"], json!(account));
            mark(others, &seen);

            let node = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";
            let seen = app
                .gql_as(
                    Some(&who.access),
                    node,
                    json!({ "ids": [account, told_id(&placed), his, hers, john.user_id, marry.user_id] }),
                )
                .await;
            let visible: Vec<bool> =
                seen.data()["nodes"].as_array().unwrap().iter().map(|node| !node.is_null()).collect();
            assert_eq!(visible, [true, true, is_owner, !is_owner, is_owner, !is_owner]);

            let ask = |path: String| app.anonymous("GET", &path).bearer_auth(&who.access);
            let read = send(ask(format!("/v1/accounts/{account}"))).await;
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
            mark(others, &read);
            let list = send(ask(format!("/v1/users/{}/accounts", who.user_id))).await;
            assert_eq!(list.body["data"], json!([read.body]));
            for path in [
                format!("/v1/users/{}/accounts", others[0]),
                format!("/v1/bank_accounts/{}", others[1]),
                format!("/v1/users/{}", others[0]),
            ] {
                assert_eq!(send(ask(path)).await.status, 404);
            }
            // What the log tells: of the account and what happens on it, of nobody else.
            let mut socket = Socket::join(&app, Some(&who.access)).await;
            let events = "subscription { events(after: \"0\") { type ... on AccountChangedEvent { account { \
                id owner { id } jointMember { id } } }
                ... on TransferChangedEvent { transfer { bankAccount { id } } } ... on OrderChangedEvent { \
                order { account { owner { id } jointMember { id } } } } } }";
            socket.subscribe("1", events, json!({})).await;
            let mut told = Vec::new();
            while let Some(message) =
                socket.hear_within(Duration::from_millis(if told.is_empty() { 10_000 } else { 1_500 })).await
            {
                for word in others {
                    assert!(!message.to_string().contains(word.as_str()), "{word:?} in {message}");
                }
                told.push(text(&message["payload"]["data"]["events"]["type"]));
            }
            for what in ["account.created", "deposit.pending", "deposit.settled", "order.filled"] {
                assert!(told.iter().any(|kind| kind == what), "{what} is not in {told:?}");
            }
            assert_eq!(
                told.iter().filter(|kind| kind.as_str() == "bank_account.created").count(),
                1,
                "her own"
            );
        }
        // Nobody else sees any of it.
        for query in [
            "query($id: ID!) { account(id: $id) { id } }",
            "query($id: ID!) { account: node(id: $id) { id } }",
        ] {
            let unseen = app.gql_as(Some(&eve.access), query, json!({ "id": account })).await;
            assert_eq!(unseen.body, json!({ "data": { "account": null } }));
        }
        // The joint member sees the account, and what its owner said is the owner's to change.
        let change = json!({ "accountId": account, "patch": { "employerName": "Mine now" } });
        let (code, path, told) = refusal(&app, &marry.access, ACCOUNT_UPDATE, &change).await;
        assert_eq!(
            (code.as_str(), path, told.as_str()),
            ("OWNER_ONLY", json!(["accountId"]), "Only the owner of the account may change it.")
        );
        let (code, ..) = refusal(&app, &eve.access, ACCOUNT_UPDATE, &change).await;
        assert_eq!(code, "NOT_FOUND");
        let changed = app.gql_as(Some(&john.access), ACCOUNT_UPDATE, json!({ "input": change })).await;
        assert_eq!(changed.entity("accountUpdate", "account")["profile"]["employerName"], "Mine now");
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_person_shares_an_account_with_somebody_new_alone(app: TestApp) {
        let john = signed_in(&app, "John", "2025550141", "123456789").await;
        let eve = signed_in(&app, "Eve", "2025550143", "313456789").await;
        let told = refusal(
            &app,
            &john.access,
            ACCOUNT_OPEN,
            &joint_account(&john.user_id, &json!({ "userId": eve.user_id })),
        )
        .await;
        assert_eq!(
            told,
            (
                "NOT_FOUND".to_owned(),
                json!(["jointMember", "userId"]),
                "jointMember.userId names nothing that you can see".to_owned()
            )
        );
        let input = joint_account(&john.user_id, &json!({ "person": another("Marry", "Doe") }));
        let open = "mutation($input: AccountOpenInput!) { accountOpen(input: $input) { account { id \
            ownership owner { id } jointMember { id } } userErrors { code path } } }";
        let made = app.gql_as(Some(&john.access), open, json!({ "input": input })).await;
        let account = made.entity("accountOpen", "account").clone();
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

    async fn a_listener_hears_of_an_account_from_when_it_is_hers(app: TestApp) {
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
        app.gql(ACCOUNT_UPDATE, change(json!({ "employerName": "Not hers" })))
            .await
            .entity("accountUpdate", "account");
        assert_eq!(socket.hear_within(Duration::from_millis(1_500)).await, None);
        app.gql(ACCOUNT_UPDATE, change(json!({ "jointMember": { "userId": marry.user_id } })))
            .await
            .entity("accountUpdate", "account");
        let heard = socket.hear_within(Duration::from_secs(10)).await.unwrap();
        assert_eq!(
            heard["payload"]["data"]["events"],
            json!({ "type": "account.updated", "account": { "id": john.account_id } })
        );
        app.gql(DEPOSIT_CREATE, json!({ "input": john.deposit("d", "1.00") }))
            .await
            .entity("depositCreate", "transfer");
        let heard = socket.hear_within(Duration::from_secs(10)).await.unwrap();
        assert_eq!(heard["payload"]["data"]["events"]["type"], "deposit.pending");
    }
}

fn told_id(placed: &Answer) -> String {
    text(&placed.entity("orderPlace", "order")["id"])
}
