//! `suda admin`: what an operator asks of a node that runs, through its `/admin`, with the token in its data folder.

mod client;
mod show;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{SettingsArgs, output};
use client::Client;

/// Look at a running node and help its users. The node is that of the data folder; only who can read the folder may.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    #[command(subcommand)]
    what: What,
    /// Print the node's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// The data folder of the node.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// The file with the settings, which name the data folder, instead of ./suda.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How the node is.
    Stats,
    /// The nodes of the store.
    Nodes,
    /// Accounts.
    #[command(subcommand)]
    Users(Users),
    /// Logins.
    #[command(subcommand)]
    Devices(Devices),
    /// Conversations.
    #[command(subcommand)]
    Channels(Channels),
    /// Pushes that were given up.
    #[command(subcommand)]
    Push(Push),
    /// The key that signs access tokens.
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, Subcommand)]
enum Push {
    /// List them, oldest first.
    List(PageArgs),
    /// Send them again, as if they had just happened.
    Requeue(Letters),
    /// Throw them away.
    Purge {
        #[command(flatten)]
        letters: Letters,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, Args)]
struct Letters {
    /// Only this one.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Only those with this reason.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Users {
    /// List accounts, oldest first.
    List(PageArgs),
    /// Show one.
    Show(User),
    /// Make one. Its password is read from stdin.
    Create {
        /// The handle.
        handle: String,
        /// The name that is shown; the handle if there is none.
        #[arg(long, value_name = "NAME", default_value = "")]
        display_name: String,
    },
    /// Give one a new password, read from stdin. All its devices are logged out.
    Password(User),
    /// Log all devices of one out.
    Logout(User),
    /// Delete one, with the text of all its messages.
    Delete {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, Subcommand)]
enum Devices {
    /// List a user's devices.
    List(User),
    /// Log one out.
    Logout {
        #[command(flatten)]
        user: User,
        /// The device's id.
        device: String,
    },
}

#[derive(Debug, Subcommand)]
enum Channels {
    /// List channels, oldest first.
    List(PageArgs),
    /// Show one.
    Show(Channel),
    /// Delete one with everything in it.
    Delete {
        #[command(flatten)]
        channel: Channel,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Sign with a new key from now on.
    Rotate {
        /// Forget the old ones: every access token is worth nothing, and clients refresh theirs.
        #[arg(long)]
        forget_old: bool,
    },
}

#[derive(Debug, Args)]
struct User {
    /// A user's id or handle. `@123` is the handle 123.
    user: String,
}

#[derive(Debug, Args)]
struct Channel {
    /// The channel's id.
    channel: String,
}

#[derive(Debug, Args)]
struct Sure {
    /// Yes, delete it: there is no way back.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct PageArgs {
    /// Begin after this id.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value = "50", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

pub(super) fn run(args: AdminArgs) -> anyhow::Result<ExitCode> {
    let settings = SettingsArgs { data: args.data, config: args.config, ..SettingsArgs::default() };
    let data = settings.load()?.settings.node.data;
    let (call, show) = args.what.call()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start")?;
    let answer = runtime.block_on(async { Client::of(&data)?.call(call.method, &call.path, &call.body).await })?;
    match (answer, args.json) {
        (Value::Null, false) => output::line("done")?,
        (answer, true) => output::line(&answer.to_string())?,
        (answer, false) => output::text(&show(&answer))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A request of `/admin`.
#[derive(Debug, PartialEq)]
struct Call {
    method: Method,
    /// Its parts, without slashes.
    path: Vec<String>,
    body: Value,
}

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        Self { method, path: path.iter().map(|part| (*part).to_owned()).collect(), body: Value::Null }
    }

    fn page(of: &str, page: &PageArgs) -> Self {
        let mut call = Self::new(Method::GET, &[of]);
        call.body = json!({ "limit": page.limit });
        if let Some(after) = &page.after {
            call.body["after"] = json!(after);
        }
        call
    }

    fn with(mut self, body: Value) -> Self {
        self.body = body;
        self
    }
}

type Show = fn(&Value) -> String;

impl What {
    fn call(self) -> anyhow::Result<(Call, Show)> {
        let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
        Ok(match self {
            Self::Stats => (Call::new(get, &["stats"]), show::object),
            Self::Nodes => (Call::new(get, &["nodes"]), show::nodes),
            Self::Users(Users::List(page)) => (Call::page("users", &page), show::users),
            Self::Users(Users::Show(User { user })) => (Call::new(get, &["users", &user]), show::object),
            Self::Users(Users::Create { handle, display_name }) => {
                let body = json!({ "handle": handle, "password": password()?, "display_name": display_name });
                (Call::new(post, &["users"]).with(body), show::object)
            }
            Self::Users(Users::Password(User { user })) => {
                let body = json!({ "password": password()? });
                (Call::new(put, &["users", &user, "password"]).with(body), show::object)
            }
            Self::Users(Users::Logout(User { user })) => (Call::new(post, &["users", &user, "logout"]), show::object),
            Self::Users(Users::Delete { user: User { user }, sure }) => {
                sure.check(&format!("the account {user}"))?;
                (Call::new(delete, &["users", &user]), show::object)
            }
            Self::Devices(Devices::List(User { user })) => (Call::new(get, &["users", &user]), show::devices),
            Self::Devices(Devices::Logout { user: User { user }, device }) => {
                (Call::new(delete, &["users", &user, "devices", &device]), show::object)
            }
            Self::Channels(Channels::List(page)) => (Call::page("channels", &page), show::channels),
            Self::Channels(Channels::Show(Channel { channel })) => {
                (Call::new(get, &["channels", &channel]), show::object)
            }
            Self::Channels(Channels::Delete { channel: Channel { channel }, sure }) => {
                sure.check(&format!("the channel {channel}"))?;
                (Call::new(delete, &["channels", &channel]), show::object)
            }
            Self::Push(Push::List(page)) => {
                let mut call = Call::page("push", &page);
                call.path.push("dead".to_owned());
                (call, show::dead_pushes)
            }
            Self::Push(Push::Requeue(Letters { id, reason })) => {
                let body = json!({ "id": id, "reason": reason });
                (Call::new(post, &["push", "dead", "requeue"]).with(body), show::object)
            }
            Self::Push(Push::Purge { letters: Letters { id, reason }, sure }) => {
                sure.check("a push that was given up")?;
                let body = json!({ "id": id, "reason": reason });
                (Call::new(delete, &["push", "dead"]).with(body), show::object)
            }
            Self::Keys(Keys::Rotate { forget_old }) => {
                (Call::new(post, &["signing-key"]).with(json!({ "forget_old": forget_old })), show::object)
            }
        })
    }
}

impl Sure {
    fn check(&self, what: &str) -> anyhow::Result<()> {
        ensure!(self.yes, "{what} can't be had back once it is deleted: say --yes if it is to be");
        Ok(())
    }
}

/// The first line of stdin. Command lines can be read by everybody on the machine.
fn password() -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        output::hint("the password, which is shown as it is typed: ");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("can't read the password from stdin")?;
    let password = line.trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "give the password on stdin");
    Ok(password.to_owned())
}
