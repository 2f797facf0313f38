//! Entry point of `plant-loadtest`: hands the user classes and files of [`plant`](plant_loadtest::plant)
//! to the library's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    plant_loadtest::plant::harness().main()
}
