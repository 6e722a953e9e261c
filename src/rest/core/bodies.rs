//! Request bodies: structs whose fields are types of `fields!` (`src/rest/core/forms.rs`).
//!
//! A struct derives `Deserialize` and `ToSchema`, so it both parses the body and documents it. See
//! docs/decisions/request-bodies.md.

use super::{
    answers::answer,
    deserializer::{JsonField, Wrong},
    errors::{self, Problem, documented_name},
    requests::{Caller, Id, KeyHeader},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    response::Response,
};
use domain::{
    Actor, Refusal, Result,
    app::App,
    kernel::{
        command::{self, Answer, Command},
        idempotency::Key,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

/// Fields whose names are not the snake case of the domain's names: the domain's path, and the name in the
/// body.
pub type Names = &'static [(&'static str, &'static str)];

/// Struct that describes the body of a request.
pub trait RequestBody: DeserializeOwned + ToSchema {
    /// Fields that the domain calls differently.
    const NAMES: Names = &[];

    /// Returns the name of the field that the domain calls `path`.
    fn field_name(path: &str) -> String {
        let own = Self::NAMES.iter().find(|(known, _)| *known == path);
        own.map_or_else(|| documented_name(path), |(_, name)| (*name).to_owned())
    }

    /// Returns JSON schemas that the body as a whole must match.
    fn rules() -> Vec<Value> {
        Vec::new()
    }
}

/// Body of a request that runs one command for the object in the path. Derived with the attribute `runs`.
pub trait Runs: RequestBody + Send + 'static {
    type Command: Command;
    type Answer: Shows<<Self::Command as Command>::Output> + ToSchema;

    /// Returns the command; `id` is the id in the path.
    fn command(self, id: &str) -> Self::Command;
}

/// Response body that shows the result of a command.
pub trait Shows<T>: Serialize + Sized {
    fn of(app: &App, result: &T) -> Result<Self>;
}

/// Handler of a route whose body runs one command.
pub async fn run<B: Runs>(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body<B>,
) -> errors::Result<Response> {
    let done = body.execute(&app, &actor, key, |body| body.command(&id)).await?;
    Ok(answer(&done, &B::Answer::of(&app, &done.value)?))
}

/// Body of a request: the struct, or the refusal of the first field that is wrong.
pub struct Body<T>(Result<T>);

impl<T: RequestBody, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> errors::Result<Self> {
        Ok(Self::parse(&read(request, state).await?)?)
    }
}

/// Reads the whole body.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Ok(Bytes::from_request(request, state)
        .await
        .map_err(|_| Refusal::unreadable("The body is too long or incomplete."))?)
}

impl<T> Body<T> {
    /// Returns the struct.
    pub fn parsed(self) -> Result<T> {
        self.0
    }

    /// Converts the struct.
    pub fn and_then<U>(self, convert: impl FnOnce(T) -> Result<U>) -> Body<U> {
        Body(self.0.and_then(convert))
    }

    /// Returns the struct for a command. A missing permission takes precedence over a wrong field.
    pub fn permitted<C: Command>(self, actor: &Actor) -> errors::Result<T> {
        self.0.map_err(|error| Problem::of_fields(command::unreadable::<C>(actor, error)))
    }
}

impl<T: RequestBody> Body<T> {
    /// Parses a body. Refused if it is not a JSON object.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let unreadable = || Refusal::unreadable("The body is not a JSON object.");
        let json: &RawValue = serde_json::from_slice(json).map_err(|_| unreadable())?;
        match T::deserialize(JsonField::new(json)) {
            Ok(body) => Ok(Self(Ok(body))),
            Err(Wrong::Field(refusal)) => Ok(Self(Err(refusal.into()))),
            Err(Wrong::Missing | Wrong::Invalid(_)) => Err(unreadable().into()),
        }
    }

    /// Executes the command that `command` makes from the struct.
    pub async fn execute<C: Command>(
        self,
        app: &App,
        actor: &Actor,
        key: Option<Key>,
        command: impl FnOnce(T) -> C,
    ) -> errors::Result<Answer<C::Output>> {
        self.try_execute(app, actor, key, |body| Ok(command(body))).await
    }

    /// Executes the command that `command` makes from the struct, or refuses to make.
    pub async fn try_execute<C: Command>(
        self,
        app: &App,
        actor: &Actor,
        key: Option<Key>,
        command: impl FnOnce(T) -> Result<C>,
    ) -> errors::Result<Answer<C::Output>> {
        let command = self.and_then(command).permitted::<C>(actor)?;
        command::execute(app, actor, key, command).await.map_err(Problem::in_body::<T>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::core::forms::{self, fields};
    use serde::Deserialize;
    use uuid::Uuid;

    fields! {
        /// A word.
        Word(String) = forms::WORDS, "word";
        /// A switch.
        Switch(bool) = forms::Flag, true;
        /// An id.
        Owner(Uuid) = forms::Id(entity::Kind::User), "0198d7a2-7c00-7000-8000-000000000005";
    }

    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        first: Word,
        second: Option<Word>,
        switch: Option<Switch>,
        owner: Option<Owner>,
        inner: Option<Inner>,
    }

    #[derive(Deserialize, ToSchema)]
    struct Inner {
        word: Word,
    }

    impl RequestBody for Outer {}

    fn parse(json: &str) -> Result<Outer, String> {
        let body = Body::parse(json.as_bytes()).and_then(Body::parsed);
        body.map_err(|error| match error {
            domain::Error::Refused(refusal) => refusal.message(&refusal.path.join(".")),
            other => other.cause(),
        })
    }

    #[test]
    fn null_and_blank_texts_count_as_left_out() {
        for json in [r#"{"first":"a"}"#, r#"{"first":"a","second":" ","switch":null,"owner":null}"#] {
            let body = parse(json).ok().unwrap();
            assert_eq!(String::from(body.first), "a");
            assert!(body.second.is_none() && body.switch.is_none() && body.owner.is_none());
        }
        let body = parse(r#"{"first":"a","first":"b","second":"c","owner":"","inner":{"word":"d"}}"#);
        let body = body.ok().unwrap();
        assert_eq!(String::from(body.first), "b");
        assert_eq!(body.second.map(String::from), Some("c".to_owned()));
        assert_eq!(body.owner.map(Uuid::from), Some(Uuid::nil()));
        assert_eq!(body.inner.map(|inner| String::from(inner.word)), Some("d".to_owned()));
    }

    #[test]
    fn the_first_wrong_field_of_the_struct_is_named() {
        for (json, message) in [
            (r#"{"second":7,"first":" "}"#, "first is required"),
            (r#"{"second":7,"first":"a"}"#, "second must be a string"),
            (r#"{"first":"a\u0000"}"#, "first must not contain control characters"),
            (r#"{"first":"a","switch":""}"#, "switch must be true or false"),
            (r#"{"first":"a","inner":"b"}"#, "inner must be an object"),
            (r#"{"first":"a","inner":{"word":null}}"#, "inner.word is required"),
            (r#"{"first":7,"z":null,"other":null}"#, "other is not a field of this request"),
            ("[]", "The body is not a JSON object."),
            ("null", "The body is not a JSON object."),
            (r#"{"first":"a""#, "The body is not a JSON object."),
        ] {
            assert_eq!(parse(json).err().as_deref(), Some(message), "{json}");
        }
    }
}
