//! The first morning of a sandbox: one customer with a few days behind her, made by the same operations as any other.

use super::{
    Actor, Result,
    accounts::{self, NewAccount, Profile},
    agenda,
    applicants::{NewAddress, NewUser},
    bank_accounts::{self, NewBankAccount},
    clock,
    orders::{self, NewOrder},
    partners,
    transfers::{self, NewDeposit},
    users,
};
use crate::app::App;
use chrono::Duration;
use entity::{
    Money, Quantity,
    order::{OrderKind, Side},
    partner, user,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

/// Gives a sandbox that has no customers one, who deposited money a week ago and bought shares after it settled.
pub async fn give_history(app: &App, partner: &partner::Model) -> Result<()> {
    if user::Entity::find().filter(user::Column::PartnerId.eq(partner.id)).one(&app.db.read).await?.is_some() {
        return Ok(());
    }
    let today = clock::system_now();
    partners::set_clock_behind(app, partner, Duration::days(7)).await?;
    let actor = Actor::operator(partner);
    let ada = users::register(app, &actor, None, ada_carter()).await?.value.user;
    let account = accounts::open(app, &actor, None, brokerage_of(&ada)).await?.value;
    let checking = NewBankAccount {
        user_id: ada.id,
        number: "4327843043".to_owned(),
        routing_number: "121042882".to_owned(),
        nickname: "Ada's checking".to_owned(),
    };
    let checking = bank_accounts::link(app, &actor, None, checking).await?.value;
    let deposit = NewDeposit { account_id: account.id, bank_account_id: checking.id, amount: Money::from_units(500_000) };
    transfers::deposit(app, &actor, None, deposit).await?;
    agenda::advance(app, partner.id, today - Duration::days(2)).await?;
    for (symbol, shares) in [("VTI", 4), ("GOOG", 3), ("VTEB", 10)] {
        let buy = NewOrder {
            account_id: Some(account.id),
            symbol: symbol.to_owned(),
            side: Side::Buy,
            quantity: Quantity::from_units(shares * 100_000_000),
            kind: OrderKind::Market,
        };
        orders::place(app, &actor, None, buy).await?;
    }
    agenda::advance(app, partner.id, clock::system_now()).await?;
    partners::set_clock_behind(app, partner, Duration::zero()).await
}

fn ada_carter() -> NewUser {
    NewUser {
        first_name: "Ada".to_owned(),
        last_name: "Carter".to_owned(),
        email: "ada.carter@example.com".to_owned(),
        phone: Some("2025550107".to_owned()),
        ssn: Some("666456789".to_owned()),
        birth_date: Some("1985-01-23".to_owned()),
        address: Some(NewAddress {
            line1: "123 Test St".to_owned(),
            line2: None,
            city: "Richmond".to_owned(),
            state: "VA".to_owned(),
            postal_code: "23220".to_owned(),
            country_code: "US".to_owned(),
        }),
    }
}

fn brokerage_of(user: &user::Model) -> NewAccount {
    NewAccount {
        user_id: user.id,
        ownership: "individual".to_owned(),
        joint_member: None,
        kind: "investment".to_owned(),
        profile: Profile {
            marital_status: "single".to_owned(),
            country_of_citizenship: "USA".to_owned(),
            employment_status: "employed / self-employed".to_owned(),
            employment_position: "Software Engineer".to_owned(),
            employer_name: "Example Inc".to_owned(),
            annual_income: Some("$100,000 - $199,999".to_owned()),
            investment_objective: Some("growth".to_owned()),
            investment_experience: Some("limited".to_owned()),
            net_liquid_worth: Some("$5,000 - $99,999".to_owned()),
            net_total_worth: Some("$100,000 - $199,999".to_owned()),
            is_director: Some(false),
            director_of: None,
            risk_tolerance: Some("moderate".to_owned()),
        },
    }
}
