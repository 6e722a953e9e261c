//! Crashes at random points under deposits, orders and withdrawals: what was acknowledged exists exactly once, and the
//! books add up after each of them.

use crate::{
    server::process::{advance, create, customer, graphql},
    support::{
        Customer, DEPOSIT_CREATE, ORDER_PLACE, WITHDRAWAL_CREATE, client, databases,
        postgres::setting,
        process::{Process, create_key, run},
        random::{self, Random},
    },
};
use entity::Money;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const CLIENTS: usize = 6;
const CUSTOMERS: usize = 3;
/// Acknowledgements between two crashes.
const BETWEEN: usize = 20;
const LATEST: Duration = Duration::from_secs(120);

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Deposit,
    Buy,
    Sell,
    Withdraw,
}

impl Work {
    const ALL: [Self; 4] = [Self::Deposit, Self::Buy, Self::Sell, Self::Withdraw];

    /// Returns the mutation, its name, the name of what it creates, and its input.
    fn request(self, key: &str, customer: &Customer) -> (&'static str, &'static str, &'static str, Value) {
        let order = |side| ("orderPlace", "order", customer.order(key, side, "VTI", "0.01"));
        let (document, (mutation, entity, input)) = match self {
            Self::Deposit => (DEPOSIT_CREATE, ("depositCreate", "transfer", customer.deposit(key, "20.00"))),
            Self::Buy => (ORDER_PLACE, order("BUY")),
            Self::Sell => (ORDER_PLACE, order("SELL")),
            Self::Withdraw => {
                (WITHDRAWAL_CREATE, ("withdrawalCreate", "transfer", customer.deposit(key, "1.00")))
            }
        };
        (document, mutation, entity, input)
    }
}

/// Clients that repeat each request with the same key until it is answered.
struct Load {
    client: reqwest::Client,
    url: Mutex<String>,
    key: String,
    customers: Vec<Customer>,
    /// Ids of the deposits before the first crash.
    funded: BTreeSet<String>,
    /// Ids of what was created, by kind of work and key.
    created: Mutex<BTreeMap<(Work, String), String>>,
    refused: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }

    fn acknowledged(&self) -> usize {
        self.created.lock().unwrap().len()
    }

    /// Returns the id of what was created, or the code of the refusal; none if there is no answer yet.
    async fn ask(&self, work: Work, key: &str, customer: &Customer) -> Option<Result<String, String>> {
        let (document, mutation, entity, input) = work.request(key, customer);
        let body = json!({ "query": document, "variables": { "input": input } });
        let request = self.client.post(format!("{}/graphql", self.url())).bearer_auth(&self.key).json(&body);
        let body = request.send().await.ok()?.json::<Value>().await.ok()?;
        if let Some(error) = body["errors"].get(0) {
            assert!(error["extensions"]["retryAfter"].is_u64(), "{body}");
            return None;
        }
        let answer = &body["data"][mutation];
        if let Some(id) = answer[entity]["id"].as_str() {
            return Some(Ok(id.to_owned()));
        }
        let code = answer["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("{body}"));
        (code != "IDEMPOTENCY_IN_PROGRESS").then(|| Err(code.to_owned()))
    }

    async fn run(&self, number: usize, mut random: Random) {
        let customer = &self.customers[number % CUSTOMERS];
        for turn in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let (work, key) = (*random.pick(&Work::ALL), format!("{number}-{turn}"));
            let answer = loop {
                match self.ask(work, &key, customer).await {
                    Some(answer) => break answer,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            match answer {
                Ok(id) => assert_eq!(self.created.lock().unwrap().insert((work, key), id), None),
                Err(code) => {
                    assert!(
                        ["INSUFFICIENT_POSITION", "INSUFFICIENT_FUNDS", "INSUFFICIENT_BUYING_POWER"]
                            .contains(&code.as_str()),
                        "{work:?}: {code}"
                    );
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    async fn until_acknowledged(&self, count: usize) {
        let began = Instant::now();
        while self.acknowledged() < count {
            assert!(began.elapsed() < LATEST, "requests are no longer acknowledged");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Returns all items of a connection of an account.
    async fn list(&self, customer: &Customer, connection: &str, fields: &str) -> Vec<Value> {
        let query = format!(
            "query($id: ID!, $after: String) {{ account(id: $id) {{ {connection}(first: 100, after: $after) {{ edges \
             {{ node {{ {fields} }} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let variables = json!({ "id": customer.account_id, "after": after });
            let data = graphql(&self.client, &self.url(), &self.key, &query, variables).await.unwrap();
            let page = &data["account"][connection];
            found.extend(page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()));
            if page["pageInfo"]["hasNextPage"] != true {
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
}

fn cents(amount: &Value) -> i64 {
    amount["amount"].as_str().unwrap().parse::<Money>().unwrap().units()
}

#[track_caller]
fn require_sound_books(database_url: &str) {
    let audit = run(database_url, &["audit"]);
    let printed = String::from_utf8(audit.stdout).unwrap();
    assert!(printed.ends_with("The books add up and nothing was altered.\n"), "{printed}");
}

/// Compares what was acknowledged with what can be read after everything has settled, and the cash of each account with
/// its transfers and fills.
async fn compare(load: &Load) {
    let mut readable = BTreeSet::new();
    for customer in &load.customers {
        let mut expected = 0;
        for transfer in load.list(customer, "transfers", "id direction status amount { amount }").await {
            let amount = cents(&transfer["amount"]);
            expected += match (transfer["direction"].as_str(), transfer["status"].as_str()) {
                (Some("DEPOSIT"), Some("SETTLED")) => amount,
                (Some("WITHDRAWAL"), Some("COMPLETED")) => -amount,
                _ => panic!("{transfer}"),
            };
            let id = transfer["id"].as_str().unwrap().to_owned();
            assert!(load.funded.contains(&id) || readable.insert(id), "{transfer}");
        }
        let fields = "id side status withdrawal { id } fills(first: 9) { edges { node { amount { amount } } } pageInfo \
            { hasNextPage } }";
        for order in load.list(customer, "orders", fields).await {
            assert!(["FILLED", "REJECTED"].contains(&order["status"].as_str().unwrap()), "{order}");
            assert_eq!(order["fills"]["pageInfo"]["hasNextPage"], false, "{order}");
            let fills = order["fills"]["edges"].as_array().unwrap();
            let amount: i64 = fills.iter().map(|fill| cents(&fill["node"]["amount"])).sum();
            expected += if order["side"] == "BUY" { -amount } else { amount };
            // Sales for withdrawals were not asked for.
            if order["withdrawal"].is_null() {
                assert!(readable.insert(order["id"].as_str().unwrap().to_owned()), "{order}");
            }
        }
        let query = "query($id: ID!) { account(id: $id) { balance { settledCash { amount } } } }";
        let variables = json!({ "id": customer.account_id });
        let data = graphql(&load.client, &load.url(), &load.key, query, variables).await.unwrap();
        assert_eq!(cents(&data["account"]["balance"]["settledCash"]), expected);
    }
    let created = load.created.lock().unwrap();
    let ids: BTreeSet<String> = created.values().cloned().collect();
    assert_eq!(ids.len(), created.len(), "two requests were answered with the same object");
    let lost: Vec<_> = ids.difference(&readable).collect();
    let repeated: Vec<_> = readable.difference(&ids).collect();
    assert!(lost.is_empty() && repeated.is_empty(), "lost: {lost:?}, repeated: {repeated:?}");
}

async fn crash(database_url: &str, crashes: usize, seed: u64) {
    let mut random = Random(seed);
    let key = create_key(database_url);
    let start = || {
        Process::start_with(database_url, |command| {
            command.args(["serve", "--empty"]).env("COFFER_REQUESTS_PER_HOUR", "1000000000")
        })
    };
    let mut process = start().await;
    let (client, url) = (client(), process.url.clone());
    let (mut customers, mut funded) = (Vec::new(), BTreeSet::new());
    for number in 0..CUSTOMERS {
        let customer = customer(&client, &url, &key).await;
        let input = customer.deposit(&format!("fund-{number}"), "500.00");
        funded.insert(create(&client, &url, &key, DEPOSIT_CREATE, input, "depositCreate", "transfer").await);
        customers.push(customer);
    }
    advance(&client, &url, &key, 7).await;
    let load = Arc::new(Load {
        client,
        url: Mutex::new(url),
        key,
        customers,
        funded,
        created: Mutex::default(),
        refused: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (load, random) = (load.clone(), Random(random.seed()));
        clients.push(tokio::spawn(async move { load.run(number, random).await }));
    }
    for _ in 0..crashes {
        load.until_acknowledged(load.acknowledged() + 1 + random.below(2 * BETWEEN)).await;
        process.kill();
        require_sound_books(database_url);
        process = start().await;
        *load.url.lock().unwrap() = process.url.clone();
    }
    load.until_acknowledged(load.acknowledged() + BETWEEN).await;
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    advance(&load.client, &load.url(), &load.key, 14).await;
    let kinds =
        Work::ALL.map(|work| load.created.lock().unwrap().keys().filter(|(of, _)| *of == work).count());
    println!(
        "{crashes} crashes: {kinds:?} of {:?} acknowledged, {} refused",
        Work::ALL,
        load.refused.load(Ordering::SeqCst)
    );
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
    let created = load.created.lock().unwrap().clone();
    for ((work, key), id) in created.iter().step_by(10) {
        let client: usize = key.split('-').next().unwrap().parse().unwrap();
        let again = load.ask(*work, key, &load.customers[client % CUSTOMERS]).await;
        assert_eq!(again, Some(Ok(id.clone())), "{work:?} {key}");
    }
    compare(&load).await;
    assert_eq!(process.terminate(), Some(0));
    require_sound_books(database_url);
}

/// `scripts/crashes` crashes a hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_lose_and_repeat_nothing() {
    let crashes = setting("COFFER_TEST_CRASHES").map_or(5, |text| text.parse().unwrap());
    let seed = random::seed();
    println!("crashes: COFFER_TEST_SEED={seed}");
    for (database_url, _folder) in databases().await {
        crash(&database_url, crashes, seed).await;
    }
}
