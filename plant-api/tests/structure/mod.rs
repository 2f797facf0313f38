//! Import rules that both crates keep: a module uses lower layers only, and no files import each
//! other in a circle. The order of the layers is read from the code blocks of
//! `docs/architecture.md`, so that the page cannot go stale.

mod imports;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use imports::Tree;

#[test]
fn a_module_uses_lower_layers_only() {
    let mut climbs = Vec::new();
    for order in page::orders(env!("CARGO_PKG_NAME")) {
        let tree = Tree::read(&source_folder());
        for (file, used) in tree.imports() {
            let (Some(from), Some(to)) = (order.layer_of(&file), order.layer_of(&used)) else {
                continue;
            };
            if from.module != to.module && to.height >= from.height {
                climbs.push(format!("{} uses {}", file.display(), used.display()));
            }
        }
    }
    assert!(climbs.is_empty(), "imports that climb or stay level:\n{}", climbs.join("\n"));
}

#[test]
fn every_module_has_a_layer_and_every_layer_its_modules() {
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
fn no_files_import_each_other_in_a_circle() {
    let mut graph: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for (file, used) in Tree::read(&source_folder()).imports() {
        graph.entry(file).or_default().push(used);
    }
    let circle = imports::circle(&graph);
    assert!(circle.is_none(), "these files import each other: {circle:#?}");
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
