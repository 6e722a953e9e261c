//! The derives `Fields` and `Leaf`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Lit, Result, ext::IdentExt};

pub fn expand_fields(input: &DeriveInput) -> Result<TokenStream> {
    let breadth = quote!(crate::graphql::core::breadth);
    let ty = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(ty.span(), "only for structs"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(ty.span(), "only for structs with named fields"));
    };
    let mut steps = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let name = renamed(&field.attrs)?.unwrap_or_else(|| camel_case(&ident.unraw().to_string()));
        let of = &field.ty;
        steps.push(quote! {
            #name => <#of as #breadth::Output>::step(asked, sets, |object: &Self, _| Ok(object.#ident.clone())),
        });
    }
    Ok(object(&quote!(#ty), &steps, &[]))
}

/// Returns the implementation of `Object` for a type with these steps and, if it has a row, these reads.
pub fn object(ty: &TokenStream, steps: &[TokenStream], reads: &[TokenStream]) -> TokenStream {
    let breadth = quote!(crate::graphql::core::breadth);
    let reads = (!reads.is_empty()).then(|| {
        quote! {
            fn reads(field: &str) -> #breadth::Reads {
                match field {
                    #(#reads)*
                    _ => #breadth::Reads::All,
                }
            }
        }
    });
    quote! {
        impl #breadth::Object for #ty {
            fn step(
                asked: &#breadth::Asked<'_>,
                field: &::async_graphql::parser::types::Field,
                sets: &[&::async_graphql::parser::types::SelectionSet],
            ) -> ::core::result::Result<#breadth::Step<Self>, #breadth::Slow> {
                match field.name.node.as_str() {
                    #(#steps)*
                    _ => Err(#breadth::Slow),
                }
            }
            #reads
        }
    }
}

pub fn expand_leaf(ty: &Ident) -> TokenStream {
    let breadth = quote!(crate::graphql::core::breadth);
    quote! {
        impl #breadth::Leaf for #ty {
            fn write(&self, out: &mut #breadth::Out) -> ::core::result::Result<(), #breadth::Slow> {
                #breadth::write_enum(*self, out)
            }
        }
        #breadth::leaf_output!(#ty);
    }
}

/// Returns `name` of the attribute `graphql`.
fn renamed(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
        attribute.parse_nested_meta(|meta| {
            let value: Lit = meta.value()?.parse()?;
            if let (true, Lit::Str(text)) = (meta.path.is_ident("name"), value) {
                name = Some(text.value());
            }
            Ok(())
        })?;
    }
    Ok(name)
}

/// Returns a Rust name as the schema spells it.
pub fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    let mut starts_word = false;
    for letter in name.trim_start_matches("r#").chars() {
        if letter == '_' {
            starts_word = true;
        } else if starts_word {
            camel.extend(letter.to_uppercase());
            starts_word = false;
        } else {
            camel.push(letter);
        }
    }
    camel
}
