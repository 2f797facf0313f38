//! The layers of the harness, by the same rules as the service's.

#[path = "../../plant-api/tests/structure/mod.rs"]
mod structure;
