//! Agents: so many that their names have to be counted out. Job roles take turns; within a role
//! people come in an order that meets everybody once before anybody comes again.

use std::ops::Range;

use super::{Catalogue, Row};
use crate::plant::agents::Content;
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;
use crate::seed::draw::Series;
use crate::seed::names::Industry;

/// One agent in so many belongs to no team.
const ALONE: usize = 5;

impl Catalogue<'_> {
    pub fn agents(&self, range: Range<usize>) -> Vec<Row<Content>> {
        range.map(|index| self.row(Series::Agent, index, self.agent(index))).collect()
    }

    fn agent(&self, index: usize) -> Content {
        let role = index % self.roles.len();
        let draw = self.draw(Series::Agent, index);
        let skills = self.skills_of(role);
        let skill = skills[draw.pick(0, skills.len())];
        let in_team = draw.pick(1, ALONE) > 0;
        Content {
            name: self.agent_name(index),
            skill_id: SkillId(self.id(Series::Skill, skill)),
            job_role_id: JobRoleId(self.id(Series::JobRole, role)),
            team_id: in_team.then(|| TeamId(self.id(Series::Team, role))),
            industry_id: IndustryId(self.id(Series::Industry, self.roles[role].industry)),
        }
    }

    /// The industry of the agent at `index`.
    pub fn industry_of(&self, index: usize) -> &Industry {
        &self.names.industries[self.roles[index % self.roles.len()].industry]
    }

    /// `Asha Sharma, Content Writer`; after everybody had their turn, `Asha Sharma 2, …`.
    fn agent_name(&self, index: usize) -> String {
        let (role, turn) = (index % self.roles.len(), index / self.roles.len());
        let people = &self.names.people;
        let all = people.first_names.len() * people.surnames.len();
        // Each role begins with another person, and steps are such that everybody is met once.
        let begin = self.draw(Series::JobRole, role).pick(0, all);
        let step = (self.draw(Series::Agent, 0).pick(2, all).max(1)..)
            .find(|step| common_divisor(*step, all) == 1)
            .unwrap_or(1);
        let person = (begin + turn % all * step) % all;
        let first = &people.first_names[person % people.first_names.len()];
        let surname = &people.surnames[person / people.first_names.len()];
        let role = &self.roles[role].role.name;
        match turn / all {
            0 => format!("{first} {surname}, {role}"),
            round => format!("{first} {surname} {}, {role}", round + 1),
        }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
