//! Bars: those of the simulated market and those that are pushed or imported, charts, and the quotes that follow.

use crate::support::{TestApp, on_both};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    kernel::db::Pool,
    trading::{
        bars::{Bar, Bars, Touch},
        instruments,
        market::{self, Quote},
    },
};
use entity::{
    Price, instrument,
    partner::{self, MarketHours},
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use std::sync::Arc;

const PUSH: &str = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { instrument { symbol \
    quote { bid { amount } ask { amount } last { amount } asOf } } userErrors { code path message } } }";

const CHART: &str = "query($from: DateTime!, $to: DateTime, $interval: BarInterval) { instrument(symbol: \"VTI\") { \
    bars(from: $from, to: $to, interval: $interval) { startsAt open { amount } high { amount } low { amount } \
    close { amount } volume } } }";

const HOURS: &str =
    "mutation { sandboxMarketHoursSet(input: { marketHours: NYSE }) { userErrors { code } } }";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn vti(app: &TestApp) -> Arc<instrument::Model> {
    instruments::by_symbol(&app.app, None, "VTI").await.unwrap().unwrap()
}

async fn partner(app: &TestApp) -> partner::Model {
    partner::Entity::find_by_id(app.partner.id).one(&app.app.db.read).await.unwrap().unwrap()
}

fn bars_of<'a>(
    app: &'a TestApp,
    partner: &'a partner::Model,
    instrument: &'a instrument::Model,
) -> Bars<'a, Pool> {
    Bars { app: &app.app, connection: &app.app.db.read, partner, instrument }
}

async fn between(app: &TestApp, from: &str, to: &str) -> Vec<Bar> {
    let (partner, vti) = (partner(app).await, vti(app).await);
    bars_of(app, &partner, &vti).between(at(from)..at(to)).await.unwrap()
}

async fn quote(app: &TestApp, at: DateTime<Utc>) -> Quote {
    let (partner, vti) = (partner(app).await, vti(app).await);
    market::quote(&app.app, &app.app.db.read, &partner, &vti, at).await.unwrap()
}

async fn prices(app: &TestApp, time: &str) -> [String; 3] {
    let quote = quote(app, at(time)).await;
    [quote.bid, quote.ask, quote.last].map(|price| price.to_string())
}

fn push(starts_at: &str, [open, high, low, close]: [&str; 4]) -> Value {
    let price = |amount: &str| json!({ "amount": amount });
    json!({ "symbol": "vti", "startsAt": starts_at, "open": price(open), "high": price(high), "low": price(low),
        "close": price(close), "volume": "1200.5" })
}

async fn pushed(app: &TestApp, starts_at: &str, prices: [&str; 4]) -> Value {
    let answer = app.gql(PUSH, json!({ "input": push(starts_at, prices) })).await;
    answer.entity("sandboxBarPush", "instrument").clone()
}

async fn stored(app: &TestApp) -> u64 {
    entity::bar::Entity::find().count(&app.app.db.read).await.unwrap()
}

fn starts(bars: &[Bar]) -> Vec<String> {
    bars.iter().map(|bar| bar.starts_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).collect()
}

async fn chart(app: &TestApp, from: &str, to: Option<&str>, interval: &str) -> Vec<Value> {
    let variables = json!({ "from": from, "to": to, "interval": interval });
    let answer = app.gql(CHART, variables).await;
    answer.data()["instrument"]["bars"].as_array().unwrap().clone()
}

on_both! {
    async fn bars_agree_with_the_quotes_of_every_second(app: TestApp) {
        let bars = between(&app, "2026-07-10T13:29:30Z", "2026-07-10T13:33:00Z").await;
        assert_eq!(
            starts(&bars),
            ["2026-07-10T13:30:00Z", "2026-07-10T13:31:00Z", "2026-07-10T13:32:00Z"]
        );
        for bar in bars {
            let mut last = Vec::new();
            for second in 0..60 {
                last.push(quote(&app, bar.starts_at + TimeDelta::seconds(second)).await.last);
            }
            let close = quote(&app, bar.starts_at + TimeDelta::milliseconds(59_999)).await.last;
            last.push(close);
            assert_eq!((bar.open, bar.close), (last[0], close));
            assert_eq!((Some(bar.high), Some(bar.low)), (last.iter().copied().max(), last.iter().copied().min()));
            assert!(bar.volume.is_positive());
        }
    }

    async fn the_same_seed_gives_the_same_bars(app: TestApp) {
        app.seed(1).await;
        let [bar]: [Bar; 1] =
            between(&app, "2026-07-10T13:30:00Z", "2026-07-10T13:31:00Z").await.try_into().unwrap();
        let shown = [bar.open, bar.high, bar.low, bar.close].map(|price| price.to_string());
        assert_eq!(shown, ["288.21", "288.28", "288.02", "288.05"]);
        assert_eq!(bar.volume.to_string(), "8483");
    }

    async fn bars_begin_during_market_hours(app: TestApp) {
        app.gql(HOURS, json!({})).await.data();
        // Independence Day is observed on Friday.
        let bars = between(&app, "2026-07-02T19:58:00Z", "2026-07-06T13:32:00Z").await;
        assert_eq!(
            starts(&bars),
            ["2026-07-02T19:58:00Z", "2026-07-02T19:59:00Z", "2026-07-06T13:30:00Z", "2026-07-06T13:31:00Z"]
        );
        // The market closes at 13:00 in New York on the day after Thanksgiving.
        let bars = between(&app, "2026-11-27T17:58:30Z", "2026-11-27T18:05:00Z").await;
        assert_eq!(starts(&bars), ["2026-11-27T17:59:00Z"]);
        let (partner, vti) = (partner(&app).await, vti(&app).await);
        assert_eq!(partner.market_hours, MarketHours::Nyse);
        let bars = bars_of(&app, &partner, &vti);
        let first = bars.first(at("2026-11-27T18:00:00Z")..at("2026-12-01T00:00:00Z")).await;
        assert_eq!(first.unwrap().unwrap().starts_at, at("2026-11-30T14:30:00Z"));
    }

    async fn the_first_bar_that_touches_a_price_is_found(app: TestApp) {
        app.gql(HOURS, json!({})).await.data();
        let range = (at("2026-07-09T19:00:00Z"), at("2026-07-13T14:30:00Z"));
        let touching = async |app: &TestApp, touch: Touch| {
            let (partner, vti) = (partner(app).await, vti(app).await);
            bars_of(app, &partner, &vti).first_touching(range.0..range.1, touch).await.unwrap()
        };
        for turn in 0..2 {
            let all = between(&app, "2026-07-09T19:00:00Z", "2026-07-13T14:30:00Z").await;
            let (low, high) =
                (all.iter().map(|bar| bar.low).min().unwrap(), all.iter().map(|bar| bar.high).max().unwrap());
            let step = (high.units() - low.units()) / 7;
            for number in -1..9 {
                let price = Price::from_units(low.units() + number * step);
                let first = |touch: Touch| all.iter().find(|bar| touch.is_met(bar)).copied();
                for touch in [Touch::AtOrBelow(price), Touch::AtOrAbove(price)] {
                    assert_eq!(touching(&app, touch).await, first(touch), "{touch:?}");
                }
            }
            if turn == 0 {
                // After 15:30 in New York on Friday there are stored bars only, one of them after the close.
                pushed(&app, "2026-07-10T19:30:00Z", ["100", "110", "90", "105"]).await;
                pushed(&app, "2026-07-10T20:00:00Z", ["500", "900", "1", "500"]).await;
                pushed(&app, "2026-07-13T14:00:00Z", ["300", "400", "50", "300"]).await;
            } else {
                assert_eq!(all.last().unwrap().starts_at, at("2026-07-13T14:00:00Z"));
            }
        }
    }

    async fn pushed_bars_replace_the_simulated_prices_from_the_first_on(app: TestApp) {
        app.seed(1).await;
        let simulated = prices(&app, "2026-07-10T13:29:59.999Z").await;
        app.advance_to("2026-07-10T13:30:10Z").await;
        let instrument = pushed(&app, "2026-07-10T13:30:00Z", ["100.00", "103.00", "99.00", "102.5"]).await;
        assert_eq!(
            instrument,
            json!({ "symbol": "VTI", "quote": { "bid": { "amount": "99.99" }, "ask": { "amount": "100.01" },
                "last": { "amount": "100.00" }, "asOf": "2026-07-10T13:30:10Z" } })
        );
        pushed(&app, "2026-07-10T13:35:00Z", ["0.5", "0.5", "0.4", "0.4321"]).await;
        for (time, expected) in [
            ("2026-07-10T13:29:59.999Z", simulated.each_ref().map(String::as_str)),
            ("2026-07-10T13:30:00Z", ["99.99", "100.01", "100.00"]),
            ("2026-07-10T13:30:59.999Z", ["99.99", "100.01", "100.00"]),
            // The close is known when the minute has ended; a basis point of 102.50 is more than a cent.
            ("2026-07-10T13:31:00Z", ["102.48", "102.52", "102.50"]),
            ("2026-07-10T13:34:59Z", ["102.48", "102.52", "102.50"]),
            ("2026-07-10T13:35:30Z", ["0.4999", "0.5001", "0.50"]),
            ("2026-07-12T13:35:30Z", ["0.432", "0.4322", "0.4321"]),
        ] {
            assert_eq!(prices(&app, time).await, expected, "{time}");
        }
        let bars = between(&app, "2026-07-10T13:29:00Z", "2026-07-10T14:00:00Z").await;
        assert_eq!(
            starts(&bars),
            ["2026-07-10T13:29:00Z", "2026-07-10T13:30:00Z", "2026-07-10T13:35:00Z"]
        );
        let second = bars[1];
        let shown = [second.open, second.high, second.low, second.close].map(|price| price.to_string());
        assert_eq!((shown, second.volume.to_string()),
            (["100.00", "103.00", "99.00", "102.50"].map(str::to_owned), "1200.5".to_owned()));
        // A price that was set overrides both.
        app.quote("VTI", "7.00", "8.00").await;
        assert_eq!(prices(&app, "2026-07-10T13:35:30Z").await, ["7.00", "8.00", "7.50"]);
        let clear = "mutation { sandboxQuoteSet(input: { symbol: \"VTI\" }) { userErrors { code } } }";
        app.gql(clear, json!({})).await.data();
        assert_eq!(prices(&app, "2026-07-10T13:35:30Z").await, ["0.4999", "0.5001", "0.50"]);
        // Another instrument and another partner keep their simulated prices.
        let (other, _) = app.other_partner("another").await;
        let vti = vti(&app).await;
        let (from, to) = (at("2026-07-10T13:31:00Z"), at("2026-07-10T13:33:00Z"));
        let elsewhere = bars_of(&app, &other, &vti).between(from..to).await.unwrap();
        assert_eq!(elsewhere.len(), 2);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_refused_bar_leaves_nothing_behind(app: TestApp) {
        pushed(&app, "2026-07-10T13:30:00Z", ["100", "103", "99", "102"]).await;
        let cursor = app.cursor().await;
        let good = ["100", "103", "99", "102"];
        let (minute, later) = ("2026-07-10T13:30:00Z", "2026-07-10T13:31:00Z");
        let range = "must be above zero and at most 1000000";
        for (starts_at, prices, wrong) in [
            (minute, good, vec![("startsAt", "startsAt must be after the latest bar of the symbol".to_owned())]),
            ("2026-07-10T13:29:00Z", good,
             vec![("startsAt", "startsAt must be after the latest bar of the symbol".to_owned())]),
            ("2026-07-10T13:31:30Z", good, vec![("startsAt", "startsAt must be a whole minute".to_owned())]),
            (later, ["-1", "103", "0", "1000000.01"],
             ["open", "low", "close"].map(|field| (field, format!("{field}.amount {range}"))).into()),
            (later, ["100", "99", "98", "99"],
             vec![("high", "high.amount must not be below open, close and low".to_owned())]),
            (later, ["100", "103", "101", "102"],
             vec![("low", "low.amount must not be above open and close".to_owned())]),
            (later, ["100.00001", "103", "99", "102"], vec![("open", "open.amount has too many decimals".to_owned())]),
        ] {
            let answer = app.gql(PUSH, json!({ "input": push(starts_at, prices) })).await;
            let refused = answer.data()["sandboxBarPush"].clone();
            let path = |field: &str| {
                if field == "startsAt" { json!(["startsAt"]) } else { json!([field, "amount"]) }
            };
            let expected: Vec<Value> = wrong
                .into_iter()
                .map(|(field, message)| json!({ "code": "INVALID", "path": path(field), "message": message }))
                .collect();
            assert_eq!(refused, json!({ "instrument": null, "userErrors": expected }), "{starts_at} {prices:?}");
        }
        let mut unknown = push(later, good);
        unknown["symbol"] = json!("NONE");
        let answer = app.gql(PUSH, json!({ "input": unknown })).await;
        assert_eq!(answer.user_error("sandboxBarPush")["code"], "NOT_FOUND");
        let mut negative = push(later, good);
        negative["volume"] = json!("-1");
        let answer = app.gql(PUSH, json!({ "input": negative })).await;
        assert_eq!(
            answer.user_error("sandboxBarPush"),
            &json!({ "code": "INVALID", "path": ["volume"], "message": "volume must not be negative" })
        );
        let live = app.gql_as(Some(&app.live_key().await), PUSH, json!({ "input": push(later, good) })).await;
        assert_eq!(live.user_error("sandboxBarPush")["code"], "SANDBOX_ONLY");
        assert_eq!((stored(&app).await, app.cursor().await), (1, cursor));
    }

    async fn a_pushed_bar_is_an_event(app: TestApp) {
        pushed(&app, "2026-07-10T13:30:00Z", ["100", "103", "99", "102.5"]).await;
        let event = entity::event::Entity::find().all(&app.app.db.read).await.unwrap();
        let event = event.iter().find(|event| event.kind == "sandbox.bar_pushed").unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&event.payload).unwrap(),
            json!({ "symbol": "VTI", "starts_at": "2026-07-10T13:30:00Z", "open": "100.00", "high": "103.00",
                "low": "99.00", "close": "102.50", "volume": "1200.5" })
        );
    }

    async fn a_chart_combines_the_minutes_of_a_session(app: TestApp) {
        app.gql(HOURS, json!({})).await.data();
        app.advance_to("2026-07-10T15:02:30Z").await;
        let minutes = between(&app, "2026-07-09T13:30:00Z", "2026-07-10T15:02:00Z").await;
        assert_eq!(minutes.len(), 390 + 92);
        let from = "2026-07-09T13:30:00Z";
        let shown = |bars: &[Bar]| {
            let price = |price: Option<Price>| json!({ "amount": price.unwrap().to_string() });
            let volume: i64 = bars.iter().map(|bar| bar.volume.units()).sum();
            json!({
                "startsAt": starts(bars)[0], "open": price(bars.first().map(|bar| bar.open)),
                "high": price(bars.iter().map(|bar| bar.high).max()),
                "low": price(bars.iter().map(|bar| bar.low).min()),
                "close": price(bars.last().map(|bar| bar.close)),
                "volume": entity::Quantity::from_units(volume).to_string(),
            })
        };
        let (thursday, friday) = minutes.split_at(390);
        for (interval, length) in
            [("ONE_MINUTE", 1), ("FIVE_MINUTES", 5), ("FIFTEEN_MINUTES", 15), ("ONE_HOUR", 60), ("ONE_DAY", 390)]
        {
            let expected: Vec<Value> = thursday.chunks(length).chain(friday.chunks(length)).map(shown).collect();
            assert_eq!(chart(&app, from, None, interval).await, expected, "{interval}");
        }
        // Bars that begin in the range, however late they end.
        let hours = chart(&app, "2026-07-09T14:00:00Z", Some("2026-07-09T15:30:00Z"), "ONE_HOUR").await;
        assert_eq!(hours, [shown(&thursday[60..120])]);
        // Stored bars, with holes, follow the simulated ones in the same hour.
        pushed(&app, "2026-07-10T14:40:00Z", ["100", "110", "90", "105"]).await;
        pushed(&app, "2026-07-10T14:50:00Z", ["50", "60", "40", "55"]).await;
        let hours = chart(&app, "2026-07-10T14:30:00Z", None, "ONE_HOUR").await;
        assert_eq!(
            (&hours[0]["startsAt"], &hours[0]["open"]["amount"], &hours[0]["low"]["amount"],
             &hours[0]["close"]["amount"]),
            (&json!("2026-07-10T14:30:00Z"), &json!(friday[60].open.to_string()), &json!("40.00"), &json!("55.00"))
        );
        assert_eq!(chart(&app, "2026-07-10T14:40:00Z", None, "ONE_MINUTE").await.len(), 2);
        assert_eq!(chart(&app, "2026-07-10T15:00:00Z", None, "ONE_MINUTE").await, Vec::<Value>::new());
    }

    async fn charts_are_bounded(app: TestApp) {
        let too_long = "from is too early: at most 1000 bars, of at most 100000 minutes of market hours together, are \
            returned at once; `to` is the present if it is left out";
        for (from, to, interval, message) in [
            ("2026-07-08T23:19:00Z", None, "ONE_MINUTE", Some(too_long)),
            ("2026-07-08T23:20:00Z", None, "ONE_MINUTE", None),
            ("2026-04-01T00:00:00Z", None, "ONE_DAY", Some(too_long)),
            ("1970-01-01T00:00:00Z", None, "ONE_DAY", Some(too_long)),
            ("2026-07-08T23:20:00Z", Some("2026-07-08T23:20:00Z"), "ONE_MINUTE", Some("to must be after `from`")),
            ("2027-01-01T00:00:00Z", None, "ONE_DAY", None),
        ] {
            let answer = app.gql(CHART, json!({ "from": from, "to": to, "interval": interval })).await;
            match message {
                Some(message) => {
                    assert_eq!(answer.error_code(), "BAD_USER_INPUT", "{}", answer.body);
                    assert_eq!(answer.body["errors"][0]["message"], message);
                    assert_eq!(answer.body["data"], json!({ "instrument": { "bars": null } }));
                }
                None => {
                    let is_list = answer.body["data"]["instrument"]["bars"].is_array();
                    assert!(is_list, "{from} {interval}: {}", answer.body);
                }
            }
        }
        let anonymous = app.gql_as(None, CHART, json!({ "from": "2026-07-08T00:00:00Z" })).await;
        assert_eq!(anonymous.data()["instrument"], json!({ "bars": null }));
        let live = app.live_key().await;
        let live = app.gql_as(Some(&live), CHART, json!({ "from": "2026-07-08T00:00:00Z" })).await;
        assert_eq!(live.data()["instrument"], json!({ "bars": null }));
        // A page of charts counts as many objects.
        let many = "{ instruments(first: 60) { nodes: edges { node { bars(from: \"2026-07-09T15:00:00Z\") { volume } } \
            } } }";
        assert_eq!(app.gql(many, json!({})).await.error_code(), "QUERY_TOO_COMPLEX");
    }

    async fn an_instrument_is_found_by_id_symbol_and_name(app: TestApp) {
        let both = "query($id: ID, $symbol: String) { instrument(id: $id, symbol: $symbol) { id symbol exchange \
            assetClass } }";
        let by_symbol = app.gql_as(None, both, json!({ "symbol": " brk.b " })).await;
        let found = by_symbol.data()["instrument"].clone();
        assert_eq!(
            (&found["symbol"], &found["exchange"], &found["assetClass"]),
            (&json!("BRK.B"), &json!("NYSE"), &json!("US_EQUITY"))
        );
        let by_id = app.gql_as(None, both, json!({ "id": found["id"] })).await;
        assert_eq!(by_id.data()["instrument"], found);
        for unknown in [json!({ "id": "none" }), json!({ "symbol": "NONE" })] {
            assert_eq!(app.gql(both, unknown).await.data()["instrument"], Value::Null);
        }
        for (variables, message) in [
            (json!({}), "symbol is required"),
            (json!({ "id": found["id"], "symbol": "VTI" }), "symbol must not be given together with `id`"),
        ] {
            let refused = app.gql(both, variables).await;
            assert_eq!((refused.error_code(), &refused.body["errors"][0]["message"]),
                ("BAD_USER_INPUT", &json!(message)));
        }
        let search = "query($text: String) { instruments(filter: { search: $text }) { edges { node { symbol } } } }";
        for (text, symbols) in [
            ("sch", vec!["SCHB", "SCHD", "SCHE", "SCHF"]),
            ("emerging markets E", vec!["IEMG", "SCHE", "VWO"]),
            ("%", vec![]),
            ("merging", vec![]),
        ] {
            let answer = app.gql_as(None, search, json!({ "text": text })).await;
            let edges = answer.data()["instruments"]["edges"].as_array().unwrap().clone();
            let found: Vec<&str> = edges.iter().map(|edge| edge["node"]["symbol"].as_str().unwrap()).collect();
            assert_eq!(found, symbols, "{text}");
        }
    }

    async fn all_tickers_of_the_default_portfolios_can_be_traded(app: TestApp) {
        for symbol in [
            "VTI", "SCHB", "ITOT", "SCHF", "VEA", "IXUS", "VWO", "IEMG", "SCHE", "VIG", "SCHD", "DVY", "VDE", "XLE",
            "VTEB", "TFI", "MUB", "EMB", "PCY", "EMLC", "LQD", "VCIT", "SPIB", "AAPL", "MSFT", "GOOG", "AMZN",
            "NVDA", "TSLA", "BRK.B",
        ] {
            let found = instruments::by_symbol(&app.app, None, symbol).await.unwrap().unwrap();
            let exchange = found.exchange.as_str();
            assert!(["NYSE", "NASDAQ", "NYSE ARCA"].contains(&exchange), "{symbol} {exchange}");
        }
    }
}
