//! Checks that responses do not reveal whether a token or an email address exists: every invalid token gets
//! the same response, and unknown addresses cause the same work as known ones.

use crate::{
    access::tokens::{claims_of, signed, with, without},
    support::{Answer, Options, TestApp, on_both, person::SESSION, send},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const RECOVER: &str = "mutation($input: PasswordRecoverInput!) { passwordRecover(input: $input) { \
    isAccepted userErrors { code path message } } }";
const RESET: &str = "mutation($input: PasswordResetInput!) { passwordReset(input: $input) { isReset \
    userErrors { code path message } } }";
const INVITE: &str = "mutation($input: InvitationCreateInput!) { invitationCreate(input: $input) { \
    invitation { id } userErrors { code } } }";
const OUTBOX: &str = "{ sandboxOutbox(first: 1) { edges { node { to text } } } }";
const UNKNOWN: &str = "01890000-0000-7000-8000-000000000016";

/// Returns everything that a caller sees of a response except values that differ with every request.
fn visible_parts(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            !["x-request-id", "date"].contains(&name.as_str()) && !name.as_str().contains("ratelimit")
        })
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.body.clone())
}

#[track_caller]
fn assert_alike(answers: &[(&str, Answer)], status: u16, text: &str) {
    let (first, rest) = answers.split_first().unwrap();
    assert_eq!(first.1.status, status, "{}: {}", first.0, first.1.body);
    assert!(first.1.body.to_string().contains(text), "{}: {}", first.0, first.1.body);
    assert!(rest.len() >= 3);
    for (what, answer) in rest {
        assert_eq!(
            visible_parts(answer),
            visible_parts(&first.1),
            "the response for {what} differs from that for {}",
            first.0
        );
    }
}

/// Returns the last word of a partner's newest email.
async fn last_word_of_newest_email(app: &TestApp, key: &str) -> String {
    let outbox = app.gql_as(Some(key), OUTBOX, json!({})).await;
    let text = outbox.data()["sandboxOutbox"]["edges"][0]["node"]["text"].as_str().unwrap().to_owned();
    text.rsplit(' ').next().unwrap().to_owned()
}

/// Requests a recovery email as the partner with this key and returns its token.
async fn recovery(app: &TestApp, key: &str, email: &str) -> String {
    let requested = app.gql_as(Some(key), RECOVER, json!({ "input": { "email": email } })).await;
    assert_eq!(requested.data()["passwordRecover"], json!({ "isAccepted": true, "userErrors": [] }));
    last_word_of_newest_email(app, key).await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> (Answer, Answer) {
    let rest = app
        .rest("PATCH", "/account/v1/password_recovery/reset")
        .json(&json!({ "token": token, "password": password }));
    (send(rest).await, app.gql(RESET, json!({ "input": { "token": token, "password": password } })).await)
}

on_both! {
    async fn every_invalid_recovery_token_gets_the_same_response(app: TestApp) {
        let (_, other) = app.other_partner("another").await;
        for email in ["old@example.com", "used@example.com", "twice@example.com", "gone@example.com"] {
            app.sign_up(email).await;
        }
        let document =
            format!("mutation($input: UserSignUpInput!) {{ userSignUp(input: $input) {{ {SESSION} }} }}");
        let input = json!({ "input": { "email": "eve@example.com", "password": "correct horse" } });
        app.gql_as(Some(&other), &document, input).await.entity("userSignUp", "session");

        let expired = recovery(&app, &app.key, "old@example.com").await;
        app.backdate("recovery", "expires_at", 3601).await;
        let used = recovery(&app, &app.key, "used@example.com").await;
        let first = app.gql(RESET, json!({ "input": { "token": used, "password": "another horse" } })).await;
        assert_eq!(first.data()["passwordReset"]["isReset"], true);
        let replaced = recovery(&app, &app.key, "twice@example.com").await;
        recovery(&app, &app.key, "twice@example.com").await;
        let disabled = recovery(&app, &app.key, "gone@example.com").await;
        let gone = app.signed_in("gone@example.com").await;
        let disable = "mutation($input: UserSignInDisableInput!) { userSignInDisable(input: $input) { user \
            { id } userErrors { code } } }";
        app.gql(disable, json!({ "input": { "userId": gone.user_id } }))
            .await
            .entity("userSignInDisable", "user");
        let foreign = recovery(&app, &other, "eve@example.com").await;

        let long = "0".repeat(5_000);
        let (mut rest, mut graphql) = (Vec::new(), Vec::new());
        for (what, token) in [
            ("malformed", "nope"),
            ("very long", long.as_str()),
            ("unknown", UNKNOWN),
            ("expired", expired.as_str()),
            ("used", used.as_str()),
            ("replaced", replaced.as_str()),
            ("of a user with disabled sign-in", disabled.as_str()),
            ("of another partner's user", foreign.as_str()),
        ] {
            let (by_rest, by_graphql) = reset(&app, token, "another horse").await;
            rest.push((what, by_rest));
            graphql.push((what, by_graphql));
        }
        assert_alike(&rest, 422, "invalid-token");
        assert_alike(&graphql, 200, "INVALID_TOKEN");
        // The other partner's token is valid for that partner.
        let right = app
            .gql_as(
                Some(&other),
                RESET,
                json!({ "input": { "token": foreign, "password": "another horse" } }),
            )
            .await;
        assert_eq!(right.data()["passwordReset"]["isReset"], true);
    }

    async fn every_invalid_refresh_token_gets_the_same_response(app: TestApp) {
        let ada = app.person("ada@example.com", "2025550107").await;
        let (eve, old, gone) = (
            app.sign_up("eve@example.com").await,
            app.sign_up("old@example.com").await,
            app.sign_up("gone@example.com").await,
        );
        let document =
            format!("mutation($input: TokenRefreshInput!) {{ tokenRefresh(input: $input) {{ {SESSION} }} }}");
        let next = |answer: &Answer| {
            answer.entity("tokenRefresh", "session")["refreshToken"].as_str().unwrap().to_owned()
        };
        let renewed = next(&app.refreshed(&old.refresh).await);
        next(&app.refreshed(&renewed).await);
        let disable = "mutation($input: UserSignInDisableInput!) { userSignInDisable(input: $input) { user \
            { id } userErrors { code } } }";
        app.gql(disable, json!({ "input": { "userId": gone.user_id } }))
            .await
            .entity("userSignInDisable", "user");
        let key = app.app.vault.token_key().reveal().to_vec();
        let header = json!({ "typ": "JWT", "alg": "HS256" });
        let good = claims_of(&ada.refresh);
        let now = good["iat"].as_i64().unwrap();
        let sign = |claims: &Value| signed(&key, &header, claims);
        let (mut rest, mut graphql) = (Vec::new(), Vec::new());
        for (what, token) in [
            ("malformed", "nope".to_owned()),
            ("three meaningless parts", "a.b.c".to_owned()),
            ("an access token", ada.access.clone()),
            ("signed with another key", signed(b"the attacker's own key", &header, &good)),
            ("expired", sign(&with(&good, "exp", json!(now - 1)))),
            ("without an id", sign(&without(&good, "jti"))),
            (
                "of an unknown session",
                sign(&with(&good, "sid", json!("01890000-0000-7000-8000-000000000015"))),
            ),
            ("of another user's session", sign(&with(&good, "sid", claims_of(&eve.refresh)["sid"].clone()))),
            ("of an earlier password", sign(&with(&good, "ver", json!(0)))),
            ("used after its successor", old.refresh.clone()),
            ("of the session that this replay has ended", renewed),
            ("of a user with disabled sign-in", gone.refresh),
        ] {
            let by_rest = send(
                app.anonymous("POST", "/account/v1/auth/token/refresh").json(&json!({ "refresh": token })),
            )
            .await;
            rest.push((what, by_rest));
            graphql.push((
                what,
                app.gql_as(None, &document, json!({ "input": { "refreshToken": token } })).await,
            ));
        }
        assert_alike(&rest, 403, "invalid-credentials");
        assert_alike(&graphql, 200, "INVALID_CREDENTIALS");
        next(&app.refreshed(&ada.refresh).await);
    }

    async fn every_invalid_invitation_gets_the_same_response(app: TestApp) {
        let invited = async |email: &str| {
            let invited = app.gql(INVITE, json!({ "input": { "email": email } })).await;
            invited.entity("invitationCreate", "invitation")["id"].as_str().unwrap().to_owned()
        };
        let expired = invited("old@example.com").await;
        app.backdate("invitation", "expires_at", 14 * 86_400 + 1).await;
        let accepted = invited("used@example.com").await;
        let sign_up =
            json!({ "email": "used@example.com", "password": "correct horse", "invitationId": accepted });
        app.sign_up_with(sign_up).await.entity("userSignUp", "session");
        let revoked = invited("back@example.com").await;
        let revoke = "mutation($input: InvitationRevokeInput!) { invitationRevoke(input: $input) { \
            invitation { id } userErrors { code } } }";
        app.gql(revoke, json!({ "input": { "invitationId": revoked } }))
            .await
            .entity("invitationRevoke", "invitation");
        let (mut queried, mut read_by_rest, mut signed_up, mut by_rest) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (what, id, email) in [
            ("malformed", "nope", "a@example.com"),
            ("unknown", UNKNOWN, "a@example.com"),
            ("expired", expired.as_str(), "old@example.com"),
            ("accepted", accepted.as_str(), "a@example.com"),
            ("revoked", revoked.as_str(), "back@example.com"),
        ] {
            queried.push((
                what,
                app.gql_as(None, "query($id: ID!) { invitation(id: $id) { email } }", json!({ "id": id }))
                    .await,
            ));
            read_by_rest
                .push((what, send(app.anonymous("GET", &format!("/account/v1/invitation/{id}"))).await));
            let input = json!({ "email": email, "password": "correct horse", "invitationId": id });
            signed_up.push((what, app.sign_up_with(input).await));
            let body = json!({ "email": email, "password": "correct horse", "invitation_id": id });
            by_rest.push((what, send(app.anonymous("POST", "/account/v1/users").json(&body)).await));
        }
        assert_alike(&queried, 200, r#"{"data":{"invitation":null}}"#);
        assert_alike(&read_by_rest, 404, "not-found");
        assert_alike(&signed_up, 200, "NOT_FOUND");
        assert_alike(&by_rest, 404, "not-found");
    }

    /// Hash codes of the caller. The hash code of another user gets the documented message "Hash_code does
    /// not belong to the user."
    async fn every_invalid_hash_code_gets_the_same_response(app: TestApp) {
        let ada = app.sign_up("ada@example.com").await;
        let (expired, _) = app.passcode(&ada, Some("2025550107")).await;
        app.backdate("passcode", "expires_at", 301).await;
        app.backdate("passcode", "sent_at", 301).await;
        let (used, code) = app.passcode(&ada, Some("2025550107")).await;
        app.verify_passcode(&ada, &used, &code).await.entity("passcodeVerify", "twoFactor");
        let path = format!("/two_factor_authentication/v1/one_time_passcode/{}/sms/verify", ada.user_id);
        let unknown = "0".repeat(used.len());
        let (mut rest, mut graphql) = (Vec::new(), Vec::new());
        for (what, hash_code) in [
            ("malformed", "nope"),
            ("unknown", unknown.as_str()),
            ("expired", expired.as_str()),
            ("used", used.as_str()),
        ] {
            let body = json!({ "hash_code": hash_code, "passcode": code });
            rest.push((what, app.wellness(Some(&ada.access), "POST", &path, Some(body)).await));
            graphql.push((what, app.verify_passcode(&ada, hash_code, &code).await));
        }
        assert_alike(&rest, 422, "invalid-hash-code");
        assert_alike(&graphql, 200, "INVALID_HASH_CODE");
    }
}

/// Sends one request and returns the statements that it read and wrote with, without those of the sequencer,
/// which runs at the same time.
async fn statements(
    app: &TestApp,
    request: impl Future<Output = Answer>,
) -> (Answer, Vec<String>, Vec<String>) {
    app.app.sequencer.caught_up().await;
    let take = |list: &Arc<Mutex<Vec<String>>>| std::mem::take(&mut *list.lock().unwrap());
    let of_requests = |list: Vec<String>| -> Vec<String> {
        let sequencers = ["seq IS NULL", "chain_head", "pg_advisory_xact_lock"];
        list.into_iter().filter(|sql| !sequencers.iter().any(|word| sql.contains(word))).collect()
    };
    _ = (take(&app.statements), take(&app.written));
    let answer = request.await;
    (answer, of_requests(take(&app.statements)), of_requests(take(&app.written)))
}

/// Compares the statements that are executed, not their duration, which differs from one run to the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_and_unknown_addresses_cause_the_same_work() {
    for app in TestApp::each_with(Options { without_timers: true, ..Options::default() }).await {
        for email in ["ada@example.com", "bob@example.com"] {
            app.sign_up(email).await;
        }
        let mails = app.outbox().await.len();
        let recover = |email: &'static str| {
            app.wellness(None, "POST", "/account/v1/password_recovery", Some(json!({ "email": email })))
        };
        let graphql = |email: &'static str| app.gql_as(None, RECOVER, json!({ "input": { "email": email } }));
        let sign_in = |email: &'static str| app.sign_in(email, "wrong horse");
        let pairs = [
            (
                statements(&app, recover("ada@example.com")).await,
                statements(&app, recover("unknown@example.com")).await,
            ),
            (
                statements(&app, graphql("bob@example.com")).await,
                statements(&app, graphql("missing@example.com")).await,
            ),
            (
                statements(&app, sign_in("ada@example.com")).await,
                statements(&app, sign_in("unknown@example.com")).await,
            ),
        ];
        for (known, unknown) in pairs {
            assert_eq!(visible_parts(&known.0), visible_parts(&unknown.0));
            assert!(!known.1.is_empty() && known.2.len() >= 2, "{known:?}");
            assert_eq!((known.1, known.2), (unknown.1, unknown.2));
        }
        let sent: Vec<Value> = app.outbox().await.into_iter().map(|mail| mail["to"].clone()).collect();
        assert_eq!(sent.len(), mails + 2);
        assert_eq!(sent[..2], [json!("bob@example.com"), json!("ada@example.com")]);
    }
}
