//! Converts the engine's typed errors to `AxError`, which holds less; details are logged.

use axerrno::AxError;
use tablewright::{BackendError, Error, SpaceError};

pub(crate) fn ax_error(error: SpaceError) -> AxError {
    log::warn!("{error}");
    match error {
        SpaceError::OutOfRange { .. } | SpaceError::Empty(_) | SpaceError::Misaligned { .. } => AxError::InvalidInput,
        SpaceError::Overlap(_) => AxError::AlreadyExists,
        SpaceError::NoMemory => AxError::NoMemory,
        SpaceError::Table(error) | SpaceError::Area { error: BackendError::Table(error), .. } => table_error(error),
        SpaceError::Area { error: BackendError::Refused(_) | BackendError::TooShort(_), .. } => AxError::InvalidInput,
        _ => AxError::BadState,
    }
}

fn table_error(error: Error) -> AxError {
    match error {
        Error::NoMemory { .. } => AxError::NoMemory,
        Error::AlreadyMapped { .. } => AxError::AlreadyExists,
        Error::Config(_)
        | Error::OutOfRange(_)
        | Error::OutputOutOfRange { .. }
        | Error::Misaligned { .. }
        | Error::Refused { .. } => AxError::InvalidInput,
        _ => AxError::BadState,
    }
}
