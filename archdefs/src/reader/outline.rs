//! The names that a format file gives to generated items, even if the file has mistakes: code that uses the names is
//! not wrong for that.

use super::context::is_rust_name;
use super::read_anyway;
use crate::model::{At, Bind, Domain, Format, Reading};
use crate::source::File;

/// The names of a format that users' code may use. All can be names in Rust, and none occurs twice.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// The modules; none if the file makes one module.
    pub builds: Vec<String>,
    /// The parameters that configurations set.
    pub params: Vec<(String, Domain)>,
    /// The identification registers.
    pub capabilities: Vec<String>,
    /// The registers that activate a root table.
    pub registers: Vec<String>,
    /// The registers of a fault report.
    pub report: Vec<String>,
    /// The registers that modify rights at the time of an access.
    pub controls: Vec<String>,
}

/// The outline of a file with mistakes, as far as it can be read. The arguments are those of [`read`](super::read).
pub fn outline(path: &str, text: &str, load: &dyn Fn(&str) -> Result<String, String>) -> Outline {
    let file = File { path: path.to_owned(), text: text.to_owned(), built_in: false };
    read_anyway(file, load).1.map_or_else(Outline::default, |format| Outline::of(&format))
}

impl Outline {
    fn of(format: &Format) -> Self {
        let params = format.params.iter().filter(|param| param.bind != Bind::Build && is_rust_name(&param.name.value));
        Self {
            builds: names(format.builds.iter().map(|build| &build.name)),
            params: params.map(|param| (param.name.value.clone(), param.domain.clone())).collect(),
            capabilities: readings(format.capabilities.iter().flat_map(|capabilities| &capabilities.registers)),
            registers: names(format.registers.iter().map(|register| &register.name)),
            report: readings(format.fault.iter().flat_map(|fault| &fault.registers)),
            controls: readings(format.access.iter().flat_map(|access| &access.registers)),
        }
    }
}

fn readings<'a>(registers: impl Iterator<Item = &'a Reading>) -> Vec<String> {
    names(registers.map(|register| &register.name))
}

fn names<'a>(names: impl Iterator<Item = &'a At<String>>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names.filter(|name| is_rust_name(&name.value)) {
        if !found.contains(&name.value) {
            found.push(name.value.clone());
        }
    }
    found
}
