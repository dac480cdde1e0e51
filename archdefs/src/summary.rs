//! A summary of a format over all its legal parameters.

use std::collections::{BTreeSet, HashSet};

use crate::bound::{Bound, Params, Values, legal_cases};
use crate::eval::names;
use crate::model::{Build, Format};
use crate::visit::{self, Part};

/// What a format, or one of its builds, can do: over all legal parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Numbers of levels.
    pub levels: BTreeSet<i64>,
    /// Widths of input addresses.
    pub input_bits: BTreeSet<i64>,
    /// The narrowest and the widest output addresses.
    pub output_bits: Option<(u8, u8)>,
    /// log2 of the sizes of pages, runs included.
    pub page_sizes: BTreeSet<u8>,
}

impl Summary {
    /// Collects these over all values of the parameters that sizes depend on.
    pub fn new(format: &Format, build: Option<&Build>) -> Self {
        let mut relevant: HashSet<String> = HashSet::from(["input_bits".into()]);
        let mut see = |expr| names(expr, &mut |name, _| relevant.extend([name.to_owned()]));
        visit::expressions(format, &mut |part, expr| {
            if matches!(part, Part::Geometry | Part::Root | Part::Rule) {
                see(expr);
            }
        });
        format.runs.iter().filter_map(|run| run.when.as_ref()).for_each(&mut see);
        let set = build.map_or(&[][..], |build| &build.set);
        let is_of_build = |params: &Params| set.iter().all(|(name, to)| params.get(&name.value) == Some(to.value));
        let mut summary = Self::default();
        let wanted = |name: &str| if relevant.contains(name) { Values::Sampled } else { Values::Needed };
        for params in legal_cases(format, &wanted).0 {
            if let Some(bound) =
                Some(&params).filter(|params| is_of_build(params)).and_then(|p| Bound::new(format, p).ok())
            {
                summary.add(format, &bound);
            }
        }
        summary
    }

    fn add(&mut self, format: &Format, bound: &Bound) {
        let params = &bound.params;
        self.levels.insert(params.levels());
        // Where there are many input sizes, the cases hold only a sample of them.
        let sizes = params.sizes(format).unwrap_or_default().into_iter();
        for (_, input_bits) in sizes.filter(|(levels, _)| *levels == params.levels()) {
            let mut params = params.clone();
            let is_new = !self.input_bits.contains(&input_bits);
            if is_new && params.set("input_bits", input_bits).is_ok() && params.is_legal(format) {
                self.input_bits.insert(input_bits);
            }
        }
        let output = bound.geometry.output_bits;
        let (least, most) = self.output_bits.unwrap_or((output, output));
        self.output_bits = Some((least.min(output), most.max(output)));
        self.page_sizes.extend((0..bound.geometry.levels).flat_map(|level| bound.page_sizes(level)));
    }
}
