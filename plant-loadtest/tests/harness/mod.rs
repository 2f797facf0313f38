//! Runs the `plant-loadtest` binary in a folder per test and reads its output.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use plant_loadtest::{outcome::Outcome, report::json};

/// Output of the program.
pub struct ProgramOutput {
    /// Exit code.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Outcome read from `out.json`, if it exists.
    pub outcome: Option<Outcome>,
}

/// Returns the folder of a test.
pub fn test_folder(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

/// Creates the folder of a test, empty.
pub fn new_test_folder(test: &str) -> PathBuf {
    let folder = test_folder(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `plant-loadtest` with `arguments` in `folder`.
pub fn loadtest(folder: &Path, arguments: &[&str]) -> ProgramOutput {
    run_program(Path::new(env!("CARGO_BIN_EXE_plant-loadtest")), folder, arguments)
}

/// Runs `program` with `arguments` in `folder`.
pub fn run_program(program: &Path, folder: &Path, arguments: &[&str]) -> ProgramOutput {
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    ProgramOutput {
        exit_code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        outcome: json::read(&folder.join("out.json")).ok(),
    }
}

/// Returns the first line of standard output, which is the verdict.
pub fn first_line(output: &ProgramOutput) -> &str {
    output.stdout.lines().next().unwrap_or_default()
}
