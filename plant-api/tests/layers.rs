//! The rungs of the house: a module uses lower rungs only, peers never. Read from the sources:
//! every `crate::…` path counts, in tests' files excepted.

use std::fs;
use std::path::{Path, PathBuf};

/// Highest first.
const RUNGS: &[&[&str]] = &[
    &["app"],
    &["http", "serve", "health", "seed", "verify", "worker"],
    &["auth", "plant", "generation"],
    &["customers"],
    &["idempotency", "jobs"],
    &["page"],
    &["access", "etag"],
    &["extract"],
    &["state"],
    &["cache", "limit", "queue"],
    &["db", "redis", "clock", "metrics", "passwords", "telemetry", "token", "check"],
    &["error", "config"],
];

/// Inside `plant`, highest first.
const PLANT: &[&[&str]] = &[
    &["audit"],
    &["genesis"],
    &["deliverables"],
    &["goals"],
    &["hires"],
    &["agents"],
    &["teams"],
    &["job_roles"],
    &["skills"],
    &["industries"],
    &["entity"],
    &["chain", "id"],
];

#[test]
fn a_module_uses_lower_rungs_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut climbs = climbs(&src, "crate::", RUNGS);
    climbs.extend(self::climbs(&src.join("plant"), "crate::plant::", PLANT));
    assert!(climbs.is_empty(), "\n{}", climbs.join("\n"));
}

#[test]
fn every_module_has_a_rung() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, rungs, entrance) in
        [(src.clone(), RUNGS, "lib.rs"), (src.join("plant"), PLANT, "mod.rs")]
    {
        let text = fs::read_to_string(folder.join(entrance)).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
            let module = line.trim_end_matches(';');
            assert!(rung_of(module, rungs).is_some(), "{module} has no rung");
        }
    }
}

#[test]
fn statements_stay_in_sql_rs_and_axum_in_routes_rs() {
    let plant = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plant");
    for file in sources(&plant) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap();
        if name != "sql.rs" {
            assert!(!text.contains("sqlx::query"), "{} holds SQL", file.display());
        }
        if name != "routes.rs" {
            assert!(!text.contains("use axum"), "{} speaks HTTP", file.display());
        }
    }
}

fn climbs(folder: &Path, prefix: &str, rungs: &[&[&str]]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources(folder) {
        let inside = file.strip_prefix(folder).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(here) = rung_of(module, rungs) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        for used in uses(&text, prefix) {
            let climbs = rung_of(&used, rungs).is_some_and(|there| there <= here);
            if climbs && used != module {
                found.push(format!("{} uses {prefix}{used}", inside.display()));
            }
        }
    }
    found
}

/// 0 is the highest.
fn rung_of(module: &str, rungs: &[&[&str]]) -> Option<usize> {
    rungs.iter().position(|rung| rung.contains(&module))
}

/// The modules named right after `prefix`, also in braces.
fn uses(text: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = &list[..list.find("};").unwrap_or(0)];
                let mut depth = 0;
                for part in list.split_inclusive(['{', '}', ',']) {
                    if depth == 0 {
                        found.push(first_name(part));
                    }
                    depth += part.matches('{').count();
                    depth -= part.matches('}').count();
                }
            }
            None => found.push(first_name(rest)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if matches!(name.as_str(), "bin" | "tests") {
                continue;
            }
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !matches!(name.as_str(), "tests.rs" | "testing.rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_use_in_braces_is_seen() {
    let text = "use crate::{customers, plant::{agents, goals}, error};\nuse crate::db::Db;";
    assert_eq!(uses(text, "crate::"), ["customers", "plant", "error", "db"]);
}
