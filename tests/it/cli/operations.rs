//! The command line: settings, logs, keys, partners, instruments, file modes and `coffer doctor`.

use crate::support::{
    Folder, USER_CREATE, client, databases, person,
    process::{Process, coffer, create_key, printed, run},
    smtp::{Smtp, free_port, python},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use uuid::Uuid;

fn sqlite(folder: &Folder) -> String {
    format!("sqlite:{}", folder.0.join("coffer.db").display())
}

/// Returns the error line of a command that was refused.
#[track_caller]
fn complaint(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out, err.lines().count()), (Some(1), "", 1), "{err}");
    err.trim_end().to_owned()
}

fn help_of(command: &str) -> String {
    printed(coffer("sqlite:none.db").args(command.split_whitespace()).arg("--help").output().unwrap())
}

fn options_in(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let option =
        |line: &str| line.split([' ', ',', '=']).find(|word| word.starts_with("--")).map(str::to_owned);
    lines.filter_map(option).collect()
}

/// Returns the commands that a help text lists.
fn commands_in(help: &str) -> Vec<String> {
    let listed =
        help.split("Commands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    // The second line of a description is indented further.
    let names = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_a_command_shows_its_own_options_only() {
    let database = ["--database-url", "--env", "--log", "--log-format"];
    let keys = [
        "--encryption-key",
        "--encryption-key-file",
        "--encryption-key-previous",
        "--encryption-key-previous-file",
    ];
    let with = |groups: &[&[&str]]| -> BTreeSet<String> {
        groups.concat().into_iter().chain(["--help"]).map(str::to_owned).collect()
    };
    let top = help_of("");
    let mut all = options_in(&top);
    assert!(all.remove("--version") && all.contains("--smtp-url") && all.contains("--addr"), "{all:?}");
    let serve: BTreeSet<String> = all.iter().cloned().chain(["--empty".to_owned()]).collect();
    let expected: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([
        ("serve", serve),
        ("doctor", all),
        ("migrate", with(&[&database])),
        ("schema", with(&[])),
        ("openapi", with(&[])),
        ("keys", with(&[])),
        (
            "keys create",
            with(&[
                &database,
                &keys,
                &["--partner", "--scopes", "--publishable", "--label", "--live", "--sandbox"],
            ]),
        ),
        ("keys list", with(&[&database, &keys, &["--partner"]])),
        ("keys rotate", with(&[&database, &keys, &["--expires-after-hours"]])),
        ("keys revoke", with(&[&database, &keys])),
        ("keys rotate-encryption", with(&[&database, &keys, &["--new-key-file"]])),
        ("partners", with(&[])),
        ("partners list", with(&[&database])),
        ("instruments", with(&[])),
        ("instruments import", with(&[&database, &["--built-in"]])),
        ("instruments list", with(&[&database])),
        ("market", with(&[])),
        ("market import", with(&[&database, &["--partner"]])),
        ("market seed", with(&[&database, &["--partner"]])),
        ("events", with(&[])),
        ("events export", with(&[&database, &["--partner"]])),
        ("export", with(&[])),
        ("export gains", with(&[&database, &keys, &["--partner", "--user", "--year", "--view"]])),
        ("screen", with(&[])),
        ("screen import", with(&[&database, &["--alt", "--source", "--force"]])),
        ("screen remove", with(&[&database, &["--source", "--force"]])),
        ("screen status", with(&[&database])),
        ("backup", with(&[&database, &["--documents"]])),
        ("restore", with(&[&database, &keys, &["--documents"]])),
        ("copy", with(&[&database, &keys, &["--documents", "--to"]])),
        ("audit", with(&[&database, &keys, &["--documents"]])),
    ]);
    let mut found = BTreeMap::new();
    let mut waiting = commands_in(&top);
    while let Some(command) = waiting.pop() {
        let help = help_of(&command);
        waiting.extend(commands_in(&help).into_iter().map(|inner| format!("{command} {inner}")));
        found.insert(command, options_in(&help));
    }
    let expected: BTreeMap<String, BTreeSet<String>> =
        expected.into_iter().map(|(name, options)| (name.to_owned(), options)).collect();
    assert_eq!(found, expected);
}

#[test]
fn empty_variables_are_unset_and_trailing_line_breaks_are_removed() {
    let folder = Folder::new();
    let names: Vec<String> = help_of("")
        .split("[env: ")
        .skip(1)
        .map(|rest| rest.split(['=', ']']).next().unwrap().to_owned())
        .collect();
    assert!(names.len() > 30 && names.iter().any(|name| name == "COFFER_SMTP_URL"), "{names:?}");
    let mut create = coffer("");
    create.current_dir(&folder.0).envs(names.iter().map(|name| (name, ""))).args(["keys", "create"]);
    assert!(printed(create.output().unwrap()).starts_with("sk_test_"));
    assert!(folder.0.join("data/coffer.db").is_file() && folder.0.join("data/coffer.db.key").is_file());
    let mut blank = coffer("\n");
    blank.current_dir(&folder.0).env("COFFER_ENCRYPTION_KEY", "\r\n").args(["keys", "list"]);
    assert_eq!(printed(blank.output().unwrap()).lines().count(), 1);

    let url = sqlite(&folder);
    let key = "5a".repeat(32);
    let mut create = coffer(&format!("{url}\n"));
    let settings = [("COFFER_ENCRYPTION_KEY", format!("{key}\r\n")), ("COFFER_LOG", "error\n".to_owned())];
    create.envs(settings.clone()).args(["keys", "create"]);
    assert!(printed(create.output().unwrap()).starts_with("sk_test_"));
    let list = coffer(&url).env("COFFER_ENCRYPTION_KEY", &key).args(["keys", "list"]).output().unwrap();
    assert_eq!(printed(list).lines().count(), 1);
    // The option takes precedence over the variable.
    let other = coffer(&url)
        .envs(settings.clone())
        .args(["--encryption-key", &"5b".repeat(32), "keys", "list"])
        .output()
        .unwrap();
    assert_eq!(
        complaint(&other),
        "coffer: the database was written with another encryption key than the one in COFFER_ENCRYPTION_KEY"
    );
    let help = printed(coffer(&url).envs(settings).args(["keys", "create", "--help"]).output().unwrap());
    assert!(!help.contains(&key) && help.contains("--encryption-key"), "{help}");
}

#[test]
fn an_unknown_log_level_is_refused() {
    let schema = |log: &str| coffer("sqlite:none.db").env("COFFER_LOG", log).arg("schema").output().unwrap();
    for (log, wrong) in [
        ("verbose", "verbose"),
        ("coffer=loud", "coffer=loud"),
        ("warn,chatty", "chatty"),
        ("coffer::server", "coffer::server"),
        ("debug=", "debug="),
        ("info,,", ""),
    ] {
        let error = complaint(&schema(log));
        let expected = format!(
            "coffer: COFFER_LOG: {wrong:?} is not a log level; use off, error, warn, info, debug, trace, or \
                module=level, separated by commas"
        );
        assert_eq!(error, expected);
    }
    for log in ["Debug", "off", "warn,coffer::server=debug", "warn, coffer=trace"] {
        assert!(schema(log).status.success(), "{log}");
    }
    let format = coffer("sqlite:none.db").env("COFFER_LOG_FORMAT", "xml").arg("schema").output().unwrap();
    assert!(complaint(&format).contains("invalid value 'xml' for '--log-format <LOG_FORMAT>'"));
}

/// Starts a server that logs to a file, sends three requests, and returns the log and the requests.
async fn logged(
    database_url: &str,
    folder: &Folder,
    key: &str,
    format: &str,
) -> (String, Vec<(String, String, u16, String)>) {
    let file = folder.0.join(format!("{format}.log"));
    let mut command = coffer(database_url);
    command.args(["serve", "--empty"]).env("COFFER_LOG", "debug").env("COFFER_LOG_FORMAT", format);
    command.stdout(Stdio::null()).stderr(fs::File::create(&file).unwrap());
    let server = Process::launch(command).await;
    let client = client();
    let mut answered = Vec::new();
    let id_of =
        |response: &reqwest::Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let graphql = client
        .post(format!("{}/graphql", server.url))
        .bearer_auth(key)
        .json(&json!({ "query": "{ __typename }" }));
    let graphql = graphql.send().await.unwrap();
    answered.push(("POST".to_owned(), "/graphql".to_owned(), 200, id_of(&graphql)));
    let order =
        client.get(format!("{}/v1/orders/planted-7f3c", server.url)).bearer_auth(key).send().await.unwrap();
    answered.push(("GET".to_owned(), "/v1/orders/{id}".to_owned(), 404, id_of(&order)));
    let anonymous = client.get(format!("{}/v1/orders", server.url)).send().await.unwrap();
    answered.push(("GET".to_owned(), "/v1/orders".to_owned(), 401, id_of(&anonymous)));
    assert_eq!(server.terminate(), Some(0));
    (fs::read_to_string(file).unwrap(), answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_has_one_line_per_request_as_plain_text_or_json() {
    for (database_url, folder) in databases().await {
        let key = create_key(&database_url);
        let partner = {
            let db = domain::kernel::db::Db::open(&database_url).await.unwrap();
            domain::access::partners::all(&db.read).await.unwrap()[0].id.to_string()
        };
        let (text, _) = logged(&database_url, &folder, &key, "text").await;
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!text.contains("already exists"), "{text}");
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("answered") && !line.contains("/readyz")).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].contains("DEBUG")
                && lines[0].contains("route=\"/graphql\"")
                && lines[0].contains("status=200"),
            "{text}"
        );

        let (text, answered) = logged(&database_url, &folder, &key, "json").await;
        assert!(!text.contains("planted-7f3c") && !text.contains(&key), "{text}");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .collect();
        let access = lines
            .iter()
            .filter(|line| line["fields"]["message"] == "answered" && line["span"]["route"] != "/readyz");
        let access: Vec<&Value> = access.collect();
        assert_eq!(access.len(), 3, "{text}");
        for (line, (method, route, status, id)) in access.iter().zip(answered) {
            let (span, fields) = (&line["span"], &line["fields"]);
            assert_eq!((&line["level"], &fields["status"]), (&json!("DEBUG"), &json!(status)));
            assert_eq!(
                (&span["method"], &span["route"], &span["id"]),
                (&json!(method), &json!(route), &json!(id))
            );
            assert_eq!(span.get("partner"), (status != 401).then(|| json!(partner)).as_ref(), "{line}");
            assert!(fields["milliseconds"].is_u64(), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_without_changes_logs_nothing_about_existing_tables() {
    for (database_url, _folder) in databases().await {
        for _ in 0..2 {
            let migrated = coffer(&database_url).env("COFFER_LOG", "info").arg("migrate").output().unwrap();
            let log = String::from_utf8_lossy(&migrated.stderr);
            assert!(migrated.status.success() && !log.contains("already exists"), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_the_database_once() {
    for (database_url, _folder) in databases().await {
        let start =
            || coffer(&database_url).arg("migrate").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let started: Vec<Child> = (0..4).map(|_| start().unwrap()).collect();
        for process in started {
            let output = process.wait_with_output().unwrap();
            assert_eq!(printed(output), "The database schema is up to date.\n");
        }
        assert!(printed(run(&database_url, &["audit"])).contains("The books add up"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_a_new_key_needs_a_partner_with_a_mode() {
    for (database_url, _folder) in databases().await {
        let production = |arguments: &[&str]| {
            coffer(&database_url).env("COFFER_ENV", "production").args(arguments).output().unwrap()
        };
        printed(production(&["migrate"]));
        assert_eq!(printed(production(&["partners", "list"])), "There are no partners.\n");
        for command in ["create", "list"] {
            assert_eq!(
                complaint(&production(&["keys", command])),
                "coffer: --partner: must be given in production"
            );
        }
        assert!(
            printed(production(&["keys", "create", "--partner", "acme", "--live"])).starts_with("sk_live_")
        );
        assert!(printed(production(&["keys", "create", "--partner", "acme"])).starts_with("sk_live_"));
        assert_eq!(
            complaint(&production(&["keys", "create", "--partner", "trial"])),
            "coffer: cannot issue a key: The partner was not found. Use --live or --sandbox to create it."
        );
        assert!(
            printed(production(&["keys", "create", "--partner", "trial", "--sandbox"]))
                .starts_with("sk_test_")
        );
        assert!(printed(production(&["keys", "create", "--partner", "trial"])).starts_with("sk_test_"));
        assert_eq!(
            complaint(&production(&["keys", "revoke", "sk_live_nothing"])),
            "coffer: cannot revoke the key: The key was not found. Use the first column of `coffer keys \
                list`, such as sk_test_6Wkft9kc."
        );
        assert_eq!(
            complaint(&production(&["keys", "create", "--partner", "trial", "--live"])),
            "coffer: cannot issue a key: The partner \"trial\" already exists and its mode is not Live."
        );
        let keys = printed(production(&["keys", "list", "--partner", "acme"]));
        let states: Vec<&str> = keys.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(states, ["active", "active"]);
        let listed = printed(production(&["partners", "list"]));
        let listed: Vec<Vec<&str>> = listed.lines().map(|line| line.split("  ").collect()).collect();
        assert!(listed.iter().all(|line| line[1].parse::<Uuid>().is_ok()), "{listed:?}");
        let without_date: Vec<[&str; 4]> =
            listed.iter().map(|line| [line[0], line[2], line[3], line[5]]).collect();
        assert_eq!(
            without_date,
            [
                ["acme", "live", "nyse", "active keys: 2"],
                ["trial", "sandbox", "always open", "active keys: 2"]
            ]
        );
    }
}

#[test]
fn production_refuses_a_zero_key_a_readable_key_file_and_a_wide_proxy_range() {
    let folder = Folder::new();
    let url = sqlite(&folder);
    printed(run(&url, &["migrate"]));
    let serve = |settings: &[(&str, &str)]| {
        let mut command = coffer(&url);
        command
            .env("COFFER_ENV", "production")
            .env("COFFER_TRUSTED_PROXY", "127.0.0.1")
            .envs(settings.iter().copied());
        complaint(&command.arg("serve").output().unwrap())
    };
    let zeros = "00".repeat(32);
    let all_zeros = "is all zeros; create a key with `openssl rand -hex 32`";
    assert_eq!(
        serve(&[("COFFER_ENCRYPTION_KEY", &zeros)]),
        format!("coffer: COFFER_ENCRYPTION_KEY: {all_zeros}")
    );
    for proxies in ["0.0.0.0/0", "::/0", "127.0.0.1,0.0.0.0/0", "128.0.0.0/1"] {
        assert_eq!(
            serve(&[("COFFER_TRUSTED_PROXY", proxies)]),
            "coffer: COFFER_TRUSTED_PROXY: must not contain a network wider than /8 (IPv6: /7); \
             list the addresses of the proxies"
        );
    }
    let every_address = [
        ("COFFER_ADDR", "0.0.0.0:0"),
        ("COFFER_TRUSTED_PROXY", ""),
        ("COFFER_TLS_CERT", "no.pem"),
        ("COFFER_TLS_KEY", "no.key"),
    ];
    assert_eq!(
        serve(&every_address),
        "coffer: COFFER_PUBLIC_URL: must be set if the server listens on every address, because links need \
         a host"
    );
    let file = folder.0.join("coffer.key");
    fs::write(&file, "07".repeat(32)).unwrap();
    let with_mode = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = coffer(&url);
        command
            .env("COFFER_ENV", "production")
            .env_remove("COFFER_ENCRYPTION_KEY")
            .env("COFFER_ENCRYPTION_KEY_FILE", &file);
        command.args(["keys", "create", "--partner", "acme", "--sandbox"]).output().unwrap()
    };
    for mode in [0o644, 0o604, 0o622] {
        let open = format!("coffer: {}: other users can read this key; run chmod 600", file.display());
        assert_eq!(complaint(&with_mode(mode)), open);
    }
    assert!(printed(with_mode(0o600)).starts_with("sk_test_"));
    let rotate = |key: &str| {
        fs::write(folder.0.join("new.key"), key).unwrap();
        fs::set_permissions(folder.0.join("new.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = coffer(&url);
        command
            .env("COFFER_ENV", "production")
            .args(["keys", "rotate-encryption", "--new-key-file"])
            .arg(folder.0.join("new.key"));
        command.output().unwrap()
    };
    assert_eq!(complaint(&rotate(&zeros)), format!("coffer: --new-key-file: {all_zeros}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instruments_are_imported_whole_or_not_at_all() {
    for (database_url, folder) in databases().await {
        let production = |arguments: &[&str]| {
            coffer(&database_url).env("COFFER_ENV", "production").args(arguments).output().unwrap()
        };
        printed(production(&["migrate"]));
        let header = "symbol,name,exchange,asset_class,base_price\n";
        assert_eq!(printed(production(&["instruments", "list"])), header);
        let built_in = printed(production(&["instruments", "import", "--built-in"]));
        assert!(
            built_in.starts_with("added: 34 (AAPL, AMZN, ")
                && built_in.ends_with(")\nchanged: 0\nunchanged: 0\n"),
            "{built_in}"
        );
        assert_eq!(
            printed(production(&["instruments", "import", "--built-in"])),
            "added: 0\nchanged: 0\nunchanged: 34\n"
        );

        let file = folder.0.join("instruments.csv");
        let import = |text: &str| {
            fs::write(&file, text).unwrap();
            production(&["instruments", "import", file.to_str().unwrap()])
        };
        let before = printed(production(&["instruments", "list"]));
        for (text, wrong) in [
            (String::new(), "line 1: must be symbol,name,exchange,asset_class,base_price"),
            ("symbol,name\nX,Y\n".to_owned(), "line 1: must be symbol,name,exchange,asset_class,base_price"),
            (header.to_owned(), "has no instruments"),
            (format!("{header}IBM,IBM,NYSE,us_equity,200\nX,Y,Z\n"), "line 3: must have 5 values in UTF-8"),
            (
                format!("{header}IBM,IBM,NYSE,us_equity,200\nibm,IBM,NYSE,us_equity,200\n"),
                "line 3: symbol must have 1 to 20 capital letters, digits, dots, hyphens or slashes",
            ),
            (
                format!("{header}IBM,IBM,NYSE,us_equity,200\nIBM,IBM,NYSE,us_equity,1\n"),
                "line 3: symbol appears in an earlier line",
            ),
            (
                format!("{header}IBM,,NYSE,us_equity,200\n"),
                "line 2: name must have 1 to 100 printable characters",
            ),
            (format!("{header}IBM,IBM,NYSE,crypto,200\n"), "line 2: asset_class must be us_equity"),
            (
                format!("{header}IBM,IBM,NYSE,us_equity,0\n"),
                "line 2: base_price must be a price from 0.0001 to 1000000, with at most 4 decimals",
            ),
            (
                format!("{header}IBM,,NYSE,us_equity,200\nKO,KO,NYSE,us_equity,60\nX,X,NYSE,crypto,1\n"),
                "line 2: name must have 1 to 100 printable characters; line 4: asset_class must be us_equity",
            ),
        ] {
            assert_eq!(
                complaint(&import(&text)),
                format!("coffer: {}: {wrong}; nothing was imported", file.display())
            );
        }
        assert_eq!(printed(production(&["instruments", "list"])), before);

        let text = "base_price,symbol,name,exchange,asset_class\n\
            200.5,IBM,International Business Machines Corporation,NYSE,us_equity\n\
            285,VTI,\"Vanguard Total Stock Market ETF, renamed\",NYSE ARCA,us_equity\n\
            68.00,KO,The Coca-Cola Company,NYSE,us_equity\n";
        assert_eq!(printed(import(text)), "added: 1 (IBM)\nchanged: 1 (VTI)\nunchanged: 1\n");
        let after = printed(production(&["instruments", "list"]));
        let lines: Vec<&str> = after.lines().collect();
        assert_eq!(
            (lines.len(), lines[1]),
            (36, "IBM,International Business Machines Corporation,NYSE,us_equity,200.50")
        );
        assert!(
            lines.contains(&"VTI,\"Vanguard Total Stock Market ETF, renamed\",NYSE ARCA,us_equity,285.00"),
            "{after}"
        );
        assert_eq!(printed(import(&after)), "added: 0\nchanged: 0\nunchanged: 35\n");
    }
}

/// Collects every file and folder below a folder with its mode.
fn modes_under(folder: &Path, found: &mut BTreeMap<String, u32>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.insert(path.display().to_string(), path.metadata().unwrap().permissions().mode() & 0o777);
        if path.is_dir() {
            modes_under(&path, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_server_are_private_with_any_umask() {
    let folder = Folder::new();
    let site = folder.0.join("site");
    let mut inner = coffer(&format!("sqlite:{}", site.join("coffer.db").display()));
    inner.env_remove("COFFER_ENCRYPTION_KEY");
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$0\" serve"])
        .arg(inner.get_program())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let server = Process::launch(command).await;
    let key = fs::read_to_string(site.join("sandbox.key")).unwrap();
    let client = client();
    let create = json!({ "query": USER_CREATE, "variables": { "input": person("Rita", "Review") } });
    let created: Value = client
        .post(format!("{}/graphql", server.url))
        .bearer_auth(key.trim())
        .json(&create)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = created["data"]["userCreate"]["user"]["kyc"]["token"].as_str().unwrap();
    let document = crate::compliance::kyc_documents::documented(b"%PDF-1.7\n%%EOF\n");
    let sent = client
        .post(format!("{}/v1/kyc/{token}/documents", server.url))
        .bearer_auth(key.trim())
        .json(&document)
        .send();
    assert_eq!(sent.await.unwrap().status(), 200);

    let mut found = BTreeMap::new();
    modes_under(&folder.0, &mut found);
    for name in ["coffer.db", "coffer.db-wal", "coffer.db-shm", "coffer.db.key", "sandbox.key"] {
        assert_eq!(found.get(&site.join(name).display().to_string()), Some(&0o600), "{found:?}");
    }
    let documents = site.join("documents").display().to_string();
    assert_eq!(found.keys().filter(|path| path.starts_with(&documents)).count(), 3, "{found:?}");
    for (path, mode) in &found {
        assert_eq!(*mode, if Path::new(path).is_dir() { 0o700 } else { 0o600 }, "{path} {found:?}");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_reports_every_part_of_the_installation() {
    let folder = Folder::new();
    let url = sqlite(&folder);
    let key = create_key(&url);
    let doctor = |settings: &[(&str, &str)]| {
        let output = coffer(&url).envs(settings.iter().copied()).arg("doctor").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let line_of = |what: &str, settings: &[(&str, &str)]| {
        let (code, printed) = doctor(settings);
        let line = printed
            .lines()
            .find(|line| line.get(7..).is_some_and(|rest| rest.starts_with(&format!("{what}: "))));
        (code, line.unwrap_or_else(|| panic!("{printed}")).to_owned())
    };
    let documents = folder.0.join("documents");
    let expected = [
        "ok     settings: development".to_owned(),
        "ok     transport: plain HTTP".to_owned(),
        "ok     public URL: links use the address that the server listens on".to_owned(),
        "ok     encryption key: can be read".to_owned(),
        format!("ok     documents: are stored in {}", documents.display()),
        "ok     file modes: only the owner can read the database, keys and documents".to_owned(),
        "ok     mail: not configured for live partners (COFFER_SMTP_URL)".to_owned(),
        "ok     text messages: not configured for live partners (COFFER_SMS_URL)".to_owned(),
        "ok     identity checks: not configured for live partners: their users stay pending (COFFER_IDENTITY)"
            .to_owned(),
        "ok     database: SQLite responds".to_owned(),
        "ok     schema: is up to date".to_owned(),
        "ok     durability: commits reach the disk".to_owned(),
        "ok     database keys: match the encryption key".to_owned(),
        "ok     default partner: sandbox, a sandbox".to_owned(),
        "ok     API keys: 1 active".to_owned(),
        "WARN   instruments: none: nothing can be traded; run `coffer instruments import`".to_owned(),
        "WARN   watch list: none: users are not screened; run `coffer screen import`".to_owned(),
        "ok     books: add up".to_owned(),
        "ok     document files: all 0 documents have their file".to_owned(),
    ];
    let (code, printed_lines) = doctor(&[]);
    assert_eq!(
        (code, printed_lines.lines().map(str::to_owned).collect::<Vec<_>>()),
        (Some(0), expected.to_vec())
    );
    let is = |code: i32, line: &str| (Some(code), line.to_owned());

    printed(run(&url, &["instruments", "import", "--built-in"]));
    assert_eq!(line_of("instruments", &[]), is(0, "ok     instruments: can be traded"));
    assert_eq!(
        line_of("public URL", &[("COFFER_ADDR", "0.0.0.0:8080")]),
        is(
            0,
            "WARN   public URL: links point to localhost, which other machines cannot reach (COFFER_PUBLIC_URL)"
        )
    );
    let proxy = ("COFFER_TRUSTED_PROXY", "127.0.0.1");
    assert_eq!(
        line_of("public URL", &[proxy]),
        is(
            0,
            "WARN   public URL: links use the host that the proxy sends in X-Forwarded-Host, \
             else the address that the server listens on (COFFER_PUBLIC_URL)"
        )
    );
    assert_eq!(
        line_of("public URL", &[proxy, ("COFFER_PUBLIC_URL", "https://api.example.com/")]),
        is(0, "ok     public URL: https://api.example.com")
    );
    assert_eq!(
        line_of("default partner", &[("COFFER_DEFAULT_PARTNER", "acme")]),
        is(
            0,
            "WARN   default partner: no partner is named acme: users cannot sign up or in without a \
                partner's key (COFFER_DEFAULT_PARTNER)"
        )
    );
    printed(run(&url, &["keys", "rotate", &key[8..16], "--expires-after-hours", "24"]));
    let (code, keys) = line_of("API keys", &[]);
    let soon = format!("WARN   API keys: 2 active; expiring within 30 days: {} on ", &key[8..16]);
    assert!(code == Some(0) && keys.starts_with(&soon), "{keys}");
    assert_eq!(
        line_of("identity checks", &[("COFFER_IDENTITY", "built-in")]),
        is(0, "ok     identity checks: built-in for live partners")
    );
    let sms = [
        ("COFFER_SMS_URL", "https://sms.example/send"),
        ("COFFER_SMS_TEMPLATE", r#"{"to":"{to}","body":"{text}"}"#),
    ];
    assert_eq!(
        line_of("text messages", &sms),
        is(0, "ok     text messages: the settings of the SMS gateway are well-formed")
    );

    let database = folder.0.join("coffer.db");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let wide = format!("WARN   file modes: other users can read {}; run chmod go=", database.display());
    assert_eq!(line_of("file modes", &[]), is(0, &wide));
    let beneath_a_file = database.join("documents");
    let (code, unwritable) = line_of("documents", &[("COFFER_DOCUMENTS", beneath_a_file.to_str().unwrap())]);
    assert!(code == Some(1) && unwritable.starts_with("FAILED documents: "), "{unwritable}");

    let port = free_port();
    let mail = format!("smtp://127.0.0.1:{port}");
    let mail = [("COFFER_SMTP_URL", mail.as_str()), ("COFFER_MAIL_FROM", "no-reply@coffer.example")];
    assert_eq!(line_of("mail", &mail), is(0, "WARN   mail: the mail server cannot be reached"));
    if python().is_some() {
        let server = Smtp::start("127.0.0.1", port, false);
        assert_eq!(line_of("mail", &mail), is(0, "ok     mail: the mail server responds"));
        drop(server);
    }
}
