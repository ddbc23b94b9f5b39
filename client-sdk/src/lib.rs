//! Begun in a later part.
