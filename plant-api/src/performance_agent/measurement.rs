//! Measurements: what rules compare with thresholds, computed from a snapshot and those before it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::database::{DatabaseMetrics, IndexMetrics, JobMetrics, TableMetrics};
use super::memory::{self, MemorySample};
use super::snapshot::{RouteMetrics, Snapshot};

/// Names of all metrics that rules can refer to, besides those that a rule file defines.
pub const METRICS: &[&str] = &[
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "request_rate",
    "error_rate",
    "route_error_rate",
    "pool_wait_p95_ms",
    "pool_use",
    "cache_hit_ratio",
    "queue_growth_per_second",
    "queue_without_workers",
    "queue_oldest_seconds",
    "cpu_use",
    "memory_mib",
    "memory_growth_mib_per_hour",
    "connection_use",
    "running_statement_seconds",
    "statement_mean_ms",
    "unused_index_mib",
    "sequential_scan_rows",
    "dead_row_ratio",
];

const MIB: f64 = 1024.0 * 1024.0;

/// A table that was vacuumed within this time is being taken care of.
const RECENT_VACUUM_SECONDS: i64 = 300;

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub metric: String,
    /// The route, queue, table, index or statement; `None`: the target as a whole.
    pub subject: Option<String>,
    pub value: f64,
    /// Number of samples that the value is computed from.
    pub samples: u64,
    /// The numbers that the value is computed from.
    pub evidence: Map<String, Value>,
}

/// Snapshots of the same target before a snapshot.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Memory of the process, oldest first.
    pub memory: Vec<MemorySample>,
    /// The tables of the last snapshot, and its time.
    pub tables: Option<(DateTime<Utc>, Vec<TableMetrics>)>,
}

/// Returns all measurements of a snapshot. What has no data is left out.
pub fn measure(snapshot: &Snapshot, history: &History) -> Vec<Measurement> {
    let mut found = Vec::new();
    for route in &snapshot.routes {
        measure_route(route, &mut found);
    }
    measure_target(snapshot, &mut found);
    for queue in &snapshot.queues {
        let (before, after) = (queue.depth_before, queue.depth);
        let evidence = json!({"depth_before": before, "depth": after});
        let subject = Some(&*queue.queue);
        let growth = (after - before) / snapshot.interval_seconds;
        let smaller = before.min(after);
        found.push(one(
            "queue_growth_per_second",
            subject,
            growth,
            smaller.max(0.0) as u64,
            evidence,
        ));
        // For this service the statistics of the database say more: they are by kind.
        if let Some(running) = snapshot.jobs_running.filter(|_| !snapshot.is_of_own_service()) {
            let unattended = if running == 0.0 { smaller } else { 0.0 };
            let evidence = json!({"depth_before": before, "depth": after, "running": running});
            found.push(one("queue_without_workers", subject, unattended, 1, evidence));
        }
    }
    if let Some(growth) = memory::growth(&history.memory) {
        let evidence = json!({
            "snapshots": growth.samples, "from": growth.from, "to": growth.to,
            "first_mib": growth.first / MIB, "last_mib": growth.last / MIB,
        });
        let per_hour = growth.bytes_per_hour / MIB;
        found.push(one("memory_growth_mib_per_hour", None, per_hour, growth.samples, evidence));
    }
    if let Some(database) = &snapshot.database {
        measure_database(database, snapshot.collected_at, history, &mut found);
        let jobs = database.jobs.iter().flatten();
        found.extend(jobs.map(|jobs| without_workers(jobs, snapshot.interval_seconds)));
    }
    for (name, value) in &snapshot.custom {
        found.push(one(name, None, *value, 1, json!({})));
    }
    // Quotients can be infinite, which no JSON can represent.
    found.retain(|measurement| measurement.value.is_finite());
    found
}

fn one(
    metric: &str,
    subject: Option<&str>,
    value: f64,
    samples: u64,
    evidence: Value,
) -> Measurement {
    let evidence = match evidence {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let subject = subject.map(str::to_owned);
    Measurement { metric: metric.to_owned(), subject, value, samples, evidence }
}

fn measure_route(route: &RouteMetrics, found: &mut Vec<Measurement>) {
    let latency = route.latency;
    let quantiles = json!({
        "requests": route.requests, "p50_ms": latency.p50_ms, "p95_ms": latency.p95_ms,
        "p99_ms": latency.p99_ms,
    });
    for (metric, value) in [
        ("latency_p50_ms", latency.p50_ms),
        ("latency_p95_ms", latency.p95_ms),
        ("latency_p99_ms", latency.p99_ms),
    ] {
        if let Some(value) = value {
            found.push(one(metric, Some(&route.route), value, route.requests, quantiles.clone()));
        }
    }
    let errors = route.errors as f64 / route.requests as f64;
    let evidence = json!({"requests": route.requests, "errors": route.errors});
    found.push(one("route_error_rate", Some(&route.route), errors, route.requests, evidence));
}

fn measure_target(snapshot: &Snapshot, found: &mut Vec<Measurement>) {
    let mut add = |metric, value: Option<f64>, samples, evidence| {
        if let Some(value) = value {
            found.push(one(metric, None, value, samples, evidence));
        }
    };
    let requests = snapshot.routes.iter().map(|route| route.requests);
    let requests = requests.fold(0, u64::saturating_add);
    let failing = snapshot.routes.iter().filter(|route| route.errors > 0);
    let failing: Map<String, Value> =
        failing.take(10).map(|route| (route.route.clone(), route.errors.into())).collect();
    add("request_rate", snapshot.request_rate, requests, json!({"requests": requests}));
    let evidence = json!({"requests": requests, "errors_by_route": failing});
    add("error_rate", snapshot.error_rate, requests, evidence);

    let pool = &snapshot.pool;
    let evidence = json!({
        "acquired": pool.acquired, "in_use": pool.in_use, "max": pool.max,
        "wait_p50_ms": pool.wait.p50_ms, "wait_p99_ms": pool.wait.p99_ms,
    });
    add("pool_wait_p95_ms", pool.wait.p95_ms, pool.acquired, evidence.clone());
    add("pool_use", quotient(pool.in_use, pool.max), 1, evidence);

    let cache = &snapshot.cache;
    let evidence = json!({"reads": cache.reads, "hits": cache.hits});
    add("cache_hit_ratio", cache.hit_ratio, cache.reads, evidence);

    let process = &snapshot.process;
    let evidence = json!({
        "cpu_seconds_per_second": process.cpu_seconds_per_second,
        "available_cpus": process.available_cpus,
    });
    add("cpu_use", quotient(process.cpu_seconds_per_second, process.available_cpus), 1, evidence);
    let memory = process.memory_bytes.map(|bytes| bytes / MIB);
    add("memory_mib", memory, 1, json!({"memory_bytes": process.memory_bytes}));
}

fn quotient(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0.0)?;
    Some(part? / whole)
}

fn measure_database(
    database: &DatabaseMetrics,
    now: DateTime<Utc>,
    history: &History,
    found: &mut Vec<Measurement>,
) {
    if let Some(connections) = database.connections {
        let used = quotient(Some(connections.total as f64), Some(connections.max as f64));
        if let Some(used) = used {
            let evidence = json!({
                "connections": connections.total, "active": connections.active,
                "max_connections": connections.max,
            });
            found.push(one("connection_use", None, used, 1, evidence));
        }
    }
    // Longest first: a statement that several sessions run is one.
    let mut seen = HashSet::new();
    let mut running: Vec<_> = database.running_statements.iter().flatten().collect();
    running.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for running in running.into_iter().filter(|running| seen.insert(&running.statement)) {
        let evidence = json!({"pid": running.pid, "wait_event_type": running.wait_event_type});
        let subject = Some(&*running.statement);
        found.push(one("running_statement_seconds", subject, running.seconds, 1, evidence));
    }
    for statement in database.slowest_statements.iter().flatten() {
        let evidence = json!({
            "calls": statement.calls, "max_ms": statement.max_ms, "total_ms": statement.total_ms,
            "rows": statement.rows,
        });
        let (subject, calls) = (Some(&*statement.statement), natural(statement.calls));
        found.push(one("statement_mean_ms", subject, statement.mean_ms, calls, evidence));
    }
    for index in database.unused_indexes.iter().flatten() {
        found.push(unused_index(index));
    }
    for table in database.tables.iter().flatten() {
        found.extend(sequential_scans(table, history));
        found.extend(dead_rows(table, now));
    }
    for jobs in database.jobs.iter().flatten() {
        if let Some(seconds) = jobs.oldest_ready_seconds.filter(|_| !jobs.paused) {
            let evidence = json!({
                "ready": jobs.ready, "running": jobs.running, "workers": jobs.workers,
            });
            let (subject, ready) = (Some(&*jobs.kind), natural(jobs.ready));
            found.push(one("queue_oldest_seconds", subject, seconds, ready, evidence));
        }
    }
}

/// Returns the jobs of a kind that waited for the whole interval while no job of the kind ran. An operator
/// has paused a kind deliberately.
fn without_workers(jobs: &JobMetrics, interval_seconds: f64) -> Measurement {
    let have_waited = jobs.oldest_ready_seconds.is_some_and(|oldest| oldest >= interval_seconds);
    let is_unattended = jobs.running == 0 && !jobs.paused && have_waited;
    let unattended = if is_unattended { jobs.ready } else { 0 };
    let evidence = json!({"ready": jobs.ready, "running": jobs.running, "paused": jobs.paused});
    one("queue_without_workers", Some(&jobs.kind), unattended as f64, 1, evidence)
}

fn unused_index(index: &IndexMetrics) -> Measurement {
    let evidence = json!({
        "table": index.table, "bytes": index.bytes, "index_scans": 0,
        "uses_of_table": index.uses_of_table, "definition": index.definition,
    });
    let mib = index.bytes as f64 / MIB;
    one("unused_index_mib", Some(&index.index), mib, natural(index.uses_of_table), evidence)
}

/// Returns the mean number of rows that a sequential scan of the table has read since the last
/// snapshot, or, without one, since the statistics were reset.
fn sequential_scans(table: &TableMetrics, history: &History) -> Option<Measurement> {
    let earlier = history.tables.as_ref().and_then(|(at, tables)| {
        let earlier = tables.iter().find(|earlier| earlier.table == table.table)?;
        // Fewer scans than before: the statistics were reset.
        (earlier.sequential_scans <= table.sequential_scans).then_some((at, earlier))
    });
    let (scans, rows) = match earlier {
        None => (table.sequential_scans, table.sequential_rows),
        Some((_, earlier)) => (
            table.sequential_scans - earlier.sequential_scans,
            table.sequential_rows - earlier.sequential_rows,
        ),
    };
    let mean = quotient(Some(rows as f64), Some(scans as f64))?;
    let evidence = json!({
        "rows_of_table": table.rows, "sequential_scans": scans, "sequential_rows": rows,
        "index_scans": table.index_scans, "since": earlier.map(|(at, _)| at),
    });
    Some(one("sequential_scan_rows", Some(&table.table), mean, natural(scans), evidence))
}

/// Returns how many times more dead rows there are than make autovacuum start. A table that was vacuumed
/// a short time ago has none to report.
fn dead_rows(table: &TableMetrics, now: DateTime<Utc>) -> Option<Measurement> {
    let is_recent = |vacuum: DateTime<Utc>| (now - vacuum).num_seconds() < RECENT_VACUUM_SECONDS;
    if table.autovacuum && table.last_vacuum.is_some_and(is_recent) {
        return None;
    }
    let ratio = quotient(Some(table.dead_rows as f64), Some(table.autovacuum_at))?;
    let evidence = json!({
        "rows": table.rows, "dead_rows": table.dead_rows, "autovacuum_at": table.autovacuum_at,
        "autovacuum": table.autovacuum, "last_vacuum": table.last_vacuum,
    });
    Some(one("dead_row_ratio", Some(&table.table), ratio, natural(table.dead_rows), evidence))
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
