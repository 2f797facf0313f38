//! `simulate`: measures how often the statistics give each result on data with known properties.

use clap::{Args, ValueEnum};

use super::Exit;
use crate::{compare::simulation, console::print, verdict::leak_simulation};

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// Statistic to check
    pub statistic: Statistic,

    /// Simulated series or comparisons per table row
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub series: u64,
}

/// The statistics that can be checked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Statistic {
    /// Leak detection over 24 hours of memory samples
    Leaks,
    /// Comparisons of identical runs, and of runs that are 10 % slower
    Comparisons,
}

/// Prints the table of results.
#[must_use]
pub fn simulate(arguments: &SimulateArguments) -> Exit {
    print(&match arguments.statistic {
        Statistic::Leaks => leak_simulation::table(arguments.series.max(1)),
        Statistic::Comparisons => simulation::table(arguments.series.max(1)),
    });
    Exit::Success
}
