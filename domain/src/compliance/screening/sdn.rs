//! Parser for the list format of the Office of Foreign Assets Control: `SDN.CSV` and `ALT.CSV`.
//!
//! Neither file has a header. A line of the first is an entry: number, name (`LAST, First Middle` for
//! people), type, programs (`SDGT] [IFSR`), title, call sign, vessel type, tonnage, gross registered tonnage,
//! flag, owner and remarks. A line of the second is another name of an entry: the entry's number, its own
//! number, type, name and remarks. `-0-` is an empty field. Remarks contain dates of birth and weak aliases.
//! The files are UTF-8 or Latin-1 and end with the end-of-file mark 0x1A. The consolidated list of the same
//! office has the same format.

use super::births::{self, Birth};
use std::{borrow::Cow, collections::HashMap, fmt};

/// Entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the entry on its list.
    pub number: i64,
    /// Whether the entry is a person.
    pub individual: bool,
    pub programs: Vec<String>,
    pub births: Vec<Birth>,
    /// Primary name, then aliases.
    pub names: Vec<String>,
}

/// Reason why a list cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Line of the list, and what is wrong with it.
    List(u64, Cow<'static, str>),
    /// Line of the aliases, and what is wrong with it.
    Aliases(u64, Cow<'static, str>),
    /// The list has no entries.
    Empty,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(line, why) => write!(f, "line {line} {why}"),
            Self::Aliases(line, why) => write!(f, "line {line} of the aliases {why}"),
            Self::Empty => f.write_str("the list has no entries"),
        }
    }
}

/// Parsed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub entries: Vec<Entry>,
    /// Warnings for the operator to judge.
    pub warnings: Vec<Warning>,
}

/// Possible problem of a file that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The list has no end-of-file mark.
    ListWithoutEnd,
    /// The aliases have no end-of-file mark.
    AliasesWithoutEnd,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self {
            Self::ListWithoutEnd => "the list",
            Self::AliasesWithoutEnd => "the list of aliases",
        };
        write!(f, "{file} does not end with the end-of-file mark 0x1A and may have been cut off")
    }
}

/// Parses a list with its aliases, or returns the first faulty line.
pub fn read(list: &[u8], aliases: Option<&[u8]>) -> Result<List, Unreadable> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<i64, usize> = HashMap::new();
    each_line::<12>(list, |line, fields| {
        let fault = |why: &'static str| Unreadable::List(line, why.into());
        let [number, name, kind, programs, .., remarks] = fields;
        let number = number_of(number).ok_or_else(|| fault("does not start with an entry number"))?;
        let name = text_of(name).ok_or_else(|| fault("has no name"))?;
        if places.insert(number, entries.len()).is_some() {
            return Err(Unreadable::List(line, format!("repeats entry {number}").into()));
        }
        let individual = is_individual(kind)
            .ok_or_else(|| fault("has a type that is not individual, entity, vessel or aircraft"))?;
        let remarks = text_of(remarks).unwrap_or_default();
        let mut entry = Entry {
            number,
            individual,
            programs: text_of(programs).map(programs_of).unwrap_or_default(),
            births: births::in_remarks(remarks),
            names: vec![name.to_owned()],
        };
        weak_aliases(remarks).for_each(|alias| entry.add(alias));
        entries.push(entry);
        Ok(())
    })
    .map_err(|error| error.unwrap_or_else(Unreadable::List))?;
    each_line::<5>(aliases.unwrap_or_default(), |line, [number, _, _, name, _]| {
        let fault = |why: &'static str| Unreadable::Aliases(line, why.into());
        let number = number_of(number).ok_or_else(|| fault("does not start with an entry number"))?;
        let name = text_of(name).ok_or_else(|| fault("has no name"))?;
        let entry = places.get(&number).and_then(|place| entries.get_mut(*place));
        entry.ok_or_else(|| fault("refers to an entry that is not on the list"))?.add(name);
        Ok(())
    })
    .map_err(|error| error.unwrap_or_else(Unreadable::Aliases))?;
    if entries.is_empty() {
        return Err(Unreadable::Empty);
    }
    let missing = |bytes, warning| Some(warning).filter(|_| !has_end(bytes));
    let warnings = [
        missing(list, Warning::ListWithoutEnd),
        aliases.and_then(|bytes| missing(bytes, Warning::AliasesWithoutEnd)),
    ];
    Ok(List { entries, warnings: warnings.into_iter().flatten().collect() })
}

impl Entry {
    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

/// Whether entries of this type are people; none for an unknown type, which may be one of people.
fn is_individual(kind: &str) -> Option<bool> {
    match text_of(kind).map(str::to_ascii_lowercase).as_deref() {
        Some("individual") => Some(true),
        None | Some("entity" | "vessel" | "aircraft") => Some(false),
        Some(_) => None,
    }
}

/// Fault in a file: complete, or without the information which file it is.
enum Fault {
    Unreadable(Unreadable),
    Line(u64, Cow<'static, str>),
}

impl Fault {
    fn unwrap_or_else(self, of_file: impl FnOnce(u64, Cow<'static, str>) -> Unreadable) -> Unreadable {
        match self {
            Self::Unreadable(error) => error,
            Self::Line(line, why) => of_file(line, why),
        }
    }
}

/// Calls `take` with the trimmed fields of each line, which must be `N`.
fn each_line<const N: usize>(
    bytes: &[u8],
    mut take: impl FnMut(u64, [&str; N]) -> Result<(), Unreadable>,
) -> Result<(), Fault> {
    let text = decoded(bytes);
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let (mut counted, mut line) = (0, 1);
    loop {
        let from = usize::try_from(lines.position().byte()).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = text.as_bytes().get(counted..from + blank).unwrap_or_default();
        line += passed.split(|byte| *byte == b'\n').skip(1).count() as u64;
        counted = from + blank;
        match lines.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) => return Err(Fault::Line(line, "cannot be read".into())),
        }
        let fields: Vec<&str> = record.iter().collect();
        if fields == [END] {
            let is_last = usize::try_from(lines.position().byte()).is_ok_and(|at| at >= text.len());
            return if is_last {
                Ok(())
            } else {
                Err(Fault::Line(line + 1, "is after the end-of-file mark".into()))
            };
        }
        if fields.iter().any(|field| field.contains(['\n', '\r'])) {
            return Err(Fault::Line(line, "has a quotation mark that is not closed".into()));
        }
        let count = fields.len();
        let fields: [&str; N] = fields
            .try_into()
            .map_err(|_| Fault::Line(line, format!("has {count} columns instead of {N}").into()))?;
        take(line, fields).map_err(Fault::Unreadable)?;
    }
}

/// The end-of-file mark of the format.
const END: &str = "\u{1a}";

/// Whether the text ends with an end-of-file mark, ignoring blanks and line breaks.
fn has_end(bytes: &[u8]) -> bool {
    bytes.trim_ascii_end().ends_with(END.as_bytes())
}

/// Decodes UTF-8, or else Latin-1. Removes a byte order mark and ends the text with one end-of-file mark on
/// its own line, which an unclosed quotation mark would include.
fn decoded(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, 0x1a | b'\r' | b'\n' | b' '))
        .map_or(0, |last| last + 1);
    let bytes = bytes.get(..end).unwrap_or_default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    };
    text + "\n" + END
}

/// Returns a field's text; none for `-0-`.
fn text_of(field: &str) -> Option<&str> {
    Some(field).filter(|field| !field.is_empty() && *field != "-0-")
}

fn number_of(field: &str) -> Option<i64> {
    field.parse().ok().filter(|number| *number > 0 && field.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Splits programs: `SDGT] [IFSR` is two.
fn programs_of(field: &str) -> Vec<String> {
    field
        .split(['[', ']', ';'])
        .map(str::trim)
        .filter(|program| !program.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Returns the weak aliases in remarks: `a.k.a. 'X'`.
fn weak_aliases(remarks: &str) -> impl Iterator<Item = &str> {
    remarks.split(';').filter_map(|remark| {
        let remark = remark.trim().trim_end_matches('.');
        let remark = remark.strip_prefix("alt. ").unwrap_or(remark);
        let name = ["a.k.a.", "f.k.a.", "n.k.a."].iter().find_map(|label| remark.strip_prefix(label))?.trim();
        let name = name.trim_matches(['\'', '"', '‘', '’', '“', '”']).trim();
        Some(name).filter(|name| name.chars().any(char::is_alphabetic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ";

    fn list(lines: &[String]) -> Vec<u8> {
        lines.join("\r\n").into_bytes()
    }

    fn person(number: &str, name: &str, remarks: &str) -> String {
        format!(r#"{number},"{name}","individual","SDGT] [IFSR",{REST},"{remarks}""#)
    }

    #[test]
    fn a_list_is_read_with_its_aliases() {
        let mut bytes = list(&[
            person("7", "ÁLVAREZ, José", "DOB 12 Dec 1960; a.k.a. 'EL TIO'; a.k.a. 'EL TIO'."),
            format!(r#"36,"AEROCARIBBEAN AIRLINES",-0- ,"CUBA",{REST},-0- "#),
            String::from("\u{1a}"),
        ]);
        let aliases = b"7,1,\"aka\",\"ALVARES, Jose\",-0- \r\n36,2,\"aka\",\"AERO-CARIBBEAN\",-0- \r\n\x1a";
        let List { entries, warnings } = read(&bytes, Some(aliases)).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(
            entries,
            [
                Entry {
                    number: 7,
                    individual: true,
                    programs: vec!["SDGT".to_owned(), "IFSR".to_owned()],
                    births: vec![Birth::parse("1960-12-12")],
                    names: ["ÁLVAREZ, José", "EL TIO", "ALVARES, Jose"].map(str::to_owned).to_vec(),
                },
                Entry {
                    number: 36,
                    individual: false,
                    programs: vec!["CUBA".to_owned()],
                    births: vec![],
                    names: ["AEROCARIBBEAN AIRLINES", "AERO-CARIBBEAN"].map(str::to_owned).to_vec(),
                },
            ]
        );
        let latin_1: Vec<u8> = String::from_utf8(std::mem::take(&mut bytes))
            .unwrap()
            .chars()
            .map(|character| u8::try_from(u32::from(character)).unwrap())
            .collect();
        assert_eq!(read(&latin_1, Some(aliases)), Ok(List { entries, warnings }));
    }

    #[test]
    fn the_first_faulty_line_is_reported() {
        let good = || person("7", "CARTER, Ada", "DOB 1960");
        for (lines, message) in [
            (vec![], "the list has no entries"),
            (vec![good(), "8,\"X\"".to_owned()], "line 2 has 2 columns instead of 12"),
            (
                vec![good(), format!("{},extra", person("8", "X, Y", ""))],
                "line 2 has 13 columns instead of 12",
            ),
            (vec![good(), person("eight", "X, Y", "")], "line 2 does not start with an entry number"),
            (vec![good(), person("-8", "X, Y", "")], "line 2 does not start with an entry number"),
            (vec![good(), person("8", "-0- ", "")], "line 2 has no name"),
            (vec![good(), person("7", "X, Y", "")], "line 2 repeats entry 7"),
            (
                vec![good(), "8,\"X, Y".to_owned(), person("9", "V, W", "")],
                "line 2 has a quotation mark that is not closed",
            ),
            (vec![good(), "8,\"X, Y".to_owned()], "line 2 has a quotation mark that is not closed"),
            (
                vec![
                    good(),
                    person("8", "X, Y", "DOB 1950; POB Nowhere").trim_end_matches("where\"").to_owned(),
                ],
                "line 2 has a quotation mark that is not closed",
            ),
            (vec![good(), "8,X,individual".to_owned()], "line 2 has 3 columns instead of 12"),
            (
                vec![good(), "\u{1a}".to_owned(), person("8", "X, Y", "")],
                "line 3 is after the end-of-file mark",
            ),
            (
                vec![person("8", "X, Y", "").replace("individual", "persons")],
                "line 1 has a type that is not individual, entity, vessel or aircraft",
            ),
            (vec![String::new(), "nonsense".to_owned()], "line 2 has 1 columns instead of 12"),
        ] {
            assert_eq!(read(&list(&lines), None).unwrap_err().to_string(), message);
        }
        for (aliases, message) in [
            ("9,1,aka,X,-0-", "line 1 of the aliases refers to an entry that is not on the list"),
            ("7,1,aka,X,-0-\n7,1,aka,X", "line 2 of the aliases has 4 columns instead of 5"),
            ("7,1,aka,-0- ,-0-", "line 1 of the aliases has no name"),
        ] {
            assert_eq!(read(&list(&[good()]), Some(aliases.as_bytes())).unwrap_err().to_string(), message);
        }
    }
}
