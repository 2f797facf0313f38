//! Settings of the service desks that notes are posted to.

use axum::http::Uri;
use clap::Args;

use super::hosts::{HostRule, parse_rules};
use super::provider::is_http_url;

/// Settings of service desks, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct DeskOptions {
    /// Hosts of service desks, comma-separated: `desk.example.com`, `*.example.com`, with `:port`,
    /// `http://` or `+inside` (may have private addresses) as needed.
    #[arg(long, env = "PLANT_DESK_HOSTS", default_value = "*.servicedesk.local")]
    pub desk_hosts: String,

    /// URL of a fake service desk for `*.servicedesk.local` in open access mode; empty: one in this
    /// process.
    #[arg(long, env = "PLANT_FAKE_DESK_URL", default_value = "")]
    pub fake_desk_url: String,
}

/// Validated settings of service desks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeskConfig {
    /// Hosts to which notes may be posted.
    pub hosts: Vec<HostRule>,
    /// `None`: one in this process.
    pub fake_desk_url: Option<Uri>,
}

pub(super) fn check(options: &DeskOptions, problems: &mut Vec<String>) -> DeskConfig {
    let hosts = parse_rules("PLANT_DESK_HOSTS", &options.desk_hosts, problems);
    let fake_desk_url = (!options.fake_desk_url.is_empty())
        .then(|| options.fake_desk_url.parse::<Uri>().ok().filter(is_http_url));
    if fake_desk_url == Some(None) {
        problems.push("PLANT_FAKE_DESK_URL: not an http:// URL without credentials".into());
    }
    DeskConfig { hosts, fake_desk_url: fake_desk_url.flatten() }
}
