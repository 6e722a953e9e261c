//! The attribute `breadth`.

use crate::fields::{camel_case, object};
use proc_macro2::{TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{
    Attribute, Block, Error, Expr, ExprLit, FnArg, GenericArgument, ImplItem, ImplItemFn, ItemImpl, Lit,
    Meta, Pat, PatType, PathArguments, PathSegment, Result, ReturnType, Token, Type, punctuated::Punctuated,
    spanned::Spanned,
};

const FIRST: &str = "Returns the first n items; 20 by default.";
const AFTER: &str = "Returns only items after this cursor.";
const LAST: &str = "Returns the last n items.";
const BEFORE: &str = "Returns only items before this cursor.";

pub fn expand(arguments: &TokenStream, mut block: ItemImpl) -> Result<TokenStream> {
    let ty = block.self_ty.clone();
    let docs: Vec<Attribute> = std::mem::take(&mut block.attrs);
    let mut wrappers = Vec::new();
    let mut steps = Vec::new();
    let mut reads = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let field = Field::of(method)?;
        wrappers.push(field.wrapper);
        if let Some(step) = field.step {
            steps.push(step);
            reads.push(field.reads);
        }
    }
    let object = object(&quote!(#ty), &steps, &reads);
    Ok(quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::trivially_copy_pass_by_ref,
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "a field takes its object, its arguments and its result as the schema and the engine need them"
        )]
        #block
        #(#docs)*
        #[::async_graphql::Object(#arguments)]
        #[allow(clippy::too_many_arguments, reason = "a connection has four arguments of its own")]
        impl #ty { #(#wrappers)* }
        #object
    })
}

/// A method of the block as a field of both executors.
struct Field {
    wrapper: TokenStream,
    step: Option<TokenStream>,
    reads: TokenStream,
}

impl Field {
    fn of(method: &mut ImplItemFn) -> Result<Self> {
        let breadth = quote!(crate::graphql::core::breadth);
        let ident = method.sig.ident.clone();
        let ReturnType::Type(_, returned) = method.sig.output.clone() else {
            return Err(Error::new(ident.span(), "a field returns a value"));
        };
        let own_name = match option(&method.attrs, "name") {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(name), .. })) => Some(name.value()),
            _ => None,
        };
        let name = own_name.clone().unwrap_or_else(|| camel_case(&ident.to_string()));
        let (mut parameters, mut passed, mut parsed, mut kept) = (vec![], vec![], vec![], vec![]);
        let mut ordinary_only = method.sig.asyncness.is_some();
        for input in &mut method.sig.inputs {
            let FnArg::Typed(argument) = input else { continue };
            let attributes = std::mem::take(&mut argument.attrs);
            let PatType { pat, ty, .. } = argument;
            match Role::of(ty) {
                Role::Viewpoint => {
                    passed.push(quote!(crate::graphql::core::context::Viewpoint::of(__ctx)));
                    kept.push(quote!(__view));
                }
                Role::Context => {
                    ordinary_only = true;
                    passed.push(quote!(__ctx));
                }
                Role::Page => {
                    parameters.push(quote! {
                        #[graphql(desc = #FIRST)] first: Option<i32>,
                        #[graphql(desc = #AFTER)] after: Option<String>,
                        #[graphql(desc = #LAST)] last: Option<i32>,
                        #[graphql(desc = #BEFORE)] before: Option<String>
                    });
                    passed.push(quote!(crate::graphql::core::pages::PageArgs { first, after, last, before }));
                    parsed.push(quote!(let #pat = asked.page(field)?;));
                    kept.push(quote!(::core::clone::Clone::clone(&#pat)));
                }
                Role::Plain => {
                    let Pat::Ident(argument) = &**pat else {
                        return Err(Error::new(pat.span(), "an argument has a name"));
                    };
                    let key = camel_case(&argument.ident.to_string());
                    parameters.push(quote!(#(#attributes)* #pat: #ty));
                    passed.push(quote!(#pat));
                    let default = option(&attributes, "default");
                    parsed.push(match default {
                        Some(value) => {
                            quote!(let #pat: #ty = asked.argument(field, #key)?.unwrap_or(#value);)
                        }
                        None => quote!(let #pat: #ty = asked.required(field, #key)?;),
                    });
                    kept.push(quote!(::core::clone::Clone::clone(&#pat)));
                }
            }
        }
        let named = own_name.is_none().then(|| quote!(#[graphql(name = #name)]));
        let attributes = method.attrs.clone();
        let visibility = &method.vis;
        method.attrs.retain(|attribute| !attribute.path().is_ident("graphql"));
        let wrapper_name = format_ident!("{}_field", ident.to_string().trim_start_matches("r#"));
        let wait = method.sig.asyncness.is_some().then(|| quote!(.await));
        let wrapper = quote! {
            #(#attributes)*
            #named
            #visibility async fn #wrapper_name(
                &self,
                __ctx: &::async_graphql::Context<'_>,
                #(#parameters),*
            ) -> #returned {
                self.#ident(#(#passed),*)#wait
            }
        };
        if ordinary_only {
            return Ok(Self { wrapper, step: None, reads: quote!() });
        }
        let call = quote!(__object.#ident(#(#kept),*));
        let (value, can_fail) = match result_of(&returned) {
            Some(inner) => (inner, true),
            None => ((*returned).clone(), false),
        };
        let call = if can_fail { quote!(#call.map_err(|_| #breadth::Slow)) } else { quote!(Ok(#call)) };
        let step = if borrows(&value) {
            quote! {
                #name => Ok(#breadth::Step::leaf(move |__object: &Self, __view, __out| {
                    let value: #breadth::Fast<_> = #call;
                    #breadth::Leaf::write(&value?, __out)
                })),
            }
        } else {
            quote! {
                #name => {
                    #(#parsed)*
                    <#value as #breadth::Output>::step(asked, sets, move |__object: &Self, __view| #call)
                }
            }
        };
        let reads = match columns(&method.block) {
            Some(columns) => quote!(#name => #breadth::Reads::Only(&[#(#columns),*]),),
            None => quote!(#name => #breadth::Reads::All,),
        };
        Ok(Self { wrapper, step: Some(step), reads })
    }
}

/// What a parameter of a method is for.
enum Role {
    Viewpoint,
    Context,
    Page,
    Plain,
}

impl Role {
    fn of(ty: &Type) -> Self {
        let name = last_segment(ty).map(|segment| segment.ident.to_string());
        match (ty, name.as_deref()) {
            (Type::Reference(_), Some("Viewpoint")) => Self::Viewpoint,
            (Type::Reference(_), Some("Context")) => Self::Context,
            (_, Some("PageArgs")) => Self::Page,
            _ => Self::Plain,
        }
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Reference(reference) => last_segment(&reference.elem),
        _ => None,
    }
}

/// Returns `T` of `Result<T>`.
fn result_of(ty: &Type) -> Option<Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner.clone()),
        _ => None,
    }
}

/// Whether a type contains a reference.
fn borrows(ty: &Type) -> bool {
    fn contains(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Punct(punct) => punct.as_char() == '&',
            TokenTree::Group(group) => contains(group.stream()),
            _ => false,
        })
    }
    contains(quote!(#ty))
}

/// Returns the columns that a method reads as `self.0.column`; `None` if it uses its row in another way.
fn columns(block: &Block) -> Option<Vec<String>> {
    fn collect(tokens: TokenStream, found: &mut Vec<String>) -> Option<()> {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => collect(group.stream(), found)?,
                TokenTree::Ident(ident) if ident == "self" => {
                    let mut next = |expected: &str| {
                        tokens.next().filter(|token| token.to_string() == expected).map(drop)
                    };
                    next(".")?;
                    next("0")?;
                    next(".")?;
                    let Some(TokenTree::Ident(column)) = tokens.next() else { return None };
                    if matches!(tokens.peek(), Some(TokenTree::Group(_))) {
                        return None;
                    }
                    found.push(column.to_string());
                }
                _ => {}
            }
        }
        Some(())
    }
    let mut found = Vec::new();
    collect(quote!(#block), &mut found)?;
    Some(found)
}

/// Returns `value` of `key = value` in the attribute `graphql`.
fn option(attributes: &[Attribute], key: &str) -> Option<Expr> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")).find_map(|attribute| {
        let all = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
        all.into_iter().find_map(|meta| match meta {
            Meta::NameValue(pair) if pair.path.is_ident(key) => Some(pair.value),
            _ => None,
        })
    })
}
