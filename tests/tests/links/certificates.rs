//! Certificates change while links stand.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use suda_schema::control::ControlUp;
use suda_server::tls::TlsConfig;
use suda_tests::client::{Kind, RawClient, RawStream, leaf_hash};

use crate::node::{Node, config, echo, text};

async fn echoing(node: &Node, kind: Kind) -> (RawClient, RawStream) {
    let client = node.connect(kind).await;
    let mut stream = client.open().await.unwrap();
    still_echoes(&mut stream).await;
    (client, stream)
}

async fn still_echoes(stream: &mut RawStream) {
    stream.send(&text(3)).await.unwrap();
    assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(3));
}

#[tokio::test]
async fn new_files_are_shown_to_new_links_and_old_links_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    // Somebody's certificate: that of another node.
    copy_pair(&Node::echo(), &cert, &key);
    let tls = TlsConfig { cert: Some(cert.clone()), key: Some(key.clone()), ..TlsConfig::default() };
    let node = Node::start_with(config(), &tls, Arc::new(|link| Box::pin(echo(link))));
    let first = node.hash();
    assert_eq!(leaf_hash(node.addr).await.unwrap(), first);
    let mut old = Vec::new();
    for kind in Kind::ALL {
        old.push(echoing(&node, kind).await);
    }

    fs::write(&cert, "broken").unwrap();
    assert!(node.certs.check().is_err());
    assert_eq!(leaf_hash(node.addr).await.unwrap(), first, "the old one stays in use");

    copy_pair(&Node::echo(), &cert, &key);
    assert!(node.certs.check().unwrap());
    assert_ne!(node.hash(), first);
    assert_eq!(leaf_hash(node.addr).await.unwrap(), node.hash());
    for kind in Kind::ALL {
        echoing(&node, kind).await;
        assert!(RawClient::connect(kind, node.addr, first).await.is_err(), "{kind:?}: the old one is still shown");
    }
    for (_, stream) in &mut old {
        still_echoes(stream).await;
    }
}

#[tokio::test]
async fn the_development_certificate_changes_under_clients_that_pin_it() {
    let node = Node::echo();
    let first = node.hash();
    let mut old = Vec::new();
    for kind in Kind::ALL {
        old.push(echoing(&node, kind).await);
    }
    let mut offered = node.certs.pinned_hashes();
    for _ in 0..14 {
        node.clock.advance_ms(86_400_000);
        node.certs.check().unwrap();
        // A browser that asked for the hashes yesterday connects today.
        assert!(offered.contains(&node.certs.hash()));
        assert_eq!(leaf_hash(node.addr).await.unwrap(), node.hash());
        offered = node.certs.pinned_hashes();
    }
    assert_ne!(node.hash(), first);
    for kind in Kind::ALL {
        echoing(&node, kind).await;
    }
    for (_, stream) in &mut old {
        still_echoes(stream).await;
    }
}

/// The development certificate of a node, as an operator's two files.
fn copy_pair(node: &Node, cert: &Path, key: &Path) {
    let file = fs::read_dir(node.data.path().join("tls")).unwrap().next().unwrap().unwrap();
    let pem = fs::read_to_string(file.path()).unwrap();
    fs::write(cert, &pem).unwrap();
    fs::write(key, &pem).unwrap();
}
