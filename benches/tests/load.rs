//! `suda-load`, each scenario in small, against a node that it starts: it runs through, finds nothing, and says so in JSON.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use suda_tests::node::suda_binary;

fn load(args: &[&str]) -> Output {
    static SUDA: OnceLock<PathBuf> = OnceLock::new();
    let suda = SUDA.get_or_init(|| suda_binary().expect("a binary"));
    Command::new(env!("CARGO_BIN_EXE_suda-load")).env("SUDA_BIN", suda).args(args).output().expect("a process")
}

/// Runs a scenario with twelve devices for a second.
fn tiny(args: &[&str]) -> Value {
    let common =
        ["--start", "--quiet", "--devices", "12", "--seconds", "0.8", "--warm-up-seconds", "0.2", "--json", "-"];
    let output = load(&[args, &common].concat());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {err}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ok"], true, "{report}");
    for fault in ["lost", "doubled", "disordered", "unanswered", "refused"] {
        assert_eq!(report["faults"][fault], 0, "{report}");
    }
    assert_eq!(report["devices"], 12, "{report}");
    assert_eq!(report["online_at_end"], 12, "{report}");
    assert_eq!(report["latency"]["connect"]["count"], 12, "{report}");
    assert!(report["client"]["rss_bytes"].as_u64() > Some(0), "{report}");
    assert!(report["server"]["rss_bytes"].as_u64() > Some(0), "{report}");
    report
}

/// What every scenario in which somebody talks must say, when each message goes to so many others.
fn talked(report: &Value, readers: u64) {
    let count = |field: &str| report[field].as_u64().expect("a count");
    assert!(count("sent") > 0, "{report}");
    assert_eq!(count("acked"), count("sent"), "{report}");
    assert_eq!(count("delivered"), count("sent") * readers, "{report}");
    let latency = |kind: &str, field: &str| report["latency"][kind][field].as_f64().expect("a latency");
    for kind in ["ack", "delivery"] {
        assert!(latency(kind, "count") > 0.0, "{report}");
        assert!(latency(kind, "p50_ms") > 0.0 && latency(kind, "p50_ms") <= latency(kind, "p99_ms"), "{report}");
        assert!(latency(kind, "p99_ms") <= latency(kind, "max_ms"), "{report}");
    }
}

#[test]
fn idle() {
    let report = tiny(&["idle"]);
    assert_eq!((&report["sent"], &report["channels"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(report["latency"]["ack"], Value::Null);
}

#[test]
fn fan_out_paced() {
    let report = tiny(&["fan-out", "--rate", "50"]);
    talked(&report, 11);
    // As many as were meant, to the message.
    assert_eq!((report["sent"].as_u64(), report["rate"].as_f64()), (Some(50), Some(50.0)), "{report}");
}

#[test]
fn groups_as_fast_as_they_go() {
    for transport in ["webtransport", "websocket"] {
        let report = tiny(&["groups", "--group-size", "4", "--in-flight", "6", "--transport", transport]);
        talked(&report, 3);
        assert_eq!((&report["rate"], &report["channels"]), (&Value::Null, &Value::from(3)));
    }
}

#[test]
fn one_to_one() {
    let report = tiny(&["one-to-one", "--rate", "60"]);
    talked(&report, 1);
    assert_eq!(report["channels"], 6);
}

#[test]
fn a_storm_of_closed_links() {
    let report = tiny(&["storm", "--group-size", "4", "--rate", "60", "--storms", "2"]);
    talked(&report, 3);
    assert_eq!(report["latency"]["reconnect"]["count"], 24, "{report}");
}

#[test]
fn a_storm_after_kill_9() {
    let report = tiny(&["storm", "--group-size", "4", "--rate", "60", "--kill"]);
    talked(&report, 3);
    assert_eq!(report["latency"]["reconnect"]["count"], 12, "{report}");
}

#[test]
fn slow_readers() {
    let report = tiny(&["slow-readers", "--rate", "50", "--slow-percent", "25", "--slow-bytes", "8192"]);
    let count = |kind: &str| report["latency"][kind]["count"].as_u64().expect("a count");
    talked(&report, 11);
    assert!(count("delivery_slow") > 0 && count("delivery_slow") < count("delivery"), "{report}");
}

#[test]
fn what_can_not_be_run_is_said() {
    let nowhere = load(&["idle", "--url", "http://127.0.0.1:9", "--devices", "1", "--setup-seconds", "1", "--quiet"]);
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("in time"), "{nowhere:?}");
    let neither = load(&["idle"]);
    assert_eq!(neither.status.code(), Some(2), "{neither:?}");
    let alone = load(&["fan-out", "--start", "--devices", "1"]);
    assert!(String::from_utf8_lossy(&alone.stderr).contains("--devices"), "{alone:?}");
}
