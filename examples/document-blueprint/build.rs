//! Embeds the profiles of the last `cargo test --features profiling` into `blueprint.json`.

fn main() -> Result<(), profiling_core::embed::EmbedError> {
    profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
}
