//! Ids in inputs.

use super::nodes::Item;
use async_graphql::{ID, InputType, InputValueError, InputValueResult, Value, registry::Registry};
use domain::kernel::ids;
use std::{borrow::Cow, marker::PhantomData};
use uuid::Uuid;

/// Id of an object of type `T` in an input. Any other text becomes the nil id, which is not found.
pub struct IdOf<T>(pub Uuid, PhantomData<fn() -> T>);

impl<T> Clone for IdOf<T> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<T> From<IdOf<T>> for Uuid {
    fn from(id: IdOf<T>) -> Self {
        id.0
    }
}

impl<T: Item> InputType for IdOf<T> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        <ID as InputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as InputType>::create_type_info(registry)
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let id = <ID as InputType>::parse(value).map_err(InputValueError::propagate)?;
        Ok(Self(ids::parse(T::KIND, &id), PhantomData))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}
