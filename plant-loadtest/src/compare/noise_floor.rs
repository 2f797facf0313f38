//! The noise floor: how much identical runs differ on a machine, measured and stored in a file.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::run_metrics::RunMetrics;
use crate::statistics::{quantile, rank_tests};

/// Smallest margin in percent. Smaller shifts are irrelevant even on a machine without noise.
const MIN_MARGIN_PERCENT: f64 = 1.0;

/// Margin in percent where no noise floor has been measured.
const DEFAULT_MARGIN_PERCENT: f64 = 5.0;

/// Highest noise floor in percent. With a wider margin, a considerable regression would count as no
/// change, so above it nothing does.
const MAX_MARGIN_PERCENT: f64 = 10.0;

/// Number of random divisions of the runs into two halves, from which a margin is estimated.
const DIVISIONS: usize = 400;

/// Fraction of the divisions of identical runs whose shift is within the margin.
const COVERAGE: f64 = 0.95;

/// The noise-floor file: all measured noise floors, by machine and load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloorFile {
    machines: BTreeMap<String, BTreeMap<String, NoiseFloor>>,
}

/// The measured noise floor of one load on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// Start time of its last run.
    pub measured_at: DateTime<Utc>,
    /// Number of identical runs.
    pub runs: usize,
    /// The margin of each endpoint, in percent, at least 1. Of the shifts between random halves of the
    /// runs 95 % are within it.
    pub endpoints: BTreeMap<String, f64>,
}

/// The margins of one comparison, one for each endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Margins {
    /// A note for reports; `None` if the noise floor has been measured.
    pub note: Option<String>,
    measured: Option<NoiseFloor>,
}

impl Margins {
    /// Returns the margin of `endpoint`, in percent; 5 where none has been measured.
    #[must_use]
    pub fn margin_percent(&self, endpoint: &str) -> f64 {
        let measured = self.measured.as_ref().and_then(|floor| floor.endpoints.get(endpoint));
        measured.copied().unwrap_or(DEFAULT_MARGIN_PERCENT).max(MIN_MARGIN_PERCENT)
    }

    /// Returns whether the noise floor of `endpoint` is above 10 %: this machine cannot tell whether
    /// the endpoint has changed by less than that.
    #[must_use]
    pub fn is_too_noisy(&self, endpoint: &str) -> bool {
        self.margin_percent(endpoint) > MAX_MARGIN_PERCENT
    }
}

impl NoiseFloorFile {
    /// Returns the default path of the noise-floor file. It is in the home directory, because noise
    /// floors belong to the machine and not to the project.
    #[must_use]
    pub fn default_path() -> PathBuf {
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
        home.join(".local/share/plant-loadtest/noise-floor.json")
    }

    /// Reads the noise floors from `path`; there are none if the file does not exist.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |reason: String| format!("{} cannot be read: {reason}", path.display());
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes the noise floors to `path`, and creates its directory where it is missing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let write = || {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            fs::write(path, serde_json::to_string_pretty(self)? + "\n")
        };
        write().map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Computes the noise floor from identical `runs`, which must be of one machine and load, and
    /// stores it in place of an earlier one. Returns `None` when there are no runs.
    pub fn update(&mut self, runs: &[RunMetrics]) -> Option<&NoiseFloor> {
        let first = runs.first()?;
        let measured = NoiseFloor {
            measured_at: runs.iter().map(|run| run.started_at).max()?,
            runs: runs.len(),
            endpoints: margins(runs),
        };
        let loads = self.machines.entry(first.machine.clone()).or_default();
        loads.insert(first.load.clone(), measured);
        loads.get(&first.load)
    }

    /// Returns the margins for `load` on `machine`: the measured ones, or the default of 5 % with a
    /// note.
    #[must_use]
    pub fn for_load(&self, machine: &str, load: &str) -> Margins {
        let measured = self.machines.get(machine).and_then(|loads| loads.get(load)).cloned();
        let note = measured.is_none().then(|| {
            format!(
                "no noise floor has been measured for this load on this machine, so the margin is \
                 {DEFAULT_MARGIN_PERCENT} %; measure it with `repeat PROFILE --noise-floor`"
            )
        });
        let noisy = measured.iter().flat_map(|floor: &NoiseFloor| &floor.endpoints);
        let noisy: Vec<String> = noisy
            .filter(|(_, margin)| **margin > MAX_MARGIN_PERCENT)
            .map(|(name, margin)| format!("{name} ({margin:.0} %)"))
            .collect();
        let note = match noisy[..] {
            [] => note,
            _ => Some(format!(
                "this machine cannot tell whether {} changed: identical runs differ by more than \
                 {MAX_MARGIN_PERCENT} % on it",
                noisy.join(", ")
            )),
        };
        Margins { note, measured }
    }
}

/// Returns the margin of each endpoint in percent: the shift between two halves of the runs that
/// 95 % of the divisions do not exceed.
fn margins(runs: &[RunMetrics]) -> BTreeMap<String, f64> {
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
        let shifts: Vec<f64> = (0..DIVISIONS)
            .filter_map(|_| {
                random.shuffle(&mut values);
                rank_tests::hodges_lehmann(&values[..half], &values[half..])
            })
            .map(|shift| (shift.abs().exp() - 1.0) * 100.0)
            .collect();
        Some((name.clone(), quantile(&shifts, COVERAGE)?.max(MIN_MARGIN_PERCENT)))
    });
    margins.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn runs(p95_ms: &[f64]) -> Vec<RunMetrics> {
        let outcome = example::outcome();
        let runs = p95_ms.iter().map(|p95| {
            let mut run = RunMetrics::from_outcome("a.json", &outcome);
            run.p95_ms = [("GET /health".to_owned(), *p95)].into();
            run
        });
        runs.collect()
    }

    #[test]
    fn noisy_runs_widen_the_margin() {
        let mut floors = NoiseFloorFile::default();
        let (machine, load) = {
            let run = &runs(&[1.0])[0];
            (run.machine.clone(), run.load.clone())
        };
        floors.update(&runs(&[100.0, 100.1, 99.9, 100.0, 100.2, 99.8]));
        let quiet = floors.for_load(&machine, &load);
        assert!((quiet.margin_percent("GET /health") - 1.0).abs() < 1e-9);
        assert_eq!((quiet.note.clone(), quiet.is_too_noisy("GET /health")), (None, false));
        floors.update(&runs(&[80.0, 120.0, 95.0, 110.0, 130.0, 70.0]));
        let margin = floors.for_load(&machine, &load).margin_percent("GET /health");
        assert!(margin > 10.0, "{margin}");
    }

    #[test]
    fn the_margin_covers_nearly_all_divisions_and_not_half_of_them() {
        // One run in six differs by 30 %: most divisions differ by less than it, some by more.
        let mut floors = NoiseFloorFile::default();
        let identical = runs(&[100.0, 100.0, 100.0, 100.0, 100.0, 130.0, 100.0, 131.0]);
        floors.update(&identical);
        let run = &identical[0];
        let margin = floors.for_load(&run.machine, &run.load).margin_percent("GET /health");
        let half = {
            let logs: Vec<f64> = [100.0_f64, 100.0, 100.0, 100.0].map(f64::ln).into();
            let other: Vec<f64> = [100.0_f64, 130.0, 100.0, 131.0].map(f64::ln).into();
            (rank_tests::hodges_lehmann(&logs, &other).unwrap().exp() - 1.0) * 100.0
        };
        assert!(margin >= half && margin > 10.0, "{margin} {half}");
    }

    #[test]
    fn three_runs_are_too_few_for_a_noise_floor() {
        let margin = |p95_ms: &[f64]| {
            let identical = runs(p95_ms);
            let mut floors = NoiseFloorFile::default();
            floors.update(&identical);
            let run = &identical[0];
            floors.for_load(&run.machine, &run.load).margin_percent("GET /health")
        };
        assert_eq!(margin(&[100.0; 3]), DEFAULT_MARGIN_PERCENT);
        assert_eq!(margin(&[100.0; 4]), MIN_MARGIN_PERCENT);
    }

    #[test]
    fn an_unmeasured_machine_has_the_default_margin_and_a_note() {
        let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
        assert!((margins.margin_percent("GET /health") - 5.0).abs() < 1e-9);
        assert!(margins.note.unwrap().contains("--noise-floor"));
    }

    #[test]
    fn the_default_file_is_in_the_home_directory() {
        let path = NoiseFloorFile::default_path();
        assert!(path.ends_with(".local/share/plant-loadtest/noise-floor.json"), "{path:?}");
    }

    #[test]
    fn floors_are_written_and_read_again() {
        let directory = std::env::temp_dir().join(format!("plant-floors-{}", std::process::id()));
        let path = directory.join("deep/floors.json");
        let mut floors = NoiseFloorFile::default();
        floors.update(&runs(&[100.0, 101.0, 99.0, 100.0]));
        floors.write(&path).unwrap();
        assert_eq!(NoiseFloorFile::read(&path).unwrap(), floors);
        assert_eq!(
            NoiseFloorFile::read(&directory.join("none")).unwrap(),
            NoiseFloorFile::default()
        );
        let error = NoiseFloorFile::read(&directory).unwrap_err();
        assert!(error.contains("cannot be read"), "a directory is no file: {error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
