//! Work that may wait for the disk is done where it holds nobody up.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

use crate::ports::StoreError;

use super::AppError;

/// Runs `work` on a thread that may block.
pub(super) async fn off_the_runtime<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, AppError> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(StoreError::Stopping.into()), // the runtime is going down
        },
    }
}
