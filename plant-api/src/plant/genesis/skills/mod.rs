//! Skills as Genesis creates and certifies them. What a skill is: [`crate::plant::skills`].

pub(crate) mod routes;
