//! Quotes that subscribers wait for.
//!
//! One task per partner reads the quotes of all instruments that its subscribers wait for, once a second for all of
//! them together, and hands on those that have changed.

use super::market::{self, Quote};
use crate::{
    Result,
    kernel::{
        app::{App, Feature},
        clock,
    },
};
use entity::instrument;
use futures_util::{Stream, StreamExt, stream};
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// Time between two reads of the quotes of a partner.
const PERIOD: Duration = Duration::from_secs(1);

/// A quote that differs from the one before.
#[derive(Clone, Debug)]
pub struct QuoteChange {
    /// Number of this change in this process.
    pub number: u64,
    pub instrument: Arc<instrument::Model>,
    pub quote: Quote,
}

type Sender = watch::Sender<Option<Arc<QuoteChange>>>;

/// Quotes that subscribers of this process wait for, by partner.
#[derive(Default)]
struct Watched {
    partners: Mutex<HashMap<Uuid, Arc<Partner>>>,
    last_number: AtomicU64,
}

/// Quotes of one partner that subscribers wait for.
#[derive(Default)]
struct Partner {
    quotes: Mutex<HashMap<Uuid, Watch>>,
    wake: Notify,
}

struct Watch {
    instrument: Arc<instrument::Model>,
    sender: Sender,
}

impl Feature for Watched {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

impl Watched {
    fn partners(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Partner>>> {
        self.partners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Partner {
    fn quotes(&self) -> MutexGuard<'_, HashMap<Uuid, Watch>> {
        self.quotes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Streams the quotes of these instruments: the present ones at once, then each one that differs from the one before,
/// at most once a second unless the sandbox changes them. A slow subscriber misses all but the latest.
pub async fn follow(
    app: &App,
    partner_id: Uuid,
    instruments: Vec<Arc<instrument::Model>>,
) -> Result<impl Stream<Item = Arc<QuoteChange>> + Send + use<>> {
    let partner = clock::partner(&app.db.read, partner_id).await?;
    // Fails if the partner has no market.
    market::of(app, &partner)?;
    let watched = app.feature::<Watched>();
    let mut partners = watched.partners();
    let (partner, is_new) = match partners.get(&partner_id) {
        Some(partner) => (partner.clone(), false),
        None => (Arc::<Partner>::default(), true),
    };
    let mut receivers = Vec::with_capacity(instruments.len());
    let mut has_unread = false;
    {
        let mut quotes = partner.quotes();
        for instrument in instruments {
            let watch = quotes.entry(instrument.id).or_insert_with(|| {
                has_unread = true;
                Watch { instrument, sender: Sender::new(None) }
            });
            receivers.push(watch.sender.subscribe());
        }
    }
    if is_new {
        partners.insert(partner_id, partner.clone());
        tokio::spawn(read_while_watched(app.clone(), partner_id, partner));
    } else if has_unread {
        partner.wake.notify_one();
    }
    Ok(stream::select_all(receivers.into_iter().map(|receiver| changes(receiver).boxed())))
}

fn changes(
    receiver: watch::Receiver<Option<Arc<QuoteChange>>>,
) -> impl Stream<Item = Arc<QuoteChange>> + Send {
    let mut receiver = receiver;
    receiver.mark_changed();
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            receiver.changed().await.ok()?;
            let change = receiver.borrow_and_update().clone();
            if let Some(change) = change {
                return Some((change, receiver));
            }
        }
    })
}

/// Has the quotes of a partner read at once, after their clock or their prices were changed.
pub fn wake(app: &App, partner_id: Uuid) {
    if let Some(partner) = app.feature::<Watched>().partners().get(&partner_id) {
        partner.wake.notify_one();
    }
}

async fn read_while_watched(app: App, partner_id: Uuid, partner: Arc<Partner>) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let watched = app.feature::<Watched>();
    loop {
        let instruments: Vec<_> = {
            let mut partners = watched.partners();
            let mut quotes = partner.quotes();
            quotes.retain(|_, watch| watch.sender.receiver_count() > 0);
            if quotes.is_empty() {
                partners.remove(&partner_id);
                return;
            }
            quotes.values().map(|watch| watch.instrument.clone()).collect()
        };
        match read(&app, partner_id, &instruments).await {
            Ok(read) => {
                for (instrument_id, quote) in read {
                    if let Some(watch) = partner.quotes().get(&instrument_id) {
                        send(watched, watch, quote);
                    }
                }
            }
            Err(error) => tracing::warn!(cause = %error.cause(), "quotes could not be read"),
        }
        // All partners at the same time, so that a tick costs the database one burst.
        let seconds = START.elapsed().as_secs() + PERIOD.as_secs();
        tokio::select! {
            () = sleep_until(*START + Duration::from_secs(seconds)) => {}
            () = partner.wake.notified() => {}
        }
    }
}

async fn read(
    app: &App,
    partner_id: Uuid,
    instruments: &[Arc<instrument::Model>],
) -> Result<HashMap<Uuid, Quote>> {
    let partner = clock::partner(&app.db.read, partner_id).await?;
    market::quotes(app, &app.db.read, &partner, instruments, clock::now_of(&partner)).await
}

fn send(watched: &Watched, watch: &Watch, quote: Quote) {
    watch.sender.send_if_modified(|last| {
        let prices = |quote: &Quote| (quote.bid, quote.ask, quote.last);
        if last.as_ref().is_some_and(|last| prices(&last.quote) == prices(&quote)) {
            return false;
        }
        let (number, instrument) = (watched.next_number(), watch.instrument.clone());
        *last = Some(Arc::new(QuoteChange { number, instrument, quote }));
        true
    });
}
