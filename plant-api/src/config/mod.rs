//! Settings, each an environment variable and a command line flag. The doc comment of a field is
//! its `--help` text and its comment in `.env.example` (a test compares the two). All settings are
//! validated at startup, and all problems are reported at once.

mod agent;
mod connections;
mod cors;
mod desk;
mod hosts;
mod provider;
mod public;
mod secrets;
#[cfg(test)]
mod tests;
mod traces;
mod worker;
mod writer;

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

pub use agent::{AgentConfig, AgentOptions};
pub use connections::{ConnectionConfig, ConnectionOptions};
pub use cors::CorsOrigins;
pub use desk::{DeskConfig, DeskOptions};
pub use hosts::{HostPattern, HostRule, is_host_name};
pub use provider::{ProviderConfig, ProviderOptions};
pub use secrets::{Secret, SecretOptions};
pub use traces::{TracesConfig, TracesOptions};
pub use worker::{ModelConfig, WorkerConfig, WorkerOptions};
pub use writer::{SimulatedWriterConfig, WriterConfig, WriterOptions};

/// Upper limit of `PLANT_HASH_THREADS`: each thread allocates 7 MiB.
const MAX_HASH_THREADS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Settings of `plant-api serve` and `plant-api work`, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Addresses to listen on, comma-separated.
    #[arg(long, env = "PLANT_LISTEN", default_value = "127.0.0.1:8001")]
    pub listen: String,

    #[command(flatten)]
    pub database: DatabaseOptions,

    /// Redis URL for the cache and job wake-ups; empty: no cache, workers poll PostgreSQL.
    #[arg(long, env = "REDIS_URL", default_value = "", hide_env_values = true)]
    pub redis_url: String,

    /// Maximum age of cached responses in seconds.
    #[arg(long, env = "REDIS_CACHE_TTL", default_value = "60")]
    pub redis_cache_ttl: String,

    /// Access mode: `open` (a token is needed for account data only) or `required`.
    #[arg(long, env = "PLANT_ACCESS", default_value = "open")]
    pub access: String,

    #[command(flatten)]
    pub secrets: SecretOptions,

    /// Require a verified email for login: `true` or `false`.
    #[arg(long, env = "PLANT_REQUIRE_VERIFICATION", default_value = "false")]
    pub require_verification: String,

    /// Number of password hashing threads, at about 12 ms per login; empty: half the CPU cores,
    /// at least two.
    #[arg(long, env = "PLANT_HASH_THREADS", default_value = "")]
    pub hash_threads: String,

    /// Maximum number of API requests per minute from one IP address (IPv6: one /64), in each process.
    #[arg(long, env = "PLANT_RATE_LIMIT", default_value = "6000000")]
    pub rate_limit: String,

    /// Environment: `development` or `production` (rejects open access and weak secrets).
    #[arg(long, env = "ENVIRONMENT", default_value = "development")]
    pub environment: String,

    /// Origins whose web pages may call the API, comma-separated; `*`: all; `none`; empty: those of
    /// this machine (`localhost`), none in production.
    #[arg(long, env = "PLANT_CORS_ORIGINS", default_value = "")]
    pub cors_origins: String,

    /// Timeout for one request in seconds; the response is then 503.
    #[arg(long, env = "PLANT_REQUEST_TIMEOUT", default_value = "10")]
    pub request_timeout: String,

    /// Maximum size of a request body in bytes.
    #[arg(long, env = "PLANT_BODY_LIMIT", default_value = "1048576")]
    pub body_limit: String,

    #[command(flatten)]
    pub connections: ConnectionOptions,

    #[command(flatten)]
    pub worker: WorkerOptions,

    #[command(flatten)]
    pub provider: ProviderOptions,

    #[command(flatten)]
    pub writer: WriterOptions,

    #[command(flatten)]
    pub desk: DeskOptions,

    #[command(flatten)]
    pub agent: AgentOptions,

    #[command(flatten)]
    pub log: LogOptions,

    #[command(flatten)]
    pub traces: TracesOptions,
}

/// Settings of the database connection, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct DatabaseOptions {
    /// PostgreSQL URL of the database owner, for migrations; the service switches to plant_app.
    #[arg(long, env = "DATABASE_URL", default_value = "", hide_env_values = true)]
    pub database_url: String,

    /// Same as `DATABASE_URL`, which takes precedence.
    #[arg(long, env = "AI_AGENTS_DATABASE_URL", default_value = "", hide_env_values = true)]
    pub ai_agents_database_url: String,

    /// Size of the database pool; heartbeat, audit, export and agent use one more connection each.
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value = "14")]
    pub database_pool_size: String,
}

/// Logging settings, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct LogOptions {
    /// Minimum log level, or a tracing filter such as `info,plant_api=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// Log format: `text` or `json`.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: String,

    /// Log file, appended to; empty: standard error.
    #[arg(long, env = "LOG_FILE", default_value = "")]
    pub log_file: String,
}

/// Validated settings of `plant-api serve` and `plant-api work`; [`Options`] describes each.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub database: DatabaseConfig,
    /// `None`: Redis is not configured.
    pub redis_url: Option<Secret<String>>,
    pub cache_ttl: Duration,
    pub access_mode: AccessMode,
    pub jwt_secret: Secret<String>,
    /// Secret of the payment provider's signatures.
    pub webhook_secret: Secret<String>,
    /// Key that seals the secrets of tenants.
    pub secret_key: Secret<String>,
    /// Former values of `secret_key`.
    pub old_secret_keys: Vec<Secret<String>>,
    /// `None`: disabled.
    pub admin_key: Option<Secret<String>>,
    pub require_verification: bool,
    /// `None`: half the CPU cores, at least two.
    pub hash_threads: Option<NonZeroUsize>,
    /// API requests per minute from one IP address (IPv6: one /64), in each process.
    pub rate_limit: NonZeroU32,
    pub environment: Environment,
    pub cors_origins: CorsOrigins,
    pub request_timeout: Duration,
    /// In bytes.
    pub body_limit: usize,
    pub connections: ConnectionConfig,
    pub worker: WorkerConfig,
    pub provider: ProviderConfig,
    pub writer: WriterConfig,
    pub desk: DeskConfig,
    pub agent: AgentConfig,
    pub log: LogConfig,
    pub traces: TracesConfig,
    /// The settings that may be shown, by their environment variables.
    pub public: Map<String, Value>,
}

/// Validated settings of the database connection.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// URL with the credentials of the database's owner.
    pub url: Secret<String>,
    /// Size of the pool; heartbeat, audit, export and agent use one more connection each.
    pub pool_size: u32,
}

/// Validated logging settings.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Tracing filter.
    pub level: String,
    pub format: LogFormat,
    /// `None`: standard error.
    pub file: Option<PathBuf>,
}

/// Defines an enum with a [`FromStr`] that accepts the given names.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

string_enum!(
    AccessMode {
        /// A token is needed for account data only.
        Open = "open",
        /// A token is needed, except to read the catalogue, to register, to log in and for the
        /// operational endpoints.
        Required = "required",
    }
);

string_enum!(
    Environment {
        /// Local machine or CI.
        Development = "development",
        /// Production; rejects open access and weak secrets.
        Production = "production",
    }
);

string_enum!(
    /// Format of log lines.
    LogFormat {
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
);

string_enum!(
    /// Decides which traces are exported; `ParentBased…`: only for requests without a trace, otherwise the
    /// sampled flag of the request decides.
    TraceSampler {
        AlwaysOn = "always_on",
        AlwaysOff = "always_off",
        TraceIdRatio = "traceidratio",
        ParentBasedAlwaysOn = "parentbased_always_on",
        ParentBasedAlwaysOff = "parentbased_always_off",
        ParentBasedTraceIdRatio = "parentbased_traceidratio",
    }
);

/// All problems found in the settings, as messages that name the variable.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidSettings(pub Vec<String>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid settings:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for InvalidSettings {}

impl Options {
    /// Validates all settings.
    ///
    /// # Errors
    /// Returns all problems at once; each names its variable.
    pub fn check(self) -> Result<Config, InvalidSettings> {
        let mut problems = Vec::new();
        let environment = parse_name("ENVIRONMENT", &self.environment, &mut problems)
            .unwrap_or(Environment::Development);
        let public = self.public();
        let config = Config {
            listen: parse_addresses("PLANT_LISTEN", &self.listen, &mut problems),
            database: check_database(&self.database, &mut problems),
            redis_url: (!self.redis_url.is_empty()).then(|| Secret(self.redis_url.clone())),
            cache_ttl: parse_seconds("REDIS_CACHE_TTL", &self.redis_cache_ttl, &mut problems),
            access_mode: parse_name("PLANT_ACCESS", &self.access, &mut problems)
                .unwrap_or(AccessMode::Open),
            jwt_secret: Secret(self.secrets.jwt_secret.clone()),
            webhook_secret: Secret(self.secrets.payment_webhook_secret.clone()),
            secret_key: Secret(self.secrets.secret_key.clone()),
            old_secret_keys: secrets::split(&self.secrets.secret_keys_old),
            admin_key: (!self.secrets.admin_key.is_empty())
                .then(|| Secret(self.secrets.admin_key.clone())),
            require_verification: parse_bool(
                "PLANT_REQUIRE_VERIFICATION",
                &self.require_verification,
                &mut problems,
            ),
            hash_threads: parse_hash_threads(&self.hash_threads, &mut problems),
            rate_limit: parse_positive::<u32>("PLANT_RATE_LIMIT", &self.rate_limit, &mut problems)
                .try_into()
                .unwrap_or(NonZeroU32::MIN),
            environment,
            cors_origins: cors::parse(&self.cors_origins, environment, &mut problems),
            request_timeout: parse_seconds(
                "PLANT_REQUEST_TIMEOUT",
                &self.request_timeout,
                &mut problems,
            ),
            body_limit: parse_positive("PLANT_BODY_LIMIT", &self.body_limit, &mut problems),
            connections: connections::check(&self.connections, environment, &mut problems),
            worker: worker::check(&self.worker, &mut problems),
            provider: provider::check(&self.provider, &mut problems),
            writer: writer::check(&self.writer, &mut problems),
            desk: desk::check(&self.desk, &mut problems),
            agent: agent::check(&self.agent, &mut problems),
            log: check_log(self.log, &mut problems),
            traces: traces::check(&self.traces, &mut problems),
            public,
        };
        if let Some(url) = &config.redis_url
            && !["redis://", "unix://", "redis+unix://"]
                .iter()
                .any(|scheme| url.0.starts_with(scheme))
        {
            problems.push("REDIS_URL: must start with redis:// or unix://, or be empty".into());
        }
        secrets::check(&config, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(InvalidSettings(problems)) }
    }
}

impl DatabaseOptions {
    /// Validates the database settings alone, for commands that need no others.
    ///
    /// # Errors
    /// Returns all problems at once; each names its variable.
    pub fn check(&self) -> Result<DatabaseConfig, InvalidSettings> {
        let mut problems = Vec::new();
        let config = check_database(self, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(InvalidSettings(problems)) }
    }
}

fn check_database(options: &DatabaseOptions, problems: &mut Vec<String>) -> DatabaseConfig {
    let url = match options.database_url.as_str() {
        "" => &options.ai_agents_database_url,
        _ => &options.database_url,
    };
    if url.is_empty() {
        problems.push(
            "DATABASE_URL: missing; start a local server with `scripts/services.sh up`, \
             then print its URL with `scripts/services.sh env`"
                .into(),
        );
    } else if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        problems.push("DATABASE_URL: must start with postgres:// or postgresql://".into());
    }
    DatabaseConfig {
        url: Secret(url.clone()),
        pool_size: parse_positive("DATABASE_POOL_SIZE", &options.database_pool_size, problems),
    }
}

fn check_log(options: LogOptions, problems: &mut Vec<String>) -> LogConfig {
    if let Err(e) = options.log_level.parse::<tracing_subscriber::EnvFilter>() {
        problems.push(format!("LOG_LEVEL: {e}"));
    }
    LogConfig {
        level: options.log_level,
        format: parse_name("LOG_FORMAT", &options.log_format, problems).unwrap_or(LogFormat::Text),
        file: (!options.log_file.is_empty()).then(|| options.log_file.into()),
    }
}

fn parse_addresses(name: &str, text: &str, problems: &mut Vec<String>) -> Vec<SocketAddr> {
    let (valid, invalid): (Vec<_>, Vec<_>) =
        text.split(',').map(|part| (part, part.trim().parse())).partition(|(_, p)| p.is_ok());
    for (part, _) in invalid {
        problems.push(format!("{name}: `{part}` is not a socket address such as 127.0.0.1:8001"));
    }
    valid.into_iter().filter_map(|(_, parsed)| parsed.ok()).collect()
}

fn parse_name<T: FromStr<Err = String>>(
    name: &str,
    text: &str,
    problems: &mut Vec<String>,
) -> Option<T> {
    text.parse().map_err(|e| problems.push(format!("{name}: `{text}` {e}"))).ok()
}

fn parse_hash_threads(text: &str, problems: &mut Vec<String>) -> Option<NonZeroUsize> {
    if text.is_empty() {
        return None;
    }
    let threads = text.trim().parse().ok().filter(|threads| *threads <= MAX_HASH_THREADS);
    if threads.is_none() {
        problems.push(format!(
            "PLANT_HASH_THREADS: `{text}` is not an integer from 1 to {MAX_HASH_THREADS}"
        ));
    }
    threads
}

fn parse_bool(name: &str, text: &str, problems: &mut Vec<String>) -> bool {
    if !matches!(text, "true" | "false") {
        problems.push(format!("{name}: `{text}` must be one of true, false"));
    }
    text == "true"
}

/// Parses a positive integer. Returns zero after a problem; the value is then unused.
fn parse_positive<T: FromStr + Default + PartialEq>(
    name: &str,
    text: &str,
    problems: &mut Vec<String>,
) -> T {
    match text.trim().parse::<T>() {
        Ok(value) if value != T::default() => value,
        _ => {
            problems.push(format!("{name}: `{text}` is not a positive integer"));
            T::default()
        }
    }
}

fn parse_seconds(name: &str, text: &str, problems: &mut Vec<String>) -> Duration {
    Duration::from_secs(parse_positive(name, text, problems))
}

/// Parses a number from 0 to `max`. Returns zero after a problem; the value is then unused.
fn parse_number(name: &str, text: &str, max: f64, problems: &mut Vec<String>) -> f64 {
    match text.trim().parse::<f64>() {
        Ok(value) if (0.0..=max).contains(&value) => value,
        _ => {
            problems.push(format!("{name}: `{text}` is not a number from 0 to {max}"));
            0.0
        }
    }
}

fn parse_seed(name: &str, text: &str, problems: &mut Vec<String>) -> u64 {
    text.trim().parse().unwrap_or_else(|_| {
        problems.push(format!("{name}: `{text}` is not an unsigned integer"));
        0
    })
}
