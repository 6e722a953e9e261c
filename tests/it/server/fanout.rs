//! Subscriptions with many subscribers: each event is evaluated once for all that receive the same response.

use crate::{
    statements::is_background,
    support::{Customer, DEPOSIT_CREATE, ORDER_PLACE, Options, TestApp, on_both, socket::Socket},
};
use domain::Scope;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ORDERS: &str = "subscription($after: String) { orderChanged(after: $after) { cursor orderStatus \
    order { id quantity viewerCanCancel instrument { symbol } account { number } } } }";

/// Places an order that stays accepted, because nothing runs due actions.
async fn place(app: &TestApp, customer: &Customer, number: usize) -> Value {
    let order = customer.order(&format!("o{number}"), "BUY", "VTI", "0.1");
    app.gql(ORDER_PLACE, json!({ "input": order })).await.entity("orderPlace", "order").clone()
}

async fn servers() -> Vec<TestApp> {
    TestApp::each_with(Options { without_timers: true, ..Options::default() }).await
}

/// Returns a socket that has received the event after this cursor, so that it waits for the next one.
async fn live(app: &TestApp, key: &str, document: &str, after: &str) -> Socket {
    let mut socket = Socket::join(app, Some(key)).await;
    socket.subscribe("1", document, json!({ "after": after })).await;
    socket.next().await;
    socket
}

/// Returns the statements that an order runs on the read pool with these subscribers, and what they receive.
async fn statements_of_an_order(
    app: &TestApp,
    ada: &Customer,
    number: usize,
    sockets: &mut [Socket],
) -> (Vec<String>, Vec<Value>) {
    app.statements.lock().unwrap().clear();
    place(app, ada, number).await;
    let received = join_all(sockets.iter_mut().map(Socket::next)).await;
    let statements = app.statements.lock().unwrap().clone();
    let mut statements: Vec<String> =
        statements.into_iter().filter(|sql| !is_background(sql) && !sql.contains("api_key")).collect();
    statements.sort();
    (statements, received)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_subscribers_cost_the_statements_of_one() {
    for app in servers().await {
        let ada = app.funded_customer("Ada", "5000").await;
        let earlier = app.cursor().await;
        place(&app, &ada, 0).await;
        let (without, _) = statements_of_an_order(&app, &ada, 1, &mut []).await;
        let mut one = [live(&app, &app.key, ORDERS, &earlier).await];
        one[0].next().await;
        let (with_one, received) = statements_of_an_order(&app, &ada, 2, &mut one).await;
        // The order and its account; instruments are in memory.
        assert_eq!(with_one.len(), without.len() + 2, "{with_one:#?}");
        assert_eq!(received[0]["orderChanged"]["order"]["instrument"]["symbol"], "VTI");

        // Wherever they resumed from.
        let before_last = app.cursor().await;
        place(&app, &ada, 3).await;
        one[0].next().await;
        let mut sockets = Vec::from(one);
        for _ in 0..24 {
            sockets.push(live(&app, &app.key, ORDERS, &before_last).await);
            let mut resumed = live(&app, &app.key, ORDERS, &earlier).await;
            for _ in 0..3 {
                resumed.next().await;
            }
            sockets.push(resumed);
        }
        sockets.push(live(&app, &app.key, ORDERS, &before_last).await);
        assert_eq!(sockets.len(), 50);
        let (with_fifty, received) = statements_of_an_order(&app, &ada, 4, &mut sockets).await;
        assert_eq!(with_fifty, with_one);
        assert!(received.iter().all(|event| event == &received[0]), "{received:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_with_other_rights_or_documents_receive_their_own_response() {
    for app in servers().await {
        let ada = app.funded_customer("Ada", "5000").await;
        let (reading, trading) =
            (app.key_for(&[Scope::Read]).await, app.key_for(&[Scope::Read, Scope::Trade]).await);
        let other_document = ORDERS.replace("quantity", "type");
        let start = app.cursor().await;
        place(&app, &ada, 0).await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push((live(&app, &reading, ORDERS, &start).await, json!(false), "quantity"));
            sockets.push((live(&app, &trading, ORDERS, &start).await, json!(true), "quantity"));
            sockets.push((live(&app, &app.key, &other_document, &start).await, json!(true), "type"));
        }
        let placed = place(&app, &ada, 1).await;
        for (socket, may_cancel, field) in &mut sockets {
            let order = socket.next().await["orderChanged"]["order"].clone();
            assert_eq!((&order["id"], &order["viewerCanCancel"]), (&placed["id"], &*may_cancel));
            assert_eq!(order[*field], placed[*field]);
            assert_eq!(order.as_object().unwrap().len(), 5, "{order}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_another_server_are_delivered_in_order() {
    for app in servers().await {
        let beside = app.beside(Options { without_timers: true, ..Options::default() }).await;
        let start = app.cursor().await;
        app.quote("VTI", "1", "2").await;
        let mut sockets = Vec::new();
        for server in [&app, &beside] {
            sockets.push(
                live(
                    server,
                    &app.key,
                    "subscription($after: String) { events(after: $after) { cursor } }",
                    &start,
                )
                .await,
            );
        }
        let first: i64 = start.parse().unwrap();
        for number in first + 2..first + 12 {
            app.quote("VTI", "1", "2").await;
            for socket in &mut sockets {
                assert_eq!(socket.next().await["events"]["cursor"], number.to_string());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_that_change_the_response_are_not_confused() {
    for app in servers().await {
        let bob = app.customer("Bob").await;
        app.gql(DEPOSIT_CREATE, json!({ "input": bob.deposit("bob", "5000") })).await.data();
        let ada = app.funded_customer("Ada", "5000").await;
        let of_account = "subscription($account: ID, $full: Boolean!) { orderChanged(accountId: $account, \
            after: \"0\") { order { id quantity @include(if: $full) } } }";
        let orders = [place(&app, &ada, 0).await, place(&app, &bob, 1).await, place(&app, &ada, 2).await];
        let [first, second, third] = orders.map(|order| order["id"].clone());
        for (account, full, expected) in [
            (Some(&ada.account_id), true, vec![&first, &third]),
            (Some(&bob.account_id), true, vec![&second]),
            (None, true, vec![&first, &second, &third]),
            (None, false, vec![&first, &second, &third]),
        ] {
            let mut socket = Socket::join(&app, Some(&app.key)).await;
            socket.subscribe("1", of_account, json!({ "account": account, "full": full })).await;
            for id in expected {
                let order = socket.next().await["orderChanged"]["order"].clone();
                assert_eq!((&order["id"], order.get("quantity").is_some()), (id, full));
            }
        }
    }
}

on_both! {
    async fn users_receive_only_events_about_themselves(app: TestApp) {
        const NAMES: &str = "subscription { events(after: \"0\") { ... on UserChangedEvent { \
            user { id email } } } }";
        let ada = app.person("ada@example.com", "2025550107").await;
        let bob = app.person("bob@example.com", "2025550108").await;
        for _ in 0..2 {
            for (person, email) in [(&ada, "ada@example.com"), (&bob, "bob@example.com")] {
                let mut socket = Socket::join(&app, Some(&person.access)).await;
                socket.subscribe("1", NAMES, json!({})).await;
                let user = socket.next().await["events"]["user"].clone();
                assert_eq!(user, json!({ "id": person.user_id, "email": email }));
            }
        }
    }

    async fn a_late_subscriber_receives_the_same_events_in_order(app: TestApp) {
        const EVENTS: &str = "subscription($after: String) { events(after: $after) { id cursor type \
            occurredAt } }";
        let start = app.cursor().await;
        let mut early = Socket::join(&app, Some(&app.key)).await;
        early.subscribe("1", EVENTS, json!({ "after": start })).await;
        app.customer("Ada").await;
        app.customer("Bob").await;
        let mut sent = Vec::new();
        while sent.len() < 8 {
            sent.push(early.next().await);
        }
        let mut late = Socket::join(&app, Some(&app.key)).await;
        late.subscribe("1", EVENTS, json!({ "after": start })).await;
        let mut later = Socket::join(&app, Some(&app.key)).await;
        later.subscribe("1", EVENTS, json!({ "after": sent[4]["events"]["cursor"] })).await;
        for (number, event) in sent.iter().enumerate() {
            assert_eq!(&late.next().await, event);
            if number > 4 {
                assert_eq!(&later.next().await, event);
            }
        }
        app.quote("VTI", "1", "2").await;
        let newest = early.next().await;
        assert_eq!((&late.next().await, &later.next().await), (&newest, &newest));
    }

    async fn no_event_reaches_any_socket_of_a_revoked_key(app: TestApp) {
        const EVENTS: &str = "subscription($after: String) { events(after: $after) { cursor type } }";
        let start = app.cursor().await;
        app.quote("VTI", "1", "2").await;
        let issue = "mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { apiKey { id } secret \
            userErrors { message } } }";
        let issued = app.gql(issue, json!({ "input": { "label": "listener", "scopes": ["READ"] } })).await;
        let issued = issued.data()["apiKeyIssue"].clone();
        let secret = issued["secret"].as_str().unwrap();
        let mut kept = live(&app, &app.key, EVENTS, &start).await;
        while kept.next().await["events"]["type"] != "API_KEY_ISSUED" {}
        let mut revoked = Vec::new();
        for _ in 0..5 {
            let mut socket = live(&app, secret, EVENTS, &start).await;
            while socket.next().await["events"]["type"] != "API_KEY_ISSUED" {}
            revoked.push(socket);
        }
        let revoke = "mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } \
            userErrors { message } } }";
        let input = json!({ "input": { "apiKeyId": issued["apiKey"]["id"] } });
        app.gql(revoke, input).await.entity("apiKeyRevoke", "apiKey");
        assert_eq!(kept.next().await["events"]["type"], "API_KEY_REVOKED");
        for socket in &mut revoked {
            assert_eq!(socket.hear().await, Err((4403, "Forbidden".to_owned())));
        }
    }

    async fn a_second_of_the_market_clock_is_evaluated_once(app: TestApp) {
        const CLOCK: &str = "subscription { marketClockChanged { occurredAt marketClock { isOpen } } }";
        let mut times: Vec<BTreeSet<String>> = Vec::new();
        let mut sockets = Vec::new();
        for _ in 0..10 {
            let mut socket = Socket::join(&app, None).await;
            socket.subscribe("1", CLOCK, json!({})).await;
            // The first state is sent at once, to each socket by itself.
            socket.next().await;
            sockets.push(socket);
        }
        for socket in &mut sockets {
            let mut own = BTreeSet::new();
            for _ in 0..3 {
                own.insert(socket.next().await["marketClockChanged"]["occurredAt"].to_string());
            }
            times.push(own);
        }
        let all: BTreeSet<&String> = times.iter().flatten().collect();
        let receivers = |time: &String| times.iter().filter(|own| own.contains(time)).count();
        let shared = all.iter().filter(|time| receivers(time) > 1).count();
        assert!(shared >= 2, "{times:#?}");
    }
}
