//! The GraphQL door: shapes and translation, no rules.

mod access;
mod accounts;
mod answer;
mod api_keys;
mod bank_accounts;
mod complete;
mod context;
mod engine;
mod errors;
mod events;
pub mod guard;
mod instruments;
mod invitations;
mod kyc;
mod kyc_documents;
mod kyc_reviews;
mod levels;
mod loaders;
mod messages;
mod nodes;
mod ordered;
mod orders;
mod page;
mod sandbox;
mod scalars;
mod screening;
mod second_factors;
#[cfg(test)]
mod toy;
mod transfers;
mod users;

pub use answer::{Wire, code, name_faults, never_ran, render, render_or_refuse, retry_after, set_retry_after};
pub use engine::{Engine, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED, Plan, Raw};
pub use guard::{Limits, Operation, Refused};
pub use levels::Levels;
pub use page::Most;

use crate::wire::BaseUrl;
use async_graphql::{MergedObject, MergedSubscription, Request, SDLExportOptions};
use domain::{Actor, app::App, kernel::db::Reader};
use loaders::Loaders;

/// Reads.
#[derive(Default, MergedObject)]
pub struct Query(
    nodes::NodeQuery,
    users::UserQuery,
    kyc::KycQuery,
    invitations::InvitationQuery,
    accounts::AccountQuery,
    transfers::TransferQuery,
    orders::OrderQuery,
    instruments::InstrumentQuery,
    api_keys::ApiKeyQuery,
    sandbox::SandboxQuery,
    messages::MessageQuery,
    screening::ScreeningQuery,
    kyc_reviews::KycReviewQuery,
);

/// Writes.
#[derive(Default, MergedObject)]
pub struct Mutation(
    users::UserMutation,
    kyc::KycMutation,
    access::AccessMutation,
    second_factors::SecondFactorMutation,
    invitations::InvitationMutation,
    accounts::AccountMutation,
    bank_accounts::BankAccountMutation,
    transfers::TransferMutation,
    orders::OrderMutation,
    api_keys::ApiKeyMutation,
    sandbox::SandboxMutation,
    screening::ScreeningMutation,
    kyc_documents::KycDocumentMutation,
    kyc_reviews::KycReviewMutation,
);

/// Live events; those of the log take `after` to replay what was missed.
#[derive(Default, MergedSubscription)]
pub struct Subscription(events::EventSubscription);

/// Mutations by which somebody could guess: a document holds one of them at most.
pub const ONCE_ONLY: [&str; 8] =
    ["userSignUp", "userSignIn", "passwordChange", "passwordRecover", "passwordReset", "passcodeSend", "passcodeVerify", "totpVerify"];

/// Mutations that need no credential, so that a bad one does not stop them.
pub const OPEN: [&str; 5] = ["userSignUp", "userSignIn", "tokenRefresh", "passwordRecover", "passwordReset"];

/// The one schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Builds the schema; without `introspection` it does not tell about itself.
pub fn schema(introspection: bool) -> Schema {
    let builder = Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .register_output_type::<errors::UserError>()
        .disable_suggestions();
    if introspection { builder.finish() } else { builder.disable_introspection().finish() }
}

/// The promise in the schema language, with what the scalars refer to.
pub fn sdl(schema: &Schema) -> String {
    schema.sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// Puts into a request what its resolvers look for.
pub fn equip(app: &App, most: Most, base_url: BaseUrl, actor: &Actor, request: Request, operation: &Operation, levels: Levels) -> Request {
    let pool = app.db.read.clone();
    let reader = if operation.needs_snapshot { Reader::snapshot(pool) } else { Reader::latest(pool) };
    request.data(Loaders::new(app, actor, reader, levels)).data(app.clone()).data(actor.clone()).data(most).data(base_url)
}
