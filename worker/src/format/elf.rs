//! What ELF files tell of a program: of its interpreter, and, in core dumps, of how it was started.

use libc::{AT_EXECFN, AT_NULL, AT_PLATFORM};
use object::elf::{ELFCLASS32, ELFCLASS64, ELFMAG, FileHeader32, FileHeader64, NT_AUXV, PT_LOAD};
use object::endian::Endianness;
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadCacheOps, ReadRef};

/// What an ELF file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElfInfo {
    /// The path that the program was started by (`AT_EXECFN`, getauxval(3)). Only core dumps have it.
    pub execfn: Option<String>,
    /// The kernel's name for the machine (`AT_PLATFORM`). Only core dumps have it.
    pub platform: Option<String>,
    /// The dynamic linker that the program asks for.
    pub interpreter: Option<String>,
    /// Whether it is of 64 bits rather than 32.
    pub is_64bit: bool,
}

/// Reads headers, notes, and the few texts that they point to; of a large file nothing else is looked at.
pub fn read(file: impl ReadCacheOps) -> Result<ElfInfo, Fault> {
    let file = ReadCache::new(file);
    let ident = file.read_bytes_at(0, IDENT).map_err(|()| Fault::File("Malformed entity: Too small".to_owned()))?;
    if !ident.starts_with(&ELFMAG) {
        let magic = ident.first_chunk().map_or(0, |magic| u64::from_le_bytes(*magic));
        return Err(Fault::File(format!("Invalid magic number: {magic:#x}")));
    }
    match ident.get(ELFMAG.len()) {
        Some(&ELFCLASS32) => of_class::<FileHeader32<Endianness>, 4>(&file),
        Some(&ELFCLASS64) => of_class::<FileHeader64<Endianness>, 8>(&file),
        class => Err(Fault::File(format!("Malformed entity: invalid class {}", class.unwrap_or(&0)))),
    }
}

/// Why a file tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no ELF file, or not a whole one.
    #[error("Failed to parse ELF file: {0}")]
    File(String),
    /// Its notes are damaged.
    #[error("Failed to parse note: {0}")]
    Note(object::read::Error),
}

impl From<object::read::Error> for Fault {
    fn from(error: object::read::Error) -> Self {
        Fault::File(format!("Malformed entity: {error}"))
    }
}

/// How long the part is that says what the rest is, in bytes (`EI_NIDENT`).
const IDENT: u64 = 16;

/// A file whose words have `WORD` bytes.
fn of_class<Elf: FileHeader<Endian = Endianness>, const WORD: usize>(
    file: &ReadCache<impl ReadCacheOps>,
) -> Result<ElfInfo, Fault> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, file)?;
    let mut info = ElfInfo { is_64bit: WORD == 8, ..ElfInfo::default() };
    // One that lies outside of the file says nothing.
    let mut interpreters = segments.iter().filter_map(|segment| segment.interpreter(endian, file).ok().flatten());
    info.interpreter = interpreters.next().and_then(text);
    for (key, address) in auxiliary::<Elf, WORD>(segments, endian, file)? {
        match key {
            AT_EXECFN => info.execfn = text_at::<Elf>(segments, endian, file, address),
            AT_PLATFORM => info.platform = text_at::<Elf>(segments, endian, file, address),
            _ => {}
        }
    }
    Ok(info)
}

/// The auxiliary vector in the first note that holds one; empty where none does.
fn auxiliary<Elf: FileHeader<Endian = Endianness>, const WORD: usize>(
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    file: &ReadCache<impl ReadCacheOps>,
) -> Result<Vec<(u64, u64)>, Fault> {
    for segment in segments {
        let Some(mut notes) = segment.notes(endian, file).map_err(Fault::Note)? else { continue };
        while let Some(note) = notes.next().map_err(Fault::Note)? {
            // Other owners of notes number them as they like.
            if note.n_type(endian) == NT_AUXV && note.name() == b"CORE" {
                return Ok(pairs::<WORD>(note.desc(), endian));
            }
        }
    }
    Ok(Vec::new())
}

fn pairs<const WORD: usize>(vector: &[u8], endian: Endianness) -> Vec<(u64, u64)> {
    let mut words = vector.chunks_exact(WORD).map(|word| number(word, endian));
    let pairs = std::iter::from_fn(|| Some((words.next()?, words.next()?)));
    pairs.take_while(|(key, _)| *key != AT_NULL).collect()
}

/// A number of up to eight bytes.
fn number(bytes: &[u8], endian: Endianness) -> u64 {
    let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
    match endian {
        Endianness::Little => bytes.iter().rev().fold(0, add),
        Endianness::Big => bytes.iter().fold(0, add),
    }
}

/// The text at an address of the program's memory; nothing where the file does not hold it to its NUL.
fn text_at<Elf: FileHeader<Endian = Endianness>>(
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    file: &ReadCache<impl ReadCacheOps>,
    address: u64,
) -> Option<String> {
    segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian).into())?;
        let (offset, size) = segment.file_range(endian);
        if within >= size {
            return None;
        }
        let end = offset.checked_add(size)?.min(file.len().ok()?);
        file.read_bytes_at_until(offset.checked_add(within)?..end, 0).ok().and_then(text)
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::{Cursor, Read, Seek, SeekFrom};

    const PT_INTERP: u32 = 3;
    const PT_NOTE: u32 = 4;

    /// How a file is laid out.
    #[derive(Debug, Clone, Copy)]
    struct Layout {
        wide: bool,
        big: bool,
    }

    const LAYOUTS: [Layout; 4] = [
        Layout { wide: true, big: false },
        Layout { wide: true, big: true },
        Layout { wide: false, big: false },
        Layout { wide: false, big: true },
    ];

    impl Layout {
        fn number(self, value: u64, bytes: usize) -> Vec<u8> {
            let all = value.to_be_bytes();
            let mut number = all[8 - bytes..].to_vec();
            if !self.big {
                number.reverse();
            }
            number
        }

        fn word(self, value: u64) -> Vec<u8> {
            self.number(value, if self.wide { 8 } else { 4 })
        }

        fn header_size(self) -> usize {
            if self.wide { 64 } else { 52 }
        }

        fn segment_size(self) -> usize {
            if self.wide { 56 } else { 32 }
        }

        /// A file with these segments: kind, address and content of each.
        fn file(self, segments: &[(u32, u64, Vec<u8>)]) -> Vec<u8> {
            let half = |value| self.number(value, 2);
            let mut file = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(self.wide), 1 + u8::from(self.big), 1];
            file.resize(16, 0);
            file.extend([half(4), half(62), self.number(1, 4)].concat());
            file.extend([self.word(0), self.word(self.header_size() as u64), self.word(0), self.number(0, 4)].concat());
            file.extend([half(self.header_size() as u64), half(self.segment_size() as u64)].concat());
            file.extend([half(segments.len() as u64), half(0), half(0), half(0)].concat());
            assert_eq!(file.len(), self.header_size());
            let mut offset = file.len() + segments.len() * self.segment_size();
            for (kind, address, content) in segments {
                let (kind, flags, length) = (self.number((*kind).into(), 4), self.number(4, 4), content.len() as u64);
                let place = [offset as u64, *address, 0, length, length].map(|value| self.word(value)).concat();
                if self.wide {
                    file.extend([kind, flags, place, self.word(4)].concat());
                } else {
                    file.extend([kind, place, flags, self.word(4)].concat());
                }
                offset += content.len();
            }
            segments.iter().for_each(|(_, _, content)| file.extend(content));
            file
        }

        fn note(self, owner: &str, kind: u64, content: &[u8]) -> Vec<u8> {
            let mut name = [owner.as_bytes(), &[0]].concat();
            let head = [name.len() as u64, content.len() as u64, kind].map(|value| self.number(value, 4)).concat();
            name.resize(name.len().next_multiple_of(4), 0);
            [&head, &name[..], content].concat()
        }

        fn dump(self) -> Vec<u8> {
            let vector = [(6, 4096), (AT_PLATFORM, 0x1009), (AT_EXECFN, 0x1010), (0, 0), (AT_EXECFN, 0x1000)];
            let vector: Vec<u8> =
                vector.iter().flat_map(|(key, value)| [self.word(*key), self.word(*value)].concat()).collect();
            let notes = [
                self.note("GNU", NT_AUXV.into(), b"none"),
                self.note("CORE", 1, b"status  "),
                self.note("CORE", NT_AUXV.into(), &vector),
            ];
            let memory = b"........\0x86_64\0/usr/bin/daemon\0not ended".to_vec();
            self.file(&[(PT_NOTE, 0, notes.concat()), (PT_LOAD, 0x1000, memory)])
        }
    }

    fn told(file: &[u8]) -> Result<ElfInfo, String> {
        read(Cursor::new(file)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_program_names_its_interpreter() {
        for layout in LAYOUTS {
            let program = layout.file(&[(PT_LOAD, 0, b"code".to_vec()), (PT_INTERP, 0, b"/lib/ld.so\0".to_vec())]);
            let interpreter = Some("/lib/ld.so".to_owned());
            assert_eq!(told(&program), Ok(ElfInfo { interpreter, is_64bit: layout.wide, ..ElfInfo::default() }));
            // Cut before it, and with bytes that are no text.
            let cut = told(&program[..program.len() - 5]);
            assert_eq!(cut, Ok(ElfInfo { is_64bit: layout.wide, ..ElfInfo::default() }), "{layout:?}");
            let odd = told(&layout.file(&[(PT_INTERP, 0, b"\xff\0".to_vec())]));
            assert_eq!(odd.map(|info| info.interpreter), Ok(None));
        }
    }

    #[test]
    fn a_core_dump_tells_how_the_program_was_started() {
        for layout in LAYOUTS {
            let info = told(&layout.dump()).unwrap();
            assert_eq!(info.execfn.as_deref(), Some("/usr/bin/daemon"), "{layout:?}");
            assert_eq!(info.platform.as_deref(), Some("x86_64"));
            assert_eq!(info.interpreter, None);
        }
    }

    #[test]
    fn a_text_that_is_not_there_is_nothing() {
        let layout = LAYOUTS[0];
        let dump = |address: u64, memory: &[u8]| {
            let vector = [layout.word(AT_EXECFN), layout.word(address)].concat();
            let notes = layout.note("CORE", NT_AUXV.into(), &vector);
            told(&layout.file(&[(PT_NOTE, 0, notes), (PT_LOAD, 0x1000, memory.to_vec())])).unwrap().execfn
        };
        assert_eq!(dump(0x1000, b"a\0"), Some("a".to_owned()));
        assert_eq!(dump(0x0fff, b"a\0"), None);
        assert_eq!(dump(0x1002, b"a\0"), None);
        assert_eq!(dump(u64::MAX, b"a\0"), None);
        assert_eq!(dump(0x1000, b"not ended"), None);
        assert_eq!(dump(0x1000, b"\xff\0"), None);
    }

    #[test]
    fn says_what_is_wrong() {
        let program = LAYOUTS[0].file(&[(PT_INTERP, 0, b"/ld\0".to_vec())]);
        for (file, expected) in [
            (&b""[..], "Failed to parse ELF file: Malformed entity: Too small"),
            (b"\x7fELF", "Failed to parse ELF file: Malformed entity: Too small"),
            (b"#!/bin/sh\necho x", "Failed to parse ELF file: Invalid magic number: 0x732f6e69622f2123"),
            (b"\x7fELF\x03............", "Failed to parse ELF file: Malformed entity: invalid class 3"),
            (&program[..40], "Failed to parse ELF file: Malformed entity: "),
            (&program[..100], "Failed to parse ELF file: Malformed entity: "),
        ] {
            let fault = told(file).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}");
        }
        let mut note = LAYOUTS[0].note("CORE", 1, b"");
        note[4] = 200;
        let fault = told(&LAYOUTS[0].file(&[(PT_NOTE, 0, note)])).unwrap_err();
        assert!(fault.starts_with("Failed to parse note: "), "{fault}");
    }

    #[test]
    fn damage_anywhere_is_no_disaster() {
        for layout in LAYOUTS {
            let dump = layout.dump();
            for at in 0..dump.len() {
                for value in [0, 0x7f, 0xff] {
                    let mut damaged = dump.clone();
                    damaged[at] = value;
                    let _ = told(&damaged);
                }
                let _ = told(&dump[..at]);
            }
        }
    }

    /// Counts what is read.
    struct Counted<'a>(Cursor<Vec<u8>>, &'a Cell<usize>);

    impl Read for Counted<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = Read::read(&mut self.0, into)?;
            self.1.set(self.1.get() + length);
            Ok(length)
        }
    }

    impl Seek for Counted<'_> {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            Seek::seek(&mut self.0, to)
        }
    }

    #[test]
    fn reads_no_more_than_it_needs() {
        let mut dump = LAYOUTS[0].dump();
        dump.resize(50 << 20, 0);
        let count = Cell::new(0);
        let info = read(Counted(Cursor::new(dump), &count)).unwrap();
        assert_eq!(info.platform.as_deref(), Some("x86_64"));
        assert!(count.get() < 4096, "{} bytes", count.get());
    }
}
