//! What an editor says with the JSON Schema, by an implementation of that standard: nothing of the formats that are
//! right, something of files with an unknown key or word.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use tablewright_archdefs::{BUILTINS, schema};

struct Editor {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Editor {
    fn new() -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("tablewright.schema.json", serde_json::from_str(schema()).unwrap()).unwrap();
        let schema = compiler.compile("tablewright.schema.json", &mut schemas).unwrap();
        Self { schemas, schema }
    }

    fn complaint(&self, text: &str) -> Option<String> {
        self.schemas.validate(&parse(text), self.schema).err().map(|error| error.to_string())
    }
}

fn parse(text: &str) -> Value {
    let table = toml::de::DeTable::parse(text).unwrap_or_else(|error| panic!("{error}"));
    object(table.into_inner())
}

fn object(table: toml::de::DeTable<'_>) -> Value {
    table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), convert(value.into_inner()))).collect()
}

fn convert(value: toml::de::DeValue<'_>) -> Value {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).unwrap())
        }
        DeValue::Boolean(truth) => json!(truth),
        DeValue::Array(values) => values.into_iter().map(|value| convert(value.into_inner())).collect(),
        DeValue::Table(table) => object(table),
        DeValue::Float(_) | DeValue::Datetime(_) => json!(0.5),
    }
}

#[test]
fn an_editor_has_nothing_to_say_of_files_that_are_right() {
    let editor = Editor::new();
    let texts = [("tiny", include_str!("../tiny.toml")), ("toy", include_str!("../toy.toml"))];
    for (name, text) in BUILTINS.iter().chain(&texts) {
        assert_eq!(editor.complaint(text), None, "{name}");
    }
    let child = "[format]\nextends = \"ept\"\nname = \"mine\"\nremove = [\"example\"]\n[live]\nbreak = []\n";
    assert_eq!(editor.complaint(child), None);
    assert!(editor.complaint(&child.replace("extends = \"ept\"\n", "")).is_some());
}

#[test]
fn an_editor_sees_mistakes() {
    let editor = Editor::new();
    let tiny = include_str!("../tiny.toml");
    for (right, wrong) in [
        ("page_bits = 12", "page_bist = 12"),
        ("is = \"software\"", "is = \"softwear\""),
        ("values = \"40, 44..=48\", ", ""),
        ("type = \"int\"", "type = \"bool\""),
        ("other = \"reserved\"", "default = 1"),
        ("address = \"table\"", "address = \"table\"\nsoftware = true"),
        ("[live]", "[life]"),
        ("page_sizes = \"4K 2M\"", "page_sizes = \"4096\""),
        ("\"0b001 r\"", "\"0b001 read\""),
        ("stage = 2", "stage = 3"),
        ("\"0x01\"", "\"0x011\""),
        ("invalid_cached = false\n", ""),
    ] {
        assert_eq!(tiny.matches(right).count(), 1, "{right}");
        assert!(editor.complaint(&tiny.replace(right, wrong)).is_some(), "{wrong:?} in place of {right:?}");
    }
}
