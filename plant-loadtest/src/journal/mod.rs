//! Results written as they arrive, so that a run that is killed leaves what it has measured.
//!
//! While a run goes on, the outcome's file holds its head and one entry for every few seconds. It
//! is JSON at every moment: each entry is written over the closing brackets, with new ones behind
//! it. Nothing written is ever written again, so a run of a day costs no more a minute than a short
//! one. The finished outcome takes its place at the end.

mod read;

use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Seek as _, SeekFrom, Write as _},
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

pub use read::outcome;

use crate::{
    outcome::{ArrivalSecond, Class, Endpoint, Failure, Outcome, ResourceSample},
    recorder::Recorder,
};

/// How often an entry is written.
const EVERY: Duration = Duration::from_secs(2);

/// Every so many entries those seconds are looked at again in which requests may have ended since.
const LOOK_BACK_EVERY: u64 = 15;

const END: &str = "\n]}\n";

/// What a file of a run that goes on holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Journal {
    /// The layout, as in a finished outcome.
    version: u32,
    /// Tells it from a finished outcome.
    partial: bool,
    /// The outcome so far as it is known at the start: nothing is measured yet.
    head: Outcome,
    /// What came since.
    entries: Vec<Entry>,
}

/// What has come since the entry before. Seconds that were there already take the place of their
/// earlier selves, because requests may end later; failures take the place of all earlier ones.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Entry {
    duration_s: f64,
    classes: Vec<Class>,
    endpoints: Vec<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<Vec<Failure>>,
    samples: Vec<ResourceSample>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrivals: Vec<ArrivalSecond>,
}

/// What an outcome's file may hold: a finished run, or what there is of one that goes on or was
/// killed.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "Outcome of plant-loadtest")]
#[expect(dead_code, reason = "it only describes files, for their schema")]
enum OutcomeFile {
    /// A finished run.
    Finished(Outcome),
    /// What was written as results arrived.
    Partial(Journal),
}

/// The schema of outcomes' files, as JSON.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(OutcomeFile);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// A journal being written.
#[derive(Debug)]
pub struct Writing {
    task: JoinHandle<()>,
}

impl Writing {
    /// Starts to write to `path`, in place of what was there, as soon as the first user has
    /// started. A disk that refuses is told once on standard error; the run goes on.
    #[must_use]
    pub fn start(
        path: &Path,
        head: Outcome,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        let path = path.to_path_buf();
        let task = tokio::spawn(async move {
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut source = Source::new(head, recorder, samples);
            let mut file: Option<Appending> = None;
            loop {
                tick.tick().await;
                let Some(entry) = source.next() else { continue };
                let written = match &mut file {
                    Some(file) => file.append(&entry),
                    None => Appending::create(&path, &source.head).and_then(|mut new| {
                        new.append(&entry)?;
                        file = Some(new);
                        Ok(())
                    }),
                };
                if let Err(error) = written {
                    eprintln!("{} cannot be written as results arrive: {error}", path.display());
                    return;
                }
            }
        });
        Self { task }
    }

    /// Stops writing; the file stays until the finished outcome takes its place.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Where entries come from.
struct Source {
    head: Outcome,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    entries: u64,
    samples_taken: usize,
    failures_taken: u64,
    from: u32,
    /// Up to when every second has been looked at again.
    looked_back: u32,
    written: HashMap<(String, u32), u64>,
}

impl Source {
    fn new(
        mut head: Outcome,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        head.ended = crate::outcome::Ended::Killed;
        Self {
            head,
            recorder,
            samples,
            entries: 0,
            samples_taken: 0,
            failures_taken: 0,
            from: 0,
            looked_back: 0,
            written: HashMap::new(),
        }
    }

    /// What has come since the last call; `None` before the first user.
    fn next(&mut self) -> Option<Entry> {
        let started = self.recorder.started()?;
        Some(self.at(started.elapsed()))
    }

    /// What has come since the last call, `elapsed` after the start.
    fn at(&mut self, elapsed: Duration) -> Entry {
        let now = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let patience = whole(self.head.load.timeout_s) + 2;
        let look_back = self.entries.is_multiple_of(LOOK_BACK_EVERY);
        // What was still going on at the last look back may have ended just after it.
        let settled = self.looked_back.saturating_sub(patience);
        let from = if look_back { settled } else { self.from };
        let (mut endpoints, failures, arrivals) = self.recorder.since(from);
        for endpoint in &mut endpoints {
            let name = &endpoint.name;
            endpoint.seconds.retain(|second| {
                let mut hasher = DefaultHasher::new();
                serde_json::to_string(second).unwrap_or_default().hash(&mut hasher);
                let known = self.written.insert((name.clone(), second.second), hasher.finish());
                known != Some(hasher.finish())
            });
        }
        if look_back {
            self.looked_back = now;
            let settled = now.saturating_sub(patience + self.recorder.cell_s());
            self.written.retain(|(_, second), _| *second >= settled);
        }
        let failed = failures.iter().map(|failure| failure.count).sum();
        let news = failed != self.failures_taken;
        self.failures_taken = failed;
        self.entries += 1;
        self.from = now.saturating_sub(2);
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let new_samples = samples.get(self.samples_taken..).unwrap_or_default().to_vec();
        self.samples_taken = samples.len();
        Entry {
            duration_s: elapsed.as_secs_f64(),
            classes: self.classes(),
            endpoints,
            failures: news.then_some(failures),
            samples: new_samples,
            arrivals,
        }
    }

    fn classes(&self) -> Vec<Class> {
        let joined = self.recorder.joined();
        let mut classes = self.head.load.classes.clone();
        for class in &mut classes {
            class.users = joined.get(class.name.as_str()).copied().unwrap_or_default();
        }
        classes
    }
}

/// A file that ends with its closing brackets at every moment.
struct Appending {
    file: File,
    end: u64,
    empty: bool,
}

impl Appending {
    fn create(path: &Path, head: &Outcome) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let version = head.version;
        let head = serde_json::to_string(head)?;
        let start =
            format!("{{\"version\":{version},\"partial\":true,\"head\":{head},\"entries\":[");
        // An earlier run's outcome stays whole until this one has something to show.
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(format!("{start}{END}").as_bytes())?;
        fs::rename(&beside, path)?;
        Ok(Self { file, end: start.len() as u64, empty: true })
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let comma = if self.empty { "" } else { "," };
        let text = format!("{comma}\n{}", serde_json::to_string(entry)?);
        self.file.seek(SeekFrom::Start(self.end))?;
        // One write, so that a reader or a kill never finds half an entry without its end; should
        // the system tear it all the same, the reader drops the torn entry.
        self.file.write_all(format!("{text}{END}").as_bytes())?;
        self.end += text.len() as u64;
        self.empty = false;
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time-out is positive, and a float's cast to an integer saturates"
)]
fn whole(seconds: f64) -> u32 {
    seconds.ceil() as u32
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{outcome::Ended, recorder::Sample, report::example};

    fn record(recorder: &Recorder, millis: u64) {
        let shard = recorder.assign_shard();
        let start = Instant::now();
        recorder.sent(shard, "GET /x", start);
        recorder.record(shard, ended(start, millis));
    }

    fn ended(start: Instant, millis: u64) -> Sample {
        Sample {
            endpoint: "GET /x",
            intended: start,
            sent: start,
            first_byte: None,
            last_byte: start + Duration::from_millis(millis),
            status: Some(200),
            bytes: 7,
            failure: None,
        }
    }

    fn empty() -> Outcome {
        let mut outcome = example::outcome();
        outcome.endpoints.clear();
        outcome.failures.clear();
        outcome.samples.clear();
        outcome
    }

    #[test]
    fn the_file_is_readable_after_every_entry() {
        let path = std::env::temp_dir().join(format!("plant-journal-{}.json", std::process::id()));
        let recorder = Arc::new(Recorder::new(2));
        recorder.user_joined("PlantBackendUser");
        let samples = Arc::new(Mutex::new(example::outcome().samples));
        let mut source = Source::new(empty(), Arc::clone(&recorder), samples);
        let mut file = Appending::create(&path, &source.head).unwrap();
        for sent in 1..=3_u64 {
            record(&recorder, 5);
            file.append(&source.next().unwrap()).unwrap();
            let read = crate::report::json::read(&path).unwrap();
            assert_eq!(read.whole().counts.sent, sent);
            assert_eq!((read.ended, read.endpoints[0].bytes), (Ended::Killed, 7 * sent));
            assert_eq!(read.samples, example::outcome().samples, "each sample once");
            assert_eq!(read.load.classes[0].users, 1);
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_late_end_is_looked_for_as_far_back_as_it_may_begin() {
        let recorder = Arc::new(Recorder::new(1));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(20)).unwrap());
        let mut source = Source::new(empty(), Arc::clone(&recorder), Arc::default());
        let shard = recorder.assign_shard();
        let start = recorder.started().unwrap() + Duration::from_secs(11);
        recorder.sent(shard, "GET /x", start);
        let at = |source: &mut Source, second| source.at(Duration::from_secs(second));
        assert_eq!(at(&mut source, 40).endpoints[0].seconds[0].counts.succeeded, 0);
        // It ends at once after that look back, and the next one is half a minute away.
        recorder.record(shard, ended(start, 29_500));
        let later: Vec<Entry> = (21..=35).map(|turn| at(&mut source, turn * 2)).collect();
        let ends: u64 = later
            .iter()
            .flat_map(|entry| &entry.endpoints[0].seconds)
            .map(|second| second.counts.succeeded)
            .sum();
        assert_eq!(ends, 1);
    }

    #[test]
    fn a_torn_last_entry_is_dropped() {
        let path = std::env::temp_dir().join(format!("plant-torn-{}.json", std::process::id()));
        let recorder = Arc::new(Recorder::new(1));
        recorder.user_joined("PlantBackendUser");
        let mut source = Source::new(empty(), Arc::clone(&recorder), Arc::default());
        let mut file = Appending::create(&path, &source.head).unwrap();
        for _ in 0..2 {
            record(&recorder, 5);
            file.append(&source.next().unwrap()).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 40]).unwrap();
        assert_eq!(crate::report::json::read(&path).unwrap().whole().counts.sent, 1);
        fs::remove_file(&path).unwrap();
    }
}
