//! The GraphQL face of API keys.

use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{ApiKeyUserError, payload},
        pages::{Connection, Item},
        scalars::DateTime,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use domain::{
    Refusal, Scope,
    access::keys::{self, Issued, NewKey, Rotation},
    kernel::ids,
};
use entity::{Kind, api_key};
use uuid::Uuid;

/// What a partner proves itself with; its text is shown once, when it is made.
pub struct ApiKey(pub api_key::Model);

/// What a partner proves itself with; its text is shown once, when it is made.
#[Object]
impl ApiKey {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The part of its text that may be shown, by which it is recognised.
    async fn prefix(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(keys::display_prefix(&self.0, ctx.actor().partner(Scope::Operate)?.mode))
    }

    /// What its partner calls it; empty when nobody named it.
    async fn label(&self) -> &str {
        &self.0.label
    }

    /// What it may do.
    async fn scopes(&self) -> Vec<KeyScope> {
        keys::scopes(&self.0).into_iter().map(KeyScope::from).collect()
    }

    /// Whether anyone may hold it, because it can begin a customer and nothing else.
    async fn is_publishable(&self) -> bool {
        keys::scopes(&self.0) == [Scope::Start]
    }

    /// The key it takes the place of; null for the first of its line.
    async fn rotated_from(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        match self.0.rotated_from {
            Some(id) => Ok(ctx.loaders().find::<api_key::Entity>(id).await?.map(Self)),
            None => Ok(None),
        }
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// From when on it opens nothing; null when it has no end.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime::from)
    }

    /// When it was taken back; null while it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime::from)
    }
}

impl Item for ApiKey {
    const KIND: Kind = Kind::ApiKey;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<api_key::Model> for ApiKey {
    fn from(row: api_key::Model) -> Self {
        Self(row)
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Scope")]
pub enum KeyScope {
    /// Begin a customer and her identity check: all that a publishable key may do.
    Start,
    /// Look at customers and their affairs.
    Read,
    /// Place and cancel orders.
    Trade,
    /// Move money.
    Transfer,
    /// Create customers, accounts and bank accounts.
    Manage,
    /// Run the sandbox, review, and give out keys.
    Operate,
}

/// Input of apiKeyIssue.
#[derive(InputObject)]
pub struct ApiKeyIssueInput {
    /// What it shall be called, at most 100 characters.
    label: String,
    /// What it may do, nothing that the calling key may not; START or nothing for a publishable key.
    scopes: Vec<KeyScope>,
    /// Whether anyone may hold it, as a page or an app that customers run does.
    #[graphql(default)]
    publishable: bool,
}

/// Input of apiKeyRotate.
#[derive(InputObject)]
pub struct ApiKeyRotateInput {
    /// The key that gets a successor.
    api_key_id: ID,
    /// After how many hours the key itself opens nothing, 1 to 720; it stays live until revoked when left
    /// out.
    expires_after_hours: Option<i32>,
}

/// Input of apiKeyRevoke.
#[derive(InputObject)]
pub struct ApiKeyRevokeInput {
    /// The key to take back.
    api_key_id: ID,
}

macro_rules! issued {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $payload {
            /// The key, null when refused.
            api_key: Option<ApiKey>,
            /// The whole text of the key, shown here and never again; null when refused.
            secret: Option<String>,
            /// Why it was refused; empty on success.
            user_errors: Vec<ApiKeyUserError>,
            /// The root, to read on in the same request.
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
    /// Outcome of apiKeyIssue.
    ApiKeyIssuePayload
);

issued!(
    /// Outcome of apiKeyRotate.
    ApiKeyRotatePayload
);

payload!(
    /// Outcome of apiKeyRevoke.
    ApiKeyRevokePayload {
        /// The key, null when refused.
        api_key: ApiKey,
        ApiKeyUserError
    }
);

#[derive(Default)]
pub struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// The partner's keys, revoked ones included, newest first; scope `operate`.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<ApiKey>>> {
        let page = ctx.page::<ApiKey>(first, after, last, before)?;
        let slice = keys::list(&*ctx.loaders().connection().await?, ctx.actor(), &page).await?;
        Ok(Some(Connection::new(slice, ApiKey)))
    }
}

#[derive(Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Issue a key that may do nothing the calling key may not; a lost answer's key is listed and can be
    /// revoked; scope `operate`.
    async fn api_key_issue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for apiKeyIssue.")] input: ApiKeyIssueInput,
    ) -> Result<Option<ApiKeyIssuePayload>> {
        let scopes = input.scopes.into_iter().map(domain::Scope::from).collect();
        let new = NewKey { label: input.label, scopes, publishable: input.publishable };
        Ok(Some(wire::outcome(keys::issue_for(ctx.app(), ctx.actor(), new).await)?.into()))
    }

    /// Issue a key's successor beside it, with its label and scopes; at most two keys of one line are live;
    /// scope `operate`.
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

    /// Take a key back, be it the calling one; whatever it holds open ends within two seconds; scope
    /// `operate`.
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for apiKeyRevoke.")] input: ApiKeyRevokeInput,
    ) -> Result<Option<ApiKeyRevokePayload>> {
        let revoked = keys::revoke(ctx.app(), ctx.actor(), ids::parse(Kind::ApiKey, &input.api_key_id)).await;
        Ok(Some(wire::outcome(revoked)?.into()))
    }
}
