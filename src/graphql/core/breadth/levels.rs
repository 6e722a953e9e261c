//! Plans of object types, and the objects of one level.

use super::{Asked, Fast, Loaded, Loading, Object, Out, Output, Reads, Relation, Slow, Step, WriteLeaf};
use crate::graphql::core::context::Viewpoint;
use async_graphql::parser::types::SelectionSet;
use entity::positional::{ColumnSet, Positional};
use std::ops::Range;

/// What is selected of an object type in one place of a query.
pub struct Plan<T> {
    /// The keys of all fields, each with the punctuation before it.
    keys: Vec<u8>,
    steps: Vec<(Range<usize>, Does<T>)>,
    below: Vec<Box<dyn Relation<T>>>,
    reads: Vec<Reads>,
}

enum Does<T> {
    Typename,
    Leaf(WriteLeaf<T>),
    Below(usize),
}

/// Returns a key of an object with the punctuation before it.
pub fn key(is_first: bool, name: &str) -> Vec<u8> {
    format!("{}\"{name}\":", if is_first { '{' } else { ',' }).into_bytes()
}

impl<T: Object> Plan<T> {
    pub fn of(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Self> {
        let wanted = asked.fields(&T::type_name(), sets)?;
        let mut plan =
            Self { keys: Vec::new(), steps: Vec::with_capacity(wanted.len()), below: vec![], reads: vec![] };
        for field in &wanted {
            let start = plan.keys.len();
            plan.keys.extend(key(start == 0, field.key));
            let does = if field.field.name.node == "__typename" {
                Does::Typename
            } else {
                plan.reads.push(T::reads(field.field.name.node.as_str()));
                match T::step(asked, field.field, &field.sets)? {
                    Step::Leaf(write) => Does::Leaf(write),
                    Step::Below(relation) => {
                        plan.below.push(relation);
                        Does::Below(plan.below.len() - 1)
                    }
                }
            };
            plan.steps.push((start..plan.keys.len(), does));
        }
        Ok(plan)
    }

    /// Returns the columns of `M` that are needed.
    pub fn columns<M: Positional>(&self) -> ColumnSet {
        self.reads.iter().fold(ColumnSet::NONE, |columns, reads| reads.add_to::<M>(columns))
    }
}

/// The objects of one place of a query, with everything below them.
pub struct Level<'a, T> {
    objects: Vec<T>,
    plan: &'a Plan<T>,
    below: Vec<Box<dyn Loaded + 'a>>,
}

impl<'a, T: Object> Level<'a, T> {
    pub async fn of(view: &'a Viewpoint, objects: Vec<T>, plan: &'a Plan<T>) -> Fast<Self> {
        let below = match (plan.below.as_slice(), objects.is_empty()) {
            ([], _) | (_, true) => Vec::new(),
            ([one], _) => vec![one.load(view, &objects).await?],
            (all, _) => {
                // All fields say what they want before the first is loaded. One after another, because a
                // request reads on one connection.
                let started: Vec<_> = all.iter().map(|relation| relation.load(view, &objects)).collect();
                let mut below = Vec::with_capacity(started.len());
                for loading in started {
                    below.push(loading.await?);
                }
                below
            }
        };
        Ok(Self { objects, plan, below })
    }

    /// Returns the object at this position.
    pub fn get(&self, position: usize) -> Option<&T> {
        self.objects.get(position)
    }
}

impl<T: Object> Loaded for Level<'_, T> {
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()> {
        let object = self.objects.get(position).ok_or(Slow)?;
        for (key, does) in &self.plan.steps {
            out.push(self.plan.keys.get(key.clone()).ok_or(Slow)?)?;
            match does {
                Does::Leaf(write) => write(object, view, out)?,
                Does::Below(number) => self.below.get(*number).ok_or(Slow)?.write(position, view, out)?,
                Does::Typename => out.text(&T::type_name())?,
            }
        }
        out.push(b"}")
    }
}

impl<T: Object> Output for T {
    type Plan = Plan<T>;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Plan<T>> {
        Plan::of(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a Plan<T>) -> Loading<'a> {
        Box::pin(async move { Ok(Box::new(Level::of(view, values, plan).await?) as Box<dyn Loaded>) })
    }
}
