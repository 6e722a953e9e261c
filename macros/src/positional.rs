//! The derive `Positional`.

use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result, Type};

/// Types with a blank value, which stands for a column that was not read.
const BLANK: [&str; 11] =
    ["Option", "String", "Uuid", "Vec", "DateTimeUtc", "Money", "Price", "Quantity", "i64", "i32", "bool"];

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
        if has_blank(&field.ty) {
            values.push(quote!(reader.value_if(#position)?));
        } else {
            always |= 1 << position;
            values.push(quote!(reader.value()?));
        }
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

fn has_blank(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| BLANK.contains(&last.ident.to_string().as_str()))
}
