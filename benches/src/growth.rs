//! The section about growth: plots of what one delivery costs as attachments grow, and one send as logs and channels do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use suda_benches::figures;

use crate::estimates::Estimate;
use crate::page::{Section, about};
use crate::plot::{self, Line};

const ABOUT: &str = "What one of many costs, as many become more. Each line is to be flat; *largest / smallest* says how far it is \
    from that. Fan-out is the hub's in process, with a reader task for each attachment and the store in memory: first with all that a \
    message costs shared out among its deliveries, then without what it costs when nobody listens. The reference is tokio's \
    broadcast channel. Sends are durable, on the embedded store, 64 on their way at once; entries are those that the channel has when \
    its measurement begins, and what is sent in it comes on top.";

/// How many sends are on their way at once, each with a share of what a round of them took.
const SENDS_AT_ONCE: f64 = 64.0;

struct Plot {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    lines: Vec<Line>,
}

/// The section, once its plots are written; none of it, if nothing was measured.
pub(crate) fn section(estimates: &BTreeMap<String, Estimate>, docs: &Path) -> Result<Section> {
    let plots = [fan_out(estimates), by_history(estimates), by_channels(estimates)];
    let mut body = about(ABOUT, &figures::commit());
    let mut drawn = 0;
    for Plot { file, title, x, y, lines } in &plots {
        let Some(svg) = plot::svg(title, x, y, lines) else { continue };
        let path = docs.join("plots").join(file);
        std::fs::create_dir_all(docs.join("plots"))?;
        std::fs::write(&path, svg).with_context(|| format!("can't write {}", path.display()))?;
        let _ = writeln!(body, "![{title}](plots/{file})\n\n{}", table(x, y, lines));
        drawn += 1;
    }
    Ok(Section { title: "Growth", body: (drawn > 0).then_some(body) })
}

fn fan_out(estimates: &BTreeMap<String, Estimate>) -> Plot {
    let hub = points(estimates, "hub_fan_out/hub/");
    let alone = hub.iter().find(|point| point.0 == 0.0).map_or(0.0, |point| point.1);
    let each = |points: &[(f64, f64)], less: f64| {
        points.iter().filter(|point| point.0 > 0.0).map(|&(count, us)| (count, (us - less) / count)).collect()
    };
    let bare = points(estimates, "hub_fan_out/bare_broadcast/");
    Plot {
        file: "hub-fan-out.svg",
        title: "Fan-out through a hub: µs per delivery",
        x: "attachments",
        y: "µs per delivery",
        lines: vec![
            Line { name: "suda", points: each(&hub, 0.0) },
            Line { name: "tokio broadcast", points: each(&bare, 0.0) },
            Line { name: "suda, less the append", points: each(&hub, alone) },
        ],
    }
}

fn by_history(estimates: &BTreeMap<String, Estimate>) -> Plot {
    Plot {
        file: "send-by-history.svg",
        title: "A durable send, by the entries in its channel",
        x: "entries in the channel at first",
        y: "µs per send",
        lines: vec![Line { name: "suda", points: sends(estimates, "send_by_history/entries/") }],
    }
}

fn by_channels(estimates: &BTreeMap<String, Estimate>) -> Plot {
    Plot {
        file: "send-by-channels.svg",
        title: "A durable send, by the number of channels",
        x: "channels",
        y: "µs per send",
        lines: vec![Line { name: "suda", points: sends(estimates, "send_by_channels/channels/") }],
    }
}

fn sends(estimates: &BTreeMap<String, Estimate>, prefix: &str) -> Vec<(f64, f64)> {
    points(estimates, prefix).iter().map(|&(x, us)| (x, us / SENDS_AT_ONCE)).collect()
}

/// Medians in microseconds by the number that names end in, in its order.
fn points(estimates: &BTreeMap<String, Estimate>, prefix: &str) -> Vec<(f64, f64)> {
    let point = |(name, estimate): (&String, &Estimate)| {
        Some((name.strip_prefix(prefix)?.parse().ok()?, estimate.median_ns / 1e3))
    };
    let mut points: Vec<(f64, f64)> = estimates.iter().filter_map(point).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

fn table(x: &str, y: &str, lines: &[Line]) -> String {
    let mut xs: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let heads: Vec<_> = xs.iter().map(|x| format!("{x}")).collect();
    let mut table =
        format!("| {y} | {} | largest / smallest |\n|---|{}---:|\n", heads.join(" | "), "---:|".repeat(xs.len()));
    for Line { name, points } in lines {
        let value = |x: &f64| {
            points.iter().find(|point| point.0 == *x).map_or("–".to_owned(), |point| format!("{:.2}", point.1))
        };
        let cells: Vec<_> = xs.iter().map(value).collect();
        let (least, most) =
            points.iter().fold((f64::MAX, 0.0_f64), |(least, most), point| (least.min(point.1), most.max(point.1)));
        let _ = writeln!(table, "| {name} | {} | {:.2} |", cells.join(" | "), most / least);
    }
    let _ = writeln!(table, "\nAcross: {x}.");
    table
}
