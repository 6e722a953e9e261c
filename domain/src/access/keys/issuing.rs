//! Issuing, rotating, revoking and listing API keys.

use super::{generate, is_live, live_at, scopes};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope, Visible,
    kernel::{
        actor::PartnerKey,
        app::App,
        clock,
        command::{self, Command, CommandContext, Identified},
        events::Event,
        pages::{Page, Slice},
        rows,
        secrets::Secret,
        visible::Owner,
    },
    people::person,
};
use chrono::Duration;
use entity::{api_key, partner::Mode};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Input for a new API key.
#[derive(Clone, Debug, Serialize)]
pub struct NewKey {
    /// Label chosen by the partner.
    pub label: String,
    /// May be empty for a publishable key.
    pub scopes: Vec<Scope>,
    /// Whether the key may be published, for example in an app.
    pub publishable: bool,
}

/// A newly issued key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    pub key: api_key::Model,
    /// Full text of the key. Returned only here.
    #[serde(skip)]
    pub text: Option<Secret<String>>,
}

/// Returns the row of the calling key.
pub async fn of_caller(connection: &impl ConnectionTrait, key: &PartnerKey) -> Result<api_key::Model> {
    let select =
        api_key::Entity::find_by_id(key.key_id).filter(api_key::Column::PartnerId.eq(key.partner_id));
    select.one(connection).await?.ok_or_else(|| Error::broken("the row of the calling API key is missing"))
}

/// Issues a key with at most the scopes of the caller's key. Requires scope `operate`.
///
/// The text of the key is returned only here, so there is no idempotency key.
pub async fn issue_for(app: &App, actor: &Actor, new: NewKey) -> Result<Issued> {
    let issuer = actor.partner(Scope::Operate)?.clone();
    Ok(command::execute(app, actor, None, IssueApiKey { new, issuer }).await?.value)
}

#[derive(Serialize)]
struct IssueApiKey {
    new: NewKey,
    #[serde(skip)]
    issuer: PartnerKey,
}

impl NewKey {
    /// Returns the scopes of the key without duplicates.
    fn scopes(&self) -> Result<Vec<Scope>> {
        if self.publishable {
            return if self.scopes.iter().all(|scope| *scope == Scope::Start) {
                Ok(vec![Scope::Start])
            } else {
                Err(Refusal::invalid("scopes", "must only contain start for a publishable key").into())
            };
        }
        if self.scopes.is_empty() {
            return Err(Refusal::required("scopes").into());
        }
        if self.scopes.contains(&Scope::Start) {
            return Err(Refusal::invalid(
                "scopes",
                "must not contain start, which is for publishable keys only",
            )
            .into());
        }
        Ok(Scope::ALL.into_iter().filter(|scope| self.scopes.contains(scope)).collect())
    }
}

/// Refuses scopes that the issuing key does not have.
fn require_held(issuer: &PartnerKey, scopes: &[Scope], field: &str) -> Result<()> {
    match scopes.iter().find(|scope| !issuer.allows(**scope)) {
        None => Ok(()),
        Some(scope) => {
            let text = format!("Your API key does not have the scope {} and cannot grant it.", scope.name());
            Err(Refusal::new(Code::ScopeNotHeld, field, text).into())
        }
    }
}

impl Identified for Issued {
    fn id(&self) -> Uuid {
        self.key.id
    }
}

impl Command for IssueApiKey {
    const NAME: &'static str = "api_key.issue";
    const SCOPE: Scope = Scope::Operate;
    type Output = Issued;

    fn check(&self, _: Mode) -> Result<()> {
        person::check_words("label", &self.new.label)?;
        self.new.scopes().map(|_| ())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Issued> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let scopes = self.new.scopes()?;
        require_held(&self.issuer, &scopes, "scopes")?;
        let (mut row, text) = generate(ctx.app, ctx.partner, &scopes)?;
        row.label = person::tidy(&self.new.label);
        insert(ctx, row, text).await
    }
}

async fn insert(ctx: &CommandContext<'_>, row: api_key::Model, text: Secret<String>) -> Result<Issued> {
    let key = api_key::ActiveModel::from(row).reset_all().insert(ctx.tx).await?;
    ctx.record(Event::ApiKeyIssued {
        id: key.id,
        public_id: key.public_id.clone(),
        scopes: key.scopes.clone(),
        rotated_from: key.rotated_from,
    })
    .await?;
    Ok(Issued { key, text: Some(text) })
}

/// Input for rotating an API key.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rotation {
    pub id: Uuid,
    /// Hours after which the old key expires; none to leave its expiry unchanged.
    pub expires_after_hours: Option<i64>,
}

/// Issues a new key with the label and scopes of a live key, which stays live. Requires scope `operate`.
///
/// Refused if two keys of the same lineage are live, or if the key has scopes that the caller's key does not
/// have.
pub async fn rotate(app: &App, actor: &Actor, rotation: Rotation) -> Result<Issued> {
    let issuer = actor.partner(Scope::Operate)?.clone();
    Ok(command::execute(app, actor, None, RotateApiKey { rotation, issuer }).await?.value)
}

#[derive(Serialize)]
struct RotateApiKey {
    rotation: Rotation,
    #[serde(skip)]
    issuer: PartnerKey,
}

/// Longest time until the old key expires: 30 days.
const MAX_EXPIRY_HOURS: i64 = 720;

/// Most live keys of one lineage.
const MAX_LIVE_KEYS: usize = 2;

impl Command for RotateApiKey {
    const NAME: &'static str = "api_key.rotate";
    const SCOPE: Scope = Scope::Operate;
    type Output = Issued;

    fn check(&self, _: Mode) -> Result<()> {
        match self.rotation.expires_after_hours {
            Some(hours) if !(1..=MAX_EXPIRY_HOURS).contains(&hours) => {
                Err(Refusal::invalid("expiresAfterHours", format!("must be from 1 to {MAX_EXPIRY_HOURS}"))
                    .into())
            }
            _ => Ok(()),
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Issued> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let old = api_key::Entity::by_id_within(ctx.access_scope, self.rotation.id)
            .one(ctx.tx)
            .await?
            .ok_or_else(|| Refusal::not_found("apiKeyId"))?;
        let now = clock::system_now();
        if !is_live(&old, now) {
            return Err(Refusal::invalid("apiKeyId", "must be a live API key").into());
        }
        let scopes = scopes(&old);
        require_held(&self.issuer, &scopes, "apiKeyId")?;
        let lineage = api_key::Entity::find()
            .filter(api_key::Column::LineageId.eq(old.lineage_id))
            .filter(live_at(now));
        if lineage.all(ctx.tx).await?.len() >= MAX_LIVE_KEYS {
            let text = "The key and its successor are both active. Revoke one of them first.";
            return Err(Refusal::new(Code::TooManyLiveKeys, "apiKeyId", text).into());
        }
        let (mut row, text) = generate(ctx.app, ctx.partner, &scopes)?;
        row.label.clone_from(&old.label);
        row.lineage_id = old.lineage_id;
        row.rotated_from = Some(old.id);
        if let Some(hours) = self.rotation.expires_after_hours {
            let end = now + Duration::hours(hours);
            let end = old.expires_at.map_or(end, |earlier| earlier.min(end));
            let mut old: api_key::ActiveModel = old.into();
            old.expires_at = Set(Some(end));
            old.update(ctx.tx).await?;
        }
        insert(ctx, row, text).await
    }
}

/// Revokes a key, which may be the caller's own. Requires scope `operate`.
///
/// Sockets and streams of the key receive no more events on this server at once, on other servers after at
/// most a second. Revoking a revoked key changes nothing. Refused for the last key with scope `operate` and
/// no expiry.
pub async fn revoke(app: &App, actor: &Actor, id: Uuid) -> Result<api_key::Model> {
    Ok(command::execute(app, actor, None, RevokeApiKey { id }).await?.value)
}

#[derive(Serialize)]
struct RevokeApiKey {
    id: Uuid,
}

impl Command for RevokeApiKey {
    const NAME: &'static str = "api_key.revoke";
    const SCOPE: Scope = Scope::Operate;
    type Output = api_key::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<api_key::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let key = api_key::Entity::by_id_within(ctx.access_scope, self.id)
            .one(ctx.tx)
            .await?
            .ok_or_else(|| Refusal::not_found("apiKeyId"))?;
        let now = clock::system_now();
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        if is_live(&key, now) && scopes(&key).contains(&Scope::Operate) {
            require_another(ctx, &key).await?;
        }
        let mut row: api_key::ActiveModel = key.into();
        row.revoked_at = Set(Some(now));
        let key = row.update(ctx.tx).await?;
        ctx.record(Event::ApiKeyRevoked { id: key.id, public_id: key.public_id.clone() }).await?;
        Ok(key)
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.id)
    }
}

/// Refuses to revoke the last key that can issue keys and does not expire.
async fn require_another(ctx: &CommandContext<'_>, key: &api_key::Model) -> Result<()> {
    let others = api_key::Entity::find()
        .filter(api_key::Column::PartnerId.eq(ctx.partner.id))
        .filter(api_key::Column::RevokedAt.is_null())
        .filter(api_key::Column::ExpiresAt.is_null())
        .filter(api_key::Column::Id.ne(key.id));
    if others.all(ctx.tx).await?.iter().any(|other| scopes(other).contains(&Scope::Operate)) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::LastKey,
        "apiKeyId",
        "This is the last key with scope operate. Issue another one first.",
    )
    .into())
}

/// API keys are visible to operators only.
impl Visible for api_key::Entity {
    const SCOPE: Scope = Scope::Operate;
    const NODE_SCOPE: Scope = Scope::Operate;
    const ID: api_key::Column = api_key::Column::Id;
    const OWNER: Owner<api_key::Column> = Owner::Partner { partner: api_key::Column::PartnerId };
}

/// Returns a page of the partner's keys, including revoked ones, newest first. Requires scope `operate`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &Page,
) -> Result<Slice<api_key::Model>> {
    let access_scope = api_key::Entity::access(actor)?;
    rows::page::<api_key::Entity>(connection, access_scope, &(*page).into(), &[]).await
}

/// Returns the key with this public id, with or without its prefix, of any partner.
pub async fn find_by_public_id(
    connection: &impl ConnectionTrait,
    text: &str,
) -> Result<Option<api_key::Model>> {
    let public_id = text.rsplit('_').next().unwrap_or_default();
    Ok(api_key::Entity::find().filter(api_key::Column::PublicId.eq(public_id)).one(connection).await?)
}
