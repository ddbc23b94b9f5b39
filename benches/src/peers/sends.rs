//! Writers who each wait for the answer to what they have said before they say the next.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use suda_benches::figures::Rounds;
use suda_benches::usage::Cpu;

use crate::conn::{Conn, Heard, WAIT};
use crate::message::{Stamp, now_ns};

/// All write for so long, and each waits for its last answer.
pub(crate) async fn round(writers: &mut Vec<Conn>, pid: u32, time: Duration, rounds: &mut Rounds) -> Result<()> {
    let (cpu, begun) = (Cpu::of(pid)?, Instant::now());
    let end = begun + time;
    let writing: Vec<_> = writers.drain(..).map(|conn| tokio::spawn(write_until(conn, end))).collect();
    let mut all = Vec::new();
    for writer in writing {
        let (conn, took) = writer.await??;
        writers.push(conn);
        all.extend(took);
    }
    rounds.note(all.len(), begun.elapsed(), cpu.since(pid)?, &mut all);
    Ok(())
}

/// How many microseconds each took.
async fn write_until(mut conn: Conn, end: Instant) -> Result<(Conn, Vec<u32>)> {
    let mut took = Vec::new();
    let mut number = 0;
    while Instant::now() < end {
        let begun = Instant::now();
        conn.publish(&Stamp { sender: 0, number, slot: 0, sent_ns: now_ns() }.text());
        conn.flush().await?;
        let mut answers = 0;
        while answers == 0 {
            tokio::time::timeout(WAIT, conn.fill()).await.context("no answer in time")??;
            conn.take(&mut |heard| answers += usize::from(heard == Heard::Ack))?;
            conn.flush().await?;
        }
        ensure!(answers == 1, "{answers} answers to one send");
        took.push(u32::try_from(begun.elapsed().as_micros())?);
        number += 1;
    }
    Ok((conn, took))
}
