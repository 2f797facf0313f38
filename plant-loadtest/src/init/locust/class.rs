//! What users of a class run: `on_start`, tasks with their weights, `on_stop`, also of task sets.

use std::time::Duration;

use ruff_python_ast::{Expr, StmtClassDef, StmtFunctionDef};

use super::{
    module::{ClassKind, Members, Module},
    symbol::{Symbol, Unknown},
    walk::{Attributes, Walker},
};
use crate::init::draft::{Remark, RemarkKind, Wait};

/// Deepest nesting of task sets.
const DEEPEST_SETS: usize = 5;

/// Most classes in a line of inheritance.
const DEEPEST_BASES: usize = 8;

/// Most repetitions of a task of a sequence.
const MOST_REPETITIONS: u32 = 20;

/// Most tasks of a class.
const MOST_TASKS: usize = 2000;

/// Settings of the HTTP client of a class.
const CLIENT_SETTINGS: [&str; 9] = [
    "connection_timeout",
    "default_headers",
    "insecure",
    "max_redirects",
    "max_retries",
    "network_timeout",
    "pool_manager",
    "proxy_host",
    "proxy_port",
];

/// A function that users run.
#[derive(Clone, Debug)]
pub struct Unit<'m> {
    /// The function.
    pub function: &'m StmtFunctionDef,
    /// When users run it.
    pub role: Role,
    /// Weight of the task.
    pub weight: u32,
    /// Tags of the task.
    pub tags: Vec<String>,
    /// Name of the sequence that the function is a step of.
    pub sequence: Option<String>,
}

/// When users run a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// At their start.
    OnStart,
    /// As a task.
    Task,
    /// At their end.
    OnStop,
}

/// A user class with everything that its users run.
#[derive(Debug)]
pub struct UserClass<'m> {
    /// The class.
    pub class: &'m StmtClassDef,
    /// Members of the class and of its task sets.
    pub members: Vec<Members<'m>>,
    /// Its functions: first those of the start, then the tasks, then those of the end.
    pub units: Vec<Unit<'m>>,
    /// Think time.
    pub wait: Option<Wait>,
    /// Share of the users.
    pub weight: u32,
    /// Base URL.
    pub host: Option<String>,
    /// What was not read.
    pub remarks: Vec<Remark>,
}

/// A task with its weight and tags.
type WeightedTask<'m> = (TaskOf<'m>, u32, Vec<String>);

/// What a task list or a decorator names as a task.
#[derive(Clone, Copy)]
enum TaskOf<'m> {
    Function(&'m StmtFunctionDef),
    Set(&'m StmtClassDef),
}

impl<'m> UserClass<'m> {
    /// Reads a user class; `None` if it is abstract.
    pub fn read(module: &'m Module<'m>, class: &'m StmtClassDef) -> Option<Self> {
        let members = module.members(class);
        let is_abstract = class.body.iter().any(|statement| match statement {
            ruff_python_ast::Stmt::Assign(assign) => {
                matches!(&assign.targets[..], [Expr::Name(name)] if name.id.as_str() == "abstract")
                    && matches!(&*assign.value, Expr::BooleanLiteral(literal) if literal.value)
            }
            _ => false,
        });
        if is_abstract {
            return None;
        }
        let mut user = Self {
            class,
            members: Vec::new(),
            units: Vec::new(),
            wait: None,
            weight: 1,
            host: None,
            remarks: Vec::new(),
        };
        for base in module.unread_bases(class) {
            let text = format!(
                "`{}`: what its base `{}` defines is not in the file",
                class.name.as_str(),
                module.source.snippet(base)
            );
            user.remark(RemarkKind::LeftOut, module.source.place(base), text);
        }
        user.read_settings(module, &members);
        user.add_tasks(module, class, members, 1, None, 0);
        let order = |unit: &Unit<'_>| match unit.role {
            Role::OnStart => 0,
            Role::Task => 1,
            Role::OnStop => 2,
        };
        user.units.sort_by_key(order);
        Some(user)
    }

    fn read_settings(&mut self, module: &'m Module<'m>, members: &Members<'m>) {
        for (name, value) in &members.attributes {
            match *name {
                "wait_time" => self.read_wait(module, value),
                "weight" => match self.constant(module, value) {
                    Symbol::Integer(weight @ 0..=0xFFFF_FFFF) => {
                        self.weight = u32::try_from(weight).unwrap_or(1);
                    }
                    _ => self.left_out(module, value, "the weight is not constant"),
                },
                "fixed_count" => {
                    self.left_out(module, value, "a fixed number of users; use weights");
                }
                name if CLIENT_SETTINGS.contains(&name) => {
                    let text = format!("the setting `{name}` of the client is not read");
                    self.remark(RemarkKind::LeftOut, module.source.place(value), text);
                }
                "host" => match self.constant(module, value) {
                    Symbol::Null => {}
                    host => match host.as_literal() {
                        Some(host) => self.host = Some(host.to_owned()),
                        None => self.left_out(module, value, "the host is not constant"),
                    },
                },
                _ => {}
            }
        }
        if self.wait.is_none() {
            let from = self.milliseconds(module, members, "min_wait");
            let to = self.milliseconds(module, members, "max_wait");
            self.wait = from.zip(to).map(|(from, to)| Wait { from, to });
        }
        if let Some(method) = members.method("wait_time") {
            let place = module.source.place(method);
            self.remark(RemarkKind::ToDo, place, "`wait_time` is a function: set `wait` yourself");
        }
    }

    fn milliseconds(
        &mut self,
        module: &'m Module<'m>,
        members: &Members<'m>,
        name: &str,
    ) -> Option<Duration> {
        match self.constant(module, members.attributes.get(name).copied()?) {
            Symbol::Integer(number) => u64::try_from(number).ok().map(Duration::from_millis),
            _ => None,
        }
    }

    fn read_wait(&mut self, module: &'m Module<'m>, value: &'m Expr) {
        let place = module.source.place(value);
        let snippet = module.source.snippet(value);
        let Expr::Call(call) = value else {
            self.remark(
                RemarkKind::ToDo,
                place,
                format!("`{snippet}` is not read: set `wait` yourself"),
            );
            return;
        };
        let name = module.full_name(&call.func).unwrap_or_default();
        let mut seconds =
            |position: usize| match self.constant(module, call.arguments.args.get(position)?) {
                Symbol::Integer(seconds) => Some(seconds as f64),
                Symbol::Float(seconds) => Some(seconds),
                _ => None,
            };
        self.wait = match name.rsplit('.').next().unwrap_or_default() {
            "between" => wait(seconds(0), seconds(1)),
            "constant" => wait(seconds(0), seconds(0)),
            _ => None,
        };
        if self.wait.is_none() {
            let text = format!("`{snippet}` is not read: users do not wait until you set `wait`");
            self.remark(RemarkKind::ToDo, place, text);
        }
    }

    fn add_tasks(
        &mut self,
        module: &'m Module<'m>,
        class: &'m StmtClassDef,
        members: Members<'m>,
        weight: u32,
        sequence: Option<&str>,
        depth: usize,
    ) {
        for (name, role) in [("on_start", Role::OnStart), ("on_stop", Role::OnStop)] {
            if let Some(function) = members.method(name) {
                self.units.push(Unit {
                    function,
                    role,
                    weight: 1,
                    tags: Vec::new(),
                    sequence: None,
                });
            }
        }
        let mut tasks = self.tasks(module, class, &mut Vec::new());
        tasks.truncate(MOST_TASKS);
        tasks.retain(|(_, weight, _)| *weight > 0);
        self.members.push(members);
        let is_only = tasks.len() == 1 && depth == 0;
        for (task, own_weight, tags) in tasks {
            // A sequence repeats a task with a weight.
            let (weight, repetitions) = match sequence {
                Some(_) => (weight, own_weight.min(MOST_REPETITIONS)),
                None => (weight.saturating_mul(own_weight), 1),
            };
            if own_weight > repetitions && sequence.is_some() {
                let place = module.source.place(class);
                let text =
                    format!("a task is repeated {repetitions} times instead of {own_weight}");
                self.remark(RemarkKind::Changed, place, text);
            }
            for _ in 0..repetitions {
                match task {
                    TaskOf::Function(function) => {
                        let (tags, sequence) = (tags.clone(), sequence.map(str::to_owned));
                        let role = Role::Task;
                        self.units.push(Unit { function, role, weight, tags, sequence });
                    }
                    TaskOf::Set(set) => self.add_set(module, set, weight, is_only, sequence, depth),
                }
            }
        }
    }

    /// The tasks of a class as Locust collects them: those of its bases, even if a method of the
    /// same name replaces theirs, those that it lists, and those that its decorators name.
    fn tasks(
        &mut self,
        module: &'m Module<'m>,
        class: &'m StmtClassDef,
        above: &mut Vec<&'m StmtClassDef>,
    ) -> Vec<WeightedTask<'m>> {
        if above.len() >= DEEPEST_BASES || above.iter().any(|other| std::ptr::eq(*other, class)) {
            return Vec::new();
        }
        above.push(class);
        let mut tasks = Vec::new();
        for base in module.bases(class) {
            tasks.extend(self.tasks(module, base, above));
        }
        above.pop();
        let members = Module::own_members(class);
        for name in ["tasks", "task_set"] {
            if let Some(list) = members.attributes.get(name).copied() {
                tasks.extend(self.listed_tasks(module, &members, list));
            }
        }
        for name in &members.order {
            tasks.extend(self.decorated_task(module, &members, name));
        }
        tasks
    }

    /// The method or nested class called `name`, if a decorator makes it a task.
    fn decorated_task(
        &mut self,
        module: &'m Module<'m>,
        members: &Members<'m>,
        name: &str,
    ) -> Option<WeightedTask<'m>> {
        let (task, decorators) = match members.method(name) {
            Some(function) => (TaskOf::Function(function), &function.decorator_list),
            None => {
                let set = members.classes.iter().find(|class| class.name.as_str() == name)?;
                (TaskOf::Set(set), &set.decorator_list)
            }
        };
        let decorators = module.task_decorators(decorators)?;
        let weight = decorators.weight.map_or(1, |weight| self.task_weight(module, weight));
        let mut tags = Vec::new();
        for tag in decorators.tags {
            match self.constant(module, tag).as_literal() {
                Some(tag) => tags.push(tag.to_owned()),
                None => self.left_out(module, tag, "the tag is not constant"),
            }
        }
        for decorator in decorators.others {
            self.left_out(module, &decorator.expression, "the decorator is not read");
        }
        Some((task, weight, tags))
    }

    fn task_weight(&mut self, module: &'m Module<'m>, weight: &'m Expr) -> u32 {
        match self.constant(module, weight) {
            Symbol::Integer(weight @ ..=0xFFFF_FFFF) => u32::try_from(weight).unwrap_or(0),
            _ => {
                self.left_out(module, weight, "the weight is not constant; 1 is used");
                1
            }
        }
    }

    fn add_set(
        &mut self,
        module: &'m Module<'m>,
        set: &'m StmtClassDef,
        weight: u32,
        is_only: bool,
        sequence: Option<&str>,
        depth: usize,
    ) {
        let name = set.name.as_str();
        let place = module.source.place(set);
        if depth >= DEEPEST_SETS {
            self.remark(RemarkKind::LeftOut, place, format!("`{name}`: nested too deeply"));
            return;
        }
        let members = module.members(set);
        if let Some(value) = members.attributes.get("wait_time").copied() {
            match self.wait {
                None => self.read_wait(module, value),
                Some(_) => self.left_out(module, value, "the wait time of the class is used"),
            }
        }
        for base in module.unread_bases(set) {
            let text = format!(
                "`{name}`: what its base `{}` defines is not in the file",
                module.source.snippet(base)
            );
            self.remark(RemarkKind::LeftOut, module.source.place(base), text);
        }
        match module.kind(set) {
            ClassKind::Sequence if sequence.is_none() => {
                if !is_only && !module.source.of(set).contains("interrupt(") {
                    let text = format!(
                        "Locust repeats `{name}` for ever, because it has no interrupt(); here it is \
                         one task among the others"
                    );
                    self.remark(RemarkKind::Changed, place, text);
                }
                self.add_tasks(
                    module,
                    set,
                    members,
                    if is_only { 1 } else { weight },
                    Some(name),
                    depth + 1,
                );
            }
            ClassKind::TaskSet if sequence.is_none() => {
                if !is_only {
                    let text = format!(
                        "Locust stays in `{name}` until interrupt(); here its tasks are drawn like those of \
                         the class, their weights multiplied by that of the set"
                    );
                    self.remark(RemarkKind::Changed, place, text);
                }
                self.add_tasks(
                    module,
                    set,
                    members,
                    if is_only { 1 } else { weight },
                    None,
                    depth + 1,
                );
            }
            _ => {
                let text = format!("`{name}` is not read as a set of tasks here");
                self.remark(RemarkKind::LeftOut, place, text);
            }
        }
    }

    /// The tasks of `tasks = [A, B]` or `tasks = {A: 3, B: 1}`.
    fn listed_tasks(
        &mut self,
        module: &'m Module<'m>,
        members: &Members<'m>,
        list: &'m Expr,
    ) -> Vec<WeightedTask<'m>> {
        let items: Vec<(&Expr, u32)> = match list {
            Expr::List(list) => list.elts.iter().map(|item| (item, 1)).collect(),
            Expr::Tuple(list) => list.elts.iter().map(|item| (item, 1)).collect(),
            Expr::Set(list) => list.elts.iter().map(|item| (item, 1)).collect(),
            Expr::Name(_) => vec![(list, 1)],
            Expr::Dict(dict) => {
                let items = dict.items.iter();
                let items = items.filter_map(|item| {
                    Some((item.key.as_ref()?, self.task_weight(module, &item.value)))
                });
                items.collect()
            }
            _ => {
                self.left_out(module, list, "the list of tasks is not read");
                Vec::new()
            }
        };
        let mut tasks = Vec::new();
        for (item, weight) in items {
            let name = super::python::dotted(item).unwrap_or_default();
            let set = || members.classes.iter().find(|class| class.name.as_str() == name).copied();
            let task = if let Some(set) = set().or_else(|| module.class(&name)) {
                TaskOf::Set(set)
            } else if let Some(function) = module.functions.get(name.as_str()) {
                TaskOf::Function(function)
            } else if let Some(function) = members.method(&name) {
                TaskOf::Function(function)
            } else {
                self.left_out(module, item, "the task is not defined in the file");
                continue;
            };
            tasks.push((task, weight, Vec::new()));
        }
        tasks
    }

    /// The value of an expression outside of functions.
    fn constant(&mut self, module: &'m Module<'m>, value: &'m Expr) -> Symbol {
        let mut walker = Walker::new(module, &[], Attributes::new());
        walker.locals.push(std::collections::BTreeMap::new());
        let value = walker.eval(value);
        self.remarks.append(&mut walker.remarks);
        value
    }

    fn left_out(&mut self, module: &Module<'_>, at: &impl ruff_text_size::Ranged, reason: &str) {
        let text = format!("`{}`: {reason}", module.source.snippet(at));
        let place = module.source.place(at);
        self.remark(RemarkKind::LeftOut, place, text);
    }

    fn remark(&mut self, kind: RemarkKind, place: String, text: impl Into<String>) {
        self.remarks.push(Remark { kind, place, text: text.into() });
    }
}

fn wait(from: Option<f64>, to: Option<f64>) -> Option<Wait> {
    let duration =
        |seconds: f64| Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).ok();
    let (from, to) = (duration(from?)?, duration(to?)?);
    Some(Wait { from: from.min(to), to: from.max(to) })
}

impl From<Unknown> for Remark {
    fn from(Unknown { place, text }: Unknown) -> Self {
        Self { kind: RemarkKind::LeftOut, place, text }
    }
}
