//! Commands that are typed: `/react 👍`.

use suda_client::schema::summary::Mute;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// No command: a message. Two slashes at its front stand for one.
    Say(String),
    Help,
    Quit,
    LogOut,
    Edit(String),
    Delete,
    React(String),
    Reply(String),
    Direct(String),
    Group {
        title: String,
        handles: Vec<String>,
    },
    Join(String),
    Invite,
    Befriend(String),
    Accept(String),
    Unfriend(String),
    Friends,
    Members,
    Add(Vec<String>),
    Remove(String),
    Leave,
    Title(String),
    Name(String),
    Mute(Mute),
}

/// Name, what it takes, what it does.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("dm", "HANDLE", "open the conversation with somebody"),
    ("group", "TITLE @A @B", "make a group"),
    ("react", "EMOJI", "react to the last message, or take it back"),
    ("reply", "TEXT", "answer the last message"),
    ("edit", "[TEXT]", "change your last message"),
    ("delete", "", "delete your last message"),
    ("friend", "HANDLE", "ask somebody to be a friend"),
    ("accept", "HANDLE", "accept a friend request"),
    ("unfriend", "HANDLE", "end a friendship, refuse a request"),
    ("friends", "", "friends and requests"),
    ("members", "", "who is in this conversation"),
    ("add", "@A @B", "add members"),
    ("remove", "HANDLE", "remove a member"),
    ("title", "TEXT", "another title for the group"),
    ("invite", "", "make a code to join by"),
    ("join", "CODE", "join by a code"),
    ("mute", "[1h|mentions|off]", "be told less of this conversation"),
    ("leave", "", "leave this conversation"),
    ("name", "TEXT", "another name for yourself"),
    ("logout", "", "log this device out"),
    ("quit", "", "end suda-chat"),
    ("help", "", "keys and commands"),
];

const HOUR_MS: u64 = 3_600_000;

/// Reads what was typed; or says what is wrong with it.
pub(crate) fn parse(typed: &str, now_ms: u64) -> Result<Command, String> {
    let Some(rest) = typed.strip_prefix('/') else { return Ok(Command::Say(typed.to_owned())) };
    // Not a command: a path, a quoted slash.
    if rest.starts_with('/') {
        return Ok(Command::Say(rest.to_owned()));
    }
    let (name, rest) = rest.split_once([' ', '\n']).unwrap_or((rest, ""));
    let rest = rest.trim();
    let Some((_, takes, _)) = COMMANDS.iter().find(|(known, ..)| *known == name) else {
        return Err(format!("no such command: /{name} (two slashes begin a message with one; F1 lists the commands)"));
    };
    let needs = !takes.is_empty() && !takes.starts_with('[');
    if needs && rest.is_empty() {
        return Err(format!("/{name} {takes}"));
    }
    let one = || rest.trim_start_matches('@').to_owned();
    Ok(match name {
        "dm" => Command::Direct(one()),
        "group" => return group(rest),
        "react" => Command::React(rest.to_owned()),
        "reply" => Command::Reply(rest.to_owned()),
        "edit" => Command::Edit(rest.to_owned()),
        "delete" => Command::Delete,
        "friend" => Command::Befriend(one()),
        "accept" => Command::Accept(one()),
        "unfriend" => Command::Unfriend(one()),
        "friends" => Command::Friends,
        "members" => Command::Members,
        "add" => Command::Add(rest.split_whitespace().map(|word| word.trim_start_matches('@').to_owned()).collect()),
        "remove" => Command::Remove(one()),
        "title" => Command::Title(rest.to_owned()),
        "invite" => Command::Invite,
        "join" => Command::Join(rest.to_owned()),
        "mute" => Command::Mute(mute(rest, now_ms)?),
        "leave" => Command::Leave,
        "name" => Command::Name(rest.to_owned()),
        "logout" => Command::LogOut,
        "quit" => Command::Quit,
        _ => Command::Help,
    })
}

/// A title, and handles with an `@` before them.
pub(crate) fn group(text: &str) -> Result<Command, String> {
    let (handles, title): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| word.len() > 1 && word.starts_with('@'));
    if title.is_empty() {
        return Err("a group needs a title: Hiking @kim @lee".to_owned());
    }
    let handles = handles.iter().map(|handle| handle.trim_start_matches('@').to_owned()).collect();
    Ok(Command::Group { title: title.join(" "), handles })
}

fn mute(text: &str, now_ms: u64) -> Result<Mute, String> {
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse::<u64>().ok());
    Ok(match (text, hours) {
        ("", _) => Mute::Until(Mute::FOREVER_MS),
        ("off", _) => Mute::Off,
        ("mentions", _) => Mute::MentionsOnly,
        (_, Some(hours @ 1..=10_000)) => Mute::Until(now_ms.saturating_add(hours * HOUR_MS)),
        _ => return Err("/mute [1h|mentions|off]".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> Result<Command, String> {
        parse(typed, 1_000)
    }

    #[test]
    fn what_is_no_command_is_said() {
        assert_eq!(read("hello /react"), Ok(Command::Say("hello /react".to_owned())));
        assert_eq!(read("//etc"), Ok(Command::Say("/etc".to_owned())));
        assert!(read("/etc").unwrap_err().contains("no such command"));
    }

    #[test]
    fn commands_take_what_they_take() {
        assert_eq!(read("/dm @lee"), Ok(Command::Direct("lee".to_owned())));
        assert_eq!(read("/react 👍 "), Ok(Command::React("👍".to_owned())));
        assert_eq!(read("/react"), Err("/react EMOJI".to_owned()));
        assert_eq!(read("/edit"), Ok(Command::Edit(String::new())));
        assert_eq!(read("/reply a\nb"), Ok(Command::Reply("a\nb".to_owned())));
        let handles = vec!["kim".to_owned(), "lee".to_owned()];
        assert_eq!(read("/group On foot @kim @lee"), Ok(Command::Group { title: "On foot".to_owned(), handles }));
        assert!(read("/group @kim").is_err());
        assert_eq!(read("/mute"), Ok(Command::Mute(Mute::Until(Mute::FOREVER_MS))));
        assert_eq!(read("/mute 1h"), Ok(Command::Mute(Mute::Until(3_601_000))));
        assert_eq!(read("/mute off"), Ok(Command::Mute(Mute::Off)));
        assert!(read("/mute 0h").is_err());
    }

    #[test]
    fn every_command_that_is_listed_is_known() {
        for (name, ..) in COMMANDS {
            let typed = format!("/{name} 1h");
            assert!(read(&typed).is_ok_and(|read| !matches!(read, Command::Say(_))), "{name}");
        }
    }
}
