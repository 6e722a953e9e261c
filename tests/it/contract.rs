//! Checks that `schema.graphql` and `openapi.json` match the code.

use std::{fs, path::Path};

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
