//! Every command as a person sees it: `tests/cmd/*.md` are run and compared, and read as examples.
//!
//! `TRYCMD=overwrite cargo test -p tablewright-cli --test commands` writes what the tool says into them.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.md");
}
