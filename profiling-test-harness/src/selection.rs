//! Which jobs, and which of their cases, a command line means.

use profiling_core::job::{Case, JobDescriptor};

use crate::cli::{Ignored, Selection};

/// A job with those of its cases that are to run; never none.
#[derive(Debug)]
pub(crate) struct Selected {
    pub job: &'static JobDescriptor,
    pub cases: Vec<Case>,
}

/// What a command line means, in the order of the jobs' names.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub selected: Vec<Selected>,
    /// Jobs that match but are marked `ignore`.
    pub ignored: Vec<&'static JobDescriptor>,
    /// The number of jobs that don't match.
    pub filtered_out: usize,
}

/// Chooses among all jobs.
pub(crate) fn choose(jobs: &[&'static JobDescriptor], selection: &Selection) -> Chosen {
    let mut chosen = Chosen::default();
    for &job in jobs {
        let cases: Vec<Case> = job.cases().filter(|case| selection.matches(case)).collect();
        if cases.is_empty() || (selection.ignored == Ignored::Only && !job.ignore) {
            chosen.filtered_out += 1;
        } else if job.ignore && selection.ignored == Ignored::Leave {
            chosen.ignored.push(job);
        } else {
            chosen.selected.push(Selected { job, cases });
        }
    }
    chosen
}

impl Selection {
    /// Whether every job is meant.
    pub(crate) fn is_everything(&self) -> bool {
        self.filters.is_empty() && self.skip.is_empty() && self.ignored != Ignored::Only
    }

    fn matches(&self, case: &Case) -> bool {
        let (job, path) = (case.job.name, case.path());
        let hit = |filter: &String| {
            if self.exact {
                job == filter || path == *filter
            } else {
                job.contains(filter.as_str()) || path.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(hit)) && !self.skip.iter().any(hit)
    }
}

#[cfg(test)]
mod tests {

    use profiling_core::job::{Param, ParamValue};

    use super::*;

    const fn job(
        name: &'static str,
        ignore: bool,
        params: &'static [Param],
        cases: &'static [&'static [usize]],
    ) -> JobDescriptor {
        JobDescriptor { name, params, cases, ignore, ..JobDescriptor::PLAIN }
    }

    static N: [Param; 1] =
        [Param { name: "n", values: &[ParamValue::Integer(1), ParamValue::Integer(10), ParamValue::Text("x")] }];
    static SORT: JobDescriptor = job("sort", false, &N, &[&[0], &[1], &[2]]);
    static RESORT: JobDescriptor = job("resort", false, &[], &[&[]]);
    static SLOW: JobDescriptor = job("slow", true, &[], &[&[]]);

    fn names(selection: &Selection) -> Vec<String> {
        let chosen = choose(&[&RESORT, &SLOW, &SORT], selection);
        chosen.selected.iter().flat_map(|selected| selected.cases.iter().map(Case::path)).collect()
    }

    fn filters(filters: &[&str], exact: bool) -> Selection {
        Selection { filters: filters.iter().map(ToString::to_string).collect(), exact, ..Selection::default() }
    }

    #[test]
    fn everything_but_the_ignored() {
        assert_eq!(names(&Selection::default()), ["resort", "sort/n=1", "sort/n=10", "sort/n=x"]);
        assert_eq!(names(&Selection { ignored: Ignored::Only, ..Selection::default() }), ["slow"]);
        assert_eq!(names(&Selection { ignored: Ignored::Include, ..Selection::default() }).len(), 5);
    }

    #[test]
    fn filters_match_jobs_and_cases() {
        assert_eq!(names(&filters(&["sort"], false)).len(), 4);
        assert_eq!(names(&filters(&["sort/n=1"], false)), ["sort/n=1", "sort/n=10"]);
        assert_eq!(names(&filters(&["n=x", "res"], false)), ["resort", "sort/n=x"]);
        assert_eq!(names(&filters(&["sort"], true)), ["sort/n=1", "sort/n=10", "sort/n=x"]);
        assert_eq!(names(&filters(&["sort/n=1"], true)), ["sort/n=1"]);
        assert!(names(&filters(&["sor"], true)).is_empty());
    }

    #[test]
    fn skip_matches_like_a_filter() {
        let skip = |skip: &str, exact| Selection { skip: vec![skip.to_owned()], exact, ..Selection::default() };
        assert_eq!(names(&skip("n=1", false)), ["resort", "sort/n=x"]);
        assert_eq!(names(&skip("sort", true)), ["resort"]);
    }

    #[test]
    fn counts_what_it_leaves_out() {
        let chosen = choose(&[&RESORT, &SLOW, &SORT], &filters(&["slow"], false));
        assert_eq!((chosen.selected.len(), chosen.ignored.len(), chosen.filtered_out), (0, 1, 2));
    }
}
