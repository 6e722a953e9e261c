//! Gives each review of an identity check a row, and moves the decisions there from the checks.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, TABLE).await?;
        words::execute(manager, &copy(manager, "00", DECIDED)).await?;
        words::execute(manager, &copy(manager, "01", WAITING)).await?;
        words::execute(manager, COLUMNS).await
    }
}

const TABLE: &str = "
CREATE TABLE kyc_review (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    kyc_id {uuid} NOT NULL REFERENCES kyc (id),
    user_id {uuid} REFERENCES users (id),
    cause text NOT NULL
        CHECK (cause IN ('watch_list_hit', 'not_screened', 'answers', 'score', 'earlier_check')),
    requested_at {instant} NOT NULL,
    outcome text CHECK (outcome IN ('approved', 'denied')),
    reviewed_by {uuid},
    reviewed_at {instant},
    reason {bytes},
    ended_at {instant},
    CHECK ((outcome IS NULL) = (reviewed_at IS NULL)),
    CHECK (outcome IS NULL OR ended_at IS NOT NULL)
) {strict};
CREATE INDEX kyc_review_of ON kyc_review (kyc_id, id);
CREATE INDEX kyc_review_of_partner ON kyc_review (partner_id, id);
CREATE UNIQUE INDEX kyc_review_waiting ON kyc_review (kyc_id) WHERE ended_at IS NULL;
CREATE INDEX kyc_review_queue ON kyc_review (partner_id, id) WHERE ended_at IS NULL;
";

/// A check that waits again after its approval has both: the decision, and the wait. The time since when an
/// earlier review waited is not known; it was at most as early as the check.
const DECIDED: &str = "created_at, CASE outcome WHEN 'denied' THEN 'denied' ELSE 'approved' END, reviewed_by,
    reviewed_at, review_reason, reviewed_at FROM kyc WHERE reviewed_at IS NOT NULL";
const WAITING: &str =
    "decided_at, NULL, NULL, NULL, NULL, superseded_at FROM kyc WHERE outcome = 'manual_review'";

const COLUMNS: &str = "
DROP INDEX kyc_in_review;
ALTER TABLE kyc DROP COLUMN reviewed_by;
ALTER TABLE kyc DROP COLUMN review_reason;
";

/// Returns the statement that copies reviews. Their ids are those of the checks, with other last bytes: a
/// number, and the tag of reviews.
fn copy(manager: &SchemaManager<'_>, number: &str, reviews: &str) -> String {
    let id = match manager.get_database_backend() {
        DbBackend::Postgres => format!("(substr(id::text, 1, 32) || '{number}1e')::uuid"),
        _ => format!("CAST(substr(id, 1, 14) || x'{number}1e' AS blob)"),
    };
    format!(
        "INSERT INTO kyc_review (id, partner_id, kyc_id, user_id, cause, requested_at, outcome, reviewed_by,
            reviewed_at, reason, ended_at)
        SELECT {id}, partner_id, id, user_id, {CAUSE}, {reviews};\n"
    )
}

const CAUSE: &str = "CASE
    WHEN EXISTS (SELECT 1 FROM screening_hit WHERE kyc_id = kyc.id AND cleared_at IS NULL)
        THEN 'watch_list_hit'
    WHEN questions_expire_at IS NOT NULL AND coalesce(right_answers, 0) < 4 THEN 'answers'
    WHEN score BETWEEN 30 AND 59 THEN 'score'
    ELSE 'earlier_check' END";
