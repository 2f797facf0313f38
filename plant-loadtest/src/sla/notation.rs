//! The notation of limits: `METRIC OPERATOR VALUE`, such as `p95 < 300ms`.
//!
//! ```text
//! limit    = metric operator number unit [ period ]
//! metric   = name [ "(" arguments ")" ]
//! operator = "<" | "<=" | ">" | ">="
//! period   = "over" duration          after memory_growth
//!          | "window" duration        after drift
//! ```

use super::{
    Comparison, DriftLimit, Limit, MemoryGrowthLimit, Metric, Percentile, RecoveryLimit, Resource,
    Statuses, metric::Quantity, over_time::OverTimeLimit,
};
use crate::{duration, failure::FailureKind};

/// The metrics, as error messages list them.
const METRICS: &str = "p50, p95, p99.9 (any percentile), avg, max, errors, errors(KIND, …), \
                       status(404), status(5xx), rate, count(NAME), rate(NAME), cpu, memory, cpu_increase, memory_increase, \
                       database_connections, redis_connections, open_files, queue_depth, \
                       logged_errors, restarts, healthy_after, drain, not_ended, doubled, \
                       queue_after, failed_actions, memory_growth, drift, recovery";

/// A parsed limit.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parsed {
    /// A limit of a metric.
    Limit(Metric, Limit),
    /// A limit on the course of the run.
    OverTime(OverTimeLimit),
}

/// Parses a limit such as `p95 < 300ms`.
///
/// # Errors
/// Returns a message that quotes the text and lists what is possible.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    parse_limit(text.trim()).map_err(|problem| format!("`{text}`: {problem}"))
}

/// Parses the notation of a metric, such as `errors(connection)`.
///
/// # Errors
/// Returns a message that quotes the text and lists what is possible.
pub(super) fn parse_metric(text: &str) -> Result<Metric, String> {
    let (name, arguments, rest) = split_metric(text.trim())?;
    match metric(name, arguments)? {
        Some(metric) if rest.is_empty() => Ok(metric),
        _ => Err(format!("`{text}` is no metric; expected one of: {METRICS}")),
    }
}

fn parse_limit(text: &str) -> Result<Parsed, String> {
    let (name, arguments, rest) = split_metric(text)?;
    let metric = match name {
        "memory_growth" | "drift" | "recovery" if arguments.is_none() => None,
        _ => Some(metric(name, arguments)?.ok_or_else(|| unknown_metric(name))?),
    };
    let (comparison, rest) = operator(rest).ok_or_else(|| {
        format!("expected <, <=, > or >= after `{name}`, as in `p95 < 300ms` or `rate >= 100/s`")
    })?;
    let (number, unit) = number(rest.trim_start())?;
    let Some(metric) = metric else { return over_time(name, comparison, number, unit) };
    let value = to_base_unit(number, unit.trim(), metric.quantity())
        .map_err(|expected| format!("`{name}` is {expected}, not `{number}{}`", unit.trim()))?;
    let limit = Limit { comparison, value };
    check(&metric, limit)?;
    Ok(Parsed::Limit(metric, limit))
}

/// Splits the name of a metric and its arguments in parentheses from the rest.
fn split_metric(text: &str) -> Result<(&str, Option<&str>, &str), String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    if name.is_empty() {
        return Err(format!("expected a metric first; one of: {METRICS}"));
    }
    let Some(arguments) = rest.trim_start().strip_prefix('(') else {
        return Ok((name, None, rest.trim_start()));
    };
    let (arguments, rest) =
        arguments.split_once(')').ok_or_else(|| format!("`{name}(` lacks its `)`"))?;
    Ok((name, Some(arguments.trim()), rest.trim_start()))
}

/// Returns the metric with this `name`; `None` if there is none.
fn metric(name: &str, arguments: Option<&str>) -> Result<Option<Metric>, String> {
    if let Some(arguments) = arguments {
        return with_arguments(name, arguments).map(Some);
    }
    let percentile = name.strip_prefix('p').and_then(Percentile::parse);
    let resource = Resource::ALL.iter().copied().find(|resource| resource.name() == name);
    Ok(match name {
        "avg" => Some(Metric::Mean),
        "max" => Some(Metric::Max),
        "errors" => Some(Metric::all_errors()),
        "rate" => Some(Metric::Rate),
        "restarts" => Some(Metric::Restarts),
        "healthy_after" => Some(Metric::SecondsToHealthy),
        "drain" => Some(Metric::Drain),
        "not_ended" => Some(Metric::NotEnded),
        "doubled" => Some(Metric::Doubled),
        "queue_after" => Some(Metric::QueueAfter),
        "failed_actions" => Some(Metric::FailedActions),
        _ => percentile.map(Metric::Percentile).or(resource.map(Metric::Resource)),
    })
}

fn with_arguments(name: &str, arguments: &str) -> Result<Metric, String> {
    match name {
        "errors" => failure_kinds(arguments).map(Metric::ErrorRate),
        "status" => Statuses::parse(arguments).map(Metric::StatusShare).ok_or_else(|| {
            format!("`status({arguments})` needs a status code such as 404, or a class such as 5xx")
        }),
        "count" => counter(name, arguments).map(Metric::Count),
        "rate" => counter(name, arguments).map(Metric::CountRate),
        _ => Err(format!(
            "`{name}` takes no arguments; those with arguments are errors(KIND, …), status(404), \
             status(5xx), count(NAME), rate(NAME)"
        )),
    }
}

fn failure_kinds(arguments: &str) -> Result<Vec<FailureKind>, String> {
    let kinds = arguments.split(',').map(|name| {
        let name = name.trim();
        FailureKind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let known: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("unknown kind of error `{name}`; expected one of: {}", known.join(", "))
        })
    });
    let mut kinds: Vec<FailureKind> = kinds.collect::<Result<_, String>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

fn counter(name: &str, counter: &str) -> Result<String, String> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !counter.is_empty() && counter.chars().all(is_valid) {
        true => Ok(counter.to_owned()),
        false => Err(format!(
            "`{name}({counter})` needs the name of a counter: letters, digits, `_`, `-` and `.`"
        )),
    }
}

fn unknown_metric(name: &str) -> String {
    format!("unknown metric `{name}`; expected one of: {METRICS}")
}

fn operator(text: &str) -> Option<(Comparison, &str)> {
    // The longer operators first: `<` is a prefix of `<=`.
    let mut all: Vec<Comparison> = Comparison::ALL.to_vec();
    all.sort_by_key(|comparison| std::cmp::Reverse(comparison.symbol().len()));
    all.into_iter()
        .find_map(|comparison| Some((comparison, text.strip_prefix(comparison.symbol())?)))
}

/// Splits a number from the unit after it.
fn number(text: &str) -> Result<(f64, &str), String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    match number.parse() {
        Ok(number) if f64::is_finite(number) => Ok((number, unit)),
        _ => Err(format!("expected a number of at least 0 and its unit, not `{text}`")),
    }
}

/// Converts `number` in `unit` to the unit of the metric.
///
/// # Errors
/// Returns what is expected, as part of a sentence.
fn to_base_unit(number: f64, unit: &str, quantity: Quantity) -> Result<f64, &'static str> {
    const KIB: f64 = 1024.0;
    let milliseconds = match unit {
        "ms" => Some(1.0),
        "s" => Some(1e3),
        "m" => Some(60e3),
        "h" => Some(3600e3),
        _ => None,
    };
    let bytes = match unit {
        "KB" => Some(1e3),
        "MB" => Some(1e6),
        "GB" => Some(1e9),
        "KiB" => Some(KIB),
        "MiB" => Some(KIB * KIB),
        "GiB" => Some(KIB * KIB * KIB),
        _ => None,
    };
    let (value, expected) = match quantity {
        Quantity::Milliseconds => {
            (milliseconds.map(|factor| number * factor), "a time in ms, s, m or h")
        }
        Quantity::Seconds => {
            (milliseconds.map(|factor| number * factor / 1e3), "a time in ms, s, m or h")
        }
        Quantity::Percent => ((unit == "%").then_some(number), "a share in %"),
        Quantity::PerSecond => ((unit == "/s").then_some(number), "a rate in /s"),
        Quantity::Mebibytes => (
            bytes.map(|factor| number * factor / (KIB * KIB)),
            "a size in KiB, MiB, GiB, KB, MB or GB",
        ),
        Quantity::Count => (unit.is_empty().then_some(number), "a number without a unit"),
    };
    value.ok_or(expected)
}

/// Checks that the metric can be limited in this direction, and that the limit can be met.
fn check(metric: &Metric, limit: Limit) -> Result<(), String> {
    let has_both_directions = matches!(
        metric,
        Metric::StatusShare(_) | Metric::Rate | Metric::Count(_) | Metric::CountRate(_)
    );
    let name = metric.notation();
    if !limit.is_upper() && !has_both_directions {
        return Err(format!("`{name}` has an upper limit: expected < or <="));
    }
    if limit == Limit::below(0.0) {
        return Err(format!("no value is below 0; expected `{name} <= 0…`"));
    }
    let is_share = matches!(metric, Metric::ErrorRate(_) | Metric::StatusShare(_));
    if is_share
        && (limit.value > 100.0
            || limit == (Limit { comparison: Comparison::Greater, value: 100.0 }))
    {
        return Err(format!("`{name}` is a share of at most 100%"));
    }
    Ok(())
}

/// Parses what follows the operator of a limit on the course of the run. Its value is an estimate with
/// an interval, so that < and <= are the same.
fn over_time(
    name: &str,
    comparison: Comparison,
    percent: f64,
    rest: &str,
) -> Result<Parsed, String> {
    if !matches!(comparison, Comparison::Less | Comparison::LessOrEqual) {
        return Err(format!("`{name}` has an upper limit: expected < or <="));
    }
    let Some(period) = rest.trim_start().strip_prefix('%') else {
        return Err(format!("`{name}` is a share in %, as in `{}`", example(name)));
    };
    let seconds = |keyword: &str| -> Result<u32, String> {
        let incomplete =
            || format!("expected `{keyword} DURATION` at the end, as in `{}`", example(name));
        let text = period.trim().strip_prefix(keyword).ok_or_else(incomplete)?.trim();
        let duration = duration::parse_positive(text)
            .map_err(|problem| format!("{}; {problem}", incomplete()))?;
        u32::try_from(duration.as_secs()).map_err(|_| incomplete())
    };
    let limit = match name {
        "memory_growth" => OverTimeLimit::MemoryGrowth(MemoryGrowthLimit {
            below_percent: percent,
            over_s: seconds("over")?.into(),
        }),
        "drift" => OverTimeLimit::Drift(DriftLimit {
            below_percent: percent,
            window_s: seconds("window")?,
        }),
        _ if !period.trim().is_empty() => {
            return Err(format!("unexpected `{}` after the value", period.trim()));
        }
        _ => OverTimeLimit::Recovery(RecoveryLimit { within_percent: percent }),
    };
    Ok(Parsed::OverTime(limit))
}

fn example(name: &str) -> &'static str {
    match name {
        "memory_growth" => "memory_growth < 20% over 24h",
        "drift" => "drift < 20% window 5m",
        _ => "recovery < 10%",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> (String, Limit) {
        match parse(text) {
            Ok(Parsed::Limit(metric, limit)) => (metric.notation(), limit),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn over_time(text: &str) -> OverTimeLimit {
        match parse(text) {
            Ok(Parsed::OverTime(limit)) => limit,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn values_are_converted_to_the_unit_of_their_metric() {
        for (text, metric, expected) in [
            ("p95 < 300ms", "p95", Limit::below(300.0)),
            ("p99.9<=1.5s", "p99.9", Limit::at_most(1500.0)),
            ("  avg  <  2m ", "avg", Limit::below(120_000.0)),
            ("max <= 1h", "max", Limit::at_most(3_600_000.0)),
            ("errors < 0.1%", "errors", Limit::below(0.1)),
            ("errors <= 0 %", "errors", Limit::at_most(0.0)),
            ("status(404) < 5%", "status(404)", Limit::below(5.0)),
            ("status(2xx) >= 99%", "status(2xx)", Limit::at_least(99.0)),
            ("rate >= 799.2/s", "rate", Limit::at_least(799.2)),
            ("count(orders) >= 10", "count(orders)", Limit::at_least(10.0)),
            ("rate(cache.miss) <= 3/s", "rate(cache.miss)", Limit::at_most(3.0)),
            ("cpu < 70%", "cpu", Limit::below(70.0)),
            ("memory < 2GiB", "memory", Limit::below(2048.0)),
            ("memory < 2048 KiB", "memory", Limit::below(2.0)),
            ("memory < 1.048576MB", "memory", Limit::below(1.0)),
            ("cpu_increase < 5%", "cpu_increase", Limit::below(5.0)),
            ("memory_increase < 100MiB", "memory_increase", Limit::below(100.0)),
            ("memory < 1048.576KB", "memory", Limit::below(1.0)),
            ("memory < 1.073741824GB", "memory", Limit::below(1024.0)),
            ("errors <= 100%", "errors", Limit::at_most(100.0)),
            ("database_connections < 20", "database_connections", Limit::below(20.0)),
            ("logged_errors <= 0", "logged_errors", Limit::at_most(0.0)),
            ("restarts <= 0", "restarts", Limit::at_most(0.0)),
            ("healthy_after < 10s", "healthy_after", Limit::below(10.0)),
            ("drain < 1m", "drain", Limit::below(60.0)),
            ("not_ended <= 0", "not_ended", Limit::at_most(0.0)),
            ("doubled <= 0", "doubled", Limit::at_most(0.0)),
            ("queue_after <= 0", "queue_after", Limit::at_most(0.0)),
        ] {
            assert_eq!(limit(text), (metric.to_owned(), expected), "{text}");
        }
    }

    #[test]
    fn kinds_of_errors_have_one_order() {
        let (metric, _) = limit("errors(connection, server-error,connection) < 1%");
        assert_eq!(metric, "errors(server-error, connection)");
        assert_eq!(parse_metric(&metric).unwrap().notation(), metric);
        let all: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(limit(&format!("errors({}) < 1%", all.join(","))).0, "errors");
    }

    #[test]
    fn limits_on_the_course_of_the_run_have_their_periods() {
        let growth = MemoryGrowthLimit { below_percent: 20.0, over_s: 86_400.0 };
        let expected = OverTimeLimit::MemoryGrowth(growth);
        assert_eq!(over_time("memory_growth < 20% over 24h"), expected);
        let drift = DriftLimit { below_percent: 2.5, window_s: 300 };
        assert_eq!(over_time("drift <= 2.5 % window 5m"), OverTimeLimit::Drift(drift));
        let recovery = RecoveryLimit { within_percent: 10.0 };
        assert_eq!(over_time("recovery < 10%"), OverTimeLimit::Recovery(recovery));
    }

    #[test]
    fn an_error_quotes_the_text_and_says_what_is_possible() {
        for (text, part) in [
            ("", "expected a metric first; one of: p50"),
            ("< 300ms", "expected a metric first"),
            ("p95", "expected <, <=, > or >= after `p95`"),
            ("p95 = 300ms", "expected <, <=, > or >="),
            ("p95 < fast", "expected a number of at least 0 and its unit, not `fast`"),
            ("p95 < -1ms", "expected a number of at least 0"),
            ("p95 < 1.2.3ms", "expected a number"),
            ("p95 < 300", "`p95` is a time in ms, s, m or h, not `300`"),
            ("p95 < 300%", "a time in ms, s, m or h"),
            ("p95 < 300ms please", "a time in ms, s, m or h"),
            ("p95 > 300ms", "`p95` has an upper limit"),
            ("p100 < 1s", "unknown metric `p100`"),
            ("p0 < 1s", "unknown metric `p0`"),
            ("p99.9999 < 1s", "unknown metric"),
            ("p+5 < 1s", "unknown metric `p`"),
            ("latency < 1s", "unknown metric `latency`; expected one of: p50, p95"),
            ("errors < 1", "`errors` is a share in %"),
            ("errors < 101%", "share of at most 100%"),
            ("errors < 0%", "no value is below 0"),
            (
                "errors(bad-luck) < 1%",
                "unknown kind of error `bad-luck`; expected one of: client-error",
            ),
            ("errors(connection < 1%", "lacks its `)`"),
            ("status(700) < 1%", "needs a status code such as 404"),
            ("status(6xx) < 1%", "needs a status code"),
            ("status < 1%", "unknown metric `status`"),
            ("count() < 1", "needs the name of a counter"),
            ("count(a b) < 1", "needs the name of a counter"),
            ("p95(x) < 1s", "`p95` takes no arguments"),
            ("recovery(x) < 10%", "`recovery` takes no arguments"),
            ("rate >= 100", "a rate in /s"),
            ("memory < 1", "a size in KiB"),
            ("memory < 1TiB", "a size in KiB"),
            ("open_files < 5%", "a number without a unit"),
            ("memory_growth < 20%", "expected `over DURATION` at the end"),
            ("memory_growth < 20% over long", "as in `memory_growth < 20% over 24h`"),
            ("drift < 20% over 5m", "expected `window DURATION`"),
            ("drift < 20%", "as in `drift < 20% window 5m`"),
            ("drift > 20% window 5m", "upper limit"),
            ("recovery < 10", "`recovery` is a share in %"),
            ("recovery < 10% soon", "unexpected `soon`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}`: ")), "{error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_text_is_an_error_and_never_a_panic() {
        let long = "9".repeat(400);
        for text in ["p", "p.", "p.5 < 1s", "((((", "p95 < 1é", "é", "p95<", "errors() < 1%"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("p95 < {long}ms")).is_err(), "too large for a number");
        assert!(parse(&format!("p{long} < 1ms")).is_err());
    }
}
