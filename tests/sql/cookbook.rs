//! The questions of `docs/sql.md` have the answers that are printed there.

use dashcam_tests::{Python, Recording, run, tests_path, text};
use serde_json::{Map, Value};

/// A question of the document.
struct Question {
    title: String,
    sql: String,
    /// The header, then one line per row.
    answer: Vec<String>,
}

/// Columns whose values differ from run to run: times, and positions and ids, which depend on what
/// the interpreter does before the program begins.
fn varies(column: &str) -> bool {
    ["_ns", "_ms", "seq", "_id", "_percent"].iter().any(|end| column.ends_with(end))
}

fn block<'a>(section: &'a str, language: &str) -> &'a str {
    let begin = format!("```{language}\n");
    let (_, rest) =
        section.split_once(&begin).unwrap_or_else(|| panic!("no {language}: {section}"));
    rest.split_once("\n```").unwrap_or_else(|| panic!("no end: {section}")).0
}

fn questions() -> Vec<Question> {
    let document = std::fs::read_to_string(tests_path("../docs/sql.md")).unwrap();
    let sections = document.split("\n### ").skip(1);
    sections
        .map(|section| Question {
            title: section.lines().next().unwrap().to_owned(),
            sql: block(section, "sql").to_owned(),
            answer: block(section, "text").lines().map(str::to_owned).collect(),
        })
        .collect()
}

/// Records the shop in its own folder, so that paths are as in the document.
fn shop() -> Recording {
    let python = Python::any();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("dashcam.db");
    let mut record = python.record(&db);
    record.arg("shop.py").current_dir(tests_path("sql/cookbook"));
    let output = run(&mut record);
    assert!(output.status.success(), "{}", text(&output.stderr));
    Recording { python, db, output, folder }
}

/// Returns a value as the document prints it, word by word; `None` for a number that varies.
fn words(column: &str, value: &Value) -> Vec<Option<String>> {
    let shown = match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        number if varies(column) && number.is_number() => return vec![None],
        other => other.to_string(),
    };
    shown.split_whitespace().map(|word| Some(word.to_owned())).collect()
}

#[test]
fn every_question_has_the_answer_in_the_document() {
    let questions = questions();
    assert!(questions.len() >= 25, "{}", questions.len());
    let recording = shop();
    let mut wrong = String::new();
    for Question { title, sql, answer } in &questions {
        assert!(!sql.to_lowercase().contains("recursive"), "{title}");
        let mut query = recording.python.dashcam();
        query.arg("query").arg(&recording.db).arg(sql).args(["--format", "jsonl"]);
        let output = run(&mut query);
        let rows: Vec<Map<String, Value>> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
        let is_right = output.status.success()
            && text(&output.stderr).is_empty()
            && answer.len() == rows.len() + 1
            && answer.iter().skip(1).zip(&rows).all(|(line, row)| is_row(line, row))
            && rows
                .first()
                .is_none_or(|row| answer[0].split_whitespace().eq(row.keys().map(String::as_str)));
        if !is_right {
            wrong +=
                &format!("{title}\n{sql}\nexpected\n{}\nfound\n{printed}\n", answer.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn is_row(line: &str, row: &Map<String, Value>) -> bool {
    let expected: Vec<Option<String>> =
        row.iter().flat_map(|(column, value)| words(column, value)).collect();
    let shown: Vec<&str> = line.split_whitespace().collect();
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    expected.len() == shown.len()
        && expected.iter().zip(shown).all(|(expected, word)| match expected {
            Some(expected) => expected == word,
            None => is_number(word),
        })
}
