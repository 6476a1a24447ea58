//! `sluice verify`: reads a mirror anew and says what is not as it was put there.

use clap::Args;
use proto::sync::v1::{FindingKind, Run as ProtoRun, RunKind, RunState};
use service_kit::exit::Exit;

use crate::{
    client::Endpoints,
    commands::{
        asked::{self, Answer, Wish},
        findings,
        sync::exit_of,
    },
    failure::Failure,
    names::SourceName,
    output::Output,
    view::Run,
};

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The source, for example tenants/acme/sources/docs.
    #[arg(value_parser = SourceName::parse)]
    name: SourceName,
    /// Asks for the verification and returns at once; `sluice runs findings` shows it.
    #[arg(long)]
    no_watch: bool,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let wish =
        Wish { name: &arguments.name, kind: RunKind::Verify, verb: "verify", no_watch: arguments.no_watch };
    match asked::ask(wish, endpoints, output).await? {
        Answer::Unwatched(exit) => Ok(exit),
        Answer::Ended(ended) => {
            let exit = exit_after(&ended);
            findings::show(Run::from(*ended), endpoints, output).await?;
            Ok(exit)
        }
    }
}

/// What is not the drive's is no fault of the mirror.
fn exit_after(ended: &ProtoRun) -> Exit {
    let differs =
        ended.finding_counts.iter().any(|count| count.kind() != FindingKind::Extra && count.items > 0);
    if ended.state() == RunState::Succeeded && differs { Exit::Differs } else { exit_of(ended.state()) }
}

#[cfg(test)]
mod tests {
    use proto::sync::v1::FindingCount;

    use super::*;

    fn ended(state: RunState, found: &[FindingKind]) -> Exit {
        let finding_counts =
            found.iter().map(|kind| FindingCount { kind: (*kind).into(), items: 1, bytes: 0 }).collect();
        exit_after(&ProtoRun { state: state.into(), finding_counts, ..ProtoRun::default() })
    }

    #[test]
    fn only_what_is_the_drives_counts() {
        assert_eq!(ended(RunState::Succeeded, &[]), Exit::Done);
        assert_eq!(ended(RunState::Succeeded, &[FindingKind::Extra]), Exit::Done);
        assert_eq!(ended(RunState::Succeeded, &[FindingKind::Extra, FindingKind::Missing]), Exit::Differs);
        assert_eq!(ended(RunState::Succeeded, &[FindingKind::Unverifiable]), Exit::Differs);
        assert_eq!(ended(RunState::NeedsPerson, &[FindingKind::Missing]), Exit::NeedsPerson);
        assert_eq!(ended(RunState::Cancelled, &[FindingKind::Missing]), Exit::TryAgain);
    }
}
