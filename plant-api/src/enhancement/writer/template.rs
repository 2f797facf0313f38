//! Text from a template, without a model: what the context holds.

use std::fmt::Write;

use super::{Source, clip};

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
    for similar in &context.similar_tickets {
        let resolution = clip(&similar.resolution, MAX_QUOTE_CHARS);
        line(format!("Similar ticket {}, resolved: {resolution}", similar.ticket_id));
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
