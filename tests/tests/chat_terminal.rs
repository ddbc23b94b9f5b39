//! `suda-chat` in terminals, against a real node.

use std::path::Path;

use suda_client::UserId;
use suda_tests::node::NodeProcess;
use suda_tests::people::PASSWORD;
use suda_tests::sdk::{KINDS, sign_up, within};
use suda_tests::terminal::Terminal;

const SIZE: (u16, u16) = (100, 30);
const ALT_UP: &str = "\x1b[1;3A";
const CTRL_C: &str = "\x03";
const CTRL_T: &str = "\x14";
const CTRL_U: &str = "\x15";
const ESC: &str = "\x1b";
const PAGE_UP: &str = "\x1b[5~";
const UP: &str = "\x1b[A";

/// A terminal in which somebody new has signed up.
fn signed_up(handle: &str, node: &NodeProcess, data: &Path) -> Terminal {
    let mut terminal = Terminal::suda_chat(handle, node, data, SIZE);
    terminal.shows("Handle");
    terminal.keys(CTRL_T);
    terminal.shows("Again");
    terminal.keys(&format!("{handle}\t{PASSWORD}\t{PASSWORD}\r"));
    terminal.shows("online via quic");
    terminal.shows(&format!("@{handle}"));
    look(&terminal);
    terminal
}

/// Prints the screen, for those who want to see it: `SUDA_LOOK=1 cargo test … -- --nocapture`.
fn look(terminal: &Terminal) {
    if std::env::var_os("SUDA_LOOK").is_some() {
        eprintln!("{}\n{}", terminal.text(), "=".repeat(usize::from(SIZE.0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_chat_in_their_terminals() {
    let mut node = NodeProcess::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (kims, lees) = (folder.path().join("kim"), folder.path().join("lee"));
    let mut kim = signed_up("kim", &node, &kims);
    let mut lee = signed_up("lee", &node, &lees);

    // Nobody by that name; then somebody.
    kim.keys("n");
    kim.shows("New conversation");
    kim.keys("nobody\r");
    kim.shows("There is nobody called @nobody.");
    kim.keys("n");
    kim.shows("New conversation");
    kim.keys("lee\r");
    kim.shows("Write a message");
    kim.keys("hello lee\r");
    kim.shows("✓ sent");
    lee.shows("hello lee");
    lee.until("one is unread", |screen| screen.contents().contains("1 unread"));
    assert_eq!((lee.bells(), lee.title().as_str()), (1, "suda (1)"));
    look(&lee);
    lee.keys("\r");
    lee.hides("unread");
    kim.shows("✓✓ read");
    kim.shows("@lee  online");

    // Both ways, in other scripts, and typing.
    lee.keys("안녕하세요");
    kim.shows("lee is typing");
    lee.keys("\r");
    kim.until("it is there, and nobody types", |screen| {
        let text = screen.contents();
        text.contains("안녕하세요") && !text.contains("typing")
    });
    lee.keys("\x1b[200~one\ntwo\x1b[201~");
    lee.shows("› one ");
    lee.keys("\r");
    kim.shows("two");

    // An edit, by the arrow; a reaction, a reply, a deletion.
    kim.keys(UP);
    kim.shows("editing");
    kim.keys(&format!("{CTRL_U}hello there, lee\r"));
    lee.shows("hello there, lee (edited)");
    lee.keys("/react 👍\r");
    kim.shows("👍 1");
    lee.keys(ESC);
    lee.shows("r reply");
    lee.keys("r");
    lee.shows("reply to lee: one two");
    lee.keys("three\r");
    kim.shows("┌ lee: one two");
    lee.keys("/delete\r");
    lee.shows("Delete this message for everybody?");
    lee.keys("y");
    kim.shows("message deleted");
    look(&kim);
    lee.keys("/react\r");
    lee.shows("/react EMOJI");
    lee.keys(CTRL_U);

    // Unread while somewhere else.
    lee.keys("/dm lee\r");
    lee.shows("Notes to yourself");
    lee.shows("Nothing said yet.");
    let rung = lee.bells();
    kim.keys("are you there?\r");
    lee.shows("1 unread");
    lee.shows("are you there?");
    assert_eq!(lee.bells(), rung + 1);
    look(&lee);

    // A node that goes away and comes back.
    assert!(node.terminate().await.success());
    kim.shows("reconnecting");
    kim.keys("said while away\r");
    kim.shows("waiting");
    kim.shows("1 to be sent");
    look(&kim);
    node.restart().await;
    kim.shows("online via");
    kim.shows("✓✓ delivered");
    lee.shows("2 unread");
    lee.keys(ALT_UP);
    lee.shows("─ new ─");
    look(&lee);

    // The end, by key and by signal, and the beginning after it.
    kim.keys(CTRL_C);
    assert!(kim.ends().success());
    lee.signal("TERM");
    assert!(lee.ends().success());
    again(&node, &kims);
}

/// Who was logged in, is; and what was said is there.
fn again(node: &NodeProcess, data: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut kim = Terminal::suda_chat("kim", node, data, (60, 20));
    kim.shows("said while away");
    kim.keys("\r");
    kim.shows("hello there, lee");
    kim.resize(120, 40);
    kim.until("the list is beside it", |screen| screen.contents().contains('│'));
    look(&kim);
    let server = std::fs::read_dir(data).expect("a folder").next().expect("a server's").expect("a folder").path();
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(&server), mode(&server.join("login"))), (0o700, 0o600));
    kim.signal("HUP");
    assert!(kim.ends().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_groups_and_old_pages() {
    let node = NodeProcess::start().await;
    let folder = tempfile::tempdir().unwrap();
    let lee = sign_up(&node, "lee", &KINDS).await;
    let mut kim = signed_up("kim", &node, folder.path());
    let user: UserId = within(lee.users().by_handle("kim")).await.unwrap().user;

    within(lee.friends().request(user)).await.unwrap();
    kim.shows("1 friend request");
    kim.keys("f");
    kim.shows("asks to be your friend");
    look(&kim);
    kim.keys("a");
    kim.hides("asks to be your friend");
    kim.shows("@lee");
    kim.keys(ESC);
    kim.hides("Enter write");

    kim.keys("c");
    kim.shows("New group");
    kim.keys("Hiking 등산 @lee\r");
    kim.shows("2 members");
    let mut events = lee.events();
    let id = within(async {
        loop {
            match lee.channels().first() {
                Some(row) => return row.channel,
                None => drop(events.next().await),
            }
        }
    })
    .await;
    let group = lee.channel(id);
    for number in 0..79 {
        drop(group.send(format!("message {number}.")));
    }
    within(group.send("message 79.").into_future()).await.unwrap();
    kim.shows("message 79.");
    kim.keys("/title Walking\r");
    kim.shows("called it “Walking”");
    kim.keys("/mute 1h\r");
    kim.shows("muted");
    kim.keys("/members\r");
    kim.shows("owner");
    kim.shows("@lee");
    look(&kim);
    kim.keys(ESC);
    kim.hides("owner");
    kim.keys_until(ESC, "r reply");
    kim.keys(ESC);
    kim.hides("r reply");
    kim.keys_until(PAGE_UP, "message 0.");
    kim.shows("more");
    look(&kim);
    kim.keys("\x1bOP");
    kim.shows("Everywhere");
    kim.keys_until(" ", "end suda-chat");
    look(&kim);
    kim.keys(ESC);
    kim.hides("end suda-chat");
    kim.keys("/logout\r");
    kim.shows("Log this device out?");
    kim.keys("y");
    kim.shows("Handle");
    kim.keys(&format!("kim\t{PASSWORD}\r"));
    kim.shows("Walking");
    kim.keys(CTRL_C);
    assert!(kim.ends().success());
}
