//! User errors of mutations.

use async_graphql::{Enum, SimpleObject};
use domain::{Code, Refusal};
use macros::{Fields, Leaf};

/// Reason why a mutation was refused.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct UserError {
    /// Stable error code.
    code: ErrorCode,
    /// Error message for people; its wording may change.
    message: String,
    /// Path to the invalid field in `input`; null if the error is not about a single field.
    path: Option<Vec<String>>,
}

/// Error code of a mutation. New codes may be added; treat an unknown one like INVALID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "Code")]
pub enum ErrorCode {
    /// The value is malformed or not allowed.
    Invalid,
    /// A required value is missing.
    Required,
    /// The object was not found.
    NotFound,
    /// The user's identity check is not approved.
    KycNotApproved,
    /// The identity check does not allow this in its current state.
    KycNotOpen,
    /// The questions of the identity check were already answered.
    KycAnswered,
    /// The time for answering the questions of the identity check is over.
    KycQuestionsExpired,
    /// The reviewer must not have entered or changed this user's data. Use another key.
    MakerChecker,
    /// The account is frozen or closed.
    AccountNotActive,
    /// The account is not frozen.
    AccountNotFrozen,
    /// The account still has cash, shares, open orders or pending transfers.
    AccountNotEmpty,
    /// A joint account must stay joint, and its joint member cannot be replaced.
    OwnershipImmutable,
    /// Only the owner of the account may do this, not the joint member.
    OwnerOnly,
    /// A transfer from or to the bank account is pending.
    TransferPending,
    /// The transfer has ended, or was already sent to the bank.
    TransferNotCancelable,
    /// The transfer has not been sent to the bank, or was already returned.
    TransferNotReturnable,
    /// A bank has returned a transfer for good, so the bank account is no longer used.
    BankAccountDisabled,
    /// The transfer would exceed the limit of a day in the partner's settings.
    LimitExceeded,
    /// The account has less than the amount to withdraw.
    InsufficientFunds,
    /// The account owes money because a deposit was returned after it was spent. Deposit at least that much first.
    BalanceOwed,
    /// The market is closed.
    MarketClosed,
    /// The buying power is too low.
    InsufficientBuyingPower,
    /// The position has too few shares.
    InsufficientPosition,
    /// The same corporate action was announced before.
    CorporateActionExists,
    /// The corporate action can no longer be withdrawn: it has been applied.
    NotWithdrawable,
    /// Another instrument has this ticker symbol.
    SymbolTaken,
    /// The order can no longer be canceled: it is filled, canceled, expired or rejected.
    NotCancelable,
    /// The order can no longer be replaced: it is filled, canceled, expired or rejected.
    NotReplaceable,
    /// Only available in a sandbox.
    SandboxOnly,
    /// The e-mail address, password or token is wrong.
    InvalidCredentials,
    /// The token from the e-mail is unknown, used or expired.
    InvalidToken,
    /// Another user already signs in with this e-mail address.
    EmailTaken,
    /// The invitation is bound to another e-mail address.
    InvitationEmailMismatch,
    /// The phone number is not valid.
    InvalidPhone,
    /// The user already has a verified phone number.
    PhoneVerified,
    /// The user has no verified phone number.
    PhoneNotVerified,
    /// Another user has verified this phone number.
    PhoneTaken,
    /// The passcode is unknown, used, expired or belongs to another user.
    InvalidHashCode,
    /// The passcode, or the code from the authenticator app, is wrong.
    InvalidPasscode,
    /// An authenticator app is already set up.
    TotpEnrolled,
    /// No authenticator app is set up.
    TotpNotEnrolled,
    /// The calling key lacks a scope of the key to issue.
    ScopeNotHeld,
    /// The key and its successor are both active already. Revoke one of them first.
    TooManyLiveKeys,
    /// The partner would have no other key with scope `operate` that does not expire.
    LastKey,
    /// The idempotency key was already used with different input.
    IdempotencyKeyReused,
    /// The first request with this idempotency key is still running.
    IdempotencyInProgress,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.message(&refusal.path.join("."));
        let path = Some(refusal.path).filter(|path| !path.is_empty());
        Self { code: refusal.code.into(), message, path }
    }
}
