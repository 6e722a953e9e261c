//! `users`: users of partners. Social security number, birth date and phone number are stored encrypted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub status: Status,
    /// Empty until known.
    pub first_name: String,
    /// Empty until known.
    pub last_name: String,
    pub email: String,
    pub phone: Option<Vec<u8>>,
    pub ssn: Option<Vec<u8>>,
    /// Blind index for finding users with the same social security number.
    pub ssn_index: Option<Vec<u8>>,
    pub birth_date: Option<Vec<u8>>,
    pub address_line_1: Option<String>,
    pub address_line_2: Option<String>,
    pub address_city: Option<String>,
    pub address_state: Option<String>,
    pub address_postal_code: Option<String>,
    pub address_country_code: Option<String>,
    pub created_at: DateTimeUtc,
    #[serde(default)]
    pub gender: Option<String>,
    /// Invitation the user signed up with, which names their employer.
    #[serde(default)]
    pub invitation_id: Option<Uuid>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Identity verification status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    ActionRequired,
    DocumentationRequired,
    Approved,
    Denied,
    Closed,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
