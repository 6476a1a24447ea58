//! What clients nobody here wrote were found to need; `scripts/peers` runs the clients themselves.

use simulator::{BearerOnLinks, Change, ParentPaths, TombstoneFacets, ViolationKind};

use crate::bench::{Bench, plain};

#[tokio::test]
async fn a_doubled_slash_is_one_as_microsofts_own_clients_write_it() {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let address = format!("{}/v1.0//me/drive", bench.sim.graph());
    assert_eq!(bench.get(&token, &address).await.text("/id"), drive.id());
    let address = format!("{}/common//v2.0/.well-known/openid-configuration", bench.sim.authority());
    let document = bench.send(bench.http.get(address)).await;
    assert!(document.text("/token_endpoint").ends_with("/common/oauth2/v2.0/token"));
}

#[tokio::test]
async fn instance_discovery_knows_the_real_names_and_this_one() {
    let bench = Bench::new().await;
    let address = format!("{}/common/discovery/instance?api-version=1.1", bench.sim.authority());
    let answer = bench.send(bench.http.get(address)).await;
    let metadata = answer.body["metadata"].as_array().unwrap();
    let host = bench.sim.authority().replace("http://", "");
    for name in ["login.microsoftonline.com", host.as_str()] {
        let known = |row: &&serde_json::Value| row["aliases"].as_array().unwrap().contains(&name.into());
        assert_eq!(metadata.iter().filter(known).count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_bearer_token_on_a_link_is_refused_or_served_but_always_noted() {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let file = drive.walk().remove(0);
    for (habit, status) in [(BearerOnLinks::Refused, 401), (BearerOnLinks::Served, 200)] {
        bench.sim.switch(|switches| switches.bearer_on_links = habit);
        let item = bench.get(&token, &format!("drives/{}/items/{}", drive.id(), file.id)).await;
        let link = item.text("/@microsoft.graph.downloadUrl");
        assert_eq!(bench.get(&token, link).await.status, status);
    }
    assert_eq!(bench.provoked(), [ViolationKind::BearerOnDownloadLink; 2]);
}

#[tokio::test]
async fn the_feed_tells_the_paths_of_parents_only_when_it_is_told_to() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    for (parent, name) in [("/", "a b"), ("/a b", "c")] {
        drive.apply(&Change::Mkdir { parent: parent.to_owned(), name: name.to_owned() }).unwrap();
    }
    let file = Change::CreateFile { parent: "/a b/c".to_owned(), name: "d.txt".to_owned(), size: 1 };
    drive.apply(&file).unwrap();
    let path = async || {
        let (pages, _) = bench.drain(&token, "me/drive/root/delta").await;
        let item = pages.into_iter().flatten().find(|item| item["name"] == "d.txt").unwrap();
        item["parentReference"].get("path").cloned()
    };
    assert_eq!(path().await, None);
    bench.sim.switch(|switches| switches.delta.parent_paths = ParentPaths::Told);
    assert_eq!(path().await.unwrap(), format!("/drives/{}/root:/a%20b/c", drive.id()));
}

#[tokio::test]
async fn tombstones_tell_what_they_were_only_when_they_are_told_to() {
    for (habit, told) in [(TombstoneFacets::Absent, false), (TombstoneFacets::Told, true)] {
        let (bench, drive, token) = Bench::with_drive(&plain(1, 1)).await;
        bench.sim.switch(|switches| switches.delta.tombstone_facets = habit);
        let (_, link) = bench.drain(&token, "me/drive/root/delta").await;
        for entry in drive.walk().into_iter().rev() {
            drive.apply(&Change::Delete { item: entry.id }).unwrap();
        }
        let (pages, _) = bench.drain(&token, &link).await;
        let gone: Vec<_> = pages.into_iter().flatten().filter(|item| item.get("deleted").is_some()).collect();
        assert_eq!(gone.len(), 2);
        for facet in ["file", "folder"] {
            let count = gone.iter().filter(|item| item.get(facet).is_some()).count();
            assert_eq!(count, usize::from(told), "{facet}");
        }
    }
}
