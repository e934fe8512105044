//! Registering routes so that none goes unseen: an axum router cannot be asked what it holds, so what is put into it is
//! written down here, and the table of the ingress (SECURITY rule 2) is held against the list.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};

use super::{
    Hub,
    describe::{Described, Operation},
    ingress::Phone,
    traffic::RouteMeter,
};

/// Handlers of one path.
pub struct Handlers<S = Hub> {
    each: Vec<(Method, MethodRouter<S>)>,
}

/// One handler of one path.
pub struct Route<S = Hub> {
    /// `GET` answers `HEAD` as well.
    pub method: Method,
    /// As axum writes it: `/api/tasks/{id}`.
    pub path: &'static str,
    /// What answers.
    pub handler: MethodRouter<S>,
    /// What it says of itself to programs; each local route does.
    pub says: Option<Operation>,
}

/// Routes, and the list of them.
pub struct Routes<S = Hub> {
    all: Vec<Route<S>>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// These as well.
    pub fn route(mut self, path: &'static str, entries: impl Into<Entries<S>>) -> Self {
        let each = entries.into().0.into_iter();
        self.all.extend(each.map(|(method, handler, says)| Route {
            method,
            path,
            handler,
            says,
        }));
        self
    }

    /// Those of another file as well.
    pub fn merge(mut self, other: Self) -> Self {
        self.all.extend(other.all);
        self
    }

    /// Each of them, to be looked at or taken apart.
    pub fn into_each(self) -> impl Iterator<Item = Route<S>> {
        self.all.into_iter()
    }

    /// The router that holds exactly these, each counted by its own meter.
    pub fn into_router(self, meter: impl Fn(&Route<S>) -> RouteMeter) -> Router<S> {
        let add = |router: Router<S>, route: Route<S>| {
            let meter = meter(&route);
            router.route(route.path, meter.on(route.handler))
        };
        self.into_each().fold(Router::new(), add)
    }
}

/// The handlers of one path, as [`Routes::route`] takes them: local ones only with what they say of themselves.
pub struct Entries<S>(Vec<(Method, MethodRouter<S>, Option<Operation>)>);

impl From<Described> for Entries<Hub> {
    fn from(described: Described) -> Self {
        let each = described.each.into_iter();
        Self(
            each.map(|(method, handler, says)| (method, handler, Some(says)))
                .collect(),
        )
    }
}

/// What phones are answered is for our own page alone, and described in the README.
impl From<Handlers<Phone>> for Entries<Phone> {
    fn from(handlers: Handlers<Phone>) -> Self {
        let each = handlers.each.into_iter();
        Self(each.map(|(method, handler)| (method, handler, None)).collect())
    }
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        impl<S: Clone + Send + Sync + 'static> Handlers<S> {
            $(
                #[doc = concat!("Answers `", stringify!($method), "` as well.")]
                pub fn $name<H, T>(mut self, handler: H) -> Self
                where
                    H: Handler<T, S>,
                    T: 'static,
                {
                    self.each.push((Method::$method, on(MethodFilter::$method, handler)));
                    self
                }
            )*
        }
    };
}

methods! {
    get GET;
    post POST;
    put PUT;
    delete DELETE;
}

/// Answers `GET`.
pub fn get<H, T, S>(handler: H) -> Handlers<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Handlers { each: Vec::new() }.get(handler)
}

/// Answers `POST`.
pub fn post<H, T, S>(handler: H) -> Handlers<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Handlers { each: Vec::new() }.post(handler)
}
