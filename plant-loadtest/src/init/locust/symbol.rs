//! What an expression stands for, as far as the file shows without running it.

use crate::placeholder::escape;

/// A request of a function: the number of the function in its class, and of the request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId {
    /// Number of the function.
    pub function: usize,
    /// Number of the request in the function.
    pub step: usize,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Symbol {
    /// `None`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text, with other values in it.
    Text(Vec<Piece>),
    /// A list or a tuple.
    List(Vec<Symbol>),
    /// A dictionary.
    Dict(Vec<(String, Symbol)>),
    /// A value that is drawn or generated.
    Draw(Draw),
    /// One entry of a dictionary that is drawn from several.
    Field(Draw, String),
    /// `json.dumps` of a value.
    JsonText(Box<Symbol>),
    /// A response.
    Response(StepId),
    /// Status of a response.
    Status(StepId),
    /// Text of a response.
    Body(StepId),
    /// Duration of a response.
    Elapsed(StepId),
    /// A value in the JSON of one of these responses.
    Json(Vec<Place>),
    /// A list of which these are the elements.
    Each(Vec<Place>),
    /// The number of elements of a list; a task whose variable has no value does not run, so it has
    /// some.
    Length(Vec<Place>),
    /// A header or a cookie of a response, as `extract` names it.
    Extracted(StepId, String),
    /// Something that cannot be read.
    Unknown(Unknown),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Literal text.
    Literal(String),
    /// A value.
    Hole(Symbol),
}

/// A position in the JSON of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The request.
    pub step: StepId,
    /// JSON pointer; `*` is any element.
    pub pointer: String,
}

/// A drawn value. Two values with the same id are the same value.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// Number of the function that draws, and of the draw in it.
    pub id: (usize, usize),
    /// What is drawn.
    pub kind: DrawKind,
}

/// Kinds of drawn values.
#[derive(Clone, Debug, PartialEq)]
pub enum DrawKind {
    /// A UUID.
    Uuid,
    /// The time as text.
    Now,
    /// Seconds since 1970.
    Unix,
    /// An integer; both ends included.
    Integer(i64, i64),
    /// A number.
    Number(f64, f64),
    /// One of several values.
    OneOf(Vec<Symbol>),
    /// The next of several values, for each user another one.
    NextOf(Vec<Symbol>),
    /// A text with generated values in it.
    Template(Vec<Piece>),
    /// A secret or setting from outside the file.
    Setting(String),
}

/// Why and where something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// File and line.
    pub place: String,
    /// What cannot be read.
    pub text: String,
}

/// Most values in a list or dictionary, nested ones included.
const LARGEST: usize = 20_000;

/// Longest text.
const LONGEST: usize = 1 << 16;

impl Symbol {
    /// A literal text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(vec![Piece::Literal(text.into())])
    }

    /// The text if it is a literal.
    pub fn as_literal(&self) -> Option<&str> {
        match self {
            Self::Text(pieces) => match &pieces[..] {
                [] => Some(""),
                [Piece::Literal(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Truth of the value in an `if`. A value of a response counts as there: a task whose variable
    /// has no value does not run.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Null => Some(false),
            Self::Bool(value) => Some(*value),
            Self::Integer(number) => Some(*number != 0),
            Self::Float(number) => Some(*number != 0.0),
            Self::Text(pieces) => Some(pieces.iter().any(|piece| match piece {
                Piece::Literal(text) => !text.is_empty(),
                Piece::Hole(_) => true,
            })),
            Self::List(items) => Some(!items.is_empty()),
            Self::Dict(entries) => Some(!entries.is_empty()),
            Self::Json(_) | Self::Each(_) | Self::Length(_) | Self::Extracted(..) => Some(true),
            _ => None,
        }
    }

    /// Whether this is a value that an attribute has before it is set: `None`, `""`, `[]`, `{}`.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Null | Self::Text(_) | Self::List(_) | Self::Dict(_) | Self::Bool(_))
            && self.truth() == Some(false)
    }

    /// Whether the value is small enough to go on with.
    pub fn is_bounded(&self) -> bool {
        self.count(LARGEST) < LARGEST
    }

    /// The number of values in this one, counted up to `most`.
    fn count(&self, most: usize) -> usize {
        let all = |items: &mut dyn Iterator<Item = &Self>| {
            let mut count = 1;
            for item in items {
                if count >= most {
                    break;
                }
                count += item.count(most - count);
            }
            count
        };
        match self {
            Self::List(items) => all(&mut items.iter()),
            Self::Dict(entries) => all(&mut entries.iter().map(|(_, value)| value)),
            Self::Text(pieces) => {
                let bytes = pieces.iter().map(|piece| match piece {
                    Piece::Literal(text) => text.len(),
                    Piece::Hole(_) => 32,
                });
                if bytes.sum::<usize>() > LONGEST { most } else { 1 }
            }
            Self::Draw(Draw { kind: DrawKind::OneOf(items) | DrawKind::NextOf(items), .. }) => {
                all(&mut items.iter())
            }
            _ => 1,
        }
    }

    /// Calls `visit` for every draw in the value.
    pub fn for_each_draw(&self, visit: &mut impl FnMut(&Draw)) {
        match self {
            Self::Draw(draw) | Self::Field(draw, _) => visit(draw),
            Self::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Hole(value) = piece {
                        value.for_each_draw(visit);
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.for_each_draw(visit)),
            Self::Dict(entries) => {
                entries.iter().for_each(|(_, value)| value.for_each_draw(visit));
            }
            Self::JsonText(value) => value.for_each_draw(visit),
            _ => {}
        }
    }

    /// The pieces of the value as part of a text.
    pub fn into_pieces(self) -> Vec<Piece> {
        match self {
            Self::Text(pieces) => pieces,
            Self::Integer(number) => vec![Piece::Literal(number.to_string())],
            // As Python writes it: `1.0`.
            Self::Float(number) => vec![Piece::Literal(format!("{number:?}"))],
            Self::Bool(true) => vec![Piece::Literal("True".into())],
            Self::Bool(false) => vec![Piece::Literal("False".into())],
            Self::Null => vec![Piece::Literal("None".into())],
            other => vec![Piece::Hole(other)],
        }
    }
}

impl DrawKind {
    /// The template of a generated value that needs no variable for it.
    pub fn template(&self) -> Option<String> {
        let template = match self {
            Self::Uuid => "{uuid}".to_owned(),
            Self::Now => "{now}".to_owned(),
            Self::Unix => "{unix}".to_owned(),
            Self::Template(pieces) => {
                let pieces = pieces.iter().map(|piece| match piece {
                    Piece::Literal(text) => Some(escape(text)),
                    Piece::Hole(Symbol::Draw(draw)) => draw.kind.template(),
                    Piece::Hole(_) => None,
                });
                pieces.collect::<Option<String>>()?
            }
            _ => return None,
        };
        Some(template)
    }
}

/// Joins pieces into a text; neighbouring literals become one.
pub fn join(pieces: impl IntoIterator<Item = Piece>) -> Symbol {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Literal(last)), Piece::Literal(text)) => last.push_str(&text),
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (_, piece) => joined.push(piece),
        }
    }
    Symbol::Text(joined)
}

/// The places below `places`.
pub fn below(places: &[Place], segment: &str) -> Vec<Place> {
    let below =
        |place: &Place| Place { step: place.step, pointer: format!("{}/{segment}", place.pointer) };
    places.iter().map(below).collect()
}
