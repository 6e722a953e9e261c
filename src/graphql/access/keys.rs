//! GraphQL types and operations for API keys.

use super::credentials::Scope;
use crate::{
    graphql::core::{
        breadth::{ListOf, Maybe},
        context::{RequestContext, Viewpoint},
        errors::UserError,
        mutations::payload,
        pages::PageArgs,
        scalars::DateTime,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use domain::{
    Refusal,
    access::keys::{self, Issued, NewKey, Rotation},
    kernel::ids,
};
use entity::{Kind, api_key};
use macros::breadth;

/// API key of a partner. The full key text is shown only once, when the key is issued.
#[derive(Clone)]
pub struct ApiKey(pub api_key::Model);

/// API key of a partner. The full key text is shown only once, when the key is issued.
#[breadth]
impl ApiKey {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Start of the key text, which identifies the key, for example `sk_test_a1B2c3D4`.
    fn prefix(&self, view: &Viewpoint) -> Result<String> {
        Ok(keys::display_prefix(&self.0, view.actor().partner(domain::Scope::Operate)?.mode))
    }

    /// Label chosen by the partner; empty if there is none.
    fn label(&self) -> &str {
        &self.0.label
    }

    /// Scopes of the key.
    fn scopes(&self) -> Vec<Scope> {
        keys::scopes(&self.0).into_iter().map(Scope::from).collect()
    }

    /// Whether the key may be published in web pages and apps; its only scope is then `start`.
    fn is_publishable(&self) -> bool {
        keys::scopes(&self.0) == [domain::Scope::Start]
    }

    /// Key that this key replaces; null if it was not issued by apiKeyRotate.
    fn rotated_from(&self) -> Maybe<ApiKey> {
        Maybe::of(self.0.rotated_from)
    }

    /// Time when the key was issued.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time when the key expires; null if it does not expire.
    fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime::from)
    }

    /// Time when the key was revoked; null if it was not.
    fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime::from)
    }
}

/// Input for apiKeyIssue.
#[derive(InputObject)]
pub struct ApiKeyIssueInput {
    /// Label, at most 100 characters.
    label: String,
    /// Scopes of the new key, all of which the calling key must have. `START` or empty for a publishable key.
    scopes: Vec<Scope>,
    /// Whether to issue a publishable key, for use in web pages and apps.
    #[graphql(default)]
    publishable: bool,
}

/// Input for apiKeyRotate.
#[derive(InputObject)]
pub struct ApiKeyRotateInput {
    /// Id of the key to replace.
    api_key_id: ID,
    /// Hours until the replaced key expires, 1 to 720. If omitted, it works until it is revoked.
    expires_after_hours: Option<i32>,
}

/// Input for apiKeyRevoke.
#[derive(InputObject)]
pub struct ApiKeyRevokeInput {
    /// Id of the key to revoke.
    api_key_id: ID,
}

macro_rules! issued {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $payload {
            /// The API key. Null if the request was refused.
            api_key: Option<ApiKey>,
            /// Full key text, shown only in this response. Null if the request was refused.
            secret: Option<String>,
            /// Why the request was refused; empty on success.
            user_errors: Vec<UserError>,
            /// Query root, to read more data in the same request.
            query: crate::graphql::Query,
        }

        impl From<std::result::Result<Issued, Refusal>> for $payload {
            fn from(outcome: std::result::Result<Issued, Refusal>) -> Self {
                let query = crate::graphql::Query::default();
                match outcome {
                    Ok(Issued { key, text }) => {
                        let secret = text.map(|text| text.reveal().clone());
                        Self { api_key: Some(ApiKey(key)), secret, user_errors: Vec::new(), query }
                    }
                    Err(refusal) => Self { api_key: None, secret: None,
                        user_errors: refusal.all().map(Into::into).collect(), query },
                }
            }
        }
    };
}

issued!(
    /// Result of apiKeyIssue.
    ApiKeyIssuePayload
);

issued!(
    /// Result of apiKeyRotate.
    ApiKeyRotatePayload
);

payload!(
    /// Result of apiKeyRevoke.
    ApiKeyRevokePayload {
        /// The API key. Null if the request was refused.
        api_key: ApiKey
    }
);

#[derive(Default)]
pub struct ApiKeyQuery;

#[breadth]
impl ApiKeyQuery {
    /// Returns the partner's API keys, including revoked ones, newest first. Requires scope `operate`.
    fn api_keys(&self, view: &Viewpoint, page: PageArgs) -> Result<Option<ListOf<ApiKey>>> {
        Ok(Some(ListOf::all(view, &page, Vec::new())?))
    }
}

#[derive(Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Issues an API key with scopes that the calling key has. If the response is lost, revoke the new key
    /// and issue another. Requires scope `operate`.
    async fn api_key_issue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for apiKeyIssue.")] input: ApiKeyIssueInput,
    ) -> Result<Option<ApiKeyIssuePayload>> {
        let scopes = input.scopes.into_iter().map(domain::Scope::from).collect();
        let new = NewKey { label: input.label, scopes, publishable: input.publishable };
        Ok(Some(wire::outcome(keys::issue_for(ctx.app(), ctx.actor(), new).await)?.into()))
    }

    /// Issues a replacement with the same label and scopes; both keys work until the old one expires or is
    /// revoked. The replacement can be rotated only after that. Requires scope `operate`.
    async fn api_key_rotate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for apiKeyRotate.")] input: ApiKeyRotateInput,
    ) -> Result<Option<ApiKeyRotatePayload>> {
        let rotation = Rotation {
            id: ids::parse(Kind::ApiKey, &input.api_key_id),
            expires_after_hours: input.expires_after_hours.map(i64::from),
        };
        Ok(Some(wire::outcome(keys::rotate(ctx.app(), ctx.actor(), rotation).await)?.into()))
    }

    /// Revokes an API key, which may be the calling key; its open subscriptions end within two seconds.
    /// Requires scope `operate`.
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for apiKeyRevoke.")] input: ApiKeyRevokeInput,
    ) -> Result<Option<ApiKeyRevokePayload>> {
        let revoked = keys::revoke(ctx.app(), ctx.actor(), ids::parse(Kind::ApiKey, &input.api_key_id)).await;
        Ok(Some(wire::outcome(revoked)?.into()))
    }
}
