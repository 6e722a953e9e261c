//! Migrations of the database schema, one file each. Existing migrations are never changed.

pub use sea_orm_migration::prelude::*;

mod m20261121_000001_house;
mod m20261121_000002_access;
mod m20261121_000003_rate_windows;
mod m20261121_000004_data_keys;
mod m20261121_000005_messages;
mod m20261121_000006_api_keys;
mod m20261121_000007_customers;
mod m20261126_000010_watch_lists;
mod m20261126_000012_evidence;
mod m20261126_000013_input;
mod m20261127_000014_event_streams;
mod m20261127_000016_sorted_lists;
mod m20261127_000017_partner_settings;
mod m20261128_000018_kyc_reviews;
mod m20261128_000019_limit_uses;
mod m20261128_000021_market_data;
mod m20261128_000022_order_types;
mod m20261128_000023_tax_lots;
mod m20261128_000026_regulatory_fees;
mod m20261128_000027_corporate_actions;
mod m20261128_000028_corporate_action_lists;
mod m20261128_000030_transfers;
mod m20261128_000031_former_quotes;
mod m20261128_000032_statements;
mod words;

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_house::Migration),
            Box::new(m20261121_000002_access::Migration),
            Box::new(m20261121_000003_rate_windows::Migration),
            Box::new(m20261121_000004_data_keys::Migration),
            Box::new(m20261121_000005_messages::Migration),
            Box::new(m20261121_000006_api_keys::Migration),
            Box::new(m20261121_000007_customers::Migration),
            Box::new(m20261126_000010_watch_lists::Migration),
            Box::new(m20261126_000012_evidence::Migration),
            Box::new(m20261126_000013_input::Migration),
            Box::new(m20261127_000014_event_streams::Migration),
            Box::new(m20261127_000016_sorted_lists::Migration),
            Box::new(m20261127_000017_partner_settings::Migration),
            Box::new(m20261128_000018_kyc_reviews::Migration),
            Box::new(m20261128_000019_limit_uses::Migration),
            Box::new(m20261128_000021_market_data::Migration),
            Box::new(m20261128_000022_order_types::Migration),
            Box::new(m20261128_000023_tax_lots::Migration),
            Box::new(m20261128_000026_regulatory_fees::Migration),
            Box::new(m20261128_000027_corporate_actions::Migration),
            Box::new(m20261128_000028_corporate_action_lists::Migration),
            Box::new(m20261128_000030_transfers::Migration),
            Box::new(m20261128_000031_former_quotes::Migration),
            Box::new(m20261128_000032_statements::Migration),
        ]
    }
}
