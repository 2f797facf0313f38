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

#[test]
fn routes_use_the_pool_of_requests() {
    // With that of background jobs requests would wait although there are too many.
    let all = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for file in all.iter().filter(|file| file.ends_with("routes.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let mut uses = text.split("state.db").skip(1);
        let is_allowed = |rest: &str| {
            [".for_requests()", ".acquire_monitor()"].iter().any(|call| rest.starts_with(call))
        };
        assert!(uses.all(is_allowed), "{}: extract State<Db>", file.display());
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
