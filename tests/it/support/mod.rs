//! What several tests stand on.

pub(crate) mod cluster;
pub(crate) mod everything;
pub(crate) mod example;
pub(crate) mod faulty_s3;
pub(crate) mod git;
pub(crate) mod leaks;
pub(crate) mod operator;
pub(crate) mod s3;
pub(crate) mod secret_server;
pub(crate) mod stack;
pub(crate) mod wild;
