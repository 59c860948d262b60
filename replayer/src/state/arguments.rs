//! The arguments that calls were given, for many calls at once.

use super::caches::State;
use crate::store::Error;
use dashcam_schema::value::GroupKind;

impl State<'_> {
    /// Calls `visit` for each event of a process with these ordinals, which ascend. It gets for
    /// each argument of the call whether it has a value, and nothing for an event without recorded
    /// arguments. The values must be stored.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub(crate) fn arguments_of(
        &self,
        process_id: i64,
        ordinals: impl Iterator<Item = i64> + Clone,
        mut visit: impl FnMut(&[bool]),
    ) -> Result<(), Error> {
        let mut ends = ordinals.clone();
        let Some(first) = ends.next() else { return Ok(()) };
        let last = ends.last().unwrap_or(first);
        let groups = self.groups_between(process_id, first - 1, last)?;
        // For each chunk of values, the first group that may have the next ordinal.
        let mut next: Vec<usize> = groups.iter().map(|groups| groups.of(first).start).collect();
        let mut are_bound = Vec::new();
        for ordinal in ordinals {
            let mut found = None;
            for (groups, next) in groups.iter().zip(&mut next) {
                let all = groups.values.ordinals();
                while all.get(*next).is_some_and(|of| of.cast_signed() < ordinal) {
                    *next += 1;
                }
                let mut at = *next;
                while found.is_none() && all.get(at).is_some_and(|of| of.cast_signed() == ordinal) {
                    if groups.kind(at) == Some(GroupKind::Arguments) {
                        found = groups.values.bound_at(at);
                    }
                    at += 1;
                }
            }
            are_bound.clear();
            are_bound.extend(found.into_iter().flatten());
            visit(&are_bound);
        }
        Ok(())
    }
}
