//! The event log of a partner without what differs from run to run.
//!
//! Ids are numbered in the order of their appearance, and so are random texts. Digests and system times are left out.
//! Two partners with the same seed, who execute the same commands, then have the same lines, byte for byte.

use crate::{
    Result,
    kernel::events::{self, unreadable},
};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{Kind, event};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// Fields of payloads with a random text.
const RANDOM: [&str; 2] = ["public_id", "token"];

/// Number of events read at a time.
const PAGE: u64 = 500;

/// Reads the events of one partner, in order.
pub struct Export {
    partner_id: Uuid,
    last: i64,
    names: HashMap<String, String>,
    counts: HashMap<String, u64>,
    time: PartnerTime,
}

/// Whether the partner's clock shows a time that a command has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartnerTime {
    /// It follows the system's.
    Running,
    /// It was stopped, at a system time.
    Stopped,
    /// It was moved while it was stopped.
    Set,
}

impl Export {
    /// Creates an export of all events of a partner.
    pub fn new(partner_id: Uuid) -> Self {
        Self {
            partner_id,
            last: 0,
            names: HashMap::new(),
            counts: HashMap::new(),
            time: PartnerTime::Running,
        }
    }

    /// Returns the next lines: a JSON object for each event. None at the end of the log.
    pub async fn next(&mut self, connection: &impl ConnectionTrait) -> Result<Vec<String>> {
        let rows = events::page(connection, self.partner_id, self.last, PAGE).await?;
        self.last = rows.last().and_then(|row| row.seq).unwrap_or(self.last);
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&mut self, row: &event::Model) -> Result<String> {
        let payload: Value = serde_json::from_str(&row.payload).map_err(|_| unreadable(row))?;
        if row.kind == "sandbox.clock_changed" {
            self.time = match (self.time, payload.get("frozen").and_then(Value::as_bool)) {
                (PartnerTime::Running, Some(true)) => PartnerTime::Stopped,
                (_, Some(true)) => PartnerTime::Set,
                _ => PartnerTime::Running,
            };
        }
        let occurred_at = self.time(row.occurred_at);
        let (stream, actor) = (self.id(row.stream_id), row.actor_id.map(|id| self.id(id)));
        let payload = self.shown(None, payload);
        let line = json!({
            "seq": row.seq, "type": row.kind, "occurred_at": occurred_at, "stream": stream,
            "stream_version": row.stream_version, "actor": actor, "payload": payload,
        });
        Ok(line.to_string())
    }

    /// Returns a value of a payload without what differs from run to run.
    fn shown(&mut self, field: Option<&str>, value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let shown = fields.into_iter().map(|(name, value)| {
                    let value = self.shown(Some(&name), value);
                    (name, value)
                });
                Value::Object(shown.collect::<Map<_, _>>())
            }
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.shown(field, item)).collect())
            }
            Value::String(text) => match field {
                Some(field) if RANDOM.contains(&field) => Value::String(self.named(field, &text)),
                _ => self.text(text),
            },
            other => other,
        }
    }

    fn text(&mut self, text: String) -> Value {
        if let Ok(id) = Uuid::try_parse(&text) {
            return Value::String(self.id(id));
        }
        match text.parse::<DateTime<Utc>>() {
            Ok(time) => self.time(time),
            Err(_) => Value::String(text),
        }
    }

    /// Returns a time, or null if it follows from the system's time.
    fn time(&self, time: DateTime<Utc>) -> Value {
        match self.time {
            PartnerTime::Set => Value::String(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            PartnerTime::Running | PartnerTime::Stopped => Value::Null,
        }
    }

    fn id(&mut self, id: Uuid) -> String {
        let kind = Kind::of(id).map_or_else(|| "Object".to_owned(), |kind| format!("{kind:?}"));
        self.named(&kind, &id.to_string())
    }

    /// Returns the name of a text: its kind and a number.
    fn named(&mut self, kind: &str, text: &str) -> String {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let name = format!("{kind} {count}");
        self.names.insert(text.to_owned(), name.clone());
        name
    }
}

/// Returns the number of events that have no number yet and are therefore not exported.
pub async fn unnumbered(connection: &impl ConnectionTrait, partner_id: Uuid) -> Result<u64> {
    let select = event::Entity::find()
        .filter(event::Column::PartnerId.eq(partner_id))
        .filter(event::Column::Seq.is_null());
    Ok(select.count(connection).await?)
}
