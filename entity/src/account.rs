//! `account`: brokerage accounts with their owner's profile.

use crate::tax_lot::LotMethod;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    /// Human-readable account number: four letters and five digits, for example `ABCD12345`.
    #[sea_orm(unique)]
    pub number: String,
    pub ownership: Ownership,
    pub kind: AccountKind,
    pub status: Status,
    pub marital_status: String,
    pub country_of_citizenship: String,
    pub employment_status: String,
    pub employment_position: String,
    pub employer_name: String,
    pub annual_income: Option<String>,
    pub investment_objective: Option<String>,
    pub investment_experience: Option<String>,
    pub net_liquid_worth: Option<String>,
    pub net_total_worth: Option<String>,
    pub is_director: Option<bool>,
    pub director_of: Option<String>,
    pub risk_tolerance: Option<String>,
    pub opened_at: DateTimeUtc,
    /// Second owner of a joint account.
    #[serde(default)]
    pub joint_member_id: Option<Uuid>,
    /// Why the account was frozen or closed, encrypted.
    #[serde(default)]
    pub status_reason: Option<Vec<u8>>,
    /// How the account's gains are taxed.
    #[serde(default)]
    pub tax_treatment: TaxTreatment,
    /// Order in which lots are sold, unless an order says otherwise.
    #[serde(default)]
    pub lot_method: LotMethod,
    /// Time until which only settled cash buys shares, after repeated violations of the settlement rules.
    #[serde(default)]
    pub settled_cash_only_until: Option<DateTimeUtc>,
    /// Time at which a freeze ends by itself.
    #[serde(default)]
    pub frozen_until: Option<DateTimeUtc>,
    /// What happens to dividends.
    #[serde(default)]
    pub dividend_option: DividendOption,
}

/// What happens to the dividends of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DividendOption {
    #[default]
    Cash,
    Reinvest,
}

/// How the gains of an account are taxed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TaxTreatment {
    #[default]
    Taxable,
    TraditionalIra,
    RothIra,
}

/// Ownership type of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    Individual,
    Joint,
}

/// Account type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    Cash,
    Investment,
}

/// Account status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Frozen,
    Closed,
}

impl ActiveModelBehavior for ActiveModel {}
