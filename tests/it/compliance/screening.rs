//! Watch-list screening: importing lists, hits at identity checks and in existing users, and clearing hits.

use crate::support::{
    Answer, DEPOSIT_CREATE, Folder, ORDER_PLACE, Options, TestApp, USER_CREATE, older, on_both, person,
    process::run, socket::Socket,
};
use domain::{Scope, compliance::rescreening, kernel::clock};
use entity::{Kind, screening_exception, screening_hit, watch_list, watch_list_name};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, Statement,
};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    process::Output,
    time::{Duration, Instant},
};

/// The list entry that matches the user of the tests.
const ADA: (&str, &str, &str) = ("7", "CARTER, Ada", "DOB 23 Jan 1985");

/// Returns a list in the public format from numbers, names and remarks.
fn sdn(people: &[(&str, &str, &str)]) -> String {
    people.iter().fold(String::new(), |mut text, (number, name, remarks)| {
        let nothing = "-0- ,".repeat(7);
        write!(text, "{number},\"{name}\",\"individual\",\"SDGT] [IFSR\",{nothing}\"{remarks}\"\r\n")
            .unwrap();
        text
    })
}

/// Imports a list with the command line.
fn import(app: &TestApp, list: &[u8], more: &[&str]) -> Output {
    let folder = Folder::new();
    let file = folder.0.join("sdn.csv");
    std::fs::write(&file, list).unwrap();
    run(&app.database_url, &[&["screen", "import", file.to_str().unwrap()], more].concat())
}

fn set_list(app: &TestApp, people: &[(&str, &str, &str)]) {
    set_list_of(app, "OFAC SDN", people);
}

/// Replaces the list of a source, with `--force` so that it may be shorter than the old one.
fn set_list_of(app: &TestApp, source: &str, people: &[(&str, &str, &str)]) {
    let output = import(app, format!("{}\u{1a}", sdn(people)).as_bytes(), &["--source", source, "--force"]);
    assert!(output.status.success() && said(&output).2.starts_with("names: "), "{output:?}");
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

async fn counts(app: &TestApp) -> (u64, u64) {
    let lists = watch_list::Entity::find().count(&app.app.db.read).await.unwrap();
    (lists, watch_list_name::Entity::find().count(&app.app.db.read).await.unwrap())
}

/// Adds a hit to an identity check and returns its id.
pub async fn hit_of(app: &TestApp, kyc_id: &str) -> String {
    let row = screening_hit::Model {
        id: app.app.ids.next(Kind::ScreeningHit),
        partner_id: app.partner.id,
        kyc_id: kyc_id.parse().unwrap(),
        source: "OFAC SDN".to_owned(),
        entry: 7,
        listed_name: "Hidden name".to_owned(),
        programs: String::new(),
        score: 80,
        parts: "[]".to_owned(),
        found_at: app.partner.clock_frozen_at.unwrap(),
        cleared_at: None,
        cleared_by: None,
        exception_id: None,
    };
    let tx = app.app.db.write().await.unwrap();
    let id = row.into_active_model().reset_all().insert(&tx).await.unwrap().id;
    tx.commit().await.unwrap();
    id.to_string()
}

const STATUS: &str = "query($id: ID!) { user(id: $id) { status kyc { id score outcome tags
    checks { check isPassed part }
    watchListHits { id entryNumber listedName programs score parts { name points rule } foundAt clearedAt \
    exception { until reason createdAt } } } } }";

/// Returns a user's status with their identity check and hits.
async fn status_of(app: &TestApp, user_id: &str) -> Value {
    app.gql(STATUS, json!({ "id": user_id })).await.data()["user"].clone()
}

async fn registered(app: &TestApp, first_name: &str, last_name: &str) -> String {
    let user = app.gql(USER_CREATE, json!({ "input": person(first_name, last_name) })).await;
    user.entity("userCreate", "user")["id"].as_str().unwrap().to_owned()
}

const CLEAR: &str = "mutation($input: WatchListHitClearInput!) { watchListHitClear(input: $input) {
    hit { id clearedAt exception { until reason createdAt } kyc { outcome } }
    userErrors { code path message } } }";

fn clear_input(hit: &Value) -> Value {
    json!({ "hitId": hit["id"], "reason": "Another person: the passport says so.", "until": "2026-08-01" })
}

/// Clears a hit with a key that has not entered any data.
async fn clear(app: &TestApp, input: Value) -> Answer {
    let key = app.key_for(&[Scope::Read, Scope::Operate]).await;
    app.gql_as(Some(&key), CLEAR, json!({ "input": input })).await
}

/// Changes a user's personal data.
async fn update_user(app: &TestApp, user_id: &str, patch: Value) {
    let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { id } userErrors { \
        code path message } } }";
    app.gql(update, json!({ "input": { "userId": user_id, "patch": patch } }))
        .await
        .entity("userUpdate", "user");
}

/// Returns a user's status, the outcome of their check, and its hits with whether each is open.
fn summary(found: &Value) -> (String, String, Vec<(String, bool)>) {
    let hits = found["kyc"]["watchListHits"].as_array().unwrap();
    let hit = |hit: &Value| (hit["entryNumber"].as_str().unwrap().to_owned(), hit["clearedAt"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&found["status"]), text(&found["kyc"]["outcome"]), hits.iter().map(hit).collect())
}

fn expected(status: &str, outcome: &str, hits: &[(&str, bool)]) -> (String, String, Vec<(String, bool)>) {
    (
        status.to_owned(),
        outcome.to_owned(),
        hits.iter().map(|(entry, open)| ((*entry).to_owned(), *open)).collect(),
    )
}

/// Waits for the newest screening of existing users to finish and returns it.
async fn finished_run(app: &TestApp) -> Value {
    let query = "{ watchList { screening { people screened failed hits finishedAt } } }";
    for _ in 0..600 {
        let run = app.gql(query, json!({})).await.data()["watchList"]["screening"].clone();
        if !run["finishedAt"].is_null() {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the run did not finish");
}

/// Returns the watch-list check of a score.
fn watch_list_check(found: &Value) -> Value {
    found["kyc"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["check"] == "WATCH_LIST")
        .unwrap()
        .clone()
}

/// Returns a list of 20,000 invented names, and a list with an alias for every tenth of them.
fn long_list() -> (String, String) {
    let (first, last) = (
        ["Ana", "Boris", "Chen", "Dalia", "Emir", "Farid", "Gustavo", "Hana"],
        ["vic", "ez", "man", "ov", "zadeh", "ullah", "son"],
    );
    let (mut list, mut aliases) = (String::new(), String::new());
    for number in 1..=20_000_usize {
        let name = format!(
            "{}{}{}, {}",
            ["KAR", "MOR", "SAL", "TEV"][number % 4],
            number / 7 % 97,
            last[number % 7],
            first[number % 8]
        );
        let remarks = format!("DOB {} Mar {}; POB Nowhere", number % 28 + 1, 1940 + number % 60);
        list.push_str(&sdn(&[(&number.to_string(), &name, &remarks)]));
        if number % 10 == 0 {
            writeln!(aliases, "{number},{number},\"aka\",\"{name} THE {number}TH\",-0- ").unwrap();
        }
    }
    list.push('\u{1a}');
    aliases.push('\u{1a}');
    (list, aliases)
}

on_both! {
    async fn a_list_is_imported_whole_or_not_at_all(app: TestApp) {
        let status = || said(&run(&app.database_url, &["screen", "status"]));
        assert_eq!(
            status(),
            (true, "No watch list was imported; users are not screened.\n".to_owned(), String::new())
        );
        assert_eq!(
            app.gql("{ watchList { sources { name } } }", json!({})).await.data(),
            &json!({ "watchList": null })
        );

        let mut list = sdn(&[ADA, ("8", "MÜLLER, Jürgen", "DOB 1950; a.k.a. 'HANS'.")]);
        list.push_str(&format!("9,\"CARTER SHIPPING\",-0- ,\"CUBA\",{}-0- \r\n\u{1a}", "-0- ,".repeat(7)));
        let folder = Folder::new();
        let aliases = folder.0.join("alt.csv");
        std::fs::write(&aliases, "8,1,\"aka\",\"MILLER, Jurgen\",-0- \r\n\u{1a}").unwrap();
        let options = ["--alt", aliases.to_str().unwrap(), "--source", "Tests"];
        let latin_1: Vec<u8> =
            list.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
        let (done, line, progress) = said(&import(&app, &latin_1, &options));
        let imported_at =
            watch_list::Entity::find().one(&app.app.db.read).await.unwrap().unwrap().imported_at;
        let at = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let first = format!("Tests: 3 entries, 5 names, imported at {}\n", at(imported_at));
        assert_eq!((done, &line, progress.as_str()), (true, &first, "names: 0 of 5\nnames: 5 of 5\n"));
        assert!(
            status().1.starts_with(&format!("{first}Screening of existing customers: 0")),
            "{:?}",
            status()
        );
        let query = "{ watchList { sources { name entries names importedAt } } }";
        let shown = app.gql(query, json!({})).await.data()["watchList"]["sources"][0].clone();
        assert_eq!(
            (&shown["name"], &shown["entries"], &shown["names"]),
            (&json!("Tests"), &json!(3), &json!(5))
        );
        assert_eq!(
            shown["importedAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap(),
            imported_at
        );
        assert_eq!(counts(&app).await, (1, 5));
        let again = said(&import(&app, &latin_1, &options));
        assert_eq!(
            again,
            (true, format!("Nothing has changed since the list was imported.\n{first}"), String::new())
        );
        assert_eq!(counts(&app).await, (1, 5));

        for (list, fault) in [
            (format!("{}8,\"SHORT\"\r\n", sdn(&[ADA])), "line 2 has 2 columns instead of 12"),
            (sdn(&[ADA, ("eight", "X, Y", "")]), "line 2 does not start with an entry number"),
            (sdn(&[ADA, ADA]), "line 2 repeats entry 7"),
            (String::new(), "the list has no entries"),
            (format!("{}8,\"MÜLLER, J", sdn(&[ADA])), "line 2 has a quotation mark that is not closed"),
            (
                sdn(&[ADA, ("8", "MÜLLER, Jürgen", "DOB 1950; POB Nowhere")])
                    .trim_end_matches("here\"\r\n")
                    .to_owned(),
                "line 2 has a quotation mark that is not closed",
            ),
            (
                sdn(&[ADA, ("8", "MÜLLER, Jürgen", "")]).trim_end_matches("-0- ,\"\"\r\n").to_owned(),
                "line 2 has 11 columns instead of 12",
            ),
        ] {
            let (done, out, fault_line) = said(&import(&app, list.as_bytes(), &[]));
            assert!(
                !done
                    && out.is_empty()
                    && fault_line.ends_with(&format!("sdn.csv: {fault}; nothing was imported\n")),
                "{fault_line}"
            );
            assert_eq!(counts(&app).await, (1, 5), "{fault}");
        }
        assert!(status().1.starts_with(&first));

        // A running server screens against the new list at once.
        let ada = registered(&app, "Ada", "Carter").await;
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
        );
        let jurgen = registered(&app, "Jurgen", "Miller").await;
        assert_eq!(summary(&status_of(&app, &jurgen).await), expected("APPROVED", "APPROVED", &[]));
        set_list_of(&app, "Tests", &[("8", "MILLER, Jurgen", "")]);
        assert_eq!(counts(&app).await, (2, 1));
        let jurgen = registered(&app, "Jurgen", "Miller").await;
        assert_eq!(
            summary(&status_of(&app, &jurgen).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("8", true)])
        );
        let other = registered(&app, "Ada", "Carter").await;
        assert_eq!(summary(&status_of(&app, &other).await), expected("APPROVED", "APPROVED", &[]));
        // Earlier decisions remain.
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
        );
    }

    async fn a_user_who_resembles_an_entry_waits_for_a_reviewer(app: TestApp) {
        set_list(
            &app,
            &[
                ADA,
                ("8", "QADHAFI, Usama", ""),
                ("9", "CARTER, Ada", "DOB 12 Mar 1951"),
                ("10", "CARTER, Beatrice", "DOB 23 Jan 1985"),
            ],
        );
        let ada = registered(&app, "Ada", "Carter").await;
        let found = status_of(&app, &ada).await;
        let ids: Vec<Value> =
            found["kyc"]["watchListHits"].as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect();
        let name = |points: &str, rule: &str| json!({ "name": "NAME", "points": points, "rule": rule });
        let birth =
            |points: &str, rule: &str| json!({ "name": "BIRTH_DATE", "points": points, "rule": rule });
        let hit = |id: &Value, entry: &str, listed: &str, score: &str, parts: Value| {
            json!({
                "id": id, "entryNumber": entry, "listedName": listed, "programs": ["SDGT", "IFSR"],
                "score": score, "parts": parts,
                "foundAt": "2026-07-09T16:00:00Z", "clearedAt": null, "exception": null,
            })
        };
        assert_eq!(
            found["kyc"]["watchListHits"],
            json!([hit(
                &ids[0],
                "7",
                "CARTER, Ada",
                "1.00",
                json!([
                    name(
                        "0.80",
                        "Of 2 parts of the name, 2 are identical, 0 similar, and 0 match an initial."
                    ),
                    birth("0.20", "The same date of birth is listed."),
                ])
            )])
        );
        assert_eq!(
            (&found["status"], &found["kyc"]["outcome"], &found["kyc"]["score"]),
            (&json!("DOCUMENTATION_REQUIRED"), &json!("MANUAL_REVIEW"), &json!("0.45"))
        );
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "Watch List Match"]));
        assert_eq!(
            watch_list_check(&found),
            json!({ "check": "WATCH_LIST", "isPassed": false, "part": "-0.42" })
        );
        let node = "query($id: ID!) { node(id: $id) { id ... on WatchListHit { listedName kyc { id } } } }";
        let node = app.gql(node, json!({ "id": ids[0] })).await;
        assert_eq!(
            node.data()["node"],
            json!({ "id": ids[0], "listedName": "CARTER, Ada", "kyc": { "id": found["kyc"]["id"] } })
        );

        // A name without a listed birth date is a hit; a name with another year of birth is not.
        for (first_name, last_name, birth_date, hits) in [
            ("Ada", "Carter", "1985-01-24", vec!["7"]),
            ("Ada", "Carter", "1986-01-23", vec!["7"]),
            ("Ada", "Carter", "1951-03-12", vec!["9"]),
            ("Ada", "Carter", "1970-01-23", vec![]),
            ("Adda", "Carter", "1970-01-23", vec![]),
            ("Osama", "al-Qaddafi", "1970-01-23", vec!["8"]),
            ("Grace", "Hopper", "1985-01-23", vec![]),
        ] {
            let mut input = person(first_name, last_name);
            input["birthDate"] = json!(birth_date);
            let user = app.gql(USER_CREATE, json!({ "input": input })).await;
            let found = status_of(&app, user.entity("userCreate", "user")["id"].as_str().unwrap()).await;
            let entries: Vec<String> = summary(&found).2.into_iter().map(|(entry, _)| entry).collect();
            assert_eq!(entries, hits, "{first_name} {last_name} {birth_date}");
            let status = if hits.is_empty() { "APPROVED" } else { "DOCUMENTATION_REQUIRED" };
            assert_eq!(found["status"], status, "{first_name} {last_name} {birth_date}");
            assert_eq!(watch_list_check(&found)["isPassed"], hits.is_empty());
        }
    }

    async fn clearing_the_hit_approves_the_user(app: TestApp) {
        set_list(&app, &[ADA]);
        let ada = registered(&app, "Ada", "Carter").await;
        let hit = status_of(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        let input = json!({ "idempotencyKey": "c1", "hitId": hit["id"], "reason": " Another passport. ",
            "until": "2026-08-01" });
        let cleared = clear(&app, input.clone()).await;
        let exception =
            json!({ "until": "2026-08-01", "reason": "Another passport.",
                "createdAt": "2026-07-09T16:00:00Z" });
        let cleared_hit = json!({ "id": hit["id"], "clearedAt": "2026-07-09T16:00:00Z",
            "exception": exception, "kyc": { "outcome": "APPROVED" } });
        assert_eq!(cleared.entity("watchListHitClear", "hit"), &cleared_hit);
        assert_eq!(
            clear(&app, input).await.entity("watchListHitClear", "hit"),
            &cleared_hit,
            "a repeated request gets the same result"
        );
        let found = status_of(&app, &ada).await;
        assert_eq!(summary(&found), expected("APPROVED", "APPROVED", &[("7", false)]));
        assert_eq!(
            (&found["kyc"]["score"], &found["kyc"]["tags"]),
            (&json!("0.99"), &json!(["Address Match", "Phone Match"]))
        );
        assert_eq!(
            watch_list_check(&found),
            json!({ "check": "WATCH_LIST", "isPassed": true, "part": "0.12" })
        );

        let events = "subscription { events(after: \"0\") { type ... on KycChangedEvent { kycOutcome kyc { id \
            } } ... on UserChangedEvent { user { id } } } }";
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", events, json!({})).await;
        let check = json!({ "id": found["kyc"]["id"] });
        for event in [
            json!({ "type": "PARTNER_CREATED" }),
            json!({ "type": "USER_CREATED", "user": { "id": ada } }),
            json!({ "type": "KYC_CREATED", "kycOutcome": "MANUAL_REVIEW", "kyc": check }),
            json!({ "type": "KYC_HIT_CLEARED", "kycOutcome": "APPROVED", "kyc": check }),
            json!({ "type": "USER_STATUS_CHANGED", "user": { "id": ada } }),
        ] {
            assert_eq!(socket.next().await["events"], event);
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn every_hit_must_be_cleared_separately(app: TestApp) {
        set_list(&app, &[ADA, ("8", "CARTER, Ada", ""), ("9", "REVIEW, Ada", "")]);
        let ada = registered(&app, "Ada", "Carter").await;
        let hits = status_of(&app, &ada).await["kyc"]["watchListHits"].clone();
        clear(&app, clear_input(&hits[1])).await.entity("watchListHitClear", "hit");
        let found = status_of(&app, &ada).await;
        assert_eq!(
            summary(&found),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true), ("8", false)])
        );
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "Watch List Match"]));
        assert_eq!(watch_list_check(&found)["isPassed"], false);
        clear(&app, clear_input(&hits[0])).await.entity("watchListHitClear", "hit");
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("APPROVED", "APPROVED", &[("7", false), ("8", false)])
        );

        // A user in a review for another reason stays in it, under any name.
        let reviewed = registered(&app, "Ada", "Review").await;
        let hit = status_of(&app, &reviewed).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clear_input(&hit)).await.entity("watchListHitClear", "hit");
        let found = status_of(&app, &reviewed).await;
        assert_eq!(summary(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)]));
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "SSN Seen Before"]));
        update_user(&app, &reviewed, json!({ "firstName": "Adah", "lastName": "Carter" })).await;
        let hits = status_of(&app, &reviewed).await["kyc"]["watchListHits"].clone();
        for hit in hits.as_array().unwrap() {
            clear(&app, clear_input(hit)).await.entity("watchListHitClear", "hit");
        }
        let found = status_of(&app, &reviewed).await;
        assert_eq!(
            summary(&found),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("8", false)])
        );
        assert_eq!(found["kyc"]["score"], "0.99");
    }

    async fn an_exception_is_for_one_person_and_expires(app: TestApp) {
        set_list(&app, &[ADA, ("8", "BIN LADIN, Usama", "")]);
        let ada = registered(&app, "Ada", "Carter").await;
        // A check that was repeated while the hit was open is not another reason for a review.
        update_user(&app, &ada, json!({ "ssn": "123456780" })).await;
        let hit = status_of(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clear_input(&hit)).await.entity("watchListHitClear", "hit");
        assert_eq!(summary(&status_of(&app, &ada).await), expected("APPROVED", "APPROVED", &[("7", false)]));

        update_user(&app, &ada, json!({ "address": { "line1": "2 Other St", "city": "Norfolk" } })).await;
        let found = status_of(&app, &ada).await;
        assert_eq!(summary(&found), expected("APPROVED", "APPROVED", &[("7", false)]));
        let exception = json!({ "until": "2026-08-01", "reason": "Another person: the passport says so.",
            "createdAt": "2026-07-09T16:00:00Z" });
        assert_eq!(found["kyc"]["watchListHits"][0]["exception"], exception);
        assert_ne!(found["kyc"]["watchListHits"][0]["id"], hit["id"]);
        assert_eq!(
            (&found["kyc"]["score"], &found["kyc"]["tags"]),
            (&json!("0.99"), &json!(["Address Match", "Phone Match"]))
        );

        // A user who changes their name while a hit is open is not approved by clearing a hit of the new
        // name.
        for names in [&["Grace Laden", "Osama Laden"][..], &["Usama Laden"]] {
            let detour = registered(&app, "Ada", "Karter").await;
            for name in names {
                let (first_name, last_name) = name.split_once(' ').unwrap();
                update_user(&app, &detour, json!({ "firstName": first_name, "lastName": last_name })).await;
                assert_eq!(status_of(&app, &detour).await["kyc"]["outcome"], "MANUAL_REVIEW");
            }
            let hit = status_of(&app, &detour).await["kyc"]["watchListHits"][0].clone();
            clear(&app, clear_input(&hit)).await.entity("watchListHitClear", "hit");
            assert_eq!(
                summary(&status_of(&app, &detour).await),
                expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("8", true)]),
                "{names:?}"
            );
        }

        // The exception is for a name, a birth date and a social security number in any spelling, but not for
        // another person of the same name.
        let mut same = person("ADA", "Cárter");
        same["ssn"] = json!("123-45-6780");
        let twin = app.gql(USER_CREATE, json!({ "input": same })).await;
        assert_eq!(twin.entity("userCreate", "user")["status"], "APPROVED");
        let namesake = registered(&app, "ADA", "Cárter").await;
        assert_eq!(
            summary(&status_of(&app, &namesake).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
        );
        for patch in [json!({ "lastName": "Karter" }), json!({ "birthDate": "1985-01-24" })] {
            let other = registered(&app, "Ada", "Carter").await;
            update_user(&app, &other, patch).await;
            assert_eq!(
                summary(&status_of(&app, &other).await),
                expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
            );
        }
        let (_, other_partner) = app.other_partner("another").await;
        let theirs =
            app.gql_as(Some(&other_partner), USER_CREATE, json!({ "input": person("Ada", "Carter") })).await;
        assert_eq!(theirs.entity("userCreate", "user")["status"], "DOCUMENTATION_REQUIRED");

        // The exception expires at midnight in New York.
        app.advance_to("2026-08-02T03:59:59Z").await;
        update_user(&app, &ada, json!({ "ssn": "123456780" })).await;
        assert_eq!(summary(&status_of(&app, &ada).await), expected("APPROVED", "APPROVED", &[("7", false)]));
        app.advance_to("2026-08-02T04:00:00Z").await;
        update_user(&app, &ada, json!({ "ssn": "123456789" })).await;
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
        );
    }

    async fn a_user_gets_questions_after_the_hit_is_cleared(app: TestApp) {
        set_list(&app, &[("9", "QUESTION, Ada", "")]);
        let ada = registered(&app, "Ada", "Question").await;
        let before = status_of(&app, &ada).await;
        assert_eq!(summary(&before), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", true)]));
        clear(&app, clear_input(&before["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        let found = status_of(&app, &ada).await;
        assert_eq!(summary(&found), expected("ACTION_REQUIRED", "QUESTIONS_REQUIRED", &[("9", false)]));
        assert_eq!(found["kyc"]["score"], "0.75");
        let query =
            "query($id: ID!) { user(id: $id) { kyc { questionsExpireAt questions { questionId } } } }";
        let check = app.gql(query, json!({ "id": ada })).await.data()["user"]["kyc"].clone();
        let questions: Vec<i64> = check["questions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|question| question["questionId"].as_i64().unwrap())
            .collect();
        assert_eq!(
            (&check["questionsExpireAt"], questions),
            (&json!("2026-07-09T16:15:00Z"), vec![1, 2, 3, 4, 5])
        );
        app.advance_to("2026-07-09T16:15:00Z").await;
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)])
        );
        // A user is not asked again, whatever is cleared.
        update_user(&app, &ada, json!({ "birthDate": "1985-01-24" })).await;
        let hit = status_of(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clear_input(&hit)).await.entity("watchListHitClear", "hit");
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)])
        );
    }

    async fn a_corrected_name_is_screened(app: TestApp) {
        set_list(&app, &[ADA, ("9", "QUESTION, Ada", "")]);
        let correct = "mutation($input: KycCorrectInput!) { kycCorrect(input: $input) { kyc { id } \
            userErrors { code path message } } }";
        let corrected = async |user_id: &str, patch: Value| {
            let check = status_of(&app, user_id).await["kyc"]["id"].clone();
            let answer = app.gql(correct, json!({ "input": { "kycId": check, "patch": patch } })).await;
            answer.entity("kycCorrect", "kyc");
            status_of(&app, user_id).await
        };
        // From questions to a hit, and to an approval once it is cleared.
        let eve = registered(&app, "Eve", "Question").await;
        let found = corrected(&eve, json!({ "firstName": "Ada", "lastName": "Carter" })).await;
        assert_eq!(summary(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        assert_eq!(
            (&found["kyc"]["score"], watch_list_check(&found)["isPassed"].clone()),
            (&json!("0.45"), json!(false))
        );
        clear(&app, clear_input(&found["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        assert_eq!(summary(&status_of(&app, &eve).await), expected("APPROVED", "APPROVED", &[("7", false)]));
        // A hit is cleared for one name; under another name that resembles the same entry it is open again.
        let ada = registered(&app, "Ada", "Question").await;
        let hit = status_of(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clear_input(&hit)).await.entity("watchListHitClear", "hit");
        let found = corrected(&ada, json!({ "firstName": "Adah", "lastName": "Question" })).await;
        assert_eq!(summary(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", true)]));
        assert_eq!(
            (&found["kyc"]["watchListHits"][0]["id"], &found["kyc"]["watchListHits"][0]["score"]),
            (&hit["id"], &json!("0.73"))
        );
        // A correction during a review does not end the review.
        let eve = registered(&app, "Eve", "Review").await;
        let found = corrected(&eve, json!({ "firstName": "Ada", "lastName": "Karter" })).await;
        assert_eq!(summary(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        clear(&app, clear_input(&found["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        let found = status_of(&app, &eve).await;
        assert_eq!(summary(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false)]));
        assert_eq!(found["kyc"]["score"], "0.99");
    }

    async fn only_an_independent_operator_clears_a_hit(app: TestApp) {
        set_list(&app, &[ADA]);
        let ada = registered(&app, "Ada", "Carter").await;
        let before = status_of(&app, &ada).await;
        let hit = before["kyc"]["watchListHits"][0].clone();
        let with = |field: &str, value: Value| {
            let mut input = clear_input(&hit);
            input[field] = value;
            input
        };
        for (field, value, code, message) in [
            ("reason", json!("  "), "REQUIRED", "reason is required"),
            ("reason", json!("é".repeat(501)), "INVALID", "reason must have at most 500 characters"),
            ("until", json!("2026-07-08"), "INVALID", "until must not be in the past"),
            ("until", json!("2028-07-10"), "INVALID", "until must be at most two years ahead"),
            ("hitId", before["kyc"]["id"].clone(), "NOT_FOUND", "hitId was not found"),
            ("hitId", json!("nope"), "NOT_FOUND", "hitId was not found"),
        ] {
            let refused = clear(&app, with(field, value)).await;
            assert_eq!(
                refused.user_error("watchListHitClear"),
                &json!({ "code": code, "path": [field], "message": message })
            );
        }
        for day in ["soon", "2026-02-30"] {
            let refused = clear(&app, with("until", json!(day))).await;
            assert_eq!(
                (refused.error_code(), &refused.body["errors"][0]["message"]),
                (
                    "GRAPHQL_VALIDATION_FAILED",
                    &json!(
                        "Invalid value for argument \"input.until\": Date must be a string with a calendar \
                         date as YYYY-MM-DD, for example \"2026-01-31\"."
                    )
                )
            );
        }
        let (_, other_partner) = app.other_partner("another").await;
        let theirs = app.gql_as(Some(&other_partner), CLEAR, json!({ "input": clear_input(&hit) })).await;
        assert_eq!(theirs.user_error("watchListHitClear")["code"], "NOT_FOUND");
        let node = "query($id: ID!) { node(id: $id) { id } }";
        assert_eq!(
            app.gql_as(Some(&other_partner), node, json!({ "id": hit["id"] })).await.data(),
            &json!({ "node": null })
        );

        let all_but_operate = app.key_for(&[Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage]).await;
        let hits = "query($id: ID!) { user(id: $id) { kyc { outcome watchListHits { listedName } } } }";
        let seen = app.gql_as(Some(&all_but_operate), hits, json!({ "id": ada })).await;
        assert_eq!(seen.data()["user"]["kyc"], json!({ "outcome": "MANUAL_REVIEW", "watchListHits": null }));
        assert_eq!(
            app.gql_as(Some(&all_but_operate), node, json!({ "id": hit["id"] })).await.data(),
            &json!({ "node": null })
        );
        assert_eq!(
            app.gql_as(Some(&all_but_operate), CLEAR, json!({ "input": clear_input(&hit) }))
                .await
                .error_code(),
            "FORBIDDEN"
        );
        let signed_up = app.person("ada@example.com", "2025550142").await;
        assert_eq!(
            app.gql_as(Some(&signed_up.access), CLEAR, json!({ "input": clear_input(&hit) }))
                .await
                .error_code(),
            "FORBIDDEN"
        );
        let maker = app.gql(CLEAR, json!({ "input": clear_input(&hit) })).await;
        assert_eq!(
            maker.user_error("watchListHitClear")["code"],
            "MAKER_CHECKER",
            "the key that entered the user must not clear the hit"
        );
        assert_eq!(status_of(&app, &ada).await, before);
        assert_eq!(screening_exception::Entity::find().count(&app.app.db.read).await.unwrap(), 0);

        let operator = app.key_for(&[Scope::Operate]).await;
        let last_day = CLEAR.replace("kyc { outcome }", "");
        let cleared = app
            .gql_as(Some(&operator), &last_day, json!({ "input": with("until", json!("2028-07-09")) }))
            .await;
        assert_eq!(cleared.entity("watchListHitClear", "hit")["exception"]["until"], "2028-07-09");
        let again = clear(&app, clear_input(&hit)).await;
        let told = json!({ "code": "KYC_NOT_OPEN", "path": ["hitId"],
            "message": "This hit is not waiting for a review." });
        assert_eq!(again.user_error("watchListHitClear"), &told);
        let other = registered(&app, "Ada", "Karter").await;
        let hit = status_of(&app, &other).await["kyc"]["watchListHits"][0].clone();
        update_user(&app, &other, json!({ "ssn": "123456780" })).await;
        let late = clear(&app, clear_input(&hit)).await;
        let told = json!({ "code": "KYC_NOT_OPEN", "path": null,
            "message": "This identity check was replaced by a later one." });
        assert_eq!(late.user_error("watchListHitClear"), &told);
    }

    async fn lists_of_several_sources_are_all_used(app: TestApp) {
        let nothing = "-0- ,".repeat(7);
        let vessels = format!(
            "1,\"HOPPER, Grace\",\"vessel\",\"CUBA\",{nothing}-0- \r\n2,\"HOPPER, \
                Grace\",\"aircraft\",\"CUBA\",{nothing}-0- \r\n"
        );
        let list = format!("{vessels}{}\u{1a}", sdn(&[ADA]));
        assert!(import(&app, list.as_bytes(), &[]).status.success());
        let grace = registered(&app, "Grace", "Hopper").await;
        assert_eq!(
            summary(&status_of(&app, &grace).await),
            expected("APPROVED", "APPROVED", &[]),
            "vessels and aircraft are not compared"
        );
        set_list_of(&app, "consolidated", &[("7", "CARTER, Ada", ""), ("8", "LOVELACE, Ada", "")]);
        let lines = said(&run(&app.database_url, &["screen", "status"])).1;
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].starts_with("OFAC SDN: 3 entries, 3 names, imported at "), "{lines:?}");
        assert!(lines[1].starts_with("consolidated: 2 entries, 2 names, imported at "), "{lines:?}");
        let sources = "{ watchList { sources { name entries } } }";
        let both = json!([{ "name": "OFAC SDN", "entries": 3 }, { "name": "consolidated", "entries": 2 }]);
        assert_eq!(app.gql(sources, json!({})).await.data()["watchList"]["sources"], both);

        // Both lists have an entry 7, and each hit is cleared separately.
        let ada = registered(&app, "Ada", "Carter").await;
        let hits = "query($id: ID!) { user(id: $id) { kyc { watchListHits { id source entryNumber } } } }";
        let found = app.gql(hits, json!({ "id": ada })).await.data()["user"]["kyc"]["watchListHits"].clone();
        let of = |hit: &Value| {
            (hit["source"].as_str().unwrap().to_owned(), hit["entryNumber"].as_str().unwrap().to_owned())
        };
        let sources: Vec<(String, String)> = found.as_array().unwrap().iter().map(of).collect();
        assert_eq!(
            sources,
            [("OFAC SDN".to_owned(), "7".to_owned()), ("consolidated".to_owned(), "7".to_owned())]
        );
        clear(&app, clear_input(&found[0])).await.entity("watchListHitClear", "hit");
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("7", true)])
        );
        update_user(&app, &ada, json!({ "address": { "city": "Norfolk" } })).await;
        assert_eq!(
            summary(&status_of(&app, &ada).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("7", true)])
        );

        // Replacing or removing one source leaves the other.
        set_list(&app, &[("9", "PERSON, Other", "")]);
        let next = registered(&app, "Ada", "Carter").await;
        assert_eq!(
            summary(&status_of(&app, &next).await),
            expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)])
        );
        let remove =
            |arguments: &[&str]| said(&run(&app.database_url, &[&["screen", "remove"], arguments].concat()));
        assert!(!remove(&["--source", "consolidated"]).0, "without --force");
        let unknown = (
            false,
            String::new(),
            "coffer: the list of source \"none\" was not found; `coffer screen status` shows the sources\n"
                .to_owned(),
        );
        assert_eq!(remove(&["--source", "none", "--force"]), unknown);
        assert_eq!(
            remove(&["--source", "consolidated", "--force"]),
            (true, "Removed consolidated.\n".to_owned(), String::new())
        );
        let last = registered(&app, "Ada", "Carter").await;
        assert_eq!(summary(&status_of(&app, &last).await), expected("APPROVED", "APPROVED", &[]));
    }

    async fn a_list_that_may_be_incomplete_needs_force(app: TestApp) {
        let people: Vec<(String, String, &str)> =
            (1..=20).map(|number| (number.to_string(), format!("ENTRY, Number{number}"), "")).collect();
        let first = |count: usize| {
            let people: Vec<(&str, &str, &str)> = people
                .iter()
                .take(count)
                .map(|(number, name, remarks)| (number.as_str(), name.as_str(), *remarks))
                .collect();
            format!("{}\u{1a}\r\n", sdn(&people))
        };
        assert!(import(&app, first(20).as_bytes(), &[]).status.success());
        let refused = said(&import(&app, first(17).as_bytes(), &[]));
        let told = "coffer: cannot import; nothing was imported: The list has 17 entries, fewer than 90 % \
            of the 20 that it replaces. Use --force if the list is complete.\n";
        assert_eq!(refused, (false, String::new(), told.to_owned()));
        assert_eq!(counts(&app).await, (1, 20));
        assert!(import(&app, first(18).as_bytes(), &[]).status.success(), "90 % of the entries are enough");
        assert!(
            import(&app, first(3).as_bytes(), &["--source", "short"]).status.success(),
            "the first list of a source may have any length"
        );
        assert!(import(&app, first(3).as_bytes(), &["--force"]).status.success());
        assert_eq!(counts(&app).await, (4, 6));

        let (done, _, warnings) =
            said(&import(&app, first(4).trim_end_matches("\u{1a}\r\n").as_bytes(), &[]));
        let warning =
            "Warning: the list does not end with the end-of-file mark 0x1A and may have been cut off.\n";
        assert!(done && warnings.starts_with(warning), "{warnings}");
    }

    async fn existing_users_are_screened_after_an_import(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000").await;
        let questioned = registered(&app, "Ada", "Question").await;
        let denied = registered(&app, "Ada", "Denied").await;
        let grace = registered(&app, "Grace", "Hopper").await;
        let events = "subscription { events(after: \"0\") { type ... on WatchListHitFoundEvent { kycOutcome \
            kyc { user { id } } user { id } hit { listedName } }
            ... on UserChangedEvent { userStatus user { id } } } }";
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", events, json!({})).await;
        set_list(&app, &[ADA, ("8", "QUESTION, Ada", ""), ("9", "DENIED, Ada", "")]);
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let event = socket.next().await["events"].clone();
            if ["KYC_WATCH_LIST_HIT_FOUND", "USER_STATUS_CHANGED"].contains(&event["type"].as_str().unwrap())
            {
                seen.push(event);
            }
        }
        let found = |user: &str, outcome: &str, name: &str| {
            json!({
                "type": "KYC_WATCH_LIST_HIT_FOUND", "kycOutcome": outcome, "kyc": { "user": { "id": user } },
                "user": { "id": user },
                "hit": { "listedName": name },
            })
        };
        let moved = |user: &str| {
            json!({ "type": "USER_STATUS_CHANGED", "userStatus": "DOCUMENTATION_REQUIRED",
            "user": { "id": user } })
        };
        let expected_events = [
            found(&ada.user_id, "MANUAL_REVIEW", "CARTER, Ada"),
            moved(&ada.user_id),
            found(&questioned, "MANUAL_REVIEW", "QUESTION, Ada"),
            moved(&questioned),
            found(&denied, "DENIED", "DENIED, Ada"),
        ];
        assert_eq!(seen, expected_events);

        // Orders and deposits are refused until the hit is cleared; the balance is unchanged.
        let found_ada = status_of(&app, &ada.user_id).await;
        assert_eq!(summary(&found_ada), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        assert_eq!(
            (&found_ada["kyc"]["score"], watch_list_check(&found_ada)["isPassed"].clone()),
            (&json!("0.45"), json!(false))
        );
        assert_eq!(found_ada["kyc"]["tags"], json!(["Address Match", "Phone Match", "Watch List Match"]));
        let buy = app.gql(ORDER_PLACE, json!({ "input": ada.order("held", "BUY", "VTI", "1") })).await;
        assert_eq!(buy.user_error("orderPlace")["code"], "KYC_NOT_APPROVED");
        let deposit = app.gql(DEPOSIT_CREATE, json!({ "input": ada.deposit("held-deposit", "10") })).await;
        assert_eq!(deposit.user_error("depositCreate")["code"], "KYC_NOT_APPROVED");
        assert_eq!(app.balance(&ada.account_id).await[0], "1000.00");
        clear(&app, clear_input(&found_ada["kyc"]["watchListHits"][0]))
            .await
            .entity("watchListHitClear", "hit");
        let back = status_of(&app, &ada.user_id).await;
        assert_eq!(summary(&back), expected("APPROVED", "APPROVED", &[("7", false)]));
        assert_eq!(
            (&back["kyc"]["score"], &back["kyc"]["tags"]),
            (&json!("0.99"), &json!(["Address Match", "Phone Match"]))
        );
        assert_eq!(summary(&status_of(&app, &denied).await), expected("DENIED", "DENIED", &[("9", true)]));

        // A known hit is not reported again.
        set_list(
            &app,
            &[ADA, ("8", "QUESTION, Ada", ""), ("9", "DENIED, Ada", ""), ("10", "HOPPER, Grace", "")],
        );
        let next = loop {
            let event = socket.next().await["events"].clone();
            if event["type"] == "KYC_WATCH_LIST_HIT_FOUND" {
                break event;
            }
        };
        assert_eq!(next, found(&grace, "MANUAL_REVIEW", "HOPPER, Grace"));
        assert_eq!(
            summary(&status_of(&app, &ada.user_id).await),
            expected("APPROVED", "APPROVED", &[("7", false)])
        );
        let progress = finished_run(&app).await;
        assert_eq!(
            (&progress["people"], &progress["screened"], &progress["failed"], &progress["hits"]),
            (&json!(4), &json!(4), &json!(0), &json!(1))
        );
        let status = said(&run(&app.database_url, &["screen", "status"])).1;
        assert!(
            status.contains("\nScreening of existing customers: 4 screened, 1 new hit, finished at "),
            "{status}"
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    /// A hit of one user cannot be stored; the run continues with the others and counts the failure.
    async fn a_failure_for_one_user_does_not_stop_the_screening(app: TestApp) {
        let stuck = registered(&app, "Ada", "Carter").await;
        let grace = registered(&app, "Grace", "Hopper").await;
        let db = app.app.db.for_migrations();
        let refuse: &[&str] = if db.get_database_backend() == DbBackend::Postgres {
            &[
                "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
                    'refused'; END $$",
                "CREATE TRIGGER refused BEFORE INSERT ON screening_hit FOR EACH ROW WHEN (NEW.entry = 7) \
                    EXECUTE FUNCTION refused()",
            ]
        } else {
            &["CREATE TRIGGER refused BEFORE INSERT ON screening_hit WHEN NEW.entry = 7 BEGIN SELECT \
                    RAISE(ABORT, 'refused'); END"]
        };
        for statement in refuse {
            db.execute_unprepared(statement).await.unwrap();
        }
        set_list(&app, &[ADA, ("8", "HOPPER, Grace", "")]);
        let progress = finished_run(&app).await;
        assert_eq!(
            [&progress["screened"], &progress["failed"], &progress["hits"]],
            [&json!(2), &json!(1), &json!(1)]
        );
        assert_eq!(status_of(&app, &stuck).await["status"], "APPROVED");
        assert_eq!(status_of(&app, &grace).await["status"], "DOCUMENTATION_REQUIRED");
    }

    async fn a_name_that_cannot_be_compared_waits_for_a_reviewer(app: TestApp) {
        let unread = ("สมชาย", "ใจดี");
        let before = registered(&app, unread.0, unread.1).await;
        assert_eq!(
            status_of(&app, &before).await["status"],
            "APPROVED",
            "there is no list to compare the name with"
        );
        set_list(&app, &[("7", "CARTER, Ada", "DOB 23 Jan 1985")]);
        let user = registered(&app, unread.0, unread.1).await;
        let found = status_of(&app, &user).await;
        assert_eq!(
            [&found["status"], &found["kyc"]["outcome"]],
            [&json!("DOCUMENTATION_REQUIRED"), &json!("MANUAL_REVIEW")]
        );
        assert_eq!(found["kyc"]["watchListHits"], json!([]));
        let read = registered(&app, "Антон", "Чехов").await;
        assert_eq!(status_of(&app, &read).await["status"], "APPROVED");
    }

    async fn a_user_does_not_see_a_hit(app: TestApp) {
        let ada = app.person("ada@example.com", "2025550142").await;
        let patch = json!({ "firstName": "Ada", "lastName": "Carter", "ssn": "123456789", "birthDate": "1985-01-23",
            "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220",
                "countryCode": "US" } });
        update_user(&app, &ada.user_id, patch).await;
        let mut socket = Socket::join(&app, Some(&ada.access)).await;
        socket.subscribe("1", "subscription { events(after: \"0\") { type } }", json!({})).await;
        set_list(&app, &[ADA]);
        let mut kinds = Vec::new();
        while kinds.iter().filter(|kind| *kind == "USER_STATUS_CHANGED").count() < 2 {
            kinds.push(socket.next().await["events"]["type"].as_str().unwrap().to_owned());
        }
        assert!(!kinds.contains(&"KYC_WATCH_LIST_HIT_FOUND".to_owned()), "{kinds:?}");
        let own = "{ viewer { status kyc { score tags outcome checks { check } \
            watchListHits { listedName } } } }";
        let own = app.gql_as(Some(&ada.access), own, json!({})).await.data()["viewer"].clone();
        let kyc = json!({ "score": null, "tags": [], "outcome": "MANUAL_REVIEW", "checks": [],
            "watchListHits": null });
        assert_eq!(own, json!({ "status": "DOCUMENTATION_REQUIRED", "kyc": kyc }));
    }

    async fn twenty_thousand_entries_are_imported_and_screened(app: TestApp) {
        let (list, aliases) = long_list();
        let folder = Folder::new();
        let file = folder.0.join("alt.csv");
        std::fs::write(&file, aliases).unwrap();
        let started_at = Instant::now();
        let (done, line, progress) = said(&import(&app, list.as_bytes(), &["--alt", file.to_str().unwrap()]));
        let took = started_at.elapsed();
        assert!(
            done && line.starts_with("OFAC SDN: 20000 entries, 22000 names, imported at "),
            "{line} {progress}"
        );
        assert!(
            progress.starts_with("names: 0 of 22000\nnames: 500 of 22000\n")
                && progress.ends_with("names: 22000 of 22000\n"),
            "{progress}"
        );
        println!(
            "20,000 entries with 22,000 names imported in {took:?} over {}",
            app.app.db.backend().as_str()
        );
        assert_eq!(counts(&app).await, (1, 22_000));
        for turn in ["first", "next"] {
            let started_at = Instant::now();
            registered(&app, "Ada", "Carter").await;
            println!("the {turn} user was registered in {:?}", started_at.elapsed());
        }
    }
}

/// Number of users in a run that one server starts and another finishes.
const CUSTOMERS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_finishes_an_interrupted_run() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        for _ in 0..CUSTOMERS {
            registered(&app, "Ada", "Carter").await;
        }
        set_list(&app, &[ADA]);
        let query = "{ watchList { screening { people screened hits finishedAt } } }";
        let progress = async || app.gql(query, json!({})).await.data()["watchList"]["screening"].clone();
        assert_eq!(
            progress().await,
            json!({ "people": CUSTOMERS, "screened": 0, "hits": 0, "finishedAt": null })
        );
        let (one, other) = (app.app.ids.next(Kind::WatchList), app.app.ids.next(Kind::WatchList));
        assert!(rescreening::carry_on(&app.app, one).await.unwrap());
        assert!(!rescreening::carry_on(&app.app, other).await.unwrap(), "one server at a time");
        assert_eq!(
            progress().await,
            json!({ "people": CUSTOMERS, "screened": 50, "hits": 50, "finishedAt": null })
        );

        let _next = app.beside(Options::default()).await;
        let run = finished_run(&app).await;
        assert_eq!(
            (&run["people"], &run["screened"], &run["hits"]),
            (&json!(CUSTOMERS), &json!(CUSTOMERS), &json!(CUSTOMERS))
        );
        assert_eq!(screening_hit::Entity::find().count(&app.app.db.read).await.unwrap(), CUSTOMERS as u64);
        let events =
            entity::event::Entity::find().filter(entity::event::Column::Kind.eq("kyc.watch_list_hit_found"));
        assert_eq!(events.count(&app.app.db.read).await.unwrap(), CUSTOMERS as u64);
        assert!(!rescreening::carry_on(&app.app, other).await.unwrap(), "no users are left to screen");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_locked_rows_is_screened_later() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        registered(&app, "Ada", "Carter").await;
        set_list(&app, &[ADA]);
        let query = "{ watchList { screening { screened failed hits } } }";
        let progress = async || app.gql(query, json!({})).await.data()["watchList"]["screening"].clone();
        let server = app.app.ids.next(Kind::WatchList);
        let user = entity::user::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        let tx = app.app.db.write().await.unwrap();
        if tx.get_database_backend() == DbBackend::Postgres {
            // Otherwise PostgreSQL ends this transaction before the last attempt.
            tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await.unwrap();
        }
        clock::locked(&tx, user.partner_id).await.unwrap();
        assert!(rescreening::carry_on(&app.app, server).await.is_err());
        assert_eq!(progress().await, json!({ "screened": 0, "failed": 0, "hits": 0 }));
        drop(tx);
        assert!(rescreening::carry_on(&app.app, server).await.unwrap());
        assert_eq!(progress().await, json!({ "screened": 1, "failed": 0, "hits": 1 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_from_before_sources_belong_to_the_only_list() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261126_000010_watch_lists").await {
        let db = &older.db;
        let is_sqlite = db.get_database_backend() == DbBackend::Sqlite;
        let bytes = |hex: &str| older.bytes(hex);
        let id = |number: u8| older.id(number);
        let at = "'2026-07-09T16:00:00Z'";
        for row in [
            format!("watch_list VALUES ({}, 'October', {}, 1, 1, {at})", id(1), bytes("00")),
            format!("watch_list VALUES ({}, 'November', {}, 1, 1, {at})", id(2), bytes("01")),
            format!(
                "watch_list_name VALUES ({}, 7, 0, 'CARTER, Ada', {}, {}, '', 'TEST')",
                id(2),
                if is_sqlite { "0" } else { "false" },
                if is_sqlite { "1" } else { "true" }
            ),
            format!(
                "screening_hit VALUES ({}, {}, {}, 7, 'CARTER, Ada', 'TEST', 80, '[]', {at}, NULL, NULL, NULL)",
                id(3),
                id(4),
                id(5)
            ),
            format!(
                "screening_exception VALUES ({}, {}, {}, 7, {}, '2026-08-01', NULL, {at})",
                id(6),
                id(4),
                bytes("02"),
                bytes("03")
            ),
        ] {
            db.execute_unprepared(&format!("INSERT INTO {row}")).await.unwrap();
        }
        older.migrate().await;
        for (query, expected) in [
            ("SELECT source AS text FROM watch_list WHERE replaced_at IS NULL", "November"),
            ("SELECT source AS text FROM watch_list WHERE replaced_at IS NOT NULL", "October"),
            ("SELECT source AS text FROM screening_hit WHERE entry = 7 AND score = 80", "November"),
            ("SELECT source AS text FROM screening_exception WHERE entry = 7", "November"),
        ] {
            let rows =
                db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
            let found: Vec<String> = rows.iter().map(|row| row.try_get("", "text").unwrap()).collect();
            assert_eq!(found, [expected], "{query}");
        }
    }
}
