//! Limits of documents: what is accepted, what is refused, and that the checks are fast.

use std::time::Instant;

use async_graphql::Variables;
use serde_json::json;

use super::{Checked, Limits, Refused, admit};

const INTROSPECTION: &str = include_str!("introspection.graphql");

fn limits() -> Limits {
    Limits { once_only: vec!["login", "passwordReset"], ..Limits::default() }
}

fn code(query: &str) -> &'static str {
    admit(query, &limits()).map_or_else(|refused| refused.code, |_| "ok")
}

fn passes(query: &str) -> Checked {
    admit(query, &limits()).unwrap_or_else(|refused| panic!("{refused:?}: {query}"))
}

fn weigh(query: &str, variables: serde_json::Value) -> Result<(), Refused> {
    let checked = admit(query, &limits())?;
    let operation = checked.operation(None)?;
    checked.weigh(operation, &Variables::from_json(variables), &limits())
}

fn times(n: usize, text: impl Fn(usize) -> String) -> String {
    (0..n).map(text).collect()
}

/// Checks that a query of size `at` is accepted and that one of size `at + 1` is refused.
#[track_caller]
fn assert_limit(at: usize, code_above: &str, query: impl Fn(usize) -> String) {
    assert_eq!(code(&query(at)), "ok", "{}", query(at));
    assert_eq!(code(&query(at + 1)), code_above, "{}", query(at + 1));
}

#[test]
fn each_limit_is_exact() {
    assert_limit(16 << 10, "QUERY_TOO_COMPLEX", |n| format!("{{a}}{}", " ".repeat(n - 3)));
    assert_limit(1_500, "QUERY_TOO_COMPLEX", |n| format!("{{r{{{}}}}}", "a ".repeat(n - 5)));
    assert_limit(32, "QUERY_TOO_COMPLEX", |n| format!("{{a(x:{}{})}}", "[".repeat(n - 2), "]".repeat(n - 2)));
    assert_limit(30, "QUERY_TOO_COMPLEX", |n| {
        format!("{{a}}{}", times(n, |i| format!("fragment F{i} on T{{a}}")))
    });
    assert_limit(15, "QUERY_TOO_COMPLEX", |n| format!("{{r{{{}}}}}", times(n, |i| format!("a{i}:a "))));
    assert_limit(10, "QUERY_TOO_COMPLEX", |n| format!("{{{}}}", times(n, |i| format!("a{i} "))));
    assert_limit(4, "QUERY_TOO_COMPLEX", |n| format!("mutation{{{}}}", times(n, |i| format!("a{i} "))));
    assert_limit(1, "QUERY_TOO_COMPLEX", |n| format!("subscription{{{}}}", times(n, |i| format!("a{i} "))));
    assert_limit(3, "QUERY_TOO_COMPLEX", |n| format!("{{a {}}}", times(n, |i| format!("@d{i}"))));
    assert_limit(12, "QUERY_TOO_COMPLEX", |n| format!("{{{}a{}}}", "a{".repeat(n - 1), "}".repeat(n - 1)));
}

#[test]
fn selections_are_counted_with_fragments_expanded() {
    let spread = |fields: usize| {
        format!("{{r{{{}}}}}fragment F on T{{{}}}", "...F ".repeat(10), times(fields, |i| format!("f{i} ")))
    };
    assert_eq!(code(&spread(198)), "ok");
    assert_eq!(code(&spread(199)), "QUERY_TOO_COMPLEX");
    assert_eq!(
        code("{...F} fragment F on Query{a:a b:b c:c ...G ...G ...G} fragment G on Query{d e f}"),
        "QUERY_TOO_COMPLEX"
    );
}

#[test]
fn edges_and_nodes_do_not_count_as_depth() {
    let deep = |n: usize| format!("{{{}id{}}}", "a(first:1){edges{node{".repeat(n), "}}}".repeat(n));
    assert_eq!(code(&deep(10)), "ok");
    assert_eq!(code(&format!("{{{}id{}}}", "a{".repeat(12), "}".repeat(12))), "QUERY_TOO_COMPLEX");
}

#[test]
fn an_operation_can_guess_only_one_secret() {
    assert_eq!(code("mutation{login touch}"), "ok");
    assert_eq!(code("mutation{a:login b:login}"), "QUERY_TOO_COMPLEX");
    assert_eq!(code("mutation{login ...F} fragment F on Mutation{passwordReset}"), "QUERY_TOO_COMPLEX");
    assert_eq!(code("mutation A{login} mutation B{login}"), "ok", "only one of them runs");
    assert_eq!(code("mutation A{login} mutation B{login passwordReset}"), "QUERY_TOO_COMPLEX");
}

#[test]
fn hostile_documents_are_checked_quickly() {
    let levels = |n: usize| {
        let chain = times(n, |i| format!("fragment F{i} on T{{...F{} ...F{}}}", i + 1, i + 1));
        format!("{{...F0}}{chain}fragment F{n} on T{{a}}")
    };
    let cases = [
        ("nested lists", format!("{{a(x:{}", "[".repeat(1_700)), "QUERY_TOO_COMPLEX"),
        ("nested objects", format!("{{a(x:{}", "{b:".repeat(1_700)), "QUERY_TOO_COMPLEX"),
        ("closing first", format!("{{a(x:{}{}", "]".repeat(400), "[".repeat(1_000)), "QUERY_TOO_COMPLEX"),
        ("hidden in a string", format!("{{a(x:\"\\\"\",y:{}", "[".repeat(1_000)), "QUERY_TOO_COMPLEX"),
        (
            "hidden in a block",
            format!("{{a(x:\"\"\"\\\"\"\" \"\"\",y:{}", "[".repeat(1_000)),
            "QUERY_TOO_COMPLEX",
        ),
        ("after a comment", format!("{{a(x: # \"\r{}", "[".repeat(1_000)), "QUERY_TOO_COMPLEX"),
        ("31 levels of two spreads", levels(31), "QUERY_TOO_COMPLEX"),
        ("21 levels of two spreads", levels(21), "QUERY_TOO_COMPLEX"),
        (
            "spreads of a missing fragment",
            levels(28).replace("fragment F28 on T{a}", ""),
            "QUERY_TOO_COMPLEX",
        ),
        (
            "a fragment that spreads itself",
            "{...F} fragment F on T{a{...F}}".into(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "a cycle of fragments",
            "{a} fragment F on T{...G} fragment G on T{...F}".into(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("unterminated", "{a(x:\"".into(), "GRAPHQL_PARSE_FAILED"),
        ("unterminated block", "{a(x:\"\"\" ".into(), "GRAPHQL_PARSE_FAILED"),
        ("a string over lines", "{a(x:\"\n\")}".into(), "GRAPHQL_PARSE_FAILED"),
        ("empty", String::new(), "GRAPHQL_PARSE_FAILED"),
        ("half", "{".into(), "GRAPHQL_PARSE_FAILED"),
        ("only fragments", "fragment F on T{a}".into(), "GRAPHQL_VALIDATION_FAILED"),
        ("not ASCII", "{ é }".into(), "GRAPHQL_PARSE_FAILED"),
        ("brackets in a comment", format!("{{a # {}\n}}", "[".repeat(1_000)), "ok"),
        ("brackets in a string", format!("{{a(x:\"{}\")}}", "[".repeat(1_000)), "ok"),
        ("brackets in a block", format!("{{a(x:\"\"\"{}\"\"\")}}", "[".repeat(1_000)), "ok"),
    ];
    for (name, query, expected) in cases {
        let start = Instant::now();
        assert_eq!(code(&query), expected, "{name}");
        assert!(start.elapsed().as_millis() < 100, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn a_syntax_error_has_a_location_and_a_short_message() {
    let refused = admit("{ a(", &limits()).unwrap_err();
    assert_eq!(refused.locations.len(), 1);
    assert!(refused.message.starts_with("Syntax Error: expected"), "{}", refused.message);
    assert_eq!(refused.message.lines().count(), 1);
}

#[test]
fn introspection_does_not_count_as_depth_but_its_lists_are_limited() {
    passes(INTROSPECTION);
    let inlined = "{__schema{types{fields{args{type{ofType{ofType{ofType{ofType{\
        ofType{ofType{ofType{ofType{name}}}}}}}}}}}}}}";
    assert_eq!(code(inlined), "ok");
    assert_eq!(code("{__type(name:\"A\"){fields{type{fields{name}}}}}"), "ok");
    assert_eq!(code("{__type(name:\"A\"){fields{type{fields{type{fields{name}}}}}}}"), "QUERY_TOO_COMPLEX");
    assert_eq!(code("{__schema{types{fields{type{interfaces{possibleTypes{name}}}}}}}"), "QUERY_TOO_COMPLEX");
    let hidden = "{__schema{types{...A}}} fragment A on __Type{fields{type{...B}}} fragment B on \
        __Type{fields{type{...C}}} fragment C on __Type{inputFields{name}}";
    assert_eq!(code(hidden), "QUERY_TOO_COMPLEX");
    assert_eq!(code("{form{fields{fields{fields{name}}}}}"), "ok");
}

#[test]
fn complexity_counts_objects() {
    let refused = "QUERY_TOO_COMPLEX";
    let result =
        |query: &str, variables| weigh(query, variables).map_or_else(|refused| refused.code, |()| "ok");
    let none = || json!({});
    assert_eq!(result("{users(first:5000){edges{node{id}}pageInfo{hasNextPage}}}", none()), "ok");
    assert_eq!(result("{users(first:5001){edges{node{id}}}}", none()), refused);
    assert_eq!(
        result(
            "{users(first:20){edges{node{accounts(first:5){edges{node{orders(last:5){nodes{id}}}}}}}}}",
            none()
        ),
        "ok"
    );
    assert_eq!(
        result("{users(first:100){edges{node{accounts(first:100){edges{node{id}}}}}}}", none()),
        refused
    );
    assert_eq!(
        result("{users{edges{node{accounts{edges{node{orders{edges{node{id}}}}}}}}}}", none()),
        refused
    );
    assert_eq!(result("{users{edges{node{accounts{edges{node{id}}}}}}}", none()), "ok");
    assert_eq!(
        result("{nodes(ids:[\"a\",\"b\"]){...F}} fragment F on User{orders(first:2500){nodes{id}}}", none()),
        refused
    );
    assert_eq!(
        result("{a(first:99999999999){b(first:99999999999){c(first:99999999999){d}}}}", none()),
        refused
    );

    let page = "query($n:Int){users(first:$n){edges{node{accounts(first:$n){edges{node{id}}}}}}}";
    assert_eq!(result(page, json!({"n": 70})), "ok");
    assert_eq!(result(page, json!({"n": 71})), refused);
    assert_eq!(result(page, none()), "ok");
    let set = page.replace("$n:Int", "$n:Int=100");
    assert_eq!(result(&set, none()), refused);
    assert_eq!(result(&set, json!({"n": 2})), "ok");
    let mut spreads = String::from("{...F0}");
    for i in 0..29 {
        spreads += &format!("fragment F{i} on T{{a(first:100){{...F{}}}}}", i + 1);
    }
    assert_eq!(code(&(spreads + "fragment F29 on T{id}")), refused);
}

#[test]
fn a_page_counts_at_most_the_maximum_page_size() {
    let limits = Limits { page_most: 100, ..limits() };
    assert!(admit("{users(first:99999999){nodes{id}}}", &limits).is_ok());
    assert!(admit("{users(first:99999999){nodes{orders(first:99999999){nodes{id}}}}}", &limits).is_err());
}

#[test]
fn required_variables_must_be_given() {
    let query = "query($id:ID!,$n:Int!=3,$o:Int){a(id:$id,n:$n,o:$o)}";
    let refusal = |variables| weigh(query, variables).unwrap_err();
    assert_eq!(weigh(query, json!({"id": "a"})), Ok(()));
    let missing = refusal(json!({}));
    assert_eq!((missing.code, missing.locations.len()), ("BAD_USER_INPUT", 1));
    assert_eq!(missing.message, "Variable \"$id\" of required type \"ID!\" was not provided.");
    assert_eq!(
        refusal(json!({"id": null})).message,
        "Variable \"$id\" of non-null type \"ID!\" must not be null."
    );
    assert_eq!(refusal(json!({"id": "a", "n": null})).code, "BAD_USER_INPUT");
}

#[test]
fn the_named_operation_is_selected() {
    let two = passes("query A{a} mutation B{b}");
    assert_eq!(two.operation(Some("B")).unwrap().kind, async_graphql::parser::types::OperationType::Mutation);
    assert!(two.operation(None).is_err());
    assert!(two.operation(Some("C")).is_err());
    assert!(passes("{a}").operation(Some("A")).is_err());
    assert!(passes("query A{a}").operation(None).is_ok());
}

#[test]
fn only_queries_with_several_reads_need_a_snapshot() {
    let needs = |query: &str| passes(query).operations.first().unwrap().needs_snapshot;
    assert!(!needs("{user(id:1){id name __typename}}"));
    assert!(!needs("{orders(first:5){edges{cursor node{id}} pageInfo{hasNextPage}}}"));
    assert!(!needs("{orders(first:5){...P}} fragment P on C{nodes{id ...Q}} fragment Q on O{id}"));
    assert!(!needs("{user{id} __typename}"));
    assert!(!needs("{__schema{types{name fields{name}}}}"));
    assert!(needs("{user{id} order{id}}"));
    assert!(needs("{user{accounts{edges{node{id}}}}}"));
    assert!(needs("{orders{edges{node{instrument{id}}}}}"));
    assert!(needs("{...R} fragment R on Query{user{...A}} fragment A on User{accounts{nodes{id}}}"));
    assert!(!needs("mutation{a{b{c{d}}}}"));
}

#[test]
fn random_tokens_never_cause_a_panic() {
    let pieces = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "\n",
        "...",
        "on",
        "a",
        ":",
        "$",
        "!",
        "@",
        "=",
        "1",
        "é",
        "fragment ",
        "query ",
    ];
    let mut seed = 7_u64;
    for _ in 0..20_000 {
        let mut query = String::from("{a");
        for _ in 0..(seed % 40) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            query += pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()];
        }
        seed = seed.wrapping_add(1);
        let _ = admit(&query, &limits());
    }
}

#[test]
fn disabled_introspection_is_refused_with_a_clear_message() {
    let closed = Limits { introspection: false, ..limits() };
    for query in [
        "{__schema{types{name}}}",
        "{__type(name:\"User\"){name}}",
        "query{...F} fragment F on Query{__schema{types{name}}}",
    ] {
        let refused = admit(query, &closed).expect_err(query);
        assert_eq!(
            (refused.code, refused.message.as_str()),
            ("GRAPHQL_VALIDATION_FAILED", "Introspection is disabled.")
        );
    }
    assert!(admit("{__typename}", &closed).is_ok());
}

#[test]
fn the_number_of_operations_is_not_limited() {
    let many: String = (0..60).map(|number| format!("query Q{number}{{a}}")).collect();
    assert_eq!(passes(&many).operations.len(), 60, "only the number of tokens is limited");
}
