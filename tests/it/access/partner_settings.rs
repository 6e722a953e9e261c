//! Settings of a partner: their effect, effective dates, and changes.

use crate::support::{DEPOSIT_CREATE, ORDER_PLACE, TestApp, on_both};
use domain::Scope;
use serde_json::{Value, json};

const UPDATE: &str = "mutation($input: PartnerSettingsUpdateInput!) { partnerSettingsUpdate(input: $input) { \
    partner { settings { marketBuyBuffer depositLimit { amount } } } userErrors { code message path } } }";
const SETTINGS: &str = "{ partner { settings { marketBuyBuffer depositLimit { amount } } settingsChanges { \
    effectiveFrom madeAt marketBuyBuffer depositLimit { amount } } } }";

fn settings(buffer: &str, limit: &str) -> Value {
    json!({ "marketBuyBuffer": buffer, "depositLimit": { "amount": limit } })
}

/// Changes settings; returns those that are in force afterwards.
async fn updated(app: &TestApp, input: Value) -> Value {
    let answer = app.gql(UPDATE, json!({ "input": input })).await;
    answer.entity("partnerSettingsUpdate", "partner")["settings"].clone()
}

async fn in_force(app: &TestApp) -> Value {
    app.gql(SETTINGS, json!({})).await.data()["partner"]["settings"].clone()
}

on_both! {
    async fn settings_take_effect_on_their_date(app: TestApp) {
        let ada = app.funded_customer("Ada", "1000.00").await;
        app.advance_to("2026-07-10T16:00:00Z").await;
        app.quote("KO", "120.00", "120.00").await;
        assert_eq!(in_force(&app).await, settings("3", "99999999.99"));
        // 9 shares at 120 dollars may cost 1,112.40 dollars with the buffer of 3 %; at 170 dollars 1,713.60 with 12 %.
        let buffer = json!({ "patch": { "marketBuyBuffer": "12" }, "effectiveFrom": "2026-07-13T15:00:00Z" });
        assert_eq!(updated(&app, buffer).await, settings("3", "99999999.99"));
        let limit = json!({ "patch": { "depositLimit": { "amount": "500.00" } } });
        assert_eq!(updated(&app, limit).await, settings("3", "500.00"));

        let deposit = |key: &str, amount: &str| json!({ "input": ada.deposit(key, amount) });
        let refused = app.gql(DEPOSIT_CREATE, deposit("a", "500.01")).await;
        let refusal = refused.user_error("depositCreate");
        assert_eq!((&refusal["code"], &refusal["path"]), (&json!("INVALID"), &json!(["amount"])));
        assert_eq!(refusal["message"], "amount must be at most 500.00");
        app.gql(DEPOSIT_CREATE, deposit("b", "500.00")).await.entity("depositCreate", "transfer");

        let buy = async |key: &str| app.gql(ORDER_PLACE, json!({ "input": ada.order(key, "BUY", "KO", "9") })).await;
        let refused = buy("1").await;
        assert_eq!(
            refused.user_error("orderPlace")["message"],
            "Buying power is $1000.00; this order may cost up to $1112.40."
        );
        app.advance_to("2026-07-13T14:59:59Z").await;
        assert_eq!(in_force(&app).await, settings("3", "500.00"));
        app.advance_to("2026-07-13T15:00:00Z").await;
        assert_eq!(in_force(&app).await, settings("12", "500.00"));
        app.quote("KO", "170.00", "170.00").await;
        let refused = buy("2").await;
        assert_eq!(
            refused.user_error("orderPlace")["message"],
            "Buying power is $1500.00; this order may cost up to $1713.60."
        );

        // Null restores the default. An earlier change of another setting stays.
        let restored = json!({ "patch": { "marketBuyBuffer": null } });
        assert_eq!(updated(&app, restored).await, settings("3", "500.00"));
        let changes = app.gql(SETTINGS, json!({})).await.data()["partner"]["settingsChanges"].clone();
        assert_eq!(
            changes,
            json!([
                { "effectiveFrom": "2026-07-13T15:00:00Z", "madeAt": "2026-07-13T15:00:00Z",
                    "marketBuyBuffer": "3", "depositLimit": null },
                { "effectiveFrom": "2026-07-10T16:00:00Z", "madeAt": "2026-07-10T16:00:00Z",
                    "marketBuyBuffer": null, "depositLimit": { "amount": "500.00" } },
                { "effectiveFrom": "2026-07-13T15:00:00Z", "madeAt": "2026-07-10T16:00:00Z",
                    "marketBuyBuffer": "12", "depositLimit": null },
            ])
        );
        // Another partner has its own settings; a key without scope `operate` does not see the changes.
        let (_, theirs) = app.other_partner("another").await;
        let other = app.gql_as(Some(&theirs), SETTINGS, json!({})).await.data()["partner"].clone();
        assert_eq!(other, json!({ "settings": settings("3", "99999999.99"), "settingsChanges": [] }));
        let reader = app.key_for(&[Scope::Read]).await;
        let seen = app.gql_as(Some(&reader), SETTINGS, json!({})).await.data()["partner"].clone();
        assert_eq!(seen, json!({ "settings": settings("3", "500.00"), "settingsChanges": null }));
        app.audit().await;
    }

    async fn a_later_change_of_the_same_date_wins_and_scheduled_ones_stay(app: TestApp) {
        app.advance_to("2026-07-10T16:00:00Z").await;
        let on = |day: &str, buffer: &str| {
            json!({ "patch": { "marketBuyBuffer": buffer }, "effectiveFrom": format!("2026-07-{day}T00:00:00Z") })
        };
        updated(&app, on("20", "4")).await;
        updated(&app, on("20", "5")).await;
        let limit = json!({ "patch": { "depositLimit": { "amount": "10.00" } },
            "effectiveFrom": "2026-07-20T00:00:00Z" });
        updated(&app, limit).await;
        // A change from now on does not replace what is scheduled.
        let now = json!({ "patch": { "marketBuyBuffer": "7" }, "idempotencyKey": "now" });
        assert_eq!(updated(&app, now.clone()).await, settings("7", "99999999.99"));
        // A retry changes nothing.
        assert_eq!(updated(&app, now).await, settings("7", "99999999.99"));
        let changes = app.gql(SETTINGS, json!({})).await.data()["partner"]["settingsChanges"].clone();
        assert_eq!(changes.as_array().unwrap().len(), 4);
        app.advance_to("2026-07-20T00:00:00Z").await;
        assert_eq!(in_force(&app).await, settings("5", "10.00"));
        // What is in force is kept as one change; another one goes on from it.
        let half = json!({ "patch": { "marketBuyBuffer": "0.5" } });
        assert_eq!(updated(&app, half).await, settings("0.5", "10.00"));
    }

    async fn invalid_settings_are_refused(app: TestApp) {
        app.advance_to("2026-07-10T16:00:00Z").await;
        let most = "99999999.99";
        for (input, code, message, path) in [
            (json!({ "patch": {} }), "REQUIRED", "patch is required".to_owned(), json!(["patch"])),
            (json!({ "patch": { "marketBuyBuffer": "20.01" } }), "INVALID",
                "patch.marketBuyBuffer must be from 0 to 20".to_owned(), json!(["patch", "marketBuyBuffer"])),
            (json!({ "patch": { "depositHoldDays": 91 } }), "INVALID",
                "patch.depositHoldDays must be from 0 to 90".to_owned(), json!(["patch", "depositHoldDays"])),
            (json!({ "patch": { "depositHoldDays": -1 } }), "INVALID",
                "patch.depositHoldDays must be from 0 to 90".to_owned(), json!(["patch", "depositHoldDays"])),
            (json!({ "patch": { "shortTermTaxRate": "100.01" } }), "INVALID",
                "patch.shortTermTaxRate must be from 0 to 100".to_owned(), json!(["patch", "shortTermTaxRate"])),
            (json!({ "patch": { "longTermTaxRate": "-1" } }), "INVALID",
                "patch.longTermTaxRate must be from 0 to 100".to_owned(), json!(["patch", "longTermTaxRate"])),
            (json!({ "patch": { "marketBuyBuffer": "-1" } }), "INVALID",
                "patch.marketBuyBuffer must be from 0 to 20".to_owned(), json!(["patch", "marketBuyBuffer"])),
            (json!({ "patch": { "depositLimit": { "amount": "0" } } }), "INVALID",
                format!("patch.depositLimit must be above zero and at most {most}"), json!(["patch", "depositLimit"])),
            (json!({ "patch": { "marketBuyBuffer": null }, "effectiveFrom": "2026-07-10T15:59:59Z" }), "INVALID",
                "effectiveFrom must not be in the past".to_owned(), json!(["effectiveFrom"])),
        ] {
            let refused = app.gql(UPDATE, json!({ "input": input })).await;
            let refusal = refused.user_error("partnerSettingsUpdate");
            assert_eq!(refusal, &json!({ "code": code, "message": message, "path": path }), "{input}");
        }
        let later = json!({ "patch": { "marketBuyBuffer": "4" }, "effectiveFrom": "2026-08-01T00:00:00Z" });
        let far = json!({ "patch": { "marketBuyBuffer": "4" }, "effectiveFrom": "2036-07-12T00:00:00Z" });
        let refused = app.gql(UPDATE, json!({ "input": far })).await;
        assert_eq!(
            refused.user_error("partnerSettingsUpdate")["message"],
            "effectiveFrom must be within ten years"
        );
        for day in 2..22 {
            let day = format!("2026-08-{day:02}T00:00:00Z");
            updated(&app, json!({ "patch": { "marketBuyBuffer": "5" }, "effectiveFrom": day })).await;
        }
        let refused = app.gql(UPDATE, json!({ "input": later })).await;
        assert_eq!(
            refused.user_error("partnerSettingsUpdate")["message"],
            "effectiveFrom must not be later than now while 20 changes are scheduled"
        );
        assert_eq!(in_force(&app).await, settings("3", most));
    }
}
