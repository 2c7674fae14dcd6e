//! Actions → calls, written ahead → outcome.
