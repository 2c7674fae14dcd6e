//! The one function that the command line, the agent and the operator drive.
