//! The tunables, for operators: what can be changed while the service runs, within which bounds.

pub(super) mod routes;
#[cfg(test)]
mod tests;
