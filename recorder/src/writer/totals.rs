//! How often each function was called and how long it took. The call stacks report each call as it
//! ends.

/// One chunk's addition to a row of `function_totals`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionTotal {
    pub(super) calls: u64,
    pub(super) unwinds: u64,
    /// Recursive calls are not added: they are inside other calls of the same function.
    pub(super) total_ns: u64,
    pub(super) self_ns: u64,
}

impl FunctionTotal {
    /// Adds another chunk's share.
    pub(super) fn add(&mut self, other: &FunctionTotal) {
        self.calls += other.calls;
        self.unwinds += other.unwinds;
        self.total_ns += other.total_ns;
        self.self_ns += other.self_ns;
    }
}

#[derive(Default)]
pub(super) struct Totals {
    by_code: Vec<FunctionTotal>,
    touched: Vec<u32>,
}

impl Totals {
    #[inline(always)]
    pub(super) fn add(&mut self, code: u32, one: &FunctionTotal) {
        match self.by_code.get_mut(code as usize) {
            Some(total) if total.calls > 0 => total.add(one),
            _ => self.add_first(code, one),
        }
    }

    #[cold]
    fn add_first(&mut self, code: u32, one: &FunctionTotal) {
        let index = code as usize;
        if index >= self.by_code.len() {
            self.by_code.resize(index + 1, FunctionTotal::default());
        }
        self.touched.push(code);
        self.by_code[index].add(one);
    }

    /// Returns what was added since the last call.
    pub(super) fn take(&mut self) -> Vec<(u32, FunctionTotal)> {
        let by_code = &mut self.by_code;
        self.touched
            .drain(..)
            .map(|code| (code, std::mem::take(&mut by_code[code as usize])))
            .collect()
    }
}
