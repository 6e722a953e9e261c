//! Every payload that any version has written is still read, and is written as before.

use super::{About, Event, EventType, Subject};
use chrono::DateTime;
use entity::{account::Ownership, event};
use uuid::Uuid;

/// Stored events, one for each type and form: a line with the type and the payload. `order.filled` had no
/// price at first.
const STORED: &str = include_str!("stored.txt");

/// Payload of an account from before accounts could be joint.
const ACCOUNT_BEFORE_JOINT: &str = r#"{"account_type":"investment",
    "id":"01a21d41-03e2-72ce-838b-a621c4184605","status":"active",
    "user_id":"01a21d41-03d9-77ac-ab53-8a423a85b103"}"#;

const PARTNER: Uuid = Uuid::from_u128(7);

fn row(kind: &str, payload: &str) -> event::Model {
    event::Model {
        id: Uuid::from_u128(1),
        partner_id: PARTNER,
        stream_id: Uuid::from_u128(2),
        stream_version: 1,
        actor_id: None,
        kind: kind.to_owned(),
        payload: payload.to_owned(),
        occurred_at: DateTime::UNIX_EPOCH,
        digest: Vec::new(),
        seq: None,
        hash: None,
    }
}

fn read(kind: &str, payload: &str) -> Event {
    Event::of(&row(kind, payload)).unwrap_or_else(|_| panic!("{kind} {payload}"))
}

fn stored() -> impl Iterator<Item = (&'static str, &'static str)> {
    STORED.lines().map(|line| line.split_once(' ').unwrap())
}

fn id(text: &str) -> Uuid {
    text.parse().unwrap()
}

#[test]
fn every_stored_payload_is_read_and_written_as_it_was() {
    for (kind, payload) in stored() {
        let event = read(kind, payload);
        assert_eq!((event.event_type().name(), event.payload().unwrap().as_str()), (kind, payload));
    }
    for event_type in EventType::ALL {
        assert_eq!(EventType::parse(event_type.name()), Some(*event_type));
        assert!(stored().any(|(kind, _)| kind == event_type.name()), "{event_type:?} has no example");
    }
}

#[test]
fn accounts_from_before_joint_accounts_are_individual() {
    let Event::AccountCreated(account) = read("account.created", ACCOUNT_BEFORE_JOINT) else { panic!() };
    assert_eq!((account.ownership, account.joint_member_id), (Ownership::Individual, None));
}

#[test]
fn the_stream_is_the_object_and_the_owner_sees_the_event() {
    let user = id("01a21d41-03d9-77ac-ab53-8a423a85b103");
    let account = id("01a21d41-03e2-72ce-838b-a621c4184605");
    for (kind, payload) in stored() {
        let event = read(kind, payload);
        let own: serde_json::Value = serde_json::from_str(payload).unwrap();
        let expected = match event.subject() {
            Subject::Partner => (PARTNER, About::Partner),
            Subject::Check(check) if check.user_id.is_none() || kind == "kyc.watch_list_hit_found" => {
                (check.id, About::Partner)
            }
            Subject::User(_) | Subject::Check(_) | Subject::BankAccount(_) => {
                (id(own["id"].as_str().unwrap()), About::User(user))
            }
            Subject::Position(_) => (account, About::Account(account)),
            Subject::Account(_)
            | Subject::Transfer(_)
            | Subject::Order(_)
            | Subject::Trade(_)
            | Subject::Entitlement(_)
            | Subject::Statement(_) => (id(own["id"].as_str().unwrap()), About::Account(account)),
        };
        assert_eq!((event.stream(PARTNER), event.about()), expected, "{kind}");
    }
}

#[test]
fn an_unknown_event_is_an_error_and_not_another_event() {
    for (kind, payload) in [
        ("order.split", r#"{"id":"01a21d41-03fb-74d5-96df-2bc6ae53ed09"}"#),
        ("order.new", r#"{"id":"01a21d41-03fb-74d5-96df-2bc6ae53ed09"}"#),
        ("order.new", "not JSON"),
    ] {
        assert!(Event::of(&row(kind, payload)).is_err(), "{kind} {payload}");
    }
}
