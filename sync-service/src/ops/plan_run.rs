//! Rehearses a run: everything that a run does, on a copy of the index, with a destination that does nothing.
//!
//! What would be done is what the engine asks for when every action is answered with success. So the plan is made by the very
//! decisions that a run is made by, and nothing that is stored can change by it.

mod describe;

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use self::describe::Describer;
use super::{
    Ctx, OpError,
    commit_page::{self, Position, Reading},
    lease_run::begin_listing,
    leased::leased,
    list_actions::{Extent, list_actions},
    report_outcomes::{Outcome, OutcomeResult, report_outcomes},
};
use crate::{
    domain::{
        action::{Action, Step},
        baseline::Baseline,
        finding::Finding,
        names::RunName,
        run::RunPhase,
        source::Index,
    },
    store::{runs, scratch, sources},
};

/// Something that would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What, and where.
    pub finding: Finding,
    /// The place at the destination that the action would come upon.
    pub place: Option<Place>,
}

/// A place at the destination as it is before anything is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Segments below the root.
    pub path: Vec<String>,
    /// The file that is expected there; `None` where nothing of the drive's is.
    pub expected: Option<Baseline>,
    /// `quickXorHash` of the content that would be put there.
    pub new_hash: String,
}

/// A run that is rehearsed.
pub struct Rehearsal {
    ctx: Ctx,
    /// The same, on the copy.
    scratch: Ctx,
    name: RunName,
    epoch: i64,
    /// The index as it is.
    index: Index,
}

impl Rehearsal {
    /// Copies the index of the run's source. Costs as much as there is, and room for it in the folder for temporary files.
    ///
    /// # Errors
    /// [`OpError::LeaseLost`], [`OpError::Scratch`].
    pub async fn begin(ctx: Ctx, name: RunName, epoch: i64) -> Result<(Self, Position), OpError> {
        let txn = ctx.store.begin().await?;
        let (source, run) = leased(txn.conn(), &name, epoch).await?;
        txn.commit().await?;
        let index = source.index();
        let store = scratch::copy(ctx.store.read(), source.key, run.key).await?;
        let scratch = Ctx { settings: ctx.settings, ..Ctx::new(store, std::sync::Arc::clone(&ctx.clock)) };
        let txn = scratch.store.begin().await?;
        let (mut source, mut run) = leased(txn.conn(), &name, epoch).await?;
        run.listing = begin_listing(&mut source, ctx.settings.full_interval, ctx.now());
        sources::update(txn.conn(), &source, ctx.now()).await?;
        runs::update(txn.conn(), &run).await?;
        txn.commit().await?;
        let position = Position { cursor: source.cursor.link().to_owned(), listing_complete: false };
        Ok((Self { ctx, scratch, name, epoch, index }, position))
    }

    /// Commits a page of the feed to the copy. The run itself only counts it.
    ///
    /// # Errors
    /// Those of [`commit_page::commit_page`].
    pub async fn commit(
        &self,
        read_with: &str,
        reading: Reading,
        folds_names: bool,
    ) -> Result<Position, OpError> {
        let items = match &reading {
            Reading::Page { items, .. } => Some(i64::try_from(items.len()).unwrap_or(i64::MAX)),
            Reading::ResyncRequired => None,
        };
        let (name, epoch) = (&self.name, self.epoch);
        let position =
            commit_page::commit_page(&self.scratch, name, epoch, read_with, reading, folds_names).await?;
        let rehearsed = super::runs::get(&self.scratch, &self.name).await?.run;
        let txn = self.ctx.store.begin().await?;
        let (_, mut run) = leased(txn.conn(), &self.name, self.epoch).await?;
        run.counts.pages += i64::from(items.is_some());
        run.counts.items_listed += items.unwrap_or_default();
        run.counts.files_planned = rehearsed.counts.files_planned;
        run.counts.bytes_planned = rehearsed.counts.bytes_planned;
        run.listing = rehearsed.listing;
        if position.listing_complete {
            run.phase = RunPhase::Applying;
        }
        runs::update(txn.conn(), &run).await?;
        txn.commit().await?;
        Ok(position)
    }

    /// What would be done, in order, and then what would be left as it is. To be called once the listing is complete.
    ///
    /// # Errors
    /// In the stream: those of [`list_actions`].
    pub fn plan(self) -> impl Stream<Item = Result<Vec<Planned>, OpError>> + Send {
        let describer = Describer::new(&self);
        let doing = Doing { rehearsal: self, describer, wave: None, wave_did_any: false, left_after: None };
        stream::try_unfold(doing, |mut doing| async move {
            Ok(doing.next_page().await?.map(|page| (page, doing)))
        })
        .try_filter(|page| std::future::ready(!page.is_empty()))
    }
}

type Wave = Pin<Box<dyn Stream<Item = Result<Vec<Action>, OpError>> + Send>>;

struct Doing {
    rehearsal: Rehearsal,
    describer: Describer,
    wave: Option<Wave>,
    wave_did_any: bool,
    /// Once nothing can be done any more: the id of the last item that is left.
    left_after: Option<String>,
}

impl Doing {
    async fn next_page(&mut self) -> Result<Option<Vec<Planned>>, OpError> {
        let Rehearsal { scratch, name, epoch, .. } = &self.rehearsal;
        while self.left_after.is_none() {
            let wave = self.wave.get_or_insert_with(|| {
                list_actions(scratch.clone(), name.clone(), *epoch, Extent::Everything).boxed()
            });
            if let Some(actions) = wave.next().await {
                let actions = actions?;
                self.wave_did_any = true;
                let page = self.describer.planned(&actions).await?;
                let outcomes = actions.into_iter().map(done).collect::<Result<Vec<_>, _>>()?;
                report_outcomes(scratch, name, *epoch, &outcomes).await?;
                return Ok(Some(page));
            }
            self.wave = None;
            if !std::mem::take(&mut self.wave_did_any) {
                self.left_after = Some(String::new());
            }
        }
        let after = self.left_after.clone().unwrap_or_default();
        let Some((page, last)) = self.describer.left(&after).await? else { return Ok(None) };
        self.left_after = Some(last);
        Ok(Some(page))
    }
}

/// The outcome of an action that went well.
fn done(action: Action) -> Result<Outcome, OpError> {
    let bytes = match action.step {
        Step::PutContent { size, .. } => size,
        Step::MakeFolder
        | Step::Move { .. }
        | Step::SetTimes { .. }
        | Step::DeleteFile { .. }
        | Step::DeleteFolder => 0,
    };
    Ok(Outcome {
        item_id: action.item_id,
        token: action.token.encode().map_err(OpError::Encode)?,
        result: OutcomeResult::Done { bytes, file: None },
        notices: Vec::new(),
    })
}
