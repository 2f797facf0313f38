//! The command line that repeats the run.

use crate::outcome::Outcome;

/// Returns the command line of the run as text for a shell. Outcomes without one have the profile and the
/// host only.
pub(super) fn command(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let mut words = load.command.clone();
    if words.is_empty() {
        words = ["plant-loadtest", "run", &load.profile, "--host", &outcome.target.host]
            .map(str::to_owned)
            .into();
        if (load.time_scale - 1.0).abs() > f64::EPSILON {
            words.extend(["--time-scale".to_owned(), load.time_scale.to_string()]);
        }
    }
    words.iter().map(|word| quote(word)).collect::<Vec<String>>().join(" ")
}

/// Returns what the command line does not contain.
pub(super) fn note(outcome: &Outcome) -> String {
    let overrides = &outcome.load.overrides;
    match outcome.load.command.is_empty() && !overrides.is_empty() {
        true => {
            format!("The options of the run are not known; it changed: {}.", overrides.join(", "))
        }
        false => "Without report files, passwords and other secrets.".to_owned(),
    }
}

/// Quotes `word` for a POSIX shell.
fn quote(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=@%+,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let mut outcome = example::outcome();
        outcome.load.command = ["plant-loadtest", "--threshold", "GET /x: p95 < 3ms", "it's", ""]
            .map(str::to_owned)
            .into();
        let expected = r"plant-loadtest --threshold 'GET /x: p95 < 3ms' 'it'\''s' ''";
        assert_eq!(command(&outcome), expected);
    }

    #[test]
    fn an_older_outcome_has_profile_and_host() {
        let mut outcome = example::outcome();
        outcome.load.command.clear();
        outcome.load.time_scale = 0.5;
        outcome.load.overrides = vec!["4 users".into()];
        let line = command(&outcome);
        let expected = format!(
            "plant-loadtest run {} --host {} --time-scale 0.5",
            outcome.load.profile, outcome.target.host
        );
        assert_eq!(line, expected);
        assert!(note(&outcome).ends_with("it changed: 4 users."));
    }
}
