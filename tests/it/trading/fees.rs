//! Regulatory fees of sales: dated rates, and what they take from the proceeds, to the cent.

use crate::support::{Customer, ORDER_PLACE, TestApp, on_both};
use serde_json::{Value, json};

const UPDATE: &str = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
    partner { settings { secFeePerMillion tradingActivityFee { perShare maximum { amount } } } } \
    userErrors { code path message } } }";
const CONFIRMATIONS: &str = "query($id: ID!) { order(id: $id) { fills(first: 5) { edges { node { amount { amount } \
    confirmation { principal { amount } fees { amount } secFee { amount } tradingActivityFee { amount } \
    netAmount { amount } } } } } } }";
const GAINS: &str = "query($id: ID!) { account(id: $id) { realizedGains(first: 9) { edges { node { quantity \
    proceeds { amount } costBasis { amount } gain { amount } } } } } }";
const PREVIEW: &str = "query($input: OrderPreviewInput!) { orderPreview(input: $input) { estimate { \
    amount { amount } fees { amount } } userErrors { message } } }";

async fn trade(app: &TestApp, ada: &Customer, key: &str, side: &str, quantity: &str, price: &str) -> String {
    app.quote("VTI", price, price).await;
    let placed = app.gql(ORDER_PLACE, json!({ "input": ada.order(key, side, "VTI", quantity) })).await;
    let id = placed.entity("orderPlace", "order")["id"].as_str().unwrap().to_owned();
    assert_eq!(app.ended(&id).await["status"], "FILLED");
    id
}

/// Returns the price, the fees, those of the SEC and of FINRA, and what the customer pays or receives.
async fn confirmed(app: &TestApp, order_id: &str) -> [String; 5] {
    let answer = app.gql(CONFIRMATIONS, json!({ "id": order_id })).await;
    let edges = answer.data()["order"]["fills"]["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 1);
    let confirmation = &edges[0]["node"]["confirmation"];
    ["principal", "fees", "secFee", "tradingActivityFee", "netAmount"]
        .map(|field| confirmation[field]["amount"].as_str().unwrap().to_owned())
}

on_both! {
    async fn fees_of_sales_follow_their_dates_and_reduce_the_proceeds(app: TestApp) {
        let ada = app.funded_customer("Ada", "100000.00").await;
        app.advance_to("2026-07-13T15:00:00Z").await;
        trade(&app, &ada, "1", "BUY", "300", "100.00").await;
        let free = trade(&app, &ada, "2", "SELL", "100", "100.00").await;
        assert_eq!(confirmed(&app, &free).await, ["10000.00", "0.00", "0.00", "0.00", "10000.00"]);

        let fees = json!({ "secFeePerMillion": "27.80", "tradingActivityFee": { "perShare": "0.000166",
            "maximum": { "amount": "8.30" } } });
        let input = json!({ "patch": fees, "effectiveFrom": "2026-07-14T04:00:00Z" });
        let updated = app.gql(UPDATE, json!({ "input": input })).await;
        let none = json!({ "secFeePerMillion": "0.00", "tradingActivityFee": { "perShare": "0.00",
            "maximum": { "amount": "0.00" } } });
        assert_eq!(updated.entity("partnerSettingsUpdate", "partner")["settings"], none);
        app.advance_to("2026-07-14T15:00:00Z").await;

        app.quote("VTI", "110.00", "110.00").await;
        let preview = async |side: &str| {
            let input = json!({ "accountId": ada.account_id, "symbol": "VTI", "side": side, "quantity": "100" });
            app.gql(PREVIEW, json!({ "input": input })).await.data()["orderPreview"]["estimate"].clone()
        };
        // 11,000 dollars at 27.80 for each million are 0.3058; 100 shares at 0.000166 are 0.0166.
        let estimate = |fees: &str| json!({ "amount": { "amount": "11000.00" }, "fees": { "amount": fees } });
        assert_eq!((preview("SELL").await, preview("BUY").await), (estimate("0.33"), estimate("0.00")));
        let sold = trade(&app, &ada, "3", "SELL", "100", "110.00").await;
        assert_eq!(confirmed(&app, &sold).await, ["11000.00", "0.33", "0.31", "0.02", "10999.67"]);
        let bought = trade(&app, &ada, "4", "BUY", "10", "110.00").await;
        assert_eq!(confirmed(&app, &bought).await, ["1100.00", "0.00", "0.00", "0.00", "1100.00"]);

        let gains = app.gql(GAINS, json!({ "id": ada.account_id })).await;
        let gain = |proceeds: &str, gain: &str| json!({ "node": { "quantity": "100",
            "proceeds": { "amount": proceeds }, "costBasis": { "amount": "10000.00" },
            "gain": { "amount": gain } } });
        let edges = gains.data()["account"]["realizedGains"]["edges"].clone();
        assert_eq!(edges, json!([gain("10999.67", "999.67"), gain("10000.00", "0.00")]));
        // 100,000 - 30,000 + 10,000 + 10,999.67 - 1,100; before and after the sale settles.
        let power = async || app.balance(&ada.account_id).await[1].clone();
        assert_eq!(power().await, "89899.67");
        app.advance_to("2026-07-16T15:00:00Z").await;
        assert_eq!(power().await, "89899.67");
        assert_eq!(app.balance(&ada.account_id).await[2], "89899.67");

        // The activity fee of 0.0166 has a maximum for each trade, and null ends a fee.
        let capped = json!({ "tradingActivityFee": { "perShare": "0.000166", "maximum": { "amount": "0.01" } } });
        app.gql(UPDATE, json!({ "input": { "patch": capped } })).await.entity("partnerSettingsUpdate", "partner");
        let sold = trade(&app, &ada, "5", "SELL", "100", "110.00").await;
        assert_eq!(confirmed(&app, &sold).await, ["11000.00", "0.32", "0.31", "0.01", "10999.68"]);
        let ended = json!({ "secFeePerMillion": null, "tradingActivityFee": null });
        let ended = app.gql(UPDATE, json!({ "input": { "patch": ended } })).await;
        assert_eq!(ended.entity("partnerSettingsUpdate", "partner")["settings"], none);
        let sold = trade(&app, &ada, "6", "SELL", "1", "110.00").await;
        assert_eq!(confirmed(&app, &sold).await, ["110.00", "0.00", "0.00", "0.00", "110.00"]);
        let report = app.audit().await;
        assert_eq!(report.wrong, None, "{report}");
    }

    async fn rates_out_of_range_are_refused_with_their_field(app: TestApp) {
        let refused = async |patch: Value| {
            let answer = app.gql(UPDATE, json!({ "input": { "patch": patch } })).await;
            let error = answer.user_error("partnerSettingsUpdate");
            (error["code"].clone(), error["path"].clone())
        };
        let fee = |per_share: &str, maximum: &str| json!({ "tradingActivityFee": { "perShare": per_share,
            "maximum": { "amount": maximum } } });
        for (patch, path) in [
            (json!({ "secFeePerMillion": "-0.01" }), json!(["patch", "secFeePerMillion"])),
            (json!({ "secFeePerMillion": "10000.01" }), json!(["patch", "secFeePerMillion"])),
            (json!({ "secFeePerMillion": "0.0000001" }), json!(["patch", "secFeePerMillion"])),
            (fee("1.01", "8.30"), json!(["patch", "tradingActivityFee", "perShare"])),
            (fee("0.000166", "1000.01"), json!(["patch", "tradingActivityFee", "maximum"])),
            (fee("0.000166", "-1"), json!(["patch", "tradingActivityFee", "maximum"])),
            (fee("0.000166", "8.301"), json!(["patch", "tradingActivityFee", "maximum", "amount"])),
        ] {
            assert_eq!(refused(patch.clone()).await, (json!("INVALID"), path), "{patch}");
        }
    }
}
