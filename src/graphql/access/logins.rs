//! GraphQL types and operations for sign-up, sign-in and sessions.

mod inputs;

use super::second_factors::TwoFactor;
use crate::{
    graphql::{
        Query,
        core::{
            breadth::Maybe,
            context::{RequestContext, open_session},
            mutations::payload,
            scalars::{Date, DateTime},
        },
        people::users::User,
    },
    wire::{self, Result},
};
use async_graphql::{ComplexObject, Context, ID, Object, SimpleObject};
use domain::{
    Refusal, Scope,
    access::{
        logins, recoveries, second_factors,
        sessions::{self, Issued, Renewal},
    },
    app::App,
    kernel::{actor::SignedInUser, ids, secrets::Secret},
    people::user_changes::PersonPatch,
    wellness::profiles::{self, UpdateProfile},
};
use entity::Kind;
use inputs::{
    PasswordChangeInput, PasswordRecoverInput, PasswordResetInput, ProfilePatch, ProfileUpdateInput,
    TokenRefreshInput, UserDataMailInput, UserSignInDisableInput, UserSignInEnableInput, UserSignInInput,
    UserSignOutInput, UserSignUpInput, UserTwoFactorResetInput,
};
use uuid::Uuid;

/// Session of a signed-in user.
#[derive(Clone, SimpleObject)]
#[graphql(complex)]
pub struct Session {
    /// Id of the user who signed in.
    user_id: ID,
    #[graphql(skip)]
    user_key: Uuid,
    /// Access token; send it with every request as `Authorization: Bearer …`.
    access_token: String,
    /// Time when the access token expires.
    access_token_expires_at: DateTime,
    /// Refresh token; pass it to tokenRefresh to renew the session.
    refresh_token: String,
    /// Time when the refresh token expires.
    refresh_token_expires_at: DateTime,
    /// Two-factor authentication state of the session.
    two_factor: TwoFactor,
}

/// Session of a signed-in user.
#[ComplexObject]
impl Session {
    /// User who signed in. Null until the session has passed two-factor authentication.
    async fn user(&self, ctx: &Context<'_>) -> Maybe<User> {
        Maybe::of(ctx.actor().may(Scope::Read).then_some(self.user_key))
    }
}

impl Session {
    async fn of(app: &App, issued: Issued) -> Result<Self> {
        let factors = second_factors::of(app, issued.user_id).await?;
        Ok(Self {
            user_id: issued.user_id.into(),
            user_key: issued.user_id,
            access_token: issued.access.reveal().clone(),
            access_token_expires_at: issued.access_expires_at.into(),
            refresh_token: issued.refresh.reveal().clone(),
            refresh_token_expires_at: issued.refresh_expires_at.into(),
            two_factor: TwoFactor::of(issued.two_factor, factors),
        })
    }
}

payload!(
    /// Result of userSignUp.
    UserSignUpPayload {
        /// The user's first session. Null if the request was refused.
        session: Session
    }
);

payload!(
    /// Result of userSignIn.
    UserSignInPayload {
        /// The session. Null if the request was refused.
        session: Session
    }
);

payload!(
    /// Result of tokenRefresh.
    TokenRefreshPayload {
        /// The session with new tokens. Null if the request was refused.
        session: Session
    }
);

payload!(
    /// Result of userSignOut.
    UserSignOutPayload {
        /// User who signed out. Null if the request was refused, or if the session had not passed two-factor
        /// authentication.
        user: User
    }
);

payload!(
    /// Result of passwordChange.
    PasswordChangePayload {
        /// New session that replaces all earlier ones. Null if the request was refused.
        session: Session
    }
);

payload!(
    /// Result of passwordRecover.
    PasswordRecoverPayload {
        /// True whether or not the user exists. Null if the request was refused.
        is_accepted: bool
    }
);

payload!(
    /// Result of passwordReset.
    PasswordResetPayload {
        /// True if the password was changed. Null if the request was refused.
        is_reset: bool
    }
);

payload!(
    /// Result of userSignInEnable.
    UserSignInEnablePayload {
        /// User who may sign in again. Null if the request was refused.
        user: User
    }
);

payload!(
    /// Result of userSignInDisable.
    UserSignInDisablePayload {
        /// User who may no longer sign in. Null if the request was refused.
        user: User
    }
);

payload!(
    /// Result of userTwoFactorReset.
    UserTwoFactorResetPayload {
        /// The user. Null if the request was refused.
        user: User
    }
);

payload!(
    /// Result of profileUpdate.
    ProfileUpdatePayload {
        /// The user. Null if the request was refused.
        user: User
    }
);

payload!(
    /// Result of userDataMail.
    UserDataMailPayload {
        /// The user. Null if the request was refused.
        user: User
    }
);

/// Builds the payload for an issued session, or for a refusal.
async fn session<P>(ctx: &Context<'_>, issued: domain::Result<Issued>) -> Result<Option<P>>
where
    P: From<std::result::Result<Session, Refusal>>,
{
    Ok(Some(match wire::outcome(issued)? {
        Ok(issued) => {
            // If this fails, the client must still get its tokens.
            if let Ok(who) = sessions::authenticate(ctx.app(), issued.access.reveal()).await {
                open_session(ctx, who);
            }
            P::from(Ok(Session::of(ctx.app(), issued).await?))
        }
        Err(refusal) => P::from(Err(refusal)),
    }))
}

#[derive(Default)]
pub struct AccessMutation;

#[Object]
impl AccessMutation {
    /// Signs up a user with an e-mail address and password, and starts their first session. Without an API
    /// key, the user belongs to the default partner.
    async fn user_sign_up(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignUp.")] input: UserSignUpInput,
    ) -> Result<Option<UserSignUpPayload>> {
        let signed_up = logins::sign_up(ctx.app(), ctx.actor(), input.parse()).await;
        session(ctx, signed_up.map(|(_, issued)| issued)).await
    }

    /// Starts a session with an e-mail address and password. Without an API key, the user signs in to the
    /// default partner.
    async fn user_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignIn.")] input: UserSignInInput,
    ) -> Result<Option<UserSignInPayload>> {
        session(ctx, logins::sign_in(ctx.app(), ctx.actor(), &input.email, Secret::new(input.password)).await)
            .await
    }

    /// Renews a session with new tokens. The old refresh token works until the new one is first used; using
    /// the old one after that ends the session.
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for tokenRefresh.")] input: TokenRefreshInput,
    ) -> Result<Option<TokenRefreshPayload>> {
        session(
            ctx,
            sessions::renew(ctx.app(), ctx.actor().request_id, &input.refresh_token, Renewal::Both).await,
        )
        .await
    }

    /// Ends a session, given its refresh token. Requires a valid access token; access tokens that were issued
    /// work until they expire.
    async fn user_sign_out(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignOut.")] input: UserSignOutInput,
    ) -> Result<Option<UserSignOutPayload>> {
        let SignedInUser { user_id, two_factor, .. } = *ctx.actor().signed_in()?;
        if let Err(refusal) =
            wire::outcome(sessions::sign_out(ctx.app(), ctx.actor(), &input.refresh_token).await)?
        {
            return Ok(Some(Err::<User, _>(refusal).into()));
        }
        let user = if two_factor { ctx.loaders().find::<User>(user_id).await? } else { None };
        Ok(Some(UserSignOutPayload {
            user: user.map(User),
            user_errors: Vec::new(),
            query: Query::default(),
        }))
    }

    /// Changes the signed-in user's password, ends all their sessions and starts a new one.
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordChange.")] input: PasswordChangeInput,
    ) -> Result<Option<PasswordChangePayload>> {
        let (present, new) = (Secret::new(input.password), Secret::new(input.new_password));
        session(ctx, logins::change_password(ctx.app(), ctx.actor(), present, new).await).await
    }

    /// Sends a token for setting a new password by e-mail. The response is the same if the user does not
    /// exist.
    async fn password_recover(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordRecover.")] input: PasswordRecoverInput,
    ) -> Result<Option<PasswordRecoverPayload>> {
        let accepted = recoveries::request(ctx.app(), ctx.actor(), &input.email).await;
        Ok(Some(wire::outcome(accepted.map(|()| true))?.into()))
    }

    /// Sets a new password with the token from the e-mail, and ends all sessions of the user.
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordReset.")] input: PasswordResetInput,
    ) -> Result<Option<PasswordResetPayload>> {
        let reset =
            recoveries::reset(ctx.app(), ctx.actor(), &input.token, Secret::new(input.password)).await;
        Ok(Some(wire::outcome(reset.map(|()| true))?.into()))
    }

    /// Allows a user to sign in again. Requires scope `manage`.
    async fn user_sign_in_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignInEnable.")] input: UserSignInEnableInput,
    ) -> Result<Option<UserSignInEnablePayload>> {
        let user_id = ids::parse(Kind::User, &input.user_id);
        Ok(Some(wire::outcome(logins::enable(ctx.app(), ctx.actor(), user_id, true).await.map(User))?.into()))
    }

    /// Stops a user from signing in and ends all their sessions. Requires scope `manage`.
    async fn user_sign_in_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignInDisable.")] input: UserSignInDisableInput,
    ) -> Result<Option<UserSignInDisablePayload>> {
        let user_id = ids::parse(Kind::User, &input.user_id);
        Ok(Some(
            wire::outcome(logins::enable(ctx.app(), ctx.actor(), user_id, false).await.map(User))?.into(),
        ))
    }

    /// Removes the second factors of a user who has lost them, and ends all their sessions. Requires scope
    /// `manage`.
    async fn user_two_factor_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userTwoFactorReset.")] input: UserTwoFactorResetInput,
    ) -> Result<Option<UserTwoFactorResetPayload>> {
        let user_id = ids::parse(Kind::User, &input.user_id);
        Ok(Some(
            wire::outcome(logins::forget_second_factor(ctx.app(), ctx.actor(), user_id).await.map(User))?
                .into(),
        ))
    }

    /// Changes a user's profile. A change of name, date of birth or social security number repeats the
    /// identity check. Requires scope `manage`.
    async fn profile_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for profileUpdate.")] input: ProfileUpdateInput,
    ) -> Result<Option<ProfileUpdatePayload>> {
        let ProfilePatch { full_name, birth_date, ssn, gender } = input.patch;
        let birth_date = birth_date.map(|Date(day)| day);
        let patch = PersonPatch { full_name, birth_date, ssn, gender, ..PersonPatch::default() };
        let amendment = UpdateProfile { user_id: ids::parse(Kind::User, &input.user_id), patch };
        Ok(Some(wire::outcome(profiles::update(ctx.app(), ctx.actor(), amendment).await.map(User))?.into()))
    }

    /// Sends a user's data to the advisors by e-mail, at most once a minute. Requires scope `manage`.
    async fn user_data_mail(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userDataMail.")] input: UserDataMailInput,
    ) -> Result<Option<UserDataMailPayload>> {
        let user_id = ids::parse(Kind::User, &input.user_id);
        let mailed = profiles::mail_data(ctx.app(), ctx.actor(), user_id).await;
        Ok(Some(wire::outcome(mailed.map(User))?.into()))
    }
}
