//! `calibrate`: checks the measurement accuracy on this machine against servers with known latency.

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    calibrate::{self, Case, CaseResult, QUANTILES},
    console::{print, print_error},
    load::Model,
    report::table,
};

/// Highest P99 of the dispatch lag, in milliseconds. Above it an incorrect result is INVALID, not
/// FAIL.
const MAX_DISPATCH_LAG_MS: f64 = 5.0;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// Duration of the runs with a stall, in seconds; the other runs take half as long
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=600))]
    pub seconds: u32,
}

/// Measures stub servers with known latency and prints how far the results deviate.
///
/// # Errors
/// When a measurement fails.
pub async fn calibrate(arguments: &CalibrateArguments) -> Result<Exit, CommandError> {
    let mut table = table::plain([
        "server",
        "model",
        "metric",
        "expected",
        "server-side",
        "measured",
        "error",
        "requests",
        "result",
    ]);
    let (mut correct, mut lagging) = (true, false);
    let mut coordinated_omission = String::new();
    let cases = calibrate::cases(arguments.seconds);
    for (number, case) in cases.iter().enumerate() {
        print_error(&format!(
            "{} of {}: {}, {}",
            number + 1,
            cases.len(),
            case.latency,
            model(case)
        ));
        let measured =
            case.measure().await.map_err(|error| CommandError::new(Exit::CouldNotRun, &error))?;
        for row in rows(case, &measured) {
            table.add_row(row);
        }
        correct &= measured.passed;
        lagging |= measured.dispatch_lag_p99_ms.is_some_and(|lag| lag > MAX_DISPATCH_LAG_MS);
        if case.expects_coordinated_omission() {
            coordinated_omission = explain_coordinated_omission(&measured);
        }
    }
    let (exit, verdict) = match (correct, lagging) {
        (true, _) => (Exit::Success, "PASS: the measured latency matches the known latency"),
        (false, true) => (
            Exit::Undecided,
            "INVALID: the dispatch lag on this machine is too high to measure milliseconds; stop \
             other programs and run it again",
        ),
        (false, false) => {
            (Exit::Failed, "FAIL: the measured latency differs from the known latency")
        }
    };
    let legend = "Error: relative to the server-side latency; with a stall, relative to the expected \
                  latency, because the server does not see how long requests wait to be accepted. \
                  Tolerance: 1 %, with a stall 3 %.";
    let table = table::for_stdout(table);
    print(&format!("{verdict}\n\n{table}\n\n{legend}\n{coordinated_omission}"));
    Ok(exit)
}

fn model(case: &Case) -> &'static str {
    match case.model {
        Model::Open => "open",
        Model::Closed => "closed",
    }
}

fn rows(case: &Case, measured: &CaseResult) -> Vec<[String; 9]> {
    let mut rows: Vec<[String; 9]> = Vec::new();
    for (index, (_, name)) in QUANTILES.iter().enumerate() {
        let (expected, reference) = (measured.computed_ms[index], measured.reference_ms[index]);
        let value = measured.measured_ms[index].unwrap_or_default();
        rows.push([
            String::new(),
            String::new(),
            (*name).to_owned(),
            format!("{expected:.1} ms"),
            measured.stub_ms[index].map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")),
            format!("{value:.1} ms"),
            format!("{:+.2} %", (value - reference) * 100.0 / reference),
            String::new(),
            String::new(),
        ]);
    }
    let counts = measured.counts;
    let result = match (measured.passed, case.expects_coordinated_omission()) {
        (true, false) => "correct",
        (true, true) => "too low, as expected",
        (false, _) => "INCORRECT",
    };
    if let Some(first) = rows.first_mut() {
        first[0] = case.latency.to_owned();
        first[1] = model(case).to_owned();
        first[7] = format!("{} sent, {} responses", counts.sent, counts.responses());
        first[8] = result.to_owned();
    }
    rows
}

fn explain_coordinated_omission(measured: &CaseResult) -> String {
    let p99 = measured.measured_ms.last().copied().flatten().unwrap_or_default();
    let expected = measured.computed_ms.last().copied().unwrap_or_default();
    format!(
        "Coordinated omission in the closed model: its ten users wait during the stall, so only ten \
         requests measure it, where independent arrivals would have been about three hundred. It \
         reports a P99 of {p99:.0} ms; for independent arrivals it is {expected:.0} ms. Use the \
         closed model when the number of users is given, the open model when the rate is given."
    )
}
