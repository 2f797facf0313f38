//! The imports between the files of a crate, read from the `crate::`, `super::` and `self::` paths
//! in the sources, without tests. A re-exported name counts as an import of the file that defines
//! it, and a module imports the modules that it declares.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::page::OUTSIDE_THE_LAYERS;

/// A module path below the crate's root, such as `["plant", "agents", "sql"]`.
type Module = Vec<String>;

/// The modules of a crate, with their source files.
pub struct Tree {
    files: BTreeMap<Module, Source>,
}

struct Source {
    /// Relative to `src`.
    file: PathBuf,
    /// All paths in the file, relative to the crate's root.
    paths: Vec<Module>,
    /// Names that the module re-exports, with the paths of their definitions.
    re_exports: BTreeMap<String, Module>,
}

impl Tree {
    /// Reads all sources below `src`.
    pub fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        for file in sources(src) {
            let text = fs::read_to_string(&file).unwrap();
            let file = file.strip_prefix(src).unwrap().to_owned();
            let module = module_of(&file);
            let text = without_comments_and_tests(&text);
            let mut paths: Vec<Module> =
                find_paths(&text).iter().filter_map(|path| resolve(path, &module)).collect();
            paths.extend(declared_modules(&text).map(|name| [&*module, &[name]].concat()));
            let re_exports = re_exports(&text, &module);
            files.insert(module, Source { file, paths, re_exports });
        }
        Self { files }
    }

    /// Returns all pairs of a file and a file that it imports, without imports from a containing
    /// module: the parts of a slice use the slice's types.
    pub fn imports(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut imports = Vec::new();
        for (module, source) in &self.files {
            for path in &source.paths {
                let Some(imported) = self.defining_module(path, 0) else { continue };
                if !module.starts_with(imported) {
                    imports.push((source.file.clone(), self.files[imported].file.clone()));
                }
            }
        }
        imports.sort();
        imports.dedup();
        imports
    }

    /// Returns the module that defines the item at `path`.
    fn defining_module(&self, path: &[String], depth: usize) -> Option<&Module> {
        let (length, (module, source)) = (0..=path.len())
            .rev()
            .find_map(|length| Some((length, self.files.get_key_value(&path[..length])?)))?;
        let re_exported = path.get(length).and_then(|name| source.re_exports.get(name));
        match re_exported {
            Some(origin) if depth < 8 => self.defining_module(origin, depth + 1),
            _ => Some(module),
        }
    }
}

/// Returns a cycle of the graph, in the order of its imports.
pub fn find_cycle(graph: &BTreeMap<PathBuf, Vec<PathBuf>>) -> Option<Vec<PathBuf>> {
    let mut finished = Vec::new();
    graph.keys().find_map(|start| visit(graph, start, &mut Vec::new(), &mut finished))
}

fn visit(
    graph: &BTreeMap<PathBuf, Vec<PathBuf>>,
    file: &PathBuf,
    path: &mut Vec<PathBuf>,
    finished: &mut Vec<PathBuf>,
) -> Option<Vec<PathBuf>> {
    if let Some(start) = path.iter().position(|earlier| earlier == file) {
        return Some(path[start..].to_vec());
    }
    if finished.contains(file) {
        return None;
    }
    path.push(file.clone());
    let imported = graph.get(file).into_iter().flatten();
    let cycle = imported.into_iter().find_map(|file| visit(graph, file, path, finished));
    path.pop();
    finished.push(file.clone());
    cycle
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let outside = OUTSIDE_THE_LAYERS.contains(&name) && name != "mod";
        if path.is_dir() && !outside {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !outside {
            found.push(path);
        }
    }
    found
}

fn module_of(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn without_comment(line: &str) -> &str {
    // `://` is a URL in a string.
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn without_comments_and_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(without_comment);
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the names in the declarations `mod name;`.
fn declared_modules(text: &str) -> impl Iterator<Item = String> {
    let declarations = text.lines().filter_map(|line| line.strip_suffix(';'));
    let words = declarations.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter_map(|words| match words[..] {
        [.., "mod", name] => Some(name.to_owned()),
        _ => None,
    })
}

/// Returns the segments of every path that starts with `crate`, `super` or `self`; a tree in braces
/// yields one path per leaf.
fn find_paths(text: &str) -> Vec<Module> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                parse_leaves(&text[at..], &mut Vec::new(), &mut paths);
            }
        }
    }
    paths
}

/// Parses one path or tree at the start of `text` and adds its leaves to `paths`. Returns the rest
/// of the text.
fn parse_leaves<'t>(text: &'t str, prefix: &mut Module, paths: &mut Vec<Module>) -> &'t str {
    let length = prefix.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut inner) = rest.strip_prefix('{') {
            while !inner.is_empty() && !inner.starts_with('}') {
                inner = parse_leaves(inner, prefix, paths).trim_start().trim_start_matches(',');
                inner = inner.trim_start();
            }
            rest = inner.get(1..).unwrap_or_default();
            break;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            // A glob, or a character that no path contains.
            paths.push(prefix.clone());
            rest = rest.strip_prefix('*').unwrap_or_else(|| rest.get(1..).unwrap_or_default());
            break;
        }
        prefix.push(rest[..end].to_owned());
        rest = &rest[end..];
        let Some(next) = rest.strip_prefix("::") else {
            paths.push(prefix.clone());
            break;
        };
        rest = next;
    }
    prefix.truncate(length);
    let renamed = rest.trim_start().strip_prefix("as ");
    renamed.map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Returns `path` relative to the crate's root; `None` if it is outside the crate.
fn resolve(path: &[String], module: &[String]) -> Option<Module> {
    let mut base: Module = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => module.to_vec(),
    };
    for segment in &path[1..] {
        match segment.as_str() {
            "super" => drop(base.pop()?),
            "self" => {}
            name => base.push(name.to_owned()),
        }
    }
    Some(base)
}

/// Returns the names that the `pub use` lines of a module re-export, with their paths.
fn re_exports(text: &str, module: &[String]) -> BTreeMap<String, Module> {
    let mut names = BTreeMap::new();
    for item in text.split(';') {
        let Some((visibility, tree)) = item.split_once("use ") else { continue };
        let visibility = visibility.rsplit('\n').next().unwrap_or_default().trim();
        // `pub type Cause = …` contains `use ` as well.
        if visibility != "pub" && !visibility.starts_with("pub(") {
            continue;
        }
        let mut paths = Vec::new();
        parse_leaves(tree, &mut Vec::new(), &mut paths);
        for path in paths {
            let local = !matches!(path[0].as_str(), "crate" | "super" | "self");
            let path = if local { [vec!["self".to_owned()], path].concat() } else { path };
            if let (Some(name), Some(origin)) = (path.last().cloned(), resolve(&path, module)) {
                names.insert(name, origin);
            }
        }
    }
    names
}

#[cfg(test)]
fn joined(paths: &[Module]) -> Vec<String> {
    paths.iter().map(|path| path.join("::")).collect()
}

#[test]
fn every_leaf_of_a_tree_is_a_path() {
    let text = "use crate::{a, b::{c, self as d}, e::*};\nlet x = crate::f::g(super::h);";
    let found = joined(&find_paths(text));
    let expected =
        ["crate::a", "crate::b::c", "crate::b::self", "crate::e", "crate::f::g", "super::h"];
    assert_eq!(found, expected);
}

#[test]
fn a_declared_module_is_an_import() {
    let text = "mod a;\npub(crate) mod b;\nlet mode = c;";
    assert_eq!(declared_modules(text).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn paths_are_resolved_relative_to_their_module() {
    let module: Module = vec!["plant".into(), "agents".into(), "sql".into()];
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Module>();
    assert_eq!(resolve(&path("super::Agent"), &module).unwrap().join("::"), "plant::agents::Agent");
    assert_eq!(
        resolve(&path("super::super::skills"), &module).unwrap().join("::"),
        "plant::skills"
    );
    assert_eq!(resolve(&path("crate::db::Db"), &module).unwrap().join("::"), "db::Db");
    let names = re_exports(
        "mod change;\npub use change::{change, Changes};\nuse x::y;\npub type Cause = z;",
        &module,
    );
    assert_eq!(names["Changes"].join("::"), "plant::agents::sql::change::Changes");
    assert!(!names.contains_key("y"));
}

#[test]
fn a_cycle_is_found_and_a_diamond_is_not_one() {
    let graph = |pairs: &[(&str, &str)]| {
        let mut graph: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for (from, to) in pairs {
            graph.entry((*from).into()).or_default().push((*to).into());
        }
        graph
    };
    assert_eq!(find_cycle(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    let found = find_cycle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap();
    assert_eq!(found, [PathBuf::from("b"), PathBuf::from("c")]);
}
