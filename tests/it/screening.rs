//! The watch list: imported by the binary, met by people at their identity check, and cleared by somebody who has looked.

use crate::support::{Answer, Folder, TestApp, USER_CREATE, on_both, person, process::run, socket::Socket};
use coffer::domain::Scope;
use entity::{Kind, screening_exception, screening_hit, watch_list, watch_list_name};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use serde_json::{Value, json};
use std::{fmt::Write, process::Output, time::Instant};

/// The person of the tests on a list, by the day of birth she gives.
const ADA: (&str, &str, &str) = ("7", "CARTER, Ada", "DOB 23 Jan 1985");

/// A list in the public format: number, name and remarks of its people.
fn sdn(people: &[(&str, &str, &str)]) -> String {
    people.iter().fold(String::new(), |mut text, (number, name, remarks)| {
        let nothing = "-0- ,".repeat(7);
        write!(text, "{number},\"{name}\",\"individual\",\"SDGT] [IFSR\",{nothing}\"{remarks}\"\r\n").unwrap();
        text
    })
}

/// Has the binary import these bytes.
fn import(app: &TestApp, list: &[u8], more: &[&str]) -> Output {
    let folder = Folder::new();
    let file = folder.0.join("sdn.csv");
    std::fs::write(&file, list).unwrap();
    run(&app.database_url, &[&["screen", "import", file.to_str().unwrap()], more].concat())
}

fn listed(app: &TestApp, people: &[(&str, &str, &str)]) {
    let output = import(app, sdn(people).as_bytes(), &[]);
    assert!(output.status.success(), "{output:?}");
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

async fn counts(app: &TestApp) -> (u64, u64) {
    let lists = watch_list::Entity::find().count(&app.app.db.read).await.unwrap();
    (lists, watch_list_name::Entity::find().count(&app.app.db.read).await.unwrap())
}

/// A resemblance of the person of a check to nobody in particular.
pub async fn hit_of(app: &TestApp, kyc_id: &str) -> String {
    let row = screening_hit::Model {
        id: app.app.ids.next(Kind::ScreeningHit),
        partner_id: app.partner.id,
        kyc_id: kyc_id.parse().unwrap(),
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

const STANDING: &str = "query($id: ID!) { user(id: $id) { status kyc { id score outcome tags
    checks { check isPassed part }
    watchListHits { id entryNumber listedName programs score parts { name points rule } foundAt clearedAt exception { until reason madeAt } } } } }";

/// Where a person stands.
async fn standing(app: &TestApp, user_id: &str) -> Value {
    app.gql(STANDING, json!({ "id": user_id })).await.data()["user"].clone()
}

async fn registered(app: &TestApp, first_name: &str, last_name: &str) -> String {
    let user = app.gql(USER_CREATE, json!({ "input": person(first_name, last_name) })).await;
    user.entity("userCreate", "user")["id"].as_str().unwrap().to_owned()
}

const CLEAR: &str = "mutation($input: WatchListHitClearInput!) { watchListHitClear(input: $input) {
    hit { id clearedAt exception { until reason madeAt } kyc { outcome } } userErrors { code path message } } }";

fn clearing(hit: &Value) -> Value {
    json!({ "hitId": hit["id"], "reason": "Another person: the passport says so.", "until": "2026-08-01" })
}

/// Clears a hit with a key that has entered nothing.
async fn clear(app: &TestApp, input: Value) -> Answer {
    let key = app.key_for(&[Scope::Read, Scope::Operate]).await;
    app.gql_as(Some(&key), CLEAR, json!({ "input": input })).await
}

/// Changes what a person says of herself.
async fn amended(app: &TestApp, user_id: &str, patch: Value) {
    let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { id } userErrors { code path message } } }";
    app.gql(update, json!({ "input": { "userId": user_id, "patch": patch } })).await.entity("userUpdate", "user");
}

/// Outcome of a person's check, its hits and which of them are open.
fn brief(standing: &Value) -> (String, String, Vec<(String, bool)>) {
    let hits = standing["kyc"]["watchListHits"].as_array().unwrap();
    let hit = |hit: &Value| (hit["entryNumber"].as_str().unwrap().to_owned(), hit["clearedAt"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&standing["status"]), text(&standing["kyc"]["outcome"]), hits.iter().map(hit).collect())
}

fn expected(status: &str, outcome: &str, hits: &[(&str, bool)]) -> (String, String, Vec<(String, bool)>) {
    (status.to_owned(), outcome.to_owned(), hits.iter().map(|(entry, open)| ((*entry).to_owned(), *open)).collect())
}

/// The part of the watch list in a score.
fn part(standing: &Value) -> Value {
    standing["kyc"]["checks"].as_array().unwrap().iter().find(|part| part["check"] == "WATCH_LIST").unwrap().clone()
}

/// 20,000 entries with made-up names, and the same with aliases for every tenth.
fn long_list() -> (String, String) {
    let (first, last) =
        (["Ana", "Boris", "Chen", "Dalia", "Emir", "Farid", "Gustavo", "Hana"], ["vic", "ez", "man", "ov", "zadeh", "ullah", "son"]);
    let (mut list, mut aliases) = (String::new(), String::new());
    for number in 1..=20_000_usize {
        let name = format!("{}{}{}, {}", ["KAR", "MOR", "SAL", "TEV"][number % 4], number / 7 % 97, last[number % 7], first[number % 8]);
        let remarks = format!("DOB {} Mar {}; POB Nowhere", number % 28 + 1, 1940 + number % 60);
        list.push_str(&sdn(&[(&number.to_string(), &name, &remarks)]));
        if number % 10 == 0 {
            writeln!(aliases, "{number},{number},\"aka\",\"{name} THE {number}TH\",-0- ").unwrap();
        }
    }
    (list, aliases)
}

on_both! {
    async fn a_list_is_imported_whole_or_not_at_all(app: TestApp) {
        let status = || said(&run(&app.database_url, &["screen", "status"]));
        assert_eq!(status(), (true, "No watch list was imported: nobody is screened.\n".to_owned(), String::new()));
        assert_eq!(app.gql("{ watchList { source } }", json!({})).await.data(), &json!({ "watchList": null }));

        let mut list = sdn(&[ADA, ("8", "MÜLLER, Jürgen", "DOB 1950; a.k.a. 'HANS'.")]);
        list.push_str(&format!("9,\"CARTER SHIPPING\",-0- ,\"CUBA\",{}-0- \r\n\u{1a}", "-0- ,".repeat(7)));
        let folder = Folder::new();
        let aliases = folder.0.join("alt.csv");
        std::fs::write(&aliases, "8,1,\"aka\",\"MILLER, Jurgen\",-0- \r\n").unwrap();
        let told = ["--alt", aliases.to_str().unwrap(), "--source", "Tests"];
        let latin_1: Vec<u8> = list.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
        let (done, line, progress) = said(&import(&app, &latin_1, &told));
        let imported_at = watch_list::Entity::find().one(&app.app.db.read).await.unwrap().unwrap().imported_at;
        let at = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let first = format!("Tests: 3 entries, 5 names, imported at {}\n", at(imported_at));
        assert_eq!((done, &line, progress.as_str()), (true, &first, "names: 0 of 5\nnames: 5 of 5\n"));
        assert_eq!(status(), (true, first.clone(), String::new()));
        let query = "{ watchList { source entries names importedAt } }";
        let shown = app.gql(query, json!({})).await.data()["watchList"].clone();
        assert_eq!((&shown["source"], &shown["entries"], &shown["names"]), (&json!("Tests"), &json!(3), &json!(5)));
        assert_eq!(shown["importedAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap(), imported_at);
        assert_eq!(counts(&app).await, (1, 5));
        let again = said(&import(&app, &latin_1, &told));
        assert_eq!(again, (true, format!("Nothing has changed since the list was imported.\n{first}"), String::new()));
        assert_eq!(counts(&app).await, (1, 5));

        for (list, fault) in [
            (format!("{}8,\"SHORT\"\r\n", sdn(&[ADA])), "line 2 has 2 columns instead of 12"),
            (sdn(&[ADA, ("eight", "X, Y", "")]), "line 2 does not begin with an entry's number"),
            (sdn(&[ADA, ADA]), "line 2 has entry 7 again"),
            (String::new(), "there is no entry in it"),
        ] {
            let (done, out, fault_line) = said(&import(&app, list.as_bytes(), &[]));
            assert!(!done && out.is_empty() && fault_line.ends_with(&format!("sdn.csv: {fault}; nothing was imported\n")), "{fault_line}");
            assert_eq!(counts(&app).await, (1, 5), "{fault}");
        }
        assert_eq!(status().1, first);

        // A server that runs screens against the newest list at once.
        let ada = registered(&app, "Ada", "Carter").await;
        assert_eq!(brief(&standing(&app, &ada).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        let jurgen = registered(&app, "Jurgen", "Miller").await;
        assert_eq!(brief(&standing(&app, &jurgen).await), expected("APPROVED", "APPROVED", &[]));
        listed(&app, &[("8", "MILLER, Jurgen", "")]);
        assert_eq!(counts(&app).await, (2, 1));
        let jurgen = registered(&app, "Jurgen", "Miller").await;
        assert_eq!(brief(&standing(&app, &jurgen).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("8", true)]));
        let other = registered(&app, "Ada", "Carter").await;
        assert_eq!(brief(&standing(&app, &other).await), expected("APPROVED", "APPROVED", &[]));
        // Decisions of before stay.
        assert_eq!(brief(&standing(&app, &ada).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
    }

    async fn who_resembles_an_entry_waits_for_a_reviewer(app: TestApp) {
        listed(&app, &[ADA, ("8", "QADHAFI, Usama", ""), ("9", "CARTER, Ada", "DOB 12 Mar 1951"), ("10", "CARTER, Beatrice", "DOB 23 Jan 1985")]);
        let ada = registered(&app, "Ada", "Carter").await;
        let found = standing(&app, &ada).await;
        let ids: Vec<Value> = found["kyc"]["watchListHits"].as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect();
        let name = |points: &str, rule: &str| json!({ "name": "NAME", "points": points, "rule": rule });
        let birth = |points: &str, rule: &str| json!({ "name": "BIRTH_DATE", "points": points, "rule": rule });
        let hit = |id: &Value, entry: &str, listed: &str, score: &str, parts: Value| json!({
            "id": id, "entryNumber": entry, "listedName": listed, "programs": ["SDGT", "IFSR"], "score": score, "parts": parts,
            "foundAt": "2026-07-09T16:00:00Z", "clearedAt": null, "exception": null,
        });
        assert_eq!(
            found["kyc"]["watchListHits"],
            json!([hit(&ids[0], "7", "CARTER, Ada", "1.00", json!([
                name("0.80", "Of 2 parts of the name, 2 are the same, 0 alike, and 0 fit an initial."),
                birth("0.20", "The same day of birth is listed."),
            ]))])
        );
        assert_eq!((&found["status"], &found["kyc"]["outcome"], &found["kyc"]["score"]), (&json!("DOCUMENTATION_REQUIRED"), &json!("MANUAL_REVIEW"), &json!("0.45")));
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "Watch List Match"]));
        assert_eq!(part(&found), json!({ "check": "WATCH_LIST", "isPassed": false, "part": "-0.42" }));
        let node = "query($id: ID!) { node(id: $id) { id ... on WatchListHit { listedName kyc { id } } } }";
        let node = app.gql(node, json!({ "id": ids[0] })).await;
        assert_eq!(node.data()["node"], json!({ "id": ids[0], "listedName": "CARTER, Ada", "kyc": { "id": found["kyc"]["id"] } }));

        // A name alone is one, a name with another year of birth is none.
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
            let found = standing(&app, user.entity("userCreate", "user")["id"].as_str().unwrap()).await;
            let entries: Vec<String> = brief(&found).2.into_iter().map(|(entry, _)| entry).collect();
            assert_eq!(entries, hits, "{first_name} {last_name} {birth_date}");
            let status = if hits.is_empty() { "APPROVED" } else { "DOCUMENTATION_REQUIRED" };
            assert_eq!(found["status"], status, "{first_name} {last_name} {birth_date}");
            assert_eq!(part(&found)["isPassed"], hits.is_empty());
        }
    }

    async fn a_cleared_hit_lets_the_person_through(app: TestApp) {
        listed(&app, &[ADA]);
        let ada = registered(&app, "Ada", "Carter").await;
        let hit = standing(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        let input = json!({ "idempotencyKey": "c1", "hitId": hit["id"], "reason": " Another passport. ", "until": "2026-08-01" });
        let cleared = clear(&app, input.clone()).await;
        let exception = json!({ "until": "2026-08-01", "reason": "Another passport.", "madeAt": "2026-07-09T16:00:00Z" });
        let told = json!({ "id": hit["id"], "clearedAt": "2026-07-09T16:00:00Z", "exception": exception, "kyc": { "outcome": "APPROVED" } });
        assert_eq!(cleared.entity("watchListHitClear", "hit"), &told);
        assert_eq!(clear(&app, input).await.entity("watchListHitClear", "hit"), &told, "the same request again");
        let found = standing(&app, &ada).await;
        assert_eq!(brief(&found), expected("APPROVED", "APPROVED", &[("7", false)]));
        assert_eq!((&found["kyc"]["score"], &found["kyc"]["tags"]), (&json!("0.99"), &json!(["Address Match", "Phone Match"])));
        assert_eq!(part(&found), json!({ "check": "WATCH_LIST", "isPassed": true, "part": "0.12" }));

        let events = "subscription { events(after: \"0\") { type ... on KycChangedEvent { outcome kyc { id } } ... on UserChangedEvent { user { id } } } }";
        let mut socket = Socket::join(&app, Some(&app.key)).await;
        socket.subscribe("1", events, json!({})).await;
        let check = json!({ "id": found["kyc"]["id"] });
        for event in [
            json!({ "type": "partner.created" }),
            json!({ "type": "user.created", "user": { "id": ada } }),
            json!({ "type": "kyc.created", "outcome": "MANUAL_REVIEW", "kyc": check }),
            json!({ "type": "kyc.hit_cleared", "outcome": "APPROVED", "kyc": check }),
            json!({ "type": "user.status_changed", "user": { "id": ada } }),
        ] {
            assert_eq!(socket.next().await["events"], event);
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn every_hit_must_be_cleared_and_nothing_else_is(app: TestApp) {
        listed(&app, &[ADA, ("8", "CARTER, Ada", ""), ("9", "REVIEW, Ada", "")]);
        let ada = registered(&app, "Ada", "Carter").await;
        let hits = standing(&app, &ada).await["kyc"]["watchListHits"].clone();
        clear(&app, clearing(&hits[1])).await.entity("watchListHitClear", "hit");
        let found = standing(&app, &ada).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true), ("8", false)]));
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "Watch List Match"]));
        assert_eq!(part(&found)["isPassed"], false);
        clear(&app, clearing(&hits[0])).await.entity("watchListHitClear", "hit");
        assert_eq!(brief(&standing(&app, &ada).await), expected("APPROVED", "APPROVED", &[("7", false), ("8", false)]));

        // Who is in a review for another reason stays there, under whatever name.
        let reviewed = registered(&app, "Ada", "Review").await;
        let hit = standing(&app, &reviewed).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clearing(&hit)).await.entity("watchListHitClear", "hit");
        let found = standing(&app, &reviewed).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)]));
        assert_eq!(found["kyc"]["tags"], json!(["Address Match", "Phone Match", "SSN Seen Before"]));
        amended(&app, &reviewed, json!({ "firstName": "Adah", "lastName": "Carter" })).await;
        let hits = standing(&app, &reviewed).await["kyc"]["watchListHits"].clone();
        for hit in hits.as_array().unwrap() {
            clear(&app, clearing(hit)).await.entity("watchListHitClear", "hit");
        }
        let found = standing(&app, &reviewed).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("8", false)]));
        assert_eq!(found["kyc"]["score"], "0.99");
    }

    async fn an_exception_is_for_one_person_and_has_an_end(app: TestApp) {
        listed(&app, &[ADA, ("8", "BIN LADIN, Usama", "")]);
        let ada = registered(&app, "Ada", "Carter").await;
        // A check that was made again while the hit was open is no other reason for a review.
        amended(&app, &ada, json!({ "ssn": "123456780" })).await;
        let hit = standing(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clearing(&hit)).await.entity("watchListHitClear", "hit");
        assert_eq!(brief(&standing(&app, &ada).await), expected("APPROVED", "APPROVED", &[("7", false)]));

        amended(&app, &ada, json!({ "address": { "line1": "2 Other St", "city": "Norfolk" } })).await;
        let found = standing(&app, &ada).await;
        assert_eq!(brief(&found), expected("APPROVED", "APPROVED", &[("7", false)]));
        let exception = json!({ "until": "2026-08-01", "reason": "Another person: the passport says so.", "madeAt": "2026-07-09T16:00:00Z" });
        assert_eq!(found["kyc"]["watchListHits"][0]["exception"], exception);
        assert_ne!(found["kyc"]["watchListHits"][0]["id"], hit["id"]);
        assert_eq!((&found["kyc"]["score"], &found["kyc"]["tags"]), (&json!("0.99"), &json!(["Address Match", "Phone Match"])));

        // Who takes another name while a hit is open is not let through by clearing what that name resembles.
        for names in [&["Grace Laden", "Osama Laden"][..], &["Usama Laden"]] {
            let detour = registered(&app, "Ada", "Karter").await;
            for name in names {
                let (first_name, last_name) = name.split_once(' ').unwrap();
                amended(&app, &detour, json!({ "firstName": first_name, "lastName": last_name })).await;
                assert_eq!(standing(&app, &detour).await["kyc"]["outcome"], "MANUAL_REVIEW");
            }
            let hit = standing(&app, &detour).await["kyc"]["watchListHits"][0].clone();
            clear(&app, clearing(&hit)).await.entity("watchListHitClear", "hit");
            assert_eq!(brief(&standing(&app, &detour).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false), ("8", true)]), "{names:?}");
        }

        // It is for a name, a day of birth and a social security number, written in any way, and for no namesake.
        let mut same = person("ADA", "Cárter");
        same["ssn"] = json!("123-45-6780");
        let twin = app.gql(USER_CREATE, json!({ "input": same })).await;
        assert_eq!(twin.entity("userCreate", "user")["status"], "APPROVED");
        let namesake = registered(&app, "ADA", "Cárter").await;
        assert_eq!(brief(&standing(&app, &namesake).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        for patch in [json!({ "lastName": "Karter" }), json!({ "birthDate": "1985-01-24" })] {
            let other = registered(&app, "Ada", "Carter").await;
            amended(&app, &other, patch).await;
            assert_eq!(brief(&standing(&app, &other).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        }
        let (_, stranger) = app.other_partner("another").await;
        let theirs = app.gql_as(Some(&stranger), USER_CREATE, json!({ "input": person("Ada", "Carter") })).await;
        assert_eq!(theirs.entity("userCreate", "user")["status"], "DOCUMENTATION_REQUIRED");

        app.advance_to("2026-08-01T23:59:59Z").await;
        amended(&app, &ada, json!({ "ssn": "123456780" })).await;
        assert_eq!(brief(&standing(&app, &ada).await), expected("APPROVED", "APPROVED", &[("7", false)]));
        app.advance_to("2026-08-02T00:00:00Z").await;
        amended(&app, &ada, json!({ "ssn": "123456789" })).await;
        assert_eq!(brief(&standing(&app, &ada).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
    }

    async fn who_is_somebody_else_is_asked_what_others_are(app: TestApp) {
        listed(&app, &[("9", "QUESTION, Ada", "")]);
        let ada = registered(&app, "Ada", "Question").await;
        let before = standing(&app, &ada).await;
        assert_eq!(brief(&before), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", true)]));
        clear(&app, clearing(&before["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        let found = standing(&app, &ada).await;
        assert_eq!(brief(&found), expected("ACTION_REQUIRED", "QUESTIONS_REQUIRED", &[("9", false)]));
        assert_eq!(found["kyc"]["score"], "0.75");
        let asked = "query($id: ID!) { user(id: $id) { kyc { questionsExpireAt questions { questionId } } } }";
        let asked = app.gql(asked, json!({ "id": ada })).await.data()["user"]["kyc"].clone();
        let questions: Vec<i64> = asked["questions"].as_array().unwrap().iter().map(|question| question["questionId"].as_i64().unwrap()).collect();
        assert_eq!((&asked["questionsExpireAt"], questions), (&json!("2026-07-09T16:15:00Z"), vec![1, 2, 3, 4, 5]));
        app.advance_to("2026-07-09T16:15:00Z").await;
        assert_eq!(brief(&standing(&app, &ada).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)]));
        // Nobody is asked twice, whatever is cleared.
        amended(&app, &ada, json!({ "birthDate": "1985-01-24" })).await;
        let hit = standing(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clearing(&hit)).await.entity("watchListHitClear", "hit");
        assert_eq!(brief(&standing(&app, &ada).await), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", false)]));
    }

    async fn a_corrected_name_is_screened(app: TestApp) {
        listed(&app, &[ADA, ("9", "QUESTION, Ada", "")]);
        let correct = "mutation($input: KycCorrectInput!) { kycCorrect(input: $input) { kyc { id } userErrors { code path message } } }";
        let corrected = async |user_id: &str, patch: Value| {
            let check = standing(&app, user_id).await["kyc"]["id"].clone();
            let answer = app.gql(correct, json!({ "input": { "kycId": check, "patch": patch } })).await;
            answer.entity("kycCorrect", "kyc");
            standing(&app, user_id).await
        };
        // Out of the questions into a hit, and back to an approval once it is cleared.
        let eve = registered(&app, "Eve", "Question").await;
        let found = corrected(&eve, json!({ "firstName": "Ada", "lastName": "Carter" })).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        assert_eq!((&found["kyc"]["score"], part(&found)["isPassed"].clone()), (&json!("0.45"), json!(false)));
        clear(&app, clearing(&found["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        assert_eq!(brief(&standing(&app, &eve).await), expected("APPROVED", "APPROVED", &[("7", false)]));
        // What was cleared is so for a name: under another that the same entry resembles, it is open again.
        let ada = registered(&app, "Ada", "Question").await;
        let hit = standing(&app, &ada).await["kyc"]["watchListHits"][0].clone();
        clear(&app, clearing(&hit)).await.entity("watchListHitClear", "hit");
        let found = corrected(&ada, json!({ "firstName": "Adah", "lastName": "Question" })).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("9", true)]));
        assert_eq!((&found["kyc"]["watchListHits"][0]["id"], &found["kyc"]["watchListHits"][0]["score"]), (&hit["id"], &json!("0.73")));
        // Who was corrected while with a reviewer stays there.
        let eve = registered(&app, "Eve", "Review").await;
        let found = corrected(&eve, json!({ "firstName": "Ada", "lastName": "Karter" })).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", true)]));
        clear(&app, clearing(&found["kyc"]["watchListHits"][0])).await.entity("watchListHitClear", "hit");
        let found = standing(&app, &eve).await;
        assert_eq!(brief(&found), expected("DOCUMENTATION_REQUIRED", "MANUAL_REVIEW", &[("7", false)]));
        assert_eq!(found["kyc"]["score"], "0.99");
    }

    async fn who_may_clear_what(app: TestApp) {
        listed(&app, &[ADA]);
        let ada = registered(&app, "Ada", "Carter").await;
        let before = standing(&app, &ada).await;
        let hit = before["kyc"]["watchListHits"][0].clone();
        let with = |field: &str, value: Value| {
            let mut input = clearing(&hit);
            input[field] = value;
            input
        };
        for (field, value, code, message) in [
            ("reason", json!("  "), "REQUIRED", "reason is required"),
            ("reason", json!("é".repeat(501)), "INVALID", "reason must have at most 500 characters"),
            ("until", json!("soon"), "INVALID", "until must be a date as YYYY-MM-DD"),
            ("until", json!("2026-02-30"), "INVALID", "until must be a day of the calendar"),
            ("until", json!("2026-07-08"), "INVALID", "until lies in the past"),
            ("until", json!("2028-07-10"), "INVALID", "until must be at most two years ahead"),
            ("hitId", before["kyc"]["id"].clone(), "NOT_FOUND", "hitId names nothing that you can see"),
            ("hitId", json!("nope"), "NOT_FOUND", "hitId names nothing that you can see"),
        ] {
            let refused = clear(&app, with(field, value)).await;
            assert_eq!(refused.user_error("watchListHitClear"), &json!({ "code": code, "path": [field], "message": message }));
        }
        let (_, stranger) = app.other_partner("another").await;
        let theirs = app.gql_as(Some(&stranger), CLEAR, json!({ "input": clearing(&hit) })).await;
        assert_eq!(theirs.user_error("watchListHitClear")["code"], "NOT_FOUND");
        let node = "query($id: ID!) { node(id: $id) { id } }";
        assert_eq!(app.gql_as(Some(&stranger), node, json!({ "id": hit["id"] })).await.data(), &json!({ "node": null }));

        let all_but_operate = app.key_for(&[Scope::Read, Scope::Trade, Scope::Transfer, Scope::Manage]).await;
        let hits = "query($id: ID!) { user(id: $id) { kyc { outcome watchListHits { listedName } } } }";
        let seen = app.gql_as(Some(&all_but_operate), hits, json!({ "id": ada })).await;
        assert_eq!(seen.data()["user"]["kyc"], json!({ "outcome": "MANUAL_REVIEW", "watchListHits": null }));
        assert_eq!(app.gql_as(Some(&all_but_operate), node, json!({ "id": hit["id"] })).await.data(), &json!({ "node": null }));
        assert_eq!(app.gql_as(Some(&all_but_operate), CLEAR, json!({ "input": clearing(&hit) })).await.error_code(), "FORBIDDEN");
        let signed_up = app.person("ada@example.com", "2025550142").await;
        assert_eq!(app.gql_as(Some(&signed_up.access), CLEAR, json!({ "input": clearing(&hit) })).await.error_code(), "FORBIDDEN");
        let maker = app.gql(CLEAR, json!({ "input": clearing(&hit) })).await;
        assert_eq!(maker.user_error("watchListHitClear")["code"], "MAKER_CHECKER", "who entered her does not clear her");
        assert_eq!(standing(&app, &ada).await, before);
        assert_eq!(screening_exception::Entity::find().count(&app.app.db.read).await.unwrap(), 0);

        let operator = app.key_for(&[Scope::Operate]).await;
        let last_day = CLEAR.replace("kyc { outcome }", "");
        let cleared = app.gql_as(Some(&operator), &last_day, json!({ "input": with("until", json!("2028-07-09")) })).await;
        assert_eq!(cleared.entity("watchListHitClear", "hit")["exception"]["until"], "2028-07-09");
        let again = clear(&app, clearing(&hit)).await;
        let told = json!({ "code": "KYC_NOT_OPEN", "path": ["hitId"], "message": "The hit does not wait for anybody any more." });
        assert_eq!(again.user_error("watchListHitClear"), &told);
        let other = registered(&app, "Ada", "Karter").await;
        let hit = standing(&app, &other).await["kyc"]["watchListHits"][0].clone();
        amended(&app, &other, json!({ "ssn": "123456780" })).await;
        let late = clear(&app, clearing(&hit)).await;
        let told = json!({ "code": "KYC_NOT_OPEN", "path": null, "message": "A later identity check took the place of this one." });
        assert_eq!(late.user_error("watchListHitClear"), &told);
    }

    async fn twenty_thousand_entries_are_imported_and_screened(app: TestApp) {
        let (list, aliases) = long_list();
        let folder = Folder::new();
        let file = folder.0.join("alt.csv");
        std::fs::write(&file, aliases).unwrap();
        let began = Instant::now();
        let (done, line, progress) = said(&import(&app, list.as_bytes(), &["--alt", file.to_str().unwrap()]));
        let took = began.elapsed();
        assert!(done && line.starts_with("OFAC SDN: 20000 entries, 22000 names, imported at "), "{line} {progress}");
        assert!(progress.starts_with("names: 0 of 22000\nnames: 500 of 22000\n") && progress.ends_with("names: 22000 of 22000\n"), "{progress}");
        println!("20,000 entries with 22,000 names imported in {took:?} over {}", app.app.db.backend().as_str());
        assert_eq!(counts(&app).await, (1, 22_000));
        for who in ["first", "next"] {
            let began = Instant::now();
            registered(&app, "Ada", "Carter").await;
            println!("the {who} person was registered in {:?}", began.elapsed());
        }
    }
}
