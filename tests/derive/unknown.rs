//! An interpreter for whose bytecode there are no rules: a known one with another magic number.

use dashcam_schema::bytecode::opcodes::Version;
use dashcam_tests::{Python, program, run, run_with_input, text};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// No version has this number.
const MAGIC: u16 = 9999;

/// Makes an environment in `folder` with such an interpreter. Returns `None` if the interpreter
/// keeps the number elsewhere than in its program file.
fn unknown(python: &Python, folder: &Path) -> Option<()> {
    let whole = |magic: u16| [&magic.to_le_bytes()[..], b"\r\n"].concat();
    let magic =
        python.eval("int.from_bytes(__import__('importlib.util').util.MAGIC_NUMBER[:2], 'little')");
    let known = whole(magic.parse().unwrap());
    let mut binary = std::fs::read(python.executable().canonicalize().unwrap()).unwrap();
    let found: Vec<usize> =
        (0..binary.len() - 4).filter(|at| binary[*at..*at + 4] == known[..]).collect();
    found.iter().for_each(|at| binary[*at..*at + 4].copy_from_slice(&whole(MAGIC)));
    let venv = python.eval("sys.prefix");
    std::fs::create_dir(folder.join("bin")).unwrap();
    std::fs::write(folder.join("bin/python"), binary).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("bin/python"), executable).unwrap();
    for name in ["pyvenv.cfg", "lib"] {
        symlink(Path::new(&venv).join(name), folder.join(name)).unwrap();
    }
    (!found.is_empty()).then_some(())
}

/// Recording less than was asked for is always reported.
#[test]
fn an_unknown_interpreter_is_reported() {
    assert_eq!(Version::from_magic(MAGIC), None);
    let mut tried = 0;
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        if unknown(&python, folder.path()).is_none() {
            println!("SKIPPED: {python} has its bytecode's number in a library");
            continue;
        }
        tried += 1;
        let db = folder.path().join("db");
        let record = |options: &[&str]| {
            let mut command = python.record(&db);
            command.arg("--python").arg(folder.path().join("bin/python")).args(options);
            let output = run(command.arg(program("loops.py")));
            assert!(output.status.success(), "{python}: {}", text(&output.stderr));
            text(&output.stderr)
        };
        let (major, minor) = python.version;
        let what = format!("CPython {major}.{minor} is not known to this version");
        let less = format!("{what}: events recorded directly, no values");
        assert!(record(&[]).contains(&format!("dashcam: {less}\n")), "{python}");
        let query = |sql: &str| {
            let output = run(python.dashcam().args(["query", "--format", "csv"]).arg(&db).arg(sql));
            text(&output.stdout).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(
            query("select detail from losses where severity = 'loss'"),
            format!("\"{less}\"")
        );
        assert_eq!(query("select events_by, lost_count from runs"), "direct,1");
        assert_eq!(query("select instr(quirks, 'is not known') > 0 from runs"), "1");
        let runs = run(python.dashcam().arg("runs").arg(&db));
        assert!(text(&runs.stderr).contains(&less), "{python}: {}", text(&runs.stderr));
        let replay = run_with_input(python.dashcam().arg("replay").arg(&db), b"where\n");
        assert!(text(&replay.stderr).contains(&less), "{python}: {}", text(&replay.stderr));
        // Nothing is reported as missing that was not asked for.
        let printed = record(&["--events", "direct", "--capture", "flow"]);
        assert!(!printed.contains("not known"), "{python}: {printed}");
        let printed = record(&["--capture", "flow"]);
        assert!(
            printed.contains(&format!("{what}: events recorded directly\n")),
            "{python}: {printed}"
        );
    }
    assert!(tried > 0, "no Python has its bytecode's number in its program");
}
