//! TLS, trusted proxies, and allowed origins.

use super::availability::{address_of, client_from, flood, p99, raise_own_descriptor_limit, timed};
use crate::support::{
    Folder, ORDER_PLACE, Options, TestApp, client,
    process::{Process, coffer, create_key},
    send,
};
use coffer::server::{HttpSettings, NetworkSettings};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const WELLNESS: &str = "/account/v1/users/me";
const CHEAP: &str = "{ __typename }";

/// A database with an API key, and the files for TLS.
struct Site {
    folder: Folder,
    database_url: String,
    key: String,
    certificate: CertificateDer<'static>,
}

impl Site {
    fn new() -> Self {
        let folder = Folder::new();
        let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
        let key = create_key(&database_url);
        let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.0.join("cert.pem"), generated.cert.pem()).unwrap();
        std::fs::write(folder.0.join("key.pem"), generated.signing_key.serialize_pem()).unwrap();
        Self { folder, database_url, key, certificate: generated.cert.der().clone() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Connects by TLS as soon as the server listens.
    async fn connect(&self, server: &Process) -> TlsStream<TcpStream> {
        for _ in 0..2_000 {
            if TcpStream::connect(server.url.trim_start_matches("http://")).await.is_ok() {
                return self.try_connect(server).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the server does not listen");
    }

    /// Connects by TLS to a listening server; returns None if it does not have this certificate.
    async fn try_connect(&self, server: &Process) -> Option<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let connector =
            TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), stream).await.ok()
    }

    /// Sends one request by TLS and returns the status, head and body of the response.
    async fn ask(&self, server: &Process, method: &str, path: &str, body: &str) -> (u16, String, Value) {
        let mut stream = self.connect(server).await;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: \
                application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.key,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            head.to_lowercase(),
            serde_json::from_str(body).unwrap(),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_apis_and_a_socket_work_with_built_in_tls() {
    let site = Site::new();
    let mut command = coffer(&site.database_url);
    command.env("COFFER_ENV", "production").stdout(Stdio::null());
    command.env("COFFER_TLS_CERT", site.file("cert.pem")).env("COFFER_TLS_KEY", site.file("key.pem"));
    let server = Process::spawn(command);
    let (status, head, body) =
        site.ask(&server, "POST", "/graphql", &json!({ "query": CHEAP }).to_string()).await;
    assert_eq!((status, body), (200, json!({ "data": { "__typename": "Query" } })));
    assert!(head.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{head}");
    let (status, head, body) = site.ask(&server, "GET", "/v1/orders", "").await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
    assert!(head.contains("\r\nratelimit-remaining: 9998\r\n"), "{head}");

    // A client that never finishes the handshake does not block others.
    let unfinished = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let mut request = "wss://localhost/graphql/ws".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) =
        tokio_tungstenite::client_async(request, site.connect(&server).await).await.unwrap();
    let mut exchange = async |message: Value| {
        if !message.is_null() {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        socket.next().await.unwrap().unwrap()
    };
    let init = json!({ "type": "connection_init", "payload": { "authorization": site.key } });
    assert_eq!(exchange(init).await, Message::text(r#"{"type":"connection_ack"}"#));
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": CHEAP } });
    assert_eq!(
        exchange(subscribe).await,
        Message::text(r#"{"id":"1","type":"next","payload":{"data":{"__typename":"Query"}}}"#)
    );
    assert_eq!(exchange(Value::Null).await, Message::text(r#"{"id":"1","type":"complete"}"#));
    drop(unfinished);

    assert!(
        client().get(format!("{}/livez", server.url)).send().await.is_err(),
        "the server responded without TLS"
    );
    let ended = tokio::task::spawn_blocking(|| server.terminate());
    let Message::Close(Some(frame)) = exchange(Value::Null).await else {
        panic!("the socket was not closed")
    };
    assert_eq!(u16::from(frame.code), 1012);
    drop(socket);
    assert_eq!(ended.await.unwrap(), Some(0));
}

/// The first bytes of a handshake that is never finished.
const HALF_A_HANDSHAKE: [u8; 5] = [0x16, 0x03, 0x01, 0x02, 0x00];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_handshakes_and_idle_tls_connections_do_not_block_others() {
    raise_own_descriptor_limit();
    let site = Site::new();
    let mut command = coffer(&site.database_url);
    command
        .env("COFFER_TLS_CERT", site.file("cert.pem"))
        .env("COFFER_TLS_KEY", site.file("key.pem"))
        .stdout(Stdio::null());
    let server = Process::spawn(command);
    drop(site.connect(&server).await);
    let address = address_of(&server.url);
    let flood = flood(address, 400, (400, &HALF_A_HANDSHAKE), (20, "\u{16}\u{3}\u{1}")).await;
    let certificate = reqwest::Certificate::from_der(&site.certificate).unwrap();
    let good = client_from("127.0.0.2")
        .tls_certs_only([certificate])
        .resolve("localhost", address)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let orders = format!("https://localhost:{}/v1/orders", address.port());
    let taken = timed(&good, &orders, &site.key, 1_000).await;
    let p99 = p99(taken);
    eprintln!("by TLS: p99 {p99:?}");
    assert!(p99 < Duration::from_millis(250), "{p99:?}");
    let ready = good.get(format!("https://localhost:{}/readyz", address.port())).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    drop(flood);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_the_certificate() {
    let mut site = Site::new();
    let mut command = coffer(&site.database_url);
    command
        .env("COFFER_TLS_CERT", site.file("cert.pem"))
        .env("COFFER_TLS_KEY", site.file("key.pem"))
        .stdout(Stdio::null());
    let server = Process::spawn(command);
    let mut old = site.connect(&server).await;
    for turn in 0..2 {
        if turn == 1 {
            // A certificate that cannot be read changes nothing.
            std::fs::write(site.file("cert.pem"), "no certificate").unwrap();
            server.signal("HUP");
        }
        let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(site.file("key.pem"), generated.signing_key.serialize_pem()).unwrap();
        std::fs::write(site.file("cert.pem"), generated.cert.pem()).unwrap();
        site.certificate = generated.cert.der().clone();
        server.signal("HUP");
        let mut turns = 0;
        while site.try_connect(&server).await.is_none() {
            turns += 1;
            assert!(turns < 2_000, "the new certificate is not served");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // An open connection continues to work.
    old.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    old.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("ok"), "{text}");
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_without_a_certificate_does_not_end_the_server() {
    let site = Site::new();
    let server = Process::start(&site.database_url, &["serve", "--empty"]).await;
    server.signal("HUP");
    assert_eq!(client().get(format!("{}/readyz", server.url)).send().await.unwrap().status(), 200);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_requests_without_tls_are_refused() {
    let site = Site::new();
    let client = client();
    for (proxy, is_trusted) in [("127.0.0.1", true), ("10.0.0.0/8,192.0.2.1", false)] {
        let server = Process::start_with(&site.database_url, |command| {
            command.env("COFFER_ENV", "production").env("COFFER_TRUSTED_PROXY", proxy)
        })
        .await;
        let ask = async |method: &str, path: &str, scheme: Option<&str>| {
            let request = client
                .request(method.parse().unwrap(), format!("{}{path}", server.url))
                .bearer_auth(&site.key);
            let request = if method == "POST" { request.json(&json!({ "query": CHEAP })) } else { request };
            let answer = send(match scheme {
                Some(scheme) => {
                    request.header("x-forwarded-proto", scheme).header("x-forwarded-for", "198.51.100.1")
                }
                None => request,
            });
            let answer = answer.await;
            (answer.status, answer.body)
        };
        let rest = (403, json!({ "error": { "type": "invalid_request", "message": "HTTPS is required." } }));
        let graphql =
            json!({ "errors": [{ "message": "HTTPS is required.", "extensions": { "code": "FORBIDDEN" } }] });
        for scheme in [None, Some("http")] {
            assert_eq!(ask("GET", "/v1/orders", scheme).await, rest);
            assert_eq!(ask("GET", "/nowhere", scheme).await, rest);
            let wellness = (403, json!({ "detail": "HTTPS is required.", "code": "https-required" }));
            assert_eq!(ask("GET", WELLNESS, scheme).await, wellness);
            assert_eq!(ask("POST", "/graphql", scheme).await, (403, graphql.clone()));
            assert_eq!(ask("GET", "/graphql/ws", scheme).await, (403, graphql.clone()));
        }
        let by_proxy = ask("POST", "/graphql", Some("https")).await;
        let expected =
            if is_trusted { (200, json!({ "data": { "__typename": "Query" } })) } else { (403, graphql) };
        assert_eq!(by_proxy, expected);
        for path in ["/livez", "/readyz"] {
            assert_eq!(ask("GET", path, None).await.0, 200, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_a_server_without_tls_or_proxy_does_not_start() {
    let site = Site::new();
    std::fs::write(site.file("empty.pem"), "").unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(site.file("other.pem"), other.signing_key.serialize_pem()).unwrap();
    let error_of = |settings: &[(&str, &str)]| {
        let mut command = coffer(&site.database_url);
        for (name, value) in settings {
            let value = if value.contains(".pem") {
                site.file(value).display().to_string()
            } else {
                (*value).to_owned()
            };
            command.env(name, value);
        }
        let output = command.current_dir(&site.folder.0).arg("serve").output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]), "{output:?}");
        String::from_utf8(output.stderr).unwrap().replace(&format!("{}/", site.folder.0.display()), "")
    };
    let both =
        "coffer: COFFER_TLS_CERT and COFFER_TLS_KEY, or COFFER_TRUSTED_PROXY: must be set in production\n";
    assert_eq!(error_of(&[("COFFER_ENV", "production")]), both);
    assert_eq!(
        error_of(&[("COFFER_TLS_CERT", "cert.pem")]),
        "coffer: COFFER_TLS_KEY: must be set with COFFER_TLS_CERT\n"
    );
    assert_eq!(
        error_of(&[("COFFER_TLS_KEY", "key.pem")]),
        "coffer: COFFER_TLS_CERT: must be set with COFFER_TLS_KEY\n"
    );
    let pair = |certificate, key| error_of(&[("COFFER_TLS_CERT", certificate), ("COFFER_TLS_KEY", key)]);
    assert_eq!(pair("empty.pem", "key.pem"), "coffer: COFFER_TLS_CERT: empty.pem: contains no certificate\n");
    for (certificate, key) in [
        ("none.pem", "key.pem"),
        ("cert.pem", "none.pem"),
        ("cert.pem", "empty.pem"),
        ("cert.pem", "other.pem"),
    ] {
        let error = pair(certificate, key);
        assert!(
            error.starts_with("coffer: COFFER_TLS_")
                && error.lines().count() == 1
                && !error.contains("panicked"),
            "{error}"
        );
    }
    let proxy = error_of(&[("COFFER_TRUSTED_PROXY", "proxy.example")]);
    assert!(
        proxy.contains("must be an address such as 10.0.0.7, or a network such as 10.0.0.0/8")
            && proxy.lines().count() == 1,
        "{proxy}"
    );
    let doctor = coffer(&site.database_url).env("COFFER_ENV", "production").arg("doctor").output().unwrap();
    let printed = String::from_utf8(doctor.stdout).unwrap();
    assert!(printed.contains("FAILED transport: COFFER_TLS_CERT and COFFER_TLS_KEY"), "{printed}");
    assert_eq!(doctor.status.code(), Some(1));
}

fn behind(proxy: &str) -> Options {
    let network = NetworkSettings { trusted: vec![proxy.parse().unwrap()], ..NetworkSettings::default() };
    Options { settings: HttpSettings { network, ..HttpSettings::default() }, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_client_addresses_come_from_a_trusted_proxy() {
    for (proxy, is_trusted) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let app = TestApp::sqlite_with(behind(proxy)).await;
        let customer = app.funded_customer("Ada", "500").await;
        for turn in ["1", "2"] {
            app.gql(ORDER_PLACE, json!({ "input": customer.order(turn, "BUY", "KO", "1") }))
                .await
                .entity("orderPlace", "order");
        }
        let next = async |scheme: &str| {
            let list =
                send(app.rest("GET", "/v1/orders?status=all&limit=1").header("x-forwarded-proto", scheme))
                    .await;
            list.body["pagination"]["next_uri"].as_str().unwrap().split_once("://").unwrap().0.to_owned()
        };
        assert_eq!(next("https").await, if is_trusted { "https" } else { "http" });
        assert_eq!(next("http").await, "http");
        let forwarded = app.rest("GET", "/v1/orders?status=all&limit=1").header("x-forwarded-proto", "https");
        let forwarded =
            forwarded.header("x-forwarded-host", "api.example.com").header("x-forwarded-prefix", "/coffer");
        let list = send(forwarded.header("host", "evil.example")).await;
        let page = list.body["pagination"]["next_page"].as_str().unwrap().to_owned();
        // A client that connects directly cannot choose the host of links.
        let base = if is_trusted { "https://api.example.com/coffer" } else { "http://localhost" };
        assert_eq!(list.body["pagination"]["next_uri"], json!(format!("{base}{page}")));

        let left = async |address: &str| {
            let request = app
                .anonymous("POST", "/graphql")
                .json(&json!({ "query": CHEAP }))
                .header("x-forwarded-for", address);
            let left =
                send(request).await.headers["ratelimit-remaining"].to_str().unwrap().parse::<u64>().unwrap();
            10_000 - left
        };
        let counted =
            [left("198.51.100.1").await, left("6.6.6.6, 198.51.100.1").await, left("198.51.100.2").await];
        assert_eq!(counted, if is_trusted { [1, 2, 1] } else { [1, 2, 3] });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_public_url_takes_precedence() {
    let mut options = behind("127.0.0.1");
    options.settings.network.public_url =
        Some(coffer::server::parse_base_url("https://bank.example/api/").unwrap());
    let app = TestApp::sqlite_with(options).await;
    let kyc_id = crate::compliance::kyc_documents::applicant(&app, &app.key, "Review").await.kyc_id;
    app.customer("Ada").await;
    let request = app
        .rest("GET", "/v1/users?limit=1")
        .header("x-forwarded-host", "evil.example")
        .header("host", "evil.example");
    let page = send(request).await.body["pagination"].clone();
    assert_eq!(
        page["next_uri"],
        json!(format!("https://bank.example/api{}", page["next_page"].as_str().unwrap()))
    );

    let prepare = "mutation($input: KycDocumentUploadPrepareInput!) { kycDocumentUploadPrepare(input: \
        $input) { target { url } } }";
    let input = json!({ "kycId": kyc_id, "name": "n", "type": "LICENSE", "contentType": "image/png",
        "byteSize": 100 });
    let request = app
        .rest("POST", "/graphql")
        .header("host", "evil.example")
        .json(&json!({ "query": prepare, "variables": { "input": input } }));
    let url =
        send(request).await.data()["kycDocumentUploadPrepare"]["target"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://bank.example/api/"), "{url}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_pages_of_listed_origins_may_send_requests() {
    const LISTED: &str = "https://app.example";
    /// Includes headers of Apollo clients.
    const OF_CLIENTS: &str = concat!(
        "authorization,content-type,bearer,idempotency-key,",
        "apollographql-client-name,apollographql-client-version,apollo-require-preflight,x-apollo-operation-name",
    );
    let listing = Options {
        settings: HttpSettings { origins: vec![LISTED.to_owned()], ..HttpSettings::default() },
        ..Options::default()
    };
    let app = TestApp::sqlite_with(listing).await;
    let closed = TestApp::sqlite().await;
    for path in ["/graphql", "/v1/orders"] {
        let preflight = async |app: &TestApp, origin: &str| {
            let request = app
                .anonymous("OPTIONS", path)
                .header("origin", origin)
                .header("access-control-request-method", "POST");
            request.header("access-control-request-headers", OF_CLIENTS).send().await.unwrap()
        };
        let allowed = preflight(&app, LISTED).await;
        let header = |name: &str| allowed.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            (allowed.status().as_u16(), header("access-control-allow-origin").as_deref()),
            (200, Some(LISTED))
        );
        assert_eq!(header("access-control-allow-methods").as_deref(), Some("GET,POST,PUT,PATCH,DELETE"));
        assert_eq!(header("access-control-allow-headers").as_deref(), Some(OF_CLIENTS));
        assert_eq!(header("access-control-allow-credentials"), None);
        assert!(header("vary").is_some_and(|vary| vary.contains("origin")));
        for (app, origin) in [
            (&app, "https://app.example.evil"),
            (&app, "http://app.example"),
            (&app, "https://app.example:444"),
            (&app, "null"),
            (&closed, LISTED),
        ] {
            let refused = preflight(app, origin).await;
            assert_eq!(refused.headers().get("access-control-allow-origin"), None, "{origin}");
            let answer =
                send(app.rest("GET", &format!("{path}?query=%7B__typename%7D")).header("origin", origin))
                    .await;
            assert_eq!(
                (answer.status, answer.headers.get("access-control-allow-origin")),
                (200, None),
                "{origin}"
            );
        }
        let answer =
            send(app.rest("GET", &format!("{path}?query=%7B__typename%7D")).header("origin", LISTED)).await;
        assert_eq!(
            (answer.status, answer.headers["access-control-allow-origin"].to_str().unwrap()),
            (200, LISTED)
        );
        let readable = answer.headers["access-control-expose-headers"].to_str().unwrap();
        assert_eq!(
            readable,
            "ratelimit-limit,ratelimit-remaining,ratelimit-reset,retry-after,x-request-id,idempotent-replayed"
        );
        let denied = send(app.anonymous("GET", "/v1/orders").header("origin", LISTED)).await;
        assert_eq!(
            (denied.status, denied.headers["access-control-allow-origin"].to_str().unwrap()),
            (401, LISTED)
        );
    }
}
