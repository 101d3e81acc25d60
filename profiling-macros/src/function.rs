//! The function that the attribute stands on: its signature, not its body.
//!
//! rustc has parsed the item before, so a scan over its tokens is enough to tell its parts. Parsing
//! it anew would be most of what the attribute costs a build.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};
use syn::{GenericArgument, PathArguments, PathSegment, Type, TypeParamBound};

use crate::errors::Errors;

/// What has to be known of a function to call it.
pub(crate) struct Function {
    pub(crate) ident: Ident,
    pub(crate) parameters: Vec<Parameter>,
    /// Whether its call is to be awaited.
    pub(crate) awaited: bool,
    pub(crate) returns: Returns,
    pub(crate) deprecated: bool,
}

/// A parameter: its pattern and its type.
pub(crate) struct Parameter(Vec<TokenTree>);

/// What a function returns, as far as its signature tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Nothing,
    /// A value of a type that surely isn't a `Result`.
    Value,
    /// Anything else: an alias may hide a `Result`.
    PerhapsResult,
}

const NO_FUNCTION: &str = "`#[profile_job]` stands on a function, and this is none: write it above a `fn`";
const FREE: &str = "`#[profile_job]` can't work inside an `impl` block: write a free function that calls this method, \
                    and annotate that";

impl Function {
    /// Reads an item up to its body. `None` where the item is no function.
    pub(crate) fn parse(item: TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut trees: Vec<TokenTree> = item.into_iter().collect();
        let body = trees.pop();
        let attributes = Attributes::split_off(&mut trees);
        let Some(signature) = Signature::find(&trees) else {
            errors.at(trees.first().or(body.as_ref()).map_or_else(Span::call_site, TokenTree::span), NO_FUNCTION);
            return None;
        };
        let ident = signature.ident;
        if !body.is_some_and(|body| is_body(&body)) {
            errors.at(ident.span(), format!("`{ident}` has no body here: annotate the function that does the work"));
        }
        if let Some(span) = attributes.repeated {
            let message =
                format!("`{ident}` is annotated twice: keep one `#[profile_job]`; `params` makes several cases");
            errors.at(span, message);
        }
        let is_async = check_qualifiers(signature.qualifiers, errors);
        check_generics(signature.generics, ident, errors);
        let parameters = check_parameters(signature.parameters.stream(), errors);
        let (returns, is_future) = check_output(signature.output, errors);
        Some(Self {
            ident: ident.clone(),
            parameters,
            awaited: is_async || is_future,
            returns,
            deprecated: attributes.deprecated,
        })
    }
}

impl Parameter {
    /// How a message calls it: by its name where it has one, or else by its pattern.
    pub(crate) fn label(&self) -> String {
        let colon = self.0.iter().position(is_single_colon()).unwrap_or(self.0.len());
        match &self.0[..colon] {
            [.., TokenTree::Ident(name)] => name.to_string(),
            pattern => pattern.iter().cloned().collect::<TokenStream>().to_string(),
        }
    }

    pub(crate) fn tokens(&self) -> TokenStream {
        self.0.iter().cloned().collect()
    }
}

/// What matters of the attributes below ours.
struct Attributes {
    deprecated: bool,
    repeated: Option<Span>,
}

impl Attributes {
    /// Takes `#[…]` off the front of an item.
    fn split_off(trees: &mut Vec<TokenTree>) -> Self {
        let mut attributes = Self { deprecated: false, repeated: None };
        let mut length = 0;
        while let [TokenTree::Punct(_), TokenTree::Group(group), ..] = &trees[length..] {
            let path = group.stream().into_iter().map_while(|tree| match tree {
                TokenTree::Ident(ident) => Some(Some(ident)),
                TokenTree::Punct(punct) if punct.as_char() == ':' => Some(None),
                _ => None,
            });
            match path.flatten().last() {
                Some(last) if last == "deprecated" => attributes.deprecated = true,
                Some(last) if last == "profile_job" => attributes.repeated = Some(last.span()),
                _ => {}
            }
            length += 2;
        }
        trees.drain(..length);
        attributes
    }
}

/// The parts of `pub async fn name<'a>(x: &'a str) -> u64 where …`.
pub(crate) struct Signature<'a> {
    pub(crate) qualifiers: &'a [TokenTree],
    pub(crate) ident: &'a Ident,
    generics: &'a [TokenTree],
    parameters: &'a Group,
    pub(crate) output: &'a [TokenTree],
}

impl<'a> Signature<'a> {
    /// `fn` with a name after it is nowhere but in a function.
    pub(crate) fn find(trees: &'a [TokenTree]) -> Option<Self> {
        let position = trees.iter().position(|tree| is_word(tree, "fn"))?;
        let (qualifiers, [_, TokenTree::Ident(ident), rest @ ..]) = trees.split_at(position) else { return None };
        let mut depth = Depth::default();
        let (end, parameters) = rest.iter().enumerate().find_map(|(index, tree)| match tree {
            TokenTree::Group(group) if depth.is_outside() && group.delimiter() == Delimiter::Parenthesis => {
                Some((index, group))
            }
            tree => {
                depth.pass(tree);
                None
            }
        })?;
        let output = match &rest[end + 1..] {
            [TokenTree::Punct(_), TokenTree::Punct(_), output @ ..] => output,
            _ => &[],
        };
        let output = &output[..output.iter().position(|tree| is_word(tree, "where")).unwrap_or(output.len())];
        Some(Self { qualifiers, ident, generics: &rest[..end], parameters, output })
    }
}

/// How many `<…>` are open.
#[derive(Default)]
struct Depth {
    angles: usize,
    after_minus: bool,
}

impl Depth {
    fn is_outside(&self) -> bool {
        self.angles == 0
    }

    fn pass(&mut self, tree: &TokenTree) {
        let TokenTree::Punct(punct) = tree else { return };
        match punct.as_char() {
            '<' => self.angles += 1,
            '>' if !self.after_minus => self.angles = self.angles.saturating_sub(1),
            _ => {}
        }
        self.after_minus = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
    }
}

/// Splits at the commas outside of `<…>`.
fn split(trees: impl IntoIterator<Item = TokenTree>) -> Vec<Vec<TokenTree>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut depth = Depth::default();
    for tree in trees {
        depth.pass(&tree);
        if depth.is_outside() && is_punct(&tree, ',') {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(tree);
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

pub(crate) fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Finds the `:` of `pattern: Type`, which is not one of `::`.
fn is_single_colon() -> impl FnMut(&TokenTree) -> bool {
    let mut in_path = false;
    move |tree| {
        let TokenTree::Punct(punct) = tree else { return false };
        let second = std::mem::replace(&mut in_path, false);
        in_path = !second && punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
        punct.as_char() == ':' && !second && !in_path
    }
}

/// `{ … }`, or a `$body:block` of `macro_rules`.
pub(crate) fn is_body(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if matches!(group.delimiter(), Delimiter::Brace | Delimiter::None))
}

/// Whether the function is async.
fn check_qualifiers(qualifiers: &[TokenTree], errors: &mut Errors) -> bool {
    let mut is_async = false;
    for qualifier in qualifiers {
        let TokenTree::Ident(ident) = qualifier else { continue };
        let message = match ident.to_string().as_str() {
            "const" => "a `const` function can't be profiled: remove `const`, or annotate a caller of it",
            "unsafe" => "an `unsafe` function can't be profiled: annotate a safe function that calls it",
            "extern" => "an `extern` function can't be profiled: annotate a Rust function that calls it",
            "async" => {
                is_async = true;
                continue;
            }
            _ => continue,
        };
        errors.at(ident.span(), message);
    }
    is_async
}

/// Lifetimes alone can be inferred.
fn check_generics(generics: &[TokenTree], function: &Ident, errors: &mut Errors) {
    let [_, inner @ .., _] = generics else { return };
    for parameter in split(inner.iter().cloned()) {
        let ident = match parameter.as_slice() {
            [TokenTree::Ident(keyword), TokenTree::Ident(ident), ..] if keyword == "const" => ident,
            [TokenTree::Ident(ident), ..] => ident,
            _ => continue,
        };
        let message = format!(
            "a generic function can't be profiled, since nothing says what `{ident}` is: annotate a function with \
             concrete types that calls `{function}`"
        );
        errors.at(ident.span(), message);
    }
}

/// A macro can't see an `impl` block around the function, only what gives it away.
fn check_parameters(tokens: TokenStream, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters = split(tokens);
    for parameter in &mut parameters {
        while let [TokenTree::Punct(hash), TokenTree::Group(_), ..] = parameter.as_slice()
            && hash.as_char() == '#'
        {
            parameter.drain(..2);
        }
    }
    if let Some(receiver) = parameters.first().and_then(|first| receiver(first)) {
        errors.at(receiver.span(), FREE);
        parameters.remove(0);
    } else {
        check_types(parameters.iter().flatten().cloned(), errors);
    }
    if let Some(last) =
        parameters.pop_if(|last| last.len() > 2 && last[last.len() - 3..].iter().all(|dot| is_punct(dot, '.')))
    {
        let tokens: TokenStream = last.into_iter().collect();
        errors.over(tokens, "a variadic function can't be profiled: annotate one with fixed parameters");
    }
    parameters.into_iter().map(Parameter).collect()
}

/// The `self` of `self`, `mut self`, `&'a mut self` and `self: Box<Self>`.
fn receiver(parameter: &[TokenTree]) -> Option<&Ident> {
    let colon = parameter.iter().position(is_single_colon()).unwrap_or(parameter.len());
    match &parameter[..colon] {
        [.., TokenTree::Ident(last)] if last == "self" => Some(last),
        _ => None,
    }
}

/// `Self` and `impl Trait`.
fn check_types(trees: impl Iterator<Item = TokenTree>, errors: &mut Errors) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) => check_types(group.stream().into_iter(), errors),
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "Self" => errors.at(ident.span(), FREE),
                "impl" => errors.at(ident.span(), "`impl Trait` makes the function generic: write a concrete type"),
                _ => {}
            },
            _ => {}
        }
    }
}

const PLAIN: [&str; 19] = [
    "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "String", "Vec", "Option",
];

/// What the function returns, and whether that is a future.
fn check_output(output: &[TokenTree], errors: &mut Errors) -> (Returns, bool) {
    match output {
        [] => return (Returns::Nothing, false),
        [TokenTree::Ident(name)] if is_plain(name) => return (Returns::Value, false),
        [TokenTree::Group(group)] if group.stream().is_empty() => return (Returns::Nothing, false),
        [never] if is_punct(never, '!') => {
            errors.at(never.span(), "this function never returns, so no execution of it ends: let it return `()`");
            return (Returns::Nothing, false);
        }
        _ => {}
    }
    if let Some(ident) = find(output.iter().cloned(), "Self") {
        errors.at(ident.span(), FREE);
    }
    match output {
        [TokenTree::Ident(name), next, ..] if is_plain(name) && is_punct(next, '<') => (Returns::Value, false),
        _ => {
            let ty = syn::parse2(output.iter().cloned().collect());
            (Returns::PerhapsResult, ty.is_ok_and(|ty| is_future(&ty)))
        }
    }
}

fn is_plain(name: &Ident) -> bool {
    PLAIN.contains(&name.to_string().as_str())
}

pub(crate) fn find(trees: impl IntoIterator<Item = TokenTree>, word: &str) -> Option<Ident> {
    trees.into_iter().find_map(|tree| match tree {
        TokenTree::Ident(ident) => (ident == word).then_some(ident),
        TokenTree::Group(group) => find(group.stream(), word),
        _ => None,
    })
}

/// `impl Future`, `BoxFuture`, `Pin<Box<dyn Future>>` and the like.
pub(crate) fn is_future(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(ty) => ty.bounds.iter().any(is_future_bound),
        Type::TraitObject(ty) => ty.bounds.iter().any(is_future_bound),
        Type::Paren(ty) => is_future(&ty.elem),
        Type::Group(ty) => is_future(&ty.elem),
        Type::Path(ty) => ty.path.segments.last().is_some_and(|last| match last.ident.to_string().as_str() {
            "BoxFuture" | "LocalBoxFuture" => true,
            "Pin" | "Box" => type_arguments(last).any(is_future),
            _ => false,
        }),
        _ => false,
    }
}

fn is_future_bound(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    bound.path.segments.last().is_some_and(|last| last.ident == "Future" || last.ident == "IntoFuture")
}

fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
