//! What idle links cost: so many are opened, then as many again, and the difference is theirs: what handshakes leave behind is
//! there from the first half. Then each gets some attachments.

use anyhow::{Context as _, Result};
use suda_benches::figures::Memory;
use suda_schema::ChannelId;
use suda_tests::client::Kind;

use crate::bare::{Bare, Mode};
use crate::world::{Joined, World, attach_all, open_all};
use suda_benches::usage::steady_bytes;

const ROUNDS: usize = 2;
/// So many, and then as many again.
pub(crate) const LINKS: usize = 250;
/// On each of them.
const ATTACHMENTS: usize = 4;
const KINDS: [(Kind, &str); 4] = [
    (Kind::Quic, "raw QUIC"),
    (Kind::WebTransport, "WebTransport"),
    (Kind::WebSocket, "WebSocket, TLS"),
    (Kind::Plain, "WebSocket, plain"),
];

pub(crate) async fn measure(world: &mut World) -> Result<Vec<Memory>> {
    let mut channels = Vec::new();
    for _ in 0..ATTACHMENTS {
        let members = world.people.get(..2 * LINKS).context("too few people")?;
        channels.push(world.channel("broadcast", members).await?);
    }
    let mut rows = Vec::new();
    for (kind, name) in KINDS {
        let mut row = Memory { transport: name.to_owned(), ..Memory::default() };
        for _ in 0..ROUNDS {
            let (link, attachment) = of_suda(world, kind, &channels).await?;
            row.link_kib.suda.push(link);
            row.attachment_kib.suda.push(attachment);
            let (link, stream) = of_bare(kind).await?;
            row.link_kib.bare.push(link);
            row.attachment_kib.bare.extend(stream);
        }
        eprintln!("{name}: {row:?}");
        rows.push(row);
    }
    Ok(rows)
}

/// KiB of a link, and of an attachment.
async fn of_suda(world: &mut World, kind: Kind, channels: &[ChannelId]) -> Result<(f64, f64)> {
    world.node.kill();
    world.node.restart().await;
    let pid = world.node.pid();
    let (first, second) = world.people.get(..2 * LINKS).context("too few people")?.split_at(LINKS);
    let mut links = world.connect(kind, first).await?;
    let half = steady_bytes(pid).await?;
    links.extend(world.connect(kind, second).await?);
    let all = steady_bytes(pid).await?;
    for &channel in channels {
        attach_all(&mut links, |_| channel).await?;
    }
    let attached = steady_bytes(pid).await?;
    Ok((each(half, all, LINKS), each(all, attached, 2 * LINKS * channels.len())))
}

/// KiB of a connection with one stream, and, where there can be more, of another stream.
async fn of_bare(kind: Kind) -> Result<(f64, Option<f64>)> {
    let bare = Bare::start(Mode::Echo)?;
    let mut links: Vec<Joined> = bare.join(kind, LINKS).await?;
    let half = steady_bytes(bare.pid()).await?;
    links.extend(bare.join(kind, LINKS).await?);
    let all = steady_bytes(bare.pid()).await?;
    if kind.is_websocket() {
        return Ok((each(half, all, LINKS), None));
    }
    for _ in 0..ATTACHMENTS {
        open_all(&mut links).await?;
    }
    let opened = steady_bytes(bare.pid()).await?;
    drop(links);
    Ok((each(half, all, LINKS), Some(each(all, opened, 2 * LINKS * ATTACHMENTS))))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵³ bytes")]
fn each(before: u64, after: u64, count: usize) -> f64 {
    (after as f64 - before as f64) / 1_024.0 / count as f64
}
