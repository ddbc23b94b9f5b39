//! The fuzz targets on a bounded number of inputs: every specimen as it is, then mutated from a seed.

mod support;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::seeds;
use support::targets;

/// Mutated inputs for each target.
const INPUTS: usize = 20_000;
const SEED: u64 = 0x5da_5eed;

/// Bytes at which decoders take turns: lengths, kinds, quotes, brackets, ends of numbers.
const INTERESTING: &[u8] = b"\x00\x01\x02\x7f\x80\xff\"\\{}[]:,0-e";

macro_rules! smoke {
    ($( $name:ident: $target:expr, $seeds:expr; )+) => {
        $( #[test] fn $name() { run($target, &$seeds); } )+
    };
}

smoke! {
    open: targets::binary_frames::<suda_schema::open::Open>, seeds::binary::<suda_schema::open::Open>();
    control_up: targets::binary_frames::<suda_schema::control::ControlUp>,
        seeds::binary::<suda_schema::control::ControlUp>();
    control_down: targets::binary_frames::<suda_schema::control::ControlDown>,
        seeds::binary::<suda_schema::control::ControlDown>();
    channel_up: targets::binary_frames::<suda_schema::channel::ChannelUp>,
        seeds::binary::<suda_schema::channel::ChannelUp>();
    channel_down: targets::binary_frames::<suda_schema::channel::ChannelDown>,
        seeds::binary::<suda_schema::channel::ChannelDown>();
    datagram_up: targets::binary_frames::<suda_schema::channel::DatagramUp>,
        seeds::binary::<suda_schema::channel::DatagramUp>();
    datagram_down: targets::binary_frames::<suda_schema::channel::DatagramDown>,
        seeds::binary::<suda_schema::channel::DatagramDown>();
    json_frames: targets::json_frames, seeds::json_frames();
    mux_message: targets::mux_message, seeds::mux_messages();
    json_message: targets::json_message, seeds::json_messages();
}

fn run(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| target(seed));
    let mut rng = StdRng::seed_from_u64(SEED);
    for at in 0..INPUTS {
        let mut input = pick(seeds, &mut rng).clone();
        for _ in 0..rng.random_range(1..6) {
            mutate(&mut input, seeds, &mut rng);
        }
        let outcome = std::panic::catch_unwind(|| target(&input));
        assert!(outcome.is_ok(), "input {at} of seed {SEED:#x}: {}", input.escape_ascii());
    }
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    let end = rng.random_range(at..=input.len());
    match rng.random_range(0..6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => input.insert(at, *pick(INTERESTING, rng)),
        3 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        4 if at < input.len() => input[at] = *pick(INTERESTING, rng),
        _ => {
            let other = pick(seeds, rng);
            let from = rng.random_range(0..=other.len());
            let to = rng.random_range(from..=other.len());
            drop(input.splice(at..end, other[from..to].iter().copied()));
        }
    }
}

fn pick<'a, T>(items: &'a [T], rng: &mut StdRng) -> &'a T {
    &items[rng.random_range(0..items.len())]
}
