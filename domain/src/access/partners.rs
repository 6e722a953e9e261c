//! Partners: businesses with API keys, each with their own users, clock and market.

use crate::{
    Actor, Code, Error, Refusal, Result, Scope, Visible, Who,
    kernel::{
        actor::{AccessScope, Caller},
        app::App,
        clock,
        db::Db,
        events::{Event, EventBuilder},
        heads, scheduler, secrets,
        visible::Owner,
    },
    people::person,
    settings::Settings,
};
use entity::{
    Kind,
    partner::{self, MarketHours, Mode},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

pub use crate::settings::SANDBOX;

/// Returns the partner with this name.
pub async fn find(app: &App, name: &str) -> Result<Option<partner::Model>> {
    Ok(partner::Entity::find().filter(partner::Column::Name.eq(name)).one(&app.db.read).await?)
}

/// Returns all partners, ordered by name.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<partner::Model>> {
    Ok(partner::Entity::find().order_by_asc(partner::Column::Name).all(connection).await?)
}

/// Returns the partner with this name and creates it if it does not exist. A sandbox partner trades at any
/// hour, a live partner at the hours of the exchange. Refused if the partner exists with the other mode.
pub async fn find_or_create(app: &App, name: &str, mode: Mode) -> Result<partner::Model> {
    if let Some(found) = find(app, name).await? {
        if found.mode != mode {
            return Err(Refusal::new(
                Code::Invalid,
                "",
                format!("The partner {name:?} already exists and its mode is not {mode:?}."),
            )
            .into());
        }
        app.vault.ready_for(&app.db, found.id).await?;
        return Ok(found);
    }
    person::check_words("name", name)?;
    let name = person::tidy(name);
    let row = partner::Model {
        id: app.ids.next(Kind::Partner),
        name,
        mode,
        market_hours: if mode == Mode::Sandbox { MarketHours::AlwaysOpen } else { MarketHours::Nyse },
        clock_offset: 0,
        clock_frozen_at: None,
        market_seed: i64::from_be_bytes(secrets::random::<8>()?) & i64::MAX,
        created_at: clock::system_now(),
        settings: partner::no_changes(),
    };
    let tx = app.db.write().await?;
    let partner = partner::ActiveModel::from(row).reset_all().insert(&tx).await?;
    app.vault.first_key_for(&tx, partner.id).await?;
    heads::begin(&tx, &app.vault.head_key(), partner.id).await?;
    EventBuilder::new(app.ids, partner.id, None, partner.created_at)
        .record(&tx, Event::PartnerCreated { id: partner.id, mode: partner.mode })
        .await?;
    tx.commit().await?;
    app.vault.ready_for(&app.db, partner.id).await?;
    app.sequencer.wake();
    Ok(partner)
}

/// A partner is visible to itself.
impl Visible for partner::Entity {
    const ID: partner::Column = partner::Column::Id;
    const OWNER: Owner<partner::Column> = Owner::Partner { partner: partner::Column::Id };
}

/// Returns the caller for a sign-up, sign-in or new user: of the caller's own partner, or of the default
/// partner for requests without credentials.
pub async fn sign_in_caller(app: &App, actor: &Actor) -> Result<Caller> {
    match &actor.who {
        Who::Partner(_) => actor.caller(Scope::Start),
        Who::User(user) => Ok(Caller { access_scope: AccessScope::all_of(user.partner_id), ..user.caller() }),
        Who::Anonymous => {
            let select = partner::Entity::find()
                .filter(partner::Column::Name.eq(app.feature::<Settings>().default_partner.as_str()));
            let partner = select.one(&app.db.read).await?.ok_or(Error::Unavailable(
                "Sign-up and sign-in without an API key are not enabled on this server. \
                        Use a partner's API key.",
            ))?;
            app.vault.ready_for(&app.db, partner.id).await?;
            let access_scope = AccessScope::all_of(partner.id);
            Ok(Caller {
                access_scope,
                mode: partner.mode,
                principal_id: partner.id,
                claimant_id: Uuid::nil(),
            })
        }
    }
}

/// Sets the seed of a sandbox partner's simulated prices, from 0 on. Refused for a live partner.
pub async fn set_market_seed(db: &Db, partner: &partner::Model, seed: i64) -> Result<()> {
    if partner.mode != Mode::Sandbox {
        return Err(Refusal::new(
            Code::SandboxOnly,
            "",
            "Only available in a sandbox; this partner is live.",
        )
        .into());
    }
    let tx = db.write().await?;
    let mut row: partner::ActiveModel = clock::locked(&tx, partner.id).await?.into();
    row.market_seed = Set(seed);
    row.update(&tx).await?;
    tx.commit().await
}

/// Sets a sandbox partner's clock behind the system clock by a duration, before its first use.
pub async fn set_clock_behind(app: &App, partner: &partner::Model, by: chrono::Duration) -> Result<()> {
    if partner.mode != Mode::Sandbox {
        return Err(Error::broken("the clock of a live partner cannot be set"));
    }
    let tx = app.db.write().await?;
    let mut row: partner::ActiveModel = clock::locked(&tx, partner.id).await?.into();
    row.clock_offset = Set(-scheduler::microseconds(by)?);
    row.clock_frozen_at = Set(None);
    row.update(&tx).await?;
    tx.commit().await
}
