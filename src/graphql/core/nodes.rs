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
use domain::{Error, Refusal, Visible};
use entity::{
    Kind, account, api_key, bank_account, fill, instrument, invitation, kyc, kyc_document, message, order,
    partner, position, screening_hit, transfer, user,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

macro_rules! nodes {
    ($($kind:ident / $table:ident => $object:ident,)* ; $($other:ident)*) => {
        /// Object with a stable, opaque identifier that it can be fetched with.
        #[derive(Interface)]
        #[graphql(field(name = "id", ty = "ID", desc = "Opaque identifier. Do not parse it."))]
        pub enum Node {
            $($object($object),)*
        }

        async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
            let Some((id, kind)) = Uuid::try_parse(id).ok().and_then(|id| Some((id, Kind::of(id)?))) else {
                return Ok(None);
            };
            match kind {
                $(Kind::$kind => Ok(row::<$table::Entity>(ctx, id).await?.map(|row| $object(row).into())),)*
                $(Kind::$other)|* => Ok(None),
            }
        }
    };
}

// Kinds with the table and the GraphQL type of their objects, and kinds whose objects are no nodes.
nodes! {
    Account / account => Account,
    ApiKey / api_key => ApiKey,
    BankAccount / bank_account => BankAccount,
    Fill / fill => Fill,
    Instrument / instrument => Instrument,
    Invitation / invitation => Invitation,
    Kyc / kyc => Kyc,
    KycDocument / kyc_document => KycDocument,
    Order / order => Order,
    Message / message => OutboxMessage,
    Partner / partner => Partner,
    Position / position => Position,
    Transfer / transfer => Transfer,
    User / user => User,
    ScreeningHit / screening_hit => WatchListHit,
    ;
    Event Timer LedgerAccount LedgerTransfer LedgerEntry LedgerHold LedgerRelease AuditLine Request Session
    Passcode DataKey WatchList ScreeningException
}

/// Returns the row with this id, if the caller may see it. Fails only for users whose session has not passed
/// its second factor.
async fn row<E: Visible>(ctx: &Context<'_>, id: Uuid) -> Result<Option<E::Model>> {
    match E::node_access(ctx.actor()) {
        Ok(_) => ctx.loaders().find_listed::<E>(id).await,
        Err(error @ Error::TwoFactorRequired) => Err(error.into()),
        Err(_) => Ok(None),
    }
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
