//! The catalogue: what can be changed, its unit, its bounds and its configured value.

use std::time::Duration;

use serde::Serialize;

/// Bounds of the cache's time to live, in seconds.
const CACHE_TTL: (i64, i64) = (1, 3600);

/// Lower bound of the page size.
const MIN_PAGE_SIZE: i64 = 10;

/// Bounds of the number of requests in progress. The upper one is more than a process can have.
const ADMISSION: (i64, i64) = (10, 1_000_000);

/// Lower bound of the statement timeout, in milliseconds.
const MIN_STATEMENT_TIMEOUT: i64 = 250;

/// A kind of job may run up to this many times its configured number of jobs at once.
const MAX_WORKER_FACTOR: i64 = 4;

/// How a new value is put into force step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TunableKind {
    /// A share of the requests uses the new value.
    PerRequest,
    /// The value moves by a share of the way from the old to the new one.
    PoolWide,
}

/// Unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Seconds,
    Milliseconds,
    /// Items of a list.
    Items,
    /// Requests in progress.
    Requests,
    /// Jobs that one process runs at once.
    Jobs,
    /// 0: off, 1: on.
    Switch,
}

/// What a tunable changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    CacheTtl,
    /// Position of the topic among [`Defaults::topics`].
    Cached(usize),
    PageSize,
    Admission,
    StatementTimeout,
    /// Kind of the jobs.
    Workers(&'static str),
}

impl Target {
    fn kind(self) -> TunableKind {
        match self {
            Self::CacheTtl | Self::Cached(_) | Self::PageSize | Self::Admission => {
                TunableKind::PerRequest
            }
            Self::StatementTimeout | Self::Workers(_) => TunableKind::PoolWide,
        }
    }
}

/// A setting that can be changed while the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunable {
    /// Name, in `snake_case`.
    pub name: String,
    pub kind: TunableKind,
    pub unit: Unit,
    /// Lower bound.
    pub min: i64,
    /// Upper bound.
    pub max: i64,
    /// The configured value, which is in force until another is set.
    pub default: i64,
    pub description: String,
    pub(super) target: Target,
}

impl Tunable {
    /// Returns whether a value is within the bounds.
    pub fn allows(&self, value: i64) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// The configured values, and what has tunables of its own.
#[derive(Debug, Clone)]
pub struct Defaults {
    pub cache_ttl: Duration,
    /// Names of the topics of the cache.
    pub topics: Vec<&'static str>,
    /// Maximum `limit` of lists.
    pub page_size: i64,
    pub statement_timeout: Duration,
    /// Kinds of jobs, and the number of jobs of each that one process runs at once.
    pub workers: Vec<(&'static str, usize)>,
}

/// Returns all tunables. Bounds always include the configured value.
pub fn catalogue(defaults: &Defaults) -> Vec<Tunable> {
    let page = (MIN_PAGE_SIZE, defaults.page_size);
    let timeout = integer(defaults.statement_timeout.as_millis());
    let mut rows = vec![
        Tunable {
            name: "cache_ttl_seconds".into(),
            unit: Unit::Seconds,
            description: "Maximum age of cached responses".into(),
            ..row(Target::CacheTtl, CACHE_TTL, integer(defaults.cache_ttl.as_secs()))
        },
        Tunable {
            name: "page_size_cap".into(),
            unit: Unit::Items,
            description: "Maximum length of a page of a list".into(),
            ..row(Target::PageSize, page, defaults.page_size)
        },
        Tunable {
            name: "admission_limit".into(),
            unit: Unit::Requests,
            description: "Requests in progress in one process above which API requests are \
                          refused; the upper bound: no limit"
                .into(),
            ..row(Target::Admission, ADMISSION, ADMISSION.1)
        },
        Tunable {
            name: "statement_timeout_ms".into(),
            unit: Unit::Milliseconds,
            description: "Timeout of a database statement".into(),
            ..row(Target::StatementTimeout, (MIN_STATEMENT_TIMEOUT, timeout), timeout)
        },
    ];
    rows.extend(defaults.topics.iter().enumerate().map(|(index, topic)| Tunable {
        name: format!("cache_{topic}"),
        unit: Unit::Switch,
        description: format!("Whether responses of the topic `{topic}` are cached"),
        ..row(Target::Cached(index), (0, 1), 1)
    }));
    rows.extend(defaults.workers.iter().map(|(kind, configured)| {
        let configured = integer(*configured);
        let bounds = (1, configured.saturating_mul(MAX_WORKER_FACTOR));
        Tunable {
            name: format!("workers_{kind}"),
            unit: Unit::Jobs,
            description: format!("Jobs of the kind `{kind}` that one process runs at once"),
            ..row(Target::Workers(kind), bounds, configured)
        }
    }));
    rows
}

/// Returns a tunable without its texts.
fn row(target: Target, (min, max): (i64, i64), default: i64) -> Tunable {
    Tunable {
        name: String::new(),
        kind: target.kind(),
        unit: Unit::Items,
        min: default.min(min),
        max: default.max(max),
        default,
        description: String::new(),
        target,
    }
}

fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
