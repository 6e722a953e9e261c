//! The documentation of this door, made from its routes and what is said beside them.

mod components;
mod schemas;

use super::{described::Description, routes::Route};
use crate::rest::{
    brokerage::ROUTES,
    wellness::{OPEN, ROUTES as WELLNESS, is_wellness},
};
use components::{
    AREAS, PROBLEMS, SCHEMES, SESSION, TROUBLES, headers, own_schemas, parameters, responses, security,
};
use schemas::{body, schema, told, typed};
use serde_json::{Map, Value, json};

/// The documentation as an OpenAPI document.
pub fn document() -> Value {
    let mut schemas = own_schemas();
    let mut paths = Map::new();
    for route in ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten()) {
        let Some(description) = &route.description else { continue };
        let operation = operation(route, description, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Coffer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Brokerage accounts, and the accounts of people who sign in. Every path answers \
                with and without a slash at its end. \
                Amounts and quantities in answers are strings. An id is opaque; one that is malformed, \
                unknown or not yours names nothing.",
        },
        "servers": [{ "url": "/" }],
        "security": security(&SCHEMES),
        "tags": AREAS.map(|(name, title, text)| json!({ "name": name, "x-displayName": title, "description": text })),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses(),
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": SCHEMES.into_iter().chain([SESSION]).map(|(name, scheme)| (name.to_owned(),
                scheme())).collect::<Map<_, _>>(),
        },
    })
}

/// The document as it is served and kept.
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn reference(part: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{part}/{name}") })
}

fn operation(route: &Route, description: &Description, schemas: &mut Map<String, Value>) -> Value {
    let wellness = is_wellness(route.path);
    let changes = route.method != "GET" && !wellness;
    let named = route.path.split('/').find_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    let names_something = named.is_some();
    let is_list = description.answer.is_some_and(|answer| answer.is_list);
    let mut asks = Vec::new();
    if let Some(name) = named {
        let text = format!("The {name}.");
        asks.push(json!({ "name": name, "in": "path", "required": true, "description": text,
            "schema": { "type": "string" } }));
    }
    if changes {
        asks.push(reference("parameters", "IdempotencyKey"));
    }
    if is_list {
        asks.extend(
            ["Limit", "Order", "StartingAfter", "EndingBefore"].map(|name| reference("parameters", name)),
        );
    }
    for field in description.filters {
        asks.push(
            json!({ "name": field.name, "in": "query", "required": field.required, "description": field.text,
                "schema": schema(field) }),
        );
    }
    let refers = |(status, name, _): (&str, &str, &str)| (status.to_owned(), reference("responses", name));
    let takes_body = !description.takes.is_empty();
    let of_body = |status: &str| matches!(status, "408" | "415");
    let mut answers: Map<String, Value> = if wellness {
        TROUBLES.into_iter().filter(|(status, ..)| takes_body || !of_body(status)).map(refers).collect()
    } else {
        let apt = |(status, ..): &(&str, &str, &str)| match *status {
            "400" => changes || is_list,
            "402" | "409" => changes,
            "408" | "415" => takes_body,
            "404" => changes || names_something,
            _ => true,
        };
        PROBLEMS.into_iter().filter(apt).map(refers).collect()
    };
    let silent = description.answer.is_none() && description.tells.is_empty();
    let status = match (silent, description.creates) {
        (true, _) => "204",
        (false, true) => "201",
        (false, false) => "200",
    };
    answers.insert(status.to_owned(), done(description, changes, schemas));
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(operation_id(route)));
    operation.insert("tags".to_owned(), json!([tag(route.path)]));
    operation.insert("summary".to_owned(), json!(description.summary));
    operation.insert("parameters".to_owned(), json!(asks));
    operation.insert("responses".to_owned(), Value::Object(answers));
    if wellness {
        let open = OPEN.contains(&(route.method, route.path));
        operation.insert(
            "security".to_owned(),
            json!(if open { vec![json!({}), json!({ "bearer": [] })] } else { security(&[SESSION]) }),
        );
    }
    if !description.takes.is_empty() {
        operation.insert("requestBody".to_owned(), body(description, wellness));
    }
    Value::Object(operation)
}

fn operation_id(route: &Route) -> String {
    let steps =
        route.path.split('/').map(|step| step.trim_matches(['{', '}'])).filter(|step| !step.is_empty());
    [route.method.to_ascii_lowercase().as_str()].into_iter().chain(steps).collect::<Vec<_>>().join("_")
}

/// The area that a path belongs to: the service it names first, or the last thing in it that has a name.
fn tag(path: &str) -> &str {
    if is_wellness(path) {
        return path.split('/').find(|step| !step.is_empty()).unwrap_or_default();
    }
    if path.starts_with("/v1/kyc") {
        return "kyc";
    }
    path.rsplit('/').find(|step| !step.is_empty() && !step.starts_with('{')).unwrap_or_default()
}

fn done(description: &Description, changes: bool, schemas: &mut Map<String, Value>) -> Value {
    let mut response = json!({ "description": "Done." });
    let Value::Object(fields) = &mut response else { return response };
    if changes {
        fields.insert(
            "headers".to_owned(),
            json!({ "Idempotent-Replayed": reference("headers", "IdempotentReplayed") }),
        );
    }
    if let Some(answer) = description.answer {
        let one = typed(answer, schemas);
        let one = match description.otherwise {
            Some(other) => json!({ "oneOf": [one, typed(other, schemas)] }),
            None => one,
        };
        let schema = if answer.is_list {
            let properties = json!({ "pagination": reference("schemas", "Pagination"),
                "data": { "type": "array", "items": one } });
            json!({ "type": "object", "required": ["pagination", "data"], "properties": properties })
        } else {
            one
        };
        fields.insert("content".to_owned(), json!({ "application/json": { "schema": schema } }));
    } else if !description.tells.is_empty() {
        fields.insert(
            "content".to_owned(),
            json!({ "application/json": { "schema": told(description.tells) } }),
        );
    }
    response
}
