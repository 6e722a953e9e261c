//! Sends requests from 16 clients and measures the CPU time of each.

use crate::{
    Result,
    database::Connection,
    http::Client,
    operations::{Operation, Work},
    processes::{Cpu, Server},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Clients that send requests at the same time.
const CONCURRENCY: usize = 16;
/// Requests that are sent at least.
const MIN_REQUESTS: usize = 3 * CONCURRENCY;
/// Interval at which the CPU time is read.
const INTERVAL: Duration = Duration::from_millis(20);
/// Longest time for what a request leaves to be done later.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// What is not done yet of the orders placed: fills, and seals of events and of audit lines.
const WAITING: &str = "SELECT (SELECT count(*) FROM event WHERE seq IS NULL)
    + (SELECT count(*) FROM audit_log WHERE seq IS NULL)
    + (SELECT count(*) FROM timer WHERE kind = 'order_route')";

/// The two servers over the same database, and a connection to it.
pub struct Site {
    pub coffer: Server,
    pub limit: Server,
    pub database: Connection,
}

/// Sends this request and returns the response.
pub async fn ask(server: &Server, work: &Work, number: usize) -> Result<String> {
    let mut client = Client::open(server.address, server.key.as_deref()).await?;
    let body = work.body(number, server.key.is_some());
    Ok(client.post(path(server, work.operation), &body).await?.to_owned())
}

fn path(server: &Server, operation: Operation) -> &'static str {
    if server.key.is_some() { "/graphql" } else { operation.path() }
}

/// Checks that a response has no errors; the values are compared before.
fn check(operation: Operation, response: &str) -> Result<()> {
    let refused = operation == Operation::M1 && !response.contains(r#""userErrors":[]"#);
    if refused || !response.starts_with(r#"{"data":{""#) || !response.ends_with("}}") {
        let begin: String = response.chars().take(400).collect();
        return Err(format!("{operation} failed: {begin}").into());
    }
    Ok(())
}

impl Site {
    /// Checks that both servers return the same, byte for byte; of an order only its own id differs.
    pub async fn compare(&mut self, work: &Work) -> Result<()> {
        let step = (work.len() / 5).max(1);
        for number in (0..work.len()).step_by(step) {
            let mut responses = Vec::new();
            for server in [&self.limit, &self.coffer] {
                let response = ask(server, work, number).await?;
                check(work.operation, &response)?;
                responses.push(match (work.operation, response.split_once(r#","account""#)) {
                    (Operation::M1, Some((_, rest))) => rest.to_owned(),
                    _ => response,
                });
            }
            if let [limit, coffer] = responses.as_slice()
                && limit != coffer
            {
                let place = limit.bytes().zip(coffer.bytes()).take_while(|(limit, coffer)| limit == coffer);
                let place = place.count().saturating_sub(40);
                let near = |text: &str| text.chars().skip(place).take(200).collect::<String>();
                let operation = work.operation;
                return Err(format!("{operation} differs:\n{}\n{}", near(limit), near(coffer)).into());
            }
            if work.operation == Operation::M1 {
                break;
            }
        }
        self.drain().await
    }

    /// Waits until every order is filled and everything is sealed.
    pub async fn drain(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.database.number(WAITING).await? > 0 {
            if began.elapsed() > DRAIN_TIMEOUT {
                return Err("orders are not filled or sealed".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Returns the CPU time of one request to Coffer or to the limit server, measured over so much CPU time.
    pub async fn measure(&mut self, to_coffer: bool, work: &Arc<Work>, budget: f64) -> Result<Cpu> {
        let server = if to_coffer { &self.coffer } else { &self.limit };
        let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let before = server.cpu();
        let mut clients = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let (next, stop, work) = (Arc::clone(&next), Arc::clone(&stop), Arc::clone(work));
            let path = path(server, work.operation);
            let mut client = Client::open(server.address, server.key.as_deref()).await?;
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let body = work.body(next.fetch_add(1, Ordering::Relaxed), to_coffer);
                    check(work.operation, client.post(path, &body).await?)?;
                }
                Result::<()>::Ok(())
            });
        }
        while clients.len() == CONCURRENCY
            && (server.cpu().since(before).total() < budget || next.load(Ordering::Relaxed) < MIN_REQUESTS)
        {
            tokio::time::sleep(INTERVAL).await;
            // A client ends before the others only if a request has failed.
            if let Some(ended) = clients.try_join_next() {
                ended??;
            }
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        if work.operation == Operation::M1 && to_coffer {
            self.drain().await?;
        }
        let server = if to_coffer { &self.coffer } else { &self.limit };
        Ok(server.cpu().since(before).per(next.load(Ordering::Relaxed)))
    }
}
