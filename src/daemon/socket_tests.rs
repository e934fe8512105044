//! Socket.IO behind a door for strangers, and behind a bus that overflows: in this process, because neither can be had
//! from outside.

use std::net::Ipv4Addr;

use axum::{extract::Request, response::Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

use crate::domain::{Event, Millis, NewProject, ProjectId, Published};
use crate::hub::{
    Gateway, Hub,
    listen::{self, ConnectionLimits, Connections, Door, Entrance, Listener},
};
use crate::ports::EventBus;
use crate::shutdown::TaskGroup;

use super::waiting_tests::{House, PATIENCE};

/// A door that says where its requests come from, and leads to Socket.IO.
#[derive(Clone)]
struct Entry {
    from: Entrance,
    gateway: Gateway,
}

impl Door for Entry {
    async fn answer(&self, mut request: Request) -> Response {
        request.extensions_mut().insert(self.from);
        self.gateway.answer(request).await
    }
}

struct Rig {
    house: House,
    hub: Hub,
    port: u16,
    _listeners: TaskGroup,
}

impl Rig {
    fn open(from: Entrance) -> Self {
        let house = House::build(|mailbox| std::sync::Arc::new(mailbox));
        house.bus.replay().begin("now".into(), 0);
        let hub = house.hub(CancellationToken::new());
        let gateway = Gateway::open(&hub);
        let socket = listen::bind(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap().remove(0);
        let port = socket.local_addr().unwrap().port();
        let listeners = TaskGroup::default();
        let connections = Connections::new(ConnectionLimits::default());
        let door = Entry { from, gateway };
        listeners.spawn("listener", |stop| {
            connections.accept(Listener::Tcp(socket), door, stop)
        });
        Self {
            house,
            hub,
            port,
            _listeners: listeners,
        }
    }

    async fn phone(&self, cookie: Option<&str>) -> Phone {
        let address = format!(
            "ws://localhost:{}/socket.io/?EIO=4&transport=websocket",
            self.port
        );
        let mut request = address.into_client_request().unwrap();
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .unwrap();
        let (stream, _) = client_async(request, stream).await.unwrap();
        let mut phone = Phone(stream);
        assert!(phone.next().await.unwrap().starts_with('0'));
        phone
    }
}

struct Phone(WebSocketStream<TcpStream>);

impl Phone {
    /// The answer to a CONNECT: the message of a refusal, or nothing.
    async fn connect(&mut self, namespace: &str, auth: &Value) -> Option<Option<String>> {
        let packet = format!("40{namespace},{auth}");
        self.0.send(Message::text(packet)).await.ok()?;
        let answer = self.next().await?;
        let Some(refusal) = answer.strip_prefix(&format!("44{namespace},")) else {
            assert!(answer.starts_with(&format!("40{namespace},")), "{answer}");
            return Some(None);
        };
        let refusal: Value = serde_json::from_str(refusal).unwrap();
        Some(Some(refusal["message"].as_str().unwrap().to_owned()))
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {}
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return None,
            }
        }
    }
}

#[tokio::test]
async fn a_stranger_from_outside_is_told_what_is_missing_and_gets_in_nowhere() {
    let rig = Rig::open(Entrance::Ingress);
    let wish = NewProject {
        name: "P".into(),
        ..NewProject::default()
    };
    let project = rig.house.app.create_project(wish).await.unwrap();
    let with = |token: Value| json!({"token": token, "projectId": project.id});
    for (cookie, token, refusal) in [
        (None, json!(null), "unpaired"),
        (None, json!("half"), "unpaired"),
        (Some("__Host-maestro=half"), json!(null), "unpaired"),
        (Some("__Host-maestro=half"), json!(5), "unpaired"),
        (
            Some("a=b; __Host-maestro=half; c=d"),
            json!("half"),
            "unknown_device",
        ),
        (Some("maestro=half"), json!("half"), "unpaired"),
    ] {
        let mut phone = rig.phone(cookie).await;
        let told = phone.connect("/mobile", &with(token)).await;
        assert_eq!(told, Some(Some(refusal.to_owned())), "{cookie:?}");
        assert_eq!(
            phone.connect("/ui", &json!({})).await,
            Some(Some("not available here".into()))
        );
        assert_eq!(
            phone.connect("/admin", &json!({})).await,
            Some(Some("Invalid namespace".into()))
        );
    }
    assert_eq!((rig.hub.clients().mobile(), rig.hub.clients().ui()), (0, 0));
}

#[tokio::test]
async fn a_stranger_who_guesses_on_an_open_connection_is_cut_off() {
    let rig = Rig::open(Entrance::Ingress);
    let mut phone = rig.phone(Some("__Host-maestro=half")).await;
    let mut guesses = 0;
    while phone
        .connect("/mobile", &json!({"token": format!("{guesses}")}))
        .await
        .is_some()
    {
        guesses += 1;
        assert!(guesses < 10, "nobody stops it");
    }
    assert!(guesses >= 3, "a typing error is forgiven");
}

#[tokio::test]
async fn a_socket_whose_events_were_lost_on_the_way_to_it_is_told_to_begin_anew() {
    let rig = Rig::open(Entrance::Local);
    let mut desktop = rig.phone(None).await;
    assert_eq!(desktop.connect("/ui", &json!({})).await, Some(None));
    let event = |seq| {
        let id = ProjectId::parse(&format!("p{seq}")).unwrap();
        std::sync::Arc::new(Published::new(seq, Millis(1), Event::ProjectDeleted(id)))
    };
    rig.house.bus.publish((1..=20_000).map(event).collect());
    let told = desktop.next().await.unwrap();
    let expected = r#"42/ui,["state:reset",{"reason":"missed","epoch":"now","seq":20000}]"#;
    assert_eq!(told, expected);
    rig.house.bus.publish(vec![event(20_001)]);
    assert!(
        desktop.next().await.unwrap().contains(r#""seq":20001"#),
        "and hears what comes after"
    );
}
