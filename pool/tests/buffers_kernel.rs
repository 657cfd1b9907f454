//! Pooled buffers and the kernel: `O_DIRECT`, and buffers registered with io_uring.
#![cfg(all(not(loom), target_os = "linux"))]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use tailcut_pool::Buffers;

/// A file without page cache, if the file system has that.
fn direct_file(directory: &tempfile::TempDir) -> Option<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .custom_flags(libc::O_DIRECT)
        .open(directory.path().join("pages"));
    match file {
        Ok(file) => Some(file),
        Err(why) => {
            eprintln!(
                "SKIPPED: no O_DIRECT in {}: {why}",
                directory.path().display()
            );
            None
        }
    }
}

#[test]
fn aligned_buffers_are_written_and_read_past_the_page_cache() {
    let directory = tempfile::tempdir().unwrap();
    let Some(file) = direct_file(&directory) else {
        return;
    };
    let pages = Buffers::builder()
        .class(4096, 4)
        .class(1 << 16, 2)
        .align(4096)
        .build()
        .unwrap();
    for bytes in [4096, 1 << 16] {
        let mut written = pages.get(bytes).unwrap();
        let contents = (0..bytes).map(|at| (at / 7) as u8);
        contents.for_each(|byte| written.extend_from_slice(&[byte]).unwrap());
        file.write_all_at(&written, 0).unwrap();
        let mut read = pages.get(bytes).unwrap();
        read.resize(bytes, 0).unwrap();
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read[..] == written[..]);
    }
}

#[test]
fn registered_buffers_are_written_and_read_by_io_uring() {
    use io_uring::{IoUring, opcode, types};
    use std::os::fd::AsRawFd;

    // Before the ring, so that they are dropped after it.
    let pages = Buffers::builder()
        .class(4096, 4)
        .class(1 << 16, 2)
        .align(4096)
        .build()
        .unwrap();
    let mut ring = match IoUring::new(8) {
        Ok(ring) => ring,
        Err(why) => return eprintln!("SKIPPED: no io_uring: {why}"),
    };
    let directory = tempfile::tempdir().unwrap();
    let file = match direct_file(&directory) {
        Some(file) => file,
        None => tempfile::tempfile().unwrap(),
    };
    // SAFETY: the regions stay where they are as long as `pages`, which outlives the ring.
    if let Err(why) = unsafe { ring.submitter().register_buffers(&pages.iovecs()) } {
        return eprintln!("SKIPPED: io_uring registers no buffers: {why}");
    }
    let fd = types::Fd(file.as_raw_fd());
    let mut run = |entry: io_uring::squeue::Entry| {
        // SAFETY: the buffer and the file are held until the operation is completed, below.
        unsafe { ring.submission().push(&entry) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        ring.completion().next().unwrap().result()
    };
    for (bytes, index) in [(4096, 0), (1 << 16, 1)] {
        let mut written = pages.get(bytes).unwrap();
        written.resize(bytes, b'a' + index as u8).unwrap();
        assert_eq!(written.region_index(), index);
        let write = opcode::WriteFixed::new(fd, written.as_ptr(), bytes as u32, index).build();
        assert_eq!(run(write), bytes as i32);

        let mut read = pages.get(bytes).unwrap();
        let into = read.as_mut_ptr();
        let read_fixed = opcode::ReadFixed::new(fd, into, bytes as u32, read.region_index());
        let count = run(read_fixed.build());
        assert_eq!(count, bytes as i32);
        // SAFETY: the kernel has written so many bytes, which is the capacity.
        unsafe { read.set_len(count as usize) };
        assert!(read[..] == written[..]);

        // An address outside of the region that the index names is refused.
        let wrong = opcode::ReadFixed::new(fd, into, bytes as u32, 1 - index).build();
        assert_eq!(run(wrong), -libc::EFAULT);
    }
}
