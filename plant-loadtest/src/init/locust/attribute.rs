//! Attributes: of the user, of the client, of responses.

use ruff_python_ast::Expr;

use super::{
    python::dotted,
    symbol::{Draw, DrawKind, Place, Symbol},
    walk::Walker,
};

impl<'m> Walker<'m> {
    pub(super) fn attribute(&mut self, expression: &'m Expr) -> Symbol {
        if let Some(attribute) = self.own_attribute(expression) {
            return match self.property(&attribute, expression) {
                Some(value) => value,
                None => self.own_value(&attribute, expression),
            };
        }
        let Expr::Attribute(attribute) = expression else { return self.unknown(expression) };
        let name = attribute.attr.as_str();
        if let Some(full) = self.module.full_name(expression) {
            let text = match full.as_str() {
                "string.ascii_letters" => {
                    Some("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
                }
                "string.ascii_lowercase" => Some("abcdefghijklmnopqrstuvwxyz"),
                "string.ascii_uppercase" => Some("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                "string.digits" => Some("0123456789"),
                "string.hexdigits" => Some("0123456789abcdefABCDEF"),
                _ => None,
            };
            if let Some(text) = text {
                return Symbol::text(text);
            }
            if let Some((class, name)) = full.split_once('.')
                && let Some(class) = self.module.class(class)
                && let Some(value) = self.module.members(class).attributes.get(name).copied()
            {
                return self.eval(value);
            }
        }
        // `self.client.cookies` and the like.
        if self.own_path(expression).is_some() {
            return self.unknown(expression);
        }
        match (self.eval(&attribute.value), name) {
            (Symbol::Response(step), "status_code") => Symbol::Status(step),
            (Symbol::Response(step), "text" | "content") => Symbol::Body(step),
            (Symbol::Response(step), "js") => self.json_of(step),
            (Symbol::Response(step), "elapsed") => Symbol::Elapsed(step),
            (Symbol::Response(step), "headers") => Symbol::Extracted(step, "header:".into()),
            (Symbol::Response(step), "cookies") => Symbol::Extracted(step, "cookie:".into()),
            (draw @ Symbol::Draw(Draw { kind: DrawKind::Uuid, .. }), "hex") => {
                self.changed(expression, "the UUID is sent with its dashes");
                draw
            }
            (unknown @ Symbol::Unknown(_), _) => unknown,
            _ => self.unknown(expression),
        }
    }

    /// The name `x` of `self.x`, `self.user.x` or `self.parent.x`.
    pub fn own_attribute(&self, expression: &Expr) -> Option<String> {
        let name = self.own_path(expression)?;
        (!name.contains('.') && name != "client").then_some(name)
    }

    /// The path below `self.client`: `headers` of `self.client.headers`.
    pub fn client_path(&self, expression: &Expr) -> Option<String> {
        Some(self.own_path(expression)?.strip_prefix("client.")?.to_owned())
    }

    fn own_path(&self, expression: &Expr) -> Option<String> {
        let path = dotted(expression)?;
        let own = self.self_names.last()?;
        let mut path = path.strip_prefix(own.as_str())?.strip_prefix('.')?;
        while let Some(rest) = path.strip_prefix("user.").or_else(|| path.strip_prefix("parent.")) {
            path = rest;
        }
        Some(path.to_owned())
    }

    /// The value of an attribute of the user: what is assigned to it anywhere in the class.
    fn own_value(&mut self, name: &str, expression: &'m Expr) -> Symbol {
        let assigned = self.before.get(name).or_else(|| self.attributes.get(name));
        let mut values = assigned.cloned().unwrap_or_default();
        let members = self.members;
        if let Some(initial) = members.iter().find_map(|members| members.attributes.get(name)) {
            values.push(self.eval(initial));
        }
        if values.is_empty() {
            let text = format!("`self.{name}` is not set anywhere in the file");
            return self.unknown_because(expression, text);
        }
        one_of_assigned(values).unwrap_or_else(|| {
            let text = format!("`self.{name}` has several values");
            self.unknown_because(expression, text)
        })
    }
}

/// The one value of an attribute. Values of responses win over the empty values before them.
fn one_of_assigned(values: Vec<Symbol>) -> Option<Symbol> {
    let mut places: Vec<Place> = Vec::new();
    let mut lists: Vec<Place> = Vec::new();
    let mut items: Vec<Symbol> = Vec::new();
    let mut others: Vec<Symbol> = Vec::new();
    let first = values.first().cloned();
    for value in values {
        match value {
            Symbol::Json(more) => places.extend(
                more.into_iter().filter(|place| !places.contains(place)).collect::<Vec<_>>(),
            ),
            Symbol::Each(more) => lists.extend(more),
            value if value.is_empty() => {}
            Symbol::List(more) => items.extend(more),
            value if others.contains(&value) => {}
            value => others.push(value),
        }
    }
    if !lists.is_empty() || !places.is_empty() {
        // `self.ids = [item["id"] for item in …]` beside `self.ids.append(…)`.
        for item in items {
            if let Symbol::Json(more) = item {
                lists.extend(more);
            }
        }
        lists.dedup();
        return Some(if lists.is_empty() || !places.is_empty() {
            places.extend(lists);
            Symbol::Json(places)
        } else {
            Symbol::Each(lists)
        });
    }
    match (&others[..], items.is_empty()) {
        ([], true) => first,
        ([], false) => Some(Symbol::List(items)),
        ([only], true) => Some(only.clone()),
        _ => None,
    }
}
