//! What keeps a node from starting, and what it leaves lying about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use suda_tests::node::{NodeProcess, Said, suda};

fn serve(data: &Path, more: &[&str]) -> Said {
    let data = data.to_string_lossy();
    suda(&[&["serve", "--data", &data, "--host", "127.0.0.1"], more].concat(), "")
}

#[tokio::test]
async fn a_second_node_on_one_folder_is_told_who_has_it() {
    let node = NodeProcess::start().await;
    let second = serve(&node.data(), &["--port", "0", "--http-port", "0"]);
    assert!(!second.success && second.err.contains("is in use by process"), "{second:?}");
    assert!(second.err.contains(&node.pid().to_string()), "{second:?}");
    // The first goes on, and its operator still finds it.
    assert!(node.admin(&["stats"], "").success);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let node = NodeProcess::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (port, http_port) = (node.addr().port().to_string(), node.http_addr().port().to_string());
    let h3_port = format!("listen.h3_port={port}");
    for (more, named) in [
        (["--port", &port, "--http-port", "0", "--store", "memory"], format!("UDP 127.0.0.1:{port}")),
        (["--port", "0", "--http-port", &http_port, "--store", "memory"], format!("TCP 127.0.0.1:{http_port}")),
        (["--port", "0", "--http-port", "0", "--set", &h3_port], format!("UDP 127.0.0.1:{port} for HTTP/3")),
    ] {
        let told = serve(folder.path(), &more);
        let last = told.err.lines().last().unwrap_or_default();
        assert!(!told.success && last.contains(&format!("can't listen on {named}")), "{told:?}");
        assert_eq!(last.matches("in use").count(), 1, "{last}");
    }
}

/// Also in a folder that was there before, and that others may enter.
#[tokio::test]
async fn nobody_else_can_read_what_a_node_writes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let node = NodeProcess::start_in(folder, &[]).await;
    let mut folders = vec![node.data()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::metadata(&path).unwrap();
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
            if meta.is_dir() {
                folders.push(path);
            } else {
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen} files");
}
