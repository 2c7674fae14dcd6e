//! Observe: lists → live objects, completeness proven.
