//! The derive `RequestBody`.

use crate::fields::camel_case;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Token, Type, braced,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

/// Argument of the attribute `runs`: the command, the field of the id in the path with its kind, and the type of
/// the response.
struct Runs {
    command: Path,
    path_field: Ident,
    kind: Ident,
    answer: Type,
}

impl Parse for Runs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let command = input.call(Path::parse_mod_style)?;
        let inside;
        braced!(inside in input);
        let path_field = inside.parse()?;
        inside.parse::<Token![:]>()?;
        let kind = inside.parse()?;
        input.parse::<Token![->]>()?;
        Ok(Self { command, path_field, kind, answer: input.parse()? })
    }
}

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let core = quote!(crate::rest::core::bodies);
    let ty = &input.ident;
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        _ => return Err(Error::new(ty.span(), "only for structs")),
    };
    let Fields::Named(fields) = fields else {
        return Err(Error::new(ty.span(), "only for structs with named fields"));
    };
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        if let Some(name) = renamed(&field.attrs)? {
            let known = camel_case(&ident.unraw().to_string());
            names.push(quote!((#known, #name)));
        }
        values.push(if is_option(&field.ty) {
            quote!(#ident: self.#ident.map(::core::convert::Into::into))
        } else {
            quote!(#ident: self.#ident.into())
        });
    }
    let body = quote! {
        impl #core::RequestBody for #ty {
            const NAMES: #core::Names = &[#(#names),*];
        }
    };
    let Some(runs) = input.attrs.iter().find(|attribute| attribute.path().is_ident("runs")) else {
        return Ok(body);
    };
    let Runs { command, path_field, kind, answer } = runs.parse_args()?;
    Ok(quote! {
        #body

        impl #core::Runs for #ty {
            type Command = #command;
            type Answer = #answer;

            fn command(self, id: &str) -> #command {
                #command {
                    #path_field: ::domain::kernel::ids::parse(::entity::Kind::#kind, id),
                    #(#values),*
                }
            }
        }
    })
}

/// Returns `rename` of the attribute `serde`.
fn renamed(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
            }
            Ok(())
        })?;
    }
    Ok(name)
}

fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Option")
}
