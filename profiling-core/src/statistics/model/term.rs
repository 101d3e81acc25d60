//! The terms that a model is a sum of: products of what each parameter's growth may look like.

/// How a term grows with one parameter, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Growth {
    Constant,
    Logarithmic,
    Linear,
    Linearithmic,
    Quadratic,
    Cubic,
}

use Growth::{Constant, Cubic, Linear, Linearithmic, Logarithmic, Quadratic};

/// What a model of one parameter is chosen from, the constant apart.
const SINGLE: [Growth; 5] = [Logarithmic, Linear, Linearithmic, Quadratic, Cubic];

/// The products that a model of two parameters can have.
const PRODUCTS: [[Growth; 2]; 7] = [
    [Logarithmic, Linear],
    [Linear, Logarithmic],
    [Linear, Linear],
    [Linear, Linearithmic],
    [Linearithmic, Linear],
    [Linear, Quadratic],
    [Quadratic, Linear],
];

impl Growth {
    /// The value at a level. The logarithm is that to base 2; at 0 it is 0, as at 1.
    pub(super) fn at(self, level: u64) -> f64 {
        let n = level as f64;
        match self {
            Constant => 1.0,
            Logarithmic => n.max(1.0).log2(),
            Linear => n,
            Linearithmic => n * n.max(1.0).log2(),
            Quadratic => n * n,
            Cubic => n * n * n,
        }
    }

    fn name(self, parameter: &str) -> Option<String> {
        Some(match self {
            Constant => return None,
            Logarithmic => format!("log {parameter}"),
            Linear => parameter.to_owned(),
            Linearithmic => format!("{parameter} log {parameter}"),
            Quadratic => format!("{parameter}^2"),
            Cubic => format!("{parameter}^3"),
        })
    }
}

/// A product of one growth per parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term(Vec<Growth>);

impl Term {
    /// The term that no parameter has a part in.
    pub(super) fn constant(parameters: usize) -> Self {
        Self(vec![Constant; parameters])
    }

    /// A term that grows with one of the parameters alone.
    fn single(growth: Growth, position: usize, parameters: usize) -> Self {
        let mut term = Self::constant(parameters);
        term.0[position] = growth;
        term
    }

    pub(super) fn is_constant(&self) -> bool {
        self.0.iter().all(|&growth| growth == Constant)
    }

    /// Its growth with each parameter.
    pub(super) fn growths(&self) -> &[Growth] {
        &self.0
    }

    pub(super) fn at(&self, levels: &[u64]) -> f64 {
        self.0.iter().zip(levels).map(|(growth, &level)| growth.at(level)).product()
    }

    /// Whether this one grows at least as fast as the other with every parameter.
    pub(super) fn dominates(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(own, others)| own >= others)
    }

    /// `1`, `n log n`, `a b`.
    pub(super) fn name(&self, parameters: &[&str]) -> String {
        let factors: Vec<String> =
            self.0.iter().zip(parameters).filter_map(|(growth, parameter)| growth.name(parameter)).collect();
        if factors.is_empty() { "1".to_owned() } else { factors.join(" ") }
    }

    /// The term that has this name.
    pub(super) fn named(name: &str, parameters: &[&str]) -> Option<Self> {
        let growing = growing(parameters.len());
        std::iter::once(Self::constant(parameters.len())).chain(growing).find(|term| term.name(parameters) == name)
    }
}

/// Every term but the constant one; none for more than two parameters.
pub(super) fn growing(parameters: usize) -> Vec<Term> {
    let single = |position| SINGLE.into_iter().map(move |growth| Term::single(growth, position, parameters));
    match parameters {
        1 => single(0).collect(),
        2 => single(0).chain(single(1)).chain(PRODUCTS.map(|product| Term(product.to_vec()))).collect(),
        _ => Vec::new(),
    }
}

/// The sums that a model is chosen from, the simpler before the more complex: a constant, one term with or
/// without it, and, of two parameters, a term of each.
pub(super) fn sums(parameters: usize) -> Vec<Vec<Term>> {
    let constant = Term::constant(parameters);
    let growing = growing(parameters);
    let depends_on = |term: &Term, position: usize| term.0[position] != Constant;
    let is_single =
        |term: &Term, position: usize| (0..parameters).all(|other| depends_on(term, other) == (other == position));
    let pairs = growing.iter().flat_map(|first| growing.iter().map(move |second| (first, second)));
    let additive = pairs.filter(|(first, second)| is_single(first, 0) && is_single(second, 1) && parameters == 2);
    let mut sums: Vec<Vec<Term>> = growing.iter().map(|term| vec![term.clone()]).collect();
    sums.extend(additive.map(|(first, second)| vec![first.clone(), second.clone()]));
    let with_constant: Vec<Vec<Term>> =
        sums.iter().map(|sum| std::iter::once(constant.clone()).chain(sum.iter().cloned()).collect()).collect();
    sums.insert(0, vec![constant]);
    sums.extend(with_constant);
    sums.sort_by_key(Vec::len);
    sums
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_read_as_people_write_them_and_are_found_again() {
        let names: Vec<String> = growing(1).iter().map(|term| term.name(&["n"])).collect();
        assert_eq!(names, ["log n", "n", "n log n", "n^2", "n^3"]);
        let pairs = growing(2);
        let names: HashSet<String> = pairs.iter().map(|term| term.name(&["a", "b"])).collect();
        assert_eq!(names.len(), pairs.len());
        for name in ["1", "a b", "a b log b", "a log a b", "log a b", "a b^2", "b^3"] {
            let term = Term::named(name, &["a", "b"]).unwrap_or_else(|| panic!("{name} is a term"));
            assert_eq!(term.name(&["a", "b"]), name);
        }
        assert_eq!(Term::named("a c", &["a", "b"]), None);
    }

    #[test]
    fn values() {
        let at = |name: &str, levels: &[u64]| {
            let names = if levels.len() == 1 { &["n"][..] } else { &["a", "b"] };
            Term::named(name, names).expect("a term").at(levels)
        };
        for (name, value) in [("1", 1.0), ("log n", 3.0), ("n", 8.0), ("n log n", 24.0), ("n^2", 64.0), ("n^3", 512.0)]
        {
            assert!((at(name, &[8]) - value).abs() < 1e-9, "{name}");
        }
        assert!((at("a b log b", &[3, 4]) - 24.0).abs() < 1e-9);
        assert!(at("log n", &[0]).abs() < 1e-9 && at("n log n", &[1]).abs() < 1e-9);
    }

    #[test]
    fn sums_have_up_to_a_constant_and_a_term_per_parameter() {
        assert_eq!(sums(1).len(), 1 + 5 * 2);
        assert_eq!(sums(2).len(), 1 + (10 + 7 + 25) * 2);
        assert!(sums(2).is_sorted_by_key(Vec::len));
        assert!(sums(2).iter().all(|sum| sum.len() <= 3));
    }
}
