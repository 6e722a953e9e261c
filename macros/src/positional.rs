//! The derive `Positional`.

use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, GenericArgument, PathArguments, PathSegment, Result, Type};

/// Types with a blank value, which stands for a column that was not read. Any other type is an enum, whose
/// column has words.
const BLANK: [&str; 12] = [
    "String",
    "Uuid",
    "Vec",
    "DateTimeUtc",
    "Date",
    "Money",
    "Price",
    "Quantity",
    "Percent",
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
    let mut always = 0_u64;
    let mut values = Vec::new();
    for (position, field) in fields.named.iter().enumerate() {
        values.push(match (optional(&field.ty), has_blank(optional(&field.ty).unwrap_or(&field.ty))) {
            (_, true) => quote!(reader.value_if(#position)?),
            (Some(_), false) => quote!(reader.word_if(#position)?),
            (None, false) => {
                always |= 1 << position;
                quote!(reader.word()?)
            }
        });
    }
    Ok(quote! {
        impl crate::positional::Positional for #ty {
            const COLUMNS: &'static [&'static str] = &[#(#texts),*];
            const ALWAYS: u64 = #always;
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

fn has_blank(ty: &Type) -> bool {
    last(ty).is_some_and(|last| BLANK.contains(&last.ident.to_string().as_str()))
}
