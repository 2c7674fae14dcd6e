
mod seeds;
mod report;
