//! Instruments in memory.

use crate::support::{TestApp, on_both};
use domain::{
    kernel::ids::Ids,
    trading::instruments::{self, NewInstrument},
};
use sea_orm::ConnectionTrait;
use std::time::Duration;

fn named(symbol: &str, name: &str) -> Vec<NewInstrument> {
    let mut new = instruments::built_in().remove(0);
    (new.symbol, new.name) = (symbol.to_owned(), name.to_owned());
    vec![new]
}

async fn name(app: &TestApp, symbol: &str) -> Option<String> {
    instruments::by_symbol(&app.app, None, symbol).await.unwrap().map(|found| found.name.clone())
}

on_both! {
    async fn instruments_are_read_without_a_statement_and_at_most_a_second_old(app: TestApp) {
        let monotonic = &app.app.monotonic;
        monotonic.advance(Duration::from_secs(1));
        monotonic.stop();
        let vti = instruments::by_symbol(&app.app, None, " vti ").await.unwrap().unwrap();
        app.statements.lock().unwrap().clear();
        for _ in 0..100 {
            let same = instruments::by_id(&app.app, vti.id).await.unwrap().unwrap();
            assert_eq!((same.symbol.as_str(), &same), ("VTI", &vti));
        }
        let about = |sql: &String| sql.contains("instrument") || sql.contains("meta");
        assert_eq!(app.statements.lock().unwrap().iter().filter(|sql| about(sql)).count(), 0);

        instruments::import(&app.app.db, Ids, named("VTI", "Changed")).await.unwrap();
        instruments::import(&app.app.db, Ids, named("NEW", "New")).await.unwrap();
        assert_eq!(name(&app, "VTI").await.as_deref(), Some("Vanguard Total Stock Market ETF"));
        // What is not in memory is looked up.
        assert_eq!(name(&app, "NEW").await.as_deref(), Some("New"));
        assert_eq!(name(&app, "NONE").await, None);
        instruments::import(&app.app.db, Ids, named("VTI", "Changed again")).await.unwrap();
        // From half a second on they are checked in the background.
        monotonic.advance(Duration::from_millis(499));
        assert_eq!(name(&app, "VTI").await.as_deref(), Some("Changed"));
        monotonic.advance(Duration::from_millis(501));
        app.statements.lock().unwrap().clear();
        assert_eq!(name(&app, "VTI").await.as_deref(), Some("Changed again"));
        // The version, the instruments, and their symbols since symbol changes.
        assert_eq!(app.statements.lock().unwrap().iter().filter(|sql| about(sql)).count(), 3);

        // Without a new version, a check is one statement.
        monotonic.advance(Duration::from_secs(1));
        instruments::import(&app.app.db, Ids, named("VTI", "Changed again")).await.unwrap();
        app.statements.lock().unwrap().clear();
        assert_eq!(name(&app, "VTI").await.as_deref(), Some("Changed again"));
        assert_eq!(app.statements.lock().unwrap().iter().filter(|sql| about(sql)).count(), 1);
    }

    async fn a_database_that_does_not_answer_does_not_block_readers(app: TestApp) {
        assert!(name(&app, "VTI").await.is_some());
        app.app.monotonic.advance(Duration::from_secs(2));
        let mut held = Vec::new();
        for _ in 0..4 {
            let reader = domain::kernel::db::Reader::snapshot(app.app.db.clone());
            reader.connection().await.unwrap().execute_unprepared("SELECT 1").await.unwrap();
            held.push(reader);
        }
        assert!(name(&app, "VTI").await.is_some());
        drop(held);
    }
}
