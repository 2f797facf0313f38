//! Checks the module layers of the harness by the same rules as those of the service.

#[path = "../../plant-api/tests/structure/mod.rs"]
mod structure;

use std::{fs, path::Path};

/// Texts that only Plant has. The modules below `plant` serve any service.
const NAMES_OF_PLANT: [&str; 9] = [
    "/api/v1",
    "/health",
    "8001",
    "Plant",
    "X-Customer-ID",
    "loadtest_",
    "plant-api",
    "seed_test_data",
    "test-customer",
];

/// Folders that may contain a text: the servers of the self-test and Goose's dashboard have such paths.
const EXCEPTIONS: [(&str, &str); 2] = [("selftest", "/health"), ("engine/control.rs", "/api/v1")];

#[test]
fn only_the_module_plant_names_plant() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path != source.join("plant") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // Tests may take Plant as their example.
                let is_test = path.file_stem().is_some_and(|name| name == "tests");
                let code = text.split("#[cfg(test)]").next().filter(|_| !is_test);
                let names = NAMES_OF_PLANT.iter();
                let is_allowed = |name: &str| {
                    EXCEPTIONS.iter().any(|(folder, allowed)| {
                        path.starts_with(source.join(folder)) && name == *allowed
                    })
                };
                found.extend(
                    names
                        .filter(|name| code.is_some_and(|code| code.contains(**name)))
                        .filter(|name| !is_allowed(name))
                        .map(|name| format!("{} names {name}", path.display())),
                );
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
