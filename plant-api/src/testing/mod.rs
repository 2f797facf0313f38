//! Test support: the whole service with a database of its own, called through its router.

pub mod proxy;

use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::Location;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use crate::app::Simulations;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{AccessMode, CorsOrigins, ModelConfig, ProviderConfig, Secret};
use crate::crypto::Sealer;
use crate::db::{self, Db};
use crate::limit::{BodyBudget, Overload, RateLimit};
use crate::metrics::Metrics;
use crate::passwords::PasswordHasher;
use crate::performance_agent::rules::RuleSets;
use crate::performance_agent::{Agent, AgentSettings};
use crate::queue::Queue;
use crate::redis::Redis;
use crate::signature::WebhookKey;
use crate::state::{AccessPolicy, AppState, Handles, RequestLimits};
use crate::token::{Claims, Role, Tokens};
use crate::traces::Traces;
use crate::tunables::Tunables;
use crate::worker::Worker;
use proxy::Proxy;

/// The service under test. Clones share the state.
#[derive(Clone)]
pub struct TestApp {
    router: Router,
    /// Bearer token that is sent with every request.
    token: Option<String>,
    /// OpenAPI description of the router.
    pub api: OpenApi,
    /// The performance agent, which waits for a millisecond between two readings.
    pub agent: Agent,
    /// State of the service; its database role is `plant_app`.
    pub state: AppState,
    /// Connections of the database owner.
    pub owner: PgPool,
}

/// Returns the URL of the tests' Redis, which the test script starts.
pub fn redis_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    std::env::var("REDIS_URL").expect("REDIS_URL must be set, see scripts/services.sh env")
}

/// Signing key of the service under test.
pub const SIGNING_KEY: &str = "signing key of the tests";

/// Secret of the payment provider of the service under test.
pub const WEBHOOK_SECRET: &str = "webhook secret of the tests";

/// Key that seals the secrets of tenants of the service under test.
pub const SECRET_KEY: &str = "secret key of the tests";

/// Admin key of the service under test.
pub const ADMIN_KEY: &str = "admin key of the tests";

fn random_prefix() -> String {
    format!("test:{}", uuid::Uuid::new_v4())
}

/// A simulated model with zero latency that never fails.
pub const INSTANT_MODEL: ModelConfig =
    ModelConfig { seed: 42, median: Duration::ZERO, spread: 0.0, failure_rate: 0.0 };

/// Simulated payment provider without delays whose payments succeed. Nothing listens on its URL.
pub fn instant_provider() -> ProviderConfig {
    ProviderConfig {
        webhook_url: None,
        delay: Duration::ZERO,
        decline_rate: 0.0,
        refund_rate: 0.0,
        repeat_rate: 0.0,
        reorder_rate: 0.0,
        late_rate: 0.0,
        seed: 42,
    }
}

/// Returns this model with the [`instant_provider`].
pub fn simulations(model: ModelConfig) -> Simulations {
    // Port 9 is that of the discard protocol, on which nothing listens.
    Simulations::with(model, &instant_provider(), ([127, 0, 0, 1], 9).into()).unwrap()
}

/// A response of the service.
#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl TestResponse {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// Asserts the status and returns the JSON body; null if the body is empty.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts a `validation-error` and returns its invalid fields.
    #[track_caller]
    pub fn invalid_fields(self) -> Vec<String> {
        let problem = self.expect(422);
        assert_eq!(problem["code"], "validation-error");
        let list = problem["violations"].as_array().unwrap().clone();
        list.into_iter().map(|v| v["field"].as_str().unwrap().to_owned()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl TestApp {
    pub async fn new(owner: PgPool) -> Self {
        Self::with_clock(owner, Clock::System).await
    }

    pub async fn with_clock(owner: PgPool, clock: Clock) -> Self {
        Self::with_access_policy(owner, clock, access_policy(AccessMode::Open)).await
    }

    /// Creates a service with the access mode `required`.
    pub async fn with_required_access(owner: PgPool, clock: Clock) -> Self {
        Self::with_access_policy(owner, clock, access_policy(AccessMode::Required)).await
    }

    /// Creates a service with this access policy.
    pub async fn with_access_policy(
        owner: PgPool,
        clock: Clock,
        access_policy: AccessPolicy,
    ) -> Self {
        let options = (*owner.connect_options()).clone();
        Self::build(owner, options, clock, Redis::default(), access_policy).await
    }

    /// Returns a client of the same service that sends this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Returns a client of the same service with a token of a new account of this customer. The
    /// customer is created if it does not exist.
    pub async fn with_account_of(&self, customer: &str, role: Role) -> Self {
        let claims = self.insert_account(customer, role).await;
        let token = self
            .state
            .access_policy
            .tokens
            .issue_access_token(&claims, self.state.clock.now())
            .unwrap();
        self.with_token(&token)
    }

    /// Inserts an account of this customer with a session. The customer is created if it does not
    /// exist.
    pub async fn insert_account(&self, customer: &str, role: Role) -> Claims {
        let (account, session) = (self.state.clock.new_id(), self.state.clock.new_id());
        let now = self.state.clock.now();
        sqlx::query(
            "with c as (
                insert into customer (id, name, created_at) values ($3, $3, $4)
                on conflict (id) do nothing
            ),
            a as (
                insert into account (id, customer_id, email, password_hash, role, created_at)
                values ($1, $3, $1::text || '@test.local', '', $5, $4)
            )
            insert into session (
                id, account_id, refresh_hash, created_at, refreshed_at, expires_at
            )
            values ($2, $1, sha256($2::text::bytea), $4, $4, $4 + interval '30 days')",
        )
        .bind(account)
        .bind(session)
        .bind(customer)
        .bind(now)
        .bind(role)
        .execute(&self.owner)
        .await
        .unwrap();
        Claims { account, session, role, customer: customer.to_owned() }
    }

    /// Creates a service with its own key prefix in the tests' Redis.
    pub async fn with_redis(owner: PgPool) -> Self {
        Self::with_redis_and_access(owner, AccessMode::Open).await
    }

    /// As [`TestApp::with_redis`], with this access mode.
    pub async fn with_redis_and_access(owner: PgPool, access: AccessMode) -> Self {
        Self::start_with_redis(owner, access, &random_prefix()).await
    }

    /// Creates two replicas of a service with Redis: each with a pool, a cache and a connection to Redis
    /// of its own.
    pub async fn replicas(owner: PgPool) -> [Self; 2] {
        let prefix = random_prefix();
        let first = Self::start_with_redis(owner.clone(), AccessMode::Open, &prefix).await;
        [first, Self::start_with_redis(owner, AccessMode::Open, &prefix).await]
    }

    async fn start_with_redis(owner: PgPool, access: AccessMode, prefix: &str) -> Self {
        let redis = Redis::new(Some(&redis_url())).unwrap();
        tokio::spawn(redis.clone().run_heartbeat(CancellationToken::new()));
        let options = (*owner.connect_options()).clone();
        let policy = access_policy(access);
        let app = Self::build_at(owner, options, Clock::System, redis, policy, prefix).await;
        tokio::spawn(app.state.cache.clone().run_refresh_loop(CancellationToken::new()));
        tokio::spawn(app.state.queue.clone().run_push_loop(CancellationToken::new()));
        app.wait_for_cache().await;
        app
    }

    /// Creates a service with this Redis, whose cache does not become active by itself.
    pub async fn with_redis_at(owner: PgPool, redis: Redis) -> Self {
        let options = (*owner.connect_options()).clone();
        Self::build(owner, options, Clock::System, redis, access_policy(AccessMode::Open)).await
    }

    /// Waits until the cache is active.
    pub async fn wait_for_cache(&self) {
        wait_until(async || self.state.cache.is_active()).await;
    }

    /// Creates a service that connects to the database through a proxy. Its heartbeat does not run.
    pub async fn with_proxy(owner: PgPool) -> (Self, Proxy) {
        let options = owner.connect_options();
        let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
        let options = (*options).clone().host("127.0.0.1").port(proxy.address.port());
        let policy = access_policy(AccessMode::Open);
        (Self::build(owner, options, Clock::System, Redis::default(), policy).await, proxy)
    }

    async fn build(
        owner: PgPool,
        options: PgConnectOptions,
        clock: Clock,
        redis: Redis,
        access_policy: AccessPolicy,
    ) -> Self {
        Self::build_at(owner, options, clock, redis, access_policy, &random_prefix()).await
    }

    /// Builds a service whose keys in Redis have this prefix.
    async fn build_at(
        owner: PgPool,
        options: PgConnectOptions,
        clock: Clock,
        redis: Redis,
        access_policy: AccessPolicy,
        prefix: &str,
    ) -> Self {
        let mut connection = owner.acquire().await.unwrap();
        db::grant_privileges(&mut connection).await.unwrap();
        let metrics = Metrics::new().unwrap();
        let timeout = Duration::from_secs(30);
        let limits = db::DatabaseLimits {
            max_connections: 5,
            acquire_timeout: timeout,
            congestion_target: timeout,
            statement_timeout: timeout,
        };
        let cache = Cache::new(redis.clone(), metrics.cache_requests.clone());
        let defaults = crate::app::tunable_defaults(Duration::from_secs(60), timeout, 16);
        let tunables = Tunables::new(&defaults, metrics.tunables_version.clone());
        cache.set_prefix(prefix.to_owned());
        let state = AppState::from(Handles {
            db: Db::new(options, limits, metrics.db_pool_wait.clone()),
            queue: Queue::new(redis.clone(), &format!("{prefix}:")),
            cache,
            metrics,
            clock,
            access_policy,
            request_limits: RequestLimits {
                request_timeout: timeout,
                body_timeout: timeout,
                max_body_bytes: 100_000,
                body_budget: BodyBudget::for_bodies_of(100_000),
                response_budget: BodyBudget::for_responses(),
            },
            overload: Overload::default(),
            tunables,
            traces: Traces::default(),
            shutdown: CancellationToken::new(),
            write_tasks: TaskTracker::new(),
        });
        let agent = Agent::new(agent_settings());
        let (router, api) = crate::app::router(state.clone(), agent.clone()).unwrap();
        Self { router, token: None, api, agent, state, owner }
    }

    /// Returns the same service with another performance agent.
    pub fn with_agent(self, settings: AgentSettings) -> Self {
        let agent = Agent::new(settings);
        let (router, api) = crate::app::router(self.state.clone(), agent.clone()).unwrap();
        Self { router, api, agent, ..self }
    }

    /// Runs all jobs until none remain, including scheduled jobs, which run at once, and jobs that
    /// other jobs create.
    pub async fn drain_jobs(&self) {
        self.drain_jobs_with(INSTANT_MODEL).await;
    }

    /// Like [`TestApp::drain_jobs`], with this model.
    pub async fn drain_jobs_with(&self, model: ModelConfig) {
        self.drain_jobs_of(&crate::app::worker(&self.state, &simulations(model))).await;
    }

    /// Like [`TestApp::drain_jobs`], with this worker.
    pub async fn drain_jobs_of(&self, worker: &Worker) {
        loop {
            sqlx::query("update job set run_at = now() where state = 'waiting'")
                .execute(&self.owner)
                .await
                .unwrap();
            if worker.run_once().await.unwrap() == 0 {
                return;
            }
        }
    }

    /// Sends a request; returns the response before its body is read.
    pub async fn start_request(&self, mut request: Request<Body>) -> Response {
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request. Asserts that the OpenAPI description contains the response status.
    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.start_request(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        if let Some(statuses) = self.described_statuses(&method, &path) {
            let status = parts.status.as_str();
            assert!(statuses.contains(&status), "{method} {path}: undescribed {status}: {text}");
        }
        TestResponse { status: parts.status, headers: parts.headers, text }
    }

    /// Returns the response statuses that the OpenAPI description lists for an operation.
    fn described_statuses(&self, method: &Method, path: &str) -> Option<Vec<&str>> {
        let matches = |template: &str| {
            let (mut expected, mut actual) = (template.split('/'), path.split('/'));
            let mut segments = expected.by_ref().zip(actual.by_ref());
            let equal = segments.all(|(t, p)| t == p || (t.starts_with('{') && !p.is_empty()));
            equal && template.split('/').count() == path.split('/').count()
        };
        let item = self.api.paths.paths.iter().find(|(template, _)| matches(template))?.1;
        let operation = match method.as_str() {
            "GET" => item.get.as_ref(),
            "PUT" => item.put.as_ref(),
            "POST" => item.post.as_ref(),
            "DELETE" => item.delete.as_ref(),
            "PATCH" => item.patch.as_ref(),
            _ => None,
        }?;
        Some(operation.responses.responses.keys().map(String::as_str).collect())
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> TestResponse {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> TestResponse {
        self.send(json_request(Method::POST, path, &body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> TestResponse {
        self.send(json_request(Method::PUT, path, &body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> TestResponse {
        self.send(json_request(Method::PATCH, path, &body)).await
    }

    /// Sends a POST with an idempotency key.
    pub async fn post_idempotent(&self, key: &str, path: &str, body: &Value) -> TestResponse {
        let mut request = json_request(Method::POST, path, body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }

    /// Creates a resource and returns its id.
    #[track_caller]
    pub fn create(&self, path: &str, body: Value) -> impl Future<Output = String> {
        let response = self.post(path, body);
        async { response.await.expect(201)["id"].as_str().unwrap().to_owned() }
    }

    /// Creates a catalogue agent and the entities that it references.
    pub async fn create_agent(&self, name: &str) -> CatalogueIds {
        let industry =
            self.create("/api/v1/industries", json!({"name": format!("{name}'s industry")})).await;
        let skill = json!({"name": format!("{name}'s skill"), "category": "technical"});
        let skill = self.create("/api/v1/skills", skill).await;
        let role = json!({"name": format!("{name}'s role"), "required_skills": [skill]});
        let job_role = self.create("/api/v1/job-roles", role).await;
        let team = json!({"name": format!("{name}'s team"), "job_role_id": job_role});
        let team = self.create("/api/v1/teams", team).await;
        let agent = json!({
            "name": name, "skill_id": skill, "job_role_id": job_role,
            "industry_id": industry, "team_id": team,
        });
        let agent = self.create("/api/v1/agents", agent).await;
        CatalogueIds { industry, skill, job_role, team, agent }
    }

    /// Creates a customer `{name}` that hires an agent of the same name.
    pub async fn create_hire(&self, name: &str) -> HireIds {
        let catalogue = self.create_agent(name).await;
        let customer = json!({"id": name, "name": "A customer"});
        let customer = self.create("/api/v1/customers", customer).await;
        let hire = json!({"agent_id": catalogue.agent, "duration": "monthly"});
        let path = format!("/api/v1/customers/{customer}/agents");
        HireIds { id: self.create(&path, hire).await, catalogue }
    }
}

/// Ids of a catalogue agent and the entities that it references.
pub struct CatalogueIds {
    pub industry: String,
    pub skill: String,
    pub job_role: String,
    pub team: String,
    pub agent: String,
}

/// Ids of a hired agent and its catalogue agent.
pub struct HireIds {
    pub id: String,
    pub catalogue: CatalogueIds,
}

/// Returns the access policy of the tests.
pub fn access_policy(access_mode: AccessMode) -> AccessPolicy {
    let tokens = Tokens::new(&Secret(SIGNING_KEY.into())).unwrap();
    let admin_key_fingerprint = Some(tokens.hmac(ADMIN_KEY.as_bytes()));
    let password_hasher =
        PasswordHasher::start(NonZeroUsize::new(2), Duration::from_secs(600)).unwrap();
    AccessPolicy {
        access_mode,
        tokens,
        webhook_key: WebhookKey::new(&Secret(WEBHOOK_SECRET.into())).unwrap(),
        sealer: Sealer::new(&Secret(SECRET_KEY.into()), &[]).unwrap(),
        password_hasher,
        rate_limit: RateLimit::new(NonZeroU32::MAX),
        cors_origins: CorsOrigins::Loopback.into(),
        require_verification: false,
        admin_key_fingerprint,
    }
}

/// Returns the settings of the tests' performance agent, with the built-in rules.
pub fn agent_settings() -> AgentSettings {
    AgentSettings {
        id: "agent-of-the-tests".into(),
        port: 8001,
        environment: "development".into(),
        log_level: "info".into(),
        public: serde_json::Map::new(),
        interval: Duration::from_millis(1),
        targets: Vec::new(),
        rules: RuleSets::default(),
    }
}

/// Timeout of [`wait_until`].
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until `condition` returns true, polling it every 5 ms. Panics after 30 s.
#[track_caller]
pub fn wait_until(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let poll = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let result = tokio::time::timeout(WAIT_TIMEOUT, poll).await;
        assert!(result.is_ok(), "{caller}: the condition is still false after {WAIT_TIMEOUT:?}");
    }
}

/// An id that no entity has.
pub const UNKNOWN_ID: &str = "01900000-0000-7000-8000-000000000000";

pub fn json_request(method: Method, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}
