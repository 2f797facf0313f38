//! Defects of a single line.

use uuid::Uuid;

use crate::plant::audit::line::LineError;
use crate::plant::chain::Reason;

/// The defect of a line, with its description.
#[derive(Debug, Clone, PartialEq)]
pub enum LineDefect {
    /// The line was altered.
    Broken(String),
    /// The line cannot be parsed.
    Malformed(String),
}

impl LineDefect {
    /// Returns the defect of a line whose entity `id` does not follow the `previous` one.
    pub fn out_of_order(id: Uuid, previous: Uuid) -> Self {
        let what = if id == previous { "duplicate entity" } else { "entity out of order" };
        Self::Broken(format!("{what}: {id} after {previous}"))
    }
}

impl From<LineError> for LineDefect {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Malformed(message) => Self::Malformed(message),
            LineError::Broken { id, kind, at_index, reason, field } => {
                let field = field.map(|field| format!(" (`{field}`)")).unwrap_or_default();
                let (kind, code, text) = (kind.noun(), reason.as_str(), describe(reason));
                let amendment = format!("{kind} {id}, amendment {at_index}");
                Self::Broken(format!("{amendment}: {code}{field}: {text}"))
            }
        }
    }
}

fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Empty => "there is no amendment",
        Reason::WrongSequence => "an amendment is missing, inserted or moved",
        Reason::ContentAltered => "the SHA-256 of the content is not its content hash",
        Reason::LinkAltered => "the link is not the hash of entity, previous link and content",
        Reason::WrongLength => "the chain is shorter or longer than the entity's chain length",
        Reason::WrongVersionHash => "the entity's version hash is not the last link",
        Reason::Unreadable => "the content is not the JSON of an amendment",
        Reason::StateDiffers => "the entity's fields differ from the result of its amendments",
    }
}
