use super::*;

fn listed(entry: i64, name: &str, remarks: &str) -> ListedName {
    ListedName {
        entry,
        name: name.to_owned(),
        alias: false,
        births: births::in_remarks(remarks),
        programs: "SDGT".to_owned(),
    }
}

/// Returns the points of the name and of the date of birth, whether or not they amount to a hit.
fn points(person: &str, name: &str, remarks: &str) -> (i32, i32) {
    let index = Index::new([listed(1, name, remarks)]);
    let parts = names::parts(person);
    let person = units_of_person(&parts);
    let mut known = PairCache::new();
    let pairs = index.pairs(&person, &index.names[0], &mut known);
    let of_name = compare(&pairs, &Shape::of(&parts), &index.names[0].shape).points;
    (of_name, births::compared(&index.names[0].listed.births, born()).0)
}

fn born() -> NaiveDate {
    "1960-12-12".parse().unwrap()
}

#[test]
fn names_and_dates_of_birth_give_a_score() {
    for (person, name, remarks, expected, is_hit) in [
        ("Ada Carter", "CARTER, Ada", "", (80, 0), true),
        ("Ada Carter", "CARTER, Ada", "DOB 12 Dec 1960", (80, 20), true),
        ("Ada Carter", "CARTER, Ada", "DOB Dec 1960", (80, 15), true),
        ("Ada Carter", "CARTER, Ada", "DOB 1960", (80, 10), true),
        ("Ada Carter", "CARTER, Ada", "DOB 1962", (80, 0), true),
        ("Ada Carter", "CARTER, Ada", "DOB 14 Nov 1965", (80, -30), false),
        ("Ada Carter", "CARTER, Ada", "DOB 1930; alt. DOB circa 1961", (80, 10), true),
        ("Ada Carter", "CARTER, Ada", "DOB early 1930s", (80, 0), true),
        ("Carter Ada", "CARTER, Ada", "", (80, 0), true),
        ("ADA CÁRTER", "Carter, Ada", "", (80, 0), true),
        ("Ada Karter", "CARTER, Ada", "", (78, 0), true),
        ("Ada Mary Carter", "CARTER, Ada", "", (74, 0), true),
        ("Ada Carter", "CARTER LOPEZ, Ada Maria", "", (62, 0), false),
        ("Ada Carter", "CARTER LOPEZ, Ada Maria", "DOB 1960", (62, 10), true),
        ("Ada Jane Carter", "CARTER, Ada Maria", "", (53, 0), false),
        ("Ada Jane Carter", "CARTER, Ada Maria", "DOB 1960", (53, 10), false),
        ("Ada Jane Carter", "CARTER, Ada Maria", "DOB 12 Dec 1960", (53, 20), true),
        ("A. Carter", "CARTER, Ada", "", (60, 0), false),
        ("A. Carter", "CARTER, Ada", "DOB 1960", (60, 10), true),
        ("Ada M Carter", "CARTER, Ada Maria", "", (66, 0), false),
        ("Ada Carter", "CARTER, A. M.", "DOB 12 Dec 1960", (55, 20), true),
        ("Bea Carter", "CARTER, Ada", "DOB 12 Dec 1960", (40, 20), false),
        ("Osama Laden", "BIN LADIN, Usama", "", (75, 0), true),
        ("Osama Laden", "BIN LADIN, Usama", "DOB 1957", (75, -30), false),
        ("Mohamed Ali", "ALI, Muhammad", "", (77, 0), true),
        ("Abdulrahman Karim", "KARIM, Abdul Rahman", "", (80, 0), true),
        ("Abd al-Rahman Karim", "KARIM, Abdulrahman", "", (78, 0), true),
        ("Juan de la Cruz", "CRUZ, Juan", "", (80, 0), true),
        ("Madonna Ciccone", "MADONNA", "", (40, 0), false),
        ("Madonna Ciccone", "MADONNA", "DOB 12 Dec 1960", (40, 20), false),
        ("Grace Hopper", "CARTER, Ada", "DOB 12 Dec 1960", (0, 20), false),
        ("李 小龙", "小龙, 李", "", (80, 0), true),
        ("Ravi Das", "DAS, Ravi Kumar", "DOB 12 Dec 1960", (74, 20), true),
        ("Ravi Kumar", "DAS, Ravi Kumar", "DOB 10 Sep 1960", (61, 5), false),
        ("Samir Alharbawi", "AL-HARBAWI, Samir", "DOB 12 Dec 1960", (80, 20), true),
        ("Ada Carter", "CARTER, Ada", "DOB 12 Dec 1962", (80, 12), true),
        ("Ada Carter", "CARTER, Ada", "DOB 10 Sep 1962", (80, -5), true),
        ("Чехов, Антон", "CHEKHOV, Anton", "", (80, 0), true),
    ] {
        let scored = points(person, name, remarks);
        assert_eq!(scored, expected, "{person} {name} {remarks}");
        assert_eq!(scored.0 + scored.1 >= THRESHOLD, is_hit, "{person} {name} {remarks}");
        let found = Index::new([listed(1, name, remarks)]).resembling(person, born());
        let scores: Vec<i32> = found.iter().map(|hit| hit.score).collect();
        assert_eq!(
            scores,
            if is_hit { vec![scored.0 + scored.1] } else { vec![] },
            "{person} {name} {remarks}"
        );
    }
}

#[test]
fn the_most_similar_entries_come_first_and_each_appears_once() {
    let many =
        (1..=12).map(|entry| listed(entry, "CARTER, Ada", if entry == 7 { "DOB 12 Dec 1960" } else { "" }));
    let alias = ListedName { alias: true, ..listed(12, "CARTER, Ada", "DOB 1960") };
    let found = Index::new(many.chain([listed(3, "CARTR, Ada", ""), alias])).resembling("Ada Carter", born());
    let entries: Vec<(i64, i32)> = found.iter().map(|hit| (hit.entry, hit.score)).collect();
    let all = [
        (7, 100),
        (12, 90),
        (1, 80),
        (2, 80),
        (3, 80),
        (4, 80),
        (5, 80),
        (6, 80),
        (8, 80),
        (9, 80),
        (10, 80),
        (11, 80),
    ];
    assert_eq!(entries, all);
    assert_eq!(found[0].parts.iter().map(|part| part.points).sum::<i32>(), 100);
    assert_eq!(
        found[1].parts[0].rule,
        "Of 2 parts of an alias, 2 are identical, 0 similar, and 0 match an initial."
    );
    assert_eq!(found[1].parts[1].rule, "The same year of birth is listed.");
}
