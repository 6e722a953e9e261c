//! Errors: refusals with stable codes, and faults with a cause for the log only.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxError};
use serde::{Deserialize, Serialize};

/// Result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reason why an operation failed. None of its changes are committed, but the refusal itself may be recorded.
#[derive(Debug)]
pub enum Error {
    /// A rule refused the operation; the caller may see all of it.
    Refused(Refusal),
    /// The caller sent no valid credentials.
    Unauthenticated,
    /// The caller lacks this scope.
    Forbidden(&'static str),
    /// Only a signed-in user may do this, and the caller is a partner.
    UserSessionRequired,
    /// The session has not passed its second factor.
    TwoFactorRequired,
    /// Too many requests; the next one is allowed after this many seconds.
    TooMany { retry_after: u64 },
    /// Another transaction holds a lock that this operation needs; a retry may succeed.
    Busy,
    /// A subscriber requested events that are older than the retention period.
    CursorExpired,
    /// An external service that this operation needs is not available.
    Unavailable(&'static str),
    /// The database cannot be reached or cannot do this now; the request has not been acknowledged.
    DatabaseUnavailable(DbErr),
    /// The database failed.
    Database(DbErr),
    /// An internal fault, with a cause for the log only.
    Broken(String),
}

impl Error {
    /// Returns the error for a database that did not answer in time.
    pub const fn database_timed_out() -> Self {
        Self::DatabaseUnavailable(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Returns an internal fault with a cause for the log only.
    pub fn broken(cause: impl Into<String>) -> Self {
        Self::Broken(cause.into())
    }

    /// Prefixes the paths of the fields at fault with `group`.
    pub fn inside(mut self, group: &str) -> Self {
        if let Self::Refused(refusal) = &mut self {
            let others = std::mem::take(&mut refusal.others);
            let grouped = |mut refusal: Refusal| {
                if !refusal.path.is_empty() {
                    refusal.path.insert(0, group.to_owned());
                }
                refusal
            };
            *refusal =
                Refusal { others: others.into_iter().map(grouped).collect(), ..grouped(refusal.clone()) };
        }
        self
    }

    /// Returns the cause for the log: the first line of a database error, but no details and no messages of
    /// violated constraints, which quote rows.
    pub fn cause(&self) -> String {
        match self {
            Self::Database(error) if error.sql_err().is_some() => {
                "a database constraint was violated".to_owned()
            }
            Self::Database(error) | Self::DatabaseUnavailable(error) => {
                error.to_string().lines().next().unwrap_or_default().chars().take(300).collect()
            }
            Self::Broken(cause) => cause.clone(),
            Self::Refused(refusal) => refusal.code.name().to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Whether the whole operation may be run again: a serialization failure, a deadlock or a locked SQLite
    /// file.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(error) | Self::DatabaseUnavailable(error) if is_contention(error))
    }

    /// Whether a later retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::DatabaseUnavailable(_)) || self.is_retryable()
    }

    /// Whether all other operations would fail too: the database is unreachable or not working, or another
    /// process has locked the SQLite file. A statement that took too long is not an outage.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) | Self::DatabaseUnavailable(error) => {
                matches!(error, DbErr::ConnectionAcquire(_))
                    || Self::is_fault_of_database(error)
                    || is_locked_file(error)
            }
            _ => false,
        }
    }

    /// Whether the database itself is at fault, independent of the statement: unreachable, read-only, full or
    /// failing.
    pub(super) fn is_fault_of_database(error: &DbErr) -> bool {
        match driver_error(error) {
            Some(
                SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::Protocol(_)
                | SqlxError::WorkerCrashed
                | SqlxError::PoolClosed
                | SqlxError::PoolTimedOut
                | SqlxError::BeginFailed,
            ) => true,
            Some(SqlxError::Database(_)) => {
                database_code(error).is_some_and(|code| match primary_code(&code) {
                    // READONLY, IOERR, FULL, CANTOPEN
                    Some(primary) => matches!(primary, 8 | 10 | 13 | 14),
                    // Connections, resources such as disk space, shutdowns; read-only; system errors.
                    None => {
                        ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
                            || matches!(&*code, "25006" | "25P03" | "58030")
                    }
                })
            }
            _ => false,
        }
    }

    /// Whether a later retry may succeed.
    pub(super) fn is_temporary(error: &DbErr) -> bool {
        is_contention(error) || Self::is_fault_of_database(error)
    }

    /// Whether the server does not accept connections, for example because it is starting.
    pub(super) fn is_refused_connection(error: &DbErr) -> bool {
        match driver_error(error) {
            Some(SqlxError::Io(cause)) => cause.kind() == std::io::ErrorKind::ConnectionRefused,
            Some(SqlxError::Database(_)) => database_code(error).as_deref() == Some("57P03"),
            _ => false,
        }
    }

    /// Whether only this connection is unusable and another one may work.
    pub(super) fn is_lost_connection(error: &DbErr) -> bool {
        match driver_error(error) {
            Some(SqlxError::Io(cause)) => cause.kind() != std::io::ErrorKind::TimedOut,
            Some(SqlxError::BeginFailed | SqlxError::WorkerCrashed) => true,
            Some(SqlxError::Database(_)) => {
                matches!(database_code(error).as_deref(), Some("57P01" | "57P02" | "25P03"))
            }
            _ => false,
        }
    }
}

/// Whether the error is SQLite's BUSY or LOCKED.
fn is_locked_file(error: &DbErr) -> bool {
    database_code(error).and_then(|code| primary_code(&code)).is_some_and(|primary| matches!(primary, 5 | 6))
}

fn driver_error(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

/// Returns the database's own error code: SQLSTATE on PostgreSQL, the extended result code on SQLite.
fn database_code(error: &DbErr) -> Option<String> {
    Some(driver_error(error)?.as_database_error()?.code()?.into_owned())
}

/// Returns the primary result code of an SQLite error; none for an SQLSTATE, which has five characters,
/// unlike SQLite's codes.
fn primary_code(code: &str) -> Option<u32> {
    if code.len() == 5 { None } else { code.parse::<u32>().ok().map(|code| code & 0xff) }
}

/// Whether the error is a conflict with another writer: a locked SQLite file, a serialization failure or a
/// deadlock.
fn is_contention(error: &DbErr) -> bool {
    is_locked_file(error) || matches!(database_code(error).as_deref(), Some("40001" | "40P01"))
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match database_code(&error).as_deref() {
            Some("55P03") => Self::Busy,
            // A statement that took too long.
            Some("57014") => Self::DatabaseUnavailable(error),
            _ if matches!(error, DbErr::ConnectionAcquire(_)) || Self::is_temporary(&error) => {
                Self::DatabaseUnavailable(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// Collects the failed checks of one request, so that the caller sees all of them at once.
#[derive(Default)]
pub struct Checks {
    refusals: Vec<Refusal>,
    fault: Option<Error>,
}

impl Checks {
    /// Records the outcome of one check and returns its value, if it passed.
    pub fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => return Some(value),
            Err(Error::Refused(refusal)) => self.refusals.extend(refusal.all()),
            Err(fault) => self.fault = self.fault.take().or(Some(fault)),
        }
        None
    }

    /// Returns all recorded refusals as one error, in the order of the checks.
    pub fn done(self) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut refusals = self.refusals.into_iter();
        match refusals.next() {
            Some(first) => Err(Refusal { others: refusals.collect(), ..first }.into()),
            None => Ok(()),
        }
    }
}

/// Returns both values of one request, or everything that is wrong with either.
pub fn both<A, B>(first: Result<A>, second: Result<B>) -> Result<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(first), Err(second)) => {
            let mut checks = Checks::default();
            checks.note::<A>(Err(first));
            checks.note::<B>(Err(second));
            Err(checks.done().err().unwrap_or_else(|| Error::broken("a refusal was lost")))
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Stable code of a refusal, the same in every API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// A value is malformed or out of range.
    Invalid,
    /// A required value is missing.
    Required,
    /// The object does not exist or the caller cannot access it.
    NotFound,
    /// The user's identity has not been approved.
    KycNotApproved,
    /// The identity check does not expect this step, or no longer does.
    KycNotOpen,
    /// The questions of the identity check have already been answered.
    KycAnswered,
    /// The time to answer the questions has expired.
    KycQuestionsExpired,
    /// The reviewer entered or changed the data under review.
    MakerChecker,
    /// The account is frozen or closed.
    AccountNotActive,
    /// The account is not frozen.
    AccountNotFrozen,
    /// The account still has cash, shares or holds.
    AccountNotEmpty,
    /// The owners of a joint account cannot be changed.
    OwnershipImmutable,
    /// Only the account's primary owner may do this.
    OwnerOnly,
    /// A deposit or withdrawal is pending.
    TransferPending,
    /// The transfer has ended or was sent to the bank, or is in another state that does not allow this.
    TransferNotCancelable,
    /// The bank cannot return the transfer in its state.
    TransferNotReturnable,
    /// A bank has returned a transfer, so the bank account is no longer used.
    BankAccountDisabled,
    /// The limit of a day in the partner's settings would be exceeded.
    LimitExceeded,
    /// The account has less than the amount to withdraw.
    InsufficientFunds,
    /// The account owes money because a deposit was returned after it was spent.
    BalanceOwed,
    /// The market is closed; orders are not accepted now.
    MarketClosed,
    /// The buying power is too low.
    InsufficientBuyingPower,
    /// The position has too few shares.
    InsufficientPosition,
    /// The same corporate action was announced before.
    CorporateActionExists,
    /// The corporate action has already been applied.
    NotWithdrawable,
    /// Another instrument has this ticker symbol.
    SymbolTaken,
    /// The order can no longer be canceled.
    NotCancelable,
    /// The order can no longer be replaced.
    NotReplaceable,
    /// Only available in a sandbox.
    SandboxOnly,
    /// The e-mail address, password or token is wrong.
    InvalidCredentials,
    /// A token from an e-mail is invalid, used or expired.
    InvalidToken,
    /// Another user already signs in with this e-mail address.
    EmailTaken,
    /// The invitation is bound to another e-mail address.
    InvitationEmailMismatch,
    /// The phone number cannot receive text messages.
    InvalidPhone,
    /// The user already has a verified phone number.
    PhoneVerified,
    /// The user has no verified phone number.
    PhoneNotVerified,
    /// Another user has verified this phone number.
    PhoneTaken,
    /// The passcode does not exist or has been used.
    InvalidHashCode,
    /// The code is wrong.
    InvalidPasscode,
    /// An authenticator app is already set up.
    TotpEnrolled,
    /// No authenticator app is set up.
    TotpNotEnrolled,
    /// The caller cannot grant a scope that it does not have.
    ScopeNotHeld,
    /// Two keys of the same rotation are active.
    TooManyLiveKeys,
    /// This is the last key that can create API keys.
    LastKey,
    /// The idempotency key was used with different input.
    IdempotencyKeyReused,
    /// The first request with this idempotency key has not finished.
    IdempotencyInProgress,
}

impl Code {
    /// Returns the code as the APIs send it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Required => "REQUIRED",
            Self::NotFound => "NOT_FOUND",
            Self::KycNotApproved => "KYC_NOT_APPROVED",
            Self::KycNotOpen => "KYC_NOT_OPEN",
            Self::KycAnswered => "KYC_ANSWERED",
            Self::KycQuestionsExpired => "KYC_QUESTIONS_EXPIRED",
            Self::MakerChecker => "MAKER_CHECKER",
            Self::AccountNotActive => "ACCOUNT_NOT_ACTIVE",
            Self::AccountNotFrozen => "ACCOUNT_NOT_FROZEN",
            Self::AccountNotEmpty => "ACCOUNT_NOT_EMPTY",
            Self::OwnershipImmutable => "OWNERSHIP_IMMUTABLE",
            Self::OwnerOnly => "OWNER_ONLY",
            Self::TransferPending => "TRANSFER_PENDING",
            Self::TransferNotCancelable => "TRANSFER_NOT_CANCELABLE",
            Self::TransferNotReturnable => "TRANSFER_NOT_RETURNABLE",
            Self::BankAccountDisabled => "BANK_ACCOUNT_DISABLED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::BalanceOwed => "BALANCE_OWED",
            Self::MarketClosed => "MARKET_CLOSED",
            Self::InsufficientBuyingPower => "INSUFFICIENT_BUYING_POWER",
            Self::InsufficientPosition => "INSUFFICIENT_POSITION",
            Self::CorporateActionExists => "CORPORATE_ACTION_EXISTS",
            Self::NotWithdrawable => "NOT_WITHDRAWABLE",
            Self::SymbolTaken => "SYMBOL_TAKEN",
            Self::NotCancelable => "NOT_CANCELABLE",
            Self::NotReplaceable => "NOT_REPLACEABLE",
            Self::SandboxOnly => "SANDBOX_ONLY",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::InvitationEmailMismatch => "INVITATION_EMAIL_MISMATCH",
            Self::InvalidPhone => "INVALID_PHONE",
            Self::PhoneVerified => "PHONE_VERIFIED",
            Self::PhoneNotVerified => "PHONE_NOT_VERIFIED",
            Self::PhoneTaken => "PHONE_TAKEN",
            Self::InvalidHashCode => "INVALID_HASH_CODE",
            Self::InvalidPasscode => "INVALID_PASSCODE",
            Self::TotpEnrolled => "TOTP_ENROLLED",
            Self::TotpNotEnrolled => "TOTP_NOT_ENROLLED",
            Self::ScopeNotHeld => "SCOPE_NOT_HELD",
            Self::TooManyLiveKeys => "TOO_MANY_LIVE_KEYS",
            Self::LastKey => "LAST_KEY",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
        }
    }

    /// Whether the request itself is at fault: a malformed or missing value, or an id that was not found. A
    /// corrected request may then reuse its idempotency key. Other refusals depend on stored state and are
    /// stored under the key.
    pub const fn is_fault_of_request(self) -> bool {
        matches!(self, Self::Invalid | Self::Required | Self::NotFound)
    }
}

/// A refusal: a stable code, the field at fault and a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: Code,
    /// Path into the input, outermost step first; empty if no single field is at fault.
    pub path: Vec<String>,
    /// A sentence, or, for a field, the text that follows its name: `must be above zero`.
    pub text: String,
    /// Whether this refusal was replayed for an idempotency key.
    #[serde(skip)]
    pub replayed: bool,
    /// Further refusals of the same request; these have no `others` themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Refusal>,
}

impl Refusal {
    /// Refuses an invalid value; `text` follows the field's name.
    pub fn invalid(field: &str, text: impl Into<String>) -> Self {
        Self::new(Code::Invalid, field, text)
    }

    /// Refuses a missing value.
    pub fn required(field: &str) -> Self {
        Self::new(Code::Required, field, "is required")
    }

    /// Refuses wrong credentials without revealing which of them is wrong.
    pub fn invalid_credentials() -> Self {
        // Verbatim from the documented API.
        Self::new(Code::InvalidCredentials, "", "Unable to login with given credentials.")
    }

    /// Refuses a request that cannot be read at all; `text` is a sentence.
    pub fn unreadable(text: impl Into<String>) -> Self {
        Self::new(Code::Required, "", text)
    }

    /// Refuses an id that does not exist or that the caller cannot access.
    pub fn not_found(field: &str) -> Self {
        Self::new(Code::NotFound, field, "was not found")
    }

    /// Creates a refusal of `field` (path steps separated by dots; empty for none).
    pub fn new(code: Code, field: &str, text: impl Into<String>) -> Self {
        let path = field.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        Self { code, path, text: text.into(), replayed: false, others: Vec::new() }
    }

    /// Returns this refusal and then the others of the same request.
    pub fn all(mut self) -> impl Iterator<Item = Self> {
        let others = std::mem::take(&mut self.others);
        std::iter::once(self).chain(others)
    }

    /// Whether `text` continues a field's name instead of being a sentence.
    pub fn continues_a_field(&self) -> bool {
        matches!(self.code, Code::Invalid | Code::Required | Code::NotFound) && !self.path.is_empty()
    }

    /// Returns the message, with the field called `name`.
    pub fn message(&self, name: &str) -> String {
        if self.continues_a_field() { format!("{name} {}", self.text) } else { self.text.clone() }
    }
}
