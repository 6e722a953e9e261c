//! Adds watch lists from several sources, and the progress of screening existing users again.

use crate::words;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, TABLES).await
    }
}

/// Assigns existing hits and exceptions to the only watch list that existed.
const TABLES: &str = "
ALTER TABLE watch_list ADD COLUMN replaced_at {instant};
UPDATE watch_list SET replaced_at = (SELECT newest.imported_at FROM watch_list AS newest ORDER BY newest.id \
DESC LIMIT 1)
    WHERE id <> (SELECT newest.id FROM watch_list AS newest ORDER BY newest.id DESC LIMIT 1);
CREATE UNIQUE INDEX watch_list_of_source ON watch_list (source) WHERE replaced_at IS NULL;
CREATE TABLE hit_of_source (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    kyc_id {uuid} NOT NULL REFERENCES kyc (id),
    source text NOT NULL,
    entry {long} NOT NULL,
    listed_name text NOT NULL,
    programs text NOT NULL,
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    parts text NOT NULL,
    found_at {instant} NOT NULL,
    cleared_at {instant},
    cleared_by {uuid},
    exception_id {uuid},
    UNIQUE (kyc_id, source, entry)
) {strict};
INSERT INTO hit_of_source (id, partner_id, kyc_id, source, entry, listed_name, programs, score, parts, \
found_at, cleared_at, cleared_by,
        exception_id)
    SELECT id, partner_id, kyc_id, COALESCE((SELECT source FROM watch_list WHERE replaced_at IS NULL), \
    'OFAC SDN'), entry, listed_name,
        programs, score, parts, found_at, cleared_at, cleared_by, exception_id FROM screening_hit;
DROP TABLE screening_hit;
ALTER TABLE hit_of_source RENAME TO screening_hit;
ALTER TABLE screening_exception ADD COLUMN source text NOT NULL DEFAULT 'OFAC SDN';
UPDATE screening_exception SET source = COALESCE((SELECT source FROM watch_list WHERE replaced_at IS NULL), 'OFAC SDN');
DROP INDEX screening_exception_of;
CREATE INDEX screening_exception_of ON screening_exception (partner_id, subject, source, entry);
CREATE TABLE screening_run (
    watch_list_id {uuid} PRIMARY KEY REFERENCES watch_list (id),
    started_at {instant} NOT NULL,
    people {long} NOT NULL,
    screened {long} NOT NULL,
    failed {long} NOT NULL,
    hits {long} NOT NULL,
    last_kyc_id {uuid},
    leased_by {uuid},
    leased_until {instant},
    finished_at {instant}
) {strict};
CREATE INDEX screening_run_unfinished ON screening_run (watch_list_id) WHERE finished_at IS NULL;
";
