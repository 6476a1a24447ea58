//! The line between a service and the provider: it keeps what passes, and says when a moment has come.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// A refresh that the provider carried out.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The refresh token that was used.
    pub(crate) used: String,
    /// Its successor; nothing when it was refused.
    pub(crate) issued: Option<String>,
    /// Whether the whole answer was sent to the service.
    pub(crate) is_delivered: bool,
}

/// A moment in a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// The service has sent its request, and the provider does not have it yet.
    Asked,
    /// The provider has rotated the token, and nothing of its answer was sent.
    Rotated,
    /// Half of the answer was sent.
    HalfAnswered,
    /// The whole answer was sent so long ago.
    Answered(Duration),
}

struct Trap {
    exchanges_before: u64,
    moment: Moment,
    sprung: oneshot::Sender<()>,
}

#[derive(Default)]
struct State {
    exchanges: Vec<Exchange>,
    trap: Option<Trap>,
}

/// The line. Dropped, it is cut.
pub(crate) struct Wire {
    /// Where the service finds the provider.
    pub(crate) authority: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    /// A line to the provider at `authority`, `http://HOST:PORT`.
    pub(crate) async fn to(authority: &str) -> Self {
        let target = authority.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (target, state) = (target.clone(), Arc::clone(&shared));
                lines.spawn(async move { drop(pass(near, &target, &state).await) });
                while lines.try_join_next().is_some() {}
            }
        });
        Self { authority, state, _tasks: tasks }
    }

    /// What the provider carried out so far.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.state.lock().unwrap().exchanges.clone()
    }

    /// Says when the moment comes in the request after the next `exchanges_before`. That request goes no further.
    pub(crate) fn when(&self, exchanges_before: u64, moment: Moment) -> oneshot::Receiver<()> {
        let (sprung, receiver) = oneshot::channel();
        self.state.lock().unwrap().trap = Some(Trap { exchanges_before, moment, sprung });
        receiver
    }

    /// Lets every request pass again.
    pub(crate) fn disarm(&self) {
        self.state.lock().unwrap().trap = None;
    }
}

impl State {
    /// The trap, if this request is the one it is for.
    fn take_trap(&mut self) -> Option<Trap> {
        let trap = self.trap.as_mut()?;
        if trap.exchanges_before > 0 {
            trap.exchanges_before -= 1;
            return None;
        }
        self.trap.take()
    }
}

/// Passes one request and its answer.
async fn pass(mut near: TcpStream, target: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let (head, body) = read_request(&mut near).await?;
    let used = url::form_urlencoded::parse(&body).find(|(name, _)| name == "refresh_token");
    let Some(used) = used.map(|(_, token)| token.into_owned()) else {
        let answer = ask(target, &head, &body).await?;
        return near.write_all(&answer).await;
    };
    let trap = state.lock().unwrap().take_trap();
    let moment = trap.as_ref().map(|trap| trap.moment);
    let spring = || trap.map(|trap| trap.sprung.send(()));
    if moment == Some(Moment::Asked) {
        spring();
        return until_gone(&mut near).await;
    }
    let answer = ask(target, &head, &body).await?;
    let number = {
        let mut state = state.lock().unwrap();
        state.exchanges.push(Exchange { used, issued: successor(&answer), is_delivered: false });
        state.exchanges.len() - 1
    };
    match moment {
        Some(Moment::Rotated) => {
            spring();
            return until_gone(&mut near).await;
        }
        Some(Moment::HalfAnswered) => {
            near.write_all(&answer[..answer.len() / 2]).await?;
            spring();
            return until_gone(&mut near).await;
        }
        Some(Moment::Answered(_) | Moment::Asked) | None => near.write_all(&answer).await?,
    }
    state.lock().unwrap().exchanges[number].is_delivered = true;
    if let Some(Moment::Answered(since)) = moment {
        tokio::time::sleep(since).await;
        spring();
    }
    Ok(())
}

/// Waits until whoever is at the other end is no more.
async fn until_gone(near: &mut TcpStream) -> std::io::Result<()> {
    near.read_to_end(&mut Vec::new()).await.map(drop)
}

async fn read_request(near: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = find(&read, b"\r\n\r\n") {
            break end;
        }
        assert!(read.len() < MAX_HEAD, "a head without an end");
        if near.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut body = read[end + 4..].to_vec();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    while body.len() < length.unwrap_or(0) {
        if near.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, body))
}

/// The provider's whole answer. Each request has a connection of its own, so that the end of one is the end of the other.
async fn ask(target: &str, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut far = TcpStream::connect(target).await?;
    far.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    far.write_all(body).await?;
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The refresh token in an answer.
fn successor(answer: &[u8]) -> Option<String> {
    let body = &answer[find(answer, b"\r\n\r\n")? + 4..];
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("refresh_token")?.as_str().map(str::to_owned)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
