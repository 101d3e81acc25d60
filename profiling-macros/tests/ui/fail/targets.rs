#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(targets())]
fn nothing() {}

#[profile_job(targets(aws_lambda, "AWS Lambda", ""))]
fn no_ids() {}

#[profile_job(targets("aws-lambda", "gcp-cloud-run", "aws-lambda"))]
fn twice() {}

#[profile_job(targets = "aws-lambda")]
fn no_parentheses() {}

fn main() {}
