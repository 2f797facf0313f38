//! Genesis's API for creating and certifying skills; see [`crate::plant::skills`].

pub(crate) mod routes;
