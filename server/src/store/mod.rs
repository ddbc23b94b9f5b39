//! One seam over ordered keys, with three engines.
