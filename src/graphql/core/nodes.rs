//! GraphQL queries that return objects by id.

use super::context::RequestContext;
use crate::{
    graphql::{
        access::{invitations::Invitation, keys::ApiKey},
        accounts::Account,
        compliance::{kyc::Kyc, kyc_documents::KycDocument, screening::WatchListHit},
        delivery::messages::OutboxMessage,
        funding::{bank_accounts::BankAccount, transfers::Transfer},
        people::users::User,
        sandbox::Partner,
        trading::{
            instruments::Instrument,
            orders::{Fill, Order},
            positions::Position,
        },
    },
    wire::Result,
};
use async_graphql::{Context, ID, Interface, Object};
use domain::{Error, Refusal, Scope};
use entity::{
    Kind, account, api_key, bank_account, fill, instrument, invitation, kyc, kyc_document, message, order,
    partner, position, screening_hit, transfer, user,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

/// Object with a stable, opaque identifier that it can be fetched with.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Opaque identifier. Do not parse it."))]
pub enum Node {
    Account(Account),
    ApiKey(ApiKey),
    BankAccount(BankAccount),
    Fill(Fill),
    Instrument(Instrument),
    Invitation(Invitation),
    Kyc(Kyc),
    KycDocument(KycDocument),
    Order(Order),
    OutboxMessage(OutboxMessage),
    Partner(Partner),
    Position(Position),
    Transfer(Transfer),
    User(User),
    WatchListHit(WatchListHit),
}

/// Maximum number of ids in one request.
const MAX_IDS: usize = 100;

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Returns an object of any type by id, or null if it was not found.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the object.")] id: ID,
    ) -> Result<Option<Node>> {
        find(ctx, &id).await
    }

    /// Returns up to 100 objects by id, in the order of the ids, with null for each one that was not found.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of the objects.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAX_IDS {
            return Err(Refusal::invalid("ids", format!("must be at most {MAX_IDS}")).into());
        }
        try_join_all(ids.iter().map(|id| find(ctx, id))).await
    }
}

async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some((id, kind)) = Uuid::try_parse(id).ok().and_then(|id| Some((id, Kind::of(id)?))) else {
        return Ok(None);
    };
    let loaders = ctx.loaders();
    if kind == Kind::Instrument {
        return Ok(loaders
            .find::<instrument::Entity>(id)
            .await?
            .map(|row| Node::Instrument(Instrument(row))));
    }
    let scope = if kind == Kind::ApiKey { Scope::Operate } else { Scope::Read };
    match ctx.actor().access_scope(scope) {
        Ok(_) => {}
        Err(error @ Error::TwoFactorRequired) => return Err(error.into()),
        Err(_) => return Ok(None),
    }
    Ok(match kind {
        Kind::Account => {
            loaders.find_own::<account::Entity>(id).await?.map(|row| Node::Account(Account(row)))
        }
        Kind::ApiKey => loaders.find_own::<api_key::Entity>(id).await?.map(|row| Node::ApiKey(ApiKey(row))),
        Kind::BankAccount => {
            let row = loaders.find_own::<bank_account::Entity>(id).await?;
            row.filter(|row| row.removed_at.is_none()).map(|row| Node::BankAccount(BankAccount(row)))
        }
        Kind::Fill => loaders.find_own::<fill::Entity>(id).await?.map(|row| Node::Fill(Fill(row))),
        Kind::Invitation if ctx.actor().partner(Scope::Manage).is_ok() => {
            loaders.find_own::<invitation::Entity>(id).await?.map(|row| Node::Invitation(Invitation(row)))
        }
        Kind::Kyc => loaders.find_own::<kyc::Entity>(id).await?.map(|row| Node::Kyc(Kyc(row))),
        Kind::KycDocument => {
            loaders.find_own::<kyc_document::Entity>(id).await?.map(|row| Node::KycDocument(KycDocument(row)))
        }
        Kind::Message if ctx.actor().partner(Scope::Operate).is_ok() => {
            let row = loaders.find_own::<message::Entity>(id).await?;
            row.filter(|row| row.status == message::Status::Outbox)
                .map(|row| Node::OutboxMessage(OutboxMessage(row)))
        }
        Kind::Order => loaders.find_own::<order::Entity>(id).await?.map(|row| Node::Order(Order(row))),
        Kind::Partner => {
            loaders.find_own::<partner::Entity>(id).await?.map(|row| Node::Partner(Partner(row)))
        }
        Kind::Position => {
            loaders.find_own::<position::Entity>(id).await?.map(|row| Node::Position(Position(row)))
        }
        Kind::ScreeningHit if ctx.actor().partner(Scope::Operate).is_ok() => loaders
            .find_own::<screening_hit::Entity>(id)
            .await?
            .map(|row| Node::WatchListHit(WatchListHit(row))),
        Kind::Transfer => {
            loaders.find_own::<transfer::Entity>(id).await?.map(|row| Node::Transfer(Transfer(row)))
        }
        Kind::User => loaders.find_own::<user::Entity>(id).await?.map(|row| Node::User(User(row))),
        _ => None,
    })
}
