//! What JavaScript reads: effects, events and timelines, as JSON in the wire's own form.

use serde::{Serialize, Serializer};
use suda_client::core::io::{Candidate, Effect, Event, Failure, Kind, Outcome, Status, Stopped};
use suda_client::core::timeline::{Delivery, Item, Update};
use suda_schema::channel::HistoryPage;
use suda_schema::control::Presence;
use suda_schema::entry::{Entry, What};
use suda_schema::error::Retry;
use suda_schema::event::UserEntry;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, ErrorCode, Seq, UserId, WireError};

/// As JSON. Everything said here can be written, so what can't be is empty.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Why something did not work.
#[derive(Debug, Serialize)]
pub struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    message: String,
    retry: &'static str,
    retry_after_ms: Option<u64>,
}

/// The word for it.
#[must_use]
pub fn retry(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "never",
        Retry::Later => "later",
        Retry::AfterFix => "after-fix",
    }
}

impl From<WireError> for Said {
    fn from(error: WireError) -> Self {
        let WireError { code, message, retry_after_ms } = error;
        Self { code: Some(code), message, retry: retry(code.retry()), retry_after_ms }
    }
}

impl From<Failure> for Said {
    fn from(failure: Failure) -> Self {
        let Failure { retry: can, retry_after_ms, message, refused } = failure;
        match refused {
            Some(error) => error.into(),
            None => Self { code: None, message, retry: retry(can), retry_after_ms },
        }
    }
}

/// An effect that the core asks for.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Do {
    /// Ask where to connect.
    Discover,
    /// Connect.
    Dial {
        /// The link's number.
        link: u64,
        /// Where.
        candidate: Candidate,
    },
    /// Close a link.
    Close {
        /// Which.
        link: u64,
        /// Why.
        code: u16,
    },
    /// Get another token.
    RefreshToken,
}

impl Do {
    /// What JavaScript is to do; `None` for what this version does not know.
    #[must_use]
    pub fn new(effect: Effect) -> Option<Self> {
        Some(match effect {
            Effect::Discover => Self::Discover,
            Effect::Dial { link, candidate } => Self::Dial { link: link.0, candidate },
            Effect::Close { link, code } => Self::Close { link: link.0, code: code.0 },
            Effect::RefreshToken => Self::RefreshToken,
            _ => return None,
        })
    }
}

/// An event.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are the core's, which has them documented")]
pub enum Heard {
    Status { status: Link },
    ChannelList,
    Channel { channel: ChannelId },
    ChannelGone { channel: ChannelId },
    Sent { channel: ChannelId, id: ClientMsgId, seq: Option<Seq>, at_ms: Option<u64>, error: Option<Said> },
    History { request: u32, page: Option<HistoryPage>, error: Option<Said> },
    Presence { request: Option<u32>, users: Vec<Presence>, error: Option<Said> },
    User { entry: UserEntry },
    Welcome { user: UserId, device: DeviceId },
    StorageFailed { message: String },
    Missed,
    Unknown,
}

/// How the link is.
#[derive(Debug, Serialize)]
#[serde(tag = "s", rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are the core's, which has them documented")]
pub enum Link {
    Connecting,
    Waiting { until_ms: u64 },
    Online { kind: Kind, node: u16 },
    Stalled { kind: Kind },
    Stopped { why: &'static str, code: Option<u16> },
}

impl From<Status> for Link {
    fn from(status: Status) -> Self {
        match status {
            Status::Waiting { until_ms } => Self::Waiting { until_ms },
            Status::Online { kind, node } => Self::Online { kind, node },
            Status::Stalled { kind } => Self::Stalled { kind },
            Status::Stopped(Stopped::LoggedOut) => Self::Stopped { why: "revoked", code: None },
            Status::Stopped(Stopped::Replaced) => Self::Stopped { why: "replaced", code: None },
            Status::Stopped(Stopped::Closed(code)) => Self::Stopped { why: "refused", code: Some(code.0) },
            Status::Stopped(_) => Self::Stopped { why: "logged-out", code: None },
            _ => Self::Connecting,
        }
    }
}

impl From<Event> for Heard {
    fn from(event: Event) -> Self {
        match event {
            Event::Status(status) => Self::Status { status: status.into() },
            Event::ChannelList => Self::ChannelList,
            Event::Channel(channel) => Self::Channel { channel },
            Event::ChannelGone(channel) => Self::ChannelGone { channel },
            Event::Sent { channel, id, outcome: Outcome::Acknowledged { seq, at_ms } } => {
                Self::Sent { channel, id, seq: Some(seq), at_ms: Some(at_ms), error: None }
            }
            Event::Sent { channel, id, outcome: Outcome::Refused(error) } => {
                Self::Sent { channel, id, seq: None, at_ms: None, error: Some(error.into()) }
            }
            Event::History { request, page } => match page {
                Ok(page) => Self::History { request: request.0, page: Some(page), error: None },
                Err(failure) => Self::History { request: request.0, page: None, error: Some(failure.into()) },
            },
            Event::Presence { request, users } => {
                let request = request.map(|request| request.0);
                match users {
                    Ok(users) => Self::Presence { request, users, error: None },
                    Err(failure) => Self::Presence { request, users: Vec::new(), error: Some(failure.into()) },
                }
            }
            Event::User(entry) => Self::User { entry },
            Event::Welcome { user, device } => Self::Welcome { user, device },
            Event::StorageFailed(message) => Self::StorageFailed { message },
            Event::Missed => Self::Missed,
            _ => Self::Unknown,
        }
    }
}

/// A timeline, or what changed of one.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    version: u64,
    /// The first seq that is held, and the one that comes next.
    first: Seq,
    next: Seq,
    reset: bool,
    items: Vec<ShownItem<'a>>,
    removed: &'a [ClientMsgId],
}

#[derive(Debug, Serialize)]
struct ShownItem<'a> {
    seq: Option<Seq>,
    id: Option<ClientMsgId>,
    by: UserId,
    at_ms: u64,
    what: &'a What,
    #[serde(serialize_with = "delivery")]
    delivery: Delivery,
    changing: bool,
}

fn delivery<S: Serializer>(delivery: &Delivery, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match delivery {
        Delivery::Waiting => "waiting",
        Delivery::Sending => "sending",
        _ => "sent",
    })
}

impl<'a> Shown<'a> {
    /// What the core gave, and between which seqs it holds the log.
    #[must_use]
    pub fn new(version: u64, update: &'a Update, first: Seq, next: Seq) -> Self {
        let item = |item: &'a Item| ShownItem {
            seq: item.seq,
            id: item.id,
            by: item.by,
            at_ms: item.at_ms,
            what: &item.what,
            delivery: item.delivery,
            changing: item.changing,
        };
        let items = update.items.iter().map(item).collect();
        Self { version, first, next, reset: update.reset, items, removed: &update.removed }
    }
}

/// Entries of a log, as they are.
#[must_use]
pub fn entries(entries: &[Entry]) -> String {
    json(entries)
}

#[cfg(test)]
mod tests {
    use suda_client::core::io::{LinkId, RequestId};
    use suda_schema::CloseCode;

    use super::*;

    #[test]
    fn what_javascript_reads() {
        let candidate = Candidate {
            node: 7,
            kind: Kind::WebTransport,
            url: "https://a/connect".to_owned(),
            certificate_hashes: vec![[7; 32]],
        };
        let dial = json(&Do::new(Effect::Dial { link: LinkId(3), candidate }).unwrap());
        assert!(
            dial.starts_with(r#"{"t":"dial","link":3,"candidate":{"kind":"webtransport","url":"https://a/connect","#)
        );
        let close = Do::new(Effect::Close { link: LinkId(3), code: CloseCode::IDLE }).unwrap();
        assert_eq!(json(&close), r#"{"t":"close","link":3,"code":4002}"#);
        let status = Heard::from(Event::Status(Status::Online { kind: Kind::WebSocket, node: 4 }));
        assert_eq!(json(&status), r#"{"t":"status","status":{"s":"online","kind":"websocket","node":4}}"#);
        let error = WireError::new(ErrorCode::FORBIDDEN, "no");
        let outcome = Outcome::Refused(error.clone());
        let sent = Heard::from(Event::Sent { channel: ChannelId(1), id: ClientMsgId([0; 16]), outcome });
        assert!(
            json(&sent)
                .contains(r#""error":{"code":"forbidden","message":"no","retry":"never","retry_after_ms":null}"#)
        );
        let page = Err(Failure::refused(error));
        let history = Heard::from(Event::History { request: RequestId(2), page });
        assert!(json(&history).starts_with(r#"{"t":"history","request":2,"page":null,"error":{"code":"forbidden""#));
        assert_eq!(json(&Heard::from(Event::ChannelList)), r#"{"t":"channel_list"}"#);
    }
}
