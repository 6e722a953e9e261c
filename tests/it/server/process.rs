//! The server process: crashes, startup errors, graceful shutdown, and readiness.

use crate::support::{
    ACCOUNT_OPEN, BANK_ACCOUNT_LINK, Customer, DEPOSIT_CREATE, Folder, ORDER_PLACE, USER_CREATE,
    cash_account, client, databases, person,
    process::{Process, coffer, create_key, run},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    net::TcpListener,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Sends a request to a server that may have ended; returns the data of the response if it is complete.
pub async fn graphql(
    client: &reqwest::Client,
    url: &str,
    key: &str,
    query: &str,
    variables: Value,
) -> Option<Value> {
    let request = client
        .post(format!("{url}/graphql"))
        .bearer_auth(key)
        .json(&json!({ "query": query, "variables": variables }));
    let answer = request.send().await.ok()?.json::<Value>().await.ok()?;
    assert!(answer.get("errors").is_none(), "{answer}");
    Some(answer["data"].clone())
}

pub async fn create(
    client: &reqwest::Client,
    url: &str,
    key: &str,
    query: &str,
    input: Value,
    mutation: &str,
    entity: &str,
) -> String {
    let data = graphql(client, url, key, query, json!({ "input": input })).await.unwrap();
    assert_eq!(data[mutation]["userErrors"], json!([]), "{data}");
    data[mutation][entity]["id"].as_str().unwrap_or_default().to_owned()
}

/// Creates a user with an account and a bank account.
pub async fn customer(client: &reqwest::Client, url: &str, key: &str) -> Customer {
    let user_id = create(client, url, key, USER_CREATE, person("Ada", "Carter"), "userCreate", "user").await;
    let account_id =
        create(client, url, key, ACCOUNT_OPEN, cash_account(&user_id), "accountOpen", "account").await;
    let bank = json!({ "userId": user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": "Checking" });
    let bank_account_id =
        create(client, url, key, BANK_ACCOUNT_LINK, bank, "bankAccountLink", "bankAccount").await;
    Customer { user_id, account_id, bank_account_id }
}

/// Advances the sandbox clock by so many days.
pub async fn advance(client: &reqwest::Client, url: &str, key: &str, days: i64) {
    let query =
        "mutation($s: Int!) { sandboxClockAdvance(input: { seconds: $s }) { userErrors { message } } }";
    let data = graphql(client, url, key, query, json!({ "s": days * 86_400 })).await.unwrap();
    assert_eq!(data["sandboxClockAdvance"]["userErrors"], json!([]), "{data}");
}

const ORDERS: usize = 200;

/// Places the orders, eight at a time; returns the ids of the acknowledged orders by their numbers.
async fn place_all(
    client: &reqwest::Client,
    url: &str,
    key: &str,
    customer: &Customer,
    acknowledged: &Arc<AtomicUsize>,
) -> HashMap<usize, String> {
    stream::iter(0..ORDERS)
        .map(|turn| {
            let input = customer.order(&format!("order-{turn}"), "BUY", "VTI", "1");
            async move {
                let data = graphql(client, url, key, ORDER_PLACE, json!({ "input": input })).await?;
                assert_eq!(data["orderPlace"]["userErrors"], json!([]), "{data}");
                acknowledged.fetch_add(1, Ordering::SeqCst);
                Some((turn, data["orderPlace"]["order"]["id"].as_str().unwrap().to_owned()))
            }
        })
        .buffer_unordered(8)
        .filter_map(async |placed| placed)
        .collect()
        .await
}

/// Returns the status of every order of the account by its id.
async fn orders(client: &reqwest::Client, url: &str, key: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut path = "/v1/orders?limit=100&status=all".to_owned();
    loop {
        let page: Value =
            client.get(format!("{url}{path}")).bearer_auth(key).send().await.unwrap().json().await.unwrap();
        let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
        for order in data {
            let text = |field: &str| order[field].as_str().unwrap().to_owned();
            assert_eq!(found.insert(text("id"), text("status")), None);
        }
        match data.last() {
            Some(last) if data.len() == 100 => {
                path = format!(
                    "/v1/orders?limit=100&status=all&starting_after={}",
                    last["id"].as_str().unwrap()
                );
            }
            _ => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_during_orders_loses_and_repeats_none() {
    for (database_url, _folder) in databases().await {
        let key = &create_key(&database_url);
        let client = &client();
        let server = Process::start(&database_url, &["serve", "--empty"]).await;
        let url = server.url.clone();
        let quote = "mutation($input: SandboxQuoteSetInput!) { sandboxQuoteSet(input: $input) { userErrors \
            { message } } }";
        let price = json!({ "amount": "10.00" });
        graphql(
            client,
            &url,
            key,
            quote,
            json!({ "input": { "symbol": "VTI", "quote": { "bid": price, "ask": price } } }),
        )
        .await
        .unwrap();
        let customer = customer(client, &url, key).await;
        create(
            client,
            &url,
            key,
            DEPOSIT_CREATE,
            customer.deposit("fund", "2060.00"),
            "depositCreate",
            "transfer",
        )
        .await;
        advance(client, &url, key, 7).await;
        let pending = create(
            client,
            &url,
            key,
            DEPOSIT_CREATE,
            customer.deposit("later", "5.00"),
            "depositCreate",
            "transfer",
        )
        .await;

        let count = Arc::new(AtomicUsize::new(0));
        let killer = {
            let count = count.clone();
            tokio::spawn(async move {
                while count.load(Ordering::SeqCst) < 90 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                server.kill();
            })
        };
        let acknowledged = place_all(client, &url, key, &customer, &count).await;
        killer.await.unwrap();
        assert!(
            (90..ORDERS).contains(&acknowledged.len()),
            "{} orders were acknowledged before the end",
            acknowledged.len()
        );

        let mut server = Process::start(&database_url, &["serve", "--empty"]).await;
        println!(
            "ready again after {:?} with {} orders acknowledged",
            server.ready_after,
            acknowledged.len()
        );
        // Retries, because an overloaded machine may stall for seconds once.
        for _ in 0..4 {
            if server.ready_after < Duration::from_secs(2) {
                break;
            }
            server.kill();
            server = Process::start(&database_url, &["serve", "--empty"]).await;
        }
        assert!(server.ready_after < Duration::from_secs(2), "ready after {:?}", server.ready_after);
        let url = server.url.clone();
        let found = orders(client, &url, key).await;
        for id in acknowledged.values() {
            assert!(found.contains_key(id), "order {id} was acknowledged but is missing");
        }
        assert!(
            found.len() <= acknowledged.len() + 8,
            "{} found, {} acknowledged",
            found.len(),
            acknowledged.len()
        );

        let again = place_all(client, &url, key, &customer, &count).await;
        assert_eq!(again.len(), ORDERS);
        for (turn, id) in &acknowledged {
            assert_eq!(&again[turn], id);
        }
        let mut all = orders(client, &url, key).await;
        for _ in 0..200 {
            if all.values().all(|status| status == "filled") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
            all = orders(client, &url, key).await;
        }
        assert_eq!(all.keys().collect::<HashSet<_>>(), again.values().collect::<HashSet<_>>());
        assert_eq!((all.len(), all.values().filter(|status| *status == "filled").count()), (ORDERS, ORDERS));

        let transfer = "query($id: ID!) { transfer(id: $id) { status } }";
        let before = graphql(client, &url, key, transfer, json!({ "id": pending })).await.unwrap();
        assert_eq!(before["transfer"]["status"], "PENDING");
        advance(client, &url, key, 7).await;
        let after = graphql(client, &url, key, transfer, json!({ "id": pending })).await.unwrap();
        assert_eq!(after["transfer"]["status"], "SETTLED");
        let balance =
            "query($id: ID!) { account(id: $id) { balance { total { amount } withdrawable { amount } } } }";
        let balance =
            graphql(client, &url, key, balance, json!({ "id": customer.account_id })).await.unwrap();
        assert_eq!(
            balance["account"]["balance"],
            json!({ "total": { "amount": "2065.00" }, "withdrawable": { "amount": "65.00" } })
        );

        assert_eq!(server.terminate(), Some(0));
        let audit = run(&database_url, &["audit"]);
        let printed = String::from_utf8(audit.stdout).unwrap();
        assert!(
            audit.status.success()
                && printed.ends_with("waiting to be sealed: 0\nThe books add up and nothing was altered.\n"),
            "{printed}"
        );
        assert!(
            printed.contains("checked fills: 200\nchecked entitlements: 0\nchecked orders: 200\n"),
            "{printed}"
        );
    }
}

/// Returns the error line of a failed start.
#[track_caller]
fn complaint(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{err}");
    assert!(err.lines().count() == 1 && !err.contains("panicked"), "{err}");
    err.trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_start_prints_one_line_with_the_reason() {
    for (database_url, folder) in databases().await {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let serve = |name: &str, value: &str| {
            coffer(&database_url).current_dir(&folder.0).env(name, value).arg("serve").output().unwrap()
        };
        assert_eq!(
            complaint(&serve("COFFER_ADDR", &address.to_string())),
            format!("coffer: cannot listen on {address} (COFFER_ADDR): Address already in use (os error 98)")
        );
        assert_eq!(
            complaint(&serve("COFFER_PAGE_MOST", "0")),
            "coffer: invalid value '0' for '--page-most <PAGE_MOST>': 0 is not in 1..=10000"
        );
        assert_eq!(
            complaint(&serve("DATABASE_URL", "mysql://x")),
            "coffer: DATABASE_URL: must begin with sqlite: or postgres://"
        );
        assert_eq!(
            complaint(&serve("COFFER_ENCRYPTION_KEY", &"08".repeat(32))),
            "coffer: the database was written with another encryption key than the one in COFFER_ENCRYPTION_KEY"
        );
        assert_eq!(
            complaint(&serve("COFFER_ENCRYPTION_KEY", "08")),
            "coffer: COFFER_ENCRYPTION_KEY: must be 64 hexadecimal digits"
        );
    }
    let wrong = |settings: &[(&str, &str)]| {
        let folder = Folder::new();
        let database = format!("sqlite:{}", folder.0.join("coffer.db").display());
        complaint(
            &coffer(&database)
                .current_dir(&folder.0)
                .envs(settings.iter().copied())
                .arg("serve")
                .output()
                .unwrap(),
        )
    };
    let smtp = ("COFFER_SMTP_URL", "smtp://coffer:secret@mail.example:587");
    let from = ("COFFER_MAIL_FROM", "Coffer <no-reply@coffer.example>");
    let (url, template) =
        (("COFFER_SMS_URL", "https://sms.example/send?key=secret"), ("COFFER_SMS_TEMPLATE", "{to}: {text}"));
    for (settings, message) in [
        (
            &[("COFFER_DOCUMENTS", "s3://documents")][..],
            "COFFER_DOCUMENTS: must be a folder; object stores such as s3://… are not supported yet",
        ),
        (&[("COFFER_ADVISORS_EMAIL", "advisors")][..], "COFFER_ADVISORS_EMAIL: must be an e-mail address"),
        (&[smtp][..], "COFFER_MAIL_FROM: must be set with COFFER_SMTP_URL"),
        (
            &[smtp, ("COFFER_MAIL_FROM", "unknown")],
            "COFFER_MAIL_FROM: must be an address such as Coffer <no-reply@coffer.example>",
        ),
        (
            &[("COFFER_SMTP_URL", "mail.example:25"), from],
            "COFFER_SMTP_URL: must be smtp://user:password@host:port or smtps://…",
        ),
        (
            &[("COFFER_SMTP_URL", "smtp://coffer:secret@mail.example?tls=opportunistic"), from],
            "COFFER_SMTP_URL: must be smtp://user:password@host:port or smtps://…",
        ),
        (&[url], "COFFER_SMS_TEMPLATE: must be set with COFFER_SMS_URL"),
        (&[("COFFER_SMS_URL", "http://sms.example/"), template], "COFFER_SMS_URL: must be https://…"),
        (&[url, template], "COFFER_SMS_TEMPLATE: must be JSON with {to} and {text} inside strings"),
        (
            &[url, ("COFFER_SMS_TEMPLATE", "{\"text\":\"{text}\"}")],
            "COFFER_SMS_TEMPLATE: must contain {to} and {text}",
        ),
        (
            &[
                url,
                template,
                ("COFFER_SMS_CONTENT_TYPE", "text/plain"),
                ("COFFER_SMS_AUTHORIZATION", "Bearer\nsecret"),
            ],
            "COFFER_SMS_AUTHORIZATION: must be a valid header value",
        ),
    ] {
        assert_eq!(wrong(settings), format!("coffer: {message}"));
    }
    let unreachable = run("postgres://127.0.0.1:1/x", &["serve"]);
    assert_eq!(complaint(&unreachable), "coffer: cannot open the database: no response within 5 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_doctor_and_graceful_shutdown_work() {
    for (database_url, folder) in databases().await {
        let created = run(&database_url, &["keys", "create"]);
        let printed = String::from_utf8(created.stdout).unwrap();
        let key = printed.strip_suffix('\n').unwrap();
        assert!(
            key.starts_with("sk_test_")
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{printed}"
        );
        assert_eq!((created.status.code(), created.stderr.as_slice()), (Some(0), &[][..]));

        let mut keys = Vec::new();
        for _ in 0..2 {
            let server = Process::start(&database_url, &["serve"]).await;
            let me = graphql(
                &client(),
                &server.url,
                key,
                "{ users(first: 5) { edges { node { firstName } } } }",
                json!({}),
            )
            .await;
            assert_eq!(me.unwrap()["users"]["edges"], json!([{ "node": { "firstName": "Ada" } }]));
            assert_eq!(server.terminate(), Some(0));
            keys.push(std::fs::read_to_string(folder.0.join("sandbox.key")).ok());
        }
        if database_url.starts_with("sqlite") {
            assert!(keys[0].as_deref().is_some_and(|key| key.starts_with("sk_test_")));
        }
        assert_eq!(keys[0], keys[1]);

        let doctor = run(&database_url, &["doctor"]);
        let printed = String::from_utf8(doctor.stdout).unwrap();
        let durable = !database_url.starts_with("postgres");
        let lines: Vec<_> = printed.lines().filter(|line| durable || !line.contains("durability")).collect();
        let expected = |line: &&str| line.starts_with("ok ") || line.starts_with("WARN   watch list: none: ");
        assert!(lines.len() >= 6 && lines.iter().all(expected), "{printed}");
        assert_eq!(doctor.status.code(), Some(i32::from(!durable)), "{printed}");
    }
}

/// After a rotation, a server that runs with the old encryption key cannot read its keys; `/readyz` reports
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_the_old_key_is_not_ready_after_a_rotation() {
    for (database_url, folder) in databases().await {
        let server = Process::start(&database_url, &["serve", "--empty"]).await;
        let new_key = folder.0.join("new.key");
        std::fs::write(&new_key, "08".repeat(32)).unwrap();
        let rotated =
            run(&database_url, &["keys", "rotate-encryption", "--new-key-file", new_key.to_str().unwrap()]);
        assert!(rotated.status.success(), "{rotated:?}");
        let client = client();
        let mut status = 200;
        for _ in 0..100 {
            status = client.get(format!("{}/readyz", server.url)).send().await.unwrap().status().as_u16();
            if status == 503 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(status, 503);
        assert_eq!(client.get(format!("{}/livez", server.url)).send().await.unwrap().status(), 200);
    }
}

/// The example of a list in docs/operations.md, and one that has the name of the demonstration customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_after_an_import_creates_the_demonstration_user() {
    let document = include_str!("../../../docs/operations.md");
    let example = document.split("<<'END'\n").nth(1).unwrap().lines().next().unwrap();
    let of_ada =
        format!("7,\"CARTER, Ada\",\"individual\",\"TEST\",{}\"DOB 23 Jan 1985\"", "-0- ,".repeat(7));
    for (list, status, holdings) in [(example, "APPROVED", 3), (of_ada.as_str(), "DOCUMENTATION_REQUIRED", 0)]
    {
        for (url, folder) in databases().await {
            assert!(run(&url, &["migrate"]).status.success());
            let file = folder.0.join("sdn.csv");
            std::fs::write(&file, format!("{list}\n\u{1a}")).unwrap();
            let imported = run(&url, &["screen", "import", file.to_str().unwrap()]);
            assert!(imported.status.success(), "{imported:?}");
            let query = "{ partner { clock { now } } users(first: 5) { edges { node { firstName status \
                accounts(first: 1) { edges { node {
                positions(first: 5) { edges { node { id } } } } } } } } } }";
            for _ in 0..2 {
                let server = Process::start(&url, &[]).await;
                let key = create_key(&url);
                let data = graphql(&client(), &server.url, &key, query, json!({})).await.unwrap();
                let people = data["users"]["edges"].as_array().unwrap();
                assert_eq!((people.len(), &people[0]["node"]["status"]), (1, &json!(status)), "{data}");
                let positions = &people[0]["node"]["accounts"]["edges"][0]["node"]["positions"]["edges"];
                assert_eq!(positions.as_array().map_or(0, Vec::len), holdings, "{data}");
                let now: chrono::DateTime<chrono::Utc> =
                    data["partner"]["clock"]["now"].as_str().unwrap().parse().unwrap();
                assert!(
                    (domain::kernel::clock::system_now() - now).abs() < chrono::Duration::minutes(1),
                    "the sandbox clock must not be behind"
                );
                assert_eq!(server.terminate(), Some(0));
            }
        }
    }
}
