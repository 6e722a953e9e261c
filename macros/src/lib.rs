//! Macros for the GraphQL types and mutations, for REST bodies, and for rows that are read by position.

mod fields;
mod mutations;
mod object;
mod positional;
mod request_body;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Turns an `impl` block into a GraphQL object type whose fields both the ordinary executor and the
/// breadth-first engine can answer.
///
/// A method returns a value or a description of what to load, and takes `&self`, its arguments and, where it
/// needs the caller, `view: &Viewpoint`. `page: PageArgs` becomes the four arguments of a connection. A method
/// with a `&Context` is answered by the ordinary executor only.
#[proc_macro_attribute]
pub fn breadth(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(object::expand(&arguments.into(), block))
}

/// Defines mutations that each run one command. Each function is one mutation: its arguments are the fields of
/// the input, and its body makes the command from them. Without a body, the command has fields of the same names.
///
/// `#[answers(order: Order)]` names the payload's field; `= "…"` replaces its description. Several fields come
/// from one struct: `#[answers(kyc: Kyc, review: KycReview, in Reviewed)]`. Every mutation has an
/// `idempotencyKey`; one that requires it names the argument `idempotency_key: String`. An id is described by its name.
#[proc_macro_attribute]
pub fn mutations(_: TokenStream, item: TokenStream) -> TokenStream {
    finish(mutations::expand(parse_macro_input!(item as ItemImpl)))
}

/// Lets the breadth-first engine answer the fields of a `SimpleObject`.
#[proc_macro_derive(Fields, attributes(graphql))]
pub fn fields(item: TokenStream) -> TokenStream {
    finish(fields::expand_fields(&parse_macro_input!(item as DeriveInput)))
}

/// Lets the breadth-first engine write the values of an `Enum`.
#[proc_macro_derive(Leaf)]
pub fn leaf(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    fields::expand_leaf(&input.ident).into()
}

/// Reads the rows of an entity's `Model` by position, and only the columns that are asked for.
#[proc_macro_derive(Positional)]
pub fn positional(item: TokenStream) -> TokenStream {
    finish(positional::expand(&parse_macro_input!(item as DeriveInput)))
}

/// Implements `RequestBody`: a field that the API calls differently than the domain has the domain's name, and the
/// API's with `#[serde(rename = "…")]`.
///
/// `#[runs(RenameBankAccount { bank_account_id: BankAccount } -> BankAccountBody)]` also makes the command, from
/// the fields of the same names and the id in the path, and names the type of the response.
#[proc_macro_derive(RequestBody, attributes(runs))]
pub fn request_body(item: TokenStream) -> TokenStream {
    finish(request_body::expand(&parse_macro_input!(item as DeriveInput)))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}
