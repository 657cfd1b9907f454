//! On notes made by hand. `survey`'s tests read those of a real program.

use super::{iterate, read};
use crate::binary::elf::Image;

fn note(name: &[u8], kind: u32, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend((contents.len() as u32).to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    for part in [name, contents] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

#[test]
fn notes_follow_each_other_padded_to_four_bytes() {
    let mut bytes = note(b"GNU\0", 3, b"abcde");
    bytes.extend(note(b"stapsdt\0", 3, b""));
    let found: Vec<_> = iterate(&bytes, 4).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].name, found[0].contents),
        (&b"GNU"[..], &b"abcde"[..])
    );
    assert_eq!(found[1].name, b"stapsdt");
}

#[test]
fn a_note_longer_than_its_section_ends_the_list() {
    let mut bytes = note(b"GNU\0", 3, b"ab");
    bytes.extend([0xff; 12]);
    assert_eq!(iterate(&bytes, 4).count(), 1);
    assert_eq!(iterate(&[1, 2, 3], 4).count(), 0);
}

/// A program of one executable segment at 0x1000 with these sections.
fn program(sections: &[(&str, u64, &[u8])]) -> Image {
    let mut file = vec![0; 0x200];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    file[16..18].copy_from_slice(&3_u16.to_le_bytes());
    file[18..20].copy_from_slice(&62_u16.to_le_bytes());
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[54..60].copy_from_slice(&[56, 0, 1, 0, 64, 0]);
    // PT_LOAD, readable and executable: bytes 0 to 0x200 at 0x1000.
    file[64..68].copy_from_slice(&1_u32.to_le_bytes());
    file[68..72].copy_from_slice(&5_u32.to_le_bytes());
    file[80..88].copy_from_slice(&0x1000_u64.to_le_bytes());
    file[96..104].copy_from_slice(&0x200_u64.to_le_bytes());
    let mut names = vec![0];
    let mut headers = vec![vec![0; 64]];
    for (name, address, contents) in sections {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
        header[16..24].copy_from_slice(&address.to_le_bytes());
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(contents.len() as u64).to_le_bytes());
        names.extend(name.bytes().chain([0]));
        file.extend(*contents);
        headers.push(header);
    }
    let mut header = vec![0; 64];
    header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
    header[32..40].copy_from_slice(&(names.len() as u64).to_le_bytes());
    file.extend(&names);
    headers.push(header);
    let at = file.len() as u64;
    file[40..48].copy_from_slice(&at.to_le_bytes());
    file[60..62].copy_from_slice(&(headers.len() as u16).to_le_bytes());
    file[62..64].copy_from_slice(&(headers.len() as u16 - 1).to_le_bytes());
    file.extend(headers.concat());
    Image::from_bytes(file).unwrap()
}

fn probe(location: u64, base: u64, semaphore: u64) -> Vec<u8> {
    let mut contents = Vec::new();
    for word in [location, base, semaphore] {
        contents.extend(word.to_le_bytes());
    }
    contents.extend(b"tailcut_pool\0grew\08@%rdi\0");
    note(b"stapsdt\0", 3, &contents)
}

#[test]
fn a_probe_in_a_file_that_was_moved_is_corrected_by_its_base() {
    let notes = probe(0x5010, 0x5100, 0x5020);
    let image = program(&[
        (".note.stapsdt", 0, &notes),
        (".stapsdt.base", 0x1100, b"\0"),
    ]);
    let probes = read(&image).unwrap();
    assert_eq!(probes.len(), 1);
    let probe = &probes[0];
    assert_eq!(
        (probe.provider.as_str(), probe.name.as_str()),
        ("tailcut_pool", "grew")
    );
    assert_eq!((probe.address, probe.file_offset), (0x1010, 0x10));
    assert_eq!(probe.semaphore_file_offset, Some(0x20));
    assert_eq!(probe.arguments.len(), 1);
}

#[test]
fn a_probe_of_a_dropped_function_is_left_out() {
    let notes = probe(1, 0, 0);
    let image = program(&[(".note.stapsdt", 0, &notes)]);
    assert_eq!(read(&image).unwrap(), []);
}
