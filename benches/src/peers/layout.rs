//! Who is in which channel.

use std::ops::Range;

/// How many hear each message of the fan-out.
pub(crate) const READERS: usize = 1_000;
const GROUPS: usize = 500;
const GROUP_SIZE: usize = 4;
pub(crate) const WRITERS: usize = 64;

/// Who is in which channel: channels have people whose numbers follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// One channel of many. The first of them speaks.
    FanOut,
    /// Many groups of a few, who all speak.
    Groups,
    /// Each in a channel of its own.
    Apart,
}

/// Somebody's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) layout: Layout,
    /// Whose.
    pub(crate) number: usize,
    pub(crate) channel: usize,
    /// Whether what is said there is to come.
    pub(crate) listens: bool,
    /// Whether what is said from there is to be acknowledged, where that is not a matter of course.
    pub(crate) is_acked: bool,
}

impl Layout {
    /// How many people it takes at most.
    pub(crate) const PEOPLE: usize = GROUPS * GROUP_SIZE;

    /// Who is in each channel.
    pub(crate) fn channels(self) -> Vec<Range<usize>> {
        let (channels, size) = match self {
            Self::FanOut => (1, READERS + 1),
            Self::Groups => (GROUPS, GROUP_SIZE),
            Self::Apart => (WRITERS, 1),
        };
        (0..channels).map(|channel| channel * size..(channel + 1) * size).collect()
    }

    /// How many in each channel speak.
    pub(crate) fn senders(self) -> usize {
        if self == Self::Groups { GROUP_SIZE } else { 1 }
    }

    /// How many hear a message.
    pub(crate) fn hearers(self) -> usize {
        match self {
            Self::FanOut => READERS,
            Self::Groups => GROUP_SIZE,
            Self::Apart => 0,
        }
    }

    /// All places, channel by channel.
    pub(crate) fn seats(self) -> Vec<Seat> {
        let seat = |(channel, people): (usize, Range<usize>)| {
            people.enumerate().map(move |(position, number)| Seat {
                layout: self,
                number,
                channel,
                listens: self == Self::Groups || self == Self::FanOut && position > 0,
                is_acked: self == Self::Apart,
            })
        };
        self.channels().into_iter().enumerate().flat_map(seat).collect()
    }
}
