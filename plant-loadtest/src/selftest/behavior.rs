//! What a server of known truth does, as data.

/// Behavior of a server. The default answers every request correctly after [`LATENCY_MS`].
#[derive(Clone, Copy, Debug)]
pub struct Behavior {
    /// Faults; the first one that applies to a request is used.
    pub faults: &'static [Fault],
    /// What its `/metrics` exports.
    pub metrics: Metrics,
    /// What becomes of the work that it accepts.
    pub work: Work,
    /// Whether `/health` still answers 200 once the load has begun.
    pub stays_healthy: bool,
    /// Number of requests that it processes concurrently; 0 means no limit.
    pub max_concurrent: usize,
}

impl Behavior {
    /// A server without faults.
    pub const CORRECT: Self = Self {
        faults: &[],
        metrics: Metrics::Healthy,
        work: Work::Completes,
        stays_healthy: true,
        max_concurrent: 0,
    };

    /// Returns a server with `faults` and nothing else wrong.
    #[must_use]
    pub const fn with_faults(faults: &'static [Fault]) -> Self {
        Self { faults, ..Self::CORRECT }
    }

    /// Returns a server whose metrics are `metrics`.
    #[must_use]
    pub const fn with_metrics(metrics: Metrics) -> Self {
        Self { metrics, ..Self::CORRECT }
    }

    /// Returns a server that treats accepted work like `work`.
    #[must_use]
    pub const fn with_work(work: Work) -> Self {
        Self { work, ..Self::CORRECT }
    }
}

/// Latency of responses without a fault, in milliseconds.
pub const LATENCY_MS: u64 = 5;

/// A fault in the responses to some requests.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Name of the endpoint; `*` means all, `!name` all but this one.
    pub endpoint: &'static str,
    /// First second in which it applies, counted from the first request of the load.
    pub from_s: f64,
    /// Second from which it no longer applies.
    pub to_s: f64,
    /// Probability that it applies to a request, from 0 to 1.
    pub share: f64,
    /// How often it applies at most.
    pub limit: u64,
    /// What happens instead.
    pub effect: Effect,
}

impl Fault {
    /// Returns a fault of all requests to `endpoint` during the whole run.
    #[must_use]
    pub const fn always(endpoint: &'static str, effect: Effect) -> Self {
        Self { endpoint, from_s: 0.0, to_s: f64::INFINITY, share: 1.0, limit: u64::MAX, effect }
    }

    /// Returns a fault of a `share` of the requests to `endpoint`.
    #[must_use]
    pub const fn of_share(endpoint: &'static str, share: f64, effect: Effect) -> Self {
        Self { share, ..Self::always(endpoint, effect) }
    }

    /// Returns a fault of a single request to `endpoint`, the first one after `from_s`.
    #[must_use]
    pub const fn once(endpoint: &'static str, from_s: f64, effect: Effect) -> Self {
        Self { from_s, limit: 1, ..Self::always(endpoint, effect) }
    }

    /// Returns a fault of all requests to `endpoint` in a part of the run.
    #[must_use]
    pub const fn between(endpoint: &'static str, from_s: f64, to_s: f64, effect: Effect) -> Self {
        Self { from_s, to_s, ..Self::always(endpoint, effect) }
    }

    /// Returns whether the fault applies to requests to `endpoint` at `second`.
    #[must_use]
    pub fn applies(&self, endpoint: &str, second: f64) -> bool {
        let matches = match self.endpoint.strip_prefix('!') {
            Some(except) => endpoint != except,
            None => self.endpoint == "*" || self.endpoint == endpoint,
        };
        matches && (self.from_s..self.to_s).contains(&second)
    }
}

/// What a server does instead of a correct response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The correct response after this many milliseconds.
    Delay(u64),
    /// The correct response after [`LATENCY_MS`] and this many milliseconds for each second of the
    /// run.
    DelayPerSecond(u64),
    /// The correct response at the end of the time in which the fault applies.
    Stall,
    /// This status with a problem document.
    Status(u16),
    /// This status with a problem document after this many milliseconds.
    SlowStatus(u16, u64),
    /// The correct status with this body.
    Body(&'static str),
    /// Half of the correct body, then the connection is closed.
    Truncate,
    /// The connection is closed without a response.
    Reset,
    /// The correct headers at once, and the body after this many milliseconds.
    SlowBody(u64),
    /// No response.
    Hang,
}

impl Effect {
    /// Returns whether the client gets a correct response.
    #[must_use]
    pub fn is_correct(self) -> bool {
        matches!(self, Self::Delay(_) | Self::DelayPerSecond(_) | Self::Stall | Self::SlowBody(_))
    }
}

/// What a server exports about its process. Seconds count from the first request of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metrics {
    /// 50 MiB of memory, 5 % of one of two CPUs, no restart.
    Healthy,
    /// No `/metrics`.
    Missing,
    /// From this second on, `/metrics` answers 503.
    DeadFrom(f64),
    /// `/metrics` answers 503 in one second.
    OneMissing(f64),
    /// Memory grows by this many MiB per second.
    MemoryGrows(f64),
    /// The process uses this many CPUs.
    UsesCpus(f64),
    /// The process restarts at `at`; `/metrics` answers 503 from `silent_from` until then.
    Restart {
        /// First second without metrics.
        silent_from: f64,
        /// Second of the restart.
        at: f64,
    },
}

/// What becomes of accepted work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// It is completed after 10 ms.
    Completes,
    /// This share of it disappears.
    Disappears(f64),
    /// This share of it fails.
    Fails(f64),
    /// It is completed, but tokens are valid for this many seconds only.
    TokensExpire(u64),
    /// It is completed, but its list answers 503 from the end of the load on.
    ListUnavailable,
    /// It never ends.
    NeverEnds,
    /// This share of it is in the list twice.
    IsDoubled(f64),
    /// All of it gets the same id.
    HasOneId,
    /// The list shows this share of it as started and ended this many days before.
    IsInThePast(f64, i64),
    /// The list shows all of it as started when it ended.
    StartsAtItsEnd,
}
