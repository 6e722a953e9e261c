//! E-mail and text messages: a sandbox's appear in its outbox, a live partner's reach a real mail server and
//! a real gateway.

use crate::support::{
    Options, TestApp, on_both,
    smtp::{Smtp, free_port, python},
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post as on_post,
};
use domain::{
    Scope,
    app::App,
    delivery::messages::{self, NewMessage},
    kernel::{clock, scheduler, timers},
    providers::{Providers, mail, sms},
};
use entity::{
    message::{self, Channel, Purpose, Status},
    partner::{self, Mode},
    timer::{self, TimerKind},
};
use sea_orm::{ConnectionTrait, EntityTrait, Statement};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Returns an e-mail with a passcode.
pub fn mail(to: &str, subject: &str, text: &str) -> NewMessage {
    let (to, subject, text) = (to.to_owned(), subject.to_owned(), text.to_owned());
    NewMessage {
        user_id: None,
        channel: Channel::Mail,
        purpose: Purpose::Passcode,
        to,
        subject,
        text,
        send_by: None,
    }
}

fn sms(to: &str, text: &str) -> NewMessage {
    NewMessage { channel: Channel::Sms, ..mail(to, "", text) }
}

/// Posts a message in its own transaction, which an error rolls back.
pub async fn post(app: &App, partner: &partner::Model, new: NewMessage) -> domain::Result<Uuid> {
    let tx = app.db.write().await?;
    let id = messages::post(app, &tx, partner, new).await?;
    tx.commit().await?;
    Ok(id)
}

async fn live(app: &TestApp) -> partner::Model {
    domain::access::partners::find_or_create(&app.app, "live", Mode::Live).await.unwrap()
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    let read = &app.app.db.read;
    let counted = read.query_one_raw(Statement::from_string(
        read.get_database_backend(),
        format!("SELECT count(*) AS rows FROM {table}"),
    ));
    counted.await.unwrap().unwrap().try_get("", "rows").unwrap()
}

/// Returns options of a Coffer server that sends mail through this mail server.
fn mailing(url: &str) -> Options {
    let smtp = mail::Smtp::new(url, "Coffer <no-reply@coffer.example>").unwrap();
    Options {
        providers: Providers { live_mail: Some(Arc::new(smtp)), ..Providers::default() },
        ..Options::default()
    }
}

/// Waits until the message is no longer pending and returns it.
async fn ended(app: &TestApp, id: Uuid) -> message::Model {
    for _ in 0..600 {
        let message = message::Entity::find_by_id(id).one(&app.app.db.read).await.unwrap().unwrap();
        if message.status != Status::Pending {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("message {id} did not end");
}

/// Waits until the only timer has failed `attempts` times and its next attempt is `pause` seconds away.
async fn wait_for_retry(app: &TestApp, attempts: i32, pause: i64) {
    let mut seen = (0, 0);
    for _ in 0..600 {
        let timer = timer::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        seen =
            (timer.attempts, (timer.retry_at.unwrap_or_default() - clock::system_now()).num_milliseconds());
        if seen.0 == attempts && (1000 * pause - 3000..=1000 * pause).contains(&seen.1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after {} attempts it waits {} ms, not {pause} s after {attempts}", seen.0, seen.1);
}

/// Makes the next attempt of the only timer due now.
async fn retry_now(app: &TestApp) {
    let text = "UPDATE timer SET retry_at = '2026-01-01T00:00:00+00:00'";
    app.app.db.for_migrations().execute_unprepared(text).await.unwrap();
}

/// Returns whether the content of a message has been erased.
fn is_empty(message: &message::Model) -> bool {
    message.recipient.is_empty()
        && message.subject.is_empty()
        && message.body.is_empty()
        && message.recipient_index.is_none()
}

/// Requests that a gateway has received: the relevant headers, and the body.
type GatewayRequests = Arc<Mutex<Vec<(Value, String)>>>;

/// Starts a gateway that responds with these statuses one after another, then with 200. Returns its URL and
/// the requests it receives.
async fn gateway(statuses: &[u16]) -> (String, GatewayRequests) {
    async fn take(
        State((requests, statuses)): State<(GatewayRequests, Arc<Mutex<Vec<u16>>>)>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let relevant = json!({ "type": header("content-type"), "authorization": header("authorization"),
            "key": header("idempotency-key") });
        requests.lock().unwrap().push((relevant, body));
        let mut statuses = statuses.lock().unwrap();
        let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
        (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")])
    }
    let requests = GatewayRequests::default();
    let state = (requests.clone(), Arc::new(Mutex::new(statuses.to_vec())));
    let router = Router::new()
        .route("/send", on_post(take))
        .route("/elsewhere", on_post(take).get(take))
        .with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, requests)
}

fn texting(url: &str, template: &str, content_type: &str) -> Options {
    let gateway = sms::Gateway::new(url, template, content_type, Some("Bearer of the gateway")).unwrap();
    Options {
        providers: Providers { live_sms: Some(Arc::new(gateway)), ..Providers::default() },
        ..Options::default()
    }
}

const OUTBOX: &str = "query($first: Int, $after: String, $to: String, $channel: MessageChannel) {
    sandboxOutbox(first: $first, after: $after, to: $to, channel: $channel) {
        edges { node { channel purpose to subject text createdAt } } pageInfo { hasNextPage endCursor } } }";

on_both! {
    async fn sandbox_messages_appear_in_the_outbox(app: TestApp) {
        post(&app.app, &app.partner, mail("Ada.Carter@example.com", "Your passcode", "It is 123456."))
            .await
            .unwrap();
        post(&app.app, &app.partner, sms("(202) 555-0107", "Your passcode is 654321.")).await.unwrap();
        post(
            &app.app,
            &app.partner,
            NewMessage { purpose: Purpose::Invitation, ..mail("bob@example.com", "Sign up", "Come in.") },
        )
        .await
        .unwrap();
        let (another, _) = app.other_partner("another").await;
        post(&app.app, &another, mail("ada.carter@example.com", "Theirs", "Not yours.")).await.unwrap();

        let ada = json!({ "node": { "channel": "MAIL", "purpose": "PASSCODE", "to": "Ada.Carter@example.com",
            "subject": "Your passcode",
            "text": "It is 123456.", "createdAt": "2026-07-09T16:00:00Z" } });
        let phone = json!({ "node": { "channel": "SMS", "purpose": "PASSCODE", "to": "+12025550107", "subject": null,
            "text": "Your passcode is 654321.", "createdAt": "2026-07-09T16:00:00Z" } });
        let bob = json!({ "node": { "channel": "MAIL", "purpose": "INVITATION", "to": "bob@example.com",
            "subject": "Sign up",
            "text": "Come in.", "createdAt": "2026-07-09T16:00:00Z" } });
        for (variables, expected) in [
            (json!({}), json!([bob, phone, ada])),
            (json!({ "to": "ada.carter@EXAMPLE.com" }), json!([ada])),
            (json!({ "to": "202-555-0107" }), json!([phone])),
            (json!({ "to": "unknown@example.com" }), json!([])),
            (json!({ "channel": "MAIL" }), json!([bob, ada])),
            (json!({ "channel": "SMS" }), json!([phone])),
            (json!({ "channel": "SMS", "to": "bob@example.com" }), json!([])),
        ] {
            assert_eq!(
                app.gql(OUTBOX, variables.clone()).await.data()["sandboxOutbox"]["edges"],
                expected,
                "{variables}"
            );
        }
        let page = app.gql(OUTBOX, json!({ "first": 1 })).await.data()["sandboxOutbox"].clone();
        assert_eq!((&page["edges"], &page["pageInfo"]["hasNextPage"]), (&json!([bob]), &json!(true)));
        let rest = app
            .gql(OUTBOX, json!({ "first": 2, "after": page["pageInfo"]["endCursor"] }))
            .await
            .data()["sandboxOutbox"]
            .clone();
        assert_eq!((&rest["edges"], &rest["pageInfo"]["hasNextPage"]), (&json!([phone, ada]), &json!(false)));
        assert_eq!(rows(&app, "timer").await, 0);
    }

    async fn the_outbox_requires_a_sandbox_and_scope_operate(app: TestApp) {
        let id = post(&app.app, &app.partner, mail("ada@example.com", "Your passcode", "It is 123456."))
            .await
            .unwrap();
        let refused = app.gql_as(Some(&app.live_key().await), OUTBOX, json!({})).await;
        assert_eq!(
            (refused.error_code(), &refused.body["errors"][0]["message"]),
            ("BAD_USER_INPUT", &json!("Only available in a sandbox."))
        );
        let reader = app.key_for(&[Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage]).await;
        assert_eq!(app.gql_as(Some(&reader), OUTBOX, json!({})).await.error_code(), "FORBIDDEN");
        let node = "query($id: ID!) { node(id: $id) { __typename ... on OutboxMessage { to text } } }";
        assert_eq!(
            app.gql(node, json!({ "id": id })).await.data()["node"],
            json!({ "__typename": "OutboxMessage", "to": "ada@example.com", "text": "It is 123456." })
        );
        assert_eq!(app.gql_as(Some(&reader), node, json!({ "id": id })).await.data()["node"], json!(null));
    }

    async fn expired_outbox_messages_are_deleted(app: TestApp) {
        post(&app.app, &app.partner, mail("old@example.com", "Old", "Old.")).await.unwrap();
        let text = "UPDATE message SET kept_until = '2026-01-01T00:00:00+00:00'";
        app.app.db.for_migrations().execute_unprepared(text).await.unwrap();
        post(&app.app, &app.partner, mail("new@example.com", "New", "New.")).await.unwrap();
        let tx = app.app.db.write().await.unwrap();
        assert_eq!(messages::forget_old(&tx).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let left = app.gql(OUTBOX, json!({})).await.data()["sandboxOutbox"]["edges"].clone();
        assert_eq!((left.as_array().unwrap().len(), &left[0]["node"]["to"]), (1, &json!("new@example.com")));
    }

    async fn messages_without_provider_or_valid_address_are_refused(app: TestApp) {
        let live = live(&app).await;
        for (new, expected) in [
            (
                mail("ada@example.com", "Your passcode", "It is 123456."),
                "Unavailable(\"No mail server is configured.\")",
            ),
            (sms("2025550107", "It is 123456."), "Unavailable(\"No SMS gateway is configured.\")"),
            (mail("ada@example.com\r\nBcc: eve@example.com", "S", "T"), "to must be an e-mail address"),
            (mail("ada@example.com\nBcc:eve@example.com", "S", "T"), "to must be an e-mail address"),
            (mail("ada", "S", "T"), "to must be an e-mail address"),
            (
                mail("ada@example.com", "S\r\nBcc: eve@example.com", "T"),
                "subject must not contain control characters",
            ),
            (sms("202555\r\n0107", "T"), "to must contain only digits and punctuation"),
            (sms("ada@example.com", "T"), "to must contain only digits and punctuation"),
        ] {
            let refused = match post(&app.app, &live, new).await.unwrap_err() {
                domain::Error::Refused(refusal) => refusal.message(&refusal.path.join(".")),
                other => format!("{other:?}"),
            };
            assert_eq!(refused, expected);
        }
        assert_eq!((rows(&app, "message").await, rows(&app, "timer").await), (0, 0));
    }

    async fn live_mail_arrives_unchanged_and_is_erased(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let server = Smtp::start("127.0.0.1", port, true);
        let app = app.restarted(mailing(&format!("smtp://coffer:p%40ss%3Aword@127.0.0.1:{port}"))).await;
        let live = live(&app).await;
        let text = "Grüße, Ada.\nYour passcode is 123456.\n.\nBcc: eve@example.com";
        let subject =
            "Ihr Schlüssel, a subject that is long enough to be folded over more than one line of a header";
        let id = post(&app.app, &live, mail("Ada.Carter@example.com", subject, text)).await.unwrap();
        let ended = ended(&app, id).await;
        assert_eq!(
            (ended.status, ended.attempts, ended.sent_at.is_some(), is_empty(&ended)),
            (Status::Sent, 1, true, true)
        );
        let taken = server.stop();
        assert_eq!(taken.len(), 1, "{taken:?}");
        let headers = &taken[0]["headers"];
        assert_eq!(
            (&taken[0]["from"], &taken[0]["to"]),
            (&json!("no-reply@coffer.example"), &json!(["Ada.Carter@example.com"]))
        );
        assert_eq!(
            (&headers["from"], &headers["to"]),
            (&json!("Coffer <no-reply@coffer.example>"), &json!("Ada.Carter@example.com"))
        );
        assert_eq!(
            (&headers["subject"], &headers["message-id"]),
            (&json!(subject), &json!(format!("<{id}@coffer>")))
        );
        assert_eq!(
            (&taken[0]["text"], &headers["bcc"]),
            (&json!(format!("{text}\n").replace('\n', "\r\n")), &json!(null))
        );
        assert_eq!(rows(&app, "timer").await, 0);
    }

    async fn mail_is_retried_while_the_server_is_down_and_sent_once(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let app = app.restarted(mailing(&format!("smtp://127.0.0.1:{port}"))).await;
        let live = live(&app).await;
        let began = Instant::now();
        let id =
            post(&app.app, &live, mail("ada@example.com", "Your passcode", "It is 123456.")).await.unwrap();
        wait_for_retry(&app, 1, 5).await;
        let server = Smtp::start("127.0.0.1", port, false);
        let ended = ended(&app, id).await;
        assert!(began.elapsed() > Duration::from_secs(5), "tried again after {:?}", began.elapsed());
        assert_eq!((ended.status, ended.attempts, is_empty(&ended)), (Status::Sent, 2, true));
        assert_eq!(server.stop().len(), 1);
        assert_eq!(rows(&app, "timer").await, 0);
    }

    async fn undeliverable_mail_fails_and_is_erased(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let server = Smtp::start("127.0.0.1", port, false);
        let app = app.restarted(mailing(&format!("smtp://127.0.0.1:{port}"))).await;
        let live = live(&app).await;
        let id = post(&app.app, &live, mail("unknown@example.com", "S", "T")).await.unwrap();
        let refused = ended(&app, id).await;
        assert_eq!(
            (refused.status, refused.attempts, refused.sent_at, is_empty(&refused)),
            (Status::Failed, 1, None, true)
        );

        let id = post(&app.app, &live, mail("full@example.com", "S", "T")).await.unwrap();
        for (attempts, pause) in (1..).zip([5, 30, 120, 600, 3600, 14_400, 43_200]) {
            wait_for_retry(&app, attempts, pause).await;
            retry_now(&app).await;
        }
        let given_up = ended(&app, id).await;
        assert_eq!(
            (given_up.status, given_up.attempts, given_up.sent_at, is_empty(&given_up)),
            (Status::Failed, 8, None, true)
        );

        let app = app.restarted(mailing(&format!("smtp://127.0.0.1:{}", free_port()))).await;
        let soon = Some(clock::system_now() + chrono::Duration::seconds(3));
        let id = post(&app.app, &live, NewMessage { send_by: soon, ..mail("ada@example.com", "S", "T") })
            .await
            .unwrap();
        assert_eq!((ended(&app, id).await.status, rows(&app, "timer").await), (Status::Failed, 0));
        let app = app.restarted(mailing(&format!("smtp://127.0.0.1:{port}"))).await;
        let past = Some(clock::system_now() - chrono::Duration::seconds(1));
        let id = post(&app.app, &live, NewMessage { send_by: past, ..mail("ada@example.com", "S", "T") })
            .await
            .unwrap();
        assert_eq!((ended(&app, id).await.status, rows(&app, "timer").await), (Status::Failed, 0));
        assert_eq!(server.stop(), Vec::<Value>::new());
    }

    async fn two_servers_send_each_mail_once(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let server = Smtp::start("127.0.0.1", port, false);
        let url = format!("smtp://127.0.0.1:{port}");
        let app = app.restarted(mailing(&url)).await;
        let beside = app.beside(mailing(&url)).await;
        let live = live(&app).await;
        let mut ids = Vec::new();
        for turn in 0..40 {
            ids.push(post(&app.app, &live, mail(&format!("ada{turn}@example.com"), "S", "T")).await.unwrap());
            beside.app.timers.wake();
            app.app.timers.wake();
        }
        for id in ids {
            assert_eq!(ended(&beside, id).await.status, Status::Sent);
        }
        let mut to: Vec<String> =
            server.stop().iter().map(|mail| mail["to"][0].as_str().unwrap().to_owned()).collect();
        to.sort_unstable();
        let mut expected: Vec<String> = (0..40).map(|turn| format!("ada{turn}@example.com")).collect();
        expected.sort_unstable();
        assert_eq!(to, expected);
    }

    async fn mail_leased_by_a_dead_server_is_sent_by_another(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let server = Smtp::start("127.0.0.1", port, false);
        let url = format!("smtp://127.0.0.1:{port}");
        let app = app.restarted(Options { without_timers: true, ..mailing(&url) }).await;
        let live = live(&app).await;
        let id = post(&app.app, &live, mail("ada@example.com", "S", "T")).await.unwrap();
        let timer = timer::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        let tx = app.app.db.write().await.unwrap();
        let leased = timers::lease(&tx, timer.clone(), chrono::Duration::seconds(90)).await.unwrap();
        assert_eq!(leased.map(|leased| leased.attempts), Some(1));
        assert_eq!(timers::lease(&tx, timer, chrono::Duration::seconds(90)).await.unwrap(), None);
        tx.commit().await.unwrap();
        // Until the lease ends, no other server sends the mail.
        let mut running = JoinSet::new();
        assert!(!scheduler::start_due_by_system(&app.app, &mut running).await.unwrap());
        assert!(running.is_empty());
        let app = app.restarted(mailing(&url)).await;
        retry_now(&app).await;
        let sent = ended(&app, id).await;
        assert_eq!((sent.status, sent.attempts), (Status::Sent, 2));
        assert_eq!(server.stop().len(), 1);
    }

    async fn a_sandbox_sends_no_mail_even_with_a_mail_server(app: TestApp) {
        if python().is_none() {
            return;
        }
        let port = free_port();
        let server = Smtp::start("127.0.0.1", port, false);
        let app = app.restarted(mailing(&format!("smtp://127.0.0.1:{port}"))).await;
        post(&app.app, &app.partner, mail("ada@example.com", "Your passcode", "It is 123456."))
            .await
            .unwrap();
        app.advance_to("2026-07-20T16:00:00Z").await;
        assert_eq!(server.stop(), Vec::<Value>::new());
        let outbox = app.gql(OUTBOX, json!({})).await.data()["sandboxOutbox"]["edges"].clone();
        assert_eq!(
            (outbox.as_array().unwrap().len(), &outbox[0]["node"]["text"]),
            (1, &json!("It is 123456."))
        );
    }

    async fn advancing_a_sandbox_clock_runs_no_system_timers(app: TestApp) {
        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        let tx = app.app.db.write().await.unwrap();
        timers::schedule_system(
            &tx,
            app.app.ids,
            app.partner.id,
            TimerKind::MessageSend,
            app.partner.id,
            false,
        )
        .await;
        tx.commit().await.unwrap();
        app.advance_to("2026-07-20T16:00:00Z").await;
        assert_eq!(rows(&app, "timer").await, 1);
    }

    async fn live_text_messages_are_posted_to_the_gateway(app: TestApp) {
        let (url, requests) = gateway(&[500, 307]).await;
        let app = app.restarted(texting(&url, r#"{"to":"{to}","body":"{text}"}"#, "application/json")).await;
        let live = live(&app).await;
        let id = post(&app.app, &live, sms("(202) 555-0107", "Say \"{to}\",\nit is 123456.")).await.unwrap();
        for (attempts, pause) in [(1, 5), (2, 30)] {
            wait_for_retry(&app, attempts, pause).await;
            retry_now(&app).await;
        }
        let sent = ended(&app, id).await;
        assert_eq!((sent.status, sent.attempts, is_empty(&sent)), (Status::Sent, 3, true));
        let headers =
            json!({ "type": "application/json", "authorization": "Bearer of the gateway", "key": id });
        let body = r#"{"to":"+12025550107","body":"Say \"{to}\",\nit is 123456."}"#;
        assert_eq!(*requests.lock().unwrap(), vec![(headers, body.to_owned()); 3]);

        let (url, requests) = gateway(&[422]).await;
        let app =
            app.restarted(texting(&url, "To={to}&Body={text}", "application/x-www-form-urlencoded")).await;
        let id = post(&app.app, &live, sms("2025550107", "No & never")).await.unwrap();
        assert_eq!((ended(&app, id).await.status, rows(&app, "timer").await), (Status::Failed, 0));
        assert_eq!(requests.lock().unwrap()[0].1, "To=%2B12025550107&Body=No%20%26%20never");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

/// Returns this machine's address on the network; `None` without a network.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_never_sent_unencrypted_to_another_machine() {
    let (Some(_), Some(address)) = (python(), own_address()) else { return };
    let port = free_port();
    let server = Smtp::start(&address, port, false);
    let mail = mail::Mail { id: "1", to: "ada@example.com", subject: "S", text: "T" };
    for url in [
        format!("smtp://{address}:{port}"),
        format!("smtps://{address}:{port}"),
        format!("smtps://127.0.0.1:{port}"),
    ] {
        let smtp = mail::Smtp::new(&url, "no-reply@coffer.example").unwrap();
        mail::MailProvider::send(&smtp, mail).await.unwrap_err();
    }
    assert_eq!(server.stop(), Vec::<Value>::new());
}
