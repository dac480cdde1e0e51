//! A format's file with its configurations, and the tests of all laws for it.

use std::prelude::rust_2024::*;
use std::sync::Arc;

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::model::{Config, Format};
use tablewright_archdefs::{Sources, Style, read};

use super::{AGREEMENT, Case, ENGINE, Interpreted, LAWS, Subject};
use crate::ConfigError;

/// A configuration of a format's file.
///
/// ```
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// assert_eq!((first.config.id.value.as_str(), first.bound.levels.len()), ("sv39x4", 3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Configured {
    /// The format.
    pub format: Arc<Format>,
    /// The configuration.
    pub config: Config,
    /// All parameters.
    pub params: Params,
    /// The format under these parameters.
    pub bound: Bound,
}

/// Every configuration that a format's file names.
///
/// # Errors
///
/// What is wrong with one, with its name.
pub fn configured(format: Format) -> Result<Vec<Configured>, String> {
    let format = Arc::new(format);
    let bind = |config: &Config| {
        let params = Params::of_config(&format, config).map_err(|error| format!("{}: {error}", config.id.value))?;
        let bound = Bound::new(&format, &params).map_err(|error| format!("{}: {error}", config.id.value))?;
        Ok(Configured { format: Arc::clone(&format), config: config.clone(), params, bound })
    };
    format.configs.iter().map(bind).collect()
}

/// The generated format of a module under some parameters, or the error of its constructor; `None` if the parameters
/// belong to another module of the same file.
///
/// ```
/// use tablewright::testing::{Module, subject};
/// use tablewright::{generated_format, riscv64::sv_x4};
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// let module: Module = |params| Some(generated_format!(sv_x4, params)?.map(subject));
/// let generated = module(&first.params).ok_or("another module's parameters")??;
/// assert_eq!(generated.geometry().levels, 3);
/// # Ok(())
/// # }
/// ```
pub type Module = fn(&Params) -> Option<Result<Box<dyn Subject>, ConfigError>>;

/// Boxes a subject, as a [`Module`] returns it.
#[doc(hidden)]
pub fn subject(format: impl Subject + 'static) -> Box<dyn Subject> {
    Box::new(format)
}

/// The names of all laws, in the order in which they are tested.
pub fn names() -> Vec<&'static str> {
    LAWS.iter().chain([&AGREEMENT, &ENGINE]).map(|law| law.name).collect()
}

/// Tests a format's file, and the modules generated from it, against one law under every configuration: the body of a
/// test of [`format_tests!`](crate::format_tests). `path` is the path of the file, relative to the folder `root`.
///
/// # Panics
///
/// If the file is wrong, or the law does not hold; the message names all configurations in which it does not.
pub fn hold(law: &str, root: &str, path: &str, modules: &[Module]) {
    let load = |path: &str| std::fs::read_to_string(std::path::Path::new(root).join(path)).map_err(|e| e.to_string());
    let text = load(path).unwrap_or_else(|error| std::panic!("{path}: {error}"));
    let (sources, format) = read(path, &text, &load);
    let problems =
        |problems: &tablewright_archdefs::Diagnostics, sources: &Sources| problems.render(sources, Style::Plain);
    let format = format.unwrap_or_else(|found| std::panic!("{}", problems(&found, &sources)));
    let law = LAWS.iter().chain([&AGREEMENT, &ENGINE]).find(|known| known.name == law).expect("it is a law");
    let mut broken = Vec::new();
    let mut generated = 0;
    for case in configured(format).unwrap_or_else(|error| std::panic!("{error}")) {
        let reference = Interpreted(case.bound.clone());
        let mut check = |subject: &dyn Subject, which: &str| {
            let case = Case { subject, reference: &reference, format: &case.format, config: &case.config };
            if let Err(why) = (law.check)(&case) {
                broken.push(format!("{}, {which}: {why}", case.config.id.value));
            }
        };
        check(&reference, "interpreted");
        for module in modules.iter().filter_map(|module| module(&case.params)) {
            check(&*module.unwrap_or_else(|error| std::panic!("{}: {error}", case.config.id.value)), "generated");
            generated += 1;
        }
    }
    assert!(generated > 0, "no configuration of `{path}` is one of these modules");
    assert!(broken.is_empty(), "the law `{}` does not hold:\n{}", law.name, broken.join("\n"));
}

/// The generated format of a module under [`Params`](tablewright_archdefs::bound::Params): a
/// [`Generated`](crate::testing::Generated), or the error of its constructor; `None` if the parameters belong to another
/// module of the same file.
#[macro_export]
macro_rules! generated_format {
    ($($module:ident)::+, $params:expr) => {{
        use $($module)::+ as module;
        $crate::testing::generated::<module::Format>(&$params)
    }};
}

/// Generates tests of your own format: one for each law, under every `[[config]]` of its file, for generated code,
/// interpreter and engine.
///
/// ```ignore
/// #[cfg(test)]
/// tablewright::format_tests! { mod lpae_laws = "arch/lpae.toml": crate::lpae }
/// ```
///
/// The path is relative to your crate's `Cargo.toml`, as in [`page_table_format!`](crate::page_table_format). After it
/// come the modules that were generated from the file, all of them if it has `[[build]]` rows. The macro's module holds
/// one test for each law; it may also be in a file of `tests/`, without the `cfg`. Turn on the feature `testing` in
/// `[dev-dependencies]`.
#[macro_export]
macro_rules! format_tests {
    (mod $tests:ident = $path:literal: $($($module:ident)::+),+ $(,)?) => {
        mod $tests {
            use ::core::prelude::rust_2024::*;

            const MODULES: &[$crate::testing::Module] = &[$(|params| {
                let format = $crate::generated_format!($($module)::+, params)?;
                Some(format.map($crate::testing::subject))
            }),+];

            $crate::__law_tests! {
                $path: radix table_round_trip leaf_sweep attribute_round_trip page_sizes totality empty live_edits
                registers commands examples agreement engine
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __law_tests {
    ($path:literal: $($law:ident)+) => {
        $(#[test]
        fn $law() {
            $crate::testing::hold(stringify!($law), env!("CARGO_MANIFEST_DIR"), $path, MODULES);
        })+

        /// The list above is that of the laws there are.
        #[test]
        fn no_law_is_left_out() {
            ::core::assert_eq!($crate::testing::names(), [$(stringify!($law)),+]);
        }
    };
}
