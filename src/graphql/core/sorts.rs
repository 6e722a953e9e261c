//! Sort orders that clients choose, and the cursors of sorted lists.

use async_graphql::Enum;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::kernel::{
    ids,
    lists::{self, SortKey},
    text,
};
use entity::Kind;
use sea_orm::{ColumnTrait, IdenStatic};
use uuid::Uuid;

/// Direction of a sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SortDirection {
    /// From the lowest value to the highest, or from the oldest to the newest.
    Asc,
    /// From the highest value to the lowest, or from the newest to the oldest.
    Desc,
}

/// Sort order that a client chooses.
pub trait SortBy: Default {
    type Column: ColumnTrait;
    /// Returns the columns to sort by; empty for the order of creation.
    fn columns(&self) -> &'static [Self::Column];
    /// Whether the order is descending.
    fn descends(&self) -> bool;
}

/// Defines the input for the sort order of a list, with the columns of each field. The first field and
/// direction are the default.
macro_rules! sort_by {
    (
        $(#[$doc:meta])*
        $sort:ident, $field:ident of $module:ident, default $default:ident $direction:ident {
            $($(#[$value_doc:meta])* $value:ident [$($column:ident),*],)*
        }
    ) => {
        #[doc = concat!("Field that `", stringify!($sort), "` sorts by.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
        pub enum $field { $($(#[$value_doc])* $value,)* }

        $(#[$doc])*
        #[derive(Clone, Debug, async_graphql::InputObject)]
        pub struct $sort {
            /// Field to sort by. Equal values are sorted by time of creation.
            field: $field,
            /// Direction.
            direction: $crate::graphql::core::sorts::SortDirection,
        }

        impl Default for $sort {
            fn default() -> Self {
                Self {
                    field: $field::$default,
                    direction: $crate::graphql::core::sorts::SortDirection::$direction,
                }
            }
        }

        impl $crate::graphql::core::sorts::SortBy for $sort {
            type Column = entity::$module::Column;

            fn columns(&self) -> &'static [Self::Column] {
                match self.field {
                    $($field::$value => &[$(entity::$module::Column::$column),*],)*
                }
            }

            fn descends(&self) -> bool {
                self.direction == $crate::graphql::core::sorts::SortDirection::Desc
            }
        }
    };
}

pub(crate) use sort_by;

/// Returns the cursor of a row. It is the id in a list that is sorted by id. Otherwise it also contains the
/// values that the list is sorted by, so that pages neither repeat nor skip rows when values change.
pub fn cursor<C: ColumnTrait>(columns: &[C], keys: Vec<SortKey>, id: Uuid) -> String {
    if columns.is_empty() {
        return id.to_string();
    }
    let parts = (names(columns), keys, id);
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parts).unwrap_or_default())
}

/// Reads a cursor of a list that is sorted by these columns.
pub fn read_cursor<C: ColumnTrait>(columns: &[C], kind: Kind, cursor: &str) -> Option<(Uuid, Vec<SortKey>)> {
    let (id, keys) = if columns.is_empty() {
        (ids::parse(kind, cursor), Vec::new())
    } else {
        let parts = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sorted_by, keys, id): (Vec<String>, Vec<SortKey>, String) =
            serde_json::from_slice(&parts).ok()?;
        if sorted_by != names(columns) || !lists::fit(&keys, columns) {
            return None;
        }
        (ids::parse(kind, &id), keys)
    };
    let is_clean = keys.iter().all(|key| !matches!(key, SortKey::Text(text) if text::has_control(text)));
    (!id.is_nil() && is_clean).then_some((id, keys))
}

fn names<C: ColumnTrait>(columns: &[C]) -> Vec<&'static str> {
    columns.iter().map(IdenStatic::as_str).collect()
}
