//! Runs the GraphQL blocks of docs/api.md and the tabs of the playground as printed, with ids from earlier
//! responses in place of `…`.

use crate::{
    compliance::kyc_documents::{applicant, documented},
    manuals::{API, blocks_of},
    support::{Answer, TestApp, on_both, send, socket::Socket},
};
use domain::Scope;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The sections of docs/api.md with GraphQL, each run by a test below.
pub const SECTIONS: [&str; 6] = [
    "Users without a login",
    "Users who sign in",
    "Reviewing identity checks",
    "Dividends and splits",
    "Deposits and withdrawals",
    "Statements",
];

/// Returns the GraphQL blocks of one section.
fn graphql_blocks(section: &str) -> Vec<String> {
    assert!(SECTIONS.contains(&section));
    blocks_of(API)
        .into_iter()
        .filter(|block| block.section == section && block.language == "graphql")
        .map(|block| block.text)
        .collect()
}

/// Returns the samples of the playground page.
async fn playground(app: &TestApp) -> Vec<String> {
    let page = app.get("/playground").await.body["not_json"].as_str().unwrap().to_owned();
    let (_, rest) = page.split_once(r#"id="settings">"#).unwrap();
    let settings: Value = serde_json::from_str(rest.split("</script>").next().unwrap()).unwrap();
    settings["queries"].as_array().unwrap().iter().map(|query| query.as_str().unwrap().to_owned()).collect()
}

/// Returns the operations of a document with their names, in order.
fn operations(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["mutation" | "query" | "subscription", name, ..] if open == 0 => {
                let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
                assert_ne!(name, "", "an operation without a name cannot be selected: {line}");
                found.push((name, String::new()));
            }
            [] => continue,
            _ => assert_ne!(open, 0, "{line}"),
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

/// Returns the names of all operations of these documents.
fn names(documents: &[String]) -> Vec<String> {
    documents.iter().flat_map(|document| operations(document)).map(|(name, _)| name).collect()
}

/// A reader that copies values from responses into the next operation.
#[derive(Default)]
struct Reader {
    seen: HashMap<&'static str, String>,
}

impl Reader {
    /// Fills the values known so far into a document. The operation to run must be complete; later ones need
    /// not be.
    fn filled(&self, document: &str, name: &str) -> Value {
        let fill = |text: &str| {
            self.seen.iter().fold(text.to_owned(), |text, (field, value)| {
                text.replace(&format!("{field}: \"…\""), &format!("{field}: \"{value}\""))
            })
        };
        let (_, operation) = operations(document).into_iter().find(|(one, _)| one == name).unwrap();
        assert!(!fill(&operation).contains('…'), "{operation}");
        json!({ "query": fill(document), "operationName": name })
    }

    /// Sends the whole document and runs one of its operations.
    async fn run(&mut self, app: &TestApp, credential: Option<&str>, document: &str, name: &str) -> Answer {
        let request = app.anonymous("POST", "/graphql").json(&self.filled(document, name));
        let answer =
            send(if let Some(credential) = credential { request.bearer_auth(credential) } else { request })
                .await;
        for payload in answer.data().as_object().unwrap().values() {
            assert_eq!(payload.get("userErrors").unwrap_or(&json!([])), &json!([]), "{name}");
            for (name, path) in [
                ("id", "/edges/0/node/id"),
                ("id", "/edges/0/node/check/id"),
                ("kycId", "/id"),
                ("corporateActionId", "/corporateAction/id"),
                ("userId", "/user/id"),
                ("accountId", "/account/id"),
                ("bankAccountId", "/bankAccount/id"),
                ("accountId", "/edges/0/node/accounts/edges/0/node/id"),
                ("transferId", "/transfer/id"),
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

    /// Starts the only operation of a document on a socket.
    async fn listen(&self, app: &TestApp, document: &str) -> Socket {
        let (name, _) = operations(document).remove(0);
        let mut live = Socket::join(app, Some(&app.key)).await;
        live.say(json!({ "id": "1", "type": "subscribe", "payload": self.filled(document, &name) })).await;
        live
    }

    /// Runs every step from sign-up to sign-in. `first` is the credential to use before there is a token.
    async fn sign_up_and_in(
        &mut self,
        app: &TestApp,
        first: Option<&str>,
        documents: &[String],
        email: &str,
        last4: &str,
    ) {
        assert_eq!(
            names(documents),
            ["SignUp", "SendPasscode", "ReadPasscode", "VerifyPasscode", "Me", "SignIn"]
        );
        let steps = documents
            .iter()
            .flat_map(|document| operations(document).into_iter().map(move |(name, _)| (document, name)));
        for (document, name) in steps {
            let token = self.seen.get("accessToken").cloned();
            let credential = match name.as_str() {
                "SignUp" | "SignIn" => first,
                "ReadPasscode" => Some(app.key.as_str()),
                _ => token.as_deref(),
            };
            let answer = self.run(app, credential, document, &name).await;
            let data = answer.data();
            match name.as_str() {
                "SignUp" => {
                    assert_eq!(data["userSignUp"]["session"]["twoFactor"]["isPassed"], false);
                    let early =
                        app.gql_as(Some(&self.seen["accessToken"]), "{ viewer { id } }", json!({})).await;
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
    async fn a_partner_buys_shares_for_a_user(app: TestApp) {
        let mut reader = Reader::default();
        let blocks = graphql_blocks(SECTIONS[0]);
        assert_eq!(names(&blocks), ["Register", "Open", "Link", "Deposit", "Wait", "Buy", "Watch"]);
        assert_eq!(blocks.len(), 2);
        for name in ["Register", "Open", "Link", "Deposit", "Wait"] {
            reader.run(&app, Some(&app.key), &blocks[0], name).await;
        }
        let mut live = reader.listen(&app, &blocks[1]).await;
        let bought = reader.run(&app, Some(&app.key), &blocks[0], "Buy").await;
        let event = live.next().await["orderChanged"].clone();
        assert_eq!(
            (&event["type"], &event["order"]["id"]),
            (&json!("ORDER_ACCEPTED"), &bought.entity("orderPlace", "order")["id"])
        );
        let id = bought.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        assert_eq!(app.ended(&id).await["status"], "FILLED");

        let [transfers] = graphql_blocks(SECTIONS[4]).try_into().unwrap();
        assert_eq!(names(std::slice::from_ref(&transfers)), ["Withdraw", "Return", "Look"]);
        let withdrawn = reader.run(&app, Some(&app.key), &transfers, "Withdraw").await;
        let withdrawn = withdrawn.entity("withdrawalCreate", "transfer");
        assert_eq!(
            [&withdrawn["status"], &withdrawn["expectedOn"], &withdrawn["mayBeLower"]],
            [&json!("PENDING"), &json!("2026-07-17"), &json!(false)]
        );
        let account = "query($id: ID!) { account(id: $id) { balance { withdrawable { amount } } } }";
        let cents = |answer: Answer| -> i64 {
            let amount = &answer.data()["account"]["balance"]["withdrawable"]["amount"];
            amount.as_str().unwrap().replace('.', "").parse().unwrap()
        };
        let variables = json!({ "id": reader.seen["accountId"] });
        let rest = cents(app.gql(account, variables.clone()).await);
        let returned = reader.run(&app, Some(&app.key), &transfers, "Return").await;
        let returned = returned.entity("sandboxTransferReturn", "transfer").clone();
        assert_eq!(
            [&returned["status"], &returned["lastReturn"]],
            [&json!("RETURNED"), &json!({ "code": "R23", "reason": "Credit entry refused by receiver" })]
        );
        assert_eq!(cents(app.gql(account, variables).await), rest + 25_000);
        let look = reader.run(&app, Some(&app.key), &transfers, "Look").await;
        let steps = &look.data()["transfers"]["edges"][0]["node"]["timeline"];
        let steps: Vec<&str> =
            steps.as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect();
        assert_eq!(steps, ["PENDING", "SUBMITTED", "RETURNED"]);
    }

    async fn an_operator_announces_a_dividend(app: TestApp) {
        let [block] = graphql_blocks(SECTIONS[3]).try_into().unwrap();
        assert_eq!(names(std::slice::from_ref(&block)), ["Announce", "Entitled", "Withdraw"]);
        let mut operator = Reader::default();
        operator.seen.extend([("exOn", "2026-07-15".to_owned()), ("payOn", "2026-07-20".to_owned())]);
        operator.run(&app, Some(&app.key), &block, "Announce").await;
        let listed = async |operator: &mut Reader| {
            let answer = operator.run(&app, Some(&app.key), &block, "Entitled").await;
            answer.data()["corporateActions"]["edges"].clone()
        };
        assert_eq!(
            listed(&mut operator).await[0]["node"],
            json!({ "kind": "CASH_DIVIDEND", "exOn": "2026-07-15", "processedAt": null,
                "entitlements": { "edges": [] } })
        );
        operator.run(&app, Some(&app.key), &block, "Withdraw").await;
        assert_eq!(listed(&mut operator).await, json!([]));
    }

    async fn a_statement_is_made_for_some_days(app: TestApp) {
        let [block] = graphql_blocks(SECTIONS[5]).try_into().unwrap();
        assert_eq!(names(std::slice::from_ref(&block)), ["Make", "Statements"]);
        let ada = app.funded_customer("Ada", "100.00").await;
        app.advance_to("2026-07-20T16:00:00Z").await;
        let mut reader = Reader::default();
        reader.seen.extend([
            ("accountId", ada.account_id),
            ("periodStart", "2026-07-10".to_owned()),
            ("periodEnd", "2026-07-17".to_owned()),
        ]);
        reader.run(&app, Some(&app.key), &block, "Make").await;
        let listed = reader.run(&app, Some(&app.key), &block, "Statements").await;
        let made = &listed.data()["accounts"]["edges"][0]["node"]["statements"]["edges"][0]["node"];
        assert_eq!(
            [&made["periodStart"], &made["periodEnd"], &made["closingBalance"]["amount"]],
            [&json!("2026-07-10"), &json!("2026-07-17"), &json!("100.00")]
        );
        for field in ["url", "csv", "json"] {
            let url = made[field].as_str().unwrap();
            assert_eq!(crate::support::client().get(url).send().await.unwrap().status(), 200, "{field}");
        }
    }

    async fn a_reviewer_approves_an_identity_check(app: TestApp) {
        let blocks = graphql_blocks(SECTIONS[2]);
        assert_eq!(names(&blocks), ["Apply", "Waiting", "Look", "Decide"]);
        let [apply, waiting, look, decide] = blocks.try_into().unwrap();
        let rita = applicant(&app, &app.key, "Review").await;
        assert_eq!(app.post(&rita.path(), documented(b"%PDF-1.7")).await.status, 200);
        let mary = Reader::default().run(&app, Some(&app.key), &apply, "Apply").await;
        assert_eq!(mary.entity("userCreate", "user")["status"], "DOCUMENTATION_REQUIRED");
        let command =
            API.split("`coffer keys create --scopes ").nth(1).unwrap().split('`').next().unwrap();
        let scopes: Vec<Scope> =
            command.split(' ').next().unwrap().split(',').map(|name| Scope::parse(name).unwrap()).collect();
        let key = app.key_for(&scopes).await;
        let mut reviewer = Reader::default();
        reviewer.run(&app, Some(&key), &waiting, "Waiting").await;
        let seen = reviewer.run(&app, Some(&key), &look, "Look").await.data()["node"].clone();
        assert_eq!(
            [&seen["id"], &seen["applicant"]["lastName"], &seen["outcome"]],
            [&json!(rita.kyc_id), &json!("Review"), &json!("MANUAL_REVIEW")]
        );
        assert!(seen["checks"].as_array().is_some_and(|checks| checks.len() > 5));
        let url = seen["documents"][0]["url"].as_str().unwrap();
        assert_eq!(
            crate::support::client().get(url).send().await.unwrap().bytes().await.unwrap(),
            "%PDF-1.7"
        );
        let decided = reviewer.run(&app, Some(&key), &decide, "Decide").await;
        assert_eq!(decided.entity("kycApprove", "kyc")["outcome"], "APPROVED");
        let denial = decide.replace("kycApprove", "kycDeny").replace('…', &rita.kyc_id);
        assert_eq!(
            app.gql_as(Some(&key), &denial, json!({})).await.user_error("kycDeny")["code"],
            "KYC_NOT_OPEN"
        );
    }

    async fn users_sign_up_and_in(app: TestApp) {
        let key = app.key.clone();
        let mut katherine = Reader::default();
        katherine
            .sign_up_and_in(&app, None, &graphql_blocks(SECTIONS[1]), "katherine@example.com", "0107")
            .await;
        app.backdate("passcode", "sent_at", 31).await;
        let token = katherine.seen["accessToken"].clone();
        let again =
            "mutation Again { passcodeSend(input: {}) { passcode { phoneLast4 } userErrors { code } } }";
        let sent = katherine.run(&app, Some(&token), again, "Again").await;
        assert_eq!(sent.entity("passcodeSend", "passcode"), &json!({ "phoneLast4": "0107" }));
        let renew = "mutation Renew { tokenRefresh(input: { refreshToken: \"…\" }) { session { userId } \
            userErrors { code } } }";
        katherine.run(&app, None, renew, "Renew").await;
        // In the playground the key is preset.
        let samples = playground(&app).await;
        Reader::default().sign_up_and_in(&app, Some(&key), &samples[3..], "annie@example.com", "0108").await;
    }

    async fn the_tabs_of_the_playground_run_in_order(app: TestApp) {
        let samples = playground(&app).await;
        assert_eq!(names(&samples)[..4], ["Customers", "Buy", "Watch", "SignUp"]);
        app.funded_customer("Ada", "1000.00").await;
        let mut reader = Reader::default();
        reader.run(&app, Some(&app.key), &samples[0], "Customers").await;
        let bought = reader.run(&app, Some(&app.key), &samples[1], "Buy").await;
        let order = bought.entity("orderPlace", "order").clone();
        let again = reader.run(&app, Some(&app.key), &samples[1], "Buy").await;
        assert_eq!(again.entity("orderPlace", "order")["id"], order["id"]);
        let mut live = reader.listen(&app, &samples[2]).await;
        assert_eq!(live.next().await["orderChanged"]["order"]["quantity"], "1.5");
        let signed_up = reader.run(&app, Some(&app.key), &samples[3], "SignUp").await;
        assert_eq!(signed_up.entity("userSignUp", "session")["twoFactor"]["isPassed"], false);
    }
}
