//! A node that stops.

use std::time::Duration;

use futures_util::FutureExt as _;
use suda_schema::CloseCode;
use suda_schema::control::ControlDown;
use suda_schema::open::Open;
use suda_server::link::LinkEnd;

use super::world::*;

#[tokio::test]
async fn a_draining_node_takes_nobody_in_and_asks_everybody_to_move_at_another_time() {
    let world = World::new();
    let mut clients = Vec::new();
    for number in 0..10 {
        let login = world.sign_up(&format!("user_{number}")).await;
        clients.push(world.connect(&login).await);
    }
    let late = world.sign_up("late").await;
    world.sessions.drain(Duration::from_secs(60));
    assert_eq!(world.refused(&Open::Control(say_hello(&late))).await.code, CloseCode::GOING_AWAY);
    let mut delays = Vec::new();
    for client in &mut clients {
        delays.push(
            client
                .expect("go away", |frame| if let ControlDown::GoAway(go) = frame { Some(go.delay_ms) } else { None })
                .await,
        );
    }
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 5 && delays.iter().all(|delay| *delay <= 60_000), "{delays:?}");
    world.sessions.end_all();
    for client in &mut clients {
        client.closed_with(CloseCode::GOING_AWAY).await;
    }
    assert!(world.sessions.gone(SOON).await);
    assert!(world.hubs.at_rest(SOON).await);
}

/// The node closes its sockets when all are gone: who has not been told by then is not told at all.
#[tokio::test]
async fn nobody_is_gone_before_the_goodbye() {
    let world = World::new();
    let mut clients = Vec::new();
    for number in 0..10 {
        let login = world.sign_up(&format!("user_{number}")).await;
        clients.push(world.connect(&login).await);
    }
    world.sessions.end_all();
    assert!(world.sessions.gone(SOON).await);
    for client in &clients {
        let end = client.link.closed().now_or_never().expect("the link has been closed");
        assert!(matches!(end, LinkEnd::Peer { code: CloseCode::GOING_AWAY, .. }), "{end:?}");
    }
}

#[tokio::test]
async fn who_does_not_move_is_closed_some_time_after_it_was_to() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let mut client = world.connect(&kim).await;
    world.sessions.drain(Duration::ZERO);
    client.closed_with(CloseCode::GOING_AWAY).await;
}
