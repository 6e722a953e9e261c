//! Responses follow the GraphQL specification where the engine itself does not.

use async_graphql::Response;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::graphql::{
    Engine, Limits, Raw,
    core::test_schema::{self, schema},
    render,
};

fn engine() -> Engine<test_schema::Schema> {
    Engine::new(schema(), test_schema::types(), Limits::default())
}

fn read(response: &Response) -> Value {
    serde_json::from_slice(&render(response, usize::MAX).unwrap()).unwrap()
}

fn raw(query: &str, variables: Value) -> Raw {
    serde_json::from_value(json!({ "query": query, "variables": variables })).unwrap()
}

async fn execute(query: &str, variables: Value) -> Value {
    read(&engine().execute(raw(query, variables), |request, _, _| request).await)
}

async fn data(query: &str) -> Value {
    let answer = execute(query, json!({ "no": false, "yes": true })).await;
    assert!(
        answer["errors"]
            .as_array()
            .is_none_or(|all| all.iter().all(|one| one["extensions"]["code"].is_string()))
    );
    answer["data"].clone()
}

#[tokio::test]
async fn nulls_are_where_the_specification_requires_them() {
    let cases = [
        ("{fails{n} row{n}}", json!({"fails": null, "row": {"n": 1}})),
        ("{fails{n}}", json!({"fails": null})),
        ("{failsHard{n} row{n}}", json!(null)),
        ("mutation{touch(id:-1){row{n}}}", json!({"touch": null})),
        (
            "mutation{a:touch(id:1){row{n}} b:touch(id:-1){row{n}}}",
            json!({"a": {"row": {"n": 1}}, "b": null}),
        ),
        ("{row(id:2){n bad}}", json!({"row": null})),
        ("{row(id:2){bad}}", json!({"row": null})),
        ("{row(id:2){optBad}}", json!({"row": {"optBad": null}})),
        ("{row(id:2){x:optBad n}}", json!({"row": {"x": null, "n": 2}})),
        ("{row(id:2){same{same{bad}} n}}", json!({"row": null})),
        ("{row(id:2){again{same{bad}} n}}", json!({"row": {"again": null, "n": 2}})),
        ("{row(id:2){again{bad optBad} n}}", json!({"row": {"again": null, "n": 2}})),
        (
            "{row{optRows{n bad}}}",
            json!({"row": {"optRows": [{"n": 1, "bad": 1}, null, {"n": 3, "bad": 3}]}}),
        ),
        ("{row{rows{n bad}}}", json!({"row": null})),
        ("{row{again{rows{n bad}} n}}", json!({"row": {"again": null, "n": 1}})),
        (
            "{row(id:2){...F}} fragment F on Row{again{...G}} fragment G on Row{bad}",
            json!({"row": {"again": null}}),
        ),
        ("{row(id:2){... on Row{y:again{bad}}}}", json!({"row": {"y": null}})),
        ("{node(id:1){id ... on Row{again{bad}}}}", json!({"node": {"id": "2", "again": null}})),
        ("{node(id:1){id ... on Row{bad}}}", json!({"node": null})),
        ("{either{... on Row{n optBad}}}", json!({"either": {"n": 2, "optBad": null, "__typename": "Row"}})),
    ];
    for (query, expected) in cases {
        assert_eq!(data(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn an_object_without_selected_fields_is_not_null() {
    let cases = [
        ("query($no:Boolean!){row{n @include(if:$no)}}", json!({"row": {"__typename": "Row"}})),
        (
            "query($yes:Boolean!){row{...F @skip(if:$yes)}} fragment F on Row{n}",
            json!({"row": {"__typename": "Row"}}),
        ),
        (
            "query($yes:Boolean!){row{...F}} fragment F on Row{n @skip(if:$yes)}",
            json!({"row": {"__typename": "Row"}}),
        ),
        ("query($no:Boolean!){row{n again @include(if:$no){n}}}", json!({"row": {"n": 1}})),
        ("{row{...F}} fragment F on Row{n}", json!({"row": {"n": 1}})),
        ("{row{...F}} fragment F on Node{id}", json!({"row": {"id": "1"}})),
        ("{row{... on Row{n}}}", json!({"row": {"n": 1}})),
        ("{node(id:1){... on LeafObject{colour}}}", json!({"node": {"__typename": "Row"}})),
        ("{either{... on LeafObject{colour}}}", json!({"either": {"__typename": "Row"}})),
        ("{node(id:1){id ... on LeafObject{colour}}}", json!({"node": {"id": "2"}})),
    ];
    for (query, expected) in cases {
        assert_eq!(data(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn errors_have_codes_and_their_number_is_limited() {
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    assert_eq!(code(&execute("{nope}", json!({})).await), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(code(&execute("{", json!({})).await), "GRAPHQL_PARSE_FAILED");
    assert_eq!(code(&execute("{fails{n}}", json!({})).await), "NOT_FOUND");
    assert_eq!(code(&execute("query($v:Filter!){echo(value:$v)}", json!({})).await), "BAD_USER_INPUT");
    let typo = execute("query($v:Filter!){echo(value:$v)}", json!({"v": {"min": 1, "typo": 2}})).await;
    assert_eq!((code(&typo), typo.get("data")), (json!("GRAPHQL_VALIDATION_FAILED"), None));
    let many = format!("{{row{{{}}}}}", (0..1_000).map(|i| format!("x{i} ")).collect::<String>());
    assert_eq!(execute(&many, json!({})).await["errors"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn items_of_a_stream_are_completed_too() {
    let items = async |query: &str| {
        let replies = engine().stream(raw(query, json!({})), |request, _, _| request);
        replies.map(|reply| read(&reply.into_own().unwrap())).collect::<Vec<_>>().await
    };
    let all = items("subscription{rows{n again{bad}}}").await;
    assert_eq!(all[0], json!({"data": {"rows": {"n": 1, "again": {"bad": 1}}}}));
    assert_eq!(all[1]["data"], json!({"rows": {"n": 2, "again": null}}));
    assert_eq!(all[2]["data"], json!({"rows": {"n": 3, "again": {"bad": 3}}}));
    let all = items("subscription{falters{n}}").await;
    assert_eq!(all[0], json!({"data": {"falters": {"n": 1}}}));
    assert_eq!(all[1]["data"], json!(null));
    assert_eq!(all[1]["errors"][0]["extensions"]["code"], "NOT_FOUND");
}
