//! Simulated APIs, derived from the descriptions.
