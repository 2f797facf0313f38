//! The routes that collect metrics, list snapshots, analyze them and plan changes.

use std::sync::LazyLock;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::agent::Agent;
use super::analysis::{self, Analysis, SloTarget};
use super::optimization::{self, FindingInput, Plan};
use super::rules::{self, RuleSet};
use super::snapshot::Snapshot;
use super::target::Target;
use super::{collect, sql};
use crate::access::Administrator;
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::Json;
use crate::html_page::HtmlPage;
use crate::page::{Filtered, PageParams};
use crate::state::AppState;

/// Maximum number of objectives in a request.
const MAX_SLO_TARGETS: usize = 100;

/// Maximum number of findings in a request.
const MAX_FINDINGS: usize = 100;

/// Hours of the history that are returned by default.
const DEFAULT_HOURS: i64 = 24;

/// Maximum number of hours of the history: a year.
const MAX_HOURS: i64 = 8_784;

static PAGE: LazyLock<HtmlPage> = LazyLock::new(|| HtmlPage::new(include_str!("page.html")));

/// Returns the routes that collect, analyze and plan, and the page `/agent`.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(collect_metrics))
        .routes(routes!(history))
        .routes(routes!(analyze))
        .routes(routes!(optimize))
        .route("/agent", get(|| async { PAGE.response() }))
}

/// What to collect.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CollectionRequest {
    /// `self`, or the URL of a Prometheus endpoint whose host is in `PLANT_AGENT_TARGETS`.
    #[schema(example = "self", max_length = 2000)]
    target: String,
    /// Rule set that names the metrics of the target; default `plant`.
    #[schema(example = "plant")]
    rules: Option<String>,
}

#[utoipa::path(
    post,
    path = "/api/v1/metrics/collect",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Collect and store a snapshot of the metrics of a target",
    description = "Reads the target twice, `PLANT_AGENT_INTERVAL_MS` apart.",
    request_body = CollectionRequest,
    responses(
        (status = 200, description = "The snapshot", body = Snapshot),
        (status = 403, description = "Administrator rights are required, unless access is open; or the target is not allowed", body = Problem),
        (status = 503, description = "The target does not answer; see Retry-After", body = Problem)
    )
)]
async fn collect_metrics(
    State(state): State<AppState>,
    Extension(agent): Extension<Agent>,
    _: Administrator,
    Json(request): Json<CollectionRequest>,
) -> Result<Json<Snapshot>> {
    collect_of(&state, &agent, &request.target, request.rules.as_deref()).await.map(Json)
}

fn find_rules<'a>(agent: &'a Agent, name: Option<&str>) -> Result<&'a RuleSet> {
    let sets = &agent.settings().rules;
    sets.find(name.unwrap_or(rules::DEFAULT)).ok_or_else(|| {
        let names: Vec<_> = sets.names().collect();
        Error::invalid("rules", "enum", format!("must be one of {}", names.join(", ")))
    })
}

/// Filter for snapshots.
#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryFilter {
    /// Returns only snapshots of this number of hours; default 24.
    #[param(minimum = 1, maximum = 8784, example = 24)]
    hours: Option<i64>,
}

#[utoipa::path(
    get,
    path = "/api/v1/metrics/history",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List stored snapshots, newest first",
    params(HistoryFilter, PageParams),
    responses(
        (status = 200, description = "A page of snapshots", body = Vec<Snapshot>),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn history(
    State(db): State<Db>,
    State(clock): State<Clock>,
    _: Administrator,
    Filtered { filter, page }: Filtered<HistoryFilter>,
    conditions: Preconditions,
) -> Result<Response> {
    let hours = filter.hours.unwrap_or(DEFAULT_HOURS);
    let mut checks = Checks::default();
    checks.require((1..=MAX_HOURS).contains(&hours), "hours", "range", "must be 1 to 8784");
    checks.into_result()?;
    let since = clock.now() - TimeDelta::hours(hours);
    // A page takes long: the connection beside the pool is for what must work when the pool is exhausted.
    let mut connection = db.acquire().await?;
    let rows = sql::list_snapshots(&mut *connection, since, &page);
    let snapshots = page.to_cached_response(rows, |snapshot| snapshot.id).await?;
    Ok(conditions.respond_cached(&snapshots))
}

/// What to analyze: a stored snapshot, or a target of which one is collected.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AnalysisRequest {
    /// Id of a snapshot.
    snapshot_id: Option<Uuid>,
    /// Instead of a snapshot: `self`, or the URL of a Prometheus endpoint.
    #[schema(example = "self", max_length = 2000)]
    target: Option<String>,
    /// Rule set of the target; default `plant`. A snapshot has one already.
    #[schema(example = "plant")]
    rules: Option<String>,
    /// Other thresholds of the rule set's objectives.
    #[serde(default)]
    #[schema(max_items = 100)]
    slo_targets: Option<Vec<SloTarget>>,
}

#[utoipa::path(
    post,
    path = "/api/v1/analysis",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Analyze a snapshot",
    request_body = AnalysisRequest,
    responses(
        (status = 200, description = "The analysis", body = Analysis),
        (status = 403, description = "Administrator rights are required, unless access is open; or the target is not allowed", body = Problem),
        (status = 404, description = "There is no such snapshot", body = Problem),
        (status = 503, description = "The target does not answer; see Retry-After", body = Problem)
    )
)]
async fn analyze(
    State(state): State<AppState>,
    Extension(agent): Extension<Agent>,
    _: Administrator,
    Json(request): Json<AnalysisRequest>,
) -> Result<Json<Analysis>> {
    let targets = request.slo_targets.unwrap_or_default();
    let mut checks = Checks::default();
    let message = "must have at most 100 items";
    checks.require(targets.len() <= MAX_SLO_TARGETS, "slo_targets", "max-items", message);
    checks.into_result()?;
    let snapshot = match (request.snapshot_id, request.target) {
        (Some(id), None) => find_snapshot(&state, id).await?,
        (None, Some(target)) => {
            let rules = request.rules.as_deref();
            // Before a snapshot is collected and stored for nothing.
            analysis::with_targets(find_rules(&agent, rules)?, &targets)?;
            collect_of(&state, &agent, &target, rules).await?
        }
        _ => {
            let message = "send either `snapshot_id` or `target`";
            return Err(Error::invalid("snapshot_id", "exactly-one", message));
        }
    };
    analysis::analyze(&state, &agent, &snapshot, &targets).await.map(Json)
}

async fn collect_of(
    state: &AppState,
    agent: &Agent,
    target: &str,
    rules: Option<&str>,
) -> Result<Snapshot> {
    let target = Target::check(agent, target)?;
    let rules = find_rules(agent, rules)?;
    collect(state, agent, &target, rules, agent.permit_collection()?).await
}

async fn find_snapshot(state: &AppState, id: Uuid) -> Result<Snapshot> {
    let mut connection = state.db.acquire_monitor().await?;
    let snapshot = sql::find_snapshot(&mut *connection, id).await?;
    snapshot.ok_or_else(|| Error::no_such("snapshot"))
}

/// What to plan changes for: an analysis, findings, or a target of which a snapshot is analyzed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct OptimizationRequest {
    /// Id of an analysis.
    analysis_id: Option<Uuid>,
    /// Instead of an analysis: findings of this service.
    #[schema(max_items = 100)]
    findings: Option<Vec<FindingInput>>,
    /// Instead of an analysis: `self`, or the URL of a Prometheus endpoint.
    #[schema(example = "self", max_length = 2000)]
    target: Option<String>,
    /// Rule set of the findings or of the target; default `plant`.
    #[schema(example = "plant")]
    rules: Option<String>,
}

#[utoipa::path(
    post,
    path = "/api/v1/optimization",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Plan changes for findings",
    request_body = OptimizationRequest,
    responses(
        (status = 200, description = "The plan", body = Plan),
        (status = 403, description = "Administrator rights are required, unless access is open; or the target is not allowed", body = Problem),
        (status = 404, description = "There is no such analysis", body = Problem),
        (status = 503, description = "The target does not answer; see Retry-After", body = Problem)
    )
)]
async fn optimize(
    State(state): State<AppState>,
    Extension(agent): Extension<Agent>,
    _: Administrator,
    Json(request): Json<OptimizationRequest>,
) -> Result<Json<Plan>> {
    let rules = request.rules.as_deref();
    let analysis = match (request.analysis_id, request.findings, request.target) {
        (Some(id), None, None) => analysis::find(&state, id).await?,
        (None, Some(findings), None) => {
            let mut checks = Checks::default();
            let message = "must have at most 100 items";
            checks.require(findings.len() <= MAX_FINDINGS, "findings", "max-items", message);
            for (index, finding) in findings.iter().enumerate() {
                finding.check(index, &mut checks);
            }
            checks.into_result()?;
            let set = find_rules(&agent, rules)?;
            let findings = findings.into_iter().enumerate();
            let findings = findings.map(|(index, finding)| finding.into_finding(index, set));
            let findings = findings.collect::<Result<Vec<_>>>()?;
            let own = Target::OwnService.to_string();
            return optimization::plan_for(&state, set, &own, &findings).await.map(Json);
        }
        (None, None, Some(target)) => {
            let snapshot = collect_of(&state, &agent, &target, rules).await?;
            analysis::analyze(&state, &agent, &snapshot, &[]).await?
        }
        _ => {
            let message = "send one of `analysis_id`, `findings` and `target`";
            return Err(Error::invalid("analysis_id", "exactly-one", message));
        }
    };
    optimization::plan(&state, &agent, &analysis).await.map(Json)
}
