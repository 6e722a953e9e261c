//! The attribute `mutations`.

use crate::fields::camel_case;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, Expr, FnArg, Ident as SynIdent, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, PatType,
    Result, ReturnType, Token, TraitItemFn, Type,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// Field of every payload.
struct Entity {
    name: SynIdent,
    ty: Type,
    about: Option<LitStr>,
}

impl Parse for Entity {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        let ty = input.parse()?;
        let about = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, ty, about })
    }
}

/// Expands to the inputs, the payloads and the fields of the mutations.
pub fn expand(block: ItemImpl) -> Result<TokenStream> {
    let ty = &block.self_ty;
    let mut types = Vec::new();
    let mut fields = Vec::new();
    for item in block.items {
        let method = match item {
            ImplItem::Fn(ImplItemFn { attrs, sig, block, .. }) => {
                TraitItemFn { attrs, sig, default: Some(block), semi_token: None }
            }
            // A function without a body.
            ImplItem::Verbatim(tokens) => syn::parse2(tokens)?,
            other => return Err(Error::new_spanned(other, "only for functions")),
        };
        let (defined, field) = mutation(method)?;
        types.push(defined);
        fields.push(field);
    }
    Ok(quote! {
        #(#types)*

        #[derive(Default)]
        pub struct #ty;

        #[::async_graphql::Object]
        impl #ty {
            #(#fields)*
        }
    })
}

fn mutation(method: TraitItemFn) -> Result<(TokenStream, TokenStream)> {
    let core = quote!(crate::graphql::core::mutations);
    let name = &method.sig.ident;
    let field = camel_case(&name.to_string());
    let input_name = format_ident!("{}Input", pascal_case(&field));
    let payload_name = format_ident!("{}Payload", pascal_case(&field));

    let (answers, docs): (Vec<_>, Vec<_>) =
        method.attrs.into_iter().partition(|attribute| attribute.path().is_ident("answers"));
    let [answers] = answers.as_slice() else {
        return Err(Error::new_spanned(name, "say what it answers: #[answers(order: Order)]"));
    };
    let payload = payload(answers, &payload_name, &field)?;

    let mut arguments: Vec<FnArg> = method.sig.inputs.into_iter().collect();
    if !arguments.iter().any(is_key) {
        arguments.insert(0, syn::parse_quote!(idempotency_key: Option<String>));
    }
    let (mut inputs, mut names, mut key) = (Vec::new(), Vec::new(), quote!());
    for argument in arguments {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new_spanned(argument, "the input has no self"));
        };
        let (ident, declared) = input_field(&argument)?;
        if ident == "idempotency_key" {
            key = if is_named(&argument.ty, "Option") {
                quote!(self.idempotency_key.as_deref())
            } else {
                quote!(Some(&self.idempotency_key))
            };
        } else {
            names.push(ident);
        }
        inputs.push(declared);
    }
    let ReturnType::Type(_, returned) = &method.sig.output else {
        return Err(Error::new_spanned(name, "return the command"));
    };
    let (command, body) = match (&method.default, inside(returned, "Result")) {
        (Some(body), Some(command)) => (command, quote!(#body)),
        (Some(body), None) => (returned.as_ref().clone(), quote!(Ok(#body))),
        (None, _) => {
            (returned.as_ref().clone(), quote!(Ok(#returned { #(#names: #core::convert(#names)),* })))
        }
    };
    let about = format!("Input for {field}.");
    let types = quote! {
        #[doc = #about]
        #[derive(::async_graphql::InputObject)]
        pub struct #input_name { #(#inputs),* }

        impl #core::Input for #input_name {
            type Command = #command;

            fn key(&self) -> Option<&str> { #key }

            fn parse(self) -> ::domain::Result<#command> {
                let Self { #(#names,)* .. } = self;
                #body
            }
        }

        #payload
    };
    let field = quote! {
        #(#docs)*
        async fn #name(
            &self,
            ctx: &::async_graphql::Context<'_>,
            #[graphql(desc = #about)] input: #input_name,
        ) -> crate::wire::Result<Option<#payload_name>> {
            #core::execute(ctx, input).await
        }
    };
    Ok((types, field))
}

/// Returns the name of a field of the input, and its declaration.
fn input_field(argument: &PatType) -> Result<(Ident, TokenStream)> {
    let PatType { attrs, pat, ty, .. } = argument;
    let Pat::Ident(ident) = pat.as_ref() else {
        return Err(Error::new_spanned(pat, "only names"));
    };
    let ident = ident.ident.clone();
    let about = attrs.is_empty().then(|| default_description(&ident.to_string())).flatten();
    let about = about.map(|text| quote!(#[doc = #text]));
    Ok((ident.clone(), quote!(#about #(#attrs)* #ident: #ty)))
}

/// Returns the description of a field that needs no other: the idempotency key, or the id of an object that has the
/// name of the field.
fn default_description(field: &str) -> Option<String> {
    const KEY: &str =
        "Key chosen by the client. A retry with the same key and input returns the original result.";
    if field == "idempotency_key" {
        return Some(KEY.to_owned());
    }
    field.strip_suffix("_id").map(|object| format!("Id of the {}.", object.replace('_', " ")))
}

fn is_key(argument: &FnArg) -> bool {
    let FnArg::Typed(argument) = argument else { return false };
    matches!(argument.pat.as_ref(), Pat::Ident(pat) if pat.ident == "idempotency_key")
}

/// Returns the definition of the payload that the attribute `answers` describes.
fn payload(answers: &Attribute, name: &Ident, field: &str) -> Result<TokenStream> {
    let (entities, source) = answers.parse_args_with(|input: ParseStream<'_>| {
        let mut entities = Punctuated::<Entity, Token![,]>::new();
        let mut source = None;
        while !input.is_empty() {
            if input.parse::<Option<Token![in]>>()?.is_some() {
                source = Some(input.parse::<Expr>()?);
                break;
            }
            entities.push_value(input.parse()?);
            if input.peek(Token![,]) {
                entities.push_punct(input.parse()?);
            }
        }
        Ok((entities, source))
    })?;
    let about = format!("Result of {field}.");
    let fields = entities.iter().map(|Entity { name, ty, about }| {
        let text = about.as_ref().map_or_else(
            || format!("The {}. Null if the request was refused.", name.to_string().replace('_', " ")),
            LitStr::value,
        );
        quote!(#[doc = #text] #name: #ty)
    });
    let source = source.map(|source| quote!(in #source));
    Ok(quote! {
        crate::graphql::core::mutations::payload!(#[doc = #about] #name #source { #(#fields),* });
    })
}

fn is_named(ty: &Type, name: &str) -> bool {
    inside(ty, name).is_some()
}

/// Returns the type inside a generic type of this name.
fn inside(ty: &Type, name: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

fn pascal_case(camel: &str) -> String {
    let mut letters = camel.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
