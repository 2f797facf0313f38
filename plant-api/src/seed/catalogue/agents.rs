//! Agents. Consecutive agents cycle through the job roles. Within a role, each person name is used
//! once before names repeat with a number.

use std::ops::Range;

use super::{Catalogue, Row};
use crate::plant::agents::AgentContent;
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;
use crate::seed::files::Industry;
use crate::seed::random::RowKind;

/// One agent in this many belongs to no team.
const AGENTS_PER_TEAMLESS_AGENT: usize = 5;

impl Catalogue<'_> {
    pub fn agents(&self, range: Range<usize>) -> Vec<Row<AgentContent>> {
        range.map(|index| self.row(RowKind::Agent, index, self.agent(index))).collect()
    }

    fn agent(&self, index: usize) -> AgentContent {
        let role = index % self.roles.len();
        let random = self.random(RowKind::Agent, index);
        let skills = self.required_skills_of(role);
        let skill = skills[random.pick(0, skills.len())];
        let in_team = random.pick(1, AGENTS_PER_TEAMLESS_AGENT) > 0;
        AgentContent {
            name: self.agent_name(index),
            skill_id: SkillId(self.id(RowKind::Skill, skill)),
            job_role_id: JobRoleId(self.id(RowKind::JobRole, role)),
            team_id: in_team.then(|| TeamId(self.id(RowKind::Team, role))),
            industry_id: IndustryId(self.id(RowKind::Industry, self.roles[role].industry)),
        }
    }

    /// Returns the industry of the agent at `index`.
    pub fn agent_industry(&self, index: usize) -> &Industry {
        &self.files.industries[self.roles[index % self.roles.len()].industry]
    }

    /// Returns `Asha Sharma, Content Writer`, or `Asha Sharma 2, …` once all names of a role are
    /// used.
    fn agent_name(&self, index: usize) -> String {
        let (role, nth) = (index % self.roles.len(), index / self.roles.len());
        let people = &self.files.people;
        let total = people.first_names.len() * people.surnames.len();
        // A step coprime to `total` visits each person once before any repeats.
        let start = self.random(RowKind::JobRole, role).pick(0, total);
        let step = (self.random(RowKind::Agent, 0).pick(2, total).max(1)..)
            .find(|step| greatest_common_divisor(*step, total) == 1)
            .unwrap_or(1);
        let person = (start + nth % total * step) % total;
        let first = &people.first_names[person % people.first_names.len()];
        let surname = &people.surnames[person / people.first_names.len()];
        let role = &self.roles[role].role.name;
        match nth / total {
            0 => format!("{first} {surname}, {role}"),
            round => format!("{first} {surname} {}, {role}", round + 1),
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
