//! Identity checks without a user.

use super::{assess, with_minimum_duration};
use crate::{
    Actor, Checks, Error, Refusal, Result, Scope,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        idempotency::Key,
        limits,
    },
    people::applicants::NewUser,
};
use entity::{kyc, partner::Mode};
use serde::Serialize;
use uuid::Uuid;

/// Input of [`start`]. Everything but the phone number is required.
#[derive(Clone, Serialize)]
pub struct StartKyc(pub NewUser);

/// Checks the identity of a person (documented: a check may be created without a user). Requires scope
/// `start`, which `manage` implies.
///
/// Unavailable for live partners if no identity provider is configured.
pub async fn start(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    start: StartKyc,
) -> Result<Answer<kyc::Model>> {
    let caller = actor.caller(Scope::Start)?;
    command::check(caller.mode, key.as_ref(), &start)?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await?;
    with_minimum_duration(actor, command::execute(app, actor, key, start)).await
}

impl Command for StartKyc {
    const NAME: &'static str = "kyc.start";
    const SCOPE: Scope = Scope::Start;
    type Output = kyc::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        let missing = [
            ("birthDate", self.0.birth_date.is_none()),
            ("ssn", self.0.ssn.is_none()),
            ("address", self.0.address.is_none()),
        ];
        let mut checks = Checks::default();
        for (field, _) in missing.into_iter().filter(|(_, missing)| *missing) {
            checks.note::<()>(Err(Refusal::required(field).into()));
        }
        checks.note(self.0.checked(mode));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc::Model> {
        let applicant = self.0.applicant(ctx.partner.mode, ctx.today())?;
        let found = assess(ctx, &applicant, None).await?;
        found
            .ok_or(Error::Unavailable("No identity check provider is configured for live partners."))?
            .record(ctx)
            .await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}
