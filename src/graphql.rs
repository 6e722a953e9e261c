//! GraphQL API: maps types and calls the crate `domain`, which holds the business rules.

mod access;
mod accounts;
mod compliance;
pub mod core;
mod delivery;
mod funding;
mod people;
mod reporting;
mod sandbox;
mod trading;

pub use core::answer::{
    Rendered, add_request_id, code, never_ran, render, render_or_refuse, retry_after, set_retry_after,
};
pub use core::engine::fanout::Reply;
pub use core::engine::{Engine, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED, Plan, Raw};
pub use core::guard::{Limits, Operation, Refused};
pub use core::levels::Levels;
pub use core::pages::MaxPageSize;

use crate::wire::BaseUrl;
use async_graphql::{
    MergedObject, MergedSubscription, Request, SDLExportOptions, SchemaBuilder,
    parser::{
        Error as ParseError,
        types::{Field, SelectionSet},
    },
};
use core::{breadth, complete::Types, context::Viewpoint, loaders::Loaders};
use domain::{Actor, app::App, kernel::db::Reader};
use std::sync::{Arc, LazyLock};

macro_rules! query_root {
    (ordinary: $ordinary:path; $($part:path,)*) => {
        /// Root type of queries.
        #[derive(Default, MergedObject)]
        pub struct Query($ordinary, $($part,)*);

        impl breadth::Object for Query {
            fn step(
                asked: &breadth::Asked<'_>,
                field: &Field,
                sets: &[&SelectionSet],
            ) -> breadth::Fast<breadth::Step<Self>> {
                $(
                    if let Ok(step) = <$part as breadth::Object>::step(asked, field, sets) {
                        return Ok(breadth::lift(step));
                    }
                )*
                Err(breadth::Slow)
            }
        }
    };
}

query_root! {
    ordinary: core::nodes::NodeQuery;
    core::events::EventQuery,
    people::users::UserQuery,
    access::credentials::CredentialQuery,
    compliance::kyc::KycQuery,
    access::invitations::InvitationQuery,
    accounts::AccountQuery,
    funding::transfers::TransferQuery,
    trading::gains::GainsQuery,
    trading::corporate_actions::CorporateActionQuery,
    trading::orders::OrderQuery,
    trading::orders::OrderPreviewQuery,
    trading::instruments::InstrumentQuery,
    access::keys::ApiKeyQuery,
    reporting::statements::StatementQuery,
    sandbox::SandboxQuery,
    delivery::messages::MessageQuery,
    compliance::screening::ScreeningQuery,
    compliance::kyc_reviews::KycReviewQuery,
}

/// Root type of mutations.
#[derive(Default, MergedObject)]
pub struct Mutation(
    people::users::UserMutation,
    compliance::kyc::KycMutation,
    access::logins::AccessMutation,
    access::second_factors::SecondFactorMutation,
    access::invitations::InvitationMutation,
    accounts::AccountMutation,
    funding::bank_accounts::BankAccountMutation,
    funding::transfers::TransferMutation,
    trading::orders::OrderMutation,
    access::keys::ApiKeyMutation,
    access::partner_settings::PartnerSettingsMutation,
    reporting::statements::StatementMutation,
    sandbox::SandboxMutation,
    sandbox::SandboxTransferMutation,
    trading::bars::BarMutation,
    trading::corporate_actions::CorporateActionMutation,
    compliance::screening::ScreeningMutation,
    compliance::kyc_documents::KycDocumentMutation,
    compliance::kyc_reviews::KycReviewMutation,
);

/// Root type of subscriptions. Subscriptions to the event log take `after` to replay missed events.
#[derive(Default, MergedSubscription)]
pub struct Subscription(core::events::EventSubscription, trading::quotes::QuoteSubscription);

/// Mutations with which a caller could guess a secret. An operation may contain only one of them.
pub const ONCE_ONLY: [&str; 8] = [
    "userSignUp",
    "userSignIn",
    "passwordChange",
    "passwordRecover",
    "passwordReset",
    "passcodeSend",
    "passcodeVerify",
    "totpVerify",
];

/// Mutations that need no credential. With an invalid credential they run anonymously.
pub const OPEN: [&str; 5] = ["userSignUp", "userSignIn", "tokenRefresh", "passwordRecover", "passwordReset"];

/// The public GraphQL schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Returns the schema. Introspection queries are refused unless `introspection` is true.
pub fn schema(introspection: bool) -> Schema {
    static OPEN: LazyLock<Schema> = LazyLock::new(|| build().finish());
    static CLOSED: LazyLock<Schema> = LazyLock::new(|| build().disable_introspection().finish());
    if introspection { OPEN.clone() } else { CLOSED.clone() }
}

fn build() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default()).disable_suggestions()
}

/// Returns the types of the schema.
pub fn types() -> Result<Arc<Types>, ParseError> {
    static TYPES: LazyLock<Result<Arc<Types>, ParseError>> =
        LazyLock::new(|| Types::read(&sdl(&schema(true))).map(Arc::new));
    TYPES.clone()
}

/// Returns the schema in the schema definition language, with `@specifiedBy` URLs of the scalars.
pub fn sdl(schema: &Schema) -> String {
    schema.sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// Adds the data that resolvers need to a request.
pub fn prepare(
    app: &App,
    max_page_size: MaxPageSize,
    base_url: BaseUrl,
    actor: &Actor,
    request: Request,
    operation: &Operation,
    levels: Levels,
) -> Request {
    let db = app.db.clone();
    let reader = if operation.needs_snapshot { Reader::snapshot(db) } else { Reader::latest(db) };
    request.data(Viewpoint::new(
        app.clone(),
        actor.clone(),
        Loaders::new(app, actor, reader, levels),
        max_page_size,
        base_url,
    ))
}
