//! Documents of identity checks: upload through both APIs and signed URLs, encryption at rest, and refusals
//! that leave nothing behind.

use crate::support::{
    Answer, Folder, TestApp, USER_CREATE, client, on_both, person,
    process::{Process, create_key},
    send,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::Scope;
use entity::{audit_log, event, kyc, kyc_document};
use futures_util::future::join_all;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Text in the test documents; the tests search for it where it must not be readable.
const PLANTED: &str = "an unmistakable line 7f3c91";
const NAME: &str = "john_doe_driver_license";
const NOTES: &str = "Uploaded from email customer sent";
/// `THURSDAY` in milliseconds since 1970.
const NOON: i64 = 1_783_612_800_000;
const MIB: usize = 1 << 20;

fn pdf() -> Vec<u8> {
    format!("%PDF-1.7\n{PLANTED}\n%%EOF\n").into_bytes()
}

fn jpeg() -> Vec<u8> {
    [&[0xff, 0xd8, 0xff, 0xe0][..], PLANTED.as_bytes()].concat()
}

fn png() -> Vec<u8> {
    [&[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'][..], PLANTED.as_bytes()].concat()
}

/// Returns a PDF of this size in bytes.
fn long(bytes: usize) -> Vec<u8> {
    let mut data = pdf();
    data.resize(bytes, b' ');
    data
}

/// A user with an identity check.
pub struct Applicant {
    pub user_id: String,
    pub kyc_id: String,
    pub token: String,
}

impl Applicant {
    pub fn path(&self) -> String {
        format!("/v1/kyc/{}/documents", self.token)
    }
}

/// Creates a user with this last name as the partner with this key.
pub async fn applicant(app: &TestApp, key: &str, last_name: &str) -> Applicant {
    let create = USER_CREATE.replace("kyc { token", "kyc { id token");
    let created = app.gql_as(Some(key), &create, json!({ "input": person("Rita", last_name) })).await;
    let user = created.entity("userCreate", "user");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Applicant {
        user_id: text(&user["id"]),
        kyc_id: text(&user["kyc"]["id"]),
        token: text(&user["kyc"]["token"]),
    }
}

/// Returns the documented request body with this data.
pub fn documented(data: &[u8]) -> Value {
    json!({ "name": NAME, "extension": "pdf", "type": "license", "notes": NOTES, "data": STANDARD.encode(data) })
}

/// Returns every file in a folder and its subfolders.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

fn files(app: &TestApp) -> Vec<PathBuf> {
    files_under(&app.documents.0)
}

/// Returns the number of stored documents and of files.
async fn counts(app: &TestApp) -> (u64, usize) {
    (kyc_document::Entity::find().count(&app.app.db.read).await.unwrap(), files(app).len())
}

#[track_caller]
fn assert_absent(bytes: &[u8], text: &str) {
    assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text:?} is readable");
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Returns every event of a check in order: type and payload.
async fn events_of(app: &TestApp, kyc_id: &str) -> Vec<(String, Value)> {
    let stream: uuid::Uuid = kyc_id.parse().unwrap();
    let select = event::Entity::find()
        .filter(event::Column::StreamId.eq(stream))
        .order_by_asc(event::Column::StreamVersion);
    let rows = select.all(&app.app.db.read).await.unwrap();
    rows.into_iter().map(|row| (row.kind, serde_json::from_str(&row.payload).unwrap())).collect()
}

async fn lines(app: &TestApp, operation: &str) -> Vec<(Option<String>, String)> {
    let select = audit_log::Entity::find()
        .filter(audit_log::Column::Operation.eq(operation))
        .order_by_asc(audit_log::Column::Id);
    let rows = select.all(&app.app.db.read).await.unwrap();
    rows.into_iter().map(|row| (row.object_id.map(|id| id.to_string()), row.decision)).collect()
}

const PREPARE: &str =
    "mutation($input: KycDocumentUploadPrepareInput!) { kycDocumentUploadPrepare(input: $input) {
    target { url method headers { name value } expiresAt } userErrors { code path message } } }";
const DOCUMENTS: &str = "query($id: ID!) { node(id: $id) { ... on Kyc { documents {
    id token type name format size uploadedAt notes url } } } }";

async fn documents_as(app: &TestApp, key: &str, kyc_id: &str) -> Value {
    app.gql_as(Some(key), DOCUMENTS, json!({ "id": kyc_id })).await.data()["node"]["documents"].clone()
}

fn announcement(kyc_id: &str, data: &[u8]) -> Value {
    json!({
        "kycId": kyc_id, "name": NAME, "type": "PASSPORT", "contentType": "application/pdf",
        "byteSize": data.len(), "notes": NOTES,
    })
}

async fn target(app: &TestApp, input: Value) -> String {
    let prepared = app.gql(PREPARE, json!({ "input": input })).await;
    prepared.entity("kycDocumentUploadPrepare", "target")["url"].as_str().unwrap().to_owned()
}

async fn upload(url: &str, data: Vec<u8>) -> Answer {
    send(client().put(url).header("content-type", "application/pdf").body(data)).await
}

/// Posts a body without a content length.
async fn in_chunks(app: &TestApp, path: &str, body: &str) -> (u16, Value) {
    let stream = tokio::net::TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\ncontent-type: \
            application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        app.key
    );
    let chunks: Vec<Vec<u8>> = body.as_bytes().chunks(MIB).map(<[u8]>::to_vec).collect();
    let writing = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await?;
        for chunk in chunks {
            write.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            write.write_all(&chunk).await?;
            write.write_all(b"\r\n").await?;
        }
        write.write_all(b"0\r\n\r\n").await
    });
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.unwrap();
    let _ = writing.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

fn nothing_there() -> Value {
    json!({ "error": { "type": "not_found", "message": "link was not found" } })
}

on_both! {
    async fn a_documented_upload_gets_the_documented_response(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        assert_eq!(NOON, crate::support::THURSDAY.parse::<DateTime<Utc>>().unwrap().timestamp_millis());
        let answer = app.post(&rita.path(), documented(&pdf())).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(keys(&answer.body), ["document_token", "extension", "name", "notes", "uploaded"]);
        assert_eq!(keys(&answer.body["notes"][0]), ["created_at", "notes", "updated_at"]);
        let token = answer.body["document_token"].as_str().unwrap().to_owned();
        let (prefix, rest) = token.split_at(2);
        assert!(
            prefix == "D-" && rest.len() == 20 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{token}"
        );
        let told = json!({
            "document_token": token, "name": NAME, "extension": "pdf", "uploaded": true,
            "notes": [{ "notes": NOTES, "created_at": NOON, "updated_at": NOON }],
        });
        assert_eq!(answer.body, told);

        let documents = documents_as(&app, &app.key, &rita.kyc_id).await;
        let [document] = documents.as_array().unwrap().as_slice() else { panic!("{documents}") };
        let size = pdf().len();
        let mut seen = document.clone();
        let url = seen["url"].take();
        assert!(url.as_str().unwrap().starts_with(&format!("{}/documents/", app.url)), "{url}");
        let expected = json!({
            "id": document["id"], "token": token, "type": "LICENSE", "name": NAME, "format": "PDF", "size": size,
            "uploadedAt": "2026-07-09T16:00:00Z", "notes": NOTES, "url": null,
        });
        assert_eq!(seen, expected);
        let facts = json!({ "id": rita.kyc_id, "token": rita.token, "user_id": rita.user_id,
            "status": "manual_review" });
        let mut sent = facts.clone();
        sent["document_id"] = document["id"].clone();
        assert_eq!(
            events_of(&app, &rita.kyc_id).await,
            [("kyc.created".to_owned(), facts), ("kyc.document_uploaded".to_owned(), sent)]
        );
        assert_eq!(
            lines(&app, "kyc.document_upload").await,
            [(document["id"].as_str().map(str::to_owned), "done".to_owned())]
        );
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn documents_are_encrypted_on_disk(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        app.post(&rita.path(), documented(&pdf())).await;
        let files = files(&app);
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let bytes = fs::read(file).unwrap();
        assert_eq!(bytes.len(), pdf().len() + 24 + 16, "a nonce, the document, a tag");
        let name = file.display().to_string();
        for text in [PLANTED, "%PDF-", NAME, "email customer"] {
            assert_absent(&bytes, text);
            assert_absent(name.as_bytes(), text);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(app.documents.0.join("kept")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        let row = kyc_document::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        for column in [&row.name, row.notes.as_ref().unwrap(), &row.content_key] {
            assert_absent(column, NAME);
            assert_absent(column, NOTES);
        }
        // A file that was altered or exchanged is not served.
        let url = documents_as(&app, &app.key, &rita.kyc_id).await[0]["url"].as_str().unwrap().to_owned();
        app.post(&rita.path(), documented(&pdf())).await;
        let other = files_under(&app.documents.0).into_iter().find(|other| other != file).unwrap();
        for altered in [
            fs::read(other).unwrap(),
            [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat(),
            Vec::new(),
        ] {
            fs::write(file, altered).unwrap();
            let refused = send(client().get(&url)).await;
            let told =
                json!({ "error": { "type": "api_error", "message": "Something went wrong on our side." } });
            assert_eq!((refused.status, refused.body), (500, told));
        }
        fs::write(file, bytes).unwrap();
        assert_eq!(client().get(&url).send().await.unwrap().bytes().await.unwrap(), pdf());
    }

    async fn every_documented_format_of_an_upload_is_accepted(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let escaped = |data: &[u8]| STANDARD.encode(data).replace('/', "\\/");
        assert!(escaped(&jpeg()).contains("\\/"));
        for (method, end, extension, kind, data, told, shown) in [
            ("PUT", "", json!("pdf"), "license", pdf(), "pdf", ["LICENSE", "PDF"]),
            ("POST", "/", json!(null), "SSN Card", pdf(), "pdf", ["SSN_CARD", "PDF"]),
            ("POST", "", json!("JPG"), "ssn_card", jpeg(), "jpg", ["SSN_CARD", "JPEG"]),
            ("POST", "", json!(".jpeg"), " Utility ", jpeg(), "jpeg", ["UTILITY", "JPEG"]),
            ("POST", "", json!(null), "PASSPORT", jpeg(), "jpg", ["PASSPORT", "JPEG"]),
            ("PUT", "/", json!("png"), "pass port", png(), "png", ["PASSPORT", "PNG"]),
        ] {
            let mut body = json!({ "name": " n ", "type": kind, "data": "HERE" });
            if !extension.is_null() {
                body["extension"] = extension;
            }
            // Escaped slashes, line breaks and missing padding are accepted.
            let text =
                body.to_string().replace("HERE", &format!("{}\\n", escaped(&data).trim_end_matches('=')));
            let request =
                app.rest(method, &format!("{}{end}", rita.path())).header("content-type", "application/json");
            let answer = send(request.body(text)).await;
            let expected = json!({
                "document_token": answer.body["document_token"], "name": "n", "extension": told,
                "uploaded": true, "notes": [],
            });
            assert_eq!((answer.status, &answer.body), (200, &expected), "{kind}");
            let documents = documents_as(&app, &app.key, &rita.kyc_id).await;
            let last = documents.as_array().unwrap().last().unwrap();
            assert_eq!([&last["type"], &last["format"]], shown, "{kind}");
            assert_eq!(last["notes"], json!(null));
            let bytes =
                client().get(last["url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes, data, "{kind}");
        }
    }

    async fn refused_uploads_leave_nothing_behind(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let invalid = |field: &str, text: &str| (400, "validation_error", format!("{field} {text}"));
        let required = |field: &str| (400, "invalid_request", format!("{field} is required"));
        let refused = |text: &str| (402, "invalid_request", text.to_owned());
        let exe = b"MZ\x90\x00 not a document";
        let long_name = "n".repeat(201);
        let table: Vec<(&str, Value, (u16, &str, String))> = vec![
            ("name", json!(null), required("name")),
            ("name", json!("  "), required("name")),
            ("name", json!(7), invalid("name", "must be a string")),
            ("name", json!(long_name), invalid("name", "must have at most 200 printable characters")),
            ("name", json!("a\nb"), invalid("name", "must have at most 200 printable characters")),
            ("type", json!(null), required("type")),
            (
                "type",
                json!("library card"),
                invalid("type", "must be ssn card, license, passport or utility"),
            ),
            ("extension", json!("exe"), invalid("extension", "must be pdf, jpg, jpeg or png")),
            ("extension", json!("png"), invalid("extension", "must match the format of the data")),
            ("extension", json!("jpeg"), invalid("extension", "must match the format of the data")),
            ("notes", json!("n".repeat(2001)), invalid("notes", "must have at most 2000 characters")),
            ("data", json!(null), required("data")),
            ("data", json!(""), required("data")),
            ("data", json!(12), invalid("data", "must be a string")),
            ("data", json!("%PDF-1.7"), invalid("data", "must be base64")),
            ("data", json!(STANDARD.encode(exe)), invalid("data", "must be a PDF, a JPEG or a PNG")),
            ("data", json!(STANDARD.encode(b" %PDF-1.7")), invalid("data", "must be a PDF, a JPEG or a PNG")),
            (
                "data",
                json!(STANDARD.encode(jpeg())),
                invalid("extension", "must match the format of the data"),
            ),
            (
                "data",
                json!(STANDARD.encode(long(10 * MIB + 1))),
                invalid("data", "must have at most 10485760 bytes"),
            ),
            (
                "data",
                json!(STANDARD.encode(long(11_000_000))),
                invalid("data", "must have at most 10485760 bytes"),
            ),
            (
                "data",
                json!(STANDARD.encode(long(11 * MIB))),
                invalid("data", "must have at most 10485760 bytes"),
            ),
        ];
        for (field, value, (status, kind, message)) in table {
            let mut body = documented(&pdf());
            body[field] = value;
            let answer = app.post(&rita.path(), body).await;
            let told = json!({ "error": { "type": kind, "message": message } });
            assert_eq!((answer.status, answer.body), (status, told), "{field}");
            assert_eq!(counts(&app).await, (0, 0), "{message}");
        }
        for (text, message) in [
            ("", "The body is not a JSON object."),
            ("[1]", "The body is not a JSON object."),
            ("{\"name\": \"", "The body is not a JSON object."),
        ] {
            let answer =
                send(app.rest("POST", &rita.path()).header("content-type", "application/json").body(text))
                    .await;
            assert_eq!(
                (answer.status, answer.body),
                (400, json!({ "error": { "type": "invalid_request", "message": message } })),
                "{text}"
            );
        }
        // A body above the limit is refused before its end, with and without a content length.
        let whole = documented(&long(20 * MIB)).to_string();
        let request =
            app.rest("POST", &rita.path()).header("content-type", "application/json").body(whole.clone());
        let told = json!({ "error": { "type": "validation_error",
            "message": "data must have at most 10485760 bytes" } });
        let answer = send(request).await;
        assert_eq!((answer.status, &answer.body), (400, &told));
        // The client may have sent the rest to its system already, so the connection cannot be used again.
        assert_eq!(answer.headers["connection"], "close");
        assert_eq!(in_chunks(&app, &rita.path(), &whole).await, (400, told));
        let closed = refused("This identity check is not waiting for documents.");
        for (last_name, (status, kind, message)) in
            [("Carter", &closed), ("Question", &closed), ("Denied", &closed)]
        {
            let other = applicant(&app, &app.key, last_name).await;
            let answer = app.post(&other.path(), documented(&pdf())).await;
            assert_eq!(
                (answer.status, answer.body),
                (*status, json!({ "error": { "type": kind, "message": message } })),
                "{last_name}"
            );
        }
        let (_, theirs) = app.other_partner("another").await;
        for (key, path) in
            [(&app.key, "/v1/kyc/S-00000000000000000000/documents".to_owned()), (&theirs, rita.path())]
        {
            let answer = send(app.anonymous("POST", &path).bearer_auth(key).json(&documented(&pdf()))).await;
            let told = json!({ "error": { "type": "not_found", "message": "token was not found" } });
            assert_eq!((answer.status, answer.body), (404, told), "{path}");
        }
        assert_eq!(counts(&app).await, (0, 0));
        assert_eq!(events_of(&app, &rita.kyc_id).await.len(), 1);
        let longest = app.post(&rita.path(), documented(&long(10 * MIB))).await;
        assert_eq!((longest.status, counts(&app).await), (200, (1, 1)), "{}", longest.body);
        assert_eq!(fs::metadata(&files(&app)[0]).unwrap().len(), 10 * MIB as u64 + 40);
    }

    async fn a_check_accepts_twenty_documents_while_it_is_current(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        for turn in 0..20 {
            assert_eq!(app.post(&rita.path(), documented(&pdf())).await.status, 200, "{turn}");
        }
        let told = json!({ "error": { "type": "invalid_request",
            "message": "This identity check already has the maximum of 20 documents." } });
        let refused = app.post(&rita.path(), documented(&pdf())).await;
        assert_eq!((refused.status, refused.body), (402, told));
        assert_eq!(counts(&app).await, (20, 20));
        assert_eq!(documents_as(&app, &app.key, &rita.kyc_id).await.as_array().unwrap().len(), 20);
        let gql = app.gql(PREPARE, json!({ "input": announcement(&rita.kyc_id, &pdf()) })).await;
        assert_eq!(gql.user_error("kycDocumentUploadPrepare")["code"], "KYC_NOT_OPEN");
        // A later check replaces this one.
        let row = kyc::Entity::find_by_id(rita.kyc_id.parse::<uuid::Uuid>().unwrap())
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let mut row: kyc::ActiveModel = row.into();
        row.superseded_at = Set(Some(crate::support::THURSDAY.parse().unwrap()));
        let tx = app.app.db.write().await.unwrap();
        row.update(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let refused = app.post(&rita.path(), documented(&pdf())).await;
        let told = json!({ "error": { "type": "invalid_request",
            "message": "This identity check was replaced by a later one." } });
        assert_eq!((refused.status, refused.body), (402, told));
        assert_eq!(counts(&app).await, (20, 20));
    }

    async fn a_repeated_request_stores_one_document(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let ask = |key: &str, data: &[u8]| {
            send(app.rest("POST", &rita.path()).header("idempotency-key", key).json(&documented(data)))
        };
        let first = ask("one", &pdf()).await;
        let again = ask("one", &pdf()).await;
        assert_eq!(
            (again.status, &again.body, &again.headers["idempotent-replayed"]),
            (200, &first.body, &"true".parse().unwrap())
        );
        assert_eq!(counts(&app).await, (1, 1));
        let other = ask("one", &long(100)).await;
        assert_eq!(
            (other.status, &other.body["error"]["message"]),
            (409, &json!("This idempotency key was used for another request. Use a new key."))
        );
        let at_once = join_all((0..4).map(|_| ask("two", &pdf()))).await;
        let tokens: Vec<_> = at_once
            .iter()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.body["document_token"].clone())
            .collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
        assert_eq!(counts(&app).await, (2, 2));
    }

    async fn a_prepared_upload_works_once_and_only_as_announced(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let prepared = app.gql(PREPARE, json!({ "input": announcement(&rita.kyc_id, &pdf()) })).await;
        let target = prepared.entity("kycDocumentUploadPrepare", "target").clone();
        let url = target["url"].as_str().unwrap().to_owned();
        let expected = json!({
            "url": url, "method": "PUT", "headers": [{ "name": "content-type", "value": "application/pdf" }],
            "expiresAt": "2026-07-09T16:30:00Z",
        });
        assert_eq!(target, expected);
        assert!(url.starts_with(&format!("{}/documents/", app.url)));
        for text in [NAME, NOTES, &STANDARD.encode(NAME)[..20]] {
            assert_absent(url.as_bytes(), text);
        }
        // Data other than requested is refused, and the URL stays valid.
        let size = pdf().len();
        for (data, message) in [
            (long(size + 1), format!("data must have {size} bytes, the size given for the upload")),
            (png(), "data must have the content type given for the upload".to_owned()),
            (b"MZ".to_vec(), "data must be a PDF, a JPEG or a PNG".to_owned()),
            (long(10 * MIB + 1), "data must have at most 10485760 bytes".to_owned()),
            (long(20 * MIB), "data must have at most 10485760 bytes".to_owned()),
        ] {
            let refused = upload(&url, data).await;
            assert_eq!(
                (refused.status, refused.body),
                (400, json!({ "error": { "type": "validation_error", "message": message } }))
            );
        }
        let empty = upload(&url, Vec::new()).await;
        assert_eq!(
            (empty.status, empty.body),
            (400, json!({ "error": { "type": "invalid_request", "message": "data is required" } }))
        );
        assert_eq!(counts(&app).await, (0, 0));
        // An altered URL is not valid.
        let (before, signature) = url.rsplit_once("&signature=").unwrap();
        let flipped = format!("{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
        let another = app.gql(PREPARE, json!({ "input": announcement(&rita.kyc_id, &pdf()) })).await;
        let another =
            another.entity("kycDocumentUploadPrepare", "target")["url"].as_str().unwrap().to_owned();
        let other_signature = another.rsplit_once("&signature=").unwrap().1.to_owned();
        let until = before.split('&').find_map(|value| value.strip_prefix("until=")).unwrap();
        let later = (until.parse::<i64>().unwrap() + 3600).to_string();
        for altered in [
            before.to_owned(),
            format!("{before}&signature="),
            format!("{before}&signature={flipped}"),
            format!("{before}&signature={other_signature}"),
            format!("{url}0"),
            format!("{url}&more=1"),
            format!("{before}&until={later}&signature={signature}"),
            url.replace(until, &later),
            url.replace("what=", "what=A"),
            url.replace("for=", "for=0"),
            url.replacen("/documents/", "/documents/0", 1),
            format!("{}/documents/{}", app.url, rita.kyc_id),
        ] {
            let refused = upload(&altered, pdf()).await;
            assert_eq!((refused.status, refused.body), (404, nothing_there()), "{altered}");
        }
        let read = send(client().get(&url)).await;
        assert_eq!((read.status, read.body), (404, nothing_there()), "an upload URL cannot be used to read");
        assert_eq!(counts(&app).await, (0, 0));

        let sent = upload(&url, pdf()).await;
        let told = json!({
            "document_token": sent.body["document_token"], "name": NAME, "extension": "pdf", "uploaded": true,
            "notes": [{ "notes": NOTES, "created_at": NOON, "updated_at": NOON }],
        });
        assert_eq!((sent.status, &sent.body), (200, &told));
        let again = upload(&url, pdf()).await;
        assert_eq!((again.status, again.body), (404, nothing_there()));
        let at_once = join_all((0..4).map(|_| upload(&another, pdf()))).await;
        let mut statuses: Vec<u16> = at_once.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404, 404, 404]);
        assert_eq!(counts(&app).await, (2, 2));
        let documents = documents_as(&app, &app.key, &rita.kyc_id).await;
        assert_eq!(
            [&documents[0]["token"], &documents[0]["type"]],
            [&sent.body["document_token"], &json!("PASSPORT")]
        );
        let uploader = |row: &kyc_document::Model| row.uploaded_by;
        let rows = kyc_document::Entity::find().all(&app.app.db.read).await.unwrap();
        assert!(
            rows.iter().all(|row| uploader(row).is_some() && uploader(row) == uploader(&rows[0])),
            "the uploader must be the key that prepared the upload"
        );
    }

    async fn a_url_expires_by_the_partners_clock_and_with_its_key(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let (mine, passing) = (
            announcement(&rita.kyc_id, &pdf()),
            app.key_for(&[Scope::Manage, Scope::Operate, Scope::Read]).await,
        );
        let sent = app.post(&rita.path(), documented(&pdf())).await;
        assert_eq!(sent.status, 200);
        let prepared = app.gql_as(Some(&passing), PREPARE, json!({ "input": mine })).await;
        let revoked =
            prepared.entity("kycDocumentUploadPrepare", "target")["url"].as_str().unwrap().to_owned();
        let read = documents_as(&app, &passing, &rita.kyc_id).await[0]["url"].as_str().unwrap().to_owned();
        assert_eq!(client().get(&read).send().await.unwrap().status(), 200);
        let id = domain::access::keys::find_by_public_id(&app.app.db.read, &passing["sk_test_".len()..][..8])
            .await
            .unwrap()
            .unwrap()
            .id;
        let revoke = "mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } \
            userErrors { code } } }";
        app.gql(revoke, json!({ "input": { "apiKeyId": id } })).await.entity("apiKeyRevoke", "apiKey");
        for refused in [send(client().get(&read)).await, upload(&revoked, pdf()).await] {
            assert_eq!((refused.status, refused.body), (404, nothing_there()));
        }

        let (write, read) = (
            target(&app, mine).await,
            documents_as(&app, &app.key, &rita.kyc_id).await[0]["url"].as_str().unwrap().to_owned(),
        );
        app.advance_to("2026-07-09T16:29:59Z").await;
        assert_eq!(client().get(&read).send().await.unwrap().status(), 200);
        app.advance_to("2026-07-09T16:30:00Z").await;
        for refused in [send(client().get(&read)).await, upload(&write, pdf()).await] {
            assert_eq!((refused.status, refused.body), (404, nothing_there()));
        }
        assert_eq!(counts(&app).await, (1, 1));
    }

    async fn a_reviewer_gets_a_document_as_a_file(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let sent = app.post(&rita.path(), documented(&pdf())).await;
        let token = sent.body["document_token"].as_str().unwrap();
        let clerk = app.key_for(&[Scope::Read, Scope::Manage]).await;
        assert_eq!(documents_as(&app, &clerk, &rita.kyc_id).await[0]["url"], json!(null));
        let reviewer = app.key_for(&[Scope::Read, Scope::Operate]).await;
        let document = documents_as(&app, &reviewer, &rita.kyc_id).await[0].clone();
        let url = document["url"].as_str().unwrap();
        assert_eq!(lines(&app, "kyc.document_open").await, []);
        let response = client().get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let told: BTreeMap<&str, &str> = [
            "content-type",
            "content-length",
            "content-disposition",
            "x-content-type-options",
            "cache-control",
            "content-security-policy",
        ]
        .map(|name| (name, response.headers()[name].to_str().unwrap()))
        .into();
        let (disposition, length) =
            (format!("attachment; filename=\"{token}.pdf\""), pdf().len().to_string());
        let expected = [
            ("content-type", "application/pdf"),
            ("content-length", &length),
            ("content-disposition", &disposition),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "sandbox"),
        ];
        assert_eq!(told, expected.into());
        assert_eq!(response.bytes().await.unwrap(), pdf());
        assert_eq!(
            lines(&app, "kyc.document_open").await,
            [(document["id"].as_str().map(str::to_owned), "done".to_owned())]
        );

        let (before, signature) = url.rsplit_once("&signature=").unwrap();
        let key = before.split(['?', '&']).find_map(|value| value.strip_prefix("by=")).unwrap();
        for altered in [
            before.to_owned(),
            format!("{before}&signature={}", signature.to_lowercase()),
            url.replace(key, &rita.user_id),
            url.replace(document["id"].as_str().unwrap(), &rita.kyc_id),
            format!("{}/documents/{}", app.url, document["id"].as_str().unwrap()),
        ] {
            let refused = send(client().get(&altered)).await;
            assert_eq!((refused.status, refused.body), (404, nothing_there()), "{altered}");
        }
        let written = upload(url, pdf()).await;
        assert_eq!(
            (written.status, written.body),
            (404, nothing_there()),
            "a read URL cannot be used to upload"
        );
        assert_eq!(lines(&app, "kyc.document_open").await.len(), 1);
        // A document of the maximum size is returned whole.
        app.post(&rita.path(), documented(&long(10 * MIB))).await;
        let url = documents_as(&app, &reviewer, &rita.kyc_id).await[1]["url"].as_str().unwrap().to_owned();
        assert_eq!(client().get(&url).send().await.unwrap().bytes().await.unwrap(), long(10 * MIB));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn an_invalid_announcement_is_refused_with_its_field(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        for (field, value, code, path, message) in [
            ("name", json!(""), "REQUIRED", json!(["name"]), "name is required"),
            (
                "contentType",
                json!("text/html"),
                "INVALID",
                json!(["contentType"]),
                "contentType must be application/pdf, image/jpeg or image/png",
            ),
            ("byteSize", json!(0), "INVALID", json!(["byteSize"]), "byteSize must be from 1 to 10485760"),
            (
                "byteSize",
                json!(10_485_761),
                "INVALID",
                json!(["byteSize"]),
                "byteSize must be from 1 to 10485760",
            ),
            (
                "notes",
                json!("n".repeat(2001)),
                "INVALID",
                json!(["notes"]),
                "notes must have at most 2000 characters",
            ),
            ("kycId", json!(null), "REQUIRED", json!(["kycId"]), "kycId is required"),
            (
                "kycId",
                json!(rita.user_id),
                "NOT_FOUND",
                json!(["kycId"]),
                "kycId was not found",
            ),
            ("token", json!(rita.token), "INVALID", json!(["token"]), "token cannot be combined with kycId"),
        ] {
            let mut input = announcement(&rita.kyc_id, &pdf());
            input[field] = value;
            let refused = app.gql(PREPARE, json!({ "input": input })).await;
            let told = json!({ "code": code, "path": path, "message": message });
            assert_eq!(refused.user_error("kycDocumentUploadPrepare"), &told);
        }
        let mut by_token = announcement(&rita.kyc_id, &pdf());
        by_token["kycId"].take();
        by_token["token"] = json!(rita.token);
        // Notes of the maximum length make a long URL, which still works.
        by_token["notes"] = json!("é".repeat(2000));
        assert_eq!(upload(&target(&app, by_token).await, pdf()).await.status, 200);
    }

    async fn a_user_uploads_their_own_documents(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        app.post(&rita.path(), documented(&pdf())).await;
        let user = app.person("rita@example.com", "2025550199").await;
        let row = kyc::Entity::find_by_id(rita.kyc_id.parse::<uuid::Uuid>().unwrap())
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let mut row: kyc::ActiveModel = row.into();
        row.user_id = Set(Some(user.user_id.parse().unwrap()));
        let tx = app.app.db.write().await.unwrap();
        row.update(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let another = app.person("another@example.com", "2025550198").await;

        let sent =
            send(app.anonymous("POST", &rita.path()).bearer_auth(&user.access).json(&documented(&png())))
                .await;
        assert_eq!(
            (sent.status, &sent.body["error"]["message"]),
            (400, &json!("extension must match the format of the data"))
        );
        let sent =
            send(app.anonymous("POST", &rita.path()).bearer_auth(&user.access).json(&documented(&long(50))))
                .await;
        assert_eq!(sent.status, 200, "{}", sent.body);
        let prepared = app
            .gql_as(Some(&user.access), PREPARE, json!({ "input": announcement(&rita.kyc_id, &pdf()) }))
            .await;
        let url = prepared.entity("kycDocumentUploadPrepare", "target")["url"].as_str().unwrap().to_owned();
        assert_eq!(upload(&url, pdf()).await.status, 200);
        let seen = documents_as(&app, &user.access, &rita.kyc_id).await;
        let told: Vec<[&Value; 3]> =
            seen.as_array().unwrap().iter().map(|one| [&one["name"], &one["notes"], &one["url"]]).collect();
        let (name, notes, none) = (json!(NAME), json!(NOTES), json!(null));
        assert_eq!(
            told,
            [[&name, &none, &none], [&name, &notes, &none], [&name, &notes, &none]],
            "a user must not see the notes of others"
        );
        let document = "query($id: ID!) { node(id: $id) { id } }";
        let id = &seen[0]["id"];
        assert_eq!(
            app.gql_as(Some(&user.access), document, json!({ "id": id })).await.data()["node"]["id"],
            *id
        );
        assert_eq!(
            app.gql_as(Some(&another.access), document, json!({ "id": id })).await.data()["node"],
            json!(null)
        );
        let refused =
            send(app.anonymous("POST", &rita.path()).bearer_auth(&another.access).json(&documented(&pdf())))
                .await;
        assert_eq!(refused.status, 404);
        let refused = app
            .gql_as(Some(&another.access), PREPARE, json!({ "input": announcement(&rita.kyc_id, &pdf()) }))
            .await;
        assert_eq!(refused.user_error("kycDocumentUploadPrepare")["code"], "NOT_FOUND");
        assert_eq!(counts(&app).await, (3, 3));
    }
}

/// Two hundred concurrent uploads need no more memory than a few: the rest are refused with `retry-after`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_uploads_need_little_memory() {
    const AT_ONCE: usize = 200;
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let documents = folder.0.join("documents");
    let server = Process::start_with(&database_url, |command| {
        command.args(["serve", "--empty"]).env("COFFER_DOCUMENTS", &documents)
    })
    .await;
    let (client, key) = (client(), create_key(&database_url));
    let mut paths = Vec::new();
    for _ in 0..AT_ONCE / 20 {
        let create = client.post(format!("{}/graphql", server.url)).bearer_auth(&key);
        let created = send(
            create.json(&json!({ "query": USER_CREATE, "variables": { "input": person("Rita", "Review") } })),
        )
        .await;
        let token = created.entity("userCreate", "user")["kyc"]["token"].as_str().unwrap().to_owned();
        paths.push(format!("{}/v1/kyc/{token}/documents", server.url));
    }
    let body = axum::body::Bytes::from(documented(&long(10 * MIB)).to_string());
    let (before, _) = server.resident();
    let uploads = join_all((0..AT_ONCE).map(|turn| {
        let request = client
            .post(&paths[turn % paths.len()])
            .bearer_auth(&key)
            .header("content-type", "application/json");
        send(request.body(body.clone()).timeout(Duration::from_secs(600)))
    }));
    let others = async {
        let mut answered = 0;
        for _ in 0..20 {
            let list = client
                .get(format!("{}/v1/orders", server.url))
                .bearer_auth(&key)
                .timeout(Duration::from_secs(600));
            answered += usize::from(send(list).await.status == 200);
        }
        answered
    };
    let (answers, answered) = tokio::join!(uploads, others);
    let (after, peak) = server.resident();
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    let told = json!({ "error": { "type": "api_error", "message": "The server is busy; try again." } });
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // On an overloaded machine, a body may stall until the request times out.
        if answer.status == 408 {
            continue;
        }
        assert_eq!(
            (answer.status, &answer.body, &answer.headers["retry-after"]),
            (503, &told, &"1".parse().unwrap())
        );
    }
    let mib = |bytes: u64| bytes >> 20;
    eprintln!(
        "{stored} of {AT_ONCE} stored; {} MiB before, at most {} during, {} after",
        mib(before),
        mib(peak),
        mib(after)
    );
    assert!((1..AT_ONCE).contains(&stored), "{stored} were stored");
    assert_eq!(answered, 20, "other requests must succeed during the uploads");
    assert!(peak < before + (400 << 20), "{} MiB before, {} MiB at most", mib(before), mib(peak));
    assert_eq!(files_under(&documents).len(), stored, "a refused upload must leave no file");
    // A later request succeeds.
    let again = client
        .post(&paths[0])
        .bearer_auth(&key)
        .header("content-type", "application/json")
        .body(body.clone());
    let again = send(again).await;
    assert!([200, 402].contains(&again.status), "{}", again.body);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_stored_beside_the_database_by_default() {
    let folder = Folder::new();
    let database_url = format!("sqlite:{}", folder.0.join("coffer.db").display());
    let server = Process::start(&database_url, &["serve", "--empty"]).await;
    let (client, key) = (client(), create_key(&database_url));
    let create = client.post(format!("{}/graphql", server.url)).bearer_auth(&key);
    let created = send(
        create.json(&json!({ "query": USER_CREATE, "variables": { "input": person("Rita", "Review") } })),
    )
    .await;
    let token = created.entity("userCreate", "user")["kyc"]["token"].as_str().unwrap().to_owned();
    assert!(!folder.0.join("documents").exists(), "the folder is created when it is first needed");
    let upload = client.post(format!("{}/v1/kyc/{token}/documents", server.url)).bearer_auth(&key);
    assert_eq!(send(upload.json(&documented(&pdf()))).await.status, 200);
    assert_eq!(files_under(&folder.0.join("documents")).len(), 1);
}
