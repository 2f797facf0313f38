//! What a Locust file defines: constants, functions, classes, and what its imports name.

use std::collections::BTreeMap;

use ruff_python_ast::{Decorator, Expr, ModModule, Stmt, StmtClassDef, StmtFunctionDef};

use super::python::{Source, dotted};

/// Most classes in a line of inheritance.
const LONGEST_LINEAGE: usize = 16;

/// Classes of Locust, which files without its import use.
const LOCUST_CLASSES: [&str; 9] = [
    "FastHttpLocust",
    "FastHttpUser",
    "HttpLocust",
    "HttpUser",
    "LoadTestShape",
    "SequentialTaskSet",
    "TaskSequence",
    "TaskSet",
    "User",
];

/// The definitions of a file.
#[derive(Debug)]
pub struct Module<'m> {
    /// The file.
    pub source: Source<'m>,
    /// Module constants.
    pub constants: BTreeMap<&'m str, &'m Expr>,
    /// Module functions.
    pub functions: BTreeMap<&'m str, &'m StmtFunctionDef>,
    /// Classes, in their order.
    pub classes: Vec<&'m StmtClassDef>,
    imports: BTreeMap<String, String>,
}

/// What a class is for Locust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// A user with an HTTP client.
    HttpUser,
    /// Any other user.
    OtherUser,
    /// A set of tasks that are drawn.
    TaskSet,
    /// A set of tasks that run in order.
    Sequence,
    /// A load shape.
    Shape,
    /// Anything else.
    Plain,
}

/// The members of a class and of its bases in the same file.
#[derive(Debug, Default)]
pub struct Members<'m> {
    /// Attributes; those of the class itself replace those of its bases.
    pub attributes: BTreeMap<&'m str, &'m Expr>,
    /// Methods, in their order, bases first.
    pub methods: Vec<&'m StmtFunctionDef>,
    /// Nested classes, in their order.
    pub classes: Vec<&'m StmtClassDef>,
    /// Methods and nested classes in their order: names of possible tasks.
    pub order: Vec<&'m str>,
}

impl<'m> Module<'m> {
    /// Collects the definitions of a file.
    pub fn new(source: Source<'m>, syntax: &'m ModModule) -> Self {
        let mut module = Self {
            source,
            constants: BTreeMap::new(),
            functions: BTreeMap::new(),
            classes: Vec::new(),
            imports: BTreeMap::new(),
        };
        for statement in &syntax.body {
            module.add(statement);
        }
        module
    }

    fn add(&mut self, statement: &'m Stmt) {
        match statement {
            Stmt::Assign(assign) => {
                if let [Expr::Name(name)] = &assign.targets[..] {
                    self.constants.insert(name.id.as_str(), &assign.value);
                }
            }
            Stmt::AnnAssign(assign) => {
                if let (Expr::Name(name), Some(value)) = (&*assign.target, &assign.value) {
                    self.constants.insert(name.id.as_str(), value);
                }
            }
            Stmt::FunctionDef(function) => {
                self.functions.insert(function.name.as_str(), function);
            }
            Stmt::ClassDef(class) => self.classes.push(class),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let name = alias.name.as_str();
                    if let Some(local) = &alias.asname {
                        self.imports.insert(local.as_str().to_owned(), name.to_owned());
                    }
                }
            }
            Stmt::ImportFrom(import) => {
                let from = import.module.as_ref().map_or("", |module| module.as_str());
                for alias in &import.names {
                    let name = alias.name.as_str();
                    let local = alias.asname.as_ref().map_or(name, |local| local.as_str());
                    self.imports.insert(local.to_owned(), format!("{from}.{name}"));
                }
            }
            _ => {}
        }
    }

    /// The dotted name of an expression with its import resolved: `choice` is `random.choice` after
    /// `from random import choice`.
    pub fn full_name(&self, expression: &Expr) -> Option<String> {
        let name = dotted(expression)?;
        let (first, rest) = name.split_once('.').map_or((name.as_str(), ""), |parts| parts);
        let first = self.imports.get(first).map_or(first, String::as_str);
        Some(if rest.is_empty() { first.to_owned() } else { format!("{first}.{rest}") })
    }

    /// Returns the class called `name`.
    pub fn class(&self, name: &str) -> Option<&'m StmtClassDef> {
        self.classes.iter().rev().find(|class| class.name.as_str() == name).copied()
    }

    /// The class and its bases in the same file, the class first.
    pub fn lineage(&self, class: &'m StmtClassDef) -> Vec<&'m StmtClassDef> {
        let mut lineage: Vec<&StmtClassDef> = vec![class];
        let mut next = 0;
        while next < lineage.len() && lineage.len() < LONGEST_LINEAGE {
            for base in lineage[next].bases() {
                let base = dotted(base).and_then(|name| self.class(&name));
                if let Some(base) = base
                    && !lineage.iter().any(|known| std::ptr::eq(*known, base))
                {
                    lineage.push(base);
                }
            }
            next += 1;
        }
        lineage
    }

    /// What a class is for Locust.
    pub fn kind(&self, class: &'m StmtClassDef) -> ClassKind {
        let lineage = self.lineage(class);
        let bases = lineage.iter().flat_map(|class| class.bases());
        for base in bases {
            let Some(name) = self.full_name(base) else { continue };
            match name.rsplit('.').next().unwrap_or_default() {
                "HttpUser" | "FastHttpUser" | "HttpLocust" | "FastHttpLocust" => {
                    return ClassKind::HttpUser;
                }
                "SequentialTaskSet" | "TaskSequence" => return ClassKind::Sequence,
                "TaskSet" => return ClassKind::TaskSet,
                "LoadTestShape" => return ClassKind::Shape,
                "User" if name.starts_with("locust") => return ClassKind::OtherUser,
                _ => {}
            }
        }
        ClassKind::Plain
    }

    /// The bases of a class in the same file, in their order.
    pub fn bases(&self, class: &'m StmtClassDef) -> Vec<&'m StmtClassDef> {
        class.bases().iter().filter_map(|base| self.class(&dotted(base)?)).collect()
    }

    /// The bases of a class and of its bases that are neither in the file nor Locust's.
    pub fn unread_bases(&self, class: &'m StmtClassDef) -> Vec<&'m Expr> {
        let bases = self.lineage(class).into_iter().flat_map(StmtClassDef::bases);
        let is_unread = |base: &&Expr| {
            let name = self.full_name(base).unwrap_or_default();
            let is_known = ["object", "ABC", "abc.ABC"].contains(&name.as_str())
                || name.starts_with("locust")
                || LOCUST_CLASSES.contains(&name.as_str());
            !is_known && dotted(base).and_then(|name| self.class(&name)).is_none()
        };
        bases.filter(is_unread).collect()
    }

    /// The members of a class alone.
    pub fn own_members(class: &'m StmtClassDef) -> Members<'m> {
        let mut members = Members::default();
        class.body.iter().for_each(|statement| members.add(statement));
        members
    }

    /// The members of a class, those of its bases included.
    pub fn members(&self, class: &'m StmtClassDef) -> Members<'m> {
        let mut members = Members::default();
        for class in self.lineage(class).into_iter().rev() {
            for statement in &class.body {
                members.add(statement);
            }
        }
        members
    }

    /// Weight and tags of a task, if the decorators make a function or class one.
    pub fn task_decorators(&self, decorators: &'m [Decorator]) -> Option<TaskDecorators<'m>> {
        let mut found = TaskDecorators::default();
        let mut is_task = false;
        for decorator in decorators {
            let (function, arguments) = match &decorator.expression {
                Expr::Call(call) => (&*call.func, Some(&call.arguments)),
                other => (other, None),
            };
            let name = self.full_name(function).unwrap_or_default();
            match name.rsplit('.').next().unwrap_or_default() {
                "task" => {
                    is_task = true;
                    let keyword = arguments.and_then(|arguments| arguments.find_keyword("weight"));
                    let keyword = keyword.map(|keyword| &keyword.value);
                    found.weight =
                        arguments.and_then(|arguments| arguments.args.first()).or(keyword);
                }
                "tag" => {
                    let arguments = arguments.map_or(&[][..], |arguments| &arguments.args[..]);
                    found.tags.extend(arguments);
                }
                _ => found.others.push(decorator),
            }
        }
        is_task.then_some(found)
    }
}

/// Decorators of a task.
#[derive(Debug, Default)]
pub struct TaskDecorators<'m> {
    /// The weight, if one is given.
    pub weight: Option<&'m Expr>,
    /// Arguments of `@tag`.
    pub tags: Vec<&'m Expr>,
    /// All other decorators.
    pub others: Vec<&'m Decorator>,
}

impl<'m> Members<'m> {
    fn add(&mut self, statement: &'m Stmt) {
        match statement {
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    if let Expr::Name(name) = target {
                        self.attributes.insert(name.id.as_str(), &assign.value);
                    }
                }
            }
            Stmt::AnnAssign(assign) => {
                if let (Expr::Name(name), Some(value)) = (&*assign.target, &assign.value) {
                    self.attributes.insert(name.id.as_str(), value);
                }
            }
            Stmt::FunctionDef(function) => {
                self.methods.retain(|other| other.name.as_str() != function.name.as_str());
                self.methods.push(function);
                self.note(function.name.as_str());
            }
            Stmt::ClassDef(class) => {
                self.classes.retain(|other| other.name.as_str() != class.name.as_str());
                self.classes.push(class);
                self.note(class.name.as_str());
            }
            _ => {}
        }
    }

    fn note(&mut self, name: &'m str) {
        self.order.retain(|other| *other != name);
        self.order.push(name);
    }

    /// Returns the method called `name`.
    pub fn method(&self, name: &str) -> Option<&'m StmtFunctionDef> {
        self.methods.iter().find(|method| method.name.as_str() == name).copied()
    }
}
