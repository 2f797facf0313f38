//! Tests of tunables.

mod values;

use std::time::Duration;

use super::Defaults;

/// Defaults with two topics and two kinds of jobs.
fn defaults() -> Defaults {
    Defaults {
        cache_ttl: Duration::from_secs(60),
        topics: vec!["agents", "skills"],
        page_size: 500,
        statement_timeout: Duration::from_secs(10),
        workers: vec![("generation", 256), ("payment", 3)],
    }
}
