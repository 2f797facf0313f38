//! Job roles as Genesis creates and certifies them: of certified skills only. What a job role is:
//! [`crate::plant::job_roles`].

pub(crate) mod routes;
