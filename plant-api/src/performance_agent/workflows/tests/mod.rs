//! Workflows on a real database.

mod ends;
mod rollout;
mod routes;

use serde_json::{Value, json};
use sqlx::PgPool;

use super::job::WorkflowHandler;
use crate::clock::Clock;
use crate::performance_agent::AgentSettings;
use crate::performance_agent::rules::change::{Action, ChangeRule, Step};
use crate::performance_agent::rules::{DEFAULT, Rule, RuleSet, RuleSets, Severity};
use crate::testing::{TestApp, agent_settings};
use crate::worker::{AnyJobHandler, Worker};

const LIST: &str = "/api/v1/workflows";

/// Returns settings that always plan these values of tunables. Other rules than that of errors are left
/// out: other tests use CPU and memory of this process.
fn settings(changes: &[(&str, i64)]) -> AgentSettings {
    let settings = agent_settings();
    let mut set: RuleSet = settings.rules.find(DEFAULT).unwrap().clone();
    set.rules.retain(|rule| ["errors", "memory"].contains(&&*rule.name));
    for rule in &mut set.rules {
        rule.changes.clear();
        rule.min_samples = rule.min_samples.min(20);
    }
    let memory = set.rules.pop_if(|rule| rule.name == "memory").unwrap();
    // One finding for each: several changes for one would be alternatives.
    set.rules.extend(changes.iter().map(|(tunable, _)| Rule {
        name: (*tunable).to_owned(),
        finding: (*tunable).to_owned(),
        threshold: 0.001,
        max_severity: Severity::Low,
        changes: vec![(*tunable).to_owned()],
        ..memory.clone()
    }));
    set.changes = changes.iter().map(|(tunable, value)| change_rule(tunable, *value)).collect();
    AgentSettings { rules: RuleSets::of(set), ..settings }
}

fn change_rule(tunable: &str, value: i64) -> ChangeRule {
    let step = Step { set: Some(value), ..Step::default() };
    ChangeRule {
        name: tunable.to_owned(),
        what: String::new(),
        action: Action::Tune { tunable: tunable.to_owned(), step },
        why: String::new(),
        expected_effect: String::new(),
        risk: String::new(),
    }
}

/// The planned change of most tests.
const PAGE_SIZE: (&str, i64) = ("page_size_cap", 50);

/// Score of a service whose only finding is that of which the changes are planned.
const SCORE: f64 = 95.0;

/// Creates a service whose clock stands still, and which applies all values at once.
async fn app(pool: PgPool) -> TestApp {
    let clock = Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap());
    let app = TestApp::with_clock(pool, clock).await.with_agent(settings(&[PAGE_SIZE]));
    let report = "insert into tunable_process values ($1, 1000, now() + interval '1 hour')";
    let process = app.state.tunables.process();
    sqlx::query(report).bind(process).execute(&app.owner).await.unwrap();
    app
}

fn worker(app: &TestApp) -> Worker {
    let handler = WorkflowHandler { state: app.state.clone(), agent: app.agent.clone() };
    crate::app::worker_for(&app.state, vec![AnyJobHandler::new(handler)])
}

/// Runs the job of each workflow that has one, once, as if its delay had passed. Returns how many.
async fn run(app: &TestApp) -> usize {
    sqlx::query("update job set run_at = now() where state = 'waiting'")
        .execute(&app.owner)
        .await
        .unwrap();
    run_ready(app).await
}

/// Runs the jobs that are ready.
async fn run_ready(app: &TestApp) -> usize {
    worker(app).run_once().await.unwrap()
}

/// Creates a workflow with further settings.
async fn create(app: &TestApp, settings: Value) -> String {
    let mut body = json!({"target": "self"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    app.create(LIST, body).await
}

/// Creates a workflow that needs no approval, and lets it measure the time before its first stage.
async fn begin(app: &TestApp, mut settings: Value) -> String {
    settings["requires_approval"] = json!(false);
    let id = create(app, settings).await;
    run(app).await;
    expect(app, &id, "approved", 0).await;
    monitor(app).await;
    id
}

async fn find(app: &TestApp, id: &str) -> Value {
    app.get(&format!("{LIST}/{id}")).await.expect(200)
}

/// Asserts the status and the stage of a workflow.
async fn expect(app: &TestApp, id: &str, status: &str, stage: i64) -> Value {
    let workflow = find(app, id).await;
    assert_eq!(
        (&workflow["status"], &workflow["stage"]),
        (&json!(status), &json!(stage)),
        "{workflow}"
    );
    workflow
}

async fn decide(app: &TestApp, id: &str, decision: &str) -> Value {
    app.post(&format!("{LIST}/{id}/{decision}"), json!({})).await.expect(200)
}

/// Lets the clock advance by the time that is measured, and runs the job.
async fn monitor(app: &TestApp) {
    app.state.clock.advance(chrono::TimeDelta::seconds(60));
    run(app).await;
}

/// Returns the value of a tunable, and the new value and the share of its rollout.
async fn tunable(app: &TestApp, name: &str) -> (i64, Option<(i64, i64)>) {
    let state = app.get(&format!("/api/v1/admin/tunables/{name}")).await.expect(200);
    let rollout = &state["rollout"];
    let rollout = rollout["value"].as_i64().zip(rollout["share_percent"].as_i64());
    (state["value"].as_i64().unwrap(), rollout)
}

/// Makes the jobs that run look like those of a process that was killed, and ready again.
async fn kill_worker(app: &TestApp) {
    sqlx::query(
        "update job
        set state = 'running', worker = 'killed', attempts = attempts + 1,
            lease_until = now() - interval '1 s', claimed_at = now()
        where state in ('ready', 'waiting')",
    )
    .execute(&app.owner)
    .await
    .unwrap();
}
