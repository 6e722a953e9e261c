//! Access and refresh tokens: forged and expired tokens, and rotation of refresh tokens.

use crate::support::{TestApp, on_both, person::SignedIn, socket::Socket};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::kernel::secrets::Secret;
use entity::audit_log;
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeSet;

/// Signs a header and claims with this key (HMAC-SHA256).
pub fn signed(key: &[u8], header: &Value, claims: &Value) -> String {
    let body = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(body.as_bytes());
    format!("{body}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

pub fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&BASE64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

pub fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

pub fn without(claims: &Value, name: &str) -> Value {
    let mut changed = claims.clone();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

/// Returns forged and expired tokens, each with a description of what is wrong.
fn attacks(
    key: &[u8],
    person: &SignedIn,
    other: &SignedIn,
    revoked: &SignedIn,
) -> Vec<(&'static str, String)> {
    let header = json!({ "typ": "JWT", "alg": "HS256" });
    let token = person.access.as_str();
    let good = claims_of(token);
    let now = good["iat"].as_i64().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let sign = |claims: &Value| signed(key, &header, claims);
    let unsigned =
        |alg: &str| format!("{}.{body}.", BASE64.encode(json!({ "typ": "JWT", "alg": alg }).to_string()));
    let headed = |extra: Value| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        signed(b"the attacker's own key", &header, &good)
    };
    let mut flipped = signature.as_bytes().to_vec();
    flipped[0] = if flipped[0] == b'A' { b'B' } else { b'A' };
    let jwk = json!({ "kty": "oct", "k": BASE64.encode("the attacker's own key") });
    vec![
        ("alg none, no signature", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE", unsigned("NONE")),
        ("alg nOnE", unsigned("nOnE")),
        ("alg none, the old signature", format!("{}{signature}", unsigned("none"))),
        ("alg HS384 over the same key", signed(key, &json!({ "typ": "JWT", "alg": "HS384" }), &good)),
        ("alg HS512 over the same key", signed(key, &json!({ "typ": "JWT", "alg": "HS512" }), &good)),
        ("alg RS256 signed with the secret", signed(key, &json!({ "typ": "JWT", "alg": "RS256" }), &good)),
        ("alg ES256 signed with the secret", signed(key, &json!({ "typ": "JWT", "alg": "ES256" }), &good)),
        ("alg EdDSA signed with the secret", signed(key, &json!({ "typ": "JWT", "alg": "EdDSA" }), &good)),
        ("no alg", signed(key, &json!({ "typ": "JWT" }), &good)),
        ("alg null", signed(key, &json!({ "typ": "JWT", "alg": null }), &good)),
        ("a header that is a list", signed(key, &json!(["HS256"]), &good)),
        ("signed with another key", signed(b"the attacker's own key", &header, &good)),
        ("signed with an empty key", signed(b"", &header, &good)),
        ("signed with the zero key", signed(&[0; 32], &header, &good)),
        ("a kid that points elsewhere", headed(json!({ "kid": "../../dev/null" }))),
        ("a kid with SQL in it", headed(json!({ "kid": "' UNION SELECT 'the attacker''s own key' --" }))),
        ("a jwk of the attacker", headed(json!({ "jwk": jwk }))),
        ("a jku of the attacker", headed(json!({ "jku": "https://attacker.example/keys.json" }))),
        ("an x5u of the attacker", headed(json!({ "x5u": "https://attacker.example/key.pem" }))),
        ("a signature without its last character", token[..token.len() - 1].to_owned()),
        ("an empty signature", format!("{head}.{body}.")),
        ("no signature part", format!("{head}.{body}")),
        (
            "a signature with one letter changed",
            format!("{head}.{body}.{}", String::from_utf8(flipped).unwrap()),
        ),
        ("a signature padded with =", format!("{token}=")),
        ("a signature with an extra letter", format!("{token}A")),
        ("four parts", format!("{token}.{signature}")),
        ("blanks inside", format!("{head}. {body}.{signature}")),
        (
            "the payload of another, the signature of this",
            format!("{head}.{}.{signature}", other.access.split('.').nth(1).unwrap()),
        ),
        (
            "a payload altered",
            format!(
                "{head}.{}.{signature}",
                BASE64.encode(with(&good, "exp", json!(now + 999_999)).to_string())
            ),
        ),
        ("a payload that is not JSON", format!("{head}.{}.{signature}", BASE64.encode("not JSON"))),
        ("an expired token", sign(&with(&good, "exp", json!(now - 1)))),
        ("a token that expired this second", sign(&with(&good, "exp", json!(now)))),
        ("an expiry as text", sign(&with(&good, "exp", json!("never")))),
        ("not valid yet", sign(&with(&good, "nbf", json!(now + 600)))),
        ("no expiry", sign(&without(&good, "exp"))),
        ("no start", sign(&without(&good, "nbf"))),
        ("no issuer", sign(&without(&good, "iss"))),
        ("another issuer", sign(&with(&good, "iss", json!("elsewhere")))),
        ("no audience", sign(&without(&good, "aud"))),
        ("another audience", sign(&with(&good, "aud", json!("elsewhere")))),
        ("no token type", sign(&without(&good, "token_type"))),
        ("a refresh token", person.refresh.clone()),
        ("an unknown token type", sign(&with(&good, "token_type", json!("admin")))),
        ("no user", sign(&without(&good, "user_id"))),
        ("another user on this session", sign(&with(&good, "user_id", json!(other.user_id)))),
        ("an unknown session", sign(&with(&good, "sid", json!("01890000-0000-7000-8000-000000000015")))),
        ("no session", sign(&without(&good, "sid"))),
        ("an earlier version of the password", sign(&with(&good, "ver", json!(0)))),
        ("a later version of the password", sign(&with(&good, "ver", json!(2)))),
        ("no id", sign(&without(&good, "jti"))),
        ("a short id", sign(&with(&good, "jti", json!("1")))),
        ("a token of a user with disabled sign-in", revoked.access.clone()),
    ]
}

on_both! {
    async fn forged_and_expired_tokens_are_refused(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let other = app.sign_up("eve@example.com").await;
        let revoked = app.sign_up("old@example.com").await;
        app.gql(
            "mutation($input: UserSignInDisableInput!) { userSignInDisable(input: $input) { userErrors \
            { code } } }",
            json!({ "input": { "userId": revoked.user_id } }),
        )
        .await
        .data();

        let key = app.app.vault.token_key().reveal().to_vec();
        // The token that the attacks start from is valid.
        let good = claims_of(&person.access);
        let names: BTreeSet<&str> = good.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["aud", "exp", "iat", "iss", "jti", "nbf", "sid", "token_type", "user_id", "ver"].into()
        );
        assert_eq!(good["exp"].as_i64().unwrap() - good["iat"].as_i64().unwrap(), 15 * 60);
        let refresh = claims_of(&person.refresh);
        assert_eq!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(), 7 * 24 * 60 * 60);
        let header = json!({ "typ": "JWT", "alg": "HS256" });
        let own = signed(&key, &header, &good);
        assert_eq!(viewer(&app, &own).await, json!({ "data": { "viewer": { "id": person.user_id } } }));

        let attacks = attacks(&key, &person, &other, &revoked);
        assert!(attacks.len() >= 40, "{}", attacks.len());
        for (what, token) in &attacks {
            let denied = app.gql_as(Some(token), "{ viewer { id email } }", json!({})).await;
            assert_eq!(denied.status, 401, "{what}: {}", denied.body);
            assert_eq!(
                denied.body,
                json!({ "errors": [{ "message": "Authentication is required.",
                    "extensions": { "code": "UNAUTHENTICATED" } }] }),
                "{what}"
            );
            let user = format!("/account/v1/users/{}", person.user_id);
            let denied = app.wellness(Some(token), "GET", &user, None).await;
            let expected = json!({ "detail": "Authentication credentials are missing or invalid.",
                "code": "not-authenticated" });
            assert_eq!((denied.status, denied.body), (401, expected), "{what}");
            let denied =
                app.wellness(Some(token), "GET", &format!("/v1/users/{}", person.user_id), None).await;
            assert_eq!(
                (denied.status, &denied.body["error"]["type"]),
                (401, &json!("authentication_error")),
                "{what}"
            );
        }
        for (what, token) in attacks.iter().step_by(7) {
            let mut socket = Socket::open(&app).await;
            socket
                .say(json!({ "type": "connection_init",
                "payload": { "authorization": format!("Bearer {token}") } }))
                .await;
            assert_eq!(socket.hear().await.unwrap_err().0, 4403, "{what}");
        }
        let doubled = crate::support::send(
            app.anonymous("GET", &format!("/account/v1/users/{}", person.user_id))
                .bearer_auth(&person.access)
                .header("authorization", format!("Bearer {}", person.access)),
        );
        assert_eq!(doubled.await.status, 401);
        let another_key = Secret::new([8; 32]);
        let foreign = signed(another_key.reveal(), &header, &good);
        assert_eq!(app.gql_as(Some(&foreign), "{ viewer { id } }", json!({})).await.status, 401);
    }

    async fn access_and_refresh_tokens_are_not_interchangeable(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        assert_eq!(
            app.refreshed(&person.access).await.user_error("tokenRefresh")["code"],
            "INVALID_CREDENTIALS"
        );
        assert_eq!(
            app.gql_as(Some(&person.refresh), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
    }

    /// The old token is valid until the new one is used. Using the old token after that means that it was
    /// copied, so every token of the session becomes invalid.
    async fn reusing_a_refresh_token_ends_its_session(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let first = tokens(&app.refreshed(&person.refresh).await);
        let lost = tokens(&app.refreshed(&person.refresh).await);
        assert_eq!(first.1, lost.1, "a response that was lost is repeated");
        let second = tokens(&app.refreshed(&first.1).await);
        assert_ne!(second.1, first.1);
        assert_eq!(
            viewer(&app, &second.0).await["data"]["viewer"]["id"],
            json!(person.user_id),
            "the second factor remains passed"
        );
        let reused = app.refreshed(&person.refresh).await;
        assert_eq!(reused.user_error("tokenRefresh")["code"], "INVALID_CREDENTIALS");
        for token in [&person.refresh, &first.1, &second.1] {
            assert_eq!(app.refreshed(token).await.user_error("tokenRefresh")["code"], "INVALID_CREDENTIALS");
        }
        for token in [&person.access, &first.0, &second.0] {
            assert_eq!(
                app.gql_as(Some(token), "{ viewer { id } }", json!({})).await.error_code(),
                "UNAUTHENTICATED"
            );
        }
        // The user can sign in again and gets a new session.
        let elsewhere = app.signed_in("ada@example.com").await;
        tokens(&app.refreshed(&elsewhere.refresh).await);
    }

    async fn a_replayed_refresh_token_is_in_the_audit_log(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let first = tokens(&app.refreshed(&person.refresh).await);
        tokens(&app.refreshed(&first.1).await);
        app.refreshed(&person.refresh).await.user_error("tokenRefresh");
        app.refreshed(&person.refresh).await.user_error("tokenRefresh");
        let select = audit_log::Entity::find()
            .filter(audit_log::Column::Operation.eq("session.refresh"))
            .order_by_asc(audit_log::Column::Id);
        let lines = select.all(&app.app.db.read).await.unwrap();
        let session = Some(claims_of(&person.refresh)["sid"].as_str().unwrap().to_owned());
        let logged: Vec<_> = lines
            .iter()
            .map(|line| (line.object_id.map(|id| id.to_string()), line.decision.as_str()))
            .collect();
        let done = (session.clone(), "done");
        assert_eq!(logged, [done.clone(), done, (session, "REFRESH_TOKEN_REPLAYED")]);
        assert!(lines.iter().all(|line| line.principal_id.to_string() == person.user_id));
    }

    async fn signing_out_with_a_replayed_refresh_token_ends_the_session(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let first = tokens(&app.refreshed(&person.refresh).await);
        let second = tokens(&app.refreshed(&first.1).await);
        let sign_out =
            "mutation($input: UserSignOutInput!) { userSignOut(input: $input) { userErrors { code } } }";
        let by = |token: &str| json!({ "input": { "refreshToken": token } });
        let refused = app.gql_as(Some(&second.0), sign_out, by(&person.refresh)).await;
        assert_eq!(refused.data()["userSignOut"]["userErrors"], json!([{ "code": "INVALID_CREDENTIALS" }]));
        assert_eq!(
            app.gql_as(Some(&second.0), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
        let line = audit_log::Entity::find().filter(audit_log::Column::Operation.eq("session.sign_out"));
        let lines = line.all(&app.app.db.read).await.unwrap();
        assert_eq!(
            lines.iter().map(|line| line.decision.as_str()).collect::<Vec<_>>(),
            ["REFRESH_TOKEN_REPLAYED"]
        );
    }

    /// Events after the change are not delivered, even if the session was cached just before.
    async fn no_event_reaches_a_socket_after_sign_in_was_disabled(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let mut socket = Socket::join(&app, Some(&person.access)).await;
        socket.subscribe("1", "subscription { events(after: \"0\") { type } }", json!({})).await;
        socket.next().await;
        let input = json!({ "input": { "userId": person.user_id } });
        let disable = "mutation($input: UserSignInDisableInput!) { userSignInDisable(input: $input) { user \
            { id } userErrors { code } } }";
        app.gql(disable, input).await.entity("userSignInDisable", "user");
        let update = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { id } \
            userErrors { message } } }";
        let patch = json!({
            "firstName": "Ada", "lastName": "Carter", "ssn": "123456789", "birthDate": "1985-01-23",
            "address": { "line1": "123 Test St", "city": "Richmond", "state": "VA", "postalCode": "23220",
                "countryCode": "US" },
        });
        let named = json!({ "input": { "userId": person.user_id, "patch": patch } });
        app.gql(update, named).await.entity("userUpdate", "user");
        loop {
            match socket.hear().await {
                Ok(message) => {
                    assert_ne!(message["payload"]["data"]["events"]["type"], "USER_UPDATED", "{message}");
                }
                Err(end) => break assert_eq!(end.0, 4403),
            }
        }
    }

    async fn parallel_refreshes_give_one_successor(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let answers = futures_util::future::join_all((0..64).map(|_| app.refreshed(&person.refresh))).await;
        let successors: BTreeSet<String> = answers.iter().map(|answer| tokens(answer).1).collect();
        assert_eq!(successors.len(), 1);
        let next = successors.first().unwrap();
        assert_ne!(*next, person.refresh);
        tokens(&app.refreshed(next).await);
        assert_eq!(
            app.refreshed(&person.refresh).await.user_error("tokenRefresh")["code"],
            "INVALID_CREDENTIALS"
        );
    }

    async fn a_changed_password_ends_every_session_but_the_new_one(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let elsewhere = app.signed_in("ada@example.com").await;
        let mut socket = Socket::join(&app, Some(&person.access)).await;
        socket.subscribe("1", "subscription { events { id } }", json!({})).await;
        let change = "mutation($input: PasswordChangeInput!) { passwordChange(input: $input) { session { \
            accessToken twoFactor { isPassed } } userErrors { code path message } } }";
        let input =
            |password: &str, new: &str| json!({ "input": { "password": password, "newPassword": new } });
        let wrong = app.gql_as(Some(&person.access), change, input("wrong horse", "another horse")).await;
        assert_eq!(wrong.user_error("passwordChange")["code"], "INVALID_CREDENTIALS");
        let not_yet =
            app.gql_as(Some(&elsewhere.access), change, input("correct horse", "another horse")).await;
        assert_eq!(not_yet.error_code(), "TWO_FACTOR_REQUIRED");
        let changed = app.gql_as(Some(&person.access), change, input("correct horse", "another horse")).await;
        let session = changed.entity("passwordChange", "session");
        assert_eq!(session["twoFactor"]["isPassed"], true);
        assert_eq!(socket.closed().await.0, 4403);
        for token in [&person.access, &elsewhere.access] {
            assert_eq!(
                app.gql_as(Some(token), "{ viewer { id } }", json!({})).await.error_code(),
                "UNAUTHENTICATED"
            );
        }
        assert_eq!(
            viewer(&app, session["accessToken"].as_str().unwrap()).await["data"]["viewer"]["id"],
            json!(person.user_id)
        );
        assert_eq!(
            app.sign_in("ada@example.com", "correct horse").await.user_error("userSignIn")["code"],
            "INVALID_CREDENTIALS"
        );
        app.sign_in("ada@example.com", "another horse").await.entity("userSignIn", "session");
    }

    async fn a_socket_closes_when_its_token_expires(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let mut claims = claims_of(&person.access);
        claims["exp"] =
            json!(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 5);
        let short =
            signed(app.app.vault.token_key().reveal(), &json!({ "typ": "JWT", "alg": "HS256" }), &claims);
        let mut socket = Socket::join(&app, Some(&short)).await;
        socket.subscribe("1", "subscription { events { id } }", json!({})).await;
        assert_eq!(socket.closed().await.0, 4403);
        assert_eq!(
            app.gql_as(Some(&short), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
    }

    async fn disabling_sign_in_ends_every_session_at_once(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let switch = |to: &str| {
            format!(
                "mutation($input: UserSignIn{to}Input!) {{ userSignIn{to}(input: $input) {{ user {{ id }} \
                    userErrors {{ code }} }} }}"
            )
        };
        let input = json!({ "input": { "userId": person.user_id } });
        assert_eq!(
            app.gql(&switch("Disable"), input.clone()).await.entity("userSignInDisable", "user")["id"],
            json!(person.user_id)
        );
        assert_eq!(
            app.gql_as(Some(&person.access), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
        assert_eq!(
            app.sign_in("ada@example.com", "correct horse").await.user_error("userSignIn")["code"],
            "INVALID_CREDENTIALS"
        );
        app.gql(&switch("Enable"), input).await.entity("userSignInEnable", "user");
        assert_eq!(
            app.gql_as(Some(&person.access), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
        app.sign_in("ada@example.com", "correct horse").await.entity("userSignIn", "session");
    }

    async fn failed_sign_ins_are_throttled_for_known_and_unknown_addresses(app: TestApp) {
        app.sign_up("ada@example.com").await;
        for email in ["ada@example.com", "unknown@example.com"] {
            let answers =
                futures_util::future::join_all((0..20).map(|_| app.sign_in(email, "wrong horse"))).await;
            let evaluated = answers
                .iter()
                .filter(|answer| {
                    answer.body["data"]["userSignIn"]["userErrors"][0]["code"] == "INVALID_CREDENTIALS"
                })
                .count();
            let throttled = answers
                .iter()
                .filter(|answer| answer.body["errors"][0]["extensions"]["code"] == "RATE_LIMITED")
                .count();
            assert_eq!((evaluated, throttled), (5, 15), "{email}");
            let right = app.sign_in(email, "correct horse").await;
            assert_eq!(right.error_code(), "RATE_LIMITED");
            let wait = right.body["errors"][0]["extensions"]["retryAfter"].as_u64().unwrap();
            assert!((1..=30).contains(&wait), "{wait}");
        }
        app.backdate("limit_use", "blocked_until", 31).await;
        app.sign_in("ada@example.com", "correct horse").await.entity("userSignIn", "session");
        app.sign_in("ada@example.com", "wrong horse").await.user_error("userSignIn");
        app.sign_in("ada@example.com", "correct horse").await.entity("userSignIn", "session");
    }
}

async fn viewer(app: &TestApp, token: &str) -> Value {
    app.gql_as(Some(token), "{ viewer { id } }", json!({})).await.body
}

/// Returns the access token and the refresh token of a response.
#[track_caller]
fn tokens(answer: &crate::support::Answer) -> (String, String) {
    let session = answer.entity("tokenRefresh", "session");
    let text = |field: &str| session[field].as_str().unwrap().to_owned();
    (text("accessToken"), text("refreshToken"))
}

/// Attempts are limited per client address, whatever the email address; requests with a partner's key are
/// not, because the partner's server signs in many users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_limited_per_client_address() {
    let setup = domain::app::Setup { throttle: true, ..crate::support::Options::default().setup };
    for app in
        TestApp::each_with(crate::support::Options { setup, ..crate::support::Options::default() }).await
    {
        let addresses: Vec<String> = (0..40).map(|n| format!("unknown{n}@example.com")).collect();
        let tries = futures_util::future::join_all(
            addresses.iter().map(|address| app.sign_in_with_wrong_password(None, address)),
        )
        .await;
        let evaluated = tries
            .iter()
            .filter(|answer| {
                answer.body["data"]["userSignIn"]["userErrors"][0]["code"] == "INVALID_CREDENTIALS"
            })
            .count();
        let refused = tries
            .iter()
            .filter(|answer| answer.body["errors"][0]["extensions"]["code"] == "RATE_LIMITED")
            .count();
        assert_eq!((evaluated, refused), (30, 10));
        let by_partner = app.sign_in_with_wrong_password(Some(&app.key), "unknown41@example.com").await;
        assert_eq!(by_partner.user_error("userSignIn")["code"], "INVALID_CREDENTIALS");
        for turn in 0..12 {
            let recovery = app
                .wellness(
                    None,
                    "POST",
                    "/account/v1/password_recovery",
                    Some(json!({ "email": "unknown@example.com" })),
                )
                .await;
            assert_eq!(recovery.status, if turn < 10 { 200 } else { 429 }, "{turn}");
        }
    }
}
