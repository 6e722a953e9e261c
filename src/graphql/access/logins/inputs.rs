//! Inputs of mutations for sign-up, sign-in and sessions.

use crate::graphql::core::scalars::Date;
use async_graphql::{ID, InputObject};
use domain::{
    access::logins::NewSignUp,
    kernel::{ids, secrets::Secret},
    people::user_changes::PersonPatch,
};
use entity::Kind;

/// Input for userSignUp.
#[derive(InputObject)]
pub struct UserSignUpInput {
    /// E-mail address that no other user signs in with.
    pub email: String,
    /// Password, 8 to 128 characters.
    pub password: String,
    /// Full name: given names, then family name.
    pub full_name: Option<String>,
    /// Date of birth. Write-only.
    pub birth_date: Option<Date>,
    /// Social security number. Write-only.
    pub ssn: Option<String>,
    /// Id of the invitation that the user signs up with.
    pub invitation_id: Option<ID>,
}

impl UserSignUpInput {
    pub fn parse(self) -> NewSignUp {
        let birth_date = self.birth_date.map(|Date(day)| day);
        NewSignUp {
            email: self.email,
            password: Secret::new(self.password),
            profile: PersonPatch {
                full_name: self.full_name,
                birth_date,
                ssn: self.ssn,
                ..PersonPatch::default()
            },
            invitation_id: self.invitation_id.map(|id| ids::parse(Kind::Invitation, &id)),
        }
    }
}

/// Input for userSignIn.
#[derive(InputObject)]
pub struct UserSignInInput {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// Input for tokenRefresh.
#[derive(InputObject)]
pub struct TokenRefreshInput {
    /// Current refresh token; it stops working when the new one is first used.
    pub refresh_token: String,
}

/// Input for userSignOut.
#[derive(InputObject)]
pub struct UserSignOutInput {
    /// Refresh token of the session to end.
    pub refresh_token: String,
}

/// Input for passwordChange.
#[derive(InputObject)]
pub struct PasswordChangeInput {
    /// Current password.
    pub password: String,
    /// New password, 8 to 128 characters.
    pub new_password: String,
}

/// Input for passwordRecover.
#[derive(InputObject)]
pub struct PasswordRecoverInput {
    /// E-mail address.
    pub email: String,
}

/// Input for passwordReset.
#[derive(InputObject)]
pub struct PasswordResetInput {
    /// Token from the e-mail.
    pub token: String,
    /// New password, 8 to 128 characters.
    pub password: String,
}

/// Input for userSignInEnable.
#[derive(InputObject)]
pub struct UserSignInEnableInput {
    /// Id of the user who may sign in again.
    pub user_id: ID,
}

/// Input for userSignInDisable.
#[derive(InputObject)]
pub struct UserSignInDisableInput {
    /// Id of the user who may no longer sign in.
    pub user_id: ID,
}

/// Input for userTwoFactorReset.
#[derive(InputObject)]
pub struct UserTwoFactorResetInput {
    /// Id of the user who has lost their second factors.
    pub user_id: ID,
}

/// Changes to a user's profile; fields that are omitted or null stay unchanged.
#[derive(InputObject)]
pub struct ProfilePatch {
    /// Full name: given names, then family name.
    pub full_name: Option<String>,
    /// Date of birth. Write-only.
    pub birth_date: Option<Date>,
    /// Social security number. Write-only.
    pub ssn: Option<String>,
    /// Gender, in the user's own words.
    pub gender: Option<String>,
}

/// Input for profileUpdate.
#[derive(InputObject)]
pub struct ProfileUpdateInput {
    /// Id of the user.
    pub user_id: ID,
    /// Profile changes.
    pub patch: ProfilePatch,
}

/// Input for userDataMail.
#[derive(InputObject)]
pub struct UserDataMailInput {
    /// Id of the user.
    pub user_id: ID,
}
