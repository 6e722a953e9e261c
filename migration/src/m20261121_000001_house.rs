//! Creates the first tables: partners, users, accounts, transfers, orders, the ledger and the event log.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let connection = manager.get_connection();
        words::execute(manager, TABLES).await?;
        if backend == DbBackend::Postgres {
            connection.execute_unprepared(REFUSE_CHANGE).await?;
        }
        connection
            .execute_unprepared(if backend == DbBackend::Postgres {
                RELEASE_WITHIN_HOLD
            } else {
                RELEASE_WITHIN_HOLD_SQLITE
            })
            .await?;
        for (table, unique) in APPEND_ONLY {
            for statement in append_only(backend, table, unique) {
                connection.execute_unprepared(&statement).await?;
            }
        }
        for (table, columns, unique) in SEALED {
            for statement in sealed(backend, table, columns, unique) {
                connection.execute_unprepared(&statement).await?;
            }
        }
        Ok(())
    }
}

/// Columns of each unique key of a table.
type Keys = &'static [&'static [&'static str]];

/// Tables with rows that are never changed or deleted.
const APPEND_ONLY: [(&str, Keys); 3] = [
    ("ledger_transfer", &[&["id"], &["reverses_id"]]),
    ("ledger_hold", &[&["id"]]),
    ("ledger_release", &[&["id"]]),
];

/// Tables with rows that are numbered and sealed once and otherwise never changed, with the columns that must
/// not change.
const SEALED: [(&str, &[&str], Keys); 2] = [
    (
        "event",
        &[
            "id",
            "partner_id",
            "stream_id",
            "stream_version",
            "actor_id",
            "type",
            "payload",
            "occurred_at",
            "digest",
        ],
        &[&["id"], &["stream_id", "stream_version"], &["partner_id", "seq"]],
    ),
    (
        "audit_log",
        &[
            "id",
            "partner_id",
            "principal_id",
            "operation",
            "object_id",
            "decision",
            "request_id",
            "recorded_at",
        ],
        &[&["id"], &["partner_id", "seq"]],
    ),
];

/// Releases of the same hold cannot run at the same time: a release first updates the hold's account, which
/// waits for other releases.
const RELEASE_WITHIN_HOLD: &str = "CREATE FUNCTION refuse_excess() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF NEW.amount + (SELECT coalesce(sum(amount), 0) FROM ledger_release WHERE hold_id = NEW.hold_id) \
        > (SELECT amount FROM ledger_hold WHERE id = NEW.hold_id) \
    THEN RAISE EXCEPTION 'a hold gives back no more than it held'; END IF; RETURN NEW; END $$; \
    CREATE TRIGGER ledger_release_within_hold BEFORE INSERT ON ledger_release FOR EACH ROW EXECUTE FUNCTION \
    refuse_excess()";

const RELEASE_WITHIN_HOLD_SQLITE: &str = "CREATE TRIGGER ledger_release_within_hold BEFORE INSERT ON ledger_release \
    WHEN NEW.amount + (SELECT coalesce(sum(amount), 0) FROM ledger_release WHERE hold_id = NEW.hold_id) \
        > (SELECT amount FROM ledger_hold WHERE id = NEW.hold_id) \
    BEGIN SELECT RAISE(ABORT, 'a hold gives back no more than it held'); END";

const REFUSE_CHANGE: &str = "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$";

/// Returns triggers that refuse changes of a table's rows.
///
/// In SQLite, `INSERT OR REPLACE` deletes rows without firing delete triggers, so inserting an existing
/// unique key is refused too.
fn append_only(backend: DbBackend, table: &str, unique: Keys) -> Vec<String> {
    if backend == DbBackend::Postgres {
        return vec![
            format!(
                "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE \
                    FUNCTION refuse_change()"
            ),
            format!(
                "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE \
                    FUNCTION refuse_change()"
            ),
        ];
    }
    let abort = format!("BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END");
    vec![
        format!("CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {abort}"),
        format!("CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {abort}"),
        no_replace(table, unique, &abort),
    ]
}

/// Returns an SQL condition: an existing row has one of the unique keys of NEW.
fn taken(unique: Keys) -> String {
    let key = |columns: &&[&str]| {
        columns.iter().map(|column| format!("{column} = NEW.{column}")).collect::<Vec<_>>().join(" AND ")
    };
    unique.iter().map(key).collect::<Vec<_>>().join(" OR ")
}

fn no_replace(table: &str, unique: Keys, abort: &str) -> String {
    let taken = taken(unique);
    format!(
        "CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} \
            WHERE {taken}) {abort}"
    )
}

fn sealed(backend: DbBackend, table: &str, columns: &[&str], unique: Keys) -> Vec<String> {
    let list =
        |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
    if backend == DbBackend::Postgres {
        let (old, new) = (list("OLD"), list("NEW"));
        return vec![
            format!(
                "CREATE TRIGGER {table}_sealed_once BEFORE UPDATE ON {table} FOR EACH ROW \
                 WHEN (OLD.seq IS NOT NULL OR ({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION refuse_change()"
            ),
            format!(
                "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION \
                    refuse_change()"
            ),
            format!(
                "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE \
                    FUNCTION refuse_change()"
            ),
        ];
    }
    let abort = format!("BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END");
    let changed = columns
        .iter()
        .map(|column| format!("OLD.{column} IS NOT NEW.{column}"))
        .collect::<Vec<_>>()
        .join(" OR ");
    let place = format!("EXISTS (SELECT 1 FROM {table} WHERE partner_id = NEW.partner_id AND seq = NEW.seq)");
    vec![
        format!(
            "CREATE TRIGGER {table}_sealed_once BEFORE UPDATE ON {table} WHEN OLD.seq IS NOT NULL OR \
                {place} OR {changed} {abort}"
        ),
        format!("CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {abort}"),
        no_replace(table, unique, &abort),
    ]
}

const TABLES: &str = "
CREATE TABLE meta (
    name text PRIMARY KEY,
    value text NOT NULL
) {strict};
CREATE TABLE partner (
    id {uuid} PRIMARY KEY,
    name text NOT NULL UNIQUE,
    mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
    market_hours text NOT NULL CHECK (market_hours IN ('nyse', 'always_open')),
    clock_offset {long} NOT NULL,
    clock_frozen_at {instant},
    market_seed {long} NOT NULL,
    created_at {instant} NOT NULL,
    CONSTRAINT live_clock_is_the_systems CHECK (mode = 'sandbox' OR (clock_offset = 0 AND clock_frozen_at \
    IS NULL AND market_hours = 'nyse'))
) {strict};
CREATE TABLE api_key (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    public_id text NOT NULL UNIQUE,
    verifier {bytes} NOT NULL,
    signer {bytes} NOT NULL,
    scopes text NOT NULL,
    created_at {instant} NOT NULL,
    revoked_at {instant}
) {strict};
CREATE INDEX api_key_of_partner ON api_key (partner_id, id);
CREATE TABLE users (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    status text NOT NULL CHECK (status IN ('pending', 'action_required', 'documentation_required', \
    'approved', 'denied', 'closed')),
    first_name text NOT NULL,
    last_name text NOT NULL,
    email text NOT NULL,
    phone {bytes},
    ssn {bytes},
    ssn_index {bytes},
    birth_date {bytes},
    address_line_1 text,
    address_line_2 text,
    address_city text,
    address_state text,
    address_postal_code text,
    address_country_code text,
    created_at {instant} NOT NULL
) {strict};
CREATE INDEX users_of_partner ON users (partner_id, id);
CREATE INDEX users_by_ssn ON users (partner_id, ssn_index);
CREATE TABLE kyc (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} NOT NULL UNIQUE REFERENCES users (id),
    token text NOT NULL UNIQUE,
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    outcome text NOT NULL CHECK (outcome IN ('approved', 'questions_required', 'manual_review', 'denied')),
    tags text NOT NULL,
    decided_at {instant} NOT NULL
) {strict};
CREATE TABLE account (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} NOT NULL REFERENCES users (id),
    number text NOT NULL UNIQUE,
    ownership text NOT NULL CHECK (ownership IN ('individual', 'joint')),
    kind text NOT NULL CHECK (kind IN ('cash', 'investment')),
    status text NOT NULL CHECK (status IN ('active', 'frozen', 'closed')),
    marital_status text NOT NULL,
    country_of_citizenship text NOT NULL,
    employment_status text NOT NULL,
    employment_position text NOT NULL,
    employer_name text NOT NULL,
    annual_income text,
    investment_objective text,
    investment_experience text,
    net_liquid_worth text,
    net_total_worth text,
    is_director {flag},
    director_of text,
    risk_tolerance text,
    opened_at {instant} NOT NULL
) {strict};
CREATE INDEX account_of_user ON account (user_id, id);
CREATE INDEX account_of_partner ON account (partner_id, id);
CREATE TABLE bank_account (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} NOT NULL REFERENCES users (id),
    nickname text NOT NULL,
    routing_number text NOT NULL,
    number {bytes} NOT NULL,
    number_last4 text NOT NULL,
    is_default {flag} NOT NULL,
    linked_at {instant} NOT NULL
) {strict};
CREATE INDEX bank_account_of_user ON bank_account (user_id, id);
CREATE TABLE transfer (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    bank_account_id {uuid} NOT NULL REFERENCES bank_account (id),
    direction text NOT NULL CHECK (direction IN ('deposit', 'withdrawal')),
    amount {long} NOT NULL CHECK (amount > 0),
    status text NOT NULL CHECK (status IN ('pending', 'settled')),
    expected_on {day} NOT NULL,
    created_at {instant} NOT NULL,
    settled_at {instant}
) {strict};
CREATE INDEX transfer_of_account ON transfer (account_id, id);
CREATE INDEX transfer_of_bank_account ON transfer (bank_account_id, id);
CREATE TABLE instrument (
    id {uuid} PRIMARY KEY,
    symbol text NOT NULL UNIQUE,
    name text NOT NULL,
    exchange text NOT NULL,
    asset_class text NOT NULL,
    base_price {long} NOT NULL CHECK (base_price > 0)
) {strict};
CREATE TABLE quote_override (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    bid {long} NOT NULL CHECK (bid > 0),
    ask {long} NOT NULL,
    set_at {instant} NOT NULL,
    PRIMARY KEY (partner_id, instrument_id),
    CONSTRAINT quote_not_crossed CHECK (ask >= bid)
) {strict};
CREATE TABLE orders (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    kind text NOT NULL CHECK (kind IN ('market')),
    quantity {long} NOT NULL CHECK (quantity > 0),
    filled_quantity {long} NOT NULL,
    filled_average_price {long},
    status text NOT NULL CHECK (status IN ('accepted', 'new', 'partially_filled', 'filled', 'canceled', \
    'expired', 'rejected')),
    reject_code text,
    submitted_at {instant} NOT NULL,
    filled_at {instant},
    expired_at {instant},
    canceled_at {instant},
    failed_at {instant},
    CONSTRAINT order_fill_within_quantity CHECK (filled_quantity BETWEEN 0 AND quantity),
    CONSTRAINT order_filled_when_whole CHECK ((status = 'filled') = (filled_quantity = quantity))
) {strict};
CREATE INDEX orders_of_account ON orders (account_id, id);
CREATE INDEX orders_of_partner ON orders (partner_id, id);
CREATE TABLE fill (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    order_id {uuid} NOT NULL REFERENCES orders (id),
    number integer NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity {long} NOT NULL CHECK (quantity > 0),
    price {long} NOT NULL CHECK (price > 0),
    amount {long} NOT NULL CHECK (amount >= 0),
    traded_at {instant} NOT NULL,
    settles_at {instant} NOT NULL,
    settled_at {instant},
    UNIQUE (order_id, number)
) {strict};
CREATE INDEX fill_unsettled ON fill (account_id) WHERE settled_at IS NULL;
CREATE TABLE position (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    quantity {long} NOT NULL,
    cost_basis {long} NOT NULL,
    UNIQUE (account_id, instrument_id),
    CONSTRAINT position_not_short CHECK (quantity >= 0 AND cost_basis >= 0)
) {strict};
CREATE INDEX position_of_account ON position (account_id, id);
CREATE TABLE ledger_account (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    owner_id {uuid} NOT NULL,
    asset text NOT NULL,
    kind text NOT NULL,
    no_overdraft {flag} NOT NULL,
    version {long} NOT NULL,
    debits {long} NOT NULL,
    credits {long} NOT NULL,
    held {long} NOT NULL,
    UNIQUE (id, asset),
    UNIQUE (owner_id, kind, asset),
    CONSTRAINT ledger_account_sums_positive CHECK (debits >= 0 AND credits >= 0 AND held >= 0),
    CONSTRAINT ledger_account_not_overdrawn CHECK ({unset} OR credits - debits - held >= 0)
) {strict};
CREATE INDEX ledger_account_of_partner ON ledger_account (partner_id, id);
CREATE TABLE ledger_transfer (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    entry_id {uuid} NOT NULL,
    asset text NOT NULL,
    debit_account_id {uuid} NOT NULL,
    credit_account_id {uuid} NOT NULL,
    amount {long} NOT NULL CHECK (amount > 0),
    reverses_id {uuid} UNIQUE REFERENCES ledger_transfer (id),
    cause_id {uuid} NOT NULL,
    effective_at {instant} NOT NULL,
    recorded_at {instant} NOT NULL,
    digest {bytes} NOT NULL,
    CONSTRAINT ledger_transfer_moves CHECK (debit_account_id <> credit_account_id),
    FOREIGN KEY (debit_account_id, asset) REFERENCES ledger_account (id, asset),
    FOREIGN KEY (credit_account_id, asset) REFERENCES ledger_account (id, asset)
) {strict};
CREATE INDEX ledger_transfer_debits ON ledger_transfer (debit_account_id, recorded_at);
CREATE INDEX ledger_transfer_credits ON ledger_transfer (credit_account_id, recorded_at);
CREATE INDEX ledger_transfer_of_cause ON ledger_transfer (cause_id);
CREATE TABLE ledger_hold (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES ledger_account (id),
    amount {long} NOT NULL CHECK (amount > 0),
    purpose_id {uuid} NOT NULL,
    placed_at {instant} NOT NULL
) {strict};
CREATE INDEX ledger_hold_for ON ledger_hold (purpose_id);
CREATE INDEX ledger_hold_on ON ledger_hold (account_id);
CREATE TABLE ledger_release (
    id {uuid} PRIMARY KEY,
    hold_id {uuid} NOT NULL REFERENCES ledger_hold (id),
    amount {long} NOT NULL CHECK (amount > 0),
    reason text NOT NULL CHECK (reason IN ('posted', 'voided')),
    released_at {instant} NOT NULL
) {strict};
CREATE INDEX ledger_release_of ON ledger_release (hold_id);
CREATE TABLE idempotency (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    principal_id {uuid} NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    fingerprint {bytes} NOT NULL,
    answer text,
    claimed_at {instant} NOT NULL,
    PRIMARY KEY (partner_id, principal_id, key)
) {strict};
CREATE INDEX idempotency_by_age ON idempotency (claimed_at);
CREATE TABLE event (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    stream_id {uuid} NOT NULL,
    stream_version integer NOT NULL,
    actor_id {uuid},
    type text NOT NULL,
    payload text NOT NULL,
    occurred_at {instant} NOT NULL,
    digest {bytes} NOT NULL,
    seq {long},
    hash {bytes},
    UNIQUE (partner_id, seq),
    UNIQUE (stream_id, stream_version)
) {strict};
CREATE INDEX event_waiting ON event (id) WHERE seq IS NULL;
CREATE TABLE timer (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    clock text NOT NULL CHECK (clock IN ('partner', 'system')),
    kind text NOT NULL,
    subject_id {uuid} NOT NULL,
    due_at {instant} NOT NULL,
    attempts integer NOT NULL,
    retry_at {instant}
) {strict};
CREATE INDEX timer_due ON timer (partner_id, clock, due_at, id);
CREATE INDEX timer_of_subject ON timer (subject_id);
CREATE TABLE audit_log (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    principal_id {uuid} NOT NULL,
    operation text NOT NULL,
    object_id {uuid},
    decision text NOT NULL,
    request_id {uuid} NOT NULL,
    recorded_at {instant} NOT NULL,
    seq {long},
    hash {bytes},
    UNIQUE (partner_id, seq)
) {strict};
CREATE INDEX audit_log_waiting ON audit_log (id) WHERE seq IS NULL;
";
