//! Every screen, in both themes: nothing serious for axe, nothing too small for a finger, nothing that sticks out of the
//! narrowest phone.

use serde_json::json;

use crate::scene::{ALL, Phone, Scene};

/// What is wrong on a screen, in both themes, and with letters of twice the size.
async fn look(phone: &Phone, screen: &str, faults: &mut Vec<String>) {
    for scheme in ["light", "dark"] {
        phone.look(json!({"scheme": scheme})).await;
        let found = phone.faults().await;
        faults.extend(found.iter().map(|fault| format!("{screen}, {scheme}: {fault}")));
    }
    let letters = |size: &str| format!("document.documentElement.style.fontSize = {size:?}; null");
    phone.run(&letters("200%")).await;
    let found = phone.wide().await;
    faults.extend(found.iter().map(|fault| format!("{screen}, large: {fault}")));
    phone.run(&letters("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_for_every_hand_and_every_eye() {
    let scene = Scene::open().await;
    let keeper = scene
        .session("Keeper of the very long name that fits no screen of any phone")
        .await;
    let painter = scene.session("Painter").await;
    let asked = scene.asks(&painter, "Which ladder?").await;
    scene.answers(&painter, &asked, "The long one").await;
    let failed = format!("/api/sessions/{painter}");
    scene
        .daemon
        .patch(&failed, json!({"status": "failed"}))
        .await
        .expect(200);
    scene
        .asks(
            &keeper,
            "Which colour? See https://example.net/a/very/long/address/that/goes/on/and/on/and/on",
        )
        .await;
    let mail = json!({
        "projectId": scene.project, "fromSessionId": keeper, "toSessionId": "human", "type": "query",
        "subject": "The lamp", "body": {"message": "It flickers."},
    });
    let mail = scene.daemon.post("/api/mail", mail).await.expect(201);
    let thread = mail["threadId"]
        .as_str()
        .or_else(|| mail[0]["threadId"].as_str())
        .expect("a thread")
        .to_owned();

    let mut faults = Vec::new();
    let phone = scene.phone().await;
    phone.look(json!({"width": 320, "height": 640})).await;
    // The way in is open from now on.
    let code = scene.code(ALL).await;
    phone.open("/").await;
    phone.see("Pair this phone").await;
    look(&phone, "pair", &mut faults).await;
    phone.write("Code", &code).await;
    phone.tap("Pair this phone").await;
    phone.see("Live, as of").await;
    let screens = [
        ("#/", "Trouble"),
        (&*format!("#/session/{keeper}"), "Which colour?"),
        (&*format!("#/session/{painter}"), "Timeline"),
        ("#/mail", "The lamp"),
        (&*format!("#/mail/{thread}"), "It flickers."),
        ("#/write", "Message"),
        ("#/start", "Who?"),
        ("#/tasks", "Paint the tower"),
        ("#/settings", "It may"),
    ]
    .map(|(hash, sign)| (hash.to_owned(), sign));
    for (hash, sign) in screens {
        phone.go(&hash).await;
        phone.see(sign).await;
        look(&phone, &hash, &mut faults).await;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    phone.end().await;
}

/// The watch over all stories, watched: a page that does what ours must not is found out.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_never_happen_would_be_seen() {
    let scene = Scene::open().await;
    scene.code(ALL).await;
    let phone = scene.phone().await;
    phone.open("/").await;
    phone.see("Pair this phone").await;
    let wrong = "new Promise((resolve) => { \
                 let left = 3; const seen = () => { left -= 1; if (left === 0) resolve(null); }; \
                 document.addEventListener('securitypolicyviolation', seen); \
                 window.addEventListener('error', seen); \
                 const script = document.createElement('script'); script.textContent = '1'; \
                 document.head.append(script); \
                 const image = new Image(); image.src = 'https://elsewhere.maestro.test/'; \
                 document.body.append(image); \
                 setTimeout(() => { throw new Error('of the page'); }, 0); })";
    phone.run(wrong).await;
    let small = "const small = document.createElement('a'); small.href = '#'; small.textContent = 'x'; \
                 small.style.cssText = 'position: fixed; top: 100px; left: 100px; z-index: 9'; \
                 document.body.append(small); const wide = document.createElement('div'); \
                 wide.style.cssText = 'width: 4000px; height: 1px'; document.body.append(wide); \
                 const mute = document.createElement('button'); document.body.append(mute); null";
    phone.run(small).await;
    let faults = phone.faults().await.join("\n");
    for fault in ["axe: button-name", "small: a.", "wide: div."] {
        assert!(faults.contains(fault), "{fault} in\n{faults}");
    }
    let problems = phone.end_with().await.to_string();
    for problem in ["script-src", "img-src", "of the page"] {
        assert!(problems.contains(problem), "{problem} in {problems}");
    }
}
