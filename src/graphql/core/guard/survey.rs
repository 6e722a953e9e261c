//! Walks over a document and counts its selections, aliases and depth.

use super::{CONNECTION, INTROSPECTION_LISTS, Limits, Refused, TOO_COMPLEX, VALIDATION_FAILED};
use async_graphql::{
    Pos, Positioned,
    parser::types::{
        Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
    },
};
use std::collections::HashMap;

/// Counts of a selection set, with its fragments expanded.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub selections: u64,
    pub aliases: u64,
    pub depth: u64,
    /// Maximum number of introspection lists on one path.
    pub lists: u64,
    /// Whether it contains a field with subfields, other than those of a plain page.
    pub relations: bool,
}

impl Counts {
    pub fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            lists: self.lists.max(other.lists),
            relations: self.relations || other.relations,
        }
    }
}

/// Counts of the root fields of an operation.
#[derive(Default)]
pub struct Roots {
    pub fields: u64,
    /// Root fields that read data; introspection is not counted.
    pub reads: u64,
    pub once_only: u64,
    pub open: u64,
    pub relations: bool,
}

pub struct Survey<'a> {
    pub document: &'a ExecutableDocument,
    pub limits: &'a Limits,
    /// Counts of each fragment; `None` while it is being counted, so that cycles are detected.
    pub fragments: HashMap<&'a str, Option<Counts>>,
}

impl<'a> Survey<'a> {
    pub fn check_definitions(&mut self) -> Result<(), Refused> {
        let (document, limits) = (self.document, self.limits);
        if document.fragments.len() > limits.fragments {
            return Err(Refused::too_many("fragments", limits.fragments));
        }
        for (name, fragment) in &document.fragments {
            self.directives(&fragment.node.directives)?;
            self.fragment(name, fragment.pos)?;
        }
        Ok(())
    }

    pub fn operation(&mut self, operation: &'a Positioned<OperationDefinition>) -> Result<Counts, Refused> {
        let Positioned { pos, node } = operation;
        self.directives(&node.directives)?;
        for variable in &node.variable_definitions {
            self.directives(&variable.node.directives)?;
        }
        let counts = self.set(&node.selection_set.node)?;
        if counts.selections > self.limits.selections {
            let what = "selections after its fragments are expanded";
            return Err(Refused::too_many(what, self.limits.selections).at(*pos));
        }
        if counts.depth > self.limits.depth {
            let message = format!("The operation is nested deeper than {} fields.", self.limits.depth);
            return Err(Refused::new(TOO_COMPLEX, message).at(*pos));
        }
        if counts.aliases > self.limits.aliases {
            return Err(Refused::too_many("aliases", self.limits.aliases).at(*pos));
        }
        Ok(counts)
    }

    pub fn roots(&mut self, operation: &'a Positioned<OperationDefinition>) -> Result<Roots, Refused> {
        let mut roots = Roots::default();
        self.gather_roots(&operation.node.selection_set.node, &mut roots)?;
        let limit = match operation.node.ty {
            OperationType::Query => self.limits.root_fields,
            OperationType::Mutation => self.limits.mutation_root_fields,
            OperationType::Subscription => 1,
        };
        if roots.fields > limit {
            let message = format!("A {} may have at most {limit} root fields.", operation.node.ty);
            return Err(Refused::new(TOO_COMPLEX, message).at(operation.pos));
        }
        if roots.once_only > 1 {
            let names = self.limits.once_only.join(", ");
            return Err(Refused::new(TOO_COMPLEX, format!("An operation may contain only one of {names}."))
                .at(operation.pos));
        }
        Ok(roots)
    }

    /// Counts the root fields. The number of selections, which has been checked, limits the work.
    fn gather_roots(&mut self, set: &'a SelectionSet, roots: &mut Roots) -> Result<(), Refused> {
        for selection in &set.items {
            if roots.fields > self.limits.root_fields.max(self.limits.mutation_root_fields) {
                break;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    roots.fields += 1;
                    if !name.starts_with("__") {
                        roots.reads += 1;
                        roots.once_only += u64::from(self.limits.once_only.contains(&name));
                        roots.open += u64::from(self.limits.open.contains(&name));
                        roots.relations |= self.set(&field.node.selection_set.node)?.relations;
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.gather_roots(&inline.node.selection_set.node, roots)?;
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.gather_roots(&fragment.node.selection_set.node, roots)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Counts, Refused> {
        let mut all = Counts::default();
        for selection in &set.items {
            self.directives(selection.node.directives())?;
            let mut counts = match &selection.node {
                Selection::Field(field) => self.field(field)?,
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos)?
                }
            };
            counts.selections = counts.selections.saturating_add(1);
            all = all.and(counts);
        }
        Ok(all)
    }

    fn field(&mut self, field: &'a Positioned<Field>) -> Result<Counts, Refused> {
        let Positioned { pos, node } = field;
        let name = node.name.node.as_str();
        let mut counts = self.set(&node.selection_set.node)?;
        counts.aliases = counts.aliases.saturating_add(u64::from(node.alias.is_some()));
        if matches!(name, "__schema" | "__type") {
            if !self.limits.introspection {
                return Err(Refused::new(VALIDATION_FAILED, "Introspection is disabled.").at(*pos));
            }
            if counts.lists > self.limits.introspection_lists {
                let message = format!(
                    "Introspection may nest {} at most {} times.",
                    INTROSPECTION_LISTS.join(", "),
                    self.limits.introspection_lists
                );
                return Err(Refused::new(TOO_COMPLEX, message).at(*pos));
            }
            return Ok(Counts { depth: 1, lists: 0, relations: false, ..counts });
        }
        let page = CONNECTION.contains(&name);
        counts.depth += u64::from(!page);
        counts.lists += u64::from(INTROSPECTION_LISTS.contains(&name));
        counts.relations |= !page && !node.selection_set.node.items.is_empty();
        Ok(counts)
    }

    /// Returns the counts of a fragment. The validation of the engine reports missing fragments later.
    fn fragment(&mut self, name: &'a str, pos: Pos) -> Result<Counts, Refused> {
        match self.fragments.get(name) {
            Some(Some(counts)) => return Ok(*counts),
            Some(None) => {
                return Err(
                    Refused::new(VALIDATION_FAILED, format!("Fragment \"{name}\" spreads itself.")).at(pos)
                );
            }
            None => {}
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Counts::default()) };
        self.fragments.insert(name, None);
        let counts = self.set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(counts));
        Ok(counts)
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), Refused> {
        match directives.get(self.limits.directives) {
            None => Ok(()),
            Some(over) => {
                let message = format!(
                    "The document has more than {} directives in one location.",
                    self.limits.directives
                );
                Err(Refused::new(TOO_COMPLEX, message).at(over.pos))
            }
        }
    }
}
