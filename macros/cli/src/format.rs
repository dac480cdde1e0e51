//! Finds the format that a command line names, and its parameters.

use clap::Args;
use std::fs::File;
use std::io::{self, Read};
use std::path::MAIN_SEPARATOR;

use tablewright_archdefs::bound::{BindError, Bound, Malformed, Params};
use tablewright_archdefs::model::{Build, Config, Domain, Format};
use tablewright_archdefs::source::Span;
use tablewright_archdefs::{BUILTINS, Diagnostics, Sources, Style, check, read, read_builtin, show};

use crate::Console;
use crate::failure::{Failure, Failures, Result};
use crate::number;

/// Which format, and which of its parameters.
#[derive(Args, Debug)]
pub(crate) struct FormatArgs {
    /// A built-in format or build (`tablewright list` names them), or the path of a TOML file
    pub(crate) format: String,
    #[command(flatten)]
    pub(crate) params: ParamArgs,
}

/// The parameters of a format.
#[derive(Args, Debug)]
pub(crate) struct ParamArgs {
    /// Start from this [[config]] of the file; without it, from its first
    #[arg(long, value_name = "ID")]
    pub(crate) config: Option<String>,
    /// Set a parameter: `pa_bits=46`, `huge_1g`, `!huge_1g`; may be repeated, or hold several with commas
    #[arg(long = "set", value_name = "PARAM=VALUE", value_delimiter = ',')]
    pub(crate) set: Vec<String>,
}

/// A format that was found, with its files.
pub(crate) struct Found {
    pub(crate) sources: Sources,
    pub(crate) format: Format,
    /// The index of the build that was named.
    build: Option<usize>,
}

/// The largest format file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// The text of a file; of standard input for `-`.
pub(crate) fn load(path: &str) -> std::result::Result<String, String> {
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source.take(LARGEST + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == "-" { read(&mut io::stdin()) } else { File::open(path).and_then(|mut file| read(&mut file)) };
    match text {
        Ok(text) if text.len() as u64 > LARGEST => Err(format!("more than {LARGEST} bytes are no format")),
        text => text.map_err(|error| error.to_string()),
    }
}

/// The files read for a name or a path, and the format or its mistakes.
pub(crate) type Reading = (Sources, std::result::Result<Format, Diagnostics>);

/// Reads a built-in format, or the file at a path.
///
/// # Errors
///
/// [`Failure`] if there is no such format or file.
pub(crate) fn read_named(name: &str) -> Result<Reading> {
    if is_path(name) {
        let text = load(name).map_err(|error| Failure::new(format!("cannot read `{name}`: {error}")))?;
        return Ok(read(name, &text, &load));
    }
    read_builtin(name).ok_or_else(|| unknown(name, BUILTINS.iter().map(|(name, _)| *name)))
}

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Failure {
    let what = "built-in names (a path ends with `.toml`)";
    Failure::unknown(format!("there is no built-in format `{name}`"), name, what, names)
}

fn is_path(name: &str) -> bool {
    name == "-" || name.ends_with(".toml") || name.contains(['/', MAIN_SEPARATOR])
}

impl Found {
    /// Finds the format that `name` stands for: a built-in one, one of their builds, or the file at a path.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is none, or if it has mistakes.
    pub(crate) fn new(name: &str) -> Result<Self> {
        if is_path(name) || BUILTINS.iter().any(|(built_in, _)| *built_in == name) {
            return Self::of(read_named(name)?);
        }
        let mut names: Vec<String> = Vec::new();
        for (built_in, _) in BUILTINS {
            let mut found = Self::of(read_named(built_in)?)?;
            names.push((*built_in).into());
            names.extend(found.format.builds.iter().map(|build| build.name.value.clone()));
            found.build = found.format.builds.iter().position(|build| build.name.value == name);
            if found.build.is_some() {
                return Ok(found);
            }
        }
        Err(unknown(name, names.iter().map(String::as_str)))
    }

    /// As [`Self::new`], for a command that answers even if the checker finds mistakes, because it may be used to look
    /// for them. A note says that there are some.
    pub(crate) fn noting(name: &str, console: &mut Console<'_>) -> Result<Self> {
        let found = Self::new(name)?;
        let count = found.findings().len();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            writeln!(console.err, "note: {name} has {count} mistake{plural}: `tablewright check {name}` names them")?;
        }
        Ok(found)
    }

    /// The checker's findings. Built-in formats are not checked here, as the tests of their package do that.
    pub(crate) fn findings(&self) -> Diagnostics {
        if self.sources.files().iter().all(|file| file.built_in) { Diagnostics::default() } else { check(&self.format) }
    }

    fn of((sources, format): Reading) -> Result<Self> {
        match format {
            Ok(format) => Ok(Self { sources, format, build: None }),
            Err(mistakes) => Err(Failure::Mistakes(mistakes.render(&sources, Style::Coloured))),
        }
    }

    /// The build that was named.
    pub(crate) fn build(&self) -> Option<&Build> {
        self.build.and_then(|build| self.format.builds.get(build))
    }

    /// The title of the build that was named, or that of the format.
    pub(crate) fn title(&self) -> &str {
        self.build().and_then(|build| build.title.as_deref()).unwrap_or(&self.format.title)
    }

    /// Binds the format to the parameters that were asked for.
    ///
    /// # Errors
    ///
    /// [`Failure`] if they are not legal together; it says what is.
    pub(crate) fn bind(&self, args: &ParamArgs) -> Result<Bound> {
        let base = match &args.config {
            Some(id) => Params::named(&self.format, id).map_err(|error| match error {
                BindError::Unknown(_) => {
                    let ids = self.format.configs.iter().map(|config| config.id.value.as_str());
                    Failure::unknown(format!("there is no configuration `{id}`"), id, "configurations", ids)
                }
                error => self.failure(&error, None),
            })?,
            None => self.default_params()?,
        };
        let mut failures = Failures::default();
        let each = |text: &String| {
            let (name, value) = assignment(text)?;
            match base.with(&self.format, &[(name.as_str(), value)]) {
                Err(error @ (BindError::Unknown(_) | BindError::Value { .. })) => {
                    Err(self.failure(&error, Some(&base)))
                }
                // It may be legal together with the others.
                _ => Ok((name, value)),
            }
        };
        let set: Vec<_> = args.set.iter().filter_map(|text| failures.note(each(text))).collect();
        if set.len() < args.set.len() {
            return Err(failures.into());
        }
        let set: Vec<_> = set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let params = base.with(&self.format, &set).map_err(|error| self.failure(&error, Some(&base)))?;
        Bound::new(&self.format, &params).map_err(|error| self.failure(&error, Some(&params)))
    }

    /// The `[[config]]` rows of the build that was named; all of them if none was.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Config> {
        self.configs_of(self.build())
    }

    fn configs_of(&self, build: Option<&Build>) -> impl Iterator<Item = &Config> {
        let set: Vec<_> = build.iter().flat_map(|build| &build.set).map(|(name, to)| (&name.value, to.value)).collect();
        self.format.configs.iter().filter(move |config| {
            let params = Params::of_config(&self.format, config);
            params.is_ok_and(|params| set.iter().all(|(name, to)| params.get(name) == Some(*to)))
        })
    }

    /// The parameters of the first `[[config]]` of the build that was named, or of the first build; the defaults if there
    /// is none.
    fn default_params(&self) -> Result<Params> {
        let build = self.build().or_else(|| self.format.builds.first());
        let params = match self.configs_of(build).next() {
            Some(config) => Params::of_config(&self.format, config),
            None => Params::of_build(&self.format, build),
        };
        params.map_err(|error| self.failure(&error, None))
    }

    /// Why parameters cannot be bound, and what can.
    fn failure(&self, error: &BindError, params: Option<&Params>) -> Failure {
        let text = |span: Span| self.sources.text(span);
        let failure = Failure::new(error.to_string());
        match error {
            BindError::Unknown(name) => {
                let params = self.format.params.iter().map(|param| param.name.value.as_str());
                let names: Vec<_> = params.chain(["levels", "input_bits"]).collect();
                Failure::unknown(format!("there is no parameter `{name}`"), name, "parameters", names.into_iter())
            }
            BindError::Value { param, .. } => {
                let domain = self.format.params.iter().find(|known| known.name.value == *param);
                match domain.map(|param| &param.domain) {
                    Some(Domain::Int(values)) => failure.help(format!("it is one of {}", show::set(values))),
                    Some(Domain::Word) | None => failure,
                    Some(Domain::Bool) => failure.help("it is `true` or `false`"),
                }
            }
            BindError::Unavailable { param, span } => {
                failure.help(format!("`{param}` needs `{}`: add a `--set`", text(*span)))
            }
            BindError::Rule(span) => failure.help(format!("the rule is `{}`: change it with `--set`", text(*span))),
            BindError::Root { levels, .. } => failure.help(self.sizes(*levels, params)),
            BindError::RootNeeds { condition, .. } => {
                let is_name = self.format.params.iter().any(|param| param.name.value == *condition);
                let how = if is_name { format!("`--set {condition}`") } else { "a `--set`".to_owned() };
                failure.help(format!("add {how}, or choose another size: {}", self.existing(params)))
            }
            BindError::Malformed(malformed) => self.malformed(malformed),
        }
    }

    /// The numbers of levels that exist under `params`.
    fn existing(&self, params: Option<&Params>) -> String {
        let sizes = params.and_then(|params| params.sizes(&self.format).ok()).unwrap_or_default();
        let mut known: Vec<i64> = sizes.iter().map(|size| size.0).collect();
        known.sort_unstable();
        known.dedup();
        format!("`levels` is one of {}", show::set(&known))
    }

    fn sizes(&self, levels: i64, params: Option<&Params>) -> String {
        let sizes = params.and_then(|params| params.sizes(&self.format).ok()).unwrap_or_default();
        let of = |wanted: i64| {
            let mut bits: Vec<i64> = sizes.iter().filter(|size| size.0 == wanted).map(|size| size.1).collect();
            bits.sort_unstable();
            bits
        };
        match of(levels).as_slice() {
            [] => {
                let roots = self.format.roots.iter().filter(|root| root.levels.value.contains(&levels));
                let needs = roots.filter_map(|root| root.when.as_ref()).map(|when| format!("`{when}`"));
                match needs.collect::<Vec<_>>().as_slice() {
                    [] => self.existing(params),
                    needs => format!("{levels} levels need {}: add a `--set`", needs.join(" or ")),
                }
            }
            bits => format!("with {levels} levels, `input_bits` is one of {}", show::set(bits)),
        }
    }

    /// The failure for a part of the file that cannot be evaluated under some parameters.
    pub(crate) fn malformed(&self, malformed: &Malformed) -> Failure {
        let place = self.sources.place(malformed.span);
        let place = place.map_or_else(String::new, |place| format!("{}:{}:{}: ", place.path, place.line, place.column));
        let text = self.sources.text(malformed.span);
        Failure::new(format!("{place}`{text}`: {}", malformed.message)).help("`tablewright check` tells all mistakes")
    }
}

/// The failure for a level that does not exist, with those that do.
pub(crate) fn no_level(bound: &Bound, level: u8) -> Failure {
    let help = format!("with these parameters levels are 0..={}; 0 is the leaf-most", bound.geometry.top());
    Failure::new(format!("there is no level {level}")).help(help)
}

/// `raw`, if it fits an entry.
pub(crate) fn entry(bound: &Bound, raw: u64) -> Result<u64> {
    let fits = raw & !bound.word.mask() == 0;
    fits.then_some(raw).ok_or_else(|| Failure::new(format!("an entry has {} bits", bound.word.bits())))
}

/// `name=value`, `name` or `!name`.
fn assignment(text: &str) -> Result<(String, i64)> {
    let text = text.trim();
    let Some((name, value)) = text.split_once('=') else {
        let (name, value) = text.strip_prefix('!').map_or((text, 1), |name| (name, 0));
        return Ok((name.trim().into(), value));
    };
    let read = number::value(value).ok_or_else(|| {
        Failure::new(format!("`{}` is no value of a parameter", value.trim())).help("write a number, `true` or `false`")
    })?;
    Ok((name.trim().into(), read))
}
