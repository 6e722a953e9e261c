//! Measures how well the watch list finds variants of listed names, and how many false alarms it raises for
//! common names.
//!
//! The data is invented and was written without knowledge of the matcher. `variants_held_out.csv` was not
//! used to tune it.

use chrono::NaiveDate;
use domain::compliance::screening::{Index, Likeness, ListedName, is_comparable, sdn};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Returns the rows of a CSV file with a header.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Builds an index from numbers, names and remarks, by way of the public list format.
fn index<'a>(people: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Index {
    Index::new(names(people))
}

fn names<'a>(people: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<ListedName> {
    let nothing = "-0- ,".repeat(7);
    let list = people.into_iter().fold(String::new(), |mut list, (number, name, remarks)| {
        write!(list, "{number},\"{name}\",\"individual\",\"SDGT\",{nothing}\"{remarks}\"\r\n").unwrap();
        list
    });
    let entries = sdn::read(list.as_bytes(), None).unwrap().entries.into_iter();
    let listed = |entry: sdn::Entry| ListedName {
        entry: entry.number,
        name: entry.names[0].clone(),
        alias: false,
        births: entry.births,
        programs: String::new(),
    };
    entries.map(listed).collect()
}

static LISTED: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| rows(include_str!("screening/data/list.csv")));
static LIST: LazyLock<Index> =
    LazyLock::new(|| index(LISTED.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str()))));

fn screened(index: &Index, first_name: &str, last_name: &str, birth_date: &str) -> Vec<Likeness> {
    index.resembling(&format!("{last_name}, {first_name}"), birth_date.parse().unwrap())
}

/// Returns whether a user matches a list with this single entry.
fn is_hit(listed: &str, remarks: &str, first_name: &str, last_name: &str, birth_date: &str) -> bool {
    !screened(&index([("1", listed, remarks)]), first_name, last_name, birth_date).is_empty()
}

const SPELLING_VARIANTS: [&str; 8] =
    ["fused", "split", "reordered", "accented", "hyphenated", "doubled", "shortened", "mistyped"];

/// Returns, for each kind of variant in a file, how many are found and how many there are.
fn found(variants: &str) -> BTreeMap<String, (usize, usize)> {
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for row in rows(variants) {
        let is_found =
            screened(&LIST, &row[1], &row[2], &row[3]).iter().any(|hit| hit.entry.to_string() == row[0]);
        let (found, of) = kinds.entry(row[4].clone()).or_default();
        *found += usize::from(is_found);
        *of += 1;
    }
    kinds
}

fn assert_found(file: &str, variants: &str) {
    let kinds = found(variants);
    println!("{file}: {kinds:?}");
    let sum = |which: &dyn Fn(&str) -> bool| {
        let counted = kinds.iter().filter(|(kind, _)| which(kind));
        counted.fold((0, 0), |(found, of), (_, (more, of_more))| (found + more, of + of_more))
    };
    let (all, of_all) = sum(&|_| true);
    let (letters, of_letters) = sum(&|kind| SPELLING_VARIANTS.contains(&kind));
    println!("{file}: {all} of {of_all}, of changed letters and order {letters} of {of_letters}");
    assert_eq!((of_all, of_letters), (150, 96));
    // Published in docs/performance.md.
    assert_eq!((all, letters), (of_all, of_letters));
}

#[test]
fn variants_used_for_tuning_are_found() {
    assert_found("variants_tuning.csv", include_str!("screening/data/variants_tuning.csv"));
}

#[test]
fn held_out_variants_are_found() {
    assert_found("variants_held_out.csv", include_str!("screening/data/variants_held_out.csv"));
}

#[test]
fn common_names_raise_few_false_alarms() {
    let innocents = rows(include_str!("screening/data/innocents.csv"));
    assert_eq!((innocents.len(), LIST.len()), (1_000, 20_000));
    let alarms =
        innocents.iter().filter(|row| !screened(&LIST, &row[0], &row[1], &row[2]).is_empty()).count();
    println!("innocents.csv: {alarms} false alarms of {}", innocents.len());
    assert!(alarms * 1_000 <= innocents.len() * 5, "{alarms} false alarms");
}

#[test]
fn other_spellings_of_a_name_match() {
    for (listed, remarks, first_name, last_name, birth_date) in [
        ("AL-HARBAWI, Samir", "DOB 01 Nov 1962", "Samir", "Alharbawi", "1962-11-01"),
        ("AL-HARBAWI, Samir", "DOB 01 Nov 1962", "Samir", "Harbawi", "1962-11-01"),
        ("AL-TIKRITI, Husayn", "", "Hussein", "Tikriti", "1962-11-01"),
        ("QADHAFI, Usama", "", "Oussama", "al-Kadhafi", "1962-11-01"),
        ("AL-SHARIF, Walid", "", "Oualid", "Chérif", "1962-11-01"),
        ("ABD AL-RAHMAN, Yusuf", "", "Youssouf", "Abdoulrahmane", "1962-11-01"),
        ("KHRUSHCHEV, Sergei", "", "Sergej", "Chruschtschow", "1962-11-01"),
        ("DZHUGASHVILI, Yevgeny", "", "Jewgeni", "Dschugaschwili", "1962-11-01"),
        ("CHIANG, Kai-shek", "", "Kaishek", "Chiang", "1962-11-01"),
        ("ZHANG, Xueliang", "", "Hsueh-liang", "Chang", "1962-11-01"),
        ("ZHANG, Guorong", "", "Kwok Wing", "Cheung", "1962-11-01"),
        ("KIM, Jong Un", "", "Jeong-eun", "Gim", "1962-11-01"),
        ("PAK, Chong-hui", "", "Jeonghui", "Park", "1962-11-01"),
        ("CARTER, Robert", "", "Bob", "Carter", "1962-11-01"),
        ("IVANOV, Aleksandr", "", "Sasha", "Ivanoff", "1962-11-01"),
        ("ISMAIL, Omar", "", "Umar", "Ismail", "1962-11-01"),
        ("KOVAC, Jan", "", "Yan", "Kovač", "1962-11-01"),
        ("DAS, Ravi Kumar", "DOB 12 Dec 1960", "Ravi", "Das", "1960-12-12"),
        ("LE, Van", "DOB 12 Dec 1960", "Van", "Le", "1960-12-12"),
        ("CARTER, Ada", "DOB 04 Mar 1960", "Ada", "Carter", "1960-04-03"),
        ("CARTER, Ada", "DOB 31 Dec 1959", "Ada", "Carter", "1960-01-01"),
        ("CARTER LOPEZ, Ada Jane", "DOB 04 Mar 1960", "Ada", "Lopez", "1961-03-04"),
        ("CHEKHOV, Anton", "", "Антон", "Чехов", "1962-11-01"),
        ("AL-HARBAWI, Samir", "", "سمير", "الحربي", "1962-11-01"),
        ("LI, Xiaolong", "", "小龙", "李", "1962-11-01"),
        ("KIM, Jong Un", "", "정은", "김", "1962-11-01"),
        ("CARTER, Ada", "", "A\u{200b}d\u{2060}a", "Car\u{ad}ter", "1962-11-01"),
        ("CARTER, Ada", "", "Ａｄａ", "Саrtеr", "1962-11-01"),
    ] {
        assert!(
            is_hit(listed, remarks, first_name, last_name, birth_date),
            "{listed} {remarks}: {first_name} {last_name} {birth_date}"
        );
    }
}

#[test]
fn other_people_do_not_match() {
    for (listed, remarks, first_name, last_name, birth_date) in [
        ("DAS, Ravi Kumar", "DOB 12 Dec 1960", "Ravi", "Kumar", "1961-05-20"),
        ("DAS, Ravi Kumar", "", "Ravi", "Kumar", "1961-05-20"),
        ("CARTER, Ada", "DOB 12 Dec 1960", "Ada", "Carter", "1975-05-20"),
        ("CARTER, Ada", "DOB 12 Dec 1960", "Bea", "Carter", "1960-12-12"),
        ("CARTER, Ada", "DOB 12 Dec 1960", "Ada", "Hopper", "1960-12-12"),
        ("LI, Wei", "", "Lu", "Wang", "1960-12-12"),
        ("KIM, Jong Un", "", "Min Ah", "Kim", "1960-12-12"),
    ] {
        assert!(
            !is_hit(listed, remarks, first_name, last_name, birth_date),
            "{listed} {remarks}: {first_name} {last_name} {birth_date}"
        );
    }
}

#[test]
fn common_names_match_only_with_a_close_birth_date() {
    let people: Vec<(String, String, String)> = (0..600)
        .map(|number| {
            let (first, last) = [("Mohammed", "ALI"), ("Maria", "GARCIA LOPEZ"), ("Min", "KIM")][number % 3];
            (
                format!("{}", number + 1),
                format!("{last}, {first}"),
                format!("DOB {:02} Mar {}", number % 28 + 1, 1940 + number % 60),
            )
        })
        .collect();
    let filler = (0..5_000)
        .map(|number| (format!("{}", 1_000 + number), format!("Q{number}, Z{number}"), String::new()));
    let all: Vec<_> = people.into_iter().chain(filler).collect();
    let index =
        index(all.iter().map(|(number, name, remarks)| (number.as_str(), name.as_str(), remarks.as_str())));
    assert!(screened(&index, "Mohamed", "Ali", "1961-08-20").is_empty());
    assert!(screened(&index, "Maria", "Garcia Lopez", "1960-11-15").is_empty());
    assert_eq!(screened(&index, "Mohamed", "Ali", "1940-03-01")[0].entry, 1);
}

#[test]
fn a_name_matches_itself_in_any_order_and_with_invisible_characters() {
    for row in LISTED.iter().step_by(97) {
        let Some((family, given)) = row[1].split_once(", ") else { continue };
        let index = index([("1", row[1].as_str(), "")]);
        let born = NaiveDate::from_ymd_opt(1960, 12, 12).unwrap();
        let score = |name: &str| index.resembling(name, born).first().map(|hit| hit.score);
        let hidden: String = row[1].chars().flat_map(|letter| [letter, '\u{200d}']).collect();
        for name in [&row[1], &hidden, &format!("{given}, {family}"), &row[1].to_lowercase()] {
            assert_eq!(score(name), Some(80), "{name:?}");
        }
    }
}

#[test]
fn names_that_cannot_be_compared_are_recognized() {
    assert!(
        is_comparable("Чехов, Антон")
            && is_comparable("الحربي, سمير")
            && is_comparable("李, 小龙")
            && is_comparable("김, 정은")
    );
    assert!(
        !is_comparable("ใจดี, สมชาย")
            && !is_comparable("渡辺, さくら")
            && !is_comparable(&format!("Carter, {}", "Ada ".repeat(100)))
    );
}

#[test]
fn long_names_are_compared_quickly() {
    LazyLock::force(&LIST);
    for name in [
        "Ada ".repeat(2_500),
        "a".repeat(10_000),
        "ab".repeat(5_000),
        "chan".repeat(2_500),
        "李".repeat(2_500),
        "kim ".repeat(2_500),
    ] {
        let started_at = Instant::now();
        LIST.resembling(&name, NaiveDate::from_ymd_opt(1960, 12, 12).unwrap());
        // With time quadratic in the length of a name, this would take minutes.
        assert!(
            started_at.elapsed() < Duration::from_secs(30),
            "{} bytes: {:?}",
            name.len(),
            started_at.elapsed()
        );
    }
}
