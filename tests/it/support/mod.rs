//! Test servers: each with its own database and both APIs on a loopback port, and helpers to create users.

pub mod disk;
pub mod older;
pub mod person;
pub mod postgres;
pub mod process;
pub mod random;
pub mod smtp;
pub mod socket;
pub mod terminal;

use chrono::{DateTime, Utc};
use coffer::server::{
    self, HttpSettings,
    connections::ConnectionLimits,
    serving::{self, ServerSettings},
    workers,
};
use domain::{
    Scope,
    access::{keys, partners},
    app::{App, Setup, start},
    kernel::{
        cache::MonotonicClock,
        db::Db,
        events, heads,
        rights::CACHE_TTL,
        secrets::{Secret, Vault},
    },
    providers::{Providers, files::Files},
    settings::Settings,
    trading::instruments,
};
use entity::partner::{self, Mode};
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DbBackend, Statement,
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// Defines each scenario as a test on SQLite and a test on PostgreSQL.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => {
        $(
            $(#[$doc])*
            async fn $name($app: TestApp) $body

            mod $name {
                use crate::support::TestApp;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    super::$name(TestApp::sqlite().await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    if let Some(app) = TestApp::postgres().await {
                        super::$name(app).await;
                    }
                }
            }
        )*
    };
}
pub(crate) use on_both;

/// Name of the tests' default partner.
pub const TESTS: &str = "tests";

/// Noon in New York on a Thursday when the exchange and banks are open.
pub const THURSDAY: &str = "2026-07-09T16:00:00Z";

/// A server with its own database.
pub struct TestApp {
    pub app: App,
    pub url: String,
    pub database_url: String,
    /// Sandbox partner with its clock frozen at `THURSDAY`.
    pub partner: partner::Model,
    /// API key of the partner with every scope.
    pub key: String,
    /// Every statement that the read pool has run.
    pub statements: Arc<Mutex<Vec<String>>>,
    /// Every statement that the write pool has run.
    pub written: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    folder: Option<Folder>,
    /// Folder of the documents, shared by servers with the same database.
    pub documents: Arc<Folder>,
}

/// Options of a test server.
#[derive(Clone)]
pub struct Options {
    /// If set, only `sandboxClockAdvance` runs due actions.
    pub without_timers: bool,
    /// If set, events are numbered only when a test asks for it, and commands do not wait for it.
    pub without_sequencer: bool,
    pub settings: HttpSettings,
    pub server: ServerSettings,
    pub providers: Providers,
    /// Setup of the app; its default partner is always `TESTS`.
    pub setup: Setup,
}

impl Default for Options {
    /// Disables throttling and limits per address, because all users of the tests share one address.
    fn default() -> Self {
        let connections = ConnectionLimits { per_address: usize::MAX, ..ConnectionLimits::default() };
        Self {
            without_timers: false,
            without_sequencer: false,
            providers: Providers::default(),
            settings: HttpSettings::default(),
            server: ServerSettings { connections, ..ServerSettings::default() },
            setup: Setup { throttle: false, monotonic: MonotonicClock::adjustable(), ..Setup::default() },
        }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn unique() -> String {
    format!("{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Temporary folder that is removed when dropped, in memory if the system supports that.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = base.join(format!("coffer-test-{}", unique()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Creates a migrated PostgreSQL database from a template that is migrated once per build.
pub async fn postgres_database() -> Option<String> {
    let server = postgres::server()?;
    let mut options = ConnectOptions::new(server.url("postgres"));
    options.max_connections(1).sqlx_logging(false);
    let admin = Box::pin(Database::connect(options)).await.unwrap();
    let built = std::fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    let built = built.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let template = format!("template_{built}");
    admin.execute_unprepared("SELECT pg_advisory_lock(71)").await.unwrap();
    let existing = admin
        .query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Postgres,
            format!("SELECT 1 AS one FROM pg_database WHERE datname = '{template}'"),
        ))
        .await
        .unwrap();
    if existing.is_none() {
        admin.execute_unprepared(&format!("CREATE DATABASE {template}_making")).await.unwrap();
        let db = Box::pin(Database::connect(server.url(&format!("{template}_making")))).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        db.close().await.unwrap();
        admin
            .execute_unprepared(&format!("ALTER DATABASE {template}_making RENAME TO {template}"))
            .await
            .unwrap();
    }
    admin.execute_unprepared("SELECT pg_advisory_unlock(71)").await.unwrap();
    let name = format!("t_{}", unique());
    admin
        .execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY WAL_LOG"))
        .await
        .unwrap();
    admin.close().await.unwrap();
    Some(server.url(&name))
}

/// Creates a database of each kind; the folder contains the SQLite database.
pub async fn databases() -> Vec<(String, Folder)> {
    let folder = Folder::new();
    let mut databases = vec![(format!("sqlite:{}", folder.0.join("coffer.db").display()), folder)];
    if let Some(url) = postgres_database().await {
        databases.push((url, Folder::new()));
    }
    databases
}

impl TestApp {
    pub async fn sqlite() -> Self {
        Self::sqlite_with(Options::default()).await
    }

    pub async fn sqlite_with(options: Options) -> Self {
        let folder = Folder::new();
        let url = format!("sqlite:{}", folder.0.join("coffer.db").display());
        Self::over(url, Some(folder), Arc::new(Folder::new()), options).await
    }

    pub async fn postgres() -> Option<Self> {
        Self::postgres_with(Options::default()).await
    }

    pub async fn postgres_with(options: Options) -> Option<Self> {
        Some(Self::over(postgres_database().await?, None, Arc::new(Folder::new()), options).await)
    }

    /// Starts a server on each kind of database, for tests that do not use `on_both`.
    pub async fn each_with(options: Options) -> Vec<Self> {
        let mut apps = vec![Self::sqlite_with(options.clone()).await];
        apps.extend(Self::postgres_with(options).await);
        apps
    }

    async fn over(
        database_url: String,
        folder: Option<Folder>,
        documents: Arc<Folder>,
        options: Options,
    ) -> Self {
        let mut db = Db::open(&database_url).await.unwrap();
        Migrator::up(db.for_migrations(), None).await.unwrap();
        let statements = Arc::new(Mutex::new(Vec::new()));
        let seen = statements.clone();
        db.read.watch(move |sql| seen.lock().unwrap().push(sql.to_owned()));
        let written = Arc::new(Mutex::new(Vec::new()));
        let seen = written.clone();
        db.watch_writes(move |sql| seen.lock().unwrap().push(sql.to_owned()));
        let providers =
            Providers { documents: Files::in_folder(documents.0.join("kept")), ..options.providers };
        let setup = Setup {
            settings: Settings { default_partner: TESTS.to_owned(), ..Settings::default() },
            providers,
            ..options.setup
        };
        let vault = Vault::unlock(&db, &Secret::new([7; 32]), None).await.unwrap().unwrap();
        heads::adopt(&db, &vault).await.unwrap();
        let app = start(db, vault, setup);
        let mut tasks = Vec::new();
        if !options.without_sequencer {
            tasks.push(workers::sequencer(&app));
        }
        if !options.without_timers {
            tasks.push(workers::timers(&app));
        }
        instruments::list_built_in(&app).await.unwrap();
        let partner = partners::find_or_create(&app, TESTS, Mode::Sandbox).await.unwrap();
        let partner = freeze_clock_at(&app, partner, THURSDAY).await;
        let key = keys::issue(&app, &partner, &Scope::ALL).await.unwrap().reveal().clone();
        let (stop, stopping) = watch::channel(false);
        // In these tests a server that is stopping keeps responding.
        let serving = watch::channel(false).1;
        let router = server::router(app.clone(), options.settings, stopping).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.push(tokio::spawn(async move {
            serving::serve(listener, None, router, options.server, serving).await;
        }));
        let client = client();
        Self {
            app,
            url,
            database_url,
            partner,
            key,
            statements,
            written,
            client,
            tasks,
            stop,
            folder,
            documents,
        }
    }

    /// Creates another sandbox partner and an API key for it.
    pub async fn other_partner(&self, name: &str) -> (partner::Model, String) {
        let partner = partners::find_or_create(&self.app, name, Mode::Sandbox).await.unwrap();
        let partner = freeze_clock_at(&self.app, partner, THURSDAY).await;
        let key = keys::issue(&self.app, &partner, &Scope::ALL).await.unwrap().reveal().clone();
        (partner, key)
    }

    /// Creates a live partner and returns an API key of it.
    pub async fn live_key(&self) -> String {
        let partner = partners::find_or_create(&self.app, "live", Mode::Live).await.unwrap();
        keys::issue(&self.app, &partner, &Scope::ALL).await.unwrap().reveal().clone()
    }

    /// Creates an API key of the tests' partner with these scopes.
    pub async fn key_for(&self, scopes: &[Scope]) -> String {
        keys::issue(&self.app, &self.partner, scopes).await.unwrap().reveal().clone()
    }

    /// Sends a GraphQL request as the tests' partner.
    pub async fn gql(&self, query: &str, variables: Value) -> Answer {
        self.gql_as(Some(&self.key), query, variables).await
    }

    /// Sends a GraphQL request again, as its answer asks, while the server is too busy.
    pub async fn gql_until_answered(&self, query: &str, variables: Value) -> Answer {
        for _ in 0..30 {
            let answer = self.gql(query, variables.clone()).await;
            match &answer.body["errors"][0]["extensions"]["retryAfter"] {
                Value::Null => return answer,
                seconds => tokio::time::sleep(Duration::from_secs(seconds.as_u64().unwrap())).await,
            }
        }
        panic!("the server stays busy")
    }

    /// Sends a GraphQL request with this key, or without credentials.
    pub async fn gql_as(&self, key: Option<&str>, query: &str, variables: Value) -> Answer {
        let request = self
            .client
            .post(format!("{}/graphql", self.url))
            .json(&json!({ "query": query, "variables": variables }));
        send(with_key(request, key)).await
    }

    /// Returns a REST request as the tests' partner, to be sent with `send`.
    pub fn rest(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        with_key(self.anonymous(method, path), Some(&self.key))
    }

    /// Returns a request without credentials.
    pub fn anonymous(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// Posts JSON to the REST API.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.rest("POST", path).json(&body)).await
    }

    /// Sends a GET request to the REST API.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.rest("GET", path)).await
    }

    /// Returns the cursor of the partner's newest event, from which a subscription misses nothing.
    pub async fn cursor(&self) -> String {
        // The partner itself is created without waiting for its event to be numbered.
        self.app.sequencer.caught_up().await;
        events::head(&self.app.db.read, self.partner.id).await.unwrap().to_string()
    }

    /// Lets what the server has cached expire, and what it has refused for lack of an allowance.
    pub fn expire_caches(&self) {
        self.app.monotonic.advance(CACHE_TTL);
    }

    /// Advances the sandbox's clock to this time.
    pub async fn advance_to(&self, to: &str) {
        let answer = self
            .gql(
                "mutation($to: DateTime!) { sandboxClockAdvance(input: { to: $to }) { partner { clock { now \
                    } } userErrors { message } } }",
                json!({ "to": to }),
            )
            .await;
        assert_eq!(answer.data()["sandboxClockAdvance"]["userErrors"], json!([]), "{}", answer.body);
    }

    /// Sets the seed of the simulated prices of the tests' partner.
    pub async fn seed(&self, seed: i64) {
        partners::set_market_seed(&self.app.db, &self.partner, seed).await.unwrap();
    }

    /// Sets the bid and ask of an instrument.
    pub async fn quote(&self, symbol: &str, bid: &str, ask: &str) {
        let set = "mutation($input: SandboxQuoteSetInput!) { sandboxQuoteSet(input: $input) { userErrors { \
            message } } }";
        let input =
            json!({ "symbol": symbol, "quote": { "bid": { "amount": bid }, "ask": { "amount": ask } } });
        let answer = self.gql(set, json!({ "input": input })).await;
        assert_eq!(answer.data()["sandboxQuoteSet"]["userErrors"], json!([]), "{}", answer.body);
    }

    /// Creates an approved user with an account and a bank account.
    pub async fn customer(&self, first_name: &str) -> Customer {
        self.customer_as(&self.key, first_name).await
    }

    /// The same for the partner with this key.
    pub async fn customer_as(&self, key: &str, first_name: &str) -> Customer {
        let user =
            self.gql_as(Some(key), USER_CREATE, json!({ "input": person(first_name, "Carter") })).await;
        let user_id = user.entity("userCreate", "user")["id"].as_str().unwrap().to_owned();
        let account = self.gql_as(Some(key), ACCOUNT_OPEN, json!({ "input": cash_account(&user_id) })).await;
        let account_id = account.entity("accountOpen", "account")["id"].as_str().unwrap().to_owned();
        let bank = json!({ "userId": user_id, "number": "4327843043", "routingNumber": "121042882",
            "nickname": "Checking" });
        let bank = self.gql_as(Some(key), BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
        let bank_account_id =
            bank.entity("bankAccountLink", "bankAccount")["id"].as_str().unwrap().to_owned();
        Customer { user_id, account_id, bank_account_id }
    }

    /// Creates a user with settled cash; advances the clock by a day, past the deposit's settlement.
    pub async fn funded_customer(&self, first_name: &str, dollars: &str) -> Customer {
        let customer = self.customer(first_name).await;
        let input = customer.deposit(&format!("fund-{first_name}"), dollars);
        let deposit = self.gql(DEPOSIT_CREATE, json!({ "input": input })).await;
        assert_eq!(deposit.entity("depositCreate", "transfer")["status"], "PENDING");
        self.gql(
            "mutation { sandboxClockAdvance(input: { seconds: 86400 }) { userErrors { message } } }",
            json!({}),
        )
        .await
        .data();
        customer
    }

    /// Waits until the order has reached a final state and returns it.
    pub async fn ended(&self, order_id: &str) -> Value {
        for _ in 0..200 {
            let order = self.gql(ORDER, json!({ "id": order_id })).await.data()["order"].clone();
            if !["ACCEPTED", "NEW", "PARTIALLY_FILLED"].contains(&order["status"].as_str().unwrap()) {
                return order;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("order {order_id} did not end");
    }

    /// Returns the number of deadlocks that PostgreSQL resolved; SQLite has one writer and no deadlocks. Closes all
    /// connections to the database.
    pub async fn deadlocks(&self) -> i64 {
        if self.app.db.backend() != DbBackend::Postgres {
            return 0;
        }
        let mut options = ConnectOptions::new(&self.database_url);
        options.max_connections(1);
        let own = Box::pin(Database::connect(options)).await.unwrap();
        let number = async |text: String| -> i64 {
            let row = own.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await.unwrap();
            row.unwrap().try_get("", "number").unwrap()
        };
        // A connection reports its statistics at the latest when it ends.
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let started_at = Instant::now();
        while number(format!("SELECT count(pg_terminate_backend(pid)) AS number {others}")).await > 0 {
            assert!(started_at.elapsed() < Duration::from_secs(30), "connections stay open");
        }
        let of_this_database = "FROM pg_stat_database WHERE datname = current_database()";
        number(format!("SELECT deadlocks AS number {of_this_database}")).await
    }

    /// Returns the account's total, buying power and withdrawable cash.
    pub async fn balance(&self, account_id: &str) -> [String; 3] {
        let query = "query($id: ID!) { account(id: $id) { balance { total { amount } buyingPower { amount } \
            withdrawable { amount } } } }";
        let balance = self.gql(query, json!({ "id": account_id })).await.data()["account"]["balance"].clone();
        ["total", "buyingPower", "withdrawable"]
            .map(|field| balance[field]["amount"].as_str().unwrap().to_owned())
    }

    /// Runs the audit and returns its report.
    pub async fn audit(&self) -> domain::reporting::reconciliation::Report {
        domain::reporting::reconciliation::run(
            &self.app.db,
            Some(&self.app.vault.head_key()),
            Some(&self.app.feature::<Providers>().documents),
        )
        .await
        .unwrap()
    }

    /// Signals to the server that it is about to stop.
    pub fn stopping(&self) {
        self.stop.send_replace(true);
    }

    /// Stops this server's tasks, as a crash would.
    pub fn kill(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Stops this server's tasks, as a crash would, and starts another with the same database.
    pub async fn restarted(mut self, options: Options) -> Self {
        self.kill();
        let (url, folder) = (self.database_url.clone(), self.folder.take());
        Self::over(url, folder, self.documents.clone(), options).await
    }

    /// Starts another server with the same database at the same time.
    pub async fn beside(&self, options: Options) -> Self {
        Self::over(self.database_url.clone(), None, self.documents.clone(), options).await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns an HTTP client that trusts no TLS certificates, so that it need not read the system's.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}

/// Freezes a sandbox partner's clock at this time.
pub async fn freeze_clock_at(app: &App, partner: partner::Model, at: &str) -> partner::Model {
    let mut row: partner::ActiveModel = partner.into();
    row.clock_frozen_at = Set(Some(at.parse::<DateTime<Utc>>().unwrap()));
    let tx = app.db.write().await.unwrap();
    let partner = row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
    partner
}

fn with_key(request: reqwest::RequestBuilder, key: Option<&str>) -> reqwest::RequestBuilder {
    match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    }
}

/// Sends a request and parses the JSON of the response.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "not_json": text }));
    Answer { status, headers, body }
}

/// Response to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Returns the data of a response, which must have no errors.
    #[track_caller]
    pub fn data(&self) -> &Value {
        assert!(self.body.get("errors").is_none(), "{}", self.body);
        &self.body["data"]
    }

    /// Returns the object from a mutation's payload, which must have no user errors.
    #[track_caller]
    pub fn entity(&self, mutation: &str, entity: &str) -> &Value {
        let payload = &self.data()[mutation];
        assert_eq!(payload["userErrors"], json!([]), "{}", self.body);
        &payload[entity]
    }

    /// Returns the only user error of a mutation, which must have no other result.
    #[track_caller]
    pub fn user_error(&self, mutation: &str) -> &Value {
        let payload = &self.data()[mutation];
        let errors = payload["userErrors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{}", self.body);
        let result = payload
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, value)| *name != "userErrors" && !value.is_null());
        assert!(result.is_none(), "{}", self.body);
        &errors[0]
    }

    /// Returns the code of the response's first error.
    #[track_caller]
    pub fn error_code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{}", self.body))
    }
}

/// Ids of a user with an account and a bank account.
#[expect(clippy::struct_field_names, reason = "they are ids of different things")]
pub struct Customer {
    pub user_id: String,
    pub account_id: String,
    pub bank_account_id: String,
}

impl Customer {
    /// Returns the input for depositCreate.
    pub fn deposit(&self, key: &str, amount: &str) -> Value {
        json!({
            "idempotencyKey": key, "accountId": self.account_id, "bankAccountId": self.bank_account_id,
            "amount": { "amount": amount },
        })
    }

    /// Returns the input for orderPlace.
    pub fn order(&self, key: &str, side: &str, symbol: &str, quantity: &str) -> Value {
        json!({ "idempotencyKey": key, "accountId": self.account_id, "symbol": symbol, "side": side,
            "quantity": quantity })
    }
}

/// Returns the input for userCreate of a user who will be approved.
pub fn person(first_name: &str, last_name: &str) -> Value {
    json!({
        "firstName": first_name, "lastName": last_name, "email": "ada.carter@example.com", "phone": "2025550107",
        "ssn": "123456789", "birthDate": "1985-01-23",
        "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220" },
    })
}

/// Returns the input for accountOpen of a cash account.
pub fn cash_account(user_id: &str) -> Value {
    json!({
        "userId": user_id, "type": "CASH", "maritalStatus": "SINGLE", "countryOfCitizenship": "USA",
        "employmentStatus": "EMPLOYED", "employmentPosition": "Engineer", "employerName": "Example Inc",
    })
}

pub const USER_CREATE: &str = "mutation($input: UserCreateInput!) { userCreate(input: $input) {
    user { id status firstName lastName email phoneLast4 kyc { token score outcome tags } } userErrors { \
    code path message } } }";
pub const ACCOUNT_OPEN: &str = "mutation($input: AccountOpenInput!) { accountOpen(input: $input) {
    account { id number type ownership status owner { id } } userErrors { code path message } } }";
pub const BANK_ACCOUNT_LINK: &str =
    "mutation($input: BankAccountLinkInput!) { bankAccountLink(input: $input) {
    bankAccount { id nickname routingNumber numberLast4 isDefault } userErrors { code path message } } }";
pub const DEPOSIT_CREATE: &str = "mutation($input: DepositCreateInput!) { depositCreate(input: $input) {
    transfer { id status direction amount { amount currency } expectedOn settledAt createdAt } userErrors { \
    code path message } } }";
pub const WITHDRAWAL_CREATE: &str = "mutation($input: WithdrawalCreateInput!) { withdrawalCreate(input: $input) {
    transfer { id status amount { amount } expectedOn mayBeLower paidAmount { amount } } userErrors { code path \
    message } } }";
pub const ORDER_PLACE: &str = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) {
    order { id status side type quantity filledQuantity filledAveragePrice { amount } viewerCanCancel \
    submittedAt instrument { symbol } }
    userErrors { code path message } } }";
pub const ORDER_CANCEL: &str = "mutation($input: OrderCancelInput!) { orderCancel(input: $input) {
    order { id status canceledAt } userErrors { code path message } } }";
pub const ORDER: &str = "query($id: ID!) { order(id: $id) { id status quantity filledQuantity \
    filledAveragePrice { amount }
    rejectCode submittedAt filledAt canceledAt failedAt
    fills(first: 5) { edges { node { quantity price { amount } amount { amount } tradedAt settlesAt \
    settledAt } } } } }";

/// Whether a statement reads a table, written by SeaORM (quoted) or by hand.
pub fn reads(sql: &str, table: &str) -> bool {
    sql.contains(&format!("FROM \"{table}\"")) || sql.contains(&format!("FROM {table} "))
}
