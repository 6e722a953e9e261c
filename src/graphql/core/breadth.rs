//! Breadth-first execution of queries.
//!
//! What is selected becomes a plan once. Each relation is loaded once for all objects of a level, and the
//! objects are written as JSON bytes in the order of the query, without a future, a tree or a map per field.
//!
//! Whatever cannot be planned, and whatever fails, is left to the ordinary executor of async-graphql, which
//! runs the same methods. Paths of errors, nulls and messages are therefore always its own.

mod asked;
mod connections;
mod descriptions;
mod json;
mod levels;
mod run;
mod shared;

pub use asked::Asked;
pub use connections::{Edges, ListOf, PlainEdges};
pub use descriptions::{Children, Fetch, Lookup, Maybe, One, fetch, found, lookup};
pub(crate) use json::leaf_output;
pub use json::{Leaf, Out, write_enum};
pub use levels::{Level, Plan};
pub use run::{Breadth, Stop, lift, plan, rendered, whole};

use super::context::Viewpoint;
use async_graphql::{
    OutputType,
    parser::types::{Field, SelectionSet},
};
use entity::positional::{ColumnSet, Positional};
use futures_util::future::BoxFuture;

/// The engine cannot answer this; the ordinary executor must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow;

/// Result of the engine.
pub type Fast<T> = Result<T, Slow>;

/// A GraphQL object type. Implemented with `macros::breadth` or `macros::Fields`.
pub trait Object: OutputType + Sized + Send + Sync + 'static {
    /// Plans a field of this type. `sets` are the selection sets below it.
    fn step(asked: &Asked<'_>, field: &Field, sets: &[&SelectionSet]) -> Fast<Step<Self>>;

    /// Returns what a field reads of its row.
    fn reads(_field: &str) -> Reads {
        Reads::All
    }
}

/// Columns that a field reads of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    All,
    Only(&'static [&'static str]),
}

impl Reads {
    /// Returns the columns of `M` in `columns` and those that are read.
    pub fn add_to<M: Positional>(self, columns: ColumnSet) -> ColumnSet {
        match self {
            Self::All => ColumnSet::ALL,
            Self::Only(names) => names.iter().fold(columns, |columns, name| columns.with::<M>(name)),
        }
    }
}

/// Writes a field of an object.
pub type WriteLeaf<T> = Box<dyn Fn(&T, &Viewpoint, &mut Out) -> Fast<()> + Send + Sync>;

/// How a field of `T` is answered.
pub enum Step<T> {
    /// Its value is in the object.
    Leaf(WriteLeaf<T>),
    /// Something must be loaded or written below it.
    Below(Box<dyn Relation<T>>),
}

impl<T> Step<T> {
    /// Returns the step of a field whose value is in the object.
    pub fn leaf(write: impl Fn(&T, &Viewpoint, &mut Out) -> Fast<()> + Send + Sync + 'static) -> Self {
        Self::Leaf(Box::new(write))
    }
}

/// A field with something below it.
pub trait Relation<T>: Send + Sync {
    /// Loads what is below all objects of a level.
    fn load<'a>(&'a self, view: &'a Viewpoint, objects: &[T]) -> Loading<'a>;
}

/// What was loaded for all objects of a level.
pub trait Loaded: Send + Sync {
    /// Writes the part of the object at this position.
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()>;
}

/// What is loaded for no objects at all.
struct Nothing;

impl Loaded for Nothing {
    fn write(&self, _: usize, _: &Viewpoint, _: &mut Out) -> Fast<()> {
        Err(Slow)
    }
}

/// Result of loading.
pub type Loading<'a> = BoxFuture<'a, Fast<Box<dyn Loaded + 'a>>>;

/// A value or description that a field returns.
pub trait Output: Sized + Send + Sync + 'static {
    /// Whether a value is written without anything below it.
    const IS_LEAF: bool = false;
    /// What is selected below the field.
    type Plan: Send + Sync + 'static;

    /// Plans what is selected below the field.
    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Self::Plan>;

    /// Loads what is selected below all these values.
    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a Self::Plan) -> Loading<'a>;

    /// Writes a leaf.
    fn write_leaf(&self, _out: &mut Out) -> Fast<()> {
        Err(Slow)
    }

    /// Returns the step of a field with this value.
    fn step<T: 'static>(
        asked: &Asked<'_>,
        sets: &[&SelectionSet],
        value: impl Fn(&T, &Viewpoint) -> Fast<Self> + Send + Sync + 'static,
    ) -> Fast<Step<T>> {
        if Self::IS_LEAF {
            return Ok(Step::leaf(move |object, view, out| value(object, view)?.write_leaf(out)));
        }
        Ok(Step::Below(Box::new(Planned { value, plan: Self::plan(asked, sets)? })))
    }
}

/// A field with the plan of what is below it.
struct Planned<F, O: Output> {
    value: F,
    plan: O::Plan,
}

impl<T, O, F> Relation<T> for Planned<F, O>
where
    O: Output,
    F: Fn(&T, &Viewpoint) -> Fast<O> + Send + Sync,
{
    fn load<'a>(&'a self, view: &'a Viewpoint, objects: &[T]) -> Loading<'a> {
        match objects.iter().map(|object| (self.value)(object, view)).collect() {
            Ok(values) => O::load(view, values, &self.plan),
            Err(Slow) => Box::pin(std::future::ready(Err(Slow))),
        }
    }
}

/// Values of which some have a place in what was loaded, and the others are null.
struct Places<'a> {
    loaded: Box<dyn Loaded + 'a>,
    places: Vec<Option<usize>>,
}

impl Loaded for Places<'_> {
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()> {
        match self.places.get(position) {
            Some(Some(place)) => self.loaded.write(*place, view, out),
            Some(None) => out.push(b"null"),
            None => Err(Slow),
        }
    }
}

impl<O: Output> Output for Option<O> {
    const IS_LEAF: bool = O::IS_LEAF;
    type Plan = O::Plan;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<O::Plan> {
        O::plan(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a O::Plan) -> Loading<'a> {
        let mut present = Vec::with_capacity(values.len());
        let place = |value: Option<O>| {
            value.map(|value| {
                present.push(value);
                present.len() - 1
            })
        };
        let places: Vec<_> = values.into_iter().map(place).collect();
        Box::pin(async move {
            let loaded = O::load(view, present, plan).await?;
            Ok(Box::new(Places { loaded, places }) as Box<dyn Loaded>)
        })
    }

    fn write_leaf(&self, out: &mut Out) -> Fast<()> {
        match self {
            Some(value) => value.write_leaf(out),
            None => out.push(b"null"),
        }
    }
}

/// Lists of which each is a range of what was loaded.
struct Ranges<'a> {
    loaded: Box<dyn Loaded + 'a>,
    ends: Vec<usize>,
}

impl Loaded for Ranges<'_> {
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()> {
        let start = match position.checked_sub(1) {
            Some(before) => *self.ends.get(before).ok_or(Slow)?,
            None => 0,
        };
        let end = *self.ends.get(position).ok_or(Slow)?;
        out.push(b"[")?;
        for item in start..end {
            if item > start {
                out.push(b",")?;
            }
            self.loaded.write(item, view, out)?;
        }
        out.push(b"]")
    }
}

impl<O: Output> Output for Vec<O> {
    const IS_LEAF: bool = O::IS_LEAF;
    type Plan = O::Plan;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<O::Plan> {
        O::plan(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a O::Plan) -> Loading<'a> {
        let mut all = Vec::new();
        let ends: Vec<_> = values
            .into_iter()
            .map(|list| {
                all.extend(list);
                all.len()
            })
            .collect();
        Box::pin(async move {
            let loaded = O::load(view, all, plan).await?;
            Ok(Box::new(Ranges { loaded, ends }) as Box<dyn Loaded>)
        })
    }

    fn write_leaf(&self, out: &mut Out) -> Fast<()> {
        out.push(b"[")?;
        for (number, item) in self.iter().enumerate() {
            if number > 0 {
                out.push(b",")?;
            }
            item.write_leaf(out)?;
        }
        out.push(b"]")
    }
}

#[cfg(test)]
mod tests;
