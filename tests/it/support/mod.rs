//! What several tests stand on.

pub(crate) mod example;
pub(crate) mod faulty_s3;
pub(crate) mod git;
pub(crate) mod s3;
pub(crate) mod stack;
pub(crate) mod wild;
