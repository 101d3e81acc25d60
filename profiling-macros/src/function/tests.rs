use proc_macro2::TokenStream;

use super::{Function, Returns};
use crate::errors::Errors;

fn parse(item: &str) -> (Option<Function>, Vec<String>) {
    let mut errors = Errors::default();
    let function = Function::parse(item.parse::<TokenStream>().expect(item), &mut errors);
    (function, errors.messages())
}

fn function(item: &str) -> Function {
    match parse(item) {
        (Some(function), errors) if errors.is_empty() => function,
        (_, errors) => panic!("{item}: {errors:?}"),
    }
}

fn labels(item: &str) -> Vec<String> {
    function(item).parameters.iter().map(|parameter| parameter.label().replace(' ', "")).collect()
}

#[test]
fn parameters_are_told_apart() {
    assert!(labels("fn f() {}").is_empty());
    assert_eq!(labels("fn f(x: u64) {}"), ["x"]);
    assert_eq!(labels("fn f(x: HashMap<u8, Vec<u8>>, mut y: (u8, u8),) {}"), ["x", "y"]);
    assert_eq!(labels("fn f(x: fn(u8) -> HashMap<u8, u8>, y: u8) {}"), ["x", "y"]);
    assert_eq!(labels("fn f(x: <u8 as Into<u8>>::T, y: Box<dyn Fn(u8, u8) -> u8>) {}"), ["x", "y"]);
    assert_eq!(labels("fn f(#[cfg(all())] x: u8, #[a] #[b] y: u8) {}"), ["x", "y"]);
    assert_eq!(labels("fn f(Arg((x,)): Arg<(u8,)>, a::B { c: d }: a::B, _: u8) {}"), ["Arg((x,))", "a::B{c:d}", "_"]);
    assert_eq!(labels("fn f(self::Arg(x): self::Arg, &y: &u8) {}"), ["self::Arg(x)", "y"]);
    assert_eq!(labels("fn f<'a, 'b: 'a>(x: &'a u8, y: &'b u8) -> &'a u8 where 'b: 'a, u8: Fn(u8) {}"), ["x", "y"]);
}

#[test]
fn what_is_returned_decides_whether_it_is_judged_and_awaited() {
    for (output, returns, awaited) in [
        ("", Returns::Nothing, false),
        ("-> ()", Returns::Nothing, false),
        ("-> u64", Returns::Value, false),
        ("-> Vec<Result<u8, u8>>", Returns::Value, false),
        ("-> Result<u8, u8>", Returns::PerhapsResult, false),
        ("-> io::Result<()> where u8: Copy", Returns::PerhapsResult, false),
        ("-> Alias", Returns::PerhapsResult, false),
        ("-> (u8, u8)", Returns::PerhapsResult, false),
        ("-> impl Iterator<Item = u8>", Returns::PerhapsResult, false),
        ("-> Box<dyn Fn(u8) -> u8>", Returns::PerhapsResult, false),
        ("-> impl Future<Output = u8>", Returns::PerhapsResult, true),
        ("-> (impl std::future::Future<Output = u8> + Send + 'static)", Returns::PerhapsResult, true),
        ("-> impl Send + IntoFuture", Returns::PerhapsResult, true),
        ("-> futures::future::BoxFuture<'static, u8>", Returns::PerhapsResult, true),
        ("-> LocalBoxFuture<'_, u8>", Returns::PerhapsResult, true),
        ("-> Pin<Box<dyn Future<Output = u8> + Send>>", Returns::PerhapsResult, true),
        ("-> std::pin::Pin<std::boxed::Box<impl Future>>", Returns::PerhapsResult, true),
    ] {
        let function = function(&format!("pub fn f() {output} {{}}"));
        assert!(function.returns == returns, "{output}");
        assert_eq!(function.awaited, awaited, "{output}");
    }
    assert!(function("async fn f() -> u8 {}").awaited);
    assert!(function("pub(in a::b) async fn f() {}").awaited);
}

#[test]
fn attributes_are_looked_at_and_left() {
    assert!(!function("/// Documented.\n#[inline] fn f() {}").deprecated);
    assert!(function("#[inline] #[deprecated(note = \"old\")] fn f() {}").deprecated);
    let (_, errors) = parse("#[must_use] #[profiling_core::profile_job(id = 1)] fn f() {}");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("annotated twice"), "{errors:?}");
}

#[test]
fn what_cannot_be_called_is_refused() {
    for (item, reason) in [
        ("fn f(&self) {}", "impl"),
        ("fn f(&'a mut self, x: Self) {}", "impl"),
        ("fn f(mut self) {}", "impl"),
        ("fn f(self: &Self) {}", "impl"),
        ("fn f(x: (u8, Self)) {}", "impl"),
        ("fn f() -> Vec<Self> {}", "impl"),
        ("fn f<T>() {}", "generic"),
        ("fn f<'a, const N: usize>() {}", "generic"),
        ("fn f(x: &(impl Copy)) {}", "impl Trait"),
        ("const fn f() {}", "const"),
        ("unsafe fn f() {}", "unsafe"),
        ("extern fn f() {}", "extern"),
        ("fn f(x: u8, ...) {}", "variadic"),
        ("fn f(args: ...) {}", "variadic"),
        ("fn f() -> ! {}", "never returns"),
        ("fn f();", "no body"),
        ("struct F { f: fn() }", "stands on a function"),
        ("const F: fn() = f;", "stands on a function"),
        ("mod f {}", "stands on a function"),
        ("", "stands on a function"),
    ] {
        let (_, errors) = parse(item);
        assert_eq!(errors.len(), 1, "{item}: {errors:?}");
        assert!(errors[0].contains(reason), "{item}: {errors:?}");
    }
}

#[test]
fn every_mistake_is_reported() {
    let (_, errors) = parse("const unsafe fn f<T, U>(x: impl Copy) -> !;");
    assert_eq!(errors.len(), 7, "{errors:?}");
}
