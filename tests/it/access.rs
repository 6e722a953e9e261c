//! Access control: every root field, every REST route and every type of node, requested by every type of
//! caller.

use crate::{
    compliance::{kyc_documents, screening::hit_of},
    delivery::messages::{mail, post},
    support::{ORDER_PLACE, TestApp, USER_CREATE, cash_account, on_both, person, send, socket::Socket},
    visibility::{dividend_of, statement_of, violation_of},
};
use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use coffer::rest::{ROUTES, core::openapi};
use domain::Scope;
use entity::kyc_document;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

mod credentials;
pub mod generated;
mod keys;
mod partner_settings;
mod people;
mod second_factors;
pub mod tokens;

/// Objects that all users of a partner can see.
const SHARED: [&str; 2] = ["Instrument", "CorporateAction"];

/// Expected outcome for one caller.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// An error with this code, and no data.
    Code(&'static str),
    /// No error; the field is null.
    Null,
    /// No error; a list with a null for every id.
    Nulls,
    /// No error; a page without items.
    EmptyPage,
    /// A refusal NOT_FOUND with this field in its path.
    NotFound(&'static str),
    /// A refusal with this code.
    Refused(&'static str),
    /// Success: public data, or the caller's own.
    Answer,
}
use Outcome::{Answer, Code, NotFound, Null, Nulls, Refused};

const UNAUTHENTICATED: Outcome = Code("UNAUTHENTICATED");
const UNSCOPED: Outcome = Code("FORBIDDEN");

/// One root field, and what other callers get that request a partner's objects.
struct Case {
    field: &'static str,
    document: String,
    variables: Value,
    /// Scope that a key needs.
    scope: Option<Scope>,
    anonymous: Outcome,
    unscoped: Outcome,
    /// Outcome for a publishable key, which is public.
    publishable: Outcome,
    other: Outcome,
}

/// The objects of one partner, and every text that would reveal them.
struct PartnerData {
    ids: BTreeMap<&'static str, String>,
    /// Token of the identity check.
    token: String,
    markers: Vec<String>,
    /// Id of the identity check that waits for a review.
    reviewed: String,
    /// Id of the withdrawal, which is a transfer as the deposit is.
    withdrawal: String,
}

async fn partner_data(app: &TestApp) -> PartnerData {
    let mut zenobia = person("Zenobia", "Quartermaine");
    zenobia["email"] = json!("zenobia@quartermaine.example");
    zenobia["address"]["line1"] = json!("77 Hidden Lane");
    let user = app.gql(USER_CREATE, json!({ "input": zenobia })).await;
    let user_id = user.entity("userCreate", "user")["id"].as_str().unwrap().to_owned();
    let account = app.gql(crate::support::ACCOUNT_OPEN, json!({ "input": cash_account(&user_id) })).await;
    let account = account.entity("accountOpen", "account").clone();
    let bank = json!({ "userId": user_id, "number": "9988776655", "routingNumber": "121042882",
        "nickname": "Secret checking" });
    let bank = app.gql(crate::support::BANK_ACCOUNT_LINK, json!({ "input": bank })).await;
    let bank_id = bank.entity("bankAccountLink", "bankAccount")["id"].clone();
    let deposit = json!({ "idempotencyKey": "d", "accountId": account["id"], "bankAccountId": bank_id,
        "amount": { "amount": "1000" } });
    let deposit = app.gql(crate::support::DEPOSIT_CREATE, json!({ "input": deposit })).await;
    let transfer_id = deposit.entity("depositCreate", "transfer")["id"].clone();
    app.advance_to("2026-07-10T15:00:00Z").await;
    let order = json!({ "idempotencyKey": "o", "accountId": account["id"], "symbol": "VTI", "side": "BUY",
        "quantity": "0.5" });
    let order = app.gql(ORDER_PLACE, json!({ "input": order })).await;
    let order_id = order.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
    app.ended(&order_id).await;
    let sale = json!({ "idempotencyKey": "s", "accountId": account["id"], "symbol": "VTI", "side": "SELL",
        "quantity": "0.1" });
    let sale = app.gql(ORDER_PLACE, json!({ "input": sale })).await;
    app.ended(sale.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
    let withdrawal = json!({ "idempotencyKey": "withdrawal", "accountId": account["id"], "bankAccountId": bank_id,
        "amount": { "amount": "1" } });
    let withdrawal = app.gql(crate::support::WITHDRAWAL_CREATE, json!({ "input": withdrawal })).await;
    let withdrawal_id = withdrawal.entity("withdrawalCreate", "transfer")["id"].clone();
    let invite = "mutation($input: InvitationCreateInput!) { invitationCreate(input: $input) { invitation { \
        id } userErrors { code } } }";
    let invitation = app
        .gql(invite, json!({ "input": { "email": "zenobia@quartermaine.example", "userId": user_id } }))
        .await;
    let invitation = invitation.entity("invitationCreate", "invitation").clone();
    let rest = "query($user: ID!, $account: ID!, $order: ID!) { user(id: $user) { kyc { id token } }
        account(id: $account) { positions { edges { node { id } } } taxLots { edges { node { id } } } realizedGains { \
        edges { node { id } } } } order(id: $order) { fills { edges { \
        node { id } } } }
        instrumentBySymbol(symbol: \"VTI\") { id } partner { id } apiKeys(last: 1) { edges { node { id } } } }";
    let rest = app.gql(rest, json!({ "user": user_id, "account": account["id"], "order": order_id })).await;
    let rest = rest.data();
    let reviewed = kyc_documents::applicant(app, &app.key, "Review").await;
    let operator = app.key_for(&[Scope::Read, Scope::Operate]).await;
    let reviews = app.gql_as(Some(&operator), "{ kycReviews { edges { node { id } } } }", json!({})).await;
    let review_id = reviews.data()["kycReviews"]["edges"][0]["node"]["id"].as_str().unwrap().to_owned();
    let document = app.post(&reviewed.path(), kyc_documents::documented(b"%PDF-1.7 Hidden picture")).await;
    let document = kyc_document::Entity::find()
        .filter(kyc_document::Column::Token.eq(document.body["document_token"].as_str().unwrap()));
    let document = document.one(&app.app.db.read).await.unwrap().unwrap();
    let message_id =
        post(&app.app, &app.partner, mail("zenobia@quartermaine.example", "Hidden subject", "Hidden words"))
            .await
            .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let hit_id = hit_of(app, &text(&rest["user"]["kyc"]["id"])).await;
    let [corporate_action, entitlement] =
        dividend_of(app, &text(&account["id"]), &text(&rest["instrumentBySymbol"]["id"])).await;
    let ids: BTreeMap<&str, String> = [
        ("User", user_id),
        ("Account", text(&account["id"])),
        ("BankAccount", text(&bank_id)),
        ("Transfer", text(&transfer_id)),
        ("Order", order_id),
        ("Kyc", text(&rest["user"]["kyc"]["id"])),
        ("KycDocument", document.id.to_string()),
        ("KycReview", review_id),
        ("Position", text(&rest["account"]["positions"]["edges"][0]["node"]["id"])),
        ("Fill", text(&rest["order"]["fills"]["edges"][0]["node"]["id"])),
        ("TaxLot", text(&rest["account"]["taxLots"]["edges"][0]["node"]["id"])),
        ("RealizedGain", text(&rest["account"]["realizedGains"]["edges"][0]["node"]["id"])),
        (
            "SettlementViolation",
            violation_of(
                app,
                &text(&account["id"]),
                &text(&rest["order"]["fills"]["edges"][0]["node"]["id"]),
            )
            .await,
        ),
        ("Statement", statement_of(app, &text(&account["id"])).await),
        ("CorporateAction", corporate_action),
        ("Entitlement", entitlement),
        ("OutboxMessage", message_id.to_string()),
        ("WatchListHit", hit_id),
        ("Instrument", text(&rest["instrumentBySymbol"]["id"])),
        ("Partner", text(&rest["partner"]["id"])),
        ("Invitation", invitation["id"].as_str().unwrap().to_owned()),
        ("ApiKey", text(&rest["apiKeys"]["edges"][0]["node"]["id"])),
    ]
    .into();
    let mut markers: Vec<String> =
        ids.iter().filter(|(kind, _)| !SHARED.contains(kind)).map(|(_, id)| id.clone()).collect();
    markers.push(text(&withdrawal_id));
    markers.extend([text(&account["number"]), text(&rest["user"]["kyc"]["token"])]);
    markers.extend([reviewed.user_id, reviewed.kyc_id.clone(), reviewed.token, document.token]);
    markers.extend(
        [
            "Zenobia",
            "Quartermaine",
            "quartermaine.example",
            "Hidden Lane",
            "9988776655",
            "Secret checking",
            "Hidden ",
        ]
        .map(str::to_owned),
    );
    let token = text(&rest["user"]["kyc"]["token"]);
    let withdrawal = text(&withdrawal_id);
    PartnerData { ids, token, markers, reviewed: reviewed.kyc_id, withdrawal }
}

impl PartnerData {
    #[track_caller]
    fn assert_absent_from(&self, answer: &str, context: &str) {
        for marker in &self.markers {
            assert!(!answer.contains(marker.as_str()), "{context} reveals {marker:?}: {answer}");
        }
    }

    fn id(&self, kind: &str) -> &str {
        if kind == "Withdrawal" { &self.withdrawal } else { &self.ids[kind] }
    }

    /// Fills the ids of this partner's objects into the path of a route.
    fn at(&self, path: &str) -> String {
        path.replace("{id}", self.id(type_in_path(path))).replace("{token}", &self.token)
    }
}

/// Returns the type of the object that the id in a route of the brokerage API identifies.
fn type_in_path(path: &str) -> &'static str {
    match path.split('/').nth(2) {
        Some("accounts") => "Account",
        Some("bank_accounts") => "BankAccount",
        Some("orders") => "Order",
        Some("deposits") => "Transfer",
        Some("statements") => "Statement",
        Some("withdrawal" | "withdrawals") => "Withdrawal",
        _ => "User",
    }
}

/// Method, path, body, required scope, and the field that another partner gets as "not found".
type RouteCase = (&'static str, &'static str, Option<Value>, Scope, Option<&'static str>);

/// Returns every query and mutation: those of the table, and the mutations for which the schema says enough.
fn cases(a: &PartnerData) -> Vec<(&'static str, Case)> {
    let mut cases = listed_cases(a);
    let listed: BTreeSet<&str> = cases.iter().map(|(_, case)| case.field).collect();
    let id_of = |kind: &str| a.ids.get(kind).cloned();
    for mutation in generated::mutations() {
        let Some(input) = mutation.example(&id_of).filter(|_| !listed.contains(mutation.field)) else {
            continue;
        };
        let generated::Mutation { field, input: input_type, entity, scope, id } = mutation;
        let document = format!(
            "mutation($input: {input_type}!) {{ {field}(input: $input) {{ {entity} {{ id }} userErrors {{ code \
                path message }} }} }}"
        );
        let case = Case {
            field,
            document,
            variables: json!({ "input": input }),
            scope: Some(scope),
            anonymous: UNAUTHENTICATED,
            unscoped: UNSCOPED,
            publishable: UNSCOPED,
            other: NotFound(id.leak()),
        };
        cases.push(("Mutation", case));
    }
    cases
}

/// Returns the queries, and the mutations that need other data or have other outcomes than the generated ones.
#[expect(clippy::too_many_lines, reason = "a table has as many lines as the schema has fields")]
fn listed_cases(a: &PartnerData) -> Vec<(&'static str, Case)> {
    let read = |field, scope, document: &str, variables, anonymous, unscoped, other| {
        let document = document.to_owned();
        let publishable = if matches!(anonymous, Code(_)) { UNSCOPED } else { anonymous };
        ("Query", Case { field, document, variables, scope, anonymous, unscoped, publishable, other })
    };
    let by_id = |field, kind: &str, leaves: &str| {
        let document = format!("query($id: ID!) {{ {field}(id: $id) {{ {leaves} }} }}");
        read(
            field,
            Some(Scope::Read),
            &document,
            json!({ "id": a.id(kind) }),
            UNAUTHENTICATED,
            UNSCOPED,
            Null,
        )
    };
    let change = |field: &'static str, scope, input: &str, entity: &str, variables, other| {
        let (declared, given) = match input {
            "" => (String::new(), String::new()),
            input => (format!("($input: {input}!)"), "(input: $input)".to_owned()),
        };
        let document = format!(
            "mutation{declared} {{ {field}{given} {{ {entity} {{ id }} userErrors {{ code path message }} }} }}"
        );
        let publishable = if ["userCreate", "kycStart"].contains(&field) { Answer } else { UNSCOPED };
        (
            "Mutation",
            Case {
                field,
                document,
                variables,
                scope: Some(scope),
                anonymous: UNAUTHENTICATED,
                unscoped: UNSCOPED,
                publishable,
                other,
            },
        )
    };
    // Mutations that need no key, or a user session: the input, the fields to select, and the outcomes for an
    // anonymous caller, a key without the scope and another partner.
    let special =
        |field: &'static str, scope, input: &str, outcome: &str, variables, expected: [Outcome; 3]| {
            let (declared, given) = match input {
                "" => (String::new(), String::new()),
                input => (format!("($input: {input}!)"), "(input: $input)".to_owned()),
            };
            let document = format!(
                "mutation{declared} {{ {field}{given} {{ {outcome} userErrors {{ code path message }} }} }}"
            );
            let [anonymous, unscoped, other] = expected;
            // A mutation that needs no key accepts a publishable one as well.
            let publishable = match anonymous {
                Code(_) => UNSCOPED,
                _ if field == "userSignUp" => Refused("EMAIL_TAKEN"),
                _ => anonymous,
            };
            ("Mutation", Case { field, document, variables, scope, anonymous, unscoped, publishable, other })
        };
    let users_only = [UNAUTHENTICATED, UNSCOPED, UNSCOPED];
    let by_user = json!({ "input": { "userId": a.id("User") } });
    let session = "session { accessToken }";
    let manage = Some(Scope::Manage);
    let decision = json!({ "input": { "kycId": a.reviewed, "reason": "Not allowed." } });
    let quote = json!({ "bid": { "amount": "1" }, "ask": { "amount": "2" } });
    let price = json!({ "amount": "66.5" });
    vec![
        read(
            "node",
            Some(Scope::Read),
            "query($id: ID!) { node(id: $id) { id __typename } }",
            json!({ "id": a.id("User") }),
            Null,
            Null,
            Null,
        ),
        read(
            "nodes",
            Some(Scope::Read),
            "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }",
            json!({ "ids": a.ids.iter().filter(|(kind, _)| **kind != "ApiKey" && !SHARED.contains(kind)).map(|(_,
                id)| id).collect::<Vec<_>>() }),
            Nulls,
            Nulls,
            Nulls,
        ),
        read("viewer", None, "{ viewer { id email } }", json!({}), Null, Null, Null),
        {
            let (root, case) = read(
                "credential",
                None,
                "{ credential { scopes expiresAt } }",
                json!({}),
                Null,
                Answer,
                Answer,
            );
            (root, Case { publishable: Answer, ..case })
        },
        by_id("user", "User", "id email firstName accounts { edges { node { number } } }"),
        read(
            "users",
            Some(Scope::Read),
            "{ users { edges { node { id email } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        by_id("account", "Account", "id number balance { total { amount } }"),
        read(
            "accounts",
            Some(Scope::Read),
            "{ accounts { edges { node { id number } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        by_id("transfer", "Transfer", "id amount { amount }"),
        read(
            "eventCursor",
            Some(Scope::Read),
            "{ eventCursor }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Answer,
        ),
        by_id("order", "Order", "id quantity account { number owner { email } }"),
        read(
            "gainsReport",
            Some(Scope::Read),
            "query($id: ID!) { gainsReport(userId: $id, year: 2026) { csv } }",
            json!({ "id": a.id("User") }),
            UNAUTHENTICATED,
            UNSCOPED,
            Null,
        ),
        read(
            "transfers",
            Some(Scope::Read),
            "{ transfers { edges { node { id } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        read(
            "corporateActions",
            Some(Scope::Read),
            "{ corporateActions { edges { node { id } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        read(
            "fills",
            Some(Scope::Read),
            "{ fills { edges { node { id } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        read(
            "orders",
            Some(Scope::Read),
            "{ orders { edges { node { id } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        read(
            "orderPreview",
            Some(Scope::Trade),
            "query($input: OrderPreviewInput!) { orderPreview(input: $input) { userErrors { code path message } } }",
            json!({ "input": { "accountId": a.id("Account"), "symbol": "VTI", "side": "SELL", "quantity": "0.1" } }),
            UNAUTHENTICATED,
            UNSCOPED,
            NotFound("accountId"),
        ),
        read(
            "instrument",
            None,
            "{ instrument(symbol: \"VTI\") { id name assetClass } }",
            json!({}),
            Answer,
            Answer,
            Answer,
        ),
        read(
            "instrumentBySymbol",
            None,
            "{ instrumentBySymbol(symbol: \"VTI\") { id name } }",
            json!({}),
            Answer,
            Answer,
            Answer,
        ),
        read(
            "instruments",
            None,
            "{ instruments { edges { node { symbol } } } }",
            json!({}),
            Answer,
            Answer,
            Answer,
        ),
        read("marketClock", None, "{ marketClock { isOpen } }", json!({}), Answer, Answer, Answer),
        read(
            "sandboxOutbox",
            Some(Scope::Operate),
            "{ sandboxOutbox { edges { node { to subject text } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        read(
            "watchList",
            Some(Scope::Operate),
            "{ watchList { sources { name names } screening { people } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Null,
        ),
        change(
            "watchListHitClear",
            Scope::Operate,
            "WatchListHitClearInput",
            "hit",
            json!({ "input": { "hitId": a.id("WatchListHit"), "reason": "Mine", "until": "2026-08-01" } }),
            NotFound("hitId"),
        ),
        read("partner", None, "{ partner { name } }", json!({}), Null, Answer, Answer),
        change(
            "userCreate",
            Scope::Manage,
            "UserCreateInput",
            "user",
            json!({ "input": person("Own", "Person") }),
            Answer,
        ),
        read(
            "kycByToken",
            Some(Scope::Read),
            "query($token: String!) { kycByToken(token: $token) { id score questions { text } user { email } } }",
            json!({ "token": a.token }),
            UNAUTHENTICATED,
            UNSCOPED,
            Null,
        ),
        change(
            "kycStart",
            Scope::Manage,
            "KycStartInput",
            "kyc",
            json!({ "input": person("Own", "Person") }),
            Answer,
        ),
        change(
            "kycAnswer",
            Scope::Manage,
            "KycAnswerInput",
            "kyc",
            json!({ "input": { "kycId": a.id("Kyc"),
                "answers": (1..=5).map(|id| json!({ "questionId": id, "answerId": 1 })).collect::<Vec<_>>() } }),
            NotFound("kycId"),
        ),
        change(
            "kycCorrect",
            Scope::Manage,
            "KycCorrectInput",
            "kyc",
            json!({ "input": { "kycId": a.id("Kyc"), "patch": { "firstName": "Mine" } } }),
            NotFound("kycId"),
        ),
        change(
            "userUpdate",
            Scope::Manage,
            "UserUpdateInput",
            "user",
            json!({ "input": { "userId": a.id("User"), "patch": { "firstName": "Mine" } } }),
            NotFound("userId"),
        ),
        change(
            "accountOpen",
            Scope::Manage,
            "AccountOpenInput",
            "account",
            json!({ "input": cash_account(a.id("User")) }),
            NotFound("userId"),
        ),
        change(
            "accountUpdate",
            Scope::Manage,
            "AccountUpdateInput",
            "account",
            json!({ "input": { "accountId": a.id("Account"), "patch": { "employerName": "Mine now" } } }),
            NotFound("accountId"),
        ),
        change(
            "bankAccountLink",
            Scope::Manage,
            "BankAccountLinkInput",
            "bankAccount",
            json!({ "input": { "userId": a.id("User"), "number": "4327843043", "routingNumber": "121042882",
                "nickname": "Mine now" } }),
            NotFound("userId"),
        ),
        change(
            "depositCreate",
            Scope::Transfer,
            "DepositCreateInput",
            "transfer",
            json!({ "input": {
                "idempotencyKey": "x", "accountId": a.id("Account"), "bankAccountId": a.id("BankAccount"),
                "amount": { "amount": "1" },
            } }),
            NotFound("accountId"),
        ),
        change(
            "withdrawalCreate",
            Scope::Transfer,
            "WithdrawalCreateInput",
            "transfer",
            json!({ "input": {
                "idempotencyKey": "x", "accountId": a.id("Account"), "bankAccountId": a.id("BankAccount"),
                "amount": { "amount": "1" },
            } }),
            NotFound("accountId"),
        ),
        change(
            "statementCreate",
            Scope::Manage,
            "StatementCreateInput",
            "statement",
            json!({ "input": { "accountId": a.id("Account"), "periodStart": "2026-07-09",
                "periodEnd": "2026-07-09" } }),
            NotFound("accountId"),
        ),
        by_id("statement", "Statement", "id account { number }"),
        change(
            "transferCancel",
            Scope::Transfer,
            "TransferCancelInput",
            "transfer",
            json!({ "input": { "idempotencyKey": "c", "transferId": a.id("Transfer") } }),
            NotFound("transferId"),
        ),
        change(
            "sandboxTransferReturn",
            Scope::Operate,
            "SandboxTransferReturnInput",
            "transfer",
            json!({ "input": { "transferId": a.id("Transfer"), "code": "R01" } }),
            NotFound("transferId"),
        ),
        change(
            "orderPlace",
            Scope::Trade,
            "OrderPlaceInput",
            "order",
            json!({ "input": { "idempotencyKey": "y", "accountId": a.id("Account"), "symbol": "VTI",
                "side": "SELL", "quantity": "0.1" } }),
            NotFound("accountId"),
        ),
        change(
            "orderCancel",
            Scope::Trade,
            "OrderCancelInput",
            "order",
            json!({ "input": { "idempotencyKey": "z", "orderId": a.id("Order") } }),
            NotFound("orderId"),
        ),
        change(
            "orderReplace",
            Scope::Trade,
            "OrderReplaceInput",
            "order",
            json!({ "input": { "idempotencyKey": "r", "orderId": a.id("Order"), "quantity": "2" } }),
            NotFound("orderId"),
        ),
        read(
            "invitation",
            None,
            "query($id: ID!) { invitation(id: $id) { email } }",
            json!({ "id": a.id("User") }),
            Null,
            Null,
            Null,
        ),
        read(
            "invitations",
            manage,
            "{ invitations { edges { node { id email } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        change(
            "invitationCreate",
            Scope::Manage,
            "InvitationCreateInput",
            "invitation",
            json!({ "input": { "email": "new@example.com", "userId": a.id("User") } }),
            NotFound("userId"),
        ),
        change(
            "invitationRevoke",
            Scope::Manage,
            "InvitationRevokeInput",
            "invitation",
            json!({ "input": { "invitationId": a.id("Invitation") } }),
            NotFound("invitationId"),
        ),
        special(
            "userSignUp",
            manage,
            "UserSignUpInput",
            session,
            json!({ "input": { "email": "stranger@example.com", "password": "long enough" } }),
            [Answer, UNSCOPED, Answer],
        ),
        special(
            "userSignIn",
            manage,
            "UserSignInInput",
            session,
            json!({ "input": { "email": "zenobia@quartermaine.example", "password": "a wrong password" } }),
            [Refused("INVALID_CREDENTIALS"), UNSCOPED, Refused("INVALID_CREDENTIALS")],
        ),
        special(
            "tokenRefresh",
            None,
            "TokenRefreshInput",
            session,
            json!({ "input": { "refreshToken": "a.b.c" } }),
            [Refused("INVALID_CREDENTIALS"); 3],
        ),
        special(
            "userSignOut",
            None,
            "UserSignOutInput",
            "user { id }",
            json!({ "input": { "refreshToken": "a.b.c" } }),
            users_only,
        ),
        special(
            "passwordChange",
            manage,
            "PasswordChangeInput",
            session,
            json!({ "input": { "password": "long enough", "newPassword": "longer than that" } }),
            users_only,
        ),
        special(
            "passwordRecover",
            manage,
            "PasswordRecoverInput",
            "isAccepted",
            json!({ "input": { "email": "zenobia@quartermaine.example" } }),
            [Answer, UNSCOPED, Answer],
        ),
        special(
            "passwordReset",
            None,
            "PasswordResetInput",
            "isReset",
            json!({ "input": { "token": "CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7", "password": "long enough" } }),
            [Refused("INVALID_TOKEN"); 3],
        ),
        special(
            "userSignInEnable",
            manage,
            "UserSignInEnableInput",
            "user { id }",
            by_user.clone(),
            [UNAUTHENTICATED, UNSCOPED, NotFound("userId")],
        ),
        special(
            "userSignInDisable",
            manage,
            "UserSignInDisableInput",
            "user { id }",
            by_user.clone(),
            [UNAUTHENTICATED, UNSCOPED, NotFound("userId")],
        ),
        special(
            "profileUpdate",
            manage,
            "ProfileUpdateInput",
            "user { id }",
            json!({ "input": { "userId": a.id("User"), "patch": { "fullName": "Someone Else" } } }),
            [UNAUTHENTICATED, UNSCOPED, NotFound("userId")],
        ),
        special(
            "userTwoFactorReset",
            manage,
            "UserTwoFactorResetInput",
            "user { id }",
            by_user.clone(),
            [UNAUTHENTICATED, UNSCOPED, NotFound("userId")],
        ),
        special(
            "userDataMail",
            manage,
            "UserDataMailInput",
            "user { id }",
            by_user,
            [UNAUTHENTICATED, UNSCOPED, NotFound("userId")],
        ),
        special(
            "passcodeSend",
            None,
            "PasscodeSendInput",
            "passcode { hashCode }",
            json!({ "input": { "phone": "2025550107" } }),
            users_only,
        ),
        special(
            "passcodeVerify",
            None,
            "PasscodeVerifyInput",
            "twoFactor { isPassed }",
            json!({ "input": { "hashCode": "gAAAAABdqL", "passcode": "123456" } }),
            users_only,
        ),
        special("totpEnroll", None, "", "enrollment { secret }", json!({}), users_only),
        special(
            "totpVerify",
            None,
            "TotpVerifyInput",
            "twoFactor { isPassed }",
            json!({ "input": { "code": "123456" } }),
            users_only,
        ),
        special("totpRemove", manage, "", "twoFactor { isPassed }", json!({}), users_only),
        read(
            "apiKeys",
            Some(Scope::Operate),
            "{ apiKeys { edges { node { prefix scopes } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Answer,
        ),
        change(
            "apiKeyIssue",
            Scope::Operate,
            "ApiKeyIssueInput",
            "apiKey",
            json!({ "input": { "label": "mine", "scopes": ["READ"] } }),
            Answer,
        ),
        change(
            "apiKeyRotate",
            Scope::Operate,
            "ApiKeyRotateInput",
            "apiKey",
            json!({ "input": { "apiKeyId": a.id("ApiKey") } }),
            NotFound("apiKeyId"),
        ),
        change(
            "apiKeyRevoke",
            Scope::Operate,
            "ApiKeyRevokeInput",
            "apiKey",
            json!({ "input": { "apiKeyId": a.id("ApiKey") } }),
            NotFound("apiKeyId"),
        ),
        special(
            "kycDocumentUploadPrepare",
            manage,
            "KycDocumentUploadPrepareInput",
            "target { url }",
            json!({ "input": { "kycId": a.reviewed, "name": "n", "type": "LICENSE",
                "contentType": "image/png", "byteSize": 9 } }),
            [UNAUTHENTICATED, UNSCOPED, NotFound("kycId")],
        ),
        read(
            "kycReviews",
            Some(Scope::Operate),
            "{ kycReviews { edges { node { id reason check { token } } } } }",
            json!({}),
            UNAUTHENTICATED,
            UNSCOPED,
            Outcome::EmptyPage,
        ),
        change("kycApprove", Scope::Operate, "KycApproveInput", "kyc", decision.clone(), NotFound("kycId")),
        change("kycDeny", Scope::Operate, "KycDenyInput", "kyc", decision, NotFound("kycId")),
        change("sandboxClockFreeze", Scope::Operate, "", "partner", json!({}), Answer),
        change("sandboxClockRun", Scope::Operate, "", "partner", json!({}), Answer),
        change(
            "sandboxClockAdvance",
            Scope::Operate,
            "SandboxClockAdvanceInput",
            "partner",
            json!({ "input": { "seconds": 1 } }),
            Answer,
        ),
        change(
            "corporateActionApply",
            Scope::Operate,
            "CorporateActionApplyInput",
            "corporateAction",
            json!({ "input": { "idempotencyKey": "action", "symbol": "SCHB", "exOn": "2026-12-15", "terms": { "split":
                { "newShares": 2, "oldShares": 1 } } } }),
            Answer,
        ),
        change(
            "corporateActionWithdraw",
            Scope::Operate,
            "CorporateActionWithdrawInput",
            "corporateAction",
            json!({ "input": { "idempotencyKey": "withdraw", "corporateActionId": a.id("CorporateAction") } }),
            NotFound("corporateActionId"),
        ),
        change(
            "partnerSettingsUpdate",
            Scope::Operate,
            "PartnerSettingsUpdateInput",
            "partner",
            json!({ "input": { "patch": { "marketBuyBuffer": "3" } } }),
            Answer,
        ),
        change(
            "sandboxMarketHoursSet",
            Scope::Operate,
            "SandboxMarketHoursSetInput",
            "partner",
            json!({ "input": { "marketHours": "ALWAYS_OPEN" } }),
            Answer,
        ),
        change(
            "sandboxQuoteSet",
            Scope::Operate,
            "SandboxQuoteSetInput",
            "instrument",
            json!({ "input": { "symbol": "VTI", "quote": quote } }),
            Answer,
        ),
        change(
            "sandboxBarPush",
            Scope::Operate,
            "SandboxBarPushInput",
            "instrument",
            json!({ "input": { "symbol": "SCHB", "startsAt": "2026-07-10T13:30:00Z", "open": price,
                "high": price, "low": price, "close": price, "volume": "1200" } }),
            Answer,
        ),
    ]
}

/// Subscriptions, which run over a socket: the field, the document, and the outcome for an anonymous caller.
const SUBSCRIPTIONS: [(&str, &str, Outcome); 4] = [
    ("marketClockChanged", "subscription { marketClockChanged { marketClock { isOpen } } }", Answer),
    (
        "orderChanged",
        "subscription($id: ID) { orderChanged(accountId: $id, after: \"0\") { id order { id account { number } } } }",
        UNAUTHENTICATED,
    ),
    ("events", "subscription { events(after: \"0\") { id type __typename } }", UNAUTHENTICATED),
    (
        "quoteChanged",
        "subscription { quoteChanged(symbols: [\"VTI\"]) { quote { bid { amount } } instrument { symbol } } }",
        UNAUTHENTICATED,
    ),
];

/// Returns the fields of each root type in the schema, and the types that are nodes.
fn schema() -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let (mut roots, mut nodes) = (BTreeMap::new(), BTreeSet::new());
    for definition in parse_schema(coffer::graphql::schema(true).sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let TypeKind::Object(object) = ty.node.kind else { continue };
        let name = ty.node.name.node.to_string();
        if object.implements.iter().any(|interface| interface.node == "Node") {
            nodes.insert(name.clone());
        }
        if ["Query", "Mutation", "Subscription"].contains(&name.as_str()) {
            roots.insert(name, object.fields.iter().map(|field| field.node.name.node.to_string()).collect());
        }
    }
    (roots, nodes)
}

/// Checks that a subscription failed because the object with this field's id was not found.
#[track_caller]
fn assert_not_found(message: &Value, field: &str) {
    let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
    assert_eq!(
        (&errors[0]["extensions"]["code"], &errors[0]["message"], errors.as_array().map(Vec::len)),
        (&json!("NOT_FOUND"), &json!(format!("{field} was not found")), Some(1)),
        "{message}"
    );
}

#[track_caller]
fn assert_outcome(expected: Outcome, case: &Case, body: &Value, caller: &str) {
    let told = format!("{} for {caller}: {body}", case.field);
    let field = &body["data"][case.field];
    match expected {
        Code(code) => {
            assert_eq!(body["errors"][0]["extensions"]["code"], code, "{told}");
            assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{told}");
            assert!(field.is_null(), "{told}");
        }
        Null => assert_eq!(body, &json!({ "data": { case.field: null } }), "{told}"),
        Nulls => {
            assert!(body.get("errors").is_none(), "{told}");
            assert!(
                field.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_null)),
                "{told}"
            );
        }
        Outcome::EmptyPage => {
            assert_eq!(body, &json!({ "data": { case.field: { "edges": [] } } }), "{told}");
        }
        NotFound(path) => {
            assert!(body.get("errors").is_none(), "{told}");
            let refusal = json!([{ "code": "NOT_FOUND", "path": [path],
                "message": format!("{path} was not found") }]);
            assert_eq!(field["userErrors"], refusal, "{told}");
            assert!(
                field
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(name, value)| name == "userErrors" || value.is_null()),
                "{told}"
            );
        }
        Refused(code) => {
            assert!(body.get("errors").is_none(), "{told}");
            assert_eq!(field["userErrors"][0]["code"], code, "{told}");
            assert!(
                field
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(name, value)| name == "userErrors" || value.is_null()),
                "{told}"
            );
        }
        Answer => {
            assert!(body.get("errors").is_none() && !field.is_null(), "{told}");
            assert_eq!(field.get("userErrors").unwrap_or(&json!([])), &json!([]), "{told}");
        }
    }
}

fn all_but(scope: Option<Scope>) -> Vec<Scope> {
    Scope::ALL.into_iter().filter(|one| Some(*one) != scope).collect()
}

/// Returns a well-formed key that was never issued: the same public id with another secret and a valid
/// checksum.
fn with_another_secret(key: &str) -> String {
    let public = "sk_test_".len() + 8;
    let body = format!("{}{}", &key[..public], "x".repeat(key.len() - public - 6));
    format!("{body}{}", domain::access::keys::checksum(&body))
}

const NEVER_ISSUED: &str = "sk_test_a1b2c3d4Zs8Qw7Er6Ty5Ui4Op3As2Df1Gh0Jk9Lz0Ov3LU";

#[test]
fn every_root_field_is_in_the_tables() {
    let empty = PartnerData {
        ids: [
            "User",
            "Account",
            "BankAccount",
            "Transfer",
            "Order",
            "Invitation",
            "ApiKey",
            "Kyc",
            "WatchListHit",
            "CorporateAction",
            "Statement",
        ]
        .map(|kind| (kind, String::new()))
        .into(),
        token: String::new(),
        markers: vec![],
        reviewed: String::new(),
        withdrawal: String::new(),
    };
    let mut listed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (root, case) in cases(&empty) {
        assert!(
            listed.entry(root.to_owned()).or_default().insert(case.field.to_owned()),
            "{} is listed twice",
            case.field
        );
    }
    listed.insert(
        "Subscription".to_owned(),
        SUBSCRIPTIONS.iter().map(|(field, ..)| (*field).to_owned()).collect(),
    );
    assert_eq!(listed, schema().0, "add the new field to the tables in tests/it/access.rs");
}

on_both! {
    async fn every_root_field_hides_data_from_other_callers(app: TestApp) {
        let a = partner_data(&app).await;
        let (_, other) = app.other_partner("another").await;
        let publishable = app.key_for(&[Scope::Start]).await;
        for (_, case) in cases(&a) {
            let anonymous = app.gql_as(None, &case.document, case.variables.clone()).await;
            assert_outcome(case.anonymous, &case, &anonymous.body, "an anonymous caller");
            a.assert_absent_from(&anonymous.body.to_string(), case.field);

            for wrong in [
                NEVER_ISSUED,
                &with_another_secret(&app.key),
                &app.key[..app.key.len() - 1],
                &app.key.replace("sk_", "pk_"),
                "",
                "Basic ",
            ] {
                let denied = app.gql_as(Some(wrong), &case.document, case.variables.clone()).await;
                if coffer::graphql::OPEN.contains(&case.field) && ["", "Basic "].contains(&wrong) {
                    assert!(
                        denied.status == 200 && denied.body["errors"].is_null(),
                        "{} {}",
                        case.field,
                        denied.body
                    );
                    continue;
                }
                assert_eq!(
                    (denied.status, denied.error_code()),
                    (401, "UNAUTHENTICATED"),
                    "{} {wrong}",
                    case.field
                );
                assert!(denied.body.get("data").is_none(), "{}", denied.body);
                a.assert_absent_from(&denied.body.to_string(), case.field);
            }

            let key = app.key_for(&all_but(case.scope)).await;
            let unscoped = app.gql_as(Some(&key), &case.document, case.variables.clone()).await;
            assert_outcome(case.unscoped, &case, &unscoped.body, "a key without the scope");
            if !matches!(case.unscoped, Answer) {
                a.assert_absent_from(&unscoped.body.to_string(), case.field);
            }

            let public = app.gql_as(Some(&publishable), &case.document, case.variables.clone()).await;
            assert_outcome(case.publishable, &case, &public.body, "a publishable key");
            a.assert_absent_from(&public.body.to_string(), case.field);
        }
        for (_, case) in cases(&a) {
            let answer = app.gql_as(Some(&other), &case.document, case.variables.clone()).await;
            assert_outcome(case.other, &case, &answer.body, "another partner");
            a.assert_absent_from(&answer.body.to_string(), case.field);
        }
        // These requests changed nothing of the partner's data; they added two users.
        assert_eq!(app.audit().await.wrong, None);
        let orders =
            app.gql("{ orders { edges { node { id } } } users { edges { node { id } } } }", json!({})).await;
        let lengths = ["orders", "users"].map(|list| orders.data()[list]["edges"].as_array().unwrap().len());
        assert_eq!(
            lengths,
            [2, 4],
            "two orders; two users from the setup, one that signed up, and one created with a publishable key"
        );
    }

    async fn subscriptions_hide_data_from_other_callers(app: TestApp) {
        let a = partner_data(&app).await;
        let (_, other) = app.other_partner("another").await;
        let unscoped = app.key_for(&all_but(Some(Scope::Read))).await;
        let publishable = app.key_for(&[Scope::Start]).await;
        for (field, document, anonymous) in SUBSCRIPTIONS {
            let variables = json!({ "id": a.id("Account") });
            let refused = if matches!(anonymous, Answer) { Answer } else { UNSCOPED };
            for (key, expected) in
                [(None, anonymous), (Some(unscoped.as_str()), refused), (Some(publishable.as_str()), refused)]
            {
                let mut socket = Socket::join(&app, key).await;
                socket.subscribe("1", document, variables.clone()).await;
                let message = socket.hear().await.unwrap();
                a.assert_absent_from(&message.to_string(), field);
                match expected {
                    Code(code) => {
                        let errors = if message["type"] == "error" {
                            &message["payload"]
                        } else {
                            &message["payload"]["errors"]
                        };
                        assert_eq!(errors[0]["extensions"]["code"], code, "{field} {message}");
                    }
                    _ => assert!(
                        message["type"] == "next" && message["payload"].get("errors").is_none(),
                        "{field} {message}"
                    ),
                }
            }
            let mut wrong = Socket::open(&app).await;
            wrong
                .say(json!({ "type": "connection_init", "payload": { "authorization": NEVER_ISSUED } }))
                .await;
            assert_eq!(wrong.hear().await.unwrap_err().0, 4403, "{field}");
            let mut socket = Socket::join(&app, Some(&other)).await;
            socket.subscribe("1", document, variables.clone()).await;
            if field == "orderChanged" {
                assert_not_found(&socket.hear().await.unwrap(), "accountId");
                for id in ["", "nope", a.id("User")] {
                    let mut socket = Socket::join(&app, Some(&app.key)).await;
                    socket.subscribe("1", document, json!({ "id": id })).await;
                    assert_not_found(&socket.hear().await.unwrap(), "accountId");
                }
                let mut socket = Socket::join(&app, Some(&app.key)).await;
                socket.subscribe("1", document, variables).await;
                assert_eq!(socket.next().await["orderChanged"]["order"]["id"], a.id("Order"));
                continue;
            }
            while let Some(message) = socket.hear_within(Duration::from_millis(300)).await {
                a.assert_absent_from(&message.to_string(), field);
                assert!(message["payload"].get("errors").is_none(), "{field} {message}");
                if field == "marketClockChanged" {
                    break;
                }
            }
        }
    }

    async fn a_node_of_any_type_is_visible_only_to_its_owner(app: TestApp) {
        let a = partner_data(&app).await;
        let (_, other) = app.other_partner("another").await;
        assert_eq!(
            schema().1,
            a.ids.keys().map(|kind| (*kind).to_owned()).collect(),
            "add an id for every type that is a node"
        );
        let publishable = app.key_for(&[Scope::Start]).await;
        let one = "query($id: ID!) { node(id: $id) { id __typename } }";
        let many = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";
        for (kind, id) in &a.ids {
            let found = json!({ "id": id, "__typename": kind });
            assert_eq!(app.gql(one, json!({ "id": id })).await.data()["node"], found);
            assert_eq!(
                app.gql(many, json!({ "ids": [id, id] })).await.data()["nodes"],
                json!([found, found])
            );
            let seen = if *kind == "Instrument" { found } else { json!(null) };
            let scope = if *kind == "ApiKey" { Scope::Operate } else { Scope::Read };
            let unscoped = app.key_for(&all_but(Some(scope))).await;
            for key in [None, Some(other.as_str()), Some(unscoped.as_str()), Some(publishable.as_str())] {
                assert_eq!(
                    app.gql_as(key, one, json!({ "id": id })).await.body,
                    json!({ "data": { "node": seen } }),
                    "{kind} {key:?}"
                );
                assert_eq!(
                    app.gql_as(key, many, json!({ "ids": [id] })).await.body,
                    json!({ "data": { "nodes": [seen] } }),
                    "{kind} {key:?}"
                );
            }
        }
        let key = app.gql("{ partner { id } }", json!({})).await.data()["partner"]["id"]
            .as_str()
            .unwrap()
            .replace('-', "");
        for id in [
            "",
            "nope",
            "00000000-0000-0000-0000-000000000000",
            "904837e3-3b76-47ec-b432-046db621571b",
            &key[..31],
        ] {
            assert_eq!(
                app.gql(one, json!({ "id": id })).await.body,
                json!({ "data": { "node": null } }),
                "{id}"
            );
        }
    }

    async fn a_key_without_the_read_scope_cannot_read_through_a_payload(app: TestApp) {
        let a = partner_data(&app).await;
        let trade = app.key_for(&[Scope::Trade]).await;
        let order = json!({ "idempotencyKey": "w", "accountId": a.id("Account"), "symbol": "VTI",
            "side": "BUY", "quantity": "0.1" });
        for below in [
            "account { number }",
            "account { owner { email } }",
            "fills { edges { node { id } } }",
            "account { balance { total { amount } } }",
        ] {
            let place = format!(
                "mutation($input: OrderPlaceInput!) {{ orderPlace(input: $input) {{ order {{ status {below} \
                    }} userErrors {{ code }} }} }}"
            );
            let placed = app.gql_as(Some(&trade), &place, json!({ "input": order })).await;
            assert_eq!(placed.error_code(), "FORBIDDEN", "{}", placed.body);
            a.assert_absent_from(&placed.body.to_string(), below);
        }
        let placed = app.gql_as(Some(&trade), ORDER_PLACE, json!({ "input": order })).await;
        assert_eq!(placed.entity("orderPlace", "order")["instrument"]["symbol"], "VTI");
        let root = "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { query { users { edges \
            { node { email } } } } } }";
        let read = app.gql_as(Some(&trade), root, json!({ "input": order })).await;
        assert_eq!(read.error_code(), "FORBIDDEN");
        a.assert_absent_from(&read.body.to_string(), "query of a payload");
    }

    async fn every_rest_route_hides_data_from_other_callers(app: TestApp) {
        let a = partner_data(&app).await;
        let (_, other) = app.other_partner("another").await;
        let order = json!({ "account_id": a.id("Account"), "symbol": "VTI", "quantity": "0.1", "side": "sell",
            "type": "market" });
        let own = json!({
            "first_name": "Own", "last_name": "Person", "email_address": "own@example.com",
            "birth_date": "1985-01-23", "ssn_number": "123456789",
            "address_line_1": "1 Own St", "address_city": "Richmond", "address_state": "VA",
            "address_postal_code": "23220", "address_country_code": "US",
        });
        let account = json!({
            "ownership": "individual", "account_type": "cash", "martial_status": "single",
            "country_of_citizenship": "USA",
            "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
        });
        let document = kyc_documents::documented(b"%PDF-1.7");
        let deposit = json!({ "account_id": a.id("Account"), "bank_account_id": a.id("BankAccount"),
            "amount": "1.00" });
        // None in the last column: another partner gets its own data.
        let mut table: Vec<RouteCase> = vec![
            ("POST", "/v1/users", Some(own.clone()), Scope::Manage, None),
            ("POST", "/v1/kyc", Some(own), Scope::Manage, None),
            ("GET", "/v1/kyc/{token}", None, Scope::Read, Some("token")),
            ("PATCH", "/v1/kyc/{token}", Some(json!({ "first_name": "Mine" })), Scope::Manage, Some("token")),
            ("GET", "/v1/users", None, Scope::Read, None),
            ("GET", "/v1/users/{id}", None, Scope::Read, Some("id")),
            ("PUT", "/v1/users/{id}", Some(json!({ "first_name": "Mine" })), Scope::Manage, Some("user_id")),
            ("POST", "/v1/kyc/{token}/documents", Some(document.clone()), Scope::Manage, Some("token")),
            ("PUT", "/v1/kyc/{token}/documents", Some(document), Scope::Manage, Some("token")),
            ("POST", "/v1/users/{id}/accounts", Some(account), Scope::Manage, Some("user_id")),
            ("GET", "/v1/users/{id}/accounts", None, Scope::Read, Some("user_id")),
            ("GET", "/v1/accounts/{id}", None, Scope::Read, Some("id")),
            (
                "PUT",
                "/v1/accounts/{id}",
                Some(json!({ "employer_name": "Mine now" })),
                Scope::Manage,
                Some("account_id"),
            ),
            ("GET", "/v1/users/{id}/bank_accounts", None, Scope::Read, Some("user_id")),
            ("GET", "/v1/bank_accounts/{id}", None, Scope::Read, Some("id")),
            ("DELETE", "/v1/bank_accounts/{id}", None, Scope::Manage, Some("bank_account_id")),
            ("POST", "/v1/deposits", Some(deposit.clone()), Scope::Transfer, Some("account_id")),
            ("POST", "/v1/withdrawal", Some(deposit.clone()), Scope::Transfer, Some("account_id")),
            ("POST", "/v1/withdrawals", Some(deposit), Scope::Transfer, Some("account_id")),
            ("GET", "/v1/withdrawals", None, Scope::Read, None),
            ("GET", "/v1/withdrawals/{id}", None, Scope::Read, Some("id")),
            ("GET", "/v1/deposits", None, Scope::Read, None),
            ("GET", "/v1/deposits/{id}", None, Scope::Read, Some("id")),
            ("GET", "/v1/statements", None, Scope::Read, None),
            ("GET", "/v1/statements/{id}", None, Scope::Read, Some("id")),
            ("POST", "/v1/orders", Some(order), Scope::Trade, Some("account_id")),
            ("GET", "/v1/orders", None, Scope::Read, None),
            ("GET", "/v1/orders/{id}", None, Scope::Read, Some("id")),
            ("DELETE", "/v1/orders/{id}", None, Scope::Trade, Some("order_id")),
        ];
        // Routes that only run a command are sent the documented example.
        let document = openapi::document();
        for route in ROUTES.into_iter().flatten() {
            let is_listed = table.iter().any(|(method, path, ..)| (*method, *path) == (route.method, route.path));
            let (Some(scope), false) = (route.scope, is_listed) else { continue };
            let one = &document["paths"][route.path][route.method.to_lowercase()];
            let body = one["requestBody"]["content"]["application/json"]["example"].clone();
            let missing = match type_in_path(route.path) {
                "Account" => "account_id",
                "BankAccount" => "bank_account_id",
                "Order" => "order_id",
                "Transfer" => "deposit_id",
                _ => "user_id",
            };
            table.push((route.method, route.path, Some(body), scope, Some(missing)));
        }
        let listed: BTreeSet<(&str, &str)> =
            table.iter().map(|(method, path, ..)| (*method, *path)).collect();
        let served: BTreeSet<(&str, &str)> =
            ROUTES.into_iter().flatten().map(|route| (route.method, route.path)).collect();
        assert_eq!(listed, served, "add the new route to the table in tests/it/access.rs");

        let publishable = app.key_for(&[Scope::Start]).await;
        let operator = app.key_for(&[Scope::Operate]).await;
        for (method, path, body, scope, missing) in table {
            let path = a.at(path);
            let context = format!("{method} {path}");
            let request = |key: Option<&str>, path: &str| {
                let mut request = app.anonymous(method, path);
                if let Some(key) = key {
                    request = request.bearer_auth(key);
                }
                match &body {
                    Some(body) => request.json(body),
                    None => request,
                }
            };
            let unscoped = app.key_for(&all_but(Some(scope))).await;
            let public = send(request(Some(&publishable), &path)).await;
            a.assert_absent_from(&public.body.to_string(), &context);
            let starts = method == "POST" && ["/v1/users", "/v1/kyc"].contains(&path.as_str());
            let done = if path.as_str() == "/v1/kyc" { 201 } else { 200 };
            if starts {
                assert_eq!(public.status, done, "{context} {}", public.body);
            } else {
                let expected = json!({ "error": { "type": "authentication_error",
                    "message": format!("The credential lacks the scope `{}`.", scope.name()) } });
                assert_eq!((public.status, &public.body), (401, &expected), "{context}");
            }
            for path in [path.clone(), format!("{path}/")] {
                for key in [
                    None,
                    Some(NEVER_ISSUED),
                    Some(&app.key[1..]),
                    Some(unscoped.as_str()),
                    Some(operator.as_str()),
                ] {
                    let denied = send(request(key, &path)).await;
                    assert_eq!(
                        (denied.status, &denied.body["error"]["type"]),
                        (401, &json!("authentication_error")),
                        "{context} {key:?} {}",
                        denied.body
                    );
                    a.assert_absent_from(&denied.body.to_string(), &context);
                }
                let answer = send(request(Some(&other), &path)).await;
                a.assert_absent_from(&answer.body.to_string(), &context);
                match missing {
                    Some(field) => {
                        let message = format!("{field} was not found");
                        let told = json!({ "error": { "type": "not_found", "message": message } });
                        assert_eq!((answer.status, &answer.body), (404, &told), "{context}");
                    }
                    None => assert_eq!(answer.status, done, "{context} {}", answer.body),
                }
            }
        }
        let list = send(app.anonymous("GET", "/v1/orders?status=all").bearer_auth(&other)).await;
        assert_eq!(list.body["data"], json!([]));
        let cursor = format!("/v1/orders?status=all&starting_after={}", a.id("Order"));
        let cursor = send(app.anonymous("GET", &cursor).bearer_auth(&other)).await;
        assert_eq!(
            (cursor.status, &cursor.body["error"]["message"]),
            (400, &json!("starting_after does not match any order in this list"))
        );
    }
}

/// Collects the paths of every text in a value.
fn texts(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| texts(item, &format!("{path}/{at}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| texts(field, &format!("{path}/{name}"), found));
        }
        _ => {}
    }
}

/// Returns the outcome of every root field when one text of its arguments contains a control character, such
/// as NUL, which PostgreSQL cannot store.
async fn outcomes_with_control_characters(app: &TestApp) -> BTreeMap<String, String> {
    let a = partner_data(app).await;
    let person = app.person("nul@example.com", "2025550143").await;
    let mut outcomes = BTreeMap::new();
    for (_, case) in cases(&a) {
        let mut found = Vec::new();
        texts(&case.variables, "", &mut found);
        for path in found {
            for nul in ["\0", "a\0b", "\u{1}"] {
                let mut variables = case.variables.clone();
                let text = variables.pointer_mut(&path).unwrap();
                *text = if nul == "a\0b" {
                    json!(nul)
                } else {
                    json!(format!("{}{nul}", text.as_str().unwrap()))
                };
                for credential in [app.key.as_str(), &person.access] {
                    let answer = app.gql_as(Some(credential), &case.document, variables.clone()).await;
                    let context = format!("{} {path} {nul:?} {}", case.field, credential == app.key);
                    let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
                    assert!(!code.contains("INTERNAL") && answer.status < 500, "{context} {}", answer.body);
                    let refusal = &answer.body["data"][case.field]["userErrors"][0]["code"];
                    outcomes.insert(context, format!("{} {code} {refusal}", answer.status));
                }
            }
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_refuse_control_characters() {
    let sqlite = outcomes_with_control_characters(&TestApp::sqlite().await).await;
    assert!(sqlite.len() > 200, "{}", sqlite.len());
    let Some(app) = TestApp::postgres().await else { return };
    let postgres = outcomes_with_control_characters(&app).await;
    for (context, outcome) in &sqlite {
        assert_eq!(Some(outcome), postgres.get(context), "{context}");
    }
    assert_eq!(sqlite.len(), postgres.len());
    // A password is only hashed and never stored, so it may contain control characters.
    let is_input = |context: &str| {
        context.ends_with("true") && context.contains("/input/") && !context.contains("assword ")
    };
    for (context, outcome) in sqlite.iter().filter(|(context, _)| is_input(context)) {
        let accepted = outcome.ends_with(" null") && outcome.starts_with("200  ");
        assert!(!accepted, "a control character was accepted: {context} {outcome}");
    }
}
