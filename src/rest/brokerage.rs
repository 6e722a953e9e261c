//! The brokerage API. Its errors are `{"error": {"type", "message"}}`.

mod accounts;
mod compliance;
mod funding;
mod people;
mod trading;

pub use compliance::kyc_documents::DocumentBody;

use super::core::routes::{Route, router};
use axum::Router;
use domain::app::App;

/// All there is of the brokerage API; the router has no route besides.
pub const ROUTES: [&[Route]; 7] = [
    people::users::ROUTES,
    compliance::kyc::ROUTES,
    compliance::kyc_documents::ROUTES,
    accounts::ROUTES,
    funding::bank_accounts::ROUTES,
    funding::deposits::ROUTES,
    trading::orders::ROUTES,
];

/// Every route of the brokerage API, each path with and without a slash at its end.
pub fn routes() -> Router<App> {
    router(&ROUTES)
}
