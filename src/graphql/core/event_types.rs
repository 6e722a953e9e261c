//! GraphQL enum of the event types.

use async_graphql::Enum;

/// Type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::kernel::events::EventType")]
pub enum EventType {
    /// A partner was created.
    PartnerCreated,
    /// Settings of the partner were changed.
    PartnerSettingsChanged,
    /// An API key was issued.
    ApiKeyIssued,
    /// An API key was revoked.
    ApiKeyRevoked,
    /// A user was created.
    UserCreated,
    /// A user's data was changed.
    UserUpdated,
    /// A user's identity verification status changed.
    UserStatusChanged,
    /// An identity check was created.
    KycCreated,
    /// The data of an identity check was corrected.
    KycUpdated,
    /// The questions of an identity check were answered.
    KycAnswered,
    /// The time for answering the questions of an identity check ended.
    KycExpired,
    /// A document was uploaded for an identity check.
    KycDocumentUploaded,
    /// A watch-list hit was cleared.
    KycHitCleared,
    /// An entry of a new watch list resembles an existing user.
    KycWatchListHitFound,
    /// A reviewer approved or denied an identity check.
    KycReviewed,
    /// An account was opened.
    AccountCreated,
    /// An account was changed.
    AccountUpdated,
    /// An account was frozen.
    AccountFrozen,
    /// An account was unfrozen.
    AccountUnfrozen,
    /// An account was closed.
    AccountClosed,
    /// A bank account was linked.
    BankAccountCreated,
    /// A bank account was changed.
    BankAccountUpdated,
    /// A bank account was removed.
    BankAccountDeleted,
    /// A deposit was created.
    DepositPending,
    /// A deposit settled; its money is available as cash.
    DepositSettled,
    /// An order was accepted; its cash or shares are held.
    OrderAccepted,
    /// An order was sent to the venue.
    OrderNew,
    /// Some shares of an order were filled.
    OrderPartiallyFilled,
    /// All shares of an order were filled.
    OrderFilled,
    /// An order was canceled; its hold is released.
    OrderCanceled,
    /// An order expired; its hold is released.
    OrderExpired,
    /// The price or the quantity of an open order was replaced.
    OrderReplaced,
    /// An order was rejected; its hold is released.
    OrderRejected,
    /// A trade settled.
    TradeSettled,
    /// The sandbox clock was frozen, started or moved.
    SandboxClockChanged,
    /// A fixed quote was set or removed in the sandbox.
    SandboxQuoteSet,
    /// A bar of an instrument was pushed in the sandbox.
    SandboxBarPushed,
    /// The market hours of the sandbox were changed.
    SandboxMarketHoursSet,
}
