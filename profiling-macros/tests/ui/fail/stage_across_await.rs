use profiling_core::stage;

fn spawn(_: impl Future + Send) {}

fn main() {
    spawn(async {
        let _stage = stage!("held");
        std::future::ready(()).await;
    });
}
