//! Setting keys of one table in a configuration file, and leaving every other byte of it as it was. Pure.

/// `text` with these keys (name and TOML value) in the table `[table]`. Knows plain files: one table, one key a line; the
/// caller reads the result and compares.
pub fn with_keys(text: &str, table: &str, keys: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = format!("[{table}]");
    let bare = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let Some(begin) = lines.iter().position(|line| bare(line) == header) else {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(header);
        lines.extend(keys.iter().map(|(name, value)| format!("{name} = {value}")));
        return joined(&lines);
    };
    let after = lines
        .iter()
        .skip(begin + 1)
        .position(|line| line.trim_start().starts_with('['));
    let mut end = after.map_or(lines.len(), |at| begin + 1 + at);
    while end > begin + 1 && lines[end - 1].trim().is_empty() {
        end -= 1; // blank lines belong to what follows
    }
    for (name, value) in keys {
        let written = format!("{name} = {value}");
        let is_it = |line: &String| {
            bare(line)
                .split_once('=')
                .is_some_and(|(key, _)| key.trim() == *name)
        };
        match lines[begin + 1..end].iter().position(is_it) {
            Some(at) => lines[begin + 1 + at] = written,
            None => {
                lines.insert(end, written);
                end += 1;
            }
        }
    }
    joined(&lines)
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> [(&'static str, String); 2] {
        [("mode", quoted("named")), ("hostname", quoted("hub.example"))]
    }

    #[test]
    fn a_file_without_the_table_gets_it_at_the_end() {
        assert_eq!(
            with_keys("# mine\n[log]\nlevel = \"info\"\n", "tunnel", &keys()),
            "# mine\n[log]\nlevel = \"info\"\n\n[tunnel]\nmode = \"named\"\nhostname = \"hub.example\"\n"
        );
        assert_eq!(
            with_keys("", "tunnel", &keys()),
            "[tunnel]\nmode = \"named\"\nhostname = \"hub.example\"\n"
        );
    }

    #[test]
    fn keys_are_replaced_where_they_stand_and_the_rest_stays() {
        let text = "[tunnel] # the way in\n# a note\nmode = \"quick\" # for now\nbinary = \"cf\"\n\n[redis]\nmode = \"off\"\n";
        let once = with_keys(text, "tunnel", &keys());
        assert_eq!(
            once,
            "[tunnel] # the way in\n# a note\nmode = \"named\"\nbinary = \"cf\"\nhostname = \"hub.example\"\n\n[redis]\nmode = \"off\"\n"
        );
        assert_eq!(with_keys(&once, "tunnel", &keys()), once, "can be repeated");
    }

    #[test]
    fn what_is_written_is_read_back_whatever_it_holds() {
        for value in [
            "plain",
            "with \"quotes\"",
            "back\\slash",
            "/a b/é.json",
            "new\nline",
        ] {
            let text = with_keys("", "tunnel", &[("url", quoted(value))]);
            let read: toml::Table = text.parse().expect("TOML");
            assert_eq!(read["tunnel"]["url"].as_str(), Some(value));
        }
    }
}
