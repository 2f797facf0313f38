//! `calibrate`: can this program, on this machine, be believed?

use clap::Args;

use super::{Exit, Failure, print};
use crate::{
    calibrate::{self, Case, Measured, QUANTILES},
    outcome::Model,
    report::table,
};

/// A generator whose own lateness is more than this, at P99, says little about milliseconds.
const LATE_MS: f64 = 5.0;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// How long the runs with a stall last, in seconds; the others take half of it
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=600))]
    pub seconds: u32,
}

/// Measures servers of known latency, and compares.
///
/// # Errors
/// When nothing could be measured.
pub async fn calibrate(arguments: &CalibrateArguments) -> Result<Exit, Failure> {
    let mut table = table::plain([
        "server",
        "model",
        "figure",
        "by arithmetic",
        "server's clock",
        "measured",
        "off by",
        "requests",
        "verdict",
    ]);
    let (mut right, mut late) = (true, false);
    let mut blind = String::new();
    let cases = calibrate::cases(arguments.seconds);
    for (number, case) in cases.iter().enumerate() {
        eprintln!("{} of {}: {}, {}", number + 1, cases.len(), case.latency, model(case));
        let measured =
            case.measure().await.map_err(|error| Failure::new(Exit::CouldNotRun, &error))?;
        for row in rows(case, &measured) {
            table.add_row(row);
        }
        right &= measured.right;
        late |= measured.lag_ms.is_some_and(|lag| lag > LATE_MS);
        if case.is_blind_spot() {
            blind = blind_spot(&measured);
        }
    }
    let (exit, verdict) = match (right, late) {
        (true, _) => (Exit::Good, "PASS: what is measured here is what happens"),
        (false, true) => (
            Exit::NoVerdict,
            "INVALID: this machine wakes the generator too late to measure milliseconds; let it \
             do nothing else meanwhile",
        ),
        (false, false) => (Exit::Failed, "FAIL: what is measured here is not what happens"),
    };
    let how = "Off by: from the server's own clock, and in a stall from arithmetic, since the server \
               knows nothing of those who wait to be let in. Allowed are 1 % and 3 %.";
    print(&format!("{verdict}\n\n{table}\n\n{how}\n{blind}"));
    Ok(exit)
}

fn model(case: &Case) -> &'static str {
    match case.model {
        Model::Open => "open",
        Model::Closed => "closed",
    }
}

fn rows(case: &Case, measured: &Measured) -> Vec<[String; 9]> {
    let mut rows: Vec<[String; 9]> = Vec::new();
    for (place, (_, name)) in QUANTILES.iter().enumerate() {
        let (truth, compared) = (measured.truths[place], measured.compared[place]);
        let value = measured.quantiles[place].unwrap_or_default();
        rows.push([
            String::new(),
            String::new(),
            (*name).to_owned(),
            format!("{truth:.1} ms"),
            measured.served[place].map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")),
            format!("{value:.1} ms"),
            format!("{:+.2} %", (value - compared) * 100.0 / compared),
            String::new(),
            String::new(),
        ]);
    }
    let counts = measured.counts;
    let verdict = match (measured.right, case.is_blind_spot()) {
        (true, false) => "right",
        (true, true) => "blind, as it must be",
        (false, _) => "WRONG",
    };
    if let Some(first) = rows.first_mut() {
        first[0] = case.latency.to_owned();
        first[1] = model(case).to_owned();
        first[7] = format!("{} sent, {} answered", counts.sent, counts.answered());
        first[8] = verdict.to_owned();
    }
    rows
}

fn blind_spot(measured: &Measured) -> String {
    let p99 = measured.quantiles.last().copied().flatten().unwrap_or_default();
    let truth = measured.truths.last().copied().unwrap_or_default();
    format!(
        "The closed model's blind spot: in the stall its ten users wait, so ten requests meet it \
         where some three hundred people would have come. It reports a P99 of {p99:.0} ms; for \
         people who come whatever happens it is {truth:.0} ms. Use it where the number of users is \
         what is given; where a rate is, use the open model."
    )
}
