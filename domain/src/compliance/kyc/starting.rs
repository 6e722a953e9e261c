//! Identity checks without a user.

use super::{MIN_DURATION, assess};
use crate::{
    Checks, Error, Result, Scope,
    kernel::{
        command::{Command, CommandContext},
        limits::{self, Limit},
    },
    people::applicants::NewUser,
};
use entity::{kyc, partner::Mode};
use serde::Serialize;
use std::time::Duration;

/// Starts an identity check. Everything but the phone number is required.
#[derive(Clone, Serialize)]
pub struct StartKyc(pub NewUser);

/// Checks the identity of a person (documented: a check may be created without a user). Requires scope
/// `start`, which `manage` implies.
///
/// Unavailable for live partners if no identity provider is configured.
impl Command for StartKyc {
    const NAME: &'static str = "kyc.start";
    const SCOPE: Scope = Scope::Start;
    const MIN_DURATION: Duration = MIN_DURATION;
    type Output = kyc::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        checks.note(self.0.complete());
        checks.note(self.0.checked(mode));
        checks.done()
    }

    fn limit(&self) -> Option<Limit> {
        Some(limits::SIGN_UP)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        self.0.complete()?;
        let person = self.0.person(ctx.partner.mode, ctx.today())?;
        let applicant = person.applicant().ok_or_else(|| Error::broken("an applicant is incomplete"))?;
        let found = assess(ctx, &applicant, None).await?;
        found
            .ok_or(Error::Unavailable("No identity check provider is configured for live partners."))?
            .record(ctx)
            .await
    }
}
