//! Which known name somebody meant.

/// The known name that takes the fewest changes to make `wrong` into it.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|name| cost(wrong, name))
}

/// How far apart two dotted names are. The same last part in another section is nearer than any misspelling of it.
fn cost(wrong: &str, name: &str) -> usize {
    let whole = distance(wrong, name) * 2;
    let last = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
    if last(wrong) == last(name) { whole.min(1) } else { whole }
}

/// The least number of letters to insert, delete, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(from != to);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes() {
        for (a, b, changes) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("port", "prot", 1), ("prt", "port", 1), ("a.b", "a.c", 1)]
        {
            assert_eq!(distance(a, b), changes, "{a} {b}");
        }
    }

    #[test]
    fn finds_what_was_meant() {
        let known = ["listen.host", "listen.port", "tls.certificate_file", "session.heartbeat_ms"];
        for (wrong, meant) in [
            ("listen.prot", "listen.port"),
            ("listen.prt", "listen.port"),
            ("listen.certificate_file", "tls.certificate_file"),
            ("session.heartbeat", "session.heartbeat_ms"),
            ("port", "listen.port"),
        ] {
            assert_eq!(nearest(wrong, known), Some(meant));
        }
    }
}
