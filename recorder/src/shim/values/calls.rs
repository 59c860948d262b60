//! What calls of C code are handed.
//!
//! At a CALL event the arguments lie on the caller's stack. How many there are, how deep they lie,
//! which of them have names and by which names the expressions before them came to their values follows from the
//! bytecode, once for each code object.

use super::classes::Names;
use super::state::At;
use super::{Given, Values, withholds};
use crate::shim::ffi::depths::{NO_DEPTH, depths};
use crate::shim::ffi::{Frame, Obj, VariableName};
use crate::shim::memory;
use arrayvec::ArrayVec;
use dashcam_schema::bytecode::code::{NO_UNIT, Unit, operands, plain_instructions};
use dashcam_schema::bytecode::effects::Does;
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_schema::value::GroupKind;
use dashcam_schema::value::names::Withheld;
use dashcam_schema::value::words::constant;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// Calls with more names are not described.
const NAMED_MAX: usize = 64;
/// Longer texts are no keys.
const KEY_MAX: usize = 64;
/// No call is at this code unit.
const NO_CALL: u16 = u16::MAX;

/// The instructions of a code object that call.
#[derive(Default)]
pub(super) struct CallSites {
    sites: Box<[CallSite]>,
    /// By code unit: index in `sites`, or [`NO_CALL`].
    at: Box<[u16]>,
    /// Address of `co_consts`, which lives as long as the code object; 0 if it cannot be had.
    constants: usize,
    /// Variables in the frame.
    fast: u32,
    /// By index in `sites`, of what is called and of each argument: what of it stays in the program, for its
    /// expression has a name that says so, as `len(user.password)` has. Most are not here.
    withheld: FxHashMap<u16, Box<[Withheld]>>,
}

#[derive(Debug, Clone, Copy)]
struct CallSite {
    /// Slot of the object that a method is called on. In 3.12, there is what is called if it is no method.
    base: u32,
    count: u16,
    /// The code has to do with what is to stay in the program.
    withholds: bool,
    /// It may have to do with dicts that are the attributes of instances. Those are described with the instances.
    reaches_dicts: bool,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    /// The last arguments have the names in a tuple, which lies on the stack above them.
    NamesOnStack,
    /// The same; the tuple's index among the constants.
    NamesInConstants(u32),
    /// The arguments are in a tuple at `base`, those with names in a dict above it, if there is one.
    Spread {
        /// The tuple was made for the call, or is a constant.
        is_made: bool,
        has_names: bool,
    },
}

/// A code object while its calls are looked for.
struct Reading<'a> {
    version: Version,
    units: &'a [[u8; 2]],
    plain: Vec<Unit>,
    operands: Vec<u32>,
    depths: Box<[u16]>,
    /// Instructions that jump, and where to.
    jumps: Vec<(usize, usize)>,
    /// What of the values of its variables stays in the program, of what is called by its `co_names`, and of what
    /// is found under its constants.
    variables: Vec<Withheld>,
    names: Vec<Withheld>,
    constants: Vec<Withheld>,
}

impl Reading<'_> {
    /// Where the expression begins whose value lies so deep on the stack, and that ends before a unit: at the last
    /// instruction before which the stack is no deeper; unless something jumps into it from before that, as in
    /// `a or b`.
    fn begin(&self, end: usize, depth: u32) -> usize {
        let is_begin = |unit: &usize| {
            let at = self.depths.get(*unit).copied().unwrap_or(NO_DEPTH);
            self.plain[*unit].is_start && at != NO_DEPTH && u32::from(at) <= depth
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

    /// Whether the last instruction before a unit leaves a tuple, or something that lives as long as the code.
    fn makes_tuple(&self, end: usize) -> bool {
        let last = (0..end).rev().find(|unit| self.plain[*unit].is_start);
        last.is_some_and(|last| {
            self.version.makes_arguments(self.units[last])
                || matches!(self.version.does(self.units[last][0]), Does::Tuple | Does::Const)
        })
    }

    /// What of the value of the expression in these units stays in the program.
    fn withheld(&self, units: Range<usize>) -> Withheld {
        let is_constant = units.clone().filter(|unit| self.plain[*unit].is_start).count() == 1;
        let of = |list: &[Withheld], index: u32| list.get(index as usize).copied();
        let levels = units.filter(|unit| self.plain[*unit].is_start).map(|unit| {
            let operand = self.operands[unit];
            let found = match self.version.does(self.units[unit][0]) {
                Does::Fast | Does::FastAndClear | Does::Deref => of(&self.variables, operand),
                Does::FastPair => {
                    of(&self.variables, operand >> 4).max(of(&self.variables, operand & 15))
                }
                Does::StoreLoadFast => of(&self.variables, operand & 15),
                Does::Name | Does::DictOrGlobal => of(&self.names, operand),
                Does::Global | Does::Attribute => of(&self.names, operand >> 1),
                Does::SuperAttribute => of(&self.names, operand >> 2),
                // Alone it is no key, and everybody can read it in the source.
                Does::Const if !is_constant => of(&self.constants, operand),
                _ => None,
            };
            found.unwrap_or_default()
        });
        levels.max().unwrap_or_default()
    }

    /// The same of all that a call at a unit takes from the stack, from this depth on.
    fn withheld_of_call(&self, unit: usize, base: u32, count: u32) -> Option<Box<[Withheld]>> {
        let mut end = unit;
        let mut levels: Vec<Withheld> = (0..=count)
            .rev()
            .map(|at| {
                // What a method is called on is pushed along with the method.
                let depth = if at == 0 { base.saturating_sub(1) } else { base + at };
                let begin = self.begin(end, depth);
                let level = self.withheld(begin..end);
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

/// Whether a text in a program's source may be a key that says what is under it. Others have no meaning of that
/// kind, and are many.
fn may_be_key(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (2..=KEY_MAX).contains(&text.len()) && text.bytes().all(is_part)
}

impl CallSites {
    fn new(version: Version, code: Obj<'_>, names: &mut Names) -> CallSites {
        let bytecode = code.code_bytes(c"co_code");
        let table = code.code_bytes(c"co_exceptiontable");
        let (plain, operands) =
            (plain_instructions(version, &bytecode), operands(version, &bytecode));
        let operand = |unit| operands.get(unit as usize).copied().unwrap_or(0);
        let mut reading = Reading {
            depths: depths(version, &bytecode, &table, &plain, operand),
            version,
            jumps: (0..plain.len())
                .filter(|unit| plain[*unit].is_start && plain[*unit].target != NO_UNIT)
                .map(|unit| (unit, plain[unit].target as usize))
                .collect(),
            units: &bytecode.as_chunks::<2>().0[..plain.len()],
            plain,
            operands,
            variables: Vec::new(),
            names: Vec::new(),
            constants: Vec::new(),
        };
        code.each_variable(|name| {
            reading.variables.push(match name {
                VariableName::Object(name) => names.withheld_key(name),
                VariableName::Text(name) => names.withheld(name),
            });
        });
        let mut reaches_dicts = false;
        code.each_item(c"co_names", |name| {
            reading.names.push(names.withheld_key(name));
            reaches_dicts |= matches!(name.ascii(), Some("__dict__" | "vars"));
        });
        code.each_item(c"co_consts", |key| {
            reading.constants.push(match key.ascii().is_some_and(may_be_key) {
                true => names.withheld_key(key),
                false => Withheld::Nothing,
            });
        });
        let mut sites = CallSites {
            at: vec![NO_CALL; reading.units.len()].into(),
            constants: code.code_constants_tuple(),
            fast: reading.variables.len() as u32,
            ..CallSites::default()
        };
        sites.find(&reading, reaches_dicts);
        sites
    }

    fn find(&mut self, reading: &Reading<'_>, reaches_dicts: bool) {
        let Reading { version, units, .. } = *reading;
        let may_withhold = [&reading.variables, &reading.names, &reading.constants];
        let may_withhold =
            may_withhold.into_iter().flatten().any(|level| *level != Withheld::Nothing);
        let mut sites = Vec::new();
        let mut names = None;
        for unit in (0..units.len()).filter(|unit| reading.plain[*unit].is_start) {
            let operand = reading.operands[unit];
            if version.does(units[unit][0]) == Does::KwNames {
                names = Some(operand);
                continue;
            }
            let depth = reading.depths.get(unit).copied().unwrap_or(NO_DEPTH);
            // How deep on the stack what is called, or the object a method is called on, lies.
            let below =
                |places: u32| u32::from(depth).checked_sub(places).filter(|_| depth != NO_DEPTH);
            let names = names.take();
            let found = match version.op(units[unit][0]) {
                Op::Call => {
                    let how = names.map_or(How::Plain, How::NamesInConstants);
                    below(operand + 1).map(|base| (base, operand, how))
                }
                Op::CallKw => below(operand + 2).map(|base| (base, operand, How::NamesOnStack)),
                Op::CallFunctionEx => {
                    // From 3.14 on there is a place for arguments with names even if there are none.
                    let has_names = version >= Version::V3_14 || operand & 1 == 1;
                    below(1 + u32::from(has_names)).map(|base| {
                        let end = if has_names { reading.begin(unit, base + 1) } else { unit };
                        let is_made = reading.makes_tuple(end);
                        (base, 0, How::Spread { is_made, has_names })
                    })
                }
                _ => None,
            };
            let Some((base, count, how)) = found else { continue };
            if sites.len() == usize::from(NO_CALL) {
                break;
            }
            let index = sites.len() as u16;
            self.at[unit] = index;
            let levels = may_withhold.then(|| reading.withheld_of_call(unit, base, count));
            let levels = levels.flatten();
            let (base, withholds) = (self.fast + base, may_withhold);
            // The stack is no deeper.
            let count = count.min(u16::MAX.into()) as u16;
            sites.push(CallSite { base, count, withholds, reaches_dicts, how });
            self.withheld.extend(levels.map(|levels| (index, levels)));
        }
        self.sites = sites.into();
    }

    /// # Safety
    /// The code object is alive.
    unsafe fn constant<'a>(&self, index: u32) -> Option<Obj<'a>> {
        if self.constants == 0 {
            return None;
        }
        // SAFETY: a tuple that the code object holds; the caller's.
        unsafe { Obj::borrowed(self.constants as *mut _) }.tuple_item(index as usize)
    }

    /// The call at a code unit.
    #[inline(always)]
    fn at(&self, unit: u32) -> Option<CallSite> {
        let index = *self.at.get(unit as usize)?;
        self.sites.get(usize::from(index)).copied()
    }

    /// What of what the call at a code unit takes from the stack stays in the program; nothing if that is empty.
    fn withheld(&self, unit: u32) -> &[Withheld] {
        let index = self.at.get(unit as usize).copied().unwrap_or(NO_CALL);
        self.withheld.get(&index).map_or(&[], |levels| levels)
    }
}

/// A value, of which so much stays in the program.
fn given(level: Withheld, value: Obj<'_>) -> Given<'_> {
    if withholds(level, value) { Given::Redacted } else { Given::Value(Some(value)) }
}

impl Values {
    /// Describes what a call of C code is handed, which is about to begin in the running frame. `owner` is
    /// what a method was bound to before.
    pub(in crate::shim) fn tell_call(
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
        if site.withholds || site.reaches_dicts || !matches!(site.how, How::Plain) {
            return self.tell_named_call(at, (frame, unit, site), callable, owner);
        }
        let (frames, count) = (self.frames, site.count);
        // SAFETY: the stack is as deep at this instruction, which has these on it until it is over.
        let slot = |slot: u32| unsafe { frames.slot(frame, slot) };
        let own = slot(site.base).filter(|own| self.version > Version::V3_12 || *own != callable);
        let firsts = usize::from(owner.is_some()) + usize::from(own.is_some());
        self.tell_with(at, GroupKind::Handed, 1 + firsts + usize::from(count), |look| {
            look.constant(constant::NONE);
            owner.into_iter().chain(own).for_each(|own| look.put_first(own));
            (1..=u32::from(count)).for_each(|at| look.put_variable(slot(site.base + at)));
        });
    }

    /// The same where arguments have names, or something is withheld.
    #[inline(never)]
    fn tell_named_call<'a>(
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
        // SAFETY: as in `tell_call`.
        let slot = |slot: u32| unsafe { frames.slot(frame, slot) };
        // A method that was bound before is in no expression here.
        let bound = if site.withholds { Withheld::Texts } else { Withheld::Nothing };
        let owner = owner.map(|owner| (owner, bound));
        let names = match site.how {
            How::Plain => None,
            How::NamesOnStack => slot(site.base + count + 1),
            // SAFETY: the code object runs.
            How::NamesInConstants(index) => unsafe { sites.constant(index) },
            How::Spread { is_made, has_names } => {
                let names = if has_names { slot(site.base + 1) } else { None };
                let level = levels.iter().copied().max().unwrap_or_default();
                let tuple = (site.base, is_made, level);
                return self.tell_spread(at, (frame, sites.fast), tuple, owner, names);
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
        let given = |level, value: Obj<'a>| match site.reaches_dicts && value.is_dict() {
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
        self.tell_given(
            at,
            GroupKind::Handed,
            all,
            std::iter::once(head).chain(first).chain(arguments),
        );
    }

    /// The same of a call with `*` or `**`.
    fn tell_spread(
        &mut self,
        at: At,
        (frame, fast): (Frame, u32),
        (base, is_made, level): (u32, bool, Withheld),
        owner: Option<(Obj<'_>, Withheld)>,
        names: Option<Obj<'_>>,
    ) {
        let frames = self.frames;
        // SAFETY: as above. What is no tuple is replaced by one before this event, and may be gone by now, so it
        // is not read yet.
        let Some(tuple) = (unsafe { frames.slot(frame, base) }) else { return };
        // SAFETY: variables of the frame, which holds what is in them.
        let is_in = |slot: u32| unsafe { frames.slot(frame, slot) } == Some(tuple);
        if !is_made && !(0..fast).any(is_in) || !tuple.is_exact_sequence() {
            return;
        }
        let names = names.filter(|names| names.is_dict());
        let all = [Given::Constant(constant::TRUE), given(level, tuple), Given::Value(names)];
        let owner = owner.map(|(owner, level)| given(level, owner));
        let count = all.len() + usize::from(owner.is_some());
        self.tell_given(at, GroupKind::Handed, count, all.into_iter().chain(owner));
    }

    /// The call at a code unit of a code object, which is worked out the first time.
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
        let sites = Rc::new(CallSites::new(self.version, code, &mut self.names));
        if self.call_sites.len() <= index {
            self.call_sites.resize(index + 1, None);
        }
        self.call_sites[index] = Some(Rc::clone(&sites));
        sites
    }
}
