//! What the README and the playground show to a newcomer runs as it stands, with ids of earlier answers in place of `…`.

use crate::{
    kyc_documents::{applicant, documented},
    support::{Answer, TestApp, on_both, socket::Socket},
};
use coffer::domain::Scope;
use serde_json::{Value, json};
use std::collections::HashMap;

const README: &str = include_str!("../../README.md");

/// The GraphQL of one section.
fn shown_under(heading: &str) -> String {
    let (_, rest) = README.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```graphql\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// The samples as the page has them.
async fn playground(app: &TestApp) -> Vec<String> {
    let page = app.get("/playground").await.body["not_json"].as_str().unwrap().to_owned();
    let (_, rest) = page.split_once(r#"id="settings">"#).unwrap();
    let settings: Value = serde_json::from_str(rest.split("</script>").next().unwrap()).unwrap();
    settings["queries"].as_array().unwrap().iter().map(|query| query.as_str().unwrap().to_owned()).collect()
}

/// The operations by their names, or by their kinds where they have none, in order; those in comments as well.
fn operations(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = 0;
    for line in text.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [kind @ ("mutation" | "query" | "subscription"), name, ..] if open == 0 && line.ends_with(['{', '}', '(']) => {
                let name = if *name == "{" { kind } else { name };
                found.push(((*name).to_owned(), String::new()));
            }
            _ if open == 0 => continue,
            _ => {}
        }
        let (_, operation) = found.last_mut().unwrap();
        operation.push_str(line);
        operation.push('\n');
        open += line.matches(['{', '(']).count();
        open -= line.matches(['}', ')']).count();
    }
    assert_eq!(open, 0, "{text}");
    found
}

/// Somebody who copies from the answers into the next operation.
#[derive(Default)]
struct Newcomer {
    seen: HashMap<&'static str, String>,
}

impl Newcomer {
    async fn run(&mut self, app: &TestApp, credential: Option<&str>, operation: &str) -> Answer {
        let filled = self
            .seen
            .iter()
            .fold(operation.to_owned(), |text, (name, value)| text.replace(&format!("{name}: \"…\""), &format!("{name}: \"{value}\"")));
        assert!(!filled.contains('…'), "{filled}");
        let answer = app.gql_as(credential, &filled, json!({})).await;
        for payload in answer.data().as_object().unwrap().values() {
            assert_eq!(payload.get("userErrors").unwrap_or(&json!([])), &json!([]), "{filled}");
            for (name, path) in [
                ("id", "/edges/0/node/id"),
                ("kycId", "/id"),
                ("userId", "/user/id"),
                ("accountId", "/account/id"),
                ("bankAccountId", "/bankAccount/id"),
                ("accountId", "/edges/0/node/accounts/edges/0/node/id"),
                ("accessToken", "/session/accessToken"),
                ("refreshToken", "/session/refreshToken"),
                ("hashCode", "/passcode/hashCode"),
            ] {
                if let Some(value) = payload.pointer(path).and_then(Value::as_str) {
                    self.seen.insert(name, value.to_owned());
                }
            }
            if let Some(text) = payload.pointer("/edges/0/node/text").and_then(Value::as_str) {
                self.seen.insert("passcode", text.chars().filter(char::is_ascii_digit).collect());
            }
        }
        answer
    }

    /// Every step from sign-up to sign-in; `door` is what stands under Headers before there is a token.
    async fn way_in(&mut self, app: &TestApp, door: Option<&str>, text: &str, email: &str, last4: &str) {
        let operations = operations(text);
        let names: Vec<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SignUp", "SendPasscode", "ReadPasscode", "VerifyPasscode", "Me", "SignIn"]);
        for (name, operation) in &operations {
            let token = self.seen.get("accessToken").cloned();
            let credential = match name.as_str() {
                "SignUp" | "SignIn" => door,
                "ReadPasscode" => Some(app.key.as_str()),
                _ => token.as_deref(),
            };
            let answer = self.run(app, credential, operation).await;
            let data = answer.data();
            match name.as_str() {
                "SignUp" => {
                    assert_eq!(data["userSignUp"]["session"]["twoFactor"]["isPassed"], false);
                    let early = app.gql_as(Some(&self.seen["accessToken"]), "{ viewer { id } }", json!({})).await;
                    assert_eq!(early.error_code(), "TWO_FACTOR_REQUIRED");
                }
                "SendPasscode" => assert_eq!(data["passcodeSend"]["passcode"]["phoneLast4"], last4),
                "ReadPasscode" => assert_eq!(self.seen["passcode"].len(), 6, "{data}"),
                "VerifyPasscode" => assert_eq!(data["passcodeVerify"]["twoFactor"]["isPassed"], true),
                "Me" => assert_eq!(data["viewer"], json!({ "email": email, "twoFactorMethods": ["SMS"] })),
                _ => assert_eq!(
                    data["userSignIn"]["session"]["twoFactor"],
                    json!({ "isPassed": false, "methods": ["SMS"], "phoneLast4": last4 })
                ),
            }
        }
    }
}

on_both! {
    async fn the_readmes_customer_buys_shares(app: TestApp) {
        let mut newcomer = Newcomer::default();
        let operations = operations(&shown_under("A customer, from nothing to shares"));
        let names: Vec<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Register", "Open", "Link", "Deposit", "Wait", "Buy", "subscription"]);
        for (_, operation) in &operations[..5] {
            newcomer.run(&app, Some(&app.key), operation).await;
        }
        let mut live = Socket::join(&app, Some(&app.key)).await;
        live.subscribe("1", &operations[6].1, json!({})).await;
        let bought = newcomer.run(&app, Some(&app.key), &operations[5].1).await;
        let event = live.next().await["orderChanged"].clone();
        assert_eq!((&event["type"], &event["order"]["id"]), (&json!("order.accepted"), &bought.entity("orderPlace", "order")["id"]));
    }

    async fn a_reviewer_decides_as_the_readme_shows(app: TestApp) {
        let section = shown_under("Reviewing identity checks");
        let operations = operations(&section);
        let names: Vec<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Waiting", "Look", "Decide"]);
        let rita = applicant(&app, &app.key, "Review").await;
        assert_eq!(app.post(&rita.path(), documented(b"%PDF-1.7")).await.status, 200);
        let command = README.split("`coffer keys create --scopes ").nth(1).unwrap().split('`').next().unwrap();
        let scopes: Vec<Scope> = command.split(' ').next().unwrap().split(',').map(|name| Scope::parse(name).unwrap()).collect();
        let key = app.key_for(&scopes).await;
        let mut reviewer = Newcomer::default();
        reviewer.run(&app, Some(&key), &operations[0].1).await;
        let seen = reviewer.run(&app, Some(&key), &operations[1].1).await.data()["node"].clone();
        assert_eq!([&seen["id"], &seen["applicant"]["lastName"], &seen["outcome"]], [&json!(rita.kyc_id), &json!("Review"), &json!("MANUAL_REVIEW")]);
        assert!(seen["checks"].as_array().is_some_and(|checks| checks.len() > 5));
        let url = seen["documents"][0]["url"].as_str().unwrap();
        assert_eq!(crate::support::client().get(url).send().await.unwrap().bytes().await.unwrap(), "%PDF-1.7");
        let decided = reviewer.run(&app, Some(&key), &operations[2].1).await;
        assert_eq!(decided.entity("kycApprove", "kyc")["outcome"], "APPROVED");
        let denial = operations[2].1.replace("kycApprove", "kycDeny").replace('…', &rita.kyc_id);
        assert_eq!(app.gql_as(Some(&key), &denial, json!({})).await.user_error("kycDeny")["code"], "KYC_NOT_OPEN");
    }

    async fn people_sign_in_as_the_readme_and_the_playground_show(app: TestApp) {
        let key = app.key.clone();
        let section = shown_under("People who sign in");
        let mut katherine = Newcomer::default();
        katherine.way_in(&app, None, &section, "katherine@example.com", "0107").await;
        app.long_ago("passcode", "sent_at", 31).await;
        let token = katherine.seen["accessToken"].clone();
        let sent = katherine.run(&app, Some(&token), "mutation { passcodeSend(input: {}) { passcode { phoneLast4 } userErrors { code } } }").await;
        assert_eq!(sent.entity("passcodeSend", "passcode"), &json!({ "phoneLast4": "0107" }));
        let renew = "mutation { tokenRefresh(input: { refreshToken: \"…\" }) { session { userId } userErrors { code } } }";
        katherine.run(&app, None, renew).await;
        // In the playground the key is preset.
        let samples = playground(&app).await;
        Newcomer::default().way_in(&app, Some(&key), &samples[3], "annie@example.com", "0108").await;
    }

    async fn the_playgrounds_tabs_run_in_their_order(app: TestApp) {
        let samples = playground(&app).await;
        app.funded_customer("Ada", "1000.00").await;
        let mut newcomer = Newcomer::default();
        newcomer.run(&app, Some(&app.key), &samples[0]).await;
        let bought = newcomer.run(&app, Some(&app.key), &samples[1]).await;
        let order = bought.entity("orderPlace", "order").clone();
        let again = newcomer.run(&app, Some(&app.key), &samples[1]).await;
        assert_eq!(again.entity("orderPlace", "order")["id"], order["id"]);
        let mut live = Socket::join(&app, Some(&app.key)).await;
        live.subscribe("1", &samples[2], json!({})).await;
        assert_eq!(live.next().await["orderChanged"]["order"]["quantity"], "1.5");
        let signed_up = app.gql(&samples[3], json!({})).await;
        assert_eq!(signed_up.entity("userSignUp", "session")["twoFactor"]["isPassed"], false);
    }
}
