//! Document cache, timeouts, panics and size limits of the engine.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::{Documents, Engine, Raw};
use crate::graphql::{
    Limits, code,
    core::{
        guard::admit,
        test_schema::{self, schema},
    },
    render,
};

fn engine(limits: Limits) -> Engine<test_schema::Schema> {
    Engine::new(schema(), test_schema::types(), limits)
}

fn raw(query: &str) -> Raw {
    Raw { query: Some(query.into()), ..Raw::default() }
}

async fn text(engine: &Engine<test_schema::Schema>, query: &str) -> String {
    let answer = engine.execute(raw(query), |request, _, _| request).await;
    String::from_utf8(render(&answer, usize::MAX).unwrap()).unwrap()
}

#[tokio::test]
async fn a_checked_document_is_cached_and_a_refused_one_is_not() {
    let engine = engine(Limits::default());
    let first = engine.checked("{row{n}}").unwrap();
    assert!(Arc::ptr_eq(&first, &engine.checked("{row{n}}").unwrap()));
    assert!(!Arc::ptr_eq(&first, &engine.checked("{row{n }}").unwrap()));
    assert!(engine.checked("{row{").is_err());
    assert_eq!(engine.shared.documents.lock().young.len(), 2);
    assert_eq!(text(&engine, "{row{n}}").await, text(&engine, "{row{n}}").await);
}

fn cached<K: Copy + Eq + std::hash::Hash>(documents: &Documents<K>) -> usize {
    let generations = documents.lock();
    generations.young.len() + generations.old.len()
}

#[test]
fn the_cache_drops_unused_documents() {
    let document = |text: &str| Arc::new(admit(text, &Limits::default()).unwrap());
    let documents: Documents<&str> = Documents::new(4, 1_000);
    for name in ["a", "b", "c", "d", "e"] {
        documents.insert(name, document(&format!("{{{name}}}")));
        assert!(documents.get(&"a").is_some(), "a used document stays cached");
    }
    assert!(documents.get(&"b").is_none());
    assert!(cached(&documents) <= 4);

    let documents: Documents<&str> = Documents::new(4, 1_000);
    documents.insert("unused", document("{a}"));
    for _ in 0..1_000 {
        documents.insert("used", document("{b}"));
    }
    assert!(documents.get(&"unused").is_some(), "inserting the same document again takes no further space");

    let documents: Documents<u64> = Documents::new(1_000, 40);
    for i in 0..100 {
        documents.insert(i, document("{a b}"));
    }
    assert!(cached(&documents) <= 10);
    documents.insert(1_000, document(&format!("{{r{{{}}}}}", "a ".repeat(50))));
    assert!(documents.get(&1_000).is_none());
}

#[tokio::test]
async fn a_query_times_out_and_a_mutation_does_not() {
    let engine = engine(Limits { query_timeout: Duration::from_millis(1), ..Limits::default() });
    let late = engine.execute(raw("{row{slow(millis:500)}}"), |request, _, _| request).await;
    assert_eq!(code(&late), Some("TIMEOUT"));
    assert_eq!(text(&engine, "mutation{touch(id:1){row{n}}}").await, r#"{"data":{"touch":{"row":{"n":1}}}}"#);
    assert!(text(&engine, "subscription{rows{n}}").await.contains("GRAPHQL_VALIDATION_FAILED"));
}

#[tokio::test]
async fn a_mutation_completes_when_its_caller_is_gone() {
    let engine = engine(Limits::default());
    let (done, mut heard) = tokio::sync::mpsc::channel::<()>(1);
    let waiting = engine.execute(raw("mutation{touch(id:1){row{n}}}"), |request, _, _| request.data(done));
    assert!(waiting.now_or_never().is_none());
    let ended = tokio::time::timeout(Duration::from_secs(1), heard.recv()).await;
    assert_eq!(ended, Ok(None), "its data is dropped after it has run");
}

#[tokio::test]
async fn a_panic_becomes_an_internal_error() {
    let engine = engine(Limits::default());
    let internal =
        r#"{"errors":[{"message":"Internal error.","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;
    assert_eq!(text(&engine, "{secret}").await, internal);
    assert_eq!(text(&engine, "mutation{burst}").await, internal);
    let items = engine.stream(raw("subscription{bursts}"), |request, _, _| request);
    let items: Vec<_> = items.filter_map(async |reply| reply.into_own()).collect().await;
    assert_eq!(items.len(), 2);
    assert_eq!(code(&items[1]), Some("INTERNAL_SERVER_ERROR"));
    assert_eq!(text(&engine, "{row{n}}").await, r#"{"data":{"row":{"n":1}}}"#);
}

#[tokio::test]
async fn a_response_has_a_maximum_size() {
    let engine = engine(Limits::default());
    let answer = engine.execute(raw("{letters(count:5000)}"), |request, _, _| request).await;
    assert_eq!(render(&answer, 6_000).unwrap().len(), 5_023);
    assert_eq!(render(&answer, 5_023).unwrap().len(), 5_023);
    assert_eq!(render(&answer, 5_022).unwrap_err().code, "RESPONSE_TOO_LARGE");
}

#[test]
fn a_request_must_have_the_right_types() {
    let reads = |body: serde_json::Value| serde_json::from_value::<Raw>(body).is_ok();
    assert!(reads(
        json!({"query": "{a}", "variables": null, "operationName": null, "extensions": {"a": [1]}})
    ));
    assert!(!reads(json!({"query": 1})));
    assert!(!reads(json!({"query": "{a}", "extensions": []})));
    assert!(!reads(json!({"variables": {}})));
    assert!(!reads(json!({"query": "{a}", "variables": []})));
    assert!(!reads(json!({"query": "{a}", "extensions": []})));
}

#[tokio::test]
async fn a_full_introspection_query_succeeds() {
    let answer = text(&engine(Limits::default()), include_str!("../guard/introspection.graphql")).await;
    assert!(answer.contains("MarketClockEvent") && !answer.contains("errors"), "{answer}");
}

#[tokio::test]
async fn answers_are_those_of_the_handler_of_async_graphql_axum() {
    use tower::ServiceExt;
    let engine = engine(Limits::default());
    for query in [
        "{row{n}}",
        "{row{id n rows{n id} optRows{n}}}",
        "query Named {a: row{n @include(if: true) __typename} b: row{rows{...F}}} fragment F on Row{id}",
    ] {
        let request = axum::http::Request::post("/")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(json!({ "query": query }).to_string()))
            .unwrap();
        let theirs = async_graphql_axum::GraphQL::new(schema()).oneshot(request).await.unwrap();
        let theirs = axum::body::to_bytes(theirs.into_body(), usize::MAX).await.unwrap();
        assert_eq!(text(&engine, query).await, String::from_utf8(theirs.to_vec()).unwrap(), "{query}");
    }
}

/// The ordinary executor alone forgets the default.
#[tokio::test]
async fn the_default_of_a_variable_counts_in_a_directive() {
    let engine = engine(Limits::default());
    let query = "query($with: Boolean = true, $without: Boolean! = true) {row{n @include(if: $with) id @skip(if: \
        $without) __typename}}";
    assert_eq!(text(&engine, query).await, r#"{"data":{"row":{"n":1,"__typename":"Row"}}}"#);
}
