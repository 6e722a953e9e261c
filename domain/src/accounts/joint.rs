//! The other owner of a joint account, who is a person of her own.

use super::options;
use crate::{
    Actor, Error, Refusal, Result, Scope,
    compliance::registration,
    kernel::{
        app::App,
        command::{self, Command, CommandContext},
        idempotency::Key,
        limits,
    },
    people::{applicants::NewUser, users},
};
use entity::{account::Ownership, partner::Mode, user};
use serde::Serialize;
use uuid::Uuid;

/// Who shall own an account with another.
#[derive(Clone, Serialize)]
pub enum JointMember {
    /// Somebody whom the partner serves already; a person who has signed in cannot name her.
    Known(Uuid),
    /// Somebody new, who is registered with the account.
    New(Box<NewUser>),
}

/// Where the other owner stands in the input.
const FIELD: &str = "jointMember";

impl JointMember {
    /// Refuses what she cannot be.
    pub fn check(&self, mode: Mode) -> Result<()> {
        match self {
            Self::Known(_) => Ok(()),
            Self::New(new) => new.checked(mode).map(|_| ()).map_err(in_person),
        }
    }

    /// The person, registered and checked if she is new; refused when she is the owner herself.
    pub async fn settle(&self, ctx: &CommandContext<'_>, owner: &user::Model) -> Result<user::Model> {
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
            return Err(Refusal::invalid(field, "must be of another person than the owner").into());
        }
        Ok(member)
    }
}

fn in_person(error: Error) -> Error {
    error.inside("person").inside(FIELD)
}

/// Counts somebody new against the address of a person who acts for herself, as a sign-up is.
pub async fn allowed<C: Command>(
    app: &App,
    actor: &Actor,
    key: Option<&Key>,
    command: &C,
    member: Option<&JointMember>,
) -> Result<()> {
    if !matches!(member, Some(JointMember::New(_))) {
        return Ok(());
    }
    let caller = actor.self_or_caller(Scope::Manage)?;
    command::check(caller.mode, key, command)?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await
}

/// The ownership called by this name; `single` is understood as well (documented both ways).
pub fn ownership(text: &str) -> Result<Ownership> {
    match options::folded(text).as_str() {
        "individual" | "single" => Ok(Ownership::Individual),
        "joint" => Ok(Ownership::Joint),
        _ => Err(Refusal::invalid("ownership", "must be individual or joint").into()),
    }
}

/// The refusal of another owner where there is to be one alone.
pub fn not_joint() -> Error {
    Refusal::invalid(FIELD, "must be left out of an individual account").into()
}
