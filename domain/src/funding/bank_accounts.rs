//! External bank accounts, which deposits are pulled from and withdrawals are paid to.

use super::{
    routing_number::{AccountNumber, RoutingNumber},
    transfers,
};
use crate::{
    Actor, Checks, Code, Refusal, Result, Scope, Visible,
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log,
        command::{Command, CommandContext},
        db::WriteTransaction,
        events::Event,
        lists::Filter,
        pages::{Page, Slice},
        rows,
        secrets::{AssociatedData, Secret},
        visible::{Listed, Owner},
    },
    people::{applicants, person, users},
};
use entity::{Kind, bank_account, partner::Mode, transfer, user};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

/// Links a bank account. The values are not validated yet.
#[derive(Clone, Serialize)]
pub struct LinkBankAccount {
    pub user_id: Uuid,
    pub number: String,
    pub routing_number: String,
    pub nickname: String,
}

const NUMBER: &str = "bank_account.number";

/// Links a bank account to an approved user. Requires scope `manage`. The first bank account does not become
/// the default (documented).
///
/// The routing number must have a valid American Bankers Association check digit.
impl Command for LinkBankAccount {
    const NAME: &'static str = "bank_account.link";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = bank_account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let mut checks = Checks::default();
        checks.note(match self.number.as_str() {
            "" => Err(Refusal::required("number").into()),
            number => applicants::valid("number", AccountNumber::parse(number)),
        });
        checks.note(applicants::valid("routingNumber", RoutingNumber::parse(&self.routing_number)));
        checks.note(person::check_words("nickname", &self.nickname));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<bank_account::Model> {
        let user = users::approved(ctx.tx, ctx.access_scope, self.user_id, "userId").await?;
        let id = ctx.app.ids.next(Kind::BankAccount);
        let data = AssociatedData { column: NUMBER, row: id, partner: ctx.partner.id };
        let number = applicants::valid("number", AccountNumber::parse(&self.number))?;
        let bank_account = bank_account::Model {
            id,
            partner_id: ctx.partner.id,
            user_id: user.id,
            nickname: person::tidy(&self.nickname),
            routing_number: self.routing_number.clone(),
            number: ctx.app.vault.seal(data, number.reveal().as_bytes())?,
            number_last4: number.tail().to_owned(),
            is_default: false,
            linked_at: ctx.now,
            removed_at: None,
            disabled_at: None,
        };
        bank_account::ActiveModel::from(bank_account.clone()).reset_all().insert(ctx.tx).await?;
        ctx.record(Event::BankAccountCreated((&bank_account).into())).await?;
        Ok(bank_account)
    }
}

/// Updates a bank account; absent fields stay unchanged.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateBankAccount {
    pub bank_account_id: Uuid,
    pub nickname: Option<String>,
    pub is_default: Option<bool>,
}

/// Renames a bank account of an approved user, or makes it their default or not. Requires scope `manage`. A
/// new default replaces the previous one.
impl Command for UpdateBankAccount {
    const NAME: &'static str = "bank_account.update";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = bank_account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.nickname.as_ref().map_or(Ok(()), |nickname| person::check_words("nickname", nickname))
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<bank_account::Model> {
        let (user, before) = locked(ctx, self.bank_account_id).await?;
        users::require_approved(&user)?;
        let mut bank_account = before.clone();
        if let Some(nickname) = &self.nickname {
            bank_account.nickname = person::tidy(nickname);
        }
        if self.is_default == Some(true) {
            require_enabled(&before)?;
        }
        bank_account.is_default = self.is_default.unwrap_or(before.is_default);
        if bank_account == before {
            return Ok(before);
        }
        if bank_account.is_default && !before.is_default {
            bank_account::Entity::update_many()
                .col_expr(bank_account::Column::IsDefault, Expr::value(false))
                .filter(bank_account::Column::UserId.eq(user.id))
                .filter(bank_account::Column::IsDefault.eq(true))
                .exec(ctx.tx)
                .await?;
        }
        let mut row: bank_account::ActiveModel = before.into();
        row.nickname = Set(bank_account.nickname);
        row.is_default = Set(bank_account.is_default);
        let bank_account = row.update(ctx.tx).await?;
        ctx.record(Event::BankAccountUpdated {
            bank_account: (&bank_account).into(),
            default: bank_account.is_default,
        })
        .await?;
        Ok(bank_account)
    }
}

/// Removes a bank account.
#[derive(Clone, Debug, Serialize)]
pub struct RemoveBankAccount {
    pub bank_account_id: Uuid,
}

/// Removes a bank account. Requires scope `manage`. Refused while a transfer from or to it is under way. Only
/// its earlier transfers still show it. Users who are not approved may remove theirs too.
impl Command for RemoveBankAccount {
    const NAME: &'static str = "bank_account.remove";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = bank_account::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<bank_account::Model> {
        let (_, bank_account) = locked(ctx, self.bank_account_id).await?;
        let pending = transfer::Entity::find()
            .filter(transfer::Column::BankAccountId.eq(bank_account.id))
            .filter(transfer::Entity::under_way());
        if pending.one(ctx.tx).await?.is_some() {
            let text = "A transfer from or to the bank account is under way. Try again once it has ended.";
            return Err(Refusal::new(Code::TransferPending, "bankAccountId", text).into());
        }
        let mut row: bank_account::ActiveModel = bank_account.into();
        row.is_default = Set(false);
        row.removed_at = Set(Some(ctx.now));
        let bank_account = row.update(ctx.tx).await?;
        ctx.record(Event::BankAccountDeleted((&bank_account).into())).await?;
        Ok(bank_account)
    }
}

/// Locks the bank account and its user and returns both; refuses `bankAccountId` if it was not found.
///
/// Changes of one user's bank accounts wait for each other, and no transfer starts before the transaction
/// ends.
async fn locked(ctx: &CommandContext<'_>, id: Uuid) -> Result<(user::Model, bank_account::Model)> {
    let missing = || Refusal::not_found("bankAccountId");
    let select = bank_account::Entity::by_id_within(ctx.access_scope, id);
    let found = select.clone().one(ctx.tx).await?.ok_or_else(missing)?;
    let user = users::locked(ctx.tx, found.user_id).await?;
    Ok((user, select.lock(LockType::Update).one(ctx.tx).await?.ok_or_else(missing)?))
}

/// Decrypts the full account number.
pub fn number(app: &App, bank_account: &bank_account::Model) -> Result<Secret<String>> {
    app.vault.open_text(
        AssociatedData { column: NUMBER, row: bank_account.id, partner: bank_account.partner_id },
        &bank_account.number,
    )
}

/// Bank accounts are visible to their partner and to their user. A removed one is shown only by its transfers
/// and events.
impl Visible for bank_account::Entity {
    const ID: bank_account::Column = bank_account::Column::Id;
    const OWNER: Owner<bank_account::Column> =
        Owner::Users { partner: bank_account::Column::PartnerId, users: &[bank_account::Column::UserId] };
    const LISTED: Listed<bank_account::Column> = Listed::WhileNull(bank_account::Column::RemovedAt);
}

/// Returns the bank account with this id, to show its full number. Requires scope `read`. The read is written
/// to the audit log.
pub async fn get_audited(app: &App, actor: &Actor, id: Uuid) -> Result<Option<bank_account::Model>> {
    let caller = bank_account::Entity::reader(actor)?;
    let select = bank_account::Entity::by_id_within(caller.access_scope, id);
    let Some(found) = select.one(&app.db.read).await? else { return Ok(None) };
    audit_log::record_read(app, &caller, actor.request_id, "bank_account.read", Some(found.id)).await?;
    Ok(Some(found))
}

/// Returns whether the bank account with this id belongs to the user, even if it has since been removed.
pub async fn was_ever_linked(
    connection: &impl ConnectionTrait,
    user: &user::Model,
    id: Uuid,
) -> Result<bool> {
    let select = bank_account::Entity::find_by_id(id).filter(bank_account::Column::UserId.eq(user.id));
    Ok(select.one(connection).await?.is_some())
}

/// Returns a page of a user's bank accounts, to show their full numbers. Requires scope `read`. The read is
/// written to the audit log once per page.
pub async fn list_audited(
    app: &App,
    actor: &Actor,
    user_id: Uuid,
    page: &Page,
) -> Result<Slice<bank_account::Model>> {
    let caller = bank_account::Entity::reader(actor)?;
    let of_user = Filter::is(bank_account::Column::UserId, user_id);
    let slice =
        rows::page::<bank_account::Entity>(&app.db.read, caller.access_scope, &(*page).into(), &[of_user])
            .await?;
    audit_log::record_read(app, &caller, actor.request_id, "bank_account.list", Some(user_id)).await?;
    Ok(slice)
}

/// Returns those of these bank accounts that the caller may see, including removed ones, because transfers
/// still show them. Requires scope `read`.
pub async fn visible(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    let access_scope = bank_account::Entity::access(actor)?;
    let ids: HashSet<Uuid> = ids.collect();
    if access_scope.user_id.is_none() {
        return Ok(ids);
    }
    let own =
        bank_account::Entity::referenced_within(access_scope).filter(bank_account::Column::Id.is_in(ids));
    Ok(own.all(connection).await?.into_iter().map(|found| found.id).collect())
}

/// Returns the default bank accounts of several users, at most one each.
pub async fn defaults_of(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    people: &[Uuid],
) -> Result<Vec<bank_account::Model>> {
    let select = bank_account::Entity::within(access_scope)
        .filter(bank_account::Column::UserId.is_in(people.iter().copied()))
        .filter(bank_account::Column::IsDefault.eq(true));
    Ok(select.all(connection).await?)
}

/// Returns the bank account with this id if it belongs to one of these users; otherwise refuses
/// `bankAccountId` as not found. The account is locked, so that it is not removed before the transaction
/// ends.
pub async fn of_users(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    people: impl Iterator<Item = Uuid>,
    id: Uuid,
) -> Result<bank_account::Model> {
    let select = bank_account::Entity::by_id_within(access_scope, id)
        .filter(bank_account::Column::UserId.is_in(people))
        .lock(LockType::KeyShare);
    let found = select.one(connection).await?.ok_or_else(|| Refusal::not_found("bankAccountId"))?;
    require_enabled(&found)?;
    Ok(found)
}

/// Refuses a bank account that a bank has disabled.
fn require_enabled(bank_account: &bank_account::Model) -> Result<()> {
    if bank_account.disabled_at.is_none() {
        return Ok(());
    }
    let text = "A bank has returned a transfer of this bank account. Link another one.";
    Err(Refusal::new(Code::BankAccountDisabled, "bankAccountId", text).into())
}

/// Returns whether a bank account can be used for transfers. It is not removed until the transaction ends.
pub(super) async fn is_usable(tx: &WriteTransaction, id: Uuid) -> Result<bool> {
    let found = bank_account::Entity::find_by_id(id).lock(LockType::KeyShare).one(tx).await?;
    Ok(found.is_some_and(|found| found.disabled_at.is_none() && found.removed_at.is_none()))
}

/// Ends the use of a bank account, because a bank has returned a transfer; its transfers that were not sent fail. Does
/// nothing if it has ended before.
pub(super) async fn disable(ctx: &CommandContext<'_>, id: Uuid) -> Result<()> {
    let select = bank_account::Entity::find_by_id(id)
        .filter(bank_account::Column::DisabledAt.is_null())
        .lock(LockType::Update);
    let Some(found) = select.one(ctx.tx).await? else { return Ok(()) };
    let mut row: bank_account::ActiveModel = found.into();
    row.is_default = Set(false);
    row.disabled_at = Set(Some(ctx.now));
    let bank_account = row.update(ctx.tx).await?;
    ctx.record(Event::BankAccountDisabled((&bank_account).into())).await?;
    transfers::stop_unsent(ctx, id).await
}
