//! Change points in a series of runs of one load.

use super::{
    FALSE_DISCOVERY_RATE,
    run_metrics::{RunMetrics, reject_repeated},
};
use crate::statistics::{
    as_f64,
    change_points::{self, ChangePoint},
};

/// The valid runs of one load in the order of time, and the change points of their endpoints.
#[derive(Clone, Debug)]
pub struct History {
    /// The runs, oldest first.
    pub runs: Vec<RunMetrics>,
    /// The change points, earliest first.
    pub changes: Vec<EndpointChangePoint>,
}

/// A change of the level of one endpoint's P95.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointChangePoint {
    /// Method and route template.
    pub endpoint: String,
    /// Index in [`History::runs`] of the first run with the new level.
    pub run: usize,
    /// Shift from the old level to the new one, in percent.
    pub shift_percent: f64,
    /// P-value of the permutation test for a change.
    pub p_value: f64,
}

impl History {
    /// Sorts `runs` by start time, without the INVALID ones, and finds the change points of each
    /// endpoint's P95.
    ///
    /// # Errors
    /// When no run is left, when a run is given twice, or when the runs are not of the same load.
    pub fn new(mut runs: Vec<RunMetrics>) -> Result<Self, String> {
        reject_repeated(&runs)?;
        runs.retain(|run| run.valid);
        runs.sort_by_key(|run| run.started_at);
        let first =
            runs.first().ok_or("a history requires at least one run that is not INVALID")?;
        if let Some(other) = runs.iter().find(|run| run.load != first.load) {
            return Err(format!(
                "a history requires runs of the same load: {} is “{}”, and {} is “{}”",
                first.file, first.load, other.file, other.load
            ));
        }
        let endpoints = endpoints(&runs);
        // Divided by the number of endpoints (Bonferroni).
        let alpha = FALSE_DISCOVERY_RATE / as_f64(endpoints.len().max(1));
        let mut found: Vec<EndpointChangePoint> =
            endpoints.iter().flat_map(|endpoint| change_points(endpoint, &runs, alpha)).collect();
        found.sort_by_key(|change| change.run);
        Ok(Self { runs, changes: found })
    }

    /// Returns the endpoints of all runs, sorted and without duplicates.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        endpoints(&self.runs)
    }
}

fn endpoints(runs: &[RunMetrics]) -> Vec<String> {
    let names = runs.iter().flat_map(|run| run.p95_ms.keys().cloned());
    names.collect::<std::collections::BTreeSet<String>>().into_iter().collect()
}

fn change_points(endpoint: &str, runs: &[RunMetrics], alpha: f64) -> Vec<EndpointChangePoint> {
    let (indices, values): (Vec<usize>, Vec<f64>) = runs
        .iter()
        .enumerate()
        .filter_map(|(index, run)| Some((index, run.p95_ms.get(endpoint)?.ln())))
        .unzip();
    let found = change_points::change_points(&values, alpha).into_iter();
    found
        .map(|ChangePoint { index, shift, p_value }| EndpointChangePoint {
            endpoint: endpoint.to_owned(),
            run: indices[index],
            shift_percent: (shift.exp() - 1.0) * 100.0,
            p_value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::report::example;

    #[test]
    fn the_first_run_of_a_slower_level_is_found() {
        let outcome = example::outcome();
        let mut random = fastrand::Rng::with_seed(4);
        let mut runs: Vec<RunMetrics> = (0..24)
            .map(|day| {
                let mut run = RunMetrics::from_outcome(&format!("{day}.json"), &outcome);
                run.started_at += TimeDelta::days(day);
                let slow = if day >= 15 { 1.15 } else { 1.0 };
                let noise = 1.0 + 0.02 * crate::statistics::sample_normal(&mut random);
                run.p95_ms.insert("GET /health".into(), 50.0 * slow * noise);
                run
            })
            .collect();
        runs.reverse();
        let history = History::new(runs).unwrap();
        assert_eq!(history.runs[0].file, "0.json");
        let [change] = &history.changes[..] else { panic!("{:?}", history.changes) };
        assert_eq!((change.endpoint.as_str(), change.run), ("GET /health", 15));
        assert!((change.shift_percent - 15.0).abs() < 4.0, "{change:?}");
        let mut runs = history.runs;
        runs[3].load = "another".into();
        let error = History::new(runs).unwrap_err();
        assert!(error.contains("3.json is “another”"), "{error}");
        assert!(History::new(Vec::new()).is_err());
    }

    #[test]
    fn the_endpoints_are_those_of_all_runs() {
        let mut runs = vec![RunMetrics::from_outcome("a.json", &example::outcome()); 2];
        for (run, names) in runs.iter_mut().zip([["GET /b", "GET /a"], ["GET /a", "GET /c"]]) {
            run.p95_ms = names.map(|name| (name.to_owned(), 10.0)).into();
        }
        let history = History { runs, changes: Vec::new() };
        assert_eq!(history.endpoints(), ["GET /a", "GET /b", "GET /c"]);
    }
}
