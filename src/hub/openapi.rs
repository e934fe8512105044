//! `GET /api/openapi.json`: the local API for programs, as OpenAPI 3.1. Made of what the routes say of themselves where they
//! are registered, and of the types they read and write; nothing here knows a route by name.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
    response::Response,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use super::{
    describe::{Operation, Parameter, Shape, does, get, id},
    reply,
    routes::{Route, Routes},
};

const ABOUT: &str = "\
The local door of maestrod: open to every program of this machine, and to no web page from elsewhere.

* `Host` must be this hub's (else 421) and `Origin`, if there is one, must be listed (else 403), on every path.
* Types are hardly checked outside the mail routes: what is not listed is ignored, `null`, `false`, `0` and `\"\"` count as \
absent where a value is optional. Ids are 1 to 128 letters, digits, `_` and `-`; what is none names nothing: 404.
* Paths are not case-sensitive, and a trailing slash does no harm. What is not here is 404 with an HTML page; there is no 405.
* Every writer takes `Prefer: return=minimal`: 204 instead of the record.
* Events and sockets are described in docs/PROTOCOL.md.";

const HTML: &str = "text/html";
const JSON: &str = "application/json";

pub(super) fn routes() -> Routes {
    let says = does("This description").ok::<Map<String, Value>>();
    Routes::new().route("/api/openapi.json", get(show, says))
}

async fn show() -> Response {
    reply::bytes(StatusCode::OK, DOCUMENT.clone())
}

/// The same as long as the program runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document(super::routes().into_each()).to_string().into());

/// The body of every refusal. Older routes leave fields out, or say `error` in words (API.md section 2).
#[derive(JsonSchema)]
#[schemars(rename = "Error")]
#[allow(
    dead_code,
    reason = "it is written by the one mapping in error.rs, in several forms"
)]
struct Refusal {
    /// `true`, or the message.
    error: Value,
    /// For people.
    message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// As in the head of the answer.
    #[serde(rename = "statusCode", skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    /// One entry a problem, or further facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// The description of these routes.
fn document(routes: impl Iterator<Item = Route>) -> Value {
    let mut shapes = Shapes::new();
    let mut paths = Map::new();
    for route in routes {
        let Some(says) = &route.says else { continue };
        let of_path = paths.entry(route.path).or_insert_with(|| json!({}));
        of_path[route.method.as_str().to_lowercase()] = operation(&route, says, &mut shapes);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "maestro",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": shapes.components()},
    })
}

/// Schemas of what is read and of what is written: a field that may be left out in a request can be sure in an answer.
struct Shapes {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings()
                .for_deserialize()
                .with(|settings| settings.inline_subschemas = true)
                .into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn written(&mut self, shape: Option<Shape>) -> Schema {
        match shape {
            Some(shape) => shape(&mut self.written),
            None => self.written.subschema_for::<Refusal>(),
        }
    }

    fn components(mut self) -> Map<String, Value> {
        self.written.take_definitions(true)
    }
}

fn operation(route: &Route, says: &Operation, shapes: &mut Shapes) -> Value {
    let writes = route.method != Method::GET;
    let mut parameters: Vec<Value> = path_parameters(route.path, says).collect();
    parameters.extend(says.queries.iter().map(|query| parameter("query", query)));
    parameters.extend(says.headers.iter().map(|header| parameter("header", header)));
    if writes {
        parameters.push(parameter("header", &prefer()));
    }
    let mut answers = Map::new();
    for told in &says.told {
        let media = json!({JSON: {"schema": shapes.written(told.shape)}});
        answers.insert(told.status.as_str().to_owned(), answer(told.about, Some(media)));
    }
    if !says.media.is_empty() {
        let given = says.media.iter().map(|media| ((*media).to_owned(), json!({})));
        answers.insert(
            "200".to_owned(),
            answer("It is so", Some(Value::Object(given.collect()))),
        );
    }
    for (status, about) in usual(says, !parameters.is_empty(), writes) {
        if answers.contains_key(status.as_str()) {
            continue;
        }
        let mut media = json!({JSON: {"schema": shapes.written(None)}});
        match status {
            // What leads to no route is told so on a page.
            StatusCode::NOT_FOUND => media[HTML] = json!({"schema": {"type": "string"}}),
            StatusCode::NO_CONTENT => media = Value::Null,
            _ => {}
        }
        let media = (!media.is_null()).then_some(media);
        answers.insert(status.as_str().to_owned(), answer(about, media));
    }
    answers.sort_keys();
    let mut operation = json!({
        "operationId": name(route),
        "tags": [tag(route.path)],
        "summary": says.summary,
        "parameters": parameters,
        "responses": answers,
    });
    if let Some(body) = says.body {
        let schema = body(&mut shapes.read);
        operation["requestBody"] = json!({"required": true, "content": {JSON: {"schema": schema}}});
    }
    operation
}

/// What every route answers that takes such things.
fn usual(says: &Operation, has_parameters: bool, writes: bool) -> Vec<(StatusCode, &'static str)> {
    let mut usual = vec![
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The hub made a mistake; its log says more",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now; `Retry-After` says when",
        ),
    ];
    if has_parameters || says.body.is_some() {
        usual.push((StatusCode::BAD_REQUEST, "The request is wrong; nothing was done"));
    }
    if has_parameters {
        usual.push((StatusCode::NOT_FOUND, "There is no such thing"));
    }
    if says.body.is_some() {
        usual.push((StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"));
        usual.push((
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body is longer than `listen.body_limit`",
        ));
        usual.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not sent as JSON"));
    }
    if writes {
        usual.push((
            StatusCode::NO_CONTENT,
            "It is done, and nothing more was asked for",
        ));
        usual.push((
            StatusCode::INSUFFICIENT_STORAGE,
            "The disk is full; nothing was done",
        ));
    }
    usual
}

fn answer(about: &str, media: Option<Value>) -> Value {
    let mut answer = json!({"description": about});
    if let Some(media) = media {
        answer["content"] = media;
    }
    answer
}

/// The words in braces, in the path's order.
fn path_parameters<'a>(path: &'a str, says: &'a Operation) -> impl Iterator<Item = Value> + 'a {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| match says.paths.iter().find(|known| known.name == name) {
        Some(known) => parameter("path", known),
        None => json!({"name": name, "in": "path", "required": true, "schema": id()}),
    })
}

fn parameter(place: &str, of: &Parameter) -> Value {
    json!({"name": of.name, "in": place, "required": of.required, "description": of.about, "schema": of.schema})
}

fn prefer() -> Parameter {
    Parameter {
        name: "Prefer",
        about: "`return=minimal`: 204 instead of the record",
        required: false,
        schema: json_schema!({"type": "string", "enum": ["return=minimal"]}),
    }
}

/// `GET /api/tasks/{id}/docs` is `getTasksIdDocs`.
fn name(route: &Route) -> String {
    let mut name = route.method.as_str().to_lowercase();
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| !word.is_empty() && *word != "api") {
        let (first, rest) = word.split_at(1);
        name += &first.to_uppercase();
        name += rest;
    }
    name
}

fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match words.next() {
        Some("api") => words.next().unwrap_or("api"),
        _ => "hub",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_local_route_is_described_and_nothing_else() {
        let described = document(super::super::routes().into_each());
        let mut found = BTreeSet::new();
        for (path, operations) in described["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(!operation["summary"].as_str().unwrap().is_empty());
                let answers = operation["responses"].as_object().unwrap();
                assert!(
                    answers.keys().any(|status| status.starts_with('2')),
                    "{method} {path}"
                );
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routes = super::super::routes().into_each();
        let routes: BTreeSet<_> = routes
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        assert_eq!(found, routes);
    }

    #[test]
    fn what_a_body_must_have_is_something_it_can_have() {
        let described = document(super::super::routes().into_each());
        let paths = described["paths"].as_object().unwrap().values();
        let mut seen = 0;
        for operation in paths.flat_map(|path| path.as_object().unwrap().values()) {
            let schema = &operation["requestBody"]["content"][JSON]["schema"];
            for name in schema["required"].as_array().into_iter().flatten() {
                let of = &schema["properties"][name.as_str().unwrap()];
                assert!(!of.is_null(), "{}: {name}", operation["operationId"]);
                seen += 1;
            }
        }
        assert!(seen > 20, "only {seen}");
    }

    #[test]
    fn every_operation_and_every_shape_has_a_name_of_its_own() {
        let described = document(super::super::routes().into_each());
        let paths = described["paths"].as_object().unwrap().values();
        let operations: Vec<_> = paths
            .flat_map(|path| path.as_object().unwrap().values())
            .collect();
        let names: BTreeSet<_> = operations.iter().map(|one| one["operationId"].as_str()).collect();
        assert_eq!(names.len(), operations.len());
        // The generator numbers shapes whose names are taken.
        let shapes = described["components"]["schemas"].as_object().unwrap();
        let numbered = shapes
            .keys()
            .find(|name| name.ends_with(|c: char| c.is_ascii_digit()));
        assert_eq!(numbered, None);
    }
}
