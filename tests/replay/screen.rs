//! `dashcam replay` at a terminal: the tests press keys and read the screen.
//!
//! No sleeps: a test waits until the screen shows what it should, and fails with the screen if it
//! never does.
#![allow(clippy::unwrap_used)]

mod picture;
mod shell;

use dashcam_tests::{Python, Recording, program};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal of its own.
struct Terminal {
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    keyboard: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    /// Starts `dashcam replay` on a recording, with these arguments and variables of the
    /// environment.
    fn replay(
        recording: &Recording,
        size: (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        Terminal::start("replay", recording, size, arguments, environment)
    }

    /// Starts any command of dashcam in the same way.
    fn start(
        verb: &str,
        recording: &Recording,
        (cols, rows): (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let dashcam = recording.python.dashcam();
        let mut command = CommandBuilder::new(dashcam.get_program());
        command.arg(verb);
        command.arg(&recording.db);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", recording.folder.path().join("state"));
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        let pair = native_pty_system().openpty(size(cols, rows)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut some = [0; 1 << 14];
            while let Ok(read @ 1..) = reader.read(&mut some) {
                if sender.send(some[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        let screen = vt100::Parser::new(cells(rows), cells(cols), 0);
        Terminal { screen, output, keyboard, master: pair.master, child }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen fulfils a condition.
    fn wait(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        while !is_so(self.screen.screen()) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.output.recv_timeout(left) {
                Ok(some) => self.screen.process(&some),
                Err(error) => panic!("{what}: {error}; the screen is\n{}", self.text()),
            }
        }
    }

    /// Waits until all of these texts are on the screen.
    fn sees(&mut self, parts: &[&str]) {
        let all = |screen: &vt100::Screen| {
            let text = screen.contents();
            parts.iter().all(|part| text.contains(part))
        };
        self.wait(&format!("no {parts:?}"), all);
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        self.screen.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size(cols, rows)).unwrap();
    }

    /// Waits for the program to end. Returns its exit code.
    fn end(&mut self) -> u32 {
        while let Ok(some) = self.output.recv_timeout(PATIENCE) {
            self.screen.process(&some);
        }
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn orders() -> Recording {
    let program = program("replay/orders.py");
    let what = ["--capture".into(), "state".into(), program.into_os_string()];
    Recording::new(&Python::any(), what)
}

#[test]
fn keys_step_through_a_run_that_was_killed() {
    let recording = orders();
    let mut terminal = Terminal::replay(&recording, (100, 30), &[], &[]);
    terminal.sees(&["orders.py", "<module>", "event 1", "stack", "variables"]);
    // On the command line, with completion.
    terminal.press(":brea\tOrder.tot\t\r");
    terminal.sees(&["breakpoint 1: Order.total"]);
    terminal.press("c");
    terminal.sees(&["Order.total called with", "breakpoint 1"]);
    terminal.press("nn");
    terminal.sees(&["orders.py:18 Order.total", "->", "for price in self.prices", "total = 0"]);
    terminal.press("nn");
    terminal.sees(&["orders.py:18 Order.total", "* total = 3", "  price = 3"]);
    terminal.press("N");
    terminal.sees(&["orders.py:19 Order.total", "* total = 0"]);
    // Nothing in a value controls the terminal.
    terminal.press("u");
    terminal.sees(&["orders.py:26 <module> (#1)", "> #1 <module>", r"王小明 \x1b[31m"]);
    terminal.press("d");
    terminal.sees(&["> #0 Order.total"]);
    terminal.press(":where\r");
    terminal.sees(&["where ─", "#1   orders.py:26 <module>"]);
    terminal.press("f");
    terminal.sees(&["Order.total returns -18"]);
    // How the run ended.
    terminal.press("c");
    terminal.sees(&["nothing comes after this; the run was ended by SIGKILL", "calls posix.kill"]);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.screen.screen().alternate_screen(), "the terminal was not given back");
    let history = recording.folder.path().join("state/dashcam/history");
    assert_eq!(std::fs::read_to_string(&history).unwrap(), "break Order.total\nwhere\n");
    assert_eq!(mode(&history), 0o600);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn it_fits_any_terminal() {
    let recording = orders();
    let mut terminal = Terminal::replay(&recording, (120, 40), &[], &[("NO_COLOR", "1")]);
    terminal.press(":goto orders.py:19 2\r");
    terminal.sees(&["orders.py:19", "total += price", "variables", "stack", "s step", "total = 3"]);
    for (cols, rows) in [(80, 24), (40, 10), (30, 5), (1, 1), (7, 2), (200, 60)] {
        terminal.resize(cols, rows);
        // The keys pressed last are handled after the resize.
        terminal.press("?\x1b[6~");
        if cols >= 40 {
            terminal.sees(&["keys and commands"]);
        }
        terminal.press("qn");
        if cols >= 30 {
            terminal.sees(&["orders.py:18", "Order.total"]);
        }
        terminal.press("N");
        if cols >= 30 {
            terminal.sees(&["orders.py:19"]);
        }
        if cols >= 40 {
            terminal.sees(&["->", "total += price", "total = 3"]);
        }
    }
    let screen = terminal.screen.screen();
    let cells = (0..60).flat_map(|row| (0..200).filter_map(move |col| screen.cell(row, col)));
    let default = vt100::Color::Default;
    assert!(cells.into_iter().all(|cell| cell.fgcolor() == default && cell.bgcolor() == default));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn wrong_commands_and_pasted_text_do_nothing() {
    let recording = orders();
    let mut terminal = Terminal::replay(&recording, (100, 30), &[], &[]);
    terminal.sees(&["event 1"]);
    terminal.press(":stpe\r");
    terminal.sees(&["did you mean step?"]);
    terminal.press(":goto nowhere.py:3\r");
    terminal.sees(&["no code of nowhere.py ran"]);
    terminal.press("\x03");
    terminal.sees(&["q leaves"]);
    // Pasted text is inserted into the line, not treated as keys.
    terminal.press("\x1b[200~quit is not pressed\x1b[201~");
    terminal.sees(&[":quit is not pressed"]);
    terminal.press("\x1b");
    terminal.wait("the line is still there", |screen| !screen.contents().contains(":quit"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_command_that_takes_long_is_ended_by_ctrl_c() {
    let loops = "for n in range(10_000_000):\n    x = n";
    let recording = Recording::new(&Python::any(), ["-c", loops]);
    let mut terminal = Terminal::replay(&recording, (80, 24), &[], &[]);
    terminal.sees(&["event 1"]);
    // The condition is tested ten million times.
    terminal.press(":break <string>:2 if n < 0\r");
    // Setting the breakpoint shows `working` as well, and Ctrl-C would interrupt that.
    terminal.sees(&["breakpoint 1: <string>:2"]);
    terminal.press("c");
    terminal.sees(&["working; ^C ends it"]);
    terminal.press("\x03");
    terminal.sees(&["interrupted"]);
    // Ctrl-C has ended nothing else.
    terminal.press("ss");
    terminal.sees(&["<string>:2"]);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let recording = orders();
    let mut terminal = Terminal::replay(&recording, (80, 24), &[], &[]);
    terminal.sees(&["event 1"]);
    assert!(terminal.screen.screen().alternate_screen());
    let pid = i32::try_from(terminal.child.process_id().unwrap()).unwrap();
    // SAFETY: kill takes no pointers; the process is a child not waited for yet.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert_eq!(terminal.end(), 143);
    assert!(!terminal.screen.screen().alternate_screen());
}

#[test]
fn lines_have_a_history_and_completion_as_well() {
    let recording = orders();
    let mut terminal = Terminal::replay(&recording, (80, 24), &["--plain"], &[]);
    terminal.sees(&["> orders.py", "(dashcam) "]);
    // Each line is typed when the prompt is back: what is typed before that is not edited yet.
    let prompts = |screen: &vt100::Screen| screen.contents().matches("(dashcam)").count();
    let lines =
        ["brea\tOrder.tot\t\r", "continue\r", "p sel\t\r", "next\r", "\r", "\x1b[A\x1b[A\r"];
    for (at, line) in lines.into_iter().enumerate() {
        terminal.wait("no prompt", |screen| prompts(screen) == at + 1);
        terminal.press(line);
    }
    terminal.wait("no prompt", |screen| prompts(screen) == lines.len() + 1);
    terminal.sees(&["(dashcam) break Order.total", "breakpoint 1: Order.total"]);
    terminal.sees(&["> orders.py:16 Order.total", "> orders.py:17 Order.total"]);
    terminal.sees(&["> orders.py:18 Order.total", r"王小明 \x1b[31m"]);
    let shown = terminal.text();
    assert_eq!(shown.matches("(dashcam) p self").count(), 2, "{shown}");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(mode(&recording.folder.path().join("state/dashcam/history")), 0o600);
}
