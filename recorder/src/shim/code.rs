//! Maps code objects to their numbers. The map is exact even when an address is used again: a code
//! watcher reports when a code object is destroyed, so none has to be kept alive for the map.

use super::ffi::{self, Obj};
use dashcam_schema::bytecode::opcodes::{StoreOp, Version};
use dashcam_schema::record::{CodeDefinition, flags};
use pyo3::ffi::PyObject;
use rustc_hash::FxHashMap;
use std::ffi::c_int;

/// A code object's number, together with what callbacks need at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct CodeRef(u32);

impl CodeRef {
    /// Not recorded.
    pub(super) const EXCLUDED: CodeRef = CodeRef(u32::MAX);
    const SUSPENDABLE: u32 = 1 << 31;

    fn new(number: u32, suspendable: bool) -> CodeRef {
        CodeRef(number | if suspendable { Self::SUSPENDABLE } else { 0 })
    }

    pub(super) fn number(self) -> u32 {
        self.0 & !Self::SUSPENDABLE
    }

    /// Calls of it may be suspended and resumed.
    pub(super) fn is_suspendable(self) -> bool {
        self.0 & Self::SUSPENDABLE != 0
    }
}

const CACHE: usize = 1 << 14;

/// The code objects that have a number and are alive.
pub(super) struct Codes {
    /// Direct-mapped. Serves most switches between code objects.
    cache: Box<[(usize, CodeRef)]>,
    known: FxHashMap<usize, CodeRef>,
    count: u32,
}

#[inline(always)]
fn slot(address: usize) -> usize {
    // Code objects are 16-byte aligned and some hundred bytes apart.
    (address >> 4 ^ address >> 18) & (CACHE - 1)
}

impl Codes {
    pub(super) fn new() -> Codes {
        Codes {
            cache: vec![(0, CodeRef::EXCLUDED); CACHE].into(),
            known: FxHashMap::default(),
            count: 0,
        }
    }

    /// The number of a recorded code object, if it is in the cache. Cannot panic.
    #[inline(always)]
    pub(super) fn cached(&self, address: usize) -> Option<CodeRef> {
        let (cached, code) = *self.cache.get(slot(address))?;
        (cached == address && code != CodeRef::EXCLUDED).then_some(code)
    }

    #[inline(always)]
    pub(super) fn find(&mut self, address: usize) -> Option<CodeRef> {
        let entry = self.cache[slot(address)];
        if entry.0 == address {
            return Some(entry.1);
        }
        let code = *self.known.get(&address)?;
        self.cache[slot(address)] = (address, code);
        Some(code)
    }

    pub(super) fn exclude(&mut self, address: usize) {
        self.known.insert(address, CodeRef::EXCLUDED);
    }

    /// Gives a code object a number. The caller defines it in the ring.
    pub(super) fn add(&mut self, address: usize, definition: &CodeDefinition) -> CodeRef {
        let code = CodeRef::new(self.count, definition.flags & flags::SUSPENDABLE != 0);
        self.count += 1;
        self.known.insert(address, code);
        code
    }

    pub(super) fn forget(&mut self, address: usize) {
        self.known.remove(&address);
        self.forget_cached(address);
    }

    /// Makes the next event of a code object take the slow path.
    pub(super) fn forget_cached(&mut self, address: usize) {
        let entry = &mut self.cache[slot(address)];
        if entry.0 == address {
            entry.0 = 0;
        }
    }
}

/// Reads the definition of a code object.
pub(super) fn read_definition(code: Obj<'_>) -> CodeDefinition {
    let flags = code.code_int(c"co_flags");
    let variables = code.code_variables();
    const VARARGS: u32 = 0x4;
    const VARKEYWORDS: u32 = 0x8;
    let arguments = code.code_int(c"co_argcount")
        + code.code_int(c"co_kwonlyargcount")
        + (flags & VARARGS != 0) as u32
        + (flags & VARKEYWORDS != 0) as u32;
    let variable_names: Vec<String> = variables.into_iter().map(|(name, _)| name).collect();
    let bytecode = code.code_bytes(c"co_code");
    CodeDefinition {
        path: code.code_text(c"co_filename"),
        qualname: code.code_text(c"co_qualname"),
        name: code.code_text(c"co_name"),
        first_line: code.code_int(c"co_firstlineno"),
        flags,
        // The arguments come first among the variables.
        argument_names: variable_names.iter().take(arguments as usize).cloned().collect(),
        variable_names,
        names: if binds_names(&bytecode) { code.code_names(c"co_names") } else { Vec::new() },
        line_table: code.code_bytes(c"co_linetable"),
        bytecode,
        exception_table: code.code_bytes(c"co_exceptiontable"),
    }
}

/// Whether any instruction binds a name in a namespace.
fn binds_names(bytecode: &[u8]) -> bool {
    let Some(version) = Version::from_magic(ffi::bytecode_magic()) else { return false };
    let binds = |op| matches!(op, StoreOp::Name | StoreOp::Global);
    bytecode.as_chunks::<2>().0.iter().any(|[opcode, _]| binds(version.store(*opcode)))
}

/// Watches for the destruction of code objects until it is dropped. [`Watcher::new`] returns `None`
/// if all of CPython's watchers are in use.
pub(super) struct Watcher(c_int);

impl Watcher {
    pub(super) fn new() -> Option<Watcher> {
        // SAFETY: the callback has the right signature and is never unloaded.
        let watcher = unsafe { ffi::PyCode_AddWatcher(watch) };
        if watcher < 0 {
            ffi::clear_error();
            return None;
        }
        Some(Watcher(watcher))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // SAFETY: our own watcher; dropped with the GIL held.
        if unsafe { ffi::PyCode_ClearWatcher(self.0) } < 0 {
            ffi::clear_error();
        }
    }
}

unsafe extern "C" fn watch(event: c_int, code: *mut PyObject) -> c_int {
    if event == ffi::CODE_DESTROYED {
        // SAFETY: CPython holds the GIL here.
        unsafe { super::state::current() }.code_died(code as usize);
    }
    0
}
