//! Documentation of the REST APIs: `/openapi.json`, and a page at `/docs` that needs no scripts or external
//! files.

use super::playground::escape_html as safe;
use crate::{rest::core::openapi, wire::BaseUrl};
use axum::{
    Extension, Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

const STYLE: &str = include_str!("docs/style.css");
const CACHE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));

/// Placeholder in the page for the base URL of the server, which depends on the request.
const BASE_URL: &str = "{BASE_URL}";
/// Section that explains how to set the variables of the examples.
const EXAMPLES: &str = include_str!("docs/examples.html");

/// Variables in the paths of the examples: prefix of the path, and name of the variable for its parameter.
const PATH_VARIABLES: [(&str, &str); 11] = [
    ("/v1/users/", "USER_ID"),
    ("/v1/kyc/", "KYC_TOKEN"),
    ("/v1/accounts/", "ACCOUNT_ID"),
    ("/v1/bank_accounts/", "BANK_ACCOUNT_ID"),
    ("/v1/deposits/", "DEPOSIT_ID"),
    ("/v1/orders/", "ORDER_ID"),
    ("/v1/withdrawals/", "WITHDRAWAL_ID"),
    ("/v1/statements/", "STATEMENT_ID"),
    ("/account/v1/users/", "SESSION_USER_ID"),
    ("/account/v1/invitation/", "INVITATION_ID"),
    ("/two_factor_authentication/", "SESSION_USER_ID"),
];

/// Variables in the bodies of the examples: field, and name of the variable for its value.
const BODY_VARIABLES: [(&str, &str); 6] = [
    ("account_id", "ACCOUNT_ID"),
    ("bank_account_id", "BANK_ACCOUNT_ID"),
    ("refresh", "REFRESH"),
    ("hash_code", "HASH_CODE"),
    ("passcode", "PASSCODE"),
    ("token", "RECOVERY_TOKEN"),
];

/// Methods in the order in which the page shows them.
const METHODS: [&str; 5] = ["post", "get", "put", "patch", "delete"];

/// Returns the routes, which need no credentials. The page links to the playground if `playground` is true.
pub fn routes<S: Clone + Send + Sync + 'static>(playground: bool) -> Router<S> {
    let html = Arc::new(LazyLock::new(move || page(openapi::document(), playground)));
    let json = HeaderValue::from_static("application/json");
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    Router::new()
        .route(
            "/openapi.json",
            get(move || async move { ([(header::CONTENT_TYPE, json), CACHE], openapi::text()) }),
        )
        .route("/docs", get(move |base_url| async move { shown(&html, &base_url) }))
        .route("/docs/style.css", get(move || async move { ([(header::CONTENT_TYPE, css), CACHE], STYLE) }))
}

fn shown(page: &str, Extension(base_url): &Extension<BaseUrl>) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action \
        'none'; frame-ancestors 'none'";
    (
        [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)), CACHE],
        Html(page.replace(BASE_URL, &safe(&base_url.to_string()))),
    )
        .into_response()
}

/// Returns the value at a path of keys, or null.
fn at<'a>(value: &'a Value, steps: &[&str]) -> &'a Value {
    steps.iter().try_fold(value, |value, step| value.get(step)).unwrap_or(&Value::Null)
}

/// Returns the items of an array, or an empty slice for any other value.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    safe(value.as_str().unwrap_or_default())
}

/// Converts text to HTML, with code between backticks.
fn prose(value: &Value) -> String {
    let mut shown = String::new();
    for (turn, part) in text(value).split('`').enumerate() {
        let (before, after) = if turn % 2 == 1 { ("<code>", "</code>") } else { ("", "") };
        shown.extend([before, part, after]);
    }
    shown
}

/// Follows the `$ref` of a value, if it has one.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = at(value, &["$ref"])
        .as_str()
        .and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
}

/// Operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    fn id(&self) -> String {
        text(at(self.value, &["operationId"]))
    }

    fn link(&self) -> String {
        format!(
            "<li><a href=\"#{}\"><b>{}</b> {}</a></li>\n",
            self.id(),
            self.method.to_uppercase(),
            safe(self.path)
        )
    }
}

/// Returns the operations of a tag, by method and path.
fn operations_of<'a>(document: &'a Value, area: &Value) -> Vec<Operation<'a>> {
    let mut found: Vec<Operation<'a>> = entries(at(document, &["paths"]))
        .flat_map(|(path, item)| entries(item).map(move |(method, value)| Operation { path, method, value }))
        .filter(|operation| items(at(operation.value, &["tags"])).contains(at(area, &["name"])))
        .collect();
    found.sort_by_key(|operation| {
        (METHODS.iter().position(|method| *method == operation.method), operation.path)
    });
    found
}

fn page(document: &Value, playground: bool) -> String {
    let (mut contents, mut areas) = (String::new(), String::new());
    for area in items(at(document, &["tags"])) {
        let (name, title) = (text(at(area, &["name"])), text(at(area, &["x-displayName"])));
        let operations = operations_of(document, area);
        let links: String = operations.iter().map(Operation::link).collect();
        let sections: String = operations.iter().map(|operation| section(document, operation)).collect();
        contents += &format!("<h2><a href=\"#area_{name}\">{title}</a></h2>\n<ul>\n{links}</ul>\n");
        areas += &format!(
            "<h2 id=\"area_{name}\">{title}</h2>\n<p>{}</p>\n{sections}",
            prose(at(area, &["description"]))
        );
    }
    let schemes: String = entries(at(document, &["components", "securitySchemes"]))
        .map(|(name, scheme)| {
            format!(
                "<tr><th><code>{}</code></th><td>{}</td></tr>\n",
                safe(name),
                prose(at(scheme, &["description"]))
            )
        })
        .collect();
    let playground =
        if playground { "<li><a href=\"/playground\">GraphQL playground</a></li>\n" } else { "" };
    let title = text(at(document, &["info", "title"]));
    format!(
        r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<nav>
<ul>
{playground}<li><a href="/openapi.json">openapi.json</a></li>
<li><a href="#examples">Run the examples</a></li>
<li><a href="#credentials">Credentials</a></li>
</ul>
{contents}</nav>
<main>
<h1>{title} REST API</h1>
<p>{about}</p>
<p>Version {version}. OpenAPI document: <a href="/openapi.json">openapi.json</a>.</p>
{EXAMPLES}<h2 id="credentials">Credentials</h2>
<p>Send exactly one of these credentials with each request:</p>
<table>
{schemes}</table>
{areas}</main>
</body>
</html>
"##,
        about = prose(at(document, &["info", "description"])),
        version = text(at(document, &["info", "version"])),
    )
}

fn section(document: &Value, one: &Operation) -> String {
    let operation = one.value;
    let parameters: String = items(at(operation, &["parameters"]))
        .iter()
        .map(|one| resolved(document, one))
        .map(|one| {
            row(
                document,
                &format!(
                    "{} ({})",
                    at(one, &["name"]).as_str().unwrap_or_default(),
                    at(one, &["in"]).as_str().unwrap_or_default()
                ),
                one,
                at(one, &["schema"]),
                at(one, &["required"]) == true,
            )
        })
        .collect();
    let body = at(operation, &["requestBody", "content", "application/json"]);
    let answers: String = entries(at(operation, &["responses"]))
        .map(|(status, answer)| response(document, status, resolved(document, answer)))
        .collect();
    format!(
        "<section id=\"{id}\">\n<h3><code><b>{METHOD}</b> \
            {path}</code></h3>\n<p>{summary}</p>\n{parameters}{body}<h4>Example</h4>\n\
            <pre>{example}</pre>\n<h4>Responses</h4>\n{answers}</section>\n",
        id = one.id(),
        METHOD = one.method.to_uppercase(),
        path = safe(one.path),
        summary = prose(at(operation, &["summary"])),
        parameters = table("Parameters", &parameters),
        body = table("Body", &fields(document, at(body, &["schema"]))),
        example = safe(&curl(one, at(body, &["example"]))),
    )
}

fn table(title: &str, rows: &str) -> String {
    if rows.is_empty() { String::new() } else { format!("<h4>{title}</h4>\n<table>\n{rows}</table>\n") }
}

/// Returns a table row for each field of an object, including fields from `allOf` and `oneOf`.
fn fields(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    let parts = ["allOf", "oneOf"].iter().flat_map(|parts| items(at(schema, &[*parts])));
    let inherited: String = parts.map(|part| fields(document, part)).collect();
    let required = |name: &String| items(at(schema, &["required"])).iter().any(|one| one == name.as_str());
    let own = entries(at(schema, &["properties"]))
        .map(|(name, field)| row(document, name, field, field, required(name)));
    inherited + &own.collect::<String>()
}

fn row(document: &Value, name: &str, field: &Value, schema: &Value, required: bool) -> String {
    let within = if at(schema, &["items"]).is_null() {
        resolved(document, schema)
    } else {
        resolved(document, at(schema, &["items"]))
    };
    let inner = fields(document, within);
    let inner = if inner.is_empty() { inner } else { format!("<table>\n{inner}</table>\n") };
    let options: Vec<String> =
        items(at(schema, &["enum"])).iter().map(|option| format!("<code>{}</code>", text(option))).collect();
    let options = if options.is_empty() { String::new() } else { format!(" {}", options.join(", ")) };
    let required = if required { "" } else { " <i>optional</i>" };
    let (name, kind) = (safe(name), safe(&kind(document, schema)));
    format!(
        "<tr><th><code>{name}</code>{required}</th><td><small>{kind}</small> {}{options}{inner}</td></tr>\n",
        prose(at(field, &["description"]))
    )
}

fn kind(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    match at(schema, &["type"]) {
        Value::String(one) if one == "array" => format!("list of {}", kind(document, at(schema, &["items"]))),
        Value::String(one) => one.clone(),
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "object".to_owned(),
    }
}

fn response(document: &Value, status: &str, response: &Value) -> String {
    let body = fields(document, at(response, &["content", "application/json", "schema"]));
    let table = if body.is_empty() { String::new() } else { format!("<table>\n{body}</table>\n") };
    let open = if matches!(status, "200" | "201") { " open" } else { "" };
    format!(
        "<details{open}><summary><b>{}</b> {}</summary>\n{table}</details>\n",
        safe(status),
        prose(at(response, &["description"]))
    )
}

/// Returns the request as a curl command, with shell variables for values from earlier responses.
fn curl(one: &Operation, example: &Value) -> String {
    let method =
        if one.method == "get" { String::new() } else { format!(" -X {}", one.method.to_uppercase()) };
    let body = if example.is_null() {
        String::new()
    } else {
        format!(
            " \\\n  -H 'Content-Type: application/json' -d '{}'",
            shell_body(runnable(one, example.clone()))
        )
    };
    let credential = match at(one.value, &["security"]) {
        Value::Null => " -u \"$KEY:\"",
        security if items(security).iter().any(|scheme| scheme.get("session").is_some()) => {
            " -H \"Authorization: Bearer $ACCESS\""
        }
        _ => "",
    };
    format!("curl{credential}{method} \"$URL{}\"{body}", shell_path(one.path))
}

fn shell_path(path: &str) -> String {
    let variable = PATH_VARIABLES
        .iter()
        .find(|(begin, _)| path.starts_with(begin))
        .map_or("ID", |(_, variable)| *variable);
    path.split('/')
        .map(|step| if step.starts_with('{') { format!("${variable}") } else { step.to_owned() })
        .collect::<Vec<_>>()
        .join("/")
}

/// Returns an example that works as sent. The documented example shows every field, but some fields cannot be
/// combined.
fn runnable(one: &Operation, mut example: Value) -> Value {
    if let Value::Object(fields) = &mut example {
        match (one.method, one.path) {
            // In a sandbox this last name leads to questions.
            ("post", "/v1/kyc") => _ = fields.insert("last_name".to_owned(), json!("Question")),
            ("patch", "/v1/kyc/{token}") => fields.retain(|name, _| name == "answers"),
            // An invitation is only valid for its e-mail address.
            ("post", "/account/v1/users") => fields.retain(|name, _| name != "invitation_id"),
            _ => {}
        }
    }
    example
}

/// Formats the body for single quotes in a shell. Variables are put in double quotes.
fn shell_body(mut body: Value) -> String {
    let marked = |variable: &str| format!("\u{0}{variable}\u{0}");
    if let Value::Object(fields) = &mut body {
        for (name, variable) in BODY_VARIABLES {
            if let Some(field) = fields.get_mut(name) {
                *field = json!(marked(variable));
            }
        }
    }
    let mut text = format!("{body:#}").replace('\'', r"'\''");
    for (_, variable) in BODY_VARIABLES {
        let written = json!(marked(variable)).to_string();
        text = text.replace(written.trim_matches('"'), &format!("'\"${variable}\"'"));
    }
    text
}
