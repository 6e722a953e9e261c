//! JSON schemas of request bodies, responses and query parameters.

use super::reference;
use crate::rest::core::described::{Answer, Filter, FilterForm, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Returns a reference to the type of a response, and adds that type and the types it uses to `schemas`.
pub fn type_schema(answer: Answer, schemas: &mut Map<String, Value>) -> Value {
    let name = (answer.name)().into_owned();
    let mut types = vec![(name.clone(), (answer.schema)())];
    (answer.parts)(&mut types);
    for (name, schema) in types {
        let mut schema = to_json(&schema);
        require_all(&mut schema);
        schemas.insert(name, schema);
    }
    reference("schemas", &name)
}

/// Makes every property of a response required: a null property is sent as null.
fn require_all(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if let Some(Value::Object(properties)) = fields.get("properties") {
        let names: Vec<&String> = properties.keys().collect();
        let names = json!(names);
        fields.insert("required".to_owned(), names);
    }
    if let Some(Value::Array(parts)) = fields.get_mut("allOf") {
        parts.iter_mut().for_each(require_all);
    }
}

fn to_json(schema: &impl Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// Returns the schema of a query parameter.
pub fn filter_schema(filter: &Filter) -> Value {
    match filter.form {
        FilterForm::Words(words) => json!({ "type": "string", "enum": words }),
        FilterForm::Id => json!({ "type": "string", "format": "uuid" }),
        FilterForm::Time => {
            json!({ "type": "string", "anyOf": [{ "format": "date" }, { "format": "date-time" }] })
        }
    }
}

/// Returns a request body. With `may_be_empty`, a missing body counts as one without fields.
pub fn request_body(request: Request, may_be_empty: bool) -> Value {
    let mut types = Vec::new();
    (request.parts)(&mut types);
    let types = types.into_iter().map(|(name, schema)| (name, to_json(&schema))).collect();
    let mut body = object(to_json(&(request.schema)()), &types);
    let example = body.remove("example").unwrap_or_else(|| example(&body));
    body.remove("description");
    let required = list(&body, "required");
    let is_required = !may_be_empty || !required.is_empty();
    body.insert("required".to_owned(), json!(required));
    let rules = (request.rules)();
    if !rules.is_empty() {
        body.insert("allOf".to_owned(), json!(rules));
    }
    json!({ "required": is_required,
        "content": { "application/json": { "schema": body, "example": example } } })
}

fn list(schema: &Map<String, Value>, keyword: &str) -> Vec<Value> {
    schema.get(keyword).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Returns the schema of a struct, with the schemas of its fields in place of references to their types.
fn object(schema: Value, types: &HashMap<String, Value>) -> Map<String, Value> {
    let Value::Object(mut object) = schema else { return Map::new() };
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for property in properties.values_mut() {
            *property = field(property, types).into();
        }
    }
    object
}

/// Returns the schema of a field. `property` refers to its type, or, for an optional field, to its type or
/// null.
fn field(property: &Value, types: &HashMap<String, Value>) -> Map<String, Value> {
    let (is_optional, own) = match property.pointer("/oneOf/0") {
        Some(given) => (true, given),
        None => (false, property),
    };
    let name = own.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let schema = name.and_then(|name| types.get(name)).cloned().unwrap_or_default();
    let mut schema = object(schema, types);
    if let Some(text) = own.get("description") {
        schema.insert("description".to_owned(), text.clone());
    }
    if is_optional { optional(schema) } else { schema }
}

/// Pattern of a text that counts as left out.
const BLANK: &str = r"^\s*$";

/// Returns the schema of an optional field, which may be null, and if it is a text also blank.
fn optional(mut schema: Map<String, Value>) -> Map<String, Value> {
    let kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.clone(),
        kind => kind.cloned().into_iter().collect(),
    };
    if kinds == [json!("string")] {
        allow_blank(&mut schema);
    }
    if kinds != [json!("null")] {
        schema.insert("type".to_owned(), kinds.into_iter().chain([json!("null")]).collect());
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.push(Value::Null);
    }
    schema
}

/// Changes the schema of a text so that a blank text matches, too.
fn allow_blank(schema: &mut Map<String, Value>) {
    let or_blank = |pattern: &Value| json!(format!("{BLANK}|{}", pattern.as_str().unwrap_or_default()));
    schema.remove("minLength");
    match (schema.remove("pattern"), schema.remove("allOf")) {
        // A format cannot be combined with blank texts in one schema.
        (Some(pattern), _) if schema.contains_key("format") => {
            let given = json!({ "format": schema.remove("format"), "pattern": pattern });
            schema.insert("anyOf".to_owned(), json!([given, { "pattern": BLANK }]));
        }
        (Some(pattern), _) => _ = schema.insert("pattern".to_owned(), or_blank(&pattern)),
        // A code.
        (None, Some(code)) => {
            let blank = json!({ "type": ["string", "null"], "pattern": BLANK });
            schema.insert("anyOf".to_owned(), json!([code.get(0), blank]));
        }
        // A choice.
        (None, None) => {
            if let Some(pattern) = schema.get_mut("anyOf").and_then(|any| any.pointer_mut("/1/pattern")) {
                *pattern = or_blank(pattern);
            }
        }
    }
}

/// Returns the example of a body: those of its fields, without optional objects.
fn example(body: &Map<String, Value>) -> Value {
    let properties = body.get("properties").and_then(Value::as_object).into_iter().flatten();
    let example = |field: &Value| field.pointer("/examples/0").cloned();
    properties.filter_map(|(name, field)| Some((name.clone(), example(field)?))).collect::<Map<_, _>>().into()
}
