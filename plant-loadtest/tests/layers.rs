//! Checks the module layers of the harness by the same rules as those of the service.

#[path = "../../plant-api/tests/structure/mod.rs"]
mod structure;
