//! Profiles from Locust files, read by rule: what the rules do not cover is listed with its line
//! and never guessed.
//!
//! `walk` follows the functions of a user class statement by statement with the values that
//! `eval` and `call` know, `client` records what is sent, `check` what is expected of the
//! responses, and `render` turns the result into steps.

mod attribute;
mod branch;
mod call;
mod check;
mod class;
mod client;
mod effect;
mod eval;
mod index;
mod library;
mod method;
mod module;
mod python;
mod render;
mod request;
mod status;
mod symbol;
#[cfg(test)]
mod tests;
mod text;
mod truth;
mod walk;

use ruff_python_ast::{Expr, Stmt, StmtClassDef, StmtFunctionDef};

use self::{
    class::{Role, Unit, UserClass},
    module::{ClassKind, Module},
    python::Source,
    render::Renderer,
    walk::{Attributes, Walker},
};
use super::{
    ConvertError,
    draft::{Class, Draft, Feed, RemarkKind, Step, Task, Variable, Wait},
};

/// Most walks until the attributes are stable.
const MOST_WALKS: usize = 6;

/// Most user classes of a file.
const MOST_CLASSES: usize = 100;

/// Converts the Locust file `text`, which was read from `file`.
///
/// # Errors
/// Returns an error if the text is no Python, exceeds a limit, or has no user class with a request
/// that can be read.
pub fn convert(file: &str, text: &str) -> Result<Draft, ConvertError> {
    let lines = python::line_starts(text);
    let source = Source::new(file, text, &lines);
    let syntax = source.parse()?;
    let module = Module::new(source, &syntax);
    let mut draft = Draft::default();
    for class in module.classes.iter().copied().take(MOST_CLASSES) {
        let place = source.place(class);
        let name = class.name.as_str();
        match module.kind(class) {
            ClassKind::HttpUser => match UserClass::read(&module, class) {
                Some(user) if user.weight == 0 => {
                    let text = format!("`{name}` has the weight 0, so it has no users");
                    draft.remark(RemarkKind::LeftOut, place, text);
                }
                Some(user) => add_class(&module, &user, &mut draft),
                None => {}
            },
            ClassKind::OtherUser => {
                draft.remark(RemarkKind::LeftOut, place, format!("`{name}` is no HTTP user"));
            }
            ClassKind::Shape => {
                let text = format!("load shape `{name}`: write its stages as [[stage]]");
                draft.remark(RemarkKind::ToDo, place, text);
            }
            ClassKind::Plain => {
                if let Some(base) = module.unread_bases(class).first()
                    && has_tasks(&module, class)
                {
                    let base = module.source.snippet(*base);
                    let text = format!("`{name}`: its base `{base}` is not in the file");
                    draft.remark(RemarkKind::LeftOut, place, text);
                }
            }
            ClassKind::TaskSet | ClassKind::Sequence => {}
        }
    }
    note_listeners(&module, &syntax.body, &mut draft);
    draft.finish();
    draft.or_error(file, "no user class with a request that can be read")
}

/// Whether a class or one of its bases in the file has tasks.
fn has_tasks<'m>(module: &Module<'m>, class: &'m StmtClassDef) -> bool {
    let members = module.members(class);
    let methods = members.methods.iter().map(|method| &method.decorator_list);
    let mut decorated = methods.chain(members.classes.iter().map(|class| &class.decorator_list));
    members.attributes.contains_key("tasks")
        || decorated.any(|decorators| module.task_decorators(decorators).is_some())
}

/// Listeners run outside of the users.
fn note_listeners(module: &Module<'_>, statements: &[Stmt], draft: &mut Draft) {
    for statement in statements {
        let Stmt::FunctionDef(function) = statement else { continue };
        let is_listener = function.decorator_list.iter().any(|decorator| {
            let expression = match &decorator.expression {
                Expr::Call(call) => &call.func,
                other => other,
            };
            python::dotted(expression).is_some_and(|name| name.contains("events."))
        });
        if is_listener {
            let text = format!("the listener `{}` is not read", function.name.as_str());
            draft.remark(RemarkKind::LeftOut, module.source.place(function), text);
        }
    }
}

fn add_class(module: &Module<'_>, user: &UserClass<'_>, draft: &mut Draft) {
    let walker = walk(module, user);
    let mut renderer = Renderer::new(&walker, &user.units, user.wait);
    let headers = renderer.class_headers();
    let steps = renderer.steps();
    let mut class = Class {
        name: user.class.name.as_str().to_owned(),
        comment: docstring(&user.class.body),
        weight: user.weight,
        wait: user.wait,
        headers,
        feed: renderer.class_feed.take(),
        variables: std::mem::take(&mut renderer.class_variables),
        ..Class::default()
    };
    let mut variables = std::mem::take(&mut renderer.task_variables);
    let mut feeds = std::mem::take(&mut renderer.task_feeds);
    let mut remarks = user.remarks.clone();
    remarks.extend(walker.remarks.iter().cloned());
    remarks.append(&mut renderer.remarks);
    for remark in remarks {
        draft.remark(remark.kind, remark.place, remark.text);
    }
    for (number, (unit, steps)) in user.units.iter().zip(steps).enumerate() {
        match unit.role {
            Role::OnStart => class.on_start.extend(steps),
            Role::OnStop => class.on_stop.extend(steps),
            Role::Task => {
                let own = std::mem::take(&mut variables[number]);
                let own = Drawn { variables: own, feed: feeds[number].take() };
                add_task(module, unit, steps, own, &mut class, draft);
            }
        }
    }
    for task in &mut class.tasks {
        finish_task(task, user);
    }
    share_authorization(&mut class);
    if let Some(reason) = take_host(&walker, user, draft) {
        draft.remark(RemarkKind::LeftOut, module.source.place(user.class), reason);
        return;
    }
    if class.tasks.is_empty() {
        let is_base = module.classes.iter().any(|other| {
            other.bases().iter().any(|base| python::dotted(base).as_deref() == Some(&*class.name))
        });
        if !is_base {
            let text = format!("`{}` has no task with a request", class.name);
            draft.remark(RemarkKind::LeftOut, module.source.place(user.class), text);
        }
        return;
    }
    draft.classes.push(class);
}

/// Makes the host of a class that of the profile; returns why the class is left out otherwise.
fn take_host(walker: &Walker<'_>, user: &UserClass<'_>, draft: &mut Draft) -> Option<String> {
    let name = user.class.name.as_str();
    let host = walker.host.as_ref()?.trim_end_matches('/').to_owned();
    if draft.host.as_ref().is_some_and(|known| *known != host) {
        return Some(format!("`{name}` uses another host, {host}: a profile has one"));
    }
    if user.host.is_none() {
        let text = format!("`{name}` names no host: that of its URLs, {host}, is used");
        draft.remark(RemarkKind::Changed, walker.module.source.place(user.class), text);
    }
    draft.host = Some(host);
    None
}

/// Walks the class until its attributes are those of the walk before.
fn walk<'m>(module: &'m Module<'m>, user: &'m UserClass<'m>) -> Walker<'m> {
    let mut before = Attributes::new();
    let mut walks = 0;
    loop {
        let mut walker = Walker::new(module, &user.members, before);
        walker.host.clone_from(&user.host);
        user.units.iter().for_each(|unit| walker.walk(unit.function));
        walks += 1;
        if walker.attributes == walker.before || walks >= MOST_WALKS {
            return walker;
        }
        before = walker.attributes;
    }
}

/// What a function draws for each of its runs.
struct Drawn {
    variables: Vec<(String, Variable)>,
    feed: Option<Feed>,
}

fn add_task(
    module: &Module<'_>,
    unit: &Unit<'_>,
    mut steps: Vec<Step>,
    Drawn { variables, feed }: Drawn,
    class: &mut Class,
    draft: &mut Draft,
) {
    let function = unit.function;
    let comment = docstring(&function.body);
    if steps.is_empty() {
        if !only_interrupts(function) {
            let text =
                format!("the task `{}` sends no request that can be read", function.name.as_str());
            draft.remark(RemarkKind::LeftOut, module.source.place(function), text);
        }
        return;
    }
    if let (Some(sequence), Some(task)) = (&unit.sequence, class.tasks.last_mut())
        && task.name == *sequence
    {
        steps[0].comment = comment;
        if let (Some(last), Some(wait)) = (task.steps.last_mut(), class.wait) {
            let own = last.wait.unwrap_or(Wait::seconds(0, 0));
            last.wait = Some(Wait { from: own.from + wait.from, to: own.to + wait.to });
        }
        task.variables.extend(variables);
        task.feed = task.feed.take().or(feed);
        task.steps.extend(steps);
        return;
    }
    let (name, comment) = match &unit.sequence {
        Some(sequence) => {
            steps[0].comment = comment;
            (sequence.clone(), String::new())
        }
        None if steps.len() > 1 => (function.name.as_str().replace('_', " "), comment),
        None => (String::new(), comment),
    };
    class.tasks.push(Task {
        name,
        comment,
        weight: unit.weight,
        tags: unit.tags.clone(),
        feed,
        variables,
        steps,
        ..Task::default()
    });
}

/// A task of one request has no name of its own, replaces the think time of the class by its own,
/// and is left out as a whole.
fn finish_task(task: &mut Task, user: &UserClass<'_>) {
    let [step] = &mut task.steps[..] else { return };
    task.name.clear();
    if let (Some(own), Some(wait)) = (&mut step.wait, user.wait) {
        own.from += wait.from;
        own.to += wait.to;
    }
    task.disabled = step.disabled.take();
}

/// Moves the header `Authorization` to the class if all tasks send the same one.
fn share_authorization(class: &mut Class) {
    let position = |step: &Step| {
        step.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    };
    let mut steps = class.tasks.iter().flat_map(|task| &task.steps).chain(&class.on_stop);
    let Some(shared) = steps.next().and_then(|step| Some(step.headers[position(step)?].clone()))
    else {
        return;
    };
    if !steps.all(|step| step.headers.contains(&shared)) {
        return;
    }
    let tasks = class.tasks.iter_mut().flat_map(|task| &mut task.steps);
    for step in tasks.chain(&mut class.on_start).chain(&mut class.on_stop) {
        step.headers.retain(|header| *header != shared);
    }
    class.headers.push(shared);
}

/// The first paragraph of a docstring.
fn docstring(body: &[Stmt]) -> String {
    let Some(Stmt::Expr(expression)) = body.first() else { return String::new() };
    let Expr::StringLiteral(literal) = &*expression.value else { return String::new() };
    let text = literal.value.to_str().trim();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a task of a task set only leaves it.
fn only_interrupts(function: &StmtFunctionDef) -> bool {
    function.body.iter().all(|statement| match statement {
        Stmt::Pass(_) => true,
        Stmt::Expr(expression) => match &*expression.value {
            Expr::Call(call) => {
                python::dotted(&call.func).is_some_and(|name| name.ends_with(".interrupt"))
            }
            other => other.is_string_literal_expr(),
        },
        _ => false,
    })
}
