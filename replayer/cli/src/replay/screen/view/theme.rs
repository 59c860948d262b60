//! Colours, and text styles that replace them if colours are not wanted.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the screen's elements.
pub(crate) struct Theme {
    has_colours: bool,
}

impl Theme {
    /// Uses colours unless the environment disables them (<https://no-color.org>).
    pub(crate) fn of_environment() -> Theme {
        Theme::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(crate) fn new(has_colours: bool) -> Theme {
        Theme { has_colours }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn title(&self, is_focused: bool) -> Style {
        match is_focused {
            true => self.colour(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            false => self.colour(Color::Cyan).add_modifier(Modifier::BOLD),
        }
    }

    /// The current line.
    pub(super) fn current(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// The selected item, with or without the focus.
    pub(super) fn selected(&self, is_focused: bool) -> Style {
        match is_focused {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn faint(&self) -> Style {
        if self.has_colours {
            Style::new().fg(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    pub(super) fn changed(&self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn breakpoint(&self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn error(&self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn key(&self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// A call in the strip: calls of the same code object have the same style.
    pub(super) fn call(&self, code_id: i64) -> Style {
        const COLOURS: [Color; 6] = [
            Color::Blue,
            Color::Green,
            Color::Magenta,
            Color::Cyan,
            Color::Yellow,
            Color::LightBlue,
        ];
        if !self.has_colours {
            return Style::new();
        }
        let colour = COLOURS[code_id.rem_euclid(COLOURS.len() as i64) as usize];
        Style::new().bg(colour).fg(Color::Black)
    }

    pub(super) fn has_colours(&self) -> bool {
        self.has_colours
    }
}
