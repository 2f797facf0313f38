//! The catalogue: industries, skills, job roles, teams and agents, each a function of its index.

mod agents;
mod plant;
mod sql;
mod taken;

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub use plant::{plant_agents, plant_foundations};
pub use taken::{taken_agents, taken_foundations};

use super::draw::{Draw, Series};
use super::names::{Names, Role};
use super::options::Plan;
use crate::plant::industries;
use crate::plant::job_roles;
use crate::plant::skills::{self, SkillId};
use crate::plant::teams;

/// How long Genesis takes to certify a planted skill.
const CERTIFICATION: TimeDelta = TimeDelta::hours(1);
/// Skills that go to the database in one statement.
const SKILLS_AT_ONCE: usize = 1000;

/// A row about to be planted.
#[derive(Debug)]
pub struct Row<T> {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub content: T,
}

/// What the catalogue is to hold. Nothing of it is kept: each row is made when it is asked for.
pub struct Catalogue<'a> {
    pub names: &'a Names,
    pub plan: Plan,
    roles: Vec<PlacedRole<'a>>,
}

/// A job role with the industry that it belongs to.
struct PlacedRole<'a> {
    role: &'a Role,
    industry: usize,
}

impl<'a> Catalogue<'a> {
    pub fn new(names: &'a Names, plan: Plan) -> Self {
        Self { names, plan, roles: in_turns(names) }
    }

    /// The id of the row at `index` of `series`.
    pub fn id(&self, series: Series, index: usize) -> Uuid {
        self.draw(series, index).id(series.time(index))
    }

    pub fn draw(&self, series: Series, index: usize) -> Draw {
        Draw::new(self.plan.seed, series, index)
    }

    fn row<T>(&self, series: Series, index: usize, content: T) -> Row<T> {
        Row { id: self.id(series, index), at: series.time(index), content }
    }

    pub fn industries(&self) -> Vec<Row<industries::Content>> {
        let industry = |(index, industry): (usize, &super::names::Industry)| {
            let content = industries::Content {
                name: industry.name.clone(),
                description: Some(industry.description.clone()),
            };
            self.row(Series::Industry, index, content)
        };
        self.names.industries.iter().enumerate().map(industry).collect()
    }

    /// Skills by index. When the names are used up they come again, a level higher.
    pub fn skills(&self, range: Range<usize>) -> Vec<Row<skills::Content>> {
        let names = &self.names.skills;
        let skill = |index: usize| {
            let named = &names[index % names.len()];
            let name = match index / names.len() {
                0 => named.name.clone(),
                round => format!("{}, level {}", named.name, round + 1),
            };
            let content = skills::Content {
                skill_key: skills::slug(&name),
                name,
                category: named.category,
                description: Some(named.description.clone()),
            };
            self.row(Series::Skill, index, content)
        };
        range.map(skill).collect()
    }

    pub fn job_roles(&self) -> Vec<Row<job_roles::Content>> {
        let job_role = |(index, placed): (usize, &PlacedRole<'_>)| {
            let mut required_skills: Vec<_> = self
                .skills_of(index)
                .into_iter()
                .map(|skill| SkillId(self.id(Series::Skill, skill)))
                .collect();
            required_skills.sort_unstable();
            let content = job_roles::Content {
                name: placed.role.name.clone(),
                description: Some(placed.role.description.clone()),
                required_skills,
                seniority_level: placed.role.seniority,
            };
            self.row(Series::JobRole, index, content)
        };
        self.roles.iter().enumerate().map(job_role).collect()
    }

    /// A team for each job role.
    pub fn teams(&self) -> Vec<Row<teams::Content>> {
        let team = |(index, placed): (usize, &PlacedRole<'_>)| {
            let content = teams::Content {
                name: placed.role.team.clone(),
                description: None,
                job_role_id: Some(job_roles::JobRoleId(self.id(Series::JobRole, index))),
            };
            self.row(Series::Team, index, content)
        };
        self.roles.iter().enumerate().map(team).collect()
    }

    /// The skills that a job role requires, as far as they are planted; some skill in any case.
    fn skills_of(&self, role: usize) -> Vec<usize> {
        let planted = self.plan.skills as usize;
        let wanted = &self.roles[role].role.skills;
        let named = self.names.skills.iter().enumerate().take(planted);
        let found: Vec<_> =
            named.filter(|(_, skill)| wanted.contains(&skill.name)).map(|(i, _)| i).collect();
        if found.is_empty() { vec![role % planted] } else { found }
    }
}

/// The job roles of all industries, one of each in turn, so that a few agents are already of
/// several industries.
fn in_turns(names: &Names) -> Vec<PlacedRole<'_>> {
    let most = names.industries.iter().map(|industry| industry.roles.len()).max().unwrap_or(0);
    let turn = |turn: usize| {
        names.industries.iter().enumerate().filter_map(move |(industry, named)| {
            named.roles.get(turn).map(|role| PlacedRole { role, industry })
        })
    };
    (0..most).flat_map(turn).collect()
}
