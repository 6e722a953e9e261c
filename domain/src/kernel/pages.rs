//! Pages of lists, by key and without offsets or counts; newest first by default.

use uuid::Uuid;

/// Order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub size: u64,
    /// Only rows after this one.
    pub after: Option<Uuid>,
    /// Only rows before this one.
    pub before: Option<Uuid>,
    /// The last rows of that range instead of the first.
    pub from_end: bool,
    pub order: Order,
}

impl Page {
    /// Returns the page with the first `size` rows.
    pub const fn first(size: u64) -> Self {
        Self { size, after: None, before: None, from_end: false, order: Order::NewestFirst }
    }

    /// Whether rows are read in descending order of their ids.
    pub(super) const fn descends(&self) -> bool {
        matches!(self.order, Order::NewestFirst) != self.from_end
    }

    /// Returns the exclusive lower and upper bounds of the ids.
    pub(super) const fn bounds(&self) -> (Option<Uuid>, Option<Uuid>) {
        match self.order {
            Order::NewestFirst => (self.before, self.after),
            Order::OldestFirst => (self.after, self.before),
        }
    }

    /// Sorts rows into the order in which a page reads them.
    pub fn sort<T>(&self, rows: &mut [T], id: impl Fn(&T) -> Uuid) {
        rows.sort_unstable_by_key(&id);
        if self.descends() {
            rows.reverse();
        }
    }

    /// Trims rows, of which one more than `size` was read, to the page, in the order of the list.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        if self.from_end {
            rows.reverse();
        }
        let (has_previous, has_next) =
            if self.from_end { (more, self.before.is_some()) } else { (self.after.is_some(), more) };
        Slice { rows, has_previous, has_next }
    }
}

/// The rows of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    pub has_previous: bool,
    pub has_next: bool,
}
