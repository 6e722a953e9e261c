//! Correcting the evidence of an identity check and computing the result again.

use super::{applicant, hits, is_listed, judge, parts, sealed_applicant, ssn_index, to_json};
use crate::{
    Code, Error, Refusal, Result,
    compliance::screening,
    kernel::{command::CommandContext, events::Event},
    people::{
        applicants::{Applicant, PersonFields},
        person::{check_words, tidy},
        user_changes::{AddressChange, Change, PersonPatch},
        users,
    },
    providers::identity::{self, Check},
};
use entity::{
    kyc,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, EntityTrait};

/// Returns a patch as a correction: an empty phone number or second address line clears it, and the address
/// is tidied before it is checked.
pub fn correction(patch: &PersonPatch) -> PersonPatch {
    let mut patch = patch.clone();
    let address = &mut patch.address;
    for optional in [&mut patch.phone, &mut address.line2] {
        if matches!(optional, Change::Set(text) if text.is_empty()) {
            *optional = Change::Clear;
        }
    }
    let AddressChange { line1, city, state, postal_code, country_code, .. } = address;
    for text in [line1, city, state, postal_code, country_code].into_iter().flatten() {
        // What is too long or not printable as it was sent is left for the check.
        if check_words("address", text).is_ok() {
            *text = tidy(text);
        }
    }
    patch
}

/// A check with corrected evidence and new score, not yet stored. Its outcome is still the previous one.
pub struct Reconsidered {
    pub check: kyc::Model,
    pub applicant: Applicant,
    /// Whether the applicant resembles a watch-list entry or cannot be screened.
    pub needs_reviewer: bool,
}

/// Corrects the evidence of a check and its user and computes the score again. Returns none if nothing
/// changes.
///
/// The points of the answers still count.
pub async fn reconsider(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    patch: &PersonPatch,
) -> Result<Option<Reconsidered>> {
    let stored = applicant(ctx.app, &check)?.map(|stored| stored.reveal().clone());
    let user = match check.user_id {
        Some(id) => user::Entity::find_by_id(id).one(ctx.tx).await?,
        None => None,
    };
    if user.as_ref().is_some_and(|user| user.status == Status::Closed) {
        return Err(Refusal::new(Code::KycNotOpen, "", "The user has been closed.").into());
    }
    let present = match &user {
        Some(user) => Applicant::of(ctx.app, user)?,
        None => None,
    };
    let before = present
        .or_else(|| stored.clone())
        .ok_or_else(|| Error::broken("an identity check has no applicant"))?;
    let mut person = PersonFields::from(before.clone());
    correction(patch).apply(ctx.partner.mode, ctx.today(), &mut person)?;
    let after =
        person.applicant().ok_or_else(|| Error::broken("a correction left an applicant incomplete"))?;
    if stored.as_ref() == Some(&after) && before == after {
        return Ok(None);
    }
    if let Some(user) = user.filter(|_| before != after) {
        let mut changed = user.clone();
        let gender = user.gender.clone();
        PersonFields { gender, ..PersonFields::from(after.clone()) }.write(ctx, &mut changed)?;
        let user = users::changed_row(user, changed).update(ctx.tx).await?;
        ctx.record(Event::UserUpdated((&user).into())).await?;
    }
    hits::screen_again(ctx, check.id, &after).await?;
    let is_listed = is_listed(ctx.tx, check.id).await?;
    let judged = judge(ctx, &after, check.user_id, is_listed).await?;
    let (mut judged, tags) =
        judged.ok_or(Error::Unavailable("No identity check provider is configured for live partners."))?;
    judged.extend(parts(&check).into_iter().filter(|part| part.check == Check::Answers));
    check.score = identity::score(&judged);
    (check.parts, check.tags) = (to_json(&judged)?, tags);
    check.applicant = Some(sealed_applicant(ctx, check.id, &after)?);
    check.ssn_index = Some(ssn_index(ctx, &after));
    let needs_reviewer = is_listed || screening::cannot_screen(ctx, &after).await?;
    Ok(Some(Reconsidered { check, applicant: after, needs_reviewer }))
}
