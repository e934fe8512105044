//! The order in which a person arranged tasks or sessions.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::{Millis, Ordering, OrderingKind, ProjectId};

use super::{App, AppError};

impl App {
    /// The saved arrangement of a project, which need not exist; an empty one of the year 1970 if none was saved.
    pub fn ordering(&self, kind: OrderingKind, project: &ProjectId) -> Arc<Ordering> {
        let never = || Ordering {
            project_id: project.clone(),
            entity_type: kind,
            ordered_ids: Vec::new(),
            updated_at: Millis(0),
        };
        self.view()
            .ordering(kind, project)
            .unwrap_or_else(|| Arc::new(never()))
    }

    /// Saves an arrangement as given. Nobody is told.
    pub async fn arrange(
        &self,
        kind: OrderingKind,
        project: ProjectId,
        ordered_ids: Vec<Value>,
    ) -> Result<Arc<Ordering>, AppError> {
        self.apply(move |tx| {
            let ordering = Arc::new(Ordering {
                project_id: project,
                entity_type: kind,
                ordered_ids,
                updated_at: tx.now(),
            });
            tx.put_ordering(ordering.clone());
            Ok(ordering)
        })
        .await
    }
}
