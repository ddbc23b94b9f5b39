//! What JavaScript calls. Numbers of links and streams are whole numbers below 2⁵³, times are milliseconds, and both cross
//! as JavaScript's own numbers; ids cross as their text. What goes in goes in field by field: a reader of JSON would be a
//! sixth of the module.

#![expect(
    clippy::too_many_arguments,
    clippy::needless_pass_by_value,
    reason = "these are calls from JavaScript: what is given is copied in, and an object for it would have to be freed"
)]

use std::str::FromStr;

use js_sys::{Array, Uint8Array};
use suda_client::core::Core;
use suda_client::core::config::Config;
use suda_client::core::io::{Candidate, Failure, Kind, LinkId, Piece, StreamId, Token, Transmit};
use suda_client::core::mux;
use suda_client::core::outbox::SendError;
use suda_schema::channel::{HistoryAt, NewEdit, NewMessage, Op};
use suda_schema::entry::{Body, Delete, React, Role};
use suda_schema::error::Retry;
use suda_schema::open::Activity;
use suda_schema::summary::{ChannelKind, ChannelSummary, Mute, Preview};
use suda_schema::{ChannelId, ClientMsgId, CloseCode, DeviceId, Seq, UserId};
use wasm_bindgen::prelude::{JsError, JsValue, wasm_bindgen};

use crate::say::{Do, Heard, Link, Shown, json};
use crate::store::{Shelf, Write};

/// The core, and what it wants to be kept.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    core: Core,
    shelf: Shelf,
    /// Of discovery's answer, what has been told so far.
    candidates: Vec<Candidate>,
}

/// Something from JavaScript that is not what it should be: a mistake in `js/`, not the app's.
fn wrong(what: &str) -> JsError {
    JsError::new(what)
}

fn id<T: FromStr>(text: &str) -> Result<T, JsError> {
    text.parse().map_err(|_| wrong("not an id"))
}

/// Ids with commas between them.
fn ids<T: FromStr>(text: &str) -> Result<Vec<T>, JsError> {
    text.split(',').filter(|part| !part.is_empty()).map(id).collect()
}

fn kind(name: &str) -> Result<Kind, JsError> {
    match name {
        "webtransport" => Ok(Kind::WebTransport),
        "websocket" => Ok(Kind::WebSocket),
        _ => Err(wrong("not a transport")),
    }
}

/// A place in a log, as the wire names it.
fn place(name: &str, value: f64) -> Result<HistoryAt, JsError> {
    Ok(match name {
        "before" => HistoryAt::Before(Seq(whole(value))),
        "after" => HistoryAt::After(Seq(whole(value))),
        "around" => HistoryAt::Around(Seq(whole(value))),
        "unread" => HistoryAt::Unread,
        "time" => HistoryAt::Time(whole(value)),
        "newest" => HistoryAt::Newest,
        _ => return Err(wrong("not a place")),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::cast_precision_loss, reason = "no number of ours reaches 2⁵³")]
fn number(whole: u64) -> f64 {
    whole as f64
}

fn bytes_of(value: &JsValue) -> Vec<u8> {
    Uint8Array::new(value).to_vec()
}

#[wasm_bindgen]
impl Engine {
    /// A client that does not connect yet. `seed` is from the system's randomness. `state` and `outbox` (in order) are what
    /// was kept; `order` is the highest place in the outbox.
    #[wasm_bindgen(constructor)]
    pub fn new(
        now_ms: f64,
        seed: u64,
        client_name: String,
        transports: &str,
        keeps: bool,
        state: Option<Vec<u8>>,
        outbox: &Array,
        order: f64,
    ) -> Result<Engine, JsError> {
        crate::panics::install();
        let outbox: Vec<Vec<u8>> = outbox.iter().map(|value| bytes_of(&value)).collect();
        let shelf = Shelf::new(keeps, state.as_deref(), &outbox, whole(order));
        let mut config = Config::default();
        config.client_name = client_name;
        config.transports = transports.split(',').map(kind).collect::<Result<_, _>>()?;
        let core = Core::new(config, Box::new(shelf.clone()), Token::default(), seed, whole(now_ms));
        Ok(Self { core, shelf, candidates: Vec::new() })
    }

    // ---- what has happened

    /// Lets time pass.
    pub fn tick(&mut self, now_ms: f64) {
        self.core.tick(whole(now_ms));
    }

    /// When something is due next.
    pub fn timeout(&self, now_ms: f64) -> Option<f64> {
        self.core.timeout(whole(now_ms)).map(number)
    }

    /// Connects.
    pub fn connect(&mut self, now_ms: f64) {
        self.core.connect(whole(now_ms));
    }

    /// Closes what there is.
    pub fn disconnect(&mut self, now_ms: f64) {
        self.core.disconnect(whole(now_ms));
    }

    /// The network is another one, or the device has slept.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&mut self, now_ms: f64) {
        self.core.network_changed(whole(now_ms));
    }

    /// Tries now.
    #[wasm_bindgen(js_name = retryNow)]
    pub fn retry_now(&mut self, now_ms: f64) {
        self.core.retry_now(whole(now_ms));
    }

    /// Whether somebody looks.
    #[wasm_bindgen(js_name = setActive)]
    pub fn set_active(&mut self, now_ms: f64, active: bool) {
        self.core.set_activity(whole(now_ms), if active { Activity::Active } else { Activity::Idle });
    }

    /// A place to connect to, of which node. `hashes`: those of certificates, one after the other.
    pub fn candidate(&mut self, node: u16, name: &str, url: String, hashes: &[u8]) -> Result<(), JsError> {
        let certificate_hashes = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
        self.candidates.push(Candidate { kind: kind(name)?, url, certificate_hashes, node });
        Ok(())
    }

    /// That was all of them.
    pub fn discovered(&mut self, now_ms: f64) {
        let candidates = std::mem::take(&mut self.candidates);
        self.core.discovered(whole(now_ms), Ok(candidates));
    }

    /// Why that is not known.
    #[wasm_bindgen(js_name = discoverFailed)]
    pub fn discover_failed(&mut self, now_ms: f64, message: &str, retry_after_ms: Option<f64>) {
        let failure = Failure { retry_after_ms: retry_after_ms.map(whole), ..Failure::later(message) };
        self.core.discovered(whole(now_ms), Err(failure));
    }

    /// A link stands.
    pub fn dialed(&mut self, now_ms: f64, link: f64) {
        self.core.dialed(whole(now_ms), LinkId(whole(link)));
    }

    /// A link is over, or never came to be.
    pub fn ended(&mut self, now_ms: f64, link: f64, code: Option<u16>) {
        self.core.link_ended(whole(now_ms), LinkId(whole(link)), code.map(CloseCode));
    }

    /// Bytes came on a stream.
    pub fn received(&mut self, now_ms: f64, link: f64, stream: u32, bytes: Vec<u8>) {
        self.core.received(whole(now_ms), LinkId(whole(link)), StreamId(stream), &Piece::Data(bytes.into()));
    }

    /// The other side is done with a stream, or (with a code) has given it up.
    #[wasm_bindgen(js_name = streamEnded)]
    pub fn stream_ended(&mut self, now_ms: f64, link: f64, stream: u32, reset: Option<u16>) {
        let piece = reset.map_or(Piece::Fin, |code| Piece::Reset(CloseCode(code)));
        self.core.received(whole(now_ms), LinkId(whole(link)), StreamId(stream), &piece);
    }

    /// A datagram came.
    pub fn datagram(&mut self, now_ms: f64, link: f64, body: &[u8]) {
        self.core.datagram(whole(now_ms), LinkId(whole(link)), body);
    }

    /// A WebSocket message came. False: it is none of the protocol's.
    pub fn message(&mut self, now_ms: f64, link: f64, message: &[u8]) -> bool {
        let Ok(Transmit { stream, what }) = mux::decode(message) else { return false };
        self.core.received(whole(now_ms), LinkId(whole(link)), stream, &what);
        true
    }

    /// A fresh token.
    pub fn token(&mut self, now_ms: f64, access: String, expires_at_ms: f64) {
        let token = Token { access, expires_at_ms: whole(expires_at_ms) };
        self.core.token(whole(now_ms), Ok(token));
    }

    /// Why there is none. `lost`: there won't be one.
    #[wasm_bindgen(js_name = tokenFailed)]
    pub fn token_failed(&mut self, now_ms: f64, message: &str, lost: bool, retry_after_ms: Option<f64>) {
        let retry = if lost { Retry::AfterFix } else { Retry::Later };
        let failure = Failure { retry, retry_after_ms: retry_after_ms.map(whole), ..Failure::later(message) };
        self.core.token(whole(now_ms), Err(failure));
    }

    /// Somebody is logged in.
    #[wasm_bindgen(js_name = logIn)]
    pub fn log_in(
        &mut self,
        now_ms: f64,
        user: &str,
        device: &str,
        access: String,
        expires_at_ms: f64,
    ) -> Result<(), JsError> {
        let token = Token { access, expires_at_ms: whole(expires_at_ms) };
        self.core.log_in(whole(now_ms), id::<UserId>(user)?, id::<DeviceId>(device)?, token);
        Ok(())
    }

    /// Nobody is.
    #[wasm_bindgen(js_name = logOut)]
    pub fn log_out(&mut self, now_ms: f64) {
        self.core.log_out(whole(now_ms));
    }

    /// Keeps the small state now.
    pub fn save(&mut self) {
        self.core.save();
    }

    // ---- what to do

    /// The next thing to do, as JSON.
    #[wasm_bindgen(js_name = nextEffect)]
    pub fn next_effect(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.core.poll_effect()).find_map(Do::new).map(|effect| json(&effect))
    }

    /// The next event, as JSON.
    #[wasm_bindgen(js_name = nextEvent)]
    pub fn next_event(&mut self) -> Option<String> {
        self.core.poll_event().map(|event| json(&Heard::from(event)))
    }

    /// The next WebSocket message to write.
    #[wasm_bindgen(js_name = nextMessage)]
    pub fn next_message(&mut self, link: f64) -> Option<Vec<u8>> {
        let transmit = self.core.poll_transmit(LinkId(whole(link)), &mut |_| true)?;
        Some(mux::encode(&transmit))
    }

    /// The next thing to write on a stream that is not `full`: `[stream, bytes | close code | null for fin]`.
    #[wasm_bindgen(js_name = nextPiece)]
    pub fn next_piece(&mut self, link: f64, full: &[u32]) -> Option<Array> {
        let transmit = self.core.poll_transmit(LinkId(whole(link)), &mut |stream| !full.contains(&stream.0))?;
        let what = match transmit.what {
            Piece::Data(bytes) => Uint8Array::from(bytes.as_ref()).into(),
            Piece::Fin => JsValue::NULL,
            Piece::Reset(code) => JsValue::from(code.0),
        };
        Some(Array::of2(&transmit.stream.0.into(), &what))
    }

    /// The next thing to keep: `[what, …]`.
    #[wasm_bindgen(js_name = nextWrite)]
    pub fn next_write(&mut self) -> Option<Array> {
        let bytes = |bytes: Vec<u8>| -> JsValue { Uint8Array::from(bytes.as_slice()).into() };
        let text = |text: String| JsValue::from(text);
        Some(match self.shelf.next_write()? {
            Write::Entry(channel, seq, entry) => {
                Array::of4(&"entry".into(), &text(channel.to_string()), &number(seq.0).into(), &bytes(entry))
            }
            Write::Forget(channel) => Array::of2(&"forget".into(), &text(channel.to_string())),
            Write::State(state) => Array::of2(&"state".into(), &bytes(state)),
            Write::Outbox(id, order, pending) => {
                Array::of4(&"outbox".into(), &text(id.to_string()), &number(order).into(), &bytes(pending))
            }
            Write::Answered(id) => Array::of2(&"answered".into(), &text(id.to_string())),
            Write::Clear => Array::of1(&"clear".into()),
        })
    }

    // ---- what there is

    /// How the link is, as JSON.
    pub fn status(&self) -> String {
        json(&Link::from(self.core.status()))
    }

    /// Whose it all is; nothing if nobody's.
    pub fn user(&self) -> Option<String> {
        (self.core.user() != UserId::default()).then(|| self.core.user().to_string())
    }

    /// How many sends wait.
    #[wasm_bindgen(js_name = outboxSize)]
    pub fn outbox_size(&self) -> usize {
        self.core.outbox_len()
    }

    /// The list of channels, as JSON.
    pub fn channels(&self) -> String {
        json(&self.core.channels())
    }

    /// Whether that is all of them.
    #[wasm_bindgen(js_name = isComplete)]
    pub fn is_complete(&self) -> bool {
        self.core.is_complete()
    }

    /// What a channel shows, since a version or at all, as JSON.
    pub fn timeline(&self, channel: &str, since: Option<f64>) -> Result<Option<String>, JsError> {
        let channel = id::<ChannelId>(channel)?;
        let shown = self.core.timeline(channel, since.map(whole)).zip(self.core.log(channel));
        Ok(shown.map(|((version, update), log)| json(&Shown::new(version, &update, log.first(), log.next()))))
    }

    /// Entries after a seq that are held, as JSON.
    pub fn entries(&self, channel: &str, after: f64, most: usize) -> Result<Option<String>, JsError> {
        let entries = self.core.entries(id(channel)?, Seq(whole(after)), most);
        Ok(entries.map(|entries| json(&entries)))
    }

    /// How far the members have got, as JSON.
    pub fn marks(&self, channel: &str) -> Result<String, JsError> {
        Ok(json(&self.core.marks(id(channel)?)))
    }

    /// Who types, as JSON.
    pub fn typing(&self, channel: &str) -> Result<String, JsError> {
        Ok(json(&self.core.typing_in(id(channel)?)))
    }

    // ---- what the user does

    /// What was kept of a channel, before it is opened for the first time.
    #[wasm_bindgen(js_name = layOut)]
    pub fn lay_out(&mut self, channel: &str, entries: &Array) -> Result<(), JsError> {
        let entries: Vec<Vec<u8>> = entries.iter().map(|value| bytes_of(&value)).collect();
        self.shelf.lay_out(id(channel)?, entries.iter().map(Vec::as_slice));
        Ok(())
    }

    /// Looks at a channel.
    pub fn open(&mut self, now_ms: f64, channel: &str) -> Result<(), JsError> {
        self.core.open(whole(now_ms), id(channel)?);
        Ok(())
    }

    /// Does not look at it any more.
    pub fn close(&mut self, now_ms: f64, channel: &str) -> Result<(), JsError> {
        self.core.close(whole(now_ms), id(channel)?);
        Ok(())
    }

    /// Sends a message under an id. What comes back is why it was not taken.
    #[wasm_bindgen(js_name = sendMessage)]
    pub fn send_message(
        &mut self,
        now_ms: f64,
        channel: &str,
        msg: &str,
        text: String,
        mentions: &str,
        reply_to: Option<f64>,
    ) -> Result<Option<String>, JsError> {
        let reply_to = reply_to.map(|seq| Seq(whole(seq)));
        let (body, mentions) = (Body::Text(text), ids(mentions)?);
        let message = NewMessage { body, reply_to, mentions, attachments: Vec::new() };
        self.send(now_ms, channel, msg, Op::Message(message))
    }

    /// The same for another text of one's own message.
    #[wasm_bindgen(js_name = sendEdit)]
    pub fn send_edit(
        &mut self,
        now_ms: f64,
        channel: &str,
        msg: &str,
        target: f64,
        text: String,
        mentions: &str,
    ) -> Result<Option<String>, JsError> {
        let edit = NewEdit { target: Seq(whole(target)), body: Body::Text(text), mentions: ids(mentions)? };
        self.send(now_ms, channel, msg, Op::Edit(edit))
    }

    /// The same for a deletion.
    #[wasm_bindgen(js_name = sendDelete)]
    pub fn send_delete(
        &mut self,
        now_ms: f64,
        channel: &str,
        msg: &str,
        target: f64,
    ) -> Result<Option<String>, JsError> {
        self.send(now_ms, channel, msg, Op::Delete(Delete { target: Seq(whole(target)) }))
    }

    /// The same for a reaction.
    #[wasm_bindgen(js_name = sendReact)]
    pub fn send_react(
        &mut self,
        now_ms: f64,
        channel: &str,
        msg: &str,
        target: f64,
        emoji: String,
        on: bool,
    ) -> Result<Option<String>, JsError> {
        self.send(now_ms, channel, msg, Op::React(React { target: Seq(whole(target)), emoji, on }))
    }

    /// Takes back what has not gone out.
    #[wasm_bindgen(js_name = takeBack)]
    pub fn take_back(&mut self, now_ms: f64, channel: &str, msg: &str) -> Result<bool, JsError> {
        Ok(self.core.take_back(whole(now_ms), id(channel)?, id(msg)?))
    }

    /// The user has read so far.
    #[wasm_bindgen(js_name = markRead)]
    pub fn mark_read(&mut self, now_ms: f64, channel: &str, seq: f64) -> Result<(), JsError> {
        self.core.mark_read(whole(now_ms), id(channel)?, Seq(whole(seq)));
        Ok(())
    }

    /// The user types.
    #[wasm_bindgen(js_name = setTyping)]
    pub fn set_typing(&mut self, now_ms: f64, channel: &str, on: bool) -> Result<(), JsError> {
        self.core.set_typing(whole(now_ms), id(channel)?, on);
        Ok(())
    }

    /// Asks for the page before what is held. Nothing if there is none, or too many are asked for.
    #[wasm_bindgen(js_name = pageBack)]
    pub fn page_back(&mut self, now_ms: f64, channel: &str, limit: u16) -> Result<Option<u32>, JsError> {
        Ok(self.core.page_back(whole(now_ms), id(channel)?, limit).map(|request| request.0))
    }

    /// Asks for a page of history; `at` and `value` are as on the wire. Nothing if too many are asked for.
    pub fn history(
        &mut self,
        now_ms: f64,
        channel: &str,
        at: &str,
        value: f64,
        limit: u16,
        thread: Option<f64>,
    ) -> Result<Option<u32>, JsError> {
        let thread = thread.map(|seq| Seq(whole(seq)));
        let request = self.core.history(whole(now_ms), id(channel)?, place(at, value)?, limit, thread);
        Ok(request.map(|request| request.0))
    }

    /// Asks who is there; `users` has commas between ids. Nothing if too many are asked for.
    pub fn presence(&mut self, now_ms: f64, users: &str) -> Result<Option<u32>, JsError> {
        let users = ids::<UserId>(users)?;
        Ok(self.core.ask_presence_of(whole(now_ms), &users).map(|request| request.0))
    }

    /// A channel as the HTTP API has told of it. `numbers`: members, head, last_at_ms, read, unread, and of the preview seq
    /// and at_ms. `mute`: `off`, `mentions_only`, or a time.
    pub fn learn(
        &mut self,
        now_ms: f64,
        channel: &str,
        kind: &str,
        title: String,
        picture: Option<String>,
        peer: Option<String>,
        role: &str,
        mute: &str,
        numbers: &[f64],
        preview_by: Option<String>,
        preview_text: String,
    ) -> Result<(), JsError> {
        let &[members, head, last_at_ms, read, unread, preview_seq, preview_at_ms] = numbers else {
            return Err(wrong("not as many numbers"));
        };
        let kind = match kind {
            "direct" => ChannelKind::Direct,
            "group" => ChannelKind::Group,
            _ => ChannelKind::Broadcast,
        };
        let role = match role {
            "owner" => Role::Owner,
            "admin" => Role::Admin,
            "poster" => Role::Poster,
            _ => Role::Member,
        };
        let mute = match mute {
            "off" => Mute::Off,
            "mentions_only" => Mute::MentionsOnly,
            until => Mute::Until(until.parse().map_err(|_| wrong("not a time"))?),
        };
        let preview = match preview_by {
            Some(by) => Some(Preview {
                seq: Seq(whole(preview_seq)),
                by: id(&by)?,
                at_ms: whole(preview_at_ms),
                text: preview_text,
            }),
            None => None,
        };
        let summary = ChannelSummary {
            channel: id(channel)?,
            kind,
            title,
            picture: picture.as_deref().map(id).transpose()?,
            peer: peer.as_deref().map(id).transpose()?,
            role,
            members: u32::try_from(whole(members)).unwrap_or(u32::MAX),
            head: Seq(whole(head)),
            last_at_ms: whole(last_at_ms),
            read: Seq(whole(read)),
            unread: whole(unread),
            mute,
            preview,
        };
        self.core.learn(whole(now_ms), summary);
        Ok(())
    }
}

impl Engine {
    fn send(&mut self, now_ms: f64, channel: &str, msg: &str, op: Op) -> Result<Option<String>, JsError> {
        let (channel, msg) = (id::<ChannelId>(channel)?, id::<ClientMsgId>(msg)?);
        Ok(match self.core.send_as(whole(now_ms), channel, msg, op) {
            Ok(_) => None,
            Err(SendError::TooLarge { .. }) => Some("too_large".to_owned()),
            Err(_) => Some("outbox_full".to_owned()),
        })
    }
}
