//! Every documented key is known, nothing else is, and bounds hold.

use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(config.data, PathBuf::from("./syncline-data"));
    assert_eq!(config.public_url(), "http://127.0.0.1:7070");
    assert_eq!(config.body_bytes_max(), 8 << 20);
    assert_eq!(config.limits.guest_identities_per_second, 25);
    assert_eq!(config.engine.segment_bytes, 67_108_864);
}

#[test]
fn every_documented_key_is_known() {
    let config = parse(
        r#"
        listen = "127.0.0.1:7171"
        data = "/var/lib/syncline"
        public_url = "https://sync.example/"
        region = "eu-central-1"
        regions = ["eu-central-1", "eu-west-1"]
        account_id = "123456789012"

        [limits]
        datasets_per_identity = 30
        records_per_dataset = 2048
        dataset_bytes = 2097152
        identities_per_pool = 7
        pool_bytes = 8
        guest_identities_per_second = 0
        connections = 9
        listeners = 0
        pool_listeners = 10
        requests_per_second_per_identity = 5
        request_burst_per_identity = 6
        requests_per_second_per_key = 7
        request_burst_per_key = 0

        [timeouts]
        header_ms = 1
        body_ms = 2
        idle_ms = 3
        linger_ms = 0
        shutdown_ms = 4

        [engine]
        segment_bytes = 65536
        cache_bytes = 0
        checkpoint_bytes = 1048576
        feed_retention_hours = 2
        feed_retention_bytes = 3
        pin_bytes = 4
        "#,
    )
    .unwrap();
    assert_eq!(config.public_url(), "https://sync.example");
    assert_eq!(config.body_bytes_max(), 16 << 20);
    assert_eq!(config.timeouts.idle(), Duration::from_millis(3));
    assert_eq!(config.engine.pin_bytes, 4);
    assert_eq!(config.engine.feed_retention(), Duration::from_secs(7200));
    config.engine.check().unwrap();
}

#[test]
fn what_is_unknown_or_out_of_bounds_is_refused() {
    for (text, words) in [
        ("lstn = 1", "unknown field `lstn`"),
        ("[limits]\nx = 1", "unknown field `x`"),
        ("[timeouts]\nx = 1", "unknown field `x`"),
        ("[engine]\nx = 1", "unknown field `x`"),
        ("[other]", "unknown field `other`"),
        ("[limits]\npool_bytes = -1", "invalid value"),
        (
            "[limits]\ndatasets_per_identity = 0",
            "between 1 and 10000, not 0",
        ),
        (
            "[limits]\nrecords_per_dataset = 65001",
            "between 1 and 65000",
        ),
        (
            "[limits]\ndataset_bytes = 16777217",
            "between 1 and 16777216",
        ),
        ("[engine]\nsegment_bytes = 65535", "between 65536 and"),
        ("[timeouts]\nidle_ms = 0", "timeouts.idle_ms"),
        ("[timeouts]\nshutdown_ms = 9001", "timeouts.shutdown_ms"),
        ("account_id = \"12\"", "account_id must be 12 digits"),
        ("region = \"a:b\"", "region must be"),
        ("regions = [\"\"]", "region must be"),
        ("public_url = \"sync.example\"", "public_url must begin"),
        (
            "[push.a]\ntype = \"webhook\"\nurl = \"x\"",
            "[push] \"a\": \"x\" must be http://",
        ),
        (
            "[push.a]\ntype = \"fcm\"\nservice_account = \"f\"",
            "type fcm is for the platform GCM",
        ),
        (
            "[push.\"x:app/GCM/a\"]\ntype = \"apns\"\nkey_file = \"f\"\nkey_id = \"1234567890\"\n\
             team_id = \"1234567890\"\ntopic = \"t\"",
            "type apns is for the platforms APNS and APNS_SANDBOX",
        ),
        (
            "[push.\"x:app/APNS/a\"]\ntype = \"apns\"\nkey_file = \"f\"\nkey_id = \"1234567890\"\n\
             team_id = \"short\"\ntopic = \"t\"",
            "team_id must be 10 letters and digits",
        ),
        (
            "[push.\"x:app/APNS/a\"]\ntype = \"apns\"\nkey_file = \"f\"\nkey_id = \"1234567890\"\n\
             team_id = \"1234567890\"\ntopic = \"a b\"",
            "topic must be the app's bundle id",
        ),
        (
            "[push.\"x:app/APNS/a\"]\ntype = \"apns\"\nother = \"f\"",
            "unknown field `other`",
        ),
        ("[functions.a]\nurl = \"x\"", "must be http://"),
        (
            "[streams.a]\ntype = \"http\"\nurl = \"http://u:p@x/y\"\nsecret = \"s\"",
            "url: it must not hold a name or a password",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words), "{text}\n{error}");
    }
}

/// The example with what it only names taken in: a setting behind a `#` has no space after it.
fn whole_example() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = EXAMPLE.lines().map(line).collect();
    lines.join("\n")
}

#[test]
fn the_example_is_the_defaults() {
    let example = parse(EXAMPLE).unwrap();
    assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_example_the_variables_and_the_book_name_every_setting() {
    let text = whole_example();
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(config.streams.len(), 4);
    assert_eq!(config.push.len(), 4);
    assert_eq!(config.functions.len(), 2);
    assert_eq!(config.openid.len(), 2);
    let table: toml::Table = toml::from_str(&text).unwrap();
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                let settings = section.iter().filter(|(_, value)| !value.is_table());
                found.extend(settings.map(|(name, _)| format!("{key}.{name}")));
            }
            _ => found.push(key),
        }
    }
    found.sort_unstable();
    let mut known = environment::SETTINGS.map(|(setting, _)| setting.to_owned());
    known.sort_unstable();
    assert_eq!(found, known);
    let book = include_str!("../../../docs/OPERATIONS.md");
    for setting in known {
        let name = setting.rsplit('.').next().unwrap();
        assert!(book.contains(&format!("`{name}`")), "{setting}");
    }
}

fn layered(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    std::fs::write(&file, text).unwrap();
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let config = Config::layered(Some(&file), variable);
    config.map_err(|error| crate::error::Chain(&error).to_string())
}

#[test]
fn the_environment_goes_before_the_file() {
    let text = "region = \"of-file\"\n[limits]\npool_bytes = 1\nidentities_per_pool = 2";
    let variables = [
        ("SYNCLINE_REGION", "of-environment"),
        ("SYNCLINE_REGIONS", "a-1, b-2,"),
        ("SYNCLINE_LIMITS_POOL_BYTES", "77"),
        ("SYNCLINE_ENGINE_CACHE_BYTES", "5"),
        ("SYNCLINE_LISTEN", "127.0.0.1:9"),
    ];
    let config = layered(text, &variables).unwrap();
    assert_eq!(config.region, "of-environment");
    assert_eq!(config.regions, ["a-1", "b-2"]);
    assert_eq!(config.limits.pool_bytes, 77);
    assert_eq!(config.limits.identities_per_pool, 2);
    assert_eq!(config.engine.cache_bytes, 5);
    assert_eq!(config.listen.port(), 9);
    for (setting, form) in environment::SETTINGS {
        let name = environment::variable_of(setting);
        let value = match (form, setting) {
            (environment::Form::Number, _) => "3",
            (environment::Form::Switch, _) => "true",
            (_, "listen") => "127.0.0.1:3",
            _ => "three",
        };
        layered("", &[(&name, value)]).unwrap();
    }
}

#[test]
fn a_variable_that_is_no_value_is_named() {
    for (name, value, words) in [
        ("SYNCLINE_LISTEN", "here", "SYNCLINE_LISTEN"),
        (
            "SYNCLINE_LIMITS_POOL_BYTES",
            "1e6",
            "must be a whole number, not \"1e6\"",
        ),
        (
            "SYNCLINE_STREAMING_RESUME",
            "yes",
            "must be true or false, not \"yes\"",
        ),
        (
            "SYNCLINE_LIMITS_POOL_BYTES",
            "-1",
            "SYNCLINE_LIMITS_POOL_BYTES",
        ),
    ] {
        let error = layered("", &[(name, value)]).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let names = [
        "SYNCLINE_LISTN",
        "SYNCLINE_DATA",
        "SYNCLINE_SERVICE_HOST",
        "PATH",
    ];
    let found = misspelt(names.into_iter().map(str::to_owned));
    assert_eq!(
        found,
        [("SYNCLINE_LISTN".to_owned(), "SYNCLINE_LISTEN".to_owned())]
    );
}

#[test]
fn what_was_meant_is_offered() {
    for (text, words) in [
        ("lisen = 1", "is not valid: did you mean `listen`?"),
        ("[limits]\npools_bytes = 1", "did you mean `pool_bytes`?"),
        ("pool_bytes = 1", "`pool_bytes` belongs into [limits]"),
        ("[engin]\nx = 1", "did you mean `engine`?"),
        ("[streams.a]\ntype = \"kineses\"", "did you mean `kinesis`?"),
        ("[openid.a]\nisuer = 1", "did you mean `issuer`?"),
        ("[streaming]\nresum = 1", "did you mean `resume`?"),
        ("[stremas.a]\nx = 1", "did you mean `streams`?"),
        ("banana = 1", "is not valid: TOML parse error at line 1"),
    ] {
        let error = layered(text, &[]).unwrap_err();
        assert!(error.contains(words), "{text}\n{error}");
    }
}

#[test]
fn secrets_of_the_file_do_not_show() {
    let config: Config = toml::from_str(&whole_example()).unwrap();
    let shown = format!("{:?}", (&config.streams, &config.push));
    assert!(shown.contains("secret_access_key: Secret"), "{shown}");
    assert!(!shown.contains("\"...\""), "{shown}");
}

#[test]
fn a_burst_is_ten_seconds_unless_it_is_said() {
    let config = parse("[limits]\nrequests_per_second_per_key = 7").unwrap();
    let rate = config.limits.key_rate().unwrap();
    assert_eq!((rate.per_second, rate.burst), (7, 70));
    assert_eq!(config.limits.identity_rate(), None);
    let text = "[limits]\nrequests_per_second_per_identity = 7\nrequest_burst_per_identity = 1";
    let rate = parse(text).unwrap().limits.identity_rate().unwrap();
    assert_eq!((rate.per_second, rate.burst), (7, 1));
}

#[test]
fn apple_has_a_service_for_each_platform() {
    let config: Config = toml::from_str(&whole_example()).unwrap();
    let mut all = config.push.iter();
    let (_, apns) = all
        .find(|(_, push)| matches!(push, PushConfig::Apns(_)))
        .unwrap();
    let url = |platform: &str| apns.url(&format!("arn:aws:sns:r:0:app/{platform}/game"));
    assert_eq!(url("APNS"), "https://api.push.apple.com");
    assert_eq!(url("APNS_SANDBOX"), "https://api.sandbox.push.apple.com");
}

#[test]
fn an_address_of_a_stream_is_refused_with_the_reason_and_without_its_secrets() {
    let http = "[streams.a]\ntype = \"http\"\nsecret = \"s\"\nurl = ";
    let kinesis = "[streams.a]\ntype = \"kinesis\"\nregion = \"r\"\naccess_key_id = \"a\"\n\
                   secret_access_key = \"s\"\nstream_name = \"n\"\nendpoint_url = ";
    for (head, name) in [(http, "url"), (kinesis, "endpoint_url")] {
        parse(&format!("{head}\"https://h:1/hooks\"")).unwrap();
        for (url, why) in [
            (
                "http://u:hidden@h/",
                "it must not hold a name or a password",
            ),
            ("htp://h/hidden", "\"htp://h\" must be http://"),
            ("http:///hidden", "\"http://\" must be http://"),
        ] {
            let error = parse(&format!("{head}\"{url}\"")).unwrap_err();
            assert!(error.contains(&format!("{name}: {why}")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
