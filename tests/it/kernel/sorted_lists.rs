//! Root lists of the GraphQL API: their filters, sort orders and cursors.

use crate::support::{
    ACCOUNT_OPEN, Customer, ORDER_PLACE, TestApp, USER_CREATE, cash_account, on_both, person,
};
use serde_json::{Value, json};

/// Creates an approved user; returns the id.
async fn user(app: &TestApp, first_name: &str, last_name: &str, email: &str) -> String {
    let mut input = person(first_name, last_name);
    input["email"] = json!(email);
    let created = app.gql(USER_CREATE, json!({ "input": input })).await;
    created.entity("userCreate", "user")["id"].as_str().unwrap().to_owned()
}

/// Returns one field of the nodes of a list with these arguments, in order.
async fn listed(app: &TestApp, key: &str, list: &str, arguments: &str, field: &str) -> Vec<String> {
    let query = format!("{{ {list}({arguments}) {{ edges {{ node {{ {field} }} }} }} }}");
    let answer = app.gql_as(Some(key), &query, json!({})).await;
    let name = field.split_whitespace().next().unwrap();
    let text = |edge: &Value| edge["node"][name].as_str().unwrap().to_owned();
    answer.data()[list]["edges"].as_array().unwrap().iter().map(text).collect()
}

/// Reads a list page by page, forwards and backwards; returns one field of its nodes in the order of the list.
async fn paged(app: &TestApp, list: &str, order: &str, field: &str) -> Vec<String> {
    let whole = listed(app, &app.key, list, &format!("first: 100, {order}"), field).await;
    for (size, cursor, end) in [("first", "after", "endCursor"), ("last", "before", "startCursor")] {
        let (mut seen, mut at) = (Vec::new(), String::new());
        loop {
            let query = format!(
                "{{ {list}({size}: 2, {order} {at}) {{ edges {{ cursor node {{ {field} }} }} pageInfo {{ \
                 hasNextPage hasPreviousPage {end} }} }} }}"
            );
            let answer = app.gql(&query, json!({})).await;
            let page = &answer.data()[list];
            let edges = page["edges"].as_array().unwrap();
            let mut texts: Vec<_> =
                edges.iter().map(|edge| edge["node"][field].as_str().unwrap().to_owned()).collect();
            let more = if size == "first" { "hasNextPage" } else { "hasPreviousPage" };
            if size == "first" {
                assert_eq!(page["pageInfo"][end], edges.last().unwrap()["cursor"]);
                seen.append(&mut texts);
            } else {
                texts.append(&mut seen);
                seen = texts;
            }
            if page["pageInfo"][more] == false {
                break;
            }
            at = format!(", {cursor}: {}", page["pageInfo"][end]);
        }
        assert_eq!(seen, whole, "{list} {order} {size}");
    }
    whole
}

async fn order(app: &TestApp, customer: &Customer, key: &str, side: &str, symbol: &str) {
    let placed = app.gql(ORDER_PLACE, json!({ "input": customer.order(key, side, symbol, "1") })).await;
    app.ended(placed.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
}

on_both! {
    async fn users_are_filtered_and_sorted(app: TestApp) {
        let key = app.key.clone();
        for (first, last, email) in [
            ("Bea", "de Vries", "b@example.com"),
            ("Ada", "Carter", "Z@example.com"),
            ("Cid", "Carter", "c@example.com"),
            ("ada", "CARTER", "a@example.com"),
            ("Rita", "Review", "m@example.com"),
        ] {
            user(&app, first, last, email).await;
        }
        let emails = async |arguments: &str| listed(&app, &key, "users", arguments, "email").await;
        let all = ["m@example.com", "a@example.com", "c@example.com", "Z@example.com", "b@example.com"];
        assert_eq!(emails("first: 10").await, all, "newest first");
        let by = |field: &str, direction: &str| {
            format!("orderBy: {{ field: {field}, direction: {direction} }}")
        };
        let mut oldest = all;
        oldest.reverse();
        assert_eq!(paged(&app, "users", &by("CREATED_AT", "ASC"), "email").await, oldest);
        assert_eq!(
            paged(&app, "users", &by("EMAIL", "ASC"), "email").await,
            ["a@example.com", "b@example.com", "c@example.com", "m@example.com", "Z@example.com"]
        );
        // Equal names are sorted by the time of creation, in the same direction.
        assert_eq!(
            paged(&app, "users", &by("NAME", "ASC"), "email").await,
            ["Z@example.com", "a@example.com", "c@example.com", "b@example.com", "m@example.com"]
        );
        assert_eq!(
            paged(&app, "users", &by("NAME", "DESC"), "email").await,
            ["m@example.com", "b@example.com", "c@example.com", "a@example.com", "Z@example.com"]
        );
        for (filter, found) in [
            ("email: \" z@EXAMPLE.com\"", vec!["Z@example.com"]),
            ("email: \"z@example\"", vec![]),
            ("statuses: [DOCUMENTATION_REQUIRED]", vec!["m@example.com"]),
            ("statuses: [DENIED]", vec![]),
            ("statuses: []", all.to_vec()),
            ("name: \"cART\"", vec!["a@example.com", "c@example.com", "Z@example.com"]),
            ("name: \" ri\"", vec!["m@example.com"]),
            ("name: \"de  vri\"", vec!["b@example.com"]),
            ("name: \"%\"", vec![]),
            ("name: \"\\u0000\"", vec![]),
            ("email: \"\\u0000\"", vec![]),
            ("name: \"carter\", email: \"c@example.com\"", vec!["c@example.com"]),
            ("createdFrom: \"2020-01-01T00:00:00Z\"", all.to_vec()),
            ("createdBefore: \"2020-01-01T00:00:00Z\"", vec![]),
        ] {
            assert_eq!(emails(&format!("filter: {{ {filter} }}")).await, found, "{filter}");
        }
    }

    async fn accounts_are_filtered_and_sorted(app: TestApp) {
        let key = app.key.clone();
        let bea = app.customer("Bea").await;
        // A joint account needs another person: another social security number and address.
        let mut ada = person("Ada", "Carter");
        (ada["ssn"], ada["email"]) = (json!("123456780"), json!("ada@example.com"));
        let ada_id = app.gql(USER_CREATE, json!({ "input": ada })).await.entity("userCreate", "user")["id"].clone();
        let ada_id = ada_id.as_str().unwrap().to_owned();
        let open = async || {
            let opened = app.gql(ACCOUNT_OPEN, json!({ "input": cash_account(&ada_id) })).await;
            opened.entity("accountOpen", "account")["id"].as_str().unwrap().to_owned()
        };
        let first = open().await;
        let joint = json!({ "input": { "accountId": bea.account_id,
            "patch": { "ownership": "JOINT", "jointMember": { "userId": ada_id } } } });
        app.gql(crate::accounts::ACCOUNT_UPDATE, joint).await.entity("accountUpdate", "account");
        let second = open().await;
        let freeze = "mutation($id: ID!) { accountFreeze(input: { accountId: $id, reason: \"Test\" }) { \
            account { status } userErrors { code } } }";
        app.gql(freeze, json!({ "id": second })).await.entity("accountFreeze", "account");
        let ids = async |arguments: &str| listed(&app, &key, "accounts", arguments, "id").await;
        let all = [&second, &first, &bea.account_id];
        assert_eq!(ids("first: 10").await, all.map(Clone::clone));
        for (filter, found) in [
            ("statuses: [FROZEN]".to_owned(), vec![&second]),
            ("statuses: [ACTIVE]".to_owned(), vec![&first, &bea.account_id]),
            ("types: [CASH]".to_owned(), all.to_vec()),
            ("types: [INVESTMENT]".to_owned(), vec![]),
            (format!("userId: \"{ada_id}\""), all.to_vec()),
            (format!("userId: \"{}\"", bea.user_id), vec![&bea.account_id]),
            (format!("userId: \"{ada_id}\", statuses: [FROZEN]"), vec![&second]),
        ] {
            let found: Vec<String> = found.into_iter().cloned().collect();
            assert_eq!(ids(&format!("filter: {{ {filter} }}")).await, found, "{filter}");
        }
        let order = "orderBy: { field: NUMBER, direction: ASC }";
        let numbers = paged(&app, "accounts", order, "number").await;
        assert!(numbers.is_sorted() && numbers.len() == 3, "{numbers:?}");
        // A user of another partner does not exist.
        let (_, theirs) = app.other_partner("another").await;
        let other = app.customer_as(&theirs, "Cid").await;
        for id in [other.user_id.as_str(), first.as_str(), "nope"] {
            let query = format!("{{ accounts(filter: {{ userId: \"{id}\" }}) {{ edges {{ node {{ id }} }} }} }}");
            let answer = app.gql(&query, json!({})).await;
            assert_eq!((answer.error_code(), &answer.body["data"]["accounts"]), ("NOT_FOUND", &Value::Null));
        }
    }

    async fn orders_fills_and_transfers_are_filtered(app: TestApp) {
        let key = app.key.clone();
        let ada = app.funded_customer("Ada", "5000.00").await;
        app.advance_to("2026-07-10T16:00:00Z").await;
        order(&app, &ada, "1", "BUY", "KO").await;
        order(&app, &ada, "2", "BUY", "VTI").await;
        app.advance_to("2026-07-13T16:00:00Z").await;
        order(&app, &ada, "3", "SELL", "KO").await;
        let of = async |list: &str, filter: &str| {
            let arguments = format!("filter: {{ {filter} }}");
            listed(&app, &key, list, &arguments, "side instrument { symbol }").await.join(" ")
        };
        for list in ["orders", "fills"] {
            assert_eq!(of(list, "").await, "SELL BUY BUY");
            assert_eq!(of(list, "side: BUY").await, "BUY BUY");
            assert_eq!(of(list, "symbol: \"ko\"").await, "SELL BUY");
            assert_eq!(of(list, "symbol: \"ko\", side: BUY").await, "BUY");
            assert_eq!(of(list, "symbol: \"NOPE\"").await, "");
            assert_eq!(of(list, "symbol: \"\\u0000\"").await, "");
            assert_eq!(of(list, "symbol: \" vti \"").await, "BUY");
        }
        assert_eq!(of("orders", "statuses: [FILLED], side: SELL").await, "SELL");
        assert_eq!(of("orders", "statuses: [CANCELED]").await, "");
        for (list, time) in [("orders", "submitted"), ("fills", "traded")] {
            let from = format!("{time}From: \"2026-07-13T00:00:00Z\"");
            assert_eq!(of(list, &from).await, "SELL");
            assert_eq!(of(list, &format!("{time}Before: \"2026-07-13T00:00:00Z\"")).await, "BUY BUY");
        }
        // An account's own orders take the same filter.
        let nested = format!(
            "{{ account(id: \"{}\") {{ orders(filter: {{ symbol: \"KO\", side: SELL }}) {{ edges {{ node {{ \
             side }} }} }} transfers(filter: {{ direction: WITHDRAWAL }}) {{ edges {{ node {{ id }} }} }} }} }}",
            ada.account_id
        );
        assert_eq!(
            app.gql(&nested, json!({})).await.data()["account"],
            json!({ "orders": { "edges": [{ "node": { "side": "SELL" } }] }, "transfers": { "edges": [] } })
        );
        let transfers = async |arguments: &str| {
            let query =
                format!("{{ transfers({arguments}) {{ edges {{ node {{ status amount {{ amount }} }} }} }} }}");
            let answer = app.gql(&query, json!({})).await;
            let edges = answer.data()["transfers"]["edges"].as_array().unwrap().clone();
            edges.iter().map(|edge| edge["node"]["amount"]["amount"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        // Two of the same amount, which are sorted by time.
        for (key, amount) in [("b", "9.50"), ("c", "100.00"), ("d", "20.00"), ("e", "20.00")] {
            let input = json!({ "input": ada.deposit(key, amount) });
            app.gql(crate::support::DEPOSIT_CREATE, input).await.entity("depositCreate", "transfer");
        }
        assert_eq!(transfers("filter: { statuses: [PENDING] }").await, ["20.00", "20.00", "100.00", "9.50"]);
        assert_eq!(transfers("filter: { statuses: [SETTLED] }").await, ["5000.00"]);
        assert_eq!(
            transfers("orderBy: { field: AMOUNT, direction: DESC }").await,
            ["5000.00", "100.00", "20.00", "20.00", "9.50"]
        );
        for direction in ["ASC", "DESC"] {
            let order = format!("orderBy: {{ field: AMOUNT, direction: {direction} }}");
            assert_eq!(paged(&app, "transfers", &order, "id").await.len(), 5);
        }
        assert_eq!(
            transfers("orderBy: { field: AMOUNT, direction: ASC }, first: 2").await,
            ["9.50", "20.00"]
        );
    }

    async fn instruments_are_sorted_by_symbol(app: TestApp) {
        let symbols = paged(&app, "instruments", "orderBy: { field: SYMBOL, direction: ASC }", "symbol").await;
        assert!(symbols.is_sorted() && symbols.len() > 5, "{symbols:?}");
        assert_eq!(listed(&app, &app.key, "instruments", "first: 100", "symbol").await, symbols);
        let found = listed(&app, &app.key, "instruments", "filter: { search: \"vt\" }", "symbol").await;
        assert!(found.contains(&"VTI".to_owned()) && found.len() < symbols.len(), "{found:?}");
        for nothing in ["%", "\\u0000"] {
            let filter = format!("filter: {{ search: \"{nothing}\" }}");
            assert!(listed(&app, &app.key, "instruments", &filter, "symbol").await.is_empty());
        }
    }

    async fn a_cursor_of_another_order_or_list_is_refused(app: TestApp) {
        for name in ["Ada", "Bea"] {
            user(&app, name, "Carter", "a@example.com").await;
        }
        let cursor = async |order: &str| {
            let query = format!("{{ users(first: 1, {order}) {{ pageInfo {{ endCursor }} }} }}");
            app.gql(&query, json!({})).await.data()["users"]["pageInfo"]["endCursor"].clone()
        };
        let by_name = cursor("orderBy: { field: NAME, direction: ASC }").await;
        let by_time = cursor("orderBy: { field: CREATED_AT, direction: ASC }").await;
        let forged = ["WyJhIl0", "e30", "W1siZW1haWwiXSxbMV0sIngiXQ"];
        let wrong = [("EMAIL", by_name.clone()), ("NAME", by_time.clone()), ("CREATED_AT", by_name)];
        let wrong = wrong.into_iter().chain(forged.map(|cursor| ("EMAIL", json!(cursor))));
        for (field, cursor) in wrong {
            let query = format!(
                "{{ users(after: {cursor}, orderBy: {{ field: {field}, direction: ASC }}) {{ edges {{ cursor }} }} }}"
            );
            let answer = app.gql(&query, json!({})).await;
            assert_eq!(answer.error_code(), "BAD_USER_INPUT", "{field} {cursor}");
            let message = "after is not a cursor of this list";
            assert_eq!(answer.body["errors"][0]["message"], message, "{field} {cursor}");
        }
    }

    async fn pages_neither_repeat_nor_skip_when_a_name_changes(app: TestApp) {
        let mut ids = Vec::new();
        for name in ["Ada", "Bea", "Cid", "Dot"] {
            ids.push(user(&app, name, "Carter", "a@example.com").await);
        }
        let page = async |after: &Value| {
            let query = format!(
                "{{ users(first: 2, after: {after}, orderBy: {{ field: NAME, direction: ASC }}) {{ edges {{ \
                 node {{ firstName }} }} pageInfo {{ endCursor }} }} }}"
            );
            app.gql(&query, json!({})).await.data()["users"].clone()
        };
        let first = page(&Value::Null).await;
        // The last user of the page gets a name behind the others.
        let rename = "mutation($id: ID!) { userUpdate(input: { userId: $id, patch: { firstName: \"Zoe\" } }) { \
            user { id } userErrors { code } } }";
        app.gql(rename, json!({ "id": ids[1] })).await.entity("userUpdate", "user");
        let second = page(&first["pageInfo"]["endCursor"]).await;
        let names = |page: &Value| -> Vec<Value> {
            page["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["firstName"].clone()).collect()
        };
        assert_eq!(names(&first), [json!("Ada"), json!("Bea")]);
        assert_eq!(names(&second), [json!("Cid"), json!("Dot")]);
    }
}
