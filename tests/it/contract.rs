//! Checks that `schema.graphql` and `openapi.json` match the code.

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

#[test]
fn schema_graphql_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let generated = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let differs = committed
        .trim_end()
        .lines()
        .zip(generated.trim_end().lines())
        .find(|(committed, generated)| committed != generated);
    assert!(
        committed.trim_end() == generated.trim_end(),
        "schema.graphql does not match the code; the first line that differs: {differs:?}\n\
         If the change is intended and only adds, regenerate it: target/debug/coffer schema > schema.graphql"
    );
}

/// GraphQL merges fields of the same name in one selection only if they have the same type.
#[test]
fn fields_of_the_same_name_have_the_same_type_in_all_events() {
    let mut types = BTreeMap::new();
    let mut events = BTreeSet::new();
    for definition in parse_schema(coffer::graphql::schema(true).sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let TypeKind::Object(object) = ty.node.kind else { continue };
        if !object.implements.iter().any(|interface| interface.node == "Event") {
            continue;
        }
        events.insert(ty.node.name.node.to_string());
        for field in object.fields {
            let name = field.node.name.node.to_string();
            let declared = field.node.ty.node.to_string();
            let known = types.entry(name.clone()).or_insert_with(|| declared.clone());
            assert_eq!(*known, declared, "{name} of {}", ty.node.name.node);
        }
    }
    assert_eq!(events.len(), 13, "{events:?}");
    let expected = [
        ("account", "Account!"),
        ("kycOutcome", "KycOutcome!"),
        ("orderStatus", "OrderStatus!"),
        ("transferStatus", "TransferStatus!"),
        ("type", "EventType!"),
        ("user", "User!"),
        ("userStatus", "UserStatus!"),
    ];
    for (name, declared) in expected {
        assert_eq!(types[name], declared, "{name}");
    }
}

#[test]
fn openapi_json_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == coffer::rest::core::openapi::text(),
        "openapi.json does not match the code; if the change is intended, regenerate the file: \
            target/debug/coffer openapi > openapi.json"
    );
}
