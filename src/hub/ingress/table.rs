//! What may be reached from outside: one decision for each route of the hub (SECURITY rule 2).
//!
//! A route is served on the ingress only with a decision other than `Never`; what is not here is not there. The tests
//! below fail for any route, local or the phones' own, that nobody has decided about.

use axum::http::Method;

use crate::domain::Scope;

/// Who may use a route from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Anybody: the page, pairing, a bare sign of life.
    Open,
    /// Any paired device, about itself.
    Paired,
    /// A paired device with this scope.
    Needs(Scope),
    /// Nobody: it is as if it were not there.
    Never,
}

use Decision::{Needs, Never, Open, Paired};

type Rule = (Method, &'static str, Decision);

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// All decisions. A local route of the same name may answer something else than a phone gets here.
#[rustfmt::skip]
pub static TABLE: &[Rule] = &[
    // before a device has proved itself
    (GET,    "/",                            Open),
    (GET,    "/pair",                        Open),
    (POST,   "/pair",                        Open),
    (GET,    "/pair/{code}",                 Open),
    (GET,    "/pair/{code}/",                Open),
    (GET,    "/pair/{code}/manifest.webmanifest", Open),
    (GET,    "/manifest.webmanifest",        Open),
    (GET,    "/assets/{file}",               Open),
    (GET,    "/icons/{file}",                Open),
    (GET,    "/sw.js",                       Open),
    (GET,    "/health",                      Open),
    // about itself
    (GET,    "/api/devices/me",              Paired),
    (DELETE, "/api/devices/me",              Paired),
    (GET,    "/api/devices/me/push",         Paired),
    (PUT,    "/api/devices/me/push",         Paired),
    (DELETE, "/api/devices/me/push",         Paired),
    (POST,   "/api/devices/me/push/test",    Paired),
    // to see
    (GET,    "/api/projects",                Needs(Scope::View)),
    (GET,    "/api/projects/{id}",           Needs(Scope::View)),
    (GET,    "/api/tasks",                   Needs(Scope::View)),
    (GET,    "/api/tasks/{id}",              Needs(Scope::View)),
    (GET,    "/api/sessions",                Needs(Scope::View)),
    (GET,    "/api/sessions/{id}",           Needs(Scope::View)),
    (GET,    "/api/sessions/{id}/timeline",  Needs(Scope::View)),
    (GET,    "/api/sessions/{id}/docs",      Needs(Scope::View)),
    (GET,    "/api/team-members",            Needs(Scope::View)),
    (GET,    "/api/events",                  Needs(Scope::View)),
    // to act
    (GET,    "/api/mail/inbox",              Needs(Scope::Mail)),
    (GET,    "/api/mail/thread/{id}",        Needs(Scope::Mail)),
    (GET,    "/api/mail/{id}",               Needs(Scope::Mail)),
    (POST,   "/api/mail",                    Needs(Scope::Mail)),
    (POST,   "/api/sessions/{id}/reply-input", Needs(Scope::Answer)),
    (POST,   "/api/sessions/{id}/prompt",    Needs(Scope::Prompt)),
    (POST,   "/api/sessions/spawn",          Needs(Scope::Spawn)),
    // for this machine alone
    (GET,    "/ready",                       Never),
    (GET,    "/ws-status",                   Never),
    (GET,    "/api/openapi.json",            Never),
    (POST,   "/api/projects",                Never),
    (PUT,    "/api/projects/{id}",           Never),
    (DELETE, "/api/projects/{id}",           Never),
    (POST,   "/api/tasks",                   Never),
    (PATCH,  "/api/tasks/{id}",              Never),
    (DELETE, "/api/tasks/{id}",              Never),
    (GET,    "/api/tasks/{id}/children",     Never),
    (POST,   "/api/tasks/{id}/timeline",     Never),
    (GET,    "/api/tasks/{id}/docs",         Never),
    (GET,    "/api/tasks/{id}/claim",        Never),
    (POST,   "/api/tasks/{id}/claim",        Never),
    (DELETE, "/api/tasks/{id}/claim",        Never),
    (POST,   "/api/sessions",                Never),
    (PATCH,  "/api/sessions/{id}",           Never),
    (DELETE, "/api/sessions/{id}",           Never),
    (POST,   "/api/sessions/{id}/tasks/{task}", Never),
    (DELETE, "/api/sessions/{id}/tasks/{task}", Never),
    (POST,   "/api/sessions/{id}/events",    Never),
    (POST,   "/api/sessions/{id}/timeline",  Never),
    (POST,   "/api/sessions/{id}/docs",      Never),
    (GET,    "/api/sessions/{id}/input",     Never),
    (POST,   "/api/sessions/{id}/heartbeat", Never),
    (DELETE, "/api/sessions/{id}/heartbeat", Never),
    (POST,   "/api/sessions/{id}/modal",     Never),
    (POST,   "/api/sessions/{id}/modal/{modal}/actions", Never),
    (POST,   "/api/sessions/{id}/modal/{modal}/close",   Never),
    (GET,    "/api/agents",                  Never),
    (GET,    "/api/ordering/{kind}/{project}", Never),
    (PUT,    "/api/ordering/{kind}/{project}", Never),
    (GET,    "/api/mail/inbox/{id}",         Never),
    (GET,    "/api/mail/wait/{id}",          Never),
    (DELETE, "/api/mail/{id}",               Never),
    (POST,   "/api/team-members",            Never),
    (GET,    "/api/team-members/{id}",       Never),
    (PATCH,  "/api/team-members/{id}",       Never),
    (DELETE, "/api/team-members/{id}",       Never),
    (POST,   "/api/team-members/{id}/archive",   Never),
    (POST,   "/api/team-members/{id}/unarchive", Never),
    (POST,   "/api/team-members/{id}/reset", Never),
    (GET,    "/api/skills",                  Never),
    (GET,    "/api/skills/{id}",             Never),
    (POST,   "/api/skills/{id}/reload",      Never),
    (GET,    "/api/skills/mode/{mode}",      Never),
    (GET,    "/api/workflow-templates",      Never),
    (GET,    "/api/workflow-templates/{id}", Never),
];

/// What was decided about a route, by its method and its path as registered; `None` if nobody has decided.
pub fn decide(method: &Method, path: &str) -> Option<Decision> {
    let mut rules = TABLE.iter();
    rules
        .find(|(known, pattern, _)| known == method && *pattern == path)
        .map(|(.., decision)| *decision)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{super::routes as local, rest};
    use super::*;

    fn undecided<'a>(routes: impl Iterator<Item = &'a (Method, &'static str)>) -> Vec<String> {
        routes
            .filter(|(method, path)| decide(method, path).is_none())
            .map(|(method, path)| format!("{method} {path}"))
            .collect()
    }

    fn local_routes() -> Vec<(Method, &'static str)> {
        local()
            .into_each()
            .map(|route| (route.method, route.path))
            .collect()
    }

    fn phone_routes() -> Vec<(Method, &'static str)> {
        rest::routes()
            .into_each()
            .map(|route| (route.method, route.path))
            .collect()
    }

    #[test]
    fn somebody_has_decided_about_every_route() {
        let (local, phone) = (local_routes(), phone_routes());
        assert!(
            local.len() > 50 && phone.len() > 20,
            "the lists are the real ones"
        );
        let missing = undecided(local.iter().chain(&phone));
        assert!(missing.is_empty(), "decide about these in the table: {missing:?}");
    }

    #[test]
    fn a_decision_is_made_once_and_about_a_route_that_is_there() {
        let (local, phone) = (local_routes(), phone_routes());
        let mut seen = HashSet::new();
        for (method, path, decision) in TABLE {
            assert!(seen.insert((method, path)), "{method} {path} is decided twice");
            let route = (method.clone(), *path);
            match decision {
                Never => {
                    assert!(local.contains(&route), "{method} {path} is no route");
                    assert!(!phone.contains(&route), "{method} {path} would never be served");
                }
                Open | Paired | Needs(_) => assert!(phone.contains(&route), "{method} {path} has no handler"),
            }
        }
    }

    #[test]
    fn nothing_that_changes_anything_is_open_except_pairing() {
        for (method, path, decision) in TABLE {
            if *decision == Open && *method != GET {
                assert_eq!(*path, "/pair", "{method}");
            }
        }
    }
}
