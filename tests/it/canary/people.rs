//! Sign-in: passwords, passcodes and tokens.

use super::{PHONE, Planted, SSN, Sender};
use serde_json::{Value, json};

const PASSWORD: &str = "plum-Orbit-773e1f";
const NEXT_PASSWORD: &str = "fig-Comet-20b9d4";
const WRONG_PASSWORD: &str = "pear-Quasar-5c8a60";
const SESSION: &str = "session { userId accessToken refreshToken } userErrors { code path message }";

impl Sender {
    async fn gql_with_token(&mut self, token: Option<&str>, what: &str, query: &str, input: Value) -> Value {
        let mut request = self.client.post(format!("{}/graphql", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.send(what, request.json(&json!({ "query": query, "variables": { "input": input } }))).await
    }

    async fn wellness(&mut self, token: Option<&str>, method: &str, path: &str, body: Value) -> Value {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.send(&format!("{method} {path}"), request.json(&body)).await
    }

    /// Returns the text of the newest message in the outbox.
    async fn newest_message(&mut self) -> String {
        let outbox = self
            .gql("sandboxOutbox", "{ sandboxOutbox(first: 1) { edges { node { text } } } }", json!({}))
            .await;
        outbox["data"]["sandboxOutbox"]["edges"][0]["node"]["text"].as_str().unwrap().to_owned()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Signs a user up and in, in good and in bad requests; returns the planted values and the passcode.
pub async fn sign_in(sender: &mut Sender) -> (Vec<Planted>, String) {
    let sign_up =
        format!("mutation($input: UserSignUpInput!) {{ userSignUp(input: $input) {{ {SESSION} }} }}");
    let sign_in =
        format!("mutation($input: UserSignInInput!) {{ userSignIn(input: $input) {{ {SESSION} }} }}");
    let new =
        json!({ "email": "grace@example.com", "password": PASSWORD, "fullName": "Grace Hopper", "ssn": SSN });
    let signed_up = sender.gql_with_token(None, "userSignUp", &sign_up, new.clone()).await;
    sender.last_succeeded();
    let session = &signed_up["data"]["userSignUp"]["session"];
    let (user_id, access, refresh) =
        (text(&session["userId"]), text(&session["accessToken"]), text(&session["refreshToken"]));

    for (what, field, value) in [
        ("a sign-up with a registered address", "email", json!("grace@example.com")),
        ("a password in a list", "password", json!([PASSWORD, 1])),
        ("a password in an object", "password", json!({ "password": PASSWORD })),
        ("an over-long password", "password", json!(PASSWORD.repeat(9))),
        ("a password for an address", "email", json!(PASSWORD)),
        ("a password for a name", "fullName", json!(PASSWORD.repeat(13))),
        ("a password for an SSN", "ssn", json!(PASSWORD)),
        ("a password for an invitation", "invitationId", json!(PASSWORD)),
    ] {
        let mut input = new.clone();
        input["email"] = json!("other@example.com");
        input[field] = value;
        sender.gql_with_token(None, what, &sign_up, input).await;
        sender.last_was_refused();
    }
    let credentials = |password: &str| json!({ "email": "grace@example.com", "password": password });
    for password in [WRONG_PASSWORD, NEXT_PASSWORD] {
        sender.gql_with_token(None, "a wrong password", &sign_in, credentials(password)).await;
        sender.last_was_refused();
        sender.wellness(None, "POST", "/account/v1/auth/token", credentials(password)).await;
        sender.last_was_refused();
    }
    sender
        .wellness(None, "POST", "/account/v1/auth/token", json!({ "email": PASSWORD, "password": 1 }))
        .await;
    sender.last_was_refused();
    sender.wellness(None, "POST", "/account/v1/users", json!({ "email": "x", "password": PASSWORD })).await;
    sender.last_was_refused();

    let send = "mutation($input: PasscodeSendInput!) { passcodeSend(input: $input) { passcode { hashCode } \
        userErrors { code message } } }";
    let sent = sender.gql_with_token(Some(&access), "passcodeSend", send, json!({ "phone": PHONE })).await;
    sender.last_succeeded();
    let hash_code = text(&sent["data"]["passcodeSend"]["passcode"]["hashCode"]);
    let passcode: String =
        sender.newest_message().await.chars().filter(char::is_ascii_digit).take(6).collect();
    let verify = "mutation($input: PasscodeVerifyInput!) { passcodeVerify(input: $input) { twoFactor { \
        isPassed } userErrors { code message } } }";
    let guess = |hash_code: &str, passcode: Value| json!({ "hashCode": hash_code, "passcode": passcode });
    for (what, input) in [
        ("a passcode for another hash code", guess("nothing", json!(passcode))),
        ("a passcode in a list", guess(&hash_code, json!([passcode, passcode]))),
        (
            "a passcode with more around it",
            guess(&hash_code, json!(format!("\"{passcode}\" passcode is {passcode}."))),
        ),
    ] {
        sender.gql_with_token(Some(&access), what, verify, input).await;
        sender.last_was_refused();
    }
    sender.gql_with_token(Some(&access), "passcodeVerify", verify, guess(&hash_code, json!(passcode))).await;
    sender.last_succeeded();

    let enroll = sender
        .gql_with_token(
            Some(&access),
            "totpEnroll",
            "mutation { totpEnroll { enrollment { secret } userErrors { code } } }",
            json!({}),
        )
        .await;
    let totp = text(&enroll["data"]["totpEnroll"]["enrollment"]["secret"]);
    let totp_verify =
        "mutation($input: TotpVerifyInput!) { totpVerify(input: $input) { userErrors { code message } } }";
    sender.gql_with_token(Some(&access), "a secret for a code", totp_verify, json!({ "code": totp })).await;
    sender.last_was_refused();

    for token in [refresh.clone(), format!("{access}x"), access[..access.len() - 2].to_owned()] {
        sender.wellness(Some(&token), "GET", &format!("/account/v1/users/{user_id}"), json!({})).await;
        sender.last_was_refused();
    }
    sender.wellness(None, "POST", "/account/v1/auth/token/refresh", json!({ "refresh": access })).await;
    sender.last_was_refused();
    sender
        .wellness(
            Some(&access),
            "PUT",
            &format!("/account/v1/users/{user_id}"),
            json!({ "date_of_birth": refresh, "full_name": SSN }),
        )
        .await;
    sender.last_was_refused();
    sender.wellness(Some(&access), "GET", &format!("/account/v1/users/{access}"), json!({})).await;
    sender.last_was_refused();

    sender
        .wellness(None, "POST", "/account/v1/password_recovery", json!({ "email": "grace@example.com" }))
        .await;
    sender.last_succeeded();
    let recovery = sender.newest_message().await.rsplit(' ').next().unwrap().to_owned();
    let reset = |token: &str, password: Value| json!({ "token": token, "password": password });
    sender
        .wellness(
            None,
            "PATCH",
            "/account/v1/password_recovery/reset",
            reset(&recovery, json!([NEXT_PASSWORD])),
        )
        .await;
    sender.last_was_refused();
    sender
        .wellness(
            None,
            "PATCH",
            "/account/v1/password_recovery/reset",
            reset(&format!("{recovery}0"), json!(NEXT_PASSWORD)),
        )
        .await;
    sender.last_was_refused();
    sender
        .wellness(
            None,
            "PATCH",
            "/account/v1/password_recovery/reset",
            reset(&recovery, json!(NEXT_PASSWORD)),
        )
        .await;
    sender.last_succeeded();
    sender.wellness(None, "POST", "/account/v1/auth/token", credentials(NEXT_PASSWORD)).await;
    sender.last_succeeded();

    let planted = vec![
        Planted::new("password", PASSWORD),
        Planted::new("next password", NEXT_PASSWORD),
        Planted::new("wrong password", WRONG_PASSWORD),
        Planted::new("access token", &access).visible_to_the_owner(),
        Planted::new("refresh token", &refresh).visible_to_the_owner(),
        Planted::new("secret of an authenticator app", &totp).visible_to_the_owner(),
        Planted::new("recovery token", &recovery).visible_to_the_owner(),
        Planted::new("recovery token in lower case", &recovery.to_lowercase()).visible_to_the_owner(),
        // Six digits alone are too common in a log to search for.
        Planted::new("passcode in a message", &format!("passcode is {passcode}")).visible_to_the_owner(),
        Planted::new("passcode in JSON", &format!("\"{passcode}\"")).visible_to_the_owner(),
    ];
    (planted, passcode)
}
