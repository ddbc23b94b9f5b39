//! Programs in a terminal that has no screen: what would be on it is looked at, and keys are typed.

#![expect(clippy::panic, reason = "helpers of tests: where something is not as it must be, the test is over")]

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use crate::binary;
use crate::node::NodeProcess;

/// How long anything may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// When nothing has been drawn for so long, nothing is to come of a key.
const QUIET: Duration = Duration::from_millis(50);

/// A program in a terminal.
pub struct Terminal {
    name: String,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<Shown>,
    /// The terminal's modes as they were before: echo and lines, not raw.
    modes: Option<u32>,
}

fn modes(master: &dyn MasterPty) -> Option<u32> {
    master.get_termios().map(|modes| modes.local_flags.bits())
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a size")
}

struct Shown {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    screen: vt100::Parser<Counts>,
    over: bool,
}

/// What a screen does not show.
#[derive(Default)]
struct Counts {
    bells: usize,
    title: String,
}

impl vt100::Callbacks for Counts {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into_owned();
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Terminal {
    /// `suda-chat` with its data in this folder, in a terminal of so many columns and rows.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn suda_chat(name: &str, node: &NodeProcess, data: &Path, (columns, rows): (u16, u16)) -> Self {
        let path = binary::path("suda-chat", binary::Target::Bin, "suda-chat", "SUDA_CHAT_BIN");
        let path = path.unwrap_or_else(|error| panic!("{error:#}"));
        let mut command = CommandBuilder::new(path);
        command.args(["--url", &format!("http://{}", node.http_addr()), "--device", name]);
        command.arg("--data");
        command.arg(data);
        for (variable, value) in [("TERM", "xterm-256color"), ("TZ", "UTC"), ("RUST_BACKTRACE", "1")] {
            command.env(variable, value);
        }
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("SUDA_") || variable == "NO_COLOR" {
                command.env_remove(variable);
            }
        }
        Self::start(name, command, columns, rows)
    }

    fn start(name: &str, command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let modes = modes(&*pair.master);
        let child = pair.slave.spawn_command(command).expect("a program that starts");
        // When the program ends, so does what can be read.
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("what it writes");
        let keys = pair.master.take_writer().expect("its keys");
        let screen = vt100::Parser::new_with_callbacks(cells(rows), cells(columns), 0, Counts::default());
        let shown = Arc::new(Shown { state: Mutex::new(State { screen, over: false }), changed: Condvar::new() });
        let writes = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            loop {
                let read = reader.read(&mut bytes).unwrap_or(0);
                let mut state = writes.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.screen.process(&bytes[..read]);
                state.over = read == 0;
                writes.changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { name: name.to_owned(), master: pair.master, keys, child, shown, modes }
    }

    /// Types.
    ///
    /// # Panics
    ///
    /// If the program does not take it.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal that takes keys");
        self.keys.flush().expect("a terminal that takes keys");
    }

    /// Types the same again whenever nothing more happens, until this is on the screen.
    ///
    /// # Panics
    ///
    /// If it is not in time, or the program has ended.
    #[track_caller]
    pub fn keys_until(&mut self, keys: &str, text: &str) {
        let begun = Instant::now();
        loop {
            self.keys(keys);
            let mut state = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let contents = state.screen.screen().contents();
                if contents.contains(text) {
                    return;
                }
                assert!(!state.over && begun.elapsed() < PATIENCE, "{}: {text:?} never came:\n{contents}", self.name);
                let quiet;
                (state, quiet) = self.shown.changed.wait_timeout(state, QUIET).unwrap_or_else(PoisonError::into_inner);
                if quiet.timed_out() {
                    break;
                }
            }
        }
    }

    /// What is on the screen.
    #[must_use]
    pub fn text(&self) -> String {
        self.shown.state.lock().unwrap_or_else(PoisonError::into_inner).screen.screen().contents()
    }

    /// How often the bell has rung.
    #[must_use]
    pub fn bells(&self) -> usize {
        self.shown.state.lock().unwrap_or_else(PoisonError::into_inner).screen.callbacks().bells
    }

    /// The window's title.
    #[must_use]
    pub fn title(&self) -> String {
        self.shown.state.lock().unwrap_or_else(PoisonError::into_inner).screen.callbacks().title.clone()
    }

    /// Waits until this is on the screen.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.until(&format!("{text:?} is shown"), |screen| screen.contents().contains(text));
    }

    /// Waits until this is not on the screen.
    #[track_caller]
    pub fn hides(&self, text: &str) {
        self.until(&format!("{text:?} is not shown"), |screen| !screen.contents().contains(text));
    }

    /// Waits until something is so.
    ///
    /// # Panics
    ///
    /// If it is not in time, or the program has ended.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let (caller, begun) = (Location::caller(), Instant::now());
        let mut state = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_so(state.screen.screen()) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(
                !state.over && !left.is_zero(),
                "{}: not in time: {what} ({caller})\n{}",
                self.name,
                state.screen.screen().contents()
            );
            state = self.shown.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives the terminal another size.
    ///
    /// # Panics
    ///
    /// If it can't have it.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut state = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.screen.screen_mut().set_size(cells(rows), cells(columns));
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("another size");
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn signal(&self, name: &str) {
        let pid = self.child.process_id().expect("a process").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for the program's end: how it ended, with the terminal as it was before.
    ///
    /// # Panics
    ///
    /// If it does not end in time, or leaves the terminal to the shell as its own.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        let mut state = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.over {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "{} does not end:\n{}", self.name, state.screen.screen().contents());
            state = self.shown.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let screen = state.screen.screen();
        let kept = (screen.alternate_screen(), screen.hide_cursor(), screen.bracketed_paste());
        assert_eq!(kept, (false, false, false), "{}: alternate screen, hidden cursor, bracketed paste", self.name);
        drop(state);
        assert_eq!(modes(&*self.master), self.modes, "{}: the terminal's modes", self.name);
        self.child.wait().expect("its end")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
