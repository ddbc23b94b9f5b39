//! What the app has not heard of yet, in bounded room.

use std::collections::{BTreeSet, VecDeque};

use suda_schema::ChannelId;

use super::config::EVENTS_MAX;
use super::io::{Event, Status};

/// Events in order; those that only say "look again" are there once.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    channels: BTreeSet<ChannelId>,
    list: bool,
    status: Option<Status>,
    missed: bool,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        match event {
            Event::Channel(channel) => {
                if self.channels.len() < EVENTS_MAX {
                    self.channels.insert(channel);
                } else {
                    self.missed = true;
                }
            }
            Event::ChannelList => self.list = true,
            Event::Status(status) => self.status = Some(status),
            event => {
                if self.queue.len() >= EVENTS_MAX {
                    self.queue.pop_front();
                    self.missed = true;
                }
                self.queue.push_back(event);
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.missed) {
            return Some(Event::Missed);
        }
        if let Some(status) = self.status.take() {
            return Some(Event::Status(status));
        }
        if let Some(event) = self.queue.pop_front() {
            return Some(event);
        }
        if std::mem::take(&mut self.list) {
            return Some(Event::ChannelList);
        }
        self.channels.pop_first().map(Event::Channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_again_is_said_once_and_too_much_is_said_to_be_too_much() {
        let mut events = Events::default();
        (0..10).for_each(|_| events.push(Event::Channel(ChannelId(1))));
        (0..EVENTS_MAX + 5).for_each(|_| events.push(Event::ChannelGone(ChannelId(2))));
        assert_eq!(events.pop(), Some(Event::Missed));
        let mut rest = Vec::new();
        while let Some(event) = events.pop() {
            rest.push(event);
        }
        assert_eq!(rest.len(), EVENTS_MAX + 1);
        assert_eq!(rest.last(), Some(&Event::Channel(ChannelId(1))));
    }
}
