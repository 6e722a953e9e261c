//! Creates the tables for access: logins, sessions, second factors, invitations and password recoveries.

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

const TABLES: &str = "
CREATE TABLE invitation (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    email text NOT NULL,
    user_id {uuid} REFERENCES users (id),
    company_name text,
    retirement_institution_id text,
    created_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    accepted_at {instant},
    revoked_at {instant}
) {strict};
CREATE INDEX invitation_of_partner ON invitation (partner_id, id);
ALTER TABLE users ADD COLUMN gender text;
ALTER TABLE users ADD COLUMN invitation_id {uuid} REFERENCES invitation (id);
CREATE TABLE login (
    user_id {uuid} PRIMARY KEY REFERENCES users (id),
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    email text NOT NULL,
    password text NOT NULL,
    version {long} NOT NULL,
    disabled_at {instant},
    created_at {instant} NOT NULL,
    UNIQUE (partner_id, email)
) {strict};
CREATE TABLE session (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} NOT NULL REFERENCES login (user_id),
    refresh_token text NOT NULL,
    successor_token text,
    successor_at {instant},
    two_factor_at {instant},
    began_at {instant} NOT NULL,
    ends_at {instant} NOT NULL,
    signed_out_at {instant},
    cut_at {instant}
) {strict};
CREATE INDEX session_of_user ON session (user_id, id);
CREATE INDEX session_by_end ON session (ends_at);
CREATE TABLE second_factor (
    user_id {uuid} PRIMARY KEY REFERENCES login (user_id),
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    phone {bytes},
    phone_index {bytes},
    phone_verified_at {instant},
    totp {bytes},
    totp_confirmed_at {instant},
    totp_step {long} NOT NULL,
    UNIQUE (partner_id, phone_index)
) {strict};
CREATE TABLE passcode (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} NOT NULL REFERENCES login (user_id),
    hash_code text NOT NULL UNIQUE,
    phone {bytes} NOT NULL,
    phone_index {bytes} NOT NULL,
    mac {bytes} NOT NULL,
    attempts integer NOT NULL CHECK (attempts BETWEEN 0 AND 5),
    sent_at {instant} NOT NULL,
    expires_at {instant} NOT NULL,
    used_at {instant}
) {strict};
CREATE INDEX passcode_of_user ON passcode (user_id, sent_at);
CREATE INDEX passcode_to_phone ON passcode (partner_id, phone_index, sent_at);
CREATE INDEX passcode_by_age ON passcode (sent_at);
CREATE TABLE recovery (
    user_id {uuid} PRIMARY KEY REFERENCES login (user_id),
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    verifier {bytes} NOT NULL UNIQUE,
    expires_at {instant} NOT NULL
) {strict};
CREATE TABLE throttle (
    subject {bytes} PRIMARY KEY,
    failures integer NOT NULL,
    blocked_until {instant},
    last_at {instant} NOT NULL
) {strict};
CREATE INDEX throttle_by_age ON throttle (last_at);
";
