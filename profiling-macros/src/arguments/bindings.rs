//! `fixture(a = …)` and `setup(b = …, mut c = …)`: names with their values.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Error, Expr, Result, Token};

use super::{Arguments, Value, each_item, is_next_equals};
use crate::errors::Errors;

/// The name that no argument can give, since the execution's number has it.
pub(super) const RUN: &str = "run";

/// `a = expr` or, of `setup`, `mut a = expr`.
pub(crate) struct Binding {
    pub(crate) mutability: Option<Token![mut]>,
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Value<'_> {
    pub(super) fn setup(&self, errors: &mut Errors) -> Result<Vec<Binding>> {
        self.bindings(errors, |_| Ok(()))
    }

    pub(super) fn fixture(&self, errors: &mut Errors) -> Result<Vec<Binding>> {
        let mistakes = errors.count();
        let bindings = self.bindings(errors, |binding| match &binding.mutability {
            Some(token) => Err(Error::new(
                token.span,
                "a fixture is the same for every execution, and none may find it changed: remove `mut`, and change \
                 what a `Mutex` or a `Cell` holds if you have to",
            )),
            None => Ok(()),
        })?;
        if bindings.is_empty() && errors.count() == mistakes {
            return Err(self.mistake(self.name.span(), "`fixture` makes at least one value"));
        }
        Ok(bindings)
    }

    fn bindings(&self, errors: &mut Errors, check: impl Fn(&Binding) -> Result<()>) -> Result<Vec<Binding>> {
        let content = self.parenthesized()?;
        let mut bindings = Vec::new();
        each_item(&content, errors, |input, _| {
            let binding = self.binding(input)?;
            check(&binding)?;
            bindings.push(binding);
            Ok(())
        });
        Ok(bindings)
    }

    fn binding(&self, input: ParseStream<'_>) -> Result<Binding> {
        let mutability = input.parse()?;
        let span = input.span();
        let mistake = || self.mistake(span, &format!("`{}` has names with their values", self.name));
        let name: Ident = input.parse().map_err(|_| mistake())?;
        if !is_next_equals(input) {
            return Err(mistake());
        }
        input.parse::<Token![=]>()?;
        Ok(Binding { mutability, name, value: input.parse()? })
    }
}

impl Arguments {
    /// The names of `params`, `fixture` and `setup` can all be seen by the same expressions.
    pub(super) fn check_names(&self, errors: &mut Errors) {
        let params = self.params.list.iter().map(|param| &param.name);
        let bindings = self.fixture.iter().chain(&self.setup).map(|binding| &binding.name);
        let mut names: Vec<&Ident> = Vec::new();
        for name in params.chain(bindings) {
            if name == RUN {
                errors.at(name.span(), "`run` is the execution's number: choose another name");
            } else if names.contains(&name) {
                errors.at(
                    name.span(),
                    format!("`{name}` is taken by `params`, `fixture` or an earlier `setup`: choose another name"),
                );
            }
            names.push(name);
        }
    }
}
