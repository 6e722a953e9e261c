//! Every event that the log can contain: its name, its payload, and what it is about.
//!
//! Events are never rewritten, so a payload written by an earlier version must stay readable: a field that
//! was added later is optional.

use super::{
    states::{
        AccountState, BankAccountState, CheckState, CorporateActionState, EntitlementState, OrderState,
        PositionState, StatementState, TradeState, TransferState, UserState,
    },
    unreadable,
};
use crate::{Error, Result, kernel::partner_settings::SettingsChange};
use chrono::{DateTime, Utc};
use entity::{
    Price, Quantity, event,
    partner::{MarketHours, Mode},
    user,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Defines `Event` and `EventType` from one list: the name in the log, the variant with its payload, and the object
/// that the event begins or is about, in the field of its payload after `by`. For every list of event types there is
/// the macro `event_types`.
macro_rules! events {
    ($($(#[$doc:meta])* $name:literal $variant:ident $payload:tt $link:ident $subject:ident $(by $field:ident)?,)*) => {
        /// An event with its payload.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type", content = "payload")]
        pub enum Event {
            $($(#[$doc])* #[serde(rename = $name)] $variant $payload,)*
        }

        /// Type of an event: the variants of `Event` without their payloads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }

        impl EventType {
            /// All event types.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name in the log, for example `order.filled`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether the event creates its object, so that it is the first of its stream.
            pub const fn begins_stream(self) -> bool {
                match self {
                    $(Self::$variant => begins!($link),)*
                }
            }
        }

        impl Event {
            /// Returns the type of the event.
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$variant { .. } => EventType::$variant,)*
                }
            }

            /// Returns the object that the event belongs to.
            pub const fn subject(&self) -> Subject<'_> {
                match self {
                    $(with_subject!($variant $subject state $($field)?) => subject!($subject state),)*
                }
            }
        }

        /// Passes every event type with its description to a macro.
        #[macro_export]
        macro_rules! event_types {
            ($callback:ident) => {
                $callback! { $($(#[$doc])* $variant,)* }
            };
        }
    };
}

macro_rules! begins {
    (begins) => {
        true
    };
    (about) => {
        false
    };
}

/// The pattern of an event that binds its subject.
macro_rules! with_subject {
    ($variant:ident Partner $state:ident) => {
        Event::$variant { .. }
    };
    ($variant:ident $subject:ident $state:ident) => {
        Event::$variant { 0: $state, .. }
    };
    ($variant:ident $subject:ident $state:ident $field:ident) => {
        Event::$variant { $field: $state, .. }
    };
}

macro_rules! subject {
    (Partner $state:ident) => {
        Subject::Partner
    };
    ($subject:ident $state:ident) => {
        Subject::$subject($state)
    };
}

events! {
    /// A partner was created.
    "partner.created" PartnerCreated { id: Uuid, mode: Mode } begins Partner,
    /// Settings of the partner were changed.
    "partner.settings_changed" PartnerSettingsChanged(SettingsChange) about Partner,
    /// An API key was issued.
    "api_key.issued" ApiKeyIssued {
        id: Uuid,
        public_id: String,
        /// Scopes, separated by spaces.
        scopes: String,
        rotated_from: Option<Uuid>,
    } about Partner,
    /// An API key was revoked.
    "api_key.revoked" ApiKeyRevoked { id: Uuid, public_id: String } about Partner,
    /// A user was created.
    "user.created" UserCreated(UserState) begins User,
    /// A user's data was changed.
    "user.updated" UserUpdated(UserState) about User,
    /// A user's identity verification status changed.
    "user.status_changed" UserStatusChanged {
        #[serde(flatten)]
        user: UserState,
        /// Status before the change.
        from: user::Status,
    } about User by user,
    /// An identity check was created.
    "kyc.created" KycCreated(CheckState) begins Check,
    /// The data of an identity check was corrected.
    "kyc.updated" KycUpdated(CheckState) about Check,
    /// The questions of an identity check were answered.
    "kyc.answered" KycAnswered(CheckState) about Check,
    /// The time for answering the questions of an identity check ended.
    "kyc.expired" KycExpired(CheckState) about Check,
    /// A document was uploaded for an identity check.
    "kyc.document_uploaded" KycDocumentUploaded {
        #[serde(flatten)]
        check: CheckState,
        document_id: Uuid,
    } about Check by check,
    /// A watch-list hit was cleared.
    "kyc.hit_cleared" KycHitCleared(CheckState) about Check,
    /// An entry of a new watch list resembles an existing user.
    "kyc.watch_list_hit_found" KycWatchListHitFound {
        #[serde(flatten)]
        check: CheckState,
        hit_id: Uuid,
    } about Check by check,
    /// A reviewer approved or denied an identity check.
    "kyc.reviewed" KycReviewed(CheckState) about Check,
    /// An account was opened.
    "account.created" AccountCreated(AccountState) begins Account,
    /// An account was changed.
    "account.updated" AccountUpdated(AccountState) about Account,
    /// An account was frozen.
    "account.frozen" AccountFrozen(AccountState) about Account,
    /// An account was unfrozen.
    "account.unfrozen" AccountUnfrozen(AccountState) about Account,
    /// An account was closed.
    "account.closed" AccountClosed(AccountState) about Account,
    /// A bank account was linked.
    "bank_account.created" BankAccountCreated(BankAccountState) begins BankAccount,
    /// A bank account was changed.
    "bank_account.updated" BankAccountUpdated {
        #[serde(flatten)]
        bank_account: BankAccountState,
        default: bool,
    } about BankAccount by bank_account,
    /// A bank account is no longer used, because a bank has returned a transfer.
    "bank_account.disabled" BankAccountDisabled(BankAccountState) about BankAccount,
    /// A bank account was removed.
    "bank_account.deleted" BankAccountDeleted(BankAccountState) about BankAccount,
    /// A deposit was created.
    "deposit.pending" DepositPending(TransferState) begins Transfer,
    /// A deposit was sent to the bank.
    "deposit.submitted" DepositSubmitted(TransferState) about Transfer,
    /// A deposit settled; its money is available as cash.
    "deposit.settled" DepositSettled(TransferState) about Transfer,
    /// The bank returned a deposit; its money was taken back.
    "deposit.returned" DepositReturned(TransferState) about Transfer,
    /// A deposit was canceled before it was sent to the bank.
    "deposit.canceled" DepositCanceled(TransferState) about Transfer,
    /// A deposit could not be sent to the bank.
    "deposit.failed" DepositFailed(TransferState) about Transfer,
    /// A withdrawal was created; the cash that it takes is set aside.
    "withdrawal.pending" WithdrawalPending(TransferState) begins Transfer,
    /// Shares are being sold for a withdrawal.
    "withdrawal.selling" WithdrawalSelling(TransferState) about Transfer,
    /// The money of a withdrawal is set aside, but some of its sales have not settled.
    "withdrawal.awaiting_settlement" WithdrawalAwaitingSettlement(TransferState) about Transfer,
    /// A withdrawal was sent to the bank.
    "withdrawal.submitted" WithdrawalSubmitted(TransferState) about Transfer,
    /// A withdrawal is in the bank account.
    "withdrawal.completed" WithdrawalCompleted(TransferState) about Transfer,
    /// The bank returned a withdrawal; its money is cash again.
    "withdrawal.returned" WithdrawalReturned(TransferState) about Transfer,
    /// A withdrawal was canceled before it was sent to the bank; its money is cash again.
    "withdrawal.canceled" WithdrawalCanceled(TransferState) about Transfer,
    /// A withdrawal failed before it was sent to the bank; its money is cash again.
    "withdrawal.failed" WithdrawalFailed(TransferState) about Transfer,
    /// An order was accepted; its cash or shares are held.
    "order.accepted" OrderAccepted(OrderState) begins Order,
    /// An order was sent to the venue.
    "order.new" OrderNew(OrderState) about Order,
    /// Some shares of an order were filled.
    "order.partially_filled" OrderPartiallyFilled {
        #[serde(flatten)]
        order: OrderState,
        /// Price per share of the fill.
        price: Price,
    } about Order by order,
    /// All shares of an order were filled.
    "order.filled" OrderFilled {
        #[serde(flatten)]
        order: OrderState,
        /// Price per share of the fill; absent from older events.
        #[serde(skip_serializing_if = "Option::is_none")]
        price: Option<Price>,
    } about Order by order,
    /// An order was canceled; its hold is released.
    "order.canceled" OrderCanceled(OrderState) about Order,
    /// An order expired; its hold is released.
    "order.expired" OrderExpired(OrderState) about Order,
    /// The price or the quantity of an open order was replaced.
    "order.replaced" OrderReplaced(OrderState) about Order,
    /// An order was rejected; its hold is released.
    "order.rejected" OrderRejected(OrderState) about Order,
    /// A trade was confirmed: shares were bought or sold.
    "trade.confirmed" TradeConfirmed(TradeState) begins Trade,
    /// A trade settled.
    "trade.settled" TradeSettled(TradeState) about Trade,
    /// The number of shares in a position changed.
    "position.changed" PositionChanged(PositionState) about Position,
    /// A corporate action was announced.
    "corporate_action.announced" CorporateActionAnnounced(CorporateActionState) about Partner,
    /// An announced corporate action was withdrawn.
    "corporate_action.withdrawn" CorporateActionWithdrawn(CorporateActionState) about Partner,
    /// A corporate action was applied to an account: its dividend was paid, or its shares were split or renamed.
    "corporate_action.applied" CorporateActionApplied(EntitlementState) begins Entitlement,
    /// A statement of an account can be downloaded.
    "statement.ready" StatementReady(StatementState) begins Statement,
    /// The sandbox clock was frozen, started or moved.
    "sandbox.clock_changed" SandboxClockChanged { frozen: bool, at: DateTime<Utc> } about Partner,
    /// A fixed quote was set or removed in the sandbox.
    "sandbox.quote_set" SandboxQuoteSet { symbol: String, bid: Option<Price>, ask: Option<Price> } about Partner,
    /// A bar of an instrument was pushed in the sandbox.
    "sandbox.bar_pushed" SandboxBarPushed {
        symbol: String,
        starts_at: DateTime<Utc>,
        open: Price,
        high: Price,
        low: Price,
        close: Price,
        volume: Quantity,
    } about Partner,
    /// The market hours of the sandbox were changed.
    "sandbox.market_hours_set" SandboxMarketHoursSet { market_hours: MarketHours } about Partner,
}

/// Object that an event belongs to, in its state after the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Partner,
    User(&'a UserState),
    Check(&'a CheckState),
    Account(&'a AccountState),
    BankAccount(&'a BankAccountState),
    Transfer(&'a TransferState),
    Order(&'a OrderState),
    Trade(&'a TradeState),
    /// A position belongs to the stream of its account.
    Position(&'a PositionState),
    Entitlement(&'a EntitlementState),
    Statement(&'a StatementState),
}

/// Users that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The partner alone.
    Partner,
    User(Uuid),
    /// The owners of an account.
    Account(Uuid),
}

impl EventType {
    /// Returns the event type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event_type| event_type.name() == name)
    }
}

impl Event {
    /// Reads an event of the log. Fails if this version does not know its type or cannot read its payload.
    pub fn of(row: &event::Model) -> Result<Self> {
        let payload: Value = serde_json::from_str(&row.payload).map_err(|_| unreadable(row))?;
        serde_json::from_value(json!({ "type": row.kind, "payload": payload })).map_err(|_| unreadable(row))
    }

    /// Returns the payload as it is stored: JSON with its fields in alphabetical order.
    pub(super) fn payload(&self) -> Result<String> {
        let event = serde_json::to_value(self)
            .map_err(|cause| Error::broken(format!("an event cannot be serialized: {cause}")))?;
        event.get("payload").map(Value::to_string).ok_or_else(|| Error::broken("an event has no payload"))
    }

    /// Returns the id of the object that the event belongs to.
    pub fn stream(&self, partner_id: Uuid) -> Uuid {
        match self.subject() {
            Subject::Partner => partner_id,
            Subject::User(user) => user.id,
            Subject::Check(check) => check.id,
            Subject::Account(account) => account.id,
            Subject::BankAccount(bank_account) => bank_account.id,
            Subject::Transfer(transfer) => transfer.id,
            Subject::Order(order) => order.id,
            Subject::Trade(trade) => trade.id,
            Subject::Position(position) => position.account_id,
            Subject::Entitlement(entitlement) => entitlement.id,
            Subject::Statement(statement) => statement.id,
        }
    }

    /// Returns the users that the event is about.
    pub fn about(&self) -> About {
        match self.subject() {
            // Users must not learn of watch list hits.
            Subject::Check(_) if matches!(self, Self::KycWatchListHitFound { .. }) => About::Partner,
            Subject::Partner => About::Partner,
            Subject::User(user) => About::User(user.id),
            Subject::Check(check) => check.user_id.map_or(About::Partner, About::User),
            Subject::Account(account) => About::Account(account.id),
            Subject::BankAccount(bank_account) => About::User(bank_account.user_id),
            Subject::Transfer(transfer) => About::Account(transfer.account_id),
            Subject::Order(order) => About::Account(order.account_id),
            Subject::Trade(trade) => About::Account(trade.account_id),
            Subject::Position(position) => About::Account(position.account_id),
            Subject::Entitlement(entitlement) => About::Account(entitlement.account_id),
            Subject::Statement(statement) => About::Account(statement.account_id),
        }
    }
}
