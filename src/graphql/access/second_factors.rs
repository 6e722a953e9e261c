//! GraphQL types and operations for two-factor authentication.

use crate::{
    graphql::core::{
        context::{RequestContext, open_session},
        mutations::payload,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, InputObject, Object, SimpleObject};
use domain::{
    Actor, Who,
    access::{
        passcodes::{self, Sent},
        second_factors::{self, Factors},
        totp::{self, Enrollment},
    },
    app::App,
    kernel::actor::SignedInUser,
};
use macros::{Fields, Leaf};

/// Method of two-factor authentication, used in addition to the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum TwoFactorMethod {
    /// Passcode by text message.
    Sms,
    /// Code from an authenticator app.
    Totp,
}

/// Returns the methods that a user has set up.
pub fn methods(factors: &Factors) -> Vec<TwoFactorMethod> {
    let sms = factors.phone_last4.is_some().then_some(TwoFactorMethod::Sms);
    sms.into_iter().chain(factors.totp.then_some(TwoFactorMethod::Totp)).collect()
}

/// Two-factor authentication state of a session.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TwoFactor {
    /// Whether the session has passed two-factor authentication; before that, most operations are refused.
    is_passed: bool,
    /// Methods that the user has set up; empty if there are none.
    methods: Vec<TwoFactorMethod>,
    /// Last four digits of the verified phone number; null if there is none.
    phone_last4: Option<String>,
}

impl TwoFactor {
    pub fn of(is_passed: bool, factors: Factors) -> Self {
        Self { is_passed, methods: methods(&factors), phone_last4: factors.phone_last4 }
    }
}

/// Passcode sent by text message.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct Passcode {
    /// Code that identifies the passcode; pass it to passcodeVerify.
    hash_code: String,
    /// Last four digits of the phone number that the passcode was sent to.
    phone_last4: String,
}

impl From<Sent> for Passcode {
    fn from(sent: Sent) -> Self {
        Self { hash_code: sent.hash_code, phone_last4: sent.phone_last4 }
    }
}

/// Secret for an authenticator app; shown only once.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TotpEnrollment {
    /// Secret in base 32, for manual entry.
    secret: String,
    /// URI with the scheme `otpauth`, to show as a QR code.
    uri: String,
}

impl From<Enrollment> for TotpEnrollment {
    fn from(enrollment: Enrollment) -> Self {
        Self { secret: enrollment.secret.reveal().clone(), uri: enrollment.uri.reveal().clone() }
    }
}

/// Input for passcodeSend.
#[derive(InputObject)]
pub struct PasscodeSendInput {
    /// New US phone number to verify; omit it if the user already has a verified number.
    phone: Option<String>,
}

/// Input for passcodeVerify.
#[derive(InputObject)]
pub struct PasscodeVerifyInput {
    /// The `hashCode` returned by passcodeSend.
    hash_code: String,
    /// Six-digit passcode.
    passcode: String,
}

/// Input for totpVerify.
#[derive(InputObject)]
pub struct TotpVerifyInput {
    /// Six-digit code from the authenticator app.
    code: String,
}

payload!(
    /// Result of passcodeSend.
    PasscodeSendPayload {
        /// The passcode that was sent. Null if the request was refused.
        passcode: Passcode
    }
);

payload!(
    /// Result of passcodeVerify.
    PasscodeVerifyPayload {
        /// Two-factor authentication state of the session. Null if the request was refused.
        two_factor: TwoFactor
    }
);

payload!(
    /// Result of totpEnroll.
    TotpEnrollPayload {
        /// The secret for the authenticator app. Null if the request was refused.
        enrollment: TotpEnrollment
    }
);

payload!(
    /// Result of totpVerify.
    TotpVerifyPayload {
        /// Two-factor authentication state of the session. Null if the request was refused.
        two_factor: TwoFactor
    }
);

payload!(
    /// Result of totpRemove.
    TotpRemovePayload {
        /// Two-factor authentication state of the session. Null if the request was refused.
        two_factor: TwoFactor
    }
);

async fn passed_two_factor(app: &App, actor: &Actor) -> Result<TwoFactor> {
    Ok(TwoFactor::of(true, second_factors::of(app, actor.signed_in()?.user_id).await?))
}

/// Builds the payload for a session that has just passed two-factor authentication, or was refused.
async fn two_factor_payload<P>(ctx: &Context<'_>, done: domain::Result<()>) -> Result<Option<P>>
where
    P: From<std::result::Result<TwoFactor, domain::Refusal>>,
{
    Ok(Some(match wire::outcome(done)? {
        Ok(()) => {
            let user = SignedInUser { two_factor: true, ..*ctx.actor().signed_in()? };
            open_session(ctx, Who::User(user));
            P::from(Ok(passed_two_factor(ctx.app(), ctx.actor()).await?))
        }
        Err(refusal) => P::from(Err(refusal)),
    }))
}

#[derive(Default)]
pub struct SecondFactorMutation;

#[Object]
impl SecondFactorMutation {
    /// Sends a passcode by text message to the signed-in user's verified phone number, or to a new number.
    async fn passcode_send(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passcodeSend.")] input: PasscodeSendInput,
    ) -> Result<Option<PasscodeSendPayload>> {
        let user_id = ctx.actor().signed_in()?.user_id;
        let sent = passcodes::send(ctx.app(), ctx.actor(), user_id, input.phone).await;
        Ok(Some(wire::outcome(sent)?.into()))
    }

    /// Verifies a passcode. The session has then passed two-factor authentication, and its access token works
    /// for all operations.
    async fn passcode_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for passcodeVerify.")] input: PasscodeVerifyInput,
    ) -> Result<Option<PasscodeVerifyPayload>> {
        let user_id = ctx.actor().signed_in()?.user_id;
        two_factor_payload(
            ctx,
            passcodes::verify(ctx.app(), ctx.actor(), user_id, &input.hash_code, &input.passcode).await,
        )
        .await
    }

    /// Creates a secret for an authenticator app; it becomes active when totpVerify accepts its first code.
    async fn totp_enroll(&self, ctx: &Context<'_>) -> Result<Option<TotpEnrollPayload>> {
        Ok(Some(wire::outcome(totp::enroll(ctx.app(), ctx.actor()).await)?.into()))
    }

    /// Verifies a code from the authenticator app. The session has then passed two-factor authentication.
    async fn totp_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for totpVerify.")] input: TotpVerifyInput,
    ) -> Result<Option<TotpVerifyPayload>> {
        two_factor_payload(ctx, totp::verify(ctx.app(), ctx.actor(), &input.code).await).await
    }

    /// Removes the signed-in user's authenticator app.
    async fn totp_remove(&self, ctx: &Context<'_>) -> Result<Option<TotpRemovePayload>> {
        two_factor_payload(ctx, totp::remove(ctx.app(), ctx.actor()).await).await
    }
}
