//! Bank accounts outside, which deposits are pulled from.

use super::{
    Actor, Refusal, Result, Scope, applicants, audit,
    command::{self, Answer, Command, Desk},
    events::Happening,
    idempotency::Key,
    page::{Page, Slice},
    people,
    routing::{AccountNumber, RoutingNumber},
    secrets::{Place, Secret},
    users,
};
use crate::app::App;
use entity::{Kind, bank_account, partner::Mode};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// A bank account as the customer wrote it down.
#[derive(Clone, Serialize)]
pub struct NewBankAccount {
    pub user_id: Uuid,
    pub number: String,
    pub routing_number: String,
    pub nickname: String,
}

/// Links a bank account of an approved person; scope `manage`. The first one is not made the default (documented).
///
/// The routing number must carry the American Bankers Association's checksum.
pub async fn link(app: &App, actor: &Actor, key: Option<Key>, new: NewBankAccount) -> Result<Answer<bank_account::Model>> {
    command::execute(app, actor, key, new).await
}

const NUMBER: &str = "bank_account.number";

impl Command for NewBankAccount {
    const NAME: &'static str = "bank_account.link";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Done = bank_account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        if self.number.is_empty() {
            return Err(Refusal::required("number").into());
        }
        applicants::valid("number", AccountNumber::parse(&self.number))?;
        applicants::valid("routingNumber", RoutingNumber::parse(&self.routing_number))?;
        people::check_words("nickname", &self.nickname)
    }

    async fn carry_out(&self, desk: &Desk<'_>) -> Result<bank_account::Model> {
        let user = users::approved(desk.tx, desk.whose, self.user_id, "userId").await?;
        let id = desk.app.ids.next(Kind::BankAccount);
        let place = Place { column: NUMBER, row: id, partner: desk.partner.id };
        let number = applicants::valid("number", AccountNumber::parse(&self.number))?;
        let bank_account = bank_account::Model {
            id,
            partner_id: desk.partner.id,
            user_id: user.id,
            nickname: self.nickname.trim().to_owned(),
            routing_number: self.routing_number.clone(),
            number: desk.app.vault.seal(place, number.reveal().as_bytes())?,
            number_last4: number.tail().to_owned(),
            is_default: false,
            linked_at: desk.now,
            removed_at: None,
        };
        bank_account::ActiveModel::from(bank_account.clone()).reset_all().insert(desk.tx).await?;
        let facts = json!({ "id": id, "user_id": user.id });
        desk.fact().record_first(desk.tx, Happening::BankAccountCreated, id, facts).await?;
        Ok(bank_account)
    }

    fn object(done: &bank_account::Model) -> Uuid {
        done.id
    }
}

/// The number in full.
pub fn number(app: &App, bank_account: &bank_account::Model) -> Result<Secret<String>> {
    app.vault.open_text(Place { column: NUMBER, row: bank_account.id, partner: bank_account.partner_id }, &bank_account.number)
}

/// The bank account with this id among the partner's; scope `read`.
pub async fn find(connection: &impl ConnectionTrait, actor: &Actor, id: Uuid) -> Result<Option<bank_account::Model>> {
    let whose = actor.whose(Scope::Read)?;
    Ok(of_partner(connection, whose.partner_id, id).await?.filter(|found| whose.covers(found.user_id)))
}

/// A page of a person's bank accounts whose numbers are about to be told in full; scope `read`. Who looked is written down,
/// once for the page.
pub async fn look_through(app: &App, actor: &Actor, user_id: Uuid, page: &Page) -> Result<Slice<bank_account::Model>> {
    let caller = actor.self_or_caller(Scope::Read)?;
    let select = bank_account::Entity::find()
        .filter(bank_account::Column::PartnerId.eq(caller.whose.partner_id))
        .filter(bank_account::Column::UserId.eq(user_id));
    let slice = page.of(&app.db.read, select, bank_account::Column::Id).await?;
    audit::looked(app, &caller, actor.request_id, "bank_account.list", Some(user_id)).await?;
    Ok(slice)
}

async fn of_partner(connection: &impl ConnectionTrait, partner_id: Uuid, id: Uuid) -> Result<Option<bank_account::Model>> {
    Ok(bank_account::Entity::find_by_id(id).filter(bank_account::Column::PartnerId.eq(partner_id)).one(connection).await?)
}

/// The person's own bank account named by `bankAccountId`; one of somebody else is not found.
pub async fn of_user(connection: &impl ConnectionTrait, partner_id: Uuid, user_id: Uuid, id: Uuid) -> Result<bank_account::Model> {
    of_partner(connection, partner_id, id)
        .await?
        .filter(|found| found.user_id == user_id)
        .ok_or_else(|| Refusal::not_found("bankAccountId").into())
}
