//! S1: many subscribers of the same events.

use crate::{
    Result,
    figures::median,
    http::Client,
    load::{Site, ask},
    operations::Work,
    processes::{Cpu, Server},
};
use chrono::{DateTime, Utc};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

const DOCUMENT: &str = "subscription { orderChanged { cursor occurredAt orderStatus order { id instrument { symbol } \
    side quantity } } }";
/// Order of the events that the limit server publishes.
const ORDER: &str = concat!(
    r#"{"id":"0193b5a0-0000-7000-8000-000000000009","instrument":{"symbol":"AAPL"},"#,
    r#""side":"BUY","quantity":"1"}"#
);
/// Longest time until all subscribers have an event.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time that a server gets to handle the last subscription, and to free memory.
const SETTLING: Duration = Duration::from_millis(500);

/// What was measured.
pub struct Fanout {
    /// From an event to the last message, in milliseconds; the median of the events.
    pub milliseconds: f64,
    /// CPU time of an event.
    pub cpu: Cpu,
    /// Memory of a subscriber, in KiB.
    pub memory: f64,
}

/// What the subscribers have received.
#[derive(Default)]
struct Received {
    /// For each event in order: how many have it, and when the last one got it.
    events: Vec<(usize, SystemTime)>,
    /// Messages of the first subscriber.
    messages: Vec<String>,
}

struct Subscribers {
    received: Arc<Mutex<Received>>,
    /// Number of events that all have.
    complete: watch::Sender<usize>,
    tasks: JoinSet<Result<()>>,
    count: usize,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Extent {
    pub subscribers: usize,
    /// Events, or orders with their events, that are published at least; as many are published before the measurement.
    pub least: usize,
    /// CPU time in milliseconds that is used at least.
    pub budget: f64,
}

/// Measures events that the limit server publishes, or those of orders that are placed at Coffer. The work for
/// such an order is counted as well.
pub async fn measure(site: &mut Site, to_coffer: bool, extent: Extent, orders: &Work) -> Result<Fanout> {
    let server = if to_coffer { &site.coffer } else { &site.limit };
    // Some before the others, so that memory that a server needs once is not counted.
    let mut subscribers = Subscribers::new(extent.subscribers);
    subscribers.open(server, extent.subscribers / 5).await?;
    tokio::time::sleep(SETTLING).await;
    let (before, others) = (server.memory(), extent.subscribers - extent.subscribers / 5);
    subscribers.open(server, others).await?;
    tokio::time::sleep(SETTLING).await;
    let memory = (server.memory() - before) / f64::from(u32::try_from(others)?);
    let mut publisher = Client::open(server.address, None).await?;
    let last = if to_coffer { r#""orderStatus":"FILLED""# } else { r#""orderStatus":"ACCEPTED""# };
    let (mut published, mut before, mut earlier) = (0, server.cpu(), 0);
    while published < 2 * extent.least || server.cpu().since(before).total() < extent.budget {
        if published == extent.least {
            // Caches are filled now, and all subscriptions have started.
            (before, earlier) = (server.cpu(), subscribers.events());
        }
        if to_coffer {
            ask(server, orders, published).await?;
        } else {
            publisher.post("/publish", ORDER).await?;
        }
        published += 1;
        subscribers.wait(last, published).await?;
    }
    if to_coffer {
        site.drain().await?;
    }
    let server = if to_coffer { &site.coffer } else { &site.limit };
    let cpu = server.cpu().since(before).per(subscribers.events() - earlier);
    let received = subscribers.received();
    Ok(Fanout { milliseconds: received.milliseconds()?, cpu, memory })
}

impl Subscribers {
    fn new(count: usize) -> Self {
        let (received, complete) = (Arc::default(), watch::Sender::new(0));
        Self { received, complete, tasks: JoinSet::new(), count }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of events that the first subscribers have.
    fn events(&self) -> usize {
        self.received().events.len()
    }

    /// Opens so many sockets.
    async fn open(&mut self, server: &Server, more: usize) -> Result<()> {
        let begin = self.tasks.len();
        for number in begin..begin + more {
            let mut socket = subscribe(server).await?;
            let (received, complete) = (Arc::clone(&self.received), self.complete.clone());
            let count = self.count;
            self.tasks.spawn(async move {
                let mut events = 0;
                while let Some(message) = socket.next().await {
                    let Message::Text(text) = message? else { continue };
                    if text.contains(r#""type":"ping""#) {
                        socket.send(Message::text(r#"{"type":"pong"}"#)).await?;
                        continue;
                    }
                    if !text.contains(r#""type":"next""#) || text.contains(r#""errors""#) {
                        return Err(format!("a subscription failed: {text}").into());
                    }
                    let having =
                        received.lock().unwrap_or_else(PoisonError::into_inner).note(number, events, &text);
                    if having == count {
                        complete.send_modify(|events| *events += 1);
                    }
                    events += 1;
                }
                Err("a subscription ended".into())
            });
        }
        Ok(())
    }

    /// Waits until there are so many events with this text and all subscribers have all events.
    async fn wait(&mut self, text: &str, events: usize) -> Result<()> {
        let (began, mut complete) = (Instant::now(), self.complete.subscribe());
        loop {
            let is_complete = {
                let received = self.received.lock().map_err(|_| "a subscriber failed")?;
                received.messages.iter().filter(|message| message.contains(text)).count() >= events
                    && received.events.iter().all(|(count, _)| *count == self.count)
            };
            if is_complete {
                return Ok(());
            }
            if let Some(ended) = self.tasks.try_join_next() {
                ended??;
            }
            if began.elapsed() > TIMEOUT {
                return Err("not all subscribers got an event".into());
            }
            _ = tokio::time::timeout(Duration::from_millis(50), complete.changed()).await;
        }
    }
}

impl Received {
    /// Returns the time from an event to its last message. Only the events of accepted orders are counted, because
    /// a fill has the time at which the order was placed.
    fn milliseconds(&self) -> Result<f64> {
        let mut all = Vec::new();
        for (message, (_, last)) in self.messages.iter().zip(&self.events) {
            let message: Value = serde_json::from_str(message)?;
            let event = message.pointer("/payload/data/orderChanged").ok_or("an event is missing")?;
            if event.get("orderStatus").and_then(Value::as_str) == Some("ACCEPTED") {
                let time = event.get("occurredAt").and_then(Value::as_str).unwrap_or_default();
                let time = DateTime::parse_from_rfc3339(time)?.with_timezone(&Utc);
                all.push((DateTime::<Utc>::from(*last) - time).as_seconds_f64() * 1000.0);
            }
        }
        Ok(median(all))
    }

    /// Notes that a subscriber got its next event, and returns how many have it.
    fn note(&mut self, subscriber: usize, event: usize, message: &str) -> usize {
        if subscriber == 0 {
            self.messages.push(message.to_owned());
        }
        let now = SystemTime::now();
        if let Some((count, last)) = self.events.get_mut(event) {
            *count += 1;
            *last = now.max(*last);
            return *count;
        }
        self.events.push((1, now));
        1
    }
}

async fn subscribe(server: &Server) -> Result<WebSocketStream<TcpStream>> {
    let path = if server.key.is_some() { "graphql/ws" } else { "ws" };
    let mut request = format!("ws://{}/{path}", server.address).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let stream = TcpStream::connect(server.address).await?;
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    let payload = server.key.as_ref().map(|key| json!({ "authorization": format!("Bearer {key}") }));
    let payload = payload.unwrap_or_else(|| json!({}));
    let init = json!({ "type": "connection_init", "payload": payload });
    socket.send(Message::text(init.to_string())).await?;
    let acknowledged = socket.next().await.ok_or("a socket was closed")??;
    if !acknowledged.to_text()?.contains("connection_ack") {
        return Err("a socket was refused".into());
    }
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": DOCUMENT } });
    socket.send(Message::text(subscribe.to_string())).await?;
    Ok(socket)
}
