//! What of the attribute is code that runs beside the job, and may leave something behind that isn't the job's.

use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, Token, UnOp};

use crate::arguments::{Arguments, mentions};

/// The code around a job's own execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Around {
    /// Before the first execution.
    pub(crate) fixture: bool,
    /// Before each.
    pub(crate) before: bool,
    /// After each.
    pub(crate) after: bool,
}

impl Around {
    pub(crate) fn of(arguments: &Arguments, args: &[Expr]) -> Self {
        let setup = arguments.setup.iter().map(|binding| &binding.value);
        Self {
            fixture: !arguments.fixture.is_empty(),
            before: !setup.chain(args).all(is_inert),
            after: arguments.verify.is_some() || arguments.teardown.is_some(),
        }
    }
}

/// Whether a call may change what it is lent: `mut` stands somewhere in what makes its inputs.
pub(crate) fn changes_inputs(arguments: &Arguments, args: &[Expr]) -> bool {
    let setup = &arguments.setup;
    setup.iter().any(|binding| binding.mutability.is_some())
        || setup.iter().map(|binding| &binding.value).chain(args).any(|value| mentions(value.to_token_stream(), "mut"))
}

/// Whether an expression calls nothing: literals, names, and what is put together from them.
fn is_inert(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(_) | Expr::Path(_) | Expr::Closure(_) => true,
        Expr::Reference(reference) => is_inert(&reference.expr),
        Expr::Paren(paren) => is_inert(&paren.expr),
        Expr::Group(group) => is_inert(&group.expr),
        Expr::Cast(cast) => is_inert(&cast.expr),
        // `*CONFIG` may make what it leads to.
        Expr::Unary(unary) => !matches!(unary.op, UnOp::Deref(_)) && is_inert(&unary.expr),
        Expr::Binary(binary) => is_inert(&binary.left) && is_inert(&binary.right),
        Expr::Field(field) => is_inert(&field.base),
        Expr::Tuple(tuple) => tuple.elems.iter().all(is_inert),
        Expr::Array(array) => array.elems.iter().all(is_inert),
        Expr::Repeat(repeat) => is_inert(&repeat.expr),
        Expr::Range(range) => range.start.iter().chain(&range.end).all(|end| is_inert(end)),
        Expr::Struct(literal) => {
            literal.fields.iter().map(|field| &field.expr).chain(literal.rest.as_deref()).all(is_inert)
        }
        Expr::Call(call) => is_constructor(&call.func) && call.args.iter().all(is_inert),
        _ => false,
    }
}

/// Whether an expression leaves nothing behind but its value: what calls nothing, and what the standard library makes
/// of that. A function of the user's may have a cache.
pub(crate) fn keeps_nothing(expression: &Expr) -> bool {
    const COPIES: [&str; 4] = ["clone", "to_owned", "to_string", "to_vec"];
    match expression {
        Expr::Macro(call) => {
            call.mac.path.is_ident("vec") && {
                let elements = Punctuated::<Expr, Token![,]>::parse_terminated;
                let repeated = |input: ParseStream<'_>| {
                    let element: Expr = input.parse()?;
                    input.parse::<Token![;]>()?;
                    Ok((element, input.parse::<Expr>()?))
                };
                let tokens = || call.mac.tokens.clone();
                elements.parse2(tokens()).is_ok_and(|elements| elements.iter().all(keeps_nothing))
                    || repeated.parse2(tokens()).is_ok_and(|(one, count)| keeps_nothing(&one) && keeps_nothing(&count))
            }
        }
        Expr::MethodCall(call) => {
            COPIES.iter().any(|name| call.method == name) && call.args.is_empty() && keeps_nothing(&call.receiver)
        }
        Expr::Call(call) => is_of_std(&call.func) && call.args.iter().all(keeps_nothing),
        Expr::Reference(reference) => keeps_nothing(&reference.expr),
        Expr::Paren(paren) => keeps_nothing(&paren.expr),
        Expr::Group(group) => keeps_nothing(&group.expr),
        other => is_inert(other),
    }
}

/// Whether it is what everybody calls to put something on the heap, or a constructor.
fn is_of_std(function: &Expr) -> bool {
    const MAKERS: [(&str, &str); 7] = [
        ("String", "from"),
        ("String", "new"),
        ("Vec", "from"),
        ("Vec", "new"),
        ("Vec", "with_capacity"),
        ("Box", "new"),
        ("Arc", "new"),
    ];
    let Expr::Path(path) = function else { return false };
    let mut segments = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let (last, of) = (segments.next(), segments.next());
    let is_maker = |(kind, name): &(&str, &str)| last.as_deref() == Some(*name) && of.as_deref() == Some(*kind);
    is_constructor(function) || MAKERS.iter().any(is_maker)
}

/// Whether it is a tuple struct or a variant, by the way its name is written.
fn is_constructor(function: &Expr) -> bool {
    let Expr::Path(path) = function else { return false };
    let last = path.path.segments.last().map(|segment| segment.ident.to_string());
    last.is_some_and(|name| name.starts_with(|first: char| first.is_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_library_makes_is_nothing_but_its_value() {
        for text in ["1", "vec![1, 2]", "vec![0; 9]", "\"x\".to_owned()", "&String::from(\"x\")", "Box::new(vec![n])"] {
            assert!(keeps_nothing(&syn::parse_str(text).expect(text)), "{text}");
        }
        for text in ["f()", "vec![f()]", "a.f().clone()", "Cache::new()", "Box::new(f())", "x.len()", "m!(1)"] {
            assert!(!keeps_nothing(&syn::parse_str(text).expect(text)), "{text}");
        }
    }

    #[test]
    fn what_calls_nothing_leaves_nothing() {
        for text in [
            "1",
            "-1",
            "\"x\"",
            "n",
            "a::B",
            "&x",
            "&mut x",
            "(1, n)",
            "[1, 2]",
            "[0; 8]",
            "n as u8 + 1",
            "(n)",
            "x.y.0",
            "TangleArg((12,))",
            "Some(a::Thing { x: 1, ..base })",
            "0..n",
            "|x| f(x)",
        ] {
            assert!(is_inert(&syn::parse_str(text).expect(text)), "{text}");
        }
        for text in ["f()", "x.len()", "vec![1]", "&f()", "Some(f())", "*CONFIG", "a::new(1)", "{ 1 }", "S { x: f() }"]
        {
            assert!(!is_inert(&syn::parse_str(text).expect(text)), "{text}");
        }
    }
}
