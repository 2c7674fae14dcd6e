//! desired × applied × live → changes. Pure.
