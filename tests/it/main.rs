
mod sandbox;
mod seeds;
