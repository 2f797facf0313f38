//! Durations in profiles, SLA files and options: `30s`, `10m`, `1h30m`, `300`.

use std::time::Duration;

/// Parses a duration with its units, such as `1h30m` or `500ms`, or a whole number of seconds.
///
/// # Errors
/// Returns a message if `text` is not a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a duration such as 30s, 10m or 1h30m"))
}

/// Parses a duration of whole seconds, at least one, see [`parse`].
///
/// # Errors
/// Returns a message if `text` is not such a duration.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        duration if duration < Duration::from_secs(1) => Err("must be at least 1s".into()),
        duration if duration.subsec_nanos() > 0 => Err("must be whole seconds".into()),
        duration => Ok(duration),
    }
}

/// Parses a think time: one number with a unit, `500ms`, `1.5s` or `2m`. Unlike [`parse`] it accepts
/// milliseconds and fractions.
///
/// # Errors
/// Returns a message if `text` is not a think time.
pub fn parse_precise(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a duration such as 500ms, 1.5s or 2m");
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(invalid()),
    };
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.parse().ok().filter(|_| is_number).ok_or_else(invalid)?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|_| invalid())
}

/// Formats seconds as [`parse`] accepts them, such as `1h30m`.
#[must_use]
pub fn format(seconds: u64) -> String {
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_format_is_parsed() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("24h", 86_400),
            ("1h30m", 5_400),
            ("1d", 86_400),
            ("300", 300),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_formats_are_errors() {
        for text in ["", "soon", "m", "-3s", "5 bananas"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stages_last_whole_seconds() {
        assert_eq!(parse("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(parse_positive("1500ms").is_err() && parse_positive("500ms").is_err());
        assert!(parse_positive("0").is_err());
        assert_eq!(parse_positive("1m"), Ok(Duration::from_secs(60)));
    }

    #[test]
    fn think_times_may_have_milliseconds_and_fractions() {
        for (text, ms) in [("500ms", 500), ("1.5s", 1500), ("0s", 0), ("2m", 120_000), ("3s", 3000)]
        {
            assert_eq!(parse_precise(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1 s", "1.2.3s", "1e3s", "infs", "1d", "1s2s"] {
            assert!(parse_precise(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_formatted_duration_parses_to_the_same_value() {
        for seconds in [0, 1, 59, 60, 3_661, 86_400] {
            assert_eq!(parse(&format(seconds)), Ok(Duration::from_secs(seconds)));
        }
    }
}
