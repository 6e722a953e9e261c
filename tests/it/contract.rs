//! The schema is a promise: what the code offers is what the file at the root says.

use std::{fs, path::Path};

#[test]
fn the_schema_is_the_file_at_the_root() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let promised = fs::read_to_string(&file).unwrap_or_default();
    let offered = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let differs = promised
        .trim_end()
        .lines()
        .zip(offered.trim_end().lines())
        .find(|(promised, offered)| promised != offered);
    assert!(
        promised.trim_end() == offered.trim_end(),
        "schema.graphql is not what the code offers; the first line that differs: {differs:?}\n\
         If the change is meant and only adds, renew the file: target/debug/coffer schema > schema.graphql"
    );
}

#[test]
fn the_documentation_is_the_file_at_the_root() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let promised = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        promised == coffer::rest::core::openapi::text(),
        "openapi.json is not what the code offers; if the change is meant, renew the file: \
            target/debug/coffer openapi > openapi.json"
    );
}
