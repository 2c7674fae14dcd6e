
mod seeds;
