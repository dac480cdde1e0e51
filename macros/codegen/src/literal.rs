//! Numbers as a person would write them.

use std::fmt::Write;

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};

/// A mask or a large value in hexadecimal: `0x8000_0000_0000_0000`; 0 as `0`.
pub(crate) fn hex(value: u64) -> TokenStream {
    if value < 10 {
        return number(value.into());
    }
    parse(&grouped_hex(value))
}

/// The number that `code` is, if it is a literal.
pub(crate) fn value(code: &TokenStream) -> Option<u64> {
    let text = code.to_string().replace('_', "");
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The text of [`hex`].
pub(crate) fn grouped_hex(value: u64) -> String {
    let digits = format!("{value:x}");
    let mut text = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(4) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// A field's value: `0b101` for a few bits, hexadecimal for more.
pub(crate) fn field(value: u64, width: u32) -> TokenStream {
    if width == 1 || width > 8 {
        return hex(value);
    }
    let mut text = String::new();
    let width = width as usize;
    // Writing to a string cannot fail.
    let _ = write!(text, "0b{value:0width$b}");
    parse(&text)
}

/// A number: decimal while it is small.
pub(crate) fn number(value: i128) -> TokenStream {
    match u64::try_from(value) {
        Ok(value) if value >= 4096 => parse(&grouped_hex(value)),
        Ok(value) => Literal::u64_unsuffixed(value).into_token_stream(),
        Err(_) if value < 0 => {
            let positive = number(-value);
            quote!(-#positive)
        }
        Err(_) => Literal::i128_unsuffixed(value).into_token_stream(),
    }
}

fn parse(text: &str) -> TokenStream {
    match text.parse::<Literal>() {
        Ok(literal) => literal.into_token_stream(),
        Err(error) => {
            let message = error.to_string();
            quote!(compile_error!(#message))
        }
    }
}
