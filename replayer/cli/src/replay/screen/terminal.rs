//! The terminal: taken over, always restored, and read by its own thread.

use crate::session::Interrupts;
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

/// How long a command has to notice that the program is ending.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether we have taken over the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The screen. It is buffered, so that everything drawn at once arrives at once.
pub(super) type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal while it is taken over. Restored when dropped, and before the message of a panic.
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

    /// Suspends the program until it is continued.
    pub(super) fn suspend(&self) -> io::Result<()> {
        give_back();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        enter()
    }
}

/// Clears the screen. (`Terminal::clear` requests the cursor's position, and the thread that
/// reads the keys would receive the answer.)
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
        // If the terminal is gone, nothing can be done.
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A message from the threads that read keys and signals.
pub(super) enum Message {
    Event(Event),
    /// The program has to end because of this signal.
    End(i32),
    /// The terminal cannot be read any more.
    Closed,
}

/// Sends typed keys to the channel. Ctrl-C interrupts the current command, if there is one.
pub(super) fn listen(sender: Sender<Message>, interrupts: Interrupts) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP])?;
    let (signal_interrupts, signal_sender) = (interrupts.clone(), sender.clone());
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            signal_interrupts.interrupt();
            let _ = signal_sender.send(Message::End(signal));
            std::thread::sleep(EXIT_TIMEOUT);
            give_back();
            std::process::exit(128 + signal);
        }
    });
    std::thread::spawn(move || {
        loop {
            let message = match event::read() {
                Ok(Event::Key(key)) if key.kind == KeyEventKind::Release => continue,
                Ok(Event::Key(key)) if is_interrupt(&key) && interrupts.is_working() => {
                    interrupts.interrupt();
                    continue;
                }
                Ok(event) => Message::Event(event),
                Err(_) => Message::Closed,
            };
            let is_last = matches!(message, Message::Closed);
            if sender.send(message).is_err() || is_last {
                return;
            }
        }
    });
    Ok(())
}

fn is_interrupt(key: &KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}
