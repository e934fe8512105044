//! Who may connect to `/mobile`, and what every socket needs from its first moment to its last.

use std::{fmt, future::ready, sync::Arc};

use axum::http::{HeaderMap, header};
use cookie::Cookie;
use serde::Deserialize;
use serde_json::Value;
use socketioxide::{extract::SocketRef, socket::DisconnectReason};
use tracing::debug;

use crate::access::{Credential, Denied};
use crate::domain::{Caller, Device, ProjectId};
use crate::hub::listen::Entrance;

use super::{
    Shared,
    outside::PER_DEVICE,
    peer::{Audience, Peer, Wants},
    peers::{Peers, Seat},
    session::Session,
};

/// The half of a credential that no script can read (SECURITY rule 6).
const COOKIE: &str = "__Host-maestro";

/// What a phone says of itself when it connects. Of the wrong type is as good as absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Auth {
    token: Value,
    project_id: Value,
    /// `"all"`: every project that the device may see, instead of one.
    projects: Value,
}

/// Why a phone is not connected: the message of its `connect_error`.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// It did not prove itself; told as the code.
    Denied(Denied),
    /// It did not say which project it is about.
    NoProject,
    /// There is no such project for it.
    UnknownProject,
    /// There are too many sockets, or too many of this device.
    TooMany,
    /// By this listener nobody comes here.
    NotHere,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied(denied) => denied.code(),
            Self::NoProject => "projectId required",
            Self::UnknownProject => "project not found",
            Self::TooMany => "too_many_sockets",
            Self::NotHere => "not available here",
        })
    }
}

/// Takes a phone in. Nothing is told to who has not proved itself.
pub fn phone(socket: &SocketRef, auth: &Auth, shared: &Arc<Shared>) -> Result<Arc<Seat>, Refused> {
    let parts = socket.req_parts();
    let session = parts.extensions.get::<Session>();
    let caller = match parts.extensions.get::<Entrance>() {
        // The door has looked at what an agent shows of itself.
        Some(Entrance::Local) => parts.extensions.get::<Caller>().cloned().unwrap_or(Caller::Local),
        Some(Entrance::Ingress) => {
            let proved = prove(&parts.headers, auth, session, shared);
            if proved.is_err() && session.is_some_and(Session::fail) {
                session.and_then(Session::line).inspect(|line| line.cut());
            }
            Caller::Device(proved.map_err(Refused::Denied)?)
        }
        None => return Err(Refused::NotHere),
    };
    let audience = audience(auth, &caller, shared)?;
    let limits = shared.hub.limits();
    let sessions = Default::default();
    let wants = Wants::Phone { audience, sessions };
    let peer = Peer::new(
        socket.id.to_string(),
        caller,
        wants,
        session.cloned(),
        limits.queue,
    );
    let counted = shared.hub.clients().on_mobile();
    let seat = shared.mobile.seat(peer, limits.phones, PER_DEVICE, counted);
    let seat = seat.ok_or(Refused::TooMany)?;
    // It may have been revoked while we looked; from now on it is told.
    if !seat.peer().follow(shared.hub.devices()) {
        return Err(Refused::Denied(Denied::Revoked));
    }
    Ok(seat)
}

/// Which projects it is about: the one it names, or all that it may see if it says so. What it may see is asked again for
/// every event.
fn audience(auth: &Auth, caller: &Caller, shared: &Shared) -> Result<Audience, Refused> {
    let Some(named) = auth.project_id.as_str().filter(|id| !id.is_empty()) else {
        return match auth.projects.as_str() {
            Some("all") => Ok(Audience::All),
            _ => Err(Refused::NoProject),
        };
    };
    let project = ProjectId::parse(named).map_err(|_| Refused::UnknownProject)?;
    let reached = caller
        .device()
        .is_none_or(|device| device.reaches(Some(project.as_str())));
    match reached && shared.hub.app().project(&project).is_ok() {
        true => Ok(Audience::Project(project)),
        false => Err(Refused::UnknownProject),
    }
}

/// Who fails spends the budgets of where the session comes from.
fn prove(
    headers: &HeaderMap,
    auth: &Auth,
    session: Option<&Session>,
    shared: &Shared,
) -> Result<Arc<Device>, Denied> {
    let lines = headers.get_all(header::COOKIE).iter();
    let cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(Cookie::split_parse);
    let ours = cookies
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == COOKIE);
    let shown = Credential {
        cookie: ours.as_ref().map(Cookie::value),
        token: auth.token.as_str(),
    };
    let from = session.map(Session::origin).cloned().unwrap_or_default();
    let now = shared.hub.app().now();
    shared.hub.devices().authenticate_from(shown, &from, now)
}

/// Sees to it that the seat is given back when the socket ends, whichever way it does.
pub fn settle(socket: &SocketRef, peers: &Arc<Peers>, seat: Arc<Seat>) {
    let (peers, peer) = (peers.clone(), seat.peer().clone());
    socket.on_disconnect(move |reason: DisconnectReason| {
        debug!(sid = peer.sid, %reason, "a socket ended");
        peers.remove(&peer);
        ready(())
    });
    socket.extensions.insert(seat);
}

/// The seat of a socket that was settled.
pub fn seat_of(socket: &SocketRef) -> Option<Arc<Seat>> {
    socket.extensions.get::<Arc<Seat>>()
}
