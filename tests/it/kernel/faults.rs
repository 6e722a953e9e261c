//! Disk, database and process faults under load: every acknowledged deposit exists exactly once, also after a
//! restart, and requests are refused in time while the database is unavailable.

use crate::{
    server::process::customer,
    support::{
        ACCOUNT_OPEN, Customer, DEPOSIT_CREATE, ORDER_PLACE, TestApp, USER_CREATE, cash_account, client,
        disk::Disk,
        on_both, person,
        postgres::{OwnServer, server},
        process::{Process, coffer, create_key, run},
        random::{self, Random},
    },
};
use entity::meta;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectOptions, ConnectionTrait, Database as Connect,
    DatabaseConnection, EntityTrait,
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    fs::OpenOptions,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const CLIENTS: usize = 8;
const CUSTOMERS: usize = 4;
/// How often each fault happens, and how many deposits are acknowledged in each round.
const ROUNDS: usize = 2;
const PER_ROUND: usize = 500;
/// Time limits for a refusal and for a response of `/readyz`.
const REFUSED_WITHIN: Duration = Duration::from_secs(8);
const READY_ANSWERS_WITHIN: Duration = Duration::from_millis(2500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    DiskFull,
    ReadOnly,
    /// Every write to a file fails (SQLite).
    WriteError,
    Locked,
    /// PostgreSQL itself is stopped, is killed, or keeps connections open without responding.
    DatabaseStopped,
    DatabaseKilled,
    DatabaseFrozen,
    Stopped,
    Killed,
}

/// The server's database and disk, and how to break them.
enum Database {
    Sqlite(Disk),
    /// In this order, so that PostgreSQL is dropped before its disk.
    Postgres(OwnServer, Disk),
}

/// Files of an SQLite database; the shared-memory file contains no data.
const FILES: [&str; 2] = ["coffer.db", "coffer.db-wal"];

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(disk) => format!("sqlite:{}", disk.path().join("coffer.db").display()),
            Self::Postgres(server, _) => server.url(),
        }
    }

    fn disk(&self) -> &Disk {
        match self {
            Self::Sqlite(disk) | Self::Postgres(_, disk) => disk,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![Fault::Locked, Fault::Stopped, Fault::Killed];
        match self {
            Self::Sqlite(_) => faults.push(Fault::WriteError),
            Self::Postgres(..) => {
                faults.extend([
                    Fault::ReadOnly,
                    Fault::DatabaseStopped,
                    Fault::DatabaseKilled,
                    Fault::DatabaseFrozen,
                ]);
            }
        }
        if self.disk().is_mounted() {
            faults.push(Fault::DiskFull);
            if matches!(self, Self::Sqlite(_)) {
                faults.push(Fault::ReadOnly);
            }
        }
        faults
    }

    /// Starts the server so that a write beyond the file size limit fails instead of ending the process.
    async fn serve(&self) -> Process {
        let inner = coffer(&self.url());
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap '' XFSZ; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_coffer"),
            "serve",
            "--empty",
        ]);
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // The log is on the same disk and is affected by the same faults.
        let log =
            OpenOptions::new().create(true).append(true).open(self.disk().path().join("coffer.log")).unwrap();
        command
            .env("COFFER_REQUESTS_PER_HOUR", "1000000000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Process::launch(command).await
    }

    /// Opens a connection that prevents other writes until it is dropped.
    async fn locked(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.url());
        options.max_connections(1).sqlx_logging(false);
        let connection = Box::pin(Connect::connect(options)).await.unwrap();
        let lock = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(..) => "BEGIN; LOCK TABLE meta, audit_log IN ACCESS EXCLUSIVE MODE",
        };
        connection.execute_unprepared(lock).await.unwrap();
        connection
    }
}

/// Result of one request.
enum Outcome {
    Created(String),
    /// Refused for now, as documented.
    Refused,
    /// There was no response because the process has ended.
    Gone,
}

/// Clients that deposit money; each repeats a deposit with the same key until it is acknowledged.
struct Load {
    client: reqwest::Client,
    url: Mutex<String>,
    key: String,
    customers: Vec<Customer>,
    acknowledged: Mutex<HashMap<String, String>>,
    count: AtomicUsize,
    refused: AtomicUsize,
    gone: AtomicUsize,
    slowest: Mutex<Duration>,
    /// Unexpected responses.
    wrong: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Load {
    fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }

    fn customer_of(&self, key: &str) -> &Customer {
        let client: usize = key.split('-').next().unwrap().parse().unwrap();
        &self.customers[client % CUSTOMERS]
    }

    /// Even clients use GraphQL, odd ones REST.
    async fn deposit(&self, key: &str) -> Outcome {
        let started_at = Instant::now();
        let customer = self.customer_of(key);
        let by_graphql = key.split('-').next().unwrap().parse::<usize>().unwrap().is_multiple_of(2);
        let request = if by_graphql {
            let body =
                json!({ "query": DEPOSIT_CREATE, "variables": { "input": customer.deposit(key, "1.00") } });
            self.client.post(format!("{}/graphql", self.url())).json(&body)
        } else {
            let body = json!({ "account_id": customer.account_id, "bank_account_id": customer.bank_account_id,
                "amount": "1.00" });
            self.client.post(format!("{}/v1/deposits", self.url())).header("idempotency-key", key).json(&body)
        };
        let Ok(response) = request.bearer_auth(&self.key).send().await else { return Outcome::Gone };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let Ok(body) = response.json::<Value>().await else { return Outcome::Gone };
        let retry = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let id = if by_graphql { &body["data"]["depositCreate"]["transfer"]["id"] } else { &body["id"] };
        if let (200 | 201, Some(id)) = (status, id.as_str()) {
            return Outcome::Created(id.to_owned());
        }
        let took = started_at.elapsed();
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
        let in_progress = body["data"]["depositCreate"]["userErrors"][0]["code"] == "IDEMPOTENCY_IN_PROGRESS"
            || status == 409;
        let error = &body["errors"][0]["extensions"];
        let unavailable = if by_graphql {
            ["UNAVAILABLE", "TIMEOUT"].contains(&error["code"].as_str().unwrap_or_default())
                && error["retryAfter"].as_u64() == retry
        } else {
            status == 503
                && ["api_connection", "api_error"]
                    .contains(&body["error"]["type"].as_str().unwrap_or_default())
        };
        if !(in_progress || unavailable && retry.is_some()) || took > REFUSED_WITHIN {
            self.wrong.lock().unwrap().push(format!("after {took:?}: {status} {headers:?} {body}"));
        }
        Outcome::Refused
    }

    /// Places an order that is refused because the account has no settled cash; the refusal is stored with
    /// its key.
    async fn refused_order(&self, key: &str) {
        let body = json!({ "query": ORDER_PLACE,
            "variables": { "input": self.customer_of(key).order(key, "BUY", "VTI", "1") } });
        let answer = self
            .client
            .post(format!("{}/graphql", self.url()))
            .bearer_auth(&self.key)
            .json(&body)
            .send()
            .await;
        let Ok(answer) = answer else { return };
        let Ok(body) = answer.json::<Value>().await else { return };
        if !body["data"]["orderPlace"]["order"].is_null() {
            self.wrong.lock().unwrap().push(format!("an order was placed: {body}"));
        }
    }

    async fn run(&self, number: usize) {
        for turn in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("{number}-{turn}");
            if turn % 10 == 0 {
                self.refused_order(&format!("{number}-order-{turn}")).await;
            }
            loop {
                match self.deposit(&key).await {
                    Outcome::Created(id) => {
                        self.acknowledged.lock().unwrap().insert(key, id);
                        self.count.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                    Outcome::Refused => self.refused.fetch_add(1, Ordering::SeqCst),
                    Outcome::Gone => self.gone.fetch_add(1, Ordering::SeqCst),
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn until_acknowledged(&self, count: usize) {
        let started_at = Instant::now();
        while self.count.load(Ordering::SeqCst) < count {
            assert!(
                started_at.elapsed() < Duration::from_secs(120),
                "deposits are no longer acknowledged: {:?}",
                self.wrong.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until `/readyz` responds with this status, and checks that each response arrives in time.
    async fn until_ready_is(&self, status: u16) {
        let started_at = Instant::now();
        loop {
            let requested_at = Instant::now();
            let answer = self.client.get(format!("{}/readyz", self.url())).send().await.unwrap();
            assert!(
                requested_at.elapsed() < READY_ANSWERS_WITHIN,
                "/readyz took {:?}",
                requested_at.elapsed()
            );
            if answer.status() == status {
                assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
                return;
            }
            assert!(started_at.elapsed() < Duration::from_secs(60), "/readyz did not respond with {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the ids of all deposits that can be read.
    async fn readable(&self) -> HashSet<String> {
        let query = "query($id: ID!, $after: String) { account(id: $id) {
            transfers(first: 100, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } } }";
        let mut found = HashSet::new();
        for customer in &self.customers {
            let mut after = Value::Null;
            loop {
                let body =
                    json!({ "query": query, "variables": { "id": customer.account_id, "after": after } });
                let answer = self
                    .client
                    .post(format!("{}/graphql", self.url()))
                    .bearer_auth(&self.key)
                    .json(&body)
                    .send()
                    .await
                    .unwrap();
                let body: Value = answer.json().await.unwrap();
                let page = &body["data"]["account"]["transfers"];
                for edge in page["edges"].as_array().unwrap_or_else(|| panic!("{body}")) {
                    assert!(
                        found.insert(edge["node"]["id"].as_str().unwrap().to_owned()),
                        "a deposit is listed twice"
                    );
                }
                if page["pageInfo"]["hasNextPage"] != true {
                    break;
                }
                after = page["pageInfo"]["endCursor"].clone();
            }
        }
        found
    }
}

/// Causes one fault, waits until clients and `/readyz` are affected, then ends it and waits until the server
/// is ready.
async fn strike(database: &Database, fault: Fault, process: &mut Option<Process>, load: &Load) {
    let id = process.as_ref().unwrap().id().to_string();
    let limit = |size: &str| {
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={size}:")]).status().unwrap();
        assert!(set.success());
    };
    let affected = async || {
        let refused = load.refused.load(Ordering::SeqCst);
        load.until_ready_is(503).await;
        while load.refused.load(Ordering::SeqCst) == refused {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match (fault, database) {
        (Fault::DiskFull, Database::Sqlite(disk)) => {
            disk.fill();
            affected().await;
            disk.free();
        }
        (Fault::DiskFull, Database::Postgres(server, disk)) => {
            disk.fill();
            affected().await;
            disk.free();
            server.start_again();
        }
        (Fault::ReadOnly, Database::Sqlite(disk)) => {
            disk.freeze(&FILES, true);
            affected().await;
            disk.freeze(&FILES, false);
        }
        (Fault::ReadOnly, Database::Postgres(server, _)) => {
            server.set("default_transaction_read_only = on");
            affected().await;
            server.set("default_transaction_read_only = off");
        }
        (Fault::WriteError, _) => {
            limit("0");
            affected().await;
            limit("unlimited");
        }
        (Fault::Locked, _) => {
            let lock = database.locked().await;
            affected().await;
            lock.close().await.unwrap();
        }
        (Fault::DatabaseStopped, Database::Postgres(server, _)) => {
            server.stop();
            affected().await;
            server.start_again();
        }
        (Fault::DatabaseKilled, Database::Postgres(server, _)) => {
            server.kill();
            affected().await;
            server.start_again();
        }
        (Fault::DatabaseFrozen, Database::Postgres(server, _)) => {
            server.freeze(true);
            affected().await;
            server.freeze(false);
        }
        (Fault::Stopped | Fault::Killed, _) => {
            let running = process.take().unwrap();
            if fault == Fault::Stopped {
                let stopped = tokio::task::spawn_blocking(|| running.terminate()).await.unwrap();
                assert_eq!(stopped, Some(0));
            } else {
                running.kill();
            }
            let started = database.serve().await;
            *load.url.lock().unwrap() = started.url.clone();
            *process = Some(started);
        }
        (Fault::DatabaseStopped | Fault::DatabaseKilled | Fault::DatabaseFrozen, Database::Sqlite(_)) => {
            unreachable!()
        }
    }
    load.until_ready_is(200).await;
}

async fn faults_in_random_order(database: Database) {
    let seed = random::seed();
    println!("faults: COFFER_TEST_SEED={seed}");
    let mut random = Random(seed);
    let url = database.url();
    let key = create_key(&url);
    let mut process = Some(database.serve().await);
    let server = process.as_ref().unwrap().url.clone();
    let client = client();
    let mut customers = Vec::new();
    for _ in 0..CUSTOMERS {
        customers.push(customer(&client, &server, &key).await);
    }
    let load = Arc::new(Load {
        client,
        url: Mutex::new(server),
        key,
        customers,
        acknowledged: Mutex::default(),
        count: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
        gone: AtomicUsize::new(0),
        slowest: Mutex::default(),
        wrong: Mutex::default(),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let load = load.clone();
            tokio::spawn(async move { load.run(number).await })
        })
        .collect();

    let mut order: Vec<Fault> = (0..ROUNDS).flat_map(|_| database.faults()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    let mut around: HashMap<Fault, usize> = HashMap::new();
    for fault in order {
        let (started_at, before) = (Instant::now(), load.count.load(Ordering::SeqCst));
        let (refused, gone) = (load.refused.load(Ordering::SeqCst), load.gone.load(Ordering::SeqCst));
        load.until_acknowledged(before + 50 + random.below(PER_ROUND - 100)).await;
        let struck_at = Instant::now();
        strike(&database, fault, &mut process, &load).await;
        let duration = struck_at.elapsed();
        load.until_acknowledged(before + PER_ROUND).await;
        let acknowledged = load.count.load(Ordering::SeqCst) - before;
        *around.entry(fault).or_default() += acknowledged;
        println!(
            "{fault:?}: {acknowledged} acknowledged, {} refused, {} unanswered, in {:?} of which \
                {duration:?} until ready again",
            load.refused.load(Ordering::SeqCst) - refused,
            load.gone.load(Ordering::SeqCst) - gone,
            started_at.elapsed()
        );
        let wrong = load.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{fault:?}: {} answers, such as {}", wrong.len(), wrong[0]);
    }
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    println!(
        "slowest refusal: {:?}; acknowledged around each fault: {around:?}",
        load.slowest.lock().unwrap()
    );
    assert!(around.values().all(|acknowledged| *acknowledged >= 1_000), "{around:?}");

    let acknowledged = load.acknowledged.lock().unwrap().clone();
    let ids: HashSet<String> = acknowledged.values().cloned().collect();
    assert_eq!(ids.len(), acknowledged.len());
    let readable = load.readable().await;
    assert_eq!(
        (ids.difference(&readable).count(), readable.difference(&ids).count()),
        (0, 0),
        "acknowledged and readable differ"
    );

    process.take().unwrap().kill();
    let started = database.serve().await;
    *load.url.lock().unwrap() = started.url.clone();
    assert_eq!(load.readable().await, ids);
    for (key, id) in acknowledged.iter().take(100) {
        let Outcome::Created(again) = load.deposit(key).await else {
            panic!("{key} was not acknowledged again")
        };
        assert_eq!(again, *id);
    }
    assert_eq!(started.terminate(), Some(0));
    let audit = run(&url, &["audit"]);
    let printed = String::from_utf8(audit.stdout).unwrap();
    assert!(
        audit.status.success() && printed.ends_with("The books add up and nothing was altered.\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_loses_no_acknowledged_deposit() {
    faults_in_random_order(Database::Sqlite(Disk::ext4(160))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_loses_no_acknowledged_deposit() {
    if server().is_none() {
        return;
    }
    let disk = Disk::tmpfs(400);
    let server = OwnServer::start(disk.path()).unwrap();
    faults_in_random_order(Database::Postgres(server, disk)).await;
}

/// A write fails on a full disk and an ordinary refusal follows; everything acknowledged after that survives
/// a crash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_after_a_full_disk_and_a_refusal() {
    let disk = Disk::tmpfs(24);
    if !disk.is_mounted() {
        return;
    }
    let database = Database::Sqlite(disk);
    let Database::Sqlite(disk) = &database else { unreachable!() };
    let key = create_key(&database.url());
    let server = database.serve().await;
    let client = client();
    let ask = async |url: &str, query: &str, input: Value| -> Value {
        let body = json!({ "query": query, "variables": { "input": input } });
        client
            .post(format!("{url}/graphql"))
            .bearer_auth(&key)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    disk.fill();
    let mut failed = Value::Null;
    while failed["errors"].is_null() {
        failed = ask(&server.url, USER_CREATE, person("Ada", "Carter")).await;
    }
    assert_eq!(
        failed["errors"][0]["extensions"],
        json!({ "code": "UNAVAILABLE", "retryAfter": 1 }),
        "{failed}"
    );
    let ready = async || client.get(format!("{}/readyz", server.url)).send().await.unwrap().status().as_u16();
    assert_eq!(ready().await, 503);
    disk.free();
    let refused = ask(&server.url, ACCOUNT_OPEN, cash_account("0198d7a2-7c00-7000-8000-000000000005")).await;
    assert_eq!(refused["data"]["accountOpen"]["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
    let mut created = Vec::new();
    for _ in 0..5 {
        let user = ask(&server.url, USER_CREATE, person("Ada", "Carter")).await;
        created.push(
            user["data"]["userCreate"]["user"]["id"].as_str().unwrap_or_else(|| panic!("{user}")).to_owned(),
        );
    }
    while ready().await != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.kill();
    let server = database.serve().await;
    for id in created {
        let found =
            client.get(format!("{}/v1/users/{id}", server.url)).bearer_auth(&key).send().await.unwrap();
        assert_eq!(found.status(), 200);
    }
}

async fn note(app: &TestApp, name: &str) -> domain::Result<()> {
    let tx = app.app.db.write().await?;
    meta::ActiveModel { name: Set(name.to_owned()), value: Set(String::new()) }.insert(&tx).await?;
    tx.commit().await
}

async fn noted(app: &TestApp, name: &str) -> bool {
    meta::Entity::find_by_id(name).one(&app.app.db.read).await.unwrap().is_some()
}

on_both! {
    /// PostgreSQL reports success for the COMMIT of such a transaction but rolls it back.
    async fn a_transaction_with_a_failed_statement_is_not_committed(app: TestApp) {
        let tx = app.app.db.write().await.unwrap();
        meta::ActiveModel { name: Set("first".to_owned()), value: Set(String::new()) }
            .insert(&tx)
            .await
            .unwrap();
        tx.execute_unprepared("INSERT INTO meta (name, value) VALUES ('first', '')").await.unwrap_err();
        let refused = tx.commit().await.unwrap_err();
        assert_eq!(refused.cause(), "a transaction in which a statement failed cannot be committed");
        assert!(!noted(&app, "first").await);
        note(&app, "second").await.unwrap();
        assert!(noted(&app, "second").await);
    }
}
