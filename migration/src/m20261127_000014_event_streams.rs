//! Creates the table that counts the events of each stream, so that concurrent changes of one object get
//! different numbers.

use crate::words;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, TABLES).await
    }
}

/// A stream with a single event has no row.
const TABLES: &str = "
CREATE TABLE event_stream (
    id {uuid} PRIMARY KEY,
    version integer NOT NULL CHECK (version > 1)
) {strict};
INSERT INTO event_stream (id, version)
    SELECT stream_id, MAX(stream_version) FROM event GROUP BY stream_id HAVING MAX(stream_version) > 1;
";
