//! Settings of client connections, and of how they end.

use std::time::Duration;

use clap::Args;

use super::{Environment, parse_positive, parse_seconds};

/// Grace period with `ENVIRONMENT=production`: long enough for a load balancer to stop sending new
/// connections.
const PRODUCTION_GRACE: Duration = Duration::from_secs(5);

/// Grace period on a local machine, where a stop should be quick.
const DEVELOPMENT_GRACE: Duration = Duration::from_secs(1);

/// Settings of client connections, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct ConnectionOptions {
    /// Maximum number of client connections; above it only operational endpoints respond.
    #[arg(long, env = "PLANT_MAX_CONNECTIONS", default_value = "8192")]
    pub max_connections: String,

    /// Maximum number of connections from one IP address; empty: 7/8 of `PLANT_MAX_CONNECTIONS`.
    #[arg(long, env = "PLANT_CONNECTIONS_PER_ADDRESS", default_value = "")]
    pub connections_per_address: String,

    /// Timeout in seconds for receiving the headers, again for the body, and for each write.
    #[arg(long, env = "PLANT_CLIENT_TIMEOUT", default_value = "10")]
    pub client_timeout: String,

    /// Delay in seconds from SIGTERM until the listeners close; empty: 1, or 5 in production.
    #[arg(long, env = "PLANT_SHUTDOWN_GRACE", default_value = "")]
    pub shutdown_grace: String,

    /// Timeout in seconds after that delay for running requests and jobs to finish.
    #[arg(long, env = "PLANT_DRAIN_TIMEOUT", default_value = "20")]
    pub drain_timeout: String,
}

/// Validated settings of client connections; [`ConnectionOptions`] describes each.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionConfig {
    pub max_connections: usize,
    pub connections_per_address: usize,
    pub client_timeout: Duration,
    pub shutdown_grace: Duration,
    pub drain_timeout: Duration,
}

pub(super) fn check(
    options: &ConnectionOptions,
    environment: Environment,
    problems: &mut Vec<String>,
) -> ConnectionConfig {
    let max_connections =
        parse_positive("PLANT_MAX_CONNECTIONS", &options.max_connections, problems);
    let per_address = &options.connections_per_address;
    ConnectionConfig {
        max_connections,
        connections_per_address: if per_address.is_empty() {
            (max_connections - max_connections / 8).max(1)
        } else {
            parse_positive("PLANT_CONNECTIONS_PER_ADDRESS", per_address, problems)
        },
        client_timeout: parse_seconds("PLANT_CLIENT_TIMEOUT", &options.client_timeout, problems),
        shutdown_grace: parse_grace(&options.shutdown_grace, environment, problems),
        drain_timeout: parse_seconds("PLANT_DRAIN_TIMEOUT", &options.drain_timeout, problems),
    }
}

fn parse_grace(text: &str, environment: Environment, problems: &mut Vec<String>) -> Duration {
    if text.is_empty() {
        return match environment {
            Environment::Production => PRODUCTION_GRACE,
            Environment::Development => DEVELOPMENT_GRACE,
        };
    }
    let seconds = text.trim().parse().unwrap_or_else(|_| {
        problems.push(format!("PLANT_SHUTDOWN_GRACE: `{text}` is not a number of seconds"));
        0
    });
    Duration::from_secs(seconds)
}
