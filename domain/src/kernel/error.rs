//! Why something was not done: refusals with stable codes, and faults whose cause stays inside.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxError};
use serde::{Deserialize, Serialize};

/// What every operation answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not happen. Nothing of its work has been written; that it was refused may be.
#[derive(Debug)]
pub enum Error {
    /// A rule said no; the caller may be told everything.
    Refused(Refusal),
    /// The caller has not proved who she is.
    Unauthenticated,
    /// The caller's key lacks this scope.
    Forbidden(&'static str),
    /// Only a person who has signed in may, and the caller is a partner's key.
    UserSessionRequired,
    /// The session has not passed its second factor.
    TwoFactorRequired,
    /// Too many requests; the next may come after so many seconds.
    TooMany { retry_after: u64 },
    /// Another caller holds what this one needs; trying again may succeed.
    Busy,
    /// A subscriber asks for events older than are kept.
    CursorExpired,
    /// Something outside that this needs cannot be had.
    Unavailable(&'static str),
    /// The database cannot be reached or cannot do this now; what was asked for has not been acknowledged.
    DatabaseUnavailable(DbErr),
    /// The database failed.
    Database(DbErr),
    /// Something that cannot be is.
    Broken(String),
}

impl Error {
    /// The database did not answer in time.
    pub const fn database_timed_out() -> Self {
        Self::DatabaseUnavailable(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// A fault of ours, with a cause for the log alone.
    pub fn broken(cause: impl Into<String>) -> Self {
        Self::Broken(cause.into())
    }

    /// The same, blaming a field of the group called `group` instead of one beside it.
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

    /// What the log may hold: a database's message, but neither its detail nor a broken constraint's, which
    /// quote rows.
    pub fn cause(&self) -> String {
        match self {
            Self::Database(error) if error.sql_err().is_some() => "a constraint of the database".to_owned(),
            Self::Database(error) | Self::DatabaseUnavailable(error) => {
                error.to_string().lines().next().unwrap_or_default().chars().take(300).collect()
            }
            Self::Broken(cause) => cause.clone(),
            Self::Refused(refusal) => refusal.code.name().to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Whether the whole operation may simply be run again: a serialization failure, a deadlock or a busy
    /// file.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(error) | Self::DatabaseUnavailable(error) if is_contention(error))
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::DatabaseUnavailable(_)) || self.is_retryable()
    }

    /// Whether nothing else would succeed either: the database cannot do its work, cannot be reached, or is
    /// an SQLite file that another process has locked. A statement that took too long is no outage.
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

    /// Whether the database itself cannot do its work, whatever it is asked: unreachable, read-only, full, or
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
                    // Connections, resources such as the disk, shutdowns; read-only; an error of the system.
                    None => {
                        ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
                            || matches!(&*code, "25006" | "25P03" | "58030")
                    }
                })
            }
            _ => false,
        }
    }

    /// Whether the same may succeed later.
    pub(super) fn may_pass(error: &DbErr) -> bool {
        is_contention(error) || Self::is_fault_of_database(error)
    }

    /// Whether the connection is of no use, and another one may well be.
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

/// SQLite's BUSY and LOCKED.
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

/// The database's own code of an error: SQLSTATE on PostgreSQL, the extended result code on SQLite.
fn database_code(error: &DbErr) -> Option<String> {
    Some(driver_error(error)?.as_database_error()?.code()?.into_owned())
}

/// The primary result code of an SQLite error; a SQLSTATE has five characters, and no SQLite code has.
fn primary_code(code: &str) -> Option<u32> {
    if code.len() == 5 { None } else { code.parse::<u32>().ok().map(|code| code & 0xff) }
}

/// Whether another writer was in the way.
fn is_contention(error: &DbErr) -> bool {
    is_locked_file(error) || matches!(database_code(error).as_deref(), Some("40001" | "40P01"))
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match database_code(&error).as_deref() {
            Some("55P03") => Self::Busy,
            // A statement that took too long.
            Some("57014") => Self::DatabaseUnavailable(error),
            _ if matches!(error, DbErr::ConnectionAcquire(_)) || Self::may_pass(&error) => {
                Self::DatabaseUnavailable(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// Checks of the fields of one request, so that everything that is wrong with it is told at once.
#[derive(Default)]
pub struct Checks {
    refusals: Vec<Refusal>,
    fault: Option<Error>,
}

impl Checks {
    /// Notes the outcome of one check; the value, if there is one.
    pub fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => return Some(value),
            Err(Error::Refused(refusal)) => self.refusals.extend(refusal.all()),
            Err(fault) => self.fault = self.fault.take().or(Some(fault)),
        }
        None
    }

    /// Refuses with everything that was refused, in the order of the checks.
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

/// Two values of one request, refused with everything that is wrong with either.
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

/// A stable reason of a refusal, the same on every door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// A malformed or impossible value.
    Invalid,
    /// A value that must be given.
    Required,
    /// No such thing, or not the caller's.
    NotFound,
    /// The person's identity has not been approved.
    KycNotApproved,
    /// The identity check does not wait for this, or no longer.
    KycNotOpen,
    /// The questions of the identity check were answered before.
    KycAnswered,
    /// The time to answer the questions is over.
    KycQuestionsExpired,
    /// Who entered something is not who decides about it.
    MakerChecker,
    /// The account is frozen or closed.
    AccountNotActive,
    /// The account is not frozen.
    AccountNotFrozen,
    /// Something is left on the account.
    AccountNotEmpty,
    /// Who owns a joint account stays as it is.
    OwnershipImmutable,
    /// Of the people who own an account, its owner alone may.
    OwnerOnly,
    /// A deposit or a withdrawal is under way.
    TransferPending,
    /// Outside of the hours in which orders are taken.
    MarketClosed,
    /// Not enough cash.
    InsufficientBuyingPower,
    /// Not enough shares.
    InsufficientPosition,
    /// Too late to cancel.
    NotCancelable,
    /// Only in a sandbox.
    SandboxOnly,
    /// No such sign-in, or not its password, or a token that is worth nothing.
    InvalidCredentials,
    /// A token from a mail that is worth nothing, or nothing any more.
    InvalidToken,
    /// Another person signs in with this e-mail address.
    EmailTaken,
    /// The invitation is bound to another e-mail address.
    InvitationEmailMismatch,
    /// Not a phone number that can be texted.
    InvalidPhone,
    /// The person has a verified phone number already.
    PhoneVerified,
    /// The person has no verified phone number.
    PhoneNotVerified,
    /// Another person has verified this phone number.
    PhoneTaken,
    /// No such passcode, or one that is used up.
    InvalidHashCode,
    /// Not the code.
    InvalidPasscode,
    /// An authenticator app is set up already.
    TotpEnrolled,
    /// No authenticator app is set up.
    TotpNotEnrolled,
    /// A key was to be given what its giver may not do.
    ScopeNotHeld,
    /// Two keys of one line are live.
    TooManyLiveKeys,
    /// Nobody could give out keys any more.
    LastKey,
    /// The key was used with other input.
    IdempotencyKeyReused,
    /// The first request with this key has not finished.
    IdempotencyInProgress,
}

impl Code {
    /// The code's name on the wire.
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
            Self::MarketClosed => "MARKET_CLOSED",
            Self::InsufficientBuyingPower => "INSUFFICIENT_BUYING_POWER",
            Self::InsufficientPosition => "INSUFFICIENT_POSITION",
            Self::NotCancelable => "NOT_CANCELABLE",
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

    /// Whether the request is at fault, so that a mended one may use its idempotency key: a malformed value,
    /// a missing one, or an id that names nothing. Refusals by the state of things are remembered under the
    /// key.
    pub const fn is_of_the_request(self) -> bool {
        matches!(self, Self::Invalid | Self::Required | Self::NotFound)
    }
}

/// A rule's no: a stable code, the field to blame, and words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: Code,
    /// Steps into the input, outermost first; empty when no single field is to blame.
    pub path: Vec<String>,
    /// A sentence, or, for a field, what follows its name: `must be above zero`.
    pub text: String,
    /// Whether this is the remembered answer to an earlier request.
    #[serde(skip)]
    pub replayed: bool,
    /// What else is wrong with the same request; these have none themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Refusal>,
}

impl Refusal {
    /// A value that cannot be: `text` follows the field's name.
    pub fn invalid(field: &str, text: impl Into<String>) -> Self {
        Self::new(Code::Invalid, field, text)
    }

    /// A value that is missing.
    pub fn required(field: &str) -> Self {
        Self::new(Code::Required, field, "is required")
    }

    /// Credentials that open nothing; which of them is wrong is not told.
    pub fn invalid_credentials() -> Self {
        Self::new(Code::InvalidCredentials, "", "Unable to login with given credentials.")
    }

    /// A request that cannot be read at all; `text` is a sentence.
    pub fn unreadable(text: impl Into<String>) -> Self {
        Self::new(Code::Required, "", text)
    }

    /// Nothing the caller can see is named by this field.
    pub fn not_found(field: &str) -> Self {
        Self::new(Code::NotFound, field, "was not found")
    }

    /// A refusal that blames `field` (steps are split at dots; empty for none).
    pub fn new(code: Code, field: &str, text: impl Into<String>) -> Self {
        let path = field.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        Self { code, path, text: text.into(), replayed: false, others: Vec::new() }
    }

    /// This refusal and then the others of the same request.
    pub fn all(mut self) -> impl Iterator<Item = Self> {
        let others = std::mem::take(&mut self.others);
        std::iter::once(self).chain(others)
    }

    /// Whether `text` continues a field's name instead of standing alone.
    pub fn continues_a_field(&self) -> bool {
        matches!(self.code, Code::Invalid | Code::Required | Code::NotFound) && !self.path.is_empty()
    }

    /// The words for a person, the field called as `name` says.
    pub fn message(&self, name: &str) -> String {
        if self.continues_a_field() { format!("{name} {}", self.text) } else { self.text.clone() }
    }
}
