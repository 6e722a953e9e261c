//! User profiles with the employer, and e-mailing them to the advisors.

use crate::{
    Actor, Error, Refusal, Result, Scope,
    access::invitations,
    compliance::registration,
    delivery::messages::{self, NewMessage},
    kernel::{
        app::App,
        clock,
        command::{self, Command, CommandContext},
        limits,
        secrets::Secret,
    },
    people::{applicants, profiles::full_name, user_changes::PersonPatch, users},
    settings::Settings,
};
use chrono::NaiveDate;
use entity::{invitation, message::Purpose, partner::Mode, user};
use serde::Serialize;
use uuid::Uuid;

/// User profile.
#[derive(Clone, Debug)]
pub struct Profile {
    pub user: user::Model,
    pub birth_date: Option<Secret<NaiveDate>>,
    /// The invitation the user signed up with, which names their employer.
    pub employer: Option<invitation::Model>,
}

/// Returns a user's profile. Requires scope `read`, or the user's own session. The read is written to the
/// audit log.
pub async fn find(app: &App, actor: &Actor, user_id: Uuid) -> Result<Profile> {
    let found =
        registration::get_audited(app, actor, user_id).await?.ok_or_else(|| Refusal::not_found("userId"))?;
    let employer = invitations::of_user(&app.db.read, found.user.invitation_id).await?;
    let birth_date = applicants::birth_date(app, &found.user)?.map(Secret::new);
    Ok(Profile { user: found.user, birth_date, employer })
}

/// Updates a user's profile.
#[derive(Clone, Serialize)]
pub struct UpdateProfile {
    pub user_id: Uuid,
    pub patch: PersonPatch,
}

/// Updates a user's profile. Requires scope `manage`, or the user's own session. A change of the data that
/// the identity check used repeats the check.
pub async fn update(app: &App, actor: &Actor, update: UpdateProfile) -> Result<user::Model> {
    Ok(command::execute(app, actor, None, update).await?.value)
}

impl Command for UpdateProfile {
    const NAME: &'static str = "user.profile_update";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = user::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        self.patch.check(mode).map_err(|error| error.inside("patch"))
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<user::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let user = users::within(ctx.tx, ctx.access_scope, self.user_id)
            .await?
            .ok_or_else(|| Refusal::not_found("userId"))?;
        registration::apply_patch(ctx, user, &self.patch).await
    }
}

#[derive(Serialize)]
struct MailUserData {
    user_id: Uuid,
}

/// E-mails a user's data to the advisors, at most once a minute. Requires scope `manage`, or the user's own
/// session. The e-mail does not contain the social security number or the birth date.
pub async fn mail_data(app: &App, actor: &Actor, user_id: Uuid) -> Result<user::Model> {
    Ok(command::execute(app, actor, None, MailUserData { user_id }).await?.value)
}

impl Command for MailUserData {
    const NAME: &'static str = "user.mail_data";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = user::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<user::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let user = users::within(ctx.tx, ctx.access_scope, self.user_id)
            .await?
            .ok_or_else(|| Refusal::not_found("userId"))?;
        let last = messages::last_posted_at(ctx.tx, user.id, Purpose::AdvisorData).await?;
        limits::DATA_MAILS.require_spaced(clock::system_now(), last.as_slice())?;
        let advisors = match (&ctx.app.feature::<Settings>().advisors, ctx.partner.mode) {
            (Some(advisors), _) => advisors.clone(),
            (None, Mode::Sandbox) => "advisors@example.com".to_owned(),
            (None, Mode::Live) => {
                return Err(Error::Unavailable("No e-mail address for advisors is configured."));
            }
        };
        let employer = invitations::of_user(ctx.tx, user.invitation_id)
            .await?
            .and_then(|invitation| invitation.company_name);
        let answers = [
            ("Name", full_name(&user)),
            ("E-mail", Some(user.email.clone())),
            ("Gender", user.gender.clone()),
            ("City", user.address_city.clone()),
            ("State", user.address_state.clone()),
            ("Employer", employer),
        ];
        let lines: Vec<String> =
            answers.into_iter().filter_map(|(name, answer)| Some(format!("{name}: {}", answer?))).collect();
        let (purpose, text) = (Purpose::AdvisorData, lines.join("\n"));
        let mail = NewMessage::mail(Some(user.id), purpose, advisors, "A user's data", text);
        messages::post(ctx.app, ctx.tx, ctx.partner, mail).await?;
        Ok(user)
    }
}
