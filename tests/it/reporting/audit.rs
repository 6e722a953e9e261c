//! `coffer audit`: passes on unaltered records and detects every altered row.

use crate::{
    compliance::kyc_documents::{applicant, documented},
    funding::{
        returns::{CANCEL, deposit, returned, settings, with_bank},
        withdrawals::{id_of as id_in, withdraw},
    },
    support::{Customer, ORDER_CANCEL, ORDER_PLACE, Options, TestApp, process},
};
use domain::kernel::secrets::{Secret, decrypt, encrypt, hmac_sha256};
use entity::{chain_head, data_key, event, kyc_document};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Statement,
};
use serde_json::json;
use uuid::Uuid;

const TICK: &str = "mutation { sandboxClockAdvance(input: { seconds: 1 }) { userErrors { message } } }";

/// Creates a user with a filled buy order, a sale of part of the shares, and a canceled buy order.
async fn some_history(app: &TestApp) -> Customer {
    let customer = app.funded_customer("Ada", "1000.00").await;
    app.quote("VTI", "100.00", "100.00").await;
    for (key, side, quantity) in [("b", "BUY", "5"), ("s", "SELL", "2"), ("c", "BUY", "1")] {
        let placed =
            app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, "VTI", quantity) })).await;
        let id = placed.entity("orderPlace", "order")["id"].clone();
        if key == "c" {
            let cancel = json!({ "input": { "idempotencyKey": "cancel", "orderId": id } });
            app.gql(ORDER_CANCEL, cancel).await.entity("orderCancel", "order");
        }
        app.gql(TICK, json!({})).await.data();
    }
    app.app.sequencer.caught_up().await;
    customer
}

/// Connects to the database with all triggers and constraints switched off, as an attacker would.
async fn intruder(app: &TestApp) -> DatabaseConnection {
    let mut options = ConnectOptions::new(&app.database_url);
    options.max_connections(1).sqlx_logging(false);
    let db = Box::pin(Database::connect(options)).await.unwrap();
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("SET session_replication_role = replica").await.unwrap();
        let no_checks = "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS place, conname \
            FROM pg_constraint \
            WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP \
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.place, c.conname); END LOOP; END $$";
        db.execute_unprepared(no_checks).await.unwrap();
        return db;
    }
    db.execute_unprepared("PRAGMA ignore_check_constraints = ON").await.unwrap();
    db.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    let triggers =
        Statement::from_string(DbBackend::Sqlite, "SELECT name FROM sqlite_master WHERE type = 'trigger'");
    for trigger in db.query_all_raw(triggers).await.unwrap() {
        let name: String = trigger.try_get("", "name").unwrap();
        db.execute_unprepared(&format!("DROP TRIGGER {name}")).await.unwrap();
    }
    db
}

async fn id_of(db: &DatabaseConnection, table: &str, key: &str, which: &str) -> Uuid {
    let text = format!("SELECT {key} FROM {table} WHERE {which} ORDER BY {key} LIMIT 1");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await.unwrap();
    row.unwrap_or_else(|| panic!("no {table} where {which}")).try_get("", key).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unaltered_records_pass_the_audit() {
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
             checked events: 25\n\
             checked chains of events: 1\n\
             checked lines of the audit log: 13\n\
             checked signed heads of chains: 2\n\
             checked transfers: 1\n\
             checked fills: 2\n\
             checked entitlements: 0\n\
             checked orders: 3\n\
             checked realized gains: 1\n\
             checked tax lots: 1\n\
             checked positions: 1\n\
             checked holds of orders: 3\n\
             checked documents: 0\n\
             waiting to be sealed: 0\n\
             The books add up and nothing was altered.\n"
        );
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    }
}

const NEWEST_EVENT: &str = "seq = (SELECT max(seq) FROM event)";
const NEWEST_LINE: &str = "seq = (SELECT max(seq) FROM audit_log)";
const EMPTIED: &str = "seq = NULL, hash = NULL";

/// Table, condition for its rows, change of the first such row (`None` deletes it), and the start of the
/// audit's error.
type Alteration = (&'static str, &'static str, Option<&'static str>, &'static str);

const ALTERATIONS: &[Alteration] = &[
    (
        "ledger_transfer",
        "amount > 1",
        Some("amount = amount - 1"),
        "ledger_transfer {id} does not match its digest",
    ),
    ("ledger_account", "credits > 0", Some("credits = credits + 1"), "ledger_account {id} has "),
    ("ledger_hold", "amount > 0", Some("amount = amount + 1"), "ledger_account "),
    ("ledger_hold", "amount > 1", Some("amount = amount - 1"), "ledger_release "),
    (
        "event",
        "seq = 4",
        Some("payload = '{}'"),
        "event {id} does not match its digest and its ledger movements",
    ),
    ("event", "seq = 4", Some("hash = digest"), "event {id} does not continue the chain of its partner"),
    (
        "audit_log",
        "seq = 4",
        Some("decision = 'nothing'"),
        "audit_log {id} does not continue the chain of its partner",
    ),
    ("event", "seq = 4", None, "event "),
    ("event", "type = 'deposit.settled'", None, "ledger movements refer to event {id}, which does not exist"),
    ("audit_log", "seq = 4", None, "audit_log "),
    ("ledger_transfer", "amount = 50000", None, "ledger_account "),
    // The end of a chain, and sealed rows that are changed to look unsealed.
    (
        "event",
        NEWEST_EVENT,
        None,
        "the head of the events of partner {partner} counts 25, but the last one is number 24",
    ),
    (
        "audit_log",
        NEWEST_LINE,
        None,
        "the head of the audit lines of partner {partner} counts 13, but the last one is number 12",
    ),
    ("event", NEWEST_EVENT, Some(EMPTIED), "event {id} does not continue the chain of its partner"),
    ("audit_log", NEWEST_LINE, Some(EMPTIED), "audit_log {id} does not continue the chain of its partner"),
    ("event", "seq = 4", Some(EMPTIED), "event "),
    ("audit_log", "seq = 4", Some(EMPTIED), "audit_log "),
    ("chain_head", "chain = 'event'", None, "the head of the events of partner {partner} is missing"),
    (
        "chain_head",
        "chain = 'audit_log'",
        None,
        "the head of the audit lines of partner {partner} is missing",
    ),
    (
        "chain_head",
        "chain = 'event'",
        Some("sealed = 19"),
        "the head of the events of partner {partner} does not match its signature",
    ),
    (
        "chain_head",
        "chain = 'audit_log'",
        Some("hash = mac"),
        "the head of the audit lines of partner {partner} does not match its signature",
    ),
    (
        "chain_head",
        "chain = 'event'",
        Some("mac = hash"),
        "the head of the events of partner {partner} does not match its signature",
    ),
    // Tables that are derived from the ledger.
    (
        "transfer",
        "status = 'settled'",
        Some("amount = amount + 1"),
        "transfer {id} has amount 1000.01, its ledger movements sum to 1000.00",
    ),
    (
        "transfer",
        "status = 'settled'",
        Some("status = 'pending'"),
        "transfer {id} has a status that does not match its events and the ledger",
    ),
    (
        "transfer",
        "status = 'settled'",
        Some("settled_at = NULL"),
        "transfer {id} has a status that does not match its events and the ledger",
    ),
    (
        "fill",
        "side = 'sell'",
        Some("amount = amount + 1"),
        "fill {id} has amount 200.01, its ledger movements sum to 200.00",
    ),
    (
        "fill",
        "side = 'buy'",
        Some("amount = amount + 1"),
        "fill {id} has amount 500.01, its ledger movements sum to 500.00",
    ),
    (
        "fill",
        "side = 'buy'",
        Some("quantity = quantity + 1"),
        "fill {id} has 5.00000001 shares, its ledger movements sum to 5",
    ),
    (
        "fill",
        "side = 'buy'",
        Some("price = price + 1"),
        "fill {id} has price 100.0001, its event has another",
    ),
    (
        "fill",
        "side = 'buy'",
        Some("side = 'sell'"),
        "fill {id} has amount 500.00, its ledger movements sum to 0.00",
    ),
    (
        "fill",
        "side = 'buy'",
        Some("settled_at = traded_at"),
        "fill {id} has a settlement status that does not match its events",
    ),
    ("fill", "side = 'buy'", None, "order "),
    (
        "orders",
        "status = 'canceled'",
        Some("filled_quantity = 1"),
        "order {id} has filled quantity 0.00000001, which is not the sum of its fills",
    ),
    (
        "orders",
        "side = 'sell'",
        Some("filled_average_price = filled_average_price + 1"),
        "order {id} does not have the average price of its fills",
    ),
    (
        "orders",
        "side = 'sell'",
        Some("quantity = quantity + 1"),
        "order {id} is filled, but has quantity 2.00000001 and filled quantity 2",
    ),
    (
        "orders",
        "side = 'sell'",
        Some("side = 'buy'"),
        "order {id} has a different side or account than its fills",
    ),
    (
        "position",
        "quantity > 0",
        Some("quantity = quantity + 1"),
        "position {id} has 300000001 units, the ledger has 300000000",
    ),
    (
        "position",
        "quantity > 0",
        Some("cost_basis = cost_basis + 1"),
        "position {id} has 3 shares with cost basis 300.01, its tax lots do not add up to that",
    ),
    (
        "tax_lot",
        "open_quantity > 0",
        Some("open_quantity = open_quantity - 1"),
        "tax_lot {id} has 2.99999999 open shares with basis 300.00, which is not what its sales left",
    ),
    ("tax_lot", "open_quantity > 0", Some("cost = cost + 1, open_basis = open_basis + 1"), "fill "),
    (
        "tax_lot",
        "open_quantity > 0",
        Some("held_since = '2025-01-02'"),
        "tax_lot {id} replaces no loss, but has an adjustment",
    ),
    (
        "tax_lot",
        "open_quantity > 0",
        Some("acquired_on = '2025-01-02', held_since = '2025-01-02'"),
        "tax_lot {id} does not have the account and the date of its fill",
    ),
    ("tax_lot", "open_quantity > 0", None, "realized gains refer to tax_lot {id}, which does not exist"),
    ("lot_closing", "quantity > 0", Some("proceeds = proceeds - 1"), "fill "),
    (
        "lot_closing",
        "quantity > 0",
        Some("term = 'long'"),
        "lot_closing {id} does not have the account, dates and term of its fill",
    ),
    ("lot_closing", "quantity > 0", None, "tax_lot "),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_altered_row_is_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        some_history(&app).await;
        are_detected(&app, ALTERATIONS).await;
    }
}

/// Alters a row, expects the audit to detect it, and restores it, for each alteration.
async fn are_detected(app: &TestApp, alterations: &[Alteration]) {
    let db = intruder(app).await;
    for (table, which, change, words) in alterations {
        let (key, place) = if *table == "chain_head" {
            ("partner_id", format!(" AND {which}"))
        } else {
            ("id", String::new())
        };
        let id = id_of(&db, table, key, which).await;
        let literal = if db.get_database_backend() == DbBackend::Postgres {
            format!("'{id}'")
        } else {
            format!("x'{}'", id.simple())
        };
        let copies = [("saved", *table), ("saved_heads", "chain_head")];
        for (copy, of) in copies {
            db.execute_unprepared(&format!("CREATE TABLE {copy} AS SELECT * FROM {of}")).await.unwrap();
        }
        let row = format!(
            "{table} {}WHERE {key} = {literal}{place}",
            change.map(|change| format!("SET {change} ")).unwrap_or_default()
        );
        let change = if change.is_some() { format!("UPDATE {row}") } else { format!("DELETE FROM {row}") };
        assert_eq!(db.execute_unprepared(&change).await.unwrap().rows_affected(), 1, "{change}");
        // Rows that look unsealed are sealed before the audit reads them.
        app.app.sequencer.caught_up().await;
        let wrong = app.audit().await.wrong.unwrap_or_else(|| panic!("{change} went unnoticed"));
        let words = words.replace("{id}", &id.to_string()).replace("{partner}", &app.partner.id.to_string());
        assert!(wrong.starts_with(&words), "{change}: {wrong}");
        let output = process::run(&app.database_url, &["audit"]);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            printed.ends_with(&format!("\nWRONG: {wrong}\n")) && printed.starts_with("checked "),
            "{change}: {printed}"
        );
        assert_eq!(output.status.code(), Some(1));
        for (copy, of) in copies {
            db.execute_unprepared(&format!("DELETE FROM {of}")).await.unwrap();
            db.execute_unprepared(&format!("INSERT INTO {of} SELECT * FROM {copy}")).await.unwrap();
            db.execute_unprepared(&format!("DROP TABLE {copy}")).await.unwrap();
        }
        assert_eq!(app.audit().await.wrong, None, "after {change} was undone");
    }
}

/// Creates transfers in every state, told apart by their amounts.
async fn transfers_in_every_state(app: &TestApp) {
    let ada = app.funded_customer("Ada", "1000.00").await;
    app.quote("VTI", "100.00", "100.00").await;
    app.gql(ORDER_PLACE, json!({ "input": ada.order("buy", "BUY", "VTI", "5") }))
        .await
        .entity("orderPlace", "order");
    app.gql(TICK, json!({})).await.data();
    withdraw(app, &ada, "completed", "50.00").await;
    let returned_withdrawal = id_in(&withdraw(app, &ada, "returned", "60.00").await);
    let canceled_withdrawal = id_in(&withdraw(app, &ada, "canceled", "70.00").await);
    let canceled_deposit = deposit(app, &ada, "canceled-deposit", "20.00").await;
    let returned_deposit = deposit(app, &ada, "returned-deposit", "30.00").await;
    for id in [canceled_withdrawal, canceled_deposit] {
        let input = json!({ "input": { "idempotencyKey": id, "transferId": id } });
        app.gql(CANCEL, input).await.entity("transferCancel", "transfer");
    }
    app.advance_to("2026-07-16T15:00:00Z").await;
    returned(app, &returned_withdrawal, "R23").await;
    returned(app, &returned_deposit, "R06").await;
    let limit = json!({ "amount": "300" });
    settings(app, json!({ "instantLimit": limit, "accountInstantLimit": limit })).await;
    deposit(app, &ada, "submitted-deposit", "25.00").await;
    withdraw(app, &ada, "submitted", "40.00").await;
    app.advance_to("2026-07-17T04:00:00Z").await;
    withdraw(app, &ada, "awaiting", "600.00").await;
    app.advance_to("2026-07-17T04:00:01Z").await;
    deposit(app, &ada, "pending-deposit", "15.00").await;
    withdraw(app, &ada, "pending", "80.00").await;
    let other = with_bank(app, &ada, "4327849999").await;
    let lost = deposit(app, &other, "lost-deposit", "11.00").await;
    deposit(app, &other, "failed-deposit", "12.00").await;
    returned(app, &lost, "R02").await;
    app.app.sequencer.caught_up().await;
}

const WRONG_STATUS: &str = "transfer {id} has a status that does not match its events and the ledger";

const ALTERED_TRANSFERS: &[Alteration] = &[
    (
        "transfer",
        "amount = 2500 AND status = 'submitted'",
        Some("amount = amount + 1"),
        "transfer {id} has amount 25.01, its ledger movements sum to 25.00",
    ),
    (
        "transfer",
        "amount = 2500",
        Some("instant_amount = instant_amount - 1"),
        "transfer {id} made another amount available at once",
    ),
    ("transfer", "amount = 2500", Some("status = 'pending'"), WRONG_STATUS),
    ("transfer", "amount = 2500", Some("status = 'settled', settled_at = created_at"), WRONG_STATUS),
    ("transfer", "amount = 2500", Some("status = 'canceled', ended_at = created_at"), WRONG_STATUS),
    ("transfer", "amount = 2000 AND status = 'canceled'", Some("status = 'pending'"), "ledger_account "),
    ("transfer", "amount = 2000", Some("status = 'failed'"), WRONG_STATUS),
    ("transfer", "amount = 2000", Some("ended_at = NULL"), WRONG_STATUS),
    ("transfer", "amount = 3000 AND status = 'returned'", Some("status = 'settled'"), WRONG_STATUS),
    ("transfer", "amount = 3000", Some("returned_at = NULL"), WRONG_STATUS),
    ("transfer", "amount = 1500 AND status = 'pending'", Some("status = 'submitted'"), WRONG_STATUS),
    ("transfer", "amount = 1500", None, "ledger_account "),
    ("transfer", "amount = 1200 AND status = 'failed'", Some("status = 'canceled'"), WRONG_STATUS),
    ("transfer", "amount = 1200", Some("ended_at = NULL"), WRONG_STATUS),
    (
        "transfer",
        "amount = 8000",
        Some("unsettled_aside = set_aside + 1"),
        "transfer {id} sets 0.00 aside, 0.01 of it unsettled",
    ),
    ("fill", "set_aside > 0", Some("set_aside = set_aside - 1"), "transfer "),
    (
        "transfer",
        "amount = 5000 AND status = 'completed'",
        Some("set_aside = set_aside - 1"),
        "transfer {id} sets 49.99 of 50.00 aside, its ledger movements sum to 50.00",
    ),
    (
        "transfer",
        "amount = 5000",
        Some("amount = amount - 1"),
        "transfer {id} sets 50.00 of 49.99 aside, its ledger movements sum to 50.00",
    ),
    ("transfer", "amount = 5000", Some("status = 'returned'"), WRONG_STATUS),
    ("transfer", "amount = 5000", Some("settled_at = NULL"), WRONG_STATUS),
    ("transfer", "amount = 6000 AND status = 'returned'", Some("status = 'completed'"), WRONG_STATUS),
    ("transfer", "amount = 7000 AND status = 'canceled'", Some("status = 'failed'"), WRONG_STATUS),
    ("transfer", "amount = 4000 AND status = 'submitted'", Some("status = 'pending'"), WRONG_STATUS),
    ("transfer", "amount = 4000", Some("status = 'awaiting_settlement'"), WRONG_STATUS),
    (
        "transfer",
        "amount = 60000 AND status = 'awaiting_settlement'",
        Some("set_aside = set_aside + 1"),
        "transfer {id} sets 600.01 of 600.00 aside, its ledger movements sum to 600.00",
    ),
    ("transfer", "amount = 60000", Some("status = 'submitted'"), WRONG_STATUS),
    ("orders", "withdrawal_id IS NOT NULL", Some("withdrawal_id = NULL"), "transfer "),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_altered_transfer_is_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        transfers_in_every_state(&app).await;
        are_detected(&app, ALTERED_TRANSFERS).await;
    }
}

/// Sealing does not sign an altered chain head again, which would hide the change, and does not stop the
/// sealing of other partners' events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_are_sealed_after_an_altered_chain_head() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let (other, key) = app.other_partner("another").await;
        app.customer("Ada").await;
        app.app.sequencer.caught_up().await;
        let db = intruder(&app).await;
        db.execute_unprepared("CREATE TABLE saved AS SELECT * FROM chain_head").await.unwrap();
        let partner = if db.get_database_backend() == DbBackend::Postgres {
            format!("'{}'", app.partner.id)
        } else {
            format!("x'{}'", app.partner.id.simple())
        };
        for attack in [
            "UPDATE chain_head SET sealed = sealed - 1 WHERE chain = 'event' AND",
            "DELETE FROM chain_head WHERE",
        ] {
            db.execute_unprepared(&format!("{attack} partner_id = {partner}")).await.unwrap();
            app.gql(TICK, json!({})).await.data();
            app.gql_as(Some(&key), TICK, json!({})).await.data();
            app.app.sequencer.caught_up().await;
            let report = app.audit().await;
            assert!(report.wrong.unwrap().starts_with("the head of the events of partner "), "{attack}");
            let waiting = |partner: Uuid| {
                event::Entity::find()
                    .filter(event::Column::PartnerId.eq(partner))
                    .filter(event::Column::Seq.is_null())
                    .count(&app.app.db.read)
            };
            assert_eq!(
                (waiting(app.partner.id).await.unwrap() > 0, waiting(other.id).await.unwrap()),
                (true, 0),
                "{attack}"
            );
            db.execute_unprepared(&format!("DELETE FROM chain_head WHERE partner_id = {partner}"))
                .await
                .unwrap();
            db.execute_unprepared(&format!(
                "INSERT INTO chain_head SELECT * FROM saved WHERE partner_id = {partner}"
            ))
            .await
            .unwrap();
            app.app.sequencer.caught_up().await;
            let report = app.audit().await;
            assert_eq!((report.wrong, report.waiting), (None, 0), "{attack}");
            db.execute_unprepared("DELETE FROM saved").await.unwrap();
            db.execute_unprepared("INSERT INTO saved SELECT * FROM chain_head").await.unwrap();
        }
    }
}

/// The first server to open a database from before chain heads existed signs them; later servers do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chain_heads_of_an_older_database_are_signed_once() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        some_history(&app).await;
        let db = intruder(&app).await;
        // Restores the server's index key as it was before chain heads existed.
        let row = data_key::Entity::find()
            .filter(data_key::Column::Purpose.eq(data_key::Purpose::Index))
            .one(&db)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.number, 2);
        let older = envelope_before_heads(&row);
        data_key::ActiveModel::from(older).reset_all().update(&db).await.unwrap();
        db.execute_unprepared("DELETE FROM chain_head").await.unwrap();
        let unsigned = process::run(&app.database_url, &["audit"]);
        let printed = String::from_utf8(unsigned.stdout).unwrap();
        let note =
            "note: the heads of the chains are not signed yet; the server signs them when it next starts\n";
        assert!(printed.contains(note) && unsigned.status.success(), "{printed}");

        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        assert_eq!(app.audit().await.wrong, None);
        let heads = chain_head::Entity::find().all(&db).await.unwrap();
        let counts: Vec<i64> =
            heads.iter().filter(|head| head.partner_id == app.partner.id).map(|head| head.sealed).collect();
        assert_eq!(counts.iter().sum::<i64>(), 38);
        app.gql(TICK, json!({})).await.data();
        app.app.sequencer.caught_up().await;
        assert_eq!(app.audit().await.wrong, None);

        db.execute_unprepared("DELETE FROM chain_head").await.unwrap();
        let app = app.restarted(Options { without_timers: true, ..Options::default() }).await;
        assert!(app.audit().await.wrong.unwrap().starts_with("the head of the events of partner "));
        // Changing the number does not help, because the key is bound to it.
        db.execute_unprepared("UPDATE data_key SET number = 1 WHERE purpose = 'index'").await.unwrap();
        let refused = process::run(&app.database_url, &["serve"]);
        let printed = String::from_utf8(refused.stderr).unwrap();
        assert!(
            printed.starts_with("coffer: cannot read the database: data key ")
                && printed.ends_with(" was altered\n"),
            "{printed}"
        );
    }
}

/// Returns the row of a key with the number 1, wrapped again by the tests' encryption key.
fn envelope_before_heads(row: &data_key::Model) -> data_key::Model {
    let wrapping = hmac_sha256(&[7; 32], b"coffer key wrapping");
    let bound = |number: i32| {
        let numbered = number.to_be_bytes();
        [row.id.as_bytes(), &b"|"[..], Uuid::nil().as_bytes(), b"|", b"index", b"|", &numbered].concat()
    };
    let key = decrypt(&Secret::new(wrapping), &bound(2), &row.wrapped).unwrap();
    let wrapped = encrypt(&Secret::new(wrapping), &bound(1), &key).unwrap();
    data_key::Model { number: 1, wrapped, ..row.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_without_its_file_is_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let rita = applicant(&app, &app.key, "Review").await;
        for _ in 0..2 {
            let sent = app.post(&rita.path(), documented(b"%PDF-1.7\n%%EOF\n")).await;
            assert_eq!(sent.status, 200, "{}", sent.body);
        }
        app.app.sequencer.caught_up().await;
        let rows = kyc_document::Entity::find()
            .order_by_asc(kyc_document::Column::Id)
            .all(&app.app.db.read)
            .await
            .unwrap();
        let folder = app.documents.0.join("kept");
        let file =
            |row: &kyc_document::Model| folder.join(row.partner_id.to_string()).join(row.id.to_string());
        let run = |command: &str| {
            let output = process::coffer(&app.database_url)
                .env("COFFER_DOCUMENTS", &folder)
                .arg(command)
                .output()
                .unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let (code, printed) = run("audit");
        assert!(printed.contains("checked documents: 2\n") && code == Some(0), "{printed}");
        let line =
            |printed: &str| printed.lines().find(|line| line.contains("document files")).unwrap().to_owned();
        assert_eq!(line(&run("doctor").1), "ok     document files: all 2 documents have their file");

        // A file without a document is a note, not an error.
        let stray = folder.join(app.partner.id.to_string()).join("stray");
        std::fs::write(&stray, "left behind").unwrap();
        let (code, printed) = run("audit");
        assert!(
            printed.contains(&format!(
                "note: 1 files do not belong to any document, for example {}/stray\n",
                app.partner.id
            )),
            "{printed}"
        );
        assert_eq!(code, Some(0));

        let whole = std::fs::read(file(&rows[1])).unwrap();
        std::fs::write(file(&rows[1]), &whole[1..]).unwrap();
        let damaged = format!("the file of document {} has the wrong size", rows[1].id);
        assert_eq!(app.audit().await.wrong, Some(damaged));
        std::fs::write(file(&rows[1]), &whole).unwrap();
        assert_eq!(app.audit().await.wrong, None);

        for (removed, words) in [
            (0, "1 of 2 documents have no file; the first is "),
            (1, "2 of 2 documents have no file; the first is "),
        ] {
            std::fs::remove_file(file(&rows[removed])).unwrap();
            let words = format!("{words}{}", rows[0].id);
            assert_eq!(app.audit().await.wrong.as_deref(), Some(words.as_str()));
            let (code, printed) = run("audit");
            assert!(printed.ends_with(&format!("\nWRONG: {words}\n")), "{printed}");
            assert_eq!(code, Some(1));
            let (code, printed) = run("doctor");
            assert_eq!((code, line(&printed)), (Some(1), format!("FAILED document files: {words}")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_of_an_ended_order_is_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.gql(ORDER_PLACE, json!({ "input": customer.order("o", "BUY", "VTI", "1") }))
            .await
            .entity("orderPlace", "order");
        assert_eq!(app.audit().await.wrong, None);
        intruder(&app).await.execute_unprepared("UPDATE orders SET status = 'rejected'").await.unwrap();
        let wrong = app.audit().await.wrong.unwrap();
        assert!(wrong.starts_with("ledger_hold ") && wrong.ends_with(" has ended"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn altered_entitlements_and_fees_are_detected() {
    const APPLY: &str = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
        corporateAction { id } userErrors { code path message } } }";
    for app in TestApp::each_with(Options::default()).await {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        app.quote("KO", "60.00", "60.00").await;
        for (key, side, quantity) in [("buy", "BUY", "10"), ("sell", "SELL", "1")] {
            let placed =
                app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, "KO", quantity) })).await;
            let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
            assert_eq!(app.ended(&id).await["status"], "FILLED");
        }
        for (key, ex_on, terms) in [
            (
                "dividend",
                "2026-07-15",
                json!({ "cashDividend": { "perShare": { "amount": "0.25" }, "payOn": "2026-07-15" } }),
            ),
            (
                "split",
                "2026-07-16",
                json!({ "split": { "newShares": 3, "oldShares": 2, "wholeSharesOnly": true,
                    "cashInLieuPrice": { "amount": "40.00" } } }),
            ),
        ] {
            let input = json!({ "idempotencyKey": key, "symbol": "KO", "exOn": ex_on, "terms": terms });
            app.gql(APPLY, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
        }
        app.advance_to("2026-07-17T15:00:00Z").await;
        app.app.sequencer.caught_up().await;
        let report = app.audit().await;
        assert_eq!(report.wrong, None, "{report}");
        let db = intruder(&app).await;
        // Nine shares: 2.25 dollars, and 13 shares with 20 dollars for a half.
        for (table, change, back, which, words) in [
            (
                "entitlement",
                "cash = cash + 1",
                "cash = cash - 1",
                "cash = 225",
                "its ledger movements sum to 2.25",
            ),
            (
                "entitlement",
                "quantity = quantity + 100000000",
                "quantity = quantity - 100000000",
                "cash = 225",
                "has cash 2.25, the dividend of its shares is 2.50",
            ),
            (
                "entitlement",
                "new_quantity = new_quantity + 100000000",
                "new_quantity = new_quantity - 100000000",
                "cash = 2000",
                "changed 5 shares, its ledger movements sum to 4",
            ),
            (
                "entitlement",
                "quantity = quantity + 200000000, new_quantity = new_quantity + 200000000",
                "quantity = quantity - 200000000, new_quantity = new_quantity - 200000000",
                "cash = 2000",
                "has 15 shares after a split, its ratio makes 16",
            ),
            (
                "corporate_action",
                "new_shares = new_shares + 1",
                "new_shares = new_shares - 1",
                "new_shares IS NOT NULL",
                "has 13 shares after a split, its ratio makes 18",
            ),
            (
                "corporate_action",
                "cash_price = cash_price + 10000",
                "cash_price = cash_price - 10000",
                "new_shares IS NOT NULL",
                "has cash 20.00, the fraction of its shares is worth 20.50",
            ),
            (
                "lot_closing",
                "quantity = quantity + 100000000",
                "quantity = quantity - 100000000",
                "entitlement_id IS NOT NULL",
                "has cash 20.00, the fraction of its shares is worth 60.00",
            ),
            (
                "lot_closing",
                "proceeds = proceeds + 1",
                "proceeds = proceeds - 1",
                "entitlement_id IS NOT NULL",
                "has cash 20.00, which is not that of its realized gains",
            ),
            (
                "fill",
                "sec_fee = sec_fee + 1",
                "sec_fee = sec_fee - 1",
                "side = 'sell'",
                "has amount 59.99, its ledger movements sum to 60.00",
            ),
        ] {
            let id = id_of(&db, table, "id", which).await;
            let literal = match db.get_database_backend() {
                DbBackend::Postgres => format!("'{id}'"),
                _ => format!("X'{}'", id.simple()),
            };
            for (set, expected) in [(change, Some(words)), (back, None)] {
                let changed = format!("UPDATE {table} SET {set} WHERE id = {literal}");
                assert_eq!(db.execute_unprepared(&changed).await.unwrap().rows_affected(), 1);
                let wrong = app.audit().await.wrong;
                let ends = wrong.as_ref().zip(expected).map(|(wrong, words)| wrong.ends_with(words));
                assert_eq!(
                    (wrong.is_some(), ends),
                    (expected.is_some(), expected.map(|_| true)),
                    "{set}: {wrong:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn altered_amounts_whose_sum_exceeds_64_bits_are_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        some_history(&app).await;
        let db = intruder(&app).await;
        for change in [
            "UPDATE ledger_transfer SET amount = 9223372036854775807",
            "UPDATE ledger_release SET amount = 9223372036854775807",
            "UPDATE ledger_hold SET amount = 9223372036854775807, purpose_id = (SELECT purpose_id FROM ledger_hold \
                ORDER BY id LIMIT 1)",
            "DELETE FROM ledger_release",
            "UPDATE fill SET quantity = 9223372036854775807, amount = 9223372036854775807, settled_at = NULL",
        ] {
            db.execute_unprepared(change).await.unwrap();
            let wrong = app.audit().await.wrong.unwrap();
            assert!(wrong.starts_with("ledger_"), "{change}: {wrong}");
        }
    }
}

/// A hold is a row and a part of the balance of its ledger account. If both are altered alike, only what the order
/// needs reveals it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_hold_of_an_open_order_is_detected() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        let customer = some_history(&app).await;
        let mut ids = Vec::new();
        for (key, side, price) in [("ob", "BUY", "90.00"), ("os", "SELL", "110.00")] {
            let mut order = customer.order(key, side, "VTI", "2");
            order["type"] = json!("LIMIT");
            order["limitPrice"] = json!({ "amount": price });
            let placed = app.gql(ORDER_PLACE, json!({ "input": order })).await;
            ids.push(placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned());
        }
        app.gql(TICK, json!({})).await.data();
        assert_eq!(app.audit().await.wrong, None);
        let db = intruder(&app).await;
        for (id, held, by, words) in [
            (&ids[0], 18_000, -1, "holds 179.99, but its open part needs 180.00"),
            (&ids[1], 200_000_000, -1, "holds 1.99999999 shares, but 2 are open"),
            (&ids[1], 200_000_000, 1, "holds 2.00000001 shares, but 2 are open"),
        ] {
            let literal = if db.get_database_backend() == DbBackend::Postgres {
                format!("'{id}'")
            } else {
                format!("x'{}'", id.replace('-', ""))
            };
            let alter = async |by: i64| {
                for change in [
                    format!(
                        "UPDATE ledger_account SET held = held + {by} WHERE id = (SELECT account_id FROM \
                         ledger_hold WHERE purpose_id = {literal})"
                    ),
                    format!("UPDATE ledger_hold SET amount = amount + {by} WHERE purpose_id = {literal}"),
                ] {
                    assert_eq!(db.execute_unprepared(&change).await.unwrap().rows_affected(), 1, "{change}");
                }
            };
            let text = format!("SELECT amount FROM ledger_hold WHERE purpose_id = {literal}");
            let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await;
            assert_eq!(row.unwrap().unwrap().try_get::<i64>("", "amount").unwrap(), held);
            alter(by).await;
            assert_eq!(app.audit().await.wrong, Some(format!("order {id} {words}")));
            let output = process::run(&app.database_url, &["audit"]);
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(printed.ends_with(&format!("\nWRONG: order {id} {words}\n")), "{printed}");
            assert_eq!(output.status.code(), Some(1));
            alter(-by).await;
            assert_eq!(app.audit().await.wrong, None);
        }
    }
}
