//! `simulate`: how often the statistics are right, on data whose truth is known.

use clap::{Args, ValueEnum};

use super::{Exit, print};
use crate::{compare::simulation, verdict::leak_simulation};

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// Which statistics
    pub what: What,

    /// How many series a line
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub series: u64,
}

/// What can be simulated.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum What {
    /// The leak rule, over 24 hours of memory
    Leaks,
    /// Comparisons of identical runs, and of runs that are a tenth slower
    Comparisons,
}

/// Prints the table.
#[must_use]
pub fn simulate(arguments: &SimulateArguments) -> Exit {
    print(&match arguments.what {
        What::Leaks => leak_simulation::table(arguments.series.max(1)),
        What::Comparisons => simulation::table(arguments.series.max(1)),
    });
    Exit::Good
}
