//! The arguments of calls of C code.
//!
//! At a CALL event the arguments lie on the caller's stack. The bytecode shows how many there are,
//! how deep they lie, which of them have names, and which names are in the expressions that they
//! come from. That is worked out once for each code object.

use super::classes::Names;
use super::state::At;
use super::{Given, Values, withholds};
use crate::shim::ffi::depths::{NO_DEPTH, depths};
use crate::shim::ffi::{Frame, Obj};
use crate::shim::memory;
use arrayvec::ArrayVec;
use dashcam_schema::bytecode::code::{NO_UNIT, Unit, plain_instructions};
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_schema::value::GroupKind;
use dashcam_schema::value::names::Withheld;
use dashcam_schema::value::words::constant;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// Calls with more named arguments are not described.
const NAMED_MAX: usize = 64;
/// Longer texts are not taken for keys.
const KEY_MAX: usize = 64;
/// No call is at this code unit.
const NO_CALL: u16 = u16::MAX;

/// The instructions of a code object that call.
#[derive(Default)]
pub(super) struct CallSites {
    sites: Box<[CallSite]>,
    /// By code unit: index in `sites`, or [`NO_CALL`].
    at: Box<[u16]>,
    /// Address of `co_consts`, which lives as long as the code object; 0 if it cannot be read.
    constants: usize,
    /// Number of variables in the frame.
    fast: u32,
    /// Something is withheld under a name or constant of this code.
    withholds: bool,
    /// By index in `sites`, for the callable and each argument: what of it is withheld because a
    /// name in its expression says so, as in `len(user.password)`. Most sites have no entry.
    withheld: FxHashMap<u16, Box<[Withheld]>>,
    /// The code names `__dict__` or `vars`, so it may reach the dicts of instances.
    pub(super) reaches_dicts: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct CallSite {
    /// Slot of the object that a method is called on. In 3.12 it holds the callable if that is no
    /// method.
    pub(super) base: u32,
    pub(super) count: u16,
    /// All arguments are described, and none has a name.
    is_simple: bool,
    pub(super) convention: Convention,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Convention {
    Plain,
    /// The last arguments have names, which are in a tuple that lies on the stack above them.
    NamesOnStack,
    /// The same, with the index of the tuple among the constants.
    NamesInConstants(u32),
    /// The arguments are in a tuple at `base`, those with names in a dict above it, if there is
    /// one.
    Spread {
        /// The tuple was made for the call, or is a constant. With `is_from_list` it was made from
        /// a list, for `*`, and there are no arguments with names.
        is_made: bool,
        is_from_list: bool,
        has_names: bool,
    },
}

impl CallSite {
    /// Whether it is a call with `*` or `**`.
    pub(super) fn is_spread(&self) -> bool {
        matches!(self.convention, Convention::Spread { .. })
    }
}

/// The instructions of a code object while its calls are searched.
pub(super) struct Reading<'a> {
    version: Version,
    bytes: &'a [[u8; 2]],
    units: Vec<Unit>,
    pub(super) depths: Box<[u16]>,
    /// Instructions that jump, and their targets.
    jumps: Vec<(usize, usize)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(version: Version, bytecode: &'a [u8], exception_table: &[u8]) -> Reading<'a> {
        let units = plain_instructions(version, bytecode);
        let jumps = units.iter().enumerate().filter(|(_, unit)| unit.target != NO_UNIT);
        Reading {
            version,
            bytes: &bytecode.as_chunks::<2>().0[..units.len()],
            depths: depths(version, bytecode, exception_table, &units),
            jumps: jumps.map(|(at, unit)| (at, unit.target as usize)).collect(),
            units,
        }
    }
}

/// What is withheld of the values of a code object's variables, of those named in its `co_names`,
/// and of those found under its constants.
struct Secrets {
    variables: Vec<Withheld>,
    names: Vec<Withheld>,
    constants: Vec<Withheld>,
}

impl Secrets {
    fn has_any(&self) -> bool {
        let all = [&self.variables, &self.names, &self.constants];
        all.into_iter().flatten().any(|level| *level != Withheld::Nothing)
    }
}

impl Reading<'_> {
    /// Returns where the expression begins whose value lies at this depth on the stack and that
    /// ends before the unit `end`: at the last instruction before which the stack is no deeper. If
    /// a jump leads into it from before that, as in `a or b`, it begins earlier.
    fn begin(&self, end: usize, depth: u32) -> usize {
        let is_begin = |unit: &usize| {
            let at = self.depths.get(*unit).copied().unwrap_or(NO_DEPTH);
            self.units[*unit].is_start && at != NO_DEPTH && u32::from(at) <= depth
        };
        let last = |before: usize| (0..before).rev().find(is_begin).unwrap_or(0);
        let mut begin = last(end);
        for (jump, target) in self.jumps.iter().rev() {
            if *jump < begin && (begin + 1..=end).contains(target) {
                begin = last(*jump);
            }
        }
        begin
    }

    /// Whether the last instruction before a unit leaves a tuple, or a constant, which lives as
    /// long as the code.
    fn makes_tuple(&self, end: usize) -> bool {
        let last = (0..end).rev().find(|unit| self.units[*unit].is_start);
        last.is_some_and(|last| {
            self.version.makes_arguments(self.bytes[last])
                || matches!(self.version.does(self.bytes[last][0]), Does::Tuple | Does::Const)
        })
    }

    /// Returns how a call with `*` gets its arguments, whose tuple lies at depth `base`.
    fn spread(&self, call: usize, base: u32, has_names: bool) -> Convention {
        let before = |unit: usize| unit.checked_sub(1);
        // If there are no arguments with names, null is in their place.
        let is_null = |unit: &usize| self.version.pushes_null(self.bytes[*unit][0]);
        let alone = match has_names {
            true => before(call).filter(is_null),
            false => Some(call),
        };
        let is_from_list = alone
            .and_then(before)
            .is_some_and(|unit| self.version.makes_arguments(self.bytes[unit]));
        let end = if has_names { self.begin(call, base + 1) } else { call };
        Convention::Spread { is_made: self.makes_tuple(end), is_from_list, has_names }
    }

    /// Returns what is withheld of the value of the expression in these units.
    fn withheld(&self, secrets: &Secrets, units: Range<usize>) -> Withheld {
        let is_constant = units.clone().filter(|unit| self.units[*unit].is_start).count() == 1;
        let of = |list: &[Withheld], index: u32| list.get(index as usize).copied();
        let levels = units.filter(|unit| self.units[*unit].is_start).map(|unit| {
            let operand = self.units[unit].operand;
            let found = match self.version.does(self.bytes[unit][0]) {
                Does::Fast | Does::FastAndClear | Does::Deref => of(&secrets.variables, operand),
                Does::FastPair => {
                    of(&secrets.variables, operand >> 4).max(of(&secrets.variables, operand & 15))
                }
                Does::StoreLoadFast => of(&secrets.variables, operand & 15),
                Does::Name | Does::DictOrGlobal => of(&secrets.names, operand),
                Does::Global | Does::Attribute => of(&secrets.names, operand >> 1),
                Does::SuperAttribute => of(&secrets.names, operand >> 2),
                // By itself it is no key, and anyone can read it in the source.
                Does::Const if !is_constant => of(&secrets.constants, operand),
                _ => None,
            };
            found.unwrap_or_default()
        });
        levels.max().unwrap_or_default()
    }

    /// The same for all values that a call at a unit takes from the stack, from depth `base` on.
    /// `None` if nothing is withheld.
    fn withheld_of_call(
        &self,
        secrets: &Secrets,
        (unit, base, count): (usize, u32, u32),
    ) -> Option<Box<[Withheld]>> {
        let mut end = unit;
        let mut levels: Vec<Withheld> = (0..=count)
            .rev()
            .map(|at| {
                // The object that a method is called on is pushed together with the method.
                let depth = if at == 0 { base.saturating_sub(1) } else { base + at };
                let begin = self.begin(end, depth);
                let level = self.withheld(secrets, begin..end);
                // One instruction may push two values.
                let is_shared = self.depths.get(begin).is_some_and(|at| u32::from(*at) < depth);
                end = begin + usize::from(is_shared);
                level
            })
            .collect();
        levels.reverse();
        levels.iter().any(|level| *level != Withheld::Nothing).then(|| levels.into())
    }
}

/// Whether a text in a program's source may be a key that says what is found under it. Others have
/// no such meaning, and there are many of them.
fn may_be_key(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (2..=KEY_MAX).contains(&text.len()) && text.bytes().all(is_part)
}

impl CallSites {
    /// Returns the call sites of a code object with these instructions and variables.
    pub(super) fn new<'n>(
        reading: &Reading<'_>,
        code: Obj<'_>,
        variables: impl Iterator<Item = &'n String>,
        names: &mut Names,
    ) -> CallSites {
        let mut secrets = Secrets {
            variables: variables.map(|name| names.withheld(name)).collect(),
            names: Vec::new(),
            constants: Vec::new(),
        };
        let mut reaches_dicts = false;
        code.each_item(c"co_names", |name| {
            secrets.names.push(names.withheld_key(name));
            reaches_dicts |= matches!(name.ascii(), Some("__dict__" | "vars"));
        });
        code.each_item(c"co_consts", |key| {
            secrets.constants.push(match key.ascii().is_some_and(may_be_key) {
                true => names.withheld_key(key),
                false => Withheld::Nothing,
            });
        });
        let mut sites = CallSites {
            at: vec![NO_CALL; reading.units.len()].into(),
            constants: code.code_tuple(c"co_consts"),
            fast: secrets.variables.len() as u32,
            withholds: secrets.has_any(),
            reaches_dicts,
            ..CallSites::default()
        };
        sites.find(reading, &secrets);
        sites
    }

    fn find(&mut self, reading: &Reading<'_>, secrets: &Secrets) {
        let Reading { version, bytes, .. } = *reading;
        let mut sites = Vec::new();
        let mut names = None;
        for (unit, it) in reading.units.iter().enumerate().filter(|(_, it)| it.is_start) {
            if version.does(bytes[unit][0]) == Does::KwNames {
                names = Some(it.operand);
                continue;
            }
            let depth = reading.depths.get(unit).copied().unwrap_or(NO_DEPTH);
            // Depth of the callable, or of the object that a method is called on.
            let below =
                |places: u32| u32::from(depth).checked_sub(places).filter(|_| depth != NO_DEPTH);
            let names = names.take();
            let found = match it.op {
                Op::Call => {
                    let convention = names.map_or(Convention::Plain, Convention::NamesInConstants);
                    below(it.operand + 1).map(|base| (base, it.operand, convention))
                }
                Op::CallKw => {
                    below(it.operand + 2).map(|base| (base, it.operand, Convention::NamesOnStack))
                }
                Op::CallFunctionEx => {
                    // From 3.14 on there is a place for arguments with names even if there are
                    // none.
                    let has_names = version >= Version::V3_14 || it.operand & 1 == 1;
                    below(1 + u32::from(has_names))
                        .map(|base| (base, 0, reading.spread(unit, base, has_names)))
                }
                _ => None,
            };
            let Some((base, count, convention)) = found else { continue };
            if sites.len() == usize::from(NO_CALL) {
                break;
            }
            let index = sites.len() as u16;
            self.at[unit] = index;
            if self.withholds
                && let Some(levels) = reading.withheld_of_call(secrets, (unit, base, count))
            {
                self.withheld.insert(index, levels);
            }
            sites.push(CallSite {
                base: self.fast + base,
                // The stack is no deeper than this.
                count: count.min(u16::MAX.into()) as u16,
                is_simple: convention == Convention::Plain
                    && !self.withholds
                    && !self.reaches_dicts,
                convention,
            });
        }
        self.sites = sites.into();
    }

    /// Returns a constant of the code object.
    ///
    /// # Safety
    /// The code object is alive.
    unsafe fn constant<'a>(&self, index: u32) -> Option<Obj<'a>> {
        if self.constants == 0 {
            return None;
        }
        // SAFETY: the code object holds this tuple, and the caller guarantees that it is alive.
        unsafe { Obj::borrowed(self.constants as *mut _) }.tuple_item(index as usize)
    }

    /// Returns the call at a code unit.
    #[inline(always)]
    pub(super) fn at(&self, unit: u32) -> Option<CallSite> {
        let index = *self.at.get(unit as usize)?;
        self.sites.get(usize::from(index)).copied()
    }

    /// Returns what is withheld of each value that the call at a code unit takes from the stack;
    /// empty if nothing is.
    fn withheld(&self, unit: u32) -> &[Withheld] {
        let index = self.at.get(unit as usize).copied().unwrap_or(NO_CALL);
        self.withheld.get(&index).map_or(&[], |levels| levels)
    }
}

/// Returns how a value is recorded, given what is withheld of it.
fn given(level: Withheld, value: Obj<'_>) -> Given<'_> {
    if withholds(level, value) { Given::Redacted } else { Given::Value(Some(value)) }
}

impl Values {
    /// Describes the arguments of a call of C code that is about to begin in the running frame.
    /// `owner` is the object that a method was bound to earlier.
    pub(in crate::shim) fn record_call(
        &mut self,
        at: At,
        code: Obj<'_>,
        unit: u32,
        callable: Obj<'_>,
        owner: Option<Obj<'_>>,
    ) {
        let Some(frame) = self.frames.running_of(code) else { return };
        let Some(site) = self.call_site(at.1, code, unit) else { return };
        let owner = owner.filter(|owner| !owner.is_module() && !owner.is_class());
        if !site.is_simple {
            return self.record_named_call(at, (frame, unit, site), callable, owner);
        }
        let (frames, count) = (self.frames, site.count);
        // SAFETY: the stack is that deep at this instruction, and these values stay on it until the
        // instruction is over.
        let slot = |slot: u32| unsafe { frames.slot(frame, slot) };
        let own = slot(site.base).filter(|own| self.version > Version::V3_12 || *own != callable);
        let firsts = usize::from(owner.is_some()) + usize::from(own.is_some());
        self.record_with(at, GroupKind::Handed, 1 + firsts + usize::from(count), |walk| {
            walk.constant(constant::NONE);
            owner.into_iter().chain(own).for_each(|own| walk.put_first(own));
            (1..=u32::from(count)).for_each(|at| walk.put_variable(slot(site.base + at)));
        });
    }

    /// The same where arguments have names, or something is withheld.
    #[inline(never)]
    fn record_named_call<'a>(
        &mut self,
        at: At,
        (frame, unit, site): (Frame, u32, CallSite),
        callable: Obj<'a>,
        owner: Option<Obj<'a>>,
    ) {
        let Some(Some(sites)) = self.call_sites.get(at.1 as usize).cloned() else {
            return;
        };
        let (frames, levels) = (self.frames, sites.withheld(unit));
        let count = u32::from(site.count);
        // SAFETY: as in `record_call`.
        let slot = |slot: u32| unsafe { frames.slot(frame, slot) };
        // The object of a method that was bound earlier is in no expression here.
        let bound = if sites.withholds { Withheld::Texts } else { Withheld::Nothing };
        let owner = owner.map(|owner| (owner, bound));
        let names = match site.convention {
            Convention::Plain => None,
            Convention::NamesOnStack => slot(site.base + count + 1),
            // SAFETY: the code object is running.
            Convention::NamesInConstants(index) => unsafe { sites.constant(index) },
            Convention::Spread { is_made, has_names, .. } => {
                let names = if has_names { slot(site.base + 1) } else { None };
                let level = levels.iter().copied().max().unwrap_or_default();
                let tuple = (site.base, is_made, level);
                return self.record_spread(at, (frame, sites.fast), tuple, owner, names);
            }
        };
        if names.is_some_and(|names| names.size() > NAMED_MAX) {
            return;
        }
        let withheld: ArrayVec<Withheld, NAMED_MAX> = names
            .map_or(0..0, |names| 0..names.size())
            .map_while(|at| names?.tuple_item(at))
            .map(|name| self.names.withheld_key(name))
            .collect();
        let own = slot(site.base).filter(|own| self.version > Version::V3_12 || *own != callable);
        let own_level = levels.first().copied().unwrap_or_default();
        let first = owner.map(|(owner, level)| (owner, level.max(own_level)));
        let first = first.into_iter().chain(own.map(|own| (own, own_level)));
        let given = |level, value: Obj<'a>| match sites.reaches_dicts && value.is_dict() {
            true if level == Withheld::Nothing => Given::Shallow(value),
            _ => given(level, value),
        };
        let first = first.map(|(own, level)| given(level, own));
        let all = 1 + first.clone().count() + count as usize;
        let positional = (1 + count as usize).saturating_sub(withheld.len());
        let arguments = (1..=count).map(|at| (at as usize, slot(site.base + at)));
        let arguments = arguments.map(|(at, argument)| {
            let named = at.checked_sub(positional).and_then(|at| withheld.get(at)).copied();
            let level = levels.get(at).copied().max(named).unwrap_or_default();
            argument.map_or(Given::Value(None), |argument| given(level, argument))
        });
        let head = match names {
            Some(names) => Given::Value(Some(names)),
            None => Given::Constant(constant::NONE),
        };
        self.record_given(
            at,
            GroupKind::Handed,
            all,
            std::iter::once(head).chain(first).chain(arguments),
        );
    }

    /// The same for a call with `*` or `**`.
    fn record_spread(
        &mut self,
        at: At,
        (frame, fast): (Frame, u32),
        (base, is_made, level): (u32, bool, Withheld),
        owner: Option<(Obj<'_>, Withheld)>,
        names: Option<Obj<'_>>,
    ) {
        let frames = self.frames;
        // SAFETY: as above. A value that is no tuple was replaced by a tuple before this event and
        // may be gone by now, so it is not read yet.
        let Some(tuple) = (unsafe { frames.slot(frame, base) }) else { return };
        // SAFETY: variables of the frame, which keeps their values alive.
        let is_in = |slot: u32| unsafe { frames.slot(frame, slot) } == Some(tuple);
        if !is_made && !(0..fast).any(is_in) || !tuple.is_exact_sequence() {
            return;
        }
        let names = names.filter(|names| names.is_dict());
        let all = [Given::Constant(constant::TRUE), given(level, tuple), Given::Value(names)];
        let owner = owner.map(|(owner, level)| given(level, owner));
        let count = all.len() + usize::from(owner.is_some());
        self.record_given(at, GroupKind::Handed, count, all.into_iter().chain(owner));
    }

    /// Returns the call at a code unit of a code object, whose calls are found the first time.
    #[inline(always)]
    fn call_site(&mut self, number: u32, code: Obj<'_>, unit: u32) -> Option<CallSite> {
        match self.call_sites.get(number as usize) {
            Some(Some(sites)) => sites.at(unit),
            _ => self.find_call_sites(number as usize, code).at(unit),
        }
    }

    #[cold]
    fn find_call_sites(&mut self, index: usize, code: Obj<'_>) -> Rc<CallSites> {
        memory::secure_for_code(code.code_units());
        let [bytecode, table] =
            [c"co_code", c"co_exceptiontable"].map(|name| code.code_bytes(name));
        let variables = code.code_variables();
        let reading = Reading::new(self.version, &bytecode, &table);
        let names = variables.iter().map(|(name, _)| name);
        let sites = Rc::new(CallSites::new(&reading, code, names, &mut self.names));
        self.keep_call_sites(index, Rc::clone(&sites));
        sites
    }

    pub(super) fn keep_call_sites(&mut self, index: usize, sites: Rc<CallSites>) {
        if self.call_sites.len() <= index {
            self.call_sites.resize(index + 1, None);
        }
        self.call_sites[index] = Some(sites);
    }
}
