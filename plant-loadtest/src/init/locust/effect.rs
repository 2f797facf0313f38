//! Calls as statements: pauses, lists, headers of the client, logs.

use ruff_python_ast::{Expr, ExprCall};

use super::{
    symbol::{Draw, DrawKind, Symbol, Unknown},
    walk::Walker,
};
use crate::init::draft::RemarkKind;

/// Functions whose call changes nothing in the load.
const WITHOUT_EFFECT: [&str; 14] = [
    "print",
    "logging.debug",
    "logging.info",
    "logging.warning",
    "logging.error",
    "logging.exception",
    "logger.debug",
    "logger.info",
    "logger.warning",
    "logger.error",
    "logger.exception",
    "log.info",
    "log.error",
    "traceback.print_exc",
];

impl<'m> Walker<'m> {
    /// Whether a call as a statement is understood, and does nothing but what is done here.
    pub fn known_effect(&mut self, call: &'m ExprCall) -> bool {
        if self.is_verdict(call) || self.is_quiet_call(call) {
            return true;
        }
        let name = self.module.full_name(&call.func).unwrap_or_default();
        if ["time.sleep", "gevent.sleep", "sleep"].contains(&name.as_str()) {
            self.sleep(call);
            return true;
        }
        if self.own_attribute(&call.func).as_deref() == Some("wait") {
            self.wait_like_the_class();
            return true;
        }
        if self.own_attribute(&call.func).as_deref() == Some("interrupt") {
            return true;
        }
        match self.client_path(&call.func).as_deref() {
            Some("headers.update") => {
                if let Some(headers) = call.arguments.args.first() {
                    let headers = self.eval(headers);
                    self.add_client_headers(headers);
                }
                return true;
            }
            Some("headers.pop" | "cookies.clear" | "close") => return true,
            _ => {}
        }
        let Expr::Attribute(attribute) = &*call.func else { return false };
        match attribute.attr.as_str() {
            "append" | "add" => {
                let (Some(list), Some(item)) =
                    (self.own_attribute(&attribute.value), call.arguments.args.first())
                else {
                    return self.append_to_local(&attribute.value, call);
                };
                let item = self.eval(item);
                self.set_attribute(&list, Symbol::List(vec![item]));
                true
            }
            "raise_for_status" => {
                let _ = self.eval(&attribute.value);
                true
            }
            "pop" | "remove" | "clear" | "extend" | "update" | "insert"
                if self.own_attribute(&attribute.value).is_some() =>
            {
                self.left_out(call, "the change of the list is not read");
                true
            }
            _ => false,
        }
    }

    /// `response.failure(…)` and `response.success()` that no condition stands before.
    fn is_verdict(&mut self, call: &'m ExprCall) -> bool {
        let Expr::Attribute(attribute) = &*call.func else { return false };
        let verdict = attribute.attr.as_str();
        if !attribute.value.is_name_expr() || !["failure", "success"].contains(&verdict) {
            return false;
        }
        let Symbol::Response(step) = self.eval(&attribute.value) else { return false };
        let is_conditional = self.within.is_some();
        let problem = self.problem(call, "each response counts as a failure");
        let Some(request) = self.request_mut(step) else { return true };
        if verdict == "failure" {
            request.problems.push(problem);
        } else if !is_conditional && !request.is_judged {
            let text = "each response counts as a success; the profile expects 200 to 299";
            self.changed(call, text);
        }
        true
    }

    fn append_to_local(&mut self, list: &'m Expr, call: &'m ExprCall) -> bool {
        let (Expr::Name(name), Some(item)) = (list, call.arguments.args.first()) else {
            return false;
        };
        let item = self.eval(item);
        if let Symbol::List(mut items) = self.eval(list) {
            items.push(item);
            self.bind(name.id.as_str(), Symbol::List(items));
        }
        true
    }

    /// Whether a call only writes a log, or decides on a response in a way that is read elsewhere.
    pub fn is_quiet_call(&self, call: &ExprCall) -> bool {
        let name = self.module.full_name(&call.func).unwrap_or_default();
        let method = name.rsplit('.').next().unwrap_or_default();
        let is_log = name.split('.').any(|part| ["logger", "logging", "log"].contains(&part));
        WITHOUT_EFFECT.contains(&name.as_str())
            || (is_log
                && ["debug", "info", "warning", "error", "exception", "critical"].contains(&method))
            || (name.contains('.') && ["failure", "success"].contains(&method))
            || (name.starts_with("events.") && method == "fire")
    }

    fn sleep(&mut self, call: &'m ExprCall) {
        let Some(argument) = call.arguments.args.first() else { return };
        let seconds = match self.eval(argument) {
            Symbol::Integer(seconds) => Some((seconds as f64, seconds as f64)),
            Symbol::Float(seconds) => Some((seconds, seconds)),
            Symbol::Draw(Draw { kind: DrawKind::Integer(from, to), .. }) => {
                Some((from as f64, to as f64))
            }
            Symbol::Draw(Draw { kind: DrawKind::Number(from, to), .. }) => Some((from, to)),
            _ => None,
        };
        let request = self.requests.last_mut().and_then(|requests| requests.last_mut());
        match (seconds, request) {
            (Some((from, to)), Some(request)) => request.add_wait(from, to),
            (None, _) => self.left_out(call, "the duration is not read"),
            (_, None) => self.left_out(call, "a pause before the first request is not read"),
        }
    }

    fn wait_like_the_class(&mut self) {
        if let Some(request) = self.requests.last_mut().and_then(|requests| requests.last_mut()) {
            request.waits_like_the_class = true;
        }
    }

    /// Adds headers that every later request of the user has.
    pub fn add_client_headers(&mut self, headers: Symbol) {
        match headers {
            Symbol::Dict(entries) => {
                for (name, value) in entries {
                    value.for_each_draw(&mut |draw| {
                        self.promoted.entry(draw.id).or_insert_with(|| name.clone());
                    });
                    self.client_headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
                    self.client_headers.push((name, value));
                }
            }
            Symbol::Unknown(Unknown { place, text }) => {
                let text = format!("headers of the client: {text}");
                self.remark(RemarkKind::LeftOut, Unknown { place, text });
            }
            _ => {}
        }
    }
}
