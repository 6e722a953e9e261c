//! Lists of the REST API: the envelope, paging, and the number of statements.

use crate::support::{Answer, TestApp, on_both, reads, send};
use domain::Scope;
use entity::audit_log;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

async fn person(app: &TestApp, first_name: &str) -> String {
    let body = json!({
        "first_name": first_name, "last_name": "Carter", "email_address": "ada@example.com",
        "birth_date": "1985-01-23",
        "phone_number": "(202) 555-0107", "ssn_number": "123456789", "address_line_1": "1 Own St",
        "address_line_2": "Apt 2",
        "address_city": "Richmond", "address_state": "VA", "address_postal_code": "23220",
        "address_country_code": "US",
    });
    id_of(&app.post("/v1/users", body).await)
}

async fn bank_account(app: &TestApp, user: &str, number: &str) -> String {
    let body = json!({ "bank_account_number": number, "bank_routing_number": "121042882",
        "bank_account_nickname": "Joe checking" });
    id_of(&app.post(&format!("/v1/users/{user}/bank_accounts"), body).await)
}

#[track_caller]
fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Requests a path and returns the body and the number of statements about these tables on the read pool.
async fn count_statements(app: &TestApp, path: &str, tables: &[&str]) -> (Value, usize) {
    app.statements.lock().unwrap().clear();
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path} {}", answer.body);
    let statements = app.statements.lock().unwrap().clone();
    let about = |sql: &&String| tables.iter().any(|table| reads(sql, table));
    (answer.body, statements.iter().filter(about).count())
}

/// Reads a list of seven with every combination of parameters; `created` are its ids, oldest first.
async fn check_paging(app: &TestApp, path: &str, created: &[String], elsewhere: &str, what: &str) {
    let newest: Vec<String> = created.iter().rev().cloned().collect();
    let pagination = |requested: Value, previous: Option<String>, next: Option<String>| {
        let uri = |link: &Option<String>| link.as_ref().map(|link| format!("{}{link}", app.url));
        let mut all = json!({
            "ending_before": null, "starting_after": null, "limit": 25, "order": "desc",
            "previous_uri": uri(&previous), "next_uri": uri(&next), "previous_page": previous, "next_page": next,
        });
        all.as_object_mut().unwrap().extend(requested.as_object().unwrap().clone());
        all
    };
    let whole = app.get(path).await;
    assert_eq!(whole.body["pagination"], pagination(json!({}), None, None));
    assert_eq!(ids(&whole.body), newest);
    let oldest = app.get(&format!("{path}/?order=asc&limit=100")).await;
    assert_eq!(oldest.body["pagination"], pagination(json!({ "order": "asc", "limit": 100 }), None, None));
    assert_eq!(ids(&oldest.body), created);

    let first = app.get(&format!("{path}?limit=3")).await.body;
    let next = format!("{path}?limit=3&order=desc&starting_after={}", newest[2]);
    assert_eq!(first["pagination"], pagination(json!({ "limit": 3 }), None, Some(next.clone())));
    let second = app.get(&next).await.body;
    let previous = format!("{path}?limit=3&order=desc&ending_before={}", newest[3]);
    let third = format!("{path}?limit=3&order=desc&starting_after={}", newest[5]);
    let told = pagination(
        json!({ "limit": 3, "starting_after": newest[2] }),
        Some(previous.clone()),
        Some(third.clone()),
    );
    assert_eq!((&second["pagination"], ids(&second).as_slice()), (&told, &newest[3..6]));
    let last = app.get(&third).await.body;
    let back = format!("{path}?limit=3&order=desc&ending_before={}", newest[6]);
    let told = pagination(json!({ "limit": 3, "starting_after": newest[5] }), Some(back), None);
    assert_eq!((&last["pagination"], ids(&last).as_slice()), (&told, &newest[6..]));
    let again = app.get(&previous).await.body;
    let told = pagination(json!({ "limit": 3, "ending_before": newest[3] }), None, Some(next));
    assert_eq!((&again["pagination"], ids(&again).as_slice()), (&told, &newest[..3]));

    let rising = app.get(&format!("{path}?order=asc&limit=2&starting_after={}", created[1])).await.body;
    let link = |cursor: &str, id: &str| Some(format!("{path}?limit=2&order=asc&{cursor}={id}"));
    let told = pagination(
        json!({ "order": "asc", "limit": 2, "starting_after": created[1] }),
        link("ending_before", &created[2]),
        link("starting_after", &created[3]),
    );
    assert_eq!((&rising["pagination"], ids(&rising).as_slice()), (&told, &created[2..4]));
    let none = app.get(&format!("{path}?limit=0")).await.body;
    assert_eq!(none, json!({ "pagination": pagination(json!({ "limit": 0 }), None, None), "data": [] }));

    for (parameters, message) in [
        ("limit=101", "limit must be a whole number from 0 to 100".to_owned()),
        ("limit=-1", "limit must be a whole number from 0 to 100".to_owned()),
        ("limit=", "limit must be a whole number from 0 to 100".to_owned()),
        ("limit=%2B5", "limit must be a whole number from 0 to 100".to_owned()),
        ("limit=5%00", "limit must be a whole number from 0 to 100".to_owned()),
        ("order=", "order must be asc or desc".to_owned()),
        ("starting_after=%00", format!("starting_after does not match any {what} in this list")),
        ("limit=x", "limit must be a whole number from 0 to 100".to_owned()),
        ("order=newest", "order must be asc or desc".to_owned()),
        ("starting_after=nope", format!("starting_after does not match any {what} in this list")),
        (
            "ending_before=00000000-0000-7000-8000-000000000000",
            format!("ending_before does not match any {what} in this list"),
        ),
        (
            &format!("starting_after={elsewhere}"),
            format!("starting_after does not match any {what} in this list"),
        ),
        (
            &format!("starting_after={0}&ending_before={0}", created[0]),
            "ending_before cannot be combined with starting_after".to_owned(),
        ),
    ] {
        let refused = app.get(&format!("{path}?{parameters}")).await;
        let told = json!({ "error": { "type": "invalid_request", "message": message } });
        assert_eq!((refused.status, &refused.body), (400, &told), "{parameters}");
    }
    let unscoped = app.key_for(&[Scope::Manage]).await;
    let denied = send(app.anonymous("GET", &format!("{path}?limit=x")).bearer_auth(&unscoped)).await;
    let told = json!({ "error": { "type": "authentication_error",
        "message": "The credential lacks the scope `read`." } });
    assert_eq!(
        (denied.status, denied.body),
        (401, told),
        "a caller without the read scope gets no validation errors"
    );
}

async fn lines(app: &TestApp, operation: &str) -> Vec<Option<uuid::Uuid>> {
    let lines = audit_log::Entity::find()
        .filter(audit_log::Column::Operation.eq(operation))
        .order_by_asc(audit_log::Column::Id)
        .all(&app.app.db.read)
        .await
        .unwrap();
    assert!(lines.iter().all(|line| line.decision == "done"));
    lines.into_iter().map(|line| line.object_id).collect()
}

on_both! {
    async fn a_partner_lists_its_users(app: TestApp) {
        let mut created = Vec::new();
        for turn in 0..7 {
            created.push(person(&app, &format!("Ada{}", ["a", "b", "c", "d", "e", "f", "g"][turn])).await);
        }
        let (_, other) = app.other_partner("another").await;
        let theirs = app.customer_as(&other, "Eve").await;
        check_paging(&app, "/v1/users", &created, &theirs.user_id, "user").await;

        app.get("/v1/users").await;
        let before = lines(&app, "user.list").await.len();
        let (one, few) = count_statements(&app, "/v1/users?limit=1", &["users", "kyc"]).await;
        let (seven, many) = count_statements(&app, "/v1/users", &["users", "kyc"]).await;
        assert_eq!((few, many), (2, 2), "one statement for the users and one for their checks");
        assert_eq!(lines(&app, "user.list").await.split_off(before), [None, None]);
        let looked_up = app.get(&format!("/v1/users/{}", created[6])).await.body;
        let told = json!({
            "id": created[6], "status": "active", "kyc_token": looked_up["kyc_token"], "first_name": "Adag",
            "last_name": "Carter",
            "phone_number": "(202) 555-0107", "email_address": "ada@example.com",
            "address_line_1": "1 Own St", "address_line_2": "Apt 2",
            "address_city": "Richmond", "address_state": "VA", "address_postal_code": "23220",
            "address_country_code": "US",
        });
        assert_eq!(one["data"], json!([told]));
        assert!(told["kyc_token"].as_str().is_some_and(|token| token.starts_with("S-")));
        for (item, id) in seven["data"].as_array().unwrap().iter().zip(created.iter().rev()) {
            assert_eq!(item, &app.get(&format!("/v1/users/{id}")).await.body);
        }
        let others = send(app.anonymous("GET", "/v1/users").bearer_auth(&other)).await;
        assert_eq!(ids(&others.body), [theirs.user_id]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn bank_accounts_of_a_user_are_listed_with_their_numbers(app: TestApp) {
        let (ada, eve) = (person(&app, "Ada").await, person(&app, "Eve").await);
        let mut created = Vec::new();
        for turn in 0..7 {
            created.push(bank_account(&app, &ada, &format!("43278430{turn}")).await);
        }
        let eves = bank_account(&app, &eve, "99998888").await;
        let path = format!("/v1/users/{ada}/bank_accounts");
        check_paging(&app, &path, &created, &eves, "bank account").await;

        app.get(&path).await;
        let before = lines(&app, "bank_account.list").await.len();
        let (one, few) = count_statements(&app, &format!("{path}?limit=1"), &["users", "bank_account"]).await;
        let (_, many) = count_statements(&app, &path, &["users", "bank_account"]).await;
        assert_eq!((few, many), (2, 2), "one statement for the user and one for their bank accounts");
        assert_eq!(
            lines(&app, "bank_account.list").await.split_off(before),
            vec![Some(ada.parse().unwrap()); 2]
        );
        let told = json!({
            "id": created[6], "user_id": ada, "bank_account_number": "432784306",
            "bank_routing_number": "121042882", "default": false,
            "bank_account_nickname": "Joe checking",
        });
        assert_eq!(one["data"], json!([told]));

        let (_, other) = app.other_partner("another").await;
        for path in [path, "/v1/users/nope/bank_accounts".to_owned()] {
            let unseen = send(app.anonymous("GET", &path).bearer_auth(&other)).await;
            let told = json!({ "error": { "type": "not_found",
                "message": "user_id was not found" } });
            assert_eq!((unseen.status, unseen.body), (404, told), "{path}");
        }
    }

    async fn a_list_that_grows_while_paging_has_no_duplicates_or_gaps(app: TestApp) {
        let mut created = Vec::new();
        for name in ["Ann", "Bea", "Cleo", "Dora"] {
            created.push(person(&app, name).await);
        }
        let first = app.get("/v1/users?limit=2").await.body;
        person(&app, "Emma").await;
        let next =
            first["pagination"]["next_uri"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
        let second = app.get(&next).await.body;
        let seen: Vec<String> = [ids(&first), ids(&second)].concat();
        assert_eq!(seen, created.into_iter().rev().collect::<Vec<_>>());
        assert_eq!(second["pagination"]["next_page"], json!(null));
    }
}
