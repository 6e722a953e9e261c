//! The query that describes the caller's own credential.

use super::keys::{ISSUE, ROTATE};
use crate::support::{TestApp, on_both};
use domain::Scope;
use serde_json::{Value, json};

const CREDENTIAL: &str = "{ credential { kind scopes expiresAt label partner { name mode } } }";

async fn credential(app: &TestApp, token: Option<&str>) -> Value {
    app.gql_as(token, CREDENTIAL, json!({})).await.data()["credential"].clone()
}

on_both! {
    async fn a_key_reads_its_own_scopes_label_and_expiry(app: TestApp) {
        let partner = json!({ "name": "tests", "mode": "SANDBOX" });
        let all = ["READ", "TRADE", "TRANSFER", "MANAGE", "OPERATE"];
        assert_eq!(
            credential(&app, Some(&app.key)).await,
            json!({ "kind": "SECRET_KEY", "scopes": all, "expiresAt": null, "label": "", "partner": partner })
        );
        let input = json!({ "label": "server", "scopes": ["READ", "TRADE"] });
        let issued = app.gql(ISSUE, json!({ "input": input })).await;
        let id = issued.entity("apiKeyIssue", "apiKey")["id"].clone();
        let secret = issued.data()["apiKeyIssue"]["secret"].as_str().unwrap().to_owned();
        let mut expected = json!({ "kind": "SECRET_KEY", "scopes": ["READ", "TRADE"], "expiresAt": null,
            "label": "server", "partner": partner });
        assert_eq!(credential(&app, Some(&secret)).await, expected);
        let rotated =
            app.gql(ROTATE, json!({ "input": { "apiKeyId": id, "expiresAfterHours": 1 } })).await;
        let end = &rotated.entity("apiKeyRotate", "apiKey")["rotatedFrom"]["expiresAt"];
        assert!(end.is_string(), "{end}");
        expected["expiresAt"] = end.clone();
        assert_eq!(credential(&app, Some(&secret)).await, expected);
        // No scope is needed, and a key that is public does not reveal its label or partner.
        let publishable = app.key_for(&[Scope::Start]).await;
        assert_eq!(
            credential(&app, Some(&publishable)).await,
            json!({ "kind": "PUBLISHABLE_KEY", "scopes": ["START"], "expiresAt": null, "label": null,
                "partner": null })
        );
        assert_eq!(credential(&app, None).await, Value::Null);
    }

    async fn an_access_token_has_scopes_once_the_second_factor_is_passed(app: TestApp) {
        let signed_up = app
            .sign_up_with(json!({ "email": "ada@example.com", "password": "correct horse" }))
            .await;
        let session = signed_up.entity("userSignUp", "session");
        let token = session["accessToken"].as_str().unwrap();
        // A token contains its expiry in whole seconds.
        let expires_at = format!("{}Z", &session["accessTokenExpiresAt"].as_str().unwrap()[..19]);
        let expected = |scopes: &[&str]| {
            json!({ "kind": "ACCESS_TOKEN", "scopes": scopes, "expiresAt": expires_at,
                "label": null, "partner": null })
        };
        assert_eq!(credential(&app, Some(token)).await, expected(&[]));
        let viewer = app.gql_as(Some(token), "{ viewer { id } }", json!({})).await;
        assert_eq!(viewer.error_code(), "TWO_FACTOR_REQUIRED");
        let person = app.person("eve@example.com", "2025550107").await;
        let seen = credential(&app, Some(&person.access)).await;
        assert_eq!(seen["scopes"], json!(["READ", "TRADE", "TRANSFER", "MANAGE"]));
        assert_eq!(app.gql_as(Some(&person.access), "{ viewer { id } }", json!({})).await.data()["viewer"]["id"],
            json!(person.user_id));
    }
}
