//! The terminal: taken over, given back whatever happens, and read by a thread of its own.

use crate::cli::session::Interrupts;
use crossterm::cursor::Show;
use crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use signal_hook::consts::{SIGHUP, SIGTERM};
use std::io::{self, BufWriter, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How long a command may take to notice that the program is to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The screen, buffered: what is drawn at once arrives at once.
pub(super) type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal while it is ours. Given back when dropped, and before a panic's message.
pub(super) struct Taken(());

impl Taken {
    pub(super) fn take() -> io::Result<(Taken, Screen)> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let otherwise = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                otherwise(info);
            }));
        });
        enter()?;
        let taken = Taken(());
        Ok((taken, clear()?))
    }

    /// Stops the program until it is let go on.
    pub(super) fn suspend(&self) -> io::Result<()> {
        give_back();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        enter()
    }
}

/// An empty screen, whatever was there. (`Terminal::clear` asks where the cursor is, and the thread
/// that reads the keys would get the answer.)
pub(super) fn clear() -> io::Result<Screen> {
    execute!(io::stdout(), Clear(ClearType::All))?;
    let out = BufWriter::with_capacity(1 << 16, io::stdout());
    Terminal::new(CrosstermBackend::new(out))
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode()
        .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste));
    if entered.is_err() {
        give_back();
    }
    entered
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nothing to be done if it is gone.
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// What comes from outside.
pub(super) enum Told {
    Event(Event),
    /// The program is to end, by this signal.
    End(i32),
    /// Nobody can type any more.
    Gone,
}

/// Passes on what is typed. Ctrl-C ends what is being done, if anything is.
pub(super) fn listen(tell: Sender<Told>, interrupts: Interrupts) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP])?;
    let (asks, ends) = (interrupts.clone(), tell.clone());
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            asks.ask();
            let _ = ends.send(Told::End(signal));
            std::thread::sleep(PATIENCE);
            give_back();
            std::process::exit(128 + signal);
        }
    });
    std::thread::spawn(move || {
        loop {
            let told = match event::read() {
                Ok(Event::Key(key)) if key.kind == KeyEventKind::Release => continue,
                Ok(Event::Key(key)) if is_interrupt(&key) && interrupts.is_working() => {
                    interrupts.ask();
                    continue;
                }
                Ok(event) => Told::Event(event),
                Err(_) => Told::Gone,
            };
            let is_last = matches!(told, Told::Gone);
            if tell.send(told).is_err() || is_last {
                return;
            }
        }
    });
    Ok(())
}

fn is_interrupt(key: &KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}
