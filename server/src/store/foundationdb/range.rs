//! Pages with an exact end. The server ends a page where it likes (a shard's end, its own byte limits) and may say
//! "more" where there is none; ours end at a limit that the caller set, or at the end of the range.

use bytes::Bytes;
use foundationdb::options::StreamingMode;
use foundationdb::{KeySelector, RangeOption};

use super::FdbTxn;
use super::errors::{Moment, from_fdb};
use crate::store::{Page, Range, StoreError, after_key};

pub(super) async fn read(txn: &FdbTxn, range: Range) -> Result<Page, StoreError> {
    let mut rest = range;
    let mut page = Page::default();
    let mut bytes = 0;
    let (rows_max, bytes_max, uncounted) = (rest.limit_rows, rest.limit_bytes, rest.prefix_bytes);
    loop {
        // One row more than asked for tells whether there is one.
        let rows = rows_max - page.rows.len() + 1;
        let fetched = fetch(txn, &rest, rows, bytes_max.saturating_sub(bytes)).await?;
        let server_has_more = fetched.more;
        for (key, value) in fetched.rows {
            if page.rows.len() == rows_max || bytes >= bytes_max {
                page.more = true;
                return Ok(page);
            }
            bytes += key.len() - uncounted + value.len();
            page.rows.push((key, value));
        }
        let Some((last, _)) = page.rows.last().filter(|_| server_has_more) else { return Ok(page) };
        if rest.reverse {
            rest.end = last.clone();
        } else {
            rest.begin = after_key(last).into();
        }
        if rest.is_empty() {
            return Ok(page);
        }
    }
}

/// One page as the server ends it.
async fn fetch(txn: &FdbTxn, range: &Range, rows: usize, bytes: usize) -> Result<Page, StoreError> {
    let option = RangeOption {
        limit: Some(rows),
        // Zero would mean no limit; one row comes in any case.
        target_bytes: bytes.max(1),
        mode: StreamingMode::Exact,
        reverse: range.reverse,
        ..RangeOption::from((
            KeySelector::first_greater_or_equal(range.begin()),
            KeySelector::first_greater_or_equal(range.end()),
        ))
    };
    let fetched = txn.with(|txn| txn.get_range(&option, 1, range.snapshot))?;
    let values = fetched.await.map_err(|error| from_fdb(error, Moment::Read))?;
    let rows =
        values.iter().map(|row| (Bytes::copy_from_slice(row.key()), Bytes::copy_from_slice(row.value()))).collect();
    Ok(Page { rows, more: values.more(), next: None })
}
