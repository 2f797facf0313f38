//! Many runs of one load in the order of time: where did its level change?

use super::{ALPHA, run_figures::RunFigures};
use crate::statistics::{changes, changes::Change, count};

/// The runs in the order of time, and where endpoints changed.
#[derive(Clone, Debug)]
pub struct History {
    /// The oldest first.
    pub runs: Vec<RunFigures>,
    /// What changed, the earliest first.
    pub changes: Vec<EndpointShift>,
}

/// A change of one endpoint's level.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointShift {
    /// Method and route template.
    pub endpoint: String,
    /// The first run of the new level, counted in [`History::runs`].
    pub run: usize,
    /// The new level against the old one, in percent.
    pub shift_percent: f64,
    /// How likely chance alone shows as clear a change in a series without one.
    pub p: f64,
}

impl History {
    /// Puts `runs` in order and looks for changes in every endpoint's P95.
    ///
    /// # Errors
    /// A sentence when there are no runs, or not all of one load.
    pub fn of(mut runs: Vec<RunFigures>) -> Result<Self, String> {
        runs.retain(|run| run.valid);
        runs.sort_by_key(|run| run.started_at);
        let first = runs.first().ok_or("a history needs runs that are not INVALID")?;
        if let Some(other) = runs.iter().find(|run| run.load != first.load) {
            return Err(format!(
                "a history is that of one load: {} is “{}”, and {} is “{}”",
                first.file, first.load, other.file, other.load
            ));
        }
        let endpoints = endpoints(&runs);
        let alpha = ALPHA / count(endpoints.len().max(1));
        let mut found: Vec<EndpointShift> = endpoints
            .iter()
            .flat_map(|endpoint| endpoint_changes(endpoint, &runs, alpha))
            .collect();
        found.sort_by_key(|change| change.run);
        Ok(Self { runs, changes: found })
    }

    /// Every endpoint of any run.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        endpoints(&self.runs)
    }
}

fn endpoints(runs: &[RunFigures]) -> Vec<String> {
    let names = runs.iter().flat_map(|run| run.p95_ms.keys().cloned());
    names.collect::<std::collections::BTreeSet<String>>().into_iter().collect()
}

fn endpoint_changes(endpoint: &str, runs: &[RunFigures], alpha: f64) -> Vec<EndpointShift> {
    let (indices, values): (Vec<usize>, Vec<f64>) = runs
        .iter()
        .enumerate()
        .filter_map(|(index, run)| Some((index, run.p95_ms.get(endpoint)?.ln())))
        .unzip();
    let found = changes::changes(&values, alpha).into_iter();
    found
        .map(|Change { at, shift, p }| EndpointShift {
            endpoint: endpoint.to_owned(),
            run: indices[at],
            shift_percent: (shift.exp() - 1.0) * 100.0,
            p,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::report::example;

    #[test]
    fn the_run_from_which_on_an_endpoint_was_slower_is_found() {
        let outcome = example::outcome();
        let mut random = fastrand::Rng::with_seed(4);
        let mut runs: Vec<RunFigures> = (0..24)
            .map(|day| {
                let mut run = RunFigures::of(&format!("{day}.json"), &outcome);
                run.started_at += TimeDelta::days(day);
                let slow = if day >= 15 { 1.15 } else { 1.0 };
                let noise = 1.0 + 0.02 * crate::statistics::normal(&mut random);
                run.p95_ms.insert("GET /health".into(), 50.0 * slow * noise);
                run
            })
            .collect();
        runs.reverse();
        let history = History::of(runs).unwrap();
        assert_eq!(history.runs[0].file, "0.json");
        let [change] = &history.changes[..] else { panic!("{:?}", history.changes) };
        assert_eq!((change.endpoint.as_str(), change.run), ("GET /health", 15));
        assert!((change.shift_percent - 15.0).abs() < 4.0, "{change:?}");
    }
}
