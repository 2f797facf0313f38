//! Takes what clients measured, second by second, without users waiting for each other.

mod cells;
mod records;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub use cells::Cells;
use records::Records;

use crate::completion::{Accepted, Work};
use crate::outcome::{ArrivalSecond, Endpoint, Failure, FailureKind, Tally};

/// How far back the live view looks, in seconds.
const LIVE_SECONDS: u32 = 5;

/// An answer this quick belongs to the second in which it was asked for.
const IN_TIME: Duration = Duration::from_secs(1);

/// What happened to one request.
#[derive(Debug)]
pub struct Sample {
    /// The endpoint's name.
    pub endpoint: &'static str,
    /// When it was meant to start; latency counts from here.
    pub intended: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When the answer's head had come.
    pub first_byte: Option<Instant>,
    /// When the answer was whole, or hope for it was given up.
    pub last_byte: Instant,
    /// The answer's status.
    pub status: Option<u16>,
    /// The size of the answer's body, in bytes.
    pub bytes: u64,
    /// What was wrong, `None` for a success.
    pub failure: Option<(FailureKind, String)>,
}

/// The part of the recorder that one user writes to.
#[derive(Clone, Copy, Debug)]
pub struct Shard(usize);

/// Collects samples in shards that are merged at the end.
#[derive(Debug)]
pub struct Recorder {
    started: OnceLock<Instant>,
    cells: Cells,
    shards: Vec<Mutex<Records>>,
    next_shard: AtomicUsize,
    users: AtomicU32,
    joined: Mutex<BTreeMap<&'static str, u32>>,
    accepted: Mutex<Vec<Accepted>>,
}

/// What a run looks like right now.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Since the run started; `None` before the first user.
    pub elapsed: Option<Duration>,
    /// Users running.
    pub users: u32,
    /// Requests sent so far.
    pub sent: u64,
    /// Errors so far.
    pub errors: u64,
    /// Arrivals dropped so far, in the open model.
    pub dropped: u64,
    /// Requests a second, lately.
    pub rate: f64,
    /// The 95th percentile in milliseconds, lately.
    pub p95_ms: Option<f64>,
}

impl Recorder {
    /// A recorder with a shard for each processor.
    #[must_use]
    pub fn new(processors: usize) -> Self {
        Self {
            started: OnceLock::new(),
            cells: Cells::default(),
            shards: (0..processors.max(1)).map(|_| Mutex::default()).collect(),
            next_shard: AtomicUsize::new(0),
            users: AtomicU32::new(0),
            joined: Mutex::default(),
            accepted: Mutex::default(),
        }
    }

    /// Keeps entries for these cells instead of single seconds.
    #[must_use]
    pub fn with_cells(mut self, cells: Cells) -> Self {
        self.cells = cells;
        self
    }

    /// How many seconds an entry covers.
    #[must_use]
    pub fn cell_s(&self) -> u32 {
        self.cells.length()
    }

    /// The shard for one more client.
    pub fn assign_shard(&self) -> Shard {
        Shard(self.next_shard.fetch_add(1, Relaxed) % self.shards.len())
    }

    /// Starts the run's clock, unless it runs already.
    pub fn start(&self, at: Instant) {
        self.started.get_or_init(|| at);
    }

    /// A user of `class` starts. The first one starts the run's clock.
    pub fn user_joined(&self, class: &'static str) {
        self.start(Instant::now());
        self.user_busy();
        self.count_user(class);
    }

    /// Counts a user of `class` that there is, busy or not.
    pub fn count_user(&self, class: &'static str) {
        *lock(&self.joined).entry(class).or_default() += 1;
    }

    /// One more user has something to do.
    pub fn user_busy(&self) {
        self.users.fetch_add(1, Relaxed);
    }

    /// A user is gone, or has nothing to do.
    pub fn user_left(&self) {
        self.users.fetch_sub(1, Relaxed);
    }

    /// Users running now.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }

    /// When the first user started.
    #[must_use]
    pub fn started(&self) -> Option<Instant> {
        self.started.get().copied()
    }

    /// How many users of each class started.
    #[must_use]
    pub fn joined(&self) -> BTreeMap<&'static str, u32> {
        lock(&self.joined).clone()
    }

    /// A request is about to be sent.
    pub fn sent(&self, shard: Shard, endpoint: &'static str, intended: Instant) {
        let second = self.cell_of(intended);
        let mut records = lock(&self.shards[shard.0]);
        records.sent += 1;
        records.second(endpoint, second).counts.sent += 1;
    }

    /// A request has ended.
    pub fn record(&self, shard: Shard, sample: Sample) {
        let in_time = sample.last_byte.checked_sub(IN_TIME).unwrap_or(sample.intended);
        let second = self.cell_of(sample.intended);
        let ended = self.cell_of(in_time.max(sample.intended));
        lock(&self.shards[shard.0]).record(second, ended, sample);
    }

    /// Just now the service has accepted `work` under this `id`.
    pub fn accepted(&self, work: &'static Work, id: String, token: Arc<str>) {
        let second = self.cell_of(Instant::now());
        lock(&self.accepted).push(Accepted { work, id, token, second });
    }

    /// Everything that the service has accepted, handed over once.
    #[must_use]
    pub fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut *lock(&self.accepted))
    }

    /// An arrival is meant to start at `intended`.
    pub fn arrival_due(&self, shard: Shard, intended: Instant) {
        let cell = self.cell_of(intended);
        lock(&self.shards[shard.0]).arrival(cell).due += 1;
    }

    /// An arrival found a user at `now`. If one was `free` all along, whatever delay there was is
    /// the generator's; if not, the arrival waited for an answer to somebody else.
    pub fn arrival_starts(&self, shard: Shard, intended: Instant, now: Instant, free: bool) {
        let cell = self.cell_of(intended);
        let mut records = lock(&self.shards[shard.0]);
        let arrival = records.arrival(cell);
        if free {
            arrival.lag.record(now.saturating_duration_since(intended));
        } else {
            arrival.waited += 1;
        }
    }

    /// An arrival is given up: no user was free for as long as a request may take.
    pub fn arrival_dropped(&self, shard: Shard, intended: Instant) {
        let cell = self.cell_of(intended);
        let mut records = lock(&self.shards[shard.0]);
        records.dropped += 1;
        let arrival = records.arrival(cell);
        arrival.waited += 1;
        arrival.dropped += 1;
    }

    /// What the run looks like right now.
    #[must_use]
    pub fn live(&self) -> Live {
        let elapsed = self.started().map(|started| started.elapsed());
        let mut live = Live { elapsed, users: self.users(), ..Live::default() };
        let now = elapsed.map_or(0, whole_seconds);
        let window = self.cells.start_of(now.saturating_sub(LIVE_SECONDS))..now.max(1);
        let mut recent = Tally::default();
        for shard in &self.shards {
            let records = lock(shard);
            live.sent += records.sent;
            live.errors += records.errors;
            live.dropped += records.dropped;
            for endpoint in records.endpoints.values() {
                for (_, second) in endpoint.seconds.range(window.clone()) {
                    recent.add(second);
                }
            }
        }
        let length = window.end - window.start;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds' requests stay below 2^53")]
        let sent = recent.counts.sent as f64;
        live.rate = sent / f64::from(length);
        live.p95_ms = recent.latency.quantile_ms(0.95);
        live
    }

    /// Everything recorded, merged; endpoints of `known` are there even when never requested.
    #[must_use]
    pub fn merge(&self, known: &[&'static str]) -> (Vec<Endpoint>, Vec<Failure>) {
        let mut merged = Records::default();
        for endpoint in known {
            merged.endpoints.entry(endpoint).or_default();
        }
        for shard in &self.shards {
            merged.add(&lock(shard));
        }
        let endpoints = merged.endpoints.into_iter().map(records::endpoint).collect();
        let failures = merged.failures.into_iter().map(records::failure).collect();
        (endpoints, failures)
    }

    /// What became of the arrivals, second by second; nothing in the closed model.
    #[must_use]
    pub fn arrivals(&self) -> Vec<ArrivalSecond> {
        let mut merged = Records::default();
        for shard in &self.shards {
            merged.add_arrivals(&lock(shard));
        }
        merged.arrivals.into_values().collect()
    }

    /// Everything recorded for `from` and later seconds, from the beginning of the cell that `from`
    /// is in, and what is counted for the whole run;
    /// times to the first byte and service times are left out. Much cheaper than [`Self::merge`].
    #[must_use]
    pub fn since(&self, from: u32) -> (Vec<Endpoint>, Vec<Failure>, Vec<ArrivalSecond>) {
        let from = self.cells.start_of(from);
        let mut merged = Records::default();
        for shard in &self.shards {
            merged.add_since(&lock(shard), from);
        }
        let endpoints = merged.endpoints.into_iter().map(records::endpoint).collect();
        let failures = merged.failures.into_iter().map(records::failure).collect();
        (endpoints, failures, merged.arrivals.into_values().collect())
    }

    fn cell_of(&self, moment: Instant) -> u32 {
        let second = self.started().map(|started| moment.saturating_duration_since(started));
        self.cells.start_of(second.map_or(0, whole_seconds))
    }
}

fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it, and counts are whole after every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: Instant, millis: u64, failure: Option<FailureKind>) -> Sample {
        Sample {
            endpoint: "GET /x",
            intended: start,
            sent: start,
            first_byte: Some(start),
            last_byte: start + Duration::from_millis(millis),
            status: Some(200),
            bytes: 10,
            failure: failure.map(|kind| (kind, "why".into())),
        }
    }

    #[test]
    fn samples_of_all_shards_come_together_in_their_seconds() {
        let recorder = Recorder::new(3);
        recorder.user_joined("A");
        let started = recorder.started().unwrap();
        for index in 0..9_u64 {
            let shard = recorder.assign_shard();
            let start = started + Duration::from_millis(index % 3 * 1000);
            recorder.sent(shard, "GET /x", start);
            recorder.record(shard, sample(start, 5, None));
        }
        let (endpoints, failures) = recorder.merge(&["GET /never"]);
        assert!(failures.is_empty());
        let seconds = &endpoints[1].seconds;
        assert_eq!(endpoints[0].name, "GET /never");
        assert_eq!(seconds.iter().map(|second| second.counts.sent).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!((endpoints[1].bytes, endpoints[1].statuses[&200]), (90, 9));
    }

    #[test]
    fn what_is_new_comes_with_the_cell_that_it_is_in() {
        let end = crate::profile::Stage { to_s: 86_400, ..crate::profile::Stage::default() };
        let recorder = Recorder::new(1).with_cells(Cells::of(&[end]));
        recorder.user_joined("A");
        let shard = recorder.assign_shard();
        let started = recorder.started().unwrap();
        for second in [3, 8, 13] {
            let start = started + Duration::from_secs(second);
            recorder.sent(shard, "GET /x", start);
            recorder.record(shard, sample(start, 5, None));
        }
        let cells = |from| -> Vec<(u32, u64)> {
            let (endpoints, ..) = recorder.since(from);
            let cells = endpoints[0].seconds.iter();
            cells.map(|cell| (cell.second, cell.counts.sent)).collect()
        };
        assert_eq!(recorder.cell_s(), 12);
        assert_eq!(cells(8), [(0, 2), (12, 1)], "the eighth second is in the cell of the first");
        assert_eq!(cells(13), [(12, 1)]);
    }

    #[test]
    fn latency_holds_successes_and_time_outs_only() {
        let recorder = Recorder::new(1);
        recorder.user_joined("A");
        let shard = recorder.assign_shard();
        let start = recorder.started().unwrap();
        for kind in [None].into_iter().chain(FailureKind::ALL.map(Some)) {
            recorder.sent(shard, "GET /x", start);
            recorder.record(shard, sample(start, 5, kind));
        }
        let (endpoints, failures) = recorder.merge(&[]);
        let whole = endpoints[0].whole();
        assert!(whole.counts.reconcile());
        assert_eq!(whole.latency.len(), 2);
        assert_eq!(failures.len(), 6);
    }
}
