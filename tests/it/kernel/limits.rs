//! The limit of 10,000 requests per hour is exact, also across restarts and several servers.

use crate::support::{
    Answer, Folder, Options, TestApp, client, older, on_both, postgres_database,
    process::{Process, create_key},
    send,
    socket::Socket,
};
use domain::{
    Actor, Error, Who,
    app::{App, Setup, start},
    kernel::{
        actor::SignedInUser,
        limits::{self, Limit, Remaining},
        rights::CACHE_TTL,
    },
};
use entity::{limit_use, partner::Mode};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use uuid::Uuid;

const CHEAP: &str = "{ __typename }";

/// Sends up to `at_most` concurrent requests until one is refused; returns how many passed.
async fn pass(url: &str, key: &str, at_most: u64) -> u64 {
    let (sent, passed, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let client = client();
    let body = json!({ "query": CHEAP }).to_string();
    let line = async || {
        while refused.load(Ordering::SeqCst) == 0 && sent.fetch_add(1, Ordering::SeqCst) < at_most {
            let request = client
                .post(format!("{url}/graphql"))
                .bearer_auth(key)
                .header("content-type", "application/json");
            match request.body(body.clone()).send().await.unwrap().status().as_u16() {
                200 => passed.fetch_add(1, Ordering::SeqCst),
                429 => refused.fetch_add(1, Ordering::SeqCst),
                other => panic!("status {other}"),
            };
        }
    };
    join_all((0..12).map(|_| line())).await;
    passed.into_inner()
}

async fn rest(url: &str, key: &str) -> Answer {
    send(client().get(format!("{url}/v1/orders")).bearer_auth(key)).await
}

async fn graphql(url: &str, key: &str) -> Answer {
    send(client().post(format!("{url}/graphql")).bearer_auth(key).json(&json!({ "query": CHEAP }))).await
}

/// Returns the number in a header.
fn seconds(answer: &Answer, name: &str) -> u64 {
    answer
        .headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {answer:?}"))
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[track_caller]
fn assert_refused(rest: &Answer, graphql: &Answer, most: u64) {
    let documented = json!({ "error": [{ "type": "rate_limit_exceeded", "message": "Too many requests" }] });
    assert_eq!((rest.status, &rest.body), (429, &documented));
    assert_eq!(graphql.status, 429);
    assert_eq!(graphql.body["errors"][0]["message"], "Too many requests");
    assert_eq!(graphql.body["errors"][0]["extensions"]["code"], "RATE_LIMITED");
    for answer in [rest, graphql] {
        let reset = seconds(answer, "ratelimit-reset");
        assert!((3_400..=3_600).contains(&reset), "{reset}");
        assert_eq!(seconds(answer, "retry-after"), reset);
        assert_eq!((seconds(answer, "ratelimit-limit"), seconds(answer, "ratelimit-remaining")), (most, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_ten_thousand_requests_pass_across_a_clean_restart() {
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let (key, other) = (create_key(&database_url), create_key(&database_url));
    let began = Instant::now();
    let server = Process::start(&database_url, &["serve", "--empty"]).await;
    assert_eq!(pass(&server.url, &key, 4_321).await, 4_321);
    let answer = rest(&server.url, &key).await;
    assert_eq!((answer.status, seconds(&answer, "ratelimit-remaining")), (200, 10_000 - 4_322));
    assert_eq!(server.terminate(), Some(0));

    let server = Process::start(&database_url, &["serve", "--empty"]).await;
    assert_eq!(pass(&server.url, &key, 5_677).await, 5_677);
    let last = graphql(&server.url, &key).await;
    assert_eq!(
        (last.status, seconds(&last, "ratelimit-limit"), seconds(&last, "ratelimit-remaining")),
        (200, 10_000, 0)
    );
    assert_refused(&rest(&server.url, &key).await, &graphql(&server.url, &key).await, 10_000);
    assert_eq!(rest(&server.url, &other).await.status, 200);
    println!("10,000 requests and a restart in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_share_the_limit() {
    let Some(database_url) = postgres_database().await else { return };
    let key = create_key(&database_url);
    let [one, two] = [
        Process::start(&database_url, &["serve", "--empty"]).await,
        Process::start(&database_url, &["serve", "--empty"]).await,
    ];
    // One server reserves a hundred and becomes idle; the other gets the rest once they are returned.
    let mut passed = pass(&one.url, &key, 7).await;
    passed += pass(&two.url, &key, 3_000).await;
    let (left, right) = tokio::join!(pass(&one.url, &key, 1_500), pass(&two.url, &key, 1_500));
    passed += left + right;
    assert_eq!(passed, 6_007);
    passed += pass(&two.url, &key, u64::MAX).await;
    assert!((9_900..=10_000).contains(&passed), "{passed}");
    let silent = Instant::now();
    while passed < 10_000 && silent.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        passed += pass(&two.url, &key, u64::MAX).await;
    }
    assert_eq!(passed, 10_000);
    for server in [&one, &two] {
        assert_refused(&rest(&server.url, &key).await, &graphql(&server.url, &key).await, 10_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_at_most_one_reserved_part() {
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let key = create_key(&database_url);
    let server =
        Process::start_with(&database_url, |command| command.env("COFFER_REQUESTS_PER_HOUR", "1000")).await;
    let mut passed = pass(&server.url, &key, 60).await;
    server.kill();
    let server =
        Process::start_with(&database_url, |command| command.env("COFFER_REQUESTS_PER_HOUR", "1000")).await;
    passed += pass(&server.url, &key, u64::MAX).await;
    // The first share is a twentieth of 1,000, the second a twentieth of 950, of which ten were used.
    assert_eq!(passed, 1_000 - 37);
    assert_refused(&rest(&server.url, &key).await, &graphql(&server.url, &key).await, 1_000);
}

/// Returns options with this hourly limit.
fn hourly(requests_per_hour: u64) -> Options {
    let mut options = Options { without_timers: true, ..Options::default() };
    options.setup.requests_per_hour = requests_per_hour;
    options
}

/// Returns the statements that forty refusals ran. The key and the window are read once a second, so another
/// request comes first to cache them.
async fn refusals(app: &TestApp) -> Vec<String> {
    let about =
        |sql: &String| ["limit_use", "api_key", "\"partner\""].iter().any(|table| sql.contains(table));
    assert!(
        app.written.lock().unwrap().iter().any(|sql| sql.contains("INSERT INTO limit_use")),
        "no writes were recorded"
    );
    app.app.monotonic.stop();
    app.expire_caches();
    app.gql(CHEAP, json!({})).await;
    let before = app.written.lock().unwrap().len();
    app.statements.lock().unwrap().clear();
    for _ in 0..20 {
        let unread = app.rest("POST", "/graphql").header("content-type", "text/plain").body("{");
        assert_eq!(send(unread).await.status, 429);
        assert_eq!(app.post("/v1/orders", json!({})).await.status, 429);
    }
    let read = app.statements.lock().unwrap().clone();
    let written = app.written.lock().unwrap().split_off(before);
    read.into_iter().chain(written).filter(about).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_reports_the_limit_and_a_refusal_runs_no_statements() {
    for app in TestApp::each_with(hourly(4)).await {
        let limits_of = |answer: &Answer| {
            (answer.status, seconds(answer, "ratelimit-limit"), seconds(answer, "ratelimit-remaining"))
        };
        assert_eq!(limits_of(&app.gql(CHEAP, json!({})).await), (200, 4, 3));
        assert_eq!(limits_of(&app.get("/v1/orders").await), (200, 4, 2));
        assert_eq!(limits_of(&app.get("/v1/orders/none").await), (404, 4, 1));
        let unread = app
            .rest("POST", "/graphql")
            .header("content-type", "application/json")
            .body("{")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (unread.status().as_u16(), &unread.headers()["ratelimit-remaining"]),
            (400, &"0".parse().unwrap())
        );
        assert_refused(&app.get("/v1/orders").await, &app.gql(CHEAP, json!({})).await, 4);

        let statements = refusals(&app).await;
        assert!(statements.is_empty(), "{statements:?}");

        for path in ["/livez", "/readyz", "/playground"] {
            let answer = app.anonymous("GET", path).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.headers().contains_key("ratelimit-limit")),
                (200, false),
                "{path}"
            );
        }
    }
}

/// Spends one use of an allowance.
async fn spend(app: &App, limit: Limit, subject: &[u8]) -> domain::Result<Remaining> {
    Ok(limits::spend(app, &[limit.of(app, subject)]).await?.expect("an allowance has a remainder"))
}

on_both! {
    async fn a_new_window_starts_after_the_old_one_ended(app: TestApp) {
        let limit = Limit::allowance("test", 3, Duration::from_secs(3_600));
        let spend = || spend(&app.app, limit, b"subject");
        for left in [2, 1, 0] {
            let remaining = spend().await.unwrap();
            assert_eq!((remaining.most, remaining.left), (3, left));
        }
        assert!(matches!(spend().await, Err(Error::TooMany { retry_after: 3_590..=3_600 })));
        assert_eq!(self::spend(&app.app, limit, b"another subject").await.unwrap().left, 2);
        let ended = "UPDATE limit_use SET ends_at = '2026-01-01T00:00:00+00:00'";
        app.app.db.for_migrations().execute_unprepared(ended).await.unwrap();
        app.expire_caches();
        for left in [2, 1, 0] {
            assert_eq!(spend().await.unwrap().left, left);
        }
        assert!(spend().await.is_err());
        let tx = app.app.db.write().await.unwrap();
        assert_eq!(limits::forget_ended(&tx).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }

    /// Two servers, fifty concurrent requests each, with unused shares returned.
    async fn a_small_limit_is_exact(app: TestApp) {
        let second = start(app.app.db.clone(), app.app.vault.clone(), Options::default().setup);
        for most in [1, 20, 70] {
            let limit = Limit::allowance("small", most, Duration::from_secs(60));
            let subject = most.to_be_bytes();
            let all = async || {
                let spends = (0..50)
                    .flat_map(|_| [&app.app, &second])
                    .map(|app| spend(app, limit, &subject));
                u64::try_from(join_all(spends).await.into_iter().flatten().count()).unwrap()
            };
            let mut passed = all().await;
            for one in [&app.app, &second] {
                limits::return_unspent(one, Duration::ZERO).await.unwrap();
            }
            for one in [&app.app, &second] {
                one.monotonic.advance(CACHE_TTL);
            }
            passed += all().await;
            assert_eq!(passed, most);
        }
    }

    async fn a_returned_part_can_be_used_by_another_server(app: TestApp) {
        let second = start(app.app.db.clone(), app.app.vault.clone(), Options::default().setup);
        let limit = Limit::allowance("shared", 100, Duration::from_secs(60));
        let spend = |app| spend(app, limit, b"x");
        assert_eq!(spend(&app.app).await.unwrap().left, 99);
        let mut passed = 0;
        while spend(&second).await.is_ok() {
            passed += 1;
        }
        assert_eq!(passed, 95);
        limits::return_unspent(&app.app, limits::IDLE).await.unwrap();
        second.monotonic.advance(CACHE_TTL);
        assert!(spend(&second).await.is_err());
        limits::return_unspent(&app.app, Duration::ZERO).await.unwrap();
        second.monotonic.advance(CACHE_TTL);
        for _ in 0..4 {
            spend(&second).await.unwrap();
        }
        assert!(spend(&second).await.is_err());
    }

    async fn requests_are_limited_per_known_address(app: TestApp) {
        let slowing = start(app.app.db.clone(), app.app.vault.clone(), Setup::default());
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for _ in 0..10 {
            limits::by_address(&slowing, limits::ANONYMOUS_RECOVERY, Some(address)).await.unwrap();
        }
        let refused = limits::by_address(&slowing, limits::ANONYMOUS_RECOVERY, Some(address)).await;
        assert!(matches!(refused, Err(Error::TooMany { retry_after: 3_590..=3_600 })));
        limits::by_address(&slowing, limits::ANONYMOUS_SIGN_IN, Some(address)).await.unwrap();
        limits::by_address(&slowing, limits::ANONYMOUS_RECOVERY, None).await.unwrap();
        limits::by_address(&app.app, limits::ANONYMOUS_RECOVERY, Some(address)).await.unwrap();
    }

    async fn each_user_has_a_separate_limit(app: TestApp) {
        let person = |number| Actor {
            who: Who::User(SignedInUser {
                partner_id: app.partner.id,
                user_id: Uuid::from_u128(number),
                session_id: Uuid::from_u128(9),
                mode: Mode::Sandbox,
                two_factor: true,
                expires_at: i64::MAX,
                version: 1,
            }),
            ..Actor::default()
        };
        let left = async |actor: &Actor| {
            limits::request(&app.app, &actor.who, None).await.unwrap().map(|remaining| remaining.left)
        };
        assert_eq!(left(&person(1)).await, Some(9_999));
        assert_eq!(left(&person(1)).await, Some(9_998));
        assert_eq!(left(&person(2)).await, Some(9_999));
        assert_eq!(left(&Actor::default()).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_credential_counts_against_the_address() {
    for app in TestApp::each_with(hourly(5)).await {
        let wrong = app.key.replace("sk_test_", "sk_live_");
        let left = |answer: &Answer| (answer.status, seconds(answer, "ratelimit-remaining"));
        assert_eq!(left(&app.gql_as(None, CHEAP, json!({})).await), (200, 4));
        assert_eq!(left(&app.gql_as(Some(&wrong), CHEAP, json!({})).await), (401, 3));
        assert_eq!(left(&send(app.anonymous("GET", "/v1/orders").bearer_auth(&wrong)).await), (401, 2));
        assert_eq!(left(&send(app.anonymous("GET", "/v1/orders")).await), (401, 1));
        let mut socket = Socket::open(&app).await;
        socket.say(json!({ "type": "connection_init", "payload": { "authorization": wrong } })).await;
        assert_eq!(socket.closed().await, (4403, "Forbidden".to_owned()));
        for key in [None, Some(wrong.as_str())] {
            assert_eq!(left(&app.gql_as(key, CHEAP, json!({})).await), (429, 0));
        }
        assert_eq!(left(&app.gql(CHEAP, json!({})).await), (200, 4));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_and_each_of_its_operations_count() {
    for app in TestApp::each_with(hourly(3)).await {
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        for id in ["1", "2"] {
            socket.subscribe(id, CHEAP, json!({})).await;
            assert_eq!(socket.next().await, json!({ "__typename": "Query" }));
            assert_eq!(socket.hear().await.unwrap(), json!({ "id": id, "type": "complete" }));
        }
        socket.subscribe("3", CHEAP, json!({})).await;
        let refused: Value = socket.hear().await.unwrap();
        assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("3")));
        assert_eq!(refused["payload"][0]["message"], "Too many requests");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "RATE_LIMITED");
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await.unwrap(), json!({ "type": "pong" }));
        let mut another = Socket::open(&app).await;
        another.say(json!({ "type": "connection_init", "payload": { "authorization": app.key } })).await;
        assert_eq!(another.closed().await, (1013, "Too many requests".to_owned()));
        assert_eq!(app.gql(CHEAP, json!({})).await.status, 429);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_disables_the_limit() {
    for app in TestApp::each_with(hourly(0)).await {
        let answer = app.gql(CHEAP, json!({})).await;
        assert_eq!((answer.status, answer.headers.contains_key("ratelimit-limit")), (200, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_and_windows_of_an_older_database_still_count() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000019_limit_uses").await {
        for insert in [
            format!(
                "rate_window (key, ends_at, used, granted) VALUES ({}, '2026-07-09T17:00:00+00:00', 40, 20)",
                older.bytes("01")
            ),
            format!(
                "throttle (subject, failures, blocked_until, last_at) VALUES ({}, 6, \
                 '2026-07-09T16:01:00+00:00', '2026-07-09T16:00:00+00:00')",
                older.bytes("02")
            ),
        ] {
            older.db.execute_unprepared(&format!("INSERT INTO {insert}")).await.unwrap();
        }
        older.migrate().await;
        let at = |text: &str| text.parse().unwrap();
        let window = limit_use::Model {
            key: vec![1],
            ends_at: at("2026-07-09T17:00:00Z"),
            used: 40,
            granted: 20,
            blocked_until: None,
        };
        let failures = limit_use::Model {
            key: vec![2],
            ends_at: at("2026-07-10T16:00:00Z"),
            used: 6,
            granted: 1,
            blocked_until: Some(at("2026-07-09T16:01:00Z")),
        };
        let found =
            limit_use::Entity::find().order_by_asc(limit_use::Column::Key).all(&older.db).await.unwrap();
        assert_eq!(found, [window, failures]);
    }
}
