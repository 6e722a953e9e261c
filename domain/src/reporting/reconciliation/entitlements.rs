//! Checks of what corporate actions gave to accounts, against the ledger.

use super::{AccountBalance, Audit, PAGE, derived::Books};
use crate::{Result, kernel::events::EventType, trading::corporate_actions::rules};
use entity::{Money, Quantity, Rate, corporate_action, entitlement, ledger_account::LedgerKind, lot_closing};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks each entitlement against the movements of its event: what was paid, and the shares of a split. Checks
    /// dividends against the shares, and the realized gains of fractions against what was paid for them.
    pub(super) async fn entitlements(&mut self, books: &Books<'_>) -> Result<()> {
        let mut dividends: HashMap<Uuid, Rate> = HashMap::new();
        let mut splits: HashMap<Uuid, corporate_action::Model> = HashMap::new();
        _ = walk!(self, corporate_action, row => {
            if let Some(per_share) = row.per_share {
                dividends.insert(row.id, per_share);
            }
            if row.new_shares.is_some() {
                splits.insert(row.id, row);
            }
        });
        // Proceeds and shares.
        let mut fractions: HashMap<Uuid, (i64, i64)> = HashMap::new();
        _ = walk!(self, lot_closing, row => {
            if let Some(entitlement) = row.entitlement_id {
                let (proceeds, shares) = fractions.entry(entitlement).or_default();
                *proceeds = proceeds.saturating_add(row.proceeds.units());
                *shares = shares.saturating_add(row.quantity.units());
            }
        });
        let rows = walk!(self, entitlement, row => {
            let moved = |kind: LedgerKind| {
                let is_own = |account: &AccountBalance| account.kind == kind && account.owner == row.account_id;
                let event = EventType::CorporateActionApplied;
                // The cash may have repaid at once what the account owed.
                let is_left =
                    |debit: &AccountBalance, credit: &AccountBalance| {
                        is_own(debit) && credit.kind != LedgerKind::Receivable
                    };
                let debited = books.moved(row.id, event, is_left);
                books.moved(row.id, event, |_, credit| is_own(credit)).saturating_sub(debited)
            };
            let due = if row.applied_at.is_some() { row.cash.units() } else { 0 };
            let paid = moved(LedgerKind::Cash);
            if paid != due {
                self.wrong(format!("entitlement {} has cash {}, its ledger movements sum to {}", row.id,
                    Money::from_units(due), Money::from_units(paid)));
            }
            let dividend = dividends.get(&row.corporate_action_id);
            let dividend = dividend.and_then(|per_share| Money::per_share(row.quantity, *per_share));
            let is_known = row.applied_at.is_some() || row.cash != Money::ZERO;
            if let Some(dividend) = dividend.filter(|dividend| is_known && *dividend != row.cash) {
                self.wrong(format!("entitlement {} has cash {}, the dividend of its shares is {dividend}", row.id,
                    row.cash));
            }
            let added = moved(LedgerKind::Units);
            let split = splits.get(&row.corporate_action_id);
            let expected = row.new_quantity.and_then(|new| new.minus(row.quantity)).unwrap_or_default();
            if added != expected.units() {
                self.wrong(format!("entitlement {} changed {} shares, its ledger movements sum to {}", row.id,
                    expected, Quantity::from_units(added)));
            }
            let fraction = fractions.remove(&row.id);
            if fraction.map_or(split.is_some() && due != 0, |(proceeds, _)| proceeds != due) {
                self.wrong(format!("entitlement {} has cash {}, which is not that of its realized gains", row.id,
                    row.cash));
            }
            let shares = fraction.map_or(Quantity::ZERO, |(_, shares)| Quantity::from_units(shares));
            if let Some(wrong) = split.and_then(|split| wrong_split(split, &row, shares)) {
                self.wrong(format!("entitlement {} {wrong}", row.id));
            }
        });
        self.report.checked.push(("entitlements", rows));
        if let Some(stray) = fractions.keys().next() {
            self.wrong(format!("realized gains refer to entitlement {stray}, which does not exist"));
        }
        Ok(())
    }
}

/// Compares a split that was applied with what its ratio makes of the shares, and what was paid with the fraction that
/// was sold. Lots that become less than the smallest part of a share are rounded up, so that more may be paid.
fn wrong_split(
    action: &corporate_action::Model,
    row: &entitlement::Model,
    fraction: Quantity,
) -> Option<String> {
    if row.applied_at.is_none() || !row.quantity.is_positive() {
        return None;
    }
    let ratio = action.new_shares.zip(action.old_shares)?;
    let Some(rules::Split { exact, kept }) = rules::split(row.quantity, ratio, action.is_whole_shares) else {
        return Some("has a ratio that is too large".to_owned());
    };
    let new = row.new_quantity.unwrap_or_default();
    if new != kept {
        return Some(format!("has {new} shares after a split, its ratio makes {kept}"));
    }
    let worth = action.cash_price.map_or(Some(Money::ZERO), |price| Money::cost(fraction, price));
    if worth != Some(row.cash) {
        let worth = worth.map_or_else(|| "too much".to_owned(), |worth| worth.to_string());
        return Some(format!("has cash {}, the fraction of its shares is worth {worth}", row.cash));
    }
    let left = exact.minus(kept).unwrap_or_default();
    (fraction < left).then(|| format!("sold {fraction} shares as a fraction, its ratio leaves {left}"))
}
