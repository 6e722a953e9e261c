//! Checks docs/clients.md: its lists are complete, and its GraphQL runs as printed. `tests/clients/guide.mjs`
//! runs its JavaScript.

use crate::{
    manuals::{GUIDE, blocks_of},
    support::{ORDER_PLACE, TestApp, on_both, socket::Socket},
};
use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{ConstDirective, TypeKind, TypeSystemDefinition},
    },
};
use chrono::NaiveDate;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

/// The blocks of GraphQL, each run by a test below.
const OPERATIONS: [&str; 7] = [
    "query Orders",
    "query Customers",
    "mutation PlaceOrder",
    "subscription Events",
    "query Chart",
    "subscription Quotes",
    "query Deprecated",
];

/// The blocks of JavaScript, each run by `tests/clients/guide.mjs`.
const SCRIPTS: [&str; 7] = [
    "codegen.js",
    "format.js",
    "coffer-value-types.js",
    "coffer-apollo.js",
    "coffer-urql.js",
    "follow.js",
    "eslint.config.js",
];

/// Ends of the names of types that have no id and need no entry in a cache.
const RESULTS: [&str; 5] = ["Payload", "Connection", "Edge", "Error", "Event"];

/// Literals in capital letters in the code of the server that are not error codes.
const NOT_CODES: [&str; 3] = ["POST", "DENY", "HTTPS"];

/// Returns the text of the block that begins with these words.
fn block(begin: &str) -> String {
    let found: Vec<String> =
        blocks_of(GUIDE).into_iter().map(|block| block.text).filter(|text| text.starts_with(begin)).collect();
    let [only] = found.try_into().unwrap_or_else(|_| panic!("one block begins with {begin}"));
    only
}

/// Returns the cells of the rows of the table with this header.
fn table(header: &str) -> Vec<Vec<String>> {
    let rows = GUIDE.lines().skip_while(|line| *line != header).skip(2);
    let rows: Vec<_> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "no table has the header {header}");
    rows
}

fn unquoted(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// Returns the string literals of a source file that consist of capital letters and underscores.
fn capitals(text: &str) -> impl Iterator<Item = String> {
    let is_capitals =
        |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    text.split('"').filter(is_capitals).map(str::to_owned)
}

/// Collects the literals of `capitals` of a source file, or of all source files below a folder, without tests
/// and without the page that documents REST.
fn collect(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs")
        && !path.ends_with("tests.rs")
        && !path.ends_with("server/docs.rs")
    {
        found.extend(capitals(&fs::read_to_string(path).unwrap()));
    }
}

#[test]
fn every_block_is_run() {
    let (mut operations, mut scripts) = (Vec::new(), Vec::new());
    for block in blocks_of(GUIDE) {
        let first = block.text.lines().next().unwrap();
        match block.language {
            "graphql" => {
                let name: Vec<&str> = first.split([' ', '(']).take(2).collect();
                operations.push(name.join(" "));
            }
            "js" => scripts.push(first.strip_prefix("// ").unwrap().to_owned()),
            other => panic!("no test runs a {other} block in section {}", block.section),
        }
    }
    assert_eq!(
        (operations, scripts),
        (OPERATIONS.map(str::to_owned).into(), SCRIPTS.map(str::to_owned).into())
    );
}

#[test]
fn every_type_without_an_id_is_listed() {
    let sdl = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let mut without_id = Vec::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let TypeKind::Object(object) = &ty.node.kind else { continue };
        let name = ty.node.name.node.to_string();
        let has_id = object.fields.iter().any(|field| field.node.name.node == "id");
        let is_root = ["Query", "Mutation", "Subscription"].contains(&name.as_str());
        if !has_id && !is_root && !RESULTS.iter().any(|end| name.ends_with(end)) {
            without_id.push(name);
        }
    }
    without_id.sort();
    let listed: Vec<String> =
        block("// coffer-value-types.js").split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(listed, without_id);
}

#[test]
fn both_caches_know_every_list_that_is_read_in_pages() {
    let (apollo, urql) = (block("// coffer-apollo.js"), block("// coffer-urql.js"));
    for definition in parse_schema(coffer::graphql::schema(true).sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let TypeKind::Object(object) = &ty.node.kind else { continue };
        for field in &object.fields {
            if !field.node.ty.node.to_string().trim_end_matches('!').ends_with("Connection") {
                continue;
            }
            for cache in [&apollo, &urql] {
                let of_type =
                    cache.split(&format!("\n  {}: {{", ty.node.name.node)).nth(1).unwrap_or_default();
                let of_type = of_type.split("\n  }").next().unwrap().split(" },\n  ").next().unwrap();
                let name = format!(" {}: ", field.node.name.node);
                assert!(of_type.contains(&name), "{}.{} in {cache}", ty.node.name.node, field.node.name.node);
            }
        }
    }
}

#[test]
fn every_error_code_is_listed() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sent = BTreeSet::new();
    for path in ["wire.rs", "server.rs", "server", "graphql/core"] {
        collect(&src.join(path), &mut sent);
    }
    for other in NOT_CODES {
        assert!(sent.remove(other), "{other} is no longer in the code");
    }
    let listed: Vec<String> =
        table("| code | meaning | what a client does |").iter().map(|row| unquoted(&row[0])).collect();
    assert_eq!(listed, Vec::from_iter(sent));
}

#[test]
fn the_scalars_are_listed() {
    let sdl = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let scalars: BTreeSet<&str> =
        sdl.lines().filter_map(|line| line.strip_prefix("scalar ")?.split(' ').next()).collect();
    let rows = table("| scalar | form | example |");
    let listed: BTreeSet<String> = rows.iter().map(|row| unquoted(&row[0])).collect();
    assert_eq!(listed, scalars.into_iter().map(str::to_owned).collect());
    for row in rows {
        let form = coffer::graphql::core::scalars::form(&unquoted(&row[0])).unwrap();
        assert!(form.contains(&format!("for example {}.", unquoted(&row[2]))), "{row:?}");
    }
}

/// Returns what is wrong with the reason of a deprecation, or its removal date.
fn removal(reason: &str, today: NaiveDate) -> Result<NaiveDate, String> {
    let (replacement, rest) = reason
        .strip_prefix("Use `")
        .and_then(|rest| rest.split_once("`. Removal on "))
        .ok_or_else(|| format!("{reason} is not of the form: Use `X`. Removal on YYYY-MM-DD."))?;
    let date: NaiveDate = rest
        .strip_suffix('.')
        .filter(|date| date.len() == 10 && !replacement.is_empty())
        .and_then(|date| date.parse().ok())
        .ok_or_else(|| format!("{reason} has no removal date"))?;
    if date <= today { Err(format!("{reason} The date has passed: remove it.")) } else { Ok(date) }
}

/// Returns everything in the schema that is deprecated, with its reason.
fn deprecated(sdl: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut look = |name: String, directives: &[Positioned<ConstDirective>]| {
        for directive in directives.iter().filter(|directive| directive.node.name.node == "deprecated") {
            let reason =
                directive.node.get_argument("reason").map(|reason| reason.node.clone().into_json().unwrap());
            found.push((
                name.clone(),
                reason.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default(),
            ));
        }
    };
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let ty = ty.node;
        let fields = match ty.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::Interface(interface) => interface.fields,
            TypeKind::Enum(one) => {
                for value in one.values {
                    look(format!("{}.{}", ty.name, value.node.value.node), &value.node.directives);
                }
                continue;
            }
            TypeKind::InputObject(input) => {
                for field in input.fields {
                    look(format!("{}.{}", ty.name, field.node.name), &field.node.directives);
                }
                continue;
            }
            TypeKind::Scalar | TypeKind::Union(_) => continue,
        };
        for field in fields {
            let name = format!("{}.{}", ty.name, field.node.name);
            look(name.clone(), &field.node.directives);
            for argument in field.node.arguments {
                look(format!("{name}({}:)", argument.node.name), &argument.node.directives);
            }
        }
    }
    found
}

#[test]
fn deprecations_follow_the_policy() {
    let sdl = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let today = domain::kernel::clock::system_now().date_naive();
    let found = deprecated(&sdl);
    assert_eq!(sdl.matches("@deprecated(reason: \"").count(), found.len());
    for (name, reason) in &found {
        removal(reason, today).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let none = "Nothing is deprecated at present.";
    assert_eq!(GUIDE.contains(none), found.is_empty(), "the guide lists what is deprecated");
}

#[test]
fn a_deprecation_without_a_future_removal_date_is_found() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let reason = "Use `createdAt`. Removal on 2027-06-30.";
    assert_eq!(removal(reason, day("2027-06-29")), Ok(day("2027-06-30")));
    let passed = "Use `createdAt`. Removal on 2027-06-30. The date has passed: remove it.";
    assert_eq!(removal(reason, day("2027-06-30")), Err(passed.to_owned()));
    for reason in [
        "",
        "No longer supported",
        "Use `createdAt`.",
        "Use ``. Removal on 2027-06-30.",
        "Use `createdAt`. Removal on 2027-06-31.",
        "Use `createdAt`. Removal on 2027-06-30",
        "Use `createdAt`. Removal on June 30.",
    ] {
        assert!(removal(reason, day("2026-11-27")).is_err(), "{reason}");
    }
    let sdl = "type T { old(x: Int @deprecated(reason: \"A\")): Int @deprecated(reason: \"B\") new: Int } \
        enum E { A @deprecated(reason: \"C\") } input I { x: Int @deprecated(reason: \"D\") }";
    let pairs = [("T.old", "B"), ("T.old(x:)", "A"), ("E.A", "C"), ("I.x", "D")];
    assert_eq!(deprecated(sdl), pairs.map(|(name, reason)| (name.to_owned(), reason.to_owned())));
}

on_both! {
    async fn the_operations_run_as_printed(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        let place = block("mutation PlaceOrder");
        let mut placed = Vec::new();
        for key in ["1", "2", "3"] {
            let order = app.gql(&place, json!({ "input": ada.order(key, "BUY", "VTI", "0.1") })).await;
            placed.push(order.entity("orderPlace", "order")["id"].clone());
        }
        let again = app.gql(&place, json!({ "input": ada.order("3", "BUY", "VTI", "0.1") })).await;
        assert_eq!(again.entity("orderPlace", "order")["id"], placed[2]);
        let refused = app.gql(&place, json!({ "input": ada.order("4", "BUY", "VTI", "0") })).await;
        assert_eq!(
            (refused.status, refused.user_error("orderPlace")),
            (200, &json!({ "code": "INVALID", "path": ["quantity"], "message": "quantity must be above zero" }))
        );
        let reused = app.gql(ORDER_PLACE, json!({ "input": ada.order("3", "BUY", "VTI", "0.2") })).await;
        assert_eq!(reused.user_error("orderPlace")["code"], "IDEMPOTENCY_KEY_REUSED");

        let (mut seen, mut sizes, mut after) = (Vec::new(), Vec::new(), Value::Null);
        loop {
            let page = app.gql(&block("query Orders"), json!({ "after": after })).await.data()["orders"].clone();
            let edges = page["edges"].as_array().unwrap();
            sizes.push(edges.len());
            seen.extend(edges.iter().map(|edge| edge["node"]["id"].clone()));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        placed.reverse();
        assert_eq!((seen, sizes), (placed, vec![2, 1]));

        let mut first = Socket::join(&app, Some(&app.key)).await;
        first.subscribe("1", &block("subscription Events"), json!({ "after": "0" })).await;
        let events = [first.next().await, first.next().await, first.next().await];
        let mut resumed = Socket::join(&app, Some(&app.key)).await;
        let after = json!({ "after": events[0]["events"]["cursor"] });
        resumed.subscribe("1", &block("subscription Events"), after).await;
        assert_eq!([resumed.next().await, resumed.next().await], events[1..]);
    }

    async fn charts_and_quotes_are_as_in_the_guide(app: TestApp) {
        app.seed(1).await;
        app.advance_to("2026-07-10T13:37:30Z").await;
        let variables = json!({ "symbol": "vti", "from": "2026-07-10T13:30:00Z" });
        let chart = app.gql(&block("query Chart"), variables).await.data()["instrument"].clone();
        assert_eq!(chart["name"], "Vanguard Total Stock Market ETF");
        let starts: Vec<&Value> = chart["bars"].as_array().unwrap().iter().map(|bar| &bar["startsAt"]).collect();
        assert_eq!(starts, [&json!("2026-07-10T13:30:00Z"), &json!("2026-07-10T13:35:00Z")]);
        app.quote("VTI", "250.00", "250.10").await;
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", &block("subscription Quotes"), json!({ "symbols": ["VTI"] })).await;
        let prices = |event: &Value| {
            let quote = &event["quoteChanged"]["quote"];
            ["bid", "ask", "last"].map(|side| quote[side]["amount"].clone())
        };
        assert_eq!(prices(&socket.next().await), ["250.00", "250.10", "250.05"]);
        app.quote("VTI", "251.00", "251.10").await;
        assert_eq!(prices(&socket.next().await), ["251.00", "251.10", "251.05"]);
    }

    async fn customers_are_filtered_and_sorted_as_in_the_guide(app: TestApp) {
        for name in ["Cid", "Ada", "Bea"] {
            app.customer(name).await;
        }
        let page = app.gql(&block("query Customers"), json!({ "after": null })).await.data()["users"].clone();
        let names: Vec<_> =
            page["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["firstName"].clone()).collect();
        assert_eq!((json!(names), &page["pageInfo"]["hasNextPage"]), (json!(["Ada", "Bea", "Cid"]), &json!(false)));
    }

    async fn introspection_tells_what_is_deprecated(app: TestApp) {
        let answer = app.gql(&block("query Deprecated"), json!({})).await;
        let fields = answer.data()["__type"]["fields"].as_array().unwrap().clone();
        assert!(fields.iter().any(|field| field["name"] == "firstName"), "{fields:?}");
        for field in fields {
            assert_eq!((&field["isDeprecated"], &field["deprecationReason"]), (&json!(false), &Value::Null));
        }
    }
}
