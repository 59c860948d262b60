//! Changes by calls of C code whose effect is known by the name of the callable.
//!
//! When such a call returns, its arguments still lie on the caller's stack: the object, the key and
//! the value. The object is examined all the same, because the call may have changed more than
//! that.

use super::calls::Convention;
use super::state::{At, Variables, index, may_change};
use super::{Given, Values};
use crate::shim::callables::Doing;
use crate::shim::ffi::objects::AttributeSet;
use crate::shim::ffi::{Frame, Obj};
use arrayvec::ArrayVec;
use dashcam_schema::value::{GroupKind, Sort};
use std::rc::Rc;

/// The most arguments that are read.
const ARGUMENTS_MAX: usize = 4;

/// The arguments of a call: the object that its method belongs to, then the others.
type Arguments<'a> = ArrayVec<Obj<'a>, ARGUMENTS_MAX>;

impl Values {
    /// Records the end of a call of C code that does something known to its first argument. Returns
    /// false if that is not known to be the object that changed, so that all arguments have to be
    /// examined.
    pub(in crate::shim) fn record_called(
        &mut self,
        at: At,
        thread: u32,
        code: Obj<'_>,
        unit: u32,
        (callable, owner, first): (Obj<'_>, Option<Obj<'_>>, Obj<'_>),
        doing: Doing,
    ) -> bool {
        let Some((frame, variables)) = self.running(at, code) else { return true };
        let handed = self.arguments_of(frame, &variables, unit, callable, owner, first);
        // It may be unknown which argument is which, but the first is known.
        let object = match &handed {
            Some(handed) => handed.first().copied(),
            None => Some(owner.unwrap_or(first)),
        };
        let Some(object) = object.map(Obj::referent) else { return false };
        if self.frames.namespaces(frame).contains(&Some(object))
            && let Some(state) = &mut self.state
        {
            state.change_namespaces();
        }
        let owner = match variables.calls.reaches_dicts {
            true => self.owner_of(frame, &variables, object),
            false => None,
        };
        if owner.is_none() {
            self.note_hidden_owner(object, || true);
        }
        let target = owner.unwrap_or(object);
        let sort = self.sort_of(target);
        let is_attribute = owner.is_some() || doing.is_attribute();
        if sort == Sort::Module
            && let Some(state) = &mut self.state
        {
            state.change_namespaces();
        }
        if !is_attribute && !may_change(sort) {
            // Another object may hold what is changed.
            return false;
        }
        self.follow_epoch(at.0);
        let found = handed.and_then(|handed| self.key_and_value(&handed, object, doing));
        // The dict of an instance may also be known as an object of its own.
        let has_own = owner.is_some() && self.described.has_contents(object);
        let also: &[Obj<'_>] = if has_own { &[object] } else { &[] };
        let Some((key, value)) = found else {
            self.reexamine(at, &[target]);
            self.reexamine(at, also);
            return true;
        };
        let numbers = [thread, unit].map(|number| Given::Int(number.into()));
        if sort == Sort::Dict
            && owner.is_none()
            && let Some(kind) = self.single_change(object, doing)
        {
            let length = self.length_of(object);
            let is_large = kind == GroupKind::SetItem && length > i64::from(self.limits.items);
            let rest = [Some(key), value, is_large.then_some(Given::Int(length))];
            let count = 3 + rest.iter().flatten().count();
            let changed = Given::Changed(object);
            let given = numbers.into_iter().chain([changed]).chain(rest.into_iter().flatten());
            self.record_given(at, kind, count, given);
            self.described.note_change(object, 0);
            return true;
        }
        let flag = Given::Int(is_attribute.into());
        let count = 5 + usize::from(value.is_some());
        let given = numbers.into_iter().chain([Given::Written(target), flag, key]).chain(value);
        self.record_given(at, GroupKind::Called, count, given);
        self.reexamine(at, also);
        true
    }

    /// If a dict is as it was described except for the one item that the call has put there or
    /// taken away: returns how that is recorded without examining the whole dict.
    fn single_change(&mut self, dict: Obj<'_>, doing: Doing) -> Option<GroupKind> {
        let (kind, more) = match doing {
            Doing::Pop | Doing::DeleteItem => (GroupKind::DeleteItem, -1),
            Doing::SetDefault => (GroupKind::SetItem, 1),
            _ => return None,
        };
        let is_certain = self.is_certain_but_for(dict, more)
            && (more > 0 || self.described.note_taken(dict, self.limits.items));
        is_certain.then_some(kind)
    }

    /// Returns the key under which the call has changed the object, and the value if it put one
    /// there. `None` if only examining the object shows that.
    fn key_and_value<'a>(
        &mut self,
        handed: &[Obj<'a>],
        object: Obj<'_>,
        doing: Doing,
    ) -> Option<(Given<'a>, Option<Given<'a>>)> {
        let argument = |at: usize| handed.get(at).copied();
        // The number of items shows whether an item was added or removed.
        let is_resized = self.described.is_resized(object);
        let length = self.length_of(object);
        let class = self.classes.find(object.class(), &self.names);
        let sort = self.classes.known(class).layout.sort;
        let is_sequence = matches!(sort, Sort::List | Sort::Deque | Sort::Array | Sort::ByteArray);
        let value = |values: &mut Values, key: Obj<'_>, at: usize| {
            argument(at).map(|value| values.given(key, value))
        };
        Some(match doing {
            Doing::SetItem | Doing::DeleteItem if is_sequence => {
                let key = argument(1).and_then(index)?;
                // After a deletion there is one item less.
                let before = length + i64::from(doing == Doing::DeleteItem);
                let key = if key < 0 { key + before } else { key };
                let value = match doing {
                    Doing::SetItem => Some(Given::Value(Some(argument(2)?))),
                    _ => None,
                };
                (Given::Int(key), value)
            }
            Doing::SetItem => {
                let key = argument(1)?;
                (Given::Value(Some(key)), Some(value(self, key, 2)?))
            }
            Doing::DeleteItem => (Given::Value(Some(argument(1)?)), None),
            Doing::SetAttribute { is_own } | Doing::DeleteAttribute { is_own } => {
                let (name, deletes) =
                    (argument(1)?, matches!(doing, Doing::DeleteAttribute { .. }));
                let layout = Rc::clone(&self.classes.known(class).layout);
                // Code in Python that sets the attribute is recorded where it does so.
                if !name.is_str()
                    || !is_own && object.class().sets_by_itself(deletes) == AttributeSet::Nothing
                    || object.class().finds_setter(&layout, name) == AttributeSet::Nothing
                {
                    return None;
                }
                let value = if deletes { None } else { Some(value(self, name, 2)?) };
                (Given::Value(Some(name)), value)
            }
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
            Doing::Add if sort == Sort::Set && is_resized => {
                let item = argument(1)?;
                (Given::Value(Some(item)), Some(Given::Value(Some(item))))
            }
            Doing::Pop if is_resized || handed.len() == 2 => {
                (Given::Value(Some(argument(1)?)), None)
            }
            Doing::SetDefault if is_resized => {
                let key = argument(1)?;
                // SAFETY: gives the address of a static object.
                let none = unsafe { Obj::borrowed(pyo3::ffi::Py_None()) };
                let put = argument(2).unwrap_or(none);
                (Given::Value(Some(key)), Some(self.given(key, put)))
            }
            Doing::Discard if is_resized => (Given::Value(Some(argument(1)?)), None),
            // The item may have been there or not, which only examining shows.
            Doing::Pop | Doing::Add | Doing::SetDefault | Doing::Discard | Doing::Whole => {
                return None;
            }
        })
    }

    /// Returns the arguments of the call at a code unit of a frame, which ends just now. `None` if
    /// it is not known which argument is which.
    fn arguments_of<'a>(
        &self,
        frame: Frame,
        variables: &Variables,
        unit: u32,
        callable: Obj<'a>,
        owner: Option<Obj<'a>>,
        first: Obj<'a>,
    ) -> Option<Arguments<'a>> {
        let site = variables.calls.at(variables.stores.start(unit))?;
        // Arguments with names may be in any order.
        if site.convention != Convention::Plain {
            return None;
        }
        // SAFETY: the arguments stay on the stack until the call is over.
        let at = |i: u32| unsafe { self.frames.slot(frame, site.base + i) };
        let mut handed = Arguments::new();
        match owner {
            Some(owner) => handed.push(owner),
            // The object that the method is called on, unless it is an argument like any other.
            None => handed.extend(at(0).filter(|own| *own == first && *own != callable)),
        }
        for i in 1..=u32::from(site.count) {
            let _ = handed.try_push(at(i)?);
        }
        Some(handed)
    }
}
