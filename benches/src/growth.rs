//! The section about growth: plots of what one delivery costs as attachments grow, and one send as logs and channels do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use suda_benches::figures::{self, Curve, Figures, median};

use crate::estimates::Estimate;
use crate::page::{Section, about};
use crate::plot::{self, Line};

const ABOUT: &str = "What one of many costs, as many become more. Each line is to be flat; *largest / smallest* says how far it is \
    from that. Fan-out is the hub's in process, with a reader task for each attachment and the store in memory: first with all that a \
    message costs shared out among its deliveries, then without what it costs when nobody listens. The reference is tokio's \
    broadcast channel. Sends are durable, on the embedded store, 64 on their way at once; entries are those that the channel has when \
    its measurement begins, and what is sent in it comes on top; members are of a broadcast channel, and one looks at it. The rest is \
    of a whole node: one message after the other, through one link that also hears it; on a link with more attachments, in all of \
    them in turn; sends of 64 writers in channels of their own, while other links are there and do nothing.";

/// How many sends are on their way at once, each with a share of what a round of them took.
const SENDS_AT_ONCE: f64 = 64.0;

struct Plot {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    lines: Vec<Line>,
}

/// Plots of lines that `benches/node` measures: which, the title, what grows, what it costs.
const CURVES: [[&str; 4]; 5] = [
    ["message-size-latency", "One message there and back, by its size: ms", "bytes of text", "ms"],
    ["message-size-cpu", "One message there and back, by its size: server CPU", "bytes of text", "µs of server CPU"],
    [
        "attachments-per-link",
        "A durable send, by the attachments on its link",
        "attachments on the link",
        "µs of server CPU per send",
    ],
    ["links-cpu", "A durable send, by the other links there are", "other links", "µs of server CPU per send"],
    ["links-memory", "Memory of an idle link with one attachment, by how many there are", "links", "KiB per link"],
];

/// The section, once its plots are written; none of it, if nothing was measured.
pub(crate) fn section(estimates: &BTreeMap<String, Estimate>, figures: &Figures, docs: &Path) -> Result<Section> {
    let mut plots = from_criterion(estimates);
    let curves = figures.curves.as_ref().map_or(&[][..], |part| &part.rows);
    plots.extend(CURVES.iter().map(|[file, title, x, y]| Plot { file, title, x, y, lines: lines(curves, file) }));
    let mut body = about(ABOUT, &figures::commit());
    let mut drawn = 0;
    for Plot { file, title, x, y, lines } in &plots {
        let Some(svg) = plot::svg(title, x, y, lines) else { continue };
        let file = format!("{file}.svg");
        let path = docs.join("plots").join(&file);
        std::fs::create_dir_all(docs.join("plots"))?;
        std::fs::write(&path, svg).with_context(|| format!("can't write {}", path.display()))?;
        let _ = writeln!(body, "![{title}](plots/{file})\n\n{}", table(x, y, lines));
        drawn += 1;
    }
    Ok(Section { title: "Growth", body: (drawn > 0).then_some(body) })
}

/// How far from flat the lines are that are to be flat: what each is, and its largest divided by its smallest.
pub(crate) fn spreads(estimates: &BTreeMap<String, Estimate>) -> Vec<(String, f64)> {
    let plots = from_criterion(estimates);
    let own = plots.iter().flat_map(|Plot { title, lines, .. }| {
        let own = lines.iter().filter(|line| line.name.starts_with("suda"));
        own.map(move |line| (format!("{title}, {}: largest ÷ smallest", line.name), spread(&line.points)))
    });
    own.filter(|(_, spread)| *spread > 0.0).collect()
}

fn spread(points: &[(f64, f64)]) -> f64 {
    let of = |(least, most): (f64, f64), (_, value): &(f64, f64)| (least.min(*value), most.max(*value));
    let (least, most) = points.iter().fold((f64::MAX, 0.0), of);
    most / least
}

fn from_criterion(estimates: &BTreeMap<String, Estimate>) -> Vec<Plot> {
    let by = |file, title, x, prefix| {
        let lines = vec![Line { name: "suda".to_owned(), points: sends(estimates, prefix) }];
        Plot { file, title, x, y: "µs per send", lines }
    };
    vec![
        fan_out(estimates),
        by(
            "send-by-history",
            "A durable send, by the entries in its channel",
            "entries in the channel at first",
            "send_by_history/entries/",
        ),
        by("send-by-channels", "A durable send, by the number of channels", "channels", "send_by_channels/channels/"),
        by("send-by-members", "A durable send, by the members of its channel", "members", "send_by_members/members/"),
    ]
}

/// The lines of a plot, by the medians of their rounds.
fn lines(curves: &[Curve], plot: &str) -> Vec<Line> {
    let line = |curve: &Curve| {
        let point = |(x, values): &(f64, Vec<f64>)| Some((*x, median(values)?));
        Line { name: curve.line.clone(), points: curve.points.iter().filter_map(point).collect() }
    };
    curves.iter().filter(|curve| curve.plot == plot).map(line).collect()
}

fn fan_out(estimates: &BTreeMap<String, Estimate>) -> Plot {
    let hub = points(estimates, "hub_fan_out/hub/");
    let alone = hub.iter().find(|point| point.0 == 0.0).map_or(0.0, |point| point.1);
    let each = |points: &[(f64, f64)], less: f64| {
        points.iter().filter(|point| point.0 > 0.0).map(|&(count, us)| (count, (us - less) / count)).collect()
    };
    let bare = points(estimates, "hub_fan_out/bare_broadcast/");
    Plot {
        file: "hub-fan-out",
        title: "Fan-out through a hub: µs per delivery",
        x: "attachments",
        y: "µs per delivery",
        lines: vec![
            Line { name: "suda".to_owned(), points: each(&hub, 0.0) },
            Line { name: "tokio broadcast".to_owned(), points: each(&bare, 0.0) },
            Line { name: "suda, less the append".to_owned(), points: each(&hub, alone) },
        ],
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
        let _ = writeln!(table, "| {name} | {} | {:.2} |", cells.join(" | "), spread(points));
    }
    let _ = writeln!(table, "\nAcross: {x}.");
    table
}
