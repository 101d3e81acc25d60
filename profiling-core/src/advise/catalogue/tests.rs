use super::*;

fn error(text: &str) -> String {
    Catalogue::with_user_file(text, "mine.json").expect_err("has a mistake").to_string()
}

/// A file with one platform entry, on its third line and below.
fn faas(entry: &str) -> String {
    format!("{{\n  \"as_of\": \"2026-11-01\",\n  \"faas\": [{entry}]\n}}")
}

#[test]
fn the_builtin_catalogue_is_complete() {
    let catalogue = Catalogue::builtin();
    let ids: Vec<&str> = catalogue.platforms.iter().map(|platform| platform.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "aws-lambda",
            "gcp-cloud-run",
            "gcp-cloud-run-instance",
            "azure-functions-consumption",
            "azure-functions-flex",
            "digitalocean-functions",
            "cloudflare-workers",
            "cloudflare-containers",
            "fly-machines",
        ]
    );
    assert_eq!(catalogue.instance_types.len(), 76);
    for platform in &catalogue.platforms {
        assert!(!platform.confidence.is_empty() && platform.sizes.count() > 0, "{}", platform.id);
        let last = platform.sizes.get(platform.sizes.count() - 1);
        assert!(platform.at(last.memory_mb).is_ok(), "{}", platform.id);
    }
    let marked = catalogue.platform("digitalocean-functions").expect("there");
    assert_eq!(
        marked.confidence,
        "high (limits, 2025 copy); medium (price, minimum); low (rounding step, init billed)"
    );
}

#[test]
fn sizes_are_what_the_platform_offers() {
    let catalogue = Catalogue::builtin();
    let lambda = &catalogue.platform("aws-lambda").expect("there").sizes;
    assert_eq!((lambda.count(), lambda.get(0).memory_mb, lambda.get(10_112).memory_mb), (10_113, 128, 10_240));
    assert!((lambda.get(1769 - 128).vcpu - 1.0).abs() < f64::EPSILON);
    assert!((lambda.get(10_112).vcpu - 10_240.0 / 1769.0).abs() < 1e-3, "the most CPUs that there are");
    let memory = |id: &str| {
        let sizes = &catalogue.platform(id).expect("there").sizes;
        (0..sizes.count()).map(|position| sizes.get(position).memory_mb).collect::<Vec<_>>()
    };
    assert_eq!(memory("azure-functions-flex"), [512, 2048, 4096]);
    assert_eq!(memory("azure-functions-consumption"), [1536]);
    assert_eq!(memory("digitalocean-functions"), [128, 256, 512, 1024]);
    assert_eq!(memory("cloudflare-workers"), [128]);
    assert_eq!(memory("cloudflare-containers"), [256, 1024, 4096, 6144, 8192, 12288]);
    let run = catalogue.platform("gcp-cloud-run").expect("there");
    assert_eq!(run.at(512).map(|limits| limits.cpus), Ok(0.333));
    assert_eq!(run.at(32_768).map(|limits| limits.temporary_bytes), Ok(Some(32 << 30)), "files lie in memory");
    let functions = catalogue.platform("digitalocean-functions").expect("there");
    assert_eq!(functions.at(256).map(|limits| limits.cpus), Ok(UNDOCUMENTED_VCPU));
    let fly = catalogue.platform("fly-machines").expect("there");
    assert_eq!(fly.at(512).map(|limits| limits.cpus), Ok(UNDOCUMENTED_VCPU), "a shared CPU promises nothing");
}

#[test]
fn a_size_gives_what_a_rehearsal_needs() {
    let limits = Catalogue::builtin().platform("aws-lambda").expect("there").at(1769).expect("offered");
    assert_eq!(
        limits,
        SizeLimits {
            cpus: 1.0,
            memory_bytes: 1769 << 20,
            temporary_bytes: Some(10 << 30),
            file_descriptors: Some(1024),
            threads: Some(1024),
            timeout: Some(Duration::from_secs(900)),
        }
    );
}

#[test]
fn a_user_overrides_fields_and_adds_entries() {
    let text = faas(
        r#"
    {"id": "aws-lambda", "price_usd_per_gb_s": 0.00002},
    {"id": "own", "arch": ["x86_64"], "memory_mb_min": 256, "memory_mb_max": 1024, "memory_mb_step": 256,
     "vcpu_per_memory": {"rule": "fixed", "vcpu": 2}, "billing_model": "memory_time",
     "price_usd_per_gb_s": 0.00001, "price_usd_per_request": 0, "timeout_s_max": 60}"#,
    );
    let catalogue = Catalogue::with_user_file(&text, "mine.json").expect("valid");
    let lambda = catalogue.platform("aws-lambda").expect("there");
    assert!(matches!(lambda.billing, Billing::MemoryTime(price) if price.usd_per_gib_s > 0.000_019));
    assert_eq!(lambda.limits.timeout_s, Some(900), "the rest stays");
    assert_eq!(lambda.as_of.to_string(), "2026-11-01");
    let own = catalogue.platform("own").expect("added");
    assert_eq!((own.sizes.count(), own.limits.timeout_s), (4, Some(60)));
    assert_eq!(own.at(512).map(|limits| limits.cpus), Ok(2.0));
    assert_eq!(catalogue.platforms.len(), 10);
    assert_eq!(catalogue.platform("fly-machines"), Catalogue::builtin().platform("fly-machines"));

    let machine =
        r#"{"as_of": "2026-11-01", "vm": [{"provider": "aws", "instance_type": "t3.small", "price_usd_per_hour": 1}]}"#;
    let catalogue = Catalogue::with_user_file(machine, "mine.json").expect("valid");
    let small = catalogue.instance_types.iter().find(|machine| machine.name == "t3.small").expect("there");
    assert_eq!(small.as_of.to_string(), "2026-11-01", "the price is new");
    assert!((small.usd_per_hour - 1.0).abs() < 1e-9 && (small.cpu_fraction - 0.2).abs() < 1e-9);
    assert_eq!(catalogue.instance_types.len(), 76);
}

#[test]
fn mistakes_are_refused_with_file_line_and_field() {
    assert_eq!(
        error(&faas("\n    {\n      \"id\": \"aws-lambda\",\n      \"price_usd_per_gbs\": 1\n    }\n  ")),
        "mine.json:6: `faas[0].price_usd_per_gbs`: unknown field `price_usd_per_gbs`; did you mean `price_usd_per_gb_s`?"
    );
    assert_eq!(
        error(&faas("\n    {\"id\": \"aws-lambda\", \"timeout_max\": 60}\n  ")),
        "mine.json:4: `faas[0].timeout_max`: unknown field `timeout_max`; did you mean `timeout_s_max`?",
        "a unit is missing"
    );
    assert_eq!(
        error(&faas("{\"id\": \"aws-lambda\",\n  \"price_usd_per_request\": -0.5\n}")),
        "mine.json:4: `faas[0].price_usd_per_request`: -0.5 is no price: give USD, 0 or more"
    );
    assert_eq!(
        error(&faas("\n{\"id\": \"a\"},\n{\n\"name\": \"b\",\n\"id\": \"a\"}")),
        "mine.json:7: `faas[1].id`: `a` is there already, as faas[0]"
    );
    assert_eq!(
        error(&faas("\n{\"id\": \"own\", \"arch\": [\"x86_64\"]}")),
        "mine.json:4: `faas[0].vcpu_per_memory`: missing: a new entry has to have it"
    );
    assert_eq!(
        error(&faas("\n{\"id\": \"aws-lambda\",\n\"memory_mb_min\": 20000}")),
        "mine.json:5: `faas[0].memory_mb_min`: 20000 is above `memory_mb_max`, which is 10240"
    );
    let inner = error(&faas(
        "\n{\"id\": \"aws-lambda\",\n\"vcpu_per_memory\": {\"rule\": \"linear\", \"mb_per_vcpu\": 0, \"vcpu_max\": 1}}",
    ));
    assert!(inner.starts_with("mine.json:5: `faas[0].vcpu_per_memory"), "{inner}");
    assert!(inner.contains("0 is no number of CPUs"), "{inner}");
}

#[test]
fn other_mistakes_are_refused_too() {
    assert_eq!(
        error("{\n\"as_of\": \"yesterday\"\n}"),
        "mine.json:2: `as_of`: `yesterday` is no date: write 2026-11-20"
    );
    assert_eq!(error("{\n}"), "mine.json:2: missing field `as_of`");
    assert_eq!(
        error("{\"as_of\": \"2026\",\n \"fass\": []}"),
        "mine.json:2: `fass`: unknown field `fass`; did you mean `faas`?"
    );
    assert!(error("{\"as_of\": \"2026\"").starts_with("mine.json:1: "), "not JSON");
    assert_eq!(error("{\"as_of\": \"2026\"}\n1"), "mine.json:2: text after the end of the catalogue");
    assert!(error("{\"schema\": \"x\", \"as_of\": \"2026\"}").starts_with("mine.json:1: `schema"));
    let machine =
        "{\"as_of\": \"2026\", \"vm\": [\n{\"provider\": \"p\", \"instance_type\": \"t\", \"memory_mb\": 1.5}]}";
    assert!(error(machine).starts_with("mine.json:2: `vm[0].memory_mb`: invalid type"), "{}", error(machine));
    let machine =
        "{\"as_of\": \"2026\", \"vm\": [{\"provider\": \"aws\", \"instance_type\": \"t3.small\",\n\"arch\": \"x64\"}]}";
    assert_eq!(
        error(machine),
        "mine.json:2: `vm[0].arch`: `x64` is none of x86_64, arm64, aarch64, riscv64, powerpc64, s390x, loongarch64"
    );
    assert_eq!(
        error(&faas("{\"id\": \"aws-lamda\",\n\"price_usd_per_request\": 1}")),
        "mine.json:3: `faas[0].arch`: missing: a new entry has to have it. Did you mean the entry `aws-lambda`?"
    );
    assert_eq!(
        error(&faas("{\"id\": \"aws-lambda\",\n\"memory_mb_max\": 4000000000}")),
        "mine.json:3: `faas[0].memory_mb_step`: 1 from 128 to 4000000000 makes more than 100000 sizes: give a larger one"
    );
    let nameless = "{\"as_of\": \"2026\", \"vm\": [{\"provider\": \"p\"}]}";
    assert_eq!(error(nameless), "mine.json:1: `vm[0].instance_type`: missing: every entry needs a `instance_type`");
}

#[test]
fn old_prices_are_named() {
    let day = |text: &str| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).expect("a date");
    let text = r#"{"as_of": "2026-11-20", "faas": []}"#;
    let mut catalogue = Catalogue::with_user_file(text, "mine.json").expect("valid");
    catalogue.instance_types.clear();
    assert_eq!(catalogue.old_prices(day("2027-05-19")), None, "180 days");
    let warning = catalogue.old_prices(day("2027-05-20")).expect("181 days");
    assert!(warning.contains("`aws-lambda` (2026-11-20)") && warning.contains(" and 6 more"), "{warning}");
}

#[test]
fn machines_are_counted_at_what_they_promise() {
    let find = |name: &str| {
        let machine = Catalogue::builtin().instance_types.iter().find(|machine| machine.name == name).expect("there");
        (machine.cpu_fraction, machine.cpu_fraction_is_assumed)
    };
    assert_eq!(find("t3.small"), (0.2, false));
    assert_eq!(find("m7i.large"), (1.0, false));
    assert_eq!(find("s-1vcpu-1gb"), (UNDOCUMENTED_VCPU, true), "burstable, without a baseline");
    assert_eq!(find("cx23"), (UNDOCUMENTED_VCPU, true), "shared, without a baseline");
    assert_eq!(find("ccx13"), (1.0, false));
}
