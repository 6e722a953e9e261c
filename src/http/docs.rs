//! The documentation of the REST door: `/openapi.json`, and the same as one page that needs no script and nothing from elsewhere.

use super::playground::escape_html as safe;
use crate::rest::openapi;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value};

const STYLE: &str = include_str!("docs/style.css");
const CACHE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));

/// Serves both to anyone.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let (text, page) = (openapi::text(), page(&openapi::document()));
    let json = HeaderValue::from_static("application/json");
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, json), CACHE], text) }))
        .route("/docs", get(move || async move { shown(page) }))
        .route("/docs/style.css", get(move || async move { ([(header::CONTENT_TYPE, css), CACHE], STYLE) }))
}

fn shown(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)), CACHE], Html(page)).into_response()
}

/// What lies deep in a value; null where nothing does.
fn at<'a>(value: &'a Value, steps: &[&str]) -> &'a Value {
    steps.iter().try_fold(value, |value, step| value.get(step)).unwrap_or(&Value::Null)
}

/// The items of an array, none for anything else.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    safe(value.as_str().unwrap_or_default())
}

/// What a value stands for: itself, or what it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = at(value, &["$ref"]).as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
}

fn page(document: &Value) -> String {
    let operations =
        || entries(at(document, &["paths"])).flat_map(|(path, item)| entries(item).map(move |(method, one)| (path, method, one)));
    let contents: String = operations()
        .map(|(path, method, one)| {
            let method = method.to_uppercase();
            format!("<li><a href=\"#{}\"><b>{method}</b> {}</a></li>\n", text(at(one, &["operationId"])), safe(path))
        })
        .collect();
    let sections: String = operations().map(|(path, method, one)| section(document, path, method, one)).collect();
    let schemes: String = entries(at(document, &["components", "securitySchemes"]))
        .map(|(name, scheme)| format!("<tr><th><code>{}</code></th><td>{}</td></tr>\n", safe(name), text(at(scheme, &["description"]))))
        .collect();
    let title = text(at(document, &["info", "title"]));
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<nav><ul>
{contents}</ul></nav>
<main>
<h1>{title} REST API</h1>
<p>{about}</p>
<p>Version {version}. The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<h2>How to send a key</h2>
<p>One of these with every request, and never two:</p>
<table>
{schemes}</table>
{sections}</main>
</body>
</html>
"#,
        about = text(at(document, &["info", "description"])),
        version = text(at(document, &["info", "version"])),
    )
}

fn section(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let parameters: String = items(at(operation, &["parameters"]))
        .iter()
        .map(|one| resolved(document, one))
        .map(|one| {
            row(
                document,
                &format!("{} ({})", at(one, &["name"]).as_str().unwrap_or_default(), at(one, &["in"]).as_str().unwrap_or_default()),
                one,
                at(one, &["schema"]),
                at(one, &["required"]) == true,
            )
        })
        .collect();
    let body = at(operation, &["requestBody", "content", "application/json"]);
    let answers: String =
        entries(at(operation, &["responses"])).map(|(status, answer)| response(document, status, resolved(document, answer))).collect();
    format!(
        "<section id=\"{id}\">\n<h2><code><b>{METHOD}</b> {path}</code></h2>\n<p>{summary}</p>\n{parameters}{body}<h3>Example</h3>\n<pre>{example}</pre>\n<h3>Answers</h3>\n{answers}</section>\n",
        id = text(at(operation, &["operationId"])),
        METHOD = method.to_uppercase(),
        path = safe(path),
        summary = text(at(operation, &["summary"])),
        parameters = table("Parameters", &parameters),
        body = table("Body", &fields(document, at(body, &["schema"]))),
        example = safe(&curl(path, method, at(operation, &["security"]), at(body, &["example"]))),
    )
}

fn table(title: &str, rows: &str) -> String {
    if rows.is_empty() { String::new() } else { format!("<h3>{title}</h3>\n<table>\n{rows}</table>\n") }
}

/// A row for each field of an object, of what it is made of, and of what lies within.
fn fields(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    let parts = ["allOf", "oneOf"].into_iter().flat_map(|kind| items(at(schema, &[kind])));
    let made_of: String = parts.map(|part| fields(document, part)).collect();
    let required = |name: &String| items(at(schema, &["required"])).iter().any(|one| one == name.as_str());
    let own = entries(at(schema, &["properties"])).map(|(name, field)| row(document, name, field, field, required(name)));
    made_of + &own.collect::<String>()
}

fn row(document: &Value, name: &str, field: &Value, schema: &Value, required: bool) -> String {
    let within = if at(schema, &["items"]).is_null() { resolved(document, schema) } else { resolved(document, at(schema, &["items"])) };
    let inner = fields(document, within);
    let inner = if inner.is_empty() { inner } else { format!("<table>\n{inner}</table>\n") };
    let options: Vec<String> = items(at(schema, &["enum"])).iter().map(|option| format!("<code>{}</code>", text(option))).collect();
    let options = if options.is_empty() { String::new() } else { format!(" {}", options.join(", ")) };
    let required = if required { "" } else { " <i>optional</i>" };
    let (name, kind) = (safe(name), safe(&kind(document, schema)));
    format!(
        "<tr><th><code>{name}</code>{required}</th><td><small>{kind}</small> {}{options}{inner}</td></tr>\n",
        text(at(field, &["description"]))
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
    let open = if status == "200" { " open" } else { "" };
    format!("<details{open}><summary><b>{}</b> {}</summary>\n{table}</details>\n", safe(status), text(at(response, &["description"])))
}

fn curl(path: &str, method: &str, security: &Value, example: &Value) -> String {
    let method = method.to_uppercase();
    let asked = if method == "GET" { String::new() } else { format!(" -X {method}") };
    let body = if example.is_null() { String::new() } else { format!(" \\\n  -H 'Content-Type: application/json' -d '{example:#}'") };
    let first = at(security, &["0"]);
    let credential = match (security.is_null(), first) {
        (true, _) => " -u \"$KEY:\"",
        (false, first) if first.get("session").is_some() => " -H \"Authorization: Bearer $ACCESS\"",
        _ => "",
    };
    format!("curl{credential}{asked} \"$URL{path}\"{body}")
}
