//! An identity check asked for by itself, of somebody who need not be a customer.

use super::{assess, in_even_time};
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

/// Whom to check; all but the phone number must be known.
#[derive(Clone, Serialize)]
pub struct Start(pub NewUser);

/// Checks who a person is (documented: a check may be made without a user); scope `start`, which `manage`
/// implies.
///
/// Unavailable where nobody is there to check a live partner's people.
pub async fn start(app: &App, actor: &Actor, key: Option<Key>, start: Start) -> Result<Answer<kyc::Model>> {
    let caller = actor.caller(Scope::Start)?;
    command::check(caller.mode, key.as_ref(), &start)?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await?;
    in_even_time(actor, command::execute(app, actor, key, start)).await
}

impl Command for Start {
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
            .ok_or(Error::Unavailable("No identity check is configured for live partners."))?
            .record(ctx)
            .await
    }

    fn object(done: &kyc::Model) -> Uuid {
        done.id
    }
}
