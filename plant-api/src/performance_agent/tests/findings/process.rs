//! Faults of the process.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::super::{analyze_during, find, of_kind, snapshot_during, with_threshold};
use crate::clock::Clock;
use crate::performance_agent::analyze;
use crate::performance_agent::rules::Severity;
use crate::testing::TestApp;

const MIB: usize = 1024 * 1024;

/// Allocates memory whose pages are all in use.
fn allocate(bytes: usize) -> Vec<u8> {
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(1024).for_each(|byte| *byte = 1);
    black_box(memory)
}

/// The value is not exact, because other tests of this process use the CPUs too.
#[sqlx::test(migrations = "../migrations")]
async fn a_busy_process_is_under_cpu_pressure(pool: PgPool) {
    let app = TestApp::new(pool).await.with_agent(with_threshold("cpu", 0.01));
    let burn = async {
        let spin = || {
            let (started, mut number) = (Instant::now(), 1_u64);
            while started.elapsed() < Duration::from_millis(500) {
                number = black_box(number.wrapping_mul(7));
            }
        };
        tokio::task::spawn_blocking(spin).await.unwrap();
    };
    let analysis = analyze_during(&app, burn).await;
    let finding = find(&analysis, "cpu_pressure", None);
    let number = |name: &str| finding.evidence[name].as_f64().unwrap();
    assert!(finding.value > 0.01 && finding.value < 1.5, "{finding:#?}");
    let expected = number("cpu_seconds_per_second") / number("available_cpus");
    assert!((finding.value - expected).abs() < 1e-9);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_large_process_is_under_memory_pressure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let before = snapshot_during(&app, async {}).await;
    let before_mib = before.process.memory_bytes.unwrap() / MIB as f64;
    let app = app.with_agent(with_threshold("memory", before_mib + 150.0));
    let without = analyze_during(&app, async {}).await;
    assert!(of_kind(&without, "memory_pressure").is_empty(), "{without:#?}");
    let memory = allocate(300 * MIB);
    let analysis = analyze_during(&app, async {}).await;
    let finding = find(&analysis, "memory_pressure", None);
    assert!(finding.value > before_mib + 150.0, "{finding:#?}");
    drop(memory);
}

#[sqlx::test(migrations = "../migrations")]
async fn memory_that_grows_from_snapshot_to_snapshot_is_a_leak(pool: PgPool) {
    let clock = Clock::fixed(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000));
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let mut leak = Vec::new();
    let mut analysis = None;
    for _ in 0..10 {
        let last = analyze_during(&app, async {}).await;
        leak.push(allocate(16 * MIB));
        clock.advance(TimeDelta::minutes(2));
        analysis = Some(last);
    }
    let analysis = analysis.unwrap();
    let finding = find(&analysis, "memory_growth", None);
    // 480 MiB per hour; other tests of this process allocate and free memory, too.
    assert!(finding.value > 300.0 && finding.value < 700.0, "{finding:#?}");
    assert_eq!((finding.severity, finding.samples), (Severity::Critical, 10));
    assert_eq!(finding.evidence["snapshots"], 10);

    // The same memory again and again is no leak: the snapshots before are too old to count.
    clock.advance(TimeDelta::hours(7));
    let mut last = None;
    for _ in 0..10 {
        last = Some(analyze_during(&app, async {}).await);
        clock.advance(TimeDelta::minutes(2));
    }
    assert!(of_kind(&last.unwrap(), "memory_growth").is_empty());
    drop(leak);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_memory_of_two_replicas_that_started_together_is_not_compared(pool: PgPool) {
    let clock = Clock::fixed(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000));
    let one = TestApp::with_clock(pool.clone(), clock.clone()).await;
    let other = TestApp::with_clock(pool, clock.clone()).await;
    let mut snapshots = Vec::new();
    for app in [[&one; 5], [&other; 5]].concat() {
        clock.advance(TimeDelta::minutes(2));
        snapshots.push(snapshot_during(app, async {}).await);
    }
    assert_ne!(snapshots[0].process.id, snapshots[9].process.id);
    let run = async |statement: &'static str| {
        sqlx::query(statement).execute(&one.owner).await.unwrap();
    };
    let found = async || {
        let analysis = analyze(&other.state, &other.agent, &snapshots[9], &[]).await.unwrap();
        of_kind(&analysis, "memory_growth").len()
    };
    run("update performance_snapshot p
        set snapshot = jsonb_set(p.snapshot, '{process,memory_bytes}', to_jsonb(n * 1e8))
        from (select id, row_number() over (order by collected_at) n from performance_snapshot) r
        where r.id = p.id")
    .await;
    assert_eq!(found().await, 0);
    run("update performance_snapshot
        set snapshot = jsonb_set(snapshot, '{process,id}', to_jsonb(gen_random_uuid()))")
    .await;
    assert_eq!(found().await, 0);
    run("with id as (select gen_random_uuid() id)
        update performance_snapshot
        set snapshot = jsonb_set(snapshot, '{process,id}', to_jsonb(id.id))
        from id")
    .await;
    assert_eq!(found().await, 1, "of one process");
}
