//! Tar archives, compressed by gzip or plain. They are only read here; nothing is unpacked.

use super::gzip;
use crate::text::path;
use rex_protocol::fs::{Properties, Way};
use rex_protocol::path::Name;
use rex_protocol::text::Text;
use std::io::{self, BufRead, Cursor, Read};
use tar::{Archive, Entry, EntryType, Header};

/// The archive that `content` holds. What is no tar archive counts as compressed, and says so where it is read.
pub fn open<'c>(mut content: impl BufRead + 'c) -> io::Result<Archive<Box<dyn Read + 'c>>> {
    let mut first = Vec::new();
    content.by_ref().take(BLOCK as u64).read_to_end(&mut first)?;
    let plain = is_header(&first);
    let whole = Cursor::new(first).chain(content);
    Ok(Archive::new(if plain { Box::new(whole) } else { Box::new(gzip::unpack(whole)) }))
}

/// What an archive says of one of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// A file.
    File(Way, Properties),
    /// A directory.
    Dir(Way, Properties),
    /// Nothing that could be put anywhere below a directory, and why.
    Unfit(&'static str),
    /// Nothing by itself: the directory that all others are in, or a remark on the archive.
    Nothing,
}

/// Describes an entry.
///
/// Names are such as scripts can write: UTF-8, no `..`, no path from the root, none of the characters that no path may hold. Of permissions 0777
/// count; owners are names.
pub fn describe(entry: &mut Entry<'_, impl Read>) -> Described {
    let path = entry.path_bytes().into_owned();
    let is_dir = match entry.header().entry_type() {
        EntryType::Directory => true,
        // As archives had it before they had a type for directories.
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => path.ends_with(b"/"),
        EntryType::XGlobalHeader => return Described::Nothing,
        _ => return Described::Unfit("it is neither a file nor a directory"),
    };
    match way(&path) {
        Ok(None) => Described::Nothing,
        Ok(Some(way)) if is_dir => Described::Dir(way, properties(entry)),
        Ok(Some(way)) => Described::File(way, properties(entry)),
        Err(reason) => Described::Unfit(reason),
    }
}

/// What an archive is made of, in bytes.
const BLOCK: usize = 512;

/// Whether an archive can begin with this block: with a header, whose checksum is right, or with its end.
fn is_header(block: &[u8]) -> bool {
    if block.len() != BLOCK {
        return false;
    }
    let checksum = 148..156;
    let counted = |(at, byte): (usize, &u8)| u32::from(if checksum.contains(&at) { b' ' } else { *byte });
    let sum: u32 = block.iter().enumerate().map(counted).sum();
    block.iter().all(|byte| *byte == 0) || Header::from_byte_slice(block).cksum().is_ok_and(|wanted| wanted == sum)
}

/// The names that a path consists of; nothing for the directory itself.
fn way(path: &[u8]) -> Result<Option<Way>, &'static str> {
    if path.starts_with(b"/") {
        return Err("its path begins at the root");
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        if name == b".." {
            return Err("its path leads upwards");
        }
        if path::has_odd_characters(std::str::from_utf8(name).map_err(|_| "its path is no UTF-8")?) {
            return Err("its path has characters that no path may have");
        }
        names.push(Name::parse(name).map_err(|_| "a name in its path is too long")?);
    }
    if names.is_empty() {
        return Ok(None);
    }
    Way::try_from(names).map(Some).map_err(|_| "it lies too deep")
}

fn properties(entry: &mut Entry<'_, impl Read>) -> Properties {
    let header = entry.header();
    let mut properties = Properties {
        mode: header.mode().ok().map(|mode| mode & 0o777),
        user: header.username_bytes().and_then(name),
        group: header.groupname_bytes().and_then(name),
        modified_seconds: header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()),
    };
    // What does not fit a header stands beside it (pax(1)).
    let extensions = entry.pax_extensions().ok().flatten();
    for extension in extensions.into_iter().flatten().flatten() {
        match extension.key_bytes() {
            b"uname" => properties.user = name(extension.value_bytes()),
            b"gname" => properties.group = name(extension.value_bytes()),
            b"mtime" => properties.modified_seconds = seconds(extension.value_bytes()),
            _ => {}
        }
    }
    properties
}

fn name(bytes: &[u8]) -> Option<Text<256>> {
    let name = std::str::from_utf8(bytes).ok().filter(|name| !name.is_empty())?;
    Text::try_from(name.to_owned()).ok()
}

/// Whole seconds of a decimal number.
fn seconds(number: &[u8]) -> Option<i64> {
    std::str::from_utf8(number).ok()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::Builder;

    fn header(size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o640);
        header.set_mtime(1_600_000_000);
        header.set_username("ana").unwrap();
        header.set_groupname("adm").unwrap();
        header
    }

    fn archive(build: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn file(builder: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) {
        builder.append_data(&mut header(content.len() as u64), path, content).unwrap();
    }

    /// A file with a name that only an attacker would write.
    fn raw(builder: &mut Builder<Vec<u8>>, path: &[u8]) {
        let mut header = header(0);
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }

    /// Each entry, with its content; and the error at which it ends.
    fn entries(archive: &[u8]) -> (Vec<(Described, Vec<u8>)>, String) {
        let mut found = Vec::new();
        let end = (|| {
            for entry in open(archive)?.entries()? {
                let mut entry = entry?;
                let described = describe(&mut entry);
                let mut content = Vec::new();
                entry.by_ref().take(1 << 20).read_to_end(&mut content)?;
                found.push((described, content));
            }
            Ok::<(), io::Error>(())
        })();
        (found, end.err().map(|error| error.to_string()).unwrap_or_default())
    }

    fn shown(described: &Described) -> String {
        let path = |way: &Way| way.names().iter().map(Name::to_text).collect::<Vec<_>>().join("/");
        match described {
            Described::File(way, _) => path(way),
            Described::Dir(way, _) => path(way) + "/",
            Described::Unfit(reason) => (*reason).to_owned(),
            Described::Nothing => String::new(),
        }
    }

    #[test]
    fn plain_and_compressed_are_the_same() {
        let plain = archive(|builder| {
            file(builder, "a/one.txt", b"one\n");
            file(builder, "two.txt", &[b'x'; 100_000]);
        });
        let (found, error) = entries(&plain);
        assert_eq!(error, "");
        let properties = Properties {
            mode: Some(0o640),
            user: Some(Text::cut("ana")),
            group: Some(Text::cut("adm")),
            modified_seconds: Some(1_600_000_000),
        };
        assert_eq!(found[0], (Described::File(way(b"a/one.txt").unwrap().unwrap(), properties), b"one\n".to_vec()));
        assert_eq!(found[1].1.len(), 100_000);
        let packed = gzip::pack(&plain[..], 6).unwrap();
        assert_eq!(entries(&packed), (found, String::new()));
        assert_eq!(entries(&archive(|_| {})), (Vec::new(), String::new()));
    }

    #[test]
    fn what_is_neither_is_an_error() {
        assert_eq!(entries(b"").1, "unexpected end of file");
        assert_eq!(entries(b"no archive at all, just some text").1, "invalid gzip header");
        assert_eq!(entries(&[b'x'; 5000]).1, "invalid gzip header");
        let packed = gzip::pack(&archive(|builder| file(builder, "a", b"a"))[..], 6).unwrap();
        assert_eq!(entries(&packed[..60]).1, "incomplete deflate stream");
        assert_ne!(entries(&gzip::pack(&[b'x'; 5000][..], 6).unwrap()).1, "");
        assert_ne!(entries(&archive(|builder| file(builder, "a", &[1; 2000]))[..1000]).1, "");
    }

    #[test]
    fn names_stay_below() {
        let hostile = archive(|builder| {
            for name in ["../a", "b/../../a", "/a", "a?", "a\n", "./././", "./b//c/."] {
                raw(builder, name.as_bytes());
            }
            raw(builder, b"d\xff");
        });
        let (found, error) = entries(&hostile);
        assert_eq!(error, "");
        let shown: Vec<_> = found.iter().map(|(described, _)| shown(described)).collect();
        let odd = "its path has characters that no path may have";
        let up = "its path leads upwards";
        assert_eq!(shown, [up, up, "its path begins at the root", odd, odd, "", "b/c", "its path is no UTF-8"]);
    }

    #[test]
    fn kinds_are_told_apart() {
        let all = archive(|builder| {
            for (kind, path) in [
                (EntryType::Directory, "dir"),
                (EntryType::Directory, "dir/sub/"),
                (EntryType::Regular, "old/"),
                (EntryType::Continuous, "file"),
                (EntryType::Symlink, "link"),
                (EntryType::Link, "hard"),
                (EntryType::Char, "device"),
                (EntryType::Fifo, "fifo"),
                (EntryType::XGlobalHeader, "remark"),
            ] {
                let mut header = header(0);
                header.set_entry_type(kind);
                header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
                header.set_link_name("target").unwrap();
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            }
        });
        let shown: Vec<_> = entries(&all).0.iter().map(|(described, _)| shown(described)).collect();
        let other = "it is neither a file nor a directory";
        assert_eq!(shown, ["dir/", "dir/sub/", "old/", "file", other, other, other, other, ""]);
    }

    #[test]
    fn permissions_are_cut_and_long_names_are_whole() {
        let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
        let gnu = archive(|builder| {
            let mut header = header(2);
            header.set_mode(0o6755);
            builder.append_data(&mut header, &long, &b"ok"[..]).unwrap();
        });
        let (found, _) = entries(&gnu);
        assert_eq!(shown(&found[0].0), long);
        assert!(matches!(&found[0].0, Described::File(_, Properties { mode: Some(0o755), .. })));
        let (found, _) = entries(&archive(|builder| {
            let text = |text: &'static str| text.as_bytes();
            let extensions = [
                ("path", text("pax/näme")),
                ("mtime", text("1500000000.25")),
                ("uname", text("berta")),
                ("gname", text("a-group-whose-name-is-longer-than-32-bytes")),
            ];
            builder.append_pax_extensions(extensions).unwrap();
            file(builder, "short", b"x");
        }));
        assert_eq!(shown(&found[0].0), "pax/näme");
        let Described::File(_, properties) = &found[0].0 else { panic!("{found:?}") };
        assert_eq!(properties.modified_seconds, Some(1_500_000_000));
        assert_eq!(properties.user.as_deref(), Some("berta"));
        assert_eq!(properties.group.as_deref(), Some("a-group-whose-name-is-longer-than-32-bytes"));
    }

    #[test]
    fn lengths_that_cannot_be_are_errors() {
        for size in [u64::MAX, i64::MAX as u64, 1 << 60] {
            let lie = archive(|builder| {
                let mut header = header(size);
                header.as_old_mut().name[0] = b'a';
                header.set_cksum();
                builder.append(&header, &b"short"[..]).unwrap();
            });
            let (found, error) = entries(&lie);
            assert!(found.len() <= 1 && !error.is_empty(), "{size}: {error}");
        }
    }

    #[test]
    fn damage_anywhere_is_no_disaster() {
        let plain = archive(|builder| {
            file(builder, &format!("dir/{}", "n".repeat(120)), b"content");
            builder.append_pax_extensions([("size", &b"7"[..]), ("mtime", b"1")]).unwrap();
            file(builder, "last", b"content");
        });
        for at in 0..plain.len() {
            for value in [0, b'7', 0x80, 0xff] {
                let mut damaged = plain.clone();
                damaged[at] = value;
                // So that the damage is looked at, and not only the checksum.
                for header in damaged.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar") {
                    header[148..156].fill(b' ');
                    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
                    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
                let _ = entries(&damaged);
            }
        }
    }
}
