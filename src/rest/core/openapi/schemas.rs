//! JSON schemas of fields, request bodies and responses.

use super::reference;
use crate::rest::core::{
    bodies::MAX_CHOICE,
    described::{Answer, Description, Field, Value as Holds},
    forms::{self, Form},
};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

/// Returns a reference to the type of a response, and adds that type and the types it uses to `schemas`.
pub fn type_schema(answer: Answer, schemas: &mut Map<String, Value>) -> Value {
    let name = (answer.name)().into_owned();
    let mut types = vec![(name.clone(), (answer.schema)())];
    (answer.parts)(&mut types);
    for (name, schema) in types {
        schemas.insert(name, complete(&schema));
    }
    reference("schemas", &name)
}

/// Returns the schema of a response that is described field by field. An optional field may be null.
pub fn fields_schema(fields: &[Field]) -> Value {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let property = |field: &Field| {
        let kind = if matches!(field.value, Holds::Object) { "object" } else { "string" };
        let kind = if field.required { json!(kind) } else { json!([kind, "null"]) };
        (field.name.to_owned(), json!({ "type": kind, "description": field.text }))
    };
    let properties: Map<_, _> = fields.iter().map(property).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}

/// Returns the schema of a type with every property required: a null property is sent as null.
fn complete(schema: &RefOr<Schema>) -> Value {
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    require_all(&mut schema);
    schema
}

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

/// Returns the schema of a request body. With `may_be_empty`, a missing body counts as one without fields.
pub fn body(description: &Description, may_be_empty: bool) -> Value {
    let takes = description.takes;
    let mut schema = object(takes, description.rules);
    if let (true, Value::Object(schema)) = (description.is_closed, &mut schema) {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    let required = !may_be_empty || takes.iter().any(|field| field.required);
    json!({ "required": required,
        "content": { "application/json": { "schema": schema, "example": examples(takes) } } })
}

pub fn object(fields: &[Field], rules: Option<fn() -> Value>) -> Value {
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), described(field))).collect();
    let mut object = json!({ "type": "object", "required": required, "properties": properties });
    if let (Some(rules), Value::Object(object)) = (rules, &mut object) {
        object.insert("allOf".to_owned(), rules());
    }
    object
}

fn examples(fields: &[Field]) -> Value {
    let shown = fields.iter().filter(|field| {
        field.is_shown && (field.required || !matches!(field.value, Holds::Fields(..) | Holds::Nothing))
    });
    shown.map(|field| (field.name.to_owned(), example(field))).collect::<Map<_, _>>().into()
}

/// Returns the schema of a field of a body. An optional field may also be null, and an optional text blank.
fn described(field: &Field) -> Value {
    let mut schema = match (field.required, field.value) {
        (false, Holds::Text(_, form)) => optional_text(form),
        (false, Holds::Code(_, list)) => json!({
            "type": ["string", "null"],
            "anyOf": [reference("schemas", list), { "type": ["string", "null"], "pattern": BLANK }],
        }),
        (false, Holds::LooseChoice(options, also)) => loose_choice(options, also, Some(BLANK)),
        _ => schema(field),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(field.text));
        if let (false, Some(Value::String(kind))) = (field.required, schema.get("type").cloned())
            && kind != "null"
        {
            schema.insert("type".to_owned(), json!([kind, "null"]));
        }
        if let (false, Some(Value::Array(kinds))) = (field.required, schema.get_mut("type"))
            && !kinds.contains(&json!("null"))
        {
            kinds.push(json!("null"));
        }
        if let (false, Some(Value::Array(options))) = (field.required, schema.get_mut("enum")) {
            options.push(Value::Null);
        }
        if !matches!(field.value, Holds::Object | Holds::Nothing | Holds::Fields(..)) {
            schema.insert("examples".to_owned(), json!([example(field)]));
        }
    }
    schema
}

/// Pattern of a text that counts as left out.
const BLANK: &str = r"^\s*$";

fn optional_text(form: Form) -> Value {
    let mut schema = json!({ "type": ["string", "null"] });
    let Value::Object(fields) = &mut schema else { return schema };
    if form.max < usize::MAX {
        fields.insert("maxLength".to_owned(), json!(form.max));
    }
    if form.format.is_empty() {
        if !form.pattern.is_empty() {
            fields.insert("pattern".to_owned(), json!(format!("{BLANK}|{}", form.pattern)));
        }
    } else {
        let given = json!({ "format": form.format, "pattern": form.pattern });
        fields.insert("anyOf".to_owned(), json!([given, { "pattern": BLANK }]));
    }
    schema
}

pub fn formed(form: Form) -> Value {
    let mut schema = json!({ "type": "string" });
    let Value::Object(fields) = &mut schema else { return schema };
    if form.min > 0 {
        fields.insert("minLength".to_owned(), json!(form.min));
    }
    if form.max < usize::MAX {
        fields.insert("maxLength".to_owned(), json!(form.max));
    }
    for (name, value) in [("pattern", form.pattern), ("format", form.format)] {
        if !value.is_empty() {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    schema
}

/// Returns the schema of a choice that ignores case and spaces.
pub fn loose_choice(options: &[&str], also: &[&str], or: Option<&str>) -> Value {
    let pattern = forms::in_any_case(options.iter().chain(also).copied(), r"\s*");
    let pattern = or.map_or_else(|| pattern.clone(), |or| format!("{or}|{pattern}"));
    json!({ "type": "string", "maxLength": MAX_CHOICE, "anyOf": [{ "enum": options }, { "pattern": pattern }] })
}

pub fn schema(field: &Field) -> Value {
    match field.value {
        Holds::Text(_, form) => formed(form),
        Holds::Id(_) => json!({ "type": "string", "format": "uuid" }),
        Holds::Amount(_, amounts) => {
            let number = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            json!({
                "type": ["string", "number"],
                "maxLength": 64,
                "pattern": amounts.pattern,
                "exclusiveMinimum": 0,
                "maximum": number(amounts.max),
                "multipleOf": number(amounts.step),
            })
        }
        Holds::Flag(_) => json!({ "type": ["boolean", "string"], "enum": [true, false, "true", "false"] }),
        Holds::Object => json!({ "type": "object" }),
        Holds::Nothing => json!({ "type": "null" }),
        Holds::Numbers(names, examples) => {
            let number = || json!({ "type": "integer", "minimum": 1, "maximum": examples.len() });
            let properties: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), number())).collect();
            let first = names.first().copied().unwrap_or_default();
            let named = |number| {
                json!({ "contains": { "required": [first],
                "properties": { first: { "const": number } } } })
            };
            json!({
                "type": "array",
                "minItems": examples.len(),
                "maxItems": examples.len(),
                "items": { "type": "object", "required": names, "properties": properties },
                "allOf": (1..=examples.len()).map(named).collect::<Vec<_>>(),
            })
        }
        Holds::Fields(fields, rules) => object(fields, Some(rules)),
        Holds::Choice(options) => json!({ "type": "string", "enum": options }),
        Holds::LooseChoice(options, also) => loose_choice(options, also, None),
        Holds::Code(_, list) => json!({ "type": "string", "allOf": [reference("schemas", list)] }),
    }
}

fn example(field: &Field) -> Value {
    match field.value {
        Holds::Text(text, _) | Holds::Id(text) | Holds::Amount(text, _) | Holds::Code(text, _) => json!(text),
        Holds::Flag(flag) => json!(flag),
        Holds::Object => json!({}),
        Holds::Nothing => Value::Null,
        Holds::Numbers(names, examples) => {
            let one = |numbers: &&[i32]| -> Map<String, Value> {
                names.iter().zip(*numbers).map(|(name, number)| ((*name).to_owned(), json!(number))).collect()
            };
            examples.iter().map(one).map(Value::Object).collect()
        }
        Holds::Fields(fields, _) => examples(fields),
        Holds::Choice(options) | Holds::LooseChoice(options, _) => json!(options.first()),
    }
}
