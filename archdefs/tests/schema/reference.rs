//! The tables of `README.md`: between `<!-- keys of PATH -->` and `<!-- end -->` stand the keys of that table.

use tablewright_archdefs::schema::{Key, Presence, show, tables};

/// The text with every table as the schema has it.
pub(crate) fn with_tables(readme: &str) -> String {
    let tables = tables();
    let mut shown = Vec::new();
    let mut text = String::new();
    let mut parts = readme.split("<!-- keys of ");
    text.push_str(parts.next().unwrap());
    for part in parts {
        let (path, rest) = part.split_once(" -->").unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("`{path}` has no end"));
        let (_, keys) = tables.iter().find(|(known, _)| known == path).unwrap_or_else(|| panic!("no table `{path}`"));
        text.push_str(&format!("<!-- keys of {path} -->\n{}<!-- end -->{after}", table(keys)));
        shown.push(path);
    }
    for (path, _) in &tables {
        let times = shown.iter().filter(|shown| *shown == path).count();
        assert!(times == 1 || path == "example", "`{path}` is {times} times in README.md");
    }
    text
}

fn table(keys: &[Key]) -> String {
    let mut text = String::from("| key | form | meaning | default |\n|---|---|---|---|\n");
    for key in keys {
        let absent = match key.presence {
            Presence::Required => String::new(),
            Presence::Optional(absent) => absent.to_owned(),
            Presence::OneOf => "*meaning*".to_owned(),
            Presence::With { keys, absent } => {
                let absent = absent.map_or(String::new(), |absent| format!(": {absent}"));
                format!("only with {}{absent}", show(keys))
            }
        };
        let cells = [format!("`{}`", key.name), key.form.to_string(), key.meaning.to_owned(), absent];
        text.push_str(&format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ").replace("  |", " |")
        ));
    }
    text
}
