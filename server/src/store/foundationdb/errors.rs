//! FoundationDB's error codes as ours. What matters is whether a transaction may have been committed.

use foundationdb::FdbError;

use crate::store::StoreError;

/// What was going on when the error came: a commit that was cut short may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Read,
    Commit,
    Watch,
}

const TRANSACTION_TOO_OLD: i32 = 1007;
const NOT_COMMITTED: i32 = 1020;
const TRANSACTION_CANCELLED: i32 = 1025;
const TIMED_OUT: i32 = 1031;
const ACCESSED_UNREADABLE: i32 = 1036;
const CLIENT_INVALID_OPERATION: i32 = 2000;
const USED_DURING_COMMIT: i32 = 2017;
const KEY_TOO_LARGE: i32 = 2102;
const VALUE_TOO_LARGE: i32 = 2103;
const TRANSACTION_TOO_LARGE: i32 = 2101;
const API_VERSION_NOT_SUPPORTED: i32 = 2203;

pub(super) fn from_fdb(error: FdbError, moment: Moment) -> StoreError {
    match error.code() {
        _ if moment == Moment::Watch => StoreError::WatchLost { what: error.message() },
        NOT_COMMITTED => StoreError::Conflict,
        TRANSACTION_TOO_OLD => StoreError::TooOld,
        // A time-out ends the waiting, not the commit.
        TIMED_OUT | TRANSACTION_CANCELLED if moment == Moment::Commit => StoreError::CommitUnknown,
        ACCESSED_UNREADABLE => StoreError::Misuse { what: "a read where a versionstamped key may come to be" },
        CLIENT_INVALID_OPERATION | USED_DURING_COMMIT | TRANSACTION_CANCELLED => {
            StoreError::Misuse { what: error.message() }
        }
        TRANSACTION_TOO_LARGE => too_large("transaction", crate::store::TXN_BYTES_MAX),
        KEY_TOO_LARGE => too_large("key", crate::store::KEY_BYTES_MAX),
        VALUE_TOO_LARGE => too_large("value", crate::store::VALUE_BYTES_MAX),
        _ if error.is_maybe_committed() => StoreError::CommitUnknown,
        _ if error.is_retryable_not_committed() => StoreError::Busy { what: describe(error) },
        _ => StoreError::Unavailable { what: describe(error) },
    }
}

/// The limits are checked above, so that this is a difference of counting: just over.
fn too_large(what: &'static str, limit: usize) -> StoreError {
    StoreError::TooLarge { what, bytes: limit + 1, limit }
}

fn describe(error: FdbError) -> String {
    format!("FoundationDB says: {} ({})", error.message(), error.code())
}

/// Library or cluster file are not as they should be.
pub(super) fn open(error: FdbError, cluster_file: &str) -> StoreError {
    StoreError::Open { what: format!("{}; cluster file: {cluster_file}", describe(error)) }
}

/// The installed client library can't speak the version of the interface that this build was made for.
pub(super) fn library(error: FdbError) -> StoreError {
    let what = if error.code() == API_VERSION_NOT_SUPPORTED {
        format!(
            "the installed libfdb_c speaks the FoundationDB API up to version {}, and suda needs 730: install the \
             client library of FoundationDB 7.3 or newer",
            foundationdb::api::get_max_api_version()
        )
    } else {
        describe(error)
    };
    StoreError::Open { what }
}

/// The cluster did not answer. The client's own status tells a wrong protocol version from a silent machine.
pub(super) fn unreachable(error: FdbError, client_status: &[u8]) -> StoreError {
    let status: serde_json::Value = serde_json::from_slice(client_status).unwrap_or_default();
    let incompatible = status
        .get("Connections")
        .and_then(serde_json::Value::as_array)
        .is_some_and(|all| all.iter().any(|one| one.get("Compatible") == Some(&false.into())));
    let advice = if incompatible {
        "the cluster speaks another protocol version than the installed libfdb_c: install the client library of the \
         cluster's own version"
    } else {
        "no coordinator of the cluster file answers: check that fdbserver runs, that the addresses in the cluster file \
         are right and can be reached from here, and that `fdbcli` with the same file says the database is available"
    };
    StoreError::Unavailable { what: format!("{}; {advice}", describe(error)) }
}
