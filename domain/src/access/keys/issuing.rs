//! How a partner's keys come and go: issued, rotated, revoked.

use super::{is_live, live_at, made, scopes};
use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        actor::PartnerKey,
        app::App,
        clock,
        command::{self, Command, CommandContext},
        events::EventType,
        pages::{Page, Slice},
        secrets::Secret,
    },
    people::person,
};
use chrono::Duration;
use entity::{api_key, partner::Mode};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// A key as asked for.
#[derive(Clone, Debug, Serialize)]
pub struct NewKey {
    /// What its partner calls it.
    pub label: String,
    /// What it may do; nothing need be said of a publishable one.
    pub scopes: Vec<Scope>,
    /// Whether anyone may hold it.
    pub publishable: bool,
}

/// A key that was just made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    pub key: api_key::Model,
    /// The whole text, here and never again.
    #[serde(skip)]
    pub text: Option<Secret<String>>,
}

/// Issues a key that may do nothing its giver may not; scope `operate`. Its text is in the answer and nowhere
/// else, so this takes no idempotency key.
pub async fn issue_for(app: &App, actor: &Actor, new: NewKey) -> Result<Issued> {
    let giver = actor.partner(Scope::Operate)?.clone();
    Ok(command::execute(app, actor, None, IssueApiKey { new, giver }).await?.value)
}

#[derive(Serialize)]
struct IssueApiKey {
    new: NewKey,
    #[serde(skip)]
    giver: PartnerKey,
}

impl NewKey {
    /// What the key may do, each scope once.
    fn scopes(&self) -> Result<Vec<Scope>> {
        if self.publishable {
            return if self.scopes.iter().all(|scope| *scope == Scope::Start) {
                Ok(vec![Scope::Start])
            } else {
                Err(Refusal::invalid("scopes", "must hold no other scope than start for a publishable key")
                    .into())
            };
        }
        if self.scopes.is_empty() {
            return Err(Refusal::required("scopes").into());
        }
        if self.scopes.contains(&Scope::Start) {
            return Err(
                Refusal::invalid("scopes", "must not hold start, which a publishable key alone has").into()
            );
        }
        Ok(Scope::ALL.into_iter().filter(|scope| self.scopes.contains(scope)).collect())
    }
}

/// Refuses to have a key given out by one that may do less.
fn require_held(giver: &PartnerKey, scopes: &[Scope], field: &str) -> Result<()> {
    match scopes.iter().find(|scope| !giver.allows(**scope)) {
        None => Ok(()),
        Some(scope) => {
            let text = format!("Your key lacks the scope {} and cannot give it.", scope.name());
            Err(Refusal::new(Code::ScopeNotHeld, field, text).into())
        }
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
        require_held(&self.giver, &scopes, "scopes")?;
        let (mut row, text) = made(ctx.app, ctx.partner, &scopes)?;
        row.label = person::tidy(&self.new.label);
        put(ctx, row, text).await
    }

    fn object(done: &Issued) -> Uuid {
        done.key.id
    }
}

async fn put(ctx: &CommandContext<'_>, row: api_key::Model, text: Secret<String>) -> Result<Issued> {
    let key = api_key::ActiveModel::from(row).reset_all().insert(ctx.tx).await?;
    let facts = json!({ "id": key.id, "public_id": key.public_id, "scopes": key.scopes,
        "rotated_from": key.rotated_from });
    ctx.event().record(ctx.tx, EventType::ApiKeyIssued, ctx.partner.id, facts).await?;
    Ok(Issued { key, text: Some(text) })
}

/// A wish for a key's successor.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rotation {
    pub id: Uuid,
    /// After how many hours the key itself shall open nothing; it stays live until revoked when none is
    /// named.
    pub expires_after_hours: Option<i64>,
}

/// Issues a successor with the label and the scopes of a live key, which stays live beside it; scope
/// `operate`. Refused while two keys of its line are live, and for a key that may do what the caller's may
/// not.
pub async fn rotate(app: &App, actor: &Actor, rotation: Rotation) -> Result<Issued> {
    let giver = actor.partner(Scope::Operate)?.clone();
    Ok(command::execute(app, actor, None, RotateApiKey { rotation, giver }).await?.value)
}

#[derive(Serialize)]
struct RotateApiKey {
    rotation: Rotation,
    #[serde(skip)]
    giver: PartnerKey,
}

/// The most hours a key lives beside its successor: thirty days.
const MAX_EXPIRY_HOURS: i64 = 720;

/// How many keys of one line are live at most.
const LIVE_OF_LINE: usize = 2;

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
        let old = of_partner(ctx.tx, ctx.partner.id, self.rotation.id)
            .await?
            .ok_or_else(|| Refusal::not_found("apiKeyId"))?;
        let now = clock::system_now();
        if !is_live(&old, now) {
            return Err(Refusal::invalid("apiKeyId", "names a key that is no longer live").into());
        }
        let scopes = scopes(&old);
        require_held(&self.giver, &scopes, "apiKeyId")?;
        let line = api_key::Entity::find()
            .filter(api_key::Column::LineageId.eq(old.lineage_id))
            .filter(live_at(now));
        if line.all(ctx.tx).await?.len() >= LIVE_OF_LINE {
            let text = "Two keys of this line are live; revoke one of them first.";
            return Err(Refusal::new(Code::TooManyLiveKeys, "apiKeyId", text).into());
        }
        let (mut row, text) = made(ctx.app, ctx.partner, &scopes)?;
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
        put(ctx, row, text).await
    }

    fn object(done: &Issued) -> Uuid {
        done.key.id
    }
}

/// Revokes a key, its own included, which then opens nothing: on this server no event reaches its sockets and
/// streams any more, on others after a second at most; scope `operate`. Done twice, it stays done. Refused
/// for the last key that has the scope `operate` and no end.
pub async fn revoke(app: &App, actor: &Actor, id: Uuid) -> Result<api_key::Model> {
    Ok(command::execute(app, actor, None, Revocation { id }).await?.value)
}

#[derive(Serialize)]
struct Revocation {
    id: Uuid,
}

impl Command for Revocation {
    const NAME: &'static str = "api_key.revoke";
    const SCOPE: Scope = Scope::Operate;
    type Output = api_key::Model;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<api_key::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let key = of_partner(ctx.tx, ctx.partner.id, self.id)
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
        let facts = json!({ "id": key.id, "public_id": key.public_id });
        ctx.event().record(ctx.tx, EventType::ApiKeyRevoked, ctx.partner.id, facts).await?;
        Ok(key)
    }

    fn object(done: &api_key::Model) -> Uuid {
        done.id
    }

    fn ends_rights_of(&self) -> Option<Uuid> {
        Some(self.id)
    }
}

/// Refuses to take away the last key that can give out others and will not end by itself.
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
        "No other key with the scope operate would be left; issue one first.",
    )
    .into())
}

async fn of_partner(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    id: Uuid,
) -> Result<Option<api_key::Model>> {
    Ok(api_key::Entity::find_by_id(id)
        .filter(api_key::Column::PartnerId.eq(partner_id))
        .one(connection)
        .await?)
}

/// The partner's keys, revoked ones included, newest first; scope `operate`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &Page,
) -> Result<Slice<api_key::Model>> {
    let partner_id = actor.partner(Scope::Operate)?.partner_id;
    let select = api_key::Entity::find().filter(api_key::Column::PartnerId.eq(partner_id));
    page.of(connection, select, api_key::Column::Id).await
}

/// The key that is shown like this, with or without what stands before its public id, whosever it is.
pub async fn named(connection: &impl ConnectionTrait, name: &str) -> Result<Option<api_key::Model>> {
    let public_id = name.rsplit('_').next().unwrap_or_default();
    Ok(api_key::Entity::find().filter(api_key::Column::PublicId.eq(public_id)).one(connection).await?)
}
