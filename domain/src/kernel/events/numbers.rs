//! Numbers of events within their stream.

use super::digest;
use crate::kernel::digest::RowDigest;
use entity::{event, event_stream};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    sea_query::{Expr, OnConflict},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Events that are numbered when they are written.
#[derive(Debug, Default)]
pub(in crate::kernel) struct Unnumbered(Vec<Pending>);

#[derive(Debug)]
struct Pending {
    event: event::Model,
    begins_stream: bool,
    movements: Vec<RowDigest>,
}

impl Unnumbered {
    pub(in crate::kernel) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, event: event::Model, begins_stream: bool, movements: Vec<RowDigest>) {
        self.0.push(Pending { event, begins_stream, movements });
    }

    /// Numbers the events, in the order in which they were recorded, and counts them in their streams.
    ///
    /// The first event of a stream needs no count. The second creates the stream's row, which each further one
    /// updates and keeps locked until its transaction ends, so concurrent changes of one object get different
    /// numbers. The rows are locked in the order of their ids.
    pub(in crate::kernel) async fn numbered(
        self,
        connection: &impl ConnectionTrait,
    ) -> Result<Vec<event::Model>, DbErr> {
        let mut counts: BTreeMap<Uuid, i32> = BTreeMap::new();
        for pending in self.0.iter().filter(|pending| !pending.begins_stream) {
            *counts.entry(pending.event.stream_id).or_default() += 1;
        }
        let mut next = counted(connection, &counts).await?;
        let number = |Pending { mut event, begins_stream, movements }: Pending| {
            if !begins_stream && let Some(next) = next.get_mut(&event.stream_id) {
                event.stream_version = *next;
                *next += 1;
            }
            event.digest = digest(&event, &movements).to_vec();
            event
        };
        Ok(self.0.into_iter().map(number).collect())
    }
}

/// Counts events in their streams; returns the number of the first one of each.
async fn counted(
    connection: &impl ConnectionTrait,
    counts: &BTreeMap<Uuid, i32>,
) -> Result<BTreeMap<Uuid, i32>, DbErr> {
    if counts.is_empty() {
        return Ok(BTreeMap::new());
    }
    // A stream without a row has one event.
    let rows =
        counts.iter().map(|(id, count)| event_stream::ActiveModel { id: Set(*id), version: Set(1 + count) });
    let added = Expr::cust("excluded.version").sub(1);
    let next = Expr::col((event_stream::Entity, event_stream::Column::Version)).add(added);
    let streams = event_stream::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::column(event_stream::Column::Id)
                .value(event_stream::Column::Version, next)
                .to_owned(),
        )
        .exec_with_returning(connection)
        .await?;
    let first = |stream: &event_stream::Model| {
        counts.get(&stream.id).map(|count| (stream.id, stream.version - count + 1))
    };
    Ok(streams.iter().filter_map(first).collect())
}
