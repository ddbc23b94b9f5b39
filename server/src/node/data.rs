//! The data folder, and what the node itself keeps there.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::clock::Clock;

/// Where the token for `/admin` is.
#[must_use]
pub fn admin_token_path(data: &Path) -> PathBuf {
    data.join("admin.token")
}

/// Where a running node says how it is reached by plain HTTP.
#[must_use]
pub fn admin_address_path(data: &Path) -> PathBuf {
    data.join("admin.address")
}

/// Where the embedded store is.
#[must_use]
pub fn store_path(data: &Path) -> PathBuf {
    data.join("store")
}

/// Makes the folder, for its owner only.
pub(super) fn prepare(data: &Path) -> anyhow::Result<PathBuf> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(data).with_context(|| format!("can't make the data folder {}", data.display()))?;
    data.canonicalize().with_context(|| format!("can't find the data folder {}", data.display()))
}

/// A new token for `/admin`. Each start makes one, so that an old one that got about is worth nothing.
pub(super) fn write_admin_token(data: &Path, clock: &Clock) -> anyhow::Result<String> {
    let token: String = clock.random::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&admin_token_path(data), &token)?;
    Ok(token)
}

/// Writes a file that only its owner can read, in one step.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let remove = match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove
        .and_then(|()| {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, path)
        })
        .with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_for_the_owner_only_and_new_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = prepare(&folder.path().join("a/data")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        let clock = Clock::system();
        let first = write_admin_token(&data, &clock).unwrap();
        let second = write_admin_token(&data, &clock).unwrap();
        assert_eq!(mode(&admin_token_path(&data)), 0o600);
        assert_eq!(fs::read_to_string(admin_token_path(&data)).unwrap(), second);
        assert!(first != second && second.len() == 64);
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(format!("{:#}", prepare(&file.join("data")).unwrap_err()).contains("data folder"));
    }
}
