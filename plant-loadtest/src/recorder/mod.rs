//! Records what clients measure, by cell, in shards that keep lock contention low.

mod cells;
mod failures;
mod interval;
mod records;
mod slowest;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub use cells::Cells;
pub use failures::{Failures, Occurrences};
pub use interval::{IntervalStats, RequestInterval};
use records::Records;
use reqwest::header::HeaderValue;
pub(crate) use slowest::KEPT as KEPT_SLOWEST;

use crate::{
    failure::FailureKind,
    load::Stage,
    outcome::{ArrivalCell, Counter, EndpointResults, Failure, StageIterations, Tally},
    trace::RequestTrace,
    work::AcceptedWork,
};

/// Length of the sliding window behind the current rate and percentile, in seconds.
const LIVE_WINDOW_S: u32 = 5;

/// For throughput a response counts at its intended start, or this long before its completion if
/// that is later. See [`crate::outcome::EndpointCell::throughput_count`].
const THROUGHPUT_GRACE: Duration = Duration::from_secs(1);

/// The measurements of one request.
#[derive(Debug)]
pub struct RequestSample {
    /// The endpoint's name.
    pub endpoint: &'static str,
    /// Intended start; latency counts from here.
    pub intended_start: Instant,
    /// When the request was sent.
    pub sent_at: Instant,
    /// When the response's headers had arrived.
    pub first_byte: Option<Instant>,
    /// When the response was complete, or the request timed out or failed.
    pub last_byte: Instant,
    /// Status code of the response.
    pub status: Option<u16>,
    /// Size of the response body in bytes.
    pub bytes: u64,
    /// Kind and description of the failure; `None` for a success.
    pub failure: Option<(FailureKind, String)>,
    /// Trace of the request; `None` if it was sent without one.
    pub trace: Option<RequestTrace>,
    /// Header `X-Request-ID` of the response.
    pub request_id: Option<HeaderValue>,
}

/// The part of the recorder that one client writes to.
#[derive(Clone, Copy, Debug)]
pub struct Shard(usize);

/// Collects the measurements of a run in shards, which are merged at the end.
#[derive(Debug)]
pub struct Recorder {
    started_at: OnceLock<Instant>,
    cells: Cells,
    shards: Vec<Mutex<Records>>,
    next_shard: AtomicUsize,
    users: AtomicU32,
    started_by_class: Mutex<BTreeMap<&'static str, u32>>,
    accepted: Mutex<Vec<AcceptedWork>>,
    /// By the index of the stage.
    iterations: Mutex<BTreeMap<usize, Iterations>>,
}

/// What is known of the iterations of a stage.
#[derive(Clone, Copy, Debug, Default)]
struct Iterations {
    users: u32,
    started: u32,
    last_ended: Option<Instant>,
}

/// The current state of a run, for progress output and the exporter.
#[derive(Clone, Debug, Default)]
pub struct LiveStats {
    /// Time since the start of the run; `None` before that.
    pub elapsed: Option<Duration>,
    /// Active users: those that run, in the open model those that are busy.
    pub users: u32,
    /// Requests sent so far.
    pub sent: u64,
    /// Errors so far.
    pub errors: u64,
    /// Arrivals dropped so far, in the open model.
    pub dropped: u64,
    /// Requests per second over the last 5 seconds. The period is extended back to the start of a
    /// cell.
    pub rate: f64,
    /// P95 of latency over the same period, in milliseconds.
    pub p95_ms: Option<f64>,
}

impl Recorder {
    /// Creates a recorder with this number of `shards`, at least one.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            started_at: OnceLock::new(),
            cells: Cells::default(),
            shards: (0..shards.max(1)).map(|_| Mutex::default()).collect(),
            next_shard: AtomicUsize::new(0),
            users: AtomicU32::new(0),
            started_by_class: Mutex::default(),
            accepted: Mutex::default(),
            iterations: Mutex::default(),
        }
    }

    /// Sets the cells in which to record; by default each is one second.
    #[must_use]
    pub fn with_cells(mut self, cells: Cells) -> Self {
        self.cells = cells;
        self
    }

    /// Keeps the statistics of the requests that finish between two calls of [`Self::take_interval`].
    #[must_use]
    pub fn with_intervals(mut self) -> Self {
        for shard in &mut self.shards {
            let records = shard.get_mut().unwrap_or_else(PoisonError::into_inner);
            records.interval = Some(IntervalStats::default());
        }
        self
    }

    /// Returns the statistics of the requests that have finished since the last call; empty unless
    /// [`Self::with_intervals`] was called.
    #[must_use]
    pub fn take_interval(&self) -> IntervalStats {
        let mut interval = IntervalStats::default();
        for shard in &self.shards {
            if let Some(of_shard) = &mut lock(shard).interval {
                interval.add(std::mem::take(of_shard));
            }
        }
        interval
    }

    /// Returns the length of a cell in seconds.
    #[must_use]
    pub fn cell_s(&self) -> u32 {
        self.cells.length_s()
    }

    /// Assigns a shard to a new client, round robin.
    pub fn assign_shard(&self) -> Shard {
        Shard(self.next_shard.fetch_add(1, Relaxed) % self.shards.len())
    }

    /// Sets the run's start to `at`, unless it is already set.
    pub fn start(&self, at: Instant) {
        self.started_at.get_or_init(|| at);
    }

    /// Counts a user of `class` as started and as active. The first one sets the run's start.
    pub fn user_started(&self, class: &'static str) {
        self.start(Instant::now());
        self.user_active();
        self.count_started(class);
    }

    /// Counts a user of `class` as started, but not as active.
    pub fn count_started(&self, class: &'static str) {
        *lock(&self.started_by_class).entry(class).or_default() += 1;
    }

    /// Counts one more active user.
    pub fn user_active(&self) {
        self.users.fetch_add(1, Relaxed);
    }

    /// Counts one active user less: it stopped, or in the open model became idle.
    pub fn user_inactive(&self) {
        self.users.fetch_sub(1, Relaxed);
    }

    /// Returns the number of active users.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }

    /// Returns the start of the run; `None` before that.
    #[must_use]
    pub fn started_at(&self) -> Option<Instant> {
        self.started_at.get().copied()
    }

    /// Returns the number of started users of each class.
    #[must_use]
    pub fn started_by_class(&self) -> BTreeMap<&'static str, u32> {
        lock(&self.started_by_class).clone()
    }

    /// Counts a request as sent; called just before sending.
    pub fn record_sent(&self, shard: Shard, endpoint: &'static str, intended_start: Instant) {
        let cell = self.cell_of(intended_start);
        let mut records = lock(&self.shards[shard.0]);
        records.sent += 1;
        records.cell(endpoint, cell).counts.sent += 1;
    }

    /// Counts a request that was counted as sent as lost: it was given up before it had a result.
    pub fn record_lost(&self, shard: Shard, endpoint: &'static str, intended_start: Instant) {
        let cell = self.cell_of(intended_start);
        lock(&self.shards[shard.0]).cell(endpoint, cell).counts.lost += 1;
    }

    /// Records a finished request.
    pub fn record_finished(&self, shard: Shard, sample: RequestSample) {
        let grace_start =
            sample.last_byte.checked_sub(THROUGHPUT_GRACE).unwrap_or(sample.intended_start);
        let start_cell = self.cell_of(sample.intended_start);
        let throughput_cell = self.cell_of(grace_start.max(sample.intended_start));
        lock(&self.shards[shard.0]).record(start_cell, throughput_cell, sample);
    }

    /// Records a request to `endpoint` that has just finished and is not part of the load.
    pub fn record_outside_load(
        &self,
        shard: Shard,
        endpoint: &'static str,
        failure: Option<(FailureKind, String)>,
    ) {
        let second = self.cell_of(Instant::now());
        lock(&self.shards[shard.0]).record_outside_load(second, endpoint, failure);
    }

    /// Records that the service has just accepted `work`.
    pub fn record_accepted(&self, work: AcceptedWork) {
        let second = self.cell_of(Instant::now());
        lock(&self.accepted).push(AcceptedWork { second, ..work });
    }

    /// Adds `count` to the counter `name` at this moment.
    pub fn count(&self, shard: Shard, name: &'static str, count: u64) {
        let second = self.cell_of(Instant::now());
        lock(&self.shards[shard.0]).count(name, second, count);
    }

    /// Counts that a request to `endpoint` was left out for want of a value.
    pub fn count_skipped(&self, shard: Shard, endpoint: &'static str) {
        lock(&self.shards[shard.0]).endpoints.entry(endpoint).or_default().skipped += 1;
    }

    /// Removes and returns all accepted work recorded so far.
    #[must_use]
    pub fn take_accepted(&self) -> Vec<AcceptedWork> {
        std::mem::take(&mut *lock(&self.accepted))
    }

    /// Counts a user that runs iterations of the stage with this index.
    pub fn iterating_user(&self, stage: usize) {
        lock(&self.iterations).entry(stage).or_default().users += 1;
    }

    /// Counts an iteration of the stage with this index as started.
    pub fn iteration_started(&self, stage: usize) {
        lock(&self.iterations).entry(stage).or_default().started += 1;
    }

    /// Records that an iteration of the stage with this index ended `at` this moment.
    pub fn iteration_ended(&self, stage: usize, at: Instant) {
        let mut iterations = lock(&self.iterations);
        let last_ended = &mut iterations.entry(stage).or_default().last_ended;
        *last_ended = (*last_ended).max(Some(at));
    }

    /// Returns what was run of the `stages` with a fixed number of iterations.
    #[must_use]
    pub fn iterations(&self, stages: &[Stage]) -> Vec<StageIterations> {
        let recorded = lock(&self.iterations);
        let stages = stages.iter().enumerate().filter(|(_, stage)| stage.iterations > 0);
        let of_stages = stages.map(|(index, stage)| {
            let Iterations { users, started, last_ended } =
                recorded.get(&index).copied().unwrap_or_default();
            let elapsed_s = last_ended.zip(self.started_at()).map_or(0.0, |(end, start)| {
                end.saturating_duration_since(start).as_secs_f64() - f64::from(stage.from_s)
            });
            let duration_s = elapsed_s.max(0.0);
            StageIterations { stage: stage.name.clone(), users, started, duration_s }
        });
        of_stages.collect()
    }

    /// Counts an arrival scheduled for `intended_start`.
    pub fn arrival_scheduled(&self, shard: Shard, intended_start: Instant) {
        let cell = self.cell_of(intended_start);
        lock(&self.shards[shard.0]).arrival(cell).scheduled += 1;
    }

    /// Records that a user started the task of an arrival at `now`. With `user_idle`, a user was
    /// idle when the arrival was dispatched: the delay since the intended start is dispatch lag,
    /// caused by the load generator. Otherwise the arrival waited until a
    /// user became free.
    pub fn arrival_started(
        &self,
        shard: Shard,
        intended_start: Instant,
        now: Instant,
        user_idle: bool,
    ) {
        let cell = self.cell_of(intended_start);
        let mut records = lock(&self.shards[shard.0]);
        let arrival = records.arrival(cell);
        let delay = now.saturating_duration_since(intended_start);
        if user_idle {
            arrival.dispatch_lag.record(delay);
        } else {
            arrival.waited += 1;
            arrival.wait.record(delay);
        }
    }

    /// Counts a dropped arrival: no user became free within the request timeout.
    pub fn arrival_dropped(&self, shard: Shard, intended_start: Instant) {
        let cell = self.cell_of(intended_start);
        let mut records = lock(&self.shards[shard.0]);
        records.dropped += 1;
        let arrival = records.arrival(cell);
        arrival.waited += 1;
        arrival.dropped += 1;
    }

    /// Returns the current state of the run.
    #[must_use]
    pub fn live_stats(&self) -> LiveStats {
        let elapsed = self.started_at().map(|started| started.elapsed());
        let mut live = LiveStats { elapsed, users: self.users(), ..LiveStats::default() };
        let now = elapsed.map_or(0, whole_seconds);
        let window = self.cells.start_of(now.saturating_sub(LIVE_WINDOW_S))..now.max(1);
        let mut recent = Tally::default();
        for shard in &self.shards {
            let records = lock(shard);
            live.sent += records.sent;
            live.errors += records.errors;
            live.dropped += records.dropped;
            for endpoint in records.endpoints.values() {
                for (_, tally) in endpoint.cells.range(window.clone()) {
                    recent.add(tally);
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

    /// Returns the endpoints and failures of all shards, merged. Endpoints in `expected` are
    /// included even if they were never requested.
    #[must_use]
    pub fn merge(&self, expected: &[&'static str]) -> (Vec<EndpointResults>, Vec<Failure>) {
        let mut merged = Records::default();
        for endpoint in expected {
            merged.endpoints.entry(endpoint).or_default();
        }
        for shard in &self.shards {
            merged.add(&lock(shard));
        }
        let endpoints = merged.endpoints.into_iter().map(records::endpoint).collect();
        let failures = merged.failures.to_outcome();
        (endpoints, failures)
    }

    /// Returns all counters by cell. Those in `expected` are included even if they were never
    /// incremented.
    #[must_use]
    pub fn counters(&self, expected: &[&'static str]) -> Vec<Counter> {
        let mut merged = Records::default();
        for name in expected {
            merged.counters.entry(name).or_default();
        }
        for shard in &self.shards {
            merged.add_counters_since(&lock(shard), 0);
        }
        merged.counters.into_iter().map(records::counter).collect()
    }

    /// Returns the counters that were incremented, without the cells before the one that contains
    /// `from_second`.
    #[must_use]
    pub fn counters_since(&self, from_second: u32) -> Vec<Counter> {
        let from = self.cells.start_of(from_second);
        let mut merged = Records::default();
        for shard in &self.shards {
            merged.add_counters_since(&lock(shard), from);
        }
        merged.counters.into_iter().map(records::counter).collect()
    }

    /// Returns the arrivals by cell; empty in the closed model.
    #[must_use]
    pub fn arrivals(&self) -> Vec<ArrivalCell> {
        let mut merged = Records::default();
        for shard in &self.shards {
            merged.add_arrivals(&lock(shard));
        }
        merged.arrivals.into_values().collect()
    }

    /// Returns the endpoints, failures and arrivals like [`Self::merge`] and [`Self::arrivals`], but
    /// without the cells before the one that contains `from_second`, and without the distributions of
    /// the time to the first byte and of the service time. Status codes, sizes and failures are those
    /// of the whole run. Much cheaper than [`Self::merge`].
    #[must_use]
    pub fn merge_since(
        &self,
        from_second: u32,
    ) -> (Vec<EndpointResults>, Vec<Failure>, Vec<ArrivalCell>) {
        let from = self.cells.start_of(from_second);
        let mut merged = Records::default();
        for shard in &self.shards {
            merged.add_since(&lock(shard), from);
        }
        let endpoints = merged.endpoints.into_iter().map(records::endpoint).collect();
        let failures = merged.failures.to_outcome();
        (endpoints, failures, merged.arrivals.into_values().collect())
    }

    fn cell_of(&self, moment: Instant) -> u32 {
        let second = self.started_at().map(|started| moment.saturating_duration_since(started));
        self.cells.start_of(second.map_or(0, whole_seconds))
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds the lock, and the counts are consistent after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{ExchangeTimes, Pages, WorkKind, WorkList};

    fn sample(start: Instant, millis: u64, failure: Option<FailureKind>) -> RequestSample {
        RequestSample {
            endpoint: "GET /x",
            intended_start: start,
            sent_at: start,
            first_byte: Some(start),
            last_byte: start + Duration::from_millis(millis),
            status: Some(200),
            bytes: 10,
            failure: failure.map(|kind| (kind, "reason".into())),
            trace: None,
            request_id: None,
        }
    }

    #[test]
    fn samples_of_all_shards_are_merged_by_second() {
        let recorder = Recorder::new(3);
        recorder.user_started("A");
        let started = recorder.started_at().unwrap();
        for index in 0..9_u64 {
            let shard = recorder.assign_shard();
            let start = started + Duration::from_millis(index % 3 * 1000);
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, sample(start, 5, None));
        }
        let (endpoints, failures) = recorder.merge(&["GET /never"]);
        assert!(failures.is_empty());
        let cells = &endpoints[1].cells;
        assert_eq!(endpoints[0].name, "GET /never");
        assert_eq!(cells.iter().map(|cell| cell.counts.sent).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!((endpoints[1].bytes, endpoints[1].statuses[&200]), (90, 9));
    }

    #[test]
    fn merge_since_starts_with_the_cell_that_contains_the_second() {
        let end = Stage { to_s: 86_400, ..Stage::default() };
        let recorder = Recorder::new(1).with_cells(Cells::for_stages(&[end]));
        recorder.user_started("A");
        let shard = recorder.assign_shard();
        let started = recorder.started_at().unwrap();
        for second in [3, 8, 13] {
            let start = started + Duration::from_secs(second);
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, sample(start, 5, None));
        }
        let cells = |from| -> Vec<(u32, u64)> {
            let (endpoints, ..) = recorder.merge_since(from);
            let cells = endpoints[0].cells.iter();
            cells.map(|cell| (cell.second, cell.counts.sent)).collect()
        };
        assert_eq!(recorder.cell_s(), 12);
        assert_eq!(cells(8), [(0, 2), (12, 1)], "second 8 is in the first cell");
        assert_eq!(cells(13), [(12, 1)]);
    }

    #[test]
    fn a_request_counts_in_the_second_of_its_intended_start() {
        let recorder = Recorder::new(1);
        recorder.user_started("A");
        let shard = recorder.assign_shard();
        let start = recorder.started_at().unwrap() + Duration::from_millis(900);
        recorder.record_sent(shard, "GET /x", start);
        recorder.record_finished(shard, sample(start, 2_500, None));
        let (endpoints, _) = recorder.merge(&[]);
        let first = endpoints[0].tally_in(&(0..1));
        assert_eq!((first.counts.sent, first.counts.succeeded, first.latency.len()), (1, 1, 1));
        assert_eq!(first.throughput_count, 0, "it took more than a second");
        assert_eq!(endpoints[0].tally_in(&(2..3)).throughput_count, 1, "a second before its end");
    }

    #[test]
    fn failures_are_no_throughput_and_have_no_service_time() {
        let recorder = Recorder::new(1);
        recorder.user_started("A");
        let shard = recorder.assign_shard();
        let start = recorder.started_at().unwrap();
        for failure in [None, Some(FailureKind::ServerError), Some(FailureKind::TimedOut)] {
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, sample(start, 5, failure));
        }
        let (endpoints, failures) = recorder.merge(&[]);
        assert_eq!(endpoints[0].tally_all().throughput_count, 1);
        assert_eq!(endpoints[0].service_time.len(), 2, "of the success and the timeout");
        assert_eq!(endpoints[0].first_byte.len(), 3);
        assert_eq!(failures.iter().map(|failure| failure.count).sum::<u64>(), 2);
        let live = recorder.live_stats();
        assert_eq!((live.sent, live.errors, live.dropped, live.users), (3, 2, 0, 1));
    }

    #[test]
    fn the_same_failure_in_several_shards_is_one_entry() {
        let recorder = Recorder::new(2);
        let started = Instant::now();
        recorder.start(started);
        for seconds in [9, 2, 5] {
            let shard = recorder.assign_shard();
            let start = started + Duration::from_secs(seconds);
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, sample(start, 5, Some(FailureKind::ServerError)));
        }
        let (_, failures) = recorder.merge(&[]);
        let [failure] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!((failure.count, failure.first_second, failure.last_second), (3, 2, 9));
    }

    #[test]
    fn requests_outside_the_load_and_those_left_out_are_in_no_cell() {
        let recorder = Recorder::new(2);
        recorder.user_started("A");
        let (one, other) = (recorder.assign_shard(), recorder.assign_shard());
        let failure = (FailureKind::ClientError, "401".to_owned());
        recorder.record_outside_load(one, "POST /login", None);
        recorder.record_outside_load(other, "POST /login", Some(failure));
        for shard in [one, other, other] {
            recorder.count_skipped(shard, "POST /login");
        }
        let (endpoints, failures) = recorder.merge(&[]);
        let login = &endpoints[0];
        let counts = login.outside_load;
        assert_eq!((counts.sent, counts.succeeded, counts.client_errors), (2, 1, 1));
        assert_eq!((login.cells.len(), login.skipped), (0, 3));
        assert_eq!((failures.len(), failures[0].message.as_str()), (1, "401"));
    }

    #[test]
    fn accepted_work_is_taken_once_with_the_second_of_its_acceptance() {
        static MAIL: WorkKind = WorkKind {
            name: "mail",
            pages: Pages::Offset,
            id_field: "id",
            accepted_field: "created_at",
            ended_field: "ended_at",
        };
        let recorder = Recorder::new(1);
        let Some(started) = Instant::now().checked_sub(Duration::from_secs(60)) else { return };
        recorder.start(started);
        let list = WorkList { path: "/mails?limit=100".into(), token: None, login: None };
        let now = chrono::DateTime::UNIX_EPOCH;
        let times = ExchangeTimes { sent_at: now, answered_at: now, date: None };
        recorder.record_accepted(AcceptedWork::new(&MAIL, "m-1".into(), list, times));
        let taken = recorder.take_accepted();
        let [work] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!((work.kind.name, work.id.as_str()), ("mail", "m-1"));
        assert!(work.second >= 60, "{work:?}");
        assert!(recorder.take_accepted().is_empty());
    }

    #[test]
    fn counters_are_summed_over_shards_by_second() {
        let recorder = Recorder::new(2);
        let Some(started) = Instant::now().checked_sub(Duration::from_secs(3)) else { return };
        recorder.start(started);
        for count in [2, 3] {
            recorder.count(recorder.assign_shard(), "orders", count);
        }
        let counters = recorder.counters(&["never"]);
        let names: Vec<&str> = counters.iter().map(|counter| counter.name.as_str()).collect();
        assert_eq!(names, ["never", "orders"]);
        assert!(counters[0].cells.is_empty());
        assert_eq!([counters[1].count_in(&(0..3)), counters[1].count_in(&(3..60))], [0, 5]);
        let later = recorder.counters_since(60);
        assert!(later.iter().all(|counter| counter.cells.is_empty()), "{later:?}");
        assert_eq!(recorder.counters_since(3)[0].count_in(&(0..60)), 5);
    }

    #[test]
    fn statuses_are_counted_by_second() {
        let recorder = Recorder::new(2);
        let started = Instant::now();
        recorder.start(started);
        for (second, status) in [(0, Some(200)), (1, Some(404)), (1, Some(200)), (1, None)] {
            let shard = recorder.assign_shard();
            let start = started + Duration::from_secs(second);
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, RequestSample { status, ..sample(start, 5, None) });
        }
        let (endpoints, _) = recorder.merge(&[]);
        let statuses = |seconds| endpoints[0].tally_in(&seconds).statuses;
        assert_eq!(statuses(0..1), [(200, 1)].into());
        assert_eq!(statuses(0..9), [(200, 2), (404, 1)].into());
    }

    #[test]
    fn iterations_are_counted_by_stage_and_timed_from_its_start() {
        let recorder = Recorder::new(1);
        let started = Instant::now();
        recorder.start(started);
        let stage = |name: &str, iterations, from_s| Stage {
            name: name.into(),
            iterations,
            from_s,
            ..Stage::default()
        };
        let stages = [stage("a", 5, 0), stage("pause", 0, 3), stage("b", 7, 4), stage("c", 9, 6)];
        for (index, millis) in [(0, 900), (2, 4_750), (2, 4_250)] {
            recorder.iterating_user(index);
            recorder.iteration_started(index);
            recorder.iteration_ended(index, started + Duration::from_millis(millis));
        }
        let found = recorder.iterations(&stages);
        let found: Vec<(&str, u32, u32, f64)> = found
            .iter()
            .map(|one| (one.stage.as_str(), one.users, one.started, one.duration_s))
            .collect();
        assert_eq!(found, [("a", 1, 1, 0.9), ("b", 2, 2, 0.75), ("c", 0, 0, 0.0)]);
    }

    #[test]
    fn users_are_counted_by_class_and_while_active() {
        let recorder = Recorder::new(1);
        for class in ["A", "B", "B"] {
            recorder.user_started(class);
        }
        recorder.count_started("C");
        recorder.user_inactive();
        assert_eq!(recorder.users(), 2);
        let started: Vec<_> = recorder.started_by_class().into_iter().collect();
        assert_eq!(started, [("A", 1), ("B", 2), ("C", 1)]);
    }

    #[test]
    fn current_rate_and_percentile_are_those_of_the_last_seconds() {
        let recorder = Recorder::new(1);
        let Some(started) = Instant::now().checked_sub(Duration::from_secs(20)) else { return };
        recorder.start(started);
        let shard = recorder.assign_shard();
        for (second, requests, millis) in [(2, 1000, 900), (17, 50, 10)] {
            let start = started + Duration::from_secs(second);
            for _ in 0..requests {
                recorder.record_sent(shard, "GET /x", start);
                recorder.record_finished(shard, sample(start, millis, None));
            }
        }
        let live = recorder.live_stats();
        assert!((live.rate - 10.0).abs() < 1e-9, "50 in 5 s: {}", live.rate);
        assert!(live.p95_ms.unwrap() < 11.0, "{:?}", live.p95_ms);
        assert_eq!(live.sent, 1050);
        assert!(live.elapsed.is_some_and(|elapsed| elapsed >= Duration::from_secs(20)));
    }

    #[test]
    fn arrivals_are_counted_by_the_second_in_which_they_were_scheduled() {
        let recorder = Recorder::new(2);
        let started = Instant::now();
        recorder.start(started);
        let (one, other) = (recorder.assign_shard(), recorder.assign_shard());
        let at = |millis| started + Duration::from_millis(millis);
        for (shard, millis) in [(one, 100), (other, 200), (one, 1_100), (other, 1_200)] {
            recorder.arrival_scheduled(shard, at(millis));
        }
        recorder.arrival_started(one, at(100), at(103), true);
        recorder.arrival_started(other, at(200), at(700), false);
        recorder.arrival_dropped(one, at(1_100));
        recorder.arrival_started(other, at(1_200), at(1_200), true);
        let arrivals = recorder.arrivals();
        let counts: Vec<(u32, u64, u64, u64)> = arrivals
            .iter()
            .map(|cell| (cell.second, cell.scheduled, cell.waited, cell.dropped))
            .collect();
        assert_eq!(counts, [(0, 2, 1, 0), (1, 2, 1, 1)]);
        assert_eq!(arrivals[0].dispatch_lag.len(), 1, "of the one that had an idle user");
        assert_eq!((arrivals[0].wait.len(), arrivals[1].wait.len()), (1, 0));
        assert!(arrivals[0].wait.max_ms().unwrap() >= 499.0);
        assert_eq!(recorder.live_stats().dropped, 1);
    }

    #[test]
    fn latency_includes_successes_and_timeouts_only() {
        let recorder = Recorder::new(1);
        recorder.user_started("A");
        let shard = recorder.assign_shard();
        let start = recorder.started_at().unwrap();
        for kind in [None].into_iter().chain(FailureKind::ALL.iter().copied().map(Some)) {
            recorder.record_sent(shard, "GET /x", start);
            recorder.record_finished(shard, sample(start, 5, kind));
        }
        let (endpoints, failures) = recorder.merge(&[]);
        let total = endpoints[0].tally_all();
        assert!(total.counts.is_consistent());
        assert_eq!((total.latency.len(), total.failure_latency.len()), (2, 5));
        assert_eq!(failures.len(), 6);
    }
}
