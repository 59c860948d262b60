//! The set of objects that a chunk of values describes. It is stored beside the chunk, so that
//! readers can find an object's contents without decoding chunks that do not describe it.

use super::{put_varint, varint};
use crate::value::ObjectId;

/// A set of object ids, as ranges. Most objects of a chunk are new in it, and ids are assigned in
/// order, so there are few ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribedIds {
    /// For each range the first id and the one after the last, ascending.
    ranges: Box<[(ObjectId, ObjectId)]>,
}

impl DescribedIds {
    /// Returns the set of these ids, which may be in any order.
    pub fn new(mut ids: Vec<ObjectId>) -> DescribedIds {
        ids.sort_unstable();
        let mut ranges: Vec<(ObjectId, ObjectId)> = Vec::new();
        for id in ids {
            match ranges.last_mut() {
                Some((_, end)) if *end == id => *end += 1,
                Some((_, end)) if *end > id => {}
                _ => ranges.push((id, id.saturating_add(1))),
            }
        }
        DescribedIds { ranges: ranges.into() }
    }

    /// Returns the bytes for `value_chunks.told`: for each range the number of ids skipped before
    /// it and the number of ids in it, in LEB128.
    pub fn encode(&self) -> Vec<u8> {
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (begin, end) in &self.ranges {
            put_varint(begin - last, &mut bytes);
            put_varint(end - begin, &mut bytes);
            last = *end;
        }
        bytes
    }

    /// The inverse of [`DescribedIds::encode`]. Returns `None` if the bytes are not such ranges.
    pub fn decode(mut bytes: &[u8]) -> Option<DescribedIds> {
        let (mut ranges, mut last) = (Vec::new(), 0u64);
        while !bytes.is_empty() {
            let begin = last.checked_add(varint(&mut bytes)?)?;
            last = begin.checked_add(varint(&mut bytes)?)?;
            ranges.push((begin, last));
        }
        Some(DescribedIds { ranges: ranges.into() })
    }

    /// Whether an object is described.
    pub fn contains(&self, id: ObjectId) -> bool {
        let after = self.ranges.partition_point(|(begin, _)| *begin <= id);
        after.checked_sub(1).is_some_and(|at| id < self.ranges[at].1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        let ids = DescribedIds::new(vec![9, 3, 4, 5, 4, 300]);
        assert_eq!(&*ids.ranges, [(3, 6), (9, 10), (300, 301)]);
        assert_eq!(DescribedIds::decode(&ids.encode()).unwrap(), ids);
        let found: Vec<u64> = (0..400).filter(|id| ids.contains(*id)).collect();
        assert_eq!(found, [3, 4, 5, 9, 300]);
        assert_eq!(DescribedIds::decode(&[]).unwrap(), DescribedIds::default());
        assert_eq!(DescribedIds::decode(&[1]), None);
        assert_eq!(DescribedIds::decode(&[0xff; 10]), None);
    }
}
