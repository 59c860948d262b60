//! What calls of C code change whose effect is known by their name.
//!
//! When such a call returns, what it was handed still lies on its caller's stack: the object, the key
//! and the value. The object is looked at all the same, for the call may have changed more than that.

use super::state::{At, Variables, index};
use super::{Given, Values};
use crate::shim::callables::Doing;
use crate::shim::ffi::depths::NO_DEPTH;
use crate::shim::ffi::{Frame, Obj};
use arrayvec::ArrayVec;
use dashcam_schema::value::{GroupKind, Sort};
use std::rc::Rc;

/// So many arguments are of interest.
const ARGUMENTS_MAX: usize = 4;

/// What a call was handed: the object that its method is of, then the arguments.
type Arguments<'a> = ArrayVec<Obj<'a>, ARGUMENTS_MAX>;

impl Values {
    /// A call of C code ends that does something known to the first of its arguments. False if what it
    /// was handed is not known, so that all of it has to be looked at.
    pub(in crate::shim) fn tell_called(
        &mut self,
        at: At,
        thread: u32,
        code: Obj<'_>,
        unit: u32,
        (callable, owner, first): (Obj<'_>, Option<Obj<'_>>, Obj<'_>),
        doing: Doing,
    ) -> bool {
        let Some(state) = &self.state else { return true };
        let Some(variables) = state.codes.get(at.1 as usize).map(Rc::clone) else { return true };
        let Some(frame) = self.frames.running_of(code) else { return true };
        let handed = self.arguments_of(frame, &variables, unit, callable, owner, first);
        let Some(handed) = handed else { return false };
        let Some(&object) = handed.first() else { return false };
        if self.frames.namespaces(frame).contains(&Some(object))
            && let Some(state) = &mut self.state
        {
            state.change_namespaces();
        }
        let owner = match variables.reaches_dicts {
            true => self.owner_of(frame, &variables, object),
            false => None,
        };
        let target = owner.unwrap_or(object);
        let class = self.classes.find(target.class());
        let sort = self.classes.known(class).layout.sort;
        let is_attribute = owner.is_some() || doing.is_attribute();
        let changes = match is_attribute {
            true => {
                matches!(sort, Sort::Instance | Sort::Exception) || super::state::may_change(sort)
            }
            false => super::state::may_change(sort),
        };
        if !changes {
            return !matches!(sort, Sort::Instance);
        }
        self.follow_epoch(at.0);
        let Some((key, value)) = self.key_and_value(&handed, object, doing) else {
            self.see(at, &[target]);
            return true;
        };
        let numbers = [thread, unit].map(|number| Given::Int(number.into()));
        let flag = Given::Int(is_attribute.into());
        let count = 5 + usize::from(value.is_some());
        let given = numbers.into_iter().chain([Given::Written(target), flag, key]).chain(value);
        self.tell_given(at, GroupKind::Called, count, given);
        true
    }

    /// Under which key the call has changed the object, and the value if it put one there. `None` if
    /// that only shows by looking.
    fn key_and_value<'a>(
        &mut self,
        handed: &[Obj<'a>],
        object: Obj<'_>,
        doing: Doing,
    ) -> Option<(Given<'a>, Option<Given<'a>>)> {
        let argument = |at: usize| handed.get(at).copied();
        let length = self.length_of(object);
        let class = self.classes.find(object.class());
        let sort = self.classes.known(class).layout.sort;
        let is_sequence = matches!(sort, Sort::List | Sort::Deque | Sort::Array | Sort::ByteArray);
        let value = |values: &mut Values, key: Obj<'_>, at: usize| {
            argument(at).map(|value| values.given(key, value))
        };
        Some(match doing {
            Doing::SetItem | Doing::DeleteItem if is_sequence => {
                let key = argument(1).and_then(index)?;
                // After something was deleted, there is one less.
                let before = length + i64::from(doing == Doing::DeleteItem);
                let key = if key < 0 { key + before } else { key };
                let value = match doing {
                    Doing::SetItem => Some(Given::Value(Some(argument(2)?))),
                    _ => None,
                };
                (Given::Int(key), value)
            }
            Doing::SetItem | Doing::SetAttribute => {
                let key = argument(1)?;
                (Given::Value(Some(key)), Some(value(self, key, 2)?))
            }
            Doing::DeleteItem | Doing::DeleteAttribute => (Given::Value(Some(argument(1)?)), None),
            Doing::Insert => {
                let key = argument(1).and_then(index)?;
                let key = if key < 0 { (key + length - 1).max(0) } else { key.min(length - 1) };
                (Given::Int(key), Some(Given::Value(Some(argument(2)?))))
            }
            Doing::Append => (Given::Int(length - 1), Some(Given::Value(Some(argument(1)?)))),
            Doing::AppendLeft => (Given::Int(0), Some(Given::Value(Some(argument(1)?)))),
            Doing::Pop if is_sequence => {
                let key = match argument(1) {
                    Some(key) => index(key)?,
                    None => length,
                };
                (Given::Int(if key < 0 { key + length + 1 } else { key }), None)
            }
            Doing::PopLeft => (Given::Int(0), None),
            Doing::Add if sort == Sort::Set => {
                let item = argument(1)?;
                (Given::Value(Some(item)), Some(Given::Value(Some(item))))
            }
            // What is taken away may not have been there, so it shows by looking.
            Doing::Pop | Doing::Add | Doing::Whole => return None,
        })
    }

    /// What the call at a code unit of a frame was handed, which ends just now. `None` if it is not
    /// known which argument is which.
    fn arguments_of<'a>(
        &self,
        frame: Frame,
        variables: &Variables,
        unit: u32,
        callable: Obj<'a>,
        owner: Option<Obj<'a>>,
        first: Obj<'a>,
    ) -> Option<Arguments<'a>> {
        let unit = variables.stores.start(unit);
        let depth = variables.depths.get(unit as usize).copied().unwrap_or(NO_DEPTH);
        let at = variables.calls.binary_search_by_key(&unit, |call| call.0).ok()?;
        // With names of arguments, they may be in any order.
        if variables.calls[at].1 > 0 || depth == NO_DEPTH {
            return None;
        }
        let count = variables.stores.operand(unit);
        let below = count + 1;
        if below > u32::from(depth) {
            return None;
        }
        let base = variables.stores.fast() + u32::from(depth) - below;
        // SAFETY: the arguments stay on the stack until the call is over.
        let at = |i: u32| unsafe { self.frames.slot(frame, base + i) };
        let mut handed = Arguments::new();
        match owner {
            Some(owner) => handed.push(owner),
            // The object that the method is called on, unless that is an argument like any other.
            None => handed.extend(at(0).filter(|own| *own == first && *own != callable)),
        }
        for i in 1..=count {
            let _ = handed.try_push(at(i)?);
        }
        Some(handed)
    }
}
