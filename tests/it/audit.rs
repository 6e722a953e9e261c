//! `coffer audit`: passes over honest books, and finds each row that was altered behind them.

use crate::support::{Customer, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, process};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;
use uuid::Uuid;

/// A buy that filled, a sale of a part of it, and a buy that was canceled.
async fn some_history(app: &TestApp) -> Customer {
    let customer = app.funded_customer("Ada", "1000.00").await;
    app.quote("VTI", "100.00", "100.00").await;
    let tick = "mutation { sandboxClockAdvance(input: { seconds: 1 }) { userErrors { message } } }";
    for (key, side, quantity) in [("b", "BUY", "5"), ("s", "SELL", "2"), ("c", "BUY", "1")] {
        let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, "VTI", quantity) })).await;
        let id = placed.entity("orderPlace", "order")["id"].clone();
        if key == "c" {
            let cancel = json!({ "input": { "idempotencyKey": "cancel", "orderId": id } });
            app.gql(ORDER_CANCEL, cancel).await.entity("orderCancel", "order");
        }
        app.gql(tick, json!({})).await.data();
    }
    app.app.sequencer.caught_up().await;
    customer
}

/// A connection of someone who has switched every guard of the database off.
async fn intruder(app: &TestApp) -> DatabaseConnection {
    let mut options = ConnectOptions::new(&app.database_url);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.unwrap();
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("SET session_replication_role = replica").await.unwrap();
        return db;
    }
    db.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    let triggers = Statement::from_string(DbBackend::Sqlite, "SELECT name FROM sqlite_master WHERE type = 'trigger'");
    for trigger in db.query_all_raw(triggers).await.unwrap() {
        let name: String = trigger.try_get("", "name").unwrap();
        db.execute_unprepared(&format!("DROP TRIGGER {name}")).await.unwrap();
    }
    db
}

async fn id_of(db: &DatabaseConnection, table: &str, which: &str) -> Uuid {
    let text = format!("SELECT id FROM {table} WHERE {which} ORDER BY id LIMIT 1");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await.unwrap();
    row.unwrap_or_else(|| panic!("no {table} where {which}")).try_get("", "id").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_books_pass() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        some_history(&app).await;
        let report = app.audit().await;
        assert_eq!((&report.wrong, report.waiting), (&None, 0));
        let output = process::run(&app.database_url, &["audit"]);
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "checked ledger movements: 7\n\
             checked ledger holds and releases: 6\n\
             checked ledger accounts: 9\n\
             checked assets that sum to zero: 2\n\
             checked positions: 1\n\
             checked transfers: 1\n\
             checked orders: 3\n\
             checked fills: 2\n\
             checked events: 20\n\
             checked chains of events: 1\n\
             checked lines of the audit log: 13\n\
             waiting to be sealed: 0\n\
             The books add up and nothing was altered.\n"
        );
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_altered_row_is_found() {
    let named = |words: &'static str| move |id: Uuid| words.replace("{id}", &id.to_string());
    let tampered = [
        ("ledger_transfer", "amount > 1", Some("amount = amount - 1"), "ledger_transfer {id} does not match its digest"),
        ("ledger_account", "credits > 0", Some("credits = credits + 1"), "ledger_account {id} says "),
        ("ledger_hold", "amount > 0", Some("amount = amount + 1"), "ledger_account "),
        ("ledger_hold", "amount > 1", Some("amount = amount - 1"), "ledger_release "),
        ("event", "seq = 4", Some("payload = '{}'"), "event {id} does not match its digest and its ledger movements"),
        ("event", "seq = 4", Some("hash = digest"), "event {id} does not continue the chain of its partner"),
        ("audit_log", "seq = 4", Some("decision = 'nothing'"), "audit_log {id} does not continue the chain of its partner"),
        ("position", "quantity > 0", Some("quantity = quantity + 1"), "position {id} holds 300000001, the ledger 300000000 units"),
        (
            "orders",
            "status = 'canceled'",
            Some("filled_quantity = 1"),
            "order {id} says it is filled by 0.00000001, its fills say otherwise",
        ),
        ("fill", "side = 'sell'", Some("amount = amount + 1"), "ledger_account "),
        ("event", "seq = 4", None, "event "),
        ("event", "type = 'deposit.settled'", None, "ledger movements name event {id}, which does not exist"),
        ("audit_log", "seq = 4", None, "audit_log "),
        ("ledger_transfer", "amount = 50000", None, "ledger_account "),
    ];
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        some_history(&app).await;
        let db = intruder(&app).await;
        for (table, which, change, words) in tampered {
            let id = id_of(&db, table, which).await;
            let literal = if db.get_database_backend() == DbBackend::Postgres { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
            db.execute_unprepared(&format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE id = {literal}")).await.unwrap();
            let change = match change {
                Some(change) => format!("UPDATE {table} SET {change} WHERE id = {literal}"),
                None => format!("DELETE FROM {table} WHERE id = {literal}"),
            };
            assert_eq!(db.execute_unprepared(&change).await.unwrap().rows_affected(), 1, "{change}");
            let wrong = app.audit().await.wrong.unwrap_or_else(|| panic!("{change} went unnoticed"));
            assert!(wrong.starts_with(&named(words)(id)), "{change}: {wrong}");
            let output = process::run(&app.database_url, &["audit"]);
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(printed.ends_with(&format!("\nWRONG: {wrong}\n")) && printed.starts_with("checked "), "{change}: {printed}");
            assert_eq!(output.status.code(), Some(1));
            db.execute_unprepared(&format!("DELETE FROM {table} WHERE id = {literal}")).await.unwrap();
            db.execute_unprepared(&format!("INSERT INTO {table} SELECT * FROM kept")).await.unwrap();
            db.execute_unprepared("DROP TABLE kept").await.unwrap();
            assert_eq!(app.audit().await.wrong, None, "after {change} was taken back");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_outlived_its_order_is_found() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.gql(ORDER_PLACE, json!({ "input": customer.order("o", "BUY", "VTI", "1") })).await.entity("orderPlace", "order");
        assert_eq!(app.audit().await.wrong, None);
        intruder(&app).await.execute_unprepared("UPDATE orders SET status = 'rejected'").await.unwrap();
        let wrong = app.audit().await.wrong.unwrap();
        assert!(wrong.starts_with("ledger_hold ") && wrong.ends_with(" has ended"), "{wrong}");
    }
}
