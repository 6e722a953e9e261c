//! Signed links that download one file of one statement.

use super::{
    files::{self, Format},
    find,
};
use crate::{
    Actor, Error, Result, Scope,
    access::links::{self, Creator, LINK_TTL, Link, signed},
    kernel::{app::App, clock, secrets::AssociatedData},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use entity::{partner, statement};
use sea_orm::EntityTrait;
use uuid::Uuid;

const CREATOR: &str = "statement.link";

const fn place(statement: &statement::Model) -> AssociatedData {
    AssociatedData { column: CREATOR, row: statement.id, partner: statement.partner_id }
}

/// Returns a new link that downloads a file of a statement of `partner`, as path and query: for 30 minutes by the
/// partner's clock, on behalf of the caller and only while they have access.
pub fn link_to(
    app: &App,
    actor: &Actor,
    partner: &partner::Model,
    statement: &statement::Model,
    format: Format,
) -> Result<String> {
    let creator = serde_json::to_vec(&Creator::of(actor)?)
        .map_err(|_| Error::broken("the creator of a link cannot be serialized"))?;
    let by = URL_SAFE_NO_PAD.encode(app.vault.seal(place(statement), &creator)?);
    let until = (clock::now_of(partner) + LINK_TTL).timestamp();
    let path = format!("/statements/{}.{}", statement.id, format.extension());
    Ok(signed(app, "GET", &format!("{path}?by={by}&until={until}")))
}

/// Verifies a download link and returns its statement, its format and its creator; `None` if it is not genuine or has
/// expired, or if its creator no longer has access.
pub async fn verify(
    app: &App,
    link: Link<'_>,
    request_id: Uuid,
) -> Result<Option<(statement::Model, Format, Actor)>> {
    let Some([by, until]) = link.read(app, ["by", "until"]) else { return Ok(None) };
    let Some((id, format)) = files::parse_name(link.path) else { return Ok(None) };
    let statement = statement::Entity::find_by_id(id).one(&app.db.read).await?;
    let Some(statement) = statement else { return Ok(None) };
    let partner = clock::partner(&app.db.read, statement.partner_id).await?;
    if !links::is_unexpired(&partner, &until) {
        return Ok(None);
    }
    app.vault.ready_for(&app.db, partner.id).await?;
    let Ok(sealed) = URL_SAFE_NO_PAD.decode(by) else { return Ok(None) };
    let creator = app.vault.open(place(&statement), &sealed)?;
    let creator: Creator = serde_json::from_slice(creator.reveal())
        .map_err(|_| Error::broken("the creator of a link cannot be read"))?;
    let Some(actor) = creator.actor(app, &partner, Scope::Read, request_id).await? else { return Ok(None) };
    Ok(find(&app.db.read, &actor, id).await?.map(|statement| (statement, format, actor)))
}
