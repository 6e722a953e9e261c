//! Tax lots, wash sales, realized gains and the settlement rules of cash accounts, checked to the cent.

use crate::support::{
    ACCOUNT_OPEN, Answer, Customer, DEPOSIT_CREATE, Folder, ORDER_PLACE, TestApp, cash_account, older,
    on_both, process,
};
use entity::tax_lot;
use sea_orm::{ConnectionTrait, EntityTrait, Statement};
use serde_json::{Value, json};

/// Trades in accounts of one person.
struct Trader<'a> {
    app: &'a TestApp,
    customer: Customer,
    orders: u32,
}

impl<'a> Trader<'a> {
    async fn funded(app: &'a TestApp, dollars: &str) -> Self {
        Self { customer: app.funded_customer("Ada", dollars).await, app, orders: 0 }
    }

    /// Opens another account of the same person and funds it.
    async fn other_account(&self, more: Value, dollars: &str) -> String {
        let mut input = cash_account(&self.customer.user_id);
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let opened = self.app.gql(ACCOUNT_OPEN, json!({ "input": input })).await;
        let account = opened.entity("accountOpen", "account")["id"].as_str().unwrap().to_owned();
        let deposit = json!({ "idempotencyKey": account, "accountId": account, "bankAccountId":
            self.customer.bank_account_id, "amount": { "amount": dollars } });
        self.app.gql(DEPOSIT_CREATE, json!({ "input": deposit })).await.entity("depositCreate", "transfer");
        account
    }

    async fn place(&mut self, account: &str, side: &str, quantity: &str, more: Value) -> Answer {
        self.orders += 1;
        let mut input = json!({ "idempotencyKey": self.orders.to_string(), "accountId": account, "symbol": "VTI",
            "side": side, "quantity": quantity });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.app.gql(ORDER_PLACE, json!({ "input": input })).await
    }

    async fn preview(&self, account: &str, side: &str, quantity: &str, more: Value) -> Value {
        let mut input = json!({ "accountId": account, "symbol": "VTI", "side": side, "quantity": quantity });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let query = "query($input: OrderPreviewInput!) { orderPreview(input: $input) { estimate { amount { amount } \
            lots { lot { id } quantity proceeds { amount } costBasis { amount } disallowedLoss { amount } \
            gain { amount } term } washSales { cause quantity loss { amount } forfeitedLoss { amount } windowEndsOn } \
            estimatedTax { amount } } userErrors { code path message } } }";
        self.app.gql(query, json!({ "input": input })).await.data()["orderPreview"].clone()
    }

    async fn trade_in(&mut self, account: &str, side: &str, quantity: &str, price: &str, more: Value) {
        self.app.quote("VTI", price, price).await;
        let placed = self.place(account, side, quantity, more).await;
        let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
        assert_eq!(self.app.ended(&id).await["status"], "FILLED");
    }

    async fn trade(&mut self, side: &str, quantity: &str, price: &str) {
        let account = self.customer.account_id.clone();
        self.trade_in(&account, side, quantity, price, json!({})).await;
    }

    /// Returns these fields of each row of a list of an account.
    async fn rows(&self, account: &str, list: &str, fields: &str) -> Vec<Vec<String>> {
        let names: Vec<_> = fields.split_whitespace().collect();
        let is_money = |name: &&str| {
            ["averageCost", "costBasis", "disallowedLoss", "gain", "proceeds", "washSaleAdjustment"]
                .contains(name)
        };
        let selected = |name: &&str| format!("{name}{}", if is_money(name) { " { amount }" } else { "" });
        let selected = names.iter().map(selected).collect::<Vec<_>>().join(" ");
        let query = format!(
            "query($id: ID!) {{ account(id: $id) {{ list: {list} {{ edges {{ node {{ {selected} }} }} }} }} }}"
        );
        let answer = self.app.gql(&query, json!({ "id": account })).await;
        let edges = answer.data()["account"]["list"]["edges"].as_array().unwrap();
        let text = |value: &Value| match value {
            Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
            value => value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned(),
        };
        edges.iter().map(|edge| names.iter().map(|name| text(&edge["node"][name])).collect()).collect()
    }

    /// Returns quantity, cost, adjustment, acquisition date and beginning of the holding period of each open lot,
    /// newest first.
    async fn lots(&self, account: &str) -> Vec<Vec<String>> {
        let fields = "quantity costBasis washSaleAdjustment acquiredOn heldSince";
        self.rows(account, "taxLots(first: 20)", fields).await
    }

    /// Returns quantity, proceeds, cost, disallowed loss, gain and term of each realized gain, newest first.
    async fn gains(&self, account: &str) -> Vec<Vec<String>> {
        let fields = "quantity proceeds costBasis disallowedLoss gain term";
        self.rows(account, "realizedGains(first: 20)", fields).await
    }

    /// Returns the ids of all lots, oldest first.
    async fn lot_ids(&self, account: &str) -> Vec<String> {
        let mut ids = self.rows(account, "taxLots(first: 20, includeClosed: true)", "id").await.concat();
        ids.reverse();
        ids
    }

    async fn report(&self, view: &str) -> Value {
        let query = "query($id: ID!, $view: GainsView) { gainsReport(userId: $id, year: 2026, view: $view) { year view \
            isProvisional csv } }";
        let variables = json!({ "id": self.customer.user_id, "view": view });
        self.app.gql(query, variables).await.data()["gainsReport"].clone()
    }
}

fn amount(text: &str) -> Value {
    json!({ "amount": text })
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let read = &app.app.db.read;
    let text = format!("SELECT count(*) AS rows FROM {table}");
    let row = read.query_one_raw(Statement::from_string(read.get_database_backend(), text)).await;
    row.unwrap().unwrap().try_get("", "rows").unwrap()
}

on_both! {
    async fn lots_are_sold_by_the_method_of_the_account_or_of_the_order(app: TestApp) {
        let mut ada = Trader::funded(&app, "10000.00").await;
        let account = ada.customer.account_id.clone();
        for price in ["10.00", "30.00", "20.00"] {
            ada.trade("BUY", "3", price).await;
        }
        let lots = ada.lot_ids(&account).await;
        ada.trade("SELL", "1", "40.00").await;
        for (method, named) in [("LIFO", json!([])), ("HIFO", json!([])), ("MIN_TAX", json!([])),
            ("SPECIFIC", json!([lots[0]]))]
        {
            let mut more = json!({ "lotMethod": method });
            if method == "SPECIFIC" {
                more["lotIds"] = named;
            }
            ada.trade_in(&account, "SELL", "1", "40.00", more).await;
        }
        let update = "mutation($input: AccountUpdateInput!) { accountUpdate(input: $input) { account { id \
            lotMethod } userErrors { code path message } } }";
        let set = |method: &str| json!({ "input": { "accountId": account, "patch": { "lotMethod": method } } });
        let refused = app.gql(update, set("SPECIFIC")).await;
        assert_eq!(
            refused.user_error("accountUpdate"),
            &json!({ "code": "INVALID", "path": ["patch", "lotMethod"],
                "message": "patch.lotMethod must not be SPECIFIC, which only an order can be" })
        );
        let updated = app.gql(update, set("LIFO")).await;
        assert_eq!(updated.entity("accountUpdate", "account")["lotMethod"], "LIFO");
        // The rest of the lot bought last, and one share of the lot before.
        ada.trade("SELL", "3", "40.00").await;
        let row = |quantity: &str, proceeds: &str, cost: &str, gain: &str| {
            [quantity, proceeds, cost, "0.00", gain, "SHORT"].map(str::to_owned).to_vec()
        };
        assert_eq!(
            ada.gains(&account).await,
            [
                row("1", "40.00", "30.00", "10.00"),
                row("2", "80.00", "40.00", "40.00"),
                // Named, least tax, highest cost, newest, oldest.
                row("1", "40.00", "10.00", "30.00"),
                row("1", "40.00", "30.00", "10.00"),
                row("1", "40.00", "30.00", "10.00"),
                row("1", "40.00", "20.00", "20.00"),
                row("1", "40.00", "10.00", "30.00"),
            ]
        );
        let lot = |quantity: &str, cost: &str| {
            [quantity, cost, "0.00", "2026-07-10", "2026-07-10"].map(str::to_owned).to_vec()
        };
        assert_eq!(ada.lots(&account).await, [lot("1", "10.00")]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn lots_that_cannot_be_sold_are_refused_and_nothing_is_written(app: TestApp) {
        let mut ada = Trader::funded(&app, "10000.00").await;
        let account = ada.customer.account_id.clone();
        ada.trade("BUY", "3", "10.00").await;
        ada.trade("BUY", "1", "10.00").await;
        let bought = ada.lot_ids(&account).await;
        ada.trade_in(&account, "SELL", "1", "10.00", json!({ "lotIds": [bought[1]] })).await;
        let other = ada.other_account(json!({}), "100.00").await;
        app.advance_to("2026-07-13T16:00:00Z").await;
        ada.trade_in(&other, "BUY", "2", "10.00", json!({})).await;
        let of_other = ada.lot_ids(&other).await;
        let before = (count(&app, "orders").await, count(&app, "order_lot").await, count(&app, "event").await);
        let not_found = json!({ "code": "NOT_FOUND", "path": ["lotIds", "0"],
            "message": "lotIds.0 was not found" });
        let invalid = |field: &str, text: &str| {
            json!({ "code": "INVALID", "path": [field], "message": format!("{field} {text}") })
        };
        for (side, quantity, more, error) in [
            ("SELL", "1", json!({ "lotIds": [of_other[0]] }), not_found.clone()),
            ("SELL", "1", json!({ "lotIds": [bought[1]] }), not_found.clone()),
            ("SELL", "1", json!({ "lotIds": [account] }), not_found.clone()),
            ("SELL", "1", json!({ "lotIds": ["nonsense"] }), not_found),
            ("SELL", "1", json!({ "lotIds": [bought[0], bought[0]] }),
                invalid("lotIds", "must not contain a lot twice")),
            ("SELL", "1", json!({ "lotMethod": "FIFO", "lotIds": [bought[0]] }),
                invalid("lotIds", "is only for the lot method SPECIFIC")),
            ("SELL", "1", json!({ "lotMethod": "SPECIFIC" }),
                json!({ "code": "REQUIRED", "path": ["lotIds"], "message": "lotIds is required" })),
            ("BUY", "1", json!({ "lotMethod": "FIFO" }), invalid("lotMethod", "is only for sell orders")),
            ("BUY", "1", json!({ "lotIds": [bought[0]] }), invalid("lotIds", "is only for sell orders")),
        ] {
            let refused = ada.place(&account, side, quantity, more.clone()).await;
            assert_eq!(refused.user_error("orderPlace"), &error, "{more}");
        }
        ada.trade("BUY", "1", "10.00").await;
        let too_many = ada.place(&account, "SELL", "4", json!({ "lotIds": [bought[0]] })).await;
        assert_eq!(
            too_many.user_error("orderPlace"),
            &json!({ "code": "INSUFFICIENT_POSITION", "path": ["lotIds"],
                "message": "The lots have fewer shares than this order. Name more lots." })
        );
        let after = (count(&app, "orders").await, count(&app, "order_lot").await, count(&app, "event").await);
        // Only the order in between, with its five events, and that of the price.
        assert_eq!((after.0, after.1, after.2), (before.0 + 1, before.1, before.2 + 6));
    }

    async fn an_order_names_at_most_100_lots(app: TestApp) {
        let mut ada = Trader::funded(&app, "1000.00").await;
        let account = ada.customer.account_id.clone();
        ada.trade("BUY", "1", "10.00").await;
        let bought = ada.lot_ids(&account).await.remove(0);
        let ids = |count: usize| {
            let others = (1..count).map(|number| {
                let mut id = bought.clone();
                id.replace_range(30..34, &format!("{number:04x}"));
                id
            });
            others.chain([bought.clone()]).collect::<Vec<_>>()
        };
        for (ids, code, path, message) in [
            (ids(101), "INVALID", json!(["lotIds"]), "lotIds must have at most 100 ids"),
            (ids(100), "NOT_FOUND", json!(["lotIds", "0"]), "lotIds.0 was not found"),
        ] {
            let error = json!({ "code": code, "path": path, "message": message });
            let refused = ada.place(&account, "SELL", "1", json!({ "lotIds": ids })).await;
            assert_eq!(refused.user_error("orderPlace"), &error);
            let preview = ada.preview(&account, "SELL", "1", json!({ "lotIds": ids })).await;
            assert_eq!(preview, json!({ "estimate": null, "userErrors": [error] }));
        }
        ada.trade_in(&account, "SELL", "1", "10.00", json!({ "lotIds": ids(1) })).await;
    }

    async fn a_preview_shows_the_lots_that_a_sale_would_sell_and_the_tax(app: TestApp) {
        let mut ada = Trader::funded(&app, "10000.00").await;
        let account = ada.customer.account_id.clone();
        let retirement = ada.other_account(json!({ "taxTreatment": "ROTH_IRA" }), "1000.00").await;
        for price in ["10.00", "30.00", "20.00"] {
            ada.trade("BUY", "3", price).await;
        }
        let lots = ada.lot_ids(&account).await;
        app.quote("VTI", "25.00", "25.00").await;
        let rates = async |patch: Value| {
            let set = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
                partner { settings { shortTermTaxRate longTermTaxRate } } userErrors { message } } }";
            let set = app.gql(set, json!({ "input": { "patch": patch } })).await;
            let settings = set.entity("partnerSettingsUpdate", "partner")["settings"].clone();
            json!([settings["shortTermTaxRate"], settings["longTermTaxRate"]])
        };
        let row = |lot: usize, quantity: &str, proceeds: &str, cost: &str, disallowed: &str, gain: &str| {
            json!({ "lot": { "id": lots[lot] }, "quantity": quantity, "proceeds": amount(proceeds),
                "costBasis": amount(cost), "disallowedLoss": amount(disallowed), "gain": amount(gain),
                "term": "SHORT" })
        };
        let wash = |cause: &str, quantity: &str, loss: &str, forfeited: &str, ends: &str| {
            json!([{ "cause": cause, "quantity": quantity, "loss": amount(loss), "forfeitedLoss": amount(forfeited),
                "windowEndsOn": ends }])
        };
        let sale = async |ada: &Trader<'_>, quantity: &str, more: Value| {
            let preview = ada.preview(&account, "SELL", quantity, more).await;
            let estimate = &preview["estimate"];
            json!([estimate["lots"], estimate["washSales"], estimate["estimatedTax"]])
        };
        // The lot bought last replaces the share that is sold at a loss.
        let fifo = json!([row(0, "3", "75.00", "30.00", "0.00", "45.00"),
            row(1, "1", "25.00", "30.00", "5.00", "0.00")]);
        let washed = wash("EARLIER_PURCHASE", "1", "5.00", "0.00", "2026-08-09");
        assert_eq!(sale(&ada, "4", json!({})).await, json!([fifo, washed, null]));
        assert_eq!(rates(json!({ "shortTermTaxRate": "24" })).await, json!(["24", null]));
        assert_eq!(sale(&ada, "4", json!({})).await[2], json!(null));
        assert_eq!(rates(json!({ "longTermTaxRate": "15" })).await, json!(["24", "15"]));
        assert_eq!(sale(&ada, "4", json!({})).await, json!([fifo, washed, amount("10.80")]));
        let hifo = json!([row(1, "3", "75.00", "90.00", "15.00", "0.00"),
            row(2, "1", "25.00", "20.00", "0.00", "5.00")]);
        assert_eq!(
            sale(&ada, "4", json!({ "lotMethod": "HIFO" })).await,
            json!([hifo, wash("EARLIER_PURCHASE", "3", "15.00", "0.00", "2026-08-09"), amount("1.20")])
        );
        let named = json!([row(2, "3", "75.00", "60.00", "0.00", "15.00"),
            row(0, "1", "25.00", "10.00", "0.00", "15.00")]);
        assert_eq!(
            sale(&ada, "4", json!({ "lotIds": [lots[2], lots[0]] })).await,
            json!([named, [], amount("7.20")])
        );
        // At the limit price of the order.
        let limited = sale(&ada, "1", json!({ "type": "LIMIT", "limitPrice": amount("40.00") })).await;
        assert_eq!(limited, json!([[row(0, "1", "40.00", "10.00", "0.00", "30.00")], [], amount("7.20")]));
        let refused = ada.preview(&account, "SELL", "4", json!({ "lotIds": [lots[2]] })).await;
        assert_eq!(
            refused,
            json!({ "estimate": null, "userErrors": [{ "code": "INSUFFICIENT_POSITION", "path": ["lotIds"],
                "message": "The lots have fewer shares than this order. Name more lots." }] })
        );

        // Without purchases of the last 30 days, only later ones disallow the loss.
        app.advance_to("2026-08-20T16:00:00Z").await;
        app.quote("VTI", "15.00", "15.00").await;
        let all = json!([row(0, "3", "45.00", "30.00", "0.00", "15.00"),
            row(1, "3", "45.00", "90.00", "0.00", "-45.00"), row(2, "3", "45.00", "60.00", "0.00", "-15.00")]);
        assert_eq!(
            sale(&ada, "9", json!({})).await,
            json!([all, wash("LATER_PURCHASE", "6", "60.00", "0.00", "2026-09-19"), amount("0.00")])
        );
        ada.trade_in(&account, "SELL", "6", "15.00", json!({ "lotIds": [lots[1], lots[2]] })).await;
        let purchase = async |ada: &Trader<'_>, account: &str| {
            let preview = ada.preview(account, "BUY", "2", json!({})).await;
            let estimate = &preview["estimate"];
            json!([estimate["lots"], estimate["washSales"], estimate["estimatedTax"]])
        };
        app.advance_to("2026-09-18T16:00:00Z").await;
        let washed = wash("EARLIER_SALE", "2", "30.00", "0.00", "2026-09-19");
        assert_eq!(purchase(&ada, &account).await, json!([[], washed, null]));
        let lost = wash("EARLIER_SALE", "2", "30.00", "30.00", "2026-09-19");
        assert_eq!(purchase(&ada, &retirement).await, json!([[], lost, null]));
        // What it said happens.
        ada.trade_in(&account, "BUY", "2", "15.00", json!({})).await;
        assert_eq!(ada.lots(&account).await[0], ["2", "60.00", "30.00", "2026-09-18", "2026-08-08"]);
        app.advance_to("2026-09-21T16:00:00Z").await;
        assert_eq!(purchase(&ada, &account).await, json!([[], [], null]));

        app.advance_to("2027-07-12T16:00:00Z").await;
        let long = sale(&ada, "1", json!({})).await;
        let facts = json!([long[0][0]["term"], long[0][0]["gain"], long[2]]);
        assert_eq!(facts, json!(["LONG", amount("5.00"), amount("0.75")]));
        assert_eq!(rates(json!({ "longTermTaxRate": null })).await, json!(["24", null]));
        assert_eq!(sale(&ada, "1", json!({})).await[2], json!(null));
        assert_eq!(app.audit().await.wrong, None);
    }

    /// A preview answers while another transaction has locked all that an order locks.
    async fn a_preview_takes_no_lock(app: TestApp) {
        let mut ada = Trader::funded(&app, "1000.00").await;
        let account = ada.customer.account_id.clone();
        ada.trade("BUY", "2", "10.00").await;
        let tx = app.app.db.write().await.unwrap();
        for table in ["partner", "account", "tax_lot"] {
            tx.execute_unprepared(&format!("UPDATE {table} SET id = id")).await.unwrap();
        }
        tx.execute_unprepared("UPDATE ledger_account SET held = held").await.unwrap();
        for side in ["BUY", "SELL"] {
            let preview = ada.preview(&account, side, "1", json!({})).await;
            assert_eq!(preview["estimate"]["amount"], amount("10.00"), "{preview}");
        }
        drop(tx);
    }

    async fn a_loss_moves_to_the_shares_that_replace_those_sold(app: TestApp) {
        // Publication 550 of the IRS: bought for $1,000, sold for $750, and bought again for $800 within 30 days.
        let mut ada = Trader::funded(&app, "5000.00").await;
        let account = ada.customer.account_id.clone();
        ada.trade("BUY", "100", "10.00").await;
        app.advance_to("2026-07-20T16:00:00Z").await;
        ada.trade("SELL", "100", "7.50").await;
        let gain = |disallowed: &str, gain: &str| {
            [["100", "750.00", "1000.00", disallowed, gain, "SHORT"].map(str::to_owned).to_vec()]
        };
        assert_eq!(ada.gains(&account).await, gain("0.00", "-250.00"));
        // The 30th day replaces.
        app.advance_to("2026-08-19T16:00:00Z").await;
        ada.trade("BUY", "40", "8.00").await;
        assert_eq!(ada.gains(&account).await, gain("100.00", "-150.00"));
        let lot = |row: [&str; 5]| row.map(str::to_owned).to_vec();
        let washed = lot(["40", "420.00", "100.00", "2026-08-19", "2026-08-09"]);
        assert_eq!(ada.lots(&account).await, std::slice::from_ref(&washed));
        // The 31st day does not.
        app.advance_to("2026-08-20T16:00:00Z").await;
        ada.trade("BUY", "60", "8.00").await;
        assert_eq!(ada.gains(&account).await, gain("100.00", "-150.00"));
        assert_eq!(
            ada.lots(&account).await,
            [lot(["60", "480.00", "0.00", "2026-08-20", "2026-08-20"]), washed]
        );
        assert_eq!(
            ada.rows(&account, "positions", "quantity costBasis averageCost").await,
            [["100", "900.00", "9.00"]]
        );
        // A purchase before the sale replaces too, as far as its shares are not sold themselves.
        app.advance_to("2026-11-02T17:00:00Z").await;
        ada.trade("BUY", "30", "6.00").await;
        ada.trade("SELL", "40", "5.00").await;
        assert_eq!(
            ada.gains(&account).await[0],
            ["40", "200.00", "420.00", "165.00", "-55.00", "SHORT"]
        );
        assert_eq!(ada.lots(&account).await[0], ["30", "345.00", "165.00", "2026-11-02", "2026-08-09"]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn wash_sales_are_found_in_all_accounts_of_a_person_and_a_retirement_account_loses_the_loss(app: TestApp) {
        let mut ada = Trader::funded(&app, "5000.00").await;
        let account = ada.customer.account_id.clone();
        let retirement = ada.other_account(json!({ "taxTreatment": "ROTH_IRA" }), "1000.00").await;
        let joint = ada.other_account(json!({ "ownership": "JOINT", "jointMember": { "person": {
            "firstName": "Bob", "lastName": "Carter", "email": "bob@example.com", "phone": "2025550108",
            "ssn": "212345678", "birthDate": "1985-01-23", "address": { "line1": "123 Test St", "city": "Richmond",
            "state": "VA", "postalCode": "23220" } } } }), "1000.00").await;
        let treatment = app.gql("query($id: ID!) { account(id: $id) { taxTreatment } }", json!({ "id": retirement }));
        assert_eq!(treatment.await.data()["account"]["taxTreatment"], "ROTH_IRA");
        app.advance_to("2026-07-14T16:00:00Z").await;
        ada.trade("BUY", "100", "10.00").await;
        ada.trade_in(&joint, "BUY", "20", "9.00", json!({})).await;
        ada.trade("SELL", "100", "7.50").await;
        ada.trade_in(&retirement, "BUY", "50", "8.00", json!({})).await;
        // 20 % replaced by the joint account before, 50 % by the retirement account after.
        assert_eq!(ada.gains(&account).await, [["100", "750.00", "1000.00", "175.00", "-75.00", "SHORT"]]);
        assert_eq!(ada.lots(&joint).await, [["20", "230.00", "50.00", "2026-07-14", "2026-07-14"]]);
        assert_eq!(ada.lots(&retirement).await, [["50", "400.00", "0.00", "2026-07-14", "2026-07-14"]]);
        assert_eq!(
            ada.rows(&joint, "positions", "quantity costBasis").await,
            [["20", "230.00"]]
        );
        // No loss of the retirement account counts for taxes.
        ada.trade_in(&retirement, "SELL", "50", "7.00", json!({})).await;
        ada.trade("BUY", "10", "7.00").await;
        assert_eq!(ada.gains(&retirement).await, [["50", "350.00", "400.00", "0.00", "-50.00", "SHORT"]]);
        // The ten shares replace ten of the thirty that were left.
        assert_eq!(ada.gains(&account).await, [["100", "750.00", "1000.00", "200.00", "-50.00", "SHORT"]]);
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_retirement_account_has_one_owner(app: TestApp) {
        let ada = app.customer("Ada").await;
        let mut input = cash_account(&ada.user_id);
        input["taxTreatment"] = json!("TRADITIONAL_IRA");
        input["ownership"] = json!("JOINT");
        let refused = app.gql(ACCOUNT_OPEN, json!({ "input": input })).await;
        assert_eq!(
            refused.user_error("accountOpen"),
            &json!({ "code": "INVALID", "path": ["taxTreatment"],
                "message": "taxTreatment must be TAXABLE for a joint account" })
        );
    }

    async fn the_gains_of_a_year_are_exported_for_the_broker_and_for_the_person(app: TestApp) {
        let mut ada = Trader::funded(&app, "5000.00").await;
        let account = ada.customer.account_id.clone();
        let other = ada.other_account(json!({}), "1000.00").await;
        app.advance_to("2026-07-14T16:00:00Z").await;
        ada.trade("BUY", "100", "10.00").await;
        app.advance_to("2026-07-20T16:00:00Z").await;
        ada.trade("SELL", "100", "7.50").await;
        app.advance_to("2026-07-21T16:00:00Z").await;
        ada.trade_in(&other, "BUY", "100", "8.00", json!({})).await;
        app.advance_to("2026-07-22T16:00:00Z").await;
        ada.trade("BUY", "40", "8.00").await;
        app.advance_to("2026-09-22T16:00:00Z").await;
        ada.trade("SELL", "40", "12.5").await;
        let number = app.gql("query($id: ID!) { account(id: $id) { number } }", json!({ "id": account })).await;
        let number = number.data()["account"]["number"].as_str().unwrap().to_owned();
        let header = "account,part,box,(a) Description of property,(b) Date acquired,(c) Date sold or disposed \
            of,(d) Proceeds,(e) Cost or other basis,(f) Code,(g) Amount of adjustment,(h) Gain or loss\n";
        let person = format!(
            "{header}{number},I,A,100 sh. VTI,07/14/2026,07/20/2026,750.00,1000.00,W,250.00,0.00\n\
             {number},I,A,40 sh. VTI,07/22/2026,09/22/2026,500.00,320.00,,,180.00\n"
        );
        // In the account alone, 40 of the 100 shares were replaced, and their loss moved.
        let broker = format!(
            "{header}{number},I,A,100 sh. VTI,07/14/2026,07/20/2026,750.00,1000.00,W,100.00,-150.00\n\
             {number},I,A,40 sh. VTI,07/16/2026,09/22/2026,500.00,420.00,,,80.00\n"
        );
        for (view, csv) in [("PERSON", &person), ("BROKER", &broker)] {
            assert_eq!(
                ada.report(view).await,
                json!({ "year": 2026, "view": view, "isProvisional": true, "csv": csv })
            );
            let arguments = ["export", "gains", "--partner", "tests", "--user", &ada.customer.user_id, "--year", "2026",
                "--view", &view.to_lowercase()];
            let output = process::run(&app.database_url, &arguments);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *csv, "{error}");
            assert_eq!(error, "The gains of 2026 are provisional until 31 January 2027.\n");
        }
        app.advance_to("2027-01-31T04:59:59Z").await;
        assert_eq!(ada.report("PERSON").await["isProvisional"], true);
        app.advance_to("2027-01-31T05:00:00Z").await;
        assert_eq!(ada.report("PERSON").await["isProvisional"], false);
        let year = |year: i32| format!("realizedGains(filter: {{ year: {year} }})");
        assert_eq!(ada.rows(&account, &year(2026), "id").await.len(), 2);
        assert_eq!(ada.rows(&account, &year(2027), "id").await.len(), 0);
        assert_eq!(ada.rows(&account, "realizedGains(filter: { year: 2026, term: LONG })", "id").await.len(), 0);
    }

    async fn a_position_shows_what_it_is_worth_and_what_it_has_gained(app: TestApp) {
        let mut ada = Trader::funded(&app, "5000.00").await;
        let account = ada.customer.account_id.clone();
        let fields = "averageCost { amount } marketValue { amount } dayChange { amount } unrealizedGain { total { \
            amount } shortTerm { amount } longTerm { amount } }";
        let query = format!(
            "query($id: ID!) {{ account(id: $id) {{ positions {{ edges {{ node {{ {fields} }} }} }} }} }}"
        );
        let position = async || {
            let answer = app.gql(&query, json!({ "id": account })).await;
            answer.data()["account"]["positions"]["edges"][0]["node"].clone()
        };
        let money = |text: &str| json!({ "amount": text });
        ada.trade("BUY", "3", "100.00").await;
        ada.trade("BUY", "1", "200.00").await;
        app.quote("VTI", "150.00", "152.00").await;
        let gain = |total: &str, short: &str, long: &str| {
            json!({ "total": money(total), "shortTerm": money(short), "longTerm": money(long) })
        };
        let shown = |change: &str, gain: Value| {
            json!({ "averageCost": money("125.00"), "marketValue": money("604.00"), "dayChange": money(change),
                "unrealizedGain": gain })
        };
        // Bought today: the change is that since the purchase.
        assert_eq!(position().await, shown("104.00", gain("104.00", "104.00", "0.00")));
        app.advance_to("2026-07-13T16:00:00Z").await;
        assert_eq!(position().await, shown("0.00", gain("104.00", "104.00", "0.00")));
        app.advance_to("2027-07-11T16:00:00Z").await;
        assert_eq!(position().await, shown("0.00", gain("104.00", "0.00", "104.00")));
    }

    async fn the_third_sale_before_settlement_restricts_the_account_to_settled_cash(app: TestApp) {
        let mut ada = Trader::funded(&app, "1000.00").await;
        let account = ada.customer.account_id.clone();
        let query = "query($id: ID!) { account(id: $id) { settledCashOnlyUntil balance { buyingPower { amount } \
            withdrawable { amount } settledCash { amount } unsettledCash { amount } heldCash { amount } \
            pendingDeposits { amount } } settlementViolations { edges { node { kind occurredAt fundsSettleAt } } } } }";
        let state = async || app.gql(query, json!({ "id": account })).await.data()["account"].clone();
        let violation = json!({ "node": { "kind": "GOOD_FAITH", "occurredAt": "2026-07-10T16:00:00Z",
            "fundsSettleAt": "2026-07-13T12:30:00Z" } });
        let money = |text: &str| json!({ "amount": text });
        let balance = |power: &str, settled: &str, unsettled: &str| {
            json!({ "buyingPower": money(power), "withdrawable": money(settled), "settledCash": money(settled),
                "unsettledCash": money(unsettled), "heldCash": money("0.00"), "pendingDeposits": money("0.00") })
        };
        // Bought with settled cash: the sale violates nothing.
        ada.trade("BUY", "9", "100.00").await;
        ada.trade("SELL", "9", "100.00").await;
        assert_eq!(
            state().await,
            json!({ "settledCashOnlyUntil": null, "balance": balance("1000.00", "100.00", "900.00"),
                "settlementViolations": { "edges": [] } })
        );
        for violations in 1..=3 {
            ada.trade("BUY", "8", "100.00").await;
            ada.trade("SELL", "8", "100.00").await;
            assert_eq!(
                state().await["settlementViolations"]["edges"],
                Value::Array(vec![violation.clone(); violations])
            );
        }
        let restricted = state().await;
        assert_eq!(restricted["settledCashOnlyUntil"], "2026-10-08T16:00:00Z");
        assert_eq!(restricted["balance"], balance("0.00", "0.00", "1000.00"));
        let refused = ada.place(&account, "BUY", "1", json!({})).await;
        assert_eq!(
            refused.user_error("orderPlace"),
            &json!({ "code": "INSUFFICIENT_BUYING_POWER", "path": ["quantity"],
                "message": "Buying power is $0.00; this order may cost up to $103.00. The account is restricted to \
                    settled cash." })
        );
        // Settled cash may be spent.
        app.advance_to("2026-07-13T12:30:00Z").await;
        assert_eq!(state().await["balance"], balance("1000.00", "1000.00", "0.00"));
        ada.trade("BUY", "1", "100.00").await;
        app.advance_to("2026-10-08T16:00:00Z").await;
        ada.trade("SELL", "1", "100.00").await;
        assert_eq!(state().await["balance"], balance("1000.00", "900.00", "100.00"));
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_fill_has_a_confirmation(app: TestApp) {
        let mut ada = Trader::funded(&app, "1000.00").await;
        ada.trade("BUY", "2.5", "100.00").await;
        let query = "{ fills { edges { node { confirmation { side quantity price { amount } principal { amount } \
            fees { amount } netAmount { amount } tradedAt settlesOn capacity } } } } }";
        let money = |text: &str| json!({ "amount": text });
        assert_eq!(
            app.gql(query, json!({})).await.data()["fills"]["edges"][0]["node"]["confirmation"],
            json!({ "side": "BUY", "quantity": "2.5", "price": money("100.00"), "principal": money("250.00"),
                "fees": money("0.00"), "netAmount": money("250.00"), "tradedAt": "2026-07-10T16:00:00Z",
                "settlesOn": "2026-07-13", "capacity": "AGENT" })
        );
    }

    async fn sixty_four_clients_trade_in_two_accounts_of_one_person(app: TestApp) {
        let mut ada = Trader::funded(&app, "20000.00").await;
        let account = ada.customer.account_id.clone();
        let other = ada.other_account(json!({}), "20000.00").await;
        app.advance_to("2026-07-14T16:00:00Z").await;
        for account in [&account, &other] {
            ada.trade_in(account, "BUY", "50", "10.00", json!({})).await;
        }
        app.quote("VTI", "8.00", "9.00").await;
        let orders = (0..64).map(|number| {
            let account = if number % 2 == 0 { &account } else { &other };
            let side = if number % 4 < 2 { "SELL" } else { "BUY" };
            let input = json!({ "idempotencyKey": format!("c{number}"), "accountId": account, "symbol": "VTI",
                "side": side, "quantity": "1" });
            let app = &app;
            async move {
                let placed = app.gql_until_answered(ORDER_PLACE, json!({ "input": input })).await;
                placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned()
            }
        });
        for id in futures_util::future::join_all(orders).await {
            assert_eq!(app.ended(&id).await["status"], "FILLED");
        }
        for account in [&account, &other] {
            assert_eq!(ada.rows(account, "positions", "quantity").await, [["50"]]);
            assert_eq!(ada.gains(account).await.len(), 16);
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_from_before_there_were_lots_becomes_one_lot() {
    let folder = Folder::new();
    for older in older::databases(&folder, "m20261128_000023_tax_lots").await {
        let id = |number| older.id(number);
        for (number, side, at, quantity) in [
            (1, "buy", "2026-07-09T16:00:00+00:00", 300),
            (2, "buy", "2026-07-10T16:00:00+00:00", 100),
            (3, "sell", "2026-07-13T16:00:00+00:00", 150),
        ] {
            let (order, fill) = (id(20 + number), id(30 + number));
            let (partner, account, instrument) = (id(1), id(2), id(3));
            let order = format!(
                "INSERT INTO orders (id, partner_id, account_id, instrument_id, side, kind, quantity, filled_quantity, \
                 status, submitted_at, filled_at) VALUES ({order}, {partner}, {account}, {instrument}, '{side}', \
                 'market', {quantity}, {quantity}, 'filled', '{at}', '{at}')"
            );
            older.db.execute_unprepared(&order).await.unwrap();
            let order = id(20 + number);
            let fill = format!(
                "INSERT INTO fill (id, partner_id, account_id, order_id, number, side, quantity, price, amount, \
                 traded_at, settles_at) VALUES ({fill}, {partner}, {account}, {order}, 1, '{side}', {quantity}, 1, \
                 1, '{at}', '{at}')"
            );
            older.db.execute_unprepared(&fill).await.unwrap();
        }
        for (number, instrument, quantity, cost) in [(4, 3, 250, 777), (5, 6, 0, 0)] {
            let position = format!(
                "INSERT INTO position (id, partner_id, account_id, instrument_id, quantity, cost_basis) VALUES ({}, \
                 {}, {}, {}, {quantity}, {cost})",
                id(number),
                id(1),
                id(2),
                id(instrument)
            );
            older.db.execute_unprepared(&position).await.unwrap();
        }
        older.migrate().await;
        let rows = tax_lot::Entity::find().all(&older.db).await.unwrap();
        let [lot] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(lot.id.to_string(), "01900000-0000-7000-8000-000000000028");
        assert_eq!(lot.purchase_id.to_string(), "01900000-0000-7000-8000-000000000004");
        assert_eq!((lot.quantity.units(), lot.cost.units()), (250, 777));
        assert_eq!((lot.open_quantity, lot.open_basis), (lot.quantity, lot.cost));
        let day: chrono::NaiveDate = "2026-07-10".parse().unwrap();
        assert_eq!((lot.acquired_on, lot.held_since, lot.fill_id), (day, day, None));
    }
}
