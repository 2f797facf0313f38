//! The noise floor: how much identical runs differ on a machine, measured and kept.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::run_figures::RunFigures;
use crate::statistics::{quantile, ranks};

/// Nothing below this is worth an alarm, however quiet the machine.
const LEAST_MARGIN: f64 = 1.0;

/// Used until a floor has been measured.
const UNMEASURED_MARGIN: f64 = 5.0;

/// At most so many ways to divide the runs into two sides are looked at.
const MOST_DIVISIONS: usize = 400;

/// The share of divisions of identical runs whose shift stays within the margin.
const WITHIN: f64 = 0.95;

/// All floors that are known, by machine and load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floors {
    machines: BTreeMap<String, BTreeMap<String, Measured>>,
}

/// A floor that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When its last run started.
    pub measured_at: DateTime<Utc>,
    /// From how many identical runs.
    pub runs: usize,
    /// For every endpoint, the shift in percent that identical runs rarely exceed.
    pub endpoints: BTreeMap<String, f64>,
}

/// The margins of one comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    /// What must be known of it.
    pub note: Option<String>,
    measured: Option<Measured>,
}

impl Floor {
    /// The margin for an endpoint, in percent.
    #[must_use]
    pub fn margin(&self, endpoint: &str) -> f64 {
        let known = self.measured.as_ref().and_then(|floor| floor.endpoints.get(endpoint));
        known.copied().unwrap_or(UNMEASURED_MARGIN).max(LEAST_MARGIN)
    }
}

impl Floors {
    /// Where floors are kept unless another file is named: in the user's home, because they are
    /// the machine's and not the project's.
    #[must_use]
    pub fn usual_path() -> PathBuf {
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
        home.join(".local/share/plant-loadtest/noise-floor.json")
    }

    /// Reads what was kept at `path`; nothing there is no floors.
    ///
    /// # Errors
    /// A sentence when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |reason: String| format!("{} cannot be read: {reason}", path.display());
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Keeps the floors at `path`.
    ///
    /// # Errors
    /// A sentence when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let write = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, serde_json::to_string_pretty(self)? + "\n")
        };
        write().map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Notes the floor that identical `runs` show. All must be of one machine and load.
    pub fn learn(&mut self, runs: &[RunFigures]) -> Option<&Measured> {
        let first = runs.first()?;
        let measured = Measured {
            measured_at: runs.iter().map(|run| run.started_at).max()?,
            runs: runs.len(),
            endpoints: margins(runs),
        };
        let loads = self.machines.entry(first.machine.clone()).or_default();
        loads.insert(first.load.clone(), measured);
        loads.get(&first.load)
    }

    /// The margins for a load on a machine.
    #[must_use]
    pub fn of(&self, machine: &str, load: &str) -> Floor {
        let measured = self.machines.get(machine).and_then(|loads| loads.get(load)).cloned();
        let note = measured.is_none().then(|| {
            format!(
                "no noise floor is known for this load on this machine, so a margin of \
                 {UNMEASURED_MARGIN} % is assumed: `repeat PROFILE --noise-floor` measures it"
            )
        });
        Floor { note, measured }
    }
}

/// For every endpoint: the shift that 95 % of all divisions of the runs into halves stay within.
fn margins(runs: &[RunFigures]) -> BTreeMap<String, f64> {
    let mut random = fastrand::Rng::with_seed(u64::try_from(runs.len()).unwrap_or_default());
    let names: std::collections::BTreeSet<&String> =
        runs.iter().flat_map(|run| run.p95_ms.keys()).collect();
    let margins = names.into_iter().filter_map(|name| {
        let mut values: Vec<f64> =
            runs.iter().filter_map(|run| run.p95_ms.get(name)).map(|ms| ms.ln()).collect();
        let half = values.len() / 2;
        if half < 2 {
            return None;
        }
        let shifts: Vec<f64> = (0..MOST_DIVISIONS)
            .filter_map(|_| {
                random.shuffle(&mut values);
                ranks::shift(&values[..half], &values[half..])
            })
            .map(|shift| (shift.abs().exp() - 1.0) * 100.0)
            .collect();
        Some((name.clone(), quantile(&shifts, WITHIN)?.max(LEAST_MARGIN)))
    });
    margins.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn runs(p95_ms: &[f64]) -> Vec<RunFigures> {
        let outcome = example::outcome();
        let runs = p95_ms.iter().map(|p95| {
            let mut run = RunFigures::of("a.json", &outcome);
            run.p95_ms = [("GET /health".to_owned(), *p95)].into();
            run
        });
        runs.collect()
    }

    #[test]
    fn noisy_runs_widen_the_margin() {
        let mut floors = Floors::default();
        let (machine, load) = {
            let run = &runs(&[1.0])[0];
            (run.machine.clone(), run.load.clone())
        };
        floors.learn(&runs(&[100.0, 100.1, 99.9, 100.0, 100.2, 99.8]));
        assert!((floors.of(&machine, &load).margin("GET /health") - 1.0).abs() < 1e-9);
        floors.learn(&runs(&[80.0, 120.0, 95.0, 110.0, 130.0, 70.0]));
        let margin = floors.of(&machine, &load).margin("GET /health");
        assert!(margin > 10.0, "{margin}");
    }

    #[test]
    fn an_unknown_machine_has_the_usual_margin_and_says_so() {
        let floor = Floors::default().of("nowhere", "nothing");
        assert!((floor.margin("GET /health") - 5.0).abs() < 1e-9);
        assert!(floor.note.unwrap().contains("--noise-floor"));
    }

    #[test]
    fn floors_are_kept() {
        let folder = std::env::temp_dir().join(format!("plant-floors-{}", std::process::id()));
        let path = folder.join("deep/floors.json");
        let mut floors = Floors::default();
        floors.learn(&runs(&[100.0, 101.0, 99.0, 100.0]));
        floors.write(&path).unwrap();
        assert_eq!(Floors::read(&path).unwrap(), floors);
        assert_eq!(Floors::read(&folder.join("none")).unwrap(), Floors::default());
        fs::remove_dir_all(folder).unwrap();
    }
}
