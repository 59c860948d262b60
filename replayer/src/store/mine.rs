//! Which code is the user's own: that of neither the standard library nor an installed package.

/// The paths of the user's own code; without any patterns, the paths of no library.
#[derive(Debug, Clone, Default)]
pub struct Mine {
    patterns: Vec<String>,
}

/// The environment variable with globs of paths of the user's own code, separated by colons.
pub const VARIABLE: &str = "DASHCAM_MINE";

impl Mine {
    /// Takes globs of paths; without any, code that is in no library is the user's own.
    pub fn new(patterns: &[String]) -> Mine {
        Mine { patterns: patterns.to_vec() }
    }

    /// Reads the patterns from the environment.
    pub fn of_environment() -> Mine {
        let patterns = std::env::var(VARIABLE).unwrap_or_default();
        let patterns = patterns.split(':').filter(|pattern| !pattern.is_empty());
        Mine { patterns: patterns.map(str::to_owned).collect() }
    }

    /// Whether the code of a file is the user's own.
    pub fn has(&self, path: &str) -> bool {
        if self.patterns.is_empty() {
            return !is_stdlib(path) && !is_installed(path) && !is_generated(path);
        }
        self.patterns.iter().any(|pattern| {
            let is_part = |part: &str| part == pattern;
            glob(pattern, path) || !pattern.contains(['*', '?']) && path.split('/').any(is_part)
        })
    }
}

/// Whether a file is part of the standard library.
pub fn is_stdlib(path: &str) -> bool {
    path.starts_with("<frozen ")
        || path.split_once("/lib/python3").is_some_and(|(_, rest)| !is_installed(rest))
}

fn is_installed(path: &str) -> bool {
    path.contains("/site-packages/") || path.contains("/dist-packages/")
}

/// Whether a library generated the code from a text: such code has no file. Neither has code that
/// somebody typed, which does not count.
fn is_generated(path: &str) -> bool {
    path.starts_with('<')
        && !["<string>", "<stdin>"].contains(&path)
        && !path.starts_with("<ipython-input")
}

/// Whether a text matches a pattern: `*` is any text, `?` any character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The position of the last `*`, and the end of the text it stands for.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::Mine;

    #[test]
    fn libraries_are_not_mine() {
        let mine = Mine::default();
        for path in ["/home/me/app.py", "<string>", "/srv/lib/app.py", "/home/me/lib/python/x.py"] {
            assert!(mine.has(path), "{path}");
        }
        for path in [
            "/usr/lib/python3.12/json/decoder.py",
            "/usr/lib/python3/dist-packages/yaml.py",
            "/home/me/.venv/lib/python3.13/site-packages/flask/app.py",
            "<frozen runpy>",
            "<attrs generated init app.A>",
        ] {
            assert!(!mine.has(path), "{path}");
        }
        let mine = Mine::new(&["*/flask/*".to_owned(), "app.py".to_owned()]);
        assert!(mine.has("/v/lib/python3.13/site-packages/flask/app.py") && mine.has("/x/app.py"));
        assert!(!mine.has("/home/me/other.py"));
    }
}
