//! Checks that the documentation of the REST APIs is complete, correct and public.

use crate::{
    compliance::kyc_documents::applicant,
    support::{Options, TestApp, process::Process, send},
    visibility::statement_of,
};
use coffer::{
    rest::{OPEN, ROUTES, Route, WELLNESS, core::openapi, is_wellness},
    server::HttpSettings,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} does not exist")),
        None => value,
    }
}

/// Returns the names of an object's fields.
fn names(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolve(document, schema);
    let own = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned());
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| names(document, part));
    // Of alternative responses, the first is the final one.
    let first =
        schema["oneOf"].as_array().into_iter().flatten().take(1).flat_map(|part| names(document, part));
    own.chain(parts).chain(first).collect()
}

/// Returns the documented status and schema of a successful response.
fn success(operation: &Value) -> (u16, &Value) {
    let created = &operation["responses"]["201"];
    let (status, answer) =
        if created.is_object() { (201, created) } else { (200, &operation["responses"]["200"]) };
    (status, &answer["content"]["application/json"]["schema"])
}

/// Returns every route of both APIs.
fn all_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten())
}

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method.to_lowercase()]
}

/// Returns the areas of the page with the routes in each.
fn areas() -> [(&'static str, Vec<&'static Route>); 10] {
    let [users, kyc, documents, accounts, bank_accounts, deposits, orders, withdrawals, statements] = ROUTES;
    let [sessions, passcodes] = WELLNESS;
    [
        ("Users", users.iter().collect()),
        ("Identity checks", kyc.iter().chain(documents).collect()),
        ("Accounts", accounts.iter().collect()),
        ("Bank accounts", bank_accounts.iter().collect()),
        ("Deposits", deposits.iter().collect()),
        ("Orders", orders.iter().collect()),
        ("Withdrawals", withdrawals.iter().collect()),
        ("Statements", statements.iter().collect()),
        ("Wellness API: users and sessions", sessions.iter().collect()),
        ("Wellness API: two-factor authentication", passcodes.iter().collect()),
    ]
}

/// Returns the routes of the brokerage API in an order in which their examples succeed: each object is created
/// before it is read, and deleted at the end.
fn steps() -> Vec<&'static Route> {
    let (mut steps, mut last): (Vec<_>, Vec<_>) =
        ROUTES.into_iter().flatten().partition(|route| route.method != "DELETE");
    last.reverse();
    steps.append(&mut last);
    steps
}

/// Returns what a response has the id of, by the path: the noun at its end.
fn noun(path: &str) -> &str {
    match path.split('/').rfind(|part| !part.starts_with('{')) {
        Some("users") => "user",
        Some("kyc") => "token",
        Some("documents") => "document",
        Some("accounts") => "account_id",
        Some("bank_accounts") => "bank_account_id",
        Some("deposits") => "deposit",
        Some("withdrawal" | "withdrawals") => "withdrawal",
        Some("orders") => "order",
        Some("statements") => "statement",
        other => panic!("name what {other:?} is, as request bodies do"),
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn exactly_the_served_routes_are_documented() {
    let document = openapi::document();
    let served: BTreeSet<(String, String)> =
        all_routes().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        documented
            .extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    assert_eq!(documented, served, "document the new route with `.described(…)`");

    let mut ids = BTreeSet::new();
    for (method, path) in &documented {
        let one = operation(document, method, path);
        assert!(ids.insert(one["operationId"].as_str().unwrap().to_owned()), "{one}");
        assert!(one["summary"].as_str().unwrap().ends_with('.'), "{one}");
        let has = |name: &str| {
            one["parameters"].as_array().unwrap().iter().any(|it| resolve(document, it)["name"] == name)
        };
        let wellness = is_wellness(path);
        assert_eq!(has("Idempotency-Key"), method != "GET" && !wellness, "{method} {path}");
        for name in ["id", "token"] {
            assert_eq!(has(name), path.contains(&format!("{{{name}}}")), "{method} {path}");
        }
        for status in ["401", "429", "500", "503"] {
            assert!(one["responses"][status].is_object(), "{method} {path} {status}");
        }
        let empty = one["responses"]["204"].is_object();
        let fields = names(document, success(one).1);
        assert!(empty == fields.is_empty() && (wellness || !empty), "{method} {path}");
        let body = |status: &str| {
            let response = resolve(document, &one["responses"][status]);
            resolve(document, &response["content"]["application/json"]["schema"])
        };
        if wellness {
            assert_eq!(names(document, body("401")), ["code", "detail"].map(str::to_owned).into());
            assert_eq!(body("429"), body("401"), "{method} {path}");
            let open = OPEN.contains(&(method.as_str(), path.as_str()));
            assert_eq!(
                one["security"],
                if open { json!([{}, { "bearer": [] }]) } else { json!([{ "session": [] }]) },
                "{method} {path}"
            );
        } else {
            assert_eq!(body("429")["properties"]["error"]["type"], "array");
            assert_eq!(
                names(document, &body("429")["properties"]["error"]["items"]),
                ["message", "type"].map(str::to_owned).into()
            );
            assert_eq!(
                names(document, &body("401")["properties"]["error"]),
                ["message", "type"].map(str::to_owned).into()
            );
            assert!(one.get("security").is_none(), "{method} {path}");
        }
    }
    assert_eq!(
        document["security"],
        json!([{ "basic": [] }, { "bearer": [] }, { "authorization": [] }, { "bearerHeader": [] }])
    );
    assert_eq!(document["components"]["securitySchemes"].as_object().unwrap().len(), 5);
    let mut found = Vec::new();
    references(document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} does not exist");
    }
    serde_json::from_value::<utoipa::openapi::OpenApi>(document.clone()).map(|_| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_responses_match_the_documentation() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let document = openapi::document();
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        let reviewed = applicant(&app, &app.key, "Review").await;
        for Route { method, path, .. } in steps() {
            let (method, path) = (*method, *path);
            let one = operation(document, method, path);
            let is_list = success(one).1["properties"]["pagination"].is_object();
            let creates = noun(path);
            if creates == "order" && method == "POST" {
                app.advance_to("2026-07-10T15:00:00Z").await;
            }
            if creates == "bank_account_id" && method == "DELETE" {
                // The withdrawals must have been completed.
                app.advance_to("2026-07-16T15:00:00Z").await;
            }
            if path == "/v1/statements" {
                known.insert("statement", statement_of(&app, &known["account_id"]).await);
            }
            let named = match path.split('/').nth(2) {
                Some("accounts") => "account_id",
                Some("bank_accounts") => "bank_account_id",
                Some("orders") => "order",
                Some("deposits") => "deposit",
                Some("withdrawals") => "withdrawal",
                Some("statements") => "statement",
                _ => "user",
            };
            let id = known.get(named).cloned().unwrap_or_default();
            let content = &one["requestBody"]["content"]["application/json"];
            let mut body = content["example"].clone();
            if (method, path) == ("PATCH", "/v1/kyc/{token}") {
                // A check that is still open, without the fields that cannot be combined with answers.
                let mut open = operation(document, "POST",
                    "/v1/kyc")["requestBody"]["content"]["application/json"]["example"].clone();
                open["last_name"] = json!("Question");
                known.insert(
                    "token",
                    app.post("/v1/kyc", open).await.body["token"].as_str().unwrap().to_owned(),
                );
                body.as_object_mut()
                    .unwrap()
                    .retain(|field, _| ["answers", "name_first", "name_last"].contains(&field.as_str()));
            }
            let token =
                if path.ends_with("documents") { &reviewed.token } else { known.get("token").unwrap_or(&id) };
            let url = path.replace("{id}", &id).replace("{token}", token);
            for name in ["account_id", "bank_account_id"] {
                if body.get(name).is_some() {
                    body[name] = json!(known[name]);
                }
            }
            let request = |body: &Value| {
                if body.is_null() { app.rest(method, &url) } else { app.rest(method, &url).json(body) }
            };
            for field in content["schema"]["required"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| field.as_str().unwrap())
            {
                let mut without = body.clone();
                without.as_object_mut().unwrap().remove(field);
                let refused = send(request(&without)).await;
                let expected = json!({ "error": { "type": "invalid_request",
                    "message": format!("{field} is required") } });
                assert_eq!(
                    (refused.status, &refused.body),
                    (400, &expected),
                    "{method} {path} without {field}"
                );
            }
            let answer = send(request(&body)).await;
            let (status, schema) = success(one);
            assert_eq!(answer.status, status, "{method} {path} {body} {}", answer.body);
            let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(fields(&answer.body), names(document, schema), "{method} {path}");
            if is_list {
                assert_eq!(
                    fields(&answer.body["data"][0]),
                    names(document, &schema["properties"]["data"]["items"]),
                    "{method} {path}"
                );
                let documented = names(document, &schema["properties"]["pagination"]);
                let own: &[&str] = match path {
                    "/v1/orders" | "/v1/deposits" | "/v1/withdrawals" => &["status"],
                    "/v1/statements" => &["start_date", "end_date"],
                    _ => &[],
                };
                let documented =
                    documented.into_iter().chain(own.iter().map(|name| (*name).to_owned())).collect();
                assert_eq!(fields(&answer.body["pagination"]), documented, "{method} {path}");
            } else {
                match creates {
                    "document" => assert!(answer.body["document_token"].as_str().unwrap().starts_with("D-")),
                    name => {
                        _ = known.insert(
                            creates,
                            answer.body[if name == "token" { "token" } else { "id" }]
                                .as_str()
                                .unwrap()
                                .to_owned(),
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documentation_is_public() {
    let closed = HttpSettings { playground: false, introspection: false, ..HttpSettings::default() };
    for app in TestApp::each_with(Options { settings: closed, ..Options::default() }).await {
        let served = app.anonymous("GET", "/openapi.json").send().await.unwrap();
        assert_eq!(
            (served.status().as_u16(), &served.headers()["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        assert_eq!(served.text().await.unwrap(), openapi::text());

        let page = app.anonymous("GET", "/docs").send().await.unwrap();
        let kinds = ["content-type", "content-security-policy"]
            .map(|name| page.headers()[name].to_str().unwrap().to_owned());
        let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action \
            'none'; frame-ancestors 'none'";
        assert_eq!(
            (page.status().as_u16(), kinds),
            (200, ["text/html; charset=utf-8".to_owned(), policy.to_owned()])
        );
        let page = page.text().await.unwrap();
        let title_of =
            |route: &Route| format!("<h3><code><b>{}</b> {}</code></h3>", route.method, route.path);
        for route in all_routes() {
            assert_eq!(page.matches(&title_of(route)).count(), 1, "{}", title_of(route));
        }
        // Each route is in its area, and the contents list the same areas in the same order.
        let areas: Vec<&str> = page.split("<h2 id=\"area_").skip(1).collect();
        let titles: Vec<&str> = areas.iter().map(|area| area.split(['>', '<']).nth(1).unwrap()).collect();
        assert_eq!(titles, self::areas().map(|(title, _)| title));
        for (area, (title, routes)) in areas.iter().zip(self::areas()) {
            assert_eq!(area.matches("<h3>").count(), routes.len(), "{title}");
            for route in routes {
                assert!(area.contains(&title_of(route)), "{} under {title}", title_of(route));
            }
        }
        let contents = page.split("</nav>").next().unwrap();
        let linked: Vec<&str> = contents
            .split("<h2><a href=\"#area_")
            .skip(1)
            .map(|area| area.split(['>', '<']).nth(1).unwrap())
            .collect();
        assert_eq!(linked, titles);
        for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "#{target}");
        }
        assert!(!page.contains("/playground"));
        for words in [
            "<code>bank_routing_number</code>",
            "Idempotency-Key (header)",
            "<code>rate_limit_exceeded</code>",
            "<code>Bearer: &lt;key&gt;</code>",
        ] {
            assert!(page.contains(words), "{words}");
        }
        for external in ["href=\"http", "https://", "src=", "<script"] {
            assert!(!page.contains(external), "the page loads {external}");
        }
        let style = app.anonymous("GET", "/docs/style.css").send().await.unwrap();
        assert_eq!(
            (style.status().as_u16(), &style.headers()["content-type"]),
            (200, &"text/css; charset=utf-8".parse().unwrap())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documentation_and_the_playground_link_to_each_other() {
    let app = TestApp::sqlite().await;
    let page = |path: &'static str| {
        let request = app.anonymous("GET", path);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let (docs, playground) = (page("/docs").await, page("/playground").await);
    assert_eq!(docs.matches("<a href=\"/playground\">").count(), 1);
    assert!(docs.contains(&format!("<pre>URL={}\n", app.url)), "{docs}");
    for link in ["<a href=\"/docs\">", "<a href=\"/openapi.json\">"] {
        assert_eq!(playground.matches(link).count(), 1, "{link}");
    }
}

/// Returns the code blocks of a part of the page, as a reader copies them.
fn code_blocks(part: &str) -> Vec<String> {
    let plain = |text: &str| {
        let signs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
        signs.into_iter().fold(text.to_owned(), |text, (written, sign)| text.replace(written, sign))
    };
    part.split("<pre>").skip(1).map(|rest| plain(rest.split("</pre>").next().unwrap())).collect()
}

/// Values of responses that later examples use as variables: the route, the JSON pointer, the variable.
const VARIABLES: [(&str, &str, &str); 12] = [
    ("POST /v1/users", "/id", "USER_ID"),
    ("POST /v1/kyc", "/token", "KYC_TOKEN"),
    ("POST /v1/users/{id}/accounts", "/id", "ACCOUNT_ID"),
    ("POST /v1/users/{id}/bank_accounts", "/id", "BANK_ACCOUNT_ID"),
    ("POST /v1/deposits", "/id", "DEPOSIT_ID"),
    ("POST /v1/orders", "/id", "ORDER_ID"),
    ("POST /v1/withdrawals", "/id", "WITHDRAWAL_ID"),
    ("GET /v1/statements", "/data/0/id", "STATEMENT_ID"),
    ("POST /account/v1/auth/token", "/user_id", "SESSION_USER_ID"),
    ("POST /account/v1/auth/token", "/access", "ACCESS"),
    ("POST /account/v1/auth/token", "/refresh", "REFRESH"),
    ("POST /two_factor_authentication/v1/one_time_passcode/{id}/sms/send", "/hash_code", "HASH_CODE"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_documentation_runs() {
    // The examples in an order in which they succeed. Between them, as the page shows: `#outbox` reads the
    // newest message, `#clock` and `#month` advance the sandbox clock, `#invite` creates an invitation, and `#review`
    // starts a check that requires documents.
    let before = |route: &Route| match (route.method, route.path) {
        ("POST", "/v1/kyc/{token}/documents") => Some("#review".to_owned()),
        ("POST", "/v1/orders") => Some("#clock".to_owned()),
        ("GET", "/v1/statements") => Some("#month".to_owned()),
        _ => None,
    };
    let brokerage = steps()
        .into_iter()
        .flat_map(|route| [before(route), Some(format!("{} {}", route.method, route.path))])
        .flatten();
    let wellness = [
        "#invite",
        "GET /account/v1/invitation/{id}",
        "POST /account/v1/users",
        "POST /account/v1/auth/token",
        "POST /account/v1/auth/token/refresh",
        "POST /two_factor_authentication/v1/one_time_passcode/{id}/sms/send",
        "#outbox",
        "POST /two_factor_authentication/v1/one_time_passcode/{id}/sms/verify",
        "GET /account/v1/users/{id}",
        "PUT /account/v1/users/{id}",
        "GET /account/v1/users/{id}/send_data_email",
        "POST /account/v1/users/{id}/send_data_email",
        "DELETE /account/v1/auth/token",
        "POST /account/v1/password_recovery",
        "#outbox",
        "PATCH /account/v1/password_recovery/reset",
    ];
    let steps: Vec<String> = brokerage.chain(wellness.map(str::to_owned)).collect();
    // Examples that cannot succeed here, with the documented refusal: a market order fills at once and cannot
    // be canceled, and the POST is the same operation as the GET before it, which is refused for 60 seconds.
    let refused = HashMap::from([
        ("DELETE /v1/orders/{id}", (402, "The order has already ended.")),
        ("POST /account/v1/users/{id}/send_data_email", (429, "Too many requests")),
    ]);
    let tested: BTreeSet<String> = steps.iter().filter(|step| !step.starts_with('#')).cloned().collect();
    assert_eq!(
        tested,
        all_routes().map(|route| format!("{} {}", route.method, route.path)).collect(),
        "add the new route to the steps"
    );

    let server = Process::start("sqlite:data/coffer.db", &["serve"]).await;
    let page = crate::support::client()
        .get(format!("{}/docs", server.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (introduction, rest) = page.split_once("<h2 id=\"credentials\">").unwrap();
    let [set, outbox, clock, invite] = code_blocks(introduction).try_into().unwrap();
    let examples: HashMap<String, String> = rest
        .split("<h3><code><b>")
        .skip(1)
        .map(|section| {
            let (method, rest) = section.split_once("</b> ").unwrap();
            (format!("{method} {}", rest.split('<').next().unwrap()), code_blocks(section).remove(0))
        })
        .collect();

    // The setup commands run as printed.
    assert_eq!(server.shell(&set, &HashMap::new()).0, 200);
    let set = set.lines().filter(|line| !line.starts_with("curl")).collect::<Vec<_>>().join("\n");
    let mut known: HashMap<String, String> = HashMap::new();
    let began = Instant::now();
    for step in steps.iter().map(String::as_str) {
        let script = match step {
            "#outbox" => outbox.clone(),
            "#clock" => clock.clone(),
            "#month" => clock.replace("604800", "3024000"),
            "#invite" => invite.clone(),
            "#review" => examples["POST /v1/kyc"].replace("\"Question\"", "\"Review\""),
            route => examples[route].clone(),
        };
        let mut answered = server.shell(&format!("{set}\n{script}"), &known);
        // Wait until the server has filled the order; before that, a cancellation could succeed or fail.
        while step == "GET /v1/orders/{id}" && !answered.1.contains("\"filled\"") {
            assert!(answered.0 == 200 && began.elapsed() < Duration::from_secs(60), "{answered:?}");
            answered = server.shell(&format!("{set}\n{script}"), &known);
        }
        let (status, body) = answered;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let context = format!("{step}\n{script}\n{status} {body}");
        match refused.get(step) {
            Some((expected, text)) => assert!(status == *expected && body.contains(text), "{context}"),
            None => assert!(status < 400 && answer.get("errors").is_none(), "{context}"),
        }
        for (_, pointer, variable) in VARIABLES.iter().filter(|(route, ..)| *route == step) {
            known.insert(
                (*variable).to_owned(),
                answer.pointer(pointer).and_then(Value::as_str).expect(&context).to_owned(),
            );
        }
        match step {
            "#review" => {
                _ = known.insert("KYC_TOKEN".to_owned(), answer["token"].as_str().unwrap().to_owned());
            }
            "#invite" => {
                let id = answer["data"]["invitationCreate"]["invitation"]["id"].as_str().expect(&context);
                known.insert("INVITATION_ID".to_owned(), id.to_owned());
            }
            "#outbox" => {
                let text =
                    answer["data"]["sandboxOutbox"]["edges"][0]["node"]["text"].as_str().expect(&context);
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                known.insert("PASSCODE".to_owned(), digits);
                known.insert("RECOVERY_TOKEN".to_owned(), text.rsplit(' ').next().unwrap().to_owned());
            }
            "#clock" | "#month" => {
                assert_eq!(answer["data"]["sandboxClockAdvance"]["userErrors"], json!([]), "{context}");
            }
            _ => {}
        }
    }
}
