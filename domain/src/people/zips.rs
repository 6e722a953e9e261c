//! ZIP codes of each state, and recognition of post office boxes.

use super::{codes::UsState, person::PostalCode};

impl UsState {
    /// Whether a ZIP code belongs to the state. Compares the first three digits, and all five where several
    /// states share them.
    pub fn has(self, zip: &PostalCode) -> bool {
        let Some(zip) = zip.as_str().get(..5).and_then(|zip| zip.parse::<u32>().ok()) else { return false };
        let is_in =
            |ranges: &[(u32, u32)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&zip));
        let of_prefix = PREFIXES.iter().any(|(state, ranges)| {
            *state == self.code()
                && ranges.iter().any(|(first, last)| (*first..=*last).contains(&(zip / 100)))
        });
        let is_shared = SHARED_PREFIXES.contains(&(zip / 100));
        (of_prefix && !is_shared)
            || FULL_CODES.iter().any(|(state, ranges)| *state == self.code() && is_in(ranges))
    }
}

/// Three-digit ZIP code prefixes of each state (United States Postal Service, Publication 65 and Domestic
/// Mail Manual L002).
#[rustfmt::skip]
const PREFIXES: [(&str, &[(u32, u32)]); 56] = [
    ("AL", &[(350, 369)]), ("AK", &[(995, 999)]), ("AZ", &[(850, 865)]), ("AR", &[(716, 729)]), ("CA", &[(900, 961)]),
    ("CO", &[(800, 816)]), ("CT", &[(60, 69)]), ("DE", &[(197, 199)]), ("FL", &[(320, 339), (341, 349)]),
    ("GA", &[(300, 319), (398, 399)]), ("HI", &[(968, 968)]), ("ID", &[(832, 838)]), ("IL", &[(600, 629)]),
    ("IN", &[(460, 479)]), ("IA", &[(500, 528)]), ("KS", &[(660, 679)]), ("KY", &[(400, 427)]), ("LA", &[(700, 714)]),
    ("ME", &[(39, 49)]), ("MD", &[(206, 219)]), ("MA", &[(10, 27), (55, 55)]), ("MI", &[(480, 499)]),
    ("MN", &[(550, 567)]),
    ("MS", &[(386, 397)]), ("MO", &[(630, 658)]), ("MT", &[(590, 599)]), ("NE", &[(680, 693)]), ("NV", &[(889, 898)]),
    ("NH", &[(30, 38)]), ("NJ", &[(70, 89)]), ("NM", &[(870, 884)]), ("NY", &[(5, 5), (100, 149)]),
    ("NC", &[(270, 289)]),
    ("ND", &[(580, 588)]), ("OH", &[(430, 459)]), ("OK", &[(730, 732), (734, 749)]), ("OR", &[(970, 979)]),
    ("PA", &[(150, 196)]), ("RI", &[(28, 29)]), ("SC", &[(290, 299)]), ("SD", &[(570, 577)]), ("TN", &[(370, 385)]),
    ("TX", &[(733, 733), (750, 799), (885, 885)]), ("UT", &[(840, 847)]), ("VT", &[(50, 54), (56, 59)]),
    ("VA", &[(201, 201), (220, 246)]), ("WA", &[(980, 994)]), ("WV", &[(247, 268)]), ("WI", &[(530, 549)]),
    ("WY", &[(820, 831)]), ("DC", &[(200, 200), (202, 205), (569, 569)]), ("PR", &[(6, 7), (9, 9)]),
    ("VI", &[(8, 8)]),
    ("AA", &[(340, 340)]), ("AE", &[(90, 98)]), ("AP", &[(962, 966)]),
];

/// Prefixes that several states share; all five digits decide.
const SHARED_PREFIXES: [u32; 2] = [967, 969];

/// Full ZIP codes: states that share a prefix, and codes that cross a border.
#[rustfmt::skip]
const FULL_CODES: [(&str, &[(u32, u32)]); 20] = [
    ("HI", &[(96700, 96798)]), ("AS", &[(96799, 96799)]), ("GU", &[(96910, 96932)]),
    ("PW", &[(96939, 96940)]), ("FM", &[(96941, 96944)]), ("MP", &[(96950, 96952)]), ("MH", &[(96960, 96970)]),
    ("NY", &[(6390, 6390)]), ("MA", &[(2861, 2861)]), ("TN", &[(42223, 42223)]), ("ND", &[(59221, 59221)]),
    ("IL", &[(63673, 63673)]),
    ("LA", &[(71749, 71749)]), ("TX", &[(73949, 73949), (88063, 88063)]),
    ("NM", &[(81137, 81137), (86515, 86515)]), ("AZ", &[(84536, 84536)]),
    ("UT", &[(86044, 86044)]), ("CA", &[(89439, 89439), (97635, 97635)]), ("WY", &[(83414, 83414)]),
    ("AR", &[(75502, 75502)]),
];

/// Whether an address line is a post office box in any spelling, for example `P.O. Box 12`, `Post Office Box
/// 12`, `POB 12` or `Box 12`.
pub fn is_po_box(line: &str) -> bool {
    let line = line.to_lowercase().replace(['.', '\''], "");
    let words: Vec<&str> =
        line.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has_digit = |word: Option<&&str>| {
        word.is_some_and(|word| word.contains(|character: char| character.is_ascii_digit()))
    };
    let begins = |at: usize, with: &[&str]| words.get(at..).is_some_and(|words| words.starts_with(with));
    let numbered = |word: &str, label: &str| {
        word.strip_prefix(label)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    words.iter().enumerate().any(|(at, word)| {
        [&["po", "box"][..], &["p", "o", "box"], &["post", "office", "box"], &["postal", "box"], &["pobox"]]
            .iter()
            .any(|label| begins(at, label))
            || (*word == "pob" && has_digit(words.get(at + 1)))
            || numbered(word, "pob")
            || numbered(word, "pobox")
            || (at == 0 && *word == "box" && has_digit(words.get(1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zip_codes_belong_to_states() {
        for (state, zips) in [
            ("AK", &["99501", "99950"][..]),
            ("VA", &["23220", "20147", "22201-1234"]),
            ("CA", &["90001", "94105", "96161"]),
            ("NY", &["10001", "14901", "06390", "00501"]),
            ("CT", &["06510", "06390"]),
            ("MA", &["02139", "05501"]),
            ("TX", &["73301", "75001", "79999", "88510"]),
            ("OK", &["73102", "74103"]),
            ("DC", &["20001", "20500", "56901"]),
            ("PR", &["00601", "00926"]),
            ("VI", &["00802"]),
            ("HI", &["96701", "96813"]),
            ("AS", &["96799"]),
            ("GU", &["96910"]),
            ("MP", &["96950"]),
            ("PW", &["96940"]),
            ("FM", &["96941"]),
            ("MH", &["96960", "96970"]),
            ("AA", &["34001"]),
            ("AE", &["09001", "09898"]),
            ("AP", &["96201", "96601"]),
            ("WY", &["82001", "83414"]),
            ("ID", &["83414", "83702"]),
            ("KY", &["42223"]),
            ("TN", &["42223", "37201"]),
        ] {
            let state = UsState::parse(state).unwrap();
            for zip in zips {
                assert!(state.has(&PostalCode::parse(zip).unwrap()), "{} {zip}", state.code());
            }
        }
        for (state, zips) in [
            ("AK", &["23220", "98101"][..]),
            ("VA", &["99501", "20001"]),
            ("HI", &["96799", "96910"]),
            ("AS", &["96701"]),
            ("GU", &["96950", "96940"]),
            ("PW", &["96910", "96941"]),
            ("FL", &["34001"]),
            ("AE", &["34001", "96201"]),
            ("TX", &["73102"]),
            ("NJ", &["09001", "10001"]),
            ("CA", &["96201"]),
        ] {
            let state = UsState::parse(state).unwrap();
            for zip in zips {
                assert!(!state.has(&PostalCode::parse(zip).unwrap()), "{} {zip}", state.code());
            }
        }
        let has_none = |state: &UsState| {
            !(0..=99_999).any(|zip| state.has(&PostalCode::parse(&format!("{zip:05}")).unwrap()))
        };
        assert_eq!(UsState::all().find(has_none), None, "every state has a ZIP code");
    }

    #[test]
    fn post_office_boxes_are_recognized() {
        for line in [
            "PO Box 12",
            "P.O. Box 12",
            "p o box 12",
            "P. O. BOX 12",
            "POBox 12",
            "PO-Box 12",
            "Post Office Box 12",
            "POB 12",
            "P.O.B. 12",
            "POB12",
            "Box 12",
            "Suite 3, PO Box 12",
            "PO Box A",
            "Postal Box 9",
        ] {
            assert!(is_po_box(line), "{line}");
        }
        for line in [
            "12 Main St",
            "12 Box Elder Rd",
            "RR 2 Box 18",
            "PSC 3 Box 4120",
            "Unit 45013 Box 2666",
            "4 Post Office Rd",
            "Boxwood Ct 5",
        ] {
            assert!(!is_po_box(line), "{line}");
        }
    }
}
