//! The formats of the library, as their files have them and as they are generated, by name and configuration.

use std::sync::Arc;

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::model::{Config, Format};
use tablewright_archdefs::{Style, read_builtin};

/// A configuration of a format's file.
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

/// Every configuration of a built-in format's file.
///
/// # Panics
///
/// If there is no such format, or it is wrong.
pub fn configured(name: &str) -> Vec<Configured> {
    let (sources, format) = read_builtin(name).unwrap_or_else(|| panic!("no format `{name}`"));
    let format = format.unwrap_or_else(|problems| panic!("{}", problems.render(&sources, Style::Plain)));
    let format = Arc::new(format);
    let bind = |config: &Config| {
        let params = Params::of_config(&format, config).unwrap_or_else(|error| panic!("{}: {error}", config.id.value));
        let bound = Bound::new(&format, &params).unwrap_or_else(|error| panic!("{}: {error}", config.id.value));
        Configured { format: Arc::clone(&format), config: config.clone(), params, bound }
    };
    format.configs.iter().map(bind).collect()
}

/// The generated format of a module under [`Params`]: a [`Generated`](crate::laws::Generated), or the error of its
/// constructor; `None` if the parameters belong to another module of the same file.
#[macro_export]
macro_rules! generated {
    ($($module:ident)::+, $params:expr) => {{
        use $($module)::+ as module;
        let mut config = module::Config::new(0, 0);
        $params.iter().all(|(name, value)| config.set(name, value)).then(|| {
            <module::Format as tablewright::Format>::new(&config).map(|format| $crate::laws::Generated {
                format,
                registers: |registers: &module::Registers| registers.by_name().to_vec(),
                report: |values| values.try_into().ok().map(module::Report::from_values),
                controls: |values| values.try_into().ok().map(module::Controls::from_values),
            })
        })
    }};
}
