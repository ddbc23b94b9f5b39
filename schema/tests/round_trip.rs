//! Any value comes back as it was, through both codecs.

mod support;

use proptest::prelude::*;
use suda_schema::channel::{ChannelDown, Entries, HistoryPage};
use suda_schema::codec::{Decoded, binary, json};
use suda_schema::entry::Entry;
use support::strategies as any;
use support::targets::Wire;

fn comes_back<F: Wire>(frame: &F) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    binary::encode(frame, &mut bytes);
    let len = bytes.len();
    bytes.extend_from_slice(b"the next frame");
    prop_assert_eq!(binary::decode::<F>(&bytes, len), Ok(Some((Decoded::Frame(frame.clone()), len))));
    prop_assert_eq!(binary::decode::<F>(&bytes[..len - 1], len), Ok(None));
    prop_assert_eq!(json::decode::<F>(&json::encode(frame)), Ok(Decoded::Frame(frame.clone())));
    Ok(())
}

proptest! {
    #[test]
    fn open(frame in any::open()) {
        comes_back(&frame)?;
    }
    #[test]
    fn control_up(frame in any::control_up()) {
        comes_back(&frame)?;
    }
    #[test]
    fn control_down(frame in any::control_down()) {
        comes_back(&frame)?;
    }
    #[test]
    fn channel_up(frame in any::channel_up()) {
        comes_back(&frame)?;
    }
    #[test]
    fn channel_down(frame in any::channel_down()) {
        comes_back(&frame)?;
    }
    #[test]
    fn datagram_up(frame in any::datagram_up()) {
        comes_back(&frame)?;
    }
    #[test]
    fn datagram_down(frame in any::datagram_down()) {
        comes_back(&frame)?;
    }
    #[test]
    fn op(value in any::op()) {
        comes_back(&value)?;
    }
    #[test]
    fn body(value in any::body()) {
        comes_back(&value)?;
    }
    #[test]
    fn what(value in any::what()) {
        comes_back(&value)?;
    }
    #[test]
    fn user_event(value in any::user_event()) {
        comes_back(&value)?;
    }

    /// What fan-out sends is what encoding the frame would have made.
    #[test]
    fn frames_from_encoded_entries(
        entries in any::entries(), request: u32, more_before: bool, more_after: bool, junk: Vec<u8>
    ) {
        let encoded: Vec<Vec<u8>> = entries.iter().map(stored).collect();
        let rows = || encoded.iter().map(Vec::as_slice);
        let (mut put_together, mut whole) = (junk.clone(), junk);

        binary::encode_list(ChannelDown::ENTRIES, rows(), &mut put_together);
        binary::encode(&ChannelDown::Entries(Entries { entries: entries.clone() }), &mut whole);
        prop_assert_eq!(&put_together, &whole);

        let after = (more_before, more_after);
        binary::encode_around_list(ChannelDown::HISTORY, &request, rows(), &after, &mut put_together);
        let page = HistoryPage { request, entries: entries.clone(), more_before, more_after };
        binary::encode(&ChannelDown::History(page), &mut whole);
        prop_assert_eq!(&put_together, &whole);

        let texts: Vec<String> = entries.iter().map(json::encode).collect();
        let put_together = json::encode_list("entries", "entries", texts.iter().map(String::as_str));
        prop_assert_eq!(put_together, json::encode(&ChannelDown::Entries(Entries { entries })));
    }

    /// A row of the log is read back from the front of what holds it.
    #[test]
    fn stored_entries(entry in any::entry()) {
        let mut row = stored(&entry);
        row.push(7);
        prop_assert_eq!(binary::take_value::<Entry>(&row), Ok((entry, &[7][..])));
    }
}

fn stored(entry: &Entry) -> Vec<u8> {
    let mut row = Vec::new();
    binary::put_value(entry, &mut row);
    row
}
