//! Profiles made by `init` from the files in `tests/init`.
//!
//! After an intended change run `UPDATE_GOLDEN=1 cargo test --workspace --test init`, review the diff
//! and commit it.

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::{first_line, loadtest, new_test_folder};
use plant_loadtest::{
    init::{har, locust, openapi},
    placeholder::FILL_IN,
    stub::{Behavior, Stub},
};

fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init")
}

/// Converts `source` by `init --OPTION` and compares the profile with the one beside the source.
fn compare(option: &str, source: &str) -> String {
    let inputs = inputs();
    let (stem, _) = source.split_once('.').unwrap();
    let folder = new_test_folder(&format!("init-{stem}-{option}"));
    fs::copy(inputs.join(source), folder.join(source)).unwrap();
    let profile = format!("{stem}.toml");
    let output = loadtest(&folder, &["init", option, source, &profile]);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert!(
        output.stdout.ends_with(&format!("plant-loadtest run {profile}\n")),
        "{}",
        output.stdout
    );
    assert!(first_line(&output).starts_with(&format!("{profile} written: ")), "{}", output.stdout);
    assert!(output.outcome.is_none());
    check_filled_in(&folder, &profile);
    let mut text = String::new();
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if file == source {
            continue;
        }
        let written = fs::read_to_string(folder.join(&file)).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(inputs.join(&file), &written).unwrap();
        }
        let expected = fs::read_to_string(inputs.join(&file)).unwrap_or_default();
        assert!(
            written == expected,
            "{file} differs; see the top of this file for how to update it:\n{written}"
        );
        if file == profile {
            text = written;
        }
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let _: toml::Table = text.parse().unwrap();
    output.stdout
}

/// Checks that a profile is valid once the values that its source does not contain are filled in.
fn check_filled_in(folder: &Path, profile: &str) {
    let path = folder.join(profile);
    let text = fs::read_to_string(&path).unwrap();
    let is_complete = !text.lines().any(|line| !line.starts_with('#') && line.contains(FILL_IN));
    let validate = || loadtest(folder, &["validate", profile]);
    assert_eq!(validate().exit_code == 0, is_complete, "{}", validate().stderr);
    fs::write(&path, text.replace(FILL_IN, "value")).unwrap();
    assert_eq!(validate().exit_code, 0, "{}", validate().stderr);
    fs::write(&path, text).unwrap();
}

#[test]
fn the_locust_file_of_the_load_tests_guide_comes_out_as_far_as_it_goes() {
    let printed = compare("--locust", "load_tests_guide.py");
    let expected = "load_tests_guide.py:22: `self.agent_ids` is not set anywhere in the file";
    assert!(printed.contains(expected), "{printed}");
}

#[test]
fn the_locust_file_of_the_progressive_load_guide_comes_out_complete() {
    let printed = compare("--locust", "progressive_load_guide.py");
    assert!(printed.contains("2 user classes, 9 tasks"), "{printed}");
}

#[test]
fn the_locust_file_of_the_performance_agent_plan_comes_out_complete() {
    let printed = compare("--locust", "performance_agent_plan.py");
    assert!(printed.contains("1 user class, 4 tasks\n"), "{printed}");
    // Only the name differs: the program has a class of this name.
    let remark = "- `PerformanceAgentUser`: is a user class of the program";
    assert!(printed.contains(remark) && printed.matches("\n  - ").count() == 1, "{printed}");
}

#[test]
fn the_locust_files_of_the_platform_load_tests_come_out_complete() {
    let printed = compare("--locust", "platform_load_tests.py");
    assert!(printed.contains("3 user classes, 8 tasks"), "{printed}");
    compare("--locust", "platform_load_tests_custom.py");
}

#[test]
fn the_locust_file_of_the_ticket_load_tests_comes_out_as_far_as_it_goes() {
    let printed = compare("--locust", "ticket_load_tests.py");
    assert!(printed.contains("load shape `BurstShape`"), "{printed}");
}

#[test]
fn what_locust_files_are_often_made_of_comes_out() {
    let printed = compare("--locust", "idioms.py");
    let profile = inputs().join("idioms.toml");
    for line in [203, 207, 211, 217, 222, 226] {
        let place = format!("idioms.py:{line}: ");
        assert!(printed.contains(&place), "{place}{printed}");
        assert!(fs::read_to_string(&profile).unwrap().contains(&place), "{place}");
    }
}

#[test]
fn an_openapi_document_becomes_a_task_for_each_operation() {
    let printed = compare("--openapi", "shop.yaml");
    for expected in ["GET /old: deprecated", "DELETE /items/{id}: it deletes data"] {
        assert!(printed.contains(expected), "{printed}");
    }
    compare("--openapi", "pets.json");
}

#[test]
fn a_browser_recording_becomes_a_sequence_without_credentials() {
    let printed = compare("--har", "session.har");
    let profile = fs::read_to_string(inputs().join("session.toml")).unwrap();
    for secret in ["hunter2", "eyJhbGciOi", "tok_123456789", "sid=abc"] {
        assert!(!profile.contains(secret) && !printed.contains(secret), "{secret}");
    }
}

#[test]
fn a_starter_profile_is_toml_and_never_overwritten() {
    let folder = new_test_folder("init-starter");
    let created = loadtest(&folder, &["init", "loads/mine.toml"]);
    assert_eq!(created.exit_code, 0, "{}", created.stderr);
    assert_eq!(first_line(&created), "loads/mine.toml written");
    let text = fs::read_to_string(folder.join("loads/mine.toml")).unwrap();
    let profile: toml::Table = text.parse().unwrap();
    assert_eq!(profile["name"].as_str(), Some("mine"));
    let valid = loadtest(&folder, &["validate", "loads/mine.toml"]);
    assert_eq!(valid.exit_code, 0, "{}", valid.stderr);
    let again = loadtest(&folder, &["init", "loads/mine.toml"]);
    assert_eq!(again.exit_code, 2);
    assert!(again.stderr.contains("is not overwritten"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(folder.join("loads/mine.toml")).unwrap(), text);
}

#[test]
fn a_document_is_fetched_from_this_machine_only() {
    let folder = new_test_folder("init-fetch");
    let remote = ["init", "--openapi", "http://192.0.2.1/openapi.json", "a.toml"];
    let output = loadtest(&folder, &remote);
    assert_eq!(output.exit_code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("--allow-remote"), "{}", output.stderr);

    let stub = Stub::start(0, Behavior::default()).unwrap();
    let url = format!("{}/openapi.json", stub.host());
    let output = loadtest(&folder, &["init", "--openapi", &url, "a.toml"]);
    assert_eq!(output.exit_code, 2, "{}", output.stderr);
    let message = format!("{url}: not an OpenAPI document");
    assert!(output.stderr.contains(&message), "{}", output.stderr);
    assert_eq!(stub.requests(), 1);

    let nobody = ["init", "--openapi", "http://127.0.0.1:1/openapi.json", "a.toml"];
    let output = loadtest(&folder, &nobody);
    assert_eq!(output.exit_code, 3, "{}", output.stderr);
    assert!(output.stderr.contains("cannot be fetched"), "{}", output.stderr);
    assert!(!folder.join("a.toml").exists());
}

#[test]
fn a_text_that_cannot_be_converted_is_an_error_with_its_place() {
    let folder = new_test_folder("init-errors");
    let files: [(&str, &str, &[u8], &str); 6] = [
        ("--locust", "f.py", b"x = 1\ny = = 2\n", "f.py:2: "),
        ("--locust", "g.py", b"x = 1\n\xff\n", "g.py:2: not UTF-8"),
        ("--locust", "h.py", b"x = 1\n", "h.py: no user class"),
        ("--openapi", "a.json", b"{\"openapi\":", "a.json: EOF while parsing a value at line 1"),
        ("--openapi", "b.yaml", b"openapi: 3.1.0\n", "b.yaml: no operation can be sent"),
        ("--har", "c.har", b"{}", "c.har: not a HAR file: `log.entries` is missing"),
    ];
    for (option, file, bytes, message) in files {
        fs::write(folder.join(file), bytes).unwrap();
        let output = loadtest(&folder, &["init", option, file, "a.toml"]);
        assert_eq!(output.exit_code, 2, "{file}: {}", output.stdout);
        assert!(output.stderr.contains(message), "{file}: {}", output.stderr);
        assert!(!folder.join("a.toml").exists());
    }
    let output = loadtest(&folder, &["init", "--har", "nowhere.har", "a.toml"]);
    assert!(output.stderr.contains("nowhere.har: cannot be read"), "{}", output.stderr);
    let output = loadtest(&folder, &["init", "--har", "c.har", "--locust", "f.py"]);
    assert_eq!(output.exit_code, 2);
}

#[test]
fn every_beginning_of_a_text_is_converted_or_refused() {
    let read = |file: &str| fs::read_to_string(inputs().join(file)).unwrap();
    let cut = |text: &str, convert: &dyn Fn(&str) -> bool| {
        let ends = (0..text.len()).step_by(61).filter(|end| text.is_char_boundary(*end));
        let converted = ends.filter(|end| convert(&text[..*end])).count();
        assert!(convert(text));
        converted
    };
    let converted = cut(&read("idioms.py"), &|text| locust::convert("f.py", text).is_ok());
    assert!(converted > 10);
    let converted = cut(&read("shop.yaml"), &|text| openapi::convert("a.yaml", text, None).is_ok());
    assert!(converted > 5);
    cut(&read("pets.json"), &|text| openapi::convert("a.json", text, None).is_ok());
    cut(&read("session.har"), &|text| har::convert("a.har", text, None).is_ok());
}
