//! Settings: each an environment variable and a flag. The doc comment is the `--help` text and
//! the comment in `.env.example` (a test compares them). Everything is checked at start, with
//! every problem listed at once.

mod secrets;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

pub use secrets::{Secret, SecretOptions};
pub use work::{ModelConfig, WorkConfig, WorkOptions};

/// Most threads that may hash passwords.
const MOST_HASH_THREADS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// The settings as given, before they are checked.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Addresses to listen on, comma-separated.
    #[arg(long, env = "PLANT_LISTEN", default_value = "127.0.0.1:8001")]
    pub listen: String,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a doc comment for help text")]
    pub database: DatabaseOptions,

    /// Redis, the shared cache; empty: no cache, jobs wake by polling.
    #[arg(long, env = "REDIS_URL", default_value = "", hide_env_values = true)]
    pub redis_url: String,

    /// Seconds that cached answers live at most.
    #[arg(long, env = "REDIS_CACHE_TTL", default_value = "60")]
    pub redis_cache_ttl: String,

    /// Who may use the service: `open` lets the documented journeys run without tokens.
    #[arg(long, env = "PLANT_ACCESS", default_value = "open")]
    pub access: String,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a doc comment for help text")]
    pub secrets: SecretOptions,

    /// `true`: an account's address must be verified before it may log in.
    #[arg(long, env = "PLANT_REQUIRE_VERIFICATION", default_value = "false")]
    pub require_verification: String,

    /// Threads that hash passwords, each busy for 15 ms a login; empty: half the cores.
    #[arg(long, env = "PLANT_HASH_THREADS", default_value = "")]
    pub hash_threads: String,

    /// Requests to the API that one client may make in a minute.
    #[arg(long, env = "PLANT_RATE_LIMIT", default_value = "6000000")]
    pub rate_limit: String,

    /// `development` or `production`; production refuses open access and weak secrets.
    #[arg(long, env = "ENVIRONMENT", default_value = "development")]
    pub environment: String,

    /// Connections accepted at once; further ones wait to be accepted.
    #[arg(long, env = "PLANT_MAX_CONNECTIONS", default_value = "8192")]
    pub max_connections: String,

    /// Seconds after which a request is answered 503.
    #[arg(long, env = "PLANT_REQUEST_TIMEOUT", default_value = "10")]
    pub request_timeout: String,

    /// Seconds a client may take to send a request's headers or its body.
    #[arg(long, env = "PLANT_CLIENT_TIMEOUT", default_value = "10")]
    pub client_timeout: String,

    /// Largest accepted request body in bytes.
    #[arg(long, env = "PLANT_BODY_LIMIT", default_value = "1048576")]
    pub body_limit: String,

    /// Seconds that running requests get to finish after SIGTERM.
    #[arg(long, env = "PLANT_DRAIN_TIMEOUT", default_value = "20")]
    pub drain_timeout: String,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a doc comment for help text")]
    pub work: WorkOptions,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a doc comment for help text")]
    pub log: LogOptions,
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseOptions {
    /// PostgreSQL, as the owner of the database: it migrates; the service switches to plant_app.
    #[arg(long, env = "DATABASE_URL", default_value = "", hide_env_values = true)]
    pub database_url: String,

    /// Most database connections of this process.
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value = "14")]
    pub database_pool_size: String,
}

/// What is logged, how and where to.
#[derive(Debug, Clone, Args)]
pub struct LogOptions {
    /// Least level that is logged, or a tracing filter such as `info,plant_api=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// `text` or `json`.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: String,

    /// File to append the log to; empty: standard error.
    #[arg(long, env = "LOG_FILE", default_value = "")]
    pub log_file: String,
}

/// The settings of a service, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// The database.
    pub database: DatabaseConfig,
    /// Redis, if there is to be one.
    pub redis_url: Option<Secret<String>>,
    /// How long cached answers live at most.
    pub cache_ttl: Duration,
    /// Who may use the service.
    pub access: Access,
    /// What tokens are signed with.
    pub jwt_secret: Secret<String>,
    /// The operator's bearer token, if there is one.
    pub admin_key: Option<Secret<String>>,
    /// Whether an account's address must be verified before it may log in.
    pub require_verification: bool,
    /// Threads that hash passwords; `None`: as many as the machine suggests.
    pub hash_threads: Option<NonZeroUsize>,
    /// Requests to the API that one client may make in a minute.
    pub rate_limit: NonZeroU32,
    /// Whether this is production.
    pub environment: Environment,
    /// Connections accepted at once.
    pub max_connections: usize,
    /// After which a request is answered 503.
    pub request_timeout: Duration,
    /// What a client may take to send headers, and again for the body.
    pub client_timeout: Duration,
    /// Largest accepted body in bytes.
    pub body_limit: usize,
    /// What running requests get after SIGTERM.
    pub drain_timeout: Duration,
    /// Background work.
    pub work: WorkConfig,
    /// Logging.
    pub log: LogConfig,
}

/// Where the database is, checked.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The owner's URL.
    pub url: Secret<String>,
    /// Most connections of this process.
    pub pool_size: u32,
}

/// What is logged, checked.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A tracing filter.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
    /// A file instead of standard error.
    pub file: Option<PathBuf>,
}

/// Defines an enum whose values are spelled as given.
macro_rules! spelled {
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

spelled!(
    /// Who may use the service.
    Access {
        /// Anybody: the documented journeys run without tokens.
        Open = "open",
        /// Bearers of a token.
        Required = "required",
    }
);

spelled!(
    /// What kind of place this runs in.
    Environment {
        /// A laptop or CI.
        Development = "development",
        /// Real customers.
        Production = "production",
    }
);

spelled!(
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// For collectors: one JSON object a line.
        Json = "json",
    }
);

/// Every problem found in the settings, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings cannot be used:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Options {
    /// Checks every setting.
    ///
    /// # Errors
    /// All problems at once, each naming its variable.
    pub fn check(self) -> Result<Config, Problems> {
        let mut found = Vec::new();
        let config = Config {
            listen: addresses("PLANT_LISTEN", &self.listen, &mut found),
            database: check_database(&self.database, &mut found),
            redis_url: (!self.redis_url.is_empty()).then(|| Secret(self.redis_url.clone())),
            cache_ttl: seconds("REDIS_CACHE_TTL", &self.redis_cache_ttl, &mut found),
            access: parsed("PLANT_ACCESS", &self.access, &mut found).unwrap_or(Access::Open),
            jwt_secret: Secret(self.secrets.jwt_secret.clone()),
            admin_key: (!self.secrets.admin_key.is_empty())
                .then(|| Secret(self.secrets.admin_key.clone())),
            require_verification: yes(
                "PLANT_REQUIRE_VERIFICATION",
                &self.require_verification,
                &mut found,
            ),
            hash_threads: hash_threads(&self.hash_threads, &mut found),
            rate_limit: number::<u32>("PLANT_RATE_LIMIT", &self.rate_limit, &mut found)
                .try_into()
                .unwrap_or(NonZeroU32::MIN),
            environment: parsed("ENVIRONMENT", &self.environment, &mut found)
                .unwrap_or(Environment::Development),
            max_connections: number("PLANT_MAX_CONNECTIONS", &self.max_connections, &mut found),
            request_timeout: seconds("PLANT_REQUEST_TIMEOUT", &self.request_timeout, &mut found),
            client_timeout: seconds("PLANT_CLIENT_TIMEOUT", &self.client_timeout, &mut found),
            body_limit: number("PLANT_BODY_LIMIT", &self.body_limit, &mut found),
            drain_timeout: seconds("PLANT_DRAIN_TIMEOUT", &self.drain_timeout, &mut found),
            work: work::check(&self.work, &mut found),
            log: check_log(self.log, &mut found),
        };
        if let Some(url) = &config.redis_url
            && !["redis://", "unix://", "redis+unix://"].iter().any(|s| url.0.starts_with(s))
        {
            found.push("REDIS_URL: must start with redis:// or unix://, or be empty".into());
        }
        secrets::check(&config, &mut found);
        if found.is_empty() { Ok(config) } else { Err(Problems(found)) }
    }
}

impl DatabaseOptions {
    /// Checks the database's settings alone, for commands that need no others.
    ///
    /// # Errors
    /// All problems at once, each naming its variable.
    pub fn check(&self) -> Result<DatabaseConfig, Problems> {
        let mut found = Vec::new();
        let config = check_database(self, &mut found);
        if found.is_empty() { Ok(config) } else { Err(Problems(found)) }
    }
}

fn check_database(options: &DatabaseOptions, found: &mut Vec<String>) -> DatabaseConfig {
    let url = &options.database_url;
    if url.is_empty() {
        found.push(
            "DATABASE_URL: missing; `scripts/services.sh up` starts a local server and \
             `scripts/services.sh env` prints its URL"
                .into(),
        );
    } else if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        found.push("DATABASE_URL: must start with postgres:// or postgresql://".into());
    }
    DatabaseConfig {
        url: Secret(url.clone()),
        pool_size: number("DATABASE_POOL_SIZE", &options.database_pool_size, found),
    }
}

fn check_log(options: LogOptions, found: &mut Vec<String>) -> LogConfig {
    if let Err(e) = options.log_level.parse::<tracing_subscriber::EnvFilter>() {
        found.push(format!("LOG_LEVEL: {e}"));
    }
    LogConfig {
        level: options.log_level,
        format: parsed("LOG_FORMAT", &options.log_format, found).unwrap_or(LogFormat::Text),
        file: (!options.log_file.is_empty()).then(|| options.log_file.into()),
    }
}

fn addresses(name: &str, text: &str, found: &mut Vec<String>) -> Vec<SocketAddr> {
    let (good, bad): (Vec<_>, Vec<_>) =
        text.split(',').map(|part| (part, part.trim().parse())).partition(|(_, p)| p.is_ok());
    for (part, _) in bad {
        found.push(format!("{name}: `{part}` is not an address like 127.0.0.1:8001"));
    }
    good.into_iter().filter_map(|(_, parsed)| parsed.ok()).collect()
}

fn parsed<T: FromStr<Err = String>>(name: &str, text: &str, found: &mut Vec<String>) -> Option<T> {
    text.parse().map_err(|e| found.push(format!("{name}: `{text}` {e}"))).ok()
}

/// Each thread keeps 19 MiB, so a slip of the keyboard must not take the machine's memory.
fn hash_threads(text: &str, found: &mut Vec<String>) -> Option<NonZeroUsize> {
    if text.is_empty() {
        return None;
    }
    let threads = text.trim().parse().ok().filter(|threads| *threads <= MOST_HASH_THREADS);
    if threads.is_none() {
        found.push(format!(
            "PLANT_HASH_THREADS: `{text}` is not a whole number from 1 to {MOST_HASH_THREADS}"
        ));
    }
    threads
}

fn yes(name: &str, text: &str, found: &mut Vec<String>) -> bool {
    if !matches!(text, "true" | "false") {
        found.push(format!("{name}: `{text}` must be one of true, false"));
    }
    text == "true"
}

/// A whole number above zero. After a problem the value does not matter.
fn number<T: FromStr + Default + PartialEq>(name: &str, text: &str, found: &mut Vec<String>) -> T {
    match text.trim().parse::<T>() {
        Ok(value) if value != T::default() => value,
        _ => {
            found.push(format!("{name}: `{text}` is not a whole number above zero"));
            T::default()
        }
    }
}

fn seconds(name: &str, text: &str, found: &mut Vec<String>) -> Duration {
    Duration::from_secs(number(name, text, found))
}
