//! Opens accounts.

use super::{
    joint::{self, JointMember},
    options,
    profile::Profile,
};
use crate::{
    Checks, Refusal, Result, Scope,
    kernel::{
        calendar,
        command::{Command, CommandContext},
        events::Event,
        ledger,
        limits::Limit,
        secrets,
    },
    people::users,
};
use entity::{
    Kind,
    account::{self, AccountKind, DividendOption, Ownership, Status, TaxTreatment},
    ledger_account::LedgerKind,
    partner::Mode,
    tax_lot::LotMethod,
    timer::TimerKind,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
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
    /// How the account's gains are taxed. Left out of the fingerprint for taxable accounts, as all once were.
    #[serde(skip_serializing_if = "is_taxable")]
    pub tax_treatment: TaxTreatment,
    pub profile: Profile,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_taxable(treatment: &TaxTreatment) -> bool {
    *treatment == TaxTreatment::Taxable
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
/// they are approved too, the account cannot be funded or traded on. A retirement account has one owner
/// (26 U.S.C. 408).
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
            (_, Some(Ownership::Joint)) if !is_taxable(&self.tax_treatment) => {
                Err(Refusal::invalid("taxTreatment", "must be TAXABLE for a joint account").into())
            }
            (Some(_), Some(Ownership::Individual)) => Err(joint::not_joint()),
            (Some(member), _) => member.check(mode),
            (None, _) => Ok(()),
        });
        checks.done()
    }

    fn limit(&self) -> Option<Limit> {
        joint::limit(self.joint_member.as_ref())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let user = users::approved(ctx.tx, ctx.access_scope, self.user_id, "userId").await?;
        let joint_member = match &self.joint_member {
            Some(member) => Some(member.resolve(ctx, &user).await?),
            None => None,
        };
        let row = account::ActiveModel {
            id: Set(ctx.app.ids.next(Kind::Account)),
            partner_id: Set(ctx.partner.id),
            user_id: Set(user.id),
            number: Set(free_number(ctx.tx).await?),
            ownership: Set(joint::ownership(&self.ownership)?),
            kind: Set(parse_kind(&self.kind)?),
            status: Set(Status::Active),
            opened_at: Set(ctx.now),
            joint_member_id: Set(joint_member.map(|member| member.id)),
            status_reason: Set(None),
            tax_treatment: Set(self.tax_treatment),
            lot_method: Set(LotMethod::Fifo),
            dividend_option: Set(DividendOption::Cash),
            settled_cash_only_until: Set(None),
            frozen_until: Set(None),
            ..self.profile.columns()
        };
        let account = row.insert(ctx.tx).await?;
        let kinds = [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::PendingDeposit];
        ctx.ledger_accounts(kinds.map(|kind| (account.id, kind, ledger::USD))).await?;
        let first_statement_at = calendar::month_closes_at(ctx.today());
        ctx.schedule_kind(TimerKind::StatementIssue, account.id, first_statement_at).await;
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
