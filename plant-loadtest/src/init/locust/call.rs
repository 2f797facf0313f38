//! Calls: requests, functions of the file, and what is known of Python's library.

use std::collections::BTreeMap;

use ruff_python_ast::{Arguments, Expr, ExprCall, StmtFunctionDef};
use ruff_text_size::Ranged;

use super::{
    symbol::Symbol,
    walk::{Flow, Walker},
};

/// Deepest calls of functions of the file in each other.
const DEEPEST_CALL: usize = 12;

impl<'m> Walker<'m> {
    /// Evaluates a call.
    pub fn call(&mut self, call: &'m ExprCall) -> Symbol {
        let mut earlier = self.condition.iter().flatten();
        if let Some((_, value)) = earlier.find(|(range, _)| *range == call.range) {
            return value.clone();
        }
        let sent = self.sent();
        let value = self.called(call);
        if self.sent() > sent
            && let Some(condition) = &mut self.condition
        {
            condition.push((call.range, value.clone()));
        }
        value
    }

    fn called(&mut self, call: &'m ExprCall) -> Symbol {
        if let Some(method) = self.client_path(&call.func)
            && let Some(response) = self.request(&method, call)
        {
            return response;
        }
        if self.client_path(&call.func).is_some() {
            return self.unknown(call);
        }
        if let Some(name) = self.own_attribute(&call.func) {
            if let Some(function) = self.method(&name) {
                return self.run(function, Some(&call.arguments), true, call);
            }
            // `rest` of FastHttpUser: a request whose response is JSON.
            if ["rest", "rest_"].contains(&name.as_str())
                && let Some(response) = self.request("request", call)
            {
                return response;
            }
            return self.unknown(call);
        }
        if let Expr::Name(name) = &*call.func
            && let Some(function) = self.module.functions.get(name.id.as_str()).copied()
        {
            return self.run(function, Some(&call.arguments), false, call);
        }
        if let Some(name) = self.module.full_name(&call.func)
            && let Some(value) = self.library(&name, call)
        {
            return value;
        }
        if let Expr::Attribute(attribute) = &*call.func {
            let owner = self.eval(&attribute.value);
            return self.method_of(owner, attribute.attr.as_str(), call);
        }
        self.unknown(call)
    }

    fn method(&self, name: &str) -> Option<&'m StmtFunctionDef> {
        self.members.iter().find_map(|members| members.method(name))
    }

    /// The value of a method that is a property.
    pub fn property(&mut self, name: &str, at: &'m Expr) -> Option<Symbol> {
        let function = self.method(name)?;
        let is_property = function.decorator_list.iter().any(|decorator| {
            let name = self.module.full_name(&decorator.expression).unwrap_or_default();
            ["property", "cached_property", "functools.cached_property"].contains(&name.as_str())
        });
        is_property.then(|| self.run(function, None, true, at))
    }

    /// Walks a function of the file in place of its call; returns its value.
    fn run(
        &mut self,
        function: &'m StmtFunctionDef,
        arguments: Option<&'m Arguments>,
        is_method: bool,
        at: &impl Ranged,
    ) -> Symbol {
        if self.locals.len() > DEEPEST_CALL {
            return self.unknown(at);
        }
        let given = arguments.map_or(&[][..], |arguments| &arguments.args[..]);
        let mut positional: Vec<Symbol> =
            given.iter().map(|argument| self.eval(argument)).collect();
        let is_static = function.decorator_list.iter().any(|decorator| {
            matches!(&decorator.expression, Expr::Name(name) if name.id.as_str() == "staticmethod")
        });
        let own = self.self_names.last().cloned().unwrap_or_default();
        let mut self_name = own.clone();
        let mut locals = BTreeMap::new();
        let mut parameters = function.parameters.iter();
        if is_method && !is_static {
            self_name = parameters.next().map_or(own, |first| first.name().as_str().to_owned());
        }
        positional.reverse();
        for parameter in parameters {
            let name = parameter.name().as_str();
            let keyword = arguments.and_then(|arguments| arguments.find_keyword(name));
            let keyword = keyword.map(|keyword| &keyword.value);
            let value = match (positional.pop(), keyword, parameter.default()) {
                (Some(value), ..) => value,
                (None, Some(keyword), _) => self.eval(keyword),
                (None, None, Some(default)) => self.eval(default),
                (None, None, None) => self.unknown(at),
            };
            locals.insert(name.to_owned(), value);
        }
        self.locals.push(locals);
        self.self_names.push(self_name);
        let value = self.deeper(at, |walker| match walker.statements(&function.body) {
            Flow::Return(value) => value,
            Flow::Next | Flow::Break | Flow::Continue => Symbol::Null,
        });
        self.self_names.pop();
        self.locals.pop();
        value
    }
}
