//! What the tests of this package share.
#![allow(dead_code, reason = "each test uses a part of it")]

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::model::Format;
use tablewright_archdefs::{BUILTINS, Style, builtin, check, read, read_builtin};

/// The text of a built-in format.
pub(crate) fn text(name: &str) -> &'static str {
    builtin(name).unwrap()
}

/// A built-in format.
pub(crate) fn format(name: &str) -> Format {
    read_builtin(name).unwrap().1.unwrap()
}

/// Reads and checks a text; what is wrong with it, as people see it.
pub(crate) fn findings(name: &str, text: &str) -> String {
    let (sources, format) = read(&format!("{name}.toml"), text, &|_| Err("not here".into()));
    let diagnostics = format.map_or_else(|unread| unread, |format| check(&format));
    diagnostics.render(&sources, Style::Plain)
}

/// A built-in format under one of its configurations.
pub(crate) fn bound(name: &str, config: &str) -> Bound {
    bound_text(text(name), config)
}

/// A format from its text, under one of its configurations.
pub(crate) fn bound_text(text: &str, config: &str) -> Bound {
    let format = read("test.toml", text, &|_| Err("not here".into())).1.unwrap();
    Bound::new(&format, &Params::named(&format, config).unwrap()).unwrap()
}

/// What a CPU loads at `address` where the entries around it are as `entry` says.
pub(crate) fn load(bound: &Bound, address: u64, entry: impl Fn(u64) -> u64) -> u64 {
    let slots = (address..address + 8).step_by(1 << bound.word.size);
    slots.fold(0, |word, slot| bound.word.set(word, slot, entry(slot)))
}

/// Every configuration of every built-in format.
pub(crate) fn bound_configs() -> impl Iterator<Item = Bound> {
    BUILTINS.iter().flat_map(|(name, _)| {
        let format = format(name);
        let params = format.configs.iter().map(|config| Params::of_config(&format, config).unwrap());
        params.map(|params| Bound::new(&format, &params).unwrap()).collect::<Vec<_>>()
    })
}
