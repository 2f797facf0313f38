//! The Plant backend.
fn main() {}
