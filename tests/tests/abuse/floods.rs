//! Too much of what is good by itself.

use std::time::Duration;

use bytes::Bytes;
use suda_schema::codec::Codec;
use suda_schema::control::{ControlUp, Ping};
use suda_schema::open::Start;
use suda_schema::{CloseCode, ErrorCode};
use suda_tests::client::{Ended, Kind};
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, message, new_id};

use crate::{Scene, link_code};

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_streams() {
    let mut scene = Scene::with(&[("session.attachments_max", "8")]).await;
    for kind in Kind::ALL {
        // More attachments than there may be.
        let mut device = scene.kims(kind).await;
        let mut views = Vec::new();
        for number in 0..8 {
            let channel = scene.node.group(&scene.kim, &format!("{kind:?} {number}"), &[]).await;
            views.push(device.attach(channel, Start::Tail(0)).await);
        }
        let closing = device.refused(scene.channel, Start::Tail(0)).await.unwrap();
        assert_eq!(closing.code, CloseCode::TOO_MANY_ATTACHMENTS, "{kind:?}");
        device.ping().await.unwrap();
        drop(views);
        // Streams that say nothing. On QUIC the client has to wait; on WebSocket the link ends.
        let mut streams = Vec::new();
        let flooding = async {
            for _ in 0..1_000 {
                let mut stream = device.link.open().await?;
                stream.send_raw(Bytes::from_static(if kind.codec() == Codec::Json { b"{" } else { &[0x40] })).await?;
                streams.push(stream);
            }
            Ok::<(), Ended>(())
        };
        let flooded = tokio::time::timeout(Duration::from_secs(2), flooding).await;
        // What a WebSocket client has written is taken by the kernel before the node has an answer to it.
        assert!(kind.is_websocket() || !matches!(flooded, Ok(Ok(()))), "{kind:?}: all were taken");
        if kind.is_websocket() {
            assert_eq!(link_code(&device.link).await, CloseCode::PROTOCOL_ERROR, "{kind:?}");
        }
        // The same channel again and again: one view at a time.
        let device = scene.kims(kind).await;
        let mut last = device.attach(scene.channel, Start::Tail(0)).await;
        for _ in 0..100 {
            let next = device.attach(scene.channel, Start::Tail(0)).await;
            assert_eq!(last.closed().await.unwrap().code, CloseCode::DETACHED, "{kind:?}");
            last.stream.finish().await;
            last = next;
        }
        last.say("the last one works").await.unwrap();
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ignores_the_limits_is_closed() {
    let settings = [("rate.sends", "1/s, burst 5"), ("rate.queries", "1/s, burst 5"), ("rate.ignored_max", "40")];
    let node = NodeProcess::start_with(&settings).await;
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let kim = node.sign_up(&format!("kim{number}")).await;
        let channel = node.group(&kim, "notes", &[]).await;
        let mut device = Device::connect(&node, kind, &kim).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        let (mut taken, mut refused) = (0, 0);
        while refused < 5 {
            let id = view.send("again").await.unwrap();
            match view.answer(id).await.unwrap() {
                Ok(_) => taken += 1,
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::RATE_LIMITED, "{kind:?}");
                    assert!(error.retry_after_ms.is_some_and(|ms| ms > 0 && ms <= 2_000), "{kind:?}: {error:?}");
                    refused += 1;
                }
            }
        }
        assert!(taken >= 5, "{kind:?}: {taken}");
        // It goes on regardless, here and on the control stream.
        let flooding = async {
            loop {
                view.stream.send(&message(new_id(), "again")).await?;
                device.control.send(&ControlUp::Ping(Ping { nonce: 1 })).await?;
            }
        };
        tokio::select! {
            code = link_code(&device.link) => assert_eq!(code, CloseCode::RATE_IGNORED, "{kind:?}"),
            // It fails when the link is closed, and not before.
            ended = flooding => {
                let _: Result<(), Ended> = ended;
                assert_eq!(link_code(&device.link).await, CloseCode::RATE_IGNORED, "{kind:?}");
            }
        }
    }
}
