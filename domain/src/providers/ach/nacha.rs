//! Files of the ACH network in the published format of Nacha (Operating Rules, Appendix Three): lines of 94 characters
//! in blocks of ten.

mod reading;
mod writing;

pub use reading::{Incoming, Notice, WrongLine, read};
pub use writing::{Batch, Entry, EntryClass, File, Originator, write};

/// Characters of a line.
const LINE: usize = 94;
/// Lines of a block; the last one is filled with lines of nines.
const BLOCK: usize = 10;

/// Totals of entries: how many lines, the hash of their banks, and the debits and credits in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    lines: u64,
    hash: u64,
    debits: u64,
    credits: u64,
}

impl Totals {
    /// Adds an entry with its addenda. The hash is the sum of the first eight digits of the routing numbers, of which
    /// the last ten digits count.
    const fn add(&mut self, bank: u64, amount: u64, is_debit: bool, addenda: u64) {
        self.lines += 1 + addenda;
        self.hash = (self.hash + bank) % 10_000_000_000;
        if is_debit {
            self.debits = self.debits.saturating_add(amount);
        } else {
            self.credits = self.credits.saturating_add(amount);
        }
    }

    const fn plus(&mut self, other: Self) {
        self.lines += other.lines;
        self.hash = (self.hash + other.hash) % 10_000_000_000;
        self.debits = self.debits.saturating_add(other.debits);
        self.credits = self.credits.saturating_add(other.credits);
    }
}

#[cfg(test)]
mod tests;
