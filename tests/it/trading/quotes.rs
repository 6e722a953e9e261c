//! Subscriptions to quotes: one read for all subscribers.

use crate::support::{TestApp, on_both, socket::Socket};
use domain::{
    Scope,
    trading::{instruments, quotes},
};
use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const QUOTES: &str = "subscription($symbols: [String!]!) { quoteChanged(symbols: $symbols) { occurredAt \
    instrument { symbol } quote { bid { amount } ask { amount } last { amount } asOf } } }";

async fn subscribed(app: &TestApp, key: &str, symbols: &[&str]) -> Socket {
    let mut socket = Socket::join(app, Some(key)).await;
    socket.subscribe("1", QUOTES, json!({ "symbols": symbols })).await;
    socket
}

/// Returns the symbol and the bid of a quote.
fn shown(event: &Value) -> (String, String) {
    let event = &event["quoteChanged"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&event["instrument"]["symbol"]), text(&event["quote"]["bid"]["amount"]))
}

fn is(symbol: &str, bid: &str) -> (String, String) {
    (symbol.to_owned(), bid.to_owned())
}

/// Returns how often quotes have been read since the statements were last cleared.
fn reads(app: &TestApp) -> usize {
    app.statements.lock().unwrap().iter().filter(|sql| sql.contains("quote_override")).count()
}

on_both! {
    async fn a_thousand_subscribers_cost_one_read_of_the_quote(app: TestApp) {
        app.quote("VTI", "100.00", "100.10").await;
        let vti = instruments::by_symbol(&app.app, None, "VTI").await.unwrap().unwrap();
        let mut streams = Vec::new();
        app.statements.lock().unwrap().clear();
        let began = std::time::Instant::now();
        for _ in 0..1_000 {
            let stream = quotes::follow(&app.app, app.partner.id, vec![vti.clone()]).await.unwrap();
            streams.push(Box::pin(stream));
        }
        let first = join_all(streams.iter_mut().map(StreamExt::next)).await;
        assert!(first.iter().flatten().all(|change| change.quote.bid.to_string() == "100.00"));
        app.statements.lock().unwrap().clear();
        app.quote("VTI", "101.00", "101.10").await;
        let changed = join_all(streams.iter_mut().map(StreamExt::next)).await;
        assert_eq!(changed.len(), 1_000);
        let one = changed[0].as_ref().unwrap();
        assert_eq!((one.quote.bid.to_string(), one.quote.last.to_string()), ("101.00".into(), "101.05".into()));
        assert!(changed.iter().flatten().all(|change| Arc::ptr_eq(change, one)));
        // One read because of the change, and one each second.
        let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
        assert!((1..=2 + seconds).contains(&reads(&app)), "{} in {seconds} s", reads(&app));
    }

    async fn a_socket_receives_the_present_quotes_and_then_each_change(app: TestApp) {
        app.quote("VTI", "100.00", "100.10").await;
        app.quote("KO", "60.00", "60.02").await;
        let mut socket = subscribed(&app, &app.key, &["vti", "KO", "VTI"]).await;
        let mut first = [shown(&socket.next().await), shown(&socket.next().await)];
        first.sort();
        assert_eq!(first, [is("KO", "60.00"), is("VTI", "100.00")]);
        app.quote("KO", "61.00", "61.02").await;
        let event = socket.next().await;
        assert_eq!(
            event["quoteChanged"],
            json!({ "occurredAt": "2026-07-09T16:00:00Z", "instrument": { "symbol": "KO" }, "quote": {
                "bid": { "amount": "61.00" }, "ask": { "amount": "61.02" }, "last": { "amount": "61.01" },
                "asOf": "2026-07-09T16:00:00Z" } })
        );
        // The same prices again are no change; a pushed bar and a later time are.
        app.quote("KO", "61.00", "61.02").await;
        app.quote("VTI", "99.00", "99.10").await;
        assert_eq!(shown(&socket.next().await), is("VTI", "99.00"));
        let clear = "mutation { sandboxQuoteSet(input: { symbol: \"KO\" }) { instrument { quote { bid { amount } } } \
            userErrors { code } } }";
        let simulated = app.gql(clear, json!({})).await.entity("sandboxQuoteSet", "instrument")["quote"].clone();
        assert_eq!(shown(&socket.next().await), is("KO", simulated["bid"]["amount"].as_str().unwrap()));
        let price = json!({ "amount": "50" });
        let bar = json!({ "symbol": "KO", "startsAt": "2026-07-09T16:00:00Z", "open": price, "high": price,
            "low": price, "close": price, "volume": "10" });
        let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { userErrors { code } } }";
        app.gql(push, json!({ "input": bar })).await.data();
        assert_eq!(shown(&socket.next().await), is("KO", "49.99"));
        let mut later = bar;
        later["startsAt"] = json!("2026-07-09T17:00:00Z");
        for side in ["open", "high", "low", "close"] {
            later[side] = json!({ "amount": "51" });
        }
        app.gql(push, json!({ "input": later })).await.data();
        app.advance_to("2026-07-09T17:00:00Z").await;
        assert_eq!(shown(&socket.next().await), is("KO", "50.99"));
    }

    async fn sockets_of_one_key_share_a_response_and_see_only_their_partner(app: TestApp) {
        app.quote("VTI", "100.00", "100.10").await;
        let (_, other) = app.other_partner("another").await;
        let mut elsewhere = subscribed(&app, &other, &["VTI"]).await;
        elsewhere.next().await;
        let mut sockets = Vec::new();
        for _ in 0..20 {
            let mut socket = subscribed(&app, &app.key, &["VTI"]).await;
            assert_eq!(shown(&socket.next().await), is("VTI", "100.00"));
            sockets.push(socket);
        }
        app.quote("VTI", "7.00", "7.10").await;
        let events = join_all(sockets.iter_mut().map(Socket::next)).await;
        assert!(events.iter().all(|event| shown(event) == is("VTI", "7.00")), "{events:?}");
        assert_eq!(elsewhere.hear_within(Duration::from_millis(300)).await, None);
    }

    async fn a_subscription_to_quotes_is_refused_without_permission_and_for_unknown_symbols(app: TestApp) {
        let trading = app.key_for(&[Scope::Trade]).await;
        let live = app.live_key().await;
        let many = vec!["VTI"; 51];
        for (key, symbols, code, message) in [
            (&app.key, vec![], "BAD_USER_INPUT", "symbols must be 1 to 50 symbols"),
            (&app.key, many, "BAD_USER_INPUT", "symbols must be 1 to 50 symbols"),
            (&app.key, vec!["VTI", "NONE"], "NOT_FOUND", "symbols.1 was not found"),
            (&trading, vec!["VTI"], "FORBIDDEN", "The credential lacks the scope `read`."),
            (&live, vec!["VTI"], "UNAVAILABLE", "No market is configured for live partners."),
        ] {
            let mut socket = subscribed(&app, key, &symbols).await;
            let message_ = socket.hear().await.unwrap();
            let errors =
                if message_["type"] == "error" { &message_["payload"] } else { &message_["payload"]["errors"] };
            assert_eq!((&errors[0]["extensions"]["code"], &errors[0]["message"]), (&json!(code), &json!(message)));
        }
    }
}
