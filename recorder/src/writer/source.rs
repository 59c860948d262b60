//! Reads the source text of recorded code, so that a recording can be read where the program is not
//! available.

use encoding_rs::Encoding;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Files with more bytes than this are not read: no person writes so much source text.
const BYTES_MAX: u64 = 64 << 20;

/// Where to find source text.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The directory in which the program was started.
    pub(super) cwd: PathBuf,
    /// The folder of the standard library.
    pub(super) stdlib: PathBuf,
    /// The argument of `-c`.
    pub(super) code: Option<String>,
    /// Texts that the program registered, by path.
    pub(super) registered: FxHashMap<String, String>,
}

/// A row of `files`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    /// Hash and text.
    pub(super) text: Option<(String, String)>,
    /// There should be a text, but it could not be read, or not all of it.
    pub(super) is_unread: bool,
}

impl Sources {
    /// Returns the absolute path of a file that Python calls `path`.
    pub(super) fn path(&self, path: &str) -> String {
        if path.starts_with('<') || Path::new(path).is_absolute() {
            return path.to_owned();
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        text_of(self.cwd.join(path).as_os_str())
    }

    /// Reads the source text of an absolute path or a name in angle brackets.
    pub(super) fn read(&mut self, path: String) -> Source {
        if let Some(text) = self.registered.remove(&path) {
            return Source { path, text: Some((hash(&text), text)), is_unread: false };
        }
        let bytes = match path.strip_prefix('<').and_then(|p| p.strip_suffix('>')) {
            None => Some(read(&path_of(&path))),
            Some("string") => self.code.as_ref().map(|code| Some(code.clone().into_bytes())),
            Some(name) => name.strip_prefix("frozen ").map(|module| self.frozen(module)),
        };
        let mut is_unread = matches!(bytes, Some(None));
        let text = bytes.flatten().map(|bytes| {
            let (text, is_whole) = decode(bytes);
            is_unread |= !is_whole;
            let text = with_newlines(text);
            (hash(&text), text)
        });
        Source { path, text, is_unread }
    }

    /// Returns the contents of the file from which a frozen module was made.
    fn frozen(&self, module: &str) -> Option<Vec<u8>> {
        let name = module.replace('.', "/");
        let file = |end| self.stdlib.join(format!("{name}{end}"));
        read(&file(".py")).or_else(|| read(&file("/__init__.py")))
    }
}

/// Returns a path as Python writes it: bytes that are not text are `\udc80` to `\udcff`.
fn text_of(path: &OsStr) -> String {
    path.as_bytes().utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\udc{byte:02x}");
        }
        text
    })
}

/// Returns the path that Python writes in this way. If there is a file with exactly this name, the
/// name is taken literally.
fn path_of(text: &str) -> PathBuf {
    if !text.contains("\\udc") || Path::new(text).exists() {
        return text.into();
    }
    let mut bytes = Vec::new();
    let mut parts = text.split("\\udc");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if !byte.is_ascii() => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            _ => bytes.extend([b"\\udc", part.as_bytes()].concat()),
        }
    }
    OsString::from_vec(bytes).into()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    // Only plain files: reading a pipe would make us wait.
    let Ok(about) = std::fs::metadata(path) else { return read_archived(path) };
    if !about.is_file() || about.len() > BYTES_MAX {
        return None;
    }
    std::fs::read(path).ok()
}

/// Reads a file in a zip archive, an egg or the like. Python names it as if the archive were a
/// folder.
fn read_archived(path: &Path) -> Option<Vec<u8>> {
    let archive = path.ancestors().skip(1).find(|folder| folder.exists())?;
    let name = path.strip_prefix(archive).ok()?.to_str()?;
    if !archive.is_file() {
        return None;
    }
    let mut archive = ZipArchive::new(BufReader::new(File::open(archive).ok()?)).ok()?;
    let file = archive.by_name(name).ok()?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= BYTES_MAX).then_some(bytes)
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Returns a text as Python reads it: all lines end in a line feed, whatever they ended in before.
fn with_newlines(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// Returns the text of a Python file, whose encoding its first lines may declare (PEP 263), and
/// whether all of it could be decoded. Parts that could not be decoded are replaced, so lines keep
/// their numbers.
fn decode(bytes: Vec<u8>) -> (String, bool) {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    let encoding = declared(&bytes).map(|name| name.to_ascii_lowercase().replace('_', "-"));
    let encoding = encoding.as_deref().unwrap_or("utf-8");
    if ["latin-1", "iso-8859-1", "iso8859-1", "latin1", "l1"].contains(&encoding) {
        return (bytes.into_iter().map(char::from).collect(), true);
    }
    // Names that Python has, but not the encoding standard of the web.
    let label = match encoding {
        "utf8" | "utf-8-sig" | "ascii" | "us-ascii" => "utf-8",
        "cp932" | "ms-kanji" | "s-jis" => "shift-jis",
        "cp936" | "gb2312" | "hz" => "gbk",
        "cp949" | "uhc" => "euc-kr",
        "cp950" => "big5",
        "eucjp" | "ujis" => "euc-jp",
        "euckr" => "euc-kr",
        "mac-roman" => "macintosh",
        "mac-cyrillic" => "x-mac-cyrillic",
        "koi8" => "koi8-r",
        other => other,
    };
    // In that standard, `shift-jis` and the like have both spellings, and `koi8-r` has one.
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) => {
            let (text, has_errors) = encoding.decode_without_bom_handling(&bytes);
            (text.into_owned(), !has_errors)
        }
        None => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let is_ascii = bytes.is_ascii();
            (text, is_ascii)
        }
    }
}

/// Returns the name after `coding:` or `coding=` in a comment in one of the first two lines.
fn declared(bytes: &[u8]) -> Option<&str> {
    for line in bytes.split(|byte| *byte == b'\n').take(2) {
        let comment = line.trim_ascii_start();
        if comment.first() != Some(&b'#') {
            continue;
        }
        let Some(at) = comment.windows(6).position(|window| window == b"coding") else { continue };
        let rest = comment[at + 6..].strip_prefix(b":").or(comment[at + 6..].strip_prefix(b"="));
        let Some(rest) = rest else { continue };
        let name = rest.trim_ascii_start();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let end = name.iter().position(|byte| !is_name(byte)).unwrap_or(name.len());
        return std::str::from_utf8(&name[..end]).ok();
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_followed() {
        let decode = |bytes: Vec<u8>| {
            let (text, is_whole) = decode(bytes);
            assert!(is_whole || text.contains('\u{fffd}'), "{text}");
            text
        };
        assert_eq!(decode("é = 1\n".into()), "é = 1\n");
        assert_eq!(decode(b"\xef\xbb\xbfx\n".to_vec()), "x\n");
        for (name, bytes, text) in [
            ("gbk", &b"\xd6\xd0\xce\xc4"[..], "中文"),
            ("gb2312", b"\xd6\xd0", "中"),
            ("shift_jis", b"\x93\xfa\x96\x7b", "日本"),
            ("cp932", b"\x93\xfa", "日"),
            ("euc-jp", b"\xc6\xfc\xcb\xdc", "日本"),
            ("euc_jp", b"\xc6\xfc", "日"),
            ("koi8-r", b"\xf2\xd5\xd3", "Рус"),
            ("KOI8_R", b"\xf2", "Р"),
            ("cp1251", b"\xd0\xf3\xf1", "Рус"),
            ("big5", b"\xa4\xa4", "中"),
            ("euc-kr", b"\xb0\xa1", "가"),
            ("iso-8859-15", b"\xa4", "€"),
        ] {
            let mut file = format!("# coding: {name}\n").into_bytes();
            file.extend_from_slice(bytes);
            assert_eq!(decode(file).lines().last(), Some(text), "{name}");
        }
        assert_eq!(
            decode(b"#!/x\n# -*- coding: latin-1 -*-\n\xe9\n".to_vec()).lines().last(),
            Some("é")
        );
        assert_eq!(
            decode(b"# vim: set fileencoding=iso-8859-1 :\n\xe9".to_vec()).chars().last(),
            Some('é')
        );
        assert_eq!(decode(b"\xe9\n".to_vec()), "\u{fffd}\n");
    }

    #[test]
    fn undecodable_text_is_reported() {
        assert!(!decode(b"\xe9\n".to_vec()).1);
        assert!(!decode(b"# coding: gbk\n\xff\n".to_vec()).1);
        assert!(!decode(b"# coding: cp437\n\x81\n".to_vec()).1);
        assert!(decode(b"# coding: cp437\nx\n".to_vec()).1);
    }

    #[test]
    fn files_in_archives_are_read() {
        let folder = std::env::temp_dir().join(format!("dashcam-zip-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("library.zip");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("package/module.py", options).unwrap();
        std::io::Write::write_all(&mut archive, b"x = 1\n").unwrap();
        archive.finish().unwrap();
        assert_eq!(read(&path.join("package/module.py")).as_deref(), Some(&b"x = 1\n"[..]));
        assert_eq!(read(&path.join("package/other.py")), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn paths_that_are_no_text_are_found_again() {
        let path = OsStr::from_bytes(b"/a\xff\xc3/\xc3\xa9.py");
        let text = text_of(path);
        assert_eq!(text, "/a\\udcff\\udcc3/é.py");
        assert_eq!(path_of(&text).as_os_str(), path);
        assert_eq!(path_of("/a\\udc41").as_os_str(), "/a\\udc41");
        assert_eq!(path_of("/a\\udcfé").as_os_str(), "/a\\udcfé");
    }

    #[test]
    fn a_registered_text_is_used() {
        let mut sources = Sources::default();
        sources.registered.insert("<made>".into(), "x = 1\n".into());
        let text = |source: Source| source.text.map(|(_, text)| text);
        assert_eq!(text(sources.read("<made>".into())).as_deref(), Some("x = 1\n"));
        assert_eq!(text(sources.read("<made>".into())), None);
    }

    #[test]
    fn lines_end_as_python_reads_them() {
        assert_eq!(with_newlines("a\rb\r\nc\n\rd".into()), "a\nb\nc\n\nd");
    }

    #[test]
    fn names_in_brackets_have_no_file() {
        let mut sources = Sources { code: Some("print()".into()), ..Sources::default() };
        assert!(sources.read("<string>".into()).text.is_some());
        let other = sources.read("<stdin>".into());
        assert!(other.text.is_none() && !other.is_unread);
        assert!(sources.read("<frozen nonsense>".into()).is_unread);
        assert!(sources.read("/nonexistent.py".into()).is_unread);
    }
}
