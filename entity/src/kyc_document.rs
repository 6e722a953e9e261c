//! `kyc_document`: what a person sent to prove who she is. The file lies in the document store, encrypted
//! under a key of its own.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc_document")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub kyc_id: Uuid,
    /// What the documented API calls it by.
    #[sea_orm(unique)]
    pub token: String,
    pub kind: DocumentKind,
    pub format: Format,
    pub name: Vec<u8>,
    pub extension: String,
    pub notes: Option<Vec<u8>>,
    /// In bytes, before encryption.
    pub size: i32,
    /// The key of the file.
    pub content_key: Vec<u8>,
    pub uploaded_by: Option<Uuid>,
    pub uploaded_at: DateTimeUtc,
}

/// What the file of a document is called.
pub fn file_name(partner_id: Uuid, id: Uuid) -> String {
    format!("{partner_id}/{id}")
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KycDocument").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DocumentKind {
    SsnCard,
    License,
    Passport,
    Utility,
}

/// What a document's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Format {
    Pdf,
    Jpeg,
    Png,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
