//! GraphQL queries that return objects by id.

use super::{breadth::Object, context::RequestContext};
use crate::{
    graphql::{
        access::{invitations::Invitation, keys::ApiKey},
        accounts::Account,
        compliance::{kyc::Kyc, kyc_documents::KycDocument, kyc_reviews::KycReview, screening::WatchListHit},
        delivery::messages::OutboxMessage,
        funding::{bank_accounts::BankAccount, transfers::Transfer},
        people::users::User,
        reporting::statements::Statement,
        sandbox::Partner,
        trading::{
            corporate_actions::{CorporateAction, Entitlement},
            gains::RealizedGain,
            instruments::Instrument,
            lots::TaxLot,
            orders::{Fill, Order},
            positions::Position,
            violations::SettlementViolation,
        },
    },
    wire::Result,
};
use async_graphql::{Context, ID, Interface, ObjectType};
use domain::{
    Error, Refusal, Visible,
    app::App,
    kernel::{
        command::Identified,
        rows::{ColumnOf, RowTrait, Table},
    },
    trading::instruments,
};
use entity::positional::Positional;
use entity::{
    Kind, account, api_key, bank_account, corporate_action, entitlement, fill, instrument, invitation, kyc,
    kyc_document, kyc_review, lot_closing, message, order, partner, position, screening_hit,
    settlement_violation, statement, tax_lot, transfer, user,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

/// Object with a row of its own, which is found by its id and listed. Its cursor contains its id, and the id
/// contains its kind.
pub trait Item: Object + ObjectType + From<Self::Row> {
    /// Kind of object.
    const KIND: Kind;
    /// Columns that refer to the parents under which the rows are listed. Whoever may see a parent may see them.
    const PARENTS: &'static [ColumnOf<Self::Entity>];
    /// Columns that refer to parents which more callers may see. Under these, a caller sees the rows that they may
    /// find.
    const SHARED_PARENTS: &'static [ColumnOf<Self::Entity>];
    type Entity: Table<Model = Self::Row>;
    type Row: Positional + Identified + RowTrait<Entity = Self::Entity> + Clone + Send + Sync;

    fn row(&self) -> &Self::Row;

    /// Whether all rows are kept in memory.
    const IN_MEMORY: bool = false;

    /// Returns the rows with these ids, if all rows are kept in memory.
    fn from_memory(_app: &App, _ids: &[Uuid]) -> impl Future<Output = domain::Result<Vec<Self>>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Returns the id of the row.
    fn row_id(&self) -> Uuid {
        self.row().id()
    }
}

macro_rules! nodes {
    (
        $($kind:ident / $table:ident $(by $($parent:ident)|+)? $(shared $shared:ident)? $(from $memory:path)?
            => $object:ident,)*
        ;
        $($other:ident)*
    ) => {
        /// Object with a stable, opaque identifier that it can be fetched with.
        #[derive(Interface)]
        #[graphql(field(name = "id", method = "id_field", ty = "ID", desc = "Opaque identifier. Do not parse it."))]
        pub enum Node {
            $($object($object),)*
        }

        $(
            impl Item for $object {
                const KIND: Kind = Kind::$kind;
                const PARENTS: &'static [$table::Column] = &[$($($table::Column::$parent),+)?];
                const SHARED_PARENTS: &'static [$table::Column] = &[$($table::Column::$shared)?];
                type Entity = $table::Entity;
                type Row = $table::Model;

                fn row(&self) -> &$table::Model {
                    &self.0
                }

                $(
                    const IN_MEMORY: bool = true;

                    async fn from_memory(app: &App, ids: &[Uuid]) -> domain::Result<Vec<Self>> {
                        let rows = $memory(app, ids).await?;
                        Ok(rows.iter().map(|row| Self((**row).clone())).collect())
                    }
                )?
            }

            impl From<$table::Model> for $object {
                fn from(row: $table::Model) -> Self {
                    Self(row)
                }
            }
        )*

        async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
            let Some((id, kind)) = Uuid::try_parse(id).ok().and_then(|id| Some((id, Kind::of(id)?))) else {
                return Ok(None);
            };
            match kind {
                $(Kind::$kind => Ok(row::<$object>(ctx, id).await?.map(Node::from)),)*
                $(Kind::$other)|* => Ok(None),
            }
        }
    };
}

// Kinds with the table and the GraphQL type of their objects, and kinds whose objects are no nodes.
nodes! {
    Account / account by UserId | JointMemberId => Account,
    ApiKey / api_key => ApiKey,
    BankAccount / bank_account by UserId => BankAccount,
    CorporateAction / corporate_action shared InstrumentId => CorporateAction,
    Entitlement / entitlement by AccountId shared CorporateActionId => Entitlement,
    Fill / fill by OrderId => Fill,
    Instrument / instrument from instruments::known => Instrument,
    Invitation / invitation => Invitation,
    Kyc / kyc by UserId => Kyc,
    KycDocument / kyc_document by KycId => KycDocument,
    KycReview / kyc_review => KycReview,
    LotClosing / lot_closing by AccountId => RealizedGain,
    Order / order by AccountId => Order,
    Message / message => OutboxMessage,
    Partner / partner => Partner,
    Position / position by AccountId => Position,
    SettlementViolation / settlement_violation by AccountId => SettlementViolation,
    Statement / statement by AccountId => Statement,
    TaxLot / tax_lot by AccountId => TaxLot,
    Transfer / transfer by AccountId | BankAccountId => Transfer,
    User / user => User,
    ScreeningHit / screening_hit => WatchListHit,
    ;
    Event Timer LedgerAccount LedgerTransfer LedgerEntry LedgerHold LedgerRelease AuditLine Request Session
    Passcode DataKey WatchList ScreeningException
}

/// Returns the row with this id, if the caller may see it. Fails only for users whose session has not passed
/// its second factor.
async fn row<T: Item>(ctx: &Context<'_>, id: Uuid) -> Result<Option<T>> {
    match T::Entity::node_access(ctx.actor()) {
        Ok(_) => Ok(ctx.loaders().find_listed::<T>(id).await?.map(T::from)),
        Err(error @ Error::TwoFactorRequired) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Maximum number of ids in one request.
const MAX_IDS: usize = 100;

#[derive(Default)]
pub struct NodeQuery;

#[async_graphql::Object]
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
