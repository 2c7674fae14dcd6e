//! What several tests stand on.

pub(crate) mod api_server;
pub(crate) mod azure;
pub(crate) mod cluster;
pub(crate) mod cut;
pub(crate) mod everything;
pub(crate) mod example;
pub(crate) mod faulty_s3;
pub(crate) mod git;
pub(crate) mod google;
pub(crate) mod leaks;
pub(crate) mod operator;
pub(crate) mod places;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod s3;
pub(crate) mod secret_server;
pub(crate) mod stack;
pub(crate) mod wild;
