//! Generates `FormatInfo`: a description of the format for people and tools.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{Scope as Reach, TlbOp};

use crate::literal;
use crate::scope::Scope;

/// The value of `Format::INFO` for the module `name`.
pub(crate) fn info(scope: &Scope<'_>, name: &str, title: &str) -> TokenStream {
    let format = scope.format;
    let (architecture, cite) = (&format.architecture, &format.cite);
    let stage = literal::number(format.stage.into());
    let tlb = format.tlb.iter().map(operation).collect::<Vec<_>>().join("; ");
    quote! {
        FormatInfo {
            name: #name,
            title: #title,
            architecture: #architecture,
            stage: #stage,
            cite: #cite,
            tlb: #tlb,
        }
    }
}

/// An invalidation in words.
fn operation(op: &TlbOp) -> String {
    let reach = match op.scope {
        Reach::Address => "one page",
        Reach::Space => "one tag",
        Reach::All => "everything",
    };
    let mut words = vec![reach];
    if op.leaf_only {
        words.push("final translations only");
    }
    words.push(match op.at_entry {
        Some(_) => "at the next entry",
        None if !op.command.is_empty() => "by a queue",
        None if op.broadcast => "on all CPUs",
        None => "on this CPU",
    });
    if op.loaded_context {
        words.push("with the tag loaded");
    }
    format!("{}: {}", op.doc.as_deref().unwrap_or(&op.id.value), words.join(", "))
}
