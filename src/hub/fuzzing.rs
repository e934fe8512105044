//! The room's parsers of requests and frames, as the list of fuzz targets names them.

pub(crate) use super::{
    path::fuzzing::path,
    raw_ws::fuzzing::{raw_ws, raw_ws_message},
    socket_io::fuzzing::socket_io,
};
