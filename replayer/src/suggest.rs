//! "Did you mean": finds the name closest to a misspelt one.

/// The candidate that differs least, if the difference is small.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        let distance = distance(&name, &candidate.to_lowercase());
        (distance, candidate)
    });
    let (distance, candidate) = scored.min()?;
    (distance <= 1.max(name.chars().count() / 3)).then_some(candidate)
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into
/// `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        best = best.min(rows[i - 2][j - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_what_was_meant() {
        let columns = ["line", "seq", "kind", "code_id", "qualname"];
        assert_eq!(closest("lien", columns), Some("line"));
        assert_eq!(closest("Qualnam", columns), Some("qualname"));
        assert_eq!(closest("codeid", columns), Some("code_id"));
        assert_eq!(closest("LIMT", ["LIMIT", "order"]), Some("LIMIT"));
        assert_eq!(closest("banana", columns), None);
    }
}
