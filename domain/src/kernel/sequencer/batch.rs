//! Reads what is to be sealed, and writes the seals, each with one text whatever the number of rows.

use crate::{
    Error, Result,
    kernel::{db::WriteTransaction, heads::Heads},
};
use entity::{
    audit_log,
    chain_head::{self, Chain},
    event,
};
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Unsealed rows, and the heads of their partners.
pub(super) struct Batch {
    pub(super) events: Vec<event::Model>,
    pub(super) lines: Vec<audit_log::Model>,
    pub(super) heads: Heads,
}

/// Tables of unsealed rows. After an ANALYZE, SQLite would otherwise read the whole table.
const fn waiting(backend: DbBackend) -> [&'static str; 2] {
    match backend {
        DbBackend::Sqlite => {
            ["\"event\" INDEXED BY event_waiting", "\"audit_log\" INDEXED BY audit_log_waiting"]
        }
        _ => ["\"event\"", "\"audit_log\""],
    }
}

/// Whether there are unsealed rows.
pub(super) async fn is_waiting(connection: &impl ConnectionTrait) -> Result<bool> {
    let backend = connection.get_database_backend();
    let [events, lines] = waiting(backend).map(|table| format!("SELECT 1 FROM {table} WHERE seq IS NULL"));
    let text = format!("SELECT EXISTS ({events}) OR EXISTS ({lines}) AS is_waiting");
    let row = connection.query_one_raw(Statement::from_string(backend, text)).await?;
    Ok(row.map(|row| row.try_get("", "is_waiting")).transpose()?.unwrap_or(false))
}

/// Returns at most `limit` unsealed events and as many lines, oldest first, without those of some partners.
pub(super) async fn read(tx: &WriteTransaction, limit: u64, left_out: &BTreeSet<Uuid>) -> Result<Batch> {
    let backend = tx.get_database_backend();
    let mut values: Vec<Value> = Vec::new();
    let mut others = String::new();
    if !left_out.is_empty() {
        let places = (1..=left_out.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        others = format!(" AND partner_id NOT IN ({places})");
        values.extend(left_out.iter().map(|partner| Value::from(*partner)));
    }
    let [events, lines] = waiting(backend);
    let bytes = if backend == DbBackend::Postgres { "bytea" } else { "blob" };
    let rest = format!("WHERE seq IS NULL{others} ORDER BY id LIMIT {limit}");
    let events = format!(
        "SELECT 1 AS of_event, id, partner_id, stream_id AS a, actor_id AS b, stream_version AS number, type AS \
         word, payload AS text, occurred_at AS at, digest, stream_id AS c FROM {events} {rest}"
    );
    let lines = format!(
        "SELECT 0, id, partner_id, principal_id, object_id, 0, operation, decision, recorded_at, \
         CAST(NULL AS {bytes}), request_id FROM {lines} {rest}"
    );
    let text = format!(
        "SELECT waiting.*, {HEADS} FROM (SELECT * FROM ({events}) AS events UNION ALL SELECT * FROM ({lines}) AS \
         lines) AS waiting LEFT JOIN chain_head AS e ON e.partner_id = waiting.partner_id AND e.chain = 'event' \
         LEFT JOIN chain_head AS l ON l.partner_id = waiting.partner_id AND l.chain = 'audit_log' \
         ORDER BY waiting.id"
    );
    let rows = tx.query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    let mut batch = Batch { events: Vec::new(), lines: Vec::new(), heads: Heads::new() };
    for row in &rows {
        let partner_id: Uuid = row.try_get("", "partner_id")?;
        if row.try_get::<i32>("", "of_event")? == 1 {
            batch.events.push(event_of(row, partner_id)?);
        } else {
            batch.lines.push(line_of(row, partner_id)?);
        }
        for (chain, prefix) in [(Chain::Event, "e_"), (Chain::AuditLog, "l_")] {
            let Some(sealed) = row.try_get(prefix, "sealed")? else { continue };
            batch.heads.entry((partner_id, chain)).or_insert(chain_head::Model {
                partner_id,
                chain,
                sealed,
                hash: row.try_get(prefix, "hash")?,
                mac: row.try_get(prefix, "mac")?,
            });
        }
    }
    Ok(batch)
}

const HEADS: &str = "e.sealed AS e_sealed, e.hash AS e_hash, e.mac AS e_mac, l.sealed AS l_sealed, l.hash AS \
    l_hash, l.mac AS l_mac";

fn event_of(row: &QueryResult, partner_id: Uuid) -> Result<event::Model> {
    Ok(event::Model {
        id: row.try_get("", "id")?,
        partner_id,
        stream_id: row.try_get("", "a")?,
        stream_version: row.try_get("", "number")?,
        actor_id: row.try_get("", "b")?,
        kind: row.try_get("", "word")?,
        payload: row.try_get("", "text")?,
        occurred_at: row.try_get("", "at")?,
        digest: row.try_get("", "digest")?,
        seq: None,
        hash: None,
    })
}

fn line_of(row: &QueryResult, partner_id: Uuid) -> Result<audit_log::Model> {
    Ok(audit_log::Model {
        id: row.try_get("", "id")?,
        partner_id,
        principal_id: row.try_get("", "a")?,
        operation: row.try_get("", "word")?,
        object_id: row.try_get("", "b")?,
        decision: row.try_get("", "text")?,
        request_id: row.try_get("", "c")?,
        recorded_at: row.try_get("", "at")?,
        seq: None,
        hash: None,
    })
}

/// Id, number and hash of a row.
pub(super) type Sealed = (Uuid, i64, Vec<u8>);

/// Writes the numbers and hashes of rows, and the heads, which were advanced and signed.
pub(super) async fn write(
    tx: &WriteTransaction,
    events: Vec<Sealed>,
    lines: Vec<Sealed>,
    heads: &Heads,
) -> Result<()> {
    let expected = (events.len() + lines.len() + heads.len()) as u64;
    let rows = |rows: Vec<Sealed>| {
        let row = |(id, seq, hash): Sealed| json!({ "i": id.simple(), "s": seq, "h": hex::encode(hash) });
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let head = |head: &chain_head::Model| {
        json!({ "p": head.partner_id.simple(), "c": head.chain.to_value(), "s": head.sealed,
            "h": hex::encode(&head.hash), "m": hex::encode(&head.mac) })
    };
    let heads: Vec<_> = heads.values().map(head).collect();
    let values = [json!(rows(events)), json!(rows(lines)), json!(heads)].map(|rows| rows.to_string().into());
    let backend = tx.get_database_backend();
    let written = if backend == DbBackend::Postgres {
        let statement = Statement::from_sql_and_values(backend, SEAL, values);
        let row = tx.query_one_raw(statement).await?;
        row.map(|row| row.try_get::<i64>("", "written")).transpose()?.map_or(0, i64::unsigned_abs)
    } else {
        tx.execute_raw(Statement::from_sql_and_values(backend, SEAL_SQLITE, values)).await?.rows_affected()
    };
    if written == expected {
        Ok(())
    } else {
        Err(Error::broken("a row or a chain head disappeared while it was sealed"))
    }
}

const SEAL: &str = "WITH \
    events AS (UPDATE event SET seq = row.s, hash = decode(row.h, 'hex') FROM json_to_recordset($1::json) \
        AS row (i uuid, s bigint, h text) WHERE event.id = row.i RETURNING 1), \
    lines AS (UPDATE audit_log SET seq = row.s, hash = decode(row.h, 'hex') FROM json_to_recordset($2::json) \
        AS row (i uuid, s bigint, h text) WHERE audit_log.id = row.i RETURNING 1), \
    heads AS (UPDATE chain_head SET sealed = row.s, hash = decode(row.h, 'hex'), mac = decode(row.m, 'hex') \
        FROM json_to_recordset($3::json) AS row (p uuid, c text, s bigint, h text, m text) \
        WHERE chain_head.partner_id = row.p AND chain_head.chain = row.c RETURNING 1) \
    SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM lines) + (SELECT count(*) FROM heads) AS written";

const SEAL_SQLITE: &str = "\
    UPDATE event SET seq = row.s, hash = row.h FROM (SELECT unhex(value ->> 'i') AS i, value ->> 's' AS s, \
        unhex(value ->> 'h') AS h FROM json_each(?)) AS row WHERE event.id = row.i; \
    UPDATE audit_log SET seq = row.s, hash = row.h FROM (SELECT unhex(value ->> 'i') AS i, value ->> 's' AS s, \
        unhex(value ->> 'h') AS h FROM json_each(?)) AS row WHERE audit_log.id = row.i; \
    UPDATE chain_head SET sealed = row.s, hash = row.h, mac = row.m FROM (SELECT unhex(value ->> 'p') AS p, \
        value ->> 'c' AS c, value ->> 's' AS s, unhex(value ->> 'h') AS h, unhex(value ->> 'm') AS m \
        FROM json_each(?)) AS row WHERE chain_head.partner_id = row.p AND chain_head.chain = row.c";
