//! Writes the fuzz targets' seeds: `cargo run -p suda-schema --example fuzz_seeds -- schema/fuzz/corpus`.

use std::io;
use std::path::Path;

use suda_schema::channel::{ChannelDown, ChannelUp, DatagramDown, DatagramUp};
use suda_schema::control::{ControlDown, ControlUp};
use suda_schema::open::Open;

#[path = "../tests/support/mod.rs"]
mod support;

use support::seeds;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("say where to"))?;
    let write = |target: &str, seeds: Vec<Vec<u8>>| write(&Path::new(&folder).join(target), &seeds);
    write("binary_open", seeds::binary::<Open>())?;
    write("binary_control_up", seeds::binary::<ControlUp>())?;
    write("binary_control_down", seeds::binary::<ControlDown>())?;
    write("binary_channel_up", seeds::binary::<ChannelUp>())?;
    write("binary_channel_down", seeds::binary::<ChannelDown>())?;
    write("binary_datagram_up", seeds::binary::<DatagramUp>())?;
    write("binary_datagram_down", seeds::binary::<DatagramDown>())?;
    write("json_frames", seeds::json_frames())?;
    write("json_message", seeds::json_messages())?;
    write("mux_message", seeds::mux_messages())
}

fn write(folder: &Path, seeds: &[Vec<u8>]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (at, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at}")), seed)?;
    }
    Ok(())
}
