//! Prints what a session sees of a process: `watch PID [SERIES]`.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().ok_or("which process?")?.parse()?;
    let mut options = tailcut_probe::Options::default();
    if let Some(series) = arguments.next() {
        options.series = series.parse()?;
    }
    let mut session = tailcut_probe::Session::attach(pid, options)?;
    println!("left out: {:?}", session.left_out());
    let stop = std::sync::atomic::AtomicBool::new(false);
    while let Some(tick) = session.next(&stop)? {
        println!(
            "-- {:.3} s, cpu {:.3} s, {:?} {:?}",
            tick.length_ns as f64 * 1e-9,
            tick.target_cpu_ns as f64 * 1e-9,
            tick.cost,
            tick.lost
        );
        for one in tick.series.iter().filter(|one| !one.histogram.is_empty()) {
            let h = &one.histogram;
            println!(
                "{:14} {:9} p50 {:9} p99 {:9} max {:9} total {:.3} ms {}",
                one.name,
                h.len(),
                h.value_at_quantile(0.5),
                h.value_at_quantile(0.99),
                h.max(),
                one.total as f64 * 1e-6,
                one.bytes
            );
        }
        for event in tick.events.iter().take(8) {
            println!(
                "   {} {} us tid {} by {:?} detail {:#x}",
                event.name,
                event.length_ns() / 1000,
                event.thread,
                event.by,
                event.detail
            );
        }
        for line in &tick.lives {
            println!("   {line}");
        }
    }
    Ok(())
}
