//! Import rules of both crates: a module imports from lower layers only, and files do not import
//! each other in a cycle. The order of the layers is read from `docs/architecture.md`, so that the
//! page stays up to date.

mod imports;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use imports::Tree;

#[test]
fn a_module_imports_from_lower_layers_only() {
    let mut violations = Vec::new();
    for order in page::orders(env!("CARGO_PKG_NAME")) {
        let tree = Tree::read(&source_folder());
        for (file, imported) in tree.imports() {
            let (Some(from), Some(to)) = (order.layer_of(&file), order.layer_of(&imported)) else {
                continue;
            };
            if from.module != to.module && to.height >= from.height {
                violations.push(format!("{} imports {}", file.display(), imported.display()));
            }
        }
    }
    assert!(
        violations.is_empty(),
        "imports from the same or a higher layer:\n{}",
        violations.join("\n")
    );
}

#[test]
fn every_module_has_a_layer_and_every_layer_exists() {
    for order in page::orders(env!("CARGO_PKG_NAME")) {
        let folder = source_folder().join(&order.folder);
        let mut modules: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| !page::OUTSIDE_THE_LAYERS.contains(&name.as_str()))
            .collect();
        modules.sort();
        assert_eq!(order.modules(), modules, "docs/architecture.md and {}", folder.display());
    }
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    let mut graph: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for (file, imported) in Tree::read(&source_folder()).imports() {
        graph.entry(file).or_default().push(imported);
    }
    let cycle = imports::find_cycle(&graph);
    assert!(cycle.is_none(), "these files import each other: {cycle:#?}");
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
