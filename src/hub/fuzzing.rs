//! The room's parsers of requests and frames, for `crate::fuzzing`.

pub(crate) use super::{
    path::fuzzing::path,
    raw_ws::fuzzing::{raw_ws, raw_ws_message},
};
