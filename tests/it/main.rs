
mod seeds;
mod custom_api;
