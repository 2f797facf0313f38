//! The documentation: links lead to files and headings that exist, every page is in the index, and the source
//! documents have names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The two pages that say which number a source document has.
const NUMBERS_ARE_NAMED_IN: [&str; 2] = ["docs/migrating.md", "docs/glossary.md"];

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

/// Returns the pages of the repository: those of the root, of `docs/` and of `docs/decisions/`.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/decisions"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn name_of(page: &Path) -> String {
    page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

/// Returns the lines outside of code blocks, without code within lines.
fn prose(text: &str) -> Vec<String> {
    let mut in_code = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    outside.map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join("``")).collect()
}

/// Returns the targets of the links and pictures of a page.
fn links(text: &str) -> Vec<String> {
    let lines = prose(text);
    let starts = lines.iter().flat_map(|line| line.split("](").skip(1));
    let targets = starts.filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// Returns the names by which GitHub links to the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let headings = text.lines().filter(|line| {
        in_code ^= line.trim_start().starts_with("```");
        !in_code && line.starts_with('#')
    });
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim();
        text.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages() {
        for target in links(&fs::read_to_string(&page).unwrap()) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file =
                if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let text = || fs::read_to_string(&file).unwrap_or_default();
            if !file.exists() || !anchor.is_empty() && !anchors(&text()).contains(anchor) {
                broken.push(format!("{}: {target}", name_of(&page)));
            }
            count += 1;
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn every_page_is_in_the_index() {
    let index = links(&fs::read_to_string(root().join("docs/README.md")).unwrap());
    let names = pages().into_iter().map(|page| name_of(&page));
    let names = names.filter_map(|name| name.strip_prefix("docs/").map(str::to_owned));
    let missing: Vec<_> = names
        .filter(|name| !name.starts_with("decisions/") && name != "README.md")
        .filter(|name| !index.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}

#[test]
fn source_documents_are_named_and_not_numbered() {
    let is_numbered = |line: &String| {
        let line = line.to_lowercase();
        ["seed 00", "seeds 00", "seed-00"].iter().any(|number| line.contains(number))
    };
    let other = |page: &PathBuf| !NUMBERS_ARE_NAMED_IN.contains(&name_of(page).as_str());
    let mut found = Vec::new();
    for page in pages().into_iter().filter(other) {
        let text = fs::read_to_string(&page).unwrap();
        let lines = text.lines().map(str::to_owned).filter(is_numbered);
        found.extend(lines.map(|line| format!("{}: {line}", name_of(&page))));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn links_and_headings_are_parsed() {
    let page = "# One `two`: three\n[a](x.md#one-two-three) `[no](no.md)`\n```\n# no\n[b](no.md)\n```\n![c](y.png)";
    assert_eq!(links(page), ["x.md#one-two-three", "y.png"]);
    assert!(anchors(page).contains("one-two-three"));
    assert_eq!(anchors(page).len(), 1);
}
