//! The places where inventories can be kept that other machines share, as far as they are there.

use plumb::inventory::{Form, Location};

use super::{api_server::ApiServer, azure, google, postgres, s3};

/// The variables by which a program finds the server of a place.
pub(crate) fn variables(location: &Location) -> Vec<(String, String)> {
    let settings = match location {
        Location::S3 { settings, .. } | Location::Gs { settings, .. } | Location::Az { settings, .. } => settings,
        Location::Kubernetes(place) => &place.settings,
        _ => return Vec::new(),
    };
    settings.0.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect()
}

/// An empty place of each sort.
pub(crate) fn all() -> Vec<Location> {
    let (_, cluster) = ApiServer::serve(Form::Secret);
    let there = [s3::location(), azure::location(), Some(google::location()), postgres::location(), Some(cluster)];
    there.into_iter().flatten().collect()
}
