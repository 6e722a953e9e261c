//! The audit finds what was altered by hand, and the database refuses to alter what is written for good.

use crate::support::{ORDER_PLACE, TestApp, on_both, process};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;

async fn with_history(app: &TestApp) {
    app.quote("VTI", "100.00", "100.00").await;
    let ada = app.funded_customer("Ada", "1000.00").await;
    for (key, side) in [("1", "BUY"), ("2", "SELL")] {
        let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order(key, side, "VTI", "2") })).await;
        app.ended(placed.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
    }
    let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order("3", "BUY", "VTI", "1") })).await;
    app.ended(placed.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
    app.app.sequencer.caught_up().await;
}

/// A connection on which no trigger fires.
async fn without_triggers(app: &TestApp) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(app.database_url.clone());
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    if connection.get_database_backend() == DbBackend::Postgres {
        connection.execute_unprepared("SET session_replication_role = replica").await.unwrap();
        return connection;
    }
    let triggers = Statement::from_string(DbBackend::Sqlite, "SELECT name FROM sqlite_master WHERE type = 'trigger'");
    for row in connection.query_all_raw(triggers).await.unwrap() {
        let name: String = row.try_get("", "name").unwrap();
        connection.execute_unprepared(&format!("DROP TRIGGER {name}")).await.unwrap();
    }
    connection.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    connection
}

const OLDEST: &str = "(SELECT id FROM TABLE_ ORDER BY id LIMIT 1)";

/// Each alteration and its opposite, and what the audit says of it.
const ALTERED: [(&str, &str, &str); 8] = [
    ("UPDATE ledger_transfer SET amount = amount + 1", "UPDATE ledger_transfer SET amount = amount - 1", "ledger_transfer"),
    ("UPDATE ledger_account SET credits = credits + 1", "UPDATE ledger_account SET credits = credits - 1", "ledger_account"),
    ("UPDATE ledger_hold SET amount = amount + 1", "UPDATE ledger_hold SET amount = amount - 1", "ledger_account"),
    ("UPDATE event SET payload = payload || ' '", "UPDATE event SET payload = rtrim(payload)", "event"),
    ("UPDATE event SET seq = seq + 1000", "UPDATE event SET seq = seq - 1000", "event"),
    ("UPDATE audit_log SET decision = 'refused'", "UPDATE audit_log SET decision = 'done'", "audit_log"),
    ("UPDATE position SET quantity = quantity + 1", "UPDATE position SET quantity = quantity - 1", "position"),
    ("UPDATE fill SET quantity = quantity + 1", "UPDATE fill SET quantity = quantity - 1", "order"),
];

on_both! {
    async fn every_alteration_by_hand_is_found(app: TestApp) {
        with_history(&app).await;
        let clean = process::run(&app.database_url, &["audit"]);
        let said = String::from_utf8(clean.stdout).unwrap();
        assert!(clean.status.success(), "{said}");
        assert!(said.contains("checked ledger movements: 9\n") && said.ends_with("The books add up and nothing was altered.\n"), "{said}");

        let by_hand = without_triggers(&app).await;
        for (alteration, opposite, table) in ALTERED {
            let target = alteration.split(' ').nth(1).unwrap();
            let one = |statement: &str| format!("{statement} WHERE id = {}", OLDEST.replace("TABLE_", target));
            by_hand.execute_unprepared(&one(alteration)).await.unwrap();
            let wrong = app.audit().await.wrong.unwrap_or_else(|| panic!("not found: {alteration}"));
            assert!(wrong.starts_with(&format!("{table} ")), "{alteration}: {wrong}");
            by_hand.execute_unprepared(&one(opposite)).await.unwrap();
            assert_eq!(app.audit().await.wrong, None, "{opposite}");
        }
        by_hand.execute_unprepared(&format!("DELETE FROM event WHERE id = {}", OLDEST.replace("TABLE_", "event"))).await.unwrap();
        let found = process::run(&app.database_url, &["audit"]);
        let said = String::from_utf8(found.stdout).unwrap();
        assert!(!found.status.success() && said.contains("WRONG: "), "{said}");
    }

    async fn a_movement_that_was_deleted_is_missed(app: TestApp) {
        with_history(&app).await;
        let by_hand = without_triggers(&app).await;
        by_hand
            .execute_unprepared(&format!("DELETE FROM ledger_transfer WHERE id = {}", OLDEST.replace("TABLE_", "ledger_transfer")))
            .await
            .unwrap();
        assert!(app.audit().await.wrong.is_some());
    }

    async fn what_is_written_for_good_cannot_be_changed(app: TestApp) {
        with_history(&app).await;
        let mut options = sea_orm::ConnectOptions::new(app.database_url.clone());
        options.max_connections(1).sqlx_logging(false);
        let other_tool = Database::connect(options).await.unwrap();
        for (table, column) in [
            ("ledger_transfer", "amount"),
            ("ledger_hold", "amount"),
            ("ledger_release", "amount"),
            ("event", "payload"),
            ("audit_log", "decision"),
        ] {
            let mut attempts = vec![format!("UPDATE {table} SET {column} = {column}"), format!("DELETE FROM {table}")];
            if other_tool.get_database_backend() == DbBackend::Postgres {
                attempts.push(format!("TRUNCATE {table} CASCADE"));
            } else {
                attempts.push(format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"));
            }
            for attempt in attempts {
                let refusal = other_tool.execute_unprepared(&attempt).await.expect_err(&attempt).to_string();
                assert!(refusal.contains("is append-only"), "{attempt}: {refusal}");
            }
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}
