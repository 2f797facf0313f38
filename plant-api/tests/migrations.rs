//! Migrations are compatible with the version before: during an upgrade, and after going back from one, the
//! old version runs on the new schema. So they only expand it. What is no longer used is dropped by a later
//! release than the one that stopped using it. `scripts/check_upgrade.sh` runs an old version to prove it.

use std::fs;
use std::path::{Path, PathBuf};

/// The first migration that is checked: those before were never upgraded to in a running system.
const FIRST_CHECKED: u32 = 51;

/// Migrations that a rule would refuse, with the reason why the version before runs on them nevertheless.
const COMPATIBLE: [(&str, &str); 0] = [];

/// What the version before may not expect of an existing table, by the text of a statement.
const CONTRACTING: [(&str, &str); 13] = [
    ("drop table ", "the version before may use the table"),
    ("drop view ", "the version before may use the view"),
    ("drop function ", "the version before may call the function"),
    ("drop type ", "the version before may use the type"),
    (" drop column ", "the version before may use the column"),
    (" rename ", "the version before uses the old name"),
    (" set not null ", "the version before may write null"),
    (" drop default ", "the version before may rely on the default"),
    (" add constraint ", "the version before may write what the constraint rejects"),
    (" add check ", "the version before may write what the constraint rejects"),
    ("create unique index ", "the version before may write what the index rejects"),
    ("create trigger ", "the version before may write what the trigger rejects"),
    ("revoke ", "the version before may need the privilege"),
];

#[test]
fn migrations_only_expand_the_schema() {
    let mut violations = Vec::new();
    for path in migrations() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let number: u32 = name[..4].parse().unwrap();
        let is_known = COMPATIBLE.iter().any(|(known, _)| *known == name);
        if number >= FIRST_CHECKED && !is_known {
            let text = fs::read_to_string(&path).unwrap();
            violations.extend(contractions(&text).into_iter().map(|one| format!("{name}: {one}")));
        }
    }
    assert!(
        violations.is_empty(),
        "{}\nexpand in this release and contract in a later one; or say in COMPATIBLE why the version \
         before runs on it",
        violations.join("\n")
    );
}

#[test]
fn each_rule_finds_what_it_is_for() {
    for (statement, expected) in [
        ("drop table skill", "use the table"),
        ("alter table skill drop column level", "use the column"),
        ("alter table skill\n    rename column level to rank", "old name"),
        ("alter table skill alter column level set not null", "write null"),
        ("alter table skill alter column level type bigint", "old type"),
        ("alter table skill alter column level drop default", "rely on the default"),
        ("alter table skill add constraint c check (level > 0)", "the constraint rejects"),
        ("alter table skill add column rank integer not null", "there is no default"),
        ("create unique index i on skill (level)", "the index rejects"),
        ("create trigger t before insert on skill execute function f()", "the trigger rejects"),
        ("revoke insert on skill from plant_app", "need the privilege"),
    ] {
        let found = contractions(statement);
        assert!(found.iter().any(|one| one.contains(expected)), "{statement}: {found:?}");
    }
    for statement in [
        "create table rank (level integer not null constraint c check (level > 0))",
        "create table rank (level integer);\ncreate unique index i on rank (level)",
        "create table rank (level integer);\nalter table rank add constraint c check (level > 0)",
        "alter table skill add column type integer",
        "alter table skill add column rank integer not null default 0",
        "create index i on skill (level)",
        "-- drop table skill\nalter table skill alter column level set default 1",
        "insert into skill (level) values (1)",
    ] {
        assert_eq!(contractions(statement), Vec::<String>::new(), "{statement}");
    }
}

#[test]
fn every_exception_is_a_migration() {
    for (name, reason) in COMPATIBLE {
        assert!(migrations().iter().any(|path| path.ends_with(name)), "{name}");
        assert!(!reason.is_empty(), "{name}");
    }
}

fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_numbered = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".sql") && name.starts_with(|c: char| c.is_ascii_digit())
    };
    let mut files: Vec<PathBuf> = files.filter(is_numbered).collect();
    files.sort();
    files
}

/// Returns what the version before may not expect, for each statement of `sql` on a table that it does not
/// create itself.
fn contractions(sql: &str) -> Vec<String> {
    let without_comments = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text: Vec<&str> = without_comments.flat_map(str::split_whitespace).collect();
    let text = text.join(" ").to_lowercase();
    let statements: Vec<&str> = text.split(';').map(str::trim).collect();
    let created: Vec<&str> = statements
        .iter()
        .filter_map(|statement| statement.strip_prefix("create table "))
        .filter_map(|rest| rest.split([' ', '(']).next())
        .collect();
    let mut found = Vec::new();
    for statement in statements {
        let words: Vec<&str> = statement.split([' ', '(']).collect();
        let is_of_created = statement.starts_with("create table ")
            || words
                .windows(2)
                .any(|pair| ["table", "on"].contains(&pair[0]) && created.contains(&pair[1]));
        if is_of_created {
            continue;
        }
        let alteration = format!("{statement} ");
        let alters =
            |pattern: &str| statement.starts_with("alter ") && alteration.contains(pattern);
        let mut add = |reason: &str| found.push(format!("`{statement}`: {reason}"));
        for (pattern, reason) in CONTRACTING {
            if statement.starts_with(pattern) || pattern.starts_with(' ') && alters(pattern) {
                add(reason);
            }
        }
        if alters(" alter column ") && alters(" type ") {
            add("the version before has prepared statements with the old type");
        }
        if alters(" add column ") && alters(" not null ") && !alters(" default ") {
            add("the version before inserts rows without it, and there is no default");
        }
    }
    found
}
