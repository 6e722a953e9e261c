//! Database tables: columns, stored enums and fixed-point types for amounts. No business rules, I/O or
//! GraphQL.

pub mod account;
pub mod api_key;
pub mod audit_log;
pub mod bank_account;
pub mod bar;
pub mod chain_head;
pub mod data_key;
pub mod event;
pub mod event_stream;
pub mod fill;
pub mod fixed;
pub mod idempotency;
pub mod instrument;
pub mod invitation;
pub mod kind;
pub mod kyc;
pub mod kyc_document;
pub mod kyc_review;
pub mod ledger_account;
pub mod ledger_hold;
pub mod ledger_release;
pub mod ledger_transfer;
pub mod limit_use;
pub mod login;
pub mod message;
pub mod meta;
pub mod order;
pub mod partner;
pub mod passcode;
pub mod position;
pub mod positional;
pub mod quote_override;
pub mod recovery;
pub mod screening_exception;
pub mod screening_hit;
pub mod screening_run;
pub mod second_factor;
pub mod session;
pub mod timer;
pub mod transfer;
pub mod user;
pub mod watch_list;
pub mod watch_list_name;

pub use fixed::{FixedError, Money, Percent, Price, Quantity};
pub use kind::Kind;
