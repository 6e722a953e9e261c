//! Adds the details of identity checks, documents, screening, joint members and removed bank accounts.

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

const TABLES: &str = "
CREATE TABLE identity_check (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} REFERENCES users (id),
    token text NOT NULL UNIQUE,
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    outcome text NOT NULL CHECK (outcome IN ('approved', 'questions_required', 'manual_review', 'denied')),
    tags text NOT NULL,
    decided_at {instant} NOT NULL,
    created_at {instant} NOT NULL,
    applicant {bytes},
    ssn_index {bytes},
    parts text NOT NULL,
    questions {bytes},
    questions_expire_at {instant},
    answered_at {instant},
    right_answers integer,
    reviewed_by {uuid},
    reviewed_at {instant},
    review_reason {bytes},
    superseded_at {instant}
) {strict};
INSERT INTO identity_check (id, partner_id, user_id, token, score, outcome, tags, decided_at, created_at, parts)
    SELECT id, partner_id, user_id, token, score, CASE outcome WHEN 'questions_required' THEN \
    'manual_review' ELSE outcome END, tags,
        decided_at, decided_at, '[]' FROM kyc;
UPDATE users SET status = 'documentation_required' WHERE status = 'action_required';
DROP TABLE kyc;
ALTER TABLE identity_check RENAME TO kyc;
CREATE INDEX kyc_of_user ON kyc (user_id, id);
CREATE INDEX kyc_of_partner ON kyc (partner_id, id);
CREATE INDEX kyc_by_ssn ON kyc (partner_id, ssn_index);
CREATE UNIQUE INDEX kyc_at_present ON kyc (user_id) WHERE superseded_at IS NULL;
CREATE INDEX kyc_in_review ON kyc (partner_id, id) WHERE outcome = 'manual_review' AND superseded_at IS NULL;
CREATE TABLE kyc_document (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    kyc_id {uuid} NOT NULL REFERENCES kyc (id),
    token text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('ssn_card', 'license', 'passport', 'utility')),
    format text NOT NULL CHECK (format IN ('pdf', 'jpeg', 'png')),
    name {bytes} NOT NULL,
    extension text NOT NULL,
    notes {bytes},
    size integer NOT NULL,
    content_key {bytes} NOT NULL,
    uploaded_by {uuid},
    uploaded_at {instant} NOT NULL
) {strict};
CREATE INDEX kyc_document_of ON kyc_document (kyc_id, id);
CREATE TABLE watch_list (
    id {uuid} PRIMARY KEY,
    source text NOT NULL,
    digest {bytes} NOT NULL,
    entries integer NOT NULL,
    names integer NOT NULL,
    imported_at {instant} NOT NULL
) {strict};
CREATE TABLE watch_list_name (
    watch_list_id {uuid} NOT NULL REFERENCES watch_list (id),
    entry {long} NOT NULL,
    place integer NOT NULL,
    name text NOT NULL,
    alias {flag} NOT NULL,
    individual {flag} NOT NULL,
    births text NOT NULL,
    programs text NOT NULL,
    PRIMARY KEY (watch_list_id, entry, place)
) {strict};
CREATE TABLE screening_hit (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    kyc_id {uuid} NOT NULL REFERENCES kyc (id),
    entry {long} NOT NULL,
    listed_name text NOT NULL,
    programs text NOT NULL,
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    parts text NOT NULL,
    found_at {instant} NOT NULL,
    cleared_at {instant},
    cleared_by {uuid},
    exception_id {uuid},
    UNIQUE (kyc_id, entry)
) {strict};
CREATE TABLE screening_exception (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    subject {bytes} NOT NULL,
    entry {long} NOT NULL,
    reason {bytes} NOT NULL,
    until {day} NOT NULL,
    made_by {uuid},
    made_at {instant} NOT NULL
) {strict};
CREATE INDEX screening_exception_of ON screening_exception (partner_id, subject, entry);
ALTER TABLE account ADD COLUMN joint_member_id {uuid} REFERENCES users (id);
ALTER TABLE account ADD COLUMN status_reason {bytes};
CREATE INDEX account_of_joint_member ON account (joint_member_id, id);
ALTER TABLE bank_account ADD COLUMN removed_at {instant};
CREATE UNIQUE INDEX bank_account_default ON bank_account (user_id) WHERE is_default;
";
