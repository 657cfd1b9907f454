//! Copies a file past the page cache (`O_DIRECT`), through buffers that were taken at start-up.
//!
//! `cargo run --release --package tailcut-pool --example direct_buffers -- SOURCE TARGET`
//!
//! Linux only. Direct input and output works on whole blocks, so the last one is written whole and
//! the target is cut to the source's length afterwards.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::fs::OpenOptions;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use tailcut_pool::{Buffers, HugePages};

    const PIECE: usize = 1 << 20;
    const BLOCK: usize = 4096;

    let mut arguments = std::env::args_os().skip(1);
    let (Some(source), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("usage: direct_buffers SOURCE TARGET".into());
    };
    let direct = |options: &mut OpenOptions| options.custom_flags(libc::O_DIRECT).clone();
    let source = direct(OpenOptions::new().read(true)).open(source)?;
    let target = direct(OpenOptions::new().write(true).create_new(true)).open(target)?;

    let buffers = Buffers::builder()
        .class(PIECE, 4)
        .align(BLOCK)
        .huge_pages(HugePages::Advise)
        .build()?;
    let mut copied = 0;
    loop {
        let mut piece = buffers.get(PIECE)?;
        piece.resize(PIECE, 0)?;
        let count = source.read_at(&mut piece, copied)?;
        piece.truncate(count);
        // Only the last piece ends within a block, whose rest becomes zeros.
        piece.resize(count.next_multiple_of(BLOCK), 0)?;
        target.write_all_at(&piece, copied)?;
        copied += count as u64;
        if count < PIECE {
            break;
        }
    }
    target.set_len(copied)?;
    println!("{copied} bytes copied");
    println!("{}", buffers.statistics());
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("O_DIRECT is Linux's");
}
