//! The built-in APIs: descriptions and hooks.
