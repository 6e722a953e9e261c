//! Who may see which rows: a rule per table, written beside its feature and asked by everything that reads
//! rows for a caller.

use super::{
    actor::{AccessScope, Actor, Caller, Scope},
    command::Identified,
};
use crate::Result;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ModelTrait, QueryFilter, QuerySelect, QueryTrait, Select, Value,
    sea_query::{Expr, SelectStatement, UnionType, all},
};
use uuid::Uuid;

/// A table with rows that an API shows, and who may see them. A row that the caller may not see does not
/// exist for them.
pub trait Visible: EntityTrait<Model: Identified + Sync> {
    /// Scope that the caller needs.
    const SCOPE: Scope = Scope::Read;
    /// Scope that the caller needs besides to find a row of any table by its id alone, with `node`.
    const NODE_SCOPE: Scope = Scope::Read;
    /// Column of the id.
    const ID: Self::Column;
    /// Callers who may see a row, if they have the scope.
    const OWNER: Owner<Self::Column>;
    /// Rows that are found by id and in lists. The others are shown only by rows that refer to them.
    const LISTED: Listed<Self::Column> = Listed::Always;

    /// Authorizes a caller to see rows of this table. Fails without the scope, and for users if only their
    /// partner may see the rows.
    fn reader(actor: &Actor) -> Result<Caller> {
        match Self::OWNER {
            Owner::Partner { .. } => actor.caller(Self::SCOPE),
            Owner::Everyone | Owner::Members { .. } | Owner::Users { .. } | Owner::Parent { .. } => {
                actor.self_or_caller(Self::SCOPE)
            }
        }
    }

    /// Returns the access scope for [`Visible::within`]. Never fails for rows that everyone may see.
    fn access(actor: &Actor) -> Result<AccessScope> {
        match Self::OWNER {
            Owner::Everyone => Ok(AccessScope::all_of(Uuid::nil())),
            _ => Ok(Self::reader(actor)?.access_scope),
        }
    }

    /// Authorizes a caller to find a row by its id alone, with `node`.
    fn node_access(actor: &Actor) -> Result<AccessScope> {
        if !matches!(Self::OWNER, Owner::Everyone) {
            actor.access_scope(Self::NODE_SCOPE)?;
        }
        Self::access(actor)
    }

    /// Selects the rows within an access scope.
    fn within(access_scope: AccessScope) -> Select<Self> {
        Self::referenced_within(access_scope).filter(Self::LISTED.condition())
    }

    /// Selects the row with this id, if it is within an access scope.
    fn by_id_within(access_scope: AccessScope, id: Uuid) -> Select<Self> {
        Self::within(access_scope).filter(Self::ID.eq(id))
    }

    /// Selects the rows within an access scope, including those that are shown only by rows that refer to
    /// them.
    fn referenced_within(access_scope: AccessScope) -> Select<Self> {
        Self::find().filter(condition::<Self>(access_scope))
    }

    /// Selects the ids of the rows that a user owns. Each column with a user is searched by its own index.
    fn owned_by(user_id: Uuid) -> SelectStatement {
        let ids =
            |condition: Expr| Self::find().select_only().column(Self::ID).filter(condition).into_query();
        match Self::OWNER {
            Owner::Users { users, .. } => users
                .iter()
                .map(|column| ids(column.eq(user_id)))
                .reduce(|mut all, more| all.union(UnionType::All, more).to_owned())
                .unwrap_or_else(|| ids(nothing())),
            Owner::Parent { parent, owned_by, .. } => ids(parent.in_subquery(owned_by(user_id))),
            Owner::Members { .. } => ids(Expr::cust("1 = 1")),
            Owner::Everyone | Owner::Partner { .. } => ids(nothing()),
        }
    }
}

/// Callers who may see a row. `partner` is the column of the partner, whose API keys see all of its rows.
#[derive(Clone, Copy, Debug)]
pub enum Owner<C: 'static> {
    /// Everyone, even without credentials.
    Everyone,
    /// The partner, but none of its users.
    Partner { partner: C },
    /// The partner and all of its users.
    Members { partner: C },
    /// The partner, and the users in any of these columns.
    Users { partner: C, users: &'static [C] },
    /// The partner, and the users who own the row of another table that the column `parent` refers to.
    Parent { partner: C, parent: C, owned_by: fn(Uuid) -> SelectStatement },
}

impl<C> Owner<C> {
    /// Returns the owner of rows that belong to a row of `P`.
    pub const fn of<P: Visible>(partner: C, parent: C) -> Self
    where
        C: Copy,
    {
        Self::Parent { partner, parent, owned_by: P::owned_by }
    }
}

/// Condition for the rows of `E` within an access scope.
fn condition<E: Visible>(access_scope: AccessScope) -> Condition {
    let partner = match E::OWNER {
        Owner::Everyone => return Condition::all(),
        Owner::Partner { partner }
        | Owner::Members { partner }
        | Owner::Users { partner, .. }
        | Owner::Parent { partner, .. } => partner,
    };
    let own = access_scope.user_id.map(|user_id| match E::OWNER {
        Owner::Users { users: [only], .. } => only.eq(user_id),
        Owner::Users { .. } => E::ID.in_subquery(E::owned_by(user_id)),
        Owner::Parent { parent, owned_by, .. } => parent.in_subquery(owned_by(user_id)),
        Owner::Members { .. } => Expr::cust("1 = 1"),
        Owner::Everyone | Owner::Partner { .. } => nothing(),
    });
    all![partner.eq(access_scope.partner_id)].add_option(own)
}

fn nothing() -> Expr {
    Expr::cust("1 = 0")
}

/// Rows that are found by id and in lists.
#[derive(Clone, Copy, Debug)]
pub enum Listed<C> {
    Always,
    /// Rows without a value in this column, such as the time of their removal.
    WhileNull(C),
    /// Rows with this word in a column, such as a status.
    While(C, &'static str),
}

impl<C: ColumnTrait> Listed<C> {
    /// Returns the condition for such rows.
    pub fn condition(&self) -> Condition {
        match self {
            Self::Always => Condition::all(),
            Self::WhileNull(column) => all![column.is_null()],
            Self::While(column, word) => all![column.eq(*word)],
        }
    }

    /// Whether this row is found by id and in lists.
    pub fn has<M>(&self, row: &M) -> bool
    where
        M: ModelTrait,
        M::Entity: EntityTrait<Column = C>,
    {
        match self {
            Self::Always => true,
            Self::WhileNull(column) => {
                let value = row.get(*column);
                value == value.as_null()
            }
            Self::While(column, word) => row.get(*column) == Value::from(*word),
        }
    }
}
