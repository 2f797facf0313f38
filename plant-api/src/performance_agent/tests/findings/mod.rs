//! Each kind of finding: the fault is made, the finding appears with its evidence, and without the fault
//! it does not.

mod database;
mod healthy;
mod process;
mod service;
