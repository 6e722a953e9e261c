//! The audit log: which caller requested which operation, and its outcome.

use super::{
    actor::Caller,
    clock,
    digest::{self, RowDigest},
    ids::Ids,
};
use crate::{Result, kernel::app::App};
use entity::{Kind, audit_log};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};
use uuid::Uuid;

/// A line to write.
#[derive(Clone, Debug)]
pub struct Line {
    pub partner_id: Uuid,
    pub principal_id: Uuid,
    pub operation: &'static str,
    pub object_id: Option<Uuid>,
    /// `done`, the code of the refusal, or the name of a security event.
    pub decision: &'static str,
    pub request_id: Uuid,
}

impl Line {
    /// Writes the line in the transaction of the operation that it describes.
    pub async fn write(self, connection: &impl ConnectionTrait, ids: Ids) -> Result<()> {
        audit_log::ActiveModel {
            id: Set(ids.next(Kind::AuditLine)),
            partner_id: Set(self.partner_id),
            principal_id: Set(self.principal_id),
            operation: Set(self.operation.to_owned()),
            object_id: Set(self.object_id),
            decision: Set(self.decision.to_owned()),
            request_id: Set(self.request_id),
            recorded_at: Set(clock::system_now()),
            seq: Set(None),
            hash: Set(None),
        }
        .insert(connection)
        .await?;
        Ok(())
    }
}

/// Records, in a separate transaction, that a caller read personal data.
pub async fn record_read(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    operation: &'static str,
    object_id: Option<Uuid>,
) -> Result<()> {
    let line = Line {
        partner_id: caller.access_scope.partner_id,
        principal_id: caller.principal_id,
        operation,
        object_id,
        decision: "done",
        request_id,
    };
    write_separately(app, line).await
}

async fn write_separately(app: &App, line: Line) -> Result<()> {
    let tx = app.db.write().await?;
    line.write(&tx, app.ids).await?;
    tx.commit().await?;
    app.sequencer.wake();
    Ok(())
}

/// Records, in a separate transaction, a failed attempt to authenticate.
pub async fn failed(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    operation: &'static str,
    decision: &'static str,
) -> Result<()> {
    let line = Line {
        partner_id: caller.access_scope.partner_id,
        principal_id: caller.principal_id,
        operation,
        object_id: None,
        decision,
        request_id,
    };
    write_separately(app, line).await
}

/// Returns a line's digest: SHA-256 over its columns.
pub fn line_digest(line: &audit_log::Model) -> RowDigest {
    digest::of(&[
        line.id.as_bytes(),
        line.partner_id.as_bytes(),
        line.principal_id.as_bytes(),
        line.operation.as_bytes(),
        line.object_id.as_ref().map_or(&[][..], |id| id.as_bytes()),
        line.decision.as_bytes(),
        line.request_id.as_bytes(),
        &line.recorded_at.timestamp_micros().to_be_bytes(),
    ])
}
