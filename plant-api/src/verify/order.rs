//! Lines come in the order of their entities' ids, each entity once, over all blocks.

use uuid::Uuid;

use super::Trouble;
use crate::plant::audit::line::Checked;

/// What a block holds, up to the first line at fault.
#[derive(Debug)]
pub struct BlockOrder {
    /// Number of its first line.
    pub first_line: u64,
    /// Its first and last entity.
    ends: Option<(Uuid, Uuid)>,
    /// Entities in it.
    pub entities: u64,
    /// Their links.
    pub links: u64,
    /// The first line at fault, and why.
    pub trouble: Option<(u64, Trouble)>,
}

impl BlockOrder {
    /// A block that begins with this line; none of it is checked yet.
    pub fn at(first_line: u64) -> Self {
        Self { first_line, ends: None, entities: 0, links: 0, trouble: None }
    }

    /// Takes a line that is as it was written; is it where it was?
    pub fn take(&mut self, line: u64, checked: Checked) {
        match &mut self.ends {
            Some((_, last)) if checked.id <= *last => {
                self.trouble = Some((line, Trouble::out_of_order(checked.id, *last)));
            }
            Some((_, last)) => *last = checked.id,
            none => *none = Some((checked.id, checked.id)),
        }
        self.entities += 1;
        self.links += checked.links;
    }
}

/// The first line at fault in all blocks.
pub fn first_trouble(blocks: Vec<BlockOrder>) -> Option<(u64, Trouble)> {
    let mut last = None;
    for block in blocks {
        if let (Some(last), Some((first, _))) = (last, block.ends)
            && first <= last
        {
            return Some((block.first_line, Trouble::out_of_order(first, last)));
        }
        if block.trouble.is_some() {
            return block.trouble;
        }
        last = block.ends.map(|(_, end)| end).or(last);
    }
    None
}
