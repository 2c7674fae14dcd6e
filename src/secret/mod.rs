//! Sensitive values: resolved, sealed, masked.
