//! Partners: businesses with API keys, each with its customers, its clock and its market.

use crate::{
    Actor, Code, Error, Refusal, Result, Scope, Who,
    kernel::{
        actor::{AccessScope, Caller},
        app::App,
        clock,
        events::{EventBuilder, EventType},
        heads, scheduler, secrets,
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
use serde_json::json;
use uuid::Uuid;

pub use crate::settings::SANDBOX;

/// The partner called `name`, if there is one.
pub async fn find(app: &App, name: &str) -> Result<Option<partner::Model>> {
    Ok(partner::Entity::find().filter(partner::Column::Name.eq(name)).one(&app.db.read).await?)
}

/// Every partner, by name.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<partner::Model>> {
    Ok(partner::Entity::find().order_by_asc(partner::Column::Name).all(connection).await?)
}

/// The partner called `name`, made where there is none: a sandbox takes orders at any hour, a live partner in
/// the exchange's. Refused when there is one of the other mode.
pub async fn named(app: &App, name: &str, mode: Mode) -> Result<partner::Model> {
    if let Some(found) = find(app, name).await? {
        if found.mode != mode {
            return Err(Refusal::new(
                Code::Invalid,
                "",
                format!("The partner {name:?} exists and is not {mode:?}."),
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
    };
    let tx = app.db.write().await?;
    let partner = partner::ActiveModel::from(row).reset_all().insert(&tx).await?;
    app.vault.first_key_for(&tx, partner.id).await?;
    heads::begin(&tx, &app.vault.head_key(), partner.id).await?;
    EventBuilder::new(app.ids, partner.id, None, partner.created_at)
        .record_first(
            &tx,
            EventType::PartnerCreated,
            partner.id,
            json!({ "id": partner.id, "mode": partner.mode }),
        )
        .await?;
    tx.commit().await?;
    app.vault.ready_for(&app.db, partner.id).await?;
    app.sequencer.wake();
    Ok(partner)
}

/// For which partner a caller may start a customer or sign somebody up or in: her own, or the one that is set
/// for those who come without a partner's key.
pub async fn starting(app: &App, actor: &Actor) -> Result<Caller> {
    match &actor.who {
        Who::Partner(_) => actor.caller(Scope::Start),
        Who::User(user) => Ok(Caller { access_scope: AccessScope::all_of(user.partner_id), ..user.caller() }),
        Who::Anonymous => {
            let select = partner::Entity::find()
                .filter(partner::Column::Name.eq(app.feature::<Settings>().default_partner.as_str()));
            let partner = select
                .one(&app.db.read)
                .await?
                .ok_or(Error::Unavailable("Nobody can sign up or in here without a partner's key."))?;
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

/// Has a sandbox partner's clock run this far behind the system's, before anyone has looked at it.
pub async fn set_clock_behind(app: &App, partner: &partner::Model, by: chrono::Duration) -> Result<()> {
    if partner.mode != Mode::Sandbox {
        return Err(Error::broken("a live partner's clock was to be set"));
    }
    let tx = app.db.write().await?;
    let mut row: partner::ActiveModel = clock::locked(&tx, partner.id).await?.into();
    row.clock_offset = Set(-scheduler::microseconds(by)?);
    row.clock_frozen_at = Set(None);
    row.update(&tx).await?;
    tx.commit().await
}
