//! Return codes of the ACH network and what follows from them (Nacha Operating Rules, Appendix Four).

use entity::transfer::{Direction, ReturnCode};
use sea_orm::ActiveEnum;

/// How often a debit is presented at most: once, and twice again.
pub const MAX_PRESENTMENTS: i32 = 3;

/// What follows from a return, besides that the money is taken or put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The bank account is no longer used.
    pub disables_bank_account: bool,
    /// The account is frozen until it is unfrozen.
    pub freezes_account: bool,
    /// A person must look into it.
    pub needs_review: bool,
}

const NOTHING: Effects =
    Effects { disables_bank_account: false, freezes_account: false, needs_review: false };

/// Returns what follows from a return with this code.
pub const fn effects(code: ReturnCode) -> Effects {
    use ReturnCode::{
        R01, R02, R03, R04, R05, R06, R07, R08, R09, R10, R11, R12, R13, R14, R15, R16, R17, R20, R23, R24,
        R29,
    };
    match code {
        R02 | R03 | R04 | R07 | R20 | R29 => Effects { disables_bank_account: true, ..NOTHING },
        R05 | R10 => Effects { disables_bank_account: true, freezes_account: true, ..NOTHING },
        R14 | R15 => Effects { freezes_account: true, needs_review: true, ..NOTHING },
        R16 | R24 => Effects { needs_review: true, ..NOTHING },
        R01 | R06 | R08 | R09 | R11 | R12 | R13 | R17 | R23 => NOTHING,
    }
}

/// Returns whether a debit that was returned with this code is presented again, at most twice.
pub const fn is_presented_again(code: ReturnCode) -> bool {
    matches!(code, ReturnCode::R01 | ReturnCode::R09)
}

/// Returns whether a bank can return a transfer in this direction with this code.
pub const fn is_possible(code: ReturnCode, direction: Direction) -> bool {
    use ReturnCode::{R01, R05, R07, R08, R09, R10, R11, R23, R29};
    match direction {
        Direction::Deposit => !matches!(code, R23),
        Direction::Withdrawal => !matches!(code, R01 | R05 | R07 | R08 | R09 | R10 | R11 | R29),
    }
}

/// Returns what the code means.
pub const fn meaning(code: ReturnCode) -> &'static str {
    use ReturnCode::{
        R01, R02, R03, R04, R05, R06, R07, R08, R09, R10, R11, R12, R13, R14, R15, R16, R17, R20, R23, R24,
        R29,
    };
    match code {
        R01 => "Insufficient funds",
        R02 => "Account closed",
        R03 => "No account or unable to locate account",
        R04 => "Invalid account number",
        R05 => "Unauthorized debit to consumer account using corporate SEC code",
        R06 => "Returned per ODFI's request",
        R07 => "Authorization revoked by customer",
        R08 => "Payment stopped",
        R09 => "Uncollected funds",
        R10 => "Customer advises originator is not known or not authorized to debit the account",
        R11 => "Entry not in accordance with the terms of the authorization",
        R12 => "Account sold to another financial institution",
        R13 => "RDFI not qualified to participate",
        R14 => "Representative payee deceased or unable to continue",
        R15 => "Beneficiary or account holder deceased",
        R16 => "Account frozen or entry returned per OFAC instruction",
        R17 => "File record edit criteria or questionable entry",
        R20 => "Non-transaction account",
        R23 => "Credit entry refused by receiver",
        R24 => "Duplicate entry",
        R29 => "Corporate customer advises not authorized",
    }
}

/// Returns the name of a code, for example `R01`.
pub fn name(code: ReturnCode) -> String {
    code.to_value()
}

/// Parses a code, for example `R01`.
pub fn parse(text: &str) -> Option<ReturnCode> {
    ReturnCode::try_from_value(&text.to_owned()).ok()
}
