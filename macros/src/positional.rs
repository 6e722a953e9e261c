//! The derive `Positional`.

use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, GenericArgument, PathArguments, PathSegment, Result, Type};

/// Types of columns that are read as they are. Any other type is an enum, whose column has words.
const PLAIN: [&str; 13] = [
    "String",
    "Uuid",
    "Vec",
    "DateTimeUtc",
    "Date",
    "Money",
    "Price",
    "Quantity",
    "Percent",
    "Rate",
    "i64",
    "i32",
    "bool",
];

pub fn expand(input: &DeriveInput) -> Result<proc_macro2::TokenStream> {
    let ty = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(ty.span(), "only for models"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(ty.span(), "only for models"));
    };
    let names: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut values = Vec::new();
    for (position, field) in fields.named.iter().enumerate() {
        let ty = optional(&field.ty);
        values.push(match (ty, is_plain(ty.unwrap_or(&field.ty))) {
            (_, true) => quote!(reader.value_if(#position)?),
            (Some(_), false) => quote!(reader.word_if(#position)?),
            (None, false) => quote!(reader.word_or_first(#position)?),
        });
    }
    Ok(quote! {
        impl crate::positional::Positional for #ty {
            const COLUMNS: &'static [&'static str] = &[#(#texts),*];
            fn read(reader: &mut crate::positional::Reader<'_>) -> ::core::result::Result<Self, ::sea_orm::DbErr> {
                Ok(Self { #(#names: #values),* })
            }
        }
    })
}

fn last(ty: &Type) -> Option<&PathSegment> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last()
}

/// Returns the type in an `Option`.
fn optional(ty: &Type) -> Option<&Type> {
    let segment = last(ty).filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.first().and_then(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

fn is_plain(ty: &Type) -> bool {
    last(ty).is_some_and(|last| PLAIN.contains(&last.ident.to_string().as_str()))
}
