//! `m <= n && k != 2`: a comparison over params and literals, evaluated by the macro.

use std::cmp::Ordering;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{BinOp, Error, Expr, ExprBinary, Ident, Lit, Result, UnOp};

use super::params::{Param, Values};
use crate::errors::{closest, list};

const SHAPE: &str = "a constraint compares params and literals, such as `m <= n`";
const ARITHMETIC: &str = "a constraint can have params, integers, strings, `+ - * / %` and comparisons";

/// A condition on the params, and the tokens that it was made of.
pub(super) struct Constraint {
    condition: Condition,
    tokens: TokenStream,
}

enum Condition {
    Integers(Comparison, Arithmetic, Arithmetic),
    Texts(Comparison, Text, Text),
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

#[derive(Clone, Copy)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// What stands on one side of a comparison.
enum Operand {
    Integer(Arithmetic),
    Text(Text),
}

enum Text {
    Literal(String),
    Param(usize),
}

enum Arithmetic {
    Literal(i128),
    Param(usize),
    Negated(Box<Arithmetic>, Span),
    Computed(Box<Arithmetic>, Operator, Box<Arithmetic>, Span),
}

#[derive(Clone, Copy)]
enum Operator {
    Plus,
    Minus,
    Times,
    DividedBy,
    Modulo,
}

impl Constraint {
    pub(super) fn new(expression: &Expr, params: &[Param]) -> Result<Self> {
        Ok(Self { condition: condition(expression, params)?, tokens: expression.to_token_stream() })
    }

    pub(super) fn holds(&self, params: &[Param], levels: &[usize]) -> Result<bool> {
        Case { params, levels }.meets(&self.condition)
    }

    /// A mistake that the constraint as a whole makes.
    pub(super) fn error(&self, message: &str) -> Error {
        Error::new_spanned(&self.tokens, message)
    }
}

fn condition(expression: &Expr, params: &[Param]) -> Result<Condition> {
    match expression {
        Expr::Paren(paren) => condition(&paren.expr, params),
        Expr::Group(group) => condition(&group.expr, params),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
            Ok(Condition::Not(Box::new(condition(&unary.expr, params)?)))
        }
        Expr::Binary(binary) => match binary.op {
            BinOp::And(_) => both(binary, params, Condition::Both),
            BinOp::Or(_) => both(binary, params, Condition::Either),
            _ => comparison(binary, params),
        },
        other => Err(Error::new_spanned(other, SHAPE)),
    }
}

fn both(
    binary: &ExprBinary,
    params: &[Param],
    join: fn(Box<Condition>, Box<Condition>) -> Condition,
) -> Result<Condition> {
    let (left, right) = pair(condition(&binary.left, params), condition(&binary.right, params))?;
    Ok(join(Box::new(left), Box::new(right)))
}

fn comparison(binary: &ExprBinary, params: &[Param]) -> Result<Condition> {
    let comparison = match binary.op {
        BinOp::Lt(_) => Comparison::Less,
        BinOp::Le(_) => Comparison::LessOrEqual,
        BinOp::Gt(_) => Comparison::Greater,
        BinOp::Ge(_) => Comparison::GreaterOrEqual,
        BinOp::Eq(_) => Comparison::Equal,
        BinOp::Ne(_) => Comparison::NotEqual,
        _ => return Err(Error::new_spanned(binary, SHAPE)),
    };
    match pair(operand(&binary.left, params), operand(&binary.right, params))? {
        (Operand::Integer(left), Operand::Integer(right)) => Ok(Condition::Integers(comparison, left, right)),
        (Operand::Text(left), Operand::Text(right)) => Ok(Condition::Texts(comparison, left, right)),
        _ => Err(Error::new_spanned(binary, "this compares an integer with a string")),
    }
}

fn operand(expression: &Expr, params: &[Param]) -> Result<Operand> {
    match expression {
        Expr::Paren(paren) => operand(&paren.expr, params),
        Expr::Group(group) => operand(&group.expr, params),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(integer) => Ok(Operand::Integer(Arithmetic::Literal(integer.base10_parse()?))),
            Lit::Str(text) => Ok(Operand::Text(Text::Literal(text.value()))),
            other => Err(Error::new_spanned(other, ARITHMETIC)),
        },
        Expr::Path(path) => match path.path.get_ident() {
            Some(name) => param(name, params),
            None => Err(Error::new_spanned(path, ARITHMETIC)),
        },
        Expr::Unary(unary) => match unary.op {
            UnOp::Neg(minus) => {
                let negated = arithmetic(&unary.expr, params)?;
                Ok(Operand::Integer(Arithmetic::Negated(Box::new(negated), minus.span)))
            }
            _ => Err(Error::new_spanned(unary, ARITHMETIC)),
        },
        Expr::Binary(binary) => computed(binary, params).map(Operand::Integer),
        other => Err(Error::new_spanned(other, ARITHMETIC)),
    }
}

fn arithmetic(expression: &Expr, params: &[Param]) -> Result<Arithmetic> {
    match operand(expression, params)? {
        Operand::Integer(integer) => Ok(integer),
        Operand::Text(_) => Err(Error::new_spanned(expression, "one can't calculate with a string")),
    }
}

fn computed(binary: &ExprBinary, params: &[Param]) -> Result<Arithmetic> {
    let (operator, span) = match binary.op {
        BinOp::Add(token) => (Operator::Plus, token.span),
        BinOp::Sub(token) => (Operator::Minus, token.span),
        BinOp::Mul(token) => (Operator::Times, token.span),
        BinOp::Div(token) => (Operator::DividedBy, token.span),
        BinOp::Rem(token) => (Operator::Modulo, token.span),
        _ => return Err(Error::new_spanned(binary, ARITHMETIC)),
    };
    let (left, right) = pair(arithmetic(&binary.left, params), arithmetic(&binary.right, params))?;
    Ok(Arithmetic::Computed(Box::new(left), operator, Box::new(right), span))
}

fn param(name: &Ident, params: &[Param]) -> Result<Operand> {
    match params.iter().position(|param| param.name == *name) {
        Some(index) => Ok(match params[index].values {
            Values::Integers(_) => Operand::Integer(Arithmetic::Param(index)),
            Values::Texts(_) => Operand::Text(Text::Param(index)),
        }),
        None => Err(Error::new(name.span(), unknown(name, params))),
    }
}

fn unknown(name: &Ident, params: &[Param]) -> String {
    let names: Vec<String> = params.iter().map(|param| param.name.to_string()).collect();
    let names = || names.iter().map(String::as_str);
    match closest(&name.to_string(), names()) {
        Some(close) => format!("no parameter is named `{name}`; did you mean `{close}`?"),
        None if params.is_empty() => format!("no parameter is named `{name}`: write its values, `{name} = [1, 10]`"),
        None => format!("no parameter is named `{name}`: a constraint can use {}", list(names())),
    }
}

/// Both values, or the mistakes of both.
fn pair<L, R>(left: Result<L>, right: Result<R>) -> Result<(L, R)> {
    match (left, right) {
        (Ok(left), Ok(right)) => Ok((left, right)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(mut error), Err(other)) => {
            error.combine(other);
            Err(error)
        }
    }
}

/// One combination of the params' values.
struct Case<'a> {
    params: &'a [Param],
    levels: &'a [usize],
}

impl Case<'_> {
    fn meets(&self, condition: &Condition) -> Result<bool> {
        Ok(match condition {
            Condition::Integers(comparison, left, right) => {
                comparison.holds(self.integer(left)?.cmp(&self.integer(right)?))
            }
            Condition::Texts(comparison, left, right) => comparison.holds(self.text(left).cmp(&self.text(right))),
            Condition::Both(left, right) => self.meets(left)? && self.meets(right)?,
            Condition::Either(left, right) => self.meets(left)? || self.meets(right)?,
            Condition::Not(condition) => !self.meets(condition)?,
        })
    }

    fn text(&self, text: &Text) -> String {
        match text {
            Text::Literal(text) => text.clone(),
            Text::Param(index) => match &self.params[*index].values {
                Values::Texts(values) => values[self.levels[*index]].value(),
                Values::Integers(_) => unreachable!("`param` made this of a list of strings"),
            },
        }
    }

    fn integer(&self, arithmetic: &Arithmetic) -> Result<i128> {
        match arithmetic {
            Arithmetic::Literal(value) => Ok(*value),
            Arithmetic::Param(index) => match &self.params[*index].values {
                Values::Integers(values) => Ok(values[self.levels[*index]].value),
                Values::Texts(_) => unreachable!("`param` made this of a list of integers"),
            },
            Arithmetic::Negated(inner, span) => {
                let value = self.integer(inner)?;
                value.checked_neg().ok_or_else(|| Error::new(*span, format!("-({value}) doesn't fit 128 bits")))
            }
            Arithmetic::Computed(left, operator, right, span) => {
                let (left, right) = (self.integer(left)?, self.integer(right)?);
                operator.apply(left, right).map_err(|message| Error::new(*span, message))
            }
        }
    }
}

impl Operator {
    fn apply(self, left: i128, right: i128) -> std::result::Result<i128, String> {
        let (symbol, value) = match self {
            Self::DividedBy | Self::Modulo if right == 0 => return Err("this divides by zero".to_owned()),
            Self::Plus => ('+', left.checked_add(right)),
            Self::Minus => ('-', left.checked_sub(right)),
            Self::Times => ('*', left.checked_mul(right)),
            Self::DividedBy => ('/', left.checked_div(right)),
            Self::Modulo => ('%', left.checked_rem(right)),
        };
        value.ok_or_else(|| format!("{left} {symbol} {right} doesn't fit 128 bits"))
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}
