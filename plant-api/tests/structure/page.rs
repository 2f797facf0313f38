//! Reads the order of the layers from `docs/architecture.md`: code blocks that start with
//! `layers <crate>` or `layers <crate> <folder below src>`, one layer per line, highest first.

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that are not modules of the library, or only of its tests.
pub const OUTSIDE_THE_LAYERS: &[&str] = &["bin", "lib", "main", "mod", "testing", "tests"];

/// The layers of one folder.
pub struct Order {
    /// Relative to `src`; empty for `src` itself.
    pub folder: PathBuf,
    /// Highest first.
    layers: Vec<Vec<String>>,
}

/// The layer of a file.
pub struct Layer<'o> {
    /// Module that contains the file.
    pub module: &'o str,
    /// 0 is the lowest.
    pub height: usize,
}

impl Order {
    /// Returns the layer of a file, given relative to `src`; `None` outside the folder.
    pub fn layer_of(&self, file: &Path) -> Option<Layer<'_>> {
        let module = file.strip_prefix(&self.folder).ok()?.iter().next()?.to_str()?;
        let module = module.trim_end_matches(".rs");
        self.layers.iter().rev().enumerate().find_map(|(height, layer)| {
            let module = layer.iter().find(|name| *name == module)?;
            Some(Layer { module, height })
        })
    }

    /// Returns all modules of the folder, sorted.
    pub fn modules(&self) -> Vec<String> {
        let mut modules: Vec<String> = self.layers.concat();
        modules.sort();
        modules
    }
}

/// Reads the layer orders of a crate.
pub fn orders(package: &str) -> Vec<Order> {
    let orders = parse(&fs::read_to_string(docs().join("architecture.md")).unwrap(), package);
    assert!(!orders.is_empty(), "docs/architecture.md has no layers of {package}");
    orders
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn parse(page: &str, package: &str) -> Vec<Order> {
    let mut orders = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(opening) = line.strip_prefix("```layers ") else { continue };
        let mut words = opening.split_whitespace();
        let layers = lines.by_ref().take_while(|line| *line != "```");
        let layers = layers.map(|line| line.split_whitespace().map(str::to_owned).collect());
        let order = Order { layers: layers.collect(), folder: PathBuf::new() };
        if words.next() == Some(package) {
            orders.push(Order { folder: words.next().unwrap_or_default().into(), ..order });
        }
    }
    orders
}

#[test]
fn the_highest_layer_comes_first_on_the_page() {
    let page = "text\n```layers one\na b\nc\n```\n```layers two sub\nd\n```\n";
    let orders = parse(page, "one");
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].modules(), ["a", "b", "c"]);
    assert_eq!(orders[0].layer_of(Path::new("b/x.rs")).unwrap().height, 1);
    assert_eq!(orders[0].layer_of(Path::new("c.rs")).unwrap().height, 0);
    assert!(parse(page, "two")[0].layer_of(Path::new("d.rs")).is_none());
    assert_eq!(parse(page, "two")[0].layer_of(Path::new("sub/d.rs")).unwrap().module, "d");
}

#[test]
fn every_link_of_the_page_leads_to_a_file() {
    let page = fs::read_to_string(docs().join("architecture.md")).unwrap();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    for (link, _) in links {
        assert!(docs().join(link).exists(), "{link}");
    }
}
