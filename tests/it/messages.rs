//! Mail and text messages: a sandbox's are read in its outbox.

use crate::support::{TestApp, on_both};
use coffer::{
    app::App,
    domain::{
        self, Scope,
        messages::{self, NewMessage},
    },
};
use entity::{
    message::{Channel, Purpose},
    partner::{self, Mode},
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use uuid::Uuid;

/// A mail with a passcode.
pub fn mail(to: &str, subject: &str, text: &str) -> NewMessage {
    let (to, subject, text) = (to.to_owned(), subject.to_owned(), text.to_owned());
    NewMessage { user_id: None, channel: Channel::Mail, purpose: Purpose::Passcode, to, subject, text, send_by: None }
}

fn sms(to: &str, text: &str) -> NewMessage {
    NewMessage { channel: Channel::Sms, ..mail(to, "", text) }
}

/// Posts a message in a transaction of its own, which a refusal rolls back.
pub async fn post(app: &App, partner: &partner::Model, new: NewMessage) -> domain::Result<Uuid> {
    let tx = app.db.write().await?;
    let id = messages::post(app, &tx, partner, new).await?;
    tx.commit().await?;
    Ok(id)
}

async fn live(app: &TestApp) -> partner::Model {
    domain::partners::named(&app.app, "live", Mode::Live).await.unwrap()
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    let read = &app.app.db.read;
    let counted = read.query_one_raw(Statement::from_string(read.get_database_backend(), format!("SELECT count(*) AS rows FROM {table}")));
    counted.await.unwrap().unwrap().try_get("", "rows").unwrap()
}

const OUTBOX: &str = "query($first: Int, $after: String, $to: String, $channel: MessageChannel) {
    sandboxOutbox(first: $first, after: $after, to: $to, channel: $channel) {
        edges { node { channel purpose to subject text createdAt } } pageInfo { hasNextPage endCursor } } }";

on_both! {
    async fn a_sandbox_reads_its_messages_in_the_outbox(app: TestApp) {
        post(&app.app, &app.partner, mail("Ada.Carter@example.com", "Your passcode", "It is 123456.")).await.unwrap();
        post(&app.app, &app.partner, sms("(202) 555-0107", "Your passcode is 654321.")).await.unwrap();
        post(&app.app, &app.partner, NewMessage { purpose: Purpose::Invitation, ..mail("bob@example.com", "Sign up", "Come in.") }).await.unwrap();
        let (another, _) = app.other_partner("another").await;
        post(&app.app, &another, mail("ada.carter@example.com", "Theirs", "Not yours.")).await.unwrap();

        let ada = json!({ "node": { "channel": "MAIL", "purpose": "PASSCODE", "to": "Ada.Carter@example.com", "subject": "Your passcode",
            "text": "It is 123456.", "createdAt": "2026-07-09T16:00:00Z" } });
        let phone = json!({ "node": { "channel": "SMS", "purpose": "PASSCODE", "to": "+12025550107", "subject": null,
            "text": "Your passcode is 654321.", "createdAt": "2026-07-09T16:00:00Z" } });
        let bob = json!({ "node": { "channel": "MAIL", "purpose": "INVITATION", "to": "bob@example.com", "subject": "Sign up",
            "text": "Come in.", "createdAt": "2026-07-09T16:00:00Z" } });
        for (variables, expected) in [
            (json!({}), json!([bob, phone, ada])),
            (json!({ "to": "ada.carter@EXAMPLE.com" }), json!([ada])),
            (json!({ "to": "202-555-0107" }), json!([phone])),
            (json!({ "to": "nobody@example.com" }), json!([])),
            (json!({ "channel": "MAIL" }), json!([bob, ada])),
            (json!({ "channel": "SMS" }), json!([phone])),
            (json!({ "channel": "SMS", "to": "bob@example.com" }), json!([])),
        ] {
            assert_eq!(app.gql(OUTBOX, variables.clone()).await.data()["sandboxOutbox"]["edges"], expected, "{variables}");
        }
        let page = app.gql(OUTBOX, json!({ "first": 1 })).await.data()["sandboxOutbox"].clone();
        assert_eq!((&page["edges"], &page["pageInfo"]["hasNextPage"]), (&json!([bob]), &json!(true)));
        let rest = app.gql(OUTBOX, json!({ "first": 2, "after": page["pageInfo"]["endCursor"] })).await.data()["sandboxOutbox"].clone();
        assert_eq!((&rest["edges"], &rest["pageInfo"]["hasNextPage"]), (&json!([phone, ada]), &json!(false)));
        assert_eq!(rows(&app, "timer").await, 0);
    }

    async fn the_outbox_is_a_sandboxs_operators_alone(app: TestApp) {
        let id = post(&app.app, &app.partner, mail("ada@example.com", "Your passcode", "It is 123456.")).await.unwrap();
        let refused = app.gql_as(Some(&app.live_key().await), OUTBOX, json!({})).await;
        assert_eq!(
            (refused.error_code(), &refused.body["errors"][0]["message"]),
            ("BAD_USER_INPUT", &json!("This can be done in a sandbox only."))
        );
        let reader = app.key_for(&[Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage]).await;
        assert_eq!(app.gql_as(Some(&reader), OUTBOX, json!({})).await.error_code(), "FORBIDDEN");
        let node = "query($id: ID!) { node(id: $id) { __typename ... on OutboxMessage { to text } } }";
        assert_eq!(app.gql(node, json!({ "id": id })).await.data()["node"], json!({ "__typename": "OutboxMessage", "to": "ada@example.com", "text": "It is 123456." }));
        assert_eq!(app.gql_as(Some(&reader), node, json!({ "id": id })).await.data()["node"], json!(null));
    }

    async fn an_outbox_forgets_after_a_week(app: TestApp) {
        post(&app.app, &app.partner, mail("old@example.com", "Old", "Old.")).await.unwrap();
        let text = "UPDATE message SET kept_until = '2026-01-01T00:00:00+00:00'";
        app.app.db.for_migrations().execute_unprepared(text).await.unwrap();
        post(&app.app, &app.partner, mail("new@example.com", "New", "New.")).await.unwrap();
        let tx = app.app.db.write().await.unwrap();
        assert_eq!(messages::forget_old(&tx).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let left = app.gql(OUTBOX, json!({})).await.data()["sandboxOutbox"]["edges"].clone();
        assert_eq!((left.as_array().unwrap().len(), &left[0]["node"]["to"]), (1, &json!("new@example.com")));
    }

    async fn what_nobody_carries_or_cannot_be_an_address_leaves_nothing_behind(app: TestApp) {
        let live = live(&app).await;
        for (new, expected) in [
            (mail("ada@example.com", "Your passcode", "It is 123456."), "Unavailable(\"No mail server is configured.\")"),
            (sms("2025550107", "It is 123456."), "Unavailable(\"No SMS gateway is configured.\")"),
            (mail("ada@example.com\r\nBcc: eve@example.com", "S", "T"), "to must be an e-mail address"),
            (mail("ada@example.com\nBcc:eve@example.com", "S", "T"), "to must be an e-mail address"),
            (mail("ada", "S", "T"), "to must be an e-mail address"),
            (mail("ada@example.com", "S\r\nBcc: eve@example.com", "T"), "subject must not have control characters"),
            (sms("202555\r\n0107", "T"), "to must be digits and punctuation"),
            (sms("ada@example.com", "T"), "to must be digits and punctuation"),
        ] {
            let refused = match post(&app.app, &live, new).await.unwrap_err() {
                domain::Error::Refused(refusal) => refusal.message(&refusal.path.join(".")),
                other => format!("{other:?}"),
            };
            assert_eq!(refused, expected);
        }
        assert_eq!((rows(&app, "message").await, rows(&app, "timer").await), (0, 0));
    }
}
