//! Writing files that a bank sends to the network.

use super::{BLOCK, LINE, Totals};
use chrono::{NaiveDate, NaiveDateTime};
use entity::{Money, transfer::Direction};
use unicode_normalization::UnicodeNormalization;

/// The bank and the company in whose names a file is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Originator {
    /// Routing number of the bank that receives the file.
    pub destination: String,
    pub destination_name: String,
    /// Identifier that the bank has given to the sender: at most ten characters.
    pub origin: String,
    pub origin_name: String,
    /// Name that account holders see.
    pub company_name: String,
    /// Identifier of the company: at most ten characters.
    pub company_id: String,
    /// First eight digits of the routing number of the bank that originates the entries.
    pub bank: String,
}

/// How the account holder authorized an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryClass {
    /// A debit that was authorized on the internet, once.
    WebOnce,
    /// A debit that was authorized on the internet and repeats.
    WebRecurring,
    /// A credit.
    Prearranged,
}

impl EntryClass {
    const fn code(self) -> &'static str {
        match self {
            Self::WebOnce | Self::WebRecurring => "WEB",
            Self::Prearranged => "PPD",
        }
    }

    /// Positions 77 and 78 of an entry.
    const fn payment_type(self) -> &'static str {
        match self {
            Self::WebOnce => "S",
            Self::WebRecurring => "R",
            Self::Prearranged => "",
        }
    }
}

/// Entry for a checking account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub class: EntryClass,
    /// Deposits debit the bank account, withdrawals credit it.
    pub direction: Direction,
    /// Nine digits.
    pub routing_number: String,
    /// At most 17 characters.
    pub account_number: String,
    /// At most 99,999,999.99 dollars.
    pub amount: Money,
    /// Reference of at most 15 characters.
    pub reference: String,
    pub name: String,
    /// Number of the entry, of which the last seven digits are written after the bank's.
    pub trace: u32,
}

/// Entries of one class with one description and date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// At most ten characters, which account holders see.
    pub description: String,
    /// Date on which the entries are to settle.
    pub effective_on: NaiveDate,
    pub entries: Vec<Entry>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub originator: Originator,
    /// Time in New York.
    pub created_at: NaiveDateTime,
    /// Number of the file on its day, from 0; written as A to Z and 0 to 9.
    pub number: u8,
    pub batches: Vec<Batch>,
}

const MODIFIERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Returns a file as text. Texts that are too long are cut, and letters outside of ASCII are written without their
/// marks.
pub fn write(file: &File) -> String {
    let mut lines = Lines::default();
    let of = &file.originator;
    let modifier = MODIFIERS.get(usize::from(file.number)).map_or('9', |byte| char::from(*byte));
    lines.add(&format!(
        "101{}{}{}{modifier}094101{}{}{}",
        right(&of.destination, 10),
        right(&of.origin, 10),
        file.created_at.format("%y%m%d%H%M"),
        left(&of.destination_name, 23),
        left(&of.origin_name, 23),
        left("", 8),
    ));
    let mut all = Totals::default();
    for (number, batch) in (1..).zip(&file.batches) {
        all.plus(lines.batch(of, number, batch));
    }
    let blocks = (lines.count + 1).div_ceil(BLOCK);
    lines.add(&format!(
        "9{:06}{blocks:06}{:08}{:010}{:012}{:012}{}",
        file.batches.len(),
        all.lines,
        all.hash,
        all.debits,
        all.credits,
        left("", 39),
    ));
    while !lines.count.is_multiple_of(BLOCK) {
        lines.add(&"9".repeat(LINE));
    }
    lines.text
}

#[derive(Default)]
struct Lines {
    text: String,
    count: usize,
}

impl Lines {
    fn add(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.count += 1;
    }

    fn batch(&mut self, of: &Originator, number: u32, batch: &Batch) -> Totals {
        let is_debit = |entry: &Entry| entry.direction == Direction::Deposit;
        let service = match (batch.entries.iter().any(is_debit), batch.entries.iter().all(is_debit)) {
            (true, true) => 225,
            (true, false) => 200,
            (false, _) => 220,
        };
        let class = batch.entries.first().map_or("PPD", |entry| entry.class.code());
        self.add(&format!(
            "5{service}{}{}{}{class}{}{}{}   1{}{number:07}",
            left(&of.company_name, 16),
            left("", 20),
            left(&of.company_id, 10),
            left(&batch.description, 10),
            left("", 6),
            batch.effective_on.format("%y%m%d"),
            left(&of.bank, 8),
        ));
        let mut totals = Totals::default();
        for entry in &batch.entries {
            let cents = u64::try_from(entry.amount.units()).unwrap_or_default();
            let bank = entry.routing_number.get(..8).and_then(|bank| bank.parse().ok()).unwrap_or_default();
            totals.add(bank, cents, is_debit(entry), 0);
            self.add(&format!(
                "6{}{}{}{cents:010}{}{}{}0{}{:07}",
                if is_debit(entry) { 27 } else { 22 },
                left(&entry.routing_number, 9),
                left(&entry.account_number, 17),
                left(&entry.reference, 15),
                left(&entry.name, 22),
                left(entry.class.payment_type(), 2),
                left(&of.bank, 8),
                entry.trace % 10_000_000,
            ));
        }
        self.add(&format!(
            "8{service}{:06}{:010}{:012}{:012}{}{}{}{number:07}",
            totals.lines,
            totals.hash,
            totals.debits,
            totals.credits,
            left(&of.company_id, 10),
            left("", 25),
            left(&of.bank, 8),
        ));
        totals
    }
}

/// Returns a text in ASCII without control characters, at most so long.
fn plain(text: &str, width: usize) -> String {
    let kept = text.nfkd().filter(|character| character.is_ascii() && !character.is_ascii_control());
    kept.take(width).collect()
}

fn left(text: &str, width: usize) -> String {
    format!("{:<width$}", plain(text, width))
}

fn right(text: &str, width: usize) -> String {
    format!("{:>width$}", plain(text, width))
}
