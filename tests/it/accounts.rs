//! Brokerage accounts: the documented requests, updates and conversions.

use crate::support::{
    ACCOUNT_OPEN, Answer, DEPOSIT_CREATE, ORDER_PLACE, TestApp, USER_CREATE, cash_account, on_both, person,
    send,
};
use domain::Scope;
use entity::{account, audit_log, event};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Statement};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

pub mod joint;
mod lifecycle;

pub const ACCOUNT_UPDATE: &str = "mutation($input: AccountUpdateInput!) { accountUpdate(input: $input) { \
    account { id type ownership profile {
    maritalStatus countryOfCitizenship employmentStatus employmentPosition employerName annualIncome \
    investmentObjective investmentExperience
    netLiquidWorth netTotalWorth isDirector directorOf riskTolerance } } userErrors { code path message } } }";

/// Documented texts, and the values that GraphQL shows for them.
type Options = &'static [(&'static str, &'static str)];

/// Returns the documented request to open an account.
fn documented() -> Value {
    json!({
        "ownership": "individual", "account_type": "cash", "martial_status": "single",
        "country_of_citizenship": "USA",
        "employment_status": "Employed / Self-Employed", "employment_position": "Software Engineer",
        "employer_name": "Finos Inc",
        "annual_income": "$100,000 - $199,999", "investment_objective": "growth", "investment_experience": "limited",
        "net_liquid_worth": "$25,000 - $99,999", "net_total_worth": "$100,000 - $199,999", "is_director": false,
        "risk_tolerance": "moderate",
    })
}

/// Documented fields about investing.
const INVESTING: [&str; 7] = [
    "annual_income",
    "investment_objective",
    "investment_experience",
    "net_liquid_worth",
    "net_total_worth",
    "is_director",
    "risk_tolerance",
];

fn only(body: &Value, fields: &[&str]) -> Value {
    body.as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| fields.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn without(body: &Value, fields: &[&str]) -> Value {
    body.as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !fields.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

async fn user(app: &TestApp, first_name: &str) -> String {
    let made = app.gql(USER_CREATE, json!({ "input": person(first_name, "Carter") })).await;
    made.entity("userCreate", "user")["id"].as_str().unwrap().to_owned()
}

/// Sends a request to the REST API, which must succeed, and returns the body.
async fn done(app: &TestApp, method: &str, path: &str, body: &Value) -> Value {
    let answer = send(app.rest(method, path).json(body)).await;
    assert_eq!(answer.status, 200, "{method} {path} {body} {}", answer.body);
    answer.body
}

/// Sends a request to the REST API, which must return this error and write nothing.
async fn refused(app: &TestApp, method: &str, path: &str, body: &Value, error: (u16, &str, &str)) {
    let before = rows(app).await;
    let answer = send(app.rest(method, path).json(body)).await;
    let (status, kind, message) = error;
    let expected = json!({ "error": { "type": kind, "message": message } });
    assert_eq!((answer.status, &answer.body), (status, &expected), "{method} {path} {body}");
    assert_eq!(rows(app).await, before, "{method} {path} {body}");
}

/// Sends a mutation, which must be refused and write nothing, and returns the error's code, path and message.
async fn refusal(app: &TestApp, key: &str, document: &str, input: &Value) -> (String, Value, String) {
    let before = rows(app).await;
    let answer = app.gql_as(Some(key), document, json!({ "input": input })).await;
    let name = document.split(") { ").nth(1).unwrap().split('(').next().unwrap();
    let error = answer.user_error(name).clone();
    assert_eq!(rows(app).await, before, "{input}");
    (
        error["code"].as_str().unwrap().to_owned(),
        error["path"].clone(),
        error["message"].as_str().unwrap().to_owned(),
    )
}

/// Returns the number of rows of each table that a request about accounts may write to.
async fn rows(app: &TestApp) -> Vec<i64> {
    let db = &app.app.db.read;
    let mut rows = Vec::new();
    for table in
        ["users", "kyc", "account", "bank_account", "transfer", "orders", "ledger_account", "event", "timer"]
    {
        let count = Statement::from_string(
            db.get_database_backend(),
            format!("SELECT count(*) AS rows FROM {table}"),
        );
        rows.push(db.query_one_raw(count).await.unwrap().unwrap().try_get("", "rows").unwrap());
    }
    rows
}

/// Returns the types of the events about an object, in order.
async fn happened(app: &TestApp, stream: &str) -> Vec<String> {
    let stream: Uuid = stream.parse().unwrap();
    let select = event::Entity::find()
        .filter(event::Column::StreamId.eq(stream))
        .order_by_asc(event::Column::StreamVersion);
    select.all(&app.app.db.read).await.unwrap().into_iter().map(|event| event.kind).collect()
}

/// Returns how often the audit log has this operation for an object.
async fn audited(app: &TestApp, operation: &str, object: &str) -> usize {
    let object: Uuid = object.parse().unwrap();
    let select = audit_log::Entity::find()
        .filter(audit_log::Column::Operation.eq(operation))
        .filter(audit_log::Column::ObjectId.eq(object));
    select.all(&app.app.db.read).await.unwrap().len()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string")).to_owned()
}

on_both! {
    async fn accounts_are_read_updated_and_listed_as_documented(app: TestApp) {
        let ada = user(&app, "Ada").await;
        let opened =
            done(&app, "POST", &format!("/v1/users/{ada}/accounts/"), &without(&documented(), &INVESTING))
                .await;
        let (id, number) = (text(&opened["id"]), text(&opened["account_number"]));
        assert_eq!(
            opened,
            json!({ "user_id": ada, "id": id, "account_number": number, "ownership": "individual",
                "account_type": "cash" })
        );
        let owner = app.get(&format!("/v1/users/{ada}")).await.body;
        let mut body = json!({
            "id": id, "account_number": number, "ownership": "individual", "account_type": "cash",
            "martial_status": "single",
            "country_of_citizenship": "USA", "employment_status": "Employed / Self-Employed",
            "employment_position": "Software Engineer",
            "employer_name": "Finos Inc", "owner": owner, "joint_member": null,
        });
        for path in [format!("/v1/accounts/{id}"), format!("/v1/accounts/{id}/")] {
            let read = app.get(&path).await;
            assert_eq!((read.status, &read.body), (200, &body), "{path}");
        }
        assert_eq!(audited(&app, "account.read", &id).await, 2);

        let change = with(only(&documented(), &INVESTING), "account_type", "investment");
        let changed = json!({ "id": id, "user_id": ada, "account_number": number, "ownership": "individual",
            "account_type": "investment" });
        assert_eq!(done(&app, "PUT", &format!("/v1/accounts/{id}/"), &change).await, changed);
        body["account_type"] = json!("investment");
        assert_eq!(app.get(&format!("/v1/accounts/{id}")).await.body, body);
        assert_eq!(happened(&app, &id).await, ["account.created", "account.updated"]);
        // An update without changes records no event.
        assert_eq!(
            done(&app, "PUT", &format!("/v1/accounts/{id}"), &with(change, "ownership", "single")).await,
            changed
        );
        assert_eq!(done(&app, "PUT", &format!("/v1/accounts/{id}"), &json!({})).await, changed);
        assert_eq!(happened(&app, &id).await, ["account.created", "account.updated"]);

        let mut ids_of_ada = vec![id];
        for _ in 0..3 {
            let opened = done(&app, "POST", &format!("/v1/users/{ada}/accounts"), &documented()).await;
            ids_of_ada.push(text(&opened["id"]));
        }
        let path = format!("/v1/users/{ada}/accounts");
        let page = app.get(&format!("{path}/?limit=3")).await.body;
        let next = format!("{path}?limit=3&order=desc&starting_after={}", ids_of_ada[1]);
        assert_eq!(
            page["pagination"],
            json!({
                "ending_before": null, "starting_after": null, "limit": 3, "order": "desc",
                "previous_page": null, "previous_uri": null,
                "next_page": next, "next_uri": format!("{}{next}", app.url),
            })
        );
        let ids = |page: &Value| {
            page["data"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect::<Vec<_>>()
        };
        assert_eq!(ids(&page), [ids_of_ada[3].as_str(), &ids_of_ada[2], &ids_of_ada[1]]);
        assert_eq!(page["data"][0], app.get(&format!("/v1/accounts/{}", ids_of_ada[3])).await.body);
        let rest = app.get(&next).await.body;
        assert_eq!(rest["data"], json!([body]));
        assert_eq!(audited(&app, "account.list", &ada).await, 2);
        let eve = app.customer("Eve").await;
        let elsewhere = app.get(&format!("{path}?starting_after={}", eve.account_id)).await;
        assert_eq!(
            (elsewhere.status, &elsewhere.body["error"]["message"]),
            (400, &json!("starting_after does not match any account in this list"))
        );

        let all = app
            .gql(
                "{ accounts(first: 2) { edges { node { id } } pageInfo { hasNextPage endCursor } } }",
                json!({}),
            )
            .await;
        let all = &all.data()["accounts"];
        assert_eq!(
            all["edges"],
            json!([{ "node": { "id": eve.account_id } }, { "node": { "id": ids_of_ada[3] } }])
        );
        assert_eq!(all["pageInfo"], json!({ "hasNextPage": true, "endCursor": ids_of_ada[3] }));
        let rest = app
            .gql(
                "query($after: String) { accounts(after: $after) { edges { node { id } } } }",
                json!({ "after": ids_of_ada[3] }),
            )
            .await;
        assert_eq!(rest.data()["accounts"]["edges"].as_array().unwrap().len(), 3);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn options_are_accepted_in_any_case_and_spacing(app: TestApp) {
        let ada = user(&app, "Ada").await;
        let path = format!("/v1/users/{ada}/accounts");
        let opened = done(&app, "POST", &path, &documented()).await;
        let account = format!("/v1/accounts/{}", text(&opened["id"]));
        let income: Options = &[
            ("$0 - $24,999", "UNDER_25K"),
            ("$25,000 - $99,999", "FROM_25K_TO_100K"),
            ("$100,000 - $199,999", "FROM_100K_TO_200K"),
            ("$200,000+", "OVER_200K"),
        ];
        let options: [(&str, &str, Options); 8] = [
            (
                "martial_status",
                "maritalStatus",
                &[
                    ("single", "SINGLE"),
                    ("divorced", "DIVORCED"),
                    ("married", "MARRIED"),
                    ("widowed", "WIDOWED"),
                ],
            ),
            (
                "employment_status",
                "employmentStatus",
                &[
                    ("employed / self-employed", "EMPLOYED"),
                    ("retired", "RETIRED"),
                    ("student", "STUDENT"),
                    ("not employed", "NOT_EMPLOYED"),
                ],
            ),
            ("annual_income", "annualIncome", income),
            (
                "investment_objective",
                "investmentObjective",
                &[
                    ("capital preservation", "CAPITAL_PRESERVATION"),
                    ("growth", "GROWTH"),
                    ("income", "INCOME"),
                    ("speculation", "SPECULATION"),
                ],
            ),
            (
                "investment_experience",
                "investmentExperience",
                &[("none", "NONE"), ("limited", "LIMITED"), ("good", "GOOD"), ("extensive", "EXTENSIVE")],
            ),
            (
                "net_liquid_worth",
                "netLiquidWorth",
                &[
                    ("$0 - $4,999", "UNDER_5K"),
                    ("$5,000 - $99,999", "FROM_5K_TO_100K"),
                    ("$25,000 - $99,999", "FROM_25K_TO_100K"),
                    ("$100,000 - $199,999", "FROM_100K_TO_200K"),
                    ("$200,000+", "OVER_200K"),
                ],
            ),
            ("net_total_worth", "netTotalWorth", income),
            (
                "risk_tolerance",
                "riskTolerance",
                &[
                    ("conservative", "CONSERVATIVE"),
                    ("moderate", "MODERATE"),
                    ("aggressive", "AGGRESSIVE"),
                ],
            ),
        ];
        let query = format!(
            "query($id: ID!) {{ account(id: $id) {{ profile {{ {} }} }} }}",
            options.map(|(_, field, _)| field).join(" ")
        );
        for (name, field, options) in options {
            for (option, value) in options {
                for given in [
                    (*option).to_owned(),
                    format!("  {} ", option.to_uppercase()),
                    option.replace(" - ", "-").replace(" / ", "/"),
                ] {
                    done(&app, "PUT", &account, &json!({ name: given })).await;
                    let stored = app.gql(&query, json!({ "id": opened["id"] })).await;
                    assert_eq!(stored.data()["account"]["profile"][field], json!(value), "{name}");
                    // The same when an account is opened.
                    if given.starts_with(' ') {
                        let another =
                            done(&app, "POST", &path, &with(documented(), name, given.as_str())).await;
                        let stored = app.gql(&query, json!({ "id": another["id"] })).await;
                        assert_eq!(stored.data()["account"]["profile"][field], json!(value), "{name}");
                    }
                }
            }
            let options: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
            let wrong = format!("{name} must be one of: {}", options.join("; "));
            for (method, path, whole) in [("POST", &path, documented()), ("PUT", &account, json!({}))] {
                for bad in ["something else", "0", "sing le?"] {
                    refused(
                        &app,
                        method,
                        path,
                        &with(whole.clone(), name, bad),
                        (400, "validation_error", &wrong),
                    )
                    .await;
                }
                let long = format!("{name} must have at most 100 characters");
                refused(
                    &app,
                    method,
                    path,
                    &with(whole.clone(), name, "x".repeat(101)),
                    (400, "validation_error", &long),
                )
                .await;
                let mistyped = format!("{name} must be a string");
                refused(
                    &app,
                    method,
                    path,
                    &with(whole, name, json!(["single"])),
                    (400, "validation_error", &mistyped),
                )
                .await;
            }
        }
        for (name, value, message) in [
            ("ownership", json!("shared"), "ownership must be individual or joint"),
            ("account_type", json!("savings"), "account_type must be cash or investment"),
            ("country_of_citizenship", json!("US"), "country_of_citizenship must be a code of 3 letters"),
            ("country_of_citizenship", json!("XYZ"), "country_of_citizenship must be a known code"),
            ("country_of_citizenship", json!("840"), "country_of_citizenship must be a code of 3 letters"),
            (
                "employment_position",
                json!("x".repeat(101)),
                "employment_position must have at most 100 printable characters",
            ),
            ("employment_position", json!("a\u{7}b"), "employment_position must not contain control characters"),
            ("employer_name", json!(7), "employer_name must be a string"),
            ("is_director", json!("yes"), "is_director must be true or false"),
            ("director_of", json!("x".repeat(101)), "director_of must have at most 100 printable characters"),
            ("joint_member", json!("Marry"), "joint_member must be an object"),
        ] {
            refused(
                &app,
                "POST",
                &path,
                &with(documented(), name, value.clone()),
                (400, "validation_error", message),
            )
            .await;
            refused(&app, "PUT", &account, &json!({ name: value }), (400, "validation_error", message)).await;
        }
        for name in [
            "ownership",
            "account_type",
            "martial_status",
            "country_of_citizenship",
            "employment_status",
            "employment_position",
            "employer_name",
        ] {
            refused(
                &app,
                "POST",
                &path,
                &without(&documented(), &[name]),
                (400, "invalid_request", &format!("{name} is required")),
            )
            .await;
        }
        for (given, shown) in [("Individual", "individual"), (" SINGLE ", "individual"), ("Joint", "joint")] {
            let opened = done(&app, "POST", &path, &with(documented(), "ownership", given)).await;
            assert_eq!(opened["ownership"], shown);
        }
        // Both documented spellings of the field.
        let right = with(without(&documented(), &["martial_status"]), "marital_status", "widowed");
        let opened = done(&app, "POST", &path, &with(right, "account_type", "CASH")).await;
        assert_eq!(
            app.get(&format!("/v1/accounts/{}", text(&opened["id"]))).await.body["martial_status"],
            "widowed"
        );
        done(
            &app,
            "PUT",
            &account,
            &json!({ "marital_status": "Divorced", "country_of_citizenship": "fra" }),
        )
        .await;
        let read = app.get(&account).await.body;
        assert_eq!(
            (&read["martial_status"], &read["country_of_citizenship"]),
            (&json!("Divorced"), &json!("fra"))
        );
    }

    async fn converting_to_an_investment_account_requires_every_answer(app: TestApp) {
        let ada = user(&app, "Ada").await;
        let path = format!("/v1/users/{ada}/accounts");
        for field in INVESTING {
            let required = format!("{field} is required");
            let requested = with(without(&documented(), &[field]), "account_type", "investment");
            refused(&app, "POST", &path, &requested, (400, "invalid_request", &required)).await;
            // The same for a cash account with all other answers.
            let opened = done(&app, "POST", &path, &without(&documented(), &[field])).await;
            let account = format!("/v1/accounts/{}", text(&opened["id"]));
            refused(
                &app,
                "PUT",
                &account,
                &json!({ "account_type": "investment" }),
                (400, "invalid_request", &required),
            )
            .await;
            let last = with(only(&documented(), &[field]), "account_type", "Investment");
            assert_eq!(done(&app, "PUT", &account, &last).await["account_type"], "investment");
            assert_eq!(
                done(&app, "PUT", &account, &json!({ "account_type": "cash" })).await["account_type"],
                "cash"
            );
            assert_eq!(
                done(&app, "PUT", &account, &json!({ "account_type": "investment" })).await["account_type"],
                "investment",
                "the answers are still stored"
            );
        }
        let opened = done(&app, "POST", &path, &with(documented(), "account_type", "investment")).await;
        let account = format!("/v1/accounts/{}", text(&opened["id"]));
        refused(
            &app,
            "PUT",
            &account,
            &json!({ "is_director": true }),
            (400, "invalid_request", "director_of is required"),
        )
        .await;
        done(&app, "PUT", &account, &json!({ "is_director": true, "director_of": "Finos Inc (FNS)" })).await;

        let update = |patch: Value| json!({ "accountId": opened["id"], "patch": patch });
        let changed = app.gql(ACCOUNT_UPDATE,
            json!({ "input": update(json!({ "riskTolerance": "CONSERVATIVE", "employerName": "Court" })) })).await;
        let profile = json!({
            "maritalStatus": "SINGLE", "countryOfCitizenship": "USA", "employmentStatus": "EMPLOYED",
            "employmentPosition": "Software Engineer", "employerName": "Court", "annualIncome": "FROM_100K_TO_200K",
            "investmentObjective": "GROWTH", "investmentExperience": "LIMITED", "netLiquidWorth": "FROM_25K_TO_100K",
            "netTotalWorth": "FROM_100K_TO_200K", "isDirector": true, "directorOf": "Finos Inc (FNS)",
            "riskTolerance": "CONSERVATIVE",
        });
        assert_eq!(
            changed.entity("accountUpdate", "account")["profile"],
            profile,
            "omitted fields stay unchanged"
        );
        for field in [
            "annualIncome",
            "investmentObjective",
            "investmentExperience",
            "netLiquidWorth",
            "netTotalWorth",
            "isDirector",
            "directorOf",
            "riskTolerance",
        ] {
            let error = refusal(&app, &app.key, ACCOUNT_UPDATE, &update(json!({ field: null }))).await;
            assert_eq!(
                error,
                ("REQUIRED".to_owned(), json!(["patch", field]), format!("patch.{field} is required"))
            );
        }
        // A cash account may remove answers. Setting `isDirector` to false removes the company.
        let cash = update(json!({ "type": "CASH", "annualIncome": null, "isDirector": false }));
        let changed = app.gql(ACCOUNT_UPDATE, json!({ "input": cash })).await;
        let account = changed.entity("accountUpdate", "account").clone();
        let profile = &account["profile"];
        assert_eq!(
            (&account["type"], &profile["annualIncome"], &profile["directorOf"]),
            (&json!("CASH"), &json!(null), &json!(null))
        );
        assert_eq!(
            (&profile["isDirector"], &profile["netTotalWorth"]),
            (&json!(false), &json!("FROM_100K_TO_200K"))
        );
        for (field, value, code) in [
            ("employerName", "", "REQUIRED"),
            ("countryOfCitizenship", "ZZZ", "INVALID"),
            ("directorOf", "\u{7}", "INVALID"),
        ] {
            let (error, path, _) =
                refusal(&app, &app.key, ACCOUNT_UPDATE, &update(json!({ field: value }))).await;
            assert_eq!((error.as_str(), path), (code, json!(["patch", field])));
        }
    }

    async fn a_repeated_update_is_applied_once(app: TestApp) {
        let ada = app.customer("Ada").await;
        let path = format!("/v1/accounts/{}", ada.account_id);
        let put = |name: &str| {
            app.rest("PUT", &path).header("idempotency-key", "k").json(&json!({ "employer_name": name }))
        };
        let first = send(put("First Inc")).await;
        assert_eq!(first.status, 200);
        let again = send(put("First Inc")).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.headers["idempotent-replayed"], "true");
        let other = send(put("Other Inc")).await;
        assert_eq!((other.status, &other.body["error"]["type"]), (409, &json!("invalid_request")));
        assert_eq!(happened(&app, &ada.account_id).await, ["account.created", "account.updated"]);
        let read = app.key_for(&[Scope::Read]).await;
        let denied =
            send(app.anonymous("PUT", &path).bearer_auth(&read).json(&json!({ "employer_name": 7 }))).await;
        let expected = json!({ "error": { "type": "authentication_error",
            "message": "The credential lacks the scope `manage`." } });
        assert_eq!((denied.status, denied.body), (401, expected), "the scope is checked before the input");
    }

    async fn account_numbers_are_unique(app: TestApp) {
        let ada = user(&app, "Ada").await;
        let mut opened = Vec::new();
        for _ in 0..10 {
            let input = json!({ "input": cash_account(&ada) });
            opened.extend(
                futures_util::future::join_all((0..30).map(|_| app.gql(ACCOUNT_OPEN, input.clone()))).await,
            );
        }
        let numbers: BTreeSet<String> =
            opened.iter().map(|answer| text(&answer.entity("accountOpen", "account")["number"])).collect();
        assert_eq!(numbers.len(), 300);
        for number in numbers {
            let (letters, digits) = number.split_at(4);
            assert!(letters.bytes().all(|byte| byte.is_ascii_uppercase()), "{number}");
            assert!(digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        }
        assert_eq!(account::Entity::find().all(&app.app.db.read).await.unwrap().len(), 300);
    }
}
