//! Values of the scalars `Decimal`, `Date` and `DateTime`: every malformed value is refused in the same way,
//! whether it is written in the document or sent as a variable.

use crate::support::{TestApp, on_both, send};
use serde_json::{Value, json};

const DECIMAL: &str =
    "Decimal must be a string with a decimal number, for example \"12.50\". A JSON number could lose digits.";
const DATE: &str = "Date must be a string with a calendar date as YYYY-MM-DD, for example \"2026-01-31\".";
const DATE_TIME: &str =
    "DateTime must be a string with an RFC 3339 timestamp, for example \"2026-01-31T12:00:00Z\".";

/// A mutation with a scalar in its input: the input type, the path of the scalar, the input with `VALUE` in its
/// place, the message for malformed values, and values that are malformed.
struct Case {
    mutation: &'static str,
    input_type: &'static str,
    path: &'static str,
    input: &'static str,
    message: &'static str,
    malformed: &'static [&'static str],
}

/// Values are JSON, which is also a literal of GraphQL.
const CASES: [Case; 4] = [
    Case {
        mutation: "orderPlace",
        input_type: "OrderPlaceInput",
        path: "quantity",
        input: r#"{ "idempotencyKey": "o", "accountId": "x", "symbol": "VTI", "side": "BUY", "quantity": VALUE }"#,
        message: DECIMAL,
        malformed: &[
            "12.5",
            "12",
            "0",
            "-1",
            "1e3",
            "true",
            r#""""#,
            r#"" 1""#,
            r#""+1""#,
            r#""1e3""#,
            r#""1.""#,
            r#"".5""#,
            r#""1,000""#,
            r#""NaN""#,
            r#""٣""#,
            "[]",
            r#"["1","2"]"#,
        ],
    },
    Case {
        mutation: "depositCreate",
        input_type: "DepositCreateInput",
        path: "amount.amount",
        input: r#"{ "idempotencyKey": "d", "accountId": "x", "bankAccountId": "x", "amount": { "amount": VALUE } }"#,
        message: DECIMAL,
        malformed: &["12.5", "1000", r#""ten""#, r#""$10""#, "null"],
    },
    Case {
        mutation: "watchListHitClear",
        input_type: "WatchListHitClearInput",
        path: "until",
        input: r#"{ "hitId": "x", "reason": "R", "until": VALUE }"#,
        message: DATE,
        malformed: &[
            "20260131",
            "2026",
            "true",
            r#""""#,
            r#""soon""#,
            r#""2026-02-30""#,
            r#""2026-1-31""#,
            r#""26-01-31""#,
            r#""2026-01-31T00:00:00Z""#,
            r#""2026-01-31 ""#,
            r#""+026-01-31""#,
            "[]",
            "null",
        ],
    },
    Case {
        mutation: "sandboxClockAdvance",
        input_type: "SandboxClockAdvanceInput",
        path: "to",
        input: r#"{ "to": VALUE }"#,
        message: DATE_TIME,
        malformed: &[
            "1769860800",
            "17.5",
            "true",
            r#""""#,
            r#""tomorrow""#,
            r#""2026-01-31""#,
            r#""2026-01-31T12:00:00""#,
            r#""2026-02-30T12:00:00Z""#,
            r#""2026-01-31T25:00:00Z""#,
            "[]",
        ],
    },
];

impl Case {
    /// Returns the request with the value in the document, and with the value in a variable.
    fn requests(&self, value: &str) -> [Value; 2] {
        let Self { mutation, input_type, input, .. } = self;
        let variables: Value = serde_json::from_str(&input.replace("VALUE", value)).unwrap();
        let select = "{ userErrors { code path message } }";
        let by_variable =
            format!("mutation M($input: {input_type}!) {{ {mutation}(input: $input) {select} }}");
        let by_literal = format!("mutation M {{ {mutation}(input: {}) {select} }}", literal(&variables));
        [json!({ "query": by_literal }), json!({ "query": by_variable, "variables": { "input": variables } })]
    }
}

/// Writes JSON as a literal of GraphQL.
fn literal(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", literal(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::String(side) if side == "BUY" => side.clone(),
        other => other.to_string(),
    }
}

on_both! {
    async fn malformed_values_are_refused_alike(app: TestApp) {
        for case in &CASES {
            for value in case.malformed {
                for request in &case.requests(value) {
                    let mut answers = Vec::new();
                    for accept in ["application/json", "application/graphql-response+json"] {
                        let sent = app.rest("POST", "/graphql").header("accept", accept).json(request);
                        answers.push(send(sent).await);
                    }
                    let column = request["query"].as_str().unwrap().find("(input: ").unwrap() + 2;
                    let expected = json!({ "errors": [{
                        "message": format!("Invalid value for argument \"input.{}\": {}", case.path, case.message),
                        "locations": [{ "line": 1, "column": column }],
                        "extensions": { "code": "GRAPHQL_VALIDATION_FAILED" },
                    }] });
                    assert_eq!((answers[0].status, &answers[0].body), (200, &expected), "{request}");
                    assert_eq!((answers[1].status, &answers[1].body), (400, &expected), "{request}");
                }
            }
        }
    }

    async fn well_formed_values_reach_the_rules(app: TestApp) {
        for (case, value, expected) in [
            (&CASES[0], r#""-1""#, ("INVALID", "quantity", "quantity must be above zero")),
            (&CASES[0], "null", ("REQUIRED", "quantity", "quantity or notional is required")),
            (&CASES[0], r#""0.000000001""#, ("INVALID", "quantity", "quantity has too many decimals")),
            (&CASES[0], r#""0001.50""#, ("NOT_FOUND", "accountId", "accountId was not found")),
            (&CASES[1], r#""1.001""#, ("INVALID", "amount.amount", "amount.amount has too many decimals")),
            (&CASES[2], r#""2026-01-31""#, ("INVALID", "until", "until must not be in the past")),
            (
                &CASES[3],
                r#""2020-01-31T12:00:00+01:00""#,
                ("INVALID", "to", "to must not be before the sandbox's current time"),
            ),
        ] {
            let (code, path, message) = expected;
            for request in case.requests(value) {
                let answer = send(app.rest("POST", "/graphql").json(&request)).await;
                let path: Vec<&str> = path.split('.').collect();
                assert_eq!(
                    answer.user_error(case.mutation),
                    &json!({ "code": code, "path": path, "message": message }),
                    "{request}"
                );
            }
        }
    }

    /// The engine does not validate an argument that contains an omitted variable, so the value fails when the
    /// field is executed, possibly after others.
    async fn a_malformed_value_beside_an_omitted_variable_fails_its_field(app: TestApp) {
        let document = "mutation M($nickname: String) { userCreate(input: { firstName: \"Ada\", lastName: \"C\", \
            email: \"ada@example.com\", phone: $nickname, birthDate: \"1985-02-30\" }) { userErrors { code } } }";
        let answer = app.gql(document, json!({})).await;
        assert_eq!(
            (answer.error_code(), &answer.body["errors"][0]["message"], &answer.body["data"]),
            ("BAD_USER_INPUT", &json!(DATE), &json!({ "userCreate": null }))
        );
        assert_eq!(answer.body["errors"][0]["path"], json!(["userCreate"]));
        assert_eq!(app.gql("{ users { edges { node { id } } } }", json!({})).await.data()["users"]["edges"], json!([]));
    }
}

#[test]
fn every_scalar_names_its_specification() {
    let sdl = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let scalars: Vec<&str> = sdl.lines().filter(|line| line.starts_with("scalar ")).collect();
    let rfc_3339 = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6";
    let expected = [
        ("Date", rfc_3339),
        ("DateTime", rfc_3339),
        ("Decimal", "https://www.w3.org/TR/xmlschema-2/#decimal"),
    ];
    assert_eq!(scalars, expected.map(|(name, url)| format!("scalar {name} @specifiedBy(url: \"{url}\")")));
    for (name, _) in expected {
        assert!(coffer::graphql::core::scalars::form(name).is_some_and(|form| form.starts_with(name)));
    }
}
