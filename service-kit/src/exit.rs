//! Exit codes that every Sluice binary shares, after `sysexits.h`.

use std::process::ExitCode;

/// How a process ended, for whatever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: what was asked for is done.
    Done,
    /// 1: an unexpected failure.
    Failure,
    /// 64: the command line is wrong.
    Usage,
    /// 65: what was checked is not as it should be.
    Differs,
    /// 69: a service that is needed does not answer.
    Unavailable,
    /// 74: reading or writing failed.
    Io,
    /// 75: try again later.
    TryAgain,
    /// 77: a person must act first.
    NeedsPerson,
    /// 78: the configuration is wrong.
    Configuration,
}

impl Exit {
    /// The number the operating system gets.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 64,
            Self::Differs => 65,
            Self::Unavailable => 69,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::NeedsPerson => 77,
            Self::Configuration => 78,
        }
    }

    /// For an error of clap's parser: asking for help or the version is no failure, all else is wrong usage.
    pub fn from_clap(error: &clap::Error) -> Self {
        if error.use_stderr() { Self::Usage } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_no_failure_and_a_wrong_flag_is_usage() {
        let parse = |argument| clap::Command::new("x").version("1").try_get_matches_from(["x", argument]);
        assert_eq!(Exit::from_clap(&parse("--help").unwrap_err()), Exit::Done);
        assert_eq!(Exit::from_clap(&parse("--version").unwrap_err()), Exit::Done);
        assert_eq!(Exit::from_clap(&parse("--nonsense").unwrap_err()).code(), 64);
    }
}
