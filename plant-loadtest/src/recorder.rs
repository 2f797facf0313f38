//! Takes what clients measured, second by second, without users waiting for each other.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    distribution::Distribution,
    outcome::{Endpoint, Failure, FailureKind, Second, Tally},
};

/// How far back the live view looks, in seconds.
const LIVE_SECONDS: u32 = 5;

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
    shards: Vec<Mutex<Records>>,
    next_shard: AtomicUsize,
    users: AtomicU32,
    joined: Mutex<BTreeMap<&'static str, u32>>,
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
    /// Requests a second, lately.
    pub rate: f64,
    /// The 95th percentile in milliseconds, lately.
    pub p95_ms: Option<f64>,
}

#[derive(Debug, Default)]
struct Records {
    endpoints: BTreeMap<&'static str, EndpointRecords>,
    failures: BTreeMap<(&'static str, FailureKind, String), Seen>,
    sent: u64,
    errors: u64,
}

#[derive(Debug, Default)]
struct EndpointRecords {
    statuses: BTreeMap<u16, u64>,
    bytes: u64,
    first_byte: Distribution,
    service_time: Distribution,
    seconds: BTreeMap<u32, Tally>,
}

#[derive(Clone, Debug)]
struct Seen {
    count: u64,
    first_second: u32,
    last_second: u32,
}

impl Recorder {
    /// A recorder with a shard for each processor.
    #[must_use]
    pub fn new(processors: usize) -> Self {
        Self {
            started: OnceLock::new(),
            shards: (0..processors.max(1)).map(|_| Mutex::default()).collect(),
            next_shard: AtomicUsize::new(0),
            users: AtomicU32::new(0),
            joined: Mutex::default(),
        }
    }

    /// The shard for one more client.
    pub fn assign_shard(&self) -> Shard {
        Shard(self.next_shard.fetch_add(1, Relaxed) % self.shards.len())
    }

    /// A user of `class` starts. The first one starts the run's clock.
    pub fn user_joined(&self, class: &'static str) {
        self.started.get_or_init(Instant::now);
        self.users.fetch_add(1, Relaxed);
        *lock(&self.joined).entry(class).or_default() += 1;
    }

    /// A user is gone.
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
        let second = self.second_of(intended);
        let mut records = lock(&self.shards[shard.0]);
        records.sent += 1;
        records.second(endpoint, second).counts.sent += 1;
    }

    /// A request has ended.
    pub fn record(&self, shard: Shard, sample: Sample) {
        let second = self.second_of(sample.intended);
        lock(&self.shards[shard.0]).record(second, sample);
    }

    /// What the run looks like right now.
    #[must_use]
    pub fn live(&self) -> Live {
        let elapsed = self.started().map(|started| started.elapsed());
        let mut live = Live { elapsed, users: self.users(), ..Live::default() };
        let now = elapsed.map_or(0, whole_seconds);
        let window = now.saturating_sub(LIVE_SECONDS)..now.max(1);
        let mut recent = Tally::default();
        for shard in &self.shards {
            let records = lock(shard);
            live.sent += records.sent;
            live.errors += records.errors;
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
        let endpoints = merged.endpoints.into_iter().map(endpoint).collect();
        let failures = merged.failures.into_iter().map(failure).collect();
        (endpoints, failures)
    }

    fn second_of(&self, moment: Instant) -> u32 {
        self.started().map_or(0, |started| whole_seconds(moment.saturating_duration_since(started)))
    }
}

impl Records {
    fn second(&mut self, endpoint: &'static str, second: u32) -> &mut Tally {
        let records = self.endpoints.entry(endpoint).or_default();
        records.seconds.entry(second).or_default()
    }

    fn record(&mut self, second: u32, sample: Sample) {
        let kind = sample.failure.as_ref().map(|(kind, _)| *kind);
        let tally = self.second(sample.endpoint, second);
        tally.counts.count(kind);
        let counts_as_latency = matches!(kind, None | Some(FailureKind::TimedOut));
        if counts_as_latency {
            tally.latency.record(sample.last_byte.saturating_duration_since(sample.intended));
        }
        let records = self.endpoints.entry(sample.endpoint).or_default();
        if counts_as_latency {
            records.service_time.record(sample.last_byte.saturating_duration_since(sample.sent));
        }
        records.bytes += sample.bytes;
        if let Some(status) = sample.status {
            *records.statuses.entry(status).or_default() += 1;
        }
        if let Some(first_byte) = sample.first_byte {
            records.first_byte.record(first_byte.saturating_duration_since(sample.sent));
        }
        if let Some((kind, message)) = sample.failure {
            self.errors += 1;
            let seen = Seen { count: 1, first_second: second, last_second: second };
            self.see((sample.endpoint, kind, message), &seen);
        }
    }

    fn see(&mut self, failure: (&'static str, FailureKind, String), seen: &Seen) {
        self.failures
            .entry(failure)
            .and_modify(|known| {
                known.count += seen.count;
                known.first_second = known.first_second.min(seen.first_second);
                known.last_second = known.last_second.max(seen.last_second);
            })
            .or_insert_with(|| seen.clone());
    }

    fn add(&mut self, other: &Self) {
        for (name, theirs) in &other.endpoints {
            let ours = self.endpoints.entry(name).or_default();
            ours.bytes += theirs.bytes;
            ours.first_byte.merge(&theirs.first_byte);
            ours.service_time.merge(&theirs.service_time);
            for (status, count) in &theirs.statuses {
                *ours.statuses.entry(*status).or_default() += count;
            }
            for (second, tally) in &theirs.seconds {
                ours.seconds.entry(*second).or_default().add(tally);
            }
        }
        for (failure, seen) in &other.failures {
            self.see(failure.clone(), seen);
        }
    }
}

fn endpoint((name, records): (&'static str, EndpointRecords)) -> Endpoint {
    let seconds = records.seconds.into_iter();
    Endpoint {
        name: name.into(),
        statuses: records.statuses,
        bytes: records.bytes,
        first_byte: records.first_byte,
        service_time: records.service_time,
        seconds: seconds
            .map(|(second, Tally { counts, latency })| Second { second, counts, latency })
            .collect(),
    }
}

fn failure(((endpoint, kind, message), seen): ((&str, FailureKind, String), Seen)) -> Failure {
    Failure {
        endpoint: endpoint.into(),
        kind,
        message,
        count: seen.count,
        first_second: seen.first_second,
        last_second: seen.last_second,
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
