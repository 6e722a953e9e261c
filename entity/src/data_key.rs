//! `data_key`: keys that encrypt, sign and index data, each wrapped by the configured encryption key.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Partner with the data that the key encrypts; absent for the server's own keys.
    pub partner_id: Option<Uuid>,
    pub purpose: Purpose,
    /// Version of the key, from 1.
    pub number: i32,
    /// Encrypted key.
    pub wrapped: Vec<u8>,
    /// Check value of the encryption key that wraps this key.
    pub kek: String,
    pub created_at: DateTimeUtc,
    /// Time since which the key no longer encrypts; it can still decrypt.
    pub retired_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Purpose of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Purpose {
    /// Encrypts a partner's data. The server's own key decrypts data from before partners had keys.
    Data,
    /// Computes blind indexes, which find equal values without decrypting them.
    Index,
    /// Verifies API keys.
    Pepper,
    /// Computes fingerprints that recognize repeated requests.
    Fingerprint,
    /// Signs tokens.
    Tokens,
    /// Verifies one-time passcodes.
    Passcodes,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
