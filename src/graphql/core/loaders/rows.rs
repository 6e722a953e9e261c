//! Columns, owners and required scopes of the tables that the data loaders read.

use super::{Child, Owner, Row};
use domain::{Scope, accounts};
use entity::{
    account, api_key, bank_account, fill, instrument, invitation, kyc, kyc_document, message, order, partner,
    position, screening_exception, screening_hit, transfer, user,
};
use std::iter;
use uuid::Uuid;

macro_rules! rows {
    ($($module:ident of $owner:ident $owned:ident $(by $parent:ident / $field:ident)?;)*) => {
        $(
            impl Row for $module::Entity {
                fn id() -> Self::Column { $module::Column::Id }
                fn partner() -> Option<Self::Column> { Some($module::Column::PartnerId) }
                fn id_of(row: &Self::Model) -> Uuid { row.id }
                fn owner(row: &Self::Model) -> Owner { Owner::$owner(row.$owned) }
            }
            $(
                impl Child for $module::Entity {
                    const PARENTS: &'static [Self::Column] = &[$module::Column::$parent];
                    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> { iter::once(row.$field) }
                }
            )?
        )*
    };
}

rows! {
    user of User id;
    transfer of Account account_id by AccountId / account_id;
    order of Account account_id by AccountId / account_id;
    position of Account account_id by AccountId / account_id;
    fill of Account account_id by OrderId / order_id;
    kyc_document of Kyc kyc_id by KycId / kyc_id;
}

impl Row for account::Entity {
    fn id() -> Self::Column {
        account::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(account::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        Owner::Owners([Some(row.user_id), row.joint_member_id])
    }
}

/// Accounts are listed under each of their owners.
impl Child for account::Entity {
    const PARENTS: &'static [Self::Column] = &[account::Column::UserId, account::Column::JointMemberId];

    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> {
        accounts::owners(row)
    }
}

impl Row for bank_account::Entity {
    fn id() -> Self::Column {
        bank_account::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(bank_account::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        Owner::User(row.user_id)
    }
}

impl Child for bank_account::Entity {
    const PARENTS: &'static [Self::Column] = &[bank_account::Column::UserId];

    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> {
        iter::once(row.user_id)
    }

    fn removed_at() -> Option<Self::Column> {
        Some(bank_account::Column::RemovedAt)
    }
}

impl Row for kyc::Entity {
    fn id() -> Self::Column {
        kyc::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(kyc::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        row.user_id.map_or(Owner::Partner, Owner::User)
    }
}

impl Child for kyc::Entity {
    const PARENTS: &'static [Self::Column] = &[kyc::Column::UserId];

    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid> {
        row.user_id.into_iter()
    }
}

macro_rules! rows_for_operators {
    ($($module:ident)*) => {
        $(
            impl Row for $module::Entity {
                const SCOPE: Scope = Scope::Operate;

                fn id() -> Self::Column { $module::Column::Id }
                fn partner() -> Option<Self::Column> { Some($module::Column::PartnerId) }
                fn id_of(row: &Self::Model) -> Uuid { row.id }
                fn owner(_: &Self::Model) -> Owner { Owner::Partner }
            }
        )*
    };
}

rows_for_operators! { api_key screening_exception screening_hit }

impl Row for invitation::Entity {
    fn id() -> Self::Column {
        invitation::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(invitation::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}

impl Row for instrument::Entity {
    fn id() -> Self::Column {
        instrument::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        None
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Everyone
    }
}

impl Row for partner::Entity {
    fn id() -> Self::Column {
        partner::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(partner::Column::Id)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}

impl Row for message::Entity {
    fn id() -> Self::Column {
        message::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(message::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}
