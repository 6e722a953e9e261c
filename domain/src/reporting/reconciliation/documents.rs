//! Checks of documents against their files.

use super::{Audit, PAGE};
use crate::{
    Error, Result,
    kernel::secrets::SEALING_BYTES,
    providers::files::{FileError, Files},
};
use entity::kyc_document;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks that every document has a file of the right size and returns the number of documents. A file
    /// without a document is not an error: it is being uploaded, or was left behind by a crash.
    pub(super) async fn documents(&mut self, files: &Files) -> Result<u64> {
        // Starts the snapshot before the files are listed, so that the file of every document in it is there.
        let first = kyc_document::Entity::find().one(&self.connection).await?;
        let mut sizes = files.sizes().await.map_err(|error| match error {
            FileError::Taken => Error::broken("the files of documents cannot be listed"),
            FileError::Failed(cause) => {
                Error::broken(format!("the files of documents cannot be listed: {cause}"))
            }
        })?;
        let (mut missing, mut damaged): ((u64, Option<Uuid>), Option<Uuid>) = ((0, None), None);
        let mut rows = 0;
        if first.is_some() {
            rows = walk!(self, kyc_document, row => {
                match sizes.remove(&kyc_document::file_name(row.partner_id, row.id)) {
                    None => missing = (missing.0 + 1, missing.1.or(Some(row.id))),
                    Some(size) if size != u64::from(row.size.unsigned_abs()) + SEALING_BYTES as u64 => {
                        damaged = damaged.or(Some(row.id));
                    }
                    Some(_) => {}
                }
            });
        }
        if let (count, Some(first)) = missing {
            self.wrong(format!("{count} of {rows} documents have no file; the first is {first}"));
        }
        if let Some(id) = damaged {
            self.wrong(format!("the file of document {id} has the wrong size"));
        }
        if let Some(name) = sizes.keys().next() {
            self.report
                .notes
                .push(format!("{} files do not belong to any document, for example {name}", sizes.len()));
        }
        Ok(rows)
    }
}
