//! Genesis's API for creating and certifying job roles, which requires certified skills; see
//! [`crate::plant::job_roles`].

pub(crate) mod routes;
