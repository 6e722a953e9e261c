//! Numbers of events within their stream.

use crate::support::{Folder, TestApp, older, on_both};
use domain::kernel::{
    clock,
    db::Db,
    events::{Event, EventBuilder, UserState},
    ids::Ids,
};
use entity::{Kind, event, event_stream, user};
use futures_util::future::join_all;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

fn updated(id: Uuid) -> Event {
    Event::UserUpdated(UserState { id, status: user::Status::Approved })
}

/// Returns the versions of a stream, oldest event first.
async fn versions(connection: &impl ConnectionTrait, stream: Uuid) -> Vec<i32> {
    let rows = event::Entity::find()
        .filter(event::Column::StreamId.eq(stream))
        .order_by_asc(event::Column::StreamVersion)
        .all(connection)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.stream_version).collect()
}

on_both! {
    async fn concurrent_changes_of_one_object_get_different_numbers(app: TestApp) {
        let id = app.app.ids.next(Kind::User);
        let record = async |event: Event| {
            let tx = app.app.db.write().await?;
            let builder = EventBuilder::new(app.app.ids, app.partner.id, None, clock::system_now());
            builder.record(&tx, event).await?;
            tx.commit().await
        };
        record(Event::UserCreated(UserState { id, status: user::Status::Pending })).await.unwrap();
        for outcome in join_all((0..20).map(|_| record(updated(id)))).await {
            outcome.unwrap();
        }
        assert_eq!(versions(&app.app.db.read, id).await, (1..=21).collect::<Vec<_>>());
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_change_that_is_rolled_back_leaves_no_gap(app: TestApp) {
        let id = app.app.ids.next(Kind::User);
        let created = Event::UserCreated(UserState { id, status: user::Status::Pending });
        let mut changes = vec![(created, true)];
        changes.extend([false, true, false, true].map(|is_kept| (updated(id), is_kept)));
        for (event, is_kept) in changes {
            let tx = app.app.db.write().await.unwrap();
            let builder = EventBuilder::new(app.app.ids, app.partner.id, None, clock::system_now());
            builder.record(&tx, event).await.unwrap();
            if is_kept {
                tx.commit().await.unwrap();
            }
        }
        assert_eq!(versions(&app.app.db.read, id).await, [1, 2, 3]);
    }

    /// The number is counted by the statement that locks it: an event costs two statements, the first of its
    /// stream one.
    async fn an_event_costs_at_most_two_statements(app: TestApp) {
        let id = app.app.ids.next(Kind::User);
        let created = Event::UserCreated(UserState { id, status: user::Status::Pending });
        for (event, expected) in [(created, 1), (updated(id), 2), (updated(id), 2)] {
            let tx = app.app.db.write().await.unwrap();
            let builder = EventBuilder::new(app.app.ids, app.partner.id, None, clock::system_now());
            app.written.lock().unwrap().clear();
            builder.record(&tx, event).await.unwrap();
            tx.commit().await.unwrap();
            let statements = app.written.lock().unwrap().clone();
            let own = statements.iter().filter(|sql| sql.contains("INTO \"event"));
            assert_eq!(own.count(), expected, "{statements:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_an_older_database_go_on_from_their_last_event() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261127_000014_event_streams").await {
        let at = "'2026-07-09T16:00:00Z'";
        older
            .db
            .execute_unprepared(&format!(
                "INSERT INTO partner (id, name, mode, market_hours, clock_offset, market_seed, created_at) \
                 VALUES ({}, 'older', 'sandbox', 'nyse', 0, 1, {at})",
                older.id(7)
            ))
            .await
            .unwrap();
        // Three events of one stream and one of another.
        for (number, stream, version) in [(1, 8, 1), (2, 8, 2), (3, 8, 3), (4, 9, 1)] {
            older
                .db
                .execute_unprepared(&format!(
                    "INSERT INTO event VALUES ({}, {}, {}, {version}, NULL, 'user.updated', '{{}}', \
                     {at}, {}, NULL, NULL)",
                    older.id(number),
                    older.id(7),
                    older.id(stream),
                    older.bytes("00")
                ))
                .await
                .unwrap();
        }
        older.migrate().await;
        let id = |number: u128| Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number);
        let counted = event_stream::Entity::find().all(&older.db).await.unwrap();
        assert_eq!(counted, [event_stream::Model { id: id(8), version: 3 }]);
        let db = Db::open(&older.url).await.unwrap();
        for (stream, expected) in [(8, vec![1, 2, 3, 4, 5]), (9, vec![1, 2, 3])] {
            for _ in 0..2 {
                let builder = EventBuilder::new(Ids, id(7), None, clock::system_now());
                let tx = db.write().await.unwrap();
                builder.record(&tx, updated(id(stream))).await.unwrap();
                tx.commit().await.unwrap();
            }
            assert_eq!(versions(&older.db, id(stream)).await, expected);
        }
    }
}
