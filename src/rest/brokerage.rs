//! Brokerage API. Errors have the form `{"error": {"type", "message"}}`.

mod accounts;
mod compliance;
mod funding;
mod people;
mod reporting;
mod trading;

pub use compliance::kyc_documents::DocumentBody;

use super::core::routes::{Route, router};
use axum::Router;
use domain::app::App;

/// Routes of the brokerage API, by area.
pub const ROUTES: [&[Route]; 9] = [
    people::users::ROUTES,
    compliance::kyc::ROUTES,
    compliance::kyc_documents::ROUTES,
    accounts::ROUTES,
    funding::bank_accounts::ROUTES,
    funding::deposits::ROUTES,
    trading::orders::ROUTES,
    funding::withdrawals::ROUTES,
    reporting::statements::ROUTES,
];

/// Returns the router of the brokerage API.
pub fn routes() -> Router<App> {
    router(&ROUTES)
}
