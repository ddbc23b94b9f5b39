//! What chat means: every operation is one transaction over `store`.
