//! Demo data of a sandbox: one user with a week of history, created by the same operations as any other user.

use crate::{
    Actor, Result,
    access::partners,
    accounts::{OpenAccount, Profile},
    funding::{bank_accounts::LinkBankAccount, deposits::CreateDeposit},
    kernel::{app::App, clock, command, scheduler},
    people::{
        applicants::{NewAddress, NewUser},
        user_changes::{Change, PersonPatch},
    },
    trading::{lots::LotChoice, orders::PlaceOrder},
};
use chrono::Duration;
use entity::{
    Money, Quantity,
    account::{self, TaxTreatment},
    bank_account,
    order::{self, OrderKind, Side, TimeInForce},
    partner, transfer,
    user::{self, Status},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

/// Creates a user in a sandbox without users: they deposited money a week ago and bought shares once it had
/// settled.
///
/// Steps that are already done are skipped, so that the next start completes an interrupted one. If the user
/// is not approved, because a watch list has their name, no history is created.
pub async fn create_user_with_history(app: &App, partner: &partner::Model) -> Result<()> {
    let users = user::Entity::find()
        .filter(user::Column::PartnerId.eq(partner.id))
        .order_by_asc(user::Column::Id)
        .limit(2);
    let users = users.all(&app.db.read).await?;
    let today = clock::system_now();
    let actor = Actor::operator(partner);
    let ada = match users.as_slice() {
        [] => {
            partners::set_clock_behind(app, partner, Duration::days(7)).await?;
            command::execute(app, &actor, None, ada_carter()).await?.value.user
        }
        [only] if is_unfinished(app, partner, only).await? => only.clone(),
        _ => return Ok(()),
    };
    if ada.status == Status::Approved {
        create_history(app, partner, &actor, &ada, today).await?;
    }
    scheduler::advance(app, partner.id, clock::system_now()).await?;
    partners::set_clock_behind(app, partner, Duration::zero()).await
}

/// Returns whether an earlier start was interrupted: the clock is behind while the history is being created.
async fn is_unfinished(app: &App, partner: &partner::Model, only: &user::Model) -> Result<bool> {
    if only.email != EMAIL
        || only.status != Status::Approved
        || partner.clock_offset >= 0
        || partner.clock_frozen_at.is_some()
    {
        return Ok(false);
    }
    let orders =
        order::Entity::find().filter(order::Column::PartnerId.eq(partner.id)).count(&app.db.read).await?;
    Ok(orders < BUYS.len() as u64)
}

/// Symbols that the user buys, with the number of whole shares.
const BUYS: [(&str, i64); 3] = [("VTI", 4), ("GOOG", 3), ("VTEB", 10)];

async fn create_history(
    app: &App,
    partner: &partner::Model,
    actor: &Actor,
    ada: &user::Model,
    today: chrono::DateTime<chrono::Utc>,
) -> Result<()> {
    let read = &app.db.read;
    let account = match account::Entity::find().filter(account::Column::UserId.eq(ada.id)).one(read).await? {
        Some(account) => account,
        None => command::execute(app, actor, None, brokerage_of(ada)).await?.value,
    };
    let checking =
        match bank_account::Entity::find().filter(bank_account::Column::UserId.eq(ada.id)).one(read).await? {
            Some(checking) => checking,
            None => command::execute(app, actor, None, checking_of(ada)).await?.value,
        };
    if transfer::Entity::find().filter(transfer::Column::AccountId.eq(account.id)).one(read).await?.is_none()
    {
        let deposit = CreateDeposit {
            account_id: account.id,
            bank_account_id: checking.id,
            amount: Money::from_units(500_000),
            invest_when_settled: false,
        };
        command::execute(app, actor, None, deposit).await?;
    }
    scheduler::advance(app, partner.id, today - Duration::days(2)).await?;
    let placed = order::Entity::find().filter(order::Column::AccountId.eq(account.id)).all(read).await?.len();
    for (symbol, shares) in BUYS.into_iter().skip(placed) {
        let buy = PlaceOrder {
            account_id: Some(account.id),
            symbol: symbol.to_owned(),
            side: Side::Buy,
            kind: OrderKind::Market,
            quantity: Some(Quantity::from_units(shares * 100_000_000)),
            notional: None,
            limit_price: None,
            stop_price: None,
            time_in_force: TimeInForce::Day,
            lots: LotChoice::default(),
        };
        command::execute(app, actor, None, buy).await?;
    }
    Ok(())
}

fn checking_of(user: &user::Model) -> LinkBankAccount {
    LinkBankAccount {
        user_id: user.id,
        number: "4327843043".to_owned(),
        routing_number: "121042882".to_owned(),
        nickname: "Ada's checking".to_owned(),
    }
}

const EMAIL: &str = "ada.carter@example.com";

fn ada_carter() -> NewUser {
    let address = NewAddress {
        line1: "123 Test St".to_owned(),
        line2: None,
        city: "Richmond".to_owned(),
        state: "VA".to_owned(),
        postal_code: "23220".to_owned(),
        country_code: "US".to_owned(),
    };
    NewUser(PersonPatch {
        first_name: Some("Ada".to_owned()),
        last_name: Some("Carter".to_owned()),
        email: Some(EMAIL.to_owned()),
        phone: Change::Set("2025550107".to_owned()),
        ssn: Some("666456789".to_owned()),
        birth_date: Some("1985-01-23".to_owned()),
        address: address.into(),
        ..PersonPatch::default()
    })
}

fn brokerage_of(user: &user::Model) -> OpenAccount {
    OpenAccount {
        user_id: user.id,
        ownership: "individual".to_owned(),
        joint_member: None,
        kind: "investment".to_owned(),
        tax_treatment: TaxTreatment::Taxable,
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
