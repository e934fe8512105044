//! Team members: the five defaults of a project as it changed them, and its own.

use std::sync::Arc;

use crate::domain::{
    DefaultMember, Event, Member, MemberId, MemberStatus, MemberWish, Millis, NewMember, ProjectId, Refusal,
};
use crate::ports::View;

use super::{App, AppError};

/// The member of `project` that `id` names: a default with the project's changes laid over it, or a stored one.
/// `now` becomes the time of a default. The project need not exist.
pub fn find_member(view: &dyn View, project: &ProjectId, id: &MemberId, now: Millis) -> Option<Arc<Member>> {
    match DefaultMember::named(project, id) {
        Some(kind) => kind
            .member(project, view.member_override(project, id).as_deref(), now)
            .map(Arc::new),
        None => view.member(project, id),
    }
}

/// All members of `project`: the five defaults first, then its own in order of creation.
pub fn list_members(view: &dyn View, project: &ProjectId, now: Millis) -> Vec<Arc<Member>> {
    DefaultMember::ALL
        .into_iter()
        .filter_map(|kind| find_member(view, project, &kind.id_in(project)?, now))
        .chain(view.members(project))
        .collect()
}

fn known(view: &dyn View, project: &ProjectId, id: &MemberId, now: Millis) -> Result<Arc<Member>, Refusal> {
    find_member(view, project, id, now).ok_or_else(|| Refusal::unknown(id))
}

impl App {
    /// All members of a project, archived ones included.
    pub fn members(&self, project: &ProjectId) -> Vec<Arc<Member>> {
        list_members(&*self.view(), project, self.now())
    }

    /// One member.
    pub fn member(&self, project: &ProjectId, id: &MemberId) -> Result<Arc<Member>, AppError> {
        Ok(known(&*self.view(), project, id, self.now())?)
    }

    /// Makes a custom member.
    pub async fn create_member(&self, wish: NewMember) -> Result<Arc<Member>, AppError> {
        self.apply(move |tx| {
            let member = Arc::new(Member::create(wish, tx.mint())?);
            tx.put_member(member.clone());
            tx.emit(Event::MemberCreated(member.clone()));
            Ok(member)
        })
        .await
    }

    /// Changes a member; of a default, the changes are kept for this project.
    pub async fn update_member(
        &self,
        project: ProjectId,
        id: MemberId,
        wish: MemberWish,
    ) -> Result<Arc<Member>, AppError> {
        wish.check()?;
        self.apply(move |tx| {
            let now = tx.now();
            let member = known(&*tx, &project, &id, now)?;
            let member = if member.is_default {
                let earlier = tx.member_override(&project, &id);
                let changes = wish.as_override(earlier.as_deref(), &project, now);
                tx.put_member_override(&project, &id, Some(Arc::new(changes)));
                known(&*tx, &project, &id, now)?
            } else {
                let member = Arc::new(member.update(wish, now));
                tx.put_member(member.clone());
                member
            };
            tx.emit(Event::MemberUpdated(member.clone()));
            Ok(member)
        })
        .await
    }

    /// Puts a custom member away.
    pub async fn archive_member(&self, project: ProjectId, id: MemberId) -> Result<Arc<Member>, AppError> {
        self.move_member(project, id, MemberStatus::Archived, Event::MemberArchived)
            .await
    }

    /// Takes a custom member out of the archive.
    pub async fn unarchive_member(&self, project: ProjectId, id: MemberId) -> Result<Arc<Member>, AppError> {
        self.move_member(project, id, MemberStatus::Active, Event::MemberUpdated)
            .await
    }

    async fn move_member(
        &self,
        project: ProjectId,
        id: MemberId,
        status: MemberStatus,
        fact: fn(Arc<Member>) -> Event,
    ) -> Result<Arc<Member>, AppError> {
        self.apply(move |tx| {
            let now = tx.now();
            let member = known(&*tx, &project, &id, now)?;
            let Some(moved) = member.moved_to(status, now)?.map(Arc::new) else {
                return Ok(member);
            };
            tx.put_member(moved.clone());
            tx.emit(fact(moved.clone()));
            Ok(moved)
        })
        .await
    }

    /// Gives a default member of a project its default look again.
    pub async fn reset_member(&self, project: ProjectId, id: MemberId) -> Result<Arc<Member>, AppError> {
        self.apply(move |tx| {
            let now = tx.now();
            if !known(&*tx, &project, &id, now)?.is_default {
                return Err(Refusal::Unknown {
                    kind: "Default team member",
                    id: id.to_string(),
                }
                .into());
            }
            tx.put_member_override(&project, &id, None);
            let member = known(&*tx, &project, &id, now)?;
            tx.emit(Event::MemberUpdated(member.clone()));
            Ok(member)
        })
        .await
    }

    /// Deletes an archived custom member.
    pub async fn delete_member(&self, project: ProjectId, id: MemberId) -> Result<(), AppError> {
        self.apply(move |tx| {
            known(&*tx, &project, &id, tx.now())?.check_deletion()?;
            tx.remove_member(&project, &id);
            tx.emit(Event::MemberDeleted { id, project });
            Ok(())
        })
        .await
    }
}
