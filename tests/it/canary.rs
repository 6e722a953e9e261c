//! Sends known sensitive values through every API in good and in bad requests, then searches for them in the
//! log, the responses and the database.

use crate::support::{
    ACCOUNT_OPEN, BANK_ACCOUNT_LINK, DEPOSIT_CREATE, USER_CREATE, cash_account, databases, person,
    process::{Process, coffer},
    socket::Socket,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use domain::kernel::db::Db;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

mod accounts;
mod people;
mod statements;

const SSN: &str = "518273946";
const BIRTH_DATE: &str = "1987-03-19";
const PHONE: &str = "4155550163";
const BANK_NUMBER: &str = "80931746625";
const DOCUMENT_NAME: &str = "drivers license scan 93b1e7";
const DOCUMENT_NOTES: &str = "handed over at the counter 5c02d8";
const DOCUMENT_BYTES: &str = "a face and an address 41fe60";
const DATABASE_PASSWORD: &str = "correct-horse-9d41c7";
const ENCRYPTION_KEY: &str = "5b1d0c83e6f2947ac81e35d07b96f4a2cd5e08713a69bf24d1c07e5892b36f0a";
const NEXT_ENCRYPTION_KEY: &str = "0e7c25a9d83b61f4925de0c7a4183f6b7d2a90c5e14f8b36027db9a5c6e318f4";

/// A sensitive value, and whether responses may contain it.
struct Planted {
    what: &'static str,
    value: String,
    /// Whether a successful response to the user may contain it, as the REST API documents.
    visible_to_the_owner: bool,
}

impl Planted {
    fn new(what: &'static str, value: &str) -> Self {
        Self { what, value: value.to_owned(), visible_to_the_owner: false }
    }

    fn visible_to_the_owner(self) -> Self {
        Self { visible_to_the_owner: true, ..self }
    }

    /// Returns the encodings in which a log, a dump or a file may contain the value.
    fn variants(&self) -> Vec<Vec<u8>> {
        let digits: String = self.value.chars().filter(char::is_ascii_digit).collect();
        let mut texts = vec![self.value.clone()];
        if self.value.chars().all(|c| c.is_ascii_digit() || c == '-') {
            texts.push(digits.clone());
        }
        match (self.what, digits.split_at_checked(3)) {
            ("SSN", Some((area, rest))) => texts.push(format!("{area}-{}-{}", &rest[..2], &rest[2..])),
            ("phone", Some((area, rest))) => texts.extend([
                format!("{area}-{}-{}", &rest[..3], &rest[3..]),
                format!("({area}) {}-{}", &rest[..3], &rest[3..]),
                format!("{area}.{}.{}", &rest[..3], &rest[3..]),
            ]),
            ("birth date", _) => texts.push(format!("{}/{}/{}", &digits[4..6], &digits[6..], &digits[..4])),
            _ => {}
        }
        let mut variants = Vec::new();
        for text in texts {
            let bytes = text.as_bytes();
            let list = format!("{bytes:?}");
            variants.push(hex::encode(bytes));
            variants.push(hex::encode(bytes).to_uppercase());
            variants.push(list.trim_matches(['[', ']']).to_owned());
            variants.push(list.trim_matches(['[', ']']).replace(' ', ""));
            // In longer text, base64 has one of three forms; the characters at the ends depend on the
            // adjacent bytes.
            for shift in 0..3 {
                let encoded = STANDARD_NO_PAD.encode([&vec![b' '; shift], bytes].concat());
                let inner = encoded
                    .get(if shift == 0 { 0 } else { shift + 1 }..encoded.len() - 1)
                    .unwrap_or_default();
                variants.push(inner.to_owned());
            }
            variants.push(text);
        }
        if let (64, Ok(key)) =
            (self.value.len(), u8::from_str_radix(self.value.get(..2).unwrap_or_default(), 16))
        {
            let bytes: Vec<u8> =
                (0..32).map(|at| u8::from_str_radix(&self.value[2 * at..2 * at + 2], 16).unwrap()).collect();
            assert_eq!(bytes[0], key);
            variants.push(format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
            variants.push(STANDARD_NO_PAD.encode(&bytes));
            return variants.into_iter().map(String::into_bytes).chain([bytes]).collect();
        }
        variants.into_iter().map(String::into_bytes).collect()
    }
}

fn found(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Returns every planted value that occurs in this place, with the surrounding text.
fn leaks(planted: &[&Planted], place: &str, haystack: &[u8]) -> Vec<String> {
    let mut leaks = Vec::new();
    for value in planted {
        for variant in value.variants() {
            if let Some(at) = found(haystack, &variant) {
                let around = &haystack[at.saturating_sub(150)..(at + variant.len() + 60).min(haystack.len())];
                leaks.push(format!("{} in {place}: {}", value.what, String::from_utf8_lossy(around)));
            }
        }
    }
    leaks
}

/// Finds six digits that are separate: not part of a longer number or word, nor the fraction of a second.
fn separate_digits(digits: &str, place: &str, haystack: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(haystack);
    let is_boundary = |character: Option<char>| {
        character.is_none_or(|c| !c.is_alphanumeric() && c != '.' && c != '\u{fffd}')
    };
    let is_separate = |(at, _): &(usize, &str)| {
        is_boundary(text[..*at].chars().next_back()) && is_boundary(text[at + digits.len()..].chars().next())
    };
    text.match_indices(digits)
        .filter(is_separate)
        .map(|(at, _)| format!("the passcode in {place} at {at}"))
        .collect()
}

/// One response, and whether it was a refusal or an error.
struct Recorded {
    request: String,
    text: String,
    refused: bool,
}

/// A client that sends the planted values and records the responses.
struct Sender {
    client: reqwest::Client,
    url: String,
    key: String,
    answers: Vec<Recorded>,
}

impl Sender {
    /// Sends a request and records the status, the body and the headers of the response.
    async fn send(&mut self, what: &str, request: reqwest::RequestBuilder) -> Value {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), format!("{:?}", response.headers()));
        let text = response.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let errors =
            body["data"].as_object().into_iter().flatten().any(|(_, payload)| {
                payload["userErrors"].as_array().is_some_and(|errors| !errors.is_empty())
            });
        let refused = !status.is_success() || body.get("errors").is_some() || errors;
        self.answers.push(Recorded {
            request: what.to_owned(),
            text: format!("{status} {headers} {text}"),
            refused,
        });
        body
    }

    async fn gql(&mut self, what: &str, query: &str, variables: Value) -> Value {
        let request = self.client.post(format!("{}/graphql", self.url)).bearer_auth(&self.key);
        self.send(what, request.json(&json!({ "query": query, "variables": variables }))).await
    }

    async fn rest(&mut self, what: &str, path: &str, idempotency_key: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        self.send(what, request.header("idempotency-key", idempotency_key).json(&body)).await
    }

    #[track_caller]
    fn last_was_refused(&self) {
        let last = self.answers.last().unwrap();
        assert!(last.refused, "{} was not refused: {}", last.request, last.text);
    }

    #[track_caller]
    fn last_succeeded(&self) {
        let last = self.answers.last().unwrap();
        assert!(!last.refused, "{} was refused: {}", last.request, last.text);
    }
}

/// Input for userCreate with planted values.
fn planted_person() -> Value {
    let mut input = person("Grace", "Hopper");
    input["ssn"] = json!(SSN);
    input["birthDate"] = json!(BIRTH_DATE);
    input["phone"] = json!(PHONE);
    input
}

/// The same as a body of the REST API.
fn documented_person() -> Value {
    json!({
        "first_name": "Grace", "last_name": "Hopper", "email_address": "grace@example.com", "ssn_number": SSN,
        "birth_date": BIRTH_DATE,
        "phone_number": PHONE, "address_line_1": "123 Test St", "address_city": "Richmond", "address_state": "VA",
        "address_postal_code": "23220", "address_country_code": "US",
    })
}

async fn good_requests(sender: &mut Sender) -> String {
    let user = sender.gql("userCreate", USER_CREATE, json!({ "input": planted_person() })).await;
    sender.last_succeeded();
    let user_id = user["data"]["userCreate"]["user"]["id"].as_str().unwrap().to_owned();
    let literal = format!(
        r#"mutation {{ userCreate(input: {{ firstName: "Grace", lastName: "Hopper", email: "g@example.com",
            phone: "{PHONE}", ssn: "{SSN}",
        birthDate: "{BIRTH_DATE}", address: {{ line1: "1 St", city: "Richmond", state: "VA", postalCode: "23220" }} }})
        {{ user {{ id phoneLast4 }} userErrors {{ message }} }} }}"#
    );
    sender.gql("userCreate as literals", &literal, json!({})).await;
    sender.last_succeeded();
    sender.rest("POST /v1/users", "/v1/users", "person-1", documented_person()).await;
    sender.last_succeeded();
    sender.rest("POST /v1/users again", "/v1/users", "person-1", documented_person()).await;
    sender.last_succeeded();
    let account = sender.gql("accountOpen", ACCOUNT_OPEN, json!({ "input": cash_account(&user_id) })).await;
    let account_id = account["data"]["accountOpen"]["account"]["id"].clone();
    let bank = json!({ "userId": user_id, "number": BANK_NUMBER, "routingNumber": "121042882",
        "nickname": "Checking" });
    let bank = sender.gql("bankAccountLink", BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
    sender.last_succeeded();
    let bank_id = bank["data"]["bankAccountLink"]["bankAccount"]["id"].clone();
    let path = format!("/v1/users/{user_id}/bank_accounts");
    let bank = json!({ "bank_account_number": BANK_NUMBER, "bank_routing_number": "121042882",
        "bank_account_nickname": "Checking" });
    for turn in ["POST bank_accounts", "POST bank_accounts again"] {
        let linked = sender.rest(turn, &path, "bank-1", bank.clone()).await;
        assert_eq!(linked["bank_account_number"], BANK_NUMBER);
    }
    let deposit = json!({ "idempotencyKey": "deposit-1", "accountId": account_id, "bankAccountId": bank_id,
        "amount": { "amount": "10.00" } });
    sender.gql("depositCreate", DEPOSIT_CREATE, json!({ "input": deposit })).await;
    sender.last_succeeded();
    let get =
        sender.client.get(format!("{}/v1/users/{user_id}", sender.url)).basic_auth(&sender.key, None::<&str>);
    let read = sender.send("GET /v1/users/{id}", get).await;
    assert_eq!(read["phone_number"], PHONE);
    sender.gql("users", "{ users(first: 5) { edges { node { firstName phoneLast4 } } } }", json!({})).await;
    sender.last_succeeded();
    user_id
}

async fn bad_requests(sender: &mut Sender, user_id: &str) {
    let bank = json!({ "userId": user_id, "number": BANK_NUMBER, "routingNumber": "121042882",
        "nickname": "Checking" });
    for (what, field, value) in [
        ("a bad routing number", "routingNumber", json!("121042883")),
        ("an over-long nickname", "nickname", json!("n".repeat(101))),
        ("an over-long number", "number", json!(format!("{BANK_NUMBER}{BANK_NUMBER}"))),
        ("a number as number", "number", json!(BANK_NUMBER.parse::<u64>().unwrap())),
        ("a number in a list", "number", json!([BANK_NUMBER])),
        ("a number for a nickname", "nickname", json!({ "number": BANK_NUMBER })),
        ("an id that is a number", "userId", json!(BANK_NUMBER)),
    ] {
        let mut input = bank.clone();
        input[field] = value;
        sender.gql(what, BANK_ACCOUNT_LINK, json!({ "input": input })).await;
        if what != "a number in a list" {
            sender.last_was_refused();
        }
    }
    for (what, field, value) in [
        ("an SSN as number", "ssn", json!(SSN.parse::<u64>().unwrap())),
        ("an SSN with a letter", "ssn", json!(format!("{SSN}x"))),
        ("an SSN in an object", "ssn", json!({ "ssn": SSN })),
        ("an invalid date", "birthDate", json!(format!("{BIRTH_DATE}T00:00"))),
        ("a date in an object", "birthDate", json!({ "day": BIRTH_DATE })),
        ("an over-long phone", "phone", json!(PHONE.repeat(5))),
        ("a phone as number", "phone", json!(PHONE.parse::<u64>().unwrap())),
        ("an address as text", "address", json!(SSN)),
        (
            "a state that is a number",
            "address",
            json!({ "line1": SSN, "city": SSN, "state": SSN, "postalCode": SSN }),
        ),
        ("a blank name", "firstName", json!("")),
        ("a name that is a list of numbers", "firstName", json!([SSN.parse::<u64>().unwrap()])),
    ] {
        let mut input = planted_person();
        input[field] = value;
        sender.gql(what, USER_CREATE, json!({ "input": input })).await;
        sender.last_was_refused();
    }
    for (what, field, value) in [
        ("REST: an SSN as number", "ssn_number", json!(SSN.parse::<u64>().unwrap())),
        ("REST: an SSN with a letter", "ssn_number", json!(format!("{SSN}x"))),
        ("REST: an invalid date", "birth_date", json!(format!("{BIRTH_DATE}T00:00"))),
        ("REST: a phone in a list", "phone_number", json!([PHONE])),
        ("REST: an over-long phone", "phone_number", json!(PHONE.repeat(5))),
        ("REST: an invalid email address", "email_address", json!(SSN)),
    ] {
        let mut body = documented_person();
        body[field] = value;
        sender.rest(what, "/v1/users", "refused", body).await;
        sender.last_was_refused();
    }
    let path = format!("/v1/users/{user_id}/bank_accounts");
    for (what, number, routing) in [
        ("REST: a bad routing number", json!(BANK_NUMBER), "121042883"),
        ("REST: a number as number", json!(BANK_NUMBER.parse::<u64>().unwrap()), "121042882"),
        ("REST: an over-long number", json!(BANK_NUMBER.repeat(2)), "121042882"),
    ] {
        let body = json!({ "bank_account_number": number, "bank_routing_number": routing,
            "bank_account_nickname": "Checking" });
        sender.rest(what, &path, "refused", body).await;
        sender.last_was_refused();
    }
    for value in [json!(SSN), json!(SSN.parse::<u64>().unwrap()), json!({ "SSN": SSN })] {
        let mut input = cash_account(user_id);
        input["type"] = value;
        sender.gql("an enum value that is none", ACCOUNT_OPEN, json!({ "input": input })).await;
        sender.last_was_refused();
    }
    let texts = [
        format!(
            r#"mutation {{ accountOpen(input: {{ userId: "{user_id}", type: "{SSN}" }}) {{ account {{ id }} }} }}"#
        ),
        format!(
            r#"mutation {{ accountOpen(input: {{ userId: "{user_id}", type: A{PHONE} }}) {{ account {{ id }} }} }}"#
        ),
        format!(
            r#"mutation {{ userCreate(input: {{ ssn: "{SSN}", birthDate: "{BIRTH_DATE}" phone: "{PHONE} }}"#
        ),
        format!(
            r"mutation {{ userCreate(input: {{ ssn: {SSN}, birthDate: {BIRTH_DATE}, phone: {PHONE} }}) {{
                user {{ id }} }} }}"
        ),
        format!(r#"{{ user(id: "{SSN}", phone: "{PHONE}") {{ id }} }}"#),
        format!("{{ users(first: {BANK_NUMBER}) {{ edges {{ node {{ id }} }} }} }}"),
        format!(r#"{{ users(first: "{BANK_NUMBER}") {{ edges {{ node {{ id }} }} }} }}"#),
        format!(r"query($ssn: String = {SSN}) {{ users(first: 1) {{ edges {{ node {{ id }} }} }} }}"),
    ];
    for text in texts {
        sender.gql(&text.replace(SSN, "…"), &text, json!({})).await;
        sender.last_was_refused();
        let written = |byte: u8| {
            if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        let query: String = text.bytes().map(written).collect();
        let get = sender.client.get(format!("{}/graphql?query={query}", sender.url)).bearer_auth(&sender.key);
        sender.send("the same by GET", get).await;
        sender.last_was_refused();
    }
    for path in ["/graphql", "/v1/users"] {
        for text in [
            format!(r#"{{ "ssn": "{SSN}", "phone": {PHONE}"#),
            format!(r#""{SSN}""#),
            format!("{SSN}{PHONE}"),
            format!("ssn={SSN}"),
        ] {
            let request = sender.client.post(format!("{}{path}", sender.url)).bearer_auth(&sender.key);
            sender
                .send("a body that is no JSON", request.header("content-type", "application/json").body(text))
                .await;
            sender.last_was_refused();
        }
    }
    bad_credentials(sender).await;
}

/// Sends requests that fail inside the server: two columns are renamed meanwhile, and a ciphertext is stored
/// in the wrong column.
async fn faults(sender: &mut Sender, database_url: &str, user_id: &str) {
    let db = Db::open(database_url).await.unwrap();
    let alter = async |text: &str| db.for_migrations().execute_unprepared(text).await.unwrap();
    alter("ALTER TABLE users RENAME COLUMN email TO mail").await;
    sender.gql("a user that cannot be stored", USER_CREATE, json!({ "input": planted_person() })).await;
    sender.last_was_refused();
    sender.rest("REST: a user that cannot be stored", "/v1/users", "fault", documented_person()).await;
    sender.last_was_refused();
    alter("ALTER TABLE users RENAME COLUMN mail TO email").await;
    alter("ALTER TABLE bank_account RENAME COLUMN nickname TO name").await;
    let body = json!({ "bank_account_number": BANK_NUMBER, "bank_routing_number": "121042882",
        "bank_account_nickname": "Checking" });
    sender
        .rest(
            "REST: a bank account that cannot be stored",
            &format!("/v1/users/{user_id}/bank_accounts"),
            "fault",
            body,
        )
        .await;
    sender.last_was_refused();
    alter("ALTER TABLE bank_account RENAME COLUMN name TO nickname").await;
    alter("UPDATE users SET phone = ssn").await;
    sender
        .gql(
            "a phone number that cannot be decrypted",
            "{ users(first: 5) { edges { node { phoneLast4 } } } }",
            json!({}),
        )
        .await;
    sender.last_was_refused();
    let get = sender.client.get(format!("{}/v1/users/{user_id}", sender.url)).bearer_auth(&sender.key);
    sender.send("REST: a phone number that cannot be decrypted", get).await;
    sender.last_was_refused();
}

/// Uploads a document through both APIs, reads it, and sends several requests that are refused.
async fn documents(sender: &mut Sender, database_url: &str) {
    let mut input = planted_person();
    input["lastName"] = json!("Review");
    let create = USER_CREATE.replace("kyc { token", "kyc { id token");
    let made = sender.gql("a person to review", &create, json!({ "input": input })).await;
    let check = made["data"]["userCreate"]["user"]["kyc"].clone();
    let path = format!("/v1/kyc/{}/documents", check["token"].as_str().unwrap());
    let data = format!("%PDF-1.7 {DOCUMENT_BYTES}");
    let body = json!({ "name": DOCUMENT_NAME, "type": "license", "notes": DOCUMENT_NOTES,
        "data": STANDARD.encode(&data) });
    for turn in ["POST documents", "POST documents again"] {
        sender.rest(turn, &path, "document-1", body.clone()).await;
        sender.last_succeeded();
    }
    for (what, field, value) in [
        ("a document of an unknown format", "data", json!(STANDARD.encode(DOCUMENT_BYTES))),
        ("a document that is not base64", "data", json!(DOCUMENT_BYTES)),
        ("a document in a list", "data", json!([DOCUMENT_BYTES])),
        ("a document of another kind", "type", json!(DOCUMENT_NAME)),
        ("a document of another extension", "extension", json!(DOCUMENT_NOTES)),
        ("a document with a long name", "name", json!(DOCUMENT_NAME.repeat(10))),
        ("a document with long notes", "notes", json!(DOCUMENT_NOTES.repeat(70))),
    ] {
        let mut wrong = body.clone();
        wrong[field] = value;
        sender.rest(what, &path, "refused", wrong).await;
        sender.last_was_refused();
    }
    let prepare = "mutation($input: KycDocumentUploadPrepareInput!) { kycDocumentUploadPrepare(input: \
        $input) { target { url } userErrors { message } } }";
    let input = json!({
        "kycId": check["id"], "name": DOCUMENT_NAME, "notes": DOCUMENT_NOTES, "type": "LICENSE",
        "contentType": "application/pdf", "byteSize": data.len(),
    });
    let prepared = sender.gql("kycDocumentUploadPrepare", prepare, json!({ "input": input })).await;
    sender.last_succeeded();
    let url = prepared["data"]["kycDocumentUploadPrepare"]["target"]["url"].as_str().unwrap().to_owned();
    for (what, address, data) in [
        ("a prepared document of an unknown format", url.clone(), DOCUMENT_BYTES.to_owned()),
        ("a prepared document that is too long", url.clone(), format!("{data}{DOCUMENT_BYTES}")),
        (
            "a prepared document at an altered address",
            format!("{url}{DOCUMENT_NAME}").replace(' ', "+"),
            data.clone(),
        ),
    ] {
        let request = sender.client.put(address).body(data);
        sender.send(what, request).await;
        sender.last_was_refused();
    }
    let request = sender.client.put(&url).body(data);
    sender.send("a prepared document", request).await;
    sender.last_succeeded();
    let look = "query($id: ID!) { node(id: $id) { id ... on Kyc { documents { name notes url } } } }";
    let seen = sender.gql("documents", look, json!({ "id": check["id"] })).await;
    let url = seen["data"]["node"]["documents"][0]["url"].as_str().unwrap().to_owned();
    let request = sender.client.get(&url);
    sender.send("a document", request).await;
    sender.last_succeeded();
    let db = Db::open(database_url).await.unwrap();
    db.for_migrations().execute_unprepared("UPDATE kyc_document SET name = content_key").await.unwrap();
    sender.gql("a document with a name that cannot be decrypted", look, json!({ "id": check["id"] })).await;
    sender.last_was_refused();
}

async fn bad_credentials(sender: &mut Sender) {
    let key = sender.key.clone();
    let cut = key[..key.len() - 1].to_owned();
    let doubled = format!("{key}{key}");
    for (path, presented) in
        [("/graphql", &cut), ("/graphql", &doubled), ("/v1/orders", &cut), ("/v1/orders", &doubled)]
    {
        for scheme in ["Bearer", "Basic", "Digest"] {
            let request = sender.client.get(format!("{}{path}?query={{__typename}}", sender.url));
            sender
                .send("a bad credential", request.header("authorization", format!("{scheme} {presented}")))
                .await;
            sender.last_was_refused();
        }
    }
    let twice =
        sender.client.get(format!("{}/v1/orders", sender.url)).bearer_auth(&key).header("bearer", &key);
    sender.send("two credentials", twice).await;
    sender.last_was_refused();
    for address in [format!("/v1/orders?key={key}"), format!("/v1/users/{SSN}"), format!("/{SSN}/{key}")] {
        let get = sender.client.get(format!("{}{address}", sender.url));
        sender.send("a secret in the address", get).await;
        sender.last_was_refused();
    }
}

/// Sends good and bad requests over a socket and records every message as a response.
async fn over_a_socket(sender: &mut Sender) {
    let key = sender.key.clone();
    for (presented, authorization) in
        [("a good key", format!("Bearer {key}")), ("a cut key", key[..key.len() - 1].to_owned())]
    {
        let mut socket = Socket::open_at(&sender.url).await;
        socket.say(json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await;
        let mut messages = format!("{:?}", socket.hear().await);
        if presented == "a good key" {
            let mut wrong = planted_person();
            wrong["ssn"] = json!(SSN.parse::<u64>().unwrap());
            for (id, input) in [("1", planted_person()), ("2", wrong)] {
                socket.subscribe(id, USER_CREATE, json!({ "input": input })).await;
                for _ in 0..2 {
                    messages +=
                        &format!("{:?}", socket.hear_within(std::time::Duration::from_millis(500)).await);
                }
            }
            socket.say_text(&format!("{{ {SSN} {PHONE}")).await;
            messages += &format!("{:?}", socket.closed().await);
        }
        sender.answers.push(Recorded {
            request: format!("a socket with {presented}"),
            text: messages,
            refused: true,
        });
    }
}

/// Returns every row of every table as text (PostgreSQL), or the database files (SQLite).
async fn database_of(url: &str) -> Vec<(String, Vec<u8>)> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let files = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{path}{end}")));
        let files = files.into_iter().filter(|file| file.exists());
        return files.map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect();
    }
    let db = Db::open(url).await.unwrap();
    let ask = async |text: String| {
        db.read.query_all_raw(Statement::from_string(DbBackend::Postgres, text)).await.unwrap()
    };
    let mut dump = Vec::new();
    for table in
        ask("SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'"
            .to_owned())
        .await
    {
        let table: String = table.try_get("", "name").unwrap();
        let rows = ask(format!("SELECT t::text AS line FROM \"{table}\" t")).await;
        let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "line").unwrap()).collect();
        dump.push((table, lines.join("\n").into_bytes()));
    }
    dump
}

/// Returns a command for the binary with the log at `trace`, written to a file.
fn with_trace_log(database_url: &str, log: &Path) -> Command {
    let mut command = coffer(database_url);
    let log = || Stdio::from(File::options().create(true).append(true).open(log).unwrap());
    command
        .env("COFFER_LOG", "trace")
        .env("COFFER_ENCRYPTION_KEY", ENCRYPTION_KEY)
        .stdout(log())
        .stderr(log());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensitive_values_do_not_leak() {
    for (database_url, folder) in databases().await {
        let log = folder.0.join("log");
        let created = with_trace_log(&database_url, &log)
            .args(["keys", "create"])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let key = String::from_utf8(created.stdout).unwrap().trim().to_owned();
        assert!(key.starts_with("sk_test_"), "{key}");

        let mut command = with_trace_log(&database_url, &log);
        let documents_folder = folder.0.join("documents");
        command.args(["serve", "--empty"]).env("COFFER_DOCUMENTS", &documents_folder);
        let server = Process::launch(command).await;
        let mut sender = Sender {
            client: crate::support::client(),
            url: server.url.clone(),
            key: key.clone(),
            answers: Vec::new(),
        };
        let user_id = good_requests(&mut sender).await;
        bad_requests(&mut sender, &user_id).await;
        let planted_in_statement = statements::download(&mut sender).await;
        let planted_in_accounts = accounts::open_joint_and_freeze(&mut sender, &user_id).await;
        over_a_socket(&mut sender).await;
        faults(&mut sender, &database_url, &user_id).await;
        documents(&mut sender, &database_url).await;
        let (planted_in_sign_in, passcode) = people::sign_in(&mut sender).await;
        let mut places = database_of(&database_url).await;
        let files = crate::compliance::kyc_documents::files_under(&documents_folder);
        assert_eq!(files.len(), 2);
        places.extend(files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap())));
        assert_eq!(server.terminate(), Some(0));

        for arguments in [&["audit"][..], &["doctor"]] {
            with_trace_log(&database_url, &log).args(arguments).status().unwrap();
        }
        for invalid_key in [format!("{ENCRYPTION_KEY}0"), ENCRYPTION_KEY.replace('0', "x")] {
            let status = with_trace_log(&database_url, &log)
                .env("COFFER_ENCRYPTION_KEY", invalid_key)
                .arg("serve")
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(1));
        }
        let unreachable = format!("postgres://coffer:{DATABASE_PASSWORD}@127.0.0.1:1/x");
        assert_eq!(with_trace_log(&unreachable, &log).arg("serve").status().unwrap().code(), Some(1));
        let mut rotate = with_trace_log(&database_url, &log);
        rotate
            .env("COFFER_ENCRYPTION_KEY", NEXT_ENCRYPTION_KEY)
            .env("COFFER_ENCRYPTION_KEY_PREVIOUS", ENCRYPTION_KEY);
        assert_eq!(rotate.args(["keys", "rotate-encryption"]).status().unwrap().code(), Some(1));
        places.extend(database_of(&database_url).await);

        let mut planted = vec![
            Planted::new("SSN", SSN),
            Planted::new("birth date", BIRTH_DATE),
            Planted::new("phone", PHONE).visible_to_the_owner(),
            Planted::new("bank account number", BANK_NUMBER).visible_to_the_owner(),
            Planted::new("document name", DOCUMENT_NAME).visible_to_the_owner(),
            Planted::new("document notes", DOCUMENT_NOTES).visible_to_the_owner(),
            Planted::new("document", DOCUMENT_BYTES).visible_to_the_owner(),
            Planted::new("API key", &key),
            Planted::new("API key without its checksum", &key[..key.len() - 6]),
            Planted::new("API key without its prefix", &key[16..]),
            Planted::new("encryption key", ENCRYPTION_KEY),
            Planted::new("next encryption key", NEXT_ENCRYPTION_KEY),
            Planted::new("database password", DATABASE_PASSWORD),
            Planted::new("kept answer", r#"{"Done":{"#),
        ];
        planted.extend(planted_in_sign_in);
        planted.extend(planted_in_accounts);
        planted.extend(planted_in_statement);
        let all: Vec<&Planted> = planted.iter().collect();
        let hidden_from_responses: Vec<&Planted> =
            planted.iter().filter(|planted| !planted.visible_to_the_owner).collect();
        let logged = fs::read(&log).unwrap();
        assert!(
            logged.len() > 1_000
                && ["TRACE", "a request failed", "unreadable and unchanged: users.phone of"]
                    .iter()
                    .all(|line| found(&logged, line.as_bytes()).is_some()),
            "{} bytes were logged",
            logged.len()
        );
        let mut leaked = leaks(&all, "the log", &logged);
        leaked.extend(separate_digits(&passcode, "the log", &logged));
        for (place, bytes) in &places {
            leaked.extend(leaks(&all, place, bytes));
            leaked.extend(separate_digits(&passcode, place, bytes));
        }
        assert!(
            places.iter().any(|(_, bytes)| found(bytes, b"Grace").is_some()),
            "the database was not read"
        );
        let mut refused = 0;
        for answer in &sender.answers {
            refused += usize::from(answer.refused);
            let planted = if answer.refused { &all } else { &hidden_from_responses };
            leaked.extend(leaks(planted, &answer.request, answer.text.as_bytes()));
        }
        assert!(refused > 50, "{refused} requests were refused");
        assert!(leaked.is_empty(), "{} leaks:\n{}", leaked.len(), leaked.join("\n"));
    }
}

#[test]
fn planted_values_are_found_in_every_encoding() {
    let ssn = Planted::new("SSN", SSN);
    for text in [
        format!("ssn: {SSN}"),
        "ssn 518-27-3946.".to_owned(),
        "[53, 49, 56, 50, 55, 51, 57, 52, 54]".to_owned(),
        format!(r"\x{}", hex::encode(SSN.as_bytes())),
        STANDARD_NO_PAD.encode(format!("a{SSN}b")),
        STANDARD_NO_PAD.encode(format!("ab{SSN}b")),
        STANDARD_NO_PAD.encode(format!("abc{SSN}b")),
    ] {
        assert!(!leaks(&[&ssn], "a text", text.as_bytes()).is_empty(), "{text}");
    }
    assert!(leaks(&[&ssn], "a text", b"518273947").is_empty());
    for (text, found) in
        [("code=123456", 1), ("(7,123456,8)", 1), ("12:00:00.123456Z", 0), ("51234567", 0), ("a123456b", 0)]
    {
        assert_eq!(separate_digits("123456", "a text", text.as_bytes()).len(), found, "{text}");
    }
    assert!(!leaks(&[&Planted::new("birth date", BIRTH_DATE)], "a text", b"born 03/19/1987").is_empty());
    assert!(!leaks(&[&Planted::new("phone", PHONE)], "a text", b"(415) 555-0163").is_empty());
}
