//! Slow fields keep the position that they have in the query.

use crate::graphql::{
    Engine, Limits, Raw,
    core::test_schema::{self, schema},
    render,
};
use serde_json::json;

async fn text(query: &str) -> String {
    let engine: Engine<test_schema::Schema> = Engine::new(schema(), test_schema::types(), Limits::default());
    let raw: Raw = serde_json::from_value(json!({ "query": query })).unwrap();
    let response = engine.execute(raw, |request, _, _| request).await;
    String::from_utf8(render(&response, usize::MAX).unwrap()).unwrap()
}

#[tokio::test]
async fn keys_are_in_the_order_of_the_query() {
    let cases = [
        ("{row{slow n}}", r#"{"data":{"row":{"slow":1,"n":1}}}"#),
        (
            "{a:row{slow(millis:30)} b:row{slow(millis:1)} c:row{n}}",
            r#"{"data":{"a":{"slow":1},"b":{"slow":1},"c":{"n":1}}}"#,
        ),
        (
            "{row{rows{slow n}}}",
            r#"{"data":{"row":{"rows":[{"slow":1,"n":1},{"slow":2,"n":2},{"slow":3,"n":3}]}}}"#,
        ),
        ("{row{...F n}} fragment F on Row{slow id}", r#"{"data":{"row":{"slow":1,"id":"1","n":1}}}"#),
        ("{row{again{slow} n again{id}}}", r#"{"data":{"row":{"again":{"slow":1,"id":"1"},"n":1}}}"#),
        (
            "{node(id:1){... on LeafObject{colour} ... on Row{slow} id}}",
            r#"{"data":{"node":{"slow":2,"id":"2"}}}"#,
        ),
        ("mutation{touch(id:1){row{slow n}}}", r#"{"data":{"touch":{"row":{"slow":1,"n":1}}}}"#),
    ];
    for (query, expected) in cases {
        assert_eq!(text(query).await, expected, "{query}");
    }
    let partial = text("{row(id:2){slow optBad n}}").await;
    assert!(partial.starts_with(r#"{"data":{"row":{"slow":2,"optBad":null,"n":2}},"errors":"#), "{partial}");
}
