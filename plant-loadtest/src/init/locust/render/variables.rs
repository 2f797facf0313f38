//! Variables and extractions for what is drawn and for what comes from responses.

use super::{Extraction, FILL_IN, Renderer};
use crate::init::{
    draft::{Feed, Remark, RemarkKind, Variable},
    locust::{
        class::Role,
        symbol::{Draw, DrawKind, Piece, Place, StepId, Symbol, Unknown},
    },
    names::{extracted_name, free_name, variable_name},
    value::Value,
};

impl Renderer<'_, '_> {
    /// The placeholder of a drawn value.
    pub(super) fn draw(
        &mut self,
        function: Option<usize>,
        draw: &Draw,
        key: Option<&str>,
        name: &str,
    ) -> Result<String, Unknown> {
        let drawn_in = draw.id.0.checked_sub(1).and_then(|unit| self.units.get(unit));
        let is_task = drawn_in.is_some_and(|unit| unit.role == Role::Task);
        let task_of = |function: Option<usize>| self.tasks.get(function?).copied();
        let task = task_of(function);
        let is_other = task != task_of(draw.id.0.checked_sub(1));
        if let (true, Some(unit)) = (is_task && is_other, drawn_in) {
            let task = unit.function.name.as_str();
            return Err(
                self.unknown(name, &format!("is drawn in `{task}`, so only that task can send it"))
            );
        }
        let id = (draw.id, key.unwrap_or_default().to_owned());
        if let Some(placeholder) = self.placeholders.get(&id) {
            return Ok(placeholder.clone());
        }
        if let DrawKind::Setting(setting) = &draw.kind {
            return Ok(self.setting(setting));
        }
        // Steps of on_start and on_stop have no variables of their own.
        let of_task = task.filter(|_| is_task);
        let promoted = self.walker.promoted.get(&draw.id).filter(|_| !is_task);
        let template = draw.kind.template();
        if let Some(template) = &template
            && promoted.is_none()
            && self.uses.get(&draw.id) == Some(&1)
        {
            return Ok(template.clone());
        }
        if let DrawKind::OneOf(items) | DrawKind::NextOf(items) = &draw.kind {
            let several = self.fields.get(&draw.id).is_some_and(|fields| fields.len() > 1);
            let is_next = matches!(draw.kind, DrawKind::NextOf(_));
            if several || (is_next && self.class_feed.is_none()) {
                self.feed(of_task, draw, items, name)?;
                return match self.placeholders.get(&id) {
                    Some(placeholder) => Ok(placeholder.clone()),
                    None => Err(self.unknown(name, "is not read")),
                };
            }
        }
        let variable = match (&draw.kind, template) {
            (_, Some(template)) => Variable::Is(template.as_str().into()),
            (DrawKind::Integer(from, to), _) => Variable::Integer(*from, *to),
            (DrawKind::Number(from, to), _) => Variable::Number(*from, *to),
            (DrawKind::OneOf(items) | DrawKind::NextOf(items), _) => {
                if matches!(draw.kind, DrawKind::NextOf(_)) {
                    let text = format!("`{name}` is drawn at random: a class has only one feed");
                    self.changed(text);
                }
                Variable::OneOf(self.choices(function, items, key)?)
            }
            _ => return Err(self.unknown(name, "is not read")),
        };
        let known = self.walker.names.get(&draw.id).or(promoted);
        let wanted = match (key, known) {
            (Some(key), _) if key.parse::<usize>().is_err() => variable_name(key),
            (_, Some(known)) => variable_name(known),
            _ => variable_name(name),
        };
        let name = self.take_name(&wanted, of_task);
        match of_task {
            Some(function) => self.task_variables[function].push((name.clone(), variable)),
            None => self.class_variables.push((name.clone(), variable)),
        }
        let placeholder = format!("{{{name}}}");
        self.placeholders.insert(id, placeholder.clone());
        Ok(placeholder)
    }

    /// Writes the values of a choice as rows: its fields belong together.
    fn feed(
        &mut self,
        of_task: Option<usize>,
        draw: &Draw,
        items: &[Symbol],
        name: &str,
    ) -> Result<(), Unknown> {
        let fields: Vec<String> =
            self.fields.get(&draw.id).into_iter().flatten().cloned().collect();
        let known = self.walker.names.get(&draw.id).or(self.walker.promoted.get(&draw.id));
        let own_name = variable_name(known.map_or(name, String::as_str));
        let mut feed = Feed {
            name: own_name.clone(),
            is_random: matches!(draw.kind, DrawKind::OneOf(_)),
            rows: vec![Vec::new(); items.len()],
            ..Feed::default()
        };
        for field in fields {
            let key = Some(field.as_str()).filter(|field| !field.is_empty());
            for (row, value) in feed.rows.iter_mut().zip(self.choices(None, items, key)?) {
                row.push(value.plain());
            }
            let named = self.walker.field_names.get(&(draw.id, field.clone()));
            let wanted = match (named, key) {
                (Some(named), _) => variable_name(named),
                (None, Some(key)) if key.parse::<usize>().is_err() => variable_name(key),
                (None, Some(key)) => format!("{own_name}_{key}"),
                (None, None) => own_name.clone(),
            };
            let column = self.take_name(&wanted, of_task);
            self.placeholders.insert((draw.id, field), format!("{{{column}}}"));
            feed.columns.push(column);
        }
        let is_template = |text: &String| !crate::placeholder::names(text).is_empty();
        if feed.rows.iter().flatten().any(is_template) {
            return Err(self.unknown(name, "has generated values in its choices"));
        }
        let place = match of_task {
            Some(function) => &mut self.task_feeds[function],
            None => &mut self.class_feed,
        };
        if place.is_some() {
            return Err(self.unknown(name, "is a second choice with several fields"));
        }
        *place = Some(feed);
        Ok(())
    }

    fn choices(
        &mut self,
        function: Option<usize>,
        items: &[Symbol],
        key: Option<&str>,
    ) -> Result<Vec<Value>, Unknown> {
        let mut values = Vec::new();
        for item in items {
            let item = match (item, key) {
                (item, None) => Some(item),
                (Symbol::Dict(entries), Some(key)) => {
                    entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
                }
                (Symbol::List(items), Some(key)) => {
                    key.parse::<usize>().ok().and_then(|position| items.get(position))
                }
                _ => None,
            };
            match item.map(|item| self.value(function, item, key.unwrap_or_default())) {
                Some(Ok(value)) if !value.contains_null() => values.push(value),
                Some(Err(unknown)) => return Err(unknown),
                _ => {
                    return Err(self.unknown(
                        key.unwrap_or("choice"),
                        "can be None, which TOML does not have",
                    ));
                }
            }
        }
        Ok(values)
    }

    /// The variable of a setting that comes from outside the file.
    fn setting(&mut self, setting: &str) -> String {
        let name = variable_name(setting);
        if !self.class_variables.iter().any(|(other, _)| *other == name) {
            self.taken.push((name.clone(), None));
            self.class_variables.push((name.clone(), Variable::Is(FILL_IN.into())));
            self.remarks.push(Remark {
                kind: RemarkKind::ToDo,
                place: self.place.clone(),
                text: format!("replace the value of `{name}`: the file reads it from {setting}"),
            });
        }
        format!("{{{name}}}")
    }

    /// The placeholder of a value that responses give.
    pub(super) fn extraction(&mut self, places: &[Place]) -> Result<String, Unknown> {
        let same = |extraction: &&mut Extraction| {
            extraction.places.iter().any(|place| places.contains(place))
        };
        if let Some(extraction) = self.extractions.iter_mut().find(same) {
            let more = places.iter().filter(|place| !extraction.places.contains(place));
            let more: Vec<Place> = more.cloned().collect();
            extraction.places.extend(more);
            return Ok(format!("{{{}}}", extraction.name));
        }
        let Some(first) = places.first() else { return Err(self.unknown("value", "is not read")) };
        let known = self.walker.place_names.iter();
        let mut known = known.filter(|(place, _)| places.contains(place)).map(|(_, name)| name);
        let wanted = match known.next() {
            Some(name) => variable_name(name),
            None => {
                let pointer = first.pointer.rsplit(':').next().unwrap_or_default();
                extracted_name(pointer, &self.literal_path(first.step))
            }
        };
        let name = self.take_name(&wanted, None);
        self.extractions.push(Extraction { name: name.clone(), places: places.to_vec() });
        Ok(format!("{{{name}}}"))
    }

    fn literal_path(&self, id: StepId) -> String {
        let request = self.walker.requests.get(id.function).and_then(|steps| steps.get(id.step));
        let pieces = request.map_or(&[][..], |request| &request.url);
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Hole(_) => "{}",
        });
        texts.collect()
    }

    /// A free name for a variable of one task, or of the whole class.
    fn take_name(&mut self, wanted: &str, of_task: Option<usize>) -> String {
        let name = free_name(wanted, |name| {
            self.taken.iter().any(|(other, owner)| {
                other == name && (of_task.is_none() || owner.is_none() || *owner == of_task)
            })
        });
        self.taken.push((name.clone(), of_task));
        name
    }
}
