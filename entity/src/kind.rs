//! Kinds of objects that ids identify. The last byte of every id is the tag of its kind.

use uuid::Uuid;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $tag:literal,)*) => {
        /// Kind of object that an id identifies. Tags are stored inside ids and never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $tag,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the kind in the tag of an id; `None` if Coffer did not create the id.
            /// Another id can have a valid tag by chance, so only a query can show that the object exists.
            pub fn of(id: Uuid) -> Option<Self> {
                if id.get_version_num() != 7 { return None; }
                match id.as_bytes().last() { $(Some($tag) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A business with API keys.
    Partner = 1,
    /// An API key.
    ApiKey = 2,
    /// A user.
    User = 3,
    /// An identity check of a user.
    Kyc = 4,
    /// A brokerage account.
    Account = 5,
    /// An external bank account.
    BankAccount = 6,
    /// An ACH transfer.
    Transfer = 7,
    /// A tradable instrument.
    Instrument = 8,
    /// An order.
    Order = 9,
    /// A fill of an order.
    Fill = 10,
    /// A position.
    Position = 11,
    /// An event in the event log.
    Event = 12,
    /// A scheduled action.
    Timer = 13,
    /// A ledger account.
    LedgerAccount = 14,
    /// A ledger movement.
    LedgerTransfer = 15,
    /// A ledger entry: movements that belong together.
    LedgerEntry = 16,
    /// A hold.
    LedgerHold = 17,
    /// A full or partial release of a hold.
    LedgerRelease = 18,
    /// A line of the audit log.
    AuditLine = 19,
    /// An HTTP request.
    Request = 20,
    /// A session, from sign-in to sign-out.
    Session = 21,
    /// An invitation to sign up.
    Invitation = 22,
    /// A one-time passcode.
    Passcode = 23,
    /// An e-mail or text message.
    Message = 24,
    /// A key that encrypts data.
    DataKey = 25,
    /// A document of an identity check.
    KycDocument = 26,
    /// An import of a watch list.
    WatchList = 27,
    /// A watch list entry that resembles a user.
    ScreeningHit = 28,
    /// A record that a user is not a watch list entry.
    ScreeningException = 29,
    /// A review of an identity check.
    KycReview = 30,
    /// A tax lot.
    TaxLot = 40,
    /// A realized gain or loss: shares of one lot that one fill sold.
    LotClosing = 41,
    /// A violation of the settlement rules of cash accounts.
    SettlementViolation = 42,
    /// A dividend, split or symbol change.
    CorporateAction = 70,
    /// What a corporate action means for one account.
    Entitlement = 71,
    /// A statement of an account.
    Statement = 80,
}
