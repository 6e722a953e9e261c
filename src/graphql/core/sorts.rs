//! Sort orders that clients choose.

use async_graphql::Enum;
use domain::kernel::lists::SortColumn;

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
    type Column: SortColumn;
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
