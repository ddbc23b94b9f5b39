//! The terminal: taken, given back whatever happens.

use std::io::{self, Stdout, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::execute;
use crossterm::style::Print;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// xterm's, which others know or pass over: the window's title goes on a stack, and comes back from it.
const KEEP_TITLE: &str = "\x1b[22;0t";
const PUT_TITLE_BACK: &str = "\x1b[23;0t";

/// Whether the terminal is ours just now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, for as long as this lives.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    unread: Option<u64>,
}

impl Screen {
    /// Takes the terminal. A panic, in whichever task, gives it back, says what it was and ends the process: what was sent is
    /// in the outbox.
    pub(super) fn enter() -> io::Result<Self> {
        let said = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            said(panic);
            std::process::exit(101);
        }));
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, unread: None };
        take()?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    pub(super) fn bell(&mut self) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(b"\x07")?;
        out.flush()
    }

    /// Says in the window's title how much is unread: numbers only, nothing that anybody wrote.
    pub(super) fn title(&mut self, unread: u64) -> io::Result<()> {
        if self.unread.replace(unread) == Some(unread) {
            return Ok(());
        }
        let title = if unread > 0 { format!("suda ({unread})") } else { "suda".to_owned() };
        execute!(io::stdout(), SetTitle(title))
    }

    /// Gives the terminal to the shell until it says to go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        take()?;
        self.unread = None;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), Print(KEEP_TITLE), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // The terminal may be gone: then there is nothing to give back.
        let end = (DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = execute!(io::stdout(), end.0, end.1, end.2, end.3, Print(PUT_TITLE_BACK));
        let _ = disable_raw_mode();
    }
}
