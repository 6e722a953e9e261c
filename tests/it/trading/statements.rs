//! Number of statements of a market order, from the request to the sealed fill.

use crate::support::{Customer, Options, TestApp};
use domain::kernel::{scheduler, sequencer};
use sea_orm::DbBackend;
use serde_json::json;

/// Does not ask for the instrument.
const PLACE: &str = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { order { id status quantity \
    submittedAt } userErrors { message } } }";

/// Everything that both pools have run since the last call, except what servers run five times a second. BEGIN and
/// COMMIT are not announced.
fn taken(app: &TestApp) -> Vec<String> {
    let read = std::mem::take(&mut *app.statements.lock().unwrap());
    let written = std::mem::take(&mut *app.written.lock().unwrap());
    let counted = |sql: &String| !sql.starts_with("SELECT waiting.partner_id");
    read.into_iter().chain(written).filter(counted).collect()
}

/// Places an order without background work, and returns the statements of its acceptance, of its sealing, of its
/// fill and of the second sealing.
async fn whole_order(app: &TestApp, customer: &Customer, key: &str) -> [Vec<String>; 4] {
    // The key and the instruments are looked up once a second.
    app.gql("{ marketClock { isOpen } }", json!({})).await.data();
    domain::trading::instruments::current(&app.app).await.unwrap();
    let seal = async || sequencer::seal_all(&app.app.db, &app.app.feed, &app.app.vault).await.unwrap();
    seal().await;
    taken(app);
    let order = app.gql(PLACE, json!({ "input": customer.order(key, "BUY", "VTI", "1") })).await;
    order.entity("orderPlace", "order");
    let placed = taken(app);
    seal().await;
    let sealed = taken(app);
    assert!(!scheduler::run_due(&app.app).await.unwrap());
    let filled = taken(app);
    seal().await;
    let id = order.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
    let again = taken(app);
    assert_eq!(app.ended(&id).await["status"], "FILLED");
    [placed, sealed, filled, again]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_market_order_takes_at_most_twenty_statements() {
    let options = Options { without_timers: true, without_sequencer: true, ..Options::default() };
    for app in TestApp::each_with(options).await {
        app.app.monotonic.stop();
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        // The first purchase of an instrument opens the ledger accounts of its shares.
        let first = whole_order(&app, &customer, "first").await;
        let second = whole_order(&app, &customer, "second").await;
        let count = |parts: &[Vec<String>; 4]| parts.each_ref().map(Vec::len);
        let expected = if app.app.db.backend() == DbBackend::Postgres {
            [[5, 3, 9, 3], [5, 3, 8, 3]]
        } else {
            [[5, 2, 9, 2], [5, 2, 8, 2]]
        };
        assert_eq!([count(&first), count(&second)], expected, "{first:#?} {second:#?}");
        assert!(expected.iter().all(|parts| parts.iter().sum::<usize>() <= 20));
        assert_eq!(app.audit().await.wrong, None);
    }
}
