//! Availability: one client, address or partner cannot block the others.

use crate::{
    compliance::kyc_documents::{applicant, documented},
    support::{
        Customer, Folder, ORDER_PLACE, Options, TestApp, USER_CREATE, client, on_both, person,
        process::{Process, coffer, create_key},
        send,
        socket::Socket,
    },
};
use coffer::{
    rest::{ROUTES, WELLNESS, is_wellness},
    server::{
        BodyLimits, HttpSettings, NetworkSettings, connections::ConnectionLimits, serving::ServerSettings,
    },
};
use domain::Scope;
use entity::{event, timer, transfer};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// Timeout that is long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the address of a server.
pub fn address_of(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// Connects from this address of the loopback network.
pub async fn connect_from(client: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    socket.connect(server).await.unwrap()
}

/// Returns a builder for a client that connects from this address.
pub fn client_from(address: &str) -> reqwest::ClientBuilder {
    let _ = client();
    reqwest::Client::builder()
        .local_address(address.parse::<IpAddr>().unwrap())
        .tls_certs_only([])
        .timeout(TIMEOUT)
}

/// Raises the descriptor limit of this process to its maximum.
pub fn raise_own_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Connections that send nothing, or an incomplete request, and stay open until this is dropped.
pub struct Flood {
    _open: Vec<TcpStream>,
    _dripping: JoinSet<()>,
}

/// Opens connections from 127.0.0.1: `idle` ones that send nothing, `half_open` ones that send `sent`, and
/// `dripping` ones that send `begun` and then single bytes.
pub async fn flood(
    server: SocketAddr,
    idle: usize,
    (half_open, sent): (usize, &[u8]),
    (dripping, begun): (usize, &str),
) -> Flood {
    let mut drips = JoinSet::new();
    for _ in 0..dripping {
        let mut stream = connect_from("127.0.0.1", server).await;
        let begun = begun.to_owned();
        drips.spawn(async move {
            let mut gone = stream.write_all(begun.as_bytes()).await.is_err();
            while !gone {
                tokio::time::sleep(Duration::from_millis(200)).await;
                gone = stream.write_all(b"1").await.is_err();
            }
        });
    }
    let mut open = Vec::new();
    for turn in 0..idle + half_open {
        let mut stream = connect_from("127.0.0.1", server).await;
        if turn >= idle {
            // The server may already have closed it.
            let _ = stream.write_all(sent).await;
        }
        open.push(stream);
    }
    Flood { _open: open, _dripping: drips }
}

/// Sends `count` requests and returns the duration of each; every status must be 200.
pub async fn timed(client: &reqwest::Client, url: &str, key: &str, count: usize) -> Vec<Duration> {
    let mut taken = Vec::with_capacity(count);
    for turn in 0..count {
        let started_at = Instant::now();
        let response = client
            .get(url)
            .bearer_auth(key)
            .send()
            .await
            .unwrap_or_else(|error| panic!("request {turn}: {error:?}"));
        let status = response.status();
        let body = response.text().await.unwrap();
        taken.push(started_at.elapsed());
        assert_eq!(status.as_u16(), 200, "request {turn}: {body}");
    }
    taken
}

/// Returns the 99th percentile.
pub fn p99(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken[taken.len() * 99 / 100]
}

/// Waits until a health check succeeds from an address that has used up its connections.
async fn wait_for_health_check(from: &str, url: &str) {
    // The client does not always notice that its connection was refused while it was being set up.
    let client = client_from(from).timeout(Duration::from_secs(5)).build().unwrap();
    let started_at = Instant::now();
    loop {
        let outcome =
            client.get(format!("{url}/readyz")).send().await.map(|response| response.status().as_u16());
        if outcome.as_ref().is_ok_and(|status| *status == 200) {
            return;
        }
        assert!(started_at.elapsed() < TIMEOUT, "no health check was answered: {outcome:?}");
        // Each refused connection uses a port of this address.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// With a low limit, which refuses most of the connections, and with a high one, which accepts them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_half_open_and_dripping_connections_do_not_block_others() {
    raise_own_descriptor_limit();
    for per_address in ["256", "4000"] {
        let folder = Folder::new();
        let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
        let key = create_key(&database_url);
        let server = Process::start_with(&database_url, |command| {
            command.args(["serve", "--empty"]).env("COFFER_CONNECTIONS_PER_ADDRESS", per_address)
        })
        .await;
        let dripping = format!(
            "POST /v1/users HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: 60000\r\n\r\n"
        );
        let half_open = b"GET /v1/orders HTTP/1.1\r\nHost: te";
        let flood = flood(address_of(&server.url), 2_000, (500, half_open), (50, &dripping)).await;
        let orders = format!("{}/v1/orders", server.url);
        let one_connection = client_from("127.0.0.2").build().unwrap();
        let many_connections = client_from("127.0.0.2").pool_max_idle_per_host(0).build().unwrap();
        let mut taken = timed(&one_connection, &orders, &key, 1_000).await;
        taken.extend(timed(&many_connections, &orders, &key, 1_000).await);
        let (p99, longest) = (p99(taken.clone()), taken.iter().max().unwrap());
        eprintln!("at most {per_address} of an address: p99 {p99:?}, longest {longest:?}");
        assert!(p99 < Duration::from_millis(250), "{p99:?}");
        let ready = one_connection.get(format!("{}/readyz", server.url)).send().await.unwrap();
        assert_eq!(ready.status(), 200);
        wait_for_health_check("127.0.0.1", &server.url).await;
        drop(flood);
        assert_eq!(server.terminate(), Some(0));
    }
}

/// Reads until the server closes the connection; returns the text and the time.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let started_at = Instant::now();
    let mut received = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut received)).await.expect("the connection stays open");
    // A connection that is closed with unread data is reset.
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    (String::from_utf8(received).unwrap(), started_at.elapsed())
}

const HEADER: Duration = Duration::from_millis(400);
const IDLE: Duration = Duration::from_millis(900);
const BODY: Duration = Duration::from_millis(400);

async fn with_short_timeouts() -> TestApp {
    let timeouts = ServerSettings {
        header_timeout: HEADER,
        idle_timeout: IDLE,
        write_timeout: IDLE,
        ..ServerSettings::default()
    };
    let body = BodyLimits { timeout: BODY, bytes_per_second: 1_000 };
    let settings = HttpSettings { body, ..HttpSettings::default() };
    TestApp::sqlite_with(Options { server: timeouts, settings, ..Options::default() }).await
}

/// Writes single bytes until the server closes the connection.
fn drip(stream: TcpStream) -> (tokio::net::tcp::OwnedReadHalf, tokio::task::JoinHandle<()>) {
    let (read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"1").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    (read, dripping)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_or_slow_connection_is_closed() {
    let app = with_short_timeouts().await;
    let server = address_of(&app.url);
    let sent = async |text: &str| {
        let mut stream = connect_from("127.0.0.1", server).await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    };
    let socket = "GET /graphql/ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: \
        websocket\r\nSec-WebSocket-Ver";
    for (begun, least) in
        [("", IDLE), ("G", HEADER), ("GET /livez HTTP/1.1\r\nHost: te", HEADER), (socket, HEADER)]
    {
        let (received, after) = until_closed(sent(begun).await).await;
        assert!(
            received.is_empty() && after + Duration::from_millis(50) >= least,
            "{begun:?}: {received:?} after {after:?}"
        );
    }
    // The idle timeout applies between two requests.
    let (received, after) = until_closed(sent("GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").await).await;
    assert!(received.starts_with("HTTP/1.1 200 OK") && after >= IDLE, "{received} after {after:?}");
    // The header timeout also applies to headers that arrive byte by byte.
    let (mut read, dripping) = drip(sent("GET /livez HTTP/1.1\r\nHost: te").await);
    let mut received = Vec::new();
    let _ =
        timeout(TIMEOUT, read.read_to_end(&mut received)).await.expect("a dripping connection stays open");
    assert!(received.is_empty());
    dripping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_in_time_gets_408() {
    let app = with_short_timeouts().await;
    let text = "The body was not received in time.";
    let rest = json!({ "error": { "type": "invalid_request", "message": text } });
    let graphql = json!({ "errors": [{ "message": text, "extensions": { "code": "TIMEOUT" } }] });
    let wellness = json!({ "detail": text, "code": "request-timeout" });
    let rita = applicant(&app, &app.key, "Review").await;
    for (path, told) in [
        ("/v1/users", &rest),
        (&rita.path(), &rest),
        ("/graphql", &graphql),
        ("/account/v1/users", &wellness),
    ] {
        for drips in [false, true] {
            let mut stream = connect_from("127.0.0.1", address_of(&app.url)).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Content-Length: 10000\r\n\r\n{{\"a\":\"",
                app.key
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            if drips {
                let (mut read, dripping) = drip(stream);
                let _ = timeout(TIMEOUT, read.read_to_end(&mut received))
                    .await
                    .expect("the server waits for a dripping body");
                dripping.await.unwrap();
            } else {
                timeout(TIMEOUT, stream.read_to_end(&mut received))
                    .await
                    .expect("the server waits for half a body")
                    .unwrap();
            }
            let received = String::from_utf8(received).unwrap();
            let (head, body) =
                received.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {received:?}"));
            assert!(
                head.starts_with("HTTP/1.1 408 ") && head.contains("connection: close"),
                "{path}: {head}"
            );
            assert_eq!(serde_json::from_str::<Value>(body).unwrap(), *told, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_sockets_and_streams_outlive_the_idle_timeout() {
    let app = with_short_timeouts().await;
    let mut socket = Socket::join(&app, Some(&app.key)).await;
    let listen = "subscription { events { cursor } }";
    let stream =
        app.rest("POST", "/graphql").header("accept", "text/event-stream").json(&json!({ "query": listen }));
    let mut stream = stream.send().await.unwrap();
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    // More responses than fit into the buffers of the operating system.
    let mut not_reading = connect_from("127.0.0.1", address_of(&app.url)).await;
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n".repeat(400);
    not_reading.write_all(requests.as_bytes()).await.unwrap();
    tokio::time::sleep(IDLE * 3).await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await.unwrap(), json!({ "type": "pong" }));
    app.customer("Ada").await;
    let chunk = timeout(TIMEOUT, stream.chunk()).await.expect("the stream is silent").unwrap().unwrap();
    assert!(std::str::from_utf8(&chunk).unwrap().starts_with("event: next\n"), "{chunk:?}");
    let mut received = Vec::new();
    let _ = timeout(TIMEOUT, not_reading.read_to_end(&mut received))
        .await
        .expect("a connection that is not read stays open");
    let answers = received.windows(13).filter(|window| *window == b"HTTP/1.1 200 ").count();
    assert!((1..400).contains(&answers), "{answers} answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_answers_health_checks_and_refuses_other_requests() {
    let connections = ConnectionLimits { total: 4, per_address: 2, exempt: Vec::new() };
    let server = ServerSettings { connections, ..ServerSettings::default() };
    let app = TestApp::sqlite_with(Options { server, ..Options::default() }).await;
    let address = address_of(&app.url);
    let mut taken = Vec::new();
    for client in ["127.0.0.3", "127.0.0.3", "127.0.0.4", "127.0.0.4"] {
        let mut stream = connect_from(client, address).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        taken.push(stream);
    }
    let busy = json!({ "error": { "type": "api_error", "message": "The server is busy; try again." } });
    let graphql = json!({ "errors": [{ "message": "Too many connections are open. Try again.",
        "extensions": { "code": "UNAVAILABLE", "retryAfter": 1 } }] });
    for from in ["127.0.0.3", "127.0.0.5"] {
        let client = client_from(from).build().unwrap();
        for path in ["/livez", "/readyz"] {
            let answer = client.get(format!("{}{path}", app.url)).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["connection"]),
                (200, &"close".parse().unwrap()),
                "{path} from {from}"
            );
        }
        for (path, told) in [("/v1/orders", &busy), ("/graphql", &graphql)] {
            let answer = send(client.get(format!("{}{path}", app.url)).bearer_auth(&app.key)).await;
            assert_eq!(
                (answer.status, &answer.body, &answer.headers["retry-after"]),
                (503, told, &"1".parse().unwrap()),
                "{path} from {from}"
            );
        }
    }
    // One address cannot use up all connections reserved for health checks.
    let mut refused = Vec::new();
    for _ in 0..40 {
        refused.push(connect_from("127.0.0.3", address).await);
    }
    let other = client_from("127.0.0.6").build().unwrap();
    assert_eq!(other.get(format!("{}/livez", app.url)).send().await.unwrap().status(), 200);
    drop((taken, refused));
    let started_at = Instant::now();
    while send(other.get(format!("{}/v1/orders", app.url)).bearer_auth(&app.key)).await.status != 200 {
        assert!(started_at.elapsed() < TIMEOUT, "the connections were not released");
    }
}

/// Starts the server with these soft and hard limits of open files.
async fn with_descriptors(database_url: &str, soft: u32, hard: u32) -> Process {
    let inner = coffer(database_url);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$0\" serve --empty"),
        env!("CARGO_BIN_EXE_coffer"),
    ]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Process::launch(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_descriptor_limit_is_raised_and_never_exhausted() {
    raise_own_descriptor_limit();
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let key = create_key(&database_url);
    let server = with_descriptors(&database_url, 256, 8_192).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["4256", "8192"]);
    assert_eq!(server.terminate(), Some(0));
    // 300 descriptors leave 140 connections, of which one address gets at most half.
    let server = with_descriptors(&database_url, 300, 300).await;
    let address = address_of(&server.url);
    let mut taken = Vec::new();
    for from in 3..23 {
        for _ in 0..20 {
            taken.push(connect_from(&format!("127.0.0.{from}"), address).await);
        }
    }
    // A connection exists for its client before the server has accepted it.
    let (started_at, descriptors) = (Instant::now(), format!("/proc/{}/fd", server.id()));
    loop {
        let open = std::fs::read_dir(&descriptors).unwrap().count();
        assert!(open < 300, "{open} of 300 descriptors");
        if open >= 140 {
            break;
        }
        assert!(started_at.elapsed() < TIMEOUT, "{open} descriptors: connections are not accepted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // From an address that only this test uses: other addresses may have no free ports.
    wait_for_health_check("127.0.0.3", &server.url).await;
    drop(taken);
    let client = client_from("127.0.0.2").build().unwrap();
    let started_at = Instant::now();
    while !client
        .get(format!("{}/v1/orders", server.url))
        .bearer_auth(&key)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
    {
        assert!(started_at.elapsed() < TIMEOUT, "the connections were not released");
    }
    assert_eq!(server.terminate(), Some(0));
}

/// Sends a whole request before reading the response, as simple clients do.
async fn sent_whole(server: SocketAddr, head: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = connect_from("127.0.0.1", server).await;
    let head = format!("{head}\r\nHost: test\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap_or_else(|error| panic!("{head}: {error}"));
    let mut received = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut received))
        .await
        .unwrap()
        .unwrap_or_else(|error| panic!("{head}: {error}"));
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_receives_the_response_to_a_refused_body() {
    let app = TestApp::sqlite().await;
    let server = address_of(&app.url);
    let body =
        serde_json::to_vec(&json!({ "query": "{ __typename }", "first_name": "x".repeat(8 << 20) })).unwrap();
    let rita = applicant(&app, &app.key, "Review").await;
    let unknown = "/v1/kyc/S-00000000000000000000/documents";
    let json = "Content-Type: application/json";
    let good = format!("Authorization: Bearer {}", app.key);
    let bad = "Authorization: Bearer sk_test_unknown";
    for (method, path, headers, status) in [
        ("POST", "/v1/users", format!("{good}\r\n{json}"), 400),
        ("POST", "/v1/users", format!("{bad}\r\n{json}"), 401),
        ("POST", "/v1/users", format!("{good}\r\nContent-Type: text/plain"), 415),
        ("POST", "/v1/nothing", format!("{good}\r\n{json}"), 404),
        ("PATCH", "/v1/users", format!("{good}\r\n{json}"), 405),
        ("POST", "/graphql", format!("{good}\r\n{json}"), 413),
        ("POST", "/graphql", format!("{bad}\r\n{json}"), 413),
        ("POST", "/graphql", format!("{good}\r\nContent-Type: text/plain"), 415),
        ("POST", "/account/v1/users", json.to_owned(), 422),
        ("POST", unknown, format!("{good}\r\n{json}"), 404),
        ("POST", &rita.path(), format!("{bad}\r\n{json}"), 401),
        ("POST", &rita.path(), format!("{good}\r\n{json}"), 400),
        ("PUT", "/documents/nothing", "Content-Type: application/pdf".to_owned(), 404),
    ] {
        let (answered, body) =
            sent_whole(server, &format!("{method} {path} HTTP/1.1\r\n{headers}"), &body).await;
        assert_eq!(answered, status, "{method} {path}: {body}");
    }
}

/// Fills the parameters of a path with unknown ids.
fn filled(path: &str) -> String {
    path.replace("{id}", "8a138805-4aec-4343-88ce-063ba479c850").replace("{token}", "S-00000000000000000000")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_body_must_be_json_and_responses_are_not_cached() {
    let settings = domain::app::Setup { requests_per_hour: 0, ..Options::default().setup };
    let app = TestApp::sqlite_with(Options { setup: settings, ..Options::default() }).await;
    let text = "The content type must be application/json.";
    let mut bodies = 0;
    for route in ROUTES.into_iter().flatten().chain(WELLNESS.into_iter().flatten()) {
        let (method, path) = (route.method, filled(route.path));
        let told = if is_wellness(&path) {
            json!({ "detail": text, "code": "unsupported-media-type" })
        } else {
            json!({ "error": { "type": "invalid_request", "message": text } })
        };
        let plain = send(app.rest(method, &path)).await;
        assert_eq!(plain.headers["cache-control"], "no-store", "{method} {path}");
        assert_ne!(plain.status, 415, "{method} {path} without a body");
        if method == "GET" {
            continue;
        }
        bodies += 1;
        let types = [
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("text/plain"),
            Some("application/json; charset=latin1"),
            Some("text/json"),
            None,
        ];
        for kind in types {
            let request = app.rest(method, &path).body("{\"a\":1}");
            let answer = send(match kind {
                Some(kind) => request.header("content-type", kind),
                None => request,
            })
            .await;
            assert_eq!((answer.status, &answer.body), (415, &told), "{method} {path} {kind:?}");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
        for kind in ["application/json", "Application/JSON; charset=UTF-8"] {
            let answer = send(app.rest(method, &path).header("content-type", kind).body("{\"a\":1}")).await;
            assert_ne!(answer.status, 415, "{method} {path} {kind:?}");
        }
        let empty_form = app.rest(method, &path).header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(send(empty_form).await.status, 415, "{method} {path}, an empty form");
    }
    assert!(bodies > 20, "{bodies} routes take a body");
    for (path, stored) in [
        ("/graphql?query=%7B__typename%7D", "no-store"),
        ("/nothing", "no-store"),
        ("/openapi.json", "public, max-age=300"),
    ] {
        assert_eq!(app.rest("GET", path).send().await.unwrap().headers()["cache-control"], stored, "{path}");
    }
}

on_both! {
    /// Refused uploads use no upload slots, and one partner's uploads leave slots for another's.
    async fn slow_uploads_do_not_block_other_uploads(app: TestApp) {
        let server = address_of(&app.url);
        let (_, theirs) = app.other_partner("another").await;
        let rita = applicant(&app, &app.key, "Review").await;
        let other = applicant(&app, &theirs, "Review").await;
        let weak = app.key_for(&[Scope::Read]).await;
        let mut slow = Vec::new();
        let begin = async |key: &str, path: &str| {
            let mut stream = connect_from("127.0.0.1", server).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nContent-Type: \
                    application/json\r\n\
                 Content-Length: 1000000\r\n\r\n{{\"data\":\"JVBERi0x"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream
        };
        let unknown = "/v1/kyc/S-00000000000000000000/documents";
        for (key, path, status) in [
            (&app.key, unknown.to_owned(), "404"),
            (&theirs, rita.path(), "404"),
            (&weak, rita.path(), "401"),
        ] {
            for _ in 0..8 {
                let mut stream = begin(key, &path).await;
                let mut answer = [0; 12];
                // Refused without waiting for the body.
                timeout(TIMEOUT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
                assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"));
                slow.push(stream);
            }
        }
        // Eight uploads of one partner, with two keys, are in progress or waiting; the other partner's
        // uploads still succeed.
        let second = app.key_for(&Scope::ALL).await;
        for key in [&app.key, &second] {
            for _ in 0..4 {
                slow.push(begin(key, &rita.path()).await);
            }
        }
        for _ in 0..3 {
            let answer = send(
                app.anonymous("POST", &other.path())
                    .bearer_auth(&theirs)
                    .json(&documented(b"%PDF-1.7\n"))
                    .timeout(Duration::from_secs(4)),
            )
            .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        drop(slow);
    }

    /// The advance runs ten thousand timers; meanwhile another partner's orders are placed within half a
    /// second.
    ///
    /// To be independent of the machine's load, the longest response is measured by the number of timers that
    /// run meanwhile: an order waits for at most six transactions of 50 timers.
    async fn an_advance_of_the_clock_does_not_delay_other_partners(app: TestApp) {
        const TIMERS: usize = 10_000;
        let (other, theirs) = app.other_partner("another").await;
        let busy = app.customer("Ada").await;
        let quick = app.customer_as(&theirs, "Ben").await;
        fund(&app, &theirs, &quick).await;
        make_due(&app, &busy, TIMERS).await;
        let advance = tokio::spawn({
            let request = app.rest("POST", "/graphql").json(&json!({
                "query": "mutation { sandboxClockAdvance(input: { seconds: 864000 }) { userErrors { message } } }",
            }));
            async move { request.send().await }
        });
        let left = async || {
            timer::Entity::find()
                .filter(timer::Column::PartnerId.eq(app.partner.id))
                .count(&app.app.db.read)
                .await
                .unwrap()
        };
        let started_at = Instant::now();
        while left().await >= TIMERS as u64 {
            assert!(started_at.elapsed() < TIMEOUT, "the advance does not start");
        }
        let (mut taken, mut timers_meanwhile) = (Vec::new(), Vec::new());
        for turn in 0..25 {
            let before = left().await;
            let started_at = Instant::now();
            let placed = app
                .gql_as(
                    Some(&theirs),
                    ORDER_PLACE,
                    json!({ "input": quick.order(&format!("o{turn}"), "BUY", "AAPL", "0.1") }),
                )
                .await;
            taken.push(started_at.elapsed());
            placed.entity("orderPlace", "order");
            timers_meanwhile.push(before - left().await);
        }
        let waiting = left().await;
        assert!(waiting > 0 && !advance.is_finished(), "the advance ended too soon to measure");
        // The other partner's timers run as well.
        let started_at = Instant::now();
        while timer::Entity::find()
            .filter(timer::Column::PartnerId.eq(other.id))
            .filter(timer::Column::Kind.eq(timer::TimerKind::OrderRoute))
            .count(&app.app.db.read)
            .await
            .unwrap()
            > 0
        {
            assert!(started_at.elapsed() < Duration::from_secs(5), "an order was not filled");
        }
        assert!(left().await > 0, "the orders were filled only after the advance");
        advance.abort();
        taken.sort_unstable();
        eprintln!(
            "{waiting} of {TIMERS} left; orders took {:?}, at most {:?}; meanwhile {timers_meanwhile:?}",
            taken[12], taken[24]
        );
        assert!(taken[12] < Duration::from_millis(500), "{taken:?}");
        assert!(timers_meanwhile.iter().all(|timers| *timers <= 300), "{timers_meanwhile:?} {taken:?}");
    }

    /// Several timers share a transaction; an optimized build needs less than five seconds for ten thousand. A debug
    /// build, which has no limit of time, runs fewer.
    async fn an_advance_of_the_clock_runs_thousands_of_timers_quickly(app: TestApp) {
        const TIMERS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
        let customer = app.customer("Ada").await;
        make_due(&app, &customer, TIMERS).await;
        let started_at = Instant::now();
        app.advance_to("2026-07-20T16:00:00Z").await;
        let took = started_at.elapsed();
        eprintln!("{TIMERS} timers in {took:?}");
        assert!(cfg!(debug_assertions) || took < Duration::from_secs(5), "{took:?}");
        assert_eq!(timer::Entity::find().count(&app.app.db.read).await.unwrap(), 0);
        // A cent each.
        let total = format!("{}.00", TIMERS / 100);
        assert_eq!(app.balance(&customer.account_id).await, [total.as_str(), &total, &total]);
        let settled = event::Entity::find().filter(event::Column::Kind.eq("deposit.settled"));
        assert_eq!(settled.count(&app.app.db.read).await.unwrap(), TIMERS as u64);
    }

    async fn an_attacker_cannot_lock_a_user_out(app: TestApp) {
        let trusted = vec!["127.0.0.1".parse().unwrap()];
        let network = NetworkSettings { trusted, ..NetworkSettings::default() };
        let app = app
            .beside(Options {
                settings: HttpSettings { network, ..HttpSettings::default() },
                ..Options::default()
            })
            .await;
        app.sign_up("ada@example.com").await;
        let from = async |address: &str, email: &str, password: &str| {
            let document = "mutation($input: UserSignInInput!) { userSignIn(input: $input) { session { \
                accessToken } userErrors { code } } }";
            let request = app.anonymous("POST", "/graphql").header("x-forwarded-for", address);
            let answer = send(request.json(&json!({ "query": document,
                "variables": { "input": { "email": email, "password": password } } })))
            .await;
            let refused = &answer.body["data"]["userSignIn"]["userErrors"][0]["code"];
            let fault = &answer.body["errors"][0]["extensions"]["code"];
            refused.as_str().or(fault.as_str()).unwrap_or("OK").to_owned()
        };
        for email in ["ada@example.com", "unknown@example.com"] {
            for turn in 0..7 {
                let code = from("198.51.100.1", email, "wrong horse").await;
                assert_eq!(
                    code,
                    if turn < 5 { "INVALID_CREDENTIALS" } else { "RATE_LIMITED" },
                    "{email} {turn}"
                );
            }
            assert_eq!(from("198.51.100.1", email, "correct horse").await, "RATE_LIMITED", "{email}");
        }
        assert_eq!(from("198.51.100.2", "ada@example.com", "correct horse").await, "OK");
        assert_eq!(
            from("198.51.100.1", "ada@example.com", "correct horse").await,
            "RATE_LIMITED",
            "the attacker is still throttled"
        );
        // All addresses together have a hundred attempts, for a known and an unknown email address alike.
        for email in ["ada@example.com", "missing@example.com"] {
            for turn in 0..100 {
                assert_eq!(
                    from(&format!("203.0.113.{}", turn / 4), email, "wrong horse").await,
                    "INVALID_CREDENTIALS",
                    "{email} {turn}"
                );
            }
            assert_eq!(from("203.0.113.200", email, "correct horse").await, "RATE_LIMITED", "{email}");
        }
    }
}

/// The first partner's fill exceeds the statement timeout; the second partner's order is filled meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_timer_does_not_delay_other_partners() {
    let Some(app) = TestApp::postgres().await else { return };
    let (_, theirs) = app.other_partner("another").await;
    let slow = app.funded_customer("Ada", "1000").await;
    let quick = app.customer_as(&theirs, "Ben").await;
    fund(&app, &theirs, &quick).await;
    let db = app.app.db.for_migrations();
    let never = "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); \
        RETURN NEW; END $$";
    db.execute_unprepared(never).await.unwrap();
    let of_the_first = format!("WHEN (NEW.partner_id = '{}')", app.partner.id);
    db.execute_unprepared(&format!(
        "CREATE TRIGGER never BEFORE INSERT ON fill FOR EACH ROW {of_the_first} EXECUTE FUNCTION never()"
    ))
    .await
    .unwrap();
    app.gql(ORDER_PLACE, json!({ "input": slow.order("slow", "BUY", "KO", "1") }))
        .await
        .entity("orderPlace", "order");
    let placed = app
        .gql_as(Some(&theirs), ORDER_PLACE, json!({ "input": quick.order("quick", "BUY", "KO", "1") }))
        .await;
    let order = placed.entity("orderPlace", "order")["id"].clone();
    let started_at = Instant::now();
    loop {
        let found = app
            .gql_as(Some(&theirs), "query($id: ID!) { order(id: $id) { status } }", json!({ "id": order }))
            .await;
        if found.data()["order"]["status"] == "FILLED" {
            break;
        }
        assert!(started_at.elapsed() < TIMEOUT, "{}", found.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Funds another partner's user.
async fn fund(app: &TestApp, key: &str, customer: &Customer) {
    let deposit = app
        .gql_as(
            Some(key),
            crate::support::DEPOSIT_CREATE,
            json!({ "input": customer.deposit("fund", "10000.00") }),
        )
        .await;
    deposit.entity("depositCreate", "transfer");
    let day = "mutation { sandboxClockAdvance(input: { seconds: 86400 }) { userErrors { message } } }";
    app.gql_as(Some(key), day, json!({})).await.data();
}

/// Replaces one deposit with `count` deposits of a cent, all due at the same time in two days.
async fn make_due(app: &TestApp, customer: &Customer, count: usize) {
    let amount = format!("{}.{:02}", count / 100, count % 100);
    let deposit =
        app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": customer.deposit("many", &amount) })).await;
    let id: uuid::Uuid = deposit.entity("depositCreate", "transfer")["id"].as_str().unwrap().parse().unwrap();
    let whole = transfer::Entity::find_by_id(id).one(&app.app.db.read).await.unwrap().unwrap();
    let due = timer::Entity::find()
        .filter(timer::Column::SubjectId.eq(id))
        .one(&app.app.db.read)
        .await
        .unwrap()
        .unwrap();
    let tx = app.app.db.write().await.unwrap();
    timer::Entity::delete_by_id(due.id).exec(&tx).await.unwrap();
    let numbers: Vec<u128> = (1..=count as u128).collect();
    for numbers in numbers.chunks(500) {
        let transfers = numbers.iter().map(|number| {
            let part = transfer::Model {
                id: uuid::Uuid::from_u128(*number),
                amount: "0.01".parse().unwrap(),
                ..whole.clone()
            };
            transfer::ActiveModel::from(part).reset_all()
        });
        transfer::Entity::insert_many(transfers).exec_without_returning(&tx).await.unwrap();
        let timers = numbers.iter().map(|number| {
            let (id, subject_id) = (uuid::Uuid::from_u128(*number), uuid::Uuid::from_u128(*number));
            timer::ActiveModel::from(timer::Model { id, subject_id, ..due.clone() }).reset_all()
        });
        timer::Entity::insert_many(timers).exec_without_returning(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// While a document is uploaded, the server needs memory for its content once, although it arrives as base64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_needs_memory_for_its_document_once() {
    const AT_ONCE: usize = 4;
    const MIB: u64 = 1 << 20;
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let documents = folder.0.join("documents");
    let server = Process::start_with(&database_url, |command| {
        command.args(["serve", "--empty"]).env("COFFER_DOCUMENTS", &documents)
    })
    .await;
    let (client, keys) = (client(), [create_key(&database_url), create_key(&database_url)]);
    let create = client.post(format!("{}/graphql", server.url)).bearer_auth(&keys[0]);
    let created = send(
        create.json(&json!({ "query": USER_CREATE, "variables": { "input": person("Rita", "Review") } })),
    )
    .await;
    let token = created.entity("userCreate", "user")["kyc"]["token"].as_str().unwrap().to_owned();
    let path = format!("/v1/kyc/{token}/documents");
    let document = |bytes: u64| {
        let mut data = b"%PDF-1.7\n".to_vec();
        data.resize(usize::try_from(bytes).unwrap(), b' ');
        documented(&data).to_string()
    };
    // One upload first, so that one-time allocations are not measured.
    let first = client
        .post(format!("{}{path}", server.url))
        .bearer_auth(&keys[0])
        .header("content-type", "application/json");
    assert_eq!(send(first.body(document(MIB))).await.status, 200);
    let longest = document(10 * MIB);
    let (all_but_the_end, end) = longest.as_bytes().split_at(longest.len() - 10);
    let (before, _) = server.resident();
    let mut uploads = Vec::new();
    for turn in 0..AT_ONCE {
        let mut stream = connect_from("127.0.0.1", address_of(&server.url)).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            keys[turn % 2],
            longest.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(all_but_the_end).await.unwrap();
        uploads.push(stream);
    }
    for stream in &mut uploads {
        stream.write_all(end).await.unwrap();
    }
    for mut stream in uploads {
        let mut answer = String::new();
        timeout(TIMEOUT * 4, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    let (_, peak) = server.resident();
    eprintln!("{} MiB before, at most {} MiB with {AT_ONCE} uploads of 10 MiB", before / MIB, peak / MIB);
    assert!(
        peak <= before + AT_ONCE as u64 * 16 * MIB,
        "{} MiB before, {} MiB at most",
        before / MIB,
        peak / MIB
    );
    assert_eq!(server.terminate(), Some(0));
}
