//! Automatic persisted queries: a client sends the hash of a document, and its text only when the server asks
//! for it.

use crate::support::{Answer, TestApp, send, socket::Socket};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const DOCUMENT: &str = "query Open($symbol: String!) { instrumentBySymbol(symbol: $symbol) { symbol } }";

fn extensions(document: &str) -> Value {
    let hash: String = Sha256::digest(document.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

async fn post(app: &TestApp, body: Value) -> Answer {
    send(app.rest("POST", "/graphql").header("accept", "application/graphql-response+json").json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_replaces_a_document_that_was_sent_once() {
    let app = TestApp::sqlite().await;
    let variables = json!({ "symbol": "VTI" });
    let by_hash = json!({ "extensions": extensions(DOCUMENT), "variables": variables });
    let told = json!({ "errors": [{ "message": "PersistedQueryNotFound",
        "extensions": { "code": "PERSISTED_QUERY_NOT_FOUND" } }] });
    let unknown = post(&app, by_hash.clone()).await;
    assert_eq!((unknown.status, &unknown.body), (200, &told));
    let encoded =
        |value: Value| value.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let parameters = format!(
        "/graphql?extensions={}&variables={}",
        encoded(extensions(DOCUMENT)),
        encoded(variables.clone())
    );
    let get = async |path: &str| send(app.rest("GET", path)).await;
    let unknown = get(&parameters).await;
    assert_eq!((unknown.status, &unknown.body), (200, &told));

    let answer = json!({ "data": { "instrumentBySymbol": { "symbol": "VTI" } } });
    let stored =
        post(&app, json!({ "query": DOCUMENT, "extensions": extensions(DOCUMENT), "variables": variables }))
            .await;
    assert_eq!((stored.status, &stored.body), (200, &answer));
    let known = post(&app, by_hash).await;
    assert_eq!((known.status, &known.body), (200, &answer));
    let known = get(&parameters).await;
    assert_eq!((known.status, &known.body), (200, &answer));

    let mut socket = Socket::join(&app, Some(&app.key)).await;
    socket
        .say(json!({ "id": "1", "type": "subscribe",
        "payload": { "extensions": extensions(DOCUMENT), "variables": variables } }))
        .await;
    assert_eq!(socket.hear().await.unwrap(), json!({ "id": "1", "type": "next", "payload": answer }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_hash_or_a_hash_of_another_document_is_refused() {
    let app = TestApp::sqlite().await;
    let other = extensions("{ __typename }");
    for (extensions, status, code, message) in [
        (other, 400, "BAD_USER_INPUT", "The SHA-256 hash does not match the query."),
        (
            json!({ "persistedQuery": { "version": 1, "sha256Hash": "abc" } }),
            400,
            "BAD_USER_INPUT",
            "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits.",
        ),
        (
            json!({ "persistedQuery": { "version": 2 } }),
            200,
            "PERSISTED_QUERY_NOT_SUPPORTED",
            "PersistedQueryNotSupported",
        ),
        (
            json!({ "persistedQuery": "yes" }),
            200,
            "PERSISTED_QUERY_NOT_SUPPORTED",
            "PersistedQueryNotSupported",
        ),
    ] {
        let refused = post(
            &app,
            json!({ "query": DOCUMENT, "extensions": extensions, "variables": { "symbol": "VTI" } }),
        )
        .await;
        let told = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
        assert_eq!((refused.status, &refused.body), (status, &told), "{extensions}");
    }
    let bad = "{ nope";
    let refused = post(&app, json!({ "query": bad, "extensions": extensions(bad) })).await;
    assert_eq!((refused.status, refused.error_code()), (400, "GRAPHQL_PARSE_FAILED"));
    let unknown = post(&app, json!({ "extensions": extensions(bad) })).await;
    assert_eq!(unknown.error_code(), "PERSISTED_QUERY_NOT_FOUND", "a refused document is not stored");
    let unauthorized =
        |body: Value| send(app.anonymous("POST", "/graphql").bearer_auth("sk_test_wrong").json(&body));
    let denied = unauthorized(
        json!({ "query": DOCUMENT, "extensions": extensions(DOCUMENT), "variables": { "symbol": "VTI" } }),
    )
    .await;
    assert_eq!(denied.status, 401);
    let unknown = post(&app, json!({ "extensions": extensions(DOCUMENT) })).await;
    assert_eq!(
        unknown.error_code(),
        "PERSISTED_QUERY_NOT_FOUND",
        "a document of a refused caller is not stored"
    );
    let nothing = post(&app, json!({ "variables": {} })).await;
    assert_eq!((nothing.status, nothing.error_code()), (400, "BAD_USER_INPUT"));
}
