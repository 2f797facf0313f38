//! The catalogue: industries, skills, job roles, teams and agents. Each row is computed from its
//! index.

mod agents;
mod insert;
mod sql;
mod taken_names;

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub use insert::{seed_agents, seed_prerequisites};
pub use taken_names::{find_taken_agent_names, find_taken_prerequisite_names};

use super::files::{JobRole, SeedFiles};
use super::options::SeedSpec;
use super::random::{RandomBytes, RowKind};
use crate::plant::industries;
use crate::plant::job_roles;
use crate::plant::skills::{self, SkillId};
use crate::plant::teams;

/// Time from the creation of a seeded skill to its certification.
const CERTIFICATION_DELAY: TimeDelta = TimeDelta::hours(1);
/// Skills inserted by one statement.
const SKILLS_PER_BATCH: usize = 1000;

/// A catalogue row to insert, with the creation time of its entity.
#[derive(Debug)]
pub struct Row<T> {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub content: T,
}

/// The rows of the catalogue. They are computed on demand, not stored.
pub struct Catalogue<'a> {
    pub files: &'a SeedFiles,
    pub spec: SeedSpec,
    roles: Vec<IndustryRole<'a>>,
}

/// A job role with the index of its industry.
struct IndustryRole<'a> {
    role: &'a JobRole,
    industry: usize,
}

impl<'a> Catalogue<'a> {
    pub fn new(files: &'a SeedFiles, spec: SeedSpec) -> Self {
        Self { files, spec, roles: interleave_roles(files) }
    }

    /// Returns the id of the row at `index` of `kind`.
    pub fn id(&self, kind: RowKind, index: usize) -> Uuid {
        self.random(kind, index).id(kind.created_at(index))
    }

    /// Returns the random bytes of the row at `index` of `kind`.
    pub fn random(&self, kind: RowKind, index: usize) -> RandomBytes {
        RandomBytes::new(self.spec.seed, kind, index)
    }

    fn row<T>(&self, kind: RowKind, index: usize, content: T) -> Row<T> {
        Row { id: self.id(kind, index), created_at: kind.created_at(index), content }
    }

    pub fn industries(&self) -> Vec<Row<industries::IndustryContent>> {
        let industry = |(index, industry): (usize, &super::files::Industry)| {
            let content = industries::IndustryContent {
                name: industry.name.clone(),
                description: Some(industry.description.clone()),
            };
            self.row(RowKind::Industry, index, content)
        };
        self.files.industries.iter().enumerate().map(industry).collect()
    }

    /// Returns the skills of `range`. After the last name, names repeat with `, level 2` and so on.
    pub fn skills(&self, range: Range<usize>) -> Vec<Row<skills::SkillContent>> {
        let templates = &self.files.skills;
        let skill = |index: usize| {
            let template = &templates[index % templates.len()];
            let name = match index / templates.len() {
                0 => template.name.clone(),
                round => format!("{}, level {}", template.name, round + 1),
            };
            let content = skills::SkillContent {
                skill_key: skills::slug(&name),
                name,
                category: template.category,
                description: Some(template.description.clone()),
            };
            self.row(RowKind::Skill, index, content)
        };
        range.map(skill).collect()
    }

    pub fn job_roles(&self) -> Vec<Row<job_roles::JobRoleContent>> {
        let job_role = |(index, entry): (usize, &IndustryRole<'_>)| {
            let mut required_skills: Vec<_> = self
                .required_skills_of(index)
                .into_iter()
                .map(|skill| SkillId(self.id(RowKind::Skill, skill)))
                .collect();
            required_skills.sort_unstable();
            let content = job_roles::JobRoleContent {
                name: entry.role.name.clone(),
                description: Some(entry.role.description.clone()),
                required_skills,
                seniority_level: entry.role.seniority,
            };
            self.row(RowKind::JobRole, index, content)
        };
        self.roles.iter().enumerate().map(job_role).collect()
    }

    /// Returns one team per job role.
    pub fn teams(&self) -> Vec<Row<teams::TeamContent>> {
        let team = |(index, entry): (usize, &IndustryRole<'_>)| {
            let content = teams::TeamContent {
                name: entry.role.team.clone(),
                description: None,
                job_role_id: Some(job_roles::JobRoleId(self.id(RowKind::JobRole, index))),
            };
            self.row(RowKind::Team, index, content)
        };
        self.roles.iter().enumerate().map(team).collect()
    }

    /// Returns the indexes of the seeded skills that a job role requires; one arbitrary skill when
    /// none of them is seeded.
    fn required_skills_of(&self, role: usize) -> Vec<usize> {
        let seeded = self.spec.skills as usize;
        let required = &self.roles[role].role.skills;
        let skills = self.files.skills.iter().enumerate().take(seeded);
        let found: Vec<_> =
            skills.filter(|(_, skill)| required.contains(&skill.name)).map(|(i, _)| i).collect();
        if found.is_empty() { vec![role % seeded] } else { found }
    }
}

/// Returns the job roles of all industries, interleaved, so that even a few agents cover several
/// industries.
fn interleave_roles(files: &SeedFiles) -> Vec<IndustryRole<'_>> {
    let longest = files.industries.iter().map(|industry| industry.roles.len()).max().unwrap_or(0);
    let nth_roles = |nth: usize| {
        files.industries.iter().enumerate().filter_map(move |(index, industry)| {
            industry.roles.get(nth).map(|role| IndustryRole { role, industry: index })
        })
    };
    (0..longest).flat_map(nth_roles).collect()
}
