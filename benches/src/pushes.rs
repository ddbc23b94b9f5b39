//! The section of what `benches/push` measures beside criterion.

use std::fmt::Write as _;

use suda_benches::figures::{self, Part};
use suda_benches::push::{self, Push};

use crate::page::{Section, about};

const PUSHES: &str = "Pushes to a stand-in for the providers in a process of its own, which speaks what they speak over TLS and \
    HTTP/2 and checks what they check. *Sending alone* is the payload, what signs or encrypts it, and the request; *from the \
    outbox* is the whole notifier: rows of the outbox are read, it is decided who is told, badges are counted, pushes sent, and \
    what became of them is written. The bare loop is hyper's HTTP/2 client on as many connections with as many requests in \
    flight, which sends one request that was made before again and again. Processor time is of the sending process. *Ratio* is \
    suda's pushes per second of processor time divided by the bare loop's. Medians of rounds that take turns.";

pub(crate) fn section() -> Section {
    Section { title: "Pushes", body: figures::read::<Option<Part<Push>>>(&push::path()).as_ref().map(body) }
}

fn body(part: &Part<Push>) -> String {
    let mut body = about(PUSHES, &part.commit);
    body.push_str(
        "| what | pushes per second | bare | CPU µs per push | bare | pushes per CPU second | bare | ratio |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for Push { what, per_second, cpu_us } in &part.rows {
        let whole = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
        let time = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        let _ = writeln!(
            body,
            "| {what} | {} | {} | {} | {} | {} | {} | {} |",
            whole(per_second.suda()),
            whole(per_second.bare()),
            time(cpu_us.suda()),
            time(cpu_us.bare()),
            whole(cpu_us.suda().map(|us| 1e6 / us)),
            whole(cpu_us.bare().map(|us| 1e6 / us)),
            cpu_us.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{:.2}", 1.0 / ratio)),
        );
    }
    body
}
