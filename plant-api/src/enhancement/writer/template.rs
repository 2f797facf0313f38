//! Text from a template, without a model: what the context holds.

use std::fmt::Write;

use super::{Source, clip};
use crate::enhancement::context::SimilarTicket;

/// Maximum length of a quoted resolution or article, in characters.
const MAX_QUOTE_CHARS: usize = 300;

/// Returns the text.
pub fn write(source: Source<'_>) -> String {
    let (ticket, context) = (source.ticket, source.context);
    let mut text = format!("Context for ticket {}\n", ticket.ticket_id);
    // Writing to a string never fails.
    let mut line = |line: String| {
        let _ = write!(text, "\n{line}");
    };
    for system in &context.systems {
        line(format!("System {}: {}, {}.", system.address, system.hostname, system.role));
    }
    for (tickets, resolution) in by_resolution(&context.similar_tickets) {
        let (tickets, resolution) = (tickets.join(", "), clip(resolution, MAX_QUOTE_CHARS));
        line(format!("Similar: {tickets}. Resolution: {resolution}"));
    }
    for article in &context.articles {
        let body = clip(&article.body, MAX_QUOTE_CHARS);
        line(format!("Article \"{}\": {body}", article.title));
    }
    if context.is_empty() {
        line("No similar tickets, articles or systems were found.".into());
    }
    text
}

/// Returns the ids of the tickets with each resolution, in the order of the first ones.
fn by_resolution(similar: &[SimilarTicket]) -> Vec<(Vec<&str>, &str)> {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for SimilarTicket { ticket_id, resolution, .. } in similar {
        match groups.iter_mut().find(|(_, same)| same == resolution) {
            Some((tickets, _)) => tickets.push(ticket_id),
            None => groups.push((vec![ticket_id], resolution)),
        }
    }
    groups
}
