//! What a frame costs to write and to read. The allocations are stated by a test of the schema's.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use suda_schema::channel::{ChannelDown, ChannelUp, Entries, NewMessage, Op, Send};
use suda_schema::codec::{binary, json};
use suda_schema::entry::{Body, Entry, Message, What};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::{Seq, samples};

const TEXT_BYTES: usize = 128;

fn codec(criterion: &mut Criterion) {
    let (send, entries) = (send(), entries());
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));

    let mut out = Vec::with_capacity(1024);
    group.bench_function("send_128/encode_postcard", |bencher| {
        bencher.iter(|| {
            out.clear();
            binary::encode(black_box(&send), &mut out);
        });
    });
    out.clear();
    binary::encode(&send, &mut out);
    group.bench_function("send_128/decode_postcard", |bencher| {
        bencher.iter(|| binary::decode::<ChannelUp>(black_box(&out), FRAME_BYTES_MAX));
    });
    group.bench_function("send_128/encode_json", |bencher| bencher.iter(|| json::encode(black_box(&send))));
    let text = json::encode(&send);
    group.bench_function("send_128/decode_json", |bencher| {
        bencher.iter(|| json::decode::<ChannelUp>(black_box(&text)));
    });

    out.clear();
    binary::encode(&entries, &mut out);
    group.bench_function("entries_128/decode_postcard", |bencher| {
        bencher.iter(|| binary::decode::<ChannelDown>(black_box(&out), FRAME_BYTES_MAX));
    });
    let mut row = Vec::new();
    binary::put_value(&entry(), &mut row);
    let mut frame = Vec::with_capacity(1024);
    group.bench_function("entries_128/from_encoded", |bencher| {
        bencher.iter(|| {
            frame.clear();
            binary::encode_list(ChannelDown::ENTRIES, [black_box(row.as_slice())].into_iter(), &mut frame);
        });
    });
    // What is possible: the same bytes, only copied.
    group.bench_function("bare/copy", |bencher| {
        bencher.iter(|| {
            frame.clear();
            frame.extend_from_slice(black_box(&out));
        });
    });
    group.finish();
}

fn text() -> Body {
    Body::Text("x".repeat(TEXT_BYTES))
}

fn send() -> ChannelUp {
    let message = NewMessage { body: text(), reply_to: None, mentions: Vec::new(), attachments: Vec::new() };
    ChannelUp::Send(Send { client_msg_id: samples::CLIENT_MSG_ID, op: Op::Message(message) })
}

fn entry() -> Entry {
    Entry {
        seq: Seq(1_042),
        at_ms: samples::AT_MS,
        by: samples::ALICE,
        client_msg_id: Some(samples::CLIENT_MSG_ID),
        what: What::Message(Message {
            body: text(),
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            edited: None,
            reactions: Vec::new(),
        }),
    }
}

fn entries() -> ChannelDown {
    ChannelDown::Entries(Entries { entries: vec![entry()] })
}

criterion_group!(benches, codec);
criterion_main!(benches);
