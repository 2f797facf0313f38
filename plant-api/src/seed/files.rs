//! The files in `seeds/`, compiled in, so that the program needs no files at run time.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::plant::goals::Schedule;
use crate::plant::hires::Theme;
use crate::plant::job_roles::Seniority;
use crate::plant::skills::Category;

/// The parsed files in `seeds/`.
#[derive(Debug)]
pub struct SeedFiles {
    pub industries: Vec<Industry>,
    pub skills: Vec<Skill>,
    pub people: People,
    pub tickets: Tickets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Industry {
    pub name: String,
    pub description: String,
    #[serde(rename = "role")]
    pub roles: Vec<JobRole>,
    #[serde(rename = "goal")]
    pub goals: Vec<Goal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRole {
    pub name: String,
    pub seniority: Seniority,
    pub description: String,
    pub skills: Vec<String>,
    pub team: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    pub template: String,
    pub title: String,
    pub description: String,
    pub schedule: Schedule,
    pub settings: Map<String, Value>,
    #[serde(rename = "deliverable")]
    pub deliverables: Vec<Deliverable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliverable {
    pub title: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    pub name: String,
    pub category: Category,
    pub description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    pub first_names: Vec<String>,
    pub surnames: Vec<String>,
    pub nicknames: Vec<String>,
    pub customers: Vec<String>,
    /// Password of all seeded accounts.
    pub load_test_password: String,
    pub configurations: Vec<Configuration>,
    pub reviews: Reviews,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    pub theme: Theme,
    pub settings: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviews {
    pub approved: Vec<String>,
    pub rejected: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tickets {
    pub tenant: Tenant,
    #[serde(rename = "site")]
    pub sites: Vec<Site>,
    /// Roles of systems.
    #[serde(rename = "role")]
    pub roles: Vec<SystemRole>,
    #[serde(rename = "problem")]
    pub problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    pub tenant_id: String,
    pub name: String,
    pub servicedesk_url: String,
    pub api_key: String,
    pub signing_secret: String,
    pub tool_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub name: String,
    /// Third number of the addresses.
    pub network: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemRole {
    /// Start of the hostnames.
    pub prefix: String,
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// With `{hostname}` and `{address}`.
    pub description: String,
    pub resolution: String,
    #[serde(rename = "article")]
    pub articles: Vec<Article>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    pub title: String,
    pub body: String,
}

#[derive(Deserialize)]
struct IndustryFile {
    industry: Vec<Industry>,
}

#[derive(Deserialize)]
struct SkillFile {
    skill: Vec<Skill>,
}

impl SeedFiles {
    /// Parses the files.
    ///
    /// # Errors
    /// When a file is invalid, which a test rules out.
    pub fn read() -> Result<Self, toml::de::Error> {
        let industries: IndustryFile =
            toml::from_str(include_str!("../../../seeds/industries.toml"))?;
        let skills: SkillFile = toml::from_str(include_str!("../../../seeds/skills.toml"))?;
        let people = toml::from_str(include_str!("../../../seeds/people.toml"))?;
        let tickets = toml::from_str(include_str!("../../../seeds/tickets.toml"))?;
        Ok(Self { industries: industries.industry, skills: skills.skill, people, tickets })
    }
}
