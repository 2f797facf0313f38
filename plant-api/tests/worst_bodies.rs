//! The worst bodies known: none costs much memory, and each gets a short answer.
//!
//! `cargo test --release --test worst_bodies -- --nocapture` prints time and memory of each.

#[path = "../examples/faults/hostile/bodies.rs"]
mod bodies;

use std::time::Instant;

use peak_alloc::PeakAlloc;
use plant_api::check::Checks;
use plant_api::error::{Problem, Result};
use plant_api::extract::read_json;
use plant_api::plant::agents::change::AgentChanges;
use plant_api::plant::goals::{GoalChanges, NewGoal};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Maximum memory of a request beyond its body.
const MAX_MEMORY_BYTES: usize = 32 << 20;

/// Maximum size of a response.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Bodies as large as the limit on JSON values allows, and as expensive as possible within it.
fn accepted() -> Vec<(&'static str, String)> {
    let goal = |settings: &str| {
        format!(r#"{{"title":"t","schedule":"daily","settings":{{"a":[{settings}0]}}}}"#)
    };
    let levels = |open: &str, close: &str| format!("{}0{},", open.repeat(60), close.repeat(60));
    vec![
        ("accepted objects", goal(&r#"{"":0},"#.repeat(19_990))),
        ("accepted empty objects", goal(&"{},".repeat(39_990))),
        ("accepted lists", goal(&"[0],".repeat(19_990))),
        ("accepted deep objects", goal(&levels(r#"{"":"#, "}").repeat(650))),
        ("accepted deep lists", goal(&levels("[", "]").repeat(650))),
        ("accepted numbers", goal(&"5e-324,".repeat(39_990))),
        ("accepted secrets", goal(&r#"{"token":0},"#.repeat(19_990))),
        ("accepted text", goal(&format!("\"{}\",", "\\u0001".repeat(170_000)))),
        ("accepted words", goal(&format!("{{\"{}\":0}},", "a_".repeat(500_000)))),
    ]
}

fn goal(body: &[u8]) -> Result<()> {
    let goal: NewGoal = read_json(body)?;
    let mut checks = Checks::default();
    checks.settings("settings", &goal.settings);
    checks.into_result()
}

fn goal_changes(body: &[u8]) -> Result<()> {
    read_json::<GoalChanges>(body).map(drop)
}

fn agent_changes(body: &[u8]) -> Result<()> {
    read_json::<AgentChanges>(body).map(drop)
}

#[test]
fn each_is_answered_shortly_and_within_32_mib() {
    let mut all = [bodies::all(), accepted()].concat();
    all.push(("secrets", bodies::secrets()));
    println!("| body | read as | ms | peak MiB | answer bytes |\n|---|---|---:|---:|---:|");
    for (name, body) in &all {
        for (kind, read) in [
            ("goal", goal as fn(&[u8]) -> Result<()>),
            ("goal changes", goal_changes),
            ("agent changes", agent_changes),
        ] {
            MEMORY.reset_peak_usage();
            let (before, started) = (MEMORY.current_usage(), Instant::now());
            let answer = match read(body.as_bytes()) {
                Ok(()) => Vec::new(),
                Err(error) => serde_json::to_vec(&Problem::from(error)).unwrap(),
            };
            let elapsed = started.elapsed().as_secs_f64() * 1e3;
            let peak = MEMORY.peak_usage() - before;
            let mib = peak as f64 / f64::from(1 << 20);
            println!("| {name} | {kind} | {elapsed:.1} | {mib:.1} | {} |", answer.len());
            assert!(peak <= MAX_MEMORY_BYTES, "{name} as {kind}: {mib:.1} MiB");
            assert!(answer.len() <= MAX_RESPONSE_BYTES, "{name} as {kind}: {}", answer.len());
        }
    }
}
