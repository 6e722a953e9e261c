//! What an identifier points at. The last byte of every id is the tag of its kind.

use uuid::Uuid;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $tag:literal,)*) => {
        /// The kind of thing an id names. Tags are stored inside ids and never change meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $tag,)* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind an id claims to be of; `None` for an id that was never ours.
            /// A foreign id carries a valid tag by chance, so the look-up still decides.
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
    /// A person.
    User = 3,
    /// One identity check of a person.
    Kyc = 4,
    /// A brokerage account.
    Account = 5,
    /// A bank account outside.
    BankAccount = 6,
    /// Money moved by ACH.
    Transfer = 7,
    /// Something that can be traded.
    Instrument = 8,
    /// An instruction to trade.
    Order = 9,
    /// A part of an order that was traded.
    Fill = 10,
    /// A holding.
    Position = 11,
    /// Something that happened.
    Event = 12,
    /// Something that will happen.
    Timer = 13,
    /// An account of the ledger.
    LedgerAccount = 14,
    /// One movement of the ledger.
    LedgerTransfer = 15,
    /// Several movements that belong together.
    LedgerEntry = 16,
    /// An amount set aside.
    LedgerHold = 17,
    /// The end of a hold, or of a part of it.
    LedgerRelease = 18,
    /// A line of the audit log.
    AuditLine = 19,
    /// One HTTP request.
    Request = 20,
    /// A sign-in, from the password to the sign-out.
    Session = 21,
    /// A wish that somebody sign up.
    Invitation = 22,
    /// A one-time passcode.
    Passcode = 23,
    /// A mail or a text message.
    Message = 24,
    /// A key that encrypts one partner's data.
    DataKey = 25,
    /// A document of an identity check.
    KycDocument = 26,
    /// An import of a watch list.
    WatchList = 27,
    /// An entry of a watch list that resembles a person.
    ScreeningHit = 28,
    /// A person who is not an entry of a watch list.
    ScreeningException = 29,
}
