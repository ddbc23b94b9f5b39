//! The module in a browser: what crosses between Rust and JavaScript. Run by tests/browser/wasm.test.js.
#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "a test")]

use js_sys::{Array, Uint8Array};
use suda_wasm::Engine;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const NOW_MS: f64 = 1_767_312_000_123.0;
const CHANNEL: &str = "362387869794304";
const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

fn engine(state: Option<Vec<u8>>, outbox: &Array) -> Engine {
    Engine::new(NOW_MS, 7, "test/1".to_owned(), "webtransport,websocket", true, state, outbox, 0.0)
        .map_err(|_| "no engine")
        .unwrap()
}

/// What is to be kept, by its name.
fn written(engine: &mut Engine, name: &str) -> Vec<Array> {
    std::iter::from_fn(|| engine.next_write()).filter(|write| write.get(0) == name).collect()
}

fn log_in(engine: &mut Engine) {
    engine.log_in(NOW_MS, "1", "2", "token".to_owned(), NOW_MS + 900_000.0).ok().unwrap();
}

#[wasm_bindgen_test]
fn logging_in_asks_where_to_connect_and_then_dials() {
    let mut engine = engine(None, &Array::new());
    assert_eq!(engine.user(), None);
    assert_eq!(engine.status(), r#"{"s":"stopped","why":"logged-out","code":null}"#);
    log_in(&mut engine);
    assert_eq!(engine.user().as_deref(), Some("1"));
    assert_eq!(engine.next_effect().as_deref(), Some(r#"{"t":"discover"}"#));
    engine.candidate(7, "webtransport", "https://a/connect".to_owned(), &[7; 64]).ok().unwrap();
    assert!(engine.candidate(7, "pigeon", String::new(), &[]).is_err());
    engine.discovered(NOW_MS);
    let dial = engine.next_effect().unwrap();
    assert!(dial.starts_with(r#"{"t":"dial","link":1,"candidate":{"kind":"webtransport","url":"https://a/connect""#));
    assert!(engine.timeout(NOW_MS).unwrap() > NOW_MS);
    engine.dialed(NOW_MS, 1.0);
    let piece = engine.next_piece(1.0, &[]).unwrap();
    assert_eq!(piece.get(0), 0, "hello, on the control stream");
    assert!(Uint8Array::new(&piece.get(1)).length() > 10);
    assert!(engine.next_piece(1.0, &[]).is_none());
}

#[wasm_bindgen_test]
fn a_send_is_to_be_kept_and_is_there_again_after_a_reload() {
    let mut first = engine(None, &Array::new());
    log_in(&mut first);
    let sent = first.send_message(NOW_MS, CHANNEL, ID, "안녕".to_owned(), "1,3", Some(4.0));
    assert_eq!(sent.ok(), Some(None));
    assert_eq!(first.outbox_size(), 1);
    let kept = written(&mut first, "outbox");
    assert_eq!((kept.len(), kept[0].get(1)), (1, ID.into()));

    let mut again = engine(None, &Array::of1(&kept[0].get(3)));
    assert_eq!(again.outbox_size(), 1);
    assert_eq!(again.take_back(NOW_MS, CHANNEL, ID).ok(), Some(false), "it may have gone out");
    assert_eq!(first.take_back(NOW_MS, CHANNEL, ID).ok(), Some(true), "it has not");
    assert_eq!(written(&mut first, "answered").len(), 1);
}

#[wasm_bindgen_test]
fn what_is_no_id_is_an_error_and_no_panic() {
    let mut engine = engine(None, &Array::new());
    assert!(engine.open(NOW_MS, "none").is_err());
    assert!(engine.timeline("-1", None).is_err());
    assert!(engine.send_delete(NOW_MS, CHANNEL, "short", 1.0).is_err());
    assert!(engine.history(NOW_MS, CHANNEL, "somewhere", 0.0, 50, None).is_err());
    assert!(!engine.message(NOW_MS, 1.0, b""), "nor is an empty message one");
    engine.received(NOW_MS, 99.0, 7, vec![1, 2, 3]);
    engine.tick(f64::NAN);
}

#[wasm_bindgen_test]
fn a_channel_that_was_learned_is_listed_and_kept() {
    let mut engine = engine(None, &Array::new());
    log_in(&mut engine);
    let numbers = [2.0, 5.0, NOW_MS, 3.0, 1.0, 5.0, NOW_MS];
    let (peer, by) = (Some("3".to_owned()), Some("3".to_owned()));
    let until = "9007199254740991";
    let learned = engine.learn(
        NOW_MS,
        CHANNEL,
        "direct",
        String::new(),
        None,
        peer,
        "owner",
        until,
        &numbers,
        by,
        "hi".to_owned(),
    );
    assert!(learned.is_ok());
    let list = engine.channels();
    assert!(list.contains(r#""peer":"3","role":"owner","members":2,"head":5"#), "{list}");
    assert!(list.contains(r#""mute":{"until":9007199254740991},"preview":{"seq":5,"by":"3""#), "{list}");
}
