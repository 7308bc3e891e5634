//! How much work a condition may be, told from its tree: a number of steps that grows with the lists of a request.

/// The most items of a list that a request brings into a condition.
pub(super) const LONGEST_LIST: u64 = 1000;

/// The most steps of one condition over lists of [`LONGEST_LIST`] items; a step is one operator, function or item of a
/// list, and takes about a tenth of a microsecond.
pub(super) const MOST_STEPS: u64 = 100_000;

/// The most steps that all conditions may take for one request. Rules without loops never come near it, a thousand of
/// them with a loop each only where a request brings more than a hundred values.
pub(super) const MOST_STEPS_OF_A_REQUEST: u64 = 500_000;

/// A number that depends on how many items the lists of a request have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    fixed: u64,
    /// So many for each item.
    per_item: u64,
    /// Whether it grows faster than the lists: they are gone through within each other.
    squared: bool,
}

impl Amount {
    pub(super) const ONE: Amount = Amount::of(1);

    /// The items of a list of a request.
    pub(super) const ITEMS: Amount = Amount {
        per_item: 1,
        ..Amount::of(0)
    };

    pub(super) const fn of(fixed: u64) -> Self {
        Amount {
            fixed,
            per_item: 0,
            squared: false,
        }
    }

    pub(super) fn plus(self, other: Amount) -> Self {
        Amount {
            fixed: self.fixed.saturating_add(other.fixed),
            per_item: self.per_item.saturating_add(other.per_item),
            squared: self.squared || other.squared,
        }
    }

    pub(super) fn times(self, other: Amount) -> Self {
        let across = |a: Amount, b: Amount| a.fixed.saturating_mul(b.per_item);
        Amount {
            fixed: self.fixed.saturating_mul(other.fixed),
            per_item: across(self, other).saturating_add(across(other, self)),
            squared: self.squared || other.squared || (self.per_item > 0 && other.per_item > 0),
        }
    }

    /// No less than either.
    pub(super) fn or(self, other: Amount) -> Self {
        Amount {
            fixed: self.fixed.max(other.fixed),
            per_item: self.per_item.max(other.per_item),
            squared: self.squared || other.squared,
        }
    }

    /// The one that is less for the longest lists.
    pub(super) fn lesser(self, other: Amount) -> Self {
        if self.at(LONGEST_LIST) <= other.at(LONGEST_LIST) {
            self
        } else {
            other
        }
    }

    /// The number where no list has more items than this.
    pub(super) fn at(self, items: u64) -> u64 {
        if self.squared {
            return u64::MAX;
        }
        self.fixed.saturating_add(self.per_item.saturating_mul(items))
    }
}

/// How much a value holds, lists within it counted by their items: 1 for a number or a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) total: Amount,
    /// How much its largest item holds.
    pub(super) within: Amount,
}

impl Extent {
    pub(super) const SINGLE: Extent = Extent {
        total: Amount::ONE,
        within: Amount::ONE,
    };

    /// Ids, or the values of a filter.
    pub(super) const LIST: Extent = Extent {
        total: Amount::ITEMS,
        within: Amount::ONE,
    };

    /// All filters.
    pub(super) const FILTERS: Extent = Extent {
        total: Amount::ITEMS,
        within: Amount::ITEMS,
    };

    pub(super) const EMPTY: Extent = Extent {
        total: Amount::of(0),
        within: Amount::ONE,
    };

    /// An item of it. How much an item of that holds is not known, but no more than all of it.
    pub(super) fn item(self) -> Self {
        Extent {
            total: self.within,
            within: self.within,
        }
    }

    /// The two put together.
    pub(super) fn plus(self, other: Extent) -> Self {
        Extent {
            total: self.total.plus(other.total),
            within: self.within.or(other.within),
        }
    }

    /// With another as an item.
    pub(super) fn with(self, item: Extent) -> Self {
        Extent {
            total: self.total.plus(item.total),
            within: self.within.or(item.total),
        }
    }

    /// One of the two.
    pub(super) fn or(self, other: Extent) -> Self {
        Extent {
            total: self.total.or(other.total),
            within: self.within.or(other.within),
        }
    }
}
