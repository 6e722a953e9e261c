//! `kyc_document`: documents uploaded for identity checks. Each file is in the document store, encrypted with
//! its own key.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc_document")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub kyc_id: Uuid,
    /// Token that identifies the document in the REST API.
    #[sea_orm(unique)]
    pub token: String,
    pub kind: DocumentKind,
    pub format: Format,
    pub name: Vec<u8>,
    pub extension: String,
    pub notes: Option<Vec<u8>>,
    /// Size in bytes before encryption.
    pub size: i32,
    /// Key of the file, encrypted.
    pub content_key: Vec<u8>,
    pub uploaded_by: Option<Uuid>,
    pub uploaded_at: DateTimeUtc,
}

/// Returns the name of a document's file in the document store.
pub fn file_name(partner_id: Uuid, id: Uuid) -> String {
    format!("{partner_id}/{id}")
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KycDocument").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Type of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DocumentKind {
    SsnCard,
    License,
    Passport,
    Utility,
}

/// File format of a document.
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
