//! IT Glue: its description is data; this is the code that data cannot replace.

pub(super) mod hooks;
