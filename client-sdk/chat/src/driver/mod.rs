//! The terminal and the SDK, and the model between them.

mod bridge;
mod deeds;
mod terminal;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use crossterm::event::{Event, KeyEventKind};
use futures_util::StreamExt as _;
use jiff::tz::TimeZone;
use suda_client::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::Args;
use crate::model::Model;
use crate::model::say::{Cmd, Input, News};
use crate::view;
use terminal::Screen;

/// News that wait for the model. The SDK's side waits when there is no room; it holds news by itself then, once each.
const NEWS_MAX: usize = 256;
/// What is to be done and has not been begun. Beyond it the user is told.
const CMDS_MAX: usize = 1_024;
/// How often the time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long what was just sent may take to reach the outbox, and the link to end, when the app does.
const END_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Runs until the user or a signal says it is over.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(std::io::IsTerminal::is_terminal(&std::io::stdout()), "suda-chat needs a terminal");
    let client = connect(args).await?;
    let (news, mut arriving) = mpsc::channel(NEWS_MAX);
    let (cmds, doing) = mpsc::channel(CMDS_MAX);
    let mut screen = Screen::enter()?;
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let mut model = Model::new(args.url.clone(), TimeZone::system(), now_ms(), size);
    let bridge = tokio::spawn(bridge::run(client, news, doing));
    let outcome = turn(&mut screen, &mut model, &mut arriving, &cmds).await;
    drop(cmds);
    // The bridge may be about to say something; nobody listens.
    drop(arriving);
    let _ = tokio::time::timeout(END_WITHIN, bridge).await;
    drop(screen);
    outcome
}

/// The loop: what happens, what is to be done about it, the screen.
async fn turn(
    screen: &mut Screen,
    model: &mut Model,
    arriving: &mut mpsc::Receiver<News>,
    cmds: &mpsc::Sender<Cmd>,
) -> anyhow::Result<()> {
    let mut keys = crossterm::event::EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut over = Signals::new()?;
    loop {
        if std::mem::take(&mut model.dirty) {
            screen.title(model.unread())?;
            screen.draw(|frame| view::draw(model, frame))?;
        }
        let input = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(event)) => input(event),
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            news = arriving.recv() => match news {
                Some(news) => Some(Input::News(news)),
                None => bail!("the client has ended"),
            },
            _ = tick.tick() => Some(Input::Tick(now_ms())),
            () = over.next() => return Ok(()),
        };
        let Some(input) = input else { continue };
        let mut todo = model.input(input);
        // What has come meanwhile is drawn with it.
        while let Ok(news) = arriving.try_recv() {
            todo.extend(model.input(Input::News(news)));
        }
        for cmd in todo {
            match cmd {
                Cmd::Quit => return Ok(()),
                Cmd::Bell => screen.bell()?,
                Cmd::Redraw => {
                    screen.clear()?;
                    model.dirty = true;
                }
                Cmd::Suspend => {
                    screen.suspend()?;
                    let (columns, rows) = crossterm::terminal::size().unwrap_or(model.size);
                    let _ = model.input(Input::Resize(columns, rows));
                }
                cmd => {
                    if cmds.try_send(cmd).is_err() {
                        model.say("Too much at once: that was not done.", true);
                    }
                }
            }
        }
    }
}

fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Input::Key(key)),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(columns, rows) => Some(Input::Resize(columns, rows)),
        Event::FocusGained => Some(Input::Focus(true)),
        Event::FocusLost => Some(Input::Focus(false)),
        _ => None,
    }
}

/// The signals that end it.
struct Signals([tokio::signal::unix::Signal; 4]);

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals");
        Ok(Self([
            of(SignalKind::terminate())?,
            of(SignalKind::hangup())?,
            of(SignalKind::interrupt())?,
            of(SignalKind::quit())?,
        ]))
    }

    async fn next(&mut self) {
        let [a, b, c, d] = &mut self.0;
        tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {}, _ = d.recv() => {} }
    }
}

async fn connect(args: &Args) -> anyhow::Result<Client> {
    let folder = folder(args)?;
    private(&folder).with_context(|| format!("the folder {}", folder.display()))?;
    let mut builder = Client::builder(&args.url)
        .app(concat!("suda-chat/", env!("CARGO_PKG_VERSION")))
        .device(&args.device)
        .folder(&folder);
    if !args.transport.is_empty() {
        builder = builder.transports(&args.transport);
    }
    builder.connect().await.with_context(|| format!("can't begin, with the data in {}", folder.display()))
}

/// A server's folder: its login is for nobody else.
fn folder(args: &Args) -> anyhow::Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = match (&args.data, named("XDG_DATA_HOME").filter(|path| path.is_absolute()), named("HOME")) {
        (Some(data), ..) => data.clone(),
        (None, Some(data), _) => data.join("suda-chat"),
        (None, None, Some(home)) => home.join(".local/share/suda-chat"),
        (None, None, None) => bail!("no $HOME: say --data DIR"),
    };
    Ok(data.join(server_name(&args.url)))
}

/// The server's address as the name of a folder.
fn server_name(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let rest = url.strip_prefix("https://").map_or_else(|| url.replacen("://", "-", 1), str::to_owned);
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    let name: String = rest.chars().map(|char| if plain(char) { char.to_ascii_lowercase() } else { '_' }).collect();
    if name.trim_matches('.').is_empty() { "server".to_owned() } else { name }
}

/// Makes a folder that only its owner can look into.
fn private(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::server_name;

    #[test]
    fn each_server_has_a_folder() {
        assert_eq!(server_name("https://suda.example/"), "suda.example");
        assert_eq!(server_name("http://localhost:8080"), "http-localhost_8080");
        assert_eq!(server_name("https://x/../../etc"), "x_.._.._etc");
        assert_eq!(server_name(".."), "server");
    }
}
