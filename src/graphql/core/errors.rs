//! Refusals as answers: one interface, and a code enum for each domain.

use async_graphql::{Enum, Interface, SimpleObject};
use domain::{Code, Refusal};

macro_rules! user_errors {
    ($(#[$doc:meta])* $error:ident,
        $(#[$code_doc:meta])* $codes:ident { $($(#[$value_doc:meta])* $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, SimpleObject)]
        pub struct $error {
            /// Sentence for a person; may be reworded without notice.
            message: String,
            /// Path into `input`, or null when no single field is to blame.
            path: Option<Vec<String>>,
            /// Stable reason.
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
                        tracing::error!(code = other.name(), "a refusal has no code in {}", stringify!($codes));
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
    /// A failure that any mutation can report.
    GeneralUserError,
    /// Reasons shared by mutations that move no money.
    GeneralErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The user's identity has not been approved.
        KycNotApproved,
        /// Possible in a sandbox only.
        SandboxOnly,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why something about an identity check was refused.
    KycUserError,
    /// Reasons for which something about an identity check is refused.
    KycErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The identity check does not wait for this, or no longer.
        KycNotOpen,
        /// The questions were answered before.
        KycAnswered,
        /// The time to answer the questions is over.
        KycQuestionsExpired,
        /// Who entered something is not who decides about it.
        MakerChecker,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why something about an account was refused.
    AccountUserError,
    /// Reasons for which something about an account is refused.
    AccountErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The owner's identity has not been approved.
        KycNotApproved,
        /// The account is frozen or closed.
        AccountNotActive,
        /// The account is not frozen.
        AccountNotFrozen,
        /// Cash, shares, an open order or a transfer is left on the account.
        AccountNotEmpty,
        /// A joint account stays one, and its joint member stays.
        OwnershipImmutable,
        /// Of the people who own the account, its owner alone may.
        OwnerOnly,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why something about a bank account was refused.
    BankAccountUserError,
    /// Reasons for which something about a bank account is refused.
    BankAccountErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The user's identity has not been approved.
        KycNotApproved,
        /// A transfer from or to it is under way.
        TransferPending,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why a transfer was refused.
    TransferUserError,
    /// Reasons a transfer is refused.
    TransferErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The user's identity has not been approved.
        KycNotApproved,
        /// The account is frozen or closed.
        AccountNotActive,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why an order was refused.
    OrderUserError,
    /// Reasons an order is refused.
    OrderErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The user's identity has not been approved.
        KycNotApproved,
        /// The account is frozen or closed.
        AccountNotActive,
        /// Out of the hours in which orders are taken.
        MarketClosed,
        /// Not enough cash.
        InsufficientBuyingPower,
        /// Not enough shares.
        InsufficientPosition,
        /// Too late to cancel.
        NotCancelable,
        /// Key used with other input.
        IdempotencyKeyReused,
        /// The first request with this key has not finished.
        IdempotencyInProgress,
    }
);

user_errors!(
    /// Why a key was refused.
    ApiKeyUserError,
    /// Reasons a key is refused.
    ApiKeyErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// The calling key may not do itself what the key may.
        ScopeNotHeld,
        /// Two keys of one line are live already.
        TooManyLiveKeys,
        /// No other key with the scope `operate` would be left.
        LastKey,
    }
);

user_errors!(
    /// Why somebody could not come in.
    AccessUserError,
    /// Reasons for which somebody cannot come in.
    AccessErrorCode {
        /// Malformed or impossible value.
        Invalid,
        /// Required here.
        Required,
        /// No such object, or not yours.
        NotFound,
        /// Unknown e-mail address, wrong password, or a token that is worth nothing.
        InvalidCredentials,
        /// Token from a mail that is used up, expired or none.
        InvalidToken,
        /// Another person signs in with this e-mail address.
        EmailTaken,
        /// Invitation that is bound to another e-mail address.
        InvitationEmailMismatch,
        /// Not a number that can be texted.
        InvalidPhone,
        /// A phone number is verified already.
        PhoneVerified,
        /// No phone number is verified yet.
        PhoneNotVerified,
        /// Phone number that another person has verified.
        PhoneTaken,
        /// Passcode that is used up, expired or not yours.
        InvalidHashCode,
        /// Wrong code.
        InvalidPasscode,
        /// An authenticator app is set up already.
        TotpEnrolled,
        /// No authenticator app is set up.
        TotpNotEnrolled,
    }
);

/// One business-rule failure of a mutation; concrete types add a `code` enum.
#[derive(Clone, Debug, Interface)]
#[graphql(
    field(name = "message", ty = "&String", desc = "Sentence for a person; may be reworded without notice."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Path into `input`, or null when no single field is to blame."
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

/// A mutation's payload: its entity or its refusals, and the root to read on from.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $type:ty, $error:ty }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            $(#[$entity_doc])*
            $entity: Option<$type>,
            /// Why it was refused; empty on success.
            user_errors: Vec<$error>,
            /// The root, to read on in the same request.
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
