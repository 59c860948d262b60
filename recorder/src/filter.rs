//! Decides which code objects are recorded, once for each.

use crate::boot::Filter;
use std::ffi::CString;

/// The user's filter, with its patterns parsed.
pub(crate) struct Judge {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// Folder of the standard library, with a slash at its end, if the library is not recorded.
    stdlib: Option<String>,
    /// Folder of dashcam itself, which is never recorded.
    package: String,
}

enum Pattern {
    /// A module name, with `*` and `?`. A package's name includes its modules.
    Module(CString),
    /// A glob for a whole path. One for the end of a path begins with `*`.
    Path(CString),
}

impl Pattern {
    fn new(text: &str) -> Option<Pattern> {
        let is_path = text.contains('/') || text.ends_with(".py") || text.starts_with('<');
        let text = if is_path && !text.starts_with(['/', '*', '<']) {
            CString::new(format!("*/{}", text.trim_start_matches("./")))
        } else {
            CString::new(text)
        };
        Some(if is_path { Pattern::Path(text.ok()?) } else { Pattern::Module(text.ok()?) })
    }

    fn matches(&self, path: &str, module: &str) -> bool {
        match self {
            Pattern::Path(glob) => {
                glob_matches(glob, path)
                    || glob.to_bytes().ends_with(b"/") && glob_matches_folder(glob, path)
            }
            // `app.orders` is in `app`.
            Pattern::Module(glob) => {
                let ends = module.match_indices('.').map(|(i, _)| i).chain([module.len()]);
                ends.into_iter().any(|end| glob_matches(glob, &module[..end]))
            }
        }
    }
}

fn glob_matches(glob: &CString, text: &str) -> bool {
    let Ok(text) = CString::new(text) else { return false };
    // SAFETY: two NUL-terminated strings.
    unsafe { libc::fnmatch(glob.as_ptr(), text.as_ptr(), 0) == 0 }
}

fn glob_matches_folder(glob: &CString, path: &str) -> bool {
    let mut inside = glob.as_bytes().to_vec();
    inside.push(b'*');
    CString::new(inside).is_ok_and(|glob| glob_matches(&glob, path))
}

impl Judge {
    /// A judge for the idle state, which never asks it.
    pub(crate) fn nothing() -> Judge {
        Judge::new(&Filter::default(), "", "")
    }

    /// `stdlib` is the folder of the standard library.
    pub(crate) fn new(filter: &Filter, stdlib: &str, package: &str) -> Judge {
        let patterns = |texts: &[String]| texts.iter().filter_map(|t| Pattern::new(t)).collect();
        Judge {
            include: patterns(&filter.include),
            exclude: patterns(&filter.exclude),
            stdlib: filter.no_stdlib.then(|| format!("{stdlib}/")),
            package: format!("{package}/"),
        }
    }

    /// What happens to the events of a code object of this file and module.
    pub(crate) fn wants(&self, path: &str, module: &str) -> Verdict {
        if path.starts_with(&self.package) {
            return Verdict::Ours;
        }
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(path, module));
        let wanted = (self.include.is_empty() || any(&self.include))
            && !any(&self.exclude)
            && !self.is_stdlib(path);
        if wanted { Verdict::Record } else { Verdict::Filtered }
    }

    fn is_stdlib(&self, path: &str) -> bool {
        self.stdlib.as_ref().is_some_and(|stdlib| {
            path.starts_with("<frozen ")
                || path.strip_prefix(stdlib.as_str()).is_some_and(|rest| {
                    !rest.starts_with("site-packages/") && !rest.starts_with("dist-packages/")
                })
        })
    }
}

/// What happens to a code object's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Record,
    /// The user's filter excludes it.
    Filtered,
    /// Part of dashcam.
    Ours,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(include: &[&str], exclude: &[&str], no_stdlib: bool) -> Judge {
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        let filter = Filter { include: own(include), exclude: own(exclude), no_stdlib };
        Judge::new(&filter, "/usr/lib/python3.13", "/venv/dashcam")
    }

    #[test]
    fn patterns_name_modules_or_paths() {
        let j = judge(&["app"], &["app.vendored", "*/generated_*.py"], false);
        assert_eq!(j.wants("/x/app/a.py", "app.a"), Verdict::Record);
        assert_eq!(j.wants("/x/app/v/a.py", "app.vendored.a"), Verdict::Filtered);
        assert_eq!(j.wants("/x/app/generated_1.py", "app.generated_1"), Verdict::Filtered);
        assert_eq!(j.wants("/x/application.py", "application"), Verdict::Filtered);
        let j = judge(&["src/app/"], &[], false);
        assert_eq!(j.wants("/home/me/src/app/x/y.py", "y"), Verdict::Record);
        let j = judge(&["main.py"], &[], false);
        assert_eq!(j.wants("/home/me/main.py", "__main__"), Verdict::Record);
        assert_eq!(j.wants("/home/me/domain.py", "domain"), Verdict::Filtered);
    }

    #[test]
    fn installed_packages_are_not_the_standard_library() {
        let j = judge(&[], &[], true);
        assert_eq!(
            j.wants("/usr/lib/python3.13/json/decoder.py", "json.decoder"),
            Verdict::Filtered
        );
        assert_eq!(j.wants("<frozen importlib._bootstrap>", "importlib"), Verdict::Filtered);
        assert_eq!(
            j.wants("/usr/lib/python3.13/site-packages/click/core.py", "click.core"),
            Verdict::Record
        );
        assert_eq!(j.wants("/venv/dashcam/__init__.py", "dashcam"), Verdict::Ours);
    }
}
