//! A random walk of orders against real databases: whatever happens, no fill is worse than its limit, and cash,
//! shares, tax lots and holds add up.

use crate::support::{
    Customer, DEPOSIT_CREATE, Options, TestApp,
    postgres::setting,
    random::{self, Random},
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{
    Actor, Error,
    kernel::{
        clock,
        command::{self, Command},
        idempotency::Key,
        scheduler,
    },
    reporting::reconciliation,
    sandbox,
    trading::{
        bars::Bar,
        lots::LotChoice,
        orders::{CancelOrder, PlaceOrder, ReplaceOrder},
    },
};
use entity::{
    Money, Price, Quantity,
    order::{OrderKind, Side, TimeInForce},
    partner::{self, MarketHours},
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Steps on each database, unless `COFFER_TEST_STEPS` says otherwise.
const STEPS: usize = 5_000;
/// Steps between crashes, each followed by a full audit.
const STEPS_PER_LIFE: usize = 1_000;
const SYMBOLS: [&str; 2] = ["VTI", "KO"];
const DOLLARS: &str = "20000.00";

/// Random amounts.
trait Amounts {
    fn units(&mut self, limit: i64) -> i64;
    fn price(&mut self, symbol: &str) -> Price;
    fn quantity(&mut self) -> Quantity;
}

impl Amounts for Random {
    fn units(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(usize::try_from(limit).unwrap())).unwrap()
    }

    /// Returns a price within a tenth of the middle, in whole cents.
    fn price(&mut self, symbol: &str) -> Price {
        let middle = if symbol == "KO" { 6_000 } else { 10_000 };
        Price::from_units((middle * 9 / 10 + self.units(middle / 5)) * 100)
    }

    /// Returns 0.0001 to about 12 shares; now and then far more than anyone can pay.
    fn quantity(&mut self) -> Quantity {
        let most = if self.units(30) == 0 { 100_000_000 } else { 120_000 };
        Quantity::from_units((1 + self.units(most)) * 10_000)
    }
}

/// What an account must have, derived from its deposit and its fills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Owned {
    cents: i64,
    shares: BTreeMap<String, i64>,
}

struct Walk {
    app: TestApp,
    partner: partner::Model,
    actor: Actor,
    customers: Vec<Customer>,
    random: Random,
    /// Orders that may be open.
    orders: Vec<Uuid>,
    owned: BTreeMap<Uuid, Owned>,
    fills: HashSet<Uuid>,
    /// Time from which fills may not have been seen.
    since: DateTime<Utc>,
    last_bars: BTreeMap<&'static str, DateTime<Utc>>,
    /// How often each thing happened.
    counts: BTreeMap<&'static str, usize>,
}

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

fn options() -> Options {
    Options { without_timers: true, ..Options::default() }
}

impl Walk {
    async fn new(app: TestApp, seed: u64) -> Self {
        let (partner, key) = app.other_partner("walk").await;
        let actor = Actor::operator(&partner);
        sandbox::set_market_hours(&app.app, &actor, MarketHours::AlwaysOpen).await.unwrap();
        let mut owned = BTreeMap::new();
        let mut customers = Vec::new();
        for name in ["Ada", "Bob"] {
            let customer = app.customer_as(&key, name).await;
            let input = json!({ "input": customer.deposit(name, DOLLARS) });
            app.gql_as(Some(&key), DEPOSIT_CREATE, input).await.entity("depositCreate", "transfer");
            let cents = DOLLARS.parse::<Money>().unwrap().units();
            owned.insert(uuid(&customer.account_id), Owned { cents, shares: BTreeMap::new() });
            customers.push(customer);
        }
        sandbox::advance_clock(&app.app, &actor, sandbox::Advance::BySeconds(86_400)).await.unwrap();
        let since = clock::now_of(&partner);
        Self {
            app,
            partner,
            actor,
            customers,
            random: Random(seed),
            orders: Vec::new(),
            owned,
            fills: HashSet::new(),
            since,
            last_bars: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Executes a command; returns nothing if it was refused because of stored state.
    async fn execute<C: Command>(&mut self, key: Option<Key>, command: C) -> Option<C::Output> {
        match command::execute(&self.app.app, &self.actor, key, command).await {
            Ok(answer) => {
                self.count(C::NAME);
                Some(answer.value)
            }
            Err(Error::Refused(_)) => {
                self.count("refused");
                None
            }
            Err(error) => panic!("{}: {}", C::NAME, error.cause()),
        }
    }

    async fn due(&mut self) {
        while scheduler::run_due_for(&self.app.app, self.partner.id).await.unwrap() {}
    }

    fn some_new_order(&mut self, number: usize) -> (Key, PlaceOrder) {
        let customer = self.random.below(2);
        let symbol = *self.random.pick(&SYMBOLS);
        let kind = *self.random.pick(&[
            OrderKind::Market,
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::Stop,
            OrderKind::StopLimit,
        ]);
        let command = PlaceOrder {
            account_id: Some(uuid(&self.customers[customer].account_id)),
            symbol: symbol.to_owned(),
            side: *self.random.pick(&[Side::Buy, Side::Buy, Side::Sell]),
            kind,
            quantity: Some(self.random.quantity()),
            notional: None,
            limit_price: kind.has_limit().then(|| self.random.price(symbol)),
            stop_price: kind.has_stop().then(|| self.random.price(symbol)),
            time_in_force: *self.random.pick(&[
                TimeInForce::Day,
                TimeInForce::Gtc,
                TimeInForce::Gtc,
                TimeInForce::Ioc,
                TimeInForce::Fok,
            ]),
            lots: LotChoice::default(),
        };
        (Key::parse(&format!("order-{number}")).unwrap(), command)
    }

    async fn place(&mut self, number: usize) {
        let (key, command) = self.some_new_order(number);
        if let Some(order) = self.execute(Some(key), command).await {
            self.orders.push(order.id);
        }
    }

    fn some_order(&mut self) -> Option<Uuid> {
        let from = self.orders.len().saturating_sub(40);
        let recent = self.orders[from..].to_vec();
        (!recent.is_empty()).then(|| *self.random.pick(&recent))
    }

    async fn replace(&mut self) {
        let Some(order_id) = self.some_order() else { return };
        let price = self.random.price("VTI");
        let command = ReplaceOrder {
            order_id,
            quantity: self.random.one_in(2).then(|| self.random.quantity()),
            limit_price: self.random.one_in(2).then_some(price),
            stop_price: self.random.one_in(4).then_some(price),
        };
        self.execute(None, command).await;
    }

    /// Sets a quote. It would take the place of bars, so that only the other symbol has them.
    async fn quote(&mut self) {
        let symbol = "VTI";
        let bid = self.random.price(symbol);
        let ask = Price::from_units(bid.units() + self.random.units(50) * 100);
        let set = sandbox::SetQuote { symbol: symbol.to_owned(), prices: Some((bid, ask)) };
        sandbox::set_quote(&self.app.app, &self.actor, set).await.unwrap();
        self.count("quotes");
    }

    /// Pushes the bar of the next minute, with a volume that fills large orders only in parts.
    async fn bar(&mut self) {
        let symbol = "KO";
        let minute = TimeDelta::minutes(1);
        let next = self.now().await.duration_trunc(minute).unwrap() + minute;
        let next = self.last_bars.get(symbol).map_or(next, |last| Ord::max(next, *last + minute));
        let mut prices = [(); 4].map(|()| self.random.price(symbol));
        prices.sort_unstable();
        let [low, open, close, high] = prices;
        let volume = Quantity::from_units(self.random.units(60) * 100_000_000);
        let bar = Bar { starts_at: next, open, high, low, close, volume };
        let push = sandbox::bars::PushBar { symbol: symbol.to_owned(), bar };
        sandbox::bars::push_bar(&self.app.app, &self.actor, push).await.unwrap();
        self.last_bars.insert(symbol, next);
        self.count("bars");
    }

    async fn now(&self) -> DateTime<Utc> {
        clock::now_of(&clock::partner(&self.app.app.db.read, self.partner.id).await.unwrap())
    }

    async fn advance(&mut self) {
        let seconds = if self.random.one_in(12) { 86_400 } else { 1 + self.random.units(300) };
        let before = self.now().await;
        let by = sandbox::Advance::BySeconds(seconds);
        sandbox::advance_clock(&self.app.app, &self.actor, by).await.unwrap();
        self.check().await;
        self.since = before;
        self.count("clock");
    }

    async fn step(&mut self, number: usize) {
        match self.random.below(100) {
            0..36 => self.place(number).await,
            36..48 => {
                if let Some(order_id) = self.some_order() {
                    self.execute(None, CancelOrder { order_id }).await;
                }
            }
            48..62 => self.replace().await,
            62..80 => self.quote().await,
            80..93 => self.bar().await,
            _ => self.advance().await,
        }
        if self.random.one_in(2) {
            self.due().await;
        }
        self.check().await;
    }

    async fn rows(&self, text: &str, values: Vec<sea_orm::Value>) -> Vec<sea_orm::QueryResult> {
        let read = &self.app.app.db.read;
        let statement = Statement::from_sql_and_values(read.get_database_backend(), text, values);
        read.query_all_raw(statement).await.unwrap()
    }

    /// Checks the new fills against their orders, and what the accounts have against all fills.
    async fn check(&mut self) {
        let text = "SELECT fill.id, fill.account_id, fill.price, fill.quantity, fill.amount, orders.side, \
            orders.limit_price, orders.quantity AS ordered, orders.filled_quantity, instrument.symbol FROM fill JOIN \
            orders ON orders.id = fill.order_id JOIN instrument ON instrument.id = orders.instrument_id WHERE \
            fill.partner_id = $1 AND fill.traded_at >= $2";
        for row in self.rows(text, vec![self.partner.id.into(), self.since.into()]).await {
            let id: Uuid = row.try_get("", "id").unwrap();
            if !self.fills.insert(id) {
                continue;
            }
            let account: Uuid = row.try_get("", "account_id").unwrap();
            let price: Price = row.try_get("", "price").unwrap();
            let limit: Option<Price> = row.try_get("", "limit_price").unwrap();
            let side: Side = row.try_get("", "side").unwrap();
            let [quantity, ordered, filled] = ["quantity", "ordered", "filled_quantity"]
                .map(|column| row.try_get::<Quantity>("", column).unwrap());
            let amount: Money = row.try_get("", "amount").unwrap();
            let (sign, is_within) = match side {
                Side::Buy => (1, limit.is_none_or(|limit| price <= limit)),
                Side::Sell => (-1, limit.is_none_or(|limit| price >= limit)),
            };
            assert!(is_within, "fill {id} at {price} is worse than {limit:?}");
            assert!(filled <= ordered && quantity.is_positive(), "fill {id}: {filled} of {ordered}");
            let owned = self.owned.get_mut(&account).unwrap();
            owned.cents -= sign * amount.units();
            *owned.shares.entry(row.try_get("", "symbol").unwrap()).or_default() += sign * quantity.units();
            self.count(if filled < ordered { "partial fills" } else { "fills" });
        }
        let text = "SELECT owner_id, asset, credits - debits AS balance, credits - debits - held AS available FROM \
            ledger_account WHERE partner_id = $1 AND owner_id <> $1 AND kind IN ('cash', 'unsettled', 'units')";
        let mut found: BTreeMap<Uuid, Owned> =
            self.owned.keys().map(|account| (*account, Owned::default())).collect();
        for row in self.rows(text, vec![self.partner.id.into()]).await {
            let owner: Uuid = row.try_get("", "owner_id").unwrap();
            let (asset, balance): (String, i64) =
                (row.try_get("", "asset").unwrap(), row.try_get("", "balance").unwrap());
            assert!(row.try_get::<i64>("", "available").unwrap() >= 0, "{asset} of {owner} is overdrawn");
            let owned = found.get_mut(&owner).unwrap();
            if asset == "USD" {
                owned.cents += balance;
            } else {
                *owned.shares.entry(asset).or_default() += balance;
            }
        }
        for owned in found.values_mut().chain(self.owned.values_mut()) {
            owned.shares.retain(|_, units| *units != 0);
        }
        assert_eq!(found, self.owned);
    }

    /// Places an order on a server that dies before its events are sealed and before it answers, and repeats the
    /// request at the next server, which finds everything in order.
    async fn crash(mut self, number: usize) -> Self {
        let (key, command) = self.some_new_order(number);
        self.app.kill();
        let answer = command::execute(&self.app.app, &self.actor, Some(key.clone()), command.clone());
        _ = tokio::time::timeout(Duration::from_millis(200), answer).await;
        let app = self.app.restarted(options()).await;
        app.app.vault.ready_for(&app.app.db, self.partner.id).await.unwrap();
        let mut walk = Self { app, ..self };
        if let Some(order) = walk.execute(Some(key.clone()), command.clone()).await {
            walk.orders.push(order.id);
            let again = command::execute(&walk.app.app, &walk.actor, Some(key), command).await.unwrap();
            assert_eq!((again.value.id, again.replayed), (order.id, true));
        }
        walk.count("crashes");
        walk.check().await;
        walk
    }

    /// Checks everything that is stored.
    async fn audit(&self) {
        let app = &self.app.app;
        let report = reconciliation::run(&app.db, Some(&app.vault.head_key()), None).await.unwrap();
        assert_eq!(report.wrong, None);
        let text = "SELECT id FROM fill WHERE partner_id = $1";
        let all = self.rows(text, vec![self.partner.id.into()]).await;
        let all: BTreeSet<Uuid> = all.iter().map(|row| row.try_get("", "id").unwrap()).collect();
        assert_eq!(all, self.fills.iter().copied().collect::<BTreeSet<_>>());
    }
}

async fn walked(app: TestApp) {
    let seed = random::seed();
    let steps = setting("COFFER_TEST_STEPS")
        .map_or(STEPS, |text| text.parse().expect("COFFER_TEST_STEPS is a number"));
    let kind = app.database_url.split(':').next().unwrap().to_owned();
    println!("walk on {kind}: COFFER_TEST_SEED={seed} COFFER_TEST_STEPS={steps}");
    let began = Instant::now();
    let mut walk = Walk::new(app, seed).await;
    for number in 0..steps {
        walk.step(number).await;
        if (number + 1) % STEPS_PER_LIFE == 0 {
            walk = walk.crash(steps + number).await;
            walk.audit().await;
        }
    }
    walk.app.app.sequencer.caught_up().await;
    walk.audit().await;
    println!("walk on {kind}: {:.1} s, {:?}", began.elapsed().as_secs_f64(), walk.counts);
    for what in ["order.place", "order.cancel", "order.replace", "fills", "partial fills", "refused", "clock"]
    {
        assert!(walk.counts.contains_key(what), "no {what} in {:?}", walk.counts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_orders_leave_the_books_in_order_on_sqlite() {
    walked(TestApp::sqlite_with(options()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_orders_leave_the_books_in_order_on_postgres() {
    if let Some(app) = TestApp::postgres_with(options()).await {
        walked(app).await;
    }
}
