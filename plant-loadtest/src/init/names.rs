//! Names for variables and classes, made of words that the source has.

use std::collections::{HashMap, HashSet};

use crate::placeholder::BUILT_IN;

/// Names that are taken.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
    /// The next number to try, by the wanted name.
    next: HashMap<String, usize>,
}

impl Names {
    /// Takes `wanted`, or `wanted_2`, `wanted_3` and so on, whichever is free.
    pub fn take(&mut self, wanted: &str) -> String {
        if self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let next = self.next.entry(wanted.to_owned()).or_insert(2);
        loop {
            let name = format!("{wanted}_{next}");
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Returns a variable name made of the words of `text`: `X-Request-Id` becomes `x_request_id`,
/// `petId` becomes `pet_id`.
#[must_use]
pub fn variable_name(text: &str) -> String {
    let mut name = String::new();
    let mut previous = '_';
    for character in text.chars() {
        if character.is_ascii_uppercase()
            && (previous.is_ascii_lowercase() || previous.is_ascii_digit())
        {
            name.push('_');
        }
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        previous = character;
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() {
        "value".into()
    } else if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("value_{name}")
    } else if BUILT_IN.contains(&name) {
        format!("{name}_value")
    } else {
        name.into()
    }
}

/// Returns `wanted`, or `wanted_2`, `wanted_3` and so on, whichever is not `taken`.
pub fn free_name(wanted: &str, mut taken: impl FnMut(&str) -> bool) -> String {
    if !taken(wanted) {
        return wanted.into();
    }
    let mut number = 2;
    loop {
        let name = format!("{wanted}_{number}");
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// The singular of a plural noun, as far as its ending shows.
#[must_use]
pub fn singular(noun: &str) -> String {
    for (plural, singular) in [
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("ss", "ss"),
        ("us", "us"),
        ("s", ""),
    ] {
        if let Some(stem) = noun.strip_suffix(plural)
            && stem.len() > 1
        {
            return format!("{stem}{singular}");
        }
    }
    noun.to_owned()
}

/// Returns the words of `text` as the name of a class: `Pet Store` becomes `PetStore`.
#[must_use]
pub fn class_name(text: &str) -> String {
    let words = variable_name(text);
    words
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_ascii_uppercase())
        })
        .collect()
}

/// A name for the variable at `pointer` of the response to `path`: `item_id` for `/0/id` of
/// `/api/items`.
#[must_use]
pub fn extracted_name(pointer: &str, path: &str) -> String {
    let is_key = |segment: &&str| {
        !segment.is_empty() && *segment != "*" && segment.parse::<usize>().is_err()
    };
    let mut keys = pointer.rsplit('/').filter(is_key);
    let last = keys.next().unwrap_or("value");
    if last != "id" && last != "uuid" {
        return variable_name(last);
    }
    let route = path.split('?').next().unwrap_or_default();
    let mut segments = route.rsplit('/');
    let owner = keys.next().or_else(|| segments.find(|segment| !segment.is_empty()));
    let owner = owner.filter(|owner| !owner.contains(['{', '*'])).unwrap_or_default();
    variable_name(&format!("{}_{last}", singular(owner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_are_lower_case_words() {
        for (text, name) in [
            ("petId", "pet_id"),
            ("X-Customer-ID", "x_customer_id"),
            ("2fa code", "value_2fa_code"),
            ("uuid", "uuid_value"),
            ("", "value"),
            ("OAuth2Token", "oauth2_token"),
        ] {
            assert_eq!(variable_name(text), name, "{text}");
        }
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let taken = ["id", "id_2"];
        assert_eq!(free_name("id", |name| taken.contains(&name)), "id_3");
        assert_eq!(free_name("item", |name| taken.contains(&name)), "item");
        let mut names = Names::default();
        let taken = ["id", "id_2", "id", "id", "item"].map(|wanted| names.take(wanted));
        assert_eq!(taken, ["id", "id_2", "id_3", "id_4", "item"]);
    }

    #[test]
    fn a_noun_in_plural_gets_its_singular() {
        for (plural, expected) in [
            ("items", "item"),
            ("companies", "company"),
            ("classes", "class"),
            ("boxes", "box"),
            ("status", "status"),
            ("address", "address"),
            ("people", "people"),
        ] {
            assert_eq!(singular(plural), expected, "{plural}");
        }
    }
}
