//! Queries for users, and the requirement of an approved identity.

use crate::{
    Actor, Error, Refusal, Result, Visible,
    kernel::{
        actor::AccessScope,
        command::CommandContext,
        db::WriteTransaction,
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        visible::Owner,
    },
};
use entity::{
    Kind,
    user::{self, Status},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, Iterable,
    QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, IntoColumnRef, LockType, SelectStatement},
};
use uuid::Uuid;

/// Users are visible to their partner and to themselves.
impl Visible for user::Entity {
    const ID: user::Column = user::Column::Id;
    const OWNER: Owner<user::Column> =
        Owner::Users { partner: user::Column::PartnerId, users: &[user::Column::Id] };
}

/// Returns a user of the partner. Requires scope `read`.
pub async fn find(connection: &impl ConnectionTrait, actor: &Actor, id: Uuid) -> Result<Option<user::Model>> {
    within(connection, user::Entity::access(actor)?, id).await
}

/// Returns a user within the access scope.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<user::Model>> {
    Ok(user::Entity::by_id_within(access_scope, id).one(connection).await?)
}

/// Returns a page of the partner's users that match all filters. Requires scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &SortedPage<user::Column>,
    filters: &[Filter],
) -> Result<Slice<user::Model>> {
    rows::page::<user::Entity>(connection, user::Entity::access(actor)?, page, filters).await
}

/// Returns the row of a new user, without personal data.
pub fn new_row(ctx: &CommandContext<'_>) -> user::Model {
    user::Model {
        id: ctx.app.ids.next(Kind::User),
        partner_id: ctx.partner.id,
        status: Status::Pending,
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        phone: None,
        ssn: None,
        ssn_index: None,
        birth_date: None,
        address_line_1: None,
        address_line_2: None,
        address_city: None,
        address_state: None,
        address_postal_code: None,
        address_country_code: None,
        created_at: ctx.now,
        gender: None,
        invitation_id: None,
    }
}

/// Returns the row with only the changed columns set, so that concurrent changes of others are preserved.
pub fn changed_row(before: user::Model, after: user::Model) -> user::ActiveModel {
    let (mut row, after) = (before.into_active_model(), after.into_active_model());
    for column in user::Column::iter() {
        if let Some(value) = after.get(column).into_value() {
            row.set_if_not_equals(column, value);
        }
    }
    row
}

/// Locks a user until the transaction ends, so that changes to one user happen one at a time.
pub async fn locked(tx: &WriteTransaction, id: Uuid) -> Result<user::Model> {
    let select = user::Entity::find_by_id(id).lock(LockType::NoKeyUpdate);
    select.one(tx).await?.ok_or_else(|| Error::broken("a row refers to a missing user"))
}

/// Returns the user that `field` refers to. Refused unless their identity is approved.
pub async fn approved(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    field: &str,
) -> Result<user::Model> {
    let user = within(connection, access_scope, id).await?.ok_or_else(|| Refusal::not_found(field))?;
    require_approved(&user)?;
    Ok(user)
}

/// Returns a subquery for the ids of a partner's approved users.
pub fn approved_ids(partner_id: Uuid) -> SelectStatement {
    let approved = user::Entity::find()
        .filter(user::Column::PartnerId.eq(partner_id))
        .filter(user::Column::Status.eq(Status::Approved));
    approved.select_only().column(user::Column::Id).into_query()
}

/// Returns a subquery for the status of the partner's user whose id is in this column.
pub fn status_of(partner_id: Uuid, id: impl IntoColumnRef) -> SelectStatement {
    user::Entity::find()
        .select_only()
        .column(user::Column::Status)
        .filter(user::Column::PartnerId.eq(partner_id))
        .filter(Expr::col((user::Entity, user::Column::Id)).equals(id))
        .into_query()
}

/// Refuses users that are not approved (documented: nothing else is possible until the user is approved).
pub fn require_approved(user: &user::Model) -> Result<()> {
    require_status_approved(user.status)
}

/// Refuses the status of users that are not approved.
pub fn require_status_approved(status: Status) -> Result<()> {
    if status == Status::Approved {
        return Ok(());
    }
    Err(Refusal::new(crate::Code::KycNotApproved, "", "The user's identity has not been approved.").into())
}
