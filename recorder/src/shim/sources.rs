//! Reads source text that is in no file: what the program registered in `linecache`, as Python
//! shows it in tracebacks. Generated code has its source there (attrs, notebooks).

use super::ffi::objects::Lookup;
use super::ffi::{Interpreter, Obj};
use rustc_hash::FxHashMap;

/// Longer texts are not recorded.
const BYTES_MAX: usize = 1 << 20;
const LINES_MAX: usize = 1 << 16;
/// The number of file names that are remembered. The text of any other file is recorded again for
/// each of its code objects.
const KNOWN_MAX: usize = 1 << 14;

/// Which source texts have been read.
#[derive(Default)]
pub(super) struct Sources {
    /// By file name: addresses and lengths by which one entry of `linecache` differs from another.
    known: FxHashMap<String, [usize; 4]>,
}

/// The entry of `linecache` for a file name.
pub(super) enum Registered {
    Text(String),
    /// The entry is too long or is not text.
    Unread,
}

impl Sources {
    /// Returns the source registered for the file name of a code object, unless it was read before.
    pub(super) fn read(
        &mut self,
        interpreter: Interpreter,
        code: Obj<'_>,
        path: &str,
    ) -> Option<Registered> {
        let cache = interpreter.module_entry(c"linecache", c"cache")?;
        code.code_object(c"co_filename", |name| {
            let Lookup::Found(entry) = cache.dict_lookup(name.with_hash()?) else { return None };
            self.read_entry(entry, path)
        })?
    }

    fn read_entry(&mut self, entry: Obj<'_>, path: &str) -> Option<Registered> {
        let fields = entry.tuple_items()?;
        // Other entries are functions that return the lines. An entry with a modification time is
        // said to hold the text of a file as of that time.
        let [length, modified, lines, _] = fields[..] else { return None };
        if !modified.is_none() && !path.starts_with('<') && std::path::Path::new(path).exists() {
            return None;
        }
        let items = lines.command_words(LINES_MAX + 1)?;
        let print = [entry.address(), lines.address(), items.len(), length.address()];
        if self.known.get(path) == Some(&print) {
            return None;
        }
        if self.known.len() < KNOWN_MAX {
            self.known.insert(path.to_owned(), print);
        }
        Some(joined(&items).map_or(Registered::Unread, Registered::Text))
    }
}

/// Joins the items to a text with one line for each. `None` if it is too long or not all text.
fn joined(items: &[Obj<'_>]) -> Option<String> {
    if items.len() > LINES_MAX {
        return None;
    }
    let mut text = String::new();
    for item in items {
        let (line, length) = item.text(BYTES_MAX)?;
        if text.len() + line.len() > BYTES_MAX || length > BYTES_MAX {
            return None;
        }
        push_line(&mut text, &line);
    }
    Some(text)
}

fn push_line(text: &mut String, line: &str) {
    let line = line.strip_suffix('\n').unwrap_or(line);
    // One item is one line, even if it contains line ends.
    text.extend(line.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_line() {
        let mut text = String::new();
        for line in ["a = 1\n", "b = 2", "", "c\rd\n\n", "\n"] {
            push_line(&mut text, line);
        }
        assert_eq!(text, "a = 1\nb = 2\n\nc d \n\n");
    }
}
