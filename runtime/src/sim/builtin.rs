//! The formats that come with the library, for the simulated MMU.

extern crate std;

use std::string::String;

use tablewright_archdefs::bound::{BindError, Bound, Params};
use tablewright_archdefs::read_builtin;

/// Why [`built_in`] has no such format.
///
/// ```
/// use tablewright::sim::{BuiltInError, built_in};
///
/// assert_eq!(built_in("etp", "server").unwrap_err(), BuiltInError::Format("etp".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuiltInError {
    /// No built-in file has this name.
    #[error("there is no built-in format `{0}`")]
    Format(String),
    /// The file has no such configuration, or it is not legal.
    #[error("format `{format}`, configuration `{config}`: {error}")]
    Config {
        /// The format.
        format: String,
        /// The configuration.
        config: String,
        /// What is wrong with it.
        error: BindError,
    },
}

/// A built-in format, bound to one of the configurations that its file names (`[[config]]`).
///
/// # Errors
///
/// [`BuiltInError::Format`] or [`BuiltInError::Config`] if there is no such format or configuration.
///
/// ```
/// use tablewright::sim::built_in;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ept = built_in("ept", "server")?;
/// assert_eq!(ept.levels.len(), 4);
/// # Ok(())
/// # }
/// ```
pub fn built_in(format: &str, config: &str) -> Result<Bound, BuiltInError> {
    let Some((_, Ok(model))) = read_builtin(format) else {
        return Err(BuiltInError::Format(format.into()));
    };
    Params::named(&model, config).and_then(|params| Bound::new(&model, &params)).map_err(|error| BuiltInError::Config {
        format: format.into(),
        config: config.into(),
        error,
    })
}
