//! Settings of the simulated payment provider.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;
use clap::Args;

use super::{parse_number, parse_seed};

/// Settings of the simulated payment provider, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct ProviderOptions {
    /// URL that the simulated payment provider posts its events to; empty: this service.
    #[arg(long, env = "PLANT_PAYMENT_WEBHOOK_URL", default_value = "")]
    pub payment_webhook_url: String,

    /// Delay before each event of the payment provider in milliseconds; late events take ten times.
    #[arg(long, env = "PLANT_PAYMENT_DELAY_MS", default_value = "200")]
    pub payment_delay_ms: String,

    /// Share of payments that are canceled or fail, 0 to 1.
    #[arg(long, env = "PLANT_PAYMENT_DECLINE_RATE", default_value = "0.05")]
    pub payment_decline_rate: String,

    /// Share of successful payments that are refunded, 0 to 1.
    #[arg(long, env = "PLANT_PAYMENT_REFUND_RATE", default_value = "0.02")]
    pub payment_refund_rate: String,

    /// Share of payments whose events are sent twice, 0 to 1.
    #[arg(long, env = "PLANT_PAYMENT_REPEAT_RATE", default_value = "0.1")]
    pub payment_repeat_rate: String,

    /// Share of payments whose events are sent in reverse order, 0 to 1.
    #[arg(long, env = "PLANT_PAYMENT_REORDER_RATE", default_value = "0.05")]
    pub payment_reorder_rate: String,

    /// Share of payments whose last event is late, 0 to 1.
    #[arg(long, env = "PLANT_PAYMENT_LATE_RATE", default_value = "0.05")]
    pub payment_late_rate: String,

    /// Random seed of the simulated payment provider.
    #[arg(long, env = "PLANT_PAYMENT_SEED", default_value = "42")]
    pub payment_seed: String,
}

/// Behaviour of the simulated payment provider. Rates are shares of payments, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderConfig {
    /// `None`: this service.
    pub webhook_url: Option<Uri>,
    pub delay: Duration,
    pub decline_rate: f64,
    pub refund_rate: f64,
    pub repeat_rate: f64,
    pub reorder_rate: f64,
    pub late_rate: f64,
    pub seed: u64,
}

impl ProviderConfig {
    /// Returns the URL of the webhook, or that of `path` of the service that listens on `address`.
    ///
    /// # Errors
    /// When `path` is not a path, which is a bug.
    pub fn webhook_url(&self, address: SocketAddr, path: &str) -> Result<Uri, axum::http::Error> {
        if let Some(url) = &self.webhook_url {
            return Ok(url.clone());
        }
        let mut address = address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let authority = address.to_string();
        Uri::builder().scheme("http").authority(authority).path_and_query(path).build()
    }
}

pub(super) fn check(options: &ProviderOptions, problems: &mut Vec<String>) -> ProviderConfig {
    let mut rate = |name: &str, text: &str| parse_number(name, text, 1.0, problems);
    let decline_rate = rate("PLANT_PAYMENT_DECLINE_RATE", &options.payment_decline_rate);
    let refund_rate = rate("PLANT_PAYMENT_REFUND_RATE", &options.payment_refund_rate);
    let repeat_rate = rate("PLANT_PAYMENT_REPEAT_RATE", &options.payment_repeat_rate);
    let reorder_rate = rate("PLANT_PAYMENT_REORDER_RATE", &options.payment_reorder_rate);
    let late_rate = rate("PLANT_PAYMENT_LATE_RATE", &options.payment_late_rate);
    // All events of a payment must fit into the timeout of its job, 60 s.
    let delay_ms =
        parse_number("PLANT_PAYMENT_DELAY_MS", &options.payment_delay_ms, 2_000.0, problems);
    ProviderConfig {
        webhook_url: parse_url(&options.payment_webhook_url, problems),
        delay: Duration::from_secs_f64(delay_ms / 1000.0),
        decline_rate,
        refund_rate,
        repeat_rate,
        reorder_rate,
        late_rate,
        seed: parse_seed("PLANT_PAYMENT_SEED", &options.payment_seed, problems),
    }
}

/// Returns whether `url` has the form `http://host[:port]/path`. A port that is not one is not an error
/// of [`Uri`].
pub(super) fn is_http_url(url: &Uri) -> bool {
    url.scheme_str() == Some("http") && has_valid_authority(url)
}

/// Returns whether `url` has a host, no credentials, and no port that is not one.
pub(super) fn has_valid_authority(url: &Uri) -> bool {
    let Some(authority) = url.authority() else { return false };
    let text = authority.as_str();
    let after_host = text.strip_prefix(authority.host()).unwrap_or_default();
    let has_valid_port = after_host.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    !authority.host().is_empty() && !text.contains('@') && has_valid_port
}

fn parse_url(text: &str, problems: &mut Vec<String>) -> Option<Uri> {
    if text.is_empty() {
        return None;
    }
    let url = text.parse::<Uri>().ok().filter(is_http_url);
    if url.is_none() {
        // The text is not printed: it may contain credentials.
        problems.push(
            "PLANT_PAYMENT_WEBHOOK_URL: not an http:// URL with a host and without credentials"
                .into(),
        );
    }
    url
}
