//! The journal: writes results while a run is in progress, so that a killed run leaves a readable
//! partial outcome.
//!
//! During a run the outcome file has one JSON object on each line (NDJSON): a header, and one entry for
//! every two seconds. Lines are only appended, so the cost per minute does not grow with the length of
//! the run. At the end the finished outcome replaces the journal.

mod lines;
mod read;

use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

pub use lines::JournalLines;
pub use read::read_outcome;

use crate::{
    console::print_error,
    load::Stage,
    outcome::{
        ArrivalCell, Class, Counter, Ended, EndpointResults, Failure, Outcome, ResourceSample,
        RunStart,
    },
    recorder::Recorder,
};

/// Interval between two entries.
const WRITE_INTERVAL: Duration = Duration::from_secs(2);

/// Number of entries from one rescan to the next. A rescan also covers older cells, whose requests
/// may have finished in the meantime.
const ENTRIES_PER_RESCAN: u64 = 15;

/// First line of a journal.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Header {
    /// Format version, as in a finished outcome.
    version: u32,
    /// Always true; absent in a finished outcome.
    partial: bool,
    /// The outcome as of the start, without measurements.
    #[serde(rename = "head")]
    outcome: Outcome,
}

/// A further line of a journal: the measurements since the previous entry. A cell that an earlier entry contains as well
/// replaces the earlier one, because its requests may have finished since. `failures` replaces the
/// failures of all earlier entries.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Entry {
    duration_s: f64,
    classes: Vec<Class>,
    endpoints: Vec<EndpointResults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<Vec<Failure>>,
    samples: Vec<ResourceSample>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrivals: Vec<ArrivalCell>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    counters: Vec<Counter>,
    /// Number of this entry, from 1, of a journal that was sent to another program. An entry may be sent
    /// twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// The stages so far, if they are not known at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Vec<Stage>>,
    /// How the run ended; only in the last entry of a journal that no finished outcome replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
}

/// Content of an outcome file: a finished run, or each line of the journal of a run that is in progress
/// or was killed.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "Outcome of plant-loadtest")]
#[expect(dead_code, reason = "only used to generate the JSON schema")]
enum OutcomeFile {
    /// A finished run.
    Finished(Outcome),
    /// First line of a journal.
    Header(Header),
    /// A further line of a journal.
    Entry(Entry),
}

/// Returns the JSON schema of outcome files.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(OutcomeFile);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// Writes the journal of a run in a background task.
#[derive(Debug)]
pub struct JournalWriter {
    task: JoinHandle<()>,
}

impl JournalWriter {
    /// Starts writing to `path` as soon as the first user has started, replacing an existing file.
    /// A write error is printed once to standard error and ends writing; the run continues.
    #[must_use]
    pub fn start(
        path: &Path,
        start: RunStart,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        let path = path.to_path_buf();
        let task = tokio::spawn(async move {
            let mut interval = interval(WRITE_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut source = EntrySource::new(start.into_outcome(), recorder, samples);
            let mut file: Option<JournalFile> = None;
            loop {
                interval.tick().await;
                let Some(entry) = source.next_entry() else { continue };
                let written = match &mut file {
                    Some(file) => file.append(&entry),
                    None => JournalFile::create(&path, &source.header).and_then(|mut new| {
                        new.append(&entry)?;
                        file = Some(new);
                        Ok(())
                    }),
                };
                if let Err(error) = written {
                    let path = path.display();
                    print_error(&format!(
                        "cannot write partial results to {path}: {error}; the run continues"
                    ));
                    return;
                }
            }
        });
        Self { task }
    }

    /// Stops writing. The file remains until the finished outcome replaces it.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Builds journal entries from the recorder and the resource samples.
struct EntrySource {
    header: Outcome,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    entries: u64,
    samples_written: usize,
    failures_written: u64,
    /// The second from which the next entry starts, unless it is a rescan.
    from: u32,
    /// Time of the last rescan, in seconds from the start.
    rescanned_at: u32,
    /// Hash of each cell as last written, by endpoint and second.
    written: HashMap<(String, u32), u64>,
}

impl EntrySource {
    fn new(
        header: Outcome,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        Self {
            header,
            recorder,
            samples,
            entries: 0,
            samples_written: 0,
            failures_written: 0,
            from: 0,
            rescanned_at: 0,
            written: HashMap::new(),
        }
    }

    /// Returns the measurements since the last call; `None` before the first user.
    fn next_entry(&mut self) -> Option<Entry> {
        let started = self.recorder.started_at()?;
        Some(self.entry_at(started.elapsed()))
    }

    /// Returns the measurements since the last call, at `elapsed` after the start.
    fn entry_at(&mut self, elapsed: Duration) -> Entry {
        let now = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let max_request_s = self.header.load.max_request_s();
        let rescan = self.entries.is_multiple_of(ENTRIES_PER_RESCAN);
        // Requests that were in progress at the last rescan may have finished just after it.
        let first_unfinished = self.rescanned_at.saturating_sub(max_request_s);
        let from = if rescan { first_unfinished } else { self.from };
        let (mut endpoints, failures, arrivals) = self.recorder.merge_since(from);
        for endpoint in &mut endpoints {
            let name = &endpoint.name;
            endpoint.cells.retain(|cell| {
                let mut hasher = DefaultHasher::new();
                serde_json::to_string(cell).unwrap_or_default().hash(&mut hasher);
                let last = self.written.insert((name.clone(), cell.second), hasher.finish());
                last != Some(hasher.finish())
            });
        }
        if rescan {
            self.rescanned_at = now;
            let first_unfinished = now.saturating_sub(max_request_s + self.recorder.cell_s());
            self.written.retain(|(_, second), _| *second >= first_unfinished);
        }
        let failed = failures.iter().map(|failure| failure.count).sum();
        let failures_changed = failed != self.failures_written;
        self.failures_written = failed;
        self.entries += 1;
        self.from = now.saturating_sub(2);
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let new_samples = samples.get(self.samples_written..).unwrap_or_default().to_vec();
        self.samples_written = samples.len();
        Entry {
            duration_s: elapsed.as_secs_f64(),
            classes: self.classes(),
            endpoints,
            failures: failures_changed.then_some(failures),
            samples: new_samples,
            arrivals,
            counters: self.recorder.counters_since(from),
            ..Entry::default()
        }
    }

    /// Returns the last entry: like the next one, with the distributions of the whole run.
    fn last_entry(&mut self) -> Option<Entry> {
        self.entries = self.entries.next_multiple_of(ENTRIES_PER_RESCAN);
        let mut entry = self.next_entry()?;
        for endpoint in self.recorder.merge(&[]).0 {
            match entry.endpoints.iter_mut().find(|changed| changed.name == endpoint.name) {
                Some(changed) => {
                    let cells = std::mem::take(&mut changed.cells);
                    *changed = EndpointResults { cells, ..endpoint };
                }
                None => entry.endpoints.push(EndpointResults { cells: Vec::new(), ..endpoint }),
            }
        }
        Some(entry)
    }

    fn classes(&self) -> Vec<Class> {
        let started = self.recorder.started_by_class();
        let mut classes = self.header.load.classes.clone();
        for class in &mut classes {
            class.users = started.get(class.name.as_str()).copied().unwrap_or_default();
        }
        classes
    }
}

/// A journal file.
struct JournalFile(File);

impl JournalFile {
    fn create(path: &Path, header: &Outcome) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // The outcome of an earlier run stays intact until this file has its header.
        let temporary = path.with_extension("new");
        let mut journal = Self(File::create(&temporary)?);
        let version = header.version;
        journal.append(&Header { version, partial: true, outcome: header.clone() })?;
        fs::rename(&temporary, path)?;
        Ok(journal)
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // A single write, so that a concurrent reader or a kill does not find a truncated line. If one
        // is truncated all the same, the reader drops it.
        self.0.write_all(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{outcome::Ended, recorder::RequestSample, report::example};

    fn record(recorder: &Recorder, millis: u64) {
        let shard = recorder.assign_shard();
        let start = Instant::now();
        recorder.record_sent(shard, "GET /x", start);
        recorder.record_finished(shard, ended(start, millis));
    }

    fn ended(start: Instant, millis: u64) -> RequestSample {
        RequestSample {
            endpoint: "GET /x",
            intended_start: start,
            sent_at: start,
            first_byte: None,
            last_byte: start + Duration::from_millis(millis),
            status: Some(200),
            bytes: 7,
            failure: None,
            trace: None,
            request_id: None,
        }
    }

    fn empty() -> Outcome {
        let mut outcome = example::outcome();
        outcome.ended = Ended::Killed;
        outcome.endpoints.clear();
        outcome.failures.clear();
        outcome.samples.clear();
        outcome
    }

    #[test]
    fn the_file_is_readable_after_every_entry() {
        let path = std::env::temp_dir().join(format!("plant-journal-{}.json", std::process::id()));
        let recorder = Arc::new(Recorder::new(2));
        recorder.user_started("PlantBackendUser");
        let samples = Arc::new(Mutex::new(example::outcome().samples));
        let mut source = EntrySource::new(empty(), Arc::clone(&recorder), samples);
        let mut file = JournalFile::create(&path, &source.header).unwrap();
        for sent in 1..=3_u64 {
            record(&recorder, 5);
            file.append(&source.next_entry().unwrap()).unwrap();
            let read = crate::report::json::read(&path).unwrap();
            assert_eq!(read.tally_all().counts.sent, sent);
            assert_eq!((read.ended, read.endpoints[0].bytes), (Ended::Killed, 7 * sent));
            assert_eq!(read.samples, example::outcome().samples, "each sample is written once");
            assert_eq!(read.load.classes[0].users, 1);
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn counters_are_written_as_they_grow() {
        let recorder = Arc::new(Recorder::new(2));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(5)).unwrap());
        let mut source = EntrySource::new(empty(), Arc::clone(&recorder), Arc::default());
        let path = std::env::temp_dir().join(format!("plant-counters-{}.json", std::process::id()));
        let mut file = JournalFile::create(&path, &source.header).unwrap();
        for count in [2, 3] {
            recorder.count(recorder.assign_shard(), "orders", count);
            file.append(&source.next_entry().unwrap()).unwrap();
        }
        let read = crate::report::json::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let counts: Vec<(&str, u64)> = read
            .counters
            .iter()
            .map(|counter| (counter.name.as_str(), counter.count_in(&(0..u32::MAX))))
            .collect();
        assert_eq!(counts, [("orders", 5)]);
    }

    #[test]
    fn a_rescan_finds_a_request_that_finished_late() {
        let recorder = Arc::new(Recorder::new(1));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(20)).unwrap());
        let mut source = EntrySource::new(empty(), Arc::clone(&recorder), Arc::default());
        let shard = recorder.assign_shard();
        let start = recorder.started_at().unwrap() + Duration::from_secs(11);
        recorder.record_sent(shard, "GET /x", start);
        let at = |source: &mut EntrySource, second| source.entry_at(Duration::from_secs(second));
        assert_eq!(at(&mut source, 40).endpoints[0].cells[0].counts.succeeded, 0);
        // It finishes just after that rescan; the next one is half a minute later.
        recorder.record_finished(shard, ended(start, 29_500));
        let later: Vec<Entry> = (21..=35).map(|turn| at(&mut source, turn * 2)).collect();
        let finished: u64 = later
            .iter()
            .flat_map(|entry| &entry.endpoints[0].cells)
            .map(|cell| cell.counts.succeeded)
            .sum();
        assert_eq!(finished, 1);
    }

    #[test]
    fn a_truncated_last_entry_is_dropped() {
        let path =
            std::env::temp_dir().join(format!("plant-truncated-{}.json", std::process::id()));
        let recorder = Arc::new(Recorder::new(1));
        recorder.user_started("PlantBackendUser");
        let mut source = EntrySource::new(empty(), Arc::clone(&recorder), Arc::default());
        let mut file = JournalFile::create(&path, &source.header).unwrap();
        for _ in 0..2 {
            record(&recorder, 5);
            file.append(&source.next_entry().unwrap()).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 40]).unwrap();
        assert_eq!(crate::report::json::read(&path).unwrap().tally_all().counts.sent, 1);
        fs::remove_file(&path).unwrap();
    }
}
