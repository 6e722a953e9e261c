//! Files of bars: reading them and finding what is wrong with them.

use super::{Bar, MAX_PRICE};
use crate::trading::wrong_lines::WrongLines;
use chrono::{DateTime, Utc};
use csv::ByteRecord;
use entity::Price;
use std::{collections::HashMap, str::FromStr};

/// Columns of a file of bars.
pub const COLUMNS: [&str; 7] = ["symbol", "time", "open", "high", "low", "close", "volume"];

/// Bars of a file, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BarFile {
    /// Symbols in the order of their first lines.
    pub symbols: Vec<String>,
    pub bars: Vec<FileBar>,
}

/// Bar of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBar {
    pub line: u64,
    /// Position in the list of symbols.
    pub symbol: usize,
    pub bar: Bar,
}

/// Parses a CSV file of one-minute bars. The first line has the column names, in any order. The times of each symbol
/// must increase; the lines of several symbols may be mixed, and minutes may be missing.
///
/// # Errors
/// A message with the numbers of the wrong lines.
pub fn read(text: &[u8]) -> Result<BarFile, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let header = reader.headers().map_err(|_| "line 1: cannot be read".to_owned())?.clone();
    let places = COLUMNS.map(|column| header.iter().position(|name| name == column));
    let mut columns = [0; COLUMNS.len()];
    for (column, place) in columns.iter_mut().zip(places) {
        *column = place.ok_or_else(|| format!("line 1: must be {}", COLUMNS.join(",")))?;
    }
    if header.len() != COLUMNS.len() {
        return Err(format!("line 1: must be {}", COLUMNS.join(",")));
    }
    let mut file = BarFile::default();
    let mut series: HashMap<String, Series> = HashMap::new();
    let mut wrong = WrongLines::default();
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err("cannot be read".to_owned()),
        }
        let line = record.position().map_or(0, csv::Position::line);
        match parsed(&record, &columns).and_then(|(symbol, bar)| follow(&mut series, &mut file, symbol, bar))
        {
            Ok((symbol, bar)) => file.bars.push(FileBar { line, symbol, bar }),
            Err(what) => wrong.add(line, &what),
        }
    }
    wrong.done()?;
    if file.bars.is_empty() { Err("has no bars".to_owned()) } else { Ok(file) }
}

/// Bars of one symbol read so far.
struct Series {
    symbol: usize,
    last: DateTime<Utc>,
}

/// Returns the position of a bar's symbol. Fails unless the bar follows the last one of its symbol.
fn follow(
    series: &mut HashMap<String, Series>,
    file: &mut BarFile,
    symbol: &str,
    bar: Bar,
) -> Result<(usize, Bar), String> {
    let Some(known) = series.get_mut(symbol) else {
        let number = file.symbols.len();
        file.symbols.push(symbol.to_owned());
        series.insert(symbol.to_owned(), Series { symbol: number, last: bar.starts_at });
        return Ok((number, bar));
    };
    if bar.starts_at == known.last {
        return Err(format!("time is the same as in the line of {symbol} before"));
    }
    if bar.starts_at < known.last {
        return Err(format!("time is before that of the line of {symbol} before"));
    }
    known.last = bar.starts_at;
    Ok((known.symbol, bar))
}

fn parsed<'a>(record: &'a ByteRecord, columns: &[usize; COLUMNS.len()]) -> Result<(&'a str, Bar), String> {
    if record.len() != COLUMNS.len() {
        return Err(format!("must have {} values", COLUMNS.len()));
    }
    let text = |column: usize| {
        let value = columns.get(column).and_then(|place| record.get(*place)).unwrap_or_default();
        std::str::from_utf8(value).map_err(|_| format!("must have {} values in UTF-8", COLUMNS.len()))
    };
    let symbol = text(0)?;
    if symbol.is_empty() {
        return Err("symbol is missing".to_owned());
    }
    let time = DateTime::parse_from_rfc3339(text(1)?).map_err(|_| {
        "time must be an RFC 3339 timestamp with its offset, for example 2026-07-10T09:30:00-04:00".to_owned()
    })?;
    let price = |column: usize, name: &str| {
        let price: Option<Price> = number(text(column)?);
        price.ok_or_else(|| format!("{name} must be a price up to {MAX_PRICE}, with at most 4 decimals"))
    };
    let bar = Bar {
        starts_at: time.to_utc(),
        open: price(2, "open")?,
        high: price(3, "high")?,
        low: price(4, "low")?,
        close: price(5, "close")?,
        volume: number(text(6)?).ok_or("volume must be a number of shares, with at most 8 decimals")?,
    };
    match bar.faults("time").first() {
        Some((field, what)) => Err(format!("{field} {what}")),
        None => Ok((symbol, bar)),
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "symbol,time,open,high,low,close,volume\n";

    fn wrong(lines: &str) -> String {
        read(format!("{HEADER}{lines}").as_bytes()).unwrap_err()
    }

    #[test]
    fn bars_of_several_symbols_are_read_in_any_order_of_columns() {
        let text = "\u{feff}volume, close,low,high,open,time,symbol\n\
                    1200.5,101.5,99,102.25,100,2026-07-10T09:30:00-04:00,VTI\n\
                    0,50,50,50,50,2026-07-10T13:30:00Z,BRK.B\n\
                    7,101,101,101,101,2026-07-10T13:32:00.000Z,VTI\n";
        let file = read(text.as_bytes()).unwrap();
        assert_eq!(file.symbols, ["VTI", "BRK.B"]);
        let shown: Vec<_> =
            file.bars.iter().map(|bar| (bar.line, bar.symbol, bar.bar.starts_at.to_rfc3339())).collect();
        assert_eq!(
            shown,
            [
                (2, 0, "2026-07-10T13:30:00+00:00".to_owned()),
                (3, 1, "2026-07-10T13:30:00+00:00".to_owned()),
                (4, 0, "2026-07-10T13:32:00+00:00".to_owned()),
            ]
        );
        let bar = file.bars[0].bar;
        let units = [bar.open, bar.high, bar.low, bar.close].map(Price::units);
        assert_eq!(units, [1_000_000, 1_022_500, 990_000, 1_015_000]);
        assert_eq!(bar.volume.to_string(), "1200.5");
    }

    #[test]
    fn wrong_lines_are_named() {
        let good = "VTI,2026-07-10T13:30:00Z,100,102,99,101,5\n";
        for (line, what) in [
            ("VTI,2026-07-10T13:30:00Z,100,102,99,101,5", "time is the same as in the line of VTI before"),
            ("VTI,2026-07-10T13:29:00Z,100,102,99,101,5", "time is before that of the line of VTI before"),
            ("VTI,2026-07-10T13:31:30Z,100,102,99,101,5", "time must be a whole minute"),
            (
                "VTI,2026-07-10T13:31:00,100,102,99,101,5",
                "time must be an RFC 3339 timestamp with its offset, for example 2026-07-10T09:30:00-04:00",
            ),
            ("VTI,9999-07-10T13:31:00Z,100,102,99,101,5", "time must be in the years 1970 to 9998"),
            ("VTI,2026-07-10T13:31:00Z,-1,102,99,101,5", "open must be above zero and at most 1000000"),
            ("VTI,2026-07-10T13:31:00Z,100,102,0,101,5", "low must be above zero and at most 1000000"),
            ("VTI,2026-07-10T13:31:00Z,100,98,99,101,5", "high must not be below open, close and low"),
            ("VTI,2026-07-10T13:31:00Z,100,102,99,103,5", "high must not be below open, close and low"),
            ("VTI,2026-07-10T13:31:00Z,100,102,100.5,101,5", "low must not be above open and close"),
            ("VTI,2026-07-10T13:31:00Z,100,1000001,99,101,5", "high must be above zero and at most 1000000"),
            (
                "VTI,2026-07-10T13:31:00Z,100.00001,102,99,101,5",
                "open must be a price up to 1000000.00, with at most 4 decimals",
            ),
            (
                "VTI,2026-07-10T13:31:00Z,1e2,102,99,101,5",
                "open must be a price up to 1000000.00, with at most 4 decimals",
            ),
            ("VTI,2026-07-10T13:31:00Z,100,102,99,101,-5", "volume must not be negative"),
            (
                "VTI,2026-07-10T13:31:00Z,100,102,99,101,many",
                "volume must be a number of shares, with at most 8 decimals",
            ),
            (",2026-07-10T13:31:00Z,100,102,99,101,5", "symbol is missing"),
            ("VTI,2026-07-10T13:31:00Z,100,102,99,101", "must have 7 values"),
        ] {
            assert_eq!(wrong(&format!("{good}{line}\n")), format!("line 3: {what}"));
        }
    }

    #[test]
    fn at_most_ten_wrong_lines_are_named() {
        let text = wrong(&"VTI,never,1,1,1,1,1\n".repeat(12));
        assert!(
            text.starts_with("line 2: time must be") && text.ends_with("; 2 more lines are wrong"),
            "{text}"
        );
        assert_eq!(text.matches("line ").count(), 10);
        assert!(wrong(&"VTI,never,1,1,1,1,1\n".repeat(11)).ends_with("; 1 more line is wrong"));
    }

    #[test]
    fn files_without_bars_are_refused() {
        assert_eq!(wrong(""), "has no bars");
        let header = "line 1: must be symbol,time,open,high,low,close,volume";
        assert_eq!(read(b"").unwrap_err(), header);
        assert_eq!(read(b"symbol,time\n").unwrap_err(), header);
        assert_eq!(read(format!("extra,{HEADER}").as_bytes()).unwrap_err(), header);
    }
}
