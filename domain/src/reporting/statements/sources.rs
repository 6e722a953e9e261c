//! Rows that explain the movements of a period: what caused them, and what that was about.

use crate::{
    Error, Result,
    kernel::{
        command::CommandContext,
        events::{self, Event, Subject},
        ledger::{PastBalance, PastMovement},
    },
    trading::instruments,
};
use chrono::{DateTime, Utc};
use entity::{
    Quantity, account, bank_account, corporate_action, fill, instrument, ledger_account::LedgerKind,
    lot_closing, order, partner_symbol, transfer, user,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Select};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Most ids of one statement.
const CHUNK: usize = 1000;

/// Rows by their ids.
pub(super) struct Sources {
    pub events: HashMap<Uuid, Event>,
    orders: HashMap<Uuid, order::Model>,
    /// Fills of an order that no movement has claimed, by number.
    fills: HashMap<Uuid, Vec<fill::Model>>,
    transfers: HashMap<Uuid, transfer::Model>,
    bank_accounts: HashMap<Uuid, bank_account::Model>,
    actions: HashMap<Uuid, corporate_action::Model>,
    /// By the symbol of the ledger.
    instruments: BTreeMap<String, Arc<instrument::Model>>,
    /// Symbols of instruments at the end of the period, if they differ from those of the ledger.
    symbols: HashMap<Uuid, String>,
}

fn missing(what: &str) -> Error {
    Error::broken(format!("a statement needs {what}, which does not exist"))
}

impl Sources {
    /// Reads what explains the movements of an account.
    pub async fn read(
        ctx: &CommandContext<'_>,
        account: &account::Model,
        movements: &[PastMovement],
        balances: &[PastBalance],
        closes_at: DateTime<Utc>,
    ) -> Result<Self> {
        let causes: BTreeSet<Uuid> = movements.iter().map(|moved| moved.cause_id).collect();
        let rows = events::by_ids(ctx.tx, &Vec::from_iter(causes)).await?;
        let events: HashMap<Uuid, Event> =
            rows.iter().map(|row| Ok((row.id, Event::of(row)?))).collect::<Result<_>>()?;
        let (mut order_ids, mut transfer_ids, mut action_ids) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for event in events.values() {
            match event.subject() {
                Subject::Order(order) => _ = order_ids.insert(order.id),
                Subject::Transfer(transfer) => _ = transfer_ids.insert(transfer.id),
                Subject::Entitlement(entitlement) => _ = action_ids.insert(entitlement.corporate_action_id),
                _ => {}
            }
        }
        let orders = by_ids::<order::Entity>(ctx, order::Column::Id, &order_ids).await?;
        let fills = by_ids::<fill::Entity>(ctx, fill::Column::OrderId, &order_ids).await?;
        transfer_ids.extend(orders.iter().filter_map(|order| order.withdrawal_id));
        let transfers = by_ids::<transfer::Entity>(ctx, transfer::Column::Id, &transfer_ids).await?;
        let bank_ids = transfers.iter().map(|transfer| transfer.bank_account_id).collect();
        let banks = by_ids::<bank_account::Entity>(ctx, bank_account::Column::Id, &bank_ids).await?;
        let actions =
            by_ids::<corporate_action::Entity>(ctx, corporate_action::Column::Id, &action_ids).await?;
        let mut of_orders: HashMap<Uuid, Vec<fill::Model>> = HashMap::new();
        for fill in fills {
            of_orders.entry(fill.order_id).or_default().push(fill);
        }
        for fills in of_orders.values_mut() {
            fills.sort_by_key(|fill| fill.number);
        }
        let mut found = BTreeMap::new();
        for held in balances.iter().filter(|held| held.kind == LedgerKind::Units) {
            let instrument = instruments::by_symbol(ctx.app, None, &held.asset).await?;
            found.insert(held.asset.clone(), instrument.ok_or_else(|| missing("an instrument"))?);
        }
        Ok(Self {
            events,
            orders: orders.into_iter().map(|order| (order.id, order)).collect(),
            fills: of_orders,
            transfers: transfers.into_iter().map(|transfer| (transfer.id, transfer)).collect(),
            bank_accounts: banks.into_iter().map(|bank| (bank.id, bank)).collect(),
            actions: actions.into_iter().map(|action| (action.id, action)).collect(),
            symbols: symbols_at(ctx, account, &found, closes_at).await?,
            instruments: found,
        })
    }

    pub fn event(&self, id: Uuid) -> Result<&Event> {
        self.events.get(&id).ok_or_else(|| missing("an event"))
    }

    /// Returns the fill that moved these shares, which no other movement has moved.
    pub fn claim_fill(
        &mut self,
        order_id: Uuid,
        traded_at: DateTime<Utc>,
        quantity: Quantity,
    ) -> Result<fill::Model> {
        let fills = self.fills.get_mut(&order_id).ok_or_else(|| missing("a fill"))?;
        let is_it = |fill: &fill::Model| fill.traded_at == traded_at && fill.quantity == quantity;
        let position = fills.iter().position(is_it).ok_or_else(|| missing("a fill"))?;
        Ok(fills.remove(position))
    }

    /// Returns the last digits of the bank account of a transfer.
    pub fn bank_account(&self, transfer_id: Uuid) -> Result<&str> {
        let transfer = self.transfers.get(&transfer_id).ok_or_else(|| missing("a transfer"))?;
        let bank = self.bank_accounts.get(&transfer.bank_account_id);
        Ok(&bank.ok_or_else(|| missing("a bank account"))?.number_last4)
    }

    /// Returns the withdrawal that an order raised money for.
    pub fn withdrawal_of(&self, order_id: Uuid) -> Result<Uuid> {
        let order = self.orders.get(&order_id);
        order.and_then(|order| order.withdrawal_id).ok_or_else(|| missing("a withdrawal"))
    }

    pub fn action(&self, id: Uuid) -> Result<&corporate_action::Model> {
        self.actions.get(&id).ok_or_else(|| missing("a corporate action"))
    }

    /// Returns the securities that the account has ever held, by the symbol of the ledger.
    pub const fn instruments(&self) -> &BTreeMap<String, Arc<instrument::Model>> {
        &self.instruments
    }

    /// Returns the symbol of an instrument at the end of the period.
    pub fn symbol(&self, instrument: &instrument::Model) -> String {
        self.symbols.get(&instrument.id).unwrap_or(&instrument.symbol).clone()
    }

    /// Does the same for the id of an instrument that the account has held.
    pub fn symbol_of(&self, instrument_id: Uuid) -> Result<String> {
        let found = self.instruments.values().find(|instrument| instrument.id == instrument_id);
        Ok(self.symbol(found.ok_or_else(|| missing("an instrument"))?))
    }

    /// Returns the symbol of a security of the ledger.
    pub fn symbol_of_asset(&self, asset: &str) -> Result<String> {
        Ok(self.symbol(self.instruments.get(asset).ok_or_else(|| missing("an instrument"))?))
    }
}

/// Returns the rows with these values in a column of ids.
async fn by_ids<E: EntityTrait>(
    ctx: &CommandContext<'_>,
    column: E::Column,
    ids: &BTreeSet<Uuid>,
) -> Result<Vec<E::Model>> {
    let ids: Vec<Uuid> = ids.iter().copied().collect();
    let mut rows = Vec::new();
    for ids in ids.chunks(CHUNK) {
        let select: Select<E> = E::find().filter(column.is_in(ids.iter().copied()));
        rows.extend(select.all(ctx.tx).await?);
    }
    Ok(rows)
}

/// Returns the symbols that symbol changes had given to instruments of the partner by this time.
async fn symbols_at(
    ctx: &CommandContext<'_>,
    account: &account::Model,
    instruments: &BTreeMap<String, Arc<instrument::Model>>,
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, String>> {
    use corporate_action::Column;
    if instruments.is_empty() || !has_renamed(ctx, account.partner_id).await? {
        return Ok(HashMap::new());
    }
    let changes = corporate_action::Entity::find()
        .filter(Column::PartnerId.eq(account.partner_id))
        .filter(Column::InstrumentId.is_in(instruments.values().map(|instrument| instrument.id)))
        .filter(Column::Symbol.is_not_null())
        .filter(Column::ProcessedAt.lte(at))
        .order_by_asc(Column::ProcessedAt)
        .order_by_asc(Column::Id)
        .all(ctx.tx)
        .await?;
    let symbols = changes.into_iter().filter_map(|change| Some((change.instrument_id, change.symbol?)));
    Ok(symbols.collect())
}

async fn has_renamed(ctx: &CommandContext<'_>, partner_id: Uuid) -> Result<bool> {
    let renamed = partner_symbol::Entity::find().filter(partner_symbol::Column::PartnerId.eq(partner_id));
    Ok(renamed.one(ctx.tx).await?.is_some())
}

/// Returns the names of the owners of an account, the primary one first.
pub(super) async fn owners(ctx: &CommandContext<'_>, account: &account::Model) -> Result<Vec<String>> {
    let ids = crate::accounts::owners(account);
    let users = user::Entity::find().filter(user::Column::Id.is_in(ids)).all(ctx.tx).await?;
    let (first, others): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.id == account.user_id);
    let name = |user: &&user::Model| format!("{} {}", user.first_name, user.last_name).trim().to_owned();
    Ok(first.iter().chain(&others).map(name).filter(|name| !name.is_empty()).collect())
}

/// Returns the realized gains of these fills and entitlements, in order.
pub(super) async fn gains(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    causes: &HashSet<Uuid>,
    (first, last): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<lot_closing::Model>> {
    use lot_closing::Column;
    if causes.is_empty() {
        return Ok(Vec::new());
    }
    let mut closings = lot_closing::Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::ClosedOn.gte(crate::kernel::calendar::new_york_date(first)))
        .filter(Column::ClosedOn.lte(crate::kernel::calendar::new_york_date(last)))
        .order_by_asc(Column::ClosedAt)
        .order_by_asc(Column::Id)
        .all(ctx.tx)
        .await?;
    let is_of = |closing: &lot_closing::Model| {
        closing.fill_id.or(closing.entitlement_id).is_some_and(|cause| causes.contains(&cause))
    };
    closings.retain(is_of);
    Ok(closings)
}
