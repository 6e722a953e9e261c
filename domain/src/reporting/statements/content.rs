//! What a statement tells, as it is stored and as its JSON file shows it. The other files are made from it.
//!
//! Statements are never rewritten, so a field that is added later must be optional. Amounts are texts. Every number in
//! it, except those inside ids, is also in the PDF file.

use chrono::NaiveDate;
use entity::{
    Money, Price, Quantity, Rate,
    account::{AccountKind, Ownership, TaxTreatment},
    lot_closing::Term,
    order::Side,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Statement of an account for a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub id: Uuid,
    /// Name of the partner.
    pub partner: String,
    pub account: AccountPart,
    /// First and last day of the period, in New York.
    pub start_date: NaiveDate,
    pub end_date: NaiveDate,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    pub summary: Summary,
    pub cash: Cash,
    /// Securities that were held at the start or at the end of the period, or moved in between, by symbol.
    pub positions: Vec<Position>,
    pub trades: Vec<Trade>,
    pub transfers: Vec<Transfer>,
    pub dividends: Vec<Dividend>,
    pub fees: Vec<Fee>,
    pub realized_gains: Vec<Gain>,
}

/// The account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPart {
    pub id: Uuid,
    pub number: String,
    pub r#type: AccountKind,
    pub ownership: Ownership,
    pub tax_treatment: TaxTreatment,
    /// Names of the owners.
    pub owners: Vec<String>,
}

/// How the value of the account changed. The opening value and everything up to the change of market value add up to
/// the closing value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Cash and securities before the period.
    pub opening_value: Money,
    /// Deposits less those that were returned.
    pub deposits: Money,
    /// Withdrawals less those that were returned or canceled; zero or less.
    pub withdrawals: Money,
    pub dividends: Money,
    /// Zero or less.
    pub fees: Money,
    /// What is left: gains and losses, realized or not.
    pub market_change: Money,
    /// Cash and securities at the end of the period.
    pub closing_value: Money,
    /// Gains of shares that were held for at most one year, and sold in the period.
    pub short_term_gain: Money,
    /// The same for shares that were held for more than one year.
    pub long_term_gain: Money,
}

/// The cash of the account: settled and unsettled, less what is owed. The opening balance and the amounts of the
/// entries add up to the closing balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cash {
    pub opening_balance: Money,
    pub entries: Vec<CashEntry>,
    pub closing_balance: Money,
    /// Deposits on the way at the end of the period, which are not part of the balance.
    pub pending_deposits: Money,
    /// Withdrawals on the way at the end of the period, which are not part of the balance any more.
    pub pending_withdrawals: Money,
}

/// A change of the cash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashEntry {
    pub date: NaiveDate,
    pub r#type: EntryType,
    pub description: String,
    /// Negative for what the account paid.
    pub amount: Money,
    pub balance: Money,
}

/// Why cash or shares moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryType {
    Deposit,
    /// A deposit that was taken back: returned by the bank, canceled or failed.
    DepositReversal,
    Withdrawal,
    /// A withdrawal that was put back: returned by the bank, canceled or failed.
    WithdrawalReversal,
    Purchase,
    Sale,
    Dividend,
    /// What was paid for fractions of shares.
    CashInLieu,
    Split,
}

impl EntryType {
    /// Returns the word for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Deposit => "Deposit",
            Self::DepositReversal => "Deposit reversed",
            Self::Withdrawal => "Withdrawal",
            Self::WithdrawalReversal => "Withdrawal reversed",
            Self::Purchase => "Purchase",
            Self::Sale => "Sale",
            Self::Dividend => "Dividend",
            Self::CashInLieu => "Cash in lieu",
            Self::Split => "Split",
        }
    }

    /// Returns the word of the JSON and CSV files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::DepositReversal => "deposit_reversal",
            Self::Withdrawal => "withdrawal",
            Self::WithdrawalReversal => "withdrawal_reversal",
            Self::Purchase => "purchase",
            Self::Sale => "sale",
            Self::Dividend => "dividend",
            Self::CashInLieu => "cash_in_lieu",
            Self::Split => "split",
        }
    }
}

/// A security. The opening quantity and the quantities of the entries add up to the closing quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub instrument_id: Uuid,
    /// Symbol at the end of the period.
    pub symbol: String,
    pub name: String,
    pub opening_quantity: Quantity,
    /// Price at the close before the period; none if nothing was held then.
    pub opening_price: Option<Price>,
    pub opening_value: Money,
    pub entries: Vec<ShareEntry>,
    pub closing_quantity: Quantity,
    /// Price at the last close of the period; none if nothing was held then.
    pub closing_price: Option<Price>,
    pub closing_value: Money,
}

/// A change of the number of shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareEntry {
    pub date: NaiveDate,
    pub r#type: EntryType,
    /// Negative for what the account gave.
    pub quantity: Quantity,
    pub balance: Quantity,
}

/// A purchase or sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Trade date.
    pub date: NaiveDate,
    pub settlement_date: NaiveDate,
    pub side: Side,
    pub symbol: String,
    pub quantity: Quantity,
    pub price: Price,
    /// Price of all shares.
    pub amount: Money,
    pub fees: Money,
    /// What the account paid or received, never negative.
    pub net_amount: Money,
}

/// A deposit or withdrawal, or its reversal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub date: NaiveDate,
    pub r#type: EntryType,
    /// Last digits of the bank account.
    pub bank_account: String,
    /// Negative for what left the account.
    pub amount: Money,
}

/// A dividend that was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dividend {
    pub date: NaiveDate,
    pub symbol: String,
    pub quantity: Quantity,
    pub per_share: Rate,
    pub amount: Money,
}

/// Fees of a trade, which are part of its net amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    pub date: NaiveDate,
    pub symbol: String,
    pub sec_fee: Money,
    pub trading_activity_fee: Money,
    pub total: Money,
}

/// Gain or loss on shares of one tax lot that were sold, or paid in cash. Losses that are disallowed because of wash
/// sales are not taken off, because later purchases still change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    pub symbol: String,
    pub quantity: Quantity,
    /// Date from which the holding period is counted.
    pub acquired_date: NaiveDate,
    pub sold_date: NaiveDate,
    pub term: Term,
    pub proceeds: Money,
    pub cost_basis: Money,
    /// Proceeds less cost basis.
    pub gain: Money,
}
