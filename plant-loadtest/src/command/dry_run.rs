//! `run --dry-run`: prints the plan of a run without sending requests.

use std::fmt::Write as _;

use crate::{
    duration,
    load::{Model, Spacing, Stage},
    profile::{Plan, ReportPaths},
    report::table,
    sla::{Sla, Threshold},
};

/// Renders the plan as text.
#[must_use]
pub fn render(plan: &Plan, sla: &Sla, host: &str, paths: &ReportPaths) -> String {
    let mut text = format!(
        "{}: {}\nTarget: {host}. Dry run: no requests were sent.\n\n",
        plan.profile, plan.description
    );
    // Writing to a String cannot fail.
    let timeout = duration::format(plan.timeout.as_secs());
    if let Some(share) = plan.share {
        let _ = writeln!(text, "Share {share} of the load:");
    }
    let _ = writeln!(text, "{} Timeout of a request: {timeout}.", load(plan));
    let mut table = table::plain(["stage", "from", "to", "load", "judged"]);
    for stage in &plan.stages {
        table.add_row([
            stage.name.clone(),
            duration::format(stage.from_s.into()),
            duration::format(stage.to_s.into()),
            level(stage, plan.model),
            if stage.judged { "yes" } else { "only by thresholds for this stage" }.to_owned(),
        ]);
    }
    let _ = writeln!(text, "{}\n", table::for_stdout(table));
    for action in &plan.actions {
        let command = [std::slice::from_ref(&action.script), &action.args].concat().join(" ");
        let _ = writeln!(text, "Action {} after {:.1} s: {command}", action.name, action.at_s);
    }
    for weighted in plan.classes.iter().filter(|weighted| weighted.weight > 0) {
        let _ = writeln!(
            text,
            "{} × {}: {}",
            weighted.weight, weighted.class.name, weighted.class.description
        );
        for endpoint in weighted.class.endpoints {
            let _ = writeln!(text, "    {}", endpoint.name);
        }
    }
    let _ = writeln!(text, "\nSLA: {}", sla.name);
    for threshold in sla.thresholds.iter().filter(|threshold| threshold.users.contains(plan.users))
    {
        let _ = writeln!(text, "    {}", describe(threshold));
    }
    for limit in sla.over_time.describe() {
        let _ = writeln!(text, "    {limit}");
    }
    for (report, path) in [("HTML", &paths.html), ("CSV", &paths.csv), ("Outcome", &paths.json)] {
        if let Some(path) = path {
            let _ = writeln!(text, "{report}: {}", path.display());
        }
    }
    text
}

/// Describes a threshold: subject, limits, the part of the run and what follows from a violation.
fn describe(threshold: &Threshold) -> String {
    let Threshold { subject, metric, during, .. } = threshold;
    let fail = match threshold.fail_limit {
        None => " (warning)".to_owned(),
        Some(_) if threshold.has_no_warning() => String::new(),
        Some(limit) => format!(" (fail: {limit} {})", metric.unit()),
    };
    let time = |seconds: u32| duration::format(seconds.into());
    let window = threshold.window_s.map(|seconds| format!(", every {}", time(seconds)));
    let abort = threshold.abort_after_s.map(|seconds| match seconds {
        0 => ", aborts the run".to_owned(),
        _ => format!(", aborts the run after {}", time(seconds)),
    });
    format!(
        "{subject}: {metric} {}{fail}{}{}{}",
        threshold.format_limit(),
        during.suffix(),
        window.unwrap_or_default(),
        abort.unwrap_or_default()
    )
}

fn load(plan: &Plan) -> String {
    let length = duration::format(plan.seconds().into());
    let scaled = if (plan.time_scale - 1.0).abs() > f64::EPSILON {
        format!(", durations scaled by {}", plan.time_scale)
    } else {
        String::new()
    };
    match plan.model {
        Model::Closed if plan.has_iterations() => format!(
            "Closed model: {} iterations without think time, up to {} users, {length}{scaled}.",
            plan.stages.iter().map(|stage| u64::from(stage.iterations)).sum::<u64>(),
            plan.users
        ),
        Model::Closed => format!("Closed model: up to {} users, {length}{scaled}.", plan.users),
        Model::Open => {
            let spacing = match plan.spacing {
                Spacing::Steady => "evenly spaced",
                Spacing::Poisson => "as a Poisson process",
            };
            format!(
                "Open model: up to {} arrivals/s {spacing}, about {:.0} in total, up to {} concurrent \
                 users, {length}{scaled}.",
                plan.peak_rate(),
                arrivals(plan),
                plan.users
            )
        }
    }
}

/// Returns the expected number of arrivals.
fn arrivals(plan: &Plan) -> f64 {
    let in_stage = |stage: &Stage| {
        let seconds = f64::from(stage.to_s - stage.from_s);
        f64::midpoint(stage.from_rate, stage.to_rate) * seconds + f64::from(stage.burst)
    };
    plan.stages.iter().map(in_stage).sum()
}

fn level(stage: &Stage, model: Model) -> String {
    let (from, to, unit) = match model {
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users), "users"),
        Model::Open => (stage.from_rate, stage.to_rate, "arrivals/s"),
    };
    let classes = match &stage.classes[..] {
        [] => String::new(),
        names => format!(" of {}", names.join(", ")),
    };
    if stage.iterations > 0 {
        let users = if stage.to_users == 1 { "user" } else { "users" };
        return format!("{} iterations by {} {users}{classes}", stage.iterations, stage.to_users);
    }
    let burst = match stage.burst {
        0 => String::new(),
        count => format!("{count} at once, then "),
    };
    if (from - to).abs() < f64::EPSILON {
        return format!("{burst}{to:.0} {unit}{classes}");
    }
    format!("{burst}{from:.0} to {to:.0} {unit}{classes}")
}
