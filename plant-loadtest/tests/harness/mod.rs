//! Runs the real program in a folder of its own, and reads what it left there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use plant_loadtest::{outcome::Outcome, report::json};

/// What the program left behind.
pub struct Done {
    /// Its exit code.
    pub exit: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// What it wrote to `out.json`, if it did.
    pub outcome: Option<Outcome>,
}

/// Where the test's files are.
pub fn folder_of(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

/// The test's own empty folder.
pub fn folder(test: &str) -> PathBuf {
    let folder = folder_of(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program with `arguments` in `folder`.
pub fn loadtest(folder: &Path, arguments: &[&str]) -> Done {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    Done {
        exit: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        outcome: json::read(&folder.join("out.json")).ok(),
    }
}

/// The verdict.
pub fn first_line(done: &Done) -> &str {
    done.stdout.lines().next().unwrap_or_default()
}
