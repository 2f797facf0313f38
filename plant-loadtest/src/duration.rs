//! Durations in profiles, SLA files and options: `30s`, `10m`, `1h30m`, `300`.

use std::time::Duration;

/// Parses a duration: hours, minutes and seconds in that order, or a number of seconds.
///
/// # Errors
/// Returns a message if `text` is not a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a duration such as 30s, 10m or 1h30m");
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total = 0_u64;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let number: u64 = number.parse().map_err(|_| invalid())?;
            total = number
                .checked_mul(seconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(invalid)?;
            rest = after;
        }
    }
    if !rest.is_empty() || text.is_empty() {
        return Err(invalid());
    }
    Ok(Duration::from_secs(total))
}

/// Parses a duration of at least one second, see [`parse`].
///
/// # Errors
/// Returns a message if `text` is not a duration or is zero.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("must be at least 1s".into()),
        duration => Ok(duration),
    }
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
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("24h", 86_400), ("1h30m", 5_400), ("300", 300)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_formats_are_errors() {
        for text in ["", "soon", "5d", "m", "1m1h", "-3s", "1.5m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_formatted_duration_parses_to_the_same_value() {
        for seconds in [0, 1, 59, 60, 3_661, 86_400] {
            assert_eq!(parse(&format(seconds)), Ok(Duration::from_secs(seconds)));
        }
    }
}
