//! The path of a field in a JSON value, built only when a violation is reported.

use std::fmt;

/// Path of a field, as a chain of references from the field to the root. Adding a step takes
/// constant time and allocates nothing.
#[derive(Debug, Clone, Copy)]
pub enum FieldPath<'a> {
    /// The whole value.
    Root,
    /// A field of an object.
    Key(&'a FieldPath<'a>, &'a str),
    /// An item of an array.
    Index(&'a FieldPath<'a>, usize),
}

/// Maximum length of one step as text, in characters. Longer ones are cut off.
const MAX_STEP_CHARS: usize = 100;

impl FieldPath<'_> {
    /// Returns the number of steps from the root.
    pub fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(parent, _) | Self::Index(parent, _) => parent.depth() + 1,
        }
    }
}

/// Writes `settings.items[3].name`.
impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => {
                let dot = if matches!(parent, Self::Root) { "" } else { "." };
                write!(f, "{parent}{dot}")?;
                match key.char_indices().nth(MAX_STEP_CHARS) {
                    Some((end, _)) => write!(f, "{}…", &key[..end]),
                    None => f.write_str(key),
                }
            }
        }
    }
}
