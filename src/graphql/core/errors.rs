//! User errors of mutations: one interface, and one enum of error codes per area.

use async_graphql::{Enum, Interface, SimpleObject};
use domain::{Code, Refusal};

macro_rules! user_errors {
    ($(#[$doc:meta])* $error:ident,
        $(#[$code_doc:meta])* $codes:ident { $($(#[$value_doc:meta])* $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, SimpleObject)]
        pub struct $error {
            /// Error message for people; its wording may change.
            message: String,
            /// Path to the invalid field in `input`; null if the error is not about a single field.
            path: Option<Vec<String>>,
            /// Stable error code.
            code: $codes,
        }

        $(#[$code_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $codes { $($(#[$value_doc])* $value,)* }

        impl From<Refusal> for $error {
            fn from(refusal: Refusal) -> Self {
                let code = match refusal.code {
                    $(Code::$value => $codes::$value,)*
                    other => {
                        tracing::error!(
                            code = other.name(),
                            "an error code is missing in {}",
                            stringify!($codes)
                        );
                        $codes::Invalid
                    }
                };
                let message = refusal.message(&refusal.path.join("."));
                Self { message, path: Some(refusal.path).filter(|path| !path.is_empty()), code }
            }
        }
    };
}

user_errors!(
    /// Error of a mutation that has only general error codes.
    GeneralUserError,
    /// General error codes.
    GeneralErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The user's identity check is not approved.
        KycNotApproved,
        /// Only available in a sandbox.
        SandboxOnly,
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of an identity check mutation.
    KycUserError,
    /// Error codes of identity check mutations.
    KycErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The identity check does not allow this in its current state.
        KycNotOpen,
        /// The questions were already answered.
        KycAnswered,
        /// The time for answering the questions is over.
        KycQuestionsExpired,
        /// The reviewer must not have entered or changed this user's data. Use another key.
        MakerChecker,
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of an account mutation.
    AccountUserError,
    /// Error codes of account mutations.
    AccountErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The owner's identity check is not approved.
        KycNotApproved,
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
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of a bank account mutation.
    BankAccountUserError,
    /// Error codes of bank account mutations.
    BankAccountErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The user's identity check is not approved.
        KycNotApproved,
        /// A transfer from or to the bank account is pending.
        TransferPending,
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of a transfer mutation.
    TransferUserError,
    /// Error codes of transfer mutations.
    TransferErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The user's identity check is not approved.
        KycNotApproved,
        /// The account is frozen or closed.
        AccountNotActive,
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of an order mutation.
    OrderUserError,
    /// Error codes of order mutations.
    OrderErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The user's identity check is not approved.
        KycNotApproved,
        /// The account is frozen or closed.
        AccountNotActive,
        /// The market is closed.
        MarketClosed,
        /// The buying power is too low.
        InsufficientBuyingPower,
        /// The position has too few shares.
        InsufficientPosition,
        /// The order is already filled, canceled, expired or rejected.
        NotCancelable,
        /// The idempotency key was already used with different input.
        IdempotencyKeyReused,
        /// The first request with this idempotency key is still running.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Error of an API key mutation.
    ApiKeyUserError,
    /// Error codes of API key mutations.
    ApiKeyErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
        /// The calling key lacks a scope of the key to issue.
        ScopeNotHeld,
        /// The key and its successor are both active already. Revoke one of them first.
        TooManyLiveKeys,
        /// The partner would have no other key with scope `operate` that does not expire.
        LastKey,
    }
);

user_errors!(
    /// Error of a sign-up, sign-in or two-factor mutation.
    AccessUserError,
    /// Error codes of sign-up, sign-in and two-factor mutations.
    AccessErrorCode {
        /// The value is malformed or not allowed.
        Invalid,
        /// A required value is missing.
        Required,
        /// The object was not found.
        NotFound,
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
    }
);

/// Error of a mutation. Each implementing type adds a `code`.
#[derive(Clone, Debug, Interface)]
#[graphql(
    field(name = "message", ty = "&String", desc = "Error message for people; its wording may change."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Path to the invalid field in `input`; null if the error is not about a single field."
    )
)]
pub enum UserError {
    General(GeneralUserError),
    ApiKey(ApiKeyUserError),
    Account(AccountUserError),
    BankAccount(BankAccountUserError),
    Transfer(TransferUserError),
    Order(OrderUserError),
    Access(AccessUserError),
    Kyc(KycUserError),
}

/// Defines the payload of a mutation: the result or the user errors, and the query root.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $type:ty, $error:ty }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            $(#[$entity_doc])*
            $entity: Option<$type>,
            /// Why the request was refused; empty on success.
            user_errors: Vec<$error>,
            /// Query root, to read more data in the same request.
            query: $crate::graphql::Query,
        }

        impl<T: Into<$type>> From<std::result::Result<T, domain::Refusal>> for $payload {
            fn from(outcome: std::result::Result<T, domain::Refusal>) -> Self {
                let query = $crate::graphql::Query::default();
                match outcome {
                    Ok(value) => Self { $entity: Some(value.into()), user_errors: Vec::new(), query },
                    Err(refusal) => Self { $entity: None,
                        user_errors: refusal.all().map(Into::into).collect(), query },
                }
            }
        }
    };
}

pub(crate) use payload;
