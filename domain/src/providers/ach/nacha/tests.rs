use super::*;
use chrono::NaiveDate;
use entity::{Money, transfer::Direction};

fn originator() -> Originator {
    Originator {
        destination: "231380104".to_owned(),
        destination_name: "Federal Reserve Bank".to_owned(),
        origin: "121042882".to_owned(),
        origin_name: "Crédit Coffer".to_owned(),
        company_name: "Coffer Brokerage Services".to_owned(),
        company_id: "1210428820".to_owned(),
        bank: "12104288".to_owned(),
    }
}

fn entry(direction: Direction, cents: i64, trace: u32) -> Entry {
    let class = if direction == Direction::Deposit { EntryClass::WebOnce } else { EntryClass::Prearranged };
    Entry {
        class,
        direction,
        routing_number: "231380104".to_owned(),
        account_number: "12345678".to_owned(),
        amount: Money::from_units(cents),
        reference: "D-1".to_owned(),
        name: "Zoë Carter".to_owned(),
        trace,
    }
}

fn file(batches: Vec<Batch>) -> File {
    let day = NaiveDate::from_ymd_opt(2026, 7, 9).unwrap();
    File { originator: originator(), created_at: day.and_hms_opt(16, 45, 0).unwrap(), number: 1, batches }
}

fn batch(entries: Vec<Entry>) -> Batch {
    let effective_on = NaiveDate::from_ymd_opt(2026, 7, 10).unwrap();
    Batch { description: "DEPOSIT".to_owned(), effective_on, entries }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

#[test]
fn a_debit_is_written_as_published() {
    let text = write(&file(vec![batch(vec![entry(Direction::Deposit, 100_000_000, 1)])]));
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "101 231380104 1210428822607091645B094101Federal Reserve Bank   Credit Coffer",
        "5225Coffer Brokerage                    1210428820WEBDEPOSIT         260710   1121042880000001",
        "62723138010412345678         0100000000D-1            Zoe Carter            S 0121042880000001",
        "822500000100231380100001000000000000000000001210428820                         121042880000001",
        "9000001000001000000010023138010000100000000000000000000",
    ];
    assert_eq!(lines[..5], expected.map(|line| padded(line, 94)));
    assert_eq!(lines.len(), 10);
    assert!(lines[5..].iter().all(|line| *line == "9".repeat(94)));
}

#[test]
fn batches_add_up_and_blocks_are_filled() {
    let debits = (1..=12).map(|trace| entry(Direction::Deposit, 1, trace)).collect();
    let credits = vec![entry(Direction::Withdrawal, 250, 13)];
    let text = write(&file(vec![batch(debits), batch(credits)]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line.len() == 94));
    assert_eq!(&lines[14][..44], "82250000120277656120000000000012000000000000");
    assert_eq!(&lines[15][..4], "5220");
    assert_eq!(&lines[16][..3], "622");
    assert_eq!(&lines[16][76..79], "  0");
    assert_eq!(&lines[17][..44], "82200000010023138010000000000000000000000250");
    assert_eq!(&lines[18][..55], "9000002000002000000130300794130000000000012000000000250");
}

#[test]
fn the_hash_has_ten_digits() {
    let mut totals = Totals::default();
    for _ in 0..200 {
        totals.add(99_999_999, 0, true, 0);
    }
    assert_eq!(totals.hash, 9_999_999_800);
}

/// Returns a file with a returned debit, a returned credit and a notification of change.
fn returns() -> Vec<String> {
    let entry = |code: u8, cents: u64, trace: u32| {
        format!("6{code}231380104{}{cents:010}{}123138010{trace:07}", padded("12345678", 17), padded("", 39))
    };
    let addenda = |kind: &str, code: &str, original: u32, info: &str, trace: u32| {
        format!("7{kind}{code}12104288{original:07}      12104288{}23138010{trace:07}", padded(info, 44))
    };
    let header = |class: &str, number: u32| {
        let company = padded("Coffer", 36);
        format!("5200{company}1210428820{class}{}260713   123138010{number:07}", padded("DEPOSIT", 16))
    };
    let control =
        |totals: &str, number: u32| format!("8200{totals}1210428820{}23138010{number:07}", padded("", 25));
    let mut lines = vec![
        format!("101 121042882 2313801042607131200A094101{}", padded("", 54)),
        header("PPD", 1),
        entry(26, 1_000, 1),
        addenda("99", "R01", 7, "", 1),
        entry(21, 250, 2),
        addenda("99", "R03", 8, "", 2),
        control("0000040046276020000000001000000000000250", 1),
        header("COR", 2),
        entry(26, 0, 3),
        addenda("98", "C01", 9, "87654321", 3),
        control("0000020023138010000000000000000000000000", 2),
        padded("9000002000002000000060069414030000000001000000000000250", 94),
    ];
    lines.resize(20, "9".repeat(94));
    lines
}

fn text_of(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[test]
fn returns_and_changes_are_read() {
    let incoming = |line, original: &str, cents, notice| Incoming {
        line,
        original_trace: original.to_owned(),
        cents,
        notice,
    };
    let returned = |code: &str| Notice::Returned { code: code.to_owned() };
    let change = Notice::Change { code: "C01".to_owned(), corrected: "87654321".to_owned() };
    assert_eq!(
        read(&text_of(&returns())),
        Ok(vec![
            incoming(3, "121042880000007", 1_000, returned("R01")),
            incoming(5, "121042880000008", 250, returned("R03")),
            incoming(9, "121042880000009", 0, change),
        ])
    );
}

#[test]
fn wrong_files_are_refused_with_the_numbers_of_their_lines() {
    let replaced = |line: usize, places: std::ops::Range<usize>, with: &str| {
        let mut lines = returns();
        lines[line - 1].replace_range(places, with);
        text_of(&lines)
    };
    let without = |line: usize| {
        let mut lines = returns();
        lines.remove(line - 1);
        text_of(&lines)
    };
    let not_here = "is not the line that must come here";
    for (text, line, what) in [
        (String::new(), 1, "must be the end of the file, which has no control line"),
        (text_of(&returns()).replace('\n', "\r\n"), 1, "must end with a line feed alone"),
        (text_of(&returns()).trim_end().to_owned(), 20, "must end with a line feed"),
        (replaced(3, 93..94, ""), 3, "must have 94 printable characters in ASCII"),
        (replaced(3, 60..61, "\u{7}"), 3, "must have 94 printable characters in ASCII"),
        (replaced(1, 34..37, "080"), 1, "must have 094, 10 and 1 in positions 35 to 40"),
        (without(1), 1, not_here),
        (without(2), 2, not_here),
        (without(4), 4, "must be the addenda of the entry before"),
        (without(3), 3, "must follow an entry"),
        (
            replaced(3, 29..39, "00000o1000"),
            3,
            "must be an entry with digits in its fields, and with addenda",
        ),
        (replaced(4, 3..6, "X01"), 4, "must be of type 98 or 99, with a code of a change or of a return"),
        (replaced(4, 6..21, "12104288 000007"), 4, "must have a trace number in positions 7 to 21"),
        (replaced(7, 10..20, "0046276021"), 7, "has another hash than the entries"),
        (replaced(7, 4..10, "000005"), 7, "has another number of entries and addenda than there are"),
        (replaced(7, 20..32, "000000001001"), 7, "has another sum of debits than the entries"),
        (replaced(7, 32..44, "000000000251"), 7, "has another sum of credits than the entries"),
        (
            replaced(7, 87..94, "0000009"),
            7,
            "must repeat service class, company, bank and number of its batch",
        ),
        (replaced(12, 1..7, "000003"), 12, "has another number of batches than the file"),
        (replaced(12, 7..13, "000003"), 12, "has another number of blocks than the file"),
        (replaced(12, 21..31, "0069414031"), 12, "has another hash than the entries"),
        (replaced(20, 0..1, "1"), 20, not_here),
        (without(20), 19, "must fill its block of ten lines"),
    ] {
        let wrong = read(&text).unwrap_err();
        assert!(wrong.contains(&WrongLine { line, what }), "{what}: {wrong:?}");
    }
}
