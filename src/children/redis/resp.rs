//! The few words of RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/) that a probe needs.
//!
//! A fresh connection for every probe: an old one would still reach our server after somebody else took the
//! path of its socket.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::Login;

/// No INFO is longer.
const LONGEST: usize = 1 << 20;

/// How long a listener may take to accept us.
const KNOCK: Duration = Duration::from_millis(500);

/// One reply: text, or an error that redis names by its first word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Error(String),
}

/// What came back to PING and INFO.
#[derive(Debug)]
pub(super) struct Answer {
    /// The process that listens on the socket, if the kernel tells.
    pub peer: Option<i32>,
    pub ping: io::Result<Reply>,
    pub info: io::Result<Reply>,
}

/// Asks the server on `socket`. The error is that of the connection.
pub(super) async fn ask(socket: &Path, login: Option<&Login>) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let peer = stream.peer_cred().ok().and_then(|cred| cred.pid());
    let mut request = String::new();
    if let Some(login) = login {
        request.push_str(&command(&["AUTH", &login.user, login.password()]));
    }
    request.push_str(&command(&["PING"]));
    request.push_str(&command(&["INFO"]));
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    if let Err(err) = writer.write_all(request.as_bytes()).await {
        return Ok(Answer {
            peer,
            ping: Err(err),
            info: Ok(Reply::Text(String::new())),
        });
    }
    if login.is_some()
        && let refused @ Ok(Reply::Error(_)) = reply(&mut reader).await
    {
        return Ok(Answer {
            peer,
            ping: refused,
            info: Ok(Reply::Text(String::new())),
        });
    }
    let ping = reply(&mut reader).await;
    let info = reply(&mut reader).await;
    Ok(Answer { peer, ping, info })
}

fn command(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text
}

pub(super) async fn reply(reader: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Reply> {
    let mut line = String::new();
    (&mut *reader).take(LONGEST as u64).read_line(&mut line).await?;
    let Some(line) = line.strip_suffix("\r\n") else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(Reply::Text(text.to_owned())),
        Some(("-", text)) => Ok(Reply::Error(text.to_owned())),
        Some(("$", length)) => {
            let length = length.parse().ok().filter(|length| *length <= LONGEST);
            let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
            let mut body = vec![0; length + 2];
            reader.read_exact(&mut body).await?;
            body.truncate(length);
            Ok(Reply::Text(String::from_utf8_lossy(&body).into_owned()))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Does anybody listen on the socket? The pid is 0 if the kernel does not tell. A listener too busy to accept
/// is one all the same.
pub(super) async fn listener(socket: &Path) -> Option<i32> {
    match timeout(KNOCK, UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => Some(stream.peer_cred().ok().and_then(|cred| cred.pid()).unwrap_or(0)),
        Ok(Err(err)) if err.kind() == io::ErrorKind::WouldBlock => Some(0),
        Ok(Err(_)) => None,
        Err(_) => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(text: &str) -> io::Result<Reply> {
        reply(&mut BufReader::new(text.as_bytes())).await
    }

    #[tokio::test]
    async fn replies_are_text_or_errors_and_anything_else_is_refused() {
        assert_eq!(parse("+PONG\r\n").await.ok(), Some(Reply::Text("PONG".into())));
        assert_eq!(
            parse("$5\r\na\r\nb!\r\n").await.ok(),
            Some(Reply::Text("a\r\nb!".into()))
        );
        assert_eq!(
            parse("-LOADING x\r\n").await.ok(),
            Some(Reply::Error("LOADING x".into()))
        );
        for bad in [
            "",
            "+PON",
            "$5\r\nab",
            "$-1\r\n",
            "$99999999999\r\n",
            "*1\r\n",
            "é\r\n",
            "\r\n",
        ] {
            assert!(parse(bad).await.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commands_are_counted_and_sized() {
        assert_eq!(
            command(&["AUTH", "é", ""]),
            "*3\r\n$4\r\nAUTH\r\n$2\r\né\r\n$0\r\n\r\n"
        );
    }
}
