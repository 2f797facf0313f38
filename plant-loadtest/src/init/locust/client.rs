//! Calls of `self.client` as requests.

use ruff_python_ast::{Expr, ExprCall};

use super::{
    request::{Request, RequestBody},
    symbol::{Piece, Symbol, Unknown, join},
    walk::Walker,
};
use crate::{init::draft::RemarkKind, methods::METHODS};

/// Keyword arguments that change nothing in the load.
const WITHOUT_EFFECT: [&str; 3] = ["allow_redirects", "catch_response", "context"];

/// Keyword arguments of the connection, of which a profile has no equal for one request.
const OF_CONNECTION: [&str; 7] =
    ["connect_timeout", "hooks", "network_timeout", "proxies", "stream", "timeout", "verify"];

impl<'m> Walker<'m> {
    /// Records the request that `self.client.METHOD(…)` sends; `None` for other calls of the client.
    pub fn request(&mut self, method: &str, call: &'m ExprCall) -> Option<Symbol> {
        let mut positional = call.arguments.args.iter();
        let mut request = Request { place: self.module.source.place(call), ..Request::default() };
        request.name.clone_from(&self.request_name);
        request.method = match method {
            "get" | "post" | "put" | "patch" | "delete" | "head" | "options" => {
                method.to_ascii_uppercase()
            }
            "request" => {
                let keyword = call.arguments.find_keyword("method").map(|keyword| &keyword.value);
                let method = self.eval(keyword.or_else(|| positional.next())?);
                match method.as_literal() {
                    Some(method) => method.to_ascii_uppercase(),
                    None => return Some(self.unknown(call)),
                }
            }
            _ => return None,
        };
        if !METHODS.contains(&request.method.as_str()) {
            request.problems.push(self.problem(call, "the method is unknown"));
        }
        let url =
            call.arguments.find_keyword("url").or_else(|| call.arguments.find_keyword("path"));
        let url = url.map(|keyword| &keyword.value).or_else(|| positional.next())?;
        request.url = match self.eval(url) {
            Symbol::Text(pieces) => pieces,
            Symbol::Unknown(unknown) => {
                request.problems.push(unknown);
                vec![Piece::Literal("/".into())]
            }
            other => vec![Piece::Hole(other)],
        };
        self.split_host(&mut request);
        let mut data = None;
        let mut json = None;
        let mut files = None;
        for (position, argument) in positional.enumerate() {
            let value = self.eval(argument);
            match (position, request.method.as_str()) {
                (0, "GET" | "HEAD" | "DELETE") => self.add_query(&mut request, value),
                (0, _) => data = Some(value),
                (1, "POST") => json = Some(value),
                _ => self.left_out(argument, "this argument is not read"),
            }
        }
        for keyword in &call.arguments.keywords {
            let Some(name) = &keyword.arg else {
                request.problems.push(self.problem(keyword, "the arguments are not read"));
                continue;
            };
            match name.as_str() {
                "url" | "path" | "method" => {}
                "name" => request.name = Some(self.eval(&keyword.value)),
                "json" => json = Some(self.eval(&keyword.value)),
                "data" => data = Some(self.eval(&keyword.value)),
                "params" => {
                    let value = self.eval(&keyword.value);
                    self.add_query(&mut request, value);
                }
                "headers" => {
                    let value = self.eval(&keyword.value);
                    add_headers(&mut request, value);
                }
                "cookies" => {
                    let value = self.eval(&keyword.value);
                    add_cookies(&mut request, value);
                }
                "files" => files = Some(&keyword.value),
                name if WITHOUT_EFFECT.contains(&name) => {}
                name if OF_CONNECTION.contains(&name) => {
                    let text = match name {
                        "timeout" => "is not read: use --timeout or a threshold such as max < 2s",
                        _ => "is not read",
                    };
                    let text = format!("`{}` {text}", self.module.source.snippet(keyword));
                    self.changed(keyword, text);
                }
                name => {
                    let text = format!("the argument `{name}` is not read");
                    request.problems.push(self.problem(keyword, &text));
                }
            }
        }
        request.body = match (json, data, files) {
            (_, data, Some(files)) => self.multipart(&mut request, data, files),
            (Some(json), ..) if json != Symbol::Null => RequestBody::Json(json),
            (_, Some(data), None) => self.data(&mut request, data, call),
            _ => RequestBody::None,
        };
        Some(self.send(request))
    }

    pub(super) fn problem(&self, at: &impl ruff_text_size::Ranged, text: &str) -> Unknown {
        let snippet = self.module.source.snippet(at);
        Unknown { place: self.module.source.place(at), text: format!("`{snippet}`: {text}") }
    }

    /// Takes the base URL off an absolute URL.
    fn split_host(&mut self, request: &mut Request) {
        let Some(Piece::Literal(text)) = request.url.first_mut() else { return };
        let Some((scheme, rest)) = text.split_once("://") else { return };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let origin = format!("{scheme}://{}", &rest[..at]);
        let host = self.host.get_or_insert(origin);
        match text.strip_prefix(host.trim_end_matches('/')) {
            Some(path) if path.is_empty() || path.starts_with(['/', '?', '#']) => {
                *text = path.to_owned();
            }
            _ => {
                let problem = format!("a request to another host than {host}: {text}");
                *text = rest[at..].to_owned();
                request.problems.push(Unknown { place: request.place.clone(), text: problem });
            }
        }
    }

    fn add_query(&mut self, request: &mut Request, value: Symbol) {
        match value {
            Symbol::Dict(entries) => request.query.extend(entries),
            Symbol::List(items) => {
                // `[("a", 1), ("a", 2)]`.
                for item in items {
                    match item {
                        Symbol::List(pair) if pair.len() == 2 && pair[0].as_literal().is_some() => {
                            let name = pair[0].as_literal().unwrap_or_default().to_owned();
                            request.query.push((name, pair[1].clone()));
                        }
                        _ => request.problems.push(no_dictionary(request)),
                    }
                }
            }
            Symbol::Null => {}
            Symbol::Unknown(unknown) => request.problems.push(unknown),
            _ => request.problems.push(no_dictionary(request)),
        }
    }

    /// The body for the argument `data`.
    fn data(&mut self, request: &mut Request, data: Symbol, call: &'m ExprCall) -> RequestBody {
        let is_json = request.content_type.as_ref().is_some_and(|kind| kind.contains("json"));
        match data {
            Symbol::Null => return RequestBody::None,
            Symbol::Dict(entries) => return RequestBody::Form(entries),
            Symbol::JsonText(json) if is_json => return RequestBody::Json(*json),
            Symbol::Unknown(unknown) => {
                request.problems.push(unknown);
                return RequestBody::None;
            }
            _ => {}
        }
        if request.content_type.is_none() {
            request.content_type = Some("text/plain".into());
            self.changed(call, "a text without a Content-Type is sent as text/plain");
        }
        RequestBody::Text(data)
    }

    fn multipart(
        &mut self,
        request: &mut Request,
        data: Option<Symbol>,
        files: &'m Expr,
    ) -> RequestBody {
        let fields = match data {
            Some(Symbol::Dict(entries)) => entries,
            _ => Vec::new(),
        };
        let mut parts = Vec::new();
        let Expr::Dict(dict) = files else {
            request.problems.push(self.problem(files, "the files are not read"));
            return RequestBody::None;
        };
        for item in &dict.items {
            let name = item.key.as_ref().map(|key| self.eval(key));
            let name = name.as_ref().and_then(Symbol::as_literal).map(str::to_owned);
            match (name, self.file(&item.value)) {
                (Some(name), Some((path, content_type))) => {
                    let text = format!("put the file {path} beside the profile");
                    let place = request.place.clone();
                    self.remark(RemarkKind::ToDo, Unknown { place, text });
                    parts.push((name, path, content_type));
                }
                _ => request.problems.push(self.problem(item, "the file is not read")),
            }
        }
        RequestBody::Multipart { fields, files: parts }
    }

    /// Path and content type of `open("path", "rb")` or `("name", open("path", "rb"), "type")`.
    fn file(&mut self, value: &'m Expr) -> Option<(String, String)> {
        let (opened, content_type) = match value {
            Expr::Tuple(tuple) => {
                let content_type = tuple.elts.get(2).map(|content_type| self.eval(content_type));
                let content_type = content_type.as_ref().and_then(Symbol::as_literal);
                (tuple.elts.get(1)?, content_type.map(str::to_owned))
            }
            other => (other, None),
        };
        let Expr::Call(call) = opened else { return None };
        if self.module.full_name(&call.func)? != "open" {
            return None;
        }
        let path = self.eval(call.arguments.args.first()?).as_literal()?.to_owned();
        Some((path, content_type.unwrap_or_else(|| "application/octet-stream".into())))
    }
}

fn add_headers(request: &mut Request, value: Symbol) {
    match value {
        Symbol::Dict(entries) => {
            for (name, value) in entries {
                if name.eq_ignore_ascii_case("content-type") {
                    request.content_type = value.as_literal().map(str::to_owned);
                } else {
                    request.headers.push((name, value));
                }
            }
        }
        Symbol::Null => {}
        Symbol::Unknown(unknown) => request.problems.push(unknown),
        _ => {
            let text = "the headers are not a dictionary".into();
            request.problems.push(Unknown { place: request.place.clone(), text });
        }
    }
}

fn add_cookies(request: &mut Request, value: Symbol) {
    let Symbol::Dict(entries) = value else {
        let text = "the cookies are not a dictionary".into();
        request.problems.push(Unknown { place: request.place.clone(), text });
        return;
    };
    let mut pieces = Vec::new();
    for (name, value) in entries {
        let separator = if pieces.is_empty() { "" } else { "; " };
        pieces.push(Piece::Literal(format!("{separator}{name}=")));
        pieces.extend(value.into_pieces());
    }
    request.headers.push(("Cookie".into(), join(pieces)));
}

fn no_dictionary(request: &Request) -> Unknown {
    Unknown { place: request.place.clone(), text: "the parameters are not a dictionary".into() }
}
