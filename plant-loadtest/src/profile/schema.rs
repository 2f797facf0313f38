//! JSON schema of profiles, with which editors complete and check them.
//!
//! The types describe the format for the schema only; `read.rs` reads it, with the line of every
//! mistake. Tests compare both: every key here is read, and every profile matches the schema.

#![expect(dead_code, reason = "only used to generate the JSON schema")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// Returns the JSON schema of profiles.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(ProfileFile);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

type Table<T> = BTreeMap<String, T>;

/// Who loads a service, when, and which thresholds apply.
#[derive(JsonSchema)]
#[schemars(title = "Profile of plant-loadtest")]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    /// Name of the profile.
    name: String,
    /// Description in one sentence.
    description: Option<String>,
    /// Load model; default `closed`.
    model: Option<Model>,
    /// Spacing of arrivals in the open model; default `steady`.
    arrivals: Option<Arrivals>,
    /// Whether users have no think time; default false.
    saturate: Option<bool>,
    /// Peak number of users; in the open model the size of the virtual user pool.
    #[schemars(range(min = 1))]
    users: Option<u32>,
    /// Users started per second, without stages.
    spawn_rate: Option<f64>,
    /// Arrivals per second in the open model, without stages.
    rate: Option<f64>,
    /// Time at the start that is not judged, such as `30s`.
    warm_up: Option<String>,
    /// Duration of the run, such as `10m`; includes the ramp.
    run_time: Option<String>,
    /// Timeout for one request, such as `60s`; default `30s`.
    timeout: Option<String>,
    /// Load over time.
    stage: Option<Vec<Stage>>,
    /// SLA: a built-in name, or the path of a TOML file.
    sla: Option<String>,
    /// Thresholds, such as `p95 < 300ms`; beside the SLA or instead of it.
    thresholds: Option<Vec<String>>,
    /// The service under test.
    target: Option<Target>,
    /// User classes.
    class: Vec<Class>,
    /// Programs that are run during the load.
    action: Option<Vec<Action>>,
    /// Default paths of reports.
    reports: Option<Reports>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Model {
    /// Users that each wait for their response before the next request.
    Closed,
    /// Arrivals at a rate that does not depend on the responses.
    Open,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Arrivals {
    /// Equal intervals.
    Steady,
    /// Random intervals.
    Poisson,
}

/// A part of a run with one kind of load.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stage {
    /// Name.
    name: String,
    /// Duration, such as `5m`.
    lasts: String,
    /// Constant number of users; 0 for a pause between stages with `iterations`.
    users: Option<u32>,
    /// Number of users at the end of a linear ramp.
    ramp_to_users: Option<u32>,
    /// Constant arrivals per second.
    rate: Option<f64>,
    /// Arrivals per second at the end of a linear ramp.
    ramp_to_rate: Option<f64>,
    /// Arrivals at the start of the stage, in addition to its rate.
    at_once: Option<u32>,
    /// Number of runs of a task that the users share, without think time, within the duration.
    #[schemars(range(min = 1))]
    iterations: Option<u32>,
    /// The user classes whose tasks are run; default all. In the open model, or with `iterations`.
    classes: Option<Vec<String>>,
    /// Whether thresholds apply; by default not in ramps.
    judged: Option<bool>,
}

/// The service under test, and how requests are sent to it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    /// Base URL; `--host` overrides it. Its path is prepended to every path.
    host: Option<String>,
    /// Health check before and after the run: a path, a table, or false. By default the service must
    /// respond to `GET /`.
    health: Option<Health>,
    /// Names of its metrics, or false.
    metrics: Option<Metrics>,
    /// How to find its process; by default the one that listens on the port.
    process: Option<Process>,
    /// Headers of every request.
    headers: Option<Table<String>>,
    /// Whether to use HTTP/2; default false.
    http2: Option<bool>,
    /// Whether each user keeps the cookies that it receives; default true.
    cookies: Option<bool>,
    /// Share of the requests whose `traceparent` has the sampled flag, or false: no `traceparent`; default
    /// 0.01.
    traces: Option<Traces>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Traces {
    Off(bool),
    Sampled(f64),
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Health {
    Off(bool),
    Path(String),
    Check(HealthCheck),
}

/// A health check.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct HealthCheck {
    /// Path.
    path: String,
    /// Expected status; default 200.
    status: Option<u16>,
    /// Expected values by JSON pointer.
    json: Option<Table<Value>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Metrics {
    Off(bool),
    Names(Box<MetricNames>),
}

/// Names of metrics in the Prometheus format, such as `db_connections{state="idle"}`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetricNames {
    /// Path; default `/metrics`.
    path: Option<String>,
    /// CPU time of the process, in seconds.
    cpu_seconds: Option<String>,
    /// CPUs that the process may use.
    cpus: Option<String>,
    /// Start of the process, in seconds since 1970.
    started_at: Option<String>,
    /// Resident memory, in bytes.
    memory_bytes: Option<String>,
    /// Open files and sockets.
    open_files: Option<String>,
    /// Connections of the database pool that are in use.
    pool_in_use: Option<String>,
    /// Connections of the database pool that are idle.
    pool_idle: Option<String>,
    /// Maximum size of the database pool.
    pool_max: Option<String>,
    /// Total time spent waiting for a connection of the pool, in seconds.
    pool_wait_seconds: Option<String>,
    /// Connections to the database, from all clients.
    database_connections: Option<String>,
    /// Connections to Redis.
    redis_connections: Option<String>,
    /// Requests in progress.
    requests_in_progress: Option<String>,
    /// Lookups that the cache answered.
    cache_hits: Option<String>,
    /// Lookups that the cache could not answer.
    cache_misses: Option<String>,
    /// Waiting jobs.
    queue_depth: Option<String>,
    /// Logged errors.
    logged_errors: Option<String>,
}

/// How to find the process of the service on this machine: one of the two.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Process {
    /// Process id.
    pid: Option<u32>,
    /// Name or id of a Docker container.
    container: Option<String>,
}

/// A user class: one of the program, which only has a name and a weight, or one with tasks.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Class {
    /// Name.
    name: String,
    /// Weight relative to the other classes; default 1.
    #[schemars(range(min = 1))]
    weight: Option<u32>,
    /// Think time after each task: `2s`, or `1s to 3s`; default none.
    wait: Option<String>,
    /// Headers of every request of the class.
    headers: Option<Table<String>>,
    /// Each user takes a row of this file when it starts; the columns become variables.
    feed: Option<Feed>,
    /// Variables that are drawn when a user starts.
    variables: Option<Table<Variable>>,
    /// Steps of a new user, in order.
    on_start: Option<Vec<Step>>,
    /// Tasks, picked by weight.
    task: Option<Vec<Task>>,
    /// Steps of a user that stops.
    on_stop: Option<Vec<Step>>,
}

/// A CSV file with a header; all values are text.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Feed {
    /// Path, relative to the profile's folder.
    file: String,
    /// Order in which rows are taken; default `in-order`.
    order: Option<FeedOrder>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FeedOrder {
    /// One after the other, from all users together; after the last row comes the first.
    InOrder,
    /// At random.
    Random,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Variable {
    Text(String),
    Number(f64),
    Boolean(bool),
    Choice(Choice),
}

/// What a variable is drawn from: one of the three.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// One of these values.
    one_of: Option<Vec<Value>>,
    /// An integer between these two, both included.
    integer: Option<[i64; 2]>,
    /// A number from the first to below the second.
    number: Option<[f64; 2]>,
}

/// A task: one request, or a sequence of steps.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Task {
    /// Weight relative to the other tasks; default 1.
    #[schemars(range(min = 1))]
    weight: Option<u32>,
    /// For each run the next row of this file.
    feed: Option<Feed>,
    /// Steps of a sequence, instead of one request.
    step: Option<Vec<Step>>,
    #[serde(flatten)]
    request: StepKeys,
}

/// A request, what is expected of the response and what is taken from it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(flatten)]
    keys: StepKeys,
}

#[derive(JsonSchema)]
struct StepKeys {
    /// `METHOD /path`, with placeholders: `GET /items/{item}`. Also the name of the endpoint.
    request: Option<String>,
    /// Another name of the endpoint; of a sequence its own name.
    name: Option<String>,
    /// Variables that are drawn for each run.
    variables: Option<Table<Variable>>,
    /// Parameters that are appended to the path.
    query: Option<Table<Value>>,
    /// Headers; they replace those of the class.
    headers: Option<Table<String>>,
    /// Body: any value, sent as JSON. A text that is exactly one placeholder keeps the type.
    json: Option<Value>,
    /// Body: the fields of a form, URL-encoded.
    form: Option<Table<Value>>,
    /// Body: text.
    body: Option<String>,
    /// Content type of `body`; default `text/plain; charset=utf-8`.
    content_type: Option<String>,
    /// Body: the parts of a multipart form, texts and files.
    multipart: Option<Table<FormPart>>,
    /// Expected response.
    expect: Option<Expect>,
    /// Variables and where their values are: a JSON pointer (`/*/id`), `header:NAME` or `cookie:NAME`.
    extract: Option<Table<String>>,
    /// Think time after it: `2s`, or `1s to 3s`.
    wait: Option<String>,
    /// Tags that thresholds may name.
    tags: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum FormPart {
    Text(String),
    Number(f64),
    Boolean(bool),
    File(FormFile),
}

/// A file of a multipart form.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct FormFile {
    /// Path, relative to the profile's folder.
    file: String,
    /// Content type; default `application/octet-stream`.
    r#type: Option<String>,
}

/// Expected response.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Status code, or several; default 200 to 299.
    status: Option<Statuses>,
    /// A JSON object with these keys.
    object: Option<Vec<String>>,
    /// A JSON array of objects with these keys; may be empty.
    array: Option<Vec<String>>,
    /// A JSON array of at least one object with these keys.
    non_empty_array: Option<Vec<String>>,
    /// Values by JSON pointer.
    json: Option<Table<Value>>,
    /// Text of the body.
    contains: Option<String>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Statuses {
    One(u16),
    Several(Vec<u16>),
}

/// A program that is run during the load.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Action {
    /// Name in reports; default the name of the script.
    name: Option<String>,
    /// Start, such as `10m`, from the start of the run; scaled like the stages.
    at: String,
    /// Path of the program, relative to the working directory.
    script: String,
    /// Arguments.
    args: Option<Vec<String>>,
}

/// Default paths of reports.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reports {
    /// HTML report.
    html: Option<String>,
    /// Prefix of CSV files.
    csv: Option<String>,
    /// Outcome.
    json: Option<String>,
    /// JUnit XML report.
    junit: Option<String>,
    /// Markdown summary.
    markdown: Option<String>,
    /// Metrics in the JSON format of the platform load tests.
    metrics: Option<String>,
}
