//! Parents of the tables that are listed under another row.

use super::Child;
use domain::accounts;
use entity::{account, bank_account, fill, kyc, kyc_document, order, position, transfer};
use std::iter;
use uuid::Uuid;

macro_rules! children {
    ($($module:ident by $parent:ident / $field:ident;)*) => {
        $(
            impl Child for $module::Entity {
                const PARENTS: &'static [Self::Column] = &[$module::Column::$parent];
                fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> { iter::once(row.$field) }
            }
        )*
    };
}

children! {
    bank_account by UserId / user_id;
    transfer by AccountId / account_id;
    order by AccountId / account_id;
    position by AccountId / account_id;
    fill by OrderId / order_id;
    kyc_document by KycId / kyc_id;
}

/// Accounts are listed under each of their owners.
impl Child for account::Entity {
    const PARENTS: &'static [Self::Column] = &[account::Column::UserId, account::Column::JointMemberId];

    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> {
        accounts::owners(row)
    }
}

impl Child for kyc::Entity {
    const PARENTS: &'static [Self::Column] = &[kyc::Column::UserId];

    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> {
        row.user_id.into_iter()
    }
}
