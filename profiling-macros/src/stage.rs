//! `#[profile_stage]`: puts a function's body into a stage, and changes nothing else of it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{LitStr, Path, Result, Token};

use crate::errors::Errors;
use crate::expand::unraw;
use crate::function::{Signature, find, is_body, is_future, is_word};

const NO_FUNCTION: &str = "`#[profile_stage]` stands on a function, and this is none: write it above a `fn`";
const ARGUMENTS: &str = "the arguments are the stage's name and `crate`: write `#[profile_stage(\"merge\")]` or \
                         `#[profile_stage(\"merge\", crate = path::to::profiling_core)]`";

/// What the attribute says.
#[derive(Default)]
struct Arguments {
    name: Option<LitStr>,
    krate: Option<Path>,
}

impl Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            arguments.argument(input)?;
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                return Err(input.error("a comma separates arguments: add one before this"));
            }
        }
        Ok(arguments)
    }

    fn argument(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(syn::LitStr) {
            let name: LitStr = input.parse()?;
            if self.name.is_some() {
                return Err(syn::Error::new(name.span(), "a stage has one name: keep one"));
            }
            if name.value().is_empty() {
                return Err(syn::Error::new(name.span(), "a stage's name is not empty"));
            }
            self.name = Some(name);
            return Ok(());
        }
        let error = input.error(ARGUMENTS);
        match input.call(Ident::parse_any) {
            Ok(word) if word == "crate" && input.peek(Token![=]) => {
                input.parse::<Token![=]>()?;
                let mistake = input.error("`crate` is the path of profiling-core, without quotes");
                self.krate = Some(input.call(Path::parse_mod_style).map_err(|_| mistake)?);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Expands the attribute on `item`, which is emitted even where it has mistakes.
pub(crate) fn profile_stage(attribute: TokenStream, item: TokenStream, record: bool) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = errors.keep(Arguments::parse.parse2(attribute));
    let trees: Vec<TokenTree> = item.clone().into_iter().collect();
    let function = Function::find(&trees, &mut errors);
    let mut output = item;
    match (errors.into_compile_errors(), arguments, function) {
        (None, Some(arguments), Some(function)) if record => output = function.expand(&arguments),
        (errors, ..) => output.extend(errors),
    }
    output
}

/// A function: what is before its body, and its body.
struct Function<'a> {
    head: &'a [TokenTree],
    signature: Signature<'a>,
    body: &'a Group,
    is_async: bool,
}

impl<'a> Function<'a> {
    fn find(trees: &'a [TokenTree], errors: &mut Errors) -> Option<Self> {
        let found = trees.split_last().and_then(|(body, head)| Some((body, head, Signature::find(head)?)));
        let Some((body, head, signature)) = found else {
            errors.at(trees.first().map_or_else(Span::call_site, TokenTree::span), NO_FUNCTION);
            return None;
        };
        let name = signature.ident;
        let body = match body {
            TokenTree::Group(group) if is_body(body) => group,
            _ => {
                errors.at(name.span(), format!("`{name}` has no body here: annotate the function that does the work"));
                return None;
            }
        };
        if let Some(word) = signature.qualifiers.iter().find(|tree| is_word(tree, "const")) {
            errors.at(word.span(), "a `const` function can't be a stage: remove `const`, or annotate a caller of it");
        }
        let is_async = signature.qualifiers.iter().any(|tree| is_word(tree, "async"));
        let function = Self { head, signature, body, is_async };
        function.check_output(errors);
        Some(function)
    }

    /// The future that a function returns does its work after the function has ended.
    fn check_output(&self, errors: &mut Errors) {
        let output = self.output();
        if self.is_async || !syn::parse2(output.clone()).is_ok_and(|ty| is_future(&ty)) {
            return;
        }
        let name = self.signature.ident;
        let message = format!(
            "`{name}` returns a future, and would be left before that does its work: make `{name}` an `async fn`, or \
             return `stage!(\"…\", future)`"
        );
        errors.over(output, message);
    }

    fn output(&self) -> TokenStream {
        self.signature.output.iter().cloned().collect()
    }

    fn expand(&self, arguments: &Arguments) -> TokenStream {
        let span = Span::mixed_site();
        let krate = arguments.krate.as_ref().map(ToTokens::to_token_stream);
        let krate = krate.unwrap_or_else(|| quote_spanned!(span=> ::profiling_core));
        let name = arguments.name.as_ref().map_or_else(|| unraw(self.signature.ident), LitStr::value);
        let statements = statements(self.body);
        let inside = if self.is_async {
            let typed = self.typed(span);
            quote_spanned!(span=> #krate::stage!(#name).instrument(async move { #typed #statements }).await)
        } else {
            quote_spanned!(span=> let __stage = #krate::stage!(#name); #statements)
        };
        let mut body = Group::new(Delimiter::Brace, inside);
        body.set_span(self.body.span());
        self.head.iter().cloned().chain([TokenTree::Group(body)]).collect()
    }

    /// Says what the body returns: in an async block, `?` has nothing else to infer it from.
    fn typed(&self, span: Span) -> TokenStream {
        let output = self.signature.output;
        let never = matches!(output, [TokenTree::Punct(punct)] if punct.as_char() == '!');
        if output.is_empty() || never || find(output.iter().cloned(), "impl").is_some() {
            return TokenStream::new();
        }
        let output = self.output();
        quote_spanned! {span=>
            #[allow(
                unreachable_code,
                clippy::diverging_sub_expression,
                clippy::empty_loop,
                clippy::let_unit_value,
                clippy::needless_return
            )]
            if false {
                let __output: #output = loop {};
                return __output;
            }
        }
    }
}

/// What stands in the braces; a `$body:block` of `macro_rules` has them within a group of its own.
fn statements(body: &Group) -> TokenStream {
    let mut inside = body.stream().into_iter();
    match (body.delimiter(), inside.next(), inside.next()) {
        (Delimiter::None, Some(TokenTree::Group(block)), None) => block.stream(),
        _ => body.stream(),
    }
}
