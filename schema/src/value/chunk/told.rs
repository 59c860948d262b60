//! Which objects a chunk of values tells of, kept beside it: so that what an object held is found
//! without decoding the chunks that say nothing of it.

use super::{put_varint, varint};
use crate::value::ObjectId;

/// Ids of objects, as runs of numbers that follow each other: most objects of a chunk are new in it, and
/// ids are given in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldIds {
    /// First id and the one after the last, ascending.
    runs: Box<[(ObjectId, ObjectId)]>,
}

impl ToldIds {
    /// Of these ids, in any order.
    pub fn new(mut ids: Vec<ObjectId>) -> ToldIds {
        ids.sort_unstable();
        let mut runs: Vec<(ObjectId, ObjectId)> = Vec::new();
        for id in ids {
            match runs.last_mut() {
                Some((_, end)) if *end == id => *end += 1,
                Some((_, end)) if *end > id => {}
                _ => runs.push((id, id.saturating_add(1))),
            }
        }
        ToldIds { runs: runs.into() }
    }

    /// As `value_chunks.told` has them: for each run how many ids it leaves out, and how many it has, in
    /// LEB128.
    pub fn encode(&self) -> Vec<u8> {
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (begin, end) in &self.runs {
            put_varint(begin - last, &mut bytes);
            put_varint(end - begin, &mut bytes);
            last = *end;
        }
        bytes
    }

    /// `None` if the bytes are not such runs.
    pub fn decode(mut bytes: &[u8]) -> Option<ToldIds> {
        let (mut runs, mut last) = (Vec::new(), 0u64);
        while !bytes.is_empty() {
            let begin = last.checked_add(varint(&mut bytes)?)?;
            last = begin.checked_add(varint(&mut bytes)?)?;
            runs.push((begin, last));
        }
        Some(ToldIds { runs: runs.into() })
    }

    /// Whether an object is told of.
    pub fn contains(&self, id: ObjectId) -> bool {
        let after = self.runs.partition_point(|(begin, _)| *begin <= id);
        after.checked_sub(1).is_some_and(|at| id < self.runs[at].1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_what_was_given() {
        let ids = ToldIds::new(vec![9, 3, 4, 5, 4, 300]);
        assert_eq!(&*ids.runs, [(3, 6), (9, 10), (300, 301)]);
        assert_eq!(ToldIds::decode(&ids.encode()).unwrap(), ids);
        let found: Vec<u64> = (0..400).filter(|id| ids.contains(*id)).collect();
        assert_eq!(found, [3, 4, 5, 9, 300]);
        assert_eq!(ToldIds::decode(&[]).unwrap(), ToldIds::default());
        assert_eq!(ToldIds::decode(&[1]), None);
        assert_eq!(ToldIds::decode(&[0xff; 10]), None);
    }
}
