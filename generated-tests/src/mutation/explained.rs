//! The list of survivors, `survivors.toml`: each with the reason why nothing can notice it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Score;

/// Survivors with their reasons.
#[derive(Debug)]
pub struct Explained {
    /// The names of survivors, by format.
    survivors: BTreeMap<String, BTreeSet<String>>,
}

impl Explained {
    /// The list of the repository.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the file.
    pub fn read() -> Result<Self, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("survivors.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let list = DeTable::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?.into_inner();
        let mut survivors = BTreeMap::<String, BTreeSet<String>>::new();
        for class in array(list.get("class"))? {
            let class = class.get_ref().as_table().ok_or("a class is a table")?;
            let why = class.get("why").and_then(|why| why.get_ref().as_str()).ok_or("a class without `why`")?;
            let wrong = |what: &str| format!("{what}, under: {why}");
            for formats in class.iter().filter(|(key, _)| key.get_ref() != "why") {
                let (format, names) = (formats.0.get_ref().to_string(), array(Some(formats.1))?);
                for name in names {
                    let name = name.get_ref().as_str().ok_or_else(|| wrong("a survivor that is no text"))?;
                    if !survivors.entry(format.clone()).or_default().insert(name.to_owned()) {
                        return Err(wrong(&format!("`{name}` is there twice")));
                    }
                }
            }
        }
        Ok(Self { survivors })
    }

    /// The survivors that the list does not name.
    pub fn unexplained(&self, score: &Score) -> Vec<String> {
        let survivors = score.survivors.iter().filter(|mutant| !self.of(score).any(|name| *name == mutant.name));
        survivors.map(|mutant| format!("survives without a reason: '{}',", mutant.name)).collect()
    }

    /// The entries of the list that were noticed, or that do not exist.
    pub fn stale(&self, score: &Score) -> Vec<String> {
        let found: BTreeSet<&String> = score.survivors.iter().map(|mutant| &mutant.name).collect();
        let stale = self.of(score).filter(|name| !found.contains(name));
        stale.map(|name| format!("is listed and does not survive: '{name}',")).collect()
    }

    fn of(&self, score: &Score) -> impl Iterator<Item = &String> {
        self.survivors.get(score.format).into_iter().flatten()
    }
}

fn array<'a, 'b>(value: Option<&'a toml::Spanned<DeValue<'b>>>) -> Result<&'a toml::de::DeArray<'b>, String> {
    let value = value.ok_or("no survivors")?;
    value.get_ref().as_array().ok_or_else(|| "survivors that are no list".to_owned())
}
