//! Personal data of a joint member, and the reason for freezing an account.

use super::{Planted, Sender, documented_person};
use crate::support::{ACCOUNT_OPEN, cash_account, person};
use serde_json::{Value, json};

const JOINT_SSN: &str = "391467205";
const JOINT_BIRTH_DATE: &str = "1979-11-28";
const REASON: &str = "Reported-by-a-neighbour-7d20c9";

/// Opens joint accounts and freezes one, in good and in bad requests; returns the planted values.
pub async fn open_joint_and_freeze(sender: &mut Sender, user_id: &str) -> Vec<Planted> {
    let mut member = person("Ada", "Lovelace");
    (member["ssn"], member["birthDate"]) = (json!(JOINT_SSN), json!(JOINT_BIRTH_DATE));
    let joint = |member: Value| {
        let mut input = cash_account(user_id);
        (input["ownership"], input["jointMember"]) = (json!("JOINT"), json!({ "person": member }));
        json!({ "input": input })
    };
    let opened = sender.gql("accountOpen for two", ACCOUNT_OPEN, joint(member.clone())).await;
    sender.last_succeeded();
    let account_id = opened["data"]["accountOpen"]["account"]["id"].clone();
    let mut documented = documented_person();
    (documented["ssn_number"], documented["birth_date"]) = (json!(JOINT_SSN), json!(JOINT_BIRTH_DATE));
    let account = json!({
        "ownership": "joint", "account_type": "cash", "martial_status": "married", "country_of_citizenship": "USA",
        "employment_status": "retired", "employment_position": "Judge", "employer_name": "Court",
        "joint_member": documented,
    });
    let path = format!("/v1/users/{user_id}/accounts");
    for turn in ["POST accounts for two", "POST accounts for two again"] {
        sender.rest(turn, &path, "joint-1", account.clone()).await;
        sender.last_succeeded();
    }
    for (field, value) in [
        ("ssn", json!([JOINT_SSN])),
        ("ssn", json!(format!("{JOINT_SSN}0"))),
        ("birthDate", json!(format!("{JOINT_BIRTH_DATE} "))),
        ("firstName", json!("")),
        ("phone", json!(JOINT_SSN)),
        ("email", json!(JOINT_SSN)),
    ] {
        let mut member = member.clone();
        member[field] = value;
        sender.gql("an invalid joint member", ACCOUNT_OPEN, joint(member)).await;
        sender.last_was_refused();
    }
    for (field, value) in [
        ("ssn_number", json!({ "number": JOINT_SSN })),
        ("birth_date", json!(JOINT_SSN)),
        ("address_state", json!("VO")),
    ] {
        let mut account = account.clone();
        account["joint_member"][field] = value;
        sender.rest("REST: an invalid joint member", &path, "joint-2", account).await;
        sender.last_was_refused();
    }
    let freeze = "mutation($input: AccountFreezeInput!) { accountFreeze(input: $input) { account { status } \
        userErrors { code message } } }";
    for (input, good) in [
        (json!({ "accountId": account_id, "reason": format!("{REASON}\u{0}") }), false),
        (json!({ "accountId": account_id, "reason": REASON.repeat(20) }), false),
        (json!({ "accountId": account_id, "reason": [REASON, { "why": REASON }] }), false),
        (json!({ "accountId": REASON, "reason": REASON }), false),
        (json!({ "idempotencyKey": "freeze-1", "accountId": account_id, "reason": REASON }), true),
        (json!({ "accountId": account_id, "reason": REASON }), false),
    ] {
        sender.gql("accountFreeze", freeze, json!({ "input": input })).await;
        if good {
            sender.last_succeeded();
        } else {
            sender.last_was_refused();
        }
    }
    vec![
        Planted::new("SSN", JOINT_SSN),
        Planted::new("birth date", JOINT_BIRTH_DATE),
        Planted::new("reason", REASON),
    ]
}
