//! Who sees which rows: every table, every kind of caller, every way to read a row.
//!
//! `who_sees` writes down what each caller may see. Each way to read a table must show exactly that.

use crate::{
    compliance::screening::hit_of,
    delivery::messages::{mail, post},
    support::{
        ACCOUNT_OPEN, BANK_ACCOUNT_LINK, DEPOSIT_CREATE, ORDER_PLACE, TestApp, cash_account, on_both, send,
        socket::Socket,
    },
};
use domain::{
    Scope, Visible,
    kernel::{secrets::AssociatedData, visible::Owner},
};
use entity::{
    Kind, corporate_action, entitlement, kyc, kyc_document, kyc_review,
    message::{self, Status},
    screening_exception, screening_hit, settlement_violation,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};
use uuid::Uuid;

/// A table that an API shows, with what its rule says.
struct Table {
    name: &'static str,
    scope: Scope,
    node_scope: Scope,
    is_public: bool,
}

fn table<E: Visible>(name: &'static str) -> Table {
    let is_public = matches!(E::OWNER, Owner::Everyone);
    Table { name, scope: E::SCOPE, node_scope: E::NODE_SCOPE, is_public }
}

macro_rules! tables {
    (visible: $($visible:ident)* ; hidden: $($hidden:ident: $reason:literal,)*) => {
        /// Returns the tables that an API shows.
        fn visible_tables() -> Vec<Table> {
            vec![$(table::<entity::$visible::Entity>(stringify!($visible)),)*]
        }

        /// Tables whose rows no API shows, and why.
        const HIDDEN: &[(&str, &str)] = &[$((stringify!($hidden), $reason),)*];
    };
}

tables! {
    visible:
        account api_key bank_account corporate_action entitlement fill instrument invitation kyc kyc_document
        kyc_review lot_closing message order partner position screening_exception screening_hit settlement_violation
        statement tax_lot transfer user;
    hidden:
        audit_log: "read by operators from the database",
        bar: "shown as the bars of its instrument",
        chain_head: "proves that the logs are complete",
        data_key: "encrypts columns",
        event_stream: "counts the events of an object",
        event: "streams show it to those who see what it is about (`accounts::VisibleEvents`)",
        idempotency: "keeps responses for repeated requests",
        ledger_account: "balances of an account are computed from it",
        ledger_hold: "part of the ledger",
        ledger_release: "part of the ledger",
        ledger_transfer: "part of the ledger",
        limit_use: "counts requests and failed attempts",
        login: "passwords",
        meta: "state of the installation",
        order_book: "state of the matching of orders",
        order_lot: "which lots an order names; its sales show them",
        partner_symbol: "shown as the symbol of its instrument",
        passcode: "one-time passwords",
        quote_override: "shown as the quote of its instrument",
        recovery: "password recoveries",
        screening_run: "progress of an import, the same for every operator",
        second_factor: "a user shows which factors they have",
        session: "tokens of signed-in users",
        timer: "scheduled work",
        watch_list: "the imported lists, the same for every operator",
        watch_list_name: "part of a watch list",
}

/// Returns the callers that may see a row of John's, besides keys with another scope: the scope that a key
/// needs (`None` if everyone sees the row), and the users.
fn who_sees(table: &str) -> (Option<Scope>, &'static [&'static str]) {
    match table {
        "instrument" => (None, &[]),
        "user" | "bank_account" | "kyc" | "kyc_document" => (Some(Scope::Read), &["John"]),
        // John shares the account with Marry.
        "account"
        | "transfer"
        | "order"
        | "fill"
        | "position"
        | "tax_lot"
        | "lot_closing"
        | "entitlement"
        | "settlement_violation"
        | "statement" => (Some(Scope::Read), &["John", "Marry"]),
        "corporate_action" => (Some(Scope::Read), &["John", "Marry", "Eve"]),
        "partner" => (Some(Scope::Read), &[]),
        "invitation" => (Some(Scope::Manage), &[]),
        "api_key" | "kyc_review" | "message" | "screening_exception" | "screening_hit" => {
            (Some(Scope::Operate), &[])
        }
        _ => panic!("say who may see the table {table}"),
    }
}

/// Returns the names of the modules of `entity` that are tables.
fn entities() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("entity/src");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("table_name"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Collects the tables that have a rule in the sources of `domain`.
fn ruled(folder: &Path, found: &mut BTreeSet<String>) {
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            ruled(&file, found);
        } else {
            let text = std::fs::read_to_string(file).unwrap();
            let rules = text.split("impl Visible for ").skip(1).filter_map(|rest| rest.split("::").next());
            found.extend(rules.map(str::to_owned));
        }
    }
}

#[test]
fn every_table_has_a_rule_or_is_hidden() {
    let visible: BTreeSet<String> = visible_tables().iter().map(|table| table.name.to_owned()).collect();
    let hidden: BTreeSet<String> = HIDDEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(visible.is_disjoint(&hidden));
    let mut rules = BTreeSet::new();
    ruled(&Path::new(env!("CARGO_MANIFEST_DIR")).join("domain/src"), &mut rules);
    assert_eq!(rules, visible, "add the table to `visible` above");
    let all: BTreeSet<String> = &visible | &hidden;
    assert_eq!(all, entities(), "implement `Visible` for the table, or add it to `hidden` with a reason");
}

/// A caller of both APIs.
pub struct Caller {
    pub name: String,
    pub credential: Option<String>,
    /// Scopes over all rows of the partner.
    scopes: Vec<Scope>,
    /// The user, if their session has passed its second factor.
    user: Option<&'static str>,
}

impl Caller {
    /// Whether the caller may see John's row of this table.
    fn sees(&self, table: &str) -> bool {
        let (scope, users) = who_sees(table);
        scope.is_none_or(|scope| self.has(scope)) || self.user.is_some_and(|user| users.contains(&user))
    }

    fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the caller may use this scope at all, perhaps over their own data only.
    fn may(&self, scope: Scope) -> bool {
        self.has(scope) || self.user.is_some()
    }

    /// Whether `node` shows John's row of this table.
    fn sees_node(&self, table: &Table) -> bool {
        self.sees(table.name) && (table.is_public || self.may(table.node_scope))
    }
}

enum Request {
    Graphql(&'static str, Value),
    Rest(String),
}

/// A way to read a row.
struct Way {
    table: &'static str,
    /// The table of the row that leads to it, read with `node`.
    from: Option<&'static str>,
    request: Request,
    /// Text that shows the row.
    marker: String,
    /// Whether the row is only shown by rows that refer to it.
    unlisted: bool,
}

/// Rows of John's, of one partner.
pub struct Rows {
    pub ids: Vec<(&'static str, String)>,
    pub token: String,
    removed_bank_account: String,
    earlier_transfer: String,
    pending_message: String,
    rotated_key: String,
    waiting_review: String,
}

const REASON: &str = "Hidden reason";

impl Rows {
    fn id(&self, table: &str) -> &str {
        &self.ids.iter().find(|(name, _)| *name == table).unwrap_or_else(|| panic!("{table}")).1
    }

    fn ways(&self) -> Vec<Way> {
        let id = |table| self.id(table).to_owned();
        let graphql = |table, document| Way {
            table,
            from: None,
            request: Request::Graphql(document, json!({ "id": self.id(table) })),
            marker: id(table),
            unlisted: false,
        };
        let rest = |table, path: String| Way { request: Request::Rest(path), ..graphql(table, "") };
        let relation = |table, from, document| Way {
            from: Some(from),
            request: Request::Graphql(document, json!({ "id": self.id(from) })),
            ..graphql(table, "")
        };
        let node = "query($id: ID!) { node(id: $id) { id } }";
        let mut ways: Vec<Way> = visible_tables()
            .iter()
            .filter(|table| table.name != "screening_exception")
            .map(|table| Way { from: Some(table.name), ..graphql(table.name, node) })
            .collect();
        ways.extend([
            graphql("user", "query($id: ID!) { user(id: $id) { id } }"),
            graphql("user", "{ users { edges { node { id } } } }"),
            graphql("account", "query($id: ID!) { account(id: $id) { id } }"),
            graphql("account", "{ accounts { edges { node { id } } } }"),
            graphql("transfer", "query($id: ID!) { transfer(id: $id) { id } }"),
            graphql("order", "query($id: ID!) { order(id: $id) { id } }"),
            graphql("order", "{ orders { edges { node { id } } } }"),
            graphql("instrument", "{ instruments(first: 100) { edges { node { id } } } }"),
            graphql("instrument", "{ instrumentBySymbol(symbol: \"KO\") { id } }"),
            graphql("instrument", "query($id: ID!) { instrument(id: $id) { id } }"),
            graphql("corporate_action", "{ corporateActions { edges { node { id } } } }"),
            graphql("invitation", "{ invitations { edges { node { id } } } }"),
            graphql("message", "{ sandboxOutbox { edges { node { id } } } }"),
            graphql("api_key", "{ apiKeys { edges { node { id } } } }"),
            Way {
                marker: self.waiting_review.clone(),
                ..graphql("kyc_review", "{ kycReviews { edges { node { id } } } }")
            },
            Way {
                request: Request::Graphql(
                    "query($token: String!) { kycByToken(token: $token) { id } }",
                    json!({ "token": self.token }),
                ),
                ..graphql("kyc", "")
            },
            rest("user", format!("/v1/users/{}", id("user"))),
            rest("user", "/v1/users".to_owned()),
            rest("account", format!("/v1/accounts/{}", id("account"))),
            Way {
                from: Some("user"),
                ..rest("account", format!("/v1/users/{}/accounts", id("user")))
            },
            rest("bank_account", format!("/v1/bank_accounts/{}", id("bank_account"))),
            Way {
                from: Some("user"),
                ..rest("bank_account", format!("/v1/users/{}/bank_accounts", id("user")))
            },
            rest("order", format!("/v1/orders/{}", id("order"))),
            rest("order", "/v1/orders?status=all".to_owned()),
            rest("transfer", format!("/v1/deposits/{}", id("transfer"))),
            rest("transfer", "/v1/deposits".to_owned()),
            graphql("statement", "query($id: ID!) { statement(id: $id) { id } }"),
            rest("statement", format!("/v1/statements/{}", id("statement"))),
            rest("statement", "/v1/statements".to_owned()),
            Way {
                from: Some("transfer"),
                ..rest("bank_account", format!("/v1/deposits/{}", id("transfer")))
            },
            Way { marker: self.token.clone(), ..rest("kyc", format!("/v1/kyc/{}", self.token)) },
            relation("user", "account", "query($id: ID!) { node(id: $id) { ... on Account { owner { id } } } }"),
            relation("user", "kyc", "query($id: ID!) { node(id: $id) { ... on Kyc { user { id } } } }"),
            relation(
                "user",
                "bank_account",
                "query($id: ID!) { node(id: $id) { ... on BankAccount { owner { id } } } }",
            ),
            relation(
                "account",
                "user",
                "query($id: ID!) { node(id: $id) { ... on User { accounts { edges { node { id } } } } } }",
            ),
            relation("account", "order", "query($id: ID!) { node(id: $id) { ... on Order { account { id } } } }"),
            relation(
                "account",
                "transfer",
                "query($id: ID!) { node(id: $id) { ... on Transfer { account { id } } } }",
            ),
            relation(
                "account",
                "position",
                "query($id: ID!) { node(id: $id) { ... on Position { account { id } } } }",
            ),
            relation("account", "fill", "query($id: ID!) { node(id: $id) { ... on Fill { account { id } } } }"),
            relation(
                "bank_account",
                "user",
                "query($id: ID!) { node(id: $id) { ... on User { bankAccounts { edges { node { id } } } } } }",
            ),
            relation(
                "bank_account",
                "user",
                "query($id: ID!) { node(id: $id) { ... on User { defaultBankAccount { id } } } }",
            ),
            relation(
                "bank_account",
                "transfer",
                "query($id: ID!) { node(id: $id) { ... on Transfer { bankAccount { id } } } }",
            ),
            relation(
                "transfer",
                "bank_account",
                "query($id: ID!) { node(id: $id) { ... on BankAccount { transfers { edges { node { id } } } } } }",
            ),
            relation(
                "transfer",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { transfers { edges { node { id } } } } } }",
            ),
            relation(
                "order",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { orders { edges { node { id } } } } } }",
            ),
            relation("order", "fill", "query($id: ID!) { node(id: $id) { ... on Fill { order { id } } } }"),
            relation(
                "fill",
                "order",
                "query($id: ID!) { node(id: $id) { ... on Order { fills { edges { node { id } } } } } }",
            ),
            relation(
                "position",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { positions { edges { node { id } } } } } }",
            ),
            relation(
                "tax_lot",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { taxLots { edges { node { id } } } } } }",
            ),
            relation(
                "tax_lot",
                "lot_closing",
                "query($id: ID!) { node(id: $id) { ... on RealizedGain { lot { id } } } }",
            ),
            relation(
                "account",
                "lot_closing",
                "query($id: ID!) { node(id: $id) { ... on RealizedGain { account { id } } } }",
            ),
            relation(
                "lot_closing",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { realizedGains { edges { node { id } } } } } }",
            ),
            relation(
                "account",
                "tax_lot",
                "query($id: ID!) { node(id: $id) { ... on TaxLot { account { id } } } }",
            ),
            relation("fill", "tax_lot", "query($id: ID!) { node(id: $id) { ... on TaxLot { fill { id } } } }"),
            relation(
                "fill",
                "settlement_violation",
                "query($id: ID!) { node(id: $id) { ... on SettlementViolation { fill { id } } } }",
            ),
            relation(
                "settlement_violation",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { settlementViolations { edges { node { id } } } \
                    } } }",
            ),
            relation(
                "statement",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { statements { edges { node { id } } } } } }",
            ),
            relation(
                "account",
                "statement",
                "query($id: ID!) { node(id: $id) { ... on Statement { account { id } } } }",
            ),
            relation(
                "entitlement",
                "account",
                "query($id: ID!) { node(id: $id) { ... on Account { entitlements { edges { node { id } } } } } }",
            ),
            relation(
                "entitlement",
                "corporate_action",
                "query($id: ID!) { node(id: $id) { ... on CorporateAction { entitlements { edges { node { id } } } \
                    } } }",
            ),
            relation(
                "corporate_action",
                "entitlement",
                "query($id: ID!) { node(id: $id) { ... on Entitlement { corporateAction { id } } } }",
            ),
            relation(
                "corporate_action",
                "instrument",
                "query($id: ID!) { node(id: $id) { ... on Instrument { corporateActions { edges { node { id } } } \
                    } } }",
            ),
            relation("kyc", "user", "query($id: ID!) { node(id: $id) { ... on User { kyc { id } } } }"),
            relation(
                "kyc",
                "user",
                "query($id: ID!) { node(id: $id) { ... on User { kycHistory { edges { node { id } } } } } }",
            ),
            relation(
                "kyc",
                "screening_hit",
                "query($id: ID!) { node(id: $id) { ... on WatchListHit { kyc { id } } } }",
            ),
            relation(
                "kyc",
                "kyc_review",
                "query($id: ID!) { node(id: $id) { ... on KycReview { check { id } } } }",
            ),
            relation(
                "user",
                "kyc_review",
                "query($id: ID!) { node(id: $id) { ... on KycReview { user { id } } } }",
            ),
            relation(
                "kyc_review",
                "kyc",
                "query($id: ID!) { node(id: $id) { ... on Kyc { review { id } } } }",
            ),
            relation(
                "kyc_document",
                "kyc",
                "query($id: ID!) { node(id: $id) { ... on Kyc { documents { id } } } }",
            ),
            relation(
                "screening_hit",
                "kyc",
                "query($id: ID!) { node(id: $id) { ... on Kyc { watchListHits { id } } } }",
            ),
            Way {
                marker: REASON.to_owned(),
                ..relation(
                    "screening_exception",
                    "kyc",
                    "query($id: ID!) { node(id: $id) { ... on Kyc { watchListHits { exception { reason } } } } }",
                )
            },
            relation(
                "instrument",
                "order",
                "query($id: ID!) { node(id: $id) { ... on Order { instrument { id } } } }",
            ),
            Way {
                from: Some("api_key"),
                request: Request::Graphql(
                    "query($id: ID!) { node(id: $id) { ... on ApiKey { rotatedFrom { id } } } }",
                    json!({ "id": self.rotated_key }),
                ),
                ..graphql("api_key", "")
            },
        ]);
        // Rows that exist only for rows that refer to them.
        let removed = |way: Way| Way { marker: self.removed_bank_account.clone(), ..way };
        let unlisted = |way: Way| Way { unlisted: true, ..way };
        ways.extend([
            removed(Way {
                from: Some("transfer"),
                request: Request::Graphql(
                    "query($id: ID!) { node(id: $id) { ... on Transfer { bankAccount { id } } } }",
                    json!({ "id": self.earlier_transfer }),
                ),
                ..graphql("bank_account", "")
            }),
            removed(Way {
                from: Some("transfer"),
                ..rest("bank_account", format!("/v1/deposits/{}", self.earlier_transfer))
            }),
            unlisted(removed(Way {
                request: Request::Graphql(node, json!({ "id": self.removed_bank_account })),
                ..graphql("bank_account", "")
            })),
            unlisted(removed(rest(
                "bank_account",
                format!("/v1/bank_accounts/{}", self.removed_bank_account),
            ))),
            unlisted(removed(rest("bank_account", format!("/v1/users/{}/bank_accounts", id("user"))))),
            unlisted(removed(relation(
                "bank_account",
                "user",
                "query($id: ID!) { node(id: $id) { ... on User { bankAccounts { edges { node { id } } } } } }",
            ))),
            unlisted(Way {
                request: Request::Graphql(node, json!({ "id": self.pending_message })),
                marker: self.pending_message.clone(),
                ..graphql("message", "")
            }),
            unlisted(Way {
                marker: self.pending_message.clone(),
                ..graphql("message", "{ sandboxOutbox { edges { node { id } } } }")
            }),
        ]);
        ways
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn changed(app: &TestApp, field: &str, input_type: &str, entity: &str, input: Value) -> Value {
    let document = format!(
        "mutation($input: {input_type}!) {{ {field}(input: $input) {{ {entity} {{ id }} userErrors {{ code \
            path message }} }} }}"
    );
    app.gql(&document, json!({ "input": input })).await.entity(field, entity).clone()
}

/// Signs up a user with a second factor and completes their data, so that they are approved.
async fn signed_in(app: &TestApp, name: &str, phone: &str, ssn: &str) -> (String, String) {
    let person = app.person(&format!("{}@example.com", name.to_lowercase()), phone).await;
    let patch = json!({ "firstName": name, "lastName": "Carter", "ssn": ssn, "birthDate": "1985-01-23",
        "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220",
        "countryCode": "US" } });
    let input = json!({ "userId": person.user_id, "patch": patch });
    changed(app, "userUpdate", "UserUpdateInput", "user", input).await;
    (person.user_id, person.access)
}

async fn bank_account_of(app: &TestApp, user_id: &str) -> String {
    let input = json!({ "userId": user_id, "number": "4327843043", "routingNumber": "121042882",
        "nickname": "Checking" });
    let linked = app.gql(BANK_ACCOUNT_LINK, json!({ "input": input })).await;
    text(&linked.entity("bankAccountLink", "bankAccount")["id"])
}

/// Adds a document, a hit and an exception to an identity check.
async fn findings_of(app: &TestApp, kyc_id: &str) -> [(&'static str, String); 3] {
    let now = app.partner.clock_frozen_at.unwrap();
    let document = kyc_document::Model {
        id: app.app.ids.next(Kind::KycDocument),
        partner_id: app.partner.id,
        kyc_id: kyc_id.parse().unwrap(),
        token: "D-hidden".to_owned(),
        kind: kyc_document::DocumentKind::Passport,
        format: kyc_document::Format::Pdf,
        name: Vec::new(),
        extension: "pdf".to_owned(),
        notes: None,
        size: 1,
        content_key: Vec::new(),
        uploaded_by: None,
        uploaded_at: now,
    };
    let id = app.app.ids.next(Kind::ScreeningException);
    let column = "screening_exception.reason";
    let sealed = AssociatedData { column, row: id, partner: app.partner.id };
    let exception = screening_exception::Model {
        id,
        partner_id: app.partner.id,
        subject: vec![1; 32],
        source: "OFAC SDN".to_owned(),
        entry: 7,
        reason: app.app.vault.seal(sealed, REASON.as_bytes()).unwrap(),
        until: now.date_naive(),
        made_by: None,
        made_at: now,
    };
    let hit = hit_of(app, kyc_id).await;
    let tx = app.app.db.write().await.unwrap();
    let document = document.into_active_model().reset_all().insert(&tx).await.unwrap();
    let exception = exception.into_active_model().reset_all().insert(&tx).await.unwrap();
    let row =
        screening_hit::Entity::find_by_id(hit.parse::<Uuid>().unwrap()).one(&tx).await.unwrap().unwrap();
    let mut row = row.into_active_model();
    row.exception_id = Set(Some(exception.id));
    row.cleared_at = Set(Some(now));
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
    [
        ("kyc_document", document.id.to_string()),
        ("screening_exception", exception.id.to_string()),
        ("screening_hit", hit),
    ]
}

/// Adds a decided and a waiting review to an identity check and returns their ids.
async fn reviews_of(app: &TestApp, kyc_id: &str) -> (String, String) {
    let now = app.partner.clock_frozen_at.unwrap();
    let tx = app.app.db.write().await.unwrap();
    let check = kyc::Entity::find_by_id(kyc_id.parse::<Uuid>().unwrap()).one(&tx).await.unwrap().unwrap();
    let decided = kyc_review::Model {
        id: app.app.ids.next(Kind::KycReview),
        partner_id: app.partner.id,
        kyc_id: check.id,
        user_id: check.user_id,
        cause: kyc_review::Cause::Score,
        requested_at: now,
        outcome: Some(kyc::Outcome::Approved),
        reviewed_by: None,
        reviewed_at: Some(now),
        reason: None,
        ended_at: Some(now),
    };
    let waiting = kyc_review::Model {
        id: app.app.ids.next(Kind::KycReview),
        outcome: None,
        reviewed_at: None,
        ended_at: None,
        ..decided.clone()
    };
    let mut check = check.into_active_model();
    check.reviewed_at = Set(Some(now));
    check.update(&tx).await.unwrap();
    let decided = decided.into_active_model().reset_all().insert(&tx).await.unwrap();
    let waiting = waiting.into_active_model().reset_all().insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    (decided.id.to_string(), waiting.id.to_string())
}

/// Adds a violation of the settlement rules.
pub async fn violation_of(app: &TestApp, account: &str, fill: &str) -> String {
    let now = app.partner.clock_frozen_at.unwrap();
    let violation = settlement_violation::Model {
        id: app.app.ids.next(Kind::SettlementViolation),
        partner_id: app.partner.id,
        account_id: account.parse().unwrap(),
        kind: settlement_violation::ViolationKind::GoodFaith,
        fill_id: fill.parse().unwrap(),
        occurred_at: now,
        funds_settle_at: now,
    };
    let tx = app.app.db.write().await.unwrap();
    let violation = violation.into_active_model().reset_all().insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    violation.id.to_string()
}

/// Makes a statement of an account for the day on which it was opened.
pub async fn statement_of(app: &TestApp, account: &str) -> String {
    let input = json!({ "accountId": account, "periodStart": "2026-07-09", "periodEnd": "2026-07-09" });
    text(&changed(app, "statementCreate", "StatementCreateInput", "statement", input).await["id"])
}

/// Adds a dividend of an instrument and what an account is entitled to; returns both ids.
pub async fn dividend_of(app: &TestApp, account: &str, instrument: &str) -> [String; 2] {
    let now = app.partner.clock_frozen_at.unwrap();
    let day = now.date_naive();
    let action = corporate_action::Model {
        id: app.app.ids.next(Kind::CorporateAction),
        partner_id: app.partner.id,
        instrument_id: instrument.parse().unwrap(),
        kind: corporate_action::ActionKind::CashDividend,
        ex_on: day,
        record_on: Some(day),
        pay_on: Some(day),
        per_share: Some("0.01".parse().unwrap()),
        new_shares: None,
        old_shares: None,
        is_whole_shares: false,
        cash_price: None,
        symbol: None,
        created_at: now,
        processed_at: Some(now),
        processed_id: None,
    };
    let entitlement = entitlement::Model {
        id: app.app.ids.next(Kind::Entitlement),
        partner_id: app.partner.id,
        account_id: account.parse().unwrap(),
        corporate_action_id: action.id,
        instrument_id: action.instrument_id,
        quantity: "1".parse().unwrap(),
        new_quantity: None,
        cash: "0.01".parse().unwrap(),
        applied_at: None,
        reinvestment_id: None,
    };
    let tx = app.app.db.write().await.unwrap();
    let action = action.into_active_model().reset_all().insert(&tx).await.unwrap();
    let entitlement = entitlement.into_active_model().reset_all().insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    [action.id.to_string(), entitlement.id.to_string()]
}

/// Posts a message to the outbox and one that waits to be sent, and returns the ids of both.
async fn messages(app: &TestApp) -> (String, String) {
    let outbox = post(&app.app, &app.partner, mail("a@example.com", "Subject", "Words")).await.unwrap();
    let pending = post(&app.app, &app.partner, mail("b@example.com", "Subject", "Words")).await.unwrap();
    let tx = app.app.db.write().await.unwrap();
    let row = message::Entity::find_by_id(pending).one(&tx).await.unwrap().unwrap();
    let mut row = row.into_active_model();
    row.status = Set(Status::Pending);
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
    (outbox.to_string(), pending.to_string())
}

/// Creates a row of every table for John, who shares the account with Marry, and every kind of caller.
pub async fn rows_and_callers(app: &TestApp) -> (Rows, Vec<Caller>) {
    let (john, john_token) = signed_in(app, "John", "2025550141", "123456789").await;
    let (marry, marry_token) = signed_in(app, "Marry", "2025550142", "212345678").await;
    let (eve, eve_token) = signed_in(app, "Eve", "2025550143", "313456789").await;
    let mut joint = cash_account(&john);
    joint["ownership"] = json!("JOINT");
    joint["jointMember"] = json!({ "userId": marry });
    let account = app.gql(ACCOUNT_OPEN, json!({ "input": joint })).await;
    let account = text(&account.entity("accountOpen", "account")["id"]);
    let deposit = async |bank: &str| {
        let input = json!({ "idempotencyKey": bank, "accountId": account, "bankAccountId": bank,
            "amount": { "amount": "1000" } });
        let created = app.gql(DEPOSIT_CREATE, json!({ "input": input })).await;
        text(&created.entity("depositCreate", "transfer")["id"])
    };
    let (removed_bank_account, bank_account) =
        (bank_account_of(app, &john).await, bank_account_of(app, &john).await);
    let (earlier_transfer, transfer) = (deposit(&removed_bank_account).await, deposit(&bank_account).await);
    app.advance_to("2026-07-10T15:00:00Z").await;
    let by_id = json!({ "bankAccountId": bank_account });
    changed(app, "bankAccountSetDefault", "BankAccountSetDefaultInput", "bankAccount", by_id).await;
    let by_id = json!({ "bankAccountId": removed_bank_account });
    changed(app, "bankAccountRemove", "BankAccountRemoveInput", "bankAccount", by_id).await;
    let order = json!({ "idempotencyKey": "o", "accountId": account, "symbol": "KO", "side": "BUY",
        "quantity": "1" });
    let order = app.gql(ORDER_PLACE, json!({ "input": order })).await;
    let order = text(&order.entity("orderPlace", "order")["id"]);
    app.ended(&order).await;
    let sale = json!({ "idempotencyKey": "s", "accountId": account, "symbol": "KO", "side": "SELL",
        "quantity": "0.5" });
    let sale = app.gql(ORDER_PLACE, json!({ "input": sale })).await;
    app.ended(&text(&sale.entity("orderPlace", "order")["id"])).await;
    app.advance_to("2026-07-14T16:00:00Z").await;
    let invited = json!({ "email": "john@example.com" });
    let invitation = changed(app, "invitationCreate", "InvitationCreateInput", "invitation", invited).await;
    let found = "query($user: ID!, $account: ID!, $order: ID!) { user(id: $user) { kyc { id token } }
        account(id: $account) { positions { edges { node { id } } } taxLots { edges { node { id } } }
            realizedGains { edges { node { id } } } }
        order(id: $order) { instrument { id } fills { edges { node { id } } } }
        partner { id } apiKeys(last: 1) { edges { node { id } } } }";
    let found = app.gql(found, json!({ "user": john, "account": account, "order": order })).await;
    let found = found.data();
    let kyc = text(&found["user"]["kyc"]["id"]);
    let (outbox, pending_message) = messages(app).await;
    // A key that replaces the first one.
    let issued = json!({ "label": "old", "scopes": ["READ"] });
    let api_key = text(&changed(app, "apiKeyIssue", "ApiKeyIssueInput", "apiKey", issued).await["id"]);
    let rotated =
        changed(app, "apiKeyRotate", "ApiKeyRotateInput", "apiKey", json!({ "apiKeyId": api_key })).await;
    let fill = text(&found["order"]["fills"]["edges"][0]["node"]["id"]);
    let instrument = text(&found["order"]["instrument"]["id"]);
    let [corporate_action, entitlement] = dividend_of(app, &account, &instrument).await;
    let mut ids = vec![
        ("corporate_action", corporate_action),
        ("entitlement", entitlement),
        ("tax_lot", text(&found["account"]["taxLots"]["edges"][0]["node"]["id"])),
        ("lot_closing", text(&found["account"]["realizedGains"]["edges"][0]["node"]["id"])),
        ("settlement_violation", violation_of(app, &account, &fill).await),
        ("statement", statement_of(app, &account).await),
        ("user", john.clone()),
        ("account", account),
        ("bank_account", bank_account),
        ("transfer", transfer),
        ("fill", fill),
        ("instrument", instrument),
        ("order", order),
        ("position", text(&found["account"]["positions"]["edges"][0]["node"]["id"])),
        ("invitation", text(&invitation["id"])),
        ("message", outbox),
        ("partner", text(&found["partner"]["id"])),
        ("api_key", api_key),
    ];
    ids.extend(findings_of(app, &kyc).await);
    let (decided_review, waiting_review) = reviews_of(app, &kyc).await;
    ids.push(("kyc_review", decided_review));
    ids.push(("kyc", kyc));
    let rows = Rows {
        ids,
        token: text(&found["user"]["kyc"]["token"]),
        removed_bank_account,
        earlier_transfer,
        pending_message,
        rotated_key: text(&rotated["id"]),
        waiting_review,
    };

    let key = async |name: &str, scopes: &[Scope]| Caller {
        name: name.to_owned(),
        credential: Some(app.key_for(scopes).await),
        scopes: scopes.to_vec(),
        user: None,
    };
    let mut callers =
        vec![key("publishable key", &[Scope::Start]).await, key("all scopes", &Scope::ALL).await];
    for scope in Scope::ALL {
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        callers.push(key(&format!("only {}", scope.name()), &[scope]).await);
        callers.push(key(&format!("all but {}", scope.name()), &others).await);
    }
    let user = |user, credential| Caller {
        name: format!("{user} signed in"),
        credential: Some(credential),
        scopes: Vec::new(),
        user: Some(user),
    };
    callers.extend([user("John", john_token), user("Marry", marry_token), user("Eve", eve_token)]);
    let without_access =
        |name: &str, credential| Caller { name: name.to_owned(), credential, scopes: Vec::new(), user: None };
    let (_, other) = app.other_partner("another").await;
    app.customer_as(&other, "Zoe").await;
    callers.extend([
        without_access("no credentials", None),
        without_access("another partner", Some(other)),
        without_access("John without second factor", Some(app.signed_in("john@example.com").await.access)),
    ]);
    // The last events of each user and of the partner.
    for user in [eve, marry, john] {
        let input = json!({ "userId": user, "patch": { "phone": "2025550199" } });
        changed(app, "userUpdate", "UserUpdateInput", "user", input).await;
    }
    (rows, callers)
}

const EVENTS: &str = "subscription { events(after: \"0\") { type
    ... on OrderChangedEvent { order { id } account { id } }
    ... on TransferChangedEvent { transfer { id } account { id } }
    ... on TradeConfirmedEvent { fill { id } order { id } account { id } }
    ... on PositionChangedEvent { account { id } }
    ... on TradeSettledEvent { fill { id } order { id } account { id } }
    ... on StatementReadyEvent { statement { id } account { id } }
    ... on UserChangedEvent { user { id } }
    ... on KycChangedEvent { kyc { id } }
    ... on AccountChangedEvent { account { id } }
    ... on BankAccountChangedEvent { bankAccount { id } }
    ... on PartnerChangedEvent { partner { id } } } }";

/// Returns what a caller's event stream shows, up to their last event.
async fn event_stream(app: &TestApp, caller: &Caller, john: &str) -> String {
    let mut socket = Socket::join(app, caller.credential.as_deref()).await;
    socket.subscribe("1", EVENTS, json!({})).await;
    if !caller.may(Scope::Read) {
        // Only another partner receives events, which are its own; the last one is that of an identity check.
        let mut shown = String::new();
        loop {
            let message = socket.hear().await.unwrap();
            shown += &message.to_string();
            let payload = &message["payload"];
            let is_refused = message["type"] == "error" || payload.get("errors").is_some();
            assert_ne!(is_refused, caller.name == "another partner", "{}: {message}", caller.name);
            if is_refused || payload["data"]["events"]["type"] == "KYC_CREATED" {
                return shown;
            }
        }
    }
    let mut shown = String::new();
    let mut updates = 0;
    loop {
        let event = socket.next().await["events"].clone();
        shown += &event.to_string();
        // Each user has two updates: the first completed their data, the second is their last event.
        if event["type"] == "USER_UPDATED" && (caller.user.is_some() || event["user"]["id"] == john) {
            updates += 1;
        }
        if updates == 2 {
            return shown;
        }
    }
}

on_both! {
    async fn every_way_to_read_a_row_agrees_on_who_sees_it(app: TestApp) {
        let (rows, callers) = rows_and_callers(&app).await;
        let tables = visible_tables();
        let of = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
        for table in &tables {
            let (scope, _) = who_sees(table.name);
            assert_eq!(scope, Some(table.scope).filter(|_| !table.is_public), "{}", table.name);
            assert!(rows.ways().iter().any(|way| way.table == table.name), "{}", table.name);
        }
        let mut wrong = Vec::new();
        for caller in &callers {
            for way in rows.ways() {
                let (asked, status, shown) = match &way.request {
                    Request::Graphql(document, variables) => {
                        let credential = caller.credential.as_deref();
                        let answer = app.gql_as(credential, document, variables.clone()).await;
                        let failed = answer.body.get("errors").is_some();
                        assert!(!failed || caller.name != "all scopes", "{document}: {}", answer.body);
                        ((*document).to_owned(), answer.status, answer.body["data"].to_string())
                    }
                    Request::Rest(path) => {
                        let mut request = app.anonymous("GET", path);
                        if let Some(credential) = &caller.credential {
                            request = request.bearer_auth(credential);
                        }
                        let answer = send(request).await;
                        (path.clone(), answer.status, answer.body.to_string())
                    }
                };
                assert!(status < 500, "{} {asked}: {shown}", caller.name);
                let reaches = way.from.is_none_or(|from| caller.sees_node(of(from)));
                let expected = !way.unlisted && reaches && caller.sees(way.table);
                if shown.contains(&way.marker) != expected {
                    let found = if expected { "does not see" } else { "sees" };
                    wrong.push(format!("{} {found} the {} with {asked}: {shown}", caller.name, way.table));
                }
            }
            let stream = event_stream(&app, caller, rows.id("user")).await;
            for table in
                ["user", "kyc", "account", "bank_account", "transfer", "order", "fill", "statement", "partner"]
            {
                let expected = caller.may(Scope::Read) && caller.sees(table);
                if stream.contains(rows.id(table)) != expected {
                    let found = if expected { "does not show" } else { "shows" };
                    wrong.push(format!("the stream of {} {found} the {table}: {stream}", caller.name));
                }
            }
            let removed = caller.may(Scope::Read) && caller.sees("bank_account");
            assert_eq!(stream.contains(&rows.removed_bank_account), removed, "{}", caller.name);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
