//! Writes `blueprint.json`, with the profiles of the last `cargo test --features profiling` in it.

use profiling_core::embed::{Embed, EmbedError};
use serde_json::{Value, json};

fn main() -> Result<(), EmbedError> {
    let blueprint = json!({
        "name": env!("CARGO_PKG_NAME"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "version": env!("CARGO_PKG_VERSION"),
        "manager": { "Evm": "SquaringBlueprint" },
        "master_revision": "Latest",
        "jobs": [
            job(0, "square", "Squares a number", 1, "local"),
            job(1, "verified_square", "Squares a number; two operators have to agree", 2, "local"),
            job(2, "consensus_square", "Squares a number; three operators have to agree", 3, "local"),
            job(3, "square_faas", "Squares a number, serverless", 1, "faas"),
            job(4, "verified_square_faas", "Squares a number, serverless; two operators have to agree", 2, "faas"),
        ],
    });
    Embed::from_env()?.write_blueprint("blueprint.json", blueprint)
}

fn job(index: u32, name: &str, description: &str, required_results: u32, execution: &str) -> Value {
    json!({
        "name": name,
        "job_index": index,
        "description": description,
        "inputs": ["uint64"],
        "outputs": ["uint64"],
        "required_results": required_results,
        "execution": execution,
    })
}
