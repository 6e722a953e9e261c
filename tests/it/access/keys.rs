//! A partner's API keys: issue, rotate and revoke them, and which credentials the APIs accept.

use crate::support::{
    Answer, Folder, TestApp, USER_CREATE, on_both, person, postgres_database,
    process::{create_key, run},
    send,
    socket::Socket,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use coffer::rest::ROUTES;
use domain::{
    Scope,
    access::keys,
    kernel::{
        clock,
        secrets::{AssociatedData, Signer},
    },
};
use entity::api_key;
use futures_util::StreamExt;
use reqwest::header::HeaderMap;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Timeout for something that takes at most a second, long enough for a slow machine.
const TIMEOUT: Duration = Duration::from_secs(30);

pub const ISSUE: &str = "mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) {
    apiKey { id prefix label scopes isPublishable expiresAt revokedAt rotatedFrom { id } } secret \
    userErrors { code path message } } }";
pub const ROTATE: &str = "mutation($input: ApiKeyRotateInput!) { apiKeyRotate(input: $input) {
    apiKey { id label scopes rotatedFrom { id expiresAt } } secret userErrors { code path message } } }";
const REVOKE: &str = "mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) {
    apiKey { id revokedAt } userErrors { code path message } } }";

async fn issued(app: &TestApp, input: Value) -> (String, String) {
    let answer = app.gql(ISSUE, json!({ "input": input })).await;
    let id = answer.entity("apiKeyIssue", "apiKey")["id"].as_str().unwrap().to_owned();
    (id, answer.data()["apiKeyIssue"]["secret"].as_str().unwrap().to_owned())
}

async fn rotated(app: &TestApp, input: Value) -> (String, String) {
    let answer = app.gql(ROTATE, json!({ "input": input })).await;
    let id = answer.entity("apiKeyRotate", "apiKey")["id"].as_str().unwrap().to_owned();
    (id, answer.data()["apiKeyRotate"]["secret"].as_str().unwrap().to_owned())
}

/// Returns the status that the GraphQL API and the REST API respond with for this key.
async fn statuses_for(app: &TestApp, key: &str) -> (u16, u16) {
    let rest = send(app.anonymous("GET", "/v1/orders").bearer_auth(key)).await;
    (app.gql_as(Some(key), "{ partner { name } }", json!({})).await.status, rest.status)
}

/// Returns the id of a key from its full text.
async fn id_of(app: &TestApp, key: &str) -> String {
    keys::find_by_public_id(&app.app.db.read, &key["sk_test_".len()..][..8])
        .await
        .unwrap()
        .unwrap()
        .id
        .to_string()
}

async fn altered(app: &TestApp, key: &str, alter: impl FnOnce(&mut api_key::ActiveModel)) {
    let row =
        keys::find_by_public_id(&app.app.db.read, &key["sk_test_".len()..][..8]).await.unwrap().unwrap();
    let mut row: api_key::ActiveModel = row.into();
    alter(&mut row);
    let tx = app.app.db.write().await.unwrap();
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Returns the same key with another prefix and a valid checksum.
fn with_prefix(key: &str, prefix: &str) -> String {
    let body = format!("{prefix}{}", &key[prefix.len()..key.len() - 6]);
    format!("{body}{}", keys::checksum(&body))
}

fn basic(user: &str, password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn headers(list: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[track_caller]
fn assert_denied(answer: &Answer, what: &str) {
    let expected =
        json!({ "error": { "type": "authentication_error", "message": "Authentication is required." } });
    assert_eq!((answer.status, &answer.body), (401, &expected), "{what}");
}

on_both! {
    async fn a_key_is_issued_and_listed_and_its_secret_is_shown_once(app: TestApp) {
        let answer = app
            .gql(ISSUE, json!({ "input": { "label": " Night jobs ", "scopes": ["TRADE", "READ", "READ"] } }))
            .await;
        let key = answer.entity("apiKeyIssue", "apiKey");
        let secret = answer.data()["apiKeyIssue"]["secret"].as_str().unwrap();
        assert_eq!(secret.len(), 8 + 8 + 32 + 6);
        let expected = json!({
            "id": key["id"], "prefix": &secret[..16], "label": "Night jobs", "scopes": ["READ", "TRADE"],
            "isPublishable": false,
            "expiresAt": null, "revokedAt": null, "rotatedFrom": null,
        });
        assert_eq!(key, &expected);
        assert!(secret.starts_with("sk_test_"), "{secret}");
        assert_eq!(statuses_for(&app, secret).await, (200, 200));

        let public = app
            .gql(ISSUE, json!({ "input": { "label": "Sign-up page", "scopes": [], "publishable": true } }))
            .await;
        let public_key = public.entity("apiKeyIssue", "apiKey");
        assert_eq!((&public_key["scopes"], &public_key["isPublishable"]), (&json!(["START"]), &json!(true)));
        let publishable = public.data()["apiKeyIssue"]["secret"].as_str().unwrap();
        assert!(publishable.starts_with("pk_test_") && publishable.len() == secret.len(), "{publishable}");
        assert_eq!(public_key["prefix"], publishable[..16]);

        let list = "query($after: String) { apiKeys(first: 2, after: $after) { edges { cursor node { id \
            prefix label } } pageInfo { hasNextPage } } }";
        let first = app.gql(list, json!({})).await;
        let page = &first.data()["apiKeys"];
        assert_eq!(
            page["edges"][0]["node"],
            json!({ "id": public_key["id"], "prefix": &publishable[..16], "label": "Sign-up page" })
        );
        assert_eq!(
            (&page["edges"][1]["node"]["id"], &page["pageInfo"]["hasNextPage"]),
            (&key["id"], &json!(true))
        );
        let second = app.gql(list, json!({ "after": page["edges"][1]["cursor"] })).await;
        assert_eq!(second.data()["apiKeys"]["edges"].as_array().unwrap().len(), 1);
        assert_eq!(second.data()["apiKeys"]["edges"][0]["node"]["prefix"], app.key[..16]);
        let node = app
            .gql(
                "query($id: ID!) { node(id: $id) { __typename ... on ApiKey { prefix } } }",
                json!({ "id": key["id"] }),
            )
            .await;
        assert_eq!(node.data()["node"], json!({ "__typename": "ApiKey", "prefix": &secret[..16] }));

        for (input, error) in [
            (
                json!({ "label": " ", "scopes": ["READ"] }),
                json!({ "code": "REQUIRED", "path": ["label"], "message": "label is required" }),
            ),
            (
                json!({ "label": "x", "scopes": [] }),
                json!({ "code": "REQUIRED", "path": ["scopes"], "message": "scopes is required" }),
            ),
            (
                json!({ "label": "x", "scopes": ["START"] }),
                json!({ "code": "INVALID", "path": ["scopes"],
                    "message": "scopes must not contain start, which is for publishable keys only" }),
            ),
            (
                json!({ "label": "x", "scopes": ["START", "READ"], "publishable": true }),
                json!({ "code": "INVALID", "path": ["scopes"],
                    "message": "scopes must only contain start for a publishable key" }),
            ),
        ] {
            let refused = app.gql(ISSUE, json!({ "input": input })).await;
            assert_eq!(refused.user_error("apiKeyIssue"), &error, "{input}");
        }
        assert_eq!(api_key::Entity::find().all(&app.app.db.read).await.unwrap().len(), 3);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn events_and_audit_lines_about_keys_do_not_contain_the_secret(app: TestApp) {
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket
            .subscribe(
                "1",
                "subscription($after: String) { events(after: $after) { type __typename ... on \
                    PartnerChangedEvent { partner { name } } } }",
                json!({ "after": app.cursor().await }),
            )
            .await;
        let (id, secret) = issued(&app, json!({ "label": "one", "scopes": ["READ"] })).await;
        app.gql(REVOKE, json!({ "input": { "apiKeyId": id } })).await.entity("apiKeyRevoke", "apiKey");
        app.gql(REVOKE, json!({ "input": { "apiKeyId": id } })).await.entity("apiKeyRevoke", "apiKey");
        for kind in ["API_KEY_ISSUED", "API_KEY_REVOKED"] {
            let event = socket.next().await["events"].clone();
            assert_eq!(
                event,
                json!({ "type": kind, "__typename": "PartnerChangedEvent", "partner": { "name": "tests" } })
            );
        }
        let rows = entity::event::Entity::find()
            .filter(entity::event::Column::Kind.starts_with("api_key."))
            .order_by_asc(entity::event::Column::Id)
            .all(&app.app.db.read)
            .await
            .unwrap();
        let payloads: Vec<Value> =
            rows.iter().map(|row| serde_json::from_str(&row.payload).unwrap()).collect();
        let public_id = &secret[8..16];
        let facts = json!({ "id": id, "public_id": public_id, "scopes": "read", "rotated_from": null });
        assert_eq!(payloads, [facts, json!({ "id": id, "public_id": public_id })]);
        let lines = entity::audit_log::Entity::find()
            .filter(entity::audit_log::Column::Operation.starts_with("api_key."))
            .order_by_asc(entity::audit_log::Column::Id)
            .all(&app.app.db.read)
            .await
            .unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|line| {
                (line.operation.as_str(), line.decision.as_str(), line.object_id.unwrap().to_string())
            })
            .collect();
        let line = |operation| (operation, "done", id.clone());
        assert_eq!(lines, [line("api_key.issue"), line("api_key.revoke"), line("api_key.revoke")]);
    }

    /// Webhooks are signed with the text of the key without its first three characters. The text is not stored,
    /// only the two states of the signature, encrypted.
    async fn the_stored_states_of_a_key_sign_like_its_text(app: TestApp) {
        let (first, first_secret) = issued(&app, json!({ "label": "one", "scopes": ["OPERATE"] })).await;
        let (second, second_secret) = rotated(&app, json!({ "apiKeyId": first })).await;
        for (id, secret) in [(first, first_secret), (second, second_secret)] {
            let row = api_key::Entity::find_by_id(id.parse::<Uuid>().unwrap());
            let row = row.one(&app.app.db.read).await.unwrap().unwrap();
            let data = AssociatedData { column: "api_key.signer", row: row.id, partner: row.partner_id };
            let states = app.app.vault.open(data, &row.signer).unwrap();
            let expected = Signer::of(secret.strip_prefix("sk_").unwrap().as_bytes());
            assert_eq!(Signer::from_bytes(states.reveal()), Some(expected.clone()));
            let sealed = hex::encode(&row.signer);
            assert!(!sealed.contains(&hex::encode(expected.to_bytes())), "the states are not encrypted");
        }
    }

    async fn a_key_cannot_issue_a_scope_that_it_lacks(app: TestApp) {
        let whole = id_of(&app, &app.key).await;
        let (_, operator) = issued(&app, json!({ "label": "operator", "scopes": ["OPERATE"] })).await;
        for (scopes, publishable, lacking) in
            [(json!(["OPERATE", "TRADE"]), false, "trade"), (json!(["START"]), true, "start")]
        {
            let input = json!({ "label": "more", "scopes": scopes, "publishable": publishable });
            let refused = app.gql_as(Some(&operator), ISSUE, json!({ "input": input })).await;
            let message = format!("Your API key does not have the scope {lacking} and cannot grant it.");
            assert_eq!(
                refused.user_error("apiKeyIssue"),
                &json!({ "code": "SCOPE_NOT_HELD", "path": ["scopes"], "message": message })
            );
        }
        let refused = app.gql_as(Some(&operator), ROTATE, json!({ "input": { "apiKeyId": whole } })).await;
        let message = "Your API key does not have the scope read and cannot grant it.";
        assert_eq!(
            refused.user_error("apiKeyRotate"),
            &json!({ "code": "SCOPE_NOT_HELD", "path": ["apiKeyId"], "message": message })
        );
        let same = app
            .gql_as(Some(&operator), ISSUE, json!({ "input": { "label": "same", "scopes": ["OPERATE"] } }))
            .await;
        same.entity("apiKeyIssue", "apiKey");
        let reader = app.key_for(&[Scope::Read]).await;
        let forbidden =
            app.gql_as(Some(&reader), ISSUE, json!({ "input": { "label": "x", "scopes": ["READ"] } })).await;
        assert_eq!(forbidden.error_code(), "FORBIDDEN");
        assert_eq!(api_key::Entity::find().all(&app.app.db.read).await.unwrap().len(), 4);
    }

    async fn both_keys_work_during_a_rotation(app: TestApp) {
        let (first, first_text) =
            issued(&app, json!({ "label": "server", "scopes": ["READ", "TRADE"] })).await;
        let answer = app.gql(ROTATE, json!({ "input": { "apiKeyId": first } })).await;
        let second = answer.entity("apiKeyRotate", "apiKey");
        let expected = json!({ "id": second["id"], "label": "server", "scopes": ["READ", "TRADE"],
            "rotatedFrom": { "id": first, "expiresAt": null } });
        assert_eq!(second, &expected);
        let second = second["id"].as_str().unwrap().to_owned();
        let second_text = answer.data()["apiKeyRotate"]["secret"].as_str().unwrap();
        assert_eq!(
            (statuses_for(&app, &first_text).await, statuses_for(&app, second_text).await),
            ((200, 200), (200, 200))
        );

        for id in [&first, &second] {
            let refused = app.gql(ROTATE, json!({ "input": { "apiKeyId": id } })).await;
            let message = "The key and its successor are both active. Revoke one of them first.";
            assert_eq!(
                refused.user_error("apiKeyRotate"),
                &json!({ "code": "TOO_MANY_LIVE_KEYS", "path": ["apiKeyId"], "message": message })
            );
        }
        app.gql(REVOKE, json!({ "input": { "apiKeyId": first } })).await.entity("apiKeyRevoke", "apiKey");
        let gone = app.gql(ROTATE, json!({ "input": { "apiKeyId": first } })).await;
        assert_eq!(gone.user_error("apiKeyRotate")["message"], "apiKeyId must be a live API key");
        for hours in [0, 721] {
            let refused =
                app.gql(ROTATE, json!({ "input": { "apiKeyId": second, "expiresAfterHours": hours } })).await;
            let message = "expiresAfterHours must be from 1 to 720";
            assert_eq!(
                refused.user_error("apiKeyRotate"),
                &json!({ "code": "INVALID", "path": ["expiresAfterHours"], "message": message })
            );
        }
        let before = clock::system_now();
        let answer =
            app.gql(ROTATE, json!({ "input": { "apiKeyId": second, "expiresAfterHours": 24 } })).await;
        let third = answer.entity("apiKeyRotate", "apiKey");
        assert_eq!(third["rotatedFrom"]["id"], second);
        let end: chrono::DateTime<chrono::Utc> =
            third["rotatedFrom"]["expiresAt"].as_str().unwrap().parse().unwrap();
        let hours = end - before;
        assert!(
            hours >= chrono::Duration::hours(24)
                && hours < chrono::Duration::hours(24) + chrono::Duration::seconds(30),
            "{hours}"
        );
        assert_eq!(statuses_for(&app, second_text).await, (200, 200));
        altered(&app, second_text, |row| {
            row.expires_at = Set(Some(clock::system_now() - chrono::Duration::seconds(1)));
        })
        .await;
        app.expire_caches();
        assert_eq!(statuses_for(&app, second_text).await, (401, 401));
        rotated(&app, json!({ "apiKeyId": third["id"] })).await;
    }

    async fn concurrent_rotations_leave_two_keys(app: TestApp) {
        let (id, _) = issued(&app, json!({ "label": "busy", "scopes": ["READ"] })).await;
        let tries = futures_util::stream::iter(0..6)
            .map(|_| app.gql(ROTATE, json!({ "input": { "apiKeyId": id } })))
            .buffer_unordered(6);
        let codes: Vec<Value> = tries
            .map(|answer| answer.data()["apiKeyRotate"]["userErrors"][0]["code"].clone())
            .collect()
            .await;
        assert_eq!(codes.iter().filter(|code| code.is_null()).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| *code == "TOO_MANY_LIVE_KEYS").count(), 5, "{codes:?}");
    }

    async fn the_last_key_with_the_operate_scope_cannot_be_revoked(app: TestApp) {
        let own = id_of(&app, &app.key).await;
        let last = json!({ "code": "LAST_KEY", "path": ["apiKeyId"],
            "message": "This is the last key with scope operate. Issue another one first." });
        issued(&app, json!({ "label": "reader", "scopes": ["READ"] })).await;
        assert_eq!(
            app.gql(REVOKE, json!({ "input": { "apiKeyId": own } })).await.user_error("apiKeyRevoke"),
            &last
        );
        // When the old key is about to expire, its successor is the last key.
        let (next, next_text) = rotated(&app, json!({ "apiKeyId": own, "expiresAfterHours": 1 })).await;
        assert_eq!(
            app.gql(REVOKE, json!({ "input": { "apiKeyId": next } })).await.user_error("apiKeyRevoke"),
            &last
        );
        let own_revoked = app.gql(REVOKE, json!({ "input": { "apiKeyId": own } })).await;
        assert_eq!(own_revoked.entity("apiKeyRevoke", "apiKey")["id"], own, "a key may revoke itself");
        assert_eq!(statuses_for(&app, &app.key).await, (401, 401));
        assert_eq!(
            app.gql_as(Some(&next_text), REVOKE, json!({ "input": { "apiKeyId": next } }))
                .await
                .user_error("apiKeyRevoke"),
            &last
        );
        assert_eq!(statuses_for(&app, &next_text).await, (200, 200));
    }

    /// Delivery depends on the order of events, not on a clock: not even the event of the revocation reaches
    /// the revoked key, neither over a socket nor as a server-sent event, although both were open just
    /// before.
    async fn no_event_reaches_a_revoked_key(app: TestApp) {
        const EVENTS: &str = "subscription { events(after: \"0\") { type } }";
        let (id, text) = issued(&app, json!({ "label": "listener", "scopes": ["READ"] })).await;
        let mut socket = Socket::join(&app, Some(&text)).await;
        socket.subscribe("1", EVENTS, json!({})).await;
        let stream =
            app.anonymous("POST", "/graphql").bearer_auth(&text).header("accept", "text/event-stream");
        let mut stream = stream.json(&json!({ "query": EVENTS })).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        // Both have received everything so far, so that only new events remain to be delivered.
        let mut streamed = String::new();
        while !streamed.contains("API_KEY_ISSUED") {
            streamed.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        }
        while socket.next().await["events"]["type"] != "API_KEY_ISSUED" {}
        assert_eq!(statuses_for(&app, &text).await, (200, 200));
        app.gql(REVOKE, json!({ "input": { "apiKeyId": id } })).await.entity("apiKeyRevoke", "apiKey");
        app.customer("Ada").await;
        assert_eq!(
            statuses_for(&app, &text).await,
            (401, 401),
            "a key that was just used is refused once it is revoked"
        );
        assert_eq!(socket.hear().await, Err((4403, "Forbidden".to_owned())));
        let rest =
            tokio::time::timeout(TIMEOUT, stream.text()).await.expect("the stream stayed open").unwrap();
        assert!(!rest.contains("event:"), "{rest}");
    }

    async fn every_route_accepts_the_documented_credential_formats(app: TestApp) {
        let key = &app.key;
        let formats = [
            basic(key, ""),
            ("authorization", format!("Bearer {key}")),
            ("authorization", key.clone()),
            ("bearer", key.clone()),
        ];
        for route in ROUTES.into_iter().flatten() {
            let path = route.path.replace("{id}", "00000000-0000-7000-8000-000000000000");
            for format in &formats {
                let request = app
                    .anonymous(route.method, &path)
                    .headers(headers(std::slice::from_ref(format)))
                    .json(&json!({}));
                let answer = send(request).await;
                assert!(
                    [200, 400, 404].contains(&answer.status),
                    "{} {path} {format:?}: {} {}",
                    route.method,
                    answer.status,
                    answer.body
                );
                let bare = send(app.anonymous(route.method, &path).json(&json!({}))).await;
                assert_denied(&bare, route.path);
            }
        }
    }

    async fn forged_keys_are_refused(app: TestApp) {
        let key = &app.key;
        let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
        let live = app.live_key().await;
        let publishable = app.key_for(&[Scope::Start]).await;
        let (revoked, expired) = (app.key_for(&[Scope::Read]).await, app.key_for(&[Scope::Read]).await);
        altered(&app, &revoked, |row| row.revoked_at = Set(Some(clock::system_now()))).await;
        altered(&app, &expired, |row| row.expires_at = Set(Some(clock::system_now()))).await;
        let mistyped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
        let forged = [
            ("no key", vec![]),
            ("an empty key", vec![("authorization", String::new())]),
            ("a scheme alone", vec![("authorization", "Bearer".to_owned())]),
            ("doubled", vec![bearer(key), bearer(key)]),
            ("two formats at once", vec![bearer(key), ("bearer", key.clone())]),
            ("two Bearer headers", vec![("bearer", key.clone()), ("bearer", key.clone())]),
            ("two keys in one header", vec![("authorization", format!("Bearer {key}, Bearer {key}"))]),
            ("a bad checksum", vec![bearer(&mistyped)]),
            ("a live prefix on a test key", vec![bearer(&key.replace("sk_test_", "sk_live_"))]),
            ("the same with a right checksum", vec![bearer(&with_prefix(key, "sk_live_"))]),
            ("a test prefix on a live key", vec![bearer(&with_prefix(&live, "sk_test_"))]),
            ("a secret key as a publishable one", vec![bearer(&with_prefix(key, "pk_test_"))]),
            ("a publishable key as a secret one", vec![bearer(&with_prefix(&publishable, "sk_test_"))]),
            ("revoked", vec![bearer(&revoked)]),
            ("expired", vec![bearer(&expired)]),
            ("an upper-case key", vec![bearer(&key.to_uppercase())]),
            ("a shortened key", vec![bearer(&key[..key.len() - 1])]),
            ("the visible part of the key", vec![bearer(&key[..16])]),
            ("the key as password", vec![basic("", key)]),
            ("the key as password of a user", vec![basic("coffer", key)]),
            ("Basic with invalid base64", vec![("authorization", format!("Basic {key}"))]),
            ("an unknown scheme", vec![("authorization", format!("Token {key}"))]),
        ];
        for (what, list) in forged {
            let rest = send(app.anonymous("GET", "/v1/orders").headers(headers(&list))).await;
            assert_denied(&rest, what);
            if list.is_empty() || list.iter().any(|(name, _)| *name == "bearer") {
                continue;
            }
            let graphql = app
                .anonymous("POST", "/graphql")
                .headers(headers(&list))
                .json(&json!({ "query": "{ partner { name } }" }));
            let graphql = send(graphql).await;
            let message = if what == "doubled" {
                "The credential could not be read. Send exactly one credential."
            } else {
                "Authentication is required."
            };
            let expected =
                json!({ "errors": [{ "message": message, "extensions": { "code": "UNAUTHENTICATED" } }] });
            assert_eq!((graphql.status, &graphql.body), (401, &expected), "{what}");
        }
        for (what, header) in [
            ("surrounding spaces", ("authorization", format!("Bearer   {key}  "))),
            ("spaces around a bare key", ("authorization", format!("  {key} "))),
            ("a lower-case scheme", ("authorization", format!("bearer {key}"))),
            ("Basic with a password, which is ignored", basic(key, "anything")),
            ("Basic without a colon", ("authorization", format!("basic {}", STANDARD.encode(key)))),
        ] {
            assert_eq!(
                send(app.anonymous("GET", "/v1/orders").headers(headers(&[header]))).await.status,
                200,
                "{what}"
            );
        }
        let mine = send(
            app.anonymous("POST", "/graphql")
                .bearer_auth(&live)
                .json(&json!({ "query": "{ partner { mode } }" })),
        )
        .await;
        assert_eq!(mine.data()["partner"]["mode"], "LIVE");
    }

    async fn a_publishable_key_registers_a_user(app: TestApp) {
        let key = app.key_for(&[Scope::Start]).await;
        let created = app.gql_as(Some(&key), USER_CREATE, json!({ "input": person("Ada", "Carter") })).await;
        let user = created.entity("userCreate", "user");
        assert_eq!(
            (&user["status"], &user["firstName"], &user["kyc"]),
            (&json!("PENDING"), &json!("Ada"), &json!(null))
        );
        assert!(created.body["errors"].is_null(), "{}", created.body);
        assert_eq!(
            app.gql("query($id: ID!) { user(id: $id) { status } }", json!({ "id": user["id"] })).await.data()
                ["user"]["status"],
            "APPROVED"
        );
        let read = app
            .gql_as(Some(&key), "query($id: ID!) { user(id: $id) { email } }", json!({ "id": user["id"] }))
            .await;
        assert_eq!(read.error_code(), "FORBIDDEN");
        let body = json!({
            "first_name": "Eve", "last_name": "Carter", "email_address": "eve@example.com",
            "birth_date": "1985-01-23", "ssn_number": "123456789",
            "address_line_1": "1 Own St", "address_city": "Richmond", "address_state": "VA",
            "address_postal_code": "23220", "address_country_code": "US",
        });
        let started = send(app.anonymous("POST", "/v1/users").bearer_auth(&key).json(&body)).await;
        assert_eq!((started.status, &started.body["status"]), (200, &json!("pending")));
        let path = format!("/v1/users/{}", started.body["id"].as_str().unwrap());
        let denied = send(app.anonymous("GET", &path).bearer_auth(&key)).await;
        let expected = json!({ "error": { "type": "authentication_error",
            "message": "The credential lacks the scope `read`." } });
        assert_eq!((denied.status, denied.body), (401, expected));
    }

    /// A publishable key gets the same response whatever the identity check finds; only the partner's secret
    /// key can read the result.
    async fn a_publishable_key_cannot_read_results_of_identity_checks(app: TestApp) {
        let folder = Folder::new();
        let file = folder.0.join("sdn.csv");
        std::fs::write(
            &file,
            format!(
                "7,\"LISTED, Ada\",\"individual\",\"SDGT\",{}\"DOB 23 Jan 1985\"\r\n\u{1a}",
                "-0- ,".repeat(7)
            ),
        )
        .unwrap();
        assert!(run(&app.database_url, &["screen", "import", file.to_str().unwrap()]).status.success());
        let key = app.key_for(&[Scope::Start]).await;
        let body = |last_name: &str, ssn: &str, birth_date: &str| {
            json!({
                "first_name": "Ada", "last_name": last_name, "email_address": "ada@example.com",
                "phone_number": "2025550107", "birth_date": birth_date,
                "ssn_number": ssn, "address_line_1": "1 Own St", "address_city": "Richmond",
                "address_state": "VA", "address_postal_code": "23220",
                "address_country_code": "US",
            })
        };
        let input = |last_name: &str, ssn: &str, birth_date: &str| {
            let mut input = person("Ada", last_name);
            (input["ssn"], input["birthDate"]) = (json!(ssn), json!(birth_date));
            input
        };
        let create = "mutation($input: UserCreateInput!) { userCreate(input: $input) { user { status \
            kyc { requirements } } userErrors { code } } }";
        let start = "mutation($input: KycStartInput!) { kycStart(input: $input) { kyc {
            score outcome tags checks { check } watchListHits { score } questions { text } \
            questionsExpireAt requirements review { outcome }
            applicant { city } isSuperseded user { status } createdAt decidedAt } userErrors { code } } }";
        let check = json!({
            "score": null, "outcome": "PENDING", "tags": [], "checks": [], "watchListHits": null,
            "questions": [], "questionsExpireAt": null,
            "requirements": [], "review": null, "applicant": null, "isSuperseded": false, "user": null,
            "createdAt": "2026-07-09T16:00:00Z",
            "decidedAt": "2026-07-09T16:00:00Z",
        });
        for (turn, (last_name, ssn, birth_date, status, outcome)) in [
            ("Carter", "523456789", "1985-01-23", "APPROVED", "Approved"),
            ("Carter", "523456789", "1985-01-23", "APPROVED", "Approved"),
            ("Denied", "523456781", "1985-01-23", "DENIED", "Denied"),
            ("Carter", "523456782", "2015-01-23", "DENIED", "Denied"),
            ("Review", "523456783", "1985-01-23", "DOCUMENTATION_REQUIRED", "Manual Review"),
            ("Question", "523456784", "1985-01-23", "ACTION_REQUIRED", "questions"),
            ("Listed", "523456785", "1985-01-23", "DOCUMENTATION_REQUIRED", "Manual Review"),
        ]
        .into_iter()
        .enumerate()
        {
            let what = format!("{last_name} {birth_date} {turn}");
            let rest = |path: &str| {
                app.anonymous("POST", path)
                    .bearer_auth(&key)
                    .header("idempotency-key", format!("{path}-{turn}"))
            };
            let graphql = async |document: &str| {
                let mut input = input(last_name, ssn, birth_date);
                input["idempotencyKey"] = json!(format!("graphql-{}-{turn}", document.len()));
                app.gql_as(Some(&key), document, json!({ "input": input })).await
            };
            let mut ids = Vec::new();
            for replayed in [false, true] {
                let started_at = Instant::now();
                let user = send(rest("/v1/users").json(&body(last_name, ssn, birth_date))).await;
                assert!(started_at.elapsed() >= Duration::from_millis(250), "{what}");
                let (id, token) = (user.body["id"].clone(), user.body["kyc_token"].clone());
                assert!(token.as_str().unwrap().starts_with("S-"));
                assert_eq!(
                    (user.status, &user.body),
                    (200, &json!({ "id": id, "status": "pending", "kyc_token": token })),
                    "{what}"
                );
                assert_eq!(user.headers.contains_key("idempotent-replayed"), replayed);
                let started_at = Instant::now();
                let kyc = send(rest("/v1/kyc").json(&body(last_name, ssn, birth_date))).await;
                assert!(started_at.elapsed() >= Duration::from_millis(250), "{what}");
                let expected = json!({ "status_code": 201, "token": kyc.body["token"],
                    "data": { "result": "success", "score": null, "tags": [], "outcome": "Pending" } });
                assert_eq!((kyc.status, &kyc.body), (201, &expected), "{what}");
                assert_eq!(
                    graphql(create).await.entity("userCreate", "user"),
                    &json!({ "status": "PENDING", "kyc": null }),
                    "{what}"
                );
                assert_eq!(graphql(start).await.entity("kycStart", "kyc"), &check, "{what}");
                ids.push((id, kyc.body["token"].clone()));
            }
            assert_eq!(ids[0], ids[1], "{what}");

            // The partner's secret key can read the result.
            let (id, token) = &ids[0];
            let user = app.gql("query($id: ID!) { user(id: $id) { status } }", json!({ "id": id })).await;
            assert_eq!(user.data()["user"]["status"], status, "{what}");
            let found = app.get(&format!("/v1/kyc/{}", token.as_str().unwrap())).await.body;
            if outcome == "questions" {
                assert_eq!(
                    found["prompts"]["answers"]["questions"].as_array().map(Vec::len),
                    Some(5),
                    "{what}"
                );
            } else {
                assert_eq!(found["data"]["outcome"], outcome, "{what}");
                assert!(
                    found["data"]["score"].is_number()
                        && !found["data"]["tags"].as_array().unwrap().is_empty(),
                    "{what}"
                );
            }
            // Other requests with the publishable key are refused.
            for (method, path) in [
                ("GET", format!("/v1/kyc/{}", token.as_str().unwrap())),
                ("PATCH", format!("/v1/kyc/{}", token.as_str().unwrap())),
                ("GET", format!("/v1/users/{}", id.as_str().unwrap())),
            ] {
                let request = app.anonymous(method, &path).bearer_auth(&key);
                let request =
                    if method == "PATCH" { request.json(&json!({ "first_name": "Eve" })) } else { request };
                assert_eq!(send(request).await.status, 401, "{method} {path}");
            }
            let node =
                app.gql_as(Some(&key), "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
            assert_eq!(node.data(), &json!({ "node": null }), "{what}");
        }
        let nested = "mutation($input: UserCreateInput!) { userCreate(input: $input) { user { kyc { outcome \
            } } userErrors { code } } }";
        let nested = app.gql_as(Some(&key), nested, json!({ "input": person("Ada", "Carter") })).await;
        assert_eq!(
            nested.body,
            json!({ "data": { "userCreate": { "user": { "kyc": null }, "userErrors": [] } } })
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_manages_keys() {
    let folder = Folder::new();
    let mut databases = vec![format!("sqlite:{}", folder.0.join("coffer.db").display())];
    databases.extend(postgres_database().await);
    for url in databases {
        let printed = |arguments: &[&str]| {
            let output = run(&url, arguments);
            assert!(output.status.success(), "{arguments:?} {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let complaint = |arguments: &[&str]| {
            let output = run(&url, arguments);
            assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]), "{arguments:?}");
            String::from_utf8(output.stderr).unwrap().trim_end().to_owned()
        };
        let first = create_key(&url);
        assert_eq!(
            complaint(&["keys"]),
            "coffer: 'coffer keys' requires a subcommand but one was not provided [subcommands: create, \
                list, rotate, revoke, rotate-encryption, help]"
        );
        let public = printed(&["keys", "create", "--publishable", "--label", "Sign-up page"]);
        assert!(public.starts_with("pk_test_"), "{public}");
        assert_eq!(
            complaint(&["keys", "revoke", &first[..16]]),
            "coffer: cannot revoke the key: This is the last key with scope operate. Issue another one first."
        );
        let next = printed(&["keys", "rotate", &first[8..16], "--expires-after-hours", "24"]);
        assert_eq!(
            complaint(&["keys", "rotate", &first[8..16]]),
            "coffer: cannot rotate the key: The key and its successor are both active. Revoke one of them \
                first."
        );
        assert_eq!(printed(&["keys", "revoke", &first[..16]]), "");
        let list = printed(&["keys", "list"]);
        let lines: Vec<Vec<&str>> = list
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect())
            .collect();
        let all = "read trade transfer manage operate";
        assert_eq!(lines.len(), 3, "{list}");
        for (line, expected) in lines.iter().zip([
            [&next[..16], "active", all, "made by coffer keys create"],
            [&public[..16], "active", "start", "Sign-up page"],
            [&first[..16], "revoked", all, "made by coffer keys create"],
        ]) {
            assert_eq!([line[0], line[1], line[2], line[4]], expected, "{list}");
        }
        assert_eq!(
            complaint(&["keys", "revoke", "zzzzzzzz"]),
            "coffer: cannot revoke the key: The key was not found. Use the first column of `coffer keys \
                list`, such as sk_test_6Wkft9kc."
        );
        assert_eq!(
            complaint(&["keys", "list", "--partner", "unknown"]),
            "coffer: cannot list keys: The partner was not found."
        );
        assert!(
            complaint(&["keys", "create", "--publishable", "--scopes", "read"])
                .contains("cannot be used with")
        );
        let audit = printed(&["audit"]);
        assert!(
            audit.ends_with("waiting to be sealed: 0\nThe books add up and nothing was altered.\n"),
            "{audit}"
        );
    }
}
