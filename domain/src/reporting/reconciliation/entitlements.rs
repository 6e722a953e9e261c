//! Checks of what corporate actions gave to accounts, against the ledger.

use super::{AccountBalance, Audit, PAGE, derived::Books};
use crate::{Result, kernel::events::EventType};
use entity::{Money, Quantity, corporate_action, entitlement, ledger_account::LedgerKind, lot_closing};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks each entitlement against the movements of its event: what was paid, and the shares of a split. Checks
    /// the realized gains of fractions against what was paid for them.
    pub(super) async fn entitlements(&mut self, books: &Books<'_>) -> Result<()> {
        let mut splits: HashSet<Uuid> = HashSet::new();
        _ = walk!(self, corporate_action, row => {
            if row.new_shares.is_some() {
                splits.insert(row.id);
            }
        });
        let mut fractions: HashMap<Uuid, i64> = HashMap::new();
        _ = walk!(self, lot_closing, row => {
            if let Some(entitlement) = row.entitlement_id {
                *fractions.entry(entitlement).or_default() += row.proceeds.units();
            }
        });
        let rows = walk!(self, entitlement, row => {
            let moved = |kind: LedgerKind| {
                let is_own = |account: &AccountBalance| account.kind == kind && account.owner == row.account_id;
                let event = EventType::CorporateActionApplied;
                books.moved(row.id, event, |_, credit| is_own(credit))
                    - books.moved(row.id, event, |debit, _| is_own(debit))
            };
            let due = if row.applied_at.is_some() { row.cash.units() } else { 0 };
            let paid = moved(LedgerKind::Cash);
            if paid != due {
                self.wrong(format!("entitlement {} has cash {}, its ledger movements sum to {}", row.id,
                    Money::from_units(due), Money::from_units(paid)));
            }
            let added = moved(LedgerKind::Units);
            let is_split = splits.contains(&row.corporate_action_id);
            let expected = row.new_quantity.and_then(|new| new.minus(row.quantity)).unwrap_or_default();
            if added != expected.units() {
                self.wrong(format!("entitlement {} changed {} shares, its ledger movements sum to {}", row.id,
                    expected, Quantity::from_units(added)));
            }
            let fraction = fractions.remove(&row.id);
            if fraction.is_some_and(|fraction| fraction != due) || (is_split && fraction.is_none() && due != 0) {
                self.wrong(format!("entitlement {} has cash {}, which is not that of its realized gains", row.id,
                    row.cash));
            }
        });
        self.report.checked.push(("entitlements", rows));
        if let Some(stray) = fractions.keys().next() {
            self.wrong(format!("realized gains refer to entitlement {stray}, which does not exist"));
        }
        Ok(())
    }
}
