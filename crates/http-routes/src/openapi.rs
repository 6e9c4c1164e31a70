use crate::routes::Described;
use api::PREFIX;
use api::permission::PermissionInfo;
use api::problem::{self, Problem};
use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, header};
use axum::routing::get;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use utoipa::ToSchema as _;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Server, tag::TagBuilder,
};

const OPERATOR: &str = "operator";

/// The description of these routes.
///
/// # Panics
/// When two types have one name: one would be taken for the other.
pub(crate) fn describe(described: Vec<Described>) -> OpenApi {
    let mut paths = Paths::new();
    let components = ComponentsBuilder::new()
        .security_scheme(OPERATOR, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .schema(Problem::name(), <Problem as utoipa::PartialSchema>::schema());
    let (mut tags, mut schemas) = (BTreeSet::new(), BTreeMap::new());
    for Described { route, about, description } in described {
        let address = description.address.clone();
        let tag = address.split('/').nth(1).unwrap_or_default().to_owned();
        for (name, schema) in description.schemas {
            let known = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
            assert!(*known == schema, "two types are called {name}");
        }
        let operation = description
            .operation
            .tag(&tag)
            .summary(Some(about))
            .operation_id(Some(operation_id(&route.method, &address)));
        let operation = permitted(operation.build(), route.permission);
        paths.add_path_operation(&address, vec![method_of(&route.method)], operation);
        tags.insert(tag);
    }
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Emporium").version("1").description(Some(about_problems())).build())
        .servers(Some([Server::new(PREFIX)]))
        .paths(paths)
        .components(Some(components.schemas_from_iter(schemas).build()))
        .tags(Some(tags.into_iter().map(|tag| TagBuilder::new().name(tag).build())))
        .build()
}

fn permitted(mut operation: Operation, permission: PermissionInfo) -> Operation {
    let is_for_all = permission.roles.contains(&api::Role::Shopper);
    if !is_for_all {
        operation.security = Some(vec![SecurityRequirement::new(OPERATOR, Vec::<String>::new())]);
    }
    let extension = ExtensionsBuilder::new().add("x-permission", json!(permission.name)).build();
    operation.extensions = Some(extension);
    operation.description = Some(format!("Permission `{}`: {}", permission.name, permission.about));
    operation
}

/// `GET /carts/{cart_id}/lines` is `get-carts-cart_id-lines`.
fn operation_id(method: &Method, address: &str) -> String {
    let parts = address.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| part.trim_start_matches('{').trim_end_matches('}'));
    let method = method.as_str().to_lowercase();
    [method.as_str()].into_iter().chain(parts).collect::<Vec<_>>().join("-")
}

fn method_of(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        Method::PATCH => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}

/// What every refusal looks like, and what to do about each.
fn about_problems() -> String {
    let mut text = "Commands, queries and operations of an Emporium shop.\n\n## Problems\n\nA refusal is a problem document \
                    (RFC 9457). Its `type` is `urn:emporium:problem:` and one of these ids.\n\n| Id | Status | What it is \
                    | What to do |\n|---|---|---|---|\n"
        .to_owned();
    for kind in problem::ALL {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", kind.id, kind.status, kind.title, kind.what_to_do);
    }
    text
}

/// The description itself, and a page to try it that needs nothing from elsewhere.
pub(crate) fn routes(description: &OpenApi) -> Router {
    let address = format!("{PREFIX}/openapi.json");
    // Written once: each request would otherwise cost milliseconds of a processor, and hold everybody else up.
    let json = serde_json::to_vec(description).map(Bytes::from).unwrap_or_default();
    let answer = move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], json.clone()));
    let config = utoipa_swagger_ui::Config::new([address.clone()]).validator_url("none");
    let page = utoipa_swagger_ui::SwaggerUi::new(format!("{PREFIX}/docs")).config(config);
    Router::new().route(&address, get(answer)).merge(page)
}
