//! Encryption at rest: ciphertexts are bound to their column and row, each partner has a data key, and the
//! encryption key can be rotated.

use crate::support::{
    TestApp, cash_account, databases, on_both, person, postgres_database,
    process::{Process, coffer, create_key, run},
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use domain::kernel::{
    clock,
    db::Db,
    ids::Ids,
    rotation::{self, Rotated},
    secrets::{AssociatedData, Secret, Vault, hmac_sha256, version_of},
};
use entity::{
    Kind, api_key, bank_account,
    data_key::{self, Purpose},
    kyc, message, partner,
    user::{self, Status},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, Statement,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;
use uuid::Uuid;

const PHONES: &str = "{ users(first: 100) { edges { node { id phoneLast4 } } } }";

on_both! {
    async fn a_ciphertext_moved_to_another_user_cannot_be_decrypted(app: TestApp) {
        let mut ids = Vec::new();
        for (name, phone) in [("Ada", "2025550123"), ("Bea", "2025550145")] {
            let mut input = person(name, "Carter");
            input["phone"] = json!(phone);
            let user = app.gql(crate::support::USER_CREATE, json!({ "input": input })).await;
            ids.push(user.entity("userCreate", "user")["id"].as_str().unwrap().to_owned());
        }
        let db = app.app.db.for_migrations();
        let mut people = user::Entity::find().all(db).await.unwrap();
        assert_eq!(people.len(), 2);
        let sealed = [people[1].phone.clone(), people[0].phone.clone()];
        for (person, phone) in people.drain(..).zip(sealed) {
            let mut row: user::ActiveModel = person.into();
            row.phone = Set(phone);
            row.update(db).await.unwrap();
        }
        let answer = app.gql(PHONES, json!({})).await;
        for edge in answer.body["data"]["users"]["edges"].as_array().unwrap() {
            assert_eq!(edge["node"]["phoneLast4"], Value::Null);
        }
        assert_eq!(answer.error_code(), "INTERNAL_SERVER_ERROR");
        for id in ids {
            let read = app.get(&format!("/v1/users/{id}")).await;
            let problem =
                json!({ "error": { "type": "api_error", "message": "Something went wrong on our side." } });
            assert_eq!((read.status, &read.body), (500, &problem));
        }
        for part in ["5550123", "5550145", "0123", "0145", "users.phone"] {
            assert!(!answer.body.to_string().contains(part), "{}", answer.body);
        }
    }

    async fn each_partner_has_a_separate_data_key(app: TestApp) {
        app.other_partner("other").await;
        let rows = data_key::Entity::find()
            .order_by_asc(data_key::Column::Id)
            .all(app.app.db.for_migrations())
            .await
            .unwrap();
        let of = |partner: Option<Uuid>| {
            rows.iter()
                .filter(|row| row.partner_id == partner)
                .map(|row| (row.purpose, row.number))
                .collect::<Vec<_>>()
        };
        // Number 2 of the index key marks that the chain heads are signed.
        let server_keys = [
            (Purpose::Index, 2),
            (Purpose::Pepper, 1),
            (Purpose::Fingerprint, 1),
            (Purpose::Tokens, 1),
            (Purpose::Passcodes, 1),
        ];
        assert_eq!(of(None), server_keys);
        let partners = partner::Entity::find().all(app.app.db.for_migrations()).await.unwrap();
        assert_eq!(partners.len(), 2);
        for partner in partners {
            assert_eq!(of(Some(partner.id)), [(Purpose::Data, 1)]);
        }
        assert!(rows.iter().all(|row| row.kek == app.app.vault.check() && row.retired_at.is_none()));
        let distinct: BTreeSet<&[u8]> = rows.iter().map(|row| row.wrapped.as_slice()).collect();
        assert_eq!(distinct.len(), 7);
        let vault = &app.app.vault;
        assert_ne!(vault.passcode_mac(b"123456"), vault.key_verifier("123456"));
        assert_ne!(vault.token_key().reveal(), &[0; 32]);
    }

    async fn servers_that_start_at_the_same_time_agree_on_their_keys(app: TestApp) {
        let db = &app.app.db;
        db.for_migrations().execute_unprepared("DELETE FROM data_key").await.unwrap();
        db.for_migrations().execute_unprepared("DELETE FROM meta").await.unwrap();
        let unlock = || async {
            let db = Db::open(&app.database_url).await.unwrap();
            Vault::unlock(&db, &Secret::new([7; 32]), None).await.unwrap().unwrap()
        };
        let (a, b, c, d) = tokio::join!(unlock(), unlock(), unlock(), unlock());
        let location =
            AssociatedData { column: "users.ssn", row: Uuid::from_u128(1), partner: app.partner.id };
        let sealed = a.seal(location, b"123456789").unwrap();
        for other in [b, c, d] {
            assert_eq!(other.open(location, &sealed).unwrap().reveal(), b"123456789");
            assert_eq!(other.key_verifier("key"), a.key_verifier("key"));
            assert_eq!(
                other.blind_index("users.ssn", app.partner.id, "1"),
                a.blind_index("users.ssn", app.partner.id, "1")
            );
            assert_eq!(other.token_key().reveal(), a.token_key().reveal());
        }
        let new = Ids.next(Kind::Partner);
        let row = partner::Model { id: new, name: "new".to_owned(), ..app.partner.clone() };
        partner::ActiveModel::from(row).reset_all().insert(db.for_migrations()).await.unwrap();
        let vaults = (unlock().await, unlock().await);
        tokio::try_join!(vaults.0.ready_for(db, new), vaults.1.ready_for(db, new)).unwrap();
        let location = AssociatedData { partner: new, ..location };
        assert_eq!(vaults.0.open(location, &vaults.1.seal(location, b"x").unwrap()).unwrap().reveal(), b"x");
    }
}

/// Binary columns without encrypted values: digests, verifiers, blind indexes and wrapped keys.
const NOT_SEALED: &[(&str, &str)] = &[
    ("api_key", "verifier"),
    ("audit_log", "hash"),
    ("chain_head", "hash"),
    ("chain_head", "mac"),
    ("data_key", "wrapped"),
    ("event", "digest"),
    ("event", "hash"),
    ("idempotency", "fingerprint"),
    ("kyc", "ssn_index"),
    ("ledger_transfer", "digest"),
    ("limit_use", "key"),
    ("message", "recipient_index"),
    ("passcode", "mac"),
    ("passcode", "phone_index"),
    ("recovery", "verifier"),
    ("screening_exception", "subject"),
    ("second_factor", "phone_index"),
    ("users", "ssn_index"),
    ("watch_list", "digest"),
];

#[tokio::test]
async fn a_rotation_covers_every_encrypted_column() {
    let Some(url) = postgres_database().await else { return };
    let db = Db::open(&url).await.unwrap();
    let text = "SELECT table_name::text AS in_table, column_name::text AS named \
        FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'bytea'";
    let rows = db.read.query_all_raw(Statement::from_string(DbBackend::Postgres, text)).await.unwrap();
    let text = |row: &QueryResult, name| row.try_get::<String>("", name).unwrap();
    let found: BTreeSet<(String, String)> =
        rows.iter().map(|row| (text(row, "in_table"), text(row, "named"))).collect();
    let known = rotation::sealed_columns().chain(NOT_SEALED.iter().copied());
    assert_eq!(found, known.map(|(table, column)| (table.to_owned(), column.to_owned())).collect());
}

on_both! {
    async fn a_server_with_only_the_old_key_is_detected(app: TestApp) {
        let (db, old) = (&app.app.db, &app.app.vault);
        let vault = Vault::unlock(db, &Secret::new(NEW), Some(&Secret::new(OLD))).await.unwrap().unwrap();
        let row =
            partner::Model { id: Ids.next(Kind::Partner), name: "late".to_owned(), ..app.partner.clone() };
        let late = partner::ActiveModel::from(row).reset_all().insert(db.for_migrations()).await.unwrap();
        let mut interfere = |progress: rotation::Progress| {
            if progress.what == "users.phone" {
                tokio::task::block_in_place(|| Handle::current().block_on(old.ready_for(db, late.id)))
                    .unwrap();
            }
        };
        let error = rotation::run(db, &vault, &mut interfere).await.unwrap_err();
        assert_eq!(error.cause(), "a server with only the old encryption key has created a key; stop it");
        assert!(!Vault::fits(db, &Secret::new(NEW), None).await.unwrap());
        let again = Vault::unlock(db, &Secret::new(NEW), Some(&Secret::new(OLD))).await.unwrap().unwrap();
        let rotated = rotation::run(db, &again, &mut |_| ()).await.unwrap();
        assert_eq!(
            rotated,
            Rotated { keys_made: 1, keys_wrapped: 1, values_sealed: 0, unreadable: Vec::new() }
        );
        assert!(Vault::fits(db, &Secret::new(NEW), None).await.unwrap());
        assert!(!Vault::fits(db, &Secret::new(OLD), None).await.unwrap());
    }
}

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [8; 32];
/// Error of every command with a key that does not fit the database.
const OTHER_KEY: &str =
    "the database was written with another encryption key than the one in COFFER_ENCRYPTION_KEY";

fn hex(key: [u8; 32]) -> String {
    hex::encode(key)
}

/// Returns a command for the binary with this encryption key and this previous one.
fn with_keys(database_url: &str, key: [u8; 32], previous: Option<[u8; 32]>) -> Command {
    let mut command = coffer(database_url);
    command.env("COFFER_ENCRYPTION_KEY", hex(key));
    if let Some(previous) = previous {
        command.env("COFFER_ENCRYPTION_KEY_PREVIOUS", hex(previous));
    }
    command
}

async fn serve(database_url: &str, key: [u8; 32], previous: Option<[u8; 32]>) -> Process {
    let mut command = with_keys(database_url, key, previous);
    command.args(["serve", "--empty"]).stdout(Stdio::null());
    Process::launch(command).await
}

fn rotate(database_url: &str) -> Command {
    let mut command = with_keys(database_url, NEW, Some(OLD));
    command.args(["keys", "rotate-encryption"]);
    command
}

/// A client of a running server.
#[derive(Clone)]
struct Caller {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Caller {
    fn new(server: &Process, key: &str) -> Self {
        Self { client: reqwest::Client::new(), url: server.url.clone(), key: key.to_owned() }
    }

    async fn rest(
        &self,
        method: &str,
        path: &str,
        idempotency_key: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        let request = if idempotency_key.is_empty() {
            request
        } else {
            request.header("idempotency-key", idempotency_key)
        };
        let response = match body {
            Some(body) => request.json(&body),
            None => request,
        }
        .send()
        .await
        .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn gql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let (status, answer) = self.rest("POST", "/graphql", "", Some(body)).await;
        assert!(status == 200 && answer.get("errors").is_none(), "{status} {answer}");
        answer["data"].clone()
    }

    /// Registers a user and returns their id and the tags of their check; all users have the same social
    /// security number.
    async fn register(&self, name: &str) -> (String, Value) {
        let data = self.gql(crate::support::USER_CREATE, json!({ "input": person(name, "Carter") })).await;
        assert_eq!(data["userCreate"]["userErrors"], json!([]), "{data}");
        let user = &data["userCreate"]["user"];
        (user["id"].as_str().unwrap().to_owned(), user["kyc"]["tags"].clone())
    }

    async fn phone(&self, user_id: &str) -> Value {
        let (status, user) = self.rest("GET", &format!("/v1/users/{user_id}"), "", None).await;
        assert_eq!(status, 200, "{user}");
        user["phone_number"].clone()
    }

    /// Links the bank account, or repeats the same request.
    async fn link(&self, user_id: &str) -> Value {
        let bank = json!({ "bank_account_number": "4327843043", "bank_routing_number": "121042882",
            "bank_account_nickname": "Joe checking" });
        let (status, answer) =
            self.rest("POST", &format!("/v1/users/{user_id}/bank_accounts"), "link-1", Some(bank)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// Data in a database before its encryption key is rotated.
struct Before {
    key: String,
    ada: String,
    linked: Value,
}

/// Creates a user with a bank account through the API, and many others directly in the database.
async fn populate(database_url: &str, others: u32) -> Before {
    let key = create_key(database_url);
    let server = serve(database_url, OLD, None).await;
    let caller = Caller::new(&server, &key);
    let (ada, tags) = caller.register("Ada").await;
    assert_eq!(tags, json!(["Address Match", "Phone Match"]));
    caller.gql(crate::support::ACCOUNT_OPEN, json!({ "input": cash_account(&ada) })).await;
    let linked = caller.link(&ada).await;
    assert_eq!(linked["bank_account_number"], "4327843043");
    assert_eq!(server.terminate(), Some(0));

    let db = Db::open(database_url).await.unwrap();
    let vault = Vault::unlock(&db, &Secret::new(OLD), None).await.unwrap().unwrap();
    let partner_id = user::Entity::find().one(&db.read).await.unwrap().unwrap().partner_id;
    let seal = |column, row, text: &str| {
        Some(vault.seal(AssociatedData { column, row, partner: partner_id }, text.as_bytes()).unwrap())
    };
    let rows = (0..others).map(|_| {
        let id = Ids.next(Kind::User);
        user::ActiveModel::from(user::Model {
            id,
            partner_id,
            status: Status::Pending,
            first_name: "Other".to_owned(),
            last_name: "Person".to_owned(),
            email: "other@example.com".to_owned(),
            phone: seal("users.phone", id, "2025550111"),
            ssn: seal("users.ssn", id, "987654321"),
            ssn_index: None,
            birth_date: seal("users.birth_date", id, "1990-12-31"),
            address_line_1: None,
            address_line_2: None,
            address_city: None,
            address_state: None,
            address_postal_code: None,
            address_country_code: None,
            gender: None,
            invitation_id: None,
            created_at: clock::system_now(),
        })
        .reset_all()
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        user::Entity::insert_many(rows).exec_without_returning(db.for_migrations()).await.unwrap();
    }
    let id = Ids.next(Kind::Message);
    let sealed = |column, text: &str| {
        vault.seal(AssociatedData { column, row: id, partner: partner_id }, text.as_bytes()).unwrap()
    };
    let mail = message::Model {
        id,
        partner_id,
        user_id: None,
        channel: message::Channel::Mail,
        purpose: message::Purpose::Invitation,
        recipient: sealed("message.recipient", "ada@example.com"),
        recipient_index: None,
        subject: sealed("message.subject", "Welcome"),
        body: sealed("message.body", "Come in"),
        status: message::Status::Outbox,
        attempts: 0,
        send_by: None,
        created_at: clock::system_now(),
        sent_at: None,
        kept_until: None,
    };
    message::ActiveModel::from(mail).reset_all().insert(db.for_migrations()).await.unwrap();
    Before { key, ada, linked }
}

/// Decrypts every value except stored responses, and returns the key versions that they are encrypted with.
async fn versions(database_url: &str, key: [u8; 32], previous: Option<[u8; 32]>) -> BTreeSet<Option<u32>> {
    let db = Db::open(database_url).await.unwrap();
    let previous = previous.map(Secret::new);
    let vault = Vault::unlock(&db, &Secret::new(key), previous.as_ref()).await.unwrap().unwrap();
    let mut found = BTreeSet::new();
    let mut decrypt = |column, row, partner, sealed: &[u8], right: &[&str]| {
        let text = vault.open_text(AssociatedData { column, row, partner }, sealed).unwrap();
        assert!(right.contains(&text.reveal().as_str()), "{column}");
        found.insert(version_of(sealed));
    };
    for user in user::Entity::find().all(&db.read).await.unwrap() {
        decrypt("users.phone", user.id, user.partner_id, &user.phone.unwrap(), &["2025550107", "2025550111"]);
        decrypt("users.ssn", user.id, user.partner_id, &user.ssn.unwrap(), &["123456789", "987654321"]);
        decrypt(
            "users.birth_date",
            user.id,
            user.partner_id,
            &user.birth_date.unwrap(),
            &["1985-01-23", "1990-12-31"],
        );
    }
    for bank in bank_account::Entity::find().all(&db.read).await.unwrap() {
        decrypt("bank_account.number", bank.id, bank.partner_id, &bank.number, &["4327843043"]);
    }
    for mail in message::Entity::find().all(&db.read).await.unwrap() {
        decrypt("message.recipient", mail.id, mail.partner_id, &mail.recipient, &["ada@example.com"]);
        decrypt("message.subject", mail.id, mail.partner_id, &mail.subject, &["Welcome"]);
        decrypt("message.body", mail.id, mail.partner_id, &mail.body, &["Come in"]);
    }
    for key in api_key::Entity::find().all(&db.read).await.unwrap() {
        let location = AssociatedData { column: "api_key.signer", row: key.id, partner: key.partner_id };
        assert_eq!(vault.open(location, &key.signer).unwrap().reveal().len(), 40);
        found.insert(version_of(&key.signer));
    }
    found
}

/// Checks that all data can be read with the new key alone, and that the old key is refused.
async fn assert_replaced(database_url: &str, before: &Before, newest: u32) {
    let server = serve(database_url, NEW, None).await;
    let caller = Caller::new(&server, &before.key);
    assert_eq!(caller.phone(&before.ada).await, "2025550107");
    assert_eq!(caller.link(&before.ada).await, before.linked);
    assert_eq!(caller.register("Twin").await.1, json!(["Address Match", "Phone Match", "SSN Seen Before"]));
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(versions(database_url, NEW, None).await, BTreeSet::from([Some(newest)]));

    let db = Db::open(database_url).await.unwrap();
    let keys = data_key::Entity::find()
        .filter(data_key::Column::PartnerId.is_not_null())
        .all(&db.read)
        .await
        .unwrap();
    for key in keys {
        assert_eq!(key.retired_at.is_none(), u32::try_from(key.number).unwrap() == newest, "{key:?}");
    }
    let refused = with_keys(database_url, OLD, None).arg("serve").output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!((refused.status.code(), &*error), (Some(1), &*format!("coffer: {OTHER_KEY}\n")));
    let fits = |key| {
        let doctor = with_keys(database_url, key, None).arg("doctor").output().unwrap();
        String::from_utf8(doctor.stdout)
            .unwrap()
            .lines()
            .find(|line| line.contains("database keys"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(fits(NEW), "ok     database keys: match the encryption key");
    assert_eq!(fits(OLD), format!("FAILED database keys: {OTHER_KEY}"));
    let audit = with_keys(database_url, NEW, None).arg("audit").output().unwrap();
    assert!(audit.status.success(), "{audit:?}");
}

#[track_caller]
fn printed(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_prints_its_progress() {
    for (database_url, folder) in databases().await {
        let before = populate(&database_url, 0).await;
        let given = run(&database_url, &["keys", "rotate-encryption"]);
        let missing = "coffer: --new-key-file or COFFER_ENCRYPTION_KEY_PREVIOUS: one of them must be given\n";
        assert_eq!(printed(&given), (Some(1), String::new(), missing.to_owned()));
        let file = folder.0.join("new.key");
        std::fs::write(&file, hex(OLD)).unwrap();
        let file = file.to_str().unwrap();
        let same = run(&database_url, &["keys", "rotate-encryption", "--new-key-file", file]);
        assert_eq!(
            printed(&same),
            (Some(1), String::new(), "coffer: the new key is already in use\n".to_owned())
        );
        std::fs::write(file, format!("{}\n", hex(NEW))).unwrap();
        let made = printed(&run(&database_url, &["keys", "rotate-encryption", "--new-key-file", file]));
        let lines = "new data keys: 1 of 1\nkeys rewrapped: 1 of 7\nkeys rewrapped: 2 of 7\n\
            keys rewrapped: 3 of 7\nkeys rewrapped: 4 of 7\nkeys rewrapped: 5 of 7\n\
            keys rewrapped: 6 of 7\nkeys rewrapped: 7 of 7\n\
            waiting for servers to load the new keys: 0 of 1\n\
            waiting for servers to load the new keys: 1 of 1\n\
            users.phone: 0 of 1\nusers.phone: 1 of 1\nusers.ssn: 0 of 1\nusers.ssn: 1 of 1\nusers.birth_date: 0 of 1\n\
            users.birth_date: 1 of 1\nkyc.applicant: 0 of 1\nkyc.applicant: 1 of 1\nkyc.questions: 0 of \
            0\nkyc.review_reason: 0 of 0\n\
            kyc_document.name: 0 of 0\nkyc_document.notes: 0 of 0\nkyc_document.content_key: 0 of 0\n\
            screening_exception.reason: 0 of 0\naccount.status_reason: 0 of 0\nstatement.content: 0 of 0\n\
            bank_account.number: 0 of 1\nbank_account.number: 1 of 1\napi_key.signer: 0 of 2\napi_key.signer: 2 of 2\n\
            second_factor.phone: 0 of 0\nsecond_factor.totp: 0 of 0\npasscode.phone: 0 of \
            0\nmessage.recipient: 0 of 1\nmessage.recipient: 1 of 1\n\
            message.subject: 0 of 1\nmessage.subject: 1 of 1\nmessage.body: 0 of 1\nmessage.body: 1 of 1\n";
        let sums = "keys created: 1\nkeys rewrapped: 6\nvalues re-encrypted: 10\nThe new encryption \
            key is in use.\n";
        assert_eq!(made, (Some(0), sums.to_owned(), lines.to_owned()));
        let again = printed(&rotate(&database_url).output().unwrap());
        let nothing = "keys created: 0\nkeys rewrapped: 0\nvalues re-encrypted: 0\nThe new \
            encryption key is in use.\n";
        assert_eq!((again.0, again.1.as_str()), (Some(0), nothing));
        assert_replaced(&database_url, &before, 2).await;
    }
}

/// Reads and writes repeatedly until `stop` is set; counts the complete rounds.
fn visits(
    caller: Caller,
    ada: String,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while !stop.load(Ordering::SeqCst) {
            assert_eq!(caller.phone(&ada).await, "2025550107");
            for edge in caller.gql(PHONES, json!({})).await["users"]["edges"].as_array().unwrap() {
                assert!(["0107", "0111"].contains(&edge["node"]["phoneLast4"].as_str().unwrap()), "{edge}");
            }
            assert_eq!(
                caller.register("Another").await.1,
                json!(["Address Match", "Phone Match", "SSN Seen Before"])
            );
            assert_eq!(caller.link(&ada).await["bank_account_number"], "4327843043");
            count.fetch_add(1, Ordering::SeqCst);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeatedly_killed_rotation_completes_while_a_server_runs() {
    for (database_url, _folder) in databases().await {
        let before = populate(&database_url, 350).await;
        let server = serve(&database_url, NEW, Some(OLD)).await;
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let visits =
            visits(Caller::new(&server, &before.key), before.ada.clone(), stop.clone(), count.clone());
        for point in ["new data keys: 1", "keys rewrapped: 3", "users.phone: 100", "users.ssn: 100"] {
            let seen = count.load(Ordering::SeqCst);
            let mut rotating =
                rotate(&database_url).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(rotating.stderr.take().unwrap());
            let mut line = String::new();
            while !line.starts_with(point) {
                line.clear();
                assert!(lines.read_line(&mut line).unwrap() > 0, "the rotation ended before {point:?}");
            }
            rotating.kill().unwrap();
            assert_eq!(rotating.wait().unwrap().code(), None);
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            assert!(!rest.contains("api_key.signer"), "killed too late: {rest}");
            versions(&database_url, NEW, Some(OLD)).await;
            for key in [OLD, NEW] {
                let refused = with_keys(&database_url, key, None).arg("serve").output().unwrap();
                let error = format!("coffer: {OTHER_KEY}\n");
                assert_eq!(String::from_utf8_lossy(&refused.stderr), error, "after {point}");
            }
            while count.load(Ordering::SeqCst) < seen + 2 && !visits.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let ended = printed(&rotate(&database_url).output().unwrap());
        assert_eq!(ended.0, Some(0), "{ended:?}");
        let seen = count.load(Ordering::SeqCst);
        while count.load(Ordering::SeqCst) < seen + 2 && !visits.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.store(true, Ordering::SeqCst);
        visits.await.unwrap();
        println!("answered {} rounds during the rotation", count.load(Ordering::SeqCst));
        assert_eq!(server.terminate(), Some(0));
        assert_replaced(&database_url, &before, 2).await;
    }
}

/// Encrypts a value as in the old format, in which every key was derived from the encryption key.
fn sealed_before(location: &AssociatedData, value: &[u8]) -> Vec<u8> {
    let key = hmac_sha256(&OLD, b"coffer personal data");
    let associated =
        [location.column.as_bytes(), b"|", location.row.as_bytes(), b"|", location.partner.as_bytes()]
            .concat();
    let nonce = [5; 24];
    let sealed = XChaCha20Poly1305::new(&key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &associated })
        .unwrap();
    [nonce.as_slice(), &sealed].concat()
}

/// Rewrites the database in the old format, in which every key was derived from the encryption key.
async fn rewrite_in_old_format(database_url: &str, key: &str) {
    let db = Db::open(database_url).await.unwrap();
    let vault = Vault::unlock(&db, &Secret::new(OLD), None).await.unwrap().unwrap();
    let older = |column, row, partner, sealed: &[u8]| {
        let location = AssociatedData { column, row, partner };
        sealed_before(&location, vault.open(location, sealed).unwrap().reveal())
    };
    let connection = db.for_migrations();
    for user in user::Entity::find().all(&db.read).await.unwrap() {
        let mut row: user::ActiveModel = user.clone().into();
        row.phone = Set(Some(older("users.phone", user.id, user.partner_id, &user.phone.unwrap())));
        row.ssn = Set(Some(older("users.ssn", user.id, user.partner_id, &user.ssn.unwrap())));
        row.birth_date =
            Set(Some(older("users.birth_date", user.id, user.partner_id, &user.birth_date.unwrap())));
        let index = [&b"users.ssn|"[..], user.partner_id.as_bytes(), b"|123456789"].concat();
        row.ssn_index = Set(Some(hmac_sha256(&hmac_sha256(&OLD, b"coffer blind index"), &index).to_vec()));
        row.update(connection).await.unwrap();
    }
    for check in kyc::Entity::find().all(&db.read).await.unwrap() {
        let mut row: kyc::ActiveModel = check.clone().into();
        row.applicant =
            Set(Some(older("kyc.applicant", check.id, check.partner_id, &check.applicant.unwrap())));
        row.update(connection).await.unwrap();
    }
    for bank in bank_account::Entity::find().all(&db.read).await.unwrap() {
        let mut row: bank_account::ActiveModel = bank.clone().into();
        row.number = Set(older("bank_account.number", bank.id, bank.partner_id, &bank.number));
        row.update(connection).await.unwrap();
    }
    for found in api_key::Entity::find().all(&db.read).await.unwrap() {
        let mut row: api_key::ActiveModel = found.clone().into();
        row.signer = Set(older("api_key.signer", found.id, found.partner_id, &found.signer));
        if key.contains(&found.public_id) {
            row.verifier =
                Set(hmac_sha256(&hmac_sha256(&OLD, b"coffer key pepper"), key.as_bytes()).to_vec());
        }
        row.update(connection).await.unwrap();
    }
    for mail in message::Entity::find().all(&db.read).await.unwrap() {
        let mut row: message::ActiveModel = mail.clone().into();
        row.recipient = Set(older("message.recipient", mail.id, mail.partner_id, &mail.recipient));
        row.subject = Set(older("message.subject", mail.id, mail.partner_id, &mail.subject));
        row.body = Set(older("message.body", mail.id, mail.partner_id, &mail.body));
        row.update(connection).await.unwrap();
    }
    for text in ["DELETE FROM data_key", "DELETE FROM idempotency", "DELETE FROM chain_head"] {
        connection.execute_unprepared(text).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_from_before_partner_keys_still_works() {
    for (database_url, _folder) in databases().await {
        let mut before = populate(&database_url, 0).await;
        rewrite_in_old_format(&database_url, &before.key).await;
        let other = with_keys(&database_url, NEW, None).arg("serve").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&other.stderr), format!("coffer: {OTHER_KEY}\n"));

        let server = serve(&database_url, OLD, None).await;
        let caller = Caller::new(&server, &before.key);
        assert_eq!(caller.phone(&before.ada).await, "2025550107");
        assert_eq!(
            caller.register("Twin").await.1,
            json!(["Address Match", "Phone Match", "SSN Seen Before"])
        );
        before.linked = caller.link(&before.ada).await;
        assert_eq!(server.terminate(), Some(0));
        let found = versions(&database_url, OLD, None).await;
        assert!(found.len() > 1 && found.contains(&Some(1)), "{found:?}");

        let rotated = printed(&rotate(&database_url).output().unwrap());
        assert_eq!(rotated.0, Some(0), "{rotated:?}");
        assert_replaced(&database_url, &before, 2).await;
    }
}
