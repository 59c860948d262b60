//! The source text of recorded code, so that a recording can be read where the program is not.

use dashcam_schema::record::CodeDefinition;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Larger files are not source text anybody wrote.
const BYTES_MAX: u64 = 64 << 20;

/// Where source text is to be found.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Directory the program was started in.
    pub(super) cwd: PathBuf,
    /// Folder of the standard library.
    pub(super) stdlib: PathBuf,
    /// What stood after `-c`.
    pub(super) code: Option<String>,
}

/// A row of `files`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    /// Hash and text.
    pub(super) text: Option<(String, String)>,
    /// There should be a text.
    pub(super) is_unread: bool,
}

impl Sources {
    /// As Python names the file, made absolute.
    pub(super) fn path(&self, code: &CodeDefinition) -> String {
        let path = &code.path;
        if path.starts_with('<') || Path::new(path).is_absolute() {
            return path.clone();
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        self.cwd.join(path).to_string_lossy().into_owned()
    }

    /// Reads the file of an absolute path or a name in angle brackets.
    pub(super) fn read(&self, path: String) -> Source {
        let bytes = match path.strip_prefix('<').and_then(|p| p.strip_suffix('>')) {
            None => Some(read(Path::new(&path))),
            Some("string") => self.code.as_ref().map(|code| Some(code.clone().into_bytes())),
            Some(name) => name.strip_prefix("frozen ").map(|module| self.frozen(module)),
        };
        let is_unread = matches!(bytes, Some(None));
        let text = bytes.flatten().map(|bytes| {
            let text = decode(bytes);
            (hash(&text), text)
        });
        Source { path, text, is_unread }
    }

    /// The file a frozen module was made from.
    fn frozen(&self, module: &str) -> Option<Vec<u8>> {
        let name = module.replace('.', "/");
        let file = |end| self.stdlib.join(format!("{name}{end}"));
        read(&file(".py")).or_else(|| read(&file("/__init__.py")))
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    // A pipe would keep us waiting.
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > BYTES_MAX {
        return None;
    }
    std::fs::read(path).ok()
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Text of a Python file, whose encoding its first lines may declare (PEP 263). What is neither
/// UTF-8 nor Latin-1 is read as UTF-8 with replacement characters: lines stay lines.
fn decode(bytes: Vec<u8>) -> String {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    let is_latin = declared(&bytes).is_some_and(|name| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        ["latin-1", "iso-8859-1", "iso8859-1", "latin1", "l1", "cp1252", "windows-1252"]
            .iter()
            .any(|latin| name == *latin)
    });
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_latin => error.into_bytes().into_iter().map(char::from).collect(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// The name after `coding:` or `coding=` in a comment in one of the first two lines.
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
mod tests {
    use super::*;

    #[test]
    fn encodings_are_followed() {
        assert_eq!(decode("é = 1\n".into()), "é = 1\n");
        assert_eq!(decode(b"\xef\xbb\xbfx\n".to_vec()), "x\n");
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
    fn names_in_brackets_have_no_file() {
        let sources = Sources { code: Some("print()".into()), ..Sources::default() };
        assert!(sources.read("<string>".into()).text.is_some());
        let other = sources.read("<stdin>".into());
        assert!(other.text.is_none() && !other.is_unread);
        assert!(sources.read("<frozen nonsense>".into()).is_unread);
        assert!(sources.read("/nonexistent.py".into()).is_unread);
    }
}
