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
    /// Mends what is not as it was put there: fetches it again, and everything else that the drive has changed. A file that was changed
    /// here, and whatever is in the way, is kept under another name; what is not the drive's stays. Not for a suspended source.
    #[arg(long)]
    heal: bool,
    /// Asks for the verification and returns at once; `sluice runs findings` shows it.
    #[arg(long)]
    no_watch: bool,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let (kind, verb) = if arguments.heal { (RunKind::Heal, "heal") } else { (RunKind::Verify, "verify") };
    let wish = Wish { name: &arguments.name, kind, verb, no_watch: arguments.no_watch };
    match asked::ask(wish, endpoints, output).await? {
        Answer::Unwatched(exit) => Ok(exit),
        Answer::Ended(ended) => {
            let exit = exit_after(&ended);
            findings::show(Run::from(*ended), endpoints, output).await?;
            Ok(exit)
        }
    }
}

/// What is not the drive's is no fault of the mirror; what cannot be told cannot be mended.
fn exit_after(ended: &ProtoRun) -> Exit {
    let is_fault = |kind: FindingKind| match ended.kind() {
        RunKind::Heal => kind == FindingKind::Unverifiable,
        RunKind::Unspecified | RunKind::Sync | RunKind::Plan | RunKind::Verify => kind != FindingKind::Extra,
    };
    let differs = ended.finding_counts.iter().any(|count| count.items > 0 && is_fault(count.kind()));
    if ended.state() == RunState::Succeeded && differs { Exit::Differs } else { exit_of(ended.state()) }
}

#[cfg(test)]
mod tests {
    use proto::sync::v1::FindingCount;

    use super::*;

    fn ended(state: RunState, found: &[FindingKind]) -> Exit {
        after(RunKind::Verify, state, found)
    }

    fn after(kind: RunKind, state: RunState, found: &[FindingKind]) -> Exit {
        let finding_counts =
            found.iter().map(|kind| FindingCount { kind: (*kind).into(), items: 1, bytes: 0 }).collect();
        exit_after(&ProtoRun {
            kind: kind.into(),
            state: state.into(),
            finding_counts,
            ..ProtoRun::default()
        })
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

    #[test]
    fn what_was_healed_is_no_fault_any_more() {
        let healed = |state, found: &[FindingKind]| after(RunKind::Heal, state, found);
        assert_eq!(healed(RunState::Succeeded, &[FindingKind::Missing, FindingKind::Changed]), Exit::Done);
        assert_eq!(healed(RunState::Succeeded, &[FindingKind::Unverifiable]), Exit::Differs);
        assert_eq!(healed(RunState::Partial, &[FindingKind::Missing]), Exit::TryAgain);
    }
}
