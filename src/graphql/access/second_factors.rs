//! The GraphQL face of second factors.

use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{AccessUserError, payload},
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, InputObject, Object, SimpleObject};
use domain::{
    Actor,
    access::{
        passcodes::{self, Sent},
        second_factors::{self, Factors},
        totp::{self, Enrollment},
    },
    app::App,
};

/// By what a person proves, besides her password, that it is she.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TwoFactorMethod {
    /// Passcode by text message.
    Sms,
    /// Code of an authenticator app.
    Totp,
}

/// The methods that a person has set up.
pub fn methods(factors: &Factors) -> Vec<TwoFactorMethod> {
    let sms = factors.phone_last4.is_some().then_some(TwoFactorMethod::Sms);
    sms.into_iter().chain(factors.totp.then_some(TwoFactorMethod::Totp)).collect()
}

/// Where a session stands with its second factor.
#[derive(Clone, Debug, SimpleObject)]
pub struct TwoFactor {
    /// Whether the session has passed it; nothing else is open before.
    is_passed: bool,
    /// What the person has set up; empty when nothing yet.
    methods: Vec<TwoFactorMethod>,
    /// Last four digits of the verified phone number; null when there is none.
    phone_last4: Option<String>,
}

impl TwoFactor {
    pub fn of(is_passed: bool, factors: Factors) -> Self {
        Self { is_passed, methods: methods(&factors), phone_last4: factors.phone_last4 }
    }
}

/// A passcode on its way.
#[derive(Clone, Debug, SimpleObject)]
pub struct Passcode {
    /// Names the passcode when it is verified.
    hash_code: String,
    /// Last four digits of the number it went to.
    phone_last4: String,
}

impl From<Sent> for Passcode {
    fn from(sent: Sent) -> Self {
        Self { hash_code: sent.hash_code, phone_last4: sent.phone_last4 }
    }
}

/// Secret for an authenticator app, shown once.
#[derive(Clone, Debug, SimpleObject)]
pub struct TotpEnrollment {
    /// Secret in base 32, to be typed.
    secret: String,
    /// Address that a QR code shows.
    uri: String,
}

impl From<Enrollment> for TotpEnrollment {
    fn from(enrollment: Enrollment) -> Self {
        Self { secret: enrollment.secret.reveal().clone(), uri: enrollment.uri.reveal().clone() }
    }
}

/// Input of passcodeSend.
#[derive(InputObject)]
pub struct PasscodeSendInput {
    /// New US number to verify; left out once one is verified.
    phone: Option<String>,
}

/// Input of passcodeVerify.
#[derive(InputObject)]
pub struct PasscodeVerifyInput {
    /// What passcodeSend answered with.
    hash_code: String,
    /// Six digits.
    passcode: String,
}

/// Input of totpVerify.
#[derive(InputObject)]
pub struct TotpVerifyInput {
    /// Six digits that the app shows.
    code: String,
}

payload!(
    /// Outcome of passcodeSend.
    PasscodeSendPayload {
        /// The passcode, null when refused.
        passcode: Passcode,
        AccessUserError
    }
);

payload!(
    /// Outcome of passcodeVerify.
    PasscodeVerifyPayload {
        /// Where the session stands now, null when refused.
        two_factor: TwoFactor,
        AccessUserError
    }
);

payload!(
    /// Outcome of totpEnroll.
    TotpEnrollPayload {
        /// The secret, null when refused.
        enrollment: TotpEnrollment,
        AccessUserError
    }
);

payload!(
    /// Outcome of totpVerify.
    TotpVerifyPayload {
        /// Where the session stands now, null when refused.
        two_factor: TwoFactor,
        AccessUserError
    }
);

payload!(
    /// Outcome of totpRemove.
    TotpRemovePayload {
        /// Where the session stands now, null when refused.
        two_factor: TwoFactor,
        AccessUserError
    }
);

async fn standing(app: &App, actor: &Actor) -> Result<TwoFactor> {
    Ok(TwoFactor::of(true, second_factors::of(app, actor.signed_in()?.user_id).await?))
}

/// What the session that has just passed its second factor is told.
async fn passed<P>(ctx: &Context<'_>, done: domain::Result<()>) -> Result<Option<P>>
where
    P: From<std::result::Result<TwoFactor, domain::Refusal>>,
{
    Ok(Some(match wire::outcome(done)? {
        Ok(()) => P::from(Ok(standing(ctx.app(), ctx.actor()).await?)),
        Err(refusal) => P::from(Err(refusal)),
    }))
}

#[derive(Default)]
pub struct SecondFactorMutation;

#[Object]
impl SecondFactorMutation {
    /// Text a passcode to the signed-in person, to the number she has verified or to a new one.
    async fn passcode_send(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passcodeSend.")] input: PasscodeSendInput,
    ) -> Result<Option<PasscodeSendPayload>> {
        let user_id = ctx.actor().signed_in()?.user_id;
        let sent = passcodes::send(ctx.app(), ctx.actor(), user_id, input.phone).await;
        Ok(Some(wire::outcome(sent)?.into()))
    }

    /// Take the passcode that was texted: the session passes its second factor, and the same access token
    /// opens everything.
    async fn passcode_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passcodeVerify.")] input: PasscodeVerifyInput,
    ) -> Result<Option<PasscodeVerifyPayload>> {
        let user_id = ctx.actor().signed_in()?.user_id;
        passed(
            ctx,
            passcodes::verify(ctx.app(), ctx.actor(), user_id, &input.hash_code, &input.passcode).await,
        )
        .await
    }

    /// Make a secret for an authenticator app, which counts once totpVerify has taken a code of it.
    async fn totp_enroll(&self, ctx: &Context<'_>) -> Result<Option<TotpEnrollPayload>> {
        Ok(Some(wire::outcome(totp::enroll(ctx.app(), ctx.actor()).await)?.into()))
    }

    /// Take a code of the authenticator app: the session passes its second factor.
    async fn totp_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for totpVerify.")] input: TotpVerifyInput,
    ) -> Result<Option<TotpVerifyPayload>> {
        passed(ctx, totp::verify(ctx.app(), ctx.actor(), &input.code).await).await
    }

    /// Forget the authenticator app of the signed-in person.
    async fn totp_remove(&self, ctx: &Context<'_>) -> Result<Option<TotpRemovePayload>> {
        passed(ctx, totp::remove(ctx.app(), ctx.actor()).await).await
    }
}
