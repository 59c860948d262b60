//! The documents are right: their links and paths lead somewhere, their commands run, their
//! examples in Python work.
#![allow(clippy::unwrap_used)]

use dashcam_tests::{Python, command, run, shell_status, tests_path, text};
use std::collections::BTreeSet;
use std::fs::{Permissions, copy, create_dir, read_dir, read_to_string, set_permissions, write};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Documents with commands for users to type.
const WITH_COMMANDS: [&str; 2] = ["README.md", "docs/guide.md"];

/// Commands that are not run here. CI runs them; it builds from scratch.
const NOT_RUN: [&str; 3] = ["make demo", "make test", "pip install ."];

fn root() -> PathBuf {
    tests_path("..").canonicalize().unwrap()
}

/// Collects every file of the repository, relative to its root, without what was built or fetched.
fn files(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if !["target", "build", ".venv", ".cache", ".git"].contains(&name.as_str()) {
                found.insert(format!("{name}/"));
                files(&path, root, found);
            }
        } else {
            found.insert(name);
        }
    }
}

/// Returns the documents, and the names of all files there are.
fn documents() -> (Vec<(String, String)>, BTreeSet<String>) {
    let mut all = BTreeSet::new();
    files(&root(), &root(), &mut all);
    let documents = all.iter().filter(|name| name.ends_with(".md"));
    let documents =
        documents.map(|name| (name.clone(), read_to_string(root().join(name)).unwrap()));
    (documents.collect(), all)
}

#[test]
fn links_lead_to_files_and_headings() {
    let (documents, _) = documents();
    let mut broken = Vec::new();
    for (name, text) in &documents {
        let folder = root().join(name).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { root().join(name) } else { folder.join(path) };
            let has_heading = || {
                let headings = read_to_string(&path).unwrap_or_default();
                headings.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
            };
            if !path.exists() || !heading.is_empty() && !has_heading() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Returns the anchor by which a link names a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A path may be relative to the folder that a paragraph is about, so it is enough if some file's
/// path ends in it.
#[test]
fn paths_between_backticks_exist() {
    const ENDS: [&str; 6] = [".rs", ".md", ".sh", ".toml", ".json", ".py"];
    // Files of users, in examples.
    const EXAMPLES: [&str; 4] = ["app.py", "orders.py", "deep.py", "walrus.py"];
    // What CPython has.
    const OTHERS: [&str; 1] = ["Objects/locations.md"];
    let (documents, all) = documents();
    let mut missing = Vec::new();
    for (name, text) in &documents {
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = ENDS.iter().any(|end| word.len() > end.len() && word.ends_with(end))
                && word.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
            let exists =
                || all.iter().any(|file| format!("/{file}").ends_with(&format!("/{word}")));
            if is_path
                && !OTHERS.contains(&word)
                && !EXAMPLES.iter().any(|example| word.ends_with(example))
                && !exists()
            {
                missing.push(format!("{name}: {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Returns the commands of a document: what follows `$` in its blocks of console, without comments.
fn commands(document: &str) -> Vec<String> {
    let text = read_to_string(root().join(document)).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| block.lines().filter_map(|line| line.strip_prefix("$ ")));
    let commands = lines.map(|line| line.split(" # ").next().unwrap().trim().to_owned());
    commands.filter(|command| !NOT_RUN.contains(&command.as_str())).collect()
}

/// Makes a folder with the files that the commands are about. It also has stand-ins for programs
/// that users have and this machine may lack.
fn scratch(python: &Python) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    copy(tests_path("docs/app.py"), at("app.py")).unwrap();
    copy(tests_path("demo/orders.py"), at("orders.py")).unwrap();
    // Stands in for pytest.
    write(at("pytest.py"), "import app\napp.main()\n").unwrap();
    write(at("pool.py"), "import os\nos.fork() or os._exit(3)\nos.wait()\n").unwrap();
    create_dir(at("tests")).unwrap();
    create_dir(at("src")).unwrap();
    create_dir(at("bin")).unwrap();
    let script = |name: &str, text: &str| {
        let path = at("bin").join(name);
        write(&path, text).unwrap();
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    };
    let executable = python.executable();
    script("black", &format!("#!{}\nprint('All done!')\n", executable.display()));
    script("uv", "#!/bin/sh\nshift\nexec python \"$@\"\n");
    for name in ["python3.13", "python3.14"] {
        symlink(&executable, at("bin").join(name)).unwrap();
    }
    folder
}

fn shell(python: &Python, folder: &Path, line: &str) -> std::process::Output {
    let mut shell = command("sh");
    let path = [folder.join("bin"), python.executable().parent().unwrap().to_owned()];
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let path = path.into_iter().chain(std::env::split_paths(&rest));
    shell.env("PATH", std::env::join_paths(path).unwrap());
    run(shell.current_dir(folder).args(["-c", line]))
}

#[test]
fn commands_run() {
    let python = Python::any();
    for document in WITH_COMMANDS {
        let folder = scratch(&python);
        let prepare = "for i in 1 2 3 4 5 6 7; do dashcam record -o ci.db app.py 2>&1; done
             dashcam record -o good.db app.py && dashcam record -o good.db app.py x
             dashcam record -o bad.db app.py y && dashcam record app.py && cp ci.db app.db";
        let prepared = shell(&python, folder.path(), prepare);
        assert_eq!(shell_status(&prepared), 0, "{}", text(&prepared.stderr));
        let commands = commands(document);
        assert!(commands.len() > 5, "{document}: {commands:?}");
        for line in commands {
            let output = shell(&python, folder.path(), &line);
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            // A difference is not an error.
            let statuses: &[i32] = if line.starts_with("dashcam diff") { &[0, 1] } else { &[0] };
            assert!(
                statuses.contains(&shell_status(&output)),
                "{document}: {line}: status {}\n{stdout}{stderr}",
                shell_status(&output)
            );
            if line.starts_with("dashcam record") {
                assert!(stderr.contains(" events in "), "{document}: {line}: {stderr}");
            }
        }
    }
}

#[test]
fn examples_in_python_work() {
    let python = Python::any();
    let mut examples = 0;
    for document in ["README.md", "docs/guide.md", "docs/python.md"] {
        let folder = scratch(&python);
        let prepared = shell(&python, folder.path(), "dashcam record app.py");
        assert_eq!(shell_status(&prepared), 0, "{}", text(&prepared.stderr));
        let source = read_to_string(root().join(document)).unwrap();
        for block in source.split("```python\n").skip(1) {
            let block = block.split("```").next().unwrap();
            // Leaves out the one line that needs a library which may be missing here.
            let lines = block.lines().filter(|line| !line.contains("rows.df()"));
            let lines: Vec<&str> = lines.collect();
            let program = format!("from app import main as work\n{}\n", lines.join("\n"));
            write(folder.path().join("example.py"), program).unwrap();
            let output = shell(&python, folder.path(), "python example.py");
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert_eq!(shell_status(&output), 0, "{document}\n{block}\n{stdout}{stderr}");
            examples += 1;
        }
    }
    assert!(examples >= 4, "{examples} examples");
}

#[test]
fn options_are_completed_in_shells_and_have_manual_pages() {
    let python = Python::any();
    let folder = scratch(&python);
    let printed = |line: &str| {
        let output = shell(&python, folder.path(), line);
        assert_eq!(shell_status(&output), 0, "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    // The options of `record` are those of the recorder, which is another program.
    let complete = |words: &str| {
        let mut last = words.split(' ').rev();
        let [word, before] = [last.next().unwrap(), last.next().unwrap()];
        let count = words.split(' ').count() - 1;
        printed(&format!(
            "bash -c 'eval \"$(dashcam completions bash)\"; COMP_WORDS=({words}); COMP_CWORD={count}; \
             _dashcam dashcam \"{word}\" \"{before}\"; echo \"${{COMPREPLY[@]}}\"'"
        ))
    };
    assert_eq!(complete("dashcam record --cap").trim(), "--capture");
    assert_eq!(complete("dashcam record --capture s").trim(), "state");
    assert_eq!(complete("dashcam rep").trim(), "replay");
    for shell in ["zsh", "fish"] {
        let script = printed(&format!("dashcam completions {shell}"));
        assert!(script.contains("no-c-arguments") && script.contains("all-code"), "{script}");
    }
    let page = printed("dashcam man record");
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    assert!(page.contains("\\-\\-capture") && page.contains("PROGRAM"), "{page}");
    printed("dashcam man --all pages");
    for page in ["dashcam.1", "dashcam-record.1", "dashcam-query.1"] {
        assert!(folder.path().join("pages").join(page).exists(), "{page}");
    }
    let unknown = shell(&python, folder.path(), "dashcam man sing");
    assert_eq!(shell_status(&unknown), 1);
    assert_eq!(text(&unknown.stderr), "dashcam: sing is not a command of dashcam\n");
}
