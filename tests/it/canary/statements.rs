//! What a statement tells, in the database, in the log, and in refused downloads.

use super::{BANK_NUMBER, Planted, Sender};
use serde_json::json;

/// Makes a statement and downloads it, with good and bad links; returns the planted values.
pub async fn download(sender: &mut Sender) -> Vec<Planted> {
    let advance = "mutation { sandboxClockAdvance(input: { seconds: 691200 }) { userErrors { message } } }";
    sender.gql("sandboxClockAdvance", advance, json!({})).await;
    sender.last_succeeded();
    let accounts = "{ accounts(last: 1) { edges { node { id openedAt } } } partner { clock { now } } }";
    let seen = sender.gql("accounts", accounts, json!({})).await;
    let account = seen["data"]["accounts"]["edges"][0]["node"].clone();
    let day = |time: &str| time.split('T').next().unwrap().parse::<chrono::NaiveDate>().unwrap();
    let now = day(seen["data"]["partner"]["clock"]["now"].as_str().unwrap());
    let create = "mutation($input: StatementCreateInput!) { statementCreate(input: $input) { statement { \
        url(format: JSON) } userErrors { message } } }";
    let input = json!({ "accountId": account["id"], "periodStart": day(account["openedAt"].as_str().unwrap()),
        "periodEnd": now - chrono::Days::new(2) });
    let made = sender.gql("statementCreate", create, json!({ "input": input })).await;
    sender.last_succeeded();
    let url = made["data"]["statementCreate"]["statement"]["url"].as_str().unwrap().to_owned();
    for (what, address) in [
        ("a statement at an altered address", url.replace(".json", ".pdf")),
        ("a statement without a signature", url.split('?').next().unwrap().to_owned()),
    ] {
        let request = sender.client.get(address);
        sender.send(what, request).await;
        sender.last_was_refused();
    }
    let request = sender.client.get(&url);
    let told = sender.send("a statement", request).await;
    sender.last_succeeded();
    let description = format!("Deposit from account ending in {}", &BANK_NUMBER[BANK_NUMBER.len() - 4..]);
    assert_eq!(told["cash"]["entries"][0]["description"], description);
    vec![Planted::new("statement", &description).visible_to_the_owner()]
}
