//! STS AssumeRoleWithWebIdentity: the last step of the basic flow, in which old clients exchange
//! an OpenID token of this server for credentials.
//!
//! A form comes in and XML goes out, unsigned. There are no roles here: whatever role is named, the
//! credentials are those that GetCredentialsForIdentity gives.

use percent_encoding::percent_decode_str;

use super::open_id::{self, Claims, OWN_PROVIDER};
use crate::access::{self, Temporary};
use crate::error::{ApiError, ErrorKind};
use crate::site::Site;
use crate::site::stored::{self, Id, IdentityRecord, PoolRecord};
use crate::wire::Violations;
use crate::wire::constraint::Pattern;

/// The version of the API.
const VERSION: &str = "2011-06-15";
/// What all answers belong to.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The only operation.
const ACTION: &str = "AssumeRoleWithWebIdentity";
/// Most members of a form.
const MEMBERS_MAX: usize = 64;

/// Names of sessions.
const SESSION_NAME: Pattern = Pattern {
    text: r"[\w+=,.@-]*",
    matches: |text| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
    },
};

/// A finished answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The name of the error, if it is one.
    pub error: Option<&'static str>,
    /// The body.
    pub xml: String,
}

/// Answers a form. `request` is the id of the request.
pub async fn answer(site: &Site, form: &[u8], request: &str) -> Answer {
    match assume(site, form).await {
        Ok(assumed) => Answer {
            status: 200,
            error: None,
            xml: assumed.xml(request),
        },
        Err(refused) => refused.answer(request),
    }
}

/// Why there are no credentials.
#[derive(Debug)]
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    fn denied() -> Self {
        Self::new(
            403,
            "AccessDenied",
            format!("Not authorized to perform sts:{ACTION}"),
        )
    }

    fn answer(self, request: &str) -> Answer {
        let fault = if self.status < 500 {
            "Sender"
        } else {
            "Receiver"
        };
        let (code, message) = (self.code, escaped(&self.message));
        let xml = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{request}</RequestId></ErrorResponse>"
        );
        Answer {
            status: self.status,
            error: Some(code),
            xml,
        }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        match error.kind {
            ErrorKind::InvalidParameter => Self::new(400, "ValidationError", error.message),
            ErrorKind::TooManyRequests => Self::new(400, "Throttling", error.message),
            _ => Self::new(500, "InternalFailure", ApiError::internal().message),
        }
    }
}

/// What a form asks for.
#[derive(Debug, Default)]
struct Form {
    members: Vec<(String, String)>,
}

impl Form {
    fn parse(body: &[u8]) -> Option<Self> {
        let body = std::str::from_utf8(body).ok()?;
        let mut members: Vec<(String, String)> = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name)?;
            if members.len() == MEMBERS_MAX || members.iter().any(|(known, _)| *known == name) {
                return None;
            }
            members.push((name, decoded(value)?));
        }
        Some(Self { members })
    }

    fn get(&self, name: &str) -> Option<&String> {
        let mut members = self.members.iter();
        members
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The role, the name of the session and the token.
    fn check(&self) -> Result<[&str; 3], Refused> {
        let version = self.get("Version").map_or("", String::as_str);
        let action = self.get("Action").map_or("", String::as_str);
        if action != ACTION || version != VERSION {
            let message = format!("Could not find operation {action} for version {version}");
            return Err(Refused::new(400, "InvalidAction", message));
        }
        let mut violations = Violations::new();
        let (role, session) = (self.get("RoleArn"), self.get("RoleSessionName"));
        let token = self.get("WebIdentityToken");
        for (at, value, min, max) in [
            ("roleArn", role, 20, 2048),
            ("roleSessionName", session, 2, 64),
        ] {
            violations.required(at, value);
            if let Some(value) = value {
                violations.length(at, value, min, max);
            }
        }
        if let Some(session) = session {
            violations.pattern("roleSessionName", session, &SESSION_NAME);
        }
        violations.required("webIdentityToken", token);
        if let Some(seconds) = self.get("DurationSeconds") {
            let seconds = seconds.parse().unwrap_or(0);
            violations.at_least("durationSeconds", seconds, 900);
            violations.at_most("durationSeconds", seconds, 43_200);
        }
        violations.finish()?;
        if let Some((name, _)) = self
            .members
            .iter()
            .find(|(name, _)| name.starts_with("Policy"))
        {
            // Left out in silence, the credentials would be good for more than was asked for.
            let message = format!("{name} is not supported: there are no policies here");
            return Err(Refused::new(400, "ValidationError", message));
        }
        Ok([role, session, token].map(|value| value.map_or("", String::as_str)))
    }
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Credentials, and for what they were given.
#[derive(Debug)]
struct Assumed {
    given: Temporary,
    claims: Claims,
    role: String,
    session: String,
}

async fn assume(site: &Site, body: &[u8]) -> Result<Assumed, Refused> {
    let malformed = || Refused::new(400, "MalformedQueryString", "The form cannot be read");
    let form = Form::parse(body).ok_or_else(malformed)?;
    let [role, session, token] = form.check()?;
    let now_ms = site.now().get();
    let claims = open_id::read(&site.keys, token, now_ms).map_err(|_| {
        let message = "The web identity token is not one of this server's";
        Refused::new(400, "InvalidIdentityToken", message)
    })?;
    if now_ms / 1000 >= claims.exp {
        let message = format!("Token expired: {} >= {}", now_ms / 1000, claims.exp);
        return Err(Refused::new(400, "ExpiredTokenException", message));
    }
    let (pool, record) = holder(site, &claims).await?;
    let authenticated = !record.logins.is_empty();
    let pool = pool.to_string();
    let given = access::give(&site.keys, &pool, &claims.sub, authenticated, now_ms);
    let account = &site.config.account_id;
    let role_name = role.rsplit('/').next().unwrap_or_default();
    Ok(Assumed {
        given,
        role: format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session}"),
        session: session.to_owned(),
        claims,
    })
}

/// The identity that a token names, if it is still what the token says of it.
async fn holder(site: &Site, claims: &Claims) -> Result<(Id, IdentityRecord), Refused> {
    let (Some(pool), Some(identity)) = (Id::parse(&claims.aud), Id::parse(&claims.sub)) else {
        return Err(Refused::denied());
    };
    let pool_record: Option<(PoolRecord, _)> = site.load(stored::pool_key(&pool)).await?;
    let key = stored::identity_key(pool.uuid, identity.uuid);
    let record: Option<(IdentityRecord, _)> = site.load(key).await?;
    let (Some((pool_record, _)), Some((record, _))) = (pool_record, record) else {
        return Err(Refused::denied());
    };
    let may = if record.is_guest() {
        claims.is_guest() && pool_record.allow_guests
    } else {
        claims.tells(&pool, &record.logins)
    };
    if !may || pool_record.allow_classic_flow == Some(false) {
        return Err(Refused::denied());
    }
    Ok((pool, record))
}

impl Assumed {
    fn xml(&self, request: &str) -> String {
        let Temporary {
            access_key_id,
            secret,
            session_token,
            expires_ms,
        } = &self.given;
        let (subject, audience) = (escaped(&self.claims.sub), escaped(&self.claims.aud));
        let (arn, session) = (escaped(&self.role), escaped(&self.session));
        let (secret, expiration) = (escaped(secret.expose()), iso(expires_ms / 1000));
        // The id of a role is that of no role: ours have none.
        format!(
            "<{ACTION}Response xmlns=\"{NAMESPACE}\"><{ACTION}Result>\
             <SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken>\
             <Audience>{audience}</Audience>\
             <AssumedRoleUser><Arn>{arn}</Arn>\
             <AssumedRoleId>AROAAAAAAAAAAAAAAAAAA:{session}</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>{access_key_id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{session_token}</SessionToken>\
             <Expiration>{expiration}</Expiration></Credentials>\
             <Provider>{OWN_PROVIDER}</Provider></{ACTION}Result>\
             <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>\
             </{ACTION}Response>"
        )
    }
}

/// Seconds since 1970 as `2026-11-23T01:49:12Z`.
fn iso(seconds: u64) -> String {
    let basic = crate::sigv4::basic_date(seconds);
    let (date, time) = basic.split_at(basic.len() - 8);
    let (year, day) = date.split_at(date.len() - 4);
    format!(
        "{year}-{}-{}T{}:{}:{}Z",
        &day[..2],
        &day[2..],
        &time[1..3],
        &time[3..5],
        &time[5..7]
    )
}

/// A text as the content of an element; what XML cannot say is a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a<b>&\"c\u{1}"), "a&lt;b&gt;&amp;&quot;c?");
    }

    #[test]
    fn times_are_written_out() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(1_763_862_552), "2025-11-23T01:49:12Z");
    }

    #[test]
    fn forms_are_read_once_each() {
        let form = Form::parse(b"Action=A+b%2Fc&Empty=&Lone").unwrap();
        assert_eq!(form.get("Action").unwrap(), "A b/c");
        assert_eq!(form.get("Empty").unwrap(), "");
        assert_eq!(form.get("Lone").unwrap(), "");
        assert!(Form::parse(b"a=1&a=2").is_none());
        assert!(Form::parse(b"a=%ff").is_none());
        assert!(Form::parse(b"a=\xff").is_none());
    }
}
