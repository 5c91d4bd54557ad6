//! AWS's signing test suite: what it signs we accept, with the canonical request and string to
//! sign that it says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use syncline_server::error::ErrorKind;
use syncline_server::sigv4::Expected;

use crate::{Request, lower};

/// 30 August 2015, 12:36:00, when the suite signs.
const SIGNED: u64 = 1_440_938_160;
/// 11 May 2021, 15:40:45, when one case signs.
const SIGNED_LATER: u64 = 1_620_747_645;

const NORMALISED: &str = "signed over a normalised path; we sign paths as sent, always";

/// Cases that are refused on purpose.
const REFUSED: [(&str, &str); 7] = [
    ("get-relative-normalized", NORMALISED),
    ("get-relative-relative-normalized", NORMALISED),
    ("get-slash-dot-slash-normalized", NORMALISED),
    ("get-slash-normalized", NORMALISED),
    ("get-slash-pointless-dot-normalized", NORMALISED),
    ("get-slashes-normalized", NORMALISED),
    (
        "post-sts-header-after",
        "its session token is not signed; we insist",
    ),
];

struct Case {
    directory: PathBuf,
    request: Request,
    secret: Option<String>,
    service: String,
    now: u64,
}

impl Case {
    fn read(directory: PathBuf, name: &str) -> Self {
        let request =
            parse(&fs::read_to_string(directory.join("header-signed-request.txt")).unwrap());
        let Ok(context) = fs::read_to_string(directory.join("context.json")) else {
            return Self::without_context(directory, request, name);
        };
        let context: Value = serde_json::from_str(&context).unwrap();
        assert_eq!(context["timestamp"], "2015-08-30T12:36:00Z");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let secret = Some(text(&context["credentials"]["secret_access_key"]));
        let service = text(&context["service"]);
        Self {
            directory,
            request,
            secret,
            service,
            now: SIGNED,
        }
    }

    /// Two cases come from an older collection and keep their context in its source code.
    fn without_context(directory: PathBuf, request: Request, name: &str) -> Self {
        let (secret, service, now) = match name {
            "double-encode-path" => (Some("notrealrnrELgWzOk3IfjzDKtFBhDby"), "service", SIGNED),
            // Its secret is not published: only the canonical request can be compared.
            "double-url-encode" => (None, "lambda", SIGNED_LATER),
            _ => panic!("{name} has no context"),
        };
        let secret = secret.map(str::to_owned);
        Self {
            directory,
            request,
            secret,
            service: service.to_owned(),
            now,
        }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            service: &self.service,
            regions: &[],
            now: self.now,
        }
    }

    /// A file of the case, without the line break that a few of them end with.
    fn text(&self, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.directory.join(file)).ok()?;
        Some(text.trim_end_matches('\n').to_owned())
    }
}

/// Reads a request as the suite writes it: no `\r`, spaces allowed in the target, continued
/// header lines.
fn parse(text: &str) -> Request {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
    let mut request = Request::new(method, target, &[], body.trim_end_matches('\n'));
    for line in lines {
        if line.starts_with(' ') {
            let (_, value) = request.headers.last_mut().unwrap();
            value.push(b'\n');
            value.extend_from_slice(line.as_bytes());
        } else {
            let (name, value) = line.split_once(':').unwrap();
            request.headers.push(lower(name, value));
        }
    }
    request
}

fn cases() -> Vec<(String, Case)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sigv4/aws-signing-test-suite/v4");
    let mut cases: Vec<(String, Case)> = fs::read_dir(root)
        .unwrap()
        .map(|directory| {
            let directory = directory.unwrap();
            let name = directory.file_name().into_string().unwrap();
            (name.clone(), Case::read(directory.path(), &name))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

fn is_refused(name: &str) -> bool {
    REFUSED.iter().any(|(refused, _)| *refused == name)
}

#[test]
fn signatures_of_the_suite_are_accepted() {
    let mut accepted = 0;
    for (name, case) in cases() {
        let Some(secret) = &case.secret else { continue };
        let result = case
            .request
            .check(secret, &case.expected())
            .expect("it is signed");
        if is_refused(&name) {
            assert_eq!(
                result.unwrap_err().kind,
                ErrorKind::InvalidSignature,
                "{name}"
            );
        } else {
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
            accepted += 1;
        }
    }
    assert_eq!(accepted, 40 - REFUSED.len() - 1);
}

#[test]
fn what_we_took_to_be_signed_is_what_the_suite_says() {
    let mut compared = 0;
    // The suite's file for this case was written for another date than its request.
    let stale = "double-encode-path";
    for (name, case) in cases()
        .into_iter()
        .filter(|(name, _)| !is_refused(name) && name != stale)
    {
        let error = case
            .request
            .check("wrong", &case.expected())
            .expect("signed")
            .unwrap_err();
        let canonical = case.text("header-canonical-request.txt").unwrap();
        assert!(
            error.message.contains(&format!("\n'{canonical}'\n")),
            "{name}\n{error}"
        );
        let string_to_sign = case.text("header-string-to-sign.txt").unwrap();
        assert!(
            error.message.contains(&format!("\n'{string_to_sign}'\n")),
            "{name}\n{error}"
        );
        compared += 1;
    }
    assert_eq!(compared, 40 - REFUSED.len() - 1);
}
