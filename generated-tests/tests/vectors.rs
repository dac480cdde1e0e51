//! The hand-written vectors hold for every format's file.

use tablewright_archdefs::BUILTINS;
use tablewright_tests::formats::configured;
use tablewright_tests::laws::Interpreted;
use tablewright_tests::vectors::hold;

#[test]
fn every_vector_holds() {
    let broken = BUILTINS.iter().filter_map(|(name, _)| {
        let cases = configured(name).into_iter().map(|case| (Interpreted(case.bound.clone()), case));
        hold(&cases.collect::<Vec<_>>()).err()
    });
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<String>::new());
}
