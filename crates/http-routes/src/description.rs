use crate::path::path_names;
use axum::http::Method;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required};
use utoipa::{IntoParams, ToSchema};

/// What is known of a route while its description is put together from its handler's signature.
pub struct Description {
    /// The method.
    pub method: Method,
    /// The address, with its variables in braces.
    pub address: String,
    pub(crate) operation: OperationBuilder,
    /// The schemas that the operation refers to.
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Description {
    pub(crate) fn new(method: Method, address: &str) -> Self {
        Self { method, address: address.to_owned(), operation: OperationBuilder::new(), schemas: Vec::new() }
    }

    fn change(&mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) {
        self.operation = change(std::mem::take(&mut self.operation));
    }

    /// A reference to the schema of a type, which is put among those that the description has.
    pub fn schema_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        match T::schema() {
            // A list has no name of its own: what it is a list of has one.
            list @ RefOr::T(Schema::Array(_)) => list,
            schema => {
                self.schemas.push((T::name().into_owned(), schema));
                RefOr::Ref(Ref::from_schema_name(T::name()))
            }
        }
    }

    /// The variables of the path have these schemas, in order.
    ///
    /// # Panics
    /// When the address has another number of variables: a test of the description finds it.
    pub fn path_values(&mut self, schemas: Vec<RefOr<Schema>>) {
        let address = self.address.clone();
        let names = path_names(&address);
        assert_eq!(names.len(), schemas.len(), "{address} has other variables than its handler");
        for (name, schema) in names.into_iter().zip(schemas) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            self.parameter(parameter.required(Required::True).schema(Some(schema)));
        }
    }

    /// The query has the fields of this type.
    pub fn query<T: IntoParams>(&mut self) {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            self.parameter(parameter);
        }
    }

    /// One more parameter.
    pub fn parameter(&mut self, parameter: impl Into<Parameter>) {
        self.change(|operation| operation.parameter(parameter));
    }

    /// A header of the request that may be left out.
    pub fn header(&mut self, name: &str, about: &str) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
        let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
        self.parameter(
            parameter.required(Required::False).description(Some(about)).schema(Some(Schema::from(schema))),
        );
    }

    /// The body of the request is this type, in JSON.
    pub fn json_body<T: ToSchema>(&mut self) {
        let content = ContentBuilder::new().schema(Some(self.schema_of::<T>())).build();
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.change(|operation| operation.request_body(Some(body.build())));
    }

    /// The body of the request is of this media type.
    pub fn body(&mut self, media_type: &str, about: &str) {
        let content = ContentBuilder::new().build();
        let body = RequestBodyBuilder::new().content(media_type, content).description(Some(about));
        self.change(|operation| operation.request_body(Some(body.build())));
    }

    /// An answer with this status and this type, in JSON.
    pub fn answers_json<T: ToSchema>(&mut self, status: u16, about: &str) {
        let content = ContentBuilder::new().schema(Some(self.schema_of::<T>())).build();
        let response = ResponseBuilder::new().description(about).content("application/json", content);
        self.change(|operation| operation.response(status.to_string(), response));
    }

    /// An answer with this status that is no JSON: of a media type, or without a body.
    pub fn answers(&mut self, status: u16, about: &str, media_type: Option<&str>) {
        let response = ResponseBuilder::new().description(about);
        let response = match media_type {
            Some(media_type) => response.content(media_type, ContentBuilder::new().build()),
            None => response,
        };
        self.change(|operation| operation.response(status.to_string(), response));
    }

    /// Every refusal is a problem document.
    pub fn refuses_with_problems(&mut self) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description("A refusal: `type` says which, `detail` what to do.")
            .content("application/problem+json", content);
        self.change(|operation| operation.response("default", response));
    }
}
