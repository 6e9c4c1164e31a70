use crate::Description;
use crate::path::PathValues;
use axum::extract::{Extension, Request, State};
use http_boundary::{Caller, Client, ClientShare, JsonBody, PathParams, Problem, QueryParams, Stopping};
use utoipa::{IntoParams, ToSchema};

/// Something that a handler takes from a request.
pub trait Takes {
    /// Says what of the request it is. What is no part of the contract says nothing.
    fn describe(description: &mut Description);
}

macro_rules! says_nothing {
    ($($taken:ty $(where $parameter:ident)?),* $(,)?) => {
        $(impl$(<$parameter>)? Takes for $taken {
            fn describe(_: &mut Description) {}
        })*
    };
}

says_nothing! {
    State<S> where S,
    Extension<T> where T,
    Caller,
    Result<Caller, Problem>,
    Client,
    ClientShare,
    Stopping,
    Request,
}

impl<T: PathValues> Takes for PathParams<T> {
    fn describe(description: &mut Description) {
        description.path_values(T::schemas());
    }
}

impl<T: IntoParams> Takes for QueryParams<T> {
    fn describe(description: &mut Description) {
        description.query::<T>();
    }
}

impl<T: ToSchema> Takes for JsonBody<T> {
    fn describe(description: &mut Description) {
        description.json_body::<T>();
    }
}
