//! The binary `suda`.

fn main() {}
