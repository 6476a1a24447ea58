//! A test that says nothing about violations fails on any.

use simulator::ViolationKind;

use crate::bench::{Bench, plain};

/// A simulator whose client sent a bearer token to a download link.
async fn offended() -> Bench {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let file = drive.walk().remove(0);
    let item = bench.get(&token, &format!("me/drive/items/{}", file.id)).await;
    bench.get(&token, item.text("/@microsoft.graph.downloadUrl")).await;
    bench
}

#[tokio::test]
async fn a_violation_nobody_took_is_a_panic_at_the_end_that_names_it() {
    let bench = offended().await;
    let panic = std::thread::spawn(move || drop(bench)).join().unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("BearerOnDownloadLink"));
}

#[tokio::test]
async fn a_violation_that_was_taken_is_forgiven() {
    let bench = offended().await;
    assert_eq!(bench.provoked(), [ViolationKind::BearerOnDownloadLink]);
    assert_eq!(bench.provoked(), []);
}
