//! A table of routes serves its handlers under the prefix, asks for their permissions, and describes them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use api::permission::{ManageStock, Public};
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use domain::Sku;
use http_boundary::{JsonBody, OperatorToken, PathParams, Problem, QueryParams};
use http_routes::{Allowed, Routes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, ToSchema)]
struct Count {
    units: u32,
}

#[derive(Serialize, ToSchema)]
struct Counted {
    sku: String,
    units: u32,
}

#[derive(Deserialize, IntoParams)]
struct Filter {
    at_least: Option<u32>,
}

async fn count(
    _: Allowed<ManageStock>,
    PathParams(sku): PathParams<Sku>,
    JsonBody(count): JsonBody<Count>,
) -> Result<Json<Counted>, Problem> {
    Ok(Json(Counted { sku: sku.to_string(), units: count.units }))
}

async fn list(
    _: Allowed<Public>,
    State(_): State<OperatorToken>,
    QueryParams(filter): QueryParams<Filter>,
) -> Json<Vec<Counted>> {
    Json(vec![Counted { sku: "A".to_owned(), units: filter.at_least.unwrap_or(1) }])
}

fn table() -> Routes {
    Routes::new()
        .get("/counts", list, "Lists what was counted")
        .put("/counts/{sku}", count, "Counts")
        .with_state(OperatorToken::new("secret"))
}

async fn ask(request: Request<Body>) -> (StatusCode, Value) {
    let response = table().into_router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn put(token: Option<&str>) -> Request<Body> {
    let request = Request::put("/v1/counts/MUG").header("content-type", "application/json");
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.body(Body::from(r#"{"units":3}"#)).unwrap()
}

#[tokio::test]
async fn a_route_asks_for_its_permission() {
    let (status, problem) = ask(put(None)).await;
    assert_eq!(
        (status, problem["type"].as_str()),
        (StatusCode::FORBIDDEN, Some("urn:emporium:problem:operator-only"))
    );
    assert_eq!(ask(put(Some("wrong"))).await.0, StatusCode::UNAUTHORIZED);
    let (status, counted) = ask(put(Some("secret"))).await;
    assert_eq!((status, &counted["units"]), (StatusCode::OK, &Value::from(3)));
    // What is public looks at no token.
    let request = Request::get("/v1/counts?at_least=7").header("authorization", "Bearer wrong");
    assert_eq!(ask(request.body(Body::empty()).unwrap()).await.1[0]["units"], 7);
}

#[test]
fn the_table_lists_each_route_with_its_permission() {
    let table = table().into_table();
    let listed: Vec<_> = table
        .iter()
        .map(|route| (route.method.clone(), route.address.as_str(), route.permission.name))
        .collect();
    assert_eq!(
        listed,
        [(Method::GET, "/v1/counts", "public"), (Method::PUT, "/v1/counts/{sku}", "manage-stock")]
    );
}

#[tokio::test]
async fn the_description_follows_from_the_signatures() {
    let (status, described) = ask(Request::get("/v1/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["servers"][0]["url"], "/v1");
    let count = &described["paths"]["/counts/{sku}"]["put"];
    assert_eq!((&count["summary"], &count["operationId"]), (&"Counts".into(), &"put-counts-sku".into()));
    assert_eq!(count["parameters"][0]["name"], "sku");
    assert_eq!(count["parameters"][0]["schema"]["maxLength"], 64);
    let body = &count["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Count");
    let answer = &count["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(answer, "#/components/schemas/Counted");
    assert!(count["responses"]["default"]["content"]["application/problem+json"].is_object());
    assert_eq!((&count["x-permission"], count["security"].is_array()), (&"manage-stock".into(), true));
    let list = &described["paths"]["/counts"]["get"];
    assert_eq!(
        (&list["parameters"][0]["name"], &list["parameters"][0]["in"]),
        (&"at_least".into(), &"query".into())
    );
    assert!(list["security"].is_null());
    assert!(described["components"]["schemas"]["Counted"]["properties"]["sku"].is_object());
    assert!(described["info"]["description"].as_str().unwrap().contains("`operator-only`"));
}

#[tokio::test]
async fn there_is_a_page_to_try_it_that_needs_nothing_from_elsewhere() {
    let page = Request::get("/v1/docs/").body(Body::empty()).unwrap();
    let response = table().into_router().oneshot(page).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let page = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
}
