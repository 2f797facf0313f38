//! Where the reports of a run are written.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::profile::{Profile, ReportPaths};

/// Returns the report paths: those of the command line, else of the profile. HTML report and outcome are
/// always written. All default names of a run have the stem of its HTML report.
pub(super) fn of_run(profile: &Profile, given: ReportPaths) -> ReportPaths {
    let own = &profile.reports;
    let own_stem = stem(profile);
    let html = given.html.unwrap_or_else(|| with_extension(&own_stem, "html"));
    let stem = without_extension(&html);
    // A name of the profile changes with that of its HTML report, if it has the same stem.
    let moved = |path: &Option<PathBuf>| {
        let path = path.as_ref()?;
        let name = path.as_os_str().to_string_lossy();
        let extension = name.strip_prefix(&*own_stem.to_string_lossy());
        Some(extension.map_or_else(|| path.clone(), |extension| append(&stem, extension)))
    };
    ReportPaths {
        csv: given.csv.or_else(|| moved(&own.csv)),
        json: given.json.or_else(|| moved(&own.json)).or_else(|| Some(outcome(&stem))),
        junit: given.junit.or_else(|| moved(&own.junit)),
        markdown: given.markdown.or_else(|| moved(&own.markdown)),
        metrics_json: given.metrics_json.or_else(|| moved(&own.metrics_json)),
        html: Some(html),
    }
}

/// Returns the default path of the outcome of `profile`.
pub(super) fn default_outcome(profile: &Profile) -> PathBuf {
    profile.reports.json.clone().unwrap_or_else(|| outcome(&stem(profile)))
}

/// Returns the path that all default names of `profile` begin with.
fn stem(profile: &Profile) -> PathBuf {
    match &profile.reports.html {
        Some(html) => without_extension(html),
        None => Path::new("reports").join(&profile.name),
    }
}

fn outcome(stem: &Path) -> PathBuf {
    with_extension(stem, "outcome.json")
}

fn without_extension(html: &Path) -> PathBuf {
    match html.extension() {
        Some(extension) if extension == "html" || extension == "htm" => html.with_extension(""),
        _ => html.to_owned(),
    }
}

/// Appends an extension; a dot within the stem stays.
fn with_extension(stem: &Path, extension: &str) -> PathBuf {
    append(stem, &format!(".{extension}"))
}

fn append(stem: &Path, end: &str) -> PathBuf {
    let mut path: OsString = stem.into();
    path.push(end);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant;

    fn paths(profile: &str, given: ReportPaths) -> [Option<String>; 3] {
        let profile = Profile::find(&plant::harness(), profile).unwrap();
        let ReportPaths { html, json, csv, .. } = of_run(&profile, given);
        [html, json, csv].map(|path| path.map(|path| path.display().to_string()))
    }

    fn expect(found: &[Option<String>; 3], expected: [&str; 3]) {
        let expected = expected.map(|path| (!path.is_empty()).then(|| path.to_owned()));
        assert_eq!(*found, expected);
    }

    #[test]
    fn the_files_of_a_run_have_one_stem() {
        let none = ReportPaths::default;
        let smoke = paths("smoke", none());
        expect(&smoke, ["reports/smoke.html", "reports/smoke.outcome.json", ""]);
        let stem = "reports/load_100users";
        let (html, json) = (format!("{stem}.html"), format!("{stem}.outcome.json"));
        expect(&paths("peak-100", none()), [&html, &json, stem]);
        let given = ReportPaths { html: Some("x/v1.2.html".into()), ..none() };
        expect(&paths("peak-100", given), ["x/v1.2.html", "x/v1.2.outcome.json", "x/v1.2"]);
    }

    #[test]
    fn a_given_name_is_kept() {
        let given = ReportPaths {
            json: Some("out.json".into()),
            csv: Some("tables/t".into()),
            ..ReportPaths::default()
        };
        expect(&paths("peak-100", given), ["reports/load_100users.html", "out.json", "tables/t"]);
        let given = ReportPaths { html: Some("page".into()), ..ReportPaths::default() };
        let platform = paths("platform", given);
        expect(&platform, ["page", "page.outcome.json", "load_test_reports/load_test_results"]);
    }

    #[test]
    fn the_outcome_of_a_suite_is_that_of_its_runs() {
        let harness = plant::harness();
        for name in harness.suites.iter().flat_map(|suite| suite.profiles) {
            let profile = Profile::find(&harness, name).unwrap();
            let of_run = of_run(&profile, ReportPaths::default());
            assert_eq!(of_run.json, Some(default_outcome(&profile)), "{name}");
        }
    }
}
