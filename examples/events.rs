// Listens to one session's events on the raw WebSocket: `cargo run --example events http://localhost:3000 sess_demo`.
// docs/PROTOCOL.md shows it, and a test runs it.

use std::{env, error::Error};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

async fn listen(hub: &str, session: &str) -> Result<(), Box<dyn Error>> {
    let place = hub.trim_start_matches("http://");
    let (mut socket, _) = client_async(format!("ws://{place}/"), TcpStream::connect(place).await?).await?;
    let wish = json!({"type": "subscribe", "sessionIds": [session]});
    socket.send(Message::text(wish.to_string())).await?;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else { continue };
        let said: Value = serde_json::from_str(&text)?;
        println!("{} {}", said["type"], said["timestamp"]);
        if said["type"] == "subscribed" {
            break; // a program that stays would go on
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let hub = words.next().unwrap_or_else(|| "http://localhost:3000".to_owned());
    let session = words.next().unwrap_or_else(|| "sess_demo".to_owned());
    listen(&hub, &session).await
}
