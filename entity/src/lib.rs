//! The tables: columns, stored enums, money newtypes. No rules, no input or output, no GraphQL.

pub mod account;
pub mod api_key;
pub mod audit_log;
pub mod bank_account;
pub mod data_key;
pub mod event;
pub mod fill;
pub mod fixed;
pub mod idempotency;
pub mod instrument;
pub mod invitation;
pub mod kind;
pub mod kyc;
pub mod ledger_account;
pub mod ledger_hold;
pub mod ledger_release;
pub mod ledger_transfer;
pub mod login;
pub mod message;
pub mod meta;
pub mod order;
pub mod partner;
pub mod passcode;
pub mod position;
pub mod quote_override;
pub mod rate_window;
pub mod recovery;
pub mod second_factor;
pub mod session;
pub mod throttle;
pub mod timer;
pub mod transfer;
pub mod user;

pub use fixed::{FixedError, Money, Price, Quantity};
pub use kind::Kind;
