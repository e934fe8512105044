//! What a route says of itself to programs. It is given where the route is registered, beside its handler, so that there is
//! no local route without it; bodies and answers are described by the types that are read and written.

use axum::{
    handler::Handler,
    http::{Method, StatusCode},
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Hub;

/// Makes the schema of a type, and puts what it refers to where the generator keeps it.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A parameter in a query, a header or a path.
pub struct Parameter {
    pub name: &'static str,
    pub about: &'static str,
    pub required: bool,
    pub schema: Schema,
}

impl Parameter {
    fn new(name: &'static str, about: &'static str, required: bool, schema: Schema) -> Self {
        Self {
            name,
            about,
            required,
            schema,
        }
    }
}

/// An answer: when it is given, and what it holds.
pub struct Told {
    pub status: StatusCode,
    pub about: &'static str,
    pub shape: Option<Shape>,
}

/// What one operation says of itself.
pub struct Operation {
    pub summary: &'static str,
    pub paths: Vec<Parameter>,
    pub queries: Vec<Parameter>,
    pub headers: Vec<Parameter>,
    pub body: Option<Shape>,
    pub told: Vec<Told>,
    /// What is given instead of JSON, if it is something else.
    pub media: &'static [&'static str],
}

/// An operation that does this.
pub fn does(summary: &'static str) -> Operation {
    Operation {
        summary,
        paths: Vec::new(),
        queries: Vec::new(),
        headers: Vec::new(),
        body: None,
        told: Vec::new(),
        media: &[],
    }
}

/// Free text.
pub fn text() -> Schema {
    json_schema!({"type": "string"})
}

/// An id: letters, digits, `_` and `-`.
pub fn id() -> Schema {
    json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"})
}

/// One of these words.
pub fn word(words: &[&str]) -> Schema {
    json_schema!({"type": "string", "enum": words})
}

/// A whole number in this range.
pub fn number(least: i64, most: i64) -> Schema {
    json_schema!({"type": "integer", "minimum": least, "maximum": most})
}

/// The schema of a type that refers to no other.
pub fn shape_of<T: JsonSchema>() -> Schema {
    SchemaGenerator::default().root_schema_for::<T>()
}

impl Operation {
    /// A part of the path, if it is not an id.
    pub fn path(mut self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.paths.push(Parameter::new(name, about, true, schema));
        self
    }

    /// A parameter of the query that may be left out.
    pub fn query(mut self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.queries.push(Parameter::new(name, about, false, schema));
        self
    }

    /// A parameter of the query that must be there.
    pub fn needs(mut self, name: &'static str, about: &'static str, schema: Schema) -> Self {
        self.queries.push(Parameter::new(name, about, true, schema));
        self
    }

    /// May be repeated under the same key without being done twice.
    pub fn repeatable(mut self) -> Self {
        let about = "A repetition under the same key is answered alike, and done once";
        let key = json_schema!({"type": "string", "pattern": "^[!-~]{1,255}$"});
        self.headers
            .push(Parameter::new("Idempotency-Key", about, false, key));
        self
    }

    /// Reads this as its body.
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(shape::<T>);
        self
    }

    /// Answers 200 with this.
    pub fn ok<T: JsonSchema>(self) -> Self {
        self.told(StatusCode::OK, "It is so", Some(shape::<T>))
    }

    /// Answers 200 with one of these, which are no JSON.
    pub fn gives(mut self, media: &'static [&'static str]) -> Self {
        self.media = media;
        self
    }

    /// Answers 201 with this.
    pub fn created<T: JsonSchema>(self) -> Self {
        self.told(StatusCode::CREATED, "It is made", Some(shape::<T>))
    }

    /// May answer so as well, with the body of errors.
    pub fn may(self, status: StatusCode, about: &'static str) -> Self {
        self.told(status, about, None)
    }

    /// May answer so as well, with this.
    pub fn told(mut self, status: StatusCode, about: &'static str, shape: Option<Shape>) -> Self {
        self.told.push(Told { status, about, shape });
        self
    }
}

/// Of this type.
pub fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Handlers of one path, each with what it says of itself.
pub struct Described {
    pub(super) each: Vec<(Method, MethodRouter<Hub>, Operation)>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        impl Described {
            $(
                #[doc = concat!("Answers `", stringify!($method), "` as well.")]
                pub fn $name<H, T>(mut self, handler: H, says: Operation) -> Self
                where
                    H: Handler<T, Hub>,
                    T: 'static,
                {
                    let handler = on(MethodFilter::$method, handler);
                    self.each.push((Method::$method, handler, says));
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
    patch PATCH;
    delete DELETE;
}

/// Answers `GET`.
pub fn get<H: Handler<T, Hub>, T: 'static>(handler: H, says: Operation) -> Described {
    Described { each: Vec::new() }.get(handler, says)
}

/// Answers `POST`.
pub fn post<H: Handler<T, Hub>, T: 'static>(handler: H, says: Operation) -> Described {
    Described { each: Vec::new() }.post(handler, says)
}
