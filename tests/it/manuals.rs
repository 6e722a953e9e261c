//! Checks the documents: their blocks run as printed, their lists are complete, and their links lead somewhere.

use crate::{
    samples,
    support::{
        Folder,
        process::{Process, coffer, printed, without_settings},
        terminal::Terminal,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub const README: &str = include_str!("../../README.md");
pub const API: &str = include_str!("../../docs/api.md");
pub const GUIDE: &str = include_str!("../../docs/clients.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The documents with code blocks, and the languages that a test runs in each: those of docs/api.md in samples.rs,
/// those of docs/clients.md in client_guide.rs, `js` and `ts` in tests/clients, all others below.
const DOCUMENTS: [(&str, &str, &[&str]); 6] = [
    ("README.md", README, &["json", "sh", "ts"]),
    ("ARCHITECTURE.md", ARCHITECTURE, &["text"]),
    ("CONTRIBUTING.md", CONTRIBUTING, &[]),
    ("docs/api.md", API, &["graphql"]),
    ("docs/clients.md", GUIDE, &["graphql", "js"]),
    ("docs/operations.md", OPERATIONS, &["csv", "sh"]),
];

/// Every block that no test runs. Each has a comment with the reason in its document.
const NOT_RUN: [(&str, &str, &str); 4] = [
    ("README.md", "Two commands", "sh"),
    ("CONTRIBUTING.md", "Tests", "sh"),
    ("docs/operations.md", "Production", "ini"),
    ("docs/operations.md", "Backup and restore", "sh"),
];

/// The section of docs/operations.md that continues the tour of the README.
const AFTER_THE_TOUR: &str = "Watch lists";

/// A code block of a document.
pub struct Block {
    pub section: &'static str,
    pub language: &'static str,
    pub text: String,
    /// Why no test runs the block.
    pub not_run: Option<&'static str>,
}

/// Returns every block of a document, with any indentation. The line `<!-- not run: reason -->` before a block says
/// that no test runs it.
pub fn blocks_of(document: &'static str) -> Vec<Block> {
    let (mut found, mut section, mut not_run, mut is_open) = (Vec::<Block>::new(), "", None, false);
    for line in document.lines() {
        match (line.trim_start().strip_prefix("```"), line.strip_prefix("## ")) {
            (Some(_), _) if is_open => is_open = false,
            (Some(language), _) => {
                found.push(Block { section, language, text: String::new(), not_run });
                is_open = true;
            }
            (None, _) if is_open => found.last_mut().unwrap().text.extend([line, "\n"]),
            (None, Some(title)) => section = title,
            (None, None) => {}
        }
        not_run = line.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->"));
    }
    assert!(!is_open && !found.is_empty());
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all documents: their paths from the root of the repository, and their text.
fn all_documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/decisions"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn every_block_is_run_or_says_why_not() {
    let mut not_run = Vec::new();
    for (name, document, languages) in DOCUMENTS {
        let mut run = BTreeSet::new();
        for block in blocks_of(document) {
            if let Some(reason) = block.not_run {
                assert!(reason.len() > 10, "{name}: {reason}");
                not_run.push((name, block.section, block.language));
            } else {
                run.insert(block.language);
                let is_known = block.language != "graphql"
                    || name != "docs/api.md"
                    || samples::SECTIONS.contains(&block.section);
                assert!(is_known, "add the section {} to SECTIONS of samples.rs, and run it", block.section);
            }
        }
        assert_eq!(Vec::from_iter(run), languages, "languages of the blocks of {name}");
    }
    assert_eq!(not_run, NOT_RUN);
    let with_blocks = all_documents().into_iter().filter(|(_, text)| text.contains("```"));
    let with_blocks: BTreeSet<String> =
        with_blocks.map(|(path, _)| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(with_blocks, DOCUMENTS.map(|(name, ..)| name.to_owned()).into());
}

#[test]
fn the_readme_is_short() {
    assert!(README.lines().count() < 150);
}

/// What the README says is not there yet, and what the schema would have if it were.
const NOT_THERE_YET: [(&str, &str); 4] = [
    ("managed portfolios", "type Portfolio "),
    ("webhooks", "type Webhook "),
    ("goals", "type Goal "),
    ("advisor meetings", "type Meeting "),
];

#[test]
fn what_is_not_there_yet_is_not_in_the_schema() {
    let sdl = coffer::graphql::sdl(&coffer::graphql::schema(true));
    let section = README.split("## What is not there yet").nth(1).unwrap().split("\n## ").next().unwrap();
    for (what, name) in NOT_THERE_YET {
        assert!(section.contains(what), "{what}");
        assert!(!sdl.contains(name), "the README says that there are no {what} yet");
    }
}

/// A reader follows these documents one after the other with one sandbox, which refuses a phone number that another
/// user has verified, and judges a social security number that another user has entered.
#[test]
fn the_people_in_the_documents_are_different() {
    let playground = include_str!("../../src/server/playground/people.graphql");
    let all = [README, API, playground].concat();
    for begin in ["passcodeSend(input: { phone: \"", "ssn: \"", "fullName: \""] {
        let values: Vec<&str> =
            all.split(begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(values.len() > 2, "{begin}");
        assert_eq!(BTreeSet::from_iter(&values).len(), values.len(), "{begin}: {values:?}");
    }
}

/// Checks that all responses in an output are successful.
#[track_caller]
fn assert_accepted(printed: &str) {
    assert!(!printed.contains("\"errors\"") && !printed.contains("\"error\""), "{printed}");
    let all = printed.matches("\"userErrors\":").count();
    assert_eq!(printed.matches("\"userErrors\":[]").count(), all, "{printed}");
}

/// Pastes a block again and again until it prints this, for example what a worker does in the background.
#[track_caller]
fn paste_until(terminal: &mut Terminal, block: &str, expected: &str) -> String {
    let began = Instant::now();
    loop {
        let printed = terminal.paste(block);
        if printed.contains(expected) {
            return printed;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{expected} is missing in:\n{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blocks_of_the_readme_run_as_pasted() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    without_settings(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let server = Process::launch(command).await;
    let mut terminal = server.terminal();
    let (mut last, mut all) = (String::new(), Vec::new());
    for block in blocks_of(README).into_iter().filter(|block| block.not_run.is_none()) {
        match block.language {
            "sh" => {
                let script = block.text.replace("http://127.0.0.1:8080", &server.url);
                let follows = script.contains("text/event-stream");
                last = if follows {
                    paste_until(&mut terminal, &script, "FILLED")
                } else {
                    terminal.paste(&script)
                };
                assert_accepted(&last);
                all.push(last.clone());
            }
            "json" => assert_eq!(last.lines().last(), Some(block.text.trim_end())),
            _ => {}
        }
    }
    let [sign_up, passcode, buy, events, orders, commands] = all.try_into().unwrap();
    assert!(sign_up.contains("\"accessToken\":\"eyJ"), "{sign_up}");
    assert!(passcode.contains("\"twoFactor\":{\"isPassed\":true}"), "{passcode}");
    assert!(buy.contains("\"transfer\":{\"status\":\"PENDING\",\"expectedOn\":\""), "{buy}");
    let filled = "\"orderStatus\":\"FILLED\",\"order\":{\"filledQuantity\":\"0.2\"}";
    assert_eq!(events.matches(filled).count(), 1, "{events}");
    assert!(orders.contains("\"quantity\":\"0.2\"") && orders.contains("\"status\":\"filled\""), "{orders}");
    let lines: Vec<&str> = commands.lines().collect();
    assert!(lines[0].starts_with("sk_test_"), "{commands}");
    for line in ["ok     books: add up", "The books add up and nothing was altered."] {
        assert!(lines.contains(&line), "{commands}");
    }
    assert!(commands.contains(" and 0 documents to data/backup.\n"), "{commands}");

    // docs/operations.md continues with the user of the tour.
    let watch_list = blocks_of(OPERATIONS).into_iter().filter(|block| block.section == AFTER_THE_TOUR);
    let [import, remove]: [Block; 2] = watch_list.collect::<Vec<_>>().try_into().ok().unwrap();
    let imported = terminal.paste(&import.text);
    let warning = "Warning: the list does not end with the end-of-file mark 0x1A and may have been cut off.";
    assert!(imported.contains(warning) && imported.contains("try: 1 entry, 1 name, imported"), "{imported}");
    let found = paste_until(&mut terminal, "coffer screen status", " finished at ");
    assert!(found.contains(", 1 new hit, "), "{found}");
    assert_eq!(terminal.paste(&remove.text), "Removed try.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blocks_for_operators_run_as_pasted() {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    let here = |text: &str| {
        [("/etc/coffer", "etc"), ("/var/lib/coffer", "lib"), ("/var/backups/coffer", "backups")]
            .into_iter()
            .fold(text.to_owned(), |text, (ours, name)| text.replace(ours, &path(name)))
    };
    let blocks = blocks_of(OPERATIONS).into_iter();
    let (csv, blocks): (Vec<_>, Vec<_>) = blocks
        .filter(|block| block.not_run.is_none() && block.section != AFTER_THE_TOUR)
        .partition(|block| block.language == "csv");
    let [instruments, bars]: [Block; 2] = csv.try_into().ok().unwrap();
    for name in ["etc", "lib"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("instruments.csv"), &instruments.text).unwrap();
    fs::write(path("bars.csv"), &bars.text).unwrap();
    let entry =
        format!("7,\"EXAMPLE, Person\",\"individual\",\"TEST\",{}\"DOB 9 Dec 1956\"", "-0- ,".repeat(7));
    fs::write(path("sdn.csv"), format!("{entry}\n\u{1a}")).unwrap();
    fs::write(path("alt.csv"), "7,1,\"aka\",\"PERSON, Sample\",-0- \n\u{1a}").unwrap();

    let mut terminal = Terminal::open(&folder.0);
    let mut server = None;
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for block in blocks {
        let mut script = here(&block.text);
        // The health checks need a server. It is stopped before an upgrade, and restarted for a new key.
        if script.contains("/livez") {
            server = Some(start(&mut terminal).await);
        }
        if let Some(Process { url, .. }) = &server {
            script = script.replace("http://127.0.0.1:8080", url);
        }
        if block.section == "Upgrade" {
            assert_eq!(server.take().map(Process::terminate), Some(Some(0)));
        }
        seen.entry(block.section).or_default().push_str(&terminal.paste(&script));
        if script.contains("export COFFER_ENCRYPTION_KEY_PREVIOUS_FILE") {
            server = Some(start(&mut terminal).await);
        }
    }
    drop(server);
    start(&mut terminal).await;

    for (section, printed) in &seen {
        let checks = printed.lines().filter(|line| line.starts_with("FAIL") || line.starts_with("WARN"));
        assert_eq!(checks.collect::<Vec<_>>(), Vec::<&str>::new(), "{section}");
    }
    let ends = [
        ("API keys", ""),
        ("Backup and restore", "The books add up and nothing was altered.\n"),
        (
            "Market data of a sandbox",
            "Imported 2 bars of 1 symbol from 2026-07-10T13:30:00Z to 2026-07-10T13:31:00Z.\n",
        ),
        ("Production", "ok{\"status\":\"ready\"}"),
        ("Replacing the encryption key", "ok     document files: all 0 documents have their file\n"),
        ("Upgrade", "ok     document files: all 0 documents have their file\n"),
    ];
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ends.map(|(section, _)| section));
    for (section, end) in ends {
        assert!(seen[section].ends_with(end), "{section}: {}", seen[section]);
    }
    let keys = terminal.paste("coffer keys list --partner acme");
    let states: Vec<&str> = keys.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(states, ["active", "revoked", "active"], "{keys}");
    assert!(terminal.paste("coffer instruments list").starts_with(&instruments.text));
}

/// Starts a server with the settings that a terminal has exported.
async fn start(terminal: &mut Terminal) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    without_settings(&mut command);
    command.arg("serve").envs(terminal.settings()).stdin(Stdio::null()).stdout(Stdio::null());
    Process::launch(command).await
}

/// Returns the cells of all rows of all tables whose first cell contains code.
fn rows(document: &str) -> Vec<Vec<String>> {
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells = line.replace("\\|", "\u{0}");
        let cells = cells.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{0}', "|"));
        cells.collect()
    })
    .collect()
}

/// Returns the pieces of code in a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_setting_is_listed_with_its_default() {
    let help = printed(coffer("sqlite:none.db").args(["serve", "--help"]).output().unwrap());
    let mut settings = BTreeMap::new();
    for part in help.split("[env: ").skip(1) {
        let name = part.split(['=', ']']).next().unwrap();
        let rest = part.split("\n\n").next().unwrap();
        let default = rest.split("[default: ").nth(1).and_then(|rest| rest.split(']').next());
        settings.insert(name.to_owned(), default.map(str::to_owned));
    }
    let mut listed = BTreeMap::new();
    for row in rows(OPERATIONS)
        .into_iter()
        .filter(|row| row[0].contains("COFFER_") || row[0].contains("DATABASE_URL"))
    {
        for name in code(&row[0]) {
            // Tables without a column for defaults say in the text what the default is.
            let default = if row.len() == 3 { row[1].trim_matches('`').to_owned() } else { String::new() };
            assert_eq!(listed.insert(name.to_owned(), default), None, "{name} is listed twice");
        }
    }
    assert_eq!(listed.keys().collect::<Vec<_>>(), settings.keys().collect::<Vec<_>>());
    for (name, default) in settings {
        if let (Some(default), false) = (default, listed[&name].is_empty()) {
            assert_eq!(listed[&name], default, "{name}");
        }
    }
}

#[test]
fn every_command_is_listed() {
    let help = |command: &str| {
        printed(coffer("sqlite:none.db").args(command.split_whitespace()).arg("--help").output().unwrap())
    };
    let inner = |command: &str| -> Vec<String> {
        let help = help(command);
        let lines = help.split("Commands:\n").nth(1).unwrap_or_default().lines();
        let lines = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
        let names = lines.map(|line| line.split_whitespace().next().unwrap());
        names
            .filter(|name| *name != "help")
            .map(|name| format!("{command} {name}").trim().to_owned())
            .collect()
    };
    let mut commands = BTreeSet::new();
    for command in inner("") {
        let nested = inner(&command);
        commands.extend(if nested.is_empty() { vec![command] } else { nested });
    }
    let mut listed = BTreeSet::new();
    for row in rows(OPERATIONS) {
        let Some(usage) = row[0].trim_matches('`').strip_prefix("coffer ") else { continue };
        let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let name: Vec<&str> =
            usage.split(' ').take_while(|word| is_name(word) && !word.starts_with('-')).collect();
        let name = name.join(" ");
        let options = help(&name);
        for option in usage.split(['[', ']', ' ', '|']).filter(|word| word.starts_with("--")) {
            assert!(
                options.contains(&format!("{option} ")) || options.contains(&format!("{option}\n")),
                "{usage}"
            );
        }
        listed.insert(name);
    }
    assert_eq!(listed, commands);
}

#[test]
fn the_map_of_the_code_is_correct() {
    let [tree]: [Block; 1] = blocks_of(ARCHITECTURE).try_into().ok().unwrap();
    let (mut top, mut found) = (PathBuf::new(), BTreeSet::new());
    for line in tree.text.lines() {
        let indent = line.len() - line.trim_start().len();
        // Further lines of a description are indented further.
        if indent > 2 {
            continue;
        }
        let names = line.trim_start().split("  ").next().unwrap();
        for name in names.split(", ") {
            let path = if indent == 0 { PathBuf::from(name) } else { top.join(name) };
            assert!(root().join(&path).exists(), "{} does not exist", path.display());
            found.insert(path.to_str().unwrap().trim_end_matches('/').to_owned());
        }
        if indent == 0 {
            top = names.into();
        }
    }
    for area in domain::AREAS {
        let (file, folder) = (format!("domain/src/{area}.rs"), format!("domain/src/{area}"));
        assert!(found.contains(&file) || found.contains(&folder), "the map does not show {area}");
    }
}

#[test]
fn every_path_in_a_document_exists() {
    let folders = [
        "src/",
        "bench/",
        "domain/",
        "entity/",
        "migration/",
        "tests/",
        "docs/",
        "scripts/",
        "benches/",
        ".ci/",
    ];
    let mut missing = Vec::new();
    for (name, text) in all_documents() {
        for path in text.lines().filter(|line| !line.starts_with("```")).flat_map(code) {
            let is_path = folders.iter().any(|folder| path.starts_with(folder))
                && !path.contains(['<', '…', '*', ' ', '{']);
            if is_path && !root().join(path).exists() {
                missing.push(format!("{}: {path}", name.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Collects the text of all source files below a folder.
fn sources(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
}

#[test]
fn every_name_in_the_architecture_exists() {
    let mut found = BTreeMap::new();
    for folder in ["src", "domain", "entity", "macros", "migration", "tests/it"] {
        sources(&root().join(folder), &mut found);
    }
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words: BTreeSet<&str> = found.values().flat_map(|text| text.split(|it| !is_word(it))).collect();
    let mut missing = Vec::new();
    for name in ARCHITECTURE.lines().filter(|line| !line.starts_with("```")).flat_map(code) {
        let path = name.trim_end_matches("()").trim_end_matches('!');
        let is_name = path.chars().all(|it| is_word(it) || it == ':' || it == '.') && !path.ends_with('.');
        let is_file = Path::new(path).extension().is_some_and(|extension| extension == "rs");
        if is_file && !path.contains(['<', '…', '*']) {
            if !found.keys().any(|file| file.ends_with(path)) {
                missing.push(name);
            }
        } else if is_name
            && !path.contains(".json")
            && !path.rsplit([':', '.']).any(|word| words.contains(word))
        {
            missing.push(name);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
}

/// Returns the anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|character| character.is_alphanumeric() || *character == '-').collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let documents = all_documents();
    let headings: BTreeMap<PathBuf, BTreeSet<String>> = documents
        .iter()
        .map(|(path, text)| {
            let titles = text.lines().filter_map(|line| line.strip_prefix('#'));
            (path.clone(), titles.map(|line| anchor(line.trim_start_matches('#').trim())).collect())
        })
        .collect();
    let mut broken = Vec::new();
    for (path, text) in &documents {
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, it)| (file, Some(it)));
            let linked =
                if file.is_empty() { path.clone() } else { normal(&path.with_file_name("").join(file)) };
            let leads = root().join(&linked).exists()
                && heading.is_none_or(|it| headings.get(&linked).is_some_and(|known| known.contains(it)));
            if !leads {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Resolves `..` in a relative path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            assert!(normal.pop(), "{}", path.display());
        } else {
            normal.push(part);
        }
    }
    normal
}
