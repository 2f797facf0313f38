//! The published JSON schema of profiles. `UPDATE_GOLDEN=1` writes it anew.

use std::{fs, path::Path};

use plant_loadtest::{
    harness::Harness,
    profile::{Profile, schema},
};
use serde_json::Value;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn published() -> Value {
    let path = package().join("schema/profile.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the errors of a profile by the published schema.
fn errors(text: &str) -> Vec<String> {
    let profile: toml::Table = toml::from_str(text).unwrap();
    let validator = jsonschema::validator_for(&published()).unwrap();
    let profile = serde_json::to_value(profile).unwrap();
    validator.iter_errors(&profile).map(|error| error.to_string()).collect()
}

#[test]
fn the_published_schema_is_current() {
    let path = package().join("schema/profile.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, schema::schema()).unwrap();
    }
    let published = fs::read_to_string(path).unwrap();
    assert!(published == schema::schema(), "the schema differs; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn every_profile_matches_the_schema() {
    let mut checked = 0;
    for folder in ["profiles", "examples"] {
        for entry in fs::read_dir(package().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(errors(&text), Vec::<String>::new(), "{}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn unknown_keys_and_wrong_types_do_not_match_the_schema() {
    let profile = "name = \"x\"\n[[class]]\nname = \"A\"\n[[class.task]]\nrequest = \"GET /\"\n";
    assert_eq!(errors(profile), Vec::<String>::new());
    for (from, to) in [
        ("name = \"x\"", "name = \"x\"\ncolour = 1"),
        ("name = \"x\"", "name = 1"),
        ("request = \"GET /\"", "request = \"GET /\"\ncolour = 1"),
        ("request = \"GET /\"", "expect = { status = \"200\" }"),
        ("request = \"GET /\"", "feed = { file = \"a\", order = \"sorted\" }"),
        ("request = \"GET /\"", "[[class.task.step]]\nweight = 1"),
    ] {
        let wrong = profile.replacen(from, to, 1);
        assert!(!errors(&wrong).is_empty(), "{wrong}");
    }
}

/// Where each type of the schema is in a profile; `KEY` stands for one of its keys.
const PLACES: &[(&str, &str)] = &[
    ("", "KEY"),
    ("Stage", "[[stage]]\nKEY"),
    ("Target", "[target]\nKEY"),
    ("HealthCheck", "[target.health]\npath = \"/\"\nKEY"),
    ("MetricNames", "[target.metrics]\nKEY"),
    ("Process", "[target.process]\nKEY"),
    ("Class", "[[class]]\nKEY\n[[class.task]]\nrequest = \"GET /\""),
    ("Feed", "[[class]]\n[class.feed]\nKEY"),
    ("Choice", "[[class]]\nvariables = { a = { KEY } }"),
    ("Task", "[[class]]\n[[class.task]]\nKEY"),
    ("Step", "[[class]]\n[[class.task]]\n[[class.task.step]]\nKEY"),
    ("FormFile", "[[class]]\n[[class.task]]\nmultipart = { a = { KEY } }"),
    ("Expect", "[[class]]\n[[class.task]]\n[class.task.expect]\nKEY"),
    ("Action", "[[action]]\nKEY"),
    ("Reports", "[reports]\nKEY"),
];

#[test]
fn every_key_of_the_schema_is_read() {
    let schema = published();
    let definitions = schema["$defs"].as_object().unwrap();
    let with_keys =
        definitions.iter().filter(|(_, definition)| definition.get("properties").is_some());
    let mut types: Vec<&str> = with_keys.map(|(name, _)| name.as_str()).collect();
    types.push("");
    types.sort_unstable();
    let mut placed: Vec<&str> = PLACES.iter().map(|(name, _)| *name).collect();
    placed.sort_unstable();
    assert_eq!(types, placed);
    for (name, place) in PLACES {
        let definition = if name.is_empty() { &schema } else { &schema["$defs"][*name] };
        for key in definition["properties"].as_object().unwrap().keys() {
            // A date is not valid anywhere, but a key that is read is not unknown. Some keys belong to
            // one load model.
            let text = place.replacen("KEY", &format!("{key} = 1979-05-27"), 1);
            if place.contains(&format!("\n{key} = ")) {
                continue;
            }
            let is_read = ["", "model = \"open\"\n"].iter().any(|model| {
                let profile =
                    Profile::parse(&Harness::new("test"), "x.toml", &format!("{model}{text}"));
                !profile.unwrap_err().to_string().contains(&format!("unknown key `{key}`"))
            });
            assert!(is_read, "{text}");
            let unknown = text.replace(&format!("{key} ="), "colour =");
            let error = Profile::parse(&Harness::new("test"), "x.toml", &unknown).unwrap_err();
            let error = error.to_string();
            let is_refused =
                error.contains("unknown key `colour`") || error.contains("needs one of");
            assert!(is_refused, "{unknown}: {error}");
        }
    }
}
