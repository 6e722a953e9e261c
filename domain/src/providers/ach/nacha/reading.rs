//! Reading files of returns and notifications of change. A file is read whole or refused whole, with the numbers of the
//! wrong lines.

use super::{BLOCK, LINE, Totals};
use std::ops::RangeInclusive;

/// What is wrong with a line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    pub line: usize,
    pub what: &'static str,
}

/// What a bank says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The entry was returned; with the code of the reason, for example `R01`.
    Returned { code: String },
    /// The data of the bank account changes; with a code, for example `C01`, and at most 29 characters.
    Change { code: String, corrected: String },
}

/// A notice with the entry that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Line of the entry.
    pub line: usize,
    /// Trace number of the original entry: 15 digits.
    pub original_trace: String,
    /// Amount in cents; zero in a notification of change.
    pub cents: u64,
    pub notice: Notice,
}

/// Reads a file. All entries must have a notice.
pub fn read(text: &str) -> Result<Vec<Incoming>, Vec<WrongLine>> {
    let mut reader = Reader::default();
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    if !text.is_empty() && !text.ends_with('\n') {
        reader.wrong(lines.len(), "must end with a line feed");
    }
    for (number, line) in (1..).zip(&lines) {
        if line.ends_with('\r') {
            reader.wrong(number, "must end with a line feed alone");
        } else if line.len() != LINE || line.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
            reader.wrong(number, "must have 94 printable characters in ASCII");
        } else {
            reader.line(number, line);
        }
    }
    if reader.state != State::Ended {
        reader.wrong(lines.len().max(1), "must be the end of the file, which has no control line");
    }
    if !lines.len().is_multiple_of(BLOCK) {
        reader.wrong(lines.len(), "must fill its block of ten lines");
    }
    if reader.blocks.is_some_and(|blocks| u64::try_from(lines.len().div_ceil(BLOCK)) != Ok(blocks)) {
        reader.wrong(reader.control_line, "has another number of blocks than the file");
    }
    if reader.wrong.is_empty() { Ok(reader.found) } else { Err(reader.wrong) }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// Between batches.
    File,
    Batch,
    Ended,
}

/// An entry whose addenda follows.
struct Waiting {
    line: usize,
    bank: u64,
    cents: u64,
    is_debit: bool,
}

#[derive(Default)]
struct Reader {
    state: State,
    found: Vec<Incoming>,
    wrong: Vec<WrongLine>,
    waiting: Option<Waiting>,
    /// Service class, company, and bank with the number of the batch.
    batch_header: String,
    batch: Totals,
    file: Totals,
    batches: u64,
    blocks: Option<u64>,
    control_line: usize,
}

/// Returns the characters at these positions, counted from 1 as in the format.
fn at(line: &str, positions: RangeInclusive<usize>) -> &str {
    line.get(positions.start() - 1..*positions.end()).unwrap_or_default()
}

fn digits(line: &str, positions: RangeInclusive<usize>) -> Option<u64> {
    let text = at(line, positions);
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Reader {
    fn wrong(&mut self, line: usize, what: &'static str) {
        self.wrong.push(WrongLine { line, what });
    }

    fn line(&mut self, number: usize, line: &str) {
        let kind = line.chars().next().unwrap_or_default();
        if self.waiting.is_some() && kind != '7' {
            self.wrong(number, "must be the addenda of the entry before");
            self.waiting = None;
        }
        match (self.state, kind) {
            (State::Start, '1') => {
                if at(line, 35..=40) != "094101" {
                    self.wrong(number, "must have 094, 10 and 1 in positions 35 to 40");
                }
                self.state = State::File;
            }
            (State::File, '5') => {
                self.batch_header = [2..=4, 41..=50, 80..=94].map(|part| at(line, part)).concat();
                self.batch = Totals::default();
                self.batches += 1;
                self.state = State::Batch;
            }
            (State::Batch, '6') => self.entry(number, line),
            (State::Batch, '7') => self.addenda(number, line),
            (State::Batch, '8') => {
                if [2..=4, 45..=54, 80..=94].map(|part| at(line, part)).concat() != self.batch_header {
                    self.wrong(number, "must repeat service class, company, bank and number of its batch");
                }
                self.compare(number, line, [5..=10, 11..=20, 21..=32, 33..=44], self.batch);
                self.file.plus(self.batch);
                self.state = State::File;
            }
            (State::File, '9') => {
                if digits(line, 2..=7) != Some(self.batches) {
                    self.wrong(number, "has another number of batches than the file");
                }
                (self.blocks, self.control_line) = (digits(line, 8..=13), number);
                if self.blocks.is_none() {
                    self.wrong(number, "must have the number of blocks in positions 8 to 13");
                }
                self.compare(number, line, [14..=21, 22..=31, 32..=43, 44..=55], self.file);
                self.state = State::Ended;
            }
            (State::Ended, '9') if line.bytes().all(|byte| byte == b'9') => {}
            _ => self.wrong(number, "is not the line that must come here"),
        }
    }

    fn entry(&mut self, number: usize, line: &str) {
        let fields = (digits(line, 2..=3), digits(line, 4..=11), digits(line, 30..=39), at(line, 79..=79));
        let (Some(code), Some(bank), Some(cents), "1") = fields else {
            self.wrong(number, "must be an entry with digits in its fields, and with addenda");
            return;
        };
        // Codes of debits end with 5 to 9, among them 26 for a returned debit; those of credits with 1 to 4.
        self.waiting = Some(Waiting { line: number, bank, cents, is_debit: code % 10 >= 5 });
    }

    fn addenda(&mut self, number: usize, line: &str) {
        let Some(Waiting { line: entry_line, bank, cents, is_debit }) = self.waiting.take() else {
            self.wrong(number, "must follow an entry");
            return;
        };
        self.batch.add(bank, cents, is_debit, 1);
        let (code, trace) = (at(line, 4..=6).to_owned(), at(line, 7..=21).to_owned());
        let is_code = |letter: char| {
            code.strip_prefix(letter).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let notice = match at(line, 2..=3) {
            "99" if is_code('R') => Notice::Returned { code },
            "98" if is_code('C') => {
                Notice::Change { code, corrected: at(line, 36..=64).trim_end().to_owned() }
            }
            _ => {
                self.wrong(number, "must be of type 98 or 99, with a code of a change or of a return");
                return;
            }
        };
        if digits(line, 7..=21).is_none() {
            self.wrong(number, "must have a trace number in positions 7 to 21");
            return;
        }
        self.found.push(Incoming { line: entry_line, original_trace: trace, cents, notice });
    }

    /// Compares the number of lines, the hash, the debits and the credits with those of the entries.
    fn compare(
        &mut self,
        number: usize,
        line: &str,
        [lines, hash, debits, credits]: [RangeInclusive<usize>; 4],
        of: Totals,
    ) {
        for (positions, value, what) in [
            (lines, of.lines, "has another number of entries and addenda than there are"),
            (hash, of.hash, "has another hash than the entries"),
            (debits, of.debits, "has another sum of debits than the entries"),
            (credits, of.credits, "has another sum of credits than the entries"),
        ] {
            if digits(line, positions) != Some(value) {
                self.wrong(number, what);
            }
        }
    }
}
