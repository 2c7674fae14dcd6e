//! Exit codes: the one table of what a finished run tells the shell.

use crate::failure::Class;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Bad input, unreachable, or an action failed.
    Error = 1,
    /// Changes are pending (`plan --detailed-exitcode`, `drift`).
    Pending = 2,
    /// Refused for safety.
    Refused = 3,
    /// The saved plan is stale.
    Stale = 4,
    /// Interrupted, after calls in flight were recorded.
    Interrupted = 130,
}

impl Exit {
    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::User | Class::Config | Class::Remote | Class::Conflict | Class::Internal => Self::Error,
            Class::Refused => Self::Refused,
            Class::Stale => Self::Stale,
            Class::Interrupted => Self::Interrupted,
        }
    }
}
