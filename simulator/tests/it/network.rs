//! Latency and bandwidth of connections.

use std::time::Duration;

use simulator::{DriveSpec, NetworkSwitches};
use tokio::time::Instant;

use crate::bench::{Bench, plain};

/// Bytes of the file that is read slowly.
const FILE_BYTES: u64 = 100_000;

#[tokio::test]
async fn every_answer_takes_at_least_the_latency() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| {
        switches.network = NetworkSwitches { latency_milliseconds: [150, 200], ..NetworkSwitches::default() }
    });
    // One connection for all: the latency is that of an answer, not of a connection.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        http.get(format!("{}/v1.0/me/drive", bench.sim.graph())).send().await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_content_comes_no_faster_than_the_bandwidth_and_whole() {
    let spec = DriveSpec { big_files: vec![FILE_BYTES], ..plain(0, 0) };
    let (bench, drive, token) = Bench::with_drive(&spec).await;
    let file = drive.walk().into_iter().find(|entry| entry.size == FILE_BYTES).unwrap();
    let item = bench.get(&token, &format!("drives/{}/items/{}", drive.id(), file.id)).await;
    let rate = 2 * FILE_BYTES;
    bench.sim.switch(|switches| switches.network.bytes_per_second = Some([rate, rate]));
    let begun = Instant::now();
    let answer = bench.http.get(item.text("/@microsoft.graph.downloadUrl")).send().await.unwrap();
    let content = answer.bytes().await.unwrap();
    // What is sent last may be on its way while its time has not passed.
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    let mut wanted = vec![0; content.len()];
    let read = drive.content_reader(&file.id).unwrap().read_at(0, &mut wanted);
    assert_eq!((content.len(), read), (wanted.len(), wanted.len()));
    assert!(content == wanted);
}

#[tokio::test]
async fn the_control_interface_is_never_slow() {
    let bench = Bench::new().await;
    let minute = 60_000;
    bench.sim.switch(|switches| switches.network.latency_milliseconds = [minute, minute]);
    // The client gives up after 20 seconds.
    let answer = bench.http.get(format!("{}/control/counters", bench.sim.control())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}
