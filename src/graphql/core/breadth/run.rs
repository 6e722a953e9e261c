//! Running the engine, for a field of the ordinary executor or for a whole operation.

use super::{Asked, Fast, Level, Loaded, Loading, Object, Out, Output, Plan, Relation, Slow, Step};
use crate::graphql::core::{
    complete::Types,
    context::{RequestContext, Viewpoint},
};
use async_graphql::{
    ContextSelectionSet, Name, Positioned, QueryPathSegment, Value,
    parser::types::{FragmentDefinition, Selection, SelectionSet},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The engine as a request uses it.
pub struct Breadth {
    pub types: Arc<Types>,
    /// Maximum size of the response, in bytes.
    pub limit: usize,
    /// False after a load failed: the ordinary executor then answers the rest, so that nothing is loaded a
    /// third time.
    pub is_on: AtomicBool,
}

impl Breadth {
    pub const fn new(types: Arc<Types>, limit: usize) -> Self {
        Self { types, limit, is_on: AtomicBool::new(true) }
    }

    fn note<T>(&self, loaded: Fast<T>) -> Fast<T> {
        if loaded.is_err() {
            self.is_on.store(false, Ordering::Relaxed);
        }
        loaded
    }
}

/// Returns what is selected below a value of the ordinary executor, as JSON bytes; `None` if the executor must
/// answer it itself.
pub async fn rendered<O: Output + Clone>(value: &O, ctx: &ContextSelectionSet<'_>) -> Option<Value> {
    let breadth = ctx.data_opt::<Breadth>().filter(|breadth| breadth.is_on.load(Ordering::Relaxed))?;
    if O::IS_LEAF || !is_alone(ctx) {
        return None;
    }
    let env = &ctx.query_env;
    let asked = Asked::new(&env.fragments, &env.operation.node, &env.variables, &breadth.types);
    let plan = O::plan(&asked, &[&ctx.item.node]).ok()?;
    let view = ctx.viewpoint();
    let _reading = view.loaders().reading();
    let mut out = Out::new(breadth.limit);
    let written = async {
        let loaded = O::load(view, vec![value.clone()], &plan).await?;
        loaded.write(0, view, &mut out)
    };
    breadth.note(written.await).ok()?;
    Some(Value::Binary(out.into_bytes().into()))
}

/// Whether a field is not below an item of a list of the ordinary executor, where it would be loaded once for
/// each item, and its key is selected once: the executor cannot merge bytes.
fn is_alone(ctx: &ContextSelectionSet<'_>) -> bool {
    let Some(last) = &ctx.path_node else { return false };
    let mut path = Vec::new();
    for node in std::iter::once(last).chain(last.parents()) {
        match node.segment {
            QueryPathSegment::Name(name) => path.push(name),
            QueryPathSegment::Index(_) => return false,
        }
    }
    let fragments = &ctx.query_env.fragments;
    let mut sets = vec![&ctx.query_env.operation.node.selection_set.node];
    for key in path.iter().rev() {
        let mut found = Vec::new();
        for set in sets {
            collect(set, key, fragments, &mut found);
        }
        sets = found;
    }
    sets.len() == 1
}

/// Collects the selection sets below a key.
fn collect<'a>(
    set: &'a SelectionSet,
    key: &str,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    found: &mut Vec<&'a SelectionSet>,
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                if field.node.response_key().node == *key {
                    found.push(&field.node.selection_set.node);
                }
            }
            Selection::InlineFragment(inline) => {
                collect(&inline.node.selection_set.node, key, fragments, found);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    collect(&fragment.node.selection_set.node, key, fragments, found);
                }
            }
        }
    }
}

/// Plans a whole operation.
pub fn plan<Q: Object>(asked: &Asked<'_>, set: &SelectionSet) -> Fast<Plan<Q>> {
    Plan::of(asked, &[set])
}

/// Answers a whole operation: the value of `data` as JSON bytes.
pub async fn whole<Q: Object>(
    view: &Viewpoint,
    root: Q,
    plan: &Plan<Q>,
    breadth: &Breadth,
) -> Result<Vec<u8>, Stop> {
    let mut out = Out::new(breadth.limit);
    let written = async {
        let level = Level::of(view, vec![root], plan).await?;
        level.write(0, view, &mut out)
    };
    match breadth.note(written.await) {
        Ok(()) => Ok(out.into_bytes()),
        Err(Slow) if out.is_full() => Err(Stop::TooLarge),
        Err(Slow) => Err(Stop::Slow),
    }
}

/// Why a whole operation was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The ordinary executor must answer it.
    Slow,
    /// The answer is larger than a response may be.
    TooLarge,
}

/// Turns a step of a part of the query root into one of the query root.
pub fn lift<Q: 'static, P: Default + Send + Sync + 'static>(step: Step<P>) -> Step<Q> {
    match step {
        Step::Leaf(write) => Step::leaf(move |_: &Q, view, out| write(&P::default(), view, out)),
        Step::Below(relation) => Step::Below(Box::new(Lifted(relation))),
    }
}

struct Lifted<P>(Box<dyn Relation<P>>);

impl<Q, P: Default + Send + Sync> Relation<Q> for Lifted<P> {
    fn load<'a>(&'a self, view: &'a Viewpoint, objects: &[Q]) -> Loading<'a> {
        let parts: Vec<P> = objects.iter().map(|_| P::default()).collect();
        self.0.load(view, &parts)
    }
}
