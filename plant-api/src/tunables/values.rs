//! From stored values to the values in force, for a request and for the process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

use super::catalogue::{Target, Tunable};

/// Number of cohorts that requests are divided into: one per percent.
pub const COHORTS: usize = 100;

/// How much of a new value is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    Zero,
    Tenth,
    Half,
    All,
}

impl Share {
    /// Returns the share in percent.
    pub fn percent(self) -> i16 {
        match self {
            Self::Zero => 0,
            Self::Tenth => 10,
            Self::Half => 50,
            Self::All => 100,
        }
    }

    /// Returns the share of this many percent, or `None` if it is not a stage of a rollout.
    pub fn from_percent(percent: i16) -> Option<Self> {
        [Self::Zero, Self::Tenth, Self::Half, Self::All]
            .into_iter()
            .find(|share| share.percent() == percent)
    }
}

/// A value as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setting {
    /// `None`: the configured value.
    pub value: Option<i64>,
    /// The new value of a rollout and its share.
    pub rollout: Option<(i64, Share)>,
}

impl Setting {
    /// Returns the value for requests of a cohort, within the bounds of this process. The cohorts of a
    /// share include those of every smaller share.
    fn for_cohort(self, tunable: &Tunable, cohort: usize) -> i64 {
        let value = match self.rollout {
            Some((new, share)) if cohort < share.percent().unsigned_abs().into() => new,
            _ => self.value.unwrap_or(tunable.default),
        };
        value.clamp(tunable.min, tunable.max)
    }

    /// Returns the value for the whole process, within its bounds.
    fn for_process(self, tunable: &Tunable) -> i64 {
        let old = self.value.unwrap_or(tunable.default);
        let value = self.rollout.map_or(old, |(new, share)| interpolate(old, new, share));
        value.clamp(tunable.min, tunable.max)
    }
}

/// Returns the value that is a share of the way from `old` to `new`, rounded to the nearest integer.
pub fn interpolate(old: i64, new: i64, share: Share) -> i64 {
    let way = i128::from(new) - i128::from(old);
    let hundredths = way * i128::from(share.percent());
    let moved = (hundredths.abs() + 50) / 100 * hundredths.signum();
    // Between two values of the type.
    i64::try_from(i128::from(old) + moved).unwrap_or(new)
}

/// The values for one request. Everything in the request uses the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTunables {
    /// Maximum age of cached responses.
    pub cache_ttl: Duration,
    /// Maximum `limit` of lists.
    pub page_size: i64,
    /// Number of requests in progress above which API requests are refused.
    pub admission_limit: i64,
    /// One bit for each topic that is not cached.
    uncached_topics: u32,
}

impl RequestTunables {
    /// Returns whether responses of a topic are cached; `index` is its position among
    /// [`Defaults::topics`](super::Defaults::topics).
    pub fn is_cached(&self, index: usize) -> bool {
        self.uncached_topics >> index & 1 == 0
    }

    /// Returns the values that the middleware has added to a request.
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    fn set(&mut self, target: Target, value: i64) {
        match target {
            Target::CacheTtl => self.cache_ttl = Duration::from_secs(unsigned(value)),
            Target::PageSize => self.page_size = value,
            Target::Admission => self.admission_limit = value,
            Target::Cached(index) => self.uncached_topics |= u32::from(value == 0) << index,
            Target::StatementTimeout | Target::Workers(_) => {}
        }
    }
}

/// The values of requests that were not handled by the middleware.
impl Default for RequestTunables {
    fn default() -> Self {
        Self {
            cache_ttl: Duration::from_secs(60),
            page_size: i64::MAX,
            admission_limit: i64::MAX,
            uncached_topics: 0,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestTunables {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

/// The values that a process applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Version of the stored values.
    pub version: i64,
    /// Timeout of a database statement.
    pub statement_timeout: Duration,
    /// Values for requests, by cohort.
    requests: Vec<RequestTunables>,
    /// Kinds of jobs, and the number of jobs of each that this process runs at once.
    workers: HashMap<&'static str, usize>,
}

impl InForce {
    /// Computes the values in force. Settings that the catalogue does not have are ignored: they
    /// belong to another version of the service.
    pub(super) fn new(
        catalogue: &[Tunable],
        version: i64,
        settings: &HashMap<String, Setting>,
    ) -> Self {
        let setting = |tunable: &Tunable| settings.get(&tunable.name).copied().unwrap_or_default();
        let mut in_force = Self {
            version,
            statement_timeout: Duration::MAX,
            requests: vec![RequestTunables::default(); COHORTS],
            workers: HashMap::new(),
        };
        for tunable in catalogue {
            let setting = setting(tunable);
            let value = setting.for_process(tunable);
            match tunable.target {
                Target::StatementTimeout => {
                    in_force.statement_timeout = Duration::from_millis(unsigned(value));
                }
                Target::Workers(kind) => {
                    in_force.workers.insert(kind, usize::try_from(value).unwrap_or(1));
                }
                target => {
                    for (cohort, request) in in_force.requests.iter_mut().enumerate() {
                        request.set(target, setting.for_cohort(tunable, cohort));
                    }
                }
            }
        }
        in_force
    }

    /// Returns the values for requests of a cohort, 0 to 99.
    pub fn for_cohort(&self, cohort: usize) -> RequestTunables {
        self.requests[cohort % COHORTS]
    }

    /// Returns the number of jobs of a kind that this process runs at once; `None` if the kind has no
    /// tunable.
    pub fn workers(&self, kind: &str) -> Option<usize> {
        self.workers.get(kind).copied()
    }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
