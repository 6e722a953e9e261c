//! Opens accounts.

use super::{
    joint::{self, JointMember},
    options,
    profile::Profile,
};
use crate::{
    Checks, Refusal, Result, Scope,
    kernel::{
        command::{Command, CommandContext},
        events::Event,
        ledger,
        limits::Allowance,
        secrets,
    },
    people::{person::tidy, users},
};
use entity::{
    Kind,
    account::{self, AccountKind, Ownership, Status},
    ledger_account::LedgerKind,
    partner::Mode,
};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use uuid::Uuid;

/// Opens a brokerage account. The values are not validated yet; options are accepted in any case and spacing.
#[derive(Clone, Serialize)]
pub struct OpenAccount {
    pub user_id: Uuid,
    pub ownership: String,
    /// Second owner of a joint account; may be added later with `UpdateAccount`.
    pub joint_member: Option<JointMember>,
    pub kind: String,
    pub profile: Profile,
}

/// Parses an account type, in any case and spacing.
pub fn parse_kind(text: &str) -> Result<AccountKind> {
    match options::normalized(text).as_str() {
        "cash" => Ok(AccountKind::Cash),
        "investment" => Ok(AccountKind::Investment),
        _ => Err(Refusal::invalid("type", "must be cash or investment").into()),
    }
}

/// Opens an account for an approved user. Requires scope `manage`.
///
/// An investment account needs every answer about investing, a cash account none (documented: optional for
/// `cash`). The joint member of a joint account is registered and their identity checked along with it; until
/// they are approved too, the account cannot be funded or traded on.
impl Command for OpenAccount {
    const NAME: &'static str = "account.open";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = account::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        let ownership = checks.note(joint::ownership(&self.ownership));
        if let Some(kind) = checks.note(parse_kind(&self.kind)) {
            checks.note(self.profile.check(kind));
        }
        checks.note(match (&self.joint_member, ownership) {
            (Some(_), Some(Ownership::Individual)) => Err(joint::not_joint()),
            (Some(member), _) => member.check(mode),
            (None, _) => Ok(()),
        });
        checks.done()
    }

    fn allowance(&self) -> Option<Allowance> {
        joint::allowance(self.joint_member.as_ref())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let user = users::approved(ctx.tx, ctx.access_scope, self.user_id, "userId").await?;
        let joint_member = match &self.joint_member {
            Some(member) => Some(member.resolve(ctx, &user).await?),
            None => None,
        };
        let profile = self.profile.clone();
        let account = account::Model {
            id: ctx.app.ids.next(Kind::Account),
            partner_id: ctx.partner.id,
            user_id: user.id,
            number: free_number(ctx.tx).await?,
            ownership: joint::ownership(&self.ownership)?,
            kind: parse_kind(&self.kind)?,
            status: Status::Active,
            marital_status: profile.marital_status,
            country_of_citizenship: profile.country_of_citizenship,
            employment_status: profile.employment_status,
            employment_position: tidy(&profile.employment_position),
            employer_name: tidy(&profile.employer_name),
            annual_income: profile.annual_income,
            investment_objective: profile.investment_objective,
            investment_experience: profile.investment_experience,
            net_liquid_worth: profile.net_liquid_worth,
            net_total_worth: profile.net_total_worth,
            is_director: profile.is_director,
            director_of: profile.director_of.as_deref().map(tidy),
            risk_tolerance: profile.risk_tolerance,
            opened_at: ctx.now,
            joint_member_id: joint_member.map(|member| member.id),
            status_reason: None,
        };
        account::ActiveModel::from(account.clone()).reset_all().insert(ctx.tx).await?;
        for kind in [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::PendingDeposit] {
            ctx.customer_account(account.id, kind, ledger::USD).await?;
        }
        ctx.record(Event::AccountCreated((&account).into())).await?;
        Ok(account)
    }
}

/// Returns a random account number that is not in use: four letters and five digits.
async fn free_number(connection: &impl ConnectionTrait) -> Result<String> {
    loop {
        let bytes = secrets::random::<9>()?;
        let number: String = bytes
            .iter()
            .enumerate()
            .map(|(index, byte)| char::from(if index < 4 { b'A' + byte % 26 } else { b'0' + byte % 10 }))
            .collect();
        let taken = account::Entity::find()
            .filter(account::Column::Number.eq(number.as_str()))
            .one(connection)
            .await?;
        if taken.is_none() {
            return Ok(number);
        }
    }
}
