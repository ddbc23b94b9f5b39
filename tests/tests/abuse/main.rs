//! Promise 9: what is malformed, oversized, forbidden or too frequent is answered by a typed error or a close code. The node
//! never panics (its log is looked through when each test ends), and nobody else notices anything.

// Clippy's own exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod floods;
mod garbage;
mod requests;
mod tokens;

use suda_schema::control::ControlDown;
use suda_schema::open::Start;
use suda_schema::{ChannelId, CloseCode, ErrorCode};
use suda_tests::client::{Ended, Kind, RawClient, RawStream};
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, Person, View};

/// Two who talk with each other while others misbehave.
struct Bystanders {
    one: (Device, View),
    other: (Device, View),
}

struct Scene {
    node: NodeProcess,
    kim: Person,
    lee: Person,
    channel: ChannelId,
    bystanders: Bystanders,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let node = NodeProcess::start_with(settings).await;
        let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
        let channel = node.direct(&kim, &lee).await;
        let [ann, ben] = [node.sign_up("ann").await, node.sign_up("ben").await];
        let calm = node.direct(&ann, &ben).await;
        let mut pair = Vec::new();
        for (kind, person) in [(Kind::WebTransport, &ann), (Kind::WebSocketJson, &ben)] {
            let device = Device::connect(&node, kind, person).await;
            let view = device.attach(calm, Start::Tail(0)).await;
            pair.push((device, view));
        }
        let other = pair.pop().expect("two");
        let one = pair.pop().expect("two");
        Self { node, kim, lee, channel, bystanders: Bystanders { one, other } }
    }

    /// They still can.
    async fn others_are_unaffected(&mut self) {
        let Bystanders { one, other } = &mut self.bystanders;
        let said = one.1.say("still there?").await.unwrap();
        other.1.until(said.seq).await.unwrap();
        let said = other.1.say("of course").await.unwrap();
        one.1.until(said.seq).await.unwrap();
        one.0.ping().await.unwrap();
        other.0.ping().await.unwrap();
    }

    async fn kims(&self, kind: Kind) -> Device {
        Device::connect(&self.node, kind, &self.kim).await
    }
}

/// The code with which the link was closed.
async fn link_code(link: &RawClient) -> CloseCode {
    match link.closed().await {
        Ended::Link(code, _) => code,
        other => panic!("{:?}: instead of a close: {other:?}", link.kind()),
    }
}

/// Waits for `closing` on the control stream, and the same code on the link.
async fn says_and_closes(link: &RawClient, control: &mut RawStream, wanted: CloseCode, what: &str) {
    let kind = link.kind();
    let closing = loop {
        match control.recv::<ControlDown>().await {
            Ok(ControlDown::Closing(closing)) => break closing,
            Ok(_) => {}
            Err(error) => panic!("{kind:?}, {what}: no reason was given: {error:#}"),
        }
    };
    assert_eq!(closing.code, wanted, "{kind:?}, {what}: {closing:?}");
    assert_eq!(link_code(link).await, wanted, "{kind:?}, {what}");
}

/// The next refusal on the control stream.
async fn failed(device: &mut Device) -> (u32, ErrorCode) {
    let failed =
        |frame| if let ControlDown::Failed(failed) = frame { Some((failed.request, failed.error.code)) } else { None };
    device.wait_for(failed).await.unwrap()
}
