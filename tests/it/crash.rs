//! The binary, killed and started again, and how it complains.

use crate::support::{self, Folder, process, process::Process};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};

struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    async fn gql(&self, query: &str, variables: Value) -> Option<Value> {
        let request = self.http.post(format!("{}/graphql", self.url)).bearer_auth(&self.key);
        let answer = request.json(&json!({ "query": query, "variables": variables })).send().await.ok()?;
        let body: Value = answer.json().await.ok()?;
        assert!(body.get("errors").is_none(), "{body}");
        Some(body["data"].clone())
    }

    async fn made(&self, mutation: &str, entity: &str, query: &str, input: Value) -> String {
        let data = self.gql(query, json!({ "input": input })).await.unwrap();
        data[mutation][entity]["id"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned()
    }

    async fn place(&self, account: &str, number: usize) -> Option<String> {
        let input = json!({
            "idempotencyKey": format!("order-{number}"), "accountId": account, "symbol": "VTI", "side": "BUY", "quantity": "0.01",
        });
        let data = self.gql(support::ORDER_PLACE, json!({ "input": input })).await?;
        assert_eq!(data["orderPlace"]["userErrors"], json!([]));
        Some(data["orderPlace"]["order"]["id"].as_str().unwrap().to_owned())
    }

    /// Every order of the account, by id, with its state.
    async fn orders(&self, account: &str) -> HashMap<String, String> {
        let query = "query($id: ID!, $after: String) { account(id: $id) { orders(first: 100, after: $after) {
            edges { node { id status } } pageInfo { hasNextPage endCursor } } } }";
        let (mut orders, mut after) = (HashMap::new(), Value::Null);
        loop {
            let data = self.gql(query, json!({ "id": account, "after": after })).await.unwrap();
            let page = &data["account"]["orders"];
            for edge in page["edges"].as_array().unwrap() {
                let text = |field: &str| edge["node"][field].as_str().unwrap().to_owned();
                assert_eq!(orders.insert(text("id"), text("status")), None);
            }
            if page["pageInfo"]["hasNextPage"] == false {
                return orders;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
}

const ORDERS: usize = 200;

async fn killed_in_the_middle(database: &str) {
    let server = Process::start(database, &["serve", "--empty"]).await;
    let mut client = Client { http: reqwest::Client::new(), url: server.url.clone(), key: process::create_key(database) };
    let user = client.made("userCreate", "user", support::USER_CREATE, support::person("Ada", "Carter")).await;
    let account = client.made("accountOpen", "account", support::ACCOUNT_OPEN, support::cash_account(&user)).await;
    let bank = json!({ "userId": user, "number": "4327843043", "routingNumber": "121042882", "nickname": "Checking" });
    let bank = client.made("bankAccountLink", "bankAccount", support::BANK_ACCOUNT_LINK, bank).await;
    let deposit = |key: &str, amount: &str| json!({ "idempotencyKey": key, "accountId": account, "bankAccountId": bank, "amount": { "amount": amount } });
    client.made("depositCreate", "transfer", support::DEPOSIT_CREATE, deposit("d1", "10000.00")).await;
    let advance = "mutation { sandboxClockAdvance(input: { seconds: 432000 }) { userErrors { message } } }";
    client.gql(advance, json!({})).await.unwrap();
    let later = client.made("depositCreate", "transfer", support::DEPOSIT_CREATE, deposit("d2", "1.00")).await;

    let mut acknowledged = Vec::new();
    {
        let mut placing = stream::iter(0..ORDERS).map(|number| client.place(&account, number)).buffer_unordered(8);
        while let Some(id) = placing.next().await {
            acknowledged.extend(id);
            if acknowledged.len() >= ORDERS / 2 {
                break;
            }
        }
    }
    server.kill();
    assert!(acknowledged.len() >= ORDERS / 2);

    let server = Process::start(database, &["serve", "--empty"]).await;
    assert!(server.ready_after < Duration::from_secs(2), "ready after {:?}", server.ready_after);
    client.url = server.url.clone();
    let survived = client.orders(&account).await;
    assert!(acknowledged.iter().all(|id| survived.contains_key(id)));
    let again: Vec<_> = stream::iter(0..ORDERS).map(|number| client.place(&account, number)).buffer_unordered(8).collect().await;
    let orders = client.orders(&account).await;
    assert_eq!(orders.len(), ORDERS);
    assert!(again.iter().flatten().all(|id| orders.contains_key(id)));

    client.gql(advance, json!({})).await.unwrap();
    for _ in 0..200 {
        if client.orders(&account).await.values().all(|status| status == "FILLED") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(client.orders(&account).await.values().all(|status| status == "FILLED"));
    let settled = client.gql("query($id: ID!) { transfer(id: $id) { status } }", json!({ "id": later })).await.unwrap();
    assert_eq!(settled["transfer"]["status"], "SETTLED");
    assert_eq!(server.terminate(), Some(0));
    let audit = process::run(database, &["audit"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_the_middle_of_orders_loses_and_doubles_nothing_sqlite() {
    let folder = Folder::new();
    killed_in_the_middle(&format!("sqlite:{}", folder.0.join("coffer.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_the_middle_of_orders_loses_and_doubles_nothing_postgres() {
    if let Some(database) = support::postgres_database().await {
        killed_in_the_middle(&database).await;
    }
}

/// Runs a command that must fail and answers with its one line.
fn complaint(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line.trim().to_owned()
}

#[test]
fn what_cannot_work_is_one_line_and_exit_code_one() {
    let folder = Folder::new();
    let database = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let with = |name: &str, value: &str| {
        let mut command = process::coffer(&database);
        command.current_dir(&folder.0).env("COFFER_ADDR", taken.local_addr().unwrap().to_string()).env(name, value);
        complaint(command)
    };
    assert!(with("COFFER_WORKER", "true").starts_with("coffer: cannot listen on 127.0.0.1:"));
    assert!(with("COFFER_PAGE_MOST", "0").contains("page-most"));
    assert_eq!(with("DATABASE_URL", "mysql://localhost/x"), "coffer: DATABASE_URL: must begin with sqlite: or postgres://");
    assert!(with("DATABASE_URL", "postgres://127.0.0.1:1/x").starts_with("coffer: cannot open the database: "));
    assert_eq!(with("COFFER_ENCRYPTION_KEY", "short"), "coffer: COFFER_ENCRYPTION_KEY: must be 64 hexadecimal digits");
    assert_eq!(with("COFFER_ENCRYPTION_KEY", &"08".repeat(32)), "coffer: the database was written with another encryption key");
    assert!(with("COFFER_ENV", "staging").contains("staging"));
}

#[test]
fn keys_and_checks_from_the_command_line() {
    let folder = Folder::new();
    let database = format!("sqlite:{}?mode=ro", folder.0.join("coffer.db").display());
    let key = process::create_key(&database);
    assert!(key.starts_with("sk_test_") && key.lines().count() == 1, "{key}");
    let other = process::run(&database, &["keys", "create", "--partner", "Acme", "--scopes", "read,trade"]);
    assert!(other.status.success(), "{other:?}");
    let live = process::run(&database, &["keys", "create", "--partner", "Real", "--live"]);
    assert!(String::from_utf8(live.stdout).unwrap().starts_with("sk_live_"));
    let clash = process::run(&database, &["keys", "create", "--partner", "Real"]);
    assert_eq!(clash.status.code(), Some(1));
    let doctor = process::run(&database, &["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert_eq!(String::from_utf8(doctor.stdout).unwrap().lines().filter(|line| line.starts_with("ok ")).count(), 7);
}
