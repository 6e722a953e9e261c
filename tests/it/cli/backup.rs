//! Backups of a running server, restored into either database, and copies between SQLite and PostgreSQL.

use crate::{
    compliance::kyc_documents::{documented, files_under},
    support::{
        Folder, USER_CREATE, client, databases, person, postgres_database,
        process::{Process, coffer, create_key, printed},
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const DOCUMENT: &[u8] = b"%PDF-1.7\na driver's license\n%%EOF\n";

/// A server's address and an API key for it.
struct Caller {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Caller {
    fn new(server: &Process, key: &str) -> Self {
        Self { client: client(), url: server.url.clone(), key: key.to_owned() }
    }

    async fn gql(&self, query: &str, variables: Value) -> Value {
        let request = self.client.post(format!("{}/graphql", self.url)).bearer_auth(&self.key);
        let answer: Value = request
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }

    async fn get(&self, path: &str) -> Value {
        let answer =
            self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn create(&self, first_name: &str, last_name: &str) -> Value {
        let create = USER_CREATE.replace("kyc { token", "kyc { id token");
        self.gql(&create, json!({ "input": person(first_name, last_name) })).await["userCreate"]["user"]
            .clone()
    }

    /// Reads both users with their accounts, bank accounts and orders, and the documents with their content.
    async fn read_all(&self, objects: &Objects) -> Value {
        let mut found = Vec::new();
        for id in [&objects.ada, &objects.rita] {
            for path in ["", "/accounts", "/bank_accounts"] {
                let mut answer = self.get(&format!("/v1/users/{id}{path}")).await;
                found.push(if path.is_empty() { answer } else { answer["data"].take() });
            }
        }
        found.push(self.get("/v1/orders?status=all&limit=100").await["data"].take());
        let documents = "query($id: ID!) { node(id: $id) { ... on Kyc { documents { id name notes size \
            uploadedAt url } } } }";
        let mut documents =
            self.gql(documents, json!({ "id": objects.kyc })).await["node"]["documents"].take();
        for document in documents.as_array_mut().unwrap() {
            let url = document["url"].take();
            let bytes = self.client.get(url.as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
            document["bytes"] = json!(bytes.to_vec());
        }
        assert_eq!(documents[0]["bytes"], json!(DOCUMENT), "{documents}");
        found.push(documents);
        Value::from(found)
    }
}

/// Ids of the objects to read before and after.
struct Objects {
    ada: String,
    rita: String,
    kyc: String,
}

async fn create_objects(caller: &Caller) -> Objects {
    let users = caller.get("/v1/users").await;
    let ada = users["data"][0]["id"].as_str().unwrap().to_owned();
    let rita = caller.create("Rita", "Review").await;
    let token = rita["kyc"]["token"].as_str().unwrap();
    let sent =
        caller.client.post(format!("{}/v1/kyc/{token}/documents", caller.url)).bearer_auth(&caller.key);
    assert_eq!(sent.json(&documented(DOCUMENT)).send().await.unwrap().status(), 200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Objects { ada, rita: text(&rita["id"]), kyc: text(&rita["kyc"]["id"]) }
}

async fn serve(database_url: &str, documents: &Path) -> Process {
    Process::start_with(database_url, |command| command.arg("serve").env("COFFER_DOCUMENTS", documents)).await
}

fn with_documents(database_url: &str, documents: &Path, arguments: &[&str]) -> Output {
    coffer(database_url).env("COFFER_DOCUMENTS", documents).args(arguments).output().unwrap()
}

#[track_caller]
fn complaint(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]), "{err}");
    err.lines().last().unwrap_or_default().to_owned()
}

/// Returns every file of a backup except its manifest, with sorted lines: PostgreSQL sorts text differently.
fn contents(backup: &Path) -> BTreeMap<PathBuf, Vec<Vec<u8>>> {
    let files = files_under(backup)
        .into_iter()
        .filter(|file| !file.file_name().unwrap().to_str().unwrap().starts_with("manifest."));
    let content = |file: &PathBuf| {
        let mut lines: Vec<Vec<u8>> =
            fs::read(file).unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    files.map(|file| (file.strip_prefix(backup).unwrap().to_owned(), content(&file))).collect()
}

const ADDS_UP: &str = "The books add up and nothing was altered.\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_completely_in_either_database() {
    for (database_url, folder) in databases().await {
        let documents = folder.0.join("documents");
        let key = create_key(&database_url);
        let server = serve(&database_url, &documents).await;
        let caller = Arc::new(Caller::new(&server, &key));
        let objects = create_objects(&caller).await;
        let before = caller.read_all(&objects).await;

        let (done, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let load = {
            let (caller, done, stop) = (caller.clone(), done.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    caller.create("Grace", "Hopper").await;
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        while done.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let backup = folder.0.join("backup");
        let command = || with_documents(&database_url, &documents, &["backup", backup.to_str().unwrap()]);
        let output = printed(tokio::task::block_in_place(command));
        assert!(
            output.contains("The encryption key is not included") && output.contains("are in plain text"),
            "{output}"
        );
        stop.store(true, Ordering::SeqCst);
        load.await.unwrap();
        assert_eq!(
            complaint(&command()),
            format!("coffer: {}: must be empty, or not exist", backup.display()),
            "a backup must not overwrite another"
        );
        assert_eq!(server.terminate(), Some(0));
        let manifest: Value =
            serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(
            (manifest["documents"].as_array().unwrap().len(), &manifest["missing_documents"]),
            (1, &json!([]))
        );

        for (other_url, other_folder) in databases().await {
            let other_documents = other_folder.0.join("documents");
            let restore =
                || with_documents(&other_url, &other_documents, &["restore", backup.to_str().unwrap()]);
            let output = printed(restore());
            assert!(output.ends_with(ADDS_UP) && !output.contains("WRONG"), "{output}");
            let again = other_folder.0.join("again");
            printed(with_documents(&other_url, &other_documents, &["backup", again.to_str().unwrap()]));
            assert!(contents(&again) == contents(&backup), "the backup of the restored database differs");
            let refused = complaint(&restore());
            assert!(refused.starts_with("coffer: the target database is not empty: table "), "{refused}");

            let server = serve(&other_url, &other_documents).await;
            assert_eq!(Caller::new(&server, &key).read_all(&objects).await, before);
            assert_eq!(server.terminate(), Some(0));
            assert!(printed(with_documents(&other_url, &other_documents, &["audit"])).ends_with(ADDS_UP));
        }

        fs::remove_dir_all(&documents).unwrap();
        let lost =
            with_documents(&database_url, &documents, &["backup", folder.0.join("lost").to_str().unwrap()]);
        let output = String::from_utf8(lost.stdout).unwrap();
        assert!(
            lost.status.code() == Some(1) && output.contains("WRONG: 1 documents have no file in "),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_with_an_altered_or_missing_file_is_refused() {
    let (database_url, folder) = databases().await.swap_remove(0);
    let documents = folder.0.join("documents");
    let key = create_key(&database_url);
    let server = serve(&database_url, &documents).await;
    create_objects(&Caller::new(&server, &key)).await;
    assert_eq!(server.terminate(), Some(0));
    let backup = folder.0.join("backup");
    printed(with_documents(&database_url, &documents, &["backup", backup.to_str().unwrap()]));

    let other = Folder::new();
    let database = other.0.join("coffer.db");
    let restore = || {
        let url = format!("sqlite:{}", database.display());
        with_documents(&url, &other.0.join("documents"), &["restore", backup.to_str().unwrap()])
    };
    let files = files_under(&backup);
    assert!(files.len() > 35, "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        let mut altered = whole.clone();
        if let Some(byte) = altered.get_mut(whole.len() / 2) {
            *byte ^= 1;
            fs::write(&file, &altered).unwrap();
            let output = complaint(&restore());
            assert!(output.ends_with(": was altered; nothing was restored"), "{}: {output}", file.display());
        }
        fs::remove_file(&file).unwrap();
        let output = complaint(&restore());
        assert!(
            output.contains("No such file") || output.contains("it has no manifest.json"),
            "{}: {output}",
            file.display()
        );
        fs::write(&file, &whole).unwrap();
        assert!(!database.exists(), "{}", file.display());
    }
    assert!(printed(restore()).ends_with(ADDS_UP));

    // Without the key, signatures are reported as not verified.
    let folder = Folder::new();
    let mut without_key = coffer(&format!("sqlite:{}", folder.0.join("coffer.db").display()));
    without_key.env_remove("COFFER_ENCRYPTION_KEY").env("COFFER_DOCUMENTS", folder.0.join("documents"));
    let output = printed(without_key.arg("restore").arg(&backup).output().unwrap());
    assert!(
        output.contains(
            "note: the heads of the chains were NOT verified: the key that signs them is missing\n"
        ),
        "{output}"
    );
    assert!(!output.contains("not signed yet") && !output.contains("nothing was altered"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_from_sqlite_to_postgresql_and_back() {
    let Some(postgres) = postgres_database().await else { return };
    let (database_url, folder) = databases().await.swap_remove(0);
    let documents = folder.0.join("documents");
    let key = create_key(&database_url);
    let server = serve(&database_url, &documents).await;
    let caller = Caller::new(&server, &key);
    let objects = create_objects(&caller).await;
    let before = caller.read_all(&objects).await;
    assert_eq!(server.terminate(), Some(0));
    let backup_of = |url: &str, name: &str| {
        let dir = folder.0.join(name);
        printed(with_documents(url, &documents, &["backup", dir.to_str().unwrap()]));
        contents(&dir)
    };
    let original = backup_of(&database_url, "first");
    let back = format!("sqlite:{}", folder.0.join("back.db").display());
    for (from, to) in [(&database_url, &postgres), (&postgres, &back)] {
        let copy = || with_documents(from, &documents, &["copy", "--to", to]);
        let output = printed(copy());
        assert!(
            output.contains(&format!("COFFER_DOCUMENTS={}.", documents.display()))
                && output.ends_with(ADDS_UP),
            "{output}"
        );
        assert!(backup_of(to, if to == &back { "third" } else { "second" }) == original, "the copy differs");
        let refused = complaint(&copy());
        assert!(refused.starts_with("coffer: the target database is not empty: table "), "{refused}");
    }
    for url in [&postgres, &back] {
        let server = serve(url, &documents).await;
        assert_eq!(Caller::new(&server, &key).read_all(&objects).await, before);
        assert_eq!(server.terminate(), Some(0));
    }
    let unknown = with_documents(&database_url, &documents, &["copy", "--to", "mysql://x"]);
    assert_eq!(complaint(&unknown), "coffer: --to: must begin with sqlite: or postgres://");
}
