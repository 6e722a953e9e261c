//! `coffer market` and `coffer events export`.

use crate::support::{
    DEPOSIT_CREATE, Folder, ORDER_PLACE, Options, TestApp, databases, on_both,
    postgres::setting,
    process::{printed, run},
};
use domain::trading::bars;
use entity::bar;
use sea_orm::{Database, EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use std::{fmt::Write, fs, process::Output, time::Instant};

const HEADER: &str = "symbol,time,open,high,low,close,volume\n";

/// Returns the error line of a command that was refused.
#[track_caller]
fn complaint(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{err}");
    err.lines().last().unwrap().to_owned()
}

async fn stored(database_url: &str) -> u64 {
    let db = Box::pin(Database::connect(database_url)).await.unwrap();
    bar::Entity::find().count(&db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_are_imported_whole_or_not_at_all() {
    for (database_url, folder) in databases().await {
        printed(run(&database_url, &["keys", "create", "--partner", "acme"]));
        printed(run(&database_url, &["keys", "create", "--partner", "real", "--live"]));
        printed(run(&database_url, &["instruments", "import", "--built-in"]));
        let file = folder.0.join("bars.csv");
        let path = file.display();
        let import = |lines: &str, partner: &str| {
            fs::write(&file, format!("{HEADER}{lines}")).unwrap();
            run(&database_url, &["market", "import", file.to_str().unwrap(), "--partner", partner])
        };
        let good = "VTI,2026-07-10T09:30:00-04:00,252.82,252.87,252.65,252.68,8483\n\
                    KO,2026-07-10T13:30:00Z,60,61,59,60.5,0.5\n\
                    VTI,2026-07-10T13:45:00Z,253,253,253,253,0\n";
        let nothing = "; nothing was imported";
        for (lines, partner, wrong) in [
            ("VTI,2026-07-10T13:30:00Z,1,2,3,1,1\nVTI,2026-07-10T13:30:00Z,1,1,1,1,-1\n", "acme",
             format!("coffer: {path}: line 2: high must not be below open, close and low; line 3: volume must not be \
                      negative{nothing}")),
            ("VTI,2026-07-10T13:30:00Z,1,1,1,1,1\nVTI,2026-07-10T13:29:00Z,1,1,1,1,1\n", "acme",
             format!("coffer: {path}: line 3: time is before that of the line of VTI before{nothing}")),
            ("VTI,2026-07-10T13:30:00Z,1,1,1,1,1\nNONE,2026-07-10T13:30:00Z,1,1,1,1,1\n\
              vti,2026-07-10T13:30:00Z,1,1,1,1,1\n", "acme",
             "coffer: cannot import; nothing was imported: these symbols were not found: NONE (line 3), vti (line 4)"
                 .to_owned()),
            (good, "real",
             "coffer: cannot import; nothing was imported: Bars can be imported for a sandbox only; this partner is \
              live.".to_owned()),
            (good, "none", "coffer: the partner \"none\" was not found; `coffer partners list` shows all".to_owned()),
            ("", "acme", format!("coffer: {path}: has no bars{nothing}")),
        ] {
            assert_eq!(complaint(&import(lines, partner)), wrong);
        }
        assert_eq!(stored(&database_url).await, 0);
        assert_eq!(
            printed(import(good, "acme")),
            "Imported 3 bars of 2 symbols from 2026-07-10T13:30:00Z to 2026-07-10T13:45:00Z.\n"
        );
        let again = "KO,2026-07-10T13:31:00Z,60,61,59,60.5,1\nVTI,2026-07-10T13:44:00Z,1,1,1,1,1\n\
                     VTI,2026-07-10T13:45:00Z,1,1,1,1,1\n";
        assert_eq!(
            complaint(&import(again, "acme")),
            "coffer: cannot import; nothing was imported: line 4: VTI already has a bar at 2026-07-10T13:45:00Z"
        );
        assert_eq!(stored(&database_url).await, 3);
        let missing = run(&database_url, &["market", "import", "none.csv", "--partner", "acme"]);
        assert_eq!(complaint(&missing), "coffer: none.csv: No such file or directory (os error 2)");
        // Stored as the server reads and writes them.
        let db = Box::pin(Database::connect(&database_url)).await.unwrap();
        let rows = bar::Entity::find().all(&db).await.unwrap();
        let half = rows.iter().find(|row| row.volume.to_string() == "0.5").unwrap();
        assert_eq!(
            (half.starts_at.to_rfc3339(), half.close.to_string()),
            ("2026-07-10T13:30:00+00:00".to_owned(), "60.50".to_owned())
        );
        assert!(
            printed(run(&database_url, &["audit"])).ends_with("The books add up and nothing was altered.\n")
        );
        let seeded = run(&database_url, &["market", "seed", "7", "--partner", "acme"]);
        assert_eq!(printed(seeded), "The simulated prices of acme now follow from the seed 7.\n");
        let refused = run(&database_url, &["market", "seed", "7", "--partner", "real"]);
        assert_eq!(
            complaint(&refused),
            "coffer: cannot set the seed: Only available in a sandbox; this partner is live."
        );
    }
}

/// Returns a file with so many bars of 25 symbols.
fn many_bars(count: usize) -> String {
    let built_in = domain::trading::instruments::built_in();
    let symbols: Vec<&str> = built_in.iter().take(25).map(|new| new.symbol.as_str()).collect();
    let start: chrono::DateTime<chrono::Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut text = HEADER.to_owned();
    for number in 0..count {
        let time = start + chrono::TimeDelta::minutes((number / symbols.len()).try_into().unwrap());
        let (symbol, low) = (symbols[number % symbols.len()], 20_000 + number % 977);
        let (open, high, close) = (low + number % 7, low + 11, low + number % 5);
        let price = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
        writeln!(
            text,
            "{symbol},{},{},{},{},{},{}",
            time.format("%Y-%m-%dT%H:%M:%SZ"),
            price(open),
            price(high),
            price(low),
            price(close),
            number % 10_000
        )
        .unwrap();
    }
    text
}

on_both! {
    /// Prints how long an import takes; `COFFER_TEST_BARS` is the number of bars.
    async fn importing_bars_is_measured(app: TestApp) {
        let count = setting("COFFER_TEST_BARS").map_or(20_000, |count| count.parse().unwrap());
        let text = many_bars(count);
        let began = Instant::now();
        let file = bars::read(text.as_bytes()).unwrap();
        let read = began.elapsed();
        let mut last = None;
        let mut report = |progress| last = Some(progress);
        let imported = bars::import(&app.app.db, &app.partner, &file, &mut report).await.unwrap();
        let kind = app.database_url.split(':').next().unwrap();
        println!("{count} bars on {kind}: {:.2} s, of which reading {:.2} s", began.elapsed().as_secs_f64(),
            read.as_secs_f64());
        assert_eq!((imported.bars, imported.symbols), (count as u64, 25));
        assert_eq!(last.map(|progress| (progress.done, progress.of)), Some((count as u64, count as u64)));
        assert_eq!(bar::Entity::find().count(&app.app.db.read).await.unwrap(), count as u64);
    }
}

/// Executes the same commands as a new partner, with real bars and with simulated prices.
async fn story(app: &TestApp, seed: &str, bars: &str) -> String {
    let (_, key) = app.other_partner("story").await;
    let send = async |query: &str, input: Value| {
        app.gql_as(Some(&key), query, json!({ "input": input })).await.data().clone()
    };
    printed(run(&app.database_url, &["market", "seed", seed, "--partner", "story"]));
    printed(run(&app.database_url, &["market", "import", bars, "--partner", "story"]));
    let advance = "mutation($input: SandboxClockAdvanceInput!) { sandboxClockAdvance(input: $input) { userErrors { \
        code } } }";
    send(advance, json!({ "to": "2026-07-09T17:00:00Z" })).await;
    let customer = app.customer_as(&key, "Ada").await;
    send(DEPOSIT_CREATE, customer.deposit("d", "5000.00")).await;
    send(advance, json!({ "to": "2026-07-10T13:30:30Z" })).await;
    for (turn, (symbol, quantity)) in [("VTI", "1.5"), ("KO", "10"), ("GOOG", "2")].into_iter().enumerate() {
        send(ORDER_PLACE, customer.order(&format!("b{turn}"), "BUY", symbol, quantity)).await;
        send(advance, json!({ "seconds": 60 })).await;
    }
    // Instruments with stored bars are filled by bars.
    let price = json!({ "amount": "62" });
    let push = async |symbol: &str, starts_at: &str| {
        let push = "mutation($input: SandboxBarPushInput!) { sandboxBarPush(input: $input) { userErrors { code } } }";
        let input = json!({ "symbol": symbol, "startsAt": starts_at, "open": price, "high": price, "low": price,
            "close": price, "volume": "700" });
        send(push, input).await;
    };
    push("KO", "2026-07-10T13:40:00Z").await;
    push("VTI", "2026-07-10T13:38:00Z").await;
    send(advance, json!({ "to": "2026-07-10T13:45:00Z" })).await;
    send(ORDER_PLACE, customer.order("s", "SELL", "KO", "4")).await;
    push("KO", "2026-07-10T13:46:00Z").await;
    // A session of imported bars, with more shares ordered than the first minutes can fill.
    send(advance, json!({ "to": "2026-07-13T13:30:30Z" })).await;
    let order = async |key: &str, side: &str, quantity: &str, more: Value| {
        let mut input = customer.order(key, side, "SCHB", quantity);
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        send(ORDER_PLACE, input).await
    };
    order("l", "BUY", "30", json!({ "type": "LIMIT", "limitPrice": { "amount": "19.85" } })).await;
    order("t", "BUY", "4", json!({ "type": "STOP", "stopPrice": { "amount": "20.15" } })).await;
    order("n", "BUY", "1", json!({ "type": "LIMIT", "limitPrice": { "amount": "1.00" } })).await;
    send(advance, json!({ "to": "2026-07-13T14:10:10Z" })).await;
    let both = json!({ "type": "STOP_LIMIT", "stopPrice": { "amount": "19.90" }, "limitPrice": { "amount": "19.85" } });
    order("sl", "SELL", "20", both).await;
    order("i", "SELL", "9", json!({ "timeInForce": "IOC" })).await;
    send(advance, json!({ "to": "2026-07-14T16:00:00Z" })).await;
    printed(run(&app.database_url, &["events", "export", "--partner", "story"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_bars_and_commands_give_the_same_export() {
    let folder = Folder::new();
    let path = folder.0.join("bars.csv");
    let mut text = HEADER.to_owned();
    for minute in 0..30 {
        let price = 60 + minute % 5;
        for symbol in ["VTI", "KO"] {
            writeln!(text, "{symbol},2026-07-09T20:{minute:02}:00Z,{price},{price},{price},{price},{minute}")
                .unwrap();
        }
    }
    for minute in 0..390 {
        let time = "2026-07-13T13:30:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let time = (time + chrono::TimeDelta::minutes(minute)).format("%Y-%m-%dT%H:%M:%SZ");
        let cents = |minute: i64| 1_980 + minute * 53 % 40;
        let (open, close) = (cents(minute), cents(minute + 1));
        let [open, high, low, close] = [open, open.max(close) + 7, open.min(close) - 7, close]
            .map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
        writeln!(text, "SCHB,{time},{open},{high},{low},{close},{}", 40 + minute % 30).unwrap();
    }
    fs::write(&path, text).unwrap();
    let options = || Options { without_timers: true, ..Options::default() };
    let mut exports = Vec::new();
    for seed in ["7", "7", "8"] {
        for app in TestApp::each_with(options()).await {
            let export = story(&app, seed, path.to_str().unwrap()).await;
            exports.push((seed, app.database_url.starts_with("sqlite"), export));
        }
    }
    let first = exports[0].2.clone();
    for (seed, is_sqlite, export) in &exports {
        assert_eq!(*export == first, *seed == "7", "seed {seed}, SQLite: {is_sqlite}:\n{export}\n{first}");
    }
    let lines: Vec<Value> = first.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "partner.created");
    assert_eq!(lines[0]["occurred_at"], Value::Null);
    assert!(lines.iter().zip(1..).all(|(line, seq)| line["seq"] == seq));
    let pushed = lines.iter().find(|line| line["type"] == "sandbox.bar_pushed").unwrap();
    assert_eq!(
        (&pushed["occurred_at"], &pushed["payload"]["starts_at"], &pushed["stream"], &pushed["actor"]),
        (
            &json!("2026-07-10T13:33:30Z"),
            &json!("2026-07-10T13:40:00Z"),
            &json!("Partner 1"),
            &json!("ApiKey 1")
        )
    );
    let filled: Vec<_> = lines.iter().filter(|line| line["type"] == "order.filled").collect();
    let filled: Vec<_> = filled.iter().map(|line| line["payload"]["id"].as_str().unwrap()).collect();
    assert_eq!(filled, ["Order 3", "Order 1", "Order 2", "Order 4", "Order 6", "Order 5", "Order 8"]);
}
