//! HTTP, server-sent events and sockets: media types, statuses, close codes, and resuming streams.

use crate::support::{Answer, ORDER_PLACE, Options, TestApp, on_both, send, socket::Socket};
use coffer::{graphql::Limits, server::HttpSettings};
use domain::{Scope, kernel::clock};
use entity::{api_key, event};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, QueryOrder};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

const CLOCK: &str = "subscription { marketClockChanged { occurredAt } }";
const EVENTS: &str = "subscription($after: String) { events(after: $after) { cursor type id } }";

fn with(change: impl FnOnce(&mut Limits)) -> Options {
    let mut limits = Limits::default();
    change(&mut limits);
    let origins = vec!["https://app.example".to_owned()];
    Options { settings: HttpSettings { limits, origins, ..HttpSettings::default() }, ..Options::default() }
}

async fn post(app: &TestApp, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = app.anonymous("POST", "/graphql");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(body.to_owned())).await
}

fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const STRICT: (&str, &str) = ("accept", "application/graphql-response+json");
const OPEN: &str = "{ marketClock { isOpen } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_request_is_refused_for_every_accept_header() {
    let app = TestApp::sqlite().await;
    let large = query(&" ".repeat(64 << 10));
    let body = query(OPEN);
    let bearer = format!("Bearer {}", app.key);
    for accept in ["application/json", "application/graphql-response+json", "text/event-stream"] {
        let accept = ("accept", accept);
        for (headers, body, status) in [
            (vec![JSON, accept], "[]", 400),
            (vec![JSON, accept], r#"[{"query":"{ __typename }"}]"#, 400),
            (vec![JSON, accept], r#"["{ __typename }",null,null,null]"#, 400),
            (vec![JSON, accept], "{", 400),
            (vec![JSON, accept], "", 400),
            (vec![JSON, accept], "{}", 400),
            (vec![JSON, accept], r#"{"query":7}"#, 400),
            (vec![JSON, accept], r#"{"query":"{ __typename }","variables":[]}"#, 400),
            (vec![accept], "{}", 415),
            (vec![accept, ("content-type", "text/plain")], "{}", 415),
            (vec![accept, ("content-type", "multipart/form-data; boundary=x")], "{}", 415),
            (vec![accept, ("content-type", "application/json; charset=latin1")], "{}", 415),
            (vec![JSON, accept], large.as_str(), 413),
            (vec![JSON, accept, ("authorization", "no")], body.as_str(), 401),
            (vec![JSON, accept, ("authorization", &bearer), ("authorization", &bearer)], body.as_str(), 401),
            (vec![JSON, ("accept", "text/html")], "{}", 406),
        ] {
            let answer = post(&app, &headers, body).await;
            assert_eq!(answer.status, status, "{headers:?} {}", answer.body);
            let code = if status == 401 { "UNAUTHENTICATED" } else { "BAD_USER_INPUT" };
            assert_eq!(answer.error_code(), code, "{headers:?}");
            assert!(answer.body.get("data").is_none());
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_shows_whether_the_document_was_executed() {
    let app = TestApp::sqlite().await;
    for (text, strict) in [
        (OPEN, 200),
        ("{ users { edges { node { id } } } }", 200),
        ("{ nope }", 400),
        ("{", 400),
        ("query($id: ID!) { node(id: $id) { id } }", 400),
        (CLOCK, 400),
    ] {
        let loose = post(&app, &[JSON], &query(text)).await;
        assert_eq!(
            (loose.status, loose.headers["content-type"].to_str().unwrap()),
            (200, "application/json; charset=utf-8"),
            "{text}"
        );
        let answer = post(&app, &[JSON, STRICT], &query(text)).await;
        assert_eq!(answer.status, strict, "{text} {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/graphql-response+json; charset=utf-8");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    for (accept, media) in [
        ("*/*", "application/json; charset=utf-8"),
        ("text/html, */*;q=0.1", "application/json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        (
            "application/json;q=0.5, application/graphql-response+json",
            "application/graphql-response+json; charset=utf-8",
        ),
    ] {
        assert_eq!(
            post(&app, &[JSON, ("accept", accept)], &query(OPEN)).await.headers["content-type"],
            media,
            "{accept}"
        );
    }
    assert_eq!(
        post(&app, &[("content-type", "application/json; charset=\"UTF-8\"")], &query(OPEN)).await.status,
        200
    );
    let short = TestApp::sqlite_with(with(|limits| limits.response_bytes = 500)).await;
    let long =
        post(&short, &[JSON, STRICT], &query("{ instruments(first: 30) { edges { node { name } } } }")).await;
    assert_eq!((long.status, long.error_code()), (400, "RESPONSE_TOO_LARGE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_runs_only_queries() {
    let app = TestApp::sqlite().await;
    let get = |parameters: &[(&str, &str)]| {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        send(app.rest("GET", &format!("/graphql?{}", parameters.join("&"))))
    };
    let named = "query A($symbol: String!) { instrumentBySymbol(symbol: $symbol) { symbol } } query B { \
        viewer { id } }";
    let found = get(&[("query", named), ("operationName", "A"), ("variables", r#"{"symbol":"vti"}"#)]).await;
    assert_eq!(
        (found.status, found.body),
        (200, json!({ "data": { "instrumentBySymbol": { "symbol": "VTI" } } }))
    );
    for parameters in [
        &[][..],
        &[("query", OPEN), ("variables", "[]")],
        &[("query", OPEN), ("variables", "{")],
        &[("query", OPEN), ("extensions", "1")],
    ] {
        let answer = get(parameters).await;
        assert_eq!((answer.status, answer.error_code()), (400, "BAD_USER_INPUT"), "{parameters:?}");
    }
    let mutation = get(&[("query", "mutation { sandboxClockRun { partner { id } } }")]).await;
    assert_eq!((mutation.status, mutation.headers["allow"].to_str().unwrap()), (405, "POST"));
    let frozen = app.gql("{ partner { clock { isFrozen } } }", json!({})).await;
    assert_eq!(frozen.data()["partner"]["clock"]["isFrozen"], true);
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = send(app.rest(method, "/graphql")).await;
        assert_eq!(
            (answer.status, answer.headers["allow"].to_str().unwrap()),
            (405, "GET, POST"),
            "{method}"
        );
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(["%", &format!("{byte:02X}")]);
        }
    }
    encoded
}

/// Requests an event stream and returns its text up to a line that contains `last`.
async fn read_stream(app: &TestApp, document: &str, variables: Value, last: &str) -> String {
    let request = app
        .rest("POST", "/graphql")
        .header("accept", "text/event-stream")
        .json(&json!({ "query": document, "variables": variables }));
    let mut response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    let mut text = String::new();
    while !text.contains(last) {
        match tokio::time::timeout(Duration::from_secs(10), response.chunk())
            .await
            .expect("the stream stalled")
            .unwrap()
        {
            Some(chunk) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
            None => break,
        }
    }
    text
}

on_both! {
    async fn server_sent_events_are_delivered_and_completed(app: TestApp) {
        let one = read_stream(&app, OPEN, json!({}), "complete").await;
        assert_eq!(
            one,
            "event: next\ndata: {\"data\":{\"marketClock\":{\"isOpen\":true}}}\n\nevent: complete\ndata: null\n\n"
        );
        let wrong = read_stream(&app, "{ nope }", json!({}), "complete\ndata").await;
        assert!(
            wrong.starts_with("event: next\ndata: {\"errors\":[")
                && wrong.contains("GRAPHQL_VALIDATION_FAILED"),
            "{wrong}"
        );
        app.customer("Ada").await;
        let log = read_stream(&app, EVENTS, json!({ "after": "0" }), "BANK_ACCOUNT_CREATED").await;
        for (cursor, kind) in [
            ("1", "PARTNER_CREATED"),
            ("2", "USER_CREATED"),
            ("3", "KYC_CREATED"),
            ("4", "ACCOUNT_CREATED"),
            ("5", "BANK_ACCOUNT_CREATED"),
        ] {
            let is_sent = log
                .split("\n\n")
                .any(|next| next.contains(&format!("\"cursor\":\"{cursor}\"")) && next.contains(kind));
            assert!(is_sent, "{kind} in {log}");
        }
    }

    async fn events_are_numbered_and_resume_without_gaps_or_duplicates(app: TestApp) {
        let ada = app.funded_customer("Ada", "5000").await;
        let mut all = Socket::join(&app, Some(&app.key)).await;
        all.subscribe("1", EVENTS, json!({ "after": "0" })).await;
        let mut sent = Vec::new();
        while let Some(message) = all.hear_within(Duration::from_millis(500)).await {
            sent.push(message["payload"]["data"]["events"].clone());
        }
        let cursors: Vec<String> =
            sent.iter().map(|event| event["cursor"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<String> = (1..=sent.len()).map(|number| number.to_string()).collect();
        assert_eq!(cursors, expected);
        let kinds: Vec<&str> = sent.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "PARTNER_CREATED",
                "USER_CREATED",
                "KYC_CREATED",
                "ACCOUNT_CREATED",
                "BANK_ACCOUNT_CREATED",
                "DEPOSIT_PENDING",
                "DEPOSIT_SUBMITTED",
                "DEPOSIT_SETTLED",
                "SANDBOX_CLOCK_CHANGED",
            ]
        );

        // From the middle, while new events arrive: the earlier events first, then the rest, each once.
        let middle = sent.len() / 2;
        let mut resumed = Socket::join(&app, Some(&app.key)).await;
        resumed.subscribe("1", EVENTS, json!({ "after": cursors[middle - 1] })).await;
        for turn in 0..10 {
            let order = ada.order(&format!("o{turn}"), "BUY", "KO", "0.1");
            app.gql(ORDER_PLACE, json!({ "input": order })).await.entity("orderPlace", "order");
        }
        // Accepted, new, filled, trade confirmed and position changed.
        let last = sent.len() + 10 * 5;
        for number in middle + 1..=last {
            let event = resumed.next().await["events"].clone();
            assert_eq!(event["cursor"], number.to_string());
            if let Some(before) = sent.get(number - 1) {
                assert_eq!(&event, before);
            }
        }
        // Without a cursor, only new events.
        let mut live = Socket::join(&app, Some(&app.key)).await;
        live.subscribe("1", EVENTS, json!({})).await;
        assert_eq!(live.hear_within(Duration::from_millis(300)).await, None);
        app.quote("VTI", "1", "2").await;
        assert_eq!(live.next().await["events"]["type"], "SANDBOX_QUOTE_SET");

        for cursor in ["", "nope", "-1", "+1", "01", "1.0", "999999", "9223372036854775808", &ada.user_id] {
            let mut refused = Socket::join(&app, Some(&app.key)).await;
            refused.subscribe("1", EVENTS, json!({ "after": cursor })).await;
            let message = refused.hear().await.unwrap();
            let errors =
                if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
            assert_eq!(errors[0]["extensions"]["code"], "BAD_USER_INPUT", "{cursor} {message}");
            assert_eq!(errors[0]["message"], "after is not a valid cursor");
        }
    }

    async fn a_subscription_continues_a_query(app: TestApp) {
        let ada = app.customer("Ada").await;
        let rename = async |nickname: &str| {
            let rename = "mutation($input: BankAccountRenameInput!) { bankAccountRename(input: $input) { \
                bankAccount { id } userErrors { code } } }";
            let input = json!({ "bankAccountId": ada.bank_account_id, "nickname": nickname });
            app.gql(rename, json!({ "input": input })).await.entity("bankAccountRename", "bankAccount");
        };
        rename("One").await;
        let read = "query($id: ID!) { eventCursor node(id: $id) { ... on BankAccount { nickname } } }";
        let read = app.gql(read, json!({ "id": ada.bank_account_id })).await.data().clone();
        assert_eq!(read["node"]["nickname"], "One");
        let cursor = read["eventCursor"].as_str().unwrap();
        rename("Two").await;
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", EVENTS, json!({ "after": cursor })).await;
        let event = socket.next().await["events"].clone();
        let next = (cursor.parse::<i64>().unwrap() + 1).to_string();
        assert_eq!((&event["type"], &event["cursor"]), (&json!("BANK_ACCOUNT_UPDATED"), &json!(next)));
    }

    async fn an_expired_cursor_is_refused(app: TestApp) {
        app.customer("Ada").await;
        let row = event::Entity::find()
            .order_by_asc(event::Column::Seq)
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.seq, Some(1));
        // Insert the same event as if it had been written 31 days ago: the first six bytes of an id are its
        // time.
        let mut bytes = row.id.into_bytes();
        let written =
            u64::try_from((clock::system_now() - chrono::Duration::days(31)).timestamp_millis()).unwrap();
        bytes[..6].copy_from_slice(&written.to_be_bytes()[2..]);
        let insert = async |bytes: [u8; 16], number: i64| {
            let id = uuid::Uuid::from_bytes(bytes);
            let event = event::Model { id, stream_version: 1000, seq: Some(number), ..row.clone() };
            let stream_version = i32::try_from(number).unwrap();
            let tx = app.app.db.write().await.unwrap();
            let event = event::Model { stream_version, ..event };
            event::ActiveModel::from(event).reset_all().insert(&tx).await.unwrap();
            tx.commit().await.unwrap();
        };
        insert(bytes, 1_000).await;
        // As long as it is the newest event, a subscription can continue after it.
        let resumed = domain::kernel::events::position_of(&app.app.db.read, app.partner.id, "1000").await;
        assert_eq!(resumed.unwrap(), 1_000);
        let mut newer = row.id.into_bytes();
        newer[9] ^= 1;
        insert(newer, 1_001).await;
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", EVENTS, json!({ "after": "1000" })).await;
        let message = socket.hear().await.unwrap();
        let errors =
            if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
        assert_eq!(errors[0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
        socket.subscribe("2", EVENTS, json!({ "after": "1" })).await;
        loop {
            let message = socket.hear().await.unwrap();
            if message["id"] == "2" {
                assert_eq!(message["payload"]["data"]["events"]["cursor"], "2");
                break;
            }
        }
    }

    async fn partners_receive_only_their_own_events(app: TestApp) {
        let (_, other) = app.other_partner("another").await;
        let mut own = Socket::join(&app, Some(&app.key)).await;
        own.subscribe("1", EVENTS, json!({ "after": "0" })).await;
        let mut theirs = Socket::join(&app, Some(&other)).await;
        theirs.subscribe("1", EVENTS, json!({ "after": "0" })).await;
        assert_eq!(theirs.next().await["events"]["type"], "PARTNER_CREATED");
        app.customer("Ada").await;
        for number in 1..=5 {
            assert_eq!(own.next().await["events"]["cursor"], number.to_string());
        }
        assert_eq!(theirs.hear_within(Duration::from_millis(300)).await, None);
        app.customer_as(&other, "Eve").await;
        for number in 2..=5 {
            assert_eq!(theirs.next().await["events"]["cursor"], number.to_string());
        }
        assert_eq!(own.hear_within(Duration::from_millis(300)).await, None);
    }

    async fn revoking_a_key_closes_its_socket(app: TestApp) {
        let mut anonymous = Socket::join(&app, None).await;
        let mut socket = Socket::join(&app, Some(&app.key_for(&[Scope::Read]).await)).await;
        socket.subscribe("1", EVENTS, json!({})).await;
        let row = api_key::Entity::find()
            .order_by_desc(api_key::Column::Id)
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let mut row: api_key::ActiveModel = row.into();
        row.revoked_at = Set(Some(clock::system_now()));
        let tx = app.app.db.write().await.unwrap();
        row.update(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(30), socket.closed())
            .await
            .expect("the socket stayed open");
        assert_eq!(closed.0, 4403);
        anonymous.subscribe("1", OPEN, json!({})).await;
        assert_eq!(anonymous.next().await["marketClock"].as_object().unwrap().len(), 1);
    }

    async fn database_errors_are_not_revealed(app: TestApp) {
        let ada = app.customer("Ada").await;
        let tx = app.app.db.write().await.unwrap();
        for statement in
            ["ALTER TABLE users RENAME TO users_gone", "ALTER TABLE bank_account RENAME TO bank_account_gone"]
        {
            tx.execute_unprepared(statement).await.unwrap();
        }
        tx.commit().await.unwrap();
        let leaks = [
            "users_gone",
            "no such table",
            "relation",
            "does not exist",
            "SELECT",
            "sqlx",
            "SQL",
            "sea_orm",
            "Execution Error",
            "Query Error",
        ];
        let assert_no_leak = |body: &Value| {
            let text = body.to_string();
            assert!(leaks.iter().all(|leak| !text.contains(leak)), "{text}");
        };
        let document = "query($id: ID!) { user(id: $id) { id } marketClock { isOpen } }";
        let point = app.gql(document, json!({ "id": ada.user_id })).await;
        assert_eq!((point.status, point.error_code()), (200, "INTERNAL_SERVER_ERROR"));
        assert_eq!(point.body["errors"][0]["message"], "Something went wrong on our side.");
        assert_eq!(point.body["data"]["user"], json!(null));
        assert_no_leak(&point.body);
        let deposit =
            app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": ada.deposit("d", "1") })).await;
        assert_eq!(deposit.error_code(), "INTERNAL_SERVER_ERROR");
        assert_no_leak(&deposit.body);
        let read = app.get(&format!("/v1/users/{}", ada.user_id)).await;
        let told =
            json!({ "error": { "type": "api_error", "message": "Something went wrong on our side." } });
        assert_eq!((read.status, &read.body), (500, &told));
        let posted =
            json!({ "account_id": ada.account_id, "bank_account_id": ada.bank_account_id, "amount": "1" });
        let posted = app.post("/v1/deposits", posted).await;
        assert_eq!((posted.status, &posted.body), (500, &told));
        let tx = app.app.db.write().await.unwrap();
        tx.execute_unprepared("ALTER TABLE users_gone RENAME TO users").await.unwrap();
        tx.commit().await.unwrap();
        // No lock or unfinished transaction is left.
        assert_eq!(
            app.gql(document, json!({ "id": ada.user_id })).await.data()["user"]["id"],
            ada.user_id.as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocol_errors_close_the_socket_with_their_codes() {
    let app = TestApp::sqlite_with(with(|limits| limits.socket_init = Duration::from_millis(300))).await;
    assert_eq!(Socket::open(&app).await.closed().await.0, 4408);

    let mut early = Socket::open(&app).await;
    early.subscribe("a", OPEN, json!({})).await;
    assert_eq!(early.closed().await.0, 4401);

    for payload in [
        json!({ "Authorization": "Bearer no" }),
        json!({ "authorization": 1 }),
        json!({ "a": 1, "AUTHORIZATION": "" }),
    ] {
        let mut refused = Socket::open(&app).await;
        refused.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(refused.closed().await.0, 4403, "{payload}");
    }
    for message in [
        json!({ "type": "nonsense" }),
        json!([1]),
        json!({ "type": "subscribe", "id": "", "payload": { "query": "{a}" } }),
        json!({ "type": "subscribe", "id": "a", "payload": { "query": 1 } }),
        json!({ "type": "subscribe", "id": "i".repeat(257), "payload": { "query": "{a}" } }),
    ] {
        let mut socket = Socket::join(&app, None).await;
        socket.say(message.clone()).await;
        assert_eq!(socket.closed().await.0, 4400, "{message}");
    }
    let mut invalid_json = Socket::join(&app, None).await;
    invalid_json.say_text("{").await;
    assert_eq!(invalid_json.closed().await.0, 4400);

    let mut again = Socket::join(&app, None).await;
    again.say(json!({ "type": "connection_init" })).await;
    assert_eq!(again.closed().await.0, 4429);

    let mut twice = Socket::join(&app, None).await;
    twice.subscribe("a", CLOCK, json!({})).await;
    twice.subscribe("a", CLOCK, json!({})).await;
    assert_eq!(twice.closed().await.0, 4409);

    let mut long = Socket::join(&app, None).await;
    long.say(json!({ "type": "ping", "payload": { "a": "b".repeat(64 << 10) } })).await;
    assert_eq!(long.closed().await.0, 1009);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_operations_respond_and_complete() {
    let app = TestApp::sqlite().await;
    let mut socket = Socket::open(&app).await;
    socket
        .say(json!({ "type": "connection_init",
        "payload": { "AuthoriZation": format!("Bearer {}", app.key) } }))
        .await;
    assert_eq!(socket.hear().await.unwrap(), json!({ "type": "connection_ack" }));
    socket.subscribe("q", "{ partner { name } }", json!({})).await;
    let next =
        json!({ "id": "q", "type": "next", "payload": { "data": { "partner": { "name": "tests" } } } });
    assert_eq!(socket.hear().await.unwrap(), next);
    assert_eq!(socket.hear().await.unwrap(), json!({ "id": "q", "type": "complete" }));
    socket.subscribe("q", "{ nope }", json!({})).await;
    let error = socket.hear().await.unwrap();
    assert_eq!(
        (&error["type"], &error["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("GRAPHQL_VALIDATION_FAILED"))
    );
    socket.say(json!({ "type": "ping", "payload": { "a": 1 } })).await;
    assert_eq!(socket.hear().await.unwrap(), json!({ "type": "pong", "payload": { "a": 1 } }));

    // The twenty-first operation is refused; the socket stays open.
    let after = app.cursor().await;
    for turn in 0..21 {
        socket.subscribe(&turn.to_string(), EVENTS, json!({ "after": after })).await;
    }
    let refused = socket.hear().await.unwrap();
    assert_eq!(
        (&refused["id"], &refused["type"], &refused["payload"][0]["extensions"]["code"]),
        (&json!("20"), &json!("error"), &json!("RATE_LIMITED"))
    );
    socket.say(json!({ "type": "complete", "id": "0" })).await;
    socket.subscribe("20", OPEN, json!({})).await;
    assert_eq!(socket.next().await, json!({ "marketClock": { "isOpen": true } }));
    assert_eq!(socket.hear().await.unwrap(), json!({ "id": "20", "type": "complete" }));
    // The other nineteen subscriptions still receive events.
    app.quote("VTI", "1", "2").await;
    let mut received = BTreeMap::new();
    for _ in 0..19 {
        let message = socket.hear().await.unwrap();
        assert_eq!(message["payload"]["data"]["events"]["type"], "SANDBOX_QUOTE_SET", "{message}");
        *received.entry(message["id"].to_string()).or_insert(0) += 1;
    }
    assert!(received.len() == 19 && !received.contains_key("\"0\""), "{received:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_closes_the_socket_with_its_cursor() {
    let app = TestApp::sqlite().await;
    let mut socket = Socket::join(&app, Some(&app.key)).await;
    socket.subscribe("a", EVENTS, json!({ "after": "0" })).await;
    assert_eq!(socket.next().await["events"]["cursor"], "1");
    app.stopping();
    assert_eq!(socket.closed().await, (1012, "cursor=1".to_owned()));
    assert_eq!(Socket::open(&app).await.closed().await, (1012, String::new()));
    assert_eq!(send(app.anonymous("GET", "/readyz")).await.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_closed_with_its_cursor() {
    let app = TestApp::sqlite_with(with(|limits| {
        (limits.socket_queue, limits.socket_patience) = (1, Duration::from_millis(50));
    }))
    .await;
    for _ in 0..400 {
        app.quote("VTI", "1", "2").await;
    }
    let fields: String =
        (0..14).map(|turn| format!("a{turn}: partner {{ id name mode clock {{ now }} }} ")).collect();
    let document = format!(
        "subscription {{ events(after: \"0\") {{ cursor ... on PartnerChangedEvent {{ {fields} }} }} }}"
    );
    // The time to fill the buffers, and to receive the close frame, depends on the machine.
    let mut ended = Vec::new();
    for seconds in [3, 2, 4, 6] {
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        for turn in 0..20 {
            socket.subscribe(&turn.to_string(), &document, json!({})).await;
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let end = loop {
            match tokio::time::timeout(Duration::from_secs(3), socket.hear()).await {
                Ok(Ok(_)) => {}
                Ok(Err(end)) => break Some(end),
                Err(_) => break None,
            }
        };
        ended.push(end);
        if let Some(Some((4413, reason))) = ended.last() {
            assert!(
                reason.strip_prefix("cursor=").is_some_and(|cursor| cursor.parse::<u32>().is_ok()),
                "{reason}"
            );
            return;
        }
    }
    panic!("no slow reader was closed with a cursor: {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_cannot_open_a_socket() {
    let app = TestApp::sqlite_with(with(|_| {})).await;
    let connect = async |origin: Option<&str>, protocol: Option<&str>| {
        let mut request =
            format!("{}/graphql/ws", app.url.replace("http://", "ws://")).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(|_| ()).map_err(|error| error.to_string())
    };
    let right_protocol = Some("graphql-transport-ws");
    for good in [None, Some(app.url.as_str()), Some("https://app.example")] {
        assert_eq!(connect(good, right_protocol).await, Ok(()), "{good:?}");
    }
    for other in ["https://app.example.evil", "https://evil.example", "null", "https://app.example:444"] {
        assert!(connect(Some(other), right_protocol).await.unwrap_err().contains("403"), "{other}");
    }
    for protocol in [None, Some("graphql-ws"), Some("soap")] {
        assert!(connect(None, protocol).await.unwrap_err().contains("400"), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_credential_headers_work_and_a_401_lists_the_schemes() {
    let app = TestApp::sqlite().await;
    let body = query("{ users(first: 1) { edges { node { id } } } }");
    let bare = app.key.as_str();
    let answer = post(&app, &[JSON, ("bearer", bare)], &body).await;
    assert_eq!((answer.status, &answer.data()["users"]["edges"]), (200, &json!([])));
    let both = post(&app, &[JSON, ("bearer", bare), ("authorization", bare)], &body).await;
    assert_eq!((both.status, both.error_code()), (401, "UNAUTHENTICATED"));
    for denied in [
        both,
        send(app.anonymous("GET", "/v1/users")).await,
        send(app.anonymous("GET", "/account/v1/users/me")).await,
    ] {
        assert_eq!(denied.status, 401);
        let ways: Vec<&str> =
            denied.headers.get_all("www-authenticate").iter().map(|way| way.to_str().unwrap()).collect();
        assert_eq!(ways, [r#"Basic realm="coffer", charset="UTF-8""#, r#"Bearer realm="coffer""#]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_token_does_not_prevent_sign_in() {
    let app = TestApp::sqlite().await;
    let person = app.person("ada@example.com", "2025550107").await;
    let sign_in = "mutation { userSignIn(input: { email: \"ada@example.com\", password: \"correct horse\" \
        }) { session { refreshToken } userErrors { code } } }";
    let renew = format!(
        "mutation {{ tokenRefresh(input: {{ refreshToken: \"{}\" }}) {{ session {{ accessToken }} \
            userErrors {{ code }} }} }}",
        person.refresh
    );
    let sign_up = "mutation { userSignUp(input: { email: \"new@example.com\", password: \"correct horse\", \
        fullName: \"New User\" }) { session { accessToken } userErrors { code } } }";
    for invalid in ["Bearer nonsense", "Bearer a.b.c", "Basic !!!", ""] {
        let answer = post(&app, &[JSON, ("authorization", invalid)], &query(sign_in)).await;
        assert!(
            answer.data()["userSignIn"]["session"]["refreshToken"].is_string(),
            "{invalid} {}",
            answer.body
        );
        let mixed = query(
            &sign_in.replace("mutation {", "mutation { passcodeSend(input: {}) { userErrors { code } } "),
        );
        let denied = post(&app, &[JSON, ("authorization", invalid)], &mixed).await;
        assert_eq!(
            (denied.status, denied.error_code()),
            (401, "UNAUTHENTICATED"),
            "{invalid}: ignored only if no field needs a credential"
        );
    }
    let renewed = post(&app, &[JSON, ("authorization", "Bearer nonsense")], &query(&renew)).await;
    assert!(renewed.data()["tokenRefresh"]["session"]["accessToken"].is_string(), "{}", renewed.body);
    let signed_up = post(&app, &[JSON, ("authorization", "Bearer nonsense")], &query(sign_up)).await;
    assert!(signed_up.data()["userSignUp"]["session"]["accessToken"].is_string(), "{}", signed_up.body);
    // A mistyped key is refused; if it were ignored, the user would belong to the default partner.
    let mistyped =
        post(&app, &[JSON, ("authorization", &app.key[..app.key.len() - 1])], &query(sign_up)).await;
    assert_eq!((mistyped.status, mistyped.error_code()), (401, "UNAUTHENTICATED"));
}
