//! The command line of `run`.

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;

use super::report::ReportOptions;
use crate::{duration, load::Share, progress::ProgressFormat, trace::TraceHeader};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Built-in profile (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service [default: the local service that the program is made for]
    #[arg(short = 'H', long, value_name = "URL", help_heading = "Load")]
    pub host: Option<String>,

    /// Peak number of users; overrides the profile
    #[arg(
        short = 'u',
        short_alias = 'c',
        long,
        value_name = "N",
        overrides_with = "users",
        help_heading = "Load"
    )]
    pub users: Option<u32>,

    /// Users started per second, may be fractional; overrides the profile
    #[arg(
        short = 'r',
        short_alias = 's',
        long,
        value_name = "RATE",
        overrides_with = "spawn_rate",
        help_heading = "Load"
    )]
    pub spawn_rate: Option<f64>,

    /// Peak arrivals per second (open profiles only); overrides the profile. All stages are scaled
    /// by the same factor
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, help_heading = "Load")]
    pub rate: Option<f64>,

    /// Duration of the run including the ramp, e.g. 30s, 10m, 1h30m; overrides the profile
    #[arg(short = 't', long, value_name = "DURATION", value_parser = duration::parse_positive, help_heading = "Load")]
    pub run_time: Option<Duration>,

    /// Factor for all stage durations, for a short trial of a profile (0.1 = one tenth). Stages are
    /// rounded up to a second, think time is unchanged, and the reports note the scaling
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, help_heading = "Load")]
    pub time_scale: f64,

    /// Start the load at this time, such as 2026-05-04T12:00:00Z, so that several load generators start
    /// together; see `merge`. The checks are made before
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "ui",
        help_heading = "Load",
        hide_short_help = true
    )]
    pub start_at: Option<DateTime<Utc>>,

    /// Run one of COUNT equal shares of the load, INDEX from 0, such as 2/4. The run has no verdict; see `merge`
    #[arg(
        long,
        value_name = "INDEX/COUNT",
        requires = "json",
        conflicts_with = "ui",
        help_heading = "Load",
        hide_short_help = true
    )]
    pub share: Option<Share>,

    /// Timeout for one request [default: that of the profile, else 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, help_heading = "Load")]
    pub timeout: Option<Duration>,

    /// Share of the requests whose `traceparent` has the sampled flag, 0 to 1; `off`: no `traceparent`
    /// [default: that of the profile, else 0.01]
    #[arg(long, value_name = "SHARE", help_heading = "Load", hide_short_help = true)]
    pub traces: Option<TraceHeader>,

    /// How long to wait after the load for accepted work to end
    /// [default: twice the highest limit of the SLA for that time, at least 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, help_heading = "Load", hide_short_help = true)]
    pub drain_timeout: Option<Duration>,

    /// Password of the test accounts, for a service that requires authentication
    /// [default: that of the seeded accounts]
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "LOAD_TEST_PASSWORD",
        hide_env_values = true,
        help_heading = "Load",
        hide_short_help = true
    )]
    pub password: Option<String>,

    /// Print the plan and send no requests
    #[arg(long, help_heading = "Load")]
    pub dry_run: bool,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long, help_heading = "Verdict")]
    pub strict: bool,

    /// Print every threshold with its state, and how the grade follows
    #[arg(long, help_heading = "Verdict")]
    pub explain: bool,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long, help_heading = "Load")]
    pub allow_remote: bool,

    /// Serve a live page: thresholds, charts, stop, start again, change users. Changing the users marks
    /// the outcome as advisory
    #[arg(long, conflicts_with = "headless", help_heading = "Live page")]
    pub ui: bool,

    /// Listen address of the dashboard. Access from another machine needs the token in the printed
    /// URL
    #[arg(
        long,
        value_name = "HOST",
        default_value = "127.0.0.1",
        help_heading = "Live page",
        hide_short_help = true
    )]
    pub web_host: String,

    /// Port of the dashboard
    #[arg(long, value_name = "PORT", default_value_t = 8089, help_heading = "Live page")]
    pub web_port: u16,

    /// Run without the dashboard (the default); accepted for compatibility with Locust
    #[arg(long, help_heading = "Live page", hide_short_help = true)]
    pub headless: bool,

    /// Print no progress during the run
    #[arg(short = 'q', long, help_heading = "Output")]
    pub quiet: bool,

    /// Progress output format
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Output",
        hide_short_help = true
    )]
    pub log_format: ProgressFormat,

    /// Serve Prometheus metrics of the load generator at this address during the run; without a
    /// value at 127.0.0.1:9646
    #[arg(
        long = "metrics",
        value_name = "ADDRESS",
        env = "LOAD_TEST_METRICS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:9646",
        help_heading = "Output", hide_short_help = true
    )]
    pub metrics_address: Option<SocketAddr>,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}
