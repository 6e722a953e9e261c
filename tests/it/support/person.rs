//! Users who sign in.

use super::{Answer, TestApp, send};
use serde_json::{Value, json};

pub const SESSION: &str =
    "session { userId accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt
    twoFactor { isPassed methods phoneLast4 } } userErrors { code path message }";

/// Tokens of a signed-in user.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user_id: String,
    pub access: String,
    pub refresh: String,
}

impl SignedIn {
    fn of(session: &Value) -> Self {
        let text = |field: &str| session[field].as_str().unwrap().to_owned();
        Self { user_id: text("userId"), access: text("accessToken"), refresh: text("refreshToken") }
    }
}

impl TestApp {
    /// Signs up a user with the default partner. Their session has not passed a second factor.
    pub async fn sign_up(&self, email: &str) -> SignedIn {
        let answer = self.sign_up_with(json!({ "email": email, "password": "correct horse" })).await;
        SignedIn::of(answer.entity("userSignUp", "session"))
    }

    pub async fn sign_up_with(&self, input: Value) -> Answer {
        let document =
            format!("mutation($input: UserSignUpInput!) {{ userSignUp(input: $input) {{ {SESSION} }} }}");
        self.gql_as(None, &document, json!({ "input": input })).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let document =
            format!("mutation($input: UserSignInInput!) {{ userSignIn(input: $input) {{ {SESSION} }} }}");
        self.gql_as(None, &document, json!({ "input": { "email": email, "password": password } })).await
    }

    /// Signs in with a wrong password.
    pub async fn sign_in_with_wrong_password(&self, key: Option<&str>, email: &str) -> Answer {
        let document =
            format!("mutation($input: UserSignInInput!) {{ userSignIn(input: $input) {{ {SESSION} }} }}");
        self.gql_as(key, &document, json!({ "input": { "email": email, "password": "wrong horse" } })).await
    }

    pub async fn signed_in(&self, email: &str) -> SignedIn {
        self.signed_in_with(email, "correct horse").await
    }

    pub async fn signed_in_with(&self, email: &str, password: &str) -> SignedIn {
        SignedIn::of(self.sign_in(email, password).await.entity("userSignIn", "session"))
    }

    pub async fn refreshed(&self, refresh: &str) -> Answer {
        let document =
            format!("mutation($input: TokenRefreshInput!) {{ tokenRefresh(input: $input) {{ {SESSION} }} }}");
        self.gql_as(None, &document, json!({ "input": { "refreshToken": refresh } })).await
    }

    /// Requests a passcode and returns its hash code and the passcode from the outbox.
    pub async fn passcode(&self, person: &SignedIn, phone: Option<&str>) -> (String, String) {
        let sent = self.send_passcode(person, phone).await;
        let hash_code = sent.entity("passcodeSend", "passcode")["hashCode"].as_str().unwrap().to_owned();
        let text = self.outbox().await[0]["text"].as_str().unwrap().to_owned();
        let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
        (hash_code, code)
    }

    pub async fn send_passcode(&self, person: &SignedIn, phone: Option<&str>) -> Answer {
        let send = "mutation($input: PasscodeSendInput!) { passcodeSend(input: $input) {
            passcode { hashCode phoneLast4 } userErrors { code path message } } }";
        self.gql_as(Some(&person.access), send, json!({ "input": { "phone": phone } })).await
    }

    pub async fn verify_passcode(&self, person: &SignedIn, hash_code: &str, passcode: &str) -> Answer {
        let verify = "mutation($input: PasscodeVerifyInput!) { passcodeVerify(input: $input) {
            twoFactor { isPassed methods phoneLast4 } userErrors { code path message } } }";
        let input = json!({ "hashCode": hash_code, "passcode": passcode });
        self.gql_as(Some(&person.access), verify, json!({ "input": input })).await
    }

    /// Signs up a user and verifies this phone number, so that their session has passed the second factor.
    pub async fn person(&self, email: &str, phone: &str) -> SignedIn {
        let person = self.sign_up(email).await;
        let (hash_code, code) = self.passcode(&person, Some(phone)).await;
        let verified = self.verify_passcode(&person, &hash_code, &code).await;
        assert_eq!(verified.entity("passcodeVerify", "twoFactor")["isPassed"], true);
        person
    }

    /// Returns the messages in the outbox, newest first.
    pub async fn outbox(&self) -> Vec<Value> {
        let answer = self
            .gql("{ sandboxOutbox { edges { node { channel purpose to subject text } } } }", json!({}))
            .await;
        let edges = answer.data()["sandboxOutbox"]["edges"].as_array().unwrap().clone();
        edges.into_iter().map(|edge| edge["node"].clone()).collect()
    }

    /// Sends a request to the wellness API, with or without an access token.
    pub async fn wellness(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.anonymous(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        send(request).await
    }

    /// Makes every time in a column this many seconds earlier.
    pub async fn backdate(&self, table: &str, column: &str, seconds: i64) {
        use sea_orm::{ConnectionTrait, DbBackend};
        let tx = self.app.db.write().await.unwrap();
        let sql = match self.app.db.backend() {
            DbBackend::Postgres => {
                format!("UPDATE {table} SET {column} = {column} - interval '{seconds} seconds'")
            }
            _ => format!(
                "UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%f', {column}, '-{seconds} \
                    seconds') || '+00:00' WHERE {column} IS NOT NULL"
            ),
        };
        tx.execute_unprepared(&sql).await.unwrap();
        tx.commit().await.unwrap();
    }
}
