//! Cache of response bodies that passed validation, so that identical bodies are not parsed again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{Endpoint, Shape};

/// Bodies smaller than this, in bytes, are not cached: parsing them costs no more than a lookup.
const MIN_CACHED_BYTES: usize = 1024;

/// Number of bodies cached per endpoint. The oldest is evicted first.
const MAX_BODIES_PER_ENDPOINT: usize = 4;

/// The most recent valid bodies of each endpoint.
///
/// Parsing a list of a hundred agents takes longer than receiving it, and under load most responses
/// are the same list. Bodies are compared byte by byte, so a cached body is never wrong.
#[derive(Debug, Default)]
pub(super) struct ValidatedBodies {
    /// By the address of the endpoint: two endpoints may have the same name.
    bodies: Mutex<BTreeMap<usize, Vec<Bytes>>>,
}

impl ValidatedBodies {
    /// Checks that `body` has the shape of `endpoint`.
    ///
    /// # Errors
    /// When it does not; the message describes the difference.
    pub(super) fn validate(&self, endpoint: &'static Endpoint, body: &Bytes) -> Result<(), String> {
        if body.len() < MIN_CACHED_BYTES || matches!(endpoint.shape, Shape::Any) {
            return endpoint.shape.check(body);
        }
        let address = std::ptr::from_ref(endpoint).addr();
        if self.candidates(address, body.len()).iter().any(|cached| cached == body) {
            return Ok(());
        }
        endpoint.shape.check(body)?;
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = bodies.entry(address).or_default();
        cached.insert(0, body.clone());
        cached.truncate(MAX_BODIES_PER_ENDPOINT);
        Ok(())
    }

    /// Returns the cached bodies of this `length`, to be compared after the lock is released.
    fn candidates(&self, address: usize, length: usize) -> Vec<Bytes> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = bodies.get(&address).into_iter().flatten();
        cached.filter(|body| body.len() == length).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Shape;

    static LIST: Endpoint = Endpoint {
        name: "GET /list",
        expected_statuses: &[200],
        shape: Shape::Array(&["id"]),
        tags: &[],
    };

    fn body(last: &str) -> Bytes {
        let items: Vec<String> = (0..200).map(|id| format!("{{\"id\":{id}}}")).collect();
        format!("[{},{last}]", items.join(",")).into()
    }

    #[test]
    fn a_cached_body_is_valid_and_another_one_of_the_same_length_is_checked() {
        let validated = ValidatedBodies::default();
        for _ in 0..2 {
            assert_eq!(validated.validate(&LIST, &body("{\"id\":7}")), Ok(()));
        }
        let other = validated.validate(&LIST, &body("{\"ix\":7}"));
        assert_eq!(other, Err("missing key `id`".into()));
    }

    #[test]
    fn an_invalid_body_is_not_cached() {
        let validated = ValidatedBodies::default();
        for _ in 0..2 {
            assert!(validated.validate(&LIST, &body("{}")).is_err());
        }
    }

    #[test]
    fn endpoints_of_the_same_name_share_no_bodies() {
        static OTHER: Endpoint = Endpoint {
            name: LIST.name,
            expected_statuses: &[200],
            shape: Shape::Array(&["name"]),
            tags: &[],
        };
        let validated = ValidatedBodies::default();
        assert_eq!(validated.validate(&LIST, &body("{\"id\":7}")), Ok(()));
        assert!(validated.validate(&OTHER, &body("{\"id\":7}")).is_err());
    }
}
