//! Bodies whose shape was found right, so that the same bytes are not parsed a million times.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::Endpoint;

/// Parsing less than this costs no more than looking it up.
const WORTH_KNOWING: usize = 1024;

/// How many bodies are kept for each endpoint, the latest first.
const KEPT: usize = 4;

/// The latest good bodies of each endpoint.
///
/// A list of a hundred agents takes longer to parse than to receive, and under load it is mostly
/// the same list. It is compared byte by byte, so nothing is taken on trust.
#[derive(Debug, Default)]
pub(super) struct Known {
    bodies: Mutex<BTreeMap<&'static str, Vec<Bytes>>>,
}

impl Known {
    /// Compares `body` with the shape that `endpoint` must have.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self, endpoint: &'static Endpoint, body: &Bytes) -> Result<(), String> {
        if body.len() < WORTH_KNOWING {
            return endpoint.shape.check(body);
        }
        if self.candidates(endpoint.name, body.len()).iter().any(|known| known == body) {
            return Ok(());
        }
        endpoint.shape.check(body)?;
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = bodies.entry(endpoint.name).or_default();
        kept.insert(0, body.clone());
        kept.truncate(KEPT);
        Ok(())
    }

    /// Those of the right length, to be compared without keeping others waiting.
    fn candidates(&self, endpoint: &str, length: usize) -> Vec<Bytes> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = bodies.get(endpoint).into_iter().flatten();
        ours.filter(|known| known.len() == length).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Shape;

    static LIST: Endpoint =
        Endpoint { name: "GET /list", success: &[200], shape: Shape::Array(&["id"]) };

    fn body(last: &str) -> Bytes {
        let items: Vec<String> = (0..200).map(|id| format!("{{\"id\":{id}}}")).collect();
        format!("[{},{last}]", items.join(",")).into()
    }

    #[test]
    fn a_known_body_is_right_and_one_of_its_length_is_still_checked() {
        let known = Known::default();
        for _ in 0..2 {
            assert_eq!(known.check(&LIST, &body("{\"id\":7}")), Ok(()));
        }
        assert_eq!(known.check(&LIST, &body("{\"ix\":7}")), Err("no `id`".into()));
    }

    #[test]
    fn a_wrong_body_stays_wrong() {
        let known = Known::default();
        for _ in 0..2 {
            assert!(known.check(&LIST, &body("{}")).is_err());
        }
    }
}
