//! The audit log: which caller requested which operation, and its outcome.

use super::{
    actor::Caller,
    clock,
    db::WriteTransaction,
    digest::{self, RowDigest},
    ids::Ids,
};
use crate::{Result, kernel::app::App};
use entity::{Kind, audit_log};
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
    /// Hands the line over to the transaction of the operation that it describes.
    pub async fn write(self, tx: &WriteTransaction, ids: Ids) {
        tx.insert(&audit_log::Model {
            id: ids.next(Kind::AuditLine),
            partner_id: self.partner_id,
            principal_id: self.principal_id,
            operation: self.operation.to_owned(),
            object_id: self.object_id,
            decision: self.decision.to_owned(),
            request_id: self.request_id,
            recorded_at: clock::system_now(),
            seq: None,
            hash: None,
        })
        .await;
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
    line.write(&tx, app.ids).await;
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
