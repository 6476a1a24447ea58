//! A run that heals: what verifies is the model's, what follows from it is the engine's.

use std::time::Duration;

use sync_service::{
    destination::{Entered, Inspected, Onlooker, STAGING_FOLDER},
    domain::{
        drift::Drift,
        item::{Kind, STAGING_PARENT},
        local_name::OWN_FOLDER,
        run::RunKind,
    },
    ops::{
        lease_run::{Leased, lease_run},
        list_applied::{Wanted, list_applied},
        report_drift::report_drift,
        start_run::start_run,
    },
};

use super::{
    drive::Drive,
    mirror::{Mirror, Reader},
};

impl Mirror {
    /// Heals the mirror, and mirrors what there is of the drive.
    pub(super) async fn heal(&self, drive: &mut Drive, seed: u64) {
        start_run(&self.ctx, &self.source, RunKind::Heal).await.unwrap();
        let leased =
            lease_run(&self.ctx, "w", None, &[RunKind::Heal], Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(leased.kind, RunKind::Heal);
        // What a worker that died left is told before anything is looked at.
        drop(self.open(&leased).await);
        self.verify(&leased).await;
        let mut reader = Reader { drive, feed: None, seed, resync: false };
        let left = self.run(&leased, &mut reader, None).await.unwrap();
        assert_eq!((left.items_left, left.deletions_held), (0, 0));
    }

    async fn verify(&self, leased: &Leased) {
        let (run, epoch) = (&leased.run, leased.source.lease.epoch);
        let onlooker = Onlooker::open(self.root(), self.marker(), true).await.unwrap().unwrap();
        let staging = vec![OWN_FOLDER.to_owned(), STAGING_FOLDER.to_owned()];
        let mut open = vec![(String::new(), Vec::new()), (STAGING_PARENT.to_owned(), staging)];
        while let Some((folder, path)) = open.pop() {
            let Entered::Folder(opened) = onlooker.enter(&path).await.unwrap() else {
                report_drift(&self.ctx, run, epoch, &[(folder, Drift::Gone)]).await.unwrap();
                continue;
            };
            let mut wanted = Wanted { folder, folders_only: false, after: Default::default() };
            loop {
                let page = list_applied(&self.ctx, run, epoch, &wanted).await.unwrap();
                let mut drift = Vec::new();
                for item in page.items {
                    let applied = item.applied.unwrap();
                    if applied.kind != Kind::File {
                        open.push((item.id, path.iter().cloned().chain([applied.name]).collect()));
                        continue;
                    }
                    match opened.inspect(&applied.name, applied.file, |_| Ok(())).await.unwrap() {
                        Inspected::Sound => {}
                        Inspected::Missing | Inspected::WrongKind(_) => drift.push((item.id, Drift::Gone)),
                        Inspected::OtherSize(_) | Inspected::OtherBytes { .. } => {
                            drift.push((item.id, Drift::Changed));
                        }
                        Inspected::NoHash => panic!("every file of the model has a hash"),
                    }
                }
                report_drift(&self.ctx, run, epoch, &drift).await.unwrap();
                let Some(after) = page.next else { break };
                wanted.after = after;
            }
        }
    }
}
