//! The data folder, the disk under it, and what the operating system allows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Below this a node may soon be unable to write.
const FREE_BYTES_LOW: u64 = 2 << 30;
/// Below this it is as good as full.
const FREE_BYTES_LEAST: u64 = 128 << 20;
/// Each link over TCP is an open file; so are the store's.
const OPEN_FILES_GOOD: u64 = 16_384;
const OPEN_FILES_LEAST: u64 = 512;
/// What QUIC wants to hold bursts of packets.
const UDP_BUFFER_BYTES_GOOD: u64 = 2 << 20;

pub(super) fn data_folder(data: &Path) -> Vec<Finding> {
    let shown = data.display();
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let mut findings = Vec::new();
    if existing == data {
        findings.push(writable(data));
        findings.extend(permissions(data));
    } else {
        findings.push(match writable(existing) {
            finding if finding.advice.is_some() => finding,
            _ => Finding::good(format!("data folder: {shown} is not there yet, and can be made")),
        });
    }
    findings.extend(free_space(existing));
    findings
}

fn writable(folder: &Path) -> Finding {
    let shown = folder.display();
    let probe = folder.join(format!(".suda-doctor-{}", std::process::id()));
    let result = fs::write(&probe, b"suda").and_then(|()| fs::remove_file(&probe));
    match result {
        Ok(()) => Finding::good(format!("data folder: {shown} can be written")),
        Err(error) => Finding::problem(
            format!("data folder: {shown} can't be written: {error}"),
            "Give it to the user that runs suda, or name another with --data.",
        ),
    }
}

fn permissions(data: &Path) -> Option<Finding> {
    let mode = fs::metadata(data).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            format!("data folder: others may enter {} (mode {mode:o}), which holds keys", data.display()),
            format!("chmod 700 {}", data.display()),
        )
    })
}

fn free_space(folder: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let total = disk.f_blocks.saturating_mul(disk.f_frsize).max(1);
    let what = format!("disk: {} free of {}", gib(free), gib(total));
    Some(if free < FREE_BYTES_LEAST {
        Finding::problem(what, "Make room: writes fail until there is; reads go on.")
    } else if free < FREE_BYTES_LOW || free < total / 50 {
        Finding::warning(what, "Make room soon: when the disk is full writes fail until there is.")
    } else {
        Finding::good(what)
    })
}

fn gib(bytes: u64) -> String {
    let tenths = bytes / ((1 << 30) / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

pub(super) fn limits() -> Vec<Finding> {
    let files = getrlimit(Resource::Nofile);
    let soft = files.current.unwrap_or(u64::MAX);
    let hard = files.maximum.unwrap_or(u64::MAX);
    // The node raises its soft limit itself, so the hard one counts.
    let what = format!("open files: at most {hard} ({soft} before suda raises it)");
    let advice =
        "Raise it: `LimitNOFILE=1048576` in the systemd unit, or `ulimit -n` in the shell. A link over TCP is one.";
    let mut findings = vec![if hard < OPEN_FILES_LEAST {
        Finding::problem(what, advice)
    } else if hard < OPEN_FILES_GOOD {
        Finding::warning(what, advice)
    } else {
        Finding::good(what)
    }];
    findings.extend(udp_buffer("rmem_max", "receiving"));
    findings.extend(udp_buffer("wmem_max", "sending"));
    findings
}

fn udp_buffer(name: &str, doing: &str) -> Option<Finding> {
    let bytes: u64 = fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse().ok()?;
    let what = format!("UDP buffer for {doing}: at most {bytes} bytes (net.core.{name})");
    Some(if bytes < UDP_BUFFER_BYTES_GOOD {
        Finding::warning(what, format!("For many links: sysctl -w net.core.{name}=8388608, and in /etc/sysctl.d."))
    } else {
        Finding::good(what)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_is_fine_and_one_that_can_not_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        assert!(data_folder(&inner).iter().all(|finding| finding.level < Level::Problem));
        assert!(!inner.exists());

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(data_folder(&file.join("below")).iter().any(|finding| finding.level == Level::Problem));
    }

    #[test]
    fn an_open_data_folder_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        assert_eq!(permissions(folder.path()).unwrap().level, Level::Warning);
        mode(0o700);
        assert_eq!(permissions(folder.path()), None);
    }
}
