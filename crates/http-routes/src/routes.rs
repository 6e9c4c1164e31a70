use crate::{Description, Handler, openapi};
use api::PREFIX;
use api::permission::PermissionInfo;
use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use utoipa::openapi::OpenApi;

/// One route, for those that go through all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The whole address, with its variables in braces.
    pub address: String,
    /// What whoever asks it needs.
    pub permission: PermissionInfo,
}

/// The table of routes of a service, or of a part of it.
pub struct Routes<S = ()> {
    router: Router<S>,
    described: Vec<Described>,
}

pub(crate) struct Described {
    pub route: Route,
    pub about: &'static str,
    pub description: Description,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: Router::new(), described: Vec::new() }
    }
}

macro_rules! methods {
    ($($name:ident $filter:ident),*) => {
        $(
            /// One more route of this method. `about` says in a sentence what it does.
            #[must_use]
            pub fn $name<T: 'static, H: Handler<T, S>>(self, address: &str, handler: H, about: &'static str) -> Self {
                self.route((MethodFilter::$filter, Method::$filter), address, handler, about)
            }
        )*
    };
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No route.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    methods!(get GET, post POST, put PUT, delete DELETE, patch PATCH);

    fn route<T: 'static, H: Handler<T, S>>(
        mut self,
        (filter, method): (MethodFilter, Method),
        address: &str,
        handler: H,
        about: &'static str,
    ) -> Self {
        let mut description = Description::new(method.clone(), address);
        H::describe(&mut description);
        let route = Route { method, address: format!("{PREFIX}{address}"), permission: H::permission() };
        self.described.push(Described { route, about, description });
        Self { router: self.router.route(address, on(filter, handler)), ..self }
    }

    /// These and those.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.described.extend(others.described);
        Self { router: self.router.merge(others.router), ..self }
    }

    /// The same routes with a layer of axum around them.
    #[must_use]
    pub fn layered(self, layer: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        Self { router: layer(self.router), ..self }
    }

    /// The same routes with what their handlers share.
    #[must_use]
    pub fn with_state<S2>(self, state: S) -> Routes<S2> {
        Routes { router: self.router.with_state(state), described: self.described }
    }

    /// What is known of the routes, without their handlers.
    #[must_use]
    pub fn into_table(self) -> RouteTable {
        RouteTable(self.described)
    }
}

/// What is known of routes, without their handlers: for tests over all of them, and for their description.
pub struct RouteTable(Vec<Described>);

impl RouteTable {
    /// These routes and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Each of them, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().map(|described| &described.route)
    }

    /// What OpenAPI says of them.
    ///
    /// # Panics
    /// When two types have one name in the description.
    #[must_use]
    pub fn into_openapi(self) -> OpenApi {
        openapi::describe(self.0)
    }
}

impl Routes {
    /// Serves them under [`api::PREFIX`], along with their description (`openapi.json`) and a page to try them (`docs`).
    pub fn into_router(self) -> Router {
        let description = openapi::routes(&openapi::describe(self.described));
        Router::new().nest(PREFIX, self.router).merge(description)
    }
}
