//! The documentation of this door, made from its routes and what is said beside them.

use super::{
    bodies::MAX_ANSWER,
    described::{Answer, Description, Field, Value as Holds},
    forms::{self, Form},
    routes::Route,
};
use crate::rest::{
    brokerage::ROUTES,
    wellness::{OPEN, ROUTES as WELLNESS, is_wellness},
};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

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

/// Areas of both APIs: the tag, its title and its description.
const AREAS: [(&str, &str, &str); 8] = [
    ("users", "Users", "Customers of a partner. Their identity is checked when they are registered."),
    (
        "kyc",
        "Identity checks",
        "Identity checks, their questions and their documents. In a sandbox the last name decides the \
            outcome: `Question` is asked \
            questions, `Review` is asked for documents, `Denied` is denied, and any other name is approved.",
    ),
    ("accounts", "Accounts", "Brokerage accounts of approved users."),
    ("bank_accounts", "Bank accounts", "External bank accounts of approved users, which deposits come from."),
    (
        "deposits",
        "Deposits",
        "ACH deposits into brokerage accounts. A deposit settles on the next banking day at 08:30 New York time.",
    ),
    ("orders", "Orders", "Orders to buy and sell securities. A buy order needs settled cash."),
    (
        "account",
        "Wellness API: users and sessions",
        "Users who sign in themselves: sign-up, sign-in, profiles, invitations and password recovery.",
    ),
    (
        "two_factor_authentication",
        "Wellness API: two-factor authentication",
        "Passcodes by text message. Until one is verified, a session may not do anything else.",
    ),
];

fn security(schemes: &[Scheme]) -> Vec<Value> {
    schemes.iter().map(|(name, _)| json!({ *name: [] })).collect()
}

type Scheme = (&'static str, fn() -> Value);

/// The four ways to send a key, one at a time.
const SCHEMES: [Scheme; 4] = [
    ("basic", || {
        json!({ "type": "http", "scheme": "basic",
            "description": "The key as user name; a password is not read." })
    }),
    (
        "bearer",
        || json!({ "type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`." }),
    ),
    (
        "authorization",
        || json!({ "type": "apiKey", "in": "header", "name": "Authorization", "description": "The key alone." }),
    ),
    ("bearerHeader", || {
        json!({ "type": "apiKey", "in": "header", "name": "Bearer",
            "description": "A header of its own: `Bearer: <key>`." })
    }),
];

/// How a person who has signed in proves it.
const SESSION: Scheme = ("session", || {
    json!({ "type": "http", "scheme": "bearer",
        "description": "The access token of somebody who has signed in." })
});

fn own_schemas() -> Map<String, Value> {
    let link = |text: &str| json!({ "type": ["string", "null"], "description": text });
    let error = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "What kind of error it is.", "enum": [
                "api_connection", "api_error", "authentication_error", "invalid_request", "not_found",
                "validation_error",
            ] },
            "message": { "type": "string", "description": "A sentence for a person, naming the field at fault." },
        },
    });
    let limited = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "What kind of error it is.", "enum": ["rate_limit_exceeded"] },
            "message": { "type": "string", "description": "A sentence for a person." },
        },
    });
    let pagination = json!({
        "type": "object",
        "description": "Where a page stands in its list; a list's own parameters come back here too.",
        "required": ["limit", "order", "starting_after", "ending_before", "next_page", "next_uri",
            "previous_page", "previous_uri"],
        "properties": {
            "limit": { "type": "integer", "description": "The most items on this page." },
            "order": { "type": "string", "description": "Newest first or oldest first.", "enum": ["desc", "asc"] },
            "starting_after": link("The cursor that this page begins after."),
            "ending_before": link("The cursor that this page ends before."),
            "next_page": link("Path and query of the next page; null when there is none."),
            "next_uri": link("The same with the origin."),
            "previous_page": link("Path and query of the page before; null when there is none."),
            "previous_uri": link("The same with the origin."),
        },
    });
    let trouble = json!({
        "type": "object",
        "required": ["detail", "code"],
        "properties": {
            "detail": { "type": "string", "description": "A sentence for a person." },
            "code": { "type": "string", "description": "A stable reason, such as `not-found`." },
        },
    });
    let wrapped =
        |inner: Value| json!({ "type": "object", "required": ["error"], "properties": { "error": inner } });
    let codes = forms::CODES.map(|(name, text, codes)| {
        let codes = codes();
        let pattern = forms::in_any_case(codes.iter().copied(), "");
        (name, json!({ "type": "string", "description": text, "anyOf": [{ "enum": codes }, { "pattern": pattern }] }))
    });
    [
        ("Error", wrapped(error)),
        ("RateLimited", wrapped(json!({ "type": "array", "items": limited }))),
        ("Pagination", pagination),
        ("WellnessError", trouble),
    ]
    .into_iter()
    .chain(codes)
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

/// Refusals and faults: the status, its name here, and when it is answered.
const PROBLEMS: [(&str, &str, &str); 10] = [
    ("400", "BadRequest", "A field is missing or malformed."),
    ("401", "Unauthorized", "No valid key, or one that may not do this."),
    ("402", "Refused", "The request is well-formed, and the state of things refuses it."),
    ("404", "NotFound", "An id names nothing that you can see."),
    ("408", "RequestTimeout", "The body was not received in time."),
    (
        "409",
        "IdempotencyConflict",
        "The idempotency key stands for another request, or the first one has not finished.",
    ),
    ("415", "UnsupportedMediaType", "The content type of the body is not `application/json`."),
    ("429", "TooManyRequests", "Too many requests in this hour; the body holds a list."),
    ("500", "Fault", "Something went wrong on our side."),
    ("503", "Unavailable", "Something that this needs cannot be had right now."),
];

fn responses() -> Map<String, Value> {
    let problem = |(status, name, text): (&str, &str, &str), schema: &str| {
        let mut response = json!({
            "description": text,
            "content": { "application/json": { "schema": reference("schemas", schema) } },
        });
        if let (Value::Object(response), "409" | "429" | "503") = (&mut response, status) {
            response
                .insert("headers".to_owned(), json!({ "Retry-After": reference("headers", "RetryAfter") }));
        }
        (name.to_owned(), response)
    };
    let brokerage = PROBLEMS.map(|one| problem(one, if one.0 == "429" { "RateLimited" } else { "Error" }));
    brokerage.into_iter().chain(TROUBLES.map(|one| problem(one, "WellnessError"))).collect()
}

/// The same of the wellness API.
const TROUBLES: [(&str, &str, &str); 10] = [
    ("401", "NotSignedIn", "Nobody has signed in, or the sign-in is worth nothing."),
    ("403", "NotAllowed", "The session has not passed its second factor, or may not do this."),
    ("404", "NothingNamed", "An id names nothing that you can see."),
    ("408", "TooSlow", "The body was not received in time."),
    ("409", "TakenAlready", "Somebody else has it already."),
    ("415", "NotJson", "The content type of the body is not `application/json`."),
    ("422", "TroubledRequest", "Something is missing, malformed, or refused by the state of things."),
    ("429", "TooOften", "Too many requests in this hour."),
    ("500", "WellnessError", "Something went wrong on our side."),
    ("503", "NotNow", "Something that this needs cannot be had right now."),
];

fn headers() -> Value {
    json!({
        "RetryAfter": { "description": "After how many seconds it may be tried again.",
            "schema": { "type": "integer" } },
        "IdempotentReplayed": { "description": "`true` when this repeats an earlier answer.",
            "schema": { "type": "string" } },
    })
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Made by the client, 1 to 255 visible characters; the same request under the \
                same key answers the same and happens once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
        "Limit": {
            "name": "limit", "in": "query", "required": false, "description": "The most items on the page.",
            "schema": { "type": "integer", "minimum": 0, "maximum": 100, "default": 25 },
        },
        "Order": {
            "name": "order", "in": "query", "required": false, "description": "Newest first or oldest first.",
            "schema": { "type": "string", "enum": ["desc", "asc"], "default": "desc" },
        },
        "StartingAfter": {
            "name": "starting_after", "in": "query", "required": false,
            "description": "Only what follows the item with this id.",
            "schema": { "type": "string" },
        },
        "EndingBefore": {
            "name": "ending_before", "in": "query", "required": false,
            "description": "Only what stands ahead of the item with this id; not together with `starting_after`.",
            "schema": { "type": "string" },
        },
    })
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

/// A reference to the type of an answer, which is kept with all that it is made of.
fn typed(answer: Answer, schemas: &mut Map<String, Value>) -> Value {
    let name = (answer.name)().into_owned();
    let mut types = vec![(name.clone(), (answer.schema)())];
    (answer.parts)(&mut types);
    for (name, schema) in types {
        schemas.insert(name, written(&schema));
    }
    reference("schemas", &name)
}

/// An answer described field by field; what may be left out of a body may be null in an answer.
fn told(tells: &[Field]) -> Value {
    let names: Vec<&str> = tells.iter().map(|field| field.name).collect();
    let property = |field: &Field| {
        let kind = if matches!(field.value, Holds::Object) { "object" } else { "string" };
        let kind = if field.required { json!(kind) } else { json!([kind, "null"]) };
        (field.name.to_owned(), json!({ "type": kind, "description": field.text }))
    };
    json!({ "type": "object", "required": names, "properties": tells.iter().map(property).collect::<Map<_, _>>() })
}

/// A type's schema; what can be null is there all the same.
fn written(schema: &RefOr<Schema>) -> Value {
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

/// `may_be_empty`: whether no body counts as one without fields.
fn body(description: &Description, may_be_empty: bool) -> Value {
    let takes = description.takes;
    let mut schema = object(takes, description.rules);
    if let (true, Value::Object(schema)) = (description.is_closed, &mut schema) {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    let required = !may_be_empty || takes.iter().any(|field| field.required);
    json!({ "required": required,
        "content": { "application/json": { "schema": schema, "example": examples(takes) } } })
}

fn object(fields: &[Field], rules: Option<fn() -> Value>) -> Value {
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

/// A field of a body. What may be left out may be null as well, and a text may be blank.
fn described(field: &Field) -> Value {
    let mut schema = match (field.required, field.value) {
        (false, Holds::Text(_, form)) => optional_text(form),
        (false, Holds::Code(_, list)) => json!({
            "type": ["string", "null"],
            "anyOf": [reference("schemas", list), { "type": ["string", "null"], "pattern": BLANK }],
        }),
        (false, Holds::Answer(options, also)) => answer(options, also, Some(BLANK)),
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

/// What counts as left out.
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

fn formed(form: Form) -> Value {
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

/// One of some words in any case and spacing.
fn answer(options: &[&str], also: &[&str], or: Option<&str>) -> Value {
    let pattern = forms::in_any_case(options.iter().chain(also).copied(), r"\s*");
    let pattern = or.map_or_else(|| pattern.clone(), |or| format!("{or}|{pattern}"));
    json!({ "type": "string", "maxLength": MAX_ANSWER, "anyOf": [{ "enum": options }, { "pattern": pattern }] })
}

fn schema(field: &Field) -> Value {
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
                "maximum": number(amounts.most),
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
        Holds::Answer(options, also) => answer(options, also, None),
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
        Holds::Choice(options) | Holds::Answer(options, _) => json!(options.first()),
    }
}
