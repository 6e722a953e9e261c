//! Counts the SQL statements of a query: one for each type of object, however many objects there are.

use crate::support::{
    ACCOUNT_OPEN, DEPOSIT_CREATE, ORDER_PLACE, TestApp, cash_account, on_both, reads, send,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::{Value, json};

const NESTED: &str = "query($n: Int!) { users(first: $n) { edges { node { id firstName accounts(first: 5) { \
    edges { node { id number
    orders(first: 5) { edges { node { id quantity status instrument { id symbol name } } } } } } } } } } }";

const APPLY: &str = "mutation($input: CorporateActionApplyInput!) { corporateActionApply(input: $input) { \
    corporateAction { id } userErrors { message } } }";

/// Creates twenty users with one account each and one or two orders per account; returns the user ids.
async fn twenty_users(app: &TestApp) -> Vec<String> {
    let mut customers = Vec::new();
    for turn in 0..20 {
        let customer = app.customer(&format!("Ada{turn}")).await;
        let customer = (customer, turn);
        let deposit =
            app.gql(DEPOSIT_CREATE, json!({ "input": customer.0.deposit(&format!("d{turn}"), "500") })).await;
        deposit.entity("depositCreate", "transfer");
        customers.push(customer.0);
    }
    app.advance_to("2026-07-10T15:00:00Z").await;
    for (turn, customer) in customers.iter().enumerate() {
        for (number, symbol) in ["VTI", "KO"].iter().take(1 + turn % 2).enumerate() {
            let order = customer.order(&format!("o{turn}-{number}"), "BUY", symbol, "0.1");
            app.gql(ORDER_PLACE, json!({ "input": order })).await.entity("orderPlace", "order");
        }
    }
    app.ended(&last_order(app).await).await;
    customers.into_iter().map(|customer| customer.user_id).collect()
}

async fn last_order(app: &TestApp) -> String {
    let orders = app.gql("{ orders(first: 1) { edges { node { id } } } }", json!({})).await;
    orders.data()["orders"]["edges"][0]["node"]["id"].as_str().unwrap().to_owned()
}

/// Runs a query and returns its data and the statements that it ran on the read pool. A key is looked up at
/// most once a second, so another request comes first to cache it.
async fn run_query(app: &TestApp, query: &str, variables: Value) -> (Value, Vec<String>) {
    for _ in 0..20 {
        app.gql("{ marketClock { isOpen } }", json!({})).await.data();
        app.statements.lock().unwrap().clear();
        let data = app.gql(query, variables.clone()).await.data().clone();
        let statements = app.statements.lock().unwrap().clone();
        // The sequencer, the timers, the screening and the keys use the same pool; their statements do not
        // count.
        let of_query: Vec<String> = statements.into_iter().filter(|sql| !is_background(sql)).collect();
        if of_query.iter().all(|sql| !sql.contains("api_key")) {
            return (data, of_query);
        }
    }
    panic!("the key was looked up in every attempt");
}

pub fn is_background(sql: &str) -> bool {
    ["event", "chain_head", "audit_log", "timer", "data_key", "meta", "partner", "screening_run"]
        .iter()
        .any(|table| reads(sql, table))
        || sql.starts_with("SELECT waiting.partner_id")
}

fn count_selects(statements: &[String]) -> usize {
    statements.iter().filter(|sql| sql.trim_start().to_uppercase().starts_with("SELECT")).count()
}

on_both! {
    async fn a_nested_query_runs_one_statement_per_level(app: TestApp) {
        let users = twenty_users(&app).await;
        for (n, orders) in [(1, 2), (5, 8), (20, 30)] {
            let (data, statements) = run_query(&app, NESTED, json!({ "n": n })).await;
            let people = data["users"]["edges"].as_array().unwrap();
            let counted: usize = people
                .iter()
                .map(|user| {
                    user["node"]["accounts"]["edges"][0]["node"]["orders"]["edges"].as_array().unwrap().len()
                })
                .sum();
            assert_eq!((people.len(), counted), (n, orders));
            assert_eq!(count_selects(&statements), 3, "{n}: {statements:#?}");
            assert!(statements.iter().all(|sql| !sql.to_uppercase().contains("COUNT(")), "{statements:#?}");
            assert!(statements.iter().all(|sql| !sql.to_uppercase().contains("OFFSET")), "{statements:#?}");
        }
        assert_eq!(users.len(), 20);
    }

    async fn the_orders_of_many_fills_are_read_in_one_statement(app: TestApp) {
        twenty_users(&app).await;
        let query = "query($n: Int!) { orders(first: $n) { edges { node { id fills(first: 1) { edges { node { \
            side order { id } account { id } instrument { symbol } } } } } } } }";
        for n in [1, 30] {
            let (data, statements) = run_query(&app, query, json!({ "n": n })).await;
            let orders = data["orders"]["edges"].as_array().unwrap();
            let own = orders.iter().filter(|edge| {
                let fill = &edge["node"]["fills"]["edges"][0]["node"];
                fill["order"]["id"] == edge["node"]["id"] && fill["instrument"]["symbol"].is_string()
            });
            assert_eq!((orders.len(), own.count()), (n, n));
            // The orders, their fills, and the orders and accounts of the fills; instruments are in memory.
            assert_eq!(count_selects(&statements), 4, "{n}: {statements:#?}");
        }
    }

    async fn the_entitlements_of_many_corporate_actions_are_read_in_one_statement(app: TestApp) {
        twenty_users(&app).await;
        for (symbol, per_share) in [("VTI", "0.10"), ("KO", "0.20"), ("VTI", "0.30")] {
            let terms = json!({ "cashDividend": { "perShare": { "amount": per_share }, "payOn": "2026-07-20" } });
            let input =
                json!({ "idempotencyKey": per_share, "symbol": symbol, "exOn": "2026-07-15", "terms": terms });
            app.gql(APPLY, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
        }
        app.advance_to("2026-07-15T15:00:00Z").await;
        let query = "query($n: Int!) { instruments(first: $n, orderBy: { field: SYMBOL, direction: DESC }) { edges { \
            node { symbol corporateActions(first: 2) { edges { node { perShare { amount } entitlements(first: 3) { \
            edges { node { quantity account { number } } } pageInfo { hasNextPage } } } } } } } } }";
        let holders = |action: &Value| {
            let entitlements = &action["node"]["entitlements"];
            let own = entitlements["edges"].as_array().unwrap();
            assert!(own.iter().all(|edge| edge["node"]["account"]["number"].is_string()));
            let more = entitlements["pageInfo"]["hasNextPage"] == true;
            (action["node"]["perShare"]["amount"].as_str().unwrap().to_owned(), own.len(), more)
        };
        for n in [2, 34] {
            let (data, statements) = run_query(&app, query, json!({ "n": n })).await;
            let found: Vec<_> = data["instruments"]["edges"]
                .as_array()
                .unwrap()
                .iter()
                .map(|edge| &edge["node"])
                .flat_map(|node| node["corporateActions"]["edges"].as_array().unwrap().iter().map(holders))
                .map(|(amount, holders, more)| format!("{amount} {holders} {more}"))
                .collect();
            let expected = ["0.30 3 true", "0.10 3 true", "0.20 3 true"];
            assert_eq!(found, expected[..if n == 2 { 0 } else { 3 }], "{n}");
            // The instruments, their actions, and if there are some, entitlements and accounts.
            assert_eq!(count_selects(&statements), if n == 2 { 2 } else { 4 }, "{n}: {statements:#?}");
        }
    }

    async fn a_list_is_filtered_by_symbol_without_reading_instruments(app: TestApp) {
        twenty_users(&app).await;
        let query = "{ orders(first: 3, filter: { symbol: \"ko\" }) { edges { node { instrument { symbol } } } }
            fills(first: 4, filter: { symbol: \"KO\" }) { edges { node { instrument { symbol } } } }
            corporateActions(first: 1, filter: { symbol: \"KO\" }) { edges { node { id } } }
            accounts(first: 2) { edges { node { orders(first: 1, filter: { symbol: \"VTI\" }) { edges { node { id } } }
            taxLots(first: 1, filter: { symbol: \"VTI\" }) { edges { node { id } } } } } }
            none: orders(first: 3, filter: { symbol: \"NONE\" }) { edges { node { id } } } }";
        let (data, statements) = run_query(&app, query, json!({})).await;
        let found = |list: &Value| list["edges"].as_array().unwrap().len();
        assert_eq!([found(&data["orders"]), found(&data["fills"]), found(&data["none"])], [3, 4, 0]);
        for list in ["orders", "fills"] {
            for edge in data[list]["edges"].as_array().unwrap() {
                assert_eq!(edge["node"]["instrument"]["symbol"], "KO");
            }
        }
        for account in data["accounts"]["edges"].as_array().unwrap() {
            assert_eq!([found(&account["node"]["orders"]), found(&account["node"]["taxLots"])], [1, 1]);
        }
        let about = |sql: &&String| sql.contains("partner_symbol") || sql.replace('"', "").contains("FROM instrument");
        assert_eq!(statements.iter().find(about), None);
    }

    async fn recording_a_corporate_action_reads_only_open_orders_of_its_instrument(app: TestApp) {
        twenty_users(&app).await;
        let input = json!({ "idempotencyKey": "1", "symbol": "VTI", "exOn": "2026-07-15",
            "terms": { "cashDividend": { "perShare": { "amount": "0.10" }, "payOn": "2026-07-20" } } });
        app.gql(APPLY, json!({ "input": input })).await.entity("corporateActionApply", "corporateAction");
        app.written.lock().unwrap().clear();
        app.advance_to("2026-07-15T15:00:00Z").await;
        let written = app.written.lock().unwrap().clone();
        let read = |table: &str| {
            let start = format!("SELECT \"{table}\".\"account_id\"");
            written.iter().filter(|sql| sql.starts_with(&start)).cloned().collect::<Vec<_>>()
        };
        let expected = ["orders_accepted", "orders_open", "position_of_instrument"];
        let found = [read("orders"), read("position")].concat();
        assert_eq!(found.len(), expected.len(), "{written:#?}");
        for (sql, index) in found.iter().zip(expected) {
            let plan = plan(&app, sql).await;
            assert!(plan.iter().any(|step| step.contains(index)), "{sql} {plan:#?}");
        }
    }

    async fn a_query_by_id_runs_one_statement(app: TestApp) {
        let ada = app.customer("Ada").await;
        let leaves = "query($id: ID!) { user(id: $id) { id firstName lastName email status \
            createdAt address { city } } }";
        let (data, statements) = run_query(&app, leaves, json!({ "id": ada.user_id })).await;
        assert_eq!((&data["user"]["firstName"], statements.len()), (&json!("Ada"), 1), "{statements:#?}");
        let (data, statements) =
            run_query(&app, "query($id: ID!) { user(id: $id) { id } }", json!({ "id": "nope" })).await;
        assert_eq!(data["user"], json!(null));
        assert!(statements.len() <= 1, "{statements:#?}");
    }

    async fn the_verified_phones_of_many_users_are_read_in_one_statement(app: TestApp) {
        for turn in 0..3 {
            app.customer(&format!("Ada{turn}")).await;
        }
        let query = "query($n: Int!) { users(first: $n) { edges { node { phoneLast4 twoFactorMethods } } } }";
        for n in [1, 3] {
            let (data, statements) = run_query(&app, query, json!({ "n": n })).await;
            assert_eq!(data["users"]["edges"].as_array().unwrap().len(), n);
            // The users and their second factors.
            assert_eq!(count_selects(&statements), 2, "{n}: {statements:#?}");
        }
    }

    async fn an_object_requested_several_times_is_read_once(app: TestApp) {
        let users = twenty_users(&app).await;
        let query =
            "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on User { firstName kyc { outcome } } } }";
        let mut ids = users.clone();
        ids.extend(users);
        let (data, statements) = run_query(&app, query, json!({ "ids": ids })).await;
        assert_eq!(data["nodes"].as_array().unwrap().len(), 40);
        assert_eq!(count_selects(&statements), 2, "{statements:#?}");
    }

    async fn the_owners_of_many_accounts_are_read_in_one_statement(app: TestApp) {
        let pairs = [1, 12];
        let mut opened = 0;
        for pairs in pairs {
            while opened < pairs {
                let owner = app.customer(&format!("Ada{opened}")).await.user_id;
                let member = json!({ "person": { "firstName": "Marry", "lastName": "Doe",
                    "email": "marry@example.com" } });
                let mut account = cash_account(&owner);
                (account["ownership"], account["jointMember"]) = (json!("JOINT"), member);
                app.gql(ACCOUNT_OPEN, json!({ "input": account })).await.entity("accountOpen", "account");
                opened += 1;
            }
            let query = "query($n: Int!) { accounts(first: $n) { edges { node { owner { id firstName \
                defaultBankAccount { id } } jointMember { id
                accounts(first: 2) { edges { role node { number } } } bankAccounts(first: 2) { edges { node \
                { id } } } } } } } }";
            let (data, statements) = run_query(&app, query, json!({ "n": 2 * pairs })).await;
            let accounts = data["accounts"]["edges"].as_array().unwrap();
            let shared = accounts.iter().filter(|edge| {
                let edges = &edge["node"]["jointMember"]["accounts"]["edges"];
                edges[0]["node"]["number"].is_string() && edges[0]["role"] == "JOINT_OWNER"
            });
            assert_eq!((accounts.len(), shared.count()), (2 * pairs, pairs));
            // The accounts, their users, and the users' default bank accounts, accounts and bank
            // accounts.
            assert_eq!(count_selects(&statements), 5, "{pairs}: {statements:#?}");

            let first = data["accounts"]["edges"][0]["node"]["owner"]["id"].as_str().unwrap().to_owned();
            app.statements.lock().unwrap().clear();
            let listed = app.get(&format!("/v1/users/{first}/accounts")).await;
            assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
            let statements: Vec<String> =
                app.statements.lock().unwrap().iter().filter(|sql| !is_background(sql)).cloned().collect();
            let about = |table: &str| statements.iter().filter(|sql| reads(sql, table)).count();
            assert_eq!(["users", "kyc", "account"].map(about), [2, 1, 1], "{statements:#?}");
        }
    }

    async fn listing_a_users_accounts_reads_only_that_users_accounts(app: TestApp) {
        let ada = app.customer("Ada").await;
        let person = app.person("ada@example.com", "2025550107").await;
        for (path, key) in [
            (format!("/v1/users/{}/accounts", ada.user_id), &app.key),
            (format!("/v1/users/{}/accounts", person.user_id), &person.access),
        ] {
            app.statements.lock().unwrap().clear();
            let listed = send(app.anonymous("GET", &path).bearer_auth(key)).await;
            assert_eq!(listed.status, 200);
            let statements = app.statements.lock().unwrap().clone();
            let list = statements.iter().find(|sql| reads(sql, "account")).unwrap();
            let plan = plan(&app, list).await;
            assert!(
                ["account_of_user", "account_of_joint_member"]
                    .iter()
                    .all(|index| plan.iter().any(|step| step.contains(index))),
                "{plan:#?}"
            );
            assert!(
                !plan.iter().any(|step| step.contains("SCAN account")
                    || step.ends_with("account_of_partner (partner_id=?)")),
                "{plan:#?}"
            );
        }
    }

    async fn listing_users_reads_one_range_of_one_index(app: TestApp) {
        let mut people = Vec::new();
        for turn in 0..3 {
            people.push(app.customer(&format!("Ada{turn}")).await.user_id);
        }
        for path in [
            "/v1/users",
            "/v1/users?order=asc&limit=100",
            &format!("/v1/users?starting_after={}", people[2]),
            &format!("/v1/users?ending_before={}", people[0]),
        ] {
            app.statements.lock().unwrap().clear();
            assert_eq!(app.get(path).await.status, 200);
            let statements = app.statements.lock().unwrap().clone();
            let lists: Vec<&String> = statements
                .iter()
                .filter(|sql| reads(sql, "users") && sql.contains("ORDER BY"))
                .collect();
            assert_eq!(lists.len(), 1, "{path} {statements:#?}");
            let plan = plan(&app, lists[0]).await;
            let read = plan.iter().filter(|step| step.contains("users_of_partner")).count();
            let whole = plan.iter().any(|step| {
                ["Seq Scan", "Sort", "SCAN users", "TEMP B-TREE"].iter().any(|word| step.contains(word))
            });
            assert!(read == 1 && !whole, "{path} {plan:#?}");
        }
    }
}

/// Returns the query plan that the database would use for a statement if its tables were large.
async fn plan(app: &TestApp, sql: &str) -> Vec<String> {
    let connection = app.app.db.for_migrations();
    let backend = app.app.db.backend();
    let tx = connection.begin().await.unwrap();
    let explained = if backend == DbBackend::Postgres {
        let values = (1..20).take_while(|number| sql.contains(&format!("${number}"))).count();
        for first in [
            "SET LOCAL plan_cache_mode = force_generic_plan",
            "SET LOCAL enable_seqscan = off",
            "SET LOCAL enable_bitmapscan = off",
        ] {
            tx.execute_unprepared(first).await.unwrap();
        }
        tx.execute_unprepared(&format!("PREPARE listed AS {sql}")).await.unwrap();
        format!("EXPLAIN EXECUTE listed({})", vec!["NULL"; values].join(", "))
    } else {
        format!("EXPLAIN QUERY PLAN {sql}")
    };
    let rows = tx.query_all_raw(Statement::from_string(backend, explained)).await.unwrap();
    let column = if backend == DbBackend::Postgres { "QUERY PLAN" } else { "detail" };
    if backend == DbBackend::Postgres {
        tx.execute_unprepared("DEALLOCATE listed").await.unwrap();
    }
    rows.iter().map(|row| row.try_get("", column).unwrap()).collect()
}
