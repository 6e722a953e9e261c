//! Bank accounts: the documented requests, the default, and removed bank accounts.

use crate::support::{
    Answer, BANK_ACCOUNT_LINK, DEPOSIT_CREATE, TestApp, USER_CREATE, on_both, person, send,
};
use entity::{audit_log, bank_account, event, user as row};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use uuid::Uuid;

const RENAME: &str = "mutation($input: BankAccountRenameInput!) { bankAccountRename(input: $input) {
    bankAccount { id nickname isDefault } userErrors { code path message } } }";
const SET_DEFAULT: &str =
    "mutation($input: BankAccountSetDefaultInput!) { bankAccountSetDefault(input: $input) {
    bankAccount { id nickname isDefault } userErrors { code path message } } }";
const REMOVE: &str = "mutation($input: BankAccountRemoveInput!) { bankAccountRemove(input: $input) {
    bankAccount { id } userErrors { code path message } } }";
const OF_USER: &str = "query($id: ID!) { user(id: $id) { defaultBankAccount { id } bankAccounts { edges { \
    node { id isDefault removedAt } } } } }";

async fn user(app: &TestApp, first_name: &str) -> String {
    let made = app.gql(USER_CREATE, json!({ "input": person(first_name, "Carter") })).await;
    text(&made.entity("userCreate", "user")["id"])
}

async fn linked(app: &TestApp, user_id: &str, nickname: &str) -> String {
    let input = json!({ "userId": user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": nickname });
    text(
        &app.gql(BANK_ACCOUNT_LINK, json!({ "input": input })).await.entity("bankAccountLink", "bankAccount")
            ["id"],
    )
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string")).to_owned()
}

/// Sends a request to the REST API, which must return this status and body.
async fn answers(app: &TestApp, method: &str, path: &str, body: Option<Value>, expected: (u16, Value)) {
    let request = app.rest(method, path);
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = send(request).await;
    assert_eq!((answer.status, answer.body), expected, "{method} {path} {body:?}");
}

fn missing(field: &str) -> (u16, Value) {
    (404, json!({ "error": { "type": "not_found", "message": format!("{field} was not found") } }))
}

async fn refusal(app: &TestApp, key: &str, document: &str, input: Value) -> (String, Value) {
    let answer = app.gql_as(Some(key), document, json!({ "input": input })).await;
    let error = answer.user_error(document.split(") { ").nth(1).unwrap().split('(').next().unwrap()).clone();
    (text(&error["code"]), error["path"].clone())
}

async fn happened(app: &TestApp, stream: &str) -> Vec<String> {
    let stream: Uuid = stream.parse().unwrap();
    let select = event::Entity::find()
        .filter(event::Column::StreamId.eq(stream))
        .order_by_asc(event::Column::StreamVersion);
    select.all(&app.app.db.read).await.unwrap().into_iter().map(|event| event.kind).collect()
}

async fn set_status(app: &TestApp, user_id: &str, status: row::Status) {
    let found = row::Entity::find_by_id(user_id.parse::<Uuid>().unwrap())
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

/// Returns the ids of the default bank accounts of all users.
async fn defaults(app: &TestApp) -> Vec<String> {
    let select = bank_account::Entity::find().filter(bank_account::Column::IsDefault.eq(true));
    select.all(&app.app.db.read).await.unwrap().into_iter().map(|found| found.id.to_string()).collect()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}

on_both! {
    async fn bank_accounts_are_read_updated_and_removed_as_documented(app: TestApp) {
        let joe = user(&app, "Joe").await;
        let made = app
            .post(
                &format!("/v1/users/{joe}/bank_accounts/"),
                json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
                    "bank_account_nickname": "Joe checking" }),
            )
            .await;
        let id = text(&made.body["id"]);
        let mut whole = json!({
            "id": id, "user_id": joe, "bank_account_number": "4327843043", "bank_routing_number": "121042882",
            "default": false,
            "bank_account_nickname": "Joe checking",
        });
        assert_eq!((made.status, &made.body), (200, &whole), "the first one is not the default");
        let path = format!("/v1/bank_accounts/{id}");
        answers(&app, "GET", &path, None, (200, whole.clone())).await;
        answers(&app, "GET", &format!("{path}/"), None, (200, whole.clone())).await;
        let lines = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("bank_account.read"));
        let lines = lines.all(&app.app.db.read).await.unwrap();
        assert_eq!(
            lines.iter().map(|line| line.object_id.unwrap().to_string()).collect::<Vec<_>>(),
            [id.as_str(), &id]
        );

        let change = json!({ "default": true, "bank_account_nickname": "Joe WF Checking" });
        let changed =
            json!({ "id": id, "user_id": joe, "default": true, "bank_account_nickname": "Joe WF Checking" });
        answers(&app, "PUT", &format!("{path}/"), Some(change.clone()), (200, changed.clone())).await;
        (whole["default"], whole["bank_account_nickname"]) = (json!(true), json!("Joe WF Checking"));
        answers(&app, "GET", &path, None, (200, whole.clone())).await;
        // An update without changes records no event, and omitted fields stay unchanged.
        answers(&app, "PUT", &path, Some(change), (200, changed.clone())).await;
        answers(&app, "PUT", &path, Some(json!({})), (200, changed)).await;
        let not_default =
            json!({ "id": id, "user_id": joe, "default": false, "bank_account_nickname": "Joe WF Checking" });
        answers(&app, "PUT", &path, Some(json!({ "default": false })), (200, not_default)).await;
        assert_eq!(
            happened(&app, &id).await,
            ["bank_account.created", "bank_account.updated", "bank_account.updated"]
        );
        for (body, message) in [
            (json!({ "default": "yes" }), "default must be true or false"),
            (json!({ "bank_account_nickname": 7 }), "bank_account_nickname must be a string"),
            (
                json!({ "bank_account_nickname": "a\nb" }),
                "bank_account_nickname must have at most 100 printable characters",
            ),
            (
                json!({ "bank_account_nickname": "x".repeat(101) }),
                "bank_account_nickname must have at most 100 printable characters",
            ),
        ] {
            let expected = json!({ "error": { "type": "validation_error", "message": message } });
            answers(&app, "PUT", &path, Some(body), (400, expected)).await;
        }

        let deleted = json!({ "id": id, "object": "bank_account", "deleted": true });
        let delete = || app.rest("DELETE", &format!("{path}/")).header("idempotency-key", "k");
        for again in [false, true] {
            let answer = send(delete()).await;
            assert_eq!((answer.status, &answer.body), (200, &deleted));
            assert_eq!(answer.headers.contains_key("idempotent-replayed"), again);
        }
        answers(&app, "GET", &path, None, missing("id")).await;
        answers(&app, "PUT", &path, Some(json!({ "default": true })), missing("bank_account_id")).await;
        answers(&app, "DELETE", &path, None, missing("bank_account_id")).await;
        assert_eq!(happened(&app, &id).await.last().unwrap(), "bank_account.deleted");
        let node = app.gql("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(node.body, json!({ "data": { "node": null } }));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn invalid_bank_account_and_routing_numbers_are_refused(app: TestApp) {
        let joe = user(&app, "Joe").await;
        let path = format!("/v1/users/{joe}/bank_accounts");
        let good = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
            "bank_account_nickname": "N" });
        let with = |field: &str, value: Value| {
            let mut body = good.clone();
            body[field] = value;
            body
        };
        let before = bank_account::Entity::find().all(&app.app.db.read).await.unwrap().len();
        for field in ["bank_account_number", "bank_routing_number", "bank_account_nickname"] {
            for missing in [json!(null), json!(""), json!(" ")] {
                let expected = json!({ "error": { "type": "invalid_request",
                    "message": format!("{field} is required") } });
                answers(&app, "POST", &path, Some(with(field, missing)), (400, expected)).await;
            }
            let expected = json!({ "error": { "type": "validation_error",
                "message": format!("{field} must be a string") } });
            answers(&app, "POST", &path, Some(with(field, json!(121_042_882))), (400, expected)).await;
        }
        for (field, value, message) in [
            ("bank_routing_number", "000000000", "must not be all zeros"),
            ("bank_routing_number", "121042883", "must have a matching check digit"),
            ("bank_routing_number", "12104288", "must have nine digits"),
            ("bank_routing_number", "1210428820", "must have nine digits"),
            ("bank_routing_number", " 121042882", "must have nine digits"),
            ("bank_routing_number", "130000006", "must begin with a valid Federal Reserve prefix"),
            ("bank_routing_number", "600000002", "must begin with a valid Federal Reserve prefix"),
            ("bank_account_number", "123", "must have 4 to 17 characters"),
            ("bank_account_number", "123456789012345678", "must have 4 to 17 characters"),
            ("bank_account_number", "1234-5678", "must contain only letters and digits"),
        ] {
            let expected =
                json!({ "error": { "type": "validation_error", "message": format!("{field} {message}") } });
            answers(&app, "POST", &path, Some(with(field, json!(value))), (400, expected)).await;
        }
        assert_eq!(bank_account::Entity::find().all(&app.app.db.read).await.unwrap().len(), before);
        for (routing, number) in [
            ("021000021", "1234"),
            ("122105155", "12345678901234567"),
            ("011000015", "AB12cd34"),
            ("800000006", "4327843043"),
        ] {
            let body = json!({ "bank_account_number": number, "bank_routing_number": routing,
                "bank_account_nickname": " Mine " });
            let made = app.post(&path, body).await;
            assert_eq!(
                (made.status, &made.body["bank_account_number"], &made.body["bank_account_nickname"]),
                (200, &json!(number), &json!("Mine"))
            );
        }
    }

    async fn a_user_has_at_most_one_default_bank_account(app: TestApp) {
        let (joe, eve) = (user(&app, "Joe").await, user(&app, "Eve").await);
        let (first, second, eves) = (
            linked(&app, &joe, "First").await,
            linked(&app, &joe, "Second").await,
            linked(&app, &eve, "Eve's").await,
        );
        let default = async |id: &str| {
            app.gql(OF_USER, json!({ "id": id })).await.data()["user"]["defaultBankAccount"].clone()
        };
        assert_eq!(default(&joe).await, json!(null));
        for id in [&first, &eves, &second] {
            let set = app.gql(SET_DEFAULT, json!({ "input": { "bankAccountId": id } })).await;
            assert_eq!(set.entity("bankAccountSetDefault", "bankAccount")["isDefault"], true);
        }
        assert_eq!(
            (default(&joe).await, default(&eve).await),
            (json!({ "id": second }), json!({ "id": eves }))
        );
        // Unsetting a bank account that is not the default does not change the default.
        let not = json!({ "input": { "bankAccountId": first, "isDefault": false } });
        assert_eq!(
            app.gql(SET_DEFAULT, not).await.entity("bankAccountSetDefault", "bankAccount")["isDefault"],
            false
        );
        assert_eq!(default(&joe).await, json!({ "id": second }));
        let none = json!({ "input": { "bankAccountId": second, "isDefault": false } });
        assert_eq!(
            app.gql(SET_DEFAULT, none).await.entity("bankAccountSetDefault", "bankAccount")["isDefault"],
            false
        );
        assert_eq!(default(&joe).await, json!(null));
        let renamed =
            app.gql(RENAME, json!({ "input": { "bankAccountId": eves, "nickname": "  Rainy days " } })).await;
        assert_eq!(
            renamed.entity("bankAccountRename", "bankAccount"),
            &json!({ "id": eves, "nickname": "Rainy days", "isDefault": true })
        );
        for (nickname, code) in [("", "REQUIRED"), ("a\tb", "INVALID")] {
            let error =
                refusal(&app, &app.key, RENAME, json!({ "bankAccountId": eves, "nickname": nickname })).await;
            assert_eq!(error, (code.to_owned(), json!(["nickname"])));
        }
    }

    async fn concurrent_changes_of_the_default_leave_one_default(app: TestApp) {
        let joe = user(&app, "Joe").await;
        let mut all = Vec::new();
        for turn in 0..8 {
            all.push(linked(&app, &joe, &format!("Number {turn}")).await);
        }
        for _ in 0..2 {
            let app = &app;
            let sets = (0..32).map(|turn| {
                let id = &all[turn % all.len()];
                async move {
                    if turn % 2 == 0 {
                        send(
                            app.rest("PUT", &format!("/v1/bank_accounts/{id}"))
                                .json(&json!({ "default": true })),
                        )
                        .await
                    } else {
                        app.gql(SET_DEFAULT, json!({ "input": { "bankAccountId": id } })).await
                    }
                }
            });
            for answer in futures_util::future::join_all(sets).await {
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert!(answer.body.get("errors").is_none(), "{}", answer.body);
            }
            let left = defaults(app).await;
            assert_eq!(left.len(), 1);
            assert!(all.contains(&left[0]));
        }
        // The same while the default is removed: there are never two, and never a removed one.
        let left = defaults(&app).await.remove(0);
        let removal = app.gql(REMOVE, json!({ "input": { "bankAccountId": left } }));
        let sets = futures_util::future::join_all(
            all.iter().map(|id| app.gql(SET_DEFAULT, json!({ "input": { "bankAccountId": id } }))),
        );
        let (removal, sets) = futures_util::future::join(removal, sets).await;
        assert_eq!(removal.entity("bankAccountRemove", "bankAccount"), &json!({ "id": left }));
        assert!(sets.iter().all(|answer| answer.body.get("errors").is_none()));
        let after = defaults(&app).await;
        assert!(after.len() <= 1 && !after.contains(&left), "{after:?}");
        let others = all.iter().filter(|id| **id != left);
        futures_util::future::join_all(
            others.map(|id| app.gql(SET_DEFAULT, json!({ "input": { "bankAccountId": id } }))),
        )
        .await;
        let after = defaults(&app).await;
        assert!(after.len() == 1 && after[0] != left, "{after:?}");
    }

    async fn a_bank_account_with_a_pending_transfer_cannot_be_removed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("d", "100.00") })).await;
        let transfer = text(&deposit.entity("depositCreate", "transfer")["id"]);
        let path = format!("/v1/bank_accounts/{}", ada.bank_account_id);
        let message = "A transfer from or to the bank account is under way. Try again once it has ended.";
        let expected = json!({ "error": { "type": "invalid_request", "message": message } });
        answers(&app, "DELETE", &path, None, (402, expected)).await;
        let refused = refusal(&app, &app.key, REMOVE, json!({ "bankAccountId": ada.bank_account_id })).await;
        assert_eq!(refused, ("TRANSFER_PENDING".to_owned(), json!(["bankAccountId"])));
        assert_eq!(app.get(&path).await.status, 200);

        app.gql(SET_DEFAULT, json!({ "input": { "bankAccountId": ada.bank_account_id } }))
            .await
            .entity("bankAccountSetDefault", "bankAccount");
        app.advance_to("2026-07-10T15:00:00Z").await;
        let removed = app.gql(REMOVE, json!({ "input": { "bankAccountId": ada.bank_account_id } })).await;
        assert_eq!(removed.entity("bankAccountRemove", "bankAccount"), &json!({ "id": ada.bank_account_id }));
        let of_user = app.gql(OF_USER, json!({ "id": ada.user_id })).await.data()["user"].clone();
        assert_eq!(of_user, json!({ "defaultBankAccount": null, "bankAccounts": { "edges": [] } }));
        // It cannot be used for new deposits, but earlier transfers still show it.
        let again = refusal(&app, &app.key, DEPOSIT_CREATE, ada.deposit("again", "1.00")).await;
        assert_eq!(again, ("NOT_FOUND".to_owned(), json!(["bankAccountId"])));
        for (document, input) in [
            (RENAME, json!({ "bankAccountId": ada.bank_account_id, "nickname": "N" })),
            (SET_DEFAULT, json!({ "bankAccountId": ada.bank_account_id })),
            (REMOVE, json!({ "bankAccountId": ada.bank_account_id })),
        ] {
            assert_eq!(
                refusal(&app, &app.key, document, input).await,
                ("NOT_FOUND".to_owned(), json!(["bankAccountId"]))
            );
        }
        let query = "query($id: ID!) { transfer(id: $id) { status bankAccount { id nickname numberLast4 \
            isDefault removedAt } } }";
        let shown = app.gql(query, json!({ "id": transfer })).await.data()["transfer"].clone();
        let gone = json!({ "id": ada.bank_account_id, "nickname": "Checking", "numberLast4": "3043",
            "isDefault": false, "removedAt": "2026-07-10T15:00:00Z" });
        assert_eq!(shown, json!({ "status": "SETTLED", "bankAccount": gone }));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_concurrent_removal_and_deposit_never_both_succeed(app: TestApp) {
        for turn in 0..12 {
            let ada = app.customer("Ada").await;
            let remove =
                async { app.gql(REMOVE, json!({ "input": { "bankAccountId": ada.bank_account_id } })).await };
            let deposit = async {
                app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit(&format!("d{turn}"), "1.00") })).await
            };
            let (removed, deposited) = if turn % 2 == 0 {
                futures_util::future::join(remove, deposit).await
            } else {
                let (deposited, removed) = futures_util::future::join(deposit, remove).await;
                (removed, deposited)
            };
            let code = |answer: &Answer, name: &str| {
                answer.data()[name]["userErrors"][0]["code"].as_str().map(str::to_owned)
            };
            match (code(&removed, "bankAccountRemove"), code(&deposited, "depositCreate")) {
                (None, Some(refused)) if refused == "NOT_FOUND" => {}
                (Some(refused), None) if refused == "TRANSFER_PENDING" => {}
                other => panic!("both or neither happened: {other:?}"),
            }
        }
    }

    async fn a_removed_bank_account_still_works_as_a_page_cursor(app: TestApp) {
        let joe = user(&app, "Joe").await;
        let mut made = Vec::new();
        for turn in 0..5 {
            made.push(linked(&app, &joe, &format!("Number {turn}")).await);
        }
        app.gql(REMOVE, json!({ "input": { "bankAccountId": made[2] } }))
            .await
            .entity("bankAccountRemove", "bankAccount");
        let path = format!("/v1/users/{joe}/bank_accounts");
        assert_eq!(ids(&app.get(&path).await.body), [made[4].as_str(), &made[3], &made[1], &made[0]]);
        assert_eq!(
            ids(&app.get(&format!("{path}?starting_after={}", made[2])).await.body),
            [made[1].as_str(), &made[0]]
        );
        assert_eq!(
            ids(&app.get(&format!("{path}?ending_before={}", made[2])).await.body),
            [made[4].as_str(), &made[3]]
        );
        let eve = user(&app, "Eve").await;
        let elsewhere = app.get(&format!("/v1/users/{eve}/bank_accounts?starting_after={}", made[2])).await;
        assert_eq!(
            (elsewhere.status, &elsewhere.body["error"]["message"]),
            (400, &json!("starting_after does not match any bank account in this list"))
        );
        let query = "query($id: ID!, $after: String) { user(id: $id) { bankAccounts(first: 3, after: \
            $after) { edges { node { id } } pageInfo { hasNextPage } } } }";
        for (after, expected, more) in
            [(json!(null), vec![4, 3, 1], true), (json!(made[2]), vec![1, 0], false)]
        {
            let page =
                app.gql(query, json!({ "id": joe, "after": after })).await.data()["user"]["bankAccounts"]
                    .clone();
            let seen: Vec<String> =
                page["edges"].as_array().unwrap().iter().map(|edge| text(&edge["node"]["id"])).collect();
            assert_eq!(seen, expected.iter().map(|at: &usize| made[*at].clone()).collect::<Vec<_>>());
            assert_eq!(page["pageInfo"]["hasNextPage"], more);
        }
        // The number can be linked again.
        let again = linked(&app, &joe, "Once more").await;
        assert_eq!(ids(&app.get(&format!("{path}?limit=1")).await.body), [again]);
    }

    async fn an_unapproved_user_can_only_remove_bank_accounts(app: TestApp) {
        let joe = user(&app, "Joe").await;
        let id = linked(&app, &joe, "First").await;
        set_status(&app, &joe, row::Status::DocumentationRequired).await;
        for (document, input) in [
            (RENAME, json!({ "bankAccountId": id, "nickname": "N" })),
            (SET_DEFAULT, json!({ "bankAccountId": id })),
        ] {
            assert_eq!(
                refusal(&app, &app.key, document, input).await,
                ("KYC_NOT_APPROVED".to_owned(), json!(null))
            );
        }
        let expected = json!({ "error": { "type": "invalid_request",
            "message": "The user's identity has not been approved." } });
        answers(
            &app,
            "PUT",
            &format!("/v1/bank_accounts/{id}"),
            Some(json!({ "default": true })),
            (402, expected),
        )
        .await;
        answers(
            &app,
            "DELETE",
            &format!("/v1/bank_accounts/{id}"),
            None,
            (200, json!({ "id": id, "object": "bank_account", "deleted": true })),
        )
        .await;
    }

    async fn a_user_can_only_manage_their_own_bank_accounts(app: TestApp) {
        let joe = app.person("joe@example.com", "2025550141").await;
        let eve = app.person("eve@example.com", "2025550142").await;
        set_status(&app, &joe.user_id, row::Status::Approved).await;
        let mine = linked(&app, &joe.user_id, "Mine").await;
        let (_, other) = app.other_partner("another").await;
        for stranger in [eve.access.as_str(), &other] {
            for (document, input) in [
                (RENAME, json!({ "bankAccountId": mine, "nickname": "Mine now" })),
                (SET_DEFAULT, json!({ "bankAccountId": mine })),
                (REMOVE, json!({ "bankAccountId": mine })),
            ] {
                assert_eq!(
                    refusal(&app, stranger, document, input).await,
                    ("NOT_FOUND".to_owned(), json!(["bankAccountId"]))
                );
            }
            let read =
                send(app.anonymous("GET", &format!("/v1/bank_accounts/{mine}")).bearer_auth(stranger)).await;
            assert_eq!((read.status, read.body), missing("id"));
        }
        let read =
            send(app.anonymous("GET", &format!("/v1/bank_accounts/{mine}")).bearer_auth(&joe.access)).await;
        assert_eq!((read.status, &read.body["bank_account_number"]), (200, &json!("4327843043")));
        let send_input = async |document: &str, input: Value| {
            app.gql_as(Some(&joe.access), document, json!({ "input": input })).await
        };
        let renamed = send_input(RENAME, json!({ "bankAccountId": mine, "nickname": "Still mine" })).await;
        assert_eq!(renamed.entity("bankAccountRename", "bankAccount")["nickname"], "Still mine");
        let set = send_input(SET_DEFAULT, json!({ "bankAccountId": mine })).await;
        assert_eq!(set.entity("bankAccountSetDefault", "bankAccount")["isDefault"], true);
        let viewer =
            app.gql_as(Some(&joe.access), "{ viewer { defaultBankAccount { nickname } } }", json!({})).await;
        assert_eq!(viewer.data()["viewer"]["defaultBankAccount"]["nickname"], "Still mine");
        assert_eq!(
            send_input(REMOVE, json!({ "bankAccountId": mine }))
                .await
                .entity("bankAccountRemove", "bankAccount"),
            &json!({ "id": mine })
        );
    }
}
