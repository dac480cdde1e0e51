//! Every command as a person sees it: the examples in `tests/cmd/*.md` and on the front page are run and compared.
//!
//! `TRYCMD=overwrite cargo test -p tablewright-cli --test commands` writes what the tool says into them.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.md").case("../../README.md");
}
