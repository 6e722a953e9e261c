//! What events say about their objects.
//!
//! Events are never rewritten, so a field that was added later is optional.

use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    Money, Price, Quantity,
    account::{self, AccountKind, Ownership},
    bank_account,
    corporate_action::{self, ActionKind},
    entitlement, fill,
    instrument::{self, AssetClass},
    kyc, order, statement, transfer, user,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    pub id: Uuid,
    pub status: user::Status,
}

impl From<&user::Model> for UserState {
    fn from(user: &user::Model) -> Self {
        Self { id: user.id, status: user.status }
    }
}

/// An identity check after an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckState {
    pub id: Uuid,
    pub token: String,
    /// User whose identity is checked; absent for a check without a user.
    pub user_id: Option<Uuid>,
    pub status: kyc::Outcome,
}

impl From<&kyc::Model> for CheckState {
    fn from(check: &kyc::Model) -> Self {
        Self { id: check.id, token: check.token.clone(), user_id: check.user_id, status: check.outcome }
    }
}

/// An account after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    pub id: Uuid,
    pub user_id: Uuid,
    pub joint_member_id: Option<Uuid>,
    pub status: account::Status,
    /// Ownership; absent from older events, when every account was individual.
    #[serde(default = "individual")]
    pub ownership: Ownership,
    pub account_type: AccountKind,
}

const fn individual() -> Ownership {
    Ownership::Individual
}

impl From<&account::Model> for AccountState {
    fn from(account: &account::Model) -> Self {
        Self {
            id: account.id,
            user_id: account.user_id,
            joint_member_id: account.joint_member_id,
            status: account.status,
            ownership: account.ownership,
            account_type: account.kind,
        }
    }
}

/// A bank account of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccountState {
    pub id: Uuid,
    pub user_id: Uuid,
}

impl From<&bank_account::Model> for BankAccountState {
    fn from(bank_account: &bank_account::Model) -> Self {
        Self { id: bank_account.id, user_id: bank_account.user_id }
    }
}

/// A transfer after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferState {
    pub id: Uuid,
    pub account_id: Uuid,
    pub amount: Money,
    pub status: transfer::Status,
    /// Why the bank returned it; absent unless it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_code: Option<transfer::ReturnCode>,
    /// Why it failed; absent unless it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<transfer::Failure>,
    /// What a withdrawal pays, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Money>,
}

impl From<&transfer::Model> for TransferState {
    fn from(transfer: &transfer::Model) -> Self {
        Self {
            id: transfer.id,
            account_id: transfer.account_id,
            amount: transfer.amount,
            status: transfer.status,
            return_code: transfer.return_code.filter(|_| transfer.status == transfer::Status::Returned),
            failure: transfer.failure,
            paid: transfer.paid(),
        }
    }
}

/// An order after an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    pub id: Uuid,
    pub account_id: Uuid,
    pub status: order::Status,
    pub filled_quantity: Quantity,
    /// The rest of the order as it was; absent from older events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Box<OrderFacts>>,
}

/// What an event says about an order besides its status: the fields that the REST API shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFacts {
    pub asset_id: Uuid,
    pub symbol: String,
    pub exchange: String,
    pub asset_class: AssetClass,
    pub side: order::Side,
    pub r#type: order::OrderKind,
    pub time_in_force: order::TimeInForce,
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    pub filled_average_price: Option<Price>,
    pub submitted_at: DateTime<Utc>,
    pub filled_at: Option<DateTime<Utc>>,
    pub expired_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
}

impl OrderState {
    /// Returns the state of an order for this instrument.
    pub fn of(order: &order::Model, instrument: &instrument::Model) -> Self {
        let facts = OrderFacts {
            asset_id: instrument.id,
            symbol: instrument.symbol.clone(),
            exchange: instrument.exchange.clone(),
            asset_class: instrument.asset_class,
            side: order.side,
            r#type: order.kind,
            time_in_force: order.time_in_force,
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.stop_price,
            filled_average_price: order.filled_average_price,
            submitted_at: order.submitted_at,
            filled_at: order.filled_at,
            expired_at: order.expired_at,
            canceled_at: order.canceled_at,
            failed_at: order.failed_at,
        };
        Self {
            id: order.id,
            account_id: order.account_id,
            status: order.status,
            filled_quantity: order.filled_quantity,
            order: Some(Box::new(facts)),
        }
    }
}

/// A settled trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeState {
    /// Id of the fill.
    pub id: Uuid,
    pub order_id: Uuid,
    pub account_id: Uuid,
}

impl From<&fill::Model> for TradeState {
    fn from(fill: &fill::Model) -> Self {
        Self { id: fill.id, order_id: fill.order_id, account_id: fill.account_id }
    }
}

/// A position after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionState {
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub quantity: Quantity,
}

/// A corporate action when it was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorporateActionState {
    pub id: Uuid,
    pub instrument_id: Uuid,
    pub kind: ActionKind,
    pub ex_on: NaiveDate,
}

impl From<&corporate_action::Model> for CorporateActionState {
    fn from(action: &corporate_action::Model) -> Self {
        Self { id: action.id, instrument_id: action.instrument_id, kind: action.kind, ex_on: action.ex_on }
    }
}

/// What a corporate action meant for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementState {
    pub id: Uuid,
    pub corporate_action_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub kind: ActionKind,
    /// Number of shares held at the close before the ex-date.
    pub quantity: Quantity,
    /// Number of shares after it; absent for a dividend.
    pub new_quantity: Option<Quantity>,
    /// What was paid in cash.
    pub cash: Money,
}

impl EntitlementState {
    /// Returns the state of an entitlement to this action.
    pub const fn of(entitlement: &entitlement::Model, action: &corporate_action::Model) -> Self {
        Self {
            id: entitlement.id,
            corporate_action_id: action.id,
            account_id: entitlement.account_id,
            instrument_id: action.instrument_id,
            kind: action.kind,
            quantity: entitlement.quantity,
            new_quantity: entitlement.new_quantity,
            cash: entitlement.cash,
        }
    }
}

/// A statement when it was issued: the fields that the REST API shows, without its address, which expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementState {
    pub id: Uuid,
    pub account_id: Uuid,
    /// First day of the period, in New York.
    pub start_date: NaiveDate,
    /// Last day of the period, in New York.
    pub end_date: NaiveDate,
}

impl From<&statement::Model> for StatementState {
    fn from(statement: &statement::Model) -> Self {
        Self {
            id: statement.id,
            account_id: statement.account_id,
            start_date: statement.start_on,
            end_date: statement.end_on,
        }
    }
}
