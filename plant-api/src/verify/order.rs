//! Verifies the order of the lines across all blocks: by entity id, each entity once.

use uuid::Uuid;

use super::line_defect::LineDefect;
use crate::plant::audit::line::VerifiedLine;

/// Result of verifying a block, up to its first defect.
#[derive(Debug)]
pub struct BlockResult {
    /// Number of the first line.
    pub first_line: u64,
    /// Ids of the first and the last entity.
    id_range: Option<(Uuid, Uuid)>,
    /// Number of entities.
    pub entities: u64,
    /// Number of links.
    pub links: u64,
    /// Number of the first defective line, and its defect.
    pub defect: Option<(u64, LineDefect)>,
}

impl BlockResult {
    /// Creates the result of a block of which no line is verified yet.
    pub fn new(first_line: u64) -> Self {
        Self { first_line, id_range: None, entities: 0, links: 0, defect: None }
    }

    /// Adds an unaltered line, and checks its order.
    pub fn add(&mut self, line: u64, verified: VerifiedLine) {
        match &mut self.id_range {
            Some((_, last)) if verified.id <= *last => {
                self.defect = Some((line, LineDefect::out_of_order(verified.id, *last)));
            }
            Some((_, last)) => *last = verified.id,
            none => *none = Some((verified.id, verified.id)),
        }
        self.entities += 1;
        self.links += verified.links;
    }
}

/// Returns the first defect in `blocks`, which are in the order of the file.
pub fn first_defect(blocks: Vec<BlockResult>) -> Option<(u64, LineDefect)> {
    let mut last = None;
    for block in blocks {
        if let (Some(last), Some((first, _))) = (last, block.id_range)
            && first <= last
        {
            return Some((block.first_line, LineDefect::out_of_order(first, last)));
        }
        if block.defect.is_some() {
            return block.defect;
        }
        last = block.id_range.map(|(_, last)| last).or(last);
    }
    None
}
