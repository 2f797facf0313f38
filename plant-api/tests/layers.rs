//! Import rules (`structure/mod.rs`), and rules on the content of `sql.rs` and `routes.rs`.

mod structure;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn statements_stay_in_sql_rs_and_axum_in_routes_rs() {
    let plant = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plant");
    for file in sources(&plant) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap();
        if name != "sql.rs" {
            assert!(!text.contains("sqlx::query"), "{} contains SQL", file.display());
        }
        if name != "routes.rs" {
            assert!(!text.contains("use axum"), "{} uses axum", file.display());
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}
