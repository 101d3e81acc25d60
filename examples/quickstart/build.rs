fn main() -> Result<(), profiling_core::embed::EmbedError> {
    profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
}
