//! Joint member: the second owner of a joint account, a user in their own right.

use super::options;
use crate::{
    Error, Refusal, Result,
    compliance::registration,
    kernel::{
        command::CommandContext,
        limits::{self, Limit},
    },
    people::{applicants::NewUser, users},
};
use entity::{account::Ownership, partner::Mode, user};
use serde::Serialize;
use uuid::Uuid;

/// Joint member to add to an account.
#[derive(Clone, Serialize)]
pub enum JointMember {
    /// Existing user of the partner. A signed-in user cannot name another user.
    Known(Uuid),
    /// New user, who is registered along with the account.
    New(Box<NewUser>),
}

/// Input field of the joint member.
const FIELD: &str = "jointMember";

impl JointMember {
    /// Refuses invalid data of a new user.
    pub fn check(&self, mode: Mode) -> Result<()> {
        match self {
            Self::Known(_) => Ok(()),
            Self::New(new) => new.checked(mode).map_err(in_person),
        }
    }

    /// Returns the joint member, registering them and checking their identity if they are new. Refuses the
    /// account's owner.
    pub async fn resolve(&self, ctx: &CommandContext<'_>, owner: &user::Model) -> Result<user::Model> {
        let (member, field) = match self {
            Self::Known(id) => {
                let found = users::within(ctx.tx, ctx.access_scope, *id).await?;
                (found.ok_or_else(|| Refusal::not_found("jointMember.userId"))?, "jointMember.userId")
            }
            Self::New(new) => {
                (registration::begin(ctx, new).await.map_err(in_person)?.user, "jointMember.person.ssn")
            }
        };
        let same_number = member.ssn_index.is_some() && member.ssn_index == owner.ssn_index;
        if member.id == owner.id || same_number {
            return Err(Refusal::invalid(field, "must belong to someone other than the owner").into());
        }
        Ok(member)
    }
}

fn in_person(error: Error) -> Error {
    error.inside("person").inside(FIELD)
}

/// Returns the limit that the registration of a new joint member uses.
pub fn limit(member: Option<&JointMember>) -> Option<Limit> {
    matches!(member, Some(JointMember::New(_))).then_some(limits::SIGN_UP)
}

/// Parses an ownership type. `single` means `individual` (documented both ways).
pub fn ownership(text: &str) -> Result<Ownership> {
    match options::normalized(text).as_str() {
        "individual" | "single" => Ok(Ownership::Individual),
        "joint" => Ok(Ownership::Joint),
        _ => Err(Refusal::invalid("ownership", "must be individual or joint").into()),
    }
}

/// Returns the refusal of a joint member for an individual account.
pub fn not_joint() -> Error {
    Refusal::invalid(FIELD, "must be omitted for an individual account").into()
}
