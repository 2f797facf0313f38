//! `run --dry-run`: what would happen, without a single request.

use std::fmt::Write as _;

use crate::{
    outcome::{Model, Spacing},
    profile::{Plan, ReportPaths, Stage},
    report::table,
    sla::Sla,
    timespan,
};

/// The plan in words.
#[must_use]
pub fn told(plan: &Plan, sla: &Sla, host: &str, paths: &ReportPaths) -> String {
    let mut text =
        format!("{}: {}\nAgainst {host}. Nothing was sent.\n\n", plan.profile, plan.description);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", load(plan));
    let mut table = table::plain(["stage", "from", "to", "load", "judged"]);
    for stage in &plan.stages {
        table.add_row([
            stage.name.clone(),
            timespan::display(stage.from_s.into()),
            timespan::display(stage.to_s.into()),
            level(stage, plan.model),
            if stage.judged { "yes" } else { "by rules that name it" }.to_owned(),
        ]);
    }
    let _ = writeln!(text, "{table}\n");
    for share in &plan.classes {
        let _ = writeln!(text, "{} × {}: {}", share.weight, share.class.name, share.class.about);
        for endpoint in share.class.endpoints {
            let _ = writeln!(text, "    {}", endpoint.name);
        }
    }
    let _ = writeln!(text, "\nJudged by: {}", sla.name);
    for promise in sla.promises.iter().filter(|promise| promise.users.contains(plan.users)) {
        let during = match &promise.during {
            crate::sla::During::Stage(name) => format!(" in {name}"),
            crate::sla::During::Run => " in the whole run".to_owned(),
            crate::sla::During::Judged => String::new(),
        };
        let every = promise.every_s.map(|s| format!(", every {}", timespan::display(s.into())));
        let _ = writeln!(
            text,
            "    {}: {} {}{during}{}",
            promise.subject,
            promise.figure,
            promise.limit(),
            every.unwrap_or_default()
        );
    }
    for (what, path) in [("HTML", &paths.html), ("CSV", &paths.csv), ("outcome", &paths.json)] {
        if let Some(path) = path {
            let _ = writeln!(text, "{what}: {}", path.display());
        }
    }
    text
}

fn load(plan: &Plan) -> String {
    let length = timespan::display(plan.seconds().into());
    let scaled = if (plan.time_scale - 1.0).abs() > f64::EPSILON {
        format!(", durations scaled by {}", plan.time_scale)
    } else {
        String::new()
    };
    match plan.model {
        Model::Closed => format!("Closed: up to {} users, {length}{scaled}.", plan.users),
        Model::Open => {
            let spacing = match plan.spacing {
                Spacing::Steady => "at even distances",
                Spacing::Poisson => "by chance (Poisson)",
            };
            format!(
                "Open: up to {} arrivals a second {spacing}, about {:.0} in all, at most {} users \
                 busy at once, {length}{scaled}.",
                plan.rate(),
                arrivals(plan),
                plan.users
            )
        }
    }
}

fn arrivals(plan: &Plan) -> f64 {
    let of = |stage: &Stage| {
        let seconds = f64::from(stage.to_s - stage.from_s);
        f64::midpoint(stage.from_rate, stage.to_rate) * seconds + f64::from(stage.at_once)
    };
    plan.stages.iter().map(of).sum()
}

fn level(stage: &Stage, model: Model) -> String {
    let (from, to, unit) = match model {
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users), "users"),
        Model::Open => (stage.from_rate, stage.to_rate, "a second"),
    };
    let crowd = match stage.at_once {
        0 => String::new(),
        crowd => format!("{crowd} at once, then "),
    };
    if (from - to).abs() < f64::EPSILON {
        return format!("{crowd}{to:.0} {unit}");
    }
    format!("{crowd}{from:.0} to {to:.0} {unit}")
}
