//! Compares the documented schemas with what the server accepts: a body that matches its schema is never
//! refused as malformed, and one that does not match is never accepted.

use crate::support::{Options, TestApp, person::SignedIn, send};
use coffer::rest::{ROUTES, WELLNESS, core::openapi, is_wellness};
use domain::{funding::routing_number::RoutingNumber, people::person::Email};
use futures_util::{StreamExt, stream};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Returns texts at and around the limits of every format, and texts that no format allows.
fn texts() -> Vec<String> {
    let given = [
        "",
        " ",
        "   ",
        "\0",
        "a\0b",
        "a\u{7}b",
        "a\nb",
        "a\u{85}b",
        "\t",
        "x",
        "X y",
        " x",
        "x ",
        "1",
        "é",
        "李",
        "-.'",
        "0",
        "-1",
        "1.5",
        "1e3",
        "+1",
        ".5",
        "5.",
        "0.01",
        "0.001",
        "00001.50",
        "1.500",
        "0.0001",
        "0.00001",
        "99999999.99",
        "99999999.991",
        "100000000",
        "100000000.00",
        "100000000.0001",
        "100000000.01",
        "NaN",
        "٣",
        "1,000",
        "US",
        "us",
        "Us",
        "DE",
        "UK",
        "USA",
        "usa",
        "ZZZ",
        "VA",
        "va",
        "ZZ",
        "23220",
        "23220-1234",
        "232201234",
        "2322",
        "2322a",
        "123456789",
        "123-45-6789",
        "123-456789",
        "078051120",
        "078-05-1120",
        "219099999",
        "987654321",
        "666123456",
        "000123456",
        "900123456",
        "123004567",
        "123450000",
        "12345678a",
        "121042882",
        "121042883",
        "021000021",
        "000000000",
        "130000006",
        "4327843043",
        "123",
        "1234",
        "AB12cd34",
        "12345678901234567",
        "123456789012345678",
        "1234-5678",
        "١٢٣٤",
        "2025550107",
        "+1 (202) 555-0107",
        "12025550107",
        "+12025550107",
        "+2025550107",
        "22025550107",
        "202555010",
        "1025550107",
        "2021550107",
        "202/555/0107",
        " 202.555.0107 ",
        "1985-01-23",
        "1985-02-30",
        "1985-1-23",
        "85-01-23",
        "1985/01/23",
        "1985-01-23T00:00:00Z",
        "2024-02-29",
        "john@example.com",
        "JOHN@Example.COM",
        "a+b@mail.example.co",
        "a..b@example.com",
        ".a@example.com",
        "<x@example.com>",
        "a@localhost",
        "a@example..com",
        "a@b@example.com",
        "ÿ@example.com",
        "a\u{200b}b@example.com",
        "a@exam\u{ad}ple.com",
        "a b@example.com",
        "cash",
        "CASH",
        "c a s h",
        "INVESTMENT",
        "investments",
        "joint",
        "single",
        "Individual",
        "MARRIED",
        "Employed/Self-Employed",
        "not employed",
        "none",
        "$0 - $24,999",
        "$0-$24,999",
        "true",
        "false",
        "True",
        "yes",
        "buy",
        "BUY",
        "sell",
        "hold",
        "market",
        "limit",
        "VTI",
        "vti",
        "license",
        "LICENSE",
        "SSN Card",
        "ssn_card",
        "library card",
        "pdf",
        ".PDF",
        "jpeg",
        "exe",
        "p df",
        "JVBERi0xLjQK",
        "JVBERi0xLjQKJSVFT0YK",
        "/9j/4AAQ",
        "/9j/4AA=",
        "/9j/4A==",
        "iVBORw0KGgo=",
        "iVBORw0KGgoAAAA",
        "TVqQAAM",
        "JVBERi0xL",
        "JVBERi0!",
        "0198d7a2-7c00-7000-8000-000000000005",
        "0198d7a2",
        "nope",
        "123456",
        "12345",
        "1234567",
        "12 456",
        "Ada Carter",
        "Ada 1",
        "1 Ada",
        "long enough",
        "pässword",
        "' OR 1=1 --",
    ];
    let counted = [
        ("x", 7),
        ("x", 8),
        ("x", 40),
        ("x", 41),
        ("x", 100),
        ("x", 101),
        ("é", 100),
        ("é", 101),
        ("x", 128),
        ("x", 129),
    ];
    let longer = [
        ("x", 200),
        ("x", 201),
        ("x", 202),
        ("x", 2000),
        ("x", 2001),
        (" ", 101),
        (" ", 2001),
        ("0", 64),
        ("0", 65),
    ];
    let counted = counted.into_iter().chain(longer).map(|(character, times)| character.repeat(times));
    let long = [
        format!("x{}", " ".repeat(100)),
        format!("{} {}", "a".repeat(100), "b".repeat(100)),
        format!("{} b", "a".repeat(101)),
        format!("a {}", "b".repeat(101)),
        format!("{}@example.com", "a".repeat(64)),
        format!("{}@example.com", "a".repeat(65)),
        format!("1.{}", "0".repeat(62)),
        format!("1.{}", "0".repeat(63)),
        format!("2025550107{}", " ".repeat(31)),
        format!("s{}ingle", " ".repeat(95)),
    ];
    given.map(str::to_owned).into_iter().chain(counted).chain(long).collect()
}

fn values() -> Vec<Value> {
    let answers = |pairs: &[(i32, i32)]| {
        pairs
            .iter()
            .map(|(question, answer)| json!({ "question_id": question, "answer_id": answer }))
            .collect::<Value>()
    };
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!(["x"]),
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(0.01),
        json!(0.001),
        json!(1.5),
        json!(0.0001),
        json!(0.00001),
        json!(99_999_999.99),
        json!(100_000_000),
        json!(100_000_001),
        json!(1e300),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1), (5, 5)]),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1)]),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1), (4, 5)]),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1), (6, 5)]),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1), (5, 6)]),
        answers(&[(1, 1), (2, 5), (3, 2), (4, 1), (5, 0)]),
        answers(&[(5, 1), (4, 5), (3, 2), (2, 1), (1, 5)]),
    ];
    texts().into_iter().map(Value::String).chain(others).collect()
}

/// Returns a validator for the schema of a route's body. It checks formats that a pattern cannot express with
/// the domain's own parsers.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::options()
        .with_format("email", |text: &str| Email::parse(text).is_ok())
        .with_format("aba-routing-number", |text: &str| RoutingNumber::parse(text).is_ok())
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

/// A server, with the credentials to use and the objects that paths and bodies refer to.
struct Fixture {
    app: TestApp,
    customer: crate::support::Customer,
    person: SignedIn,
    review_token: String,
    question_token: String,
}

async fn fixture() -> Fixture {
    let app = TestApp::sqlite_with(Options { without_timers: true, ..Options::default() }).await;
    let customer = app.funded_customer("Ada", "5000").await;
    let person = app.person("ada@example.com", "2025550199").await;
    let token = async |last_name: &str| {
        let mut body = example("POST", "/v1/kyc");
        body["last_name"] = json!(last_name);
        app.post("/v1/kyc", body).await.body["token"].as_str().unwrap().to_owned()
    };
    let (review_token, question_token) = (token("Review").await, token("Question").await);
    Fixture { app, customer, person, review_token, question_token }
}

fn content(method: &str, path: &str) -> Value {
    openapi::document()["paths"][path][method.to_lowercase()]["requestBody"]["content"]["application/json"]
        .clone()
}

fn example(method: &str, path: &str) -> Value {
    content(method, path)["example"].clone()
}

impl Fixture {
    fn path_for(&self, path: &str) -> String {
        let id = match path.split('/').nth(2) {
            Some("accounts") => &self.customer.account_id,
            Some("bank_accounts") => &self.customer.bank_account_id,
            _ if is_wellness(path) => &self.person.user_id,
            _ => &self.customer.user_id,
        };
        let token = if path.ends_with("documents") { &self.review_token } else { &self.question_token };
        path.replace("{id}", id).replace("{token}", token)
    }

    async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let credential = if is_wellness(path) { &self.person.access } else { &self.app.key };
        let request = self.app.anonymous(method, &self.path_for(path)).bearer_auth(credential);
        let answer = send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await;
        (answer.status, answer.body)
    }

    /// Returns bodies that match their schema; the test replaces one field of each.
    fn bases(&self, method: &str, path: &str) -> Vec<Value> {
        let mut base = example(method, path);
        for (name, id) in
            [("account_id", &self.customer.account_id), ("bank_account_id", &self.customer.bank_account_id)]
        {
            if base.get(name).is_some() {
                base[name] = json!(id);
            }
        }
        let mut bases = vec![base.clone()];
        match path {
            // Corrections instead of answers.
            "/v1/kyc/{token}" => bases.push(example("PUT", "/v1/users/{id}")),
            "/v1/users/{id}/accounts" => {
                let mut joint = base;
                joint["ownership"] = json!("joint");
                joint["joint_member"] = example("POST", "/v1/users");
                joint["joint_member"]["ssn_number"] = json!("123456780");
                bases.push(joint);
            }
            "/v1/users" | "/v1/kyc" => {
                let mut abroad = base;
                for (name, value) in [
                    ("address_country_code", "DE"),
                    ("address_state", "Bayern"),
                    ("address_postal_code", "D-80331"),
                ] {
                    abroad[name] = json!(value);
                }
                bases.push(abroad);
            }
            _ => {}
        }
        bases
    }
}

/// Returns whether a response refuses a body as malformed.
fn is_malformed(path: &str, (status, body): &(u16, Value)) -> bool {
    if is_wellness(path) {
        return ["invalid-input", "invalid-phone-number"].iter().any(|code| body["code"] == **code);
    }
    // Refusals that depend on stored data although the request is well-formed.
    let other_refusal = match path {
        "/v1/accounts/{id}" => Some("joint_member is required"),
        "/v1/orders" => Some("account_id is required"),
        _ => None,
    };
    *status == 400 && (other_refusal.is_none() || body["error"]["message"].as_str() != other_refusal)
}

#[test]
fn every_example_matches_its_schema() {
    let document = openapi::document();
    for route in ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten()) {
        let content = content(route.method, route.path);
        if content.is_null() {
            continue;
        }
        let errors: Vec<String> = validator(document, &content["schema"])
            .iter_errors(&content["example"])
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{} {}", route.method, route.path);
        for (name, field) in content["schema"]["properties"].as_object().unwrap() {
            assert!(
                field["description"].is_string()
                    && (field["examples"].is_array() || field["type"] != "string"),
                "{name} {field}"
            );
        }
    }
}

/// Returns the bodies to send to a route: every value for every field, and an unknown field.
fn bodies(fixture: &Fixture, method: &str, path: &str) -> Vec<Value> {
    let properties: BTreeSet<String> =
        content(method, path)["schema"]["properties"].as_object().unwrap().keys().cloned().collect();
    let mut bodies = Vec::new();
    for (turn, base) in fixture.bases(method, path).into_iter().enumerate() {
        for field in &properties {
            for value in values() {
                // The second base is only for the fields in which it differs.
                let differs =
                    turn == 0 || field.starts_with("address") || field == "answers" || field == "ownership";
                if differs || value.is_null() {
                    let mut body = base.clone();
                    body[field] = value;
                    bodies.push(body);
                }
            }
            let mut without = base.clone();
            without.as_object_mut().unwrap().remove(field);
            bodies.push(without);
        }
        if base.get("joint_member").is_some() {
            for field in example("POST", "/v1/users").as_object().unwrap().keys() {
                for value in ["", "\0", "x", "a..b@example.com", "ZZ"] {
                    let mut body = base.clone();
                    body["joint_member"][field] = json!(value);
                    bodies.push(body);
                }
            }
        }
        let mut more = base;
        more["unknown_field"] = json!("x");
        bodies.push(more);
    }
    bodies
}

async fn compare(only: fn(&str) -> bool) {
    let (document, fixture) = (openapi::document(), fixture().await);
    let routes =
        ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten()).filter(|route| only(route.path));
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for route in routes {
        let (method, path) = (route.method, route.path);
        let content = content(method, path);
        if content.is_null() {
            continue;
        }
        let no_body = fixture.request(method, path, None).await;
        let is_required = document["paths"][path][method.to_lowercase()]["requestBody"]["required"] == true;
        let is_as_documented = if is_required {
            (400..500).contains(&no_body.0)
        } else {
            no_body.0 < 500 && !is_malformed(path, &no_body)
        };
        assert!(is_as_documented, "{method} {path} without a body, required: {is_required}: {no_body:?}");
        let validator = validator(document, &content["schema"]);
        let (fixture, validator) = (&fixture, &validator);
        let requests = stream::iter(bodies(fixture, method, path)).map(async |body| {
            let answer = fixture.request(method, path, Some(&body)).await;
            (body, answer)
        });
        let mut answers = requests.buffer_unordered(8);
        while let Some((body, answer)) = answers.next().await {
            let is_valid = validator.is_valid(&body);
            let is_as_documented = if is_valid {
                answer.0 < 500 && !is_malformed(path, &answer)
            } else {
                (400..500).contains(&answer.0)
            };
            if is_valid {
                accepted += 1;
            } else {
                refused += 1;
            }
            if !is_as_documented {
                wrong.push(format!("{method} {path} valid={is_valid} {} {} {body}", answer.0, answer.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} bodies:\n{}", wrong.len(), accepted + refused, wrong.join("\n"));
    assert!(accepted > 100 && refused > 100, "{accepted} {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_for_users_and_identity_checks_are_accepted_as_documented() {
    compare(|path| {
        path.starts_with("/v1/users") && !path.contains("accounts") || path.starts_with("/v1/kyc")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_for_accounts_deposits_and_orders_are_accepted_as_documented() {
    compare(|path| path.contains("accounts") || ["/v1/deposits", "/v1/orders"].contains(&path)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_the_wellness_api_are_accepted_as_documented() {
    compare(is_wellness).await;
}

/// Returns the status of every route when a text of its path, query or body contains a control character,
/// such as NUL, which PostgreSQL cannot store.
async fn statuses_with_control_characters(app: &TestApp) -> Vec<String> {
    let customer = app.customer("Ada").await;
    let person = app.person("ada@example.com", "2025550199").await;
    let mut statuses = Vec::new();
    for route in ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten()) {
        let (method, path) = (route.method, route.path);
        let credential = if is_wellness(path) { person.access.as_str() } else { &app.key };
        let request = async |path: &str, body: &Value, what: &str| {
            let mut request = app.anonymous(method, path).bearer_auth(credential);
            if !body.is_null() {
                request = request.json(body);
            }
            let answer = send(request).await;
            assert!(answer.status < 500, "{method} {path} {what} {}", answer.body);
            format!("{method} {} {what} {}", route.path, answer.status)
        };
        let body = example(method, path);
        for nul in ["%00", "S-%00", "a%00b", "%01"] {
            if path.contains('{') {
                statuses.push(request(&path.replace("{id}", nul).replace("{token}", nul), &body, nul).await);
            }
        }
        let known = path.replace("{id}", &customer.user_id).replace("{token}", "S-unknown");
        if method == "GET" {
            for parameter in
                ["limit", "order", "starting_after", "ending_before", "status", "account_id", "unknown"]
            {
                statuses.push(request(&format!("{known}?{parameter}=a%00b"), &body, parameter).await);
            }
        }
        for (field, value) in body.as_object().into_iter().flatten() {
            if value.is_string() {
                for text in ["\0".to_owned(), "a\0b".to_owned(), format!("{}\0", value.as_str().unwrap())] {
                    let mut body = body.clone();
                    body[field] = json!(text);
                    statuses.push(request(&known, &body, field).await);
                }
            }
        }
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_give_the_same_status_to_control_characters() {
    let sqlite = statuses_with_control_characters(&TestApp::sqlite().await).await;
    assert!(sqlite.len() > 200, "{}", sqlite.len());
    if let Some(app) = TestApp::postgres().await {
        assert_eq!(statuses_with_control_characters(&app).await, sqlite);
    }
    let kyc = sqlite.iter().filter(|status| status.starts_with("GET /v1/kyc/{token} "));
    for status in kyc.filter(|status| status.contains('%')) {
        assert!(status.ends_with(" 404"), "{status}");
    }
}
