//! The Plant backend.
