//! The GraphQL face of signing up and in.

use super::second_factors::TwoFactor;
use crate::{
    graphql::{
        core::{
            context::RequestContext,
            errors::{AccessUserError, GeneralUserError, payload},
            scalars::{Date, DateTime},
        },
        people::users::User,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use domain::{
    Refusal,
    access::{
        logins::{self, NewSignUp},
        recoveries, second_factors,
        sessions::{self, Issued, Renewal},
    },
    app::App,
    kernel::{ids, secrets::Secret},
    people::profiles::Identity,
    wellness::profiles::{self, UpdateProfile},
};
use entity::Kind;

/// Tokens of somebody who has signed in.
#[derive(Clone, SimpleObject)]
pub struct Session {
    /// Who signed in.
    user_id: ID,
    /// Sent with every request as `Authorization: Bearer …`.
    access_token: String,
    /// When the access token ends.
    access_token_expires_at: DateTime,
    /// Renews the session by tokenRefresh.
    refresh_token: String,
    /// When the refresh token ends.
    refresh_token_expires_at: DateTime,
    /// Where the session stands with its second factor.
    two_factor: TwoFactor,
}

impl Session {
    async fn of(app: &App, issued: Issued) -> Result<Self> {
        let factors = second_factors::of(app, issued.user_id).await?;
        Ok(Self {
            user_id: issued.user_id.into(),
            access_token: issued.access.reveal().clone(),
            access_token_expires_at: issued.access_expires_at.into(),
            refresh_token: issued.refresh.reveal().clone(),
            refresh_token_expires_at: issued.refresh_expires_at.into(),
            two_factor: TwoFactor::of(issued.two_factor, factors),
        })
    }
}

/// Input of userSignUp.
#[derive(InputObject)]
pub struct UserSignUpInput {
    /// E-mail address, with which nobody else signs in.
    email: String,
    /// 8 to 128 characters.
    password: String,
    /// Given names and family name.
    full_name: Option<String>,
    /// Day of birth; never sent back.
    birth_date: Option<Date>,
    /// Social security number; never sent back.
    ssn: Option<String>,
    /// Invitation that she comes by.
    invitation_id: Option<ID>,
}

impl UserSignUpInput {
    fn parse(self) -> NewSignUp {
        let birth_date = self.birth_date.map(|Date(day)| day);
        NewSignUp {
            email: self.email,
            password: Secret::new(self.password),
            identity: Identity { full_name: self.full_name, birth_date, ssn: self.ssn, gender: None },
            invitation_id: self.invitation_id.map(|id| ids::parse(Kind::Invitation, &id)),
        }
    }
}

/// Input of userSignIn.
#[derive(InputObject)]
pub struct UserSignInInput {
    /// E-mail address.
    email: String,
    /// Password.
    password: String,
}

/// Input of tokenRefresh.
#[derive(InputObject)]
pub struct TokenRefreshInput {
    /// Refresh token; it ends once its successor is first used.
    refresh_token: String,
}

/// Input of userSignOut.
#[derive(InputObject)]
pub struct UserSignOutInput {
    /// Refresh token of the session to end.
    refresh_token: String,
}

/// Input of passwordChange.
#[derive(InputObject)]
pub struct PasswordChangeInput {
    /// Present password.
    password: String,
    /// 8 to 128 characters.
    new_password: String,
}

/// Input of passwordRecover.
#[derive(InputObject)]
pub struct PasswordRecoverInput {
    /// E-mail address.
    email: String,
}

/// Input of passwordReset.
#[derive(InputObject)]
pub struct PasswordResetInput {
    /// Token from the mail.
    token: String,
    /// 8 to 128 characters.
    password: String,
}

/// Input of userSignInEnable.
#[derive(InputObject)]
pub struct UserSignInEnableInput {
    /// Person whose sign-in is meant.
    user_id: ID,
}

/// Input of userSignInDisable.
#[derive(InputObject)]
pub struct UserSignInDisableInput {
    /// Person whose sign-in is meant.
    user_id: ID,
}

/// Input of userTwoFactorReset.
#[derive(InputObject)]
pub struct UserTwoFactorResetInput {
    /// Person whose second factor is lost.
    user_id: ID,
}

/// What a person says of herself; what is left out or null stays as it is.
#[derive(InputObject)]
pub struct ProfilePatch {
    /// Given names and family name.
    full_name: Option<String>,
    /// Day of birth; never sent back.
    birth_date: Option<Date>,
    /// Social security number; never sent back.
    ssn: Option<String>,
    /// Gender in her own words.
    gender: Option<String>,
}

/// Input of profileUpdate.
#[derive(InputObject)]
pub struct ProfileUpdateInput {
    /// The user.
    user_id: ID,
    /// What is new.
    patch: ProfilePatch,
}

/// Input of userDataMail.
#[derive(InputObject)]
pub struct UserDataMailInput {
    /// The user.
    user_id: ID,
}

payload!(
    /// Outcome of userSignUp.
    UserSignUpPayload {
        /// The first session, null when refused.
        session: Session,
        AccessUserError
    }
);

payload!(
    /// Outcome of userSignIn.
    UserSignInPayload {
        /// The session, null when refused.
        session: Session,
        AccessUserError
    }
);

payload!(
    /// Outcome of tokenRefresh.
    TokenRefreshPayload {
        /// The session with new tokens, null when refused.
        session: Session,
        AccessUserError
    }
);

payload!(
    /// Outcome of userSignOut.
    UserSignOutPayload {
        /// Who signed out, null when refused.
        user_id: ID,
        AccessUserError
    }
);

payload!(
    /// Outcome of passwordChange.
    PasswordChangePayload {
        /// A new session in place of all earlier ones, null when refused.
        session: Session,
        AccessUserError
    }
);

payload!(
    /// Outcome of passwordRecover.
    PasswordRecoverPayload {
        /// Always true: whether there is such a person is not told.
        is_accepted: bool,
        AccessUserError
    }
);

payload!(
    /// Outcome of passwordReset.
    PasswordResetPayload {
        /// True once the new password counts, null when refused.
        is_reset: bool,
        AccessUserError
    }
);

payload!(
    /// Outcome of userSignInEnable.
    UserSignInEnablePayload {
        /// Who may sign in again, null when refused.
        user: User,
        GeneralUserError
    }
);

payload!(
    /// Outcome of userSignInDisable.
    UserSignInDisablePayload {
        /// Who may sign in no longer, null when refused.
        user: User,
        GeneralUserError
    }
);

payload!(
    /// Outcome of userTwoFactorReset.
    UserTwoFactorResetPayload {
        /// Who sets up another second factor, null when refused.
        user: User,
        GeneralUserError
    }
);

payload!(
    /// Outcome of profileUpdate.
    ProfileUpdatePayload {
        /// The person, null when refused.
        user: User,
        GeneralUserError
    }
);

payload!(
    /// Outcome of userDataMail.
    UserDataMailPayload {
        /// The user whose data was mailed, null when refused.
        user: User,
        GeneralUserError
    }
);

/// The session that was issued, with its second factor.
async fn session<P>(ctx: &Context<'_>, issued: domain::Result<Issued>) -> Result<Option<P>>
where
    P: From<std::result::Result<Session, Refusal>>,
{
    Ok(Some(match wire::outcome(issued)? {
        Ok(issued) => P::from(Ok(Session::of(ctx.app(), issued).await?)),
        Err(refusal) => P::from(Err(refusal)),
    }))
}

#[derive(Default)]
pub struct AccessMutation;

#[Object]
impl AccessMutation {
    /// Sign a person up by e-mail and password and begin her first session; without a partner's key, for the
    /// default partner.
    async fn user_sign_up(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignUp.")] input: UserSignUpInput,
    ) -> Result<Option<UserSignUpPayload>> {
        let signed_up = logins::sign_up(ctx.app(), ctx.actor(), input.parse()).await;
        session(ctx, signed_up.map(|(_, issued)| issued)).await
    }

    /// Begin a session by e-mail and password; without a partner's key, with the default partner.
    async fn user_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignIn.")] input: UserSignInInput,
    ) -> Result<Option<UserSignInPayload>> {
        session(ctx, logins::sign_in(ctx.app(), ctx.actor(), &input.email, Secret::new(input.password)).await)
            .await
    }

    /// Renew a session; the old refresh token stays good until the new one is first used, and ends the
    /// session when it is used after.
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

    /// End a session, by its refresh token and an access token that is still good; access tokens that were
    /// issued live on until they end.
    async fn user_sign_out(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignOut.")] input: UserSignOutInput,
    ) -> Result<Option<UserSignOutPayload>> {
        let user_id = ctx.actor().signed_in()?.user_id;
        let done = sessions::sign_out(ctx.app(), ctx.actor(), &input.refresh_token).await;
        Ok(Some(wire::outcome(done.map(|()| user_id))?.into()))
    }

    /// Change the password of the signed-in person; every session of hers ends and a new one begins.
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordChange.")] input: PasswordChangeInput,
    ) -> Result<Option<PasswordChangePayload>> {
        let (present, new) = (Secret::new(input.password), Secret::new(input.new_password));
        session(ctx, logins::change_password(ctx.app(), ctx.actor(), present, new).await).await
    }

    /// Mail a token for a new password, if there is such a person; the answer is the same if not.
    async fn password_recover(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordRecover.")] input: PasswordRecoverInput,
    ) -> Result<Option<PasswordRecoverPayload>> {
        let accepted = recoveries::request(ctx.app(), ctx.actor(), &input.email).await;
        Ok(Some(wire::outcome(accepted.map(|()| true))?.into()))
    }

    /// Set a new password by the token from the mail; every session of hers ends.
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passwordReset.")] input: PasswordResetInput,
    ) -> Result<Option<PasswordResetPayload>> {
        let reset =
            recoveries::reset(ctx.app(), ctx.actor(), &input.token, Secret::new(input.password)).await;
        Ok(Some(wire::outcome(reset.map(|()| true))?.into()))
    }

    /// Let a person sign in again; scope `manage`.
    async fn user_sign_in_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userSignInEnable.")] input: UserSignInEnableInput,
    ) -> Result<Option<UserSignInEnablePayload>> {
        let user_id = ids::parse(Kind::User, &input.user_id);
        Ok(Some(wire::outcome(logins::enable(ctx.app(), ctx.actor(), user_id, true).await.map(User))?.into()))
    }

    /// Let a person sign in no longer and end all her sessions at once; scope `manage`.
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

    /// Forget the second factors of a person who has lost them and end all her sessions at once; scope
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

    /// Change what a person says of herself; a change of name, birth date or social security number has her
    /// identity checked again; scope `manage`.
    async fn profile_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for profileUpdate.")] input: ProfileUpdateInput,
    ) -> Result<Option<ProfileUpdatePayload>> {
        let ProfilePatch { full_name, birth_date, ssn, gender } = input.patch;
        let identity = Identity { full_name, birth_date: birth_date.map(|Date(day)| day), ssn, gender };
        let amendment = UpdateProfile { user_id: ids::parse(Kind::User, &input.user_id), identity };
        Ok(Some(wire::outcome(profiles::update(ctx.app(), ctx.actor(), amendment).await.map(User))?.into()))
    }

    /// Mail what a person has entered to her advisors, once a minute at most; scope `manage`.
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
