//! Passing errors on.

/// As `?`, for errors of several words, which many places pass on: the copy is made in one place, out of line.
macro_rules! ok {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(ref error) => return $crate::ok::fail(error),
        }
    };
}

/// The result that is this error.
#[cold]
#[inline(never)]
pub(crate) fn fail<T, E: Copy, Into: From<E>>(error: &E) -> Result<T, Into> {
    Err((*error).into())
}
