//! "Did you mean": the known name that a misspelt one is most similar to.

/// Longest share of a name that may differ, as a divisor: one character in four.
const SIMILAR_PART: usize = 4;

/// Shortest beginning of a known name that stands for it; at least half of the name.
const MIN_PREFIX: usize = 3;

/// Returns the one of `known` that `name` most likely means: it is spelt alike, without regard to case,
/// or begins with `name`; `None` if there is none, so that nothing far from it is suggested.
#[must_use]
pub fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.trim().to_lowercase();
    let length = name.chars().count();
    let candidates = known.into_iter().filter_map(|known| {
        let candidate = known.to_lowercase();
        let distance = strsim::osa_distance(&name, &candidate);
        let is_similar = distance <= (length / SIMILAR_PART).max(1) && distance < length;
        let is_begun = length >= MIN_PREFIX
            && length * 2 >= candidate.chars().count()
            && candidate.starts_with(&name);
        (is_similar || is_begun).then_some((!is_similar, distance, known))
    });
    candidates.min().map(|(.., known)| known)
}

/// Returns `; did you mean NAME?` if one of `known` is similar to `name`, otherwise `otherwise`.
#[must_use]
pub fn did_you_mean<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    closest(name, known).map_or_else(otherwise, |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] = [
        "smoke",
        "peak-100",
        "normal-50",
        "tickets-baseline",
        "tickets-peak",
        "HealthCheckUser",
        "GET /api/v1/agents",
    ];

    #[test]
    fn a_misspelt_name_is_found() {
        for (name, expected) in [
            ("smok", "smoke"),
            ("smkoe", "smoke"),
            ("SMOKE", "smoke"),
            ("peak100", "peak-100"),
            ("nomral-50", "normal-50"),
            ("normal", "normal-50"),
            ("tickets", "tickets-peak"),
            ("healthcheckuser", "HealthCheckUser"),
            ("HelthChekUser", "HealthCheckUser"),
            ("get /api/v1/agent", "GET /api/v1/agents"),
        ] {
            assert_eq!(closest(name, KNOWN), Some(expected), "{name}");
        }
    }

    #[test]
    fn nothing_is_suggested_for_a_name_that_is_far_from_all() {
        for name in
            ["", " ", "x", "no-such-profile", "spike", "GET /", "pe", "smokescreen", "日本語"]
        {
            assert_eq!(closest(name, KNOWN), None, "{name}");
        }
        assert_eq!(closest("a", ["b"]), None, "no letter in common");
    }
}
