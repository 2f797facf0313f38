//! What is invalidated together: all responses of a topic, or those of one hired agent.

use std::fmt::{self, Display};

use strum::VariantArray;
use uuid::Uuid;

/// Group of cached responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Topic {
    Agents,
    /// Lists of the deliverables of hired agents.
    Deliverables,
    /// Lists of the goals of hired agents.
    Goals,
    /// What customers have hired: the lists and the configurations.
    Hires,
    Industries,
    JobRoles,
    Skills,
    Teams,
}

impl Topic {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in Redis keys and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Deliverables => "deliverables",
            Self::Goals => "goals",
            Self::Hires => "hires",
            Self::Industries => "industries",
            Self::JobRoles => "job_roles",
            Self::Skills => "skills",
            Self::Teams => "teams",
        }
    }

    /// Returns the responses of this topic that belong to one entity. A write of one entity does not
    /// invalidate the responses of the others.
    pub fn of(self, entity: Uuid) -> Scope {
        Scope { topic: self, entity: Some(entity) }
    }
}

/// Cached responses that are invalidated together: those of a topic, or of one entity in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub(super) topic: Topic,
    entity: Option<Uuid>,
}

impl From<Topic> for Scope {
    fn from(topic: Topic) -> Self {
        Self::of_topic(topic)
    }
}

/// The name in Redis keys, and in the rows of idempotency keys.
impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.topic.name())?;
        self.entity.map_or(Ok(()), |entity| write!(f, "/{entity}"))
    }
}

impl Scope {
    pub(super) const fn of_topic(topic: Topic) -> Self {
        Self { topic, entity: None }
    }

    /// Returns the scope with this name; `None` if there is none, as for names written by a newer
    /// version.
    pub fn parse(name: &str) -> Option<Self> {
        let (topic, entity) = match name.split_once('/') {
            Some((topic, entity)) => (topic, Some(entity.parse().ok()?)),
            None => (name, None),
        };
        let topic = Topic::ALL.iter().copied().find(|known| known.name() == topic)?;
        Some(Self { topic, entity })
    }

    /// Returns the scopes whose invalidation concerns responses of this one: itself, and its topic.
    pub(super) fn with_topic(self) -> impl Iterator<Item = Self> {
        [self.topic.into()].into_iter().chain(self.entity.map(|_| self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for topic in Topic::ALL.iter().copied() {
            for scope in [topic.into(), topic.of(Uuid::from_u128(7))] {
                assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }
        for unknown in ["", "flowers", "flowers/00000000-0000-0000-0000-000000000007", "goals/7"] {
            assert_eq!(Scope::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn responses_of_an_entity_depend_on_their_topic_too() {
        let goals = Topic::Goals.of(Uuid::nil());
        assert_eq!(goals.with_topic().collect::<Vec<_>>(), [Topic::Goals.into(), goals]);
        let agents = Scope::from(Topic::Agents);
        assert_eq!(agents.with_topic().collect::<Vec<_>>(), [agents]);
    }
}
