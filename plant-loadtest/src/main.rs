//! Entry point of `plant-loadtest`: hands Plant's user classes and files to the library's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    plant_loadtest::plant::harness().main()
}
