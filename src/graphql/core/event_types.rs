//! GraphQL enum of the event types, which are listed in the domain.

use async_graphql::Enum;

macro_rules! event_type {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// Type of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        #[graphql(remote = "domain::kernel::events::EventType")]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }
    };
}

domain::event_types!(event_type);
