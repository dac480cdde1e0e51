//! Formats generated code for reading.

use proc_macro2::TokenStream;

/// Formats items, with the blank lines that `rustfmt` leaves to the author, and with the `SAFETY:` comments, which
/// tokens cannot hold.
///
/// # Errors
///
/// If the tokens are not items of Rust.
pub fn print(items: TokenStream) -> Result<String, syn::Error> {
    let text = prettyplease::unparse(&syn::parse2(items)?);
    let mut printed = String::with_capacity(text.len() * 11 / 10);
    let mut previous = "";
    for line in text.lines() {
        if separates(previous, line) {
            printed.push('\n');
        }
        if let Some(reason) = reason(line) {
            printed.extend([&line[..depth(line)], "// SAFETY: ", reason, "\n"]);
        }
        printed.push_str(line);
        printed.push('\n');
        previous = line;
    }
    Ok(printed)
}

/// Whether a new item, or a new member of one, begins at `line`.
fn separates(previous: &str, line: &str) -> bool {
    let (depth, last) = (depth(line), depth(previous));
    let text = line.trim_start();
    let begins = |word: &&str| text.starts_with(*word);
    let item = ["///", "#[", "pub ", "fn ", "unsafe ", "impl ", "struct ", "const ", "type ", "use "];
    let same_depth = depth == last && depth <= 4;
    let ended = previous.ends_with('}') || previous.ends_with(';');
    let together = |word| text.starts_with(word) && previous.trim_start().starts_with(word);
    let inner = previous.starts_with("//!") && !line.starts_with("//!");
    inner
        || same_depth
            && ended
            && item.iter().any(begins)
            && !together("use ")
            && !together("type ")
            && !together("const ")
}

/// Why a line that begins with `unsafe` is sound.
fn reason(line: &str) -> Option<&'static str> {
    let text = line.trim_start();
    if text.starts_with("unsafe impl") {
        Some("the format's file says so, and the laws test that entries lead where they were made to.")
    } else if text.starts_with("unsafe {") {
        Some("as the caller promises.")
    } else {
        None
    }
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
