//! Pages that agents show to people. They are files, not records: nothing of them stays on the session.

use std::{
    borrow::Cow,
    fs, io,
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
};

use serde_json::Value;

use crate::domain::{Event, ModalAction, ModalClosed, ModalId, ModalShown, SessionId};
use crate::ports::StoreError;

use super::{App, AppError, disk::off_the_runtime, known};

/// A page to be shown.
#[derive(Clone, Debug)]
pub struct NewModal {
    /// Chosen by the client.
    pub id: ModalId,
    /// Shown above it.
    pub title: String,
    /// The page.
    pub html: String,
    /// Where the client says it lies; ours if it says nothing.
    pub file_path: Option<String>,
}

impl App {
    /// Keeps a page as a file and has it shown.
    ///
    /// Clients embed their server URL in it. Whoever sees the page is not the agent: he gets the plain one.
    pub async fn show_modal(&self, session: SessionId, mut modal: NewModal) -> Result<(), AppError> {
        known::session_head(&*self.view(), &session)?;
        if let Cow::Owned(clean) = self.without_tokens(&modal.html) {
            modal.html = clean;
        }
        let path = self
            .facts()
            .data_dir
            .join("modals")
            .join(format!("{}.html", modal.id));
        let (file, page) = (path.clone(), modal.html.clone());
        off_the_runtime(move || write_whole(&file, page.as_bytes()).map_err(cannot_write)).await?;
        self.apply(move |tx| {
            let project = known::session_head(&*tx, &session)?.project_id.clone();
            let shown = ModalShown {
                session_id: session,
                modal_id: modal.id.to_string(),
                title: modal.title,
                html: modal.html,
                file_path: modal
                    .file_path
                    .unwrap_or_else(|| path.to_string_lossy().into_owned()),
                timestamp: tx.now(),
            };
            tx.emit(Event::SessionModal {
                modal: Arc::new(shown),
                project,
            });
            Ok(())
        })
        .await
    }

    /// Tells what a person did on a page. Neither session nor page need exist.
    pub async fn act_on_modal(
        &self,
        session: String,
        modal: String,
        action: String,
        data: Value,
    ) -> Result<(), AppError> {
        self.apply(move |tx| {
            tx.emit(Event::SessionModalAction(Arc::new(ModalAction {
                session_id: session,
                modal_id: modal,
                action,
                data,
                timestamp: tx.now(),
            })));
            Ok(())
        })
        .await
    }

    /// Tells that a page was closed. Neither session nor page need exist.
    pub async fn close_modal(&self, session: String, modal: String) -> Result<(), AppError> {
        self.apply(move |tx| {
            tx.emit(Event::SessionModalClosed(Arc::new(ModalClosed {
                session_id: session,
                modal_id: modal,
                timestamp: tx.now(),
            })));
            Ok(())
        })
        .await
    }
}

/// Writes a file so that a reader finds the whole of it or what was there before. A page is worth nothing after a power
/// cut, so nobody waits for the disk.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mine = format!(
        "{}-{}.tmp",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let draft = path.with_extension(mine);
    let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft); // it may not even be there; the first error is the one to tell
    }
    written
}

fn cannot_write(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
        _ => StoreError::Engine(format!("a modal could not be written: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_page_is_written_whole_replaced_whole_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("modals").join("modal_1.html");
        for content in ["<b>first</b>", "second"] {
            write_whole(&page, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&page).unwrap(), content);
        }
        assert_eq!(names(page.parent().unwrap()), ["modal_1.html"]);
    }

    #[test]
    fn a_page_that_cannot_be_put_in_place_leaves_no_draft_either() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("taken");
        fs::create_dir(&page).unwrap();
        assert!(write_whole(&page, b"x").is_err());
        assert_eq!(names(dir.path()), ["taken"]);
    }
}
