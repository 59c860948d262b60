//! The command line: editing, history and completion.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A line that is being typed.
#[derive(Debug, Default)]
pub(super) struct Input {
    text: String,
    /// Offset in bytes.
    cursor: usize,
    /// How far back in the history the line is, and the text that was typed before.
    back: usize,
    typed: String,
    /// The candidates for the last word.
    pub(super) candidates: Vec<String>,
}

/// What a key does to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    Edited,
    /// The line is complete.
    Line,
    Complete,
    Cancelled,
}

impl Input {
    pub(super) fn new(text: &str) -> Input {
        Input { text: text.to_owned(), cursor: text.len(), ..Input::default() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub(super) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Inserts the first line of a text at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        let line: String = text.lines().next().unwrap_or("").replace('\t', " ");
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        self.text.insert_str(self.cursor, &line);
        self.cursor += line.len();
    }

    /// Replaces the text from a byte offset to the cursor.
    pub(super) fn replace(&mut self, from: usize, text: &str) {
        if self.text.is_char_boundary(from) && from <= self.cursor {
            self.text.replace_range(from..self.cursor, "");
            self.cursor = from;
            self.insert(text);
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, history: &[String]) -> Typed {
        self.candidates.clear();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => return Typed::Line,
            KeyCode::Char('j' | 'm') if control => return Typed::Line,
            KeyCode::Esc => return Typed::Cancelled,
            KeyCode::Char('c' | 'g') if control => return Typed::Cancelled,
            KeyCode::Char('d') if control && self.text.is_empty() => return Typed::Cancelled,
            KeyCode::Backspace if self.text.is_empty() => return Typed::Cancelled,
            KeyCode::Tab => return Typed::Complete,
            KeyCode::Backspace if alt => self.delete(self.word_before(), self.cursor),
            KeyCode::Backspace => self.delete(self.before_cursor(), self.cursor),
            KeyCode::Char('h') if control => self.delete(self.before_cursor(), self.cursor),
            KeyCode::Delete => self.delete(self.cursor, self.after_cursor()),
            KeyCode::Char('d') if control => self.delete(self.cursor, self.after_cursor()),
            KeyCode::Char('w') if control => self.delete(self.word_before(), self.cursor),
            KeyCode::Char('u') if control => self.delete(0, self.cursor),
            KeyCode::Char('k') if control => self.delete(self.cursor, self.text.len()),
            KeyCode::Left if control || alt => self.cursor = self.word_before(),
            KeyCode::Char('b') if alt => self.cursor = self.word_before(),
            KeyCode::Right if control || alt => self.cursor = self.word_after(),
            KeyCode::Char('f') if alt => self.cursor = self.word_after(),
            KeyCode::Left => self.cursor = self.before_cursor(),
            KeyCode::Char('b') if control => self.cursor = self.before_cursor(),
            KeyCode::Right => self.cursor = self.after_cursor(),
            KeyCode::Char('f') if control => self.cursor = self.after_cursor(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Up => self.recall(history, true),
            KeyCode::Char('p') if control => self.recall(history, true),
            KeyCode::Down => self.recall(history, false),
            KeyCode::Char('n') if control => self.recall(history, false),
            KeyCode::Char(c) if !control && !alt => self.insert(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
        Typed::Edited
    }

    fn delete(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn before_cursor(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn after_cursor(&self) -> usize {
        self.text[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word_before(&self) -> usize {
        let before = self.before().trim_end();
        let space = before.char_indices().rfind(|(_, c)| c.is_whitespace());
        space.map_or(0, |(at, c)| at + c.len_utf8())
    }

    fn word_after(&self) -> usize {
        let after = &self.text[self.cursor..];
        let word = after.trim_start();
        let skipped = after.len() - word.len();
        self.cursor + skipped + word.find(char::is_whitespace).unwrap_or(word.len())
    }

    /// Shows the previous or next line in the history that begins with the typed text.
    fn recall(&mut self, history: &[String], older: bool) {
        if self.back == 0 {
            self.typed.clone_from(&self.text);
        }
        let fits = |line: &String| line.starts_with(&self.typed) && *line != self.text;
        let line = |back: usize| history.len().checked_sub(back).and_then(|at| history.get(at));
        let found = match older {
            true => (self.back + 1..=history.len()).find(|back| line(*back).is_some_and(fits)),
            false => (1..self.back).rev().find(|back| line(*back).is_some_and(fits)),
        };
        match (found, older) {
            (Some(back), _) => {
                self.back = back;
                self.text = line(back).cloned().unwrap_or_default();
            }
            (None, true) => return,
            (None, false) => {
                self.back = 0;
                self.text.clone_from(&self.typed);
            }
        }
        self.cursor = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(input: &mut Input, codes: &[KeyCode], history: &[String]) {
        for code in codes {
            input.key(KeyEvent::new(*code, KeyModifiers::NONE), history);
        }
    }

    fn control(input: &mut Input, c: char) -> Typed {
        input.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL), &[])
    }

    #[test]
    fn a_line_is_edited_by_characters() {
        use KeyCode::{Backspace, Char, Delete, Home, Left, Right};
        let mut input = Input::default();
        keys(&mut input, &[Char('日'), Char('b'), Left, Left, Char('é'), Right, Backspace], &[]);
        assert_eq!((input.text(), input.before()), ("éb", "é"));
        keys(&mut input, &[Home, Delete, Delete, Delete], &[]);
        assert_eq!(input.text(), "");
        input.insert("print a b\nsecond\tline");
        assert_eq!(input.text(), "print a b");
        control(&mut input, 'w');
        assert_eq!(input.text(), "print a ");
        control(&mut input, 'u');
        assert_eq!(input.text(), "");
        assert_eq!(control(&mut input, 'd'), Typed::Cancelled);
    }

    #[test]
    fn the_history_is_searched_by_what_was_typed() {
        use KeyCode::{Down, Up};
        let history: Vec<String> =
            ["goto 1", "print a", "goto 2", "print b"].map(str::to_owned).to_vec();
        let mut input = Input::new("goto");
        keys(&mut input, &[Up], &history);
        assert_eq!(input.text(), "goto 2");
        keys(&mut input, &[Up, Up], &history);
        assert_eq!(input.text(), "goto 1");
        keys(&mut input, &[Down], &history);
        assert_eq!(input.text(), "goto 2");
        keys(&mut input, &[Down], &history);
        assert_eq!(input.text(), "goto");
        keys(&mut input, &[Down, Up], &[]);
        assert_eq!(input.text(), "goto");
    }

    #[test]
    fn a_word_is_replaced_where_the_cursor_is() {
        let mut input = Input::new("break Or if x");
        keys(&mut input, &[KeyCode::Left; 5], &[]);
        input.replace(6, "Order.total");
        assert_eq!(input.text(), "break Order.total if x");
        input.replace(99, "x");
        assert_eq!(input.text(), "break Order.total if x");
    }
}
