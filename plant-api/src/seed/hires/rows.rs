//! Rows of customers and of their hired agents, each computed from its index.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::plant::agents::HireDuration;
use crate::plant::deliverables::{ExecutionStatus, ReviewStatus};
use crate::plant::goals::{Goal, GoalId};
use crate::plant::hires::{HireId, Theme};
use crate::plant::json_text::json_text;
use crate::seed::catalogue::Catalogue;
use crate::seed::files::{self, SeedFiles};
use crate::seed::random::RowKind;

/// Hired agents per customer.
const HIRES_PER_CUSTOMER: usize = 3;
/// Maximum number of goals of an industry in `seeds/`. The nth goal of a hire has the index
/// `hire * MAX_GOALS_PER_HIRE + nth`.
pub const MAX_GOALS_PER_HIRE: usize = 4;
/// Maximum number of deliverables of a goal in `seeds/`. The nth deliverable of a goal has the
/// index `goal * MAX_DELIVERABLES_PER_GOAL + nth`.
pub const MAX_DELIVERABLES_PER_GOAL: usize = 4;

/// 2099-12-31T00:00:00Z in Unix seconds, so that no seeded trial ends during a test.
const TRIAL_END_SECONDS: i64 = 4_102_358_400;

pub struct Customer {
    pub id: String,
    pub name: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
}

impl Customer {
    /// Returns the customer at `index`; the first is `test-customer-001`. After the last name,
    /// names repeat with a number.
    pub fn new(files: &SeedFiles, index: usize) -> Self {
        let id = customer_id(index);
        let names = &files.people.customers;
        let name = match (&names[index % names.len()], index / names.len()) {
            (name, 0) => name.clone(),
            (name, round) => format!("{name} {}", round + 1),
        };
        let email = format!("hello@{id}.example");
        Self { id, name, email, created_at: RowKind::Customer.created_at(index) }
    }
}

/// Returns the id of the customer at `index`.
pub fn customer_id(index: usize) -> String {
    format!("test-customer-{:03}", index + 1)
}

pub struct Hire {
    pub id: Uuid,
    pub customer_id: String,
    pub agent_id: Uuid,
    pub duration: HireDuration,
    pub nickname: Option<String>,
    pub theme: Theme,
    pub settings: Value,
    pub trial_end_at: DateTime<Utc>,
    pub hired_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

pub struct Deliverable {
    pub id: Uuid,
    pub hired_agent_id: Uuid,
    pub goal_id: Uuid,
    pub title: String,
    pub payload: Value,
    pub execution_status: ExecutionStatus,
    pub created_at: DateTime<Utc>,
}

pub struct Review {
    pub deliverable_id: Uuid,
    pub decision: ReviewStatus,
    pub notes: String,
    pub decided_by: String,
    pub decided_at: DateTime<Utc>,
}

/// Rows of hired agents with their goals, deliverables and reviews.
#[derive(Default)]
pub struct HireRows {
    pub hires: Vec<Hire>,
    pub goals: Vec<Goal>,
    pub deliverables: Vec<Deliverable>,
    pub reviews: Vec<Review>,
}

impl HireRows {
    /// Adds all rows of the customer at `index`, who hires the next agents of the catalogue.
    pub fn add_customer(&mut self, catalogue: &Catalogue<'_>, index: usize) {
        for nth in 0..HIRES_PER_CUSTOMER {
            let hire = index * HIRES_PER_CUSTOMER + nth;
            let agent = hire % catalogue.spec.agents as usize;
            self.hires.push(new_hire(catalogue, index, nth, agent));
            let goals = &catalogue.agent_industry(agent).goals;
            for (nth, template) in goals.iter().enumerate().take(MAX_GOALS_PER_HIRE) {
                self.add_goal(catalogue, index, hire, hire * MAX_GOALS_PER_HIRE + nth, template);
            }
        }
    }

    fn add_goal(
        &mut self,
        catalogue: &Catalogue<'_>,
        customer: usize,
        hire: usize,
        index: usize,
        template: &files::Goal,
    ) {
        let hired_agent_id = catalogue.id(RowKind::Hire, hire);
        let id = catalogue.id(RowKind::Goal, index);
        let created_at = RowKind::Goal.created_at(index);
        self.goals.push(Goal {
            id: GoalId(id),
            hired_agent_id: HireId(hired_agent_id),
            goal_template_id: Some(template.template.clone()),
            title: template.title.clone(),
            description: template.description.clone(),
            schedule: template.schedule,
            // One goal in four is disabled.
            enabled: catalogue.random(RowKind::Goal, index).pick(0, 4) > 0,
            settings: json_text(&template.settings),
            created_at,
            updated_at: created_at,
            version: 1,
        });
        for (nth, template) in
            template.deliverables.iter().enumerate().take(MAX_DELIVERABLES_PER_GOAL)
        {
            let index = index * MAX_DELIVERABLES_PER_GOAL + nth;
            self.add_deliverable(catalogue, customer, (hired_agent_id, id), index, template);
        }
    }

    /// Adds a deliverable and its review: half have none yet, most others are approved, and two
    /// thirds of the approved ones are executed.
    fn add_deliverable(
        &mut self,
        catalogue: &Catalogue<'_>,
        customer: usize,
        (hired_agent_id, goal_id): (Uuid, Uuid),
        index: usize,
        template: &files::Deliverable,
    ) {
        let random = catalogue.random(RowKind::Deliverable, index);
        let reviews = &catalogue.files.people.reviews;
        let created_at = RowKind::Deliverable.created_at(index);
        let (decision, execution_status) = match random.pick(0, 8) {
            0..4 => (None, ExecutionStatus::NotExecuted),
            4 => (Some(ReviewStatus::Rejected), ExecutionStatus::NotExecuted),
            5 => (Some(ReviewStatus::Approved), ExecutionStatus::NotExecuted),
            _ => (Some(ReviewStatus::Approved), ExecutionStatus::Executed),
        };
        let id = catalogue.id(RowKind::Deliverable, index);
        self.deliverables.push(Deliverable {
            id,
            hired_agent_id,
            goal_id,
            title: template.title.clone(),
            payload: json!({ "format": "text", "body": template.text }),
            execution_status,
            created_at,
        });
        if let Some(decision) = decision {
            let approved = decision == ReviewStatus::Approved;
            let notes = if approved { &reviews.approved } else { &reviews.rejected };
            self.reviews.push(Review {
                deliverable_id: id,
                decision,
                notes: notes[random.pick(1, notes.len())].clone(),
                decided_by: customer_id(customer),
                decided_at: created_at + TimeDelta::days(1),
            });
        }
    }
}

/// Returns a hire. The first hire of each customer is configured, the last is not, and those in
/// between are configured at random.
fn new_hire(catalogue: &Catalogue<'_>, customer: usize, nth: usize, agent: usize) -> Hire {
    let index = customer * HIRES_PER_CUSTOMER + nth;
    let people = &catalogue.files.people;
    let random = catalogue.random(RowKind::Hire, index);
    let hired_at = RowKind::Hire.created_at(index);
    let mut hire = Hire {
        id: random.id(hired_at),
        customer_id: customer_id(customer),
        agent_id: catalogue.id(RowKind::Agent, agent),
        duration: if random.pick(0, 3) > 0 {
            HireDuration::Monthly
        } else {
            HireDuration::Quarterly
        },
        nickname: None,
        theme: Theme::Default,
        settings: json!({}),
        trial_end_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(TRIAL_END_SECONDS),
        hired_at,
        updated_at: hired_at,
        version: 1,
    };
    if nth == 0 || (nth + 1 < HIRES_PER_CUSTOMER && random.pick(1, 2) == 0) {
        let configuration = &people.configurations[random.pick(2, people.configurations.len())];
        hire.nickname = Some(people.nicknames[random.pick(3, people.nicknames.len())].clone());
        hire.theme = configuration.theme;
        hire.settings = Value::Object(configuration.settings.clone());
        hire.updated_at = hired_at + TimeDelta::hours(1);
        hire.version = 2;
    }
    hire
}
