//! Creates a drive of a million items and says what it takes: `cargo run -p simulator --example million_items`.

use std::error::Error;

use simulator::{Config, DriveSpec, NameStyle, Simulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let simulator = Simulator::start(Config::default()).await?;
    let before = resident_kilobytes()?;
    let spec = DriveSpec {
        files: 950_000,
        folders: 50_000,
        max_file_bytes: 1 << 20,
        names: NameStyle::Varied,
        ..DriveSpec::default()
    };
    let begun = tokio::time::Instant::now();
    let drive = simulator.create_drive(&spec)?;
    let seconds = begun.elapsed().as_secs_f32();
    let resident = resident_kilobytes()?.saturating_sub(before) / 1_024;
    let counted = drive.memory_bytes() / (1_024 * 1_024);
    report(&format!(
        "{} items in {seconds:.1} s: {resident} MiB resident, {counted} MiB counted, {} bytes of content not stored",
        drive.item_count(),
        drive.total_bytes()
    ));
    Ok(())
}

fn resident_kilobytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[expect(clippy::print_stdout, reason = "an example exists to print its result")]
fn report(text: &str) {
    println!("{text}");
}
