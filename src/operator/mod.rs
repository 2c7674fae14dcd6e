//! `plumb operator`: custom resources as desired state. A namespace is one stack: its resources are gathered, planned
//! and applied together by the same engine as everywhere, and each is told in its status what came of it.

pub mod crds;
pub mod status;
