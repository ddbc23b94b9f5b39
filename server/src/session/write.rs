//! The half of an attachment that writes: from the cursor to the stream, as fast as the client reads.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::channel::ChannelDown;
use suda_schema::{CloseCode, Seq};
use tokio::time::{Instant, Sleep};

use super::session::{Session, closing};
use crate::channel::{Attachment, Ended, News, Out};
use crate::link::StreamWriter;

/// How many frames go to the stream in one call.
const FRAMES_AT_ONCE: usize = 4;

/// An attachment and the stream it writes to.
pub(super) struct AttachmentWriter {
    session: Arc<Session>,
    attachment: Attachment,
    writer: StreamWriter,
}

/// Why writing stopped.
pub(super) enum Stopped {
    /// The attachment ended.
    Ended(Ended),
    /// The client has read nothing for too long.
    TooSlow,
    /// The stream or the link is gone.
    Gone,
}

impl AttachmentWriter {
    pub(super) fn new(session: Arc<Session>, attachment: Attachment, writer: StreamWriter) -> Self {
        Self { session, attachment, writer }
    }

    /// The last entry that was handed to the stream.
    pub(super) fn cursor(&self) -> Seq {
        self.attachment.cursor()
    }

    /// Writes these first, and then whatever the attachment has.
    pub(super) async fn run(&mut self, mut first: [Bytes; 2]) -> Stopped {
        if let Err(stopped) = self.write(&mut first).await {
            return stopped;
        }
        loop {
            let mut frames = [const { Bytes::new() }; FRAMES_AT_ONCE];
            let mut count = 0;
            let mut next = Some(self.attachment.next().await);
            let mut ended = None;
            while let Some(out) = next.take() {
                if let (Some(frame), Some(place)) = (self.frame_of(out, &mut ended), frames.get_mut(count)) {
                    *place = frame;
                    count += 1;
                }
                if ended.is_none() && count < FRAMES_AT_ONCE {
                    next = self.attachment.try_next();
                }
            }
            if let Some(ended) = ended {
                return Stopped::Ended(ended);
            }
            // What is held in memory may be old news on a node that others may have taken for dead.
            if !self.session.node.chat.peers().is_current()
                && let Err(stopped) = self.wait_until_current().await
            {
                return stopped;
            }
            if let Err(stopped) = self.write(frames.get_mut(..count).unwrap_or_default()).await {
                return stopped;
            }
            // A reader that is never behind for lack of room must not keep others from running.
            tokio::task::consume_budget().await;
        }
    }

    async fn wait_until_current(&mut self) -> Result<(), Stopped> {
        let mut current = self.session.node.chat.peers().current();
        poll_fn(|cx| match self.attachment.poll_ended(cx) {
            Poll::Ready(ended) => Poll::Ready(Err(Stopped::Ended(ended))),
            Poll::Pending => current.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// The frame that says it; none for what is not for this client, or went another way.
    fn frame_of(&self, out: Out, ended: &mut Option<Ended>) -> Option<Bytes> {
        match out {
            Out::Frame(frame) => Some(frame),
            Out::News(news) => self.news(&news),
            Out::Ended(end) => {
                *ended = Some(end);
                None
            }
        }
    }

    fn news(&self, news: &News) -> Option<Bytes> {
        if let Some(typist) = news.typist() {
            if !self.session.listening.wants_typing_of(typist) {
                return None;
            }
            let link = &self.session.link;
            if link.datagram_bytes_max() > 0
                && let Some(body) = news.datagram()
                && link.send_datagram(body).is_ok()
            {
                return None;
            }
        }
        Some(news.frame(self.session.codec))
    }

    /// Writes all of them, as the client reads.
    async fn write(&mut self, frames: &mut [Bytes]) -> Result<(), Stopped> {
        let limit = Duration::from_millis(self.session.node.config.stuck_ms);
        let mut patience = Patience { limit, left: usize::MAX, sleep: None };
        poll_fn(|cx| match self.writer.poll_write(cx, frames) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Stopped::Gone)),
            Poll::Pending => {
                if let Poll::Ready(ended) = self.attachment.poll_ended(cx) {
                    return Poll::Ready(Err(Stopped::Ended(ended)));
                }
                patience.poll(cx, frames.iter().map(Bytes::len).sum()).map(|()| Err(Stopped::TooSlow))
            }
        })
        .await
    }

    /// Says why it is over. Sends that were read before the client closed its half are still answered.
    pub(super) async fn say_goodbye(&mut self, ended: &Ended) {
        let within = Duration::from_millis(self.session.node.config.closing_ms);
        let said = async {
            if ended.code == CloseCode::DETACHED {
                while let Some(answers) = self.attachment.last_answers().await {
                    if self.writer.write(answers).await.is_err() {
                        return false;
                    }
                }
            }
            let frame = self.session.encode(&ChannelDown::Closed(closing(ended)));
            self.writer.write(frame).await.is_ok()
        };
        if matches!(tokio::time::timeout(within, said).await, Ok(true)) {
            self.writer.finish();
        } else {
            self.reset(ended.code);
        }
    }

    /// Gives the stream up.
    pub(super) fn reset(&mut self, code: CloseCode) {
        self.writer.reset(code);
    }
}

/// How long a client has been reading nothing. Costs nothing before the first time that it does not read at once.
struct Patience {
    limit: Duration,
    left: usize,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn poll(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<()> {
        let progress = left < self.left;
        self.left = left;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if progress {
            sleep.as_mut().reset(Instant::now() + self.limit);
        }
        sleep.as_mut().poll(cx)
    }
}
