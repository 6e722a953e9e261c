//! Builds the OpenAPI document of both REST APIs from their routes and descriptions.

mod components;
mod schemas;

use super::{described::Description, routes::Route};
use crate::rest::{
    brokerage::ROUTES,
    wellness::{OPEN, ROUTES as WELLNESS, is_wellness},
};
use components::{
    AREAS, BROKERAGE_ERRORS, SCHEMES, SESSION, WELLNESS_ERRORS, headers, own_schemas, parameters, responses,
    security,
};
use schemas::{filter_schema, request_body, type_schema};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Returns the OpenAPI document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

fn build() -> Value {
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
            "description": "Two APIs: brokerage accounts (`/v1`), and users who sign in (`/account/v1` and \
                `/two_factor_authentication/v1`). Every path works with and without a \
                trailing slash. Amounts and quantities in responses are strings. Ids are opaque. An id \
                that is malformed, unknown or belongs to another partner is reported as not found.",
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

/// Returns the document as served at `/openapi.json` and stored in the repository.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &TEXT
}

fn reference(part: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{part}/{name}") })
}

fn operation(route: &Route, description: &Description, schemas: &mut Map<String, Value>) -> Value {
    let wellness = is_wellness(route.path);
    let changes = route.method != "GET" && !wellness;
    let named = route.path.split('/').find_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    let has_path_parameter = named.is_some();
    let is_list = description.answer.is_some_and(|answer| answer.is_list);
    let mut parameters = Vec::new();
    if let Some(name) = named {
        let text = if name == "token" { "Token of the identity check." } else { "Opaque identifier." };
        parameters.push(json!({ "name": name, "in": "path", "required": true, "description": text,
            "schema": { "type": "string" } }));
    }
    if changes {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    if is_list {
        parameters.extend(
            ["Limit", "Order", "StartingAfter", "EndingBefore"].map(|name| reference("parameters", name)),
        );
    }
    for filter in description.filters {
        parameters.push(json!({ "name": filter.name, "in": "query", "required": false,
            "description": filter.text, "schema": filter_schema(filter) }));
    }
    let entry = |(status, name, _): (&str, &str, &str)| (status.to_owned(), reference("responses", name));
    let takes_body = description.request.is_some();
    let needs_body = |status: &str| matches!(status, "408" | "415");
    let mut responses: Map<String, Value> = if wellness {
        WELLNESS_ERRORS
            .into_iter()
            .filter(|(status, ..)| takes_body || !needs_body(status))
            .map(entry)
            .collect()
    } else {
        let applies = |(status, ..): &(&str, &str, &str)| match *status {
            "400" => changes || is_list,
            "402" | "409" => changes,
            "408" | "415" => takes_body,
            "404" => changes || has_path_parameter,
            _ => true,
        };
        BROKERAGE_ERRORS.into_iter().filter(applies).map(entry).collect()
    };
    let status = match (description.answer, description.creates) {
        (None, _) => "204",
        (Some(_), true) => "201",
        (Some(_), false) => "200",
    };
    responses.insert(status.to_owned(), success(description, changes, schemas));
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(operation_id(route)));
    operation.insert("tags".to_owned(), json!([tag(route.path)]));
    operation.insert("summary".to_owned(), json!(description.summary));
    operation.insert("parameters".to_owned(), json!(parameters));
    operation.insert("responses".to_owned(), Value::Object(responses));
    if wellness {
        let open = OPEN.contains(&(route.method, route.path));
        operation.insert(
            "security".to_owned(),
            json!(if open { vec![json!({}), json!({ "bearer": [] })] } else { security(&[SESSION]) }),
        );
    }
    if let Some(request) = description.request {
        operation.insert("requestBody".to_owned(), request_body(request, wellness));
    }
    Value::Object(operation)
}

fn operation_id(route: &Route) -> String {
    let steps =
        route.path.split('/').map(|step| step.trim_matches(['{', '}'])).filter(|step| !step.is_empty());
    [route.method.to_ascii_lowercase().as_str()].into_iter().chain(steps).collect::<Vec<_>>().join("_")
}

/// Returns the tag of a path: the first segment in the wellness API, the last segment that is no parameter in
/// the brokerage API.
fn tag(path: &str) -> &str {
    if is_wellness(path) {
        return path.split('/').find(|step| !step.is_empty()).unwrap_or_default();
    }
    if path.starts_with("/v1/kyc") {
        return "kyc";
    }
    if path == "/v1/withdrawal" {
        return "withdrawals";
    }
    path.rsplit('/').find(|step| !step.is_empty() && !step.starts_with('{')).unwrap_or_default()
}

fn success(description: &Description, changes: bool, schemas: &mut Map<String, Value>) -> Value {
    let mut response = json!({ "description": "Success." });
    let Value::Object(fields) = &mut response else { return response };
    if changes {
        fields.insert(
            "headers".to_owned(),
            json!({ "Idempotent-Replayed": reference("headers", "IdempotentReplayed") }),
        );
    }
    if let Some(answer) = description.answer {
        let one = type_schema(answer, schemas);
        let one = match description.otherwise {
            Some(other) => json!({ "oneOf": [one, type_schema(other, schemas)] }),
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
    }
    response
}
