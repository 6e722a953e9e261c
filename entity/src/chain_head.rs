//! `chain_head`: number of sealed rows of a partner's hash chain and the hash of the last one, signed with a
//! key that is not in the database.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "chain_head")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain: Chain,
    /// Number of sealed rows, which is the number of the last one.
    pub sealed: i64,
    /// Hash of the last sealed row.
    pub hash: Vec<u8>,
    /// HMAC-SHA256 of the columns above.
    pub mac: Vec<u8>,
}

/// Table with a hash chain, by its name in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Chain {
    Event,
    AuditLog,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
