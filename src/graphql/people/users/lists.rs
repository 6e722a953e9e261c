//! Filter and sort order of the list of users.

use super::UserStatus;
use crate::graphql::core::{scalars::DateTime, sorts::sort_by};
use async_graphql::InputObject;
use domain::{kernel::lists::Filter, people::person};
use entity::user;

/// Filter for users. A user must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct UserFilter {
    /// Only users with this e-mail address. The case of ASCII letters does not matter.
    email: Option<String>,
    /// Only users with one of these statuses. If omitted or empty, all users.
    statuses: Option<Vec<UserStatus>>,
    /// Only users whose given or family name starts with this text. The case of ASCII letters does not
    /// matter.
    name: Option<String>,
    /// Only users created at this time or later.
    created_from: Option<DateTime>,
    /// Only users created before this time.
    created_before: Option<DateTime>,
}

impl UserFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Vec<Filter> {
        let names = [user::Column::FirstName, user::Column::LastName];
        let statuses = self.statuses.unwrap_or_default().into_iter().map(user::Status::from);
        [
            self.email.map(|email| Filter::equals(user::Column::Email, email.trim())),
            Filter::one_of(user::Column::Status, statuses),
            self.name.map(|name| Filter::starts_with(&names, &person::tidy(&name))),
            self.created_from.map(|time| Filter::from(user::Column::CreatedAt, time.0)),
            self.created_before.map(|time| Filter::before(user::Column::CreatedAt, time.0)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

sort_by!(
    /// Sort order of users.
    UserSort, UserSortField of user, default CreatedAt Desc {
        /// Time of creation.
        CreatedAt [],
        /// E-mail address.
        Email [Email],
        /// Family name, then given name. ASCII letters are sorted without regard to case.
        Name [LastName, FirstName],
    }
);
