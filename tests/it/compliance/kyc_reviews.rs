//! The review queue: who may decide, what a reviewer sees, and the effects of a decision.

use super::kyc_documents::{Applicant, applicant, documented};
use crate::support::{Answer, Folder, TestApp, older, on_both, send, socket::Socket};
use domain::{Scope, access::keys};
use entity::{Kind, audit_log, event, kyc, kyc_review, screening_hit};
use futures_util::future::join_all;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use serde_json::{Value, json};
use uuid::Uuid;

const APPROVE: &str = "mutation($input: KycApproveInput!) { kycApprove(input: $input) {
    kyc { id outcome decidedAt review { outcome reason reviewedAt reviewer { id } } } userErrors { code \
    path message } } }";
const DENY: &str = "mutation($input: KycDenyInput!) { kycDeny(input: $input) {
    kyc { id outcome decidedAt review { outcome reason reviewedAt reviewer { id } } } userErrors { code \
    path message } } }";
const QUEUE: &str = "query($first: Int, $after: String) { kycReviews(first: $first, after: $after) {
    edges { cursor node { outcome reviewedAt endedAt check { id outcome review { outcome } } } }
    pageInfo { hasNextPage endCursor } } }";
const REVIEW: &str =
    "query($id: ID!) { node(id: $id) { id ... on KycReview { cause requestedAt outcome reason
    reviewedAt endedAt reviewer { id } check { id } user { id } } } }";
const LOOK: &str = "query($id: ID!) { node(id: $id) { id ... on Kyc { outcome
    applicant { firstName lastName email ssnLast4 birthYear city state } review { outcome reason } } } }";

/// Creates a key that has not entered any data.
async fn reviewer(app: &TestApp) -> String {
    app.key_for(&[Scope::Read, Scope::Operate]).await
}

async fn id_of(app: &TestApp, key: &str) -> Uuid {
    keys::find_by_public_id(&app.app.db.read, &key["sk_test_".len()..][..8]).await.unwrap().unwrap().id
}

async fn decide(app: &TestApp, key: &str, document: &str, kyc_id: &str, reason: &str) -> Answer {
    app.gql_as(Some(key), document, json!({ "input": { "kycId": kyc_id, "reason": reason } })).await
}

/// Returns a user's status through GraphQL and through REST.
async fn status(app: &TestApp, user_id: &str) -> (Value, Value) {
    let gql = app.gql("query($id: ID!) { user(id: $id) { status } }", json!({ "id": user_id })).await.data()
        ["user"]["status"]
        .clone();
    (gql, app.get(&format!("/v1/users/{user_id}")).await.body["status"].clone())
}

/// Returns the events of a user and of their check in the order of the log: type, payload and actor.
async fn events_of(app: &TestApp, about: &Applicant) -> Vec<(String, Value, Option<Uuid>)> {
    let streams = [&about.user_id, &about.kyc_id].map(|id| id.parse::<Uuid>().unwrap());
    let rows =
        event::Entity::find().filter(event::Column::StreamId.is_in(streams)).order_by_asc(event::Column::Seq);
    let rows = rows.all(&app.app.db.read).await.unwrap();
    rows.into_iter()
        .map(|row| (row.kind, serde_json::from_str(&row.payload).unwrap(), row.actor_id))
        .collect()
}

async fn queue(app: &TestApp, key: &str) -> Vec<String> {
    let answer = app.gql_as(Some(key), QUEUE, json!({})).await;
    let edges = answer.data()["kycReviews"]["edges"].as_array().unwrap().clone();
    edges
        .iter()
        .map(|edge| {
            let review = &edge["node"];
            let decision = [&review["outcome"], &review["reviewedAt"], &review["endedAt"]];
            assert_eq!(decision, [&Value::Null; 3]);
            assert_eq!(review["check"]["outcome"], "MANUAL_REVIEW");
            review["check"]["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[track_caller]
fn assert_maker(answer: &Answer, mutation: &str) {
    let text = "The reviewer must not have entered or changed this user's data. Use another key.";
    assert_eq!(
        answer.user_error(mutation),
        &json!({ "code": "MAKER_CHECKER", "path": null, "message": text })
    );
}

on_both! {
    async fn an_approval_changes_the_user_in_both_apis(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        assert_eq!(
            status(&app, &rita.user_id).await,
            (json!("DOCUMENTATION_REQUIRED"), json!("documentation_required"))
        );
        let sent = app.post(&format!("/v1/kyc/{}/documents", rita.token), documented(b"%PDF-1.4\n")).await;
        assert_eq!(sent.status, 200);
        let reviewer = reviewer(&app).await;
        assert_eq!(queue(&app, &reviewer).await, vec![rita.kyc_id.clone()]);
        app.advance_to("2026-07-09T17:00:00Z").await;
        let approved = decide(&app, &reviewer, APPROVE, &rita.kyc_id, "  The license is genuine.  ").await;
        let (maker, checker) = (id_of(&app, &app.key).await, id_of(&app, &reviewer).await);
        let expected = json!({
            "id": rita.kyc_id, "outcome": "APPROVED", "decidedAt": "2026-07-09T17:00:00Z",
            "review": { "outcome": "APPROVED", "reason": "The license is genuine.",
                "reviewedAt": "2026-07-09T17:00:00Z", "reviewer": { "id": checker } },
        });
        assert_eq!(approved.entity("kycApprove", "kyc"), &expected);
        assert_eq!(status(&app, &rita.user_id).await, (json!("APPROVED"), json!("active")));
        assert_eq!(queue(&app, &reviewer).await, Vec::<String>::new());

        let facts = |status: &str| {
            json!({ "id": rita.kyc_id, "token": rita.token, "user_id": rita.user_id,
            "status": status })
        };
        let mut sent = facts("manual_review");
        let document = entity::kyc_document::Entity::find().one(&app.app.db.read).await.unwrap().unwrap();
        sent["document_id"] = json!(document.id);
        let event = |kind: &str, facts: Value, actor: Uuid| (kind.to_owned(), facts, Some(actor));
        assert_eq!(
            events_of(&app, &rita).await,
            [
                event(
                    "user.created",
                    json!({ "id": rita.user_id, "status": "documentation_required" }),
                    maker
                ),
                event("kyc.created", facts("manual_review"), maker),
                event("kyc.document_uploaded", sent, maker),
                event("kyc.reviewed", facts("approved"), checker),
                event(
                    "user.status_changed",
                    json!({ "id": rita.user_id, "status": "approved", "from": "documentation_required" }),
                    checker
                ),
            ]
        );
        let line = audit_log::Entity::find()
            .filter(audit_log::Column::Operation.eq("kyc.approve"))
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (line.principal_id, line.object_id, line.decision.as_str()),
            (checker, rita.kyc_id.parse().ok(), "done")
        );
        // A decided check accepts neither documents nor another decision.
        let late = app.post(&format!("/v1/kyc/{}/documents", rita.token), documented(b"%PDF-1.4\n")).await;
        assert_eq!(
            (late.status, &late.body["error"]["message"]),
            (402, &json!("This identity check is not waiting for documents."))
        );
        for (document, mutation) in [(APPROVE, "kycApprove"), (DENY, "kycDeny")] {
            let again = decide(&app, &reviewer, document, &rita.kyc_id, "Once more.").await;
            let told = json!({ "code": "KYC_NOT_OPEN", "path": null,
                "message": "This identity check is not waiting for a review." });
            assert_eq!(again.user_error(mutation), &told);
        }
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_denial_changes_the_user_in_both_apis(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let reviewer = reviewer(&app).await;
        let mut live = Socket::join(&app, Some(&reviewer)).await;
        live.subscribe(
            "1",
            "subscription($after: String) { events(after: $after) { type ... on KycChangedEvent { kycOutcome kyc { \
                id outcome } } } }",
            json!({ "after": app.cursor().await }),
        )
        .await;
        let denied =
            decide(&app, &reviewer, DENY, &rita.kyc_id, "The photograph shows another person.").await;
        assert_eq!(denied.entity("kycDeny", "kyc")["outcome"], "DENIED");
        assert_eq!(
            denied.entity("kycDeny", "kyc")["review"]["reason"],
            "The photograph shows another person."
        );
        assert_eq!(status(&app, &rita.user_id).await, (json!("DENIED"), json!("denied")));
        let kinds: Vec<(String, Value)> = events_of(&app, &rita)
            .await
            .into_iter()
            .map(|(kind, facts, _)| (kind, facts["status"].clone()))
            .collect();
        let expected = [
            ("user.created", "documentation_required"),
            ("kyc.created", "manual_review"),
            ("kyc.reviewed", "denied"),
            ("user.status_changed", "denied"),
        ];
        assert_eq!(kinds, expected.map(|(kind, status)| (kind.to_owned(), json!(status))));
        let event = live.next().await["events"].clone();
        assert_eq!(
            event,
            json!({ "type": "KYC_REVIEWED", "kycOutcome": "DENIED", "kyc": { "id": rita.kyc_id, "outcome": "DENIED" } })
        );
    }

    async fn a_decision_needs_a_reason_and_an_open_check(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let ada = applicant(&app, &app.key, "Carter").await;
        let reviewer = reviewer(&app).await;
        for (document, mutation) in [(APPROVE, "kycApprove"), (DENY, "kycDeny")] {
            for (kyc_id, reason, code, path, message) in [
                (&rita.kyc_id, " ", "REQUIRED", json!(["reason"]), "reason is required"),
                (
                    &rita.kyc_id,
                    &"r".repeat(501),
                    "INVALID",
                    json!(["reason"]),
                    "reason must have at most 500 characters",
                ),
                (
                    &rita.user_id,
                    "Why not.",
                    "NOT_FOUND",
                    json!(["kycId"]),
                    "kycId was not found",
                ),
                (
                    &ada.kyc_id,
                    "Why not.",
                    "KYC_NOT_OPEN",
                    json!(null),
                    "This identity check is not waiting for a review.",
                ),
            ] {
                let refused = decide(&app, &reviewer, document, kyc_id, reason).await;
                assert_eq!(
                    refused.user_error(mutation),
                    &json!({ "code": code, "path": path, "message": message })
                );
            }
        }
        let input = json!({ "input": { "kycId": rita.kyc_id, "reason": &"r".repeat(500),
            "idempotencyKey": "decision-1" } });
        let first = app.gql_as(Some(&reviewer), APPROVE, input.clone()).await;
        let again = app.gql_as(Some(&reviewer), APPROVE, input).await;
        assert_eq!(again.entity("kycApprove", "kyc"), first.entity("kycApprove", "kyc"));
        assert_eq!(
            events_of(&app, &rita).await.iter().filter(|(kind, ..)| kind == "kyc.reviewed").count(),
            1
        );
        let other = json!({ "input": { "kycId": rita.kyc_id, "reason": "Another.",
            "idempotencyKey": "decision-1" } });
        assert_eq!(
            app.gql_as(Some(&reviewer), APPROVE, other).await.user_error("kycApprove")["code"],
            "IDEMPOTENCY_KEY_REUSED"
        );
    }

    async fn a_key_that_entered_data_cannot_decide(app: TestApp) {
        let maker = app.key_for(&Scope::ALL).await;
        let (rita, reviewer) = (applicant(&app, &maker, "Review").await, reviewer(&app).await);
        for (document, mutation) in [(APPROVE, "kycApprove"), (DENY, "kycDeny")] {
            assert_maker(&decide(&app, &maker, document, &rita.kyc_id, "I know the user.").await, mutation);
        }
        // A key and its successors count as one reviewer, whichever of them entered the data.
        let rotate = "mutation($input: ApiKeyRotateInput!) { apiKeyRotate(input: $input) { apiKey { id } \
            secret userErrors { code } } }";
        let rotated = app
            .gql_as(Some(&maker), rotate, json!({ "input": { "apiKeyId": id_of(&app, &maker).await } }))
            .await;
        rotated.entity("apiKeyRotate", "apiKey");
        let successor = rotated.data()["apiKeyRotate"]["secret"].as_str().unwrap().to_owned();
        assert_maker(
            &decide(&app, &successor, APPROVE, &rita.kyc_id, "I know the user.").await,
            "kycApprove",
        );
        let other = applicant(&app, &successor, "Review").await;
        assert_maker(&decide(&app, &maker, APPROVE, &other.kyc_id, "I know the user.").await, "kycApprove");
        // A key that has uploaded a document, or prepared its upload, cannot decide either.
        let uploader = app.key_for(&Scope::ALL).await;
        let path = format!("/v1/kyc/{}/documents", rita.token);
        let sent =
            send(app.anonymous("POST", &path).bearer_auth(&uploader).json(&documented(b"%PDF-1.4\n"))).await;
        assert_eq!(sent.status, 200);
        assert_maker(&decide(&app, &uploader, APPROVE, &rita.kyc_id, "I sent it.").await, "kycApprove");
        let preparer = app.key_for(&Scope::ALL).await;
        let prepare = "mutation($input: KycDocumentUploadPrepareInput!) { kycDocumentUploadPrepare(input: \
            $input) { target { url } userErrors { code } } }";
        let input = json!({ "kycId": rita.kyc_id, "name": "n", "type": "LICENSE",
            "contentType": "application/pdf", "byteSize": 9 });
        let prepared = app.gql_as(Some(&preparer), prepare, json!({ "input": input })).await;
        let url = prepared.entity("kycDocumentUploadPrepare", "target")["url"].as_str().unwrap().to_owned();
        assert_eq!(crate::support::client().put(&url).body("%PDF-1.4\n").send().await.unwrap().status(), 200);
        assert_maker(&decide(&app, &preparer, APPROVE, &rita.kyc_id, "I sent it.").await, "kycApprove");
        // The refusals change nothing, and another key decides.
        assert_eq!(status(&app, &rita.user_id).await.0, json!("DOCUMENTATION_REQUIRED"));
        assert_eq!(
            decide(&app, &reviewer, APPROVE, &rita.kyc_id, "Genuine.").await.entity("kycApprove", "kyc")["outcome"],
            "APPROVED"
        );
        assert_eq!(
            decide(&app, &reviewer, DENY, &other.kyc_id, "Forged.").await.entity("kycDeny", "kyc")["outcome"],
            "DENIED"
        );
        let refused = audit_log::Entity::find().filter(audit_log::Column::Decision.eq("MAKER_CHECKER"));
        assert_eq!(refused.count(&app.app.db.read).await.unwrap(), 6);
    }

    async fn a_reviewer_of_an_earlier_check_may_decide_a_later_one(app: TestApp) {
        let (rita, reviewer) = (applicant(&app, &app.key, "Review").await, reviewer(&app).await);
        decide(&app, &reviewer, DENY, &rita.kyc_id, "The photograph shows another person.")
            .await
            .entity("kycDeny", "kyc");
        // The user's data changes, so there is a new check.
        let changed = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) { user { status \
            kyc { id } } userErrors { code message } } }";
        let clerk = app.key_for(&[Scope::Manage, Scope::Read, Scope::Operate]).await;
        let input = json!({ "userId": rita.user_id, "patch": { "fullName": "Margarita Review" } });
        let user = app
            .gql_as(Some(&clerk), changed, json!({ "input": input }))
            .await
            .entity("profileUpdate", "user")
            .clone();
        assert_eq!(user["status"], "DOCUMENTATION_REQUIRED");
        let later = user["kyc"]["id"].as_str().unwrap();
        assert_ne!(later, rita.kyc_id);
        let superseded = decide(&app, &reviewer, APPROVE, &rita.kyc_id, "Genuine.").await;
        assert_eq!(
            superseded.user_error("kycApprove")["message"],
            "This identity check was replaced by a later one."
        );
        // The keys that created the earlier check and the change cannot decide the later check.
        for maker in [&app.key, &clerk] {
            assert_maker(&decide(&app, maker, APPROVE, later, "Genuine.").await, "kycApprove");
        }
        assert_eq!(queue(&app, &reviewer).await, [later.to_owned()]);
        assert_eq!(
            decide(&app, &reviewer, APPROVE, later, "Genuine.").await.entity("kycApprove", "kyc")["outcome"],
            "APPROVED"
        );
        assert_eq!(status(&app, &rita.user_id).await.0, json!("APPROVED"));
    }

    async fn a_review_has_an_id_and_says_when_why_and_how_it_ended(app: TestApp) {
        let (rita, reviewer) = (applicant(&app, &app.key, "Review").await, reviewer(&app).await);
        let waiting = "{ kycReviews { edges { node { id } } } }";
        let ids = async || {
            let answer = app.gql_as(Some(&reviewer), waiting, json!({})).await;
            let edges = answer.data()["kycReviews"]["edges"].as_array().unwrap().clone();
            edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let read = async |id: &str| {
            app.gql_as(Some(&reviewer), REVIEW, json!({ "id": id })).await.data()["node"].clone()
        };
        let first = ids().await.pop().unwrap();
        let started = json!({ "id": first, "cause": "SCORE", "requestedAt": "2026-07-09T16:00:00Z",
            "outcome": null, "reason": null, "reviewedAt": null, "endedAt": null, "reviewer": null,
            "check": { "id": rita.kyc_id }, "user": { "id": rita.user_id } });
        assert_eq!(read(&first).await, started);

        // A later check replaces the first one, so its review ends without a decision.
        app.advance_to("2026-07-09T17:00:00Z").await;
        let changed = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) { user { kyc { id \
            } } userErrors { code } } }";
        let input = json!({ "userId": rita.user_id, "patch": { "fullName": "Rita Carter" } });
        let later = app.gql(changed, json!({ "input": input })).await.entity("profileUpdate", "user").clone();
        let mut withdrawn = started;
        withdrawn["endedAt"] = json!("2026-07-09T17:00:00Z");
        assert_eq!(read(&first).await, withdrawn);
        let second = ids().await;
        assert_eq!(second.len(), 1);
        let expected = json!({ "id": second[0], "cause": "EARLIER_CHECK", "requestedAt": "2026-07-09T17:00:00Z",
            "outcome": null, "reason": null, "reviewedAt": null, "endedAt": null, "reviewer": null,
            "check": later["kyc"], "user": { "id": rita.user_id } });
        assert_eq!(read(&second[0]).await, expected);

        // The decision answers the review too.
        app.advance_to("2026-07-09T18:00:00Z").await;
        let approve = "mutation($input: KycApproveInput!) { kycApprove(input: $input) { review { id outcome \
            reason } userErrors { code } } }";
        let kyc_id = later["kyc"]["id"].as_str().unwrap();
        let approved = decide(&app, &reviewer, approve, kyc_id, "Genuine.").await;
        let review = json!({ "id": second[0], "outcome": "APPROVED", "reason": "Genuine." });
        assert_eq!(approved.entity("kycApprove", "review"), &review);
        let mut decided = expected;
        for (name, value) in [
            ("outcome", json!("APPROVED")),
            ("reason", json!("Genuine.")),
            ("reviewedAt", json!("2026-07-09T18:00:00Z")),
            ("endedAt", json!("2026-07-09T18:00:00Z")),
            ("reviewer", json!({ "id": id_of(&app, &reviewer).await })),
        ] {
            decided[name] = value;
        }
        assert_eq!(read(&second[0]).await, decided);
        assert_eq!(ids().await, Vec::<String>::new());

        // Unanswered questions are another cause; a refused decision has no review.
        applicant(&app, &app.key, "Question").await;
        app.advance_to("2026-07-10T18:00:00Z").await;
        let third = read(&ids().await.pop().unwrap()).await;
        assert_eq!((&third["cause"], &third["outcome"]), (&json!("ANSWERS"), &Value::Null));
        let refused = decide(&app, &reviewer, approve, kyc_id, "Genuine.").await;
        assert_eq!(refused.user_error("kycApprove")["code"], "KYC_NOT_OPEN");
        assert_eq!(refused.data()["kycApprove"]["review"], Value::Null);
    }

    async fn an_open_watch_list_hit_prevents_an_approval(app: TestApp) {
        let (rita, reviewer) = (applicant(&app, &app.key, "Review").await, reviewer(&app).await);
        let hit = screening_hit::Model {
            id: app.app.ids.next(entity::Kind::ScreeningHit),
            partner_id: app.partner.id,
            kyc_id: rita.kyc_id.parse().unwrap(),
            source: "OFAC SDN".to_owned(),
            entry: 42,
            listed_name: "REVIEW, Rita".to_owned(),
            programs: "SDGT".to_owned(),
            score: 92,
            parts: "[]".to_owned(),
            found_at: crate::support::THURSDAY.parse().unwrap(),
            cleared_at: None,
            cleared_by: None,
            exception_id: None,
        };
        let write = async |row: screening_hit::ActiveModel, new: bool| {
            let tx = app.app.db.write().await.unwrap();
            if new {
                row.insert(&tx).await.unwrap()
            } else {
                row.update(&tx).await.unwrap()
            };
            tx.commit().await.unwrap();
        };
        write(screening_hit::ActiveModel::from(hit.clone()).reset_all(), true).await;
        let refused = decide(&app, &reviewer, APPROVE, &rita.kyc_id, "Genuine.").await;
        let text =
            "This user has an open watch-list hit. Clear it before approving the identity check.";
        assert_eq!(
            refused.user_error("kycApprove"),
            &json!({ "code": "KYC_NOT_OPEN", "path": null, "message": text })
        );
        let cleared = screening_hit::Model { cleared_at: Some(hit.found_at), ..hit };
        write(screening_hit::ActiveModel::from(cleared).reset_all(), false).await;
        assert_eq!(
            decide(&app, &reviewer, APPROVE, &rita.kyc_id, "Genuine.").await.entity("kycApprove", "kyc")["outcome"],
            "APPROVED"
        );
    }

    async fn only_one_of_several_concurrent_decisions_counts(app: TestApp) {
        let rita = applicant(&app, &app.key, "Review").await;
        let mut reviewers = Vec::new();
        for _ in 0..4 {
            reviewers.push(reviewer(&app).await);
        }
        let decisions = reviewers.iter().enumerate().map(|(turn, key)| {
            let document = if turn % 2 == 0 { APPROVE } else { DENY };
            decide(&app, key, document, &rita.kyc_id, "At once.")
        });
        let answers = join_all(decisions).await;
        let payloads: Vec<&Value> = answers
            .iter()
            .map(|answer| answer.data().as_object().unwrap().values().next().unwrap())
            .collect();
        let (created, refused): (Vec<&Value>, Vec<&Value>) =
            payloads.into_iter().partition(|payload| payload["userErrors"] == json!([]));
        assert_eq!((created.len(), refused.len()), (1, 3));
        assert!(
            refused.iter().all(|payload| payload["userErrors"][0]["code"] == "KYC_NOT_OPEN"),
            "{refused:?}"
        );
        let events = events_of(&app, &rita).await;
        let reviewed: Vec<&Value> = events
            .iter()
            .filter(|(kind, ..)| kind == "kyc.reviewed")
            .map(|(_, facts, _)| &facts["status"])
            .collect();
        assert_eq!(reviewed, [&json!(created[0]["kyc"]["outcome"].as_str().unwrap().to_lowercase())]);
        assert_eq!(json!(status(&app, &rita.user_id).await.0), created[0]["kyc"]["outcome"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn the_queue_starts_with_the_oldest_check_of_the_partner(app: TestApp) {
        let (_, theirs) = app.other_partner("another").await;
        let reviewer = reviewer(&app).await;
        let mut waiting = Vec::new();
        for last_name in ["Review", "Carter", "Review", "Question", "Review", "Denied"] {
            let created = applicant(&app, &app.key, last_name).await;
            if last_name == "Review" {
                waiting.push(created.kyc_id);
            }
        }
        applicant(&app, &theirs, "Review").await;
        assert_eq!(queue(&app, &reviewer).await, waiting);
        let first =
            app.gql_as(Some(&reviewer), QUEUE, json!({ "first": 2 })).await.data()["kycReviews"].clone();
        assert_eq!(
            (&first["edges"][1]["node"]["check"]["id"], &first["pageInfo"]["hasNextPage"]),
            (&json!(waiting[1]), &json!(true))
        );
        let next = app
            .gql_as(Some(&reviewer), QUEUE, json!({ "first": 2, "after": first["pageInfo"]["endCursor"] }))
            .await;
        let next = &next.data()["kycReviews"];
        assert_eq!(
            (
                &next["edges"][0]["node"]["check"]["id"],
                next["edges"].as_array().unwrap().len(),
                &next["pageInfo"]["hasNextPage"]
            ),
            (&json!(waiting[2]), 1, &json!(false))
        );
    }

    async fn every_subscriber_that_reads_an_applicant_is_audited(app: TestApp) {
        let (reviewer, cursor) = (reviewer(&app).await, app.cursor().await);
        let document = "subscription($after: String) { events(after: $after) { type ... on KycChangedEvent { \
            kyc { applicant { lastName } } } } }";
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let mut socket = Socket::join(&app, Some(&reviewer)).await;
            socket.subscribe("1", document, json!({ "after": cursor })).await;
            sockets.push(socket);
        }
        applicant(&app, &app.key, "Review").await;
        for socket in &mut sockets {
            while socket.next().await["events"]["kyc"]["applicant"]["lastName"] != "Review" {}
        }
        let select = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("kyc.applicant"));
        assert_eq!(select.all(&app.app.db.read).await.unwrap().len(), 2);
    }

    async fn only_a_reviewer_sees_the_applicant(app: TestApp) {
        let (rita, reviewer) = (applicant(&app, &app.key, "Review").await, reviewer(&app).await);
        let audit_lines = async || {
            let select = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("kyc.applicant"));
            select
                .all(&app.app.db.read)
                .await
                .unwrap()
                .into_iter()
                .map(|line| (line.principal_id, line.object_id))
                .collect::<Vec<_>>()
        };
        let seen = app.gql_as(Some(&reviewer), LOOK, json!({ "id": rita.kyc_id })).await;
        let expected = json!({
            "id": rita.kyc_id, "outcome": "MANUAL_REVIEW", "review": null,
            "applicant": {
                "firstName": "Rita", "lastName": "Review", "email": "ada.carter@example.com",
                "ssnLast4": "6789", "birthYear": 1985,
                "city": "Richmond", "state": "VA",
            },
        });
        assert_eq!(seen.data()["node"], expected);
        let line = (id_of(&app, &reviewer).await, Some(rita.kyc_id.parse().unwrap()));
        assert_eq!(audit_lines().await, [line]);
        decide(&app, &reviewer, DENY, &rita.kyc_id, "A secret reason.").await.entity("kycDeny", "kyc");
        let clerk = app.key_for(&[Scope::Read, Scope::Manage]).await;
        let unseen = app.gql_as(Some(&clerk), LOOK, json!({ "id": rita.kyc_id })).await;
        assert_eq!(
            unseen.data()["node"],
            json!({ "id": rita.kyc_id, "outcome": "DENIED", "applicant": null, "review": null })
        );
        assert_eq!(audit_lines().await, [line]);
        // The reason is stored encrypted.
        let row = kyc_review::Entity::find()
            .filter(kyc_review::Column::KycId.eq(rita.kyc_id.parse::<Uuid>().unwrap()))
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let reason = row.reason.unwrap();
        assert!(!reason.windows(6).any(|window| window == b"secret"));
        assert_eq!(
            (row.reviewed_by, row.reviewed_at),
            (Some(line.0), Some(crate::support::THURSDAY.parse().unwrap()))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_from_before_they_had_rows_are_kept() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000018_kyc_reviews").await {
        let at = |hour: u8| format!("'2026-07-09T{hour}:00:00Z'");
        // Checks that wait, that were decided, that wait again after an approval, that were replaced while they
        // waited, and that never needed a reviewer.
        for (number, outcome, reviewed, superseded) in [
            (1, "manual_review", false, false),
            (2, "denied", true, true),
            (3, "manual_review", true, false),
            (4, "manual_review", false, true),
            (5, "approved", false, true),
        ] {
            let (by, time, reason) = if reviewed {
                (older.id(9), at(17), older.bytes("07"))
            } else {
                ("NULL".to_owned(), "NULL".to_owned(), "NULL".to_owned())
            };
            let superseded = if superseded { at(18) } else { "NULL".to_owned() };
            older
                .db
                .execute_unprepared(&format!(
                    "INSERT INTO kyc (id, partner_id, user_id, token, score, outcome, tags, decided_at, created_at, \
                     parts, reviewed_by, reviewed_at, review_reason, superseded_at) VALUES ({}, {}, {}, \
                     'S-{number}', 45, '{outcome}', '', {}, {}, '[]', {by}, {time}, {reason}, {superseded})",
                    older.id_of(&format!("01900000000070008000000000{number:02x}0004")),
                    older.id(7),
                    older.id(8 + number),
                    at(16),
                    at(15)
                ))
                .await
                .unwrap();
        }
        older.migrate().await;
        let rows = kyc_review::Entity::find()
            .order_by_asc(kyc_review::Column::KycId)
            .order_by_asc(kyc_review::Column::Id)
            .all(&older.db)
            .await
            .unwrap();
        let id = |number: u128| Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number);
        let time = |hour: u8| at(hour).trim_matches('\'').parse().unwrap();
        let waiting = |number: u128| kyc_review::Model {
            id: id((number << 16) + 0x011e),
            partner_id: id(7),
            kyc_id: id((number << 16) + 4),
            user_id: Some(id(8 + number)),
            cause: kyc_review::Cause::Score,
            requested_at: time(16),
            outcome: None,
            reviewed_by: None,
            reviewed_at: None,
            reason: None,
            ended_at: None,
        };
        let decided = |number: u128, outcome| kyc_review::Model {
            id: id((number << 16) + 0x001e),
            requested_at: time(15),
            outcome: Some(outcome),
            reviewed_by: Some(id(9)),
            reviewed_at: Some(time(17)),
            reason: Some(vec![7]),
            ended_at: Some(time(17)),
            ..waiting(number)
        };
        let expected = [
            waiting(1),
            decided(2, kyc::Outcome::Denied),
            decided(3, kyc::Outcome::Approved),
            waiting(3),
            kyc_review::Model { ended_at: Some(time(18)), ..waiting(4) },
        ];
        assert_eq!(rows, expected);
        assert!(rows.iter().all(|row| Kind::of(row.id) == Some(Kind::KycReview)));
    }
}
